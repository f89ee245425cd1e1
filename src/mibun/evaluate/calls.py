"""How the points of one call of a verb are evaluated: by calls of f here, or through the session of an evaluator."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.evaluate.compressed import Compressed
from mibun.evaluate.drive import Leading
from mibun.evaluate.serial import Serial
from mibun.evaluate.vectorized import Vectorized
from mibun.plan import Plan
from mibun.structure import Structure

if TYPE_CHECKING:
    from mibun.evaluate.session import Counts, Session

__all__ = ["Calls", "calling", "one_evaluator", "one_point_at_a_time"]

Several = TypeVar("Several", bound=Any)


class Calls:
    """Calls of f in this process, with nothing between.

    Parameters
    ----------
    f : callable
    vectorized : bool
        f takes a stack of points.
    counts : Counts, optional
        Where calls are counted.
    """

    leader: type[Leading] = Leading

    def __init__(self, f: Callable[[Any], Any], vectorized: bool, counts: "Counts | None" = None) -> None:
        self.f = f if counts is None else _counted(f, counts)
        self.vectorized = vectorized

    def on(self, plan: Plan, known: tuple[Any, ...] = (), through: Any = None) -> Serial | Vectorized:
        """Evaluate the points of a plan.

        Parameters
        ----------
        plan : Plan
        known : tuple
            f(x), if it is known, as the only entry.
        through : callable, optional
            A function with an attribute `f`, which is set: it makes what is differentiated of what f returns.
        """
        f = self.f
        if through is not None:
            through.f, f = f, through
        return Vectorized(f, plan) if self.vectorized else Serial(f, plan, known)

    def compressed(self, structure: Structure, vector: NDArray[Any]) -> Compressed:
        """Evaluate f at points at which many columns moved."""
        return Compressed(self.f, structure, vector, self.vectorized)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class _Elsewhere(Calls):
    """Evaluations through a session, which is closed at the end, and the evaluator that was made for it, too."""

    def __init__(self, session: "Session", vectorized: bool, own: Any) -> None:
        from mibun.evaluate.arriving import Arriving

        self.session, self.vectorized, self.own = session, vectorized, own
        self.leader = Leading if vectorized else Arriving

    def on(self, plan: Plan, known: tuple[Any, ...] = (), through: Any = None) -> Serial | Vectorized:
        from mibun.evaluate.served import Served, ServedStacks

        if self.vectorized:
            return ServedStacks(self.session, plan, through)
        return Served(self.session, plan, known, through)

    def compressed(self, structure: Structure, vector: NDArray[Any]) -> Compressed:
        from mibun.evaluate.served import ServedColumns

        return ServedColumns(self.session, structure, vector, self.vectorized)

    def __enter__(self) -> Self:
        self.session.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, KeyboardInterrupt):
                error.add_note(self.session.interrupted())
        finally:
            self.session.close()
            if self.own is not None:
                self.own.close()


class Wanted(Protocol):
    """What the options of a verb say about evaluations."""

    @property
    def vectorized(self) -> bool:
        """F takes a stack of points."""

    @property
    def workers(self) -> Any:
        """Who evaluates f."""

    @property
    def evaluator(self) -> Any:
        """The same, for many calls."""


def calling(f: Callable[[Any], Any], options: Wanted) -> Calls:
    """Give the calls of f that the options ask for, as a context.

    Raises
    ------
    InputError
        If they do not go together; what `Evaluator` raises.
    """
    workers, evaluator = options.workers, options.evaluator
    if evaluator is None and workers is None:
        return Calls(f, bool(options.vectorized))
    if evaluator is not None and workers is not None:
        raise InputError("workers and evaluator are both given; write workers=... into the Evaluator")
    own = None
    if evaluator is None:
        from mibun.evaluate.evaluator import Evaluator

        own = evaluator = Evaluator(workers)
    refuse_others(evaluator)
    if evaluator.plain:
        return Calls(f, bool(options.vectorized), evaluator.counts)
    return _Elsewhere(evaluator.session(f, bool(options.vectorized)), bool(options.vectorized), own)


def refuse_others(evaluator: Any) -> None:
    """Refuse what is no evaluator."""
    if isinstance(evaluator, type) or not hasattr(evaluator, "session"):
        raise InputError(
            f"evaluator is {evaluator!r}; expected an Evaluator(workers=..., store=...); a number of processes is "
            "workers=4, or evaluator=Evaluator(4)"
        )


def one_point_at_a_time(f: Callable[[Any], Any], evaluator: Any) -> Callable[[Any], Any]:
    """Give f, evaluated by an evaluator if there is one.

    A store knows f by its points. So where a verb is given a function of something else, as of the distance along a
    line, that function calls this one, and the verb gets no evaluator.
    """
    if evaluator is None:
        return f
    refuse_others(evaluator)
    if evaluator.plain:
        return _counted(f, evaluator.counts)
    from mibun.evaluate.served import one_by_one

    return one_by_one(evaluator.session(f, told=False))


@contextmanager
def one_evaluator(options: Several) -> Iterator[Several]:
    """Give options for many calls of verbs: the workers that are asked for are started once, and ended at the end."""
    if options.workers is None or options.evaluator is not None:
        yield options
        return
    from mibun.evaluate.evaluator import Evaluator

    with Evaluator(options.workers) as evaluator:
        yield options._replace(workers=None, evaluator=evaluator)


def _counted(f: Callable[[Any], Any], counts: "Counts") -> Callable[[Any], Any]:
    def counted(x: Any) -> Any:
        counts.calls += 1
        return f(x)

    return counted
