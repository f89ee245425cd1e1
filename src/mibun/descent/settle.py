"""What it means that the slope is 0 within its error, or that it hardly changed: by a look around.

A slope of 0 can be a minimum, a saddle, a plateau, the edge that a bound makes, or nothing but noise. SciPy calls
all of them success.
"""

import math
from typing import Final

import numpy as np

from mibun.descent.course import Course, Vector
from mibun.descent.diagnosis import WINDOW, Verdict, expected, largest_rate, short, shrinking
from mibun.descent.landscape import Landscape
from mibun.descent.path import PathStatus
from mibun.descent.surroundings import NEAREST, Surroundings, curvatures, surroundings
from mibun.status import Status

__all__ = ["finished", "jumps", "mistaken", "runaway", "settled", "still", "unfinished"]

#: Gradients along random directions that have to agree.
SAMPLES: Final = 10
#: A descent that has done less than this share of what lies before it is stalled, or stands on a plateau.
SHARE: Final = 0.05
#: A slope that would change f by less than this share over the size of x is that of a plateau.
FLAT: Final = 1e-6
#: Noise that has fallen below this share of what it was is worth another look.
FELL: Final = 0.3
#: A gradient that was given may be off by this share: it can be an approximation.
WRONG: Final = 0.1
#: Learning rates below this share of the largest stable one can be raised.
LOW: Final = 0.25


def still(course: Course) -> bool:
    """Whether the slope is 0 along every entry that no bound holds, or below the tolerance.

    It is 0 within its error, or within what the nearest floats of x would change it by.
    """
    look, free = course.looks[-1], course.free
    if not look.finite:
        return False
    if course.sampled:
        return _still_sampled(course)
    if course.tolerance is not None and course.slope <= course.tolerance:
        return True
    known = course.curvatures(WINDOW)
    grain = float(known.max()) * course.grain if known.size and known.max() > 0 else 0.0
    floor = look.floor[free] + grain
    return bool((np.abs(look.gradient[free]) <= floor).all()) and bool(np.isfinite(floor).all())


def _still_sampled(course: Course) -> bool:
    """Whether no difference along the last directions was above the noise, or their mean is below the tolerance."""
    last = course.looks[-SAMPLES:]
    if len(last) < SAMPLES:
        return False
    if not any(look.known.any() for look in last):
        return True
    mean = np.mean([look.gradient for look in last], axis=0)
    return course.tolerance is not None and float(np.linalg.norm(mean)) <= course.tolerance


def settled(landscape: Landscape, course: Course) -> Verdict | None:
    """Say what the point is at which the slope is 0; None if f has less noise here, and is worth another look."""
    look, free = course.looks[-1], course.free
    if look.noisy:
        noise = landscape.measured_noise(course.points[-1])
        if 0 < noise < FELL * (landscape.noise or 0.0):
            landscape.noise = noise
            return None
        if noise > 0:
            return _drowned(course)
    if course.sampled:
        return Verdict(
            PathStatus.CONVERGED,
            f"{course.name} changes by no more than its rounding along {SAMPLES} random directions; its value is "
            f"{short(look.loss)}",
        )
    if not free.any():
        return Verdict(PathStatus.BOUNDS, _bounded(landscape, course))
    verdict = _judged(landscape, course, surroundings(landscape, course, free))
    if verdict.status is PathStatus.CONVERGED and look.noisy:
        return _drowned(course)
    if verdict.status is PathStatus.CONVERGED and not free.all():
        return Verdict(PathStatus.BOUNDS, f"{_bounded(landscape, course)}; elsewhere {verdict.message}")
    return verdict


def finished(landscape: Landscape, course: Course, why: str) -> Verdict | None:
    """Say, where a descent ends for another reason, whether f has nothing measurable left to fall."""
    known = course.curvatures(WINDOW)
    if course.tolerance is not None or course.sampled or not known.size or not known[-1] > 0:
        return None
    left = course.slope**2 / (2 * float(known[-1]))
    if left > course.eps * course.size:
        return None
    verdict = settled(landscape, course)
    if verdict is None or not verdict.status.success:
        return verdict
    return Verdict(
        verdict.status,
        f"{why}, and what {course.name} can still fall, {short(left)}, is below the rounding of what it was; "
        f"{verdict.message}",
    )


def unfinished(landscape: Landscape, course: Course) -> Verdict:
    """Say, when the steps are done, how far they have come: not at all, or part of the way."""
    first, look, slope = course.looks[0], course.looks[-1], course.slope
    turned = float(np.linalg.norm(look.gradient - first.gradient))
    if course.sampled or course.searched or turned > SHARE * float(np.linalg.norm(first.gradient)):
        return _spent(course)
    fall = first.loss - look.loss
    bends = curvatures(landscape, course.points[-1], course.free)
    top = bends[-1] if bends else None
    if top is not None and top.value > top.error:
        ahead = slope**2 / (2 * top.value)
        if ahead > 10 * course.eps * course.size:
            return _stalled(course, fall, ahead, top.value) if fall < SHARE * ahead else _spent(course)
    if slope * float(np.abs(course.points[-1]).max()) > FLAT * course.size:
        return _spent(course)
    bend = f"at most {short(top.value)}" if top is not None else "not known"
    return Verdict(
        PathStatus.PLATEAU,
        f"{course.name} is flat here: its slope is {short(slope)}, its curvature {bend}, and {course.updates} steps "
        f"lowered it by {short(fall)} to {short(look.loss)}; start elsewhere",
    )


def jumps(landscape: Landscape, course: Course, verdict: Verdict) -> Verdict:
    """Tell steps across a kink from those that swing in a bowl: both turn back, but a kink has no curvature."""
    known = course.curvatures(WINDOW)
    move = course.moves(1)[0]
    if not known.size or not move.any() or not known.max() > 0:
        return verdict
    here = landscape.along(course.points[-1], np.where(np.abs(move) == np.abs(move).max(), 1.0, 0.0), order=2)
    if not here.passes or abs(here.value) + here.error > SHARE * float(known.max()):
        return verdict
    return Verdict(
        PathStatus.OSCILLATING,
        f"the steps turn back and the slope stays as large, {short(course.slope)}, but there is no curvature, "
        f"{short(here.value)}: they jump across a kink. No fixed learning rate ends there: lower it as the descent "
        f"goes on; {course.rule.learning_rate!r} comes as near as {short(float(np.abs(move).max()))}",
    )


def runaway(landscape: Landscape, course: Course, verdict: Verdict) -> Verdict:
    """Say which learning rate is stable where a runaway began, where it grew faster with every step."""
    bends = curvatures(landscape, course.points[0], np.ones(course.points[0].shape, np.bool_))
    limit = largest_rate(course.rule, bends[-1].value) if bends and bends[-1].value > bends[-1].error else None
    if limit is None:
        return Verdict(verdict.status, f"{verdict.message}: lower the learning rate, {course.rule.learning_rate!r}")
    return Verdict(
        verdict.status,
        f"{verdict.message}. At the start it is at most {short(bends[-1].value)}, so there the learning rate must be "
        f"below {short(limit)}",
    )


def mistaken(landscape: Landscape, course: Course, verdict: Verdict) -> Verdict:
    """Say if the gradient that was given is not that of f, which explains whatever came of it."""
    for x, look in zip((course.points[0], course.points[-1]), (course.looks[0], course.looks[-1]), strict=True):
        slope = float(np.linalg.norm(look.gradient))
        if not 0.0 < slope < math.inf:
            continue
        found = landscape.along(x, look.gradient / slope, order=1)
        if found.passes and abs(found.value - slope) > found.error + WRONG * slope:
            return Verdict(
                verdict.status,
                f"the gradient that was given is not that of f: along itself it has the slope {short(slope)}, and "
                f"f has {short(landscape.sign * found.value)} ± {short(found.error)}. So {verdict.message}",
            )
    return verdict


def _stalled(course: Course, fall: float, ahead: float, curvature: float) -> Verdict:
    limit, rate = largest_rate(course.rule, curvature), course.rule.learning_rate
    if limit is None:
        away = math.sqrt(2 * ahead / curvature)
        better = (
            f"the minimum is about {short(away)} away, and a step moves x by about {rate!r}: raise the learning rate"
        )
    else:
        better = (
            f"curvature here is at most {short(curvature)}, so a learning rate up to {short(limit)} is stable: "
            f"take {short(limit / 2)} instead of {rate!r}"
        )
    return Verdict(
        PathStatus.STALLED,
        f"a step is expected to lower {course.name} by {short(expected(course))}, where it is known to "
        f"{short(course.looks[-1].noise)}; {course.updates} steps lowered it by {short(fall)} of about {short(ahead)} "
        f"that lie ahead: {better}",
    )


def _spent(course: Course) -> Verdict:
    """Say how f fell when the steps ended."""
    look = course.looks[-1]
    change = float(course.looks[-2].loss - look.loss)
    went = f"fell by {short(change)}" if change > 0 else f"rose by {short(-change)}" if change else "stayed the same"
    parts = [
        f"all {course.updates} steps are done; in the last one {course.name} {went}, to {short(look.loss)}, and its "
        f"slope is {short(course.slope)} ± {short(float(np.linalg.norm(look.error[course.free])))}"
    ]
    known, factor = course.curvatures(), shrinking(course)
    if not course.sampled and 0 < factor < 1:
        parts.append(f"the slope shrinks by {100 * (1 - factor):.2g} % a step")
    limit = largest_rate(course.rule, float(known.max())) if known.size and known.max() > 0 else None
    if limit is not None and not course.searched and course.rule.learning_rate < LOW * limit:
        parts.append(f"curvatures along the path are up to {short(known.max())}, so {short(limit / 2)} is stable")
    return Verdict(PathStatus.BUDGET_SPENT, f"{'; '.join(parts)}: go on from x, or raise steps=")


def _judged(landscape: Landscape, course: Course, around: Surroundings) -> Verdict:
    """Decide between saddle, plateau and minimum."""
    zero, down, falls = _zero(course), around.down, around.falls
    if down is not None:
        return Verdict(
            PathStatus.SADDLE,
            f"{zero}, but {course.name} curves down, by {short(down.value)} ± {short(down.error)}, along "
            f"{_way(landscape, down.direction)}: go on from a point along it",
        )
    if falls is not None:
        where = (
            f"falls by {short(-falls.change)} at a distance of {short(falls.distance)} along "
            f"{_way(landscape, falls.direction)}: go on from there"
        )
        if falls.distance > NEAREST * around.reach:
            return Verdict(PathStatus.PLATEAU, f"{course.name} does not change near x, but {where}")
        return Verdict(PathStatus.SADDLE, f"{zero}, but {course.name} {where}")
    if not around.rises:
        unused = "; does f use its argument?" if len({look.loss for look in course.looks}) == 1 else ""
        return Verdict(
            PathStatus.PLATEAU,
            f"{zero}, and {course.name} stays {short(course.looks[-1].loss)} in every direction that was looked at, to "
            f"a distance of {short(around.reach)}: a plateau, or a flat {course.goal}; start elsewhere to tell{unused}",
        )
    return Verdict(PathStatus.CONVERGED, f"{zero}, {_bowl(course, around)}")


def _bowl(course: Course, around: Surroundings) -> str:
    """Say how surely a point is a minimum."""
    lowest = around.lowest
    if math.isfinite(lowest):
        away = (course.slope + course.doubt) / lowest
        return (
            f"and {course.name} curves up by {short(lowest)} or more in every direction: a {course.goal} within "
            f"{short(away)} of x"
        )
    kinks = int((course.looks[-1].codes == Status.KINK.code).sum())
    kinked = f" ({kinks} kink{'s' * (kinks != 1)} among them)" if kinks else ""
    flat = sum(walk.change == 0 for walk in around.walks) // 2
    flats = f", though it is flat along {flat} of them" if flat else ""
    ways = len(around.bends) + len(around.walks) // 2
    found = f"a {course.goal}, as far as can be told"
    return f"and {course.name} falls along none of {ways} directions{kinked}{flats}: {found}"


def _drowned(course: Course) -> Verdict:
    return Verdict(
        PathStatus.NOISE_FLOOR,
        f"the noise of f is {short(course.looks[-1].noise)}, so its slope, {short(course.slope)}, is known to "
        f"± {short(course.doubt)} and not told from 0: a step would be chance; average f, or tighten the solver in it",
    )


def _bounded(landscape: Landscape, course: Course) -> str:
    places = np.flatnonzero(~course.free)
    x, look = course.points[-1], course.looks[-1]
    shown = [
        f"{landscape.structure.place(int(i))} = {short(float(x[i]))} (slope {short(float(look.gradient[i]))})"
        for i in places[:4]
    ]
    more = f" and {places.size - 4} more" if places.size > 4 else ""
    return f"{course.name} falls further only beyond the bounds of {', '.join(shown)}{more}"


def _zero(course: Course) -> str:
    """Say how small the slope is."""
    small = f"the slope is {short(course.slope)} ± {short(course.doubt)}"
    if course.tolerance is not None and course.slope <= course.tolerance:
        return f"{small}, below the tolerance {course.tolerance!r}"
    if course.slope <= course.doubt:
        return f"{small}, so 0 within its error"
    return f"{small}, as near to 0 as floats of x come" if course.slope < 1e-6 * course.size else small


def _way(landscape: Landscape, direction: Vector) -> str:
    """Name a direction by its largest parts."""
    order = np.argsort(-np.abs(direction))
    parts = [int(i) for i in order[:3] if abs(direction[i]) > 0.05 * abs(direction[order[0]])]
    named = ", ".join(f"{short(float(direction[i]))} of {landscape.structure.place(i)}" for i in parts)
    more = int((np.abs(direction) > 1e-3).sum()) - len(parts)
    return f"{named}{f' and less of {more} others' * (more > 0)}"
