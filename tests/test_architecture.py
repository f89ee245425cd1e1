"""The laws of the house: who may import what, what is public, what an import costs, how long things may be."""

import ast
import inspect
import io
import json
import os
import pkgutil
import subprocess
import sys
import textwrap
import tokenize
from importlib import import_module
from pathlib import Path

import pytest

import mibun

SOURCE = Path(mibun.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

#: From left to right: a name may import what stands in a group before its own; siblings do not import each other.
LAYERS = (
    ("errors", "text"),
    ("structure",),
    ("result", "status", "stencil", "formula"),
    ("colouring",),
    ("conversation", "plan", "sparsity"),
    ("methods", "evaluate", "given"),
    ("options", "pairs"),
    ("sparse",),
    ("sparse_hessian",),
    ("chain",),
    ("derivatives",),
    ("hessians",),
    ("checker", "descent", "scipy", "blackbox"),
    ("automatic",),
    ("jax", "torch"),
    ("gradcheck",),
    ("learn",),
    ("book",),
    ("draw",),
    ("report",),
    ("cli",),
)
#: Pairs of siblings that may: the table of statuses is a part of `result` in a file of its own.
WITHIN = {("result", "status")}
#: Inside `learn`, by the same rule.
LEARN_LAYERS = (
    ("bounds",),
    ("layers",),
    ("losses",),
    ("data",),
    ("network",),
    ("engines",),
    ("batches", "history", "threads", "checkpoint"),
    ("diagnosis",),
    ("watch",),
    ("train",),
)
#: Inside `chain`, by the same rule.
CHAIN_LAYERS = (
    ("refuse", "rounding"),
    ("tape",),
    ("arguments", "bounds", "sampled", "verify"),
    ("array",),
    ("elementary", "local", "linear"),
    ("moving",),
    ("selecting", "products", "composed", "norms", "algebra", "ufuncs", "user"),
    ("backward",),
    ("method",),
    ("replay", "second"),
)
#: Third parties, and where they may be imported; NumPy everywhere.
THIRD_PARTIES = {
    "scipy": ("colouring", "scipy"),
    "jax": ("jax",),
    "torch": ("torch",),
    "matplotlib": ("draw", "report"),
    "pooch": ("learn.data",),
    "requests": ("learn.data",),
    "cloudpickle": ("evaluate.messages",),
    "PIL": ("learn.data",),
    "threadpoolctl": ("learn.threads",),
    "click": ("cli",),
    "rich": ("cli",),
}
LONGEST_MODULE = 400
LONGEST_BODY = 45  # "about 40"
BOOK_LINES = 300


def module_name(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(file: Path) -> list[str]:
    """Give the full name of everything that a file imports, lazily or not."""
    package = ["mibun", *module_name(file).split(".")]
    if file.name != "__init__.py":
        package = package[:-1]
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [part for part in package if part]
            base = base[: len(base) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{stem}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "importlib.import_module"):
            found.append(ast.literal_eval(node.args[0]) if isinstance(node.args[0], ast.Constant) else "dynamic")
    return found


def place(name: str, layers: tuple[tuple[str, ...], ...]) -> int | None:
    return next((number for number, group in enumerate(layers) if name in group), None)


def forbidden(own: str, other: str, layers: tuple[tuple[str, ...], ...]) -> bool:
    """Say whether `own` may not import `other`; names outside the layers are nobody's business."""
    mine, theirs = place(own, layers), place(other, layers)
    if own == other or mine is None or theirs is None or (own, other) in WITHIN:
        return False
    return theirs >= mine


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_imports_go_from_right_to_left(file: Path) -> None:
    name = module_name(file)
    if name in ("", "__main__"):  # the top holds the public names
        return
    own = name.split(".")
    assert place(own[0], LAYERS) is not None, f"{name} has no place in the order of imports"
    for target in imports(file):
        assert target != "dynamic", f"{name} imports by a name that cannot be read here"
        if target in ("mibun", "mibun.__version__") or not target.startswith("mibun."):
            continue
        other = target.split(".")[1:]
        assert place(other[0], LAYERS) is not None, f"{name} imports {target}, which has no place in the order"
        assert not forbidden(own[0], other[0], LAYERS), f"{name} must not import {target}"
        if own[0] == other[0] == "learn" and len(own) > 1 and len(other) > 1:
            assert not forbidden(own[1], other[1], LEARN_LAYERS), f"{name} must not import {target}"
        if own[0] == other[0] == "chain" and len(own) > 1 and len(other) > 1:
            assert not forbidden(own[1], other[1], CHAIN_LAYERS), f"{name} must not import {target}"


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_third_parties_only_where_they_belong(file: Path) -> None:
    name = module_name(file)
    for target in imports(file):
        top = target.split(".")[0]
        if top in ("mibun", "numpy", "dynamic") or top in sys.stdlib_module_names:
            continue
        assert top in THIRD_PARTIES, f"{name} imports {top}, which no part of mibun may"
        allowed = THIRD_PARTIES[top]
        assert any(name == part or name.startswith(f"{part}.") for part in allowed), f"{name} must not import {top}"


def test_the_rules_catch_what_they_are_for(tmp_path: Path) -> None:
    assert forbidden("learn", "draw", LAYERS)
    assert forbidden("layers", "network", LEARN_LAYERS)
    assert not forbidden("cli", "errors", LAYERS)
    lazy = SOURCE / "draw" / "training.py"
    assert any(target.startswith("matplotlib") for target in imports(lazy)), "lazy imports are not seen"


def test_no_empty_placeholder_module() -> None:
    for file in FILES:
        assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), f"{file} says nothing"


PUBLIC_MODULES = [
    "mibun",
    *(f"mibun.{name}" for name in ("book", "chain", "checker", "descent", "draw", "errors", "formula", "jax", "learn")),
    *(f"mibun.{name}" for name in ("methods", "result", "scipy", "torch")),
]


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_public_names_are_sorted_there_and_documented(name: str) -> None:
    module = import_module(name)
    assert list(module.__all__) == sorted(module.__all__)
    for public in module.__all__:
        value = getattr(module, public)
        # Values such as tables of rows, and names for types, are documented where they stand.
        if isinstance(value, type) or inspect.isroutine(value) or hasattr(value, "__path__"):
            assert (value.__doc__ or "").strip(), f"{name}.{public} has no docstring"


def test_the_top_shows_its_public_names_and_nothing_else() -> None:
    program = "import mibun, json; print(json.dumps([n for n in vars(mibun) if not n.startswith('_')]))"
    shown = json.loads(subprocess.check_output([sys.executable, "-c", program], text=True))
    assert set(shown) <= {*mibun.__all__, "importlib", "TYPE_CHECKING", "Any"}
    assert set(mibun.__all__) <= set(dir(mibun))
    for name in mibun.__all__:
        assert getattr(mibun, name) is getattr(mibun, name)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'hesian'"):
        _ = mibun.hesian


def test_nothing_happens_at_import() -> None:
    """No thread, no seed, no warning filter, no environment variable, no file, no network, no optional package."""
    program = textwrap.dedent(
        """
        import json, os, random, sys, threading, warnings
        import numpy as np
        np.random.seed(7); random.seed(7)
        legacy, plain = np.random.get_state()[1].tolist(), random.getstate()
        environment, filters, errors = dict(os.environ), list(warnings.filters), np.geterr()
        opened = []
        def hook(event, arguments):
            if event.startswith("socket.") or event == "subprocess.Popen":
                opened.append(event)
            if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
                if "__pycache__" not in str(arguments[0]):
                    opened.append(str(arguments[0]))
        sys.addaudithook(hook)
        import mibun, mibun.learn, mibun.book, mibun.draw, mibun.scipy, mibun.torch, mibun.jax, mibun.gradcheck
        same = (
            legacy == np.random.get_state()[1].tolist() and plain == random.getstate()
            and environment == dict(os.environ) and filters == list(warnings.filters) and errors == np.geterr()
        )
        packages = {"matplotlib", "click", "rich", "pooch", "requests", "scipy", "torch", "jax"}
        optional = sorted(packages & set(sys.modules))
        print(json.dumps([same, threading.active_count(), opened, optional]))
        """
    )
    done = json.loads(subprocess.check_output([sys.executable, "-B", "-c", program], text=True))
    assert done == [True, 1, [], []]


def test_import_costs_at_most_30_ms_beyond_numpy(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import time, numpy
        before = time.process_time()
        import mibun
        print(time.process_time() - before)
        """
    )
    # Compiled modules are kept, as they are for a user; the least of several, in time of this process alone, for
    # everything else that the machine does only adds.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    run = [sys.executable, "-c", program]
    times = [float(subprocess.check_output(run, text=True, env=environment)) for _ in range(8)]
    assert min(times[1:]) < 0.030, times


def test_import_of_the_top_loads_no_learning() -> None:
    program = "import mibun, sys; print(sorted(m for m in sys.modules if m.startswith('mibun')))"
    loaded = ast.literal_eval(subprocess.check_output([sys.executable, "-c", program], text=True))
    assert not {"mibun.learn", "mibun.book", "mibun.draw", "mibun.cli"} & set(loaded)


def code_lines(text: str) -> int:
    """Count lines of code: docstrings, comments and blanks are not counted."""
    lines: set[int] = set()
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    docstrings = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        if ast.get_docstring(node, clean=False) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in quiet:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def test_code_lines_are_counted_as_said() -> None:
    head = '"""Doc\nstring."""\n\n# comment\nx = 1  # why\n\n\n'
    assert code_lines(head + 'def f():\n    """Doc."""\n    return (\n        x\n    )\n') == 5


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_modules_and_bodies_are_short(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    limit = BOOK_LINES if file.name == "book.py" else LONGEST_MODULE
    assert code_lines(text) <= limit
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = "\n".join(ast.unparse(statement) for statement in node.body)
            source = ast.get_source_segment(text, node) or body
            length = code_lines(textwrap.dedent(source))
            assert length <= LONGEST_BODY, f"{node.name} has {length} lines of code"


def test_every_module_can_be_imported() -> None:
    for info in pkgutil.walk_packages([str(SOURCE)], "mibun."):
        if info.name != "mibun.__main__":
            import_module(info.name)
