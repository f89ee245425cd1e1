"""Datasets of labelled images: digits that come with mibun, MNIST, and every file in the IDX format."""

from .dataset import Dataset, one_hot
from .digits import load_digits
from .idx import read_idx
from .mnist import load_mnist

__all__ = ["Dataset", "load_digits", "load_mnist", "one_hot", "read_idx"]
