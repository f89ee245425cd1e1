"""Two figures of the study notes: why a network follows its loss and not its accuracy, and why the loss has a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mibun.book import sigmoid, step_function
from mibun.draw.curves import at_points, differentiated
from mibun.draw.sampling import checked_interval
from mibun.draw.style import Picture, axes_for, legend_of, look_of
from mibun.draw.words import Language, Words
from mibun.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["log_curve", "step_and_sigmoid"]

POINTS = 401
#: Half the length of a piece of a tangent, in x, as a share of the interval.
REACH = 0.09


def step_and_sigmoid(
    interval: tuple[float, float] = (-5.0, 5.0),
    *,
    at: Any = (-2.0, 1.0),
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw the step function and the sigmoid, with pieces of their tangents: why a network follows its loss.

    The step function, like the accuracy, has slope 0 almost everywhere: a small change of a weight changes nothing, and
    no slope says where to go. The sigmoid, like the loss, has one everywhere.

    Parameters
    ----------
    interval : (low, high)
        Of x. Default: -5 to 5.
    at : number or sequence of numbers
        Where the tangents are drawn; at most four, and not 0, where the step function jumps. Default: -2 and 1.
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has step, sigmoid (lines), step_tangents, sigmoid_tangents (lists of lines) and legend; `numbers` has
        step_slopes and sigmoid_slopes, the derivatives at the points.

    Raises
    ------
    InputError
        If the interval or the points cannot be used, or the step function jumps at one of them.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> drawn = mb.draw.step_and_sigmoid(at=1.0, ax=Figure().subplots())
    >>> s = mb.book.sigmoid(1.0)
    >>> print(drawn.numbers["step_slopes"][0].value, abs(drawn.numbers["sigmoid_slopes"][0] - s * (1 - s)) < 1e-12)
    0.0 True
    """
    words = Words(language)
    low, high = checked_interval(interval)
    places = at_points(at)
    if 0.0 in places:
        raise InputError(f"at is {at!r}; expected points besides 0, where the step function jumps and has no slope")
    axes = axes_for(ax)
    look = look_of(axes)
    x = np.linspace(low, high, POINTS)
    riser = np.array([low, 0.0, 0.0, high]), np.array([0.0, 0.0, 1.0, 1.0])
    graphs = {"step": riser if low < 0 < high else (x, step_function(x)), "sigmoid": (x, sigmoid(x))}
    texts = {"step": "step function: slopes {slopes}", "sigmoid": "sigmoid: slopes {slopes}"}
    piece = REACH * (high - low) * np.array([-1.0, 1.0])
    style = look.line(0, color=look.ink, linestyle="-", marker="|", markersize=7)
    artists: dict[str, Any] = {}
    numbers: dict[str, Any] = {}
    for number, (name, f) in enumerate((("step", step_function), ("sigmoid", sigmoid))):
        slopes = numbers[f"{name}_slopes"] = [differentiated(f, place) for place in places]
        text = words(texts[name], slopes=", ".join(f"{slope.value:.3g}" for slope in slopes))
        (artists[name],) = axes.plot(*graphs[name], **look.line(number, linewidth=2.2, label=text))
        artists[f"{name}_tangents"] = []
        for place, slope in zip(places, slopes, strict=True):
            tangent = float(f(place)) + slope.value * piece
            artists[f"{name}_tangents"] += axes.plot(place + piece, tangent, **style, zorder=4)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.12, 1.12)
    axes.set_xlabel("x")
    axes.set_title(words("Why not accuracy: a step has no slope to follow"))
    artists["legend"] = legend_of(axes, look, loc="center right")
    words.dress(axes)
    return Picture(axes, artists, numbers)


def log_curve(
    probabilities: float | Sequence[float] = (0.6, 0.1),
    *,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw the natural logarithm from 0 to 1, and the loss of some probabilities: why the cross entropy has a log.

    The loss of a sample is -ln of the probability that the network gives to the right answer: 0 where it is sure, and
    the steeper the less it believes in what is right.

    Parameters
    ----------
    probabilities : number or sequence of numbers
        Above 0 and at most 1; at most four. Default: 0.6 and 0.1, whose losses the study notes compute, 0.51 and 2.30.
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has line, losses (a vertical line for each probability, as long as its loss) and legend; `numbers` has
        losses.

    Raises
    ------
    InputError
        If a probability is no number above 0 and at most 1: a negative one has no logarithm, and the loss of 0 is
        infinite.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> import math
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> drawn = mb.draw.log_curve(ax=Figure().subplots())
    >>> [round(loss, 2) for loss in drawn.numbers["losses"]]
    [0.51, 2.3]
    """
    words = Words(language)
    given = at_points(probabilities)
    for probability in given:
        if not 0 < probability <= 1:
            why = "the loss of 0 is infinite" if probability == 0 else "the logarithm needs a probability"
            raise InputError(f"probabilities has {probability}; expected numbers above 0 and at most 1: {why}")
    axes = axes_for(ax)
    look = look_of(axes)
    lowest = min(0.01, *given)
    # From 0 on the curve is steep: as many points for each decade.
    y = np.unique(np.concatenate([np.geomspace(lowest / 2, 1.0, POINTS), given]))
    (line,) = axes.plot(y, np.log(y), **look.line(0, linewidth=2.2, label="ln y"))
    losses = [float(-np.log(probability)) for probability in given]
    drawn = []
    for number, (probability, loss) in enumerate(zip(given, losses, strict=True), start=1):
        text = words("y = {y}: loss −ln y = {loss}", y=f"{probability:.4g}", loss=f"{loss:.3g}")
        style = look.line(number, marker=look.mark(number)["marker"], markersize=6, label=text)
        drawn += axes.plot([probability, probability], [0.0, -loss], **style)
    axes.axhline(0.0, color=look.ink, linewidth=0.8)
    axes.set_xlim(0.0, 1.03)
    axes.set_xlabel(words("y, the probability that is given to the right answer"))
    axes.set_ylabel("ln y")
    axes.set_title(words("Why log: little belief in what is right costs much"))
    legend = legend_of(axes, look, loc="lower right")
    words.dress(axes)
    return Picture(axes, {"line": line, "losses": drawn, "legend": legend}, {"losses": losses})
