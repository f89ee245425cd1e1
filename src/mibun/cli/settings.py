"""All settings of a training run: what stands for options that were not given, the data, the network, the command."""

import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mibun.descent.rules import AdaGrad, Adam, GradientDescent, Momentum, RMSProp, Rule
from mibun.descent.schedules import Decay, Scheduled
from mibun.errors import DataError, DownloadError, FormatError
from mibun.learn import (
    Dataset,
    Dense,
    Network,
    ReLU,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tanh,
    load_csv,
    load_digits,
    load_fashion,
    load_mnist,
    load_npz,
)
from mibun.learn.layers import Layer

__all__ = ["ACTIVATIONS", "DEFAULTS", "RULES", "SCHEDULES", "Defaults", "Settings", "expanded", "load_data"]


@dataclass(frozen=True)
class Defaults:
    """What stands for an option that was not given; `validation` training images are set aside."""

    learning_rate: float
    batch_size: int
    epochs: int
    validation: int = 0


#: Chosen on the validation split of each set. Folders and files have those of mnist, with at most a sixth set aside.
DEFAULTS = {
    "digits": Defaults(learning_rate=2.0, batch_size=10, epochs=40),
    "mnist": Defaults(learning_rate=1.0, batch_size=100, epochs=15, validation=10_000),
    "fashion": Defaults(learning_rate=1.0, batch_size=100, epochs=15, validation=10_000),
}
#: Each rule by its word; all but plain descent have PyTorch's learning rate where none is given.
RULES: dict[str, Rule] = {
    "descent": GradientDescent(),
    "momentum": Momentum(),
    "nesterov": Momentum(nesterov=True),
    "adagrad": AdaGrad(),
    "rmsprop": RMSProp(),
    "adam": Adam(),
}
#: Each activation by its word, and how the weights before it are scaled at the start.
ACTIVATIONS: dict[str, tuple[Layer, str]] = {
    "sigmoid": (Sigmoid(), "xavier"),
    "tanh": (Tanh(), "xavier"),
    "relu": (ReLU(), "he"),
}
#: The slope of a sigmoid is at most 1/4, that of the others 1: plain descent takes this share of the rate for them.
STEEPER = 0.1
SCHEDULES = ("constant", "linear", "cosine")
#: What the names of tables end in.
_TABLES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Settings:
    """All settings of a run; `epochs` or `steps` is None."""

    data: str
    hidden: tuple[int, ...]
    activation: str
    engine: str
    rule: str
    learning_rate: float
    schedule: str
    batch_size: int
    epochs: int | None
    steps: int | None
    replace: bool
    shift: int
    seed: int
    dtype: str
    out: str
    label: str | None = None

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Settings":
        """Read the settings of a run folder.

        Raises
        ------
        FormatError
            If something is missing or unknown.
        """
        known = {field.name for field in fields(cls)}
        # The first runs had no other activation.
        given = {"activation": "sigmoid"} | {name: value for name, value in stored.items() if name in known}
        for name, words in (("activation", ACTIVATIONS), ("rule", RULES), ("schedule", SCHEDULES)):
            if name in given and given[name] not in words:
                raise FormatError(f"this run has the {name} {given[name]!r}; this mibun knows {', '.join(words)}")
        try:
            return cls(**given | {"hidden": tuple(map(int, stored["hidden"]))})
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"the settings of this run are incomplete: {error}") from None

    def command(self, steps_done: int | None = None) -> str:
        """Give the command line that repeats the run, up to a step if given, with every option spelt out."""
        if steps_done is not None:
            length = ["--steps", str(steps_done)]
        else:
            length = ["--epochs", str(self.epochs)] if self.steps is None else ["--steps", str(self.steps)]
        words = ["mibun", "learn", "--data", self.data, *([] if self.label is None else ["--label", self.label])]
        words += ["--hidden", ",".join(map(str, self.hidden)) or "none", "--activation", self.activation]
        words += ["--engine", self.engine]
        words += ["--rule", self.rule, "--learning-rate", repr(self.learning_rate), "--schedule", self.schedule]
        words += ["--batch-size", str(self.batch_size), *length, *(["--replace"] if self.replace else [])]
        words += ["--shift", str(self.shift), "--seed", str(self.seed), "--dtype", self.dtype, "--out", self.out]
        return shlex.join(words)

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as JSON knows them."""
        return asdict(self)

    def make_rule(self, images: int) -> Rule:
        """Build the rule; a schedule falls to 0 at the end of the run."""
        kinds = {"descent": GradientDescent, "momentum": Momentum, "adagrad": AdaGrad, "rmsprop": RMSProp, "adam": Adam}
        rule: Rule = (
            Momentum(self.learning_rate, nesterov=True)
            if self.rule == "nesterov"
            else kinds[self.rule](self.learning_rate)
        )
        if self.schedule == "constant":
            return rule
        steps = self.steps if self.steps is not None else (self.epochs or 1) * -(-images // self.batch_size)
        return Scheduled(rule, Decay(steps, warmup=steps // 50, shape=self.schedule))

    def build(self, inputs: int, classes: int) -> Network:
        """Make the network before training."""
        layers: list[Layer] = []
        activation, scale = ACTIVATIONS[self.activation]
        for width in self.hidden:
            layers += [Dense(inputs, width, scale), activation]
            inputs = width
        layers.append(Dense(inputs, classes, scale="xavier"))
        return Network(layers, SoftmaxCrossEntropy(), seed=self.seed, dtype=np.dtype(self.dtype))


def expanded(text: str) -> Path:
    """Expand `~` as a shell does, which does not in `--out=~/runs`; an unknown user is part of the name."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def load_data(data: str, label: str | None = None) -> Dataset:
    """Load what stands after --data: a word, a file (npz, CSV) or a folder with four IDX files.

    Raises
    ------
    DataError, DownloadError
        If that cannot be.
    """
    validation = DEFAULTS.get(data, DEFAULTS["mnist"]).validation
    if data == "digits":
        return load_digits()
    path = None if data in DEFAULTS else expanded(data)
    kind = None if path is None or not path.is_file() else path.suffix.lower()
    if path is not None and not path.is_dir() and kind not in (".npz", *_TABLES):
        found = "is a file of another kind" if path.exists() else "does not exist"
        raise DataError(
            f"--data {data} {found}; expected {', '.join(DEFAULTS)}, a file .npz or .csv, or a folder with four IDX "
            "files named as MNIST's"
        )
    try:
        if path is not None and kind == ".npz":
            return load_npz(path)
        if path is not None and kind in _TABLES:
            column = int(label) if label is not None and label.removeprefix("-").isdigit() else label
            return load_csv(path, column)
        dataset = load_fashion() if data == "fashion" else load_mnist(path)
    except DownloadError as error:
        raise DownloadError(f"{error} Here that is: mibun learn --data folder.") from error
    except DataError as error:
        named = str(error) if kind is not None else f"--data {data}: {error}"
        raise DataError(named) from error
    return _set_aside(dataset, min(validation, len(dataset.train_x) // 6))


def _set_aside(dataset: Dataset, count: int) -> Dataset:
    """Make the last training images the validation split; a small set gives a sixth of them."""
    if not count:
        return dataset
    x, labels = dataset.train_x, dataset.train_labels
    return Dataset(
        x[:-count],
        labels[:-count],
        x[-count:],
        labels[-count:],
        dataset.test_x,
        dataset.test_labels,
        dataset.name,
        class_names=dataset.class_names,
    )
