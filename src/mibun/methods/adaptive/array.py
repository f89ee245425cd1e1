"""The adaptive derivative of many elements at once: the common course, on arrays.

Nearly all elements take the same course: a look at five values, five pairs, the stop test. Here it is taken for all of
them together, operation by operation as in `scalar`, so that the results are the same bits. Whatever leaves the course
(about one element in fifty: no scale yet, noise, an edge, a kink) is named at the end, and is led alone.
"""

import math
from collections.abc import Generator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Asking, Common, Request
from mibun.methods.adaptive.ladder import (
    AMPLIFICATION,
    EVEN_CONTRAST,
    MARGIN,
    ODD_CONTRAST,
    RUNGS,
    Corner,
    corner,
    extrapolate,
    five_pairs,
    tables,
)
from mibun.methods.adaptive.scale import ASKED, EPS, EVEN, FINE, LOOKS, NEARLY, SMOOTH, UNEVEN, UNIT_STEP, UNSURE
from mibun.methods.adaptive.wide import BALANCED, DOUBLINGS, FALL, OFFSET, WEIGHTS, WIDE, error_afar, windows

__all__ = ["Array", "common_course"]

Array = NDArray[np.float64]
Places = NDArray[np.intp]
#: Columns for each m.
WEIGHTS_OF_ALL: Final = np.array(WEIGHTS).T


class _Look(NamedTuple):
    """As `scale.Look`, over all elements."""

    slope: Array
    first: Array
    second: Array
    curved: Array
    unit: Array
    size: Array
    change: Array
    fourth: Array

    def at(self, places: NDArray[Any]) -> "_Look":
        """Take some elements out."""
        return _Look(*(part[places] for part in self))


class _Found(NamedTuple):
    """What was found, over all elements."""

    value: Array
    truncation: Array
    rounding: Array
    step: Array
    unit: Array

    def put(self, places: NDArray[Any], value: Array, truncation: Array, rounding: Array) -> None:
        """Set it for some of them."""
        self.value[places], self.truncation[places], self.rounding[places] = value, truncation, rounding


def common_course(x: Array, fx: Array, request: Request) -> Asking:
    """Ask for points of many elements: (places, points), one column a place, answered in the shape of points."""
    top = _first_steps(x, request.unit, request.start)
    half = top / 2
    every = np.arange(x.size)
    looked = np.concatenate([fx[None], (yield every, np.stack([x + top, x - top, x + half, x - half]))])
    seen = _look(x, top, looked, request)
    halved = np.flatnonzero(_between(seen, 0.25, NEARLY))
    if halved.size:
        top[halved] = half[halved]
        at, quarter = x[halved], half[halved] / 2
        closer = yield halved, np.stack([at + quarter, at - quarter])
        looked[1:, halved] = np.concatenate([looked[3:, halved], closer])
        again = _look(at, top[halved], looked[:, halved], request)
        seen = _Look(*(_put(part, halved, new) for part, new in zip(seen, again, strict=True)))
    value, truncation, rounding = (np.full(x.size, math.nan) for _ in range(3))
    found = _Found(value, truncation, rounding, top.copy(), seen.unit.copy())
    done = yield from _parabolas(x, top, looked, seen, request)
    found.put(done, *(part[done] for part in _slopes(top, seen)))
    done |= yield from _growing(x, top, looked, seen, found, request)
    if request.rtol or request.atol:
        done |= _early(top, seen, found, request)
    chosen = np.flatnonzero(_between(seen, 0.0, 0.25) & ~done)
    far = chosen[_offset(seen)[chosen]]
    if far.size and not request.noise and request.unit == EPS:
        done |= yield from _wide(far, x, top, looked, seen, found)
        chosen = chosen[~done[chosen]]
    course = _Course(chosen, x[chosen], top[chosen], looked[:, chosen], seen.at(chosen), request)
    yield from course.climb()
    found.put(chosen, course.value, course.truncation, course.rounding)
    done[chosen] = course.kept
    return Common(done, *found)


def _parabolas(
    x: Array, top: Array, looked: Array, seen: _Look, request: Request
) -> Generator[tuple[Places, Array], Array, NDArray[np.bool_]]:
    """Tell where only a parabola is seen, its slope as exact as floats allow, and confirmed by one more pair."""
    enough: NDArray[np.bool_]
    enough = (seen.curved <= 8 * seen.unit) & (seen.curved < math.inf)
    few = np.flatnonzero(enough)
    near, step = seen.at(few), top[few]
    exact = _met(step, near, request) | ((3 * near.unit <= 1e-13 * near.first) & (step > 2.0**-7))
    rest = np.flatnonzero(~exact & (near.change > 4 * near.unit))
    exact[rest] = _growth(near.at(rest), step[rest]) < 4
    enough[few] = exact & ~_float32(x[few], looked[:, few])
    few = np.flatnonzero(enough)
    if few.size:
        f0, _, _, up2, down2 = looked[:, few]
        h = top[few] * RUNGS[2]
        up, down = yield few, np.stack([x[few] + h, x[few] - h])
        odd = (up - down) / 2 - seen.slope[few] * h
        even = ((up - f0) - (f0 - down)) - ((up2 - f0) - (f0 - down2)) * (2 * RUNGS[2]) ** 2
        enough[few] = ~(np.abs(odd) + np.abs(even) / 2 > 8 * seen.unit[few])
    return enough


def _met(top: Array, seen: _Look, request: Request) -> NDArray[np.bool_]:
    """Tell where the slope of a parabola meets the tolerance; one that everything meets asks for the scale."""
    slope, truncation, rounding = _slopes(top, seen)
    enough: NDArray[np.bool_] = truncation + rounding <= request.atol + request.rtol * np.abs(slope)
    return enough & (seen.change > 4 * seen.unit) & (request.atol < math.inf)


def _slopes(top: Array, seen: _Look) -> tuple[Array, Array, Array]:
    """Give slope, truncation and rounding of the parabolas."""
    return seen.slope, seen.curved / 2 / top, 3 * seen.unit / top + 2 * EPS * np.abs(seen.slope)


def _growing(
    x: Array, top: Array, looked: Array, seen: _Look, found: _Found, request: Request
) -> Generator[tuple[Places, Array], Array, NDArray[np.bool_]]:
    """Let the step grow where rounding hides the slope of a parabola; tell where that led to an answer."""
    done = np.zeros(x.size, bool)
    flat, enough = seen.change <= 4 * seen.unit, (3 * seen.unit <= 1e-13 * seen.first) & (top > 2.0**-7)
    enough |= _met(top, seen, request)
    at = np.flatnonzero((seen.curved <= 8 * seen.unit) & (seen.curved < math.inf) & ~flat & ~enough)
    at = at[~_float32(x[at], looked[:, at])]
    good, before = top[at], seen.at(at)
    factor = _growth(before, good)
    rest = factor >= 4
    for _ in range(LOOKS - 1):
        at, good, before, factor = at[rest], good[rest], before.at(rest), factor[rest]
        if not at.size:
            break
        step, near = good * factor, x[at]
        half = step / 2
        values = np.concatenate(
            [looked[:1, at], (yield at, np.stack([near + step, near - step, near + half, near - half]))]
        )
        now = _look(near, step, values, request)
        with np.errstate(all="ignore"):
            reach = (6 * before.unit + before.curved) / good + 8 * (now.unit + now.curved) / step
            away = np.abs(now.slope - before.slope) > reach
        small = (now.curved <= 8 * now.unit) & (now.curved < math.inf)
        single = small & _float32(near, values)
        away &= ~single & np.isfinite(now.curved)
        small &= ~single & ~away & (now.change > 4 * now.unit)
        factor = _growth(now, step)
        ended = small & ((3 * now.unit <= 1e-13 * now.first) | (factor < 4))
        for which, look, width in ((away, before, good), (ended, now, step)):
            found.put(at[which], *(part[which] for part in _slopes(width, look)))
            found.step[at[which]], found.unit[at[which]] = width[which], look.unit[which]
            done[at[which]] = True
        rest, good, before = small & ~ended, step, now
    return done


def _growth(seen: _Look, top: Array) -> Array:
    """Give what `scale.grown` gives."""
    unit8 = 8 * seen.unit
    with np.errstate(all="ignore"):
        factor = np.where(seen.second > unit8, 2.0 * seen.first / seen.second, 0.1 * seen.first / unit8)
        factor = np.where(seen.second >= seen.first, np.sqrt(seen.second / unit8) / 4, factor)
        factor = np.where((seen.first <= unit8) & (seen.second <= unit8), 1024.0, factor)
        factor = np.maximum(factor, np.where(top < UNIT_STEP, UNIT_STEP / top, 0.0))
        factor = np.minimum(factor, np.maximum(64.0, UNIT_STEP / top))
        factor = np.where(seen.first > unit8, np.minimum(factor, seen.size / seen.first), factor)
        factor = np.where(seen.second > unit8, np.minimum(factor, np.sqrt(seen.size / seen.second)), factor)
        power: Array = np.where(factor >= 1, np.ldexp(1.0, np.frexp(factor)[1] - 1), 1.0)
    return power


def _float32(x: Array, values: Array) -> NDArray[np.bool_]:
    """Tell where f computes in float32, as far as its values say so."""
    narrow: NDArray[np.bool_] = _single(values).all(axis=0) & ~_single(x)
    return narrow


def _single(values: Array) -> NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        c = values * 536870913.0
        same: NDArray[np.bool_] = c - (c - values) == values
    return same


def _between(seen: _Look, low: float, high: float) -> NDArray[np.bool_]:
    """Tell where curvature lies above `low` and up to `high` times the slope; nowhere, where it is not finite."""
    level = np.maximum(seen.first, seen.second)
    outside = ~np.isfinite(seen.curved)
    return (seen.curved > low * level) & (seen.curved <= high * level) & ~outside & (seen.curved > 8 * seen.unit)


def _offset(seen: _Look) -> NDArray[np.bool_]:
    """Tell where the wide ladder is tried, as `scalar` does."""
    level = np.maximum(seen.first, seen.second)
    far: NDArray[np.bool_] = (seen.curved <= FALL * level) & (OFFSET * level < seen.unit)
    return far


def _wide(
    places: Places, x: Array, top: Array, looked: Array, seen: _Look, found: _Found
) -> Generator[tuple[Places, Array], Array, NDArray[np.bool_]]:
    """Ask for three wide pairs; tell where the best window is taken, which is then put among what was found."""
    done = np.zeros(x.size, bool)
    x, top, looked, seen = x[places], top[places], looked[:, places], seen.at(places)
    level = np.maximum(seen.first, seen.second)
    balance = np.frexp(seen.unit)[1] + 2 * np.frexp(level)[1] - 3 * np.frexp(seen.curved)[1]
    m = np.minimum(np.maximum((balance - BALANCED) // 7, 0), DOUBLINGS)
    steps = [np.ldexp(top, m) * rung for rung in WIDE]
    more = yield places, np.stack([point for h in steps for point in (x + h, x - h)])
    with np.errstate(all="ignore"):
        unit = error_afar(x, looked[0], seen.unit, seen.second, top, more, steps[0])
        least = np.full(x.size, math.inf)
        best = [np.full(x.size, math.nan) for _ in range(3)]
        for value, gap, residual, noise in windows(looked[0], looked[1:], more, top, WEIGHTS_OF_ALL[:, m]):
            rounding = MARGIN * (noise * unit) + 2 * EPS * np.abs(value)
            better = gap + rounding < least
            least = np.where(better, gap + rounding, least)
            parts = (value, gap / 2 + 3 * residual, rounding)
            best = [np.where(better, part, before) for part, before in zip(parts, best, strict=True)]
        error = best[1] + best[2]
        agrees = np.abs(best[0] - seen.slope) <= error + (3 * seen.unit + seen.curved / 2) / top
        taken = (
            agrees & (error < MARGIN * AMPLIFICATION[4] * seen.unit / (top * RUNGS[4])) & np.isfinite(more.sum(axis=0))
        )
    done[places[taken]] = True
    found.put(done, *(part[taken] for part in best))
    found.step[done] = steps[0][taken]
    return done


def _put(into: Array, places: NDArray[Any], new: Array) -> Array:
    into[places] = new
    return into


def _early(top: Array, seen: _Look, found: _Found, request: Request) -> NDArray[np.bool_]:
    """Tell where five values meet the tolerance, as `Search.early` does, and put their slopes among what was found."""
    with np.errstate(all="ignore"):
        least = np.where(seen.fourth > EVEN * seen.curved, UNSURE, SMOOTH)
        least = np.where(np.asarray(request.start) > 0, ASKED, least)
        fall = np.maximum(seen.curved / np.maximum(seen.first, seen.second), least)
        slope, _, rounding = _slopes(top, seen)
        truncation = seen.curved / top * fall
        falls = _between(seen, 0.0, 0.25)
        enough = falls & (truncation + rounding <= request.atol + request.rtol * np.abs(slope))
    found.put(enough, slope[enough], truncation[enough], rounding[enough])
    return enough


def _first_steps(x: Array, eps: float, start: Any) -> Array:
    top = np.ldexp(UNEVEN, np.frexp(x)[1] - 4)
    top = np.where(np.abs(x) < (1e-290 if eps == EPS else 1e-30), UNIT_STEP * UNEVEN, top)
    return np.where(start > FINE * eps * np.abs(x), start, top)


def _look(x: Array, top: Array, values: Array, request: Request) -> _Look:
    eps = request.unit
    f0, up, down, up2, down2 = values
    with np.errstate(all="ignore"):
        u, v, p, q = up - f0, f0 - down, up2 - f0, f0 - down2
        odd, odd2, even, even2 = (u + v) / 2, p + q, (u - v) / 2, (p - q) / 2
        linear = odd2 + (odd2 - odd) / 3
        third, fourth = 4 / 3 * np.abs(odd - odd2), 4 / 3 * np.abs(even - 4 * even2)
        second = np.abs(even - 4 / 3 * (even - 4 * even2))
        change = np.maximum(np.maximum(np.abs(u), np.abs(v)), np.maximum(np.abs(p), np.abs(q)))
        slope = linear / top
        missed = np.abs(((x + top) - x) - top) + np.abs((x - (x - top)) - top)
        size = np.maximum(np.abs(f0), change)
        unit = np.maximum(request.noise or 0.0, eps * size + (eps * np.abs(x) + missed) * np.abs(slope) + 1e-323)
    return _Look(slope, np.abs(linear), second, np.maximum(third, fourth), unit, size, change, fourth)


class _Course:
    """The ladders of all elements that have found their scale."""

    def __init__(self, places: Places, x: Array, top: Array, looked: Array, seen: _Look, request: Request) -> None:
        self.places, self.x, self.top, self.looked, self.seen, self.request = places, x, top, looked, seen, request
        self.kept = np.zeros(x.size, bool)
        self.value, self.truncation, self.rounding = (np.full(x.size, math.nan) for _ in range(3))

    def climb(self) -> Generator[tuple[Places, Array], Array, None]:
        """Extrapolate five pairs, and more where the tables still contract."""
        steps = [self.top * RUNGS[k] for k in (2, 3, 4)]
        more = yield self.places, np.stack([point for h in steps for point in (self.x + h, self.x - h)])
        every = np.arange(self.x.size)
        with np.errstate(all="ignore"):
            at = five_pairs(self.looked[0], self.looked[1:], more, self.top)
            stopped = self.stop(at, every, widen=True) | ~np.isfinite(more.sum(axis=0))
            going = np.flatnonzero(~stopped & self.contracts(at, every))
        f0, ups, downs = self.looked[0], [*self.looked[1::2], *more[::2]], [*self.looked[2::2], *more[1::2]]
        yield from self.higher(
            going, *tables(f0[going], [up[going] for up in ups], [down[going] for down in downs], self.top[going])
        )

    def higher(
        self, going: Places, odd: list[list[Array]], even: list[list[Array]]
    ) -> Generator[tuple[Places, Array], Array, None]:
        """Add pairs to the ladders that contract, and drop each when it stops or no longer does."""
        for k in range(len(odd), len(RUNGS)):
            if not going.size:
                break
            h, x, f0 = self.top[going] * RUNGS[k], self.x[going], self.looked[0][going]
            up, down = yield self.places[going], np.stack([x + h, x - h])
            with np.errstate(all="ignore"):
                odd.append(extrapolate(odd[-1], (up - down) / (2 * h), k))
                even.append(extrapolate(even[-1], ((up - f0) - (f0 - down)) / 2, k))
                at = corner(odd, even)
                stay = ~self.stop(at, going, widen=False) & self.contracts(at, going)
            going = going[stay]
            odd, even = ([[entry[stay] for entry in row] for row in table] for table in (odd, even))

    def stop(self, at: Corner, places: Places, widen: bool) -> NDArray[np.bool_]:
        """Apply the stop test of `scalar`; with `widen`, an offset that asks for a wider ladder leaves the course."""
        top, unit, k, value = self.top[places], self.seen.unit[places], at.k, at.value
        h = top * RUNGS[k]
        gap = np.abs(value - at.before)
        level = np.maximum(np.maximum(self.seen.first[places], self.seen.second[places]), 1e-323)
        ratio = np.minimum(0.25, self.seen.curved[places] / level)
        rounding = AMPLIFICATION[k] * unit / h
        reached = gap * np.maximum(4 * ratio * RUNGS[k - 1] ** 2, 1 / 64) + at.residual / (2 * top)
        limit = np.maximum(np.maximum(rounding, 1e-13 * np.abs(value)), 1e-14 * self.seen.second[places] / top)
        truncation = gap + 3 * at.residual / h
        rounding = MARGIN * rounding + 2 * EPS * np.abs(value)
        good = truncation + rounding <= self.request.atol + self.request.rtol * np.abs(value)
        stopped: NDArray[np.bool_] = (reached <= limit) & np.isfinite(reached) | good
        kept = stopped & (good | (rounding <= 1.5e-10 * np.abs(value))) if widen else stopped
        for into, part in ((self.value, value), (self.truncation, truncation), (self.rounding, rounding)):
            into[places[kept]] = part[kept]
        self.kept[places[kept]] = True
        return stopped

    def contracts(self, at: Corner, places: Places) -> NDArray[np.bool_]:
        """Tell where the last pair brought the tables together by a factor of 8."""
        k, step = at.k, self.top[places] * RUNGS[at.k]
        now = np.maximum(np.abs(at.value - at.before) * step / ODD_CONTRAST[k], at.residual / EVEN_CONTRAST[k])
        step = self.top[places] * RUNGS[k - 1]
        before = np.maximum(
            np.abs(at.before - at.earlier) * step / ODD_CONTRAST[k - 1], at.residual_before / EVEN_CONTRAST[k - 1]
        )
        contracts: NDArray[np.bool_] = now <= before / 8
        return contracts
