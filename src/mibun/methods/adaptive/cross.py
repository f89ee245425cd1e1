"""The mixed second derivatives of all pairs of axes, on arrays over the pairs.

With the even parts e_i(s), e_j(s) of f at the steps s H_i, s H_j of two axes, and e_ij(s) that of both moved together,

    M(s) = (e_ij(s) - e_i(s) - e_j(s)) / (s^2 H_i H_j)  ->  f_ij + O(s^2),

where the axes are known already: two values a level, instead of the four of the textbook. Whatever f adds for each
axis alone cancels, so a pair that f separates gives 0 within rounding at the first level and asks for no second one.
Neville's scheme in s^2 takes the levels to s = 0; they are the rungs of the ladder, so that no value is new on an
axis that took the common course. Where f can be evaluated on one side of an axis only, one corner of the square is
used in place of two, (f(x + a + b) - f(x + a) - f(x + b) + f(x)) / (a b), extrapolated in s.
"""

from collections.abc import Generator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.methods.adaptive.curvature import ENOUGH, Axes
from mibun.methods.adaptive.ladder import MARGIN, RUNGS
from mibun.status import Status

__all__ = ["LEVELS", "Ask", "Cross", "cross", "levels"]

Array = NDArray[np.float64]
Places = NDArray[np.intp]

#: Levels of a corner are halved: all powers of s are there, and a coarse grid has less of their noise.
LEVELS: Final = {True: RUNGS, False: tuple(2.0**-i for i in range(len(RUNGS)))}
#: Where more than this is left after all levels, f is not resolved.
LOST: Final = 1e-3


class Ask(NamedTuple):
    """Points on axes, and points of pairs, each with a row for every sign."""

    axes: Places
    points: Array
    pairs: Places
    scales: Array  #: of the steps of both axes


class Cross(NamedTuple):
    """The mixed derivatives of the pairs."""

    value: Array
    truncation: Array
    rounding: Array
    scale: Array  #: share of the steps that was used
    codes: NDArray[np.uint8]


Asking = Generator[Ask, tuple[Array, Array], Cross]


class _Wish(NamedTuple):
    """When a pair may stop: by default at `ENOUGH` of its entry, or of the mean of the curvatures of its axes."""

    size: Array  #: of the entries to be expected
    rtol: float
    atol: float

    def met(self, value: Array, error: Array, active: Places) -> NDArray[np.bool_]:
        asked = self.rtol or self.atol
        wanted = self.rtol * np.abs(value) if asked else ENOUGH * np.maximum(np.abs(value), self.size[active])
        return error <= self.atol + wanted


def levels(axes: Axes, step: Array, mirrored: bool) -> list[Array]:
    """Give the points on all axes that the levels have, (signs, axes)."""
    signs = np.array([1.0, -1.0] if mirrored else [1.0])[:, None]
    return [axes.x + s * signs * step for s in LEVELS[mirrored]]


def cross(
    axes: Axes,
    step: Array,
    first: Places,
    second: Places,
    most: Places,
    size: Array,
    rtol: float,
    atol: float,
) -> Asking:
    """Converse about the pairs (first, second): mirrored ones, or, if any axis has one side, the corners of all.

    Parameters
    ----------
    step : array
        The steps of the axes at the first level; negative on an axis that only has values below x.
    most : array of int
        Levels that each pair may ask for.
    size : array
        Size of the entries to be expected, such as sqrt(f_ii f_jj).
    """
    mirrored = not axes.side[np.concatenate([first, second])].any()
    points = levels(axes, step, mirrored)
    wish = _Wish(size, rtol, atol)
    empty = np.full(first.size, np.nan), np.zeros(first.size), np.full(first.size, np.inf)
    found = Cross(*empty, np.ones(first.size), np.zeros(first.size, np.uint8))
    active, table, losses = np.flatnonzero(most > 0), list[Array](), list[Array]()
    t = [s * s if mirrored else s for s in LEVELS[mirrored]]
    for k, s in enumerate(LEVELS[mirrored]):
        if not active.size:
            break
        i, j = first[active], second[active]
        takes_part = np.zeros(axes.x.size, bool)
        takes_part[i] = takes_part[j] = True
        moved = np.flatnonzero(takes_part)
        scales = np.repeat([[s], [-s]][: len(points[k])], active.size, axis=1)
        along, apart = yield Ask(moved, points[k][:, moved], active, scales)
        part, level = np.full(axes.x.size, np.nan), np.full(axes.x.size, np.nan)
        part[moved] = _part(along, axes.fx)
        level[moved] = np.maximum(axes.noise[moved], axes.unit[moved] * np.abs(along).max(axis=0))
        area = s * s * step[i] * step[j]
        rough = np.maximum(np.maximum(level[i], level[j]), axes.unit[i] * np.abs(apart).max(axis=0))
        row = [((_part(apart, axes.fx) - part[i]) - part[j]) / area]
        lost = [4 * MARGIN * rough / np.abs(area)]
        factors = [1 / (t[k - m] / t[k] - 1) for m in range(1, k + 1)]
        doubt = np.maximum(axes.doubt[i], axes.doubt[j])
        done = _extended(found, active, (row, lost), (table, losses), factors, doubt, wish, s)
        stay = ~done & (most[active] > k + 1)
        found.codes[active[~done & ~stay]] = Status.BUDGET_SPENT.code if k + 1 < len(t) else 0
        active = active[stay]
        table, losses = [entry[stay] for entry in row], [entry[stay] for entry in lost]
    _judge(found, wish, most)
    return found


def _part(values: Array, fx: float) -> Array:
    """Give the even part of mirrored values, or the change at the one."""
    if len(values) == 1:
        change: Array = values[0] - fx
        return change
    up, down = values
    even: Array = ((up - fx) - (fx - down)) / 2
    return even


def _extended(
    found: Cross,
    active: Places,
    rows: tuple[list[Array], list[Array]],
    before: tuple[list[Array], list[Array]],
    factors: list[float],
    doubt: Array,
    wish: _Wish,
    s: float,
) -> NDArray[np.bool_]:
    """Extrapolate a new level with those before it, keep what is better than before, and tell which pairs are done."""
    row, lost = rows
    if not before[0]:
        # f separates the two axes as far as floats can tell
        apart = np.abs(row[0]) <= lost[0]
        at = active[apart]
        found.value[at], found.truncation[at], found.rounding[at] = row[0][apart], np.abs(row[0][apart]), lost[0][apart]
        return apart
    for m, (factor, value, loss) in enumerate(zip(factors, *before, strict=True)):
        new = row[-1] + (row[-1] - value) * factor
        truncation = np.abs(new - row[-1])
        rounding = lost[-1] * (1 + factor) + loss * factor
        if m:
            gap = np.abs(new - value)
            slow = (gap > 2 * rounding) & (gap > np.abs(row[-1] - before[0][m - 1]) / 4)
            truncation = np.where(slow, 2 * gap, np.maximum(truncation, gap / 4))
        truncation *= doubt
        bound, known = truncation + rounding, found.truncation[active] + found.rounding[active]
        # where a closer look contradicts a bound, that one agreed by chance
        better = (bound < known) | (np.abs(new - found.value[active]) > bound + known)
        at = active[better]
        for into, part in zip(found[:3], (new, truncation, rounding), strict=True):
            into[at] = part[better]
        found.scale[at] = s
        row.append(new)
        lost.append(rounding)
    truncation, rounding = found.truncation[active], found.rounding[active]
    return (truncation <= rounding) & (rounding < np.inf) | wish.met(found.value[active], truncation + rounding, active)


def _judge(found: Cross, wish: _Wish, most: Places) -> None:
    """Name the pairs without an answer."""
    nothing = ~np.isfinite(found.truncation + found.rounding)
    spent = found.codes == Status.BUDGET_SPENT.code
    found.codes[nothing] = Status.UNRESOLVED.code
    found.codes[(nothing & spent) | (most == 0)] = Status.BUDGET_SPENT.code
    limited = found.truncation > found.rounding
    error, every = found.truncation + found.rounding, np.arange(len(found.value))
    lost = error > LOST * np.maximum(np.abs(found.value), wish.size)
    if wish.rtol or wish.atol:
        lost = ~wish.met(found.value, error, every)
    found.codes[~nothing & ~spent & limited & lost] = Status.UNRESOLVED.code
    found.value[nothing], found.truncation[nothing], found.rounding[nothing] = np.nan, 0.0, np.inf
