"""What a built page loads comes from the page's own folder; Korean pages say that they are Korean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: What a browser fetches without being asked: scripts, styles, pictures, fonts.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc\s*=\s*["']?(?P<src>(?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel\s*=\s*["']?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref\s*=\s*["']?"""
    r"""(?P<href>(?:https?:)?//[^"'\s>]+)"""
)
IN_STYLES = re.compile(r"""(?:url\(|@import\s)\s*["']?((?:https?:)?//[^"')\s]+)""")


def fetched(page: str) -> list[str]:
    """Give the addresses outside that a page has its browser fetch."""
    return [match["src"] or match["href"] for match in FETCHED.finditer(page)]


def look(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    found = []
    for file in sorted(Path(app.outdir).rglob("*")):
        if file.suffix in (".html", ".css"):
            text = file.read_text(encoding="utf-8")
            found += [
                f"{file.name}: {url}" for url in (fetched(text) if file.suffix == ".html" else IN_STYLES.findall(text))
            ]
    if found:
        raise ExtensionError(f"pages that need the network: {found[:10]}")


def language(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    if page.partition("/")[0] == "ko":
        context["language"] = "ko"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", look)
    app.connect("html-page-context", language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
