"""`mibun draw`: a picture in a file, from a formula or a function; what was there is kept unless it is named."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from mibun.cli import draw as command
from mibun.cli import main
from mibun.draw import words as words_module

matplotlib = pytest.importorskip("matplotlib")

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with a module; it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    text = """
        def cost(x):
            print("called")
            return x[0]**2 + x[1]**2

        def mistaken(x):
            return x.no_such_thing
    """
    (tmp_path / "plant_d.py").write_text(textwrap.dedent(text), encoding="utf-8")
    yield tmp_path
    sys.modules.pop("plant_d", None)


@pytest.fixture
def told(here, capsys):
    """Run the command, and give what it printed to stdout."""

    def run(*words):
        status = main(["draw", *words])
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, "")
        return printed.out

    return run


@pytest.fixture
def refused(here, capsys):
    """Run a command that must be refused, and give its one line."""

    def run(*words):
        assert main(["draw", *words]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        return printed.err.removeprefix("mibun: ").rstrip("\n")

    return run


@pytest.fixture
def pictures(monkeypatch):
    """Keep every picture that a command draws."""
    kept = []
    for name in ("function", "tangent", "difference", "step_error", "surface", "contour", "field", "path", "paths"):
        original = getattr(command.pictures, name)

        def drawn(*given, original=original, **more):
            kept.append(original(*given, **more))
            return kept[-1]

        monkeypatch.setattr(command.pictures, name, drawn)
    return kept


COMMANDS = {
    "function": ["sin(x)", "--interval", "-3,3"],
    "tangent": ["0.01*x**2 + 0.1*x", "--at", "5"],
    "difference": ["exp(x)", "--at", "0", "--step", "0.5"],
    "step-error": ["sin(x)", "--at", "1", "--truth", "cos(x)"],
    "surface": ["x**2*y", "--region", "0,1,-5,5"],
    "contour": ["x**2*y"],
    "field": ["x0**2 + 2*x1**2", "--region", "-1,1"],
    "path": ["x0**2 + 2*x1**2", "--x0", "[-3, 4]"],
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_every_kind_writes_a_picture(told, here, kind):
    printed = told(kind, *COMMANDS[kind])
    assert printed.startswith(f"wrote {kind}.png\n")
    assert printed.count("\n") == 1 + (kind == "path")
    assert (here / f"{kind}.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("kind", COMMANDS)
def test_every_kind_in_korean_on_dark(told, here, kind):
    if words_module.hangul_font() is None:
        pytest.skip("no font with Hangul here")
    before = matplotlib.rcParams["axes.facecolor"]
    told(kind, *COMMANDS[kind], "--language", "ko", "--dark", "--out", "dark.png")
    image = matplotlib.image.imread(here / "dark.png")
    assert image[0, 0, :3].max() < 0.1
    assert matplotlib.rcParams["axes.facecolor"] == before


def test_open_figures_and_the_backend_stay(told):
    from matplotlib import pyplot

    pyplot.switch_backend("svg")
    mine = pyplot.figure()
    before = pyplot.get_fignums()
    told("function", "x**2")
    assert pyplot.get_fignums() == before
    assert pyplot.get_backend().lower() == "svg"
    pyplot.close(mine)
    pyplot.switch_backend("agg")


def test_the_tangent_of_the_notes(told, pictures):
    told("tangent", "0.01*x**2 + 0.1*x", "--at", "[5, 10]", "--interval", "0,20", "--out", "t.svg")
    (drawn,) = pictures
    assert [round(slope.value, 12) for slope in drawn.numbers["derivatives"]] == [0.2, 0.3]
    assert drawn.numbers["x"][[0, -1]].tolist() == [0, 20]


def test_the_options_reach_the_picture(told, pictures):
    told("difference", "exp(x)", "--at", "0", "--step", "0.5")
    told("step-error", "sin(x)", "--at", "1", "--truth", "cos(x)")
    told("contour", "x*y", "--region", "0,1,-5,5")
    told("contour", "x*y", "--region", "-2,2")
    told("function", "-x**2", "--interval", "-1,2")
    assert pictures[0].numbers["step"] == 0.5
    assert pictures[1].numbers["truth"] == pytest.approx(np.cos(1.0), rel=1e-15)
    assert [float(pictures[2].numbers[name][end]) for name in ("x0", "x1") for end in (0, -1)] == [0, 1, -5, 5]
    assert [float(pictures[3].numbers[name][end]) for name in ("x0", "x1") for end in (0, -1)] == [-2, 2, -2, 2]
    assert pictures[4].numbers["x"][[0, -1]].tolist() == [-1, 2]


def test_a_path_follows_the_gradient(told, pictures):
    told("path", "x**2 + 2*y**2", "--x0", "[-3, 4]", "--x0", "y=1,x=2", "--learning-rate", "0.1", "--steps", "40")
    first, second = pictures[0].numbers["points"]
    # The notes' function, with its path from (-3, 4).
    steps = np.arange(41)[:, np.newaxis]
    np.testing.assert_allclose(first, [-3, 4] * np.array([0.8, 0.6]) ** steps, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(second, [2, 1] * np.array([0.8, 0.6]) ** steps, rtol=1e-5, atol=1e-12)


def test_several_rates_stand_side_by_side_and_may_run_away(told, pictures):
    told("path", "x**2 + y**2", "--x0", "[-3, 4]", "--learning-rate", "0.1", "--learning-rate", "10", "--steps", "200")
    left, right = pictures[0]
    assert [picture.axes.get_title() for picture in (left, right)] == ["η = 0.1", "η = 10"]
    (way,) = right.numbers["points"]
    assert len(way) < 201
    np.testing.assert_allclose(way[1], [57, -76], rtol=1e-6)


def test_a_path_says_why_it_ended(told, pictures):
    printed = told("path", "x**2 + y**2", "--x0", "[-3, 4]", "--x0", "[1, 1]", "--learning-rate", "10")
    (legend,) = [picture.artists["legend"] for picture in pictures]
    assert [text.get_text().splitlines()[1] for text in legend.get_texts()] == ["diverged", "diverged"]
    _, first, second = printed.splitlines()
    assert first.startswith("from [-3, 4], η = 10: diverged after ")
    assert second.startswith("from [1, 1], η = 10: diverged after ")
    assert "the learning rate must be below 1.0" in first


def test_rules_and_rates_stand_side_by_side(told, pictures):
    rules = ["--rule", "adam", "--rule", "gradient descent"]
    told("path", "x**2 + y**2", "--x0", "[1, 2]", *rules, "--learning-rate", "0.1", "--learning-rate", "0.5")
    titles = [picture.axes.get_title() for picture in pictures[0]]
    assert titles == ["adam, η = 0.1", "adam, η = 0.5", "gradient descent, η = 0.1", "gradient descent, η = 0.5"]
    assert [len(picture.numbers["points"][0]) for picture in pictures[0]] == [41, 41, 41, 2]
    # the first step of Adam is the learning rate in every entry, and that of the last panel ends at the minimum
    np.testing.assert_allclose(pictures[0][1].numbers["points"][0][1], [0.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(pictures[0][3].numbers["points"][0][1], [0, 0], atol=1e-12)


def test_a_rule_alone_has_its_own_rate(told, pictures):
    printed = told("path", "x**2", "--x0", "3", "--rule", "momentum", "--steps", "2")
    assert "from 3, momentum: budget spent after 2 steps: all 2 steps are done" in printed
    (panel,) = pictures[0]
    np.testing.assert_allclose(panel.numbers["points"][0][:, 0], [3, 2.4, 1.38], rtol=1e-12)
    assert panel.axes.get_title() == "momentum"


def test_a_path_of_one_number(told, pictures):
    told("path", "x**2", "--x0", "3", "--x0", "x=-2", "--steps", "5")
    first, second = pictures[0].numbers["points"]
    np.testing.assert_allclose(first[:, 0], 3 * 0.8 ** np.arange(6), rtol=1e-6)
    np.testing.assert_allclose(second[:, 0], -2 * 0.8 ** np.arange(6), rtol=1e-6)


def test_what_f_prints_goes_to_stderr(here, capsys):
    assert main(["draw", "contour", "plant_d:cost"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "wrote contour.png\n"
    assert "called" in printed.err


def test_without_a_font_it_says_so(here, capsys, monkeypatch):
    monkeypatch.setattr(words_module, "hangul_font", lambda: None)
    assert main(["draw", "tangent", "sin(x)", "--at", "1", "--language", "ko"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("mibun: language='ko' is asked for, but no font")
    assert printed.err.count("\n") == 1


# Files


def test_a_picture_that_is_there_is_kept_unless_it_is_named(told, here):
    (here / "function.png").write_bytes(b"mine")
    assert told("function", "x**2") == "wrote function-2.png\n"
    assert told("function", "x**2") == "wrote function-3.png\n"
    assert (here / "function.png").read_bytes() == b"mine"
    told("function", "x**2", "--out", "function.png")
    assert (here / "function.png").read_bytes().startswith(PNG)


def test_a_picture_that_fails_leaves_the_old_one(refused, here):
    (here / "old.png").write_bytes(b"mine")
    refused("tangent", "log(x)", "--at", "-1", "--out", "old.png")
    assert (here / "old.png").read_bytes() == b"mine"


@pytest.mark.parametrize(("out", "begin"), [("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("a.PNG", PNG), ("a", PNG)])
def test_the_ending_chooses_the_format(told, here, out, begin):
    name = out if "." in out else f"{out}.png"
    assert told("function", "x**2", "--out", out) == f"wrote {name}\n"
    assert (here / name).read_bytes().startswith(begin)


def test_bad_files(refused, here):
    (here / "folder.png").mkdir()
    assert refused("function", "x", "--out", "a.xyz").startswith("--out a.xyz ends in .xyz; expected .png, .svg, .pdf")
    assert refused("function", "x", "--out", "no/a.png") == "--out no/a.png: there is no folder no; make it first"
    assert refused("function", "x", "--out", "folder.png").startswith("--out folder.png is a folder; expected a file")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tangent", "sin(x)"], "Missing option '--at'. (all options: mibun draw tangent --help)"),
        (["tangent", "log(x)", "--at", "-1"], "f is not defined at -1.0"),
        (["tangent", "sin(x", "--at", "1"], "the formula"),
        (["field", "x**2"], "has the variable x; this picture needs two variables"),
        (["function", "x*y"], "has the variables x, y; this picture needs one variable"),
        (["function", "x", "--interval", "1"], "--interval '1' is given; expected 2 numbers such as -2,2"),
        (["field", "x*y", "--region", "1,2,3"], "--region '1,2,3' is given; expected 2 or 4 numbers"),
        (["function", "x", "--interval", "a,b"], "--interval 'a,b' is given"),
        (["function", "plant_d:mistaken"], "plant_d:mistaken raised AttributeError"),
        (["path", "x*y", "--x0", "[1, 2, 3]"], "the formula has 2 variables"),
        (["path", "x*y", "--x0", "a=1,b=2"], "--x0 gives a, b; expected x, y"),
        (["path", "x*y*z", "--x0", "[1, 2, 3]"], "a path has points of shape"),
        (["path", "x**2", "--x0", "1", "--learning-rate", "0"], "learning_rate"),
        (["path", "x**2", "--x0", "1", "--rule", "newton"], "'newton' is not one of 'gradient descent', 'momentum'"),
        (["path", "x**2", "--x0", "one"], "--x0 'one' is given; expected a number such as 1.3"),
        (["path", "x*y", "--x0", "x=1,x=2"], "--x0 gives 'x' twice; give every name once"),
        (["path", "log(x)", "--x0", "-1"], "log(x) raised ValueError: math domain error (f raised this at x = -1.0)"),
        (["step-error", "abs(x)", "--at", "0"], "no slope at 0.0 to compare with: kink"),
        (["circle", "x"], "No such command 'circle'"),
    ],
)
def test_bad_input(refused, words, message):
    assert message in refused(*words)


@pytest.mark.parametrize("kind", [*COMMANDS, None])
def test_help(told, kind):
    text = told(*([kind] if kind else []), "--help")
    assert max(map(len, text.splitlines())) <= 80
    assert ("--out FILE" in text) == (kind is not None)
    if kind is None:
        assert 'mibun draw tangent "0.01*x**2 + 0.1*x" --at 5 --out tangent.png' in text


def test_without_matplotlib_it_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['matplotlib'] = None; from mibun.cli import main; sys.exit(main())"
    words = ["draw", "function", "x**2", "--out", str(tmp_path / "a.png")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "mb.draw needs the package 'matplotlib'" in done.stderr
    assert "pip install 'mibun[plot]'" in done.stderr
    assert done.stdout == ""
