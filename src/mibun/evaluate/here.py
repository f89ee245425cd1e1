"""Points that are evaluated by a call in this process: one by one, or all that wait in one call."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from mibun.errors import InputError
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.shipping import Shipped, own, tried
from mibun.evaluate.task import Task

__all__ = ["Batch", "Here"]

#: Seconds of fast points that are given back together: little to lose by a kill, and much more than a transaction.
MOMENT: Final = 0.02


class Here:
    """Evaluates points in this process, one after the other.

    A call of `arrived` gives one point of an f that takes long, and many of one that is fast: they share a transaction
    of the store.

    Parameters
    ----------
    retries : int
        How often an exception that does not mean "outside the domain" is tried again.

    Examples
    --------
    >>> import math
    >>> from mibun.evaluate.here import Here
    >>> from mibun.evaluate.shipping import Shipped
    >>> crew = Here()
    >>> crew.submit(0, Shipped(math.exp), 0.0)
    >>> [(ticket, outcome)] = crew.arrived()
    >>> ticket, outcome.status, outcome.value
    (0, 'ok', 1.0)
    """

    size = 1

    def __init__(self, *, retries: int = 0) -> None:
        self.retries = retries
        self._waiting: deque[Task] = deque()
        self._done: list[tuple[int, Outcome]] = []

    def submit(self, ticket: int, f: Shipped, x: Any) -> None:
        """Have f evaluated at x."""
        self._waiting.append(Task(ticket, f, x))

    def arrived(self, seconds: float | None = None) -> list[tuple[int, Outcome]]:
        """Evaluate points for a moment, at least one; nothing if none waits. Without time: what was done before."""
        until = time.monotonic() + MOMENT
        while self._waiting and seconds != 0.0 and (not self._done or time.monotonic() < until):
            task = self._waiting.popleft()
            outcome = self._tried(task)
            while outcome.status == "raised" and task.again(outcome, self.retries):
                outcome = self._tried(task)
            self._done.append(task.ended(outcome._replace(value=own(outcome.value))))
        done, self._done = self._done, []
        return done

    def _tried(self, task: Task) -> Outcome:
        return tried(task.f.f, own(task.x) if self.retries else task.x, Exception)

    def cancel(self) -> None:
        """Forget all points."""
        self._waiting.clear()
        self._done.clear()

    def close(self) -> None:
        """Forget all points."""
        self.cancel()


class Batch:
    """Evaluates all points that wait by one call of a function of the user's: a queue, a remote service.

    An exception that means "outside the domain" is about one of the points, so the halves are tried, down to the point;
    any other is that of all points of the call, after the retries.

    Parameters
    ----------
    batch : callable
        From a list of points to their values, in the same order. It takes the place of f.
    retries : int
        How often another exception is tried again.

    Examples
    --------
    >>> import math
    >>> from mibun.evaluate.here import Batch
    >>> from mibun.evaluate.shipping import Shipped
    >>> crew = Batch(lambda points: [math.exp(point) for point in points])
    >>> crew.submit(0, Shipped(math.exp), 0.0)
    >>> crew.submit(1, Shipped(math.exp), 1.0)
    >>> [(ticket, round(outcome.value, 3)) for ticket, outcome in crew.arrived()]
    [(0, 1.0), (1, 2.718)]
    """

    size = 1  #: call at a time

    def __init__(self, batch: Callable[[list[Any]], Sequence[Any]], *, retries: int = 0) -> None:
        self.batch, self.retries = batch, retries
        self._waiting: list[Task] = []

    def submit(self, ticket: int, f: Shipped, x: Any) -> None:
        """Have a point evaluated by the next call."""
        self._waiting.append(Task(ticket, f, x))

    def arrived(self, seconds: float | None = None) -> list[tuple[int, Outcome]]:
        """Evaluate all points that wait.

        Raises
        ------
        InputError
            If there are not as many values as points.
        """
        if seconds == 0.0:
            return []
        tasks, self._waiting = self._waiting, []
        return self._evaluated(tasks) if tasks else []

    def _evaluated(self, tasks: list[Task]) -> list[tuple[int, Outcome]]:
        outcome = self._tried(tasks)
        if isinstance(outcome.error, ArithmeticError | ValueError) and len(tasks) > 1:
            half = len(tasks) // 2
            return self._evaluated(tasks[:half]) + self._evaluated(tasks[half:])
        while outcome.status == "raised" and _all_again(tasks, outcome, self.retries):
            outcome = self._tried(tasks)
        if outcome.status == "raised":
            return [task.ended(outcome) for task in tasks]
        share, values = outcome.seconds / len(tasks), _one_for_each(len(tasks), outcome.value)
        return [task.ended(Outcome("ok", own(value), seconds=share)) for task, value in zip(tasks, values, strict=True)]

    def _tried(self, tasks: list[Task]) -> Outcome:
        return tried(self.batch, [own(task.x) for task in tasks], Exception)

    def cancel(self) -> None:
        """Forget all points."""
        self._waiting.clear()

    def close(self) -> None:
        """Forget all points."""
        self._waiting.clear()


def _all_again(tasks: list[Task], outcome: Outcome, retries: int) -> bool:
    """Count one more try of every point; those of one call share their fate, but may have different pasts."""
    allowed = [task.again(outcome, retries) for task in tasks]
    return all(allowed)


def _one_for_each(count: int, values: Any) -> list[Any]:
    """Check what a batch gave."""
    listed = list(values) if hasattr(values, "__iter__") else None
    if listed is None or len(listed) != count:
        given = f"a {type(values).__name__}" if listed is None else f"{len(listed)} values"
        raise InputError(
            f"the callable in workers was given a list of {count} points and returned {given}; it is to return one "
            "value for each point, in the same order"
        )
    arrays = [id(value) for value in listed if isinstance(value, np.ndarray)]
    if len(set(arrays)) < len(arrays):
        raise InputError(
            "the callable in workers returned one and the same array for several points, so it holds the values of the "
            "last one; return a copy for each: [f(point).copy() for point in points]"
        )
    return listed
