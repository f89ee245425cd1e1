"""Losses: one number for each sample, and how it answers a small change of each output.

The loss of a batch is the mean over its samples. Targets are integer labels of shape (samples,) or an array
(samples, outputs) of any real numbers (one-hot or soft). As in the layers, the local derivative is the
central difference at h = 1e-7, taken by algebra that does not cancel; only forward formulas are differenced.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.learn.bounds import Array, Bound, rounding_unit
from mibun.learn.layers import PLAIN_STEP, SMALL_STEP

__all__ = ["Loss", "PerSampleLoss", "SoftmaxCrossEntropy", "SumSquaredError", "Targets", "loss_change"]

Targets = NDArray[Any]

#: Exponents below which a few powers are cheaper than expm1.
SMALL_EXPONENT = 0.02


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

    def change(self, logits: Array, targets: Targets, d: Array) -> Array:
        """Give how the losses answer a change of the logits: log1p(sum_k p_k expm1(d_k)) - sum_k t_k d_k."""
        moved = np.log1p(np.einsum("bk,...bk->...b", self.outputs(logits), np.expm1(d)))
        return self._after(moved, targets, d)

    def change_along(self, logits: Array, targets: Targets, directions: Array, amounts: Array) -> Array:
        """Give the same for logits that move by amounts (..., samples, n) times directions (n, outputs)."""
        p = self.outputs(logits)
        moved = _sum_of_expm1(p, directions, amounts)
        np.log1p(moved, out=moved)
        if targets.ndim == 1:
            moved -= amounts * directions.T[targets]
        else:
            moved *= targets.sum(axis=1, keepdims=True)
            moved -= amounts * (targets @ directions.T)
        return moved

    def _after(self, moved: Array, targets: Targets, d: Array) -> Array:
        """Take off what the targets do: `moved` is the change of log sum exp."""
        if targets.ndim == 1:
            return moved - d[..., np.arange(len(targets)), targets]
        taken: Array = moved * targets.sum(axis=1) - np.einsum("bk,...bk->...b", targets, d)
        return taken

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

    def change(self, logits: Array, targets: Targets, d: Array) -> Array:
        """Give how the losses answer a change of the outputs: sum_k d_k (r_k + d_k / 2)."""
        changed: Array = np.einsum("...bk,...bk->...b", d, 0.5 * d + _residual(logits, targets))
        return changed


@dataclass(frozen=True)
class PerSampleLoss:
    """A loss of your own: any function of (outputs, targets) that gives one number for each sample.

    `Network(layers, loss=function)` makes one of a plain function.

    Parameters
    ----------
    function
        Maps outputs (m, n_out) and targets, integer labels (m,) or an array (m, n_out), to m numbers, every sample
        on its own, for any m. The loss of a batch is their mean.

    Raises
    ------
    InputError
        If `function` cannot be called; when it is used: if it does not return m real numbers, or if the number of a
        sample depends on the others.

    Notes
    -----
    Its slopes are plain central differences in float64, h = 1e-5 max(1, |output|): 2 n_out evaluations a sample.
    The bound compares h with 2h, as that of `Elementwise` does.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> def mean_absolute(outputs, targets):
    ...     return np.abs(outputs - targets).mean(axis=1)
    >>> network = learn.Network([learn.Dense(2, 4)], loss=mean_absolute)
    >>> d = learn.gradient(network, np.ones((3, 2)), np.full((3, 4), 9.0))
    >>> print(d.value["0.bias"].round(6))
    [-0.25 -0.25 -0.25 -0.25]
    """

    function: Callable[[Array, Targets], Array]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"PerSampleLoss takes a function of (outputs, targets), not {self.function!r}")

    @property
    def name(self) -> str:
        """The function's own name."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def outputs(self, logits: Array) -> Array:
        """Give the outputs as they are."""
        return logits

    def per_sample(self, logits: Array, targets: Targets) -> Array:
        """Give the loss of every sample, checked."""
        losses = np.asarray(self.function(logits.copy(), targets.copy()))
        if losses.shape != (len(logits),) or losses.dtype.kind not in "fiub":
            raise InputError(
                f"the loss {self.name} must give one real number a sample, shape ({len(logits)},); given outputs of "
                f"shape {logits.shape}, it returned {losses.dtype} of shape {losses.shape}; take no mean over samples"
            )
        return losses.astype(logits.dtype, copy=False)

    def slope(self, logits: Array, targets: Targets) -> tuple[Array, Array]:
        """Give the losses and their plain central differences."""
        losses = self.per_sample(logits, targets)
        above, below, gap, _ = self._moved(logits, targets, losses, 1)
        return losses, ((above - below) / gap).astype(logits.dtype, copy=False)

    def slope_error(self, logits: Array, targets: Targets, logits_error: Array) -> Bound:
        """Compare the differences at h and 2h: the odd parts tell truncation, the even ones kinks."""
        losses = self.per_sample(logits.astype(np.float64), targets)
        (near, near_even, h), (far, far_even, _) = (self._parts(logits, targets, losses, n) for n in (1, 2))
        truncation = np.abs(far - near) + 2 * np.abs(2 * near_even - far_even)
        size = np.abs(losses)[:, np.newaxis] + h * np.abs(near)
        rounding = 4 * rounding_unit(np.dtype(np.float64), logits.shape[1]) * size / h + np.finfo(logits.dtype).tiny
        rounding += rounding_unit(logits.dtype) * np.abs(near)
        # An error of one output changes the slopes in all of them, by their curvatures.
        curved = np.abs(near_even / h).max(axis=1, keepdims=True) * logits.shape[1]
        rounding += 2 * curved * logits_error.max(axis=1, keepdims=True)
        return Bound(truncation.astype(logits.dtype), rounding.astype(logits.dtype))

    def _moved(self, logits: Array, targets: Targets, losses: Array, multiple: int) -> tuple[Array, ...]:
        """Give the losses at output + h and at - h, the distance of the two points, and h: (samples, outputs)."""
        wide = logits.astype(np.float64)
        h = PLAIN_STEP * multiple * np.maximum(1, np.abs(wide))
        above, below, gap = np.empty_like(wide), np.empty_like(wide), np.empty_like(wide)
        for k in range(wide.shape[1]):
            high, low = wide.copy(), wide.copy()
            high[:, k] += h[:, k]
            low[:, k] -= h[:, k]
            # The first sample once more, in other company: it must come out as before.
            rows = np.concatenate([wide[:1], high, low])
            found = self.per_sample(rows, np.concatenate([targets[:1], targets, targets]))
            self._require_independent(float(losses[0]), float(found[0]), logits.dtype)
            above[:, k], below[:, k], gap[:, k] = found[1 : 1 + len(wide)], found[1 + len(wide) :], (high - low)[:, k]
        return above, below, gap, h

    def _parts(self, logits: Array, targets: Targets, losses: Array, multiple: int) -> tuple[Array, Array, Array]:
        """Give the odd part (L+ - L-)/2h, the even part (L+ - 2L + L-)/2h, and h."""
        above, below, gap, h = self._moved(logits, targets, losses, multiple)
        middle = losses[:, np.newaxis]
        return (above - below) / gap, ((above - middle) - (middle - below)) / gap, h

    def require_independent(self, logits: Array, targets: Targets, losses: Array) -> None:
        """Refuse a loss whose number for the first sample depends on the other samples.

        Raises
        ------
        InputError
            If it is another one for the same sample alone, or of one sample among two.
        """
        few = [0] if len(logits) > 1 else [0, 0]
        self._require_independent(float(losses[0]), float(self.per_sample(logits[few], targets[few])[0]), logits.dtype)

    def _require_independent(self, first: float, again: float, dtype: np.dtype[Any]) -> None:
        if math.isfinite(first) and not abs(first - again) <= math.sqrt(np.finfo(dtype).eps) * max(1e-300, abs(first)):
            raise InputError(
                f"the loss {self.name} gave {first:.6g} for a sample, and {again:.6g} for the same among others: its "
                "samples are not independent; give a loss of each sample alone (no mean, no normalisation)"
            )


def loss_change(loss: Loss, logits: Array, targets: Targets, d: Array) -> Array:
    """Give how the losses answer a change of the logits; `d` may have axes before those of the logits.

    Where the loss has no `change` of its own, the plain difference of two values in float64.
    """
    own = getattr(loss, "change", None)
    if own is not None:
        changed: Array = own(logits, targets, d)
        return changed
    wide = logits.astype(np.float64, copy=False)
    base = loss.per_sample(wide, targets)
    rows = (wide + d).reshape(-1, wide.shape[1])
    repeated = np.concatenate([targets] * (len(rows) // len(wide)))
    return (loss.per_sample(rows, repeated).reshape(d.shape[:-1]) - base).astype(logits.dtype, copy=False)


def _sum_of_expm1(p: Array, directions: Array, amounts: Array) -> Array:
    """Give sum_k p_k expm1(amounts * directions_k): (..., samples, n).

    Small exponents are summed as powers, amount^r / r! * sum_k p_k direction_k^r: as many terms as the last digit
    needs, each a matrix product. Large ones are visited output by output, so that no array holds them all.
    """
    largest = float(np.abs(amounts).max(initial=0.0)) * float(np.abs(directions).max(initial=0.0))
    if largest < SMALL_EXPONENT:
        terms = 1
        while largest**terms / math.factorial(terms + 1) > float(np.finfo(amounts.dtype).eps) / 2:
            terms += 1
        moments = [p @ (directions**r / math.factorial(r)).T.astype(p.dtype) for r in range(1, terms + 1)]
        moved = amounts * moments.pop()
        while moments:
            moved += moments.pop()
            moved *= amounts
        return moved
    moved, piece = np.zeros_like(amounts), np.empty_like(amounts)
    for k in range(p.shape[1]):
        np.multiply(amounts, directions[:, k], out=piece)
        np.expm1(piece, out=piece)
        piece *= p[:, k, np.newaxis]
        moved += piece
    return moved


def _residual(logits: Array, targets: Targets) -> Array:
    residual: Array = logits.copy()
    if targets.ndim == 2:
        residual -= targets
    else:
        residual[np.arange(len(targets)), targets] -= 1
    return residual
