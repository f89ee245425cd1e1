"""Samples and labels that somebody has at hand: as two arrays, or in an npz file."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mibun.errors import DataError, InputError

from .dataset import Array, Dataset
from .split import split

__all__ = ["as_pixels", "from_arrays", "load_npz"]

#: Names that an npz file may have for samples and labels, in one piece or in splits (the last are those of Keras).
_WHOLE = (("x", "labels"), ("x", "y"), ("images", "labels"), ("data", "target"))
_SPLIT = (("train_x", "train_labels", "test_x", "test_labels"), ("x_train", "y_train", "x_test", "y_test"))
#: What NumPy and zipfile raise for files that are damaged, of another kind, or hold objects.
_UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    TypeError,
    KeyError,
    RuntimeError,
    MemoryError,
    OverflowError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)


def from_arrays(
    x: Any,
    labels: Any,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    normalize: bool = True,
    name: str = "arrays",
    class_names: tuple[str, ...] | None = None,
) -> Dataset:
    """Make a dataset of samples and labels, shared out among training, validation and test.

    Parameters
    ----------
    x : array of shape (n, ...)
        The samples, one a row; images are flattened.
    labels : array of shape (n,)
        The class of each sample, integers from 0.
    validation, test : float
        Shares of every class that are set aside, to rounding; `validation` may be 0. Default: 0.1 and 0.2.
    seed : int
        Which of the random splits.
    normalize : bool
        True (default): integers are pixels from 0 to 255 and are divided by 255, as float32; floats stay as they are.
    name : str
        What the data are called in reports.
    class_names : tuple of str, optional
        A name for each class.

    Raises
    ------
    DataError
        If the arrays do not fit together, are no numbers, or hold integers outside 0 ... 255 with `normalize`; or if
        there are too few samples for a test split.
    InputError
        If an option is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> x, labels = np.eye(2).repeat(20, axis=0), np.arange(2).repeat(20)
    >>> learn.from_arrays(x, labels, name="corners")
    Dataset('corners': train 28, validation 4, test 8, samples of shape (2,), float64, 2 classes)
    """
    for option, share, least in (("validation", validation, 0.0), ("test", test, 1e-9)):
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not least <= share < 1:
            raise InputError(f"{option}={share!r} is given; expected a share of the samples such as 0.1.")
    if validation + test >= 1:
        raise InputError(f"validation={validation} and test={test} leave no sample to train on; give smaller shares.")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed={seed!r} is given; expected an integer of 0 or more, for instance seed=0.")
    # A dataset of all samples as training and test checks them as every other one is checked.
    try:
        whole = Dataset(x, labels, None, None, x, labels, name=name, class_names=class_names)
    except DataError as error:
        raise DataError(str(error).replace("train_", "")) from None
    samples = as_pixels(whole.train_x, "x") if normalize else whole.train_x
    samples = samples.reshape(len(samples), -1)
    train, held, tested = split(whole.train_labels, int(seed), validation, test)
    if not len(tested) or not len(train):
        count = "1 sample is" if len(samples) == 1 else f"{len(samples)} samples are"
        raise DataError(
            f"{count} given, and a share of {test:g} of every class leaves none for the test; give "
            "more samples, a larger test=, or make a Dataset of splits of your own."
        )
    own = whole.train_labels
    held_x, held_labels = (samples[held], own[held]) if len(held) else (None, None)
    return Dataset(
        samples[train],
        own[train],
        held_x,
        held_labels,
        samples[tested],
        own[tested],
        name=name,
        class_names=class_names,
    )


def as_pixels(x: Array, name: str) -> Array:
    """Divide integers by 255, as float32; floats stay as they are.

    Raises
    ------
    DataError
        If an integer is no pixel.
    """
    if x.dtype.kind not in "iu":
        return x
    low, high = int(x.min()), int(x.max())
    if low < 0 or high > 255:
        where = np.argwhere((x < 0) | (x > 255))[0]
        raise DataError(
            f"{name} holds integers from {low} to {high}, first {x[tuple(where)]} in sample {where[0]}; expected "
            "pixels from 0 to 255. Give numbers that are no pixels as floats, or write normalize=False."
        )
    return np.divide(x, np.float32(255), dtype=np.float32)


def load_npz(
    path: str | os.PathLike[str],
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    normalize: bool = True,
) -> Dataset:
    """Load samples and labels from an npz file.

    The file holds `x` and `labels` (also `x` and `y`, `images` and `labels`, `data` and `target`), which are shared
    out as `from_arrays` does; or `train_x`, `train_labels`, `test_x`, `test_labels` (also `x_train`, `y_train`,
    `x_test`, `y_test`) and perhaps `validation_x`, `validation_labels`, which are taken as they are.

    Parameters
    ----------
    path : str or path-like
        The file. Nothing in it is unpickled.
    validation, test, seed, normalize
        As for `from_arrays`.

    Raises
    ------
    DataError
        If there is no such file, it cannot be read, or its arrays are none of these or do not fit together.
    InputError
        If an option is out of its range.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from mibun import learn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "corners.npz")
    ...     np.savez(path, x=np.eye(2).repeat(20, axis=0), labels=np.arange(2).repeat(20))
    ...     learn.load_npz(path, validation=0)
    Dataset('corners': train 32, validation 0, test 8, samples of shape (2,), float64, 2 classes)
    """
    arrays, name = read_arrays(path), Path(path).stem
    whole = next((names for names in _WHOLE if set(names) <= set(arrays)), None)
    parts = next((names for names in _SPLIT if set(names) <= set(arrays)), None)
    try:
        if whole is not None:
            x, labels = (arrays[name] for name in whole)
            return from_arrays(x, labels, validation=validation, test=test, seed=seed, normalize=normalize, name=name)
        if parts is not None:
            return _of_splits(arrays, parts, name, normalize)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    raise DataError(
        f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}; expected arrays named x and labels, or train_x, "
        "train_labels, test_x and test_labels. Write np.savez(path, x=..., labels=...)."
    )


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read all arrays of an npz file.

    Raises
    ------
    DataError
        If there is no such file, or it cannot be read.
    """
    if not Path(path).is_file():
        raise DataError(f"There is no file {path}; expected the path of an npz file.")
    try:
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except AttributeError:  # an npy file, whose load gives an array
        raise DataError(
            f"{path} holds one array without a name; expected an npz file, with samples and labels."
        ) from None
    except _UNREADABLE as error:
        raise DataError(
            f"{path} is not an npz file that can be read ({error}); expected one by np.savez, with numbers only."
        ) from None


def _of_splits(arrays: dict[str, Array], names: tuple[str, ...], name: str, normalize: bool) -> Dataset:
    x, labels, test_x, test_labels = (arrays[part] for part in names)
    held_x, held_labels = (arrays.get(part) for part in ("validation_x", "validation_labels"))
    Dataset(x, labels, held_x, held_labels, test_x, test_labels, name=name)  # checks them, before they are converted

    def prepared(part: Array, field: str) -> Array:
        return (as_pixels(part, field) if normalize else part).reshape(len(part), -1)

    return Dataset(
        prepared(x, names[0]),
        labels,
        None if held_x is None else prepared(held_x, "validation_x"),
        held_labels,
        prepared(test_x, names[2]),
        test_labels,
        name=name,
    )
