"""The engine `column`: the coordinate-wise central difference of every weight, computed through structure.

Moving the weight W_ij by h moves one column of the pre-activations, z_j by h x_i in every sample, and nothing else of
its layer. So with phi_bj(s) = the loss of sample b when its z_j is shifted by s, and Phi(s) = phi(s) - phi(-s),

    (L(W_ij + h) - L(W_ij - h)) / 2h  =  sum_b Phi_bj(h x_bi) / 2hB,

the same number as the notes' loop has, with its truncation error, for the price of the shifts. What comes before the
layer is not computed again (prefix reuse); inputs of 0 move nothing; equal inputs of a sample share one shift. Two
variants, which must not be taken for each other:

- **every step**: Phi_bj is evaluated at h x_bi for every distinct input of every sample;
- **interpolated**: Phi_bj is odd and smooth, so that its values at m points t0 cos(k pi / 2m), t0 = h max(1, |x|), give
  an odd polynomial, and its values at all h x_bi one matrix product. 2m shifts of every unit are evaluated, the other
  steps are reconstructed. A unit with a kink within reach is seen by the last coefficient of its polynomial (the
  outermost point is t0 itself, so that none hides beyond it): there every step is evaluated.

A weight of a convolution moves one output channel; every step is evaluated, and that channel alone is computed again up
to the next layer that mixes channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mibun.learn.bounds import Array, Bound
from mibun.learn.engines.chain import remarks
from mibun.learn.engines.coordinate import checked_step
from mibun.learn.engines.engine import Cost, as_derivative
from mibun.learn.engines.node import shift_bound
from mibun.learn.engines.shifts import (
    CHUNK_NUMBERS,
    Pass,
    answers,
    channel_answers,
    forward_pass,
    require_layers,
    tail_price,
    weight_layers,
)
from mibun.learn.layers import Conv2D, Dense
from mibun.learn.losses import Targets
from mibun.learn.network import Network
from mibun.result import Derivative

__all__ = ["Column"]

DEFAULT_STEP = 1e-4
#: Points of the interpolation for the largest shift: truncation of the polynomial below rounding, for sigmoids.
POINTS = ((2e-3, 2), (2e-2, 3), (0.2, 4), (np.inf, 6))
MOST_POINTS = 6
#: A last coefficient above this share of the largest Phi is a kink (or a function too wild for the points).
FLAG = 1e-10
#: Share of flagged pairs from which on another point is cheaper.
MANY = 0.02


@dataclass(frozen=True)
class Column:
    """The notes' coordinate-wise central differences through structure; dense and convolutional layers.

    Parameters
    ----------
    step
        The h of the differences, above 0. Default: 1e-4, in float64 and float32 (differences are propagated as
        differences, and lose no digits).
    every_step
        False: dense layers are interpolated. True: every weight's own step is evaluated.

    Raises
    ------
    InputError
        If `step` is not a finite number above 0; with a network that has weights in layers of your own.

    Notes
    -----
    The error is that of `Node`, told by shifts of h max(1, |x|) and of twice that.

    Examples
    --------
    The numbers of the notes' loop, its own truncation included:

    >>> import numpy as np
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(2, 3), learn.Tanh(), learn.Dense(3, 2)], seed=1)
    >>> x, labels = np.array([[0.6, 0.9]]), np.array([1])
    >>> loop, column, every, chain = (
    ...     learn.gradient(network, x, labels, engine=engine, errors=False).value["0.weight"]
    ...     for engine in (learn.Coordinate(0.1), learn.Column(0.1), learn.Column(0.1, every_step=True), "chain")
    ... )
    >>> bool(abs(column - loop).max() < 1e-12), bool(abs(every - loop).max() < 1e-12)
    (True, True)
    >>> bool(abs(chain - loop).max() > 1e-5)  # the true slope, which h = 0.1 misses
    True
    """

    step: float = DEFAULT_STEP
    every_step: bool = False

    def __post_init__(self) -> None:
        checked_step(self.step)

    @property
    def assumption(self) -> str:
        """What is taken for granted."""
        smooth = (
            "" if self.every_step else ", the loss smooth between the points of a few shifts (kinks are looked for)"
        )
        return f"samples independent{smooth}"

    def gradient(
        self,
        network: Network,
        x: Array,
        targets: Targets,
        rng: np.random.Generator | None = None,
        errors: bool = True,
    ) -> Derivative:
        """Give the gradient with the structure of `network.parameters`, each entry with its error.

        Parameters and errors are those of `Chain.gradient`.
        """
        x = network.batch(x)
        targets = network.targets(targets, len(x))
        network, vector = network.drawn(rng, len(x)), np.empty_like(network.vector)
        with np.errstate(all="ignore"):  # what is not finite is said by the status
            count, loss = self._write(network, network.unflattened(x), targets, vector)
            bound = self._bound(network, x, targets) if errors else None
            notes = remarks(network, x, self.step) if errors else ()
        return as_derivative(network, vector, bound, loss, count, self.step, notes)

    def into(self, network: Network, x: Array, targets: Targets, rng: np.random.Generator | None, out: Array) -> float:
        """Write the gradient into the vector `out`, and give the loss of the batch."""
        return self._write(network.drawn(rng, len(x)), network.unflattened(x), targets, out)[1]

    def cost(self, network: Network, batch_size: int) -> Cost:
        """Count the forward pass and the shifts: an upper bound where every step is evaluated.

        Zeros and equal inputs, which save shifts, and kinks, which cost some in the interpolated variant, are known
        only with the batch: `Derivative.evaluations` counts what was done. Inputs are taken for numbers from -1 to 1.
        """
        require_layers(network, "column", (Dense, Conv2D), "'coordinate'")
        evaluations, work = network.nonlinear_units + 1, 0.0
        for number in weight_layers(network):
            layer, (tail, products) = network.layers[number], tail_price(network, number)
            if isinstance(layer, Dense):
                shifts = 2 * (layer.inputs + 1) if self.every_step else 2 * _points(self.step)
                evaluations += shifts * layer.outputs * tail
                work += shifts * layer.outputs * products
                work += 0 if self.every_step else shifts / 2 * network.products[number]
            else:
                weights = sum(int(np.prod(shape)) for shape in layer.shapes().values())
                evaluations += 2 * weights * tail
                work += 2 * weights * products
        return Cost(batch_size * evaluations, 1.0 + work / max(1, sum(network.products)))

    def _write(self, network: Network, x: Array, targets: Targets, out: Array) -> tuple[int, float]:
        """Write the gradient, and give the number of evaluations and the loss."""
        require_layers(network, "column", (Dense, Conv2D), "'coordinate'")
        run = forward_pass(network, x, targets)
        gradients, count = network.by_layer(out), len(x) * (network.nonlinear_units + 1)
        for number in weight_layers(network):
            tail, _ = tail_price(network, number)
            if isinstance(network.layers[number], Conv2D):
                shifts = self._convolution(run, number, gradients[number])
            elif self.every_step:
                shifts = self._every_step(run, number, gradients[number])
            else:
                shifts = self._interpolated(run, number, gradients[number])
            count += shifts * tail
        return count, run.mean

    def _interpolated(self, run: Pass, number: int, gradient: dict[str, Array]) -> int:
        """Write the gradient of a dense layer from a few shifts of every unit, and count them."""
        x = run.values[number]
        reach = max(1.0, float(np.abs(x).max(initial=0.0)))
        points, shifts = _points(self.step * reach), 0
        while True:
            coefficients, flagged = self._polynomials(run, number, reach, points)
            shifts += 2 * points * flagged.size
            if points >= MOST_POINTS or np.count_nonzero(flagged) <= MANY * flagged.size:
                break
            points += 1
        coefficients[:, flagged] = 0
        coefficients *= 0.5 / (self.step * len(x))
        flat = coefficients.reshape(-1, coefficients.shape[-1])
        np.matmul(_odd_powers(x, reach, points).T, flat, out=gradient["weight"])
        # A bias is the weight of an input that is always 1.
        one = reach ** -(2.0 * np.arange(points) + 1)
        gradient["bias"][...] = np.repeat(one, len(x)).astype(x.dtype) @ flat
        return shifts + self._flagged(run, number, flagged, gradient)

    def _polynomials(self, run: Pass, number: int, reach: float, points: int) -> tuple[Array, NDArray[np.bool_]]:
        """Give the coefficients of Phi in odd powers of s/t0, (points, samples, units), and where they are no good."""
        dtype = run.network.dtype
        at = np.cos(np.arange(points) * np.pi / (2 * points))
        steps = (self.step * reach * np.concatenate([at, -at])).astype(dtype)
        changes = answers(run, number, steps[:, np.newaxis, np.newaxis])
        odd = changes[:points] - changes[points:]
        inverse = np.linalg.inv(at[:, np.newaxis] ** (2 * np.arange(points) + 1)).astype(dtype)
        found = (inverse @ odd.reshape(points, -1)).reshape(odd.shape)
        last, before = np.abs(found[-1]), np.abs(found[-2])
        # A smooth Phi has coefficients that fall; what the next would be is the last, times the ratio of the two.
        missed = last * np.minimum(last, before) / np.maximum(before, np.finfo(dtype).tiny)
        unit = float(np.finfo(dtype).eps)
        plain = 16 * float(np.finfo(np.float64).eps) / (self.step * reach)
        allowed = max(FLAG, 256 * unit, plain) * float(np.abs(odd[0]).max(initial=0.0))
        return found, ~(missed <= allowed)

    def _flagged(self, run: Pass, number: int, flagged: NDArray[np.bool_], gradient: dict[str, Array]) -> int:
        """Add every step of the units that were left out, sample by sample, and count the shifts."""
        x, shifts = run.values[number], 0
        for sample in np.flatnonzero(flagged.any(axis=1)):
            units = np.flatnonzero(flagged[sample])
            values, place = np.unique(np.append(x[sample], x.dtype.type(1)), return_inverse=True)
            moved = self._odd(run, number, values, np.full(len(values), sample), units) / len(x)
            gradient["weight"][:, units] += moved[place[:-1]]
            gradient["bias"][units] += moved[place[-1]]
            shifts += 2 * moved.size
        return shifts

    def _odd(self, run: Pass, number: int, x: Array, rows: NDArray[np.intp], units: NDArray[np.intp] | slice) -> Array:
        """Give (phi(h x) - phi(-h x)) / 2h for some inputs x of the samples `rows`: (inputs, units)."""
        steps = (x * x.dtype.type(self.step))[:, np.newaxis]
        above, below = answers(run, number, np.stack([steps, -steps]), rows, units)
        moved: Array = (above - below) * (0.5 / self.step)
        return moved

    def _every_step(self, run: Pass, number: int, gradient: dict[str, Array]) -> int:
        """Write the gradient of a dense layer from all its distinct steps, and count the shifts."""
        x = run.values[number]
        with_bias = np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1)
        sample, column = np.nonzero(with_bias)
        values, code = np.unique(with_bias[sample, column], return_inverse=True)
        keys, place = np.unique(sample * len(values) + code, return_inverse=True)
        rows, steps = keys // len(values), values[keys % len(values)]
        outputs = gradient["bias"].size
        moved = np.empty((len(keys), outputs), x.dtype)
        size = max(1, CHUNK_NUMBERS // (4 * outputs))
        for start in range(0, len(keys), size):
            some = slice(start, start + size)
            moved[some] = self._odd(run, number, steps[some], rows[some], slice(None))
        moved /= len(x)
        order = np.argsort(column, kind="stable")
        columns, first = np.unique(column[order], return_index=True)
        total = np.zeros((with_bias.shape[1], outputs), x.dtype)
        total[columns] = np.add.reduceat(moved[place[order]], first, axis=0)
        gradient["weight"][...], gradient["bias"][...] = total[:-1], total[-1]
        return 2 * moved.size

    def _convolution(self, run: Pass, number: int, gradient: dict[str, Array]) -> int:
        """Write the gradient of a convolution, weight by weight, and count the shifts (of a channel in a sample)."""
        for channel, patch, place in _channel_steps(run, number):
            above, below = (channel_answers(run, number, channel, sign * self.step * patch) for sign in (1, -1))
            slopes = (above - below).sum(axis=-1) * (0.5 / (self.step * len(run.losses)))
            _put(gradient, channel, place, slopes)
        return 2 * len(run.losses) * sum(array.size for array in gradient.values())

    def _bound(self, network: Network, x: Array, targets: Targets) -> Bound:
        """Bound the errors: of dense layers as `node` does, of convolutions weight by weight from h and 2h."""
        bound = shift_bound(network, x, targets, self.step)
        into = network.by_layer(bound.truncation)
        run = forward_pass(network, network.unflattened(x), targets)
        h = self.step
        for number in weight_layers(network):
            if not isinstance(network.layers[number], Conv2D):
                continue
            for channel, patch, place in _channel_steps(run, number):
                up, down, far_up, far_down = (
                    channel_answers(run, number, channel, step * patch) for step in (h, -h, 2 * h, -2 * h)
                )
                odd, even = (up - down) / (2 * h), (up + down) / (2 * h)
                far_odd, far_even = (far_up - far_down) / (4 * h), (far_up + far_down) / (4 * h)
                missed = np.abs(far_odd - odd) + 2 * np.abs(2 * even - far_even)
                _put(into[number], channel, place, missed.mean(axis=-1))
        return bound


def _channel_steps(run: Pass, number: int) -> Iterator[tuple[int, Array, NDArray[np.intp]]]:
    """Give, channel by channel, what its pixels meet at some weights, (weights, samples, 1, h, w), and which these are.

    The last is the bias, which meets ones.
    """
    layer, shape = run.network.layers[number], run.values[number + 1].shape
    if not isinstance(layer, Conv2D):
        raise TypeError(f"{layer} is no convolution")
    patches = layer.patches(run.values[number])
    met = np.concatenate([patches, np.ones_like(patches[:1])]).reshape(-1, *shape[2:], shape[0])
    met = np.moveaxis(met, -1, 1)[:, :, np.newaxis]
    size = max(1, CHUNK_NUMBERS // (met[0].size * max(1, shape[1] // 4)))
    for channel in range(shape[1]):
        for start in range(0, len(met), size):
            yield channel, met[start : start + size], np.arange(start, min(start + size, len(met)))


def _put(gradient: dict[str, Array], channel: int, place: NDArray[np.intp], slopes: Array) -> None:
    """Write slopes to their weights, the last of all being the bias."""
    weight = gradient["weight"]
    of_weights = place < weight[0].size
    weight[channel][np.unravel_index(place[of_weights], weight.shape[1:])] = slopes[of_weights]
    if not of_weights.all():
        gradient["bias"][channel] = slopes[-1]


def _odd_powers(x: Array, reach: float, points: int) -> Array:
    """Give x/reach, its third power, its fifth ... one below the other: (points * samples, inputs)."""
    powers = np.empty((points, *x.shape), x.dtype)
    np.multiply(x, x.dtype.type(1.0 / reach), out=powers[0])
    square = powers[0] * powers[0]
    for power in range(1, points):
        np.multiply(powers[power - 1], square, out=powers[power])
    return powers.reshape(-1, x.shape[1])


def _points(largest: float) -> int:
    """Choose the number of points for the largest shift."""
    return next(points for limit, points in POINTS if largest <= limit)
