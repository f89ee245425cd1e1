"""What the loss of every sample answers when one unit of one layer is shifted: the engine room of `column` and `node`.

Samples do not touch each other, so one unit is shifted in all samples at once. The change travels on as a change,
layer by layer (`Layer.change`), and never as the difference of two large values: it keeps its digits in float32, too.
Through activations it stays a change of one unit; a dense layer spreads it along one row of its weights.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.learn.bounds import Array
from mibun.learn.engines.chain import layer_values
from mibun.learn.layers import Activation, Dense, Layer, Mask, Weights
from mibun.learn.losses import PerSampleLoss, Targets, loss_change
from mibun.learn.network import Network

__all__ = [
    "Pass",
    "after",
    "answers",
    "channel_answers",
    "forward_pass",
    "loss_rounding",
    "require_independent_losses",
    "require_layers",
    "slope_of_units",
    "tail_price",
    "weight_layers",
]

#: Numbers that an array of changes may have, so that the arrays of a chunk stay in the cache.
CHUNK_NUMBERS = 100_000

Rows = NDArray[np.intp] | slice
ALL = slice(None)


@dataclass(frozen=True, eq=False)
class Pass:
    """One forward pass: the input of every layer and the logits, kept."""

    network: Network
    weights: list[Weights]
    values: list[Array]
    targets: Targets
    losses: Array

    @property
    def mean(self) -> float:
        """The loss of the batch."""
        return float(self.losses.mean(dtype=np.float64))


def forward_pass(network: Network, x: Array, targets: Targets) -> Pass:
    """Push a batch through a network whose masks are drawn."""
    weights = network.by_layer(network.vector)
    values = layer_values(network, weights, x)
    for layer, own, below, value in zip(network.layers, weights, values, values[1:], strict=False):
        layer.require_independent(own, below, value)
    losses = network.loss_function.per_sample(values[-1], targets)
    require_independent_losses(network, values[-1], targets, losses)
    return Pass(network, weights, values, targets, losses)


def require_independent_losses(network: Network, logits: Array, targets: Targets, losses: Array) -> None:
    """Refuse a loss of the user's whose number for one sample depends on the others."""
    if isinstance(network.loss_function, PerSampleLoss):
        network.loss_function.require_independent(logits, targets, losses)


def weight_layers(network: Network) -> list[int]:
    """Give the numbers of the layers that have parameters."""
    return [number for number, layer in enumerate(network.layers) if layer.shapes()]


def require_layers(network: Network, engine: str, kinds: tuple[type[Layer], ...], others: str) -> None:
    """Refuse a network with parameters in other layers than an engine knows.

    Raises
    ------
    InputError
        Naming the layer, the reason, and engines that can.
    """
    for number in weight_layers(network):
        layer = network.layers[number]
        if not isinstance(layer, kinds):
            known = " and ".join(kind.__name__ for kind in kinds)
            raise InputError(
                f"engine {engine!r} cannot serve layer {number}, {layer}: it knows how the weights of {known} move "
                f"their outputs, and of no other layer; {others} can"
            )


def answers(run: Pass, number: int, d: Array, rows: Rows = ALL, units: Rows = ALL) -> Array:
    """Give the change of each sample's loss when one output of a dense layer changes by d, the others staying.

    Parameters
    ----------
    run
        The forward pass.
    number
        The dense layer.
    d
        Shape (..., samples, units), or one that broadcasts to it.
    rows, units
        Which samples and units these are; by default all.
    """
    network, last = run.network, len(run.network.layers)
    n, shape = number + 1, run.values[number + 1][rows][:, units].shape
    while n < last and network.layers[n].channelwise:
        layer = _part(network.layers[n], rows, units)
        d = layer.change({}, run.values[n][rows][:, units], run.values[n + 1][rows][:, units], d)
        n += 1
    d = np.broadcast_to(d, (*d.shape[: max(0, d.ndim - 2)], *shape))
    if n < last and isinstance(network.layers[n], Dense):
        directions, n = run.weights[n]["weight"][units], n + 1
    else:
        directions = np.eye(run.values[n].shape[1], dtype=d.dtype)[units]
    own = getattr(network.loss_function, "change_along", None)
    if n == last and own is not None:
        along: Array = own(run.values[-1][rows], run.targets[rows], directions, d)
        return along
    return _in_chunks(run, n, d, directions, rows)


def after(run: Pass, n: int, dx: Array, rows: Rows = ALL) -> Array:
    """Give the change of each sample's loss when the input of layer n changes by dx, (..., samples, *inputs)."""
    for number in range(n, len(run.network.layers)):
        layer = _part(run.network.layers[number], rows, ALL)
        dx = layer.change(run.weights[number], run.values[number][rows], run.values[number + 1][rows], dx)
    return loss_change(run.network.loss_function, run.values[-1][rows], run.targets[rows], dx)


def channel_answers(run: Pass, number: int, channel: int, d: Array) -> Array:
    """Give the change of each sample's loss when one channel of a convolution changes by d, (..., samples, 1, h, w)."""
    n, one = number + 1, slice(channel, channel + 1)
    while n < len(run.network.layers) and run.network.layers[n].channelwise:
        layer = _part(run.network.layers[n], ALL, one)
        d = layer.change({}, run.values[n][:, one], run.values[n + 1][:, one], d)
        n += 1
    whole = np.zeros((*d.shape[:-4], *run.values[n].shape), d.dtype)
    whole[..., one, :, :] = d
    return after(run, n, whole)


def slope_of_units(run: Pass, number: int, h: float) -> tuple[Array, Array]:
    """Give the central difference of each sample's loss in each unit, and what a bound of it must cover.

    As in `Elementwise`: the odd parts at h and 2h tell truncation, the even ones a kink between -2h and 2h.
    """
    steps = np.array([h, -h, 2 * h, -2 * h], run.network.dtype)[:, np.newaxis, np.newaxis]
    up, down, far_up, far_down = answers(run, number, steps).astype(np.float64)
    odd, even = (up - down) / (2 * h), (up + down) / (2 * h)
    far_odd, far_even = (far_up - far_down) / (4 * h), (far_up + far_down) / (4 * h)
    return odd, np.abs(far_odd - odd) + 2 * np.abs(2 * even - far_even)


def _in_chunks(run: Pass, n: int, d: Array, directions: Array, rows: Rows) -> Array:
    """Let the input of layer n move along one direction for each unit, some units at a time."""
    out = np.empty(d.shape, d.dtype)
    widest = max(int(np.prod(value.shape[1:])) for value in run.values[n:])
    size = max(1, CHUNK_NUMBERS // (max(1, d.size // d.shape[-1]) * widest))
    for start in range(0, d.shape[-1], size):
        some = slice(start, start + size)
        amounts = np.moveaxis(d[..., some], -1, -2)[..., np.newaxis]
        out[..., some] = np.moveaxis(after(run, n, amounts * directions[some, np.newaxis, :], rows), -2, -1)
    return out


def _part(layer: Layer, rows: Any, channels: Any) -> Layer:
    """Give the layer as it is for some samples and channels: a mask is not the same for all."""
    return Mask(layer.factors[rows][:, channels]) if isinstance(layer, Mask) else layer


def tail_price(network: Network, number: int) -> tuple[int, int]:
    """Count elementary evaluations and multiplications of one shift of one unit of a layer, for one sample."""
    layers, n, units = network.layers, number + 1, 0
    while n < len(layers) and layers[n].channelwise:
        shape = network.shapes[n] or ()
        units += layers[n].evaluations(shape) // max(1, shape[0] if shape else 1)
        n += 1
    products = 0
    if n < len(layers) and isinstance(spread := layers[n], Dense):
        products, n = spread.outputs, n + 1
    rest = range(n, len(layers))
    units += sum(layers[k].evaluations(network.shapes[k]) for k in rest) + 1
    return units, products + sum(layers[k].products(network.shapes[k]) for k in rest)


def loss_rounding(run: Pass) -> float:
    """Bound what plain differences of values lose, for one value of the mean loss; 0 where nothing is plain."""
    plain = not hasattr(run.network.loss_function, "change") or any(
        type(layer).change in (Layer.change, Activation.change) for layer in run.network.layers
    )
    if not plain:
        return 0.0
    size = float(np.abs(run.losses).mean(dtype=np.float64)) + 1.0
    return float(np.finfo(np.float64).eps * size * np.sqrt(sum(run.network.products) + 16.0))
