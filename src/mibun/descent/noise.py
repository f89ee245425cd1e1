"""How noisy is f? Differences of its values at neighbouring points, taken again and again, leave nothing but noise.

The differences of order k of a smooth function die out with the spacing to the power k, those of noise of standard
deviation s have the standard deviation s·sqrt((2k)!)/k!, whatever the spacing. Where the levels that three orders in
a row give agree, and the differences change sign, that is the noise (Hamming 1971; Moré and Wild, SIAM J. Sci. Comput.
33 (2011) 1292-1314, whose algorithm ECnoise this is, without its search for a spacing).
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

__all__ = ["POINTS", "noise_level"]

#: Values that are needed.
POINTS: Final = 9
#: Orders whose levels have to agree, and by what factor.
ORDERS: Final = 3
AGREE: Final = 4.0


def noise_level(values: Sequence[float]) -> float:
    """Give the standard deviation of the noise in values of f at equally spaced points; 0 where none is seen.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.descent.noise import noise_level
    >>> t = 1e-6 * np.arange(9)
    >>> noisy = np.sin(t) + 1e-3 * np.random.default_rng(0).standard_normal(9)
    >>> 0.5e-3 < noise_level(noisy) < 2e-3, noise_level(np.sin(t)) < 1e-18
    (True, True)
    """
    row = np.array(values, np.float64)
    if not np.isfinite(row).all() or (row == row[0]).all():
        return 0.0
    levels, mixed = list[float](), list[bool]()
    for order in range(1, len(row) - 1):
        row = np.diff(row)
        share = math.factorial(order) ** 2 / math.factorial(2 * order)
        levels.append(math.sqrt(share * float(np.mean(row**2))))
        mixed.append(bool(row.min() * row.max() < 0))
        last = levels[-ORDERS:]
        if len(last) == ORDERS and max(last) <= AGREE * min(last) and mixed[-ORDERS]:
            return last[0]
    return 0.0
