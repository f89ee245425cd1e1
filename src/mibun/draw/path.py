"""The way of a descent: over the contours of a function of two numbers, or along the graph of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mibun.draw.curves import called, draw_curve
from mibun.draw.sampling import (
    Floats,
    Function,
    checked_count,
    checked_function,
    checked_interval,
    checked_plane,
    checked_region,
    curve,
    grid,
    values_of,
)
from mibun.draw.style import MARKERS, Look, Picture, axes_for, legend_of, look_of
from mibun.draw.surfaces import Region, contour_lines, keep_shape, levels_of, name_axes
from mibun.draw.words import Language, Words
from mibun.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["path", "paths"]

Window = tuple[tuple[float, float], ...]
#: Points of a path that get a mark each, from the first on; of the others about as many in all.
MARKS = 60
#: Points farther away than so many windows are left out: no line can be drawn to them.
FAR = 1e6


class _Track(NamedTuple):
    """One path: its label, its start, its points (k, 2) or (k, 1), f there if known, how it ended, if it climbs."""

    label: str
    start: str
    points: Floats
    losses: Floats | None
    status: str
    climbs: bool


def path(
    descents: Any,
    f: Function | None = None,
    region: Region = None,
    *,
    labels: Sequence[str] | None = None,
    points: int = 81,
    vectorized: bool = False,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw where a descent went, or several of them from several starts.

    Parameters
    ----------
    descents : Path, array of shape (k, 2) or (k,), or a list or dict of such
        What `mb.descend` returned, or plain points, in their order. Two numbers a point are drawn on the plane, one
        number on the graph of f; in a list such paths have the shape (k, 1). The keys of a dict are labels.
    f : callable, optional
        The function that was descended, for the contours or the graph behind the paths. Default: none is drawn.
    region : (low, high) or ((low, high), (low, high)), optional
        What is shown. Default: the starts, the best points, and what lies near them: a path that runs away leaves the
        picture, and the legend says so.
    labels : sequence of str, optional
        One for each path. Default: its start.
    points : int
        Evaluations of f along each axis. Default: 81.
    vectorized : bool
        f takes a stack of points.
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has paths (lines), starts and ends (marks), contours or graph (None without f), and legend; `numbers`
        has points (a list of arrays) and region.

    Raises
    ------
    InputError
        If points have neither one nor two numbers, or are not finite at the start; if one number is drawn without f and
        without losses; if f, region or `ax` cannot be used.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> way = np.array([[-3.0, 4.0], [-2.4, 3.2], [-1.92, 2.56]])
    >>> drawn = mb.draw.path(way, lambda x: x[0] ** 2 + x[1] ** 2, ax=Figure().subplots())
    >>> drawn.artists["paths"][0].get_ydata()
    array([4.  , 3.2 , 2.56])
    """
    words = Words(language)
    tracks = _tracks(descents, labels)
    (picture,) = _panels([tracks], f, region, checked_count(points), vectorized, words, [ax])
    return picture


def paths(
    groups: Any,
    f: Function | None = None,
    region: Region = None,
    *,
    labels: Sequence[str] | None = None,
    points: int = 81,
    vectorized: bool = False,
    language: Language = "en",
    ax: Sequence[Axes] | None = None,
) -> tuple[Picture, ...]:
    """Draw descents side by side over the same region, such as those of several learning rates.

    Parameters
    ----------
    groups : list or dict
        For each panel what `path` takes: one path, or several. The keys of a dict are the titles.
    f, region, points, vectorized, language
        As for `path`; the region is the same for all panels.
    labels : sequence of str, optional
        Titles of the panels. Default: the keys of a dict, else numbers.
    ax : sequence of Axes, optional
        One for each panel. Default: a new figure of pyplot, with the panels in a row.

    Returns
    -------
    tuple of Picture
        One for each panel, as `path` gives it.

    Raises
    ------
    InputError
        As `path` says, and if there are not as many labels or Axes as panels.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> ways = {"rate 0.1": 0.8 ** np.arange(9), "rate 0.9": (-0.8) ** np.arange(9)}
    >>> drawn = mb.draw.paths(ways, lambda x: x**2, ax=Figure().subplots(1, 2))
    >>> [picture.axes.get_title() for picture in drawn]
    ['rate 0.1', 'rate 0.9']
    """
    words = Words(language)
    if isinstance(groups, Mapping):
        labels = [str(key) for key in groups] if labels is None else labels
        groups = list(groups.values())
    if not isinstance(groups, Sequence | np.ndarray) or not len(groups):
        raise InputError(f"groups is a {type(groups).__name__}; expected a list or dict with what each panel shows")
    tracks = [_tracks(group, None) for group in groups]
    titles = _counted(labels, "labels", len(tracks)) or [str(number) for number in range(1, len(tracks) + 1)]
    places = _counted(ax, "ax", len(tracks))
    pictures = _panels(tracks, f, region, checked_count(points), vectorized, words, places)
    for picture, title in zip(pictures, titles, strict=True):
        picture.axes.set_title(title)
        if not places:
            picture.axes.label_outer()
    words.dress(*(picture.axes for picture in pictures))
    return tuple(pictures)


def _counted(given: Any, name: str, count: int) -> list[Any]:
    if given is None:
        return []
    found = list(np.asarray(given, object).ravel()) if np.ndim(given) else [given]
    if len(found) != count:
        raise InputError(f"{name} has {len(found)} entries; expected {count}, one for each")
    return found


def _row(count: int, window: Window) -> list[Axes]:
    """Make a figure with panels in a row, as wide as what they show."""
    from matplotlib import pyplot

    width, height = np.ptp(window, axis=1) if len(window) == 2 else (1.0, 1.0)
    across = 3.2 * float(np.clip(width / height, 0.6, 1.5)) + 0.4
    # "constrained" finds room for titles beside a fixed aspect only in the second drawing.
    _, made = pyplot.subplots(1, count, figsize=(across * count + 0.4, 4.0), layout="compressed", squeeze=False)
    return list(made[0])


# Reading what is given


def _tracks(given: Any, labels: Sequence[str] | None) -> list[_Track]:
    """Take one path or several apart."""
    if isinstance(given, Mapping):
        labels = [str(key) for key in given] if labels is None else labels
        several = list(given.values())
    else:
        several = list(given) if _are_several(given) else [given]
    if not several:
        raise InputError("descents is empty; expected one path at least")
    names = _counted(labels, "labels", len(several)) or [None] * len(several)
    return [_track(one, name) for one, name in zip(several, names, strict=True)]


def _are_several(given: Any) -> bool:
    """Tell a list of paths from a list of points."""
    if hasattr(given, "points") or not isinstance(given, Sequence | np.ndarray) or isinstance(given, str):
        return False
    return any(hasattr(entry, "points") or np.ndim(entry) == 2 for entry in given)


def _track(given: Any, label: str | None) -> _Track:
    try:
        points = np.array(getattr(given, "points", given), np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"a path is a {type(given).__name__}; expected what mb.descend returned, or points of shape (k, 2) or (k,)"
        ) from None
    if points.ndim == 1:
        points = points[:, np.newaxis]
    if points.ndim != 2 or points.shape[1] not in (1, 2) or not len(points):
        raise InputError(
            f"a path has points of shape {points.shape}; expected (k, 2) or (k,): of more numbers choose two, such as "
            "path.points[:, [0, 1]], and leave f out"
        )
    if not np.isfinite(points[0]).all():
        raise InputError(f"a path starts at {points[0]}; expected finite numbers")
    losses = getattr(given, "losses", None)
    start = ", ".join(f"{number:.4g}" for number in points[0])
    start = f"({start})" if points.shape[1] == 2 else start
    known = None if losses is None else np.asarray(losses, np.float64)
    status, climbs = str(getattr(given, "status", "")), getattr(given, "maximize", False) is True
    return _Track(str(label or ""), start, points, known, status, climbs)


# Drawing


def _panels(
    groups: list[list[_Track]],
    f: Function | None,
    region: Region,
    points: int,
    vectorized: bool,
    words: Words,
    places: Sequence[Axes | None],
) -> list[Picture]:
    """Draw each group on its Axes, or in a new row of them, over the same region and the same background."""
    plane = groups[0][0].points.shape[1] == 2
    if any((track.points.shape[1] == 2) != plane for group in groups for track in group):
        raise InputError("some points have one number and some two; expected the same for all of one picture")
    if f is not None:
        f = checked_function(f, 2 if plane else 1)
        groups = [[_with_losses(track, f, vectorized) for track in group] for group in groups]
    elif not plane and any(track.losses is None for group in groups for track in group):
        raise InputError("points have one number, and f is not given; expected f, for the graph under them")
    window = _window([track for group in groups for track in group]) if region is None else _given_window(region, plane)
    behind: Any = None
    if f is not None and plane:
        f, sides = checked_plane(f, window, vectorized)
        behind = grid(f, sides, points, vectorized)
    elif f is not None:
        behind = curve(f, window[0], max(points, 201), vectorized)
    draw = _on_plane if plane else _on_graph
    places = places or _row(len(groups), window)
    return [draw(group, f, window, behind, words, ax) for group, ax in zip(groups, places, strict=True)]


def _given_window(region: Region, plane: bool) -> Window:
    return checked_region(region) if plane else (checked_interval(region, "region"),)


def _with_losses(track: _Track, f: Function, vectorized: bool) -> _Track:
    """Evaluate f at the points of a path that does not know it."""
    if track.losses is not None:
        return track
    known = np.isfinite(track.points).all(axis=1)
    where = track.points[known]
    losses = np.full(len(track.points), np.nan)
    losses[known] = values_of(f, where if where.shape[1] == 2 else where[:, 0], vectorized)
    return track._replace(losses=losses)


def _window(tracks: list[_Track]) -> Window:
    """Find what to show: all starts and best points, and the points near them."""
    home = np.concatenate([track.points[[0, _best(track)]] for track in tracks])
    size = float(np.ptp(home, axis=0).max()) or 2 * float(np.abs(home).max()) or 1.0
    every = np.concatenate([track.points for track in tracks])
    near = every[np.all((every >= home.min(axis=0) - size) & (every <= home.max(axis=0) + size), axis=1)]
    middle, wide = (near.min(axis=0) + near.max(axis=0)) / 2, np.ptp(near, axis=0)
    # No strip for a path along one axis, and some room for one that does not move.
    half = 1.25 * np.maximum(wide / 2, 0.3 * float(wide.max()) or size / 2)
    return tuple(zip((middle - half).tolist(), (middle + half).tolist(), strict=True))


def _best(track: _Track) -> int:
    """Give the place of the best f, or the last point where f is not known."""
    known = np.isfinite(track.points).all(axis=1)
    if track.losses is None or not np.isfinite(track.losses[known]).any():
        return int(np.flatnonzero(known)[-1])
    losses = -track.losses if track.climbs else track.losses
    return int(np.nanargmin(np.where(known & np.isfinite(losses), losses, np.nan)))


def _on_plane(
    tracks: list[_Track], f: Function | None, window: Window, behind: Any, words: Words, ax: Axes | None
) -> Picture:
    axes = axes_for(ax, (5.2, 4.8))
    look = look_of(axes)
    contours = None
    if f is not None:
        contours, _ = contour_lines(axes, look, behind, levels_of(behind[2]), strong=False)
    name_axes(axes, f or (lambda x: x))
    artists = _draw_tracks(axes, look, tracks, [track.points for track in tracks], window, words)
    keep_shape(axes, window)
    return _finished(axes, look, f, tracks, window, artists | {"contours": contours}, words)


def _on_graph(
    tracks: list[_Track], f: Function | None, window: Window, behind: Any, words: Words, ax: Axes | None
) -> Picture:
    axes = axes_for(ax)
    look = look_of(axes)
    graph, heights = None, (np.nan, np.nan)
    if f is not None:
        graph, heights = draw_curve(axes, look, f, behind, None), axes.get_ylim()
        axes.set_ylim(*heights)  # what runs away shall not make the graph flat
    where = [np.column_stack([track.points[:, 0], np.asarray(track.losses)]) for track in tracks]
    artists = _draw_tracks(axes, look, tracks, where, (window[0], heights), words)
    axes.set_xlim(*window[0])
    return _finished(axes, look, f, tracks, window, artists | {"graph": graph}, words)


def _finished(
    axes: Axes,
    look: Look,
    f: Function | None,
    tracks: list[_Track],
    window: Window,
    artists: dict[str, Any],
    words: Words,
) -> Picture:
    title = words("Ascent") if tracks[0].climbs else words("Descent")
    axes.set_title(title if f is None else f"{title}: {called(f)}")
    artists["legend"] = legend_of(axes, look, grid=artists.get("contours") is None, loc=_free_corner(axes, artists))
    words.dress(axes)
    return Picture(axes, artists, {"points": [track.points for track in tracks], "region": window})


def _draw_tracks(
    axes: Axes, look: Look, tracks: list[_Track], where: list[Floats], window: Window, words: Words
) -> dict[str, Any]:
    """Draw every path as a line with a mark at each point, a ring at its start and a star at its end."""
    artists: dict[str, Any] = {"paths": [], "starts": [], "ends": []}
    low, high = np.transpose(window)
    for number, (track, points) in enumerate(zip(tracks, where, strict=True)):
        far = np.abs(points - (low + high) / 2) > FAR * (high - low)  # never where a side has no limits, nan
        shown = np.where(far.any(axis=1, keepdims=True), np.nan, points)
        outside = bool(((points[-1] < low) | (points[-1] > high) | ~np.isfinite(points[-1])).any())
        marked = [*range(len(points))[:MARKS], *range(MARKS, len(points), max(1, len(points) // MARKS))]
        style = look.line(number + 1, marker=MARKERS[number % 4], markersize=4.5, markevery=marked)
        artists["paths"] += axes.plot(*shown.T, **style, label=_told(words, track, outside), zorder=4)
        colour = style["color"]
        ring = look.mark(0, color=look.background, markeredgecolor=colour, markersize=9, markeredgewidth=2)
        artists["starts"] += axes.plot(*shown[:1].T, **ring, zorder=5)
        star = look.mark(0, marker="*", color=colour, markeredgecolor=look.ink, markersize=14)
        artists["ends"] += axes.plot(*shown[-1:].T, **star, zorder=6)
    return artists


def _free_corner(axes: Axes, artists: dict[str, Any]) -> str:
    """Find the corner with the least of the paths in it, each taken as many points along its line."""
    seen = np.concatenate([line.get_xydata() for line in artists["paths"]])
    between = np.concatenate([seen + share * (np.roll(seen, -1, axis=0) - seen) for share in np.linspace(0, 0.9, 10)])
    x, y = axes.transAxes.inverted().transform(axes.transData.transform(between[np.isfinite(between).all(axis=1)])).T
    crowds = {
        f"{row} {column}": np.sum(
            (y > 0.7 if row == "upper" else y < 0.3) & (x > 0.5 if column == "right" else x < 0.5)
        )
        for row in ("upper", "lower")
        for column in ("right", "left")
    }
    return min(crowds, key=lambda corner: crowds[corner])


def _told(words: Words, track: _Track, outside: bool) -> str:
    """Say where a path began, how long it was, and how it ended."""
    steps = len(track.points) - 1
    name = track.label or words("from {start}", start=track.start)
    text = words("{name}: {steps} steps", name=name, steps=f"{steps:,}")
    ended = [words.known(track.status)] if track.status else []
    ended += [words("leaves the picture")] if outside else []
    return "\n".join([text, *ended])  # a line each: panels can be narrow
