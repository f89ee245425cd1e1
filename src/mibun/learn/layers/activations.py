"""Activations: functions of every unit alone, moved numerically."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound, rounding_unit, times, with_underflow
from mibun.learn.layers.layer import PLAIN_STEP, SMALL_STEP, Layer, Weights

__all__ = ["Activation", "Elementwise", "Identity", "ReLU", "Sigmoid", "StepFunction", "Tanh"]


class Activation(Layer):
    """A layer that works on every unit alone; its local derivative is a numerical difference."""

    channelwise: ClassVar[bool] = True
    samplewise: ClassVar[bool] = True

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

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Give f(z + dz) - f(z): here the plain difference of two values, in float64."""
        wide = x.astype(np.float64, copy=False)
        base = y if x.dtype == np.float64 else self.value(wide)
        return (self.value(wide + dx) - base).astype(x.dtype, copy=False)

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

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Pass the change on."""
        return dx

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

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Give a (1 - a) E / (1 + a E), E = expm1(dz)."""
        grown = np.expm1(dx)
        below = grown * y
        below += 1
        return np.divide(grown * (y * (1 - y)), below, out=below)

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

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Give (1 - a^2) T / (1 + a T), T = tanh(dz)."""
        turned = np.tanh(dx)
        below = turned * y
        below += 1
        return np.divide(turned * (1 - y * y), below, out=below)

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

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Give max(dz + min(z, 0), -max(z, 0)): where a unit stays on, dz itself, without a subtraction of z."""
        moved = dx + np.minimum(x, 0)
        return np.maximum(moved, -y, out=moved)

    def remark(self, x: Array, moved: float | None = None) -> str | None:
        """Count the units at the kink."""
        reach = SMALL_STEP if moved is None else moved
        count = int(np.count_nonzero(np.abs(x) <= reach))
        units = "1 unit lies" if count == 1 else f"{count:,} units lie"
        return f"{units} within {reach:g} of the kink, with a slope between 0 and 1" if count else None

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

    Parameters
    ----------
    smoothing
        None: the step has slope 0 wherever it has one, nothing flows back through it, and the layers before it do
        not learn. A number s, such as 0.5: its slope is that of the wide difference (f(z + s) - f(z - s)) / 2s, which
        is 1/2s for -s <= z < s and 0 elsewhere. Forward the step stays hard; the gradient is that of a network
        whose step is smoothed over ±s (a ramp), and says so in its notes.

    Raises
    ------
    InputError
        If `smoothing` is not a finite number above 0, or None.

    Notes
    -----
    Without smoothing, units within h = 1e-7 of the jump get an infinite error. With it, units within rounding of the
    ends of the ramp get an error that covers both slopes. Engines that compare values of the loss (`coordinate`,
    `column`, `node`) see the hard step: for them the gradient before it is 0, whatever the smoothing.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> step, z = learn.StepFunction(smoothing=0.5), np.array([-0.7, 0.3, 2.0])
    >>> print(step.value(z), step.slope(z, step.value(z)))
    [0. 1. 1.] [0. 1. 0.]
    """

    smoothing: float | None = None

    def __post_init__(self) -> None:
        given: object = self.smoothing
        number = isinstance(given, Real) and not isinstance(given, bool)
        if given is not None and not (number and 0.0 < float(self.smoothing or 0) < math.inf):
            raise InputError(f"StepFunction: smoothing must be a number above 0, such as 0.5, or None, not {given!r}")
        object.__setattr__(self, "smoothing", None if self.smoothing is None else float(self.smoothing))

    def value(self, z: Array) -> Array:
        """Give 1 where z >= 0, else 0; nan stays nan."""
        return np.heaviside(z, 1)

    def slope(self, z: Array, a: Array) -> Array:
        """Give the wide difference; without smoothing 0, the difference quotient everywhere but at the jump."""
        if self.smoothing is None:
            return np.zeros_like(z)
        inside = (z >= -self.smoothing) & (z < self.smoothing)
        return inside.astype(z.dtype) * z.dtype.type(0.5 / self.smoothing)

    def slope_error(self, z: Array, a: Array, slope: Array, z_error: Array) -> Bound:
        """Give no bound where the jump is within reach, or both slopes where an end of the ramp is."""
        if self.smoothing is None:
            jump = np.where(np.abs(z) <= SMALL_STEP + z_error, np.inf, 0)
            return Bound(jump.astype(z.dtype), np.zeros_like(z))
        end = np.where(np.abs(np.abs(z) - self.smoothing) <= z_error, 0.5 / self.smoothing, 0).astype(z.dtype)
        return Bound(end, rounding_unit(z.dtype) * slope)

    def value_error(self, z: Array, a: Array, z_error: Array) -> Array:
        """Give 1 where the jump is within the error of z."""
        return np.where(np.abs(z) <= z_error, 1, 0).astype(z.dtype)

    def remark(self, x: Array, moved: float | None = None) -> str | None:
        """Say which slope this is."""
        if moved is not None:
            return (
                "this engine compares values, and sees a hard step: layers before it get no gradient; engine 'chain' "
                "gives them that of StepFunction(smoothing=0.5)"
            )
        if self.smoothing is None:
            return "its slope is 0: layers before it get no gradient; StepFunction(smoothing=0.5) gives them one"
        wide = f"({self.smoothing:g} to both sides)"
        return f"its slope is that of a wide difference {wide}: the gradient is that of the smoothed network"


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"Elementwise({self.name})"

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

    def require_independent(self, weights: Weights, x: Array, y: Array) -> None:
        """Refuse a function whose value for some elements depends on others, as that of a softmax does.

        Raises
        ------
        InputError
            If half of the first sample on its own has other values than in the batch.
        """
        half = (slice(0, 1), ..., slice(0, (x.shape[-1] + 1) // 2))
        first, again = y[half], self.value(x[half])
        allowed = float(np.sqrt(np.finfo(y.dtype).eps)) * max(1e-300, float(np.abs(first).max()))
        if np.isfinite(first).all() and not np.abs(first - again).max() <= allowed:
            raise InputError(
                f"{self!r} gave {first.ravel()[0]} for {x.flat[0]}, and {again.ravel()[0]} for the same among others: "
                "it does not work on every element alone, or it is random; a function of rows goes into BlackBox"
            )

    def pull(self, weights: Weights, x: Array, y: Array, upstream: Array) -> Array:
        """Multiply by the local slope, of a function that works on every element alone."""
        self.require_independent(weights, x, y)
        return super().pull(weights, x, y, upstream)

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
