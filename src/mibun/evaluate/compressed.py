"""Evaluate f with many columns of a sparse Jacobian moved at once, and give each entry its own value.

An element here is an entry of the Jacobian: a number that f returns (its row) as a function of one entry of x (its
column). Columns of one colour have no row in common, so they move in one call, each to a coordinate of its own. Where
entries of one column ask for different coordinates, they are served in further calls, all columns together again.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.evaluate.serial import OUTSIDE, Asked, Faults, explain, located, shown
from mibun.evaluate.values import NAN, Values
from mibun.evaluate.vectorized import first_of, rows_of_chunk
from mibun.sparsity import Sparsity
from mibun.structure import Structure

__all__ = ["Compressed"]

Ints = NDArray[np.intp]
#: The columns that move, and to where.
Move = tuple[Ints, NDArray[Any]]
#: If f raised so often and never returned, it has a fault, not a domain.
PATIENCE: Final = 64


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
        self.values: Values
        centres = vector.astype(np.float64)
        self.starts: NDArray[np.float64] = centres
        self.rest = vector - centres if vector.dtype.itemsize > 8 else None
        self.wanted = np.empty(vector.size, np.complex128)
        self.sparsity: Sparsity

    def centre(self) -> NDArray[np.float64]:
        """Evaluate f at x, which says what shape f has."""
        try:
            value = self.f(self._stack([self._nothing()]) if self.chunk else self._point(self._nothing()))
        except Exception as reason:  # named and raised again, whatever it is
            located(reason, f"f raised this at x = {shown(self._point(self._nothing()))}")
            raise
        self.calls += 1
        self.values = Values.of(first_of(value, 1) if self.chunk else value)
        if self.values.structure.kind == "structure" or self.values.complex:
            what = "complex" if self.values.complex else f"{self.values.structure}"
            raise InputError(f"f(x) is {what}; with sparsity= f is to return a real array")
        return self._read(value, False) if not self.chunk else self.values.stacked(value, 1)[0].copy()

    def _nothing(self) -> Move:
        return np.empty(0, np.intp), np.empty(0)

    def _moved(self, move: Move) -> NDArray[Any]:
        columns, coordinates = move
        analytic = coordinates.dtype.kind == "c"
        point = self.vector.astype(np.result_type(self.vector, 1j)) if analytic else self.vector.copy()
        point[columns] = coordinates if self.rest is None else coordinates + self.rest[columns]
        return point

    def _point(self, move: Move) -> Any:
        return self.structure.unflatten(self._moved(move))

    def _stack(self, moves: Sequence[Move]) -> Any:
        return self.structure.unflatten(np.stack([self._moved(move) for move in moves]))

    def _read(self, value: Any, analytic: bool) -> NDArray[Any]:
        found = self.values.numbers(value, analytic)
        return np.full(self.values.size, NAN) if found is None else found

    def rows(self, moves: Sequence[Move]) -> list[NDArray[Any] | Exception]:
        """Evaluate f at each of some points: all that it returned, or what it raised if that means outside."""
        found: list[NDArray[Any] | Exception] = []
        at_once = self.chunk or 1
        for begin in range(0, len(moves), at_once):
            found += self._together(moves[begin : begin + at_once])
        return found

    def _together(self, moves: Sequence[Move]) -> list[NDArray[Any] | Exception]:
        analytic = moves[0][1].dtype.kind == "c"
        try:
            if self.chunk:
                rows = self.values.stacked(self.f(self._stack(moves)), len(moves), analytic)
                found: list[NDArray[Any] | Exception] = [row.copy() for row in rows]
            else:
                found = [self._read(self.f(self._point(moves[0])), analytic)]
        except OUTSIDE as reason:
            if isinstance(reason, InputError):
                raise
            if len(moves) > 1:
                return [row for move in moves for row in self._together([move])]
            self._raised(reason)
            found = [reason]
        except Exception as reason:
            columns, coordinates = moves[0]
            explain(reason, self.structure.name(int(columns[0])), coordinates[0].item())
            raise
        else:
            self.answered += len(moves)
        self.calls += len(moves)
        return found

    def _raised(self, reason: Exception) -> None:
        self.faults.count += 1
        self.faults.first = self.faults.first or reason
        if not self.answered and self.faults.count >= PATIENCE:
            raise located(self.faults.first, "f raised at every point that was tried near x, this was the first")

    def array(self, entries: Ints, points: NDArray[Any]) -> NDArray[Any]:
        """Evaluate entries of one colour: a column of points, (k, m), for each of the m entries."""
        columns, rows = self.sparsity.columns[entries], self.sparsity.rows[entries]
        values = np.empty(points.shape, points.dtype)
        wanted = self.wanted if points.dtype.kind == "c" else self.wanted.real
        waiting: list[tuple[int, Any]] = [(k, slice(None)) for k in range(len(points))]
        while waiting:
            served, later = [], []
            for k, which in waiting:
                at, asked = columns[which], points[k][which]
                wanted[at] = asked  # the last of a column is served now
                same = wanted[at] == asked
                if not same.all():
                    places = np.arange(entries.size)[which]
                    later.append((k, places[~same]))
                    which = places[same]
                served.append((k, which))
            moves = [(columns[which], points[k][which]) for k, which in served]
            for (k, which), move, found in zip(served, moves, self.rows(moves), strict=True):
                raised = isinstance(found, Exception)
                values[k, which] = self._halved(entries[which], move, rows[which], found) if raised else found[rows[which]]  # type: ignore[index,arg-type]
            waiting = later
        return values

    def _halved(self, entries: Ints, move: Move, rows: Ints, reason: Exception) -> NDArray[Any]:
        """Evaluate both halves of the columns that moved when f raised, down to the columns where it does."""
        columns, coordinates = move
        values = np.full(entries.size, NAN, coordinates.dtype)
        different = np.unique(columns)
        if different.size == 1:
            text = f"f raised {type(reason).__name__}({reason}) at {coordinates[0].item()!r}"
            self.faults.texts |= {entry: text for entry in entries.tolist() if entry not in self.faults.texts}
            return values
        first = columns < different[different.size // 2]
        for half in (first, ~first):
            part = columns[half], coordinates[half]
            (found,) = self.rows([part])
            raised = isinstance(found, Exception)
            values[half] = self._halved(entries[half], part, rows[half], found) if raised else found[rows[half]]  # type: ignore[index,arg-type]
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
