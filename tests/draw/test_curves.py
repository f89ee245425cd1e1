"""A function and its tangents: what the lines hold, and what the legend says."""

import math

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError
from mibun.formula import formula

pytest.importorskip("matplotlib")

FUNCTION_1 = formula("0.01*x**2 + 0.1*x")


def entries(drawn):
    return [text.get_text() for text in drawn.artists["legend"].get_texts()]


def steepness(line):
    x, y = line.get_data()
    return (y[-1] - y[0]) / (x[-1] - x[0])


# Function


def test_the_line_is_the_graph(ax):
    drawn = mb.draw.function(FUNCTION_1, (0, 20), points=11, ax=ax)
    assert drawn.axes is ax
    x, y = drawn.artists["line"].get_data()
    np.testing.assert_array_equal(x, np.linspace(0, 20, 11))
    np.testing.assert_array_equal(y, [FUNCTION_1(t) for t in x.tolist()])
    np.testing.assert_array_equal(drawn.numbers["y"], y)
    assert entries(drawn) == ["0.01*x**2 + 0.1*x"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "f(x)")


def test_the_legend_has_the_name_of_f(ax):
    assert entries(mb.draw.function(math.sin, ax=ax)) == ["sin(x)"]


def test_a_vectorized_f_is_called_with_all_points_and_gives_the_same(ax):
    shapes = []

    def f(x):
        shapes.append(x.shape)
        x = x * 1.0
        return x**2

    drawn = mb.draw.function(f, points=50, vectorized=True, ax=ax)
    np.testing.assert_array_equal(drawn.numbers["y"], drawn.numbers["x"] ** 2)
    assert shapes == [(50,)]


def test_a_formula_names_the_axis(ax):
    mb.draw.function(formula("sin(time)"), ax=ax)
    assert ax.get_xlabel() == "time"


def test_outside_of_the_domain_there_is_a_gap(ax):
    x, y = mb.draw.function(math.log, (-1, 1), points=101, ax=ax).artists["line"].get_data()
    np.testing.assert_array_equal(np.isnan(y), x <= 0)
    x, y = mb.draw.function(np.log, (-1, 1), points=101, ax=ax).artists["line"].get_data()
    np.testing.assert_array_equal(np.isnan(y), x <= 0)


def test_real_numbers_beside_complex_ones_are_drawn(ax):
    x, y = mb.draw.function(lambda x: x**0.5, (-1, 1), points=101, ax=ax).artists["line"].get_data()
    np.testing.assert_array_equal(np.isnan(y), x < 0)


@pytest.mark.parametrize(
    ("f", "interval", "breaks"),
    [
        (math.floor, (0.5, 4.5), [1, 2, 3, 4]),
        (lambda x: 1.0 * (x > 0.3), (-1, 1), [0.3]),
        (math.tan, (-3, 3), [-math.pi / 2, math.pi / 2]),
        (lambda x: 1 / x, (-1, 1.1), [0]),
        (lambda x: math.tanh(1e4 * x), (-1, 1.1), []),
        (lambda x: math.sin(40 * x), (-1, 1), []),
        (lambda x: 0.0, (-1, 1), []),
    ],
)
def test_jumps_and_poles_tear_the_line_and_steep_parts_do_not(ax, f, interval, breaks):
    x, y = mb.draw.function(f, interval, ax=ax).artists["line"].get_data()
    gap = (interval[1] - interval[0]) / 400
    np.testing.assert_allclose(x[np.isnan(y)], breaks, atol=gap)


def test_a_pole_does_not_make_the_rest_flat(ax):
    mb.draw.function(lambda x: 1 / x, (-5, 5.01), ax=ax)
    low, high = ax.get_ylim()
    assert -20 < low < -1
    assert 1 < high < 20


def test_a_function_of_derivatives_is_drawn(ax):
    drawn = mb.draw.function(lambda x: mb.derivative(math.sin, x), points=9, ax=ax)
    np.testing.assert_allclose(drawn.numbers["y"], np.cos(drawn.numbers["x"]), atol=1e-10)


@pytest.mark.parametrize(
    ("f", "options", "message"),
    [
        (lambda x: 1j * x, {}, "complex numbers; expected real ones: draw a part"),
        (lambda x: np.zeros(3), {}, r"f returned shape \(3,\); expected one real number"),
        (lambda x: "a", {}, "f returned <U1"),
        (math.log, {"interval": (-2, -1)}, "not defined anywhere between -2.0 and -1.0"),
        ("x**2", {}, "f is 'x\\*\\*2'; expected a function"),
        (formula("x*y"), {}, "has the variables x, y; this picture needs one variable"),
        (math.sin, {"interval": (1, 1)}, "the lower end first"),
        (math.sin, {"interval": (0, math.inf)}, "finite numbers"),
        (math.sin, {"interval": 5}, r"two numbers, such as \(-5, 5\)"),
        (math.sin, {"points": 1}, "whole number of at least 2, not 1"),
        (lambda x: x[:2], {"vectorized": True, "points": 5}, r"returned shape \(2,\); .* to return shape \(5,\)"),
        (lambda x: 1j * x, {"vectorized": True}, "complex"),
        (math.sin, {"language": "de"}, "expected 'en' or 'ko'"),
    ],
)
def test_bad_input_of_function(ax, f, options, message):
    with pytest.raises(InputError, match=message):
        mb.draw.function(f, **options, ax=ax)


def test_what_f_raises_otherwise_is_raised(ax):
    with pytest.raises(KeyError):
        mb.draw.function(lambda x: {}[x], ax=ax)


# Tangent


def test_the_tangents_touch_with_the_slope_that_the_legend_has(ax):
    drawn = mb.draw.tangent(FUNCTION_1, [5, 10], (0, 20), ax=ax)
    for line, mark, slope, x, true in zip(
        drawn.artists["tangents"],
        drawn.artists["points"],
        drawn.numbers["derivatives"],
        (5, 10),
        (0.2, 0.3),
        strict=True,
    ):
        assert steepness(line) == pytest.approx(true, abs=1e-14)
        assert abs(slope.value - true) <= slope.error
        np.testing.assert_array_equal(mark.get_data(), [[x], [FUNCTION_1(x)]])
        assert np.interp(x, *line.get_data()) == pytest.approx(FUNCTION_1(x), abs=1e-14)
        np.testing.assert_array_equal(line.get_xdata(), [0, 20])
    assert entries(drawn)[1].startswith("slope at x = 5: 0.2000000000")
    assert entries(drawn)[2].startswith("slope at x = 10: 0.3000000000")
    assert all(" ± " in entry for entry in entries(drawn)[1:])
    assert ax.get_title() == "0.01*x**2 + 0.1*x and its tangents"


def test_the_usual_interval_has_the_point_in_its_middle(ax):
    drawn = mb.draw.tangent(FUNCTION_1, 5, ax=ax)
    assert drawn.numbers["x"][[0, -1]].tolist() == [0, 10]
    assert ax.get_title() == "0.01*x**2 + 0.1*x and its tangent"


def test_a_kink_has_half_a_tangent_on_each_side(ax):
    drawn = mb.draw.tangent(lambda x: max(x, 0.0), 0, ax=ax)
    left, right = drawn.artists["tangents"]
    np.testing.assert_allclose(left.get_data(), [[-1, 0], [0, 0]], atol=1e-12)
    np.testing.assert_allclose(right.get_data(), [[0, 1], [0, 1]], atol=1e-12)
    assert entries(drawn)[1] == "kink at x = 0: slopes 0 and 1"
    assert len(entries(drawn)) == 2


@pytest.mark.parametrize(("f", "why"), [(math.floor, "jump"), (lambda x: math.copysign(abs(x - 1) ** 0.5, x - 1), "")])
def test_where_there_is_no_slope_no_line_is_drawn(ax, f, why):
    drawn = mb.draw.tangent(f, 1, ax=ax)
    if not drawn.numbers["derivatives"][0].passes:
        assert entries(drawn)[1].startswith("no slope at x = 1: " + why) == (not drawn.artists["tangents"])
    assert (why == "jump") <= (drawn.artists["tangents"] == [])


def test_a_steep_tangent_does_not_hide_the_graph(ax):
    mb.draw.tangent(lambda x: math.sin(x) + 0.2 * math.sin(80 * x), 0, (-3, 3), ax=ax)
    low, high = ax.get_ylim()
    assert -2 < low < -1
    assert 1 < high < 2


def test_the_lines_differ_without_colour(ax):
    drawn = mb.draw.tangent(math.sin, [0, 1, 2], ax=ax)
    lines = [drawn.artists["line"], *drawn.artists["tangents"]]
    assert len({line.get_linestyle() for line in lines}) == 4
    assert len({mark.get_marker() for mark in drawn.artists["points"]}) == 3


@pytest.mark.parametrize(
    ("f", "at", "message"),
    [
        (math.log, -1.0, r"not defined at -1.0: .*; expected a point of its domain"),
        (np.log, -1.0, "f is nan at -1.0; expected a point of its domain"),
        (np.log, 0.0, "f is -inf at 0.0"),
        (lambda x: 1j * x, 1.0, r"f is 1j at 1.0; expected a real number"),
        (lambda x: np.array([x, x]), 1.0, r"f returned shape \(2,\) at 1.0; expected one real number"),
        (math.sin, math.nan, "expected a finite number"),
        (math.sin, [0, 1, 2, 3, 4], "one to four"),
        (math.sin, "here", "expected a number such as 5.0"),
        (math.sin, [], "one to four"),
    ],
)
def test_bad_points_of_tangents(ax, f, at, message):
    with pytest.raises(InputError, match=message):
        mb.draw.tangent(f, at, ax=ax)


# Difference


def test_the_three_lines_have_the_slopes_that_they_say(ax):
    drawn = mb.draw.difference(math.exp, 0.0, 0.5, ax=ax)
    forward, central = (math.exp(0.5) - 1) / 0.5, math.exp(0.5) - math.exp(-0.5)
    assert drawn.numbers["forward"] == pytest.approx(forward, rel=1e-15)
    assert drawn.numbers["central"] == pytest.approx(central, rel=1e-15)
    for name, slope in (("true", 1.0), ("forward", forward), ("central", central)):
        assert steepness(drawn.artists[name]) == pytest.approx(slope, rel=1e-12)
    np.testing.assert_array_equal(drawn.artists["points"].get_data(), [[-0.5, 0, 0.5], np.exp([-0.5, 0, 0.5])])
    # The forward line goes through x and x + h, the central one through x - h and x + h, the true one through x.
    at = np.interp(0.5, *drawn.artists["forward"].get_data())
    assert at == pytest.approx(math.exp(0.5), rel=1e-14)
    ends = np.interp([-0.5, 0.5], *drawn.artists["central"].get_data())
    np.testing.assert_allclose(ends, np.exp([-0.5, 0.5]), rtol=1e-14)
    assert np.interp(0, *drawn.artists["true"].get_data()) == pytest.approx(1.0, rel=1e-14)
    assert entries(drawn)[2:] == ["forward difference: 1.29744", "central difference: 1.04219"]
    assert {"x − h", "x", "x + h"} <= {text.get_text() for text in ax.texts}
    assert ax.get_title() == "Numerical differences with h = 0.5"


def test_the_step_is_large_enough_to_be_seen(ax):
    drawn = mb.draw.difference(FUNCTION_1, 5, ax=ax)
    assert drawn.numbers["step"] == 2.5
    assert drawn.numbers["forward"] - 0.2 == pytest.approx(0.025)
    assert drawn.numbers["central"] == pytest.approx(0.2, abs=1e-14)


@pytest.mark.parametrize(
    ("f", "at", "step", "message"),
    [
        (math.log, 1.0, 2.0, r"not defined at -1.0, which the differences with h = 2.0 need"),
        (math.sqrt, 0.0, 1.0, "not defined at -1.0"),
        (math.sin, 1.0, 1e-50, "1.0 \\+ 1e-50 is 1.0: it is lost in rounding"),
        (math.sin, 1.0, 0.0, "expected a number above 0"),
        (math.sin, 1.0, "h", "expected a number above 0"),
        (math.sin, [1.0, 2.0], 1.0, "expected one number"),
        (math.log, -1.0, 1.0, "expected a point of its domain"),
    ],
)
def test_bad_differences(ax, f, at, step, message):
    with pytest.raises(InputError, match=message):
        mb.draw.difference(f, at, step, ax=ax)
