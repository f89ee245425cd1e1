"""A dataset checks itself once, so that training never meets data that do not fit together."""

import dataclasses

import numpy as np
import pytest

from mibun.errors import DataError, InputError
from mibun.learn.data import Dataset, one_hot


def parts(**changes):
    rng = np.random.Generator(np.random.PCG64(11))
    given = {
        "train_x": rng.random((6, 4)),
        "train_labels": np.array([0, 1, 2, 0, 1, 2]),
        "validation_x": rng.random((2, 4)),
        "validation_labels": np.array([3, 0]),
        "test_x": rng.random((3, 4)),
        "test_labels": np.array([1, 1, 0]),
        "name": "made",
    }
    return given | changes


def test_a_good_dataset_keeps_the_arrays_of_its_user():
    given = parts()
    for array in given.values():
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    dataset = Dataset(**given)
    assert all(getattr(dataset, field) is value for field, value in given.items())
    assert dataset.train_targets is dataset.validation_targets is dataset.test_targets is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.name = "other"


def test_classes_count_over_all_splits():
    assert Dataset(**parts()).classes == 4
    assert Dataset(**parts(validation_x=None, validation_labels=None)).classes == 3
    assert Dataset(**parts(test_labels=np.array([1, 9, 0], dtype=np.uint8))).classes == 10


def test_repr():
    assert repr(Dataset(**parts())) == (
        "Dataset('made': train 6, validation 2, test 3, samples of shape (4,), float64, 4 classes)"
    )
    small = Dataset(**parts(validation_x=None, validation_labels=None)).with_targets()
    assert repr(small) == (
        "Dataset('made': train 6, validation 0, test 3, samples of shape (4,), float64, 3 classes, with targets)"
    )


def test_lists_become_arrays():
    dataset = Dataset([[1.0], [2.0]], [0, 1], None, None, [[3.0]], [1], name="lists")
    assert dataset.train_x.shape == (2, 1)
    assert dataset.classes == 2


def test_with_targets_adds_one_hot_rows_to_a_copy():
    plain = Dataset(**parts())
    full = plain.with_targets()
    assert plain.train_targets is None
    assert full.train_x is plain.train_x
    for split in ("train", "validation", "test"):
        targets, labels = getattr(full, f"{split}_targets"), getattr(full, f"{split}_labels")
        np.testing.assert_array_equal(targets, np.eye(4, dtype=np.float32)[labels])
        assert targets.dtype == np.float32
    assert Dataset(**parts(validation_x=None, validation_labels=None)).with_targets().validation_targets is None


def with_value(value, *samples, shape=(6, 4)):
    x = np.zeros(shape)
    for sample in samples:
        x[sample] = value
    return x


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"train_labels": np.arange(5)}, "train_x holds 6 samples and train_labels 5; expected as many"),
        ({"test_x": np.zeros((2, 4))}, "test_x holds 2 samples and test_labels 3"),
        ({"validation_labels": np.arange(3)}, "validation_x holds 2 samples and validation_labels 3"),
        ({"train_labels": np.array([0, 1, 2, -1, 0, 0])}, r"train_labels\[3\] is -1; expected labels from 0"),
        (
            {"train_labels": np.zeros(6)},
            r"train_labels has the dtype float64; .* train_labels.astype\(np.int64\)",
        ),
        ({"train_labels": np.zeros(6, bool)}, "train_labels has the dtype bool; expected integers"),
        ({"test_labels": np.array(["a", "b", "c"])}, "test_labels has the dtype <U1; expected integers"),
        ({"train_labels": np.eye(6, dtype=int)}, r"\(6, 6\); expected \(n,\). Write train_labels.argmax"),
        (
            {"train_labels": np.zeros((1, 6, 1), int)},
            r"\(1, 6, 1\); expected \(n,\). Write train_labels.ravel",
        ),
        (
            {"train_x": with_value(np.nan, 2, 5)},
            r"train_x holds .*: 8 of them in 2 of 6 samples, first in sample 2",
        ),
        (
            {"train_x": with_value(np.inf, 4)},
            "train_x holds .* 4 of them in 1 of 6 samples, first in sample 4",
        ),
        (
            {"validation_x": with_value(-np.inf, (1, 2), shape=(2, 4))},
            "validation_x holds .*: 1 of them in 1 of 2",
        ),
        ({"test_x": with_value(np.nan, 0, shape=(3, 4)).astype("f4")}, "test_x holds .* first in sample 0"),
        ({"test_x": np.zeros((3, 5))}, r"test_x has rows of shape \(5,\), but train_x of \(4,\)"),
        (
            {"validation_x": np.zeros((2, 2, 2))},
            r"validation_x has rows of shape \(2, 2\), but train_x of \(4,\)",
        ),
        (
            {"train_x": np.zeros((0, 4)), "train_labels": np.zeros(0, int)},
            r"train_x has the shape \(0, 4\); .* n >= 1",
        ),
        ({"test_x": np.zeros((0, 4)), "test_labels": np.zeros(0, int)}, r"test_x has the shape \(0, 4\)"),
        (
            {"validation_x": np.zeros((0, 4)), "validation_labels": np.zeros(0, int)},
            r"validation_x has the shape \(0, 4\); .* Write None for both parts",
        ),
        ({"train_x": np.zeros(6)}, r"train_x has the shape \(6,\); expected .* Write train_x\[:, None\]"),
        ({"train_x": np.zeros((6, 0))}, r"train_x has the shape \(6, 0\)"),
        ({"train_x": np.zeros((6, 4), complex)}, "train_x has the dtype complex128; expected real numbers"),
        ({"train_x": np.full((6, 4), None)}, "train_x has the dtype object; expected real numbers"),
        ({"train_x": [[1.0], [1.0, 2.0]]}, "train_x cannot be made an array"),
        ({"validation_x": None}, "validation_x is None while its partner is given; expected both, or None"),
        ({"validation_labels": None}, "validation_labels is None while its partner is given"),
        ({"train_x": None}, "train_x is None; expected an array"),
        ({"test_labels": None}, "test_labels is None; expected integers"),
        ({"name": 5}, "name=5 is given; expected a text"),
        (
            {"train_targets": np.zeros((6, 4))},
            "train_targets given; expected train_targets, validation_targets",
        ),
    ],
)
def test_what_does_not_fit_together(changes, part):
    with pytest.raises(DataError, match=part):
        Dataset(**parts(**changes))


@pytest.mark.parametrize(
    ("targets", "part"),
    [
        (np.zeros((2, 4)), "test_targets holds 2 samples and test_labels 3"),
        (np.zeros((3, 5)), r"test_targets has rows of shape \(5,\), but train_targets of \(4,\)"),
        (np.full((3, 4), np.nan), "test_targets holds values that are not finite"),
    ],
)
def test_targets_that_do_not_fit(targets, part):
    full = Dataset(**parts()).with_targets()
    with pytest.raises(DataError, match=part):
        dataclasses.replace(full, test_targets=targets)


def test_targets_need_a_column_for_each_class():
    narrow = {f"{split}_targets": np.ones((n, 3)) for split, n in (("train", 6), ("validation", 2), ("test", 3))}
    with pytest.raises(DataError, match=r"train_targets has the shape \(6, 3\); .* \(n, 4\) or wider"):
        Dataset(**parts(**narrow))
    absent = {"validation_x": None, "validation_labels": None}
    with pytest.raises(DataError, match="validation_targets"):
        Dataset(
            **parts(
                **absent,
                **{
                    field: np.ones((n, 5))
                    for field, n in (("train_targets", 6), ("validation_targets", 2), ("test_targets", 3))
                },
            )
        )


def test_one_hot():
    rows = one_hot(np.array([2, 0], dtype=np.uint8), 4)
    np.testing.assert_array_equal(rows, np.array([[0, 0, 1, 0], [1, 0, 0, 0]], dtype=np.float32))
    assert rows.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "classes", "error", "part"),
    [
        (
            [0, 3, 1],
            3,
            DataError,
            r"labels\[1\] is 3; expected labels from 0 to 2 for classes=3. Write classes=4",
        ),
        ([0, -1], 3, DataError, r"labels\[1\] is -1"),
        ([0.0, 1.0], 3, DataError, "labels has the dtype float64"),
        ([[0, 1]], 3, DataError, "expected \\(n,\\)"),
        ([0], 0, InputError, "classes=0 is given; expected a positive integer"),
        ([0], 2.0, InputError, "classes=2.0 is given"),
        ([0], True, InputError, "classes=True is given"),
    ],
)
def test_one_hot_refuses(labels, classes, error, part):
    with pytest.raises(error, match=part):
        one_hot(labels, classes)


def test_values_whose_sum_is_too_large_are_finite_all_the_same():
    x = np.full((6, 4), np.finfo(np.float32).max, np.float32)
    assert Dataset(**parts(train_x=x)).train_x is x
