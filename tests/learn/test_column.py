"""The engines `column` and `node`: the loop's own numbers, kinks, what is counted, what is refused."""

import numpy as np
import pytest

from mibun import learn
from mibun.errors import InputError


def case(activation, dtype=np.float64, seed=0, samples=6, loss=None):
    rng = np.random.default_rng(seed)
    layers = [learn.Dense(7, 6), activation, learn.Dense(6, 5), activation, learn.Dense(5, 3)]
    network = learn.Network(layers, loss, seed=seed, dtype=dtype)
    x = rng.random((samples, 7)) * (rng.random((samples, 7)) > 0.3)
    return network, x.astype(dtype), rng.integers(3, size=samples)


def values(engine, network, x, targets):
    out = np.empty_like(network.vector)
    engine.into(network, network.batch(x), network.targets(targets, len(x)), None, out)
    return out


@pytest.mark.parametrize("h", [1e-4, 1e-2, 0.1])
@pytest.mark.parametrize("activation", [learn.Sigmoid(), learn.Tanh()])
def test_interpolated_equals_every_step_to_the_last_digits_and_the_loop_within_its_rounding(activation, h):
    network, x, targets = case(activation)
    loop, column, every = (
        values(engine, network, x, targets)
        for engine in (learn.Coordinate(h), learn.Column(h), learn.Column(h, every_step=True))
    )
    size = np.abs(every).max()
    assert np.abs(column - every).max() <= 1e-12 * size
    assert np.abs(loop - every).max() <= 3e-15 / h
    if h == 0.1:  # not backprop: the truncation of h = 0.1 is there
        assert np.abs(values(learn.Chain(), network, x, targets) - loop).max() > 1e-4 * size


@pytest.mark.parametrize("kinked", [learn.ReLU(), learn.Elementwise(np.abs), learn.StepFunction()])
@pytest.mark.parametrize("h", [1e-3, 0.05])
def test_units_with_a_kink_within_reach_are_evaluated_step_by_step(kinked, h):
    worst = 0.0
    for seed in range(12):
        network, x, targets = case(kinked, seed=seed, samples=12)
        column, every = (values(learn.Column(h, every_step=e), network, x, targets) for e in (False, True))
        size = max(1e-3, np.abs(every).max())
        worst = max(worst, np.abs(column - every).max() / size)
    assert worst <= 1e-8


def test_without_the_guard_kinks_would_be_missed(monkeypatch):
    network, x, targets = case(learn.ReLU(), seed=3, samples=40)
    every = values(learn.Column(0.05, every_step=True), network, x, targets)
    monkeypatch.setattr("mibun.learn.engines.column.FLAG", np.inf)
    blind = values(learn.Column(0.05), network, x, targets)
    assert np.abs(blind - every).max() > 1e-5 * np.abs(every).max()


@pytest.mark.parametrize("engine", [learn.Column(), learn.Column(every_step=True), learn.Node()])
def test_in_float32_no_digits_are_lost_at_the_h_of_the_notes(engine):
    network, x, targets = case(learn.Sigmoid(), np.float32)
    wide = learn.Network(network.layers, seed=0)
    wide.vector[:] = network.vector
    off = values(engine, network, x, targets) - values(learn.Chain(), wide, x, targets)
    assert np.abs(off).max() <= 2e-6 * np.abs(values(learn.Chain(), wide, x, targets)).max()


# What is counted


class Counting:
    """A function of units that counts them."""

    def __init__(self, function):
        self.function, self.units = function, 0

    def __call__(self, z):
        self.units += z.size
        return self.function(z)


def counted(network_of, engine, x, targets):
    """Evaluations of units and losses that really happen, with those that the engine says."""
    unit, losses = Counting(np.tanh), Counting(lambda n: n)

    def loss(outputs, targets):
        losses(np.empty(len(outputs)))
        return ((outputs - targets) ** 2).sum(axis=1)

    network = network_of(learn.Elementwise(unit), loss)
    d = learn.gradient(network, x, targets, engine=engine, errors=False)
    return unit.units + losses.units, d.evaluations, engine.cost(network, len(x)).evaluations, network


def deep(activation, loss):
    return learn.Network(
        [learn.Dense(3, 4), activation, learn.Dense(4, 2), activation, learn.Dense(2, 2)], loss, seed=1
    )


@pytest.mark.parametrize(
    "engine", [learn.Chain(), learn.Coordinate(), learn.Node(), learn.Column(), learn.Column(every_step=True)], ids=repr
)
def test_costs_are_what_is_counted(engine):
    rng = np.random.default_rng(3)
    x, targets = rng.uniform(0.1, 0.9, size=(5, 3)), rng.normal(size=(5, 2))
    did, said, announced, network = counted(deep, engine, x, targets)
    assert said == announced
    plain = isinstance(engine, (learn.Node, learn.Column))
    # Differences that are taken plainly evaluate the loss at the point itself once more for each chunk of units, and
    # chain tries one sample again beside the others, and half a row alone: overhead that is not counted as work.
    assert said <= did <= said + (5 * 30 if plain else 2 * network.outputs + 3)


def test_zero_inputs_are_skipped_and_equal_ones_shared():
    network = learn.Network([learn.Dense(6, 4), learn.Sigmoid(), learn.Dense(4, 3)], seed=1)
    x = np.array([[0.0, 0.5, 0.5, 0.0, 0.25, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.7]])
    d = learn.gradient(network, x, [0, 1], engine=learn.Column(every_step=True), errors=False)
    # Distinct inputs other than 0, with the 1 of the bias: .25, .5, 1 and .7, 1. A shift is a unit and a loss.
    first, second = 2 * (3 + 2) * 4 * 2, 2 * 2 * (4 + 1) * 3
    assert d.evaluations == 2 * (4 + 1) + first + second
    assert d.evaluations < learn.Column(every_step=True).cost(network, 2).evaluations


def test_the_book_network_costs_what_the_paper_says():
    book = learn.Network([learn.Dense(784, 50), learn.Sigmoid(), learn.Dense(50, 10)])
    # Two shifts of 50 units (a unit and the loss each) and of 10 outputs (the loss), and the forward pass.
    assert learn.Node().cost(book, 100).evaluations == 100 * (51 + 2 * 50 * 2 + 2 * 10)
    assert learn.Column().cost(book, 100).evaluations == 100 * (51 + 4 * 50 * 2 + 4 * 10)
    assert learn.Column(every_step=True).cost(book, 100).evaluations == 100 * (51 + 1570 * 50 * 2 + 102 * 10)
    assert learn.Node().cost(book, 100).forward_equivalents < 3
    assert learn.Coordinate().cost(book, 100).forward_equivalents == 79521


# What is refused


class Scale(learn.Layer):
    """A layer of one's own with a parameter."""

    nonlinear = False

    def shapes(self):
        return {"factor": (1,)}

    def initial(self, rng):
        return {"factor": np.ones(1)}

    def forward(self, weights, x):
        return x * weights["factor"]


def test_a_layer_that_an_engine_cannot_serve_is_named_with_the_reason_and_who_can():
    images = learn.Network([learn.Conv2D(1, 2, 3), learn.Flatten(), learn.Dense(32, 2)], seed=1, input_shape=(1, 6, 6))
    with pytest.raises(InputError, match=r"engine 'node' cannot serve layer 0, Conv2D.*'chain', 'column'"):
        learn.gradient(images, np.ones((2, 36)), [0, 1], engine="node")
    own = learn.Network([learn.Dense(3, 2), Scale()], seed=1)
    for engine in ("node", "column"):
        with pytest.raises(InputError, match=r"cannot serve layer 1, .*Scale.*'coordinate'"):
            learn.gradient(own, np.ones((2, 3)), [0, 1], engine=engine)
    d = learn.gradient(own, np.ones((2, 3)), [0, 1], engine="coordinate")
    assert np.isfinite(d.error["1.factor"]).all()


@pytest.mark.parametrize("step", [0, -1e-4, np.nan, "small", True, None])
@pytest.mark.parametrize("engine", [learn.Column, learn.Node])
def test_a_bad_step_is_refused(engine, step):
    with pytest.raises(InputError, match="step must be a finite number"):
        engine(step=step)


@pytest.mark.parametrize("engine", [learn.Column(), learn.Column(every_step=True), learn.Node(), learn.Chain()])
def test_a_batch_of_one_sample_is_served(engine):
    network, x, targets = case(learn.Tanh(), samples=1)
    d = learn.gradient(network, x[0], targets, engine=engine)
    loop = learn.gradient(network, x, targets, engine="coordinate")
    for name, value in loop.value.items():
        assert (np.abs(d.value[name] - value) <= d.error[name] + loop.error[name]).all()
