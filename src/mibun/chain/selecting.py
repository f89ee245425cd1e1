"""Functions that choose among entries: where, the largest, sorting, medians.

The slope is 1 in the entry that was chosen, and 0 in all others. Entries that tie share it: moved apart by a random
step, each of them is chosen as often as the others. A tie is a kink, and is counted.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from mibun.chain.array import apply, branched, constant, plain, recorded
from mibun.chain.linear import kept
from mibun.chain.moving import moved, raveled, reshaped, stacked
from mibun.chain.refuse import refusal
from mibun.chain.tape import FUNCTIONS, Array, Give, Node, Rule, handles, value_of

__all__ = ["clipped", "largest"]


def _number(array: Any) -> Any:
    """Give an array without axes as a number."""
    return array if array.ndim else array[()]


class Where(Rule):
    """One array where a condition holds, and another one elsewhere."""

    name = "np.where"

    def forward(self, options: Any, *values: Any) -> Any:
        """Choose."""
        return np.where(*values)[()]

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Give each side the entries that were taken from it."""
        condition, first, second = node.inputs
        condition = value_of(condition)
        none = g.dtype.type(0)
        if isinstance(first, Node) and first.live:
            give(first, _number(np.where(condition, g, none)))
        if isinstance(second, Node) and second.live:
            give(second, _number(np.where(condition, none, g)))

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Choose among the errors."""
        _, first, second = (0.0 if error is None else error for error in errors)
        return np.where(value_of(node.inputs[0]), first, second)

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Give each side its part of the bound."""
        self.pull(node, gap, give)


class Largest(Rule):
    """The largest or smallest entry along axes; options are (ufunc, axis, keepdims)."""

    def __init__(self, ufunc: np.ufunc, name: str) -> None:
        self.ufunc, self.name = ufunc, name

    def forward(self, options: Any, *values: Any) -> Any:
        """Choose."""
        axis, keepdims = options
        return self.ufunc.reduce(values[0], axis=axis, keepdims=keepdims)

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Share the cotangent among the entries that are largest."""
        (given,), (axis, _) = node.inputs, node.options
        y = node.value
        if y.ndim != given.value.ndim and axis is not None:
            y, g = kept(y, given.value.shape, axis), kept(g, given.value.shape, axis)
        chosen = given.value == y
        if np.count_nonzero(chosen) > node.value.size:
            count = np.add.reduce(chosen, axis=axis, keepdims=True, dtype=g.dtype)
            node.tape.kink(node, np.count_nonzero(count > 1))
            g = g / (count if axis is not None else count.reshape(()))
        give(given, chosen * g)

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Take the largest error: another entry can only win by what it is off."""
        axis, keepdims = node.options
        return None if errors[0] is None else np.maximum.reduce(errors[0], axis=axis, keepdims=keepdims)

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Cover every entry that could be the largest, where there are several."""
        (given,), (axis, keepdims) = node.inputs, node.options
        y, size, gap = node.value, np.abs(g), gap
        if not keepdims and axis is not None:
            y, size, gap = (np.expand_dims(part, axis) for part in (y, size, gap))
        error = 0.0 if errors[0] is None else errors[0]
        near = np.abs(given.value - y) <= error + np.max(error)
        several = np.count_nonzero(near, axis=axis, keepdims=True) > 1 if axis is not None else near.sum() > 1
        if np.any(several):
            node.tape.kink(node, np.count_nonzero(several))
        give(given, near * (gap if node.tape.smooth else gap + size * several))


WHERE: Final = Where()
LARGEST: Final[dict[np.ufunc, Largest]] = {
    np.maximum: Largest(np.maximum, "np.max"),
    np.minimum: Largest(np.minimum, "np.min"),
    np.fmax: Largest(np.fmax, "np.nanmax"),
    np.fmin: Largest(np.fmin, "np.nanmin"),
}


@handles(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """Choose from two arrays."""
    if x is None:
        return FUNCTIONS[np.nonzero](condition)
    which, first, second = constant(condition), constant(x), constant(y)
    live = isinstance(which, Node) and which.live
    if live:
        which = np.not_equal(which, 0)
    if not isinstance(first, Node) and not isinstance(second, Node):
        return np.where(plain(which), first, second)
    value = _number(np.where(value_of(which), value_of(first), value_of(second)))
    node = recorded(WHERE, (which, first, second), value)
    node.tape.chooses = True
    return node


def largest(ufunc: np.ufunc, x: Any, axis: Any, keepdims: Any) -> Any:
    """Record the largest or smallest entry."""
    options = axis, keepdims is not np._NoValue and bool(keepdims)
    rule = LARGEST[ufunc]
    return recorded(rule, (x,), rule.forward(options, x.value), options)


@handles(np.max, np.amax)
def maximum(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Give the largest entries."""
    return largest(np.maximum, a, axis, keepdims)


@handles(np.min, np.amin)
def minimum(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Give the smallest entries."""
    return largest(np.minimum, a, axis, keepdims)


@handles(np.nanmax)
def largest_number(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Give the largest entries that are not nan."""
    a.tape.chooses = True
    return largest(np.fmax, a, axis, keepdims)


@handles(np.nanmin)
def smallest_number(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Give the smallest entries that are not nan."""
    a.tape.chooses = True
    return largest(np.fmin, a, axis, keepdims)


@handles(np.ptp)
def spread(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Give largest minus smallest."""
    return maximum(a, axis, keepdims) - minimum(a, axis, keepdims)


@handles(np.clip)
def clipped(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:  # noqa: A002
    """Cut at two limits."""
    a_min, a_max = a_min if min is None else min, a_max if max is None else max
    if a_min is not None:
        a = np.maximum(a, a_min)
    return a if a_max is None else np.minimum(a, a_max)


class Ordered(Rule):
    """Entries in an order that depends on them; options are (function from values to the order, axis)."""

    def __init__(self, name: str) -> None:
        self.name = name

    def forward(self, options: Any, *values: Any) -> Any:
        """Put in order."""
        order, axis = options
        return np.take_along_axis(values[0], order(values[0]), axis)

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Put back; entries that tie share what they are given."""
        (given,) = node.inputs
        spread = self._back(node, g)
        ties = Ties.of(given.value, 0.0, node.options[1])
        if ties is not None:
            mean, least, most = ties.shared(spread)
            if np.any(least < most):
                node.tape.kink(node, np.count_nonzero(least < most))
                spread = mean
        give(given, spread)

    @staticmethod
    def _back(node: Node, g: Any) -> Any:
        (given,), (order, axis) = node.inputs, node.options
        spread = np.empty(given.value.shape, g.dtype)
        np.put_along_axis(spread, order(given.value), g, axis)
        return spread

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Put the errors in the order of the entries."""
        order, axis = node.options
        return None if errors[0] is None else np.take_along_axis(errors[0], order(node.inputs[0].value), axis)

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Put the bounds back; where entries may be exchanged, each may have been given what the others were."""
        (given,) = node.inputs
        gap = self._back(node, gap)
        ties = Ties.of(given.value, 0.0 if errors[0] is None else errors[0], node.options[1])
        if ties is not None:
            _, least, most = ties.shared(self._back(node, g))
            _, _, gap = ties.shared(gap)
            if np.any(least < most):
                node.tape.kink(node, np.count_nonzero(least < most))
                gap = gap if node.tape.smooth else gap + (most - least)
        give(given, gap)


class Ties(NamedTuple):
    """Entries in groups of equal ones, or of such as may be equal, along an axis."""

    order: Array
    axis: int
    starts: Array  #: of the groups, in order, one row behind the other

    @classmethod
    def of(cls, x: Array, errors: Any, axis: int) -> "Ties | None":
        """Find them; None where all are apart."""
        order = np.argsort(x, axis, "stable")
        y, off = (
            np.moveaxis(np.take_along_axis(np.broadcast_to(part, x.shape), order, axis), axis, -1)
            for part in (x, errors)
        )
        apart = ~(np.diff(y) <= off[..., 1:] + off[..., :-1])
        if apart.all():
            return None
        first = np.ones((*y.shape[:-1], 1), bool)
        return cls(order, axis, np.flatnonzero(np.concatenate([first, apart], -1)))

    def shared(self, g: Array) -> list[Array]:
        """Give the mean, the least and the most of each group, to all of it."""
        ahead = np.moveaxis(np.take_along_axis(g, self.order, self.axis), self.axis, -1)
        flat, counts = ahead.reshape(-1), np.diff(self.starts, append=g.size)
        found = []
        for ufunc in (np.add, np.minimum, np.maximum):
            of_group = ufunc.reduceat(flat, self.starts)
            of_group = of_group / counts.astype(g.dtype) if ufunc is np.add else of_group
            spread = np.empty_like(g)
            every = np.repeat(of_group, counts).reshape(ahead.shape)
            np.put_along_axis(spread, self.order, np.moveaxis(every, -1, self.axis), self.axis)
            found.append(spread)
        return found


SORT: Final = Ordered("np.sort")
PARTITION: Final = Ordered("np.partition")


@handles(np.sort)
def sorted_(a: Any, axis: Any = -1) -> Any:
    """Sort."""
    if axis is None:
        a, axis = raveled(a), 0
    return apply(SORT, a, options=(lambda x: np.argsort(x, axis, "stable"), axis))


@handles(np.partition)
def partitioned(a: Any, kth: Any, axis: Any = -1) -> Any:
    """Partition."""
    if axis is None:
        a, axis = raveled(a), 0
    return apply(PARTITION, a, options=(lambda x: np.argpartition(x, kth, axis), axis))


@handles(np.median)
def median(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Give the middle entry, or the mean of the two in the middle."""
    return quantile(a, 0.5, axis, keepdims=keepdims)


@handles(np.percentile)
def percentile(a: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: Any = False) -> Any:
    """Give percentiles."""
    return quantile(a, np.true_divide(q, 100), axis, method, keepdims)


@handles(np.quantile)
def quantile(a: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: Any = False) -> Any:
    """Interpolate between the sorted entries."""
    if method != "linear":
        raise refusal(f"np.quantile(method={method!r})", 'method="linear" is recorded')
    if isinstance(axis, tuple):
        rest = [i for i in range(a.ndim) if i not in {j % a.ndim for j in axis}]
        kept = tuple(1 if i not in rest else a.shape[i] for i in range(a.ndim))
        a = reshaped(FUNCTIONS[np.transpose](a, [*rest, *axis]), (*(a.shape[i] for i in rest), -1))
        found = quantile(a, q, -1)
        return reshaped(found, np.shape(q) + kept) if keepdims else found
    if axis is None:
        found = quantile(raveled(a), q, 0)
        return reshaped(found, np.shape(q) + (1,) * a.ndim) if keepdims else found
    ranked = sorted_(a, axis)
    position = np.asarray(plain(q), np.float64) * (a.shape[axis] - 1)
    if not np.all((position >= 0) & (position <= a.shape[axis] - 1)):
        raise ValueError(f"{q!r}: quantiles must be in the range [0, 1], percentiles in [0, 100]")
    low = np.floor(position).astype(np.intp)
    share = (position - low).reshape(position.shape + (1,) * (a.ndim - 1))
    ahead = FUNCTIONS[np.moveaxis](ranked, axis, 0)
    below, above = ahead[low], ahead[np.minimum(low + 1, a.shape[axis] - 1)]
    found = below + (above - below) * (share if share.ndim else float(share))
    found = where(np.isnan(ahead[-1]), ahead[-1], found) if np.isnan(ahead.value[-1]).any() else found
    return FUNCTIONS[np.expand_dims](found, axis % a.ndim + position.ndim) if keepdims else found


@handles(np.select)
def selected(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Take each entry from the first choice whose condition holds."""
    found = default
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        found = where(condition, choice, found)
    return found


@handles(np.choose)
def picked(a: Any, choices: Any, mode: str = "raise") -> Any:
    """Take each entry from the choice that an integer names."""
    which = plain(a)
    layers = stacked(list(choices) if isinstance(choices, Node) else np.broadcast_arrays(*choices))  # type: ignore[call-overload]
    places = np.broadcast_to(which, layers.shape[1:])
    return moved(layers, "np.choose", lambda every: np.choose(places, every, mode=mode))  # type: ignore[call-overload]


SHAPES: Final = ("shape", "ndim", "size", "isrealobj", "iscomplexobj")
FLAT: Final = """
    argmax argmin argsort argpartition argwhere nonzero flatnonzero searchsorted digitize count_nonzero any all isclose
    allclose array_equal array_equiv isin isreal iscomplex isposinf isneginf
""".split()  # noqa: SIM905


class FlatFunction(Rule):
    """A function whose slope is 0 wherever it has one."""

    flat = True

    def __init__(self, function: Any) -> None:
        self.function, self.name = function, f"np.{function.__name__}"

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute it."""
        return self.function(*values, **options)

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Give none: the value is taken as it is."""
        return None


def _register_flat(name: str) -> None:
    rule = FlatFunction(getattr(np, name))

    def handler(*args: Any, **options: Any) -> Any:
        values = [value_of(given) for given in args]
        value = rule.function(*values, **{key: value_of(one) for key, one in options.items()})
        if name in SHAPES:
            return value
        named = {key: plain(one) for key, one in options.items()}
        if not hasattr(value, "dtype"):  # a bool of Python, a tuple of indices
            nodes = tuple(given for given in args if isinstance(given, Node))
            places = [isinstance(given, Node) for given in args]

            def again(*now: Any) -> Any:
                left = iter(now)
                return rule.function(*(next(left) if n else v for n, v in zip(places, values, strict=True)), **named)

            return branched(rule.name, nodes, again)
        return recorded(rule, args, value, named)

    handles(rule.function)(handler)


for _name in (*FLAT, *SHAPES):
    _register_flat(_name)


@handles(np.round, np.around)
def rounded(a: Any, decimals: int = 0) -> Any:
    """Round: flat wherever it has a slope."""
    return np.rint(a) if decimals == 0 else np.rint(a * 10.0**decimals) / 10.0**decimals


@handles(np.fix)
def fixed(x: Any) -> Any:
    """Round towards zero."""
    return np.trunc(x)


def _like(function: Any) -> None:
    def handler(a: Any, *args: Any, **options: Any) -> Any:
        if any(isinstance(one, Node) and one.live for one in (*args, *options.values())):
            return FUNCTIONS[np.broadcast_to](args[0] if args else options["fill_value"], np.shape(value_of(a)))
        return function(value_of(a), *map(plain, args), **options)

    handles(function)(handler)


for _function in (np.zeros_like, np.ones_like, np.empty_like, np.full_like):
    _like(_function)


@handles(np.nan_to_num)
def finite(x: Any, *, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Replace what is not finite."""
    largest = np.finfo(x.dtype).max
    x = where(np.isnan(x), nan, x)
    x = where(np.isposinf(x), largest if posinf is None else posinf, x)
    return where(np.isneginf(x), -largest if neginf is None else neginf, x)


@handles(np.copy, np.ascontiguousarray, np.asfortranarray, np.real, np.real_if_close, np.asanyarray, np.require)
def same(a: Any) -> Any:
    """Give the array itself: it is never written to."""
    return a
