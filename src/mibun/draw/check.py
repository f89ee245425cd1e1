"""Where a checked derivative is wrong: a block for each parameter, an element a cell, coloured by given / numeric."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.checker import CheckReport
from mibun.draw.style import MAP, Look, Picture, axes_for, look_of, luminance
from mibun.draw.words import Language, Words
from mibun.errors import InputError
from mibun.structure import Structure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

__all__ = ["check"]

#: Ratios beyond these have the colours of the ends.
RATIOS: Final = (-1.0, 3.0)
#: Elements of a vector in one row, unless it is very long.
ROW: Final = 40
#: Most wrong elements that are written into, or marked; cells across, and down, at which letters still fit.
MARKED: Final = 200
ACROSS, DOWN = 16, 40
#: What a cell can be, in the order of its codes.
RIGHT, UNSEEN, UNDECIDED, KINK, WRONG = range(5)


class _Block(NamedTuple):
    """One parameter on the canvas."""

    name: str
    ratios: NDArray[np.float64]  #: nan where an element was not looked at alone
    codes: NDArray[np.uint8]
    top: int


def check(report: CheckReport, *, language: Language = "en", ax: Axes | None = None) -> Picture:
    """Draw which elements of a checked derivative are wrong, and by what factor.

    Each parameter is a block with a cell for each element: a matrix as it is, a vector as a row, a long one in several,
    with more axes than two the last one across. Of a Jacobian there is a block for each part of f(x) and of x.

    Parameters
    ----------
    report : CheckReport
        Of `check`, with a dense gradient.
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has image (given / numeric of the wrong elements, masked elsewhere), rest (what the others are),
        texts (the ratios that are written, where there is room), marks (on wrong elements, where cells are small) and
        legend; `numbers` has ratios, given / numeric by the name of the parameter, nan where an element was not
        differentiated alone.

    Raises
    ------
    InputError
        If the report is none, or that of a sparse matrix.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> import mibun as mb
    >>> x = np.arange(1.0, 7).reshape(2, 3)
    >>> report = mb.check(lambda x: np.sum(x**2), 2 * x * [1, -1, 1], x)
    >>> drawn = mb.draw.check(report, ax=Figure().subplots())
    >>> drawn.numbers["ratios"]["gradient"].round(6).tolist()
    [[1.0, -1.0, 1.0], [1.0, -1.0, 1.0]]
    """
    words = Words(language)
    if not isinstance(report, CheckReport):
        raise InputError(f"report is a {type(report).__name__}; expected what mb.check returns")
    if report.given is None:
        raise InputError("report is that of a sparse matrix; its elements are in report.wrong, one by one")
    blocks = _blocks(report)
    rows, columns = blocks[-1].top + len(blocks[-1].codes), max(block.codes.shape[1] for block in blocks)
    axes = axes_for(ax, (5.6, min(max(4.0 * rows / columns, 2.4), 7.0)))
    look = look_of(axes)
    canvas, ratios = np.full((rows, columns), np.nan), np.full((rows, columns), np.nan)
    for block in blocks:
        place = np.s_[block.top : block.top + len(block.codes), : block.codes.shape[1]]
        canvas[place] = block.codes
        ratios[place] = np.where(block.codes == WRONG, block.ratios, np.nan)
    shape: Any = {"aspect": "equal" if rows <= 4 * columns <= 16 * rows else "auto", "interpolation": "nearest"}
    rest = axes.imshow(np.ma.masked_invalid(canvas), cmap=_shades(look), vmin=0, vmax=WRONG, **shape)
    # infinite and unknown factors have the colours of the ends
    shown = np.ma.masked_where(canvas != WRONG, np.nan_to_num(ratios, nan=RATIOS[0], posinf=np.inf))
    image = axes.imshow(np.clip(shown, *RATIOS), cmap=MAP, vmin=RATIOS[0], vmax=RATIOS[1], **shape)
    axes.set_xticks([])
    axes.set_yticks([block.top + (len(block.codes) - 1) / 2 for block in blocks], [block.name for block in blocks])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(_title(report, words), fontsize="medium")
    _outlined(axes, look, blocks)
    places, fits = np.argwhere(canvas == WRONG), columns <= ACROSS and rows <= DOWN
    few = 0 < len(places) <= MARKED
    texts = [_written(axes, look, ratios, *place) for place in places.tolist()] if fits and few else []
    marks = None
    if few and not fits:
        down, across = places.T
        marks = axes.scatter(across, down, c=np.asarray(image.get_array())[down, across], cmap=MAP, s=36)
        marks.set(clim=RATIOS, edgecolor=look.ink, linewidth=0.8)
    axes.set(xlim=(-0.6, columns - 0.4), ylim=(rows - 0.4, -0.6))
    legend = _legend(axes, look, words, canvas)
    words.dress(axes)
    numbers = {"ratios": {block.name: block.ratios for block in blocks}}
    return Picture(axes, {"image": image, "rest": rest, "texts": texts, "marks": marks, "legend": legend}, numbers)


def _blocks(report: CheckReport) -> list[_Block]:
    """Lay out the parameters below each other, a row apart."""
    structure = Structure.of(report.given)
    given, numeric = (structure.flatten(tree, dtype=np.float64) for tree in (report.given, report.numeric))
    with np.errstate(all="ignore"):
        ratios = given / numeric
    codes = np.where(np.isnan(numeric), UNSEEN, RIGHT).astype(np.uint8)
    listed = ((report.wrong, WRONG), (report.undecided, UNDECIDED), (report.subgradients, KINK))
    for findings, code in listed:
        for finding in findings:
            if finding.element or structure.size == 1:
                codes[structure.index(finding.element)] = code
    found, top = [], 0
    for leaf in structure.leaves:
        matrices = [_matrix(part[leaf.slice], leaf.shape) for part in (ratios, codes)]
        found.append(_Block(leaf.name or report.word, matrices[0], matrices[1], top))
        top += len(matrices[0]) + 1
    return found


def _matrix(flat: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Put an array into rows: as it is, or a long vector in several, filled up with nothing."""
    if len(shape) > 1:
        return flat.reshape(-1, shape[-1])
    width = max(min(ROW, flat.size), math.ceil(math.sqrt(flat.size)))
    rows = math.ceil(flat.size / width)
    blank: Any = np.nan if flat.dtype.kind == "f" else UNSEEN
    return np.concatenate([flat, np.full(rows * width - flat.size, blank, flat.dtype)]).reshape(rows, width)


def _shades(look: Look) -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap([look.faint, look.background, look.quiet, look.colours[2], look.colours[1]])


def _outlined(axes: Axes, look: Look, blocks: list[_Block]) -> None:
    """Draw the edge of each block."""
    from matplotlib.patches import Rectangle

    for block in blocks:
        height, width = block.codes.shape
        edge = Rectangle((-0.5, block.top - 0.5), width, height, fill=False, edgecolor=look.quiet, linewidth=0.6)
        axes.add_patch(edge)


def _title(report: CheckReport, words: Words) -> str:
    """Say in one line what was found."""
    total = f"{report.elements:,}"
    if report.wrong_count:
        least = "" if report.complete else "≥ "
        return words("{wrong} of {total} elements wrong", wrong=f"{least}{report.wrong_count:,}", total=total)
    if report.undecided_count:
        return words("{count} of {total} elements undecided", count=f"{report.undecided_count:,}", total=total)
    return words("all of {total} elements right", total=total)


def _written(axes: Axes, look: Look, ratios: NDArray[np.float64], row: int, column: int) -> Any:
    """Write the factor into the cell of a wrong element: light on dark, dark on light."""
    factor = float(ratios[row, column])
    dark, light = sorted((look.ink, look.background), key=luminance)
    colour = light if not factor >= sum(RATIOS) / 2 else dark
    text = f"{factor:.0f}" if 10 <= abs(factor) < 1e4 else f"{factor + 0.0:.2g}" if math.isfinite(factor) else ""
    return axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)


def _legend(axes: Axes, look: Look, words: Words, canvas: NDArray[np.float64]) -> Legend:
    """Say what the colours mean, of those that are there."""
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    colours, low, high = colormaps[MAP], *RATIOS
    scale = [(words("given / numeric ≤ {low}", low=f"{low:g}"), 0.0), ("0", -low / (high - low))]
    scale += [("2", (2 - low) / (high - low)), (f"≥ {high:g}", 1.0)]
    shades = {RIGHT: "right", UNSEEN: "not looked at alone", UNDECIDED: "undecided", KINK: "at a kink"}
    patches = [Patch(facecolor=colours(part), label=text) for text, part in scale if (canvas == WRONG).any()]
    patches += [
        Patch(facecolor=_shades(look)(code), edgecolor=look.quiet, linewidth=0.5, label=words(name))
        for code, name in shades.items()
        if (canvas == code).any()
    ]
    return axes.legend(
        handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=5, frameon=False, fontsize="small",
        labelcolor=look.ink, handlelength=1.0, columnspacing=1.2,
    )  # fmt: skip
