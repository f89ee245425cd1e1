"""Derivatives of order 2 to 4 by the adaptive method and by stencils, and to 8 on a circle in the complex plane."""

import cmath
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mibun.derivatives as mb
from mibun.conversation import Request
from mibun.errors import InputError
from mibun.methods import Adaptive, Backward, Central, ComplexStep, Forward
from mibun.methods.adaptive.windows import Best, Choice, Sample, Windows, coefficients
from mibun.result import Derivative
from mibun.status import Status

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import mix

ORDERS = (2, 3, 4)
#: Error that is asked for, in units of f/L^k.
WANTED = {2: 1e-6, 3: 1e-4, 4: 1e-2}


def sines(x: Any, order: int) -> Any:
    """The derivative of sin."""
    return np.sin(np.asarray(x) + order * math.pi / 2)


def covered(d: Derivative, truth: Any) -> bool:
    return bool(np.all(np.abs(d.value - truth) <= d.error))


each_order = pytest.mark.parametrize("order", ORDERS)


# --- the promise ---


@each_order
def test_the_error_covers_the_truth_and_is_small_on_problems_that_nothing_was_tuned_on(order: int) -> None:
    drawn = mix.problems(20_261, 300)
    covers = within = 0
    for problem in drawn:
        c = [float(a) for a in mix.jet(problem.formula, problem.x)]
        d = mb.derivative(problem.f, problem.x, order=order)
        truth = c[order] * math.factorial(order)
        off = abs(d.value - truth)
        size = max(abs(a) * problem.scale**n for n, a in enumerate(c[:3]))
        covers += off <= d.error + math.ulp(truth)
        lost = mix.EPS * (abs(c[0]) + abs(problem.x * c[1])) * math.factorial(order) / (0.3 * problem.scale) ** order
        within += off <= max(WANTED[order] * size / problem.scale**order, mix.FLOORS * lost)
        assert d.evaluations <= 40
    assert covers >= 297
    assert within >= 294


@pytest.mark.parametrize("order", [2, 5, 8])
def test_the_circle_covers_the_truth(order: int) -> None:
    covers = bounded = 0
    drawn = mix.problems(20_262, 150)
    with np.errstate(all="ignore"):
        for problem in drawn:
            truth = float(mix.jet(problem.formula, problem.x)[order]) * math.factorial(order)
            d = mb.derivative(mix.compiled(problem.formula, mix.ARRAY), problem.x, order=order, method="complex")
            covers += abs(d.value - truth) <= d.error + math.ulp(truth) or d.error == math.inf
            bounded += math.isfinite(d.error)
            assert d.evaluations <= 40
    assert covers >= 149
    assert bounded >= 140


@each_order
def test_under_noise(order: int) -> None:
    drawn = mix.noisy_problems(20_265, 200)
    covers = 0
    for problem in drawn:
        truth = float(mix.jet(problem.clean, problem.x)[order]) * math.factorial(order)
        d = mb.derivative(problem.f, problem.x, order=order)
        covers += abs(d.value - truth) <= d.error
    assert covers >= 196


@settings(max_examples=60)
@given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=5),
    st.integers(-64, 64),
    st.sampled_from(ORDERS),
)
def test_polynomials_up_to_degree_4(coefficients: list[int], eighths: int, order: int) -> None:
    x, polynomial = eighths / 8, np.polynomial.Polynomial(coefficients)
    truth = float(polynomial.deriv(order)(x))
    d = mb.derivative(lambda t: sum(a * t**n for n, a in enumerate(coefficients)), x, order=order)
    assert abs(d.value - truth) <= d.error
    if d.status.passes:
        scale = sum(abs(a) * max(abs(x), 0.05) ** n for n, a in enumerate(coefficients))
        assert d.error <= 1e-3 * max(scale, 1e-300) / max(abs(x), 0.05) ** order


@settings(max_examples=40)
@given(st.integers(-16, 16), st.integers(-16, 16), st.sampled_from(ORDERS))
def test_the_mirrored_function_has_the_mirrored_derivative(eighths: int, shift: int, order: int) -> None:
    def f(t: float) -> float:
        return math.exp(0.3 * t) * math.sin(t + shift)

    d = mb.derivative(f, eighths / 8, order=order)
    m = mb.derivative(lambda t: f(-t), -eighths / 8, order=order)
    assert m.value == (-1) ** order * d.value
    assert m.error == d.error


# --- what f and x can be ---


@each_order
def test_cheap_where_f_is_smooth(order: int) -> None:
    d = mb.derivative(math.sin, 1.0, order=order)
    assert d.status is Status.CONVERGED
    assert covered(d, sines(1.0, order))
    assert d.evaluations <= 17
    assert d.error <= WANTED[order]
    assert d.error == d.truncation + d.rounding


@each_order
def test_arrays_of_x_and_a_vectorized_f(order: int) -> None:
    x = np.linspace(-2.0, 2.0, 60).reshape(3, 20)
    plain = mb.derivative(math.sin, x, order=order)
    stacked = mb.derivative(np.sin, x, order=order, vectorized=True)
    assert plain.value.shape == stacked.value.shape == (3, 20)
    assert covered(plain, sines(x, order))
    assert covered(stacked, sines(x, order))
    assert np.array_equal(mb.derivative(np.sin, x, order=order).value, stacked.value)


@each_order
def test_a_vector_valued_f(order: int) -> None:
    d = mb.derivative(lambda t: np.array([[math.sin(t), 1e6 * math.exp(2 * t)]]), 0.3, order=order)
    assert d.value.shape == (1, 2)
    assert covered(d, [[sines(0.3, order), 2.0**order * 1e6 * math.exp(0.6)]])
    d = mb.derivative(lambda t: {"a": math.sin(t), "b": t * t}, [0.3, 0.4], order=order)
    assert covered(Derivative(d.value["a"], d.error["a"]), sines([0.3, 0.4], order))


@each_order
def test_single_precision(order: int) -> None:
    for x in (np.float32(0.7), np.array([0.7, 1.1], np.float32)):
        d = mb.derivative(np.sin, x, order=order)
        assert covered(d, sines(np.asarray(x, np.float64), order))
        assert np.all(d.error < {2: 1e-3, 3: 1e-2, 4: 0.5}[order])
    d = mb.derivative(lambda t: float(np.sin(np.float32(t))), 0.7, order=order)
    assert covered(d, sines(0.7, order))


@each_order
def test_complex_x_and_complex_values(order: int) -> None:
    z = 0.4 + 0.3j
    for method in ("adaptive", "central"):
        d = mb.derivative(cmath.exp, z, order=order, method=method)
        assert abs(d.value - cmath.exp(z)) <= d.error < 1e-2
    d = mb.derivative(lambda t: cmath.exp(1j * t), 0.4, order=order)
    assert abs(d.value - 1j**order * cmath.exp(0.4j)) <= d.error
    rough = {2: lambda w: abs(w) ** 2, 3: lambda w: w.conjugate() ** 3, 4: lambda w: abs(w) ** 2 * w * w}
    assert not mb.derivative(rough[order], z, order=order).status.passes


@each_order
def test_bounds_and_edges(order: int) -> None:
    def inside(t: float) -> float:
        assert 0.0 <= t <= 1.0
        return math.exp(t)

    for x in (0.0, 1.0, 1e-3, 0.999):
        d = mb.derivative(inside, x, order=order, bounds=(0.0, 1.0))
        assert covered(d, math.exp(x))
        assert d.error < 0.1 * math.exp(x)
        assert d.status is Status.ONE_SIDED
    d = mb.derivative(lambda t: math.log(t) * t, 1e-4, order=order)
    assert covered(d, {2: 1e4, 3: -1e8, 4: 2e12}[order])
    d = mb.derivative(lambda t: math.sqrt(t) ** 8 if t >= 0 else math.sqrt(t), 0.0, order=order)
    assert covered(d, 24.0 if order == 4 else 0.0)


@each_order
def test_a_root_of_high_order_and_an_f_that_does_not_change(order: int) -> None:
    for power in (2, 3, 4):
        d = mb.derivative(lambda t, power=power: t**power, 0.0, order=order)
        assert covered(d, math.factorial(power) if power == order else 0.0)
        assert d.error < 1e-6
    d = mb.derivative(lambda t: 3.0, 1.0, order=order)
    assert (d.value, d.status) == (0.0, Status.INSENSITIVE)


# --- what is not smooth ---


@each_order
@pytest.mark.parametrize("f", [abs, lambda t: abs(t) + math.sin(t), lambda t: float(t > 0), np.sqrt])
def test_where_f_has_no_slope_it_has_no_higher_derivative(f: Callable[[Any], Any], order: int) -> None:
    with np.errstate(all="ignore"):
        d = mb.derivative(f, 0.0, order=order)
    assert d.status in (Status.KINK, Status.JUMP, Status.NOT_FINITE)
    assert math.isnan(d.value)
    assert d.error == math.inf
    assert f"there is no derivative of order {order}" in d.notes[0].message


@pytest.mark.parametrize(
    ("f", "x", "order", "left", "right"),
    [
        (lambda t: t * abs(t), 0.0, 2, -2.0, 2.0),
        (lambda t: max(t - 1, 0.0) ** 2, 1.0, 2, 0.0, 2.0),
        (lambda t: math.sin(t) + max(t - 1, 0.0) ** 2, 1.0, 2, -math.sin(1.0), 2 - math.sin(1.0)),
        (lambda t: abs(t) ** 3, 0.0, 3, -6.0, 6.0),
        (lambda t: abs(t) * t**3, 0.0, 4, -24.0, 24.0),
        (lambda t: math.sin(t) + max(t - 1, 0.0) ** 4, 1.0, 4, math.sin(1.0), 24 + math.sin(1.0)),
    ],
)
def test_a_kink_of_a_derivative_is_named_with_both_sides(
    f: Callable[[float], float], x: float, order: int, left: float, right: float
) -> None:
    d = mb.derivative(f, x, order=order)
    assert d.status is Status.KINK
    (note,) = d.notes
    assert note.left == pytest.approx(left, abs=1e-3)
    assert note.right == pytest.approx(right, abs=1e-3)
    assert d.value == pytest.approx((left + right) / 2, abs=1e-3)
    assert d.error >= (right - left) / 2
    if order < 4:
        d = mb.derivative(f, x, order=4)
        assert d.status is Status.KINK
        assert math.isnan(d.value)
        assert f"the derivatives of order {order} from the left" in d.notes[0].message


@pytest.mark.parametrize("offset", [1.0, 4.0, -30.0])
def test_a_kink_beside_a_constant_is_no_flat_piece(offset: float) -> None:
    """Close to the kink nothing is seen of it beside the constant, and no slope either."""
    for f, left, right in ((lambda t: t * abs(t), -2.0, 2.0), (lambda t: max(t, 0.0) ** 2, 0.0, 2.0)):
        d = mb.derivative(lambda t, f=f: offset + f(t), 0.0, order=2)
        assert d.status is Status.KINK
        assert d.notes[0].left == pytest.approx(left, abs=1e-3)
        assert d.notes[0].right == pytest.approx(right, abs=1e-3)
    flat = mb.derivative(lambda t: offset + max(t - 1, 0.0), 0.99, order=2)
    assert flat.status is Status.INSENSITIVE
    assert flat.value == 0.0


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("method", ["adaptive", "complex"])
@pytest.mark.parametrize("scale", [1e-160, 1e-100, 1e-78, 1e78, 1e100, 1e160, 1e300])
def test_beyond_the_range_of_floats_there_is_no_number(scale: float, method: str, order: int) -> None:
    d = mb.derivative(lambda t: np.sin(t / scale), scale, order=order, method=method)
    truth = mpmath.diff(mpmath.sin, 1, order) / mpmath.mpf(scale) ** order
    if d.status.passes:
        assert abs(mpmath.mpf(d.value) - truth) <= d.error
    else:
        assert not 1e-300 < abs(truth) < 1e300
        assert math.isnan(d.value)
        assert d.error == math.inf


def test_no_number_without_a_word_beside_a_kink() -> None:
    wrong = 0
    for order in ORDERS:
        for problem in mix.kinks(20_264, 60, share_near=1.0):
            d = mb.derivative(problem.f, problem.x, order=order)
            if d.status.passes:
                truth = float(mix.jet(problem.formula, problem.x)[order]) * math.factorial(order)
                wrong += not abs(d.value - truth) <= d.error
    assert wrong <= 2


# --- options ---


@each_order
def test_noise_that_is_given_and_noise_that_is_found(order: int) -> None:
    rng = np.random.default_rng(5)
    for given_noise in (None, 1e-6):
        d = mb.derivative(lambda t: math.sin(t) + 1e-6 * rng.standard_normal(), 1.0, order=order, noise=given_noise)
        assert d.status is Status.NOISY
        assert covered(d, sines(1.0, order))
        assert 1e-7 < d.noise < 1e-5


@each_order
def test_a_tolerance_ends_it_and_no_budget_is_passed(order: int) -> None:
    d = mb.derivative(math.exp, 0.1, order=order, rtol=1e-3)
    assert d.error <= 1e-3 * abs(d.value)
    assert d.evaluations <= mb.derivative(math.exp, 0.1, order=order).evaluations
    assert mb.derivative(math.exp, 0.1, order=order, atol=1e-2).error <= 1e-2
    for budget in range(1, 41):
        for f in (math.sin, lambda t: math.sin(900 * t), lambda t: t * abs(t - 1)):
            d = mb.derivative(f, 1.0, order=order, budget=budget)
            assert d.evaluations <= budget
            assert d.status.passes <= math.isfinite(d.error)


def test_order_1_is_what_it_was() -> None:
    assert mb.derivative(math.sin, 1.0, order=1).to_dict() == mb.derivative(math.sin, 1.0).to_dict()
    assert mb.derivative(math.sin, 1.0, order=np.int64(2)).value == mb.derivative(math.sin, 1.0, order=2).value


@pytest.mark.parametrize("order", [0, 9, -1, True, 2.0, "2", None, 1 + 0j])
@pytest.mark.parametrize("method", ["adaptive", "central", "complex"])
def test_orders_that_there_are_not(order: Any, method: str) -> None:
    with pytest.raises(InputError, match="expected a whole number from 1 to 4, or to 8 with"):
        mb.derivative(math.sin, 1.0, order=order, method=method)


@pytest.mark.parametrize("method", [Adaptive(), Central(), Forward(), Backward(4)])
def test_orders_that_want_the_circle(method: Any) -> None:
    for order in (5, 8):
        with pytest.raises(InputError, match='its highest is 4: write method="complex"'):
            mb.derivative(math.sin, 1.0, order=order, method=method)


def test_a_method_of_ones_own_has_order_1_unless_it_says_more() -> None:
    class Mine:
        def converse(self, x: float, request: Request) -> Any:
            return Adaptive().converse(x, request)

    assert mb.derivative(math.sin, 0.0, method=Mine()).value == pytest.approx(1.0)
    with pytest.raises(InputError, match='its highest is 1: write method="adaptive"'):
        mb.derivative(math.sin, 0.0, order=2, method=Mine())


# --- fixed steps ---


@each_order
@pytest.mark.parametrize(
    "method",
    [Forward(), Forward(2), Forward(4), Backward(), Backward(3), Central(), Central(4), Central(6)],
    ids=str,
)
def test_stencils_of_higher_order(method: Any, order: int) -> None:
    for x in (0.0, 0.7, -2.0):
        d = mb.derivative(math.exp, x, order=order, method=method)
        assert covered(d, math.exp(x))
        assert d.error < (0.5 if method in (Forward(), Backward()) else 0.05) * math.exp(x)


@each_order
def test_a_stencil_is_exact_for_a_polynomial_and_its_error_is_of_its_accuracy(order: int) -> None:
    d = mb.derivative(lambda t: t**order, 1.0, order=order, method=Central(step=0.25))
    assert d.value == math.factorial(order)
    assert d.truncation == 0.0
    coarse, fine = (mb.derivative(math.exp, 0.0, order=order, method=Central(step=h)).value - 1 for h in (0.25, 0.125))
    assert coarse / fine == pytest.approx(4.0, rel=0.02)
    coarse, fine = (mb.derivative(math.exp, 0.0, order=order, method=Forward(step=h)).value - 1 for h in (0.01, 0.005))
    assert coarse / fine == pytest.approx(2.0, rel=0.02)
    kink = mb.derivative(abs, 0.0, order=order, method="central")
    assert kink.status is Status.KINK
    assert math.isnan(kink.value)


# --- the circle ---


@pytest.mark.parametrize("order", range(2, 9))
def test_the_circle(order: int) -> None:
    for x in (0.0, 0.7, -3.0):
        d = mb.derivative(np.sin, x, order=order, method="complex")
        assert d.status is Status.CONVERGED
        assert covered(d, sines(x, order))
        assert d.error < 1e-12 * 30.0**order
    d = mb.derivative(lambda z: 1 / (1 + z * z), [0.0, 0.5], order=order, method="complex", vectorized=True)
    truth = [(1j * (-1) ** order * math.factorial(order) * (1 / (t + 1j) ** (order + 1))).real for t in (0.0, 0.5)]
    assert covered(d, truth)
    with pytest.raises(InputError, match="needs an f that is real for real x"):
        mb.derivative(cmath.exp, 0.3 + 0.2j, order=order, method="complex")


def test_the_circle_keeps_to_bounds_and_budget() -> None:
    def near(z: Any) -> Any:
        assert abs(z - 1.0) <= 0.0100001
        return np.exp(z)

    d = mb.derivative(near, 1.0, order=5, method="complex", bounds=(0.99, None))
    assert covered(d, math.e)
    for budget in range(1, 41):
        d = mb.derivative(np.exp, 1.0, order=5, method="complex", budget=budget)
        assert d.evaluations <= budget
        assert covered(d, math.e) or math.isnan(d.value)
    assert mb.derivative(np.exp, 1.0, order=5, method="complex", bounds=(1.0, None)).status is Status.UNRESOLVED


@pytest.mark.parametrize(
    "f",
    [
        lambda z: abs(z) ** 2 + 0.0,
        lambda z: z.conjugate() if isinstance(z, complex) else z,
        lambda z: z if z.real < 1.1 else 2 * z,
        np.abs,
    ],
)
def test_the_circle_refuses_what_is_not_analytic(f: Callable[[Any], Any]) -> None:
    d = mb.derivative(f, 1.0, order=3, method="complex")
    assert not d.status.passes or abs(d.value) <= d.error
    d = mb.derivative(abs, 0.0, order=6, method="complex")
    assert d.status is Status.KINK
    assert "there is no derivative of order 6" in d.notes[0].message


def test_a_pole_inside_is_not_believed() -> None:
    d = mb.derivative(lambda z: np.exp(z) + 1e-3 / ((z - 1.0) ** 2 + 1e-6), 1.001, order=5, method="complex")
    truth = mix.jet("exp(x)+0.001/((x-1.0)**2+1e-06)", 1.001)[5] * 120
    assert abs(d.value - float(truth)) <= d.error


def test_an_f_that_takes_no_complex_numbers_is_told_so() -> None:
    with pytest.raises(InputError, match="complex"):
        mb.derivative(math.sin, 1.0, order=5, method=ComplexStep())


# --- the parts ---


def test_windows_give_the_coefficients_of_a_polynomial() -> None:
    steps = (1.0, 1.5, 2.5, 4.0)
    for power in (1, 2):
        for which, wanted in enumerate((3.0, -2.0, 5.0, 0.5)):
            values = [sum(a * h ** (power * n) for n, a in enumerate((3.0, -2.0, 5.0, 0.5))) for h in steps]
            weights = coefficients(steps, power, which)
            assert math.fsum(w * v for w, v in zip(weights, values, strict=True)) == pytest.approx(wanted)


def test_the_window_with_the_least_bound() -> None:
    exact = Windows([Sample(h, 3.0 + h * h, 1e-12) for h in (0.5, 1.0, 2.0)], 2, 0).best()
    assert exact.value == pytest.approx(3.0, abs=1e-11)
    assert exact.error < 1e-10
    assert exact.at_top
    assert math.isnan(Windows([Sample(1.0, 3.0, 1e-12)], 2, 0).best().value)


def test_smaller_steps_are_believed_and_larger_ones_only_inside_of_the_interval() -> None:
    def choice(value: float, error: float) -> Choice:
        return Choice(value, error, 0.0, 1.0, False, False)

    best = Best(choice(1.0, 0.1))
    assert not best.take(choice(2.0, 0.01), smaller=False)
    assert not best.take(choice(1.05, 0.2), smaller=True)
    assert best.choice.value == 1.0
    assert best.take(choice(1.05, 0.01), smaller=False)
    assert best.take(choice(2.0, 0.5), smaller=True)
    assert best.choice.error == 0.5
