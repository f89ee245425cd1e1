"""Confusions, weights, and the loss around them: counted and computed again by hand."""

import numpy as np
import pytest

import mibun as mb
from mibun import learn
from mibun.draw.landscape import filter_normalised
from mibun.errors import InputError

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure


@pytest.fixture(scope="module")
def data():
    return learn.load_digits()


@pytest.fixture(scope="module")
def trained(data):
    """A network, and its weights after every step."""
    network = learn.Network([learn.Dense(64, 12), learn.Sigmoid(), learn.Dense(12, 10)], seed=1)
    way = [network.vector.copy()]
    rule = mb.GradientDescent(learning_rate=1.0)
    learn.train(network, data, rule=rule, steps=60, callback=lambda _: way.append(network.vector.copy()))
    return network, np.array(way)


# Confusion


def test_the_counts_are_those_of_labels_and_answers(ax, data, trained):
    network, _ = trained
    drawn = mb.draw.confusion(network, data, ax=ax)
    counts, answers = drawn.numbers["counts"], network.predict(data.test_x).argmax(axis=1)
    for label, answer in [(0, 0), (3, 3), (8, 1), (9, 5)]:
        assert counts[label, answer] == ((data.test_labels == label) & (answers == answer)).sum()
    assert counts.sum() == len(data.test_labels)
    np.testing.assert_allclose(drawn.artists["image"].get_array(), counts / counts.sum(axis=1, keepdims=True))
    written = [text.get_text() for text in drawn.artists["counts"]]
    assert written == [str(count) if count else "" for count in counts.ravel()]
    bold = [text.get_fontweight() == "bold" for text in drawn.artists["counts"]]
    assert bold == (~np.eye(10, dtype=bool)).ravel().tolist()
    assert ax.get_title() == f"{counts.trace()} of {counts.sum()} right ({100 * counts.trace() / counts.sum():.1f} %)"


def test_other_splits_are_drawn(ax, data, trained):
    drawn = mb.draw.confusion(trained[0], data, split="train", ax=ax)
    assert drawn.numbers["counts"].sum() == len(data.train_labels)


def test_a_class_without_images_has_an_empty_row(ax):
    x, labels = np.eye(4), np.array([0, 1, 3, 3])
    dataset = learn.Dataset(x, labels, None, None, x, labels, name="gap")
    drawn = mb.draw.confusion(learn.Network([learn.Dense(4, 4)]), dataset, ax=ax)
    assert not drawn.artists["image"].get_array()[2].any()
    ax.figure.draw_without_rendering()


def test_many_classes_are_drawn_without_numbers(ax):
    x, labels = np.eye(30), np.arange(30)
    dataset = learn.Dataset(x, labels, None, None, x, labels, name="many")
    drawn = mb.draw.confusion(learn.Network([learn.Dense(30, 30)]), dataset, ax=ax)
    assert drawn.artists["counts"] == []
    assert drawn.numbers["counts"].shape == (30, 30)


# Weights


def test_every_unit_has_an_image_of_its_weights(ax, trained):
    network, _ = trained
    drawn = mb.draw.weights(network, columns=5, ax=ax)
    image = np.ma.filled(drawn.artists["image"].get_array(), np.nan)
    weight = network.parameters["0.weight"]
    assert len(drawn.numbers["places"]) == 12
    for unit, (top, left) in enumerate(drawn.numbers["places"]):
        np.testing.assert_array_equal(image[top : top + 8, left : left + 8], weight[:, unit].reshape(8, 8))
    assert np.isfinite(image).sum() == weight.size
    most = abs(weight).max()
    assert drawn.artists["image"].get_clim() == (-most, most)
    assert ax.get_title() == f"Weights of layer 0: dark −{most:.2g}, light +{most:.2g}"


def test_inputs_that_make_no_square_are_a_table(ax, trained):
    network, _ = trained
    drawn = mb.draw.weights(network, 2, ax=ax)
    np.testing.assert_array_equal(drawn.artists["image"].get_array(), network.parameters["2.weight"].T)
    assert drawn.numbers["places"] == []
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("input", "unit")


def test_zero_weights_and_float32_are_drawn(ax):
    network = learn.Network([learn.Dense(4, 3)], dtype=np.float32)
    network.vector[...] = 0
    mb.draw.weights(network, ax=ax)
    ax.figure.draw_without_rendering()


# Landscape


def test_a_filter_has_the_length_of_its_weights(trained):
    network, _ = trained
    direction = network.views(filter_normalised(network, np.random.default_rng(0)))
    for name in ("0.weight", "2.weight"):
        lengths = np.linalg.norm(direction[name], axis=0)
        np.testing.assert_allclose(lengths, np.linalg.norm(network.parameters[name], axis=0), rtol=1e-12)
    assert not direction["0.bias"].any()


def test_the_losses_are_those_of_moved_weights(ax, data, trained):
    network, _ = trained
    before = network.vector.copy()
    drawn = mb.draw.loss_landscape(network, data, points=5, samples=50, reach=0.5, seed=3, ax=ax)
    np.testing.assert_array_equal(network.vector, before)
    a, b, losses, (first, second) = (drawn.numbers[name] for name in ("a", "b", "losses", "directions"))
    assert a.tolist() == b.tolist() == [-0.5, -0.25, 0, 0.25, 0.5]
    moved = network.copy()
    for row, column in ((2, 2), (0, 4), (3, 1)):
        moved.vector[...] = before + a[column] * first + b[row] * second
        assert losses[row, column] == pytest.approx(moved.loss(data.train_x[:50], data.train_labels[:50]), rel=1e-14)
    again = mb.draw.loss_landscape(network, data, points=5, samples=50, reach=0.5, seed=3, ax=Figure().subplots())
    np.testing.assert_array_equal(again.numbers["losses"], losses)
    assert drawn.artists["path"] is None
    assert drawn.artists["here"].get_data() == ([0.0], [0.0])


def test_the_way_is_drawn_on_its_own_plane(ax, data, trained):
    network, way = trained
    drawn = mb.draw.loss_landscape(network, data, way, points=5, samples=50, ax=ax)
    directions, path = drawn.numbers["directions"], drawn.numbers["path"]
    np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_array_equal(drawn.artists["path"].get_xydata(), path)
    np.testing.assert_allclose(path, (way - network.vector) @ directions.T, atol=1e-10)
    np.testing.assert_allclose(path[-1], 0, atol=1e-12)
    # No plane has more of the way: what is left is what all other components have.
    left = np.linalg.norm(way - network.vector - path @ directions)
    sizes = np.linalg.svd(way - network.vector, compute_uv=False)
    assert left == pytest.approx(np.linalg.norm(sizes[2:]), rel=1e-8)
    for side, values in zip(("a", "b"), path.T, strict=True):
        assert drawn.numbers[side][0] < values.min() <= values.max() < drawn.numbers[side][-1]
    share = 100 * sizes[0] ** 2 / (sizes**2).sum()
    assert ax.get_xlabel() == f"first direction of the way ({share:.0f} %)"


def test_the_way_on_random_directions_is_the_nearest_there(ax, data, trained):
    network, way = trained
    drawn = mb.draw.loss_landscape(network, data, way, directions="random", points=3, samples=20, ax=ax)
    directions, path = drawn.numbers["directions"], drawn.numbers["path"]
    rest = way - network.vector - path @ directions
    np.testing.assert_allclose(rest @ directions.T, 0, atol=1e-8 * abs(way).sum())


@pytest.mark.parametrize("steps", [[0, 60], [0, 30, 60]])
def test_a_way_on_a_line_gets_a_direction_across(ax, data, trained, steps):
    network, way = trained
    straight = np.linspace(way[0], network.vector, 61)[steps]
    drawn = mb.draw.loss_landscape(network, data, straight, points=3, samples=20, ax=ax)
    directions = drawn.numbers["directions"]
    np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-10)
    np.testing.assert_allclose(drawn.numbers["path"][:, 1], 0, atol=1e-8)
    assert ax.get_ylabel() == "second direction of the way (0 %)"


def test_a_float32_network_and_soft_targets(ax, data):
    network = learn.Network([learn.Dense(64, 10)], dtype=np.float32)
    drawn = mb.draw.loss_landscape(network, data.with_targets(), points=3, samples=10, ax=ax)
    assert np.isfinite(drawn.numbers["losses"]).all()


# What cannot be drawn


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda n, d, w, ax: mb.draw.confusion("net", d, ax=ax), "network must be a learn.Network, not str"),
        (lambda n, d, w, ax: mb.draw.confusion(n, d.test_x, ax=ax), "dataset must be a learn.Dataset, .* not ndarray"),
        (lambda n, d, w, ax: mb.draw.confusion(n, d, split="all", ax=ax), "split must be 'train', 'validation' or"),
        (lambda n, d, w, ax: mb.draw.weights(n, 1, ax=ax), "layer is 1; expected the number of a Dense layer .*: 0, 2"),
        (lambda n, d, w, ax: mb.draw.weights(n, columns=0, ax=ax), "columns must be a whole number of at least 1"),
        (lambda n, d, w, ax: mb.draw.weights(w, ax=ax), "network must be a learn.Network"),
        (lambda n, d, w, ax: mb.draw.loss_landscape(n, d, w[:, :3], ax=ax), r"path has the shape \(61, 3\); expected"),
        (lambda n, d, w, ax: mb.draw.loss_landscape(n, d, [[1], [1, 2]], ax=ax), "vectors of one length"),
        (lambda n, d, w, ax: mb.draw.loss_landscape(n, d, w[-1:], ax=ax), "path does not move"),
        (lambda n, d, w, ax: mb.draw.loss_landscape(n, d, directions="path", ax=ax), "'path' together with a path"),
        (lambda n, d, w, ax: mb.draw.loss_landscape(n, d, directions="pca", ax=ax), "directions is 'pca'"),
        (lambda n, d, w, ax: mb.draw.loss_landscape(n, d, reach=0, ax=ax), "reach is 0"),
        (lambda n, d, w, ax: mb.draw.loss_landscape(n, d, samples=0, ax=ax), "samples must be a whole number"),
    ],
)
def test_bad_input(ax, data, trained, draw, message):
    with pytest.raises(InputError, match=message):
        draw(*(trained[0], data, trained[1]), ax)


def test_no_validation_data_and_no_weights(ax):
    x, labels = np.eye(3), np.arange(3)
    dataset = learn.Dataset(x, labels, None, None, x, labels, name="small")
    network = learn.Network([learn.Dense(3, 3)])
    with pytest.raises(InputError, match="has no validation data"):
        mb.draw.confusion(network, dataset, split="validation", ax=ax)
    network.vector[...] = 0
    with pytest.raises(InputError, match="all weights of the network are 0"):
        mb.draw.loss_landscape(network, dataset, ax=ax)
