"""Pictures of a training run: its loss, its accuracies, and the images that it was about."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mibun.errors import InputError, MissingDependency
from mibun.learn import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text

__all__ = [
    "DigitsArtists",
    "TrainingArtists",
    "axes_for",
    "digits",
    "require_matplotlib",
    "running_mean",
    "training",
]

# Okabe and Ito (2008): told apart with every kind of colour vision. In grey, styles and markers tell.
_BLUE, _ORANGE, _GREEN, _VERMILION, _SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9"
_LOOKS = {
    "training": {"color": _BLUE, "linestyle": "-", "marker": "o"},
    "validation": {"color": _ORANGE, "linestyle": "--", "marker": "s"},
    "test": {"color": _GREEN, "linestyle": "-.", "marker": "^"},
}
#: Decades that the loss spans before its axis becomes logarithmic.
_LINEAR_DECADES = 1.5
#: Decades above and below 1 at which a logarithmic axis ends; what lies beyond is not seen.
_MOST_DECADES = 200
#: Markers on a line, and the most steps that a running mean goes over, less one.
_MARKERS, _WIDEST_MEAN = 20, 500
#: Width of an image of `digits` in a figure of its own, and the longest side of that figure, in inches.
_CELL, _LONGEST = 0.75, 40.0


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


class DigitsArtists(NamedTuple):
    """What `digits` drew.

    Attributes
    ----------
    axes : Axes
    image : AxesImage or None
        All images as one mosaic; None where there were none.
    captions : tuple of Text
        One for each image, in order; none without labels and predictions.
    frames : dict of int to Rectangle
        The frame around each image whose prediction is not its label, by the image's number.
    """

    axes: Axes
    image: AxesImage | None
    captions: tuple[Text, ...]
    frames: dict[int, Rectangle]


def training(history: History, quantity: str = "loss", *, ax: Axes | None = None) -> TrainingArtists:
    """Draw the course of a training run over its steps, with the epochs on the upper edge.

    Parameters
    ----------
    history
        What `learn.train` returned.
    quantity
        `"loss"`: the loss of every step's batch as a thin line, and the mean of the steps around each (a twenty-fifth
        of the run, at most 501) on top of it; the axis is logarithmic if the loss spans more than 1.5 decades.
        `"accuracy"`: the shares of right answers on training, validation and test data, where they were measured.
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
    require_matplotlib()
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes = axes_for(ax, (6.4, 4.2))
    lines = _QUANTITIES[quantity](history, axes)
    axes.set_xlabel("steps")
    axes.set_xlim(0, max(1, history.steps) * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if history.steps and history.epochs:
        _add_epochs(axes, history.steps / history.epochs)
    axes.grid(visible=True, color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
    return TrainingArtists(axes, lines, axes.legend(loc=_free_corner(history, quantity), framealpha=0.9))


def _add_epochs(axes: Axes, per_epoch: float) -> None:
    def epochs(steps: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(steps, np.float64) / per_epoch

    def steps(epochs: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(epochs, np.float64) * per_epoch

    axes.secondary_xaxis("top", functions=(epochs, steps)).set_xlabel("epochs")


def _free_corner(history: History, quantity: str) -> Literal["lower right", "upper right"]:
    """Give the corner that the lines leave free; matplotlib's own search is slow for many steps."""
    if quantity == "accuracy":
        return "lower right" if history.train_accuracy[-1] > 0.5 else "upper right"
    rises = len(history.loss) > 0 and not history.loss[-1] <= history.loss[0]
    return "lower right" if rises else "upper right"


def _draw_loss(history: History, axes: Axes) -> dict[str, Line2D]:
    loss, width = history.loss, mean_width(len(history.loss))
    steps = np.arange(1, len(loss) + 1)
    last = f" (last {loss[-1]:.3g})" if len(loss) else " (none)"
    thin = width > 1
    color, linewidth = (_SKY, 0.7) if thin else (_BLUE, 1.5)
    marker = "o" if len(loss) <= _MARKERS else ""
    (line,) = axes.plot(
        steps, loss, color=color, linewidth=linewidth, marker=marker, markersize=4, label="each step" + last
    )
    lines = {"loss": line}
    if thin:
        mean = running_mean(loss, width)
        (lines["mean"],) = axes.plot(
            steps, mean, color=_BLUE, linewidth=2.0, label=f"mean of {width} steps (last {mean[-1]:.3g})"
        )
    _scale_loss(axes, loss[np.isfinite(loss)])
    if not len(loss):
        axes.text(0.5, 0.5, "no step was done", transform=axes.transAxes, ha="center", va="center")
    axes.set_ylabel("loss")
    axes.set_title("Loss of each training step")
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


def _draw_accuracy(history: History, axes: Axes) -> dict[str, Line2D]:
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
        (lines[name],) = axes.plot(
            history.measured_at,
            share,
            **_LOOKS[name],  # type: ignore[arg-type]
            linewidth=1.6,
            markersize=5,
            # Each line has its markers elsewhere, so that they do not hide each other where there are many.
            markevery=(number * every // 3, every),
            label=f"{name} (last {100 * share[-1]:.1f} %)",
        )
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0, symbol=" %"))
    axes.set_ylim(0.0, 1.03)
    axes.set_ylabel("right answers")
    axes.set_title("Accuracy")
    return lines


_QUANTITIES: dict[str, Callable[[History, Axes], dict[str, Line2D]]] = {
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


def digits(
    images: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    predicted: ArrayLike | None = None,
    columns: int = 10,
    ax: Axes | None = None,
) -> DigitsArtists:
    """Draw images as one mosaic, dark ink on white, each with its caption below.

    Parameters
    ----------
    images
        Shape (n, height, width), or (n, pixels) for square images; larger values are darker. n may be 0.
    labels, predicted
        Shape (n,): what each image is, and what it was taken for. With both the caption is "label → predicted", and
        the images whose two differ get a frame and a bold caption; with one of them the caption is that one.
    columns
        Images in a row, at least 1.
    ax
        Where to draw; by default a new figure of pyplot.

    Returns
    -------
    DigitsArtists
        The Axes, the mosaic, the captions, the frames.

    Raises
    ------
    InputError
        If shapes do not fit, or `columns` is not an integer above 0.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> from mibun import learn
    >>> data = learn.load_digits()
    >>> ax = Figure().subplots()
    >>> drawn = mb.draw.digits(data.test_x[:2], labels=data.test_labels[:2], predicted=[7, 7], ax=ax)
    >>> [caption.get_text() for caption in drawn.captions]
    ['5 → 7', '3 → 7']
    """
    grids = _checked_images(images)
    names, guesses = (
        _checked_words(given, name, len(grids)) for given, name in ((labels, "labels"), (predicted, "predicted"))
    )
    if isinstance(columns, bool) or not isinstance(columns, (int, np.integer)) or columns < 1:
        raise InputError(f"columns must be an integer above 0, such as 10, not {columns!r}")
    require_matplotlib()
    mosaic, places = _mosaic(grids, int(columns), captioned=names is not None or guesses is not None)
    height, width = mosaic.shape
    across = _CELL * min(int(columns), max(1, len(grids)))
    scale = min(1.0, _LONGEST / max(across, across * height / max(1, width)))
    axes = axes_for(ax, (scale * max(2.0, across), scale * max(1.0, across * height / max(1, width))))
    axes.set_axis_off()
    if not len(grids):
        axes.text(0.5, 0.5, "no images", transform=axes.transAxes, ha="center", va="center")
        return DigitsArtists(axes, None, (), {})
    image = axes.imshow(mosaic, cmap="gray_r", vmin=grids.min(), vmax=max(grids.max(), grids.min() + 1e-12))
    wrong = set() if names is None or guesses is None else set(np.flatnonzero(names != guesses).tolist())
    captions = _draw_captions(axes, mosaic, grids, places, (names, guesses), wrong)
    frames = {number: _draw_frame(axes, grids, places[number]) for number in sorted(wrong)}
    return DigitsArtists(axes, image, captions, frames)


def _mosaic(
    grids: NDArray[np.float64], columns: int, *, captioned: bool
) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """Lay the images on one array, NaN between them; give it and the (row, column) of each image's first pixel."""
    count, height, width = grids.shape
    columns = min(columns, max(1, count))
    down = height + (math.ceil(0.42 * height) if captioned else math.ceil(0.15 * height))
    right = width + math.ceil(0.15 * width)
    mosaic = np.full((math.ceil(count / columns) * down, columns * right), np.nan)
    places = [(number // columns * down, number % columns * right) for number in range(count)]
    for grid, (top, left) in zip(grids, places, strict=True):
        mosaic[top : top + height, left : left + width] = grid
    return mosaic, places


def _draw_captions(
    axes: Axes,
    mosaic: NDArray[np.float64],
    grids: NDArray[np.float64],
    places: list[tuple[int, int]],
    words: tuple[NDArray[Any] | None, NDArray[Any] | None],
    wrong: set[int],
) -> tuple[Text, ...]:
    given = [word for word in words if word is not None]
    if not given:
        return ()
    _, height, width = grids.shape
    # An image is drawn with square pixels, so the narrower side of the Axes sets the size of its captions.
    point = min(axes.bbox.width / mosaic.shape[1], axes.bbox.height / mosaic.shape[0]) * 72 / axes.figure.dpi
    size = min(12.0, max(3.0, 0.24 * width * point))
    return tuple(
        axes.text(
            left + (width - 1) / 2,
            top + 1.2 * height - 0.5,
            " → ".join(str(word[number]) for word in given),
            ha="center",
            va="center",
            fontsize=size,
            fontweight="bold" if number in wrong else "normal",
        )
        for number, (top, left) in enumerate(places)
    )


def _draw_frame(axes: Axes, grids: NDArray[np.float64], place: tuple[int, int]) -> Rectangle:
    from matplotlib.patches import Rectangle

    _, height, width = grids.shape
    frame = Rectangle((place[1] - 0.5, place[0] - 0.5), width, height, fill=False, edgecolor=_VERMILION, linewidth=1.5)
    axes.add_patch(frame)
    return frame


def _checked_images(images: ArrayLike) -> NDArray[np.float64]:
    """Give the images as (n, height, width)."""
    try:
        given = np.asarray(images)
    except ValueError as error:
        raise InputError(f"images must be one array of shape (n, height, width): {error}") from None
    if given.dtype.kind not in "fiub":
        raise InputError(f"images must hold real numbers, not {given.dtype}")
    expected = "images must have shape (n, height, width), or (n, pixels) with square images"
    if given.ndim == 1 and not given.size:
        return np.zeros((0, 1, 1))
    if given.ndim == 2:
        side = math.isqrt(given.shape[1])
        if side * side != given.shape[1]:
            raise InputError(f"{expected}; {given.shape[1]} pixels make no square, give (n, height, width)")
        given = given.reshape(len(given), side, side)
    if given.ndim != 3:
        one = "; write images[np.newaxis] for one image" if given.ndim == 1 else ""
        raise InputError(f"{expected}, not {given.shape}{one}")
    if len(given) and not given.size:
        raise InputError(f"{expected}, with at least one pixel, not {given.shape}")
    if not np.isfinite(given).all():
        raise InputError("images must hold finite numbers")
    return given.astype(np.float64)


def _checked_words(given: ArrayLike | None, name: str, count: int) -> NDArray[Any] | None:
    if given is None:
        return None
    words = np.asarray(given)
    if words.shape != (count,):
        raise InputError(f"{name} must have shape ({count},), one for each image, not {words.shape}")
    return words


def axes_for(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Give `ax`, or those of a new figure that pyplot knows."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    _, made = pyplot.subplots(figsize=size, layout="constrained")
    return made


def require_matplotlib() -> None:
    """Say how to install matplotlib where it is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingDependency.of("matplotlib", "plot", "mb.draw") from error
