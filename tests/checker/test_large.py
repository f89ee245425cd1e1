"""Claims that are too large to look at each element: random directions, and bisection to what they show."""

import backprops
import numpy as np
import pytest
from scipy import sparse

import mibun as mb


def classifier(dtype=np.float64, batch=32):
    """The mean cross-entropy of a linear classifier of 784 inputs and 10 classes: 7,850 parameters."""
    return backprops.softmax_regression(np.random.default_rng(8), np.dtype(dtype).type, batch, 784, 10)


@pytest.mark.parametrize("seed", range(4))
def test_one_wrong_of_7850_takes_at_most_200_evaluations(seed):
    f, right, x = classifier()
    random = np.random.default_rng(seed)
    place = (int(random.integers(784)), int(random.integers(10)))

    def gradient(p):
        slopes = right(p)
        slopes["W"][place] *= -1
        return slopes

    report = mb.check(f, gradient, x, seed=seed)
    assert [finding.element for finding in report.wrong] == [("W", *place)]
    assert report.evaluations <= 200
    assert report.complete
    assert report.kinds == (f"sign flipped in W[{place[0]}, {place[1]}]",)


def test_several_wrong_of_7850():
    f, right, x = classifier()
    places = [(0, 0), (5, 3), (5, 4), (400, 9), (783, 0)]

    def gradient(p):
        slopes = right(p)
        for place, part in zip(places, (1.01, 0.0, 2.0, -1.0, 0.99), strict=True):
            slopes["W"][place] *= part
        slopes["b"][7] += 1e-3
        return slopes

    report = mb.check(f, gradient, x)
    assert {finding.element for finding in report.wrong} == {("b", 7), *(("W", *place) for place in places)}
    assert report.wrong_count == 6
    assert report.evaluations < 1000


def test_a_right_one_takes_a_few_evaluations_and_says_what_could_not_be_seen():
    f, gradient, x = classifier()
    report = mb.check(f, gradient, x)
    assert report.ok
    assert report.evaluations < 60
    assert report.digits > 8
    assert "chance below" in report.unseen[0]
    assert "directions" in report.how
    assert np.isnan(report.numeric["W"]).all()


def test_kinds_that_explain_all_end_the_search():
    f, right, x = classifier()
    twice = mb.check(f, lambda p: {key: 2 * part for key, part in right(p).items()}, x)
    assert twice.wrong_count == 7850
    assert twice.kinds == ("twice what it should be (factor 2) everywhere",)
    assert twice.evaluations < 700
    column = right(x)
    column["W"][:, 3] *= 0.5
    report = mb.check(f, column, x)
    assert report.wrong_count == 784
    assert report.kinds == ("half of what it should be (factor 1/2) in column 3 of W",)


def test_too_many_mistakes_are_counted_at_least():
    x = np.random.default_rng(3).normal(size=2000)
    report = mb.check(lambda x: np.sum(np.sin(x)), lambda x: np.cos(x) + 1e-3 * np.sin(50 * x), x)
    assert not report.complete
    assert report.wrong_count >= 20
    assert "at least" in str(report)


def test_exhaustive_looks_at_each():
    x = np.random.default_rng(3).normal(size=400)
    report = mb.check(lambda x: np.sum(np.sin(x)), lambda x: np.where(x > 2, 0, np.cos(x)), x, exhaustive=True)
    assert report.wrong_count == (x > 2).sum()
    assert report.how == "each element by itself"
    assert "where x > 0" in report.kinds[0] or report.wrong_count == 1 or report.kinds


def test_parameters_of_small_slopes_are_not_hidden_by_those_of_large_ones():
    def f(p):
        return 1e6 * np.sum(np.sin(p["a"])) + 1e-3 * np.sum(np.sin(p["b"]))

    def gradient(p):
        slopes = 1e-3 * np.cos(p["b"])
        slopes[17] *= 1.001
        return {"a": 1e6 * np.cos(p["a"]), "b": slopes}

    random = np.random.default_rng(3)
    x = {"a": random.normal(size=400), "b": random.normal(size=400)}
    assert [finding.name for finding in mb.check(f, gradient, x, rtol=1e-5).wrong] == ["b[17]"]


def test_a_bias_whose_slope_cancels_is_right():
    """Before a normalisation the slopes of a bias are 0, but for rounding."""
    random = np.random.default_rng(0)
    for dtype in (np.float64, np.float32):
        a, weights = random.normal(size=(40, 30)).astype(dtype), random.normal(size=(40, 20)).astype(dtype)

        def parts(p, a=a):
            h = a @ p["W"] + p["b"]
            spread = np.sqrt(h.var(axis=0) + 1e-5)
            return (h - h.mean(axis=0)) / spread, spread

        def gradient(p, a=a, weights=weights, parts=parts):
            z, spread = parts(p)
            up = weights * (1 - np.tanh(z) ** 2)
            back = (up - up.mean(axis=0) - z * (up * z).mean(axis=0)) / spread
            return {"W": a.T @ back, "b": back.sum(axis=0)}

        def f(p, weights=weights, parts=parts):
            return np.sum(weights * np.tanh(parts(p)[0]))

        x = {"W": random.normal(size=(30, 20)).astype(dtype), "b": random.normal(size=20).astype(dtype)}
        report = mb.check(f, gradient, x)
        assert report.ok, str(report)
        assert report.digits > (8 if dtype is np.float64 else 3)


def test_mistakes_that_cancel_are_not_overlooked():
    """Along all ones they cancel; along random directions with a chance far below 1 in 25."""
    x = np.random.default_rng(5).normal(size=300)
    slopes = np.cos(x)
    slopes[[10, 200]] += np.array([1e-4, -1e-4]) / x[[10, 200]]
    for seed in range(25):
        assert not mb.check(lambda x: np.sum(np.sin(x)), slopes, x, seed=seed, budget=60).ok


def test_a_kinky_net_is_right_and_its_mistakes_are_found():
    f, right, x = backprops.net(np.random.default_rng(1), np.float64, (10, 20, 20, 4), batch=12, bend="relu")

    def gradient(p):
        slopes = right(p)
        slopes["W1"][3, 7] += 0.1 * np.abs(slopes["W1"]).max()
        return slopes

    assert mb.check(f, right, x).ok
    report = mb.check(f, gradient, x)
    assert [finding.name for finding in report.wrong] == ["W1[3, 7]"]


def test_kinks_in_every_direction():
    assert mb.check(lambda x: np.sum(np.maximum(x, 0)), np.zeros_like, np.zeros(50)).subgradient_count == 50
    report = mb.check(lambda x: 3 * np.sum(x) + np.sum(np.abs(x)), np.zeros_like, np.zeros(300), budget=1000)
    assert report.verdict == "wrong"


@pytest.mark.parametrize("size", [100, 1000])
def test_large_jacobians(size):
    a = np.random.default_rng(0).normal(size=(100, size)) / np.sqrt(size)
    x = np.random.default_rng(1).normal(size=size)

    def jacobian(x):
        slopes = (1 - np.tanh(a @ x) ** 2)[:, None] * a
        slopes[30, 41] += 0.01
        return slopes

    assert mb.check(lambda x: np.tanh(a @ x), lambda x: (1 - np.tanh(a @ x) ** 2)[:, None] * a, x).evaluations < 100
    assert [finding.name for finding in mb.check(lambda x: np.tanh(a @ x), jacobian, x).wrong] == ["[30, 41]"]


def test_a_sparse_jacobian_of_a_million_elements():
    x = np.random.default_rng(1).normal(size=1000)
    assert mb.check(lambda x: x**2, lambda x: sparse.diags(2 * x), x).ok
    wrong = sparse.diags(np.where(np.arange(1000) == 99, -2 * x, 2 * x))
    assert [finding.name for finding in mb.check(lambda x: x**2, wrong, x).wrong] == ["[99, 99]"]


@pytest.mark.parametrize("size", [1, 10, 60, 600, 10_000])
def test_right_float32_gradients_are_right(size):
    """A sample; the benchmark has a thousand."""
    random = np.random.default_rng(size)
    cases = [backprops.squares(random, np.float32, size)]
    if size <= 1000:
        width = max(int(np.sqrt(size / 3)), 1)
        cases.append(backprops.logistic(random, np.float32, 30, size))
        cases.append(backprops.net(random, np.float32, (width, width, width, 1), batch=5))
    for f, gradient, x in cases:
        report = mb.check(f, gradient, x)
        assert report.ok, str(report)
        if size < 100:
            strict = mb.check(lambda x, f=f: np.float32(f(single(x))), gradient, x)
            assert not strict.wrong, str(strict)


def single(x):
    """In float32, whatever is given."""
    return {key: np.float32(part) for key, part in x.items()} if isinstance(x, dict) else np.float32(x)


def test_the_same_seed_gives_the_same_report():
    f, gradient, x = classifier()
    assert str(mb.check(f, gradient, x, seed=3)) == str(mb.check(f, gradient, x, seed=3))


def test_a_random_f_is_undecided():
    random, x = np.random.default_rng(0), np.ones(500)
    report = mb.check(lambda x: np.sum((x * (random.random(500) > 0.5)) ** 2), lambda x: 2 * x, x)
    assert report.verdict == "undecided"
    assert "nothing can be told" in report.unseen[0]
    assert "dropout" in report.notes[0]


@pytest.mark.parametrize("seed", [0, 18, 23])
def test_noise_in_which_no_element_can_be_named_does_not_hide_a_flipped_gradient(seed):
    random = np.random.default_rng(seed)

    def f(x):
        return np.sum(np.sin(x)) + 1e-3 * random.normal()

    x = np.linspace(0, 1, 400)
    assert not mb.check(f, np.cos, x, seed=seed).wrong
    report = mb.check(f, lambda x: -np.cos(x), x, seed=seed)
    assert report.wrong
    assert report.wrong_count + report.undecided_count <= 400


@pytest.mark.parametrize("seed", range(3))
def test_an_element_is_counted_once(seed):
    random = np.random.default_rng(seed)
    report = mb.check(
        lambda x: np.sum(np.sin(x)) + 1e-3 * random.normal(),
        lambda x: np.cos(x) / 2,
        np.linspace(0, 1, 400),
        seed=seed,
    )
    assert not report.ok
    assert report.wrong_count + report.undecided_count <= 400
