"""The engine `coordinate`: the notes' loop, every parameter moved by ± h on its own.

Two passes of the batch for each parameter, and nothing assumed about the network: the oracle for the other
engines, and far too slow for training (79,520 passes a step for the network 784-50-10). The parameters of the
network are never touched: the loop moves a copy.
"""

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound
from mibun.learn.engines.engine import Cost, as_derivative
from mibun.learn.losses import Targets
from mibun.learn.network import Network
from mibun.result import Derivative

__all__ = ["Coordinate"]

#: The notes' h, and one for float32 that keeps the rounding of two float32 losses below the truncation.
DEFAULT_STEPS = {np.dtype(np.float64): 1e-4, np.dtype(np.float32): 3e-2}


@dataclass(frozen=True)
class Coordinate:
    """Central differences in every parameter.

    Parameters
    ----------
    step
        The h of the differences, above 0. None: 1e-4 as in the notes for float64; 3e-2 for float32, where
        at 1e-4 nearly all differences of two losses are exactly 0.

    Raises
    ------
    InputError
        If `step` is not a finite number above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(2, 3), learn.Tanh(), learn.Dense(3, 2)], seed=1)
    >>> x, labels = np.array([[0.6, 0.9]]), np.array([1])
    >>> slow = learn.Coordinate().gradient(network, x, labels)
    >>> fast = learn.Chain().gradient(network, x, labels)
    >>> gap = abs(slow.value["0.weight"] - fast.value["0.weight"])
    >>> bool((gap <= slow.error["0.weight"] + fast.error["0.weight"]).all())
    True
    """

    step: float | None = None

    def __post_init__(self) -> None:
        step: object = self.step
        number = isinstance(step, Real) and not isinstance(step, bool)
        if step is not None and not (number and 0.0 < float(self.step or 0) < math.inf):
            raise InputError(f"step must be a finite number above 0, such as 1e-4, or None, not {step!r}")

    def gradient(
        self,
        network: Network,
        x: Array,
        targets: Targets,
        rng: np.random.Generator | None = None,
        errors: bool = True,
    ) -> Derivative:
        """Give the gradient with the structure of `network.parameters`, each entry with its error.

        Parameters
        ----------
        network
            The network; it stays as it is.
        x
            Samples, shape (samples, inputs).
        targets
            Integer labels (samples,) or an array (samples, outputs).
        rng
            Not used: this engine draws nothing.
        errors
            Whether to estimate the errors, by a second loop at 2h; without, every error is inf.

        Raises
        ------
        InputError
            If samples or targets do not fit the network.
        """
        x = network.batch(x)
        targets = network.targets(targets, len(x))
        h = self._step(network)
        near, far = np.empty_like(network.vector), np.empty_like(network.vector)
        with np.errstate(all="ignore"):  # what is not finite is said by the status
            loss = self.into(network, x, targets, rng, near)
        evaluations = self.cost(network, len(x)).evaluations
        bound = None
        if errors:
            evaluations *= 2
            with np.errstate(all="ignore"):
                Coordinate(2 * h).into(network, x, targets, rng, far)
                bound = self._bound(network, x, targets, near, far)
        return as_derivative(network, near, bound, loss, evaluations, h)

    def into(self, network: Network, x: Array, targets: Targets, rng: np.random.Generator | None, out: Array) -> float:
        """Write the gradient into the vector `out`, and give the loss of the batch."""
        h = self._step(network)
        moved = network.vector.copy()
        for index, at in enumerate(network.vector.tolist()):
            moved[index] = at + h
            above, high = float(moved[index]), _loss(network, x, targets, moved)
            moved[index] = at - h
            below, low = float(moved[index]), _loss(network, x, targets, moved)
            # The step that really happened: above and below were rounded to the dtype of the parameters.
            # It is 0, and there is no slope, where h is below the spacing of floats at the parameter.
            out[index] = (high - low) / (above - below) if above != below else math.nan
            moved[index] = at
        return _loss(network, x, targets, network.vector)

    def cost(self, network: Network, batch_size: int) -> Cost:
        """Count two forward passes for each parameter, and one more for the loss."""
        passes = 2 * network.vector.size + 1
        return Cost(passes * batch_size * (network.nonlinear_units + 1), float(passes))

    def _step(self, network: Network) -> float:
        return DEFAULT_STEPS[network.dtype] if self.step is None else float(self.step)

    def _bound(self, network: Network, x: Array, targets: Targets, near: Array, far: Array) -> Bound:
        """Take truncation from the differences at h and 2h, and rounding from that of the loss on its way."""
        weights, lost, value = network.by_layer(network.vector), np.zeros_like(x), x
        for layer, own in zip(network.layers, weights, strict=True):
            below, value = value, layer.forward(own, value)
            lost = layer.forward_error(own, below, value, lost)
        # A loss moves at most as much as the sum of its slopes times the errors of its logits.
        losses, slope = network.loss_function.slope(value, targets)
        unit = float(np.finfo(network.dtype).eps)
        of_loss = float(((np.abs(slope) * lost).sum(axis=1) + 4 * unit * (np.abs(losses) + 1)).mean())
        rounding = np.full(near.size, of_loss / self._step(network))
        # |D(2h) - D(h)| is three times the truncation of D(h) to leading order.
        return Bound(np.abs(far - near).astype(np.float64), rounding)


def _loss(network: Network, x: Array, targets: Targets, vector: Array) -> float:
    losses = network.loss_function.per_sample(network.forward(x, vector), targets)
    return float(losses.mean(dtype=np.float64))
