"""`mibun.scipy`: what SciPy's solvers call for, at their own hands."""

import math
import pickle
import sys
from functools import partial

import numpy as np
import pytest
from scipy.optimize import Bounds, NonlinearConstraint, least_squares, minimize, newton, root, rosen, rosen_der
from scipy.sparse import issparse
from scipy.sparse.linalg import svds

import mibun as mb
from mibun.errors import InputError, MissingDependency

START = np.array([-1.2, 1.0, 0.7])


def residuals(x, scale=10.0):
    return np.array([scale * (x[1] - x[0] ** 2), 1 - x[0]])


def waves(x):
    """Changes on a scale that the size of x does not tell."""
    return np.sum((x - 7) ** 2) + 1e-3 * np.sum(np.sin(300 * x))


@pytest.mark.parametrize("method", ["CG", "BFGS", "L-BFGS-B", "SLSQP", "trust-constr"])
def test_minimizers_take_it(method):
    slopes = mb.scipy.jac(rosen)
    found = minimize(rosen, START, jac=slopes, method=method, tol=1e-10)
    assert abs(found.x - 1.0).max() < 1e-5
    point = np.array([0.3, -0.4, 2.0])
    assert (abs(slopes(point) - rosen_der(point)) <= slopes.last.error).all()


@pytest.mark.parametrize("method", ["Newton-CG", "trust-ncg", "trust-krylov", "trust-exact", "trust-constr"])
def test_minimizers_take_hessians(method):
    curvature = mb.scipy.hess(rosen)
    found = minimize(rosen, START, jac=mb.scipy.jac(rosen), hess=curvature, method=method)
    assert abs(found.x - 1.0).max() < 1e-4
    assert (curvature(START) == curvature(START).T).all()


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_least_squares_takes_it_with_arguments(method):
    slopes = mb.scipy.jac(residuals)
    found = least_squares(residuals, START[:2], jac=slopes, method=method, kwargs={"scale": 100.0})
    assert abs(found.x - 1.0).max() < 1e-8
    assert (abs(slopes(START[:2], 100.0) - [[240.0, 100.0], [-1.0, 0.0]]) <= slopes.last.error).all()


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root_takes_it_with_arguments(method):
    found = root(residuals, START[:2], args=(3.0,), jac=mb.scipy.jac(residuals), method=method)
    assert found.success
    assert abs(found.x - 1.0).max() < 1e-8
    both = root(mb.scipy.value_and_jac(residuals), START[:2], args=(3.0,), jac=True, method=method)
    assert (both.x == found.x).all()


def test_one_equation_one_unknown_and_one_number_in_an_array():
    def square(x):
        return x**2 - 2.0

    slope = mb.scipy.jac(square)
    assert abs(root(square, [3.0], jac=slope).x - math.sqrt(2)).item() < 1e-12
    assert abs(least_squares(square, [3.0], jac=slope).x - math.sqrt(2)).item() < 1e-12
    assert abs(newton(square, 3.0, fprime=slope) - math.sqrt(2)) < 1e-12
    for method in ("BFGS", "SLSQP", "trust-constr"):
        assert abs(minimize(lambda x: x**2, [3.0], jac=mb.scipy.jac(lambda x: x**2), method=method).x).item() < 1e-5
    assert mb.scipy.jac(lambda x: np.array([x @ x]))([1.0, 2.0]).shape == (2,)


def test_a_value_comes_along_and_saves_an_evaluation():
    calls = []

    def f(x, power):
        calls.append(x)
        return np.sum((x - 1) ** power)

    both = mb.scipy.value_and_jac(f)
    value, slopes = both(np.array([3.0, 2.0]), 4)
    assert value == 17.0
    assert (abs(slopes - [32.0, 4.0]) <= both.last.error).all()
    assert len(calls) == both.evaluations == both.last.evaluations
    found = minimize(both, [3.0, 2.0], args=(2,), jac=True, method="BFGS")
    assert abs(found.x - 1.0).max() < 1e-8
    assert len(calls) == both.evaluations


def test_every_call_begins_at_the_scale_that_the_last_one_found():
    x = 7 + np.linspace(0.1, 0.9, 12)
    slopes = mb.scipy.jac(waves)
    cold = mb.gradient(waves, x).evaluations
    slopes(x)
    assert slopes.last.evaluations == cold
    for shift in (0.01, 0.02):
        point = x + shift
        found = slopes(point)
        assert slopes.last.evaluations < 0.75 * cold
        assert (abs(found - (2 * (point - 7) + 0.3 * np.cos(300 * point))) <= slopes.last.error).all()
    assert len(slopes(x[:5])) == 5  # another number of entries: a new beginning


def test_with_a_tolerance_two_pairs_an_entry_are_enough():
    slopes = mb.scipy.jac(rosen, rtol=1e-6)
    rng = np.random.default_rng(5)
    x, costs = np.array([-1.2, 1.0, 0.7, 2.1, -0.3, 1.4]), []
    for _ in range(12):
        slopes(x)
        error = np.abs(slopes.last.value - rosen_der(x))
        assert (error <= slopes.last.error).all()
        assert (slopes.last.error <= 1e-6 * np.abs(slopes.last.value)).all()
        costs.append(slopes.last.evaluations)
        x = x + 0.1 * rng.normal(size=6)
    assert costs[0] == mb.gradient(rosen, [-1.2, 1.0, 0.7, 2.1, -0.3, 1.4], rtol=1e-6).evaluations
    assert np.median(costs[2:]) <= 4 * 6 + 1 + 6  # one entry in two may have its parabola confirmed by one more pair
    assert np.median(costs[2:]) < 0.6 * costs[0]


def test_two_pairs_are_not_tried_where_rounding_or_noise_forbids_it():
    for f in (lambda x: 1e6 + np.sum(np.sin(x)), lambda x: np.sum(np.sin(x)) + 1e-7 * np.sin(1e13 * x[0])):
        slopes, x = mb.scipy.jac(f, rtol=1e-8), np.array([0.9, 1.1])
        for _ in range(4):
            found = slopes(x)
            assert (np.abs(found - np.cos(x)) <= slopes.last.error).all()
        assert slopes.last.evaluations >= mb.gradient(f, x, rtol=1e-8).evaluations


def test_values_on_a_grid_are_not_taken_for_a_parabola():
    """At a small step the values of a table can look like a parabola by chance."""
    slopes = mb.scipy.jac(lambda x: np.sum(np.round(np.exp(x), 7)), rtol=1e-3)
    for shift in range(40):
        x = np.array([0.3 + 0.01 * shift, 0.5 - 0.003 * shift])
        found = slopes(x)
        assert (np.abs(found - np.exp(x)) <= slopes.last.error).all()


def test_a_scale_that_x_suggests_is_left_to_x():
    slopes = mb.scipy.jac(lambda x: np.sum(np.sqrt(x)))
    for size in (1.0, 1e6, 1e-6):
        found = slopes(np.full(3, size))
        assert (abs(found - 0.5 / math.sqrt(size)) <= slopes.last.error).all()
        assert slopes.last.evaluations == mb.gradient(lambda x: np.sum(np.sqrt(x)), np.full(3, size)).evaluations


def test_a_jacobian_begins_each_column_at_the_scale_of_most_rows():
    def f(x):
        return np.array([np.sin(300 * x[0]) * x[1], np.cos(300 * x[0]), np.sin(300 * x[0] + 1), x[1]])

    slopes = mb.scipy.jac(f)
    slopes([7.0, 1.0])
    cold = slopes.last.evaluations
    found = slopes([7.01, 1.0])
    assert slopes.last.evaluations < 0.8 * cold
    assert abs(found[1, 0] + 300 * math.sin(300 * 7.01)) <= slopes.last.error[1, 0] < 1e-7


def test_a_hessian_begins_at_the_scale_of_the_last_one():
    x = 7 + np.linspace(0.1, 0.5, 4)
    curvature = mb.scipy.hess(waves)
    curvature(x)
    cold = curvature.last.evaluations
    found = curvature(x + 0.01)
    assert curvature.last.evaluations < 0.9 * cold
    truth = np.diag(2 - 90 * np.sin(300 * (x + 0.01)))
    assert (abs(found - truth) <= curvature.last.error).all()


def test_a_hessian_from_a_gradient_with_arguments():
    curvature = mb.scipy.hess(None, gradient=lambda x, a: 4 * a * x**3)
    for a in (1.0, 2.0):
        found = curvature(np.array([1.0, 2.0]), a)
        assert (abs(found - np.diag([12 * a, 48 * a])) <= curvature.last.error).all()


def test_what_scipy_hands_over_stays_as_it_is():
    def rude(x):
        value = float(x @ x)
        x[:] = np.nan
        return value

    x = np.array([1.0, 2.0])
    first = mb.scipy.jac(rude)
    result = first(x)
    result[:] = 0.0  # and what it got is its own
    assert x.tolist() == [1.0, 2.0]
    assert abs(first.last.value - [2.0, 4.0]).max() < 1e-12


@pytest.mark.parametrize(
    "bounds",
    [Bounds([0.5, -np.inf, 0.5], [2.0, 2.0, np.inf]), ([0.5, None, 0.5], [2.0, 2.0, None])],
    ids=["Bounds", "lower and upper"],
)
@pytest.mark.parametrize("method", ["L-BFGS-B", "SLSQP", "TNC"])
def test_no_evaluation_leaves_the_bounds(bounds, method):
    lower, upper = np.array([0.5, -np.inf, 0.5]), np.array([2.0, 2.0, np.inf])

    def f(x):
        assert (x >= lower).all()
        assert (x <= upper).all()
        return np.sum((x - [0.0, 3.0, 1.0]) ** 2)

    slopes = mb.scipy.jac(f, bounds=bounds)
    found = minimize(f, [1.0, 1.0, 1.0], jac=slopes, method=method, bounds=Bounds(lower, upper))
    assert abs(found.x - [0.5, 2.0, 1.0]).max() < 1e-6
    assert (abs(slopes(found.x) - 2 * (found.x - [0.0, 3.0, 1.0])) <= slopes.last.error).all()


def test_pairs_are_bounds_and_a_solver_that_leaves_them_is_led_back():
    pairs = [(0.5, 2.0), (None, 2.0), (0.5, None)]
    seen = []

    def f(x):
        seen.append(x.copy())
        return np.sum(x**2)

    slopes = mb.scipy.jac(f, bounds=pairs)
    assert abs(slopes(np.array([0.4, 1.0, 1.0])) - [0.8, 2.0, 2.0]).max() < 1e-10
    assert min(x[0] for x in seen) == 0.4
    with pytest.raises(InputError, match="a pair for each entry"):
        mb.scipy.jac(f, bounds=[[0.5, 2.0], [0.5, 2.0]])(np.ones(2))


def test_constraints_take_it():
    circle = NonlinearConstraint(lambda x: x @ x, 1.0, 1.0, jac=mb.scipy.jac(lambda x: x @ x))
    found = minimize(lambda x: x.sum(), [0.5, 0.4], jac=mb.scipy.jac(np.sum), constraints=circle, method="SLSQP")
    assert abs(found.x + math.sqrt(0.5)).max() < 1e-6


def broyden(x):
    y = (3 - 2 * x) * x + 1
    y[1:] -= x[:-1]
    y[:-1] -= 2 * x[1:]
    return y


def test_a_sparse_jacobian_keeps_its_pattern_for_the_next_call():
    slopes = mb.scipy.jac(broyden, sparsity="detect")
    found = least_squares(broyden, -np.ones(60), jac=slopes, tr_solver="lsmr")
    assert found.success
    assert np.abs(broyden(found.x)).max() < 1e-8
    first = mb.jacobian(broyden, -np.ones(60), sparsity="detect")
    pattern = slopes.pattern
    assert issparse(slopes(-np.ones(60)))
    assert slopes.pattern is pattern
    assert slopes.last.evaluations < 0.7 * first.evaluations
    assert abs(slopes.last.value - first.value).max() <= (slopes.last.error + first.error).max()


def test_a_linear_operator_is_the_jacobian_without_its_entries():
    x = np.linspace(-1.0, 1.0, 12).reshape(3, 4)

    def f(x):
        return np.stack([np.sin(x), x**2])[:, :2]

    operator = mb.scipy.linear_operator(f, x)
    assert operator.shape == (16, 12)
    dense = mb.jacobian(f, x).value.reshape(16, 12)
    rng = np.random.default_rng(3)
    v, w = rng.normal(size=12), rng.normal(size=16)
    assert abs(operator @ v - dense @ v).max() < 1e-11
    assert abs(operator.T @ w - dense.T @ w).max() < 1e-11
    assert abs(operator @ (v + 2j * v) - dense @ (v + 2j * v)).max() < 1e-11
    assert abs(operator.H @ (w + 2j * w) - dense.T @ (w + 2j * w)).max() < 1e-11
    assert (operator @ np.zeros(12) == 0).all()
    largest = svds(operator, 1, return_singular_vectors=False, random_state=0)
    assert largest == pytest.approx(np.linalg.norm(dense, 2), rel=1e-8)


def test_a_linear_operator_stays_where_it_was_made():
    x = np.array([1.0, 2.0])
    operator = mb.scipy.linear_operator(lambda x: x**2, x)
    x[:] = 100.0
    assert abs(operator @ [1.0, 1.0] - [2.0, 4.0]).max() < 1e-11


def test_a_jacobian_as_an_operator_for_least_squares():
    found = least_squares(broyden, -np.ones(6), jac=partial(mb.scipy.linear_operator, broyden), tr_solver="lsmr")
    assert np.abs(broyden(found.x)).max() < 1e-8


def test_what_solvers_have_no_place_for_stays_in_last():
    slopes = mb.scipy.jac(lambda x: abs(x[0]) + x[1])
    assert slopes.last is None
    assert abs(slopes([0.0, 1.0]) - [0.0, 1.0]).max() < 1e-12
    assert slopes.last.status.tolist()[0] is mb.Status.KINK
    assert repr(slopes).startswith("mibun.scipy.jac(<lambda>): ")
    assert f"{slopes.last.evaluations:,} evaluations so far" in repr(slopes)


def test_options_are_handed_on_and_unknown_ones_are_told_at_once():
    slopes = mb.scipy.jac(rosen, method="central")
    slopes(START)
    assert slopes.last.evaluations == 13
    with pytest.raises(TypeError, match="rtool"):
        mb.scipy.jac(rosen, rtool=1e-3)
    with pytest.raises(TypeError, match="rtool"):
        mb.scipy.linear_operator(broyden, START, rtool=1e-3)
    with pytest.raises(InputError, match="method is 'centrel'"):
        mb.scipy.jac(rosen, method="centrel")
    ours = mb.scipy.jac(waves, method=mb.Adaptive(start=2.0**-11))
    ours(np.array([7.3]))
    assert ours.last.evaluations < mb.gradient(waves, [7.3]).evaluations


def test_a_function_of_numpy_can_be_recorded():
    def f(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    slopes = mb.scipy.jac(f, method="chain")
    found = minimize(f, START, jac=slopes, tol=1e-10)
    assert abs(found.x - 1.0).max() < 1e-8
    assert slopes.evaluations <= 6 * found.njev
    assert abs(mb.scipy.hess(f, method="chain")(np.ones(3))[0, 0] - 802.0) < 1e-9


def test_an_evaluator_and_its_store_serve_all_calls(tmp_path):
    found = []
    for stored in (False, True):
        with mb.Evaluator(store=tmp_path / "points.db", name="residuals") as evaluator:
            slopes = mb.scipy.jac(residuals, evaluator=evaluator)
            found.append([slopes(START[:2] + shift, 3.0).tolist() for shift in (0.0, 0.1)])
            assert evaluator.counts.stored == (slopes.evaluations if stored else 0)
    assert found[0] == found[1]


def test_it_can_be_sent_to_another_process():
    slopes = mb.scipy.jac(rosen)
    slopes(START)
    again = pickle.loads(pickle.dumps(slopes))
    assert (again(START) == slopes(START)).all()


def test_without_scipy_only_the_operator_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse.linalg", None)
    with pytest.raises(MissingDependency, match=r"pip install 'mibun\[scipy\]'"):
        mb.scipy.linear_operator(broyden, START)
    assert mb.scipy.jac(rosen)(START).shape == (3,)
