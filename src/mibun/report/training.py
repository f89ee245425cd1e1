"""The report of a training run: how it went, what its gradients cost, and what the network still gets wrong."""

import base64
import io
import math
import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mibun.draw.training import mean_width, running_mean, training
from mibun.errors import InputError
from mibun.learn import Dataset, Dense, History, Network, SoftmaxCrossEntropy, Stop
from mibun.report.figures import has_matplotlib, picture
from mibun.report.findings import diagnosis, first_layer
from mibun.report.page import command_line, counted, duration, escape, notice, page, paragraph, percent, section, table
from mibun.report.run import environment

__all__ = ["training_report"]

#: Most images, rows of a table without pictures, and classes of the confusion table.
_IMAGES, _ROWS, _CLASSES = 50, 50, 20
#: Places at which the loss is told without pictures.
_LOSSES = 12
_INSTALL = "pip install 'mibun[plot]'"
_ABSENT = "—"

_LOOP = "Coordinate"

# What each engine does and takes for granted, by the name of its class.
_ENGINES = {
    "Auto": (
        "The engine auto chose the cheapest engine that can serve every layer of the network: chain where each has a "
        "local difference, else one that needs less of them."
    ),
    "Chain": (
        "The engine chain takes a numerical difference of every activation at its own input and of the loss in each "
        "of its outputs, moves linear maps exactly, and puts the pieces together by the chain rule. It assumes that "
        "the network is a chain of layers whose activations work on every unit alone."
    ),
    "Column": (
        "The engine column gives the numbers of the loop over all parameters, each moved by ± h, but computes only "
        "what a step changes: one column of the pre-activations, and what follows. It assumes that dense layers are "
        "sums of products, that samples do not touch each other and, where it interpolates, that losses are smooth in "
        "a unit."
    ),
    _LOOP: (
        "The engine coordinate moves every parameter by ± h on its own and passes the whole batch through the network "
        "each time. It assumes nothing about the network."
    ),
    "Direction": (
        "The engine direction takes forward passes only: everything moves at once along random directions, and what "
        "the loss changes by goes to each part. Its gradient is right in the mean over directions, not in each step."
    ),
    "Node": (
        "The engine node moves the pre-activation of every unit by ± h, and spreads the change of the loss over the "
        "unit's inputs. It assumes that dense layers are sums of products, and that samples do not touch each other."
    ),
}


def training_report(
    history: History,
    network: Network,
    dataset: Dataset,
    *,
    command: str,
    settings: Mapping[str, object],
    seconds_per_forward: float | None = None,
) -> str:
    """Write the report of a training run as one HTML page that needs nothing beside it.

    The page loads nothing from outside and runs no script; every text from the caller is escaped. The same
    arguments give the same page, if `seconds_per_forward` is among them. Without matplotlib the page has tables
    where the pictures would be, and says what to install.

    Parameters
    ----------
    history
        What `learn.train` returned; runs that ended early are marked as such.
    network
        The network that it left, to find the test images that are misclassified.
    dataset
        The data, as they were given to `learn.train`. Square images are shown, others only listed.
    command
        The command line that repeats the run.
    settings
        All settings of the run, by name. `"environment"`, a mapping of names to versions, may be one of them; by
        default the page names the versions of this process.
    seconds_per_forward
        Time of one forward pass of a batch, from which the time of the loop over all parameters is estimated. By
        default it is measured, in about 5 ms.

    Returns
    -------
    str
        The page, to be written as UTF-8.

    Raises
    ------
    InputError
        If dataset and network do not fit.

    Examples
    --------
    >>> from mibun import learn
    >>> from mibun.report import training_report
    >>> network, digits = learn.Network([learn.Dense(64, 10)]), learn.load_digits()
    >>> history = learn.train(network, digits, steps=100)
    >>> page = training_report(history, network, digits, command="python mine.py", settings={"steps": 100})
    >>> page.startswith("<!DOCTYPE html>")
    True
    """
    if not isinstance(history, History):
        raise InputError(f"history must be what learn.train returned, not {type(history).__name__}")
    answers = _Answers.of(network, dataset)
    pictures = has_matplotlib()
    title = f"{dataset.name}: test accuracy {percent(history.test_accuracy[-1])}"
    versions = settings.get("environment")
    shown = {name: value for name, value in settings.items() if name != "environment"}
    parts = [
        _head(title, history, network, dataset),
        diagnosis(history.notes, history.steps, history.stop),
        _curves(history) if pictures else _curves_in_numbers(history),
        _numbers(history, dataset),
        _engine(history, network, dataset, seconds_per_forward),
        _mistakes(answers, network, pictures),
        _confusion(answers),
        first_layer(network) if pictures else "",
        section("settings", "Settings", _words(shown)),
        section("command", "The command that repeats this run", command_line(command)),
        section("versions", "Versions", _words(versions if isinstance(versions, Mapping) else environment())),
    ]
    return page(title, "\n".join(part for part in parts if part))


@dataclass(frozen=True)
class _Answers:
    """What the network says to the test images."""

    images: NDArray[Any]
    labels: NDArray[Any]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    wrong: NDArray[np.int64]  # numbers of the images, the most confident first
    classes: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, network: Network, dataset: Dataset) -> "_Answers":
        logits = network.logits(dataset.test_x)
        # As in `Network.accuracy`: the largest logit decides; probabilities may be equal to the last bit.
        predicted = logits.argmax(axis=1)
        outputs = network.loss_function.outputs(logits)
        confidence = np.asarray(outputs[np.arange(len(outputs)), predicted], np.float64)
        wrong = np.flatnonzero(predicted != dataset.test_labels)
        wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
        classes = max(dataset.classes, logits.shape[1])
        given = dataset.class_names or ()
        names = (*given, *map(str, range(len(given), classes)))
        return cls(dataset.test_x, dataset.test_labels, predicted, confidence, wrong, classes, names)


def _head(title: str, history: History, network: Network, dataset: Dataset) -> str:
    widths = [network.inputs, *(layer.outputs for layer in network.layers if isinstance(layer, Dense))]
    name = "-".join(map(str, widths)) + " network" if len(widths) > 1 else "network"
    length = f"{counted(history.steps, 'step')} ({history.epochs:.3g} epochs) in {duration(history.seconds)}"
    summary = (
        f"A {name} ({network.vector.size:,} parameters) learnt from {counted(len(dataset.train_labels), 'image')} by "
        f"numerical gradients alone, for {length}; why it stopped: {history.message}."
    )
    early = "" if history.stop is Stop.FINISHED else notice(f"This run ended early: {history.message}.")
    return f"<header>\n<h1>{escape(title)}</h1>\n{paragraph(summary)}\n{early}</header>"


def _curves(history: History) -> str:
    drawn = []
    if len(history.loss):
        course = f"from {history.loss[0]:.3g} to {history.loss[-1]:.3g} in {counted(history.steps, 'step')}"
        drawn.append(_curve(history, "loss", f"Loss of each training step, {course}"))
    else:
        drawn.append(paragraph("No step was done, so there is no loss to draw."))
    last = f"test accuracy {percent(history.test_accuracy[-1])} at the end"
    drawn.append(_curve(history, "accuracy", f"Accuracy on training, validation and test images: {last}"))
    return section("curves", "How it learnt", f'<div class="curves">\n{"".join(drawn)}</div>')


def _curve(history: History, quantity: str, label: str) -> str:
    return picture(lambda axes: training(history, quantity, ax=axes), (5.4, 3.7), label, quantity)


def _curves_in_numbers(history: History) -> str:
    per_epoch = history.steps / history.epochs if history.epochs else math.inf
    width = mean_width(len(history.loss))
    mean = running_mean(history.loss, width)
    loss = table(
        ["step", "epoch", "loss", f"mean of {width} steps"],
        [
            [f"{at + 1:,}", f"{(at + 1) / per_epoch:.2f}", f"{history.loss[at]:.4g}", f"{mean[at]:.4g}"]
            for at in _places(len(history.loss), _LOSSES)
        ],
    )
    names, shares = zip(*_shares(history), strict=True)
    accuracy = table(
        ["after step", *names],
        [
            [f"{history.measured_at[at]:,}", *(percent(share[at], 2) for share in shares)]
            for at in _places(len(history.measured_at), _ROWS)
        ],
    )
    return section(
        "curves",
        "How it learnt",
        notice("The pictures of this page need matplotlib; install it and repeat the run:", _INSTALL),
        loss if len(history.loss) else paragraph("No step was done, so there is no loss to tell."),
        accuracy,
    )


def _places(count: int, most: int) -> list[int]:
    """Give at most so many places from first to last, evenly."""
    places: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
    return places


def _shares(history: History) -> list[tuple[str, NDArray[np.float64]]]:
    validation = history.validation_accuracy
    middle = [] if validation is None else [("validation", validation)]
    return [("training", history.train_accuracy), *middle, ("test", history.test_accuracy)]


def _numbers(history: History, dataset: Dataset) -> str:
    rows = []
    for name, shares in _shares(history):
        labels = getattr(dataset, f"{'train' if name == 'training' else name}_labels")
        images, right = len(labels), round(float(shares[-1]) * len(labels))
        low, high = _wilson(right, images)
        interval = f"{100 * low:.2f} to {percent(high, 2)}" if name == "test" else _ABSENT
        rows.append([name, percent(shares[-1], 2), f"{right:,} of {images:,}", interval])
    course = [
        ["loss of the first step", f"{history.loss[0]:.4g}" if len(history.loss) else _ABSENT],
        ["loss of the last step", f"{history.loss[-1]:.4g}" if len(history.loss) else _ABSENT],
        ["steps", f"{history.steps:,}"],
        ["epochs", f"{history.epochs:.4g}"],
        ["time for gradients and updates", duration(history.seconds)],
        ["time for measuring the accuracies", duration(history.measuring_seconds)],
    ]
    return section(
        "numbers",
        "Final numbers",
        table(["images", "accuracy", "right", "95 % interval"], rows),
        paragraph("The interval (Wilson's) is what the test images say about all images of their kind."),
        table([], course),
    )


def _wilson(right: int, images: int) -> tuple[float, float]:
    """Give the 95 % interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22, 209)."""
    z = statistics.NormalDist().inv_cdf(0.975)
    share, spread = right / images, z * z / images
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / images + spread / images / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def _engine(history: History, network: Network, dataset: Dataset, seconds_per_forward: float | None) -> str:
    engine = str(history.settings.get("engine", ""))
    kind = engine.partition("(")[0]
    batch = min(int(history.settings.get("batch_size", 100)), len(dataset.train_labels))
    forward = seconds_per_forward
    if forward is None:
        forward = _measure_forward(network, network.batch(dataset.train_x[:batch]))
    passes = 2 * network.vector.size
    loop_evaluations, steps = passes * batch * (network.nonlinear_units + 1), history.steps
    per_step = history.seconds / steps if steps else None
    evaluations, work = (history.settings.get(f"{name}_per_step") for name in ("evaluations", "forward_equivalents"))
    rows = [
        ["forward passes a step, or work worth as many", _count(work), f"{passes:,}"],
        ["evaluations a step", _count(evaluations), f"{loop_evaluations:,}"],
        ["evaluations in total", f"{history.evaluations:,}", f"{loop_evaluations * steps:,}"],
        ["time a step", _ABSENT if per_step is None else duration(per_step), f"about {duration(passes * forward)}"],
        ["time in total", duration(history.seconds), f"about {duration(passes * forward * steps)}"],
    ]
    return section(
        "engine",
        "The gradient engine and what it cost",
        paragraph(_ENGINES.get(kind, f"The engine {engine or 'of this run'} is not one of mibun's own.")),
        paragraph(_loop(history, network.vector.size, batch, forward, is_loop=kind == _LOOP)),
        table(["", f"this run: {engine or _ABSENT}", "loop over all parameters"], rows),
        paragraph(
            "An evaluation is the value of one nonlinear unit, or of the loss, for one image. A difference that is "
            "computed by one formula counts as the two values that it is the difference of."
        ),
    )


def _loop(history: History, parameters: int, batch: int, forward: float, *, is_loop: bool) -> str:
    """Say what the loop over all parameters takes, in one paragraph."""
    total = duration(2 * parameters * forward * max(1, history.steps))
    took = f"; this run took {duration(history.seconds)}" if history.steps else ""
    return (
        ("This run was the loop over all parameters itself; here is what is expected of it. " if is_loop else "")
        + f"The loop over all parameters takes 2 forward passes of the batch for each of {parameters:,} parameters, in "
        f"every step. One pass of {counted(batch, 'image')} takes {duration(forward)} here, so the loop would take "
        f"about {total} for {counted(max(1, history.steps), 'step')}{took}."
    )


def _measure_forward(network: Network, x: NDArray[Any]) -> float:
    """Give the median seconds of a forward pass, from at least 3 and otherwise about 5 ms of them."""
    network.forward(x)
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.005 and len(times) < 100):
        started = time.perf_counter()
        network.forward(x)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _count(value: object) -> str:
    if not isinstance(value, (int, float)):
        return _ABSENT
    return f"{value:,.1f}" if isinstance(value, float) and value < 1000 else f"{value:,.0f}"


def _mistakes(answers: _Answers, network: Network, pictures: bool) -> str:
    heading, count, images = "Misclassified test images", len(answers.wrong), len(answers.labels)
    if not count:
        return section("mistakes", heading, paragraph(f"None: all {images:,} test images are classified rightly."))
    likely = isinstance(network.loss_function, SoftmaxCrossEntropy)
    measure = "probability" if likely else "output"
    shown = answers.wrong[:_IMAGES]
    some = "" if count <= _IMAGES else f", and here are the {_IMAGES} that it was surest of"
    text = (
        f"The network misclassifies {count:,} of {images:,} test images ({percent(count / images)}){some}. Each has "
        f"its label → what the network took it for, and the {measure} that it gave to that; the largest stands first."
    )
    rows = [
        (
            number,
            answers.names[answers.labels[number]],
            answers.names[answers.predicted[number]],
            _sure(answers.confidence[number], likely),
        )
        for number in shown.tolist()
    ]
    side = math.isqrt(math.prod(answers.images.shape[1:]))
    square = side * side == math.prod(answers.images.shape[1:])
    if pictures and square:
        body = _gallery(answers.images[shown].reshape(-1, side, side), rows)
    else:
        body = table(["test image", "label", "predicted", measure], rows)
    excuse = "" if square else paragraph(f"Images of {answers.images.shape[1]:,} pixels are no squares: no pictures.")
    return section("mistakes", heading, paragraph(text), excuse, body)


def _sure(confidence: float, likely: bool) -> str:
    return percent(confidence) if likely else f"{confidence:.3g}"


def _gallery(images: NDArray[Any], rows: Iterable[tuple[int, str, str, str]]) -> str:
    from matplotlib.image import imsave

    low, high = float(images.min()), float(images.max())
    figures = []
    for image, (number, label, predicted, sure) in zip(images, rows, strict=True):
        file = io.BytesIO()
        imsave(file, image, format="png", cmap="gray_r", vmin=low, vmax=high)
        data = base64.b64encode(file.getvalue()).decode("ascii")
        figures.append(
            f'<figure class="card"><img src="data:image/png;base64,{data}" width="{image.shape[1]}" '
            f'height="{image.shape[0]}" alt="test image {number}: a {escape(label)}, taken for a {escape(predicted)}">'
            f"<figcaption>{escape(label)} → {escape(predicted)} <small>{escape(sure)}</small></figcaption></figure>"
        )
    return '<div class="mistakes">\n' + "\n".join(figures) + "\n</div>"


def _confusion(answers: _Answers) -> str:
    classes = answers.classes
    if classes > _CLASSES:
        return ""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (answers.labels, answers.predicted), 1)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in answers.names[:classes])
    rows = []
    for label, row in enumerate(counts.tolist()):
        kinds = ["right" if at == label else "wrong" if count else "none" for at, count in enumerate(row)]
        cells = "".join(f'<td class="{kind}">{count}</td>' for kind, count in zip(kinds, row, strict=True))
        rows.append(f'<tr><th scope="row">{escape(answers.names[label])}</th>{cells}</tr>')
    body = "\n".join(rows)
    return section(
        "confusion",
        "What was taken for what",
        paragraph("Test images by label (rows) and by what the network took them for (columns)."),
        f'<div class="scroll"><table class="confusion">\n<thead><tr><td></td>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>",
    )


def _words(settings: Mapping[str, object]) -> str:
    rows = [[name.replace("_", " "), _word(value)] for name, value in settings.items()]
    return table([], rows, "words") if rows else paragraph("None were given.")


def _word(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={part}" for name, part in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return _ABSENT if value is None else str(value)
