"""The table of cases and the random mix: every truth again, by another way than the one it came from."""

import importlib.util
import math
import pickle
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import mpmath
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cases
import mix
from cases import CASES, Case

#: With 160 digits and steps of 1e-40 natural lengths, a difference quotient has 40 digits or more.
MP = mpmath.MPContext()
MP.dps = 160
STEP = MP.mpf("1e-40")
#: Standard deviations of the noise by which two implementations may differ, where a rounding error can flip a value.
FLIP = 4


def _step(case: Case) -> mpmath.mpf:
    return STEP * (case.scale if math.isfinite(case.scale) else max(abs(case.x), 1.0))


def _quotients(case: Case, x: float, step: mpmath.mpf) -> list[float | None]:
    """Return the difference quotients to the left and to the right; None where f is not real."""
    at = MP.mpf(x)
    here = case.exact(MP, at)
    result = []
    for h in (-step, step):
        value = case.exact(MP, at + h)
        real = isinstance(value, int | float) or (hasattr(value, "_mpf_") and not MP.isnan(value))
        result.append((value - here) / h if real else None)
    return result


def _close(found: float, expected: float) -> bool:
    """Two units in the last place: one for each rounding."""
    return abs(float(found) - expected) <= max(2 * math.ulp(expected), 1e-18 if expected == 0 else 0.0)


def _named(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases.of_kind(*kinds), ids=lambda case: case.name)


def test_rows_are_many_and_unique():
    assert len(CASES) >= 500
    assert max(Counter(case.name for case in CASES).values()) == 1
    assert {case.kind for case in CASES} == set(cases.KINDS)
    assert all(len(cases.of_kind(kind)) >= 10 for kind in cases.KINDS)
    assert all(case.source for case in CASES)


@_named(*cases.SMOOTH_KINDS, "noise", "insensitive")
def test_a_two_sided_derivative_is_that_of_a_difference_quotient(case):
    left, right = _quotients(case, case.x, _step(case))
    assert _close((left + right) / 2, case.derivative)
    assert case.derivative == 0 or abs(left - right) <= 1e-20 * abs(case.derivative)


@_named("end")
def test_at_an_end_one_side_has_the_derivative_and_the_other_has_no_value(case):
    (slope,) = [q for q in _quotients(case, case.x, _step(case)) if q is not None]
    assert abs(float(slope) - case.derivative) <= 1e-15 * max(1.0, abs(case.derivative))


@_named("rough")
def test_a_rough_function_has_a_derivative_all_the_same(case):
    for quotient in _quotients(case, case.x, _step(case)):
        assert abs(float(quotient) - case.derivative) <= 1e-13


@_named("kink")
def test_a_kink_has_two_slopes(case):
    left, right = _quotients(case, case.x, _step(case))
    assert _close(left, case.left)
    assert _close(right, case.right)
    assert case.left != case.right
    assert case.derivative == (case.left + case.right) / 2


@_named("jump")
def test_a_jump_does_not_close(case):
    step = _step(case)
    for h in (step, step / 10**20):
        assert abs(case.exact(MP, case.x + h) - case.exact(MP, case.x - h)) > 0.99e-6
    assert math.isnan(case.derivative)


@_named("not_finite")
def test_a_vertical_tangent_grows_without_end(case):
    coarse, fine = (_quotients(case, case.x, _step(case) / 10**n) for n in (0, 40))
    pairs = [(a, b) for a, b in zip(coarse, fine, strict=True) if a is not None]
    assert pairs
    assert all(abs(b) > 1e10 * abs(a) for a, b in pairs)
    signs = {int(MP.sign(b)) for _, b in pairs}
    assert signs == ({-1, 1} if math.isnan(case.derivative) else {int(math.copysign(1, case.derivative))})


def test_derivative_and_scale_follow_from_the_taylor_series():
    checked = 0
    for case in CASES:
        # The series of sqrt(x**2) at 0 would need that of the square root at 0.
        if not math.isfinite(case.scale) or case.formula == "sqrt(x**2)":
            continue
        series = [mix.jet(case.formula, case.x, side) for side in (-1, 1)]
        if case.kind == "kink":
            assert [float(c[1]) for c in series] == [case.left, case.right], case.name
        lengths = [mix.natural_length(c, case.x) for c in series if math.isfinite(float(c[1]))]
        slopes = [float(c[1]) for c in series if math.isfinite(float(c[1]))]
        assert case.kind == "kink" or case.derivative in slopes, case.name
        assert min(lengths) == pytest.approx(case.scale, rel=1e-5), case.name
        checked += 1
    assert checked > 450


def _value(case: Case, x: float) -> float:
    """Return f(x), nan where it says that there is none: by an exception, a complex number, an infinity."""
    try:
        value = case.f(x)
    except (ValueError, ArithmeticError):
        return math.nan
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan


def test_scalar_and_array_agree():
    for case in CASES:
        length = case.scale if math.isfinite(case.scale) else max(abs(case.x), 1.0)
        points = np.array([case.x, case.x - length / 64, case.x + length / 64])
        with np.errstate(all="ignore"):
            found = np.broadcast_to(case.array_f(points), points.shape)
        expected = np.array([_value(case, float(x)) for x in points])
        assert np.array_equal(np.isfinite(found), np.isfinite(expected)), case.name
        slope = case.derivative if math.isfinite(case.derivative) else 0.0
        rounding = 64 * mix.EPS * (np.abs(expected) + abs(case.x * slope) + abs(length * slope))
        flips = FLIP * (case.sd if math.isfinite(case.sd) else mix.STOP) if case.kind == "noise" else 0.0
        fine = np.isfinite(found)
        assert np.all(np.abs(found - expected)[fine] <= (rounding + flips)[fine]), case.name


def test_values_at_x_are_numbers():
    for case in CASES:
        assert isinstance(case.f(case.x), float), case.name
        assert math.isfinite(case.f(case.x)), case.name


def test_the_floor_is_that_of_its_formula():
    (case,) = [case for case in CASES if case.name == "exp(x) at 1.0"]
    assert cases.floor(case) == pytest.approx(2.0**-52 * 2 * math.e / (0.3 * 3.0), rel=1e-6)
    assert cases.at_floor(case, 29 * cases.floor(case))
    assert not cases.at_floor(case, 31 * cases.floor(case))


@pytest.mark.parametrize("draw", ["uniform", "normal"])
def test_noise_has_the_deviation_it_claims_and_repeats_itself(draw):
    x = np.linspace(1.0, 1.001, 20_001)
    noise = mix.ARRAY[draw](x, 7)
    assert np.mean(noise) == pytest.approx(0.0, abs=0.03)
    assert np.std(noise) == pytest.approx(1.0, abs=0.03)
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.03
    assert np.allclose(noise[:100], [mix.MATH[draw](float(v), 7) for v in x[:100]], rtol=1e-12, atol=1e-14)
    assert not np.allclose(noise, mix.ARRAY[draw](x, 8))


@pytest.mark.parametrize("solver", ["bisect", "newton"])
def test_solvers_stop_where_they_say(solver):
    for u in (-60.0, -1.0, 0.0, 0.3, 2.0, 500.0):
        y = mix.MATH["root"](u)
        assert (y * y + 1.0) * y == pytest.approx(u, rel=1e-14, abs=1e-15)
        assert abs(mix.MATH[solver](u) - y) < mix.STOP


def _case(problem: mix.Problem) -> Case:
    return Case(problem.formula, problem.x, problem.derivative, problem.scale, problem.kind, "mix")


def test_the_mix_is_the_same_for_the_same_seed():
    first = mix.problems(mix.DEVELOPMENT_SEED, 50)
    assert first == mix.problems(mix.DEVELOPMENT_SEED, 60)[:50]
    names = {problem.name for problem in first}
    assert len(names) == 50
    assert not names & {problem.name for problem in mix.problems(mix.HELD_OUT_SEED, 50)}


def test_the_truth_of_the_mix_is_that_of_a_difference_quotient():
    drawn = mix.problems(5, 200)
    assert {problem.kind for problem in drawn} == set(mix.MIX)
    for problem in drawn:
        case = _case(problem)
        left, right = _quotients(case, case.x, _step(case))
        assert _close((left + right) / 2, problem.derivative), problem.name
        # Constants sum up differently in floats: 1e-9 is far beyond that, and far below a wrong formula.
        assert problem.f(problem.x) == pytest.approx(problem.fx, rel=1e-9, abs=1e-9 * abs(problem.x)), problem.name


def test_the_truth_beneath_noise_is_that_of_the_clean_function():
    for problem in mix.noisy_problems(5, 60) + mix.solver_problems(5, 40):
        case = _case(problem)
        left, right = _quotients(case, case.x, _step(case))
        assert _close((left + right) / 2, problem.derivative), problem.name
        assert math.isfinite(problem.best_error) == math.isfinite(problem.sd), problem.name


def _stopped(u: mpmath.mpf, count: int) -> mpmath.mpf:
    """Take so many steps of Newton's method from 0 towards the root of y**3 + y = u."""
    y = MP.mpf(0)
    for _ in range(count):
        y -= ((y * y + 1) * y - u) / (3 * y * y + 1)
    return y


def test_the_derivative_of_a_stopped_solver_is_that_of_what_it_computes():
    drawn = [problem for problem in mix.solver_problems(5, 40) if problem.kind == "newton"]
    assert len(drawn) > 10
    for problem in drawn:
        inner = problem.formula.removeprefix("newton")
        u = mix.compiled(inner, mix.MATH)(problem.x)
        count = next(n for n in range(1, 100) if abs(_stopped(u, n) - _stopped(u, n - 1)) < mix.STOP)
        case, step = replace(_case(problem), formula=inner), MP.mpf("1e-40")
        up, down = (_stopped(case.exact(MP, MP.mpf(problem.x) + h), count) for h in (step, -step))
        assert _close((up - down) / (2 * step), problem.computed), problem.name
        assert abs(float(_stopped(u, count)) - problem.f(problem.x)) < 1e-14, problem.name
    assert any(problem.computed != problem.derivative for problem in drawn)


def test_problems_are_sent_to_other_processes():
    (problem,) = mix.problems(5, 1)
    assert problem.f(problem.x) == pickle.loads(pickle.dumps(problem)).f(problem.x)


def test_the_slopes_of_random_kinks_are_those_of_difference_quotients():
    drawn = mix.kinks(5, 60, share_near=0.3)
    assert {problem.kind for problem in drawn} == {"kink", "kink near"}
    for problem in drawn:
        at = problem.x - problem.distance
        slopes = _quotients(_case(problem), at, _step(_case(problem)))
        assert [float(q) for q in slopes] == pytest.approx([problem.left, problem.right], rel=1e-14), problem.name


def test_the_table_is_cheap_to_import():
    """No truth is computed at import: the table holds literals."""
    spec = importlib.util.spec_from_file_location("cases_again", cases.__file__)
    module = importlib.util.module_from_spec(spec)
    sys.modules["cases_again"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["cases_again"]
    assert not any("f" in vars(case) for case in module.CASES)
