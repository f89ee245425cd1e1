"""Elements that were differentiated one by one, as columns of a table."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.checker.numeric import Measured

__all__ = ["Known"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


class Known(NamedTuple):
    """Where the elements are, and what was found."""

    rows: Places
    columns: Places
    value: Floats
    error: Floats
    codes: NDArray[np.uint8]
    step: Floats

    @classmethod
    def of(cls, measured: Measured, columns: Places, rows: Places) -> "Known":
        """Take some rows of all columns that were measured."""
        places = np.repeat(rows, columns.size), np.tile(columns, rows.size)
        value, error, codes, step, _ = measured
        return cls(
            *places, value[rows].reshape(-1), error[rows].reshape(-1), codes[rows].reshape(-1), step[rows].reshape(-1)
        )

    @classmethod
    def joined(cls, parts: Iterable["Known"]) -> "Known":
        """Put several tables below each other."""
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    @classmethod
    def nothing(cls) -> "Known":
        """Give a table without rows."""
        none, numbers = np.zeros(0, np.intp), np.zeros(0)
        return cls(none, none, numbers, numbers, np.zeros(0, np.uint8), numbers)

    @property
    def found(self) -> tuple[NDArray[Any], ...]:
        """What was found, without the places."""
        return self[2:]
