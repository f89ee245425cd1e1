"""Dropout: while training, units are left out at random; with the mask drawn, a linear layer.

Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", in the form that
divides by the share that stays, so that prediction needs no factor.
"""

import math
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound, rounding_unit, times, with_underflow
from mibun.learn.layers.layer import Layer, Shape, Weights

__all__ = ["Dropout", "Mask"]


class _Scaled(Layer):
    """A layer that multiplies every unit by a factor of its own."""

    nonlinear: ClassVar[bool] = False
    channelwise: ClassVar[bool] = True
    samplewise: ClassVar[bool] = True

    def factor(self) -> Array | float:
        """Give the factors: one number, or one for each unit of each sample."""
        raise self._missing()

    def forward(self, weights: Weights, x: Array) -> Array:
        """Multiply."""
        return x * self.factor()

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Multiply: exact, for a linear map."""
        return dx * self.factor()

    def forward_error(self, weights: Weights, x: Array, y: Array, x_error: Array) -> Array:
        """Multiply, and add one rounding."""
        return with_underflow(times(self.factor() * np.ones_like(x), x_error) + rounding_unit(x.dtype) * np.abs(y))

    def pull(self, weights: Weights, x: Array, y: Array, upstream: Array) -> Array:
        """Multiply: exact, for a linear map moves every change as it is."""
        return upstream * self.factor()

    def pull_error(self, weights: Weights, x: Array, y: Array, x_error: Array, upstream: Array, bound: Bound) -> Bound:
        """Multiply the bounds, and add one rounding."""
        factor = self.factor() * np.ones_like(x)
        here = rounding_unit(x.dtype) * np.abs(upstream * factor)
        return Bound(times(factor, bound.truncation), with_underflow(times(factor, bound.rounding) + here))


@dataclass(frozen=True)
class Dropout(_Scaled):
    """Leave out a share of the units while training, and scale up the others; predict with all of them.

    The mask is drawn once a step, by the seed of the run; every evaluation of that step sees the same one.

    Parameters
    ----------
    share
        Probability with which a unit is left out: at least 0, below 1.

    Raises
    ------
    InputError
        If `share` is not such a number.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(2, 50), learn.Dropout(0.3), learn.Dense(50, 2)])
    >>> x, labels = np.array([[0.6, 0.9]]), np.array([1])
    >>> d = learn.gradient(network, x, labels, seed=1)
    >>> left_out = (d.value["2.weight"] == 0).all(axis=1).sum()  # rows of units that the mask has left out
    >>> bool(5 < left_out < 25)
    True
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        share: object = self.share
        if isinstance(share, bool) or not isinstance(share, Real) or not 0.0 <= float(share) < 1.0:
            raise InputError(f"Dropout: share must be a number from 0 to below 1, such as 0.3, not {share!r}")
        object.__setattr__(self, "share", float(share))

    def factor(self) -> float:
        """Give 1: nothing is left out in prediction."""
        return 1.0

    def forward(self, weights: Weights, x: Array) -> Array:
        """Give x."""
        return x

    def drawn(self, rng: np.random.Generator, shape: Shape, dtype: np.dtype[np.floating]) -> "Mask":
        """Draw which units stay."""
        stay = rng.random(shape, np.float32) >= self.share
        return Mask(stay.astype(dtype) * dtype.type(1.0 / (1.0 - self.share)))


@dataclass(frozen=True, eq=False, repr=False)
class Mask(_Scaled):
    """A dropout whose mask is drawn: what an engine sees in one step."""

    factors: Array

    def __repr__(self) -> str:
        return f"Mask({math.prod(self.factors.shape)} factors)"

    def factor(self) -> Array:
        """Give what was drawn."""
        return self.factors

    def part(self, channel: slice) -> "Mask":
        """Give the mask of some channels."""
        return Mask(self.factors[:, channel])
