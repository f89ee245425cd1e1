"""Gradients by the chain against truths in closed form: values, bounds, shapes, structures, precisions."""

import math
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from scipy import special

import mibun as mb
from mibun.errors import FunctionUnchanged, InputError

RNG = np.random.default_rng(3)
X = RNG.normal(size=7)


def covered(found: Any, truth: Any) -> bool:
    return bool(np.all(np.abs(np.asarray(found.value) - truth) <= found.error))


def test_a_sum_of_known_functions() -> None:
    d = mb.gradient(lambda x: np.sum(np.exp(-(x**2)) * np.sin(3 * x)), X, method="chain")
    truth = np.exp(-(X**2)) * (3 * np.cos(3 * X) - 2 * X * np.sin(3 * X))
    assert covered(d, truth)
    assert d.error.max() < 2e-14
    assert d.evaluations == 3
    assert d.status.counts() == {mb.Status.CONVERGED: 7}
    assert d.fx == pytest.approx(float(np.sum(np.exp(-(X**2)) * np.sin(3 * X))), rel=1e-15)


@pytest.mark.parametrize(
    ("f", "slope", "points"),
    [
        (special.erf, lambda z: 2 / math.sqrt(math.pi) * np.exp(-(z**2)), np.linspace(-3, 3, 41)),
        (special.expit, lambda z: special.expit(z) * special.expit(-z), np.linspace(-30, 30, 41)),
        (special.gammaln, special.digamma, np.geomspace(1e-3, 1e3, 41)),
        (special.j0, lambda z: -special.j1(z), np.linspace(-40, 40, 41)),
        (
            special.ellipk,
            lambda m: (special.ellipe(m) / (1 - m) - special.ellipk(m)) / (2 * m),
            np.linspace(0.01, 0.99, 41),
        ),
        (np.frompyfunc(lambda z: math.sin(z) * 2, 1, 1), lambda z: 2 * np.cos(z), np.linspace(-3, 3, 41)),
    ],
    ids=["erf", "expit", "gammaln", "j0", "ellipk", "frompyfunc"],
)
def test_a_function_without_a_rule(f: Any, slope: Any, points: Any) -> None:
    d = mb.gradient(lambda x: np.sum(f(x)), points, method="chain")
    truth = slope(points)
    assert covered(d, truth)
    assert np.all(d.error <= 1e-9 * np.abs(truth).max())
    fast = mb.chain.value_and_gradient(lambda x: np.sum(f(x)), points)[1]
    assert np.all(np.abs(fast - truth) <= 1e-8 * np.abs(truth).max())


def test_a_function_of_several_arguments_without_a_rule() -> None:
    d = mb.gradient(lambda x: np.sum(special.xlogy(x, x + 1)) + special.jv(2, x[0]), X**2 + 0.1, method="chain")
    z = X**2 + 0.1
    truth = np.log(z + 1) + z / (z + 1)
    truth[0] += special.jvp(2, z[0])
    assert covered(d, truth)


def test_a_ufunc_with_two_results() -> None:
    d = mb.gradient(lambda x: np.sum(special.sici(x)[0] + 2 * special.sici(x)[1]), X**2 + 0.1, method="chain")
    z = X**2 + 0.1
    assert covered(d, np.sin(z) / z + 2 * np.cos(z) / z)


def test_a_narrow_black_box_is_found_by_smaller_steps() -> None:
    narrow = mb.chain.elementwise(lambda z: np.tanh(z / 1e-4))
    z = np.array([1e-5, 3e-4, 0.5])
    d = mb.gradient(lambda x: np.sum(narrow(x)), z, method="chain")
    truth = 1e4 / np.cosh(np.minimum(z / 1e-4, 300)) ** 2
    assert covered(d, truth)
    assert np.all(d.error <= 1e-5 * truth.max())


def test_a_kink_of_a_black_box_is_named() -> None:
    d = mb.gradient(lambda x: np.sum(np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 4.0])), [0.5, 1.0, 1.5], method="chain")
    assert d.status.tolist() == [mb.Status.CONVERGED, mb.Status.KINK, mb.Status.CONVERGED]
    assert d.value == pytest.approx([1.0, 2.0, 3.0], abs=1e-9)
    assert "1 entry of np.interp at a kink" in str(d.notes)


def test_a_domain_ends_next_to_x() -> None:
    half = mb.chain.elementwise(lambda z: np.where(z >= 1e-7, np.sqrt(np.maximum(z, 0)), np.nan))
    d = mb.gradient(lambda x: np.sum(half(x)), [1e-3, 1.0], method="chain")
    assert covered(d, [0.5 / math.sqrt(1e-3), 0.5])


@pytest.mark.parametrize(
    ("f", "x", "status", "message"),
    [
        (lambda x: np.sum(np.maximum(x, 0)), [1.0, 0.0, -1.0], "kink", "1 entry of np.maximum"),
        (lambda x: np.sum(np.abs(x)), [1.0, 0.0, -1.0], "kink", "1 entry of np.absolute"),
        (lambda x: np.max(x), [1.0, 2.0, 2.0], "kink", "1 entry of np.max"),
        (lambda x: np.linalg.norm(x), [0.0, 0.0, 0.0], "kink", "1 entry of np.linalg.norm"),
        (lambda x: np.sum(np.clip(x, 0, 1)), [1.0, 0.0, 0.5], "kink", "np.minimum"),
    ],
)
def test_kinks_that_are_hit_are_counted(f: Any, x: Any, status: str, message: str) -> None:
    d = mb.gradient(f, x, method="chain")
    assert status in d.status.__repr__()
    assert message in " ".join(str(note) for note in d.notes)
    assert not d.passes


def test_ties_share_one_slope() -> None:
    d = mb.gradient(lambda x: np.max(x) + np.maximum(x[0], x[1]), np.array([2.0, 2.0, 2.0, 1.0]), method="chain")
    assert d.value == pytest.approx([1 / 3 + 0.5, 1 / 3 + 0.5, 1 / 3, 0.0])


def test_a_kink_that_is_felt_nowhere_leaves_the_rest_converged() -> None:
    d = mb.gradient(lambda x: np.maximum(x[0], 0) + x[1] ** 2, [0.0, 3.0], method="chain")
    assert d.status.tolist() == [mb.Status.KINK, mb.Status.CONVERGED]
    assert d.value.tolist() == [0.5, 6.0]
    assert d.error[0] == 0.5


def test_structures() -> None:
    pair = namedtuple("pair", ["a", "b"])
    x = {"w": np.ones((2, 3)), "p": pair(2.0, np.array([1.0, 2.0])), "l": [np.float32(3.0), np.ones(1)]}

    def f(x: Any) -> Any:
        return np.sum(x["w"] ** 2) * x["p"].a + np.sum(x["p"].b ** 3) * x["l"][0] + x["l"][1][0] * 0

    d = mb.gradient(f, x, method="chain")
    assert np.array_equal(d.value["w"], np.full((2, 3), 4.0))
    assert (d.value["p"].a, d.value["l"][0]) == (6.0, 9.0)
    assert isinstance(d.value["p"].a, float)
    assert np.array_equal(d.value["p"].b, [9.0, 36.0])
    assert d.value["l"][1].tolist() == [0.0]


def test_a_number() -> None:
    d = mb.gradient(lambda x: np.sin(x) * x, 0.7, method="chain")
    assert isinstance(d.value, float)
    assert abs(d.value - (math.cos(0.7) * 0.7 + math.sin(0.7))) <= d.error < 1e-14


def test_whole_numbers_become_floats() -> None:
    d = mb.gradient(lambda x: np.sum(x**2 / 4), np.array([1, 3]), method="chain")
    assert d.value.tolist() == [0.5, 1.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_short_floats_stay_short_inside(dtype: Any) -> None:
    seen = []

    def f(x: Any) -> Any:
        seen.append((x * 2).dtype)
        return np.sum(np.tanh(x) * np.exp(x))

    x = X.astype(dtype)
    d = mb.gradient(f, x, method="chain")
    assert set(seen) == {np.dtype(dtype)}
    z = x.astype(float)
    assert covered(d, np.exp(z) * (np.tanh(z) + 1 - np.tanh(z) ** 2))
    assert d.value.dtype == np.float64
    assert d.error.max() <= 100 * np.finfo(dtype).eps * np.abs(d.value).max()


def test_a_black_box_in_float32_is_differenced_in_float64() -> None:
    x = X.astype(np.float32)
    d = mb.gradient(lambda x: np.sum(special.erf(x)), x, method="chain")
    truth = 2 / math.sqrt(math.pi) * np.exp(-(x.astype(float) ** 2))
    assert covered(d, truth)
    assert np.abs(d.value - truth).max() < 1e-6


def test_longdouble() -> None:
    d = mb.gradient(lambda x: np.sum(np.exp(x)), np.longdouble([1, 2]), method="chain")
    assert d.value.dtype == np.longdouble
    assert np.abs(d.value - np.exp(np.longdouble([1, 2]))).max() < 1e-17


def test_vjp_and_jacobian_agree() -> None:
    def f(x: Any) -> Any:
        return {"a": np.outer(x, x)[:2], "b": np.sum(x**3)}

    cotangent = {"a": RNG.normal(size=(2, 7)), "b": 2.0}
    d = mb.vjp(f, X, cotangent, method="chain")
    j = mb.jacobian(f, X, method="chain")
    assert j.value["a"].shape == (2, 7, 7)
    assert j.value["b"].shape == (7,)
    expected = np.einsum("ij,ijk->k", cotangent["a"], j.value["a"]) + 2.0 * j.value["b"]
    assert np.allclose(d.value, expected, rtol=1e-14)
    assert np.allclose(d.fx["a"], np.outer(X, X)[:2], rtol=1e-15)
    assert np.all(np.abs(j.value["b"] - 3 * X**2) <= j.error["b"])


def test_parts_that_do_not_depend_on_x() -> None:
    d = mb.gradient(lambda x: np.sum(x["a"] ** 2), {"a": np.ones(2), "b": np.ones(3)}, method="chain")
    assert d.status["b"].tolist() == [mb.Status.INSENSITIVE] * 3
    assert d.value["b"].tolist() == [0.0] * 3
    j = mb.jacobian(lambda x: [np.sum(x), 3.0], X, method="chain")
    assert np.array_equal(j.value, [np.ones(7), np.zeros(7)])


def test_an_f_that_was_not_computed_from_x() -> None:
    with pytest.warns(FunctionUnchanged, match="not computed from x") as caught:
        d = mb.gradient(lambda x: np.sum(X), X, method="chain")
    assert caught[0].filename == __file__
    assert d.value.tolist() == [0.0] * 7
    assert d.status.counts() == {mb.Status.INSENSITIVE: 7}


def test_x_is_not_changed_and_constants_are_not() -> None:
    x, matrix = X.copy(), RNG.normal(size=(7, 7))
    kept = matrix.copy()
    mb.gradient(lambda x: np.sum(matrix @ x * x) + np.sum(x[[0, 0, 1]]), x, method="chain")
    assert np.array_equal(x, X)
    assert np.array_equal(matrix, kept)


def test_results_share_no_memory() -> None:
    x = {"a": np.ones(3), "b": np.ones(3), "c": np.ones((1, 3))}
    _, gradient = mb.chain.value_and_gradient(lambda x: np.sum(x["a"] + x["b"] + x["c"]), x)
    d = mb.gradient(lambda x: np.sum(x["a"] + x["b"] + x["c"]), x, method="chain")
    for found in (gradient, d.value):
        found["a"][0] = 7.0
        assert found["b"].tolist() == [1.0] * 3
        found["c"][0, 0] = 8.0
        assert found["b"].tolist() == [1.0] * 3
    matrix = np.ones(3)
    kept = mb.chain.with_vjp(lambda x: x @ matrix, lambda g, x: matrix)
    mb.chain.value_and_gradient(kept, np.ones(3))[1][0] = 5.0
    assert matrix.tolist() == [1.0] * 3


def test_what_is_not_finite() -> None:
    d = mb.gradient(lambda x: np.sum(np.sqrt(x)), [0.0, 4.0], method="chain")
    assert d.status.tolist() == [mb.Status.NOT_FINITE, mb.Status.CONVERGED]
    assert d.value[1] == 0.25
    assert np.isnan(d.value[0])
    assert np.isinf(d.error[0])


def test_a_side_that_was_not_taken_does_no_harm() -> None:
    """The slope of log is infinite or nan there, and times 0 it is nothing."""
    x = np.array([0.0, -1.0, 2.0])
    f = lambda x: np.sum(np.where(x > 0, np.log(x) * np.sqrt(x), 3 * x))  # noqa: E731
    truth = [3.0, 3.0, 1 / np.sqrt(2) + np.log(2) / (2 * np.sqrt(2))]
    d = mb.gradient(f, x, method=mb.Chain(verify=False))
    assert d.passes
    assert covered(d, truth)
    assert np.allclose(mb.chain.value_and_gradient(f, x)[1], truth)


def test_a_tolerance_that_is_not_met() -> None:
    d = mb.gradient(lambda x: np.sum(special.erf(x)), X, method="chain", rtol=1e-15)
    assert d.status.counts() == {mb.Status.UNRESOLVED: 7}
    assert mb.gradient(lambda x: np.sum(special.erf(x)), X, method="chain", rtol=1e-8).passes


def test_without_errors_nothing_is_claimed() -> None:
    d = mb.gradient(lambda x: np.sum(x**2), X, method=mb.Chain(errors=False))
    assert np.array_equal(d.value, 2 * X)
    assert np.isinf(d.error).all()
    assert d.status.counts() == {mb.Status.UNRESOLVED: 7}


@pytest.mark.parametrize("option", ["bounds", "noise", "budget", "vectorized"])
def test_options_for_those_who_move_x_are_refused(option: str) -> None:
    given = {"bounds": (0.0, 1.0), "noise": 0.1, "budget": 100, "vectorized": True}[option]
    for verb in (mb.gradient, mb.jacobian, mb.hessian):
        with pytest.raises(InputError, match=f'{option} is .* with method="chain"'):
            verb(np.sum, X, method="chain", **{option: given})


def test_a_pattern_is_refused() -> None:
    with pytest.raises(InputError, match='sparsity is given with method="chain"'):
        mb.jacobian(lambda x: x * 2, X, sparsity="detect", method="chain")


def test_what_is_known_is_listed() -> None:
    names = mb.chain.known()
    assert names == sorted(names)
    assert {"np.sin", "np.sum", "np.linalg.solve", "np.lib.stride_tricks.sliding_window_view"} <= set(names)
    assert len(names) > 200


@pytest.mark.parametrize("verb", [mb.derivative, lambda f, x, method: mb.directional(f, x, X, method=method)])
@pytest.mark.parametrize("method", ["chain", mb.Chain()])
def test_other_verbs_say_where_the_chain_belongs(verb: Any, method: Any) -> None:
    with pytest.raises(InputError, match="gradient, jacobian, vjp and hessian alone"):
        verb(np.sum, X, method=method)


def test_wrong_settings() -> None:
    with pytest.raises(InputError, match="verify is 'yes'; expected True or False"):
        mb.Chain(verify="yes")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"write Chain\(\)"):
        mb.gradient(np.sum, X, method=mb.Chain)
    assert repr(mb.Chain()) == "Chain(verify=True, errors=True)"


@pytest.mark.parametrize(
    ("f", "x", "match"),
    [
        (lambda x: x, X, "f returned 7 numbers at x, an array of shape"),
        (lambda x: None, X, "f.x. is a value|None"),
        (lambda x: "text", X, "text"),
        (lambda x: np.sum(x), np.array([1.0, None], object), "objects"),
        (lambda x: np.sum(x), np.ma.masked_array([1.0, 2.0], [False, True]), "masked"),
        (lambda x: np.sum(x), [1.0, math.nan], "is nan; expected a finite number"),
        (lambda x: np.sum(x), np.array([1j]), "x is complex"),
        ("sin", X, "f is 'sin'; expected a function"),
    ],
)
def test_bad_input(f: Any, x: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        mb.gradient(f, x, method="chain")


def test_wrong_cotangents() -> None:
    with pytest.raises(InputError, match="cotangent"):
        mb.vjp(lambda x: x, X, np.ones(3), method="chain")
    with pytest.raises(InputError, match="expected finite numbers"):
        mb.vjp(lambda x: x, X, np.full(7, np.nan), method="chain")


def test_what_f_raises_names_x() -> None:
    with pytest.raises(KeyError, match="nothing"):
        mb.gradient(lambda x: {}["nothing"], X, method="chain")
    with pytest.raises(ZeroDivisionError, match="while it was recorded, at x ="):
        mb.gradient(lambda x: 1 / 0, X, method="chain")


def test_value_and_gradient() -> None:
    value, gradient = mb.chain.value_and_gradient(lambda p: np.sum(p["w"] ** 2), {"w": X, "b": np.ones(2)})
    assert value == pytest.approx(np.sum(X**2))
    assert np.array_equal(gradient["w"], 2 * X)
    assert np.array_equal(gradient["b"], [0.0, 0.0])
    value, gradient = mb.chain.value_and_gradient(lambda x: x * x, 3.0)
    assert (value, gradient) == (9.0, 6.0)
    with pytest.raises(InputError, match="expected one"):
        mb.chain.value_and_gradient(lambda x: x, X)
