"""Norms: by the entries that they select, or by the root of a sum of squares."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mibun.chain.array import apply
from mibun.chain.refuse import refusal
from mibun.chain.rounding import rounding_unit
from mibun.chain.tape import FUNCTIONS, Give, Node, Rule, handles

__all__: list[str] = []


class Norm(Rule):
    """The root of a sum of squares; options are (axes, keepdims).

    At 0 it stands at a kink: the mean of all its slopes there is 0, and none is above 1.
    """

    name = "np.linalg.norm"

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute it."""
        axis, keepdims = options
        return np.sqrt(np.add.reduce(np.square(values[0]), axis=axis, keepdims=keepdims))

    def _spread(self, node: Node, *parts: Any) -> list[Any]:
        """Give what is like the result the axes of the input."""
        axis, keepdims = node.options
        return list(parts) if keepdims or axis is None else [np.expand_dims(part, axis) for part in parts]

    def _slope(self, node: Node) -> Any:
        (long,) = self._spread(node, node.value)
        return np.divide(node.inputs[0].value, long, out=np.zeros_like(node.inputs[0].value), where=long != 0)

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply by x / |x|, and count the zeros."""
        zeros = np.count_nonzero(node.value == 0)
        if zeros:
            node.tape.kink(node, zeros)
        give(node.inputs[0], self._slope(node) * self._spread(node, g)[0])

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Take the norm of the errors, and the rounding of the sum."""
        total = self._unit(node) * node.value
        return total if errors[0] is None else total + self.forward(node.options, errors[0])

    def _unit(self, node: Node) -> float:
        return rounding_unit(node.value.dtype, node.inputs[0].value.size // max(1, node.value.size))

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Add what the slope is off; at 0 it may be any up to 1."""
        lost = np.asarray(self.lost(node, errors))
        long, size, gap, lost = self._spread(node, node.value, np.abs(g), gap, lost)
        slope = np.abs(self._slope(node))
        error = lost * slope if errors[0] is None else lost * slope + errors[0]
        off = np.divide(error, long, out=np.ones(slope.shape), where=long != 0) + self._unit(node) * slope
        off = np.minimum(off, 1.0)
        if node.tape.smooth:
            off = np.where(long == 0, 0.0, off)
        give(node.inputs[0], slope * gap + off * (size + gap))


NORM: Final = Norm()


@handles(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002
    """Give norms of vectors or of matrices."""
    if ord is None or ord == "fro":
        return apply(NORM, x, options=(axis, keepdims))
    matrix = x.ndim == 2 if axis is None else isinstance(axis, tuple)
    return _of_matrices(x, ord, axis or (0, 1), keepdims) if matrix else _of_vectors(x, ord, axis, keepdims)


def _of_vectors(x: Any, order: Any, axis: Any, keepdims: bool) -> Any:
    if order == 2 and (axis is not None or x.ndim == 1):
        return apply(NORM, x, options=(axis, keepdims))
    if axis is None and x.ndim != 1:
        raise ValueError("Improper number of dimensions to norm.")
    sizes = np.abs(x)
    if order in (math.inf, -math.inf):
        return FUNCTIONS[np.max if order > 0 else np.min](sizes, axis=axis, keepdims=keepdims)
    if isinstance(order, int | float) and order > 0:
        powers = sizes if order == 1 else sizes**order
        return FUNCTIONS[np.sum](powers, axis, keepdims=keepdims) ** (1 / order)
    raise refusal(f"np.linalg.norm(ord={order!r})", "write it by np.sum and powers")


def _of_matrices(x: Any, order: Any, axis: Any, keepdims: bool) -> Any:
    if order in (1, -1, math.inf, -math.inf):
        first, second = axis if abs(order) == 1 else axis[::-1]
        sums = FUNCTIONS[np.sum](np.abs(x), first, keepdims=True)
        found = FUNCTIONS[np.max if order > 0 else np.min](sums, axis=second, keepdims=True)
        return found if keepdims else FUNCTIONS[np.squeeze](found, (first, second))
    if order in (2, "nuc", -2) and x.ndim == 2 and not keepdims:
        values = FUNCTIONS[np.linalg.svd](x, compute_uv=False)
        return FUNCTIONS[{2: np.max, -2: np.min, "nuc": np.sum}[order]](values)
    raise refusal(f"np.linalg.norm(ord={order!r})", "write it by np.sum and powers, or for one matrix without keepdims")
