"""Every method led by hand, without any f: values from a table, values that are none, too few of them, an early end."""

import cmath
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mibun.conversation import Conversation, Estimate, Method, Request
from mibun.methods import Adaptive, Backward, Central, ComplexStep, Forward
from mibun.status import Status

METHODS = [
    Forward(),
    Forward(3),
    Forward(2, step=0.125),
    Backward(),
    Backward(2),
    Central(),
    Central(4),
    Central(6, step=0.125),
    ComplexStep(),
    Adaptive(),
]
each_method = pytest.mark.parametrize("method", METHODS, ids=str)


def exp(point: complex) -> complex:
    return cmath.exp(point) if isinstance(point, complex) else math.exp(point)


def rough(point: float) -> float:
    """Noise of 1e-6 that hangs on the last bits of its argument."""
    return math.exp(point) + 1e-6 * math.sin(1e12 * point)


#: Roads through the adaptive method: the ladder, a search, noise, a kink, one side, an edge, a fast oscillation.
ROADS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "ladder": (exp, 1.0),
    "parabola": (lambda t: 2 * t * t + t, 1.0),
    "search": (lambda t: math.sin(300 * t) + t, 0.7),
    "noise": (rough, 1.0),
    "kink": (abs, 0.0),
    "jump": (lambda t: float(t > 1), 1.0),
    "side": (lambda t: math.exp(t) if t >= 1 else math.nan, 1.0),
    "edge": (lambda t: math.log(t) if t > 0 else math.nan, 1e-3),
    "flat": (lambda t: 4.0, 1.0),
    "offset": (lambda t: 1e8 + math.sin(t), 1.0),
    "too fast": (lambda t: math.sin(1e9 * t), 1.0),
}
each_road = pytest.mark.parametrize("road", ROADS)


def led(talk: Conversation, answer: Callable[[int, int, complex], Any]) -> tuple[Estimate, list[Sequence[complex]]]:
    """Lead a conversation; `answer` is told the round, the place in it and the point."""
    rounds: list[Sequence[complex]] = []
    try:
        points = next(talk)
        while True:
            rounds.append(points)
            points = talk.send([answer(len(rounds) - 1, i, point) for i, point in enumerate(points)])
    except StopIteration as end:
        found: Estimate = end.value
        return found, rounds


def error(found: Estimate) -> float:
    return found.truncation + found.rounding


# --- values from a table ---


@pytest.mark.parametrize(
    ("method", "x", "table", "slope"),
    [
        (Forward(step=0.5), 3.0, {3.0: 9.0, 3.5: 12.25, 4.0: 16.0}, 6.5),
        (Backward(step=0.5), 3.0, {3.0: 9.0, 2.5: 6.25, 2.0: 4.0}, 5.5),
        (Forward(2, step=0.5), 3.0, {3.0: 9.0, 3.5: 12.25, 4.0: 16.0, 5.0: 25.0}, 6.0),
        (Central(step=0.5), 1.0, {1.0: 1.0, 0.5: 0.125, 1.5: 3.375, 0.0: 0.0, 2.0: 8.0}, 3.25),
        (Central(4, step=1.0), 0.0, {-4.0: -1024.0, -2.0: -32.0, -1.0: -1.0, 0: 0.0, 1: 1.0, 2: 32.0, 4: 1024.0}, -4.0),
    ],
    ids=str,
)
def test_a_table_of_values_is_enough(method: Method, x: float, table: dict[float, float], slope: float) -> None:
    found, rounds = led(method.converse(x, Request()), lambda _r, _i, point: table[point.real])
    assert len(rounds) == 1
    assert set(rounds[0]) == set(table)
    assert found.value == slope


def test_the_complex_step_takes_a_table_too() -> None:
    talk = ComplexStep().converse(1.0, Request())
    up, here, right, left = next(talk)
    assert (here, up.real, right - 1.0) == (1.0, 1.0, 1.0 - left.real)
    with pytest.raises(StopIteration) as end:
        talk.send([complex(1.0, 2 * up.imag), 1.0, 1.0 + 2 * (right - 1.0), 1.0 - 2 * (1.0 - left)])
    found = end.value.value
    assert (found.value, found.status) == (2.0, Status.CONVERGED)


def test_the_adaptive_method_takes_a_table_too() -> None:
    talk = Adaptive().converse(1.0, Request())
    here, *around = next(talk)
    assert here == 1.0
    steps = [point - 1.0 for point in around]
    assert steps == [steps[0], -steps[0], steps[0] / 2, -steps[0] / 2]
    assert 1 / 20 < steps[0] < 1 / 9
    again = talk.send([3.0, *(3.0 + 5 * step + 2 * step**2 for step in steps)])
    assert len(again) == 2  # a parabola is confirmed by one more pair
    with pytest.raises(StopIteration) as end:
        talk.send([3.0 + 5 * (point - 1.0) + 2 * (point - 1.0) ** 2 for point in again])
    found = end.value.value
    assert found.status is Status.CONVERGED
    assert abs(found.value - 5.0) <= error(found) < 1e-12


# --- values that are none ---


@each_method
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf], ids=repr)
def test_no_value_at_x_is_no_derivative(method: Method, bad: float) -> None:
    found, rounds = led(method.converse(1.0, Request()), lambda _r, _i, point: bad if point == 1.0 else exp(point))
    assert len(rounds) == 1
    assert (found.status, found.rounding) == (Status.NOT_FINITE, math.inf)
    assert math.isnan(found.value)


@each_method
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e308, complex(math.nan, math.nan)], ids=repr)
@pytest.mark.parametrize("when", [0, 1])
def test_one_bad_value_anywhere_is_never_believed(method: Method, bad: Any, when: int) -> None:
    """What passes is covered; the rest says so by its status and its error."""
    for place in range(10):

        def answer(number: int, i: int, point: complex, place: int = place) -> Any:
            if (number, i) != (when, place):
                return exp(point)
            return bad if isinstance(point, complex) else bad.real

        found, rounds = led(method.converse(1.0, Request()), answer)
        assert sum(map(len, rounds)) <= 40
        if len(rounds) <= when or place >= len(rounds[when]):
            continue
        if found.status.passes:
            assert abs(found.value - math.e) <= error(found) or bad == 1e308
        else:
            assert not error(found) < 1e-3 * math.e or found.status is Status.BUDGET_SPENT


@each_method
@pytest.mark.parametrize("bad", [math.nan, math.inf], ids=repr)
def test_no_value_but_that_at_x(method: Method, bad: float) -> None:
    found, rounds = led(method.converse(1.0, Request()), lambda _r, _i, point: 2.0 if point == 1.0 else bad)
    # bad is real, and so tells the complex step nothing but that no real difference can be taken
    assert found.status is (Status.UNRESOLVED if method == ComplexStep() else Status.NOT_FINITE)
    assert found.rounding == math.inf
    assert math.isnan(found.value)
    assert sum(map(len, rounds)) <= 40


# --- too few or too many of them ---


def at_every_round(method: Method, road: str, spoil: Callable[[list[Any]], list[Any]]) -> list[Conversation]:
    """Begin one conversation for every round, and spoil its answers there; returns what went on all the same."""
    f, x = ROADS[road]
    _, rounds = led(method.converse(x, Request()), lambda _r, _i, point: f(point))
    believed = []
    for last in range(len(rounds)):
        talk = method.converse(x, Request())
        points = next(talk)
        for _ in range(last):
            points = talk.send([f(point) for point in points])
        try:
            talk.send(spoil([f(point) for point in points]))
        except (ValueError, IndexError):
            continue
        except StopIteration:
            pass
        believed.append(talk)
    return believed


@each_method
def test_a_missing_value_is_an_error(method: Method) -> None:
    assert at_every_round(method, "ladder", lambda values: values[:-1]) == []


@pytest.mark.parametrize("method", METHODS[:-1], ids=str)
def test_a_value_too_many_is_an_error(method: Method) -> None:
    assert at_every_round(method, "ladder", lambda values: [*values, 1.0]) == []


#: Roads on which a column of one-sided values is as long as it is.
UNCOUNTED = ("side", "too fast")


@pytest.mark.parametrize("road", [road for road in ROADS if road != "side"])
def test_a_missing_value_is_an_error_on_all_roads(road: str) -> None:
    assert at_every_round(Adaptive(), road, lambda values: values[:-1]) == []


@pytest.mark.parametrize("road", [road for road in ROADS if road not in UNCOUNTED])
def test_a_value_too_many_is_an_error_on_all_roads(road: str) -> None:
    assert at_every_round(Adaptive(), road, lambda values: [*values, 1.0]) == []


# --- an early end ---


@each_method
@each_road
def test_a_conversation_can_be_closed_at_any_time(method: Method, road: str) -> None:
    f, x = ROADS[road]
    if isinstance(method, ComplexStep):
        f, x = exp, 1.0
    _, rounds = led(method.converse(x, Request()), lambda _r, _i, point: f(point))
    method.converse(x, Request()).close()
    for last in range(len(rounds)):
        talk = method.converse(x, Request())
        points = next(talk)
        for _ in range(last):
            points = talk.send([f(point) for point in points])
        talk.close()
        with pytest.raises(StopIteration):
            next(talk)


@each_method
def test_an_exception_that_is_thrown_in_comes_out(method: Method) -> None:
    talk = method.converse(1.0, Request())
    next(talk)
    with pytest.raises(RuntimeError, match="power cut"):
        talk.throw(RuntimeError("power cut"))


# --- what the one who leads relies on ---


@each_method
@each_road
def test_a_smaller_budget_ends_earlier_and_changes_nothing_before(method: Method, road: str) -> None:
    f, x = ROADS[road]
    if isinstance(method, ComplexStep):
        f, x = exp, 1.0
    whole, rounds = led(method.converse(x, Request()), lambda _r, _i, point: f(point))
    least = len(rounds[0]) if rounds else 1
    for budget in range(least, 41):
        found, fewer = led(method.converse(x, Request(budget=budget)), lambda _r, _i, point: f(point))
        assert sum(map(len, fewer)) <= budget
        assert fewer == rounds[: len(fewer)]
        assert budget < sum(map(len, rounds)) or fewer == rounds
        if len(fewer) == len(rounds):
            assert repr(found) == repr(whole)
        else:
            assert not found.status.passes


@each_method
def test_equal_answers_make_equal_conversations(method: Method) -> None:
    one, two = (led(method.converse(0.7, Request()), lambda _r, _i, point: exp(point)) for _ in range(2))
    assert one == two
