"""The fits among the functions of `surfaces.py`, as the residuals whose squares they add up, for `least_squares`."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

__all__ = ["RESIDUALS"]


def rosenbrock(x: Sequence[Any], m: Any) -> list[Any]:
    """Give two residuals for each pair of neighbours."""
    return [r for a, b in pairwise(x) for r in (10 * (b - a * a), 1 - a)]


def powell_singular(x: Sequence[Any], m: Any) -> list[Any]:
    """Give four residuals, two of them squares."""
    a, b, c, d = x
    return [a + 10 * b, math.sqrt(5) * (c - d), (b - 2 * c) ** 2, math.sqrt(10) * (a - d) ** 2]


def wood(x: Sequence[Any], m: Any) -> list[Any]:
    """Give six residuals."""
    a, b, c, d = x
    valleys = [10 * (b - a * a), 1 - a, math.sqrt(90) * (d - c * c), 1 - c]
    return [*valleys, math.sqrt(10) * (b + d - 2), (b - d) / math.sqrt(10)]


def beale(x: Sequence[Any], m: Any) -> list[Any]:
    """Give three products."""
    a, b = x
    return [1.5 - a + a * b, 2.25 - a + a * b**2, 2.625 - a + a * b**3]


def brown_dennis(x: Sequence[Any], m: Any) -> list[Any]:
    """Give twenty residuals, large at the minimum."""
    a, b, c, d = x
    times = [i / 5 for i in range(1, 21)]
    return [(a + t * b - math.exp(t)) ** 2 + (c + d * math.sin(t) - math.cos(t)) ** 2 for t in times]


def trigonometric(x: Sequence[Any], m: Any) -> list[Any]:
    """Give sums of waves."""
    n, cosines = len(x), sum(m.cos(a) for a in x)
    return [n - cosines + (k + 1) * (1 - m.cos(a)) - m.sin(a) for k, a in enumerate(x)]


def box_exponentials(x: Sequence[Any], m: Any) -> list[Any]:
    """Give ten differences of exponentials."""
    a, b, c = x
    times = [i / 10 for i in range(1, 11)]
    return [m.exp(-t * a) - m.exp(-t * b) - c * (math.exp(-t) - math.exp(-10 * t)) for t in times]


def himmelblau(x: Sequence[Any], m: Any) -> list[Any]:
    """Give two parabolas."""
    a, b = x
    return [a * a + b - 11, a + b * b - 7]


def freudenstein_roth(x: Sequence[Any], m: Any) -> list[Any]:
    """Give two cubics for each pair."""
    pairs = zip(x[::2], x[1::2], strict=True)
    return [r for a, b in pairs for r in (a - 13 + b * ((5 - b) * b - 2), a - 29 + b * ((b + 1) * b - 14))]


def biggs_exp6(x: Sequence[Any], m: Any) -> list[Any]:
    """Give thirteen sums of exponentials."""
    a, b, c, d, e, f = x
    found = []
    for i in range(1, 14):
        t = i / 10
        y = math.exp(-t) - 5 * math.exp(-10 * t) + 3 * math.exp(-4 * t)
        found.append(c * m.exp(-t * a) - d * m.exp(-t * b) + f * m.exp(-t * e) - y)
    return found


def dixon_price(x: Sequence[Any], m: Any) -> list[Any]:
    """Give a chain of squares."""
    return [x[0] - 1, *(math.sqrt(k + 2) * (2 * b * b - a) for k, (a, b) in enumerate(pairwise(x)))]


def watson(x: Sequence[Any], m: Any) -> list[Any]:
    """Give thirty-one residuals of a differential equation."""
    found = [x[0], x[1] - x[0] ** 2 - 1]
    for i in range(1, 30):
        t = i / 29
        slope = sum(k * a * t ** (k - 1) for k, a in enumerate(x) if k)
        found.append(slope - sum(a * t**k for k, a in enumerate(x)) ** 2 - 1)
    return found


#: By the names of the surfaces.
RESIDUALS: dict[str, Callable[[Sequence[Any], Any], list[Any]]] = {
    function.__name__.replace("_", " "): function
    for function in (
        rosenbrock,
        powell_singular,
        wood,
        beale,
        brown_dennis,
        trigonometric,
        box_exponentials,
        himmelblau,
        freudenstein_roth,
        biggs_exp6,
        dixon_price,
        watson,
    )
}
