"""Traps in the notes' code: what their version does, and that `mibun.book` does not."""

import math
import warnings

import numpy as np
import pytest

from mibun import book
from mibun.errors import FunctionUnchanged, InputError, MibunWarning

UNCHANGED = "f did not change: does it use its argument\\?"
W = np.array([[0.11633986, 0.10927077, -0.93392791], [-1.67889742, 2.13145596, -0.33077693]])
X, T = np.array([0.6, 0.9]), np.array([0, 0, 1])


def gradient_of_the_notes(f, x):
    """Their loop, as N1, N3 and N4 mean it."""
    h = 1e-4
    grad = np.zeros_like(x)
    for idx in range(x.size):
        tmp_val = x[idx]
        x[idx] = tmp_val + h
        fxh1 = f(x)
        x[idx] = tmp_val - h
        fxh2 = f(x)
        grad[idx] = (fxh1 - fxh2) / (2 * h)
        x[idx] = tmp_val
    return grad


def derivative_of_the_notes(f, var):
    """The vector branch of N2."""
    delta = 1e-5
    diff_val = np.zeros(var.shape)
    for index in range(len(var)):
        target_var = float(var[index])
        var[index] = target_var + delta
        plus = f(var)
        var[index] = target_var - delta
        diff_val[index] = (plus - f(var)) / (2 * delta)
        var[index] = target_var
    return diff_val


def descent_of_the_notes(f, init_x, lr=0.01, step_num=100):
    x = init_x
    for _ in range(step_num):
        x -= lr * gradient_of_the_notes(f, x)
    return x


DIFFERENTIATORS = pytest.mark.parametrize(
    "differentiate", [book.numerical_gradient, book.derivative], ids=["numerical_gradient", "derivative"]
)


# Integers, short floats, lists


def test_integers_in_the_notes():
    assert gradient_of_the_notes(book.function_2, np.array([3, 4])).tolist() == [25000, 35000]
    assert derivative_of_the_notes(book.func2, np.array([1, 2])).round(6).tolist() == [400000, 500000]
    np.testing.assert_allclose(book.derivative(book.func2, np.array([1, 2])), [8, 15], atol=1e-9)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "float16", "float32", "float64"])
@DIFFERENTIATORS
def test_every_kind_of_number_gives_6_and_8(differentiate, dtype):
    x = np.array([3, 4], dtype=dtype)
    gradient = differentiate(book.function_2, x)
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, [6, 8], rtol=0, atol=1e-9)
    assert x.dtype == dtype
    assert x.tolist() == [3, 4]


def test_float32_in_the_notes():
    rough = gradient_of_the_notes(book.function_2, np.array([3, 4], dtype=np.float32))
    np.testing.assert_allclose(rough, [5.9890747, 8.0013275], rtol=1e-6)


@DIFFERENTIATORS
def test_lists_are_accepted(differentiate):
    np.testing.assert_allclose(differentiate(book.function_2, [3, 4]), [6, 8], atol=1e-9)


@pytest.mark.parametrize("x", [3, 3.0, np.float32(3), np.int32(3), np.array(3), np.array(3.0, dtype=np.float32)])
@pytest.mark.parametrize("differentiate", [book.numerical_diff, book.simple_derivative])
def test_every_kind_of_scalar_gives_6(differentiate, x):
    assert differentiate(book.func1, x) == pytest.approx(6, abs=1e-9)


def test_python_numbers_stay_python_numbers():
    assert book.numerical_diff(math.sin, 1) == pytest.approx(math.cos(1), abs=1e-8)
    assert type(book.numerical_diff(math.sin, 1.0)) is float


@pytest.mark.parametrize("differentiate", [book.numerical_diff, book.simple_derivative])
def test_one_variable_at_many_points(differentiate):
    x = np.arange(20)
    np.testing.assert_allclose(differentiate(book.function_1, x), 0.02 * x + 0.1, atol=1e-9)
    np.testing.assert_array_equal(x, np.arange(20))


@pytest.mark.parametrize("x", ["3, 4", [1j, 2.0], [None, 1.0]])
@DIFFERENTIATORS
def test_what_is_no_number_is_refused(differentiate, x):
    with pytest.raises(InputError, match="expected real numbers"):
        differentiate(book.function_2, x)


@DIFFERENTIATORS
def test_f_with_many_values_is_refused(differentiate):
    with pytest.raises(InputError, match=r"shape \(2,\), but it must give one number"):
        differentiate(lambda x: x**2, [3.0, 4.0])
    assert differentiate(lambda x: np.sum(x**2, keepdims=True), [3.0, 4.0]).shape == (2,)


# Arrays of every dimension


def test_two_dimensions_in_the_notes():
    with pytest.raises(IndexError):
        gradient_of_the_notes(lambda w: np.sum(w**2), np.ones((2, 3)))


def test_range_of_len_moves_whole_rows():
    # The variant `for idx in range(len(x))` gives every element of a row the sum of the row.
    x, h, by_rows = np.arange(6.0).reshape(2, 3), 1e-4, np.zeros((2, 3))
    for row in range(len(x)):
        up, down = x.copy(), x.copy()
        up[row] += h
        down[row] -= h
        by_rows[row] = (np.sum(up**2) - np.sum(down**2)) / (2 * h)
    np.testing.assert_allclose(by_rows, [[6, 6, 6], [24, 24, 24]])
    np.testing.assert_allclose(book.numerical_gradient(lambda w: np.sum(w**2), x), 2 * x, atol=1e-9)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (2, 3, 2), (1, 2, 1, 2), (0,)])
@DIFFERENTIATORS
def test_arrays_of_every_dimension(differentiate, shape):
    x = np.random.default_rng(11).standard_normal(shape)
    gradient = differentiate(lambda w: np.sum(w**3), x)
    assert isinstance(gradient, np.ndarray)
    assert gradient.shape == shape
    np.testing.assert_allclose(gradient, 3 * x**2, atol=5e-8)


def test_arrays_that_are_not_contiguous():
    x = np.arange(24.0).reshape(4, 6).T[::2, ::-1]
    np.testing.assert_allclose(book.numerical_gradient(lambda w: np.sum(w**2), x), 2 * x, atol=1e-8)


# Batches: columns are points


def test_function_2_gives_one_value_a_point():
    points = np.array([[1.0, 2.0, 3.0], [3.0, -1.0, 4.0]])
    assert book.function_2(points).tolist() == [10, 5, 25]
    assert np.sum(points**2) == 40  # the notes' other form adds all points up


def test_gradients_at_many_points_do_not_mix_rows_and_columns():
    points = np.array([[1.0, 2.0], [3.0, -1.0]])  # the points (1, 3) and (2, -1) as columns

    def f(x):
        return x[0] ** 2 + 2 * x[1] ** 2

    row_by_row = np.array([gradient_of_the_notes(f, row) for row in points.copy()])
    np.testing.assert_allclose(row_by_row, [[2, 8], [6, -4]], atol=1e-8)  # takes a row for a point
    together = book.numerical_gradient(lambda x: np.sum(f(x)), points)
    np.testing.assert_allclose(together, [[2, 4], [12, -4]], atol=1e-8)


# The caller's array, before, during and after


class Boom(Exception):
    pass


def exploding(after):
    calls = []

    def f(x):
        calls.append(x)
        if len(calls) > after:
            raise Boom
        return float(np.sum(x**2))

    return f


def test_an_exception_leaves_the_notes_array_changed():
    x = np.array([1.0, 2.0])
    with pytest.raises(Boom):
        gradient_of_the_notes(exploding(1), x)
    assert x.tolist() == [0.9999, 2.0]


@pytest.mark.parametrize("after", range(5))
@pytest.mark.parametrize(
    "call",
    [
        book.numerical_gradient,
        book.derivative,
        book.numerical_diff,
        book.simple_derivative,
        book.numerical_diff_forward,
        book.gradient_descent,
    ],
)
def test_an_exception_leaves_our_array_alone(call, after):
    x = np.array([1.0, 2.0])
    f = exploding(after)
    try:
        call(f, x)
    except Boom:
        pass
    else:
        assert after >= 2  # those that call f twice are through by then
    assert x.tolist() == [1.0, 2.0]


@DIFFERENTIATORS
def test_the_array_is_untouched_while_f_runs(differentiate):
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    seen = []

    def f(w):
        seen.append(x.copy())
        assert not np.shares_memory(w, x)
        return np.sum(w**2)

    differentiate(f, x)
    assert len(seen) == 8
    assert all(np.array_equal(one, [[1.0, 2.0], [3.0, 4.0]]) for one in seen)


@DIFFERENTIATORS
def test_an_f_that_changes_or_keeps_its_argument_does_no_harm(differentiate):
    x = np.array([3.0, 4.0])
    kept = []

    def f(w):
        kept.append(w)
        value = w[0] ** 2 + w[1] ** 2
        w[:] = 99.0
        return value

    np.testing.assert_allclose(differentiate(f, x), [6, 8], atol=1e-9)
    assert x.tolist() == [3.0, 4.0]
    assert len({id(w) for w in kept}) == len(kept) == 4


def test_read_only_arrays_work():
    x = np.array([3.0, 4.0])
    x.flags.writeable = False
    np.testing.assert_allclose(book.numerical_gradient(book.function_2, x), [6, 8], atol=1e-9)
    np.testing.assert_allclose(book.gradient_descent(book.function_2, x, lr=0.5, step_num=1), 0, atol=1e-9)


# An f that ignores its argument


def test_the_notes_f_works_only_because_the_array_is_changed_in_place():
    net = book.simpleNet(W=W)

    def f(w):  # as N1 writes it
        return net.loss(X, T)

    flat = net.W.reshape(-1)
    printed = [0.01790151, 0.55002379, -0.5679253, 0.02685226, 0.82503568, -0.85188794]
    np.testing.assert_allclose(gradient_of_the_notes(f, flat), printed, atol=6e-9)
    with pytest.warns(FunctionUnchanged, match=UNCHANGED) as caught:
        gradient = book.numerical_gradient(f, net.W)
    assert len(caught) == 1
    assert str(caught[0].message) == "f did not change: does it use its argument?"
    assert caught[0].filename == __file__
    assert gradient.tolist() == [[0, 0, 0], [0, 0, 0]]
    uses_w = book.numerical_gradient(lambda w: book.simpleNet(W=w).loss(X, T), net.W)
    np.testing.assert_allclose(uses_w.ravel(), printed, atol=6e-9)


@DIFFERENTIATORS
def test_a_constant_gives_zeros_and_one_warning(differentiate):
    with pytest.warns(FunctionUnchanged, match=UNCHANGED) as caught:
        gradient = differentiate(lambda x: 7.0, [1.0, 2.0, 3.0])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert gradient.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: 7.0, [1.0]),  # one element: no reason to suspect f
        (lambda x: 7.0, 1.0),
        (book.function_2, [0.0, 0.0]),  # f(x+h) == f(x-h) != f(x)
        (lambda x: x[0] ** 2, [1.0, 2.0]),  # one of two elements matters
        (lambda x: x[0] ** 2, [0.0, 5.0]),  # even, and x[1] does not matter: zeros, but f did change
        (lambda x: (x[0] > 1.0) + 0.0, [1.0, 2.0]),  # a jump is a change
        (lambda x: math.nan, [1.0, 2.0]),
        (lambda x: math.inf, [1.0, 2.0]),
    ],
)
@DIFFERENTIATORS
def test_no_false_alarm(differentiate, f, x):
    differentiate(f, x)  # a warning would be an error


def test_descent_and_the_net_do_not_ask_whether_f_uses_its_argument():
    assert book.gradient_descent(lambda x: 7.0, [1.0, 2.0]).tolist() == [1.0, 2.0]
    net = book.TwoLayerNet(2, 3, 2, rng=0)
    grads = net.numerical_gradient(np.zeros((1, 2)), [1])  # no input: W1 has no influence
    assert not grads["W1"].any()
    assert grads["b1"].all()


def test_the_accuracy_of_a_network_has_no_slope():
    # N3: why the loss, and not the accuracy, is what a network learns by.
    rng = np.random.default_rng(2)
    net = book.TwoLayerNet(3, 4, 2, weight_init_std=1.0, rng=rng)
    x, labels = rng.standard_normal((20, 3)), rng.integers(0, 2, 20)
    for name in net.params:
        with pytest.warns(FunctionUnchanged, match=UNCHANGED) as caught:
            slope = book.numerical_gradient(
                lambda p, name=name: net.with_params(**{name: p}).accuracy(x, labels), net.params[name]
            )
        assert len(caught) == 1
        assert slope.shape == net.params[name].shape
        assert not slope.any()
        loss_slope = book.numerical_gradient(
            lambda p, name=name: net.with_params(**{name: p}).loss(x, labels), net.params[name]
        )
        assert loss_slope.all()


def test_a_step_has_no_slope_and_a_sigmoid_has_one_everywhere():  # N3
    z = np.array([-6.0, -1.0, -0.1, 0.1, 1.0, 6.0])
    assert not book.numerical_diff(book.step_function, z).any()
    s = book.sigmoid(z)
    np.testing.assert_allclose(book.numerical_diff(book.sigmoid, z), s * (1 - s), rtol=1e-6)


# Descent


def test_descent_of_the_notes_overwrites_where_it_began():
    x = np.array([-3.0, 4.0])
    descent_of_the_notes(book.function_2, x, lr=0.1)
    assert abs(x).max() < 1e-9
    descent_of_the_notes(book.function_2, x, lr=10)  # the next run begins there
    np.testing.assert_allclose(x, [2.34e12, -3.96e12], rtol=5e-3)
    with pytest.raises(TypeError, match="Cannot cast ufunc"):
        descent_of_the_notes(book.function_2, np.array([-3, 4]))


@pytest.mark.parametrize("dtype", [int, np.float32, float])
def test_descent_leaves_its_start_alone(dtype):
    x = np.array([-3, 4], dtype=dtype)
    for _ in range(2):
        end = book.gradient_descent(book.function_2, init_x=x, lr=0.1, step_num=100)
        np.testing.assert_allclose(end, [-6.11110793e-10, 8.14814391e-10], rtol=1e-8)
        assert end.dtype == np.float64
        assert x.tolist() == [-3, 4]
        assert not np.shares_memory(end, x)
    untouched = book.gradient_descent(book.function_2, x, step_num=0)
    assert not np.shares_memory(untouched, x)


def test_descent_with_the_notes_defaults():
    np.testing.assert_allclose(
        book.gradient_descent(book.function_2, [-3.0, 4.0]), np.array([-3, 4]) * 0.98**100, rtol=1e-8
    )


def test_descent_of_a_matrix():
    end = book.gradient_descent(lambda w: np.sum((w - 2) ** 2), np.zeros((2, 3)), lr=0.1, step_num=200)
    np.testing.assert_allclose(end, np.full((2, 3), 2.0), atol=1e-9)


@pytest.mark.parametrize(
    ("f", "start", "lr", "stable"),
    [
        (book.function_2, [-3.0, 4.0], 10, "1.0"),
        (lambda x: x[0] ** 2 + 2 * x[1] ** 2, [-3.0, 4.0], 0.7, "0.50"),
        # the first step runs along the flat direction, the steep one makes it diverge
        (lambda x: 50 * x[0] ** 2 + 0.5 * x[1] ** 2, [0.001, 1.0], 0.021, "0.020"),
        (lambda x: x[0] ** 4, [2.0], 1, "0.041"),  # 2 / 48, at the start
        (lambda x: 1e6 * np.sum(x**2), [1e-3, 1e-3], 1, "1.0e-06"),
    ],
)
def test_divergence_names_the_largest_stable_rate(f, start, lr, stable):
    with pytest.warns(MibunWarning, match="^diverged: f went from ") as caught:
        book.gradient_descent(f, start, lr=lr)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert f"the largest stable rate at the start is about {stable}" in str(caught[0].message)


def test_the_named_rate_is_the_border():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert abs(book.gradient_descent(book.function_2, [-3.0, 4.0], lr=0.99)).max() < 4
    with pytest.warns(MibunWarning, match="diverged"):
        book.gradient_descent(book.function_2, [-3.0, 4.0], lr=1.01)


def test_jumping_to_and_fro_at_one_height_is_no_descent():
    with pytest.warns(MibunWarning, match=r"^diverged: f went from 0\.5 to 0\.5 with lr=1"):
        book.gradient_descent(lambda x: round(abs(float(x[0])), 8), [0.5], lr=1, step_num=3)


def test_absorption_is_named_only_where_it_happened():
    with pytest.warns(MibunWarning, match="diverged") as caught:
        book.gradient_descent(book.function_2, [-3.0, 4.0], lr=10, step_num=5)
    assert "absorption" not in str(caught[0].message)
    with pytest.warns(MibunWarning, match=r"^after 0 updates x \+ h == x \(absorption\)"):
        end = book.gradient_descent(book.function_2, [1e13, 1e13], lr=0.1)
    assert end.tolist() == [1e13, 1e13]


def test_values_that_overflow_are_reported_as_divergence_only():
    for lr in (1e300, 1e308):
        with pytest.warns(MibunWarning, match="diverged: f went from 81 to (inf|nan)") as caught:
            book.gradient_descent(lambda x: x[0] ** 4, [3.0], lr=lr)
        assert len(caught) == 1
    with pytest.warns(MibunWarning, match="diverged: f went from -1 to -inf") as caught:
        book.gradient_descent(lambda x: -np.exp(x[0]), [0.0], lr=1e3, step_num=1)
    assert "stable rate" not in str(caught[0].message)  # f bends down: no rate is stable


@pytest.mark.parametrize("lr", [-0.1, math.nan])
def test_a_rate_that_climbs_is_refused(lr):
    with pytest.raises(InputError, match=r"lr must be >= 0, got .*; to climb, descend the negative"):
        book.gradient_descent(book.function_2, [-3.0, 4.0], lr=lr)


def test_climbing_is_descending_the_negative():  # N1, N3
    end = book.gradient_descent(lambda x: -(3.0 - book.function_2(x)), [-3.0, 4.0], lr=0.1)
    np.testing.assert_allclose(end, 0, atol=1e-9)


@pytest.mark.parametrize("start", [[0.0, 0.0], [-3.0, 4.0]])
def test_standing_still_is_no_divergence(start):
    assert book.gradient_descent(book.function_2, start, lr=0.0).tolist() == start
    assert book.gradient_descent(book.function_2, [0.0, 0.0], lr=0.1).tolist() == [0, 0]
    assert book.gradient_descent(book.function_2, start, lr=1e-300).tolist() == start


# Functions with a twist


def test_tangent_line_prints_nothing(capsys):
    book.tangent_line(book.function_1, 5)
    assert capsys.readouterr().out == ""


def test_sigmoid_does_not_overflow():
    z = np.array([-1e4, -745.0, -20.0, 0.0, 20.0, 745.0, 1e4])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = book.sigmoid(z)
    assert y[[0, 3, 6]].tolist() == [0.0, 0.5, 1.0]
    assert y[2] == pytest.approx(math.exp(-20) / (1 + math.exp(-20)), rel=1e-14)
    np.testing.assert_allclose(y + y[::-1], 1, rtol=1e-15)
    assert book.sigmoid(-1e4) == 0
    assert book.sigmoid([[0]]).shape == (1, 1)


def test_sigmoid_and_step_keep_nan():
    assert np.isnan(book.sigmoid(math.nan))
    assert np.isnan(book.step_function(math.nan))


def test_softmax_of_large_scores_and_of_batches():
    with np.errstate(over="raise", invalid="raise"):
        np.testing.assert_allclose(book.softmax([1010, 1000, 990]), [0.9999546, 4.539787e-05, 2.061060e-09], rtol=1e-6)
    scores = np.array([[0.3, 2.9, 4.0], [1000.0, 1000.0, 1000.0]])
    np.testing.assert_allclose(
        book.softmax(scores), [[0.01821127, 0.24519181, 0.73659691], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6
    )
    np.testing.assert_array_equal(scores[1], [1000.0, 1000.0, 1000.0])


def test_sum_of_squares_refuses_shapes_that_would_spread():
    with pytest.raises(InputError, match=r"\(2, 1\) and \(2,\)"):
        book.sum_squares_error([[1.0], [2.0]], [1.0, 2.0])


def test_sum_of_squares_takes_the_lists_of_the_note():
    y, t = [0.1, 0.9], [0, 1]
    with pytest.raises(TypeError, match="unsupported operand"):
        0.5 * np.sum((y - t) ** 2)
    assert book.sum_squares_error(y, t) == pytest.approx(0.01, rel=1e-14)


def test_the_notes_two_cross_entropies_are_one():
    y = np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    by_hand = -(math.log(0.7 + 1e-7) + math.log(0.3 + 1e-7)) / 2
    assert book.cross_entropy_error(y, np.array([2, 1])) == pytest.approx(by_hand, rel=1e-14)
    assert book.cross_entropy_error(y, [[0, 0, 1], [0, 1, 0]]) == pytest.approx(by_hand, rel=1e-14)
    assert book.cross_entropy_error(y, np.array([[0, 0, 1], [0, 1, 0]], dtype=bool)) == pytest.approx(by_hand)
    assert book.cross_entropy_error(y, np.array([2, 1], dtype=np.uint8)) == pytest.approx(by_hand)
    assert book.cross_entropy_error(y[0], 2) == pytest.approx(-math.log(0.7 + 1e-7))
    assert book.cross_entropy_error(y[:1], np.array([2])) == pytest.approx(-math.log(0.7 + 1e-7))
    assert isinstance(book.cross_entropy_error(y, np.array([2, 1])), float)


def test_soft_targets_stay_soft():
    y, soft = np.array([[0.2, 0.5, 0.3]]), np.array([[0.6, 0.3, 0.1]])
    by_hand = -(0.6 * math.log(0.2) + 0.3 * math.log(0.5) + 0.1 * math.log(0.3))
    assert book.cross_entropy_error(y, soft) == pytest.approx(by_hand, abs=1e-6)
    assert book.cross_entropy_error(y[0], soft[0]) == pytest.approx(by_hand, abs=1e-6)
    assert abs(by_hand - -math.log(0.2)) > 0.3  # what `t.argmax` where t.size == y.size makes of it


def test_labels_are_told_by_kind_and_dimension_and_never_by_size():
    y = np.array([[0.9], [0.5], [0.2]])  # one class: labels and y have the same size
    by_hand = -(math.log(0.9) + math.log(0.5) + math.log(0.2)) / 3
    assert book.cross_entropy_error(y, np.array([0, 0, 0])) == pytest.approx(by_hand, abs=1e-6)
    square = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert book.cross_entropy_error(square, np.array([1, 1])) == pytest.approx(
        -(math.log(0.1) + math.log(0.8)) / 2, abs=1e-5
    )


@pytest.mark.parametrize(
    ("t", "message"),
    [
        ([0.0, 1.0], "integers of shape"),  # labels that are floats
        ([0, 1, 1], "integers of shape"),
        ([[0, 1, 0], [1, 0, 0]], "must have the shape of y"),
        (1, "integers of shape"),
        ([0, 2], r"labels must lie in 0\.\.1, got 0\.\.2"),
        ([-1, 0], r"labels must lie in 0\.\.1, got -1\.\.0"),
    ],
)
def test_answers_that_do_not_fit_are_refused(t, message):
    with pytest.raises(InputError, match=message):
        book.cross_entropy_error([[0.9, 0.1], [0.2, 0.8]], t)


def test_cross_entropy_leaves_its_arguments_alone():
    y, t = np.array([0.1, 0.9]), np.array([0, 1])
    book.cross_entropy_error(y, t)
    assert (y.tolist(), t.tolist()) == ([0.1, 0.9], [0, 1])


def test_accuracy_takes_labels_and_targets():
    net = book.TwoLayerNet(2, 3, 3, weight_init_std=1.0, rng=1)
    x = np.random.default_rng(6).standard_normal((30, 2))
    right = net.predict(x).argmax(axis=1)
    labels = np.where(np.arange(30) < 24, right, (right + 1) % 3)
    assert net.accuracy(x, labels) == net.accuracy(x, np.eye(3)[labels]) == 0.8
    assert net.accuracy(x[0], labels[0]) == net.accuracy(x[0], np.eye(3)[labels[0]]) == 1.0
    with pytest.raises(InputError, match="labels of shape"):
        net.accuracy(x, labels[:10])


def test_networks_repeat_with_their_seed():
    np.testing.assert_array_equal(book.simpleNet(rng=3).W, book.simpleNet(rng=np.random.default_rng(3)).W)
    one, same, other = (book.TwoLayerNet(4, 3, 2, rng=seed).params for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["W1"], other["W1"])
    assert not np.array_equal(one["W1"][:3, :2], one["W2"])  # one stream, not the same seed twice


def test_a_seed_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    book.TwoLayerNet(4, 3, 2, rng=0)
    book.mini_batch(np.arange(5), np.arange(5), 3, rng=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_net_keeps_its_weights_while_it_differentiates():
    net = book.TwoLayerNet(2, 3, 2, rng=0)
    before = {name: p.copy() for name, p in net.params.items()}
    arrays = dict(net.params)
    grads = net.numerical_gradient([[0.5, -1.0]], [1])
    assert all(grad.any() for grad in grads.values())
    for name in before:
        assert net.params[name] is arrays[name]
        np.testing.assert_array_equal(net.params[name], before[name])


def test_exchanged_parameters_are_those_of_the_copy():
    net = book.TwoLayerNet(2, 3, 2, rng=0)
    other = net.with_params(b2=np.array([5.0, 0.0]))
    assert other.predict([0.0, 0.0])[0] > 0.99
    assert net.predict([0.0, 0.0])[0] == pytest.approx(0.5, abs=0.02)
    with pytest.raises(InputError, match=r"unknown parameters \['W3'\]"):
        net.with_params(W3=np.zeros(2))


def test_simple_net_copies_the_weights_it_is_given():
    weights = W.copy()
    net = book.simpleNet(W=weights)
    net.W += 1
    np.testing.assert_array_equal(weights, W)


@pytest.mark.parametrize("sequence", [book.sequence_2n, book.sequence_2n_minus_1, book.recurrence])
def test_sequences_begin_at_1(sequence):
    with pytest.raises(InputError, match="n must be 1 or more, got 0"):
        sequence(0)
    with pytest.raises(InputError, match="got -1"):
        book.coupled_recurrences(-1)
    with pytest.raises(InputError, match="n must be 0 or more, got -1"):
        book.factorial(-1)


def test_mini_batch_refuses_images_and_labels_of_different_length():
    with pytest.raises(InputError, match="x_train has 3 rows, t_train has 4"):
        book.mini_batch(np.zeros((3, 2)), np.zeros(4), 2)


# The module itself


def test_public_names_are_sorted_documented_and_short():
    assert book.__all__ == sorted(book.__all__)
    for name in book.__all__:
        thing = getattr(book, name)
        if callable(thing):
            lines = [line for line in (thing.__doc__ or "").splitlines() if line.strip()]
            assert 1 <= len(lines) <= 2, name
