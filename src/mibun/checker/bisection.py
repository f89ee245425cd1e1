"""Finds the columns that make a direction fail.

A direction is halved, and the derivative along one half is found; that along the other half is the difference, since
both sides are linear in the direction. So every wrong column costs about log2(n) directional derivatives, which need no
more digits than tell one half from the other. Where f has a kink or the like, both halves are tested afresh, until what
is left is a single column.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mibun.checker.directions import Directions, Test

__all__ = ["ROWS", "Bisection"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: A half is told from the other one by its derivative to this part of the gap of both.
TELLING: Final = 1 / 32
#: A difference of which this part is doubt is measured instead.
DOUBTFUL: Final = 1 / 4
#: Rows that are followed up together, the most suspicious: each has a conversation of its own.
ROWS: Final = 8
#: Columns without a mistake that are looked at before the deviations are taken for many small ones.
VAIN: Final = 4


@dataclass(order=True)
class _Block:
    """Columns that seem to hold a mistake, the most suspicious first; `gap` is None where nothing is known."""

    priority: float
    number: int
    columns: Places = field(compare=False)
    way: Floats = field(compare=False)
    gap: Floats | None = field(compare=False)
    doubt: Floats = field(compare=False)


class Bisection:
    """Follow up a direction that does not pass.

    Parameters
    ----------
    directions : Directions
    look : callable
        Differentiates some rows of columns one by one, and tells how many columns have mistakes.
    ends : callable
        Tells whether to end; asked after each step.
    """

    def __init__(self, directions: Directions, look: Callable[[Places, Places], int], ends: Callable[[], bool]) -> None:
        self.directions, self.look, self.ends = directions, look, ends
        self.heap: list[_Block] = []
        self.made = 0

    def run(self, test: Test) -> bool:
        """Follow it up; tell whether columns were looked at that can explain it."""
        self.rows = np.sort(np.argsort(-np.where(test.splits, np.inf, test.off), kind="stable")[:ROWS])
        self._push(test.columns, test.way, test)
        explained, vain = False, 0
        while self.heap and not self.ends() and vain < VAIN:
            block = heapq.heappop(self.heap)
            if block.columns.size == 1:
                wrong = self.look(block.columns, self.rows) > 0
                explained |= wrong or block.gap is None
                vain += not wrong and block.gap is not None
            elif block.gap is None:
                for columns in self.directions.halves(block.columns):
                    self._measure(columns, block.way, float(block.doubt[self.rows].max()) or 1.0)
            else:
                self._halve(block, block.gap)
        return explained

    def _halve(self, block: _Block, gap: Floats) -> None:
        """Test the first half; the second is what is left."""
        first, second = self.directions.halves(block.columns)
        suspicious = np.flatnonzero(np.abs(gap) > block.doubt)
        atol = float(np.abs(gap[suspicious]).min()) * TELLING
        test = self._measure(first, block.way, atol)
        with np.errstate(invalid="ignore"):
            rest, doubt = gap - test.gap, block.doubt + test.doubt
            left = np.abs(rest) > doubt
        known = np.isfinite(doubt[self.rows]).all()
        if not known or (doubt[left] > DOUBTFUL * np.abs(rest[left])).any():
            self._measure(second, block.way, atol)
        elif left.any():
            self._keep(second, _only(block.way, second), rest, doubt)

    def _measure(self, columns: Places, way: Floats, atol: float) -> Test:
        test = self.directions.roughly(columns, _only(way, columns), self.rows, atol)
        self._push(columns, test.way, test)
        return test

    def _push(self, columns: Places, way: Floats, test: Test) -> None:
        """Keep a part that has to be followed up."""
        if test.suspicious:
            self._keep(
                columns, way, test.gap, np.where(np.isin(np.arange(test.gap.size), self.rows), test.doubt, np.inf)
            )
        elif test.splits.any():
            self.made += 1
            heapq.heappush(self.heap, _Block(0.0, self.made, columns, way, None, test.doubt))

    def _keep(self, columns: Places, way: Floats, gap: Floats, doubt: Floats) -> None:
        self.made += 1
        with np.errstate(all="ignore"):
            off = np.nan_to_num(np.abs(gap) / doubt, nan=0.0, posinf=np.finfo(float).max)
        heapq.heappush(self.heap, _Block(-float(off.max()), self.made, columns, way, gap, doubt))


def _only(way: Floats, columns: Places) -> Floats:
    """Give the part of a direction that moves some columns alone."""
    part = np.zeros_like(way)
    part[columns] = way[columns]
    return part
