"""The dense layer: every output is a weighted sum of all inputs."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound, matmul, rounding_unit, with_underflow
from mibun.learn.layers.layer import Layer, Shape, Weights, flat_inputs, stacked

__all__ = ["Dense", "checked_counts", "checked_scale", "deviation"]


@dataclass(frozen=True)
class Dense(Layer):
    """The linear layer y = x @ weight + bias.

    Parameters
    ----------
    inputs, outputs
        Numbers of units, at least 1.
    scale
        Standard deviation of the normal random weights before training: a number, or `"xavier"` for
        sqrt(1/inputs) (Glorot and Bengio 2010; for sigmoid and tanh), or `"he"` for sqrt(2/inputs)
        (He et al. 2015; for ReLU). The biases start at 0.

    Raises
    ------
    InputError
        If a number of units is not an integer above 0, or `scale` is not one of the words or a number above 0.

    Examples
    --------
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(2, 3, scale=0.01)])
    >>> {name: array.shape for name, array in network.parameters.items()}
    {'0.weight': (2, 3), '0.bias': (3,)}
    """

    inputs: int
    outputs: int
    scale: str | float = "xavier"

    nonlinear: ClassVar[bool] = False
    samplewise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_counts(self, "inputs", "outputs")
        checked_scale(self)

    def products(self, inputs: Shape | None) -> int:
        """Count the multiplications of one sample's forward pass."""
        return self.inputs * self.outputs

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter."""
        return {"weight": (self.inputs, self.outputs), "bias": (self.outputs,)}

    def initial(self, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Draw normal random weights; the biases are 0."""
        return {
            "weight": rng.normal(0.0, deviation(self.scale, self.inputs), size=(self.inputs, self.outputs)),
            "bias": np.zeros(self.outputs),
        }

    def output_shape(self, inputs: Shape | None) -> Shape:
        """Give the number of outputs; the inputs must fit."""
        flat_inputs(self, inputs, self.inputs)
        return (self.outputs,)

    def forward(self, weights: Weights, x: Array) -> Array:
        """Compute x @ weight + bias, units first in memory as the weights are."""
        y = np.empty((len(x), self.outputs), x.dtype, order="F")
        np.matmul(x, weights["weight"], out=y)
        y += weights["bias"]
        return y

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Apply the map to the change: exact, whatever its size."""
        return stacked(lambda moved: np.matmul(moved, weights["weight"]), dx, 2)

    def forward_error(self, weights: Weights, x: Array, y: Array, x_error: Array) -> Array:
        """Bound the rounding error of `y`, given that of `x`."""
        size = np.abs(x) @ np.abs(weights["weight"]) + np.abs(weights["bias"])
        moved = matmul(x_error, np.abs(weights["weight"]))
        return with_underflow(moved + rounding_unit(x.dtype, self.inputs) * size)

    def pull(self, weights: Weights, x: Array, y: Array, upstream: Array) -> Array:
        """Apply the transposed map: exact, for a linear map moves every change as it is."""
        below = np.empty(x.shape, x.dtype, order="F")
        return np.matmul(upstream, weights["weight"].T, out=below)

    def pull_error(self, weights: Weights, x: Array, y: Array, x_error: Array, upstream: Array, bound: Bound) -> Bound:
        """Carry the bounds through |weight|, and add the rounding of the products."""
        matrix = np.abs(weights["weight"]).T
        here = rounding_unit(x.dtype, self.outputs) * (np.abs(upstream) @ matrix)
        return Bound(matmul(bound.truncation, matrix), with_underflow(matmul(bound.rounding, matrix) + here))

    def write_gradient(self, x: Array, upstream: Array, gradient: Weights) -> None:
        """Write the outer product of inputs and upstream, summed over the samples."""
        np.matmul(x.T, upstream, out=gradient["weight"])
        np.matmul(np.ones(len(x), x.dtype), upstream, out=gradient["bias"])

    def gradient_error(self, x: Array, x_error: Array, upstream: Array, bound: Bound) -> dict[str, Bound]:
        """Carry the bounds through |x|, and add the error of x and the rounding of the products."""
        unit, inputs, size = rounding_unit(x.dtype, len(x)), np.abs(x), np.abs(upstream)
        drift = matmul(x_error.T, size + bound.total)
        rounding = with_underflow(matmul(inputs.T, bound.rounding) + drift + unit * (inputs.T @ size))
        bias = bound.rounding.sum(axis=0) + unit * size.sum(axis=0)
        return {
            "weight": Bound(matmul(inputs.T, bound.truncation), rounding),
            "bias": Bound(bound.truncation.sum(axis=0), with_underflow(bias)),
        }


def checked_counts(layer: object, *names: str, least: int = 1) -> None:
    """Check that fields of a frozen layer are integers of at least 1 (or 0), and make them plain ones."""
    for name in names:
        value = getattr(layer, name)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            kind = type(layer).__name__
            raise InputError(f"{kind}: {name} must be an integer above {least - 1}, such as 50, not {value!r}")
        object.__setattr__(layer, name, int(value))


def checked_scale(layer: object) -> None:
    """Check the field `scale` of a frozen layer."""
    scale, kind = getattr(layer, "scale", None), type(layer).__name__
    if isinstance(scale, str):
        if scale not in ("xavier", "he"):
            raise InputError(f"{kind}: scale must be 'xavier', 'he' or a number such as 0.01, not {scale!r}")
    elif isinstance(scale, bool) or not isinstance(scale, Real) or not 0.0 < float(scale) < math.inf:
        raise InputError(f"{kind}: scale must be 'xavier', 'he' or a number above 0, not {scale!r}")
    else:
        object.__setattr__(layer, "scale", float(scale))


def deviation(scale: str | float, inputs: int) -> float:
    """Give the standard deviation of the first weights of a unit with so many inputs."""
    words = {"xavier": math.sqrt(1.0 / inputs), "he": math.sqrt(2.0 / inputs)}
    return words[scale] if isinstance(scale, str) else float(scale)
