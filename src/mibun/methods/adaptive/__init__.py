"""The adaptive method: finds the scale of f by itself, extrapolates, and bounds the error."""

from dataclasses import dataclass
from typing import ClassVar

from mibun.conversation import Conversation, Request
from mibun.methods.adaptive.array import Array, Asking, common_course
from mibun.methods.adaptive.orders import higher
from mibun.methods.adaptive.scalar import differentiate

__all__ = ["Adaptive"]


@dataclass(frozen=True)
class Adaptive:
    """Find the scale of f, extrapolate, stop as soon as rounding wins or `rtol` is met; bound the error.

    Central differences on a ladder of steps, extrapolated by Neville's scheme in h^2 (Richardson 1911; Bulirsch and
    Stoer 1964), with a second table whose limit is known to be 0, so that its rest measures the error.

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
    """

    orders: ClassVar[range] = range(1, 5)

    def converse(self, x: float, request: Request) -> Conversation:
        """Start a conversation about the derivative at x, of order 1 to 4."""
        return differentiate(x, request) if request.order == 1 else higher(differentiate, x, request)

    def together(self, x: Array, fx: Array) -> Asking:
        """Take many elements through the common course, on arrays."""
        return common_course(x, fx)
