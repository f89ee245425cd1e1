"""The adaptive derivative of a function of one number: how the parts work together.

1. `scale` looks at five values and tells whether the Taylor terms of f fall at the step H.
2. `ladder` extrapolates five pairs, and `stop` compares what the two tables disagree about with the rounding of f.

That is the common course of three functions in four, written out here. Where it does not lead to an answer, `search`
goes on: it looks for another H; `probe` asks a tiny pair what is wrong here; `noise` chooses the best window of all
pairs; `edge` differentiates towards one side.
"""

import math
from collections.abc import Sequence
from typing import Final

from mibun.conversation import Conversation, Estimate, Request
from mibun.methods.adaptive.edge import one_sided
from mibun.methods.adaptive.ladder import five_pairs, inner_pairs
from mibun.methods.adaptive.scale import first_step, look
from mibun.methods.adaptive.search import Asking, Search, not_finite
from mibun.methods.adaptive.stop import stop_test
from mibun.methods.adaptive.wide import OFFSET

__all__ = ["differentiate"]

#: Points of the common course.
COMMON: Final = 11


def differentiate(x: float, request: Request) -> Conversation:
    """Converse about f'(x)."""
    rtol, atol, lower, upper, noise, budget, eps, _, start = request
    free = lower == -math.inf and upper == math.inf
    top = first_step(x, eps, start)
    top, side = (top, 0) if free else _room(x, lower, upper, top)
    if side:
        (f0,) = yield (x,)
        if not math.isfinite(f0):
            return not_finite("f is not finite at x itself")
        return (yield from one_sided(x, f0, side, top, noise or 0.0))
    half = top / 2
    f0, *values = yield (x, x + top, x - top, x + half, x - half)
    if f0 - f0 != 0:
        return not_finite("f is not finite at x itself")
    total = sum(values)
    if budget < COMMON or rtol or atol or total - total != 0:
        return (yield from _searched(x, f0, request, top, values))
    seen = look(x, top, f0, values, noise or 0.0, eps)
    _, first, second, curved, unit, *_ = seen
    if (
        curved <= 8 * unit
        or (OFFSET * first < unit and OFFSET * second < unit)
        or (4 * curved > first and 4 * curved > second)
    ):
        return (yield from _searched(x, f0, request, top, values))
    more = yield inner_pairs(x, top)
    total = sum(more)
    if total - total == 0:
        reached, found = stop_test(five_pairs(f0, values, more, top), seen, top)
        if reached and found.rounding <= 1.5e-10 * abs(found.value):
            return found
    return (yield from _searched(x, f0, request, top, values, more))


def _searched(
    x: float, f0: float, request: Request, top: float, values: Sequence[float], more: Sequence[float] = ()
) -> Asking:
    """Lead the search on until it would ask for more points than the budget has."""
    search = Search(x, f0, request, top)
    asking, budget = search.go(values, more), request.budget - 5 - len(more)
    try:
        points = next(asking)
        while len(points) <= budget:
            budget -= len(points)
            points = asking.send((yield points))
    except StopIteration as stop:
        found: Estimate = stop.value
        return found
    asking.close()
    return search.spent()


def _room(x: float, lower: float, upper: float, top: float) -> tuple[float, int]:
    """Give the first step within the bounds, and the side to stay on where x is at one of them."""
    left, right = x - lower, upper - x
    room = min(left, right)
    if room >= top:
        return top, 0
    if room > 64 * math.ulp(x) and room > 2.0**-20 * top:
        return math.ldexp(1.0, math.frexp(room)[1] - 1), 0
    side = 1 if right > left else -1
    wide = max(left, right)
    return (top if wide >= top else math.ldexp(1.0, math.frexp(wide)[1] - 1)), side
