"""Forward, Backward, Central, ComplexStep, each led by hand, without any f but the values written here."""

import cmath
import math
import pickle
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mibun.conversation import Estimate, Method, Request
from mibun.errors import InputError
from mibun.methods import Adaptive, Backward, Central, ComplexStep, Forward, choose_method
from mibun.status import Status


def led(
    method: Method, f: Callable[[Any], Any], x: float, request: Request | None = None
) -> tuple[Estimate, list[Sequence[complex]]]:
    """Answer a method by hand, and give its estimate with the points of each round."""
    conversation, rounds = method.converse(x, request or Request()), []
    try:
        points = next(conversation)
        while True:
            rounds.append(points)
            points = conversation.send([f(point) for point in points])
    except StopIteration as end:
        return end.value, rounds


def complex_led(f: Callable[[Any], Any], x: float) -> Estimate:
    return led(ComplexStep(), lambda z: f(z) if isinstance(z, complex) else f(complex(z)).real, x)[0]


@pytest.mark.parametrize("step", [0.5, 2.0**-10])
def test_points_stand_where_the_stencil_says(step: float) -> None:
    h = step
    for method, offsets in (
        (Forward(step=h), {0, 1, 2}),
        (Forward(accuracy=2, step=h), {0, 1, 2, 4}),
        (Backward(step=h), {0, -1, -2}),
        (Central(step=h), {0, 1, -1, 2, -2}),
        (Central(accuracy=4, step=h), {0, 1, -1, 2, -2, 4, -4}),
    ):
        _, ((*points,),) = led(method, lambda x: x, 3.0)
        assert points[0] == 3.0
        assert set(points) == {3.0 + offset * h for offset in offsets}
        assert len(points) == len(set(points))


def test_the_quotient_belongs_to_h_and_the_error_to_two_steps() -> None:
    found, _ = led(Central(step=0.5), lambda x: x**3, 1.0)
    assert found.value == 3.25  # 3 x² + h²
    assert found.truncation == pytest.approx(2 * 0.75 / 3)
    assert found.status is Status.CONVERGED
    assert found.step == 0.5
    assert abs(found.value - 3.0) <= found.truncation


@pytest.mark.parametrize(
    "method",
    [
        Forward(),
        Forward(2),
        Forward(3),
        Backward(),
        Backward(4),
        Central(),
        Central(4),
        Central(6),
        Central(8),
        ComplexStep(),
    ],
    ids=str,
)
@pytest.mark.parametrize("x", [0.0, 1.3, -2.0])
def test_errors_cover_smooth_functions(method: Method, x: float) -> None:
    found = complex_led(cmath.exp, x) if method == ComplexStep() else led(method, math.exp, x)[0]
    assert found.status is Status.CONVERGED
    assert abs(found.value - math.exp(x)) <= found.truncation + found.rounding
    assert found.truncation + found.rounding <= 1e-6 * math.exp(x)


@pytest.mark.parametrize("accuracy", [1, 2, 3, 4])
@settings(max_examples=50)
@given(x=st.floats(-1e6, 1e6), slope=st.floats(-1e3, 1e3), offset=st.floats(-1e3, 1e3))
def test_lines_are_exact_within_rounding(accuracy: int, x: float, slope: float, offset: float) -> None:
    for method in (Forward(accuracy), Backward(accuracy), Central(2 * accuracy)):
        found, _ = led(method, lambda t: slope * t + offset, x)
        assert abs(found.value - slope) <= found.truncation + found.rounding


def test_the_step_that_happened_divides() -> None:
    # 0.1 is no multiple of the spacing at 1e8: the points are, and so is what divides
    found, ((_, up, _),) = led(Forward(step=1e-7), lambda x: x, 1e8)
    assert up - 1e8 != 1e-7
    assert found.value == 1.0


@pytest.mark.parametrize("method", [Forward(step=1e-20), Central(step=1e-17), Backward(2, step=5e-324)], ids=str)
def test_a_step_that_vanishes_is_unresolved(method: Method) -> None:
    found, rounds = led(method, math.exp, 1.0)
    assert not rounds
    assert found.status is Status.UNRESOLVED
    assert found.rounding == math.inf
    assert math.isnan(found.value)
    assert "x + h == x at x = 1.0" in found.message


def test_float32_points_are_floats_of_32_bits() -> None:
    _, (points,) = led(Central(step=0.1), math.exp, 1.0, Request(unit=2.0**-23))
    for point in points:
        assert struct.unpack("f", struct.pack("f", point))[0] == point


def test_central_names_a_kink_and_no_curve() -> None:
    found, _ = led(Central(), abs, 0.0)
    assert (found.status, found.value, found.left, found.right) == (Status.KINK, 0.0, -1.0, 1.0)
    assert found.truncation >= 1.0
    for f, x in ((math.exp, 1.0), (math.cos, 0.0), (lambda t: t * t, 0.0), (lambda t: 1e6 * t * t + t, 1.0)):
        assert led(Central(), f, x)[0].status is Status.CONVERGED


def test_a_flat_f_is_insensitive() -> None:
    found, _ = led(Central(), lambda x: 7.0, 1.0)
    assert found.status is Status.INSENSITIVE
    assert found.value == 0.0
    assert 0.0 < found.rounding < 1e-9


def test_central_changes_side_at_bounds_and_edges() -> None:
    found, rounds = led(Central(), math.exp, 0.0, Request(lower=0.0))
    assert (found.status, len(rounds)) == (Status.ONE_SIDED, 1)
    assert min(rounds[0]) == 0.0
    assert abs(found.value - 1.0) <= found.truncation + found.rounding
    edge = 1e-9
    found, rounds = led(Central(), lambda x: math.log(x) if x > 1 - edge else math.nan, 1.0)
    assert (found.status, len(rounds)) == (Status.ONE_SIDED, 2)
    assert "forward" in found.message


def test_no_slope_where_a_side_has_none() -> None:
    assert led(Central(), lambda x: math.sqrt(x) if x >= 0 else math.nan, 0.0)[0].status is Status.UNRESOLVED
    assert led(Central(), lambda x: math.nan, 0.0)[0].status is Status.NOT_FINITE
    found, _ = led(Forward(), lambda x: 1.0 if x == 0 else math.inf, 0.0)
    assert (found.status, found.rounding) == (Status.NOT_FINITE, math.inf)


def test_the_textbook_step_shrinks_into_narrow_bounds_and_a_given_one_does_not() -> None:
    narrow = Request(lower=1.0 - 1e-6, upper=1.0 + 1e-6)
    found, rounds = led(Central(), math.exp, 1.0, narrow)
    assert all(narrow.lower <= point <= narrow.upper for row in rounds for point in row)
    assert found.status is Status.ONE_SIDED
    found, rounds = led(Central(step=1e-3), math.exp, 1.0, narrow)
    assert not rounds
    assert found.status is Status.UNRESOLVED
    assert "bounds leave no room" in found.message


def test_tolerances_and_budgets() -> None:
    assert led(Forward(), math.exp, 1.0, Request(rtol=1e-12))[0].status is Status.UNRESOLVED
    assert led(Forward(), math.exp, 1.0, Request(rtol=1e-3))[0].status is Status.CONVERGED
    found, rounds = led(Central(), math.exp, 1.0, Request(budget=4))
    assert not rounds
    assert (found.status, found.rounding) == (Status.BUDGET_SPENT, math.inf)


def test_known_noise_widens_the_error() -> None:
    plain, noisy = (led(Central(), math.exp, 1.0, Request(noise=noise))[0] for noise in (None, 1e-6))
    assert noisy.rounding > 1e3 * plain.rounding
    assert noisy.noise == 1e-6


def test_huge_values_overflow_into_a_status() -> None:
    found, _ = led(Central(), lambda x: 1e308 if x > 0 else -1e308, 0.0)
    assert found.status is Status.NOT_FINITE
    assert math.isnan(found.value)


@pytest.mark.parametrize(
    ("f", "x", "truth"),
    [
        (cmath.exp, 1.0, math.e),
        (lambda z: z**3, 0.0, 0.0),
        (cmath.cos, 0.0, 0.0),
        (lambda z: cmath.sin(1e4 * z), 0.3, 1e4 * math.cos(3e3)),
    ],
)
def test_complex_step_is_exact_for_analytic_f(f: Callable[[Any], Any], x: float, truth: float) -> None:
    found = complex_led(f, x)
    assert found.status is Status.CONVERGED
    assert abs(found.value - truth) <= found.truncation + found.rounding


@pytest.mark.parametrize(
    "f", [abs, lambda z: z * z.conjugate(), lambda z: complex(z.real**2), lambda z: z.conjugate() * 2], ids=range(4)
)
def test_complex_step_refuses_what_is_not_analytic(f: Callable[[Any], Any]) -> None:
    found, rounds = led(ComplexStep(), lambda z: f(z) if isinstance(z, complex) else complex(f(complex(z))).real, 1.0)
    assert found.status is Status.UNRESOLVED
    assert found.rounding == math.inf
    assert "analytic" in found.message
    assert sum(map(len, rounds)) == 8


def test_complex_step_at_an_edge_and_outside() -> None:
    def root(z: complex) -> Any:
        if isinstance(z, complex):
            return cmath.log(z)
        return math.log(z) if z >= 1.0 else math.nan

    assert led(ComplexStep(), root, 1.0)[0].value == pytest.approx(1.0)
    assert led(ComplexStep(), lambda z: math.nan, 1.0)[0].status is Status.NOT_FINITE
    assert led(ComplexStep(), lambda z: z, 1.0, Request(budget=3))[0].status is Status.BUDGET_SPENT


def test_methods_print_as_what_they_are() -> None:
    assert str(Central(accuracy=4)) == "Central(accuracy=4)"
    assert str(Forward(step=1e-3)) == "Forward(step=0.001)"
    assert "estimate" in repr(Central())
    for method in (Forward(2), Backward(step=0.1), Central(4, 0.5), ComplexStep()):
        assert eval(repr(method)) == method
        assert pickle.loads(pickle.dumps(method)) == method
        assert hash(method) == hash(eval(str(method)))


@pytest.mark.parametrize("accuracy", [0, -1, 1.0, True, "2", 21, None])
def test_bad_accuracy(accuracy: Any) -> None:
    for kind in (Forward, Backward, Central):
        with pytest.raises(InputError, match="accuracy is"):
            kind(accuracy=accuracy)
    with pytest.raises(InputError, match="even"):
        Central(accuracy=3)


@pytest.mark.parametrize("step", [0, -1.0, math.nan, math.inf, "h", True])
def test_bad_step(step: Any) -> None:
    for kind in (Forward, Backward, Central):
        with pytest.raises(InputError, match="step is"):
            kind(step=step)


def test_words() -> None:
    assert choose_method("adaptive") == Adaptive()
    assert choose_method("forward") == Forward()
    assert choose_method("backward") == Backward()
    assert choose_method("central") == Central()
    assert choose_method("complex") == ComplexStep()
    assert choose_method(Central(4)) == Central(4)
    with pytest.raises(InputError, match=r"'centrel'; expected one of 'adaptive', 'forward', 'backward', 'central'"):
        choose_method("centrel")
    with pytest.raises(InputError, match=r"write Central\(\)"):
        choose_method(Central)
    with pytest.raises(InputError, match="converse"):
        choose_method(3)
