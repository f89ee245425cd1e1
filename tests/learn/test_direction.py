"""The engine `direction`: right in the mean, the same for the same seed, nothing touched, little memory."""

import tracemalloc

import numpy as np
import pytest

import mibun as mb
from mibun import learn
from mibun.errors import InputError

CONTRACTS = ("per sample", "whole loss")


def case(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    layers = [learn.Dense(5, 4), learn.Dropout(0.2), learn.Tanh(), learn.Dense(4, 3)]
    return learn.Network(layers, seed=seed, dtype=dtype), rng.random((7, 5)), rng.integers(3, size=7)


@pytest.mark.parametrize("losses", CONTRACTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_mean_of_many_estimates_is_the_gradient(losses, dtype):
    network, x, targets = case(dtype)
    engine = learn.Direction(losses, mb.SPSA(pairs=4000, step=1e-2))
    # Of dropout, the mask is drawn first: by the same seed it is the same.
    exact = learn.gradient(network, x, targets, engine="chain", seed=3)
    d = learn.gradient(network, x, targets, engine=engine, seed=3)
    off = np.concatenate([(d.value[name] - exact.value[name]).ravel() for name in exact.value])
    error = np.concatenate([d.error[name].ravel() for name in exact.value])
    # Entries of one unit share their noise: where one is out, its neighbours are next to it.
    assert (np.abs(off) <= error).mean() > 0.95
    # The errors are not absurdly large: three standard deviations, of which one is typical.
    assert 0.15 < np.sqrt(np.mean((off[error > 0] / error[error > 0]) ** 2)) < 0.5
    assert np.abs(off).max() < 0.2 * max(np.abs(array).max() for array in exact.value.values())
    assert d.fx == pytest.approx(exact.fx, rel=1e-2)


@pytest.mark.parametrize("losses", CONTRACTS)
def test_the_same_seed_gives_the_same_bits_and_the_network_stays_as_it_is(losses):
    network, x, targets = case()
    before = network.vector.copy()
    engine = learn.Direction(losses, mb.SPSA(pairs=3))
    first, same, other = (learn.gradient(network, x, targets, engine=engine, seed=s, errors=False) for s in (1, 1, 2))
    np.testing.assert_array_equal(network.vector, before)
    np.testing.assert_array_equal(first.value["0.weight"], same.value["0.weight"])
    assert (first.value["0.weight"] != other.value["0.weight"]).any()


@pytest.mark.parametrize("losses", CONTRACTS)
def test_values_do_not_depend_on_whether_errors_are_asked_for(losses):
    network, x, targets = case()
    engine = learn.Direction(losses, mb.SPSA(pairs=2))
    with_errors, without = (learn.gradient(network, x, targets, engine=engine, errors=e) for e in (True, False))
    for name, value in with_errors.value.items():
        np.testing.assert_array_equal(value, without.value[name])


def test_whole_loss_takes_a_loss_and_layers_of_which_only_values_are_known():
    def box(z):
        return np.round(z[:, :2], 1)

    network = learn.Network([learn.Dense(3, 2), learn.BlackBox(box, 2)], lambda y, t: np.abs(y - t).max(axis=1), seed=1)
    engine = learn.Direction("whole loss", mb.SPSA(pairs=10, step=0.5))
    d = learn.gradient(network, np.ones((4, 3)), np.zeros((4, 2)), engine=engine)
    assert d.value["0.weight"].any()


def test_images_are_served_per_sample():
    layers = [learn.Conv2D(1, 2, 3), learn.Tanh(), learn.Flatten(), learn.Dense(8, 3)]
    network = learn.Network(layers, seed=1, input_shape=(1, 4, 4))
    x, labels = np.random.default_rng(0).random((6, 16)), np.arange(6) % 3
    exact = learn.gradient(network, x, labels, engine="chain")
    d = learn.gradient(network, x, labels, engine=learn.Direction("per sample", mb.SPSA(pairs=2000)))
    inside = [np.abs(d.value[name] - exact.value[name]) <= d.error[name] for name in exact.value]
    assert np.concatenate([part.ravel() for part in inside]).mean() > 0.97


@pytest.mark.parametrize("losses", CONTRACTS)
def test_passes_are_counted(losses):
    calls = []

    def counted(z):
        calls.append(z.size)
        return np.tanh(z)

    network = learn.Network([learn.Dense(3, 4), learn.Elementwise(counted), learn.Dense(4, 2)], seed=1)
    engine = learn.Direction(losses, mb.SPSA(pairs=3, step=1e-2))
    d = learn.gradient(network, np.ones((5, 3)), np.zeros(5, int), engine=engine, errors=False)
    # With a loss per sample, every pass also tries half a row alone.
    tried = 2 * 3 * 2 if losses == "per sample" else 0
    assert sum(calls) - tried + 2 * 3 * 5 == d.evaluations == engine.cost(network, 5).evaluations
    assert engine.cost(network, 5).forward_equivalents == (6.0 if losses == "whole loss" else 9.0)


@pytest.mark.parametrize("losses", CONTRACTS)
def test_memory_is_one_set_of_activations_beside_network_and_gradient(losses):
    network = learn.Network([learn.Dense(400, 500), learn.Sigmoid(), learn.Dense(500, 10)], seed=1)
    x, targets = np.random.default_rng(0).random((20, 400)), np.zeros(20, int)
    engine, out = learn.Direction(losses, mb.SPSA(step=1e-2)), np.empty_like(network.vector)
    engine.into(network, x, targets, None, out)
    tracemalloc.start()
    engine.into(network, x, targets, None, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    activations = 8 * 20 * (500 + 500 + 10)
    assert network.vector.nbytes > 1_600_000
    assert peak < 3 * activations + 8 * 4 * 2**15  # noise and outputs of a layer, and a chunk of a direction


@pytest.mark.parametrize("losses", CONTRACTS)
def test_it_learns_the_digits(losses):
    digits = learn.load_digits()
    network = learn.Network([learn.Dense(64, 10)], seed=0)
    engine = learn.Direction(losses, mb.SPSA(pairs=4, step=1e-2))
    history = learn.train(network, digits, mb.Adam(0.01), engine, batch_size=100, steps=250)
    assert history.test_accuracy[-1] > 0.8


def test_contracts_are_not_mixed_in_a_table():
    network, x, targets = case()
    with pytest.raises(InputError, match="cannot stand in one table"):
        learn.compare_engines(network, x, targets, engines=["chain", "direction"])
    with pytest.raises(InputError, match="one number for the batch"):
        learn.compare_engines(network, x, targets, engines=[learn.Direction(losses) for losses in CONTRACTS])
    table = learn.compare_engines(network, x, targets, engines=[learn.Direction("whole loss")])
    assert "one number for the batch" in repr(table)


class Scale(learn.Layer):
    """A layer of one's own with a parameter."""

    def shapes(self):
        return {"factor": (1,)}

    def initial(self, rng):
        return {"factor": np.ones(1)}

    def forward(self, weights, x):
        return x * weights["factor"]


def test_a_layer_without_an_outer_product_is_served_by_the_whole_loss_only():
    network = learn.Network([learn.Dense(3, 2), Scale()], seed=1)
    with pytest.raises(InputError, match=r"layer 1, .*Direction\('whole loss'\)"):
        learn.gradient(network, np.ones((2, 3)), [0, 1], engine="direction")
    assert learn.gradient(network, np.ones((2, 3)), [0, 1], engine=learn.Direction("whole loss")).value["1.factor"]


@pytest.mark.parametrize(("losses", "estimator"), [("both", None), (None, None), ("whole loss", 3)])
def test_bad_options_are_refused(losses, estimator):
    with pytest.raises(InputError, match=r"losses must be|estimator must be"):
        learn.Direction(losses, mb.SPSA() if estimator is None else estimator)
