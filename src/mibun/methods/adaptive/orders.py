"""Derivatives of order 2, 3 and 4, from the search for the first one and a few pairs more.

The first derivative is asked for to begin with: its search finds the scale of f and the noise of its values, and knows
kinks, jumps, edges and what else is wrong. The values of its last ladder are used again. Half the sum of a pair less
f(x), over h^2, is c2 + c4 h^2 + ..., and half the difference, over h, is c1 + c3 h^2 + ...: coefficients of polynomials
in h^2 (`windows`). An error N of one value is N/h^k in the derivative of order k, so its best steps are larger than
those of the slope. While the rounding of the largest steps limits the bound, larger ones are tried, and accepted only
if their value lies in every interval found before (as in `noise`); where truncation limits it, smaller ones are.

Pairs alone cannot tell a kink of a derivative: x |x| has perfect even ones, and no second derivative. The points of
each side alone are extrapolated, too, and where the two sides differ by far more than their bounds it is a kink. Where
the search for the slope found no step at which f looks smooth, and it is none, no bound is given.
"""

import math
from collections.abc import Callable, Generator, Sequence
from typing import Final, NamedTuple

from mibun.conversation import Conversation, Estimate, Request
from mibun.methods.adaptive.ladder import RUNGS
from mibun.methods.adaptive.scale import EPS, first_step
from mibun.methods.adaptive.windows import Best, Choice, Sample, Windows
from mibun.status import Status

__all__ = ["higher", "nowhere"]

#: A bound this share of the value is good enough for no larger step to be tried, for each order.
ENOUGH: Final = (0.0, 1e-12, 1e-10, 1e-8, 1e-6)
#: What cannot be seen beside the change of f.
SMALL: Final = 1e-12
#: Rounding inside of f may be so many times that of its value and of x; more than for the slope, whose bound is the
#: least of few windows.
MARGIN: Final = 4.0
#: Standard deviations of the noise that the bound has, and what the choice of the best window adds.
SIGMAS: Final = 5.0 * 1.15
CHOSEN: Final = 2.0
#: Largest step under noise, in units of that of the slope: beyond it f may be another one.
FARTHEST: Final = 2.001
#: The derivatives of both sides differ where they are so many of their bounds, and this share of them, apart.
APART: Final = 64.0
GAP: Final = 1 / 32
#: Points that the search for the slope takes at least where a higher derivative has a kink.
TROUBLE: Final = 20
#: Points at most on the side that a near bound leaves.
ASIDE: Final = 12
SIDED: Final = "larger steps than the bounds leave on both sides were taken on one of them"
#: Steps of the last ladder that are used, from its largest on.
REACH: Final = 1024.0

Asking = Generator[tuple[float, ...], Sequence[float], Estimate]
Start = Callable[[float, Request], Conversation]


class Pair(NamedTuple):
    """f at x + h and x - h; the side that is not known has f(x)."""

    h: float
    up: float
    down: float


def higher(slope: Start, x: float, request: Request) -> Asking:
    """Converse about the derivative of order 2, 3 or 4; `slope` starts the conversation about the first one."""
    order, budget = request.order, request.budget
    talk = slope(x, request._replace(order=1, rtol=0.0, atol=0.0))
    asked: list[float] = []
    answers: list[float] = []
    try:
        points = next(talk)
        while True:
            values = yield points  # type: ignore[misc]
            asked += points  # type: ignore[arg-type]
            answers += values
            points = talk.send(values)
    except StopIteration as stop:
        found: Estimate = stop.value
    if found.status in (Status.KINK, Status.JUMP, Status.NOT_FINITE):
        return nowhere(found, order)
    climb = Climb(x, asked, answers, found, request)
    if found.status is Status.INSENSITIVE:
        step = min(first_step(x, request.unit), found.step)
        flat = found._replace(rounding=found.rounding * math.factorial(order) * (4 / step) ** (order - 1))
        # x |x| + 1 is flat close to 0 and changes farther away
        return (climb.bent() if found.truncation else None) or flat
    return (yield from climb.go(budget - len(asked)))


def nowhere(found: Estimate, order: int) -> Estimate:
    """Say why there is no derivative of any order."""
    message = f"{found.message or found.status.word}: there is no derivative of order {order}"
    return found._replace(value=math.nan, truncation=0.0, rounding=math.inf, message=message)


def _differ(left: Choice, right: Choice) -> bool:
    """Tell whether the derivatives of both sides are far apart."""
    a, b = left.value, right.value
    return abs(b - a) > max(APART * (left.error + right.error), GAP * abs(a), GAP * abs(b))


class Climb:
    """The pairs of f, and what they say about the derivative of one order."""

    def __init__(
        self, x: float, asked: Sequence[float], answers: Sequence[float], slope: Estimate, request: Request
    ) -> None:
        self.x, self.f0, self.slope, self.request = x, answers[asked.index(x)], slope, request
        self.order, self.noisy = request.order, slope.status is Status.NOISY
        self.troubled = len(asked) > TROUBLE or not slope.status.passes
        self.side = 0
        if slope.status is Status.ONE_SIDED:
            self.side = 1 if asked[-1] > x else -1
        self.pairs: list[Pair] = []
        searched = slope.status.passes and slope.status is not Status.INSENSITIVE and not self.side
        self.keep(asked, answers, 0.0, math.inf)
        self.every = self.pairs
        if searched:
            self.pairs = [pair for pair in self.pairs if slope.step / REACH <= pair.h <= slope.step * 1.0001]

    def keep(self, asked: Sequence[float], answers: Sequence[float], least: float, most: float) -> bool:
        """Keep the pairs whose step is in a range, where f is finite; of one side its points; False if none is new."""
        known, before, f0 = {pair.h for pair in self.pairs}, len(self.pairs), self.f0
        for i, (point, value) in enumerate(zip(asked, answers, strict=True)):
            if self.side:
                h = (point - self.x) * self.side
                pair = Pair(h, value, f0) if self.side > 0 else Pair(h, f0, value)
            elif point > self.x and i + 1 < len(asked) and asked[i + 1] < self.x:
                pair = Pair((point - asked[i + 1]) / 2, value, answers[i + 1])
            else:
                continue
            if 0.0 < pair.h not in known and least <= pair.h <= most and math.isfinite(pair.up + pair.down):
                known.add(pair.h)
                self.pairs.append(pair)
        self.pairs.sort()
        return len(self.pairs) > before

    def choice(self, order: int, side: int, most: float = math.inf) -> Choice:
        """Give the derivative of an order from the best window, of pairs or of one side, of steps up to `most`."""
        best = self.windows(order, side, most).best()
        factor = math.factorial(order) * (side**order if side else 1)
        return best._replace(
            value=factor * best.value, truncation=abs(factor) * best.truncation, rounding=abs(factor) * best.rounding
        )

    def windows(self, order: int, side: int, most: float) -> Windows:
        """Give the windows for a derivative, but for the factor order! and, on the left, the sign."""
        samples: list[Sample] = []
        even = order % 2 == 0
        for h, up, down in self.pairs:
            if h > most:
                break
            level = self.level(h, up, down)
            if side:
                samples.append(Sample(h, ((up if side > 0 else down) - self.f0) / h, level / h, level / h))
                continue
            unit, own = (h * h if even else h), level / math.sqrt(2) if self.noisy else level
            change = (up - self.f0) - (self.f0 - down) if even else up - down
            samples.append(Sample(h, change / 2 / unit, own / unit, level / unit if even else 0.0))
        samples = [sample for sample in samples if math.isfinite(sample.value)]
        return Windows(samples, *((1, order - 1) if side else (2, (order - 1) // 2)), self.noisy)

    def bent(self) -> Estimate | None:
        """Find the lowest order at which the derivatives from the left and from the right differ.

        Those of a kink differ at all scales, so they are compared at the smaller step of both. A kink of a low order
        gives the search for the slope trouble, so only then all orders are looked at.
        """
        if self.troubled:  # its steps may be too small to see anything of a kink beside a constant
            self.pairs = sorted({*self.every, *self.pairs})
        for order in range(2 if self.troubled else self.order, self.order + 1):
            left, right = (self.choice(order, side) for side in (-1, 1))
            if not _differ(left, right):
                continue
            top = min(left.step, right.step)
            left, right = (self.choice(order, side, top) for side in (-1, 1))
            a, b = left.value, right.value
            if _differ(left, right):
                text = f"the derivatives of order {order} from the left ({a:.6g}) and from the right ({b:.6g}) differ"
                rounding, noise = left.error + right.error, self.slope.noise
                found = Estimate((a + b) / 2, abs(b - a) / 2, rounding, Status.KINK, top, noise, text, a, b)
                return found if order == self.order else nowhere(found, self.order)
        return None

    def level(self, h: float, up: float, down: float) -> float:
        """Bound the error of one value of a pair, which may be larger than near x; or give its standard deviation."""
        if self.noisy:
            return SIGMAS * self.slope.noise
        x, f0, eps = self.x, self.f0, self.request.unit
        slope = max(abs(up - f0), abs(f0 - down)) / h  # that of one side: at an extremum the values still answer to x
        missed = 0.0 if self.side else abs(((x + h) - x) - h) + abs((x - (x - h)) - h)
        size = max(abs(f0), abs(up - f0), abs(down - f0))
        return MARGIN * max(self.slope.noise, eps * size + (EPS * abs(x) + missed) * slope)

    def go(self, spare: int) -> Asking:
        """Look for the best window, and ask for more pairs where that helps."""
        best = Best(self.choice(self.order, self.side))
        while spare >= 2 and not self.enough(best.choice):
            steps = self.next_steps(best.choice, spare)
            if not steps:
                break
            points = [self.x + side * h for h in steps for side in ((self.side,) if self.side else (1, -1))]
            values = yield tuple(points)
            spare -= len(points)
            smaller = bool(self.pairs) and steps[0] < self.pairs[0].h
            if not self.keep(points, values, 0.0, math.inf):
                break
            if not best.take(self.choice(self.order, self.side), smaller):
                break
        if not self.side and self.cramped(best.choice):
            yield from self.aside(best, spare)
        return self.told(best.choice)

    def room(self) -> tuple[float, float]:
        """Give the way to the lower bound and to the upper one."""
        return self.x - self.request.lower, self.request.upper - self.x

    def cramped(self, best: Choice) -> bool:
        """Tell whether a bound of x leaves no room for the larger pairs that would help."""
        near = min(self.room())
        at_end = best.at_top and best.rounding > best.truncation and 2 * self.pairs[-1].h > near
        return at_end and 4 * near < max(self.room()) and not self.enough(best) and self.slope.status.passes

    def aside(self, best: Best, spare: int) -> Generator[tuple[float, ...], Sequence[float], None]:
        """Look at larger steps on the side that has room, and take what they give if it is better."""
        left, right = self.room()
        side, top = (1 if right > left else -1), self.pairs[-1].h
        steps = [top * 2.0**i for i in range(1, min(spare, ASIDE) + 1) if top * 2.0**i <= max(left, right)]
        points = [self.x + side * h for h in steps]
        if not points:
            return
        values = yield tuple(points)
        two_sided, self.pairs, self.side = self.pairs, list(self.pairs), side
        self.keep(points, values, 0.0, math.inf)
        found = self.choice(self.order, side)
        inside = best.low <= found.value <= best.high
        if inside and found.error < best.choice.error:
            best.choice = found
            self.slope = self.slope._replace(status=Status.ONE_SIDED, message=SIDED)
        else:
            self.pairs, self.side = two_sided, 0

    def enough(self, best: Choice) -> bool:
        """Tell whether the tolerance is met, or the bound is far below what f changes on the scale of its slope."""
        wanted = max(self.request.rtol, ENOUGH[self.order]) * abs(best.value) + self.request.atol
        return best.error <= max(wanted, self.negligible)

    @property
    def negligible(self) -> float:
        """A derivative that cannot be seen beside the change of f at the largest step of the slope."""
        top = self.slope.step
        near = [max(abs(up - self.f0), abs(self.f0 - down)) for h, up, down in self.pairs if top / 4 <= h < 2 * top]
        return SMALL * max(near) / top**self.order if near else 0.0

    def next_steps(self, best: Choice, spare: int) -> list[float]:
        """Give the steps to be tried next, none if there is nothing to be gained."""
        most = max(self.room()) if self.side else min(self.room())
        limited = best.rounding > best.truncation
        if not math.isfinite(best.error):
            top = self.pairs[-1].h if self.pairs else self.slope.step
            return [h for h in (top * rung for rung in RUNGS[:5]) if h not in {p.h for p in self.pairs}][: spare // 2]
        if best.at_top and limited:
            top = self.pairs[-1].h
            steps = [2 * top] if best.error <= 2 * abs(best.value) or spare < 6 else [2 * top, 4 * top, 8 * top]
            if self.noisy:
                most = min(most, FARTHEST * self.slope.step)
            return [h for h in steps if h < most]
        if best.at_bottom and not limited:
            return [self.pairs[0].h / 2]
        return []

    def told(self, best: Choice) -> Estimate:
        """Make the answer."""
        kink = None if self.side or self.noisy else self.bent()
        if kink:
            return kink
        rounding = best.rounding * (CHOSEN if self.noisy else 1.0) + 4 * EPS * abs(best.value)
        status, message = self.slope.status, self.slope.message
        if not status.passes:
            rounding = math.inf
        if status.passes and not self.noisy and self.disagree(best):
            status, message = Status.UNRESOLVED, f"the steps do not agree about the derivative of order {self.order}"
        return Estimate(best.value, CHOSEN * best.truncation, rounding, status, best.step, self.slope.noise, message)

    def disagree(self, best: Choice) -> bool:
        """Tell whether truncation is as large as the value, and not only beside the rest of f."""
        if not math.isfinite(best.error):
            return True
        if best.truncation <= max(abs(best.value) / 8, best.rounding):
            return False
        change = max(max(abs(up - self.f0), abs(down - self.f0)) for h, up, down in self.pairs if h <= best.step)
        return best.truncation * best.step**self.order / math.factorial(self.order) > change / 1024
