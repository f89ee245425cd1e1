"""A function of two numbers, as a surface in space and by its contours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mibun.draw.curves import called
from mibun.draw.sampling import Floats, Function, checked_count, checked_plane, grid, names_of
from mibun.draw.style import MAP, Look, Picture, axes_for, look_of
from mibun.draw.words import Language, Words
from mibun.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet

__all__ = ["contour", "contour_areas", "contour_lines", "keep_shape", "levels_of", "name_axes", "surface"]

Region = Any  # (low, high) for both, or one pair for each
#: Levels of a contour, about.
LEVELS = 10


def surface(
    f: Function,
    region: Region = (-3.0, 3.0),
    *,
    points: int = 41,
    vectorized: bool = False,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw a function of two numbers as a surface in space.

    Parameters
    ----------
    f : callable
        From an array of two numbers to one real number. Where it is not defined, the surface has a hole.
    region : (low, high) or ((low, high), (low, high))
        Of x0 and x1. Default: -3 to 3 for both.
    points : int
        Along each axis; f is evaluated points² times. Default: 41.
    vectorized : bool
        f takes a stack of points (m, 2), and returns (m,).
    language : "en" or "ko"
    ax : Axes, optional
        With ``projection="3d"``. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has the surface, `numbers` has x0, x1 (points,) and values (points, points), x0 along the rows.

    Raises
    ------
    InputError
        If f does not take two numbers as one array, gives anything but real numbers, or is nowhere defined; if
        the region cannot be used; if `ax` has another projection.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> ax = Figure().add_subplot(projection="3d")
    >>> drawn = mb.draw.surface(lambda x: x[0] ** 2 + x[1] ** 2, ax=ax)
    >>> print(drawn.numbers["values"].shape, drawn.numbers["values"].max())
    (41, 41) 18.0
    """
    words = Words(language)
    f, region = checked_plane(f, region, vectorized)
    x0, x1, values = grid(f, region, checked_count(points), vectorized)
    axes = axes_for(ax, (5.6, 4.6), "3d")
    from matplotlib.ticker import MaxNLocator

    look = look_of(axes)
    drawn: Any = axes
    rows, columns = np.meshgrid(x0, x1)
    edges = {"linewidth": 0.2, "edgecolor": look.background}
    seen = np.ma.masked_invalid(values)
    sheet = drawn.plot_surface(rows, columns, seen, cmap=MAP, rcount=points, ccount=points, **edges)
    name_axes(axes, f)
    drawn.set_zlabel("f")
    for axis in (drawn.xaxis, drawn.yaxis, drawn.zaxis):
        axis.set_major_locator(MaxNLocator(5))
    axes.set_title(called(f))
    words.dress(axes)
    return Picture(axes, {"surface": sheet}, {"x0": x0, "x1": x1, "values": values})


def contour(
    f: Function,
    region: Region = (-3.0, 3.0),
    *,
    points: int = 81,
    levels: Any = None,
    vectorized: bool = False,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw the contours of a function of two numbers: lines of equal f, with their values, light where f is large.

    Parameters
    ----------
    f : callable
        From an array of two numbers to one real number. Where it is not defined, nothing is drawn.
    region : (low, high) or ((low, high), (low, high))
        Of x0 and x1. Default: -3 to 3 for both.
    points : int
        Along each axis; f is evaluated points² times. Default: 81.
    levels : sequence of numbers, optional
        Values of f, rising. Default: about ten, evenly; in powers above the least value where most of f lies near it.
    vectorized : bool
        f takes a stack of points (m, 2), and returns (m,).
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has areas and lines (contour sets), and labels (texts); `numbers` has x0, x1 (points,), values
        (points, points) with x0 along the rows, and levels.

    Raises
    ------
    InputError
        As `surface` says, and if the levels do not rise.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> drawn = mb.draw.contour(lambda x: x[0] ** 2 + x[1] ** 2, levels=[1, 4, 9], ax=Figure().subplots())
    >>> circle = drawn.artists["lines"].get_paths()[1].vertices
    >>> bool(abs((circle**2).sum(axis=1) - 4).max() < 0.01)
    True
    """
    words = Words(language)
    f, region = checked_plane(f, region, vectorized)
    x0, x1, values = grid(f, region, checked_count(points), vectorized)
    chosen = levels_of(values) if levels is None else _checked_levels(levels)
    axes = axes_for(ax, (5.2, 4.6))
    look = look_of(axes)
    areas = contour_areas(axes, (x0, x1, values), chosen)
    lines, labels = contour_lines(axes, look, (x0, x1, values), chosen, strong=True)
    name_axes(axes, f)
    keep_shape(axes, region)
    axes.set_title(called(f))
    words.dress(axes)
    artists = {"areas": areas, "lines": lines, "labels": labels}
    return Picture(axes, artists, {"x0": x0, "x1": x1, "values": values, "levels": chosen})


def _checked_levels(levels: Any) -> Floats:
    try:
        found = np.asarray(levels, np.float64)
    except (TypeError, ValueError):
        found = np.array([np.nan])
    if found.ndim != 1 or not found.size or not np.isfinite(found).all() or not (np.diff(found) > 0).all():
        raise InputError(f"levels is {levels!r}; expected finite numbers that rise, such as [1, 2, 5]")
    return found


def levels_of(values: Floats) -> Floats:
    """Choose round levels: evenly, or in powers above the least value where most values lie near it."""
    from matplotlib.ticker import MaxNLocator

    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    if not high > low:
        return np.array([low])
    if np.median(known) - low > 0.1 * (high - low):
        return _inside(np.asarray(MaxNLocator(LEVELS).tick_values(low, high)), low, high)
    least = max(float(np.quantile(known - low, 0.02)), 1e-4 * (high - low))
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(high - low)) + 1)
    for steps in ((1.0, 3.0), (1.0, 2.0, 5.0)):
        # Rounded to a tenth of the height above the least value, so that labels are short.
        levels = _inside(np.array([np.round(low + step * 10.0**k, 1 - k) for k in powers for step in steps]), low, high)
        if len(levels) > 6:
            break
    return levels


def _inside(levels: Floats, low: float, high: float) -> Floats:
    kept = levels[(low < levels) & (levels < high)]
    return kept if kept.size else np.array([(low + high) / 2])


def contour_areas(axes: Axes, data: tuple[Floats, Floats, Floats], levels: Floats) -> QuadContourSet:
    """Fill between the levels: each area a step lighter, whatever lies between them."""
    from matplotlib import colormaps

    shades = colormaps[MAP](np.linspace(0.15, 1.0, len(levels) + 1))
    x0, x1, values = data
    seen = np.ma.masked_invalid(values)
    span = float(levels[-1] - levels[0]) or max(1.0, abs(float(levels[0])))
    edges = [min(seen.min(), levels[0]) - span, *levels, max(seen.max(), levels[-1]) + span]
    return axes.contourf(x0, x1, seen, levels=edges, colors=shades)


def contour_lines(
    axes: Axes, look: Look, data: tuple[Floats, Floats, Floats], levels: Floats, strong: bool
) -> tuple[QuadContourSet, list[Any]]:
    """Draw the lines of equal f with their values: strong ones for themselves, weak ones behind other things."""
    from matplotlib.patheffects import withStroke

    x0, x1, values = data
    ink = look.ink if strong else look.quiet
    style: dict[str, Any] = {"colors": ink, "linewidths": 0.8, "linestyles": "-"}
    lines = axes.contour(x0, x1, np.ma.masked_invalid(values), levels=levels, **style)
    labels = list(axes.clabel(lines, fontsize=8, fmt="%.4g", colors=look.ink if strong else look.quiet))
    for label in labels:
        label.set_path_effects([withStroke(linewidth=2.0, foreground=look.background)])
    return lines, labels


def name_axes(axes: Axes, f: Function) -> None:
    """Name both axes, as the formula does, or x0 and x1."""
    first, second = names_of(f, 2)
    axes.set_xlabel(first)
    axes.set_ylabel(second)


def keep_shape(axes: Axes, region: Any) -> None:
    """Show the region, with circles as circles unless that makes it a thin strip."""
    axes.set_xlim(*region[0])
    axes.set_ylim(*region[1])
    width, height = np.ptp(region, axis=1)
    if 1 / 3 <= width / height <= 3:
        axes.set_aspect("equal")
