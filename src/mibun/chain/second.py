"""Second derivatives by the chain: black-box differences of its gradient, with a bound."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mibun.chain.method import chain_gradient, value_and_gradient
from mibun.chain.tape import Array
from mibun.conversation import Request
from mibun.errors import InputError
from mibun.evaluate import Serial, lead
from mibun.evaluate.gather import Table, gathered, level, points_first
from mibun.given import taken
from mibun.methods import Adaptive
from mibun.options import Wish
from mibun.plan import along
from mibun.result import Derivative
from mibun.structure import Structure

__all__ = ["chain_slopes", "felt", "flat_errors", "hvp"]


def chain_slopes(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give the gradient of f by the chain as a function, for those who move x."""
    return lambda x: value_and_gradient(f, x, fine=True)[1]


def felt(rounding: Array, off: Array, step: Array) -> Array:
    """Raise a bound to what errors `off` of the gradient do at a step: its noise is not that of its last digits."""
    noise = np.divide(4 * off, step, out=np.zeros(np.shape(rounding)), where=step > 0)
    return np.asarray(np.maximum(rounding, noise))


def flat_errors(slopes: Derivative) -> Array:
    """Give the errors of a gradient as a vector."""
    return Structure.of(slopes.value).flatten(slopes.error, dtype=np.float64)


def hvp(f: Callable[[Any], Any], x: Any, direction: Any, *, verify: bool = True) -> Derivative:
    """Multiply the Hessian of f by a direction, without the Hessian: the change of the gradient along it.

    Parameters
    ----------
    f : callable
        From x to one number, written with NumPy.
    x : number, array or structure
    direction : like x
        Not normalised: twice the direction has twice the product.
    verify : bool
        Compare the gradient at x with f. Default: True.

    Returns
    -------
    Derivative
        With the structure of x; `gradient` is that of f at x, `evaluations` counts gradients, each of which costs a few
        evaluations of f.

    Raises
    ------
    InputError
        If x, the direction or what f returns cannot be used, or f does what cannot be recorded.

    Notes
    -----
    The adaptive method differentiates the gradient along the direction; its bound is that of `mibun.directional`, and
    what the gradient itself is off by is seen as noise.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> d = mb.chain.hvp(lambda x: np.sum(x**4), np.array([1.0, 2.0]), [1.0, 1.0])
    >>> bool(np.all(abs(d.value - [12.0, 48.0]) <= d.error)), bool(d.error.max() < 1e-9)
    (True, True)
    """
    given = taken(x, None)
    structure, vector = given.structure, given.vector
    way = structure.flatten(direction, dtype=np.float64, name="direction")
    if not np.isfinite(way).all() or not way.any():
        raise InputError(f"direction is {direction!r}; expected finite numbers that are not all 0")
    slopes = chain_gradient(f, x, Wish(verify=verify, errors=True, rtol=None, atol=0.0))
    plan = along(structure, vector, way)
    evaluator = Serial(chain_slopes(f), plan)
    with np.errstate(all="ignore"):
        led = lead(Adaptive(), plan, [Request(unit=plan.units[0])], evaluator)
    table = Table.of(led)
    table.rounding = felt(table.rounding, flat_errors(slopes), table.step)
    return gathered(
        table,
        points_first((), led.values.structure),
        evaluations=led.evaluations,
        noise=level(led.values, table.noise),
        fx=slopes.fx,
        dtype=np.longdouble if vector.dtype == np.longdouble else np.float64,
        gradient=slopes,
    )
