"""Training: batches, gradients, updates, and the record of them."""

import hashlib
import math
import os
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.descent.rules import GradientDescent, Rule, choose_rule
from mibun.errors import FormatError, InputError
from mibun.learn.batches import Batches
from mibun.learn.bounds import Array
from mibun.learn.checkpoint import Checkpoint, Keeper, Saved, read
from mibun.learn.data import Dataset
from mibun.learn.diagnosis import origin
from mibun.learn.engines import Engine, choose_engine
from mibun.learn.history import Finding, History, Stop
from mibun.learn.network import Network
from mibun.learn.threads import fitting_threads
from mibun.learn.watch import Watch

__all__ = ["DEFAULT_EPOCHS", "Progress", "train"]

#: Passes over the training data when neither `epochs` nor `steps` is given.
DEFAULT_EPOCHS = 10
#: Training images whose accuracy is measured on the way; all of them at the end.
MEASURED = 10_000


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
    notes : tuple of Finding
        What was found out about the run until now, as `History.notes`.
    """

    step: int
    steps: int
    loss: float
    train_accuracy: float
    validation_accuracy: float | None
    evaluations: int
    seconds: float
    seconds_left: float
    notes: tuple[Finding, ...] = ()


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
    replace: bool = False,
    shift: int = 0,
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    resume: bool = False,
    diagnose: bool = True,
) -> History:
    """Train a network on the training data of a dataset; the network is changed **in place**.

    Where the dataset has `train_targets` (one-hot or soft), the loss is taken against them, else against the labels;
    accuracies are those of the labels. Batches are drawn without replacement: every epoch visits each training image
    once, in a new order; the last batch of an epoch may be smaller. The same seed on the same machine gives the same
    weights to the last bit, also when the run was killed and taken up again. On Ctrl-C, and when the loss is no longer
    finite, training ends early and the network holds the last good weights.

    Parameters
    ----------
    network
        The network; its parameters are overwritten. Train `network.copy()` to keep it.
    dataset
        Images and labels; images as (samples, inputs).
    rule
        How parameters follow the gradient, a rule or its word such as "adam"; by default
        `GradientDescent(learning_rate=0.1)`.
    engine
        How the gradient is computed: `"auto"`, `"chain"`, `"node"`, `"column"`, `"coordinate"`, `"direction"`, or an
        engine value such as `learn.Direction("whole loss")`.
    batch_size
        Images in a step, from 1 to the number of training images.
    epochs, steps
        Passes over the training data, or number of updates: one of the two; neither means 10 epochs.
    seed
        Seed of the order of the images.
    callback
        Called with a `Progress` after every step; it stops training by raising StopIteration.
    replace
        Draw the images of every batch with replacement, as the notes do; an epoch is then as many steps as without.
        Default: False.
    shift
        Move every training image by up to so many pixels each way, drawn anew whenever it is used; for square images
        whose border is 0. Default: 0.
    checkpoint
        A folder, or a `Checkpoint` with how often: all that the run needs to go on is written there while it lasts.
    resume
        Go on from the checkpoint in that folder, to the bit as if the run had not stopped; where there is none yet,
        start. `epochs` or `steps` may be larger than they were, all else must be the same. Default: False.
    diagnose
        Look for what may be wrong, at a few percent of the time: see `History.notes`. It changes no weight.
        Default: True.

    Returns
    -------
    History
        Loss of every step, accuracies at the start, after every epoch and at the end, evaluations, time. On the way
        the accuracy on training images is that of the first 10,000, at the end that of all.

    Raises
    ------
    InputError
        If dataset and network do not fit, an option cannot be used, or the checkpoint is one of another run. Nothing
        has changed then.
    FormatError
        If the checkpoint is damaged, or of a newer version.

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
    if callback is not None and not callable(callback):
        raise InputError(f"callback must be a function of a Progress, or None, not {callback!r}")
    for name, value in (("replace", replace), ("resume", resume), ("diagnose", diagnose)):
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{name} must be True or False, not {value!r}")
    run = _Run(network, dataset, rule, choose_engine(engine), batch_size, epochs, steps, seed, bool(replace), shift)
    if diagnose:
        run.watch = Watch(dataset, run.engine, run.rule, run.fresh_batches, run.steps, run.per_epoch)
    if checkpoint is not None:
        run.keep_at(checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint), resume)
    elif resume:
        raise InputError("resume=True needs checkpoint=, the folder with the checkpoint to go on from")
    run.go(callback)
    return run.history()


class _Run:
    """One training run: what `train` keeps between its steps."""

    def __init__(
        self,
        network: Network,
        dataset: Dataset,
        rule: str | Rule | None,
        engine: Engine,
        batch_size: int,
        epochs: int | None,
        steps: int | None,
        seed: int,
        replace: bool,
        shift: int,
    ) -> None:
        self.network, self.dataset, self.engine = network, dataset, engine
        self.rule = GradientDescent(0.1) if rule is None else choose_rule(rule)
        self.targets = _checked_fit(network, dataset)
        count = len(self.targets)
        self.batch_size = _checked_count("batch_size", batch_size)
        if self.batch_size > count:
            raise InputError(
                f"batch_size is {batch_size}, but there are only {count} training images; take at most {count}"
            )
        self.seed, self.shift, self.replace = (
            _checked_count("seed", seed, 0),
            _checked_count("shift", shift, 0),
            replace,
        )
        self.batches, self.engine_rng = self.fresh_batches(self.seed), np.random.default_rng((self.seed, 1))
        self.per_epoch = self.batches.per_epoch
        self.steps = _checked_length(epochs, steps, self.per_epoch)
        # Evaluations of a full batch and of the smaller last one of an epoch.
        sizes = {self.batch_size, count % self.batch_size} - {0}
        self.price = {size: engine.cost(network, size).evaluations for size in sizes}
        self.state = self.rule.init(network.vector)
        self.start = network.vector.copy()
        self.good, self.good_at = network.vector.copy(), 0  # the weights before the last update, and their age
        self.losses: list[float] = []
        self.measured: list[tuple[int, float, float | None, float]] = []
        self.notes: list[Finding] = []
        self.evaluations = 0
        self.seconds = self.measuring_seconds = 0.0
        self.stop, self.message = Stop.FINISHED, Stop.FINISHED.value
        # In a step: where to begin it anew should it be cut off (only with checkpoints), and whether weights change.
        self.begun: dict[str, Any] | None = None
        self.updating = False
        self.watch: Watch | None = None
        self.keeper: Keeper | None = None

    def fresh_batches(self, seed: int | None = None) -> Batches:
        """Give the batches of the run from their beginning, or those of another seed."""
        seed = self.seed if seed is None else seed
        images, dtype = self.dataset.train_x, self.network.dtype
        return Batches(images, self.targets, dtype, self.batch_size, seed, self.replace, self.shift)

    def go(self, callback: Callback | None) -> None:
        try:
            # A loss that overflows is reported, not warned about.
            with np.errstate(all="ignore"), fitting_threads(self.network, self.batch_size):
                done = len(self.losses)
                if not self.measured or (done % self.per_epoch == 0 and self.measured[-1][0] < done):
                    self.measure()
                    self.look()
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
                whence = origin(self.network, self.network.batch(self.dataset.train_x), self.targets)
                self.restore(f"after step {len(self.losses)}; {whence}")
            elif self.stop is Stop.FINISHED and (grown := self.grown()):
                self.message = f"{self.message}, but {grown}"
            # A stop in the middle of an update leaves no state that another process could go on from.
            if not self.updating and self.stop is not Stop.NOT_FINITE:
                self.save()
            while self.measured and self.measured[-1][0] == len(self.losses) and len(self.targets) > MEASURED:
                self.measured.pop()
            if not self.measured or self.measured[-1][0] != len(self.losses):
                self.measure(most=None)
            self.look(end=True)

    def loop(self, callback: Callback | None) -> None:
        vector, gradient = self.network.vector, np.empty_like(self.network.vector)
        started, first = time.perf_counter(), len(self.losses)
        earlier = self.seconds + self.measuring_seconds if first else 0.0  # before it was taken up again
        while len(self.losses) < self.steps:
            before = time.perf_counter()
            self.begun = None if self.keeper is None else self.place()
            x, targets = self.batches.draw()
            loss = self.engine.into(self.network, x, targets, self.engine_rng, gradient)
            if not math.isfinite(loss):
                self.restore(f"it was {loss} in step {len(self.losses) + 1}; {origin(self.network, x, targets)}")
                return
            # The scalar product is cheap, and finite unless an entry is not (or they are huge).
            if not math.isfinite(float(gradient @ gradient)) and not np.isfinite(gradient).all():
                self.end(Stop.NOT_FINITE, self._bad_gradient(gradient))
                return
            self.updating = True
            self.good[:] = vector
            self.good_at = len(self.losses)
            self.rule.apply(vector, gradient, self.state)
            self.losses.append(loss)
            self.evaluations += self.price[len(x)]
            self.updating, self.begun = False, None
            now = time.perf_counter()
            self.seconds += now - before
            done = len(self.losses)
            if done % self.per_epoch == 0:
                self.measure()
            self.look()
            if self.keeper is not None and self.keeper.is_due(done):
                self.save()
            if callback is not None:
                left = (now - started) / (done - first) * (self.steps - done)
                last, spent = self.measured[-1], earlier + now - started
                callback(
                    Progress(done, self.steps, loss, last[1], last[2], self.evaluations, spent, left, tuple(self.notes))
                )

    def measure(self, most: int | None = MEASURED) -> None:
        """Record the accuracies; a network that is no longer finite is not measured."""
        started = time.perf_counter()
        data = self.dataset
        if np.isfinite(self.network.vector).all():
            validation = (
                None
                if data.validation_x is None or data.validation_labels is None
                else self.network.accuracy(data.validation_x, data.validation_labels)
            )
            train_accuracy = self.network.accuracy(data.train_x[:most], data.train_labels[:most])
            test_accuracy = self.network.accuracy(data.test_x, data.test_labels)
            self.measured.append((len(self.losses), train_accuracy, validation, test_accuracy))
        self.measuring_seconds += time.perf_counter() - started

    def look(self, end: bool = False) -> None:
        """Note what is found out now, beside what is known already."""
        if self.watch is not None:
            started = time.perf_counter()
            found = self.watch.look(self, end)
            self.notes += found
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
        self.end(Stop.NOT_FINITE, f"{detail}; {self._advice()}")

    def grown(self) -> str:
        """Say so where the loss of the last epoch is clearly above that of the first step."""
        first, last = self.losses[0], float(np.mean(self.losses[-self.per_epoch :]))
        if len(self.losses) < 2 or last <= 1.1 * first:
            return ""
        return f"the loss grew from {first:.4g} to {last:.4g}: {self._advice()}"

    def end(self, stop: Stop, detail: str) -> None:
        self.stop, self.message = stop, f"{stop.value} ({detail})"
        if stop is Stop.NOT_FINITE:
            self.notes.append(Finding("not finite", len(self.losses), self.message, math.nan))

    def _advice(self) -> str:
        known = [note.value for note in self.notes if note.kind == "diverging" and math.isfinite(note.value)]
        if known:
            return f"try a learning rate of {known[0]:g}"
        return f"try a learning rate below {self.rule.learning_rate:g}"

    def _bad_gradient(self, gradient: Array) -> str:
        names = [name for name, view in self.network.views(gradient).items() if not np.isfinite(view).all()]
        count = int((~np.isfinite(gradient)).sum())
        return (
            f"the gradient has {count} entries that are not finite in step {len(self.losses) + 1}, "
            f"in {', '.join(names[:3])}"
        )

    # Checkpoints

    def keep_at(self, checkpoint: Checkpoint, resume: bool) -> None:
        """Write checkpoints there from now on; go on from the one that is there if asked to."""
        self.keeper = Keeper(checkpoint)
        unknown = [name for name, value in self.state.items() if not isinstance(value, (np.ndarray, int, float))]
        if unknown:
            raise InputError(f"the state of {self.rule!r} holds {unknown[0]!r}, which is no number and no array")
        if resume and checkpoint.path.exists():
            self.go_to(read(checkpoint.path), str(checkpoint.path))
        else:
            self.keeper.prepare()

    def place(self) -> dict[str, Any]:
        """Give what decides everything that will be drawn."""
        return {"position": self.batches.position, "engine_rng": self.engine_rng.bit_generator.state}

    def save(self) -> None:
        """Write a checkpoint; where that fails, training goes on and a note says so."""
        if self.keeper is None:
            return
        arrays = {"weights": self.network.vector, "good": self.good, "start": self.start, "loss": np.array(self.losses)}
        arrays |= {f"rule.{name}": np.asarray(value) for name, value in self.state.items()}
        values = {
            "run": self._identity(),
            **(self.begun or self.place()),
            "good_at": self.good_at,
            "measured": self.measured,
            "notes": [tuple(note) for note in self.notes],
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "measuring_seconds": self.measuring_seconds,
        }
        done, kept = len(self.losses), self.keeper.kept
        if trouble := self.keeper.write(done, Saved(arrays, values)):
            stays = "no checkpoint is there" if kept is None else f"that of step {kept} stays"
            message = f"the checkpoint of step {done} could not be written ({trouble}); {stays}, and training goes on"
            self.notes = [note for note in self.notes if note.kind != "checkpoint"]
            self.notes.append(Finding("checkpoint", done, message, float(done)))

    def go_to(self, saved: Saved, path: str) -> None:
        """Take up the run that `saved` is of; nothing has changed where it is one of another run."""
        arrays, values = saved
        own, theirs = self._identity(), values.get("run")
        for name, value in own.items():
            if not isinstance(theirs, dict) or theirs.get(name) != value:
                given = theirs.get(name) if isinstance(theirs, dict) else None
                raise InputError(
                    f"{path} is a checkpoint of another run: {name.replace('_', ' ')} was {given}, and is {value} now; "
                    "train with what it was made with, or give another folder"
                )
        try:
            losses = arrays["loss"].astype(np.float64).tolist()
            vectors = [arrays[name] for name in ("weights", "good", "start")]
            state = {name: arrays[f"rule.{name}"].astype(np.asarray(now).dtype) for name, now in self.state.items()}
            fits = all(vector.shape == self.start.shape and vector.dtype == self.start.dtype for vector in vectors)
            fits &= all(part.shape == np.shape(self.state[name]) for name, part in state.items())
            if not fits or len(losses) < values["good_at"]:
                raise FormatError(f"{path} is damaged: its arrays do not fit the network")
            measured = [
                (int(at), float(a), b if b is None else float(b), float(c)) for at, a, b, c in values["measured"]
            ]
            notes = [Finding(*note) for note in values["notes"]]
            counts = int(values["evaluations"]), float(values["seconds"]), float(values["measuring_seconds"])
            self.batches.go_to(values["position"])
            self.engine_rng.bit_generator.state = values["engine_rng"]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"{path} is damaged: {error!r} in it") from None
        if len(losses) > self.steps:
            raise InputError(f"{path} is of step {len(losses)}, beyond the {self.steps} steps asked for; ask for more")
        self.network.vector[:], self.good[:], self.start[:] = vectors
        self.state = {name: part if part.ndim else part.item() for name, part in state.items()}
        self.losses, self.good_at, self.measured, self.notes = losses, int(values["good_at"]), measured, notes
        self.evaluations, self.seconds, self.measuring_seconds = counts
        if self.keeper is not None:
            self.keeper.kept = len(losses)

    def _identity(self) -> dict[str, Any]:
        """Give what must be the same for the run to go on; addresses in memory are left out of functions' names."""
        data = hashlib.sha256()
        for part in (self.dataset.train_x, self.targets):
            data.update(f"{part.dtype}{part.shape}".encode())
            data.update(np.ascontiguousarray(part).data)
        named = {"network": self.network, "rule": self.rule, "engine": self.engine}
        return {
            **{name: re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)) for name, value in named.items()},
            "batch_size": self.batch_size,
            "seed": self.seed,
            "replace": self.replace,
            "shift": self.shift,
            "training_data": data.hexdigest(),
        }

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
                "replace": self.replace,
                "shift": self.shift,
                "steps": self.steps,
                "seed": self.seed,
                "dataset": self.dataset.name,
                "training_images": len(self.targets),
                "class_names": None if self.dataset.class_names is None else list(self.dataset.class_names),
            },
            notes=tuple(self.notes),
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


def _checked_count(name: str, value: object, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        expected = "an integer above 0, such as 100" if least else "an integer of at least 0"
        raise InputError(f"{name} must be {expected}, not {value!r}")
    return int(value)


def _checked_length(epochs: int | None, steps: int | None, per_epoch: int) -> int:
    if epochs is not None and steps is not None:
        raise InputError(f"give epochs or steps, not both (epochs={epochs!r}, steps={steps!r})")
    if steps is not None:
        return _checked_count("steps", steps)
    return per_epoch * _checked_count("epochs", DEFAULT_EPOCHS if epochs is None else epochs)
