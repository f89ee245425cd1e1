"""The convolution of images, as one matrix product.

The patches that a filter meets become the columns of a matrix (Chellapilla, Puri and Simard 2006, "High performance
convolutional neural networks for document processing"). Samples stand innermost
in memory, as they do for dense layers: an array (samples, channels, height, width) is a view of one (channels, height,
width, samples), so that a row of a patch is one long piece, the product writes what the next layer reads, and images
become rows for nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound, matmul, rounding_unit, with_underflow
from mibun.learn.layers.dense import checked_counts, checked_scale, deviation
from mibun.learn.layers.layer import Layer, Shape, Weights, stacked
from mibun.learn.layers.pool import image_inputs

__all__ = ["Conv2D"]

#: A product of two matrices: that of NumPy, or one in which 0 times an infinite error is 0.
Product = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Conv2D(Layer):
    """Slide filters over images: every output pixel is a weighted sum of a patch of all input channels.

    Samples are images (channels, height, width). As in PyTorch, the filters are not mirrored.

    Parameters
    ----------
    inputs, outputs
        Numbers of channels, at least 1.
    size
        Side of the square filters, at least 1.
    stride
        Pixels from one patch to the next, at least 1.
    padding
        Rows and columns of zeros that are put around the image, at least 0.
    scale
        Standard deviation of the first weights, as in `Dense`; a unit has inputs * size**2 inputs.

    Raises
    ------
    InputError
        If an option is not such a number.

    Examples
    --------
    >>> from mibun import learn
    >>> layers = [learn.Conv2D(1, 8, 3), learn.ReLU(), learn.MaxPool2D(2), learn.Flatten(), learn.Dense(1352, 10)]
    >>> network = learn.Network(layers, input_shape=(1, 28, 28))
    >>> {name: array.shape for name, array in network.parameters.items()}
    {'0.weight': (8, 1, 3, 3), '0.bias': (8,), '4.weight': (1352, 10), '4.bias': (10,)}
    """

    inputs: int
    outputs: int
    size: int
    stride: int = 1
    padding: int = 0
    scale: str | float = "he"

    nonlinear: ClassVar[bool] = False
    samplewise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_counts(self, "inputs", "outputs", "size", "stride")
        checked_counts(self, "padding", least=0)
        checked_scale(self)

    @property
    def fan(self) -> int:
        """Number of inputs of one output pixel."""
        return self.inputs * self.size**2

    def output_shape(self, inputs: Shape | None) -> Shape:
        """Give (outputs, height, width); the image must hold a filter."""
        _, height, width = image_inputs(self, inputs, self.inputs)
        if min(height, width) + 2 * self.padding < self.size:
            raise InputError(f"{self} has filters larger than its images of shape {inputs}")
        return self.outputs, self._places(height), self._places(width)

    def products(self, inputs: Shape | None) -> int:
        """Count the multiplications of one sample's forward pass."""
        outputs, height, width = self.output_shape(inputs)
        return self.fan * outputs * height * width

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter."""
        return {"weight": (self.outputs, self.inputs, self.size, self.size), "bias": (self.outputs,)}

    def initial(self, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Draw normal random weights; the biases are 0."""
        shape = self.shapes()["weight"]
        return {"weight": rng.normal(0.0, deviation(self.scale, self.fan), shape), "bias": np.zeros(self.outputs)}

    def forward(self, weights: Weights, x: Array) -> Array:
        """Multiply the filters by the patches."""
        y = self._map(self._matrix(weights), x)
        y += weights["bias"][:, np.newaxis, np.newaxis]
        return y

    def change(self, weights: Weights, x: Array, y: Array, dx: Array) -> Array:
        """Apply the map to the change: exact, whatever its size."""
        matrix = self._matrix(weights)
        return stacked(lambda moved: self._map(matrix, moved), dx, 4)

    def forward_error(self, weights: Weights, x: Array, y: Array, x_error: Array) -> Array:
        """Bound the rounding error of `y`, given that of `x`."""
        matrix = np.abs(self._matrix(weights))
        size = self._map(matrix, np.abs(x)) + np.abs(weights["bias"])[:, np.newaxis, np.newaxis]
        moved = self._map(matrix, x_error, matmul)
        return with_underflow(moved + rounding_unit(x.dtype, self.fan) * size)

    def pull(self, weights: Weights, x: Array, y: Array, upstream: Array) -> Array:
        """Apply the transposed map: exact, for a linear map moves every change as it is."""
        return self._back(self._matrix(weights), upstream, x.shape)

    def pull_error(self, weights: Weights, x: Array, y: Array, x_error: Array, upstream: Array, bound: Bound) -> Bound:
        """Carry the bounds through |weight|, and add the rounding of the products."""
        matrix = np.abs(self._matrix(weights))
        here = rounding_unit(x.dtype, self.outputs * self.size**2) * self._back(matrix, np.abs(upstream), x.shape)
        rounding = self._back(matrix, bound.rounding, x.shape, matmul) + here
        return Bound(self._back(matrix, bound.truncation, x.shape, matmul), with_underflow(rounding))

    def write_gradient(self, x: Array, upstream: Array, gradient: Weights) -> None:
        """Write the products of patches and upstream, summed over samples and places."""
        up = _rows(upstream)
        gradient["weight"][...] = np.matmul(up, self.patches(x).T).reshape(self.shapes()["weight"])
        gradient["bias"][...] = np.matmul(up, np.ones(up.shape[1], up.dtype))

    def gradient_error(self, x: Array, x_error: Array, upstream: Array, bound: Bound) -> dict[str, Bound]:
        """Carry the bounds through the patches, and add the error of x and the rounding of the products."""
        patches, lost = np.abs(self.patches(x)).T, self.patches(x_error).T
        size, truncation, rounding = (_rows(part) for part in (np.abs(upstream), bound.truncation, bound.rounding))
        unit, shape = rounding_unit(x.dtype, size.shape[1]), self.shapes()["weight"]
        total = matmul(rounding, patches) + matmul(size + truncation + rounding, lost) + unit * (size @ patches)
        bias = rounding.sum(axis=1) + unit * size.sum(axis=1)
        return {
            "weight": Bound(matmul(truncation, patches).reshape(shape), with_underflow(total).reshape(shape)),
            "bias": Bound(truncation.sum(axis=1), with_underflow(bias)),
        }

    def patches(self, x: Array) -> Array:
        """Give the patches as columns: (inputs * size**2, places * samples)."""
        samples, channels, height, width = x.shape
        image, k, p = np.ascontiguousarray(x.transpose(1, 2, 3, 0)), self.size, self.padding
        if p:
            padded = np.zeros((channels, height + 2 * p, width + 2 * p, samples), x.dtype)
            padded[:, p:-p, p:-p] = image
            image = padded
        patches = np.empty((channels, k, k, self._places(height), self._places(width), samples), x.dtype)
        for i in range(k):
            for j in range(k):
                patches[:, i, j] = image[:, *self._window(i, j, patches.shape)]
        return patches.reshape(channels * k * k, -1)

    def _places(self, pixels: int) -> int:
        """Count the places of a filter along one side."""
        return (pixels + 2 * self.padding - self.size) // self.stride + 1

    def _matrix(self, weights: Weights) -> Array:
        return np.ascontiguousarray(weights["weight"].reshape(self.outputs, self.fan))

    def _map(self, matrix: Array, x: Array, product: Product = np.matmul) -> Array:
        """Multiply a matrix of filters by the patches of x, and give images."""
        samples, _, height, width = x.shape
        y = product(matrix, self.patches(x))
        return y.reshape(len(matrix), self._places(height), self._places(width), samples).transpose(3, 0, 1, 2)

    def _back(self, matrix: Array, upstream: Array, shape: Shape, product: Product = np.matmul) -> Array:
        """Multiply the transposed matrix by images, and add the patches up where they came from."""
        samples, channels, height, width = shape
        k, p = self.size, self.padding
        places = (self._places(height), self._places(width))
        patches = product(matrix.T, _rows(upstream)).reshape(channels, k, k, *places, samples)
        image = np.zeros((channels, height + 2 * p, width + 2 * p, samples), upstream.dtype)
        for i in range(k):
            for j in range(k):
                image[:, *self._window(i, j, patches.shape)] += patches[:, i, j]
        return image[:, p : height + p, p : width + p].transpose(3, 0, 1, 2)

    def _window(self, i: int, j: int, shape: Shape) -> tuple[slice, slice]:
        """Give the pixels that meet the entry (i, j) of the filter, over all its places."""
        s = self.stride
        return slice(i, i + s * (shape[-3] - 1) + 1, s), slice(j, j + s * (shape[-2] - 1) + 1, s)


def _rows(images: Array) -> Array:
    """Give the pixels of each channel in one row: (channels, places * samples)."""
    return images.transpose(1, 2, 3, 0).reshape(images.shape[1], -1)
