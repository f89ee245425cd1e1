"""The examples of docstrings and of the README files are tests."""

import importlib.util
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser

#: Frameworks without which their examples are left out; their tests are skipped, and say so.
_MISSING = {name for name in ("jax", "torch") if importlib.util.find_spec(name) is None}
_doctests = DocTestParser(optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)


@pytest.fixture
def in_folder(tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an example write its files into a folder of its own."""
    monkeypatch.chdir(str(tmp_path))


pytest_collect_file = (
    Sybil(
        parsers=[_doctests],
        patterns=["src/**/*.py", "src/*/*/*.py", "src/*/*/*/*.py"],
        excludes=[f"**/mibun/{name}/*.py" for name in _MISSING],
    )
    + Sybil(
        parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE), SkipParser()],
        setup=lambda names: names.update(missing=_MISSING),
        patterns=["README*.md"],
        fixtures=["in_folder"],
    )
).pytest()
