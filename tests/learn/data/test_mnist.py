"""MNIST: where it is looked for, what is refused, and the files themselves where they are at hand."""

import gzip
import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from mibun.errors import DataError, InputError, MissingDependency
from mibun.learn.data import load_mnist

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
REAL = os.environ.get("MIBUN_DATA", "")
needs_mnist = pytest.mark.skipif(not REAL, reason="MIBUN_DATA is not set to a folder that holds mnist/")


def idx(array, code=8):
    return bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def tiny():
    rng = np.random.Generator(np.random.PCG64(5))
    return {
        NAMES[0]: idx(rng.integers(0, 256, (20, 3, 2)).astype(np.uint8)),
        NAMES[1]: idx(np.arange(20, dtype=np.uint8) % 10),
        NAMES[2]: idx(rng.integers(0, 256, (8, 3, 2)).astype(np.uint8)),
        NAMES[3]: idx(np.arange(8, dtype=np.uint8)),
    }


def put(folder, contents, rename=lambda name: name, pack=bytes):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / rename(name)).write_bytes(pack(content))
    return folder


@pytest.fixture(autouse=True)
def no_outside(monkeypatch, tmp_path):
    """No test finds the data or the cache of the user, or a mirror."""
    monkeypatch.delenv("MIBUN_DATA", raising=False)
    monkeypatch.setenv("MIBUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIBUN_MNIST_MIRROR", "http://127.0.0.1:9/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name,
        lambda name: name + ".gz",
        lambda name: name.replace("-idx", ".idx"),
        lambda name: name.replace("-idx", ".idx") + ".gz",
    ],
    ids=["dash", "dash.gz", "dot", "dot.gz"],
)
def test_every_spelling_and_packing_in_root(tmp_path, rename, pack):
    contents = tiny()
    dataset = load_mnist(put(tmp_path / "fashion", contents, rename, pack))
    pixels = np.frombuffer(contents[NAMES[0]], np.uint8, offset=16).reshape(20, 6)
    np.testing.assert_array_equal(dataset.train_x, pixels.astype(np.float32) / np.float32(255))
    assert dataset.train_x.dtype == np.float32
    assert dataset.train_labels.tolist() == [*range(10), *range(10)]
    assert dataset.train_labels.dtype == np.int64
    assert dataset.test_x.shape == (8, 6)
    assert dataset.name == "fashion"
    assert dataset.validation_x is None
    assert dataset.validation_labels is None


def test_flags(tmp_path):
    root = str(put(tmp_path / "set", tiny()))
    raw = load_mnist(root, normalize=False, flatten=False, one_hot=True, validation=6)
    assert raw.train_x.shape == (14, 3, 2)
    assert raw.train_x.dtype == np.uint8
    assert raw.validation_targets.shape == (6, 10)
    whole = load_mnist(root, normalize=False, flatten=False)
    np.testing.assert_array_equal(raw.validation_x, whole.train_x[-6:])
    np.testing.assert_array_equal(raw.validation_labels, whole.train_labels[-6:])
    assert load_mnist(root, one_hot=True).validation_targets is None


def test_the_last_folder_of_a_relative_root_is_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(put(tmp_path / "letters", tiny()))
    assert load_mnist(".").name == "letters"


@pytest.mark.parametrize("validation", [-1, 20, 21, 0.1, None, "5", True])
def test_a_validation_count_that_is_none(tmp_path, validation):
    root = put(tmp_path / "set", tiny())
    with pytest.raises(InputError, match=f"validation={validation!r} is given.* Write for instance validation="):
        load_mnist(root, validation=validation)


def test_root_is_looked_in_first_and_alone(tmp_path, monkeypatch):
    put(tmp_path / "data" / "mnist", tiny())
    monkeypatch.setenv("MIBUN_DATA", str(tmp_path / "data"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"does not hold train-images-idx3-ubyte, .* In the folder: nothing\."):
        load_mnist(tmp_path / "empty")
    assert load_mnist().name == "mnist"


def test_the_data_folder_comes_before_the_cache(tmp_path, monkeypatch):
    put(tmp_path / "cache" / "mnist", tiny())
    assert len(load_mnist().test_x) == 8
    other = tiny() | {NAMES[2]: idx(np.zeros((1, 3, 2), np.uint8)), NAMES[3]: idx(np.zeros(1, np.uint8))}
    put(tmp_path / "data" / "mnist", other)
    monkeypatch.setenv("MIBUN_DATA", str(tmp_path / "data"))
    assert len(load_mnist().test_x) == 1
    monkeypatch.setenv("MIBUN_DATA", str(tmp_path / "nothing"))
    assert len(load_mnist().test_x) == 8


def test_an_incomplete_folder_is_told_with_what_is_there(tmp_path, monkeypatch):
    contents = tiny()
    del contents[NAMES[1]]
    root = put(tmp_path / "data" / "mnist", contents)
    expected = r"does not hold train-labels-idx1-ubyte; .*train-labels.idx1-ubyte.* In the folder: t10k-images-idx3"
    with pytest.raises(DataError, match=expected):
        load_mnist(root)
    monkeypatch.setenv("MIBUN_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError, match=expected):
        load_mnist()


def test_a_crowded_folder_is_listed_in_part(tmp_path):
    for number in range(15):
        (tmp_path / f"{number:02}.png").touch()
    with pytest.raises(DataError, match=r"00\.png, .*09\.png and 5 more"):
        load_mnist(tmp_path)


def test_a_root_that_is_no_folder(tmp_path):
    with pytest.raises(DataError, match="does not exist; expected a folder with the four files train-images"):
        load_mnist(tmp_path / "missing")
    file = put(tmp_path / "set", tiny()) / NAMES[0]
    with pytest.raises(DataError, match=f"is a file; expected a folder .* Write root='{file.parent}'"):
        load_mnist(file)
    with pytest.raises(InputError, match="root=5 is given; expected the path of a folder"):
        load_mnist(5)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        (NAMES[1], idx(np.zeros(19, np.uint8)), "holds 20 images and .*train-labels-idx1-ubyte 19 labels"),
        (
            NAMES[2],
            idx(np.zeros((9, 3, 2), np.uint8)),
            "holds 9 images and .*t10k-labels-idx1-ubyte 8 labels",
        ),
        (
            NAMES[3],
            tiny()[NAMES[2]],
            r"t10k-labels-idx1-ubyte holds uint8 of shape \(8, 3, 2\), and .*t10k-images",
        ),
        (
            NAMES[0],
            tiny()[NAMES[1]],
            r"train-images-idx3-ubyte holds uint8 of shape \(20,\), and .*train-labels",
        ),
        (NAMES[0], idx(np.zeros((20, 3, 2), ">f4"), 13), "train-images-idx3-ubyte holds float32"),
        (NAMES[0], idx(np.zeros((0, 3, 2), np.uint8)), r"of shape \(0, 3, 2\)"),
        (
            NAMES[2],
            idx(np.zeros((8, 4, 2), np.uint8)),
            r"images of \(3, 2\) pixels and .*t10k-images.* of \(4, 2\)",
        ),
        (NAMES[1], idx(np.full(20, 256, ">i4"), 12), "train-labels-idx1-ubyte has the label 256 for image 0"),
        (NAMES[3], idx(np.full(8, -3, np.int8), 9), "has the label -3 for image 0 of .*t10k-images"),
        (NAMES[0], b"<html>", "train-images-idx3-ubyte is not an IDX file: it looks like an HTML page"),
        (NAMES[0], tiny()[NAMES[0]][:-5], "train-images-idx3-ubyte is truncated"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, name, content, part):
    root = put(tmp_path / "set", tiny() | {name: content})
    with pytest.raises(DataError, match=part) as caught:
        load_mnist(root)
    assert "cache" not in str(caught.value)


def test_a_corrupt_file_in_the_cache_is_to_be_deleted(tmp_path):
    put(tmp_path / "cache" / "mnist", tiny() | {NAMES[2]: b"broken"})
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte is not an IDX file.* cache: delete it"):
        load_mnist()


def test_pooch_is_needed_only_to_download(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingDependency, match=r"downloading MNIST needs the package 'pooch'.*mibun\[data\]"):
        load_mnist()
    monkeypatch.delenv("MIBUN_CACHE")
    with pytest.raises(MissingDependency, match=r"mibun\[data\]"):
        load_mnist()
    put(tmp_path / "data" / "mnist", tiny())
    monkeypatch.setenv("MIBUN_DATA", str(tmp_path / "data"))
    assert len(load_mnist().train_x) == 20
    monkeypatch.delenv("MIBUN_DATA")
    put(tmp_path / "cache" / "mnist", tiny())
    monkeypatch.setenv("MIBUN_CACHE", str(tmp_path / "cache"))
    assert len(load_mnist().train_x) == 20


def test_the_default_cache_is_that_of_the_system(tmp_path, monkeypatch):
    monkeypatch.delenv("MIBUN_CACHE")
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "system" / name)
    put(tmp_path / "system" / "mibun" / "mnist", tiny())
    assert len(load_mnist().train_x) == 20


@needs_mnist
def test_the_real_files(monkeypatch):
    monkeypatch.setenv("MIBUN_DATA", REAL)
    mnist = load_mnist(normalize=False, validation=10_000)
    assert mnist.train_x.shape == (50_000, 784)
    assert mnist.validation_x.shape == (10_000, 784)
    assert mnist.test_x.shape == (10_000, 784)
    assert mnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = hashlib.md5(mnist.train_x, usedforsecurity=False)
    pixels.update(mnist.validation_x)
    assert pixels.hexdigest() == "6510e85a72c3e9475c492d559d3770d2"


@needs_mnist
def test_the_real_files_normalised():
    mnist = load_mnist(Path(REAL, "mnist"))
    assert mnist.train_x.dtype == np.float32
    assert mnist.train_x.min() == 0
    assert mnist.train_x.max() == 1
    assert mnist.train_x.mean(dtype=np.float64) == pytest.approx(0.1306604762738429, abs=1e-7)
    assert mnist.name == "mnist"


@pytest.mark.parametrize("name", [NAMES[1], NAMES[3]])
def test_a_stray_label_does_not_make_classes_that_nothing_shows(tmp_path, name, monkeypatch):
    contents = tiny()
    stray = contents | {name: contents[name][:-1] + bytes([255])}
    with pytest.raises(DataError, match=rf"{name} holds the label 255, but only \d+ different labels occur"):
        load_mnist(put(tmp_path / "set", stray))
    put(tmp_path / "data" / "mnist", contents | {name: contents[name][:-1] + bytes([10])})
    monkeypatch.setenv("MIBUN_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError, match="holds the label 10; expected labels from 0 to 9, as MNIST has"):
        load_mnist()
