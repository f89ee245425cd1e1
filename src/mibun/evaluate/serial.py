"""Evaluate f point by point, and decide what an exception means.

At x itself every exception is raised. At another point ArithmeticError and ValueError mean that the point is outside
the domain of f: the answer is nan, and the text is kept for the note. If every other point raises, the first exception
is raised after all: an f that fails everywhere has a fault, not a domain. Any other exception is raised where it
happens. All are raised as they are, with a note that names the point.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.evaluate.values import NAN, Values
from mibun.plan import Plan

__all__ = ["OUTSIDE", "Faults", "Kept", "Lost", "Serial", "explain", "located", "shown"]

#: What f raises where it is not defined.
OUTSIDE: Final = (ArithmeticError, ValueError)
#: Size of a stack whose rows are points.
STACK_BYTES: Final = 2**16
Asked = Sequence[tuple[int, complex]]
#: Elements, coordinates and rows of values, round by round: of an evaluator that is told to keep them.
Kept = list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]


class Lost(Exception):
    """F did not come back from a point, or raised what is not to be raised again; the text says how."""


class Faults:
    """Exceptions met so far: how many, the first, and the first text for every element."""

    def __init__(self) -> None:
        self.first: Exception | None = None
        self.count = 0
        self.texts: dict[int, str] = {}
        self.lost: dict[int, str] = {}

    def met(self, element: int, coordinate: complex, reason: Exception) -> None:
        """Remember that f is not defined at a point, or that it did not come back from there."""
        if isinstance(reason, Lost):
            self.lost.setdefault(element, f"{reason}, at {coordinate!r}")
            return
        self.count += 1
        self.first = self.first or reason
        self.texts.setdefault(element, f"f raised {type(reason).__name__}({reason}) at {coordinate!r}")

    def unexpected(self, element: int, coordinate: complex) -> None:
        """Remember that f gave a complex number where it is real at x."""
        self.texts.setdefault(element, f"f gave a complex number at {coordinate!r}")

    def everywhere(self, others: int) -> None:
        """Raise the first exception if all points but x raised."""
        if self.first is not None and self.count == others > 0:
            raise located(self.first, "f raised at every point that was tried near x, this was the first")


class Serial:
    """Evaluate f point by point. Every call gets a point of its own, so f may write to it and keep it.

    Parameters
    ----------
    f : callable
        From a point of the plan to a number, an array or a structure.
    plan : Plan
    known : list
        f(x), if the caller has it already, as the only entry.

    Attributes
    ----------
    kept : list, optional
        What was asked and answered, but for f(x), if it is a list to begin with; None, as it is at first: not kept.
    """

    def __init__(self, f: Callable[[Any], Any], plan: Plan, known: Sequence[Any] = ()) -> None:
        self.f, self.plan, self.known = f, plan, known
        self.faults = Faults()
        self.remark = ""
        self.kept: Kept | None = None
        self.values: Values

    def centres(self, elements: Sequence[int]) -> list[list[float]]:
        """Evaluate f at x; the first value says what shape f has."""
        rows: list[list[float]] = []
        for element in elements:
            start = self.plan.starts[element]
            try:
                value = self.known[0] if self.known else self.f(self.plan.point(element, start))
            except Exception as reason:  # named and raised again, whatever it is
                # made anew, because f may have written to the point that it got
                located(reason, f"f raised this at x = {shown(self.plan.point(element, start))}")
                raise
            if not rows:
                self.values = Values.of(value)
            row = self.values.row(value)
            if row is None:
                raise InputError(f"f gave a complex number at x = {start!r} and real ones before")
            rows.append(row)
        return rows

    def __call__(self, asked: Asked) -> list[list[Any]]:
        """Evaluate f at (element, coordinate) pairs; a row of values for each."""
        point = self.plan.point
        rows = self._rows(asked, (point(element, coordinate) for element, coordinate in asked))
        if self.kept is not None:
            elements, coordinates = zip(*asked, strict=True) if asked else ((), ())
            self.kept.append((np.array(elements, np.intp), np.array(coordinates), np.array(rows)))
        return rows

    def _rows(self, asked: Iterable[tuple[int, complex]], points: Iterable[Any]) -> list[list[Any]]:
        """Evaluate f at points, which are made as they are needed."""
        f, values = self.f, self.values
        number, missing, rows = values.number, [NAN] * values.size, []
        for (element, coordinate), x in zip(asked, points, strict=True):
            try:
                value = f(x)
            except (*OUTSIDE, Lost) as reason:
                self.faults.met(element, coordinate, reason)
                rows.append(missing)
                continue
            except Exception as reason:
                explain(reason, self.plan.name(element), coordinate)
                raise
            if number and isinstance(value, float):
                rows.append([float(value)])
                continue
            row = values.row(value, analytic=type(coordinate) is complex)
            if row is None:
                self.faults.unexpected(element, coordinate)
            rows.append(row or missing)
        return rows

    def centre_rows(self, elements: NDArray[Any], _: NDArray[Any]) -> NDArray[Any]:
        """Evaluate f at x, and give the rows as one array."""
        return np.array(self.centres(elements.tolist()), np.float64)

    def array(self, elements: NDArray[Any], coordinates: NDArray[Any]) -> NDArray[Any]:
        """Evaluate an f of one real number at many real points."""
        if not self.plan.rows:
            asked = zip(elements.tolist(), coordinates.tolist(), strict=True)
            return np.array(self(list(asked)), np.float64).reshape(-1)
        points = self._stacked(elements, coordinates)
        if self.values.plain:
            found = self._floats(elements, coordinates, points)
        else:
            asked = zip(elements.tolist(), coordinates.tolist(), strict=True)
            found = np.array(self._rows(asked, points), np.float64).reshape(-1)
        if self.kept is not None:
            self.kept.append((elements, coordinates, found.reshape(-1, 1)))
        return found

    def _floats(self, elements: NDArray[Any], coordinates: NDArray[Any], points: Iterator[Any]) -> NDArray[Any]:
        """Evaluate an f that returns a float at x, with nothing between its calls: what it returns cannot change."""
        found: list[Any] = []

        def last() -> tuple[int, float]:
            return int(elements[len(found)]), coordinates[len(found)].item()

        while len(found) < len(elements):
            try:
                found.extend(map(self.f, points))
            except OUTSIDE as reason:
                self.faults.met(*last(), reason)
                found.append(NAN)
            except Exception as reason:
                element, coordinate = last()
                explain(reason, self.plan.name(element), coordinate)
                raise
            else:
                if len(found) < len(elements):
                    raise RuntimeError("f raised StopIteration")
        if {float, np.float64}.issuperset(map(type, found)):
            return np.fromiter(found, np.float64, len(found))
        for place, value in enumerate(found):
            row = self.values.row(value)
            if row is None:
                self.faults.unexpected(int(elements[place]), coordinates[place].item())
            found[place] = row[0] if row else NAN
        return np.array(found, np.float64)

    def _stacked(self, elements: NDArray[Any], coordinates: NDArray[Any]) -> Iterator[Any]:
        """Give the rows of stacks, each made for one point: half the time that single points take."""
        count = STACK_BYTES // self.plan.row_bytes
        if count < 2:
            yield from map(self.plan.point, elements.tolist(), coordinates.tolist())
            return
        for begin in range(0, len(elements), count):
            yield from self.plan.stack(elements[begin : begin + count], coordinates[begin : begin + count])


def explain(reason: Exception, name: str, coordinate: complex) -> None:
    """Add the point to what f raised at another point than x; raise what a TypeError means at a complex one."""
    if type(coordinate) is complex and isinstance(reason, TypeError):
        raise InputError(
            f"f does not accept complex numbers ({reason}), which the complex step needs; use cmath or NumPy "
            'functions in f, or method="adaptive"'
        ) from reason
    located(reason, f"f raised this near x, with {name} = {coordinate!r}")


def located(reason: Exception, place: str) -> Exception:
    """Add to an exception where it happened: to its message if that is one text, and as a note otherwise.

    An InputError is left as it is: it is about what was given, and says so.
    """
    if isinstance(reason, InputError):
        return reason
    if isinstance(reason, Lost):
        place = place.removeprefix("f raised this ")
    if len(reason.args) == 1 and isinstance(reason.args[0], str) and type(reason).__str__ is Exception.__str__:
        reason.args = (f"{reason.args[0]} ({place})",)
    else:
        reason.add_note(place)
    return reason


def shown(x: Any) -> str:
    """Write a point for a message, shortened where it is large."""
    if isinstance(x, float) and type(x) is float:
        return repr(x)
    with np.printoptions(threshold=20, edgeitems=3):
        text = str(x)
    return text if len(text) <= 300 else text[:297] + "..."
