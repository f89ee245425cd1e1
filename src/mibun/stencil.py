"""Weights of finite differences, exact: any order of derivative, any offsets, no rounding at all.

A stencil takes f at ``x + offset·h`` for each offset and adds the values up with its weights:

    sum(weight · f(x + offset·h)) / h**order  =  f⁽ᵒʳᵈᵉʳ⁾(x) + truncation · h**accuracy · f⁽ᵒʳᵈᵉʳ⁺ᵃᶜᶜᵘʳᵃᶜʸ⁾(x) + ...

The weights are the derivatives at 0 of Lagrange's polynomials through the offsets (B. Fornberg, "Generation of
finite difference formulas on arbitrarily spaced grids", Mathematics of Computation 51 (1988) 699-706, where the tables
are printed; "Calculation of weights in finite difference formulas", SIAM Review 40 (1998) 685-691). Fornberg's
recursion is there to keep rounding small; rational numbers do not round, so the polynomials are multiplied out here.
"""

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import factorial, prod
from numbers import Integral
from typing import SupportsFloat

from mibun.errors import InputError

__all__ = ["Stencil", "backward", "central", "forward", "stencil"]


@dataclass(frozen=True, repr=False)
class Stencil:
    """Offsets and weights of one finite difference, and what it loses. Frozen; make one by `stencil`.

    Attributes
    ----------
    offsets : tuple of Fraction
        Where f is taken, in units of the step h, in the order in which they were given.
    weights : tuple of Fraction
        One for each offset; 0 where the value there does not count.
    order : int
        Of the derivative, at least 1.
    accuracy : int
        Power of h in the leading term of the truncation, at least 1.
    truncation : Fraction
        The factor of that term (see the head of this module); never 0.

    Examples
    --------
    >>> import math
    >>> from mibun.stencil import stencil
    >>> s = stencil([-1, 1])
    >>> s
    Stencil(order 1, accuracy 2: [-1, 1] · [-1/2, 1/2])
    >>> h = 1e-3
    >>> value = sum(w * math.exp(o * h) for o, w in zip(s.float_offsets, s.float_weights)) / h
    >>> print(f"error {value - 1:.3e}, leading term {float(s.truncation) * h**s.accuracy:.3e}")
    error 1.667e-07, leading term 1.667e-07
    """

    offsets: tuple[Fraction, ...]
    weights: tuple[Fraction, ...]
    order: int
    accuracy: int
    truncation: Fraction

    @cached_property
    def rounding(self) -> Fraction:
        """Sum of the sizes of the weights: errors of at most e in f move the result by at most rounding·e/h**order."""
        return sum(map(abs, self.weights), Fraction(0))

    @cached_property
    def float_offsets(self) -> tuple[float, ...]:
        """The offsets, each rounded to the nearest float."""
        return _floats(self.offsets)

    @cached_property
    def float_weights(self) -> tuple[float, ...]:
        """The weights, each rounded to the nearest float."""
        return _floats(self.weights)

    def __len__(self) -> int:
        """Count the offsets: the values of f that it needs, with those of weight 0."""
        return len(self.offsets)

    def __repr__(self) -> str:
        offsets, weights = (", ".join(map(str, row)) for row in (self.offsets, self.weights))
        return f"Stencil(order {self.order}, accuracy {self.accuracy}: [{offsets}] · [{weights}])"


def stencil(offsets: Iterable[SupportsFloat], order: int = 1) -> Stencil:
    """Find the weights that take the derivative of this order from these offsets, as accurately as they allow.

    They are exact for every polynomial of degree below the number of offsets.

    Parameters
    ----------
    offsets : iterable of int, Fraction or float
        Distinct, at least ``order + 1`` of them, in units of the step. A float counts as the exact binary
        number that it is: write ``Fraction(1, 10)`` for a tenth.
    order : int
        Of the derivative, at least 1.

    Returns
    -------
    Stencil
        With the offsets as fractions, in the order given.

    Raises
    ------
    InputError
        If an offset is not a finite real number, two are equal, there are too few, or `order` is no positive integer.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from mibun.stencil import stencil
    >>> stencil([0, 1, 3])
    Stencil(order 1, accuracy 2: [0, 1, 3] · [-4/3, 3/2, -1/6])
    >>> stencil([Fraction(-1, 2), 0, Fraction(1, 2)], order=2)
    Stencil(order 2, accuracy 2: [-1/2, 0, 1/2] · [4, -8, 4])
    """
    order = _count(order, "order")
    exact = tuple(map(_exact, offsets))
    if len(set(exact)) < len(exact):
        twice = next(offset for offset in exact if exact.count(offset) > 1)
        raise InputError(f"the offset {twice} is given {exact.count(twice)} times; expected distinct offsets")
    if len(exact) <= order:
        raise InputError(
            f"{len(exact)} offsets were given for a derivative of order {order}; expected at least {order + 1} of them"
        )
    return _solve(exact, order)


def forward(order: int = 1, accuracy: int = 1) -> Stencil:
    """Take the derivative at 0 from the offsets 0, 1, 2, ...: ``order + accuracy`` values of f, all to the right.

    Parameters
    ----------
    order, accuracy : int
        At least 1 each.

    Raises
    ------
    InputError
        If one of them is no positive integer.

    Examples
    --------
    >>> from mibun.stencil import forward
    >>> forward(accuracy=2)
    Stencil(order 1, accuracy 2: [0, 1, 2] · [-3/2, 2, -1/2])
    """
    order = _count(order, "order")
    return _between(0, order + _count(accuracy, "accuracy") - 1, order)


def backward(order: int = 1, accuracy: int = 1) -> Stencil:
    """Take the derivative at 0 from the offsets ..., -2, -1, 0: `forward`, mirrored.

    Parameters
    ----------
    order, accuracy : int
        At least 1 each.

    Raises
    ------
    InputError
        If one of them is no positive integer.

    Examples
    --------
    >>> from mibun.stencil import backward
    >>> backward()
    Stencil(order 1, accuracy 1: [-1, 0] · [-1, 1])
    """
    order = _count(order, "order")
    return _between(1 - order - _count(accuracy, "accuracy"), 0, order)


def central(order: int = 1, accuracy: int = 2) -> Stencil:
    """Take the derivative at 0 from offsets in pairs, ±1, ±2, ...; 0 itself is there only for even orders.

    For odd orders the weight of the centre would be 0, and f need not be known there.

    Parameters
    ----------
    order : int
        At least 1.
    accuracy : int
        Even, at least 2.

    Raises
    ------
    InputError
        If `order` is no positive integer, or `accuracy` no positive even one.

    Examples
    --------
    >>> from mibun.stencil import central
    >>> central(accuracy=4)
    Stencil(order 1, accuracy 4: [-2, -1, 1, 2] · [1/12, -2/3, 2/3, -1/12])
    >>> central(order=2)
    Stencil(order 2, accuracy 2: [-1, 0, 1] · [1, -2, 1])
    """
    order, accuracy = _count(order, "order"), _count(accuracy, "accuracy")
    if accuracy % 2:
        raise InputError(
            f"accuracy is {accuracy}; a central difference has an even accuracy, "
            f"write accuracy={accuracy + 1}, or take a forward or backward difference"
        )
    reach = (order + 1) // 2 + accuracy // 2 - 1
    return _between(-reach, reach, order)


@lru_cache(maxsize=256)
def _between(first: int, last: int, order: int) -> Stencil:
    """Take all whole offsets from `first` to `last`, but for a centre that has the weight 0."""
    idle_centre = first == -last and order % 2 == 1
    return stencil((k for k in range(first, last + 1) if k or not idle_centre), order)


@lru_cache(maxsize=256)
def _solve(offsets: tuple[Fraction, ...], order: int) -> Stencil:
    weights = tuple(factorial(order) * _coefficient(offsets, i, order) for i in range(len(offsets)))
    # Moments below the number of offsets vanish but for the one of `order`. As many as that in a row cannot all vanish
    # above it (Vandermonde), so the search ends.
    power = len(offsets)
    while not (moment := sum(w * o**power for w, o in zip(weights, offsets, strict=True))):
        power += 1
    return Stencil(offsets, weights, order, power - order, moment / factorial(power))


def _coefficient(offsets: tuple[Fraction, ...], i: int, power: int) -> Fraction:
    """Give the factor of x**power in the polynomial that is 1 at offset `i` and 0 at the others."""
    others = offsets[:i] + offsets[i + 1 :]
    coefficients = [Fraction(1)]  # of the product of (x - other), lowest first; higher powers than asked for fall off
    for other in others:
        shifted, scaled = [Fraction(0), *coefficients], [*(c * other for c in coefficients), Fraction(0)]
        coefficients = list(map(operator.sub, shifted, scaled))[: power + 1]
    return coefficients[power] / prod((offsets[i] - other for other in others), start=Fraction(1))


def _exact(offset: object) -> Fraction:
    try:
        if isinstance(offset, Integral):
            return Fraction(_integer(offset))
        # Every other real type of Python and NumPy has it, and it is exact.
        numerator, denominator = offset.as_integer_ratio()  # type: ignore[attr-defined]
        return Fraction(int(numerator), int(denominator))
    except (AttributeError, OverflowError, TypeError, ValueError):
        raise InputError(f"an offset is {offset!r}; expected a finite integer, Fraction or float") from None


def _count(value: object, name: str) -> int:
    try:
        count = _integer(value)
    except TypeError:
        count = 0
    if count < 1:
        raise InputError(f"{name} is {value!r}; expected an integer of at least 1")
    return count


def _integer(value: object) -> int:
    """Take an integer of Python or NumPy; bool is more often a mistake than a number."""
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)  # type: ignore[arg-type]


def _floats(row: tuple[Fraction, ...]) -> tuple[float, ...]:
    try:
        return tuple(map(float, row))
    except OverflowError:
        raise InputError(
            "the weights or offsets are larger than any float; give offsets of about 1, and scale by the step instead"
        ) from None
