"""Mixed partial derivatives: one difference over several axes at once, extrapolated like any other.

Along each axis the slope is asked for to begin with: its search finds the step H of that axis and the noise of f, and
knows kinks, jumps and edges. Then f is looked at on lattices x + s H·offsets that shrink with s. Their exact weights
are products of those of one axis (`stencil`), so M(s), the weighted sum over the product of all (s H)^order, is the
derivative plus terms in s^2, s^4, ..., and is extrapolated to s = 0 (`windows`). An axis that has one side only has
one-sided offsets, and M(s) then has all powers of s.

Values that the searches along the axes have already are not asked for again.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Final

from mibun.conversation import Estimate, Request
from mibun.methods.adaptive.ladder import RUNGS
from mibun.methods.adaptive.orders import CHOSEN, MARGIN, SIGMAS
from mibun.methods.adaptive.scalar import COMMON, differentiate
from mibun.methods.adaptive.scale import EPS, first_step
from mibun.methods.adaptive.windows import Choice, Sample, Windows
from mibun.status import Status
from mibun.stencil import stencil

__all__ = ["MixedPartial"]

Point = tuple[float, ...]
Asking = Generator[tuple[Point, ...], Sequence[float], Estimate]

#: Lattices that are looked at first, in units of the steps of the axes.
FIRST: Final = RUNGS[:3]
FIRST_ONE_SIDED: Final = (1.0, 1 / 2, 1 / 4, 1 / 8)
#: A bound this share of the value is good enough for no other lattice to be tried.
ENOUGH: Final = 1e-10
#: Offsets of one axis for each order.
CENTRAL: Final = ((), (-1.0, 1.0), (-1.0, 0.0, 1.0), (-1.0, -0.5, 0.5, 1.0))
#: A one-sided search ends with the smallest step of its window; a lattice begins with a larger one.
WIDER: Final = 8.0
SEVERITY: Final = tuple(Status)


@lru_cache(maxsize=64)
def lattice(orders: tuple[int, ...], sides: tuple[int, ...]) -> tuple[tuple[Point, float], ...]:
    """Give the offsets of a lattice with their weights, which are products of those of the axes."""
    axes = []
    for order, side in zip(orders, sides, strict=True):
        offsets = tuple(side * i / order for i in range(order + 1)) if side else CENTRAL[order]
        exact = stencil(offsets, order)
        axes.append(list(zip(exact.float_offsets, exact.float_weights, strict=True)))
    found = []
    for corner in product(*axes):
        weight = math.prod(weight for _, weight in corner)
        if weight:
            found.append((tuple(offset for offset, _ in corner), weight))
    return tuple(found)


@dataclass(frozen=True)
class MixedPartial:
    """The derivative of these orders, one for each axis; its points are tuples, one coordinate for each axis.

    Parameters
    ----------
    orders : tuple of int
        At least two, of 1 to 3 each.
    limits : tuple of (lower, upper, unit)
        The bounds of every axis, and the relative spacing of its floats.
    """

    orders: tuple[int, ...]
    limits: tuple[tuple[float, float, float], ...]

    def converse(self, x: Any, request: Request) -> Generator[Any, Sequence[Any], Estimate]:
        """Start a conversation about the derivative at x."""
        return Lattices(self.orders, self.limits, x, request).go()


class Lattices:
    """What was seen along the axes and on the lattices."""

    def __init__(self, orders: tuple[int, ...], limits: Sequence[Any], x: Point, request: Request) -> None:
        self.orders, self.limits, self.x, self.request = orders, limits, x, request
        self.known: dict[Point, float] = {}
        self.spare = request.budget
        self.samples: list[Sample] = []

    def go(self) -> Asking:
        """Search along every axis, then look at lattices as long as that helps."""
        found = []
        for axis in range(len(self.x)):
            slope = yield from self.along(axis)
            if slope.status in (Status.KINK, Status.JUMP, Status.NOT_FINITE):
                message = f"{slope.message or slope.status.word}: there is no mixed derivative"
                return slope._replace(value=math.nan, truncation=0.0, rounding=math.inf, message=message)
            found.append(slope)
        self.sides = tuple(self.side(slope) for slope in found)
        self.steps = tuple(self.step(axis, slope) for axis, slope in enumerate(found))
        self.noisy = any(slope.status is Status.NOISY for slope in found)
        self.noise = max(slope.noise for slope in found)
        best = yield from self.climb()
        return self.told(best, max(found, key=lambda slope: SEVERITY.index(self.judged(slope))))

    def along(self, axis: int) -> Asking:
        """Ask for the slope along one axis, and leave points for the other axes and two lattices."""
        lower, upper, unit = self.limits[axis]
        kept = COMMON * (len(self.x) - 1 - axis) + 2 * len(lattice(self.orders, (0,) * len(self.x)))
        budget = max(self.spare - kept, min(COMMON, self.spare))
        request = self.request._replace(rtol=0.0, atol=0.0, lower=lower, upper=upper, unit=unit, budget=budget)
        talk = differentiate(self.x[axis], request)
        try:
            points = next(talk)
            while True:
                values = yield from self.asked([self.moved(axis, point.real) for point in points])
                if len(values) < len(points):
                    talk.close()
                    return Estimate(math.nan, 0.0, math.inf, Status.BUDGET_SPENT, 0.0, 0.0, "the budget was spent")
                points = talk.send(values)
        except StopIteration as stop:
            found: Estimate = stop.value
            return found

    def moved(self, axis: int, coordinate: float) -> Point:
        """Give x with another coordinate on one axis."""
        return (*self.x[:axis], coordinate, *self.x[axis + 1 :])

    def asked(self, points: Sequence[Point]) -> Generator[tuple[Point, ...], Sequence[float], list[float]]:
        """Give f at points, asking for those that are new; nothing if there are more of them than the budget has."""
        new = tuple(dict.fromkeys(point for point in points if point not in self.known))
        if len(new) > self.spare:
            return []
        if new:
            self.known.update(zip(new, (yield new), strict=True))
            self.spare -= len(new)
        return [self.known[point] for point in points]

    def side(self, slope: Estimate) -> int:
        """Tell on which side of x f can be evaluated, 0 for both."""
        return 0 if slope.status is not Status.ONE_SIDED else 1 if "right" in slope.message else -1

    def step(self, axis: int, slope: Estimate) -> float:
        """Give the step of an axis; where f does not change along it, that which x suggests."""
        lower, upper, unit = self.limits[axis]
        x = self.x[axis]
        if slope.status is Status.INSENSITIVE or not slope.step > 0.0:
            step = first_step(x, unit)
            return min(step, max(min(x - lower, upper - x), 0.0) or step)
        return WIDER * slope.step if slope.status is Status.ONE_SIDED else slope.step

    def judged(self, slope: Estimate) -> Status:
        """Give the status of an axis; that f does not change along it says nothing about the others."""
        return Status.CONVERGED if slope.status is Status.INSENSITIVE else slope.status

    def climb(self) -> Generator[tuple[Point, ...], Sequence[float], Choice]:
        """Look at the first lattices, then at larger ones while rounding limits the bound, at smaller ones else."""
        one_sided = any(self.sides)
        for s in FIRST_ONE_SIDED if one_sided else FIRST:
            yield from self.looked(s)
        best = self.best()
        low, high = best.value - best.error, best.value + best.error
        while not best.error <= max(self.request.rtol, ENOUGH) * abs(best.value) + self.request.atol:
            limited = best.rounding > best.truncation
            steps = sorted(sample.h for sample in self.samples)
            if not steps or not (best.at_top if limited else best.at_bottom or best.value != best.value):
                break
            if not (yield from self.looked(2 * steps[-1] if limited else steps[0] / 2)):
                break
            found = self.best()
            if math.isfinite(best.error) and (not low <= found.value <= high or found.error >= best.error):
                break
            gain, best = found.error / best.error, found
            low, high = max(low, best.value - best.error), min(high, best.value + best.error)
            if gain > 0.9:
                break
        return best

    def looked(self, s: float) -> Generator[tuple[Point, ...], Sequence[float], bool]:
        """Look at one lattice; False if it is not to be had, or f is not finite there."""
        corners = lattice(self.orders, self.sides)
        points = []
        for offsets, _ in corners:
            points.append(tuple(x + o * (s * h) for x, o, h in zip(self.x, offsets, self.steps, strict=True)))
        for (lower, upper, _), coordinates in zip(self.limits, zip(*points, strict=True), strict=True):
            if min(coordinates) < lower or max(coordinates) > upper:
                return False
        values = yield from self.asked(points)
        total = math.fsum(weight * value for (_, weight), value in zip(corners, values, strict=False))
        if not values or not math.isfinite(total):
            return False
        weights = [weight for _, weight in corners]
        spread = math.hypot(*weights) if self.noisy else math.fsum(map(abs, weights))
        unit = math.prod((s * h) ** order for h, order in zip(self.steps, self.orders, strict=True))
        self.samples.append(Sample(s, total / unit, spread * self.level(s, values) / unit))
        return True

    def level(self, s: float, values: Sequence[float]) -> float:
        """Bound the error of one value of a lattice, or give its standard deviation."""
        if self.noisy:
            return SIGMAS * self.noise
        f0 = self.known[self.x]
        change = max(abs(value - f0) for value in values)
        lost = math.fsum(abs(x) / (s * h) for x, h in zip(self.x, self.steps, strict=True))
        unit: float = max(unit for _, _, unit in self.limits)
        return MARGIN * max(self.noise, unit * max(abs(f0), change) + EPS * lost * change)

    def best(self) -> Choice:
        """Extrapolate, and give the best window."""
        return Windows(self.samples, 1 if any(self.sides) else 2, 0, self.noisy).best()

    def told(self, best: Choice, worst: Estimate) -> Estimate:
        """Make the answer; `worst` is what was found along the axis that is least to be trusted."""
        status, message = self.judged(worst), worst.message if worst.status is not Status.INSENSITIVE else ""
        more = CHOSEN if self.noisy else 1.0
        rounding = more * best.rounding + 4 * EPS * abs(best.value)
        if not math.isfinite(best.error) and status.passes:
            status = Status.BUDGET_SPENT if self.spare < len(lattice(self.orders, self.sides)) else Status.UNRESOLVED
            message = "the budget had no points for it" if status is Status.BUDGET_SPENT else "no lattice has room"
        elif status.passes and not self.noisy and best.truncation > max(abs(best.value) / 8, 1e3 * best.rounding):
            status, message = Status.UNRESOLVED, "the lattices do not agree"
        if not status.passes:
            rounding = math.inf
        step = best.step * max(self.steps)
        return Estimate(best.value, more * best.truncation, rounding, status, step, self.noise, message)
