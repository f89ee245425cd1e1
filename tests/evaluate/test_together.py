"""Many elements led together give what each of them gives alone: bits, statuses, notes and counts."""

import math
import tracemalloc

import numpy as np
import pytest

import mibun as mb
from mibun.status import Status


def mixed(x):
    """Smooth nearly everywhere; a kink at 1, a jump at 2, no value below -3, a parabola far out."""
    with np.errstate(all="ignore"):
        value = np.exp(np.sin(x)) + np.abs(x - 1) + (x >= 2) + 0 * np.sqrt(x + 3)
    return np.where(np.abs(x) > 50, x * x, value)


POINTS = np.concatenate([np.random.default_rng(5).normal(size=180) * 4, [1.0, 2.0, -3.0, 0.0, 80.0, -5.0, 1e-9, 1e9]])


def test_bits_and_statuses_are_those_of_each_element_alone():
    points = POINTS[POINTS >= -3]
    together = mb.derivative(mixed, points, vectorized=True)
    alone = [mb.derivative(lambda t: float(mixed(t)), float(point)) for point in points]
    for name in ("value", "error", "step", "noise"):
        np.testing.assert_array_equal(getattr(together, name), [getattr(d, name) for d in alone])
    assert together.status.tolist() == [d.status for d in alone]
    # Alone, a point that a method asks for twice is evaluated twice.
    assert 0 <= sum(d.evaluations for d in alone) - together.evaluations <= 0.01 * together.evaluations
    assert {Status.CONVERGED, Status.KINK, Status.JUMP, Status.ONE_SIDED} <= set(together.status.tolist())


def test_a_plain_f_is_led_together_too_and_gives_the_same_bits():
    points = POINTS[POINTS >= -3]
    calls = []

    def f(t):
        calls.append(t)
        return float(mixed(t))

    plain, stacked = mb.derivative(f, points), mb.derivative(mixed, points, vectorized=True)
    for name in ("value", "error", "truncation", "rounding", "step", "noise", "fx"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(stacked, name))
    assert plain.status.tolist() == stacked.status.tolist()
    assert [(n.element, n.status) for n in plain.notes] == [(n.element, n.status) for n in stacked.notes]
    assert plain.evaluations == stacked.evaluations == len(calls)


def test_many_elements_do_not_depend_on_their_order():
    points = POINTS[POINTS > -3]
    backwards = mb.derivative(lambda t: float(mixed(t)), points[::-1])
    forwards = mb.derivative(lambda t: float(mixed(t)), points)
    for name in ("value", "error", "step"):
        np.testing.assert_array_equal(getattr(backwards, name)[::-1], getattr(forwards, name))
    assert backwards.status.tolist()[::-1] == forwards.status.tolist()
    assert backwards.evaluations == forwards.evaluations


def test_each_call_gets_a_point_of_its_own():
    kept = []

    def f(p):
        kept.append(p.copy())
        p *= 2.0
        return math.fsum(np.sin(p))

    x = np.linspace(-1, 2, 70)
    found = mb.gradient(f, x)
    assert np.all(np.abs(found.value - 2 * np.cos(2 * x)) <= found.error)
    assert len({point.tobytes() for point in kept}) == len(kept) == found.evaluations
    assert np.array_equal(x, np.linspace(-1, 2, 70))
    assert all(np.count_nonzero(point != x) <= 1 for point in kept)


def test_the_domain_may_end_beside_some_elements():
    x = np.concatenate([np.linspace(0.5, 3, 60), [1e-3, 1e-9]])

    def f(p):
        return math.fsum(math.log(t) for t in p.tolist())

    found = mb.gradient(f, x)
    assert np.all(np.abs(found.value - 1 / x) <= found.error)
    assert found.status[:60].tolist() == [Status.CONVERGED] * 60

    def raises(p):
        if np.any(p != x):
            raise ValueError("nowhere else")
        return 1.0

    with pytest.raises(ValueError, match="every point"):
        mb.gradient(raises, x)


def test_other_exceptions_name_the_element():
    x = np.ones(60)

    def f(p):
        if p[7] != 1.0:
            raise RuntimeError("broken")
        return float(p.sum())

    with pytest.raises(RuntimeError, match=r"broken .*\[7\] = "):
        mb.gradient(f, x)


def test_a_complex_value_at_some_points_means_outside():
    x = np.append(np.linspace(0.5, 3, 60), 0.0)
    found = mb.gradient(lambda p: sum(t**2.5 + t for t in p.tolist()), x)
    assert found.status[-1] is Status.ONE_SIDED
    assert "complex" in found.notes[-1].message
    assert np.all(np.abs(found.value - 2.5 * x**1.5 - 1) <= found.error)


@pytest.mark.parametrize("vectorized", [False, True])
def test_points_are_made_as_they_are_needed(vectorized):
    x = np.linspace(1, 2, 2000)
    tracemalloc.start()
    mb.gradient(lambda p: np.sum(p * p, axis=-1), x, vectorized=vectorized)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20  # all points of a round would be 128 MB


def test_the_gradient_of_a_separable_function_is_that_of_its_terms():
    points = POINTS[np.abs(POINTS) < 3]
    whole = mb.gradient(lambda s: np.sin(s).sum(axis=-1), points, vectorized=True)
    assert np.all(np.abs(whole.value - np.cos(points)) <= whole.error)
    assert np.all(whole.error < 1e-9)


def test_no_point_is_asked_for_twice():
    asked = []

    def f(x):
        asked.append(x.copy())
        return mixed(x)

    points = POINTS[POINTS > -2.9]
    found = mb.derivative(f, points, vectorized=True)
    every = np.concatenate(asked)
    assert len(every) == found.evaluations
    assert len(every) <= 40 * len(points)


@pytest.mark.parametrize("options", [{"rtol": 1e-3}, {"budget": 2000}, {"bounds": (-10, 10)}, {"noise": 1e-12}])
def test_wishes_that_arrays_do_not_know_are_led_as_always(options):
    points = POINTS[(np.abs(POINTS) < 9) & (POINTS > -2)]
    found = mb.derivative(np.exp, points, vectorized=True, **options)
    assert np.all(np.abs(found.value - np.exp(points)) <= found.error)


def test_values_of_several_numbers_are_led_as_always():
    points = np.linspace(0.5, 2, 60)
    calls = []

    def f(x):
        calls.append(len(x))
        return np.stack([np.sin(x), np.exp(x)], axis=1)

    found = mb.derivative(f, points, vectorized=True)
    assert found.value.shape == (60, 2)
    assert np.all(np.abs(found.value - np.stack([np.cos(points), np.exp(points)], axis=1)) <= found.error)
    assert sum(calls) == found.evaluations
