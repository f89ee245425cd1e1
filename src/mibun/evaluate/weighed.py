"""The sum of what f returns, weighed by a cotangent, and how much of it is rounding.

The terms of the sum may cancel: (1e8 x, sin x - 1e8 x) with weights (1, 1) is sin x with the rounding of 1e8 x. A
method that sees only the sum takes it for exact to the last bit of sin x. So the sizes of the terms are kept, and the
rounding of the result grows to what they imply.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Conversation, Estimate, Request
from mibun.errors import InputError
from mibun.evaluate.gather import Table
from mibun.evaluate.values import Values
from mibun.plan import Plan
from mibun.status import Status
from mibun.structure import Structure, as_array

__all__ = ["Nothing", "Weighed"]

#: The points that an estimate used lie within its step, up to rounding.
REACH: Final = 1.0 + 2.0**-20


class Nothing:
    """The method for a sum without terms: it is 0 everywhere, and nothing but f(x) is asked for."""

    def converse(self, x: float, request: Request) -> Conversation:
        """Start a conversation about the derivative at x."""
        yield (x,)
        return Estimate(0.0, 0.0, 0.0, Status.CONVERGED, 0.0, 0.0)


class Weighed:
    """The function sum(weights · f(x)); entries with weight 0 do not count, even where they are nan.

    Parameters
    ----------
    f : callable
    cotangent : Structure
        What f is to return.
    weights : ndarray, (cotangent.size,)
    plan : Plan
        The points; they are to be asked for by the `plan` of this object, so that it knows which ones they are.
    vectorized : bool
        f takes a stack of points.

    Attributes
    ----------
    plan : Plan
    changed : bool
        f(x) was not the same at all points.
    """

    def __init__(
        self, f: Callable[[Any], Any], cotangent: Structure, weights: NDArray[Any], plan: Plan, vectorized: bool
    ) -> None:
        self.f, self.cotangent, self.vectorized = f, cotangent, vectorized
        self.counting = np.flatnonzero(weights)
        self.weights = weights[self.counting]
        self.starts, self._point, self._stack = np.array(plan.starts), plan.point, plan.stack
        self.plan = plan._replace(point=self._one, stack=self._many)
        self.changed = False
        self.wrong: InputError | None = None
        self.first: NDArray[Any] | None = None
        self.asked: tuple[Any, Any] = (0, 0.0)
        self.seen: list[tuple[Any, Any, NDArray[Any], NDArray[Any]]] = []  # what was asked, sizes and changes of terms

    def _one(self, element: int, coordinate: complex) -> Any:
        self.asked = element, coordinate
        return self._point(element, coordinate)

    def _many(self, elements: NDArray[Any], coordinates: NDArray[Any]) -> Any:
        self.asked = elements.copy(), coordinates.copy()
        return self._stack(elements, coordinates)

    def __call__(self, points: Any) -> Any:
        """Give the sum at a point, or at each of a stack of them."""
        value = self.f(points)
        try:
            rows = self._rows(value)
        except InputError as reason:  # to whoever evaluates this function, a ValueError is only the edge of its domain
            self.wrong = self.wrong or reason
            raise
        if self.first is None:
            self.first, self.at_x = rows[0], rows[0, self.counting] * self.weights
        self.changed = self.changed or not np.array_equal(rows, np.broadcast_to(self.first, rows.shape), equal_nan=True)
        terms = rows[:, self.counting] * self.weights
        self.seen.append((*self.asked, np.abs(terms) @ self.units, np.abs(terms - self.at_x) @ self.units))
        sums = terms.sum(axis=1)
        return sums if self.vectorized else sums[0]

    def _rows(self, value: Any) -> NDArray[Any]:
        """Flatten what f returned, (m, size), in the layout of the cotangent."""
        if self.first is None:
            Values.of(value)  # refuses what holds no numbers
        columns = []
        for leaf, part in zip(self.cotangent.leaves, self.cotangent.parts(value, name="f(x)"), strict=True):
            array = as_array(part, "f(x)")
            if array.dtype.kind not in "iufc":
                raise InputError(f"f returned an array of dtype {array.dtype}; expected numbers")
            if array.shape[self.vectorized :] != leaf.shape or array.ndim < self.vectorized:
                name, place = f" of {leaf.name}" if leaf.name else "", "f(x)" if self.first is None else "f near x"
                raise InputError(
                    f"the cotangent{name} has shape {leaf.shape}, {place} {array.shape[self.vectorized :]}; "
                    "expected equal ones"
                )
            columns.append(array.reshape(len(array) if self.vectorized else 1, -1))
        rows = np.concatenate(columns, axis=1)
        if self.first is None:
            spacings = [np.full(column.shape[1], _unit(column.dtype)) for column in columns]
            self.units = np.concatenate(spacings)[self.counting]
        return rows

    def _levels(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Give element, distance from x, and how much the terms round, for every point.

        Each term rounds to its own size, and as its argument is rounded.
        """
        columns = ([np.atleast_1d(part) for part in column] for column in zip(*self.seen, strict=True))
        elements, coordinates, sizes, changes = map(np.concatenate, columns)
        starts = self.starts[elements]
        distances = np.abs(coordinates - starts)
        # |x| / |h|: what a relative change of x, by rounding, makes of the change that h has made; 0 at x itself
        shares = np.abs(starts) / np.where(distances > 0, distances, np.inf)
        return elements, distances, sizes + shares * changes

    def widen(self, table: Table) -> None:
        """Raise noise and rounding of every estimate to what the terms imply within its step.

        Raises
        ------
        InputError
            If f returned something else at some point than at x.
        """
        if self.wrong is not None:
            raise self.wrong
        elements, distances, found = self._levels()
        # where f does not change, its step only says how far that was looked for
        reach = np.where(table.codes[:, 0] == Status.INSENSITIVE.code, 0.0, REACH * table.step[:, 0])
        near = np.isfinite(found) & (distances <= reach[elements])
        levels = np.full(len(table.step), found[0] if np.isfinite(found[0]) else 0.0)  # at x, which all share
        np.maximum.at(levels, elements[near], found[near])
        noise = table.noise[:, 0]
        table.rounding *= np.maximum(1.0, levels / np.where(noise > 0, noise, np.inf))[:, None]
        table.noise = np.maximum(table.noise, levels[:, None])

    def fx(self) -> Any:
        """Give f(x) as it is."""
        assert self.first is not None  # noqa: S101 (f was evaluated at x first)
        return self.cotangent.unflatten(self.first, cast=False)


def _unit(dtype: np.dtype[Any]) -> float:
    """Give the relative spacing of what f returns, as that of double precision where it is finer or whole."""
    return max(2.0**-52, float(np.finfo(dtype).eps)) if dtype.kind in "fc" else 2.0**-52
