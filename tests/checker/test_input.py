"""Input that cannot be used is refused, with what to write instead."""

import math

import numpy as np
import pytest
from scipy import sparse

import mibun as mb
from mibun.errors import InputError

X = np.ones(3)


def f(x):
    return np.sum(x**2)


REFUSED = {
    "too short": (f, lambda x: 2 * x[:2], X, {}, r"shape \(2,\); expected \(3,\)"),
    "transposed": (
        lambda x: np.ones((2, 3)) @ x,
        lambda x: np.ones((3, 2)),
        X,
        {},
        r"shape \(3, 2\); expected \(2, 3\), its transpose: write gradient.T",
    ),
    "another order": (
        lambda x: np.ones((2, 3)) @ x,
        lambda x: np.ones(6),
        X,
        {},
        r"write gradient.reshape\(\(2, 3\)\)",
    ),
    "other keys": (lambda p: p["a"] ** 2, lambda p: {"b": 2.0}, {"a": 1.0}, {}, "keys 'b'; expected .* keys 'a'"),
    "no structure": (lambda p: p["a"] ** 2, lambda p: np.ones(1), {"a": 1.0}, {}, "expected a dict"),
    "None": (f, lambda x: None, X, {}, "is a return missing in gradient"),
    "None in a structure": (lambda p: p["a"] ** 2, lambda p: {"a": None}, {"a": 1.0}, {}, "None"),
    "text": (f, "2*x", X, {}, "text|str"),
    "complex gradient": (f, lambda x: 2j * x, X, {}, "complex numbers; expected real numbers"),
    "complex f": (lambda x: 1j * f(x), lambda x: x, X, {}, "the real and the imaginary part apart"),
    "complex x": (f, lambda x: 2 * x, 1j * X, {}, "x is complex"),
    "bool x": (f, lambda x: 2 * x, X > 0, {}, "dtype=float"),
    "empty x": (f, lambda x: 2 * x, np.zeros(0), {}, "no elements"),
    "sparse of another shape": (lambda x: x, sparse.eye(2), X, {}, r"expected \(3, 3\)"),
    "sparse between structures": (lambda p: p["a"], sparse.eye(3), {"a": X}, {}, "expected arrays for both"),
    "negative rtol": (f, lambda x: 2 * x, X, {"rtol": -1.0}, "rtol is -1.0"),
    "nan atol": (f, lambda x: 2 * x, X, {"atol": math.nan}, "atol is nan"),
    "seed": (f, lambda x: 2 * x, X, {"seed": 1.5}, "seed is 1.5; expected a whole number"),
    "method": (f, lambda x: 2 * x, X, {"method": "best"}, "method is 'best'; expected one of"),
    "outside bounds": (f, lambda x: 2 * x, X, {"bounds": (2, 3)}, "bounds|outside|below"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, gradient, x, options, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        mb.check(function, gradient, x, **options)


def test_whole_numbers_are_taken_as_floats():
    seen = []

    def slopes(x):
        seen.append(x.dtype)
        return 2 * x

    assert mb.check(f, slopes, np.array([1, 2, 3])).ok
    assert mb.check(f, np.array([2, 4, 6]), [1, 2, 3]).ok
    assert set(seen) == {np.dtype(float)}


def test_what_f_and_gradient_raise_comes_through_with_the_point():
    with pytest.raises(ValueError, match=r"expected a positive|domain"):
        mb.check(lambda x: math.log(x - 5), lambda x: 1 / (x - 5), 1.0)
    with pytest.raises(ZeroDivisionError) as caught:
        mb.check(lambda x: x, lambda x: 1 / 0, 1.0)
    assert "gradient raised this at x = 1.0" in str(caught.value)
    with pytest.raises(ZeroDivisionError) as caught:
        mb.check(lambda x: 1 / 0, lambda x: x, 1.0)
    assert "f raised this at x = 1.0" in str(caught.value)


def test_x_outside_of_the_domain_is_wrong_with_the_reason():
    report = mb.check(lambda x: np.log(x[0] - 5), lambda x: 1 / (x - 5), np.array([1.0]))
    assert report.verdict == "wrong"
    assert report.wrong[0].reason == "f is not finite at x itself"


def test_the_edge_of_the_domain_is_told():
    report = mb.check(lambda x: sum(math.sqrt(v) for v in x), lambda x: 0.5 / np.sqrt(x), np.array([1e-12, 1.0]))
    assert report.ok
    edge = mb.check(lambda x: np.sum(np.sqrt(x)), lambda x: 0.5 / np.sqrt(x + 1e-30), np.array([0.0, 1.0]))
    assert [finding.name for finding in edge.wrong] == ["[0]"]
    assert "grows without limit" in edge.wrong[0].reason
