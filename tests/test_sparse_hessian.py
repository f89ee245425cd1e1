"""Sparse Hessians: of a gradient by star colours, of f alone by the pairs of the pattern."""

import sys
from pathlib import Path

import numpy as np
import pytest

import mibun.hessians as mb
from mibun.errors import InputError, MissingDependency
from mibun.status import Status

sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

patterns = pytest.importorskip("patterns", reason="scipy is not installed")

FIELDS = ("value", "error", "truncation", "rounding", "status", "step")


class Counted:
    def __init__(self, f):
        self.f, self.count = f, 0

    def __call__(self, x):
        self.count += 1
        return self.f(x)


def chain(x):
    return np.sum(np.sin(x[:-1] * x[1:]))


def chain_gradient(x):
    g, c = np.zeros_like(x), np.cos(x[:-1] * x[1:])
    g[:-1] += x[1:] * c
    g[1:] += x[:-1] * c
    return g


def chain_hessian(x):
    h, i = np.zeros((x.size, x.size)), np.arange(x.size - 1)
    c, s = np.cos(x[:-1] * x[1:]), np.sin(x[:-1] * x[1:])
    np.add.at(h, (i, i), -(x[1:] ** 2) * s)
    np.add.at(h, (i + 1, i + 1), -(x[:-1] ** 2) * s)
    h[i, i + 1] = h[i + 1, i] = c - x[:-1] * x[1:] * s
    return h


def star(x):
    return np.sum(np.sin(x[0] * x[1:])) + np.exp(x[0])


def star_gradient(x):
    c = np.cos(x[0] * x[1:])
    return np.concatenate([[np.sum(x[1:] * c) + np.exp(x[0])], x[0] * c])


def star_hessian(x):
    c, s = np.cos(x[0] * x[1:]), np.sin(x[0] * x[1:])
    h = np.diag(np.concatenate([[np.exp(x[0]) - np.sum(x[1:] ** 2 * s)], -(x[0] ** 2) * s]))
    h[0, 1:] = h[1:, 0] = c - x[0] * x[1:] * s
    return h


CASES = {"chain": (chain, chain_gradient, chain_hessian), "star": (star, star_gradient, star_hessian)}


def point(n):
    return np.random.default_rng(1).normal(size=n) + 2


def agrees(found, truth):
    """The promise, and symmetry to the bit."""
    for name in FIELDS:
        matrix = getattr(found, name)
        assert matrix.nnz == np.count_nonzero(truth)
        np.testing.assert_array_equal(matrix.toarray(), matrix.T.toarray())
    assert np.all(np.abs(found.value.toarray() - truth) <= found.error.toarray())
    return True


@pytest.mark.parametrize("sparsity", ["given", "detect"])
@pytest.mark.parametrize("name", CASES)
def test_the_derivative_of_a_gradient(name, sparsity):
    x = point(80)
    _, gradient, hessian = CASES[name]
    g, truth = Counted(gradient), hessian(x)
    found = mb.hessian(None, x, gradient=g, sparsity=truth != 0 if sparsity == "given" else sparsity)
    assert agrees(found, truth)
    assert found.evaluations == g.count
    assert found.error.data.max() < 1e-9
    np.testing.assert_array_equal(found.gradient.value, gradient(x))
    assert found.gradient.evaluations == 1
    assert not found.notes


def test_two_colours_are_enough_for_an_arrow():
    x = point(400)
    g = Counted(star_gradient)
    found = mb.hessian(None, x, gradient=g, sparsity=star_hessian(x) != 0, method="central")
    assert g.count == 13  # x, four points for each colour, four along a direction
    assert np.abs(found.value.toarray() - star_hessian(x)).max() < 1e-6


@pytest.mark.parametrize("method", ["central", "forward", "complex"])
def test_every_method_does_for_a_gradient(method):
    x = point(60)
    found = mb.hessian(None, x, gradient=chain_gradient, sparsity=chain_hessian(x) != 0, method=method)
    assert np.abs(found.value.toarray() - chain_hessian(x)).max() < 1e-4
    np.testing.assert_array_equal(found.value.toarray(), found.value.toarray().T)


@pytest.mark.parametrize("sparsity", ["given", "detect"])
@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_of_f_alone(name, sparsity):
    x = point(40)
    function, _, hessian = CASES[name]
    f, truth = Counted(function), hessian(x)
    found = mb.hessian(f, x, sparsity=truth != 0 if sparsity == "given" else sparsity)
    assert agrees(found, truth)
    assert found.evaluations == f.count < (25 if sparsity == "given" else 33) * 40
    assert np.all(np.abs(found.gradient.value - CASES[name][1](x)) <= found.gradient.error)
    assert found.fx == function(x)


def test_it_has_the_bits_of_the_dense_one_for_fewer_evaluations():
    x = point(25)
    dense = mb.hessian(chain, x)
    found = mb.hessian(chain, x, sparsity=chain_hessian(x) != 0)
    np.testing.assert_array_equal(found.value.toarray(), np.where(chain_hessian(x) != 0, dense.value, 0.0))
    np.testing.assert_array_equal(found.error.toarray(), np.where(chain_hessian(x) != 0, dense.error, 0.0))
    assert found.evaluations < dense.evaluations


def test_an_empty_pattern_is_one():
    x = np.array([1.0, 2.0, 3.0])
    assert mb.hessian(np.sum, x, sparsity=np.zeros((3, 3))).value.nnz == 0
    found = mb.hessian(lambda x: np.sum(x**2), x, sparsity=np.zeros((3, 3)))
    assert np.all(np.abs(found.value.toarray() - 2 * np.eye(3)) <= found.error.toarray())
    assert any("missed 3 entries" in note.message for note in found.notes)


def test_vectorized_is_the_same_to_the_bit():
    x = point(30)
    pattern = chain_hessian(x) != 0
    plain = mb.hessian(chain, x, sparsity=pattern)
    stacked = mb.hessian(lambda p: np.array([chain(row) for row in p]), x, sparsity=pattern, vectorized=True)
    np.testing.assert_array_equal(stacked.value.data, plain.value.data)
    np.testing.assert_array_equal(stacked.error.data, plain.error.data)


@pytest.mark.parametrize("diagonal", [True, False])
def test_a_diagonal_that_is_left_out_stays_out(diagonal):
    def f(x):
        return x[0] * x[1] + x[1] * x[2]

    pattern = np.eye(3, k=1) + np.eye(3, k=-1) + diagonal * np.eye(3)
    for options in ({}, {"gradient": lambda x: np.array([x[1], x[0] + x[2], x[1]])}):
        found = mb.hessian(f, [1.0, 2.0, 3.0], sparsity=pattern, **options)
        assert found.value.nnz == 4 + 3 * diagonal
        assert np.all(np.abs(found.value.toarray() - np.eye(3, k=1) - np.eye(3, k=-1)) <= found.error.toarray())


# --- Misses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_gradient", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_a_missing_pair_is_found_and_noted(name, of_gradient):
    x = point(60)
    f, gradient, hessian = CASES[name]
    truth = hessian(x)
    pattern = truth != 0
    i, j = (0, 8) if name == "star" else (7, 8)
    pattern[i, j] = pattern[j, i] = False
    found = mb.hessian(f, x, sparsity=pattern, gradient=gradient if of_gradient else None)
    assert f"the pattern missed 2 entries, the first of them [{i}, {j}]" in found.notes[-1].message
    assert agrees(found, truth)


@pytest.mark.parametrize("seed", range(15))
def test_a_right_pattern_is_not_doubted_and_detection_misses_nothing(seed):
    rng = np.random.default_rng(seed)
    parts, x, rows = patterns.random_parts(rng)
    pattern = rows.T @ rows > 0

    def f(x):
        return 10.0 * (seed % 2) + parts(x).sum()

    given = mb.hessian(f, x, sparsity=pattern)
    assert not any("bends" in note.message or "missed" in note.message for note in given.notes)
    found = mb.hessian(f, x, sparsity="detect").value.toarray() != 0
    assert not (found & ~pattern).any()
    value = given.value.toarray()
    felt = np.abs(value) > 1e3 * given.error.toarray()
    assert found[felt].all()


def test_what_is_no_gradient_is_unresolved():
    found = mb.hessian(None, np.ones(5), gradient=lambda x: np.append(x[1:], x[0]) ** 2, sparsity="detect")
    assert not found.passes
    assert np.isinf(found.error.data).all()
    assert "its derivative is not symmetric" in found.notes[-1].message


def test_a_kink_is_named_and_spoils_no_other():
    def gradient(x):
        g = chain_gradient(x)
        g[4] += abs(x[4] - 2.0)
        return g

    x = np.full(12, 2.0)
    found = mb.hessian(None, x, gradient=gradient, sparsity=np.abs(np.subtract.outer(range(12), range(12))) < 2)
    assert found[4, 4].status is Status.KINK
    assert (found.status.data == Status.CONVERGED.code).sum() == found.value.nnz - 1


# --- Budgets, bounds, what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("of_gradient", [True, False])
@pytest.mark.parametrize("sparsity", ["given", "detect"])
@pytest.mark.parametrize("budget", [3, 30, 100, 300, 600, 3000])
def test_a_budget_is_never_passed(budget, sparsity, of_gradient):
    x = point(30)
    f, g = Counted(chain), Counted(chain_gradient)
    truth = chain_hessian(x)
    pattern = truth != 0 if sparsity == "given" else sparsity
    try:
        found = mb.hessian(f, x, gradient=g if of_gradient else None, sparsity=pattern, budget=budget)
    except InputError:
        assert budget < 1000
    else:
        known = np.isfinite(found.value.data)
        off = np.abs(found.value.data - truth[found.value.tocoo().coords])[known]
        assert np.all(off <= found.error.data[known])
        assert known.all() or budget < 1000
    assert f.count + g.count <= budget


def test_bounds_are_kept():
    seen = []

    def f(x):
        seen.append(x.copy())
        return chain(x)

    x = np.linspace(0.5, 1.0, 20)
    found = mb.hessian(f, x, sparsity="detect", bounds=(0.5, 1.0))
    assert all(p.min() >= 0.5 and p.max() <= 1.0 for p in seen)
    assert np.nanmax(np.abs(found.value.toarray() - chain_hessian(x))) < 1e-2


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.ones(4), {"sparsity": np.triu(np.ones((4, 4)))}, r"an entry at \(0, 1\) and none at \(1, 0\).*pattern.T"),
        (np.ones(4), {"sparsity": np.eye(5)}, r"shape \(5, 5\); expected \(4, 4\)"),
        (np.ones(4), {"sparsity": "find"}, "sparsity is 'find'"),
        ({"a": np.ones(4)}, {"sparsity": np.eye(4)}, "x is a structure"),
    ],
)
@pytest.mark.parametrize("of_gradient", [True, False])
def test_what_cannot_be_used_is_refused(x, options, message, of_gradient):
    words = {"gradient": chain_gradient} if of_gradient else {}
    with pytest.raises(InputError, match=message):
        mb.hessian(lambda p: chain(p) if isinstance(p, np.ndarray) else 0.0, x, **options, **words)


def test_a_gradient_of_another_size_is_refused():
    with pytest.raises(InputError, match="gradient returned 3 numbers for 4 entries"):
        mb.hessian(None, np.ones(4), gradient=lambda x: x[:3], sparsity=np.eye(4))
    with pytest.raises(InputError, match="f returned 4 numbers at x"):
        mb.hessian(lambda x: x, np.ones(4), sparsity=np.eye(4))


def test_without_scipy_the_message_is_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    for options in ({}, {"gradient": chain_gradient}):
        with pytest.raises(MissingDependency, match=r"pip install 'mibun\[scipy\]'"):
            mb.hessian(chain, np.ones(3), sparsity=np.eye(3), **options)
