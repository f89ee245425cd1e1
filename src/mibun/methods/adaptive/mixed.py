"""Mixed partial derivatives: one difference over several axes at once, extrapolated like any other.

Along each axis the search for the slope is led until the Taylor terms fall, with five values where they do so at once;
it knows kinks, jumps and edges. What was seen gives the axis its natural length L, the distance at which the terms 3
and 4 would be as large as 1 and 2. The look at the first axis is made a ladder of five pairs, whose tables tell the
noise of f; where there are too many axes for that, only if the first lattices differ by more than is likely.

Then f is looked at on lattices x + s L·offsets that shrink with s. Their exact weights are products of those of one
axis (`stencil`), so M(s), the weighted sum over the product of all (s L)^order, is the derivative plus terms in s^2,
s^4, ..., and is extrapolated to s = 0 (`windows`). The first s balances the error N of one value, N / s^n in a
derivative of order n, with the truncation of three lattices, s^6, or with the bound of two, s^2. An axis that has one
side only has one-sided offsets, and M(s) then has all powers of s.

Values that are known already are not asked for again.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Final

from mibun.conversation import Estimate, Request, in_range
from mibun.methods.adaptive.ladder import PAIRS, RUNGS
from mibun.methods.adaptive.noise import Pairs
from mibun.methods.adaptive.orders import CHOSEN, MARGIN, SIGMAS
from mibun.methods.adaptive.scalar import COMMON, differentiate
from mibun.methods.adaptive.scale import EPS, first_step, look
from mibun.methods.adaptive.windows import Best, Choice, Sample, Windows
from mibun.status import Status
from mibun.stencil import stencil

__all__ = ["MixedPartial"]

Point = tuple[float, ...]
Asking = Generator[tuple[Point, ...], Sequence[float], Estimate]

#: Lattices that are looked at first, in units of the first s; a third one; one-sided ones, of which more are needed.
FIRST: Final = (2.0, 1.0)
THIRD: Final = 2 * RUNGS[2]
FIRST_ONE_SIDED: Final = (4.0, 2.0, 1.0, 1 / 2)
#: Points that are meant to be enough.
MEANT: Final = 40
#: Most points of the search along one axis: enough for kinks and edges.
SEARCHED: Final = 18
#: Points of a look at one axis beside x.
LOOK: Final = 4
#: A bound this share of the value, or of a thousandth of the size of f over the natural lengths, is good enough for no
#: other lattice to be tried, by the order in all. Beyond the points that are meant, so is a larger one, of that size.
ENOUGH: Final = (0.0, 0.0, 1e-9, 1e-8, 1e-7)
SMALL: Final = 1e-3
BEYOND: Final = (0.0, 0.0, 1e-6, 1e-4, 1e-2)
#: Offsets of one axis for each order.
CENTRAL: Final = ((), (-1.0, 1.0), (-1.0, 0.0, 1.0), (-1.0, -0.5, 0.5, 1.0))
#: A one-sided search ends with the smallest step of its window; its natural length is larger.
WIDER: Final = 8.0
#: Most of the natural length in units of the step at which the Taylor terms fell.
FARTHEST: Final = 64.0
#: Room beside x in units of the natural length, below which the other side alone is looked at.
CRAMPED: Final = 1 / 64
#: The least s, where f is a polynomial of low degree.
LEAST: Final = 2.0**-12
#: Points that a look lacks to be a ladder; noise above so many roundings is noise.
INNER: Final = COMMON - 1 - LOOK
NOISY: Final = 20.0
#: Times that the first lattices are tried, each one an eighth of the one before, where f is not finite.
TRIES: Final = 3
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
        return in_range(Lattices(self.orders, self.limits, x, request).go())


class Lattices:
    """What was seen along the axes and on the lattices."""

    def __init__(self, orders: tuple[int, ...], limits: Sequence[Any], x: Point, request: Request) -> None:
        self.orders, self.limits, self.x, self.request = orders, limits, x, request
        self.known: dict[Point, float] = {}
        self.spare = request.budget
        self.samples: list[Sample] = []
        self.noise = request.noise or 0.0  # of one value
        self.size = 0.0  # of the change of f over the natural length of an axis
        self.lengths: list[float] = []
        self.sides = [0] * len(orders)
        self.noisy = False

    def go(self) -> Asking:
        """Search along every axis, then look at lattices as long as that helps."""
        found = []
        for axis in range(len(self.x)):
            slope = yield from self.along(axis)
            found.append(slope)
            if slope.status in (Status.KINK, Status.JUMP, Status.NOT_FINITE):
                return self.nowhere(slope)
            self.noisy |= slope.status is Status.NOISY
            self.noise = max(self.noise, slope.noise)
            self.lengths.append(self.length(axis, slope))
        listened = self.fit(INNER + len(FIRST) * len(self.corners))
        if listened:
            yield from self.listen(found[0])
        start = yield from self.first(self.start())
        if not listened and self.best().truncation > start * self.scale:  # noise, perhaps
            yield from self.listen(found[0])
            if self.noisy:
                self.samples.clear()
                start = yield from self.first(self.start())
        best = yield from self.climb(start)
        return self.told(best, max(found, key=lambda slope: SEVERITY.index(_judged(slope))))

    def listen(self, slope: Estimate) -> Generator[tuple[Point, ...], Sequence[float], None]:
        """Measure the noise of one value by a ladder along the first axis, unless its search did so."""
        top, x = slope.step, self.x[0]
        if self.noisy or slope.status is not Status.CONVERGED:
            return
        steps = [top * rung for rung in RUNGS[:PAIRS]]
        values = yield from self.asked([self.moved(0, x + side * h) for h in steps for side in (1, -1)])
        if not values or not all(map(math.isfinite, values)):
            return
        f0 = self.known[self.x]
        pairs = Pairs(f0, list(zip(steps, values[0::2], values[1::2], strict=True)))
        sigma = pairs.sigma(self.noise / 2, math.inf, ())
        self.noisy = sigma > NOISY * EPS * pairs.scale(x)
        self.noise = sigma if self.noisy else max(self.noise, sigma)

    def nowhere(self, slope: Estimate) -> Estimate:
        """Say that there is no derivative along one axis."""
        message = f"{slope.message or slope.status.word}: there is no mixed derivative"
        return slope._replace(value=math.nan, truncation=0.0, rounding=math.inf, message=message)

    def along(self, axis: int) -> Asking:
        """Ask for the slope along one axis until the terms fall, and leave points for the others and two lattices."""
        lower, upper, unit = self.limits[axis]
        side = self.cramped(axis, first_step(self.x[axis], unit))
        lower, upper = (self.x[axis] if side > 0 else lower), (self.x[axis] if side < 0 else upper)
        kept = LOOK * (len(self.x) - 1 - axis) + len(FIRST) * len(self.corners)
        request = self.request._replace(rtol=0.0, atol=math.inf, lower=lower, upper=upper, unit=unit)
        budget = min(max(self.spare - kept, min(COMMON, self.spare)), SEARCHED)
        noise = self.noise if self.noisy else request.noise
        talk = differentiate(self.x[axis], request._replace(budget=budget, noise=noise))
        try:
            points = next(talk)
            while True:
                values = yield from self.asked([self.moved(axis, point.real) for point in points])
                if len(values) < len(points):
                    talk.close()
                    return Estimate(math.nan, 0.0, math.inf, Status.BUDGET_SPENT, 0.0, 0.0, "the budget was spent")
                last = points[-1].real
                points = talk.send(values)
        except StopIteration as stop:
            found: Estimate = stop.value
            if found.status is Status.ONE_SIDED:
                self.sides[axis] = 1 if last > self.x[axis] else -1
            flat = all(v == self.known[self.x] for p, v in self.known.items() if p == self.moved(axis, p[axis]))
            return found._replace(status=Status.INSENSITIVE) if flat else found

    def cramped(self, axis: int, length: float) -> int:
        """Give the side of the larger room, where a bound is so near that pairs would be far shorter than a length."""
        lower, upper, _ = self.limits[axis]
        left, right = self.x[axis] - lower, upper - self.x[axis]
        return 0 if min(left, right) >= CRAMPED * min(length, max(left, right)) else 1 if right > left else -1

    def moved(self, axis: int, coordinate: float) -> Point:
        """Give x with another coordinate on one axis."""
        return (*self.x[:axis], coordinate, *self.x[axis + 1 :])

    def asked(self, points: Sequence[Point]) -> Generator[tuple[Point, ...], Sequence[float], list[float]]:
        """Give f at points, asking for those that are new; nothing if there are more of them than the budget has."""
        new = tuple(dict.fromkeys(point for point in points if point not in self.known and self.inside(point)))
        if len(new) > self.spare:
            return []
        if new:
            self.known.update(zip(new, (yield new), strict=True))
            self.spare -= len(new)
        return [self.known.get(point, math.nan) for point in points]

    def inside(self, point: Point) -> bool:
        """Tell whether a point is within the bounds."""
        return all(lower <= c <= upper for c, (lower, upper, _) in zip(point, self.limits, strict=True))

    def length(self, axis: int, slope: Estimate) -> float:
        """Give the natural length of an axis; where f does not change along it, the step that x suggests."""
        lower, upper, unit = self.limits[axis]
        x, top = self.x[axis], slope.step
        if slope.status is Status.INSENSITIVE or not top > 0.0:
            step = first_step(x, unit)
            return min(step, max(min(x - lower, upper - x), 0.0) or step)
        if slope.status is Status.ONE_SIDED:
            return WIDER * top
        pairs = [self.known.get(self.moved(axis, x + h)) for h in (top, -top, top / 2, -top / 2)]
        values = [value for value in pairs if value is not None]
        if len(values) < LOOK:
            return top
        seen = look(x, top, self.known[self.x], values, self.noise, unit)
        level = max(seen.first, seen.second)
        reach = min(math.sqrt(level / max(seen.curved, seen.unit)), FARTHEST) if level else 1.0
        self.size = max(self.size, seen.first * reach, seen.second * reach * reach)
        self.noise = max(self.noise, seen.unit)
        length = top * max(reach, 1.0)
        self.sides[axis] = self.cramped(axis, length)
        return length

    @property
    def corners(self) -> tuple[tuple[Point, float], ...]:
        """The lattice that is looked at."""
        return lattice(self.orders, tuple(self.sides))

    def fit(self, more: int) -> bool:
        """Tell whether so many more points are within those that are meant."""
        return self.request.budget - self.spare + more <= MEANT

    def start(self) -> float:
        """Give the s at which the error of one value and the truncation are in balance.

        That of three lattices; where there are points for two alone, that of their bound, which is s^2.
        """
        power = sum(self.orders) + (6 if self.fit((len(FIRST) + 1) * len(self.corners)) else 2)
        best = max((self.noise / self.size) ** (1 / power), LEAST) if self.size > self.noise else 1 / 2
        ways = zip(self.x, self.lengths, self.sides, self.limits, strict=True)
        room = [
            min(upper - x if side >= 0 else math.inf, x - lower if side <= 0 else math.inf) / length
            for x, length, side, (lower, upper, _) in ways
        ]
        return min(best, *(reach / (FIRST_ONE_SIDED if any(self.sides) else FIRST)[0] for reach in room))

    def first(self, start: float) -> Generator[tuple[Point, ...], Sequence[float], float]:
        """Look at the first lattices, smaller ones where f is not finite, and give their s."""
        for _ in range(TRIES):
            for s in FIRST_ONE_SIDED if any(self.sides) else FIRST:
                yield from self.looked(s * start)
            if len(self.samples) > 1:
                break
            start /= 8
        return start

    def climb(self, start: float) -> Generator[tuple[Point, ...], Sequence[float], Choice]:
        """Look at larger lattices while rounding limits the bound, at smaller ones while truncation does."""
        best = Best(self.best())
        while self.samples and not self.enough(best.choice):
            now, steps = best.choice, sorted(sample.h for sample in self.samples)
            limited = now.rounding > now.truncation
            if not (now.at_top if limited else now.at_bottom or now.value != now.value):
                break
            smaller = THIRD * start if steps == [start, 2 * start] else steps[0] / 2
            if not (yield from self.looked(2 * steps[-1] if limited else smaller)):
                break
            if not best.take(self.best(), smaller=not limited):
                break
        return best.choice

    def enough(self, best: Choice) -> bool:
        """Tell whether the tolerance is met, or the bound is small enough for what another lattice costs."""
        order, scale = sum(self.orders), self.scale
        if self.fit(len(self.corners)):
            wanted = ENOUGH[order] * max(abs(best.value), SMALL * scale)
        else:
            wanted = BEYOND[order] * max(abs(best.value), scale)
        if self.request.rtol or self.request.atol:
            wanted = self.request.rtol * abs(best.value) + self.request.atol
        return best.error <= wanted

    def looked(self, s: float) -> Generator[tuple[Point, ...], Sequence[float], bool]:
        """Look at one lattice; False if it is not to be had, or f is not finite there."""
        points, corners = [], self.corners
        for offsets, _ in corners:
            points.append(tuple(x + o * (s * h) for x, o, h in zip(self.x, offsets, self.lengths, strict=True)))
        if not all(map(self.inside, points)):
            return False
        values = yield from self.asked(points)
        total = math.fsum(weight * value for (_, weight), value in zip(corners, values, strict=False))
        weights = [weight for _, weight in corners]
        spread = math.hypot(*weights) if self.noisy else math.fsum(map(abs, weights))
        unit = s ** sum(self.orders) * self.unit
        if not values or not math.isfinite(total / unit):
            return False
        self.samples.append(Sample(s, total / unit, spread * self.level(s, values) / unit))
        return True

    @property
    def unit(self) -> float:
        """The product of all lengths to the power of their orders."""
        product = math.prod(length**order for length, order in zip(self.lengths, self.orders, strict=True))
        if not 0.0 < product < math.inf:
            raise OverflowError
        return product

    @property
    def scale(self) -> float:
        """The size of f over the natural lengths to the power of the orders."""
        return self.size / self.unit

    def level(self, s: float, values: Sequence[float]) -> float:
        """Bound the error of one value of a lattice, or give its standard deviation."""
        if self.noisy:
            return SIGMAS * self.noise
        f0 = self.known[self.x]
        change = max(abs(value - f0) for value in values)
        lost = math.fsum(abs(x) / (s * h) for x, h in zip(self.x, self.lengths, strict=True))
        unit: float = max(unit for _, _, unit in self.limits)
        return MARGIN * max(self.noise, unit * max(abs(f0), change) + EPS * lost * change)

    def best(self) -> Choice:
        """Extrapolate, and give the best window."""
        return Windows(self.samples, 1 if any(self.sides) else 2, 0, self.noisy).best()

    def told(self, best: Choice, worst: Estimate) -> Estimate:
        """Make the answer; `worst` is what was found along the axis that is least to be trusted."""
        status, message = _judged(worst), worst.message if worst.status is not Status.INSENSITIVE else ""
        rounding = best.rounding * (CHOSEN if self.noisy else 1.0) + 4 * EPS * abs(best.value)
        if not math.isfinite(best.error) and status.passes:
            status = Status.BUDGET_SPENT if self.spare < len(self.corners) else Status.UNRESOLVED
            message = "the budget had no points for it" if status is Status.BUDGET_SPENT else "no lattice has room"
        elif status.passes and not self.noisy and best.truncation > max(abs(best.value) / 8, self.scale / 64):
            status, message = Status.UNRESOLVED, "the lattices do not agree"
        elif status is Status.CONVERGED and self.noisy:
            status = Status.NOISY
        elif status is Status.CONVERGED and any(self.sides):
            status, message = Status.ONE_SIDED, "a bound is near"
        if not status.passes:
            rounding = math.inf
        step = best.step * max(self.lengths)
        return Estimate(best.value, CHOSEN * best.truncation, rounding, status, step, self.noise, message)


def _judged(slope: Estimate) -> Status:
    """Give the status of an axis: that f does not change along it says nothing about the others.

    Nor does a search that ran out of points while it looked for larger steps: it knows one at which the terms fall.
    """
    looked = slope.status is Status.BUDGET_SPENT and slope.step > 0.0 and math.isfinite(slope.rounding)
    return Status.CONVERGED if looked or slope.status is Status.INSENSITIVE else slope.status
