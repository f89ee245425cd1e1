"""Where f is evaluated: (element, coordinate) -> a point for f, and many of them -> a stack for a vectorized f.

A method talks about one number, the coordinate of an element. A plan says what that number means: which entry of x
it is, or how far along a direction. Points are made one by one, or in stacks of a given number of rows; a matrix of all
points, n x n for a gradient, is never made.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.structure import Structure

__all__ = ["Plan", "along", "both_axes", "coordinatewise", "pairwise", "pointwise", "together"]

FLOAT64: Final = np.dtype(np.float64)


class Plan(NamedTuple):
    """What the coordinates of all elements mean."""

    starts: Sequence[Any]  #: the coordinate of each element at x; of several axes, a tuple
    units: Sequence[float]  #: relative spacing of the floats of each
    shared: bool  #: at their starts all elements are at one and the same point x
    point: Callable[[int, Any], Any]  #: (element, coordinate) -> a new point for f
    stack: Callable[[NDArray[Any], NDArray[Any]], Any]  #: many elements and coordinates -> (m, *S), newly made
    row_bytes: int  #: size of one row of a stack
    name: Callable[[int], str]  #: what messages call an element
    rows: bool = False  #: a row of a stack is a point, as `point` makes it


def unit(dtype: np.dtype[Any]) -> float:
    """Give the relative spacing of a floating or complex dtype, but never less than that of the floats of Python."""
    return max(float(np.finfo(dtype).eps), 2.0**-52)


def pointwise(structure: Structure, vector: NDArray[Any], imaginary: bool = False) -> Plan:
    """Plan for x whose entries are points, each on its own; f gets one number.

    Parameters
    ----------
    structure, vector
        x, a number or an array, and its flat form.
    imaginary : bool
        For complex x: the coordinate is the imaginary part, and the real one stays.
    """
    (leaf,) = structure.leaves
    dtype, count = vector.dtype, structure.size
    if dtype.kind == "c":
        fixed = (vector.real if imaginary else 1j * vector.imag).astype(dtype)
        turn, starts = 1j if imaginary else 1.0, vector.imag if imaginary else vector.real
    else:
        fixed, turn, starts = np.zeros(0), 1.0, vector
    centres = starts.astype(np.float64)
    rest = starts - centres if dtype.itemsize > 8 and dtype.kind == "f" else None
    plain: list[Any] = fixed.tolist()
    cast: Callable[[Any], Any] = (complex if dtype.kind == "c" else float) if leaf.python else dtype.type
    wide = np.result_type(dtype, np.complex64).type

    def point(element: int, coordinate: complex) -> Any:
        if plain:
            return cast(plain[element] + turn * coordinate)
        if type(coordinate) is complex:
            return coordinate if leaf.python else wide(coordinate)
        return cast(coordinate) if rest is None else cast(coordinate) + rest[element]

    def stack(elements: NDArray[Any], coordinates: NDArray[Any]) -> Any:
        if plain:
            return (fixed[elements] + turn * coordinates).astype(dtype)
        rows = coordinates.astype(wide if coordinates.dtype.kind == "c" else dtype)
        return rows if rest is None else rows + rest[elements]

    units = [unit(dtype)] * count
    rows = not plain and rest is None and not leaf.python
    return Plan(centres.tolist(), units, False, point, stack, dtype.itemsize, structure.name, rows)


def both_axes(real: Plan, imaginary: Plan) -> Plan:
    """Plan for complex x: first every point along the real axis, then every one along the imaginary axis."""
    count = len(real.starts)

    def point(element: int, coordinate: complex) -> Any:
        return real.point(element, coordinate) if element < count else imaginary.point(element - count, coordinate)

    def stack(elements: NDArray[Any], coordinates: NDArray[Any]) -> Any:
        first = elements < count
        rows = real.stack(np.where(first, elements, 0), coordinates)
        return np.where(first, rows, imaginary.stack(np.where(first, 0, elements - count), coordinates))

    def name(element: int) -> str:
        return real.name(element % count)

    starts, units = [*real.starts, *imaginary.starts], [*real.units, *imaginary.units]
    return Plan(starts, units, False, point, stack, real.row_bytes, name)


def coordinatewise(structure: Structure, vector: NDArray[Any], places: Sequence[int] | None = None) -> Plan:
    """Plan for x one entry of which moves, while all others stay.

    Parameters
    ----------
    structure, vector
        x and its flat form.
    places : sequence of int, optional
        The entries that move. Default: all.
    """
    chosen = np.arange(structure.size) if places is None else np.asarray(places)
    targets: list[int] = chosen.tolist()
    centres = vector.astype(np.float64)
    rest = vector - centres if vector.dtype.itemsize > 8 else None
    (*_, last) = structure.leaves
    reshaped = last.shape if structure.kind == "array" and len(last.shape) != 1 else None
    flat = structure.kind == "array"

    def point(element: int, coordinate: complex) -> Any:
        place = targets[element]
        moved = vector.astype(np.result_type(vector, 1j)) if type(coordinate) is complex else vector.copy()
        moved[place] = coordinate
        if rest is not None:
            moved[place] += rest[place]
        if flat:
            return moved if reshaped is None else moved.reshape(reshaped)
        return structure.unflatten(moved)

    def stack(elements: NDArray[Any], coordinates: NDArray[Any]) -> Any:
        moving = chosen[elements]
        dtype = vector.dtype if coordinates.dtype.kind == "f" else np.result_type(vector, 1j)
        block = np.empty((moving.size, vector.size), dtype)
        block[:] = vector
        block[np.arange(moving.size), moving] = coordinates if rest is None else coordinates + rest[moving]
        return block if flat and reshaped is None else structure.unflatten(block)

    units = np.empty(structure.size)
    for leaf in structure.leaves:
        units[leaf.slice] = unit(leaf.dtype)
    return Plan(
        centres[chosen].tolist(),
        units[chosen].tolist(),
        True,
        point,
        stack,
        vector.nbytes,
        lambda element: structure.name(targets[element]),
        flat and reshaped is None,
    )


def pairwise(
    structure: Structure,
    vector: NDArray[Any],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    steps: NDArray[np.float64],
) -> Plan:
    """Plan for x two entries of which move together; its elements are the pairs of them.

    The coordinate s of a pair (i, j) means x with x[i] + s steps[i] and x[j] + s steps[j], rounded as the points are
    in which one of them moves alone: what the rounding of x adds to f is then the same there, and cancels.

    Parameters
    ----------
    structure, vector
        x and its flat form.
    first, second : arrays of int
        The entries i and j of every pair.
    steps : array
        For each entry of x.
    """
    starts = vector.astype(np.float64)
    rest = vector - starts if vector.dtype.itemsize > 8 else None
    flat = structure.kind == "array"
    reshaped = structure.leaves[0].shape if flat and len(structure.leaves[0].shape) != 1 else None
    moving = [(places, starts[places], steps[places]) for places in (first, second)]

    def point(pair: int, scale: Any) -> Any:
        moved = vector.copy()
        for places, start, width in moving:
            moved[places[pair]] = start[pair] + scale * width[pair]
            if rest is not None:
                moved[places[pair]] += rest[places[pair]]
        if flat:
            return moved if reshaped is None else moved.reshape(reshaped)
        return structure.unflatten(moved)

    def stack(pairs: NDArray[Any], scales: NDArray[Any]) -> Any:
        block = np.empty((pairs.size, vector.size), vector.dtype)
        block[:] = vector
        rows = np.arange(pairs.size)
        for places, start, width in moving:
            moved, at = start[pairs] + scales * width[pairs], places[pairs]
            block[rows, at] = moved if rest is None else moved + rest[at]
        return block if flat and reshaped is None else structure.unflatten(block)

    def name(pair: int) -> str:
        return f"the share of the steps of {structure.name(int(first[pair]))} and {structure.name(int(second[pair]))}"

    count = first.size
    units, rows = [unit(vector.dtype)] * count, flat and reshaped is None
    return Plan([0.0] * count, units, True, point, stack, vector.nbytes, name, rows)


def together(structure: Structure, vector: NDArray[Any], places: Sequence[int]) -> Plan:
    """Plan for x some entries of which move at once: one element, whose coordinate is a tuple of them.

    Parameters
    ----------
    structure, vector
        x and its flat form.
    places : sequence of int
        The entries that move, in the order of the tuple.
    """
    moving = np.asarray(places)
    centres = vector[moving].astype(np.float64)
    rest = vector[moving] - centres

    def point(_: int, coordinate: tuple[float, ...]) -> Any:
        moved = vector.copy()
        moved[moving] = coordinate + rest
        return structure.unflatten(moved)

    def stack(_: NDArray[Any], coordinates: NDArray[Any]) -> Any:
        block = np.empty((len(coordinates), vector.size), vector.dtype)
        block[:] = vector
        block[:, moving] = coordinates + rest
        return structure.unflatten(block)

    units = [max(unit(leaf.dtype) for leaf in structure.leaves)]
    names = ", ".join(map(structure.name, places))
    return Plan([tuple(centres.tolist())], units, True, point, stack, vector.nbytes, lambda _: names)


def along(structure: Structure, vector: NDArray[Any], direction: NDArray[Any], nearer: float = 1.0) -> Plan:
    """Plan for x that moves along a direction: one element, whose coordinate t means x + (t - start)·direction.

    The start is a power of 2 near max |x| / max |direction| over the entries that move (max |x| read as 1 where it is
    0). So the coordinate carries what a method learns from the size of x: the scale to begin with, and how much the
    rounding of the argument costs. `nearer`, a power of 2, makes it smaller: the first steps are as much shorter, and
    the rounding of the argument is taken for as much less.
    """
    moving = direction != 0
    largest = float(np.abs(vector[moving]).max()) or 1.0
    exponent = math.frexp(largest)[1] - math.frexp(float(np.abs(direction).max()))[1]
    start = math.ldexp(nearer, min(max(exponent, -1000), 1000))
    leaves = {leaf.dtype for leaf in structure.leaves}

    def point(_: int, coordinate: complex) -> Any:
        moved = vector + (coordinate - start) * direction
        return structure.unflatten(moved.astype(_precise(vector, moved)))

    def stack(_: NDArray[Any], coordinates: NDArray[Any]) -> Any:
        block = vector + (coordinates - start)[:, None] * direction
        return structure.unflatten(block.astype(_precise(vector, block)))

    units = [max(map(unit, leaves))]
    return Plan([start], units, True, point, stack, vector.nbytes, lambda _: "t")


def _precise(vector: NDArray[Any], moved: NDArray[Any]) -> np.dtype[Any]:
    """Give the dtype of x, or the complex one of its precision."""
    return np.result_type(vector, 1j) if moved.dtype.kind == "c" else vector.dtype
