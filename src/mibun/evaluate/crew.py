"""Who evaluates points: one protocol for processes, executors, clusters and services, and the choice among them."""

import operator
from concurrent.futures import Executor
from numbers import Integral
from typing import Any, Protocol

from mibun.errors import InputError
from mibun.evaluate.executors import CLOSED, Foreign, workers_of
from mibun.evaluate.here import Batch, Here
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.pool import Pool
from mibun.evaluate.shipping import Shipped

__all__ = ["Crew", "crew"]

EXPECTED = (
    "expected a number of processes (workers=4), an executor with submit() (concurrent.futures, loky, mpi4py), a Dask "
    "or ipyparallel Client, or a function from a list of points to their values"
)


class Crew(Protocol):
    """Whoever evaluates points; used from one thread."""

    size: int  #: points that it can work on at once

    def submit(self, ticket: int, f: Shipped, x: Any) -> None:
        """Have f evaluated at x; the ticket comes back with the outcome."""

    def arrived(self, seconds: float | None = None) -> list[tuple[int, Outcome]]:
        """Wait for at least one outcome, or for some seconds; nothing if no point is under way."""

    def cancel(self) -> None:
        """Forget all points; the workers stay usable."""

    def close(self) -> None:
        """Forget all points, and end the workers that belong to the crew."""


def crew(workers: Any = None, *, retries: int = 0, timeout: float | None = None) -> Crew:
    """Make the crew that `workers` means. Nothing is started before the first point.

    Parameters
    ----------
    workers
        None: this process, or one process of its own if there is a timeout. An int: so many processes of its own. A
        `concurrent.futures.Executor`, a Dask `Client` or an ipyparallel `Client`: used, and left open. A callable:
        ``batch(points) -> values``, called in this process with all points that wait.
    retries : int
        How often an exception in f is tried again that is no ArithmeticError and no ValueError.
    timeout : float, optional
        Most seconds for one call of f. A process of its own is ended then; executors are not waited for.

    Raises
    ------
    InputError
        If workers are none of these, or closed; if `retries` or `timeout` make no sense.

    Examples
    --------
    >>> from mibun.evaluate.crew import crew
    >>> type(crew(2)).__name__, type(crew(None, timeout=5)).__name__, type(crew(None)).__name__
    ('Pool', 'Pool', 'Here')
    """
    retries, timeout = _checked(retries, timeout)
    if workers is None:
        return Here(retries=retries) if timeout is None else Pool(1, retries=retries, timeout=timeout)
    if isinstance(workers, bool | type):
        raise _refused(workers)
    if isinstance(workers, Integral):
        count = operator.index(workers)
        if count < 1:
            raise InputError(
                f"workers={count}; expected 1 or more processes, or None for this one; "
                "for all cores write workers=os.cpu_count()"
            )
        return Pool(count, retries=retries, timeout=timeout)
    executor, size = _executor(workers)
    if executor is not None:
        return Foreign(executor, size, retries=retries, timeout=timeout)
    if not callable(workers) or _maps(workers):
        raise _refused(workers)
    if timeout is not None:
        raise InputError(
            "timeout with a callable in workers; it is called in this process, so it is to keep the time itself: "
            "leave timeout away"
        )
    return Batch(workers, retries=retries)


def _checked(retries: Any, timeout: Any) -> tuple[int, float | None]:
    """Check the numbers."""
    if isinstance(retries, bool) or not isinstance(retries, Integral) or operator.index(retries) < 0:
        raise InputError(f"retries={retries!r}; expected how often a failed point is tried again, as retries=2")
    if timeout is None:
        return operator.index(retries), None
    try:
        seconds = float(timeout) if not isinstance(timeout, bool | str) else -1.0
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise InputError(f"timeout={timeout!r}; expected the most seconds for a point, as timeout=60, or None")
    return operator.index(retries), seconds


def _executor(workers: Any) -> tuple[Executor | None, int]:
    """Find the executor in what was given, and how many points it works on at once."""
    if isinstance(workers, Executor):
        if getattr(workers, "_shutdown", False) is True or getattr(workers, "_shutdown_thread", False) is True:
            raise InputError(CLOSED)
        return workers, workers_of(workers)
    if hasattr(workers, "get_executor"):  # a Dask client
        if getattr(workers, "status", "running") == "closed":
            raise InputError("the Dask client in workers is closed; pass one that is open, as Client(address)")
        # with pure=True the same x would give the old value without a call of f, and noise would be found to be 0
        threads: dict[str, int] = workers.nthreads()
        return workers.get_executor(pure=False), max(1, sum(threads.values()))
    if _home(workers) == "ipyparallel" and callable(getattr(workers, "executor", None)):
        return workers.executor(), max(1, len(workers.ids))
    return None, 0


def _maps(workers: Any) -> bool:
    """Say whether a callable is one of those that map a function, as SciPy's `workers` takes them."""
    return getattr(workers, "__name__", "") in ("map", "imap", "starmap") or _home(workers) == "joblib"


def _home(workers: Any) -> str:
    """Give the package that something is from."""
    return type(workers).__module__.partition(".")[0]


def _refused(workers: Any) -> InputError:
    """Say what to pass instead."""
    kind = type(workers).__name__
    if workers is True:
        kind, instead = "True", "write how many processes: workers=2, or workers=os.cpu_count()"
    elif workers is False:
        kind, instead = "False", "write workers=None for none"
    elif isinstance(workers, float):
        kind, instead = repr(workers), "write a whole number of processes: workers=2"
    elif _home(workers) == "joblib":
        instead = "pass loky.get_reusable_executor(), or a number of processes: workers=4"
    elif _maps(workers):
        kind = f"the function {workers.__name__}"
        instead = "which loses all points when one fails; pass the executor itself, or a number of processes: workers=4"
    elif isinstance(workers, type):
        kind, instead = f"the class {workers.__name__}", f"make one: workers={workers.__name__}(...)"
    elif hasattr(workers, "get_client"):
        instead = "which is a cluster; pass a client of it: workers=Client(cluster)"
    elif hasattr(workers, "apply_async"):
        instead = "which waits for ever when a worker is killed; pass a number of processes: workers=4"
    elif isinstance(workers, str):
        kind, instead = repr(workers), "a text means nothing here; for Dask pass workers=Client(address)"
    else:
        instead = EXPECTED
    return InputError(f"workers is {kind}: {instead}")
