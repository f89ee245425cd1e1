"""Stacks of points: sizes, halves, shapes."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

import mibun.derivatives as mb
from mibun.errors import InputError
from mibun.evaluate.vectorized import CHUNK_BYTES, rows_of_chunk
from mibun.methods import Central
from mibun.status import Status


@pytest.mark.parametrize("row", [1, 8, 80, 8_000, 8_192, 80_000, 8_000_000, 80_000_000, 10**10])
def test_chunks_have_the_size_that_they_should(row: int) -> None:
    rows = rows_of_chunk(row)
    assert rows >= 1
    assert rows == 1 or CHUNK_BYTES / 2 < rows * row <= CHUNK_BYTES


def test_f_gets_stacks_no_larger_than_that() -> None:
    shapes = []

    def f(x: Any) -> Any:
        shapes.append(x.shape)
        return np.sum(x * x, axis=1)

    d = mb.gradient(f, np.ones(500), vectorized=True, method="central")
    assert shapes[0] == (1, 500)
    assert {shape[1] for shape in shapes} == {500}
    assert max(shape[0] for shape in shapes) == rows_of_chunk(4000)
    assert sum(shape[0] for shape in shapes) == d.evaluations == 1 + 500 * 4


def test_no_matrix_of_all_points() -> None:
    x = np.ones(1000)
    tracemalloc.start()
    mb.gradient(lambda p: np.sum(p * p, axis=1), x, vectorized=True, method="central")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


def f_of_rows(x: Any) -> Any:
    return np.stack([x[..., 0] * x[..., 1], x[..., 1] * x[..., 1] / x[..., 0]], axis=-1)


@pytest.mark.parametrize("method", ["adaptive", "central", "forward", "complex"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_serial_and_vectorized_agree_to_the_bit(method: str, dtype: Any) -> None:
    x = np.array([0.5, 1.5], dtype)
    # products alone: the loops of NumPy may give exp of a stack other last bits than exp of a number
    one, many = (mb.jacobian(f_of_rows, x, method=method, vectorized=vectorized) for vectorized in (False, True))
    for field in ("value", "error", "truncation", "rounding", "step", "noise", "fx"):
        assert np.array_equal(getattr(one, field), getattr(many, field)), field
    assert one.evaluations == many.evaluations
    assert (one.status == many.status).all()


def test_points_of_many_x_go_in_one_call() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(x.shape)
        return np.sin(x)

    x = np.linspace(0.0, 6.0, 100).reshape(4, 25)
    d = mb.derivative(f, x, vectorized=True, method="central")
    assert d.value.shape == (4, 25)
    assert np.all(abs(d.value - np.cos(x)) <= d.error)
    assert calls == [(100,), (400,)]
    d = mb.derivative(lambda t: np.stack([np.sin(t), np.cos(t)], axis=1), x, vectorized=True, method="central")
    assert d.value.shape == (4, 25, 2)
    assert np.all(abs(d.value[..., 1] + np.sin(x)) <= d.error[..., 1])


def test_a_chunk_that_raises_is_halved_and_that_is_noted() -> None:
    def f(x: Any) -> Any:
        if np.any(x < 0):
            raise ValueError("negative")
        return np.sqrt(x) ** 3 + x

    x = np.array([0.0, 1.0, 2.0])
    d = mb.derivative(f, x, vectorized=True, method="central")
    assert d.status.tolist() == [Status.ONE_SIDED, Status.CONVERGED, Status.CONVERGED]
    assert np.all(abs(d.value - 1 - 1.5 * np.sqrt(x)) <= d.error + 1e-2 * (x == 0))
    assert "negative" in d.notes[0].message
    assert "halves" in d.notes[-1].message
    assert d.notes[-1].element is None


def test_exceptions_at_x_and_others_are_raised() -> None:
    def at_x(x: Any) -> Any:
        raise ValueError("never")

    with pytest.raises(ValueError, match=r"never .*x = "):
        mb.gradient(at_x, [1.0, 2.0], vectorized=True)

    def elsewhere(x: Any) -> Any:
        if np.any(x != 1.0):
            raise RuntimeError("broken")
        return x

    with pytest.raises(RuntimeError, match="broken"):
        mb.derivative(elsewhere, np.ones(3), vectorized=True)

    def everywhere(x: Any) -> Any:
        if np.any(x != 1.0):
            raise ValueError("broken")
        return x

    with pytest.raises(ValueError, match="every point"):
        mb.derivative(everywhere, np.ones(3), vectorized=True)


@pytest.mark.parametrize("result", [1.0, np.ones(3), np.ones((2, 2)), np.array("text")], ids=range(4))
def test_a_first_axis_that_does_not_count_is_refused(result: Any) -> None:
    with pytest.raises(InputError, match=r"first axis|returned|text"):
        mb.gradient(lambda x: result, np.ones(5), vectorized=True)


def test_a_shape_that_changes_is_refused() -> None:
    with pytest.raises(InputError, match=r"stack of 12 points and returned shape \(12, 2\).*\(12,\)"):
        mb.gradient(lambda x: x.sum(axis=1) if len(x) == 1 else np.ones((len(x), 2)), np.ones(1000), vectorized=True)


def test_none_is_refused() -> None:
    with pytest.raises(InputError, match="None"):
        mb.gradient(lambda x: None, np.ones(2), vectorized=True)


def test_structures_are_stacked_leaf_by_leaf() -> None:
    def f(p: Any) -> Any:
        assert p["W"].shape[1:] == (2, 2)
        assert p["b"].shape == p["W"].shape[:1]
        return {"out": p["b"] * p["W"].sum(axis=(1, 2)), "w": p["W"][:, 0] * 2}

    x = {"W": np.arange(4.0).reshape(2, 2), "b": 3.0}
    d = mb.jacobian(f, x, vectorized=True, method=Central())
    assert d.value["out"]["W"] == pytest.approx(np.full((2, 2), 3.0))
    assert d.value["out"]["b"] == pytest.approx(6.0)
    assert d.value["w"]["W"].shape == (2, 2, 2)
    assert d.value["w"]["W"][1] == pytest.approx(np.array([[0.0, 2.0], [0.0, 0.0]]))


def test_f_may_write_to_its_stack() -> None:
    def f(x: Any) -> Any:
        x *= x
        return x.sum(axis=1)

    x = np.array([1.0, 2.0])
    d = mb.gradient(f, x, vectorized=True)
    assert np.all(abs(d.value - 2 * x) <= d.error)
    assert x.tolist() == [1.0, 2.0]


def test_f_may_write_all_its_values_to_one_place() -> None:
    place = np.empty(1000)

    def f(x: Any) -> Any:
        return np.sum(np.sin(x), axis=1, out=place[: len(x)])

    x = np.linspace(0.1, 1.2, 700)
    d = mb.gradient(f, x, vectorized=True)
    assert np.all(abs(d.value - np.cos(x)) <= d.error)
    assert d.evaluations < 14 * 700  # mixed-up values would look like noise, and cost twice as many
