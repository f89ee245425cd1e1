"""The UCI digits that come with mibun: 1,797 images of 8 x 8 pixels."""

from importlib import resources

import numpy as np

from mibun.errors import InputError

from .dataset import Dataset
from .split import split

__all__ = ["load_digits"]

_VALIDATION_SHARE, _TEST_SHARE = 0.1, 0.2


def load_digits(normalize: bool = True, flatten: bool = True, one_hot: bool = False, seed: int = 0) -> Dataset:
    """Load the 1,797 handwritten digits that come with mibun, split for training, validation and test.

    Every class is split in the same proportion, to rounding: 1,259 images for training (70 %), 179 for
    validation (10 %) and 359 for test (20 %). A seed gives the same split on every machine and with every
    version of NumPy.

    Parameters
    ----------
    normalize : bool
        True (default): pixels / 16 as float32 from 0 to 1, exact. False: uint8 from 0 to 16.
    flatten : bool
        True (default): images of shape (n, 64). False: (n, 8, 8).
    one_hot : bool
        True adds `train_targets`, `validation_targets` and `test_targets`, float32 of shape (n, 10). The
        labels stay integers (int64) in any case. Default False.
    seed : int
        Which of the random splits, 0 (default) or larger.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If `seed` is not an integer of 0 or more.

    Notes
    -----
    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49, CC BY 4.0, from scikit-learn's copy (``digits.LICENSE``).

    Examples
    --------
    >>> from mibun.learn.data import load_digits
    >>> load_digits()
    Dataset('digits': train 1259, validation 179, test 359, samples of shape (64,), float32, 10 classes)
    >>> load_digits(normalize=False, flatten=False).test_x[0].shape
    (8, 8)
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed={seed!r} is given; expected an integer of 0 or more, for instance seed=0.")
    source = resources.files(__package__) / "digits.npz"
    with source.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        pixels, labels = stored["pixels"], stored["labels"].astype(np.int64)
    x = pixels.astype(np.float32) / np.float32(16) if normalize else pixels
    if flatten:
        x = x.reshape(len(x), -1)
    train, validation, test = split(labels, int(seed), _VALIDATION_SHARE, _TEST_SHARE)
    dataset = Dataset(x[train], labels[train], x[validation], labels[validation], x[test], labels[test], name="digits")
    return dataset.with_targets() if one_hot else dataset
