"""Pictures of matplotlib as a part of a page: inline SVG, the same for the same data."""

import io
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mibun.report.page import escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["has_matplotlib", "picture", "thin_out"]

#: Most points of a line.
_POINTS = 1000


def has_matplotlib() -> bool:
    """Tell whether there can be pictures."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def picture(draw: "Callable[[Axes], object]", size: tuple[float, float], label: str, salt: str = "") -> str:
    """Give what `draw` draws as a figure of the page; `label` says it in words."""
    import matplotlib.style
    from matplotlib.figure import Figure

    # The reader's own matplotlib style must not decide how the page looks, nor chance how its ids are called.
    fixed = {"svg.fonttype": "none", "svg.hashsalt": f"mibun {salt or label}"}
    with matplotlib.style.context(["default", fixed]):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        draw(axes)
        for line in axes.get_lines():
            thin_out(line)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return f'<figure class="card">{_inline(file.getvalue(), label)}</figure>\n'


def thin_out(line: "Line2D") -> None:
    """Leave the least and the largest value of every stretch: the line looks the same, and its file stays small."""
    x, y = (np.asarray(values) for values in line.get_data())
    if len(x) <= _POINTS:
        return
    stretch = math.ceil(2 * len(x) / _POINTS)
    kept = {0, len(x) - 1}
    for start in range(0, len(x), stretch):
        part = y[start : start + stretch]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    chosen = sorted(kept)
    line.set_data(x[chosen], y[chosen])


def _inline(svg: str, label: str) -> str:
    """Make a stand-alone SVG file a part of the page: no prologue, no name spaces, no ids that both pictures have."""
    svg = svg[svg.index("<svg") :]
    head, rest = svg.split(">", 1)
    view = re.search(r'viewBox="[^"]*"', head)
    rest = re.sub(r"<metadata>.*?</metadata>\s*", "", rest, flags=re.DOTALL)
    rest = re.sub(r'<g id="[^"]*"', "<g", rest)
    rest = re.sub(r"\n\s*", "\n", rest)
    return f'<svg role="img" aria-label="{escape(label)}" {view.group() if view else ""}>{rest.rstrip()}'
