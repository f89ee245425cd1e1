"""Pictures of digits from outside, made what the pictures of the training data are.

MNIST was made so (LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition",
section III.A): a black and white digit is scaled, its aspect kept and its edges smoothed, to fit 20 x 20 pixels, and
placed in 28 x 28 with its centre of mass in the middle; ink is 1 on a ground of 0. Here a picture in any size and
colour is first made grey, its ground is taken from its border, and what differs from the ground is the ink.
"""

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.errors import DataError, MissingDependency

from .arrays import read_arrays

__all__ = ["Fitted", "fit_digit", "read_pictures"]

#: Share of the width of a picture that a digit's longer side has in MNIST: 20 of 28 pixels. In smaller pictures, such
#: as the digits that come with mibun, it has all of it.
SHARE, SMALL = 20 / 28, 16
#: Ink below this share of the darkest is the noise of paper or of compression.
LEAST_INK = 0.15
#: How many times as many pixels as the result a picture has when its ink is looked for: what is larger is scaled first.
FINE = 4
#: Most pixels of a picture file: a file of few bytes can unpack to many gigabytes.
MOST_PIXELS = 50_000_000


class Fitted(NamedTuple):
    """A picture as the network takes it.

    Attributes
    ----------
    image : ndarray of shape (side, side), float32
        Ink from 0 to 1.
    what : str
        What was done to it, in words; empty if nothing.
    """

    image: NDArray[np.float32]
    what: str


def fit_digit(picture: Any, side: int = 28, share: float | None = None) -> Fitted:
    """Make a picture of one digit what the pictures of MNIST are.

    Parameters
    ----------
    picture : array of shape (height, width), (height, width, 3) or (height, width, 4)
        Grey, RGB or RGBA, of any size; integers from 0 to 255, or floats from 0 to 1. Dark on light and light on dark
        are both taken.
    side : int
        Width of the result: 28 for MNIST, 8 for the digits that come with mibun.
    share : float, optional
        Share of that width which the longer side of the digit gets. Default: 20/28, and 1 below 16 pixels.

    Returns
    -------
    Fitted
        The image, and what was done.

    Raises
    ------
    DataError
        If it is no picture, its values are out of range, or there is nothing on it.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> paper = np.full((60, 40), 255, np.uint8)
    >>> paper[10:50, 18:22] = 0  # a one
    >>> fitted = learn.fit_digit(paper)
    >>> fitted.image.shape, [round(float(share), 1) for share in (fitted.image.min(), fitted.image.max())]
    ((28, 28), [0.0, 1.0])
    >>> fitted.what
    'dark on light turned round, 40 x 60 pixels fitted into 28 x 28 by their centre of mass'
    """
    given = _checked(picture)
    if given.ndim == 2 and given.shape == (side, side) and _is_fitted(given):
        return Fitted(given.astype(np.float32), "")
    grey, steps = _grey(given)
    ground = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    difference = grey - ground
    if np.abs(difference).max() < 0.02:
        raise DataError("there is nothing on this picture: it has one colour; expected a digit on a plain ground.")
    if ground > 0.5:
        steps.append("dark on light turned round")
    ink = _ink(_part(difference, _ink(difference, FINE * side)), FINE * side)
    digit = _part(ink, ink)
    steps.append(f"{grey.shape[1]} x {grey.shape[0]} pixels fitted into {side} x {side} by their centre of mass")
    share = (1.0 if side < SMALL else SHARE) if share is None else share
    return Fitted(_placed(_scaled(digit, max(1, round(share * side))), side), ", ".join(steps))


def read_pictures(path: str | os.PathLike[str]) -> list[NDArray[Any]]:
    """Read the picture in a file (PNG, JPEG and what else Pillow knows), or those of an npz file, as they are.

    Raises
    ------
    DataError
        If the file cannot be read, or holds no picture.
    MissingDependency
        If Pillow is not installed and the file is no npz file.
    """
    file_path = Path(path)
    if not file_path.is_file():
        raise DataError(f"There is no file {path}; expected a picture, or an npz file with pictures.")
    if file_path.suffix.lower() == ".npz":
        arrays = read_arrays(file_path)
        names = [name for name in ("x", "images", "test_x", "x_test", *sorted(arrays)) if name in arrays]
        chosen = next((arrays[name] for name in names if arrays[name].ndim in (2, 3, 4)), None)
        if chosen is None:
            found = ", ".join(sorted(arrays)) or "nothing"
            raise DataError(f"{path} holds {found}; expected an array of pictures (n, height, width).")
        return list(chosen)
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingDependency.of("pillow", "data", "reading a picture") from error
    try:
        with Image.open(file_path) as image:
            size = image.size
            pixels = np.asarray(image.convert("RGBA")) if math.prod(size) <= MOST_PIXELS else None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path} is no picture that can be read ({error}); expected PNG, JPEG or the like.") from None
    if pixels is None:
        raise DataError(f"{path} has {size[0]} x {size[1]} pixels; expected at most {MOST_PIXELS:,}.")
    return [pixels]


def _checked(picture: Any) -> NDArray[np.float64]:
    """Give a picture as floats from 0 to 1."""
    try:
        given = np.asarray(picture)
    except ValueError as error:
        raise DataError(f"this is no picture: {error}") from None
    if given.dtype.kind not in "fiub" or given.ndim not in (2, 3) or (given.ndim == 3 and given.shape[2] not in (3, 4)):
        raise DataError(
            f"this is no picture: {given.dtype} of shape {given.shape}; expected (height, width), or with 3 or 4 "
            "colours."
        )
    if not given.size:
        raise DataError(f"this picture of shape {given.shape} has no pixel.")
    most = 1.0 if given.dtype.kind in "fb" else 255.0
    values = given.astype(np.float64) / most
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise DataError(
            f"this picture has values from {given.min()} to {given.max()}; expected integers from 0 to 255, or floats "
            "from 0 to 1."
        )
    return values


def _is_fitted(image: NDArray[np.float64]) -> bool:
    """Say whether a picture of the right size has a ground of 0, as those of the training data have."""
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return bool(np.median(border) == 0)


def _grey(picture: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[str]]:
    """Give the luminance (ITU-R BT.601), what is transparent as white."""
    if picture.ndim == 2:
        return picture, []
    colours, steps = picture[..., :3], []
    if np.ptp(colours, axis=2).max() > 0.02:
        steps.append("colours made grey")
    if picture.shape[2] == 4:
        alpha = picture[..., 3:]
        colours = colours * alpha + (1 - alpha)
    grey: NDArray[np.float64] = colours @ np.array([0.299, 0.587, 0.114])
    return grey, steps


def _ink(difference: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """Give the ink from 0 to 1, in at most so many pixels: the mean over an area has less noise than its pixels."""
    small = _scaled(difference, longest) if max(difference.shape) > longest else difference
    ink = np.abs(small)
    return np.where(ink < LEAST_INK * ink.max(), 0.0, ink / ink.max())


def _part(picture: NDArray[np.float64], ink: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut out of a picture where there is ink in the same picture, perhaps in fewer pixels."""
    for axis in (0, 1):
        found = np.flatnonzero(ink.any(axis=1 - axis))
        ratio = picture.shape[axis] / ink.shape[axis]
        start, stop = math.floor(found[0] * ratio), math.ceil((found[-1] + 1) * ratio)
        picture = picture[start:stop] if axis == 0 else picture[:, start:stop]
    return picture


def _scaled(digit: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """Scale to a longest side, by the mean over the area that each pixel covers."""
    height, width = digit.shape
    ratio = longest / max(height, width)
    down, right = (_area(length, max(1, round(length * ratio))) for length in (height, width))
    scaled: NDArray[np.float64] = down @ digit @ right.T
    return scaled


def _area(before: int, after: int) -> NDArray[np.float64]:
    """Give the matrix whose row says what share of each old pixel a new one covers."""
    edges = np.arange(after + 1) * (before / after)
    starts = np.arange(before)
    covered = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    shares: NDArray[np.float64] = np.maximum(covered, 0.0) * (after / before)
    return shares


def _placed(digit: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """Place a digit with its centre of mass in the middle, as far as it stays whole."""
    image = np.zeros((side, side), np.float32)
    corner = []
    for axis, length in enumerate(digit.shape):
        weights = digit.sum(axis=1 - axis)
        centre = float((weights * (np.arange(length) + 0.5)).sum() / weights.sum())
        corner.append(min(max(round(side / 2 - centre), 0), side - length))
    image[corner[0] : corner[0] + digit.shape[0], corner[1] : corner[1] + digit.shape[1]] = digit / digit.max()
    return image
