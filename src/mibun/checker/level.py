"""The noise level of f, from its values at a few points in a row that are so close that f is a line between them.

Differences of order k remove the line and leave sums of noise with known weights (R. Hamming, Introduction to Applied
Numerical Analysis, 1971; J. Moré and S. Wild, SIAM J. Sci. Comput. 33 (2011) 1292-1314). The least of the estimates of
all orders is taken, for what is not noise only adds. A kink near x, which looks like noise to wider steps, is not felt.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["POINTS", "noise_level", "spacing"]

Floats = NDArray[np.float64]

#: Points in a row, x among them.
POINTS: Final = 7
#: Orders of the differences that are looked at.
ORDERS: Final = range(2, 6)


def spacing(unit: float) -> float:
    """Give the distance of the points, in units of the size of x, for floats of a relative spacing."""
    return 2.0 ** round(0.6 * math.log2(unit))


def noise_level(values: NDArray[Any]) -> Floats:
    """Estimate the standard deviation of the noise from values at points in a row, (points, numbers); 0 where none.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.checker.level import noise_level
    >>> noise = 1e-6 * np.random.default_rng(0).normal(size=(7, 200))
    >>> line = np.linspace(0.0, 1e-8, 7)[:, None]
    >>> bool(0.5e-6 < np.median(noise_level(line + noise)) < 1e-6)
    True
    """
    table = np.asarray(values, np.float64)
    found = []
    for order in range(1, ORDERS.stop):
        table = np.diff(table, axis=0)
        if order in ORDERS:
            weight = math.factorial(order) ** 2 / math.factorial(2 * order)
            found.append(np.sqrt(weight * np.mean(table**2, axis=0)))
    return np.asarray(np.min(found, axis=0))
