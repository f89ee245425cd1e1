"""One worker process, from the side of the parent: how it is started, spoken to, and ended.

It has a session of its own (POSIX), so that Ctrl-C does not reach it, nor the programs that f starts, and so that these
end with it when it is killed. The libraries for linear algebra get their share of the cores before they are loaded. On
Windows the socket is handed over through standard input; that way is written by the book and not tested.
"""

import contextlib
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import mibun
from mibun.errors import WorkerError
from mibun.evaluate import worker
from mibun.evaluate.channel import Channel
from mibun.evaluate.messages import packed
from mibun.evaluate.shipping import Shipped
from mibun.evaluate.task import Task

#: Seconds that starting Python and loading f may take beyond the timeout of a point: f may import large packages.
LOADING: Final = 60.0

__all__ = ["Process", "dismiss", "ending", "share_of_cores"]

#: What tells the usual libraries how many threads to use.
THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
#: What a signal may mean to someone who did not send it.
HINTS: Final = {"SIGKILL": " (often: out of memory)", "SIGSEGV": " (a crash in compiled code)"}


class Process:
    """A worker process and what it is at.

    Parameters
    ----------
    threads : int
        That the libraries for linear algebra may use in it.
    """

    def __init__(self, threads: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self.popen = _start(theirs, threads)
            except OSError as reason:
                ours.close()
                raise WorkerError(f"a worker process cannot be started: {reason}") from reason
        self.channel = Channel(ours)
        self.name = f"process {self.popen.pid}"
        self.ready = False
        self.task: Task | None = None
        self.watched = False  #: for its socket to take more
        self.loading = False  #: f is on its way to it
        self._sent: Shipped | None = None

    def begin(self, task: Task) -> None:
        """Send a point, and before it f, unless it has that."""
        message, known = packed(task.x), self._knows(task.f)
        # Before anything is sent: if Ctrl-C comes in between, what is in the socket is not to be trusted.
        self.task, task.since = task, time.monotonic()
        if not known:
            self.loading = True
            self.channel.push(worker.FUNCTION, pickle.dumps((task.f.place, task.f.blob), protocol=5))
        self._sent = task.f
        self.channel.push(worker.POINT, *message)

    def _knows(self, f: Shipped) -> bool:
        """Say whether a function is the one that was sent last."""
        last = self._sent
        return f is last or (last is not None and (f.token, f.place) == (last.token, last.place))

    def until(self, timeout: float) -> float:
        """Give the time at which the point at work is too late."""
        if self.task is None:
            return math.inf
        return self.task.since + timeout + (LOADING if self.loading or not self.ready else 0.0)

    def kill(self) -> str:
        """End the process and the programs that it started; say how it ended."""
        if hasattr(os, "killpg") and self.popen.returncode is None:
            # Before it is waited for, so that its number is still its own. How a process ends is settled before its
            # socket closes, so one that ended by itself is not changed by this.
            with contextlib.suppress(OSError):
                os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.kill()
        self.channel.close()
        return ending(self.popen.wait())

    def leave(self) -> None:
        """Let an idle process end by itself; `kill` it later, if it does not."""
        self.channel.close()


def _start(end: socket.socket, threads: int) -> "subprocess.Popen[bytes]":
    """Start the program of a worker with one end of a socket pair."""
    here = os.environ.get("PYTHONPATH")
    # the signal at the end of the parent comes at that of the thread which started the worker: only the main one lasts
    parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
    command = [sys.executable, "-P", *["-O"] * sys.flags.optimize, "-m", "mibun.evaluate.worker"]
    command += [str(end.fileno()), str(parent), *([] if here is None else [here])]
    environment = os.environ | {"PYTHONPATH": str(Path(mibun.__file__).parents[1])}
    for name in THREADS:
        asked = environment.get(name, "")
        environment[name] = str(min(int(asked), threads) if asked.isdecimal() and int(asked) else threads)
    if sys.platform == "win32":
        new_group = subprocess.CREATE_NEW_PROCESS_GROUP
        popen = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, creationflags=new_group)  # noqa: S603
        assert popen.stdin is not None  # noqa: S101 (asked for above)
        popen.stdin.write(end.share(popen.pid))
        popen.stdin.close()
        return popen
    return subprocess.Popen(  # noqa: S603 (this Python, and a module of ours)
        command, stdin=subprocess.DEVNULL, env=environment, pass_fds=(end.fileno(),), start_new_session=True
    )


def ending(code: int) -> str:
    """Write how a process ended.

    Examples
    --------
    >>> from mibun.evaluate.process import ending
    >>> ending(3), ending(-9)
    ('exit code 3', 'signal SIGKILL (often: out of memory)')
    """
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return f"signal {name}{HINTS.get(name, '')}"


def share_of_cores(workers: int) -> int:
    """Give the threads of each of so many processes, on the cores that this one may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)


def dismiss(processes: "list[Process]", owner: int, patience: float = 2.0) -> None:
    """End all processes: idle ones by themselves within some seconds, busy ones at once."""
    if os.getpid() != owner:  # a copy of the parent that was forked has no say
        return
    for process in processes:
        if process.task is None:
            process.leave()
    until = time.monotonic() + patience
    for process in processes:
        if process.task is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(max(0.0, until - time.monotonic()))
        if process.popen.returncode is None:
            process.kill()
    processes.clear()
