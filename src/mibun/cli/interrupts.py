"""Ctrl-C while something is learnt, and while it is written down."""

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Self

__all__ = ["Interrupts"]

#: A terminal and a program around this one (make, uv) may both pass on the same Ctrl-C; those within this time are one.
ONE_PRESS = 1.0


class Interrupts:
    """A context in which the first Ctrl-C ends the training, and only a second one gives up what was learnt.

    The first press raises KeyboardInterrupt, or only says what is going on once `hold` was called; a later one
    raises it in any case. Where Ctrl-C is ignored or handled by somebody else already, that stays as it is.
    """

    def __init__(self) -> None:
        self._pressed: float | None = None
        self._holding = self._installed = False

    def __enter__(self) -> Self:
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._press)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def hold(self) -> None:
        """From now on, a first press does not interrupt: training is over, and what was learnt gets written."""
        self._holding = True

    def _press(self, number: int, frame: FrameType | None) -> None:
        first, now = self._pressed is None, time.monotonic()
        if self._pressed is None:
            self._pressed = now
        if first and self._holding:
            # A handler may run in the middle of a print, so it writes past Python's buffers.
            os.write(2, b"\nmibun: writing the run folder; press Ctrl-C again to give up\n")
        elif first or now - self._pressed > ONE_PRESS:
            raise KeyboardInterrupt
