"""Evaluations on disk: a point that was evaluated once is never evaluated again, whatever happens in between.

A row belongs to a name, which the user gives to f, and to a point: its structure, dtypes and bits, and how often the
point was asked for before in the same run and lane. So a noisy f that is evaluated twice at one x keeps both values,
and a run that is repeated gets them in the same order. A lane is a part of a run that goes its own way, as an element
of a gradient does; a point that two of them ask for has one value for both.

The key is never the source of f, which does not say what a closure or a
global is; a changed source gives a warning.

Rows with a value (finite or not) and rows of domain exceptions are replayed. Those that raised something else, were
killed or timed out are kept for people to see, and tried again. The first row with an answer stays: of two processes
that evaluate one point at the same time, both go on with the value of the faster one, and so both can be replayed.

>>> from tempfile import TemporaryDirectory
>>> from mibun.evaluate.outcome import Outcome
>>> from mibun.evaluate.store import Store
>>> with TemporaryDirectory() as folder, Store(f"{folder}/plant.db", "cost-v3") as store:
...     first = store.run()
...     keys = first.keys([0.5, 0.25])
...     _ = first.record(keys, [Outcome("ok", 0.75), Outcome("ok", 0.5)])
...     again = store.run()
...     [outcome.value for outcome in again.lookup(again.keys([0.25, 0.5]))]
[0.5, 0.75]
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from mibun.errors import InputError, SourceChanged
from mibun.evaluate.database import PATIENCE, Database, store_path
from mibun.evaluate.encoding import Coded, encode, encode_stack
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.rows import Key, Rows, sayable
from mibun.evaluate.source import source_hash
from mibun.evaluate.values import opened

__all__ = ["Run", "Store", "checked_name", "store_path"]

#: Bytes of a digest that are kept: a chance of 1e-15 that any two of 1e12 points share one.
DIGEST: Final = 16


class Store:
    """The evaluations of one function, on disk.

    Parameters
    ----------
    path : path-like
        An SQLite file of mibun's; made if it is not there. On a disk of this machine, not on a network drive.
    name : str
        Of f, and of what it computes: another name for every version of it.
    patience : float
        Seconds to wait for other processes that write to the file.

    Raises
    ------
    InputError
        If the path is a folder or in none, or the name is missing.
    FormatError
        If the file is no store, damaged, or of a newer format. It stays as it is.
    StoreError
        If it cannot be written: full disk, no permission, held by another process. What is stored is intact.
    """

    def __init__(self, path: Any, name: Any, *, patience: float = PATIENCE) -> None:
        checked = store_path(path)
        self.name = checked_name(name, path)
        self._database = Database(checked, patience=patience)
        try:
            self._rows = Rows(self._database, self.name)
        except BaseException:
            self._database.close()
            raise
        self._source: tuple[Any, str | None] = (None, None)
        self._warned: set[str] = set()

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {self.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._database.path

    def close(self) -> None:
        """Close the file; nothing has to be saved, for every row is on disk already."""
        self._database.close()

    def run(self, f: Callable[[Any], Any] | None = None, *, stacklevel: int = 2) -> "Run":
        """Begin a run, such as one call of a verb: repeats of a point are counted from 0 again.

        Parameters
        ----------
        f : callable, optional
            Whose values the rows are. Where the store has rows of another source of f, that is warned of, once.
        stacklevel : int
            Of the warning: 2 is the caller.
        """
        if f is not self._source[0]:
            self._source = f, None if f is None else source_hash(f)
        source = self._source[1]
        if source is not None and source not in self._warned:
            self._warned.add(source)
            other = self._rows.other_source(source)
            if other is not None:
                warnings.warn(
                    f"the source of f is not that of all values of {self.name!r} in {self.path}: it has the hash "
                    f"{source} now, and had {other}. The values are used as they are; if f gives others now, write "
                    "another name",
                    SourceChanged,
                    stacklevel=stacklevel,
                )
        return Run(self._rows, source)


class Run:
    """One run with a store. Made by `Store.run`."""

    def __init__(self, rows: Rows, source: str | None) -> None:
        self._rows, self._source = rows, source
        self.place = f"{rows.database.path} under {rows.name!r}"  # for messages
        self._asked: dict[tuple[int, bytes], int] = {}

    def keys(self, points: Iterable[Any], lanes: Iterable[int] | None = None) -> list[Key]:
        """Give the keys of points, as f gets them; each is counted as asked for in its lane. Default: all in lane 0.

        Raises
        ------
        InputError
            If a point has keys that cannot be written.
        """
        return self._keyed([encode(point, "x") for point in points], lanes)

    def keys_of_stack(self, stack: Any, count: int, lanes: Iterable[int] | None = None) -> list[Key]:
        """Give the keys of the rows of a stack, (count, *S) in every leaf; each is counted as asked for in its lane."""
        return self._keyed(encode_stack(stack, count, "x"), lanes)

    def lookup(self, keys: Sequence[Key]) -> list[Outcome | None]:
        """Find what became of points in earlier runs; None where that is not known, or is to be tried again.

        Status "ok" with the value, or "raised" with a domain exception that is equal to the one that f raised.

        Raises
        ------
        FormatError, StoreError
            If the file is damaged, or cannot be read.
        """
        return self._rows.find(keys)

    def record(self, keys: Sequence[Key], outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Write what became of points; it is on disk when this returns, all of it or nothing.

        Returns
        -------
        list of Outcome
            What stands in the store now, and is to be used: `outcomes`, but where another process was faster.

        Raises
        ------
        InputError
            If a value is not what f may return, or has keys that cannot be written.
        StoreError
            If it cannot be written. What was stored before is intact.
        """
        items: list[tuple[Key, Outcome, Coded | None]] = []
        refused: InputError | None = None
        for key, outcome in zip(keys, outcomes, strict=True):
            try:
                value = encode(opened(outcome.value), "f(x)") if outcome.status == "ok" else None
                items.append((key, outcome, value))
            except InputError as reason:
                refused = refused or reason
        stood = self._rows.write(items, self._source)
        if refused is not None:  # what came with it is not lost
            raise refused
        return [stood.get(place, outcome) for place, outcome in enumerate(outcomes)]

    def record_stack(self, keys: Sequence[Key], outcome: Outcome) -> dict[int, Outcome]:
        """Write the rows of what a vectorized f returned for a stack, (count, *T); the seconds are shared out.

        Returns
        -------
        dict
            By row: what another process has written before, and is to be used instead.

        Raises
        ------
        InputError, StoreError
            As `record`.
        """
        count = len(keys)
        values = encode_stack(opened(outcome.value), count, "f(stack)")
        share = outcome._replace(value=None, seconds=outcome.seconds / count)
        return self._rows.write([(key, share, value) for key, value in zip(keys, values, strict=True)], self._source)

    def _keyed(self, points: list[Coded], lanes: Iterable[int] | None) -> list[Key]:
        keys, asked, header, hasher = [], self._asked, None, sha256()
        for point, lane in zip(points, repeat(0) if lanes is None else lanes, strict=lanes is not None):
            if point.header != header:
                header = point.header
                hasher = sha256(header.encode() + b"\0")
            hashed = hasher.copy()
            hashed.update(point.data)
            digest = hashed.digest()[:DIGEST]
            before = asked.get((lane, digest), 0)
            asked[lane, digest] = before + 1
            keys.append(Key(digest, before, point))
        return keys


def checked_name(name: Any, path: Any) -> str:
    """Give the name of f in a store, or say what is wrong with it."""
    if name is None or name == "":
        raise InputError(
            f"store={str(path)!r} is given without a name; write name='cost-v1' or the like, and another name when f "
            "gives other values: a store keeps the values of f under it"
        )
    if not isinstance(name, str):
        raise InputError(f"name is {name!r}, a {type(name).__name__}; expected a text such as 'cost-v1'")
    if sayable(name) != name:
        raise InputError(f"name is {name!r}, which is no text that can be written; expected one such as 'cost-v1'")
    return name
