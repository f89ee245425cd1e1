"""The examples of docstrings, of the README files and of the documentation are tests."""

import importlib.util
import sys
from collections.abc import Iterator
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from typing import Any

import pytest
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.codeblock import AbstractCodeBlockParser
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.myst.lexers import DirectiveLexer
from sybil.parsers.rest import DocTestParser
from sybil.sybil import SybilCollection

#: Frameworks without which their examples are left out; their tests are skipped, and say so.
_MISSING = {name for name in ("jax", "torch") if importlib.util.find_spec(name) is None}
_doctests = DocTestParser(optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)


@pytest.fixture
def in_folder(tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an example write its files into a folder of its own."""
    monkeypatch.chdir(str(tmp_path))


class PictureParser(AbstractCodeBlockParser):
    """The code of the directive `picture`, whatever the name of the picture is."""

    def __init__(self) -> None:
        lexer = DirectiveLexer("picture", mapping={"directive": "arguments", "source": "source"})
        super().__init__([lexer], "picture", PythonEvaluator())


@pytest.fixture
def closed_figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Draw without a screen, and close what a page has drawn."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def _names_of_a_page(names: dict[str, Any]) -> None:
    """Let a page of the documentation begin with what its pictures begin with."""
    import numpy
    from matplotlib import pyplot

    import mibun

    names.update(missing=_MISSING, mb=mibun, np=numpy, plt=pyplot)


_python = PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)

pytest_collect_file = SybilCollection(
    [
        Sybil(
            parsers=[_doctests],
            patterns=["src/**/*.py", "src/*/*/*.py", "src/*/*/*/*.py"],
            excludes=[f"**/mibun/{name}/*.py" for name in _MISSING],
        ),
        Sybil(
            parsers=[_python, SkipParser()],
            setup=lambda names: names.update(missing=_MISSING),
            patterns=["README*.md"],
            fixtures=["in_folder"],
        ),
        Sybil(
            parsers=[_python, PictureParser(), SkipParser()],
            setup=_names_of_a_page,
            patterns=["docs/*.md", "docs/*/*.md", "docs/*/*/*.md"],
            excludes=["docs/_build/**", "docs/auto_*/**"],
            fixtures=["in_folder", "closed_figures"],
        ),
    ]
).pytest()
