"""Functions of several numbers with a known Hessian: well-known test functions of optimization, fits, energies.

Each is written once, for x as a sequence of numbers and a module m of elementary functions: with NumPy it is what is
differentiated, of one point or of a stack; with `MP` it is evaluated with 120 digits, and mixed differences with a step
of 1e-30 give its Hessian to more digits than floats have. So the truth belongs to the very function that is
differentiated, constants and points being the exact binary numbers.

`DEVELOPMENT` is what constants may be chosen on; `HELD_OUT` is for the table that is published, and nothing else.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import mpmath  # type: ignore[import-untyped, unused-ignore]
import numpy as np
from numpy.typing import NDArray

DEVELOPMENT_SEED = 11
HELD_OUT_SEED = 730113

Array = NDArray[np.float64]
MP = mpmath.MPContext()
MP.dps = 120
#: Step of the differences that give the truth: they err by its square.
STEP = MP.mpf(10) ** -30


class Surface(NamedTuple):
    """A function, the number of its variables, and where its points are drawn from."""

    function: Callable[[Sequence[Any], Any], Any]
    size: int
    low: float
    high: float

    @property
    def name(self) -> str:
        """What the tables call it."""
        return self.function.__name__.replace("_", " ")

    def points(self, seed: int, count: int) -> list[Array]:
        """Draw points evenly."""
        rng = Random(f"{seed} {self.name}")
        return [np.array([rng.uniform(self.low, self.high) for _ in range(self.size)]) for _ in range(count)]

    def __call__(self, x: Any) -> Any:
        """Evaluate it at one point, or at points whose numbers are the rows of x."""
        return self.function(x, np)

    def stacked(self, points: Any) -> Any:
        """Evaluate it at a stack of points (m, size)."""
        return self.function(points.T, np)

    def truth(self, x: Array) -> Array:
        """Give the Hessian, rounded to floats."""
        hessian = np.empty((self.size, self.size))
        for i in range(self.size):
            for j in range(i + 1):
                corners = [self._moved(x, i, j, a, b) for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
                mixed = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * STEP**2)
                # what the step leaves of an entry that is 0 is far below any other
                hessian[i, j] = hessian[j, i] = float(mixed) if abs(mixed) > STEP else 0.0
        return hessian

    def gradient(self, x: Array) -> Array:
        """Give the gradient, rounded to floats."""
        ends = [(self._moved(x, i, i, 1, 0), self._moved(x, i, i, -1, 0)) for i in range(self.size)]
        return np.array([float((up - down) / (2 * STEP)) for up, down in ends])

    def level(self, x: Array) -> Any:
        """Give the value with 120 digits."""
        return self.function([MP.mpf(float(number)) for number in x], MP)

    def _moved(self, x: Array, i: int, j: int, a: int, b: int) -> Any:
        moved = [MP.mpf(float(number)) for number in x]
        moved[i] += a * STEP
        moved[j] += b * STEP
        return self.function(moved, MP)


# --- For development -----------------------------------------------------------------------------------------------


def rosenbrock(x: Sequence[Any], m: Any) -> Any:
    """Chain the squares of a curved valley (Rosenbrock 1960)."""
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def powell_singular(x: Sequence[Any], m: Any) -> Any:
    """Take the function whose Hessian is singular at its minimum (Powell 1962)."""
    a, b, c, d = x
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def wood(x: Sequence[Any], m: Any) -> Any:
    """Join two curved valleys (Colville 1968)."""
    a, b, c, d = x
    valleys = 100 * (b - a * a) ** 2 + (1 - a) ** 2 + 90 * (d - c * c) ** 2 + (1 - c) ** 2
    return valleys + 10 * (b + d - 2) ** 2 + (b - d) ** 2 / 10


def beale(x: Sequence[Any], m: Any) -> Any:
    """Take the squares of three products (Beale 1958)."""
    a, b = x
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def brown_dennis(x: Sequence[Any], m: Any) -> Any:
    """Fit exponentials and waves in fourth powers (Brown and Dennis 1971)."""
    a, b, c, d = x
    total = 0
    for i in range(1, 21):
        t = i / 5
        total = total + ((a + t * b - math.exp(t)) ** 2 + (c + d * math.sin(t) - math.cos(t)) ** 2) ** 2
    return total


def log_sum_exp(x: Sequence[Any], m: Any) -> Any:
    """Take the smooth maximum."""
    return m.log(sum(m.exp(a) for a in x))


def logistic_regression(x: Sequence[Any], m: Any) -> Any:
    """Take the negative log likelihood of a logistic regression with made-up data."""
    total = 0
    for i in range(12):
        score = sum(a * math.cos(1.7 * i * (k + 1) + k) for k, a in enumerate(x))
        total = total + m.log(1 + m.exp(score)) - (i % 2) * score
    return total


def gaussian_bump(x: Sequence[Any], m: Any) -> Any:
    """Take a product of bells."""
    return m.exp(-sum((a - 0.1 * k) ** 2 for k, a in enumerate(x)) / 2)


def griewank(x: Sequence[Any], m: Any) -> Any:
    """Add a wide parabola and a product of waves (Griewank 1981)."""
    product = 1
    for k, a in enumerate(x):
        product = product * m.cos(a / math.sqrt(k + 1))
    return 1 + sum(a * a for a in x) / 4000 - product


def trigonometric(x: Sequence[Any], m: Any) -> Any:
    """Take the squares of sums of waves (Spedicato 1975)."""
    n, cosines = len(x), sum(m.cos(a) for a in x)
    return sum((n - cosines + (k + 1) * (1 - m.cos(a)) - m.sin(a)) ** 2 for k, a in enumerate(x))


def box_exponentials(x: Sequence[Any], m: Any) -> Any:
    """Fit differences of exponentials (Box 1966)."""
    a, b, c = x
    total = 0
    for i in range(1, 11):
        t = i / 10
        total = total + (m.exp(-t * a) - m.exp(-t * b) - c * (math.exp(-t) - math.exp(-10 * t))) ** 2
    return total


def large_offset(x: Sequence[Any], m: Any) -> Any:
    """Add waves to a million: rounding is a millionth of the change."""
    return 1e6 + sum(m.sin(a * b) for a, b in pairwise(x))


def mixed_scales(x: Sequence[Any], m: Any) -> Any:
    """Mix variables whose natural lengths differ by six orders."""
    scaled = [a * 10.0 ** (2 * k - 3) for k, a in enumerate(x)]
    return m.exp(scaled[0] * scaled[1] / 1e2) + m.sin(scaled[1] + scaled[2] / 1e3) + (scaled[3] / 1e4) ** 2 * scaled[0]


DEVELOPMENT = (
    Surface(rosenbrock, 10, -2.0, 2.0),
    Surface(powell_singular, 4, -2.0, 3.0),
    Surface(wood, 4, -3.0, 2.0),
    Surface(beale, 2, -2.0, 3.0),
    Surface(brown_dennis, 4, -10.0, 20.0),
    Surface(log_sum_exp, 6, -3.0, 3.0),
    Surface(logistic_regression, 5, -1.0, 1.0),
    Surface(gaussian_bump, 4, -1.5, 1.5),
    Surface(griewank, 6, -5.0, 5.0),
    Surface(trigonometric, 6, -1.0, 1.0),
    Surface(box_exponentials, 3, 0.0, 10.0),
    Surface(large_offset, 4, -2.0, 2.0),
    Surface(mixed_scales, 4, 0.5, 2.0),
)


# --- Held out ------------------------------------------------------------------------------------------------------


def himmelblau(x: Sequence[Any], m: Any) -> Any:
    """Take the squares of two parabolas (Himmelblau 1972)."""
    a, b = x
    return (a * a + b - 11) ** 2 + (a + b * b - 7) ** 2


def styblinski_tang(x: Sequence[Any], m: Any) -> Any:
    """Add quartics of one variable each (Styblinski and Tang 1990)."""
    return sum(a**4 - 16 * a**2 + 5 * a for a in x) / 2


def ackley(x: Sequence[Any], m: Any) -> Any:
    """Nest a root and waves in exponentials (Ackley 1987)."""
    n = len(x)
    radius, waves = m.sqrt(sum(a * a for a in x) / n), sum(m.cos(2 * math.pi * a) for a in x) / n
    return -20 * m.exp(-radius / 5) - m.exp(waves)


def freudenstein_roth(x: Sequence[Any], m: Any) -> Any:
    """Take the squares of cubics in pairs of variables (Freudenstein and Roth 1963)."""
    total = 0
    for a, b in zip(x[::2], x[1::2], strict=True):
        total = total + (a - 13 + b * ((5 - b) * b - 2)) ** 2 + (a - 29 + b * ((b + 1) * b - 14)) ** 2
    return total


def biggs_exp6(x: Sequence[Any], m: Any) -> Any:
    """Fit a sum of three exponentials (Biggs 1971)."""
    a, b, c, d, e, f = x
    total = 0
    for i in range(1, 14):
        t = i / 10
        y = math.exp(-t) - 5 * math.exp(-10 * t) + 3 * math.exp(-4 * t)
        total = total + (c * m.exp(-t * a) - d * m.exp(-t * b) + f * m.exp(-t * e) - y) ** 2
    return total


def dixon_price(x: Sequence[Any], m: Any) -> Any:
    """Chain squares with growing weights (Dixon and Price 1989)."""
    return (x[0] - 1) ** 2 + sum((k + 2) * (2 * b * b - a) ** 2 for k, (a, b) in enumerate(pairwise(x)))


def zakharov(x: Sequence[Any], m: Any) -> Any:
    """Add powers of one weighted sum."""
    weighed = sum((k + 1) * a for k, a in enumerate(x)) / 2
    return sum(a * a for a in x) + weighed**2 + weighed**4


def rastrigin_turned(x: Sequence[Any], m: Any) -> Any:
    """Add parabolas and waves along turned axes (Rastrigin 1974)."""
    turned = [0.8 * a - 0.6 * b for a, b in zip(x, [*x[1:], x[0]], strict=True)]
    return sum(a * a - 10 * m.cos(2 * math.pi * a) for a in turned)


def watson(x: Sequence[Any], m: Any) -> Any:
    """Fit a polynomial to a differential equation (Kowalik and Osborne 1968)."""
    total = x[0] ** 2 + (x[1] - x[0] ** 2 - 1) ** 2
    for i in range(1, 30):
        t = i / 29
        slope = sum(k * a * t ** (k - 1) for k, a in enumerate(x) if k)
        total = total + (slope - sum(a * t**k for k, a in enumerate(x)) ** 2 - 1) ** 2
    return total


def goldstein_price(x: Sequence[Any], m: Any) -> Any:
    """Multiply two polynomials of degree four (Goldstein and Price 1971)."""
    a, b = x
    first = 1 + (a + b + 1) ** 2 * (19 - 14 * a + 3 * a * a - 14 * b + 6 * a * b + 3 * b * b)
    second = 30 + (2 * a - 3 * b) ** 2 * (18 - 32 * a + 12 * a * a + 48 * b - 36 * a * b + 27 * b * b)
    return first * second


def lennard_jones(x: Sequence[Any], m: Any) -> Any:
    """Add the energies of all pairs of four atoms on a square (Lennard-Jones 1924)."""
    grid = [(1.1 * i, 1.1 * j, 0.0) for i in range(2) for j in range(2)]
    atoms = [[x[3 * k + axis] + place[axis] for axis in range(3)] for k, place in enumerate(grid)]
    total = 0
    for k, one in enumerate(atoms):
        for other in atoms[:k]:
            inverse = 1 / sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 3
            total = total + 4 * (inverse**2 - inverse)
    return total


def mixture_likelihood(x: Sequence[Any], m: Any) -> Any:
    """Take the negative log likelihood of a mixture of two normal distributions."""
    share, low, high, narrow, wide = x
    weight = 1 / (1 + m.exp(-share))
    total = 0
    for i in range(15):
        y = 3 * math.sin(2.3 * i) + 0.2 * i
        one = m.exp(-(((y - low) * m.exp(-narrow)) ** 2) / 2 - narrow)
        other = m.exp(-(((y - high - 2) * m.exp(-wide)) ** 2) / 2 - wide)
        total = total - m.log(weight * one + (1 - weight) * other)
    return total


HELD_OUT = (
    Surface(himmelblau, 2, -5.0, 5.0),
    Surface(styblinski_tang, 8, -5.0, 5.0),
    Surface(ackley, 5, -3.0, 3.0),
    Surface(freudenstein_roth, 6, -2.0, 5.0),
    Surface(biggs_exp6, 6, 0.5, 8.0),
    Surface(dixon_price, 8, -3.0, 3.0),
    Surface(zakharov, 6, -1.0, 2.0),
    Surface(rastrigin_turned, 5, -2.0, 2.0),
    Surface(watson, 6, -1.0, 1.0),
    Surface(goldstein_price, 2, -2.0, 2.0),
    Surface(lennard_jones, 12, -0.05, 0.05),
    Surface(mixture_likelihood, 5, -0.7, 0.7),
)
