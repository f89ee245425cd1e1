"""Random functions of several numbers with a known mixed partial derivative, made from the compositions of `mix.py`.

    python benchmarks/mix_partials.py [count]

In a random composition of elementary functions every x becomes one of x[0], x[1], ...; a part of the problems has a
scale of its own for each entry, another part a large offset. The truth: the Taylor coefficient of order n of f along a
direction d, from a jet with 100 digits, is a homogeneous polynomial of degree n in d, and its coefficients are the
partial derivatives of order n, each over the factorials of its multi-index. It is taken along as many directions as
there are coefficients, and solved for them.
"""

import math
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from random import Random
from typing import Any

from mix import (
    DEVELOPMENT_SEED,
    EXACT,
    MATH,
    MP,
    Jet,
    Number,
    compiled,
    compose,
    follows,
    natural_length,
    power_of_ten,
    random_point,
    usable,
)

#: Multi-indices that are asked for, by the number of entries.
ORDERS: dict[int, tuple[tuple[int, ...], ...]] = {
    2: ((1, 1), (2, 1), (2, 2), (3, 1)),
    3: ((1, 1, 1), (2, 1, 1)),
    4: ((1, 1, 1, 1),),
}
#: Kinds and their shares.
KINDS = {"well scaled": 0.6, "scaled": 0.25, "offset": 0.15}


@dataclass(frozen=True)
class Partial:
    """One function, one point and one multi-index, with the truth.

    `lengths` are the natural lengths of f along each entry, `size` the largest of |f| and of the first two Taylor terms
    at these lengths.
    """

    formula: str
    kind: str
    x: tuple[float, ...]
    orders: tuple[int, ...]
    truth: float
    size: float
    lengths: tuple[float, ...]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the compiled function behind: it can be made anew, and cannot be sent to another process."""
        return {name: value for name, value in vars(self).items() if name != "f"}

    @property
    def name(self) -> str:
        """Return orders, formula and point."""
        return f"{self.orders} of {self.formula} at {self.x!r}"

    @property
    def scale(self) -> float:
        """Return f/L^k: the size of f over the lengths to the power of the orders."""
        return self.size / math.prod(length**order for length, order in zip(self.lengths, self.orders, strict=True))

    @property
    def order(self) -> int:
        """Return the order in all."""
        return sum(self.orders)

    @cached_property
    def f(self) -> Callable[[Sequence[float]], float]:
        """The function of a sequence of floats."""
        return compiled(self.formula, MATH)


def along(formula: str, x: Sequence[float], direction: Sequence[float]) -> list[Number]:
    """Return the Taylor coefficients of t -> f(x + t direction) at 0."""
    line = []
    for start, step in zip(x, direction, strict=True):
        at = Jet.variable(start)
        line.append(Jet([at.c[0], at.c[1] * step, *at.c[2:]]))
    value: Jet = compiled(formula, EXACT)(line) + 0 * line[0]
    return value.c


def partial_derivative(formula: str, x: Sequence[float], orders: Sequence[int]) -> float:
    """Return the mixed partial derivative, from the Taylor coefficients along sufficiently many directions."""
    n, axes = sum(orders), len(orders)
    powers = [beta for beta in product(range(n + 1), repeat=axes) if sum(beta) == n]
    # A homogeneous polynomial is determined by its values at these points, too: they are a principal lattice.
    rows = [[math.prod(d**b for d, b in zip(way, beta, strict=True)) for beta in powers] for way in powers]
    ends = [along(formula, x, way)[n] for way in powers]
    solved = MP.lu_solve(MP.matrix(rows), MP.matrix(ends))
    return float(solved[powers.index(tuple(orders))] * math.prod(map(math.factorial, orders)))


def _formula(rng: Random, kind: str, axes: int) -> tuple[str, tuple[float, ...]]:
    x = [random_point(rng) for _ in range(axes)]
    names = [f"x[{axis}]" for axis in range(axes)]
    if kind == "scaled":
        factors = [power_of_ten(rng, -4, 4) for _ in range(axes)]
        x = [start / factor for start, factor in zip(x, factors, strict=True)]
        names = [f"({factor!r}*{name})" for factor, name in zip(factors, names, strict=True)]
    text = compose(rng, "x", rng.randint(1, 3))
    if rng.random() < 0.5:
        text = rng.choice(("({}+{})", "{}*{}", "{}/(1+({})**2)")).format(text, compose(rng, "x", rng.randint(1, 2)))
    text = re.sub(r"\bx\b", lambda _: rng.choice(names), text)
    return (f"{power_of_ten(rng, 0, 8)!r}+{text}" if kind == "offset" else text), tuple(x)


def _solved(formula: str, kind: str, x: tuple[float, ...], orders: tuple[int, ...]) -> Partial | None:
    """Return the problem with its truth, or None where there is none worth asking for."""
    if any(f"x[{axis}]" not in formula for axis in range(len(x))):
        return None
    f = compiled(formula, MATH)

    def line(direction: Sequence[float]) -> Callable[[float], float]:
        return lambda t: f([start + t * step for start, step in zip(x, direction, strict=True)])

    if not usable(line([0.0] * len(x)), 0.0, 0.0):
        return None
    lengths, size = [], 0.0
    try:
        for axis, start in enumerate(x):
            c = along(formula, x, [int(other == axis) for other in range(len(x))])
            length = natural_length(c, start)
            if not length < math.inf or length < 4096 * math.ulp(start):
                return None
            lengths.append(length)
            size = max(size, *(float(abs(a)) * length**n for n, a in enumerate(c[:3])))
        truth = partial_derivative(formula, x, orders)
    except (ValueError, ArithmeticError, TypeError):
        return None
    for signs in product((-1, 1), repeat=len(x)):
        way = [sign * length for sign, length in zip(signs, lengths, strict=True)]
        if not usable(line(way), 0.0, 1 / 4) or not _smooth(formula, x, line, way):
            return None
    if not 1e-100 < size < 1e100 or not abs(truth) < 1e100:
        return None
    found = Partial(formula, kind, x, orders, truth, size, tuple(lengths))
    return replace(found, truth=0.0) if abs(truth) < 1e-60 * found.scale else found  # what 100 digits leave of 0


def _smooth(
    formula: str, x: Sequence[float], line: Callable[[Sequence[float]], Callable[[float], float]], way: Sequence[float]
) -> bool:
    """Return whether f is its Taylor polynomial along a diagonal, within an eighth of its natural length there."""
    try:
        c = along(formula, x, way)
        length = natural_length(c, 0.0)
        return length > 1 / 16 and follows(line(way), c, 0.0, min(length, 1.0))
    except (ValueError, ArithmeticError, TypeError):
        return False


def _draw(rng: Random) -> Partial | None:
    axes = rng.choice((2, 2, 2, 2, 3, 3, 4))
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    orders = tuple(rng.sample(rng.choice(ORDERS[axes]), axes))
    formula, x = _formula(rng, kind, axes)
    return _solved(formula, kind, x, orders)


def partials(seed: int, count: int) -> list[Partial]:
    """Return `count` problems; those of fewer entries are more often usable, and so more frequent."""
    rng, found = Random(seed), dict[str, Partial]()
    while len(found) < count:
        problem = _draw(rng)
        if problem is not None:
            found.setdefault(problem.name, problem)
    return list(found.values())


def main() -> None:
    """Print what the problems are, and how long they take."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    start = time.perf_counter()
    drawn = partials(DEVELOPMENT_SEED, count)
    print(f"{(time.perf_counter() - start) / count * 1e3:.1f} ms a problem, {dict(Counter(p.orders for p in drawn))}")
    for problem in drawn[:10]:
        print(f"  {problem.name}: {problem.truth:.6g}, scale {problem.scale:.2g}")


if __name__ == "__main__":
    main()
