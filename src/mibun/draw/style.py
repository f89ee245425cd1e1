"""What all pictures have in common: the record that they give back, colours, axes, and the check for matplotlib.

Colours are those of Okabe and Ito (2008) and the wine of Tol (2021), told apart with every colour vision; each has
a line style and a marker of its own, so that grey pictures can be read. A dark background has lighter ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mibun.errors import InputError, MissingDependency

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

__all__ = ["MAP", "MARKERS", "Look", "Picture", "axes_for", "legend_of", "look_of", "require_matplotlib"]

BLUE, VERMILION, GREEN, WINE = "#0072B2", "#D55E00", "#009E73", "#882255"
SKY, ORANGE, YELLOW, PINK = "#56B4E9", "#E69F00", "#F0E442", "#CC79A7"
#: What tells lines apart without their colour.
STYLES, MARKERS = ("-", "--", "-.", ":"), ("o", "s", "^", "D")
#: Of surfaces and heat maps: from dark to light without a turn, so that grey shows the same order.
MAP = "cividis"


class Picture(NamedTuple):
    """What was drawn.

    Attributes
    ----------
    axes : Axes
        Where; its figure is ``picture.axes.figure``, as in ``picture.axes.figure.savefig("picture.png")``.
    artists : dict
        The lines, images, arrows and legends, by name.
    numbers : dict
        What was computed for the picture, by name: derivatives with their errors, grids, values.
    """

    axes: Axes
    artists: dict[str, Any]
    numbers: dict[str, Any]


class Look(NamedTuple):
    """The colours for one background: of text and outlines, of what stays behind, and of lines, in order."""

    ink: str
    quiet: str
    faint: str
    background: str
    colours: tuple[str, str, str, str]

    def line(self, number: int, **more: Any) -> dict[str, Any]:
        """Give colour, style and width of the line of this number."""
        place = number % 4
        return {"color": self.colours[place], "linestyle": STYLES[place], "linewidth": 1.7, **more}

    def mark(self, number: int, **more: Any) -> dict[str, Any]:
        """Give the look of the single marks of this number."""
        place = number % 4
        shape = {"color": self.colours[place], "marker": MARKERS[place], "markersize": 7.0, "linestyle": "none"}
        return {**shape, "markeredgecolor": self.background, **more}


LIGHT = Look("#1A1A1A", "#8A8A8A", "#D9D9D9", "#FFFFFF", (BLUE, VERMILION, GREEN, WINE))
DARK = Look("#F2F2F2", "#8A8A8A", "#4D4D4D", "#000000", (SKY, ORANGE, YELLOW, PINK))


def luminance(colour: Any) -> float:
    """Give the relative luminance of a colour, from 0 to 1, as the web's rules for contrast define it (WCAG 2.1)."""
    from matplotlib.colors import to_rgb

    share = np.array(to_rgb(colour))
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def look_of(axes: Axes) -> Look:
    """Choose the colours for the background that these axes have."""
    from matplotlib.colors import to_rgba

    seen = np.ones(3)  # paper
    for colour in (axes.figure.figure.get_facecolor(), axes.get_facecolor()):
        *rgb, alpha = to_rgba(colour)
        seen = alpha * np.array(rgb) + (1 - alpha) * seen
    # 0.18 looks as far from black as from white.
    return LIGHT if luminance(seen) > 0.18 else DARK


def axes_for(ax: Axes | None, size: tuple[float, float] = (5.6, 4.0), projection: str | None = None) -> Axes:
    """Give `ax`, checked, or the axes of a new figure that pyplot knows.

    Raises
    ------
    InputError
        If `ax` is no Axes, or of another projection than the picture needs.
    MissingDependency
        If matplotlib is not installed.
    """
    require_matplotlib()
    wanted = projection or "rectilinear"
    if ax is not None:
        check_axes(ax, wanted)
        return ax
    from matplotlib import pyplot

    _, made = pyplot.subplots(figsize=size, layout="constrained", subplot_kw={"projection": wanted})
    return made


def check_axes(ax: Any, wanted: str = "rectilinear") -> None:
    """Refuse what is no Axes, or has another projection."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        several = "; the axes of several panels are given one by one, such as axes[0]" if np.ndim(ax) else ""
        raise InputError(f"ax is a {type(ax).__name__}; expected one Axes, such as that of plt.subplots(){several}")
    if ax.name != wanted:
        write = "plt.figure().add_subplot(projection='3d')" if wanted == "3d" else "plt.figure().add_subplot()"
        raise InputError(f"ax has the projection {ax.name!r}; expected {wanted!r}: make it by {write}")


def legend_of(axes: Axes, look: Look, *, grid: bool = True, **options: Any) -> Legend:
    """Add a legend that can be read on the background, and a grid behind everything."""
    if grid:
        axes.grid(visible=True, color=look.faint, linewidth=0.6)
        axes.set_axisbelow(True)
    settings = {"loc": "best", "framealpha": 0.85, "edgecolor": look.faint, "facecolor": look.background}
    legend = axes.legend(**{**settings, "labelcolor": look.ink, "fontsize": "small", **options})
    legend.set_in_layout(False)  # it stands inside, and a wide one shall not squeeze the picture
    return legend


def require_matplotlib() -> None:
    """Say how to install matplotlib if it is not there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingDependency.of("matplotlib", "plot", "mb.draw") from error
