"""What every engine is, and how one is chosen.

An engine computes the gradient of a network's loss. It is an immutable value without memory of the last call.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from mibun.learn.bounds import Array, Bound
from mibun.learn.losses import Targets
from mibun.learn.network import Network
from mibun.result import Derivative, Note

__all__ = ["Cost", "Engine", "as_derivative"]


@dataclass(frozen=True)
class Cost:
    """What one gradient costs, known before it is computed.

    Attributes
    ----------
    evaluations
        Elementary evaluations: values of one nonlinear unit, of a `BlackBox`, or of the loss, for one sample. A
        difference that is computed by one formula counts as the two values that it is the difference of.
    forward_equivalents
        Work in multiples of one forward pass of the batch, matrix products counted.
    """

    evaluations: int
    forward_equivalents: float


@runtime_checkable
class Engine(Protocol):
    """The protocol of all engines; an object of yours with these methods can be passed as `engine=`."""

    def gradient(
        self,
        network: Network,
        x: Array,
        targets: Targets,
        rng: np.random.Generator | None = None,
        errors: bool = True,
    ) -> Derivative:
        """Give the gradient with the structure of `network.parameters`, each entry with its error."""

    def into(self, network: Network, x: Array, targets: Targets, rng: np.random.Generator | None, out: Array) -> float:
        """Write the gradient into the vector `out` (values only), and give the loss of the batch.

        `x` and `targets` come from `network.batch` and `network.targets`: nothing is checked here.
        """

    def cost(self, network: Network, batch_size: int) -> Cost:
        """Say what `into` will cost, without running."""


def as_derivative(
    network: Network,
    vector: Array,
    bound: Bound | None,
    loss: float,
    evaluations: int,
    step: float,
    notes: tuple[Note, ...] = (),
) -> Derivative:
    """Give a gradient vector and its bound the structure of `network.parameters`; without bound, errors are inf."""
    if bound is None:
        bound = Bound(np.zeros(vector.size), np.full(vector.size, np.inf))
    # A forward pass that overflowed, or a function that gave nan, has no slope: nan with an infinite error.
    known = np.isfinite(vector) & ~np.isnan(bound.total)
    vector = np.where(np.isfinite(vector), vector, np.nan)
    bound = Bound(np.where(known, bound.truncation, 0), np.where(known, bound.rounding, np.inf))

    def named(part: Array) -> dict[str, Array]:
        return {name: np.array(view, np.float64, order="C") for name, view in network.views(part).items()}

    value, truncation, rounding = named(vector), named(bound.truncation), named(bound.rounding)
    return Derivative(
        value=value,
        error={name: truncation[name] + rounding[name] for name in value},
        truncation=truncation,
        rounding=rounding,
        step={name: np.full(array.shape, step) for name, array in value.items()},
        evaluations=evaluations,
        fx=loss,
        notes=notes,
    )
