"""Bounds that travel beside the numbers of a network: what truncation and rounding may have cost."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Bound", "matmul", "rounding_unit", "times", "with_underflow"]

Array = NDArray[np.floating[Any]]


class Bound(NamedTuple):
    """Bounds on what an array lost to truncation and to rounding, each of the array's shape."""

    truncation: Array
    rounding: Array

    @property
    def total(self) -> Array:
        """Bound on |value - truth|."""
        return self.truncation + self.rounding


def rounding_unit(dtype: np.dtype[Any], terms: int = 1) -> float:
    """Bound on the relative rounding error of a sum of `terms` products.

    At most `terms` half-ulps, and with near certainty 6 sqrt(terms) of them (Higham and Mary 2019,
    "A new approach to probabilistic rounding error analysis", theorem 3.1).
    """
    return float(np.finfo(dtype).eps) / 2 * min(terms + 2.0, 6.0 * math.sqrt(terms) + 2.0)


def times(size: Array, error: Array) -> Array:
    """Multiply where 0 times an unknown (infinite) error is 0: what is not passed on does no harm."""
    return np.multiply(size, error, out=np.zeros(np.shape(size), np.result_type(size, error)), where=size != 0)


def matmul(left: Array, right: Array) -> Array:
    """Multiply two matrices of sizes and errors, where again 0 times an unknown error is 0."""
    known_left, known_right = np.isfinite(left), np.isfinite(right)
    if known_left.all() and known_right.all():
        product: Array = np.matmul(left, right)
        return product
    known = np.matmul(np.where(known_left, left, 0), np.where(known_right, right, 0))
    reached = np.matmul(~known_left, right != 0) | np.matmul(left != 0, ~known_right)
    return np.where(reached, np.inf, known).astype(known.dtype, copy=False)


def with_underflow(rounding: Array) -> Array:
    """Add the smallest normal number to every bound above 0: products below it lose their digits."""
    smallest: Array = np.finfo(rounding.dtype).tiny * (rounding > 0)
    return rounding + smallest.astype(rounding.dtype, copy=False)
