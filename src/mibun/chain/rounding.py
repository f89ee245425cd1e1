"""The arithmetic of bounds: how much a rounding costs, and products in which 0 times unknown is 0."""

import math
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["magnified", "rounding_unit", "times", "underflow", "unit_of"]

#: Relative width of the differences that tell how fast a slope changes.
WIDE: Final = 2.0**-20


@cache
def _eps(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 2.0**-52


@cache
def _half(dtype: np.dtype[Any]) -> float:
    return _eps(dtype) / 2


def rounding_unit(dtype: np.dtype[Any], terms: int = 1) -> float:
    """Bound the relative rounding error of a sum of `terms` products.

    At most `terms` half-ulps, and with near certainty 6 sqrt(terms) of them (Higham and Mary 2019,
    "A new approach to probabilistic rounding error analysis", theorem 3.1).
    """
    return _eps(np.dtype(dtype)) / 2 * min(terms + 2.0, 6.0 * math.sqrt(terms) + 2.0)


def unit_of(value: Any) -> float:
    """Give the relative rounding error of one operation with this result."""
    return _half(value.dtype)


def underflow(value: Any) -> float:
    """Bound what a product loses below the smallest normal number, which is felt in half precision alone."""
    return 2.0**-25 if value.dtype == np.float16 else 0.0


def times(size: Any, error: Any) -> Any:
    """Multiply where 0 times an unknown (infinite) error is 0: what is not passed on does no harm."""
    product = size * error
    if type(product) is np.ndarray:
        if np.isnan(product).any():
            product = np.where((np.asarray(size) == 0) | (np.asarray(error) == 0), 0.0, product)
    elif product != product and (size == 0 or error == 0):
        product = 0.0
    return product


def magnified(x: NDArray[Any]) -> NDArray[Any]:
    """Give a width around x that is small for any function, and large beside its rounding."""
    size = np.abs(x)
    return np.where(size > 0, WIDE * size, WIDE**2)
