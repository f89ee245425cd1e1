"""The file of a store: one SQLite database in WAL mode, opened, checked, written, and its errors put into words.

What is committed is on disk (``synchronous=FULL``; ``fullfsync`` on macOS). Any number of processes on one machine may
write to one file; each waits for the others, for a writer holds it for a moment only. A file of another program, of a
newer version, or a damaged one is refused and stays as it is.

Two traps of SQLite: two processes that switch one file to WAL together get "database is locked" at once, however long
they are told to wait, so that is tried again here; and a connection must not be carried through a fork, so it is closed
before one and opened again when it is needed. WAL needs memory that all processes share, which a network drive (NFS,
SMB) does not give: a store belongs on a disk of the machine.

Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/howtocorrupt.html (sections 2.6 and 2.7).
"""

import os
import random
import sqlite3
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from mibun.errors import FormatError, InputError, MibunError, StoreError

__all__ = ["FORMAT", "Database", "store_path"]

#: Says whose file this is, in the header of the database: "mibn".
APPLICATION: Final = 0x6D69626E
FORMAT: Final = 1
MAGIC: Final = b"SQLite format 3\0"
#: Seconds to wait for other processes; each of them holds the file for milliseconds.
PATIENCE: Final = 60.0

#: Rows lie in the order of their arrival. What is counted stands before what is large, so that a count reads little.
SCHEMA: Final = (
    "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE sources (name INTEGER NOT NULL, hash TEXT NOT NULL, time REAL NOT NULL, PRIMARY KEY (name, hash))",
    "CREATE TABLE headers (id INTEGER PRIMARY KEY, header TEXT NOT NULL UNIQUE)",
    """CREATE TABLE evaluations (
        name INTEGER NOT NULL REFERENCES names,
        digest BLOB NOT NULL,                         -- first 16 bytes of SHA-256 of: header of x, a 0, bytes of x
        repeat INTEGER NOT NULL,                      -- 0, 1, ...: how often x was asked for before in the same run
        status TEXT NOT NULL,                         -- ok, not finite, outside, raised, killed, timeout
        seconds REAL NOT NULL,                        -- that f took
        time REAL NOT NULL,                           -- of arrival, Unix time
        worker TEXT NOT NULL,
        error TEXT NOT NULL,                          -- what was raised, or how it ended; "" for a value
        checksum INTEGER NOT NULL,                    -- CRC-32 of the header and the bytes of the value
        value_header INTEGER REFERENCES headers,
        x_header INTEGER NOT NULL REFERENCES headers,
        value BLOB,
        x BLOB NOT NULL,
        UNIQUE (name, digest, repeat)
    )""",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {FORMAT}",
)

#: Databases whose connection has to be closed before this process forks.
_LIVE: Final[weakref.WeakSet["Database"]] = weakref.WeakSet()
_HELD: Final[list["Database"]] = []

Result = TypeVar("Result")


def store_path(path: Any) -> Path:
    """Check a path at which a store stands or shall stand; make it absolute, for a process may change its folder.

    Raises
    ------
    InputError
        If it is no path, a folder, something that is no file, or in a folder that is not there.
    """
    try:
        text = os.fsdecode(path)
    except TypeError as reason:
        raise InputError(f"store is {path!r}; expected the path of a file, such as 'plant.db'") from reason
    if not text or "\0" in text:
        raise InputError(f"store is the text {text!r}; expected the path of a file, such as 'plant.db'")
    found = Path(text).absolute()
    if found.is_dir():
        raise InputError(f"store={text!r} is a folder; expected a file, such as {str(Path(text) / 'plant.db')!r}")
    if not found.parent.is_dir():
        raise InputError(f"store={text!r}: there is no folder {found.parent}; make it first, or write another path")
    if found.exists() and not stat.S_ISREG(found.stat().st_mode):
        raise InputError(f"store={text!r} is no file but a device, a pipe or a socket; expected the path of a file")
    return found


class Database:
    """One SQLite file of mibun's format. Safe to use from several threads, and in a child after a fork.

    Parameters
    ----------
    path : Path
        Checked by `store_path`. What is not there, or empty, becomes a new store.
    write : bool
        False: only to be read, also from a read-only disk; it must be there.
    patience : float
        Seconds to wait for other processes.

    Raises
    ------
    FormatError
        If the file is no store of mibun's, damaged, or of a newer format.
    StoreError
        If it cannot be read, or not be written although `write`, or is held by another process for too long.
    """

    def __init__(self, path: Path, *, write: bool = True, patience: float = PATIENCE) -> None:
        self.path, self.write, self.patience = path, write, patience
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        _watch_forks()
        try:
            with self.transaction(write):
                pass
        except BaseException:
            self.close()
            raise

    @contextmanager
    def transaction(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the connection, within a transaction: all that is done in it is on disk afterwards, or none of it."""
        with self._lock:
            try:
                connection = self._opened()
                with _transaction(connection, write):
                    yield connection
            except sqlite3.Error as reason:
                if not _code(reason):  # no fault of the file
                    raise
                raise self._in_words(reason) from reason

    def close(self) -> None:
        """Close the connection; it is opened again when it is needed."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def hold(self) -> None:
        """Close the connection, and let nobody open it before `release`."""
        self._lock.acquire()
        self.close()

    def release(self) -> None:
        """Undo `hold`."""
        self._lock.release()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            _check_magic(self.path, self.write)
            try:
                self._connection = self._connected("mode=rwc" if self.write else "mode=rw")
            except sqlite3.OperationalError as reason:
                # On a read-only disk SQLite must be told that nobody writes, or it wants files beside this one.
                log = self.path.with_name(f"{self.path.name}-wal")
                if self.write or _code(reason) != sqlite3.SQLITE_CANTOPEN or log.exists():
                    raise
                self._connection = self._connected("mode=ro&immutable=1")
            _LIVE.add(self)
        return self._connection

    def _connected(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?{mode}",
            uri=True,
            timeout=self.patience,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._patiently(lambda: self._prepare(connection))
        except BaseException:
            connection.close()
            raise
        return connection

    def _patiently(self, action: Callable[[], Result]) -> Result:
        """Try again where SQLite does not wait although it was told to."""
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return action()
            except sqlite3.OperationalError as reason:
                if _code(reason) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.001, 0.02))  # noqa: S311

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Check whose file it is before anything is changed, and make it a store if it is empty."""
        empty = self._is_empty(connection)
        if not self.write:
            if empty:
                raise FormatError(f"{self.path} is empty; expected a store that mibun wrote")
            return
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(
                f"{self.path} cannot be kept safe by a write-ahead log here (SQLite offers {mode!r}), as on a network "
                "drive; give a path on a disk of this machine"
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = 1")
        connection.execute("PRAGMA checkpoint_fullfsync = 1")
        if empty:
            with _transaction(connection, write=True):
                if self._version(connection)[2] == 0:  # nobody else was faster
                    for statement in SCHEMA:
                        connection.execute(statement)

    def _is_empty(self, connection: sqlite3.Connection) -> bool:
        with _transaction(connection):
            application, version, tables = self._version(connection)
        if application == APPLICATION and version > FORMAT:
            raise FormatError(
                f"{self.path} was written by a newer mibun (format {version}; this one reads {FORMAT}); "
                "update with: pip install --upgrade mibun"
            )
        if application == APPLICATION and version == FORMAT:
            return False
        if application or tables:
            raise FormatError(
                f"{self.path} is a SQLite database of another program, and stays as it is; {_advice(self.write)}"
            )
        return True

    @staticmethod
    def _version(connection: sqlite3.Connection) -> tuple[int, int, int]:
        """Read whose file it is, its format, and the number of its tables."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return application, version, tables

    def _in_words(self, reason: sqlite3.Error) -> MibunError:
        """Say what an error of SQLite means for the store, and what to do."""
        code, what = _code(reason), f"{self.path} ({reason})"
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return FormatError(
                f"the store is damaged: {what}; it stays as it is. Save what can be read with: sqlite3 FILE .recover | "
                "sqlite3 NEW, or give the path of a new file"
            )
        words = {
            sqlite3.SQLITE_FULL: ("the disk is full", "free some space"),
            sqlite3.SQLITE_IOERR: (
                "the disk did not take it, it may be full or a limit on the size of files be reached",
                "make room",
            ),
            sqlite3.SQLITE_READONLY: ("the store is read-only", "allow writing to it and to its folder"),
            sqlite3.SQLITE_CANTOPEN: ("the store cannot be opened", "check permissions, of its folder too"),
            sqlite3.SQLITE_BUSY: (
                f"another process has held the store for {self.patience:g} s",
                f"find it with: fuser {self.path}",
            ),
        }
        event, advice = words.get(code, ("the store cannot be used", "see what SQLite says of this"))
        return StoreError(f"{event}: {what}. What is stored is intact: {advice}, and make the same call again")


@contextmanager
def _transaction(connection: sqlite3.Connection, write: bool = False) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check_magic(path: Path, write: bool) -> None:
    """Refuse what is no SQLite file before SQLite touches it."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except FileNotFoundError as reason:
        if write:
            return
        raise InputError(f"there is no file {path}; expected a store that mibun wrote") from reason
    except OSError as reason:
        raise StoreError(f"the store cannot be read: {path} ({reason.strerror}). Check its permissions") from reason
    if head and head != MAGIC:
        raise FormatError(f"{path} is no SQLite database, or a damaged one, and stays as it is; {_advice(write)}")


def _advice(write: bool) -> str:
    return "give the path of a store that mibun wrote" + ", or of a file that is not there yet" * write


def _code(reason: sqlite3.Error) -> int:
    """Give the primary error code; 0 where the error is not SQLite's own."""
    return int(getattr(reason, "sqlite_errorcode", 0)) & 0xFF


@cache
def _watch_forks() -> None:
    """From now on, close all connections of this process before it forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_hold_all, after_in_parent=_release_all, after_in_child=_release_all)


def _hold_all() -> None:
    for database in list(_LIVE):
        database.hold()
        _HELD.append(database)


def _release_all() -> None:
    while _HELD:
        _HELD.pop().release()
