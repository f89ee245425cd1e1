"""Several training runs on one page: their curves together, their numbers, and the settings in which they differ."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mibun.draw.training import mean_width, running_mean
from mibun.errors import FormatError, InputError
from mibun.learn import History
from mibun.report.figures import has_matplotlib, picture
from mibun.report.page import command_line, counted, duration, escape, notice, page, paragraph, percent, section, table
from mibun.report.run import Found, find_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Run", "comparison_report", "read_run"]

#: Most runs whose curves can be told apart.
_RUNS = 8
# Okabe and Ito (2008), told apart with every kind of colour vision; dashes tell in grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_DASHES = ("-", "--", "-.", ":")


class Run(NamedTuple):
    """A run that is compared.

    Attributes
    ----------
    name
        What it is called on the page: its folder.
    history : History
    settings, command
        Of its settings.json.
    """

    name: str
    history: History
    settings: dict[str, Any]
    command: str


def read_run(path: str | Path) -> Run:
    """Read the run in a folder.

    Raises
    ------
    InputError
        If there is no such run, or it has not come to its end.
    FormatError
        If its files cannot be read.
    """
    found: Found = find_run(path)
    file = found.path / "history.json"
    if not file.is_file():
        raise InputError(f"the run {path} was killed before its end; go on with: mibun learn --resume {path}")
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        history = History.from_dict(stored)
    except (OSError, ValueError, TypeError) as error:
        raise FormatError(f"{file} cannot be read as the history of a run: {error}") from None
    return Run(str(path), history, found.about["settings"], str(found.about.get("command", "")))


def comparison_report(runs: Sequence[Run]) -> str:
    """Compare runs on one HTML page that needs nothing beside it.

    Parameters
    ----------
    runs
        At least one, at most eight, each with a name of its own.

    Raises
    ------
    InputError
        If there are none or too many.
    """
    if not 1 <= len(runs) <= _RUNS:
        raise InputError(f"{len(runs)} runs are given; expected 1 to {_RUNS}")
    best = max(runs, key=lambda run: float(_judge(run)[-1]))
    title = f"{counted(len(runs), 'training run')} compared" if len(runs) > 1 else f"Training run {runs[0].name}"
    split = "validation" if all(run.history.validation_accuracy is not None for run in runs) else "test"
    lead = (
        f"{best.name} is the best on the {split} images, {percent(float(_judge(best)[-1]))} of which it has right at "
        f"the end; on the test images it has {percent(float(best.history.test_accuracy[-1]))}."
    )
    parts = [
        f"<header>\n<h1>{escape(title)}</h1>\n{paragraph(lead)}\n</header>",
        _curves(runs),
        _numbers(runs),
        _settings(runs),
        _notes(runs),
        section(
            "commands",
            "The commands that repeat them",
            *(command_line(run.command) for run in runs),
        ),
    ]
    return page(title, "\n".join(part for part in parts if part))


def _judge(run: Run) -> Any:
    """Give the accuracies that a choice may rest on."""
    history = run.history
    return history.test_accuracy if history.validation_accuracy is None else history.validation_accuracy


def _curves(runs: Sequence[Run]) -> str:
    if not has_matplotlib():
        return section(
            "curves",
            "How they learnt",
            notice("The pictures of this page need matplotlib:", "pip install 'mibun[plot]'"),
        )
    names = ", ".join(run.name for run in runs)
    drawn = [
        picture(lambda axes: _draw_loss(runs, axes), (5.4, 3.7), f"Loss of {names}", "loss"),
        picture(lambda axes: _draw_accuracy(runs, axes), (5.4, 3.7), f"Accuracy of {names}", "accuracy"),
    ]
    return section("curves", "How they learnt", f'<div class="curves">\n{"".join(drawn)}</div>')


def _look(at: int) -> dict[str, Any]:
    return {"color": _COLOURS[at], "linestyle": _DASHES[at % len(_DASHES)], "linewidth": 1.7}


def _draw_loss(runs: Sequence[Run], axes: "Axes") -> None:
    for at, run in enumerate(runs):
        loss = run.history.loss
        if len(loss):
            mean = running_mean(loss, mean_width(len(loss)))
            epochs = [step * run.history.epochs / run.history.steps for step in range(1, len(loss) + 1)]
            axes.plot(epochs, mean, label=f"{run.name} (last {mean[-1]:.3g})", **_look(at))
    axes.set_yscale("log")
    _finish(axes, "Running mean of the loss", "loss")


def _draw_accuracy(runs: Sequence[Run], axes: "Axes") -> None:
    from matplotlib.ticker import PercentFormatter

    for at, run in enumerate(runs):
        history, shares = run.history, _judge(run)
        per_step = history.epochs / history.steps if history.steps else 0.0
        axes.plot(history.measured_at * per_step, shares, label=f"{run.name} (last {percent(shares[-1])})", **_look(at))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, symbol=" %"))
    _finish(axes, "Accuracy on validation images, else on test images", "right answers")


def _finish(axes: "Axes", title: str, quantity: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("epochs")
    axes.set_ylabel(quantity)
    axes.grid(visible=True, color="0.88", linewidth=0.6)
    axes.legend(fontsize=8)


def _numbers(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        history = run.history
        held = history.validation_accuracy
        rows.append(
            [
                run.name,
                percent(float(history.train_accuracy[-1]), 2),
                "—" if held is None else percent(float(held[-1]), 2),
                percent(float(history.test_accuracy[-1]), 2),
                f"{history.steps:,}",
                f"{history.epochs:.3g}",
                duration(history.seconds),
                history.stop.word,
            ]
        )
    head = ["run", "training", "validation", "test", "steps", "epochs", "time", "why it stopped"]
    return section("numbers", "Final numbers", table(head, rows))


def _settings(runs: Sequence[Run]) -> str:
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    different = [name for name in names if len({json.dumps(run.settings.get(name)) for run in runs}) > 1]
    if len(runs) < 2:
        different = names
    if not different:
        return section("settings", "Settings", paragraph("All settings are the same."))
    head = ["setting", *(run.name for run in runs)]
    rows = [[name.replace("_", " "), *(_word(run.settings.get(name)) for run in runs)] for name in different]
    return section("settings", "Settings that differ" if len(runs) > 1 else "Settings", table(head, rows, "words"))


def _word(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "—" if value is None else str(value)


def _notes(runs: Sequence[Run]) -> str:
    rows = [[run.name, note.kind, note.message] for run in runs for note in run.history.notes]
    return section("diagnosis", "Diagnosis", table(["run", "what", "in numbers"], rows, "words")) if rows else ""
