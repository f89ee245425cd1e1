"""Images, pools, dropout, black boxes, losses of one's own: shapes, ties, masks, and what is refused."""

import re

import numpy as np
import pytest

from mibun import learn
from mibun.errors import InputError


def images(rng, samples, shape=(1, 6, 6)):
    return rng.normal(size=(samples, *shape))


def small_net(dtype=np.float64, loss=None):
    layers = [learn.Conv2D(1, 2, 3), learn.ReLU(), learn.MaxPool2D(2), learn.Flatten(), learn.Dense(8, 3)]
    return learn.Network(layers, loss, seed=1, dtype=dtype, input_shape=(1, 6, 6))


# Shapes


def test_images_may_come_as_rows_or_without_their_only_channel():
    network, x = small_net(), images(np.random.default_rng(0), 4)
    wanted = network.predict(x)
    for same in (x.reshape(4, 36), x[:, 0]):
        np.testing.assert_array_equal(network.predict(same), wanted)
    np.testing.assert_array_equal(network.predict(x[2]), network.predict(x[2].ravel()))
    with pytest.raises(InputError, match=r"\(samples, 1, 6, 6\) or \(samples, 36\).*not \(4, 35\)"):
        network.predict(np.ones((4, 35)))


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([learn.Conv2D(1, 2, 3)], None, "layer 0 does not fit: Conv2D takes images.*unknown shape.*input_shape="),
        ([learn.Conv2D(3, 2, 3)], (1, 6, 6), r"takes 3 channels, but gets \(1, 6, 6\)"),
        ([learn.Conv2D(1, 2, 7)], (1, 6, 6), "filters larger"),
        ([learn.Conv2D(1, 2, 3), learn.Dense(32, 3)], (1, 6, 6), r"layer 1 .*rows of units.*\(2, 4, 4\).*Flatten"),
        ([learn.Conv2D(1, 2, 3), learn.Flatten(), learn.Dense(30, 3)], (1, 6, 6), "layer 2 .*takes 30.*gets 32"),
        ([learn.MaxPool2D(7)], (1, 6, 6), "windows larger"),
        ([learn.Conv2D(1, 2, 3)], (1, 6, 6), r"last layer gives samples of shape \(2, 4, 4\)"),
        ([learn.BlackBox(np.sin, 3), learn.Dense(4, 3)], None, "layer 1 .*takes 4 inputs, but gets 3"),
    ],
)
def test_layers_that_do_not_fit_are_named_with_what_they_get_and_want(layers, shape, message):
    with pytest.raises(InputError, match=message):
        learn.Network(layers, input_shape=shape)


@pytest.mark.parametrize("shape", [(), (0, 2), 3, "abc", (1, 2.0)])
def test_a_bad_input_shape_is_refused(shape):
    with pytest.raises(InputError, match="input_shape"):
        learn.Network([learn.Dense(2, 2)], input_shape=shape)


def test_networks_of_all_layers_are_saved_and_loaded(tmp_path):
    def pair(z):
        return np.stack([z[:, 0], z.sum(axis=1)], axis=1)

    layers = [learn.Conv2D(1, 2, 3, stride=2, padding=1), learn.StepFunction(0.5), learn.AvgPool2D(3), learn.Flatten()]
    layers += [learn.Dropout(0.25), learn.BlackBox(pair, 2), learn.Dense(2, 3)]
    network = learn.Network(layers, seed=3, input_shape=(1, 6, 6))
    network.save(tmp_path / "net.npz")
    loaded = learn.Network.load(tmp_path / "net.npz", functions={"pair": pair})
    assert loaded.layers == network.layers
    assert loaded.shapes == network.shapes
    np.testing.assert_array_equal(loaded.vector, network.vector)
    with pytest.raises(InputError, match=r"BlackBox\(pair\).*functions="):
        learn.Network.load(tmp_path / "net.npz")


# Pools


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pixels_that_tie_share_one_slope_and_their_errors_cover_both_sides(dtype):
    pool, x = learn.MaxPool2D(2), np.zeros((1, 1, 2, 4), dtype)
    x[0, 0, 0, 2] = 1.0
    y = pool.forward({}, x)
    up = np.full((1, 1, 1, 2), 3.0, dtype)
    slope = pool.pull({}, x, y, up)
    np.testing.assert_allclose(slope[0, 0], [[0.75, 0.75, 3, 0], [0.75, 0.75, 0, 0]])
    none = learn.layers.layer.Bound(np.zeros_like(up), np.zeros_like(up))
    error = pool.pull_error({}, x, y, np.zeros_like(x), up, none).total
    assert (error[0, 0, :, :2] >= 2.25).all()
    assert error[0, 0, :, 2:].max() < 1e-5
    assert "1 windows have several" in str(pool.remark(x))
    assert pool.remark(np.random.default_rng(0).normal(size=(3, 2, 4, 4))) is None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_chain_pools_before_a_relu_and_has_the_same_gradient_with_fewer_units(dtype):
    units = []

    class Counted(learn.ReLU):
        def value(self, z):
            units.append(z.size // len(z))
            return super().value(z)

    def network(*between):
        layers = [learn.Conv2D(1, 3, 3), *between, learn.Flatten(), learn.Dense(12, 3)]
        return learn.Network(layers, seed=1, dtype=dtype, input_shape=(1, 6, 6))

    x, labels = images(np.random.default_rng(0), 4), np.array([0, 1, 2, 0])
    found = [
        learn.gradient(network(*between), x, labels, errors=False, engine="chain")
        for between in ((Counted(), learn.MaxPool2D(2)), (learn.MaxPool2D(2), learn.ReLU()))
    ]
    for name, value in found[0].value.items():
        np.testing.assert_array_equal(value, found[1].value[name])
    assert units == [3 * 2 * 2]
    assert found[0].evaluations == found[1].evaluations


def test_the_edge_that_no_window_holds_is_not_seen():
    x = np.arange(25.0).reshape(1, 1, 5, 5)
    assert learn.MaxPool2D(2).forward({}, x)[0, 0].tolist() == [[6, 8], [16, 18]]
    assert learn.AvgPool2D(2).forward({}, x)[0, 0].tolist() == [[3, 5], [13, 15]]


@pytest.mark.parametrize(
    "layer",
    [
        learn.Sigmoid(),
        learn.Tanh(),
        learn.ReLU(),
        learn.Identity(),
        learn.StepFunction(),
        learn.Elementwise(np.arctan),
        learn.MaxPool2D(2),
        learn.AvgPool2D(2),
        learn.Flatten(),
        learn.Conv2D(2, 3, 2),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_change_of_a_layer_is_the_difference_of_two_values(layer, dtype):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, 2, 4, 4)).astype(dtype)
    dx = (0.5 * rng.normal(size=(5, 3, 2, 4, 4))).astype(dtype)
    weights = {name: rng.normal(size=shape).astype(dtype) for name, shape in layer.shapes().items()}
    wide = {name: array.astype(np.longdouble) for name, array in weights.items()}
    y = layer.forward(weights, x)
    moved = layer.change(weights, x, y, dx)
    assert moved.dtype == dtype
    for change, step in zip(moved, dx, strict=True):
        exact = layer.forward(wide, x.astype(np.longdouble) + step) - layer.forward(wide, x.astype(np.longdouble))
        assert np.abs(change - exact).max() <= 200 * np.finfo(dtype).eps


@pytest.mark.parametrize("layer", [learn.Sigmoid(), learn.Tanh(), learn.ReLU(), learn.MaxPool2D(2)], ids=repr)
def test_tiny_changes_keep_their_digits_in_float32(layer):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, 2, 4, 4)).astype(np.float32)
    dx = (1e-6 * rng.normal(size=x.shape)).astype(np.float32)
    change = layer.change({}, x, layer.forward({}, x), dx)
    wide = x.astype(np.float64)
    exact = layer.forward({}, wide + dx) - layer.forward({}, wide)
    assert np.abs(change - exact).max() <= 1e-5 * np.abs(dx).max()
    assert np.abs(exact).max() > 1e-7


# Dropout


def test_dropout_draws_one_mask_a_step_and_predicts_with_all_units():
    layers = [learn.Dense(4, 200), learn.Dropout(0.25), learn.Dense(200, 3)]
    network, x = learn.Network(layers, seed=1), np.ones((5, 4))
    first, same, other = (learn.gradient(network, x, np.zeros(5, int), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.value["0.weight"], same.value["0.weight"])
    assert (first.value["0.weight"] != other.value["0.weight"]).any()
    mask = network.drawn(np.random.default_rng(1), 5).layers[1].factors
    assert set(np.unique(mask)) == {0.0, 1 / 0.75}
    assert 0.68 < (mask > 0).mean() < 0.82
    plain = learn.Network([layers[0], layers[2]])
    plain.vector[:] = network.vector
    np.testing.assert_array_equal(network.predict(x), plain.predict(x))


@pytest.mark.parametrize("share", [-0.1, 1.0, 2, "half", None, True, np.nan])
def test_a_bad_share_is_refused(share):
    with pytest.raises(InputError, match="Dropout: share"):
        learn.Dropout(share)


# Step functions


def test_a_smoothed_step_says_so_and_a_hard_one_says_that_nothing_learns_before_it():
    x, labels = np.random.default_rng(0).normal(size=(6, 4)), np.array([0, 1, 2, 0, 1, 2])
    for smoothing, said in ((0.5, r"wide difference \(0.5 to both sides\)"), (None, r"smoothing=0.5\)")):
        layers = [learn.Dense(4, 9), learn.StepFunction(smoothing), learn.Dense(9, 3)]
        d = learn.gradient(learn.Network(layers, seed=2), x, labels)
        assert any(re.search(said, note.message) for note in d.notes)
        assert (d.value["0.weight"] != 0).any() == (smoothing is not None)
        assert d.passes


@pytest.mark.parametrize("engine", ["column", "node", "coordinate"])
def test_engines_that_compare_values_say_that_they_see_the_hard_step(engine):
    x, labels = np.random.default_rng(0).normal(size=(6, 4)), np.array([0, 1, 2, 0, 1, 2])
    layers = [learn.Dense(4, 9), learn.StepFunction(0.5), learn.Dense(9, 3)]
    d = learn.gradient(learn.Network(layers, seed=2), x, labels, engine=engine)
    assert not d.value["0.weight"].any()
    assert [note for note in d.notes if "compares values, and sees a hard step" in note.message]
    assert not [note for note in d.notes if "wide difference" in note.message]


def test_units_within_h_of_a_kink_are_counted_by_the_h_of_the_engine():
    network = learn.Network([learn.Dense(1, 3), learn.ReLU(), learn.Dense(3, 2)], seed=2)
    network.views(network.vector)["0.weight"][...] = 0
    network.views(network.vector)["0.bias"][...] = [0.0, 3e-5, 2e-2]
    for engine, said in (
        ("chain", "1 unit lies within 1e-07"),
        ("node", "2 units lie within 0.0001"),
        ("column", "2 units lie within 0.0001"),
        (learn.Coordinate(0.05), "3 units lie within 0.05"),
    ):
        d = learn.gradient(network, [[0.3]], [1], engine=engine)
        assert [note for note in d.notes if said in note.message], engine


def test_the_gradient_through_a_smoothed_step_is_that_of_the_ramp():
    x, labels = np.random.default_rng(0).normal(size=(6, 4)), np.array([0, 1, 2, 0, 1, 2])
    step, ramp = learn.StepFunction(0.8), lambda z: np.clip((z + 0.8) / 1.6, 0, 1)
    hard = learn.Network([learn.Dense(4, 9), step], learn.SumSquaredError(), seed=2)
    soft = learn.Network([learn.Dense(4, 9), learn.Elementwise(ramp)], learn.SumSquaredError(), seed=2)
    # Given the same slope of the loss, 1 in every output, the two pull the same back.
    z, up = hard.layers[0].forward(hard.by_layer(hard.vector)[0], x), np.ones((6, 9))
    pulled = [n.layers[1].pull({}, z, n.layers[1].forward({}, z), up) for n in (hard, soft)]
    np.testing.assert_allclose(*pulled, atol=1e-9)
    assert labels.shape == (6,)


@pytest.mark.parametrize("smoothing", [0, -1.0, np.inf, np.nan, "wide", True])
def test_a_bad_smoothing_is_refused(smoothing):
    with pytest.raises(InputError, match="StepFunction: smoothing"):
        learn.StepFunction(smoothing)


# Black boxes and losses


def boxed(function, n_out=2):
    return learn.Network([learn.Dense(3, 4), learn.BlackBox(function, n_out), learn.Dense(n_out, 2)], seed=1)


def normalised(z):
    return (z - z.mean(axis=0))[:, :2] + 1.0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda z: z[:, :1], r"must map an array \(m, 4\) to real numbers \(m, 2\).*shape \(5, 1\)"),
        (lambda z: z[0, :2], "must map"),
        (lambda z: z[:, :2] * 1j, "complex128"),
        (lambda z: np.log(-np.abs(z[:, :2])), "returned .nan.* for the row .*; expected finite"),
        (normalised, "rows are not independent.*coordinate"),
    ],
)
def test_a_bad_black_box_is_refused_by_its_fault(function, message):
    x = np.random.default_rng(0).normal(size=(5, 3))
    with np.errstate(all="ignore"), pytest.raises(InputError, match=message):
        learn.gradient(boxed(function), x, np.zeros(5, int), engine="chain")


class Normalised(learn.Layer):
    """A layer of one's own whose rows depend on each other."""

    def forward(self, weights, x):
        return x - x.mean(axis=0)


@pytest.mark.parametrize("engine", ["node", "column", learn.Column(every_step=True), "direction"])
@pytest.mark.parametrize("samples", [1, 5])
def test_engines_that_need_samples_alone_try_it(engine, samples):
    x, labels = np.random.default_rng(0).normal(size=(samples, 3)), np.zeros(samples, int)
    own = learn.Network([learn.Dense(3, 4), Normalised(), learn.Dense(4, 2)], seed=1)
    for network in (own, boxed(normalised)):
        with pytest.raises(InputError, match=r"(BlackBox|Normalised)\(.*rows are not independent.*'coordinate'"):
            learn.gradient(network, x, labels, engine=engine)
    own = learn.Network([learn.Dense(3, 2)], lambda y, t: np.abs(y - t).sum(axis=1) / len(y))
    with pytest.raises(InputError, match="its samples are not independent"):
        learn.gradient(own, x, np.zeros((samples, 2)), engine=engine)


@pytest.mark.parametrize("engine", ["chain", "node", "column", "direction"])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_function_that_does_not_work_on_every_element_alone_is_refused(engine, axis):
    layers = [learn.Dense(3, 4), learn.Elementwise(lambda z: z - z.mean(axis=axis, keepdims=True)), learn.Dense(4, 2)]
    x = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(InputError, match=r"Elementwise\(<lambda>\).*every element alone.*BlackBox"):
        learn.gradient(learn.Network(layers, seed=1), x, np.zeros(5, int), engine=engine)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_bounds_of_plain_losses_and_boxes_are_not_absurdly_large(dtype):
    x, targets = np.random.default_rng(0).random((5, 4)), np.random.default_rng(1).random((5, 2))
    box = learn.BlackBox(lambda z: np.sin(z[:, :2] + z[:, 2:]), 2)
    layers = [learn.Dense(4, 4), box, learn.Dense(2, 2)]
    network = learn.Network(layers, lambda y, t: ((y - t) ** 2).sum(axis=1), seed=1, dtype=dtype)
    d = learn.gradient(network, x, targets, engine="chain")
    for name, error in d.error.items():
        assert error.max() < (1e-7 if dtype == np.float64 else 1e-3) * max(1, np.abs(d.value[name]).max())


def test_one_sample_alone_shows_a_black_box_whose_rows_depend_on_each_other():
    with pytest.raises(InputError, match="rows are not independent"):
        learn.gradient(boxed(normalised), np.ones((1, 3)), [0], engine="chain")


def test_coordinate_serves_a_black_box_whose_rows_depend_on_each_other():
    x, labels = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 0, 1, 0])
    network = boxed(normalised)
    d = learn.gradient(network, x, labels, engine="coordinate")
    moved = network.copy()
    moved.vector[3] += 1e-5
    above = moved.loss(x, labels)
    moved.vector[3] -= 2e-5
    assert network.views(network.vector)["0.weight"].ravel(order="K")[3] == network.vector[3]
    assert d.value["0.weight"].ravel(order="F")[3] == pytest.approx((above - moved.loss(x, labels)) / 2e-5, abs=1e-8)


def test_a_black_box_costs_two_evaluations_an_input_and_its_points_fit_the_memory():
    rows = []

    def counted(z):
        rows.append(len(z))
        return z[:, :2] ** 2

    network = boxed(counted)
    d = learn.gradient(network, np.ones((5, 3)), np.zeros(5, int), engine="chain", errors=False)
    # Once forward, two for each of its 4 inputs, and the row that is tried again with each side.
    assert sum(rows) == 5 + 5 * 8 + 2
    assert d.evaluations == 5 * (1 + 8 + 2 * 2 + 1)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda y, t: np.abs(y - t).mean(), r"one real number a sample, shape \(4,\).*take no mean"),
        (lambda y, t: np.abs(y - t), "one real number a sample"),
        (lambda y, t: np.abs(y - t).sum(axis=1) / len(y), "not independent"),
    ],
)
def test_a_loss_that_is_not_one_of_each_sample_is_refused(loss, message):
    network = learn.Network([learn.Dense(3, 2)], loss)
    with pytest.raises(InputError, match=message):
        learn.gradient(network, np.ones((4, 3)), np.zeros((4, 2)), engine="chain")


@pytest.mark.parametrize("loss", [learn.SumSquaredError, 3, "mse"])
def test_what_is_no_loss_is_refused(loss):
    with pytest.raises(InputError, match="loss must be a loss"):
        learn.Network([learn.Dense(3, 2)], loss)


def test_the_change_of_a_loss_is_the_difference_of_two_values():
    rng = np.random.default_rng(4)
    logits, d = rng.normal(size=(5, 3)), 0.3 * rng.normal(size=(2, 5, 3))
    soft, labels = rng.dirichlet(np.ones(3), size=5), rng.integers(3, size=5)
    own = learn.PerSampleLoss(lambda y, t: ((y - t) ** 4).sum(axis=1))
    for loss, targets in (
        (learn.SoftmaxCrossEntropy(), labels),
        (learn.SoftmaxCrossEntropy(), soft * 1.7),
        (learn.SumSquaredError(), labels),
        (own, soft),
    ):
        changed = learn.losses.loss_change(loss, logits, targets, d)
        for one, step in zip(changed, d, strict=True):
            exact = loss.per_sample(logits + step, targets) - loss.per_sample(logits, targets)
            np.testing.assert_allclose(one, exact, atol=1e-13)


def test_the_change_along_directions_is_the_change():
    rng = np.random.default_rng(5)
    loss, logits, directions = learn.SoftmaxCrossEntropy(), rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    for size in (0.2, 2e-3, 1e-5, 1e-9):
        amounts = size * rng.normal(size=(2, 5, 4))
        for targets in (rng.integers(3, size=5), rng.dirichlet(np.ones(3), size=5) * 1.3):
            along = loss.change_along(logits, targets, directions, amounts)
            for j in range(4):
                d = amounts[:, :, j, np.newaxis] * directions[j]
                np.testing.assert_allclose(along[:, :, j], loss.change(logits, targets, d), atol=3e-15 * size)
