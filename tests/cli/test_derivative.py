"""`mibun derivative`: a formula or a function, a point, a number with its error."""

import json
import math
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mibun.cli import main
from mibun.cli.inputs import read_bounds, read_function, read_point
from mibun.errors import InputError

TRUTH = math.exp(1.3) * (math.sin(3.9) + 3.0 * math.cos(3.9))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder; modules that are imported from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


@pytest.fixture
def written(here):
    """Write a module into the current folder."""

    def write(name, text):
        (here / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")

    return write


@pytest.fixture
def told(here, capsys):
    """Run the command, and give its exit status and what it printed to stdout."""

    def run(*words):
        status = main(["derivative", *words])
        printed = capsys.readouterr()
        assert printed.err == ""
        return status, printed.out

    return run


@pytest.fixture
def refused(here, capsys):
    """Run a command that must be refused, and give its one line."""

    def run(*words):
        assert main(["derivative", *words]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("mibun: ")
        assert printed.err.count("\n") == 1
        assert "Traceback" not in printed.err
        return printed.err.removeprefix("mibun: ").rstrip("\n")

    return run


def test_a_formula(told):
    status, text = told("exp(x)*sin(3*x)", "--at", "1.3")
    value, error, evaluations = re.fullmatch(r"(\S+) ± (\S+), converged, (\d+) evaluations\n", text).groups()
    assert status == 0
    assert abs(float(value) - TRUTH) <= float(error) < 1e-10
    assert 3 <= int(evaluations) <= 40


def test_json_is_the_whole_derivative_on_one_line(told):
    status, text = told("exp(x)*sin(3*x)", "--at", "1.3", "--json")
    found = json.loads(text)
    assert status == 0
    assert text.count("\n") == 1
    assert list(found) == [
        "value", "error", "truncation", "rounding", "status", "step", "evaluations", "noise", "fx", "gradient", "notes",
    ]  # fmt: skip
    assert abs(found["value"] - TRUTH) <= found["error"] < 1e-10
    assert found["status"] == "converged"


@pytest.mark.parametrize("words", [["--at", "-1"], ["--at=-1"], ["--at", " -1.0 "], ["--at", "-10e-1"], ["--at=-1e0"]])
@pytest.mark.parametrize("function", ["x**2", "-(-x**2)", " -x*-x"])
def test_a_minus_in_front(told, function, words):
    for order in ([function, *words], [*words, function], [*words, "--", function]):
        status, text = told(*order)
        assert status == 0
        assert float(text.split()[0]) == pytest.approx(-2.0, abs=1e-12)


def test_a_minus_in_front_of_everything_else(told):
    status, text = told("-x", "--bounds", "-2,-1", "--at", "-1", "--json")
    assert status == 0
    assert json.loads(text)["status"] in ("converged", "one-sided")
    assert main(["derivative", "-h"]) == 0


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("1.3", 1.3),
        ("1e-3", 1e-3),
        ("-.5E+2", -50.0),
        ("3", 3.0),
        ("[3, 4]", [3.0, 4.0]),
        ("[[1], [2]]", [[1.0], [2.0]]),
        ('{"W": [1, 2], "b": 0.5}', {"W": [1.0, 2.0], "b": 0.5}),
        ("x=3", {"x": 3.0}),
        (" x = 3, y=-4e-1 ", {"x": 3.0, "y": -0.4}),
        ("[" + "9" * 400 + "]", [math.inf]),
    ],
)
def test_points(text, point):
    found = read_point(text)
    assert found == point
    assert repr(found) == repr(point)  # floats, not integers


def test_an_array_gives_the_derivative_at_each_point(told, here):
    np.save(here / "points.npy", np.array([[0.0, 0.5], [1.0, 2.0]]))
    status, text = told("sin(x)", "--at", "points.npy", "--json")
    assert status == 0
    np.testing.assert_allclose(json.loads(text)["value"], np.cos([[0.0, 0.5], [1.0, 2.0]]), rtol=1e-12)
    status, text = told("sin(x)", "--at", "[0, 1]")
    assert text.splitlines()[0].startswith("Derivative of 2 elements, shape (2,), ")
    assert len(text.splitlines()) == 3


def test_a_named_variable(told, refused):
    assert told("t**2", "--at", "t=1.5")[1].startswith("3.0000")
    assert told("t**2", "--at", '{"t": 1.5}')[1].startswith("3.0000")
    assert told("t**2", "--at", "t=1.5") == told("t**2", "--at", "1.5")
    assert refused("t**2", "--at", "x=1.5") == "--at gives x; expected t, the formula's variable"
    assert "mibun gradient" in refused("x*y", "--at", "x=1,y=2")


def test_a_kink_is_told_with_its_sentence_and_slopes(told):
    status, text = told("abs(x)", "--at", "0")
    lines = text.splitlines()
    assert status == 1
    assert re.fullmatch(r"0 ± 1, kink, \d+ evaluations", lines[0])
    assert lines[1] == "  the slopes from the left (-1) and from the right (1) differ"
    assert lines[2].startswith("kink: f has a kink here")
    assert len(lines) == 3


def test_what_has_no_number_is_printed_too(told):
    status, text = told("sqrt(x)", "--at", "0")
    assert status == 1
    assert text.startswith("nan ± inf, not finite, ")
    assert "\nnot finite: f or its slope is nan or infinite here" in text
    status, text = told("sqrt(x)", "--at", "0", "--json")
    assert status == 1
    assert json.loads(text)["error"] == "inf"


def test_statuses_that_pass_exit_with_0_and_say_what_they_are(told):
    status, text = told("3", "--at", "1")
    assert status == 0
    assert "\ninsensitive: f does not change here" in text
    assert text.count("f does not change here") == 1
    status, text = told("sqrt(x)", "--at", "1", "--bounds", "1,")
    assert status == 0
    assert "\none-sided: " in text


def test_the_options_reach_the_verb(told):
    def found(*words):
        return json.loads(told("exp(x)*sin(3*x)", "--at", "1.3", "--json", *words)[1])

    plain = found()
    assert found("--rtol", "0.1")["evaluations"] < plain["evaluations"]
    assert found("--atol", "0.1")["evaluations"] < plain["evaluations"]
    assert found("--budget", "7")["evaluations"] <= 7 < plain["evaluations"]
    assert found("--noise", "1e-4")["noise"] == 1e-4
    assert found("--method", "complex")["value"] == pytest.approx(TRUTH, rel=1e-14)
    assert found("--method", "forward")["value"] not in (plain["value"], found("--method", "central")["value"])


def test_bounds(here, written, capsys):
    assert read_bounds("0,1") == (0.0, 1.0)
    assert read_bounds("-1e3, ") == (-1000.0, None)
    assert read_bounds(",2") == (None, 2.0)
    written(
        "fenced_f",
        """
        seen = []

        def f(x):
            seen.append(x)
            return x**0.5
        """,
    )
    assert main(["derivative", "fenced_f:f", "--at", "0.01", "--bounds", "0.005,"]) == 0
    assert min(sys.modules["fenced_f"].seen) >= 0.005


@pytest.mark.parametrize("text", ["3", "a,b", "1,2,3", "1;2", ""])
def test_bad_bounds(refused, text):
    assert refused("x", "--at", "1", "--bounds", text).startswith(f"--bounds {text!r} is given; expected two numbers")


def test_a_function_of_a_module(told, written):
    written("cubes", "class Box:\n    @staticmethod\n    def volume(x):\n        return x**3\n")
    path = list(sys.path)
    status, text = told("cubes:Box.volume", "--at", "2")
    assert status == 0
    assert text.startswith("12.000000")
    assert sys.path == path
    assert told("math:sin", "--at", "0")[1].startswith("1.000000")


def test_what_a_module_prints_goes_to_stderr(here, written, capsys):
    written("chatty", "print('imported')\ndef f(x):\n    print('called')\n    return x\n")
    assert main(["derivative", "chatty:f", "--at", "2", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["value"] == pytest.approx(1.0)
    assert printed.err.startswith("imported\ncalled\n")


def test_stdout_has_the_result_alone_whatever_f_prints_with(here, written):
    written(
        "louder",
        """
        import os, subprocess, sys

        os.write(1, b"imported\\n")

        def f(x):
            print("called")
            sys.__stdout__.write("written\\n")
            os.write(1, b"by number\\n")
            subprocess.run([sys.executable, "-c", "print('by a process')"], check=True)
            return x
        """,
    )
    run = [sys.executable, "-m", "mibun", "derivative", "louder:f", "--at", "2", "--method", "forward", "--json"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["value"] == pytest.approx(1.0)
    assert set(done.stderr.split("\n")) == {"imported", "called", "written", "by number", "by a process", ""}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_result_that_cannot_be_written_is_one_line(here):
    with Path("/dev/full").open("w") as full:
        run = [sys.executable, "-m", "mibun", "derivative", "x", "--at", "2"]
        done = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr.startswith("mibun: the result cannot be written to stdout: No space left on device\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["derivative", "gradient"])
def test_the_help_says_what_exit_statuses_mean(command, capsys):
    assert main([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Exit status: 0 every number can be trusted (converged, noisy, one-sided, insensitive), 1 " in text
    assert "2 bad input, such as a function that raises at the point itself, 130 interrupted." in text


@pytest.mark.parametrize(
    ("function", "status"),
    [("x", 0), ("sqrt(x)", 1), ("abs(x)", 1), ("1/x", 2), ("log(x)", 2), ("bad_at_0:inf", 1), ("bad_at_0:gone", 2)],
)
def test_exit_statuses_at_zero(here, written, function, status):
    written("bad_at_0", "def inf(x):\n    return float('inf') if not x else 1 / x\ndef gone(x):\n    raise OSError\n")
    assert main(["derivative", function, "--at", "0"]) == status


def test_a_module_that_is_not_there(refused, here, written):
    assert refused("nowhere_f:f", "--at", "1") == (
        f"there is no module 'nowhere_f': neither in the current folder, {here}, nor among the installed packages"
    )
    written("single_f", "")
    assert refused("single_f.inner:f", "--at", "1").startswith("there is no module 'single_f.inner': ")
    assert str(here) not in sys.path


@pytest.mark.parametrize("text", ["a.py:f", "a/b:f", "a:b:c", ":f", "a:", "a:f()", "C:\\a:f"])
def test_what_is_no_module_and_function(refused, text):
    assert refused(text, "--at", "1").startswith(
        f"{text!r} is given; expected a formula such as 'sin(x)**2', or module"
    )


def test_an_attribute_that_is_not_there_or_no_function(refused, written):
    plant = "class Plant:\n    @staticmethod\n    def cost(x): return x\n"
    written("names_f", f"import math as zzzz\nanswer = 42\ndef ansver(): pass\n{plant}")
    assert refused("names_f:answr", "--at", "1") == (
        "the module names_f (names_f.py) has no 'answr'; close names are ansver"
    )
    assert refused("names_f:Plant.costs", "--at", "1") == "names_f:Plant has no 'costs'; close names are cost"
    assert refused("names_f:zzz", "--at", "1") == "the module names_f (names_f.py) has no 'zzz'"
    assert refused("names_f:answer", "--at", "1") == "names_f:answer is 42, of type int; expected a function"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n1 / 0\n", "ZeroDivisionError: division by zero ({name}.py:2)"),
        ("def f(:\n", "SyntaxError: invalid syntax ({name}.py:1)"),
        ("import nix_da_f\n", "ModuleNotFoundError: No module named 'nix_da_f' ({name}.py:1)"),
        ("def go():\n    raise SystemExit(3)\ngo()\n", "SystemExit: 3 ({name}.py:2)"),
        ("import json\njson.loads('{')\n", "JSONDecodeError: "),
        ("raise AssertionError\n", "AssertionError ({name}.py:1)"),
    ],
)
def test_a_module_that_fails_while_it_is_imported(refused, written, text, line):
    name = "broken_f"
    written(name, text)
    told = refused(f"{name}:f", "--at", "1")
    assert told.startswith(f"importing {name} raised {line.format(name=name)}")
    assert re.search(rf"\({name}\.py:\d\)$", told)


def test_a_function_that_raises_at_x(refused, written):
    written("raising_f", "def f(x):\n    return {}['gone']\ndef g(x):\n    raise SystemExit(4)\ndef h(x): pass\n")
    assert refused("raising_f:f", "--at", "1") == (
        "raising_f:f raised KeyError: 'gone'; f raised this at x = 1.0 (raising_f.py:2)"
    )
    assert refused("raising_f:g", "--at", "1") == "raising_f:g raised SystemExit: 4 (raising_f.py:4)"
    assert refused("log(x)", "--at", "-1").startswith("log(x) raised ValueError: ")
    assert "f returned None at x" in refused("raising_f:h", "--at", "1")


def test_a_formula_with_a_mistake(refused):
    assert refused("x^2", "--at", "1") == ("the formula stops making sense at character 2, '^': write ** for a power")
    assert refused("model.cost", "--at", "1") == (
        "model.cost is no formula; a function of a module is written model:cost"
    )
    assert refused("", "--at", "1").startswith("the formula is empty")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("abc", "--at 'abc' is given; expected a number such as 1.3, JSON such as"),
        ("", "--at '' is given; expected a number"),
        ("1,3", "--at '1,3' is given; expected a number"),
        ("true", "--at 'true' is given; expected a number"),
        ("[1, 2", "--at '[1, 2' is no JSON at character 6: Expecting ',' delimiter"),
        ("[1 2]", "--at '[1 2]' is no JSON at character 4: "),
        ("[" * 100_000, f"--at '{'[' * 37}...' is nested too deeply"),
        ('"1"', '--at has "1" where a number is expected'),
        ("[1, null]", "--at has null where a number is expected"),
        ('{"x": [true]}', "--at has true where a number is expected"),
        ("x=1,x=2", "--at gives 'x' twice"),
        ('{"x": 1, "x": 2}', "--at gives 'x' twice"),
        ("x=", "--at 'x=' is given; expected numbers by name"),
        ("2=x", "--at '2=x' is given; expected numbers by name"),
        ("nan", "x is nan"),
        ("1e999", "x is inf"),
        ("[0, NaN]", "x[1] is nan"),
        ("[]", "x is a list of length 0"),
        ("[1, [2]]", "x is a ragged list"),
        ("gone.npy", "--at gone.npy cannot be read: No such file or directory"),
    ],
)
def test_bad_points(refused, text, line):
    assert refused("x**2", "--at", text).startswith(line)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00\x10"])
def test_a_broken_file(refused, here, content):
    (here / "points.npy").write_bytes(content)
    assert refused("x", "--at", "points.npy") == (
        "--at points.npy holds no whole array of numbers as np.save writes it"
    )


def test_files_of_something_else(refused, here):
    np.save(here / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert refused("x", "--at", "objects.npy").startswith("--at objects.npy holds no whole array")
    with (here / "several.npy").open("wb") as file:
        np.savez(file, a=[1.0], b=[2.0])
    assert refused("x", "--at", "several.npy").startswith("--at several.npy holds several arrays")
    np.save(here / "words.npy", np.array(["a"]))
    assert refused("x", "--at", "words.npy").startswith("x is an array of text")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "Missing option '--at'."),
        (["--at", "1", "--method", "magic"], "Invalid value for '--method': 'magic' is not one of 'adaptive'"),
        (["--at", "1", "--rtol", "-1"], "rtol is -1.0; expected"),
        (["--at", "1", "--rtol", "1%"], "Invalid value for '--rtol'"),
        (["--at", "1", "--budget", "0"], "budget is 0; expected"),
        (["--at", "1", "--bounds", "3,4"], "the bounds 3.0 and 4.0 exclude x"),
    ],
)
def test_bad_options(refused, words, line):
    assert refused("x", *words).startswith(line)


def test_a_reader_without_the_letters_of_the_terminal(here):
    done = subprocess.run(
        [sys.executable, "-m", "mibun", "derivative", "sin(x)", "--at", "0"],
        capture_output=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path), "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.match(rb"1\.0+ \+/- \S+, converged, ", done.stdout)


def test_help_has_examples(told):
    status, text = told("--help")
    assert status == 0
    for part in (
        'mibun derivative "exp(x)*sin(3*x)" --at 1.3',
        "--bounds LOW,HIGH",
        "Exit status: 0 every number",
        "model:cost",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_current_folder_comes_first(here, written):
    written("colorsys", "def f(x): return 7 * x\n")
    known = sys.modules.pop("colorsys", None)
    try:
        assert read_function("colorsys:f")(1) == 7
    finally:
        sys.modules.pop("colorsys", None)
        if known is not None:
            sys.modules["colorsys"] = known


def test_long_words_are_shortened_in_messages():
    with pytest.raises(InputError, match=r"--at 'a{37}\.\.\.' is given"):
        read_point("a" * 1000)
