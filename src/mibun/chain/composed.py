"""Functions of NumPy that are a few others in a row: means, variances, norms, products, differences, integrals."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mibun.chain.array import constant, plain, recorded
from mibun.chain.linear import Linear
from mibun.chain.local import Local
from mibun.chain.refuse import refusal
from mibun.chain.tape import FUNCTIONS, Give, Node, Rule, handles, value_of

__all__: list[str] = []


def _count(a: Any, axis: Any) -> int:
    """Count the entries that are summed along axes."""
    shape = np.shape(value_of(a))
    if axis is None:
        return math.prod(shape)
    return math.prod(shape[i] for i in (axis if isinstance(axis, tuple) else (axis,)))


@handles(np.mean)
def mean(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Give the mean."""
    return FUNCTIONS[np.sum](a, axis, keepdims=keepdims) / _count(a, axis)


@handles(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: Any = False) -> Any:
    """Give the weighed mean."""
    if weights is None:
        return mean(a, axis, keepdims=keepdims)
    a, weights = constant(a), constant(weights)
    if np.ndim(value_of(weights)) == 1 != np.ndim(value_of(a)) and axis is not None:
        shape = [1] * np.ndim(value_of(a))
        shape[axis] = -1
        weights = np.reshape(weights, shape)
    weights = np.broadcast_to(weights, np.shape(value_of(a)))
    keep = keepdims is True
    return np.sum(a * weights, axis, keepdims=keep) / np.sum(weights, axis, keepdims=keep)


@handles(np.var)
def variance(a: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False, *, correction: Any = None) -> Any:
    """Give the variance."""
    ddof = ddof if correction is None or correction is np._NoValue else correction
    apart = a - mean(a, axis, keepdims=True)
    return FUNCTIONS[np.sum](np.square(apart), axis, keepdims=keepdims) / (_count(a, axis) - ddof)


@handles(np.std)
def deviation(a: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False, *, correction: Any = None) -> Any:
    """Give the standard deviation: a norm, which has a kink where all entries are equal."""
    ddof = ddof if correction is None or correction is np._NoValue else correction
    long = FUNCTIONS[np.linalg.norm](a - mean(a, axis, keepdims=True), None, axis, keepdims is True)
    return long / np.sqrt(np.float64(_count(a, axis) - ddof)).astype(a.dtype)


class Accumulated(Linear):
    """Sums of all entries up to each one; options are the axis."""

    name = "np.cumsum"

    def forward(self, options: Any, *values: Any) -> Any:
        """Sum up."""
        return values[0].cumsum(axis=options)

    def back(self, options: Any, g: Any, like: Any) -> Any:
        """Sum up from the other end."""
        behind = (slice(None),) * (options % g.ndim) + (slice(None, None, -1),)
        return g[behind].cumsum(axis=options)[behind]

    def terms(self, node: Node) -> int:
        """Count the entries along the axis."""
        return int(node.value.shape[node.options])


CUMSUM: Final = Accumulated()


@handles(np.cumsum)
def accumulated(a: Any, axis: Any = None) -> Any:
    """Sum up along an axis."""
    if axis is None:
        a, axis = FUNCTIONS[np.ravel](a), 0
    return recorded(CUMSUM, (a,), CUMSUM.forward(axis, a.value), axis)


@handles(np.prod)
def product(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Multiply along axes, in halves: right where entries are 0, and for all but one of them."""
    keep = bool(keepdims) and keepdims is not np._NoValue
    axes = (
        tuple(range(a.ndim))
        if axis is None
        else tuple(i % a.ndim for i in (axis if isinstance(axis, tuple) else (axis,)))
    )
    kept = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
    rest_axes = [i for i in range(a.ndim) if i not in axes]
    flat = FUNCTIONS[np.transpose](a, [*axes, *rest_axes])
    flat = FUNCTIONS[np.reshape](flat, (_count(a, axes), *(a.shape[i] for i in rest_axes)))
    if not flat.shape[0]:
        return np.ones(kept if keep else [a.shape[i] for i in rest_axes], a.dtype)[()]
    while flat.shape[0] > 1:
        half = flat.shape[0] // 2
        pairs = flat[:half] * flat[half : 2 * half]
        flat = pairs if flat.shape[0] % 2 == 0 else FUNCTIONS[np.concatenate]([pairs, flat[2 * half :]])
    found = flat[0]
    return FUNCTIONS[np.reshape](found, kept) if keep else found


@handles(np.cumprod)
def multiplied(a: Any, axis: Any = None) -> Any:
    """Multiply up along an axis, entry by entry: right where entries are 0."""
    if axis is None:
        a, axis = FUNCTIONS[np.ravel](a), 0
    ahead = FUNCTIONS[np.moveaxis](a, axis, 0)
    if not a.size:
        return a
    parts = [ahead[0]]
    for i in range(1, ahead.shape[0]):
        parts.append(parts[-1] * ahead[i])
    return FUNCTIONS[np.moveaxis](FUNCTIONS[np.stack](parts), 0, axis)


@handles(np.diff)
def differences(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    """Subtract neighbours."""
    a = constant(a)
    ends = [one for one in (prepend, append) if one is not np._NoValue]
    if ends:
        like = list(np.shape(value_of(a)))
        like[axis] = 1
        parts = [a]
        if prepend is not np._NoValue:
            parts.insert(0, prepend if np.ndim(value_of(prepend)) else np.broadcast_to(prepend, like))
        if append is not np._NoValue:
            parts.append(append if np.ndim(value_of(append)) else np.broadcast_to(append, like))
        a = FUNCTIONS[np.concatenate](parts, axis)
    for _ in range(n):
        a = _cut(a, axis, 1, None) - _cut(a, axis, None, -1)
    return a


def _cut(a: Any, axis: int, start: Any, stop: Any, step: Any = None) -> Any:
    return a[(slice(None),) * (axis % a.ndim) + (slice(start, stop, step),)]


@handles(np.ediff1d)
def differences_1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Subtract neighbours of the flat array."""
    parts = [one for one in (to_begin, differences(FUNCTIONS[np.ravel](ary)), to_end) if one is not None]
    return parts[0] if len(parts) == 1 else FUNCTIONS[np.concatenate]([np.atleast_1d(part) for part in parts])


@handles(np.gradient)
def slopes(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Give NumPy's differences along axes."""
    axes = range(f.ndim) if axis is None else ([axis] if isinstance(axis, int) else axis)
    axes = [i % f.ndim for i in axes]
    spacings = list(varargs) * (len(axes) if len(varargs) == 1 else 1) or [1.0] * len(axes)
    if edge_order != 1 or any(np.ndim(value_of(one)) for one in spacings):
        raise refusal("np.gradient with coordinates or edge_order=2", "write the differences by slices")
    found = []
    for i, h in zip(axes, spacings, strict=True):
        inside = (_cut(f, i, 2, None) - _cut(f, i, None, -2)) / (2 * h)
        first = (_cut(f, i, 1, 2) - _cut(f, i, 0, 1)) / h
        last = (_cut(f, i, -1, None) - _cut(f, i, -2, -1)) / h
        found.append(FUNCTIONS[np.concatenate]([first, inside, last], i))
    return found[0] if len(found) == 1 else tuple(found)


@handles(*(getattr(np, name) for name in ("trapezoid", "trapz") if hasattr(np, name)))
def integral(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integrate by trapezoids."""
    y = constant(y)
    middle = (_cut(y, axis, 1, None) + _cut(y, axis, None, -1)) / 2
    if x is None:
        return np.sum(middle * dx, axis)
    x = constant(x)
    widths = differences(x)
    if np.ndim(value_of(x)) == 1:
        shape = [1] * np.ndim(value_of(y))
        shape[axis] = -1
        widths = np.reshape(widths, shape)
    else:
        widths = differences(x, axis=axis)
    return np.sum(middle * widths, axis)


@handles(np.sinc)
def sinc(x: Any) -> Any:
    """Give sin(pi x)/(pi x): the plain differences of the function itself, for it is 0/0 at 0."""
    return recorded(SINC, (x,), np.sinc(x.value))


SINC: Final = Local(np.sinc, name="np.sinc")


@handles(np.interp)
def interpolated(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Interpolate: linear in the values of the table, numerically in the place."""
    own_table = isinstance(fp, Node) and fp.live
    ends = [one for one in (xp, left, right) if isinstance(one, Node) and one.live]
    if period is not None or ends or (own_table and (left is not None or right is not None)):
        raise refusal(
            "np.interp with a period, recorded xp, or left and right of a recorded fp", "write it by np.where"
        )
    x, xp, fp = constant(x), np.asarray(plain(xp)), constant(fp)
    if own_table:
        x = x if isinstance(x, Node) else np.asarray(x)
        place = plain(np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2))
        share = np.clip((x - xp[place]) / (xp[place + 1] - xp[place]), 0.0, 1.0)
        return fp[place] + (fp[place + 1] - fp[place]) * share
    table = np.array(plain(fp))
    rule = Local(lambda at: np.interp(at, xp, table, plain(left), plain(right)), name="np.interp")
    return recorded(rule, (x,), rule.forward(None, x.value))


@handles(np.cov)
def covariance(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None) -> Any:
    """Give covariances."""
    if y is not None:
        raise refusal("np.cov with y", "write the product of the centred data")
    m = np.atleast_2d(m)
    m = m if rowvar or m.shape[0] == 1 else m.T
    apart = m - mean(m, 1, keepdims=True)
    count = m.shape[1] - ((0 if bias else 1) if ddof is None else ddof)
    return FUNCTIONS[np.squeeze](np.matmul(apart, apart.T) / count)


@handles(np.corrcoef)
def correlations(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    """Give correlations."""
    found = covariance(x, y, rowvar)
    sizes = np.sqrt(np.diagonal(found))
    return found / sizes[:, None] / sizes[None, :]


@handles(np.polyval)
def polynomial(p: Any, x: Any) -> Any:
    """Evaluate a polynomial by Horner's rule."""
    p, x = constant(p), constant(x)
    y = np.multiply(0.0, x)
    for i in range(len(p)):
        y = y * x + p[i]
    return y


@handles(np.nansum)
def sum_of_numbers(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Sum what is not nan."""
    return FUNCTIONS[np.sum](np.where(np.isnan(a), 0.0, a), axis, keepdims=keepdims)


@handles(np.nanmean)
def mean_of_numbers(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Give the mean of what is not nan."""
    return sum_of_numbers(a, axis, keepdims) / FUNCTIONS[np.sum](~np.isnan(a), axis, keepdims=keepdims)


class Cast(Linear):
    """Another floating dtype; options are it."""

    name = "astype"

    def forward(self, options: Any, *values: Any) -> Any:
        """Cast."""
        return values[0].astype(options)

    def back(self, options: Any, g: Any, like: Any) -> Any:
        """Cast back."""
        return g.astype(like.dtype)

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Add the rounding of a shorter dtype."""
        (given,), (error,) = node.inputs, errors
        if node.value.dtype.itemsize >= given.value.dtype.itemsize:
            return error
        rounding = np.abs(node.value.astype(np.float64)) * float(np.finfo(node.value.dtype).eps)
        return rounding if error is None else rounding + error

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Pass the bound on, with the rounding of the way back."""
        (given,) = node.inputs
        give(given, gap + np.abs(g) * float(np.finfo(given.value.dtype).eps))


class FlatCast(Rule):
    """Whole numbers and bools: flat wherever they have a slope; options are the dtype."""

    name, flat = "astype", True

    def forward(self, options: Any, *values: Any) -> Any:
        """Cast."""
        return values[0].astype(options)

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Give none: the value is taken as it is; and count the entries at which it jumps."""
        (x,) = (given.value for given in node.inputs)
        if x.dtype.kind == "f":
            node.tape.edge(node, x == 0 if node.options.kind == "b" else (x == np.rint(x)) & (x != 0))
        return None


CAST: Final = Cast()
FLAT_CAST: Final = FlatCast()


@handles(*([np.astype] if hasattr(np, "astype") else []), "astype")
def cast(x: Any, dtype: Any, /, **options: Any) -> Any:
    """Cast to another dtype."""
    dtype = np.dtype(dtype)
    if dtype == x.dtype:
        return x
    if dtype.kind == "c":
        raise refusal("a cast to complex numbers", "write the real and the imaginary part as arrays of their own")
    if dtype.kind == "O":
        return x
    rule: Rule = CAST if dtype.kind == "f" and x.dtype.kind == "f" else FLAT_CAST
    return recorded(rule, (x,), x.value.astype(dtype), dtype)
