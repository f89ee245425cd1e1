"""What cannot be recorded is refused, with the operation, the user's line and the way out."""

import copy
import math
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

import mibun as mb
from mibun.errors import InputError

X = np.array([0.5, 1.5, 2.5])
BUFFER = np.zeros(3)
OTHER = np.ones(3)


def in_place_sum(x: Any) -> Any:
    x += 1
    return np.sum(x)


def written_entry(x: Any) -> Any:
    x[0] = 1.0
    return np.sum(x)


def written_into_a_constant(x: Any) -> Any:
    made = np.zeros(3)
    made[0] = x[0]
    return np.sum(made)


def written_row(x: Any) -> Any:
    made = np.zeros((2, 3))
    made[0] = x
    return np.sum(made)


def constant_in_place(x: Any) -> Any:
    made = np.zeros(3)
    made += x
    return np.sum(made)


def caught(x: Any) -> Any:
    try:
        return float(x[0])
    except (ValueError, TypeError):
        return np.sum(x)


def deleted(x: Any) -> Any:
    return np.sum(x).item()


ROWS: list[tuple[Callable[[Any], Any], str, str]] = [
    (in_place_sum, r"\+= into a recorded array", r"write a = a \+ b"),
    (written_entry, r"x\[\.\.\.\] = value", "np.where, np.concatenate or np.stack"),
    (written_into_a_constant, r"float\(\.\.\.\)", "np.sin"),
    (written_row, r"np.array\(\.\.\.\) or np.asarray", "np.stack"),
    (constant_in_place, r"np.add\(\.\.\., out=", "which makes a new one"),
    (lambda x: np.sum(np.multiply(x, 2, out=BUFFER)), r"np.multiply\(\.\.\., out=", "np.multiply"),
    (lambda x: np.sum(np.add(x, 1, where=[True, False, True])), "where=", "np.where"),
    (lambda x: np.sum(np.add(x, 1, dtype=np.float32)), "dtype=", "astype"),
    (lambda x: float(x[0]), r"float\(\.\.\.\)", r"np.sin\(x\) for math.sin\(x\)"),
    (lambda x: math.sin(x[0]), r"float\(\.\.\.\)", r"np.sin\(x\) for math.sin\(x\)"),
    (lambda x: int(x[0]), r"int\(\.\.\.\)", "np.sin"),
    (lambda x: complex(x[0]), r"complex\(\.\.\.\)", "np.sin"),
    (deleted, r"item\(\.\.\.\)", "np.sin"),
    (lambda x: sum(x.tolist()), r"tolist\(\.\.\.\)", "np.sin"),
    (lambda x: np.sum(np.asarray(x)), r"np.asarray\(\.\.\.\)", "np.stack"),
    (lambda x: np.sum(np.array([x, x])), r"np.array\(\.\.\.\)", "np.stack"),
    (lambda x: np.sum(np.array(x, dtype=float)), r"np.array\(\.\.\.\)", "leave it out"),
    (lambda x: special.logsumexp(x), r"np.asarray\(\.\.\.\)", "elementwise"),
    (lambda x: np.sum(np.vectorize(math.sin)(x)), r"np.array\(\.\.\.\)|np.asarray", "elementwise"),
    (lambda x: np.sum(x.sort()), "sort", "np.sort"),
    (lambda x: np.sum(x.fill(3)), "fill", "np.full"),
    (lambda x: np.sum(np.fft.fft(x)), "np.fft", "tape knows"),
    (lambda x: np.sum(x * 1j).real, "complex numbers", "real and the imaginary"),
    (lambda x: np.sum(x * np.array([1j, 2, 3])), "complex numbers", "real and the imaginary"),
    (lambda x: np.sum(x.astype(complex)), "complex", "real and the imaginary"),
    (lambda x: np.sum(np.sqrt(x, dtype=complex)), "dtype=", "astype"),
    (lambda x: np.sum(x * np.ma.masked_array(X, [0, 1, 0])), "masked array", r"filled"),
    (lambda x: np.sum(x * np.array([1, "a", 2], object)), "array of objects", "real numbers"),
    (lambda x: np.sum(OTHER[x]), "index", "integer|index"),
    (lambda x: pickle.dumps(x) and np.sum(x), "pickling", "one process"),
    (lambda x: np.linalg.lstsq(np.outer(x, x), x)[0].sum(), "np.linalg.lstsq", "np.linalg.solve"),
    (lambda x: np.linalg.svd(np.outer(x, x))[0].sum(), "np.linalg.svd", "compute_uv=False"),
    (lambda x: np.linalg.norm(np.outer(x, x), 3), "norm", "np.sum"),
    (lambda x: np.max(x, initial=0.0), "initial", "np.where"),
    (lambda x: np.mean(x, where=[True, False, True]), "where", "np.where"),
    (lambda x: np.pad(x, 1, mode="mean").sum(), "np.pad", "np.concatenate"),
    (lambda x: np.quantile(x, 0.3, method="hazen"), "method='hazen'", "linear"),
    (lambda x: np.add.reduceat(x, [0, 1]).sum(), "np.add.reduceat", "np.cumsum"),
    (caught, r"float\(\.\.\.\)", "np.sin"),
]


@pytest.mark.parametrize(("f", "what", "instead"), ROWS, ids=[f"{i}: {row[1]}" for i, row in enumerate(ROWS)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_refused(f: Callable[[Any], Any], what: str, instead: str) -> None:
    kept = BUFFER.copy()
    with pytest.raises((InputError, TypeError, IndexError)) as caught_:
        mb.gradient(f, X, method=mb.Chain(verify=False))
    text = str(caught_.value)
    assert np.array_equal(BUFFER, kept)
    if isinstance(caught_.value, InputError):
        import re

        assert re.search(what, text), text
        assert re.search(instead, text), text
        assert "test_refusals.py, line" in text
        assert 'method="adaptive"' in text
        assert len(text) < 500
    else:  # what NumPy refuses by itself names x
        assert "while it was recorded" in text, text


def test_the_line_is_that_of_the_user() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        return math.exp(y[0])  # this line

    with pytest.raises(InputError, match=r"return math\.exp\(y\[0\]\)  # this line"):
        mb.gradient(f, X, method="chain")


def test_what_went_round_the_recording_is_found() -> None:
    """A writer of buffers, a function with a wrong derivative, one that draws numbers: found by comparing with f."""

    def rewritten(x: Any) -> Any:
        total = 0.0
        for k in range(3):
            BUFFER[:] = k
            total = total + np.sum(BUFFER * x)
        return total

    wrong = mb.chain.with_vjp(np.sqrt, lambda g, x: g / np.sqrt(x))
    stripped = mb.chain.with_vjp(lambda x: x * 2, lambda g, x: np.zeros_like(x))
    rng = np.random.default_rng(0)
    for f in (rewritten, lambda x: np.sum(wrong(x)), lambda x: np.sum(stripped(x))):
        with pytest.raises(
            InputError, match=r"the derivative disagrees with f: .* f changes by .* Chain\(verify=False\)"
        ):
            mb.gradient(f, X, method="chain")
    with pytest.raises(InputError, match="does it draw random numbers"):
        mb.gradient(lambda x: np.sum(x * rng.normal(size=3)), X, method="chain")
    assert mb.gradient(rewritten, X, method=mb.Chain(verify=False)).value.tolist() == [6.0, 6.0, 6.0]


def test_a_wrong_row_of_a_jacobian_is_found_among_larger_ones() -> None:
    wrong = mb.chain.with_vjp(np.sqrt, lambda g, x: g / np.sqrt(x))
    with pytest.raises(InputError, match="disagrees"):
        mb.jacobian(lambda x: np.stack([1e6 * np.sum(x), 1e-6 * np.sum(wrong(x))]), X, method="chain")
    with pytest.raises(InputError, match="disagrees"):
        mb.vjp(lambda x: np.stack([np.sum(x), np.sum(wrong(x))]), X, [0.0, 1.0], method="chain")


def test_branches_are_noted() -> None:
    def f(x: Any) -> Any:
        if x[0] > 0 and np.all(x < 10) and not np.allclose(x, 0):
            return np.sum(x[: int(np.argmax(x)) + 1] ** 2)
        return np.sum(x)

    d = mb.gradient(f, X, method="chain")
    assert d.value.tolist() == [1.0, 3.0, 5.0]
    (note,) = d.notes
    assert "recorded as taken: a branch at test_refusals.py, line" in note.message
    assert "and 3 more" in note.message
    assert d.passes


def test_a_recorded_array_does_not_outlive_its_recording() -> None:
    kept = []

    def f(x: Any) -> Any:
        kept.append(x * 2)
        return np.sum(x)

    mb.gradient(f, X, method="chain")
    with pytest.raises(InputError, match="whose recording has ended"):
        np.sin(kept[0])


@pytest.mark.parametrize(
    "inner",
    [
        lambda y, x: np.sum(y * x),
        lambda y, x: np.sum(x * y),
        lambda y, x: np.sum(x),
        lambda y, x: np.sum(np.where(y > 0, x, y)),
        lambda y, x: np.sum(np.stack([x, y])),
    ],
)
def test_a_chain_inside_a_chain_is_refused(inner: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(mb.gradient(lambda y: inner(y, x), np.ones(3), method=mb.Chain(verify=False)).value * x)

    with pytest.raises(InputError, match=r"chain inside a chain|recorded by method"):
        mb.gradient(f, X, method="chain")


def test_a_derivative_at_a_recorded_point_is_refused() -> None:
    for method in ("chain", "adaptive"):
        with pytest.raises(InputError, match=r"mb.chain.hvp or mb.hessian"):
            mb.gradient(lambda x, m=method: np.sum(mb.gradient(np.sum, x, method=m).value), X, method="chain")


def test_a_chain_inside_a_chain_that_is_independent_is_right() -> None:
    d = mb.gradient(
        lambda x: np.sum(x * mb.gradient(lambda y: np.sum(y**2), OTHER, method="chain").value), X, method="chain"
    )
    assert d.value.tolist() == [2.0, 2.0, 2.0]


def test_copies_are_the_array_itself() -> None:
    d = mb.gradient(lambda x: np.sum(copy.copy(x) * copy.deepcopy(x) * x.copy() * np.copy(x)), X, method="chain")
    assert np.allclose(d.value, 4 * X**3)


def test_it_can_be_printed_and_asked_like_an_array() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.extend([repr(x), str(x), f"{x[0]:.2f}", x.shape, x.ndim, x.size, x.dtype, len(x), x.T.shape, x.nbytes])
        seen.extend([np.shape(x), np.ndim(x), np.size(x), 0.5 in x, x.real is x, next(iter(x.flat)).shape, x.itemsize])
        return np.sum(x)

    mb.gradient(f, X, method=mb.Chain(verify=False))
    assert seen[:4] == ["recorded array([0.5, 1.5, 2.5])", "[0.5 1.5 2.5]", "0.50", (3,)]
    assert seen[4:] == [1, 3, np.dtype(float), 3, (3,), 24, (3,), 1, 3, True, True, (), 8]


def test_unknown_attributes_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match=r"x\.tobytes of a recorded array .* at test_refusals\.py"):
        mb.gradient(lambda x: x.tobytes(), X, method="chain")


def test_threads_record_side_by_side() -> None:
    found: dict[int, Any] = {}

    def work(k: int) -> None:
        rng = np.random.default_rng(k)
        x = rng.normal(size=50)
        for _ in range(10):
            d = mb.gradient(lambda x: np.sum(np.sin(k * x) * special.erf(x)), x, method="chain")
        truth = k * np.cos(k * x) * special.erf(x) + np.sin(k * x) * 2 / math.sqrt(math.pi) * np.exp(-(x**2))
        found[k] = bool(np.all(np.abs(d.value - truth) <= d.error))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(1, 7), True)
