"""A layer of which only the forward direction exists: any function of rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound, rounding_unit, times, with_underflow
from mibun.learn.layers.dense import checked_counts
from mibun.learn.layers.layer import PLAIN_STEP, Layer, Shape, Weights, flat_inputs, require_same_row, size_of

__all__ = ["BlackBox", "rows_at_once"]

#: Bytes of inputs that are given to a function of the user's at once.
STACK_BYTES = 8_000_000


@dataclass(frozen=True, repr=False)
class BlackBox(Layer):
    """Any function from rows to rows, such as a simulation; nothing else of it is known.

    Parameters
    ----------
    function
        Maps an array (m, n_in) to an array (m, n_out) of finite numbers, every row on its own, for any m. n_in is
        the number of units before it. The same input must give the same output.
    n_out
        Number of outputs.

    Raises
    ------
    InputError
        If `function` cannot be called or `n_out` is no integer above 0. When it is used: if it returns another
        shape or numbers that are not finite, or if its rows are not independent (only `coordinate` could serve it).

    Notes
    -----
    The engine `chain` moves every input of every sample by ± h, h = 1e-5 max(1, |z|), in float64: 2 n_in
    evaluations of the function a sample, stacked into few calls. The bound is that of `Elementwise`, for each input.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> polar = learn.BlackBox(lambda z: np.stack([np.hypot(z[:, 0], z[:, 1]), z[:, 0] * z[:, 1]], axis=1), n_out=2)
    >>> network = learn.Network([learn.Dense(3, 2), polar, learn.Dense(2, 2)], seed=1)
    >>> x, labels = np.array([[0.6, 0.9, -1.0]]), np.array([1])
    >>> fast, slow = (learn.gradient(network, x, labels, engine=engine) for engine in ("chain", "coordinate"))
    >>> gap = abs(fast.value["0.weight"] - slow.value["0.weight"])
    >>> bool((gap <= fast.error["0.weight"] + slow.error["0.weight"]).all()), bool(gap.max() < 1e-8)
    (True, True)
    """

    function: Callable[[Array], Array]
    n_out: int

    nonlinear: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"BlackBox takes a function of rows, not {self.function!r}")
        checked_counts(self, "n_out")

    def __repr__(self) -> str:
        return f"BlackBox({self.name}, n_out={self.n_out})"

    @property
    def name(self) -> str:
        """The function's own name."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def output_shape(self, inputs: Shape | None) -> Shape:
        """Give the number of outputs; the inputs must be rows."""
        flat_inputs(self, inputs)
        return (self.n_out,)

    def evaluations(self, inputs: Shape | None) -> int:
        """Count one: the function, for one sample."""
        return 1

    def slope_evaluations(self, inputs: Shape | None) -> int:
        """Count two for every input."""
        return 2 * size_of(inputs)

    def forward(self, weights: Weights, x: Array) -> Array:
        """Give function(x), checked, in the dtype of x."""
        # The function gets a copy: one that works in place must not reach what the engine still needs.
        y = np.asarray(self.function(x.copy()))
        if y.shape != (len(x), self.n_out) or y.dtype.kind not in "fiub":
            raise InputError(
                f"BlackBox({self.name}) must map an array (m, {x.shape[1]}) to real numbers (m, {self.n_out}); "
                f"given {x.shape}, it returned {y.dtype} of shape {y.shape}"
            )
        y = y.astype(x.dtype, copy=False)
        # Numbers that are not finite may come from inputs that are not.
        bad = ~np.isfinite(y).all(axis=1) & np.isfinite(x).all(axis=1)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(f"BlackBox({self.name}) returned {y[row]} for the row {x[row]}; expected finite numbers")
        return y

    def pull(self, weights: Weights, x: Array, y: Array, upstream: Array) -> Array:
        """Multiply by the matrix of plain central differences of every sample."""
        out = np.empty(x.shape, x.dtype)
        for part in rows_at_once(len(x), 2 * x.shape[1] ** 2):
            above, below, gap, _ = self._moved(x[part], y[part], 1)
            out[part] = np.einsum("bik,bk->bi", (above - below) / gap, upstream[part])
        return out

    def forward_error(self, weights: Weights, x: Array, y: Array, x_error: Array) -> Array:
        """Carry the error of x through the slopes, and add a few roundings of y."""
        out = 4 * rounding_unit(x.dtype) * np.abs(y) + np.finfo(x.dtype).tiny
        for part in rows_at_once(len(x), 4 * x.shape[1] ** 2):
            reach = np.abs(self._jacobian(x[part], y[part])[0]) + self._lost(x[part], y[part], x_error[part]).total
            out[part] += times(reach, x_error[part][:, :, np.newaxis] * np.ones_like(reach)).sum(axis=1)
        return out

    def pull_error(self, weights: Weights, x: Array, y: Array, x_error: Array, upstream: Array, bound: Bound) -> Bound:
        """Carry the bounds through the slopes, and add what the slopes lost."""
        truncation, rounding = np.zeros_like(x), np.zeros_like(x)
        for part in rows_at_once(len(x), 4 * x.shape[1] ** 2):
            slopes, up = np.abs(self._jacobian(x[part], y[part])[0]), np.abs(upstream[part])[:, np.newaxis, :]
            lost = self._lost(x[part], y[part], x_error[part])
            before = Bound(*(np.broadcast_to(b[part][:, np.newaxis, :], slopes.shape) for b in bound))
            reach = np.broadcast_to(up, slopes.shape) + before.total
            truncation[part] = (times(slopes, before.truncation) + times(reach, lost.truncation)).sum(axis=2)
            here = rounding_unit(x.dtype, self.n_out) * slopes * up
            rounding[part] = (times(slopes, before.rounding) + times(reach, lost.rounding) + here).sum(axis=2)
        return Bound(truncation, with_underflow(rounding))

    def _moved(self, x: Array, y: Array, multiple: int) -> tuple[Array, Array, Array, Array]:
        """Give f(z + h e_i), f(z - h e_i), the distance of the two points, and h: (samples, n_in, n_out or 1)."""
        width = x.shape[1]
        wide = x.astype(np.float64)
        h = PLAIN_STEP * multiple * np.maximum(1, np.abs(wide))
        points = np.repeat(wide[:, np.newaxis, np.newaxis, :], 2, axis=1).repeat(width, axis=2)
        own = np.arange(width)
        points[:, 0, own, own] += h
        points[:, 1, own, own] -= h
        gap = (points[:, 0, own, own] - points[:, 1, own, own])[:, :, np.newaxis]
        above, below = self._beside(wide[0], y[0], points[:, 0]), self._beside(wide[0], y[0], points[:, 1])
        return above, below, gap, h[:, :, np.newaxis]

    def _beside(self, first: Array, value: Array, points: Array) -> Array:
        """Evaluate at points (samples, n_in, n_in), with one row that must come out as before, in other company."""
        # Points to one side only: the mean of both sides is the row itself, and a normalisation would not be seen.
        values = self.forward({}, np.concatenate([first[np.newaxis], points.reshape(-1, first.size)]))
        require_same_row(repr(self), value, values[0])
        return values[1:].reshape(*points.shape[:2], self.n_out)

    def _jacobian(self, x: Array, y: Array, multiple: int = 1) -> tuple[Array, Array, Array]:
        """Give the odd part (f+ - f-)/2h, the even part (f+ - 2f + f-)/2h, and h."""
        above, below, gap, h = self._moved(x, y, multiple)
        middle = self.forward({}, x.astype(np.float64))[:, np.newaxis, :]
        return (above - below) / gap, ((above - middle) - (middle - below)) / gap, h

    def _lost(self, x: Array, y: Array, x_error: Array) -> Bound:
        """Compare the differences at h and 2h, as `Elementwise` does."""
        near, near_even, h = self._jacobian(x, y)
        far, far_even, _ = self._jacobian(x, y, 2)
        truncation = np.abs(far - near) + 2 * np.abs(2 * near_even - far_even)
        size = np.abs(y)[:, np.newaxis, :] + h * np.abs(near)
        rounding = 4 * rounding_unit(np.dtype(np.float64)) * size / h + np.finfo(x.dtype).tiny
        rounding += rounding_unit(x.dtype) * np.abs(near)
        # The error of one input changes the slopes in all of them: by at most the largest curvature seen, and twice
        # that for the mixed ones.
        reach = x_error.max(axis=1)[:, np.newaxis, np.newaxis]
        curved = np.abs(near_even / h).max(axis=1, keepdims=True) * x.shape[1]
        return Bound(truncation, rounding + 4 * curved * reach)


def rows_at_once(samples: int, numbers: int) -> list[slice]:
    """Cut a batch whose samples need so many numbers each into parts that fit the memory."""
    size = max(1, STACK_BYTES // (8 * max(1, numbers)))
    return [slice(start, start + size) for start in range(0, samples, size)]
