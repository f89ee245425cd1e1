"""Docstrings are written to be read in a terminal: |x| and *args mean themselves, and are no markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: Code between backticks, which stays as it is, or a character that reStructuredText would take for markup.
PIECE = re.compile(r"(``.*?``|`[^`]*`)|(\||\*(?=\S))")


def plain(lines: list[str]) -> list[str]:
    """Escape what is markup by accident, outside of code, examples and literal blocks."""
    made: list[str] = []
    example, literal = False, -1
    for line in lines:
        indent = len(line) - len(line.lstrip())
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if line.strip() and indent <= literal:
            literal = -1
        shown = example or literal >= 0
        made.append(line if shown else PIECE.sub(lambda match: match[1] or f"\\{match[2]}", line))
        if literal < 0 and not example and line.rstrip().endswith("::"):
            literal = indent
    return made


def escape(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = plain(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", escape, priority=100)  # before napoleon, which writes markup of its own
    return {"parallel_read_safe": True, "parallel_write_safe": True}
