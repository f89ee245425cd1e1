"""Functions to go down, each with the reason for which a descent has to stop.

`CLASSIC` are well-known ones and the traps of a descent. `random_cases` draws others whose right answer follows from
theory: on a quadratic, gradient descent converges below the learning rate 2/c, c the largest curvature, and diverges
above it, and so on. Noise comes from a generator that each case makes anew, so that a run repeats to the bit.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import mibun as mb
from mibun import PathStatus as S

Array = NDArray[np.float64]
Rate = mb.GradientDescent
HELD_OUT_SEED = 730117


class Case(NamedTuple):
    """A descent: the function, made anew for each run, where to begin, options, and why it has to stop."""

    name: str
    make: Callable[[], Callable[[Any], Any]]
    start: Any
    options: dict[str, Any]
    status: mb.PathStatus
    kind: str = ""

    def run(self, **more: Any) -> mb.Path:
        """Go down."""
        return mb.descend(self.make(), self.start, **self.options, **more)


def always(f: Callable[[Any], Any]) -> Callable[[], Callable[[Any], Any]]:
    """Give a function that has no state."""
    return lambda: f


def noisy(f: Callable[[Any], float], level: float, seed: int = 0) -> Callable[[], Callable[[Any], Any]]:
    """Add normal noise."""

    def make() -> Callable[[Any], float]:
        rng = np.random.default_rng(seed)
        return lambda x: f(x) + level * rng.standard_normal()

    return make


def bowl(x: Any) -> Any:
    """Take the notes' function: x0² + x1²."""
    return x[0] ** 2 + x[1] ** 2


def rosenbrock(x: Any) -> Any:
    """Take the curved valley (Rosenbrock 1960)."""
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def beale(x: Any) -> Any:
    """Take the squares of three products (Beale 1958)."""
    a, b = x
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def himmelblau(x: Any) -> Any:
    """Take the squares of two parabolas: four minima, a maximum, four saddles (Himmelblau 1972)."""
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def booth(x: Any) -> Any:
    """Take the squares of two lines."""
    return (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2


def ill_conditioned(x: Any) -> Any:
    """Take a quadratic with curvatures from 2 to 20,000."""
    return float(np.array([1.0, 1e2, 1e4]) @ np.square(x))


def absolute(x: Any) -> Any:
    """Add |x|."""
    return float(np.abs(x).sum())


def stairs(x: Any) -> Any:
    """Add whole parts: f is a step function."""
    return float(np.floor(x).sum())


def bell(x: Any) -> Any:
    """Take a well in a plain."""
    return 1 - math.exp(-(x[0] ** 2 + x[1] ** 2))


def saddle(x: Any) -> Any:
    """Take the saddle x0² - x1²."""
    return x[0] ** 2 - x[1] ** 2


def case(
    name: str, f: Callable[[Any], Any], start: Any, status: mb.PathStatus, /, *, level: float = 0.0, **options: Any
) -> Case:
    """Write one case down."""
    return Case(name, noisy(f, level) if level else always(f), start, options, status)


def stop_at_ten(progress: Any) -> None:
    """Stop a descent from outside."""
    if progress.step == 10:
        raise StopIteration


HIMMELBLAU_SADDLE = [0.08667750455539636, 2.884254701174776]
CLASSIC = (
    case("the notes' bowl", bowl, [-3, 4], S.CONVERGED),
    case("the notes' bowl, learning rate 10", bowl, [-3, 4], S.DIVERGED, rule=Rate(10.0)),
    case("the notes' bowl, learning rate 1e-10", bowl, [-3, 4], S.STALLED, rule=Rate(1e-10)),
    case("the notes' bowl, their step", bowl, [-3, 4], S.DEAD_GRADIENT, rule=Rate(10.0), method=mb.Central(step=1e-4)),
    case("Rosenbrock", rosenbrock, [-1.2, 1.0], S.CONVERGED, rule=mb.Momentum(2e-4, momentum=0.98), steps=6000),
    case("Rosenbrock, on its way", rosenbrock, [-1.2, 1.0], S.BUDGET_SPENT, rule=Rate(1e-3)),
    case("Rosenbrock, learning rate 0.01", rosenbrock, [-1.2, 1.0], S.DIVERGED, rule=Rate(1e-2)),
    case(
        "Rosenbrock, 2,000 evaluations",
        rosenbrock,
        [-1.2, 1.0],
        S.BUDGET_SPENT,
        line_search="armijo",
        steps=999,
        budget=2000,
    ),
    case("Beale", beale, [1.0, 1.0], S.CONVERGED, rule=mb.Momentum(0.01), steps=3000),
    case("Beale, Armijo", beale, [1.0, 1.0], S.CONVERGED, line_search="armijo", steps=3000),
    case("Himmelblau", himmelblau, [0.0, 0.0], S.CONVERGED, rule=Rate(0.01), steps=500),
    case("Himmelblau, its maximum", himmelblau, [0.0, 0.0], S.CONVERGED, rule=Rate(0.01), steps=500, maximize=True),
    case("Himmelblau, a saddle", himmelblau, HIMMELBLAU_SADDLE, S.SADDLE, rule=Rate(0.01)),
    case("Booth", booth, [0.0, 0.0], S.CONVERGED, rule=Rate(0.1), steps=500),
    case("Booth, Wolfe", booth, [0.0, 0.0], S.CONVERGED, line_search="wolfe", steps=500),
    case("Booth, in a box", booth, [-1.0, 0.0], S.BOUNDS, rule=Rate(0.05), steps=500, bounds=(-2, 2)),
    case("Booth, Adam", booth, [0.0, 0.0], S.CONVERGED, rule=mb.Adam(0.1), steps=3000),
    case("Booth, stopped", booth, [0.0, 0.0], S.STOPPED, callback=stop_at_ten),
    case("saddle, along its valley", saddle, [1.0, 0.0], S.SADDLE, steps=300),
    case("saddle, at it", saddle, [0.0, 0.0], S.SADDLE),
    case("saddle, beside its valley", saddle, [1.0, 0.1], S.DIVERGED),
    case("monkey saddle, at it", lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2, [0.0, 0.0], S.SADDLE),
    case("a quartic, at its minimum", lambda x: x[0] ** 4 + x[1] ** 4, [0.0, 0.0], S.CONVERGED),
    case("a plain, far from its well", bell, [4.0, 4.0], S.PLATEAU),
    case("a plain, farther", bell, [9.0, 9.0], S.PLATEAU),
    case("stairs", stairs, [1.5, 2.5], S.PLATEAU),
    case("stairs, elsewhere", stairs, [-3.3, 0.7], S.PLATEAU),
    case("a constant", lambda x: 3.0, [1.0, 2.0], S.PLATEAU),
    case("noisy bowl, noise 1e-3", bowl, [-3.0, 4.0], S.NOISE_FLOOR, level=1e-3),
    case("noisy bowl, noise 1e-6", lambda x: 1 + bowl(x - 1), [-3.0, 4.0], S.NOISE_FLOOR, level=1e-6),
    case("noisy bowl, SPSA", bowl, [-3.0, 4.0], S.NOISE_FLOOR, level=1e-3, gradient=mb.SPSA(), steps=300),
    case("ill-conditioned", ill_conditioned, [1.0, 1.0, 1.0], S.BUDGET_SPENT, rule=Rate(9e-5)),
    case("ill-conditioned, near the limit", ill_conditioned, [0, 0, 1.0], S.OSCILLATING, rule=Rate(9.9e-5)),
    case("ill-conditioned, beyond it", ill_conditioned, [1.0, 1.0, 1.0], S.DIVERGED, rule=Rate(1.1e-4)),
    case("sum of |x|", absolute, [-3.0, 4.0], S.OSCILLATING, rule=Rate(0.07)),
    case("sum of |x|, onto its kink", absolute, [-3.0, 4.0], S.CONVERGED, rule=Rate(0.5)),
    case("a kink across the axes", lambda x: abs(x[0] - x[1]) + bowl(x) / 10, [1.0, 1.0], S.SADDLE),
    case("a bowl, heavy momentum", bowl, [-3.0, 4.0], S.OSCILLATING, rule=mb.Momentum(0.1, momentum=0.99)),
    case(
        "x - log(x), over its edge", lambda x: x - math.log(x), 0.1, S.NOT_FINITE, rule=Rate(-0.0 + 30.0), maximize=True
    ),
    case("-x²", lambda x: -(x**2), 1.0, S.DIVERGED),
    case("x⁴, learning rate 1", lambda x: x**4, 2.0, S.DIVERGED, rule=Rate(1.0)),
)


def random_cases(seed: int, count: int) -> Iterator[Case]:
    """Draw cases whose answer theory knows, the kinds in turn."""
    rng = np.random.default_rng(seed)
    kinds = (
        _quadratic,
        _too_fast,
        _too_slow,
        _indefinite,
        _noisy,
        _boxed,
        _kinked,
        _stepped,
        _edge,
        _momentum,
        _searched,
        _given,
        _swinging,
        _single,
    )
    for number in range(count):
        draw = kinds[number % len(kinds)]
        yield draw(rng)._replace(kind=draw.__name__.strip("_").replace("_", " "))


def _curved(rng: np.random.Generator, low: float) -> tuple[Array, Array, float, float]:
    """Draw a symmetric matrix with curvatures from `low` to 1 times a scale, a centre, an offset, and that scale."""
    size, scale = int(rng.integers(1, 7)), float(10 ** rng.uniform(-2, 2))
    values = np.append(10 ** rng.uniform(math.log10(low), 0, size - 1), 1.0) * scale
    turn, _ = np.linalg.qr(rng.standard_normal((size, size)))
    return (turn * values) @ turn.T, rng.normal(0, 2, size), float(rng.choice([0.0, rng.normal(0, 10)])), scale


def _parabola(matrix: Array, centre: Array, offset: float) -> Callable[[Any], float]:
    return lambda x: float((x - centre) @ matrix @ (x - centre)) / 2 + offset


def _quadratic(rng: np.random.Generator) -> Case:
    matrix, centre, offset, scale = _curved(rng, 0.1)
    start, share = centre + rng.normal(0, 3, centre.size), rng.uniform(0.5, 1.6)
    options = {"rule": Rate(share / scale), "steps": 2000}
    return Case(
        f"quadratic, rate {share:.2f}/c", always(_parabola(matrix, centre, offset)), start, options, S.CONVERGED
    )


def _too_fast(rng: np.random.Generator) -> Case:
    matrix, centre, offset, scale = _curved(rng, 0.01)
    start, share = centre + rng.normal(0, 3, centre.size), rng.uniform(2.1, 20)
    options = {"rule": Rate(share / scale)}
    return Case(f"quadratic, rate {share:.1f}/c", always(_parabola(matrix, centre, offset)), start, options, S.DIVERGED)


def _too_slow(rng: np.random.Generator) -> Case:
    matrix, centre, offset, scale = _curved(rng, 0.1)
    start, share = centre + rng.normal(0, 3, centre.size), 10 ** rng.uniform(-9, -5)
    options = {"rule": Rate(share / scale)}
    return Case(f"quadratic, rate {share:.0e}/c", always(_parabola(matrix, centre, offset)), start, options, S.STALLED)


def _indefinite(rng: np.random.Generator) -> Case:
    matrix, centre, offset, _ = _curved(rng, 0.1)
    if centre.size == 1:
        return Case("maximum, at it", always(_parabola(-matrix, centre, offset)), centre, {}, S.SADDLE)
    values, vectors = np.linalg.eigh(matrix)
    values[: int(rng.integers(1, centre.size))] *= -1
    matrix = (vectors * values) @ vectors.T
    return Case("indefinite, at its saddle", always(_parabola(matrix, centre, offset)), centre, {}, S.SADDLE)


def _noisy(rng: np.random.Generator) -> Case:
    matrix, centre, offset, scale = _curved(rng, 0.3)
    level, seed = scale * 10 ** rng.uniform(-6, -2), int(rng.integers(1000))
    start = centre + rng.normal(0, 3, centre.size)
    options = {"rule": Rate(rng.uniform(0.3, 1) / scale), "steps": 300}
    f = _parabola(matrix, centre, offset)
    return Case(f"noise {level / scale:.0e}", noisy(f, level, seed), start, options, S.NOISE_FLOOR)


def _boxed(rng: np.random.Generator) -> Case:
    matrix, centre, offset, scale = _curved(rng, 0.2)
    side = centre + np.abs(rng.normal(0.1, 1, centre.size)) + 0.1
    start = side + np.abs(rng.normal(0, 1, centre.size)) + 0.1
    options = {"rule": Rate(0.7 / scale), "steps": 1000, "bounds": (side, None)}
    diagonal = np.diag(np.diag(matrix))
    return Case("quadratic, in a box", always(_parabola(diagonal, centre, offset)), start, options, S.BOUNDS)


def _kinked(rng: np.random.Generator) -> Case:
    size = int(rng.integers(1, 7))
    weights, centre = rng.uniform(0.5, 2, size), rng.normal(0, 2, size)
    rate = 10 ** rng.uniform(-1.3, 0)
    start = centre + rng.normal(0, 1, size)
    options = {"rule": Rate(rate), "steps": 200}
    return Case("weighed |x|", always(lambda x: float(weights @ np.abs(x - centre))), start, options, S.OSCILLATING)


def _stepped(rng: np.random.Generator) -> Case:
    size, width = int(rng.integers(1, 7)), 10 ** rng.uniform(-0.5, 1)
    start = rng.normal(0, 3, size)
    return Case("stairs", always(lambda x: float(np.floor(np.asarray(x) / width).sum())), start, {}, S.PLATEAU)


def _edge(rng: np.random.Generator) -> Case:
    size = int(rng.integers(1, 5))
    start, pull = rng.uniform(0.5, 2, size), rng.uniform(5, 9)
    options = {"rule": Rate(1.0)}
    f = always(lambda x: pull * float(np.sum(x)) + sum(math.sqrt(entry) for entry in np.atleast_1d(x)))
    return Case("root, over its edge", f, start, options, S.NOT_FINITE)


def _momentum(rng: np.random.Generator) -> Case:
    """Stay below the largest stable rate of momentum, or go above it; only below there is an end in 2,000 steps."""
    matrix, centre, offset, scale = _curved(rng, 0.1)
    share, nesterov = rng.uniform(0.3, 0.9), bool(rng.integers(2))
    stable = bool(rng.integers(2))
    limit = 2 * (1 + share) / (1 + 2 * share if nesterov else 1)
    rate = limit * (rng.uniform(0.1, 0.7) if stable else rng.uniform(1.1, 3)) / scale
    options = {"rule": mb.Momentum(rate, momentum=share, nesterov=nesterov), "steps": 2000 if stable else 200}
    name = f"quadratic, momentum {share:.2f}, {'' if stable else 'un'}stable"
    start = centre + rng.normal(0, 3, centre.size)
    return Case(name, always(_parabola(matrix, centre, offset)), start, options, S.CONVERGED if stable else S.DIVERGED)


def _searched(rng: np.random.Generator) -> Case:
    matrix, centre, offset, scale = _curved(rng, 0.1)
    kind, rate = str(rng.choice(["armijo", "wolfe"])), 10 ** rng.uniform(-2, 2) / scale
    options = {"rule": Rate(rate), "line_search": kind, "steps": 2000}
    start = centre + rng.normal(0, 3, centre.size)
    return Case(f"quadratic, {kind}", always(_parabola(matrix, centre, offset)), start, options, S.CONVERGED)


def _given(rng: np.random.Generator) -> Case:
    """Give the gradient, right or with the wrong sign."""
    matrix, centre, offset, scale = _curved(rng, 0.1)
    sign = float(rng.choice([1.0, -1.0]))
    options = {"rule": Rate(0.8 / scale), "steps": 2000, "gradient": lambda x: sign * (matrix @ (x - centre))}
    start = centre + rng.normal(0, 3, centre.size)
    status = S.CONVERGED if sign > 0 else S.DIVERGED
    return Case(
        f"quadratic, gradient given ({sign:+.0f})", always(_parabola(matrix, centre, offset)), start, options, status
    )


def _swinging(rng: np.random.Generator) -> Case:
    """Come within 2 % of the largest stable rate, with one entry, so that nothing else is slower."""
    scale, centre = 10 ** rng.uniform(-2, 2), rng.normal(0, 2)
    options = {"rule": Rate(rng.uniform(1.96, 1.9999) / scale)}
    return Case(
        "quadratic, near the limit",
        always(lambda x: scale * (x - centre) ** 2 / 2),
        centre + 3.0,
        options,
        S.OSCILLATING,
    )


def _single(rng: np.random.Generator) -> Case:
    """Compute in float32, and take x as a structure."""
    scale, centre = 10 ** rng.uniform(-1, 1), rng.normal(0, 2, (2, 2)).astype(np.float32)

    def f(p: Any) -> Any:
        return np.sum((p["W"] - centre) ** 2) * np.float32(scale / 2) + (p["b"] - 1) ** 2 * scale

    start = {"W": centre + rng.normal(0, 2, (2, 2)).astype(np.float32), "b": 3.0}
    return Case(
        "structure of float32 and float64", always(f), start, {"rule": Rate(0.6 / scale), "steps": 500}, S.CONVERGED
    )
