"""The course of a training run: its loss, and its accuracies."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mibun.draw.style import MARKERS, Look, axes_for, legend_of, look_of
from mibun.draw.words import Language, Words
from mibun.errors import InputError
from mibun.learn import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

__all__ = ["TrainingArtists", "mean_width", "running_mean", "training"]

#: Decades that the loss spans before its axis becomes logarithmic.
_LINEAR_DECADES = 1.5
#: Decades above and below 1 at which a logarithmic axis ends; what lies beyond is not seen.
_MOST_DECADES = 200
#: Markers on a line, and the most steps that a running mean goes over, less one.
_MARKERS, _WIDEST_MEAN = 20, 500


class TrainingArtists(NamedTuple):
    """What `training` drew.

    Attributes
    ----------
    axes : Axes
    lines : dict
        For the loss `"loss"` (one point a step) and, from 50 steps on, `"mean"`; for the accuracy
        `"training"`, `"validation"` (where there is one) and `"test"`.
    legend : Legend
    """

    axes: Axes
    lines: dict[str, Line2D]
    legend: Legend


def training(
    history: History, quantity: str = "loss", *, language: Language = "en", ax: Axes | None = None
) -> TrainingArtists:
    """Draw the course of a training run over its steps, with the epochs on the upper edge.

    Parameters
    ----------
    history
        What `learn.train` returned.
    quantity
        `"loss"`: the loss of every step's batch as a thin line, and the mean of the steps around each (a twenty-fifth
        of the run, at most 501) on top of it; the axis is logarithmic if the loss spans more than 1.5 decades.
        `"accuracy"`: the shares of right answers on training, validation and test data, where they were measured.
    language : "en" or "ko"
    ax
        Where to draw; by default a new figure of pyplot.

    Returns
    -------
    TrainingArtists
        The Axes, the lines by name, the legend.

    Raises
    ------
    InputError
        If the quantity is unknown, or `history` is not a History.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(64, 10)])
    >>> history = learn.train(network, learn.load_digits(), steps=60)
    >>> drawn = mb.draw.training(history, ax=Figure().subplots())
    >>> bool((drawn.lines["loss"].get_ydata() == history.loss).all())
    True
    """
    if not isinstance(history, History):
        raise InputError(f"history must be what learn.train returned, not {type(history).__name__}")
    if not isinstance(quantity, str) or quantity not in _QUANTITIES:
        raise InputError(f"quantity must be one of {', '.join(sorted(_QUANTITIES))}, not {quantity!r}")
    words = Words(language)
    axes = axes_for(ax, (6.4, 4.2))
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    look = look_of(axes)
    lines = _QUANTITIES[quantity](history, axes, look, words)
    axes.set_xlabel(words("steps"))
    axes.set_xlim(0, max(1, history.steps) * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if history.steps and history.epochs:
        _add_epochs(axes, history.steps / history.epochs, words("epochs"))
    legend = legend_of(axes, look, loc=_free_corner(history, quantity), fontsize="medium")
    words.dress(axes)
    return TrainingArtists(axes, lines, legend)


def _add_epochs(axes: Axes, per_epoch: float, label: str) -> None:
    def epochs(steps: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(steps, np.float64) / per_epoch

    def steps(epochs: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(epochs, np.float64) * per_epoch

    axes.secondary_xaxis("top", functions=(epochs, steps)).set_xlabel(label)


def _free_corner(history: History, quantity: str) -> Literal["lower right", "upper right"]:
    """Give the corner that the lines leave free; matplotlib's own search is slow for many steps."""
    if quantity == "accuracy":
        return "lower right" if history.train_accuracy[-1] > 0.5 else "upper right"
    rises = len(history.loss) > 0 and not history.loss[-1] <= history.loss[0]
    return "lower right" if rises else "upper right"


def _draw_loss(history: History, axes: Axes, look: Look, words: Words) -> dict[str, Line2D]:
    loss, width = history.loss, mean_width(len(history.loss))
    steps = np.arange(1, len(loss) + 1)
    text = words("each step (last {last})", last=f"{loss[-1]:.3g}") if len(loss) else words("each step (none)")
    weak = {"linewidth": 0.7, "alpha": 0.5} if width > 1 else {"linewidth": 1.5}
    marker = "o" if len(loss) <= _MARKERS else ""
    (line,) = axes.plot(steps, loss, **look.line(0, **weak, marker=marker, markersize=4, label=text))
    lines = {"loss": line}
    if width > 1:
        mean = running_mean(loss, width)
        text = words("mean of {width} steps (last {last})", width=width, last=f"{mean[-1]:.3g}")
        (lines["mean"],) = axes.plot(steps, mean, **look.line(0, linewidth=2.0, label=text))
    _scale_loss(axes, loss[np.isfinite(loss)])
    if not len(loss):
        axes.text(0.5, 0.5, words("no step was done"), transform=axes.transAxes, ha="center", color=look.ink)
    axes.set_ylabel(words("loss"))
    axes.set_title(words("Loss of each training step"))
    return lines


def _scale_loss(axes: Axes, loss: NDArray[np.float64]) -> None:
    if not loss.size or loss.min() <= 0:
        return
    low, high = math.log10(loss.min()), math.log10(loss.max())
    if high - low <= _LINEAR_DECADES:
        return
    if max(-low, high) > _MOST_DECADES:
        # What a diverging run reaches leaves matplotlib no room for margins and ticks below the largest float.
        bottom, top = max(low, -_MOST_DECADES), min(high, _MOST_DECADES)
        axes.set_ylim(10.0 ** min(bottom, _MOST_DECADES - 1), 10.0 ** max(top, 1 - _MOST_DECADES))
    axes.set_yscale("log")


def _draw_accuracy(history: History, axes: Axes, look: Look, words: Words) -> dict[str, Line2D]:
    from matplotlib.ticker import PercentFormatter

    shares = {
        "training": history.train_accuracy,
        "validation": history.validation_accuracy,
        "test": history.test_accuracy,
    }
    lines = {}
    for number, (name, share) in enumerate(shares.items()):
        if share is None:
            continue
        every = math.ceil(len(share) / _MARKERS)
        text = words("{name} (last {last} %)", name=words(name), last=f"{100 * share[-1]:.1f}")
        style = look.line(number, marker=MARKERS[number], markersize=5, label=text)
        # Each line has its markers elsewhere, so that they do not hide each other where there are many.
        (lines[name],) = axes.plot(history.measured_at, share, **style, markevery=(number * every // 3, every))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0, symbol=" %"))
    axes.set_ylim(0.0, 1.03)
    axes.set_ylabel(words("right answers"))
    axes.set_title(words("Accuracy"))
    return lines


_QUANTITIES: dict[str, Callable[[History, Axes, Look, Words], dict[str, Line2D]]] = {
    "accuracy": _draw_accuracy,
    "loss": _draw_loss,
}


def mean_width(steps: int) -> int:
    """Give the odd number of steps that the running mean of a run of `steps` goes over: 1 below 50 steps."""
    return min(steps // 25, _WIDEST_MEAN) // 2 * 2 + 1


def running_mean(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Give the mean of the `width` (odd) values around each place; of fewer at the ends, and of the finite ones only.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.draw.training import running_mean
    >>> running_mean(np.array([4.0, 2.0, 0.0, np.inf, 6.0]), 3)
    array([3., 2., 1., 3., 6.])
    """
    if not len(values):
        return np.zeros(0)
    finite = np.isfinite(values)
    summed, counted = _window_sums(np.where(finite, values, 0.0), width), _window_sums(finite * 1.0, width)
    return np.where(counted > 0, summed / np.maximum(counted, 1), np.nan)


def _window_sums(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Sum every window on its own: a sum that runs along would lose small values after a huge one."""
    padded = np.pad(values, width // 2)
    with np.errstate(over="ignore"):  # a mean beyond the largest float is not drawn
        sums: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(padded, width).sum(axis=1)
    return sums
