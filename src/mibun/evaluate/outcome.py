"""What became of one point."""

from typing import Any, NamedTuple

__all__ = ["Outcome"]


class Outcome(NamedTuple):
    """What became of one point (or of one chunk of points, for a vectorized f)."""

    status: str  #: "ok", "raised", "killed", "timeout"
    value: Any = None  #: what f returned
    error: BaseException | None = None  #: what f raised, with the remote traceback as a note
    text: str = ""  #: for a message: the exit code or signal, the seconds of a timeout, type and text of an exception
    seconds: float = 0.0  #: that f took
    worker: str = ""  #: which worker
    kills: int = 0  #: workers that this point killed
    retries: int = 0  #: times it was tried again after an exception
