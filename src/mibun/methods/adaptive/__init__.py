"""The adaptive method: finds the scale of f by itself, extrapolates, and bounds the error."""

from dataclasses import dataclass

from mibun.conversation import Conversation, Request
from mibun.methods.adaptive.array import Array, Asking, common_course
from mibun.methods.adaptive.scalar import differentiate

__all__ = ["Adaptive"]


@dataclass(frozen=True)
class Adaptive:
    """Find the scale of f, extrapolate, stop as soon as rounding wins or `rtol` is met; bound the error."""

    def converse(self, x: float, request: Request) -> Conversation:
        """Start a conversation about the derivative at x."""
        return differentiate(x, request)

    def together(self, x: Array, fx: Array) -> Asking:
        """Take many elements through the common course, on arrays."""
        return common_course(x, fx)
