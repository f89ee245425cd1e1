"""Looks for wrong elements of a large claim: random directions first, and where they fail, bisection.

All columns are tested together. Where that cannot show what is tolerated, because noise along a long direction hides it
or large entries of one parameter hide the small ones of another, parts are tested by themselves. Columns that bisection
has found wrong are set apart, and new directions are drawn for the rest, until they show nothing more.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mibun.checker.bisection import Bisection
from mibun.checker.directions import Directions, Test
from mibun.checker.examine import Examination
from mibun.checker.kinds import Kind, kinds_of, mended
from mibun.checker.numeric import Spent

__all__ = ["CHANCE", "Search"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: Directions that a part has to pass: at least, at most.
FEWEST: Final = 2
MOST: Final = 3
#: The chance of having missed a mistake that is small enough for fewer directions.
CHANCE: Final = 1e-4
#: Wrong columns that are looked at before the search gives up, and those after which one kind of mistake is tried.
FOUND: Final = 24
PAUSES: Final = (3, 6, 12, 24)
#: Evaluations of a search without a budget, of those the most to see more in parts than in all columns together; of one
#: column, and of one direction where there is noise.
LIMIT: Final = 6000
PARTS: Final = 2000
COLUMN: Final = 12
DIRECTION: Final = 20
#: A part is split into some more parts than it seems to need.
MARGIN: Final = 1.5


class Search:
    """Look for wrong elements.

    Attributes
    ----------
    passed : list of tuple
        Columns, and the tests that they passed; all but those that were looked at one by one, where it did not end.
    looked : list of int
        The columns that were looked at one by one.
    blurred : list of Test
        Those of `passed` that decide nothing, for the doubt is too large.
    ended : str
        Why the search stopped before all was clear; empty if it did not.
    explained : list of Kind
        The kinds of mistake that explain all that was seen, where they ended the search.
    """

    def __init__(self, examination: Examination, directions: Directions) -> None:
        self.examination, self.directions = examination, directions
        self.claim, self.numeric = examination.claim, examination.numeric
        self.passed: list[tuple[Places, list[Test]]] = []
        self.blurred: list[Test] = []
        self.queue: list[Places] = []
        self.looked: list[int] = []
        self.ended = ""
        self.explained: list[Kind] = []
        self.found = self.paused = 0

    def run(self) -> None:
        """Search until all is clear, or until there is no end to it."""
        try:
            self._look(np.flatnonzero(~self._finite())[:FOUND])
            self._survey(self.active())
            if self.ended and not self.explained and self._affordable(COLUMN * self.active().size):
                self._look(self.active())
                self.ended, self.passed, self.blurred = "", [], []
        except Spent:
            self.ended = "the budget ended"

    def active(self) -> Places:
        """Give the columns that were not looked at one by one."""
        return np.setdiff1d(np.flatnonzero(self._finite()), self.looked)

    def _finite(self) -> NDArray[np.bool_]:
        """Tell which columns have finite entries."""
        sums = np.asarray(abs(self.claim.matrix).sum(axis=0)).reshape(-1)
        return np.asarray(np.isfinite(sums))

    def _survey(self, columns: Places) -> None:
        """Test columns together; where that is not enough, split them as often as seems to be needed."""
        self.queue = [columns]
        while self.queue and not self._watch():
            part = self.queue.pop(0)
            tests = self._clear(part)
            part = np.setdiff1d(part, self.looked)  # what was looked at on the way has passed no test
            if not tests or not part.size:
                continue
            hidden = self._hidden(part, tests)
            count = self._parts(part, tests) if hidden.size == part.size else 1
            if count > 1:
                self.queue += np.array_split(part, count)
                continue
            if 0 < hidden.size < part.size and part.size == columns.size:
                self.queue.append(hidden)  # parameters of small entries, which others hide
                part = np.setdiff1d(part, hidden)
            self.passed.append((part, tests))
            if not any(test.resolved.all() for test in tests):
                self.blurred.append(min(tests, key=lambda test: float(test.doubt.max())))

    def _clear(self, columns: Places) -> list[Test]:
        """Test columns until a few directions in a row pass; look at those that do not; give the tests."""
        tests: list[Test] = []
        while columns.size and not self.ended:
            if len(tests) >= MOST or (len(tests) >= FEWEST and self._chance(columns, tests) <= CHANCE):
                break
            test = self.directions.test(columns, self.directions.drawn(columns))
            if test.suspicious and Bisection(self.directions, self._look, self._watch).run(test):
                columns, tests = np.setdiff1d(columns, self.looked), []
            elif test.differs:
                # many small deviations, none of which is a mistake: as much is expected from now on
                tests = [self.directions.tolerate(each) for each in (*tests, test)]
            elif not test.splits.any():
                tests.append(test)
            elif columns.size == 1:
                self._look(columns)
                return []
            else:  # f has a kink or the like in some of the columns
                self.queue[:0] = self.directions.halves(columns)
                return []
        return tests if columns.size and not self.ended else []

    def _chance(self, columns: Places, tests: list[Test]) -> float:
        touched = np.unique(self.claim.parameter(columns))
        return float(self.directions.chances(tests)[:, touched].max())

    def _hidden(self, columns: Places, tests: list[Test]) -> Places:
        """Give the columns of parameters in which a mistake that is not tolerated could hide."""
        hidden = np.flatnonzero((self.directions.chances(tests) > CHANCE).any(axis=0))
        return columns[np.isin(self.claim.parameter(columns), hidden)]

    def _parts(self, columns: Places, tests: list[Test]) -> int:
        """Say into how many parts to split columns in which noise hides a mistake; 1 where that does not help.

        Noise along a direction falls like the root of its length at least, but by how much shows only a trial.
        """
        best = np.min([test.threshold for test in tests], axis=0)
        spare = PARTS if self.numeric.left is None else min(PARTS, self.numeric.left)
        most = min(columns.size, spare // (FEWEST * DIRECTION))
        for wanted in (self.directions.tolerance, self.directions.coarse):
            ratio = self._ratio(columns, best, wanted)
            if ratio <= 1.0:
                return 1
            count = min(math.ceil(MARGIN * ratio**2), most) if ratio < most else most
            if count > 1:
                part = np.array_split(columns, count)[0]
                test = self.directions.test(part, self.directions.drawn(part))
                if self._ratio(part, test.doubt, wanted) <= 1.0:
                    return count
        return 1

    def _ratio(self, columns: Places, doubt: Floats, wanted: Floats) -> float:
        """Say how many times larger a mistake must be to be seen for sure than is wanted."""
        wanted = wanted[:, np.unique(self.claim.parameter(columns))]
        with np.errstate(all="ignore"):
            return float(np.where(wanted > 0, 4 * doubt[:, None] / wanted, 0.0).max())

    def _look(self, columns: Places) -> int:
        """Differentiate columns one by one; tell how many have mistakes."""
        before = self.found
        for column in columns.tolist():
            self.found += self.examination.learn(self.numeric.column(column), np.array([column]))
            self.looked.append(column)
        return self.found - before

    def _watch(self) -> bool:
        """Tell whether to end: there are too many mistakes, or one kind of mistake explains them all."""
        if self.found in PAUSES and self.paused < self.found:
            self.paused = self.found
            self._explain()
        if not self.ended and self.found >= FOUND:
            self.ended = f"the search ended after {self.found} columns with mistakes"
        if not self.ended and not self._affordable(0):
            self.ended = f"the search ended after {self.numeric.evaluations:,} evaluations"
        return bool(self.ended)

    def _explain(self) -> None:
        """Look for kinds of mistake without which the claim agrees with all directions that were tried."""
        kinds = [kind for kind in kinds_of(self.examination) if kind.mended is not None]
        if not kinds:
            return
        matrix = mended(self.claim, kinds)
        if matrix is None:
            return
        for test in self.directions.tests:
            with np.errstate(all="ignore"):
                gap = np.abs(test.value - matrix[:, test.columns] @ test.way[test.columns])
            if not (gap <= np.where(np.isfinite(test.doubt), test.threshold, np.inf)).all():
                return
        self.explained, self.ended = kinds, "explained"

    def _affordable(self, more: int) -> bool:
        """Tell whether more evaluations may be used without being asked for."""
        if self.numeric.left is not None:
            return more <= self.numeric.left
        return self.numeric.evaluations + more <= LIMIT
