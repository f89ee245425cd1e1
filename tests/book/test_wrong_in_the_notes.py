"""Where a note prints or says something wrong: how it came about, and what is right."""

import math
from decimal import Decimal
from functools import partial

import numpy as np
import pytest

from mibun import book

W = np.array([[0.11633986, 0.10927077, -0.93392791], [-1.67889742, 2.13145596, -0.33077693]])
X, T = np.array([0.6, 0.9]), np.array([0, 0, 1])


# N0: 6.0000000000000000378 and 7.9999999999999999119


@pytest.mark.parametrize(
    ("printed", "right", "truth"),
    [("6.0000000000000000378", "6.00000000000378", 6.0), ("7.9999999999999999119", "7.999999999999119", 8.0)],
)
def test_more_zeros_and_nines_than_a_float_can_hold(printed, right, truth):
    # No float64 shows these digits: the nearest one is the whole number itself.
    assert float(printed) == truth
    assert abs(Decimal(printed) - Decimal(truth)) < Decimal(np.spacing(truth)) / 2
    # They are the right digits, retyped with too many of the leading zeros (16 for 11) or nines (16 for 12).
    run = "0" if truth == 6.0 else "9"
    retyped, digits = printed.partition(".")[2], right.partition(".")[2]
    assert retyped.lstrip(run) == digits.lstrip(run)
    extra = (len(retyped) - len(retyped.lstrip(run))) - (len(digits) - len(digits.lstrip(run)))
    assert extra == (5 if truth == 6.0 else 4)
    function, x = (book.function_tmp1, 3.0) if truth == 6.0 else (book.function_tmp2, 4.0)
    assert repr(book.numerical_diff(function, x)) == right


def test_function_tmp2_at_4_is_printed_for_both_partial_derivatives():
    # As typed in N0, both lines give the second derivative; the first belongs to function_tmp1 at 3.
    as_typed = book.numerical_diff(book.function_tmp2, 4.0)
    assert as_typed == pytest.approx(8, abs=1e-11)
    assert book.numerical_diff(book.function_tmp1, 3.0) == pytest.approx(6, abs=1e-11)
    assert book.function_tmp1(3.0) == book.function_tmp2(4.0) == book.function_2([3.0, 4.0]) == 25


# N0, N1, N3, N4: "1e-50 becomes 0.0"


def test_1e_50_is_zero_in_float32_only():
    assert np.float32(1e-50) == 0  # N3 has it right
    assert np.float64(1e-50) != 0  # N0's np.float was float64, so it would have shown 1e-50
    assert not hasattr(np, "float")
    assert 10e-50 == 1e-49  # N3: "49 zeros"


def test_the_tiny_step_fails_by_absorption():
    for h in (1e-50, 10e-50):
        assert h > 0
        assert 5.0 + h == 5.0
        assert book.numerical_diff_forward(book.function_1, 5.0, h=h) == 0.0
    # Where x is small enough that x + h is another float, the same h gives the right slope.
    assert book.numerical_diff_forward(book.function_1, 0.0, h=10e-50) == pytest.approx(0.1, rel=1e-12)


# N0, N1, N3, N4: "h = 1e-4 gives the best result"


def median_error(difference, h):
    x = np.linspace(0.5, 2.0, 101)
    return np.median(np.abs(difference(np.exp, x, h) - np.exp(x)))


def forward(f, x, h):
    return book.numerical_diff_forward(f, x, h=h)


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def test_1e_minus_4_is_not_the_best_step():
    steps = 10.0 ** np.arange(-12, -0.9, 0.25)
    best_forward = steps[np.argmin([median_error(forward, h) for h in steps])]
    best_central = steps[np.argmin([median_error(central, h) for h in steps])]
    assert 1e-9 < best_forward < 1e-7
    assert 1e-6 < best_central < 3e-5
    assert median_error(forward, 1e-8) < median_error(forward, 1e-4) / 1000
    assert median_error(central, 6e-6) < median_error(central, 1e-4) / 50


def test_forward_difference_of_function_1_is_better_with_1e_minus_8():
    assert abs(forward(book.function_1, 5.0, 1e-4) - 0.2) == pytest.approx(1e-6, rel=1e-3)
    assert abs(forward(book.function_1, 5.0, 1e-8) - 0.2) == pytest.approx(5.7e-9, rel=0.1)


def test_for_a_quadratic_a_large_step_is_better():
    assert abs(central(book.function_1, 5.0, 0.1) - 0.2) < 1e-15
    assert abs(book.numerical_diff(book.function_1, 5.0) - 0.2) > 5e-13


# N4: lim h -> infinity


def test_the_limit_is_at_h_to_zero():
    towards_zero = [abs(forward(book.function_1, 5.0, h) - 0.2) for h in (1.0, 1e-2, 1e-4, 1e-6)]
    towards_infinity = [abs(forward(book.function_1, 5.0, h) - 0.2) for h in (1.0, 1e2, 1e4, 1e6)]
    assert towards_zero == sorted(towards_zero, reverse=True)
    assert towards_zero[-1] < 2e-8
    assert towards_infinity == sorted(towards_infinity)
    assert towards_infinity[-1] > 1e3


# N4: x0 ^ 2 + 4.0 ^ 2


def test_the_caret_is_no_power():
    def func_x0(x0):
        return x0 ^ 2 + 4.0 ^ 2

    def func_of_integers(x0):
        return (x0 ^ 2) + (4 ^ 2)

    with pytest.raises(TypeError, match="unsupported operand"):
        book.numerical_diff(func_x0, 3.0)
    assert func_of_integers(3) == 7  # bits flipped: 1 + 6, where 9 + 16 was meant
    assert book.function_tmp1(3) == 25


# N0, N3: code that does not run


@pytest.mark.parametrize(
    "typed",
    [
        "def numerical_diff(f, x):\n\th = 10e-50\n    return (f(x+h)-f(x))/ h\n",  # N0: a tab, then spaces
        "def cross_entropy_error(y, t)\n    delta = 1e-7\n",  # N3: no colon
        "def gradient_descent(function_2, init_x=init_x, lr=0.1, step_num=100)\n",  # N3: a call after def
    ],
)
def test_typed_code_that_does_not_compile(typed):
    with pytest.raises(SyntaxError):
        compile(typed, "the note", "exec")


# N1, N3, N4: "the gradient points where f decreases most"


@pytest.mark.parametrize("point", [(3.0, 4.0), (-1.0, 0.5), (0.0, 2.0)])
@pytest.mark.parametrize("f", [book.function_2, lambda x: x[0] ** 2 + 2 * x[1] ** 2], ids=["bowl", "steep bowl"])
def test_the_gradient_points_where_f_grows(f, point):
    x = np.array(point)
    gradient = book.numerical_gradient(f, x)
    assert f(x + 1e-3 * gradient) > f(x) > f(x - 1e-3 * gradient)
    # Of all directions of equal length it is the one of largest growth (their pictures draw -gradient).
    angles = np.radians(np.arange(360))
    circle = 1e-5 * np.array([np.cos(angles), np.sin(angles)])
    steepest = circle[:, np.argmax(f(x[:, None] + circle))]
    assert steepest @ gradient > 0.999 * np.linalg.norm(steepest) * np.linalg.norm(gradient)


# N1: lr = 10 ends at (-2.58983747e+13, -1.29524862e+12)


def test_learning_rate_10_is_stopped_by_absorption():
    with pytest.warns(UserWarning, match="diverged") as caught:
        end = book.gradient_descent(book.function_2, np.array([-3.0, 4.0]), lr=10, step_num=100)
    # How it came about: beyond 1.1e12 neighbouring floats are further apart than 2h, so f(x+h) == f(x-h).
    assert np.all(end + 1e-4 == end)
    assert np.all(end - 1e-4 == end)
    for steps in (10, 11, 50):
        with pytest.warns(UserWarning, match="diverged"):
            stuck = book.gradient_descent(book.function_2, [-3.0, 4.0], lr=10, step_num=steps)
        np.testing.assert_array_equal(stuck, end)  # update 10 was the last that moved anything
    # What is right: every update multiplies x by 1 - 2 * 10 = -19, and x1 / x0 stays -4/3.
    exact = np.array([-3.0, 4.0]) * (-19.0) ** 100
    np.testing.assert_allclose(exact, [-2.25e128, 3.00e128], rtol=2e-3)
    assert end[1] / end[0] == pytest.approx(0.05, abs=2e-4)
    # What the reader is told:
    (message,) = [str(warning.message) for warning in caught]
    assert message.startswith("diverged: f went from 25 to 6.72e+26 with lr=10;")
    assert "largest stable rate at the start is about 1.0;" in message
    assert "after 9 updates x + h == x (absorption): the gradient is numerically dead" in message


# N4: "with too small a rate descent may diverge"; "it does not matter where one starts"


def test_a_small_rate_is_slow_but_does_not_diverge():
    values = []
    for rate in (1e-10, 1e-4, 1e-2):
        values.append(book.function_2(book.gradient_descent(book.function_2, [-3.0, 4.0], lr=rate)))
    assert 25 > values[0] > values[1] > values[2]


def test_the_start_matters_when_f_is_not_convex():
    def two_valleys(x):
        return (x[0] ** 2 - 1) ** 2 + x[1] ** 2

    assert book.gradient_descent(two_valleys, [0.1, 1.0], lr=0.05)[0] == pytest.approx(1, abs=1e-6)
    assert book.gradient_descent(two_valleys, [-0.1, 1.0], lr=0.05)[0] == pytest.approx(-1, abs=1e-6)


# N1: dW is off in the sixth digit


def test_printed_dw_is_off_because_of_1e_minus_7_in_the_logarithm():
    exact = np.outer(X, book.softmax(X @ W) - T)
    printed = np.array([[0.01790151, 0.55002379, -0.5679253], [0.02685226, 0.82503568, -0.85188794]])

    def relative_error(gradient):
        return np.max(np.abs(gradient - exact)) / np.max(np.abs(exact))

    with_it = book.numerical_gradient(lambda w: book.simpleNet(W=w).loss(X, T), W)
    without = book.numerical_gradient(lambda w: -np.log(book.softmax(X @ w)[2]), W)
    assert relative_error(printed) == pytest.approx(1.87e-6, rel=0.01)
    assert relative_error(with_it) == pytest.approx(1.87e-6, rel=0.01)
    assert relative_error(without) < 2e-9
    # -log(p + c) instead of -log(p) scales the whole gradient by p / (p + c), here 1 - 1.87e-6.
    p = book.softmax(X @ W)[2]
    np.testing.assert_allclose(with_it, exact * p / (p + 1e-7), rtol=0, atol=1e-10)


def test_w11_of_the_note_counts_from_zero():
    dw = book.numerical_gradient(lambda w: book.simpleNet(W=w).loss(X, T), W)
    assert round(dw[1, 1], 1) == 0.8
    assert round(dw[0, 0], 1) == 0.0


def test_the_scores_are_p_and_not_x():
    # N1 prints x and shows p.
    assert X.shape == (2,)
    assert book.simpleNet(W=W).predict(X).shape == (3,)


# N2: 0.84 with e = 2.7


def test_output_0_84_comes_from_a_rounded_e():
    unit = partial(book.unit_with_bias, (0.6, 0.5), (2, 3), -1)
    assert unit(u=partial(book.sigmoid, e=2.7)) == pytest.approx(0.8440, abs=5e-5)
    assert unit() == pytest.approx(0.8455, abs=5e-5)
    assert f"{unit():.2f}" == "0.85"
    assert f"{1 / 1.18:.2f}" == "0.85"  # even the note's own fraction 1/1.18 is not 0.84
    assert f"{1 / 1.1848:.2f}" == "0.84"


def test_output_0_43_survives_the_rounded_e():
    assert book.unit_with_bias((0.2, 0.1), (2, 3), -1) == pytest.approx(0.4256, abs=5e-5)
    assert book.unit_with_bias((0.2, 0.1), (2, 3), -1, u=partial(book.sigmoid, e=2.7)) == pytest.approx(
        0.4261, abs=5e-5
    )


def test_the_threshold_itself_fires():
    # N2 says "greater than theta" in words, and z >= 0 in the table.
    assert book.unit_with_threshold((1, 1), (0.5, 0.5), theta=1.0) == 1


# N2: a3 = 3


def test_third_term_of_the_recurrence_is_5():
    assert book.recurrence(3) == book.recurrence(2) + 2 == 5
    assert book.recurrence(3) != 3  # the note leaves a2 + 2 at a2 = 3
    assert [book.recurrence(n) for n in range(1, 9)] == [book.sequence_2n_minus_1(n) for n in range(1, 9)]


# N2: the two partial derivatives are both headed dy/dx


def test_two_partial_derivatives_are_two_numbers():
    by_x = book.simple_derivative(lambda x: book.func2((x, 2.0)), 1.0)
    by_y = book.simple_derivative(lambda y: book.func2((1.0, y)), 2.0)
    assert (by_x, by_y) == pytest.approx((8, 15), rel=1e-10)
    assert book.derivative(book.func2, [1.0, 2.0]).tolist() == [by_x, by_y]


# N3: the cross entropy with 1e-7 inside


def test_1e_minus_7_makes_the_loss_of_a_perfect_answer_negative_and_that_of_the_worst_flat():
    assert book.cross_entropy_error([1.0, 0.0], [1, 0]) == pytest.approx(-1e-7, rel=1e-6)  # right: 0
    assert book.cross_entropy_error([1.0, 0.0], [0, 1]) == pytest.approx(16.118, abs=1e-3)  # right: infinite
    assert book.cross_entropy_error([1.0, 1e-12], [0, 1]) == pytest.approx(-math.log(1e-7), abs=1e-4)
