"""The program of a worker process: `python -m mibun.evaluate.worker`, started by `process.py` and by nobody else.

It reads functions and points from its socket and answers each, until the socket ends: then the parent has closed it, or
is gone. Its first message says that it is ready.

The worker is a plain single thread, so that f may fork, and keeps nothing between the socket and f: standard output and
standard error are those of the parent, standard input is empty. It imports next to nothing before f does.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from mibun.evaluate.messages import Parts, opened
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.shipping import described, sealed, tried

__all__ = ["FUNCTION", "LOADED", "NOT_LOADED", "OUTCOME", "POINT", "READY", "main"]

FUNCTION, POINT = b"f", b"x"
READY, LOADED, NOT_LOADED, OUTCOME = b"r", b"l", b"n", b"o"
LENGTH: Final = 8
SHORT: Final = 1 << 16
#: PR_SET_PDEATHSIG of <linux/prctl.h>: the signal that a process gets when the thread that started it ends.
PARENT_DEATH_SIGNAL: Final = 1


class Pipe:
    """The side of the worker, which waits: `channel.py` is that of the parent."""

    def __init__(self, number: int) -> None:
        if sys.platform == "win32":
            import socket

            end = socket.fromshare(sys.stdin.buffer.read())
            self.reader, self.writer = end.makefile("rb"), end.makefile("wb", buffering=0)
            return
        os.set_inheritable(number, False)
        self.reader, self.writer = open(number, "rb"), open(number, "wb", 0, closefd=False)  # noqa: SIM115
        # a process that f forks must not hold the socket open when this one is dead, nor speak for it
        os.register_at_fork(after_in_child=self.close)

    def close(self) -> None:
        """Close both directions."""
        self.writer.close()
        self.reader.close()

    def receive(self) -> bytes:
        """Wait for a message; empty at the end."""
        size = self.reader.read(LENGTH)
        return self.reader.read(int.from_bytes(size, "little")) if len(size) == LENGTH else b""

    def send(self, *parts: bytes | memoryview) -> None:
        """Send a message, the parts one after the other."""
        size = sum(map(len, parts))
        parts = (size.to_bytes(LENGTH, "little"), *parts)
        for part in [b"".join(parts)] if size < SHORT else parts:
            rest = memoryview(part)
            while rest:
                rest = rest[self.writer.write(rest) :]


def settle(parent: int) -> None:
    """Make this process end with its parent and not by Ctrl-C, and show where it crashed."""
    # A function and not SIG_IGN, which programs that f starts would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    with contextlib.suppress(Exception):
        import faulthandler

        faulthandler.enable(file=2)
    if parent and sys.platform == "linux":
        with contextlib.suppress(Exception):
            import ctypes

            ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before that was said
            os._exit(0)


def load(message: bytes) -> Callable[[Any], Any]:
    """Go where the parent is, and open f there."""
    (folder, *paths), blob = opened(memoryview(message)[1:])
    sys.path[:] = paths
    with contextlib.suppress(OSError):
        os.chdir(folder)
    f: Callable[[Any], Any] = opened(blob)
    return f


def answer(f: Callable[[Any], Any], message: bytes) -> Parts:
    """Evaluate f at the point of a message."""
    try:
        x = opened(memoryview(message)[1:])
    except Exception as reason:  # noqa: BLE001 (it goes to the parent, which raises it)
        outcome = Outcome("raised", None, reason, described(reason))
    else:
        outcome = tried(f, x)
    for stream in (sys.stdout, sys.stderr):  # what f printed must not wait for the end, which may be sudden
        with contextlib.suppress(Exception):
            stream.flush()
    return sealed(outcome)


def serve(pipe: Pipe) -> None:
    """Answer until there is nothing left to answer, or f cannot be had."""
    pipe.send(READY)
    f: Callable[[Any], Any] | None = None
    while message := pipe.receive():
        if message[:1] == POINT and f is not None:
            pipe.send(OUTCOME, *answer(f, message))
            continue
        try:
            f = load(message)
        except Exception as reason:  # noqa: BLE001 (it goes to the parent, which raises it)
            pipe.send(NOT_LOADED, described(reason).encode(errors="replace"))
            return
        pipe.send(LOADED)


def main(number: str, parent: str, path: str | None = None) -> None:
    """Set this process up, and serve."""
    # that of the parent was replaced, so that this module could be found: programs that f starts get theirs
    os.environ.pop("PYTHONPATH", None)
    if path is not None:
        os.environ["PYTHONPATH"] = path
    pipe = Pipe(int(number))
    settle(int(parent))
    try:
        serve(pipe)
    except (OSError, ValueError):  # the parent is gone; or f forked, and this is the copy, without a socket
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
