"""Values along the axes that are kept, and conversations of arrays that are led on them.

A Hessian asks again for what the gradient saw: the values of f where one entry of x moved. They are kept by axis and
coordinate, and no point is evaluated twice.
"""

from collections.abc import Generator, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from mibun.evaluate.drive import shares
from mibun.evaluate.serial import Serial
from mibun.evaluate.vectorized import Vectorized

__all__ = ["PER_AXIS", "PER_PAIR", "Along", "lead_along", "lead_apart", "split"]

Array = NDArray[np.float64]
Places = NDArray[np.intp]
Found = TypeVar("Found")
Evaluator = Serial | Vectorized

#: Most values of an axis beside those of its gradient, and most of a pair.
PER_AXIS: Final = 32
PER_PAIR: Final = 16
#: What an axis and a pair need in most cases: a budget is split in this proportion.
USUAL_AXIS: Final = 14
USUAL_PAIR: Final = 4


def split(budget: int | None, axes: int, pairs: int, least: int) -> tuple[int | None, Places, Places]:
    """Split a budget between the axes, of which each needs `least` points, and pairs of them.

    Returns the part of the axes, and the shares of each axis and of each pair.

    Examples
    --------
    >>> from mibun.evaluate.axes import split
    >>> split(60, 3, 3, 5)
    (46, array([16, 15, 15]), array([5, 5, 4]))
    """
    if budget is None:
        return None, np.full(axes, PER_AXIS), np.full(pairs, PER_PAIR)
    usual = USUAL_AXIS * axes
    part = max(min(budget, least * axes), budget * usual // (usual + USUAL_PAIR * pairs))
    own, shared = shares(part, axes, least, part), shares(budget - part, pairs, 2, PER_PAIR) if pairs else []
    return part, np.array(own, np.intp), np.array(shared, np.intp)


class Along:
    """What is known of f along the axes.

    Parameters
    ----------
    evaluator : Serial or Vectorized
        Has kept what it was asked.
    lower, upper : arrays
        Bounds of the coordinates; outside of them f is nan.
    shares : array of int
        Values that each axis may take, f(x) among them.
    limited : bool
        What the axes took so far counts, because there is a budget.
    """

    def __init__(self, evaluator: Evaluator, lower: Array, upper: Array, shares: Places, limited: bool) -> None:
        self.evaluator, self.lower, self.upper = evaluator, lower, upper
        kept = evaluator.kept or []
        columns = [np.concatenate([part[i].reshape(-1) for part in kept]) if kept else np.zeros(0) for i in range(3)]
        self.elements, self.coordinates, self.values = columns[0].astype(np.intp), columns[1], columns[2]
        keys = zip(self.elements.tolist(), self.coordinates.tolist(), strict=True)
        self.known: dict[tuple[int, float], float] = dict(zip(keys, self.values.tolist(), strict=True))
        self.shares = shares
        self.taken = (
            np.bincount(self.elements, minlength=len(shares)) + 1 if limited else np.zeros(len(shares), np.intp)
        )
        self.evaluations = 0

    def __call__(self, places: Places, points: Array) -> Array:
        """Give the values at the columns of points, one column a place."""
        targets = np.broadcast_to(places, points.shape)
        keys = list(zip(targets.reshape(-1).tolist(), points.reshape(-1).tolist(), strict=True))
        inside = ((self.lower[places] <= points) & (points <= self.upper[places])).reshape(-1).tolist()
        new = [key for key, fine in zip(keys, inside, strict=True) if fine and key not in self.known]
        if new:
            elements, coordinates = (np.array(part) for part in zip(*dict.fromkeys(new), strict=True))
            values = self.evaluator.array(elements, coordinates)
            self.evaluations += len(values)
            self.taken += np.bincount(elements, minlength=self.taken.size)
            self.known.update(zip(dict.fromkeys(new), values.tolist(), strict=True))
        return np.array([self.known.get(key, np.nan) for key in keys]).reshape(points.shape)

    def left(self) -> Places:
        """Count the values that each axis may still take."""
        return self.shares - self.taken

    def supplied(self, levels: Sequence[Array]) -> Places:
        """Tell how many of the levels, each with its points (signs, axes), every axis can give from its share."""
        left = self.left()
        count, going = np.zeros(left.size, np.intp), np.ones(left.size, bool)
        for points in levels:
            left -= [
                sum((axis, point) not in self.known for point in column)
                for axis, column in enumerate(points.T.tolist())
            ]
            going &= left >= 0
            count += going
        return count


def lead_along(asking: Generator[tuple[Places, Array], Array, Found], along: Along) -> Found:
    """Lead a conversation about values along the axes."""
    try:
        asked = next(asking)
        while True:
            asked = asking.send(along(*asked))
    except StopIteration as stop:
        found: Found = stop.value
        return found


def lead_apart(asking: Generator[Any, tuple[Array, Array], Found], along: Along, pairs: Evaluator) -> tuple[Found, int]:
    """Lead a conversation about pairs of axes, and count the points at which both moved."""
    evaluations = 0
    try:
        places, points, elements, scales = next(asking)
        while True:
            targets = np.broadcast_to(elements, scales.shape)
            near = along(places, points)
            values = pairs.array(targets.reshape(-1), scales.reshape(-1)).reshape(scales.shape)
            evaluations += values.size
            places, points, elements, scales = asking.send((near, values))
    except StopIteration as stop:
        return stop.value, evaluations
