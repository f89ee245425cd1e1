"""Sparse Hessians from f alone."""

import numpy as np
import pytest

import mibun.derivatives as mb
from mibun.errors import InputError
from mibun.sparse_hessian import sparse_hessian
from mibun.status import Status

pytest.importorskip("scipy.sparse", reason="scipy is not installed")


def rosenbrock(x):
    return np.sum(100.0 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1.0 - x[..., :-1]) ** 2, axis=-1)


def curvature(x):
    main = np.zeros(x.size)
    main[:-1] = 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
    main[1:] += 200.0
    side = -400.0 * x[:-1]
    return np.diag(main) + np.diag(side, 1) + np.diag(side, -1)


def bands(n):
    return np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)


@pytest.mark.parametrize("seed", range(10))
def test_rosenbrock_is_covered(seed):
    x = np.random.default_rng(seed).uniform(-2, 2, 40)
    gradient = mb.gradient(rosenbrock, x)
    found = sparse_hessian(rosenbrock, x, bands(40), gradient)
    off = np.abs(found.value.toarray() - curvature(x))
    assert np.mean(off <= found.error.toarray()) >= 0.985
    assert off.max() < 1e-7 * np.abs(curvature(x)).max()
    assert (found.value != found.value.T).nnz == 0
    assert found.evaluations == gradient.evaluations + 1 + 8 * (40 + 39)
    assert found.gradient is gradient
    stacked = sparse_hessian(rosenbrock, x, bands(40), gradient, vectorized=True)
    np.testing.assert_allclose(stacked.value.data, found.value.data, rtol=1e-6, atol=1e-5)


def test_smooth_functions_are_covered_at_points_of_many_sizes():
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(60):
        a, b, c = rng.normal(size=3)
        x = rng.normal(size=2) * 10.0 ** rng.integers(-2, 3)

        def f(v, a=a, b=b, c=c):
            return np.exp(np.sin(a * v[0] + b * v[1])) + c * v[0] * v[1]

        found = sparse_hessian(f, x, np.ones((2, 2)), mb.gradient(f, x))
        t = a * x[0] + b * x[1]
        second = np.exp(np.sin(t)) * (np.cos(t) ** 2 - np.sin(t))
        truth = second * np.outer([a, b], [a, b]) + c * np.array([[0, 1], [1, 0]])
        hits.append(np.abs(found.value.toarray() - truth) <= found.error.toarray())
    assert np.mean(hits) >= 0.985


def test_separable_parts_have_zeros_within_their_error():
    x = np.linspace(1, 2, 6)

    def f(v):
        return np.sum(np.exp(v))

    found = sparse_hessian(f, x, bands(6), mb.gradient(f, x))
    assert found.value.nnz == 16
    assert np.all(np.abs(found.value.toarray() - np.diag(np.exp(x))) <= found.error.toarray())


def test_bounds_are_kept_and_no_room_is_no_number():
    seen = []

    def f(v):
        seen.append(v.copy())
        return float(v[0] ** 2 * v[1])

    x = np.array([0.0, 1.0])
    gradient = mb.gradient(f, x, bounds=(0.0, 1.5))
    found = sparse_hessian(f, x, np.ones((2, 2)), gradient, bounds=(0.0, 1.5))
    assert min(point.min() for point in seen) >= 0.0
    assert found.status[0, 0] == Status.NOT_FINITE.code
    assert np.isinf(found.error[0, 1])
    assert abs(found.value[1, 1]) <= found.error[1, 1]


def test_what_cannot_be_used_is_refused():
    x = np.ones(3)
    gradient = mb.gradient(rosenbrock, x)
    lopsided = np.eye(3)
    lopsided[0, 2] = 1
    with pytest.raises(InputError, match=r"an entry at \(0, 2\) and none at \(2, 0\)"):
        sparse_hessian(rosenbrock, x, lopsided, gradient)
    with pytest.raises(InputError, match=r"expected \(3, 3\)"):
        sparse_hessian(rosenbrock, x, np.eye(4), gradient)
    with pytest.raises(InputError, match="a Hessian is that of one number"):
        sparse_hessian(lambda v: v, x, np.eye(3), gradient)
