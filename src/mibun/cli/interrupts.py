"""Ctrl-C, and what ends a program from outside, while something is learnt and while it is written down."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupts"]

Handler = Callable[[int, FrameType | None], Any] | int | None

#: A terminal and a program around this one (make, uv) may both pass on the same Ctrl-C; those within this time are one.
ONE_PRESS = 1.0


class Interrupts:
    """A context in which the first Ctrl-C ends the training, and only a second one gives up what was learnt.

    The first press raises KeyboardInterrupt, or only says what is going on once `hold` was called; a later one
    raises it in any case. SIGTERM and SIGHUP (a time limit, a scheduler, a closed terminal) count as presses. Where a
    signal is ignored or handled by somebody else already, that stays as it is.
    """

    def __init__(self) -> None:
        self._pressed: float | None = None
        self._holding = False
        self._replaced: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        ours = threading.current_thread() is threading.main_thread()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if ours and number and signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                self._replaced[number] = signal.signal(number, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._replaced.items():
            signal.signal(number, handler)

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
