"""What is known about the elements of a claim, and what follows from it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.checker.claim import CANCELLED, Claim
from mibun.checker.numeric import Measured, Numeric, Spent
from mibun.checker.report import Finding
from mibun.checker.source import Source
from mibun.checker.verdict import FLAT, RIGHT, SUBGRADIENT, UNDECIDED, WIDE, WRONG, judged
from mibun.methods import Backward, Central, Forward
from mibun.status import PASSING, STATUSES, Status

__all__ = ["Examination", "Known"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: Digits are not counted beyond those of a float.
MOST_DIGITS: Final = 16.0
#: A smooth f has a bound below this part of the scale of its parameter.
SMOOTH: Final = 1e-6
#: Steps by which a mistake is this many times larger than what noise adds to the difference.
VISIBLE: Final = 6.0
#: A closer look is worth its evaluations if noise leaves a bound so much narrower at the shortest steps.
WORTH: Final = 10.0
#: A second bound is too wide to be compared with the first if it is so much wider.
VAGUE: Final = 4.0
#: What noise may add where something undecided is looked at closely, as part of the scale.
CLEAR: Final = 1e-3
#: Looks, and by how much each goes farther than the last.
LOOKS: Final = 3
WIDER: Final = 16.0
#: The shortest steps, relative to x, in float64 and in float32.
SHORTEST: Final = (2.0**-26, 2.0**-12)
ONCE: Final = "the budget ended before it was differentiated a second time"


class Known(NamedTuple):
    """Elements that were differentiated one by one, as columns of a table."""

    rows: Places
    columns: Places
    value: Floats
    error: Floats
    codes: NDArray[np.uint8]
    step: Floats

    @classmethod
    def of(cls, measured: Measured, columns: Places) -> "Known":
        """Take all rows of some columns."""
        count = measured.value.shape[0]
        rows = np.repeat(np.arange(count), columns.size)
        value, error, codes, step, _ = measured
        tiled = np.tile(columns, count)
        return cls(rows, tiled, value.reshape(-1), error.reshape(-1), codes.reshape(-1), step.reshape(-1))

    @property
    def found(self) -> tuple[NDArray[Any], ...]:
        """What was found, without the places."""
        return self[2:]

    @classmethod
    def joined(cls, parts: Iterable["Known"]) -> "Known":
        """Put several tables below each other."""
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    @classmethod
    def nothing(cls) -> "Known":
        """Give a table without rows."""
        none, numbers = np.zeros(0, np.intp), np.zeros(0)
        return cls(none, none, numbers, numbers, np.zeros(0, np.uint8), numbers)


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
    """

    source: Source
    numeric: Numeric
    rounding: Any = None
    known: Known = field(default_factory=Known.nothing)
    verdict: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    told: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def claim(self) -> Claim:
        """What is claimed."""
        return self.source.claim

    def learn(self, measured: Measured, columns: Places) -> int:
        """Take up new columns; what seems wrong or undecided is looked at again; tell how many columns are wrong."""
        new = Known.of(measured, columns)
        self.told.update({(row, int(columns[place])): text for (row, place), text in measured.told.items()})
        first = self.known.rows.size
        self.known = Known.joined([self.known, new])
        self.verdict = np.concatenate([self.verdict, self.judge(slice(first, None))])
        recent = np.arange(first, self.known.rows.size)
        recent = recent[np.isfinite(self.given[recent])]
        unclear = recent[np.isin(self.verdict[recent], (WRONG, UNDECIDED)) | self.blurred(recent)]
        for column in np.unique(self.known.columns[unclear]).tolist():
            places = unclear[self.known.columns[unclear] == column]
            try:
                self.examine(places, column)
            except Spent:
                wrong = places[self.verdict[places] == WRONG]
                self.verdict[wrong] = UNDECIDED
                self.told.update({(row, column): ONCE for row in self.known.rows[wrong].tolist()})
        return int(np.unique(self.known.columns[first:][self.verdict[first:] == WRONG]).size)

    def examine(self, places: Places, column: int) -> None:
        """Look again at elements of a column."""
        if self.rounding is None and (self.verdict[places] == WRONG).any():
            self.rounding = self.source.rounding()
            self.verdict[places] = self.judge(places)
        self.confirm(places[self.verdict[places] == WRONG], column)
        closer = places[(self.verdict[places] == UNDECIDED) | self.blurred(places)]
        self.look_closer(closer, column)
        self.confirm(closer[self.verdict[closer] == WRONG], column)
        self.look_aside(places[self.verdict[places] == UNDECIDED], column)

    def blurred(self, places: Places) -> NDArray[np.bool_]:
        """Tell where a bound is wide for another reason than noise, so that a closer look can narrow it."""
        rough = self.rough(places) & (self.verdict[places] == RIGHT)
        if not rough.any():
            return np.asarray(rough)
        least = np.array([self.shortened(0.0, column) for column in self.known.columns[places].tolist()])
        return np.asarray(
            rough & (WORTH * self.numeric.level[self.known.rows[places]] < self.known.error[places] * least)
        )

    def confirm(self, places: Places, column: int) -> None:
        """Differentiate one column again; what does not repeat is not wrong.

        Where f is not plainly smooth, or the bound is wide the second time, the mistake has to show close to x, too: at
        the smallest steps at which noise leaves it visible. A kink near x, felt farther away, is none of the claim's.
        """
        if not places.size:
            return
        rough, error = self.rough(places), self.known.error[places].copy()
        again = self.numeric.again(column)
        vague = again.error[self.known.rows[places], 0] > np.maximum(VAGUE * error, WIDE * self.sizes(places))
        self.amend(places[~vague], column, again)
        places = places[(rough | vague) & (self.verdict[places] == WRONG)]
        gap = np.abs(self.given[places] - self.known.value[places])
        visible = np.isfinite(gap) & (gap > 0)
        places, gap = places[visible], gap[visible]
        if places.size:
            step = float((self.numeric.level[self.known.rows[places]] / gap).max()) * VISIBLE
            self.amend(places, column, self.numeric.close(column, Central(4, self.shortened(step, column))))

    def look_closer(self, places: Places, column: int) -> None:
        """Look at what is undecided with steps so short that a kink or a jump near x lies beyond them."""
        known, places = self.known, self.finite(places)
        if not places.size:
            return
        rows, step = known.rows[places], self.clear(places)
        for look in range(LOOKS):
            own = self.shortened(step, column)
            value, error = known.value[places].copy(), known.error[places].copy()
            found = self.numeric.close(column, Central(2, own))
            # a wider look that contradicts a closer one has met what lies beyond it
            agrees = np.abs(found.value[rows, 0] - value) <= found.error[rows, 0] + error
            keep = agrees | (look == 0)
            self.amend(places[keep], column, found, better=True)
            if not keep.all() or not (known.error[places] < error / 2).any():
                break
            step = own * WIDER

    def look_aside(self, places: Places, column: int) -> None:
        """Accept what is the slope of one side, or between those of both: x is nearer to a kink than can be seen."""
        known, places = self.known, self.finite(places)
        if not places.size:
            return
        step = self.shortened(self.clear(places), column)
        sides = [self.numeric.close(column, side) for side in (Backward(1, step), Forward(1, step))]
        allowed, size = self.limits(places)[0], self.sizes(places)
        for place, more, large in zip(places.tolist(), allowed.tolist(), size.tolist(), strict=True):
            row, given = int(known.rows[place]), self.given[place]
            slopes, errors = (
                [float(part[row, 0]) for part in parts] for parts in zip(*(s[:2] for s in sides), strict=True)
            )
            one = any(
                abs(given - slope) <= error + more and error <= WIDE * large
                for slope, error in zip(slopes, errors, strict=True)
            )
            apart = abs(slopes[1] - slopes[0]) > min(errors)
            if apart and (one or min(slopes) <= given <= max(slopes)):
                known.value[place], known.error[place] = sum(slopes) / 2, abs(slopes[1] - slopes[0]) / 2 + max(errors)
                known.codes[place], self.verdict[place] = Status.KINK.code, SUBGRADIENT
                self.told[row, column] = (
                    f"the slopes near x differ: {slopes[0]:.6g} on the left, {slopes[1]:.6g} on the right"
                )

    def finite(self, places: Places) -> Places:
        """Give those at which f gave numbers."""
        return places[~np.isin(self.known.codes[places], [Status.FAILED.code, Status.NOT_FINITE.code])]

    def clear(self, places: Places) -> float:
        """Give a step at which noise is small beside the parameters."""
        with np.errstate(all="ignore"):
            steps = self.numeric.level[self.known.rows[places]] / (self.sizes(places) * CLEAR)
        return float(np.nan_to_num(steps, posinf=0.0).max())

    def sizes(self, places: Places) -> Floats:
        """Give what bounds are compared with."""
        _, scale, floor = self.limits(places)
        return np.maximum(np.maximum(scale, np.abs(self.given[places])), floor * FLAT)

    def shortened(self, step: float, column: int) -> float:
        """Keep a step above the spacing of floats around an entry of x."""
        x = abs(float(self.numeric.given.vector[column]))
        shortest = SHORTEST[0] if self.numeric.given.vector.dtype.itemsize > 4 else SHORTEST[1]
        return 2.0 ** math.ceil(math.log2(max(step, shortest * max(x, self.numeric.size * 2.0**-4))))

    def rough(self, places: Places) -> NDArray[np.bool_]:
        """Tell where f did not look smooth: the bound is not one that rounding alone leaves."""
        known = self.known
        scale = np.maximum(self.limits(places)[1], np.abs(self.given[places]))
        return np.asarray((known.codes[places] != 0) | (known.error[places] > SMOOTH * scale))

    def amend(self, places: Places, column: int, measured: Measured, better: bool = False) -> None:
        """Judge elements of a column by another measurement; of two that agree, the smaller bound is kept."""
        known, rows = self.known, self.known.rows[places]
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
    def given(self) -> Floats:
        """What is claimed about the elements that are known."""
        return self.claim.at(self.known.rows, self.known.columns)

    def limits(self, places: Places | slice = slice(None)) -> tuple[Floats, Floats, Floats]:
        """Give by how much known elements may be off, the scale of their parameter, and |f(x)| over the step."""
        claim, known = self.claim, self.known
        rows, columns = known.rows[places], known.columns[places]
        given = claim.at(rows, columns)
        parameter = claim.parameter(columns)
        scale = self.scale()[rows, parameter]
        with np.errstate(all="ignore"):
            floor = np.nan_to_num(np.abs(self.numeric.fx[rows]) / known.step[places], nan=0.0, posinf=0.0)
            allowed = claim.atol + claim.rtol[parameter] * np.maximum(np.abs(given), scale) + CANCELLED * floor
        rounding: Any = self.source.unsteady + (0.0 if self.rounding is None else self.rounding)
        allowed = allowed + (rounding[rows, columns] if np.ndim(rounding) else rounding)
        return allowed, scale, floor

    def scale(self) -> Floats:
        """Give the largest entry of each parameter in each row: of what was found, where that is to be trusted."""
        known = self.known
        trusted = np.isfinite(known.value) & ((known.codes < PASSING) | (known.codes == Status.KINK.code))
        return self.claim.scale(known.rows, known.columns, np.where(trusted, known.value, np.nan_to_num(self.given)))

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
        size = np.maximum(np.abs(self.given[places]), self.limits(places)[1])
        off = np.abs(self.given[places] - self.known.value[places]) + self.known.error[places]
        return float((off[size > 0] / size[size > 0]).max()) if (size > 0).any() else math.nan

    def blind(self) -> float:
        """Say how far an element can be off, relative to the scale, and still be right."""
        places = np.flatnonzero(self.verdict == RIGHT)
        allowed, scale, _ = self.limits(places)
        blind = (self.known.error[places] + allowed)[scale > 0] / scale[scale > 0]
        return float(blind.max()) if blind.size else 0.0

    def numbers(self) -> Any:
        """Give what was found in the layout of the claim, nan where an element was not differentiated alone."""
        if self.claim.sparse:
            return None
        matrix = np.full(self.claim.shape, np.nan)
        matrix[self.known.rows, self.known.columns] = self.known.value
        return matrix
