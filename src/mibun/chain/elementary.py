"""The known ufuncs: each with the difference of two of its values, in a form that does not cancel.

The slope of a ufunc f at z is a difference quotient at a step h so small that its truncation is below the last digit,
written by algebra so that no digits cancel in it (T. Reps and L. Rall, "Computational divided differencing and
divided-difference arithmetics", Higher-Order and Symbolic Computation 16 (2003) 93-149):

    exp      exp(z+h) - exp(z-h)    = exp(z) 2 sinh(h)
    log      log(z+hz) - log(z-hz)  = 2 artanh(h)             (the step is relative where f is one of powers of z)
    sin      sin(z+h) - sin(z-h)    = cos(z) 2 sin(h)
    tan      tan(z+h) - tan(z-h)    = (1+a^2) 2t/(1-a^2 t^2), a = tan(z), t = tan(h)     (h is divided by 1 + |a|)
    tanh     tanh(z+h) - tanh(z-h)  = (1-a^2) 2t/(1-a^2 t^2), a = tanh(z), t = tanh(h)
    sqrt     sqrt(z+hz)-sqrt(z-hz)  = 2hz / (sqrt(z) (sqrt(1+h) + sqrt(1-h)))
    z^p      with steps z e^(+-h):    z^(p-1) sinh(ph)/sinh(h)

and an inverse function has the quotient of the function it inverts, at steps of its value: arcsin(z) at the points
sin(a+-h) has h/sin(h) / cos(a). At h = 2**-26 every one of sinh(h)/h, artanh(h)/h, sin(h)/h, tan(h)/h and
2/(sqrt(1+h)+sqrt(1-h)) rounds to 1, so these factors are left out, and what remains is the quotient in floating point,
to the last digit; `tests/chain/test_elementary.py` compares it with the quotient itself, in many digits.

Linear and bilinear ones (add, multiply) need no step: their quotient is the same at every h.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from mibun.chain.rounding import magnified, times, underflow, unit_of
from mibun.chain.tape import UFUNCS, Give, Node, Rule, value_of

__all__ = ["STEP", "Elementwise", "Flat", "Slope"]

#: The h of all the quotients above.
STEP: Final = 2.0**-26
#: Half-ulps that a ufunc, or a slope made of it and multiplied, may be off.
ROUNDED: Final = 6.0

Slope = Callable[..., Any]


class Elementwise(Rule):
    """A ufunc with a slope in each of its inputs.

    Parameters
    ----------
    ufunc : ufunc
    slopes : callables
        One for each input: from the values of all inputs and that of the result to the slope in this input.
    floor : callable, optional
        From a slope and the inputs to a size, of which the slope is off by a few half-ulps. Default: that of the slope.
    """

    entrywise = True
    #: Half-ulps that the value may be off, and a slope multiplied by a cotangent.
    rounded = ROUNDED

    def __init__(self, ufunc: np.ufunc, *slopes: Slope | None, floor: Slope | None = None) -> None:
        self.name, self.ufunc, self.slopes, self.floor = f"np.{ufunc.__name__}", ufunc, slopes, floor

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute the value."""
        return self.ufunc(*values)

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply by the slopes."""
        inputs = node.inputs
        if len(inputs) == 1:
            (given,) = inputs
            give(given, g * self.slopes[0](given.value, node.value))  # type: ignore[misc]
            return
        values = [value_of(given) for given in inputs]
        for given, slope in zip(inputs, self.slopes, strict=True):
            if isinstance(given, Node) and given.live:
                give(given, g * slope(*values, node.value))  # type: ignore[misc]

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Add what each input lost, times the slope, and the rounding of the result."""
        values = [value_of(given) for given in node.inputs]
        total = self.rounded * unit_of(node.value) * np.abs(node.value)
        for place, error in enumerate(errors):
            if error is not None:
                slope = self._slope(place, values, node.value)
                total = total + times(np.abs(slope) + self._drift(place, values, errors, slope), error)
        return total

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Carry the bound through the slopes, and add what these are off."""
        values = [value_of(given) for given in node.inputs]
        for place, given in enumerate(node.inputs):
            if isinstance(given, Node) and given.live:
                slope = self._slope(place, values, node.value)
                off = self._drift(place, values, errors, slope)
                floor = np.abs(slope if self.floor is None else self.floor(slope, *values))
                off = off + self.rounded * unit_of(node.value) * floor
                give(given, times(np.abs(slope), gap) + times(off, np.abs(g) + gap) + underflow(g))

    def _slope(self, place: int, values: Sequence[Any], result: Any) -> Any:
        slope = self.slopes[place]
        assert slope is not None  # noqa: S101 (an input without a slope is never live)
        return slope(*values, result)

    def _drift(self, place: int, values: Sequence[Any], errors: Sequence[Any], slope: Any) -> Any:
        """Bound the change of a slope where the inputs are off by their errors: by differences of the slope.

        They are taken far wider than the errors, so that their own rounding does not count.
        """
        total: Any = 0.0
        for moved, error in enumerate(errors):
            if error is None:
                continue
            centre = np.asarray(values[moved], np.float64)
            reach = np.maximum(magnified(centre), error)
            ends = []
            for end in (centre + reach, centre - reach):
                there = [*values[:moved], end, *values[moved + 1 :]]
                ends.append(self._slope(place, there, self.ufunc(*there)))
            total = total + times(np.maximum(np.abs(ends[0] - slope), np.abs(ends[1] - slope)) / reach, error)
        return total


class Unary(Elementwise):
    """A ufunc of one input; the fast way."""

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply by the slope."""
        (given,) = node.inputs
        slope: Any = self.slopes[0](given.value, node.value)  # type: ignore[misc]
        if type(slope) is np.ndarray and slope is not node.value and slope.dtype == g.dtype:
            slope *= g
            give(given, slope)
        else:
            give(given, g * slope)


class Signed(Elementwise):
    """A sum or difference of its inputs: exact."""

    def __init__(self, ufunc: np.ufunc, *signs: int) -> None:
        super().__init__(ufunc, *(None for _ in signs))
        self.signs = signs

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Pass the cotangent on, with the sign."""
        for given, sign in zip(node.inputs, self.signs, strict=True):
            if isinstance(given, Node) and given.live:
                give(given, g if sign > 0 else -g)

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Add the errors of the inputs; a change of sign rounds nothing."""
        total = unit_of(node.value) * np.abs(node.value) if len(errors) > 1 else 0.0
        for error in errors:
            total = total if error is None else total + error
        return total

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Pass the bound on."""
        for given in node.inputs:
            if isinstance(given, Node) and given.live:
                give(given, gap)


class Product(Elementwise):
    """A product: exact."""

    rounded = 1.0

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Add what each factor lost, times the other one."""
        left, right = (np.abs(value_of(given)) for given in node.inputs)
        total = unit_of(node.value) * np.abs(node.value)
        if errors[0] is not None:
            total = total + times(right if errors[1] is None else right + errors[1], errors[0])
        return total if errors[1] is None else total + times(left, errors[1])

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Multiply by the other factor, and by what that is off."""
        values = [np.abs(value_of(given)) for given in node.inputs]
        size, unit = np.abs(g), unit_of(node.value)
        for place, given in enumerate(node.inputs):
            if isinstance(given, Node) and given.live:
                total = times(gap + unit * size, values[1 - place]) + underflow(g)
                other = errors[1 - place]
                give(given, total if other is None else total + times(size + gap, other))

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply by the other factor."""
        left, right = node.inputs
        if isinstance(left, Node) and left.live:
            give(left, g * (right.value if isinstance(right, Node) else right))
        if isinstance(right, Node) and right.live:
            give(right, g * (left.value if isinstance(left, Node) else left))


class Quotient(Elementwise):
    """A quotient: exact in the dividend; the divisor b has the slope -y/b, the quotient at b(1+-h) over 1-h^2 = 1."""

    rounded = 3.0

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Divide by the divisor; and again, times the quotient."""
        above, below = node.inputs
        part = np.true_divide(g, below.value if isinstance(below, Node) else below)
        if isinstance(above, Node) and above.live:
            give(above, part)
        if isinstance(below, Node) and below.live:
            give(below, part * -node.value)


class Flat(Elementwise):
    """A ufunc whose slope is 0 wherever it has one: comparisons, sign, floor."""

    flat = True

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Give none: the value is taken as it is; and count the entries at which it jumps."""
        edge = EDGES.get(self.ufunc)
        if edge is not None:
            node.tape.edge(node, edge(*map(value_of, node.inputs)))
        return None

    def other_side(self, node: Node) -> Any:
        """Turn the answers of a comparison around where both sides are equal."""
        if EDGES.get(self.ufunc) is not np.equal:
            return None
        left, right = map(value_of, node.inputs)
        return node.value ^ (left == right)


class Jumping(Elementwise):
    """A ufunc with slopes, and jumps between them: remainders."""

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Do the same, and bound the rest as elsewhere."""
        node.tape.edge(node, EDGES[self.ufunc](*map(value_of, node.inputs)))
        return super().lost(node, errors)


class Power(Elementwise):
    """z^p, with the steps z e^(+-h); in p, the steps +-h."""

    def __init__(self, ufunc: np.ufunc) -> None:
        super().__init__(ufunc, self._in_base, self._in_exponent)

    @staticmethod
    def _in_base(z: Any, p: Any, y: Any) -> Any:
        # z^(p-1) and not y/z, which is nan at 0; p = 0 has no slope there either
        return p * np.power(z, np.where(p == 0, 1.0, p - 1.0) if isinstance(p, np.ndarray) else (p - 1.0 if p else 1.0))

    @staticmethod
    def _in_exponent(z: Any, p: Any, y: Any) -> Any:
        return np.where(y == 0, 0.0, y * np.log(np.where(y == 0, 1.0, z)))


class Kinked(Elementwise):
    """A ufunc with a kink: entries at it, or within the errors of it, have an error that covers both sides."""

    #: How far the slopes on the two sides of the kink are from their mean.
    width: float

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Carry the bound through the slopes; add half the jump at the kink and all of it near by, or leave it out."""
        values = [value_of(given) for given in node.inputs]
        off = self._drift(0, values, errors, None)
        near = np.count_nonzero(off)
        if near:
            node.tape.kink(node, near)
        for place, given in enumerate(node.inputs):
            if isinstance(given, Node) and given.live:
                slope = np.abs(self._slope(place, values, node.value))
                part = times(slope, gap)
                give(given, part if node.tape.smooth else part + times(off, np.abs(g) + gap))

    def _drift(self, place: int, values: Sequence[Any], errors: Sequence[Any], slope: Any) -> Any:
        gap = np.abs(values[0] - values[1]) if len(values) > 1 else np.abs(values[0])
        reach: Any = 0.0
        for error in errors:
            reach = reach if error is None else reach + error
        return np.where(gap == 0, self.width, np.where(gap <= reach, 2 * self.width, 0.0))


class Absolute(Kinked):
    """The absolute value: its slope at 0 is the mean of the two sides, 0."""

    width = 1.0

    def __init__(self, ufunc: np.ufunc) -> None:
        super().__init__(ufunc, lambda x, y: np.sign(x))

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply by the sign, and count the zeros."""
        (given,) = node.inputs
        zeros = given.value.size - np.count_nonzero(given.value)
        if zeros:
            node.tape.kink(node, zeros)
        give(given, g * np.sign(given.value))


class Chosen(Kinked):
    """The larger or smaller of two: slope 1 in the one that was chosen, and 1/2 in both where they tie."""

    width = 0.5

    def __init__(self, ufunc: np.ufunc) -> None:
        super().__init__(ufunc, lambda a, b, y: _share(a, b, y), lambda a, b, y: _share(b, a, y))

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply by the slopes, and count the ties."""
        left, right = node.inputs
        a, b = value_of(left), value_of(right)
        tied, part = a == b, g * (a == node.value)
        ties = np.count_nonzero(tied)
        if ties:
            node.tape.kink(node, ties)
            part = part - 0.5 * g * tied
        if isinstance(left, Node) and left.live:
            give(left, part)
        if isinstance(right, Node) and right.live:
            give(right, g - part)


class Hypot(Elementwise):
    """The length of (a, b): at 0 it stands at a kink, whose slopes are 0 in the mean and at most 1."""

    def __init__(self) -> None:
        super().__init__(np.hypot, lambda a, b, y: _hypot_slope(a, y), lambda a, b, y: _hypot_slope(b, y))

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Do the same, and add the kink, or leave it out."""
        super().pull_gap(node, g, gap, errors, give)
        zero = node.value == 0
        if np.any(zero):
            node.tape.kink(node, np.count_nonzero(zero))
            for given in node.inputs:
                if isinstance(given, Node) and given.live and not node.tape.smooth:
                    give(given, zero * (np.abs(g) + gap))


def _share(a: Any, b: Any, y: Any) -> Any:
    return np.where(a == b, 0.5, a == y).astype(y.dtype)


def _hypot_slope(a: Any, y: Any) -> Any:
    return np.divide(a, y, out=np.zeros_like(y), where=y != 0) if np.ndim(y) else (a / y if y else y)


def _turn(a: Any, b: Any) -> Any:
    """Give a / (a^2 + b^2), where a square may be too large or too small for a float."""
    long = np.hypot(a, b)
    return np.true_divide(np.true_divide(a, long), long)


TWO, TEN, PI = np.log(np.longdouble(2)), np.log(np.longdouble(10)), 4 * np.arctan(np.longdouble(1))


def _short(number: Any, y: Any) -> Any:
    """Give a constant as a float, unless more digits are asked for."""
    return number if y.dtype == np.longdouble else float(number)


#: From z and f(z) to the slope.
UNARY: Final[dict[np.ufunc, Slope]] = {
    np.exp: lambda x, y: y,
    np.exp2: lambda x, y: y * _short(TWO, y),
    np.expm1: lambda x, y: np.exp(x),
    np.log: lambda x, y: 1 / x,
    np.log2: lambda x, y: _short(1 / TWO, y) / x,
    np.log10: lambda x, y: _short(1 / TEN, y) / x,
    np.log1p: lambda x, y: 1 / (1 + x),
    np.sqrt: lambda x, y: 0.5 / y,
    np.cbrt: lambda x, y: 1 / (3 * y * y),
    np.square: lambda x, y: 2 * x,
    np.reciprocal: lambda x, y: -(y * y),
    np.sin: lambda x, y: np.cos(x),
    np.cos: lambda x, y: -np.sin(x),
    np.tan: lambda x, y: 1 + y * y,
    np.sinh: lambda x, y: np.cosh(x),
    np.cosh: lambda x, y: np.sinh(x),
    np.arcsin: lambda x, y: 1 / np.sqrt((1 - x) * (1 + x)),
    np.arccos: lambda x, y: -1 / np.sqrt((1 - x) * (1 + x)),
    np.arctan: lambda x, y: 1 / (1 + x * x),
    np.arcsinh: lambda x, y: 1 / np.hypot(1, x),
    np.arccosh: lambda x, y: 1 / np.sqrt((x - 1) * (x + 1)),
    np.arctanh: lambda x, y: 1 / ((1 - x) * (1 + x)),
    np.degrees: lambda x, y: _short(180 / PI, y),
    np.rad2deg: lambda x, y: _short(180 / PI, y),
    np.radians: lambda x, y: _short(PI / 180, y),
    np.deg2rad: lambda x, y: _short(PI / 180, y),
}
#: From a, b and f(a, b) to the slopes in a and in b.
BINARY: Final[dict[np.ufunc, tuple[Slope, Slope]]] = {
    np.arctan2: (lambda a, b, y: _turn(b, a), lambda a, b, y: -_turn(a, b)),
    np.remainder: (lambda a, b, y: np.ones_like(y), lambda a, b, y: -np.floor_divide(a, b)),
    np.fmod: (lambda a, b, y: np.ones_like(y), lambda a, b, y: -np.trunc(a / b)),
    np.copysign: (lambda a, b, y: np.sign(a) * np.copysign(1.0, b), lambda a, b, y: np.zeros_like(y)),
    np.ldexp: (lambda a, b, y: np.ldexp(np.ones_like(y), b), lambda a, b, y: np.zeros_like(y)),
    np.heaviside: (lambda a, b, y: np.zeros_like(y), lambda a, b, y: 1.0 * (a == 0)),
}
#: Ufuncs whose slope is 0 wherever they have one, as far as this NumPy has them.
FLAT: Final = """
    sign floor ceil trunc rint floor_divide signbit isnan isinf isfinite invert logical_not logical_and logical_or
    logical_xor bitwise_and bitwise_or bitwise_xor less less_equal greater greater_equal equal not_equal spacing gcd lcm
    left_shift right_shift bitwise_count
""".split()  # noqa: SIM905 (one line for each would hide the tables)

#: From the inputs of a ufunc to where it jumps.
EDGES: Final[dict[np.ufunc, Callable[..., Any]]] = {
    **dict.fromkeys((np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal), np.equal),
    **dict.fromkeys((np.floor, np.ceil), lambda x: x == np.rint(x)),
    np.trunc: lambda x: (x == np.rint(x)) & (x != 0),
    np.rint: lambda x: np.abs(x - np.trunc(x)) == 0.5,
    **dict.fromkeys((np.sign, np.signbit, np.logical_not), lambda x: np.equal(x, 0)),
    **dict.fromkeys((np.logical_and, np.logical_or, np.logical_xor), lambda a, b: np.equal(a, 0) | np.equal(b, 0)),
    **dict.fromkeys((np.floor_divide, np.remainder), lambda a, b: np.remainder(a, b) == 0),
    np.fmod: lambda a, b: (np.fmod(a, b) == 0) & (np.not_equal(a, 0)),
    np.heaviside: lambda a, b: np.equal(a, 0),
    np.copysign: lambda a, b: np.equal(b, 0),
}

UFUNCS.update({ufunc: Unary(ufunc, slope) for ufunc, slope in UNARY.items()})
UFUNCS.update({ufunc: (Jumping if ufunc in EDGES else Elementwise)(ufunc, *slopes) for ufunc, slopes in BINARY.items()})
UFUNCS.update({getattr(np, name): Flat(getattr(np, name)) for name in FLAT if hasattr(np, name)})
UFUNCS.update({ufunc: Chosen(ufunc) for ufunc in (np.maximum, np.minimum, np.fmax, np.fmin)})
UFUNCS.update({ufunc: Absolute(ufunc) for ufunc in (np.absolute, np.fabs)})
UFUNCS.update({ufunc: Power(ufunc) for ufunc in (np.power, np.float_power)})
UFUNCS[np.tanh] = Unary(np.tanh, lambda x, y: 1 - y * y, floor=lambda slope, x: 1.0)
for _ufunc, _power in ((np.logaddexp, np.exp), (np.logaddexp2, np.exp2)):  # not exp(a - y): y may have lost b
    UFUNCS[_ufunc] = Elementwise(
        _ufunc,
        lambda a, b, y, power=_power: 1 / (1 + power(b - a)),
        lambda a, b, y, power=_power: 1 / (1 + power(a - b)),
        floor=lambda slope, a, b: slope * (1 + np.abs(a - b)),
    )
UFUNCS[np.hypot] = Hypot()
UFUNCS[np.negative], UFUNCS[np.positive] = Signed(np.negative, -1), Signed(np.positive, 1)
UFUNCS[np.conjugate] = Signed(np.conjugate, 1)
UFUNCS[np.add], UFUNCS[np.subtract] = Signed(np.add, 1, 1), Signed(np.subtract, 1, -1)
UFUNCS[np.multiply] = Product(np.multiply, lambda a, b, y: b, lambda a, b, y: a)
UFUNCS[np.true_divide] = Quotient(
    np.true_divide, lambda a, b, y: np.true_divide(1, b), lambda a, b, y: np.true_divide(-y, b)
)
