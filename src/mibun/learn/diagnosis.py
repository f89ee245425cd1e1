"""What can be wrong with a training run: each check is a function that gives a sentence with its number, or nothing.

Two of them are trials. Whether a learning rate is too small, and which one would not diverge, is not read off a
formula: a copy of the network is trained for a few steps with other rates, and the losses are compared on the same
batches.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.descent.rules import Rule
from mibun.descent.schedules import Scheduled
from mibun.learn.batches import Batches
from mibun.learn.bounds import Array
from mibun.learn.data import Dataset
from mibun.learn.engines import Auto, Chain, Direction, Engine
from mibun.learn.history import Finding
from mibun.learn.layers import Activation, Dense, StepFunction
from mibun.learn.losses import Targets
from mibun.learn.network import Network

__all__ = [
    "FACTORS",
    "WINDOW",
    "Trial",
    "dead_units",
    "empty_classes",
    "lost_in_error",
    "origin",
    "overfitting",
    "plateau",
]

#: A unit whose slope is below this on every sample passes nothing on: its weights move by less than their rounding.
DEAD_SLOPE = 1e-6
#: Samples that are looked at for dead units.
SAMPLES = 300
#: Share of the entries of a gradient that may lie below their error before it is said.
LOST = 0.5
#: Least gap of two accuracies that is said, and in how many standard errors.
GAP, GAP_ERRORS = 0.03, 3.0
#: Fall of the loss between windows, as a share of it, below which it stands still; least steps of a window.
STANDSTILL, WINDOW = 0.005, 50
#: Share of the first loss below which that of a rate that does not diverge has fallen at the end of a trial.
FALL = 0.98
#: How many times the learning rate is tried.
FACTORS = (1, 10, 100, 1000, 10_000)
#: How many times as much a rate must lower the loss before it is recommended, and by what share of the loss at least.
BETTER, WORTH = 3.0, 0.02


def empty_classes(dataset: Dataset) -> Finding | None:
    """Name the classes that no training sample shows."""
    counts = np.bincount(dataset.train_labels, minlength=dataset.classes)
    absent = np.flatnonzero(counts == 0)
    if not len(absent):
        return None
    named = ", ".join(map(str, absent[:5].tolist())) + (" ..." if len(absent) > 5 else "")
    one = len(absent) == 1
    message = f"no training sample shows {'class' if one else 'the classes'} {named}: "
    message += "it cannot be learnt" if one else "they cannot be learnt"
    return Finding("empty class", 0, message, float(len(absent)))


def lost_in_error(step: int, network: Network, engine: Engine, x: Array, targets: Targets) -> Finding | None:
    """Say how many entries of the gradient are smaller than their own error bound."""
    engine = engine.choose(network)[0] if isinstance(engine, Auto) else engine
    if isinstance(engine, Direction):  # below its error by design: right in the mean of many steps
        return None
    derivative = engine.gradient(network, x, targets, np.random.default_rng(0), errors=True)
    value, error = (
        np.concatenate([np.ravel(part[name]) for name in network.views(network.vector)])
        for part in (derivative.value, derivative.error)
    )
    if not np.isfinite(error).any():  # an engine that bounds nothing
        return None
    # Entries that are 0 without doubt, as those of pixels that are always black, are no loss.
    counted = error > 0
    below = counted & (np.abs(value) <= error)
    share = float(below.sum() / max(1, counted.sum()))
    if share < LOST:
        return None
    cure = "they are noise; use the engine chain"
    if isinstance(engine, Chain):
        cure = "the loss hardly depends on them, as behind dead units"
    elif network.dtype == np.float32:
        cure = "they are noise; use dtype=np.float64, or the engine chain"
    message = (
        f"{below.sum():,} of {counted.sum():,} entries of the gradient ({100 * share:.0f} %) are below their error "
        f"(median error {float(np.median(error[counted])):.2g}): {cure}"
    )
    return Finding("gradient below its error", step, message, share)


def dead_units(step: int, network: Network, images: NDArray[Any]) -> Finding | None:
    """Count the units whose slope is 0, to rounding, on every one of some samples; of images, the channels."""
    x = network.batch(images[:SAMPLES])
    dead, worst = 0, (0, 0, 1)
    for number, (layer, weights) in enumerate(zip(network.layers, network.by_layer(network.vector), strict=True)):
        y = layer.forward(weights, x)
        if isinstance(layer, Activation):
            slope = np.abs(layer.pull(weights, x, y, np.ones_like(y)))
            # At the edge of all images may be nothing; a filter is dead where it is so everywhere.
            slope = slope.max(axis=(0, *range(2, slope.ndim)))
            flat = int((slope < DEAD_SLOPE).sum())
            dead += flat
            if flat > worst[1]:
                worst = (number, flat, slope.size)
        x = y
    if not dead:
        return None
    number, count, units = worst
    kind = "channels" if len(network.shapes[number] or ()) == 3 else "units"
    hard = network.layers[number] == StepFunction()
    cure = "StepFunction(smoothing=0.5) learns" if hard else "take a lower learning rate or another seed"
    message = (
        f"{count} of {units} {kind} of layer {number}, {network.layers[number]!r} are dead: their slope is below "
        f"{DEAD_SLOPE:g} on all of {len(x)} training samples, so nothing before them learns through them; {cure}"
    )
    return Finding("dead units", step, message, float(dead))


def plateau(losses: list[float], per_epoch: int, train_accuracy: float) -> Finding | None:
    """Say that the loss stands still: three windows of a fifth of the run have the same mean (two may by chance)."""
    width = max(WINDOW, 2 * per_epoch, len(losses) // 5)
    if len(losses) < 3 * width or train_accuracy >= 0.99:
        return None
    means = np.mean(np.reshape(losses[-3 * width :], (3, width)), axis=1)
    if not means.min() > 0 or np.ptp(means) > STANDSTILL * means.max():
        return None
    _, before, last = means.tolist()
    message = (
        f"the loss stands still: its mean was {before:.4g} over {width:,} steps and {last:.4g} over the last {width:,}"
        f", at a training accuracy of {100 * train_accuracy:.1f} %"
    )
    return Finding("plateau", len(losses), message, (before - last) / before)


def overfitting(step: int, train: float, held_out: float, samples: int, split: str) -> Finding | None:
    """Say that the accuracy on training samples is above that on others, by more than chance."""
    gap = train - held_out
    chance = GAP_ERRORS * math.sqrt(max(held_out * (1 - held_out), 1 / samples) / samples)
    if gap <= max(GAP, chance):
        return None
    message = (
        f"overfitting: {100 * train:.1f} % right on training samples, {100 * held_out:.1f} % on {split} samples, a gap "
        f"of {100 * gap:.1f} points (chance explains {100 * chance:.1f}); more data, shifts or fewer units help"
    )
    return Finding("overfitting", step, message, gap)


def origin(network: Network, x: Array, targets: Targets) -> str:
    """Say where a loss that is not finite comes from: weights, the first layer whose output is not, or the loss."""
    for name, view in network.views(network.vector).items():
        if not np.isfinite(view).all():
            number = int(name.partition(".")[0])
            return f"it arose in the weights of layer {number}, {_brief(network, number)}, which the last update made"
    value = network.unflattened(x)
    for number, (layer, weights) in enumerate(zip(network.layers, network.by_layer(network.vector), strict=True)):
        value = layer.forward(weights, value)
        bad = ~np.isfinite(value)
        if bad.any():
            return (
                f"it arose in the output of layer {number}, {_brief(network, number)}: "
                f"{int(bad.any(axis=1).sum())} of {len(value)} samples"
            )
    return f"it arose in the loss, {network.loss_function!r}: the output of every layer is finite"


def _brief(network: Network, number: int) -> str:
    layer = network.layers[number]
    return f"Dense({layer.inputs}, {layer.outputs})" if isinstance(layer, Dense) else repr(layer)


class Trial(NamedTuple):
    """What is needed to train a copy of the network for a few steps; it stops when `seconds` are over.

    Attributes
    ----------
    network, engine, rule
        Those of the run; the network is copied.
    batches
        Makes the batches from their beginning.
    seconds
        Time of this process that all trials together may take: on a busy machine they are the same as on an idle one.
    """

    network: Network
    engine: Engine
    rule: Rule
    batches: Callable[[], Batches]
    seconds: float

    def diverging(self, step: int, start: Array) -> Finding:
        """Name the largest learning rate that does not diverge from the weights `start`, as far as it can be found."""
        rate, steps, until = self.rule.learning_rate, min(max(2 * step, 50), 100), time.process_time() + self.seconds
        bad, good = rate, math.nan
        for _ in range(60):
            if not math.isnan(good) and bad <= 1.5 * good:
                break
            # The very rate that will be named is tried: near the edge, its third digit may decide.
            tried = _rounded_down(math.sqrt(bad * good) if not math.isnan(good) else bad / 4)
            losses = self._losses(start, tried, steps, until)
            if losses is None:
                break
            quarter = steps // 4
            first = min(FALL * losses[0], float(np.mean(losses[:quarter]))) if losses else math.inf
            fell = len(losses) == steps and float(np.mean(losses[-quarter:])) < first
            bad, good = (bad, tried) if fell else (tried, good)
        if math.isnan(good):
            message = f"the loss diverges: try a learning rate below {rate:g}"
        else:
            message = (
                f"the loss diverges: over the first {steps} steps from the same start, a learning rate of {good:g} "
                f"does not, {bad:.2g} does; this run has {rate:g}"
            )
        return Finding("diverging", step, message, good)

    def too_small(self, step: int, steps: int) -> Finding | None:
        """Say by how much more the loss falls from here with ten to ten thousand times the learning rate."""
        until = time.process_time() + self.seconds
        here, rate = self.network.vector.copy(), self.rule.learning_rate
        frozen = self._losses(here, 0.0, steps, until)
        falls: dict[int, float] = {}
        for factor in FACTORS:
            losses = self._losses(here, factor * rate, steps, until)
            if frozen is None or losses is None or len(losses) < steps:
                break
            half = steps // 2
            falls[factor] = float(np.mean(np.subtract(frozen[half:], losses[half:])))
            if factor > 1 and falls[factor] < falls[factor // 10]:
                break
        best = max(falls, key=lambda factor: falls[factor], default=1)
        if frozen is None or best == 1 or falls[best] < max(BETTER * falls[1], WORTH * float(np.mean(frozen))):
            return None
        message = (
            f"the learning rate is too small: in a trial of {steps} steps from here, {rate:g} lowers the loss by "
            f"{falls[1]:.2g}, {best * rate:g} by {falls[best]:.2g}"
        )
        return Finding("learning rate too small", step, message, best * rate)

    def _losses(self, start: Array, rate: float, steps: int, until: float) -> list[float] | None:
        """Train a copy; fewer losses where one is not finite, None where time is up or the rule has no such rate."""
        rule = _with_rate(self.rule, rate or self.rule.learning_rate)
        if rule is None:
            return None
        network = self.network.copy()
        network.vector[:] = start
        state, gradient = rule.init(network.vector), np.empty_like(network.vector)
        batches, rng, losses = self.batches(), np.random.default_rng(0), []
        for _ in range(steps):
            if time.process_time() > until:
                return None
            x, targets = batches.draw()
            loss = self.engine.into(network, x, targets, rng, gradient)
            if not math.isfinite(loss):
                break
            losses.append(loss)
            if rate:
                rule.apply(network.vector, gradient, state)
        return losses


def _with_rate(rule: Rule, rate: float) -> Rule | None:
    """Give the rule with another learning rate, without its schedule; None where that cannot be made."""
    if isinstance(rule, Scheduled):
        return _with_rate(rule.rule, rate)
    if "learning_rate" not in getattr(rule, "__dataclass_fields__", {}):
        return None
    return replace(rule, learning_rate=rate)  # type: ignore[type-var]


def _rounded_down(rate: float) -> float:
    """Give two digits of a rate, not above it."""
    power = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return float(f"{math.floor(rate / power * (1 + 1e-12)) * power:.2g}")
