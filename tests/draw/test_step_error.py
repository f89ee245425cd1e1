"""The V curve: its errors are those of the differences, its theory fits them, and mibun is below both."""

import math

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError

pytest.importorskip("matplotlib")


def entries(drawn):
    return [text.get_text() for text in drawn.artists["legend"].get_texts()]


def test_the_lines_are_the_errors_of_the_textbook_differences(ax):
    drawn = mb.draw.step_error(math.sin, 1.0, truth=math.cos, ax=ax)
    steps = drawn.numbers["steps"]
    forward = [abs((math.sin(1 + h) - math.sin(1)) / h - math.cos(1)) for h in steps.tolist()]
    central = [abs((math.sin(1 + h) - math.sin(1 - h)) / (2 * h) - math.cos(1)) for h in steps.tolist()]
    for name, errors in (("forward", forward), ("central", central)):
        h, error = drawn.artists[name].get_data()
        np.testing.assert_array_equal(h, steps)
        np.testing.assert_array_equal(drawn.numbers[name], errors)
        np.testing.assert_array_equal(error, np.maximum(errors, ax.get_ylim()[0]))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    # The V: best near 1e-8 and near 6e-6.
    assert 1e-9 < steps[np.argmin(forward)] < 1e-7
    assert 1e-7 < steps[np.argmin(central)] < 1e-4


def test_theory_fits_what_is_measured(ax):
    drawn = mb.draw.step_error(math.sin, 1.0, truth=math.cos, ax=ax)
    steps = drawn.numbers["steps"]
    for number, (name, right) in enumerate((("forward", 1e-5), ("central", 1e-3))):
        truncation = drawn.artists["truncation"][number].get_ydata()
        at = np.searchsorted(steps, right)
        assert truncation[at] == pytest.approx(drawn.numbers[name][at], rel=0.01)
        rounding = drawn.artists["rounding"][number].get_ydata()
        left = (steps > 1e-14) & (steps < 1e-10)
        error = drawn.numbers[name][left]
        assert (error <= 1.01 * rounding[left]).all()
        assert np.median(rounding[left] / error) < 10


def test_a_quadratic_has_no_truncation_of_the_central_difference(ax):
    drawn = mb.draw.step_error(mb.book.function_1, 5.0, ax=ax)
    (truncation,) = drawn.artists["truncation"]
    steps = drawn.numbers["steps"]
    np.testing.assert_allclose(truncation.get_ydata()[steps > 1e-6], 0.01 * steps[steps > 1e-6], rtol=1e-6)


def test_mibun_is_marked_with_step_and_bound(ax):
    drawn = mb.draw.step_error(math.exp, 1.0, truth=math.e, ax=ax)
    found, mark = drawn.numbers["derivative"], drawn.artists["mibun"]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (found.step, found.error)
    assert abs(found.value - math.e) <= found.error < np.nanmin(drawn.numbers["central"])
    assert f"mibun: error at most {found.error:.2g}" in entries(drawn)


def test_the_steps_of_the_notes_are_marked(ax):
    drawn = mb.draw.step_error(mb.book.function_1, 5.0, truth=0.2, ax=ax)
    usual, tiny = drawn.artists["marks"]
    assert usual.get_xdata()[0] == 1e-4
    assert usual.get_ydata()[0] == pytest.approx(abs(mb.book.numerical_diff(mb.book.function_1, 5.0) - 0.2))
    # 1e-50 lies far to the left: it stands on the edge, where the whole slope is the error.
    assert tiny.get_xdata()[0] == ax.get_xlim()[0]
    assert tiny.get_ydata()[0] == 0.2
    assert tiny.get_marker() == "<"
    assert entries(drawn)[-2:] == ["h = 0.0001: error 9.1e-13", "h = 1e-50 (left of here): error 0.2,\nx + h is x"]


def test_at_zero_no_step_is_lost(ax):
    drawn = mb.draw.step_error(math.sin, 0.0, truth=1.0, marks=[1e-50], ax=ax)
    assert entries(drawn)[-1] == "h = 1e-50 (left of here): error 0"


def test_what_is_below_the_bound_is_shaded_unless_the_truth_is_given(ax):
    drawn = mb.draw.step_error(math.sin, 1.0, ax=ax)
    box = drawn.artists["unknown"].get_extents().transformed(ax.transData.inverted())
    assert (box.y0, box.y1) == pytest.approx((ax.get_ylim()[0], drawn.numbers["derivative"].error))
    assert mb.draw.step_error(math.sin, 1.0, truth=math.cos, ax=ax).artists["unknown"] is None


def test_marks_to_the_right_and_at_the_end_of_the_domain(ax):
    drawn = mb.draw.step_error(math.log, 1e-3, marks=[1.0], ax=ax)
    assert drawn.numbers["steps"][-1] == 1.0
    assert np.isnan(drawn.numbers["central"][-1])  # log(1e-3 - 1)
    assert np.isfinite(drawn.numbers["forward"][-1])
    ax.figure.draw_without_rendering()


def test_a_constant_has_no_error_and_is_drawn(ax):
    drawn = mb.draw.step_error(lambda x: 3.0, 1.0, ax=ax)
    assert not drawn.numbers["central"].any()
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("f", "at", "options", "message"),
    [
        (abs, 0.0, {}, "no slope at 0.0 to compare with: kink"),
        (math.log, -1.0, {}, "expected a point of its domain"),
        (math.sin, 1.0, {"truth": "cos"}, "expected the slope of f there"),
        (math.sin, 1.0, {"truth": math.nan}, "expected the slope of f there"),
        (math.sin, 1.0, {"marks": [0.0]}, "expected steps above 0"),
        (math.sin, 1.0, {"marks": 3}, "expected steps above 0"),
        (math.sin, [1.0, 2.0], {}, "expected one number"),
    ],
)
def test_bad_input(ax, f, at, options, message):
    with pytest.raises(InputError, match=message):
        mb.draw.step_error(f, at, **options, ax=ax)
