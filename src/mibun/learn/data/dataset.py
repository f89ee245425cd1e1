"""Images and labels in three splits, checked once when they are put together."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mibun.errors import DataError, InputError

__all__ = ["Dataset", "one_hot"]

Array = np.ndarray[Any, Any]

_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labelled samples for training, validation and test.

    The arrays are kept as they are, neither copied nor written to; lists become arrays.

    Parameters
    ----------
    train_x, validation_x, test_x : array of shape (n, ...)
        The samples, one a row, real and finite. n may differ from split to split, the rest of the shape not.
    train_labels, validation_labels, test_labels : array of shape (n,)
        The class of each sample, integers from 0.
    name : str
        What the data are called in reports.
    train_targets, validation_targets, test_targets : array of shape (n, classes), optional
        The same labels as one-hot rows, or soft targets. For every split, or (the default) None.
    class_names : tuple of str, optional
        A name for each class, in the order of the labels. Default: None, for classes that are called by their number.

    `validation_x` and `validation_labels` may be None, both together, where there is no validation split.

    Raises
    ------
    DataError
        If the arrays do not fit together: images and labels of different length, labels that are no integers
        or negative, values that are not finite, samples of different shape, an empty split.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.learn.data import Dataset
    >>> x, labels = np.eye(4), np.array([0, 1, 2, 2])
    >>> dataset = Dataset(x[:3], labels[:3], None, None, x[3:], labels[3:], name="corners")
    >>> dataset
    Dataset('corners': train 3, validation 0, test 1, samples of shape (4,), float64, 3 classes)
    >>> dataset.with_targets().train_targets
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """

    train_x: Array
    train_labels: Array
    validation_x: Array | None
    validation_labels: Array | None
    test_x: Array
    test_labels: Array
    name: str
    train_targets: Array | None = None
    validation_targets: Array | None = None
    test_targets: Array | None = None
    class_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for split in _SPLITS:
            for part in ("x", "labels", "targets"):
                field = f"{split}_{part}"
                if (given := getattr(self, field)) is not None:
                    object.__setattr__(self, field, _as_array(given, field))
        if (self.validation_x is None) != (self.validation_labels is None):
            missing = "validation_x" if self.validation_x is None else "validation_labels"
            raise DataError(f"{missing} is None while its partner is given; expected both, or None for both.")
        if not isinstance(self.name, str):
            raise DataError(f"name={self.name!r} is given; expected a text such as name='digits'.")
        for split in self._splits():
            x, labels = getattr(self, f"{split}_x"), getattr(self, f"{split}_labels")
            _check_samples(x, f"{split}_x", like=self.train_x)
            _check_labels(labels, f"{split}_labels")
            _check_lengths(x, f"{split}_x", labels, f"{split}_labels")
        self._check_targets()
        names = self.class_names
        if names is not None and (len(names) < self.classes or not all(isinstance(name, str) for name in names)):
            raise DataError(
                f"class_names={names!r} is given; expected a text for each of the {self.classes} classes, or None."
            )

    @property
    def classes(self) -> int:
        """The number of classes: the largest label of all splits + 1."""
        return 1 + max(int(getattr(self, f"{split}_labels").max()) for split in self._splits())

    def with_targets(self) -> "Dataset":
        """Return this dataset with the labels of every split also as one-hot `targets`, float32."""
        return replace(
            self,
            train_targets=one_hot(self.train_labels, self.classes),
            validation_targets=(
                None if self.validation_labels is None else one_hot(self.validation_labels, self.classes)
            ),
            test_targets=one_hot(self.test_labels, self.classes),
        )

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{split} {0 if getattr(self, f'{split}_x') is None else len(getattr(self, f'{split}_x'))}"
            for split in _SPLITS
        )
        targets = "" if self.train_targets is None else ", with targets"
        return (
            f"Dataset({self.name!r}: {counts}, samples of shape {self.train_x.shape[1:]}, "
            f"{self.train_x.dtype}, {self.classes} classes{targets})"
        )

    def _splits(self) -> tuple[str, ...]:
        return _SPLITS if self.validation_x is not None else ("train", "test")

    def _check_targets(self) -> None:
        fields = [f"{split}_targets" for split in _SPLITS]
        given = [field for field in fields if getattr(self, field) is not None]
        expected = [f"{split}_targets" for split in self._splits()]
        if not given:
            return
        if given != expected:
            raise DataError(
                f"{' and '.join(given)} given; expected {', '.join(expected)}, or none of them. "
                f"Write dataset.with_targets() to make all of them from the labels."
            )
        for split in self._splits():
            field = f"{split}_targets"
            targets = getattr(self, field)
            _check_samples(targets, field, like=self.train_targets)
            _check_lengths(targets, field, getattr(self, f"{split}_labels"), f"{split}_labels")
            if targets.ndim != 2 or targets.shape[1] < self.classes:
                raise DataError(
                    f"{field} has the shape {targets.shape}; expected one column for each class, "
                    f"(n, {self.classes}) or wider. Write one_hot({split}_labels, {self.classes})."
                )


def one_hot(labels: Array, classes: int) -> Array:
    """Turn integer labels into rows that are 1 at the label and 0 elsewhere.

    Parameters
    ----------
    labels : array of integers, shape (n,)
        The classes, each from 0 to `classes` - 1.
    classes : int
        The number of columns, at least 1.

    Returns
    -------
    ndarray of float32, shape (n, classes)

    Raises
    ------
    InputError
        If `classes` is not a positive integer.
    DataError
        If `labels` are not integers in one dimension, or one of them is out of range.

    Examples
    --------
    >>> from mibun.learn.data import one_hot
    >>> one_hot([2, 0], classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or classes < 1:
        raise InputError(f"classes={classes!r} is given; expected a positive integer such as classes=10.")
    integers = _as_array(labels, "labels")
    _check_labels(integers, "labels")
    too_large = np.flatnonzero(integers >= classes)
    if too_large.size:
        raise DataError(
            f"labels[{too_large[0]}] is {integers[too_large[0]]}; expected labels from 0 to {classes - 1} "
            f"for classes={classes}. Write classes={int(integers.max()) + 1}, or correct the labels."
        )
    rows = np.zeros((len(integers), int(classes)), dtype=np.float32)
    rows[np.arange(len(integers)), integers] = 1
    return rows


def _as_array(given: Any, field: str) -> Array:
    try:
        return np.asarray(given)
    except ValueError as error:
        raise DataError(
            f"{field} cannot be made an array ({error}); expected rows of equal length. Give a NumPy array."
        ) from error


def _check_samples(x: Array | None, field: str, like: Array | None) -> None:
    if x is None or like is None:
        raise DataError(f"{field} is None; expected an array of shape (n, ...). Only validation may be None.")
    if x.dtype.kind not in "buif":
        raise DataError(
            f"{field} has the dtype {x.dtype}; expected real numbers. Write {field}.astype(np.float64), "
            f"or look for text and missing values in it."
        )
    if x.ndim < 2 or x.size == 0:
        absent = "None for both parts of an absent validation split"
        instead = absent if field.startswith("validation") else f"{field}[:, None] for samples of one number"
        raise DataError(
            f"{field} has the shape {x.shape}; expected (n, ...) with one sample a row, n >= 1 and no empty "
            f"dimension. Write {instead}."
        )
    if x.shape[1:] != like.shape[1:]:
        split = field.split("_")[0]
        raise DataError(
            f"{field} has rows of shape {x.shape[1:]}, but {field.replace(split, 'train')} of "
            f"{like.shape[1:]}; expected the same shape in every split. Reshape one of them."
        )
    _check_finite(x, field)


def _check_finite(x: Array, field: str) -> None:
    if x.dtype.kind != "f":
        return
    with np.errstate(invalid="ignore", over="ignore"):
        # What is not finite stays so in a sum, which is one pass without an array of n flags; large values may only
        # make it so.
        if np.isfinite(x.sum()):
            return
    bad = ~np.isfinite(x).reshape(len(x), -1)
    if not bad.any():
        return
    samples = np.flatnonzero(bad.any(axis=1))
    raise DataError(
        f"{field} holds values that are not finite (NaN or infinite): {bad.sum()} of them in {len(samples)} "
        f"of {len(x)} samples, first in sample {samples[0]}; expected finite numbers. Repair or leave out "
        f"these samples: keep = np.isfinite({field}).reshape(len({field}), -1).all(axis=1)."
    )


def _check_labels(labels: Array | None, field: str) -> None:
    if labels is None:
        raise DataError(f"{field} is None; expected integers of shape (n,). Only validation may be None.")
    if labels.ndim != 1:
        instead = f"{field}.argmax(axis=1) for one-hot rows" if labels.ndim == 2 else f"{field}.ravel()"
        raise DataError(f"{field} has the shape {labels.shape}; expected (n,). Write {instead}.")
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"{field} has the dtype {labels.dtype}; expected integers, the class of each sample. "
            f"Write {field}.astype(np.int64) for whole numbers, or "
            f"np.unique({field}, return_inverse=True)[1] for names."
        )
    negative = np.flatnonzero(labels < 0)
    if negative.size:
        raise DataError(
            f"{field}[{negative[0]}] is {labels[negative[0]]}; expected labels from 0 upwards. Write "
            f"np.unique(labels, return_inverse=True)[1] to number the classes from 0."
        )


def _check_lengths(x: Array, x_field: str, labels: Array, labels_field: str) -> None:
    if len(x) != len(labels):
        raise DataError(
            f"{x_field} holds {len(x)} samples and {labels_field} {len(labels)}; expected as many of one as "
            f"of the other. Check that both come from the same data."
        )
