"""Lead conversations: collect the points of a round, have them evaluated together, send each its values.

The points of one element are shared by all its conversations, one for each number that f returns: a point that one of
them had is not evaluated again for another. f(x) is shared by all elements of a gradient. A budget is split before the
start, and is never passed: a method keeps to its own part, and where several conversations share the points of an
element, one that asks for more than is left is run again on the values that are there, with a budget that ends it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from mibun.conversation import Common, Conversation, Estimate, Method, Request
from mibun.errors import InputError
from mibun.evaluate.serial import OUTSIDE, Faults, Serial, explain
from mibun.evaluate.values import NAN, Values
from mibun.evaluate.vectorized import Vectorized
from mibun.plan import Plan
from mibun.status import Status

__all__ = ["MOST", "SPENT", "Leading", "Led", "Round", "Talk", "alone", "lead", "shares"]

#: Most points that one conversation takes.
MOST: Final = 40
SPENT: Final = Estimate(NAN, 0.0, math.inf, Status.BUDGET_SPENT, 0.0, 0.0, "the budget had no points for it")
REAL: Final = Values.of(0.0)


class Led(NamedTuple):
    """What all conversations found."""

    estimates: list[list[Estimate]]  #: for each element, for each number that f returns
    centres: Any  #: f(x): one row if all elements share x, else one for each element
    evaluations: int
    faults: Faults
    values: Values
    common: Common | None = None  #: what elements found together: their estimates stand here, not above


@dataclass(slots=True)
class Talk:
    """One conversation, about one element and one number that f returns."""

    element: int
    output: int
    conversation: Conversation
    points: tuple[complex, ...]
    taken: int = 0


class Round(NamedTuple):
    """What some conversations ask for at once."""

    asked: list[tuple[int, complex]]
    going: list[Talk]
    ended: list[Talk]  #: what they ask for is not to be had


def shares(budget: int | None, count: int, least: int, most: int = MOST) -> list[int]:
    """Split a budget among `count` elements, each of which needs `least` points to say anything; 0 means none.

    Examples
    --------
    >>> from mibun.evaluate.drive import shares
    >>> shares(17, 3, 5), shares(12, 3, 5), shares(None, 2, 5), shares(1000, 2, 5)
    ([6, 6, 5], [5, 5, 0], [40, 40], [40, 40])
    """
    if budget is None:
        return [most] * count
    if budget >= count * least:
        base, more = divmod(budget, count)
        return [min(most, base + (i < more)) for i in range(count)]
    served = budget // least
    return [least] * served + [0] * (count - served)


def lead(
    method: Method,
    plan: Plan,
    requests: Sequence[Request],
    evaluator: Serial | Vectorized,
    budget: int | None = None,
    scalar: bool = False,
    centres: list[list[float]] | None = None,
    most: int = MOST,
    leader: "type[Leading] | None" = None,
) -> Led:
    """Lead one conversation for each element and each number that f returns, in lock-step.

    Parameters
    ----------
    method : Method
    plan : Plan
        What the coordinates mean.
    requests : sequence of Request
        One for each element; their budgets are replaced by the shares of `budget`.
    evaluator
        Evaluates points of the plan.
    budget : int, optional
        Most points in all. Default: 40 for each conversation.
    scalar : bool
        f must return one number, in any shape.
    centres : list, optional
        f(x), where it is known already.
    most : int
        Most points of one conversation.
    leader : type of Leading, optional
        How the rounds are led. Default: all conversations in lock-step.

    Raises
    ------
    InputError
        If the values of f do not fit together.
    Exception
        What f raises: at x, at every other point, or anything but ArithmeticError and ValueError.
    """
    count = len(plan.starts)
    least, asks_x = _first_round(method, plan.starts[0], plan.units[0], requests[0].order)
    served = [element for element, share in enumerate(shares(budget, count, least, most)) if share]
    centred = [0] if plan.shared or not served else served
    centres = evaluator.centres(centred) if centres is None else centres
    outputs, layout = evaluator.values.size, evaluator.values.structure
    if scalar and layout.size != 1:
        raise InputError(
            f"f returned {layout.size} numbers at x, {layout}; gradient and hessian are those of one number, "
            "use jacobian, or vjp with a cotangent"
        )
    pools = shares(budget, count, least, most * outputs)
    blank = [[SPENT] * outputs for _ in range(count)]
    leading = (leader or Leading)(method, plan, evaluator, len(centred), blank, most)
    for element in served:
        own = min(most, pools[element]) - (not asks_x)
        row = centres[0] if plan.shared else centres[centred.index(element) if len(centred) < count else element]
        leading.open(element, requests[element]._replace(budget=own), row, pools[element] - 1)
    leading.run()
    if not plan.shared and len(centred) < count:
        centres = _spread(centres, centred, count, outputs)
    evaluator.faults.everywhere(leading.evaluations - len(centred))
    return Led(leading.estimates, centres, leading.evaluations, evaluator.faults, evaluator.values)


def _first_round(method: Method, x: float, unit: float, order: int) -> tuple[int, bool]:
    """Count the points without which a method says nothing, x among them, and say whether it asks for x itself."""
    conversation = method.converse(x, Request(unit=unit, order=order))
    try:
        points = next(conversation)
    except StopIteration:
        return 1, True
    conversation.close()
    return len(points) + (x not in points), x in points


def _spread(centres: list[list[float]], centred: list[int], count: int, outputs: int) -> list[list[float]]:
    """Put f(x) of the elements that were served in their places, nan in the others."""
    spread = [[NAN] * outputs for _ in range(count)]
    for element, row in zip(centred, centres, strict=True):
        spread[element] = row
    return spread


class Leading:
    """The rounds of all conversations, and every value that f gave, by element and coordinate."""

    def __init__(
        self,
        method: Method,
        plan: Plan,
        evaluator: Serial | Vectorized,
        evaluations: int,
        estimates: list[list[Estimate]],
        most: int = MOST,
    ) -> None:
        self.most = most
        self.method, self.plan, self.evaluator = method, plan, evaluator
        self.evaluations, self.estimates = evaluations, estimates
        self.requests: dict[int, Request] = {}
        self.seen: dict[int, dict[complex, list[Any]]] = {}
        self.left: dict[int, int] = {}
        self.missing = [NAN] * len(estimates[0])
        self.talks: list[Talk] = []

    def open(
        self,
        element: int,
        request: Request,
        centre: list[Any],
        left: int,
        known: dict[complex, list[Any]] | None = None,
    ) -> None:
        """Start the conversations of an element, of which f(x) is known, and perhaps other values."""
        if element in self.evaluator.faults.lost:
            return
        start = self.plan.starts[element]
        self.requests[element], self.left[element] = request, left
        self.seen[element] = {start: centre, **(known or {})}
        for output in range(len(centre)):
            talk = Talk(element, output, self.method.converse(start, request), ())
            if self.went_on(talk, None):
                self.talks.append(talk)

    def run(self) -> None:
        """Lead all conversations to their ends."""
        while self.talks:
            begun = self.begin(self.talks)
            self.talks = self.finish(begun, self.evaluator(begun.asked) if begun.asked else [])

    def begin(self, talks: list[Talk]) -> Round:
        """Collect what some conversations ask for."""
        begun = Round([], [], [])
        for talk in talks:
            (begun.going if self.asks(talk, begun.asked) else begun.ended).append(talk)
        self.evaluations += len(begun.asked)
        return begun

    def finish(self, begun: Round, rows: Sequence[list[Any]]) -> list[Talk]:
        """Send all of them their values; give those that go on."""
        for (element, coordinate), row in zip(begun.asked, rows, strict=True):
            self.seen[element][coordinate] = row
        for talk in begun.ended:
            self.estimates[talk.element][talk.output] = self.cut_short(talk)
        lost = self.evaluator.faults.lost  # an element that has lost a point is at its end
        return [talk for talk in begun.going if talk.element not in lost and self.went_on(talk, self.answers(talk))]

    def asks(self, talk: Talk, asked: list[tuple[int, complex]]) -> bool:
        """Add the points of a conversation that are new to those of the round; False if they are not to be had."""
        element = talk.element
        seen, request = self.seen[element], self.requests[element]
        lower, upper, new = request.lower, request.upper, []
        points: Any = talk.points
        for point in points:
            if point not in seen:
                # a point of several axes is checked by its method, which knows the bounds of each
                if isinstance(point, tuple) or (lower <= point.real <= upper and abs(point) < math.inf):
                    new.append(point)
                else:
                    seen[point] = self.missing
        new = list(dict.fromkeys(new))
        if len(new) > self.left[element] or talk.taken + len(talk.points) > self.most:
            return False
        self.left[element] -= len(new)
        for point in new:
            seen[point] = self.missing  # until the round is evaluated
            asked.append((element, point))
        return True

    def answers(self, talk: Talk) -> list[Any]:
        """Collect the values that a conversation waits for."""
        seen, output = self.seen[talk.element], talk.output
        talk.taken += len(talk.points)
        return [seen[point][output] for point in talk.points]

    def went_on(self, talk: Talk, values: list[Any] | None) -> bool:
        """Send a conversation its values; False if that was its end, the estimate of which is kept."""
        try:
            talk.points = next(talk.conversation) if values is None else talk.conversation.send(values)
        except StopIteration as stop:
            self.estimates[talk.element][talk.output] = _given(stop.value)
            return False
        return True

    def cut_short(self, talk: Talk) -> Estimate:
        """End a conversation with what it has: lead it again on known values, with a budget of what it took so far."""
        talk.conversation.close()
        seen, request = self.seen[talk.element], self.requests[talk.element]._replace(budget=talk.taken)
        known = {point: row[talk.output] for point, row in seen.items()}
        return _replayed(self.method.converse(self.plan.starts[talk.element], request), known, talk.taken)


def _replayed(conversation: Conversation, known: dict[complex, Any], budget: int) -> Estimate:
    """Lead a conversation on known values alone; without an estimate at the end of its budget there is none."""
    try:
        points = next(conversation)
        while (budget := budget - len(points)) >= 0 and all(point in known for point in points):
            points = conversation.send([known[point] for point in points])
    except StopIteration as stop:
        return _given(stop.value)
    conversation.close()
    return SPENT


def _given(estimate: Any) -> Estimate:
    """Check what a conversation returned."""
    if isinstance(estimate, Estimate):
        return estimate
    raise InputError(f"the method returned {estimate!r} at the end of its conversation; expected an Estimate")


def alone(
    f: Callable[[float], Any], x: float, f0: float, method: Method, request: Request
) -> tuple[Estimate, int, Faults | None]:
    """Lead one conversation about a function from float to float, with f(x) known: `lead` without anything to plan.

    This is the inner loop of every scalar derivative, so it is written out: no NumPy, no function between it and f.
    Points that are asked for twice are evaluated twice. Returns what was found, the evaluations with that at x, and
    the exceptions that meant "outside the domain".
    """
    faults: Faults | None = None
    conversation, taken, rounds = method.converse(x, request), 0, []
    try:
        points = next(conversation)
        if x not in points:  # x counts, and its share is taken from the method
            conversation, taken = method.converse(x, request._replace(budget=request.budget - 1)), 1
            points = next(conversation)
        while (taken := taken + len(points)) <= request.budget:
            values: list[Any] = []
            for point in points:
                if point == x:
                    value = f0
                else:
                    try:
                        value = f(point)  # type: ignore[arg-type]
                    except OUTSIDE as reason:
                        faults = faults or Faults()
                        faults.met(0, point, reason)
                        value = NAN
                    except Exception as reason:
                        explain(reason, "x", point)
                        raise
                if type(value) is not float and (value := _number(value, point)) is None:
                    faults = faults or Faults()
                    faults.unexpected(0, point)
                    value = NAN
                values.append(value)
            rounds.append((points, values))
            points = conversation.send(values)
        conversation.close()
        taken -= len(points)
        known = {point: value for asked, given in rounds for point, value in zip(asked, given, strict=True)}
        estimate = _replayed(method.converse(x, request._replace(budget=len(known))), known, len(known))
    except StopIteration as stop:
        estimate = _given(stop.value)
    if faults is not None:
        faults.everywhere(taken - 1)
    return estimate, taken or 1, faults


def _number(value: Any, point: complex) -> Any:
    """Read a value of f that is not a float of Python; None where it is complex although f(x) is real."""
    if isinstance(value, float):
        return float(value)
    row = REAL.row(value, analytic=type(point) is complex)
    return None if row is None else row[0]
