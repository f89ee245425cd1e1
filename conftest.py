"""The examples of docstrings and of the README files are tests."""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser

_doctests = DocTestParser(optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)


@pytest.fixture
def in_folder(tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an example write its files into a folder of its own."""
    monkeypatch.chdir(str(tmp_path))


pytest_collect_file = (
    Sybil(parsers=[_doctests], patterns=["src/**/*.py", "src/*/*/*.py", "src/*/*/*/*.py"])
    + Sybil(
        parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)],
        patterns=["README*.md"],
        fixtures=["in_folder"],
    )
).pytest()
