"""The notes' two figures: slopes of 0 and others, and losses as long as they are."""

import math

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError

pytest.importorskip("matplotlib")


def entries(drawn):
    return [text.get_text() for text in drawn.artists["legend"].get_texts()]


def test_the_step_has_slope_0_and_the_sigmoid_has_not(ax):
    drawn = mb.draw.step_and_sigmoid(at=[-2, 1], ax=ax)
    for name, slopes in (
        ("step", [0, 0]),
        ("sigmoid", [mb.book.sigmoid(t) * (1 - mb.book.sigmoid(t)) for t in (-2, 1)]),
    ):
        for line, slope, found in zip(
            drawn.artists[f"{name}_tangents"], slopes, drawn.numbers[f"{name}_slopes"], strict=True
        ):
            x, y = line.get_data()
            assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(slope, abs=1e-12)
            assert abs(found.value - slope) <= found.error + 1e-16
    assert entries(drawn) == ["step function: slopes 0, 0", "sigmoid: slopes 0.105, 0.197"]


def test_both_graphs_are_the_functions(ax):
    drawn = mb.draw.step_and_sigmoid(ax=ax)
    x, y = drawn.artists["sigmoid"].get_data()
    np.testing.assert_array_equal(y, mb.book.sigmoid(x))
    assert drawn.artists["step"].get_xydata().tolist() == [[-5, 0], [0, 0], [0, 1], [5, 1]]


def test_an_interval_beside_the_step(ax):
    drawn = mb.draw.step_and_sigmoid((1, 3), at=2, ax=ax)
    assert set(drawn.artists["step"].get_ydata()) == {1.0}


def test_the_losses_are_as_long_as_minus_ln(ax):
    drawn = mb.draw.log_curve(ax=ax)
    # The notes print 0.5108 and 2.3026.
    assert drawn.numbers["losses"] == pytest.approx([0.510825623765991, 2.302585092994046], rel=1e-14)
    for line, probability, loss in zip(drawn.artists["losses"], (0.6, 0.1), drawn.numbers["losses"], strict=True):
        assert line.get_xydata().tolist() == [[probability, 0], [probability, -loss]]
    x, y = drawn.artists["line"].get_data()
    np.testing.assert_array_equal(y, np.log(x))
    assert entries(drawn)[1:] == ["y = 0.6: loss −ln y = 0.511", "y = 0.1: loss −ln y = 2.3"]


@pytest.mark.parametrize("probability", [1.0, 1e-300])
def test_the_ends_are_drawn(ax, probability):
    drawn = mb.draw.log_curve(probability, ax=ax)
    assert drawn.numbers["losses"] == [pytest.approx(-math.log(probability))]
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda ax: mb.draw.log_curve([0.5, -0.1], ax=ax), "has -0.1; .*: the logarithm needs a probability"),
        (lambda ax: mb.draw.log_curve(0.0, ax=ax), "has 0.0; .*: the loss of 0 is infinite"),
        (lambda ax: mb.draw.log_curve(1.5, ax=ax), "above 0 and at most 1"),
        (lambda ax: mb.draw.log_curve("half", ax=ax), "expected a number"),
        (lambda ax: mb.draw.step_and_sigmoid(at=[1, 0], ax=ax), "points besides 0, where the step function jumps"),
        (lambda ax: mb.draw.step_and_sigmoid((3, 1), ax=ax), "the lower end first"),
    ],
)
def test_bad_input(ax, draw, message):
    with pytest.raises(InputError, match=message):
        draw(ax)
