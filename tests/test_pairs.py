"""Second derivatives of listed pairs, and what they stand on: shares of a budget, windows, values along the axes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mibun.evaluate import Serial
from mibun.evaluate.axes import PER_AXIS, PER_PAIR, Along, split
from mibun.evaluate.calls import Calls
from mibun.given import taken
from mibun.hessians import ByPairs
from mibun.methods import Adaptive
from mibun.methods.adaptive.cross import cross
from mibun.methods.adaptive.curvature import Axes, best_windows
from mibun.options import Options, asked
from mibun.pairs import in_float32
from mibun.plan import coordinatewise
from mibun.structure import Structure

LONE_PAIR = np.array([0]), np.array([1])


def wave(x):
    return np.exp(x[0]) * x[1] ** 2 + np.sin(x[1] * x[2]) + x[3] ** 2 * x[0]


def entries_of(first, second, **words):
    calls = []

    def f(x):
        calls.append(x.copy())
        return wave(x)

    options = Options("adaptive", None, 0.0, None, None, words.get("budget"), vectorized=False)
    _, request = asked(f, *options)
    course = ByPairs(Calls(f, vectorized=False), Adaptive(), request, taken([0.3, 2.0, 0.7, 0.4], None), options)
    course.begin(len(first))
    return course.paired(np.array(first), np.array(second)), len(calls)


def test_fewer_pairs_have_the_same_bits_for_fewer_evaluations():
    every, calls = entries_of(*np.triu_indices(4, 1))
    few, fewer = entries_of([0, 2], [3, 1])
    assert (every.evaluations, few.evaluations) == (calls, fewer)
    assert fewer < calls
    place = {pair: k for k, pair in enumerate(zip(*(part.tolist() for part in every.entries[:2]), strict=True))}
    at = [place[min(pair), max(pair)] for pair in zip(*(part.tolist() for part in few.entries[:2]), strict=True)]
    assert at[4:] == [place[0, 3], place[1, 2]]
    for one, other in zip(few.entries.numbers, every.entries.numbers, strict=True):
        assert np.array_equal(one, other[at])


def test_no_pair_at_all_leaves_the_diagonal():
    found, _ = entries_of(np.zeros(0, np.intp), np.zeros(0, np.intp))
    assert found.entries.first.size == 4
    assert found.evaluations >= found.gradient.evaluations
    assert np.isfinite(found.entries.value).all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 3000), st.integers(1, 20), st.integers(0, 200))
def test_shares_never_pass_the_budget(budget, axes, pairs):
    part, own, shared = split(budget, axes, pairs, 5)
    assert part is not None
    assert own.sum() <= part <= budget
    assert own.sum() + shared.sum() <= budget
    assert own.size == axes
    assert shared.size == pairs


def test_without_a_budget_the_shares_are_the_most():
    part, own, shared = split(None, 2, 1, 5)
    assert part is None
    assert (own.tolist(), shared.tolist()) == ([PER_AXIS] * 2, [PER_PAIR])


def test_what_an_axis_takes_is_counted_once_for_each_point():
    evaluator = Serial(lambda x: float(x[0] ** 2), coordinatewise(Structure.of(np.ones(2)), np.ones(2)))
    evaluator.kept = []
    evaluator.centres([0])
    evaluator.array(np.array([0, 0]), np.array([1.5, 0.5]))
    along = Along(evaluator, np.full(2, -np.inf), np.array([2.0, np.inf]), np.array([9, 9]), limited=True)
    assert along.left().tolist() == [9 - 3, 9 - 1]
    values = along(np.array([0, 1]), np.array([[1.5, 1.5], [1.25, 1.25], [2.5, 2.5]]))
    assert values[:2].tolist() == [[2.25, 1.0], [1.5625, 1.0]]
    assert np.isnan(values[2, 0])
    assert along.left().tolist() == [9 - 4, 9 - 4]
    assert along.evaluations == 4
    assert along.supplied([np.array([[1.5, 1.5]]), np.array([[1.5, 1.75]] * 6)]).tolist() == [2, 1]


def test_windows_are_exact_for_polynomials_and_choose_by_the_bound():
    t = np.array([[16.0, 1.0], [4.0, 0.25], [1.0, 0.0625], [0.25, 2.0**-6], [2.0**-4, 2.0**-8]])
    quotient = 3.0 + 2.0 * t - 5.0 * t**2
    found = best_windows(t, quotient, np.full(t.shape, 1e-13), np.ones(2))
    assert found.value == pytest.approx([3.0, 3.0], abs=1e-11)
    assert (np.abs(found.value - 3.0) <= found.truncation + found.rounding).all()
    doubted = best_windows(t, quotient, np.full(t.shape, 1e-13), np.array([2.5, 2.5]))
    assert (doubted.truncation + doubted.rounding >= found.truncation + found.rounding).all()


def test_a_window_that_smaller_steps_contradict_is_not_taken():
    t = 4.0 ** -np.arange(8.0)[:, None]
    quotient = np.full(t.shape, 5.0)
    quotient[4:] = 3.0
    found = best_windows(t, quotient, 1e-6 / t**0.5, np.ones(1))
    assert found.value[0] == pytest.approx(3.0, abs=1e-3)
    assert found.first[0] >= 3
    agreeing = best_windows(t, np.full(t.shape, 5.0), 1e-6 / t**0.5, np.ones(1))
    assert agreeing.first[0] == 0


def test_rounding_that_grows_towards_small_steps_chooses_the_large_ones():
    t = 4.0 ** -np.arange(8.0)[:, None]
    found = best_windows(t, 3.0 + 2.0 * t, 1e-9 / t, np.ones(1))
    assert found.first[0] == 0
    assert found.last[0] <= 2


def test_values_are_missed_where_there_are_none():
    t = 4.0 ** -np.arange(5.0)[:, None] * np.ones(2)
    quotient = 3.0 + 2.0 * t
    quotient[2:, 1] = np.nan
    found = best_windows(t, quotient, np.full(t.shape, 1e-12), np.ones(2))
    assert found.value == pytest.approx([3.0, 3.0])
    quotient[1:, 1] = np.nan
    assert best_windows(t, quotient, np.full(t.shape, 1e-12), np.ones(2)).rounding[1] == np.inf


def test_a_pair_of_doubtful_axes_has_a_larger_truncation():
    axes = Axes(np.zeros(2), 1.0, *(np.full(2, part) for part in (0.5, 1e-9, 1e-9, 2.0**-52, 0.0, 1.0)), np.ones(2))

    def found(doubt):
        asking = cross(axes._replace(doubt=np.full(2, doubt)), np.ones(2), *LONE_PAIR, np.array([3]), np.ones(1), 0, 0)
        asked = next(asking)
        try:
            while True:
                near, both = np.cos(asked.points), np.cos(asked.scales) ** 2 + np.sin(asked.scales) ** 2 / 2
                asked = asking.send((near, both))
        except StopIteration as stop:
            return stop.value

    sure, doubtful = found(1.0), found(2.5)
    assert doubtful.truncation[0] == pytest.approx(2.5 * sure.truncation[0])
    assert abs(sure.value[0] - 0.5) <= sure.truncation[0] + sure.rounding[0]


def test_values_of_float32_are_known():
    rng = np.random.default_rng(2)
    values = rng.normal(size=20)
    assert not in_float32(1.0, values)
    assert in_float32(1.0, values.astype(np.float32).astype(float))
    assert in_float32(1.0, np.append(values.astype(np.float32).astype(float), np.nan))
    assert not in_float32(1.0, np.ones(5))
