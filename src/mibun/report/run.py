"""The run folder: what a training run leaves on disk, numbered, never half-written, never overwritten.

::

    runs/0001/report.html     curves, costs and mistakes, to open in a browser
              history.json    `History.to_dict`
              weights.npz     `Network.save`
              settings.json   the command that repeats the run, its settings, versions and machine
              checkpoint.npz  only in runs that were ended early: what is needed to go on

While a run lasts, its files stand in a hidden folder beside the others, `runs/.0001.partial`. Making that folder
takes the number, for `mkdir` succeeds for one process only; renaming it to `0001` publishes the run as a whole.
A run that is killed leaves the hidden folder behind, with its settings and its last checkpoint: it can be taken up
again, holds its number, does no harm, and can be deleted. A lock, which the system lifts when a process ends however
that was, keeps two processes from taking up one run.
"""

import errno
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from mibun.errors import FormatError, InputError
from mibun.learn import History, Network, Stop

__all__ = ["FORMAT_VERSION", "Found", "Kept", "RunFolder", "environment", "find_run"]

#: Version of the layout of a run folder and of its settings.json.
FORMAT_VERSION = 1

#: What stands in the folder besides what a finished run leaves.
CHECKPOINT, LOCK = "checkpoint.npz", "lock"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# What the three systems say when a folder cannot be renamed because something has that name already.
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.EACCES}


@dataclass(frozen=True)
class Kept:
    """Where a run was kept.

    Attributes
    ----------
    path
        The folder with all files.
    trouble
        Why it is not in the folder that was asked for, but in the system's folder for temporary files; else None.
    """

    path: Path
    trouble: str | None


@dataclass(frozen=True)
class Found:
    """A run that is on the disk.

    Attributes
    ----------
    path
        Its folder, hidden where the run was killed.
    about
        What its settings.json says.
    published
        Whether it was ended in order, early or not.
    """

    path: Path
    about: dict[str, Any]
    published: bool


def find_run(path: str | os.PathLike[str]) -> Found:
    """Find a run by its folder, `runs/0001`: a published one, or the hidden one that a killed run left.

    Raises
    ------
    InputError
        If there is no such run.
    FormatError
        If its settings cannot be read, or are of a newer version.
    """
    given = Path(path)
    hidden = given.with_name(f".{given.name}.partial")
    folder = next((one for one in (given, hidden) if (one / "settings.json").is_file()), None)
    if folder is None:
        beside = given if given.is_dir() else given.parent
        known = (
            sorted({f"{_number_of(one):04d}" for one in beside.iterdir() if _number_of(one)}) if beside.is_dir() else []
        )
        raise InputError(
            f"there is no run {given}; expected a run folder such as runs/0001"
            + (f"; in {beside} there are {', '.join(known[:20])}" if known else "")
        )
    try:
        about = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        version, known_format = about["version"], about["format"] == "mibun run" and isinstance(about["settings"], dict)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{folder / 'settings.json'} cannot be read as the settings of a run: {error!r}") from None
    if not known_format or not isinstance(version, int) or version > FORMAT_VERSION:
        raise FormatError(
            f"{folder / 'settings.json'} is of version {version!r}; this mibun reads up to {FORMAT_VERSION}: install a "
            "newer mibun"
        )
    return Found(folder, about, not folder.name.startswith("."))


class RunFolder:
    """A place for one run, taken before training and published after it.

    Entering the context makes the parent folder where it is missing, and proves that it can be written to: the
    weights before training are really stored. Leaving it without `keep` removes what was written.

    Parameters
    ----------
    parent
        The folder of all runs.
    network
        The network that will be trained.
    command, settings
        The command line that repeats the run, and its settings: written at once, so that a killed run can go on.
    resume
        A run to go on from: what a killed one left is taken over; of one that was ended early the checkpoint is
        copied.

    Raises
    ------
    InputError
        On entering, if the folder cannot be made or written to, or another process has the run.

    Examples
    --------
    >>> import tempfile
    >>> from mibun import learn
    >>> from mibun.report.run import RunFolder
    >>> network, digits = learn.Network([learn.Dense(64, 10)]), learn.load_digits()
    >>> with tempfile.TemporaryDirectory() as parent, RunFolder(parent, network) as run:
    ...     history = learn.train(network, digits, steps=1)
    ...     kept = run.keep(network, history, "python mine.py", {"seed": 0}, lambda: "<!doctype html>")
    ...     print(kept.path.name, sorted(file.name for file in kept.path.iterdir()))
    0001 ['history.json', 'report.html', 'settings.json', 'weights.npz']
    """

    def __init__(
        self,
        parent: str | os.PathLike[str],
        network: Network,
        command: str = "",
        settings: Mapping[str, object] | None = None,
        resume: Found | None = None,
    ) -> None:
        self.parent = Path(parent)
        self._network = network
        self._about = _about(command, settings or {})
        self._resume = resume
        self._lock: IO[bytes] | None = None
        self._reserved: list[Path] = []
        self._learnt = self._kept = False
        self._trouble: str | None = None

    def __enter__(self) -> Self:
        try:
            self.parent.mkdir(parents=True, exist_ok=True)
            self._number = self._reserve() if self._resume is None or self._resume.published else self._take_over()
            self._folder = self._partial(self._number)
            self._lock = _locked(self._folder / LOCK)
            if self._resume is not None and self._resume.published:
                shutil.copyfile(self._resume.path / CHECKPOINT, self._folder / CHECKPOINT)
            self._network.save(self._folder / "weights.npz")
            (self._folder / "settings.json").write_text(_json(self._about), encoding="utf-8")
            _flush(self._folder)
        except OSError as error:
            self._discard()
            raise InputError(
                f"the run cannot be kept in {str(self.parent)!r} ({error.strerror or error}); expected a folder that "
                f"can be written to and has room; write another one, such as --out {_elsewhere()}"
            ) from None
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._learnt and not self._kept and isinstance(error, Exception):
            error.add_note(f"The weights that were learnt, the history and the settings are in {self._folder}")
        elif isinstance(error, Exception) and not isinstance(error, InputError) and self._has_checkpoint():
            error.add_note(f"The run can go on from its last checkpoint: mibun learn --resume {self.place}")
        else:
            self._discard()
        self._unlock()

    def _has_checkpoint(self) -> bool:
        return not self._kept and (self._folder / CHECKPOINT).exists()

    @property
    def folder(self) -> Path:
        """Where the files stand while the run lasts, the checkpoint among them."""
        return self._folder

    @property
    def place(self) -> Path:
        """The name that the run will have, by which it can also be taken up when it was killed."""
        return self._final(self._number)

    def keep(
        self,
        network: Network,
        history: History,
        command: str,
        settings: Mapping[str, object],
        report: Callable[[], str],
    ) -> Kept:
        """Write all files, and give the folder its number.

        What cannot be written where it was asked for, because the disk is full by now or the folder is gone, is
        written into the system's folder for temporary files instead.

        Parameters
        ----------
        network, history
            What was learnt, and how.
        command
            The command line that repeats the run.
        settings
            All settings of the run, as JSON knows them.
        report
            Makes the text of report.html; called when everything else is written, so that its failure loses nothing.

        Raises
        ------
        InputError
            If that cannot be written to either.
        """
        texts = {"history.json": _json(history.to_dict()), "settings.json": _json(_about(command, settings))}
        if history.stop is not Stop.INTERRUPTED:
            (self._folder / CHECKPOINT).unlink(missing_ok=True)
        self._save(network, texts)
        self._learnt = True
        texts["report.html"] = report()
        self._save(network, texts, publish=True)
        self._kept = True
        return Kept(self._folder, self._trouble)

    def _save(self, network: Network, texts: Mapping[str, str], publish: bool = False) -> None:
        """Write to the run's folder or, where that fails, to a folder for temporary files from then on."""
        try:
            _write(self._folder, network, texts)
            if publish:
                _flush(self._folder)
            if publish and self._trouble is None:
                self._unlock()
                self._folder = self._publish()
                _flush_folder(self.parent)
        except OSError as error:
            reason = str(error.strerror or error)
            if self._trouble is not None:
                raise InputError(
                    f"the run could be written neither to {self.parent} ({self._trouble}) nor to {self._folder} "
                    f"({reason}); expected room for it; make room, or write another folder after --out"
                ) from None
            self._trouble, self._folder = reason, Path(tempfile.mkdtemp(prefix="mibun-run-"))
            self._save(network, texts, publish)

    def _take_over(self) -> int:
        """Take the hidden folder of a killed run."""
        assert self._resume is not None  # noqa: S101  for the type checker
        self.parent = self._resume.path.parent
        return _number_of(self._resume.path)

    def _unlock(self) -> None:
        if self._lock is not None:
            (self._folder / LOCK).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def _reserve(self) -> int:
        """Take the number after all that are in use."""
        number = max(map(_number_of, self.parent.iterdir()), default=0)
        while True:
            number += 1
            partial = self._partial(number)
            try:
                partial.mkdir()
            except FileExistsError:
                continue
            self._reserved.append(partial)
            # Between the look and the mkdir, the one who had this number may have published it.
            if not os.path.lexists(self._final(number)):
                return number

    def _publish(self) -> Path:
        """Rename the hidden folder; should somebody have made a folder of its number by hand, take the next one."""
        while True:
            final = self._final(self._number)
            try:
                # POSIX lets a rename replace an empty folder, so it must not be tried on one.
                if not os.path.lexists(final):
                    return self._folder.rename(final)
            except OSError as error:
                if error.errno not in _TAKEN or not os.path.lexists(final):
                    raise
            self._number = self._reserve()

    def _discard(self) -> None:
        self._unlock()
        for folder in self._reserved:
            shutil.rmtree(folder, ignore_errors=True)

    def _partial(self, number: int) -> Path:
        return self.parent / f".{number:04d}.partial"

    def _final(self, number: int) -> Path:
        return self.parent / f"{number:04d}"


def environment() -> dict[str, Any]:
    """Name what a run may depend on besides its settings: versions, machine, BLAS and its threads."""
    from mibun import __version__

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "mibun": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "threads": {name: os.environ[name] for name in _THREADS if name in os.environ},
    }


def _about(command: str, settings: Mapping[str, object]) -> dict[str, Any]:
    return {
        "format": "mibun run",
        "version": FORMAT_VERSION,
        "command": command,
        "settings": dict(settings),
        "environment": environment(),
    }


def _locked(path: Path) -> IO[bytes]:
    """Open a file that only one process has at a time; where the system knows no such locks, just open it."""
    file = path.open("ab")
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass
    except BlockingIOError:
        file.close()
        raise InputError(f"another process is training in {path.parent}; wait for its end, or end it") from None
    except OSError:  # a file system without locks
        pass
    return file


def _write(folder: Path, network: Network, texts: Mapping[str, str]) -> None:
    network.save(folder / "weights.npz")
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _flush(folder: Path) -> None:
    """Have the disk take the files of a folder: some file systems report only now that there is no room."""
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _number_of(path: Path) -> int:
    """Give the number in the name of a run, published or not; 0 for every other name."""
    digits = path.name.removeprefix(".").removesuffix(".partial")
    return int(digits) if len(digits) >= 4 and digits.isascii() and digits.isdigit() else 0


def _elsewhere() -> str:
    return str(Path(tempfile.gettempdir()) / "runs")
