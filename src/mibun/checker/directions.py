"""Random directions: a few evaluations that tell a right derivative from a wrong one, however long x is.

Along a direction d the derivative of f is J·d, and a claim G is off by (J - G)·d. The entries of d have random signs
and random sizes between 1/2 and 1, in units of the size of x. So whatever the mistakes are, if the largest is E, then
the chance that their sum falls into an interval of width 2r is at most 2r/E: given all others, the share of the largest
is spread evenly over two intervals of length E/2. (At a bound of x the sign is fixed: one interval, and 4r/E.) Two
directions that see mistakes of 1e-3 of what is tolerated overlook a wrong claim with a chance of (4e-3)^2. What
rounding in f and in the claim hides, r, is known from the bound.
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

__all__ = ["CHANCE", "Directions", "Sight", "Test"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Mask = NDArray[np.bool_]

#: The chance of having missed a mistake that is small enough.
CHANCE: Final = 1e-4
#: Rounding of one entry of a right claim, in units of that of floats of its precision; many add up as random ones do.
ROUNDING: Final = 8.0
#: Steps at which noise is this part of a tolerance, inverted.
ENOUGH: Final = 4.0
#: A mistake of one element that is this part of the largest has to be seen, or nothing is decided.
COARSE: Final = 0.1
#: How much larger a random sum may be than its standard deviation.
SPREAD: Final = 4.0
#: A gap that is so many times what all elements together may be off is one by itself.
PLAIN: Final = 10.0
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
    def blind(self) -> Floats:
        """Give the sum of mistakes that can pass."""
        return self.threshold + self.doubt

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


class Sight(NamedTuple):
    """What passing tests have shown, in units of the largest entry of a parameter, for the worst of all."""

    one: float  #: a larger mistake of a single element is seen for sure, or is tolerated if it is less
    several: float  #: larger mistakes that cancel are overlooked with this chance
    chance: float
    off: float  #: how much one element is off at most, if it is the only one
    vanishing: (
        float  #: where all of a parameter are 0: the largest slope that a single element can have; nan if nowhere
    )


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
    tolerance, scale, flat, coarse : ndarray, (rows, parameters)
        What an element may be off, the largest entry, the entries of a parameter that may vanish, and what decides
        nothing, all in units of a direction.
    small : ndarray of bool, (parameters,)
        Parameters that may vanish in all rows.
    diffuse : ndarray, (rows,)
        The part of the tolerance by which all elements may be off at once: it adds up as random deviations do.
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
        # f rounds, and where all of a parameter are 0, it cannot be expected to do more
        rounded = np.abs(np.nan_to_num(numeric.fx))[:, None]
        self.tolerance += CANCELLED * rounded
        self.flat = np.where(self.scale <= claim.flat * rounded, claim.flat, 0.0)
        if self.flat.any():
            self.flat *= numeric.reach[:, None]
        self.small: Mask = np.all(self.flat[numeric.rows] > 0, axis=0)
        self.coarse = COARSE * np.maximum(self.scale, self.flat)
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
            doubt += (
                self.claim.atol * np.linalg.norm(moved) + SPREAD * (self.diffuse * self._spread(columns, way))[rows]
            )
            doubt = np.maximum(doubt + self._unsteady(columns, moved)[rows], atol)
        doubt[~np.isfinite(value)] = np.inf
        finest, coarse = (self._least(sizes, columns)[rows] for sizes in (self.tolerance, self.coarse))
        resolved = self._resolves(doubt, coarse)
        # where f is the same at all points, 0 is right whatever f rounds
        resolved |= (codes == Status.INSENSITIVE.code) & (np.asarray(squares.sum(axis=1)).reshape(-1) == 0)
        known = value, gap, doubt, np.maximum(doubt, MINOR * finest), finest, resolved, ~resolved & (codes >= PASSING)
        whole = [np.full(self.claim.outs.size, blank) for blank in (0.0, 0.0, np.inf, np.inf, 0.0, True, False)]
        for column, given in zip(whole, known, strict=True):
            column[rows] = given
        self.tests.append(Test(columns, way, *whole))
        return self.tests[-1]

    def _least(self, sizes: Floats, columns: Places) -> Floats:
        """Give the least positive number of each row among the parameters of these columns, 0 where there is none.

        Those that may vanish count where there are no others.
        """
        touched = np.unique(self.claim.parameter(columns))
        parts, flat = sizes[:, touched], self.flat[:, touched] > 0
        counts = (parts > 0) & (~flat | flat.all(axis=1, keepdims=True))
        least = np.where(counts, parts, np.inf).min(axis=1)
        return np.asarray(np.where(np.isfinite(least), least, 0.0))

    def tolerate(self, test: Test) -> Test:
        """Take the gap of a test for the sum of many small deviations, and expect as much elsewhere."""
        with np.errstate(all="ignore"):
            share = np.abs(test.gap) / self._spread(test.columns, test.way)
        self.diffuse = np.fmax(self.diffuse, np.where((test.off > 1.0) & np.isfinite(share), share, 0.0))
        doubt = test.doubt + np.where(test.off > 1.0, np.abs(test.gap), 0.0)
        resolved = test.resolved & ((test.off <= 1.0) | self._resolves(doubt, self._least(self.coarse, test.columns)))
        return test._replace(doubt=doubt, threshold=np.maximum(test.threshold, doubt), resolved=resolved)

    @staticmethod
    def _resolves(doubt: Floats, coarse: Floats) -> Mask:
        """Tell where the doubt is small beside the parameters."""
        return np.asarray(4 * doubt <= np.where(coarse > 0, coarse, np.inf))

    def refutes(self, test: Test) -> bool:
        """Tell whether a gap is so large that no elements within their tolerances can add up to it."""
        parts = np.abs(test.way[test.columns]) / self.weights[test.columns]
        parts = np.bincount(self.claim.parameter(test.columns), parts, minlength=self.tolerance.shape[1])
        with np.errstate(invalid="ignore"):
            return bool((~test.splits & (np.abs(test.gap) > PLAIN * (test.doubt + self.tolerance @ parts))).any())

    def _spread(self, columns: Places, way: Floats) -> Floats:
        """Give what random deviations as large as the tolerance amount to along a direction, for each row."""
        squares = (way[columns] / self.weights[columns]) ** 2
        weights = np.bincount(self.claim.parameter(columns), squares, minlength=self.tolerance.shape[1])
        return np.asarray(np.sqrt(self.tolerance**2 @ weights))

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
        chances: Floats = np.ones_like(self.tolerance)
        for test in tests:
            with np.errstate(all="ignore"):
                chances *= np.fmin(self._width(test.columns) * test.blind[:, None] / self.tolerance, 1.0)
        # a parameter that may vanish in some rows is seen in the others
        chances[(self.tolerance == 0) | ((self.flat > 0) & ~self.small)] = 0.0
        chances[self.numeric.lost] = 0.0
        return chances

    def _width(self, columns: Places) -> float:
        """Give the width of what one direction overlooks, in units of what can hide: twice that if signs are fixed."""
        return 4.0 if self.inward[columns].any() else 2.0

    def sight(self, columns: Places, tests: list[Test]) -> Sight:
        """Say what these columns have shown by passing tests."""
        touched = np.unique(self.claim.parameter(columns))
        rows = self.numeric.rows
        scale, tolerance = (part[np.ix_(rows, touched)] for part in (self.scale, self.tolerance))
        sizes = self.weights[[self.claim.ins.leaves[leaf].start for leaf in touched.tolist()]]
        with np.errstate(all="ignore"):
            blind = np.sort([test.blind[rows, None] / scale for test in tests], axis=0)
            off = np.min([(np.abs(test.gap) + test.doubt)[rows, None] / scale for test in tests], axis=0)
            one = np.maximum(2 * blind[0], tolerance / scale)
            # the size at which the best of these tests overlook mistakes with a chance of CHANCE, or less
            counts, width = np.arange(1, len(tests) + 1)[:, None, None], self._width(columns)
            sizes_of = width * (np.cumprod(blind, axis=0) / CHANCE) ** (1 / counts)
            several = np.maximum(sizes_of.min(axis=0), one)
            chance = np.fmin(width * blind / several, 1.0).prod(axis=0)
            hidden = 2 * np.min([test.blind[rows, None] for test in tests], axis=0)
            seen, hidden = hidden <= scale, hidden / sizes
        worst = (float(part[seen].max(initial=0.0)) for part in (one, several, chance, 2 * off))
        return Sight._make((*worst, float(hidden[~seen].max()) if not seen.all() else np.nan))


def _typical(x: Floats) -> float:
    """Give the root mean square of the entries of a parameter, 1 where all are 0."""
    largest = float(np.abs(x).max())
    return largest * float(np.sqrt(np.mean((x / largest) ** 2))) if largest else 1.0
