"""`mibun descend`: a function and a start, a table of steps, the reason for the end, a picture."""

import json
import sys
import textwrap

import numpy as np
import pytest

from mibun import draw
from mibun.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with a module; it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    text = """
        import numpy as np

        def cost(x):
            print("cost is asked")
            return (x[0] - 1)**2 + x[1]**2

        def many(x):
            return np.sum(x**2)

        def mistaken(x):
            return x.no_such_thing
    """
    (tmp_path / "plant_d.py").write_text(textwrap.dedent(text), encoding="utf-8")
    yield tmp_path
    sys.modules.pop("plant_d", None)


@pytest.fixture
def drawn(monkeypatch):
    """Keep what every picture was given."""
    given, original = [], draw.path

    def path(descents, f=None, **options):
        given.append((descents, f))
        return original(descents, f, **options)

    monkeypatch.setattr(draw, "path", path)
    return given


@pytest.fixture
def told(here, capsys):
    def run(*words):
        status = main(["descend", *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_a_function_goes_down(told, drawn, here):
    status, text, _ = told("plant_d:cost", "--x0", "[-3, 4]", "--learning-rate", "0.1", "--steps", "300")
    lines = text.splitlines()
    assert status == 0
    assert lines[0].split() == ["step", "f", "|gradient|"]
    assert lines[1].split() == ["0", "32", "11.3"]
    assert any(line.startswith("converged after 1") and line.endswith(", success") for line in lines)
    assert "in every direction: a minimum within" in " ".join(lines)
    assert lines[-1] == "Picture: descent.png"
    assert (here / "descent.png").exists()
    path, f = drawn[0]
    assert path.points.shape == (path.nit + 1, 2)
    assert f(np.array([1.0, 2.0])) == 4.0


def test_a_picture_is_never_overwritten_unless_it_is_named(told, drawn, here):
    for number in (None, 2, 3):
        assert told("x**2", "--x0", "3", "--steps", "3")[1].splitlines()[-1] == (
            "Picture: descent.png" if number is None else f"Picture: descent-{number}.png"
        )
    assert told("x**2", "--x0", "3", "--out", "way.svg")[1].splitlines()[-1] == "Picture: way.svg"
    assert drawn[0][0].points.shape == (4,)
    told("x**2", "--x0", "3", "--no-picture")
    told("x**2", "--x0", "3", "--json")
    assert sorted(file.name for file in here.glob("*.*g")) == [
        "descent-2.png",
        "descent-3.png",
        "descent.png",
        "way.svg",
    ]


def test_no_picture_is_told_with_the_reason(told, drawn):
    assert told("plant_d:many", "--x0", "[1, 2, 3]")[1].splitlines()[-1] == (
        "No picture: x has 3 numbers, and pictures show one or two."
    )


def test_a_picture_that_cannot_be_is_refused_before_the_work(told, here):
    (here / "folder.png").mkdir()
    for out, message in (
        ("no/such/folder.png", "--out no/such/folder.png: there is no folder no/such; make it first"),
        ("way.xyz", "--out way.xyz ends in .xyz; expected .png, .svg, .pdf"),
        ("folder.png", "--out folder.png is a folder; expected a file, such as folder.png/descent.png"),
    ):
        status, printed, refusal = told("plant_d:many", "--x0", "[1, 2, 3]", "--out", out)
        assert (status, printed) == (2, "")
        assert refusal.startswith(f"mibun: {message}")


def test_an_f_that_raises_beside_the_way_costs_the_picture_alone(told, here):
    (here / "plant_fragile.py").write_text(
        "calls = []\ndef cost(x):\n    calls.append(x)\n    if len(calls) > 40:\n"
        "        raise RuntimeError('plant is off')\n    return x * x\n",
        encoding="utf-8",
    )
    status, text, _ = told("plant_fragile:cost", "--x0", "3", "--steps", "3")
    assert status == 1
    assert text.splitlines()[-1] == "No picture: f raised RuntimeError: plant is off (plant_fragile.py:5)"


def test_names_become_points_of_the_picture(told, drawn):
    status, text, _ = told("x**2 + 2*y**2", "--x0", "x=-3,y=4", "--steps", "200")
    assert status == 0
    path, f = drawn[0]
    np.testing.assert_array_equal(path.points[0], [-3.0, 4.0])
    assert f([1.0, 2.0]) == 9.0
    assert "x = {'x': " in text
    assert "The order is" not in text
    assert "The order is x, y." in told("x**2 + 2*y**2", "--x0", "[-3, 4]")[1]


def test_no_minimum_is_exit_status_1(told, drawn):
    status, text, _ = told("x**2", "--x0", "3", "--learning-rate", "10")
    assert status == 1
    assert "f grew 361.0x a step" in text
    assert "so the learning rate must be\nbelow 1.0" in text


def test_json_is_one_line_with_all_points(told, drawn):
    status, text, _ = told("plant_d:cost", "--x0", "[-3, 4]", "--steps", "5", "--json")
    assert status == 1
    assert text.count("\n") == 1
    found = json.loads(text)
    assert (found["status"], found["nit"], len(found["points"])) == ("budget spent", 5, 6)
    assert drawn == []


@pytest.mark.parametrize(
    ("words", "check"),
    [
        (["--rule", "adam"], lambda found: abs(found["points"][1] - 2.999) < 1e-9),
        (
            ["--rule", "momentum", "--momentum", "0.5", "--learning-rate", "0.1"],
            lambda found: found["points"][1] == 2.4,
        ),
        (["--bounds", "1,"], lambda found: found["status"] == "bounds" and found["x"] == 1.0),
        (["--bounds", "-5,5", "--maximize"], lambda found: found["status"] == "bounds" and found["x"] == 5.0),
        (["--tolerance", "1"], lambda found: found["status"] == "converged" and found["nit"] < 10),
        (["--budget", "40"], lambda found: found["evaluations"] <= 40),
        (["--line-search", "armijo"], lambda found: found["success"]),
        (["--method", "central"], lambda found: found["evaluations"] < 700),
    ],
)
def test_the_options_reach_the_descent(told, words, check):
    assert check(json.loads(told("x**2", "--x0", "3", "--json", *words)[1]))


def test_what_f_prints_goes_to_stderr(told, drawn):
    _, text, error = told("plant_d:cost", "--x0", "[1, 2]", "--steps", "1")
    assert "cost is asked" not in text
    assert "cost is asked" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x**2"], "Missing option '--x0'. (all options: mibun descend --help)"),
        (["x**2", "--x0", "here"], "--x0 'here' is given; expected a number such as 1.3"),
        (["x**2", "--x0", "3", "--steps", "0"], "steps is 0; expected a whole number of updates"),
        (["x**2", "--x0", "3", "--learning-rate", "-1"], "learning_rate must be a finite number above 0"),
        (
            ["x**2", "--x0", "3", "--rule", "adam", "--momentum", "0.5"],
            "--momentum is given with the rule adam, which has none",
        ),
        (["x**2", "--x0", "3", "--bounds", "a,b"], "--bounds 'a,b' is given"),
        (["plant_d:mistaken", "--x0", "[1, 2]"], "plant_d:mistaken raised AttributeError"),
    ],
)
def test_bad_input_is_one_line(told, words, message):
    status, text, error = told(*words)
    assert (status, text) == (2, "")
    assert error.count("\n") == 1
    assert error.startswith(f"mibun: {message}")


def test_help_has_examples(told):
    status, text, _ = told("--help")
    assert status == 0
    assert 'mibun descend model:cost --x0 "[-3, 4]" --learning-rate 0.1 --steps 100' in text
    assert max(map(len, text.splitlines())) <= 80
