"""Functions that move entries about: each entry of the result is one of the input, or a constant.

Whatever such a function is (reshape, flip, repeat, diag, pad, a fancy index, sliding windows), it moves the numbers
0, 1, 2, ... as it moves the entries of x. So one pass over them tells where each entry comes from, and the adjoint
adds up what came from the same place, which is right for repeated indices, too.
"""

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from mibun.chain.array import constant, plain, recorded
from mibun.chain.linear import Linear
from mibun.chain.refuse import refusal
from mibun.chain.tape import Give, Node, Rule, handles, value_of
from mibun.chain.tape import give as add

__all__ = ["CONCATENATE", "moved", "placed"]


class Reshape(Linear):
    """Another shape for the same entries in the same order."""

    name = "np.reshape"

    def forward(self, options: Any, *values: Any) -> Any:
        """Give it the shape."""
        return np.reshape(values[0], options)

    def back(self, options: Any, g: Any, like: Any) -> Any:
        """Give it the old shape."""
        return np.reshape(g, like.shape)


class Transpose(Linear):
    """A permutation of the axes; options are axes, and where each comes from."""

    name = "np.transpose"

    def forward(self, options: Any, *values: Any) -> Any:
        """Permute."""
        return values[0].transpose(options[0])

    def back(self, options: Any, g: Any, like: Any) -> Any:
        """Permute back."""
        return g.transpose(options[1])


class Part(Linear):
    """A part chosen by an index of slices and integers, no entry twice."""

    name = "x[...]"

    def forward(self, options: Any, *values: Any) -> Any:
        """Choose."""
        return values[0][options]

    def back(self, options: Any, g: Any, like: Any) -> Any:
        """Put it in its place among zeros."""
        spread = np.zeros(like.shape, g.dtype)
        spread[options] = g
        return spread

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Add into the cotangent where that is known to be nobody else's: x[i] in a loop is then cheap."""
        (given,) = node.inputs
        sofar = given.cotangent
        if sofar is None or not given.owned or give is not add:
            give(given, self.back(node.options, g, given.value))
            given.owned = given.owned or sofar is None
        else:
            sofar[node.options] += g


class Picked(Part):
    """A part chosen by arrays of integers, perhaps an entry several times."""

    def back(self, options: Any, g: Any, like: Any) -> Any:
        """Add it up in its place among zeros."""
        summed = np.zeros(like.shape, g.dtype)
        np.add.at(summed, options, g)
        return summed

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Add it up."""
        give(node.inputs[0], self.back(node.options, g, node.inputs[0].value))


class Move(Linear):
    """A function that moves entries; options are (function, where each entry comes from, or None)."""

    def __init__(self, name: str) -> None:
        self.name = name

    def forward(self, options: Any, *values: Any) -> Any:
        """Move."""
        return options[0](values[0])

    def back(self, options: Any, g: Any, like: Any) -> Any:
        """Add up what came from the same entry; 0 stands for a constant, entries count from 1."""
        function, _ = options
        source = function(np.arange(1, like.size + 1).reshape(like.shape))
        summed = np.bincount(np.ravel(source), np.ravel(g), like.size + 1)
        return summed[1:].reshape(like.shape).astype(g.dtype, copy=False)

    def terms(self, node: Node) -> int:
        """Nothing is summed on the way forward."""
        return 0


class Concatenate(Rule):
    """Arrays one behind the other; options are the axis."""

    name = "np.concatenate"

    def forward(self, options: Any, *values: Any) -> Any:
        """Put them together."""
        return np.concatenate(values, axis=options)

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Cut the cotangent into pieces."""
        axis, start = node.options, 0
        for given in node.inputs:
            stop = start + value_of(given).shape[axis]
            if isinstance(given, Node) and given.live:
                key = (slice(None),) * (axis % g.ndim) + (slice(start, stop),)
                give(given, g[key])
            start = stop

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Put the errors together."""
        parts = [
            np.zeros(value_of(given).shape) if error is None else error
            for given, error in zip(node.inputs, errors, strict=True)
        ]
        return np.concatenate(parts, axis=node.options)

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Cut the bound into pieces."""
        self.pull(node, gap, give)


RESHAPE: Final = Reshape()
TRANSPOSE: Final = Transpose()
PART: Final = Part()
PICKED: Final = Picked()
CONCATENATE: Final = Concatenate()


def moved(x: Any, name: str, function: Callable[[Any], Any]) -> Any:
    """Record a function that moves entries."""
    return recorded(Move(name), (x,), function(x.value), (function, None))


@handles(np.reshape)
def reshaped(x: Any, /, shape: Any = None, order: Any = "C", *, newshape: Any = None) -> Any:
    """Give another shape."""
    shape = newshape if shape is None else shape
    if order in ("A", "K"):  # as it lies in memory
        flags = x.value.flags
        if order == "K" and not flags.forc:
            raise refusal('order="K" of an array that does not lie in one piece', 'write order="C"')
        order = "F" if flags.fnc else "C"
    if order != "C":
        return moved(x, "np.reshape", lambda a: np.reshape(a, shape, order=order))
    value = np.reshape(x.value, shape)
    return recorded(RESHAPE, (x,), value, value.shape)


@handles(np.ravel)
def raveled(a: Any, order: Any = "C") -> Any:
    """Give one axis."""
    return reshaped(a, (-1,), order=order)


@handles(np.transpose)
def transposed(a: Any, axes: Any = None) -> Any:
    """Permute the axes."""
    axes = tuple(range(a.ndim))[::-1] if axes is None else tuple(operator.index(axis) % a.ndim for axis in axes)
    back = tuple(sorted(range(len(axes)), key=axes.__getitem__))
    return recorded(TRANSPOSE, (a,), a.value.transpose(axes), (axes, back))


@handles(np.swapaxes)
def swapped(a: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    axes = list(range(a.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return transposed(a, axes)


@handles(np.moveaxis)
def axis_moved(a: Any, source: Any, destination: Any) -> Any:
    """Move axes to other places."""
    named = np.broadcast_to(0, tuple(range(a.ndim)))  # an array whose lengths are the names of its axes
    return transposed(a, np.moveaxis(named, source, destination).shape)


@handles(np.expand_dims)
def expanded(a: Any, axis: Any) -> Any:
    """Add axes of length 1."""
    return reshaped(a, np.expand_dims(a.value, axis).shape)


@handles(np.squeeze)
def squeezed(a: Any, axis: Any = None) -> Any:
    """Drop axes of length 1."""
    return reshaped(a, np.squeeze(a.value, axis).shape)


@handles(np.atleast_1d)
def at_least_1d(*arrays: Any) -> Any:
    """Give each at least one axis."""
    return _at_least(arrays, np.atleast_1d)


@handles(np.atleast_2d)
def at_least_2d(*arrays: Any) -> Any:
    """Give each at least two axes."""
    return _at_least(arrays, np.atleast_2d)


@handles(np.atleast_3d)
def at_least_3d(*arrays: Any) -> Any:
    """Give each at least three axes."""
    return _at_least(arrays, np.atleast_3d)


def _at_least(arrays: Sequence[Any], function: Any) -> Any:
    made = [reshaped(a, function(a.value).shape) if isinstance(a, Node) else function(a) for a in arrays]
    return made[0] if len(made) == 1 else tuple(made)


@handles(operator.getitem)
def chosen(x: Any, key: Any) -> Any:
    """Choose entries by an index."""
    parts = key if type(key) is tuple else (key,)
    for part in parts:
        if type(part) is not int and part is not None and part is not Ellipsis and type(part) is not slice:
            break
    else:
        return recorded(PART, (x,), x.value[key], key)
    settled = tuple(map(_plain_key, parts))
    several = any(isinstance(part, np.ndarray) and part.dtype != bool for part in settled)
    whole = settled if type(key) is tuple else settled[0]
    return recorded(PICKED if several else PART, (x,), x.value[whole], whole)


def _plain_key(part: Any) -> Any:
    if isinstance(part, list):
        part = np.asarray([plain(one) for one in part], None if part else np.intp)
    part = plain(part)
    return part.copy() if isinstance(part, np.ndarray) else part  # the caller may write to it


#: Functions that move the entries of their first argument, whatever else is given to them.
MOVES: Final = """
    flip fliplr flipud roll rot90 rollaxis repeat tile diag diagonal diagflat tril triu resize delete array_split split
    vsplit hsplit dsplit take matrix_transpose unstack
""".split()  # noqa: SIM905


def _register(name: str) -> None:
    function = getattr(np, name, None)
    if function is None:  # of a later NumPy
        return

    def handler(x: Any, *args: Any, **options: Any) -> Any:
        given, named = list(map(plain, args)), {key: plain(one) for key, one in options.items()}
        if not isinstance(x, Node):  # an index was recorded, and x was not
            return function(x, *given, **named)
        value = function(x.value, *given, **named)
        if not isinstance(value, list | tuple):
            return moved(x, f"np.{name}", lambda a: function(a, *given, **named))
        return [moved(x, f"np.{name}", partial(_piece, i, function, given, named)) for i in range(len(value))]

    handles(function)(handler)


def _piece(place: int, function: Any, given: Any, named: Any, a: Any) -> Any:
    return function(a, *given, **named)[place]


for _name in MOVES:
    _register(_name)


@handles(np.compress)
def compressed(condition: Any, a: Any, axis: Any = None) -> Any:
    """Choose along an axis where a condition holds."""
    places = np.flatnonzero(plain(condition))
    if not isinstance(a, Node):
        return np.take(a, places, axis)
    return moved(a, "np.compress", lambda x: np.take(x, places, axis))


@handles(np.extract)
def extracted(condition: Any, arr: Any) -> Any:
    """Choose where a condition holds."""
    return compressed(_flat(condition), arr)


def placed(arrays: Sequence[Any], axis: int) -> Any:
    """Record arrays one behind the other."""
    parts = [constant(a) for a in arrays]
    values = [np.asarray(value_of(part)) for part in parts]
    inputs = tuple(part if isinstance(part, Node) else value for part, value in zip(parts, values, strict=True))
    return recorded(CONCATENATE, inputs, np.concatenate(values, axis=axis), axis)


@handles(np.concatenate)
def concatenated(arrays: Any, /, axis: Any = 0) -> Any:
    """Put arrays one behind the other."""
    if axis is None:
        return placed([_flat(a) for a in arrays], 0)
    return placed(list(arrays), axis)


def _flat(a: Any) -> Any:
    return raveled(a) if isinstance(a, Node) else np.ravel(a)


@handles(np.stack)
def stacked(arrays: Any, axis: int = 0) -> Any:
    """Put arrays together along a new axis."""
    parts = [constant(a) for a in arrays]
    return placed([_expanded(part, axis) for part in parts], axis)


def _expanded(a: Any, axis: int) -> Any:
    return expanded(a, axis) if isinstance(a, Node) else np.expand_dims(a, axis)


def _atleast(function: Any, a: Any) -> Any:
    return reshaped(a, function(a.value).shape) if isinstance(a, Node) else function(a)


@handles(np.hstack)
def beside(tup: Any) -> Any:
    """Put arrays side by side."""
    parts = [_atleast(np.atleast_1d, constant(a)) for a in tup]
    return placed(parts, 0 if parts[0].ndim == 1 else 1)


@handles(np.vstack)
def above(tup: Any) -> Any:
    """Put arrays one above the other."""
    return placed([_atleast(np.atleast_2d, constant(a)) for a in tup], 0)


@handles(np.column_stack)
def columns(tup: Any) -> Any:
    """Make vectors the columns of a matrix."""
    parts = [constant(a) for a in tup]
    return placed([_expanded(p, 1) if np.ndim(value_of(p)) == 1 else _atleast(np.atleast_2d, p) for p in parts], 1)


@handles(np.dstack)
def behind(tup: Any) -> Any:
    """Put arrays together along the third axis."""
    return placed([_atleast(np.atleast_3d, constant(a)) for a in tup], 2)


@handles(np.append)
def appended(arr: Any, values: Any, axis: Any = None) -> Any:
    """Put values behind an array."""
    return concatenated([constant(arr), constant(values)], axis)


@handles(np.broadcast_to)
def broadcast(array: Any, shape: Any) -> Any:
    """Spread an array."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return recorded(SPREAD, (array,), np.broadcast_to(array.value, shape), shape)


class Spread(Linear):
    """An array broadcast to a shape."""

    name = "np.broadcast_to"

    def forward(self, options: Any, *values: Any) -> Any:
        """Spread."""
        return np.broadcast_to(values[0], options)

    def back(self, options: Any, g: Any, like: Any) -> Any:
        """Leave the summing to `give`."""
        return g


SPREAD: Final = Spread()


@handles(np.broadcast_arrays)
def broadcast_all(*arrays: Any) -> Any:
    """Spread arrays to their common shape."""
    shape = np.broadcast_shapes(*(np.shape(value_of(a)) for a in arrays))
    return tuple(broadcast(a, shape) if isinstance(a, Node) else np.broadcast_to(a, shape) for a in arrays)


@handles(np.pad)
def padded(array: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0) -> Any:
    """Add a border."""
    fills = constant_values
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap") or isinstance(fills, Node):
        raise refusal(f"np.pad(mode={mode!r})", "build the border by np.concatenate")
    # a border of constants is added apart, so that the numbers that are moved stay as they are
    spread = moved(array, "np.pad", lambda a: np.pad(a, pad_width, mode=mode))
    if mode == "constant" and np.any(np.asarray(fills) != 0):
        spread = spread + np.pad(np.zeros(array.shape), pad_width, constant_values=fills)
    return spread


@handles(np.lib.stride_tricks.sliding_window_view)
def windows(x: Any, window_shape: Any, axis: Any = None) -> Any:
    """Give all windows of a shape."""
    view = np.lib.stride_tricks.sliding_window_view
    return moved(x, "sliding_window_view", lambda a: view(a, window_shape, axis))


@handles(np.take_along_axis)
def taken_along(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """Choose along an axis."""
    where = plain(indices)
    return moved(arr, "np.take_along_axis", lambda a: np.take_along_axis(a, where, axis))
