"""Recordings that are kept, and second derivatives: black-box differences of the chain's gradient."""

import contextlib
import gc
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

import mibun as mb
from mibun.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))

from test_functions import ROWS

RNG = np.random.default_rng(8)
X = RNG.normal(size=5)


def f(x: Any) -> Any:
    return np.sum(np.sin(x[:-1]) * x[1:] ** 2) + np.sum(special.erf(x))


def slopes(x: Any) -> Any:
    found = 2 / np.sqrt(np.pi) * np.exp(-(x**2))
    found[:-1] += np.cos(x[:-1]) * x[1:] ** 2
    found[1:] += np.sin(x[:-1]) * 2 * x[1:]
    return found


def curvatures(x: Any) -> Any:
    found = np.diag(-4 * x / np.sqrt(np.pi) * np.exp(-(x**2)))
    i = np.arange(len(x) - 1)
    found[i, i] -= np.sin(x[:-1]) * x[1:] ** 2
    found[i + 1, i + 1] += 2 * np.sin(x[:-1])
    found[i, i + 1] += np.cos(x[:-1]) * 2 * x[1:]
    found[i + 1, i] += np.cos(x[:-1]) * 2 * x[1:]
    return found


def test_a_recording_holds_at_other_points() -> None:
    recording = mb.chain.record(f, X)
    assert recording.derivative is not None
    assert recording.derivative.evaluations == 3
    for _ in range(3):
        x = RNG.normal(size=5)
        assert recording(x) == f(x)
        d = recording.gradient(x)
        assert np.all(np.abs(d.value - slopes(x)) <= d.error)
        assert d.evaluations == 1
        value, gradient = recording.value_and_gradient(x)
        assert value == f(x)
        assert np.allclose(gradient, slopes(x), atol=1e-9)


@pytest.mark.parametrize(("g", "x"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_every_function_can_be_done_again(g: Any, x: Any) -> None:
    """At the same point, and at another one unless a branch would be another one there."""
    recording = mb.chain.record(g, x, verify=False)
    other = x * (1 + 1e-3 * np.sign(np.sin(np.arange(x.size))).reshape(x.shape))
    with contextlib.suppress(InputError):  # another branch
        assert np.allclose(recording(other), np.asarray(g(other), float), rtol=1e-12, atol=1e-12)
    assert np.allclose(recording(x), np.asarray(g(x), float), rtol=1e-13, atol=1e-13)


def test_branches_are_checked() -> None:
    def branched(x: Any) -> Any:
        return np.sum(x**2) if x[0] > 0 else np.sum(x)

    recording = mb.chain.record(branched, np.abs(X))
    assert recording(np.abs(X) + 1) == branched(np.abs(X) + 1)
    with pytest.raises(InputError, match=r"another branch at this x: a branch at test_recordings.py, .* was True, and"):
        recording(-np.abs(X))


def test_masks_and_indices_are_checked() -> None:
    recording = mb.chain.record(lambda x: np.sum(x[x > 0]) + x[np.argmax(x)], np.array([1.0, -1.0, 2.0]))
    assert recording([3.0, -2.0, 4.0]) == 11.0
    with pytest.raises(InputError, match="another branch"):
        recording([1.0, 1.0, 2.0])


def test_constants_are_those_of_the_recording() -> None:
    matrix = RNG.normal(size=(5, 5))
    expected = float(np.sum(matrix @ X))
    recording = mb.chain.record(lambda x: np.sum(matrix @ x), X)
    matrix[:] = 0
    assert recording(X) == expected


def test_structures_and_shapes() -> None:
    recording = mb.chain.record(lambda p: {"y": p["a"] * p["b"], "s": np.sum(p["b"])}, {"a": 2.0, "b": np.ones(3)})
    found = recording({"a": 3.0, "b": np.array([1.0, 2.0, 3.0])})
    assert found["y"].tolist() == [3.0, 6.0, 9.0]
    assert found["s"] == 6.0
    with pytest.raises(InputError, match=r"x.b has shape \(2,\); expected \(3,\)"):
        recording({"a": 3.0, "b": np.ones(2)})
    with pytest.raises(InputError, match=r"f returned 4 numbers"):
        recording.value_and_gradient({"a": 3.0, "b": np.ones(3)})


def test_a_recording_is_printed() -> None:
    assert repr(mb.chain.record(f, X)) == (
        "Recording of f: 9 operations, 28 numbers made, 0 branch points (2 x[...], 2 np.sum, 1 np.sin, 1 np.square)\n"
        "  float64  (4,)            x[...]\n"
        "  float64  (4,)            np.sin\n"
        "  float64  (4,)            x[...]\n"
        "  float64  (4,)            np.square\n"
        "  float64  (4,)            np.multiply\n"
        "  float64  ()              np.sum\n"
        "  float64  (5,)            erf\n"
        "  float64  ()              np.sum\n"
        "  float64  ()              np.add"
    )
    long = repr(mb.chain.record(lambda x: sum(x[i % 5] for i in range(40)), X))
    assert long.endswith("60 more")
    assert len(long.splitlines()) == 22


def test_a_recording_verifies_once() -> None:
    calls = []

    def counted(x: Any) -> Any:
        calls.append(1)
        return np.sum(x**2)

    recording = mb.chain.record(counted, X)
    before = len(calls)
    recording.gradient(X + 1)
    recording(X + 1)
    assert (before, len(calls)) == (4, 4)


def test_hvp() -> None:
    way = RNG.normal(size=5)
    d = mb.chain.hvp(f, X, way)
    assert np.all(np.abs(d.value - curvatures(X) @ way) <= d.error)
    assert d.error.max() < 1e-8
    assert np.all(np.abs(d.gradient.value - slopes(X)) <= d.gradient.error)
    twice = mb.chain.hvp(f, X, 2 * way)
    assert np.allclose(twice.value, 2 * d.value, rtol=1e-8)
    s = mb.chain.hvp(lambda p: p["a"] ** 2 * np.sum(p["b"]), {"a": 3.0, "b": np.ones(2)}, {"a": 1.0, "b": np.zeros(2)})
    assert abs(s.value["a"] - 4.0) <= s.error["a"]
    assert np.all(np.abs(s.value["b"] - 6.0) <= s.error["b"])
    with pytest.raises(InputError, match="not all 0"):
        mb.chain.hvp(f, X, np.zeros(5))


def test_hessian() -> None:
    d = mb.hessian(f, X, method="chain")
    truth = curvatures(X)
    assert np.all(np.abs(d.value - truth) <= d.error)
    assert d.error.max() < 1e-8
    assert np.array_equal(d.value, d.value.T)
    assert np.all(np.abs(d.gradient.value - slopes(X)) <= d.gradient.error)
    assert d.fx == f(X)
    with pytest.raises(InputError, match="leave one of them out"):
        mb.hessian(f, X, gradient=slopes, method="chain")


def test_a_sparse_hessian() -> None:
    d = mb.hessian(f, X, method="chain", sparsity="detect")
    assert d.value.nnz == 13
    assert np.all(np.abs((d.value - curvatures(X)).max()) <= d.error.max() + 1e-9)


def test_gradients_in_a_loop_leak_nothing() -> None:
    big = RNG.normal(size=20_000)

    def g(x: Any) -> Any:
        y = x if x[0] < 100 and np.any(x > 0) else 2 * x
        for _ in range(20):
            y = np.tanh(y) * 1.01
        return np.sum(y)

    def failing(x: Any) -> Any:
        np.exp(x)
        raise KeyError("on purpose")

    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        mb.chain.value_and_gradient(g, big)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(30):
            mb.chain.value_and_gradient(g, big)
        mb.gradient(g, big, method="chain")
        peak = tracemalloc.get_traced_memory()[1]
        for _ in range(30):
            with pytest.raises(KeyError):
                mb.chain.value_and_gradient(failing, big)
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    finally:
        gc.enable()
    assert after - before < 1.5 * big.nbytes
    assert peak - before < 4 * 40 * big.nbytes


def test_nodes_are_freed_on_the_way_back() -> None:
    """The peak of a gradient is the arrays that f made, and a few more."""
    big = RNG.normal(size=100_000)

    def g(x: Any) -> Any:
        for _ in range(30):
            x = np.sin(x)
        return np.sum(x)

    mb.chain.value_and_gradient(g, big[:10])
    tracemalloc.start()
    mb.chain.value_and_gradient(g, big)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 36 * big.nbytes


@pytest.mark.parametrize("x", ["a", [1j, 2.0], np.array([1j, 2.0]), [None, 1.0]])
def test_points_of_a_recording_are_real_numbers(x: Any) -> None:
    recording = mb.chain.record(lambda x: np.sum(x**2), np.array([1.0, 2.0]))
    with pytest.raises(InputError, match=r"expected|masked|complex|text|None"):
        recording(x)
    assert recording([3, 4]) == 25.0
