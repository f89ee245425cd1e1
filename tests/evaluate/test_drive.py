"""Leading conversations: rounds, shared points, budgets; with methods written here, so that every point is known."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mibun.conversation import Conversation, Estimate, Method, Request
from mibun.errors import InputError
from mibun.evaluate import Led, Serial, Vectorized, alone, lead
from mibun.evaluate.drive import MOST, shares
from mibun.plan import coordinatewise, pointwise
from mibun.status import Status
from mibun.structure import Structure


class Pairs:
    """Asks for `rounds` pairs after x; ends earlier with its budget, as a method should."""

    def __init__(self, rounds: int = 2, obeys: bool = True) -> None:
        self.rounds, self.obeys = rounds, obeys

    def converse(self, x: float, request: Request) -> Conversation:
        (f0,) = yield (x,)
        taken, value, k = 1, math.nan, 0
        for k in range(self.rounds):
            if self.obeys and taken + 2 > request.budget:
                break
            h = 2.0**-k
            up, down = yield (x + h, x - h)
            taken, value = taken + 2, (up - down) / (2 * h)
        else:
            return Estimate(value, 0.0, 1e-9, Status.CONVERGED, 2.0**-k, f0 * 0.0)
        return Estimate(value, 0.0, 1.0, Status.BUDGET_SPENT, 1.0, 0.0)


class Counted:
    """A function that remembers its points."""

    def __init__(self, f: Callable[[Any], Any]) -> None:
        self.f, self.points = f, list[Any]()

    def __call__(self, x: Any) -> Any:
        self.points.append(np.array(x))
        return self.f(x)


def led(method: Method, f: Any, x: Any, budget: int | None = None, pointed: bool = False, **options: Any) -> Led:
    structure = Structure.of(x)
    plan = (pointwise if pointed else coordinatewise)(structure, structure.flatten(x))
    return lead(method, plan, [Request()] * structure.size, Serial(f, plan), budget, **options)


def test_f_of_x_is_shared_and_every_point_is_counted() -> None:
    f = Counted(lambda x: float(x @ x))
    found = led(Pairs(2), f, [1.0, 2.0, 3.0])
    assert found.evaluations == len(f.points) == 1 + 3 * 4
    assert [row[0].value for row in found.estimates] == [2.0, 4.0, 6.0]
    assert found.centres == [[14.0]]


def test_numbers_that_f_returns_share_points() -> None:
    f = Counted(lambda x: np.array([x[0], x[0] * x[1], 5.0, x[1] ** 2]))
    found = led(Pairs(3), f, [1.0, 2.0])
    assert found.evaluations == len(f.points) == 1 + 2 * 6
    assert [e.value for e in found.estimates[0]] == [1.0, 2.0, 0.0, 0.0]
    assert [e.value for e in found.estimates[1]] == [0.0, 1.0, 0.0, 4.0]


def test_points_outside_the_bounds_are_not_evaluated() -> None:
    f = Counted(math.exp)
    structure = Structure.of(0.0)
    plan = pointwise(structure, structure.flatten(0.0))
    found = lead(Pairs(1), plan, [Request(lower=-0.5)], Serial(f, plan))
    assert [p.item() for p in f.points] == [0.0, 1.0]
    assert found.evaluations == 2
    assert math.isnan(found.estimates[0][0].value)


def test_points_on_the_bounds_are_evaluated() -> None:
    f = Counted(math.exp)
    structure = Structure.of(0.0)
    plan = pointwise(structure, structure.flatten(0.0))
    found = lead(Pairs(1), plan, [Request(lower=-1.0, upper=1.0)], Serial(f, plan))
    assert sorted(p.item() for p in f.points) == [-1.0, 0.0, 1.0]
    assert found.estimates[0][0].value == pytest.approx(math.sinh(1.0))


def test_a_point_that_is_asked_for_twice_is_evaluated_once() -> None:
    class Twice:
        def converse(self, x: float, request: Request) -> Conversation:
            one, two = yield (x + 1, x + 1)
            return Estimate(one - two, 0.0, 0.0, Status.CONVERGED, 1.0, 0.0)

    f = Counted(math.exp)
    assert led(Twice(), f, 0.0, pointed=True).evaluations == len(f.points) == 2


def test_a_conversation_has_its_own_40_points_however_many_share_them() -> None:
    f = Counted(lambda x: np.array([1.0, 2.0, 3.0]) * x)
    assert led(Pairs(100, obeys=False), f, 0.5).evaluations == len(f.points) == 39


def test_outputs_with_points_of_their_own_have_40_each() -> None:
    class Own:
        def converse(self, x: float, request: Request) -> Conversation:
            (f0,) = yield (x,)
            for k in range(8):
                up, down = yield (x + f0 * 1.1**-k, x - f0 * 1.1**-k)
            return Estimate((up - down) / (2 * f0 * 1.1**-k), 0.0, 1e-9, Status.CONVERGED, 1.0, 0.0)

    found = led(Own(), lambda x: np.array([1.0, 3.0, 5.0]) + x, 0.0)
    assert found.evaluations == 1 + 3 * 16
    assert [e.status for e in found.estimates[0]] == [Status.CONVERGED] * 3


def test_a_method_that_does_not_ask_for_x_is_told_of_one_point_less() -> None:
    budgets = []

    class Right:
        def converse(self, x: float, request: Request) -> Conversation:
            budgets.append(request.budget)
            (value,) = yield (x + 1,)
            return Estimate(value, 0.0, 0.0, Status.CONVERGED, 1.0, 0.0)

    assert alone(math.exp, 0.0, 1.0, Right(), Request(budget=7))[1] == 2
    assert budgets[-1] == 6
    led(Right(), math.exp, 0.0, budget=7, pointed=True)
    assert budgets[-1] == 6


def test_a_remainder_goes_to_the_first() -> None:
    assert shares(17, 3, 5) == [6, 6, 5]


def test_a_method_that_asks_for_nothing_or_for_infinity() -> None:
    class Silent:
        def converse(self, x: float, request: Request) -> Conversation:
            return Estimate(1.0, 0.0, 0.0, Status.CONVERGED, 0.0, 0.0)
            yield ()

    class Far:
        def converse(self, x: float, request: Request) -> Conversation:
            values = yield (x, math.inf, math.nan)
            return Estimate(values[0], 0.0, 0.0, Status.CONVERGED, 0.0, float(np.isnan(values[1:]).sum()))

    assert led(Silent(), math.exp, 0.0, pointed=True).evaluations == 1
    found = led(Far(), math.exp, 0.0, pointed=True)
    assert found.evaluations == 1
    assert found.estimates[0][0].noise == 2.0
    assert alone(math.exp, 0.0, 1.0, Silent(), Request())[1] == 1


def test_a_method_that_returns_something_else() -> None:
    class Odd:
        def converse(self, x: float, request: Request) -> Any:
            yield (x,)
            return 3.0

    with pytest.raises(InputError, match="expected an Estimate"):
        led(Odd(), math.exp, 0.0, pointed=True)


@given(st.integers(1, 400), st.integers(1, 50), st.integers(1, 12))
def test_shares_never_pass_the_budget(budget: int, count: int, least: int) -> None:
    split = shares(budget, count, least)
    assert sum(split) <= budget
    assert len(split) == count
    assert all(share == 0 or least <= share <= MOST for share in split)
    assert split == sorted(split, reverse=True)
    if budget >= count * least:
        assert min(split) == min(MOST, budget // count)
    else:
        assert sum(share > 0 for share in split) == budget // least


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.booleans())
def test_a_budget_is_never_passed(budget: int, n: int, outputs: int, obeys: bool, pointed: bool) -> None:
    f = Counted(lambda x: np.full(outputs, np.sum(x)) * np.arange(1, outputs + 1))
    found = led(Pairs(30, obeys), f, np.arange(1.0, n + 1), budget, pointed)
    assert found.evaluations == len(f.points) <= budget
    for row in found.estimates:
        for estimate in row:
            assert estimate.status is Status.BUDGET_SPENT


def test_without_a_budget_a_conversation_takes_at_most_40() -> None:
    for obeys in (True, False):
        f = Counted(math.exp)
        found = led(Pairs(100, obeys), f, 0.5, pointed=True)
        assert found.evaluations == len(f.points) == 39
        estimate, evaluations, _ = alone(f, 0.5, math.exp(0.5), Pairs(100, obeys), Request())
        assert evaluations == 39
        assert estimate.status is Status.BUDGET_SPENT


def test_x_counts_even_if_a_method_does_not_ask_for_it() -> None:
    class Sides:
        def converse(self, x: float, request: Request) -> Conversation:
            taken = 0
            while taken + 2 <= request.budget:
                h = 1.0 / (taken + 1)
                yield (x + h, x - h)
                taken += 2
            return Estimate(0.0, 0.0, 1.0, Status.BUDGET_SPENT, 1.0, 0.0)

    for budget in (3, 4, 5, 40):
        f = Counted(math.exp)
        assert led(Sides(), f, 0.5, budget, pointed=True).evaluations == len(f.points) <= budget
        f = Counted(math.exp)
        _, evaluations, _ = alone(f, 0.5, f(0.5), Sides(), Request(budget=budget))
        assert evaluations == len(f.points) <= budget


def test_what_the_first_elements_leave_is_not_passed_on() -> None:
    class One:
        """Asks for three points at once, which are the least that it needs."""

        def converse(self, x: float, request: Request) -> Conversation:
            _, up, down = yield (x, x + 1, x - 1)
            return Estimate((up - down) / 2, 0.0, 1e-9, Status.CONVERGED, 1.0, 0.0)

    found = led(One(), lambda x: float(x.sum()), np.zeros(3), budget=8)
    assert [row[0].status for row in found.estimates] == [Status.CONVERGED, Status.CONVERGED, Status.BUDGET_SPENT]
    assert found.evaluations == 5
    found = led(One(), np.exp, np.zeros(3), budget=8, pointed=True)
    assert [row[0].status for row in found.estimates] == [Status.CONVERGED, Status.CONVERGED, Status.BUDGET_SPENT]
    assert found.centres[:2] == [[1.0], [1.0]]
    assert math.isnan(found.centres[2][0])
    assert found.evaluations == 6
    assert led(One(), np.exp, np.zeros(3), budget=2, pointed=True).evaluations == 1


def test_outputs_that_want_different_points_end_with_the_best_they_have() -> None:
    class Own:
        """Asks for points of its own: their distance hangs on f(x)."""

        def converse(self, x: float, request: Request) -> Conversation:
            (f0,) = yield (x,)
            taken, value = 1, math.nan
            for k in range(3):
                if taken + 2 > request.budget:
                    return Estimate(value, 0.0, 1.0, Status.BUDGET_SPENT, 1.0, 0.0)
                h = f0 * 2.0**-k
                up, down = yield (x + h, x - h)
                taken, value = taken + 2, (up - down) / (2 * h)
            return Estimate(value, 0.0, 1e-9, Status.CONVERGED, 1.0, 0.0)

    f = Counted(lambda x: np.array([1.0, 3.0, 5.0]) + x)
    found = led(Own(), f, 0.0, budget=14)
    assert found.evaluations == len(f.points) <= 14
    assert [e.status for e in found.estimates[0]].count(Status.BUDGET_SPENT) >= 1
    for estimate in found.estimates[0]:
        assert estimate.value == pytest.approx(1.0)
    assert led(Own(), f, 0.0).evaluations == 1 + 3 * 6


def test_a_gradient_needs_one_number() -> None:
    with pytest.raises(InputError, match=r"f returned 2 numbers at x.*use jacobian"):
        led(Pairs(), lambda x: np.array([x, x]), 1.0, scalar=True)


@pytest.mark.parametrize("n", [1, 5, 40])
def test_vectorized_gives_the_bits_of_serial(n: int) -> None:
    def f(x: Any) -> Any:
        return np.stack([np.sin(x[..., 0]), x[..., -1] * 3.0], axis=-1)

    x = np.linspace(0.1, 2.0, n)
    structure = Structure.of(x)
    plan = coordinatewise(structure, x)
    requests: Sequence[Request] = [Request()] * n
    one = lead(Pairs(4), plan, requests, Serial(f, plan))
    many = lead(Pairs(4), plan, requests, Vectorized(f, plan))
    assert one.estimates == many.estimates
    assert one.centres == many.centres
    assert one.evaluations == many.evaluations


def test_alone_is_lead_for_one() -> None:
    for f in (math.exp, lambda x: 1 / x, lambda x: int(4 * x), lambda x: np.sin(x), np.float32):
        found = led(Pairs(3), f, 0.5, pointed=True)
        estimate, evaluations, _ = alone(f, 0.5, float(f(0.5)), Pairs(3), Request())
        assert (estimate, evaluations) == (found.estimates[0][0], found.evaluations)
