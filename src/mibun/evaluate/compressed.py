"""Evaluate f with many columns of a sparse Jacobian moved at once, and give each entry its own value.

An element here is an entry of the Jacobian: a number that f returns (its row) as a function of one entry of x (its
column). Columns of one colour have no row in common, so they move in one call, each to a coordinate of its own. Where
entries of one column ask for different coordinates, they are served in further calls, all columns together again.
"""

import math
from collections.abc import Callable, Generator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.evaluate.serial import OUTSIDE, Asked, Faults, Lost, explain, located, shown
from mibun.evaluate.values import NAN, Values
from mibun.evaluate.vectorized import first_of, rows_of_chunk
from mibun.sparsity import Sparsity
from mibun.structure import Structure

__all__ = ["AskingRows", "Compressed", "Spent", "led_at_once"]

Ints = NDArray[np.intp]
Result = TypeVar("Result")
#: Asks for flat points, and is sent what `Compressed.rows` gives for them.
AskingRows = Generator[list[NDArray[Any]], list[Any], Result]
#: If f raised so often and never returned, it has a fault, not a domain.
PATIENCE: Final = 64


class Spent(Exception):
    """No more calls of f are allowed."""


class Compressed:
    """Evaluate f at points at which many columns moved. Every call gets a point of its own.

    Parameters
    ----------
    f : callable
        From x to an array, or for `vectorized` from a stack of them.
    structure, vector
        x, a number or an array, and its flat form.
    vectorized : bool
    """

    def __init__(self, f: Callable[[Any], Any], structure: Structure, vector: NDArray[Any], vectorized: bool) -> None:
        self.f, self.structure, self.vector = f, structure, vector
        self.chunk = rows_of_chunk(vector.nbytes) if vectorized else 0
        self.faults = Faults()
        self.remark = ""
        self.calls = self.answered = 0
        self.limit = math.inf  # most calls; one more raises Spent
        self.at_once = False  # many points are evaluated at the same time
        self.values: Values
        centres = vector.astype(np.float64)
        self.starts: NDArray[np.float64] = centres
        self.rest = vector - centres if vector.dtype.itemsize > 8 else None
        self.shape: tuple[int, ...]
        self.sparsity: Sparsity

    def centre(self) -> NDArray[np.float64]:
        """Evaluate f at x, which says what shape f has."""
        x = self.structure.unflatten(self.vector[None].copy() if self.chunk else self.vector.copy())
        try:
            value = self.f(x)
        except Exception as reason:  # named and raised again, whatever it is
            # made anew, because f may have written to the point that it got
            located(reason, f"f raised this at x = {shown(self.structure.unflatten(self.vector.copy()))}")
            raise
        self.calls += 1
        self.knows(Values.of(first_of(value, 1) if self.chunk else value))
        return self.values.stacked(value, 1)[0].copy() if self.chunk else self._read(value, False)

    def knows(self, values: Values) -> None:
        """Take the layout of f(x), and refuse one that is no real array."""
        if values.structure.kind == "structure" or values.complex:
            what = "complex" if values.complex else f"{values.structure}"
            raise InputError(f"f(x) is {what}; with sparsity= f is to return a real array")
        self.values, self.shape = values, values.structure.leaves[0].shape

    def moved(self, columns: Ints, coordinates: NDArray[Any]) -> NDArray[Any]:
        """Give a new point, flat, at which these columns have these coordinates; of equal columns the last counts."""
        point = (
            self.vector.astype(np.result_type(self.vector, 1j)) if coordinates.dtype.kind == "c" else self.vector.copy()
        )
        point[columns] = coordinates if self.rest is None else coordinates + self.rest[columns]
        return point

    def placed(self, coordinates: NDArray[Any]) -> NDArray[Any]:
        """Give a new point, flat, with all of these coordinates."""
        return (coordinates if self.rest is None else coordinates + self.rest).astype(self.vector.dtype)

    def _read(self, value: Any, analytic: bool) -> NDArray[Any]:
        if type(value) is np.ndarray and value.dtype == np.float64 and value.shape == self.shape and not analytic:
            return value.reshape(-1).copy()  # f may write its next values where these are
        found = self.values.numbers(value, analytic)
        return np.full(self.values.size, NAN) if found is None else found

    def rows(self, points: Sequence[NDArray[Any]]) -> list[NDArray[Any] | Exception]:
        """Evaluate f at each of some flat points: all that it returned, or what it raised if that means outside."""
        found: list[NDArray[Any] | Exception] = []
        at_once = self.chunk or 1
        for begin in range(0, len(points), at_once):
            found += self._together(points[begin : begin + at_once])
        return found

    def _together(self, points: Sequence[NDArray[Any]]) -> list[NDArray[Any] | Exception]:
        if self.calls + len(points) > self.limit:
            raise Spent
        analytic = points[0].dtype.kind == "c"
        given = self.structure.unflatten(np.stack(points) if self.chunk else points[0])
        try:
            value = self.f(given)
        except (*OUTSIDE, Lost) as reason:
            if len(points) > 1:
                return [row for point in points for row in self._together([point])]
            self._raised(reason)
            return [reason]
        except Exception as reason:
            explain(reason, "x", shown(points[0]))  # type: ignore[arg-type]
            raise
        self.calls += len(points)
        self.answered += len(points)
        if self.chunk:
            return [row.copy() for row in self.values.stacked(value, len(points), analytic)]
        return [self._read(value, analytic)]

    def _raised(self, reason: Exception) -> None:
        self.calls += 1
        if isinstance(reason, Lost):
            return
        self.faults.count += 1
        self.faults.first = self.faults.first or reason
        if not self.answered and self.faults.count >= PATIENCE:
            raise located(self.faults.first, "f raised at every point that was tried near x, this was the first")

    def array(self, entries: Ints, points: NDArray[Any]) -> NDArray[Any]:
        """Evaluate entries of one colour: a column of points, (k, m), for each of the m entries."""
        (found,) = led_at_once(self, [self.asking(entries, points)])
        return found

    def asking(self, entries: Ints, points: NDArray[Any]) -> "AskingRows[NDArray[Any]]":
        """Do the same for whoever gives the rows of some flat points."""
        columns, rows = self.sparsity.columns[entries], self.sparsity.rows[entries]
        values = np.empty(points.shape, points.dtype)
        waiting: list[tuple[int, Any]] = [(k, slice(None)) for k in range(len(points))]
        while waiting:
            served, moves, later = [], [], []
            for k, which in waiting:
                at, asked = columns[which], points[k][which]
                moves.append(self.moved(at, asked))
                wanted = asked if self.rest is None else asked + self.rest[at]
                same = moves[-1][at] == wanted.astype(moves[-1].dtype, copy=False)
                if not same.all():  # the last of a column is served now
                    places = np.arange(entries.size)[which]
                    later.append((k, places[~same]))
                    which = places[same]
                served.append((k, which))
            given = yield moves
            for (k, which), found in zip(served, given, strict=True):
                values[k, which] = self._told(entries[which], columns[which], points[k][which], rows[which], found)
            waiting = later
        return values

    def _told(
        self, entries: Ints, columns: Ints, coordinates: NDArray[Any], rows: Ints, found: NDArray[Any] | Exception
    ) -> NDArray[Any]:
        """Take the values of the entries; where f raised, move half of the columns, down to those where it does."""
        if not isinstance(found, Exception):
            return found[rows]
        values = np.full(entries.size, NAN, coordinates.dtype)
        different = np.unique(columns)
        if different.size == 1:
            at = coordinates[0].item()
            if isinstance(found, Lost):
                self.faults.lost |= dict.fromkeys(entries.tolist(), f"{found}, at {at!r}") | self.faults.lost
                return values
            text = f"f raised {type(found).__name__}({found}) at {at!r}"
            self.faults.texts |= {entry: text for entry in entries.tolist() if entry not in self.faults.texts}
            return values
        first = columns < different[different.size // 2]
        for half in (first, ~first):
            part = entries[half], columns[half], coordinates[half], rows[half]
            (again,) = self.rows([self.moved(part[1], part[2])])
            values[half] = self._told(*part, again)
        return values

    def __call__(self, asked: Asked) -> list[list[Any]]:
        """Evaluate (entry, coordinate) pairs of any colours; a row of one value for each."""
        results: list[list[Any]] = [[NAN]] * len(asked)
        entries = np.array([entry for entry, _ in asked], np.intp)
        colours = self.sparsity.colours[self.sparsity.columns[entries]]
        analytic = np.array([type(coordinate) is complex for _, coordinate in asked])
        for colour in np.unique(colours).tolist():
            for kind in (False, True):
                places = np.flatnonzero((colours == colour) & (analytic == kind))
                if places.size:
                    points = np.array([[asked[place][1] for place in places.tolist()]])
                    found = self.array(entries[places], points)[0]
                    for place, value in zip(places.tolist(), found.tolist(), strict=True):
                        results[place] = [value]
        return results


def led_at_once(evaluator: Compressed, askings: Sequence[AskingRows[Result]]) -> list[Result]:
    """Lead all of some generators that ask for rows, what they ask for in a round together; give what they return."""
    results: dict[int, Result] = {}
    waiting: dict[int, list[NDArray[Any]]] = {}

    def step(place: int, go: Callable[..., list[NDArray[Any]]], *given: Any) -> None:
        try:
            waiting[place] = go(*given)
        except StopIteration as stop:
            results[place] = stop.value

    for place, asking in enumerate(askings):
        step(place, asking.__next__)
    while waiting:
        round_, waiting = waiting, {}
        try:
            rows = iter(evaluator.rows([point for points in round_.values() for point in points]))
        except Spent as reason:
            for place in round_:
                step(place, askings[place].throw, reason)
            continue
        for place, points in round_.items():
            step(place, askings[place].send, list(islice(rows, len(points))))
    return [results[place] for place in range(len(askings))]
