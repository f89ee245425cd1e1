"""The pages of `benchmarks/results` become pages of the documentation as they are; a new one needs no line here.

Other pages link to the files themselves, as one who reads them without a build has to; the build links to the pages.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = "auto_results"
LINK = re.compile(r"\]\((?:\.\./)+benchmarks/results/")


def copy(app: Sphinx) -> None:
    here = Path(app.srcdir)
    folder = here / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in sorted((here.parent / "benchmarks" / "results").glob("*.md")):
        shutil.copy2(file, folder)  # with its time, so that only what is new is read again


def link(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = LINK.sub(f"](/{FOLDER}/", source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", copy)
    app.connect("source-read", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
