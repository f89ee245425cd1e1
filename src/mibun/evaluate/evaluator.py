"""Who evaluates f, how often it is tried, where the values are kept, and what is told meanwhile: `Evaluator`."""

from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

from mibun.errors import InputError
from mibun.evaluate.crew import Crew, crew
from mibun.evaluate.here import Batch
from mibun.evaluate.session import Counts, Session

__all__ = ["Counts", "Evaluator"]

ON_ERROR: Final = ("raise", "status")
#: From `Session` up to the caller of a verb.
STACK: Final = 5


class Evaluator:
    """Evaluates f for many calls, one at a time: by workers, with a store, with retries and a time limit.

    Parameters
    ----------
    workers
        Who evaluates f. None: this process. An int: so many processes, one point each at a time, started at the first
        point; f travels by cloudpickle, so lambdas and functions of a notebook can be sent. Or a
        `concurrent.futures.Executor` (threads, loky, mpi4py), a Dask ``Client``, an ipyparallel ``Client``: used, and
        left open. Or a callable ``batch(points) -> values`` that takes the place of f: a queue, a remote service.
    store : path-like, optional
        An SQLite file, made if it is not there. A value is on disk before it is used, and what is there is not
        evaluated again, whatever happens in between: a kill costs the points under way. Needs `name`.
    name : str, optional
        Of what f computes, in the store; another one for every version of f.
    retries : int
        How often an exception in f is tried again. ArithmeticError and ValueError mean that a point is outside the
        domain of f, and are not.
    timeout : float, optional
        Most seconds for a call of f. The process is ended then; with workers=None there is one process for that.
        Executors of others cannot end a call: the point fails, and its worker stays busy with it.
    progress : bool, optional
        Tell on stderr how far it is, from two seconds on. Default: yes, if there are workers or a store.
    on_error : "raise" or "status"
        What other exceptions in f do: they are raised, or the element fails and the others go on.

    Attributes
    ----------
    counts : Counts
        Calls that were made, retries, points from the store, kills, failures.

    Raises
    ------
    InputError
        If an option makes no sense: the message says what to write instead. By a verb: if another call of a verb, in
        another thread or around this one, has the evaluator.
    FormatError, StoreError
        When the store is first used: it is no store, damaged or newer, or cannot be written.

    Notes
    -----
    A point that ends two workers (a crash, too much memory) is `failed`, with the exit code in the note, and so is one
    that takes too long; the rest goes on. At x itself both are raised as `WorkerError`.

    Each element goes on as its own values arrive, and finds the same to the bit in every order of arrival. A vectorized
    f gets its points round by round, in as many stacks as there are workers: there the bits are the same for the same
    number of workers.

    With a store, a repeated call gives the same to the bit without calling f, but for points that failed: they are
    tried again. A noisy f that is evaluated again at one point has a row for each time.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import mibun as mb
    >>> def cost(x):
    ...     return np.sum(np.sin(x))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with mb.Evaluator(store=f"{folder}/plant.db", name="cost-v1", progress=False) as evaluator:
    ...         first = mb.gradient(cost, [0.5, 1.0], evaluator=evaluator)
    ...         calls = evaluator.counts.calls
    ...         again = mb.gradient(cost, [0.5, 1.0], evaluator=evaluator)
    ...     evaluator.counts.calls == calls == first.evaluations, bool(np.all(again.value == first.value))
    (True, True)
    >>> bool(np.all(abs(first.value - np.cos([0.5, 1.0])) <= first.error))
    True
    """

    def __init__(
        self,
        workers: Any = None,
        store: Any = None,
        name: str | None = None,
        retries: int = 0,
        timeout: float | None = None,
        progress: bool | None = None,
        on_error: str = "raise",
    ) -> None:
        if on_error not in ON_ERROR:
            raise InputError(f'on_error={on_error!r}; expected "raise" or "status"')
        if progress is not None and not isinstance(progress, bool):
            raise InputError(f"progress={progress!r}; expected True, False or None")
        if store is None and name is not None:
            raise InputError(f"name={name!r} without a store; write store='plant.db' or the like, or no name")
        self._crew: Crew = crew(workers, retries=retries, timeout=timeout)
        self._store: Any = None
        self._keeps: Any = None
        if store is not None:
            from mibun.evaluate.store import checked_name, store_path

            self._keeps = store_path(store), checked_name(name, store)
        self._patient = on_error == "status"
        used = workers is not None or store is not None or timeout is not None
        self._progress = used if progress is None else progress
        #: Whether it does nothing that calling f does not do.
        self.plain = not (used or self._progress or retries or self._patient)
        self._given = {
            "workers": workers,
            "store": store,
            "name": name,
            "retries": retries,
            "timeout": timeout,
            "progress": progress,
            "on_error": on_error,
        }
        self.counts = Counts()
        self._taken = Lock()

    def __repr__(self) -> str:
        defaults = {"retries": 0, "on_error": "raise"}
        told = [f"{key}={value!r}" for key, value in self._given.items() if value != defaults.get(key)]
        return f"Evaluator({', '.join(told)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes and close the store. Executors of others stay open; the next use starts all anew.

        Raises
        ------
        InputError
            If a call in another thread has the evaluator.
        """
        if not self._taken.acquire(blocking=False):
            raise InputError("the evaluator is at work for a call in another thread; close it when that has ended")
        try:
            self._crew.close()
            if self._store is not None:
                self._store.close()
                self._store = None
        finally:
            self._taken.release()

    def session(self, f: Callable[[Any], Any], vectorized: bool = False, told: bool = True) -> Session:
        """Begin the evaluations of one call of a verb; `told`: with the progress line, if there is one.

        Raises
        ------
        InputError
            If a vectorized f meets a batch of single points.
        FormatError, StoreError
            If the store cannot be used.
        """
        from mibun.evaluate.progress import ProgressLine
        from mibun.evaluate.shipping import Shipped

        if vectorized and isinstance(self._crew, Batch):
            raise InputError(
                "vectorized=True with a callable in workers, which gets lists of single points; leave one of them away"
            )
        run, (_, name) = None, self._keeps or (None, "")
        if self._keeps is not None:
            from mibun.evaluate.store import Store

            self._store = self._store or Store(*self._keeps)
            run = self._store.run(None if isinstance(self._crew, Batch) else f, stacklevel=STACK)
        line = ProgressLine(name) if told and self._progress else None
        return Session(self._crew, Shipped(f), self.counts, run, line, self._patient, self._taken)
