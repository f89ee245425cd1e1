"""Lead the entries of a sparse Jacobian, colour by colour: together where the method can, and alone where one leaves.

All entries of a colour take the common course of the method on arrays, each with its own step, value and bound. An
entry that leaves the course is led alone, on the values that are known; those of one colour that do so share calls.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, cast, overload

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Asking, Common, Method, Request, Together
from mibun.evaluate.compressed import AskingRows, Compressed, Spent, led_at_once
from mibun.evaluate.drive import MOST, SPENT, Leading, Led
from mibun.evaluate.together import Rounds, known_values
from mibun.plan import Plan
from mibun.sparsity import Sparsity

__all__ = ["lead_coloured"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]
#: Calls that a colour of a budget gets, as long as there are so many: the common course, and some to spare.
LEAST: Final = 16


class _Starts(Sequence[float]):
    """The coordinate of each entry at x, made a float of Python when asked for: there may be millions."""

    def __init__(self, x: NDArray[np.float64], columns: Ints) -> None:
        self.x, self.columns = x, columns

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[float]: ...
    def __getitem__(self, place: Any) -> Any:
        return self.x[self.columns[place]].tolist()

    def __len__(self) -> int:
        return self.columns.size


def lead_coloured(
    method: Method,
    request: Request,
    evaluator: Compressed,
    fx: Floats,
    bounds: tuple[Floats, Floats] | None,
) -> Led:
    """Lead one conversation for each entry of the pattern of the evaluator.

    Parameters
    ----------
    method : Method
    request : Request
        What is asked of every entry.
    evaluator : Compressed
    fx : array
        f(x).
    bounds : (array, array), optional
        Of each entry of x.
    """
    pattern = evaluator.sparsity
    starts = _Starts(evaluator.starts, pattern.columns)
    units = [request.unit]
    name = evaluator.structure.name
    plan = Plan(starts, units, True, _unused, _unused, 0, lambda entry: name(int(pattern.columns[entry])))
    course = method.together if isinstance(method, Together) else _nobody
    estimates: Any = defaultdict(lambda: [SPENT])
    found = []
    most, left = evaluator.limit, len(pattern.bundles)
    takes = [_take(course, evaluator, bundle, fx, bounds, request) for bundle in pattern.bundles]
    taken = led_at_once(evaluator, takes) if evaluator.at_once and most == np.inf else []
    for colour, bundle in enumerate(pattern.bundles):
        evaluator.limit = evaluator.calls + _share(most - evaluator.calls, left)
        left -= 1
        rounds, common = taken[colour] if taken else led_at_once(evaluator, takes[colour : colour + 1])[0]
        found.append(common)
        leading = Leading(method, plan, cast(Any, evaluator), 0, estimates)
        for place in np.flatnonzero(~common.done).tolist():
            entry = int(bundle[place])
            asked = request.of(int(pattern.columns[entry]))
            if bounds is not None:
                lower, upper = (float(bound[pattern.columns[entry]]) for bound in bounds)
                asked = asked._replace(lower=lower, upper=upper)
            leading.open(entry, asked, [float(fx[pattern.rows[entry]])], MOST - 1, known_values(rounds, place))
        with suppress(Spent):
            leading.run()
    evaluator.limit = most
    return Led(estimates, [fx.tolist()], evaluator.calls, evaluator.faults, evaluator.values, _sorted(pattern, found))


def _sorted(pattern: Sparsity, found: Sequence[Common]) -> Common:
    """Put what was found colour by colour in the order of the entries."""
    if not found:
        return _none(0)
    places = np.empty(pattern.size, np.intp)
    places[np.concatenate(pattern.bundles)] = np.arange(pattern.size)
    return Common(*(np.concatenate(parts)[places] for parts in zip(*found, strict=True)))


def _unused(*_: Any) -> Any:
    raise NotImplementedError  # the evaluator makes the points: those of many entries are one


def _share(calls: float, colours: int) -> float:
    """Give the calls that the next of some colours may take: its part, but what it needs to say something."""
    return min(calls, max(calls // colours, LEAST))


def _nobody(x: Floats, _fx: Floats, _request: Request) -> Asking:
    """Take no element: for methods that take them one by one."""
    yield from ()
    return _none(x.size)


def _none(count: int) -> Common:
    """Say of some elements that nothing was found."""
    return Common(np.zeros(count, bool), *(np.zeros(count) for _ in range(5)))


def _take(
    course: Callable[[Floats, Floats, Request], Asking],
    evaluator: Compressed,
    entries: Ints,
    fx: Floats,
    bounds: tuple[Floats, Floats] | None,
    request: Request,
) -> AskingRows[tuple[Rounds, Common]]:
    """Lead the entries of one colour together; give what was asked and answered, and what was found."""
    columns = evaluator.sparsity.columns[entries]
    start = evaluator.starts[columns]
    asking = course(start, fx[evaluator.sparsity.rows[entries]], request.of(columns))
    rounds = Rounds()
    try:
        places, points = next(asking)
        while True:
            outside = None if bounds is None else _outside(points.real, *(bound[columns[places]] for bound in bounds))
            inside = points if outside is None else np.where(outside, start[places], points)
            try:
                values = yield from evaluator.asking(entries[places], inside)
            except Spent:  # what waits leaves the course
                values = np.full(points.shape, np.nan)
            if outside is not None:
                values = np.where(outside, np.nan, values)
            rounds.append((places, points, values))
            places, points = asking.send(values)
    except StopIteration as stop:
        return rounds, stop.value


def _outside(points: Floats, lower: Floats, upper: Floats) -> NDArray[np.bool_] | None:
    """Tell which points are beyond the bounds; None if there is none."""
    outside: NDArray[np.bool_] = (points < lower) | (points > upper)
    return outside if outside.any() else None
