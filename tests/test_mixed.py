"""Mixed partial derivatives of any multi-index up to order 4 in all."""

import itertools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mibun
import mibun.derivatives as mb
from mibun.errors import InputError
from mibun.result import Derivative
from mibun.status import Status

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import mix_partials

#: Error that is asked for, in units of f over the natural lengths to the power of the orders.
WANTED = {2: 1e-6, 3: 1e-4, 4: 1e-2}
FACTORS = np.array([1.0, 2.0, 3.0, 0.5])
SHIFTED = [0.3, 0.4, -0.2, 0.7]


def wave(x: Any) -> Any:
    return np.sin(np.asarray(x) @ FACTORS[: np.shape(x)[-1]])


def truth(orders: dict[int, int], x: list[float]) -> float:
    """The derivative of `wave`."""
    n = sum(orders.values())
    factor = math.prod(FACTORS[axis] ** order for axis, order in orders.items())
    return factor * math.sin(float(np.asarray(x) @ FACTORS[: len(x)]) + n * math.pi / 2)


def covered(d: Derivative, true: Any) -> bool:
    return bool(np.all(np.abs(d.value - true) <= d.error))


MULTI = [
    {axis: order for axis, order in zip(range(4), orders, strict=True) if order}
    for orders in itertools.product(range(5), repeat=4)
    if 0 < sum(orders) <= 4
]


@pytest.mark.parametrize("orders", MULTI, ids=str)
def test_every_multi_index(orders: dict[int, int]) -> None:
    x = SHIFTED
    d = mb.mixed(wave, x, orders)
    assert d.status is Status.CONVERGED
    assert covered(d, truth(orders, x))
    scale = math.prod(FACTORS[axis] ** order for axis, order in orders.items())
    assert d.error <= 3e-2 * scale if sum(orders.values()) > 1 else d.error < 1e-10
    assert d.evaluations <= {1: 40, 2: 40, 3: 45, 4: 60}[len(orders)]
    assert mb.mixed(wave, x, dict(reversed(orders.items()))).value == d.value
    stacked = mb.mixed(wave, x, orders, vectorized=True)
    assert stacked.value == pytest.approx(d.value, abs=d.error)
    assert stacked.evaluations == d.evaluations


def test_the_error_covers_the_truth_on_problems_that_nothing_was_tuned_on() -> None:
    drawn = mix_partials.partials(20_261, 200)
    covers = within = 0
    for problem in drawn:
        d = mb.mixed(problem.f, list(problem.x), dict(enumerate(problem.orders)))
        off = abs(d.value - problem.truth)
        covers += off <= d.error + math.ulp(problem.truth)
        within += off <= WANTED[problem.order] * problem.scale
        if len(problem.x) == 2:
            assert d.evaluations <= 40
    assert covers >= 198
    assert within >= 195


def test_the_truth_of_those_problems_is_right() -> None:
    found = mix_partials.partial_derivative("exp(2.0*x[0])*sin(x[1])", (0.5, 0.7), (2, 1))
    assert found == pytest.approx(4 * math.e * math.cos(0.7), rel=1e-15)
    assert mix_partials.partial_derivative("x[0]*x[1]*x[2]", (0.5, 0.7, 2.0), (1, 1, 1)) == 1.0


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4),
    st.tuples(st.integers(-32, 32), st.integers(-32, 32)),
    st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (1, 3)]),
)
def test_polynomials(terms: list[tuple[int, int, int]], eighths: tuple[int, int], orders: tuple[int, int]) -> None:
    x = [eighths[0] / 8, eighths[1] / 8]

    def derived(power: int, order: int, at: float) -> float:
        return math.perm(power, order) * at ** (power - order) if power >= order else 0.0

    d = mb.mixed(lambda p: sum(a * p[0] ** i * p[1] ** j for a, i, j in terms), x, dict(enumerate(orders)))
    true = sum(a * derived(i, orders[0], x[0]) * derived(j, orders[1], x[1]) for a, i, j in terms)
    assert abs(d.value - true) <= d.error
    assert d.evaluations <= 40


def test_a_separable_f_has_the_derivative_0() -> None:
    for f in (lambda x: math.sin(x[0]) + math.exp(x[1]), lambda x: math.sin(x[0]), lambda x: 3.0):
        d = mb.mixed(f, [0.4, 0.7], {0: 1, 1: 1})
        assert covered(d, 0.0)
        assert d.error < 1e-8


# --- what x and f can be ---


def test_entries_are_named_as_in_partial() -> None:
    x = np.array([[1.0, 2.0], [0.5, 0.25]])
    true = math.exp(0.5) + 0.5 * math.exp(0.5)
    for orders in ({(0, 0): 1, (1, 0): 1}, {0: 1, 2: 1}, {-4: 1, (1, -2): 1}, {np.int64(0): np.int64(1), 2: 1}):
        assert covered(mb.mixed(lambda p: np.exp(p[0, 0] * p[1, 0]) + p[0, 1], x, orders), true)
    given_x = {"a": 2.0, "W": np.ones((2, 2))}
    d = mb.mixed(lambda p: p["a"] ** 2 * np.prod(p["W"]), given_x, {"a": 2, ("W", 1, 1): 1})
    assert covered(d, 2.0)
    assert d.error < 1e-6
    d = mb.mixed(math.sin, 1.0, {0: 3})
    assert d.value == mb.derivative(math.sin, 1.0, order=3).value


def test_a_vector_valued_f() -> None:
    d = mb.mixed(lambda x: np.array([wave(x), 1e6 * x[0] * x[1], 7.0]), [0.3, 0.4], {0: 1, 1: 1})
    assert covered(d, [truth({0: 1, 1: 1}, [0.3, 0.4]), 1e6, 0.0])
    assert d.value.shape == (3,)
    d = mb.mixed(lambda x: {"w": wave(x)}, [0.3, 0.4], {0: 2, 1: 1})
    assert abs(d.value["w"] - truth({0: 2, 1: 1}, [0.3, 0.4])) <= d.error["w"]
    d = mb.mixed(lambda x: np.exp(1j * x[0] * x[1]), [0.3, 0.4], {0: 1, 1: 1})
    assert abs(d.value - (1j - 0.12) * np.exp(0.12j)) <= d.error


def test_single_precision() -> None:
    d = mb.mixed(wave, np.array([0.3, 0.4], np.float32), {0: 1, 1: 1})
    assert covered(d, truth({0: 1, 1: 1}, [0.3, 0.4]) if d.error > 1e-6 else math.nan)
    assert d.error < 1e-2
    d = mb.mixed(lambda x: float(np.float32(wave(x))), [0.3, 0.4], {0: 2, 1: 1})
    assert d.status is Status.NOISY
    assert covered(d, truth({0: 2, 1: 1}, [0.3, 0.4]))


def test_bounds_and_edges() -> None:
    def inside(x: Any) -> float:
        assert x[0] >= 0.0
        assert x[1] <= 1.0
        return math.exp(x[0] * x[1])

    bounds = ([0.0, None], [None, 1.0])
    for x in ([0.0, 0.5], [0.0, 1.0], [1e-4, 1.0], [1e-4, 0.9999], [0.7, 0.2]):
        for orders in ({0: 1, 1: 1}, {0: 2, 1: 1}):
            d = mb.mixed(inside, x, orders, bounds=bounds)
            a, b = x
            true = math.exp(a * b) * (1 + a * b if orders[0] == 1 else 2 * b + a * b * b)
            assert covered(d, true)
            assert d.status is (Status.CONVERGED if x == [0.7, 0.2] else Status.ONE_SIDED)
            assert d.error < 1.0
    d = mb.mixed(lambda x: math.log(x[0]) * x[1], [1e-6, 1.0], {0: 1, 1: 1})
    assert covered(d, 1e6)
    # the axes are inside of the domain, the corners of the first lattices are not
    d = mb.mixed(lambda x: math.sqrt(1.0 - x[0] * x[0] - x[1] * x[1]), [0.1, 0.9], {0: 1, 1: 1})
    assert covered(d, -0.09 / 0.18**1.5)


# --- what is not smooth, noise, budgets ---


@pytest.mark.parametrize(
    "f", [lambda x: abs(x[0]) * x[1], lambda x: abs(x[0] - x[1] + 1.0), lambda x: float(x[0] > 0) + x[1]]
)
def test_where_there_is_no_slope_there_is_no_mixed_derivative(f: Callable[[Any], float]) -> None:
    d = mb.mixed(f, [0.0, 1.0], {0: 1, 1: 1})
    assert d.status in (Status.KINK, Status.JUMP)
    assert math.isnan(d.value)
    assert d.error == math.inf
    assert "there is no mixed derivative" in d.notes[0].message


@pytest.mark.parametrize("orders", [{0: 1, 1: 1}, {0: 2, 1: 2}, {0: 1, 1: 1, 2: 1}, {0: 2, 1: 1, 2: 1}], ids=str)
def test_noise(orders: dict[int, int]) -> None:
    rng = np.random.default_rng(11)
    covers = 0
    for level in (1e-10, 1e-7, 1e-4) * 5:
        x = (rng.standard_normal(4)).tolist()
        d = mb.mixed(lambda p, level=level: wave(p) + level * rng.standard_normal(), x, orders)
        covers += covered(d, truth(orders, x))
        assert d.status is Status.NOISY or not d.status.passes or level < 1e-9
        assert d.evaluations <= 40 * (len(orders) - 1)
    assert covers >= 14
    d = mb.mixed(wave, SHIFTED, orders, noise=1e-6)
    assert d.status is Status.NOISY
    assert covered(d, truth(orders, SHIFTED))


def test_no_budget_is_passed_and_a_tolerance_ends_it() -> None:
    for orders in ({0: 1, 1: 1}, {0: 2, 1: 1, 2: 1}):
        for budget in (*range(1, 42, 3), 60):
            d = mb.mixed(wave, SHIFTED, orders, budget=budget)
            assert d.evaluations <= budget
            assert d.status.passes == math.isfinite(d.error)
            assert covered(d, truth(orders, SHIFTED)) or math.isnan(d.value)
    d = mb.mixed(wave, SHIFTED, {0: 1, 1: 1}, rtol=1e-3)
    assert d.error <= 1e-2 * abs(d.value)
    assert d.evaluations < mb.mixed(wave, SHIFTED, {0: 1, 1: 1}).evaluations


def test_x_is_not_changed_and_f_may_change_its_argument() -> None:
    x = np.array([0.3, 0.4])

    def greedy(p: Any) -> float:
        value = float(wave(p))
        p[:] = 7.0
        return value

    d = mb.mixed(greedy, x, {0: 1, 1: 1})
    assert covered(d, truth({0: 1, 1: 1}, [0.3, 0.4]))
    assert x.tolist() == [0.3, 0.4]


# --- bad input ---


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ({}, r"orders are \{\}; expected entries of x with their orders, such as \{0: 2, 3: 1\}"),
        (None, "orders are None; expected entries of x"),
        ([1, 1], r"orders are \[1, 1\]; expected entries of x"),
        ({0: 0}, "the order of entry 0 is 0; expected a whole number of at least 1"),
        ({0: -2, 1: 1}, "the order of entry 0 is -2"),
        ({0: True}, "the order of entry 0 is True"),
        ({0: 1.0, 1: 1}, "the order of entry 0 is 1.0"),
        ({0: 3, 1: 2}, "5 in all; expected at most 4"),
        ({0: 5}, "5 in all; expected at most 4"),
        ({0: 1, -2: 1}, r"x\[0\] is named twice"),
        ({0: 1, (0,): 1}, r"x\[0\] is named twice"),
        ({2: 1}, "out of range"),
        ({"a": 1}, "'a' is no integer"),
    ],
)
def test_bad_multi_indices(orders: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mb.mixed(wave, [0.3, 0.4], orders)


@pytest.mark.parametrize("method", ["central", "forward", "backward", "complex", mibun.ComplexStep()])
def test_several_entries_want_the_adaptive_method(method: Any) -> None:
    with pytest.raises(InputError, match='for 2 entries; write method="adaptive", or one entry alone'):
        mb.mixed(wave, [0.3, 0.4], {0: 1, 1: 1}, method=method)


def test_one_entry_takes_every_method() -> None:
    for method in ("central", "forward", "complex"):
        d = mb.mixed(wave, [0.3, 0.4], {1: 2}, method=method)
        assert covered(d, truth({1: 2}, [0.3, 0.4]))
    with pytest.raises(InputError, match="x is complex"):
        mb.mixed(wave, [0.3j, 0.4], {1: 2})


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_values_may_be_huge_or_tiny(scale: float) -> None:
    d = mb.mixed(lambda x: scale * x[0] ** 2 * x[1], [1.0, 2.0], {0: 1, 1: 1})
    assert d.status is Status.CONVERGED
    assert abs(d.value - 2 * scale) <= d.error < 1e-9 * scale


@pytest.mark.parametrize("scale", [1e-160, 1e-100, 1e-78, 1e78, 1e100, 1e300])
def test_beyond_the_range_of_floats_there_is_no_number(scale: float) -> None:
    d = mb.mixed(lambda x: np.sin(x[0] / scale) * np.exp(x[1] / scale), [scale, scale], {0: 2, 1: 2})
    assert not d.status.passes
    assert d.error == math.inf


def test_what_f_raises() -> None:
    def broken(x: Any) -> float:
        raise KeyError("key")

    with pytest.raises(KeyError, match="key"):
        mb.mixed(broken, [0.3, 0.4], {0: 1, 1: 1})

    def elsewhere(x: Any) -> float:
        if x[0] != 0.3 and x[1] != 0.4:
            raise RuntimeError("a corner")
        return float(wave(x))

    for vectorized in (False, True):
        with pytest.raises(RuntimeError, match="a corner"):
            mb.mixed(
                (lambda s: np.array([elsewhere(x) for x in s])) if vectorized else elsewhere,
                [0.3, 0.4],
                {0: 1, 1: 1},
                vectorized=vectorized,
            )


@pytest.mark.parametrize("offset", [1e6, 1e8, 1e10])
def test_polynomials_beside_a_large_offset(offset):
    # the search along an axis may go on to larger steps for long; it knows one that is good enough here
    d = mb.mixed(lambda x: offset + x[0] * x[1], [1.0, 2.0], {0: 1, 1: 1})
    assert d.status is mb.Status.CONVERGED
    assert abs(d.value - 1.0) <= d.error < 1e-3
    assert d.evaluations <= 40
