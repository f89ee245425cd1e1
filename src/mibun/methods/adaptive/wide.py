"""The wide ladder: where f has a large offset, its rounding wants larger steps, not smaller ones.

The usual ladder goes down to H/12, and passes on 26 N/H of the error N of one value. Where that is much beside the
slope while the Taylor terms of f fall fast, as for a sum of a thousand terms one of which moves, the next six values
are asked for outside of the first four: three pairs at 7/4, 25/8 and 11/2 times 2^m H, with m from the balance of
rounding (N / (2^m H)) and truncation (that of three pairs, M (C/M)^3 2^6m / H). Three windows of all pairs, from
H/2, from H and from the first wide one upwards, are weighed: the one is taken in which rounding and what the largest
step changed are least together; what is left of its even part is added to its error, for it measures the noise.

What is seen far away may belong to something else: the value must lie where the five values of the look say that the
slope is, and the bound must be smaller than the usual ladder's. Otherwise that ladder is climbed after all.
"""

import math
from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple

from mibun.conversation import Estimate, Request
from mibun.methods.adaptive.ladder import AMPLIFICATION, MARGIN, RUNGS
from mibun.methods.adaptive.scale import EPS, Look
from mibun.status import Status

__all__ = ["BALANCED", "DOUBLINGS", "FALL", "OFFSET", "WEIGHTS", "WIDE", "error_afar", "far", "wide_ladder", "windows"]

#: Steps of the wide pairs in units of 2^m H, largest first: few bits, on no coarse grid, see `ladder`.
WIDE: Final = (703 / 128, 401 / 128, 225 / 128)
#: Error of one value in units of the linear term, above which the usual ladder would lose 3e-12 of the slope.
OFFSET: Final = 2.0**-43
#: Largest C/M: the Taylor terms do not grow up to 11/2 H.
FALL: Final = 2.0**-5
#: Largest m.
DOUBLINGS: Final = 6
#: 2^-BALANCED is the share of N M^2 / C^3 up to which (2^m)^7 may go: truncation is mostly far below its estimate.
BALANCED: Final = 3


def _lagrange(steps: Sequence[float]) -> list[float]:
    """Weights of the value extrapolated to 0 in h^2."""
    squares = [step * step for step in steps]
    return [math.prod(b / (b - a) for j, b in enumerate(squares) if j != i) for i, a in enumerate(squares)]


def _weights(m: int) -> tuple[float, ...]:
    """Give for each window the weights of its slope, of that without its largest step, of its even part; its noise."""
    steps = [0.5, 1.0, *(math.ldexp(rung, m) for rung in reversed(WIDE))]
    found: list[float] = []
    for own in (steps, steps[1:], steps[2:]):
        slope = [w / (2 * h) for w, h in zip(_lagrange(own), own, strict=True)]
        before = [w / (2 * h) for w, h in zip(_lagrange(own[:-1]), own, strict=False)]
        found += [*slope, *before, *(w / (2 * own[0]) for w in _lagrange(own)), 1.05 * 2 * math.fsum(map(abs, slope))]
    return tuple(found)


#: For each m.
WEIGHTS: Final = tuple(_weights(m) for m in range(DOUBLINGS + 1))


def error_afar(x: Any, f0: Any, unit: Any, second: Any, top: Any, wide: Any, largest: Any) -> Any:
    """Bound the error of the values at wide steps, where f is larger, and so is its answer to the rounding of x."""
    change = abs(wide[0] - f0) + abs(f0 - wide[1])
    return unit + EPS * (change + abs(x) * (2 * largest * second / top / top))


class Window(NamedTuple):
    """What one window of pairs says."""

    value: Any  #: the slope
    gap: Any  #: how much the largest step changed it
    residual: Any  #: what is left of its even part, which should be 0, over its smallest step
    noise: Any  #: what an error of 1 in each value can add to the slope


def windows(f0: Any, values: Any, wide: Any, top: Any, weights: Any) -> list[Window]:
    """Give the windows from H/2, H and 7/4 2^m H upwards; of numbers, or of arrays over many elements, bit by bit."""
    up1, down1, up0, down0 = values
    up4, down4, up3, down3, up2, down2 = wide
    ups, downs = (up0, up1, up2, up3, up4), (down0, down1, down2, down3, down4)
    odd = [up - down for up, down in zip(ups, downs, strict=True)]
    even = [(up - f0) - (f0 - down) for up, down in zip(ups, downs, strict=True)]
    found, at = [], 0
    for first in range(3):
        count = len(odd) - first
        middle, end = at + count, at + 2 * count - 1
        value = _dot(weights[at:middle], odd[first:]) / top
        gap = abs(value - _dot(weights[middle:end], odd[first:-1]) / top)
        residual = abs(_dot(weights[end : end + count], even[first:]) / top)
        at = end + count + 1
        found.append(Window(value, gap, residual, weights[at - 1] / top))
    return found


def _dot(weights: Sequence[Any], numbers: Sequence[Any]) -> Any:
    """Add up from left to right, as arrays do."""
    total = weights[0] * numbers[0]
    for weight, number in zip(weights[1:], numbers[1:], strict=True):
        total = total + weight * number
    return total


def far(seen: Look, request: Request) -> bool:
    """Tell whether rounding asks for larger steps than H, and the Taylor terms fall far enough for them."""
    level = max(seen.first, seen.second)
    return seen.curved <= FALL * level and OFFSET * level < seen.unit and not request.noise and request.unit == EPS


def wide_ladder(
    x: float, f0: float, seen: Look, top: float, values: Sequence[float], request: Request
) -> Generator[tuple[float, ...], Sequence[float], Estimate | None]:
    """Ask for three pairs outside of those of the look, and take the best window; None if it is no better."""
    level = max(seen.first, seen.second)
    balance = math.frexp(seen.unit)[1] + 2 * math.frexp(level)[1] - 3 * math.frexp(seen.curved)[1]
    m = min(max((balance - BALANCED) // 7, 0), DOUBLINGS)
    base = math.ldexp(top, m)
    h0, h1, h2 = base * WIDE[0], base * WIDE[1], base * WIDE[2]
    if x - h0 < request.lower or x + h0 > request.upper:
        return None
    more = yield (x + h0, x - h0, x + h1, x - h1, x + h2, x - h2)
    total = sum(more)
    if total - total != 0:
        return None
    unit = error_afar(x, f0, seen.unit, seen.second, top, more, h0)
    least, best = math.inf, Estimate(math.nan, 0.0, math.inf, Status.UNRESOLVED, h0, 0.0)
    for value, gap, residual, noise in windows(f0, values, more, top, WEIGHTS[m]):
        rounding = MARGIN * (noise * unit) + 2 * EPS * abs(value)
        if gap + rounding < least:
            least = gap + rounding
            best = Estimate(value, gap / 2 + 3 * residual, rounding, Status.CONVERGED, h0, seen.unit)
    error = best.truncation + best.rounding
    agrees = abs(best.value - seen.slope) <= error + (3 * seen.unit + seen.curved / 2) / top
    return best if agrees and error < MARGIN * AMPLIFICATION[4] * seen.unit / (top * RUNGS[4]) else None
