"""Datasets of labelled samples: digits that come with mibun, MNIST and its kin, arrays, npz, CSV and IDX files."""

from .arrays import from_arrays, load_npz
from .dataset import Dataset, one_hot
from .digits import load_digits
from .idx import read_idx
from .mnist import load_fashion, load_mnist
from .pictures import fit_digit
from .table import load_csv

__all__ = [
    "Dataset",
    "fit_digit",
    "from_arrays",
    "load_csv",
    "load_digits",
    "load_fashion",
    "load_mnist",
    "load_npz",
    "one_hot",
    "read_idx",
]
