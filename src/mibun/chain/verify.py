"""A coarse test of a gradient against f itself, for wrong rules and for what went round the tape, not for digits.

The slope of f along a random direction d, from two values at x+-hd, is compared with that which the gradient implies.
A mismatch is a gap above 1e-3 of its size and above ten bounds, seen at two steps and in two directions. What the two
sides of x differ by is allowed for, so that kinks within reach widen the test.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from mibun.chain.tape import Array
from mibun.evaluate import Serial
from mibun.given import Given
from mibun.plan import along

__all__ = ["Verdict", "verified"]

#: The step along the direction, in units of the scale of x there, for float64 and for shorter numbers.
STEPS: Final = {8: (1e-6, 8e-6), 4: (2e-3, 1e-2), 2: (5e-2, 2e-1)}
#: The part of the slope by which the two may differ.
ROUGH: Final = 1e-3
UNITS: Final = {8: 2.0**-52, 4: 2.0**-23, 2: 2.0**-10}


class Verdict(NamedTuple):
    """What the test found."""

    agrees: bool
    evaluations: int
    measured: float = 0.0
    implied: float = 0.0
    changes: bool = False  #: f is not the same at x when it is called again


@np.errstate(all="ignore")
def verified(f: Callable[[Any], Any], given: Given, gradient: Array, error: Array, fx: float, itemsize: int) -> Verdict:
    """Compare a gradient with f.

    Parameters
    ----------
    f : callable
        From x to the number that was differentiated.
    given : Given
        x.
    gradient, error : arrays, (n,)
        The gradient and its bounds.
    fx : float
        f(x), as it was recorded.
    itemsize : int
        Of the numbers that f computes with, in bytes.
    """
    rng, x, evaluations = np.random.default_rng(0), given.vector.astype(np.float64), 0
    sizes = np.abs(x)
    sizes = np.where(sizes > 0, sizes, 1e-3 * sizes.max() or 1.0)
    found, looked = Verdict(True, 0), False
    for _ in range(2):
        direction = rng.uniform(-0.5, 0.5, x.size)
        direction = sizes * (direction + np.copysign(0.5, direction))  # of either sign, and none near 0
        terms = gradient * direction
        implied, size = float(terms.sum()), float(np.sqrt(np.square(terms).sum()))
        bound = float(np.abs(direction) @ np.where(np.isfinite(error), error, 0.0))
        plan = along(given.structure, given.vector, direction)
        start, evaluator = plan.starts[0], Serial(f, plan, (fx,))
        evaluator.centres([0])
        for step in STEPS.get(itemsize, STEPS[8]):
            (high,), (low,) = evaluator([(0, start + step), (0, start - step)])
            evaluations += 2
            measured = (high - low) / (2 * step)
            uneven = abs(high - 2 * fx + low) / step
            rounding = 16 * UNITS.get(itemsize, UNITS[8]) * max(abs(fx), abs(high), abs(low)) / step
            size = max(abs(measured), abs(implied), size)
            if uneven > ROUGH * size + rounding and not looked:
                looked, evaluations = True, evaluations + 1
                change = abs(f(given.structure.unflatten(given.vector.copy())) - fx)
                if change > max(1e3 * rounding * step, 0.01 * max(abs(high - fx), abs(low - fx))):
                    return Verdict(False, evaluations, measured, implied, changes=True)
            if not abs(measured - implied) > max(ROUGH * size, 10 * bound) + uneven + rounding:
                return Verdict(True, evaluations)
            found = Verdict(False, evaluations, measured, implied)
    return found
