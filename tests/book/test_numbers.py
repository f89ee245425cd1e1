"""Every number that a note prints rightly, one row each, with the note's name.

N0 ... N4 are the five study notes. A printed number is compared at the digits that the note prints.
"""

import math
import os
import re
from functools import partial

import numpy as np
import pytest

from mibun import book
from mibun.book import numerical_diff
from mibun.book import numerical_diff_forward as forward

# The inputs as the notes print them

W = np.array([[0.11633986, 0.10927077, -0.93392791], [-1.67889742, 2.13145596, -0.33077693]])
X, T = np.array([0.6, 0.9]), np.array([0, 0, 1])
T_DIGIT = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
Y_RIGHT = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]
Y_WRONG = [0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0]


def unit(x):
    return book.unit_with_bias(x, (2, 3), -1, u=partial(book.sigmoid, e=2.7))


def weighted_input(x):
    return book.unit_with_bias(x, (2, 3), -1, u=float)


def gradient(*x):
    return book.numerical_gradient(book.function_2, np.array(x, dtype=float))


def descent(rate):
    return book.gradient_descent(book.function_2, init_x=np.array([-3.0, 4.0]), lr=rate, step_num=100)


def loss_of_weights(w):
    return book.simpleNet(W=w).loss(X, T)


def rows(table):
    ids = [f"{note}-{what}" for note, what, *_ in table]
    return pytest.mark.parametrize(("printed", "compute"), [row[2:] for row in table], ids=ids)


# Numbers of full precision: the printed decimals and the value are the same float64

FULL = [
    ("N0", "forward difference, h = 10e-50", "0.0", lambda: forward(book.function_1, 5)),
    ("N1", "forward difference, h = 10e-50", "0.0", lambda: forward(book.function_1, 5.0)),
    ("N3", "forward difference, h = 10e-50", "0.0", lambda: forward(book.function_1, 10)),
    ("N4", "forward difference, h = 1e-50", "0.0", lambda: forward(book.func1, 3, h=1e-50)),
    ("N3", "function_1 at 5", "0.1999999999990898", lambda: numerical_diff(book.function_1, 5)),
    ("N3", "function_1 at 10", "0.2999999999986347", lambda: numerical_diff(book.function_1, 10)),
    ("N3", "function_tmp1 at 3", "6.00000000000378", lambda: numerical_diff(book.function_tmp1, 3.0)),
    ("N3", "function_tmp2 at 4", "7.999999999999119", lambda: numerical_diff(book.function_tmp2, 4.0)),
    ("N3", "sum of squares, right", "0.097500000000000031", lambda: book.sum_squares_error(Y_RIGHT, T_DIGIT)),
    ("N3", "sum of squares, wrong", "0.59750000000000003", lambda: book.sum_squares_error(Y_WRONG, T_DIGIT)),
    ("N3", "cross entropy, right", "0.51082545709933802", lambda: book.cross_entropy_error(Y_RIGHT, T_DIGIT)),
    ("N3", "cross entropy, wrong", "2.3025840929945458", lambda: book.cross_entropy_error(Y_WRONG, T_DIGIT)),
    ("N3", "the same with the label 2", "0.51082545709933802", lambda: book.cross_entropy_error(Y_RIGHT, 2)),
    ("N1", "argmax of the scores", "1", lambda: np.argmax(book.simpleNet(W=W).predict(X))),
    ("N2", "recurrence, a(2) = 1 + 2", "3", lambda: book.recurrence(2)),
    ("N2", "coupled recurrences, a(2)", "5", lambda: book.coupled_recurrences(2)[0]),
    ("N2", "coupled recurrences, b(2)", "6", lambda: book.coupled_recurrences(2)[1]),
    ("N2", "coupled recurrences, a(3)", "19", lambda: book.coupled_recurrences(3)[0]),
    ("N2", "coupled recurrences, b(3)", "29", lambda: book.coupled_recurrences(3)[1]),
]


@rows(FULL)
def test_number_in_full(printed, compute):
    assert compute() == float(printed)


# Numbers that the note rounds: the value rounds to them

ROUNDED = [
    ("N0", "function_1 at 5, the true one", "0.2", lambda: numerical_diff(book.function_1, 5)),
    ("N0", "function_1 at 10, the true one", "0.3", lambda: numerical_diff(book.function_1, 10)),
    ("N1", "function_1 at 5, the true one", "0.2", lambda: numerical_diff(book.function_1, 5)),
    ("N1", "function_1 at 10, the true one", "0.3", lambda: numerical_diff(book.function_1, 10)),
    ("N2", "weighted input at (0.2, 0.1)", "-0.3", lambda: weighted_input((0.2, 0.1))),
    ("N2", "weighted input at (0.6, 0.5)", "1.7", lambda: weighted_input((0.6, 0.5))),
    ("N2", "1 + 2.7^0.3", "2.35", lambda: 1 / unit((0.2, 0.1))),
    ("N2", "1 + 2.7^-1.7", "1.18", lambda: 1 / unit((0.6, 0.5))),
    ("N2", "output at (0.2, 0.1), e = 2.7", "0.43", lambda: unit((0.2, 0.1))),
    ("N2", "output at (0.2, 0.1), true e", "0.43", lambda: book.unit_with_bias((0.2, 0.1), (2, 3), -1)),
    ("N3", "cross entropy, right", "0.51", lambda: book.cross_entropy_error(Y_RIGHT, T_DIGIT)),
    ("N3", "cross entropy, wrong", "2.3", lambda: book.cross_entropy_error(Y_WRONG, T_DIGIT)),
    ("N1", "dW, 'w11', that is dW[1, 1]", "0.8", lambda: book.numerical_gradient(loss_of_weights, W)[1, 1]),
]


@rows(ROUNDED)
def test_rounded_number(printed, compute):
    decimals = len(printed.partition(".")[2])
    assert f"{compute():.{decimals}f}" == printed


# Arrays as NumPy prints them

ARRAYS = [
    ("N1", "gradient at (3, 4)", "array([6., 8.])", lambda: gradient(3, 4)),
    ("N1", "gradient at (0, 2)", "array([0., 4.])", lambda: gradient(0, 2)),
    ("N3", "gradient at (3, 4)", "array([ 6., 8.])", lambda: gradient(3, 4)),
    ("N3", "gradient at (0, 2)", "array([ 0., 4.])", lambda: gradient(0, 2)),
    ("N3", "gradient at (3, 0)", "array([ 6., 0.])", lambda: gradient(3, 0)),
    ("N1", "descent, lr 0.1", "array([-6.11110793e-10,  8.14814391e-10])", lambda: descent(0.1)),
    ("N3", "descent, lr 0.1", "array([ -6.11110793e-10, 8.14814391e-10])", lambda: descent(0.1)),
    ("N1", "descent, lr 1e-10", "array([-2.99999994,  3.99999992])", lambda: descent(1e-10)),
    (
        "N1",
        "dW with an f that uses w",
        "[[ 0.01790151  0.55002379 -0.5679253 ] [ 0.02685226  0.82503568 -0.85188794]]",
        lambda: book.numerical_gradient(loss_of_weights, W),
    ),
    ("N1", "scores 1 and 2", "1.98387283, -0.85805598", lambda: book.simpleNet(W=W).predict(X)[1:]),
]


def numbers_in(text):
    return re.findall(r"-?\d+\.\d*(?:e[+-]\d+)?", text)


@rows(ARRAYS)
def test_array(printed, compute):
    with np.printoptions(precision=8, suppress=False, floatmode="maxprec"):
        assert numbers_in(str(compute())) == numbers_in(printed)


def test_descent_with_learning_rate_10_prints_its_artefact():  # N1
    with pytest.warns(UserWarning, match="diverged"):
        assert numbers_in(str(descent(10))) == ["-2.58983747e+13", "-1.29524862e+12"]


def test_simple_net_as_far_as_the_printed_weights_determine_it():  # N1
    # The note multiplied with the unrounded W: p[0] and the loss differ from the 8 printed digits of W.
    net = book.simpleNet(W=W)
    assert f"{net.predict(X)[0]:.8f}" == "-1.44120376"
    assert net.predict(X)[0] == pytest.approx(-1.44120377, abs=0.6 * 1e-8 + 0.9 * 1e-8)
    assert net.loss(X, T) == pytest.approx(2.92889319587, abs=1e-11)
    assert net.loss(X, T) == pytest.approx(2.9288931975720534, abs=2e-9)


def test_rows_of_dw_sum_to_zero_and_their_ratio_is_that_of_the_inputs():  # N1
    dw = book.numerical_gradient(loss_of_weights, W)
    np.testing.assert_allclose(dw.sum(axis=1), 0, atol=5e-11)
    np.testing.assert_allclose(dw[1] / dw[0], 0.9 / 0.6, rtol=1e-8)


# Numbers that follow from the notes' code, though no note prints them


def test_digits_behind_the_rounded_prints():
    assert gradient(3.0, 4.0).tolist() == [6.00000000000378, 7.999999999999119]
    assert gradient(0.0, 2.0).tolist() == [0.0, 4.000000000004]
    assert gradient(3.0, 0.0).tolist() == [6.000000000012662, 0.0]
    assert book.simple_derivative(book.func1, 3.0) == 6.000000000039306
    assert book.derivative(book.func2, np.array([1.0, 2.0])).tolist() == [
        8.00000000005241,
        15.000000000142675,
    ]
    assert forward(book.function_1, 5, h=1e-4) == pytest.approx(0.20000099999917, abs=1e-14)


def test_descent_decays_as_the_exact_one():  # N1 N3: x shrinks by 1 - 2 * 0.1 each time
    np.testing.assert_allclose(descent(0.1), [-3 * 0.8**100, 4 * 0.8**100], rtol=1e-8)


@pytest.mark.parametrize("start", [(-3.0, 4.0), (3.0, 2.0), (-1.0, -4.0)])
def test_descent_on_the_steeper_bowl_from_three_starts(start):  # N4: x0² + 2x1², 40 steps
    end = book.gradient_descent(lambda x: x[0] ** 2 + 2 * x[1] ** 2, np.array(start), lr=0.1, step_num=40)
    np.testing.assert_allclose(end, [start[0] * 0.8**40, start[1] * 0.6**40], rtol=1e-6)


def test_descent_on_the_steeper_bowl_in_digits():  # N4
    end = book.gradient_descent(lambda x: x[0] ** 2 + 2 * x[1] ** 2, [-3.0, 4.0], lr=0.1, step_num=40)
    np.testing.assert_allclose(end, [-3.98768399e-04, 5.34699782e-09], rtol=1e-8)


@pytest.mark.parametrize("x", [5, 10])
def test_tangent_lines_touch(x):  # N1 (pictures in N0 and N3)
    line = book.tangent_line(book.function_1, x)
    slope = book.numerical_diff(book.function_1, x)
    assert line(x) == pytest.approx(book.function_1(x), abs=1e-15)
    assert line(0) == book.function_1(x) - slope * x
    t = np.arange(0.0, 20.0, 0.1)
    np.testing.assert_array_equal(line(t), slope * t + (book.function_1(x) - slope * x))
    assert np.all(line(t) <= book.function_1(t) + 1e-9)  # a parabola lies above its tangents


# N2: the table of derivatives and the chain rule as executable rows


@pytest.mark.parametrize("row", book.DERIVATIVE_TABLE + book.CHAIN_RULE_EXAMPLES, ids=lambda row: row.formula)
@pytest.mark.parametrize("x", [0.3, 1.0, 1.7])
def test_rows_agree_with_the_difference(row, x):
    assert book.simple_derivative(row.function, x) == pytest.approx(row.derivative(x), rel=1e-7, abs=1e-10)


def test_rows_against_values_worked_out_by_hand():
    rows = book.DERIVATIVE_TABLE + book.CHAIN_RULE_EXAMPLES
    at_2 = {row.formula: float(row.derivative(2.0)) for row in rows}
    assert at_2 == pytest.approx(
        {
            "c -> 0, here 7 -> 0": 0.0,
            "a x^n -> a n x^(n-1), here 3x^2 -> 6x": 12.0,
            "e^x -> e^x": 7.38905609893065,
            "ln x -> 1/x": 0.5,
            "3x^2+e^x+7 -> 6x+e^x": 19.38905609893065,
            "ln x + 1/x -> 1/x - 1/x^2": 0.25,
            "e^t, t = 3x^2 -> 6x e^t": 1953057.4970280465,  # 12 e^12
            "e^t, t = -x -> -e^t": -0.1353352832366127,
        },
        rel=1e-14,
    )


@pytest.mark.parametrize("row", book.CHAIN_RULE_EXAMPLES, ids=lambda row: row.formula)
def test_chain_rule_multiplies_the_parts(row):
    x = np.array([-0.5, 0.3, 1.0])
    np.testing.assert_allclose(row.chain_rule(x), row.derivative(x), rtol=1e-15)
    np.testing.assert_array_equal(row.function(x), np.exp(row.inner(x)))


def test_partial_derivatives_of_func2():  # N2: 2 + 3y and 3x + 3y²
    for x, y in [(1.0, 2.0), (-0.5, 3.0)]:
        np.testing.assert_allclose(book.derivative(book.func2, [x, y]), [2 + 3 * y, 3 * x + 3 * y**2], rtol=1e-9)


# N2: units, sequences, recurrences, normal numbers


def test_unit_with_threshold_is_the_step_of_the_table():
    w, theta = (1.0, 2.0, 3.0), 3.0
    inputs = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)]
    assert [book.unit_with_threshold(x, w, theta) for x in inputs] == [0, 0, 0, 1, 1, 1]
    assert book.step_function([-1e-300, 0.0, 2.0]).tolist() == [0, 1, 1]


def test_threshold_is_minus_bias():
    x, w = (0.6, 0.5), (2, 3)
    assert book.unit_with_threshold(x, w, 1, u=book.sigmoid) == book.unit_with_bias(x, w, -1)


def test_sequences():
    assert [book.sequence_2n(n) for n in range(1, 6)] == [2, 4, 6, 8, 10]
    assert [book.sequence_2n_minus_1(n) for n in range(1, 6)] == [1, 3, 5, 7, 9]
    assert [book.recurrence(n) for n in range(1, 6)] == [1, 3, 5, 7, 9]
    assert [book.coupled_recurrences(n) for n in (1, 2, 3, 4)] == [(1, 1), (5, 6), (19, 29), (79, 126)]
    assert [book.factorial(n) for n in range(8)] == [math.factorial(n) for n in range(8)]
    assert book.factorial(25) == math.factorial(25)  # Python integers do not overflow


def test_layer_recurrence_is_the_sum_that_the_note_writes_out():
    a2, (w1, w2), b = np.array([0.2, 0.5, 0.9]), np.array([[0.1, -0.4, 0.7], [1.0, 0.3, -0.2]]), (0.05, -0.1)
    by_hand = [
        book.sigmoid(w1[0] * a2[0] + w1[1] * a2[1] + w1[2] * a2[2] + b[0]),
        book.sigmoid(w2[0] * a2[0] + w2[1] * a2[1] + w2[2] * a2[2] + b[1]),
    ]
    outputs = book.layer_recurrence(a2, [([w1, w2], b), ([[1.0, 1.0]], [0.0])])
    assert [output.shape for output in outputs] == [(3,), (2,), (1,)]
    np.testing.assert_allclose(outputs[1], by_hand, rtol=1e-15)
    np.testing.assert_allclose(outputs[2], book.sigmoid(sum(by_hand)), rtol=1e-15)


def test_normal_density_against_known_values():
    assert book.normal_density(0) == pytest.approx(0.3989422804014327, rel=1e-15)
    assert book.normal_density(3.0, mu=1.0, sigma=2.0) == pytest.approx(0.12098536225957168, rel=1e-14)
    grid = np.linspace(-8.0, 12.0, 20001)
    assert book.normal_density(grid, mu=2.0, sigma=0.7).sum() * 0.001 == pytest.approx(1, abs=1e-9)


def test_normal_initialisation_is_normal_and_repeats_with_its_seed():
    weights = book.normal_initialisation(200, 300, std=0.01, rng=7)
    assert weights.shape == (200, 300)
    assert abs(weights.mean()) < 5 * 0.01 / math.sqrt(weights.size)
    assert weights.std() == pytest.approx(0.01, rel=0.01)
    assert np.mean(np.abs(weights) < 0.01) == pytest.approx(0.6827, abs=0.01)
    np.testing.assert_array_equal(weights, book.normal_initialisation(200, 300, std=0.01, rng=7))
    assert not np.array_equal(weights, book.normal_initialisation(200, 300, std=0.01, rng=8))


# N3: data and mini-batches


def test_mini_batch_keeps_images_and_labels_together_and_draws_with_replacement():
    x, t = np.arange(10.0).reshape(10, 1), np.arange(10)
    x_batch, t_batch = book.mini_batch(x, t, 50, rng=np.random.default_rng(3))
    assert x_batch.shape == (50, 1)
    np.testing.assert_array_equal(x_batch[:, 0], t_batch)
    assert len(set(t_batch.tolist())) < 50
    again = book.mini_batch(x, t, 50, rng=3)
    np.testing.assert_array_equal(again[1], t_batch)


def test_mini_batches_of_one_generator_differ():
    rng = np.random.default_rng(0)
    x = np.arange(60000)
    first, second = book.mini_batch(x, x, 10, rng)[0], book.mini_batch(x, x, 10, rng)[0]
    assert not np.array_equal(first, second)


def test_load_mnist_translates_the_flags(monkeypatch):
    from types import SimpleNamespace

    asked = {}

    def load(**flags):
        asked.update(flags)
        parts = ("train_x", "train_labels", "train_targets", "test_x", "test_labels", "test_targets")
        return SimpleNamespace(**{part: part for part in parts})

    monkeypatch.setattr("mibun.learn.data.load_mnist", load)
    assert book.load_mnist(False, True, one_hot_label=True) == (
        ("train_x", "train_targets"),
        ("test_x", "test_targets"),
    )
    assert asked == {"normalize": False, "flatten": True, "one_hot": True}
    assert book.load_mnist() == (("train_x", "train_labels"), ("test_x", "test_labels"))
    assert asked == {"normalize": True, "flatten": True, "one_hot": False}


needs_mnist = pytest.mark.skipif("MIBUN_DATA" not in os.environ, reason="MIBUN_DATA is not set: no MNIST files")


@needs_mnist
def test_shapes_of_mnist_and_of_a_batch():  # N3: (60000, 784), (60000, 10), 10 images
    (x_train, t_train), (x_test, t_test) = book.load_mnist(normalize=False, one_hot_label=True)
    assert x_train.shape == (60000, 784)
    assert t_train.shape == (60000, 10)
    assert (x_test.shape, t_test.shape) == ((10000, 784), (10000, 10))
    assert x_train.max() == 255
    assert t_train.sum(axis=1).tolist() == [1] * 60000
    x_batch, t_batch = book.mini_batch(x_train, t_train, 10, rng=0)
    assert (x_batch.shape, t_batch.shape) == ((10, 784), (10, 10))


@needs_mnist
def test_mnist_with_the_default_flags_fits_the_two_layer_net():
    (x_train, t_train), _ = book.load_mnist()
    assert (x_train.shape, t_train.shape) == ((60000, 784), (60000,))
    assert (x_train.min(), x_train.max()) == (0, 1)
    assert t_train[:5].tolist() == [5, 0, 4, 1, 9]
    net = book.TwoLayerNet(784, 50, 10, rng=0)
    assert net.loss(x_train[:100], t_train[:100]) == pytest.approx(math.log(10), abs=0.02)
    assert 0 <= net.accuracy(x_train[:100], t_train[:100]) <= 0.3


# N1, N3 and the chapter after them: networks


def test_two_layer_net_has_the_shapes_of_the_chapter():
    net = book.TwoLayerNet(input_size=784, hidden_size=100, output_size=10, rng=0)
    assert {name: p.shape for name, p in net.params.items()} == {
        "W1": (784, 100),
        "b1": (100,),
        "W2": (100, 10),
        "b2": (10,),
    }
    assert net.params["W1"].std() == pytest.approx(0.01, rel=0.02)
    assert not net.params["b1"].any()
    y = net.predict(np.random.default_rng(1).random((100, 784)))
    assert y.shape == (100, 10)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-14)


def test_numerical_gradient_of_the_two_layer_net_is_the_one_of_backpropagation():
    rng = np.random.default_rng(4)
    net = book.TwoLayerNet(4, 5, 3, weight_init_std=1.0, rng=rng)
    x, labels = rng.standard_normal((7, 4)), rng.integers(0, 3, 7)
    z1 = book.sigmoid(x @ net.params["W1"] + net.params["b1"])
    dy = (book.softmax(z1 @ net.params["W2"] + net.params["b2"]) - np.eye(3)[labels]) / 7
    dz = (dy @ net.params["W2"].T) * z1 * (1 - z1)
    by_hand = {"W1": x.T @ dz, "b1": dz.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}
    grads = net.numerical_gradient(x, labels)
    assert list(grads) == list(net.params)
    for name, exact in by_hand.items():
        np.testing.assert_allclose(grads[name], exact, rtol=2e-5, atol=2e-7)


def test_two_layer_net_learns_by_its_numerical_gradient():
    rng = np.random.default_rng(5)
    net = book.TwoLayerNet(2, 4, 2, weight_init_std=1.0, rng=rng)
    x = rng.standard_normal((40, 2))
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    before = net.loss(x, labels)
    for _ in range(150):
        grads = net.numerical_gradient(x, labels)
        net = net.with_params(**{name: net.params[name] - 2.0 * grads[name] for name in grads})
    assert net.loss(x, labels) < before / 2
    assert net.accuracy(x, labels) >= 0.9
