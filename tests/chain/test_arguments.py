"""Arguments that a handler does not read are refused, or change nothing: ignored they would give another function."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mibun as mb
from mibun.chain.arguments import ANY, HARMLESS, _known
from mibun.chain.tape import FUNCTIONS
from mibun.errors import InputError

PLAIN = mb.Chain(verify=False)
X = np.array([[0.3, -1.2, 0.7, 2.0], [1.1, 0.4, -0.6, 0.9], [-0.2, 1.5, 0.8, -1.0]])
MASK = X > 0

IGNORED: dict[str, Callable[[Any], Any]] = {
    "sum(..., where=...)": lambda x: np.sum(x, where=MASK),
    "sum(..., initial=...)": lambda x: x.sum(initial=5.0),
    "sum(..., out=...)": lambda x: np.sum(x, 0, None, np.zeros(4)),
    "mean(..., out=...)": lambda x: x.mean(0, None, np.zeros(4)),
    "max(..., initial=...)": lambda x: np.maximum.reduce(x, initial=9.0),
    "prod(..., initial=...)": lambda x: np.multiply.reduce(x, initial=3.0),
    "std(..., where=...)": lambda x: np.std(x, where=MASK),
    "var(..., mean=...)": lambda x: np.var(x, mean=np.array(0.3)),
    "clip(..., out=...)": lambda x: np.clip(x, 0, 1, np.zeros((3, 4))),
    "take(..., out=...)": lambda x: np.take(x, [0, 2], out=np.zeros(2)),
    "argmax(..., out=...)": lambda x: np.argmax(x, 0, np.zeros(4, int)),
    "concatenate(..., out=...)": lambda x: np.concatenate([x, x], out=np.zeros((6, 4))),
    "concatenate(..., dtype=...)": lambda x: np.concatenate([x, x], dtype=np.float32),
    "einsum(..., out=...)": lambda x: np.einsum("ij->i", x, out=np.zeros(3)),
    "average(..., returned=...)": lambda x: np.average(x, axis=0, returned=True)[0],
    "quantile(..., weights=...)": lambda x: np.quantile(x, 0.3, weights=np.abs(X), method="linear"),
    "pad(..., reflect_type=...)": lambda x: np.pad(x, 1, mode="reflect", reflect_type="odd"),
    "svd(..., hermitian=...)": lambda x: np.linalg.svd(x[:, :3], compute_uv=False, hermitian=True),
    "pinv(..., rcond=...)": lambda x: np.linalg.pinv(x, rcond=0.5),
    "matmul(..., axes=...)": lambda x: np.matmul(x, x.T, axes=[(0, 1), (0, 1), (0, 1)]),
    "exp(..., signature=...)": lambda x: np.exp(x, signature="f->f"),
}


@pytest.mark.parametrize("name", IGNORED)
def test_arguments_that_are_not_read_are_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        mb.gradient(lambda x: np.sum(IGNORED[name](x)), X, method=PLAIN)
    message = str(caught.value)
    assert f"{name} cannot be recorded, at test_arguments.py, line" in message
    assert "write" in message


def test_arguments_that_change_nothing_are_taken() -> None:
    def f(x: Any) -> Any:
        y = np.sort(x, axis=1, kind="stable") + np.clip(x, None, 1.0, out=None) * np.sum(
            x, where=True, initial=np._NoValue
        )
        return np.sum(np.median(y, axis=0, overwrite_input=False)) + np.einsum("ij,ij", x, x, optimize="greedy")

    d = mb.gradient(f, X, method="chain")
    truth = mb.gradient(f, X)
    assert np.all(np.abs(d.value - truth.value) <= d.error + truth.error)


def test_a_dtype_of_a_sum_is_a_cast() -> None:
    x = np.float32([0.1, 0.2, 0.3])
    assert mb.chain.record(lambda x: np.sum(x, dtype=np.float64), x)(x).dtype == np.float64
    assert mb.chain.record(lambda x: x.mean(dtype=np.float64), x)(x) == np.mean(x, dtype=np.float64)


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if callable(f) and isinstance(f, type(np.sum))], ids=str)
def test_handlers_name_their_arguments_as_numpy_does(function: Any) -> None:
    try:
        its = inspect.signature(function).parameters
    except ValueError:
        pytest.skip("a function in C, without a signature in this NumPy")
    own, known = inspect.signature(FUNCTIONS[function]).parameters, _known(function)
    kinds = {one.kind for one in its.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        later = {"newshape", "correction", "min", "max", "keepdims"}  # of other versions of NumPy
        strange = [n for n in list(own)[1:] if n not in its and n not in later]
        assert not strange or known.leading == ANY or inspect.Parameter.VAR_KEYWORD in {p.kind for p in own.values()}
    assert "out" not in known.reads
    assert not known.reads & {"where", "initial"} - {"initial"} or function in (np.any, np.all)
    assert "order" not in known.reads or "order" in HARMLESS


@pytest.mark.parametrize(
    ("f", "truth"),
    [
        (lambda x: np.nanmax(x * np.array([1, np.nan, 3.0])), [0.0, 0.0, 3.0]),
        (lambda x: np.nanmin(x * np.array([1, np.nan, 3.0])), [1.0, 0.0, 0.0]),
        (lambda x: np.nanmean(x * np.array([1, np.nan, 3.0])), [0.5, 0.0, 1.5]),
        (lambda x: np.nansum(x * np.array([1, np.nan, 3.0])), [1.0, 0.0, 3.0]),
        (lambda x: np.sum(x.T.ravel("K") + x[:0].sum()) * np.prod(x[:0]), [1.0, 1.0, 1.0]),
    ],
)
def test_functions_that_leave_nan_out(f: Callable[[Any], Any], truth: list[float]) -> None:
    d = mb.gradient(f, np.array([0.5, 7.0, 2.0]), method=PLAIN)
    assert d.value.tolist() == truth


@pytest.mark.parametrize("order", ["A", "K", "F", "C"])
def test_orders_in_memory(order: Any) -> None:
    weights = np.cos(np.arange(12.0))
    d = mb.gradient(lambda x: np.sum(weights * np.exp(x.T).ravel(order)), X, method=PLAIN)
    lies = np.arange(12).reshape(3, 4).T.copy() if order == "C" else None
    places = lies.ravel() if lies is not None else np.asfortranarray(np.arange(12).reshape(3, 4).T).ravel(order)
    truth = np.empty(12)
    truth[places] = weights
    assert np.all(np.abs(d.value.ravel() - truth * np.exp(X).ravel()) <= d.error.ravel())


def test_what_is_not_finite_has_no_derivative() -> None:
    holes = np.array([1.0, np.nan, 1.0])
    for f in (lambda x: np.sum(x + np.log(holes)), lambda x: np.median(x * holes), lambda x: np.mean(x[:0]) + x[0]):
        d = mb.gradient(f, np.array([0.5, 1.0, 2.0]), method=PLAIN)
        assert np.isnan(d.value).all()
        assert np.isinf(d.error).all()
        assert all(d.status[i] is mb.Status.NOT_FINITE for i in range(3))
    rows = mb.jacobian(lambda x: x * holes, np.array([0.5, 1.0, 2.0]), method=PLAIN)
    assert np.isfinite(rows.value[[0, 2]][:, [0, 2]]).all()
    assert np.isnan(rows.value[1]).all()


def test_an_array_of_an_earlier_recording_is_refused() -> None:
    kept: list[Any] = []
    mb.gradient(lambda x: (kept.append(x), np.sum(x))[1], X, method=PLAIN)
    with pytest.raises(InputError, match="of an earlier recording, which has ended"):
        mb.gradient(lambda x: np.sum(x * kept[0]), X, method=PLAIN)


@pytest.mark.parametrize(
    ("f", "x", "value"),
    [
        (lambda x: np.hypot(x[0], x[1]), [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]),
        (lambda x: np.median(x), [1.0, 1.0, 0.0], [0.5, 0.5, 0.0]),
        (lambda x: np.sum(np.sort(x) * np.array([1.0, 2.0, 6.0])), [4.0, 3.0, 4.0], [4.0, 1.0, 4.0]),
        (lambda x: np.partition(x, 1)[1], [1.0, 1.0, 0.0], [0.5, 0.5, 0.0]),
        (lambda x: np.std(x), [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
    ],
)
def test_ties_and_zeros_are_kinks(f: Callable[[Any], Any], x: list[float], value: list[float]) -> None:
    d = mb.gradient(f, np.array(x), method="chain")
    assert np.allclose(d.value, value)
    met = [i for i in range(3) if d.status[i] is mb.Status.KINK]
    sides = [mb.derivative(lambda t, i=i: f(np.array(x) + t * np.eye(3)[i]), 0.0, method="forward") for i in met]
    assert met
    assert all(abs(d.value[i] - side.value) <= d.error[i] + side.error for i, side in zip(met, sides, strict=True))
    assert any("at a kink" in note.message for note in d.notes)


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (lambda x: np.sum(np.where(x > 0, x, 0.0)), "np.greater"),
        (lambda x: np.sum(np.floor(x) * x), "np.floor"),
        (lambda x: np.sum(np.sign(x) * x), "np.sign"),
        (lambda x: np.sum(x % 1.0), "np.remainder"),
        (lambda x: np.sum((x + 1).astype(int) * x), "astype"),
        (lambda x: np.sum(np.rint(x + 0.5) * x), "np.rint"),
        (lambda x: x[0] if x[0] >= 0 else -x[0], "np.greater_equal"),
    ],
)
def test_what_stands_at_a_jump_is_counted(f: Callable[[Any], Any], name: str) -> None:
    there = mb.gradient(f, np.array([0.0, 1.3]), method="chain")
    beside = mb.gradient(f, np.array([0.1, 1.3]), method="chain")
    assert any(f"1 entry of {name} where it jumps" in note.message for note in there.notes)
    assert not any("where it jumps" in note.message for note in beside.notes)


def test_a_slope_of_0_before_an_infinite_one_is_not_0() -> None:
    # what np.where leaves out counts for nothing; what a slope of 0 makes of it is unknown: here f is x, with slope 1
    for f in (
        lambda x: np.sum(np.where(x >= -1, np.cbrt(x) ** 3, 0.0)),
        lambda x: np.where(x[1] > 0, np.sqrt(x[0]) ** 2, 7.0),
    ):
        d = mb.gradient(f, np.array([0.0, 1.0]), method="chain")
        assert d.status[0] is mb.Status.NOT_FINITE
        assert np.isnan(d.value[0])
    d = mb.gradient(
        lambda x: np.sum(np.where(x > 0, np.log(np.maximum(x, 0)), x)), np.array([-1.0, 2.0]), method="chain"
    )
    assert d.value.tolist() == [1.0, 0.5]


@pytest.mark.parametrize("add", [np.logaddexp, np.logaddexp2])
def test_logaddexp_shares_one_slope_however_large_its_arguments_are(add: Any) -> None:
    a = np.array([1e20, 3.0, -70.0, 1e-3, 1e6])
    b = np.array([1e20, 5.0, 80.0, -1e-3, 1e6 + 1])
    d = mb.gradient(lambda x: np.sum(add(x["a"], x["b"])), {"a": a, "b": b}, method=PLAIN)
    base = np.exp(np.longdouble(1)) if add is np.logaddexp else np.longdouble(2)
    truth = 1 / (1 + base ** (b.astype(np.longdouble) - a))
    assert np.all(np.abs(d.value["a"] - truth) <= d.error["a"])
    assert np.all(np.abs(d.value["b"] - (1 - truth)) <= d.error["b"])


def test_weights_of_an_average_keep_its_axes() -> None:
    weights = np.array([0.5, 1.0, 2.0])
    recording = mb.chain.record(lambda x: np.average(x, axis=0, weights=weights, keepdims=True), X)
    assert np.allclose(recording(X), np.average(X, axis=0, weights=weights, keepdims=True))


def test_one_entry_that_bends_among_many_is_seen() -> None:
    special = pytest.importorskip("scipy.special")
    x = np.ones(20_000)
    x[7] = 1e-6
    _, slopes = mb.chain.value_and_gradient(lambda x: np.sum(special.gammaln(x)), x)
    assert abs(slopes[7] / special.digamma(1e-6) - 1) < 1e-7


@pytest.mark.parametrize(
    ("f", "value", "error", "status"),
    [
        (lambda x: np.sum(np.where(x > 0, x, 0.0)), 0.0, 1.0, mb.Status.KINK),
        (lambda x: np.sum(x * (x >= 0)), 1.0, 1.0, mb.Status.KINK),
        (lambda x: np.sum(np.where(x > 0, x, -x)), -1.0, 2.0, mb.Status.KINK),
        (lambda x: np.sum(np.where(x > 0, x * x, 0.0)), 0.0, 0.0, mb.Status.CONVERGED),
        (
            lambda x: np.sum(np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))),
            0.25,
            1e-15,
            mb.Status.CONVERGED,
        ),
        (lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)), 0.0, np.inf, mb.Status.UNRESOLVED),
    ],
)
def test_both_sides_of_a_tie_in_a_comparison_are_looked_at(
    f: Callable[[Any], Any], value: float, error: float, status: mb.Status
) -> None:
    d = mb.gradient(f, np.array([0.0, 1.0, -1.0]), method="chain")
    assert d.value[0] == value
    assert error / 3 <= d.error[0] <= error
    assert d.status[0] is status
    assert d.status[1] is d.status[2] is mb.Status.CONVERGED
    again = mb.gradient(f, np.array([0.0, 1.0, -1.0]), method="chain")
    assert np.array_equal(again.value, d.value)
