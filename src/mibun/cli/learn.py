"""`mibun learn`: train a network on handwritten digits by numerical gradients."""

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from mibun.cli.interrupts import Interrupts
from mibun.cli.patience import require_patience
from mibun.cli.progress import choose_display, human, percent, say
from mibun.descent.rules import GradientDescent, Rule
from mibun.errors import DataError, DownloadError, InputError
from mibun.learn import (
    Cost,
    Dataset,
    Dense,
    History,
    Network,
    Progress,
    Sigmoid,
    SoftmaxCrossEntropy,
    Stop,
    load_digits,
    load_mnist,
    train,
)
from mibun.learn.engines import ENGINES, Engine, choose_engine
from mibun.learn.layers import Layer
from mibun.report.run import Kept, RunFolder

__all__ = ["DEFAULTS", "learn"]


@dataclass(frozen=True)
class Defaults:
    """What stands for an option that was not given; `validation` training images are set aside."""

    learning_rate: float
    batch_size: int
    epochs: int
    validation: int = 0


#: Chosen on the validation split of each set. A folder of IDX files has those of mnist.
DEFAULTS = {
    "digits": Defaults(learning_rate=2.0, batch_size=10, epochs=40),
    "mnist": Defaults(learning_rate=1.0, batch_size=100, epochs=15, validation=10_000),
}

#: Exit statuses besides 0.
DIVERGED, INTERRUPTED = 1, 130


@dataclass(frozen=True)
class Settings:
    """All settings of a run; `epochs` or `steps` is None."""

    data: str
    hidden: tuple[int, ...]
    engine: str
    learning_rate: float
    batch_size: int
    epochs: int | None
    steps: int | None
    seed: int
    dtype: str
    out: str

    def command(self, steps_done: int | None = None) -> str:
        """Give the command line that repeats the run, up to a step if given, with every option spelt out."""
        if steps_done is not None:
            length = ["--steps", str(steps_done)]
        else:
            length = ["--epochs", str(self.epochs)] if self.steps is None else ["--steps", str(self.steps)]
        words = ["mibun", "learn", "--data", self.data, "--hidden", ",".join(map(str, self.hidden)) or "none"]
        words += ["--engine", self.engine, "--learning-rate", repr(self.learning_rate)]
        words += ["--batch-size", str(self.batch_size), *length, "--seed", str(self.seed)]
        return shlex.join([*words, "--dtype", self.dtype, "--out", self.out])


def _widths(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    """Read the numbers between the commas."""
    words = [] if text == "none" else [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) < 10 and int(word) for word in words):
        raise click.BadParameter(f"{text!r} is given; expected widths above 0, such as 50 or 100,50, or none.")
    return tuple(map(int, words))


def _by_data(option: str) -> str:
    """Write the defaults of an option as help shows them."""
    shown = ", ".join(f"{getattr(defaults, option)} for {name}" for name, defaults in DEFAULTS.items())
    return f"[default: {shown}]"


_EPILOG = """\b
Examples:
  mibun learn                                    the digits that come with mibun
  mibun learn --hidden 100,50 --seed 3           another network, another start
  mibun learn --engine coordinate --steps 5      every weight moved on its own
  mibun learn --data mnist --out ~/mnist-runs    70,000 images, downloaded once

\b
Ctrl-C ends the training, keeps what was learnt, and writes the run folder.
Exit status: 0 done, 1 diverged, 2 bad input, 130 ended by Ctrl-C.
"""


@click.command(epilog=_EPILOG, short_help="Train a network on handwritten digits, in seconds.")
@click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="digits|mnist|DIR",
    help="What to learn: 1,797 digits that come with mibun, MNIST, or a folder with four IDX files named as MNIST's.",
)
@click.option(
    "--hidden",
    default="50",
    callback=_widths,
    show_default=True,
    metavar="N[,N...]",
    help="Widths of the hidden sigmoid layers; none for no hidden layer.",
)
@click.option(
    "--engine",
    default="chain",
    type=click.Choice(list(ENGINES)),
    show_default=True,
    help="How the gradient is computed; mibun compare-engines shows what each costs and takes for granted.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="RATE",
    help=f"Factor between gradient and update. {_by_data('learning_rate')}",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Images in a step. {_by_data('batch_size')}",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Passes over the training images. {_by_data('epochs')}",
)
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Number of updates, instead of --epochs.")
@click.option(
    "--seed",
    default=0,
    type=click.IntRange(min=0),
    show_default=True,
    metavar="N",
    help="Seed of the first weights and of the order of the images. The split of the images is always the same.",
)
@click.option(
    "--dtype",
    default="float64",
    type=click.Choice(["float64", "float32"]),
    show_default=True,
    help="Floating point of the network.",
)
@click.option(
    "--out",
    default="runs",
    show_default=True,
    metavar="DIR",
    help="Where the numbered run folders stand.",
)
@click.option("--yes", is_flag=True, help="Start even where the training will take longer than ten minutes.")
def learn(
    data: str,
    hidden: tuple[int, ...],
    engine: str,
    learning_rate: float | None,
    batch_size: int | None,
    epochs: int | None,
    steps: int | None,
    seed: int,
    dtype: str,
    out: str,
    yes: bool,
) -> int:
    """Train a network on images of digits by numerical gradients and nothing else.

    Shows how it goes, and leaves a numbered folder with report.html, weights.npz, history.json and settings.json.
    """
    if epochs is not None and steps is not None:
        raise InputError("--epochs and --steps are both given; give one of them")
    defaults = DEFAULTS.get(data, DEFAULTS["mnist"])
    settings = Settings(
        data=data if data in DEFAULTS else str(_path(data).resolve()),
        hidden=hidden,
        engine=engine,
        learning_rate=defaults.learning_rate if learning_rate is None else learning_rate,
        batch_size=defaults.batch_size if batch_size is None else batch_size,
        epochs=defaults.epochs if epochs is None and steps is None else epochs,
        steps=steps,
        seed=seed,
        dtype=dtype,
        out=out,
    )
    return _run(settings, _load(data, defaults.validation), yes)


def _path(text: str) -> Path:
    """Expand `~` as a shell does, which does not in `--out=~/runs`; an unknown user is part of the name."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def _load(data: str, validation: int) -> Dataset:
    if data == "digits":
        return load_digits()
    root = None if data == "mnist" else _path(data)
    if root is not None and not root.is_dir():
        found = "is a file" if root.exists() else "does not exist"
        raise DataError(
            f"--data {data} {found}; expected digits, mnist, or a folder with four IDX files named as MNIST's"
        )
    try:
        dataset = load_mnist(root)
    except DownloadError as error:
        raise DownloadError(f"{error} Here that is: mibun learn --data folder.") from error
    except DataError as error:
        raise DataError(f"--data {data}: {error}") from error
    return _set_aside(dataset, min(validation, len(dataset.train_x) // 6))


def _set_aside(dataset: Dataset, count: int) -> Dataset:
    """Make the last training images the validation split; a small set gives a sixth of them."""
    if not count:
        return dataset
    x, labels = dataset.train_x, dataset.train_labels
    return Dataset(
        x[:-count], labels[:-count], x[-count:], labels[-count:], dataset.test_x, dataset.test_labels, dataset.name
    )


def _build(settings: Settings, inputs: int, classes: int) -> Network:
    layers: list[Layer] = []
    for width in settings.hidden:
        layers += [Dense(inputs, width, scale="xavier"), Sigmoid()]
        inputs = width
    layers.append(Dense(inputs, classes, scale="xavier"))
    return Network(layers, SoftmaxCrossEntropy(), seed=settings.seed, dtype=np.dtype(settings.dtype))


def _run(settings: Settings, dataset: Dataset, yes: bool) -> int:
    images = len(dataset.train_x)
    if settings.batch_size > images:
        raise InputError(
            f"--batch-size {settings.batch_size} is given, but there are only {images:,} training images; "
            f"give at most {images}"
        )
    rule, engine = GradientDescent(settings.learning_rate), choose_engine(settings.engine)
    network = _build(settings, dataset.train_x.shape[1], dataset.classes)
    if not yes:
        require_patience(engine, network, dataset, settings.batch_size, settings.epochs, settings.steps)
    folder = RunFolder(_path(settings.out), network)
    with Interrupts() as interrupts:
        with folder:
            _announce(settings, dataset, network, engine.cost(network, settings.batch_size))
            history = _train(settings, dataset, network, rule, engine, interrupts)
            kept = _keep(folder, settings, dataset, network, history)
        _summarise(history, dataset, kept)
    return {Stop.NOT_FINITE: DIVERGED, Stop.INTERRUPTED: INTERRUPTED}.get(history.stop, 0)


def _train(
    settings: Settings, dataset: Dataset, network: Network, rule: Rule, engine: Engine, interrupts: Interrupts
) -> History:
    with choose_display() as display:

        def after_step(progress: Progress) -> None:
            if progress.step == progress.steps:
                interrupts.hold()
            display(progress)

        history = train(
            network,
            dataset,
            rule,
            engine,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            steps=settings.steps,
            seed=settings.seed,
            callback=after_step,
        )
        interrupts.hold()
        validation = history.validation_accuracy
        display.end(float(history.train_accuracy[-1]), None if validation is None else float(validation[-1]))
    if history.stop is Stop.INTERRUPTED:
        done, steps = history.steps, history.settings["steps"]
        say(f"Ended early at step {done:,} of {steps:,}; writing the run folder.")
    elif history.message != Stop.FINISHED.value:
        say(f"mibun: {history.message}")
    return history


def _keep(folder: RunFolder, settings: Settings, dataset: Dataset, network: Network, history: History) -> Kept:
    cut_short = history.stop is Stop.INTERRUPTED and history.steps
    command = settings.command(history.steps) if cut_short else settings.command()
    values = asdict(settings)

    def report() -> str:
        from mibun.report.training import training_report

        return training_report(history, network, dataset, command=command, settings=values)

    return folder.keep(network, history, command, values, report)


def _announce(settings: Settings, dataset: Dataset, network: Network, cost: Cost) -> None:
    widths = "-".join(map(str, (dataset.train_x.shape[1], *settings.hidden, dataset.classes)))
    say(
        f"Training {widths} on {len(dataset.train_x):,} {dataset.name} images, engine {settings.engine}: "
        f"{human(cost.evaluations)} evaluations a step"
    )


def _summarise(history: History, dataset: Dataset, kept: Kept) -> None:
    if kept.trouble is not None:
        say(f"mibun: the run could not be kept where it was asked for ({kept.trouble})")
    accuracy, images = float(history.test_accuracy[-1]), len(dataset.test_x)
    right = round(accuracy * images)
    seconds = history.seconds + history.measuring_seconds
    click.echo(
        f"Test accuracy {percent(accuracy)} ({right:,} of {images:,} images), "
        f"{history.steps:,} step{'s' * (history.steps != 1)}, {seconds:.1f} s of training"
    )
    click.echo(f"Run folder: {kept.path}")
    # The whole address: many terminals open it on a click.
    click.echo(f"Look at it in a browser: {(kept.path / 'report.html').resolve().as_uri()}")
