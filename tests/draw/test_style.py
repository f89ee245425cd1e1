"""What all pictures keep: colours, axes, settings, figures, both languages."""

import ast
import math
import sys
import warnings
from itertools import combinations
from pathlib import Path
from string import Formatter

import numpy as np
import pytest

import mibun as mb
from mibun import learn
from mibun.draw import words as words_module
from mibun.draw.style import DARK, LIGHT, look_of, luminance
from mibun.draw.words import KOREAN, Words, hangul_font
from mibun.errors import InputError, MibunWarning, MissingDependency

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.figure import Figure  # noqa: E402


def bowl(x):
    return x[0] ** 2 + 2 * x[1] ** 2


DATA = learn.load_digits()
NETWORK = learn.Network([learn.Dense(64, 10)])
HISTORY = learn.train(NETWORK, DATA, steps=60)
#: Every picture, on the plane, with few evaluations.
FLAT = {
    "function": lambda **more: mb.draw.function(math.sin, points=9, **more),
    "tangent": lambda **more: mb.draw.tangent(math.sin, 1.0, points=9, **more),
    "difference": lambda **more: mb.draw.difference(math.sin, 1.0, points=9, **more),
    "step_error": lambda **more: mb.draw.step_error(math.sin, 1.0, **more),
    "contour": lambda **more: mb.draw.contour(bowl, points=9, **more),
    "field": lambda **more: mb.draw.field(bowl, points=3, **more),
    "path": lambda **more: mb.draw.path([[-1.0, 2.0], [0.0, 0.0]], bowl, points=9, **more),
}
FLAT |= {
    "step_and_sigmoid": mb.draw.step_and_sigmoid,
    "log_curve": mb.draw.log_curve,
    "training": lambda **more: mb.draw.training(HISTORY, **more),
    "accuracy": lambda **more: mb.draw.training(HISTORY, "accuracy", **more),
    "digits": lambda **more: mb.draw.digits(np.zeros((0, 4)), **more),
    "confusion": lambda **more: mb.draw.confusion(NETWORK, DATA, **more),
    "weights": lambda **more: mb.draw.weights(NETWORK, **more),
    "loss_landscape": lambda **more: mb.draw.loss_landscape(NETWORK, DATA, points=3, samples=9, **more),
}
SOLID = {"surface": lambda **more: mb.draw.surface(bowl, points=9, **more)}
#: Pictures whose only words are the name of f and those of its axes.
WITHOUT_WORDS = {"function", "surface", "contour"}
ALL = FLAT | SOLID


def new_axes(name, **options):
    return Figure(layout="constrained", **options).add_subplot(projection="3d" if name in SOLID else None)


def texts_of(artist):
    from matplotlib.text import Text

    return [text.get_text() for text in artist.findobj(Text) if text.get_text()]


# Colours


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("look", [LIGHT, DARK])
def test_colours_stand_out_from_the_background(look):
    assert contrast(look.ink, look.background) > 7
    for colour in look.colours:
        assert contrast(colour, look.background) > 3


#: What the dichromats see, in linear RGB (Viénot, Brettel and Mollon 1999).
BLIND = {
    "protan": np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]),
    "deutan": np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]),
}


@pytest.mark.parametrize("look", [LIGHT, DARK])
@pytest.mark.parametrize("matrix", [np.eye(3), *BLIND.values()], ids=["all", *BLIND])
def test_colours_can_be_told_apart_with_every_colour_vision(look, matrix):
    from matplotlib.colors import to_rgb

    seen = [np.clip(matrix @ np.array(to_rgb(colour)) ** 2.2, 0, 1) ** (1 / 2.2) for colour in look.colours]
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(one - other) > 0.25


def test_the_look_follows_the_background():
    figure = Figure(facecolor="black")
    axes = figure.subplots()
    assert look_of(axes) is LIGHT  # the axes themselves are white
    axes.set_facecolor("none")
    assert look_of(axes) is DARK
    axes.set_facecolor((1, 1, 1, 0.05))
    assert look_of(axes) is DARK
    assert look_of(Figure(facecolor="none").subplots()) is LIGHT
    assert look_of(Figure(facecolor="black").subfigures(1, 2)[0].add_subplot(facecolor="none")) is DARK


@pytest.mark.parametrize("name", ALL)
def test_dark_pictures_have_light_lines(name):
    axes = new_axes(name, facecolor="black")
    axes.set_facecolor("black")
    ALL[name](ax=axes)
    for line in axes.get_lines():
        if line.get_linestyle() not in ("None", ":"):
            assert contrast(line.get_color(), "black") > 2
    if axes.get_legend():
        for text in axes.get_legend().get_texts():
            assert contrast(text.get_color(), "black") > 7


# Axes and figures


@pytest.mark.parametrize("name", ALL)
def test_a_given_ax_opens_no_figure_and_changes_no_setting(name, monkeypatch):
    before = {name: value for name, value in matplotlib.rcParams.copy().items() if name != "backend"}
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    axes = new_axes(name)
    drawn = ALL[name](ax=axes)
    assert drawn.axes is axes
    monkeypatch.undo()
    assert {name: matplotlib.rcParams[name] for name in before} == before
    axes.figure.draw_without_rendering()


@pytest.mark.parametrize("name", ALL)
def test_without_ax_pyplot_gets_a_new_figure(name, no_figure_left):
    no_figure_left.switch_backend("agg")
    drawn = ALL[name]()
    assert no_figure_left.figure(no_figure_left.get_fignums()[-1]) is drawn.axes.figure
    drawn.axes.figure.canvas.draw()
    no_figure_left.close(drawn.axes.figure)


@pytest.mark.parametrize("name", ALL)
def test_a_wrong_ax_is_refused(name):
    wanted, other = ("3d", None) if name in SOLID else ("rectilinear", "3d")
    with pytest.raises(InputError, match=f"ax has the projection .*; expected '{wanted}'"):
        ALL[name](ax=Figure().add_subplot(projection=other))
    with pytest.raises(InputError, match="ax has the projection 'polar'"):
        ALL[name](ax=Figure().add_subplot(projection="polar"))
    with pytest.raises(InputError, match=r"ax is a Figure; expected one Axes"):
        ALL[name](ax=Figure())
    with pytest.raises(InputError, match=r"ax is a ndarray; .* such as axes\[0\]"):
        ALL[name](ax=Figure().subplots(1, 2))


@pytest.mark.parametrize("name", ALL)
def test_bad_input_leaves_no_figure_open(name, no_figure_left):
    with pytest.raises(InputError, match="language is 'kr'"):
        ALL[name](language="kr")


@pytest.mark.parametrize("name", ALL)
def test_without_matplotlib_the_install_line_is_given(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"mb\.draw needs .*pip install 'mibun\[plot\]'"):
        ALL[name]()


# Languages


@pytest.fixture
def korean(monkeypatch):
    """Let Korean have a font, whatever this machine has; its letters are not looked at."""
    monkeypatch.setattr(words_module, "hangul_font", lambda: "DejaVu Sans Mono")


def has_hangul(text):
    return any("가" <= letter <= "힣" for letter in text)


@pytest.mark.parametrize("name", ALL)
def test_korean_labels(name, korean):
    axes = new_axes(name)
    ALL[name](ax=axes, language="ko")
    texts = texts_of(axes)
    assert any(map(has_hangul, texts)) or name in WITHOUT_WORDS


def test_only_texts_with_hangul_get_the_font(ax, korean):
    drawn = mb.draw.tangent(math.sin, 1.0, ax=ax, language="ko")
    before = ax.xaxis.label.get_fontfamily()
    assert ax.title.get_fontfamily() == [*before, "DejaVu Sans Mono"]
    name, slope = drawn.artists["legend"].get_texts()
    assert name.get_fontfamily() == before
    assert slope.get_fontfamily() == [*before, "DejaVu Sans Mono"]
    assert slope.get_text().startswith("x = 1에서의 기울기: 0.5403")


@pytest.mark.parametrize("name", ALL)
def test_without_a_font_the_picture_is_english_and_says_why(name, monkeypatch):
    monkeypatch.setattr(words_module, "hangul_font", lambda: None)
    axes = new_axes(name)
    with pytest.warns(MibunWarning, match="no font that matplotlib finds has Korean letters.*fonts-nanum") as told:
        ALL[name](ax=axes, language="ko")
    assert told[0].filename == __file__
    assert not any(map(has_hangul, texts_of(axes)))


def test_fonts_without_hangul_are_not_taken(monkeypatch):
    from matplotlib import font_manager

    own = [entry for entry in font_manager.fontManager.ttflist if entry.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["/no/such/font.ttf", own[0].fname])
    assert hangul_font() is None


@pytest.mark.skipif(hangul_font() is None, reason="no font with Hangul here")
def test_a_real_font_draws_every_letter():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of every letter that no font has
        for name, draw in ALL.items():
            axes = new_axes(name)
            draw(ax=axes, language="ko")
            axes.figure.draw_without_rendering()


@pytest.mark.skipif(hangul_font() is None, reason="no font with Hangul here")
def test_a_font_that_was_installed_since_is_found(monkeypatch):
    from matplotlib import font_manager

    manager, name = font_manager.fontManager, hangul_font()
    path = next(entry.fname for entry in manager.ttflist if entry.name == name)
    own = [entry for entry in manager.ttflist if entry.name.startswith("DejaVu")]
    monkeypatch.setattr(manager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [path])
    assert hangul_font() == name
    assert manager.ttflist[-1].fname == path


def said():
    """Every text that a picture says or may say: what `words` is called with, and what stands in its table."""
    for file in Path(words_module.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "words":
                yield from (given.value for given in node.args if isinstance(given, ast.Constant))
            elif isinstance(node, ast.Constant) and file.name != "words.py" and node.value in KOREAN:
                yield node.value


def test_every_text_has_its_korean_and_no_korean_is_left_over():
    assert set(said()) - KOREAN.keys() == set()
    computed = {"truncation (theory)", "rounding (theory)"}  # put together from words
    computed |= {"converged", "bounds", "noise floor", "plateau", "saddle", "oscillating", "stalled", "diverged"}
    computed |= {"dead gradient", "stopped"}  # of the status of a path
    computed |= {status.word for status in mb.Status if not status.passes}
    assert KOREAN.keys() - set(said()) - computed == set()


def test_both_languages_have_the_same_fields():
    def fields(text):
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    for english, korean_text in KOREAN.items():
        assert fields(english) == fields(korean_text), english


def test_english_needs_no_font(monkeypatch):
    monkeypatch.setattr(words_module, "hangul_font", lambda: pytest.fail("looked for a font"))
    assert Words("en")("step h") == "step h"
