"""How far an evaluation is, in one line on stderr, for those who wait; nothing for those who need not.

On a terminal the line is written over and over, elsewhere a new one comes every ten seconds; what is done within two
seconds is not spoken of. There is no thread: whoever evaluates calls `update` when something arrived, or when it has
waited for a while. It gets numbers and knows nothing else.
"""

import math
import os
import sys
import time
import unicodedata
from collections.abc import Callable
from typing import Final, TextIO

__all__ = ["ProgressLine", "clock"]

#: Seconds of silence at the beginning; between two lines of a terminal, and of a file or a pipe.
SILENT, TERMINAL_EVERY, FILE_EVERY = 2.0, 0.1, 10.0
WIDTH: Final = 80
ERASE_REST: Final = "\x1b[K"


class ProgressLine:
    """One line about the points of a call: done/total, from the store, workers busy, failures, seconds left.

    Parameters
    ----------
    name : str
        What the line begins with; nothing if it is empty.
    stream : file, optional
        Where it goes. Default: stderr as it is at the start; without one nothing is written.
    now : callable
        Seconds, from any moment on.

    Examples
    --------
    >>> import io
    >>> from mibun.evaluate.progress import ProgressLine
    >>> seconds, stream = [0.0], io.StringIO()
    >>> line = ProgressLine("cost-v3", stream=stream, now=lambda: seconds[0])
    >>> line.start(53)
    >>> seconds[0] = 10.0
    >>> line.update(20, stored=10, busy=8, failed=1)
    >>> line.close()
    >>> print(stream.getvalue(), end="")
    cost-v3: 20/53 points, 10 from the store, 8 workers busy, 1 failed, 0:33 left
    """

    def __init__(
        self, name: str = "", *, stream: TextIO | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._prefix = f"{' '.join(name.split())}: " if name else ""
        self._given, self._now = stream, now
        self._stream: TextIO | None = None
        self._terminal = False
        self._open = False  # on a terminal: a line stands there that is not ended yet
        self._told: tuple[int, ...] = ()  # what the last line said
        self._due = math.inf
        self._began = 0.0
        self._numbers = (0, 0, 0, 0, 0)

    def start(self, total: int) -> None:
        """Begin with a number of points; more may turn out to be needed."""
        self._stream = self._given if self._given is not None else sys.stderr
        self._terminal = _is_terminal(self._stream)
        self._began = self._now()
        self._due = self._began + (SILENT if self._terminal else FILE_EVERY)
        self._open, self._told = False, ()
        self._numbers = (0, total, 0, 0, 0)

    def update(self, done: int, total: int | None = None, stored: int = 0, busy: int = 0, failed: int = 0) -> None:
        """Take the numbers as they are now, and write the line if it is time.

        Parameters
        ----------
        done : int
            Points that are finished, those from the store and those without an answer among them.
        total : int, optional
            If it is not what it was.
        stored : int
            Points that came from the store.
        busy : int
            Workers at work.
        failed : int
            Points without an answer: killed, timed out, raised.
        """
        self._numbers = done, self._numbers[1] if total is None else total, stored, busy, failed
        now = self._now()
        if now >= self._due:
            self._due = now + (TERMINAL_EVERY if self._terminal else FILE_EVERY)
            self._write(now)

    def close(self) -> None:
        """Write the last numbers if any line was written, and end the line on a terminal."""
        if self._told and self._told != self._numbers:
            self._write(self._now())
        if self._open:
            self._put("\n")
        self._due, self._open, self._told = math.inf, False, ()

    def _write(self, now: float) -> None:
        self._told = self._numbers
        line = self._prefix + _line(*self._numbers, now - self._began)
        if self._terminal:
            self._open = True
            # One that is as long as the terminal is wide would begin a new line each time.
            self._put(f"\r{_fitted(line, _columns(self._stream) - 1)}{ERASE_REST}")
        else:
            self._put(line + "\n")

    def _put(self, text: str) -> None:
        """Write; a reader that has gone away is no reason to end an evaluation."""
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None


def _line(done: int, total: int, stored: int, busy: int, failed: int, seconds: float) -> str:
    parts = [f"{done:,}/{max(total, done):,} points"]
    if stored:
        parts.append(f"{stored:,} from the store")
    if busy:
        parts.append(f"{busy:,} worker{'s' * (busy != 1)} busy")
    if failed:
        parts.append(f"{failed:,} failed")
    computed, ahead = done - stored, total - done
    if ahead > 0 and computed > 0:  # what comes from the store takes no time
        parts.append(f"{clock(seconds / computed * ahead)} left")
    elif ahead <= 0:
        parts.append(clock(seconds))
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """Write a time as ``0:07``, ``12:34`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether a line can be written over there."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") not in (None, "", "dumb")
    except (ValueError, OSError):  # it is closed
        return False


def _columns(stream: TextIO | None) -> int:
    try:
        return (os.get_terminal_size(stream.fileno()).columns if stream is not None else 0) or WIDTH
    except (OSError, ValueError):
        return WIDTH


def _fitted(line: str, columns: int) -> str:
    """Cut a line that is too long; the letters of some scripts take two columns."""
    taken = 0
    for place, letter in enumerate(line):
        taken += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if taken > columns:
            return line[:place]
    return line
