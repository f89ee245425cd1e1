"""Somebody else's workers: any `concurrent.futures.Executor`.

What is submitted catches whatever f raises, so an exception of a future is always about the executor: a worker died, or
the work was lost. All points that were in flight then are run again, one by one, each alone: the one that breaks the
executor again is given up, and the others are not blamed. An executor that takes no more work after a break (those of
the standard library and of loky) leaves its points as killed.

A process of somebody else cannot be ended. With a timeout, a point that takes too long is given up and not waited for,
and the worker that is still at it is not counted on: no more points are submitted than there are free workers, so that
the time of a point does not begin in a queue.
"""

import contextlib
import os
import time
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final

from mibun.errors import InputError, MibunError
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.shipping import Report, Shipped, described, own, perform
from mibun.evaluate.task import KILLS, Task, late

__all__ = ["CLOSED", "Foreign", "workers_of"]

CLOSED: Final = "the executor in workers is closed; pass one that is open, or a number of processes, as workers=4"
#: Seconds of one wait: on Windows nothing else lets Ctrl-C through.
SLICE: Final = 1.0


class Foreign:
    """Evaluates points by an executor that belongs to somebody else, and is not closed here.

    Parameters
    ----------
    executor : concurrent.futures.Executor
    size : int
        How many points it works on at once; with a timeout no more are submitted.
    retries : int
        How often an exception that does not mean "outside the domain" is tried again.
    timeout : float, optional
        Most seconds for one point.

    Examples
    --------
    >>> import math
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from mibun.evaluate.executors import Foreign
    >>> from mibun.evaluate.shipping import Shipped
    >>> with ThreadPoolExecutor(2) as executor:
    ...     crew = Foreign(executor, 2)
    ...     crew.submit(0, Shipped(math.exp), 0.0)
    ...     [(ticket, outcome)] = crew.arrived()
    >>> ticket, outcome.status, outcome.value
    (0, 'ok', 1.0)
    """

    def __init__(self, executor: Executor, size: int, *, retries: int = 0, timeout: float | None = None) -> None:
        self.executor, self.size, self.retries, self.timeout = executor, size, retries, timeout
        self._forget()

    def _forget(self) -> None:
        self._waiting: deque[Task] = deque()
        self._suspects: deque[Task] = deque()  #: were in flight at a break: each is run alone
        self._flying: dict[Task, Future[Report]] = {}
        self._late: set[Future[Report]] = set()  #: given up, but perhaps still at work
        self._landed: SimpleQueue[tuple[Task, Future[Report]]] = SimpleQueue()
        self._done: list[tuple[int, Outcome]] = []
        self._blocked: float | None = None  #: since when all workers are at points that were given up
        self._alone = False

    def submit(self, ticket: int, f: Shipped, x: Any) -> None:
        """Have f evaluated at x.

        Raises
        ------
        InputError
            If the executor is closed.
        """
        self._waiting.append(Task(ticket, f, x))
        self._launch()

    def arrived(self, seconds: float | None = None) -> list[tuple[int, Outcome]]:
        """Wait for at least one outcome, or for some seconds; nothing if no point is under way.

        Raises
        ------
        InputError
            If f cannot be sent, or the executor was closed.
        MissingDependency
            If f is to be sent to another process and cloudpickle is not installed.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while not self._done and (self._flying or self._waiting or self._suspects):
            with contextlib.suppress(Empty):
                self._land(*self._landed.get(timeout=self._patience(until)))
                while True:
                    self._land(*self._landed.get_nowait())
            self._give_up_late()
            self._launch()
            if until is not None and time.monotonic() >= until:
                break
        done, self._done = self._done, []
        return done

    def cancel(self) -> None:
        """Forget all points; those that were begun are not waited for."""
        for future in self._flying.values():
            future.cancel()
        late = self._late
        self._forget()
        self._late = late

    def close(self) -> None:
        """Forget all points. The executor stays open."""
        self.cancel()

    def _room(self) -> bool:
        """Say whether one more point may be submitted."""
        if self._alone or self._suspects:
            return not self._flying
        return self.timeout is None or len(self._flying) + len(self._late) < self.size

    def _launch(self) -> None:
        """Submit what may be submitted."""
        self._late = {future for future in self._late if not future.done()}
        while (self._suspects or self._waiting) and self._room():
            self._alone = bool(self._suspects)
            task = (self._suspects or self._waiting).popleft()
            x = own(task.x) if self.retries else task.x  # a thread may write to it, and raise then
            try:
                future: Future[Report] = self.executor.submit(perform, task.f, x)
            except BrokenExecutor as reason:
                self._broken(task, reason)
            except RuntimeError as reason:
                self.cancel()
                raise InputError(f"{CLOSED} ({reason})") from reason
            else:
                task.since = time.monotonic()
                self._flying[task] = future
                future.add_done_callback(partial(_landed, self._landed, task))

    def _land(self, task: Task, future: "Future[Report]") -> None:
        """Take what an executor gives for a point."""
        if self._flying.pop(task, None) is None:  # it was given up
            return
        try:
            outcome = future.result().outcome
        except MibunError:  # it was never sent
            self.cancel()
            raise
        except Exception as reason:  # noqa: BLE001 (whatever it is, it is about the executor)
            self._lost(task, reason)
            return
        if outcome.status == "raised" and task.again(outcome, self.retries):
            self._waiting.appendleft(task)
        else:
            self._done.append(task.ended(outcome))

    def _lost(self, task: Task, reason: Exception) -> None:
        """Run a point again, alone, or give it up.

        Dask has tried it on several workers when it says so, but not alone: its KilledWorker names innocent ones, too.
        """
        task.kills += 1
        if task.kills < KILLS:
            self._suspects.append(task)
            return
        self._done.append(task.ended(Outcome("killed", text=f"the executor lost it: {described(reason)}")))

    def _broken(self, task: Task, reason: Exception) -> None:
        """Give up what the executor does not take any more."""
        text = (
            f"the executor takes no more points ({described(reason)}); pass a number of processes, as workers=4: "
            "those are replaced when they die"
        )
        for lost in (task, *self._suspects, *self._waiting):
            self._done.append(lost.ended(Outcome("killed", text=text)))
        self._suspects.clear()
        self._waiting.clear()

    def _give_up_late(self) -> None:
        """Give up points that take too long, and those for which no worker is left."""
        if self.timeout is None:
            return
        now, first = time.monotonic(), next(iter(self._flying), None)
        while first is not None and now >= first.since + self.timeout:
            future = self._flying.pop(first)
            if not future.cancel():
                self._late.add(future)
            self._done.append(first.ended(late(self.timeout, more=", and not waited for")))
            first = next(iter(self._flying), None)
        if self._flying or self._room():
            self._blocked = None
        elif self._blocked is None:
            self._blocked = now
        elif now >= self._blocked + self.timeout:
            more = ": all workers are still at points that were given up"
            self._done += [task.ended(late(self.timeout, more=more)) for task in self._waiting]
            self._waiting.clear()

    def _patience(self, until: float | None) -> float:
        """Give the seconds to wait: until the next thing that is to be looked at."""
        now = time.monotonic()
        ends = [now + SLICE, *([] if until is None else [until])]
        if self.timeout is not None:
            first = next(iter(self._flying), None)
            begun = self._blocked if first is None else first.since
            ends += [] if begun is None else [begun + self.timeout]
        return max(0.0, min(ends) - now)


def _landed(box: "SimpleQueue[tuple[Task, Future[Report]]]", task: Task, future: "Future[Report]") -> None:
    """Say, from whatever thread, that a future is done; to the box of its time, which may have been forgotten."""
    box.put((task, future))


def workers_of(executor: Executor) -> int:
    """Give the number of points that an executor works on at once; of one that does not say, that of the cores here."""
    for name in ("_max_workers", "num_workers"):
        count = getattr(executor, name, None)
        if isinstance(count, int) and count > 0:
            return count
    return os.cpu_count() or 1
