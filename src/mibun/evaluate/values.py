"""What f returns, read as a row of numbers; its shape at x is the shape everywhere."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.result import Derivative
from mibun.structure import Structure, as_array

__all__ = ["Values", "opened"]

#: What a row holds where f is not defined.
NAN: Final = float("nan")
REAL_ONLY: Final = 'f(x) is complex; the complex step needs an f that is real for real x, use method="adaptive"'


@dataclass(frozen=True, slots=True)
class Values:
    """How f(x) is laid out: its structure, and whether it is complex.

    A row holds the numbers of f(x) in the order of its flat vector; of a complex f first all real parts, then all
    imaginary ones, so that every number in it is a real function with a conversation of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.evaluate import Values
    >>> values = Values.of(np.array([1 + 2j, 3 - 4j]))
    >>> values.row(np.array([1 + 2j, 3 - 4j]))
    [1.0, 3.0, 2.0, -4.0]
    """

    structure: Structure
    complex: bool
    number: bool  # one real number, the case that has to be fast
    plain: bool = False  # a float of Python or NumPy, which nothing can change once f has returned it

    @classmethod
    def of(cls, value: Any) -> "Values":
        """Find the layout of what f returned at x."""
        if value is None:
            raise InputError("f returned None at x; expected a number or an array: is a return missing in f?")
        structure = Structure.of(opened(value), name="f(x)")
        is_complex = structure.dtype.kind == "c"
        number = structure.leaves[0].shape == () == structure.leaves[-1].path and not is_complex
        return cls(structure, is_complex, number, isinstance(value, float))

    @property
    def size(self) -> int:
        """Length of a row."""
        return self.structure.size * (2 if self.complex else 1)

    @property
    def unit(self) -> float:
        """Relative spacing of the floats that f returns, but never less than that of the floats of Python."""
        return max(float(np.finfo(leaf.dtype).eps) for leaf in self.structure.leaves if leaf.dtype.itemsize <= 16)

    def row(self, value: Any, analytic: bool = False) -> list[Any] | None:
        """Read one value of f; None where it is complex although f(x) is real.

        Parameters
        ----------
        value
            What f returned at some point.
        analytic : bool
            The point was complex, so complex numbers are expected.

        Raises
        ------
        InputError
            If its shape or structure is not that of f(x).
        """
        numbers = self.numbers(value, analytic)
        return None if numbers is None else numbers.tolist()

    def numbers(self, value: Any, analytic: bool = False) -> NDArray[Any] | None:
        """Do the same, and give the row as an array of its own."""
        vector = self._vector(opened(value))
        if analytic and self.complex:
            raise InputError(REAL_ONLY)
        if analytic:
            return vector.astype(np.complex128)
        if self.complex:
            return np.concatenate([vector.real, vector.imag]).astype(np.float64)
        if vector.dtype.kind == "c":
            return None
        return vector.astype(np.float64)

    def _vector(self, value: Any) -> NDArray[Any]:
        """Flatten a value, or say what is wrong with it."""
        if self.number and isinstance(value, int | float | complex | np.number) and not isinstance(value, bool):
            if isinstance(value, int):  # NumPy takes none beyond 64 bits
                return np.array([_wide(value)])
            return np.array([value], dtype=None if isinstance(value, np.generic) else type(value))
        if value is None:
            raise InputError("f returned None at one point and a value at x; expected the same shape everywhere")
        found = Structure.of(value, name="f(point)")
        try:
            return found.flatten(self._like(value), dtype=found.dtype)
        except InputError as reason:
            raise InputError(f"f returned different shapes at different points: {reason}") from reason

    def _like(self, value: Any) -> Any:
        """Check the structure of a value against that of f(x)."""
        for leaf, part in zip(self.structure.leaves, self.structure.parts(value, name="f(point)"), strict=True):
            if np.shape(part) != leaf.shape:
                name = f" of {leaf.name}" if leaf.name else ""
                raise InputError(f"the shape{name} is {np.shape(part)} at one point and {leaf.shape} at x")
        return value

    def stacked(self, value: Any, count: int, analytic: bool = False) -> NDArray[Any]:
        """Read a stack of values, (count, *T) in every leaf, as rows, (count, size); complex only for `analytic`.

        Raises
        ------
        InputError
            If the first axis does not count the points, or the other axes differ from f at x.
        """
        columns = []
        for leaf, part in zip(self.structure.leaves, self.structure.parts(opened(value), name="f(stack)"), strict=True):
            array = as_array(part, "f(stack)")
            if array.shape != (count, *leaf.shape) or array.dtype.kind not in "fciu":
                raise InputError(
                    f"f was given a stack of {count} points and returned {_shaped(array)}; "
                    f"with vectorized=True it is to return shape {(count, *leaf.shape)}"
                )
            columns.append(array.reshape(count, -1))
        rows = np.concatenate(columns, axis=1) if len(columns) > 1 else columns[0]
        if analytic and self.complex:
            raise InputError(REAL_ONLY)
        if analytic:
            return rows.astype(np.complex128)
        if self.complex:
            return np.concatenate([rows.real, rows.imag], axis=1).astype(np.float64)
        if rows.dtype.kind == "c":
            return np.full(rows.shape, NAN)
        return rows.astype(np.float64, copy=False)

    def built(self, row: Any) -> Any:
        """Give f(x) back from its row, as wide as it is in the row."""
        numbers = np.asarray(row)
        if self.complex:
            numbers = numbers[: self.structure.size] + 1j * numbers[self.structure.size :]
        return self.structure.unflatten(numbers, cast=False)


def _wide(value: int) -> float:
    """Give an integer as a float, as other numbers behave that are too large: inf."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def opened(value: Any) -> Any:
    """Take the value of a Derivative, for an f that differentiates inside; anything else is meant as it is."""
    return value.value if isinstance(value, Derivative) else value


def _shaped(array: NDArray[Any]) -> str:
    return f"shape {array.shape}" if array.dtype.kind in "fciu" else f"an array of dtype {array.dtype}"
