"""Every descent of the table stops for the right reason, with the number behind it and what to do."""

import math

import numpy as np
import pytest
from courses import CLASSIC, random_cases

import mibun as mb
from mibun.descent.diagnosis import largest_rate

S = mb.PathStatus
Rate = mb.GradientDescent
SLOW = {"Rosenbrock", "Beale", "Beale, Armijo", "Booth, Adam"}  # for the benchmark


def bowl(x):
    return x[0] ** 2 + x[1] ** 2


@pytest.mark.parametrize("case", [case for case in CLASSIC if case.name not in SLOW], ids=lambda case: case.name)
def test_the_status_is_right(case):
    path = case.run()
    assert path.status is case.status, path
    assert path.success == (path.status in (S.CONVERGED, S.BOUNDS))


@pytest.mark.parametrize("case", list(random_cases(20260801, 28)), ids=lambda case: case.name)
def test_random_ones_whose_end_theory_knows(case):
    path = case.run()
    assert path.status is case.status, path


def test_every_status_occurs_in_the_table():
    assert {case.status for case in CLASSIC} == set(S)


def test_scipy_calls_a_saddle_and_a_step_function_success_and_this_does_not():
    optimize = pytest.importorskip("scipy.optimize")
    stairs = [lambda x: float(np.floor(x).sum()), [1.5, 2.5]]
    for f, start, status in ((lambda x: x[0] ** 2 - x[1] ** 2, [1.0, 0.0], S.SADDLE), (*stairs, S.PLATEAU)):
        assert optimize.minimize(f, start).success
        path = mb.descend(f, start, steps=300)
        assert path.status is status
        assert not path.success


# The numbers behind


def test_divergence_names_the_growth_the_curvature_and_the_largest_rate():
    path = mb.descend(bowl, [-3, 4], rule=Rate(10.0))
    assert path.message == (
        "f grew 361.0x a step, to 1.22e+32; curvature along the path is 2.0, so the learning rate must be below 1.0"
    )
    assert path.nit == 12


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("nesterov", [None, False, True])
def test_the_largest_rate_that_is_named_is_the_edge_between_converging_and_diverging(seed, nesterov):
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    matrix = (turn * (10 ** rng.uniform(-1, 1, 4))) @ turn.T
    share = rng.uniform(0.2, 0.8)

    def rule(rate):
        return Rate(rate) if nesterov is None else mb.Momentum(rate, momentum=share, nesterov=nesterov)

    def run(rate):
        f, start = lambda x: float(x @ matrix @ x) / 2 + 1, rng.normal(0, 1, 4)
        return mb.descend(f, start, rule=rule(rate), steps=300, gradient=lambda x: matrix @ x)

    top = float(np.linalg.eigvalsh(matrix)[-1])
    exact = largest_rate(rule(1.0), top)
    path = run(3 * exact)
    assert path.status is S.DIVERGED
    named = float(path.message.rpartition(" ")[2])
    assert named == pytest.approx(exact, rel=0.06)  # curvature along the path is not yet the largest
    assert run(1.05 * exact).status is S.DIVERGED
    below = run(0.9 * exact)
    assert below.losses[-1] < below.losses[0]


def test_a_runaway_that_is_no_quadratic_names_the_rate_at_its_start():
    path = mb.descend(lambda x: x**4, 2.0, rule=Rate(1.0))
    assert path.status is S.DIVERGED
    assert path.message.endswith("At the start it is at most 48.0, so there the learning rate must be below 0.0417")
    assert mb.descend(lambda x: x**4, 2.0, rule=Rate(0.0416)).losses[-1] < 1e-2


def test_a_stalled_descent_names_a_rate_that_is_stable_and_better():
    path = mb.descend(bowl, [-3, 4], rule=Rate(1e-10))
    assert path.status is S.STALLED
    np.testing.assert_allclose(path.x, [-2.99999994, 3.99999992], rtol=0, atol=1e-8)
    assert "a step is expected to lower f by 1e-08" in path.message
    assert path.message.endswith("a learning rate up to 1.0 is stable: take 0.5 instead of 1e-10")
    assert mb.descend(bowl, [-3, 4], rule=Rate(0.5)).success


def test_a_step_below_the_spacing_of_floats_ends_at_once():
    path = mb.descend(bowl, [-3, 4], rule=Rate(1e-20))
    assert (path.status, path.nit) == (S.STALLED, 1)
    assert "the learning rate 1e-20 times the slope 8.0 is below the spacing of floats at 4.0, 8.88e-16" in path.message


def test_a_fixed_step_dies_where_x_is_large_and_the_default_does_not():
    path = mb.descend(bowl, [-3, 4], rule=Rate(10.0), method=mb.Central(step=1e-4))
    assert path.status is S.DEAD_GRADIENT
    assert "x + h == x for the step h = 0.0001" in path.message
    assert 1e12 < np.abs(path.x).max() < 1e13
    assert mb.descend(bowl, [-3, 4], rule=Rate(10.0)).status is S.DIVERGED


def test_a_saddle_shows_the_direction_in_which_f_curves_down():
    path = mb.descend(lambda p: (p["a"] - 1) ** 2 - 3 * (p["b"] - 2) ** 2, {"a": 1.0, "b": 2.0})
    assert path.status is S.SADDLE
    assert "f curves down, by -6.0 ± " in path.message
    assert "along 1.0 of x.b" in path.message.replace("-1.0", "1.0")


def test_bounds_name_what_they_hold():
    path = mb.descend(bowl, [3.0, 4.0], bounds=([1.0, None], None), steps=300)
    assert path.status is S.BOUNDS
    assert path.success
    assert path.message.startswith("f falls further only beyond the bounds of x[0] = 1.0 (slope 2.0); elsewhere ")
    np.testing.assert_allclose(path.x, [1.0, 0.0], atol=1e-14)


def test_a_kink_is_told_from_a_bowl_when_steps_turn_back():
    path = mb.descend(lambda x: float(np.abs(x).sum()), [-3.0, 4.0], rule=Rate(0.07))
    assert "they jump across a kink" in path.message
    path = mb.descend(lambda x: 7 * x**2, 1.0, rule=Rate(0.142))
    assert path.status is S.OSCILLATING
    assert path.message.endswith(
        "curvature along the path is 14.0, so the descent diverges at learning rates from 0.143 on, and 0.142 is "
        "close: take 0.0714"
    )
    assert mb.descend(lambda x: 7 * x**2, 1.0, rule=Rate(0.0714)).success


def test_heavy_momentum_names_one_that_does_not_swing():
    path = mb.descend(bowl, [-3.0, 4.0], rule=mb.Momentum(0.1, momentum=0.99))
    assert path.status is S.OSCILLATING
    assert "where a momentum above 0.306 swings at this learning rate" in path.message
    losses = mb.descend(bowl, [-3.0, 4.0], rule=mb.Momentum(0.1, momentum=0.3)).losses
    assert (np.diff(losses) <= 0).all()


def test_where_f_ends_is_said():
    path = mb.descend(lambda x: math.log(x) ** 2 + x, 1.0, rule=Rate(5.0))
    assert path.status is S.NOT_FINITE
    assert path.message.startswith("f raised ValueError: math domain error (f raised this at x = -3.99999")
    assert ", where step 1 led" in path.message
    assert (path.x, path.nit) == (1.0, 0)
    path = mb.descend(lambda x: np.where(x > 0.5, x**2, np.nan), 1.0)
    assert path.status is S.NOT_FINITE
    assert path.x > 0.5
    path = mb.descend(lambda x: float("nan"), 1.0)
    assert (path.status, path.nit, path.message[:8]) == (S.NOT_FINITE, 0, "f is nan")


def test_a_fall_over_an_edge_is_no_runaway():
    """The slope of a root grows towards its end, and so do the falls; but f does not run away there."""
    for f in (lambda x: 3 * math.sqrt(x[0]), lambda x: math.log(x[0])):
        path = mb.descend(f, [1.0, 4.0])
        assert path.status is S.NOT_FINITE
        assert f"where step {path.nit + 1} led; x is the last point before" in path.message
    path = mb.descend(lambda x: -math.exp(x), 2.0)
    assert path.status is S.DIVERGED
    assert "it has no minimum this way; give bounds=; then f raised OverflowError" in path.message


def test_a_slope_that_is_not_there_is_named():
    path = mb.descend(lambda x: x[0] ** 2 + (x[1] >= 2.0), [1.0, 2.0])
    assert path.status is S.NOT_FINITE
    assert path.message.startswith("f has no slope along x[1]: jump, f jumps at x, at x = [1. 2.]")


def test_an_f_that_falls_without_end_is_not_called_converged():
    path = mb.descend(lambda x: -(x**2), 1.0)
    assert path.status is S.DIVERGED
    assert path.message.startswith("f falls 1.44x as fast with every step")
    assert mb.descend(lambda x: x, 1.0).status is S.BUDGET_SPENT


def test_an_f_that_ignores_its_argument_is_asked_whether_it_does():
    path = mb.descend(lambda x: 3.0, [1.0, 2.0])
    assert path.status is S.PLATEAU
    assert path.message.endswith("does f use its argument?")


def test_a_gradient_of_another_function_is_found_out():
    for line_search in (None, "armijo"):
        path = mb.descend(bowl, [-3.0, 4.0], gradient=lambda x: -2 * x, line_search=line_search)
        assert not path.success
        assert path.message.startswith(
            "the gradient that was given is not that of f: along itself it has the slope 10.0, and f has -10.0 ± "
        )
    assert "not that of f" not in mb.descend(bowl, [-3.0, 4.0], gradient=lambda x: 2 * x, rule=Rate(1.5)).message


def test_noise_ends_a_descent_near_the_minimum_and_not_before():
    ends, steps = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        path = mb.descend(lambda x: bowl(x - 1) + 1e-3 * rng.standard_normal(), [-3.0, 4.0], steps=300)  # noqa: B023
        assert path.status is S.NOISE_FLOOR, path
        ends.append(float(np.abs(path.x - 1).max()))
        steps.append(path.nit)
    # f is known to 1e-3, so its minimum to about the root of that
    assert np.median(ends) < 0.03
    assert max(ends) < 0.3
    assert max(steps) < 100


def test_noise_that_goes_away_is_looked_at_again():
    rng = np.random.default_rng(3)
    path = mb.descend(lambda x: bowl(x) * (1 + 1e-3 * rng.standard_normal()) + 1e-9, [-3.0, 4.0], steps=200)
    assert np.abs(path.x).max() < 1e-3


def test_a_coordinate_that_is_known_to_stand_still_is_not_moved_by_noise():
    """Adam would make a full step of a gradient of 1e-17: the sign of what is below its error is not known."""
    f = lambda x: (x[0] - 1) ** 2 + math.exp(x[1]) - 2 * x[1]  # noqa: E731
    path = mb.descend(f, [3.0, math.log(2)], rule=mb.Adam(0.1), steps=30)
    assert (path.gradients[:, 1] != 0.0).any()
    assert (path.points[:, 1] == math.log(2)).all()
    assert path.points[-1, 0] < 1.5
