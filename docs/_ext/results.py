"""The pages of `benchmarks/results` become pages of the documentation as they are; a new one needs no line here."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = "auto_results"


def copy(app: Sphinx) -> None:
    here = Path(app.srcdir)
    folder = here / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in sorted((here.parent / "benchmarks" / "results").glob("*.md")):
        shutil.copy2(file, folder)  # with its time, so that only what is new is read again


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
