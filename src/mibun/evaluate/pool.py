"""Processes of our own: one pipe each, one point at a time, so that a worker that dies names its point.

A worker is started when a point finds none idle, and replaced when it dies: the point that it had is sent again, and
given up when it has ended two workers. A point that takes too long costs its worker, too. `multiprocessing.Pool` waits
for ever when a worker is killed, and `concurrent.futures.ProcessPoolExecutor` gives up all points that wait and cannot
say which one it was; that is why this pool exists.

No point is sent ahead to a worker that is busy: a slow one would hold it up while others idle, and if the worker died,
either could have done it. The price is one way through the pipe for every point (`benchmarks/evaluate.py`).
"""

import math
import os
import selectors
import sys
import time
import weakref
from collections import deque
from typing import Any, Final

from mibun.errors import InputError, WorkerError
from mibun.evaluate import worker as says
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.process import Process, dismiss, share_of_cores
from mibun.evaluate.shipping import Shipped, unsealed
from mibun.evaluate.task import KILLS, Task, late

__all__ = ["Pool"]

#: Seconds after which a worker that says nothing is looked at, in case that its end was not seen.
LOOK: Final = 1.0
#: Workers in succession that end before they are ready, after which no more are started.
FAILED_STARTS: Final = 10


class Pool:
    """Evaluates points in processes of its own, started as they are needed and kept until it is closed.

    It is used from one thread. A pool that is forgotten is closed when it is collected, or when Python ends.

    Parameters
    ----------
    size : int
        Most processes.
    retries : int
        How often an exception that does not mean "outside the domain" is tried again.
    timeout : float, optional
        Most seconds for one point, without the time that f takes to load.

    Examples
    --------
    >>> import math
    >>> from mibun.evaluate.pool import Pool
    >>> from mibun.evaluate.shipping import Shipped
    >>> pool, f = Pool(1), Shipped(math.exp)
    >>> pool.submit(0, f, 0.0)
    >>> [(ticket, outcome)] = pool.arrived()
    >>> ticket, outcome.status, outcome.value
    (0, 'ok', 1.0)
    >>> pool.close()
    """

    def __init__(self, size: int, *, retries: int = 0, timeout: float | None = None) -> None:
        self.size, self.retries, self.timeout = size, retries, timeout
        self.threads = share_of_cores(size)
        self._waiting: deque[Task] = deque()
        self._done: list[tuple[int, Outcome]] = []
        self._failed_starts = 0
        self._open()

    def _open(self) -> None:
        self._owner = os.getpid()
        self._processes: list[Process] = []
        self._idle: list[Process] = []
        self._selector = selectors.DefaultSelector()
        self._end = weakref.finalize(self, dismiss, self._processes, self._owner)

    def submit(self, ticket: int, f: Shipped, x: Any) -> None:
        """Have f evaluated at x.

        Raises
        ------
        InputError
            If f or x cannot be sent to another process.
        MissingDependency
            If cloudpickle is not installed.
        WorkerError
            If no process can be started.
        """
        if self._owner != os.getpid():  # this is a fork of the process that has the workers
            self._end.detach()
            self._open()
        self._waiting.append(Task(ticket, f, x))
        self._dispatch()

    def arrived(self, seconds: float | None = None) -> list[tuple[int, Outcome]]:
        """Wait for at least one outcome, or for some seconds; nothing if no point is under way.

        Raises
        ------
        InputError
            If a worker cannot load f.
        WorkerError
            If workers cannot be started.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while not self._done and (self._waiting or len(self._idle) < len(self._processes)):
            events = self._selector.select(self._patience(until))
            for key, _ in events:
                self._serve(key.data)
            if self.timeout is not None or not events:
                self._look()
            self._dispatch()
            if until is not None and time.monotonic() >= until:
                break
        done, self._done = self._done, []
        return done

    def cancel(self) -> None:
        """Forget all points. Workers that are at one are ended, the others stay."""
        self._drop()
        self._done.clear()

    def _drop(self) -> None:
        """Forget the points that have no outcome."""
        self._waiting.clear()
        for process in [process for process in self._processes if process.task is not None]:
            self._remove(process)

    def close(self) -> None:
        """End all workers; the next point starts new ones."""
        self._waiting.clear()
        self._done.clear()
        self._selector.close()
        self._end()
        self._open()

    def _dispatch(self) -> None:
        """Give waiting points to idle workers, and start workers while there are too few."""
        while self._waiting and (self._idle or len(self._processes) < self.size):
            try:
                process = self._idle[-1] if self._idle else self._started()
                process.begin(self._waiting.popleft())
            except Exception:
                self._drop()
                raise
            self._idle.pop()
            self._watch(process)

    def _started(self) -> Process:
        """Start a worker, which is idle."""
        process = Process(self.threads)
        self._processes.append(process)
        self._idle.append(process)
        self._selector.register(process.channel, selectors.EVENT_READ, process)
        return process

    def _watch(self, process: Process) -> None:
        """Wait until the socket takes more, if something is left to be sent."""
        if process.channel.stuck is not process.watched:
            process.watched = process.channel.stuck
            writing = selectors.EVENT_WRITE if process.watched else 0
            self._selector.modify(process.channel, selectors.EVENT_READ | writing, process)

    def _patience(self, until: float | None) -> float:
        """Give the seconds to wait for a message: until the next thing that is to be looked at."""
        if self.timeout is None and until is None:
            return LOOK
        now = time.monotonic()
        ends = [process.until(self.timeout) for process in self._processes] if self.timeout is not None else []
        return max(0.0, min(now + LOOK, until or math.inf, *ends) - now)

    def _serve(self, process: Process) -> None:
        """Take what a worker sent, and send what it now takes."""
        if process.watched:
            process.channel.flush()
        for message in process.channel.pull():
            self._answer(process, message)
        if process.channel.ended:
            self._died(process)
        elif process.watched and process in self._processes:
            self._watch(process)

    def _answer(self, process: Process, message: memoryview) -> None:
        """Read one message of a worker."""
        kind, task = bytes(message[:1]), process.task
        if kind == says.READY:
            process.ready, self._failed_starts = True, 0
        elif kind == says.LOADED:
            process.loading = False
        if task is None:
            return
        task.since = time.monotonic()
        if kind == says.NOT_LOADED:
            self._drop()
            reason = bytes(message[1:]).decode(errors="replace")
            raise InputError(
                f"a worker cannot load f: {reason}; f and what it uses must come from the main script or notebook, or "
                "from modules that another Python process finds on the same sys.path"
            )
        if kind == says.OUTCOME:
            process.task = None
            self._idle.append(process)
            self._ended(task, unsealed(message[1:]), process)

    def _ended(self, task: Task, outcome: Outcome, process: Process) -> None:
        """Keep an outcome, or try the point again."""
        if outcome.status == "raised" and task.again(outcome, self.retries):
            self._waiting.appendleft(task)
        else:
            self._done.append(task.ended(outcome, process.name))

    def _look(self) -> None:
        """End workers that are too late, and find those that ended without a word."""
        now = time.monotonic()
        for process in [process for process in self._processes if process.task is not None]:
            task = process.task
            assert task is not None  # noqa: S101 (chosen above)
            if self.timeout is not None and now >= process.until(self.timeout):
                self._remove(process)
                self._ended(task, late(self.timeout, process.name), process)
            elif now - task.since > LOOK and process.popen.poll() is not None:
                self._died(process)

    def _died(self, process: Process) -> None:
        """Bury a worker; its point is sent again, or given up."""
        task, how = process.task, self._remove(process)
        if not process.ready:
            self._failed_starts += 1
        elif task is not None:
            task.kills += 1
        if self._failed_starts == FAILED_STARTS:
            self._failed_starts = 0
            self._drop()
            raise WorkerError(
                f"workers end before they are ready, the last by {how}; what they say stands on standard error. "
                f"Try: {sys.executable} -m mibun.evaluate.worker"
            )
        if task is None:
            return
        if task.kills < KILLS:
            self._waiting.appendleft(task)
        else:
            text = f"it ended {task.kills} workers, the last by {how}"
            self._ended(task, Outcome("killed", text=text), process)

    def _remove(self, process: Process) -> str:
        """End a worker, and say how it ended."""
        self._selector.unregister(process.channel)
        self._processes.remove(process)
        if process in self._idle:
            self._idle.remove(process)
        return process.kill()
