"""Training: batches, gradients, updates, and the record of them."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.descent.rules import GradientDescent, Rule
from mibun.errors import InputError
from mibun.learn.bounds import Array
from mibun.learn.data import Dataset
from mibun.learn.engines import Engine, choose_engine
from mibun.learn.history import History, Stop
from mibun.learn.losses import Targets
from mibun.learn.network import Network
from mibun.learn.threads import fitting_threads

__all__ = ["DEFAULT_EPOCHS", "Progress", "train"]

#: Passes over the training data when neither `epochs` nor `steps` is given.
DEFAULT_EPOCHS = 10


class Progress(NamedTuple):
    """What a callback is told after every step.

    Attributes
    ----------
    step, steps
        Updates done, and to be done.
    loss
        Mean loss of this step's batch, before its update.
    train_accuracy, validation_accuracy
        As last measured; `validation_accuracy` is None without validation data.
    evaluations
        Elementary evaluations until now.
    seconds, seconds_left
        Time since the start, and the estimate of what remains.
    """

    step: int
    steps: int
    loss: float
    train_accuracy: float
    validation_accuracy: float | None
    evaluations: int
    seconds: float
    seconds_left: float


Callback = Callable[[Progress], object]


def train(
    network: Network,
    dataset: Dataset,
    rule: Rule | None = None,
    engine: str | Engine = "chain",
    batch_size: int = 100,
    epochs: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    callback: Callback | None = None,
) -> History:
    """Train a network on the training data of a dataset; the network is changed **in place**.

    Where the dataset has `train_targets` (one-hot or soft), the loss is taken against them, else against the labels;
    accuracies are those of the labels. Batches are drawn without replacement: every epoch visits each training image
    once, in a new order; the last batch of an epoch may be smaller. The same seed on the same machine gives the same
    weights to the last bit. On Ctrl-C, and when the loss is no longer finite, training ends early and the network
    holds the last good weights.

    Parameters
    ----------
    network
        The network; its parameters are overwritten. Train `network.copy()` to keep it.
    dataset
        Images and labels; images as (samples, inputs).
    rule
        How parameters follow the gradient; by default `GradientDescent(learning_rate=0.1)`.
    engine
        `"chain"` or `"coordinate"`, or an engine value: how the gradient is computed.
    batch_size
        Images in a step, from 1 to the number of training images.
    epochs, steps
        Passes over the training data, or number of updates: one of the two; neither means 10 epochs.
    seed
        Seed of the order of the images.
    callback
        Called with a `Progress` after every step; it stops training by raising StopIteration.

    Returns
    -------
    History
        Loss of every step, accuracies at the start, after every epoch and at the end, evaluations, time.

    Raises
    ------
    InputError
        If dataset and network do not fit, or an option cannot be used. Nothing has changed then.

    Examples
    --------
    >>> import mibun as mb
    >>> from mibun import learn
    >>> digits = learn.load_digits()
    >>> network = learn.Network([learn.Dense(64, 50), learn.Sigmoid(), learn.Dense(50, 10)], seed=0)
    >>> history = learn.train(network, digits, rule=mb.GradientDescent(learning_rate=1.0), epochs=20)
    >>> bool(history.test_accuracy[-1] > 0.9)
    True
    """
    run = _Run(network, dataset, rule, choose_engine(engine), batch_size, epochs, steps, seed)
    if callback is not None and not callable(callback):
        raise InputError(f"callback must be a function of a Progress, or None, not {callback!r}")
    run.go(callback)
    return run.history()


class _Run:
    """One training run: what `train` keeps between its steps."""

    def __init__(
        self,
        network: Network,
        dataset: Dataset,
        rule: Rule | None,
        engine: Engine,
        batch_size: int,
        epochs: int | None,
        steps: int | None,
        seed: int,
    ) -> None:
        self.network, self.dataset, self.engine = network, dataset, engine
        self.rule = GradientDescent(0.1) if rule is None else rule
        if isinstance(self.rule, type) or not isinstance(self.rule, Rule):
            raise InputError(f"rule must be a rule such as mibun.GradientDescent(learning_rate=0.1), not {rule!r}")
        self.targets = _checked_fit(network, dataset)
        count = len(self.targets)
        self.batch_size = _checked_count("batch_size", batch_size)
        if self.batch_size > count:
            raise InputError(
                f"batch_size is {batch_size}, but there are only {count} training images; take at most {count}"
            )
        self.per_epoch = math.ceil(count / self.batch_size)
        self.steps = _checked_length(epochs, steps, self.per_epoch)
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise InputError(f"seed must be an integer of at least 0, not {seed!r}")
        # Two streams, so that an engine that draws does not change the order of the images.
        self.order_rng, self.engine_rng = (np.random.default_rng((int(seed), stream)) for stream in range(2))
        self.seed = int(seed)
        # Evaluations of a full batch and of the smaller last one of an epoch.
        sizes = {self.batch_size, count % self.batch_size} - {0}
        self.price = {size: engine.cost(network, size).evaluations for size in sizes}
        self.good, self.good_at = network.vector.copy(), 0  # the weights before the last update, and their age
        self.losses: list[float] = []
        self.measured: list[tuple[int, float, float | None, float]] = []
        self.evaluations = 0
        self.seconds = self.measuring_seconds = 0.0
        self.stop, self.message = Stop.FINISHED, Stop.FINISHED.value

    def go(self, callback: Callback | None) -> None:
        try:
            # A loss that overflows is reported, not warned about.
            with np.errstate(all="ignore"), fitting_threads(self.network, self.batch_size):
                self.measure()
                self.loop(callback)
        except KeyboardInterrupt:
            if self.good_at == len(self.losses):  # in the middle of an update, which is not counted
                self.network.vector[:] = self.good
            self.end(Stop.INTERRUPTED, f"after step {len(self.losses)} of {self.steps}")
        except StopIteration:
            self.end(Stop.CALLBACK, f"after step {len(self.losses)} of {self.steps}")
        with np.errstate(all="ignore"):
            # The loss after the last update was not asked for by any step.
            if self.losses and self.stop is not Stop.NOT_FINITE and not self.is_good():
                self.restore(f"after step {len(self.losses)}")
            elif self.stop is Stop.FINISHED and (grown := self.grown()):
                self.message = f"{self.message}, but {grown}"
            if not self.measured or self.measured[-1][0] != len(self.losses):
                self.measure()

    def loop(self, callback: Callback | None) -> None:
        vector, gradient = self.network.vector, np.empty_like(self.network.vector)
        state = self.rule.init(vector)
        started = time.perf_counter()
        for x, targets in self.batches():
            before = time.perf_counter()
            loss = self.engine.into(self.network, x, targets, self.engine_rng, gradient)
            if not math.isfinite(loss):
                self.restore(f"it was {loss} in step {len(self.losses) + 1}")
                return
            # The scalar product is cheap, and finite unless an entry is not (or they are huge).
            if not math.isfinite(float(gradient @ gradient)) and not np.isfinite(gradient).all():
                self.end(
                    Stop.NOT_FINITE, f"the gradient has entries that are not finite in step {len(self.losses) + 1}"
                )
                return
            self.good[:] = vector
            self.good_at = len(self.losses)
            self.rule.apply(vector, gradient, state)
            self.losses.append(loss)
            self.evaluations += self.price[len(x)]
            now = time.perf_counter()
            self.seconds += now - before
            done = len(self.losses)
            if done % self.per_epoch == 0:
                self.measure()
            if callback is not None:
                left = (now - started) / done * (self.steps - done)
                last = self.measured[-1]
                callback(Progress(done, self.steps, loss, last[1], last[2], self.evaluations, now - started, left))

    def batches(self) -> Iterator[tuple[Array, Targets]]:
        """Draw all batches of the run, each converted to the network's dtype."""
        images, dtype = self.dataset.train_x, self.network.dtype
        count, done = len(self.targets), 0
        while True:
            order = self.order_rng.permutation(count)
            for start in range(0, count, self.batch_size):
                if done == self.steps:
                    return
                chosen = order[start : start + self.batch_size]
                yield images[chosen].astype(dtype, copy=False), self.targets[chosen]
                done += 1

    def measure(self) -> None:
        """Record the accuracies; a network that is no longer finite is not measured."""
        started = time.perf_counter()
        data = self.dataset
        if np.isfinite(self.network.vector).all():
            validation = (
                None
                if data.validation_x is None or data.validation_labels is None
                else self.network.accuracy(data.validation_x, data.validation_labels)
            )
            train_accuracy = self.network.accuracy(data.train_x, data.train_labels)
            test_accuracy = self.network.accuracy(data.test_x, data.test_labels)
            self.measured.append((len(self.losses), train_accuracy, validation, test_accuracy))
        self.measuring_seconds += time.perf_counter() - started

    def is_good(self) -> bool:
        """Tell whether weights and training loss are finite."""
        finite = bool(np.isfinite(self.network.vector).all())
        return finite and math.isfinite(self.network.loss(self.dataset.train_x, self.targets))

    def restore(self, detail: str) -> None:
        """Go back to the last weights that gave a finite loss; what came after them does not count."""
        self.network.vector[:] = self.good
        del self.losses[self.good_at :]
        while self.measured and self.measured[-1][0] > len(self.losses):
            self.measured.pop()
        self.end(Stop.NOT_FINITE, f"{detail}: {self._advice()}")

    def grown(self) -> str:
        """Say so where the loss of the last epoch is clearly above that of the first step."""
        first, last = self.losses[0], float(np.mean(self.losses[-self.per_epoch :]))
        if len(self.losses) < 2 or last <= 1.1 * first:
            return ""
        return f"the loss grew from {first:.4g} to {last:.4g}: {self._advice()}"

    def end(self, stop: Stop, detail: str) -> None:
        self.stop, self.message = stop, f"{stop.value} ({detail})"

    def _advice(self) -> str:
        return f"try a learning rate below {self.rule.learning_rate:g}"

    def history(self) -> History:
        at, train_accuracy, validation, test = zip(*self.measured, strict=True)
        network, per_step = self.network, self.engine.cost(self.network, self.batch_size)
        return History(
            loss=np.array(self.losses),
            measured_at=np.array(at),
            train_accuracy=np.array(train_accuracy),
            validation_accuracy=None if validation[0] is None else np.array(validation, np.float64),
            test_accuracy=np.array(test),
            steps=len(self.losses),
            epochs=len(self.losses) / self.per_epoch,
            evaluations=self.evaluations,
            seconds=self.seconds,
            measuring_seconds=self.measuring_seconds,
            stop=self.stop,
            message=self.message,
            settings={
                "network": repr(network),
                "parameters": network.vector.size,
                "engine": repr(self.engine),
                "evaluations_per_step": per_step.evaluations,
                "forward_equivalents_per_step": per_step.forward_equivalents,
                "rule": repr(self.rule),
                "batch_size": self.batch_size,
                "steps": self.steps,
                "seed": self.seed,
                "dataset": self.dataset.name,
                "training_images": len(self.targets),
            },
        )


def _checked_fit(network: Network, dataset: Dataset) -> NDArray[Any]:
    """Check every split against the network, and give the training targets as the losses take them."""
    if not isinstance(network, Network) or not isinstance(dataset, Dataset):
        raise InputError(
            f"train takes a Network and a Dataset, not {type(network).__name__} and {type(dataset).__name__}"
        )
    if not network.vector.size or not np.isfinite(network.vector).all():
        raise InputError(f"{network} has no parameters to train, or parameters that are not finite numbers")
    splits = (
        (dataset.train_x, dataset.train_labels),
        (dataset.validation_x, dataset.validation_labels),
        (dataset.test_x, dataset.test_labels),
    )
    checked = [
        (network.batch(x[:1]), network.targets(labels, len(x)))
        for x, labels in splits
        if x is not None and labels is not None
    ]
    # Targets were checked by the dataset; soft ones must not be hardened to their labels.
    given = dataset.train_targets
    return checked[0][1] if given is None else network.targets(given, len(given))


def _checked_count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} must be an integer above 0, such as 100, not {value!r}")
    return int(value)


def _checked_length(epochs: int | None, steps: int | None, per_epoch: int) -> int:
    if epochs is not None and steps is not None:
        raise InputError(f"give epochs or steps, not both (epochs={epochs!r}, steps={steps!r})")
    if steps is not None:
        return _checked_count("steps", steps)
    return per_epoch * _checked_count("epochs", DEFAULT_EPOCHS if epochs is None else epochs)
