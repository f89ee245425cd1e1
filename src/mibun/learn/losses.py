"""Losses: one number for each sample, and how it answers a small change of each output.

The loss of a batch is the mean over its samples. Targets are integer labels of shape (samples,) or an array
(samples, outputs) of any real numbers (one-hot or soft). As in the layers, the local derivative is the
central difference at h = 1e-7, taken by algebra that does not cancel; only forward formulas are differenced.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mibun.learn.bounds import Array, Bound, rounding_unit
from mibun.learn.layers import SMALL_STEP

__all__ = ["Loss", "SoftmaxCrossEntropy", "SumSquaredError", "Targets"]

Targets = NDArray[Any]


@runtime_checkable
class Loss(Protocol):
    """What the network and its engines need of a loss."""

    def outputs(self, logits: Array) -> Array:
        """Give what `Network.predict` returns."""

    def per_sample(self, logits: Array, targets: Targets) -> Array:
        """Give the loss of every sample, shape (samples,)."""

    def slope(self, logits: Array, targets: Targets) -> tuple[Array, Array]:
        """Give the losses and the central difference of each loss in each of its logits."""

    def slope_error(self, logits: Array, targets: Targets, logits_error: Array) -> Bound:
        """Bound what `slope` lost, where the true logits are within `logits_error`."""


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Cross entropy between targets and softmax of the logits: sum_k t_k (log sum exp(z) - z_k).

    Computed by log-sum-exp, so that neither a constant inside the logarithm nor a cut of the logits is needed:
    a probability of 1e-300 has its right loss.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> loss = learn.SoftmaxCrossEntropy()
    >>> loss.per_sample(np.array([[0.0, 800.0]]), np.array([0]))  # a probability of exp(-800)
    array([800.])
    """

    def outputs(self, logits: Array) -> Array:
        """Give the probabilities: softmax of the logits."""
        shifted: Array = logits - logits.max(axis=1, keepdims=True)
        np.exp(shifted, out=shifted)
        shifted /= shifted.sum(axis=1, keepdims=True)
        return shifted

    def per_sample(self, logits: Array, targets: Targets) -> Array:
        """Give the loss of every sample."""
        top = logits.max(axis=1, keepdims=True)
        return self._losses(logits, targets, top, np.exp(logits - top).sum(axis=1, keepdims=True))

    def slope(self, logits: Array, targets: Targets) -> tuple[Array, Array]:
        """Give the losses and their slopes, by the one-logit rule.

        Moving logit k by s changes log sum exp(z) by log1p(p_k expm1(s)). The difference of the two changes,
        for +h and -h, is one logarithm: log1p(p_k 2 sinh(h) / (1 + p_k expm1(-h))).
        """
        h = SMALL_STEP
        top = logits.max(axis=1, keepdims=True)
        p = logits - top
        np.exp(p, out=p)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        change = p * math.expm1(-h)
        change += 1
        np.divide(p, change, out=change)
        change *= 2 * math.sinh(h)
        np.log1p(change, out=change)
        change *= 1 / (2 * h)
        if targets.ndim == 1:
            change[np.arange(len(targets)), targets] -= 1
        else:
            change *= targets.sum(axis=1, keepdims=True)
            change -= targets
        return self._losses(logits, targets, top, total), change

    def slope_error(self, logits: Array, targets: Targets, logits_error: Array) -> Bound:
        """Use |d p_k| <= p_k expm1(2 max |d z|); the third derivative of the loss in z_k is at most p_k."""
        p = self.outputs(logits)
        share = np.abs(targets).sum(axis=1, keepdims=True) if targets.ndim == 2 else np.ones((len(p), 1), p.dtype)
        reach = np.expm1(2 * logits_error.max(axis=1, keepdims=True))
        # Of the target itself, at most its own size is cancelled: p - 1 for the labelled class.
        floor = rounding_unit(p.dtype, p.shape[1]) * (4 * p + 1)
        drift = np.minimum((p + floor) * reach, 1)  # no probability is above 1
        return Bound(share * p * (SMALL_STEP**2 / 6), share * (drift + floor))

    def _losses(self, logits: Array, targets: Targets, top: Array, total: Array) -> Array:
        if targets.ndim == 1:
            picked: Array = top[:, 0] - logits[np.arange(len(targets)), targets]
            return np.log(total[:, 0]) + picked
        sums: Array = (targets * (np.log(total) + (top - logits))).sum(axis=1)
        return sums


@dataclass(frozen=True)
class SumSquaredError:
    """Half the sum of squared differences: 0.5 * sum_k (y_k - t_k)**2; labels stand for one-hot targets.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> y = np.array([[0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]])
    >>> print(learn.SumSquaredError().per_sample(y, np.array([2])))
    [0.0975]
    """

    def outputs(self, logits: Array) -> Array:
        """Give the outputs as they are."""
        return logits

    def per_sample(self, logits: Array, targets: Targets) -> Array:
        """Give the loss of every sample."""
        residual = _residual(logits, targets)
        losses: Array = 0.5 * np.einsum("bk,bk->b", residual, residual)
        return losses

    def slope(self, logits: Array, targets: Targets) -> tuple[Array, Array]:
        """Give the losses and their slopes: ((r + h)^2 - (r - h)^2) / 4h is r, at every h."""
        residual = _residual(logits, targets)
        return 0.5 * np.einsum("bk,bk->b", residual, residual), residual

    def slope_error(self, logits: Array, targets: Targets, logits_error: Array) -> Bound:
        """Pass the error of the outputs on; a central difference of a parabola has no truncation."""
        residual = _residual(logits, targets)
        rounding = logits_error + 2 * rounding_unit(logits.dtype) * np.abs(residual)
        return Bound(np.zeros_like(residual), rounding)


def _residual(logits: Array, targets: Targets) -> Array:
    residual: Array = logits.copy()
    if targets.ndim == 2:
        residual -= targets
    else:
        residual[np.arange(len(targets)), targets] -= 1
    return residual
