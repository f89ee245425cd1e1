"""Why a descent goes nowhere: one small function for each reason, over the course alone.

Each gives a verdict with the number behind it and what to do, or None. Those of `ON_THE_WAY` are asked at every point,
those of `AT_THE_END` when the steps are done, in this order. What it means that the slope is 0 is said by `settle`.

How large a learning rate can be follows from the curvature c of f along the path: on a quadratic, gradient descent
multiplies the distance to the minimum by 1 - learning_rate·c a step, so it diverges beyond 2/c; with momentum m that is
2(1 + m)/c, with Nesterov's 2(1 + m)/((1 + 2m)c).
"""

import math
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from mibun.descent.course import Course, Vector
from mibun.descent.path import PathStatus
from mibun.descent.rules import GradientDescent, Momentum, Rule

__all__ = [
    "AT_THE_END",
    "ON_THE_WAY",
    "WINDOW",
    "Verdict",
    "critical_momentum",
    "expected",
    "fallen",
    "grown",
    "largest_rate",
    "short",
    "shrinking",
    "steady",
]

#: So many rises in a row, and so large a growth in all, are a divergence; overshooting does less.
RISES: Final = 12
GROWTH: Final = 1e12
#: Steps that are looked at when all are done, and rises among the last of them that make a slow divergence.
WINDOW: Final = 20
LAST_RISES: Final = 5
#: A fall beyond so many times what f was, faster with every step, has no end.
DEPTH: Final = 1e6
#: A slope that shrinks by less than to this a step is not on its way to 0, if steps turn back.
SLOW: Final = 0.9
#: Share of the last steps that turn back.
TURNS: Final = 0.6
#: Updates that leave x as it is before a rule with a memory is given up.
UNMOVED: Final = 10


class Verdict(NamedTuple):
    """Why a descent stopped."""

    status: PathStatus
    message: str


def short(number: float) -> str:
    """Write a number with three digits: 2.0, 361.0, 1e-10."""
    rounded = float(f"{number:.3g}")
    return repr(rounded) if rounded == 0 or 1e-4 <= abs(rounded) < 1e6 else f"{number:.3g}"


def largest_rate(rule: Rule, curvature: float) -> float | None:
    """Give the learning rate beyond which a rule diverges on a quadratic; None where there is none."""
    if isinstance(rule, GradientDescent):
        return 2 / curvature
    if isinstance(rule, Momentum):
        return 2 * (1 + rule.momentum) / curvature / (1 + 2 * rule.momentum if rule.nesterov else 1)
    return None


def critical_momentum(rule: Rule, curvature: float) -> float:
    """Give the momentum beyond which the way along a curvature swings around the minimum (Polyak 1964)."""
    return max(0.0, 1 - math.sqrt(rule.learning_rate * curvature)) ** 2


def dead_gradient(course: Course) -> Verdict | None:
    """Find x + h == x: the difference is one of a number with itself."""
    x, look = course.points[-1], course.looks[-1]
    dead = np.flatnonzero(
        (look.steps > 0) & (x + look.steps == x) & (x - look.steps == x) & ~np.isfinite(look.gradient)
    )
    if not dead.size:
        return None
    i = int(dead[0])
    losses = course.losses(4)
    growing = f" ({grown(course)})" if len(losses) > 2 and (np.diff(losses) > 0).all() else ""
    return Verdict(
        PathStatus.DEAD_GRADIENT,
        f"after {course.updates} steps an entry of x is {float(x[i])!r}, and x + h == x for the step h = "
        f"{float(look.steps[i])!r} of the difference: there is no gradient, and further steps mean nothing"
        f'{growing}; take method="adaptive", which finds its steps',
    )


def diverged(course: Course) -> Verdict | None:
    """Find that f has grown at every one of the last steps, far beyond all that it was."""
    if course.updates < RISES or course.sampled:
        return None
    losses = course.losses(RISES + 1)
    size = max(abs(look.loss) for look in course.looks[:2])
    if not (np.diff(losses) > 0).all() or losses[-1] - losses[0] < GROWTH * size:
        return None
    return Verdict(PathStatus.DIVERGED, grown(course))


def unmoved(course: Course) -> Verdict | None:
    """Find updates below the spacing of the floats of x."""
    needed = 1 if isinstance(course.rule, GradientDescent) else UNMOVED
    look, x = course.looks[-1], course.points[-1]
    if course.updates < needed or course.sampled or any(map(np.any, course.moves(needed))):
        return None
    if not (course.looks[-2].known.any() and look.known.any()):  # it was not told to
        return None
    i = int(np.argmax(np.abs(look.known)))
    return Verdict(
        PathStatus.STALLED,
        f"x does not move: the learning rate {course.rule.learning_rate!r} times the slope {short(look.known[i])} is "
        f"below the spacing of floats at {short(float(x[i]))}, {short(float(np.spacing(abs(x[i]))))}; raise it",
    )


def ran_away(course: Course) -> Verdict | None:
    """Find, when the steps are done, that f is above its start and grows."""
    if course.updates < 2:
        return None
    losses = course.losses()
    if course.sampled:
        third = max(1, len(losses) // 3)
        start, middle, end = (float(np.mean(part)) for part in (losses[:third], losses[third:-third], losses[-third:]))
        away = start < middle < end and end - start > 10 * course.looks[-1].noise
    else:
        rises = np.diff(losses[-LAST_RISES - 1 :])
        away = bool((rises > 0).all()) and losses[-1] > losses[0] and rises[-1] > rises[0]
    return Verdict(PathStatus.DIVERGED, grown(course)) if away else None


def falling_away(course: Course) -> Verdict | None:
    """Find, when the steps are done, that f falls faster at every one of them: it has no minimum this way."""
    if course.updates < LAST_RISES + 1 or course.sampled:
        return None
    falls = -np.diff(course.losses(min(WINDOW, course.updates) + 1))
    if not (np.diff(falls) > 0).all() or not falls[0] > 0 or not deep(course, float(falls.sum())):
        return None
    return Verdict(PathStatus.DIVERGED, fallen(course))


def oscillating(course: Course) -> Verdict | None:
    """Find, when the steps are done, that they have undone each other while the slope stayed large."""
    count = min(WINDOW, course.updates)
    if count < 6 or course.sampled or course.searched:
        return None
    shrinks = shrinking(course)
    rises = int((np.diff(course.losses(count + 1)) > 0).sum())
    turns = int((_cosines(course.moves(count)) < -0.5).sum())
    if shrinks < SLOW or max(turns, 2 * rises) < TURNS * (count - 1):
        return None
    back = f"{turns} of the last {count - 1} steps turned back"
    done = back if turns > rises else f"{course.name} rose at {rises} of the last {count} steps"
    slower = (
        f"the slope shrinks by {100 * (1 - shrinks):.2g} % a step" if shrinks < 0.9999 else "the slope stays as large"
    )
    return Verdict(PathStatus.OSCILLATING, f"{done}, and {slower}: {_calmer(course)}")


def noise_floor(course: Course) -> Verdict | None:
    """Find, when the steps are done, that the noise of f hides what they change."""
    count = min(WINDOW, course.updates)
    look = course.looks[-1]
    if count < 6 or not look.noisy:
        return None
    losses, half = course.losses(count), count // 2
    fall = float(losses[:half].mean() - losses[-half:].mean())
    progress = expected(course)
    if progress > look.noise or fall > 3 * look.noise * math.sqrt(2 / half):
        return None
    return Verdict(
        PathStatus.NOISE_FLOOR,
        f"a step is expected to lower {course.name} by {short(progress)}, and its noise is {short(look.noise)}: over "
        f"the last {count} points it has not fallen by more than that; average f, or tighten the solver inside it",
    )


def expected(course: Course) -> float:
    """Say how much the last step was expected to lower f: its way times the slope."""
    return abs(float(course.looks[-2].gradient @ course.moves(1)[0]))


def shrinking(course: Course) -> float:
    """Give the factor by which the slope shrinks a step, over the last steps."""
    sizes = [float(np.linalg.norm(look.known)) for look in course.looks[-min(WINDOW, course.updates) :]]
    half = len(sizes) // 2
    if not half or not min(sizes) > 0:
        return 0.0
    first, last = (float(np.mean(np.log(part))) for part in (sizes[:half], sizes[-half:]))
    return math.exp((last - first) / (len(sizes) - half))


def steady(course: Course) -> bool:
    """Whether the curvature along the path has stayed: f runs away as a quadratic does."""
    known = course.curvatures()
    return known.size < 2 or bool(known[-1] <= 1.05 * abs(known[-2]))


def grown(course: Course) -> str:
    """Say how f grew, by the changes of its last steps, and what the curvature along the path allows."""
    losses = course.losses(4)
    rises = np.diff(losses)
    factor = float(rises[-1] / rises[-2]) if len(rises) > 1 and rises[-2] > 0 else math.nan
    times = f" {short(factor)}x a step," if factor > 1 else ""
    how = f"{course.name} grew{times} to {short(losses[-1])}"
    known = course.curvatures()
    if not known.size or not known[-1] > 0:
        return f"{how}; lower the learning rate, {course.rule.learning_rate!r}"
    if not steady(course):
        return f"{how}; curvature along the path grows, too, to {short(known[-1])}"
    limit = largest_rate(course.rule, float(known[-1]))
    so = f"so the learning rate must be below {short(limit)}" if limit else "lower the learning rate"
    return f"{how}; curvature along the path is {short(known[-1])}, {so}"


def deep(course: Course, fall: float, share: float = DEPTH) -> bool:
    """Tell whether a fall is far beyond what f was where the descent began."""
    return fall >= share * max(abs(look.loss) for look in course.looks[:2])


def fallen(course: Course) -> str:
    """Say how f falls without end."""
    falls = -np.diff(course.losses(3))
    factor = float(falls[-1] / falls[-2]) if len(falls) > 1 and falls[-2] else math.nan
    known = course.curvatures(WINDOW)
    bend = f", and curvature along the path is {short(float(known[-1]))}" if known.size else ""
    return (
        f"{course.name} falls {short(factor)}x as fast with every step, to {short(course.looks[-1].loss)}{bend}: it "
        "has no minimum this way; give bounds="
    )


def _cosines(moves: list[Vector]) -> Vector:
    """Give the cosines of the angles between neighbouring moves; 0 where one has no length."""
    units = [move / (float(np.linalg.norm(move)) or 1.0) for move in moves]
    return np.array([float(a @ b) for a, b in pairwise(units)])


def _calmer(course: Course) -> str:
    """Say which learning rate, or momentum, would not swing."""
    rule, known = course.rule, course.curvatures(WINDOW)
    known = known[known > 0]
    if not known.size:
        return f"lower the learning rate, {rule.learning_rate!r}, as the descent goes on"
    middle = float(np.median(known))
    if isinstance(rule, Momentum) and rule.momentum > critical_momentum(rule, middle):
        return (
            f"curvature along the path is {short(middle)}, where a momentum above "
            f"{short(critical_momentum(rule, middle))} swings at this learning rate; take that, or a lower rate"
        )
    curvature = float(known.max())
    limit = largest_rate(rule, curvature)
    if limit is None or rule.learning_rate < limit / 4:
        length = float(np.abs(course.moves(1)[0]).max())
        return (
            f"a step moves x by about {short(length)}, however small the slope: lower the learning rate, "
            f"{rule.learning_rate!r}, as the descent goes on"
        )
    return (
        f"curvature along the path is {short(curvature)}, so the descent diverges at learning rates from "
        f"{short(limit)} on, and {rule.learning_rate!r} is close: take {short(limit / 2)}"
    )


ON_THE_WAY: Final = (dead_gradient, diverged, unmoved)
AT_THE_END: Final = (ran_away, falling_away, oscillating, noise_floor)
