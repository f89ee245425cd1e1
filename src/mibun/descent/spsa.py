"""Simultaneous perturbation: a gradient from two values of f, however many entries x has (Spall 1992).

All entries move at once, each by +step or -step at random, and back. The difference of the two values, divided by
each entry's own change, is the gradient plus a random vector of its size whose mean is 0; the mean of several pairs
has less of it. So it is good for descents of many small steps, which average it out, and for nothing that asks for
digits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mibun.descent.course import EPS, Vector
from mibun.errors import InputError

__all__ = ["SPSA", "Sample", "sample", "spread"]


@dataclass(frozen=True)
class SPSA:
    """Estimate gradients from random directions, for ``descend(f, x0, gradient=SPSA())``: Spall's method.

    Parameters
    ----------
    pairs : int
        Pairs of values a gradient, averaged. One step of a descent takes 2·pairs + 1 evaluations. Default: 1.
    seed : int
        Of the random directions. Default: 0.
    step : float, optional
        How far every entry of x is moved. Default: found at the first point from the size of x and the noise of f, by
        nine evaluations.

    Raises
    ------
    InputError
        If `pairs` is no whole number of at least 1, `seed` none of at least 0, or `step` not above 0.

    Notes
    -----
    The error of such a gradient is three times the standard deviation that random directions leave, an estimate. It is
    above every entry unless there are many pairs, so a descent does not stop for it; it stops where the noise of f
    hides every difference that it sees.

    J. Spall, IEEE Trans. Automatic Control 37 (1992) 332-341.

    Examples
    --------
    A hundred variables, three evaluations a step:

    >>> import numpy as np
    >>> import mibun as mb
    >>> rule = mb.GradientDescent(learning_rate=0.005)
    >>> path = mb.descend(lambda x: np.sum(x**2), np.ones(100), rule=rule, steps=1000, gradient=mb.SPSA(seed=1))
    >>> path.evaluations, bool(path.fun < 1e-2)
    (3012, True)
    """

    pairs: int = 1
    seed: int = 0
    step: float | None = None

    def __post_init__(self) -> None:
        for name, value, least in (("pairs", self.pairs, 1), ("seed", self.seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
        step = self.step
        if step is not None and (
            isinstance(step, bool) or not isinstance(step, int | float | np.number) or not 0 < step < np.inf
        ):
            raise InputError(f"step is {step!r}; expected a finite number above 0, or None: it is found")


class Sample(NamedTuple):
    """A gradient along random directions."""

    gradient: Vector
    deviation: Vector  #: three standard deviations of what random directions leave
    floor: Vector  #: what the noise of f can make of nothing


def spread(x: Vector, loss: float, noise: float) -> float:
    """Choose the step: the cube root of the relative noise of f, on the scale of x.

    The noise of a central difference falls with the step as 1/step, its truncation grows as step².
    """
    relative = max(noise, EPS * abs(loss), 1e-300) / max(abs(loss), noise, 1e-300)
    return float(max(1.0, np.abs(x).max()) * min(relative, 1e-3) ** (1 / 3))


def sample(
    value: Callable[[Vector], float],
    x: Vector,
    limits: tuple[Vector, Vector],
    step: float,
    pairs: int,
    noise: float,
    rng: np.random.Generator,
) -> Sample:
    """Average the gradients that pairs of values give.

    Parameters
    ----------
    value
        From a point to f.
    x
        The point.
    limits
        Bounds of x; a point beyond them is moved onto them.
    step, pairs, rng
        How far, how often, and whence the directions.
    noise
        Of one value of f.
    """
    gradients = np.empty((pairs, x.size))
    sizes = np.empty(pairs)
    for pair in range(pairs):
        way = step * rng.choice(np.array([-1.0, 1.0]), x.size)
        up, down = (np.clip(x + sign * way, *limits).astype(x.dtype) for sign in (1.0, -1.0))
        change = value(up) - value(down)
        with np.errstate(all="ignore"):
            gradients[pair] = change / (up - down)
        sizes[pair] = change / (2 * step)
    deviation = 3.0 * float(np.sqrt(np.mean(sizes**2) / pairs))
    floor = 3.0 * noise / (step * np.sqrt(2.0 * pairs))
    return Sample(gradients.mean(axis=0), np.full(x.size, deviation), np.full(x.size, floor))
