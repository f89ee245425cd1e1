"""Looks at f close to x: what is wrong farther away, a kink or a jump, is then beyond the points.

Symmetric differences with the shortest steps that floats allow come first, and wider ones as long as they agree with
those before: every step away from x costs trust, and gains digits from the rounding.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.checker.numeric import Measured, Numeric
from mibun.methods import Central

__all__ = ["SMALL", "looked_closer", "shortest", "worth"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: The shortest steps, relative to x, in float64 and in float32.
SHORTEST: Final = (2.0**-26, 2.0**-12)
#: Entries of x are taken for this part of the largest, at least.
SMALL: Final = 2.0**-4
#: Looks, and by how much each goes farther than the last.
LOOKS: Final = 3
WIDER: Final = 16.0
#: Noise has to leave a bound so much narrower.
WORTH: Final = 10.0


def shortest(numeric: Numeric, way: Floats, step: float = 0.0) -> float:
    """Give a step along a direction, a power of 2, at least as long as `step` and as floats around x allow."""
    moved = np.flatnonzero(way)
    x = np.abs(numeric.given.vector[moved].astype(np.float64))
    sizes = np.maximum(x, SMALL * numeric.size) / np.abs(way[moved])
    grain = SHORTEST[0] if numeric.given.vector.dtype.itemsize > 4 else SHORTEST[1]
    return 2.0 ** math.ceil(math.log2(max(step, grain * float(np.median(sizes)))))


def worth(numeric: Numeric, way: Floats, rows: Places, error: Floats) -> NDArray[np.bool_]:
    """Tell in which rows noise would leave a much narrower bound close to x."""
    return np.asarray(WORTH * numeric.level[rows] < error * shortest(numeric, way))


def looked_closer(numeric: Numeric, way: Floats, rows: Places, step: float) -> Measured:
    """Differentiate along a direction from a step outwards, as long as bounds narrow without contradiction."""
    best = numeric.close(way, rows, Central(2, step))
    arrays: tuple[NDArray[Any], ...] = best[:4]
    for _ in range(LOOKS - 1):
        step *= WIDER
        found = numeric.close(way, rows, Central(2, step))
        with np.errstate(invalid="ignore"):
            agrees = np.abs(found.value - best.value) <= found.error + best.error
            better = agrees & (found.error < best.error / 2)
        if not better.any():
            break
        narrower: tuple[NDArray[Any], ...] = found[:4]
        for old, new in zip(arrays, narrower, strict=True):
            old[better] = new[better]
    return best
