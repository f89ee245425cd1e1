"""What a descent has seen so far: a record in flat vectors, of a function that is to be made small.

The diagnosis reads it and nothing else, so a test can write one by hand.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.descent.rules import GradientDescent, Rule
from mibun.status import PASSING

__all__ = ["EPS", "Course", "Look", "Vector"]

Vector = NDArray[np.floating[Any]]
EPS: Final = 2.0**-52


class Look(NamedTuple):
    """What is known of f at one point."""

    loss: float
    gradient: Vector
    error: Vector  #: bound on the error of the gradient
    floor: Vector  #: the part of it below which a step is blind: all of it, but what random directions leave out
    noise: float  #: resolution of f: its noise, or its rounding
    noisy: bool  #: whether that is more than rounding
    codes: NDArray[np.uint8]  #: of `Status`, one an entry
    steps: Vector  #: of the differences; nan where there are none
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> Vector:
        """The gradient without what is below its own error, where not even the sign is known."""
        return np.where(np.abs(self.gradient) <= self.floor, 0.0, self.gradient)

    @property
    def finite(self) -> bool:
        """Whether there is a loss, and a slope along every entry."""
        return math.isfinite(self.loss) and bool(np.isfinite(self.gradient).all())

    @property
    def passes(self) -> bool:
        """Whether every slope can be trusted."""
        return bool((self.codes < PASSING).all())


@dataclass
class Course:
    """The points of a descent, and what was seen there.

    Attributes
    ----------
    points, looks
        One of each for every point.
    bends
        Of each move from one point to the next the mean curvature of f along it, by the change of the slope; nan where
        that is below its error.
    rule : Rule
        How the gradient was followed.
    searched : bool
        The length of the steps was searched for along a line, not that of the rule.
    sampled : bool
        The gradients are those along random directions.
    lower, upper : vectors, optional
        Bounds of the points.
    tolerance : float, optional
        Norm of the gradient that is small enough.
    name : str
        What messages call the function that is to be made small: "f", or "-f".
    """

    rule: Rule = field(default_factory=GradientDescent)
    searched: bool = False
    sampled: bool = False
    lower: Vector | None = None
    upper: Vector | None = None
    tolerance: float | None = None
    name: str = "f"
    points: list[Vector] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    bends: list[float] = field(default_factory=list)

    def add(self, x: Vector, look: Look) -> None:
        """Write down the next point."""
        if self.points:
            self.bends.append(_bend(self.points[-1], x, self.looks[-1], look))
        self.points.append(x)
        self.looks.append(look)

    @property
    def goal(self) -> str:
        """What is looked for."""
        return "minimum" if self.name == "f" else "maximum"

    @property
    def eps(self) -> float:
        """Relative spacing of the floats of x, and so what f can hold at best."""
        return float(np.finfo(self.points[-1].dtype).eps)

    @property
    def updates(self) -> int:
        """Number of updates done."""
        return len(self.points) - 1

    @property
    def free(self) -> NDArray[np.bool_]:
        """The entries of the last point but those that stand at a bound which the slope pushes against."""
        x, gradient = self.points[-1], self.looks[-1].known
        free = np.ones(x.shape, np.bool_)
        if self.lower is not None:
            free &= ~((x <= self.lower) & (gradient > 0))
        if self.upper is not None:
            free &= ~((x >= self.upper) & (gradient < 0))
        return free

    @property
    def slope(self) -> float:
        """Size of the gradient at the last point, along what is free."""
        return float(np.linalg.norm(self.looks[-1].gradient[self.free]))

    @property
    def doubt(self) -> float:
        """Size of the bound on its error."""
        return float(np.linalg.norm(self.looks[-1].floor[self.free]))

    @property
    def size(self) -> float:
        """Largest value of f that was seen."""
        return max(abs(look.loss) for look in self.looks)

    @property
    def grain(self) -> float:
        """How far x is from the nearest floats, or from the nearest points that f tells apart."""
        return float(np.linalg.norm(np.spacing(np.abs(self.points[-1]))))

    def losses(self, last: int | None = None) -> Vector:
        """Give f at all points, or at the last ones."""
        return np.array([look.loss for look in self.looks[-last if last else None :]])

    def moves(self, last: int) -> list[Vector]:
        """Give the last ways from one point to the next."""
        return [after - before for before, after in pairwise(self.points[-last - 1 :])]

    def curvatures(self, last: int | None = None) -> Vector:
        """Give the curvatures along all moves, or along the last ones, that are known."""
        found = np.array(self.bends[-last if last else None :], np.float64)
        return np.asarray(found[~np.isnan(found)])


def _bend(x: Vector, new: Vector, before: Look, after: Look) -> float:
    way = (new - x).astype(np.float64)
    length = float(way @ way)
    if not 0.0 < length < math.inf:
        return math.nan
    change = float((after.gradient - before.gradient) @ way)
    moved = way != 0.0  # an error can be infinite
    doubt = float((after.error + before.error)[moved] @ np.abs(way[moved]))
    return change / length if abs(change) > doubt else math.nan
