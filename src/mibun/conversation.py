"""What a method and the one who leads it say to each other; the method never calls f.

A method talks about one number x at a time. It yields a tuple of points and is sent the values of f there, in the
same order; what it returns at the end is an `Estimate`. A point where f is not defined (a domain exception, outside
the bounds) is answered with nan; nan and inf that f gives are passed on. Several conversations, one for each element
of an array, can be led side by side, and their points evaluated together: serial, vectorized, by workers or from a
store. A conversation can also be led by hand, without any f:

>>> from mibun.conversation import Request
>>> from mibun.methods import Forward
>>> talk = Forward(step=0.5).converse(3.0, Request())
>>> points = next(talk)
>>> points
(3.0, 3.5, 4.0)
>>> try:
...     talk.send([point * point for point in points])
... except StopIteration as end:
...     print(end.value.value)
6.5
"""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.status import Status

__all__ = ["Asking", "Common", "Conversation", "Estimate", "Method", "Request", "Together", "in_range"]


class Estimate(NamedTuple):
    """What a method found for one element."""

    value: float
    truncation: float
    rounding: float
    status: Status
    step: float  #: the largest h that was used
    noise: float  #: absolute noise level of f that was found or assumed
    message: str = ""  #: for a note, where the status is not plainly converged
    left: float | None = None  #: slope from the left, at a kink
    right: float | None = None  #: slope from the right, at a kink


class Request(NamedTuple):
    """What the caller asks of a method."""

    rtol: float = 0.0
    atol: float = 0.0
    lower: float = float("-inf")
    upper: float = float("inf")
    noise: float | None = None  #: absolute noise level of f; None: to be found
    budget: int = 40  #: most points of one element, x among them; the method ends with what it has
    unit: float = 2.0**-52  #: relative spacing of the floats that x and f have (2**-23 for float32)
    order: int = 1  #: of the derivative
    start: Any = 0.0  #: step to begin with, 0 for one that x suggests; an array where each element has its own

    def check(self, count: int) -> None:
        """Refuse starts that are not as many as there are elements."""
        if type(self.start) is not float and self.start.size != count:
            raise InputError(f"start has {self.start.size} steps for {count} elements; expected one step, or {count}")

    def of(self, elements: Any) -> "Request":
        """Give the request of one element, or of those at an array of places."""
        if type(self.start) is float:
            return self
        start = self.start[elements]
        return self._replace(start=start if np.ndim(start) else float(start))


#: Points are floats; a method for analytic f may ask for complex ones, and is answered with complex values.
#: Where several coordinates move at once (`plan.together`), a point is a tuple of them.
Conversation = Generator[tuple[complex, ...], Sequence[Any], Estimate]


Point = TypeVar("Point")


def in_range(talk: Generator[Point, Sequence[Any], Estimate]) -> Generator[Point, Sequence[Any], Estimate]:
    """Pass on a conversation that divides by powers of its steps; beyond the range of floats they give no answer."""
    try:
        return (yield from talk)
    except (OverflowError, ZeroDivisionError):
        message = "the powers of the steps leave the range of floats: give x in another unit"
        return Estimate(float("nan"), 0.0, float("inf"), Status.UNRESOLVED, 0.0, 0.0, message)


class Common(NamedTuple):
    """What a course that many elements take together gave: arrays over the elements."""

    done: NDArray[np.bool_]  #: where it led to an answer; elsewhere the other fields mean nothing
    value: NDArray[np.float64]
    truncation: NDArray[np.float64]
    rounding: NDArray[np.float64]
    step: NDArray[np.float64]
    noise: NDArray[np.float64]


#: Yields (places, points), a column of points for each place, all real or all complex; is sent the values in the same
#: shape and kind.
Asking = Generator[tuple[NDArray[np.intp], NDArray[Any]], NDArray[Any], Common]


@runtime_checkable
class Method(Protocol):
    """An immutable value that can differentiate; an object of yours with this method can be passed as `method=`.

    Two conversations with equal requests and equal answers are equal. A smaller budget ends a conversation earlier
    and changes nothing before that: the one who leads relies on it where several conversations share points.
    """

    def converse(self, x: float, request: Request) -> Conversation:
        """Start a conversation about the derivative at x."""


@runtime_checkable
class Together(Protocol):
    """A method that can take many elements together, on arrays; what leaves the common course is led alone.

    The bits must be those that `converse` gives for the same element, if no tolerance is asked for. Bounds are kept by
    the one who leads: a point beyond them is answered with nan, and what got one is to leave the course.
    """

    def together(self, x: NDArray[np.float64], fx: NDArray[np.float64], request: Request) -> Asking:
        """Yield (places, points), a column of points for each place in x; be sent the values in the shape of points."""
