"""The engine `node`: the pre-activation of every unit moved by ± h, then the exact outer product.

A weight acts on the loss through one sum alone, z_j = sum_i x_i W_ij + b_j. So the slope of a sample's loss in z_j is
all that is needed: dL/dW_ij = x_i dL/dz_j, an outer product (node perturbation: Andes, Widrow, Lehr and Wan 1990,
"MRIII: a robust algorithm for training analog neural networks", there one unit after the other). All samples move at
once. What is taken for granted: dense layers are linear in their weights, and samples do not touch each other.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound, matmul
from mibun.learn.engines.chain import Chain, remarks
from mibun.learn.engines.coordinate import checked_step, loss_error
from mibun.learn.engines.engine import Cost, as_derivative
from mibun.learn.engines.shifts import (
    Pass,
    answers,
    forward_pass,
    loss_rounding,
    require_layers,
    slope_of_units,
    tail_price,
    weight_layers,
)
from mibun.learn.layers import Dense
from mibun.learn.losses import Targets
from mibun.learn.network import Network
from mibun.result import Derivative

__all__ = ["Node", "shift_bound"]

#: The h of the shifts: the notes'; differences are propagated as differences, so that float32 has the same.
DEFAULT_STEP = 1e-4
#: Engines that serve layers which `node` does not.
OTHERS = "'chain', 'column' (for Conv2D) or 'coordinate'"


@dataclass(frozen=True)
class Node:
    """Central differences in the pre-activation of every unit, and the exact outer product; dense networks.

    Parameters
    ----------
    step
        The h of the differences, above 0. Default: 1e-4, in float64 and float32.

    Raises
    ------
    InputError
        If `step` is not a finite number above 0; with a network that has weights in other layers than `Dense`.

    Notes
    -----
    The error is the truncation told by the differences at h and 2h, which covers kinks between, and the rounding of the
    forward pass as `chain` bounds it.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(2, 3), learn.Tanh(), learn.Dense(3, 2)], seed=1)
    >>> x, labels = np.array([[0.6, 0.9]]), np.array([1])
    >>> node = learn.gradient(network, x, labels, engine="node")
    >>> chain = learn.gradient(network, x, labels, engine="chain")
    >>> gap = abs(node.value["0.weight"] - chain.value["0.weight"])
    >>> bool(gap.max() < 1e-8), bool((gap <= node.error["0.weight"]).all())
    (True, True)
    """

    step: float = DEFAULT_STEP

    assumption: ClassVar[str] = "samples independent, dense layers linear in their weights"

    def __post_init__(self) -> None:
        checked_step(self.step)

    def gradient(
        self,
        network: Network,
        x: Array,
        targets: Targets,
        rng: np.random.Generator | None = None,
        errors: bool = True,
    ) -> Derivative:
        """Give the gradient with the structure of `network.parameters`, each entry with its error.

        Parameters and errors are those of `Chain.gradient`; errors cost about twice the values more.
        """
        x = network.batch(x)
        targets = network.targets(targets, len(x))
        network, vector = network.drawn(rng, len(x)), np.empty_like(network.vector)
        with np.errstate(all="ignore"):  # what is not finite is said by the status
            loss = self.into(network, x, targets, rng, vector)
            bound = shift_bound(network, x, targets, self.step) if errors else None
            notes = remarks(network, x, self.step) if errors else ()
        evaluations = self.cost(network, len(x)).evaluations
        return as_derivative(network, vector, bound, loss, evaluations, self.step, notes)

    def into(self, network: Network, x: Array, targets: Targets, rng: np.random.Generator | None, out: Array) -> float:
        """Write the gradient into the vector `out`, and give the loss of the batch."""
        require_layers(network, "node", (Dense,), OTHERS)
        run = forward_pass(network.drawn(rng, len(x)), network.unflattened(x), targets)
        steps = np.array([self.step, -self.step], network.dtype)[:, np.newaxis, np.newaxis]
        gradients = network.by_layer(out)
        for number in weight_layers(network):
            above, below = answers(run, number, steps)
            above -= below
            above *= 0.5 / (self.step * len(x))
            network.layers[number].write_gradient(run.values[number], above, gradients[number])
        return run.mean

    def cost(self, network: Network, batch_size: int) -> Cost:
        """Count the forward pass, and two tails behind every unit of every dense layer."""
        require_layers(network, "node", (Dense,), OTHERS)
        evaluations, work = network.nonlinear_units + 1, 0
        for number in weight_layers(network):
            (units,) = network.shapes[number + 1] or (0,)
            tail, products = tail_price(network, number)
            evaluations += 2 * units * tail
            work += 2 * units * products + network.products[number]
        return Cost(batch_size * evaluations, 1.0 + work / max(1, sum(network.products)))


def shift_bound(network: Network, x: Array, targets: Targets, h: float) -> Bound:
    """Bound the gradient that shifts of units by up to h give: truncation and kinks from the shifts h and 2h.

    Rounding is that of `chain`, which does the same forward pass (with the truncation of its own plain differences),
    doubled; and where something is only known by its values, that of plain differences over h.
    """
    x = network.unflattened(x)
    run = forward_pass(network, x, targets)
    try:
        rounding = 2.0 * Chain().bound(network, x, targets).total.astype(np.float64) + loss_rounding(run) / h
    except (InputError, NotImplementedError):  # a layer that is known by its values alone
        rounding = np.full(network.vector.size, loss_error(network, x, targets) / h)
    truncation = np.zeros(network.vector.size)
    into = network.by_layer(truncation)
    for number in weight_layers(network):
        if isinstance(network.layers[number], Dense):
            write_unit_bound(run, number, h, into[number])
    return Bound(truncation, rounding)


def write_unit_bound(run: Pass, number: int, h: float, into: dict[str, Array]) -> None:
    """Carry the bound of the slope of every unit of a dense layer to its weights."""
    x = np.abs(run.values[number].astype(np.float64))
    reach = max(1.0, float(x.max(initial=0.0)))
    _, missed = slope_of_units(run, number, h * reach)
    missed /= len(x)
    into["weight"][...] = matmul(x.T, missed)
    into["bias"][...] = missed.sum(axis=0)
