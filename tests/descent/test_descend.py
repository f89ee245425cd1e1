"""descend as a function: what it takes, what it gives, what it never does."""

import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mibun as mb
from mibun.errors import InputError
from mibun.structure import Structure

S = mb.PathStatus
Rate = mb.GradientDescent


def bowl(x):
    return x[0] ** 2 + x[1] ** 2


def test_the_notes_descent():
    path = mb.descend(bowl, [-3.0, 4.0], rule=Rate(0.1), steps=100)
    np.testing.assert_allclose(path.x, [-6.11110793e-10, 8.14814391e-10], rtol=1e-6)
    np.testing.assert_allclose(path.points[:, 0], -3 * 0.8 ** np.arange(101), rtol=1e-9)
    assert path.points.shape == path.gradients.shape == path.errors.shape == (101, 2)
    assert path.losses.shape == (101,)
    assert path.success
    # those of the descent, and few for the look around at its end
    assert path.evaluations < 101 * 2 * 10


def test_every_field_of_a_path_is_what_it_says():
    calls = []

    def f(x):
        calls.append(x)
        return float(np.sum((x - 1) ** 2)) + 1

    path = mb.descend(f, np.zeros(3), steps=40)
    assert path.evaluations == path.nfev == len(calls)
    assert path.nit == 40 == len(path.losses) - 1
    np.testing.assert_array_equal(path.x, path.points[-1])
    assert path.fun == path.losses[-1] == f(path.x)
    np.testing.assert_array_equal(path.jac, path.gradients[-1])
    truth = 2 * (path.points - 1)
    assert (np.abs(path.gradients - truth) <= path.errors).all()
    np.testing.assert_array_equal(path.points[1:], path.points[:-1] - 0.1 * path.gradients[:-1])


def test_x0_is_never_changed_and_f_may_write_to_what_it_gets():
    start = np.array([-3.0, 4.0])

    def vandal(x):
        value = float(x @ x)
        x[:] = math.nan
        return value

    path = mb.descend(vandal, start, steps=300)
    np.testing.assert_array_equal(start, [-3.0, 4.0])
    np.testing.assert_array_equal(path.points, mb.descend(lambda x: float(x @ x), start, steps=300).points)
    whole = [3, 4]
    mb.descend(bowl, whole, steps=2)
    assert whole == [3, 4]
    path.x[:] = 7.0
    assert not (path.points == 7.0).any()


def test_a_callback_cannot_change_the_descent():
    def vandal(progress):
        progress.x[:] = 0.0
        progress.gradient[:] = 0.0
        progress.error[:] = 0.0

    plain = mb.descend(bowl, [-3.0, 4.0], steps=20)
    np.testing.assert_array_equal(mb.descend(bowl, [-3.0, 4.0], steps=20, callback=vandal).points, plain.points)


numbers = st.sampled_from([3.0, -2, np.float32(1.5), np.array([1.0, -2.0]), np.ones((2, 1), np.float32)])
structures = numbers | st.recursive(
    st.dictionaries(st.sampled_from("abc"), numbers, min_size=1, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2) | st.tuples(inner, inner),
    max_leaves=3,
)


@settings(max_examples=25, deadline=None)
@given(structures)
def test_any_structure_goes_in_and_comes_out(x0):
    structure = Structure.of(x0)
    before = pickle.dumps(x0)

    def f(x):
        assert Structure.of(x) == structure
        return float(np.sum((structure.flatten(x, dtype=np.float64) - 0.25) ** 2)) + 0.5

    path = mb.descend(f, x0, rule=Rate(0.4), steps=60)
    assert path.success, path
    assert pickle.dumps(x0) == before
    assert Structure.of(path.x) == structure
    np.testing.assert_allclose(structure.flatten(path.x), 0.25, atol=1e-5)
    for tree in (path.points, path.gradients, path.errors):
        for leaf, rows in zip(structure.leaves, structure.parts(tree), strict=True):
            assert np.shape(rows) == (path.nit + 1, *leaf.shape)
    json.dumps(path.to_dict(), allow_nan=False)
    repr(path)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 4).flatmap(lambda n: st.tuples(*[st.lists(st.floats(-3, 3), min_size=n, max_size=n)] * 3)),
    st.sampled_from(["gradient descent", "momentum", "adam", "adagrad", "rmsprop"]),
    st.sampled_from([None, "armijo"]),
    st.booleans(),
)
def test_bounds_are_never_passed(numbers, rule, line_search, sampled):
    start, one, other = map(np.array, numbers)
    lower, upper = np.minimum(one, other) - 0.1, np.maximum(one, other) + 0.1
    start = np.clip(start, lower, upper)

    def f(x):
        assert (lower <= x).all(), (lower, x)
        assert (x <= upper).all(), (upper, x)
        return float(np.sum(x**2 + np.sin(3 * x)))

    options = {"gradient": mb.SPSA(step=0.01)} if sampled else {}
    if line_search and (rule != "gradient descent" or sampled):
        line_search = None
    path = mb.descend(f, start, rule=rule, line_search=line_search, bounds=(lower, upper), steps=15, **options)
    assert ((lower <= path.points) & (path.points <= upper)).all()


def test_bounds_hold_what_f_gets_in_its_own_precision():
    lower = 0.1  # its float32 lies above it, that of 0.3 too

    def f(x):
        assert x.dtype == np.float32
        assert (x.astype(np.float64) >= lower).all()
        assert (x.astype(np.float64) <= 0.3).all()
        return float(np.sum(x))

    for maximize in (False, True):
        path = mb.descend(f, np.full(2, 0.2, np.float32), bounds=(lower, 0.3), maximize=maximize)
        assert path.status is S.BOUNDS


@pytest.mark.parametrize("budget", [30, 57, 100, 333, 1001])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gradient": mb.SPSA()},
        {"gradient": lambda x: 2 * np.asarray(x)},
        {"line_search": "armijo"},
        {"line_search": "wolfe"},
        {"rule": Rate(1e-9)},
        {"method": "central"},
    ],
    ids=["default", "spsa", "given", "armijo", "wolfe", "stalled", "central"],
)
def test_a_budget_is_never_passed(budget, options):
    calls = []

    def f(x):
        calls.append(1)
        return bowl(x) + 1

    path = mb.descend(f, [-3.0, 4.0], budget=budget, steps=200, **options)
    gradients = path.nit + 1 if callable(options.get("gradient")) else 0
    assert len(calls) <= path.evaluations <= budget
    assert gradients <= path.evaluations
    if budget <= 100:
        assert path.status is S.BUDGET_SPENT


def test_a_noisy_f_keeps_to_the_budget_too():
    for seed in range(5):
        rng, calls = np.random.default_rng(seed), []

        def f(x):
            calls.append(1)  # noqa: B023
            return bowl(x) + 1e-3 * rng.standard_normal()  # noqa: B023

        path = mb.descend(f, [-3.0, 4.0], budget=300)
        assert len(calls) == path.evaluations <= 300


def test_maximize_is_the_descent_of_minus_f():
    up = mb.descend(lambda x: -bowl(x) + 1, [-3.0, 4.0], steps=30, maximize=True)
    down = mb.descend(lambda x: bowl(x) - 1, [-3.0, 4.0], steps=30)
    np.testing.assert_array_equal(up.points, down.points)
    np.testing.assert_array_equal(up.losses, -down.losses)
    np.testing.assert_array_equal(up.gradients, -down.gradients)
    np.testing.assert_array_equal(up.errors, down.errors)
    assert up.status is down.status
    assert up.maximize
    assert not down.maximize


def test_a_callback_is_told_everything_and_can_stop():
    told = []

    def callback(progress):
        told.append(progress)
        if progress.step == 3:
            raise StopIteration

    path = mb.descend(bowl, np.array([-3.0, 4.0]), callback=callback)
    assert path.status is S.STOPPED
    assert path.message == "stopped by the callback after 3 of 100 steps"
    assert [progress.step for progress in told] == [0, 1, 2, 3]
    assert told[-1].steps == 100
    assert told[-1].loss == path.fun
    assert told[-1].evaluations == path.evaluations
    np.testing.assert_array_equal(told[-1].x, path.x)
    np.testing.assert_array_equal(told[-1].gradient, path.jac)


def test_ctrl_c_keeps_what_was_done():
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) == 100:
            raise KeyboardInterrupt
        return bowl(x)

    path = mb.descend(f, [-3.0, 4.0])
    assert path.status is S.STOPPED
    assert path.message.startswith("stopped by Ctrl-C after ")
    assert path.fun < 25.0


def test_a_number_as_tolerance_is_the_norm_of_the_gradient():
    path = mb.descend(lambda x: bowl(x) + 1, [-3.0, 4.0], tolerance=1e-3)
    assert path.status is S.CONVERGED
    assert np.linalg.norm(path.gradients[-2]) > 1e-3 >= np.linalg.norm(path.jac)
    assert "below the tolerance 0.001" in path.message
    # a saddle is one at any tolerance
    path = mb.descend(lambda x: x[0] ** 2 - x[1] ** 2, [1.0, 1e-9], tolerance=1e-3)
    assert path.status is S.SADDLE


def test_a_given_gradient_costs_two_evaluations_a_step():
    calls = []

    def gradient(x):
        calls.append(x)
        return 2 * (x - 1)

    path = mb.descend(lambda x: float(np.sum((x - 1) ** 2)), [-3.0, 4.0], gradient=gradient, steps=20)
    assert path.evaluations == 2 * 21
    assert len(calls) == 21
    np.testing.assert_array_equal(path.gradients, 2 * (path.points - 1))
    assert (path.errors < 1e-14).all()


def test_a_given_gradient_that_returns_a_derivative_has_its_error_used():
    f = lambda x: float(np.sum((x - 1) ** 2)) + 1  # noqa: E731
    rough = mb.descend(f, [-3.0, 4.0], gradient=lambda x: mb.gradient(f, x, rtol=1e-2), steps=20)
    assert rough.evaluations < mb.descend(f, [-3.0, 4.0], steps=20).evaluations
    assert (np.abs(rough.gradients - 2 * (rough.points - 1)) <= rough.errors).all()


@pytest.mark.parametrize("kind", ["armijo", "wolfe"])
@pytest.mark.parametrize("rate", [1e-4, 0.1, 100.0])
def test_a_line_search_frees_from_the_learning_rate(kind, rate):
    f = lambda x: 10 * (x[0] - 1) ** 2 + (x[1] + 2) ** 2 + 3  # noqa: E731
    path = mb.descend(f, [5.0, 5.0], rule=Rate(rate), line_search=kind, steps=300)
    assert path.success, path
    np.testing.assert_allclose(path.x, [1.0, -2.0], atol=1e-12)
    assert (np.diff(path.losses) <= 1e-15 * path.losses[:-1]).all()


def test_a_runaway_of_any_rule_ends_without_a_warning():
    for rule in (Rate(100.0), mb.Momentum(100.0), mb.Momentum(100.0, nesterov=True)):
        path = mb.descend(lambda x: float(np.sum(x**4)), np.array([1.0, 2.0]), rule=rule)
        assert path.status is S.DIVERGED
        assert np.isfinite(path.losses).all()
    path = mb.descend(lambda x: float(np.sum(x**4)), np.array([1.0, 2.0]), rule=mb.Adam(1e200))
    assert not path.success


def test_exceptions_of_f():
    with pytest.raises(ZeroDivisionError):
        mb.descend(lambda x: 1 / 0, 1.0)

    def breaks(x):
        if x < 0.9:
            raise RuntimeError("the simulator is down")
        return x**2

    with pytest.raises(RuntimeError, match="the simulator is down"):
        mb.descend(breaks, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "sgd"}, "rule is 'sgd'; expected one of 'gradient descent'"),
        ({"steps": 0}, "steps is 0; expected a whole number"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"gradient": 3.0}, "gradient is 3.0; expected a function from x to the gradient"),
        ({"gradient": mb.SPSA}, "expected a function from x to the gradient"),
        ({"gradient": lambda x: [1.0, 2.0, 3.0]}, r"gradient\(x\)"),
        ({"gradient": lambda x: [1j, 2.0]}, "gradient"),
        ({"maximize": "yes"}, "maximize is 'yes'; expected True or False"),
        ({"line_search": "golden"}, "line_search is 'golden'; expected 'armijo', 'wolfe'"),
        ({"line_search": "armijo", "rule": "adam"}, "it goes with GradientDescent only"),
        ({"line_search": "armijo", "gradient": mb.SPSA()}, "f need not fall along a random direction"),
        ({"line_search": "wolfe", "bounds": (0, 9)}, "write line_search='armijo'"),
        ({"tolerance": 0.0}, "tolerance is 0.0; expected a finite number above 0"),
        ({"tolerance": "small"}, "tolerance is 'small'"),
        ({"callback": 3}, "callback is 3; expected a function of a Progress"),
        ({"budget": 3}, "budget is 3, too little for one gradient"),
        ({"budget": 0}, "budget is 0"),
        ({"bounds": (5, 9)}, "exclude"),
        ({"method": "magic"}, "magic"),
    ],
)
def test_bad_options_are_refused_by_name(options, message):
    with pytest.raises(InputError, match=message):
        mb.descend(bowl, [1.0, 2.0], **options)


def test_a_bad_f_or_start_is_refused():
    with pytest.raises(InputError, match="f is 3"):
        mb.descend(3, [1.0])
    with pytest.raises(InputError, match="returned 2 numbers"):
        mb.descend(lambda x: x, [1.0, 2.0])
    with pytest.raises(InputError, match="expected one real number"):
        mb.descend(lambda x: x, [1.0, 2.0], gradient=lambda x: x)
    with pytest.raises(InputError, match="expected one real number"):
        mb.descend(lambda x: x[0] * 1j, [1.0, 2.0])
    with pytest.raises(InputError, match="nan"):
        mb.descend(bowl, [math.nan, 1.0])
    with pytest.raises(InputError, match="text"):
        mb.descend(bowl, "here")


def test_f_may_return_an_array_with_one_entry():
    path = mb.descend(lambda x: np.array([bowl(x)]), [-3.0, 4.0], steps=5)
    np.testing.assert_array_equal(path.points, mb.descend(bowl, [-3.0, 4.0], steps=5).points)
    assert path.losses.shape == (6,)


def test_two_runs_are_the_same_to_the_bit():
    for options in ({}, {"gradient": mb.SPSA(pairs=2, seed=5)}):
        one, other = (mb.descend(bowl, [-3.0, 4.0], steps=30, **options) for _ in range(2))
        np.testing.assert_array_equal(one.points, other.points)
        assert one.message == other.message


def test_many_entries_are_looked_at_by_lanczos():
    n = 60
    weights = np.linspace(1, 3, n)
    options = {"rule": Rate(0.15), "steps": 300, "gradient": lambda x: 2 * weights * x}
    path = mb.descend(lambda x: float(weights @ x**2) + 1, np.ones(n), **options)
    assert path.success, path
    weights[7] = -1.0
    start = np.ones(n)
    start[7] = 0.0
    path = mb.descend(lambda x: float(weights @ x**2) + 1, start, **options)
    assert path.status is S.SADDLE, path
    assert "1.0 of x[7]" in path.message
