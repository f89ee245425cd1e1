"""Checkpoints: all that a training run needs to go on as if it had never stopped, in one file.

The file `checkpoint.npz` holds arrays (weights, the state of the rule, the losses) and a header in JSON (format,
version, what kind of run it is, position, states of the random generators). It is written beside its place, flushed to
the disk, and renamed: whenever the process is killed, there is a whole checkpoint, the new one or the one before. No
pickle.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.errors import FormatError, InputError
from mibun.learn.network import UNREADABLE

__all__ = ["FORMAT_VERSION", "Checkpoint", "Keeper", "Saved", "read"]

#: Version of the file.
FORMAT_VERSION = 1
NAME = "checkpoint.npz"
#: Share of the training time that checkpoints by the clock take at most: where writing is slow, they are fewer.
SHARE = 0.01


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often a training run is written down.

    Parameters
    ----------
    folder : path
        Made if it is missing. The file in it is `checkpoint.npz`.
    seconds
        Time between two checkpoints, above 0. Default: 30. Where writing one takes more than a hundredth of that, there
        are fewer, so that they cost at most 1 % of the time.
    steps
        Write after every so many steps instead, whatever it costs. Default: None.

    Raises
    ------
    InputError
        If an option is out of its range, or `folder` is no path.

    Examples
    --------
    >>> from mibun import learn
    >>> learn.Checkpoint("runs/mine", steps=1000)
    Checkpoint(folder='runs/mine', seconds=30.0, steps=1000)
    """

    folder: str | os.PathLike[str]
    seconds: float = 30.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.folder, (str, os.PathLike)):
            raise InputError(f"checkpoint is {self.folder!r}; expected a folder such as 'runs/mine'")
        known = isinstance(self.seconds, (int, float, np.number)) and not isinstance(self.seconds, bool)
        if not known or not 0 < self.seconds < float("inf"):
            raise InputError(f"seconds is {self.seconds!r}; expected a finite number above 0, such as 30")
        given = self.steps
        if given is not None and (isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1):
            raise InputError(f"steps is {given!r}; expected an integer above 0, or None")

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.folder) / NAME


class Saved(NamedTuple):
    """What a checkpoint holds: arrays by name, and values that JSON knows."""

    arrays: dict[str, NDArray[Any]]
    values: dict[str, Any]


class Keeper:
    """Writes the checkpoints of one run when they are due; a disk that refuses does not end the run."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.cost = 0.0  # seconds that the last one took
        self.kept: int | None = None  # the step of the last one that was written
        self._last = time.perf_counter()

    def prepare(self) -> None:
        """Make the folder, before anything is learnt.

        Raises
        ------
        InputError
            If that cannot be, or a checkpoint is there already.
        """
        path = self.checkpoint.path
        if path.exists():
            raise InputError(
                f"{path} is there already: give resume=True to go on from it, or another folder; it is not overwritten"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {path.parent} for checkpoints cannot be made: {_reason(error)}") from None

    def is_due(self, step: int) -> bool:
        """Say whether a checkpoint is to be written after `step` steps."""
        if self.checkpoint.steps is not None:
            return step % self.checkpoint.steps == 0
        return time.perf_counter() - self._last >= max(self.checkpoint.seconds, self.cost / SHARE)

    def write(self, step: int, saved: Saved) -> str | None:
        """Write one, and give the reason where that cannot be done: the one before is still there then."""
        started = time.perf_counter()
        try:
            write(self.checkpoint.path, saved)
            self.kept, trouble = step, None
        except OSError as error:
            trouble = _reason(error)
        self._last = time.perf_counter()
        self.cost = self._last - started
        return trouble


def write(path: Path, saved: Saved) -> None:
    """Replace the checkpoint at `path` as a whole; on an error it stays as it was."""
    header = {"format": "mibun checkpoint", "version": FORMAT_VERSION, **saved.values}
    # One name for all attempts of a run, so that a killed one leaves at most one file.
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, header=np.array(json.dumps(header)), **saved.arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if os.name != "nt":  # the new name must be on the disk, too; Windows opens no folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read(path: Path) -> Saved:
    """Read a checkpoint that `write` wrote.

    Raises
    ------
    FormatError
        If there is none, or it is damaged, of another kind or of a newer version.
    """
    if not path.is_file():
        raise FormatError(f"there is no checkpoint {path}; expected one that a training run wrote")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        values = json.loads(str(arrays.pop("header")))
        known, version = values.pop("format") == "mibun checkpoint", values.pop("version")
    except (AttributeError, *UNREADABLE) as error:
        raise FormatError(f"{path} is not a checkpoint that can be read ({error})") from None
    if not known:
        raise FormatError(f"{path} is not a checkpoint of a training run")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise FormatError(
            f"{path} has format version {version}; this mibun reads up to {FORMAT_VERSION}: install a newer mibun"
        )
    return Saved(arrays, values)


def _reason(error: OSError) -> str:
    return str(error.strerror or error)
