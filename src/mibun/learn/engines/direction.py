"""The engine `direction`: forward passes only, along random directions.

Two contracts, which differ in what is known of the loss and must not stand in one table:

- **whole loss**: one number for the batch. All parameters move at once, by ± step at random, and the difference of the
  two losses goes to each of them (SPSA: Spall 1992). The directions are not kept: a direction is drawn again from its
  seed when it is needed (seed replay: Malladi et al. 2023, "Fine-tuning language models with just forward passes"). The
  moved parameters are written into the vector that the gradient will fill, from the network's own, which are never
  touched: there is nothing to restore, and nothing to restore wrongly.
- **per sample**: the loss of every sample. Noise is added to the pre-activations of all samples, and a sample's
  difference goes to its own noise (activity perturbation: Ren, Kornblith, Liao and Hinton 2023, "Scaling forward
  gradient with local losses"); the weights get the exact outer product. Its variance grows with the number of units,
  not with that of weights, and falls with the samples.

Both passes of a pair see the same masks (common random numbers), and even terms of the loss cancel (antithetic pairs).
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mibun.descent.spsa import SPSA, spread
from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound
from mibun.learn.engines.engine import Cost, as_derivative
from mibun.learn.engines.shifts import require_independent_losses, weight_layers
from mibun.learn.layers import Layer
from mibun.learn.losses import Targets
from mibun.learn.network import Network
from mibun.result import Derivative, Note, Status

__all__ = ["Direction"]

CONTRACTS = ("per sample", "whole loss")
#: Entries of a direction that are drawn at once, so that no direction stands in memory as a whole.
CHUNK = 1 << 15
#: Standard deviation of the noise at the pre-activations.
ACTIVITY_STEP = 1e-2


@dataclass(frozen=True)
class Direction:
    """Gradients from pairs of forward passes along random directions.

    Parameters
    ----------
    losses
        What is known of the loss: `"per sample"` (the loss of each sample; noise at the pre-activations) or
        `"whole loss"` (one number for the batch).
    estimator
        `mb.SPSA(pairs=, seed=, step=)`: pairs of passes averaged, and how far they move. Default step: of the
        parameters the cube root of the rounding of the loss, on their scale; of pre-activations 1e-2. Its seed is
        used where no generator is given.

    Raises
    ------
    InputError
        If an option cannot be used; with "per sample", if the weights of a layer have no outer product.

    Notes
    -----
    A gradient is right in the mean and far off by itself: its error is three standard deviations of what random
    directions leave, an estimate, and above most entries. It is good for many small steps.

    Memory beside network and gradient: the activations of one pass, and a chunk of a direction; with "per sample"
    and several pairs, one vector of parameters more.

    Examples
    --------
    The mean of many estimates is the gradient:

    >>> import numpy as np
    >>> import mibun as mb
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(2, 3), learn.Tanh(), learn.Dense(3, 2)], seed=1)
    >>> x, labels = np.array([[0.6, 0.9]]), np.array([1])
    >>> exact = learn.gradient(network, x, labels).value["0.weight"]
    >>> for losses in ("per sample", "whole loss"):
    ...     engine = learn.Direction(losses, mb.SPSA(pairs=3000))
    ...     d = learn.gradient(network, x, labels, engine=engine)
    ...     print(bool((abs(d.value["0.weight"] - exact) < d.error["0.weight"]).all()))
    True
    True
    """

    losses: str = "per sample"
    estimator: SPSA = field(default_factory=SPSA)

    def __post_init__(self) -> None:
        if self.losses not in CONTRACTS:
            raise InputError(f"losses must be 'per sample' or 'whole loss', not {self.losses!r}")
        if not isinstance(self.estimator, SPSA):
            raise InputError(f"estimator must be a value such as mb.SPSA(pairs=4), not {self.estimator!r}")

    @property
    def contract(self) -> str:
        """What is known of the loss: tables of engines never mix two contracts."""
        known = "one number for the batch" if self.losses == "whole loss" else "one number for each sample"
        return f"estimates along random directions, of the loss known: {known}"

    @property
    def assumption(self) -> str:
        """What is taken for granted."""
        alone = "" if self.losses == "whole loss" else "; samples independent, layers linear in their weights"
        return f"right in the mean of many{alone}"

    def gradient(
        self,
        network: Network,
        x: Array,
        targets: Targets,
        rng: np.random.Generator | None = None,
        errors: bool = True,
    ) -> Derivative:
        """Give an estimate with the structure of `network.parameters`; errors are three standard deviations."""
        x = network.batch(x)
        targets = network.targets(targets, len(x))
        vector, spreads = np.empty_like(network.vector), np.zeros(network.vector.size)
        with np.errstate(all="ignore"):  # what is not finite is said by the status
            loss = self._write(network, x, targets, rng, vector, spreads if errors else None)
        bound = Bound(np.zeros(vector.size), 3.0 * np.sqrt(spreads)) if errors else None
        pairs = self.estimator.pairs
        counted = "1 random pair" if pairs == 1 else f"{pairs} random pairs"
        note = Note(None, Status.CONVERGED, f"an estimate from {counted}; errors are 3 standard deviations")
        evaluations = self.cost(network, len(x)).evaluations
        return as_derivative(network, vector, bound, loss, evaluations, self._step(network, loss), (note,))

    def into(self, network: Network, x: Array, targets: Targets, rng: np.random.Generator | None, out: Array) -> float:
        """Write an estimate into the vector `out`, and give the loss of the batch (the mean over its pairs)."""
        return self._write(network, x, targets, rng, out, None)

    def cost(self, network: Network, batch_size: int) -> Cost:
        """Count two forward passes for each pair; with "per sample" also the outer products."""
        passes, extra = 2 * self.estimator.pairs, 0.0
        if self.losses == "per sample":
            self._require_outer_products(network)
            extra = float(self.estimator.pairs)
        return Cost(passes * batch_size * (network.nonlinear_units + 1), passes + extra)

    def _write(
        self,
        network: Network,
        x: Array,
        targets: Targets,
        rng: np.random.Generator | None,
        out: Array,
        spreads: Array | None,
    ) -> float:
        rng = np.random.default_rng(self.estimator.seed) if rng is None else rng
        network = network.drawn(rng, len(x))
        if self.losses == "whole loss":
            return self._whole_loss(network, x, targets, rng, out, spreads)
        self._require_outer_products(network)
        total = out if self.estimator.pairs == 1 else np.zeros_like(out)
        loss = 0.0
        for _ in range(self.estimator.pairs):
            loss += self._activity(network, x, targets, rng, out, spreads) / self.estimator.pairs
            if total is not out:
                total += out
        np.multiply(total, 1.0 / self.estimator.pairs, out=out)
        if spreads is not None:
            spreads *= 1.0 / self.estimator.pairs**2
        return loss

    def _step(self, network: Network, loss: float) -> float:
        if self.estimator.step is not None:
            return float(self.estimator.step)
        if self.losses == "per sample":
            return ACTIVITY_STEP
        return spread(network.vector, loss, float(np.finfo(network.dtype).eps) * (abs(loss) + 1.0))

    def _whole_loss(
        self, network: Network, x: Array, targets: Targets, rng: np.random.Generator, out: Array, spreads: Array | None
    ) -> float:
        """Keep a seed and a slope for each pair, and draw the directions again for the sum."""
        step, slopes, losses = self.estimator.step, [], []
        if step is None:
            step = self._step(network, _mean_loss(network, x, targets, network.vector))
        for seed in rng.integers(2**63, size=self.estimator.pairs).tolist():
            pair = []
            for sign in (step, -step):
                _along(seed, sign, network.vector, out)
                pair.append(_mean_loss(network, x, targets, out))
            slopes.append((seed, (pair[0] - pair[1]) / (2 * step)))
            losses += pair
        out[:] = 0
        for seed, slope in slopes:
            _along(seed, slope / len(slopes), out, out)
        if spreads is not None:
            spreads[:] = sum(slope**2 for _, slope in slopes) / len(slopes) ** 2
        return math.fsum(losses) / len(losses)

    def _activity(
        self, network: Network, x: Array, targets: Targets, rng: np.random.Generator, out: Array, spreads: Array | None
    ) -> float:
        """Write the estimate of one pair of noisy passes; the noise of a layer is drawn again from its seed."""
        step, weights = self._step(network, 0.0), network.by_layer(network.vector)
        seeds = dict(zip(weight_layers(network), rng.integers(2**63, size=len(network.layers)).tolist(), strict=False))
        high = _noisy_pass(network, weights, x, targets, seeds, step)[0]
        # The activations of the second pass serve for the outer product: they are off by step, without bias.
        low, kept = _noisy_pass(network, weights, x, targets, seeds, -step)
        answer = (high - low) * (0.5 / (step * len(x)))
        gradients = network.by_layer(out)
        for number, (inputs, shape) in kept.items():
            noise = _noise(seeds[number], shape, network.dtype)
            noise *= answer.reshape(-1, *[1] * (len(shape) - 1))
            network.layers[number].write_gradient(inputs, noise, gradients[number])
        if spreads is not None:
            added = np.zeros_like(out)
            squares = network.by_layer(added)
            for number, (inputs, shape) in kept.items():
                # With g the slopes of a sample and n normal, (g n) n_j has the variance |g|^2 + g_j^2, which is the
                # mean of (g n)^2 (1 + n_j^2) / 2.
                spread_of_units = 0.5 * (1 + _noise(seeds[number], shape, network.dtype) ** 2)
                spread_of_units *= (answer**2).reshape(-1, *[1] * (len(shape) - 1))
                network.layers[number].write_gradient(inputs**2, spread_of_units, squares[number])
            spreads += added
        return float((high + low).mean(dtype=np.float64) / 2)

    def _require_outer_products(self, network: Network) -> None:
        for number in weight_layers(network):
            layer = network.layers[number]
            if type(layer).write_gradient is Layer.write_gradient:
                raise InputError(
                    f"Direction('per sample') cannot serve layer {number}, {layer}: it does not say how its weights "
                    "move its output (method write_gradient); Direction('whole loss') and 'coordinate' can"
                )


def _along(seed: int, amount: float, start: Array, out: Array) -> None:
    """Write start + amount * direction into `out`; the direction, of entries 1 and -1, is drawn from its seed."""
    source = np.random.Generator(np.random.PCG64(seed))
    for at in range(0, out.size, CHUNK):
        part = slice(at, min(at + CHUNK, out.size))
        bits = np.unpackbits(np.frombuffer(source.bytes(CHUNK // 8), np.uint8), count=part.stop - at)
        way = bits.astype(out.dtype)
        way *= 2 * amount
        way -= amount
        np.add(start[part], way, out=out[part])


def _noise(seed: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Draw the noise of a layer from its seed."""
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape, dtype.type)


def _noisy_pass(
    network: Network, weights: list[dict[str, Array]], x: Array, targets: Targets, seeds: dict[int, int], step: float
) -> tuple[Array, dict[int, tuple[Array, tuple[int, ...]]]]:
    """Give the losses of a pass with noise at the pre-activations, and the inputs of the layers that have weights.

    With the inputs comes the shape of the noise; no other activation is kept.
    """
    value, kept = network.unflattened(x), {}
    for number, layer in enumerate(network.layers):
        below, value = value, layer.forward(weights[number], value)
        layer.require_independent(weights[number], below, value)
        if number in seeds:
            kept[number] = below, value.shape
            noise = _noise(seeds[number], value.shape, value.dtype)
            noise *= value.dtype.type(step)
            value = np.add(value, noise, out=noise)
    losses = network.loss_function.per_sample(value, targets)
    require_independent_losses(network, value, targets, losses)
    return losses, kept


def _mean_loss(network: Network, x: Array, targets: Targets, vector: Array) -> float:
    return float(network.loss_function.per_sample(network.forward(x, vector), targets).mean(dtype=np.float64))
