"""Functions that do not behave: hidden state, faults at one point, mibun inside; and steps that x cannot resolve."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mibun.derivatives as mb
from mibun.errors import InputError
from mibun.methods import Backward, Central, Forward
from mibun.result import Derivative
from mibun.status import Status

MANY = np.linspace(0.5, 1.5, 60)  #: enough elements for the course that they take together


def covered(d: Derivative, truth: Any) -> bool:
    return bool(np.all(np.abs(d.value - truth) <= d.error))


# --- hidden state: two calls at the same x differ ---


def drawn() -> Callable[[Any], Any]:
    rng = np.random.default_rng(7)
    return lambda x: np.sin(x) + 1e-6 * rng.standard_normal(np.shape(x))


def alternating() -> Callable[[Any], Any]:
    calls = itertools.count()
    return lambda x: np.sin(x) + 1e-6 * (next(calls) % 2)


def test_hidden_state_that_looks_like_a_jump_gives_no_number() -> None:
    assert mb.derivative(alternating(), 1.0).status in (Status.JUMP, Status.NOISY)  # f(x) was even, f(x + h) odd


def drifting() -> Callable[[Any], Any]:
    calls = itertools.count()
    return lambda x: np.sin(x) + 1e-8 * next(calls)


@pytest.mark.parametrize("make", [drawn, drifting])
def test_hidden_state_is_noise(make: Callable[[], Any]) -> None:
    d = mb.derivative(make(), 1.0)
    assert d.status is Status.NOISY
    assert covered(d, math.cos(1.0))
    assert d.error < 1e-2
    f = make()
    d = mb.gradient(lambda p: float(np.sum(f(p))), [1.0, 2.0])
    assert covered(d, np.cos([1.0, 2.0]))
    assert np.all(d.error < 1e-2)


def test_hidden_state_in_a_vectorized_f() -> None:
    d = mb.derivative(drawn(), MANY, vectorized=True)
    assert np.mean(np.abs(d.value - np.cos(MANY)) <= d.error) >= 0.95
    assert set(d.status.tolist()) == {Status.NOISY}


@pytest.mark.parametrize("method", ["adaptive", "central", "forward", "backward"])
@pytest.mark.parametrize("make", [drawn, drifting])
def test_hidden_state_crashes_no_budget(make: Callable[[], Any], method: str) -> None:
    for budget in range(1, 46):
        d = mb.derivative(make(), 1.0, budget=budget, method=method)
        assert d.evaluations <= budget
        f = make()
        d = mb.jacobian(lambda p, f=f: np.append(f(p), f(p)[0] + p[1]), [1.0, 2.0], budget=budget, method=method)
        assert d.evaluations <= budget


# --- a fault at one point ---


def failing_at(call: int, kind: type[Exception]) -> Callable[[Any], float]:
    calls = itertools.count()

    def f(x: Any) -> float:
        if next(calls) == call:
            raise kind("only once")
        return math.exp(x)

    return f


@pytest.mark.parametrize("call", range(1, 11))
def test_a_value_that_is_missing_once_costs_points_and_nothing_else(call: int) -> None:
    d = mb.derivative(failing_at(call, ZeroDivisionError), 1.0)
    assert d.status.passes
    assert covered(d, math.e)
    assert d.error < 1e-8
    assert 11 < d.evaluations <= 40


@pytest.mark.parametrize("call", range(11))
def test_any_other_fault_is_raised_at_once(call: int) -> None:
    f = failing_at(call, KeyError)
    with pytest.raises(KeyError):
        mb.derivative(f, 1.0)
    assert f(1.0) == math.e  # no call after the one that failed


@pytest.mark.parametrize("x", [1.0, MANY], ids=["one", "many"])
def test_a_stack_with_a_fault_at_one_place(x: Any) -> None:
    def f(stack: Any) -> Any:
        if np.any(np.abs(stack - 1.04) < 0.001):
            raise ValueError("nothing here")
        return np.exp(stack)

    d = mb.derivative(f, x, vectorized=True)
    assert covered(d, np.exp(x))


# --- shapes that change, arguments that are written to, on every road ---


@pytest.mark.parametrize("verb", [mb.derivative, mb.gradient, mb.jacobian])
@pytest.mark.parametrize("n", [2, 60])
def test_a_shape_that_changes_is_refused_everywhere(verb: Callable[..., Any], n: int) -> None:
    first = []

    def f(x: Any) -> Any:
        value = x.sum(axis=-1) if x.ndim > 1 else x * 1.0
        first.append(0)
        return value if len(first) == 1 else value[:-1]

    with pytest.raises(InputError, match=rf"stack of \d+ points and returned shape.*\({n * 4 if n < 20 else ''}"):
        verb(f, np.ones(n), vectorized=True)


@pytest.mark.parametrize("x", [np.array([1.0, 2.0]), MANY.copy()], ids=["few", "many"])
def test_a_vectorized_f_may_write_to_its_argument(x: Any) -> None:
    before = x.copy()

    def f(stack: Any) -> Any:
        stack *= stack
        return stack

    d = mb.derivative(f, x, vectorized=True)
    assert covered(d, 2 * before)
    assert np.array_equal(x, before)


# --- mibun inside f ---


@pytest.mark.parametrize("method", ["adaptive", "central", "forward", "backward"])
def test_an_f_that_differentiates(method: str) -> None:
    inner = mb.derivative(lambda x: mb.derivative(math.sin, x).value, 0.7, method=method)
    # the inner error is noise to the outer method, which a fixed step does not look for
    assert abs(inner.value + math.sin(0.7)) <= (inner.error if method == "adaptive" else 1e-5)
    whole = mb.derivative(lambda x: mb.derivative(math.sin, x), 0.7, method=method)  # the Derivative itself
    assert (whole.value, whole.error) == (inner.value, inner.error)


def test_an_f_that_differentiates_many() -> None:
    def f(x: Any) -> Any:
        return mb.derivative(lambda t: t**3, x, vectorized=True).value

    d = mb.derivative(f, MANY, vectorized=True)
    off = np.abs(d.value - 6 * MANY) / d.error
    assert np.mean(off <= 1) >= 0.9  # the inner error is noise so small that it is not always told from rounding
    assert np.max(off) < 3
    d = mb.jacobian(lambda p: mb.gradient(lambda q: float(q @ q * q[0]), p).value, [1.0, 2.0])
    assert covered(d, [[6.0, 4.0], [4.0, 2.0]])
    assert d.passes


def test_the_complex_step_does_not_believe_an_f_that_differentiates() -> None:
    d = mb.derivative(lambda x: mb.derivative(np.exp, x).value, 1.0, method="complex")
    assert (d.status, d.error) == (Status.UNRESOLVED, math.inf)


# --- x + h == x ---


@pytest.mark.parametrize("method", [Forward(step=1e-20), Backward(3, step=1e-20), Central(step=1e-17)], ids=str)
def test_a_step_that_vanishes_is_told_by_every_verb(method: Any) -> None:
    for d in (
        mb.derivative(math.exp, 1.0, method=method),
        mb.derivative(np.exp, np.ones(3), method=method),
        mb.derivative(np.exp, np.ones(60), method=method, vectorized=True),
        mb.gradient(lambda p: float(p @ p), [1.0, 2.0], method=method),
        mb.jacobian(np.exp, [1.0, 2.0], method=method),
        mb.partial(lambda p: float(p @ p), [1.0, 2.0], 1, method=method),
        mb.directional(lambda p: float(p @ p), [1.0, 2.0], [1.0, 1.0], method=method),
    ):
        assert np.all(d.status == Status.UNRESOLVED)
        assert np.all(np.isnan(d.value))
        assert np.all(np.isposinf(d.error))
        assert "vanishes" in d.notes[0].message


@pytest.mark.parametrize("method", ["adaptive", "central"])
@pytest.mark.parametrize("x", [1.0, 1e-30, 1e-38, 1e-39, 1e-43, 1e-45, 1e30, 16777217.0])
def test_steps_of_float32_are_not_lost(x: float, method: str) -> None:
    assert covered(mb.derivative(lambda t: t, np.float32(x), method=method), 1.0)


def test_a_step_that_float32_cannot_resolve_vanishes() -> None:
    d = mb.derivative(np.exp, np.float32(1.0), method=Central(step=1e-9))
    assert (d.status, d.error) == (Status.UNRESOLVED, math.inf)


@pytest.mark.parametrize("x", [1.7e308, -1.7e308, 5e-324, -1e-310, 2.0**-1022])
@pytest.mark.parametrize("method", ["adaptive", "forward", "backward", "central"])
def test_at_the_ends_of_the_floats(x: float, method: str) -> None:
    d = mb.derivative(lambda t: t / 4, x, method=method)
    assert d.error > 0.0
    assert covered(d, 0.25) or (d.error == math.inf and not d.status.passes and d.notes)


@pytest.mark.parametrize("method", ["adaptive", "forward", "backward", "central", Forward(2), "complex"], ids=str)
def test_nothing_passes_with_an_error_of_zero(method: Any) -> None:
    for f in (lambda t: t * 0.0 + 3.0, lambda t: t * 1.0, lambda t: t * t * 0.5):
        for x in (0.0, 1.0, 1e-300, -2.0):
            assert mb.derivative(f, x, method=method).error > 0.0


# --- the teeth of a saw: a part of f on a grid, beside or times a smooth one ---


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_a_part_in_float32_is_noise(scale: float) -> None:
    def f(x: float) -> float:
        return float(np.float32(math.sin(x))) + 0.37 * scale * x

    found = [(x, mb.derivative(f, x)) for x in np.linspace(0.3, 6.0, 40).tolist()]
    assert all(abs(d.value - math.cos(x) - 0.37 * scale) <= d.error for x, d in found)
    assert sum(d.status is Status.NOISY for _, d in found) >= 38


@pytest.mark.parametrize("x", [1e-3, 1e-4, 1e-5])
def test_cancellation_under_a_fraction_is_noise(x: float) -> None:
    d = mb.derivative(lambda t: (1.0 - math.cos(t)) / t**2, x)
    assert abs(d.value + x / 12) <= d.error or not d.passes
