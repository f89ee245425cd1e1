"""`mibun check`: a gradient that somebody wrote, against the function itself."""

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
    """A current folder with a module and a point; the module is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    text = """
        import numpy as np

        random = np.random.default_rng(0)

        def loss(x):
            return np.sum(np.sin(x))

        def grad(x):
            return np.cos(x)

        def flipped(x):
            slopes = np.cos(x)
            slopes[1] *= -1
            return slopes

        def hessian(x):
            return np.diag(-np.sin(x))

        def noisy(x):
            return np.sum(np.sin(x)) * (1 + 0.5 * random.normal())

        def short(x):
            return np.cos(x)[:2]

        def broken(x):
            return x.no_such_thing

        def parts(p):
            return np.sum(p["W"] ** 2) + 3 * p["b"]

        def parts_grad(p):
            return {"W": 2 * p["W"], "b": 4.0}
    """
    (tmp_path / "plant_c.py").write_text(textwrap.dedent(text), encoding="utf-8")
    np.save(tmp_path / "x0.npy", np.array([0.1, 0.7, -0.4]))
    yield tmp_path
    sys.modules.pop("plant_c", None)


@pytest.fixture
def told(here, capsys):
    """Run the command, and give its exit status and what it printed to stdout."""

    def run(*words):
        status = main(["check", *words])
        printed = capsys.readouterr()
        assert printed.err == ""
        return status, printed.out

    return run


@pytest.fixture
def refused(here, capsys):
    """Run a command that must be refused, and give its message."""

    def run(*words):
        status = main(["check", *words])
        printed = capsys.readouterr()
        assert status == 2
        assert printed.out == ""
        return printed.err

    return run


def test_right(told):
    status, text = told("plant_c:loss", "--gradient", "plant_c:grad", "--at", "x0.npy")
    assert status == 0
    assert text.startswith("right: 3 elements of the gradient\n")


def test_wrong(told):
    status, text = told("plant_c:loss", "--gradient", "plant_c:flipped", "--at", "[0.1, 0.7, -0.4]")
    assert status == 1
    assert "wrong: 1 of 3 elements" in text
    assert "looks like: sign flipped in [1]" in text


def test_undecided(told):
    status, text = told("plant_c:noisy", "--gradient", "plant_c:grad", "--at", "x0.npy")
    assert status == 3
    assert text.startswith("undecided: 3 of 3")
    assert "not the same twice" in text


def test_bad_input(refused):
    words = ("plant_c:loss", "--gradient", "plant_c:short", "--at", "x0.npy")
    assert "gradient has shape (2,); expected (3,)" in refused(*words)
    assert "no_such" in refused("plant_c:loss", "--gradient", "plant_c:no_such", "--at", "x0.npy")
    assert "no_such_thing" in refused("plant_c:loss", "--gradient", "plant_c:broken", "--at", "x0.npy")
    assert "nowhere.npy" in refused("plant_c:loss", "--gradient", "plant_c:grad", "--at", "nowhere.npy")
    assert "rtol is -1.0" in refused("plant_c:loss", "--gradient", "plant_c:grad", "--at", "x0.npy", "--rtol", "-1")
    assert "--gradient" in refused("plant_c:loss", "--at", "x0.npy")
    assert "cannot be written" in refused(*words[:2], "plant_c:grad", "--at", "x0.npy", "--json", "no/such/folder.json")


def test_json_to_a_file_and_to_stdout(told, here):
    words = ("plant_c:loss", "--gradient", "plant_c:flipped", "--at", "x0.npy", "--seed", "3")
    status, text = told(*words, "--json", "report.json")
    kept = json.loads((here / "report.json").read_text(encoding="utf-8"))
    assert status == 1
    assert "wrong: 1 of 3" in text
    assert kept["verdict"] == "wrong"
    assert [finding["name"] for finding in kept["wrong"]] == ["[1]"]
    status, text = told(*words, "--json", "-")
    assert status == 1
    assert json.loads(text) == kept


def test_a_hessian_a_structure_and_options(told):
    assert told("plant_c:grad", "--gradient", "plant_c:hessian", "--at", "x0.npy", "--exhaustive")[0] == 0
    status, text = told("plant_c:parts", "--gradient", "plant_c:parts_grad", "--at", '{"W": [[1, 2]], "b": 2.5}')
    assert status == 1
    assert "  b  given +4  numeric +3" in text
    words = ("plant_c:loss", "--gradient", "plant_c:flipped", "--at", "x0.npy")
    assert told(*words, "--atol", "10")[0] == 0
    assert "budget=20" in told(*words, "--budget", "20")[1]
    assert told("plant_c:loss", "--gradient", "plant_c:grad", "--at", "x0.npy", "--method", "central")[0] == 0


def test_the_exit_status_reaches_the_shell(here):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), "."])}
    words = [sys.executable, "-m", "mibun", "check", "plant_c:loss", "--gradient", "plant_c:flipped", "--at", "x0.npy"]
    done = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("wrong: 1 of 3")
