"""What is said about single elements: right, wrong, a subgradient, or undecided with the reason."""

import math

import numpy as np
import pytest
from scipy import sparse

import mibun as mb

X = np.random.default_rng(11).normal(size=6)


def f(x):
    return np.sum(np.sin(x))


def off(place, change):
    """The gradient of `f` with a mistake in one element."""

    def gradient(x):
        slopes = np.cos(x)
        slopes[place] = change(slopes[place])
        return slopes

    return gradient


def test_an_element_is_wrong_beyond_the_tolerance_and_right_within_it():
    largest = np.abs(np.cos(X)).max()
    for tolerance in ({}, {"rtol": 1e-5}, {"atol": 1e-3, "rtol": 0.0}):
        limit = tolerance.get("atol", 0.0) + tolerance.get("rtol", 1e-8) * largest
        assert mb.check(f, off(2, lambda slope, limit=limit: slope + 0.9 * limit), X, **tolerance).ok
        report = mb.check(f, off(2, lambda slope, limit=limit: slope + 1.2 * limit), X, **tolerance)
        assert [finding.name for finding in report.wrong] == ["[2]"]


def test_the_numbers_of_a_finding():
    report = mb.check(f, off(4, lambda slope: -slope), X)
    (finding,) = report.wrong
    assert finding.element == (4,)
    assert finding.given == -np.cos(X[4])
    assert abs(finding.numeric - np.cos(X[4])) <= finding.error < 1e-9
    assert finding.ratio == pytest.approx(-1.0)
    np.testing.assert_array_equal(report.given, off(4, lambda slope: -slope)(X))
    np.testing.assert_allclose(report.numeric, np.cos(X), rtol=1e-9)


def test_digits_say_how_well_it_agrees():
    exact = mb.check(f, np.cos, X).digits
    less = mb.check(f, lambda x: np.cos(x) + 1e-5, X, atol=1e-4).digits
    assert exact > 10
    assert less == pytest.approx(5, abs=0.5)


def test_slopes_of_zero_do_not_count_as_digits():
    x = {"a": X, "unused": np.ones(3)}
    report = mb.check(lambda p: f(p["a"]), lambda p: {"a": np.cos(p["a"]), "unused": np.zeros(3)}, x)
    assert report.ok
    assert report.digits > 10
    assert "where all of a parameter are 0" in report.unseen[0]
    nothing = mb.check(lambda x: 3.0, np.zeros_like, X)
    assert nothing.ok
    assert math.isnan(nothing.digits)
    assert "does it use its argument?" in nothing.notes[0]


@pytest.mark.parametrize("size", [4, 400])
def test_at_a_minimum_all_slopes_are_zero(size):
    assert mb.check(lambda x: np.sum(x**2), lambda x: 2 * x, np.zeros(size)).ok
    assert mb.check(lambda x: 1 + np.sum(np.cos(x)), lambda x: -np.sin(x), np.zeros(size)).ok
    wrong = mb.check(lambda x: np.sum(x**2), lambda x: 2 * x + 1e-3, np.zeros(size))
    assert wrong.verdict == "wrong"


def test_a_parameter_that_is_forgotten_is_seen_however_small_its_slopes_are():
    def g(p):
        return f(p["a"]) + 1e-6 * f(p["b"])

    x = {"a": np.linspace(-1, 1, 300), "b": X}
    report = mb.check(g, lambda p: {"a": np.cos(p["a"]), "b": 0 * p["b"]}, x)
    assert {finding.element[0] for finding in report.wrong} == {"b"}
    assert report.kinds == ("missing: 0 was given in b",)


@pytest.mark.parametrize("slope", [-1.0, -0.3, 0.0, 1.0])
def test_a_subgradient_at_a_kink_is_accepted_and_listed(slope):
    report = mb.check(
        lambda x: np.sum(np.abs(x)), lambda x: np.where(x == 0, slope, np.sign(x)), np.array([1.0, 0.0, -2.0])
    )
    assert report.ok
    assert [finding.name for finding in report.subgradients] == ["[1]"]
    assert "between the slopes of both sides: [1]" in str(report)


def test_beyond_the_slopes_of_both_sides_it_is_wrong():
    report = mb.check(lambda x: np.sum(np.abs(x)), lambda x: np.where(x == 0, 1.2, np.sign(x)), np.array([1.0, 0.0]))
    assert [finding.name for finding in report.wrong] == ["[1]"]


def test_a_kink_close_to_x_is_no_mistake_of_the_gradient():
    x = np.array([1e-7, -1e-9, 3e-4, 0.5])
    report = mb.check(lambda x: np.sum(np.abs(x) ** 1.0 + x), lambda x: np.sign(x) + 1, x)
    assert not report.wrong


@pytest.mark.parametrize("size", [6, 600])
def test_nan_is_never_a_pass(size):
    x = np.random.default_rng(2).normal(size=size)
    report = mb.check(f, off(3, lambda _: np.nan), x)
    assert [finding.name for finding in report.wrong] == ["[3]"]
    assert report.wrong[0].reason == "nan was given"
    assert mb.check(f, off(3, lambda _: np.inf), x).verdict == "wrong"
    outside = mb.check(lambda x: np.sum(np.sqrt(x)), lambda x: 0.5 / np.sqrt(np.abs(x)), x)
    assert outside.verdict == "wrong"
    assert outside.wrong_count == size
    assert outside.evaluations < 20
    assert outside.wrong[0].reason == "f is not finite at x itself"


@pytest.mark.parametrize("size", [5, 40])
def test_a_row_that_is_not_finite_is_wrong_and_the_others_are_checked(size):
    x = np.random.default_rng(2).uniform(1, 2, size)

    def g(x):
        return np.where(np.arange(size) == 1, np.nan, x**2)

    def jacobian(x):
        slopes = np.diag(2 * x)
        slopes[3, 4] = 0.1
        return slopes

    report = mb.check(g, jacobian, x)
    assert report.wrong_count == size + 1
    assert "[3, 4]" in {finding.name for finding in report.wrong}


def test_at_a_jump_nothing_is_decided():
    report = mb.check(lambda x: float(np.sum(x > 0)), np.zeros_like, np.zeros(2))
    assert report.verdict == "undecided"
    assert report.undecided[0].reason == "f jumps at x: move x off the jump"


def test_noise_that_hides_a_slope_leaves_it_undecided_with_the_reason():
    random = np.random.default_rng(1)
    report = mb.check(lambda x: f(x) + 0.3 * random.normal(), np.cos, X)
    assert report.verdict == "undecided"
    assert not report.ok
    assert any("not the same twice" in note and "fix the seed" in note for note in report.notes)
    assert "nothing can be told" in str(report)


@pytest.mark.parametrize("size", [6, 500])
def test_little_noise_hides_no_mistake(size):
    random, x = np.random.default_rng(1), np.random.default_rng(2).normal(size=size)

    def noisy(x):
        return f(x) + 1e-7 * random.normal()

    assert mb.check(noisy, np.cos, x).ok
    report = mb.check(noisy, off(2, lambda slope: 1.1 * slope), x)
    assert [finding.name for finding in report.wrong] == ["[2]"]


def test_a_budget_that_ends_is_told():
    seen = []

    def counted(x):
        seen.append(1)
        return f(x)

    for budget in (8, 20, 45, 200):
        seen.clear()
        report = mb.check(counted, off(2, lambda slope: -slope), X, budget=budget)
        assert len(seen) <= budget
        assert report.evaluations == len(seen)
        assert not report.ok
        assert report.wrong_count + report.undecided_count <= 6
    assert [finding.name for finding in report.wrong] == ["[2]"]
    large = mb.check(f, lambda x: 1.1 * np.cos(x), np.linspace(0, 1, 500), budget=40)
    assert large.verdict == "undecided"
    assert "some may be wrong" in str(large)
    assert "the budget ended" in large.unseen[0]


def test_structures_name_their_elements():
    x = {"layer": [np.ones((2, 3)), 0.5], "b": np.arange(2.0)}

    def g(p):
        return np.sum(p["layer"][0] ** 2) + p["layer"][1] ** 3 + np.sum(np.exp(p["b"]))

    def gradient(p):
        slopes = 2 * p["layer"][0]
        slopes[1, 2] = 7.0
        return {"layer": [slopes, 3 * p["layer"][1]], "b": np.exp(p["b"])}

    report = mb.check(g, gradient, x)
    assert {finding.name for finding in report.wrong} == {"layer[0][1, 2]", "layer[1]"}
    assert {finding.element for finding in report.wrong} == {("layer", 0, 1, 2), ("layer", 1)}


def test_jacobians_dense_sparse_and_between_structures():
    def square(x):
        return x**2

    wrong = np.diag(2 * X)
    wrong[4, 1] = 0.5
    assert mb.check(square, lambda x: np.diag(2 * x), X).ok
    assert [finding.name for finding in mb.check(square, wrong, X).wrong] == ["[4, 1]"]
    assert mb.check(square, lambda x: sparse.diags(2 * x), X).ok
    assert [finding.name for finding in mb.check(square, sparse.csr_array(wrong), X).wrong] == ["[4, 1]"]
    jacobian = {"u": {"a": np.array([2.0, 5.0])}, "v": {"a": 3.0}}
    report = mb.check(lambda p: {"u": np.array([2.0, 4.0]) * p["a"], "v": 3 * p["a"]}, jacobian, {"a": 1.5})
    assert [finding.name for finding in report.wrong] == ["u[1], a"]


def test_a_hessian_is_the_jacobian_of_a_gradient():
    def hessian(x):
        return np.diag(-np.sin(x))

    assert mb.check(np.cos, hessian, X).ok
    report = mb.check(np.cos, lambda x: hessian(x) + np.eye(6)[::-1] * 0.01, X)
    assert report.wrong_count == 6
    assert report.kinds == ("off by the constant 0.01 off the diagonal of the Jacobian",) or report.kinds


def test_float32_is_known_by_x_and_by_what_f_does():
    x = X.astype(np.float32)
    kind = mb.check(f, np.cos, x)
    assert kind.ok
    assert "x is float32" in kind.notes[0]
    strict = mb.check(lambda x: np.float32(f(x.astype(np.float32))), np.cos, x)
    assert strict.ok
    assert not strict.notes
    for g in (f, lambda x: np.float32(f(x.astype(np.float32)))):
        report = mb.check(g, off(1, lambda slope: np.float32(1.1) * slope), x)
        assert [finding.name for finding in report.wrong] == ["[1]"]


@pytest.mark.parametrize("method", ["adaptive", "forward", "central", "complex", "chain"])
def test_methods(method):
    assert mb.check(f, np.cos, X, method=method).ok
    report = mb.check(f, off(1, lambda slope: 1.01 * slope), X, method=method)
    assert [finding.name for finding in report.wrong] == ["[1]"]


def test_ways_to_evaluate():
    seen = []
    assert mb.check(lambda x: np.sum(np.sin(x), axis=1), np.cos, X, vectorized=True).ok
    assert mb.check(f, np.cos, X, workers=1).ok
    with mb.Evaluator() as evaluator:
        assert mb.check(f, np.cos, np.linspace(0, 1, 300), evaluator=evaluator).ok

    def inside(x):
        seen.append(x.copy())
        return np.sum(x**1.5)

    assert mb.check(inside, lambda x: 1.5 * x**0.5, np.array([0.1, 1.0]), bounds=(0.0, 1.0)).ok
    assert np.min(seen) >= 0
    assert np.max(seen) <= 1


def test_bounds_that_leave_little_room_are_kept_in_large_checks_too():
    seen = []

    def inside(x):
        seen.append(np.abs(x).max())
        return np.sum(x) * 0

    assert mb.check(inside, np.zeros_like, np.zeros(300), bounds=(-1e-6, 1e-6)).ok
    assert max(seen) <= 1e-6


def test_nothing_of_the_users_is_changed():
    x, slopes = X.copy(), np.cos(X)

    def rude(x):
        x *= 2
        return f(x / 2)

    def rude_gradient(x):
        slopes = np.cos(x)
        x[:] = 0
        return slopes

    assert mb.check(rude, rude_gradient, x).ok
    assert mb.check(rude, slopes, x).ok
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(slopes, np.cos(X))


def test_a_gradient_that_writes_to_one_buffer_is_read_at_once():
    buffer = np.zeros(6)

    def gradient(x):
        return np.cos(x, out=buffer)

    assert mb.check(f, gradient, X).ok


def test_a_gradient_that_is_not_the_same_twice():
    random = np.random.default_rng(4)
    little = mb.check(f, lambda x: np.cos(x) + 1e-6 * random.normal(size=6), X)
    assert little.ok
    assert "gradient is not the same twice" in little.notes[0]
    much = mb.check(f, lambda x: np.cos(x) + 0.1 * random.normal(size=6), X)
    assert much.verdict == "wrong"


def test_a_gradient_of_another_point():
    stale = np.cos(X + 0.1)
    report = mb.check(f, lambda x: stale, X)
    assert "stale" in report.kinds[0]
    assert report.wrong_count == 6


KINDS = {
    "batch size": (lambda x: 16 * np.cos(x), "16 times what it should be"),
    "constant": (lambda x: np.cos(x) + 0.25, "off by the constant 0.25"),
    "where x < 0": (lambda x: np.where(x < 0, 0, np.cos(x)), "missing: 0 was given in the gradient where x < 0"),
    "weight decay": (lambda x: np.cos(x) - 0.1 * x, "0.1·x missing (weight decay?)"),
    "half": (lambda x: np.cos(x) / 2, "factor 1/2"),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name):
    gradient, words = KINDS[name]
    assert words in mb.check(f, gradient, X).kinds[0]


def test_no_kind_is_told_where_there_is_no_pattern():
    random = np.random.default_rng(6).normal(size=6)
    assert mb.check(f, lambda x: np.cos(x) * random, X).kinds == ()


def test_a_gate_that_is_missing_is_named_by_its_rows():
    x = np.random.default_rng(5).normal(size=(24, 4))

    def gradient(x):
        slopes = np.cos(x)
        slopes[6:12] = 0
        return slopes

    report = mb.check(f, gradient, x)
    assert report.wrong_count == 24
    assert report.kinds == ("missing: 0 was given in rows 6 to 11 of the gradient",)

    def tail(p):
        return {"b": np.append(np.cos(p["b"][:-3]), np.cos(p["b"][-3:]) / 2)}

    report = mb.check(lambda p: f(p["b"]), tail, {"b": x[0:3].reshape(-1)})
    assert report.kinds == ("half of what it should be (factor 1/2) in b[9:12]",)


def test_what_was_found_is_not_taken_for_all():
    x = np.random.default_rng(5).normal(size=5000)
    report = mb.check(f, lambda x: np.append(np.cos(x)[:-500], np.zeros(500)), x)
    assert not report.complete
    first, last = report.kinds[0].partition("[")[2].rstrip("]").split(":")
    assert report.kinds[0].startswith("missing: 0 was given in [")
    assert 4500 <= int(first) < int(last) <= 5000

    random = np.random.default_rng(6)
    places, target = random.integers(0, 50, 40), random.normal(size=(40, 8))

    def twice_is_once(table):
        slopes = np.zeros_like(table)
        slopes[places] += table[places] - target
        return slopes

    table = random.normal(size=(50, 8))
    report = mb.check(lambda table: np.sum((table[places] - target) ** 2) / 2, twice_is_once, table)
    assert report.wrong
    assert not any(kind.startswith("nearly all") for kind in report.kinds)


def test_a_budget_that_ended_is_what_to_enlarge():
    report = mb.check(f, lambda x: -np.cos(x), np.linspace(0.1, 2, 400), budget=60)
    assert "a larger budget" in report.unseen[0]
