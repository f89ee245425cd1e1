"""A picture of the engines that compute the same gradient: what each costs, and how far each is from the loop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mibun.draw.style import axes_for, legend_of, look_of
from mibun.draw.words import Language, Words
from mibun.errors import InputError
from mibun.learn import EngineTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

__all__ = ["EnginesArtists", "engines", "save"]

#: A deviation of 0 has no place on a logarithmic axis: it is drawn here, below everything that floats can tell.
LEAST = 1e-17


class EnginesArtists(NamedTuple):
    """What `engines` drew.

    Attributes
    ----------
    axes : Axes
    points : dict of str to PathCollection
        `"measured"` and `"forecast"` (hollow), where there are such.
    labels : tuple of Text
        The name beside each point.
    oracle : Line2D
        How good the loop's own entries are.
    """

    axes: Axes
    points: dict[str, PathCollection]
    labels: tuple[Text, ...]
    oracle: Line2D


def engines(table: EngineTable, *, language: Language = "en", ax: Axes | None = None) -> EnginesArtists:
    """Draw the seconds of a gradient against the distance to the notes' loop, one point for each engine.

    Parameters
    ----------
    table
        What `learn.compare_engines` returned.
    language : "en" or "ko"
    ax
        Where to draw; by default a new figure of pyplot.

    Returns
    -------
    EnginesArtists
        The Axes, points, labels, and the line below which the loop itself is not good. Engines that cannot serve the
        network are left out; a time that is a forecast is a hollow point, at the bottom if it was not compared.

    Raises
    ------
    InputError
        If `table` is not an `EngineTable`.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(4, 5), learn.Tanh(), learn.Dense(5, 3)], seed=1)
    >>> table = learn.compare_engines(network, np.random.default_rng(0).random((8, 4)), np.arange(8) % 3)
    >>> drawn = mb.draw.engines(table, ax=Figure().subplots())
    >>> [label.get_text() for label in drawn.labels]
    ['chain', 'node', 'column', 'column, every step', 'coordinate']
    """
    if not isinstance(table, EngineTable):
        raise InputError(f"table must be what learn.compare_engines returned, not {type(table).__name__}")
    words = Words(language)
    axes = axes_for(ax, (6.4, 4.2))
    look = look_of(axes)
    rows = [row for row in table if not row.refused]
    points = {}
    for name, face in (("measured", look.colours[0]), ("forecast", "none")):
        some = [row for row in rows if row.measured == (name == "measured")]
        if some:
            places = [max(LEAST, float(np.nan_to_num(row.deviation))) for row in some]
            shape: dict[str, Any] = {"s": 45, "facecolor": face, "edgecolor": look.colours[0], "zorder": 3}
            points[name] = axes.scatter([row.seconds for row in some], places, label=words(name), **shape)
    labels = tuple(
        axes.annotate(
            _short(row.engine),
            (row.seconds, max(LEAST, float(np.nan_to_num(row.deviation)))),
            xytext=(0, 9 if number % 2 else -15),
            textcoords="offset points",
            ha="center",
        )
        for number, row in enumerate(rows)
    )
    limit, text = max(LEAST, table.oracle_error), words("error of the loop's own entries")
    oracle = axes.axhline(limit, color=look.quiet, linestyle="--", label=text)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.15, y=0.2)
    axes.set_xlabel(words("seconds for one gradient"))
    axes.set_ylabel(words("distance to the notes' loop, of the largest entry"))
    axes.set_title(words("One gradient, {count} engines ({samples} samples)", count=len(rows), samples=table.samples))
    legend_of(axes, look)
    words.dress(axes)
    return EnginesArtists(axes, points, labels, oracle)


def save(table: EngineTable, path: Path) -> None:
    """Draw the table into a file, whose ending names the format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    engines(table, ax=figure.subplots())
    figure.savefig(path, dpi=150)


def _short(engine: str) -> str:
    """Give the word of an engine: `column, every step` for `Column(step=0.0001, every_step=True)`."""
    return engine.split("(")[0].lower() + (", every step" if "every_step=True" in engine else "")
