"""Layers without weights on images: pooling, and the way from images to rows.

Windows lie side by side; what is left over at the right and lower edge is not seen, as in PyTorch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound, rounding_unit, with_underflow
from mibun.learn.layers.dense import checked_counts
from mibun.learn.layers.layer import SMALL_STEP, Layer, Shape, Weights, size_of, stacked

__all__ = ["AvgPool2D", "Flatten", "MaxPool2D", "image_inputs"]


def image_inputs(layer: Layer, inputs: Shape | None, channels: int | None = None) -> Shape:
    """Check that samples are images (channels, height, width), with as many channels as wanted."""
    name = type(layer).__name__
    if inputs is None or len(inputs) != 3:
        given = "samples of unknown shape" if inputs is None else f"samples of shape {inputs}"
        raise InputError(
            f"{name} takes images (channels, height, width), but gets {given}; "
            "say what a sample is: Network(layers, input_shape=(1, 28, 28))"
        )
    if channels is not None and inputs[0] != channels:
        raise InputError(f"{layer} takes {channels} channels, but gets {inputs}")
    return inputs


class _Pool(Layer):
    """What both pools share: windows side by side."""

    channelwise: ClassVar[bool] = True
    samplewise: ClassVar[bool] = True
    size: int

    def output_shape(self, inputs: Shape | None) -> Shape:
        """Give (channels, height // size, width // size)."""
        channels, height, width = image_inputs(self, inputs)
        if min(height, width) < self.size:
            raise InputError(f"{self} has windows larger than its images of shape {inputs}")
        return channels, height // self.size, width // self.size

    def windows(self, x: NDArray[Any]) -> Iterator[tuple[Any, NDArray[Any]]]:
        """Give, for each place in a window, where it lies in x, and the pixels of all windows there."""
        s = self.size
        rows, columns = x.shape[-2] // s * s, x.shape[-1] // s * s
        for i in range(s):
            for j in range(s):
                at = (..., slice(i, rows, s), slice(j, columns, s))
                yield at, x[at]

    def spread(self, x: Array, y: Array) -> Array:
        """Give every pixel the value of its window; 0 beyond the windows."""
        out = np.zeros_like(x, y.dtype)
        for at, _ in self.windows(x):
            out[at] = y
        return out


@dataclass(frozen=True)
class AvgPool2D(_Pool):
    """Mean over square windows side by side: a linear layer.

    Parameters
    ----------
    size
        Side of a window, at least 1.

    Raises
    ------
    InputError
        If `size` is not an integer above 0.
    """

    size: int = 2

    nonlinear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checked_counts(self, "size")

    def forward(self, weights: Weights, x: Array) -> Array:
        """Give the means."""
        parts = [part for _, part in self.windows(x)]
        total = parts[0].copy(order="K")
        for part in parts[1:]:
            total += part
        total *= 1.0 / self.size**2
        return total

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Give the mean of the changes."""
        return self.forward(weights, dx)

    def forward_error(self, weights: Weights, x: Array, y: Array, x_error: Array) -> Array:
        """Give the mean of the errors, and the rounding of the sum."""
        here = rounding_unit(x.dtype, self.size**2) * self.forward(weights, np.abs(x))
        return with_underflow(self.forward(weights, x_error) + here)

    def pull(self, weights: Weights, x: Array, y: Array, upstream: Array) -> Array:
        """Share out equally: exact, for a linear map moves every change as it is."""
        return self.spread(x, upstream * x.dtype.type(1.0 / self.size**2))

    def pull_error(self, weights: Weights, x: Array, y: Array, x_error: Array, upstream: Array, bound: Bound) -> Bound:
        """Share out the bounds, and add one rounding."""
        share = 1.0 / self.size**2
        rounding = with_underflow(share * (bound.rounding + rounding_unit(x.dtype) * np.abs(upstream)))
        return Bound(self.spread(x, share * bound.truncation), self.spread(x, rounding))


@dataclass(frozen=True)
class MaxPool2D(_Pool):
    """Maximum over square windows side by side.

    Its slope is 1 at the largest pixel of a window and 0 at the others. Pixels that tie share one slope (a plain
    difference of each would give 1/2 to each of four, 2 in all); their error covers both sides.

    Parameters
    ----------
    size
        Side of a window, at least 1.

    Raises
    ------
    InputError
        If `size` is not an integer above 0.
    """

    size: int = 2

    def __post_init__(self) -> None:
        checked_counts(self, "size")

    def forward(self, weights: Weights, x: Array) -> Array:
        """Give the maxima."""
        return _largest([part for _, part in self.windows(x)])

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Give max(x + dx - max x): the distances to the maximum are taken first, so that no digits are lost."""
        return _largest([(part - y) + dx[at] for at, part in self.windows(x)])

    def forward_error(self, weights: Weights, x: Array, y: Array, x_error: Array) -> Array:
        """Give the largest error in the window."""
        return self.forward(weights, x_error)

    def pull(self, weights: Weights, x: Array, y: Array, upstream: Array) -> Array:
        """Give the slope to the largest pixel; those that tie share it."""
        tops = [(at, part == y) for at, part in self.windows(x)]
        count = sum((top.astype(x.dtype) for _, top in tops[1:]), tops[0][1].astype(x.dtype))
        share = upstream / np.maximum(count, 1)  # a nan is no maximum
        out = np.zeros_like(x)
        for at, top in tops:
            np.multiply(share, top, out=out[at])
        return out

    def pull_error(self, weights: Weights, x: Array, y: Array, x_error: Array, upstream: Array, bound: Bound) -> Bound:
        """Pass the bounds on to every pixel that may be the largest, and cover both sides where several may."""
        worst = self.spread(x, self.forward(weights, x_error))
        near = self.spread(x, y) - x <= x_error + worst + SMALL_STEP * np.maximum(1, np.abs(x))
        several = self.spread(x, self._count(near)) > 1
        either = np.where(near & several, self.spread(x, np.abs(upstream) + bound.total), 0)
        here = self.pull(weights, x, y, np.abs(upstream)) * rounding_unit(x.dtype)
        truncation = either + np.where(near, self.spread(x, bound.truncation), 0)
        rounding = np.where(near, self.spread(x, bound.rounding), 0) + here
        return Bound(truncation.astype(x.dtype), with_underflow(rounding.astype(x.dtype)))

    def remark(self, x: Array, moved: float | None = None) -> str | None:
        """Count the windows with a tie."""
        y = self.forward({}, x)
        tied = int(np.count_nonzero(self._count(x == self.spread(x, y)) > 1))
        return f"{tied:,} windows have several largest pixels, which share one slope" if tied else None

    def _count(self, which: NDArray[np.bool_]) -> Array:
        """Count how many pixels of every window are of a kind."""
        parts = [part.astype(np.float64) for _, part in self.windows(which)]
        total: Array = np.add.reduce(parts)
        return total


def _largest(parts: list[Array]) -> Array:
    """Give the largest of several arrays, in their order in memory."""
    top: Array = parts[0].copy(order="K")
    for part in parts[1:]:
        np.maximum(top, part, out=top)
    return top


@dataclass(frozen=True)
class Flatten(Layer):
    """From images (channels, height, width) to rows of their pixels, channel by channel; rows stay as they are."""

    nonlinear: ClassVar[bool] = False
    samplewise: ClassVar[bool] = True

    def output_shape(self, inputs: Shape | None) -> Shape | None:
        """Give the number of pixels."""
        return None if inputs is None else (size_of(inputs),)

    def forward(self, weights: Weights, x: Array) -> Array:
        """Give the rows."""
        return x.reshape(len(x), -1)

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Give the rows of the changes."""
        return stacked(lambda moved: moved.reshape(len(moved), -1), dx, x.ndim)

    def forward_error(self, weights: Weights, x: Array, y: Array, x_error: Array) -> Array:
        """Give the rows of the errors."""
        return x_error.reshape(y.shape)

    def pull(self, weights: Weights, x: Array, y: Array, upstream: Array) -> Array:
        """Give the images."""
        return upstream.reshape(x.shape)

    def pull_error(self, weights: Weights, x: Array, y: Array, x_error: Array, upstream: Array, bound: Bound) -> Bound:
        """Give the images of the bounds."""
        return Bound(bound.truncation.reshape(x.shape), bound.rounding.reshape(x.shape))
