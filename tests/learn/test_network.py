"""Networks: what goes in and out, the files, and what is said where something does not fit."""

import json
import os
import pickle
import stat
import zipfile

import numpy as np
import pytest

from mibun import learn
from mibun.errors import FormatError, InputError
from mibun.learn.network import CHUNK, FORMAT_VERSION

DTYPES = (np.float64, np.float32)


def small(dtype=np.float64, loss=None, seed=0):
    return learn.Network([learn.Dense(3, 4), learn.Sigmoid(), learn.Dense(4, 2)], loss, seed=seed, dtype=dtype)


def batch(samples, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, 3)), rng.integers(2, size=samples)


# Parameters


def test_parameters_have_the_documented_names_and_shapes():
    network = small()
    assert {name: array.shape for name, array in network.parameters.items()} == {
        "0.weight": (3, 4),
        "0.bias": (4,),
        "2.weight": (4, 2),
        "2.bias": (2,),
    }
    assert network.vector.shape == (26,)


def test_parameters_are_copies():
    network = small()
    before = network.vector.copy()
    for array in network.parameters.values():
        array[:] = 7
    np.testing.assert_array_equal(network.vector, before)


def test_views_show_the_vector_itself():
    network = small()
    network.views(network.vector)["2.bias"][:] = [5, 6]
    np.testing.assert_array_equal(network.parameters["2.bias"], [5, 6])


def test_with_parameters_makes_a_new_network_and_leaves_the_old_one_alone():
    network = small()
    before = network.vector.copy()
    other = network.with_parameters(network.parameters | {"2.bias": [1, 2]})
    np.testing.assert_array_equal(network.vector, before)
    np.testing.assert_array_equal(other.parameters["2.bias"], [1.0, 2.0])
    np.testing.assert_array_equal(other.parameters["0.weight"], network.parameters["0.weight"])
    other.vector[:] = 0
    np.testing.assert_array_equal(network.vector, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weights": np.ones((3, 4))}, "unknown: 0.weights"),
        ({"0.weight": np.ones((4, 3))}, r"'0.weight' must have shape \(3, 4\), not \(4, 3\)"),
        ({"2.bias": 1.0}, r"'2.bias' must have shape \(2,\), not \(\)"),
        ({"2.bias": [1.0, np.nan]}, "'2.bias' must hold finite real numbers"),
        ({"2.bias": [1.0, -np.inf]}, "'2.bias' must hold finite real numbers"),
        ({"2.bias": ["1", "2"]}, "'2.bias' must hold finite real numbers"),
        ({"2.bias": [1j, 2]}, "'2.bias' must hold finite real numbers"),
        ({"2.bias": [None, 2]}, "'2.bias' must hold finite real numbers"),
        ({"0.weight": [[1, 2], [3]]}, "rows differ in length"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(change, message):
    network = small()
    with pytest.raises(InputError, match=message):
        network.with_parameters(network.parameters | change)


def test_missing_parameters_are_named():
    network = small()
    with pytest.raises(InputError, match=r"missing: 0\.bias, 2\.weight; unknown: none"):
        network.with_parameters({"0.weight": np.ones((3, 4)), "2.bias": [0, 0]})


def test_a_number_that_float32_cannot_hold_is_refused_as_parameter_and_as_input():
    network = small(np.float32)
    with pytest.raises(InputError, match="float32"):
        network.with_parameters(network.parameters | {"2.bias": [1e300, 0.0]})
    with pytest.raises(InputError, match="finite"):
        network.predict([1e300, 0.0, 0.0])


# What goes in and comes out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", [learn.SoftmaxCrossEntropy(), learn.SumSquaredError()], ids=repr)
def test_one_sample_equals_a_batch_of_one(dtype, loss):
    network, (x, labels) = small(dtype, loss), batch(4)
    for index in range(4):
        np.testing.assert_array_equal(network.logits(x[index]), network.logits(x[index : index + 1]))
        assert network.predict(x[index]).shape == (1, 2)
        one_hot = np.eye(2)[labels[index]]
        alone = network.loss(x[index], labels[index])
        assert alone == network.loss(x[index : index + 1], labels[index : index + 1])
        assert network.loss(x[index], one_hot) == pytest.approx(alone, rel=1e-6)
        assert network.loss(x[index], one_hot.astype(int)) == network.loss(x[index], one_hot)
        assert network.loss(x[index].tolist(), one_hot.tolist()) == network.loss(x[index], one_hot)
        assert network.accuracy(x[index], labels[index]) == network.accuracy(x[index], one_hot) in (0.0, 1.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_batches_beyond_one_chunk_give_the_same_numbers(dtype):
    network, (x, labels) = small(dtype), batch(2 * CHUNK + 17)
    logits = network.logits(x)
    assert logits.shape == (2 * CHUNK + 17, 2)
    assert logits.dtype == dtype
    assert logits.flags.c_contiguous
    close = 20 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(logits, network.forward(network.batch(x)), rtol=close, atol=close)
    pieces = [network.loss(x[i : i + 1], labels[i : i + 1]) for i in range(len(x))]
    assert network.loss(x, labels) == pytest.approx(np.mean(pieces), rel=close)
    assert network.accuracy(x, labels) == np.mean(logits.argmax(axis=1) == labels)


def test_the_forward_pass_is_the_formula():
    network, (x, labels) = small(), batch(6)
    p = network.parameters
    hidden = 1 / (1 + np.exp(-(x @ p["0.weight"] + p["0.bias"])))
    logits = hidden @ p["2.weight"] + p["2.bias"]
    np.testing.assert_allclose(network.logits(x), logits, rtol=1e-13)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.predict(x), probabilities, rtol=1e-13)
    assert network.loss(x, labels) == pytest.approx(-np.log(probabilities[np.arange(6), labels]).mean(), rel=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_sum_to_one_and_keep_the_dtype(dtype):
    network, (x, _) = small(dtype), batch(50)
    probabilities = network.predict(x)
    assert probabilities.dtype == dtype
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
    outputs = small(dtype, learn.SumSquaredError()).predict(x)
    np.testing.assert_array_equal(outputs, network.logits(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_saturated_logits_give_numbers(dtype):
    network = learn.Network([learn.Dense(2, 2)], dtype=dtype)
    network = network.with_parameters({"0.weight": [[1e4, 0], [0, -1e4]], "0.bias": [0, 0]})
    np.testing.assert_array_equal(network.predict([[1.0, 1.0]]), [[1, 0]])
    assert network.loss([[1.0, 1.0]], [1]) == 20000
    assert network.loss([[1.0, 1.0]], [0]) == 0
    assert network.loss([[1.0, 1.0]], [[0.5, 0.5]]) == 10000


def test_integers_booleans_and_lists_are_taken_as_numbers():
    network = small()
    x = np.array([[1, 0, 2], [0, 1, 1]])
    wanted = network.logits(x.astype(float))
    for given in (x, x.tolist(), x.astype(np.uint8), x.astype(np.float32), tuple(map(tuple, x.tolist()))):
        np.testing.assert_array_equal(network.logits(given), wanted)
    np.testing.assert_array_equal(network.logits([[True, False, True]]), network.logits([[1, 0, 1]]))
    for labels in ([0, 1], (0, 1), np.array([0, 1], np.uint8), np.array([0, 1], np.uint64)):
        assert network.loss(x, labels) == network.loss(x, np.array([0, 1]))
    assert network.loss(x, [[1, 0], [0, 1]]) == pytest.approx(network.loss(x, [0, 1]), rel=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_inputs_are_not_touched(dtype):
    network = learn.Network([learn.Identity(), learn.Dense(3, 2), learn.ReLU()], dtype=dtype)
    x, labels = batch(5)
    x, targets = x.astype(dtype), np.eye(2, dtype=dtype)[labels]
    kept = x.copy(), targets.copy()
    network.predict(x)
    network.loss(x, targets)
    network.accuracy(x, targets)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(targets, kept[1])


def test_accuracy_counts_the_largest_output():
    network = learn.Network([learn.Dense(2, 2)]).with_parameters({"0.weight": np.eye(2), "0.bias": [0, 0]})
    x = [[1, 0], [0, 1], [2, 1], [1, 2]]
    assert network.accuracy(x, [0, 1, 1, 1]) == 0.75
    assert network.accuracy(x, [[0.6, 0.4], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]) == 0.75


@pytest.mark.parametrize(
    ("x", "targets", "message"),
    [
        (np.ones((2, 4)), [0, 1], r"x must have shape \(samples, 3\).*not \(2, 4\)"),
        (np.ones((2, 3, 1)), [0, 1], "flatten=True"),
        (np.ones((0, 3)), [], "at least one sample"),
        (1.0, [0], "x must have shape"),
        ([["a", "b", "c"]], [0], "real numbers"),
        ([[1, 2, 3j]], [0], "real numbers"),
        ([[1, 2, 3], [1, 2]], [0, 1], "rows differ in length"),
        ([[1, 2, 3], [1, np.nan, 3]], [0, 1], "sample 1 has nan at 1"),
        (np.ones((2, 3)), [0], "2 samples, but 1 labels"),
        (np.ones((2, 3)), [0, 2], r"0 \.\.\. 1.*2 outputs.*0 to 2"),
        (np.ones((2, 3)), [0, -1], r"0 \.\.\. 1"),
        (np.ones((2, 3)), [0.0, 1.0], "labels must be integers"),
        (np.ones((2, 3)), ["0", "1"], "labels must be integers"),
        (np.ones((2, 3)), np.ones((2, 3)), r"array \(2, 2\)"),
        (np.ones((2, 3)), np.ones((3, 2)), r"array \(2, 2\)"),
        (np.ones((2, 3)), [[0, np.nan], [1, 0]], "finite"),
        (np.ones((2, 3)), [["a", "b"], ["c", "d"]], "finite real numbers"),
        (np.ones((2, 3)), [[1, 0], [1]], "rows differ in length"),
        (np.ones(3), [1, 0, 0], "1 samples, but 3 labels"),
    ],
)
def test_bad_batches_say_what_is_expected(x, targets, message):
    network = small()
    for ask in (network.loss, network.accuracy):
        with pytest.raises(InputError, match=message):
            ask(x, targets)


# How a network is made


def test_networks_print_as_what_they_are():
    assert (
        repr(small()) == "Network(Dense(3, 4), Sigmoid(), Dense(4, 2); SoftmaxCrossEntropy(), 26 parameters, float64)"
    )
    other = learn.Network([learn.Dense(2, 1, 0.01), learn.ReLU()], learn.SumSquaredError(), dtype="float32")
    assert repr(other) == "Network(Dense(2, 1), ReLU(); SumSquaredError(), 3 parameters, float32)"


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_seed_gives_the_same_weights(dtype):
    np.testing.assert_array_equal(small(dtype, seed=3).vector, small(dtype, seed=np.int64(3)).vector)
    assert (small(dtype, seed=3).vector != small(dtype, seed=4).vector).any()
    np.testing.assert_array_equal(small(np.float32).vector, small(np.float64).vector.astype(np.float32))


def test_layers_that_do_not_fit_are_named():
    with pytest.raises(InputError, match=r"layer 2 does not fit after layer 1, Sigmoid.*50 inputs, but gets 30"):
        learn.Network([learn.Dense(64, 30), learn.Sigmoid(), learn.Dense(50, 10)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": []}, "layers must be a list"),
        ({"layers": learn.Dense(2, 2)}, "layers must be a list"),
        ({"layers": [learn.Dense(2, 2), learn.ReLU]}, r"layer 1 must be a layer.*write ReLU\(\)"),
        ({"layers": [learn.Dense(2, 2), np.tanh]}, "layer 1 must be a layer"),
        ({"layers": "dense"}, "layer 0 must be a layer"),
        ({"loss": "mse"}, "loss must be a loss"),
        ({"loss": learn.SumSquaredError}, "loss must be a loss"),
        ({"dtype": np.float16}, "float64 or np.float32"),
        ({"dtype": np.int64}, "float64 or np.float32"),
        ({"dtype": "banana"}, "float64 or np.float32, not 'banana'"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"seed": 0.5}, "seed must be an integer of at least 0"),
        ({"seed": True}, "seed must be an integer of at least 0"),
        ({"seed": None}, "seed must be an integer of at least 0"),
    ],
)
def test_bad_options_say_what_is_expected(options, message):
    with pytest.raises(InputError, match=message):
        learn.Network(**({"layers": [learn.Dense(2, 2)]} | options))


# Files


def names(folder):
    return [path.name for path in folder.iterdir()]


def all_layers(dtype, loss):
    layers = [
        learn.Dense(3, 4, scale="he"),
        learn.Sigmoid(),
        learn.Dense(4, 4, scale=np.float32(0.25)),
        learn.Tanh(),
        learn.Identity(),
        learn.ReLU(),
        learn.Elementwise(np.sin),
        learn.Dense(4, 3),
        learn.StepFunction(),
        learn.Dense(3, 2),
    ]
    return learn.Network(layers, loss, seed=9, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", [learn.SoftmaxCrossEntropy(), learn.SumSquaredError()], ids=repr)
def test_a_saved_network_comes_back_bit_for_bit(tmp_path, dtype, loss):
    network = all_layers(dtype, loss)
    network.save(tmp_path / "weights.npz")
    again = learn.Network.load(str(tmp_path / "weights.npz"), functions={"sin": np.sin})
    assert again.layers == network.layers
    assert again.loss_function == network.loss_function
    assert repr(again) == repr(network)
    assert again.dtype == again.vector.dtype == dtype
    assert again.vector.tobytes() == network.vector.tobytes()
    x, _ = batch(5)
    np.testing.assert_array_equal(again.predict(x), network.predict(x))
    assert names(tmp_path) == ["weights.npz"]


def test_a_user_function_must_be_given_by_its_name(tmp_path):
    network = all_layers(np.float64, None)
    network.save(tmp_path / "weights.npz")
    for functions in (None, {}, {"cos": np.cos}):
        with pytest.raises(InputError, match=r"Elementwise\(sin\): pass functions=\{'sin': \.\.\.\}"):
            learn.Network.load(tmp_path / "weights.npz", functions=functions)
    with pytest.raises(InputError, match="takes a function"):
        learn.Network.load(tmp_path / "weights.npz", functions={"sin": 3})


def test_two_functions_of_one_name_are_not_saved(tmp_path):
    first, second = (lambda z: z), (lambda z: 2 * z)
    layers = [learn.Dense(2, 2), learn.Elementwise(first), learn.Elementwise(second)]
    with pytest.raises(InputError, match="<lambda>"):
        learn.Network(layers).save(tmp_path / "weights.npz")
    same = learn.Network([learn.Dense(2, 2), learn.Elementwise(first), learn.Elementwise(first)])
    same.save(tmp_path / "weights.npz")
    assert learn.Network.load(tmp_path / "weights.npz", {"<lambda>": first}).layers == same.layers


def test_layers_and_losses_of_ones_own_are_not_saved(tmp_path):
    class Mine(learn.Tanh):
        pass

    class Loss(learn.SumSquaredError):
        pass

    for network in (learn.Network([learn.Dense(2, 2), Mine()]), learn.Network([learn.Dense(2, 2)], Loss())):
        with pytest.raises(InputError, match="of your own"):
            network.save(tmp_path / "weights.npz")
    assert not names(tmp_path)


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    small(seed=1).save(path)
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        small(seed=2).save(path)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["weights.npz"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_saved_file_can_be_read_by_whom_the_umask_allows(tmp_path):
    (tmp_path / "plain").touch()
    small().save(tmp_path / "weights.npz")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "weights.npz")]
    assert modes[0] == modes[1]


def test_the_file_holds_a_header_and_the_parameters_without_pickle(tmp_path):
    network = small()
    network.save(tmp_path / "weights.npz")
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as file:
        assert sorted(file.files) == sorted(["header", *network.parameters])
        header = json.loads(str(file["header"]))
        np.testing.assert_array_equal(file["0.weight"], network.parameters["0.weight"])
    assert header["version"] == FORMAT_VERSION == 1
    assert header["layers"][0] == {"kind": "Dense", "inputs": 3, "outputs": 4, "scale": "xavier"}


def rewrite(path, parameters=None, **changes):
    """Write a file as save does, with changes to the header (None removes an entry) or other arrays."""
    header = {
        "format": "mibun network",
        "version": 1,
        "dtype": "float64",
        "layers": [{"kind": "Dense", "inputs": 2, "outputs": 2, "scale": "xavier"}],
        "loss": "SoftmaxCrossEntropy",
    } | changes
    header = {name: value for name, value in header.items() if value is not None}
    arrays = {"0.weight": np.ones((2, 2)), "0.bias": np.zeros(2)} if parameters is None else parameters
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def test_the_file_of_this_test_can_be_read(tmp_path):
    rewrite(tmp_path / "a.npz")
    np.testing.assert_array_equal(learn.Network.load(tmp_path / "a.npz").parameters["0.weight"], np.ones((2, 2)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "format version 2; this mibun reads up to 1: install a newer"),
        ({"version": 2, "loss": None, "layers": None}, "install a newer"),
        ({"version": "new"}, "format version new"),
        ({"version": None}, "not written by Network.save"),
        ({"format": "another program"}, "not written by Network.save"),
        ({"loss": "Hinge"}, "a loss that this mibun does not know"),
        ({"loss": ["SumSquaredError"]}, "a loss that this mibun does not know"),
        ({"loss": None}, "a loss that this mibun does not know"),
        ({"layers": None}, "not written by Network.save"),
        ({"layers": "Dense"}, "not written by Network.save"),
        ({"layers": [1]}, "not written by Network.save"),
        ({"layers": []}, "layers"),
        ({"layers": [{"kind": "Conv"}]}, "'Conv'; this mibun knows AvgPool2D, Conv2D, Dense, Dropout"),
        ({"layers": [{"inputs": 2, "outputs": 2}]}, "a layer None"),
        ({"layers": [{"kind": "Dense", "inputs": -2, "outputs": 2}]}, "inputs must be an integer above 0"),
        ({"layers": [{"kind": "Dense", "inputs": 2, "outs": 2}]}, "outs"),
        ({"layers": [{"kind": "Dense", "inputs": 2}]}, "outputs"),
        ({"dtype": "float16"}, "float16"),
        ({"dtype": "banana"}, "banana"),
        ({"dtype": None}, "dtype"),
        ({"parameters": {"0.weight": np.ones((2, 2))}}, r"missing: 0\.bias"),
        ({"parameters": {"0.weight": np.ones((2, 2)), "0.bias": np.ones(2), "more": np.ones(1)}}, "unknown: more"),
        ({"parameters": {"0.weight": np.ones((2, 3)), "0.bias": np.ones(2)}}, r"\(2, 2\), not \(2, 3\)"),
        ({"parameters": {"0.weight": np.full((2, 2), np.nan), "0.bias": np.ones(2)}}, "finite"),
        ({"parameters": {"0.weight": np.full((2, 2), "a"), "0.bias": np.ones(2)}}, "finite real numbers"),
    ],
)
def test_files_that_do_not_fit_say_why(tmp_path, changes, message):
    rewrite(tmp_path / "a.npz", **changes)
    with pytest.raises(FormatError, match=message):
        learn.Network.load(tmp_path / "a.npz")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", header=np.array([Bomb()], dtype=object))
    rewrite(tmp_path / "b.npz", {"0.weight": np.array([[Bomb()]], dtype=object), "0.bias": np.ones(2)})
    (tmp_path / "c.npz").write_bytes(pickle.dumps(Bomb()))
    for name in "abc":
        with pytest.raises(FormatError, match=f"{name}.npz is not an npz file that can be read"):
            learn.Network.load(tmp_path / f"{name}.npz")


def test_foreign_files_are_refused(tmp_path):
    np.savez(tmp_path / "foreign.npz", weight=np.ones(3))
    np.save(tmp_path / "plain.npy", np.ones(3))
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("weights: 3")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("header.txt", "{}")
    for name in ("foreign.npz", "plain.npy", "empty.npz", "text.npz", "other.npz", "missing.npz", "."):
        with pytest.raises(FormatError, match=r"Network\.save"):
            learn.Network.load(tmp_path / name)


def test_truncated_and_damaged_files_never_give_other_weights(tmp_path):
    network = learn.Network([learn.Dense(2, 2)], seed=1)
    network.save(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    damaged = tmp_path / "damaged.npz"
    for cut in range(0, len(whole), 29):
        damaged.write_bytes(whole[:cut])
        with pytest.raises(FormatError, match="damaged"):
            learn.Network.load(damaged)
    for at in range(0, len(whole), 5):
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            again = learn.Network.load(damaged)
        except FormatError:
            continue
        assert again.vector.tobytes() == network.vector.tobytes()
