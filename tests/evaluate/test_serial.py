"""Point by point: what exceptions mean, what f may return, and that x stays as it is."""

import math
from typing import Any

import numpy as np
import pytest

import mibun.derivatives as mb
from mibun.errors import InputError
from mibun.methods import Central
from mibun.status import Status


@pytest.mark.parametrize("kind", [ValueError, ZeroDivisionError, KeyError, RuntimeError, OSError, TypeError])
@pytest.mark.parametrize("x", [1.25, np.array([1.25, 2.0])], ids=["number", "array"])
def test_at_x_itself_every_exception_is_raised_with_x(kind: type[Exception], x: Any) -> None:
    def f(_: Any) -> float:
        raise kind("no luck")

    with pytest.raises(kind) as caught:
        (mb.derivative if isinstance(x, float) else mb.gradient)(f, x)
    assert "1.25" in str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
    if kind in (ValueError, RuntimeError):
        assert "1.25" in str(caught.value)


def test_exceptions_without_a_text_get_a_note() -> None:
    def f(_: Any) -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        mb.derivative(f, 3.5)
    assert "x = 3.5" in caught.value.__notes__[0]


def test_domain_exceptions_elsewhere_mean_outside() -> None:
    for f, x in ((math.sqrt, 1e-3), (lambda t: math.log(1 - t), 0.99)):
        d = mb.derivative(f, x)
        assert d.status.passes, d
    d = mb.derivative(lambda t: math.sqrt(t) ** 3 + t, 0.0, method="central")
    assert d.status is Status.ONE_SIDED
    assert "f raised ValueError(math domain error)" in d.notes[0].message


@pytest.mark.parametrize("x", [1.0, np.array([1.0]), np.array([1.0, 2.0])], ids=["number", "one", "two"])
def test_if_every_other_point_raises_the_first_is_raised(x: Any) -> None:
    calls = []

    def f(point: Any) -> float:
        calls.append(point)
        if len(calls) > 1:
            raise ArithmeticError(f"call {len(calls)}")
        return 1.0

    with pytest.raises(ArithmeticError, match=r"call 2 .*every point"):
        mb.gradient(f, x) if isinstance(x, np.ndarray) else mb.derivative(f, x)


def test_other_exceptions_are_raised_where_they_happen() -> None:
    def f(x: Any) -> Any:
        if np.any(x != 1.0):
            raise RuntimeError("pump failed")
        return 0.0

    with pytest.raises(RuntimeError, match=r"pump failed .*with x = "):
        mb.derivative(f, 1.0)
    with pytest.raises(RuntimeError, match=r"pump failed .*with \[0\] = "):
        mb.gradient(f, [1.0, 1.0])
    with pytest.raises(RuntimeError, match=r"pump failed .*with a\[0\] = "):
        mb.gradient(lambda p: f(p["a"]), {"a": np.array([1.0, 1.0])})


def test_an_error_at_one_point_is_noted_with_its_element() -> None:
    def f(x: Any) -> float:
        if x[1] > 2.0:
            raise ValueError("x[1] is beyond 2")
        return float(x[0] + x[1] ** 2)

    d = mb.gradient(f, [1.0, 2.0], method="central")
    assert d.status.tolist() == [Status.CONVERGED, Status.ONE_SIDED]
    (note,) = d.notes
    assert note.element == (1,)
    assert "x[1] is beyond 2" in note.message
    assert abs(d.value[1] - 4.0) <= d.error[1]


def test_f_that_writes_to_its_argument_gets_a_copy() -> None:
    def f(x: Any) -> float:
        x *= 2.0
        return float(np.sum(x))

    x = np.array([1.0, 2.0])
    d = mb.gradient(f, x)
    assert np.all(abs(d.value - 2.0) <= d.error)
    assert x.tolist() == [1.0, 2.0]

    def g(p: Any) -> float:
        p["a"] += 1.0
        return float(p.pop("a") @ [1.0, 2.0])

    x2 = {"a": np.array([1.0, 2.0])}
    assert mb.gradient(g, x2).value["a"] == pytest.approx([1.0, 2.0])
    assert x2["a"].tolist() == [1.0, 2.0]


def test_f_that_keeps_its_argument_keeps_a_point_of_its_own() -> None:
    kept = []

    def f(x: Any) -> float:
        kept.append(x)
        return float(x @ x)

    d = mb.gradient(f, np.array([1.0, 2.0]))
    assert len({tuple(point) for point in kept}) == d.evaluations


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: None, "returned None at x.*return"),
        (lambda x: "text", "text"),
        (lambda x: bool(x[0] > 0), "bool"),
        (lambda x: [[1.0], [1.0, 2.0]], "ragged"),
        (lambda x: np.array([]), "no elements"),
        (lambda x: object(), "object"),
    ],
)
def test_what_f_may_not_return(f: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        mb.jacobian(f, [1.0, 2.0])


@pytest.mark.parametrize("later", [np.ones(3), 1.0, None, {"a": 1.0}, np.ones((2, 1))], ids=range(5))
def test_different_shapes_at_different_points(later: Any) -> None:
    def f(x: Any) -> Any:
        return np.ones(2) if x[0] == 1.0 else later

    with pytest.raises(InputError, match=r"shape|expected"):
        mb.jacobian(f, [1.0])


def test_a_number_at_x_and_an_array_elsewhere() -> None:
    with pytest.raises(InputError, match="different shapes at different points"):
        mb.derivative(lambda x: 1.0 if x == 1.0 else np.ones(2), 1.0)


def test_a_complex_value_where_f_is_real_means_outside() -> None:
    d = mb.derivative(lambda x: x**1.5 + x, 0.0, method="central")
    assert d.status is Status.ONE_SIDED
    assert "complex" in d.notes[0].message
    d = mb.gradient(lambda x: x[0].item() ** 1.5 + x[0], [0.0], method="central")
    assert d.status[0] is Status.ONE_SIDED
    assert "complex" in d.notes[0].message


def test_f_with_hidden_state_is_noise_and_no_crash() -> None:
    rng = np.random.default_rng(1)
    d = mb.derivative(lambda x: math.exp(x) + 1e-6 * rng.standard_normal(), 1.0)
    assert d.error > 1e-9
    d = mb.gradient(lambda x: float(np.exp(x).sum()) + 1e-6 * rng.standard_normal(), np.ones(3))
    assert (d.error > 1e-9).all()


def test_f_that_differentiates_inside() -> None:
    d = mb.derivative(
        lambda x: mb.derivative(math.sin, x, method="central", rtol=1e-3), 1.0, method=Central(step=2**-6)
    )
    assert d.value == pytest.approx(-math.sin(1.0), abs=1e-3)
    d = mb.gradient(lambda x: mb.gradient(lambda y: float(y @ y), x).value.sum(), np.ones(2), rtol=1e-6)
    assert d.value == pytest.approx([2.0, 2.0])


def test_f_runs_without_warnings_of_numpy() -> None:
    d = mb.derivative(lambda x: float(np.log(np.float64(x))), 1e-3)
    assert abs(d.value - 1e3) <= d.error
    mb.gradient(lambda x: float(np.sum(np.sqrt(x))), [1e-3, 1.0])
    assert np.geterr()["divide"] == "warn"


def test_integers_and_numpy_scalars_are_numbers() -> None:
    assert mb.derivative(lambda x: np.float32(x), 1.0).value == pytest.approx(1.0)
    assert mb.derivative(lambda x: np.array(3.0 * x), 1.0).value == pytest.approx(3.0)
    assert mb.derivative(lambda x: 5, 1.0).value == 0.0


# --- many plain calls of an f of floats ---


def led(f: Any, n: int = 60) -> Any:
    return mb.gradient(f, np.linspace(0.5, 1.5, n))


def test_points_outside_the_domain_do_not_shift_the_others() -> None:
    def f(x: Any) -> float:
        if x[7] > 1.5 * (0.5 + 7 / 59) or x[30] != 0.5 + 30 / 59:
            raise ValueError("outside")
        return float(np.sum(x**3))

    d, truth = led(f), 3 * np.linspace(0.5, 1.5, 60) ** 2
    rest = np.arange(60) != 30
    assert np.all(np.abs(d.value - truth)[rest] <= d.error[rest])
    assert not d.status.passes[30]
    assert "outside" in next(note.message for note in d.notes if note.element == (30,))


def test_a_value_that_is_no_float_is_read_in_its_place() -> None:
    def f(x: Any) -> Any:
        total = float(np.sum(x**3))
        return np.array([[total]])[0, 0] if x[3] == 0.5 + 3 / 59 else np.array(total)

    d, truth = led(f), 3 * np.linspace(0.5, 1.5, 60) ** 2
    assert np.all(np.abs(d.value - truth) <= d.error)
    complex_beside = led(lambda x: float(np.sum(x)) if x[3] == 0.5 + 3 / 59 else 1j)
    assert not complex_beside.status.passes[3]
    assert "complex number" in next(note.message for note in complex_beside.notes if note.element == (3,))
    assert complex_beside.status.passes[4]


def test_an_f_that_raises_stop_iteration_is_told() -> None:
    def f(x: Any) -> float:
        if x[20] != 0.5 + 20 / 59:
            raise StopIteration
        return float(np.sum(x))

    with pytest.raises((StopIteration, RuntimeError), match=r"StopIteration|near x"):
        led(f)
