"""Random directions: a few evaluations that tell a right derivative from a wrong one, however long x is.

Along a direction d the derivative of f is J·d, and a claim G is off by (J - G)·d. The entries of d have random signs
and random sizes between 1/2 and 1, in units of the size of x. So whatever the mistakes are, if the largest is E, then
the chance that their sum falls into an interval of width 2r is at most 2r/E: given all others, the share of the largest
is spread evenly over two intervals of length E/2. Two directions that see mistakes of 1e-3 of what is tolerated
overlook a wrong claim with a chance of (2e-3)^2. What rounding in f and in the claim hides, r, is known from the bound.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.checker.claim import CANCELLED, NATURAL
from mibun.checker.closer import looked_closer, shortest, worth
from mibun.checker.known import Known
from mibun.checker.numeric import Measured, Numeric
from mibun.checker.source import Source
from mibun.given import ROOM
from mibun.methods import Central
from mibun.plan import unit
from mibun.status import PASSING, Status

__all__ = ["Directions", "Test"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Mask = NDArray[np.bool_]

#: Rounding of one entry of a right claim, in units of that of floats of its precision; many add up as random ones do.
ROUNDING: Final = 8.0
#: Steps at which noise is this part of a tolerance, inverted.
ENOUGH: Final = 4.0
#: A mistake of one element that is this part of the largest has to be seen, or nothing is decided.
COARSE: Final = 0.1
#: How much larger a random sum may be than its standard deviation.
SPREAD: Final = 4.0
#: Part of the tolerance of an element below which the sum of many deviations is not followed up.
MINOR: Final = 1e-3


class Test(NamedTuple):
    """What one direction says about each row of a claim."""

    columns: Places  #: that the direction moves
    way: Floats
    value: Floats  #: the numeric derivative along it
    gap: Floats  #: value - claim
    doubt: Floats  #: how large the gap of a right claim may be
    threshold: Floats  #: the gap that is noticed
    tolerance: Floats  #: what the tightest tolerance of an element amounts to along the direction; 0 if there is none
    resolved: Mask  #: rows in which the doubt is small beside the parameters
    splits: Mask  #: rows in which part of the columns may be resolved: f has a kink or the like somewhere

    @property
    def off(self) -> Floats:
        """Give the gap in units of the threshold, 0 where nothing is known."""
        with np.errstate(all="ignore"):
            off = np.where(np.isfinite(self.doubt), np.abs(self.gap) / self.threshold, 0.0)
        return np.nan_to_num(off, posinf=np.finfo(float).max)

    @property
    def differs(self) -> bool:
        """Whether a row differs by more than rounding explains."""
        return bool((self.off > 1.0).any())

    @property
    def suspicious(self) -> bool:
        """Whether the difference in a row is as large as that of a wrong element can be."""
        return bool(((self.off > 1.0) & (np.abs(self.gap) > self.tolerance / 4)).any())


class Directions:
    """Draw directions, and compare the claim with f along them.

    Parameters
    ----------
    source, numeric
        The two sides.
    seed : int

    Attributes
    ----------
    tests : list of Test
        All that were made.
    tolerance, scale, coarse : ndarray, (rows, parameters)
        What an element may be off, the largest entry, and what decides nothing, all in units of a direction.
    diffuse : ndarray, (rows,)
        Deviations of single elements that are tolerated, in the same units: they add up as random ones do.
    kinky : bool
        Values close to x told more than others.
    """

    def __init__(self, source: Source, numeric: Numeric, seed: int) -> None:
        self.claim, self.numeric, self.unsteady = source.claim, numeric, source.unsteady
        claim = self.claim
        self.random = np.random.default_rng(seed)
        self.tests: list[Test] = []
        x = numeric.given.vector.astype(np.float64)
        sizes = np.array([_typical(x[leaf.slice]) for leaf in claim.ins.leaves])
        self.weights = sizes[claim.parameter(np.arange(x.size))]
        none, nothing = np.zeros(0, np.intp), np.zeros(0)
        scale = claim.scale(none, none, nothing)
        self.tolerance, self.scale = (claim.atol + claim.rtol * scale) * sizes, scale * sizes
        self.coarse = COARSE * self.scale
        self.diffuse, self.kinky = np.zeros(claim.outs.size), False
        self.amend(Known.nothing(), np.zeros(0))
        room = 2 * ROOM * unit(numeric.given.vector.dtype) * np.maximum(np.abs(x), self.weights)
        #: the sign that leads away from a bound that x stands at
        self.inward = np.where(
            x - numeric.given.lower <= room, 1.0, np.where(numeric.given.upper - x <= room, -1.0, 0.0)
        )

    def drawn(self, columns: Places) -> Floats:
        """Draw a direction that moves these columns."""
        way = np.zeros(self.weights.size)
        signs = self.random.choice([-1.0, 1.0], columns.size)
        signs = np.where(self.inward[columns], self.inward[columns], signs)
        way[columns] = signs * self.random.uniform(0.5, 1.0, columns.size) * self.weights[columns]
        return way

    def test(self, columns: Places, way: Floats) -> Test:
        """Compare both sides along a direction that moves these columns."""
        rows, finest = self.numeric.rows, self._least(self.tolerance, columns)
        if self.kinky:
            found = looked_closer(self.numeric, way, rows, shortest(self.numeric, way))
            kinks = found.codes[:, 0] == Status.KINK.code
            if (kinks | (found.error[:, 0] <= finest / 4)).all():
                return self._compared(columns, way, found, rows, 0.0)
        found = self.numeric.along(way, rows)
        blurred = np.flatnonzero(~(found.error[:, 0] <= finest / 4))
        if blurred.size:
            blurred = blurred[worth(self.numeric, way, blurred, found.error[blurred, 0])]
        if blurred.size:
            self.kinky = True
            closer = looked_closer(self.numeric, way, blurred, shortest(self.numeric, way))
            better = closer.error < found.error
            pairs: tuple[tuple[NDArray[Any], NDArray[Any]], ...] = tuple(zip(found[:4], closer[:4], strict=True))
            for old, new in pairs:
                old[better] = new[better]
        return self._compared(columns, way, found, self.numeric.rows, 0.0)

    def roughly(self, columns: Places, way: Floats, rows: Places, atol: float) -> Test:
        """Compare them in some rows to a tolerance; nothing is known about the others."""
        noise = float(self.numeric.level[rows].max())
        step = shortest(self.numeric, way, ENOUGH * noise / atol)
        found = self.numeric.close(way, rows, Central(2, step))
        if not (found.error[rows, 0] <= atol).all():
            found = self.numeric.along(way, rows)
        return self._compared(columns, way, found, rows, atol)

    def _compared(self, columns: Places, way: Floats, found: Measured, rows: Places, atol: float) -> Test:
        moved, parameter = way[columns], self.claim.parameter(columns)
        value, error, step, codes = (part[rows, 0] for part in (found.value, found.error, found.step, found.codes))
        amended, blur = self._amended(way)
        part = self.claim.matrix[:, columns][rows]
        with np.errstate(all="ignore"):
            gap = value - part @ moved - amended[rows]
            squares = part.multiply(part) if self.claim.sparse else part * part
            rounding = np.sqrt(squares @ (moved * self.claim.unit[parameter]) ** 2)
            floor = np.abs(self.numeric.fx[rows]) / np.fmax(step, NATURAL)
            doubt = error + blur[rows] + ROUNDING * rounding + CANCELLED * floor
            doubt += (self.claim.atol + SPREAD * self.diffuse[rows]) * np.linalg.norm(moved)
            doubt = np.maximum(doubt + self._unsteady(columns, moved)[rows], atol)
        doubt[~np.isfinite(value)] = np.inf
        finest = self._least(self.tolerance, columns)[rows]
        resolved = 4 * doubt <= np.where(finest > 0, self._least(self.coarse, columns)[rows], np.inf)
        known = value, gap, doubt, np.maximum(doubt, MINOR * finest), finest, resolved, ~resolved & (codes >= PASSING)
        whole = [np.full(self.claim.outs.size, blank) for blank in (0.0, 0.0, np.inf, np.inf, 0.0, True, False)]
        for column, given in zip(whole, known, strict=True):
            column[rows] = given
        self.tests.append(Test(columns, way, *whole))
        return self.tests[-1]

    def _least(self, sizes: Floats, columns: Places) -> Floats:
        """Give the least positive number of each row among the parameters of these columns, 0 where there is none."""
        touched = sizes[:, np.unique(self.claim.parameter(columns))]
        least = np.where(touched > 0, touched, np.inf).min(axis=1)
        return np.asarray(np.where(np.isfinite(least), least, 0.0))

    def tolerate(self, test: Test) -> Test:
        """Take the gap of a test for the sum of many small deviations, and expect as much elsewhere."""
        moved = np.linalg.norm(test.way)
        self.diffuse = np.maximum(self.diffuse, np.where(test.off > 1.0, np.abs(test.gap) / moved, 0.0))
        doubt = test.doubt + np.where(test.off > 1.0, np.abs(test.gap), 0.0)
        return test._replace(doubt=doubt, threshold=np.maximum(test.threshold, doubt))

    def likely(self, columns: Places) -> bool:
        """Tell whether a kink is likely in each of these columns: x is 0 there."""
        return not self.numeric.given.vector[columns].any()

    def apart(self, columns: Places) -> tuple[Places, Places]:
        """Cut columns where f has a kink: at entries of x that are 0, if not all or none are, or else in halves."""
        zero = self.numeric.given.vector[columns] == 0
        return (columns[zero], columns[~zero]) if zero.any() and not zero.all() else self.halves(columns)

    def halves(self, columns: Places) -> tuple[Places, Places]:
        """Cut columns between two parameters, as near to the middle as one goes, or else in the middle."""
        cuts = np.flatnonzero(np.diff(self.claim.parameter(columns))) + 1
        middle = columns.size // 2
        cut = int(cuts[np.argmin(np.abs(cuts - middle))]) if cuts.size else middle
        return columns[:cut], columns[cut:]

    def amend(self, known: Known, given: Floats) -> None:
        """Put what was found in the place of what is claimed, so that directions show what else is wrong."""
        self.known = known.rows, known.columns, known.value - given, known.error

    def _amended(self, way: Floats) -> tuple[Floats, Floats]:
        """Give what the amendments amount to along a direction, and their errors."""
        rows, columns, off, error = self.known
        amended, blur = np.zeros(self.claim.outs.size), np.zeros(self.claim.outs.size)
        moved = way[columns] != 0
        np.add.at(amended, rows[moved], off[moved] * way[columns[moved]])
        np.add.at(blur, rows[moved], error[moved] * np.abs(way[columns[moved]]))
        return amended, blur

    def _unsteady(self, columns: Places, moved: Floats) -> Floats:
        """Give for each row what the difference between two calls of the gradient amounts to along a direction."""
        if np.ndim(self.unsteady):
            return np.asarray(self.unsteady[:, columns] @ np.abs(moved))
        return np.full(self.claim.outs.size, self.unsteady * np.abs(moved).sum())

    def chances(self, tests: list[Test]) -> Floats:
        """Bound for each row and parameter the chance that mistakes above the tolerance passed all these tests."""
        chances = np.ones_like(self.tolerance)
        for test in tests:
            with np.errstate(all="ignore"):
                chances *= np.fmin(2 * test.threshold[:, None] / self.tolerance, 1.0)
        # a parameter without any entry but 0 tolerates nothing; what rounding hides is all that can be missed there
        return np.where(self.tolerance > 0, chances, 0.0)

    def sight(self, columns: Places, tests: list[Test]) -> tuple[float, float, float]:
        """Say what these columns have shown by passing tests.

        Returns
        -------
        seen, chance, off : float
            The smallest mistake that is seen for sure if it is the only one, or the largest tolerance if that is more;
            the chance that larger mistakes cancel; and how much one element is off at most. All sizes are in units of
            the largest of a parameter, and the worst of all parameters.
        """
        touched = np.unique(self.claim.parameter(columns))
        scale, tolerance = self.scale[:, touched], self.tolerance[:, touched]
        with np.errstate(all="ignore"):
            blind = np.array([np.where(scale > 0, test.threshold[:, None] / scale, 0.0) for test in tests])
            off = np.array([(np.abs(test.gap) + test.doubt)[:, None] for test in tests]).min(axis=0) / scale
            seen = np.maximum(4 * blind.min(axis=0), np.where(scale > 0, tolerance / scale, 0.0))
            chance = np.where(seen > 0, np.fmin(2 * blind / seen, 1.0), 0.0).prod(axis=0)
        return float(seen.max()), float(chance.max()), float(np.where(scale > 0, 2 * off, 0.0).max())


def _typical(x: Floats) -> float:
    """Give the root mean square of the entries of a parameter, 1 where all are 0."""
    largest = float(np.abs(x).max())
    return largest * float(np.sqrt(np.mean((x / largest) ** 2))) if largest else 1.0
