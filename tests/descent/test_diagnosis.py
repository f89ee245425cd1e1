"""Each reason over courses that are written by hand: what it sees, and what it must not take for it."""

import math

import numpy as np
import pytest

import mibun as mb
from mibun.descent.course import Course, Look
from mibun.descent.diagnosis import (
    critical_momentum,
    dead_gradient,
    diverged,
    falling_away,
    noise_floor,
    oscillating,
    ran_away,
    short,
    shrinking,
    unmoved,
)

S = mb.PathStatus


def look(loss, gradient, noise=0.0, error=1e-12, steps=math.nan):
    gradient = np.atleast_1d(np.asarray(gradient, float))
    bound = np.full(gradient.shape, error)
    codes = np.zeros(gradient.shape, np.uint8)
    return Look(float(loss), gradient, bound, bound, noise, noise > 0, codes, np.full(gradient.shape, steps))


def course(points, losses=None, curvature=2.0, **options):
    """Write down a course over the parabola of a curvature, or with losses of its own."""
    made = Course(**options)
    for number, x in enumerate(points):
        x = np.atleast_1d(np.asarray(x, float))
        loss = curvature * float(x @ x) / 2 if losses is None else losses[number]
        made.add(x, look(loss, curvature * x))
    return made


def test_the_curvature_along_the_path_is_that_of_f():
    made = course([1.0, 0.8, 0.64], curvature=7.0)
    np.testing.assert_allclose(made.curvatures(), [7.0, 7.0])
    made.add(np.array([0.64]), look(1.0, 7.0 * 0.64))
    assert len(made.curvatures()) == 2  # no move, no curvature
    made.add(np.array([0.64 + 1e-13]), look(1.0, 7.0 * 0.64 + 1e-13))
    assert len(made.curvatures()) == 2  # below its error


def test_diverged_needs_many_rises_and_a_large_growth():
    assert diverged(course((-1.9) ** np.arange(30))).status is S.DIVERGED  # f grows 3.61x a step
    assert diverged(course((-1.9) ** np.arange(8))) is None
    powers = (-9.0) ** np.arange(13)
    verdict = diverged(course(powers, rule=mb.GradientDescent(5.0)))
    assert verdict.status is S.DIVERGED
    assert verdict.message.startswith("f grew 81.0x a step")
    assert verdict.message.endswith("curvature along the path is 2.0, so the learning rate must be below 1.0")
    assert diverged(course(powers[:12])) is None
    dip = np.array([*powers[:-1], 0.0])
    assert diverged(course(dip)) is None
    assert diverged(course(np.linspace(1, 2, 20))) is None


def test_overshooting_is_no_divergence():
    path = mb.descend(lambda x: x**2, 1e-6, rule=mb.Adam(0.5), steps=60)
    assert path.status is not S.DIVERGED
    assert path.losses.max() > 1e8 * path.losses[0]


def test_a_slow_runaway_is_seen_at_the_end():
    made = course((-1.01) ** np.arange(30), rule=mb.GradientDescent(1.005))
    assert diverged(made) is None
    assert ran_away(made).status is S.DIVERGED
    assert ran_away(course(0.99 ** np.arange(30))) is None
    up_and_down = course([1.0, 2.0, 1.5, 2.5, 2.0, 3.0, 2.5])
    assert ran_away(up_and_down) is None


def test_falling_away_is_told_from_leaving_a_saddle():
    away = 1.2 ** np.arange(101)
    verdict = falling_away(course(away, curvature=-2.0))
    assert verdict.status is S.DIVERGED
    assert verdict.message.startswith("f falls 1.44x as fast with every step")
    assert falling_away(course(away[:30] * 1e-3, losses=1 - (away[:30] * 1e-3) ** 2)) is None
    assert falling_away(course(0.9 ** np.arange(101))) is None


def test_oscillating_looks_at_turns_and_at_the_slope():
    near = course((-0.98) ** np.arange(40), rule=mb.GradientDescent(0.99))
    verdict = oscillating(near)
    assert verdict.status is S.OSCILLATING
    assert verdict.message.startswith("19 of the last 19 steps turned back, and the slope shrinks by 2 % a step")
    assert verdict.message.endswith("diverges at learning rates from 1.0 on, and 0.99 is close: take 0.5")
    assert oscillating(course((-0.5) ** np.arange(40))) is None  # it turns, and gets there
    assert oscillating(course(0.98 ** np.arange(40))) is None  # it is slow, and does not turn
    assert oscillating(course((-0.98) ** np.arange(40), searched=True)) is None
    assert oscillating(course((-0.98) ** np.arange(40), sampled=True)) is None


def test_unmoved_waits_for_a_rule_with_a_memory():
    still = [3.0] * 12
    assert unmoved(course(still[:2])).status is S.STALLED
    assert unmoved(course(still[:2], rule=mb.Momentum())) is None
    assert unmoved(course(still, rule=mb.Momentum())).status is S.STALLED
    assert unmoved(course([0.0, 0.0])) is None  # there is no slope


def test_dead_gradient_asks_whether_x_plus_h_is_x():
    made = Course()
    made.add(np.array([1e13]), look(1e26, math.nan, steps=1e-4))
    assert dead_gradient(made).status is S.DEAD_GRADIENT
    assert "x + h == x for the step h = 0.0001" in dead_gradient(made).message
    made = Course()
    made.add(np.array([1e3]), look(1e6, math.nan, steps=1e-4))
    assert dead_gradient(made) is None
    made = Course()
    made.add(np.array([1e13]), look(1e26, 2e13, steps=1e-4))
    assert dead_gradient(made) is None


def test_noise_floor_compares_what_a_step_promises_with_the_noise():
    rng = np.random.default_rng(0)

    def noisy(slope, fall):
        made = Course()
        for number in range(20):
            made.add(
                np.array([1e-3 * number]), look(1 + 1e-3 * rng.standard_normal() - fall * number, slope, noise=1e-3)
            )
        return made

    assert noise_floor(noisy(0.1, 0.0)).status is S.NOISE_FLOOR
    assert noise_floor(noisy(0.1, 1e-2)) is None  # it falls
    assert noise_floor(noisy(10.0, 0.0)) is None  # steps promise more than the noise
    assert noise_floor(course(0.99 ** np.arange(20))) is None  # there is no noise


@pytest.mark.parametrize("momentum", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_critical_momentum_is_where_the_roots_of_the_recurrence_become_complex(momentum, share):
    # x'' = x' - rate·c·x' + m·(x' - x): roots of z² - (1 + m - rate·c)z + m
    discriminant = (1 + momentum - share) ** 2 - 4 * momentum
    swings = momentum > critical_momentum(mb.Momentum(share, momentum=momentum), 1.0)
    assert swings == (discriminant < 0)


def test_shrinking_is_the_factor_a_step():
    assert shrinking(course(0.9 ** np.arange(40))) == pytest.approx(0.9)
    assert shrinking(course([1.0, 0.0])) == 0.0


def test_what_is_held_at_bounds():
    made = Course(lower=np.array([1.0, -np.inf, 0.0]), upper=np.array([np.inf, 2.0, 9.0]))
    made.add(np.array([1.0, 2.0, 0.0]), look(1.0, [3.0, -4.0, -1.0]))
    np.testing.assert_array_equal(made.free, [False, False, True])
    assert made.slope == 1.0
    made.add(np.array([1.0, 2.0, 0.0]), look(1.0, [-3.0, 4.0, 1.0]))
    np.testing.assert_array_equal(made.free, [True, True, False])


@pytest.mark.parametrize(
    ("number", "text"),
    [(361.0, "361.0"), (2.0, "2.0"), (0.1, "0.1"), (1234567.0, "1.23e+06"), (1e-10, "1e-10"), (0.0, "0.0")],
)
def test_numbers_have_three_digits(number, text):
    assert short(number) == text
