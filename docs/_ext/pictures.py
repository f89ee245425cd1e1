"""Pictures that the code on the page draws: twice, for a light page and for a dark one.

The directive ``picture`` shows its code and, below it, what the code draws; the pictures of a page share one namespace,
in which `mb`, `np` and `plt` stand. `GalleryScraper` does the same for the examples of the gallery: a block that drew
something is run once more on a dark background.
"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

mpl.use("agg")

#: The background of a dark page, as the theme has it; matplotlib's own is black.
DARK = {"figure.facecolor": "#131416", "axes.facecolor": "#131416", "savefig.facecolor": "#131416"}
SHADES = ("light", "dark")
FOLDER = "auto_pictures"
DPI = 160


@contextlib.contextmanager
def background(shade: str) -> Iterator[None]:
    """Draw for a light page, or for a dark one; close what was drawn."""
    from matplotlib import pyplot

    with pyplot.style.context(["dark_background", DARK] if shade == "dark" else ["default"]):
        yield
    pyplot.close("all")


def draw(code: str, names: dict[str, Any], file: Path) -> list[Path]:
    """Run the code once for each shade, and save the figure that it leaves."""
    from matplotlib import pyplot

    compiled, made = compile(code, f"<picture {file.name}>", "exec"), []
    for shade in SHADES:
        with background(shade):
            exec(compiled, names)
            if not pyplot.get_fignums():
                raise ValueError(f"the code of the picture {file.name} draws nothing")
            made.append(file.with_name(f"{file.name}-{shade}.png"))
            pyplot.gcf().savefig(made[-1], dpi=DPI)
    return made


class Picture(SphinxDirective):
    """``picture NAME``: the code, and what it draws."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required, "caption": directives.unchanged, "hide-code": directives.flag}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        if "alt" not in self.options:
            raise self.error("a picture needs :alt:, what is seen on it in one sentence")
        page = self.env.docname
        folder = Path(self.env.srcdir) / FOLDER
        folder.mkdir(exist_ok=True)
        file = folder / f"{page.replace('/', '-')}-{self.arguments[0]}"
        code = "\n".join(self.content)
        try:
            made = draw(code, self._names(page), file)
        except Exception as error:
            raise self.error(
                f"the picture {self.arguments[0]} cannot be drawn: {type(error).__name__}: {error}"
            ) from error
        shown = [] if "hide-code" in self.options else [nodes.literal_block(code, code, language="python")]
        return [*shown, *self._figures(made)]

    def _names(self, page: str) -> dict[str, Any]:
        import numpy as np
        from matplotlib import pyplot

        import mibun

        kept = self.env.temp_data
        return kept.setdefault(f"names of the pictures on {page}", {"mb": mibun, "np": np, "plt": pyplot})

    def _figures(self, made: list[Path]) -> Iterator[nodes.Node]:
        for shade, file in zip(SHADES, made, strict=True):
            image = nodes.image(uri=f"/{FOLDER}/{file.name}", alt=self.options["alt"])
            figure = nodes.figure("", image, classes=["picture", f"only-{shade}"])
            if "caption" in self.options:
                text, messages = self.parse_inline(self.options["caption"])
                figure += nodes.caption(self.options["caption"], "", *text)
                yield from messages
            yield figure


class GalleryScraper:
    """Save the figures of a block of a gallery's example, and those of the same block on a dark page."""

    def __repr__(self) -> str:
        return "GalleryScraper()"

    def __call__(self, block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
        from matplotlib import pyplot

        if not pyplot.get_fignums():
            return ""
        paths = block_vars["image_path_iterator"]
        light = self._save(paths)
        pyplot.close("all")
        with background("dark"), contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block[1], block_vars["src_file"], "exec"), dict(block_vars["example_globals"]))
            dark = self._save(paths)
        title = Path(block_vars["src_file"]).stem.replace("_", " ")
        lines = []
        for shade, files in zip(SHADES, (light, dark), strict=True):
            for file in files:
                place = Path(os.path.relpath(file, gallery_conf["src_dir"])).as_posix()
                lines += [f".. image:: /{place}", f"   :alt: {title}", f"   :class: picture only-{shade}", ""]
        return "\n".join(["", *lines, ""])

    @staticmethod
    def _save(paths: Iterator[str]) -> list[str]:
        from matplotlib import pyplot

        files = []
        for number in pyplot.get_fignums():
            files.append(next(paths))
            pyplot.figure(number).savefig(files[-1], dpi=DPI)
        return files


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
