"""Finding the scale of f: a top step H at which the Taylor terms fall, without being told anything about f.

A look at five values, f(x), f(x ± H), f(x ± H/2), gives the sizes A1 ... A4 of the first four Taylor terms at H.
With C = max(A3, A4) and M = max(A1, A2) there are three cases:

- C is within the rounding of f: H is too small, or f is a parabola here. Grow H, as far as A1 and A2 let it.
- C > M/4: the terms do not fall; H is too large. Shrink it.
- else C/M = (H/R)^2 tells the natural length R, and the ladder can start.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = [
    "ASKED",
    "EPS",
    "EVEN",
    "FINE",
    "LOOKS",
    "NEARLY",
    "SMOOTH",
    "UNEVEN",
    "UNIT_STEP",
    "UNSURE",
    "Look",
    "first_step",
    "grown",
    "look",
]

EPS: Final = 2.0**-52
#: The smallest H that is started with where x says nothing: a guess of order 1 for the scale of f.
UNIT_STEP: Final = 2.0**-4
#: Half the golden ratio in 32 bits: few enough for x ± h to stay exact, enough to avoid fine grids.
UNEVEN: Final = 3474701533 / 2**32
#: Curvature at the first H, in units of M, up to which half of it is tried without asking what is wrong.
NEARLY: Final = 1.0
#: The finest step that is begun with where it is asked for, in units of the rounding of x.
FINE: Final = 2.0**12
#: The least share of the curvature that two pairs are taken to leave: 1/5 is that of a term h^5 alone. Where the
#: curvature may be noise, noise leaves all of it, and more.
SMOOTH: Final = 0.21
UNSURE: Final = 2.0
#: The same at a step that was asked for, which may be small: three times the curvature covers the noise of two pairs.
ASKED: Final = 3.0
#: Noise makes A4 three times as large as A3; where it is below this share, the curvature is that of f.
EVEN: Final = 0.2
#: Looks at five values before the search for a scale gives up.
LOOKS: Final = 9


class Look(NamedTuple):
    """What five values tell."""

    slope: float  #: f'(x), extrapolated once
    first: float  #: A1, size of the linear term at H
    second: float  #: A2
    curved: float  #: C, the larger of A3 and A4
    unit: float  #: N, bound on the error of one value
    size: float  #: F, the largest |f| or |f - f(x)| seen
    change: float  #: S, the largest |f - f(x)| seen
    fourth: float  #: A4


def first_step(x: float, eps: float = EPS, start: float = 0.0) -> float:
    """Give a step between |x|/20 and |x|/9 (0.05 at 0) that is no round number: f may have a period of 1 or 1/8.

    `eps` is the spacing of the floats that x has: those of float32 have no such step near their smallest number.
    `start` is a step that was asked for; it is taken where it is far from the rounding of x.
    """
    if start > FINE * eps * abs(x):
        return start
    if abs(x) < (1e-290 if eps == EPS else 1e-30):
        return UNIT_STEP * UNEVEN
    return math.ldexp(UNEVEN, math.frexp(x)[1] - 4)


def look(x: float, top: float, f0: float, values: Sequence[float], noise: float, eps: float) -> Look:
    """Estimate the Taylor terms from f(x + H), f(x - H), f(x + H/2), f(x - H/2).

    `noise` is the least error of one value, `eps` the spacing of the floats that x and f have.
    """
    up, down, up2, down2 = values
    u, v, p, q = up - f0, f0 - down, up2 - f0, f0 - down2
    odd, odd2, even, even2 = (u + v) / 2, p + q, (u - v) / 2, (p - q) / 2  # odd parts times H
    linear = odd2 + (odd2 - odd) / 3
    bend = even - 4 * even2
    third, fourth = 4 / 3 * abs(odd - odd2), 4 / 3 * abs(bend)
    change = max(abs(u), abs(v), abs(p), abs(q))
    size = change if change > abs(f0) else abs(f0)
    slope = linear / top
    # Where x ± H is not exact, f was asked at another point than was meant.
    missed = abs(((x + top) - x) - top) + abs((x - (x - top)) - top)
    unit = eps * size + (eps * abs(x) + missed) * abs(slope) + 1e-323
    unit = unit if unit > noise else noise
    curved = third if third > fourth else fourth
    return Look(slope, abs(linear), abs(even - 4 / 3 * bend), curved, unit, size, change, fourth)


def grown(seen: Look, top: float) -> float:
    """Give the factor by which H may grow when curvature is within the rounding; below 4 it is not worth it."""
    unit8 = 8 * seen.unit
    if seen.first <= unit8 and seen.second <= unit8:
        factor = 1024.0
    elif seen.second >= seen.first:
        factor = math.sqrt(seen.second / unit8) / 4
    elif seen.second > unit8:
        factor = 2.0 * seen.first / seen.second
    else:
        factor = 0.1 * seen.first / unit8
    if top < UNIT_STEP:
        factor = max(factor, UNIT_STEP / top)
    factor = min(factor, max(64.0, UNIT_STEP / top))
    if seen.first > unit8:
        factor = min(factor, seen.size / seen.first)
    if seen.second > unit8:
        factor = min(factor, math.sqrt(seen.size / seen.second))
    return math.ldexp(1.0, math.frexp(factor)[1] - 1) if factor >= 1 else 1.0
