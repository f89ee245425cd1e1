"""Central: symmetric differences with a fixed step."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Asking, Conversation, Request
from mibun.methods.fixed import checked_accuracy, checked_step, described, fixed, fixed_course, side
from mibun.methods.forward import ESTIMATED

__all__ = ["Central"]


@dataclass(frozen=True, repr=False)
class Central:
    """Difference of points in pairs, x ± h, with a fixed step; the error is an estimate from two steps.

    The values are f at x ± h, ..., the same with 2h, and f(x): 5 for accuracy 2. The result belongs to h. Slopes of
    the two sides that differ as much at h as at 2h are reported as a kink. Where a bound or the edge of the domain of f
    is nearer than the points, the forward or the backward difference of the same accuracy is taken and the status is
    one-sided.

    Parameters
    ----------
    accuracy : int
        Power of h in the truncation, even, at least 2.
    step : float, optional
        The step h. Default: the textbook step, as for `Forward`: 2^-17 in float64 for accuracy 2, times the power of 2
        at or below max(|x|, 1).

    Raises
    ------
    InputError
        If accuracy is not even and positive, or step not positive and finite.

    Notes
    -----
    For how far the error can be trusted see `Forward`.

    Examples
    --------
    >>> import math
    >>> import mibun.derivatives as mb
    >>> from mibun.methods import Central
    >>> Central(accuracy=4)
    Central(accuracy=4)  # fixed step: the error is an estimate from two steps
    >>> d = mb.derivative(math.exp, 0.0, method=Central(step=2**-10))
    >>> print(f"error {d.value - 1.0:.1e}, stated {d.error:.1e}, {d.evaluations} evaluations")
    error 1.6e-07, stated 3.2e-07, 5 evaluations
    """

    orders: ClassVar[range] = range(1, 5)

    accuracy: int = 2
    step: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "accuracy", checked_accuracy(self.accuracy, even=True))
        object.__setattr__(self, "step", checked_step(self.step))

    def converse(self, x: float, request: Request) -> Conversation:
        """Start a conversation about the derivative at x; it has one round, and one more for each change of side."""
        # the side with more room comes last: for it the textbook step is shrunk where that room is small
        near_left = x - request.lower < request.upper - x
        names = ("central", "backward", "forward") if near_left else ("central", "forward", "backward")
        return fixed([side(name, self.accuracy, request.order) for name in names], x, self.step, request)

    def together(self, x: NDArray[np.float64], fx: NDArray[np.float64], request: Request) -> Asking:
        """Take many elements through the common course, on arrays."""
        return fixed_course(side("central", self.accuracy), x, fx, self.step, request)

    def __str__(self) -> str:
        return described("Central", self.accuracy, 2, self.step)

    def __repr__(self) -> str:
        return str(self) + ESTIMATED
