"""Pictures as files: drawn without a screen, on a light or a dark background."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from mibun.draw.style import Picture, require_matplotlib

__all__ = ["formats", "image_of"]

#: Dots per inch of a picture that is made of dots.
DPI: Final = 160


def formats() -> list[str]:
    """Give the endings of the files that matplotlib writes."""
    require_matplotlib()
    from matplotlib.backend_bases import FigureCanvasBase

    return sorted(FigureCanvasBase.get_supported_filetypes())


def image_of(drawn: Callable[[], Picture | Sequence[Picture]], ending: str, dark: bool = False) -> bytes:
    """Draw in a figure of its own, and give the file's content; open figures and all settings stay as they are.

    Parameters
    ----------
    drawn : callable
        Without arguments: draws, with ``ax=None``, and gives the picture, or the panels of one.
    ending : str
        One of `formats`.
    dark : bool
        A dark background.

    Examples
    --------
    >>> import mibun as mb
    >>> from mibun.draw.files import image_of
    >>> image_of(lambda: mb.draw.function(lambda x: x**2), "png")[1:4]
    b'PNG'
    """
    require_matplotlib()
    from matplotlib import pyplot

    image = io.BytesIO()
    with _closed_again(), pyplot.style.context(["dark_background"] if dark else []):
        made: Any = drawn()
        figure: Any = (made if isinstance(made, Picture) else made[0]).axes.figure
        figure.savefig(image, format=ending, dpi=DPI)
    return image.getvalue()


@contextmanager
def _closed_again() -> Iterator[None]:
    """Let pyplot make figures without a screen, and close them."""
    from matplotlib import pyplot

    before, backend = set(pyplot.get_fignums()), pyplot.get_backend()
    pyplot.switch_backend("agg")
    try:
        yield
    finally:
        for number in set(pyplot.get_fignums()) - before:
            pyplot.close(number)
        pyplot.switch_backend(backend)
