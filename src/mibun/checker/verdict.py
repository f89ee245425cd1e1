"""What a numeric derivative says about a given one: right, wrong, or nothing."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.status import Status

__all__ = ["RIGHT", "SUBGRADIENT", "UNDECIDED", "WRONG", "judged"]

Floats = NDArray[np.float64]

RIGHT, SUBGRADIENT, UNDECIDED, WRONG = range(4)
#: A bound wider than this part of the largest entry decides nothing.
WIDE: Final = 1e-2
#: What may be 0 at x although f changes nearby, in units of |f(x)| over the step.
FLAT: Final = 1e-8


def judged(
    given: Floats, value: Floats, error: Floats, codes: NDArray[Any], allowed: Floats, scale: Floats, floor: Floats
) -> NDArray[np.int8]:
    """Judge elements one by one.

    Parameters
    ----------
    given, value, error, codes
        What is claimed; what was found, with its bound and the codes of its status.
    allowed
        By how much a right element may be off.
    scale
        Of the parameter that an element belongs to.
    floor
        |f(x)| over the step: what a derivative is compared with where all of a parameter are 0.

    Returns
    -------
    array of int8
        RIGHT, SUBGRADIENT, UNDECIDED or WRONG for each.
    """
    gap = np.abs(given - value)
    fits = gap <= error + allowed  # False where anything is nan
    wide = ~(error <= WIDE * np.maximum(np.maximum(np.abs(given), scale), FLAT * floor))
    kink = codes == Status.KINK.code
    verdict = np.where(fits, np.where(kink, SUBGRADIENT, np.where(wide, UNDECIDED, RIGHT)), WRONG)
    # where there is no number for want of points, or because f jumps, no claim can be refuted
    unknown = np.isin(codes, [Status.JUMP.code, Status.FAILED.code]) | (np.isinf(error) & ~np.isnan(value))
    unknown |= np.isnan(value) & (codes != Status.NOT_FINITE.code)
    verdict[unknown] = UNDECIDED
    verdict[~np.isfinite(given)] = WRONG
    return verdict.astype(np.int8)
