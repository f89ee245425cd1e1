"""The way of a descent: the points that are drawn, the window around them, and what runs away."""

from types import SimpleNamespace

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure


def bowl(x):
    return x[0] ** 2 + 2 * x[1] ** 2


def way(start, rate, steps):
    """Gradient descent on the bowl, by its own formula."""
    shrink = 1 - rate * np.array([2.0, 4.0])
    with np.errstate(over="ignore"):
        return np.array(start) * shrink ** np.arange(steps + 1)[:, np.newaxis]


def entries(drawn):
    return [text.get_text() for text in drawn.artists["legend"].get_texts()]


def test_the_line_goes_through_all_points_with_ring_and_star(ax):
    points = way((-3, 4), 0.1, 40)
    drawn = mb.draw.path(points, bowl, ax=ax)
    (line,), (ring,), (star,) = (drawn.artists[name] for name in ("paths", "starts", "ends"))
    np.testing.assert_array_equal(line.get_xydata(), points)
    np.testing.assert_array_equal(ring.get_xydata(), points[:1])
    np.testing.assert_array_equal(star.get_xydata(), points[-1:])
    assert entries(drawn) == ["from (-3, 4): 40 steps"]
    levels = drawn.artists["contours"].levels
    for level, path in zip(levels, drawn.artists["contours"].get_paths(), strict=True):
        np.testing.assert_allclose(bowl(path.vertices.T), level, rtol=0.05)
    assert ax.get_title() == "Descent: bowl(x)"


def test_several_starts_differ_without_colour(ax):
    starts = ((-3, 4), (4, 1), (2, -3))
    drawn = mb.draw.path([way(start, 0.1, 20) for start in starts], bowl, ax=ax)
    assert [line.get_xydata()[0].tolist() for line in drawn.artists["paths"]] == [list(map(float, s)) for s in starts]
    for look in ("linestyle", "marker", "color"):
        assert len({getattr(line, f"get_{look}")() for line in drawn.artists["paths"]}) == 3
    for (low, high), limits in zip(drawn.numbers["region"], (ax.get_xlim(), ax.get_ylim()), strict=True):
        assert (low, high) == limits
        assert low < -3 < 4 < high or low < -3 < high


def test_what_descend_returns_is_drawn_with_its_status(ax):
    points = way((-3, 4), 0.1, 3)
    made = SimpleNamespace(points=points, losses=np.array([bowl(x) for x in points]), status="stalled")
    drawn = mb.draw.path(made, ax=ax)
    assert entries(drawn) == ["from (-3, 4): 3 steps\nstalled"]
    assert drawn.artists["contours"] is None
    listed = SimpleNamespace(points=list(points), losses=made.losses, status="converged")
    both = mb.draw.path([made, listed], bowl, labels=["first", "second"], ax=Figure().subplots())
    assert entries(both) == ["first: 3 steps\nstalled", "second: 3 steps\nconverged"]


def test_an_ascent_is_shown_up_to_its_top(ax):
    points = np.array([[3.0, 3.0], [1.0, 1.0], [0.0, 0.0]])
    climbed = SimpleNamespace(points=points, losses=-(points**2).sum(axis=1), status="converged", maximize=True)
    drawn = mb.draw.path(climbed, lambda x: -bowl(x), ax=ax)
    for low, high in drawn.numbers["region"]:
        assert low < 0 < 3 < high < 6
    assert ax.get_title() == "Ascent: f(x)"


@pytest.mark.parametrize("rate", [0.51, 0.9, 10.0])
def test_a_path_that_runs_away_leaves_the_picture(ax, rate):
    drawn = mb.draw.path(way((-3, 4), rate, 200), bowl, ax=ax)
    assert entries(drawn) == ["from (-3, 4): 200 steps\nleaves the picture"]
    for (low, high), start in zip(drawn.numbers["region"], (-3, 4), strict=True):
        assert low < start < high
        assert high - low < 40
    ax.figure.draw_without_rendering()


def test_points_that_are_not_finite_are_gaps(ax):
    points = np.array([[1.0, 1.0], [0.5, 0.5], [np.inf, 2.0], [np.nan, np.nan]])
    drawn = mb.draw.path(points, bowl, ax=ax)
    assert entries(drawn) == ["from (1, 1): 3 steps\nleaves the picture"]
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize("rate", [0.1, 0.45, 0.49])
def test_a_path_that_swings_stays_in_the_picture(ax, rate):
    drawn = mb.draw.path(way((-3, 4), rate, 300), bowl, ax=ax)
    for (low, high), values in zip(drawn.numbers["region"], drawn.numbers["points"][0].T, strict=True):
        assert low < values.min() <= values.max() < high
    assert entries(drawn) == ["from (-3, 4): 300 steps"]


def test_the_first_steps_of_a_long_path_are_all_marked(ax):
    line = mb.draw.path(way((-3, 4), 0.01, 5000), bowl, ax=ax).artists["paths"][0]
    assert line.get_markevery()[:60] == list(range(60))
    assert 100 < len(line.get_markevery()) < 130


def test_a_region_that_is_given_is_shown(ax):
    drawn = mb.draw.path(way((-3, 4), 0.1, 5), bowl, (-5, 5), ax=ax)
    assert drawn.numbers["region"] == ((-5, 5), (-5, 5))
    assert (ax.get_xlim(), ax.get_ylim()) == ((-5, 5), (-5, 5))


@pytest.mark.parametrize("points", [[[1.0, 2.0]], [[0.0, 0.0]], [[1.0, 2.0]] * 5])
def test_a_path_that_stays_is_drawn(ax, points):
    drawn = mb.draw.path(points, bowl, ax=ax)
    for low, high in drawn.numbers["region"]:
        assert high > low
    ax.figure.draw_without_rendering()


def test_one_number_goes_along_the_graph(ax):
    points = 3 * 0.8 ** np.arange(20)
    drawn = mb.draw.path(points, lambda x: x * x, ax=ax)
    np.testing.assert_array_equal(drawn.artists["paths"][0].get_xydata(), np.stack([points, points * points], axis=1))
    x, y = drawn.artists["graph"].get_data()
    np.testing.assert_array_equal(y, x * x)
    column = mb.draw.path(points[:, np.newaxis], lambda x: x * x, ax=Figure().subplots())
    np.testing.assert_array_equal(column.artists["paths"][0].get_xydata(), drawn.artists["paths"][0].get_xydata())


def test_one_number_that_runs_away_keeps_the_graph(ax):
    mb.draw.path((-1.5) ** np.arange(60), lambda x: x**2, ax=ax)
    assert ax.get_ylim()[1] < 100
    ax.figure.draw_without_rendering()


def test_one_number_with_losses_needs_no_f(ax):
    made = SimpleNamespace(points=np.array([2.0, 1.0]), losses=np.array([4.0, 1.0]))
    drawn = mb.draw.path(made, ax=ax)
    np.testing.assert_array_equal(drawn.artists["paths"][0].get_xydata(), [[2, 4], [1, 1]])


def test_rates_side_by_side_share_what_they_show():
    rates = {f"rate {rate}": way((-3, 4), rate, 30) for rate in (0.01, 0.1, 0.45)}
    row = Figure(layout="constrained").subplots(1, 3)
    drawn = mb.draw.paths(rates, bowl, ax=row)
    assert [picture.axes for picture in drawn] == list(row)
    assert [ax.get_title() for ax in row] == list(rates)
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in row}) == 1
    for picture, points in zip(drawn, rates.values(), strict=True):
        np.testing.assert_array_equal(picture.artists["paths"][0].get_xydata(), points)


def test_rates_side_by_side_in_a_new_figure(no_figure_left):
    no_figure_left.switch_backend("agg")
    drawn = mb.draw.paths([way((-3, 4), 0.1, 9), [way((3, 4), 0.2, 9), way((1, 1), 0.2, 9)]], bowl, points=9)
    figure = drawn[0].axes.figure
    assert [ax.get_title() for ax in figure.axes] == ["1", "2"]
    assert len(drawn[1].artists["paths"]) == 2
    figure.canvas.draw()
    no_figure_left.close(figure)


@pytest.mark.parametrize(
    ("descents", "f", "options", "message"),
    [
        (np.zeros((4, 3)), None, {}, r"shape \(4, 3\); .*choose two, such as path.points\[:, \[0, 1\]\]"),
        (np.zeros(4), None, {}, "f is not given; expected f, for the graph"),
        ([[np.nan, 1.0]], bowl, {}, r"a path starts at \[nan"),
        ([], bowl, {}, "expected"),
        ({}, bowl, {}, "descents is empty"),
        ("path", bowl, {}, "a path is a str; expected what mb.descend returned"),
        ([np.zeros((2, 2)), np.zeros((3, 1))], bowl, {}, "one number and some two"),
        (way((1, 1), 0.1, 3), bowl, {"labels": ["a", "b"]}, "labels has 2 entries; expected 1"),
        (way((1, 1), 0.1, 3), "bowl", {}, "f is 'bowl'; expected a function"),
        (way((1, 1), 0.1, 3), lambda x: x[3], {}, "index 3|IndexError"),
        (way((1, 1), 0.1, 3), bowl, {"region": 3}, "region is 3"),
    ],
)
def test_bad_input(ax, descents, f, options, message):
    with pytest.raises((InputError, IndexError), match=message):
        mb.draw.path(descents, f, **options, ax=ax)


@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        ([], {}, "groups is a list; expected a list or dict"),
        (3, {}, "groups is a int"),
        ([way((1, 1), 0.1, 3)] * 2, {"ax": [None]}, "ax has 1 entries; expected 2"),
        ([way((1, 1), 0.1, 3)] * 2, {"ax": ["a", "b"]}, "ax is a str; expected one Axes"),
    ],
)
def test_bad_panels(groups, options, message):
    with pytest.raises(InputError, match=message):
        mb.draw.paths(groups, bowl, **options)


def test_the_points_stay_as_they_are(ax):
    points = way((-3, 4), 0.1, 5)
    points.setflags(write=False)
    kept = points.copy()
    mb.draw.path(points, bowl, ax=ax)
    np.testing.assert_array_equal(points, kept)


def test_panels_stand_within_their_figure_at_the_first_drawing(no_figure_left):
    ways = {f"rate {rate}": way((-3, 4), rate, 20) for rate in (0.01, 0.1, 0.4)}
    drawn = mb.draw.paths(ways, bowl, (-5, 5))
    figure = drawn[0].axes.figure
    figure.canvas.draw()
    for picture in drawn:
        box = picture.axes.get_tightbbox()
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.height
    no_figure_left.close(figure)
