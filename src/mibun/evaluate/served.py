"""Evaluate the points of a plan through a session: a store, workers, or both.

What is asked for is sent off as a whole; what comes back is read by the code that reads what f returns here.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mibun.errors import WorkerError
from mibun.evaluate.compressed import Compressed
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.serial import OUTSIDE, Asked, Lost, Serial, explain, located, shown
from mibun.evaluate.session import Piece, Session, raise_again, stacked
from mibun.evaluate.values import NAN, Values
from mibun.evaluate.vectorized import Vectorized, first_of
from mibun.plan import Plan
from mibun.structure import Structure

__all__ = ["Served", "ServedColumns", "ServedStacks", "one_by_one"]

#: A function that holds another one as its `f`: what it makes of the values of that one is what is differentiated.
Weighing = Any


class Served(Serial):
    """Evaluate f point by point, elsewhere or from a store; many points are under way at once.

    Parameters
    ----------
    session : Session
    plan : Plan
    known : sequence
        f(x), if the caller has it already, as the only entry.
    through : callable, optional
        A function with an attribute `f`, called in this process: it makes the value to be differentiated of what f,
        which is set here, returned.
    """

    def __init__(self, session: Session, plan: Plan, known: Sequence[Any] = (), through: Weighing = None) -> None:
        super().__init__(_joined(through, self._next), plan, known)
        self.session = session
        self._arrived: deque[Outcome] = deque()

    def _next(self, _: Any) -> Any:
        """Give what came back from the next point, as f would: return it, or raise it."""
        outcome = self._arrived.popleft()
        if outcome.status != "ok":
            raise_again(outcome, self.session.patient)
        return outcome.value

    def centres(self, elements: Sequence[int]) -> list[list[float]]:
        """Evaluate f at x; the first value says what shape f has."""
        if not self.known:
            self._evaluate([(element, self.plan.starts[element]) for element in elements])
        with at_x():
            return super().centres(elements)

    def __call__(self, asked: Asked) -> list[list[Any]]:
        """Evaluate f at (element, coordinate) pairs; a row of values for each."""
        self._evaluate(asked)
        return super().__call__(asked)

    def _evaluate(self, asked: Asked) -> None:
        """Have f evaluated, and keep what became of every point, in order."""
        points = (self.plan.point(element, coordinate) for element, coordinate in asked)
        self._arrived.extend(self.session.outcomes(points, [element for element, _ in asked], self.plan.row_bytes))

    def array(self, elements: NDArray[Any], coordinates: NDArray[Any]) -> NDArray[Any]:
        """Evaluate an f of one real number at many real points."""
        asked = list(zip(elements.tolist(), coordinates.tolist(), strict=True))
        return np.array(self(asked), np.float64).reshape(-1)

    def room(self) -> int:
        """Say how many points may be submitted."""
        return self.session.room(self.plan.row_bytes)

    def submit(self, asked: Asked) -> None:
        """Have f evaluated at (element, coordinate) pairs; `arrived` gives what becomes of them, one by one."""
        self.session.submit([(pair, self.plan.point(*pair), pair[0]) for pair in asked])

    def arrived(self) -> list[tuple[tuple[int, complex], Outcome]]:
        """Wait for some of the points."""
        found = self.session.arrived()
        for (element, coordinate), outcome in found:
            error = outcome.error
            if error is not None and not self.session.patient and not isinstance(error, OUTSIDE):
                if isinstance(error, Exception):  # and not SystemExit, which f may have raised in a worker
                    explain(error, self.plan.name(element), coordinate)
                raise error
        return found

    def read(self, asked: Asked, outcomes: Iterable[Outcome]) -> list[list[Any]]:
        """Read what came back from some points, in the order in which they were asked for."""
        self._arrived.extend(outcomes)
        return super().__call__(asked)


class ServedStacks(Vectorized):
    """Evaluate f on stacks of points, elsewhere or from a store; a round is as many stacks as there are workers.

    Parameters
    ----------
    session, plan, through
        As for `Served`.
    """

    def __init__(self, session: Session, plan: Plan, through: Weighing = None) -> None:
        super().__init__(_joined(through, self._given), plan)
        self.session = session
        self._value: Any = None

    def _given(self, _: Any) -> Any:
        return self._value

    def centre_rows(self, places: NDArray[Any], starts: NDArray[Any]) -> NDArray[Any]:
        """Evaluate f at x, and give the rows as one array."""
        rows: list[NDArray[Any]] = []
        for piece in self._pieces(places, starts):
            at, coordinates = places[piece.part], starts[piece.part]
            with at_x():
                for place, outcome in piece.rows.items():
                    if outcome.status != "ok":
                        x = shown(self.plan.stack(at[[place]], coordinates[[place]]))
                        self._refused(outcome, f"f raised this in a stack with x = {x}")
            value = self._read(piece, np.arange(len(at)), at, coordinates)
            if not rows:
                self.values = Values.of(first_of(value, len(at)))
            rows.append(self.values.stacked(value, len(at)).copy())
        return np.concatenate(rows)

    def _refused(self, outcome: Outcome, place: str) -> None:
        """Raise what became of x."""
        try:
            raise_again(outcome, self.session.patient)
        except Exception as reason:
            located(reason, place)
            raise

    def _round(self, elements: NDArray[Any], coordinates: NDArray[Any]) -> NDArray[Any]:
        """Evaluate the points of a round, all real or all complex."""
        analytic = coordinates.dtype.kind == "c"
        rows = np.full((len(elements), self.values.size), NAN, np.complex128 if analytic else np.float64)
        for piece in self._pieces(elements, coordinates):
            at, moved = elements[piece.part], coordinates[piece.part]
            bad = [place for place, outcome in piece.rows.items() if outcome.status != "ok"]
            for place in bad:
                element, coordinate = int(at[place]), moved[place].item()
                try:
                    raise_again(piece.rows[place], self.session.patient)
                except (*OUTSIDE, Lost) as reason:
                    self.faults.met(element, coordinate, reason)
                except Exception as reason:
                    explain(reason, self.plan.name(element), coordinate)
                    raise
            good = np.setdiff1d(np.arange(len(at)), bad)
            if good.size:
                value = self._read(piece, good, at, moved)
                rows[piece.part.start + good] = self._rows(value, good.size, analytic)
        return rows

    def _pieces(self, elements: NDArray[Any], coordinates: NDArray[Any]) -> list[Piece]:
        def make(part: slice) -> Any:
            return self.plan.stack(elements[part], coordinates[part])

        try:
            return self.session.stacks(make, len(elements), self.chunk, elements.tolist())
        except Exception as reason:
            if not isinstance(reason, OUTSIDE):
                explain(reason, self.plan.name(int(elements[0])), coordinates[0].item())
            raise

    def _read(self, piece: Piece, good: NDArray[Any], at: NDArray[Any], moved: NDArray[Any]) -> Any:
        """Give what f returned for the good points of a piece, as for a stack of them alone."""
        if not piece.rows:
            self._value = piece.value
        else:
            values = [
                piece.rows[place].value if place in piece.rows else first_of(piece.value, len(at), place)
                for place in good.tolist()
            ]
            self._value = stacked(values)
        if self.f == self._given:
            return self._value
        return self.f(self.plan.stack(at[good], moved[good]))


def one_by_one(session: Session) -> Callable[[Any], Any]:
    """Give a function of one point after the other whose values come through a session."""

    def f(x: Any) -> Any:
        session.begin()
        try:
            (outcome,) = session.outcomes([x], [0], 1)
        finally:
            session.close()
        with at_x():
            if outcome.status != "ok":
                raise_again(outcome, session.patient)
        return outcome.value

    return f


@contextmanager
def at_x() -> Iterator[None]:
    """Make an error of it that f does not come back from x; from other points that is a status."""
    try:
        yield
    except Lost as reason:
        raise WorkerError(f"{reason}; without f(x) there is no derivative") from None


def _joined(through: Weighing, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Put f where `through` looks for it."""
    if through is None:
        return f
    through.f = f
    joined: Callable[[Any], Any] = through
    return joined


class ServedColumns(Compressed):
    """Evaluate f at points at which many columns moved, elsewhere or from a store.

    Parameters
    ----------
    session : Session
    structure, vector, vectorized
        As for `Compressed`.
    """

    def __init__(self, session: Session, structure: Structure, vector: NDArray[Any], vectorized: bool) -> None:
        super().__init__(self._next, structure, vector, vectorized)
        self.session, self.at_once = session, True
        self._arrived: deque[Outcome] = deque()

    def _next(self, _: Any) -> Any:
        outcome = self._arrived.popleft()
        if outcome.status != "ok":
            raise_again(outcome, self.session.patient)
        return stacked([outcome.value]) if self.chunk else outcome.value

    def centre(self) -> NDArray[np.float64]:
        """Evaluate f at x, which says what shape f has."""
        self._send([self.vector])
        with at_x():
            return super().centre()

    def rows(self, points: Sequence[NDArray[Any]]) -> list[NDArray[Any] | Exception]:
        """Evaluate f at each of some flat points: all that it returned, or what it raised if that means outside."""
        left = self.limit - self.calls
        self._send(points if len(points) <= left else points[: max(0, int(left))])
        return [row for point in points for row in self._together([point])]

    def _send(self, points: Sequence[NDArray[Any]]) -> None:
        """Have f evaluated, and keep what became of every point, in order."""
        if not self.chunk:
            given = (self.structure.unflatten(point.copy()) for point in points)
            self._arrived.extend(self.session.outcomes(given, [0] * len(points), self.vector.nbytes))
            return

        def make(part: slice) -> Any:
            return self.structure.unflatten(np.stack(points[part]))

        for piece in self.session.stacks(make, len(points), self.chunk, [0] * len(points)):
            for place in range(piece.part.stop - piece.part.start):
                count = piece.part.stop - piece.part.start
                self._arrived.append(piece.rows.get(place) or Outcome("ok", first_of(piece.value, count, place)))
