"""Layers: immutable values that know how to go forward, and how their output answers a small change.

A layer holds no weights; the network keeps all of them in one vector and hands each layer its part.
There are two kinds. A **linear** layer (`Dense`) is moved exactly: the change of its output is the same
linear map of the change of its input, whatever the size of the change. An **activation** works on every
unit alone and is moved numerically: `slope` is the central difference (f(z + h) - f(z - h)) / 2h at the
unit's own z. No derivative is written anywhere. Where f is known, the difference of the two values is
computed by algebra that does not cancel (Reps and Rall 2003, "Computational divided differencing"): for
the sigmoid with a = f(z),

    f(z + h) - f(z) = a (1 - a) E / (1 + a E),    E = expm1(h),

so that h can be as small as 1e-7 and the result is good to a few units of the last digit, in float32 as
in float64. Where only f is known (`Elementwise`), the difference is taken plainly, in float64.

Each layer also bounds what is lost: the methods whose names end in `_error` carry bounds on truncation and
rounding beside the numbers, and the engine composes them.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound, matmul, rounding_unit, times, with_underflow

__all__ = [
    "Activation",
    "Dense",
    "Elementwise",
    "Identity",
    "Layer",
    "ReLU",
    "Sigmoid",
    "StepFunction",
    "Tanh",
]

Weights = dict[str, Array]

#: The h of the differences that do not cancel: its truncation, h**2/6 = 2e-15, is that of the last digits.
SMALL_STEP = 1e-7
#: The h of a plain difference of values in float64, times max(1, |z|): about the cube root of 2**-52.
PLAIN_STEP = 1e-5


class Layer:
    """What the network and its engines need of a layer; the defaults are those of one without weights."""

    #: Whether a unit of this layer counts as an evaluation: not, if its output is linear in its input.
    nonlinear: ClassVar[bool] = True

    def _missing(self) -> NotImplementedError:
        """Name the method that a layer of one's own lacks."""
        caller = sys._getframe(1).f_code.co_name
        return NotImplementedError(f"{type(self).__name__} must define {caller}; see mibun.learn.Layer")

    @property
    def products(self) -> int:
        """Multiplications of one sample's forward pass that are part of matrix products."""
        return 0

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter."""
        return {}

    def initial(self, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Draw the parameters before training."""
        return {}

    def width(self, inputs: int | None) -> int | None:
        """Give the number of outputs for a number of inputs; None where it is not known."""
        return inputs

    def forward(self, weights: Weights, x: Array) -> Array:
        """Map a batch (samples, inputs) to (samples, outputs)."""
        raise self._missing()

    def forward_error(self, weights: Weights, x: Array, y: Array, x_error: Array) -> Array:
        """Bound the rounding error of `y`, given that of `x`."""
        raise self._missing()

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

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError(f"Dense: {name} must be an integer above 0, such as 50, not {value!r}")
            object.__setattr__(self, name, int(value))
        scale: object = self.scale
        if isinstance(scale, str):
            if scale not in ("xavier", "he"):
                raise InputError(f"Dense: scale must be 'xavier', 'he' or a number such as 0.01, not {scale!r}")
        elif isinstance(scale, bool) or not isinstance(scale, Real) or not 0.0 < float(scale) < math.inf:
            raise InputError(f"Dense: scale must be 'xavier', 'he' or a number above 0, not {scale!r}")
        else:
            object.__setattr__(self, "scale", float(scale))

    @property
    def products(self) -> int:
        """Multiplications of one sample's forward pass."""
        return self.inputs * self.outputs

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter."""
        return {"weight": (self.inputs, self.outputs), "bias": (self.outputs,)}

    def initial(self, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Draw normal random weights; the biases are 0."""
        words = {"xavier": math.sqrt(1.0 / self.inputs), "he": math.sqrt(2.0 / self.inputs)}
        deviation = words[self.scale] if isinstance(self.scale, str) else float(self.scale)
        return {
            "weight": rng.normal(0.0, deviation, size=(self.inputs, self.outputs)),
            "bias": np.zeros(self.outputs),
        }

    def width(self, inputs: int | None) -> int | None:
        """Give the number of outputs; the inputs must fit."""
        if inputs is not None and inputs != self.inputs:
            raise InputError(f"{self} takes {self.inputs} inputs, but gets {inputs}")
        return self.outputs

    def forward(self, weights: Weights, x: Array) -> Array:
        """Compute x @ weight + bias, units first in memory as the weights are."""
        y = np.empty((len(x), self.outputs), x.dtype, order="F")
        np.matmul(x, weights["weight"], out=y)
        y += weights["bias"]
        return y

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


class Activation(Layer):
    """A layer that works on every unit alone; its local derivative is a numerical difference."""

    def forward(self, weights: Weights, x: Array) -> Array:
        """Apply the function to every unit."""
        return self.value(x)

    def value(self, z: Array) -> Array:
        """Give f(z)."""
        raise self._missing()

    def slope(self, z: Array, a: Array) -> Array:
        """Give the central difference of f at every z, where a = f(z)."""
        raise self._missing()

    def slope_error(self, z: Array, a: Array, slope: Array, z_error: Array) -> Bound:
        """Bound |slope - f'(true z)|, where the true z is within `z_error` of z."""
        raise self._missing()

    def value_error(self, z: Array, a: Array, z_error: Array) -> Array:
        """Bound the rounding error of a = f(z), given that of z."""
        slope = self.slope(z, a)
        reach = np.abs(slope) + self.slope_error(z, a, slope, z_error).total
        return times(reach, z_error) + 4 * rounding_unit(z.dtype) * np.abs(a) + np.finfo(z.dtype).tiny

    def forward_error(self, weights: Weights, x: Array, y: Array, x_error: Array) -> Array:
        """Bound the rounding error of `y`, given that of `x`."""
        return self.value_error(x, y, x_error)

    def pull(self, weights: Weights, x: Array, y: Array, upstream: Array) -> Array:
        """Multiply by the local slope."""
        return upstream * self.slope(x, y)

    def pull_error(self, weights: Weights, x: Array, y: Array, x_error: Array, upstream: Array, bound: Bound) -> Bound:
        """Carry the bounds through the slope, and add that of the slope itself."""
        slope = self.slope(x, y)
        local = self.slope_error(x, y, slope, x_error)
        reach, size = np.abs(upstream) + bound.total, np.abs(slope)
        rounding = times(size, bound.rounding) + times(reach, local.rounding)
        rounding += rounding_unit(x.dtype) * np.abs(upstream) * size
        truncation = times(size, bound.truncation) + times(reach, local.truncation)
        return Bound(truncation, with_underflow(rounding))


@dataclass(frozen=True)
class Identity(Activation):
    """The function f(z) = z."""

    nonlinear: ClassVar[bool] = False

    def value(self, z: Array) -> Array:
        """Give z."""
        return z

    def slope(self, z: Array, a: Array) -> Array:
        """Give 1: the difference quotient of a straight line, at every h."""
        return np.ones_like(z)

    def slope_error(self, z: Array, a: Array, slope: Array, z_error: Array) -> Bound:
        """Give 0."""
        return Bound(np.zeros_like(z), np.zeros_like(z))

    def value_error(self, z: Array, a: Array, z_error: Array) -> Array:
        """Pass the error on."""
        return z_error


@dataclass(frozen=True)
class Sigmoid(Activation):
    """The function f(z) = 1 / (1 + exp(-z)), without overflow for any z.

    Examples
    --------
    The difference quotient at h = 1e-7 against the derivative a (1 - a), at z = 1.7:

    >>> import numpy as np
    >>> from mibun import learn
    >>> z = np.array([1.7])
    >>> a = learn.Sigmoid().value(z)
    >>> bool(abs(learn.Sigmoid().slope(z, a) - a * (1 - a))[0] < 1e-15)
    True
    """

    def value(self, z: Array) -> Array:
        """Give f(z); exp(-z) may become inf, and 1/inf = 0 is right."""
        with np.errstate(over="ignore"):
            a = np.negative(z)
            np.exp(a, out=a)
            a += 1
            return np.reciprocal(a, out=a)

    def slope(self, z: Array, a: Array) -> Array:
        """Give (f(z + h) - f(z - h)) / 2h as a(1 - a) (sinh(h)/h) / (1 + 4 sinh(h/2)^2 a(1 - a)).

        That is the module's formula for +h and -h on one fraction.
        """
        h = SMALL_STEP
        spread = np.subtract(1, a)
        spread *= a
        below = spread * (4 * math.sinh(h / 2) ** 2)
        below += 1
        spread *= math.sinh(h) / h
        return np.divide(spread, below, out=spread)

    def slope_error(self, z: Array, a: Array, slope: Array, z_error: Array) -> Bound:
        """Use |f''| <= f' and |f'''| <= f', which hold for every z."""
        # 1 - a loses all digits where a is next to 1, hence the absolute floor.
        floor = 4 * rounding_unit(z.dtype) * (slope + np.minimum(a, 1)) + np.finfo(z.dtype).tiny
        drift = np.minimum((slope + floor) * np.expm1(z_error), 0.25)  # no slope is above 1/4
        return Bound(slope * (SMALL_STEP**2 / 6), drift + floor)


@dataclass(frozen=True)
class Tanh(Activation):
    """The hyperbolic tangent."""

    def value(self, z: Array) -> Array:
        """Give tanh(z)."""
        return np.tanh(z)

    def slope(self, z: Array, a: Array) -> Array:
        """Give (f(z + h) - f(z - h)) / 2h as (1 - a^2) (T/h) / (1 - a^2 T^2), T = tanh(h)."""
        h = SMALL_STEP
        t = math.tanh(h)
        square = a * a
        below = square * (-t * t)
        below += 1
        np.subtract(1, square, out=square)
        square *= t / h
        return np.divide(square, below, out=square)

    def slope_error(self, z: Array, a: Array, slope: Array, z_error: Array) -> Bound:
        """Use |f''| <= 2 f' and |f'''| <= 4 f', which hold for every z."""
        floor = 8 * rounding_unit(z.dtype) * np.ones_like(slope)
        drift = np.minimum((slope + floor) * np.expm1(2 * z_error), 1)  # no slope is above 1
        return Bound(slope * (4 * SMALL_STEP**2 / 6), drift + floor)


@dataclass(frozen=True)
class ReLU(Activation):
    """The function f(z) = max(z, 0).

    Its difference quotient is clip((z + h) / 2h, 0, 1): exact but for units within h = 1e-7 of the kink,
    which get a value between the slopes 0 and 1 (1/2 at z = 0) and an error that covers both.
    """

    def value(self, z: Array) -> Array:
        """Give max(z, 0)."""
        return np.maximum(z, 0)

    def slope(self, z: Array, a: Array) -> Array:
        """Give clip((z + h) / 2h, 0, 1)."""
        slope = z + SMALL_STEP
        slope *= 1 / (2 * SMALL_STEP)
        return np.clip(slope, 0, 1, out=slope)

    def slope_error(self, z: Array, a: Array, slope: Array, z_error: Array) -> Bound:
        """Cover both slopes where the kink is within reach."""
        either = np.where(np.abs(z) <= SMALL_STEP + z_error, np.maximum(slope, 1 - slope), 0)
        return Bound(either.astype(z.dtype), np.zeros_like(z))

    def value_error(self, z: Array, a: Array, z_error: Array) -> Array:
        """Pass the error on: no slope is above 1."""
        return z_error


@dataclass(frozen=True)
class StepFunction(Activation):
    """The function f(z) = 1 where z >= 0, else 0.

    It has slope 0 wherever it has one: nothing flows back through it, and the layers before it do not learn.
    Units within h = 1e-7 of the jump get an infinite error.
    """

    def value(self, z: Array) -> Array:
        """Give 1 where z >= 0, else 0; nan stays nan."""
        return np.heaviside(z, 1)

    def slope(self, z: Array, a: Array) -> Array:
        """Give 0, the difference quotient everywhere but at the jump."""
        return np.zeros_like(z)

    def slope_error(self, z: Array, a: Array, slope: Array, z_error: Array) -> Bound:
        """Give no bound where the jump is within reach."""
        jump = np.where(np.abs(z) <= SMALL_STEP + z_error, np.inf, 0)
        return Bound(jump.astype(z.dtype), np.zeros_like(z))

    def value_error(self, z: Array, a: Array, z_error: Array) -> Array:
        """Give 1 where the jump is within the error of z."""
        return np.where(np.abs(z) <= z_error, 1, 0).astype(z.dtype)


@dataclass(frozen=True)
class Elementwise(Activation):
    """Any function of an array that works on every element alone; only its forward direction is needed.

    Parameters
    ----------
    function
        Maps an array to an array of the same shape, element by element.

    Raises
    ------
    InputError
        If `function` cannot be called, or what it returns is not an array of the same shape.

    Notes
    -----
    The local derivative is a central difference with h = 1e-5 max(1, |z|), in float64 whatever the dtype of
    the network, divided by the step that really happened; for a smooth function of order 1 its error is about
    1e-10. With errors asked for, two more values at z ± 2h tell truncation and kinks. The bound takes for granted
    that the function computes in float64 and changes on no scale below h: one that rounds inside (float32, a table)
    or oscillates faster is not covered.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> softplus = learn.Elementwise(lambda z: np.logaddexp(0, z))
    >>> z = np.array([0.3])
    >>> slope = softplus.slope(z, softplus.value(z))
    >>> bool(abs(slope - 1 / (1 + np.exp(-z)))[0] < 1e-9)  # its derivative is the sigmoid
    True
    """

    function: Callable[[Array], Array]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"Elementwise takes a function of an array, such as np.sin, not {self.function!r}")

    @property
    def name(self) -> str:
        """The function's own name."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def value(self, z: Array) -> Array:
        """Give function(z), checked, in the dtype of z."""
        # The function gets a copy: one that works in place must not reach what the engine still needs.
        a = np.asarray(self.function(z.copy()))
        if a.shape != z.shape or a.dtype.kind not in "fiub":
            raise InputError(
                f"Elementwise({self.name}): the function must map an array to real numbers of the same shape; "
                f"given {z.dtype} of shape {z.shape}, it returned {a.dtype} of shape {a.shape}"
            )
        return a.astype(z.dtype, copy=False)

    def slope(self, z: Array, a: Array) -> Array:
        """Give the plain central difference."""
        above, below, _ = self._sides(z, 1)
        return ((self.value(above) - self.value(below)) / (above - below)).astype(z.dtype, copy=False)

    def slope_error(self, z: Array, a: Array, slope: Array, z_error: Array) -> Bound:
        """Compare the differences at h and 2h: the odd parts tell truncation, the even ones kinks."""
        near, near_even, h = self._parts(z, 1)
        far, far_even, _ = self._parts(z, 2)
        # Across a kink at distance t the quotient is off by up to half the jump of the slope; the two terms
        # together cover that for every t (worst t = 2h/3), and are of order h**2 where f is smooth.
        truncation = np.abs(far - near) + 2 * np.abs(2 * near_even - far_even)
        size = np.abs(a) + h * np.abs(slope)
        rounding = 4 * rounding_unit(np.dtype(np.float64)) * size / h + np.finfo(z.dtype).tiny
        rounding += rounding_unit(z.dtype) * np.abs(slope)
        # What an error of z does to the slope, to second order: by the curvature and the change of it.
        rounding += 2 * np.abs(near_even) / h * z_error + np.abs(far - near) * (z_error / h) ** 2
        return Bound(truncation.astype(z.dtype), rounding.astype(z.dtype))

    def _sides(self, z: Array, multiple: int) -> tuple[Array, Array, Array]:
        """Give z + h, z - h and h in float64, at `multiple` of the step."""
        z = z.astype(np.float64)
        h = PLAIN_STEP * multiple * np.maximum(1, np.abs(z))
        return z + h, z - h, h

    def _parts(self, z: Array, multiple: int) -> tuple[Array, Array, Array]:
        """Give the odd part (f+ - f-)/2h, the even part (f+ - 2f + f-)/2h, and h."""
        above, below, h = self._sides(z, multiple)
        high, middle, low = self.value(above), self.value(z.astype(np.float64)), self.value(below)
        happened = above - below
        return (high - low) / happened, ((high - middle) - (middle - low)) / happened, h
