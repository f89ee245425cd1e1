"""Evaluate a vectorized f: all points of a round in few calls, each with a stack of points that fits the cache."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.evaluate.serial import OUTSIDE, Asked, Faults, Kept, explain, located, shown
from mibun.evaluate.values import NAN, Values
from mibun.plan import Plan

__all__ = ["Vectorized", "first_of", "rows_of_chunk"]

FLOAT64: Final = np.dtype(np.float64)
#: Bytes of one stack of points: it and what f makes of it stay in the second-level cache. Arrays of 128 KB and more are
#: given back to the system by many allocators, and fetched again page by page. Measured: benchmarks/results/chunks.md.
CHUNK_BYTES: Final = 3 * 2**15


def rows_of_chunk(row_bytes: int) -> int:
    """Give the number of points in a call: a function of the size of one alone, so that runs can be repeated.

    A row that is longer than a stack should be goes alone: more rows cost more time than a shared call saves.

    Examples
    --------
    >>> from mibun.evaluate.vectorized import rows_of_chunk
    >>> [rows_of_chunk(size) for size in (8, 8_000, 8_000_000)]
    [12288, 12, 1]
    """
    return max(1, CHUNK_BYTES // row_bytes)


class Vectorized:
    """Evaluate f on stacks of points. A stack is made for each call, so f may write to it and keep it.

    Parameters
    ----------
    f : callable
        From a stack (m, *S) to values (m, *T).
    plan : Plan

    Attributes
    ----------
    kept : list, optional
        As that of `Serial`.
    """

    def __init__(self, f: Callable[[Any], Any], plan: Plan) -> None:
        self.f, self.plan = f, plan
        self.faults = Faults()
        self.halved = 0
        self.kept: Kept | None = None
        self.chunk = rows_of_chunk(plan.row_bytes)
        self.values: Values

    @property
    def remark(self) -> str:
        """Say that chunks were halved: another size can mean other bits."""
        if not self.halved:
            return ""
        calls = "one call" if self.halved == 1 else f"{self.halved} calls"
        return f"f raised in {calls} with several points, which were evaluated again in halves"

    def centres(self, elements: Sequence[int]) -> list[list[float]]:
        """Evaluate f at x; the first value says what shape f has."""
        places = np.array(elements)
        rows: list[list[float]] = self.centre_rows(places, np.array(self.plan.starts)[places]).tolist()
        return rows

    def centre_rows(self, places: NDArray[Any], starts: NDArray[Any]) -> NDArray[Any]:
        """Do the same, and give the rows as one array."""
        rows = []
        for begin in range(0, len(places), self.chunk):
            part = slice(begin, begin + self.chunk)
            count = len(places[part])
            try:
                value = self.f(self.plan.stack(places[part], starts[part]))
            except Exception as reason:  # named and raised again, whatever it is
                x = shown(self.plan.stack(places[part], starts[part]))
                located(reason, f"f raised this in a stack of {count} with x = {x}")
                raise
            if not begin:
                self.values = Values.of(first_of(value, count))
            rows.append(self.values.stacked(value, count).copy())
        return np.concatenate(rows)

    def __call__(self, asked: Asked) -> list[list[Any]]:
        """Evaluate f at (element, coordinate) pairs; a row of values for each."""
        rows: list[list[Any]] = [[]] * len(asked)
        for analytic in (False, True):
            places = [i for i, (_, coordinate) in enumerate(asked) if (type(coordinate) is complex) is analytic]
            if not places:
                continue
            elements = np.array([asked[i][0] for i in places])
            coordinates = np.array([asked[i][1] for i in places])
            for i, row in zip(places, self._round(elements, coordinates).tolist(), strict=True):
                rows[i] = row
            if self.kept is not None:
                self.kept.append((elements, coordinates, np.array([rows[i] for i in places])))
        return rows

    def array(self, elements: NDArray[Any], coordinates: NDArray[Any]) -> NDArray[Any]:
        """Evaluate an f of one real number at many real points."""
        rows = self._round(elements, coordinates) if len(coordinates) else np.empty((0, 1))
        if self.kept is not None:
            self.kept.append((elements, coordinates, rows))
        return rows[:, 0]

    def _round(self, elements: NDArray[Any], coordinates: NDArray[Any]) -> NDArray[Any]:
        """Evaluate the points of a round, all real or all complex."""
        parts = [
            self._chunk(elements[begin : begin + self.chunk], coordinates[begin : begin + self.chunk])
            for begin in range(0, len(coordinates), self.chunk)
        ]
        return np.concatenate(parts)

    def _chunk(self, elements: NDArray[Any], coordinates: NDArray[Any]) -> NDArray[Any]:
        """Evaluate one stack; where f raises, its halves, down to the points that raise by themselves."""
        count, analytic = len(elements), coordinates.dtype.kind == "c"
        try:
            value = self.f(self.plan.stack(elements, coordinates))
        except OUTSIDE as reason:
            if count == 1:
                self.faults.met(int(elements[0]), coordinates[0].tolist(), reason)
                return np.full((1, self.values.size), NAN)
            self.halved += 1
            half = count // 2
            parts = [self._chunk(elements[part], coordinates[part]) for part in (slice(half), slice(half, None))]
            return np.concatenate(parts)
        except Exception as reason:
            explain(reason, self.plan.name(int(elements[0])), coordinates[0].tolist())
            raise
        return self._rows(value, count, analytic)

    def _rows(self, value: Any, count: int, analytic: bool) -> NDArray[Any]:
        """Read what f returned for a stack."""
        # f may write its next values where these are
        if (
            self.values.number
            and type(value) is np.ndarray
            and value.dtype == FLOAT64
            and value.shape == (count,)
            and not analytic
        ):
            return value.reshape(count, 1).copy()
        return self.values.stacked(value, count, analytic).copy()


def first_of(value: Any, count: int, place: int = 0) -> Any:
    """Take the first value, or another one, out of a stack of them."""
    if isinstance(value, dict):
        return {key: first_of(part, count, place) for key, part in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(part, np.ndarray | dict) for part in value):
        parts = [first_of(part, count, place) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if value is None:
        return None
    shape = np.shape(value)
    if not shape or shape[0] != count:
        raise InputError(
            f"f was given a stack of {count} points and returned shape {shape}; with vectorized=True the first axis "
            f"is to count the points: ({count}, ...). Without it f gets one point at a time"
        )
    return np.asarray(value)[place]
