"""The V curve: how the error of a difference depends on its step.

To the right the truncation of the Taylor series grows with h (h/2 · |f''| forward, h²/6 · |f'''| central), to the left
the rounding of f(x+h) - f(x) is divided by h; below the spacing of the floats around x, x + h is x, and the difference
is 0 or made of rounding alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from mibun.draw.curves import differentiated, single_point
from mibun.draw.sampling import Floats, Function, checked_function, names_of, values_of
from mibun.draw.style import MARKERS, Look, Picture, axes_for, legend_of, look_of
from mibun.draw.words import Language, Words
from mibun.errors import InputError
from mibun.evaluate.serial import OUTSIDE
from mibun.result import Derivative

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["step_error"]

EPS: Final = 2.0**-53
#: Decades of the steps, in the unit of x, and the steps in each.
DECADES: Final = (-20, 0)
PER_DECADE: Final = 8
#: The notes' steps: the one that they take, and the one that they warn of.
MARKS: Final = (1e-4, 1e-50)


class _Course(NamedTuple):
    """One difference: its name, where it looks, how wide it is, and its theory."""

    name: str
    low: float  # f(x + high·h) - f(x + low·h), divided by width·h
    width: float
    order: int  # of the derivative in its truncation, which goes with h^(order - 1)
    factor: float


COURSES: Final = (
    _Course("forward difference", 0.0, 1.0, 2, 1 / 2),
    _Course("central difference", -1.0, 2.0, 3, 1 / 6),
)
#: What tells the two lines of theory apart.
DASHES: Final = {"truncation": (0, (5, 4)), "rounding": (0, (1, 2))}


def step_error(
    f: Function,
    at: float,
    *,
    truth: float | Callable[[float], float] | None = None,
    marks: Sequence[float] = MARKS,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw the error of the forward and the central difference against the step, both on logarithmic axes.

    Beside them stand what theory says (truncation to the right, rounding to the left), the steps of the study notes,
    and what mibun finds: its step, and the bound on its error.

    Parameters
    ----------
    f : callable
        From one number to one real number.
    at : number
        The point x.
    truth : float or callable, optional
        The derivative of f, or its value at x. Default: that of `mb.derivative`, so that errors below its own bound
        are not known: they are shaded.
    marks : sequence of float
        Steps to be marked on the central difference, and on the forward one where they lie left of the axis. Default:
        1e-4, as the notes have it, and 1e-50, which they warn of.
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has forward, central (lines), truncation and rounding (lists of lines; a truncation that is 0 is left
        out), mibun (the mark), marks (a list), unknown (the shade, or None) and legend. `numbers` has steps, forward,
        central (errors; nan outside of the domain of f), truth, derivative (that of mibun).

    Raises
    ------
    InputError
        If f is not defined at x or near it, has no derivative there, or as `function` says.
    MissingDependency
        If matplotlib is not installed.

    Notes
    -----
    An error of exactly 0 stands on the lower edge. The lines of theory are h/2·|f''| and 2ε|f|/h for the forward
    difference, h²/6·|f'''| and ε|f|/h for the central one, where ε = 2^-53: they say the size, and are no bounds.

    Examples
    --------
    >>> import math
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> drawn = mb.draw.step_error(math.sin, 1.0, truth=math.cos, ax=Figure().subplots())
    >>> h, error = drawn.artists["central"].get_data()
    >>> print(f"best h {h[error.argmin()]:.0e}, mibun's error at most {drawn.artists['mibun'].get_ydata()[0]:.0e}")
    best h ..., mibun's error at most ...e-1...
    """
    words = Words(language)
    f, x = checked_function(f, 1), single_point(at)
    found = differentiated(f, x)
    if not found.passes:
        raise InputError(f"f has no slope at {x} to compare with: {found.status}; write another point")
    true = found.value if truth is None else _checked_truth(truth, x)
    marked = _checked_marks(marks)
    steps = _steps(x, marked)
    errors = {course.name: np.abs(_differences(f, x, steps, course) - true) for course in COURSES}
    axes = axes_for(ax, (6.0, 4.6))
    look = look_of(axes)
    floor = _scale(axes, steps, errors, found)
    artists: dict[str, Any] = {"truncation": [], "rounding": []}
    for number, course in enumerate(COURSES):
        name, shown = course.name, np.maximum(errors[course.name], floor)
        style = look.line(number, marker=MARKERS[number], markersize=4, markevery=(5 * number, 10))
        (artists[name.split()[0]],) = axes.plot(steps, shown, **style, label=words(name), zorder=4)
        for kind, theory in _theory(f, x, abs(found.fx), course, steps).items():
            artists[kind] += axes.plot(steps, theory, **look.line(number, linestyle=DASHES[kind], linewidth=1.1))
    for kind, dashes in DASHES.items():
        axes.plot([], [], color=look.ink, linewidth=1.1, linestyle=dashes, label=words(f"{kind} (theory)"))
    artists["unknown"] = None
    if truth is None and found.error > floor:
        text = words("not known: below mibun's bound")
        artists["unknown"] = axes.axhspan(floor, found.error, facecolor=look.faint, alpha=0.6, zorder=0.4, label=text)
    artists["mibun"] = _draw_mibun(axes, look, words, found, floor)
    artists["marks"] = [_draw_mark(axes, look, words, f, x, h, true) for h in marked]
    name = names_of(f, 1)[0]
    axes.set_xlabel(words("step h"))
    axes.set_ylabel(words("error of the slope"))
    axes.set_title(words("The step and the error at {name} = {x}", name=name, x=f"{x:.6g}"))
    artists["legend"] = legend_of(axes, look, fontsize="x-small", loc="lower left")
    words.dress(axes)
    numbers = {"steps": steps, "truth": true, "derivative": found}
    return Picture(axes, artists, numbers | {name.split()[0]: error for name, error in errors.items()})


def _checked_truth(truth: Any, x: float) -> float:
    found = truth(x) if callable(truth) else truth
    if isinstance(found, bool) or not isinstance(found, int | float | np.number) or not math.isfinite(found):
        raise InputError(
            f"truth is {found!r} at {x}; expected the slope of f there, a finite number or a function of x"
        )
    return float(found)


def _checked_marks(marks: Sequence[float]) -> list[float]:
    try:
        found = [float(h) for h in marks]
    except (TypeError, ValueError):
        found = [math.nan]
    if not all(0 < h < math.inf for h in found):
        raise InputError(f"marks is {marks!r}; expected steps above 0, such as (1e-4, 1e-50), or ()")
    return found


def _steps(x: float, marks: Sequence[float]) -> Floats:
    """Give the steps: down from the size of x until all of them are lost in its rounding, up to the largest mark."""
    size = math.floor(math.log10(abs(x))) if x else 0
    low, high = size + DECADES[0], max([size + DECADES[1], *(math.ceil(math.log10(h)) for h in marks)])
    low = max(low, -300)
    return np.logspace(low, high, (high - low) * PER_DECADE + 1)


def _differences(f: Function, x: float, steps: Floats, course: _Course) -> Floats:
    """Give the difference for every step, as the textbook writes it; nan where f is not defined."""
    with np.errstate(all="ignore"):
        change = values_of(f, x + steps) - values_of(f, x + course.low * steps)
        return np.asarray(change / (course.width * steps))


def _theory(f: Function, x: float, size: float, course: _Course, steps: Floats) -> dict[str, Floats]:
    """Give the lines of truncation and rounding, each where it counts; without that which is 0 or not known."""
    rounding = 2 * EPS * size / (course.width * steps)
    lines = {"rounding": rounding} if size else {}
    with suppress(*OUTSIDE):  # no higher derivative, no line
        higher = differentiated(f, x, order=course.order)
        if higher.passes and abs(higher.value) > 10 * higher.error:
            truncation = course.factor * abs(higher.value) * steps ** (course.order - 1)
            lines = {
                kind: np.where(line * 100 > other, line, np.nan)
                for kind, line, other in (("truncation", truncation, rounding), ("rounding", rounding, truncation))
            }
    return lines


def _scale(axes: Axes, steps: Floats, errors: dict[str, Floats], found: Derivative) -> float:
    """Make both axes logarithmic around all that is to be seen, and give their lower edge."""
    seen = np.concatenate([*errors.values(), [found.error]])
    seen = seen[(seen > 0) & np.isfinite(seen)]
    if not seen.size:
        seen = np.array([EPS])
    floor = float(seen.min()) / 5
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(float(steps[0]), float(steps[-1]))
    axes.set_ylim(floor, float(seen.max()) * 5)
    return floor


def _draw_mibun(axes: Axes, look: Look, words: Words, found: Derivative, floor: float) -> Line2D:
    text = words("mibun: error at most {error}", error=f"{found.error:.2g}")
    at = axes.get_xlim()[0] if found.step is None else found.step
    star = look.mark(2, marker="*", markersize=14, markeredgecolor=look.ink, label=text)
    (mark,) = axes.plot([at], [max(found.error, floor)], **star, zorder=6)
    return mark


def _draw_mark(axes: Axes, look: Look, words: Words, f: Function, x: float, h: float, true: float) -> Line2D:
    """Mark a step on the central difference, or at the left edge, for the forward one that the notes warn of."""
    left = axes.get_xlim()[0]
    course = COURSES[0] if h < left else COURSES[1]
    error = float(abs(_differences(f, x, np.array([h]), course)[0] - true))
    text = "h = {h}: error {error}"
    if h < left:
        text = (
            "h = {h} (left of here): error {error},\nx + h is x"
            if x + h == x
            else "h = {h} (left of here): error {error}"
        )
    shown = max(error, axes.get_ylim()[0])
    label = words(text, h=f"{h:.6g}", error=f"{error:.2g}")
    style = look.mark(0, color=look.ink, marker="<" if h < left else "d", markersize=8, label=label)
    (mark,) = axes.plot([max(h, left)], [shown], **style, clip_on=False, zorder=7)
    return mark
