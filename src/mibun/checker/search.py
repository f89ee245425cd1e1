"""Looks for wrong elements of a large claim: random directions first, and where they fail, bisection.

All columns are tested together. Where that cannot show what is tolerated, because noise along a long direction hides it
or large entries of one parameter hide the small ones of another, parts are tested by themselves. Columns that bisection
has found wrong are set apart, and new directions are drawn for the rest, until they show nothing more.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.checker.bisection import ROWS, Bisection
from mibun.checker.closer import looked_closer, shortest
from mibun.checker.directions import CHANCE, Directions, Test
from mibun.checker.examine import Examination
from mibun.checker.kinds import Kind, everywhere, kinds_of, mended
from mibun.checker.numeric import Spent
from mibun.checker.secondlook import learn
from mibun.checker.verdict import UNDECIDED
from mibun.status import PASSING

__all__ = ["Search"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: Directions that a part has to pass: at least, and at most where one more does not make the chance small enough.
FEWEST: Final = 2
MOST: Final = 3
#: Wrong columns that are looked at before the search gives up, and those after which one kind of mistake is tried.
FOUND: Final = 24
PAUSES: Final = (3, 6, 12, 24)
#: Evaluations of a search without a budget, of those the most to see more in parts than in all columns together; of one
#: column in few rows or in many, each with points of its own, and of one direction where there is noise.
LIMIT: Final = 9000
PARTS: Final = 2000
COLUMN: Final = 24
COLUMN_OF_MANY: Final = 120
DIRECTION: Final = 20
#: What has to be seen where f has kinks, as part of the largest entry: it is found close to x, with few digits.
FINE: Final = 1e-5
#: A part is split into some more parts than it seems to need.
MARGIN: Final = 1.5


class Search:
    """Look for wrong elements.

    Attributes
    ----------
    passed : list of tuple
        Columns, and the tests that they passed, when what was found had been put in the place of what is claimed.
    aside : list of int
        Columns about which directions tell nothing; all their rows were looked at.
    blurred : list of Test
        Those of `passed` that decide nothing, for the doubt is too large.
    ended : str
        Why the search stopped before all was clear; empty if it did not.
    refuted : Test, optional
        A direction along which the claim is wrong, where noise lets no single element be called so.
    explained : list of Kind
        The kinds of mistake that explain all that was seen, where they ended the search.
    """

    def __init__(self, examination: Examination, directions: Directions) -> None:
        self.examination, self.directions = examination, directions
        self.claim, self.numeric = examination.claim, examination.numeric
        self.passed: list[tuple[Places, list[Test]]] = []
        self.blurred: list[Test] = []
        self.queue: list[Places] = []
        self.aside: list[int] = []
        self.ended, self.exhausted = "", False
        self.explained: list[Kind] = []
        self.refuted: Test | None = None
        self.found = self.paused = 0

    def run(self) -> None:
        """Search until all is clear, or until there is no end to it."""
        try:
            self._look(np.flatnonzero(~self._finite())[:FOUND], self.numeric.rows)
            self._survey()
            left = self.active()
            # the rows that seem wrong are seldom more than some; that the others are right directions show
            wrong = np.flatnonzero(np.any([test.off > 1.0 for test in self.directions.tests], axis=0))
            cost = left.size * (COLUMN if wrong.size <= ROWS else COLUMN_OF_MANY)
            if self.ended and not self.explained and self._affordable(cost):
                self._look(left, wrong)
                self.ended, self.exhausted = "", True
                self._survey()
            self._refute()
        except Spent:
            self.ended = "the budget ended"

    def _refute(self) -> None:
        """See in a second direction what elements by themselves are too noisy for."""
        if self.found or self.numeric.random:
            return
        known, verdict = self.examination.known, self.examination.verdict
        for test in self.directions.tests:
            inside = np.isin(known.columns, test.columns)
            others = np.setdiff1d(test.columns, self.aside)
            unclear = inside.any() and (verdict[inside] == UNDECIDED).all()
            if unclear and others.size and self.directions.refutes(test):
                self.directions.diffuse[:] = 0.0  # what was tolerated is in question
                again = self.directions.test(others, self.directions.drawn(others))
                self.refuted = again if self.directions.refutes(again) else None
                return

    def active(self) -> Places:
        """Give the columns about which directions can tell something."""
        return np.setdiff1d(np.flatnonzero(self._finite()), self.aside)

    def _finite(self) -> NDArray[np.bool_]:
        """Tell which columns have finite entries."""
        sums = np.asarray(abs(self.claim.matrix).sum(axis=0)).reshape(-1)
        return np.asarray(np.isfinite(sums))

    def _survey(self) -> None:
        """Test columns together; where that is not enough, split them as often as seems to be needed."""
        columns = self.active()
        self.queue, self.passed, self.blurred = [columns], [], []
        while self.queue and not self._watch():
            part = self.queue.pop(0)
            tests = self._clear(part)
            part = np.setdiff1d(part, self.aside)
            if not tests or not part.size:
                continue
            hidden, whole = self._hidden(part, tests), part.size == columns.size
            small = hidden[self.directions.small[self.claim.parameter(hidden)]]
            if 0 < small.size < part.size:
                self.queue.append(small)  # parameters that others hide, and that may vanish
                part, hidden = np.setdiff1d(part, small), np.setdiff1d(hidden, small)
            count = self._parts(part, tests) if hidden.size == part.size else 1
            if count > 1:
                self.queue += np.array_split(part, count)
                continue
            if 0 < hidden.size < part.size and whole:
                self.queue.append(hidden)  # parameters of small entries
                part = np.setdiff1d(part, hidden)
            self.passed.append((part, tests))
            if not any(test.resolved.all() for test in tests):
                self.blurred.append(min(tests, key=lambda test: float(test.doubt.max())))

    def _clear(self, columns: Places) -> list[Test]:
        """Test columns until a few directions in a row pass; look at those that do not; give the tests."""
        tests: list[Test] = []
        if columns.size == 1:  # as many evaluations as a direction takes say more
            self._look(columns, self.numeric.rows)
            self.aside += np.setdiff1d(columns, self.aside).tolist()
            return []
        while columns.size and not self.ended:
            count, chance = len(tests), self._chance(columns, tests)
            if count >= FEWEST and (chance <= CHANCE or (count >= MOST and chance ** (1 + 1 / count) > CHANCE)):
                break
            test = self.directions.test(columns, self.directions.drawn(columns))
            if test.suspicious and Bisection(self.directions, self._look, self._watch).run(test):
                columns, tests = np.setdiff1d(columns, self.aside), []
            elif test.splits.any():  # f has a kink or the like in some of the columns
                if self.directions.likely(columns) and self._affordable(COLUMN * columns.size):
                    self._look(columns, np.flatnonzero(test.splits))
                else:
                    self.queue[:0] = self.directions.apart(columns)
                return []
            elif test.differs:
                # many small deviations, none of which is a mistake: as much is expected from now on
                tests = [self.directions.tolerate(each) for each in (*tests, test)]
            else:
                tests.append(test)
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
        finest = np.maximum(self.directions.tolerance, FINE * self.directions.scale if self.directions.kinky else 0.0)
        for wanted in (finest, self.directions.coarse):
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
        part = np.ix_(self.numeric.rows, np.unique(self.claim.parameter(columns)))
        wanted, counts = wanted[part], self.directions.flat[part] == 0
        with np.errstate(all="ignore"):
            return float(np.where(counts & (wanted > 0), 4 * doubt[self.numeric.rows, None] / wanted, 0.0).max())

    def _look(self, columns: Places, rows: Places) -> int:
        """Differentiate some rows of columns one by one; tell how many columns have mistakes.

        Where that gives no number, or explains nothing that directions show, a column is set aside, all its rows seen.
        """
        before, known = self.found, self.examination.known
        for column in columns.tolist():
            new = np.setdiff1d(rows, known.rows[known.columns == column])
            if new.size:
                self._learn(column, new)
                known = self.examination.known
                mine = known.columns == column
                if np.isfinite(known.error[mine]).all() and (known.codes[mine] < PASSING).all():
                    continue
            rest = np.setdiff1d(self.numeric.rows, known.rows[known.columns == column])
            if rest.size:
                self._learn(column, rest)
                known = self.examination.known
            self.aside.append(column)
        self.directions.amend(known, self.examination.given)
        return self.found - before

    def _learn(self, column: int, rows: Places) -> None:
        numeric, place = self.numeric, np.array([column])
        if self.directions.kinky:
            axis = numeric.axis(column)
            measured = looked_closer(numeric, axis, rows, shortest(numeric, axis))
        else:
            measured = numeric.column(column, rows)
        self.found += learn(self.examination, measured, place, rows)

    def _watch(self) -> bool:
        """Tell whether to end: there are too many mistakes, or one kind of mistake explains them all."""
        if self.found in PAUSES and self.paused < self.found:
            self.paused = self.found
            self._explain()
        if self.numeric.random:
            self.ended = "f is not the same twice at x"
        if not self.ended and self.found >= FOUND and not self.exhausted:
            self.ended = f"the search ended after {self.found} columns with mistakes"
        if not self.ended and not self._affordable(0):
            self.ended = f"the search ended after {self.numeric.evaluations:,} evaluations"
        return bool(self.ended)

    def _explain(self) -> None:
        """Look for kinds of mistake without which the claim agrees with all directions that were tried."""
        found = [kind for kind in kinds_of(self.examination) if kind.mended is not None]
        for kinds in (found, everywhere(found, self.claim)):
            matrix = mended(self.claim, kinds) if kinds else None
            if matrix is not None and all(self._agrees(test, matrix) for test in self.directions.tests):
                self.explained, self.ended = kinds, "explained"
                return

    def _agrees(self, test: Test, matrix: Any) -> bool:
        """Tell whether another claim would have passed a test."""
        with np.errstate(all="ignore"):
            gap = np.abs(test.value - matrix[:, test.columns] @ test.way[test.columns])
        enough = np.maximum(test.threshold, test.tolerance / 4)
        return bool((gap <= np.where(np.isfinite(test.doubt), enough, np.inf)).all())

    def _affordable(self, more: int) -> bool:
        """Tell whether more evaluations may be used without being asked for."""
        if self.numeric.left is not None:
            return more <= self.numeric.left
        return self.numeric.evaluations + more <= LIMIT
