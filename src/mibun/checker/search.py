"""Finds the wrong elements of a large claim: random directions first, and where they fail, bisection.

A direction is halved, and the derivative along one half is found; that along the other half is the difference, since
both sides are linear in the direction. So every wrong element costs about log2(n) directional derivatives, which need
no more digits than tell one half from the other. What was found is set apart, and new directions are drawn for the
rest, until they show nothing more.
"""

import heapq
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mibun.checker.directions import Directions, Test
from mibun.checker.examine import Examination
from mibun.checker.kinds import Kind, kinds_of, mended
from mibun.checker.numeric import Spent
from mibun.checker.verdict import WRONG

__all__ = ["Search"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: Directions that a claim has to pass: at least, at most.
FEWEST: Final = 2
MOST: Final = 3
#: The chance of having missed a mistake that is small enough for fewer directions.
CHANCE: Final = 1e-4
#: A half is told from another one by its derivative to this part of the gap of both.
TELLING: Final = 1 / 32
#: Columns that are looked at one by one before the search gives up: wrong ones, and ones that turn out right.
FOUND: Final = 24
VAIN: Final = 12
#: Numbers of wrong columns after which a kind of mistake is looked for that explains them all.
PAUSES: Final = (3, 6, 12, 24)
#: Evaluations of a search without a budget; of one column.
LIMIT: Final = 4000
COLUMN: Final = 12


@dataclass(order=True)
class _Block:
    """Columns that seem to hold a mistake, the most suspicious first."""

    priority: float
    number: int
    columns: Places = field(compare=False)
    way: Floats = field(compare=False)
    gap: Floats | None = field(compare=False)  #: None: not known, for f has a kink or the like there
    doubt: Floats = field(compare=False)


class Search:
    """Look for wrong elements.

    Attributes
    ----------
    tests : list of Test
        The last directions, which all columns but those that were looked at one by one have passed.
    ended : str
        Why the search stopped before all was clear; empty if it did not.
    explained : list of Kind
        The kinds of mistake that explain all that was seen, where they ended the search.
    """

    def __init__(self, examination: Examination, directions: Directions) -> None:
        self.examination, self.directions = examination, directions
        self.numeric = examination.numeric
        self.tests: list[Test] = []
        self.ended = ""
        self.explained: list[Kind] = []
        self.looked: list[int] = []
        self.vain = self.paused = 0

    def run(self) -> None:
        """Search until all is clear, or until there is no end to it."""
        try:
            self._look(np.flatnonzero(~np.isfinite(self._sums()))[:FOUND])
            while not self.ended:
                active = self.active()
                trouble = self._trouble(active)
                if trouble is None:
                    return
                self._descend(trouble)
            if not self.explained and self.ended and self._affordable():
                self._look(self.active())
                self.ended, self.tests = "", []
        except Spent:
            self.ended = "the budget ended"

    def _sums(self) -> Floats:
        """Give a number for each column that is not finite where an entry is not."""
        matrix = self.examination.claim.matrix
        return np.asarray(abs(matrix).sum(axis=0)).reshape(-1)

    def active(self) -> Places:
        """Give the columns that were not looked at one by one."""
        finite = np.asarray(np.isfinite(self._sums()))
        finite[self.looked] = False
        return np.flatnonzero(finite)

    def _trouble(self, active: Places) -> Test | None:
        """Draw directions until one shows something, or until nothing can be expected any more."""
        self.tests = []
        rest = active
        while rest.size:
            tests: list[Test] = []
            while len(tests) < FEWEST or (len(tests) < MOST and self._chance(tests, rest) > CHANCE):
                test = self.directions.test(rest, self.directions.drawn(rest))
                if not test.passes:
                    return test
                tests.append(test)
            self.tests += tests
            # parameters of small entries, which the others hide, get directions of their own
            hidden = (self.directions.chances(self.tests) > CHANCE).any(axis=0)
            part = rest[hidden[self.examination.claim.parameter(rest)]]
            rest = part if part.size < rest.size else rest[:0]
        return None

    def _chance(self, tests: list[Test], columns: Places) -> float:
        touched = np.unique(self.examination.claim.parameter(columns))
        return float(self.directions.chances(tests)[:, touched].max())

    def _descend(self, trouble: Test) -> None:
        """Halve until single columns are left, the most suspicious part first."""
        heap: list[_Block] = []
        self._push(heap, trouble.columns, trouble.way, trouble.gap, trouble.doubt, trouble)
        while heap and not self.ended:
            block = heapq.heappop(heap)
            if block.columns.size == 1:
                self._look(block.columns)
            elif block.gap is None:
                for columns in self._halves(block.columns):
                    test = self.directions.test(columns, _only(block.way, columns))
                    self._push(heap, columns, test.way, test.gap, test.doubt, test)
            else:
                self._halve(heap, block)
            self._watch()

    def _halve(self, heap: list[_Block], block: _Block) -> None:
        """Test the first half; the second is what is left."""
        assert block.gap is not None  # noqa: S101 (asked only then)
        first, second = self._halves(block.columns)
        way = _only(block.way, first)
        if first.size == 1:
            gap, doubt = self._look(first, way)
            finite = np.isfinite(gap)
            gap, doubt = np.where(finite, gap, 0.0), np.where(finite, doubt, 0.0)
        else:
            flagged: NDArray[np.bool_] = np.abs(block.gap) > block.doubt
            atol = float(np.abs(block.gap[flagged]).min()) * TELLING
            test = self.directions.test(first, way, atol)
            self._push(heap, first, way, test.gap, test.doubt, test)
            gap, doubt = test.gap, test.doubt
        self._push(heap, second, _only(block.way, second), block.gap - gap, block.doubt + doubt)

    def _push(
        self, heap: list[_Block], columns: Places, way: Floats, gap: Floats, doubt: Floats, test: Test | None = None
    ) -> None:
        """Keep a part that has to be followed up."""
        if test is not None and test.splits.any() and not test.suspicious:
            heapq.heappush(heap, _Block(0.0, len(self.directions.tests) * 2, columns, way, None, doubt))
            return
        with np.errstate(all="ignore"):
            off = np.nan_to_num(np.abs(gap) / doubt, nan=0.0, posinf=1e300)
        if (off > 1.0).any():
            number = len(self.directions.tests) * 2 + 1
            heapq.heappush(heap, _Block(-float(off.max()), number, columns, way, gap, doubt))

    def _halves(self, columns: Places) -> tuple[Places, Places]:
        """Cut between two parameters, as near to the middle as one goes, or else in the middle."""
        parameter = self.examination.claim.parameter(columns)
        cuts = np.flatnonzero(np.diff(parameter)) + 1
        middle = columns.size // 2
        cut = int(cuts[np.argmin(np.abs(cuts - middle))]) if cuts.size else middle
        return columns[:cut], columns[cut:]

    def _look(self, columns: Places, way: Floats | None = None) -> tuple[Floats, Floats]:
        """Differentiate columns one by one; give gap and doubt of the last one along a direction."""
        gap = doubt = np.zeros(0)
        for column in columns.tolist():
            measured = self.numeric.column(column)
            wrong = int((self.examination.verdict == WRONG).sum())
            self.examination.learn(measured, np.array([column]))
            self.looked.append(column)
            self.vain += int((self.examination.verdict == WRONG).sum()) == wrong
            if way is not None:
                claimed = self.examination.claim.at(
                    np.arange(measured.value.size), np.full(measured.value.size, column)
                )
                gap = (measured.value[:, 0] - claimed) * way[column]
                doubt = measured.error[:, 0] * abs(way[column])
        return gap, doubt

    def _watch(self) -> None:
        """End a search that finds too much, or nothing, or all at once."""
        wrong = len(self.looked) - self.vain
        if wrong in PAUSES and self.paused < wrong:
            self.paused = wrong
            self._explain()
        if self.ended:
            return
        if wrong >= FOUND:
            self.ended = f"the search ended after {wrong} wrong columns"
        elif self.vain >= VAIN:
            self.ended = "many small deviations, none of them above the tolerance in the elements that were looked at"
        elif self.numeric.options.budget is None and self.numeric.evaluations > LIMIT:
            self.ended = f"the search ended after {self.numeric.evaluations:,} evaluations"

    def _explain(self) -> None:
        """Look for kinds of mistake without which the claim agrees with all directions that were tried."""
        kinds = [kind for kind in kinds_of(self.examination) if kind.mended is not None]
        if not kinds:
            return
        claim = self.examination.claim
        matrix = mended(claim, kinds)
        for test in self.directions.tests:
            with np.errstate(all="ignore"):
                gap = np.abs(test.value - matrix[:, test.columns] @ test.way[test.columns])
            if not (gap <= np.where(np.isfinite(test.doubt), test.threshold, np.inf)).all():
                return
        self.explained, self.ended = kinds, "explained"

    def _affordable(self) -> bool:
        """Tell whether all columns can be looked at one by one for what a search may cost."""
        left = self.numeric.left
        spare = LIMIT - self.numeric.evaluations if left is None else left
        return COLUMN * self.active().size <= spare


def _only(way: Floats, columns: Places) -> Floats:
    """Give the part of a direction that moves some columns alone."""
    part = np.zeros_like(way)
    part[columns] = way[columns]
    return part
