"""What is around a point where the slope is 0: f rises everywhere, falls somewhere, or stays as it is.

Curvatures come from the Hessian while that is small, with a bound for every eigenvalue, and from Lanczos' method
beyond (Golub and Van Loan, Matrix Computations, chapter 10): a few products with vectors, by differences of
gradients, find the extreme ones. Along directions whose curvature may be 0, and along entries with a kink, f is looked
at itself, outwards from near: the first change that its resolution allows to see decides.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.descent.course import Course, Vector
from mibun.descent.landscape import Landscape
from mibun.status import PASSING

__all__ = ["NEAREST", "Bend", "Surroundings", "Walk", "curvatures", "surroundings"]

Mask = NDArray[np.bool_]

#: Most entries for a whole Hessian.
SMALL: Final = 40
#: Products with vectors beyond.
PRODUCTS: Final = 12
#: Distances of a walk, in units of the largest.
DISTANCES: Final = tuple(4.0**-k for k in range(5, -1, -1))
#: What f does up to here is what it does near x.
NEAREST: Final = 1.5 * DISTANCES[0]
#: Most directions to walk along, and random ones where f has kinks.
WALKS: Final = 8
RANDOM: Final = 4
#: A change of f counts if it is so many times the resolution of f.
SEEN: Final = 8.0


class Bend(NamedTuple):
    """Curvature of f along a direction of length 1, with its bound."""

    value: float
    error: float
    direction: Vector


class Walk(NamedTuple):
    """The first change of f that was seen along a direction of length 1; 0 where it stays as it is."""

    direction: Vector
    distance: float
    change: float


class Surroundings(NamedTuple):
    """What was found around a point."""

    bends: list[Bend]  #: by curvature, the lowest first; of large problems only the extreme ones
    walks: list[Walk]
    reach: float  #: how far the walks went

    @property
    def down(self) -> Bend | None:
        """The direction in which f surely curves down the most."""
        return next((bend for bend in self.bends if bend.value < -bend.error), None)

    @property
    def falls(self) -> Walk | None:
        """The walk that goes down first."""
        return min((walk for walk in self.walks if walk.change < 0), key=lambda walk: walk.distance, default=None)

    @property
    def rises(self) -> bool:
        """Whether f surely rises in some direction."""
        return any(bend.value > bend.error for bend in self.bends) or any(walk.change > 0 for walk in self.walks)

    @property
    def lowest(self) -> float:
        """A curvature that f has at least in every direction, above 0; nan where there is none."""
        least = min((bend.value - bend.error for bend in self.bends), default=math.nan)
        return least if least > 0 and not self.walks else math.nan


def surroundings(landscape: Landscape, course: Course, free: Mask) -> Surroundings:
    """Look around the last point of a course, along the entries that are free to move."""
    x, look = course.points[-1], course.looks[-1]
    smooth = free & (look.codes < PASSING)
    bends = curvatures(landscape, x, smooth) if smooth.any() else []
    down = [_confirmed(landscape, x, bend) for bend in bends[:1] if bend.value < -bend.error]
    if down and down[0].value < -down[0].error:
        return Surroundings(down, [], 0.0)
    doubtful = [bend.direction for bend in bends if not abs(bend.value) > bend.error][:WALKS]
    rough = free if smooth.any() and not bends else free & ~smooth
    doubtful += [_axis(x, int(place)) for place in np.flatnonzero(rough)[:WALKS]]
    if rough.any():
        doubtful += [_random(landscape.rng, free) for _ in range(RANDOM if free.sum() > 1 else 0)]
    reach = _reach(course)
    walks = [
        _walk(landscape, x, look.loss, look.noise, sign * direction, reach)
        for direction in doubtful
        for sign in (1.0, -1.0)
    ]
    return Surroundings(bends, walks, reach)


def curvatures(landscape: Landscape, x: Vector, free: Mask) -> list[Bend]:
    """Find the curvatures of f at x, the lowest first; none where f has none."""
    if free.sum() > SMALL:
        return _lanczos(landscape, x, free)
    found = landscape.hessian(x, free)
    matrix, doubt = np.atleast_2d(found.value), np.atleast_2d(found.error)
    if not np.isfinite(doubt).all():
        return []
    values, vectors = np.linalg.eigh(matrix)
    bends = []
    for value, vector in zip(values.tolist(), vectors.T, strict=True):
        # the eigenvalues of a matrix move by at most the norm of what is added to it
        direction = np.zeros(x.shape)
        direction[free] = vector
        bends.append(Bend(value, float(np.linalg.norm(doubt, 2)), direction))
    return bends


def _confirmed(landscape: Landscape, x: Vector, bend: Bend) -> Bend:
    """Measure a curvature again, along its direction alone."""
    found = landscape.along(x, bend.direction, order=2)
    if not found.passes:
        return bend._replace(error=math.inf)
    return Bend(float(found.value), float(found.error), bend.direction)


def _lanczos(landscape: Landscape, x: Vector, free: Mask) -> list[Bend]:
    """Find the extreme curvatures; their errors are the residuals, so that each is near some curvature of f."""
    step = 1e-4 * max(1.0, float(np.abs(x).max()))
    basis: list[Vector] = []
    products: list[Vector] = []
    new = _random(landscape.rng, free)
    for _ in range(PRODUCTS):
        basis.append(new)
        width = step / float(np.abs(new).max())
        ends = [landscape.inside(x + sign * width * new) for sign in (1.0, -1.0)]
        up, down = (landscape.look(end) for end in ends)
        if not (up.finite and down.finite):
            return []
        products.append(np.where(free, up.gradient - down.gradient, 0.0) / float((ends[0] - ends[1]) @ new))
        new = products[-1]
        for _ in range(2):  # once is not enough: rounding brings old directions back
            new = new - np.array(basis).T @ (np.array(basis) @ new)
        length = float(np.linalg.norm(new))
        if not length > 1e-8 * float(np.linalg.norm(products[-1])):
            break
        new = new / length
    frame = np.array(basis)
    small = frame @ np.array(products).T
    values, vectors = np.linalg.eigh((small + small.T) / 2)
    bends = []
    for place in (0, -1):
        direction = frame.T @ vectors[:, place]
        residual = np.array(products).T @ vectors[:, place] - values[place] * direction
        bends.append(Bend(float(values[place]), float(np.linalg.norm(residual)), direction))
    return bends


def _walk(landscape: Landscape, x: Vector, loss: float, resolution: float, direction: Vector, reach: float) -> Walk:
    """Go outwards until f changes; stay within the bounds, and where f is finite."""
    for share in DISTANCES:
        change = landscape.tried(landscape.inside(x + share * reach * direction)) - loss
        if not math.isfinite(change):
            break
        if abs(change) > SEEN * resolution:
            return Walk(direction, share * reach, change)
    return Walk(direction, 0.0, 0.0)


def _reach(course: Course) -> float:
    """How far to look: as far as the course has come, or the size of x; 1 where both are 0."""
    start, x = course.points[0], course.points[-1]
    return float(max(np.abs(x).max(), np.abs(x - start).max())) or 1.0


def _axis(x: Vector, place: int) -> Vector:
    direction = np.zeros(x.shape)
    direction[place] = 1.0
    return direction


def _random(rng: np.random.Generator, free: Mask) -> Vector:
    direction = np.where(free, rng.standard_normal(free.shape), 0.0)
    return direction / float(np.linalg.norm(direction))
