"""The engine `auto`: the cheapest one that can serve the network, with the reason said."""

from dataclasses import dataclass, replace

import numpy as np

from mibun.learn.bounds import Array
from mibun.learn.engines.chain import Chain, without_pull
from mibun.learn.engines.column import Column
from mibun.learn.engines.coordinate import Coordinate
from mibun.learn.engines.engine import Cost, Engine
from mibun.learn.engines.node import Node
from mibun.learn.engines.shifts import weight_layers
from mibun.learn.layers import Conv2D, Dense
from mibun.learn.losses import Targets
from mibun.learn.network import Network
from mibun.result import Derivative, Note, Status

__all__ = ["Auto"]


@dataclass(frozen=True)
class Auto:
    """Choose the engine from the layers: `Chain` where all have a local difference, else what needs less of them.

    A layer of your own with `forward` alone leaves `Node` (where all weights are in dense layers), `Column` (dense
    layers and convolutions), or `Coordinate`, in this order. The reason stands in the notes of the gradient.

    Examples
    --------
    >>> from mibun import learn
    >>> book = learn.Network([learn.Dense(784, 50), learn.Sigmoid(), learn.Dense(50, 10)])
    >>> learn.Auto().choose(book)
    (Chain(), 'every layer has a local difference: the work of 2.0 forward passes, that of coordinate is 79,521')
    """

    def choose(self, network: Network) -> tuple[Engine, str]:
        """Give the engine for a network, and why."""
        loop = Coordinate().cost(network, 1).forward_equivalents
        number = without_pull(network)
        if number is None:
            work = Chain().cost(network, 1).forward_equivalents
            passes = f"the work of {work:.1f} forward passes, that of coordinate is {loop:,.0f}"
            return Chain(), f"every layer has a local difference: {passes}"
        lacking = f"layer {number}, {type(network.layers[number]).__name__}, has no local difference for chain"
        kinds = {type(network.layers[layer]) for layer in weight_layers(network)}
        if kinds <= {Dense}:
            return Node(), f"{lacking}; all weights are in dense layers, whose units can be shifted"
        if kinds <= {Dense, Conv2D}:
            return Column(), f"{lacking}; all weights are in dense layers and convolutions, whose columns can be moved"
        return Coordinate(), f"{lacking}, and there are weights in layers of your own; nothing is assumed of them"

    def gradient(
        self,
        network: Network,
        x: Array,
        targets: Targets,
        rng: np.random.Generator | None = None,
        errors: bool = True,
    ) -> Derivative:
        """Give the gradient of the chosen engine; the first note says which it is."""
        engine, reason = self.choose(network)
        found = engine.gradient(network, x, targets, rng, errors)
        return replace(found, notes=(Note(None, Status.CONVERGED, f"auto chose {engine!r}: {reason}"), *found.notes))

    def into(self, network: Network, x: Array, targets: Targets, rng: np.random.Generator | None, out: Array) -> float:
        """Write the gradient into the vector `out`, and give the loss of the batch."""
        return self.choose(network)[0].into(network, x, targets, rng, out)

    def cost(self, network: Network, batch_size: int) -> Cost:
        """Give the cost of the chosen engine."""
        return self.choose(network)[0].cost(network, batch_size)
