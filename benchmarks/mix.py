"""Random problems with a known derivative: what a differentiation method meets in the wild, in any number.

    python benchmarks/mix.py [count]

A problem is a **formula** in x, written as text. The same text is compiled against three sets of names: `MATH`
(Python floats, fast), `ARRAY` (NumPy) and `Jet` (Taylor series with 100 digits), so the truth belongs to the very
function that is differentiated, constants and x being the exact binary numbers. A jet gives the derivative, both
slopes at a kink, and the natural length of f at x.

- `problems`: smooth compositions of elementary functions: well scaled 40 %, scaled by 1e-8..1e8 20 %, narrow
  features 12 %, large x 8 %, domain 5 %, edge 5 %, offset 1..1e8 10 %.
- `noisy_problems`: such a function with uniform or normal noise, or rounded to single precision.
- `solver_problems`: deterministic noise, a solver stopped at 1e-6 or a table lookup.
- `kinks`: |.|, max and positive parts inside compositions, with both slopes, at x or near it.

Everything follows from the seed. Methods are tuned on `DEVELOPMENT_SEED` alone; `HELD_OUT_SEED` is for the table that
is published.
"""

import math
import re
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from random import Random
from typing import Any, TypeVar

import mpmath  # type: ignore[import-untyped, unused-ignore]
import numpy as np
from numpy.typing import NDArray

DEVELOPMENT_SEED = 3
HELD_OUT_SEED = 391871
EPS = 2.0**-52
#: An error is "at the rounding floor" if it is at most so many times `Problem.floor`.
FLOORS = 30
#: The highest Taylor coefficient that is computed.
ORDER = 8
#: The solvers of `solver_problems` stop here, and the entries of the table lie so far apart.
STOP = 1e-6
#: What `bisect` is left with: 16 halved until it is shorter than `STOP`.
BRACKET = 16 * 2.0**-24

Array = NDArray[np.float64]
Number = Any  # an mpf of the context MP; mpmath has no types

#: A context of its own: the precision of `mpmath.mp` belongs to whoever imports this module.
MP = mpmath.MPContext()
MP.dps = 100


# --- Noise that is a function of x, so that a call can be repeated -----------------------------------------------

_MASK = (1 << 64) - 1


def _bits(x: float, seed: int) -> int:
    """Mix the bits of x and the seed (splitmix64) into 64 random ones."""
    z = (struct.unpack("<Q", struct.pack("<d", x))[0] + 0x9E3779B97F4A7C15 * (seed + 1)) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return int(z ^ (z >> 31))


def _bits_array(x: Array, seed: int) -> NDArray[np.uint64]:
    z = np.array(x, dtype=np.float64).view(np.uint64) + np.uint64((0x9E3779B97F4A7C15 * (seed + 1)) & _MASK)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def uniform(x: float, seed: int) -> float:
    """Return uniform noise with mean 0 and standard deviation 1, always the same at the same x."""
    return ((_bits(x, seed) >> 11) * 2.0**-52 - 1.0) * math.sqrt(3.0)


def normal(x: float, seed: int) -> float:
    """Return normal noise with mean 0 and standard deviation 1, always the same at the same x (Box and Muller)."""
    z = _bits(x, seed)
    radius = math.sqrt(-2.0 * math.log(((z >> 32) + 0.5) * 2.0**-32))
    return radius * math.cos(math.tau * ((z & 0xFFFFFFFF) * 2.0**-32))


def uniform_array(x: Array, seed: int) -> Array:
    """Return `uniform` at every x."""
    return np.asarray(((_bits_array(x, seed) >> np.uint64(11)) * 2.0**-52 - 1.0) * math.sqrt(3.0))


def normal_array(x: Array, seed: int) -> Array:
    """Return `normal` at every x."""
    z = _bits_array(x, seed)
    radius = np.sqrt(-2.0 * np.log(((z >> np.uint64(32)) + 0.5) * 2.0**-32))
    return np.asarray(radius * np.cos(math.tau * ((z & np.uint64(0xFFFFFFFF)) * 2.0**-32)))


def single(value: float) -> float:
    """Round to single precision."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def single_array(value: Array) -> Array:
    """Round every value to single precision."""
    return np.asarray(value).astype(np.float32).astype(np.float64)


def lookup(x: float) -> float:
    """Return the nearest entry of a table whose entries lie `STOP` apart."""
    return round(x / STOP) * STOP


def lookup_array(x: Array) -> Array:
    """Return `lookup` at every x."""
    return np.asarray(np.round(x / STOP) * STOP)


def bisect(u: float) -> float:
    """Solve y**3 + y = u by bisection in -8..8, until the bracket is shorter than `STOP`."""
    low, high = -8.0, 8.0
    while high - low >= STOP:
        y = (low + high) / 2
        if (y * y + 1.0) * y < u:
            low = y
        else:
            high = y
    return (low + high) / 2


def newton(u: float) -> float:
    """Solve y**3 + y = u by Newton's method from 0, until a step is shorter than `STOP`."""
    return _newton(u)[0]


def _newton(u: float) -> tuple[float, int]:
    """Return what Newton's method ends with, and the number of its steps."""
    y, step, count = 0.0, math.inf, 0
    while not abs(step) < STOP and count < 100:
        step = ((y * y + 1.0) * y - u) / (3.0 * y * y + 1.0)
        y, count = y - step, count + 1
    return y, count


def root(u: float) -> float:
    """Solve y**3 + y = u as exactly as floats allow: what `bisect` and `newton` are after."""
    y = newton(u)
    for _ in range(3):
        y -= ((y * y + 1.0) * y - u) / (3.0 * y * y + 1.0)
    return y


# --- Taylor series with 100 digits -------------------------------------------------------------------------------


class Jet:
    """The Taylor coefficients of a function at x, as 100-digit numbers, with the arithmetic of truncated series.

    `side` is +1 or -1: where the sign of a jet that is 0 at x decides (|.|, max, comparisons), it is the sign on
    that side of x. So the jets of both sides give both slopes of a kink.
    """

    def __init__(self, coefficients: Sequence[Number], side: int = 1) -> None:
        self.c = list(coefficients)
        self.side = side

    @classmethod
    def variable(cls, x: float, side: int = 1) -> "Jet":
        """Return the jet of x itself."""
        return cls([MP.mpf(x), MP.one] + [MP.zero] * (ORDER - 1), side)

    def _series(self, other: Any) -> list[Number]:
        return other.c if isinstance(other, Jet) else [MP.mpf(other)] + [MP.zero] * (len(self.c) - 1)

    def __neg__(self) -> "Jet":
        return Jet([-a for a in self.c], self.side)

    def __add__(self, other: Any) -> "Jet":
        return Jet([a + b for a, b in zip(self.c, self._series(other), strict=False)], self.side)

    def __sub__(self, other: Any) -> "Jet":
        return Jet([a - b for a, b in zip(self.c, self._series(other), strict=False)], self.side)

    def __mul__(self, other: Any) -> "Jet":
        if not isinstance(other, Jet):
            factor = MP.mpf(other)
            return Jet([a * factor for a in self.c], self.side)
        a, b = self.c, other.c
        return Jet([MP.fdot(a[: n + 1], b[n::-1]) for n in range(min(len(a), len(b)))], self.side)

    def __truediv__(self, other: Any) -> "Jet":
        b = self._series(other)
        c: list[Number] = []
        for n in range(min(len(self.c), len(b))):
            c.append((self.c[n] - MP.fdot(c, b[n:0:-1])) / b[0])
        return Jet(c, self.side)

    def __rsub__(self, other: Any) -> "Jet":
        return (-self).__add__(other)

    def __rtruediv__(self, other: Any) -> "Jet":
        return Jet(self._series(other), self.side) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __pow__(self, power: float) -> "Jet":
        if power == int(power) and 0 <= power <= ORDER:
            result = Jet(self._series(1), self.side)
            for _ in range(int(power)):
                result = result * self
            return result
        return _power(self, MP.mpf(power))

    def sign(self) -> int:
        """Return the sign of the function beside x, on the jet's side."""
        for n, a in enumerate(self.c):
            if a:
                return (1 if a > 0 else -1) * (self.side if n % 2 else 1)
        return 0

    def __abs__(self) -> "Jet":
        return self if self.sign() >= 0 else -self

    def __lt__(self, other: Any) -> bool:
        return self.__sub__(other).sign() < 0

    def __gt__(self, other: Any) -> bool:
        return self.__sub__(other).sign() > 0

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __ge__(self, other: Any) -> bool:
        return not self < other


def _power(u: Jet, power: Number) -> Jet:
    """Return u**power for u > 0, by u w' = power u' w."""
    a = u.c
    c = [MP.power(a[0], power)]
    for n in range(1, len(a)):
        c.append(MP.fsum((power * k - (n - k)) * a[k] * c[n - k] for k in range(1, n + 1)) / (n * a[0]))
    return Jet(c, u.side)


def _primitive(value: Number, slope: Jet, u: Jet) -> Jet:
    """Return g(u) from its value at x and from the jet of g'(u)."""
    inner = Jet([n * u.c[n] for n in range(1, len(u.c))], u.side)
    return Jet([value, *(a / (n + 1) for n, a in enumerate((slope * inner).c))], u.side)


def _exponential(u: Jet) -> Jet:
    weighted = [n * a for n, a in enumerate(u.c)]
    c = [MP.exp(u.c[0])]
    for n in range(1, len(weighted)):
        c.append(MP.fdot(weighted[1 : n + 1], c[::-1]) / n)
    return Jet(c, u.side)


def _expm1(u: Jet) -> Jet:
    return Jet([MP.expm1(u.c[0]), *_exponential(u).c[1:]], u.side)


def _circular(u: Jet) -> tuple[Jet, Jet]:
    """Return sin(u) and cos(u): each is the other's slope."""
    weighted = [n * a for n, a in enumerate(u.c)]
    sines, cosines = [MP.sin(u.c[0])], [MP.cos(u.c[0])]
    for n in range(1, len(weighted)):
        sine = MP.fdot(weighted[1 : n + 1], cosines[::-1]) / n
        cosines.append(-MP.fdot(weighted[1 : n + 1], sines[::-1]) / n)
        sines.append(sine)
    return Jet(sines, u.side), Jet(cosines, u.side)


def _tan(u: Jet) -> Jet:
    sine, cosine = _circular(u)
    return sine / cosine


def _sinh(u: Jet) -> Jet:
    e = _exponential(u)
    return (e - 1 / e) * 0.5


def _cosh(u: Jet) -> Jet:
    e = _exponential(u)
    return (e + 1 / e) * 0.5


def _tanh(u: Jet) -> Jet:
    e = _exponential(u * 2)
    return (e - 1) / (e + 1)


def _cbrt(u: Jet) -> Jet:
    return _power(u, MP.one / 3) if u.c[0] > 0 else -_power(-u, MP.one / 3)


def _lgamma(u: Jet) -> Jet:
    """Return log|gamma(u)|: its Taylor series at u(x), composed with u by Horner's scheme."""
    a = u.c[0]
    outer = [MP.re(MP.loggamma(a))] + [MP.psi(n - 1, a) / MP.factorial(n) for n in range(1, len(u.c))]
    shift = Jet([MP.zero, *u.c[1:]], u.side)
    result = Jet(u._series(outer[-1]), u.side)
    for coefficient in reversed(outer[:-1]):
        result = result * shift + coefficient
    return result


def _gamma(u: Jet) -> Jet:
    magnitude = _exponential(_lgamma(u))
    return magnitude if MP.gamma(u.c[0]) > 0 else -magnitude


def _cubic_root(u: Jet) -> Jet:
    """Solve y**3 + y = u; every Newton step doubles the digits of the value, and then the number of good terms."""
    y = Jet(u._series(newton(float(u.c[0]))), u.side)
    for _ in range(10):
        y = y - ((y * y + 1) * y - u) / (y * y * 3 + 1)
    return y


def _stopped_root(u: Jet) -> Jet:
    """Do what `newton` does, step by step: a smooth function as long as the number of steps stays."""
    y = Jet(u._series(0))
    for _ in range(_newton(float(u.c[0]))[1]):
        y = y - ((y * y + 1) * y - u) / (y * y * 3 + 1)
    return y


def _largest(u: Jet, v: Any) -> Jet:
    return u if u > v else 0 * u + v


def _least(u: Jet, v: Any) -> Jet:
    return u if u < v else 0 * u + v


# --- The three sets of names -------------------------------------------------------------------------------------


def _where(condition: Any, yes: Any, no: Any) -> Any:
    return yes if condition else no


_MATH_FUNCTIONS = (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "atanh", "exp", "expm1", "log",
    "log1p", "sqrt", "cbrt", "erf", "gamma", "lgamma", "floor",
)  # fmt: skip

#: Names for Python floats. The second argument of `uniform` and `normal` is their seed.
MATH: dict[str, Any] = {name: getattr(math, name) for name in _MATH_FUNCTIONS} | {
    "pi": math.pi,
    "nan": math.nan,
    "where": _where,
    "uniform": uniform,
    "normal": normal,
    "single": single,
    "lookup": lookup,
    "bisect": bisect,
    "newton": newton,
    "root": root,
}
_NUMPY_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "atanh": "arctanh"}
_LOOPED = ("erf", "gamma", "lgamma", "bisect", "newton", "root")
#: Names for NumPy arrays; functions that NumPy does not have are looped over.
ARRAY: dict[str, Any] = {
    **MATH,
    **{n: getattr(np, _NUMPY_NAMES.get(n, n)) for n in _MATH_FUNCTIONS if n not in _LOOPED},
    **{n: np.vectorize(MATH[n], otypes=[np.float64]) for n in _LOOPED},
    "max": np.maximum,
    "min": np.minimum,
    "where": np.where,
    "uniform": uniform_array,
    "normal": normal_array,
    "single": single_array,
    "lookup": lookup_array,
}
#: Names for jets. Noise counts nothing, a solver finds its root, a table is as fine as can be.
EXACT: dict[str, Any] = {
    "pi": math.pi,
    "nan": math.nan,
    "where": _where,
    "max": _largest,
    "min": _least,
    "sin": lambda u: _circular(u)[0],
    "cos": lambda u: _circular(u)[1],
    "tan": _tan,
    "asin": lambda u: _primitive(MP.asin(u.c[0]), 1 / (1 - u * u) ** 0.5, u),
    "acos": lambda u: _primitive(MP.acos(u.c[0]), -1 / (1 - u * u) ** 0.5, u),
    "atan": lambda u: _primitive(MP.atan(u.c[0]), 1 / (1 + u * u), u),
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "asinh": lambda u: _primitive(MP.asinh(u.c[0]), 1 / (1 + u * u) ** 0.5, u),
    "atanh": lambda u: _primitive(MP.atanh(u.c[0]), 1 / (1 - u * u), u),
    "exp": _exponential,
    "expm1": _expm1,
    "log": lambda u: _primitive(MP.log(u.c[0]), 1 / u, u),
    "log1p": lambda u: _primitive(MP.log1p(u.c[0]), 1 / (1 + u), u),
    "sqrt": lambda u: _power(u, MP.mpf(0.5)),
    "cbrt": _cbrt,
    "erf": lambda u: _primitive(MP.erf(u.c[0]), _exponential(-u * u) * (2 / MP.sqrt(MP.pi)), u),
    "gamma": _gamma,
    "lgamma": _lgamma,
    "uniform": lambda u, seed: 0 * u,
    "normal": lambda u, seed: 0 * u,
    "single": lambda u: u,
    "lookup": lambda u: u,
    "bisect": _cubic_root,
    "newton": _cubic_root,
    "root": _cubic_root,
}
#: Names for jets, the solver being what it is: what is left of the iteration when it stops is a part of the function.
COMPUTED: dict[str, Any] = {**EXACT, "newton": _stopped_root}


def compiled(formula: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    """Return the function of x that the formula says, with these names."""
    function: Callable[[Any], Any] = eval(f"lambda x: {formula}", names)
    return function


def jet(formula: str, x: float, side: int = 1, names: dict[str, Any] = EXACT) -> list[Number]:
    """Return the Taylor coefficients of the formula at the binary number x, seen from one side of x."""
    at = Jet.variable(x, side)
    value: Jet = compiled(formula, names)(at) + 0 * at  # the sum makes a jet of a constant
    return value.c


def natural_length(c: Sequence[Number], x: float) -> float:
    """Return the distance over which f looks like its first Taylor terms.

    It is the least distance at which one of the higher terms (3 to 8) has grown as large as the largest of the lower
    (1 and 2; up to the first that is not 0): with h = L all terms are comparable, with h = 0.3 L the lower ones rule.
    It is 3 for exp, |x| for 1/x, 1/w for sin(w x) but for a factor. A parabola has no such distance: there it is the
    distance at which f has changed by |f|, but at least |x| and the ratio of the two terms.
    """
    radius = max(abs(MP.mpf(x)), MP.mpf(1e-10))
    least = MP.mpf(1e-80) * max(abs(a) * radius**n for n, a in enumerate(c))
    # What is smaller is the rounding of 100 digits, as in sqrt(x**2) * x.
    sizes = [float(MP.log(abs(a))) if abs(a) * radius**n > least else -math.inf for n, a in enumerate(c)]
    first = next((n for n in range(1, len(c)) if sizes[n] > -math.inf), None)
    if first is None:
        return math.inf
    lower = range(first, max(2, first) + 1)
    lengths = [
        max((sizes[j] - sizes[k]) / (k - j) for j in lower)
        for k in range(lower[-1] + 1, len(c))
        if sizes[k] > -math.inf
    ]
    if lengths:
        return math.exp(min(lengths))
    if first > 2:
        return abs(x) or 1.0
    f, slope, bend = (math.exp(size) for size in sizes[:3])
    reach = 2 * f / (slope + math.sqrt(slope**2 + 4 * bend * f)) if f else 0.0
    return max(reach, abs(x), slope / bend if bend else 0.0) or 1.0


# --- Problems ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """One function and one point, with the truth.

    `derivative`, `fx` are the 100-digit truth, rounded; `scale` is the natural length of f at x.
    """

    formula: str
    kind: str
    x: float
    derivative: float
    fx: float
    scale: float

    def __getstate__(self) -> dict[str, Any]:
        """Leave the compiled functions behind: they can be made anew, and cannot be sent to another process."""
        return {name: value for name, value in vars(self).items() if name not in ("f", "array_f")}

    @property
    def name(self) -> str:
        """Return formula and point."""
        return f"{self.formula} at {self.x!r}"

    @cached_property
    def f(self) -> Callable[[float], float]:
        """The function of a Python float."""
        return compiled(self.formula, MATH)

    @cached_property
    def array_f(self) -> Callable[[Array], Array]:
        """The function of an array, elementwise."""
        return compiled(self.formula, ARRAY)

    @property
    def floor(self) -> float:
        """Return the error that rounding forces on any method: eps (|f| + |x f'|) / (0.3 L)."""
        return EPS * (abs(self.fx) + abs(self.x * self.derivative)) / (0.3 * self.scale)

    def is_good(self, value: float, rtol: float = 1e-10) -> bool:
        """Return whether a value is as exact as is asked for, or at the rounding floor."""
        return abs(value - self.derivative) <= max(rtol * abs(self.derivative), FLOORS * self.floor)


@dataclass(frozen=True)
class Noisy(Problem):
    """A problem whose values carry noise; truth and scale are those of the function without it.

    `clean` is that function's formula, `sd` the standard deviation of the noise of one value, `best_error` the least
    root mean square error of a 3-point central difference, over all steps. `computed` is the derivative of the
    function as it is computed: of `newton` with the steps that it takes at x; elsewhere the truth.
    """

    clean: str
    sd: float
    best_error: float
    computed: float


@dataclass(frozen=True)
class Kink(Problem):
    """A problem with a kink at `x - distance`; `left`, `right`: the slopes there.

    At distance 0 `derivative` is the mean of the slopes, else it is the slope at x, on x's side.
    """

    left: float
    right: float
    distance: float


Drawn = TypeVar("Drawn", bound=Problem)

LARGEST = 1e100


def _number(rng: Random, low: float = 0.3, high: float = 3.0) -> str:
    """Return a positive constant of three digits, its logarithm uniform."""
    return repr(float(f"{math.exp(rng.uniform(math.log(low), math.log(high))):.3g}"))


UNARY = (
    "sin({})", "cos({})", "tan({})", "exp({})", "exp(-({}))", "exp(-({})**2)", "log({})", "log1p(({})**2)", "sqrt({})",
    "sqrt(1+({})**2)", "atan({})", "asinh({})", "tanh({})", "sinh({})", "cosh({})", "expm1({})", "({})**2", "({})**3",
    "sqrt({})**3", "1/({})", "1/(1+({})**2)", "asin({})", "atanh({})",
)  # fmt: skip
BINARY = ("({}+{})", "({}-{})", "{}*{}", "{}/({})", "{}/(1+({})**2)")


def _compose(rng: Random, leaf: str, depth: int) -> str:
    """Return a random composition of elementary functions around a leaf."""
    if depth == 0:
        slope, shift = _number(rng), _number(rng)
        return rng.choice((leaf, f"{slope}*{leaf}", f"({slope}*{leaf}+{shift})", f"({slope}*{leaf}-{shift})"))
    if rng.random() < 0.6:
        return rng.choice(UNARY).format(_compose(rng, leaf, depth - 1))
    return rng.choice(BINARY).format(_compose(rng, leaf, depth - 1), _compose(rng, leaf, rng.randrange(depth)))


def _power_of_ten(rng: Random, low: float, high: float) -> float:
    return float(f"{10 ** rng.uniform(low, high):.3g}")


def _point(rng: Random, low: float = 0.05, high: float = 5.0) -> float:
    return rng.choice((-1, 1, 1)) * math.exp(rng.uniform(math.log(low), math.log(high)))


def _well(rng: Random) -> tuple[str, float]:
    return _compose(rng, "x", rng.randint(1, 3)), _point(rng)


def _scaled(rng: Random) -> tuple[str, float]:
    """Return a function of b x, times a: f, x or both are far from 1."""
    b, a = _power_of_ten(rng, -8, 8), _power_of_ten(rng, -8, 8)
    formula = _compose(rng, f"({b!r}*x)", rng.randint(1, 3))
    return rng.choice((formula, f"{a!r}*{formula}")), _point(rng) / b


def _narrow(rng: Random) -> tuple[str, float]:
    """Return a feature of width 1e-6..1e-2 at c, in most cases on a background."""
    c, width = float(_number(rng)), _power_of_ten(rng, -6, -2)
    feature = _compose(rng, f"((x-{c!r})/{width!r})", rng.randint(1, 2))
    background = _compose(rng, "x", 1)
    formula = rng.choice((feature, f"({feature}+{background})", f"{feature}*{background}"))
    return formula, c + width * _point(rng, 0.1, 3.0)


def _large(rng: Random) -> tuple[str, float]:
    """Return a function at |x| = 1e2..1e10 that still turns, or hardly changes."""
    a = _number(rng)
    leaf = rng.choice((f"sin({a}*x)", f"cos({a}*x)", f"sin(x)*cos({a}*x)", "log(x)", "sqrt(x)", "x/(1+x)", "x"))
    return _compose(rng, leaf, rng.randint(0, 2)), _power_of_ten(rng, 2, 10) * rng.uniform(0.9, 1.1)


def _end(rng: Random, distance: float) -> tuple[str, float]:
    """Return a function at this distance from a pole or from the end of its domain."""
    c = float(_number(rng))
    formula, end, inward = rng.choice(
        (
            (f"log(x-{c!r})", c, 1),
            (f"sqrt(x-{c!r})", c, 1),
            (f"sqrt(x-{c!r})**3", c, 1),
            (f"log({c!r}-x)", c, -1),
            (f"sqrt({c!r}-x)", c, -1),
            (f"1/(x-{c!r})", c, rng.choice((-1, 1))),
            ("log(x)", 0.0, 1),
            ("sqrt(x)", 0.0, 1),
            ("asin(x)", 1.0, -1),
            ("atanh(x)", -1.0, 1),
            ("sqrt(1-x**2)", 1.0, -1),
        )
    )
    outer = rng.choice((formula, f"({formula}+{_compose(rng, 'x', 1)})", f"{formula}*{_compose(rng, 'x', 1)}"))
    return rng.choice((outer, _compose(rng, f"({outer})", 1))), end + inward * distance


def _domain(rng: Random) -> tuple[str, float]:
    return _end(rng, 10 ** rng.uniform(-2, 0))


def _edge(rng: Random) -> tuple[str, float]:
    return _end(rng, 10 ** rng.uniform(-8, -2))


def _offset(rng: Random) -> tuple[str, float]:
    formula, x = _well(rng)
    return f"{_power_of_ten(rng, 0, 8)!r}+{formula}", x


#: What a mix consists of: kind, share, generator.
MIX: dict[str, tuple[float, Callable[[Random], tuple[str, float]]]] = {
    "well scaled": (0.40, _well),
    "scaled": (0.20, _scaled),
    "narrow": (0.12, _narrow),
    "large x": (0.08, _large),
    "domain": (0.05, _domain),
    "edge": (0.05, _edge),
    "offset": (0.10, _offset),
}


def _usable(f: Callable[[float], float], x: float, radius: float) -> bool:
    """Return whether f is a finite real number at x and on both sides of it."""
    try:
        values = [f(x), f(x - radius), f(x + radius)]
    except (ValueError, ArithmeticError):
        return False
    return all(isinstance(value, float) and abs(value) < LARGEST for value in values)


def _follows(f: Callable[[float], float], c: Sequence[Number], x: float, scale: float) -> bool:
    """Return whether f is its Taylor polynomial within an eighth of its natural length.

    Where it is not, a kink or a jump is hidden near x, as in sqrt(x**2) or atan(1/x), and the problem is not smooth.
    """
    for h in (-scale / 8, scale / 8):
        h = (x + h) - x
        terms = [a * MP.mpf(h) ** n for n, a in enumerate(c)]
        rounding = 1e3 * EPS * (abs(terms[0]) + abs(x * terms[1] / h))
        if abs(f(x + h) - MP.fsum(terms)) > 0.01 * max(map(abs, terms[1:])) + rounding:
            return False
    return True


def _solved(formula: str, kind: str, x: float, side: int = 0) -> Problem | None:
    """Return the problem with its truth, or None where there is none worth asking for.

    With a side (+1 or -1) the truth is that of this side of x, and a kink is welcome.
    """
    f = compiled(formula, MATH)
    if not _usable(f, x, 0.0):
        return None
    try:
        c = jet(formula, x, side or 1)
        scale = natural_length(c, x)
    except (ValueError, ArithmeticError, TypeError):  # a pole, or a complex number, that rounding hid from f
        return None
    if not 1e-100 < abs(c[1]) < LARGEST or scale < 4096 * math.ulp(x) or not _usable(f, x, scale / 8):
        return None
    if not side and not _follows(f, c, x, scale):
        return None
    return Problem(formula, kind, x, float(c[1]), float(c[0]), scale)


def _distinct(draw: Callable[[], Drawn | None]) -> Iterator[Drawn]:
    seen: set[str] = set()
    while True:
        problem = draw()
        if problem is not None and problem.name not in seen:
            seen.add(problem.name)
            yield problem


def _draw(rng: Random, kind: str) -> Problem:
    """Return a problem of this kind; a kind keeps its share whatever is rejected."""
    while True:
        formula, x = MIX[kind][1](rng)
        problem = _solved(formula, kind, x)
        if problem is not None:
            return problem


def problems(seed: int, count: int) -> list[Problem]:
    """Return `count` smooth problems, the kinds mixed at random."""
    rng = Random(seed)
    weights = [share for share, _ in MIX.values()]
    return list(islice(_distinct(lambda: _draw(rng, rng.choices(list(MIX), weights)[0])), count))


def _best_error(clean: Callable[[float], float], problem: Problem, sd: float) -> float:
    """Return the least root mean square error of a 3-point central difference.

    The truncation error counts as what it was at its worst up to that step: beyond the natural length it may pass
    through 0 by chance, at a step that nobody would choose.
    """
    best, truncation = math.inf, 0.0
    for power in range(-160, 13):
        h = problem.scale * 2.0 ** (power / 4)
        if h < 16 * math.ulp(problem.x):
            continue
        if not _usable(clean, problem.x, h):
            break
        difference = (clean(problem.x + h) - clean(problem.x - h)) / (2 * h)
        rounding = EPS * abs(problem.fx) / h + EPS * abs(problem.x * problem.derivative) / h
        truncation = max(truncation, abs(difference - problem.derivative) - rounding)
        best = min(best, math.hypot(truncation, sd / (math.sqrt(2) * h)))
    return best


NOISES = ("uniform", "normal", "single")
SOLVERS = ("bisect", "newton", "lookup")


def _draw_noisy(rng: Random) -> Noisy | None:
    base = _draw(rng, rng.choice(("well scaled", "well scaled", "scaled")))
    kind = rng.choice(NOISES)
    level = 10 ** rng.uniform(-12, -3)
    if kind == "single":
        if not 1e-30 < abs(base.fx) < 1e30:
            return None
        sd = float(np.spacing(np.float32(abs(base.fx)))) / math.sqrt(12)
        formula = f"single({base.formula})"
    else:
        sd = float(f"{level * max(abs(base.fx), abs(base.derivative) * min(base.scale, 10 * abs(base.x))):.3g}")
        formula = f"{base.formula}+{sd!r}*{kind}(x,{rng.randrange(1 << 30)})"
    best = _best_error(compiled(base.formula, MATH), base, sd)
    truth = base.derivative
    return Noisy(formula, kind, base.x, truth, base.fx, base.scale, base.formula, sd, best, computed=truth)


def noisy_problems(seed: int, count: int) -> list[Noisy]:
    """Return problems with noise: `kind` uniform or normal, of 1e-12..1e-3 relative to f, or single precision.

    The noise is a function of x (and of a seed that stands in the formula), so a call can be repeated.
    """
    rng = Random(seed)
    return list(islice(_distinct(lambda: _draw_noisy(rng)), count))


def _draw_solver(rng: Random) -> Noisy | None:
    base = _draw(rng, "well scaled")
    kind = rng.choice(SOLVERS)
    if not (abs(base.fx) < 8 and 0.05 < base.scale < 50 and 0.01 < abs(base.derivative) < 100):
        return None
    if kind == "lookup":
        clean, sd = base, STOP * abs(base.derivative) / math.sqrt(12)
        formula = re.sub(r"\bx\b", "lookup(x)", base.formula)
    else:
        solved = _solved(f"root({base.formula})", kind, base.x)
        if solved is None:
            return None
        clean, sd = solved, BRACKET / math.sqrt(12) if kind == "bisect" else math.nan
        formula = f"{kind}({base.formula})"
    best, truth = _best_error(clean.f, clean, sd), clean.derivative
    computed = float(jet(formula, clean.x, names=COMPUTED)[1]) if kind == "newton" else truth
    return Noisy(formula, kind, clean.x, truth, clean.fx, clean.scale, clean.formula, sd, best, computed)


def solver_problems(seed: int, count: int) -> list[Noisy]:
    """Return problems with deterministic noise: `kind` bisect, newton (stopped at 1e-6) or lookup (entries 1e-6 apart).

    The truth is that of the exact root, of an infinitely fine table. Newton's last step leaves far less than 1e-6, and
    smoothly, wherever the number of its steps stays: no level can be named (`sd` and `best_error` are nan), and what
    is left belongs to the function as it is computed (`computed`), which is all that a method can see.
    """
    rng = Random(seed)
    return list(islice(_distinct(lambda: _draw_solver(rng)), count))


def _draw_kink(rng: Random, share_near: float) -> Kink | None:
    """Return a smooth function around |t|, max(t, 0) or their like, where t is 0 exactly at c."""
    x = float(f"{_point(rng):.4g}")
    distance = rng.choice((-1, 1)) * 10 ** rng.uniform(-9, -1) * abs(x) if rng.random() < share_near else 0.0
    c = x - distance
    distance = x - c
    t = f"(x-{c!r})" if c > 0 else f"(x+{-c!r})"
    a = _number(rng)
    zero = rng.choice((t, f"sin({a}*{t})", f"expm1({a}*{t})", f"tanh({a}*{t})", f"{t}*(1+x**2)", f"{t}*(2+cos({a}*x))"))
    sharp = rng.choice(("abs({z})", "max({z},0.0)", "max(-({z}),0.0)", "min({z},0.0)", "max({z},-{b}*({z}))"))
    sharp = f"{_number(rng)}*{sharp.format(z=zero, b=_number(rng))}"
    smooth = _compose(rng, "x", rng.randint(0, 2))
    joined = rng.choice(("{s}+{k}", "({s})*(1+{k})", "sin({s}+{k})", "exp({k})*({s})", "{s}+atan({k})"))
    formula = joined.format(s=smooth, k=sharp)
    sides = _solved(formula, "left", c, -1), _solved(formula, "right", c, 1)
    here = _solved(formula, "here", x, 1) if distance else sides[0]
    if sides[0] is None or sides[1] is None or here is None:
        return None
    left, right = sides[0].derivative, sides[1].derivative
    scale = min(sides[0].scale, sides[1].scale)
    # A kink that is hard to see at all is no fair question.
    if abs(left - right) < 0.01 * max(abs(left), abs(right)) or scale < 0.01 * abs(x):
        return None
    scale = min(here.scale, abs(distance)) if distance else scale
    derivative = here.derivative if distance else (left + right) / 2
    kind = "kink near" if distance else "kink"
    return Kink(formula, kind, x, derivative, here.fx, scale, left, right, distance)


def kinks(seed: int, count: int, share_near: float = 0.0) -> list[Kink]:
    """Return problems with a kink exactly at x; a share of them with the kink at 1e-9..1e-1 |x| from x instead."""
    rng = Random(seed)
    return list(islice(_distinct(lambda: _draw_kink(rng, share_near)), count))


def main() -> None:
    """Print what the mixes consist of, and how long they take."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for generate in (problems, noisy_problems, solver_problems, kinks):
        start = time.perf_counter()
        drawn = generate(DEVELOPMENT_SEED, count)
        each = (time.perf_counter() - start) / count
        print(f"{generate.__name__}: {each * 1e3:.1f} ms a problem, {dict(Counter(p.kind for p in drawn))}")
        for problem in drawn[:5]:
            print(f"  {problem.name}: {problem.derivative:.6g}, scale {problem.scale:.2g}")


if __name__ == "__main__":
    main()
