"""`mibun.jax`: checks of gradients that JAX makes, and black boxes as its operations."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError, MissingDependency

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install 'mibun[jax]'")
jnp = jax.numpy


class State(NamedTuple):
    position: object
    speed: object


def layer(mistake):
    """Make tanh(x W) with a custom_vjp that has a mistake in the gradient of W."""

    @jax.custom_vjp
    def tanh_linear(x, W):
        return jnp.tanh(x @ W)

    def forward(x, W):
        y = jnp.tanh(x @ W)
        return y, (x, W, y)

    def backward(kept, slope):
        x, W, y = kept
        inner = slope * (1 - y**2)
        return inner @ W.T, mistake(x.T @ inner)

    tanh_linear.defvjp(forward, backward)
    return tanh_linear


def normal(*shape, dtype=jnp.float32, seed=1):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def names(findings):
    return sorted(finding.name for finding in findings)


@pytest.mark.parametrize(("dtype", "jitted"), [("float32", False), ("float16", True), ("bfloat16", True)])
def test_a_flipped_sign_is_named(dtype, jitted):
    arguments = normal(4, 5, dtype=dtype), normal(5, 3, dtype=dtype, seed=2)
    wrap = jax.jit if jitted else (lambda f: f)
    assert mb.jax.check(wrap(layer(lambda slope: slope)), arguments).ok
    report = mb.jax.check(wrap(layer(lambda slope: slope.at[2, 1].multiply(-1))), arguments)
    assert names(report.wrong) == ["W[2, 1]"]
    assert report.elements == 35
    assert not jax.config.jax_enable_x64
    assert jnp.asarray(1.0).dtype == jnp.float32


def test_pytrees_are_named():
    def f(params, state, n):
        W = params["W"][0]
        return {"y": W @ state.position * n, "speed": jax.lax.stop_gradient(state.speed) ** 2 + params["b"]}

    arguments = {"W": [normal(2, 3)], "b": 0.5}, State(normal(3), normal(3)), 3
    report = mb.jax.check(f, arguments)
    assert names(report.wrong) == ["state.speed[0]", "state.speed[1]", "state.speed[2]"]
    assert report.elements == 6 + 1 + 3 + 3
    report = mb.jax.check(lambda p: jnp.sum(jax.lax.stop_gradient(p["W"][0])), {"W": [jnp.ones(1)]})
    assert names(report.wrong) == ["p.W[0][0]"]


def test_what_is_not_floating_is_passed_on():
    def f(x, key, mode, counts):
        assert mode == "sum"
        return (x * jax.random.normal(key, x.shape))[counts].sum()

    assert mb.jax.check(f, (normal(4), jax.random.key(3), "sum", jnp.array([0, 2]))).ok


def test_complex_results_and_complex_arguments():
    assert mb.jax.check(jnp.fft.rfft, normal(5)).ok
    with pytest.raises(InputError, match="z is complex; expected real"):
        mb.jax.check(lambda z: jnp.abs(z).sum(), jnp.ones(2, jnp.complex64))


@pytest.mark.parametrize("seed", range(3))
def test_no_false_alarm_where_a_function_or_its_backward_computes_in_float32(seed):
    W = normal(12, 20, seed=seed)
    x = normal(12, seed=seed + 100)
    assert mb.jax.check(lambda x: jnp.tanh(x.astype(jnp.float32) @ W).sum(), x, seed=seed).ok

    @jax.custom_vjp
    def single(x):
        return jnp.exp(x)

    single.defvjp(lambda x: (jnp.exp(x), x), lambda x, slope: ((slope * jnp.exp(x)).astype(jnp.float32),))
    assert mb.jax.check(single, x, seed=seed).ok


def test_a_function_that_refuses_float64_is_checked_in_its_own():
    def f(x):
        if x.dtype != jnp.float32:
            raise TypeError("float32, please")
        return jnp.tanh(x)

    report = mb.jax.check(f, normal(8))
    assert report.ok
    assert "float64 is refused (TypeError: float32, please" in " ".join(str(report).split())


def test_a_random_function_is_reported():
    rng = np.random.default_rng(3)
    report = mb.jax.check(lambda x: x * rng.normal(), normal(3))
    assert report.verdict == "undecided"
    assert report.undecided_count == 3
    assert "nondeterministic" in str(report)


def test_the_arguments_stay_as_they_are():
    x = np.random.default_rng(3).normal(size=4)
    before = x.copy()
    assert mb.jax.check(jnp.sin, x).ok
    assert (x == before).all()


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (3, (), "function is 3; expected a function"),
        (lambda n: n, jnp.array([1, 2]), "no array of floating dtype"),
        (lambda x: "text", jnp.ones(2), "f returned str; expected an array"),
    ],
)
def test_what_cannot_be_used_is_refused(function, arguments, message):
    with pytest.raises(InputError, match=message):
        mb.jax.check(function, arguments)


def test_options_are_those_of_check():
    report = mb.jax.check(layer(lambda slope: slope * 1.01), (normal(4, 5), normal(5, 3)), rtol=0.1, seed=3)
    assert report.ok
    assert report.repeat.startswith("mb.jax.check(f, inputs, seed=3")
    with pytest.raises(TypeError, match="rtool"):
        mb.jax.check(jnp.sin, normal(2), rtool=1)


@pytest.mark.filterwarnings("error")
def test_other_threads_compute_in_float64_too():
    with ThreadPoolExecutor(2) as threads:
        report = mb.jax.check(layer(lambda slope: slope * 1.00001), (normal(2, 3), normal(3, 2)), workers=threads)
    assert len(report.wrong) == 6


def test_python_floats_are_differentiated_in_both_precisions():
    def f(x):
        if jnp.result_type(x) != jnp.float32:
            raise TypeError("float32, please")
        return jnp.sin(x)

    assert mb.jax.check(f, 0.7).ok
    assert not mb.jax.check(lambda x: x * jax.lax.stop_gradient(x), 0.7).ok


def test_without_jax_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    for call in (lambda: mb.jax.check(abs, 1.0), lambda: mb.jax.differentiable(abs)):
        with pytest.raises(MissingDependency, match=r"pip install 'mibun\[jax\]'"):
            call()


# Black boxes


def simulator(params, k):
    """Something that only NumPy knows."""
    assert type(params["a"]) is np.ndarray
    assert params["a"].dtype == np.float64
    return k * np.sum(np.sin(params["a"]) * params["b"])


def reference(params, k):
    return k * jnp.sum(jnp.sin(params["a"]) * params["b"])


PARAMS = {"a": jnp.array([0.5, 1.0, -0.7]), "b": jnp.array([1.0, 2.0, 3.0])}


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])
def test_its_gradient_is_that_of_the_function(transform):
    operation = mb.jax.differentiable(simulator)
    value, slopes = transform(jax.value_and_grad(operation, argnums=(0, 1)))(PARAMS, 3.0)
    expected, truth = jax.value_and_grad(reference, argnums=(0, 1))(PARAMS, 3.0)
    assert value == pytest.approx(float(expected), rel=1e-6)
    for one, other in zip(jax.tree_util.tree_leaves(slopes), jax.tree_util.tree_leaves(truth), strict=True):
        assert one.dtype == other.dtype
        assert one == pytest.approx(np.asarray(other), rel=1e-6)
    assert operation.last.passes
    assert operation(PARAMS, 3.0) == value


def test_it_is_as_good_as_its_bound_in_float64():
    from mibun.jax.checking import _wide

    with _wide(jax):
        x = jnp.array([0.5, 1.0])
        operation = mb.jax.differentiable(lambda x: np.sum(np.exp(x)))
        slope = jax.grad(operation)(x)
        assert slope.dtype == jnp.float64
        assert (abs(slope - jnp.exp(x)) <= operation.last.error[0]).all()
        assert mb.jax.check(operation, x).ok


def test_arrays_come_back_under_jit_where_their_shape_is_told():
    operation = mb.jax.differentiable(np.sin, like=np.zeros(3))
    x = PARAMS["a"]
    for f in (operation, jax.jit(operation)):
        assert f(x) == pytest.approx(np.sin(x), rel=1e-6)
        assert jax.jacrev(f)(x) == pytest.approx(np.diag(np.cos(x)), rel=1e-5, abs=1e-6)
    untold = mb.jax.differentiable(np.sin)
    assert untold(x).shape == (3,)
    with pytest.raises(Exception, match=r"write mb\.jax\.differentiable\(f, like=np\.zeros\(\(3,\)\)\)"):
        jax.block_until_ready(jax.jit(untold)(x))


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])
def test_a_batch_is_one_call_each(transform):
    shapes = []

    def f(x):
        shapes.append(x.shape)
        return np.prod(x)

    operation = mb.jax.differentiable(f)
    batch = 1.0 + jnp.arange(6.0).reshape(2, 3)
    product = np.prod(np.asarray(batch), axis=1)
    assert transform(jax.vmap(operation))(batch) == pytest.approx(product)
    slopes = transform(jax.vmap(jax.grad(operation)))(batch)
    assert slopes == pytest.approx(product[:, None] / np.asarray(batch), rel=1e-5)
    assert set(shapes) == {(3,)}


def test_whole_numbers_and_others_are_passed_on():
    operation = mb.jax.differentiable(lambda x, n, mode: x**n if mode == "power" else x)
    assert jax.grad(operation)(2.0, jnp.array(3), "power") == pytest.approx(12.0)
    assert jax.grad(operation)(2.0, 3, "power") == pytest.approx(12.0)


def test_a_simulator_runs_in_other_processes():
    pytest.importorskip("cloudpickle", reason="cloudpickle is not installed: pip install 'mibun[parallel]'")
    here = os.getpid()

    def f(params, k):
        assert os.getpid() != here
        return k * np.sum(params["a"] ** 3)

    with mb.Evaluator(workers=2) as evaluator:
        operation = mb.jax.differentiable(f, evaluator=evaluator)
        for transform in (lambda f: f, jax.jit):
            slope = transform(jax.grad(operation))({"a": PARAMS["a"]}, 2.0)["a"]
            assert slope == pytest.approx(6 * np.asarray(PARAMS["a"]) ** 2, rel=1e-5)


def test_a_second_derivative_and_forward_mode_are_refused():
    operation = mb.jax.differentiable(lambda x: np.sum(x**3))
    x = PARAMS["a"]
    for transform in (lambda f: f, jax.jit):
        with pytest.raises(InputError, match=r"first derivatives alone.*mb\.hessian"):
            transform(jax.grad(lambda x: jax.grad(operation)(x).sum()))(x)
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(operation, (x,), (x,))


@pytest.mark.parametrize(
    ("f", "given", "message"),
    [
        (lambda x: {"a": x}, jnp.ones(2), "f returned dict"),
        (lambda x: x, jnp.array([1, 2]), "no argument of floating dtype"),
    ],
)
def test_black_boxes_that_cannot_be_used_are_refused(f, given, message):
    with pytest.raises(InputError, match=message):
        mb.jax.differentiable(f)(given)
    with pytest.raises(InputError, match="f is 3"):
        mb.jax.differentiable(3)
    with pytest.raises(TypeError, match="rtool"):
        mb.jax.differentiable(np.sin, rtool=1)


def test_it_says_what_it_is():
    assert repr(mb.jax.differentiable(simulator)) == "mibun.jax.differentiable(simulator)"
