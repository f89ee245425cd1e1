"""Training: the same bits for the same seed, every image once an epoch, and no weights lost when it ends early."""

import json
import math
import subprocess
import sys
import time
from contextlib import nullcontext

import numpy as np
import pytest

import mibun as mb
from mibun import learn
from mibun.errors import InputError
from mibun.learn.engines import Cost
from mibun.learn.threads import fitting_threads

DIGITS = learn.load_digits()


def tiny(count=23, validation=True, seed=0):
    """Three classes of points in the plane; the first column numbers the training images."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count + 20)
    x = rng.normal(size=(count + 20, 2)) + 2 * np.eye(3)[labels][:, :2]
    parts = slice(0, count), slice(count, count + 10), slice(count + 10, None)
    (train, check, test) = ((x[part], labels[part]) for part in parts)
    return learn.Dataset(*train, *(check if validation else (None, None)), *test, name="points")


def net(seed=0, dtype=np.float64, inputs=2, outputs=3):
    layers = [learn.Dense(inputs, 4), learn.Sigmoid(), learn.Dense(4, outputs)]
    return learn.Network(layers, seed=seed, dtype=dtype)


class Recorder:
    """An engine of the user's own: it records its batches and gives the gradient 1."""

    def __init__(self, losses=()):
        self.batches, self.targets, self.weights, self.losses = [], [], [], dict(losses)

    def gradient(self, network, x, targets, rng=None, errors=True):
        raise NotImplementedError

    def into(self, network, x, targets, rng, out):
        self.batches.append(x.copy())
        self.targets.append(targets.copy())
        self.weights.append(network.vector.copy())
        out[:] = 1.0
        answer = self.losses.get(len(self.batches), 0.5)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def cost(self, network, batch_size):
        assert batch_size > 0
        return Cost(10 * batch_size, 1.0)


# What happens


def test_training_changes_the_network_in_place_and_nothing_else():
    network, data = net(), tiny()
    kept = {name: getattr(data, name).copy() for name in ("train_x", "train_labels", "test_x", "test_labels")}
    start, vector = network.vector.copy(), network.vector
    history = learn.train(network, data, batch_size=5, epochs=2)
    assert network.vector is vector
    assert (network.vector != start).any()
    for name, array in kept.items():
        np.testing.assert_array_equal(getattr(data, name), array)
    assert history.stop is learn.Stop.FINISHED
    assert history.test_accuracy[-1] == network.accuracy(data.test_x, data.test_labels)
    assert history.train_accuracy[-1] == network.accuracy(data.train_x, data.train_labels)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_step_is_the_gradient_times_the_learning_rate(dtype):
    network, data = net(dtype=dtype), tiny()
    before = network.copy()
    learn.train(network, data, rule=mb.GradientDescent(0.5), batch_size=23, steps=1)
    gradient = learn.Chain().gradient(before, data.train_x, data.train_labels).value
    assert network.vector.dtype == dtype
    close = 30 * float(np.finfo(dtype).eps)
    for name, array in before.parameters.items():
        np.testing.assert_allclose(network.parameters[name], array - 0.5 * gradient[name], rtol=close, atol=close)


def test_every_epoch_visits_each_image_once_and_the_last_batch_is_smaller():
    data, engine = tiny(23), Recorder()
    history = learn.train(net(), data, engine=engine, batch_size=5, epochs=3)
    assert [len(batch) for batch in engine.batches] == [5, 5, 5, 5, 3] * 3
    orders = []
    for epoch in range(3):
        seen = np.concatenate(engine.batches[5 * epoch : 5 * epoch + 5])
        orders.append([int(np.flatnonzero((data.train_x == row).all(axis=1))[0]) for row in seen])
        assert sorted(orders[-1]) == list(range(23))
        labels = np.concatenate(engine.targets[5 * epoch : 5 * epoch + 5])
        np.testing.assert_array_equal(labels, data.train_labels[orders[-1]])
    assert orders[0] != orders[1] != orders[2]
    assert orders[0] != list(range(23))
    assert history.steps == 15
    assert history.epochs == 3
    assert history.evaluations == 3 * 230
    np.testing.assert_array_equal(history.measured_at, [0, 5, 10, 15])


def test_steps_epochs_and_the_default_of_ten_epochs():
    data = tiny(20)
    by_default, epochs, steps = (
        learn.train(net(), data, engine=Recorder(), batch_size=8, **options)
        for options in ({}, {"epochs": 2}, {"steps": 4})
    )
    assert by_default.steps == 30
    assert by_default.epochs == 10
    assert (epochs.steps, epochs.epochs) == (6, 2)
    assert (steps.steps, steps.epochs) == (4, 4 / 3)
    np.testing.assert_array_equal(steps.measured_at, [0, 3, 4])
    assert len(steps.loss) == 4
    assert len(steps.train_accuracy) == len(steps.validation_accuracy) == len(steps.test_accuracy) == 3


def test_steps_follow_the_same_path_as_epochs():
    first, second, data = net(), net(), tiny(20)
    learn.train(first, data, batch_size=8, epochs=2)
    learn.train(second, data, batch_size=8, steps=6)
    np.testing.assert_array_equal(first.vector, second.vector)


@pytest.mark.parametrize("rule", [mb.GradientDescent(0.5), mb.Momentum(0.1, nesterov=True), mb.Adam(0.01)], ids=repr)
def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(rule):
    vectors = []
    for seed in (4, 4, 5):
        network = net()
        history = learn.train(network, tiny(), rule=rule, batch_size=5, epochs=3, seed=seed)
        vectors.append((network.vector.tobytes(), history.loss.tobytes()))
    assert vectors[0] == vectors[1]
    assert vectors[0] != vectors[2]


def test_two_fresh_processes_give_the_same_bits():
    code = (
        "import hashlib, mibun as mb; from mibun import learn;"
        "n = learn.Network([learn.Dense(64, 50), learn.Sigmoid(), learn.Dense(50, 10)], seed=1);"
        "h = learn.train(n, learn.load_digits(), rule=mb.Adam(0.01), steps=30, seed=2);"
        "print(hashlib.sha256(n.vector.tobytes() + h.loss.tobytes()).hexdigest())"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.strip()) == 64


def test_an_engine_that_draws_does_not_change_the_order_of_the_images():
    class Drawing(Recorder):
        def into(self, network, x, targets, rng, out):
            rng.normal(size=7)
            return super().into(network, x, targets, rng, out)

    plain, drawing = Recorder(), Drawing()
    for engine in (plain, drawing):
        learn.train(net(), tiny(), engine=engine, batch_size=5, epochs=2)
    for one, other in zip(plain.batches, drawing.batches, strict=True):
        np.testing.assert_array_equal(one, other)


def test_coordinate_and_chain_learn_the_same():
    chain, coordinate = (
        learn.Network([learn.Dense(64, 2), learn.Tanh(), learn.Dense(2, 10)], seed=6) for _ in range(2)
    )
    small = learn.Dataset(
        DIGITS.train_x[:200], DIGITS.train_labels[:200], None, None, DIGITS.test_x, DIGITS.test_labels, name="few"
    )
    for network, engine in ((chain, "chain"), (coordinate, "coordinate")):
        learn.train(network, small, rule=mb.GradientDescent(0.5), engine=engine, epochs=2)
    np.testing.assert_allclose(coordinate.vector, chain.vector, atol=1e-6)
    assert np.abs(chain.vector - learn.Network(chain.layers, seed=6).vector).max() > 0.01


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_digits_are_learnt_in_a_short_run(dtype):
    layers = [learn.Dense(64, 50), learn.Sigmoid(), learn.Dense(50, 10)]
    network = learn.Network(layers, seed=0, dtype=dtype)
    history = learn.train(network, DIGITS, rule=mb.Adam(0.01), batch_size=50, epochs=12)
    assert history.test_accuracy[-1] >= 0.95
    assert history.validation_accuracy[-1] >= 0.95
    assert history.loss[-10:].mean() < 0.1 * history.loss[0]


# What is reported


def test_the_callback_gets_the_right_numbers():
    told, data = [], tiny(20)
    history = learn.train(net(), data, batch_size=8, epochs=2, callback=told.append)
    assert [p.step for p in told] == [1, 2, 3, 4, 5, 6]
    assert {p.steps for p in told} == {6}
    np.testing.assert_array_equal([p.loss for p in told], history.loss)
    cost = [learn.Chain().cost(net(), size).evaluations for size in (8, 8, 4)] * 2
    assert [p.evaluations for p in told] == np.cumsum(cost).tolist()
    assert history.evaluations == sum(cost)
    measured = [0, 0, 1, 1, 1, 2]
    assert [p.train_accuracy for p in told] == history.train_accuracy[measured].tolist()
    assert [p.validation_accuracy for p in told] == history.validation_accuracy[measured].tolist()
    seconds = [p.seconds for p in told]
    assert seconds == sorted(seconds)
    assert all(p.seconds_left >= 0 for p in told)
    assert told[-1].seconds_left == 0


def test_without_validation_data_there_is_no_validation_accuracy():
    told = []
    history = learn.train(net(), tiny(validation=False), batch_size=23, epochs=1, callback=told.append)
    assert history.validation_accuracy is None
    assert told[0].validation_accuracy is None
    assert history.to_dict()["validation_accuracy"] is None


def test_the_history_is_strict_json():
    for options in ({"epochs": 1}, {"steps": np.int64(2), "seed": np.int64(3), "batch_size": np.int32(5)}):
        history = learn.train(net(), tiny(), **({"batch_size": 5} | options))
        d = json.loads(json.dumps(history.to_dict(), allow_nan=False))
        assert d["loss"] == history.loss.tolist()
        assert d["steps"] == history.steps
        assert d["stop"] == "finished"
        assert d["settings"]["rule"] == "GradientDescent(learning_rate=0.1)"
        assert d["settings"]["engine"] == "Chain()"
        assert d["settings"]["batch_size"] == 5
        assert d["settings"]["dataset"] == "points"


def test_a_history_prints_on_one_line_whatever_the_loss():
    history = learn.train(net(), tiny(), batch_size=5, steps=3)
    text = repr(history)
    assert text.startswith("History(3 steps, 0.6 epochs, loss ")
    assert text.endswith("all steps were done)")
    huge = learn.train(net(), tiny(), engine=Recorder({1: 1e300}), batch_size=5, steps=1)
    assert len(repr(huge)) < 200


# Early ends


def stop_at(step, error):
    def callback(progress):
        if progress.step == step:
            raise error

    return callback


@pytest.mark.parametrize(
    ("error", "stop"), [(StopIteration, learn.Stop.CALLBACK), (KeyboardInterrupt, learn.Stop.INTERRUPTED)]
)
def test_a_callback_can_stop_and_what_was_learnt_is_kept(error, stop):
    network, same = net(), net()
    history = learn.train(network, tiny(), batch_size=5, epochs=2, callback=stop_at(4, error))
    learn.train(same, tiny(), batch_size=5, steps=4)
    assert history.stop is stop
    assert history.steps == len(history.loss) == 4
    assert "after step 4 of 10" in history.message
    assert history.measured_at[-1] == 4
    np.testing.assert_array_equal(network.vector, same.vector)


@pytest.mark.parametrize("step", [1, 4])
def test_ctrl_c_inside_the_engine_keeps_what_was_learnt(step):
    network, same = net(), net()
    history = learn.train(network, tiny(), engine=Recorder({step: KeyboardInterrupt()}), batch_size=5, epochs=2)
    assert history.stop is learn.Stop.INTERRUPTED
    assert history.steps == step - 1
    assert np.isfinite(network.vector).all()
    if step > 1:
        learn.train(same, tiny(), engine=Recorder(), batch_size=5, steps=step - 1)
    np.testing.assert_array_equal(network.vector, same.vector)
    json.dumps(history.to_dict(), allow_nan=False)


def test_ctrl_c_in_a_measurement_keeps_what_was_learnt(monkeypatch):
    network, calls, accuracy = net(), [], learn.Network.accuracy

    def interrupted(self, x, targets):
        calls.append(len(x))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return accuracy(self, x, targets)

    monkeypatch.setattr(learn.Network, "accuracy", interrupted)
    history = learn.train(network, tiny(), batch_size=5, epochs=2)
    assert history.stop is learn.Stop.INTERRUPTED
    assert history.steps == 5
    assert history.measured_at.tolist() == [0, 5]


def test_other_errors_in_the_callback_are_raised():
    with pytest.raises(ZeroDivisionError):
        learn.train(net(), tiny(), batch_size=5, steps=3, callback=stop_at(2, ZeroDivisionError))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_brings_back_the_last_weights_whose_loss_was(bad):
    network, engine = net(), Recorder({4: bad})
    history = learn.train(network, tiny(), engine=engine, batch_size=5, epochs=2)
    assert history.stop is learn.Stop.NOT_FINITE
    assert "in step 4" in history.message
    assert "learning rate below 0.1" in history.message
    # The weights of step 4 gave a bad loss, those of step 3 a good one: two updates were made until then.
    np.testing.assert_array_equal(network.vector, engine.weights[2])
    same = net()
    learn.train(same, tiny(), engine=Recorder(), batch_size=5, steps=2)
    np.testing.assert_array_equal(network.vector, same.vector)
    assert np.isfinite(history.loss).all()
    assert history.test_accuracy[-1] == network.accuracy(tiny().test_x, tiny().test_labels)
    json.dumps(history.to_dict(), allow_nan=False)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("engine", ["chain", "coordinate"])
@pytest.mark.parametrize("rule", [mb.GradientDescent(1e300), mb.Momentum(1e300), mb.Adam(1e300)], ids=repr)
@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_divergence_never_raises_and_leaves_finite_weights_with_a_finite_loss(dtype, engine, rule, steps):
    data = tiny()
    layers = [learn.Dense(2, 4), learn.ReLU(), learn.Dense(4, 4), learn.ReLU(), learn.Dense(4, 3)]
    network = learn.Network(layers, seed=0, dtype=dtype)
    history = learn.train(network, data, rule=rule, engine=engine, batch_size=5, steps=steps)
    assert np.isfinite(network.vector).all()
    assert math.isfinite(network.loss(data.train_x, data.train_labels))
    assert history.stop is learn.Stop.NOT_FINITE
    json.dumps(history.to_dict(), allow_nan=False)


def test_weights_that_are_taken_back_are_not_measured():
    network, engine = net(), Recorder({6: math.nan})
    history = learn.train(network, tiny(), rule=mb.GradientDescent(3.0), engine=engine, batch_size=5, epochs=2)
    np.testing.assert_array_equal(network.vector, engine.weights[4])
    assert history.measured_at.tolist() == [0, 4]
    assert history.steps == len(history.loss) == 4
    data = tiny()
    assert history.test_accuracy[-1] == network.accuracy(data.test_x, data.test_labels)
    assert history.train_accuracy[-1] == network.accuracy(data.train_x, data.train_labels)


def test_a_function_that_gives_nan_stops_before_the_first_update():
    layers = [learn.Dense(2, 3), learn.Elementwise(lambda z: np.log(-z * z)), learn.Dense(3, 3)]
    network = learn.Network(layers)
    start = network.vector.copy()
    history = learn.train(network, tiny(), batch_size=5, epochs=2)
    assert history.stop is learn.Stop.NOT_FINITE
    assert history.steps == 0
    np.testing.assert_array_equal(network.vector, start)
    json.dumps(history.to_dict(), allow_nan=False)
    assert "loss none" in repr(history)


# Bad input: nothing is changed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 1, "steps": 1}, "epochs or steps, not both"),
        ({"epochs": 0}, "epochs must be an integer above 0"),
        ({"epochs": -1}, "epochs must be an integer above 0"),
        ({"epochs": 1.5}, "epochs must be an integer above 0"),
        ({"epochs": "ten"}, "epochs must be an integer above 0"),
        ({"steps": 0}, "steps must be an integer above 0"),
        ({"steps": 2.0}, "steps must be an integer above 0"),
        ({"steps": True}, "steps must be an integer above 0"),
        ({"batch_size": 0}, "batch_size must be an integer above 0"),
        ({"batch_size": -5}, "batch_size must be an integer above 0"),
        ({"batch_size": 5.0}, "batch_size must be an integer above 0"),
        ({"batch_size": None}, "batch_size must be an integer above 0"),
        ({"batch_size": 24}, "batch_size is 24, but there are only 23 training images; take at most 23"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"seed": 1.0}, "seed must be an integer of at least 0"),
        ({"engine": "torch"}, "one of auto, chain, column, coordinate"),
        ({"engine": learn.Chain}, r"a value such as learn\.Chain\(\)"),
        ({"engine": None}, "one of auto, chain, column, coordinate"),
        ({"rule": mb.Adam}, "or a rule such as"),
        ({"rule": 0.1}, "or a rule such as"),
        ({"rule": "adamant"}, "expected one of 'gradient descent'"),
        ({"replace": 1}, "replace must be True or False"),
        ({"resume": "yes"}, "resume must be True or False"),
        ({"resume": True}, "needs checkpoint="),
        ({"checkpoint": 3}, "expected a folder"),
        ({"shift": -1}, "shift must be an integer of at least 0"),
        ({"shift": 1}, "no square images"),
        ({"callback": "print"}, "callback"),
        ({"network": "net"}, "a Network and a Dataset, not str and Dataset"),
        ({"dataset": (1, 2)}, "a Network and a Dataset, not Network and tuple"),
        ({"network": net(inputs=3)}, r"x must have shape \(samples, 3\)"),
        ({"network": net(outputs=2)}, r"labels must lie in 0 \.\.\. 1"),
        ({"network": learn.Network([learn.Sigmoid()])}, "no parameters to train"),
    ],
)
def test_bad_options_are_refused_and_change_nothing(options, message):
    network = net()
    start = network.vector.copy()
    arguments = {"network": network, "dataset": tiny(), "batch_size": 5} | options
    with pytest.raises(InputError, match=message):
        learn.train(**arguments)
    np.testing.assert_array_equal(network.vector, start)


def test_a_network_that_is_not_finite_is_refused():
    network = net()
    network.vector[3] = np.nan
    with pytest.raises(InputError, match="not finite"):
        learn.train(network, tiny(), batch_size=5)


def test_images_that_are_not_flattened_are_refused():
    images = learn.load_digits(flatten=False)
    with pytest.raises(InputError, match="flatten=True"):
        learn.train(net(inputs=64, outputs=10), images)


def test_labels_out_of_range_in_any_split_are_refused():
    data = tiny()
    for split in ("train", "validation", "test"):
        labels = getattr(data, f"{split}_labels").copy()
        labels[-1] = 7
        fields = {
            name: getattr(data, name)
            for name in ("train_x", "train_labels", "validation_x", "validation_labels", "test_x", "test_labels")
        }
        bad = learn.Dataset(**(fields | {f"{split}_labels": labels}), name="bad")
        with pytest.raises(InputError, match=r"labels must lie in 0 \.\.\. 2"):
            learn.train(net(), bad, batch_size=5)


@pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf])
def test_a_bad_learning_rate_is_refused_where_it_is_given(rate):
    with pytest.raises(InputError, match="learning_rate"):
        learn.train(net(), tiny(), rule=mb.GradientDescent(rate), batch_size=5)


def test_soft_targets_are_learnt_as_they_are():
    """Targets that say nothing teach nothing, whatever the labels are."""
    data = tiny()
    soft = learn.Dataset(
        data.train_x,
        data.train_labels,
        None,
        None,
        data.test_x,
        data.test_labels,
        "soft",
        train_targets=np.full((len(data.train_x), 3), 1 / 3),
        test_targets=np.full((len(data.test_x), 3), 1 / 3),
    )
    network = net()
    learn.train(network, soft, rule=mb.GradientDescent(1.0), batch_size=5, epochs=200)
    np.testing.assert_allclose(network.predict(data.train_x), 1 / 3, atol=0.02)


def test_one_hot_targets_learn_what_labels_do():
    networks = net(), net()
    learn.train(networks[0], tiny(), batch_size=5, epochs=3)
    learn.train(networks[1], tiny().with_targets(), batch_size=5, epochs=3)
    np.testing.assert_allclose(networks[0].vector, networks[1].vector, rtol=1e-12)


class Stuck(Recorder):
    """An engine whose loss is finite while its gradient is not."""

    def into(self, network, x, targets, rng, out):
        loss = super().into(network, x, targets, rng, out)
        if len(self.batches) == 3:
            out[0] = math.nan
        return loss


def test_a_gradient_that_is_not_finite_never_reaches_the_weights():
    network = net()
    history = learn.train(network, tiny(), engine=Stuck(), batch_size=5, steps=6)
    assert history.stop is learn.Stop.NOT_FINITE
    assert "gradient" in history.message
    assert history.steps == 2
    assert np.isfinite(network.vector).all()


class Interrupted:
    """A rule that is interrupted in the middle of its third update."""

    learning_rate = 0.1

    def __init__(self):
        self.updates = 0

    def init(self, parameters):
        return {}

    def update(self, parameters, gradient, state):
        raise AssertionError

    def apply(self, parameters, gradient, state):
        parameters -= 0.1 * gradient
        self.updates += 1
        if self.updates == 3:
            raise KeyboardInterrupt


def test_an_update_that_is_interrupted_is_neither_counted_nor_kept():
    network, same = net(), net()
    history = learn.train(network, tiny(), rule=Interrupted(), batch_size=5, epochs=2)
    assert history.steps == 2
    learn.train(same, tiny(), rule=mb.GradientDescent(0.1), batch_size=5, steps=2)
    np.testing.assert_allclose(network.vector, same.vector, rtol=1e-12)


def test_a_loss_that_grew_is_said():
    history = learn.train(net(), tiny(), rule=mb.GradientDescent(200.0), batch_size=5, epochs=3)
    assert history.stop is learn.Stop.FINISHED
    assert "the loss grew from" in history.message
    assert "below 200" in history.message
    calm = learn.train(net(), tiny(), rule=mb.GradientDescent(0.1), batch_size=5, epochs=3)
    assert calm.message == learn.Stop.FINISHED.value


def test_time_is_measured_and_what_is_left_is_in_proportion():
    seen = []

    def slow(progress):
        time.sleep(0.01)
        seen.append(progress)

    history = learn.train(net(), tiny(), batch_size=5, steps=20, callback=slow)
    middle = seen[9]
    assert middle.seconds >= 0.09
    # After 10 of 20 steps, what is left is what has passed.
    assert middle.seconds_left == pytest.approx(middle.seconds, rel=1e-9)
    assert 0 < history.seconds < 0.1  # the callback's own time is not training


def test_the_order_of_the_images_and_the_engine_have_streams_of_their_own():
    class Drawing(Recorder):
        drawn = ()

        def into(self, network, x, targets, rng, out):
            self.drawn += (rng.integers(1 << 62),)
            return super().into(network, x, targets, rng, out)

    engine = Drawing()
    learn.train(net(), tiny(), engine=engine, batch_size=5, steps=2, seed=7)
    assert engine.drawn[0] == np.random.default_rng((7, 1)).integers(1 << 62)
    assert engine.drawn[0] != np.random.default_rng((7, 0)).integers(1 << 62)


def test_only_small_networks_are_held_to_one_thread(monkeypatch):
    limited = []
    threadpoolctl = pytest.importorskip("threadpoolctl")
    monkeypatch.setattr(threadpoolctl, "threadpool_limits", lambda **options: limited.append(options) or nullcontext())
    for width in (4, 100_000):
        with fitting_threads(learn.Network([learn.Dense(2, width), learn.Dense(width, 3)]), 20):
            pass
    assert limited == [{"limits": 1, "user_api": "blas"}]
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with fitting_threads(net(), 5):
        pass
