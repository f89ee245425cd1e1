"""Images as one mosaic, with what they are and what they were taken for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mibun.draw.style import axes_for, look_of
from mibun.draw.words import Language, Words
from mibun.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text

__all__ = ["DigitsArtists", "digits", "mosaic_of", "size_of"]

#: Width of an image in a figure of its own, and the longest side of that figure, in inches.
CELL, LONGEST = 0.75, 40.0


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


def digits(
    images: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    predicted: ArrayLike | None = None,
    columns: int = 10,
    language: Language = "en",
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
    language : "en" or "ko"
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
    words = Words(language)
    mosaic, places = mosaic_of(grids, int(columns), captioned=names is not None or guesses is not None)
    axes = axes_for(ax, size_of(mosaic, min(int(columns), max(1, len(grids)))))
    axes.set_axis_off()
    if not len(grids):
        axes.text(0.5, 0.5, words("no images"), transform=axes.transAxes, ha="center", color=look_of(axes).ink)
        words.dress(axes)
        return DigitsArtists(axes, None, (), {})
    image = axes.imshow(mosaic, cmap="gray_r", vmin=grids.min(), vmax=max(grids.max(), grids.min() + 1e-12))
    wrong = set() if names is None or guesses is None else set(np.flatnonzero(names != guesses).tolist())
    captions = _draw_captions(axes, mosaic, grids, places, (names, guesses), wrong)
    frames = {number: _draw_frame(axes, grids, places[number]) for number in sorted(wrong)}
    return DigitsArtists(axes, image, captions, frames)


def size_of(mosaic: NDArray[np.float64], columns: int) -> tuple[float, float]:
    """Give the size of a figure for a mosaic, in inches."""
    height, width = mosaic.shape
    across = CELL * columns
    scale = min(1.0, LONGEST / max(across, across * height / max(1, width)))
    return scale * max(2.0, across), scale * max(1.0, across * height / max(1, width))


def mosaic_of(
    grids: NDArray[np.float64], columns: int, *, captioned: bool = False
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
    frame = Rectangle(
        (place[1] - 0.5, place[0] - 0.5), width, height, fill=False, edgecolor=look_of(axes).colours[1], linewidth=1.5
    )
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
