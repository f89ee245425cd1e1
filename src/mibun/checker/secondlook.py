"""Looks again at elements of one column that seem wrong, or that cannot be decided.

A mistake has to be seen twice, from different starting steps. Where f is not plainly smooth it has to be seen close to
x, too, at the shortest steps at which noise leaves it visible: a kink near x is felt farther away, and is no mistake of
the claim. What is undecided is looked at closely, and in the end from each side: where x is nearer to a kink than noise
lets see, a claim that is the slope of one side is right.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mibun.checker.closer import SMALL, looked_closer, shortest, worth
from mibun.checker.examine import Examination
from mibun.checker.numeric import Measured, Spent
from mibun.checker.verdict import RIGHT, SUBGRADIENT, UNDECIDED, WIDE, WRONG
from mibun.methods import Backward, Central, Forward
from mibun.status import Status

__all__ = ["learn"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

ONCE: Final = "the budget ended before it was differentiated a second time; a larger one decides"
#: Steps at which a mistake is so many times larger than what noise adds to the difference.
VISIBLE: Final = 6.0
#: A second look that says less decides nothing: its bound is so many times as wide.
VAGUE: Final = 1.5
#: What noise may add where something is looked at closely, as part of the scale.
CLEAR: Final = 1e-3


def learn(examination: Examination, measured: Measured, columns: Places, rows: Places) -> int:
    """Take up some rows of columns that were measured, and look twice where it is needed; count the wrong columns."""
    new = examination.take(measured, columns, rows)
    examination.round(new)
    unclear = new[np.isfinite(examination.given[new])]
    unclear = unclear[examination.suspect(unclear)]
    order = unclear[np.argsort(examination.known.columns[unclear], kind="stable")]
    cuts = np.flatnonzero(np.diff(examination.known.columns[order])) + 1
    for places in np.split(order, cuts) if order.size else ():
        try:
            SecondLook(examination, int(examination.known.columns[places[0]])).run(places)
        except Spent:
            examination.doubt(places[examination.verdict[places] == WRONG], ONCE)
    wrong = new[examination.verdict[new] == WRONG]
    return int(np.unique(examination.known.columns[wrong]).size)


class SecondLook:
    """Look again at some elements of a column.

    Parameters
    ----------
    examination : Examination
        What is known; it is amended.
    column : int
    """

    def __init__(self, examination: Examination, column: int) -> None:
        self.examination, self.numeric, self.known = examination, examination.numeric, examination.known
        self.verdict, self.column = examination.verdict, column
        self.axis = self.numeric.axis(column)
        self.far = max(abs(float(self.numeric.given.vector[column])), SMALL * self.numeric.size) / 2

    def run(self, places: Places) -> None:
        """Look at what is wrong, undecided, or right within a bound that could be narrower."""
        self.confirm(places[self.verdict[places] == WRONG])
        closer = places[(self.verdict[places] == UNDECIDED) | (self.verdict[places] == RIGHT)]
        self.look_closer(closer)
        self.confirm(closer[self.verdict[closer] == WRONG])
        self.look_aside(places[self.verdict[places] == UNDECIDED])

    def confirm(self, places: Places) -> None:
        """Differentiate again; what does not repeat is not wrong."""
        if not places.size:
            return
        rows = self.known.rows[places]
        rough, error = self.examination.rough(places), self.known.error[places]
        again = self.numeric.again(self.column, rows)
        vague = again.error[rows, 0] > VAGUE * error
        self.examination.amend(places[~vague], again)
        places = places[(rough | vague) & (self.verdict[places] == WRONG)]
        gap = np.abs(self.examination.given[places] - self.known.value[places])
        visible = np.isfinite(gap) & (gap > 0)
        places, gap = places[visible], gap[visible]
        if places.size:
            rows = self.known.rows[places]
            step = float((self.numeric.level[rows] / gap).max()) * VISIBLE
            method = Central(4, shortest(self.numeric, self.axis, step))
            self.examination.amend(places, self.numeric.close(self.axis, rows, method))

    def look_closer(self, places: Places) -> None:
        """Narrow the bounds by values so close to x that a kink or a jump lies beyond them."""
        known = self.known
        gives_numbers = ~np.isin(known.codes[places], [Status.FAILED.code, Status.NOT_FINITE.code])
        places = places[gives_numbers & self.examination.rough(places)]
        if places.size:
            narrower = worth(self.numeric, self.axis, known.rows[places], known.error[places])
            places = places[narrower | (self.verdict[places] == UNDECIDED)]
        if places.size:
            step = shortest(self.numeric, self.axis, self.clear(places))
            if step > self.far:
                return
            found = looked_closer(self.numeric, self.axis, known.rows[places], step)
            self.examination.amend(places, found, better=True)

    def look_aside(self, places: Places) -> None:
        """Accept what is the slope of one side, or between those of both, where they differ."""
        known = self.known
        places = places[~np.isin(known.codes[places], [Status.FAILED.code, Status.NOT_FINITE.code])]
        if not places.size:
            return
        rows, given = known.rows[places], self.examination.given[places]
        step = shortest(self.numeric, self.axis, self.clear(places))
        if step > self.far:
            return
        left, right = (self.numeric.close(self.axis, rows, side(1, step)) for side in (Backward, Forward))
        slopes = np.stack([left.value[rows, 0], right.value[rows, 0]])
        errors = np.stack([left.error[rows, 0], right.error[rows, 0]])
        near = np.abs(given - slopes) <= errors + self.examination.limits(places)[0]
        one = (near & (errors <= WIDE * self.sizes(places))).any(axis=0)
        between = (slopes.min(axis=0) <= given) & (given <= slopes.max(axis=0))
        gap = np.abs(slopes[1] - slopes[0])
        accepted = (gap > errors.min(axis=0)) & (one | between)
        chosen = places[accepted]
        known.value[chosen] = slopes.mean(axis=0)[accepted]
        known.error[chosen] = (gap / 2 + errors.max(axis=0))[accepted]
        known.codes[chosen], self.verdict[chosen] = Status.KINK.code, SUBGRADIENT
        for row, (one_side, other) in zip(known.rows[chosen].tolist(), slopes.T[accepted].tolist(), strict=True):
            told = f"the slopes near x differ: {one_side:.6g} on the left, {other:.6g} on the right"
            self.examination.told[row, self.column] = told

    def sizes(self, places: Places) -> Floats:
        """Give what bounds are compared with."""
        return self.examination.sizes(places)

    def clear(self, places: Places) -> float:
        """Give a step at which noise is small beside the parameters."""
        with np.errstate(all="ignore"):
            steps = self.numeric.level[self.known.rows[places]] / (self.sizes(places) * CLEAR)
        return float(np.nan_to_num(steps, posinf=0.0).max())
