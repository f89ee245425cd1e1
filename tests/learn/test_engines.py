"""Both engines against each other and against a backward pass derived by hand, and the promise of their errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mibun import learn
from mibun.errors import DeadDifferences, InputError, NotConverged
from mibun.learn.engines import Cost, Engine, choose_engine
from mibun.result import Status

EXACT = np.longdouble
needs_longdouble = pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="longdouble is no wider than float64 on this machine"
)
DTYPES = (np.float64, np.float32)


def user_relu(z):
    return np.where(z > 0, z, 0.0)


def softplus(z):
    return np.logaddexp(0, z)


def exact_sigmoid(z):
    small = np.exp(-np.abs(z))
    return np.where(z < 0, small, 1) / (1 + small)


def exact_sigmoid_slope(z):
    small = np.exp(-np.abs(z))
    return small / (1 + small) ** 2


def above_zero(z):
    return np.where(z == 0, EXACT(0.5), np.where(z > 0, EXACT(1), EXACT(0)))


def square_of_sech(z):
    small = np.exp(-2 * np.abs(z))
    return 4 * small / (1 + small) ** 2


#: Every activation with its function and its derivative, both written by hand for longdouble.
HAND = {
    learn.Identity(): (lambda z: z, np.ones_like),
    learn.Sigmoid(): (exact_sigmoid, exact_sigmoid_slope),
    learn.Tanh(): (np.tanh, square_of_sech),
    learn.ReLU(): (lambda z: np.maximum(z, 0), above_zero),
    learn.StepFunction(): (lambda z: np.where(z >= 0, EXACT(1), EXACT(0)), np.zeros_like),
    learn.Elementwise(np.sin): (np.sin, np.cos),
    learn.Elementwise(np.arctan): (np.arctan, lambda z: 1 / (1 + z * z)),
    learn.Elementwise(softplus): (lambda z: np.logaddexp(EXACT(0), z), exact_sigmoid),
    learn.Elementwise(user_relu): (lambda z: np.maximum(z, 0), above_zero),
}
SMOOTH = [layer for layer in HAND if layer not in (learn.ReLU(), learn.StepFunction(), learn.Elementwise(user_relu))]


def truth(network, x, targets):
    """Loss and gradient by hand: forward in longdouble, then analytic derivatives from the loss back."""
    parameters = {name: array.astype(EXACT) for name, array in network.parameters.items()}
    value, inputs = np.atleast_2d(np.asarray(x, network.dtype)).astype(EXACT), []
    for number, layer in enumerate(network.layers):
        inputs.append(value)
        if isinstance(layer, learn.Dense):
            value = value @ parameters[f"{number}.weight"] + parameters[f"{number}.bias"]
        else:
            value = HAND[layer][0](value)
    targets = np.asarray(targets)
    if targets.ndim == 1:
        targets = np.eye(value.shape[1])[targets]
    targets = targets.astype(network.dtype).astype(EXACT)
    if isinstance(network.loss_function, learn.SumSquaredError):
        loss = ((value - targets) ** 2).sum() / 2
        upstream = value - targets
    else:
        shifted = value - value.max(axis=1, keepdims=True)
        total = np.exp(shifted).sum(axis=1, keepdims=True)
        loss = (targets * (np.log(total) - shifted)).sum()
        upstream = targets.sum(axis=1, keepdims=True) * np.exp(shifted) / total - targets
    gradient, upstream = {}, upstream / len(value)
    for number in reversed(range(len(network.layers))):
        layer = network.layers[number]
        if isinstance(layer, learn.Dense):
            gradient[f"{number}.weight"] = inputs[number].T @ upstream
            gradient[f"{number}.bias"] = upstream.sum(axis=0)
            upstream = upstream @ parameters[f"{number}.weight"].T
        else:
            upstream = upstream * HAND[layer][1](inputs[number])
    return loss / len(value), gradient


def flat(tree, network):
    return np.concatenate([np.asarray(tree[name], EXACT).ravel() for name in network.parameters])


def ratios(network, x, targets, engine):
    """|value - truth| and the stated error of every entry."""
    d = engine.gradient(network, x, targets)
    off = np.abs(flat(d.value, network) - flat(truth(network, x, targets)[1], network))
    return off, flat(d.error, network)


def build(rng, activations, widths, loss, kind, samples, dtype=np.float64, factor=1.0, last=False):
    """A network with biases, a batch in which some inputs are 0, and labels, one-hot or soft targets."""
    layers = []
    for inputs, outputs, activation in zip(widths[:-1], widths[1:], activations, strict=True):
        layers += [learn.Dense(inputs, outputs), activation]
    network = learn.Network(layers if last else layers[:-1], loss, seed=int(rng.integers(1000)), dtype=dtype)
    network.vector[:] = factor * (network.vector + 0.5 * rng.normal(size=network.vector.size))
    x = rng.normal(size=(samples, widths[0])) * (rng.random((samples, widths[0])) > 0.3)
    labels = rng.integers(widths[-1], size=samples)
    soft = rng.dirichlet(np.ones(widths[-1]), size=samples)
    return network, x, {"labels": labels, "one-hot": np.eye(widths[-1])[labels], "soft": soft}[kind]


def random_case(seed, activations, dtype=np.float64, factor=1.0):
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 7, size=rng.integers(2, 6)).tolist()
    chosen = [activations[i] for i in rng.integers(len(activations), size=len(widths) - 1)]
    loss = (learn.SoftmaxCrossEntropy(), learn.SumSquaredError())[rng.integers(2)]
    kind = ("labels", "one-hot", "soft")[rng.integers(3)]
    return build(rng, chosen, widths, loss, kind, int(rng.integers(1, 8)), dtype, factor, rng.random() < 0.3)


@st.composite
def cases(draw, activations, dtypes=DTYPES):
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=5))
    count = len(widths) - 1
    return build(
        np.random.default_rng(draw(st.integers(0, 2**32 - 1))),
        draw(st.lists(st.sampled_from(activations), min_size=count, max_size=count)),
        widths,
        draw(st.sampled_from([learn.SoftmaxCrossEntropy(), learn.SumSquaredError()])),
        draw(st.sampled_from(["labels", "one-hot", "soft"])),
        draw(st.integers(1, 7)),
        draw(st.sampled_from(dtypes)),
        last=draw(st.booleans()),
    )


def cover(seeds, activations, dtype, factor, engine, spare=0.0):
    """Numbers of entries and of those outside their error, and the median of error / true error."""
    entries, missed, loose = 0, 0, []
    for seed in seeds:
        network, x, targets = random_case(seed, activations, dtype, factor)
        off, error = ratios(network, x, targets, engine)
        entries, missed = entries + off.size, missed + int((off > error + spare).sum())
        loose.append(error[off > 0] / off[off > 0])
    return entries, missed, float(np.median(np.concatenate(loose)))


# The engines against each other and against the truth


@needs_longdouble
@settings(derandomize=True, max_examples=120, deadline=None)
@given(cases(list(HAND)))
def test_chain_agrees_with_the_gradient_derived_by_hand(case):
    network, x, targets = case
    d = learn.Chain().gradient(network, x, targets)
    loss, gradient = truth(network, x, targets)
    close = 50 * float(np.finfo(network.dtype).eps)
    assert d.fx == pytest.approx(float(loss), rel=close, abs=close)
    for name, exact in gradient.items():
        off = np.abs(d.value[name] - exact)
        assert (off <= d.error[name]).all(), name


@needs_longdouble
@settings(derandomize=True, max_examples=40, deadline=None)
@given(cases(SMOOTH, dtypes=[np.float64]))
def test_chain_is_as_good_as_float64_allows(case):
    network, x, targets = case
    d = learn.Chain().gradient(network, x, targets)
    exact = truth(network, x, targets)[1]
    size = max(1.0, max(float(np.abs(array).max()) for array in exact.values()))
    plain = any(isinstance(layer, learn.Elementwise) for layer in network.layers)
    for name, array in exact.items():
        assert np.abs(d.value[name] - array).max() <= (1e-8 if plain else 2e-13) * size


@settings(derandomize=True, max_examples=60, deadline=None)
@given(cases(SMOOTH))
def test_both_engines_agree_within_the_sum_of_their_errors(case):
    network, x, targets = case
    chain = learn.Chain().gradient(network, x, targets)
    coordinate = learn.Coordinate().gradient(network, x, targets)
    assert chain.fx == pytest.approx(coordinate.fx, rel=1e-6 if network.dtype == np.float32 else 1e-14, abs=1e-7)
    for name in network.parameters:
        gap = np.abs(chain.value[name] - coordinate.value[name])
        assert (gap <= chain.error[name] + coordinate.error[name]).all(), name


@settings(derandomize=True, max_examples=40, deadline=None)
@given(cases(list(HAND), dtypes=[np.float64]))
def test_both_engines_agree_with_kinks_and_jumps_in_float64(case):
    network, x, targets = case
    chain = learn.Chain().gradient(network, x, targets)
    coordinate = learn.Coordinate(step=1e-6).gradient(network, x, targets)
    for name in network.parameters:
        gap = np.abs(chain.value[name] - coordinate.value[name])
        assert (gap <= chain.error[name] + coordinate.error[name]).all(), name


# The promise of the errors

#: Products of numbers that a dtype can hold may fall below its smallest normal number; no bound is promised there.
SPARE = {dtype: float(np.finfo(dtype).tiny) for dtype in DTYPES}


@needs_longdouble
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("factor", [1e-3, 0.3, 1.0, 30.0])
def test_the_error_of_chain_covers_every_entry_and_is_not_absurdly_large(dtype, factor):
    entries, missed, loose = cover(range(120), list(HAND), dtype, factor, learn.Chain(), SPARE[dtype])
    assert entries > 3000
    assert missed == 0
    assert 2 < loose < 2000


@needs_longdouble
@pytest.mark.parametrize(("dtype", "at_most"), [(np.float64, 2e-13), (np.float32, 2e-4)])
@pytest.mark.parametrize("activation", [learn.Sigmoid(), learn.Tanh(), learn.ReLU()])
def test_the_error_of_chain_is_small_for_built_in_activations(dtype, at_most, activation):
    for seed in range(20):
        network, x, targets = random_case(seed, [activation], dtype)
        d = learn.Chain().gradient(network, x, targets)
        size = max(1.0, max(float(np.abs(array).max()) for array in d.value.values()))
        assert max(array.max() for array in d.error.values()) < at_most * size


@needs_longdouble
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_of_chain_covers_saturated_units_and_large_logits(dtype):
    layers, widths = [learn.Sigmoid(), learn.Tanh(), learn.ReLU(), learn.Identity()], [4, 5, 5, 5, 3]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network, x, targets = build(rng, layers, widths, None, "labels", 5, dtype)
        wide = network.with_parameters(
            network.parameters | {"0.bias": rng.normal(scale=300.0, size=5), "6.bias": np.array([1e4, -1e4, 0.0])}
        )
        off, error = ratios(wide, x, targets, learn.Chain())
        assert (off <= error + SPARE[dtype]).all()


@needs_longdouble
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", [1, 60])
def test_the_error_of_chain_covers_every_entry_on_the_digits(dtype, steps):
    digits = learn.load_digits()
    network = learn.Network([learn.Dense(64, 50), learn.Sigmoid(), learn.Dense(50, 10)], seed=3, dtype=dtype)
    learn.train(network, digits, steps=steps, seed=2)
    x, labels = digits.train_x[:40], digits.train_labels[:40]
    off, error = ratios(network, x, labels, learn.Chain())
    assert (off <= error).all()
    assert 2 < np.median(error[off > 0] / off[off > 0]) < 5000


@needs_longdouble
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_estimate_of_coordinate_covers_smooth_networks(dtype):
    entries, missed, _ = cover(range(60), SMOOTH, dtype, 1.0, learn.Coordinate())
    assert missed <= 0.01 * entries


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_relu_at_its_kink_gets_half_and_an_error_that_covers_both_slopes(dtype):
    network = learn.Network([learn.Dense(1, 1), learn.ReLU()], learn.SumSquaredError(), dtype=dtype)
    network = network.with_parameters({"0.weight": [[0.0]], "0.bias": [0.0]})
    d = learn.Chain().gradient(network, [[2.0]], [[-1.0]])
    # The loss is 0.5 (relu(2 w + b) + 1)^2: the slope in b is 0 on one side and 1 on the other, in w twice that.
    assert d.value["0.bias"][0] == pytest.approx(0.5)
    assert d.value["0.weight"][0, 0] == pytest.approx(1.0)
    assert 0.5 <= d.error["0.bias"][0] < 0.501
    assert 1.0 <= d.error["0.weight"][0, 0] < 1.002
    assert d.truncation["0.bias"][0] >= 0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_below_a_step_function_the_gradient_is_zero_and_its_error_infinite_only_at_the_jump(dtype):
    layers = [learn.Dense(2, 3), learn.StepFunction(), learn.Dense(3, 2)]
    network = learn.Network(layers, seed=1, dtype=dtype)
    weight = network.parameters["0.weight"]
    off = learn.Chain().gradient(network, [[0.5, -0.5], [1.0, 0.0]], [0, 1])
    assert off.passes
    for part in (off.value, off.error):
        assert not part["0.weight"].any()
        assert not part["0.bias"].any()
    assert np.isfinite(off.error["2.weight"]).all()
    # A first input of (0, 1) with a bias that brings the unit 1 exactly to its jump; the input 0 passes nothing on.
    at = network.with_parameters(network.parameters | {"0.bias": [9.0, -weight[1, 1], -9.0]})
    d = learn.Chain().gradient(at, [[0.0, 1.0], [0.5, 1.0]], [0, 1])
    assert not d.value["0.weight"].any()
    assert np.isinf(d.error["0.bias"]).tolist() == [False, True, False]
    assert np.isinf(d.error["0.weight"]).tolist() == [[False, False, False], [False, True, False]]
    assert np.isfinite(d.error["2.weight"]).all()
    with pytest.raises(NotConverged):
        d.require()


def test_two_step_functions_with_zero_weights_between_them_give_no_nan():
    layers = [learn.Dense(2, 3), learn.Tanh(), learn.Dense(3, 3), learn.StepFunction(), learn.Dense(3, 2)]
    network = learn.Network(layers, seed=1)
    d = learn.Chain().gradient(network, [[0.0, 0.0], [1.0, 2.0]], [0, 1])
    assert not any(np.isnan(array).any() for array in d.error.values())
    assert np.isinf(d.error["2.bias"]).all()
    assert not d.error["0.weight"].any()  # the only sample at the jump has inputs 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0.0, 1.0, 2.5])
def test_the_error_covers_the_truth_around_the_kink_of_a_user_function(dtype, size):
    layer, h = learn.Elementwise(user_relu), 1e-5 * max(1.0, size)
    moved = learn.Elementwise(lambda z: user_relu(z - dtype(size)))
    for z in np.linspace(-3, 3, 601) * h:
        at = np.array([z + size], dtype)
        below = at.astype(np.float64) - float(dtype(size))
        used = layer if size == 0 else moved
        value = used.value(at)
        slope = used.slope(at, value)
        error = used.slope_error(at, value, slope, np.zeros_like(at)).total
        assert abs(slope[0] - (0.5 if below == 0 else float(below[0] > 0))) <= error[0]
    if dtype == np.float64:
        away = np.array([size + 3 * h, size - 3 * h])
        slope = used.slope(away, used.value(away))
        assert used.slope_error(away, used.value(away), slope, np.zeros(2)).total.max() < 1e-8


# What is not finite, and what is left out


@pytest.mark.parametrize("engine", [learn.Chain(), learn.Coordinate()])
def test_a_function_that_gives_nan_gives_nan_with_an_infinite_error(engine):
    layers = [learn.Dense(2, 3), learn.Elementwise(lambda z: np.log(-z * z)), learn.Dense(3, 2)]
    d = engine.gradient(learn.Network(layers), [[1.0, 2.0]], [0])
    for name, value in d.value.items():
        assert np.isnan(value).all()
        assert np.isinf(d.error[name]).all()
        assert (d.status[name] == Status.NOT_FINITE).all()
    with pytest.raises(NotConverged, match="not finite"):
        d.require()


@pytest.mark.parametrize("engine", [learn.Chain(), learn.Coordinate()])
@pytest.mark.parametrize(("dtype", "factor"), [(np.float64, 1e120), (np.float32, 1e15), (np.float32, 1e6)])
def test_huge_weights_give_numbers_or_nan_but_neither_warnings_nor_errors(engine, dtype, factor):
    layers = [learn.Dense(2, 3), learn.ReLU(), learn.Dense(3, 3), learn.Sigmoid(), learn.Dense(3, 3), learn.Dense(3, 2)]
    network = learn.Network(layers, seed=1, dtype=dtype)
    network.vector *= dtype(factor)
    d = engine.gradient(network, [[1.0, 2.0]], [0])
    for name, value in d.value.items():
        assert not np.isnan(d.error[name]).any()
        assert np.isinf(d.error[name][np.isnan(value)]).all()


def test_a_step_below_the_spacing_of_floats_is_not_a_slope():
    network = learn.Network([learn.Dense(2, 2)], seed=1, dtype=np.float32)
    with pytest.warns(DeadDifferences, match="float32 at h = 1e-09"):
        d = learn.Coordinate(step=1e-9).gradient(network, [[1.0, 2.0]], [0])
    assert np.isnan(d.value["0.weight"]).all()
    assert np.isinf(d.error["0.weight"]).all()
    assert np.isfinite(d.value["0.bias"]).all()


@settings(derandomize=True, max_examples=40, deadline=None)
@given(cases(list(HAND)), st.sampled_from([learn.Chain(), learn.Coordinate()]))
def test_without_errors_the_values_are_the_same_and_the_errors_infinite(case, engine):
    network, x, targets = case
    with_errors, without = (engine.gradient(network, x, targets, errors=errors) for errors in (True, False))
    assert with_errors.fx == without.fx
    for name, value in with_errors.value.items():
        np.testing.assert_array_equal(value, without.value[name])
        assert np.isinf(without.error[name]).all()
    with pytest.raises(NotConverged):
        without.require()


# Form, purity, cost


@settings(derandomize=True, max_examples=40, deadline=None)
@given(cases(list(HAND)), st.sampled_from([learn.Chain(), learn.Coordinate()]))
def test_the_result_has_the_structure_of_the_parameters_and_changes_nothing(case, engine):
    network, x, targets = case
    before = network.vector.copy(), x.copy(), targets.copy()
    d = engine.gradient(network, x, targets)
    assert list(d.value) == list(network.parameters)
    for name, array in network.parameters.items():
        for part in (d.value, d.error, d.truncation, d.rounding, d.step):
            assert part[name].shape == array.shape
            assert part[name].dtype == np.float64
        np.testing.assert_array_equal(d.truncation[name] + d.rounding[name], d.error[name])
        assert (d.error[name] >= 0).all()
    for old, new in zip(before, (network.vector, x, targets), strict=True):
        np.testing.assert_array_equal(old, new)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(cases(list(HAND)), st.sampled_from([learn.Chain(), learn.Coordinate()]))
def test_into_writes_the_values_of_gradient_and_costs_what_was_announced(case, engine):
    network, x, targets = case
    out = np.full_like(network.vector, np.nan)
    loss = engine.into(network, network.batch(x), network.targets(targets, len(x)), None, out)
    d = engine.gradient(network, x, targets, errors=False)
    assert loss == d.fx
    assert d.evaluations == engine.cost(network, len(x)).evaluations
    for name, view in network.views(out).items():
        np.testing.assert_array_equal(d.value[name], view.astype(np.float64))


def test_chain_costs_what_is_counted_by_hand():
    book = learn.Network([learn.Dense(784, 50), learn.Sigmoid(), learn.Dense(50, 10)])
    # 50 sigmoids at 3 points, 10 logits moved both ways, the loss: 150 + 20 + 1 a sample. Back through the second
    # layer go two products of its size, through the first one.
    assert learn.Chain().cost(book, 100) == Cost(17100, 1 + (39200 + 1000) / (39200 + 500))
    relu = learn.Network([learn.Dense(4, 6), learn.ReLU(), learn.Dense(6, 5), learn.Identity(), learn.Dense(5, 3)])
    assert learn.Chain().cost(relu, 7) == Cost(7 * (3 * 6 + 2 * 3 + 1), 1 + (2 * 15 + 2 * 30 + 24) / (24 + 30 + 15))
    assert learn.Chain().gradient(relu, np.ones((7, 4)), np.zeros(7, int)).evaluations == 175


def test_coordinate_costs_what_is_counted_by_hand_and_what_it_really_calls():
    calls = []

    def counted(z):
        calls.append(z.size)
        return np.tanh(z)

    network = learn.Network([learn.Dense(2, 3), learn.Elementwise(counted), learn.Dense(3, 2)], seed=1)
    # 17 parameters, two passes each, and one for the loss; a pass is 3 units and the loss, for each of 5 samples.
    assert learn.Coordinate().cost(network, 5) == Cost(35 * 5 * 4, 35.0)
    x, labels = np.ones((5, 2)), np.zeros(5, int)
    d = learn.Coordinate().gradient(network, x, labels, errors=False)
    assert d.evaluations == 700
    assert calls == [15] * 35
    assert learn.Coordinate().gradient(network, x, labels).evaluations == 1400


def test_chain_evaluates_a_user_function_at_three_points_a_unit():
    calls = []

    def counted(z):
        calls.append(z.size)
        return np.tanh(z)

    network = learn.Network([learn.Dense(2, 3), learn.Elementwise(counted), learn.Dense(3, 2)], seed=1)
    learn.Chain().gradient(network, np.ones((5, 2)), np.zeros(5, int), errors=False)
    assert sum(calls) == 3 * 15 + 2  # half a row alone shows whether it works on every element alone


def test_float32_networks_are_differenced_with_a_step_that_float32_can_resolve():
    network = learn.Network([learn.Dense(2, 3), learn.Tanh(), learn.Dense(3, 2)], dtype=np.float32)
    assert learn.Coordinate().gradient(network, np.ones((1, 2)), [0]).step["0.bias"][0] == 3e-2
    assert learn.Coordinate().gradient(network.copy(), np.ones((1, 2)), [0], errors=False).passes is False
    wide = learn.Network([learn.Dense(2, 3), learn.Tanh(), learn.Dense(3, 2)])
    assert learn.Coordinate().gradient(wide, np.ones((1, 2)), [0]).step["0.bias"][0] == 1e-4
    assert learn.Coordinate(step=1e-3).gradient(wide, np.ones((1, 2)), [0]).step["0.bias"][0] == 1e-3


# Words and values


def test_differences_are_divided_by_the_step_that_happened():
    network = learn.Network([learn.Dense(1, 1)], learn.SumSquaredError(), dtype=np.float32)
    network = network.with_parameters({"0.weight": [[1000.0]], "0.bias": [-1000.0]})
    # At 1000 the floats of float32 are 6.1e-5 apart: a step of 1e-4 becomes one of 1.2e-4. The loss is w - b - 1.
    with pytest.warns(DeadDifferences):
        d = learn.Coordinate(step=1e-4).gradient(network, [[1.0]], [[-1.0]])
    assert d.value["0.weight"][0, 0] == pytest.approx(1.0, rel=1e-3)


def test_engines_are_chosen_by_word_or_value():
    assert choose_engine("chain") == learn.Chain()
    assert choose_engine("coordinate") == learn.Coordinate()
    assert choose_engine(learn.Coordinate(step=1e-3)) == learn.Coordinate(step=1e-3)
    assert repr(learn.Chain()) == "Chain()"
    assert repr(learn.Coordinate()) == "Coordinate(step=None)"
    assert isinstance(learn.Chain(), Engine)
    assert isinstance(learn.Coordinate(), Engine)


@pytest.mark.parametrize("engine", ["torch", "Chain", "", learn.Chain, learn.Coordinate, None, 3])
def test_an_unknown_engine_is_refused_and_the_list_shown(engine):
    with pytest.raises(InputError, match="auto, chain, column, coordinate, direction, node"):
        choose_engine(engine)


@pytest.mark.parametrize("step", [0, -1e-4, np.nan, np.inf, "small", True, [1e-4]])
def test_a_step_that_is_no_positive_number_is_refused(step):
    with pytest.raises(InputError, match="step"):
        learn.Coordinate(step=step)


@pytest.mark.parametrize("engine", [learn.Chain(), learn.Coordinate()])
def test_bad_batches_are_refused(engine):
    network = learn.Network([learn.Dense(2, 3)])
    for x, targets in (
        (np.ones((2, 3)), [0, 1]),
        (np.ones((2, 2)), [0, 3]),
        (np.ones((2, 2)), [0]),
        ([[np.nan, 1.0]], [0]),
        (np.ones((0, 2)), np.zeros(0, int)),
        (np.ones((2, 2)), np.full((2, 3), np.inf)),
    ):
        with pytest.raises(InputError):
            engine.gradient(network, x, targets)


@pytest.mark.parametrize(("dtype", "missed"), [(np.float64, 0.001), (np.float32, 0.03)])
@pytest.mark.parametrize("scale", ["xavier", "he", 0.01])
def test_the_estimate_of_coordinate_covers_kinks(dtype, missed, scale):
    """Chain covers every entry of these networks; the two must not contradict each other."""
    outside = entries = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        layers = [learn.Dense(5, 6, scale), learn.ReLU(), learn.Dense(6, 4, scale), learn.ReLU(), learn.Dense(4, 3)]
        network = learn.Network(layers, seed=seed, dtype=dtype)
        x, labels = rng.normal(size=(4, 5)).astype(np.float32), rng.integers(0, 3, 4)
        one, two = (engine.gradient(network, x, labels) for engine in (learn.Chain(), learn.Coordinate()))
        for name in one.value:
            gap = np.abs(one.value[name] - two.value[name])
            outside += int((gap > one.error[name] + two.error[name]).sum())
            entries += gap.size
    assert outside <= missed * entries


def test_in_float32_the_loop_warns_with_the_share_of_dead_entries():
    digits = learn.load_digits()
    layers = [learn.Dense(64, 6), learn.Sigmoid(), learn.Dense(6, 10)]
    x, labels = digits.train_x[:100], digits.train_labels[:100]
    network = learn.Network(layers, dtype=np.float32)
    with pytest.warns(DeadDifferences, match=r"\d\d % of the entries are 0, .*at least 0.01") as caught:
        d = learn.Coordinate(step=1e-4).gradient(network, x, labels, errors=False)
    dead = sum(int((array == 0).sum()) for array in d.value.values()) / network.vector.size
    assert dead > 0.1
    assert f"{100 * dead:.0f} % of the entries" in str(caught[0].message)
    assert len(caught) == 1
    # What the loop loses, chain keeps.
    wide, chain = (learn.Chain().gradient(n, x, labels, errors=False) for n in (network.in_float64(), network))
    off = max(np.abs(chain.value[name] - array).max() for name, array in wide.value.items())
    assert off < 2e-6 * max(np.abs(array).max() for array in wide.value.values())
