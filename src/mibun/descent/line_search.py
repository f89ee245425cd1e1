"""How far along minus the gradient? Backtracking until f has fallen enough, or bisection until its slope has, too.

Armijo (1966): f must fall by a share of what the slope promises. With bounds the way is bent along them, and what it
promises is the slope times the way that is left (Bertsekas 1976). Wolfe (1969): besides, the slope must have
flattened, so that steps are not too short; found by bisection and doubling (Lewis and Overton, Math. Programming 141
(2013) 135-163), which kinks do not confuse.

Where what a step promises is below the resolution of f, values decide nothing: there the slope at the new point does,
which must not have turned by more than 0.8 of what it was (Hager and Zhang, SIAM J. Optimization 16 (2005) 170-192).
"""

import math
from typing import Final, NamedTuple

import numpy as np

from mibun.descent.course import Look, Vector
from mibun.descent.landscape import Landscape

__all__ = ["WORDS", "Found", "search"]

WORDS: Final = ("armijo", "wolfe")
#: Shares of the slope: f has to fall by the first of it, and to flatten to the second, or less.
ENOUGH: Final = 1e-4
FLATTER: Final = 0.9
TURNED: Final = 0.8
#: Most trials.
TRIALS: Final = 60
#: Promises below so many times the resolution of f are not asked of its values.
CLEAR: Final = 4.0


class Found(NamedTuple):
    """A step: its rate, and where it leads."""

    rate: float
    point: Vector


def search(landscape: Landscape, x: Vector, look: Look, rate: float, kind: str) -> Found | None:
    """Find a rate; None where f falls at none.

    Parameters
    ----------
    landscape, x, look
        f, the point, and what is known there.
    rate : float
        The first trial.
    kind : str
        "armijo" or "wolfe".
    """
    slope = look.known
    low, high = 0.0, math.inf
    for _ in range(TRIALS):
        point = landscape.inside(x - rate * slope)
        promised = float(slope @ (x - point))
        if not promised > 0:
            return None
        verdict = _tried(landscape, point, look, slope, promised, kind)
        if verdict == 0:
            return Found(rate, point)
        if verdict > 0:
            high = rate
        else:
            low = rate
        rate = 2 * low if high == math.inf else (low + high) / 2 if kind == "wolfe" else high / 2
    return None


def _tried(landscape: Landscape, point: Vector, look: Look, slope: Vector, promised: float, kind: str) -> int:
    """Say whether a step is good, 0, too long, 1, or too short, -1."""
    new = landscape.tried(point)
    if not math.isfinite(new):
        return 1
    clear = promised > CLEAR * look.noise
    if clear and new > look.loss - ENOUGH * promised:
        return 1
    if not clear and new > look.loss + CLEAR * look.noise:
        return 1
    if clear and kind == "armijo":
        return 0
    steep = float(slope @ slope)
    found = landscape.along(point, -slope, order=1)
    ahead = float(found.value)
    if not np.isfinite(ahead):
        return 1
    if not clear and ahead > TURNED * steep:
        return 1
    return -1 if kind == "wolfe" and ahead < -FLATTER * steep else 0
