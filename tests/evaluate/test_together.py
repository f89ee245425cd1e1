"""Many elements led together give what each of them gives alone: bits, statuses, notes and counts."""

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
