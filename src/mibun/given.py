"""What is given to a verb as x and bounds, checked and written into flat vectors."""

import math
import reprlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.plan import unit
from mibun.structure import Structure

__all__ = ["ROOM", "Given", "taken"]

#: Fewest floats between x and one of its bounds: in less room no step is far from its rounding.
ROOM: Final = 64
#: Kinds of ndarray that f can be given as a plain one: nothing is lost with them.
PLAIN: Final = (np.ndarray, np.memmap)


class Given(NamedTuple):
    """x, taken apart."""

    structure: Structure
    vector: NDArray[Any]
    lower: NDArray[Any]
    upper: NDArray[Any]

    @property
    def unbounded(self) -> bool:
        """Whether no element has a bound."""
        return bool(np.isneginf(self.lower).all() and np.isposinf(self.upper).all())


def taken(x: Any, bounds: Any, complex_too: bool = False) -> Given:
    """Take x apart, and check it and its bounds.

    Parameters
    ----------
    x : number, array or structure
    bounds : (lower, upper), or an object that has them as `lb` and `ub`, as those of SciPy; None for no bounds
        Each a number for all entries, None, or like x; in a dict, keys may be missing, and a number may stand for an
        array.
    complex_too : bool
        x may be complex.

    Raises
    ------
    InputError
        If x is not finite or of a kind that f would not get back, or if the bounds cannot be used.
    """
    structure = Structure.of(x)
    for part in structure.parts(x):
        if isinstance(part, np.ndarray) and type(part) not in PLAIN:
            raise InputError(
                f"x holds an array of type {type(part).__name__}; expected plain arrays: f would get "
                "it without units, names or another meaning of *; write np.asarray(x), and restore the type inside f"
            )
    vector = structure.flatten(x)
    if vector.dtype.kind == "c" and not complex_too:
        raise InputError("x is complex; expected real numbers: only derivative takes a complex x, for an analytic f")
    with np.errstate(over="ignore"):
        wrong = np.flatnonzero(~np.isfinite(vector.astype(np.complex128 if vector.dtype.kind == "c" else np.float64)))
    if wrong.size:
        raise InputError(
            f"{structure.place(int(wrong[0]))} is {vector[wrong[0]]!s}; expected a finite number in the range of "
            "doubles: differences need a step around x"
        )
    free = np.full(vector.size, -math.inf), np.full(vector.size, math.inf)
    return Given(structure, vector, *(free if bounds is None else _bounds(structure, vector, bounds)))


def _bounds(structure: Structure, vector: NDArray[Any], bounds: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give the bounds of every entry, and refuse those that exclude x or leave no room."""
    if vector.dtype.kind == "c":
        raise InputError("bounds are given for a complex x; complex numbers have no order, leave bounds out")
    low, high = _two(structure, bounds)
    lower = _limit(structure, low, -math.inf, "the lower bound")
    upper = _limit(structure, high, math.inf, "the upper bound")
    spacing = np.concatenate([unit(leaf.dtype) * np.abs(vector[leaf.slice]) for leaf in structure.leaves])
    inside = (lower <= vector) & (vector <= upper)
    wide = np.maximum(vector - lower, upper - vector) > ROOM * spacing
    wrong = np.flatnonzero(~(inside & wide))
    if wrong.size:
        i = int(wrong[0])
        name, start, one, two = structure.place(i), float(vector[i]), float(lower[i]), float(upper[i])
        if math.isnan(one) or math.isnan(two):
            raise InputError(f"a bound of {name} is nan; expected a number, or None for no bound")
        if one > two:
            raise InputError(f"the bounds {one} and {two} of {name} are in the wrong order; expected (lower, upper)")
        if not inside[i]:
            raise InputError(f"the bounds {one} and {two} exclude {name}, which is {start}; expected it between them")
        raise InputError(
            f"the bounds {one} and {two} leave no room for a step from {name}, which is {start}; expected at least "
            f"{ROOM} floats between it and one of them: to keep an entry fixed, take it out of x"
        )
    return lower, upper


def _two(structure: Structure, bounds: Any) -> tuple[Any, Any]:
    """Take the lower and the upper bound out of what was given, and refuse what could be pairs."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return bounds.lb, bounds.ub
    rows = bounds.tolist() if isinstance(bounds, np.ndarray) else bounds
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        rows = ()
    pairs = structure.kind == "array" and len(rows) == structure.size
    pairs = pairs and all(type(row) in (list, tuple) and len(row) == 2 for row in rows)
    if pairs and len(rows) != 2:
        raise InputError(
            f"bounds are a pair for each of the {len(rows)} entries of x; expected (lower, upper); "
            "write bounds=tuple(np.transpose(pairs))"
        )
    if pairs and not (type(bounds) is tuple and all(type(row) is list for row in rows)):
        raise InputError(
            f"bounds are {bounds!r}, which can be (lower, upper) or a pair for each entry of x; write "
            f"bounds=({list(rows[0])}, {list(rows[1])}) for the first, bounds=tuple(np.transpose(pairs)) for the second"
        )
    if len(rows) != 2:
        raise InputError(f"bounds are {reprlib.repr(bounds)}; expected (lower, upper), with None for no bound")
    return rows[0], rows[1]


def _limit(structure: Structure, bound: Any, free: float, name: str) -> NDArray[Any]:
    """Write one bound for every entry into a vector; None, and what is left out, is free."""
    limit = np.full(structure.size, free)
    for leaf, part in zip(structure.leaves, structure.parts(bound, name=name, partly=True), strict=True):
        label = f"{name} of {leaf.name}" if leaf.name else name
        try:
            numbers = np.asarray(part)
            if numbers.dtype == object:
                filled = [free if entry is None else entry for entry in numbers.flat]
                numbers = np.asarray(filled).reshape(numbers.shape)
        except ValueError:
            numbers = np.asarray("ragged")
        if numbers.dtype.kind not in "iuf":
            raise InputError(f"{label} is {reprlib.repr(part)}; expected numbers, or None for no bound")
        if numbers.size != 1 and numbers.shape != leaf.shape:
            raise InputError(f"{label} has shape {numbers.shape}; expected {leaf.shape}, or one number for all")
        limit[leaf.slice] = numbers.reshape(-1)
    return limit
