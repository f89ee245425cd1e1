"""`mibun learn`: train a network on handwritten digits by numerical gradients."""

from dataclasses import replace
from typing import Any

import click

from mibun.cli.interrupts import Interrupts
from mibun.cli.patience import require_patience
from mibun.cli.progress import choose_display, human, percent, say
from mibun.cli.settings import (
    ACTIVATIONS,
    DEFAULTS,
    RULES,
    SCHEDULES,
    STEEPER,
    Settings,
    expanded,
    load_data,
)
from mibun.descent.rules import Rule
from mibun.errors import InputError
from mibun.learn import Checkpoint, Cost, Dataset, History, Network, Progress, Stop, train
from mibun.learn.engines import ENGINES, choose_engine
from mibun.report.run import CHECKPOINT, Found, Kept, RunFolder, find_run

__all__ = ["learn"]

#: Exit statuses besides 0.
DIVERGED, INTERRUPTED = 1, 130


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
  mibun learn --data flowers.csv --label species a table of your own
  mibun learn --resume runs/0007                 go on with a run that was killed

\b
Ctrl-C ends the training after its step, and writes the run folder with what was learnt; a second
one, or a step of more than three seconds, ends it at once. A run that was ended by Ctrl-C, or killed,
goes on with --resume, to the same weights as one that was not.
Exit status: 0 done, 1 diverged, 2 bad input, 130 ended by Ctrl-C.
"""


@click.command(epilog=_EPILOG, short_help="Train a network on handwritten digits, in seconds.")
@click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="digits|mnist|fashion|FILE|DIR",
    help="What to learn: 1,797 digits that come with mibun, MNIST, Fashion-MNIST, a file .npz or .csv, or a folder "
    "with four IDX files named as MNIST's.",
)
@click.option("--label", metavar="COLUMN", help="Column of the labels in a CSV file: its name, or its number from 0.")
@click.option(
    "--hidden",
    default="50",
    callback=_widths,
    show_default=True,
    metavar="N[,N...]",
    help="Widths of the hidden layers; none for no hidden layer.",
)
@click.option(
    "--activation",
    default="sigmoid",
    type=click.Choice(list(ACTIVATIONS)),
    show_default=True,
    help="What the units of the hidden layers do with their sums.",
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
    help=f"Factor between gradient and update. {_by_data('learning_rate')}; a tenth of that for tanh and relu; "
    "PyTorch's for other rules than descent",
)
@click.option(
    "--rule",
    default="descent",
    type=click.Choice(list(RULES)),
    show_default=True,
    help="How the weights follow the gradient.",
)
@click.option(
    "--schedule",
    default="constant",
    type=click.Choice(SCHEDULES),
    show_default=True,
    help="How the learning rate changes: not at all, or down to 0 after a short rise.",
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
@click.option("--replace", is_flag=True, help="Draw the images of every batch with replacement, as the notes do.")
@click.option(
    "--shift",
    default=0,
    type=click.IntRange(min=0),
    show_default=True,
    metavar="PIXELS",
    help="Move every training image by up to so many pixels each way, anew each time.",
)
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
@click.option(
    "--checkpoint",
    default=30.0,
    type=click.FloatRange(min=0, min_open=True),
    show_default=True,
    metavar="SECONDS",
    help="Time between two checkpoints, from which a run that was killed can go on.",
)
@click.option("--resume", metavar="RUN", help="Go on with this run; only --epochs or --steps may be given beside it.")
@click.pass_context
def learn(context: click.Context, /, checkpoint: float, resume: str | None, out: str, yes: bool, **options: Any) -> int:
    """Train a network on images of digits by numerical gradients and nothing else.

    Shows how it goes, and leaves a numbered folder with report.html, weights.npz, history.json and settings.json.
    """
    if options["epochs"] is not None and options["steps"] is not None:
        raise InputError("--epochs and --steps are both given; give one of them")
    if resume is not None:
        run = find_run(expanded(resume))
        settings = _of_run(context, run, options["epochs"], options["steps"])
    else:
        run, settings = None, _of_options(out, **options)
    # As it was given, not as it was resolved: that is what a person knows it by.
    given = settings.data if resume is not None else options["data"]
    return _run(settings, load_data(given, settings.label), checkpoint, yes, run)


def _of_options(out: str, data: str, learning_rate: float | None, **options: Any) -> Settings:
    """Put defaults in the place of what was not given."""
    defaults = DEFAULTS.get(data, DEFAULTS["mnist"])
    rule = options["rule"]
    own = defaults.learning_rate if rule == "descent" else RULES[rule].learning_rate
    if rule == "descent" and options["activation"] != "sigmoid":
        own = round(STEEPER * own, 6)
    length = {"epochs": options.pop("epochs"), "steps": options.pop("steps")}
    if length == {"epochs": None, "steps": None}:
        length["epochs"] = defaults.epochs
    size = options.pop("batch_size")
    return Settings(
        data=data if data in DEFAULTS else str(expanded(data).resolve()),
        learning_rate=own if learning_rate is None else learning_rate,
        batch_size=defaults.batch_size if size is None else size,
        out=out,
        **length,
        **options,
    )


def _of_run(context: click.Context, run: Found, epochs: int | None, steps: int | None) -> Settings:
    """Take the settings of a run that is to go on, for longer if asked to."""
    given = [
        name
        for name in context.params
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        and name not in ("resume", "checkpoint", "epochs", "steps", "yes")
    ]
    if given:
        raise InputError(
            f"--{given[0].replace('_', '-')} cannot be given with --resume: the run goes on with its own settings; "
            "only --epochs, --steps and --checkpoint may change"
        )
    if not (run.path / CHECKPOINT).is_file():
        why = "it came to its end" if run.published else "it was killed before its first checkpoint"
        command = run.about.get("command", "mibun learn")
        raise InputError(f"the run {run.path} has no checkpoint to go on from: {why}; to repeat it: {command}")
    settings = Settings.of(run.about["settings"])
    # An interrupted run is in its own folder's settings with the length that was asked for.
    return settings if epochs is None and steps is None else replace(settings, epochs=epochs, steps=steps)


def _run(settings: Settings, dataset: Dataset, seconds: float, yes: bool, resume: Found | None) -> int:
    images = len(dataset.train_x)
    if settings.batch_size > images:
        raise InputError(
            f"--batch-size {settings.batch_size} is given, but there are only {images:,} training images; "
            f"give at most {images}"
        )
    rule, engine = settings.make_rule(images), choose_engine(settings.engine)
    network = settings.build(dataset.train_x.shape[1], dataset.classes)
    if not yes:
        require_patience(engine, network, dataset, settings.batch_size, settings.epochs, settings.steps)
    folder = RunFolder(expanded(settings.out), network, settings.command(), settings.to_dict(), resume)
    with Interrupts() as interrupts:
        with folder:
            _announce(settings, dataset, network, engine.cost(network, settings.batch_size))
            history = _train(settings, dataset, network, rule, folder, seconds, interrupts)
            _say_why(history)
            kept = _keep(folder, settings, dataset, network, history)
        _summarise(history, dataset, kept)
    return {Stop.NOT_FINITE: DIVERGED, Stop.INTERRUPTED: INTERRUPTED}.get(history.stop, 0)


def _train(
    settings: Settings,
    dataset: Dataset,
    network: Network,
    rule: Rule,
    folder: RunFolder,
    seconds: float,
    interrupts: Interrupts,
) -> History:
    checkpoint, told = folder.folder / CHECKPOINT, [False]
    with choose_display() as display:
        if checkpoint.exists():
            display.say("Going on from the checkpoint of this run.")

        def after_step(progress: Progress) -> None:
            if progress.step == progress.steps:
                interrupts.hold()
            interrupts.check()
            display(progress)
            if not told[0] and progress.seconds > seconds and checkpoint.exists():
                told[0] = True
                display.say(f"Should this be killed, it goes on with: mibun learn --resume {folder.place}")

        history = train(
            network,
            dataset,
            rule,
            settings.engine,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            steps=settings.steps,
            seed=settings.seed,
            callback=after_step,
            replace=settings.replace,
            shift=settings.shift,
            checkpoint=Checkpoint(folder.folder, seconds=seconds),
            resume=True,
        )
        interrupts.hold()
        validation = history.validation_accuracy
        last = None if validation is None else float(validation[-1])
        display.end(float(history.train_accuracy[-1]), last, history.notes)
    return history


def _say_why(history: History) -> None:
    """Say why the training ended, if not by its last step."""
    if history.stop is Stop.INTERRUPTED:
        done, steps = history.steps, history.settings["steps"]
        say(f"Ended early at step {done:,} of {steps:,}; writing the run folder.")
    elif history.message != Stop.FINISHED.value:
        say(f"mibun: {history.message}")


def _keep(folder: RunFolder, settings: Settings, dataset: Dataset, network: Network, history: History) -> Kept:
    cut_short = history.stop is Stop.INTERRUPTED and history.steps
    command = settings.command(history.steps) if cut_short else settings.command()
    values = settings.to_dict()

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
    if (kept.path / CHECKPOINT).exists():
        click.echo(f"To go on: mibun learn --resume {kept.path}")
    # The whole address: many terminals open it on a click.
    click.echo(f"Look at it in a browser: {(kept.path / 'report.html').resolve().as_uri()}")
