"""What the methods with a fixed step share: the step, the two differences, and the error estimated from them.

A difference D(h) with the exact weights of its stencil errs by C h^p + ..., p its accuracy; D(2h) errs by 2^p times
that. So |D(2h) - D(h)| / (2^p - 1) estimates the error of D(h). It is doubled here, because it is exact only where
the first term of the truncation stands alone. It stays an estimate: where f changes on scales below h, it can be
wrong by any factor, and only the adaptive method looks for that.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun import stencil
from mibun.conversation import Asking, Common, Conversation, Estimate, Request
from mibun.errors import InputError
from mibun.status import Status

__all__ = [
    "Side",
    "checked_accuracy",
    "checked_step",
    "described",
    "failed",
    "fixed",
    "fixed_course",
    "side",
    "textbook_step",
]

Floats = NDArray[np.float64]
SAFETY: Final = 2.0
#: Rounding of one value where floats are denormal.
TINY: Final = 1e-323


class Difference(NamedTuple):
    """One difference quotient, and what an error of 1 in each value would add to it."""

    value: float
    amplification: float
    step: float


class Side(NamedTuple):
    """A stencil as floats, ready for use, and the side of x that it looks at."""

    name: str
    accuracy: int
    weighted: tuple[tuple[float, float], ...]  #: offset and weight, without those of weight 0
    offsets: tuple[float, ...]  #: of all points of the two differences, in units of the smaller step, 0 first
    amplification: float  #: sum of the sizes of the weights
    order: int


@lru_cache(maxsize=128)
def side(name: str, accuracy: int, order: int = 1) -> Side:
    """Make the stencil of a derivative: "forward", "backward" or "central"."""
    make = {"forward": stencil.forward, "backward": stencil.backward, "central": stencil.central}[name]
    exact = make(order, accuracy)
    weighted = tuple((o, w) for o, w in zip(exact.float_offsets, exact.float_weights, strict=True) if w)
    offsets = {0.0, *exact.float_offsets, *(2 * offset for offset in exact.float_offsets)}
    return Side(name, accuracy, weighted, tuple(sorted(offsets, key=abs)), float(exact.rounding), order)


def checked_accuracy(accuracy: object, even: bool) -> int:
    """Refuse an accuracy for which there is no stencil."""
    whole = isinstance(accuracy, int) and not isinstance(accuracy, bool)
    if not isinstance(accuracy, int) or not whole or accuracy < 1 or (even and accuracy % 2):
        wanted = "an even integer of at least 2" if even else "an integer of at least 1"
        raise InputError(f"accuracy is {accuracy!r}; expected {wanted}")
    if accuracy > 20:
        raise InputError(f"accuracy is {accuracy}; expected at most 20: beyond it rounding takes more than it gives")
    return accuracy


def checked_step(step: object) -> float | None:
    """Refuse a step that is no positive finite number."""
    if step is None:
        return None
    if isinstance(step, bool) or not isinstance(step, int | float) or not 0.0 < step < math.inf:
        raise InputError(f"step is {step!r}; expected a positive finite number, or None for the textbook step")
    return float(step)


def described(name: str, accuracy: int, usual: int, step: float | None) -> str:
    """Write a method as the call that makes it, without what is usual."""
    words = [f"accuracy={accuracy}"] if accuracy != usual else []
    words += [f"step={step!r}"] if step is not None else []
    return f"{name}({', '.join(words)})"


def textbook_step(x: float, unit: float, accuracy: int, order: int = 1) -> float:
    """Give the step that balances rounding against truncation for an f of scale max(|x|, 1).

    Rounding grows like unit/h^order, truncation like h^accuracy; they meet near ``unit ** (1 / (accuracy + order))``
    times the scale. A power of 2, so that x ± h is exact wherever floats allow it.
    """
    exponent = round(math.log2(unit) / (accuracy + order))
    return math.ldexp(1.0, math.frexp(max(abs(x), 1.0))[1] - 1 + exponent)


def looked_at(x: float, offsets: Sequence[float], step: float, unit: float) -> dict[float, float]:
    """Give the point for every offset, as a float of the precision of x."""
    # Veltkamp's splitting rounds to the leading bits, so that f gets the very point that the quotient uses.
    splitter = unit * 2.0**52 + 1.0
    points = {}
    for offset in offsets:
        point = x + offset * step
        if splitter > 2.0 and (wide := point * splitter) - wide == 0:
            point = wide - (wide - point)
        points[offset] = point
    return points


def difference(
    side: Side, x: float, step: float, points: dict[float, float], values: dict[float, float], factor: int = 1
) -> Difference:
    """Apply a stencil with `factor` times the step, and divide by the power of the step that really happened.

    Points are rounded to floats, so x + h is not quite h away from x. The sum of weight times true distance, to the
    power of the order, over its factorial, is that of the quotient; for two points this is the distance between them.
    """
    order = side.order
    try:
        happened = math.fsum([weight * (points[offset * factor] - x) ** order for offset, weight in side.weighted])
        happened /= math.factorial(order)
        total = math.fsum([weight * values[offset * factor] for offset, weight in side.weighted])
        return Difference(total / happened, side.amplification / abs(happened), step * factor)
    except ArithmeticError:  # a sum beyond the floats, or no distance at all
        return Difference(math.nan, math.inf, step * factor)


def conclude(one: Difference, two: Difference, accuracy: int, size: float, lost: float, request: Request) -> Estimate:
    """Estimate the error of the difference with the smaller step from that with the larger one.

    `size` is the largest value of f; `lost` is the slope times x, by the rounding of which a value is off, too.
    """
    value = one.value
    truncation = SAFETY * abs(two.value - value) / (2.0**accuracy - 1.0)
    noise = max(request.noise or 0.0, request.unit * size + request.unit / 2 * lost + TINY)
    rounding = noise * one.amplification + 2 * request.unit * abs(value)
    status, message = Status.CONVERGED, ""
    error = truncation + rounding
    if not math.isfinite(error):
        return failed(Status.NOT_FINITE, one.step, "the values of f are too large for a difference of them")
    wanted = request.atol + request.rtol * abs(value)
    if error > wanted > 0.0:
        status = Status.UNRESOLVED
        message = f'the fixed step {one.step:.3g} does not reach the tolerance; method="adaptive" looks for the step'
    return Estimate(value, truncation, rounding, status, one.step, noise, message)


def failed(status: Status, step: float, message: str) -> Estimate:
    """Give the answer where there is no number."""
    return Estimate(math.nan, 0.0, math.inf, status, step, 0.0, message)


def fixed(sides: Sequence[Side], x: float, step: float | None, request: Request) -> Conversation:
    """Converse with the first stencil that has room within the bounds and finite values; the others are fallbacks."""
    h = step if step is not None else textbook_step(x, request.unit, sides[0].accuracy, sides[0].order)
    last = failed(Status.UNRESOLVED, h, f"the bounds leave no room for the step {h:.3g}")
    spent = 0
    for side in sides:
        own = _fitted(x, h, side, request) if step is None and side is sides[-1] else h
        points = looked_at(x, side.offsets, own, request.unit)
        if min(points.values()) < request.lower or max(points.values()) > request.upper:
            continue
        if len(set(points.values())) < len(points):
            return failed(Status.UNRESOLVED, own, f"the step {own:.3g} vanishes: x + h == x at x = {x!r}")
        if spent + len(points) > request.budget:
            last = failed(Status.BUDGET_SPENT, own, f"the stencil needs {len(points)} points")
            break
        spent += len(points)
        answers = yield tuple(points.values())
        values = dict(zip(points, answers, strict=True))
        if not math.isfinite(values[0.0]):
            return failed(Status.NOT_FINITE, own, "f is not finite at x itself")
        if all(map(math.isfinite, answers)):
            found = _judged(side, x, own, points, values, request)
            fallback = side is not sides[0] and found.status is Status.CONVERGED
            return _sided(found, side, own) if fallback else found
        reach = own * abs(side.offsets[-1])
        last = failed(Status.NOT_FINITE, own, f"f is not finite within {reach:.3g} of x, {side.name} of it")
    return last


def _fitted(x: float, h: float, side: Side, request: Request) -> float:
    """Shrink the textbook step to a power of 2 for which there is room within the bounds."""
    room = (request.upper - x) if side.offsets[-1] > 0 else (x - request.lower)
    reach = abs(side.offsets[-1])
    if 0 < room < reach * h:
        return math.ldexp(1.0, math.frexp(room / reach)[1] - 1)
    return h


def _judged(
    side: Side, x: float, h: float, points: dict[float, float], values: dict[float, float], request: Request
) -> Estimate:
    """Turn finite values into the answer."""
    one = difference(side, x, h, points, values)
    two = difference(side, x, h, points, values, factor=2)
    if side.order == 1:
        lost = abs(x * one.value)
    else:
        lost = abs(x) * max(abs(values[o] - values[0.0]) / abs(point - x) for o, point in points.items() if o)
    found = conclude(one, two, side.accuracy, max(map(abs, values.values())), lost, request)
    if len(set(values.values())) == 1:
        return found._replace(value=0.0, status=Status.INSENSITIVE, message="f is equal at all points")
    if not math.isfinite(found.value):
        return found
    kink = _kink(x, h, points, values, found)
    if kink and side.order > 1:
        message = f"{kink.message}: there is no derivative of order {side.order}"
        return kink._replace(value=math.nan, truncation=0.0, rounding=math.inf, message=message)
    return kink or found


def _sided(found: Estimate, side: Side, h: float) -> Estimate:
    """Say that a fallback was taken; a slope that hangs on the step, as that of sqrt at 0, is no slope."""
    message = f"the {side.name} difference was taken"
    if 10 * found.truncation > abs(found.value) and abs(found.value) * h > 64 * found.noise:
        return found._replace(status=Status.UNRESOLVED, message=f"{message}, and changes with the step")
    return found._replace(status=Status.ONE_SIDED, message=message)


def _kink(
    x: float, h: float, points: dict[float, float], values: dict[float, float], found: Estimate
) -> Estimate | None:
    """Find slopes of the two sides that differ, and do so by as much at h as at 2h; a smooth f halves the gap."""
    if not {-2.0, -1.0, 1.0, 2.0} <= points.keys():
        return None
    left, left2, right, right2 = (
        (values[offset] - values[0.0]) / (points[offset] - x) for offset in (-1.0, -2.0, 1.0, 2.0)
    )
    gap, drift = abs(right - left), max(abs(right2 - right), abs(left2 - left))
    if gap <= 8 * drift or gap <= 64 * found.noise / h:
        return None
    message = f"the slopes from the left ({left:.6g}) and from the right ({right:.6g}) differ"
    value, rounding = (left + right) / 2, 2 * found.noise / h
    return Estimate(value, gap / 2 + drift, rounding, Status.KINK, h, found.noise, message, left, right)


def fixed_course(side: Side, x: Floats, fx: Floats, step: float | None, request: Request) -> Asking:
    """Take many elements together, as `fixed` takes one: the same bits where it has nothing but a number to say.

    Stencils of more than two points leave it to `fixed`, whose sums are exact, as those of arrays are not, and so does
    a float32 x, whose points it rounds. Arrays are changed in place where they can be: half of the time is memory.
    """
    if len(side.weighted) != 2 or request.unit != Request().unit:
        return Common(np.zeros(x.size, bool), *(np.full(x.size, math.nan) for _ in range(5)))
    unit = request.unit
    h = np.full(x.size, step) if step is not None else _textbook_steps(x, unit, side.accuracy)
    offsets = [offset for offset in side.offsets if offset]
    asked = np.array(offsets)[:, None] * h
    asked += x
    answers = yield np.arange(x.size), asked
    moved = {0.0: np.zeros(1)} | dict(zip(offsets, asked - x, strict=True))
    values = {0.0: fx} | dict(zip(offsets, answers, strict=True))
    with np.errstate(all="ignore"):
        value, width = _quotient(side, moved, values, 1)
        truncation = np.abs(_quotient(side, moved, values, 2)[0] - value)
        truncation *= SAFETY
        truncation /= 2.0**side.accuracy - 1.0
        noise = np.abs(fx)
        for answer in answers:
            np.maximum(noise, np.abs(answer), out=noise)
        noise *= unit
        noise += unit / 2 * np.abs(x * value)
        noise += TINY
        if request.noise:
            np.maximum(noise, request.noise, out=noise)
        rounding = noise * (side.amplification / abs(side.weighted[1][1]) / width)
        rounding += 2 * unit * np.abs(value)
        error = truncation + rounding
        done = np.isfinite(error) & (value != 0.0)
        if request.rtol or request.atol:
            done &= error <= request.atol + request.rtol * np.abs(value)
        if step is not None:  # it may vanish beside x
            for one, other in pairwise(sorted(moved)):
                done &= moved[one] < moved[other]
        if len(side.offsets) == 5 and side.name == "central":
            done &= ~_kinks(h, moved, values, noise)
    return Common(done, value, truncation, rounding, h, noise)


def _textbook_steps(x: Floats, unit: float, accuracy: int) -> Floats:
    exponent = round(math.log2(unit) / (accuracy + 1))
    steps: Floats = np.ldexp(1.0, np.frexp(np.maximum(np.abs(x), 1.0))[1] - 1 + exponent)
    return steps


def _quotient(side: Side, moved: dict[float, Floats], values: dict[float, Any], factor: int) -> tuple[Floats, Floats]:
    """Give what `difference` gives, of two points with opposite weights that are powers of two, and their distance."""
    (low, _), (high, _) = side.weighted
    width = moved[high * factor] - moved[low * factor]
    slope = values[high * factor] - values[low * factor]
    slope /= width
    return slope, width


def _kinks(h: Floats, moved: dict[float, Floats], values: dict[float, Any], noise: Floats) -> NDArray[np.bool_]:
    """Tell where `_kink` finds one."""
    slopes = []
    for offset in (-1.0, -2.0, 1.0, 2.0):
        slope = values[offset] - values[0.0]
        slope /= moved[offset]
        slopes.append(slope)
    left, left2, right, right2 = slopes
    right2 -= right
    left2 -= left
    right -= left
    gap, drift = np.abs(right, out=right), np.maximum(np.abs(right2, out=right2), np.abs(left2, out=left2), out=left2)
    drift *= 8
    found: NDArray[np.bool_] = ~(gap <= drift)
    if found.any():  # nowhere, mostly
        found &= ~(gap <= 64 * noise / h)
    return found
