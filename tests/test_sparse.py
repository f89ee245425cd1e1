"""Sparse Jacobians: values, bounds, counts of calls, detection, mending, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mibun.derivatives as mb
from mibun.errors import InputError, MissingDependency, NotConverged
from mibun.methods import Backward, Central, Forward
from mibun.sparsity import Sparsity
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


def broyden(x):
    left, right = np.append(0.0, x[:-1]), np.append(x[1:], 0.0)
    return (3 - 2 * x) * x - left - 2 * right + 1


def broyden_slopes(x):
    n = x.size
    return np.diag(3 - 4 * x) - np.eye(n, k=-1) - 2 * np.eye(n, k=1)


def waves(x):
    """Three bands, with scales that differ from row to row."""
    left, right = np.append(0.0, x[:-1]), np.append(x[1:], 0.0)
    return np.exp(np.sin(x) * np.linspace(0.1, 2, x.size)) + left * x - right**3


def tridiagonal(n):
    return sum(np.eye(n, k=k) for k in (-1, 0, 1))


@pytest.mark.parametrize("method", ["adaptive", "central", "forward", "backward", Central(accuracy=4), "complex"])
@pytest.mark.parametrize("f", [broyden, waves])
def test_it_is_the_dense_one(method, f):
    x = np.random.default_rng(1).normal(size=60)
    dense = mb.jacobian(f, x, method=method)
    found = mb.jacobian(f, x, method=method, sparsity=tridiagonal(60))
    for name in FIELDS:
        assert getattr(found, name).nnz == 178
    assert not isinstance(method, str) or found.evaluations < 120
    gap = np.abs(found.value.toarray() - dense.value)
    assert np.all(gap <= found.error.toarray() + dense.error)
    if not isinstance(method, str) or method != "adaptive":  # f has the same points, whatever else moves
        np.testing.assert_allclose(found.error.toarray(), np.where(tridiagonal(60), dense.error, 0.0), rtol=1e-12)


def test_the_error_covers_the_truth_and_statuses_are_converged():
    x = np.random.default_rng(2).normal(size=3000)
    found = mb.jacobian(broyden, x, sparsity=tridiagonal(3000))
    truth = broyden_slopes(x)[found.value.tocoo().coords]
    off = np.abs(found.value.tocoo().data - truth)
    assert np.mean(off <= found.error.data) >= 0.999
    assert np.all(off <= 3 * found.error.data)
    assert (found.status.data == Status.CONVERGED.code).mean() > 0.999
    assert np.median(found.error.data) < 1e-13


def test_calls_are_counted_and_few():
    f = Counted(broyden)
    x = -np.ones(500)
    found = mb.jacobian(f, x, sparsity=tridiagonal(500), method="central")
    # x, four points for each of three colours, four along a random direction
    assert found.evaluations == f.count == 17
    f.count = 0
    found = mb.jacobian(f, x, sparsity=tridiagonal(500))
    assert found.evaluations == f.count <= 45


def test_vectorized_is_the_same_to_the_bit():
    def stacked(points):
        return np.stack([waves(point) for point in points])

    x = np.linspace(-1, 2, 300)
    plain = mb.jacobian(waves, x, sparsity=tridiagonal(300))
    found = mb.jacobian(stacked, x, sparsity=tridiagonal(300), vectorized=True)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name).data, getattr(plain, name).data)
    assert found.evaluations == plain.evaluations
    assert mb.jacobian(stacked, x, sparsity="detect", vectorized=True).value.nnz == 898


@pytest.mark.parametrize("method", [Forward(), Backward(), Central(), Forward(step=1e-3), Central(accuracy=4)])
def test_fixed_steps_together_give_the_bits_of_each_alone(method):
    x = np.concatenate([np.random.default_rng(5).normal(size=80) * 4, [0.0, 1.0, 80.0]])

    def f(t):
        return np.exp(np.sin(t)) + np.abs(t - 1) + (t > 50) * t * t

    together = mb.derivative(f, x, vectorized=True, method=method)
    alone = [mb.derivative(lambda t: float(f(np.float64(t))), float(t), method=method) for t in x]
    for name in ("value", "error", "truncation", "rounding", "step", "noise"):
        np.testing.assert_array_equal(getattr(together, name), [getattr(d, name) for d in alone])
    assert together.status.tolist() == [d.status for d in alone]


def test_a_bad_column_is_refined_alone_and_spoils_no_other():
    def f(x):
        y = broyden(x)
        y[10] += abs(x[10] - 1.0)
        y[30] += np.sin(2000 * x[30])
        return y

    x = np.ones(60)
    count = Counted(f)
    found = mb.jacobian(count, x, sparsity=tridiagonal(60))
    assert found[10, 10].status is Status.KINK
    (note,) = [note for note in found.notes if note.element == (10, 10)]
    assert (note.left, note.right) == pytest.approx((-2.0, 0.0), abs=1e-6)
    assert abs(found.value[30, 30] - (-1.0 + 2000 * np.cos(2000.0))) <= found.error[30, 30]
    others = np.delete(np.arange(60), [10, 30])
    assert np.all(np.abs(found.value.diagonal()[others] + 1.0) <= 1e-12)
    assert found.evaluations == count.count < 150


def test_exceptions_mean_outside_of_the_domain_for_the_columns_that_raise():
    def f(x):
        if x[7] < 0.0:
            raise ValueError("below")
        return broyden(x) + x**1.5

    x = np.full(30, 2.0)
    x[7] = 0.0
    found = mb.jacobian(f, x, sparsity=tridiagonal(30))
    assert Status.ONE_SIDED.code == found.status[7, 7]
    assert any("below" in note.message for note in found.notes)
    assert np.all(np.abs(found.value.toarray() - broyden_slopes(x) - np.diag(1.5 * np.sqrt(x)))[:6] < 1e-12)


def test_what_raises_everywhere_is_raised():
    x = np.ones(40)

    def f(point):
        if np.any(point != 1.0):
            raise ZeroDivisionError("never")
        return point

    with pytest.raises(ZeroDivisionError, match=r"never.*every point"):
        mb.jacobian(f, x, sparsity=np.eye(40))
    with pytest.raises(KeyError):
        mb.jacobian(lambda point: {}["x"], x, sparsity=np.eye(40))


def test_bounds_are_kept():
    seen = []

    def f(x):
        seen.append(x.copy())
        return broyden(x)

    x = np.linspace(0.5, 1.0, 40)
    for method in ("adaptive", "central"):
        found = mb.jacobian(f, x, sparsity="detect", bounds=(0.5, 1.0), method=method)
        assert found.value.nnz == 118
        assert np.max(np.abs(found.value.toarray() - broyden_slopes(x))) < 1e-4
    assert all(point.min() >= 0.5 and point.max() <= 1.0 for point in seen)


def test_arrays_of_any_shape_are_flattened():
    def f(x):
        return np.stack([x**2, x**3])

    x = np.arange(1.0, 7.0).reshape(2, 3)
    found = mb.jacobian(f, x, sparsity="detect")
    assert found.value.shape == (12, 6)
    expected = np.vstack([np.diag(2 * x.reshape(-1)), np.diag(3 * x.reshape(-1) ** 2)])
    assert np.all(np.abs(found.value.toarray() - expected) <= found.error.toarray())
    assert found.fx.shape == found.noise.shape == (2, 2, 3)


def test_float32_is_kept():
    seen = set()

    def f(x):
        seen.add(x.dtype)
        return x**2

    x = np.linspace(1, 2, 60, dtype=np.float32)
    found = mb.jacobian(f, x, sparsity=np.eye(60))
    assert seen == {np.dtype(np.float32)}
    assert np.mean(np.abs(found.value.diagonal() - 2.0 * x) <= found.error.diagonal()) >= 0.99


@pytest.mark.parametrize(
    ("options", "calls"),
    [({"method": "complex"}, 20), ({"rtol": 1e-3}, 100), ({"rtol": 1e-8}, 100), ({"bounds": (-10, 10)}, 130)],
)
def test_entries_of_a_colour_go_together_whatever_is_asked_for(options, calls):
    x = np.random.default_rng(6).normal(size=2000)
    found = mb.jacobian(broyden, x, sparsity=sparse.csr_array(tridiagonal(2000)), **options)
    off = np.abs(found.value.data - broyden_slopes(x)[found.value.tocoo().coords])
    assert np.mean(off <= found.error.data) >= 0.999
    assert (found.status.data == Status.CONVERGED.code).mean() > 0.999
    assert np.all(found.error.data <= 1e-3 * np.abs(found.value.data) + 1e-12) or "rtol" in options
    assert found.evaluations <= calls


@pytest.mark.parametrize("sparsity", [tridiagonal(60), "detect"])
@pytest.mark.parametrize("budget", [1, 2, 9, 17, 40, 60, 100, 1000])
def test_a_budget_is_never_passed(sparsity, budget):
    f, x = Counted(waves), np.random.default_rng(0).normal(size=60)
    try:
        found = mb.jacobian(f, x, sparsity=sparsity, budget=budget)
    except InputError:
        assert isinstance(sparsity, str)
        assert budget < 20
    else:
        assert f.count == found.evaluations
        known = np.isfinite(found.value.data)
        assert np.all(found.status.data[~known] == Status.BUDGET_SPENT.code)
        free = mb.jacobian(waves, x, sparsity=tridiagonal(60))
        gap = np.abs(found.value.data - free.value.data)[known]
        assert np.all(gap <= (found.error.data + free.error.data)[known])
        assert known.all() == (budget == 1000 or (budget == 100 and not isinstance(sparsity, str)))
    assert f.count <= budget


@pytest.mark.parametrize(
    ("f", "x", "sparsity", "expected"),
    [
        (lambda x: x**2, [3.0], [[1]], [[6.0]]),
        (lambda x: x**2, 3.0, "detect", [[6.0]]),
        (lambda x: np.array([4.0, 5.0]), np.ones(3), np.zeros((2, 3)), np.zeros((2, 3))),
        (lambda x: np.array([4.0, 5.0]), np.ones(3), "detect", np.zeros((2, 3))),
        (lambda x: x[0] * x[2], np.array([2.0, 3.0, 5.0]), "detect", [[5.0, 0.0, 2.0]]),
        (lambda x: [x[0], 3.0, x[0] * x[2]], np.array([2.0, 3.0, 5.0]), "detect", [[1, 0, 0], [0, 0, 0], [5, 0, 2]]),
        (lambda x: [x[0], 3.0], np.array([2.0, 7.0]), [[1, 1], [1, 1]], [[1, 0], [0, 0]]),
    ],
    ids=["1x1", "number", "no entry", "no entry found", "one row", "empty row and column", "zeros stored"],
)
def test_small_and_empty_patterns(f, x, sparsity, expected):
    found = mb.jacobian(f, x, sparsity=sparsity)
    assert found.value.shape == np.shape(expected)
    assert found.passes
    assert np.all(np.abs(found.value.toarray() - expected) <= found.error.toarray())


def test_longdouble_is_kept():
    seen = set()

    def f(x):
        seen.add(x.dtype)
        return x**2

    x = np.linspace(1, 2, 20, dtype=np.longdouble)
    found = mb.jacobian(f, x, sparsity=np.eye(20))
    assert seen == {np.dtype(np.longdouble)}
    assert found.value.dtype == np.longdouble
    assert np.all(np.abs(found.value.diagonal() - 2 * x) <= found.error.diagonal())


def test_noise_is_found_and_covered():
    rng = np.random.default_rng(8)
    x = np.linspace(1, 2, 200)
    found = mb.jacobian(lambda t: t**2 + 1e-8 * rng.normal(size=200), x, sparsity=np.eye(200))
    assert (found.status.data == Status.NOISY.code).mean() > 0.95
    assert np.mean(np.abs(found.value.diagonal() - 2 * x) <= found.error.diagonal()) >= 0.98
    assert not any("random direction" in note.message for note in found.notes)


# --- Detection ---------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 40).flatmap(lambda n: st.lists(st.tuples(st.integers(0, 25), st.integers(0, n - 1)), max_size=60)),
    st.integers(0, 3),
)
@settings(deadline=None, max_examples=60)
def test_random_patterns_are_found(entries, power):
    width = 1 + max((column for _, column in entries), default=0)
    matrix = np.zeros((26, width))
    for row, column in entries:
        matrix[row, column] = 1.0 + row

    def f(x):
        return matrix @ x**power if power else matrix @ np.sin(x)

    found = mb.jacobian(f, np.zeros(width) if power != 1 else np.ones(width), sparsity="detect", method="forward")
    np.testing.assert_array_equal(found.value.tocsr().indptr, sparse.csr_array(matrix).indptr)
    np.testing.assert_array_equal(found.value.tocsr().indices, sparse.csr_array(matrix).indices)


def test_a_row_that_is_not_finite_at_x_is_not_taken_for_zeros():
    x = np.linspace(1, 2, 12)
    for bad in (np.nan, np.inf):
        found = mb.jacobian(lambda t, bad=bad: np.where(np.arange(12) == 3, bad, t**2), x, sparsity="detect")
        assert found.value.nnz == 11
        (note,) = found.notes
        assert (note.status, note.element) == (Status.NOT_FINITE, None)
        assert "in 1 rows, the first of them 3" in note.message
        with pytest.raises(NotConverged, match="not finite"):
            found.require()


def test_an_entry_of_x_that_is_almost_zero_is_probed_again():
    x = np.array([6e-17, 1.0, 2.0])  # cos(pi/2): a change relative to it leaves 1 + x as it is
    found = mb.jacobian(lambda t: np.array([1 + t[0] + t[1], t[1] ** 2, t[2]]), x, sparsity="detect")
    assert np.all(np.abs(found.value.toarray() - [[1, 1, 0], [0, 2, 0], [0, 0, 1]]) <= found.error.toarray())
    assert found.passes
    assert any("missed 1 entries" in note.message for note in found.notes)


def test_detection_of_bands_costs_few_calls():
    f = Counted(broyden)
    found = mb.jacobian(f, -np.ones(20_000), sparsity="detect", method="central")
    assert found.value.nnz == 59_998
    assert found.evaluations == f.count < 120
    assert not found.notes


def test_a_derivative_that_is_zero_at_x_is_an_entry():
    found = mb.jacobian(lambda x: x**2, np.zeros(50), sparsity="detect")
    assert found.value.nnz == 50
    assert np.all(np.abs(found.value.data) <= found.error.data)


def test_a_missing_entry_is_found_and_noted():
    x = np.random.default_rng(4).normal(size=200)
    pattern = tridiagonal(200)
    pattern[100, 101] = 0
    found = mb.jacobian(broyden, x, sparsity=pattern)
    assert "missed 1 entries, the first of them [100, 101]" in found.notes[-1].message
    assert np.abs(found.value.toarray() - broyden_slopes(x)).max() < 1e-10


def test_a_noisy_f_has_no_entry_in_every_place():
    rng = np.random.default_rng(9)
    x = np.linspace(1, 2, 60)
    found = mb.jacobian(lambda t: broyden(t) + 1e-7 * rng.normal(size=60), x, sparsity="detect", method="central")
    assert found.value.nnz == 178


def test_detection_does_not_depend_on_the_order_of_the_columns():
    rng = np.random.default_rng(10)
    rows, columns = rng.permutation(3000), rng.permutation(3000)
    f = Counted(lambda x: broyden(x[columns])[rows])
    found = mb.jacobian(f, -np.ones(3000), sparsity="detect", method="forward")
    truth = sparse.csr_array(sparse.diags_array([np.ones(2999), np.ones(3000), np.ones(2999)], offsets=[-1, 0, 1]))
    expected = truth[rows][:, np.argsort(columns)]
    assert (found.value != 0).toarray().tolist() == expected.astype(bool).toarray().tolist()
    assert f.count < 600


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("method", ["adaptive", "central", "forward", "complex"])
def test_a_right_pattern_is_not_doubted_and_a_miss_is_seen(method, seed):
    rng = np.random.default_rng(seed)
    f, x, pattern = patterns.random_parts(rng)
    found = mb.jacobian(f, x, sparsity=pattern, method=method)
    assert not [note for note in found.notes if note.element is None]
    row = int(rng.integers(pattern.shape[0]))
    column = np.flatnonzero(pattern[row])[0]
    missing = pattern.copy()
    missing[row, column] = 0
    again = mb.jacobian(f, x, sparsity=missing, method=method)
    felt = abs(found.value[row, column]) > 1e-4 * np.abs(found.value.toarray()[row]).max()
    assert not felt or again.notes
    assert not felt or f"missed 1 entries, the first of them [{row}, {column}]" in again.notes[-1].message


def test_a_pattern_that_changes_with_x_is_reported():
    def f(x):
        return x**2 + np.where(x > 1.05, 1.0, 0.0) * np.roll(x, 1)

    found = mb.jacobian(f, np.ones(40), sparsity="detect")
    assert found.value.nnz == 40
    assert "depend on other entries of x, too" in found.notes[-1].message


def test_what_cannot_be_mended_is_unresolved(monkeypatch):
    pattern = np.eye(30)
    monkeypatch.setattr("mibun.sparse.detected", lambda *_: Sparsity.of(pattern))
    found = mb.jacobian(broyden, np.ones(30), sparsity=pattern)
    assert not found.passes
    assert np.isinf(found.error.data).all()
    assert found.notes[-1].status is Status.UNRESOLVED


# --- What is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "options", "message"),
    [
        (broyden, np.ones(4), {"sparsity": np.eye(5)}, r"shape \(5, 5\); expected \(4, 4\)"),
        (broyden, np.ones(4), {"sparsity": "find"}, "sparsity is 'find'"),
        (broyden, np.ones(40), {"sparsity": "detect", "budget": 10}, "budget is 10, spent before"),
        (broyden, np.ones(2), {"sparsity": (np.eye(2), [0, 0])}, "sparsity is a tuple whose rows differ in length"),
        (lambda x: x["a"], {"a": np.ones(3)}, {"sparsity": np.eye(3)}, "x is a structure"),
        (lambda x: {"a": x}, np.ones(3), {"sparsity": np.eye(3)}, "to return a real array"),
        (lambda x: x * 1j, np.ones(3), {"sparsity": np.eye(3)}, r"f\(x\) is complex"),
    ],
)
def test_what_cannot_be_used_is_refused(f, x, options, message):
    with pytest.raises(InputError, match=message):
        mb.jacobian(f, x, **options)


def test_an_f_that_raises_something_else_is_not_silenced():
    def f(x):
        if x[0] != 1.0:
            raise RuntimeError("the simulator crashed")
        return x

    with pytest.raises(RuntimeError, match="the simulator crashed"):
        mb.jacobian(f, np.ones(3), sparsity=np.eye(3))


def test_without_scipy_the_message_is_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingDependency, match=r"pip install 'mibun\[scipy\]'"):
        mb.jacobian(broyden, np.ones(3), sparsity=np.eye(3))
