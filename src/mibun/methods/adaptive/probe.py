"""The tiny pair: a look at the immediate neighbourhood of x, to say what is wrong here.

Asked only where the ladder fails: where its terms do not fall at any step, or where the tables stop contracting far
above the rounding of f. Two values at x ± t, t = H / 2^32, show a smooth f as a straight line. What does not look
straight is looked at again at 16 t and 256 t, and the way in which differences grow tells a kink (they grow with t), a
jump (they stay), a vertical tangent (they grow by a constant factor below 16), an extremum (they grow with t squared),
and noise (they do nothing of the kind).
"""

import math
from collections.abc import Generator, Sequence
from typing import Final, NamedTuple

__all__ = ["Verdict", "probe"]

#: Ratio of the three tiny steps.
SPREAD: Final = 16.0
EPS: Final = 2.0**-52


class Verdict(NamedTuple):
    """What the neighbourhood of x looks like."""

    word: str  #: smooth, noise, kink, jump, vertical, outside
    slope: float = 0.0  #: smooth: f'(x), good to `rough` over the step
    rough: float = 0.0  #: smooth: how far f is from a line over the tiny step
    step: float = 0.0
    samples: tuple[float, ...] = ()  #: noise: independent samples of it
    left: float = 0.0  #: kink: the two slopes
    right: float = 0.0
    error: float = 0.0  #: kink: error of each


def tiny_step(x: float, top: float) -> float:
    """Give a power of 2 far below the scale of f, but not below what x can resolve."""
    return max(math.ldexp(1.0, math.frexp(top)[1] - (43 if top >= 2.0**18 else 33)), 16 * math.ulp(x))


def probe(
    x: float, f0: float, top: float, slope: float, unit: float, change: float, stalled: float
) -> Generator[tuple[float, ...], Sequence[float], Verdict]:
    """Ask for one tiny pair, and for more where it is not straight.

    Parameters
    ----------
    slope, unit, change
        f'(x) as the ladder has it, rounding of one value, and largest change of f seen.
    stalled
        Level at which the ladder stopped contracting; 0 where its terms never fell.
    """
    t = tiny_step(x, top)
    up, down = yield (x + t, x - t)
    u, v = up - f0, f0 - down
    if u == v == 0 and (stalled or abs(slope) * t > 16 * unit):
        t = math.ldexp(1.0, math.frexp(math.sqrt(t * top))[1])
        up, down = yield (x + t, x - t)
        u, v = up - f0, f0 - down
        if stalled:  # flat beside x, while the ladder sees a slope and a level below which it sees nothing: a table
            samples = (0.408 * (u - v), 0.707 * (u + v - 2 * slope * t)) if u or v else ()
            return Verdict("noise", step=t, samples=samples)
        if u == v == 0:
            return Verdict("smooth", 0.0, 0.0, t)
    if not math.isfinite(u + v):
        return Verdict("outside", step=t)
    # f rounds its argument: that is part of the rounding of a value, and the slope here may be the first known.
    unit = max(unit, EPS / 2 * abs(x) * abs(u + v) / (2 * t))
    bend, move = abs(u - v), max(abs(u), abs(v))
    # A weak kink bends by a small share of the move, too; only where tables stall is it worth two more pairs to tell.
    straight = bend <= 64 * unit or (bend <= move / 256 and not stalled)
    if straight and (stalled or move <= 2.0**-16 * change):
        if stalled / 64 < move < 4096 * stalled:  # noise on a grid may look straight once
            found = yield from _grid(x, f0, t, slope, u, v, unit)
            if found:
                return Verdict("noise", step=t, samples=found)
        lost = abs(u + v) < 64 * unit  # in rounding: no slope is better than a wrong one
        return Verdict("smooth", 0.0 if lost else (u + v) / (2 * t), bend + (64 * unit if lost else 0.0), t)
    level = min(abs(u), abs(v)) <= move / 1024  # on one side alone: noise is so once in a thousand, a jump always
    if stalled and stalled / 6 < bend < 6 * stalled and not level:
        return Verdict("noise", step=t, samples=(0.408 * (u - v), 0.707 * (u + v - 2 * slope * t)))
    return (yield from _growth(x, f0, t, u, v, unit))


def _grid(
    x: float, f0: float, t: float, slope: float, u: float, v: float, unit: float
) -> Generator[tuple[float, ...], Sequence[float], tuple[float, ...]]:
    """Look at 16 t: where the differences do not grow like t they are noise, of which samples are given."""
    t2 = SPREAD * t
    up2, down2 = yield (x + t2, x - t2)
    u2, v2 = up2 - f0, f0 - down2
    if abs((u2 + v2) - SPREAD * (u + v)) <= 64 * unit and abs(u2 - v2) <= 64 * unit + SPREAD**2 * abs(u - v):
        return ()
    near, far = 0.707 * (u + v - 2 * slope * t), 0.707 * (u2 + v2 - 2 * slope * t2)
    return 0.408 * (u - v), 0.408 * (u2 - v2), near, far


def _growth(
    x: float, f0: float, t: float, u: float, v: float, unit: float
) -> Generator[tuple[float, ...], Sequence[float], Verdict]:
    """Look at 16 t and 256 t, and tell from the growth what is there."""
    t2, t3 = SPREAD * t, SPREAD * SPREAD * t
    up2, down2, up3, down3 = yield (x + t2, x - t2, x + t3, x - t3)
    u2, v2, u3, v3 = up2 - f0, f0 - down2, up3 - f0, f0 - down3
    if not math.isfinite(u2 + v2 + u3 + v3):
        return Verdict("outside", step=t)
    m1, m2, m3 = (max(abs(a), abs(b)) for a, b in ((u, v), (u2, v2), (u3, v3)))
    w1, w2, w3 = abs(u - v), abs(u2 - v2), abs(u3 - v3)
    growth, growth2 = (m2 / m1, m3 / m2) if m1 and m2 else (0.0, 0.0)
    if 12 < growth < 20 and 8 < growth2 < 40:
        if 12 * w1 < w2 < 20 * w1 and 12 * w2 < w3 < 20 * w2:
            left, right = v2 / t2, u2 / t2
            error = max(abs(v3 / t3 - left), abs(u3 / t3 - right)) / 8 + 1e-15 * (abs(left) + abs(right))
            return Verdict("kink", left=left, right=right, error=error, step=t2)
        if w2 > 64 * w1 or w2 < m2 / 256 or w1 < 64 * unit:
            return Verdict("smooth", (u2 + v2) / (2 * t2), w2, t2)
    if 100 < growth < 600 and 100 < growth2 < 600:
        return Verdict("smooth", (u2 + v2) / (2 * t2), w2, t2)
    # What is left of both differences at t = 0, from two pairs of steps: at a jump they agree, at noise they do not.
    right, left = (SPREAD * u - u2) / (SPREAD - 1), (SPREAD * v - v2) / (SPREAD - 1)
    right2, left2 = (SPREAD**2 * u - u3) / (SPREAD**2 - 1), (SPREAD**2 * v - v3) / (SPREAD**2 - 1)
    near = 1e-3 * abs(right + left)
    if abs(right - right2) <= near and abs(left - left2) <= near and max(abs(right), abs(left)) > 64 * unit:
        return Verdict("jump", step=t)
    if 1.15 < growth < 14 and abs(growth2 / growth - 1) < 0.02 and u * u2 >= 0 and v * v2 >= 0:
        return Verdict("vertical", step=t)
    samples = (
        *(0.408 * (a - b) for a, b in ((u, v), (u2, v2), (u3, v3))),
        (u2 + v2 - SPREAD * (u + v)) / 22.7,
        (u3 + v3 - SPREAD * (u2 + v2)) / 22.7,
    )
    return Verdict("noise", step=t, samples=samples)
