"""The parts of the adaptive method alone: what each rule is for, on rows and answers for which it decides."""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mibun.derivatives as mb
from mibun.methods.adaptive.noise import Choice, Pairs, select
from mibun.methods.adaptive.probe import SPREAD, Verdict, probe
from mibun.result import Derivative
from mibun.status import Status

sys.path.insert(0, str(Path(__file__).parents[1]))

import cases
import mix


def solved(formula: str, x: float) -> tuple[Derivative, float]:
    """Give what is said, and the truth."""
    return mb.derivative(mix.compiled(formula, mix.MATH), x), float(mix.jet(formula, x)[1])


def ended(talk: Any, f: Callable[[float], float]) -> tuple[Any, list[Sequence[float]]]:
    """Answer a part of the method until it ends."""
    rounds = []
    try:
        points = next(talk)
        while True:
            rounds.append(points)
            points = talk.send([f(point) for point in points])
    except StopIteration as end:
        return end.value, rounds


# --- rows for which one rule decides ---


@pytest.mark.parametrize(
    ("formula", "x"),
    [
        ("sin(x)", 1000.0),  # a ladder goes on only while its tables contract by 8
        ("sqrt(1+((0.652*((x-2.87)/0.000907))**3)**2)", 2.869026240320658),
        ("x**4", 0.0),  # roots of higher order have no slope beside which their curvature could fall
        ("x**3", 0.0),
        ("single((x)**2)", 1.1289508748836836),  # few bits: computed in float32
    ],
)
def test_these_converge(formula: str, x: float) -> None:
    d, truth = solved(formula, x)
    assert d.status in (Status.CONVERGED, Status.NOISY)
    assert abs(d.value - truth) <= d.error <= 1e-5 * max(abs(truth), 1e-5)


@pytest.mark.parametrize(
    ("formula", "x"),
    [
        (
            "exp(exp(-(2.92*(1.24e-06*x))**2))/(1+((0.419*(1.24e-06*x)+0.402))**2)+0.00218*normal(x,3)",
            -41725.12135967862,
        ),
        ("cosh(exp(log((2.32*(9120000.0*x)+1.07))))+0.00461*uniform(x,206843028)", 2.1328001267993397e-08),
        ("(((0.779*x+0.944))**2-exp(-((0.466*x-2.25))**2))+0.00108*uniform(x,714625480)", -0.7900080904682422),
        ("exp(-(cos(cosh((0.861*x+0.337))))**2)+0.000167*uniform(x,641808434)", 0.1119647345613685),
    ],
)
def test_noise_that_is_known_explains_a_look(formula: str, x: float) -> None:
    d, truth = solved(formula, x)
    assert d.status is Status.NOISY
    assert abs(d.value - truth) <= d.error


def test_a_step_does_not_grow_over_what_it_cannot_see() -> None:
    d, truth = solved("atanh(tanh((0.549*log(x)-1.06)))", 230418808.7088422)
    assert not d.status.passes or abs(d.value - truth) <= d.error
    d, truth = solved("10000*x**3+0.01*x**2+5*x", 1e-9)
    assert abs(d.value - truth) <= d.error
    assert d.evaluations <= 11


def test_bounds_under_noise_are_not_far_too_wide() -> None:
    problems = mix.noisy_problems(mix.DEVELOPMENT_SEED, 300)
    found = [(p, mb.derivative(p.f, p.x)) for p in problems if p.kind != "single"]
    ratios = [d.error / max(abs(d.value - p.derivative), 1e-300) for p, d in found]
    assert np.median(ratios) < 16


@pytest.mark.parametrize("case", cases.of_kind("end"), ids=lambda case: case.name)
def test_at_an_end_the_error_covers(case: cases.Case) -> None:
    d = mb.derivative(case.f, case.x)
    assert d.status is Status.ONE_SIDED
    assert abs(d.value - case.derivative) <= d.error


def test_a_vertical_tangent_shows_at_smaller_steps() -> None:
    assert mb.derivative(lambda x: math.exp(x) + math.sqrt(x - 1), 1.0).status is Status.NOT_FINITE


# --- the windows ---

STEPS = (0.1, 0.05, 0.03, 0.02, 0.01)


def pairs_of(f: Callable[[float], float]) -> list[tuple[float, float, float]]:
    return [(h, f(h), f(-h)) for h in STEPS]


def test_what_the_even_table_leaves_is_an_error() -> None:
    """An even part that does not go to 0 cannot be seen in the odd table at all."""
    window = Pairs(0.0, pairs_of(lambda t: t + 1e-6 * (t != 0)))
    plain, noisy = (window.choose(1e-30, flag, 0.0) for flag in (False, True))
    assert plain.truncation == pytest.approx(1e-6 / max(STEPS))
    assert noisy.truncation == pytest.approx(2 * plain.truncation)


def test_noise_widens_what_orders_disagree_about() -> None:
    window = Pairs(0.0, pairs_of(lambda t: t + 1e3 * t**13 + 10 * t**9))
    plain, noisy = (window.choose(1e-30, flag, 0.0) for flag in (False, True))
    assert (plain.value, plain.step) == (noisy.value, noisy.step)
    assert noisy.truncation == pytest.approx(2.5 * plain.truncation)


def test_the_level_stays_between_floor_and_cap_and_takes_samples() -> None:
    rng = np.random.default_rng(3)
    loud = Pairs(0.0, pairs_of(lambda t: t + 1e-3 * rng.standard_normal()))
    assert 1e-4 < loud.sigma(0.0, math.inf, ()) < 1e-2
    assert loud.sigma(0.0, 1e-5, ()) == 1e-5
    assert loud.sigma(1.0, math.inf, ()) == 1.0
    quiet = Pairs(0.0, pairs_of(lambda t: t))
    assert quiet.sigma(0.0, math.inf, (1e-3, -1e-3)) > 1e-4
    assert quiet.sigma(0.0, math.inf, ()) < 1e-15


def test_a_choice_among_noisy_windows_is_paid_for() -> None:
    rng = np.random.default_rng(3)
    pairs = pairs_of(lambda t: t + 1e-3 * rng.standard_normal())
    found, rounds = ended(select(0.0, 0.0, pairs, 0.0, math.inf, spare=0), math.sin)
    window = Pairs(0.0, pairs)
    chosen: Choice = window.choose(window.sigma(0.0, math.inf, ()), True, window.size)
    assert rounds == []
    assert found.error == pytest.approx(1.5 * chosen.error)


def test_a_wider_step_that_contradicts_the_others_is_not_taken() -> None:
    rng = np.random.default_rng(3)
    pairs = pairs_of(lambda t: 1e-3 * rng.standard_normal())
    first, _ = ended(select(0.0, 0.0, pairs, 0.0, math.inf, spare=0), math.sin)
    steep = abs(first.value) + 100 * first.error
    found, rounds = ended(select(0.0, 0.0, pairs, 0.0, math.inf), lambda t: steep * t)
    assert rounds
    assert found == first


def test_a_window_does_not_ask_for_more_than_is_spare() -> None:
    rng = np.random.default_rng(3)
    pairs = pairs_of(lambda t: t + 1e-3 * rng.standard_normal())
    for spare in range(21):
        _, rounds = ended(select(0.0, 0.0, pairs, 0.0, math.inf, spare=spare), lambda t: t)
        assert sum(map(len, rounds)) <= spare


# --- the tiny pair ---


def probed(f: Callable[[float], float], stalled: float = 0.0) -> tuple[Verdict, float, int]:
    """Probe f, a function of the distance from x = 1 in units of the tiny step, of size 1e-9."""
    talk = probe(1.0, 1.0, 0.1, 0.0, 2.0**-52, 1.0, stalled)
    points = next(talk)
    tiny, rounds = points[0] - 1.0, 0
    try:
        while True:
            rounds += 1
            points = talk.send([1.0 + 1e-9 * f((point - 1.0) / tiny) for point in points])
    except StopIteration as end:
        return end.value, tiny, rounds


def test_a_kink_goes_on() -> None:
    verdict, tiny, rounds = probed(abs)
    assert (verdict.word, rounds) == ("kink", 2)
    assert verdict.right == pytest.approx(1e-9 / tiny, rel=1e-6)
    assert verdict.left == pytest.approx(-1e-9 / tiny, rel=1e-6)
    # a corner that ends at 16 t is none at x: it is what a narrow feature looks like
    assert probed(lambda s: s + min(abs(s), SPREAD + 4))[0].word != "kink"


def test_a_jump_stands_out_of_the_rounding() -> None:
    assert probed(lambda s: float(s > 0) + 1e-7 * s)[0].word == "jump"
    assert probed(lambda s: 1e-6 * (s > 0))[0].word != "jump"


def test_a_weak_kink_is_looked_at_again_where_tables_stall() -> None:
    def weak(s: float) -> float:
        return s + abs(s) / 600

    assert probed(weak, stalled=1e-4)[0].word == "kink"
    assert probed(lambda s: 1e-3 * s)[2] == 1


# --- the common course ---


@pytest.mark.parametrize(
    "formula",
    [
        "single(x*x)",
        "single(sin(x))",
        "x*x",
        "1e8+sin(x)",
        "1e-3*x*x+x",
        "where(abs(x-1.0276)<0.0004,1e400,exp(x))",
        "where(abs(x-1.0276)<0.0004,nan,exp(x))",
    ],
)
def test_what_leaves_the_common_course_gets_the_bits_it_has_alone(formula: str) -> None:
    f = mix.compiled(formula, mix.MATH)
    points = np.concatenate([np.linspace(0.98, 1.02, 60), [1.0, 1e-3, 1e-12]])
    together = mb.derivative(np.vectorize(f, otypes=[float]), points, vectorized=True)
    alone = [mb.derivative(f, x) for x in points.tolist()]
    for field in ("value", "error", "step", "noise"):
        np.testing.assert_array_equal(getattr(together, field), [getattr(d, field) for d in alone])
    assert together.status.tolist() == [d.status for d in alone]
