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
from mibun.checker.verdict import RIGHT, UNDECIDED, WIDE, WRONG, judged
from mibun.status import PASSING, STATUSES, Status

__all__ = ["MOST_DIGITS", "Examination"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: Digits are not counted beyond those of a float.
MOST_DIGITS: Final = 16.0
#: What would decide.
SHARPER: Final = "less noise in f, values of f in float64, or a larger rtol decides"
ADVICE: Final = {
    Status.KINK: "move x off the kink",
    Status.JUMP: "move x off the jump",
    Status.BUDGET_SPENT: "a larger budget decides",
    Status.FAILED: "call f near x to see why",
}
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
    doubted : set
        The (row, column) of which what can be told was taken back.
    scale : ndarray, (rows, parameters)
        The largest entry of each parameter in each row.
    """

    source: Source
    numeric: Numeric
    rounding: Any = None
    known: Known = field(default_factory=Known.nothing)
    verdict: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    told: dict[tuple[int, int], str] = field(default_factory=dict)
    doubted: set[tuple[int, int]] = field(default_factory=set)
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

    @property
    def unmoved(self) -> bool:
        """Whether f did not change with any element, as far as was looked."""
        known = self.known
        looked = known.rows.size == self.claim.size or (self.verdict == WRONG).any()
        return known.rows.size > 1 and bool(looked) and bool((known.codes == Status.INSENSITIVE.code).all())

    def doubt(self, places: Places, why: str) -> None:
        """Take back what cannot be told about elements."""
        wrong = places[np.isfinite(self.given[places])]
        self.verdict[wrong] = UNDECIDED
        where = list(zip(self.known.rows[wrong].tolist(), self.known.columns[wrong].tolist(), strict=True))
        self.doubted.update(where)
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

    def limits(self, places: Places | slice = slice(None)) -> tuple[Floats, Floats]:
        """Give by how much known elements may be off, and the largest entry of their parameter, or their own size."""
        claim, known = self.claim, self.known
        rows, columns = known.rows[places], known.columns[places]
        given = claim.at(rows, columns)
        parameter = claim.parameter(columns)
        scale = np.fmax(self.scale[rows, parameter], np.abs(given))
        return claim.atol + claim.rtol[parameter] * scale + self.slack(places), scale

    def slack(self, places: Places | slice = slice(None)) -> Floats:
        """Give by how much known elements may be off as f, and the gradient itself, are rounded."""
        rows, columns = self.known.rows[places], self.known.columns[places]
        with np.errstate(all="ignore"):
            floor = np.nan_to_num(np.abs(self.numeric.fx[rows]) / self.steps(places), nan=0.0, posinf=0.0)
        rounding: Any = self.source.unsteady + (0.0 if self.rounding is None else self.rounding)
        return np.asarray(CANCELLED * floor + (rounding[rows, columns] if np.ndim(rounding) else rounding))

    def steps(self, places: Places | slice) -> Floats:
        """Give the steps by which elements were found, a natural one at least."""
        x = np.abs(self.numeric.given.vector[self.known.columns[places]].astype(np.float64))
        return np.fmax(self.known.step[places], NATURAL * np.maximum(x, SMALL * self.numeric.size))

    def vanishing(self, places: Places | slice = slice(None)) -> NDArray[np.bool_]:
        """Tell where all of a parameter is 0 as far as can be seen: rounding is not small beside its largest entry."""
        return np.asarray(~(self.known.error[places] + self.slack(places) <= WIDE * self.limits(places)[1]))

    def suspect(self, places: Places) -> NDArray[np.bool_]:
        """Tell what has to be looked at twice: what seems wrong, is undecided, or has a bound that may be narrower."""
        verdict = self.verdict[places]
        return np.asarray(np.isin(verdict, (WRONG, UNDECIDED)) | ((verdict == RIGHT) & self.rough(places)))

    def rough(self, places: Places) -> NDArray[np.bool_]:
        """Tell where f did not look smooth: the bound is not one that rounding alone leaves."""
        scale = self.limits(places)[1]
        return np.asarray((self.known.codes[places] != 0) | (self.known.error[places] > SMOOTH * scale))

    def sizes(self, places: Places | slice = slice(None)) -> Floats:
        """Give what bounds are compared with: the largest entry of the parameter, and where that is 0, f itself."""
        known, (_, sizes) = self.known, self.limits(places)
        if self.vanishing(places).any():
            rows, parameter = known.rows[places], self.claim.parameter(known.columns[places])
            with np.errstate(all="ignore"):
                flat = self.claim.flat[parameter] * self.numeric.reach[rows] / self.steps(places)
                sizes = np.fmax(sizes, flat)
            # f is the same at all points, so 0 is right whatever f rounds
            still = (known.codes[places] == Status.INSENSITIVE.code) & (self.scale[rows, parameter] == 0)
            sizes[still & (self.given[places] == 0)] = np.inf
        return sizes

    def judge(self, places: Places | slice = slice(None)) -> NDArray[np.int8]:
        """Judge known elements by what is known now."""
        known = self.known
        given = self.claim.at(known.rows[places], known.columns[places])
        found = known.value[places], known.error[places], known.codes[places]
        with np.errstate(all="ignore"):
            return judged(given, *found, self.limits(places)[0], self.sizes(places))

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
        if self.verdict[place] == UNDECIDED and (row, column) not in self.doubted:
            reason = f"{reason or 'the bound is too wide to tell right from wrong'}: {ADVICE.get(status, SHARPER)}"
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
        places = np.flatnonzero((self.verdict == RIGHT) & ~self.vanishing())
        off = np.abs(self.given[places] - self.known.value[places]) + self.known.error[places]
        return float((off / self.limits(places)[1]).max()) if places.size else math.nan

    def blind(self) -> tuple[float, float]:
        """Say how far an element can be off and be right: relative to the scale, and where all are 0; nan: none."""
        right, vanishing = self.verdict == RIGHT, self.vanishing()
        allowed, scale = self.limits()
        blind = self.known.error + allowed
        with np.errstate(all="ignore"):
            parts = (blind / scale)[right & ~vanishing], blind[right & vanishing]
        relative, absolute = (float(part.max()) if part.size else math.nan for part in parts)
        return relative, absolute

    def numbers(self) -> tuple[Any, Any]:
        """Give what was claimed and what was found, nan where an element was not differentiated alone, as it was given.

        None for a sparse claim.
        """
        if self.claim.sparse:
            return None, None
        matrix = np.full(self.claim.shape, np.nan)
        matrix[self.known.rows, self.known.columns] = self.known.value
        return self.claim.arranged(self.claim.matrix), self.claim.arranged(matrix)
