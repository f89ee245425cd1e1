"""The file of a store: what is refused, what a full disk leaves, and processes that come at once."""

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mibun.errors import FormatError, InputError, MibunError, StoreError
from mibun.evaluate.database import APPLICATION, FORMAT, Database, store_path
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.rows import summaries
from mibun.evaluate.store import Store

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def filled(path: Path, count: int = 50, name: str = "f") -> Path:
    """Make a store with values at 0, 1, ..."""
    with Store(path, name) as store:
        run = store.run()
        run.record(run.keys(map(float, range(count))), [Outcome("ok", np.full(20, i)) for i in range(count)])
    return path


def values(path: Path, count: int = 50) -> list[Any]:
    with Store(path, "f") as store:
        run = store.run()
        found = run.lookup(run.keys(map(float, range(count))))
    return [None if outcome is None else outcome.value[0] for outcome in found]


def refused(path: Any, kind: type[MibunError], *words: str) -> None:
    """Opening is refused with these words, to write and to read, and the file stays as it is."""
    before = path.read_bytes() if isinstance(path, Path) and path.is_file() else None
    for opening in (lambda: Store(path, "f"), lambda: Database(store_path(path), write=False)):
        with pytest.raises(kind) as caught:
            opening()
        for word in words:
            assert word in str(caught.value)
    if before is not None:
        assert path.read_bytes() == before
        assert [other.name for other in path.parent.iterdir()] == [path.name]


# What is no store.


def test_a_folder_a_missing_folder_and_what_is_no_path(tmp_path: Path) -> None:
    refused(tmp_path, InputError, "is a folder; expected a file, such as", "plant.db")
    refused(tmp_path / "no" / "a.db", InputError, "there is no folder", "make it first")
    refused("", InputError, "the text ''; expected the path of a file")
    refused("a\0b", InputError, "expected the path of a file")
    refused(3.5, InputError, "store is 3.5; expected the path of a file")
    refused(os.devnull, InputError, "is no file but a device")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a device, a pipe or a socket"):
        Store(tmp_path / "pipe", "f")


@pytest.mark.parametrize("content", [b"x,y\n1,2\n", b"S", b"SQLite format 2\0" + bytes(1000), bytes(4096)])
def test_a_file_that_is_no_sqlite_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.db").write_bytes(content)
    refused(tmp_path / "a.db", FormatError, "is no SQLite database, or a damaged one, and stays as it is")


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize(("application", "tables"), [(0, 1), (77, 1), (77, 0)])
def test_a_database_of_another_program(tmp_path: Path, mode: str, application: int, tables: int) -> None:
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute(f"PRAGMA application_id = {application}")
    if tables:
        connection.execute("CREATE TABLE names (id, name)")
    connection.commit()
    connection.close()
    refused(tmp_path / "a.db", FormatError, "a SQLite database of another program, and stays as it is")


def test_a_newer_format(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db")
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    refused(path, FormatError, "written by a newer mibun (format 2; this one reads 1)", "pip install --upgrade mibun")


def test_what_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        Database(tmp_path / "a.db", write=False)
    (tmp_path / "a.db").touch()
    with pytest.raises(FormatError, match="is empty; expected a store"):
        Database(tmp_path / "a.db", write=False)
    assert (tmp_path / "a.db").read_bytes() == b""


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    assert values(filled(tmp_path / "a.db")) == list(range(50))


def test_the_file_says_whose_it_is_and_is_written_through(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db", "f") as store, store._database.transaction() as connection:
        found = {
            pragma: connection.execute(f"PRAGMA {pragma}").fetchone()[0]
            for pragma in ("application_id", "user_version", "journal_mode", "synchronous", "fullfsync")
        }
    assert found == {
        "application_id": APPLICATION,
        "user_version": FORMAT,
        "journal_mode": "wal",
        "synchronous": 2,
        "fullfsync": 1,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]  # closing leaves nothing beside it


# Damage.


def test_a_truncated_file(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db", 500)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match=r"damaged: .*it stays as it is. Save what can be read with: sqlite3"):
        values(path, 500)
    assert path.read_bytes() == content[: len(content) // 2]


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_page_is_noticed_or_does_no_harm(tmp_path: Path, seed: int) -> None:
    path = filled(tmp_path / "a.db", 200)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    page = 4096 * int(rng.integers(1, len(content) // 4096))
    content[page : page + 4096] = rng.bytes(4096)
    path.write_bytes(content)
    try:
        found = values(path, 200)
    except FormatError:
        return
    assert all(value in (None, i) for i, value in enumerate(found))


def test_one_bit_of_a_value_is_noticed(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db", 1)
    connection = sqlite3.connect(path)
    (value,) = connection.execute("SELECT value FROM evaluations").fetchone()
    wrong = bytes([value[0] ^ 1]) + value[1:]
    connection.execute("UPDATE evaluations SET value = ?", (wrong,))
    connection.commit()
    connection.close()
    with pytest.raises(FormatError, match="is damaged: a value of 'f' is not as it was written"):
        values(path, 1)


# Disks.


def fill(store: Store, begin: int, size: int) -> tuple[int, StoreError]:
    """Record points until the disk is full; how many were."""
    run = store.run()
    for i in range(begin, begin + 10_000):
        try:
            run.record(run.keys([float(i)]), [Outcome("ok", np.full(size, i))])
        except StoreError as error:
            return i, error
    raise AssertionError("there is always room")


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db")
    with Store(path, "f") as store:
        with store._database.transaction() as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + 10}")
        reached, error = fill(store, 50, 20)
        assert "the disk is full" in str(error)
        assert "What is stored is intact: free some space, and make the same call again" in str(error)
        assert reached > 50
        with store._database.transaction() as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
        assert values(path, reached + 1) == [*range(reached), None]
        run = store.run()
        run.record(run.keys([float(reached)]), [Outcome("ok", np.full(20, reached))])
    assert values(path, reached + 1) == list(range(reached + 1))


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    path = filled(tmp_path / "a.db")
    program = """
        import resource, sys
        import numpy as np
        from mibun.errors import StoreError
        from mibun.evaluate.outcome import Outcome
        from mibun.evaluate.store import Store
        with Store(sys.argv[1], "f") as store:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            run = store.run()
            for i in range(50, 10_000):
                try:
                    run.record(run.keys([float(i)]), [Outcome("ok", np.full(20, i))])
                except StoreError as error:
                    print(i, error)
                    break
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    reached, _, message = done.stdout.partition(" ")
    assert "the disk did not take it, it may be full or a limit on the size of files be reached" in message
    assert int(reached) > 60
    assert values(path, int(reached) + 1) == [*range(int(reached)), None]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk in memory, of a size that can be changed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(disk)], capture_output=True
    )
    if not made or made.returncode:
        pytest.skip("no small disk can be mounted here")

    def again(options: str) -> Path:
        subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)
        return disk

    yield again
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("size=400k")
    path = filled(disk / "a.db")
    with Store(path, "f") as store:
        reached, error = fill(store, 50, 20)
        assert "full" in str(error)
        run = store.run()
        found = run.lookup(run.keys(map(float, range(reached + 1))))
        assert [outcome and outcome.value[0] for outcome in found] == [*range(reached), None]
        small_disk("size=2m")
        run = store.run()
        run.record(run.keys([float(reached)]), [Outcome("ok", np.full(20, reached))])
    assert values(path, reached + 1) == list(range(reached + 1))


def test_no_room_to_begin_with(small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("size=400k")
    (disk / "ballast").write_bytes(bytes(400 * 1024 - 4096 * 3))
    with pytest.raises(StoreError, match="full"):
        Store(disk / "a.db", "f")
    (disk / "ballast").unlink()
    assert values(filled(disk / "a.db")) == list(range(50))


def test_a_read_only_disk_can_be_looked_at(small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("size=400k")
    path = filled(disk / "a.db")
    small_disk("ro")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(path, "f")
    database = Database(path, write=False)
    assert summaries(database)[0].counts == {"ok": 50}
    database.close()
    small_disk("rw")


@pytest.mark.parametrize("what", ["file", "folder", "unreadable"])
def test_permissions(tmp_path: Path, what: str) -> None:
    path = filled(tmp_path / "a.db")
    program = f"""
        import os, sys
        from mibun.errors import StoreError
        from mibun.evaluate.store import Store
        {"os.setuid(65534)" if ROOT else ""}
        try:
            Store(sys.argv[1], "f")
        except StoreError as error:
            print(error)
    """
    if ROOT:  # which may do everything: the process becomes another user, who has to get here
        for folder in tmp_path.parents[:2]:
            folder.chmod(0o755)
    tmp_path.chmod(0o555 if what == "folder" else 0o777)
    path.chmod({"file": 0o444, "folder": 0o666, "unreadable": 0o000}[what])
    before = path.read_bytes() if ROOT or what != "unreadable" else b""
    command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    tmp_path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    expected = {
        "file": "the store is read-only",
        "folder": "allow writing to it and to its folder",
        "unreadable": "the store cannot be read",
    }
    assert expected[what] in done.stdout
    path.chmod(0o644)
    assert not before or path.read_bytes() == before


# Several processes.


def test_a_process_that_holds_the_file_is_waited_for_and_then_named(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"another process has held the store for 0.1 s.*fuser"):
        Store(path, "f", patience=0.1)
    other.execute("ROLLBACK")
    other.close()
    assert values(path) == list(range(50))


def test_reading_goes_on_while_another_process_writes(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db")
    with Store(path, "f", patience=0.1) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        run = store.run()
        (found,) = run.lookup(run.keys([3.0]))
        assert found is not None
        assert found.value[0] == 3
        other.execute("ROLLBACK")
        other.close()


AT_ONCE = """
import sys, time
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.store import Store
path, number = sys.argv[1], int(sys.argv[2])
sys.stdin.readline()
for turn in range(10):
    with Store(f"{path}-{turn}.db", "f") as store:
        run = store.run()
        for i in range(3):
            run.record(run.keys([float(10 * number + i)]), [Outcome("ok", 1.0 * number)])
"""


def test_processes_that_make_a_store_at_once(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", AT_ONCE, str(tmp_path / "a"), str(i)], stdin=subprocess.PIPE)
        for i in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 4
    for turn in range(10):
        database = Database(tmp_path / f"a-{turn}.db", write=False)
        assert summaries(database)[0].counts == {"ok": 12}
        database.close()


def test_a_file_that_is_locked_at_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch to WAL says "locked" at once if another connection is in the midst of it: that is tried again."""
    tries = []
    plain = Database._prepare

    def locked_at_first(self: Database, connection: sqlite3.Connection) -> None:
        tries.append(1)
        if len(tries) < 4:
            other = sqlite3.connect(self.path, isolation_level=None, timeout=0)
            other.execute("BEGIN EXCLUSIVE")
            try:
                connection.execute("PRAGMA busy_timeout = 0")
                plain(self, connection)
            finally:
                other.close()
        else:
            plain(self, connection)

    monkeypatch.setattr(Database, "_prepare", locked_at_first)
    Database(tmp_path / "a.db").close()
    assert len(tries) == 4


def test_a_path_with_braces_is_told_as_it_is(tmp_path: Path) -> None:
    path = filled(tmp_path / "a{0}{b}.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as caught:
        Store(path, "f", patience=0.01)
    assert f"find it with: fuser {path}" in str(caught.value)
    other.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files cannot be counted here")
def test_a_store_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    path, files = filled(tmp_path / "a.db"), Path("/proc/self/fd")
    before = len(list(files.iterdir()))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as caught:  # and the traceback, which holds on to everything, is kept
        Store(path, "f", patience=0.01)
    other.close()
    assert caught.value.__traceback__ is not None
    assert len(list(files.iterdir())) == before
