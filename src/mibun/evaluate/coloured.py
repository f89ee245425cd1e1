"""Lead the entries of a sparse Jacobian, colour by colour: together where the method can, and alone where one leaves.

All entries of a colour take the common course of the method on arrays, each with its own step, value and bound. An
entry that leaves the course is led alone, on the values that are known; those of one colour that do so share calls.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, cast, overload

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Asking, Common, Method, Request, Together
from mibun.evaluate.compressed import Compressed
from mibun.evaluate.drive import MOST, SPENT, Leading, Led
from mibun.evaluate.together import Rounds, known_values
from mibun.plan import Plan

__all__ = ["lead_coloured"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]


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
    fx: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    unit: float,
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
    lower, upper : array
        Bounds of each entry of x.
    unit : float
        Relative spacing of the floats of x.
    """
    pattern = evaluator.sparsity
    starts = _Starts(evaluator.starts, pattern.columns)
    units = [unit]  # a conversation is told it by its request
    name = evaluator.structure.name
    plan = Plan(starts, units, True, _unused, _unused, 0, lambda entry: name(int(pattern.columns[entry])))
    request = request._replace(unit=unit)
    course = method.together if isinstance(method, Together) else None
    columns = [np.full(pattern.size, np.nan) for _ in range(5)]
    common = Common(np.zeros(pattern.size, bool), *columns)
    estimates: Any = defaultdict(lambda: [SPENT])
    for bundle in pattern.bundles:
        rounds = _take(course, evaluator, bundle, fx, (lower, upper), request, common) if course else []
        leading = Leading(method, plan, cast(Any, evaluator), 0, estimates)
        for place in np.flatnonzero(~common.done[bundle]).tolist():
            entry = int(bundle[place])
            column = pattern.columns[entry]
            asked = request._replace(lower=float(lower[column]), upper=float(upper[column]))
            leading.open(entry, asked, [float(fx[pattern.rows[entry]])], MOST - 1, known_values(rounds, place))
        leading.run()
    return Led(estimates, [fx.tolist()], evaluator.calls, evaluator.faults, evaluator.values, common)


def _unused(*_: Any) -> Any:
    raise NotImplementedError  # the evaluator makes the points: those of many entries are one


def _take(
    course: Callable[[Floats, Floats, Request], Asking],
    evaluator: Compressed,
    entries: Ints,
    fx: Floats,
    bounds: tuple[Floats, Floats],
    request: Request,
    common: Common,
) -> Rounds:
    """Lead the entries of one colour together, write down what they found, and give what was asked and answered."""
    columns, x = evaluator.sparsity.columns[entries], evaluator.starts
    start = x[columns]
    lower, upper = (None if np.isinf(bound).all() else bound[columns] for bound in bounds)
    asking = course(start, fx[evaluator.sparsity.rows[entries]], request)
    rounds = Rounds()
    try:
        places, points = next(asking)
        while True:
            outside = _outside(points.real, places, lower, upper)
            if outside is None:
                values = evaluator.array(entries[places], points)
            else:
                values = evaluator.array(entries[places], np.where(outside, start[places], points))
                values = np.where(outside, np.nan, values)
            rounds.append((places, points, values))
            places, points = asking.send(values)
    except StopIteration as stop:
        for into, part in zip(common, stop.value, strict=True):
            into[entries] = part
    return rounds


def _outside(points: Floats, places: Ints, lower: Floats | None, upper: Floats | None) -> NDArray[np.bool_] | None:
    """Tell which points are beyond the bounds; None if there is none."""
    if lower is None and upper is None:
        return None
    outside = np.zeros(points.shape, bool)
    if lower is not None:
        outside |= points < lower[places]
    if upper is not None:
        outside |= points > upper[places]
    return outside if outside.any() else None
