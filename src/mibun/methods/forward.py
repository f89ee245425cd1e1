"""Forward and Backward: differences towards one side, with a fixed step."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Asking, Conversation, Request
from mibun.methods.fixed import checked_accuracy, checked_step, described, fixed, fixed_course, side

__all__ = ["Backward", "Forward"]

ESTIMATED = "  # fixed step: the error is an estimate from two steps"


@dataclass(frozen=True, repr=False)
class Forward:
    """Difference of x and the points to its right, with a fixed step; the error is an estimate from two steps.

    The values are f at x, x + h, ..., and the same with 2h: ``accuracy + 1`` of them and those of 2h that are not
    among them (3 for accuracy 1). The result belongs to h.

    Parameters
    ----------
    accuracy : int
        Power of h in the truncation, at least 1.
    step : float, optional
        The step h. Default: the textbook step, the power of 2 near ``unit**(1 / (accuracy + 1)) * max(|x|, 1)`` with
        the spacing `unit` of x's floats: 2^-26 in float64 for accuracy 1. With a step of yours x + h == x gives the
        status unresolved.

    Raises
    ------
    InputError
        If accuracy or step is no positive number of its kind.

    Notes
    -----
    The error is twice ``|D(2h) - D(h)| / (2**accuracy - 1)`` plus rounding. It can be trusted where f is smooth on the
    scale of h, and not where f changes on smaller scales or has noise that is not given as `noise`.

    Examples
    --------
    >>> import math
    >>> import mibun.derivatives as mb
    >>> from mibun.methods import Forward
    >>> Forward(accuracy=2)
    Forward(accuracy=2)  # fixed step: the error is an estimate from two steps
    >>> d = mb.derivative(math.exp, 0.0, method=Forward(step=2**-20))
    >>> print(f"error {d.value - 1.0:.1e}, stated {d.error:.1e}, {d.evaluations} evaluations")
    error 4.8e-07, stated 9.5e-07, 3 evaluations
    """

    orders: ClassVar[range] = range(1, 5)

    accuracy: int = 1
    step: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "accuracy", checked_accuracy(self.accuracy, even=False))
        object.__setattr__(self, "step", checked_step(self.step))

    def converse(self, x: float, request: Request) -> Conversation:
        """Start a conversation about the derivative at x; it has one round."""
        return fixed([side("forward", self.accuracy, request.order)], x, self.step, request)

    def together(self, x: NDArray[np.float64], fx: NDArray[np.float64], request: Request) -> Asking:
        """Take many elements through the common course, on arrays."""
        return fixed_course(side("forward", self.accuracy), x, fx, self.step, request)

    def __str__(self) -> str:
        return described("Forward", self.accuracy, 1, self.step)

    def __repr__(self) -> str:
        return str(self) + ESTIMATED


@dataclass(frozen=True, repr=False)
class Backward:
    """Difference of x and the points to its left: `Forward`, mirrored.

    Parameters
    ----------
    accuracy, step
        As for `Forward`.

    Examples
    --------
    >>> import math
    >>> import mibun.derivatives as mb
    >>> from mibun.methods import Backward
    >>> Backward()
    Backward()  # fixed step: the error is an estimate from two steps
    >>> d = mb.derivative(math.sqrt, 4.0, method=Backward(accuracy=3))
    >>> print(abs(d.value - 0.25) <= d.error, d.error < 1e-10)
    True True
    """

    orders: ClassVar[range] = range(1, 5)

    accuracy: int = 1
    step: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "accuracy", checked_accuracy(self.accuracy, even=False))
        object.__setattr__(self, "step", checked_step(self.step))

    def converse(self, x: float, request: Request) -> Conversation:
        """Start a conversation about the derivative at x; it has one round."""
        return fixed([side("backward", self.accuracy, request.order)], x, self.step, request)

    def together(self, x: NDArray[np.float64], fx: NDArray[np.float64], request: Request) -> Asking:
        """Take many elements through the common course, on arrays."""
        return fixed_course(side("backward", self.accuracy), x, fx, self.step, request)

    def __str__(self) -> str:
        return described("Backward", self.accuracy, 1, self.step)

    def __repr__(self) -> str:
        return str(self) + ESTIMATED
