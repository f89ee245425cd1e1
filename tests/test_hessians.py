"""The verb hessian: values, bounds, statuses and notes, shapes, budgets, given gradients, and bad input."""

import math
from collections import OrderedDict

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mibun as mb
from mibun.errors import FunctionUnchanged, InputError
from mibun.status import Status


def rosenbrock(x):
    x = np.asarray(x)
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2, axis=0)


def rosenbrock_hessian(x):
    n = len(x)
    inner = np.concatenate([[0.0], np.full(n - 1, 200.0)])
    inner[:-1] += 2.0 - 400.0 * (x[1:] - 3.0 * x[:-1] ** 2)
    return np.diag(inner) + np.diag(-400.0 * x[:-1], 1) + np.diag(-400.0 * x[:-1], -1)


def wave(x):
    """exp(x0) x1^2 + sin(x1 x2), an f of three numbers with curvature everywhere but at (0, 2)."""
    return np.exp(x[0]) * x[1] ** 2 + np.sin(x[1] * x[2])


def wave_hessian(x):
    a, b, c = (mpmath.mpf(float(number)) for number in x)
    e, s, k = mpmath.exp(a), mpmath.sin(b * c), mpmath.cos(b * c)
    rows = [[e * b * b, 2 * e * b, 0], [2 * e * b, 2 * e - c * c * s, k - b * c * s], [0, k - b * c * s, -b * b * s]]
    return np.array(rows, dtype=float)


AT = np.array([0.3, 2.0, 0.7])


def covered(found, truth):
    return np.abs(found.value - truth) <= found.error + np.spacing(np.abs(truth)) / 2


class Counted:
    """f, with the points at which it was called."""

    def __init__(self, f):
        self.f, self.points = f, []

    def __call__(self, x):
        self.points.append(np.array(x, copy=True))
        return self.f(x)


# --- The promise --------------------------------------------------------------------------------------------------

RIDGES = {
    "sin": (np.sin, lambda u: -np.sin(u)),
    "exp": (np.exp, np.exp),
    "tanh": (np.tanh, lambda u: -2 * np.tanh(u) / np.cosh(u) ** 2),
    "bell": (lambda u: np.exp(-u * u), lambda u: (4 * u * u - 2) * np.exp(-u * u)),
    "softplus": (lambda u: np.log1p(np.exp(u)), lambda u: 1 / (2 + 2 * np.cosh(u))),
    "quartic": (lambda u: u**4, lambda u: 12 * u * u),
}
ridge = st.tuples(st.sampled_from(sorted(RIDGES)), st.floats(0.1, 10.0), st.integers(0, 2**32 - 1))


def ridges(drawn, n):
    """Make a sum of functions of one sum each, and its Hessian with the rounding of that, as functions of x."""
    terms = []
    for name, size, seed in drawn:
        rng = np.random.default_rng(seed)
        terms.append((*RIDGES[name], size, rng.normal(size=n) * rng.integers(0, 2, n), rng.normal()))

    def f(x):
        return sum(size * value(x @ way + shift) for value, _, size, way, shift in terms)

    def hessian(x):
        parts = [size * second(x @ way + shift) * np.outer(way, way) for _, second, size, way, shift in terms]
        return sum(parts), 2.0**-49 * sum(map(np.abs, parts))

    f.size = n
    return f, hessian


def test_the_bound_covers_the_hessians_of_random_sums():
    hits = total = 0
    for seed in range(120):
        rng = np.random.default_rng([9, seed])
        drawn = [(str(rng.choice(sorted(RIDGES))), 10 ** rng.uniform(-1, 1), seed + k) for k in range(3)]
        f, hessian = ridges(drawn, int(rng.integers(1, 6)))
        x = rng.normal(size=f.size)
        truth, slack = hessian(x)
        found = mb.hessian(f, x)
        off = np.abs(found.value - truth) - slack
        hits += (off <= found.error).sum()
        total += truth.size
        assert (off <= 4 * found.error).all()
        assert (found.error <= 1e-6 * max(np.abs(truth).max(), 1.0)).all()
    assert hits >= 0.985 * total


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(ridge, min_size=1, max_size=4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_no_sum_makes_the_bound_very_wrong_or_the_hessian_asymmetric(drawn, n, seed):
    f, hessian = ridges(drawn, n)
    x = np.random.default_rng(seed).normal(size=n)
    truth, slack = hessian(x)
    if truth.any():
        found = mb.hessian(f, x)
        assert np.all(np.abs(found.value - truth) <= 10 * found.error + slack)
        assert np.array_equal(found.value, found.value.T)
        assert np.array_equal(found.error, found.error.T)


def test_random_points_of_two_functions_are_covered_and_exact():
    rng = np.random.default_rng(5)
    for _ in range(20):
        x = rng.uniform(-2, 2, 10)
        truth = rosenbrock_hessian(x)
        found = mb.hessian(rosenbrock, x)
        assert covered(found, truth).all()
        assert np.abs(found.value - truth).max() < 1e-10 * np.abs(truth).max()
        assert found.evaluations <= 270
        y = rng.uniform(-1, 1, 3)
        found = mb.hessian(wave, y)
        assert covered(found, wave_hessian(y)).all()
        assert np.abs(found.value - wave_hessian(y)).max() < 1e-8


def test_the_bound_is_not_a_blank_cheque():
    found = mb.hessian(wave, AT)
    assert found.error.max() < 1e-7
    assert (found.status == Status.CONVERGED).all()
    assert found.notes == ()


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_the_scale_is_found_along_each_axis(scale):
    def f(x):
        return math.sin(x[0] * scale) * math.exp(x[1])

    x = np.array([0.7 / scale, 0.4])
    s, c, e = math.sin(x[0] * scale), math.cos(x[0] * scale), math.exp(0.4)
    truth = np.array([[-scale * scale * s * e, scale * c * e], [scale * c * e, s * e]])
    found = mb.hessian(f, x)
    assert covered(found, truth).all()
    assert (found.error <= 1e-7 * np.abs(truth)).all()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_values_may_be_huge_or_tiny(scale):
    found = mb.hessian(lambda x: scale * wave(x), AT)
    truth = scale * wave_hessian(AT)
    assert covered(found, truth).all()
    assert (found.error <= 1e-8 * np.abs(truth).max()).all()


def test_a_wave_that_wide_steps_do_not_see_is_seen_by_the_small_ones():
    """Beside a large slope the gradient asks for steps of several periods, which agree on a curvature of about 0."""
    for x0, slope in ((-0.49634647, 6.3e4), (0.99269191, 5.5e5), (0.49587678, 2.4e5)):
        size = abs(x0)

        def f(x, slope=slope, size=size):
            return slope * x[0] + math.sin(x[0] / size) * x[1] + 1e3 * slope * x[1]

        x = np.array([x0, 7.9545])
        bend, slant = -math.sin(x0 / size) * x[1] / size**2, math.cos(x0 / size) / size
        found = mb.hessian(f, x)
        assert np.abs(found.value - [[bend, slant], [slant, 0.0]]).max() < 0.1 * abs(bend)
        assert (np.abs(found.value - [[bend, slant], [slant, 0.0]]) <= 2 * found.error).all()


# --- Cost ----------------------------------------------------------------------------------------------------------


def test_evaluations_are_the_calls_and_no_point_is_asked_for_twice():
    f = Counted(wave)
    found = mb.hessian(f, AT)
    assert found.evaluations == len(f.points)
    assert len({point.tobytes() for point in f.points}) == len(f.points)
    rows = Counted(lambda points: wave(points.T))
    assert mb.hessian(rows, AT, vectorized=True).evaluations == sum(map(len, rows.points))


def test_the_gradient_that_was_paid_for_is_the_gradient():
    found, alone = mb.hessian(wave, AT).gradient, mb.gradient(wave, AT)
    for field in ("value", "error", "step"):
        assert np.array_equal(getattr(found, field), getattr(alone, field))
    assert (found.evaluations, found.fx, found.noise) == (alone.evaluations, alone.fx, alone.noise)


def test_the_diagonal_costs_nothing_and_a_separable_pair_one_look():
    x = np.array([0.3, 0.5, 0.7, 0.9, 1.1])
    found = mb.hessian(lambda x: float(np.sum(x**3)), x)
    assert found.evaluations == found.gradient.evaluations + 2 * 10
    assert (np.abs(found.value - np.diag(6 * x)) <= found.error).all()
    assert np.abs(found.value[~np.eye(5, dtype=bool)]).max() < 1e-12


def test_a_tolerance_saves_evaluations_and_is_kept():
    exact, rough = mb.hessian(wave, AT), mb.hessian(wave, AT, rtol=1e-3)
    assert rough.evaluations < 0.75 * exact.evaluations
    truth = wave_hessian(AT)
    assert covered(rough, truth).all()
    assert (rough.error <= 1e-3 * np.abs(rough.value))[truth != 0].all()
    loose = mb.hessian(wave, AT, atol=0.1)
    assert (loose.error <= 0.1).all()
    assert covered(loose, truth).all()


def test_a_budget_is_never_passed_and_what_it_did_not_reach_is_named():
    truth, whole = wave_hessian(AT), mb.hessian(wave, AT)
    for budget in range(1, 80):
        f = Counted(wave)
        found = mb.hessian(f, AT, budget=budget)
        assert len(f.points) == found.evaluations <= budget
        assert covered(found, truth)[np.isfinite(found.value)].all()
        assert ((found.status == Status.BUDGET_SPENT) | found.status.passes).all()
    assert mb.hessian(wave, AT, budget=5).status[0, 0] is Status.BUDGET_SPENT
    assert np.array_equal(mb.hessian(wave, AT, budget=1000).value, whole.value)


@pytest.mark.parametrize("budget", range(20, 300, 9))
def test_a_budget_is_kept_where_axes_want_wider_steps(budget):
    f = Counted(lambda x: float(np.log(np.sum(np.exp(x)))))
    x = np.array([0.3, -1.2, 0.8, 0.1, 2.0])
    found = mb.hessian(f, x, budget=budget)
    assert len(f.points) == found.evaluations <= budget
    share = np.exp(x) / np.sum(np.exp(x))
    assert covered(found, np.diag(share) - np.outer(share, share))[np.isfinite(found.value)].all()


# --- Shapes and structures -----------------------------------------------------------------------------------------


def test_a_number_has_a_number():
    found = mb.hessian(math.exp, 1.0)
    assert isinstance(found.value, float)
    assert abs(found.value - math.e) <= found.error < 1e-9
    assert abs(found.gradient.value - math.e) <= found.gradient.error


def test_an_array_has_its_shape_twice():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    found = mb.hessian(lambda x: np.sum(x[0] * x[1] ** 2), x)
    assert found.value.shape == (2, 3, 2, 3) == found.status.shape
    assert abs(found.value[0, 1, 1, 1] - 10.0) <= found.error[0, 1, 1, 1]
    assert np.array_equal(found.value, found.value.transpose(2, 3, 0, 1))
    assert mb.hessian(lambda x: x[0] ** 3, [2.0]).value.shape == (1, 1)


def test_a_structure_has_its_structure_in_each_leaf():
    def f(p):
        return p["a"] * np.sum(p["b"] ** 2) + p["c"][0] ** 3

    x = {"a": 2.0, "b": np.array([[1.0, 3.0]]), "c": [np.array(0.5)]}
    found = mb.hessian(f, x)
    assert isinstance(found.value["a"]["a"], float)
    assert found.value["a"]["b"].shape == (1, 2) == found.value["b"]["a"].shape
    assert found.value["b"]["b"].shape == (1, 2, 1, 2)
    assert np.all(np.abs(found.value["a"]["b"] - [[2.0, 6.0]]) <= found.error["a"]["b"])
    assert abs(found.value["c"][0]["c"][0] - 3.0) <= found.error["c"][0]["c"][0]
    stacked = mb.hessian(lambda p: p["a"] * np.sum(p["b"] ** 2, axis=(1, 2)) + p["c"][0] ** 3, x, vectorized=True)
    assert np.all(np.abs(stacked.value["b"]["b"] - found.value["b"]["b"]) <= found.error["b"]["b"])


def test_plain_and_vectorized_give_the_same_bits_where_f_does():
    def f(x):
        return x[0] ** 3 * x[1] + x[1] * x[2] ** 2

    plain, rows = mb.hessian(f, AT), mb.hessian(lambda points: f(points.T), AT, vectorized=True)
    assert np.array_equal(plain.value, rows.value)
    assert np.array_equal(plain.error, rows.error)
    assert plain.evaluations == rows.evaluations


def test_fifty_and_more_entries_agree_with_few():
    x = np.linspace(-1.0, 1.5, 60)
    truth = rosenbrock_hessian(x)
    for found in (mb.hessian(rosenbrock, x), mb.hessian(lambda p: rosenbrock(p.T), x, vectorized=True)):
        assert covered(found, truth).all()
        assert np.abs(found.value - truth).max() < 1e-8 * np.abs(truth).max()
        assert np.array_equal(found.value, found.value.T)


def test_an_array_of_one_number_counts_as_a_number_and_x_is_left_alone():
    def f(x):
        value = np.array([[wave(x)]])
        x[:] = math.nan
        return value

    x = AT.copy()
    found = mb.hessian(f, x)
    assert np.array_equal(x, AT)
    assert np.array_equal(found.value, mb.hessian(wave, AT).value)


def test_an_f_that_reuses_its_output_is_read_in_time():
    out = np.zeros(1)

    def f(x):
        out[0] = wave(x)
        return out

    assert np.array_equal(mb.hessian(f, AT).value, mb.hessian(wave, AT).value)


def test_longdouble_stays_and_float32_is_noisy():
    wide = mb.hessian(wave, AT.astype(np.longdouble))
    assert wide.value.dtype == np.longdouble == wide.error.dtype
    assert covered(wide, wave_hessian(AT)).all()
    narrow = AT.astype(np.float32)
    assert covered(mb.hessian(wave, narrow), wave_hessian(narrow)).all()
    single = mb.hessian(lambda x: np.float32(wave(x)), AT)
    assert covered(single, wave_hessian(AT)).all()
    assert single.error.max() > 1e-6
    assert single.passes


# --- Statuses and notes --------------------------------------------------------------------------------------------


def test_a_kink_concerns_the_pairs_of_its_axis_alone():
    found = mb.hessian(lambda x: abs(x[0]) * x[1] + x[1] ** 2 * x[2], [0.0, 2.0, 3.0])
    assert (found.status[0] == Status.KINK).all()
    assert (found.status[:, 0] == Status.KINK).all()
    assert np.isnan(found.value[0]).all()
    assert np.all(np.abs(found.value[1:, 1:] - [[6.0, 4.0], [4.0, 0.0]]) <= found.error[1:, 1:])
    assert found.status.passes[1:, 1:].all()
    notes = {note.element: note.message for note in found.notes}
    assert notes[0, 2] == notes[2, 0]
    assert notes[0, 2] == (
        "along [0]: the slopes from the left (-2) and from the right (2) differ: there is no derivative of order 2"
    )
    with pytest.raises(mb.errors.NotConverged, match="kink"):
        found.require()
    assert found[1:, 1:].require().passes


def test_a_point_outside_the_domain_of_a_pair_is_named():
    def f(x):
        if x[0] > 1.0 and x[1] > 1.0:
            raise ValueError("both too large")
        return x[0] * x[1] ** 2

    found = mb.hessian(f, [1.0, 1.0])
    assert found.status[0, 1] is Status.UNRESOLVED
    assert math.isnan(found.value[0, 1])
    assert "both too large" in next(note.message for note in found.notes if note.element == (0, 1))
    assert abs(found.value[1, 1] - 2.0) <= found.error[1, 1]


def test_the_edge_of_the_domain_makes_smaller_steps():
    found = mb.hessian(lambda x: math.log(x[0]) * math.sqrt(x[1]), [0.01, 1e-4])
    truth = np.array([[-1e4 * 1e-2, 100 * 0.5 / 1e-2], [100 * 0.5 / 1e-2, math.log(0.01) * -0.25 * 1e6]])
    assert np.all(np.abs(found.value - truth) <= found.error + 1e-12 * np.abs(truth))
    assert (found.error < 1e-6 * np.abs(truth)).all()


def test_an_error_in_f_is_raised_where_it_happens():
    def broken(x):
        if x[0] != 1.0 and x[1] != 1.0:
            raise KeyError("a fault")
        return x[0] * x[1]

    with pytest.raises(KeyError) as caught:
        mb.hessian(broken, [1.0, 1.0])
    assert "the share of the steps of [0] and [1]" in caught.value.__notes__[0]

    def at_x(x):
        raise ZeroDivisionError("at once")

    with pytest.raises(ZeroDivisionError, match="f raised this at x"):
        mb.hessian(at_x, [1.0, 1.0])


def test_a_jump_and_an_infinite_slope_are_no_numbers():
    found = mb.hessian(lambda x: float(x[0] > 0.0) + x[1] ** 2, [0.0, 1.0])
    assert not found.status.passes[0].any()
    assert np.isinf(found.error[0]).all()
    assert abs(found.value[1, 1] - 2.0) <= found.error[1, 1]
    assert not mb.hessian(lambda x: math.sqrt(abs(x[0])) + x[1] ** 2, [0.0, 1.0]).status.passes[0].any()


def test_an_infinite_curvature_at_the_edge_does_not_pass():
    found = mb.hessian(lambda x: x[0] ** 1.5 * x[1] if x[0] >= 0.0 else math.nan, [0.0, 2.0])
    assert not found.status.passes[0, 0]


def test_axes_that_f_ignores_at_x_can_have_a_mixed_derivative():
    found = mb.hessian(lambda x: x[0] * x[1], [0.0, 0.0])
    assert abs(found.value[0, 1] - 1.0) <= found.error[0, 1] < 1e-10
    assert found.status[0, 1] is Status.CONVERGED
    assert found.status[0, 0] is Status.INSENSITIVE
    assert found.value[0, 0] == 0.0
    found = mb.hessian(lambda x: math.sin(30.0 * x[0] * x[1]), [0.0, 0.0])
    assert abs(found.value[0, 1] - 30.0) <= found.error[0, 1] < 1e-7


def test_an_f_that_does_not_change_warns():
    with pytest.warns(FunctionUnchanged):
        found = mb.hessian(lambda x: 3.0, [1.0, 2.0])
    assert not found.value.any()


@pytest.mark.parametrize("level", [1e-10, 1e-7, 1e-4])
def test_noise_is_found_and_covered(level):
    hits = total = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        found = mb.hessian(lambda x, rng=rng: wave(x) + level * rng.standard_normal(), AT)
        assert (found.status[0] == Status.NOISY).any()
        hits += covered(found, wave_hessian(AT)).sum()
        total += 9
    assert hits >= 0.98 * total


def test_rounding_to_float32_grows_with_the_values_of_f():
    hits = total = 0
    for seed in range(6):
        x = np.random.default_rng(seed).uniform(-2.0, 2.0, 6)
        found = mb.hessian(lambda x: np.float32(rosenbrock(x)), x)
        hits += covered(found, rosenbrock_hessian(x)).sum()
        total += 36
    assert hits >= 0.985 * total


def test_a_given_noise_is_in_the_bound():
    quiet, noisy = mb.hessian(wave, AT), mb.hessian(wave, AT, noise=1e-6)
    assert (noisy.error > quiet.error).all()
    assert (noisy.rounding > 1e-7).all()
    assert covered(noisy, wave_hessian(AT)).all()


# --- Bounds --------------------------------------------------------------------------------------------------------

BOUNDS = {
    "below": ([0.3, None, None], None),
    "above": (None, [None, 2.0, 0.7]),
    "mixed": ([0.3, -10.0, None], [5.0, 2.0, None]),
    "all": (AT, None),
    "near": (AT - 1e-4, AT + 1e-3),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_f_is_not_asked_beyond_the_bounds_and_the_bound_of_the_error_holds(name):
    f = Counted(wave)
    found = mb.hessian(f, AT, bounds=BOUNDS[name])
    low, high = BOUNDS[name]
    points = np.array(f.points)
    assert (points >= np.array([-np.inf if b is None else b for b in (low if low is not None else [None] * 3)])).all()
    assert (points <= np.array([np.inf if b is None else b for b in (high if high is not None else [None] * 3)])).all()
    assert covered(found, wave_hessian(AT)).all()
    assert found.passes
    assert (found.error <= 1e-4 * np.abs(found.value).max()).all()
    assert (found.status[0, 0] is Status.ONE_SIDED) == (name in ("below", "mixed", "all"))


# --- A given gradient ----------------------------------------------------------------------------------------------


def wave_gradient(x):
    e, c = np.exp(x[0]), np.cos(x[1] * x[2])
    return np.array([e * x[1] ** 2, 2 * e * x[1] + x[2] * c, x[1] * c])


@pytest.mark.parametrize("method", ["adaptive", "central", "complex", mb.Forward(accuracy=3)])
def test_the_jacobian_of_a_given_gradient_is_the_hessian(method):
    g = Counted(wave_gradient)
    found = mb.hessian(None, AT, gradient=g, method=method)
    assert covered(found, wave_hessian(AT)).all()
    assert np.array_equal(found.value, found.value.T)
    assert found.evaluations == len(g.points) <= 48
    assert np.array_equal(found.gradient.value, wave_gradient(AT))
    assert found.passes


def test_of_two_mirror_images_the_better_one_is_taken():
    def g(x):
        # the derivative of the second entry with respect to the first is lost in an offset
        return np.array([x[1] * 2 * x[0], x[0] ** 2 + 1e9])

    found = mb.hessian(None, [3.0, 4.0], gradient=g)
    assert abs(found.value[1, 0] - 6.0) <= found.error[1, 0] < 1e-11


def test_what_is_no_gradient_is_reported():
    found = mb.hessian(None, [3.0, 4.0], gradient=lambda x: np.array([x[0] * x[1], x[0] ** 2]))
    assert found.status[0, 1] is Status.UNRESOLVED is found.status[1, 0]
    assert found.status[0, 0] is Status.CONVERGED
    message = next(note.message for note in found.notes if note.element == (0, 1))
    assert message == "not a gradient: its derivative is 6 one way round, 3 the other"
    assert found.error[0, 1] >= 3.0


def test_a_gradient_in_a_structure_may_have_its_keys_in_another_order():
    x = OrderedDict(a=2.0, b=np.array([1.0, 3.0]))
    found = mb.hessian(None, x, gradient=lambda p: {"b": 2 * p["a"] * p["b"], "a": np.sum(p["b"] ** 2)})
    assert np.all(np.abs(found.value["a"]["b"] - [2.0, 6.0]) <= found.error["a"]["b"])
    assert np.all(np.abs(found.value["b"]["b"] - 4 * np.eye(2)) <= found.error["b"]["b"])
    assert found.gradient.value["a"] == 10.0
    assert found.passes
    assert found.error["a"]["b"].max() < 1e-10


def test_a_vectorized_gradient():
    plain = mb.hessian(None, AT, gradient=wave_gradient)
    rows = mb.hessian(None, AT, gradient=lambda points: wave_gradient(points.T).T, vectorized=True)
    assert np.all(np.abs(plain.value - rows.value) <= plain.error + rows.error)


def test_a_kink_of_the_gradient_keeps_its_status():
    found = mb.hessian(None, [0.0, 1.0], gradient=lambda x: np.array([abs(x[0]), x[1]]))
    assert found.status[0, 0] is Status.KINK
    assert found.status[1, 1] is Status.CONVERGED


# --- Bad input -----------------------------------------------------------------------------------------------------

BAD = {
    "two numbers": (lambda: mb.hessian(lambda x: x, [1.0, 2.0]), "2 numbers.*use jacobian"),
    "complex": (lambda: mb.hessian(lambda x: 1j * x[0] ** 2, [1.0, 2.0]), "f.real and f.imag"),
    "central": (lambda: mb.hessian(wave, AT, method="central"), '"adaptive" alone.*gradient='),
    "complex x": (lambda: mb.hessian(wave, AT + 0j), "x is complex"),
    "None": (lambda: mb.hessian(None, AT), "f is None; expected a function"),
    "no function": (lambda: mb.hessian(AT, wave), "expected a function"),
    "no gradient": (lambda: mb.hessian(wave, AT, gradient=AT), "gradient is .*expected a function"),
    "gradient of another shape": (
        lambda: mb.hessian(wave, AT, gradient=lambda x: x[:2]),
        "gradient returned .*shape|gradient returned .*built like x",
    ),
    "complex gradient": (lambda: mb.hessian(wave, AT, gradient=lambda x: 1j * x), "complex numbers.*built like x"),
    "budget": (lambda: mb.hessian(wave, AT, budget=0), "budget is 0"),
    "rtol": (lambda: mb.hessian(wave, AT, rtol=-1.0), "rtol is -1.0"),
    "bounds": (lambda: mb.hessian(wave, AT, bounds=(1.0, 2.0)), "exclude"),
    "nan": (lambda: mb.hessian(wave, [math.nan, 1.0, 1.0]), "finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_a_message(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
