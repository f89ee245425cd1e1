"""At the edge of the domain: the slope towards the one side on which f can be evaluated."""

import math
from collections.abc import Generator, Sequence
from itertools import pairwise
from typing import Final

from mibun.conversation import Estimate
from mibun.status import Status

__all__ = ["one_sided"]

EPS: Final = 2.0**-52
POINTS: Final = 8
TRIES: Final = 3


def one_sided(
    x: float, f0: float, side: int, top: float, noise: float
) -> Generator[tuple[float, ...], Sequence[float], Estimate]:
    """Extrapolate in h from x + side * top / 2^i; smaller again where the terms do not fall.

    Neville's scheme in h, on one-sided slopes: all powers of h are there, so it gains one order a column.
    """
    best = Estimate(math.nan, 0.0, math.inf, Status.UNRESOLVED, top, noise)
    for attempt in range(TRIES):
        steps = [math.ldexp(top, -i) for i in range(POINTS)]
        values = yield tuple(x + side * h for h in steps)
        kept = [(h, value) for h, value in zip(steps, values, strict=True) if math.isfinite(value)]
        if len(kept) >= 4:
            slopes = [(value - f0) / (side * h) for h, value in kept]
            if attempt and _grows(slopes):
                message = f"the slope grows without limit towards the {'right' if side > 0 else 'left'}"
                return Estimate(math.nan, 0.0, math.inf, Status.NOT_FINITE, top, noise, message)
            found = _best_window(x, f0, kept, slopes, noise, side)
            if found.truncation + found.rounding < best.truncation + best.rounding:
                best = found
            if best.truncation + best.rounding <= 1e-9 * abs(best.value):
                break
        top *= 2.0 ** -(3 + 2 * attempt)
    if not math.isfinite(best.value):
        return best
    where = "right" if side > 0 else "left"
    return best._replace(status=Status.ONE_SIDED, message=f"f could be evaluated on the {where} only")


def _grows(slopes: list[float]) -> bool:
    """Say whether each slope is the one before times a constant above 1: f has a vertical tangent."""
    if any(slope == 0 for slope in slopes):
        return False
    factors = [b / a for a, b in pairwise(slopes)]
    return min(factors) > 1.05 and max(factors) < 1.05 * min(factors)


def _best_window(
    x: float, f0: float, kept: Sequence[tuple[float, float]], slopes: list[float], noise: float, side: int
) -> Estimate:
    size = max(abs(f0), *(abs(value - f0) for _, value in kept))
    unit = max(noise, EPS * size + EPS / 2 * abs(x) * abs(slopes[-1]) + 1e-323)
    table: list[list[float]] = []
    lost: list[list[float]] = []
    best = Estimate(math.nan, 0.0, math.inf, Status.UNRESOLVED, kept[0][0], unit)
    for k, (h, _) in enumerate(kept):
        row, loss = [slopes[k]], [2 * unit / h]
        for j in range(1, k + 1):
            factor = 1 / (kept[k - j][0] / h - 1)
            row.append(row[-1] + (row[-1] - table[-1][j - 1]) * factor)
            loss.append(loss[-1] * (1 + factor) + lost[-1][j - 1] * factor)
            truncation = 2 * max(abs(row[j] - row[j - 1]), abs(row[j] - table[-1][j - 1]))
            if j >= 2 and abs(row[j] - table[-1][j - 1]) > abs(row[j - 1] - table[-1][j - 2]) / 4:
                truncation *= 3
            rounding = 1.5 * loss[-1]
            if truncation + rounding < best.truncation + best.rounding:
                best = Estimate(row[j], truncation, rounding, Status.UNRESOLVED, h, unit)
        table.append(row)
        lost.append(loss)
    return best
