"""The adaptive method: finds the scale of f by itself, extrapolates, and bounds the error."""

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mibun.conversation import Asking, Conversation, Request, in_range
from mibun.errors import InputError
from mibun.methods.adaptive.array import Array, common_course
from mibun.methods.adaptive.orders import higher
from mibun.methods.adaptive.scalar import differentiate

__all__ = ["Adaptive"]


@dataclass(frozen=True, repr=False)
class Adaptive:
    """Find the scale of f, extrapolate, stop as soon as rounding wins or `rtol` is met; bound the error.

    Central differences on a ladder of steps, extrapolated by Neville's scheme in h^2 (Richardson 1911; Bulirsch and
    Stoer 1964), with a second table whose limit is known to be 0, so that its rest measures the error.

    Parameters
    ----------
    start : float or sequence of float
        The step that the search for the scale of f begins with, rounded to a power of 2, or one for each element, in
        flat order (with `sparsity`: for each entry of x); 0 where nothing is known: a part of x, 1/16 at x = 0. A start
        near the step of a result, `Derivative.step`, saves evaluations where f changes on another scale than x; a bad
        one costs some. Partial derivatives of several entries, `mixed`, do not take it.

    Raises
    ------
    InputError
        If a start is negative or not finite.

    Notes
    -----
    How far the error can be trusted is measured on random functions with known derivatives; the shares stand in
    `benchmarks/results/derivatives.md`, those of orders 2 to 4 in `benchmarks/results/orders.md`. It fails where f
    changes on a scale far below all steps that are tried: oscillation beside a trend at |x| above about 1e6 periods, a
    feature that is not felt within |x|/20 of x, or a value rounded to a grid that the steps meet.

    Examples
    --------
    >>> import math
    >>> import mibun as mb
    >>> d = mb.derivative(math.sin, 1.0, method=mb.Adaptive())
    >>> bool(abs(d.value - math.cos(1.0)) <= d.error < 1e-12)
    True
    >>> f = lambda t: math.sin(1e4 * t)
    >>> first = mb.derivative(f, 1.0)
    >>> again = mb.derivative(f, 1.0, method=mb.Adaptive(start=first.step))
    >>> first.evaluations, again.evaluations, bool(abs(again.value - 1e4 * math.cos(1e4)) <= again.error)
    (21, 17, True)
    """

    start: float | Sequence[float] = 0.0

    orders: ClassVar[range] = range(1, 5)

    def __post_init__(self) -> None:
        try:
            steps = np.asarray(self.start, np.float64)
        except (TypeError, ValueError):
            steps = np.array(math.nan)
        if steps.ndim > 1 or not np.isfinite(steps).all() or (steps < 0).any():
            raise InputError(
                f"start is {reprlib.repr(self.start)}; expected a step of at least 0, or one for each element in a list"
            )
        with np.errstate(divide="ignore"):
            powers: Any = np.exp2(np.round(np.log2(steps))).tolist()
        object.__setattr__(self, "start", powers if steps.ndim == 0 else tuple(powers))

    def __repr__(self) -> str:
        return f"Adaptive(start={reprlib.repr(self.start)})" if self.start else "Adaptive()"

    def converse(self, x: float, request: Request) -> Conversation:
        """Start a conversation about the derivative at x, of order 1 to 4."""
        return differentiate(x, request) if request.order == 1 else in_range(higher(differentiate, x, request))

    def together(self, x: Array, fx: Array, request: Request) -> Asking:
        """Take many elements through the common course, on arrays."""
        return common_course(x, fx, request)
