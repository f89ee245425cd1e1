"""The pieces: difference rules against differences in many digits, random graphs, bounds, functions of the user's.

What is compared with autograd is skipped where that is not installed.
"""

import math
from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

import mibun as mb
from mibun.chain.elementary import STEP, UNARY
from mibun.chain.tape import UFUNCS
from mibun.errors import InputError

POINTS = {
    "arcsin": (-0.999, -0.3, 1e-9, 0.7),
    "arccos": (-0.999, -0.3, 1e-9, 0.7),
    "arctanh": (-0.999, -0.3, 1e-9, 0.7),
    "arccosh": (1.001, 1.5, 40.0),
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "reciprocal"), (1e-9, 0.3, 7.0, 1e9)),
    "cbrt": (1e-9, 0.3, -7.0),
    "log1p": (-0.999, -1e-9, 0.3, 1e6),
}
EVERYWHERE = (-3.7, -0.9, -1e-9, 0.4, 1.3, 6.1)
BY_NAME: dict[str, Any] = {
    "exp2": lambda z: mpmath.power(2, z),
    "log2": lambda z: mpmath.log(z, 2),
    "cbrt": lambda z: mpmath.sign(z) * mpmath.cbrt(abs(z)),
    "square": lambda z: z * z,
    "reciprocal": lambda z: 1 / z,
    "degrees": mpmath.degrees,
    "rad2deg": mpmath.degrees,
    "radians": mpmath.radians,
    "deg2rad": mpmath.radians,
}
MP = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"}


@pytest.mark.parametrize("ufunc", [*UNARY, np.tanh], ids=lambda ufunc: ufunc.__name__)
def test_a_rule_is_the_quotient_of_a_difference(ufunc: Any) -> None:
    """At the step of the rules, relative to the distance of z from where the function ends; in 60 digits."""
    name = ufunc.__name__
    exact = BY_NAME.get(name) or getattr(mpmath, MP.get(name, name))
    rule: Any = UFUNCS[ufunc]
    with mpmath.workdps(60):
        for point in POINTS.get(name, EVERYWHERE):
            z = mpmath.mpf(point)
            room = min((abs(z - end) for end in {"arccosh": (1,), "log1p": (-1,)}.get(name, (0, -1, 1))), default=1)
            h = mpmath.mpf(STEP) * min(1, max(room, mpmath.mpf(10) ** -9) if name in POINTS else 1)
            h /= 1 + abs(exact(z)) if name == "tan" else 1
            quotient = float((exact(z + h) - exact(z - h)) / (2 * h))
            found = float(rule.slopes[0](np.float64(point), ufunc(np.float64(point))))
            assert abs(found - quotient) <= 8 * 2.0**-53 * max(abs(quotient), name == "tanh"), (point, found, quotient)


@pytest.mark.parametrize("p", [-2.5, -1.0, 0.5, 1.0, 2.0, 3.0, 7.25])
def test_powers(p: float) -> None:
    z = np.array([1e-3, 0.7, 3.0, 40.0])
    d = mb.gradient(lambda x: np.sum(x**p), z, method="chain")
    with mpmath.workdps(40):
        truth = np.array([float(p * mpmath.mpf(v) ** (mpmath.mpf(p) - 1)) for v in z])
    assert np.all(np.abs(d.value - truth) <= d.error)
    assert np.all(d.error <= 1e-14 * np.abs(truth))


def test_powers_of_negative_numbers_and_zero() -> None:
    d = mb.gradient(lambda x: np.sum(x**3) + np.sum(x**2) + np.sum(x**1) + np.sum(x**0), [-2.0, 0.0], method="chain")
    assert d.value.tolist() == [12.0 - 4.0 + 1.0, 1.0]
    d = mb.gradient(lambda x: np.sum(x[0] ** np.arange(4)), [2.0], method="chain")
    assert d.value.tolist() == [1.0 + 4.0 + 12.0]


# Random graphs: a list of steps, each of which takes earlier arrays of shape (3, 4) and gives one more.


def _scaled(np_: Any, a: Any) -> Any:
    return a / (1 + np_.max(np_.abs(a)))


STEPS_OF_ONE = {
    "sin": lambda np_, a: np_.sin(a),
    "tanh": lambda np_, a: np_.tanh(a),
    "exp": lambda np_, a: np_.exp(_scaled(np_, a)),
    "log": lambda np_, a: np_.log(2 + a**2),
    "sqrt": lambda np_, a: np_.sqrt(1 + a * a),
    "power": lambda np_, a: (1 + a**2) ** 0.7,
    "abs": lambda np_, a: np_.abs(a + 0.3),
    "relu": lambda np_, a: np_.maximum(a, 0.1),
    "sum": lambda np_, a: np_.sum(a, axis=0) * np_.ones((3, 1)),
    "mean": lambda np_, a: a - np_.mean(a, axis=1, keepdims=True),
    "cumsum": lambda np_, a: np_.cumsum(a, axis=1),
    "gram": lambda np_, a: np_.dot(np_.dot(a, np_.transpose(a)), np_.ones((3, 4))) / 4,
    "flip": lambda np_, a: a[::-1, :],
    "index": lambda np_, a: a[np.array([0, 0, 2])],
    "reshape": lambda np_, a: np_.transpose(np_.reshape(a, (4, 3))),
    "roll": lambda np_, a: np_.roll(a, 1, axis=1),
    "concatenate": lambda np_, a: np_.concatenate([a[1:], a[:1]], axis=0),
    "sort": lambda np_, a: np_.reshape(np_.sort(np_.reshape(a, (-1,))), (3, 4)),
    "max": lambda np_, a: a * np_.max(a, axis=0, keepdims=True),
    "einsum": lambda np_, a: np_.einsum("ij,kj,kl->il", a, a, a) / 10,
    "where": lambda np_, a: np_.where(a > 0.2, a**2, a),
    "inv": lambda np_, a: np_.dot(np_.linalg.inv(np.eye(3) * 3 + _scaled(np_, a[:, :3])), a),
    "softmax": lambda np_, a: np_.exp(a - np_.max(a)) / np_.sum(np_.exp(a - np_.max(a))),
}
STEPS_OF_TWO = {
    "add": lambda np_, a, b: a + b,
    "subtract": lambda np_, a, b: a - b,
    "multiply": lambda np_, a, b: a * b,
    "divide": lambda np_, a, b: a / (2 + b**2),
    "maximum": lambda np_, a, b: np_.maximum(a, b + 0.05),
    "logaddexp": lambda np_, a, b: np_.logaddexp(a, b),
    "arctan2": lambda np_, a, b: np_.arctan2(a, 3 + b * b),
    "broadcast": lambda np_, a, b: a * b[:, :1] + b[:1],
    "outer": lambda np_, a, b: np_.dot(a, np_.transpose(b))[:, :1] * b,
}
STEP_ = st.one_of(
    st.tuples(st.sampled_from(sorted(STEPS_OF_ONE)), st.integers(0, 99)),
    st.tuples(st.sampled_from(sorted(STEPS_OF_TWO)), st.integers(0, 99), st.integers(0, 99)),
)
GRAPHS = st.lists(STEP_, min_size=1, max_size=10)


def run(np_: Any, steps: Any, x: Any) -> Any:
    """Do the steps with a NumPy, each on the latest arrays; every array adds to the result."""
    arrays = [x]
    for name, *places in steps:
        step: Any = {**STEPS_OF_ONE, **STEPS_OF_TWO}[name]
        made = step(np_, *(arrays[-1 - place % len(arrays)] for place in places))
        arrays.append(2 * np_.arctan(made))  # so that nothing grows without bound
    return sum(np_.sum(array * (0.5 + i / 7)) for i, array in enumerate(arrays))


@settings(max_examples=60, deadline=None)
@given(steps=GRAPHS, seed=st.integers(0, 10**6))
def test_random_graphs_beside_autograd(steps: Any, seed: int) -> None:
    anp = pytest.importorskip("autograd.numpy")
    from autograd import grad

    x = np.random.default_rng(seed).normal(size=(3, 4))
    truth = grad(lambda x: run(anp, steps, x))(x)
    d = mb.gradient(lambda x: run(np, steps, x), x, method="chain")
    scale = max(1.0, np.abs(truth).max())
    assert np.all(np.abs(d.value - truth) <= d.error + 1e-13 * scale)
    if d.passes:  # where entries tie, the error covers the slopes on all sides
        assert d.error.max() <= 1e-9 * scale


@settings(max_examples=25, deadline=None)
@given(steps=GRAPHS, seed=st.integers(0, 10**6))
def test_random_graphs_in_float32_beside_float64(steps: Any, seed: int) -> None:
    """The truth of what float32 computes is that of the same numbers in float64, and its bound covers the gap."""
    x = np.random.default_rng(seed).normal(size=(3, 4)).astype(np.float32)
    truth = mb.gradient(lambda x: run(np, steps, x), x.astype(float), method=mb.Chain(verify=False))
    d = mb.gradient(lambda x: run(np, steps, x), x, method=mb.Chain(verify=False))
    assert np.all(np.abs(d.value - truth.value) <= d.error + truth.error)


def test_mean_bound_over_error_is_no_joke() -> None:
    """Bounds cover, and their median is some hundred times the error, which is mostly less than one rounding."""
    rng, ratios = np.random.default_rng(5), []
    for _ in range(20):
        w, x = rng.normal(size=(6, 6)), rng.normal(size=6)

        def f(x: Any, w: Any = w) -> Any:
            return np.sum(np.tanh(w @ np.exp(-(x**2)))) + np.log(np.sum(np.exp(w @ x)))

        with mpmath.workdps(30):
            truth = np.array(_mp_gradient(w, x))
        d = mb.gradient(f, x, method="chain")
        off = np.abs(d.value - truth)
        assert np.all(off <= d.error)
        ratios.extend((d.error / np.maximum(off, 1e-18)).tolist())
    assert np.median(ratios) < 400


def _mp_gradient(w: Any, x: Any) -> list[float]:
    z = [mpmath.mpf(float(v)) for v in x]
    rows = [[mpmath.mpf(float(v)) for v in row] for row in w]
    e = [mpmath.exp(-v * v) for v in z]
    slopes = [1 - mpmath.tanh(mpmath.fdot(row, e)) ** 2 for row in rows]
    logits = [mpmath.exp(mpmath.fdot(row, z)) for row in rows]
    total = mpmath.fsum(logits)
    found = []
    for j in range(len(z)):
        first = mpmath.fsum(s * row[j] for s, row in zip(slopes, rows, strict=True)) * e[j] * -2 * z[j]
        found.append(float(first + mpmath.fsum(p * row[j] for p, row in zip(logits, rows, strict=True)) / total))
    return found


# Functions of the user's.


def test_elementwise_of_numbers_and_of_arrays() -> None:
    z = np.array([[1.5, 2.5], [3.5, 4.5]])
    of_numbers, of_arrays = mb.chain.elementwise(math.lgamma), mb.chain.elementwise(lambda z: np.sin(z) * z)
    d = mb.gradient(lambda x: np.sum(of_numbers(x) * 2 + of_arrays(x)), z, method="chain")
    truth = np.array([2 * float(mpmath.digamma(v)) + math.cos(v) * v + math.sin(v) for v in z.flat]).reshape(2, 2)
    assert np.all(np.abs(d.value - truth) <= d.error)
    assert np.array_equal(of_numbers(z), np.vectorize(math.lgamma)(z))
    assert of_numbers(2.5) == math.lgamma(2.5)
    d = mb.gradient(lambda x: of_numbers(x), 2.5, method="chain")
    assert abs(d.value - float(mpmath.digamma(2.5))) <= d.error


def test_elementwise_of_two_arguments_broadcast() -> None:
    blend = mb.chain.elementwise(lambda a, b: a**2 * np.sin(b))
    a, b = np.array([[1.0], [2.0]]), np.array([0.3, 0.6, 0.9])
    d = mb.gradient(lambda x: np.sum(blend(x["a"], x["b"])), {"a": a, "b": b}, method="chain")
    assert np.all(np.abs(d.value["a"] - 2 * a * np.sin(b).sum()) <= d.error["a"])
    assert np.all(np.abs(d.value["b"] - 5 * np.cos(b)) <= d.error["b"])


def test_elementwise_with_a_branch_and_a_table() -> None:
    def stepped(z: float) -> float:
        return z * z if z > 1 else 2 * z

    piece = mb.chain.elementwise(stepped)
    d = mb.gradient(lambda x: np.sum(piece(x)), [0.5, 3.0], method="chain")
    assert np.all(np.abs(d.value - [2.0, 6.0]) <= d.error)


@pytest.mark.parametrize(
    ("piece", "match"),
    [
        (mb.chain.elementwise(lambda z: z - z.mean()), "another value where half of the others are left out"),
        (mb.chain.elementwise(lambda z: z.sum()), r"returned shape \(\) for \(6,\)"),
        (mb.chain.elementwise(lambda z: z * 1j), "returned complex128"),
        (mb.chain.per_sample(lambda z: z[:, 0]), "was given 1 arrays, the first of shape"),
        (mb.chain.with_vjp(np.sin, lambda g, x: g[:2]), r"returned shape \(2,\) for an input of shape \(6,\)"),
        (mb.chain.with_vjp(np.sin, lambda g, x: (g, g)), "returned 2 arrays for 1 inputs"),
        (mb.chain.with_vjp(np.sin, lambda g, x: None), "returned None for an input that depends on x"),
    ],
)
def test_pieces_that_are_not_what_they_are_said_to_be(piece: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        mb.gradient(lambda x: np.sum(piece(x)), np.arange(1.0, 7.0), method="chain")


@pytest.mark.parametrize("kind", ["elementwise", "per_sample"])
def test_pieces_must_be_functions(kind: str) -> None:
    with pytest.raises(InputError, match=f"{kind} takes a function, such as math.sin, not 3"):
        getattr(mb.chain, kind)(3)
    with pytest.raises(InputError, match=r"its vjp\(cotangent, \*inputs\), not None"):
        mb.chain.with_vjp(np.sin, None)


def test_rows_that_meet_are_refused() -> None:
    """A mean over the batch is the same for rows in another order: it is found by leaving rows out."""
    centred = mb.chain.per_sample(lambda z: z - z.mean(axis=0))
    with pytest.raises(InputError, match="every sample stands alone"):
        mb.gradient(lambda x: np.sum(centred(x) ** 2), np.random.default_rng(0).normal(size=(5, 2)), method="chain")
    short = mb.chain.per_sample(lambda z: z[:1])
    with pytest.raises(InputError, match=r"returned shape \(1, 2\) for \(5, 2\)"):
        mb.gradient(lambda x: np.sum(short(x)), np.ones((5, 2)), method="chain")


def test_per_sample_costs_two_evaluations_an_input() -> None:
    calls = []

    def softplus(z: Any) -> Any:
        calls.append(z.dtype)
        return np.logaddexp(0, z.sum(axis=1))

    piece, z = mb.chain.per_sample(softplus), np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    _, gradient = mb.chain.value_and_gradient(lambda x: np.sum(piece(x * 1)), z)
    assert len(calls) == 2 + 2 * 3  # the value, the check, and the differences
    assert set(calls[2:]) == {np.dtype(np.float64)}
    truth = 1 / (1 + np.exp(-z.astype(float).sum(axis=1, keepdims=True))) * np.ones((1, 3))
    assert np.abs(gradient - truth).max() < 1e-6
    d = mb.gradient(lambda x: np.sum(piece(np.tanh(x)) ** 2), z, method="chain")
    t = np.tanh(z.astype(float))
    soft = np.logaddexp(0, t.sum(axis=1, keepdims=True))
    truth = 2 * soft / (1 + np.exp(-t.sum(axis=1, keepdims=True))) * (1 - t**2)
    assert np.all(np.abs(d.value - truth) <= d.error)


def test_with_vjp_inside_a_larger_f() -> None:
    matrix = np.random.default_rng(0).normal(size=(4, 4)) + 4 * np.eye(4)
    solved = mb.chain.with_vjp(lambda b: np.linalg.solve(matrix, b), lambda g, b: np.linalg.solve(matrix.T, g))
    x = np.array([0.3, 0.6, 0.9, 1.2])
    d = mb.gradient(lambda x: np.sum(np.exp(solved(np.sin(x)))), x, method="chain")
    same = mb.gradient(lambda x: np.sum(np.exp(np.linalg.solve(matrix, np.sin(x)))), x, method="chain")
    assert np.all(np.abs(d.value - same.value) <= d.error + same.error)
    assert d.error.max() < 1e-12
    assert repr(solved) == "mb.chain.with_vjp(<lambda>)"


def test_a_relu_network_is_never_refused() -> None:
    rng = np.random.default_rng(11)
    for trial in range(12):
        dtype = np.float64 if trial % 3 else np.float32
        x = (rng.random((30, 49)) * (rng.random((30, 49)) < 0.3)).astype(dtype)
        labels, rows = rng.integers(0, 5, 30), np.arange(30)
        sizes = (49, 40, 40, 5)
        weights = [(rng.normal(size=(a, b)) * np.sqrt(2 / a)).astype(dtype) for a, b in pairwise(sizes)]
        p = {"w": weights, "b": [np.zeros(b, dtype) for b in sizes[1:]]}

        def f(p: Any, x: Any = x, labels: Any = labels, rows: Any = rows) -> Any:
            a = x
            for w, b in zip(p["w"][:-1], p["b"][:-1], strict=True):
                a = np.maximum(a @ w + b, 0)
            z = a @ p["w"][-1] + p["b"][-1]
            z = z - z.max(axis=1, keepdims=True)
            return np.mean(np.log(np.exp(z).sum(axis=1)) - z[rows, labels])

        assert mb.gradient(f, p, method=mb.Chain(errors=False)).evaluations <= 6
