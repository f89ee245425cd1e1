"""The parts of a descent on their own: noise, random directions, line search, surroundings, the value Path."""

import json
import math
import pickle

import numpy as np
import pytest

import mibun as mb
from mibun.descent.course import Course
from mibun.descent.landscape import Landscape
from mibun.descent.line_search import search
from mibun.descent.noise import noise_level
from mibun.descent.spsa import sample
from mibun.descent.surroundings import curvatures, surroundings
from mibun.errors import InputError
from mibun.given import taken

S = mb.PathStatus


def landscape(f, x, bounds=None, gradient=None):
    return Landscape(f, taken(np.asarray(x, float), bounds), "adaptive", gradient, False, None)


# noise


@pytest.mark.parametrize("level", [1e-9, 1e-3, 10.0])
def test_noise_is_measured_to_a_factor(level):
    t = 1e-6 * np.arange(9)
    for seed in range(200):
        found = noise_level(np.sin(t) + level * np.random.default_rng(seed).standard_normal(9))
        assert level / 5 < found < 5 * level


@pytest.mark.parametrize("f", [np.sin, lambda t: 1 + t, lambda t: t**2, lambda t: 1e6 + np.exp(t), lambda t: 0 * t])
def test_what_is_smooth_has_no_noise(f):
    values = f(1e-6 * np.arange(9))
    assert noise_level(values) <= 1e-15 * np.abs(values).max() + 1e-18


def test_a_jump_is_no_noise():
    t = 1e-6 * np.arange(9)
    for place in range(9):
        assert noise_level(np.sin(t) + (np.arange(9) >= place)) <= 1e-15
    assert noise_level([1.0, math.nan, 2.0, 1.0]) == 0.0


# random directions


def test_the_mean_of_many_directions_is_the_gradient():
    x, rng = np.array([1.0, -2.0, 0.5]), np.random.default_rng(0)
    limits = np.full(3, -np.inf), np.full(3, np.inf)
    slope = np.array([3.0, -1.0, 2.0])
    found = sample(lambda p: float(slope @ p), x, limits, 1e-3, 4000, 0.0, rng)
    assert (np.abs(found.gradient - slope) <= found.deviation).all()
    assert (found.deviation < 0.25).all()
    pair = sample(lambda p: float(slope @ p), x, limits, 1e-3, 1, 0.0, rng)
    np.testing.assert_allclose(np.abs(pair.gradient), np.abs(pair.gradient[0]))  # one number, with signs


def test_spsa_takes_two_values_a_pair_and_one_for_f():
    for pairs in (1, 4):
        path = mb.descend(lambda x: float(x @ x), np.ones(50), gradient=mb.SPSA(pairs=pairs, step=1e-3), steps=10)
        assert path.evaluations == 11 * (2 * pairs + 1)


def test_spsa_goes_down_in_many_dimensions():
    path = mb.descend(
        lambda x: float(np.sum((x - 1) ** 2)),
        np.zeros(100),
        rule=mb.GradientDescent(0.004),
        gradient=mb.SPSA(seed=4),
        steps=500,
    )
    assert path.fun < 0.1 * path.losses[0]
    assert not path.success  # it cannot know


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": 0}, "pairs is 0"),
        ({"pairs": True}, "pairs is True"),
        ({"seed": -1}, "seed is -1"),
        ({"step": 0.0}, "step is 0.0"),
        ({"step": "small"}, "step is 'small'"),
    ],
)
def test_bad_options_of_spsa(options, message):
    with pytest.raises(InputError, match=message):
        mb.SPSA(**options)


def test_spsa_is_a_value():
    assert repr(mb.SPSA(pairs=2)) == "SPSA(pairs=2, seed=0, step=None)"
    assert mb.SPSA() == mb.SPSA(1, 0)
    with pytest.raises(AttributeError):
        mb.SPSA().pairs = 3


# line search


@pytest.mark.parametrize("kind", ["armijo", "wolfe"])
@pytest.mark.parametrize("rate", [1e-6, 1.0, 1e6])
def test_a_step_fulfils_its_conditions(kind, rate):
    f = lambda x: float(x[0] ** 4 + 3 * x[1] ** 2 + x[0] * x[1])  # noqa: E731
    place = landscape(f, [1.0, -2.0])
    x = np.array([1.0, -2.0])
    look = place.look(x)
    found = search(place, x, look, rate, kind)
    steep = float(look.gradient @ look.gradient)
    assert f(found.point) <= look.loss - 0.25 * found.rate * steep
    np.testing.assert_array_equal(found.point, x - found.rate * look.gradient)
    if kind == "wolfe":
        assert place.look(found.point).gradient @ look.gradient <= 0.9 * steep
    elif rate == 1e-6:
        assert found.rate == rate


def test_no_step_along_a_wrong_gradient():
    place = landscape(lambda x: float(x @ x), [1.0, 2.0], gradient=lambda x: -2 * x)
    x = np.array([1.0, 2.0])
    assert search(place, x, place.look(x), 1.0, "armijo") is None


def test_armijo_bends_along_the_bounds():
    place = landscape(lambda x: float(x @ x), [1.0, 2.0], bounds=(0.5, 3.0))
    x = np.array([1.0, 2.0])
    found = search(place, x, place.look(x), 0.5, "armijo")
    np.testing.assert_array_equal(found.point, [0.5, 0.5])


# surroundings


def around(f, x, start=None, gradient=None):
    x = np.asarray(x, float)
    place, course = landscape(f, x, gradient=gradient), Course()
    course.add(np.asarray(x if start is None else start, float), place.look(np.asarray(x if start is None else start)))
    course.add(x, place.look(x))
    return surroundings(place, course, np.ones(x.shape, np.bool_))


@pytest.mark.parametrize("size", [2, 5, 50])
def test_curvatures_are_the_eigenvalues_of_the_hessian(size):
    rng = np.random.default_rng(size)
    turn, _ = np.linalg.qr(rng.standard_normal((size, size)))
    values = np.linspace(-1.0, 4.0, size)
    matrix = (turn * values) @ turn.T
    place = landscape(lambda x: float(x @ matrix @ x) / 2, np.ones(size), gradient=lambda x: matrix @ x)
    found = curvatures(place, np.ones(size), np.ones(size, np.bool_))
    for bend, extreme in ((found[0], -1.0), (found[-1], 4.0)):
        assert np.abs(values - bend.value).min() <= bend.error
        # twelve products do not find the ends of fifty curvatures, but come near them
        assert abs(bend.value - extreme) < (1e-8 if size < 40 else 0.2)
    for bend in (found[0], found[-1]):
        assert np.linalg.norm(bend.direction) == pytest.approx(1.0)
        assert np.linalg.norm(matrix @ bend.direction - bend.value * bend.direction) <= bend.error + 1e-8


def test_a_minimum_a_saddle_and_a_plain():
    bowl = around(lambda x: float(x @ x), [0.0, 0.0], [1.0, 1.0])
    assert (bowl.down, bowl.falls, bowl.rises) == (None, None, True)
    assert bowl.lowest == pytest.approx(2.0)
    saddle = around(lambda x: float(x[0] ** 2 - x[1] ** 2), [0.0, 0.0], [1.0, 0.0])
    assert saddle.down.value == pytest.approx(-2.0)
    np.testing.assert_allclose(np.abs(saddle.down.direction), [0.0, 1.0], atol=1e-9)
    plain = around(lambda x: 3.0, [1.0, 2.0])
    assert (plain.down, plain.falls, plain.rises) == (None, None, False)
    cubic = around(lambda x: float(x[0] ** 3), [0.0], [1.0])
    assert cubic.down is None
    assert cubic.falls.direction[0] == -1.0


# the value Path


def made(**fields):
    points = np.array([[-3.0, 4.0], [0.0, 0.0]])
    usual = {
        "x": points[-1],
        "points": points,
        "losses": np.array([25.0, 0.0]),
        "gradients": 2 * points,
        "errors": 0 * points,
        "status": S.CONVERGED,
        "message": "the slope is 0",
        "evaluations": 26,
    }
    return mb.Path(**usual | fields)


def test_a_path_prints_on_one_screen():
    assert repr(made()) == (
        "Path(converged after 1 step, 26 evaluations, f 25 -> 0, success)\nx = [0. 0.]\nthe slope is 0"
    )
    large = made(x=np.zeros(10**6), message="because " * 60)
    assert max(map(len, repr(large).splitlines())) <= 100
    assert len(repr(large).splitlines()) < 10


def test_a_path_is_frozen_pickles_and_becomes_json():
    path = made(losses=np.array([math.nan, math.inf]))
    with pytest.raises(AttributeError):
        path.status = S.SADDLE
    again = pickle.loads(pickle.dumps(path))
    assert again.status is S.CONVERGED
    np.testing.assert_array_equal(again.points, path.points)
    told = json.loads(json.dumps(path.to_dict(), allow_nan=False))
    assert told["losses"] == ["nan", "inf"]
    assert (told["status"], told["nit"], told["success"], told["points"]) == (
        "converged",
        1,
        True,
        path.points.tolist(),
    )
    structure = made(x={"a": 0.0}, points={"a": np.zeros(2)}, gradients={"a": np.ones(2)}, errors={"a": np.zeros(2)})
    assert structure.jac == {"a": 1.0}
    assert structure.to_dict()["points"] == {"a": [0.0, 0.0]}


def test_every_status_says_what_to_do():
    assert len(S) == 12
    for status in S:
        assert str(status) == status.word == status.name.lower().replace("_", " ")
        assert status.success == (status in (S.CONVERGED, S.BOUNDS))
        assert len(status.value) > 40
