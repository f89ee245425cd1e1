"""The function descend: it follows the gradient of f, and says why it stopped."""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from mibun.descent.course import Course, Look, Vector
from mibun.descent.diagnosis import AT_THE_END, ON_THE_WAY, Verdict, deep, fallen, grown, steady
from mibun.descent.landscape import Landscape, Spent
from mibun.descent.line_search import WORDS, search
from mibun.descent.path import Path, PathStatus, Progress
from mibun.descent.rules import GradientDescent, Rule, choose_rule
from mibun.descent.settle import finished, jumps, mistaken, runaway, settled, still, unfinished
from mibun.descent.spsa import SPSA
from mibun.errors import InputError
from mibun.evaluate.calls import one_point_at_a_time
from mibun.evaluate.serial import OUTSIDE, shown
from mibun.given import taken
from mibun.options import asked

__all__ = ["descend"]

DEFAULT: Final = GradientDescent(learning_rate=0.1)
#: Falls that end where f is no number, as many times what f was, belong to a runaway, smaller ones to an edge.
FAR: Final = 1e3
#: What a wrong gradient leads to.
SUSPECT: Final = (PathStatus.DIVERGED, PathStatus.STALLED, PathStatus.OSCILLATING)


def descend(
    f: Callable[[Any], Any],
    x0: Any,
    *,
    rule: str | Rule = DEFAULT,
    steps: int = 100,
    gradient: Callable[[Any], Any] | SPSA | None = None,
    method: Any = "adaptive",
    maximize: bool = False,
    line_search: str | None = None,
    bounds: Any = None,
    tolerance: float | None = None,
    callback: Callable[[Progress], object] | None = None,
    evaluator: Any = None,
    budget: int | None = None,
) -> Path:
    """Go down along the gradient of f, point by point, and say why that ended.

    Parameters
    ----------
    f : callable
        From x to one real number, as a number or as an array with one entry.
    x0 : number, array or structure
        Where to begin. It is never changed; f gets copies.
    rule : rule or str
        How an update follows from the gradient: `GradientDescent`, `Momentum`, `AdaGrad`, `RMSProp` or `Adam`, or
        "gradient descent", "momentum", "adagrad", "rmsprop", "adam" with their defaults. Default:
        ``GradientDescent(learning_rate=0.1)``.
    steps : int
        Most updates. Default: 100.
    gradient : callable or SPSA, optional
        From x to the gradient of f, built like x. One that returns a `Derivative` has its error used, so
        ``lambda x: mb.gradient(f, x, rtol=1e-3)`` sets what else can be set; plain numbers are taken as right but for
        their rounding. ``mb.SPSA()`` estimates it from few values. Default: differences by `method`.
    method : str or method value
        As of `mibun.gradient`. Default: "adaptive".
    maximize : bool
        Go up instead. Default: False.
    line_search : str, optional
        "armijo" or "wolfe", with GradientDescent: the length of each step is searched for, first at the learning rate
        and later at twice the last one. Default: None, the learning rate alone.
    bounds : (lower, upper), optional
        f is not evaluated outside them, and points beyond are moved onto them. As of `mibun.gradient`.
    tolerance : float, optional
        Stop when the Euclidean norm of the gradient is at most that. Default: when every entry of it is below its own
        error.
    callback : callable, optional
        Called with a `Progress` at every point; it stops the descent by raising StopIteration.
    evaluator : Evaluator, optional
        Who evaluates f: a gradient's points at once, by its workers; with a store a descent that was cut off goes on
        where it was, as it repeats no evaluation.
    budget : int, optional
        Most evaluations, never passed; but a gradient of yours that evaluates f by itself is asked as long as there is
        left what it has taken at most.

    Returns
    -------
    Path
        Every point with f, gradient and error, and a `PathStatus` with a message: the number behind it, and what to do.

    Raises
    ------
    InputError
        If x0, an option or what f returns cannot be used.
    Exception
        What f raises at x0; later on ArithmeticError and ValueError end the descent, and everything else is raised.

    Notes
    -----
    A slope that is below its own error has no known sign. It is taken as 0, so no rule, however it scales the gradient,
    steps along it blindly. When all slopes are, the surroundings of the point are looked at: the curvatures (by the
    Hessian up to 40 entries, by 12 products with vectors beyond), and f itself along directions in which they may be 0.
    So a saddle and a plateau are told from a minimum. Of a problem with more than 40 entries only extreme curvatures
    are known, and a saddle can be missed.

    A gradient takes some 13 evaluations an entry of x, fewer with a method of fixed steps. Where f is noisy, that is
    measured once, and a gradient keeps to it.

    Gradient descent is slow on hard smooth problems; that is no fault of the gradient. There,
    ``scipy.optimize.minimize(f, x0, jac=mb.scipy.jac(f))`` needs far fewer steps.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> path = mb.descend(lambda x: (x[0] - 1) ** 2 + 2 * x[1] ** 2 + 1, [-3.0, 4.0], steps=300)
    >>> path.success, path.status, bool(np.abs(path.x - [1, 0]).max() < 1e-14)
    (True, PathStatus.CONVERGED, True)

    A learning rate that is too large, and one that is too small:

    >>> print(mb.descend(lambda x: x[0] ** 2 + x[1] ** 2, [-3, 4], rule=mb.GradientDescent(10.0)).message)
    f grew 361.0x a step, to 1.22e+32; curvature along the path is 2.0, so the learning rate must be below 1.0
    >>> mb.descend(lambda x: x[0] ** 2 + x[1] ** 2, [-3, 4], rule=mb.GradientDescent(1e-10)).status
    PathStatus.STALLED

    A saddle, which the gradient alone cannot tell from a minimum:

    >>> print(mb.descend(lambda x: x[0] ** 2 - x[1] ** 2, [0.0, 0.0]).status.value)
    the slope is 0 within its error, but f falls in some direction; go on from a point along it
    """
    asked(f, method, None, 0.0, bounds, None, budget, False)
    rule, steps = choose_rule(rule), _checked_steps(steps)
    if not (gradient is None or callable(gradient) or isinstance(gradient, SPSA)) or isinstance(gradient, type):
        raise InputError(
            f"gradient is {gradient!r}; expected a function from x to the gradient of f, built like x, mibun.SPSA(), "
            "or None: differences"
        )
    if not isinstance(maximize, bool | np.bool_):
        raise InputError(f"maximize is {maximize!r}; expected True or False")
    _check_line_search(line_search, rule, gradient, bounds)
    _check_tolerance(tolerance)
    if callback is not None and not callable(callback):
        raise InputError(f"callback is {callback!r}; expected a function of a Progress, or None")
    given = taken(x0, bounds)
    here, remote = one_point_at_a_time(f, evaluator), None if evaluator is None else (f, evaluator)
    landscape = Landscape(here, given, method, gradient, bool(maximize), budget, remote)
    course = _course(landscape, rule, line_search, gradient, tolerance, maximize)
    return _Descent(landscape, course, given.vector, steps, line_search, callback).path()


def _course(
    landscape: Landscape, rule: Rule, line_search: str | None, gradient: Any, tolerance: float | None, maximize: bool
) -> Course:
    """Begin a record."""
    lower, upper = landscape.limits or (None, None)
    return Course(
        rule=rule,
        searched=line_search is not None,
        sampled=isinstance(gradient, SPSA),
        lower=lower,
        upper=upper,
        tolerance=None if tolerance is None else float(tolerance),
        units=landscape.units,
        name="-f" if maximize else "f",
    )


class _Descent:
    """One descent: what `descend` keeps between its steps."""

    def __init__(
        self,
        landscape: Landscape,
        course: Course,
        start: Vector,
        steps: int,
        line_search: str | None,
        callback: Callable[[Progress], object] | None,
    ) -> None:
        self.landscape, self.course, self.steps = landscape, course, steps
        self.line_search, self.callback = line_search, callback
        self.x = landscape.inside(start)
        self.state = course.rule.init(self.x)
        self.rate = course.rule.learning_rate

    @np.errstate(all="ignore")  # a runaway overflows, and the verdict says so
    def path(self) -> Path:
        """Go down until there is a verdict, and write everything down."""
        landscape, course = self.landscape, self.course
        try:
            verdict = self.go()
            while verdict is None:
                verdict = self.again()
        except Spent:
            if not course.points:
                raise InputError(
                    f"budget is {landscape.budget}, too little for one gradient; expected at least {14 * self.x.size} "
                    f"for x with {self.x.size} entries"
                ) from None
            verdict = Verdict(
                PathStatus.BUDGET_SPENT,
                f"{landscape.evaluations} of {landscape.budget} evaluations are spent after {course.updates} steps, "
                "and what comes next needs more: go on from x, or raise budget=",
            )
        except KeyboardInterrupt:
            if not course.points:
                raise
            verdict = self.stopped("Ctrl-C")
        return self.written(verdict)

    def stopped(self, by: str) -> Verdict:
        """Say who stopped it."""
        return Verdict(PathStatus.STOPPED, f"stopped by {by} after {self.course.updates} of {self.steps} steps")

    def go(self) -> Verdict | None:
        """Look, judge and move, until something ends it; None where the last point is worth another look."""
        lost = self.look()
        while lost is None:
            verdict, decided = self.judged()
            if decided:
                return verdict
            lost = self.move() or self.look()
        return lost

    def again(self) -> Verdict | None:
        """Look at the last point once more, with what is known of its noise now, and go on."""
        course = self.course
        course.points.pop()
        course.looks.pop()
        return self.go()

    def look(self) -> Verdict | None:
        """Look at f at the next point; the verdict if there is nothing to be seen."""
        first = not self.course.points
        if not np.isfinite(self.x).all():
            return self.lost("x itself is beyond the range of floats")
        try:
            look = self.landscape.look(self.x)
        except InputError:
            raise
        except OUTSIDE as reason:
            if first:
                raise
            return self.lost(f"f raised {type(reason).__name__}: {reason}")
        if not math.isfinite(look.loss) and not first:
            return self.lost(f"f is {self.landscape.sign * look.loss} at x = {shown(self.landscape.point(self.x))}")
        self.course.add(self.x, look)
        return None

    def judged(self) -> tuple[Verdict | None, bool]:
        """Say whether this is the end, and why."""
        course, landscape = self.course, self.landscape
        for check in ON_THE_WAY[: 1 if course.looks[-1].finite and still(course) else None]:
            verdict = check(course)
            if verdict is not None:
                return self.explained(verdict), True
        if not course.looks[-1].finite:
            return self.sloped(course.looks[-1]), True
        if still(course):
            return settled(landscape, course), True
        try:
            self.tell()
        except StopIteration:
            return self.stopped("the callback"), True
        if course.updates < self.steps:
            return None, False
        verdict = finished(landscape, course, f"all {self.steps} steps are done")
        for check in AT_THE_END:
            verdict = verdict or check(course)
        return self.explained(verdict or unfinished(landscape, course)), True

    def explained(self, verdict: Verdict) -> Verdict:
        """Add to some verdicts what only another look at f can tell."""
        course, landscape = self.course, self.landscape
        if verdict.status is PathStatus.STALLED and course.updates:
            verdict = finished(landscape, course, "x does not move any more") or verdict
        fell = course.looks[-1].loss < course.looks[0].loss
        if landscape.given and not verdict.status.success and (verdict.status in SUSPECT or not fell):
            verdict = mistaken(landscape, course, verdict)
        if verdict.status is PathStatus.OSCILLATING:
            return jumps(landscape, course, verdict)
        if verdict.status is PathStatus.DIVERGED and not steady(course) and course.losses()[-1] > course.losses()[0]:
            return runaway(landscape, course, verdict)
        return verdict

    def lost(self, what: str) -> Verdict:
        """Say what f was at a point that cannot be on the path; a runaway that got there is called so."""
        course = self.course
        changes = np.diff(course.losses(6))
        if len(changes) >= 2 and (changes > 0).all() and changes[-1] > changes[0]:
            return self.explained(Verdict(PathStatus.DIVERGED, f"{grown(course)}; then {what}"))
        faster = len(changes) >= 2 and bool((np.diff(changes) < 0).all()) and changes[0] < 0
        if faster and deep(course, -float(changes.sum()), FAR):
            return Verdict(PathStatus.DIVERGED, f"{fallen(course)}; then {what}")
        return Verdict(
            PathStatus.NOT_FINITE,
            f"{what}, where step {course.updates + 1} led; x is the last point before; give bounds=, or a smaller "
            "learning rate",
        )

    def sloped(self, look: Look) -> Verdict:
        """Say where f has no slope."""
        landscape, x = self.landscape, self.course.points[-1]
        if math.isfinite(look.loss):
            place = int(np.flatnonzero(~np.isfinite(look.gradient))[0])
            told = "; ".join(look.notes.get(place, ())) or "a slope that is not finite"
            what = f"f has no slope along {landscape.structure.place(place)}: {told}"
        else:
            what = f"f is {landscape.sign * look.loss}"
        return Verdict(
            PathStatus.NOT_FINITE,
            f"{what}, at x = {shown(landscape.point(x))}, after {self.course.updates} steps; start elsewhere, or give "
            "bounds=",
        )

    def tell(self) -> None:
        """Tell the callback."""
        if self.callback is None:
            return
        look, landscape = self.course.looks[-1], self.landscape
        tree = landscape.structure.unflatten
        self.callback(
            Progress(
                self.course.updates,
                self.steps,
                landscape.point(self.course.points[-1]),
                landscape.sign * look.loss,
                tree(landscape.sign * look.gradient, cast=False),
                tree(look.error.copy(), cast=False),
                landscape.evaluations,
            )
        )

    def move(self) -> Verdict | None:
        """Take the next step; the verdict where none is to be found."""
        look, course = self.course.looks[-1], self.course
        if self.line_search is None:
            slope = look.gradient if course.sampled else look.known
            new, self.state = course.rule.update(self.x, slope, self.state)
            self.x = self.landscape.inside(new)
            return None
        found = search(self.landscape, self.x, look, self.rate, self.line_search)
        if found is not None:
            self.rate, self.x = 2 * found.rate, found.point
            return None
        return self.explained(
            Verdict(
                PathStatus.STALLED,
                f"no step along minus the gradient lowers {course.name}, although the slope is {course.slope:.3g} ± "
                f"{course.doubt:.1g}",
            )
        )

    def written(self, verdict: Verdict) -> Path:
        """Make the result."""
        course, landscape = self.course, self.landscape
        tree, sign = landscape.structure.unflatten, landscape.sign
        return Path(
            x=landscape.point(course.points[-1]),
            points=tree(np.array(course.points), cast=False),
            losses=sign * course.losses(),
            gradients=tree(np.array([sign * look.gradient for look in course.looks]), cast=False),
            errors=tree(np.array([look.error for look in course.looks]), cast=False),
            status=verdict.status,
            message=verdict.message,
            evaluations=landscape.evaluations,
            maximize=sign < 0,
        )


def _checked_steps(steps: Any) -> int:
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise InputError(f"steps is {steps!r}; expected a whole number of updates, at least 1")
    return int(steps)


def _check_line_search(line_search: Any, rule: Rule, gradient: Any, bounds: Any) -> None:
    if line_search is None:
        return
    if line_search not in WORDS:
        raise InputError(
            f"line_search is {line_search!r}; expected 'armijo', 'wolfe', or None: the learning rate alone"
        )
    if not isinstance(rule, GradientDescent):
        raise InputError(f"line_search is {line_search!r} with {rule}; it goes with GradientDescent only")
    if isinstance(gradient, SPSA):
        raise InputError(f"line_search is {line_search!r} with {gradient}; f need not fall along a random direction")
    if line_search == "wolfe" and bounds is not None:
        raise InputError("line_search is 'wolfe' with bounds, which bend the way; write line_search='armijo'")


def _check_tolerance(tolerance: Any) -> None:
    real = isinstance(tolerance, int | float | np.number) and not isinstance(tolerance, bool)
    if tolerance is not None and (not real or not 0.0 < tolerance < math.inf):
        raise InputError(
            f"tolerance is {tolerance!r}; expected a finite number above 0, or None: as small as its own error"
        )
