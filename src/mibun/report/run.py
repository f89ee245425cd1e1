"""The run folder: what a training run leaves on disk, numbered, never half-written, never overwritten.

::

    runs/0001/report.html     curves, costs and mistakes, to open in a browser
              history.json    `History.to_dict`
              weights.npz     `Network.save`
              settings.json   the command that repeats the run, its settings, versions and machine

While a run lasts, its files stand in a hidden folder beside the others, `runs/.0001.partial`. Making that folder
takes the number, for `mkdir` succeeds for one process only; renaming it to `0001` publishes the run as a whole.
A run that is killed leaves the hidden folder behind: it holds its number, does no harm, and can be deleted.
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
from typing import Any, Self

import numpy as np

from mibun.errors import InputError
from mibun.learn import History, Network

__all__ = ["FORMAT_VERSION", "Kept", "RunFolder", "environment"]

#: Version of the layout of a run folder and of its settings.json.
FORMAT_VERSION = 1

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

    Raises
    ------
    InputError
        On entering, if the folder cannot be made or written to.

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

    def __init__(self, parent: str | os.PathLike[str], network: Network) -> None:
        self.parent = Path(parent)
        self._network = network
        self._reserved: list[Path] = []
        self._learnt = self._kept = False
        self._trouble: str | None = None

    def __enter__(self) -> Self:
        try:
            self.parent.mkdir(parents=True, exist_ok=True)
            self._number = self._reserve()
            self._folder = self._partial(self._number)
            self._network.save(self._folder / "weights.npz")
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
        else:
            self._discard()

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
        about = {
            "format": "mibun run",
            "version": FORMAT_VERSION,
            "command": command,
            "settings": dict(settings),
            "environment": environment(),
        }
        texts = {"history.json": _json(history.to_dict()), "settings.json": _json(about)}
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
