"""Lead many elements together on arrays, where method, f and wishes allow it; what leaves the course is led alone.

For a million points a conversation for each would cost a hundred times what f does. A method that can (`Together`)
takes the common course for a block of elements at once; the few that leave it are led as always, and are told the
values that are known already, so that no point is evaluated twice and no element has more than its 40.
"""

from collections import defaultdict
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Common, Method, Request, Together
from mibun.evaluate.drive import MOST, SPENT, Leading, Led
from mibun.evaluate.serial import Serial
from mibun.evaluate.vectorized import Vectorized
from mibun.plan import Plan

__all__ = ["Rounds", "known_values", "lead_together", "takes_together"]

#: Below so many elements the arrays cost more than they save.
FEWEST: Final = 50
#: Elements of a block: enough to share what a call of NumPy costs, while columns of points fit the cache together.
BLOCK: Final = 16384

Rounds = list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]


def takes_together(method: Method, plan: Plan, request: Request, budget: int | None) -> bool:
    """Tell whether nothing was asked for that the common course does not know."""
    ignored: dict[str, Any] = {"lower": 0.0, "upper": 0.0, "unit": 0.0, "start": 0.0}
    plain = request._replace(**ignored) == Request(**ignored)
    unbounded = request.lower == -np.inf and request.upper == np.inf
    many = len(plan.starts) >= FEWEST and set(plan.units) == {2.0**-52}
    return isinstance(method, Together) and plain and unbounded and many and budget is None


def lead_together(
    method: Together, plan: Plan, request: Request, evaluator: Serial | Vectorized
) -> Led | list[list[Any]]:
    """Lead all elements; where f does not return one real number, give back f(x), which is known then."""
    count = len(plan.starts)
    starts = np.array(plan.starts)
    apart = 1 if plan.shared else count
    centres = evaluator.centre_rows(np.arange(apart), starts[:apart])
    if evaluator.values.size != 1 or evaluator.values.complex:
        rows: list[list[Any]] = centres.tolist()
        return rows
    fx = np.full(count, centres[0, 0]) if plan.shared else centres[:, 0]
    # A row for those that are led alone, and for no other: there may be millions.
    alone: Any = defaultdict(lambda: [SPENT])
    leading = Leading(cast(Method, method), plan, evaluator, len(centres), alone)
    blocks = []
    for begin in range(0, count, BLOCK):
        elements = np.arange(begin, min(begin + BLOCK, count))
        common, rounds = _block(method, evaluator, elements, starts[elements], fx[elements], request.of(elements))
        leading.evaluations += sum(points.size for _, points, _ in rounds)
        blocks.append(common)
        for place in np.flatnonzero(~common.done).tolist():
            element = int(elements[place])
            leading.open(element, request.of(element), [float(fx[element])], MOST - 1, known_values(rounds, place))
    leading.run()
    common = Common(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))
    evaluator.faults.everywhere(leading.evaluations - len(centres))
    return Led(leading.estimates, centres, leading.evaluations, evaluator.faults, evaluator.values, common)


def _block(
    method: Together,
    evaluator: Serial | Vectorized,
    elements: NDArray[Any],
    x: NDArray[Any],
    fx: NDArray[Any],
    request: Request,
) -> tuple[Common, Rounds]:
    """Lead one block, and keep what was asked and answered."""
    asking, rounds = method.together(x, fx, request), Rounds()
    try:
        places, points = next(asking)
        while True:
            targets = np.broadcast_to(elements[places], points.shape)
            values = evaluator.array(targets.reshape(-1), points.reshape(-1)).reshape(points.shape)
            rounds.append((places, points, values))
            places, points = asking.send(values)
    except StopIteration as stop:
        common: Common = stop.value
        return common, rounds


def known_values(rounds: Rounds, place: int) -> dict[complex, list[Any]]:
    """Collect the values at the points of one element."""
    known: dict[complex, list[Any]] = {}
    for places, points, values in rounds:
        column = int(np.searchsorted(places, place))
        if column < len(places) and places[column] == place:
            pairs = zip(points[:, column].tolist(), values[:, column].tolist(), strict=True)
            known |= {point: [value] for point, value in pairs}
    return known
