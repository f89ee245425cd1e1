"""What is said about a training run: each finding where it is due, with a number that holds, and not elsewhere."""

import math

import numpy as np
import pytest

import mibun as mb
from mibun import learn
from mibun.errors import DeadDifferences
from mibun.learn.diagnosis import dead_units, lost_in_error, origin, overfitting, plateau

DIGITS = learn.load_digits()


def run(rule, act=None, epochs=6, seed=0, **options):
    layers = [learn.Dense(64, 30), act or learn.Sigmoid(), learn.Dense(30, 10)]
    network = learn.Network(layers, seed=seed, dtype=options.pop("dtype", np.float64))
    return network, learn.train(network, DIGITS, rule, batch_size=10, epochs=epochs, **options)


def found(history, kind):
    return next((note for note in history.notes if note.kind == kind), None)


def test_a_good_run_has_no_findings():
    for rule in (mb.GradientDescent(2.0), mb.Adam(0.01), mb.Momentum(0.1)):
        assert run(rule, epochs=12)[1].notes == ()


@pytest.mark.parametrize("act", [learn.Sigmoid(), learn.ReLU()], ids=repr)
def test_the_rate_that_is_named_does_not_diverge_and_the_one_of_the_run_does(act):
    _, history = run(mb.GradientDescent(300.0), act, epochs=2)
    note = found(history, "diverging")
    assert f"a learning rate of {note.value:g} does not" in note.message
    assert note.value < 300
    _, calm = run(mb.GradientDescent(note.value), act, steps=100, epochs=None)
    assert calm.loss[-25:].mean() < calm.loss[0]
    _, wild = run(mb.GradientDescent(3 * note.value), act, steps=100, epochs=None)
    assert wild.loss[-25:].mean() > calm.loss[-25:].mean()


def test_a_rate_that_is_too_small_is_told_with_a_better_one():
    _, slow = run(mb.GradientDescent(0.01))
    note = found(slow, "learning rate too small")
    assert note.value in (0.1, 1.0)
    assert "0.01 lowers the loss by" in note.message
    _, better = run(mb.GradientDescent(note.value))
    assert better.loss[-50:].mean() < 0.9 * slow.loss[-50:].mean()


def test_a_rate_that_is_far_too_small_is_told_with_one_that_learns():
    _, slow = run(mb.GradientDescent(1e-5))
    note = found(slow, "learning rate too small")
    assert note.value == pytest.approx(0.1)  # the largest that is tried
    assert found(run(mb.Adam(1e-7))[1], "learning rate too small").value == pytest.approx(1e-3)


def test_a_short_epoch_that_goes_up_is_no_divergence():
    """The first epoch of so few samples is eleven steps, in which momentum overshoots."""
    few = learn.Dataset(
        DIGITS.train_x[:110], DIGITS.train_labels[:110], None, None, DIGITS.test_x, DIGITS.test_labels, name="few"
    )
    network = learn.Network([learn.Dense(64, 30), learn.Sigmoid(), learn.Dense(30, 10)])
    history = learn.train(network, few, mb.Momentum(1.0), batch_size=10, epochs=30)
    assert history.loss[:11].mean() > 1.1 * history.loss[0]
    assert found(history, "diverging") is None


def test_the_diagnosis_changes_no_weight():
    for rule in (mb.GradientDescent(0.01), mb.GradientDescent(300.0)):
        watched, silent = run(rule)[0], run(rule, diagnose=False)
        assert watched.vector.tobytes() == silent[0].vector.tobytes()
        assert all(note.kind == "not finite" for note in silent[1].notes)


def test_dead_units_are_counted():
    network = learn.Network([learn.Dense(64, 30), learn.ReLU(), learn.Dense(30, 10)], seed=1)
    assert dead_units(0, network, DIGITS.train_x) is None
    network.views(network.vector)["0.bias"][:7] = -1000.0
    note = dead_units(5, network, DIGITS.train_x)
    assert note.value == 7
    assert note.step == 5
    assert note.message.startswith("7 of 30 units of layer 1, ReLU() are dead")


def images(activation, dtype=np.float64):
    layers = [learn.Conv2D(1, 4, 3), activation, learn.MaxPool2D(2), learn.Flatten(), learn.Dropout(0.2)]
    return learn.Network([*layers, learn.Dense(36, 10)], seed=0, input_shape=(1, 8, 8), dtype=dtype)


def test_of_images_a_channel_is_dead_where_it_is_so_in_all_pixels():
    network = images(learn.ReLU())
    assert dead_units(0, network, DIGITS.train_x) is None
    network.views(network.vector)["0.bias"][1:3] = -1000.0
    note = dead_units(1, network, DIGITS.train_x)
    assert note.value == 2
    assert note.message.startswith("2 of 4 channels of layer 1, ReLU() are dead")


def test_a_hard_step_is_told_what_would_learn():
    network = learn.Network([learn.Dense(64, 6), learn.StepFunction(), learn.Dense(6, 10)], seed=1)
    assert dead_units(1, network, DIGITS.train_x).message.endswith("; StepFunction(smoothing=0.5) learns")


def test_estimates_along_random_directions_are_not_told_that_they_are_noise():
    history = run(mb.Adam(0.01), epochs=2, engine="direction")[1]
    assert found(history, "gradient below its error") is None


def test_auto_is_told_as_the_engine_that_it_chose():
    network = learn.Network(
        [learn.Dense(64, 3), learn.Elementwise(lambda z: 1 + 1e-12 * np.sin(z)), learn.Dense(3, 10)]
    )
    x, labels = network.batch(DIGITS.train_x[:20]), DIGITS.train_labels[:20]
    notes = [lost_in_error(1, network, engine, x, labels) for engine in (learn.Auto(), learn.Chain())]
    assert notes[0] == notes[1]
    assert "hardly depends on them" in notes[0].message


def test_a_gradient_below_its_error_is_told():
    small = learn.Network([learn.Dense(64, 3), learn.Sigmoid(), learn.Dense(3, 10)], dtype=np.float32)
    x, labels = small.batch(DIGITS.train_x[:20]), DIGITS.train_labels[:20]
    with pytest.warns(DeadDifferences):
        note = lost_in_error(1, small, learn.Coordinate(step=1e-4), x, labels)
    assert note is not None
    assert note.value > 0.5
    assert "use dtype=np.float64, or the engine chain" in note.message
    assert lost_in_error(1, small, learn.Chain(), x, labels) is None


def test_a_loss_that_stands_still_is_told():
    rng = np.random.default_rng(0)
    flat, falling = 2.3 + 0.01 * rng.normal(size=600), np.linspace(2.3, 1.0, 600)
    note = plateau(flat.tolist(), 50, 0.1)
    assert abs(note.value) < 0.005
    assert "at a training accuracy of 10.0 %" in note.message
    assert plateau(falling.tolist(), 50, 0.1) is None
    assert plateau(flat.tolist(), 50, 0.995) is None
    assert plateau(flat[:150].tolist(), 50, 0.1) is None
    # Two windows that agree by chance, on the way down.
    chance = np.concatenate([np.full(100, 0.6), np.full(200, 0.4)])
    assert plateau(chance.tolist(), 50, 0.1) is None
    assert plateau([*chance, *np.full(100, 0.4)], 50, 0.1) is not None


def test_overfitting_is_more_than_chance():
    assert overfitting(1, 1.0, 0.97, 179, "validation") is None
    note = overfitting(1, 1.0, 0.9, 1000, "validation")
    assert note.value == pytest.approx(0.1)
    assert "a gap of 10.0 points (chance explains 2.8)" in note.message
    few = learn.Dataset(
        DIGITS.train_x[:40], DIGITS.train_labels[:40], None, None, DIGITS.test_x, DIGITS.test_labels, name="few"
    )
    network = learn.Network([learn.Dense(64, 50), learn.Tanh(), learn.Dense(50, 10)])
    history = learn.train(network, few, mb.Adam(0.01), batch_size=10, epochs=40)
    assert "test samples" in found(history, "overfitting").message


def test_it_is_said_where_a_nan_arose_in_images_that_come_as_rows():
    network = images(learn.Tanh(), np.float32)
    history = learn.train(network, DIGITS, mb.GradientDescent(1e38), batch_size=10, steps=20)
    assert "it arose in the output of layer 5, Dense(36, 10)" in found(history, "not finite").message


def test_it_is_said_where_a_nan_arose():
    layers = [learn.Dense(64, 8), learn.Elementwise(lambda z: np.where(z > 0.5, np.nan, z)), learn.Dense(8, 10)]
    network = learn.Network(layers)
    history = learn.train(network, DIGITS, batch_size=20, epochs=1)
    assert "it arose in the output of layer 1, Elementwise(" in found(history, "not finite").message
    network.vector[0] = math.inf
    assert "in the weights of layer 0, Dense(64, 8)" in origin(network, DIGITS.train_x[:3], DIGITS.train_labels[:3])
