"""The graph of a function of one number, and its tangents."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mibun.derivatives import derivative
from mibun.draw.sampling import (
    Floats,
    Function,
    checked_count,
    checked_function,
    checked_interval,
    curve,
    names_of,
    values_of,
)
from mibun.draw.style import Look, Picture, axes_for, legend_of, look_of
from mibun.draw.words import Language, Words
from mibun.errors import InputError
from mibun.evaluate.serial import OUTSIDE
from mibun.formula import Formula
from mibun.result import Derivative, Status
from mibun.text import measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = [
    "at_points",
    "called",
    "differentiated",
    "draw_curve",
    "function",
    "single_point",
    "tangent",
    "usual_interval",
]

#: Of the range of f, what is seen above and below it.
MARGIN = 0.15


def function(
    f: Function,
    interval: tuple[float, float] = (-5.0, 5.0),
    *,
    points: int = 401,
    label: str | None = None,
    vectorized: bool = False,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw the graph of a function of one number.

    Parameters
    ----------
    f : callable
        From one number to one real number. Where it raises ArithmeticError or ValueError, or is not finite, the line
        has a gap, and so it has at a jump and at a pole.
    interval : (low, high)
        Of x. Default: -5 to 5.
    points : int
        Evaluations, but for those that look into gaps. Default: 401.
    label : str, optional
        Name in the legend. Default: the text of a `mibun.formula`, or the name of f.
    vectorized : bool
        f takes an array of numbers (m,), and returns (m,).
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has line and legend, `numbers` has x and y.

    Raises
    ------
    InputError
        If f gives complex numbers, arrays, or nothing finite on the interval; if the interval or `ax` cannot be used.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> drawn = mb.draw.function(lambda x: 0.01 * x**2 + 0.1 * x, (0, 20), ax=Figure().subplots())
    >>> x, y = drawn.artists["line"].get_data()
    >>> bool(abs(y - (0.01 * x**2 + 0.1 * x)).max() < 1e-14)
    True
    """
    words = Words(language)
    x, y = curve(checked_function(f, 1), checked_interval(interval), checked_count(points), vectorized)
    axes = axes_for(ax)
    look = look_of(axes)
    line = draw_curve(axes, look, f, (x, y), label)
    legend = legend_of(axes, look)
    words.dress(axes)
    return Picture(axes, {"line": line, "legend": legend}, {"x": x, "y": y})


def tangent(
    f: Function,
    at: Any,
    interval: tuple[float, float] | None = None,
    *,
    method: Any = "adaptive",
    points: int = 401,
    label: str | None = None,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw a function and its tangent, with the slope and its error in the legend; at several points several tangents.

    At a kink each side gets its own half of a tangent; where there is no slope, the legend says why.

    Parameters
    ----------
    f : callable
        From one number to one real number.
    at : number or sequence of numbers
        Where the tangents touch; at most four.
    interval : (low, high), optional
        Of x. Default: around all points, as far as the largest of them from 0, and at least 1 to each side.
    method : str or method value
        As in `mb.derivative`.
    points : int
        Evaluations of the graph. Default: 401.
    label : str, optional
        Name of f in the legend. Default: the text of a `mibun.formula`, or the name of f.
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has line, legend, and lists of the tangents and the points, a kink has two tangents; `numbers` has
        x, y and the derivatives, one for each point.

    Raises
    ------
    InputError
        If f is not defined at a point, or as `function` says.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> drawn = mb.draw.tangent(lambda x: 0.01 * x**2 + 0.1 * x, 5, (0, 20), ax=Figure().subplots())
    >>> x, y = drawn.artists["tangents"][0].get_data()
    >>> (slope,) = drawn.numbers["derivatives"]
    >>> bool(abs((y[1] - y[0]) / (x[1] - x[0]) - 0.2) < 1e-14), abs(slope - 0.2) <= slope.error
    (True, True)
    """
    words = Words(language)
    f, touched = checked_function(f, 1), at_points(at)
    low, high = usual_interval(touched) if interval is None else checked_interval(interval)
    found = [differentiated(f, x, method) for x in touched]
    x, y = curve(f, (low, high), checked_count(points), False)
    axes = axes_for(ax)
    look, (name,) = look_of(axes), names_of(f, 1)
    line = draw_curve(axes, look, f, (x, y), label)
    tangents, marks = [], []
    for number, (place, slope) in enumerate(zip(touched, found, strict=True), start=1):
        height = float(values_of(f, np.array([place]))[0])
        text = _told(words, slope, name, place)
        for start, end, steep in _halves(slope, place, low, high):
            ends = np.array([start, end])
            (drawn,) = axes.plot(ends, height + steep * (ends - place), **look.line(number, label=text))
            tangents.append(drawn)
            text = ""  # a kink has two lines and one entry
        marks += axes.plot([place], [height], **look.mark(number, label=text))
    _see_the_graph(axes, y)
    title = "{what} and its tangent" if len(found) == 1 else "{what} and its tangents"
    axes.set_title(words(title, what=line.get_label()))
    legend = legend_of(axes, look)
    words.dress(axes)
    artists = {"line": line, "tangents": tangents, "points": marks, "legend": legend}
    return Picture(axes, artists, {"x": x, "y": y, "derivatives": found})


def at_points(at: Any) -> list[float]:
    """Give the points of a picture as floats, or say what is wrong with them."""
    try:
        points = np.atleast_1d(np.asarray(at, np.float64))
    except (TypeError, ValueError):
        raise InputError(f"at is {at!r}; expected a number such as 5.0, or a list of numbers") from None
    if points.ndim != 1 or not 0 < points.size <= 4 or not np.isfinite(points).all():
        raise InputError(f"at is {at!r}; expected a finite number such as 5.0, or one to four of them")
    numbers: list[float] = points.tolist()
    return numbers


def single_point(at: Any) -> float:
    """Give the one point of a picture."""
    points = at_points(at)
    if len(points) > 1:
        raise InputError(f"at is {at!r}; expected one number, such as 5.0")
    return points[0]


def usual_interval(points: list[float]) -> tuple[float, float]:
    """Give an interval around points: (0, 10) for 5."""
    reach = max(1.0, max(map(abs, points)))
    return min(points) - reach, max(points) + reach


def differentiated(f: Function, x: float, method: Any = "adaptive", order: int = 1) -> Derivative:
    """Differentiate f at a point of a picture, and refuse a point outside of its domain."""
    try:
        with np.errstate(all="ignore"):
            found = derivative(f, x, order=order, method=method)
    except OUTSIDE as reason:
        if isinstance(reason, InputError):
            raise
        raise InputError(f"f is not defined at {x}: {reason}; expected a point of its domain") from reason
    value = found.fx
    if isinstance(value, complex):
        raise InputError(f"f is {value} at {x}; expected a real number: draw a part of it, as by lambda x: f(x).real")
    if np.size(value) != 1:
        raise InputError(f"f returned shape {np.shape(value)} at {x}; expected one real number")
    if value is not None and not math.isfinite(float(value)):
        raise InputError(f"f is {float(value)} at {x}; expected a point of its domain")
    return found


def draw_curve(axes: Axes, look: Look, f: Function, data: tuple[Floats, Floats], label: str | None) -> Line2D:
    """Draw the graph as a strong line, and name the axes."""
    (name,) = names_of(f, 1)
    (line,) = axes.plot(*data, **look.line(0, linewidth=2.2, label=label or called(f)))
    axes.set_xlabel(name)
    axes.set_ylabel(f"f({name})")
    if np.isnan(data[1]).any():
        _see_between_poles(axes, data[1])
    return line


def called(f: Function) -> str:
    """Name f as a reader knows it: by its text, by its own name, or as f."""
    if isinstance(f, Formula):
        return f.text
    name = getattr(f, "__name__", "")
    return f"{name}(x)" if name.isidentifier() else "f(x)"


def _see_between_poles(axes: Axes, y: Floats) -> None:
    """Where a pole makes the range far larger than nearly all values, show those."""
    low, high = np.nanquantile(y, (0.05, 0.95))
    if np.nanmax(y) - np.nanmin(y) > 5 * (high - low) > 0:
        axes.set_ylim(low - 0.5 * (high - low), high + 0.5 * (high - low))


def _see_the_graph(axes: Axes, y: Floats) -> None:
    """Keep a steep tangent from making the graph small."""
    if np.isnan(y).any():
        return
    spare = MARGIN * (float(np.ptp(y)) or max(1.0, abs(float(y[0]))))
    axes.set_ylim(float(y.min()) - spare, float(y.max()) + spare)


def _halves(slope: Derivative, at: float, low: float, high: float) -> list[tuple[float, float, float]]:
    """Give the (start, end, slope) of a tangent: one, two at a kink, none where there is no slope."""
    sides = _sides(slope)
    if sides is not None:
        return [(low, at, sides[0]), (at, high, sides[1])]
    if slope.status in (Status.JUMP, Status.NOT_FINITE, Status.FAILED) or not math.isfinite(slope.value):
        return []
    return [(low, high, slope.value)]


def _sides(slope: Derivative) -> tuple[float, float] | None:
    """Give the slopes on both sides of a kink."""
    if slope.status is not Status.KINK:
        return None
    known = [(note.left, note.right) for note in slope.notes if note.left is not None and note.right is not None]
    return known[0] if known else None


def _told(words: Words, slope: Derivative, name: str, at: float) -> str:
    """Say what the slope is, or why there is none."""
    place = {"name": name, "x": f"{at:.6g}"}
    sides = _sides(slope)
    if sides is not None:
        left, right = (f"{side:.4g}" for side in sides)
        return words("kink at {name} = {x}: slopes {left} and {right}", **place, left=left, right=right)
    if not _halves(slope, at, 0.0, 0.0):
        return words("no slope at {name} = {x}: {why}", **place, why=words(slope.status.word))
    text = measured(slope.value, slope.error)
    if not slope.passes:
        text = words("{slope} ({why})", slope=text, why=words(slope.status.word))
    return words("slope at {name} = {x}: {slope}", **place, slope=text)
