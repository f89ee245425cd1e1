"""Products that sum over common axes: dot, inner, outer, tensordot, einsum, and what is made of them.

All but matmul are an einsum: linear in each operand, so that its adjoint is an einsum of the cotangent with the others.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mibun.chain.array import Recorded, constant, recorded
from mibun.chain.refuse import refusal
from mibun.chain.rounding import rounding_unit
from mibun.chain.tape import FUNCTIONS, Give, Node, Rule, handles, value_of

__all__ = ["einsum"]

LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Einsum(Rule):
    """A sum of products over named axes; options are (names of the axes of each operand, names of the result)."""

    name = "np.einsum"

    def forward(self, options: Any, *values: Any) -> Any:
        """Multiply and sum."""
        return contracted(*options, *values)

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply the cotangent with all other operands."""
        values = [value_of(given) for given in node.inputs]
        for place, given in enumerate(node.inputs):
            if isinstance(given, Node) and given.live:
                give(given, self._back(node.options, values, place, g))

    @staticmethod
    def _back(options: Any, values: Sequence[Any], place: int, g: Any) -> Any:
        """Give the slope in one operand: a diagonal where an axis is named twice, spread where it was summed alone."""
        terms, result = options
        others = [term for i, term in enumerate(terms) if i != place]
        factors = [value for i, value in enumerate(values) if i != place]
        own = "".join(dict.fromkeys(terms[place]))
        there = set(result).union(*others)
        known = "".join(name for name in own if name in there)
        part = contracted((result, *others), known, g, *factors)
        lengths = dict(zip(terms[place], np.shape(values[place]), strict=True))
        part = np.reshape(part, [part.shape[known.index(name)] if name in known else 1 for name in own])
        part = np.broadcast_to(part, [max(n, lengths[name]) for n, name in zip(part.shape, own, strict=True)])
        if len(own) == len(terms[place]):
            return part
        spread = np.zeros(np.shape(values[place]), part.dtype)
        np.einsum(f"{terms[place]}->{own}", spread)[...] = part
        return spread

    def _summed(self, options: Any, values: Sequence[Any]) -> int:
        lengths = {
            name: n
            for term, value in zip(options[0], values, strict=True)
            for name, n in zip(term, np.shape(value), strict=True)
        }
        return int(np.prod([lengths[name] for name in set(lengths) - set(options[1])], dtype=np.int64))

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Exchange each operand for its error in turn, and add the rounding of the sums."""
        sizes = [np.abs(value_of(given)) for given in node.inputs]
        unit = rounding_unit(node.value.dtype, self._summed(node.options, sizes) + len(sizes))
        total = unit * self.forward(node.options, *sizes)
        for place, error in enumerate(errors):
            if error is not None:
                total = total + self.forward(node.options, *sizes[:place], error, *sizes[place + 1 :])
        return total

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Do the same on the way back."""
        sizes, options = [np.abs(value_of(given)) for given in node.inputs], node.options
        for place, given in enumerate(node.inputs):
            if not isinstance(given, Node) or not given.live:
                continue
            terms = node.value.size * len(sizes) // max(1, given.value.size) + len(sizes)
            unit = rounding_unit(node.value.dtype, terms + self._summed(options, sizes))
            total = self._back(options, sizes, place, gap + unit * np.abs(g))
            for other, error in enumerate(errors):
                if error is not None and other != place:
                    moved = [*sizes[:other], error, *sizes[other + 1 :]]
                    total = total + self._back(options, moved, place, np.abs(g) + gap)
            give(given, total)


EINSUM: Final = Einsum()
#: Products from which on it pays to look for a way through products of matrices.
MANY: Final = 2**15


def contracted(terms: Sequence[str], result: str, *values: Any) -> Any:
    """Multiply and sum, by products of matrices where that is faster."""
    lengths = {
        name: n for term, value in zip(terms, values, strict=True) for name, n in zip(term, value.shape, strict=True)
    }
    many = math.prod(lengths.values()) > MANY and len(values) > 1
    return np.einsum(f"{','.join(terms)}->{result}", *values, optimize=many)


@handles(np.einsum)
def einsum(*operands: Any) -> Any:
    """Record a sum of products; ``einsum(a, [0, 1], b, [1, 2])`` is read as well."""
    if not isinstance(operands[0], str):
        operands = _lettered(operands)
    text, *given = operands
    parts = [one if isinstance(one, Recorded) else np.asarray(constant(one)) for one in given]
    terms, result = _named(text.replace(" ", ""), [one.ndim for one in parts])
    inputs = tuple(parts)
    return recorded(EINSUM, inputs, EINSUM.forward((terms, result), *map(value_of, inputs)), (terms, result))


def _lettered(operands: Sequence[Any]) -> tuple[Any, ...]:
    """Write numbered axes as letters."""

    def word(axes: Any) -> str:
        return "".join("..." if axis is Ellipsis else LETTERS[operator.index(axis)] for axis in axes)

    pairs = len(operands) // 2
    text = ",".join(word(operands[2 * i + 1]) for i in range(pairs))
    if len(operands) % 2:
        text += f"->{word(operands[-1])}"
    return (text, *operands[: 2 * pairs : 2])


def _named(text: str, ndims: Sequence[int]) -> tuple[tuple[str, ...], str]:
    """Give every axis a letter, also those of an ellipsis, and say what is left in the result."""
    before, arrow, result = text.partition("->")
    terms = before.split(",")
    spare = [letter for letter in LETTERS if letter not in text]
    most = max((n - len(t.replace("...", "")) for t, n in zip(terms, ndims, strict=True) if "..." in t), default=0)
    shared = "".join(spare[:most])
    named = []
    for term, ndim in zip(terms, ndims, strict=True):
        count = ndim - len(term.replace("...", ""))
        named.append(term.replace("...", shared[most - count :] if count else ""))
    if arrow:
        return tuple(named), result.replace("...", shared)
    letters = sorted(set(before) - set(",."))
    return tuple(named), shared + "".join(letter for letter in letters if before.count(letter) == 1)


def _ndim(a: Any) -> int:
    return int(np.ndim(value_of(a)))


@handles(np.dot)
def dot(a: Any, b: Any) -> Any:
    """Multiply as np.dot does."""
    a, b = constant(a), constant(b)
    if _ndim(a) == 0 or _ndim(b) == 0:
        return np.multiply(a, b)
    if _ndim(a) <= 2 and _ndim(b) <= 2:
        return np.matmul(a, b)
    return tensordot(a, b, ([-1], [max(0, _ndim(b) - 2)]))


@handles(np.matmul)
def matmul(a: Any, b: Any) -> Any:
    """Multiply matrices."""
    return np.matmul(a, b)


@handles(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Sum over the last axes."""
    return np.multiply(a, b) if _ndim(a) == 0 or _ndim(b) == 0 else tensordot(a, b, ([-1], [-1]))


@handles(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """Sum over all axes."""
    return np.matmul(_flat(a), _flat(b))


def _flat(a: Any) -> Any:
    return FUNCTIONS[np.ravel](a) if isinstance(a, Node) else np.ravel(a)


@handles(np.outer)
def outer(a: Any, b: Any) -> Any:
    """Multiply every two entries."""
    return np.multiply(_shaped(constant(a), (-1, 1)), _flat(constant(b)))


def _shaped(a: Any, shape: Any) -> Any:
    return FUNCTIONS[np.reshape](a, shape) if isinstance(a, Node) else np.reshape(a, shape)


@handles(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum over pairs of axes."""
    a, b = constant(a), constant(b)
    left, right = _ndim(a), _ndim(b)
    if isinstance(axes, int | np.integer):
        pairs = [*range(left - axes, left)], [*range(axes)]
    else:
        pairs = tuple([one] if isinstance(one, int | np.integer) else list(one) for one in axes)  # type: ignore[assignment]
    of_a, of_b = list(LETTERS[:left]), list(LETTERS[left : left + right])
    for i, j in zip(*pairs, strict=True):
        of_b[j] = of_a[i]
    summed = {of_a[i] for i in pairs[0]}
    result = "".join(name for name in of_a + of_b if name not in summed)
    return einsum(f"{''.join(of_a)},{''.join(of_b)}->{result}", a, b)


@handles(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Multiply every entry of a with all of b."""
    a, b = constant(a), constant(b)
    ndim = max(_ndim(a), _ndim(b))
    of_a, of_b = ((1,) * (ndim - _ndim(one)) + np.shape(value_of(one)) for one in (a, b))
    left = _shaped(a, [n for m in of_a for n in (m, 1)])
    right = _shaped(b, [n for m in of_b for n in (1, m)])
    return FUNCTIONS[np.reshape](left * right, [m * n for m, n in zip(of_a, of_b, strict=True)])


@handles(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    """Give the vector product."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = (_last(constant(one), i) for one, i in ((a, axisa), (b, axisb)))
    if np.shape(value_of(a))[-1] != 3 or np.shape(value_of(b))[-1] != 3:
        raise refusal("np.cross of vectors that have not three entries", "write a[0] * b[1] - a[1] * b[0]")
    (a0, a1, a2), (b0, b1, b2) = ([one[..., i] for i in range(one.shape[-1])] for one in (a, b))
    parts = np.broadcast_arrays(a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0)
    return FUNCTIONS[np.stack](parts, axis=axisc)


def _last(a: Any, axis: int) -> Any:
    return FUNCTIONS[np.moveaxis](a, axis, -1) if isinstance(a, Node) else np.moveaxis(a, axis, -1)


@handles(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sum the diagonal."""
    return FUNCTIONS[np.sum](FUNCTIONS[np.diagonal](a, offset, axis1, axis2), -1)


@handles(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Convolve two vectors: the windows of the one times the other, backwards."""
    a, v = constant(a), constant(v)
    if value_of(v).size > value_of(a).size:
        a, v = v, a
    a, v = (one if isinstance(one, Node) else np.asarray(one) for one in (a, v))
    m = v.shape[0]
    border = {"full": (m - 1, m - 1), "same": (m - 1 - (m - 1) // 2, (m - 1) // 2), "valid": (0, 0)}[mode]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(a, border), m)
    return np.matmul(windows, v[::-1])


@handles(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """Correlate two vectors."""
    a, v = (one if isinstance(one, Node) else np.asarray(one) for one in (constant(a), constant(v)))
    if v.shape[0] > a.shape[0]:
        return correlate(v, a, mode)[::-1]
    return convolve(a, v[::-1], mode)


for _name, _text in (("vecdot", "...i,...i"), ("matvec", "...ij,...j->...i"), ("vecmat", "...i,...ij->...j")):
    if hasattr(np, _name):
        FUNCTIONS[getattr(np, _name)] = lambda a, b, /, text=_text: einsum(
            text + "->..." if "->" not in text else text, a, b
        )
