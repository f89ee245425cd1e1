"""Plans: (element, coordinate) -> points, one by one and in stacks, the same in both."""

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from mibun.plan import along, both_axes, coordinatewise, pointwise
from mibun.structure import Structure


def taken(x: Any) -> tuple[Structure, Any]:
    structure = Structure.of(x)
    return structure, structure.flatten(x)


def test_pointwise_numbers_have_the_type_of_x() -> None:
    for x, kind in (
        (1.5, float),
        (np.float32(1.5), np.float32),
        (np.array([1.5], np.float32), np.float32),
        (1j, complex),
    ):
        plan = pointwise(*taken(x))
        assert type(plan.point(0, plan.starts[0])) is kind
    assert pointwise(*taken([1, 2])).starts == [1.0, 2.0]
    assert type(pointwise(*taken(np.float32(1))).point(0, 1 + 1j)) is np.complex64


def test_pointwise_stacks_hold_the_same_points() -> None:
    x = np.linspace(0, 1, 7, dtype=np.float32).reshape(7)
    plan = pointwise(*taken(x))
    stack = plan.stack(np.arange(7), np.array(plan.starts) + 0.1)
    assert stack.dtype == np.float32
    assert [plan.point(i, plan.starts[i] + 0.1) for i in range(7)] == list(stack)
    assert plan.units == [2.0**-23] * 7


def test_complex_x_moves_along_both_axes() -> None:
    z = np.array([1 + 2j, 3 - 4j])
    plan = both_axes(pointwise(*taken(z)), pointwise(*taken(z), imaginary=True))
    assert plan.starts == [1.0, 3.0, 2.0, -4.0]
    assert [plan.point(i, 9.0) for i in range(4)] == [9 + 2j, 9 - 4j, 1 + 9j, 3 + 9j]
    assert plan.stack(np.arange(4), np.full(4, 9.0)).tolist() == [9 + 2j, 9 - 4j, 1 + 9j, 3 + 9j]
    assert plan.name(3) == plan.name(1) == "[1]"


@pytest.mark.parametrize(
    "x",
    [
        2.5,
        np.float32(2.5),
        np.arange(6.0).reshape(2, 3),
        np.arange(3, dtype=np.float32),
        np.array(4.0),
        {"W": np.ones((2, 2)), "b": 3.0, "c": [np.float32(1), np.zeros(2, np.float32)]},
    ],
    ids=["number", "float32", "matrix", "row32", "zero axes", "structure"],
)
def test_coordinatewise_moves_one_entry(x: Any) -> None:
    structure, vector = taken(x)
    plan = coordinatewise(structure, vector)
    before = vector.copy()
    elements = np.arange(structure.size)
    stack = structure.parts(plan.stack(elements, np.full(structure.size, 7.0)))
    for i in range(structure.size):
        moved = plan.point(i, 7.0)
        expected = vector.copy()
        expected[i] = 7.0
        assert structure.flatten(moved).tolist() == expected.tolist()
        for leaf, part, rows in zip(structure.leaves, structure.parts(moved), stack, strict=True):
            assert np.asarray(part).dtype == leaf.dtype == rows.dtype
            assert np.array_equal(rows[i], part)
    assert vector.tolist() == before.tolist()
    assert plan.shared


def test_every_point_is_new() -> None:
    structure, vector = taken(np.zeros(3))
    plan = coordinatewise(structure, vector)
    plan.point(0, 1.0)[:] = 99.0
    assert plan.point(0, 1.0).tolist() == [1.0, 0.0, 0.0]
    assert not vector.any()


def test_chosen_places() -> None:
    plan = coordinatewise(*taken(np.array([[1.0, 2.0], [3.0, 4.0]])), [2])
    assert plan.starts == [3.0]
    assert plan.point(0, 9.0).tolist() == [[1.0, 2.0], [9.0, 4.0]]
    assert plan.stack(np.array([0]), np.array([9.0])).tolist() == [[[1.0, 2.0], [9.0, 4.0]]]
    assert plan.name(0) == "[1, 0]"


def test_complex_coordinates_make_complex_points() -> None:
    structure, vector = taken({"a": np.ones(2, np.float32), "b": 1.0})
    plan = coordinatewise(structure, vector)
    point = plan.point(2, 1 + 1e-30j)
    assert point["b"] == 1 + 1e-30j
    assert point["a"].dtype == np.complex64
    stack = plan.stack(np.array([0, 2]), np.array([1 + 2j, 3 + 4j]))
    assert stack["b"].tolist() == [1.0, 3 + 4j]


def test_longdouble_keeps_what_a_double_cannot_hold() -> None:
    x = np.longdouble(1) + np.longdouble(2) ** -60
    for plan in (pointwise(*taken(x)), coordinatewise(*taken(np.array([x])))):
        assert plan.point(0, plan.starts[0]) == x
        assert plan.stack(np.array([0]), np.array(plan.starts)).ravel()[0] == x


@pytest.mark.parametrize(("x", "direction"), [([3e10, 4e10], [1.0, 0.0]), ([0.0, 0.0], [1e5, 1e5]), ([1e-9], [1e9])])
def test_the_start_along_a_direction_has_the_scale_of_x(x: Any, direction: Any) -> None:
    structure, vector = taken(x)
    way = np.array(direction)
    plan = along(structure, vector, way)
    (start,) = plan.starts
    ratio = start * np.abs(way).max() / (np.abs(vector[way != 0]).max() or 1.0)
    assert 0.25 < ratio < 4
    assert math.frexp(start)[0] == 0.5
    assert plan.point(0, start).tolist() == x
    moved = plan.point(0, 1.25 * start)
    assert moved == pytest.approx(vector + 0.25 * start * way)
    assert plan.stack(np.array([0, 0]), np.array([start, 1.25 * start])).tolist() == [x, moved.tolist()]
    assert plan.point(0, start + 1j).tolist() == (vector + 1j * way).tolist()


def test_a_stack_is_all_that_is_ever_made() -> None:
    structure, vector = taken(np.zeros(20_000))
    tracemalloc.start()
    plan = coordinatewise(structure, vector)
    plan.stack(np.arange(16), np.ones(16))
    plan.point(5, 1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * vector.nbytes  # 16 rows and the tables of the plan; all points would be 20,000
