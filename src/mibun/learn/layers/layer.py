"""What every layer is, and the steps of the local differences."""

import math
import sys
from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound

__all__ = [
    "PLAIN_STEP",
    "SMALL_STEP",
    "Layer",
    "Shape",
    "Weights",
    "flat_inputs",
    "require_same_row",
    "size_of",
    "stacked",
]

Weights = dict[str, Array]
#: The shape of one sample: (units,), or (channels, height, width).
Shape = tuple[int, ...]

#: The h of the differences that do not cancel: its truncation, h**2/6 = 2e-15, is that of the last digits.
SMALL_STEP = 1e-7
#: The h of a plain difference of values in float64, times max(1, |z|): about the cube root of 2**-52.
PLAIN_STEP = 1e-5


class Layer:
    """What the network and its engines need of a layer; the defaults are those of one without weights.

    A layer of your own must define `forward`, and `output_shape` where it changes the shape. The engine
    `coordinate` needs nothing else, `column` and `node` need `change` besides where plain differences are not good
    enough, `chain` needs `pull` and, for its errors, `forward_error` and `pull_error`.
    """

    #: Whether a unit of this layer counts as an evaluation: not, if its output is linear in its input.
    nonlinear: ClassVar[bool] = True
    #: Whether every channel of the output depends on the same channel of the input alone.
    channelwise: ClassVar[bool] = False
    #: Whether the samples of a batch are known not to touch each other; if not, engines that need it try one.
    samplewise: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _missing(self) -> NotImplementedError:
        """Name the method that a layer of one's own lacks."""
        caller = sys._getframe(1).f_code.co_name
        return NotImplementedError(f"{type(self).__name__} must define {caller}; see mibun.learn.Layer")

    # Sizes

    def output_shape(self, inputs: Shape | None) -> Shape | None:
        """Give the shape of an output sample for that of an input sample; None where it is not known."""
        return inputs

    def products(self, inputs: Shape | None) -> int:
        """Count the multiplications of one sample's forward pass that are part of matrix products."""
        return 0

    def evaluations(self, inputs: Shape | None) -> int:
        """Count the elementary evaluations of one sample's forward pass: one a unit, none for a linear layer."""
        return size_of(self.output_shape(inputs)) if self.nonlinear else 0

    def slope_evaluations(self, inputs: Shape | None) -> int:
        """Count the elementary evaluations of `pull` for one sample."""
        return 2 * self.evaluations(inputs)

    # Parameters

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter."""
        return {}

    def initial(self, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Draw the parameters before training."""
        return {}

    def drawn(self, rng: np.random.Generator, shape: Shape, dtype: np.dtype[np.floating]) -> "Layer | Self":
        """Give the layer of one training step: a layer that draws gives one that has drawn (`shape`: of the batch)."""
        return self

    # Values

    def forward(self, weights: Weights, x: Array) -> Array:
        """Map a batch (samples, *inputs) to (samples, *outputs)."""
        raise self._missing()

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Give how y = forward(x) answers a change of x; `dx` may have axes before those of x, one change each.

        By default the plain difference of two values in float64; layers that know better lose no digits.
        """
        wide = x.astype(np.float64, copy=False)
        base = y if x.dtype == np.float64 else self.forward(weights, wide)
        return (stacked(lambda moved: self.forward(weights, moved), wide + dx, x.ndim) - base).astype(x.dtype)

    def forward_error(self, weights: Weights, x: Array, y: Array, x_error: Array) -> Array:
        """Bound the rounding error of `y`, given that of `x`."""
        raise self._missing()

    # Slopes

    def pull(self, weights: Weights, x: Array, y: Array, upstream: Array) -> Array:
        """Pull d loss / dy (`upstream`) back to d loss / dx."""
        raise self._missing()

    def pull_error(self, weights: Weights, x: Array, y: Array, x_error: Array, upstream: Array, bound: Bound) -> Bound:
        """Bound what `pull` lost, given the bound of `upstream`."""
        raise self._missing()

    def write_gradient(self, x: Array, upstream: Array, gradient: Weights) -> None:
        """Write d loss / d weights into `gradient`."""

    def gradient_error(self, x: Array, x_error: Array, upstream: Array, bound: Bound) -> dict[str, Bound]:
        """Bound what `write_gradient` lost, given the bound of `upstream`."""
        return {}

    def require_independent(self, weights: Weights, x: Array, y: Array) -> None:
        """Refuse a layer whose output for the first sample depends on the other samples of the batch.

        Raises
        ------
        InputError
            If y[0] is another one for the same sample in other company.
        """
        if not self.samplewise:
            # One sample alone has no other company than one that is made.
            few = x[:1] if len(x) > 1 else np.concatenate([x, x + PLAIN_STEP * np.maximum(1, np.abs(x))])
            require_same_row(repr(self), y[0], self.forward(weights, few.astype(x.dtype, copy=False))[0])

    def remark(self, x: Array, moved: float | None = None) -> str | None:
        """Say what a reader of the gradient must know of this layer at these inputs, if there is anything.

        `moved` is how far the engine moves numbers to compare values; None where it takes the slope of this layer.
        """
        return None


def size_of(shape: Shape | None) -> int:
    """Count the entries of a sample; 0 where its shape is not known."""
    return 0 if shape is None else math.prod(shape)


def flat_inputs(layer: Layer, inputs: Shape | None, wanted: int | None = None) -> int | None:
    """Check that samples are rows of units, as many as wanted, and give their number."""
    name = type(layer).__name__
    if inputs is not None and len(inputs) != 1:
        raise InputError(f"{name} takes rows of units, but gets {inputs}; put Flatten() before it")
    if inputs is not None and wanted is not None and inputs[0] != wanted:
        raise InputError(f"{layer} takes {wanted} inputs, but gets {inputs[0]}")
    return None if inputs is None else inputs[0]


def stacked(function: Callable[[Array], Array], x: Array, axes: int) -> Array:
    """Call a function of a batch with `axes` axes on an array that may have more axes before them."""
    if x.ndim == axes:
        return function(x)
    lead = x.shape[: x.ndim - axes + 1]
    flat = function(x.reshape(-1, *x.shape[len(lead) :]))
    return flat.reshape(*lead, *flat.shape[1:])


def require_same_row(name: str, first: Array, again: Array) -> None:
    """Refuse a function whose value for a row depends on what else is in the call.

    Raises
    ------
    InputError
        If the two differ by more than a change of the order of sums can do.
    """
    allowed = float(np.sqrt(np.finfo(first.dtype).eps)) * max(1e-300, float(np.abs(first).max()))
    if np.isfinite(first).all() and not np.abs(first - again).max() <= allowed:
        raise InputError(
            f"{name} gave {first} for a row, and {again} for the same row among others: its rows are not independent, "
            "or it is random; engine 'coordinate' can serve rows that depend on each other, nothing serves randomness"
        )
