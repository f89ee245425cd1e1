"""Every heading of the troubleshooting page is a message that stands in the code."""

import ast
import re
from functools import cache
from pathlib import Path

import mibun

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
FIELD = "…"


def text_of(node: ast.AST) -> str | None:
    """Give a text of the program, with a mark for each of its fields; None for everything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else FIELD for part in node.values)
    return None


@cache
def messages() -> tuple[str, ...]:
    files = sorted(Path(mibun.__file__).parent.rglob("*.py"))
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    return tuple({text for node in nodes if (text := text_of(node)) is not None})


def missing(headings: list[str]) -> list[str]:
    return [heading for heading in headings if not any(heading in message for message in messages())]


def test_every_heading_is_a_message_of_the_code() -> None:
    headings = re.findall(r"^### (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(headings) > 30
    assert all(heading.startswith("`") and heading.endswith("`") for heading in headings)
    assert missing([heading.strip("`") for heading in headings]) == []


def test_a_heading_that_is_no_message_is_found() -> None:
    assert missing(["f has a kink here", "f has a bend here"]) == ["f has a bend here"]
