"""The engine `chain`: local numerical derivatives, composed by the chain rule.

Each elementary piece is differenced where it stands: every activation at every unit's own input, the loss in
each of its outputs. Linear maps are moved exactly, for a difference of a linear map is the map itself at every h.
The chain rule composes the pieces from the loss back to the first layer, so that one gradient costs a few
forward passes, whatever the number of parameters. See `mibun.learn.layers` for the differences.

The error of an entry adds up, by the worst case, what each piece may have lost: truncation of its difference,
rounding of its difference, and rounding of all sums of products on the way forward and back (running error
analysis, Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.3). Units next to a kink or
jump (`ReLU`, `StepFunction`) carry an error that covers both sides.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound
from mibun.learn.engines.engine import Cost, as_derivative
from mibun.learn.layers import SMALL_STEP, Layer, MaxPool2D, ReLU, Weights
from mibun.learn.losses import Targets
from mibun.learn.network import Network
from mibun.result import Derivative, Note, Status

__all__ = ["Chain"]


@dataclass(frozen=True)
class Chain:
    """Local numerical derivatives composed by the chain rule; the default engine.

    Examples
    --------
    The slope of the loss in one weight, against the loss itself moved by ±1e-5:

    >>> import numpy as np
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(2, 3), learn.Tanh(), learn.Dense(3, 2)], seed=1)
    >>> x, labels = np.array([[0.6, 0.9]]), np.array([1])
    >>> d = learn.Chain().gradient(network, x, labels)
    >>> p = network.parameters
    >>> def moved(h):
    ...     weight = p["0.weight"].copy()
    ...     weight[1, 2] += h
    ...     return network.with_parameters(p | {"0.weight": weight}).loss(x, labels)
    >>> bool(abs(d.value["0.weight"][1, 2] - (moved(1e-5) - moved(-1e-5)) / 2e-5) < 1e-9)
    True
    """

    assumption: ClassVar[str] = "the chain rule: a difference of every layer where it stands, linear layers exact"

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
            Whether to bound the errors, at ten to twenty times the time; without, every error is inf.

        Raises
        ------
        InputError
            If samples or targets do not fit the network.
        """
        x = network.batch(x)
        targets = network.targets(targets, len(x))
        network, vector = network.drawn(rng, len(x)), np.empty_like(network.vector)
        with np.errstate(all="ignore"):  # what is not finite is said by the status
            loss = self.into(network, x, targets, rng, vector)
            bound, notes = (self.bound(network, x, targets), remarks(network, x)) if errors else (None, ())
        evaluations = self.cost(network, len(x)).evaluations
        return as_derivative(network, vector, bound, loss, evaluations, SMALL_STEP, notes)

    def into(self, network: Network, x: Array, targets: Targets, rng: np.random.Generator | None, out: Array) -> float:
        """Write the gradient into the vector `out`, and give the loss of the batch."""
        require_pull(network)
        network, x = pooled_first(network.drawn(rng, len(x))), network.unflattened(x)
        weights, gradients = network.by_layer(network.vector), network.by_layer(out)
        values = layer_values(network, weights, x)
        losses, upstream = network.loss_function.slope(values[-1], targets)
        upstream /= len(x)
        first = first_with_weights(network)
        for number in reversed(range(first, len(network.layers))):
            layer, x, y = network.layers[number], values[number], values[number + 1]
            layer.write_gradient(x, upstream, gradients[number])
            if number > first:
                upstream = layer.pull(weights[number], x, y, upstream)
        return float(losses.mean(dtype=np.float64))

    def cost(self, network: Network, batch_size: int) -> Cost:
        """Count a forward pass, two shifted values of every unit, and two of the loss in each of its outputs.

        Back through a linear layer go two products of the size of its forward one, through the first layer one.
        """
        require_pull(network)
        network = pooled_first(network)
        products, first = network.products, first_with_weights(network)
        back = sum(2 * p for p in products[first + 1 :]) + products[first]
        slopes = sum(
            layer.slope_evaluations(shape)
            for layer, shape in zip(network.layers[first + 1 :], network.shapes[first + 1 :], strict=False)
        )
        evaluations = batch_size * (network.nonlinear_units + slopes + 2 * (network.outputs or 1) + 1)
        return Cost(evaluations, 1.0 + back / max(1, sum(products)))

    def bound(self, network: Network, x: Array, targets: Targets) -> Bound:
        """Walk the same way as `into`, with the bounds beside the numbers."""
        weights = network.by_layer(network.vector)
        values, lost = layer_values(network, weights, x), [np.zeros_like(x)]
        for number, layer in enumerate(network.layers):
            lost.append(layer.forward_error(weights[number], values[number], values[number + 1], lost[-1]))
        _, upstream = network.loss_function.slope(values[-1], targets)
        bound = network.loss_function.slope_error(values[-1], targets, lost[-1])
        truncation, rounding = np.zeros_like(network.vector), np.zeros_like(network.vector)
        into = network.by_layer(truncation), network.by_layer(rounding)
        for number in reversed(range(first_with_weights(network), len(network.layers))):
            layer, x, y = network.layers[number], values[number], values[number + 1]
            for name, part in layer.gradient_error(x, lost[number], upstream, bound).items():
                into[0][number][name][...], into[1][number][name][...] = part
            bound = layer.pull_error(weights[number], x, y, lost[number], upstream, bound)
            upstream = layer.pull(weights[number], x, y, upstream)
        return Bound(truncation / len(values[0]), rounding / len(values[0]))


def layer_values(network: Network, weights: list[Weights], x: Array) -> list[Array]:
    """Give the input of every layer, and the logits."""
    values = [x]
    for layer, own in zip(network.layers, weights, strict=True):
        values.append(layer.forward(own, values[-1]))
    return values


def pooled_first(network: Network) -> Network:
    """Let every MaxPool2D that follows a ReLU come before it: the same map, whose ReLU has fewer units."""
    layers = list(network.layers)
    for number in range(len(layers) - 1):
        if isinstance(layers[number], ReLU) and isinstance(layers[number + 1], MaxPool2D):
            layers[number : number + 2] = layers[number + 1], layers[number]
    return network if layers == list(network.layers) else network.with_layers(tuple(layers))


def first_with_weights(network: Network) -> int:
    """Give the number of the first layer that has parameters: nothing needs to be pulled further back."""
    return next((number for number, layer in enumerate(network.layers) if layer.shapes()), 0)


def without_pull(network: Network) -> int | None:
    """Give the number of the first layer whose local difference is not known, if the chain rule needs it."""
    behind = range(first_with_weights(network) + 1, len(network.layers))
    return next((number for number in behind if type(network.layers[number]).pull is Layer.pull), None)


def require_pull(network: Network) -> None:
    """Refuse a network with a layer through which nothing can be pulled back.

    Raises
    ------
    InputError
        Naming the layer, the reason, and engines that can.
    """
    if (number := without_pull(network)) is not None:
        raise InputError(
            f"engine 'chain' cannot serve layer {number}, {network.layers[number]}: it has no local difference "
            "(method pull); 'node', 'column' and 'coordinate' need its forward direction only, or wrap it as BlackBox"
        )


def remarks(network: Network, x: Array, moved: float | None = None) -> tuple[Note, ...]:
    """Collect what the layers have to say about a gradient at these inputs (see `Layer.remark`)."""
    values = layer_values(network, network.by_layer(network.vector), x)
    notes = []
    for number, (layer, value) in enumerate(zip(network.layers, values, strict=False)):
        if (said := layer.remark(value, moved)) is not None:
            notes.append(Note(None, Status.CONVERGED, f"layer {number}, {type(layer).__name__}: {said}"))
    return tuple(notes)
