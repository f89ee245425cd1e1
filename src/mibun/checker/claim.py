"""What is claimed to be the derivative, read as a matrix: a row for each number that f returns, a column for each of x.

A gradient has one row. How exactly a claim has to hold is fixed here, too: relative to the largest entry of the same
parameter in the same row, for what was computed as a sum of terms of that size is rounded at that size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.result import Derivative
from mibun.structure import Structure, as_array

__all__ = ["CANCELLED", "NATURAL", "Claim", "columns_of"]

Floats = NDArray[np.float64]

#: Relative tolerance by the precision of what is given: a right gradient is not good to its last bit. A deep net in
#: float32 can be off by 8,000 of its roundings, the terms of an entry having cancelled.
RTOL: Final = {8: 1e-8, 4: 1e-4, 2: 2e-2}
#: What rounding in float64 leaves of terms that cancel, in units of f(x) over the step of a difference.
CANCELLED: Final = 8 * 2.0**-52
#: Shorter steps than this, relative to x, say nothing about the scale of f.
NATURAL: Final = 2.0**-6


@dataclass(frozen=True, eq=False)
class Claim:
    """A derivative that somebody gave.

    Attributes
    ----------
    ins, outs : Structure
        Of x and of f(x).
    matrix : ndarray or scipy.sparse matrix by columns, (outs.size, ins.size)
    rtol, unit : ndarray, (leaves of ins,)
        Relative tolerance in each parameter, and how its entries are rounded.
    atol : float
    """

    ins: Structure
    outs: Structure
    matrix: Any
    rtol: Floats
    unit: Floats
    atol: float

    @classmethod
    def of(cls, given: Any, ins: Structure, outs: Structure, rtol: float | None, atol: float) -> "Claim":
        """Read what was given for f of the structure `outs` at x of the structure `ins`.

        Raises
        ------
        InputError
            If keys, shapes or kinds of number differ from what the derivative has.
        """
        given = given.value if isinstance(given, Derivative) else given
        if given is None:
            raise InputError("gradient is None; expected a derivative: is a return missing in gradient?")
        if hasattr(given, "tocoo"):
            dtypes = [given.dtype] * len(ins.leaves)
            matrix = _sparse(given, ins, outs)
        else:
            blocks = _blocks(given, ins, outs)
            dtypes = [np.result_type(*(row[place].dtype for row in blocks)) for place in range(len(ins.leaves))]
            matrix = np.concatenate([np.concatenate(row, axis=1, dtype=np.float64) for row in blocks])
        floats = [dtype.itemsize if dtype.kind == "f" else 8 for dtype in dtypes]
        widths = [min(leaf.dtype.itemsize, width, 8) for leaf, width in zip(ins.leaves, floats, strict=True)]
        tolerances = np.array([RTOL[width] if rtol is None else rtol for width in widths])
        units = np.array([float(np.finfo(f"f{width}").eps) / 2 for width in widths])
        return cls(ins, outs, matrix, tolerances, units, atol)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.outs.size, self.ins.size

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.outs.size * self.ins.size

    @property
    def sparse(self) -> bool:
        """Whether it was given as a sparse matrix."""
        return hasattr(self.matrix, "tocoo")

    @property
    def flat(self) -> Floats:
        """What may be 0 in each parameter although f changes nearby: a change of this part of f over a step."""
        return np.sqrt(self.unit)

    @property
    def word(self) -> str:
        """What it is: a gradient or a Jacobian."""
        return "gradient" if self.outs.size == 1 else "Jacobian"

    def name(self, row: int, column: int) -> str:
        """Name an element: ``W[2, 1]`` of a gradient, ``[3, 0]`` of a matrix, ``y[3], W[2, 1]`` between structures."""
        if self.outs.size == 1:
            return self.ins.name(column)
        if self.ins.kind != "structure" and self.outs.kind != "structure":
            return str(list(self.path(row, column)))
        return f"{self.outs.name(row)}, {self.ins.name(column)}"

    def path(self, row: int, column: int) -> tuple[Any, ...]:
        """Give the keys that lead to an element in what was given."""
        outer = () if self.outs.size == 1 else self.outs.path(row)
        return (*outer, *self.ins.path(column))

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        """Give the elements at these places."""
        found = self.matrix[rows, columns]
        # of a sparse matrix it is another one, unless it is empty
        return np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float64).reshape(-1)

    def scale(self, rows: NDArray[np.intp], columns: NDArray[np.intp], truth: Floats) -> Floats:
        """Give the largest size in each row and parameter, (rows, leaves), with `truth` where it is known."""
        if self.sparse:
            coo = self.matrix.tocoo()
            sizes = np.zeros((self.outs.size, 1))
            known = np.isin(coo.row * self.ins.size + coo.col, rows * self.ins.size + columns)
            np.maximum.at(sizes[:, 0], coo.row[~known], np.nan_to_num(np.abs(coo.data[~known]), posinf=0.0))
            np.maximum.at(sizes[:, 0], rows, np.abs(truth))
            return sizes
        sizes = np.abs(self.matrix)
        sizes[rows, columns] = np.abs(truth)
        sizes[~np.isfinite(sizes)] = 0.0
        starts = [leaf.start for leaf in self.ins.leaves]
        return np.asarray(np.maximum.reduceat(sizes, starts, axis=1))

    def arranged(self, matrix: Floats) -> Any:
        """Put a matrix like the claim into the structure in which it was given."""
        rows = []
        for out in self.outs.leaves:
            outer = () if self.outs.size == 1 else out.shape
            inner = [
                matrix[out.start : out.stop, leaf.slice].reshape(outer + leaf.shape).copy() for leaf in self.ins.leaves
            ]
            rows.append(self.ins.build(inner))
        return rows[0] if self.outs.size == 1 else self.outs.build(rows)

    def parameter(self, columns: NDArray[np.intp]) -> NDArray[np.intp]:
        """Give the number of the parameter that each column belongs to."""
        return np.searchsorted([leaf.stop for leaf in self.ins.leaves], columns, side="right")


def columns_of(tree: Any, ins: Structure, outs: Structure, dtype: Any = np.float64) -> NDArray[Any]:
    """Write a field of a Jacobian, f's structure with x's structure in each leaf, as a matrix."""
    rows = []
    for leaf, outer in zip(outs.leaves, outs.parts(tree), strict=True):
        size = leaf.stop - leaf.start
        inner = [getattr(part, "codes", getattr(part, "code", part)) for part in ins.parts(outer)]
        rows.append(np.concatenate([np.asarray(part, dtype=dtype).reshape(size, -1) for part in inner], axis=1))
    return np.concatenate(rows)


def _blocks(given: Any, ins: Structure, outs: Structure) -> list[list[NDArray[Any]]]:
    """Take what was given apart: for each part of f(x), for each part of x, a matrix."""
    outer = [given] if outs.size == 1 else outs.parts(given, name="gradient")
    blocks = []
    for out, tree in zip(outs.leaves, outer, strict=True):
        row = []
        for leaf, part in zip(ins.leaves, ins.parts(tree, name="gradient"), strict=True):
            label = "gradient" + "".join(f" of {name}" for name in (out.name, leaf.name) if name)
            array = as_array(float(part) if type(part) is int else part, label)
            if array.dtype.kind not in "iuf":
                raise InputError(f"{label} holds {_held(array, part)}; expected real numbers")
            gradient = outs.size == 1 and array.shape == leaf.shape
            if not gradient and array.shape != out.shape + leaf.shape:
                expected = leaf.shape if outs.size == 1 else out.shape + leaf.shape
                raise InputError(
                    f"{label} has shape {array.shape}; expected {expected}{_remedy(array.shape, expected)}"
                )
            row.append(array.reshape(out.stop - out.start, leaf.stop - leaf.start))
        blocks.append(row)
    return blocks


def _held(array: NDArray[Any], part: Any) -> str:
    """Say what is no real number."""
    if part is None:
        return "None"
    kinds = {"c": "complex numbers", "b": "bool", "U": "text", "S": "bytes"}
    return kinds.get(array.dtype.kind, f"a value of type {type(part).__name__}")


def _remedy(shape: Sequence[int], expected: Sequence[int]) -> str:
    """Say what makes one shape of another."""
    if tuple(shape) == tuple(expected)[::-1] and len(expected) > 1:
        return ", its transpose: write gradient.T"
    if np.prod(shape) == np.prod(expected):
        return f"; if the order is right, write gradient.reshape({tuple(expected)})"
    return ""


def _sparse(given: Any, ins: Structure, outs: Structure) -> Any:
    """Read a sparse matrix."""
    if "structure" in (ins.kind, outs.kind):
        raise InputError("gradient is a sparse matrix, and x or f(x) a structure; expected arrays for both")
    if given.shape != (outs.size, ins.size):
        raise InputError(f"gradient has shape {given.shape}; expected {(outs.size, ins.size)}: f(x).size, x.size")
    if given.dtype.kind not in "iuf":
        raise InputError(f"gradient has dtype {given.dtype}; expected real numbers")
    matrix = given.tocsc().astype(np.float64)
    matrix.sum_duplicates()
    return matrix
