"""`Adaptive(start=...)`: where the search for the scale of f begins."""

import math

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError


def waves(x):
    return np.sum(np.sin(1e4 * x))


@pytest.mark.parametrize("count", [7, 60], ids=["alone", "together"])
@pytest.mark.parametrize("bounds", [None, (0.0, 3.0)], ids=["free", "bounded"])
def test_the_steps_of_a_result_save_evaluations_and_no_trust(count, bounds):
    x = np.random.default_rng(1).uniform(1, 2, count)
    cold = mb.gradient(waves, x, bounds=bounds)
    warm = mb.gradient(waves, x, bounds=bounds, method=mb.Adaptive(start=cold.step))
    assert warm.evaluations < 0.75 * cold.evaluations
    for found in (cold, warm):
        assert (abs(found.value - 1e4 * np.cos(1e4 * x)) <= found.error).all()


def test_every_element_has_a_start_of_its_own():
    scales = np.logspace(-6, 3, 9)

    def f(x):
        return np.sum(np.tanh(x / scales))

    x = 0.7 * scales + 5.0
    shifted = lambda x: f(x - 5.0)  # noqa: E731  the size of x says nothing of the scales
    cold = mb.gradient(shifted, x)
    warm = mb.gradient(shifted, x, method=mb.Adaptive(start=cold.step))
    assert warm.evaluations <= cold.evaluations - 20
    truth = 1 / np.cosh((x - 5.0) / scales) ** 2 / scales
    assert (abs(warm.value - truth) <= warm.error).all()


def test_hessians_and_sparse_jacobians_begin_there_too():
    x = np.linspace(1, 2, 10)
    cold = mb.hessian(waves, x)
    warm = mb.hessian(waves, x, method=mb.Adaptive(start=cold.gradient.step))
    assert warm.evaluations < 0.85 * cold.evaluations
    cold = mb.jacobian(lambda x: np.sin(1e4 * x), x, sparsity=np.eye(10))
    warm = mb.jacobian(
        lambda x: np.sin(1e4 * x), x, sparsity=np.eye(10), method=mb.Adaptive(start=cold.step.diagonal())
    )
    assert warm.evaluations < 0.75 * cold.evaluations
    assert (abs(warm.value.diagonal() - 1e4 * np.cos(1e4 * x)) <= warm.error.diagonal()).all()


@pytest.mark.parametrize("start", [1e-300, 1e-17, 1e6])
def test_a_start_that_is_far_off_only_costs(start):
    found = mb.derivative(math.sin, 1.0, method=mb.Adaptive(start=start))
    assert abs(found.value - math.cos(1.0)) <= found.error < 1e-11


def test_it_is_a_power_of_2_and_printed():
    assert mb.Adaptive(start=0.1).start == 0.125
    assert repr(mb.Adaptive(start=0.1)) == "Adaptive(start=0.125)"
    assert repr(mb.Adaptive(start=[1, 0])) == "Adaptive(start=(1.0, 0.0))"
    assert repr(mb.Adaptive()) == "Adaptive()"
    assert mb.Adaptive(start=np.array([1.0, 3.0])) == mb.Adaptive(start=(1, 4))


@pytest.mark.parametrize("start", [-1.0, math.nan, math.inf, "small", [[1.0]], [1.0, -1.0], None])
def test_what_is_no_step_is_refused(start):
    with pytest.raises(InputError, match=r"start is .*expected a step"):
        mb.Adaptive(start=start)


def test_another_number_of_starts_is_refused():
    method = mb.Adaptive(start=[1.0, 2.0])
    for call in (
        lambda: mb.gradient(waves, np.ones(3), method=method),
        lambda: mb.jacobian(lambda x: x, np.ones(3), sparsity=np.eye(3), method=method),
        lambda: mb.derivative(math.sin, 1.0, method=method),
    ):
        with pytest.raises(InputError, match=r"start has 2 steps for [13] elements"):
            call()
