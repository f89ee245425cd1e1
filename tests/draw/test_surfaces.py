"""A function of two numbers as surface, contours and field: heights, levels, and the way down."""

import math

import numpy as np
import pytest

import mibun as mb
from mibun.draw.surfaces import levels_of
from mibun.errors import InputError
from mibun.formula import formula

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure


def bowl(x):
    return x[0] ** 2 + 2 * x[1] ** 2


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


@pytest.fixture
def space():
    return Figure(layout="constrained").add_subplot(projection="3d")


# Surface


def test_the_surface_has_the_heights_of_f(space):
    drawn = mb.draw.surface(bowl, ((0, 1), (2, 4)), points=3, ax=space)
    np.testing.assert_array_equal(drawn.numbers["x0"], [0, 0.5, 1])
    np.testing.assert_array_equal(drawn.numbers["x1"], [2, 3, 4])
    values = drawn.numbers["values"]
    assert values[2, 1] == bowl([0.5, 4])
    # Every face has the mean height of its corners.
    corners = (values[:-1, :-1] + values[1:, :-1] + values[:-1, 1:] + values[1:, 1:]) / 4
    np.testing.assert_allclose(drawn.artists["surface"].get_array(), corners.ravel())
    assert (space.get_xlabel(), space.get_ylabel(), space.get_zlabel()) == ("x0", "x1", "f")


def test_a_surface_has_a_hole_where_f_is_not_defined(space):
    drawn = mb.draw.surface(lambda x: math.log(x[0]) + x[1], (-1, 3), points=21, ax=space)
    np.testing.assert_array_equal(
        np.isnan(drawn.numbers["values"]), np.broadcast_to(drawn.numbers["x0"] <= 0, (21, 21))
    )
    space.figure.draw_without_rendering()


def test_vectorized_is_the_same(space, ax):
    def stacked(x):
        assert x.shape in ((81, 2), (1, 2))  # the grid; one point, for a look at what f takes
        return bowl(x.T)

    one = mb.draw.surface(bowl, points=9, ax=space)
    other = mb.draw.contour(stacked, points=9, vectorized=True, ax=ax)
    np.testing.assert_array_equal(one.numbers["values"], other.numbers["values"])


# Contour


def test_the_lines_are_where_f_has_the_level(ax):
    drawn = mb.draw.contour(bowl, (-3, 3), levels=[1, 4, 9], ax=ax)
    for level, path in zip([1, 4, 9], drawn.artists["lines"].get_paths(), strict=True):
        np.testing.assert_allclose(bowl(path.vertices.T), level, rtol=0.01)
    assert {text.get_text() for text in drawn.artists["labels"]} == {"1", "4", "9"}


def test_areas_are_lighter_where_f_is_larger(ax):
    from mibun.draw.style import luminance

    drawn = mb.draw.contour(bowl, ax=ax)
    shades = [luminance(colour) for colour in drawn.artists["areas"].get_facecolor()]
    assert len(shades) == len(drawn.numbers["levels"]) + 1
    assert shades == sorted(shades)


@pytest.mark.parametrize(
    ("f", "region", "first", "last"),
    [
        (lambda x: x[0] ** 2 + x[1] ** 2, (-3, 3), 2, 16),
        (rosenbrock, ((-2, 2), (-1, 3)), 0.5, 1000),
        (lambda x: 5 + rosenbrock(x), ((-2, 2), (-1, 3)), 6, 1000),
        (lambda x: math.sin(x[0]) * math.cos(x[1]), (-3, 3), -0.8, 0.8),
        (lambda x: 1e9 + x[0], (-1, 1), 1e9 - 0.8, 1e9 + 0.8),
    ],
)
def test_levels_are_round_and_cover_f(ax, f, region, first, last):
    levels = mb.draw.contour(f, region, ax=ax).numbers["levels"]
    assert levels[0] == pytest.approx(first, rel=1e-12, abs=0.6)
    assert levels[-1] == pytest.approx(last, rel=1e-12)
    assert 5 <= len(levels) <= 14
    assert (np.diff(levels) > 0).all()


def test_a_constant_is_drawn(ax, space):
    assert levels_of(np.full((3, 3), 2.0)).tolist() == [2.0]
    mb.draw.contour(lambda x: 2.0, points=5, ax=ax)
    mb.draw.surface(lambda x: 2.0, points=5, ax=space)
    ax.figure.draw_without_rendering()
    space.figure.draw_without_rendering()


def test_a_formula_names_both_axes(ax):
    mb.draw.contour(formula("height**2 + width"), points=9, ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("height", "width")
    assert ax.get_title() == "height**2 + width"


# Field


def test_the_arrows_are_minus_the_gradient(ax):
    drawn = mb.draw.field(bowl, ((-2, 2), (-1, 1)), points=5, ax=ax)
    points, arrows = drawn.numbers["points"], drawn.artists["arrows"]
    assert points.shape == (25, 2)
    np.testing.assert_allclose(drawn.numbers["gradients"], points * [2, 4], atol=1e-9)
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], axis=1), -points * [2, 4], atol=1e-9)
    np.testing.assert_array_equal(arrows.get_offsets(), points)
    assert "longest arrow 5.66" in ax.get_title()
    assert ax.get_title().startswith("−gradient: where f falls fastest")
    assert drawn.artists["missing"] is None


def test_the_length_of_an_arrow_is_that_of_the_gradient(ax):
    """The longest is a little longer than the spacing of the grid, and all are on one scale."""
    drawn = mb.draw.field(bowl, ((-2, 2), (-2, 2)), points=5, ax=ax)
    arrows = drawn.artists["arrows"]
    assert (arrows.angles, arrows.scale_units) == ("xy", "xy")
    assert np.hypot(arrows.U, arrows.V).max() / arrows.scale == pytest.approx(1.25)


def test_a_kink_has_a_mark_and_no_arrow_and_the_outside_has_neither(ax):
    drawn = mb.draw.field(lambda x: abs(x[0]) + math.sqrt(x[1]), ((-1, 1), (-1, 1)), points=5, ax=ax)
    assert len(drawn.artists["arrows"].U) == 8
    x, y = drawn.artists["missing"].get_data()
    assert {(0.0, 0.5), (0.0, 1.0)} <= set(zip(x.tolist(), y.tolist(), strict=True))
    assert (y >= 0).all()
    assert [text.get_text() for text in drawn.artists["legend"].get_texts()] == ["no gradient here"]


def test_a_flat_f_has_arrows_of_length_0(ax):
    with pytest.warns(mb.errors.FunctionUnchanged):
        drawn = mb.draw.field(lambda x: 1.0, points=3, ax=ax)
    assert not drawn.artists["arrows"].U.any()
    ax.figure.draw_without_rendering()


# What cannot be drawn


@pytest.mark.parametrize("draw", [mb.draw.contour, mb.draw.field, mb.draw.surface])
@pytest.mark.parametrize(
    ("f", "options", "message"),
    [
        (formula("x*y*z"), {}, "has the variables x, y, z; this picture needs two variables"),
        (formula("x**2"), {}, "has the variable x; this picture needs two variables"),
        (lambda x: x[2], {}, r"f raised IndexError .* expected a function of two numbers that come as one array"),
        (lambda x, y: x + y, {}, r"f raised TypeError .*such as lambda x: x\[0\]\*\*2 \+ x\[1\]\*\*2"),
        (lambda x: x**2, {}, r"f returned shape \(2,\); expected one real number"),
        (lambda x: 1j * x[0], {}, "complex numbers"),
        (lambda x: math.log(-1 - x[0] ** 2), {}, "f .*"),
        (bowl, {"region": ((0, 1), (0, 1), (0, 1))}, r"expected \(\(low, high\), \(low, high\)\)"),
        (bowl, {"region": (1, -1)}, "the lower end first"),
        (bowl, {"region": ((0, 1), (1, 1))}, r"region\[1\] is .*the lower end first"),
        (bowl, {"points": 1.5}, "whole number"),
    ],
)
def test_bad_input(draw, f, options, message):
    axes = Figure().add_subplot(projection="3d" if draw is mb.draw.surface else None)
    with pytest.raises(InputError, match=message):
        draw(f, **options, ax=axes)


@pytest.mark.parametrize("levels", [[3, 1], [], [1, math.nan], "many", [[1, 2]]])
def test_bad_levels(ax, levels):
    with pytest.raises(InputError, match="expected finite numbers that rise"):
        mb.draw.contour(bowl, levels=levels, points=5, ax=ax)
