"""The second derivative along each axis, from the values that the gradient has asked for, on arrays over the axes.

The even part of a pair x ± h, over h^2, is f'' / 2 + c4 h^2 + c6 h^4 + ...: the even table of `ladder`, whose limit
is not 0 here but the curvature. Every window of neighbouring steps is extrapolated by Neville's scheme in h^2, its
rounding added up entry by entry, its truncation taken from the difference of neighbouring orders, and the window with
the least bound is taken, as in `noise`. Rounding falls with h^2, so a second derivative wants larger steps than a first
one: where it limits the largest window, wider pairs are asked for, and taken only if the new value lies within the
bounds of all before it. On one side of x the quotient is 2 (f(x + h) - f(x) - h f'(x)) / h^2, with all powers of h.
"""

from collections.abc import Generator
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.methods.adaptive.ladder import MARGIN

__all__ = ["ENOUGH", "Axes", "Curvature", "Seen", "Windows", "best_windows", "curvatures", "seen"]

Array = NDArray[np.float64]
Places = NDArray[np.intp]
Asking = Generator[tuple[Places, Array], Array, "Curvature"]

#: Rows of the table: the largest steps that were seen; smaller ones are lost in rounding.
ROWS: Final = 8
#: Most orders that are extrapolated: beyond them a window gains less than it loses in rounding.
ORDERS: Final = 5
#: Pairs that may be asked for.
SPARE: Final = 8
#: Two values contradict each other where they differ by so many times their bounds.
CHANCE: Final = 2.0
#: Good enough, relative to the curvature. True errors are about 30 times smaller; to ask for 1e-10 costs up to 40 %
#: more evaluations and halves them at most, for at the wider steps of its axes a pair needs more levels.
ENOUGH: Final = 4e-9


class Axes(NamedTuple):
    """What the gradient found out, over all axes."""

    x: Array
    fx: float
    slope: Array
    slope_error: Array
    noise: Array  #: bound on the error of one value
    unit: Array  #: relative spacing of the floats
    side: Array  #: 0, or the sign of the only side on which f can be evaluated
    reach: Array  #: steps up to which f was found to be smooth
    doubt: Array  #: factor of truncations: more than 1 where noise can hide them


class Seen(NamedTuple):
    """Values beside x on each axis, (rows, axes), largest step first, nan where there are no more."""

    step: Array
    up: Array
    down: Array  #: nan on an axis with one side


class Curvature(NamedTuple):
    """The second derivatives along the axes."""

    value: Array
    truncation: Array
    rounding: Array
    step: Array  #: the largest step at which f was found to be smooth


class Windows(NamedTuple):
    """The window with the least bound on each axis."""

    value: Array
    truncation: Array
    rounding: Array
    first: Places  #: its row of the largest step
    last: Places  #: its row of the smallest step


def seen(axes: Axes, elements: Places, coordinates: Array, values: Array) -> Seen:
    """Collect the pairs among all values, or the values on the one side that there is."""
    offset = coordinates - axes.x[elements]
    distance, side = np.abs(offset), axes.side[elements]
    near = (distance > 0) & (distance <= axes.reach[elements] * (1 + 2.0**-20)) & np.isfinite(values)
    near &= (side == 0) | (np.sign(offset) == side)
    # The larger steps first; within a pair the upper point first.
    order = np.flatnonzero(near)
    order = order[np.lexsort((-offset[order], -distance[order], elements[order]))]
    elements, values, side = elements[order], values[order], side[order]
    offset, distance = offset[order], distance[order]
    blur = 4 * axes.unit[elements] * (np.abs(axes.x[elements]) + distance)
    follows = np.zeros(order.size, bool)
    follows[:-1] = (elements[1:] == elements[:-1]) & (distance[:-1] - distance[1:] <= blur[:-1])
    follows[:-1] &= offset[1:] * offset[:-1] < 0
    chosen = np.flatnonzero(follows | (side != 0))
    other = np.where(side[chosen] == 0, chosen + 1, chosen)
    above = np.where(offset[chosen] >= offset[other], chosen, other)
    below = chosen + other - above
    axis = elements[chosen]
    rank = np.arange(chosen.size) - np.searchsorted(axis, axis)
    kept = rank < ROWS
    at = rank[kept], axis[kept]
    found = Seen(*(np.full((ROWS, axes.x.size), np.nan) for _ in Seen._fields))
    lone = side[chosen][kept] != 0
    found.step[at] = ((distance[above] + distance[below]) / 2)[kept]
    found.up[at] = values[above][kept]
    found.down[at] = np.where(lone, np.nan, values[below][kept])
    return found


def _quotients(axes: Axes, pairs: Seen) -> tuple[Array, Array]:
    """Give for each pair its quotient, and how far rounding can move it."""
    step, up, down = pairs
    above, below = up - axes.fx, axes.fx - down
    lone = axes.side != 0
    bend = np.where(lone, 2 * (above - axes.side * step * axes.slope), above - below)
    size = np.maximum(np.abs(up), np.where(lone, 0.0, np.abs(down)))
    level = MARGIN * np.maximum(axes.noise, axes.unit * np.maximum(size, abs(axes.fx)))
    lost = 4 * level + np.where(lone, 2 * step * axes.slope_error, 0.0)
    return bend / step**2, lost / step**2


def best_windows(t: Array, quotient: Array, lost: Array, doubt: Array) -> Windows:
    """Extrapolate every window of neighbouring rows to t = 0, and take the one with the least bound for each column.

    Parameters
    ----------
    t : array (rows, columns)
        What the truncation is a power series in, largest first.
    quotient, lost : arrays like t
        The values, and bounds on their rounding; nan where there is none.
    doubt : array
        Factor of the truncations.
    """
    rows, every = len(quotient), np.arange(quotient.shape[1])
    value, rounding, before = quotient, lost, quotient
    found: list[tuple[Array, Array, Array]] = []
    for j in range(1, min(rows, ORDERS + 1)):
        factor = 1 / (t[:-j] / t[j:] - 1)
        gap = value[1:] - value[:-1]
        change = gap * factor
        rounding = rounding[1:] + (rounding[1:] + rounding[:-1]) * factor
        new, truncation, gap = value[1:] + change, np.abs(change), np.abs(gap + change)
        if j > 1:
            slow = (gap > 2 * rounding) & (gap > np.abs(value[1:] - before[1:-1]) / 4)
            truncation = np.where(slow, 2 * gap, np.maximum(truncation, gap / 4))
        found.append((new, doubt * truncation, rounding))
        before, value = value, new
    values, truncations, roundings = (np.concatenate(parts) for parts in zip(*found, strict=True))
    bounds = truncations + roundings
    bounds[~np.isfinite(bounds)] = np.inf
    firsts, orders = _ends(rows)
    row = _agreed(values, bounds, firsts, orders)
    at = row, every
    rounding = np.where(bounds[at] < np.inf, roundings[at], np.inf)
    return Windows(values[at], truncations[at], rounding, firsts[row], (firsts + orders)[row])


def _agreed(values: Array, bounds: Array, firsts: Places, orders: Places) -> Places:
    """Choose the least bound that no window of smaller steps contradicts: far away, values agree that alias a wave.

    The truncation of a window of two rows is a guess, by which no other is judged.
    """
    every, left, reach = np.arange(values.shape[1]), bounds.copy(), CHANCE * bounds
    judges = (orders > 1)[:, None] & (bounds < np.inf)
    above, below = values + reach, values - reach
    while True:
        row: Places = np.argmin(left, axis=0)
        smaller = judges & (firsts[:, None] > firsts[row])
        low = np.max(below, axis=0, where=smaller, initial=-np.inf)
        high = np.min(above, axis=0, where=smaller, initial=np.inf)
        wrong = (above[row, every] < low) | (below[row, every] > high)
        if not wrong.any():
            return row
        left[row[wrong], every[wrong]] = np.inf


@lru_cache(maxsize=32)
def _ends(rows: int) -> tuple[Places, Places]:
    """Give the first row and the order of every window, in the order in which they are found."""
    counts = [(j, rows - j) for j in range(1, min(rows, ORDERS + 1))]
    firsts = np.concatenate([np.arange(count) for _, count in counts])
    return firsts, np.concatenate([np.full(count, j) for j, count in counts])


def curvatures(axes: Axes, pairs: Seen, noisy: NDArray[np.bool_], left: Places, rtol: float, atol: float) -> Asking:
    """Converse about the second derivatives along all axes: (places, points), two points a place.

    Parameters
    ----------
    noisy : array of bool
        Where f was found to be noisy: steps are doubled there, elsewhere they grow by 4.
    left : array of int
        Values that may still be asked for on each axis; counted down in place.
    """
    best, going = _weighed(axes, pairs)
    low, high = best.value - _error(best), best.value + _error(best)
    going &= axes.side == 0
    for _ in range(SPARE):
        wider, step = _next(axes, pairs, best, noisy)
        going &= ~_enough(axes, best, noisy, rtol, atol) & (step > 0) & (left >= 2)
        asked = np.flatnonzero(going)
        if not asked.size:
            break
        left[asked] -= 2
        h, x = step[asked], axes.x[asked]
        points = np.stack([x + h, x - h])
        values = yield asked, points
        more = _added(pairs, asked, points - x, values)
        found, fine = _weighed(axes, more)
        inside = (low <= found.value) & (found.value <= high) & (_error(found) < _error(best)) & fine
        taken = going & inside
        gain = _error(found) > 0.9 * _error(best)
        pairs = Seen(*(np.where(taken, new, old) for new, old in zip(more, _padded(pairs), strict=True)))
        best = Windows(*(np.where(taken, new, old) for new, old in zip(found, best, strict=True)))
        low = np.where(taken, np.maximum(low, best.value - _error(best)), low)
        high = np.where(taken, np.minimum(high, best.value + _error(best)), high)
        going = taken & ~(gain & wider)
    return Curvature(best.value, best.truncation, best.rounding, _smooth(axes, pairs, best.value))


def _smooth(axes: Axes, pairs: Seen, value: Array) -> Array:
    """Give the largest step at which f is smooth: one of the gradient, or with a quotient that is near its limit."""
    quotient, lost = _quotients(axes, pairs)
    near = np.abs(quotient - value) <= np.abs(value) / 4 + lost
    known = pairs.step <= axes.reach * (1 + 2.0**-20)
    return np.max(np.where(near | known, pairs.step, 0.0), axis=0, initial=0.0)  # type: ignore[no-any-return]


def _weighed(axes: Axes, pairs: Seen) -> tuple[Windows, NDArray[np.bool_]]:
    """Take the best window of each axis, and tell where there is one."""
    quotient, lost = _quotients(axes, pairs)
    t = np.where(axes.side == 0, pairs.step**2, pairs.step)
    best = best_windows(t, quotient, lost, axes.doubt)
    return best, np.isfinite(best.rounding)


def _error(best: Windows) -> Array:
    return best.truncation + best.rounding


def _enough(axes: Axes, best: Windows, noisy: NDArray[np.bool_], rtol: float, atol: float) -> NDArray[np.bool_]:
    """Tell where the bound is small enough, or where there is nothing that more values could show."""
    error, size = _error(best), np.abs(best.value)
    if rtol or atol:
        met: NDArray[np.bool_] = error <= atol + rtol * size
        return met
    return (error <= ENOUGH * size) | ((size <= error) & ~noisy)


def _next(axes: Axes, pairs: Seen, best: Windows, noisy: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Array]:
    """Tell where a wider pair is wanted, and give the steps: above the largest, below the smallest, or 0 for none."""
    every = np.arange(axes.x.size)
    wider = (best.first == 0) & (best.rounding > best.truncation)
    below = np.minimum(best.last + 1, len(pairs.step) - 1)
    lowest = np.isnan(pairs.step[below, every]) | (best.last + 1 == len(pairs.step))
    narrower = lowest & (best.truncation > best.rounding)
    step = np.where(wider, pairs.step[0] * np.where(noisy, 2.0, 4.0), 0.0)
    return wider, np.where(narrower, pairs.step[best.last, every] / 2, step)


def _padded(pairs: Seen) -> Seen:
    """Add a row without values."""
    return Seen(*(np.concatenate([part, np.full((1, part.shape[1]), np.nan)]) for part in pairs))


def _added(pairs: Seen, places: Places, offsets: Array, values: Array) -> Seen:
    """Add a pair on some axes, and sort all by their steps."""
    more = _padded(pairs)
    up, down = values
    more.step[-1, places] = np.where(np.isfinite(up + down), (offsets[0] - offsets[1]) / 2, np.nan)
    more.up[-1, places], more.down[-1, places] = up, down
    order = np.argsort(-more.step, axis=0)
    return Seen(*(np.take_along_axis(part, order, axis=0) for part in more))
