"""The examples of docstrings, of the README files and of the documentation are tests."""

import importlib.util
import os
import shlex
import subprocess
import sys
import tempfile
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.codeblock import AbstractCodeBlockParser
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser
from sybil.parsers.myst.lexers import DirectiveLexer
from sybil.parsers.rest import DocTestParser
from sybil.sybil import SybilCollection

#: Frameworks without which their examples are left out; their tests are skipped, and say so.
_MISSING = {name for name in ("dask", "distributed", "jax", "torch") if importlib.util.find_spec(name) is None}
_OPTIONS = ELLIPSIS | NORMALIZE_WHITESPACE
_doctests = DocTestParser(optionflags=_OPTIONS)
_python = PythonCodeBlockParser(doctest_optionflags=_OPTIONS)


@pytest.fixture
def in_folder(tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an example write its files into a folder of its own."""
    monkeypatch.chdir(str(tmp_path))


class PictureParser(AbstractCodeBlockParser):
    """The code of the directive `picture`, whatever the name of the picture is."""

    def __init__(self) -> None:
        lexer = DirectiveLexer("picture", mapping={"directive": "arguments", "source": "source"})
        super().__init__([lexer], "picture", PythonEvaluator())


class FileParser(AbstractCodeBlockParser):
    """A program with a file name as its caption: written into the folder of the page."""

    def __init__(self) -> None:
        super().__init__([DirectiveLexer("code-block")], "python")

    def evaluate(self, example: Example) -> None:
        """Write the file that the caption names; without a caption run the code."""
        name = example.region.lexemes["options"].get("caption")
        if name is None:
            PythonEvaluator()(example)
        else:
            Path(name).write_text(example.parsed, encoding="utf-8")


class ConsoleParser(CodeBlockParser):
    """Lines `$ command` and what is printed; `mibun`, `python` and `pytest` are those of this environment."""

    language = "console"

    def evaluate(self, example: Example) -> str | None:
        """Run each command, and compare what it prints with what stands below it."""
        for block in example.parsed.split("\n$ ") if example.parsed.startswith("$ ") else []:
            command, _, wanted = block.removeprefix("$ ").partition("\n")
            program, *words = shlex.split(command)
            run = [sys.executable, *([] if program == "python" else ["-m", program]), *words]
            paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTEST_PLUGINS": "pytest_mibun"}
            done = subprocess.run(  # noqa: S603  the commands are those of our own pages
                run, env=os.environ | paths, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
            )
            if wanted.strip() and not OutputChecker().check_output(wanted.rstrip() + "\n", done.stdout, _OPTIONS):
                return f"$ {command}\nexpected:\n{wanted}\nprinted:\n{done.stdout}"
            if not wanted.strip() and done.returncode:
                return f"$ {command}\nended with {done.returncode}:\n{done.stdout}"
        return None


def _begin_page(names: dict[str, Any]) -> None:
    """Let a page of the documentation begin with what its pictures begin with, in a folder of its own."""
    os.environ.setdefault("MPLBACKEND", "agg")
    import numpy
    from matplotlib import pyplot

    import mibun

    folder = tempfile.TemporaryDirectory()
    names.update(missing=_MISSING, mb=mibun, np=numpy, plt=pyplot, _page=(folder, Path.cwd()))
    os.chdir(folder.name)
    sys.path.insert(0, folder.name)


def _end_page(names: dict[str, Any]) -> None:
    """Close what a page has drawn, and leave its folder."""
    folder, before = names["_page"]
    names["plt"].close("all")
    os.chdir(before)
    sys.path.remove(folder.name)
    folder.cleanup()


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
            parsers=[_python, PictureParser(), FileParser(), ConsoleParser(), SkipParser()],
            setup=_begin_page,
            teardown=_end_page,
            patterns=["docs/*.md", "docs/*/*.md", "docs/*/*/*.md"],
            excludes=["docs/_build/**", "docs/auto_*/**"],
        ),
    ]
).pytest()
