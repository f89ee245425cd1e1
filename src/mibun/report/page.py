"""The frame of every report: one HTML page that asks for nothing from outside and runs no script.

Functions whose results are put together give HTML; all text that they are given is escaped, unless its argument is
called `html`.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

__all__ = [
    "command_line",
    "counted",
    "duration",
    "escape",
    "notice",
    "page",
    "paragraph",
    "percent",
    "section",
    "table",
]

# The pictures are data: or inline SVG, whose shapes carry style attributes; everything else is refused.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

#: Name and seconds of each unit, and how many seconds a duration has at least to be said in it.
_UNITS = (
    ("years", 365.25 * 86400, 2 * 365.25 * 86400),
    ("days", 86400.0, 2 * 86400.0),
    ("hours", 3600.0, 2 * 3600.0),
    ("minutes", 60.0, 2 * 60.0),
    ("s", 1.0, 0.9995),
    ("ms", 1e-3, 0.9995e-3),
    ("µs", 1e-6, 0.0),
)


def page(title: str, html: str) -> str:
    """Give a whole page with this title around the HTML of its body."""
    style = resources.files("mibun.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"{html}\n</main>\n</body>\n</html>\n"
    )


def section(name: str, heading: str, *html: str) -> str:
    """Give a section with a heading; `name` is its anchor."""
    parts = "\n".join(part for part in html if part)
    return f'<section id="{escape(name)}">\n<h2>{escape(heading)}</h2>\n{parts}\n</section>'


def paragraph(text: str) -> str:
    """Give a paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def notice(text: str, command: str | None = None) -> str:
    """Give a paragraph that is seen at once, with a command line at its end if given."""
    line = "" if command is None else f" <code>{escape(command)}</code>"
    return f'<p class="notice" role="note">{escape(text)}{line}</p>'


def command_line(text: str) -> str:
    """Give a command in a box; its lines break before an option, never within its name."""
    parts = " ".join(f"<span>{escape(part)}</span>" for part in re.split(r" (?=--)", text))
    return f"<pre><code>{parts}</code></pre>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "numbers") -> str:
    """Give a table; the first cell of a row is its heading, `kind` the class that the style sheet knows."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = [
        f'<tr><th scope="row">{escape(str(first))}</th>{"".join(f"<td>{escape(str(cell))}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    ]
    top = f"<thead><tr>{top}</tr></thead>\n" if any(head) else ""
    body = "\n".join(lines)
    return f'<div class="scroll"><table class="{escape(kind)}">\n{top}<tbody>\n{body}\n</tbody></table></div>'


def percent(share: float, digits: int = 1) -> str:
    """Write a share as `97.2 %`."""
    return f"{100 * share:.{digits}f} %"


def counted(count: int, name: str) -> str:
    """Write `1 step` or `1,890 steps`."""
    return f"{count:,} {name}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """Write a time as people say it, to two or more digits.

    Examples
    --------
    >>> from mibun.report.page import duration
    >>> [duration(seconds) for seconds in (0.000012, 0.0504, 1.5, 95, 200, 154_000, 400_000)]
    ['12 µs', '50 ms', '1.5 s', '95 s', '3.3 minutes', '43 hours', '4.6 days']
    """
    unit, size = next((unit, size) for unit, size, least in _UNITS if seconds >= least)
    number = seconds / size
    return f"{number:,.0f} {unit}" if number >= 9.95 else f"{number:.1f}".removesuffix(".0") + f" {unit}"
