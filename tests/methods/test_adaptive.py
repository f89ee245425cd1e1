"""The adaptive method, led by hand: each part on its own, and the promise on functions whose derivative is known."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mibun.conversation import Common, Estimate, Request
from mibun.methods.adaptive import Adaptive, array, ladder, scale, wide
from mibun.status import Status

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import mix


def lead(f, x, **request) -> tuple[Estimate, int]:
    """Lead a conversation without any driver, and count the points."""
    talk, points = Adaptive().converse(x, Request(**request)), 0
    asked = next(talk)
    while True:
        points += len(asked)
        answers = []
        for point in asked:
            try:
                answers.append(float(f(point)))
            except (ArithmeticError, ValueError):
                answers.append(math.nan)
        try:
            asked = talk.send(answers)
        except StopIteration as stop:
            return stop.value, points


def error(found: Estimate) -> float:
    return found.truncation + found.rounding


# The ladder


def test_the_ladder_differentiates_even_powers_to_zero_and_odd_ones_exactly():
    for power, slope in ((1, 1.0), (2, 0.0), (3, 0.0), (5, 0.0), (9, 0.0)):
        pairs = [(rung**power, (-rung) ** power) for rung in ladder.RUNGS[:5]]
        odd, even = ladder.tables(0.0, [up for up, _ in pairs], [down for _, down in pairs], 1.0)
        assert odd[4][4] == pytest.approx(slope, abs=1e-12)
        assert even[4][4] == pytest.approx(0.0, abs=1e-12)


def test_five_pairs_written_out_are_the_corner_of_the_tables():
    values = [math.sin(0.3 + sign * rung) for rung in ladder.RUNGS[:5] for sign in (1, -1)]
    at = ladder.five_pairs(math.sin(0.3), values[:4], values[4:], 1.0)
    whole = ladder.corner(*ladder.tables(math.sin(0.3), values[::2], values[1::2], 1.0))
    assert at == pytest.approx(whole, abs=1e-14)


def test_the_steps_are_exact_around_most_points():
    for x in (1.0, 0.1, 3.7, -12345.678):
        top = scale.first_step(x)
        for rung in ladder.RUNGS:
            assert (x + top * rung) - x == pytest.approx(top * rung, abs=math.ulp(x))


@pytest.mark.parametrize("x", [1.0, -3.0, 1e-10, 1e10, 5e-324, 1e300])
def test_the_first_step_is_a_part_of_x(x):
    top = scale.first_step(x)
    assert abs(x) < 1e-290 or abs(x) / 20 < top <= abs(x) / 9


@pytest.mark.parametrize("x", [8.25, 10.25, 16.1, 20.3, 33.3, 64.2, 100.25, 1000.3, 5e4 + 0.25])
def test_a_period_of_one_is_not_stepped_over(x):
    """The function of Rastrigin: every round step sees its parabola alone."""
    found, _ = lead(lambda t: t * t - 10 * math.cos(2 * math.pi * t) + 10, x)
    truth = 2 * x + 20 * math.pi * math.sin(2 * math.pi * x)
    assert abs(found.value - truth) <= error(found) + 1e-12 * x * x


# The promise


SMOOTH = [
    (math.exp, math.exp),
    (math.sin, math.cos),
    (math.atan, lambda x: 1 / (1 + x * x)),
    (lambda x: x**3 - 2 * x, lambda x: 3 * x * x - 2),
    (lambda x: 1 / (2 + math.cos(x)), lambda x: math.sin(x) / (2 + math.cos(x)) ** 2),
]


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.sampled_from(range(len(SMOOTH))), st.floats(-30, 30), st.floats(-8, 8), st.floats(-3, 3))
def test_the_error_covers_scaled_functions(which, x, size, width):
    f, slope = SMOOTH[which]
    a, b = 10.0**size, 10.0**width
    x = x / b
    found, points = lead(lambda t: a * f(b * t), x)
    truth = a * b * slope(b * x)
    # The formula itself rounds b * t, which its derivative does not know of: one unit of rounding of the truth.
    slack = 4e-16 * a * (abs(f(b * x)) + b * abs(x) * abs(slope(b * x))) / max(abs(x), 1e-3 / b)
    assert points <= 40
    assert found.status in (Status.CONVERGED, Status.INSENSITIVE)
    assert abs(found.value - truth) <= error(found) + slack


@pytest.mark.parametrize(("seed", "least_good", "least_cover"), [(mix.DEVELOPMENT_SEED, 0.985, 0.995)])
def test_the_mix_is_covered_and_good(seed, least_good, least_cover):
    problems = mix.problems(seed, 1000)
    found = [lead(problem.f, problem.x) for problem in problems]
    good = [p.is_good(e.value) for p, (e, _) in zip(problems, found, strict=True)]
    covered = [
        not abs(e.value - p.derivative) > error(e) + 3e-16 * abs(p.derivative)
        for p, (e, _) in zip(problems, found, strict=True)
    ]
    assert np.mean(good) >= least_good
    assert np.mean(covered) >= least_cover
    assert max(points for _, points in found) <= 40
    assert np.mean([points for _, points in found]) <= 14


@pytest.mark.parametrize("rtol", [1e-1, 1e-2, 1e-3])
def test_five_values_do_not_take_noise_for_digits(rtol):
    missed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found, _ = lead(lambda x, rng=rng: math.sin(2 * x) + 1e-4 * rng.standard_normal(), 0.3, rtol=rtol)
        missed += not abs(found.value - 2 * math.cos(0.6)) <= error(found)
    assert missed <= 12  # with the error of a smooth f it was 134


def test_noise_is_found_and_covered():
    problems = mix.noisy_problems(mix.DEVELOPMENT_SEED, 300)
    found = [lead(problem.f, problem.x)[0] for problem in problems]
    covered = [abs(e.value - p.derivative) <= error(e) for p, e in zip(problems, found, strict=True)]
    levels = [e.noise / p.sd for p, e in zip(problems, found, strict=True) if p.kind != "single"]
    assert np.mean(covered) >= 0.985
    assert np.median(levels) == pytest.approx(1.0, abs=0.1)
    assert sum(e.status is Status.NOISY for e in found) >= 0.95 * len(found)


def test_kinks_are_named_with_both_slopes():
    problems = mix.kinks(mix.DEVELOPMENT_SEED, 300)
    named = 0
    for problem in problems:
        found, _ = lead(problem.f, problem.x)
        if found.status is Status.KINK:
            width = abs(problem.left - problem.right)
            named += abs(found.left - problem.left) < 1e-3 * width + 1e-3 * abs(problem.left)
    assert named >= 0.98 * len(problems)


@pytest.mark.parametrize(
    ("f", "x", "status"),
    [
        (abs, 0.0, Status.KINK),
        (lambda x: float(x >= 1), 1.0, Status.JUMP),
        (lambda x: math.copysign(abs(x) ** (1 / 3), x), 0.0, Status.NOT_FINITE),
        (math.sqrt, 0.0, Status.NOT_FINITE),
        (lambda x: math.nan, 1.0, Status.NOT_FINITE),
        (lambda x: 5.0, 1.0, Status.INSENSITIVE),
        (lambda x: math.exp(x) if x >= 0 else math.nan, 0.0, Status.ONE_SIDED),
        (lambda x: math.exp(x) if x <= 2 else math.nan, 2.0, Status.ONE_SIDED),
    ],
)
def test_what_is_wrong_here_is_said(f, x, status):
    found, points = lead(f, x)
    assert found.status is status
    assert points <= 40
    if status is Status.KINK:
        assert (found.left, found.right) == (-1.0, 1.0)
        assert found.value == 0.0
        assert error(found) >= 1.0
    if status is Status.ONE_SIDED:
        assert abs(found.value - math.exp(x)) <= error(found) < 1e-8


def test_bounds_are_kept():
    asked = []

    def f(x):
        asked.append(x)
        return math.exp(x)

    for x, lower, upper in ((1.0, 1.0, 3.0), (3.0, 1.0, 3.0), (1.001, 1.0, 3.0), (2.0, -math.inf, 2.0)):
        found, _ = lead(f, x, lower=lower, upper=upper)
        assert min(asked) >= lower
        assert max(asked) <= upper
        asked.clear()
        assert abs(found.value - math.exp(x)) <= error(found) < 1e-8 * math.exp(x)


@pytest.mark.parametrize("budget", [5, 6, 7, 11, 12, 20])
def test_the_budget_is_never_passed(budget):
    for f, x in ((math.exp, 1.0), (lambda x: math.sin(1e5 * x), 1.0), (abs, 0.0), (math.sqrt, 1e-12)):
        found, points = lead(f, x, budget=budget)
        assert points <= budget
        assert found.status is not Status.BUDGET_SPENT or not error(found) < 1e-30


def test_a_tolerance_ends_early():
    loose, few = lead(math.exp, 1.0, rtol=1e-3)
    tight, many = lead(math.exp, 1.0)
    assert few == 5 < many
    assert abs(loose.value - math.e) <= error(loose) <= 1e-3 * math.e
    assert abs(tight.value - math.e) <= error(tight) < 1e-11


@pytest.mark.parametrize("request_of", [{}, {"noise": 1e-8}])
def test_a_noise_that_is_told_is_the_least_error(request_of):
    found, _ = lead(math.sin, 1.0, **request_of)
    assert abs(found.value - math.cos(1.0)) <= error(found)
    assert not request_of or found.noise >= 1e-8


# Many elements at once


def course(f, x, **request) -> Common:
    talk = array.common_course(x, f(x), Request(**request))
    places, points = next(talk)
    while True:
        assert points.shape[1] == len(places)
        try:
            places, points = talk.send(f(points))
        except StopIteration as stop:
            return stop.value


@pytest.mark.parametrize(
    ("f", "least"),
    [
        (np.sin, 0.9),
        (np.exp, 0.9),
        (lambda x: np.sqrt(1 + x * x), 0.5),
        (lambda x: np.abs(x) * x, 0.4),
        (lambda x: 100.0 - x, 0.9),  # the step has to grow
        (lambda x: 1e4 + (x - 3.0) * x, 0.9),
        (lambda x: 1e3 + np.cos(0.01 * x), 0.1),
    ],
)
@pytest.mark.parametrize("request_of", [{}, {"noise": 1e-9}, {"unit": 2.0**-23}, {"rtol": 1e-4}, {"start": 2.0**-9}])
def test_the_common_course_gives_the_bits_of_the_scalar_method(f, least, request_of):
    x = np.random.default_rng(3).normal(size=400) * np.logspace(-3, 1, 400)
    found = course(f, x, **request_of)
    assert request_of or found.done.mean() > least
    for i in np.flatnonzero(found.done):
        alone, _ = lead(lambda t: f(np.array([t]))[0], float(x[i]), **request_of)
        assert (alone.value, alone.truncation, alone.rounding) == (
            found.value[i],
            found.truncation[i],
            found.rounding[i],
        )
        assert alone.status is Status.CONVERGED


@pytest.mark.parametrize(
    "f",
    [
        lambda x: 1e5 + x * x * (x - 1) + x**4,
        lambda x: 1e6 + np.sin(x),
        lambda x: 1e4 + 1 / (1 + x * x),
        lambda x: 1e5 + np.where(x > -1, np.sqrt(np.abs(x + 1)), np.nan) * x * x,
    ],
    ids=["polynomial", "sine", "pole", "domain"],
)
def test_a_large_offset_is_met_with_wide_steps_and_the_same_bits(f):
    x = np.random.default_rng(4).uniform(-0.9, 2, 300)
    with np.errstate(all="ignore"):
        found = course(f, x)
        for i in np.flatnonzero(found.done):
            alone, _ = lead(lambda t: f(np.array([t]))[0], float(x[i]))
            assert alone[:3] == (found.value[i], found.truncation[i], found.rounding[i])
            assert (alone.step, alone.noise, alone.status) == (found.step[i], found.noise[i], Status.CONVERGED)


def test_wide_steps_cost_no_more_and_lose_less():
    x = np.linspace(0.3, 1.9, 40)
    for point in x.tolist():
        found, evaluations = lead(lambda t: 1e6 + math.exp(t / 3), point)
        assert evaluations == 11
        assert found.step > 4 * scale.first_step(point)
        assert abs(found.value - math.exp(point / 3) / 3) <= error(found) < 1e-7


@pytest.mark.parametrize("place", [1.3, 1.5, 1.7])
def test_a_feature_far_away_is_not_stepped_into(place):
    found, _ = lead(lambda t: 1e6 + math.sin(t) + 30 * math.exp(-(((t - place) / 0.03) ** 2)), 1.0)
    assert abs(found.value - math.cos(1.0)) <= error(found)


def test_the_weights_of_the_wide_windows_are_exact_for_polynomials():
    top, x = 0.125, 0.5
    for m, weights in enumerate(wide.WEIGHTS):
        steps = [top, top / 2, *(top * 2.0**m * rung for rung in wide.WIDE)]
        values = [(t**5 - 2 * t + 1) for h in steps for t in (x + h, x - h)]
        for window in wide.windows(x**5 - 2 * x + 1, values[:4], values[4:], top, weights):
            assert window.value == pytest.approx(5 * x**4 - 2, abs=1e-13 * 64**m)
            assert window.residual == pytest.approx(0, abs=1e-13 * 64**m)


def test_what_leaves_the_common_course_is_named():
    x = np.array([1.0, 0.0, -1.0, 2.0])
    with np.errstate(all="ignore"):
        found = course(lambda t: np.where(t < 0, np.nan, np.abs(t - 2)) + np.exp(t), x)
    assert found.done.tolist() == [True, False, False, False]
