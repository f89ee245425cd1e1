"""What a numeric derivative says about a given one: right, wrong, or nothing."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.status import Status

__all__ = ["RIGHT", "SUBGRADIENT", "UNDECIDED", "WIDE", "WRONG", "judged"]

Floats = NDArray[np.float64]

RIGHT, SUBGRADIENT, UNDECIDED, WRONG = range(4)
#: A bound wider than this part of what it is compared with decides nothing.
WIDE: Final = 1e-2


def judged(
    given: Floats, value: Floats, error: Floats, codes: NDArray[Any], allowed: Floats, sizes: Floats
) -> NDArray[np.int8]:
    """Judge elements one by one.

    Parameters
    ----------
    given, value, error, codes
        What is claimed; what was found, with its bound and the codes of its status.
    allowed
        By how much a right element may be off.
    sizes
        What the bound of an element is compared with.

    Returns
    -------
    array of int8
        RIGHT, SUBGRADIENT, UNDECIDED or WRONG for each.
    """
    gap = np.abs(given - value)
    fits = gap <= error + allowed  # False where anything is nan
    wide = ~(error <= WIDE * sizes)
    kink = codes == Status.KINK.code
    verdict = np.where(fits, np.where(kink, SUBGRADIENT, np.where(wide, UNDECIDED, RIGHT)), WRONG)
    # where there is no number for want of points, or because f jumps, no claim can be refuted
    unknown = np.isin(codes, [Status.JUMP.code, Status.FAILED.code]) | (np.isinf(error) & ~np.isnan(value))
    unknown |= np.isnan(value) & (codes != Status.NOT_FINITE.code)
    verdict[unknown] = UNDECIDED
    verdict[~np.isfinite(given)] = WRONG
    return verdict.astype(np.int8)
