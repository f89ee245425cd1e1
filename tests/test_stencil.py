"""Stencils: against published tables, exact on polynomials, and what they refuse."""

import math
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mibun.errors import InputError
from mibun.stencil import Stencil, backward, central, forward, stencil

F = Fraction

# B. Fornberg, Mathematics of Computation 51 (1988), tables 1 (central) and 3 (one-sided).
CENTRAL = {
    (1, 2): "-1/2 1/2",
    (1, 4): "1/12 -2/3 2/3 -1/12",
    (1, 6): "-1/60 3/20 -3/4 3/4 -3/20 1/60",
    (1, 8): "1/280 -4/105 1/5 -4/5 4/5 -1/5 4/105 -1/280",
    (2, 2): "1 -2 1",
    (2, 4): "-1/12 4/3 -5/2 4/3 -1/12",
    (2, 6): "1/90 -3/20 3/2 -49/18 3/2 -3/20 1/90",
    (2, 8): "-1/560 8/315 -1/5 8/5 -205/72 8/5 -1/5 8/315 -1/560",
    (3, 2): "-1/2 1 -1 1/2",
    (3, 4): "1/8 -1 13/8 -13/8 1 -1/8",
    (4, 2): "1 -4 6 -4 1",
    (4, 4): "-1/6 2 -13/2 28/3 -13/2 2 -1/6",
}
FORWARD = {
    (1, 1): "-1 1",
    (1, 2): "-3/2 2 -1/2",
    (1, 3): "-11/6 3 -3/2 1/3",
    (1, 4): "-25/12 4 -3 4/3 -1/4",
    (2, 1): "1 -2 1",
    (2, 2): "2 -5 4 -1",
    (2, 3): "35/12 -26/3 19/2 -14/3 11/12",
    (3, 1): "-1 3 -3 1",
    (3, 2): "-5/2 9 -12 7 -3/2",
    (4, 2): "3 -14 26 -24 11 -2",
}

small = st.fractions(min_value=-8, max_value=8, max_denominator=12)


@st.composite
def questions(draw):
    offsets = draw(st.lists(small, min_size=2, max_size=8, unique=True))
    return offsets, draw(st.integers(1, len(offsets) - 1))


def moment(s: Stencil, power: int) -> Fraction:
    return sum(w * o**power for w, o in zip(s.weights, s.offsets, strict=True))


@pytest.mark.parametrize(("order", "accuracy"), CENTRAL)
def test_central_table(order, accuracy):
    s = central(order, accuracy)
    assert s.weights == tuple(map(F, CENTRAL[order, accuracy].split()))
    assert (s.order, s.accuracy) == (order, accuracy)
    assert s.offsets == tuple(-o for o in reversed(s.offsets))
    assert (0 in s.offsets) == (order % 2 == 0)


@pytest.mark.parametrize(("order", "accuracy"), FORWARD)
def test_one_sided_table(order, accuracy):
    s, mirrored = forward(order, accuracy), backward(order, accuracy)
    assert s.weights == tuple(map(F, FORWARD[order, accuracy].split()))
    assert s.offsets == tuple(range(order + accuracy))
    assert mirrored.offsets == tuple(-o for o in reversed(s.offsets))
    assert mirrored.weights == tuple((-1) ** order * w for w in reversed(s.weights))
    assert s.accuracy == mirrored.accuracy == accuracy
    assert mirrored.truncation == s.truncation * (-1) ** accuracy


@pytest.mark.parametrize(
    ("s", "truncation", "rounding"),
    [
        (forward(), F(1, 2), 2),
        (backward(), F(-1, 2), 2),
        (central(), F(1, 6), 1),
        (central(1, 4), F(-1, 30), F(3, 2)),
        (central(2, 2), F(1, 12), 4),
        (central(2, 4), F(-1, 90), F(16, 3)),
        (forward(1, 2), F(-1, 3), 4),
    ],
    ids=repr,
)
def test_leading_error_and_rounding(s, truncation, rounding):
    assert (s.truncation, s.rounding) == (truncation, rounding)


@given(questions())
@settings(derandomize=True)
def test_exact_on_polynomials(question):
    offsets, order = question
    s = stencil(offsets, order)
    assert s.offsets == tuple(offsets)
    for power in range(order + s.accuracy):
        assert moment(s, power) == (math.factorial(order) if power == order else 0)
    leading = moment(s, order + s.accuracy)
    assert leading != 0
    assert s.truncation == leading / math.factorial(order + s.accuracy)
    assert s.accuracy >= len(offsets) - order


@given(questions(), small.filter(bool))
@settings(derandomize=True)
def test_scaled_offsets_scale_the_weights(question, factor):
    offsets, order = question
    s, scaled = stencil(offsets, order), stencil([factor * o for o in offsets], order)
    assert scaled.weights == tuple(w / factor**order for w in s.weights)
    assert scaled.truncation == s.truncation * factor**s.accuracy


@given(questions(), st.randoms(use_true_random=False))
@settings(derandomize=True)
def test_the_order_of_offsets_does_not_matter(question, random):
    offsets, order = question
    shuffled = list(offsets)
    random.shuffle(shuffled)
    s, other = stencil(offsets, order), stencil(shuffled, order)
    assert dict(zip(s.offsets, s.weights, strict=True)) == dict(zip(other.offsets, other.weights, strict=True))
    assert s.truncation == other.truncation


@pytest.mark.parametrize("order", range(1, 8))
@pytest.mark.parametrize("accuracy", [2, 4, 10, 20])
def test_high_orders(order, accuracy):
    s = central(order, accuracy)
    assert s.accuracy == accuracy
    assert moment(s, order) == math.factorial(order)
    assert all(s.weights)


def test_a_float_is_the_binary_number_that_it_is():
    s = stencil([-0.1, 0.1])
    assert s.offsets == (F(-0.1), F(0.1))
    assert s.offsets[1] != F(1, 10)
    assert s.float_offsets == (-0.1, 0.1)
    numpy_offsets = [np.int64(-1), np.float32(0.5), np.float64(2), np.longdouble(0.25), Decimal("0.125")]
    assert stencil(numpy_offsets).offsets == (-1, F(1, 2), 2, F(1, 4), F(1, 8))
    assert stencil(np.array([-1, 1])) == stencil([-1, 1]) == stencil(iter([-1.0, 1.0]))


def test_int64_offsets_do_not_wrap_around():
    big = 2**40
    assert stencil(np.array([-big, 0, big]), 2).weights[0] == F(1, big**2)


def test_as_a_value():
    s = central()
    assert repr(s) == "Stencil(order 1, accuracy 2: [-1, 1] · [-1/2, 1/2])"
    assert s.float_weights == (-0.5, 0.5)
    assert all(type(v) is float for v in s.float_weights + s.float_offsets)
    assert all(type(v) is Fraction for v in s.weights + s.offsets)
    assert len(s) == 2
    assert pickle.loads(pickle.dumps(s)) == s
    assert {s: 1}[stencil([-1, 1])] == 1
    assert central() is s
    with pytest.raises(AttributeError):
        s.order = 2


@pytest.mark.parametrize("order", [1, 2, 3])
def test_error_against_its_leading_term(order):
    for s in (forward(order, 3), backward(order, 3), central(order, 4), stencil([-1, 0, F(1, 2), 2, 5], order)):
        h = 0.01
        value = sum(w * math.exp(o * h) for o, w in zip(s.float_offsets, s.float_weights, strict=True)) / h**order
        expected = float(s.truncation) * h**s.accuracy
        assert abs(value - 1 - expected) < 0.15 * abs(expected) + 4 * 2.3e-16 * float(s.rounding) / h**order


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stencil([1, 1]), "the offset 1 is given 2 times; expected distinct offsets"),
        (lambda: stencil([0.5, 1, F(1, 2)]), "the offset 1/2 is given 2 times"),
        (lambda: stencil([0, 1], 2), "2 offsets were given for a derivative of order 2; expected at least 3"),
        (lambda: stencil([]), "0 offsets"),
        (lambda: stencil([0, math.nan]), "an offset is nan; expected a finite"),
        (lambda: stencil([0, math.inf]), "an offset is inf"),
        (lambda: stencil([0, 1j]), "an offset is 1j"),
        (lambda: stencil([0, "1"]), "an offset is '1'"),
        (lambda: stencil([0, True]), "an offset is True"),
        (lambda: stencil([0, np.array([1.0, 2.0])]), "an offset is array"),
        (lambda: stencil([0, 1], 0), "order is 0; expected an integer of at least 1"),
        (lambda: stencil([0, 1], 1.0), "order is 1.0"),
        (lambda: stencil([0, 1], True), "order is True"),
        (lambda: forward("1"), "order is '1'"),
        (lambda: forward(1, 0), "accuracy is 0"),
        (lambda: backward(1, -1), "accuracy is -1"),
        (lambda: central(1, 3), "accuracy is 3; .* write accuracy=4"),
        (lambda: central(1.0), "order is 1.0"),
        (lambda: stencil([-1e-200, 0, 1e-200], 2).float_weights, "larger than any float"),
    ],
)
def test_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
