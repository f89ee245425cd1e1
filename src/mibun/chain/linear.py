"""Linear and bilinear operations: their adjoints are exact, for a difference of a linear map is the map itself.

A linear rule is applied to bounds as it is applied to values, for no entry has a negative weight: |L| = L. A product of
matrices carries a bound row by row and column by column, by the inequality of Cauchy and Schwarz,

    sum_k |a_ik| e_kj  <=  |a_i.| |e_.j|,

which costs no product of matrices, and is at most sqrt(2) or so too large where the sizes are spread evenly.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mibun.chain.array import recorded
from mibun.chain.rounding import rounding_unit, times
from mibun.chain.tape import UFUNCS, Array, Give, Node, Rule, handles, value_of

__all__ = ["SUM", "Linear", "Matmul", "Sum", "add_all", "kept", "spread"]


class Linear(Rule):
    """A linear map of one array without negative weights."""

    def forward(self, options: Any, *values: Any) -> Any:
        """Map."""
        raise NotImplementedError

    def back(self, options: Any, g: Any, like: Any) -> Any:
        """Apply the adjoint: from what is like the result to what is like the input."""
        raise NotImplementedError

    def terms(self, node: Node) -> int:
        """Count the entries that are summed for one of the result."""
        return 0

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Apply the adjoint."""
        (given,) = node.inputs
        give(given, self.back(node.options, g, given.value))

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Map the error, and add the rounding of the sums."""
        (given,), (error,) = node.inputs, errors
        total = None
        if error is not None:
            total = self.forward(node.options, error)
        terms = self.terms(node)
        if terms > 1:
            size = self.forward(node.options, np.abs(given.value))
            rounding = rounding_unit(given.value.dtype, terms) * size
            total = rounding if total is None else total + rounding
        return total

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Apply the adjoint to the bound, and add the rounding of its sums."""
        (given,) = node.inputs
        give(given, self.back(node.options, gap, given.value))


class Sum(Linear):
    """Sum over axes; options are (axis, keepdims)."""

    name = "np.sum"

    def forward(self, options: Any, *values: Any) -> Any:
        """Sum."""
        return np.add.reduce(values[0], axis=options[0], keepdims=options[1])

    def back(self, options: Any, g: Any, like: Any) -> Any:
        """Spread."""
        axis, keepdims = options
        return spread(g if axis is None or keepdims else kept(g, like.shape, axis), like.shape)

    def terms(self, node: Node) -> int:
        """Count the entries of the input for one of the result."""
        return int(node.inputs[0].value.size // max(1, node.value.size))


SUM: Final = Sum()
#: Entries up to which an array is filled; above, a view costs less.
FEW: Final = 2**14


def kept(g: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """Give the axes that were summed away a length of 1 again; np.expand_dims takes ten times as long."""
    lengths = list(shape)
    for one in axis if isinstance(axis, tuple) else (axis,):
        lengths[one] = 1
    return g.reshape(lengths)


def spread(g: Any, shape: tuple[int, ...]) -> Any:
    """Spread what broadcasts to a shape: np.broadcast_to takes ten times as long for small arrays."""
    if math.prod(shape) > FEW:
        return np.broadcast_to(g, shape)
    made = np.empty(shape, g.dtype)
    made[...] = g
    return made


@handles(np.sum)
def add_all(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Sum over axes."""
    options = axis, keepdims is not np._NoValue and bool(keepdims)
    return recorded(SUM, (a,), SUM.forward(options, a.value), options)


class Matmul(Rule):
    """A product of matrices or vectors: exact in both."""

    name = "np.matmul"

    def forward(self, options: Any, *values: Any) -> Any:
        """Multiply."""
        return np.matmul(*values)

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply by the transpose of the other factor."""
        left, right = node.inputs
        a, b = value_of(left), value_of(right)
        if isinstance(left, Node) and left.live:
            give(left, self.to_left(g, a, b))
        if isinstance(right, Node) and right.live:
            give(right, self.to_right(g, a, b))

    @staticmethod
    def to_left(g: Any, a: Array, b: Array) -> Any:
        """Give g b^T in the shape of a, or one that a was broadcast to."""
        if b.ndim == 1:
            return g[..., None] * b if g.ndim else g * b
        if a.ndim == 1:
            return np.matmul(g[..., None, :], np.swapaxes(b, -1, -2))[..., 0, :]
        return np.matmul(g, np.swapaxes(b, -1, -2))

    @staticmethod
    def to_right(g: Any, a: Array, b: Array) -> Any:
        """Give a^T g in the shape of b, or one that b was broadcast to."""
        if a.ndim == 1:
            return a[:, None] * g[..., None, :] if g.ndim else a * g
        if b.ndim == 1:
            return np.matmul(np.swapaxes(a, -1, -2), g[..., None])[..., 0]
        if a.ndim == b.ndim == 2:
            return np.matmul(g.T, a).T  # of the two ways to say a.T @ g the faster one
        return np.matmul(np.swapaxes(a, -1, -2), g)

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Bound the product of errors and sizes, and the rounding of the sums."""
        (a, b), (a_off, b_off) = _matrices(node, errors)
        return np.reshape(_bound(a, a_off, b, b_off, rounding_unit(node.value.dtype, a.shape[-1])), node.value.shape)

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Do the same for the products that `pull` makes."""
        (a, b), (a_off, b_off) = _matrices(node, errors)
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        g, gap, dtype = np.reshape(g, shape), np.reshape(gap, shape), node.value.dtype
        for place, given in enumerate(node.inputs):
            if not isinstance(given, Node) or not given.live:
                continue
            if place == 0:
                part = _bound(g, gap, _turned(b), _turned(b_off), rounding_unit(dtype, b.shape[-1]))
            else:
                part = _bound(_turned(a), _turned(a_off), g, gap, rounding_unit(dtype, a.shape[-2]))
            if given.value.ndim == 1:
                part = part[..., 0, :] if place == 0 else part[..., 0]
            give(given, part)


def _turned(a: Any) -> Any:
    return None if a is None else np.swapaxes(a, -1, -2)


def _matrices(node: Node, errors: Sequence[Any]) -> tuple[list[Array], list[Any]]:
    """Give the factors and their errors as matrices: a vector is a row on the left, and a column on the right."""
    factors, offs = [], []
    for given, off, axis in zip(node.inputs, errors, (-2, -1), strict=True):
        factor = value_of(given)
        if factor.ndim == 1:
            factor, off = np.expand_dims(factor, axis), None if off is None else np.expand_dims(off, axis)
        factors.append(factor)
        offs.append(off)
    return factors, offs


def _bound(a: Array, a_off: Any, b: Array, b_off: Any, unit: float) -> Array:
    """Bound what errors of its factors do to a product of matrices, and its rounding: by rows and by columns."""
    rows, columns = _lengths(a, -1), _lengths(b, -2)
    columns_off = 0.0 if b_off is None else _lengths(b_off, -2)
    total = times(rows[..., :, None], (unit * columns + columns_off)[..., None, :])
    if a_off is not None:
        total = total + times(_lengths(a_off, -1)[..., :, None], (columns + columns_off)[..., None, :])
    return np.asarray(total)


def _lengths(a: Array, axis: int) -> Array:
    """Give the lengths of rows (axis -1) or columns (-2)."""
    squares = np.einsum("...ij,...ij->...i" if axis == -1 else "...ij,...ij->...j", a, a, dtype=np.float64)
    return np.asarray(np.sqrt(squares))


UFUNCS[np.matmul] = Matmul()
