"""The digits that come with mibun: the right numbers, and a split that never changes."""

import hashlib
from importlib import resources

import numpy as np
import pytest

from mibun.errors import InputError
from mibun.learn.data import load_digits

SPLITS = ("train", "validation", "test")


def test_the_documented_counts_shapes_and_types():
    digits = load_digits()
    assert [len(getattr(digits, f"{split}_x")) for split in SPLITS] == [1259, 179, 359]
    assert digits.train_x.shape == (1259, 64)
    assert digits.train_x.dtype == np.float32
    assert digits.train_labels.dtype == np.int64
    assert digits.name == "digits"
    assert digits.classes == 10
    assert digits.train_targets is None


def test_normalised_pixels_are_exact_sixteenths():
    small, large = load_digits(), load_digits(normalize=False)
    assert large.train_x.dtype == np.uint8
    assert large.train_x.max() == 16
    assert small.train_x.min() == 0
    assert small.train_x.max() == 1
    np.testing.assert_array_equal(small.train_x * 16, large.train_x)


def test_unflattened_images_are_the_same_images():
    flat, images = load_digits(), load_digits(flatten=False)
    assert images.test_x.shape == (359, 8, 8)
    np.testing.assert_array_equal(images.test_x.reshape(359, 64), flat.test_x)


def test_one_hot_adds_targets_and_keeps_the_labels():
    digits = load_digits(one_hot=True)
    for split in SPLITS:
        targets, labels = getattr(digits, f"{split}_targets"), getattr(digits, f"{split}_labels")
        assert targets.dtype == np.float32
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(targets, np.eye(10)[labels])


def test_the_data_are_those_of_uci():
    digits = load_digits(normalize=False)
    x = np.concatenate([getattr(digits, f"{split}_x") for split in SPLITS])
    labels = np.concatenate([getattr(digits, f"{split}_labels") for split in SPLITS])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert int(x.sum(dtype=np.int64)) == 561_718
    # The first image of the original file, a zero.
    first = [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]
    matches = np.flatnonzero((x[:, :16] == first).all(axis=1))
    assert 0 in labels[matches]


@pytest.mark.parametrize("seed", [0, 1, 20])
def test_each_class_is_split_in_the_same_proportion(seed):
    digits = load_digits(seed=seed)
    whole = sum(np.bincount(getattr(digits, f"{split}_labels")) for split in SPLITS)
    for split, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        counts = np.bincount(getattr(digits, f"{split}_labels"), minlength=10)
        assert np.all(np.abs(counts - share * whole) <= 1)


def test_the_split_of_seed_0_is_pinned():
    digits = load_digits(normalize=False)
    digest = hashlib.sha256()
    for split in SPLITS:
        digest.update(getattr(digits, f"{split}_x").tobytes())
        digest.update(getattr(digits, f"{split}_labels").astype("<i8").tobytes())
    assert digest.hexdigest() == "fa621edc9eb2398696ba50dc68c9ae37b2e11d8600acac6aa17f450a3e7ba7ba"


def test_seeds_give_other_splits_and_the_same_seed_the_same():
    first, again, other = load_digits(seed=3), load_digits(seed=np.int64(3)), load_digits(seed=4)
    np.testing.assert_array_equal(first.train_x, again.train_x)
    assert not np.array_equal(first.train_labels, other.train_labels)


def test_labels_are_mixed_within_a_split():
    assert len(np.unique(load_digits().train_labels[:50])) == 10


@pytest.mark.parametrize("seed", [-1, 0.5, None, "0", True])
def test_a_seed_that_is_none(seed):
    with pytest.raises(InputError, match=f"seed={seed!r} is given; expected an integer of 0 or more"):
        load_digits(seed=seed)


def test_the_file_is_small_and_its_licence_is_with_it():
    folder = resources.files("mibun.learn.data")
    assert len((folder / "digits.npz").read_bytes()) < 100_000
    licence = (folder / "digits.LICENSE").read_text("utf-8")
    for words in ("Alpaydin", "CC BY 4.0", "scikit-learn", "BSD 3-Clause", "Copyright (c)"):
        assert words in licence
