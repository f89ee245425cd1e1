"""Ctrl-C, and what ends a program from outside, while something is learnt and while it is written down.

A signal may come in the middle of an update, and what is left then is no state to go on from. So the first one only
asks for the end, which comes after the step; a step that takes too long is cut off.
"""

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
#: Seconds that a step may go on after the first press (where the system has timers: not on Windows).
GRACE = 3.0


class Interrupts:
    """A context in which the first Ctrl-C ends the training, and what was learnt is given up only on a warning.

    Until `hold` is called, the first press lets `check` raise KeyboardInterrupt, which is for the end of each step; a
    second press, or a step of more than three seconds, raises it at once. From then on, a first press says what is
    going on, and a later one raises. SIGTERM and SIGHUP (a time limit, a scheduler, a closed terminal) count as
    presses. Where a signal is ignored or handled by somebody else already, that stays as it is.
    """

    def __init__(self) -> None:
        self._pressed: float | None = None
        self._asked = self._holding = self._warned = False
        self._replaced: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        handlers = dict.fromkeys(("SIGINT", "SIGTERM", "SIGHUP"), self._press) | {"SIGALRM": self._overdue}
        ours = threading.current_thread() is threading.main_thread()
        for name, handler in handlers.items():
            number = getattr(signal, name, None)  # Windows has neither SIGHUP nor SIGALRM
            if ours and number and signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                self._replaced[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._set_timer(0.0)
        for number, handler in self._replaced.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt if the end was asked for: to be called where a run can be taken up again."""
        if self._asked:
            self.hold()
            raise KeyboardInterrupt

    def hold(self) -> None:
        """From now on, a first press does not interrupt: training is over, and what was learnt gets written."""
        self._set_timer(0.0)
        self._asked, self._holding = False, True

    def _press(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._pressed is not None and now - self._pressed <= ONE_PRESS:
            return
        self._pressed = now
        if self._asked:
            self.check()
        elif not self._holding:
            self._asked = True
            self._set_timer(GRACE)
        elif not self._warned:
            self._warned = True
            # A handler may run in the middle of a print, so it writes past Python's buffers.
            os.write(2, b"\nmibun: writing the run folder; press Ctrl-C again to give up\n")
        else:
            raise KeyboardInterrupt

    def _overdue(self, number: int, frame: FrameType | None) -> None:
        self.check()

    def _set_timer(self, seconds: float) -> None:
        # Not a thread: one that is started in a handler waits for locks that the interrupted code may hold.
        if getattr(signal, "SIGALRM", None) in self._replaced:
            signal.setitimer(signal.ITIMER_REAL, seconds)
