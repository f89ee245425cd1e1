"""Activations and their numerical slopes against mpmath, and how layers answer bad options."""

import mpmath
import numpy as np
import pytest

from mibun import learn
from mibun.errors import InputError
from mibun.learn.bounds import Bound, matmul, rounding_unit, times

POINTS = [
    0.0,
    1e-12,
    1e-8,
    1e-7,
    1e-5,
    0.03,
    0.5,
    1.0,
    1.7,
    3.0,
    8.0,
    17.0,
    20.0,
    36.0,
    40.0,
    88.0,
    100.0,
    745.0,
    800.0,
]
WIDE = np.array(sorted({-z for z in POINTS} | set(POINTS)))
DTYPES = (np.float64, np.float32)


def mp_sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def mp_softplus(z):
    return mpmath.log1p(mpmath.exp(z))


def softplus(z):
    return np.logaddexp(0, z)


#: Every smooth activation with its function and its derivative in mpmath.
SMOOTH = {
    learn.Sigmoid(): (mp_sigmoid, lambda z: mp_sigmoid(z) * mp_sigmoid(-z)),
    learn.Tanh(): (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
    learn.Identity(): (lambda z: z, lambda z: mpmath.mpf(1)),
    learn.Elementwise(np.sin): (mpmath.sin, mpmath.cos),
    learn.Elementwise(np.arctan): (mpmath.atan, lambda z: 1 / (1 + z * z)),
    learn.Elementwise(softplus): (mp_softplus, mp_sigmoid),
}


def exact(function, points):
    """The function at the points, with 60 digits."""
    with mpmath.workdps(60):
        return [function(mpmath.mpf(float(z))) for z in points]


def distance(value, truth):
    with mpmath.workdps(60):
        return np.array([float(abs(mpmath.mpf(float(v)) - t)) for v, t in zip(value, truth, strict=True)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", SMOOTH, ids=repr)
def test_values_are_right_to_a_few_units_of_the_last_digit(layer, dtype):
    z = WIDE.astype(dtype)
    value = layer.value(z)
    assert value.dtype == dtype
    off = distance(value, exact(SMOOTH[layer][0], z))
    assert (off <= 4 * np.finfo(dtype).eps * np.abs(value) + np.finfo(dtype).tiny).all()
    assert (off <= layer.value_error(z, value, np.zeros_like(z)) + np.finfo(dtype).tiny).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", [learn.Sigmoid(), learn.Tanh(), learn.Identity()], ids=repr)
def test_slopes_of_known_functions_are_right_to_the_last_digits(layer, dtype):
    z = WIDE.astype(dtype)
    slope = layer.slope(z, layer.value(z))
    assert slope.dtype == dtype
    off = distance(slope, exact(SMOOTH[layer][1], z))
    # The third derivative is at most 2 (of the hyperbolic tangent), h is 1e-7.
    assert off.max() <= 4 * np.finfo(dtype).eps + 2 * 1e-14 / 6


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_slope_of_the_sigmoid_keeps_its_digits_on_the_left(dtype):
    z = np.linspace(-80, -1, 200).astype(dtype)
    slope = learn.Sigmoid().slope(z, learn.Sigmoid().value(z))
    truth = exact(SMOOTH[learn.Sigmoid()][1], z)
    assert (distance(slope, truth) <= (8 * np.finfo(dtype).eps + 1e-14 / 6) * np.array([float(t) for t in truth])).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", SMOOTH, ids=repr)
def test_the_bound_of_the_slope_covers_the_truth_over_a_wide_range(layer, dtype):
    z = np.concatenate([WIDE, np.random.default_rng(5).normal(scale=10, size=200)]).astype(dtype)
    value = layer.value(z)
    slope = layer.slope(z, value)
    bound = layer.slope_error(z, value, slope, np.zeros_like(z))
    assert bound.total.dtype == dtype
    assert (distance(slope, exact(SMOOTH[layer][1], z)) <= bound.total + np.finfo(dtype).tiny).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", SMOOTH, ids=repr)
@pytest.mark.parametrize("size", [1e-6, 1e-3])
def test_the_bounds_cover_what_an_error_of_z_does_to_slope_and_value(layer, dtype, size):
    z = np.random.default_rng(6).normal(scale=3, size=150).astype(dtype)
    error = np.full_like(z, 1.01 * size)
    value = layer.value(z)
    slope = layer.slope(z, value)
    for true_z in (z.astype(np.float64) - size, z.astype(np.float64) + 0.3 * size):
        total = layer.slope_error(z, value, slope, error).total
        assert (distance(slope, exact(SMOOTH[layer][1], true_z)) <= total).all()
        assert (
            distance(value, exact(SMOOTH[layer][0], true_z)) <= layer.value_error(z, value, error * dtype(1.01))
        ).all()


@pytest.mark.parametrize("layer", [learn.Sigmoid(), learn.Tanh()], ids=repr)
def test_the_bounds_of_the_slope_are_useful(layer):
    z = np.linspace(-3, 3, 50)
    value = layer.value(z)
    assert layer.slope_error(z, value, layer.slope(z, value), np.zeros(50)).total.max() < 1e-14


def test_a_huge_error_of_z_gives_a_bound_of_the_largest_slope():
    z = np.array([800.0, -800.0, 0.0])
    for layer, largest in ((learn.Sigmoid(), 0.25), (learn.Tanh(), 1.0)):
        value = layer.value(z)
        for size in (700.0, 1e6, np.inf):
            with np.errstate(over="ignore"):
                bound = layer.slope_error(z, value, layer.slope(z, value), np.full(3, size)).total
            assert (bound <= largest * 1.001).all()
            assert (bound[size > 800 :] >= 0).all()
        assert (bound >= largest).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_inputs_give_limits_without_warnings(dtype):
    z = np.array([-1e30, -1e4, -90.0, 90.0, 1e4, 1e30], dtype)
    np.testing.assert_allclose(learn.Sigmoid().value(z), [0, 0, 0, 1, 1, 1], atol=1e-38)
    np.testing.assert_array_equal(learn.Tanh().value(z), [-1, -1, -1, 1, 1, 1])
    np.testing.assert_array_equal(learn.ReLU().value(z), np.maximum(z, 0))
    for layer in (learn.Sigmoid(), learn.Tanh()):
        np.testing.assert_allclose(layer.slope(z, layer.value(z)), 0, atol=1e-38)


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_slopes_are_clipped_and_the_error_covers_both_sides_at_the_kink(dtype):
    z = np.array([-5.0, -1e-6, -1e-7, -5e-8, 0.0, 5e-8, 1e-7, 1e-6, 5.0], dtype)
    layer = learn.ReLU()
    slope = layer.slope(z, layer.value(z))
    np.testing.assert_allclose(slope, [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1], atol=1e-6)
    error = layer.slope_error(z, layer.value(z), slope, np.zeros_like(z)).total
    near = np.abs(z) < 9e-8
    assert (slope[near] - error[near] <= 0).all()
    assert (slope[near] + error[near] >= 1).all()
    assert not error[np.abs(z) > 2e-7].any()
    unsure = layer.slope_error(z, layer.value(z), slope, np.full_like(z, 1e-5)).total
    np.testing.assert_array_equal(unsure[[0, -1]], 0)
    assert (unsure[1:-1] >= 0.5).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_step_function_has_slope_zero_and_no_bound_at_its_jump(dtype):
    z = np.array([-2.0, -1e-6, -1e-9, 0.0, 1e-9, 1e-6, 2.0], dtype)
    layer = learn.StepFunction()
    value = layer.value(z)
    np.testing.assert_array_equal(value, [0, 0, 0, 1, 1, 1, 1])
    assert value.dtype == dtype
    slope = layer.slope(z, value)
    assert not slope.any()
    bound = layer.slope_error(z, value, slope, np.zeros_like(z))
    np.testing.assert_array_equal(np.isinf(bound.total), [0, 0, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(layer.value_error(z, value, np.full_like(z, 1e-8)), [0, 0, 1, 1, 1, 0, 0])


def test_forward_leaves_its_input_alone():
    for layer in (*SMOOTH, learn.ReLU(), learn.StepFunction()):
        z = np.linspace(-2, 2, 12).reshape(3, 4)
        before = z.copy()
        value = layer.forward({}, z)
        kept = value.copy()
        layer.slope(z, value)
        layer.slope_error(z, value, layer.slope(z, value), np.zeros_like(z))
        np.testing.assert_array_equal(z, before)
        np.testing.assert_array_equal(value, kept)


def test_a_user_function_that_works_in_place_does_no_harm():
    def doubled(z):
        z *= 2
        return z

    network = learn.Network([learn.Dense(2, 2), learn.Elementwise(doubled), learn.Dense(2, 2)], seed=0)
    pure = learn.Network([learn.Dense(2, 2), learn.Elementwise(lambda z: 2 * z), learn.Dense(2, 2)], seed=0)
    x = np.array([[1.0, -2.0]])
    given, wanted = (learn.Chain().gradient(n, x, [1]).value for n in (network, pure))
    for name, array in wanted.items():
        np.testing.assert_array_equal(given[name], array)


@pytest.mark.parametrize("dtype", DTYPES)
def test_user_functions_are_differenced_in_float64(dtype):
    seen = []

    def recorded(z):
        seen.append(z.dtype)
        return np.sin(z)

    layer, z = learn.Elementwise(recorded), np.array([0.3, 2.0], dtype)
    value = layer.value(z)
    slope = layer.slope(z, value)
    assert value.dtype == slope.dtype == dtype
    assert seen == [np.dtype(dtype), np.dtype(np.float64), np.dtype(np.float64)]
    assert np.abs(slope - np.cos(z.astype(np.float64))).max() < (1e-10 if dtype == np.float64 else 6e-8)


@pytest.mark.parametrize(
    "function", [lambda z: 1.0, lambda z: z[:, :1], lambda z: z * 1j, lambda z: z.astype(str), lambda z: None]
)
def test_a_user_function_that_is_not_elementwise_is_refused_by_its_name(function):
    function.__name__ = "mine"
    network = learn.Network([learn.Dense(2, 3), learn.Elementwise(function)])
    with pytest.raises(InputError, match=r"Elementwise\(mine\).*same shape"):
        network.predict(np.ones((4, 2)))


def test_elementwise_wants_a_function():
    with pytest.raises(InputError, match=r"np\.sin"):
        learn.Elementwise(3)


@pytest.mark.parametrize("bad", [0, -1, 2.0, "3", None, True, np.nan])
@pytest.mark.parametrize("name", ["inputs", "outputs"])
def test_dense_refuses_numbers_of_units_by_name(name, bad):
    with pytest.raises(InputError, match=name):
        learn.Dense(**({"inputs": 2, "outputs": 2} | {name: bad}))


@pytest.mark.parametrize("bad", [0, -1.0, "glorot", None, True, np.nan, np.inf, [0.1]])
def test_dense_refuses_a_bad_scale(bad):
    with pytest.raises(InputError, match="scale must be 'xavier', 'he' or a number"):
        learn.Dense(2, 2, scale=bad)


def test_numpy_numbers_are_taken_as_sizes_and_scale():
    assert learn.Dense(np.int64(2), np.uint8(3), np.float32(0.5)) == learn.Dense(2, 3, 0.5)


@pytest.mark.parametrize(("scale", "deviation"), [("xavier", 0.05), ("he", 0.05 * 2**0.5), (0.01, 0.01)])
def test_weights_are_normal_with_the_documented_deviation(scale, deviation):
    parameters = learn.Network([learn.Dense(400, 300, scale)], seed=7).parameters
    assert parameters["0.weight"].std() == pytest.approx(deviation, rel=0.01)
    assert abs(parameters["0.weight"].mean()) < deviation / 100
    assert not parameters["0.bias"].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bounds_of_dense_cover_the_rounding_of_its_own_products(dtype):
    layer, rng = learn.Dense(40, 30), np.random.default_rng(10)
    x, up = rng.normal(size=(50, 40)).astype(dtype), rng.normal(size=(50, 30)).astype(dtype)
    weights = {"weight": rng.normal(size=(40, 30)).astype(dtype), "bias": rng.normal(size=30).astype(dtype)}
    gradient, sure = {name: np.empty_like(array) for name, array in weights.items()}, np.zeros_like(x)
    layer.write_gradient(x, up, gradient)
    known = Bound(np.zeros_like(up), np.zeros_like(up))
    bounds = layer.gradient_error(x, sure, up, known)
    wide, wide_up, matrix = (array.astype(np.longdouble) for array in (x, up, weights["weight"]))
    y, below = layer.forward(weights, x), layer.pull(weights, x, up, up)
    for value, exact_value, bound in (
        (gradient["weight"], wide.T @ wide_up, bounds["weight"].total),
        (gradient["bias"], wide_up.sum(axis=0), bounds["bias"].total),
        (y, wide @ matrix + weights["bias"], layer.forward_error(weights, x, y, sure)),
        (below, wide_up @ matrix.T, layer.pull_error(weights, x, y, sure, up, known).total),
    ):
        off = np.abs(value - exact_value)
        assert off.max() > 0
        assert (off <= bound).all()
        assert bound.max() < 3000 * np.finfo(dtype).eps


def test_layers_print_as_what_they_are():
    layers = (learn.Dense(2, 3), learn.Dense(2, 3, 0.01), learn.Sigmoid(), learn.ReLU(), learn.Tanh())
    assert [repr(layer) for layer in layers] == [
        "Dense(inputs=2, outputs=3, scale='xavier')",
        "Dense(inputs=2, outputs=3, scale=0.01)",
        "Sigmoid()",
        "ReLU()",
        "Tanh()",
    ]
    assert repr(learn.Elementwise(np.sin)) == "Elementwise(sin)"
    assert [repr(layer) for layer in (learn.StepFunction(), learn.Identity())] == [
        "StepFunction(smoothing=None)",
        "Identity()",
    ]


def test_layers_are_values():
    assert learn.Dense(2, 3) == learn.Dense(2, 3)
    assert learn.Dense(2, 3) != learn.Dense(2, 4)
    with pytest.raises(AttributeError):
        learn.Dense(2, 3).inputs = 4


# The arithmetic of bounds


def test_zero_times_an_unknown_error_is_zero():
    np.testing.assert_array_equal(times(np.array([0.0, 2.0, 0.0]), np.array([np.inf, np.inf, 1.0])), [0, np.inf, 0])
    left = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 1.0]])
    right = np.array([[np.inf, 0.0], [3.0, 4.0]])
    np.testing.assert_array_equal(matmul(left, right), [[3, 4], [np.inf, 0], [np.inf, 4]])
    np.testing.assert_array_equal(matmul(right.T, left.T), matmul(left, right).T)
    np.testing.assert_array_equal(matmul(left, left.T), left @ left.T)


def test_a_bound_adds_up():
    bound = Bound(np.array([1.0, 2.0]), np.array([0.5, 0.25]))
    np.testing.assert_array_equal(bound.total, [1.5, 2.25])


def test_the_rounding_unit_grows_like_the_root_of_the_number_of_terms():
    eps = 2.0**-52
    assert rounding_unit(np.dtype(np.float64)) == 1.5 * eps
    assert rounding_unit(np.dtype(np.float64), 10) == 6 * eps
    assert rounding_unit(np.dtype(np.float64), 10000) == 301 * eps
    assert rounding_unit(np.dtype(np.float32), 1) == 1.5 * 2.0**-23
