"""Minus the gradient of a function of two numbers, as arrows: the way down, longer where it is steeper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mibun.derivatives import gradient
from mibun.draw.sampling import Floats, Function, checked_count, checked_plane, values_of
from mibun.draw.style import Picture, axes_for, legend_of, look_of
from mibun.draw.surfaces import Region, keep_shape, name_axes
from mibun.draw.words import Language, Words
from mibun.errors import InputError
from mibun.evaluate.serial import OUTSIDE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["field"]

#: An arrow is drawn to about a thousandth of its length.
RTOL = 1e-3
#: The longest arrow, in spacings of the grid.
LONGEST = 1.25


def field(
    f: Function,
    region: Region = (-2.0, 2.0),
    *,
    points: int = 15,
    vectorized: bool = False,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw minus the gradient of a function of two numbers as arrows on a grid.

    The gradient points where f grows fastest; the study notes draw what points down, and so does this picture. The
    title says so, and how long the longest arrow is.

    Parameters
    ----------
    f : callable
        From an array of two numbers to one real number.
    region : (low, high) or ((low, high), (low, high))
        Of x0 and x1. Default: -2 to 2 for both.
    points : int
        Arrows along each axis; each is a gradient of f. Default: 15.
    vectorized : bool
        f takes a stack of points (m, 2), and returns (m,).
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has arrows (of minus the gradient, in the order of the points), missing (marks where f has no
        gradient, as at a kink, or None) and legend (None without marks); `numbers` has points and gradients, both
        (n, 2), nan where there is none.

    Raises
    ------
    InputError
        If f does not take two numbers as one array, gives anything but real numbers, or has a gradient nowhere in the
        region; if `ax` has another projection.
    MissingDependency
        If matplotlib is not installed.

    Notes
    -----
    Every gradient is that of `mb.gradient` with rtol=1e-3. Where it cannot be trusted, no arrow is drawn.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> drawn = mb.draw.field(lambda x: x[0] ** 2 + x[1] ** 2, points=5, ax=Figure().subplots())
    >>> arrows, points = drawn.artists["arrows"], drawn.numbers["points"]
    >>> bool(abs(arrows.U + 2 * points[:, 0]).max() < 1e-9), bool(abs(arrows.V + 2 * points[:, 1]).max() < 1e-9)
    (True, True)
    """
    words = Words(language)
    f, region = checked_plane(f, region, vectorized)
    count = checked_count(points)
    sides = [np.linspace(low, high, count) for low, high in region]
    where = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    slopes = _gradients(f, where, vectorized)
    lengths = np.hypot(*slopes.T)
    known = np.isfinite(lengths)
    if not known.any():
        raise InputError(
            f"f has a gradient at none of the {len(where)} points in {region}; expected parts of its domain"
        )
    axes = axes_for(ax, (5.2, 4.8))
    look = look_of(axes)
    longest = float(lengths[known].max())
    reach = LONGEST * min(side[1] - side[0] for side in sides)
    scale: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": (longest or 1.0) / reach, "minlength": 0.0}
    arrows = axes.quiver(*where[known].T, *-slopes[known].T, **scale, color=look.colours[0], width=0.0055)
    missing = legend = None
    torn = where[~known][np.isfinite(values_of(f, where[~known], vectorized))] if not known.all() else where[:0]
    if len(torn):
        style = look.mark(1, marker="x", markeredgecolor=look.colours[1], label=words("no gradient here"))
        (missing,) = axes.plot(*torn.T, **style)
        legend = legend_of(axes, look, grid=False, loc="upper right")
    name_axes(axes, f)
    keep_shape(axes, [(low - reach, high + reach) for low, high in region])
    length = words("(longest arrow {longest})", longest=f"{longest:.3g}")
    axes.set_title(words("−gradient: where f falls fastest") + "\n" + length)
    words.dress(axes)
    artists = {"arrows": arrows, "missing": missing, "legend": legend}
    return Picture(axes, artists, {"points": where, "gradients": slopes})


def _gradients(f: Function, points: Floats, vectorized: bool) -> Floats:
    """Give the gradient at every point; nan where it cannot be trusted."""
    found = np.full(points.shape, np.nan)
    for place, x in enumerate(points):
        try:
            with np.errstate(all="ignore"):
                slope = gradient(f, x, rtol=RTOL, vectorized=vectorized)
        except OUTSIDE as reason:
            if isinstance(reason, InputError):
                raise
            continue
        if slope.passes:
            found[place] = slope.value
    return found
