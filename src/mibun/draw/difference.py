"""Forward and central differences as lines beside the tangent, as the study notes draw them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mibun.draw.curves import differentiated, draw_curve, single_point, usual_interval
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
from mibun.text import measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["difference"]


def difference(
    f: Function,
    at: float,
    step: float | None = None,
    interval: tuple[float, float] | None = None,
    *,
    points: int = 401,
    label: str | None = None,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw the forward and the central difference of f with step h as lines, and the true slope beside them.

    Parameters
    ----------
    f : callable
        From one number to one real number.
    at : number
        The point x.
    step : float, optional
        h, above 0, in the unit of x. Default: a quarter of the interval, so that the three lines can be told apart.
    interval : (low, high), optional
        Of x. Default: as far to each side as x is from 0, and at least 1.
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
        `artists` has line, true, forward, central (the lines), points (x-h, x, x+h on the graph), and legend;
        `numbers` has step, derivative, forward and central (the two slopes).

    Raises
    ------
    InputError
        If f is not defined at x or at x ± h, if h is not above 0 or too small for x, or as `function` says.
    MissingDependency
        If matplotlib is not installed.

    Notes
    -----
    The true slope is that of `mb.derivative`; its bound stands in the legend.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> drawn = mb.draw.difference(lambda x: 0.01 * x**2 + 0.1 * x, 5, 2.0, ax=Figure().subplots())
    >>> print(f"{drawn.numbers['forward'] - 0.2:.6f} {abs(drawn.numbers['central'] - 0.2):.6f}")
    0.020000 0.000000
    """
    words = Words(language)
    f, x = checked_function(f, 1), single_point(at)
    low, high = usual_interval([x]) if interval is None else checked_interval(interval)
    h = _checked_step((high - low) / 4 if step is None else step, x)
    slope = differentiated(f, x)
    graph = curve(f, (low, high), checked_count(points), False)
    at_h = np.array([x - h, x, x + h])
    below, height, above = values_of(f, at_h).tolist()
    if math.isnan(below) or math.isnan(above):
        side = x - h if math.isnan(below) else x + h
        raise InputError(f"f is not defined at {side}, which the differences with h = {h} need; write a smaller step")
    forward, central = (above - height) / h, (above - below) / (2 * h)
    lines = {"true": (height, slope.value), "forward": (height, forward), "central": ((above + below) / 2, central)}
    texts = {
        "true": words("true slope: {slope}", slope=measured(slope.value, slope.error)),
        "forward": words("forward difference: {slope}", slope=f"{forward:.6g}"),
        "central": words("central difference: {slope}", slope=f"{central:.6g}"),
    }
    axes = axes_for(ax)
    look, (name,) = look_of(axes), names_of(f, 1)
    artists: dict[str, Any] = {"line": draw_curve(axes, look, f, graph, label)}
    ends = np.array([low, high])
    for number, (kind, (value, steep)) in enumerate(lines.items(), start=1):
        (artists[kind],) = axes.plot(ends, value + steep * (ends - x), **look.line(number, label=texts[kind]))
    ring = {"color": look.ink, "marker": "o", "markerfacecolor": look.background, "markeredgecolor": look.ink}
    (artists["points"],) = axes.plot(at_h, [below, height, above], **look.mark(0, **ring), zorder=5)
    _name_the_points(axes, look, at_h, name)
    axes.set_title(words("Numerical differences with h = {h}", h=f"{h:.6g}"))
    artists["legend"] = legend_of(axes, look)
    words.dress(axes)
    return Picture(axes, artists, {"step": h, "derivative": slope, "forward": forward, "central": central})


def _name_the_points(axes: Axes, look: Look, places: Floats, name: str) -> None:
    paper = {"facecolor": look.background, "edgecolor": "none", "pad": 1.0, "alpha": 0.8}
    for place, text in zip(places, (f"{name} − h", name, f"{name} + h"), strict=True):
        axes.axvline(place, color=look.ink, linewidth=0.6, linestyle=":", zorder=0.5)
        axes.annotate(
            text,
            (place, 0.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            color=look.ink,
            fontsize="small",
            bbox=paper,
        )


def _checked_step(step: float, x: float) -> float:
    """Refuse a step that is none, or that is lost beside x."""
    if isinstance(step, bool) or not isinstance(step, int | float | np.number) or not 0 < step < math.inf:
        raise InputError(f"step is {step!r}; expected a number above 0, such as 1.0")
    if x + step == x or x - step == x:
        raise InputError(f"step is {step!r}, and {x} + {step} is {x}: it is lost in rounding; expected a larger one")
    return float(step)
