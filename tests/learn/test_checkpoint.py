"""Checkpoints: a run that is killed and taken up again ends with the bits of one that was not."""

import errno
import functools
import inspect
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mibun as mb
from mibun import learn
from mibun.errors import FormatError, InputError
from mibun.learn import checkpoint as module
from mibun.learn.checkpoint import Keeper, Saved, read, write

RULES = {
    "descent": mb.GradientDescent(0.5),
    "momentum": mb.Momentum(0.1, nesterov=True),
    "adagrad": mb.AdaGrad(0.05),
    "rmsprop": mb.RMSProp(0.01),
    "adam": mb.Adam(0.01),
    "scheduled": mb.Scheduled(mb.Adam(0.01), mb.Decay(60, warmup=5)),
}


def long_run(folder, resume, replace):
    """Train for long enough to be killed a few times; also the source of a process of its own."""
    network = learn.Network([learn.Dense(64, 40), learn.Sigmoid(), learn.Dense(40, 10)], seed=1)
    options = {"batch_size": 10, "steps": 400, "seed": 3, "shift": 1, "replace": replace, "diagnose": False}
    checkpoint = learn.Checkpoint(folder, steps=7)
    rule = mb.Scheduled(mb.Adam(0.01), mb.Decay(400, warmup=20))
    history = learn.train(network, learn.load_digits(), rule, checkpoint=checkpoint, resume=resume, **options)
    network.save(f"{folder}/end.npz")
    return f"{history.steps} {history.loss.tobytes().hex()[-64:]} {history.measured_at.tolist()}\n"


def digits_run(folder=None, rule=None, stop=None, steps=60, **options):
    network = learn.Network([learn.Dense(64, 8), learn.Sigmoid(), learn.Dense(8, 10)], seed=2)

    def callback(progress):
        if progress.step == stop:
            raise StopIteration

    data = {"batch_size": 50, "steps": steps, "seed": 4, "callback": callback} | options
    checkpoint = None if folder is None else learn.Checkpoint(folder, steps=10)
    return network, learn.train(network, learn.load_digits(), rule or RULES["adam"], checkpoint=checkpoint, **data)


@functools.cache
def without_a_stop(rule, shuffled):
    return digits_run(rule=RULES[rule], **OPTIONS[shuffled])


OPTIONS = {"epochs": {}, "replace": {"replace": True, "shift": 1}}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shuffled", OPTIONS)
@pytest.mark.parametrize("stop", [3, 26, 51])  # 26 steps make an epoch
def test_a_run_that_goes_on_ends_with_the_same_bits(tmp_path, name, shuffled, stop):
    straight, whole = without_a_stop(name, shuffled)
    rule, options = RULES[name], OPTIONS[shuffled]
    digits_run(tmp_path, rule, stop, **options)
    network, history = digits_run(tmp_path, rule, resume=True, **options)
    assert network.vector.tobytes() == straight.vector.tobytes()
    assert history.loss.tobytes() == whole.loss.tobytes()
    np.testing.assert_array_equal(history.measured_at[:-1], whole.measured_at[:-1])
    np.testing.assert_array_equal(history.test_accuracy, whole.test_accuracy)
    assert history.evaluations == whole.evaluations


ENGINES = {
    "chain": learn.Chain(),
    "column": learn.Column(),
    "node": learn.Node(),
    "auto": learn.Auto(),
    "activity": learn.Direction("per sample", mb.SPSA(pairs=2)),
    "whole loss": learn.Direction("whole loss", mb.SPSA(pairs=3, step=1e-2)),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_masks_and_directions_go_on_with_the_same_bits(tmp_path, engine, dtype):
    def run(folder=None, stop=None, resume=False):
        if isinstance(engine, learn.Node):
            layers, shape = [learn.Dense(64, 6), learn.Dropout(0.3), learn.Tanh(), learn.Dense(6, 10)], None
        else:
            layers, shape = [learn.Conv2D(1, 2, 5), learn.ReLU(), learn.MaxPool2D(2), learn.Dropout(0.3)], (1, 8, 8)
            layers += [learn.Flatten(), learn.Dense(8, 10)]
        network = learn.Network(layers, seed=2, dtype=dtype, input_shape=shape)

        def callback(progress):
            if progress.step == stop:
                raise StopIteration

        checkpoint = None if folder is None else learn.Checkpoint(folder, steps=4)
        options = {"batch_size": 20, "steps": 12, "callback": callback, "checkpoint": checkpoint, "resume": resume}
        return network, learn.train(network, learn.load_digits(), mb.Adam(0.01), engine, **options)

    straight, whole = run()
    run(tmp_path, stop=7)
    network, history = run(tmp_path, resume=True)
    assert network.vector.tobytes() == straight.vector.tobytes()
    assert history.loss.tobytes() == whole.loss.tobytes()
    assert history.evaluations == whole.evaluations


class CutOff:
    """An engine that is interrupted in the middle of one step, after its random numbers were drawn."""

    def __init__(self, step):
        self.step, self.calls = step, 0

    def __repr__(self):
        return "CutOff()"

    def gradient(self, *arguments, **options):
        raise NotImplementedError

    def into(self, network, x, targets, rng, out):
        noise = rng.random()
        self.calls += 1
        if self.calls == self.step:
            raise KeyboardInterrupt
        loss = learn.Chain().into(network, x, targets, rng, out)
        out *= 1 + 0.1 * noise
        return loss

    def cost(self, network, batch_size):
        return learn.Chain().cost(network, batch_size)


@pytest.mark.parametrize("options", [{}, {"replace": True, "shift": 1}, {"shift": 1}], ids=str)
@pytest.mark.parametrize("step", [1, 17, 27])  # 26 steps make an epoch
def test_a_step_that_was_cut_off_is_begun_anew(tmp_path, options, step):
    straight, whole = digits_run(engine=CutOff(0), steps=36, **options)
    _, cut = digits_run(tmp_path, engine=CutOff(step), steps=36, **options)
    assert cut.stop is learn.Stop.INTERRUPTED
    assert cut.steps == step - 1
    network, history = digits_run(tmp_path, engine=CutOff(0), steps=36, resume=True, **options)
    assert network.vector.tobytes() == straight.vector.tobytes()
    assert history.loss.tobytes() == whole.loss.tobytes()
    assert history.evaluations == whole.evaluations
    np.testing.assert_array_equal(history.measured_at, whole.measured_at)


def test_what_was_not_measured_at_the_end_of_an_epoch_is_measured_on_resuming(tmp_path, monkeypatch):
    _, whole = digits_run(steps=36)
    accuracy, calls = learn.Network.accuracy, []

    def interrupt(network, x, labels):
        calls.append(1)
        if len(calls) == 5:  # three at the start; the second one after the first epoch
            raise KeyboardInterrupt
        return accuracy(network, x, labels)

    with monkeypatch.context() as patched:
        patched.setattr(learn.Network, "accuracy", interrupt)
        _, cut = digits_run(tmp_path, steps=36)
    assert cut.steps == 26
    _, history = digits_run(tmp_path, steps=36, resume=True)
    np.testing.assert_array_equal(history.measured_at, whole.measured_at)
    np.testing.assert_array_equal(history.test_accuracy, whole.test_accuracy)


def test_more_steps_can_be_asked_for(tmp_path):
    straight, whole = digits_run(steps=80)
    digits_run(tmp_path, steps=45)
    network, history = digits_run(tmp_path, steps=80, resume=True)
    assert network.vector.tobytes() == straight.vector.tobytes()
    np.testing.assert_array_equal(history.measured_at, whole.measured_at)
    with pytest.raises(InputError, match="step 80, beyond the 70 steps"):
        digits_run(tmp_path, steps=70, resume=True)


def test_resume_without_a_checkpoint_starts(tmp_path):
    network, _ = digits_run(tmp_path / "new" / "deep", resume=True)
    assert network.vector.tobytes() == without_a_stop("adam", "epochs")[0].vector.tobytes()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("replace", [False, True])
def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path, replace):
    kills, folder, chance = 2, tmp_path / "killed", random.Random(f"kill {replace}")
    program = f"import mibun as mb\nfrom mibun import learn\n\n{inspect.getsource(long_run)}"
    program += f"\nprint(long_run({str(folder)!r}, True, {replace}), end='')"
    for life in range(kills + 1):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        if life < kills:
            # Wait for its first checkpoint of this life: the moments are those of training, not of the import.
            before = _stamp(folder)
            while process.poll() is None and _stamp(folder) == before:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        out = process.communicate()[0]
        assert process.returncode == (0 if life == kills else -signal.SIGKILL)
        if life < kills:
            assert len(read(folder / "checkpoint.npz").arrays["loss"]) % 7 == 0
    # The one that is not killed runs here: another process is no other run.
    assert out == long_run(tmp_path / "straight", False, replace)
    ends = [np.load(at / "end.npz") for at in (tmp_path / "straight", folder)]
    for name in ends[0].files:
        assert ends[0][name].tobytes() == ends[1][name].tobytes()
    for end in ends:
        end.close()


def _stamp(folder):
    try:
        return (folder / "checkpoint.npz").stat().st_mtime_ns
    except FileNotFoundError:
        return None


# What is refused


def other_network():
    return {"network": learn.Network([learn.Dense(64, 9), learn.Sigmoid(), learn.Dense(9, 10)])}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (other_network(), r"network was .*Dense\(64, 8\).* and is .*Dense\(64, 9\)"),
        ({"rule": mb.Adam(0.02)}, r"rule was Adam\(learning_rate=0.01"),
        ({"rule": mb.Momentum(0.01)}, "rule was Adam"),
        ({"batch_size": 40}, "batch size was 50, and is 40 now"),
        ({"seed": 5}, "seed was 4, and is 5 now"),
        ({"replace": True}, "replace was False"),
        ({"shift": 1}, "shift was 0"),
        ({"engine": "coordinate"}, r"engine was Chain\(\)"),
        ({"dataset": learn.load_digits(seed=1)}, "training data was"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_nothing_changes(tmp_path, options, message):
    digits_run(tmp_path, stop=12)
    network = learn.Network([learn.Dense(64, 8), learn.Sigmoid(), learn.Dense(8, 10)], seed=2)
    arguments = {"network": network, "dataset": learn.load_digits(), "rule": RULES["adam"], "batch_size": 50}
    arguments |= {"steps": 60, "seed": 4, "checkpoint": tmp_path, "resume": True} | options
    before, stamp = arguments["network"].vector.copy(), (tmp_path / "checkpoint.npz").read_bytes()
    with pytest.raises(InputError, match=message):
        learn.train(**arguments)
    np.testing.assert_array_equal(arguments["network"].vector, before)
    assert (tmp_path / "checkpoint.npz").read_bytes() == stamp


def test_an_old_checkpoint_is_never_overwritten_by_a_new_run(tmp_path):
    digits_run(tmp_path, stop=12)
    with pytest.raises(InputError, match="there already: give resume=True"):
        digits_run(tmp_path)


def changed(folder, **values):
    saved = read(folder / "checkpoint.npz")
    write(folder / "checkpoint.npz", Saved(saved.arrays, saved.values | values))


def test_a_newer_version_is_named(tmp_path, monkeypatch):
    digits_run(tmp_path, stop=12)
    monkeypatch.setattr(module, "FORMAT_VERSION", 2)
    changed(tmp_path)
    monkeypatch.undo()
    with pytest.raises(FormatError, match="format version 2; this mibun reads up to 1: install a newer mibun"):
        digits_run(tmp_path, resume=True)


@pytest.mark.parametrize(
    "values",
    [
        {"position": {}},
        {"position": None},
        {"engine_rng": {"bit_generator": "MT19937"}},
        {"measured": [[1, 2]]},
        {"good_at": 99},
        {"good_at": "x"},
        {"notes": [1]},
        {"evaluations": None},
    ],
)
def test_a_damaged_header_is_refused(tmp_path, values):
    digits_run(tmp_path, stop=12)
    changed(tmp_path, **values)
    with pytest.raises(FormatError, match="damaged"):
        digits_run(tmp_path, resume=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Bytes of the checkpoint after step 12, and where a run goes on from them."""
    folder = tmp_path_factory.mktemp("fuzz")
    digits_run(folder, stop=12)
    return folder, (folder / "checkpoint.npz").read_bytes()


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["cut", "change"]), place=st.floats(0, 1, exclude_max=True), by=st.integers(1, 255))
def test_bytes_that_are_changed_or_missing_never_end_in_another_run(checkpoint, kind, place, by):
    folder, content = checkpoint
    at = int(place * len(content))
    damaged = content[:at] + (bytes([content[at] ^ by]) + content[at + 1 :] if kind == "change" else b"")
    (folder / "checkpoint.npz").write_bytes(damaged)
    try:
        network, _ = digits_run(folder, resume=True)
    except FormatError:
        return
    assert network.vector.tobytes() == without_a_stop("adam", "epochs")[0].vector.tobytes()


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300))
def test_other_bytes_are_no_checkpoint(checkpoint, content):
    path = checkpoint[0] / "other.npz"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="not a checkpoint"):
        read(path)


# What a full disk does


def test_a_full_disk_is_told_and_the_older_checkpoint_stays(tmp_path):
    """The limit on the size of files is a real refusal of the system, in the middle of a write."""
    full, limits = [], resource.getrlimit(resource.RLIMIT_FSIZE)

    def callback(progress):
        if progress.step == 15:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
            full.append((tmp_path / "checkpoint.npz").read_bytes())

    try:
        network, history = digits_run(tmp_path, callback=callback, steps=36)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert history.stop is learn.Stop.FINISHED
    (note,) = (note for note in history.notes if note.kind == "checkpoint")
    assert "the checkpoint of step 36 could not be written (" in note.message
    assert "that of step 10 stays, and training goes on" in note.message
    assert (tmp_path / "checkpoint.npz").read_bytes() == full[0]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]
    again, _ = digits_run(tmp_path, resume=True, steps=36)
    assert again.vector.tobytes() == network.vector.tobytes()


def test_a_folder_that_cannot_be_made_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        digits_run(tmp_path / "file" / "folder")


def test_slow_disks_get_fewer_checkpoints(tmp_path, monkeypatch):
    keeper = Keeper(learn.Checkpoint(tmp_path, seconds=0.001))
    monkeypatch.setattr(module, "write", lambda path, saved: time.sleep(0.05))
    time.sleep(0.002)
    assert keeper.is_due(1)
    assert keeper.write(1, Saved({}, {})) is None
    time.sleep(0.002)
    assert keeper.cost >= 0.05
    assert not keeper.is_due(2)

    def refuse(path, saved):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write", refuse)
    assert keeper.write(3, Saved({}, {})) == "No space left on device"
    assert keeper.kept == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folder": 3}, "expected a folder"),
        ({"seconds": 0}, "seconds is 0"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"seconds": "10"}, "seconds is '10'"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"steps": True}, "steps is True"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        learn.Checkpoint(**{"folder": "x"} | options)


def test_nothing_in_the_file_is_pickled(tmp_path):
    digits_run(tmp_path, stop=12)
    with np.load(tmp_path / "checkpoint.npz", allow_pickle=False) as file:
        assert {"weights", "good", "rule.first", "rule.second", "rule.updates", "loss", "header"} <= set(file.files)
        header = json.loads(str(file["header"]))
    assert header["format"] == "mibun checkpoint"
    assert header["version"] == 1
