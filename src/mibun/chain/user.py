"""Functions of the user's own in a recorded f: entry by entry, sample by sample, or with a derivative of their own.

What is wrapped is called on plain arrays, in float64 where it is differenced, so that anything may stand inside: a
compiled function, a table, a loop with branches.
"""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from mibun.chain.array import apply, constant
from mibun.chain.local import STEP, UNIT, Local
from mibun.chain.refuse import place
from mibun.chain.rounding import times, unit_of
from mibun.chain.sampled import answer, shaken
from mibun.chain.tape import Array, Give, Node, Rule, value_of
from mibun.errors import InputError

__all__ = ["elementwise", "per_sample", "with_vjp"]

#: The part by which values may differ that should be the same: matrix products round as their rows happen to lie.
SAME: Final = 1e-5


class Wrapped:
    """A function that records itself where a recorded array is given to it, and is called as it is elsewhere."""

    def __init__(self, function: Callable[..., Any], kind: str) -> None:
        if not callable(function):
            raise InputError(f"{kind} takes a function, such as math.sin, not {function!r}")
        self.function, self.kind = function, kind
        self.name = f"{kind}({getattr(function, '__name__', type(function).__name__)})"

    def __call__(self, *inputs: Any) -> Any:
        """Call it, and record that where an input is recorded."""
        given = tuple(map(constant, inputs))
        if any(isinstance(one, Node) for one in given):
            return apply(self.rule(), *given)
        return self.value(*given)

    def rule(self) -> Rule:
        """Make the rule by which it is recorded."""
        raise NotImplementedError

    def value(self, *values: Any) -> Any:
        """Give the value for plain numbers and arrays, checked."""
        raise NotImplementedError

    def returned(self, found: Any, what: str) -> Array:
        """Check that numbers came back."""
        array = np.asarray(found)
        if array.dtype == object:
            with contextlib.suppress(TypeError, ValueError):
                array = array.astype(np.float64)
        if array.dtype.kind not in "fiub":
            raise InputError(f"{self.name} returned {array.dtype} of shape {array.shape}; expected {what}")
        return array

    def __repr__(self) -> str:
        return f"mb.chain.{self.name}"


class _Elementwise(Wrapped):
    """A function of single entries."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function, "elementwise")
        self.one_by_one = False
        self.checked = False

    def rule(self) -> Rule:
        return Local(self.value, name=self.name)

    def value(self, *values: Any) -> Any:
        shape = np.broadcast_shapes(*map(np.shape, values))
        found = self._called(shape, values)
        if not self.checked and found.size > 1:
            self._check(shape, values, found)
        return found[()]

    def _called(self, shape: tuple[int, ...], values: Sequence[Any]) -> Array:
        """Call it on arrays, or, if it does not take them, number by number."""
        if not self.one_by_one:
            try:
                found = self.function(*(np.array(value)[()] for value in values))
            except (TypeError, ValueError):  # as of math.sin, and of a branch
                if not shape:
                    raise
                self.one_by_one = True
            else:
                if np.shape(found) != shape:
                    raise InputError(
                        f"{self.name} returned shape {np.shape(found)} for {shape}; expected one number for each "
                        "entry; for a function of rows write mb.chain.per_sample"
                    )
                return self.returned(found, "real numbers")
        arrays = np.broadcast_arrays(*values)
        numbers = zip(*(array.reshape(-1).tolist() for array in arrays), strict=True)
        flat = self.returned([self.function(*one) for one in numbers], "a number for each number")
        return flat.reshape(shape)

    def _check(self, shape: tuple[int, ...], values: Sequence[Any], found: Array) -> None:
        """Compare with the values of some of the entries, in another order."""
        self.checked = True
        some = np.random.default_rng(0).permutation(found.size)[: (found.size + 1) // 2]
        alone = self._called(some.shape, [np.broadcast_to(value, shape).reshape(-1)[some] for value in values])
        if not np.allclose(alone, found.reshape(-1)[some], SAME, SAME * np.nanmax(np.abs(found)), equal_nan=True):
            raise InputError(
                f"{self.name}, at {place()}: an entry has another value where half of the others are left out; "
                "expected a function of single entries; for one of rows write mb.chain.per_sample"
            )


class _PerSample(Wrapped):
    """A function of rows, which do not meet."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function, "per_sample")
        self.checked = False

    def rule(self) -> Rule:
        return Rows(self.value, self.name)

    def value(self, *values: Any) -> Any:
        if len(values) != 1 or np.ndim(values[0]) != 2:
            raise InputError(
                f"{self.name} was given {len(values)} arrays, the first of shape {np.shape(values[0])}; expected one "
                "of shape (samples, inputs): put them side by side by np.concatenate, or reshape"
            )
        (z,) = values
        found = self.returned(self.function(np.array(z)), "real numbers")
        if found.ndim not in (1, 2) or len(found) != len(z):
            raise InputError(
                f"{self.name} returned shape {found.shape} for {np.shape(z)}; expected (samples, outputs) or (samples,)"
            )
        if not self.checked and len(z) > 1:
            self._check(np.asarray(z), found)
        return found

    def _check(self, z: Array, found: Array) -> None:
        """Compare with the values for some of the rows, in another order, each of them twice."""
        self.checked = True
        rows = np.random.default_rng(0).permutation(len(z))[: (len(z) + 1) // 2]
        rows = np.resize(rows, len(z))
        again = np.asarray(self.function(z[rows]))
        if not np.allclose(again, found[rows], SAME, SAME * np.nanmax(np.abs(found)), equal_nan=True):
            raise InputError(
                f"{self.name}, at {place()}: a row has another value where the other rows are others; expected that "
                "every sample stands alone (no mean over the batch, no random numbers)"
            )


class Rows(Rule):
    """A function of rows: of each input column in turn, all rows are moved at once."""

    def __init__(self, function: Callable[[Any], Any], name: str) -> None:
        self.function, self.name = function, name

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute the value."""
        return self.function(values[0])

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply by the central differences: two evaluations for each input."""
        (given,) = node.inputs
        z = np.asarray(given.value, np.float64)
        columns = [_rowwise(g, self._slope(z, column, 1)[0]) for column in range(z.shape[1])]
        give(given, np.stack(columns, axis=1).astype(np.result_type(g), copy=False))

    def _slope(self, z: Array, column: int, multiple: int) -> tuple[Array, Array]:
        """Give the central difference in one column, and h."""
        h = STEP * multiple * np.maximum(1.0, np.abs(z[:, column]))
        above, below = z.copy(), z.copy()
        above[:, column] += h
        below[:, column] -= h
        happened = above[:, column] - below[:, column]
        high, low = (np.asarray(self.function(side), np.float64) for side in (above, below))
        return (high - low) / (happened if high.ndim == 1 else happened[:, None]), h

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Sample what an error of the input does."""
        return shaken(self.function, [np.asarray(node.inputs[0].value, np.float64)], errors) + (
            unit_of(node.value) * np.abs(node.value)
        )

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Compare the differences at h and 2h, and at a point moved by the errors."""
        (given,) = node.inputs
        z, y = np.asarray(given.value, np.float64), np.abs(np.asarray(node.value, np.float64))
        columns = []
        for column in range(z.shape[1]):
            near, h = self._slope(z, column, 1)
            far, _ = self._slope(z, column, 2)
            step = h if y.ndim == 1 else h[:, None]
            off = np.abs(far - near) + 16 * UNIT * (y + step * np.abs(near)) / step
            off = off + unit_of(node.value) * np.abs(near)
            if errors[0] is not None:
                off = off + shaken(lambda moved, j=column: self._slope(moved, j, 1)[0], [z], errors)
            columns.append(_rowwise(gap, np.abs(near)) + _rowwise(np.abs(g) + gap, off))
        give(given, np.stack(columns, axis=1))


def _rowwise(g: Any, slope: Array) -> Array:
    """Sum over the outputs of every row."""
    return np.asarray(times(g, slope) if slope.ndim == 1 else times(g, slope).sum(axis=1))


class _WithVjp(Wrapped):
    """A function with a derivative of its own."""

    def __init__(self, function: Callable[..., Any], vjp: Callable[..., Any]) -> None:
        super().__init__(function, "with_vjp")
        if not callable(vjp):
            raise InputError(f"with_vjp takes a function and its vjp(cotangent, *inputs), not {vjp!r}")
        self.vjp = vjp

    def rule(self) -> Rule:
        return Given(self)

    def value(self, *values: Any) -> Any:
        return self.returned(self.function(*(np.array(value)[()] for value in values)), "real numbers")[()]

    def pulled(self, g: Any, values: Sequence[Any]) -> list[Any]:
        """Call the derivative, and check what it returns."""
        found = self.vjp(g, *(np.array(value)[()] for value in values))
        parts = list(found) if isinstance(found, tuple | list) else [found]
        if len(parts) != len(values):
            raise InputError(
                f"the vjp of {self.name} returned {len(parts)} arrays for {len(values)} inputs; expected one each, "
                "None for what is constant"
            )
        for part, value in zip(parts, values, strict=True):
            if part is not None and np.shape(part) != np.shape(value):
                raise InputError(
                    f"the vjp of {self.name} returned shape {np.shape(part)} for an input of shape {np.shape(value)}; "
                    "expected equal ones"
                )
        return parts


class Given(Rule):
    """A function with a derivative of its own, which is taken as it is, but for rounding."""

    def __init__(self, wrapped: _WithVjp) -> None:
        self.wrapped, self.name = wrapped, wrapped.name

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute the value."""
        return self.wrapped.value(*values)

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Call the derivative."""
        values = [value_of(given) for given in node.inputs]
        for given, part in zip(node.inputs, self.wrapped.pulled(g, values), strict=True):
            if isinstance(given, Node) and given.live:
                if part is None:
                    raise InputError(f"the vjp of {self.name} returned None for an input that depends on x")
                give(given, np.array(part)[()])  # a copy, for the caller may keep it

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Sample what errors of the inputs do."""
        return shaken(self.wrapped.value, [value_of(given) for given in node.inputs], errors)

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Sample what an error of the cotangent and errors of the inputs do."""
        values = [value_of(given) for given in node.inputs]
        for place_, given in enumerate(node.inputs):
            if isinstance(given, Node) and given.live:
                give(given, answer(partial(self._part, place_, values), gap))
                give(given, shaken(partial(self._moved, place_, g), values, errors))

    def _part(self, place_: int, values: Sequence[Any], g: Any) -> Any:
        return self.wrapped.pulled(g, values)[place_]

    def _moved(self, place_: int, g: Any, *values: Any) -> Any:
        return self.wrapped.pulled(g, values)[place_]


def elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of single numbers a piece of a recorded f, differentiated numerically where it stands.

    Parameters
    ----------
    function : callable
        Of one or several arrays of one shape (or that broadcast), entry by entry; a function of numbers, such as
        ``math.gamma``, is called for each entry.

    Returns
    -------
    callable
        The same function, for recorded and for plain arrays.

    Raises
    ------
    InputError
        When it is first called, if an entry has another value where others are left out; or if what it returns is no
        array of real numbers of the same shape.

    Notes
    -----
    Two evaluations of the piece for each input, two more where errors are asked for, at steps near 1e-5: the slope of a
    smooth function of order 1 is good to some 1e-11. Entries where the steps disagree are differentiated anew by the
    adaptive method, kinks are counted. The bound takes for granted that function computes in float64.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> import mibun as mb
    >>> gamma = mb.chain.elementwise(math.gamma)
    >>> d = mb.gradient(lambda x: np.sum(gamma(x) ** 2), np.array([1.0, 2.0]), method="chain")
    >>> truth = 2 * np.array([1.0, 1.0]) * np.array([-0.5772156649015329, 0.42278433509846714])
    >>> bool(np.all(abs(d.value - truth) <= d.error)), bool(d.error.max() < 1e-9)
    (True, True)
    """
    return _Elementwise(function)


def per_sample(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a function of the rows of a matrix a piece of a recorded f, differentiated numerically where it stands.

    Parameters
    ----------
    function : callable
        From (samples, inputs) to (samples, outputs) or (samples,), where no sample knows of another one.

    Returns
    -------
    callable
        The same function, for recorded and for plain arrays.

    Raises
    ------
    InputError
        When it is first called with several rows, if a row has another value where the other rows are others; or if
        what it returns does not have a row for each sample.

    Notes
    -----
    All rows are moved at once in each of the inputs: two evaluations of the piece for each, four where errors are asked
    for, however many samples there are. The steps are those of `elementwise`.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> def softmax(z):
    ...     e = np.exp(z - z.max(axis=1, keepdims=True))
    ...     return e / e.sum(axis=1, keepdims=True)
    >>> softmax = mb.chain.per_sample(softmax)
    >>> d = mb.gradient(lambda x: softmax(x)[0, 0], np.array([[0.5, 1.0], [3.0, 4.0]]), method="chain")
    >>> p = softmax(np.array([[0.5, 1.0]]))[0, 0]
    >>> bool(np.all(abs(d.value - [[p - p * p, p * p - p], [0.0, 0.0]]) <= d.error))
    True
    """
    return _PerSample(function)


def with_vjp(function: Callable[..., Any], vjp: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function with a derivative of its own a piece of a recorded f.

    Parameters
    ----------
    function : callable
        Of plain arrays, any number of them, to one array.
    vjp : callable
        ``vjp(cotangent, *inputs)``: the cotangent has the shape of what function returns, and for each input the slope
        of ``sum(cotangent * function(*inputs))`` in it is returned; one array, or a tuple of as many as there are
        inputs, with None for one that is constant.

    Returns
    -------
    callable
        The same function, for recorded and for plain arrays.

    Raises
    ------
    InputError
        If `vjp` does not return an array like each input. A wrong one is found by the comparison with f that `Chain`
        makes.

    Notes
    -----
    The derivative is taken as it is: of its errors only rounding is known, and how it passes on other errors is sampled
    with random signs, not bounded by the worst case.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> root = mb.chain.with_vjp(np.sqrt, lambda g, x: g / (2 * np.sqrt(x)))
    >>> d = mb.gradient(lambda x: np.sum(root(x)), np.array([4.0, 9.0]), method="chain")
    >>> bool(np.all(abs(d.value - [1 / 4, 1 / 6]) <= d.error))
    True
    """
    return _WithVjp(function, vjp)
