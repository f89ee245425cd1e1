"""The rows of one name in the file of a store: written, found again, counted."""

import time
import zlib
from collections.abc import Iterable
from sqlite3 import Connection
from typing import Any, Final, NamedTuple

from mibun.errors import FormatError
from mibun.evaluate.database import Database
from mibun.evaluate.encoding import Coded, decode
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.raised import decode_raised, encode_raised
from mibun.evaluate.serial import OUTSIDE

__all__ = ["Key", "Rows", "Summary", "sayable", "summaries"]

#: Statuses of rows that are answers; the others are tried again.
REPLAYED: Final = ("ok", "not finite", "outside")
SELECT: Final = """
    SELECT status, seconds, worker, error, checksum, header, value
    FROM evaluations LEFT JOIN headers ON headers.id = value_header
    WHERE name = ? AND digest = ? AND repeat = ?"""
INSERT: Final = f"""
    INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (name, digest, repeat) DO UPDATE SET status = excluded.status, seconds = excluded.seconds,
        time = excluded.time, worker = excluded.worker, error = excluded.error, checksum = excluded.checksum,
        value_header = excluded.value_header, value = excluded.value
    WHERE status NOT IN {REPLAYED}"""  # noqa: S608
SUMMARY: Final = """
    SELECT names.name, status, count(digest), total(seconds), max(time)
    FROM names LEFT JOIN evaluations ON evaluations.name = names.id
    GROUP BY names.id, status ORDER BY names.id"""


class Key(NamedTuple):
    """Where the evaluation of a point stands in a store."""

    digest: bytes  #: of the header and the bytes of x
    repeat: int  #: how often x was asked for before in the same run
    point: Coded


class Summary(NamedTuple):
    """What a store holds under one name."""

    name: str
    counts: dict[str, int]  #: rows by status: ok, not finite, outside, raised, killed, timeout
    seconds: float  #: that all of them took
    last: float | None  #: when the last one arrived, Unix time


class Rows:
    """The rows of one name.

    Parameters
    ----------
    database : Database
    name : str
        Written if it is new.
    """

    def __init__(self, database: Database, name: str) -> None:
        self.database, self.name = database, name
        self._headers: dict[str, int] = {}
        with database.transaction(write=True) as connection:
            connection.execute("INSERT INTO names (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
            (self._id,) = connection.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()

    def other_source(self, source: str) -> str | None:
        """Give the hash of the last source of f but this one that gave rows; None if there was no other."""
        with self.database.transaction() as connection:
            query = "SELECT hash FROM sources WHERE name = ? AND hash <> ? ORDER BY time DESC"
            found = connection.execute(query, (self._id, source)).fetchone()
        return None if found is None else found[0]

    def find(self, keys: Iterable[Key]) -> list[Outcome | None]:
        """Find the answers at these keys; None where there is none, or a row that is no answer.

        Raises
        ------
        FormatError
            If a row cannot be read, or is not as it was written.
        """
        with self.database.transaction() as connection:
            return [self._found(connection, key) for key in keys]

    def write(self, items: Iterable[tuple[Key, Outcome, Coded | None]], source: str | None) -> dict[int, Outcome]:
        """Write rows, in one transaction: their keys, outcomes, and values if they have one.

        An answer that stands at a key already stays there, and is given back by the place of its item.
        """
        stood: dict[int, Outcome] = {}
        answers = False
        try:
            with self.database.transaction(write=True) as connection:
                for place, (key, outcome, value) in enumerate(items):
                    row = self._row(connection, key, outcome, value)
                    answers = answers or row[3] in REPLAYED
                    if connection.execute(INSERT, row).rowcount < 1:
                        found = self._found(connection, key)
                        stood |= {} if found is None else {place: found}
                if answers and source is not None:
                    query = "INSERT INTO sources VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
                    connection.execute(query, (self._id, source, time.time()))
        except BaseException:
            self._headers.clear()  # some of them may have been taken back
            raise
        return stood

    def _found(self, connection: Connection, key: Key) -> Outcome | None:
        row = connection.execute(SELECT, (self._id, key.digest, key.repeat)).fetchone()
        if row is None or row[0] not in REPLAYED:
            return None
        status, seconds, worker, text, checksum, header, data = row
        path = self.database.path
        if not (isinstance(header, str) and isinstance(data, bytes)) or _checksum(header, data) != checksum:
            raise FormatError(
                f"{path} is damaged: a value of {self.name!r} is not as it was written. The file stays as it is; give "
                "the path of a new one"
            )
        try:
            if status != "outside":
                return Outcome("ok", decode(header, data), seconds=seconds, worker=worker)
            error = decode_raised(header, data, text)
        except FormatError as reason:
            raise FormatError(f"{path}: {reason}") from reason
        error.add_note(f"f did not raise this now: {path} has it from an earlier run, under {self.name!r}")
        return Outcome("raised", error=error, text=text, seconds=seconds, worker=worker)

    def _row(self, connection: Connection, key: Key, outcome: Outcome, value: Coded | None) -> tuple[Any, ...]:
        """Give the row as the columns stand in the table."""
        status, text = outcome.status, outcome.text
        if value is not None:
            status, text = "ok" if value.finite else "not finite", ""
        elif isinstance(outcome.error, OUTSIDE):
            status, text = "outside", str(outcome.error)
            value = Coded(*encode_raised(outcome.error), finite=True)
        elif outcome.error is not None and not text:
            text = f"{type(outcome.error).__name__}: {outcome.error}"
        seconds, arrived, worker = outcome.seconds, time.time(), outcome.worker
        common = self._id, key.digest, key.repeat, status, seconds, arrived, worker, sayable(text)
        x_header = self._header(connection, key.point.header)
        if value is None:
            return *common, 0, None, x_header, None, key.point.data
        value_header = self._header(connection, value.header)
        return *common, _checksum(value.header, value.data), value_header, x_header, value.data, key.point.data

    def _header(self, connection: Connection, header: str) -> int:
        """Give the number of a header, which is written once."""
        number = self._headers.get(header)
        if number is None:
            connection.execute("INSERT INTO headers (header) VALUES (?) ON CONFLICT DO NOTHING", (header,))
            (number,) = connection.execute("SELECT id FROM headers WHERE header = ?", (header,)).fetchone()
            self._headers[header] = number
        return number


def summaries(database: Database) -> list[Summary]:
    """Count the rows of each name, in the order in which the names came."""
    with database.transaction() as connection:
        found = connection.execute(SUMMARY).fetchall()
    names: dict[str, Summary] = {}
    for name, status, count, seconds, last in found:
        before = names.get(name, Summary(name, {}, 0.0, None))
        counts = before.counts | ({status: count} if status else {})
        times = [moment for moment in (before.last, last) if moment is not None]
        names[name] = Summary(name, counts, before.seconds + seconds, max(times, default=None))
    return list(names.values())


def sayable(text: str) -> str:
    """Give a text that can be written as UTF-8: halves of letters, as in file names of unknown encoding, are spelt."""
    return text.encode(errors="backslashreplace").decode()


def _checksum(header: str, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(header.encode()))
