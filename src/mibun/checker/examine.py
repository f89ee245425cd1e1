"""What is known about the elements of a claim, and what follows from it."""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.checker.claim import CANCELLED, NATURAL, Claim
from mibun.checker.closer import SMALL
from mibun.checker.known import Known
from mibun.checker.numeric import Measured, Numeric
from mibun.checker.report import Finding
from mibun.checker.source import Source
from mibun.checker.verdict import FLAT, RIGHT, UNDECIDED, WRONG, judged
from mibun.status import PASSING, STATUSES, Status

__all__ = ["MOST_DIGITS", "Examination"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: Digits are not counted beyond those of a float.
MOST_DIGITS: Final = 16.0
#: A smooth f has a bound below this part of the scale of its parameter.
SMOOTH: Final = 1e-6


@dataclass
class Examination:
    """Compare a claim with what is found, element by element.

    Attributes
    ----------
    rounding : ndarray or float
        By how much the claim may be off as its function is rounded, in its shape; None until something seems wrong.
    known : Known
        All elements that were differentiated.
    verdict : ndarray
        On each of them.
    told : dict
        What the numeric side says about (row, column).
    scale : ndarray, (rows, parameters)
        The largest entry of each parameter in each row.
    """

    source: Source
    numeric: Numeric
    rounding: Any = None
    known: Known = field(default_factory=Known.nothing)
    verdict: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    told: dict[tuple[int, int], str] = field(default_factory=dict)
    scale: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    @property
    def claim(self) -> Claim:
        """What is claimed."""
        return self.source.claim

    def take(self, measured: Measured, columns: Places, rows: Places) -> Places:
        """Take up some rows of columns, and judge them; give their places in the table."""
        self.told.update({(row, int(columns[place])): text for (row, place), text in measured.told.items()})
        first = self.known.rows.size
        self.known = Known.joined([self.known, Known.of(measured, columns, rows)])
        self.refresh()
        self.verdict = np.concatenate([self.verdict, self.judge(slice(first, None))])
        return np.arange(first, self.known.rows.size)

    def refresh(self) -> None:
        """Find the largest entry of each parameter in each row: of what was found, where that is to be trusted."""
        known = self.known
        trusted = np.isfinite(known.value) & ((known.codes < PASSING) | (known.codes == Status.KINK.code))
        sizes = np.where(trusted, known.value, np.nan_to_num(self.given))
        self.scale = self.claim.scale(known.rows, known.columns, sizes)

    def amend(self, places: Places, measured: Measured, better: bool = False) -> None:
        """Judge elements of a column by another measurement; of two that agree, the smaller bound is kept."""
        if not places.size:
            return
        known, rows = self.known, self.known.rows[places]
        column = int(known.columns[places[0]])
        before: list[NDArray[Any]] = [part[places] for part in known.found]
        verdict = self.verdict[places].copy()
        fresh: tuple[NDArray[Any], ...] = measured[:4]
        for part, new in zip(known.found, fresh, strict=True):
            part[places] = new[rows, 0]
        self.verdict[places] = self.judge(places)
        worse = ~(known.error[places] <= before[1]) & (better | (self.verdict[places] == verdict))
        for part, old in zip(known.found, before, strict=True):
            part[places[worse]] = old[worse]
        self.verdict[places[worse]] = verdict[worse]
        for row in rows[~worse].tolist():
            self.told.pop((row, column), None)
            if (row, 0) in measured.told:
                self.told[row, column] = measured.told[row, 0]

    def doubt(self, places: Places, why: str) -> None:
        """Take back what cannot be told about elements."""
        wrong = places[np.isfinite(self.given[places])]
        self.verdict[wrong] = UNDECIDED
        where = zip(self.known.rows[wrong].tolist(), self.known.columns[wrong].tolist(), strict=True)
        self.told.update(dict.fromkeys(where, why))

    def round(self, places: Places) -> None:
        """Judge again, with the rounding of the claim itself, once something seems wrong."""
        if self.rounding is None and (self.verdict[places] == WRONG).any():
            self.rounding = self.source.rounding()
            self.verdict[places] = self.judge(places)

    @property
    def given(self) -> Floats:
        """What is claimed about the elements that are known."""
        return self.claim.at(self.known.rows, self.known.columns)

    def limits(self, places: Places | slice = slice(None)) -> tuple[Floats, Floats, Floats]:
        """Give by how much known elements may be off, the scale of their parameter, and |f(x)| over the step."""
        claim, known = self.claim, self.known
        rows, columns = known.rows[places], known.columns[places]
        given = claim.at(rows, columns)
        parameter = claim.parameter(columns)
        scale = self.scale[rows, parameter]
        with np.errstate(all="ignore"):
            x = np.abs(self.numeric.given.vector[columns].astype(np.float64))
            steps = np.fmax(known.step[places], NATURAL * np.maximum(x, SMALL * self.numeric.size))
            floor = np.nan_to_num(np.abs(self.numeric.fx[rows]) / steps, nan=0.0, posinf=0.0)
            allowed = claim.atol + claim.rtol[parameter] * np.maximum(np.abs(given), scale) + CANCELLED * floor
        rounding: Any = self.source.unsteady + (0.0 if self.rounding is None else self.rounding)
        allowed = allowed + (rounding[rows, columns] if np.ndim(rounding) else rounding)
        return allowed, scale, floor

    def suspect(self, places: Places) -> NDArray[np.bool_]:
        """Tell what has to be looked at twice: what seems wrong, is undecided, or has a bound that may be narrower."""
        verdict = self.verdict[places]
        return np.asarray(np.isin(verdict, (WRONG, UNDECIDED)) | ((verdict == RIGHT) & self.rough(places)))

    def rough(self, places: Places) -> NDArray[np.bool_]:
        """Tell where f did not look smooth: the bound is not one that rounding alone leaves."""
        scale = np.maximum(self.limits(places)[1], np.abs(self.given[places]))
        return np.asarray((self.known.codes[places] != 0) | (self.known.error[places] > SMOOTH * scale))

    def sizes(self, places: Places) -> Floats:
        """Give what bounds are compared with."""
        _, scale, floor = self.limits(places)
        return np.maximum(np.maximum(scale, np.abs(self.given[places])), floor * FLAT)

    def judge(self, places: Places | slice = slice(None)) -> NDArray[np.int8]:
        """Judge known elements by what is known now."""
        known = self.known
        given = self.claim.at(known.rows[places], known.columns[places])
        found = known.value[places], known.error[places], known.codes[places]
        with np.errstate(all="ignore"):
            return judged(given, *found, *self.limits(places))

    def findings(self, which: int, most: int) -> tuple[Finding, ...]:
        """Give the elements with a verdict, the worst first."""
        places = np.flatnonzero(self.verdict == which)
        known = self.known
        with np.errstate(all="ignore"):
            gap = np.abs(self.given[places] - known.value[places])
            excess = np.nan_to_num(gap / (known.error[places] + self.limits(places)[0]), nan=np.inf)
        return tuple(self._finding(int(place)) for place in places[np.argsort(-excess, kind="stable")][:most])

    def _finding(self, place: int) -> Finding:
        known, claim = self.known, self.claim
        row, column = int(known.rows[place]), int(known.columns[place])
        given = float(claim.at(known.rows[[place]], known.columns[[place]])[0])
        status = STATUSES[known.codes[place]]
        reason = self.told.get((row, column), "")
        if not reason and self.verdict[place] == UNDECIDED:
            reason = status.value if status.code >= PASSING else "the bound is too wide to tell right from wrong"
        if math.isnan(given):
            reason = "nan was given"
        return Finding(
            claim.name(row, column),
            claim.path(row, column),
            given,
            float(known.value[place]),
            float(known.error[place]),
            reason,
        )

    def off(self) -> float:
        """Say by how much the elements that are right are off at most, relative to the scale; nan if there are none."""
        places = np.flatnonzero(self.verdict == RIGHT)
        size = self.sizes(places)
        off = np.abs(self.given[places] - self.known.value[places]) + self.known.error[places]
        return float((off[size > 0] / size[size > 0]).max()) if (size > 0).any() else math.nan

    def blind(self) -> float:
        """Say how far an element can be off, relative to the scale, and still be right."""
        places = np.flatnonzero(self.verdict == RIGHT)
        allowed, scale, _ = self.limits(places)
        blind = (self.known.error[places] + allowed)[scale > 0] / scale[scale > 0]
        return float(blind.max()) if blind.size else 0.0

    def numbers(self) -> tuple[Any, Any]:
        """Give what was claimed and what was found, nan where an element was not differentiated alone, as it was given.

        None for a sparse claim.
        """
        if self.claim.sparse:
            return None, None
        matrix = np.full(self.claim.shape, np.nan)
        matrix[self.known.rows, self.known.columns] = self.known.value
        return self.claim.arranged(self.claim.matrix), self.claim.arranged(matrix)
