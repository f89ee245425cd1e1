"""`mibun gradient`: a formula or a function, a point of many numbers, a table of derivatives."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from mibun.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with a module; it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    text = """
        import numpy as np

        def cost(x):
            assert isinstance(x, np.ndarray)
            return x[0]**2 + x[1]**3

        def parts(p):
            return np.sum(p["W"] ** 2) + 3.0 * p["b"]

        def constant(x):
            return 3.0

        def mistaken(x):
            return x.no_such_thing

        def several(x):
            return x
    """
    (tmp_path / "plant_g.py").write_text(textwrap.dedent(text), encoding="utf-8")
    yield tmp_path
    sys.modules.pop("plant_g", None)


@pytest.fixture
def told(here, capsys):
    """Run the command, and give its exit status and what it printed to stdout."""

    def run(*words):
        status = main(["gradient", *words])
        printed = capsys.readouterr()
        assert printed.err == ""
        return status, printed.out

    return run


@pytest.fixture
def refused(here, capsys):
    """Run a command that must be refused, and give its one line."""

    def run(*words):
        assert main(["gradient", *words]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("mibun: ")
        assert printed.err.count("\n") == 1
        return printed.err.removeprefix("mibun: ").rstrip("\n")

    return run


def test_a_function_at_json(told):
    status, text = told("plant_g:cost", "--at", "[3, 4]")
    head, first, second = text.splitlines()
    assert status == 0
    assert head.startswith("Derivative of 2 elements, shape (2,), ")
    assert head.endswith(" evaluations: 2 converged")
    assert first.split()[:2] == ["[0]", "6.0000000000000"]
    assert second.split()[0] == "[1]"
    assert float(second.split()[1]) == pytest.approx(48.0, abs=1e-9)


def test_a_function_at_a_file(told, here):
    np.save(here / "start.npy", np.array([3, 4]))
    assert told("plant_g:cost", "--at", "start.npy") == told("plant_g:cost", "--at", "[3, 4]")
    assert told("plant_g:cost", "--at", str(here / "start.npy"))[0] == 0


@pytest.mark.parametrize("at", ["x=3,y=4", '{"x": 3, "y": 4}', "y=4, x=3"])
def test_a_formula_with_names(told, at):
    status, text = told("x**2 + x*y", "--at", at)
    rows = dict(line.split()[:2] for line in text.splitlines()[1:])
    assert status == 0
    assert {name: float(value) for name, value in rows.items()} == pytest.approx({"x": 10.0, "y": 3.0})
    found = json.loads(told("x**2 + x*y", "--at", at, "--json")[1])
    assert found["value"] == pytest.approx({"x": 10.0, "y": 3.0})
    assert found["status"] == {"x": "converged", "y": "converged"}


def test_a_formula_without_names_tells_their_order(told):
    status, text = told("x10 - x2**2", "--at", "[3, 4]")
    assert status == 0
    assert text.splitlines()[1].split()[1].startswith("-6.0000")
    assert text.splitlines()[-1] == "The order is x2, x10."
    status, text = told("x10 - x2**2", "--at", "[3, 4]", "--json")
    assert json.loads(text)["value"] == pytest.approx([-6.0, 1.0])


def test_a_formula_of_one_number(told):
    assert told("x**2", "--at", "-3")[1].startswith("-6.0000")
    assert told("-x**2", "--at", "3")[1].startswith("-6.0000")


def test_a_structure(told):
    status, text = told("plant_g:parts", "--at", '{"W": [[1, 2], [3, 4]], "b": 0.5}')
    assert status == 0
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["W[0,", "W[0,", "W[1,", "W[1,", "b"]
    status, text = told("plant_g:parts", "--at", '{"W": [[1, 2], [3, 4]], "b": 0.5}', "--json")
    found = json.loads(text)["value"]
    np.testing.assert_allclose(found["W"], [[2.0, 4.0], [6.0, 8.0]], rtol=1e-11)
    assert found["b"] == pytest.approx(3.0)


def test_one_element_without_a_number_is_told_and_fails(told):
    status, text = told("abs(x) + y", "--at", "x=0,y=2")
    lines = text.splitlines()
    assert status == 1
    assert lines[1].split()[:5] == ["x", "0", "±", "1", "kink"]
    end = "from the left (-1) and from the right (1) differ"
    assert any(line.startswith("  [x]: kink, ") and line.endswith(end) for line in lines)
    assert lines[-1].startswith("kink: f has a kink here")
    assert [line for line in lines if line.startswith("converged")] == []
    status, text = told("abs(x) + y", "--at", "x=0,y=2", "--json")
    assert status == 1
    assert json.loads(text)["notes"][0]["right"] == pytest.approx(1.0)


def test_an_f_that_ignores_its_argument_is_told_without_a_warning(told):
    status, text = told("plant_g:constant", "--at", "[1, 2]")
    assert status == 0
    assert "2 insensitive" in text
    assert "\ninsensitive: f does not change here" in text


def test_the_options_reach_the_verb(told):
    def found(*words):
        return json.loads(told("exp(x)*sin(y)", "--at", "x=1,y=2", "--json", *words)[1])

    plain = found()
    assert found("--rtol", "0.1")["evaluations"] < plain["evaluations"]
    assert found("--budget", "14")["evaluations"] <= 14 < plain["evaluations"]
    assert found("--method", "forward")["value"] != plain["value"]


def test_bad_input(refused):
    assert "expected values of x, y" in refused("x*y", "--at", "x=1,z=2")
    assert "the formula has 2 variables, x, y, and was given 3 values" in refused("x*y", "--at", "[1, 2, 3]")
    assert "f returned 2 numbers at x" in refused("plant_g:several", "--at", "[1, 2]")
    assert refused("plant_g:cosst", "--at", "[1, 2]") == (
        "the module plant_g (plant_g.py) has no 'cosst'; close names are cost, constant"
    )
    line = refused("plant_g:mistaken", "--at", "[1, 2]")
    assert line.startswith("plant_g:mistaken raised AttributeError: 'numpy.ndarray' object has no attribute")
    assert line.endswith("(plant_g.py:15)")
    assert refused("x*y", "--at", "[1, nan]").startswith("--at '[1, nan]' is no JSON at character 5")
    assert refused("x*y") == "Missing option '--at'. (all options: mibun gradient --help)"


def test_help_has_examples(told):
    status, text = told("--help")
    assert status == 0
    for part in ('mibun gradient "x**2 + x*y" --at x=3,y=4', "start.npy", "Exit status: 0 every number"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80


def run_alone(*words):
    """Run the command without the current folder on the path of Python, as where it is installed."""
    code = "import sys; sys.path[:] = [p for p in sys.path if p]; from mibun.cli import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, "gradient", *words],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env=environment,
    )


def test_as_a_process_of_its_own(here):
    done = run_alone("plant_g:cost", "--at", "[3, 4]")
    assert (done.returncode, done.stderr) == (0, "")
    assert "[0]  6.0" in done.stdout


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
def test_workers_find_the_modules_of_the_current_folder(here, workers):
    text = "def cost(x):\n    from plant_g import cost\n    return cost(x)\n"
    (here / "plant_lazy.py").write_text(text, encoding="utf-8")
    done = run_alone("plant_lazy:cost", "--at", "[3, 4]", "--store", "plant.db", "--name", "c", *workers)
    assert (done.returncode, done.stderr) == (0, "")
    assert "[0]  6.0" in done.stdout
    assert (here / "plant.db").exists()
