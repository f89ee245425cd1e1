"""The engine `coordinate`: the notes' loop, every parameter moved by ± h on its own.

Two passes of the batch for each parameter, and nothing assumed about the network: the oracle for the other
engines, and far too slow for training (79,520 passes a step for the network 784-50-10). The parameters of the
network are never touched: the loop moves a copy.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np

from mibun.errors import DeadDifferences, InputError
from mibun.learn.bounds import Array, Bound, times
from mibun.learn.engines.chain import remarks
from mibun.learn.engines.engine import Cost, as_derivative
from mibun.learn.losses import Targets
from mibun.learn.network import Network
from mibun.result import Derivative

__all__ = ["Coordinate", "checked_step", "loss_error"]

#: The notes' h, and one for float32 that keeps the rounding of two float32 losses below the truncation.
DEFAULT_STEPS = {np.dtype(np.float64): 1e-4, np.dtype(np.float32): 3e-2}

#: Below this h differences of two float32 losses are mostly rounding.
LEAST_STEP_FLOAT32 = 1e-2


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

    Notes
    -----
    In float32 a step below 1e-2 gives a `DeadDifferences` warning with the share of entries that are exactly 0.

    The error is an estimate from the differences at h and 2h. Next to a kink it covers both slopes; where several
    units of one sample meet their kinks within 2h, which the large h of float32 makes likely, they may hide each
    other, and about one entry in a hundred is not covered.

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

    assumption: ClassVar[str] = "nothing"

    def __post_init__(self) -> None:
        checked_step(self.step, may_be_none=True)

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
            Draws the masks of `Dropout`; by default that of the seed 0.
        errors
            Whether to estimate the errors, by two more loops, at h and 2h; without, every error is inf.

        Raises
        ------
        InputError
            If samples or targets do not fit the network.
        """
        x = network.batch(x)
        targets = network.targets(targets, len(x))
        h = self._step(network)
        network, value, bound = network.drawn(rng, len(x)), np.empty_like(network.vector), None
        with np.errstate(all="ignore"):  # what is not finite is said by the status
            if errors:
                loss, bound = self._with_bound(network, x, targets, value)
            else:
                loss = self.into(network, x, targets, rng, value)
            notes = remarks(network, x, h) if errors else ()
        evaluations = self.cost(network, len(x)).evaluations * (2 if errors else 1)
        return as_derivative(network, value, bound, loss, evaluations, h, notes)

    def into(self, network: Network, x: Array, targets: Targets, rng: np.random.Generator | None, out: Array) -> float:
        """Write the gradient into the vector `out`, and give the loss of the batch."""
        h, network = self._step(network), network.drawn(rng, len(x))
        for index, look in enumerate(_moved(network, x, targets, h)):
            out[index] = _slope(*look)
        _warn_of_dead_entries(network, out, h)
        return _mean(_losses(network, x, targets, network.vector))

    def cost(self, network: Network, batch_size: int) -> Cost:
        """Count two forward passes for each parameter, and one more for the loss."""
        passes = 2 * network.vector.size + 1
        return Cost(passes * batch_size * (network.nonlinear_units + 1), float(passes))

    def _step(self, network: Network) -> float:
        return DEFAULT_STEPS[network.dtype] if self.step is None else float(self.step)

    def _with_bound(self, network: Network, x: Array, targets: Targets, out: Array) -> tuple[float, Bound]:
        """Do as `into`; take truncation from the differences at h and 2h of every sample, rounding from the losses."""
        h = self._step(network)
        middle = _losses(network, x, targets, network.vector)
        truncation = np.empty(network.vector.size)
        looks = zip(_moved(network, x, targets, h), _moved(network, x, targets, 2 * h), strict=True)
        for index, (near, far) in enumerate(looks):
            out[index] = _slope(*near)
            odd, even = _parts(middle, *near)
            far_odd, far_even = _parts(middle, *far)
            # As in `Elementwise`: the odd parts tell truncation, the even ones a kink between -2h and 2h. Sample by
            # sample, for kinks of different samples cancel in the mean.
            truncation[index] = np.mean(np.abs(far_odd - odd) + 2 * np.abs(2 * even - far_even), dtype=np.float64)
        _warn_of_dead_entries(network, out, h)
        rounding = np.full(truncation.size, loss_error(network, x, targets) / h)
        return _mean(middle), Bound(truncation, rounding)


def _warn_of_dead_entries(network: Network, gradient: Array, h: float) -> None:
    """Say how many differences of two float32 losses came out as nothing, below the h that float32 can resolve."""
    if network.dtype == np.float32 and h < LEAST_STEP_FLOAT32:
        dead = float(np.count_nonzero((gradient == 0) | np.isnan(gradient))) / max(1, gradient.size)
        warnings.warn(
            f"coordinate in float32 at h = {h:g}: {100 * dead:.0f} % of the entries are 0, and few digits of the "
            "others are right, for two losses differ by little more than their last one; take h of at least "
            f"{LEAST_STEP_FLOAT32:g}, float64, or engine 'chain' or 'column', which lose no digits",
            DeadDifferences,
            stacklevel=4,
        )


def checked_step(step: object, may_be_none: bool = False) -> None:
    """Refuse what is no step.

    Raises
    ------
    InputError
        If it is not a finite number above 0.
    """
    if step is None and may_be_none:
        return
    if isinstance(step, bool) or not isinstance(step, Real) or not 0.0 < float(step) < math.inf:
        none = ", or None" * may_be_none
        raise InputError(f"step must be a finite number above 0, such as 1e-4{none}, not {step!r}")


def loss_error(network: Network, x: Array, targets: Targets) -> float:
    """Bound the rounding error of the mean loss: that of each logit, times the slope of the loss in it."""
    value, unit = network.unflattened(x), float(np.finfo(network.dtype).eps)
    lost = np.zeros_like(value)
    try:
        for layer, own in zip(network.layers, network.by_layer(network.vector), strict=True):
            below, value = value, layer.forward(own, value)
            lost = layer.forward_error(own, below, value, lost)
        losses, slope = network.loss_function.slope(value, targets)
    except (InputError, NotImplementedError):
        # Of a layer or loss that is known by its values alone, and not row by row: a guess.
        losses = _losses(network, x, targets, network.vector)
        return unit * math.sqrt(sum(network.products) + 1) * float(np.abs(losses).mean() + 1)
    return float((times(np.abs(slope), lost).sum(axis=1) + 4 * unit * (np.abs(losses) + 1)).mean())


def _moved(network: Network, x: Array, targets: Targets, h: float) -> Iterator[tuple[Array, Array, float]]:
    """Give for every parameter the losses of all samples at + h and at - h, and the distance between the two."""
    moved = network.vector.copy()
    for index, at in enumerate(network.vector.tolist()):
        moved[index] = at + h
        above, high = float(moved[index]), _losses(network, x, targets, moved)
        moved[index] = at - h
        # The distance is the one that really happened: both were rounded to the dtype of the parameters.
        yield high, _losses(network, x, targets, moved), above - float(moved[index])
        moved[index] = at


def _slope(above: Array, below: Array, gap: float) -> float:
    """Give the difference quotient; there is none where h is below the spacing of floats, and nothing moved."""
    return (_mean(above) - _mean(below)) / gap if gap else math.nan


def _parts(middle: Array, above: Array, below: Array, gap: float) -> tuple[Array, Array]:
    """Give the odd part (L+ - L-)/2h and the even part (L+ - 2L + L-)/2h of every sample."""
    if not gap:
        return np.full_like(middle, np.nan), np.full_like(middle, np.nan)
    high, low = above - middle, middle - below
    return (high + low) / gap, (high - low) / gap


def _losses(network: Network, x: Array, targets: Targets, vector: Array) -> Array:
    return network.loss_function.per_sample(network.forward(x, vector), targets)


def _mean(losses: Array) -> float:
    return float(losses.mean(dtype=np.float64))
