"""The ladder of steps, and the two tables that are extrapolated on it.

At the steps h_k = H * RUNGS[k] a function is looked at in pairs x ± h_k. Half the difference of a pair, over h_k, is
the odd slope o(h) = f'(x) + c3 h^2 + c5 h^4 + ...; Neville's scheme in h^2 takes it to h = 0. The mean of a pair less
f(x) is the even part e(h) = c2 h^2 + c4 h^4 + ...; the same scheme takes it to 0, and **that limit is known**: it is 0.
What is left of it (the even residual) is therefore a measured error, of the order of the truncation of the odd
table and of the size of the noise, at the price of one value, f(x).

The steps are not pure powers of 2: a dyadic ladder is blind to frequencies near 2 pi 2^m / H.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

__all__ = [
    "AMPLIFICATION",
    "EVEN_CONTRAST",
    "MARGIN",
    "ODD_CONTRAST",
    "ODD_SPREAD",
    "PAIRS",
    "RUNGS",
    "Corner",
    "corner",
    "extrapolate",
    "five_pairs",
    "inner_pairs",
    "tables",
]

#: Steps in units of the top step H: few bits, so that x ± h is exact, yet on no coarse grid: it has blind frequencies.
RUNGS: Final = (1.0, 1 / 2, 1117 / 4096, 607 / 4096, 673 / 8192, 353 / 8192, 383 / 16384, 207 / 16384)

#: Pairs of every ladder; more are asked for where the tables still contract.
PAIRS: Final = 5

#: FACTORS[k][j - 1] = 1 / ((h_(k-j) / h_k)^2 - 1), of Neville's scheme in h^2.
FACTORS: Final = tuple(
    tuple(1.0 / ((RUNGS[k - j] / RUNGS[k]) ** 2 - 1.0) for j in range(1, k + 1)) for k in range(len(RUNGS))
)


def _weights(last: int, first: int = 0) -> list[float]:
    """Weights of the value extrapolated from the rungs first ... last (Lagrange in h^2 at 0)."""
    squares = [rung * rung for rung in RUNGS[first : last + 1]]
    return [
        math.prod(other / (other - own) for j, other in enumerate(squares) if j != i) for i, own in enumerate(squares)
    ]


def _norms() -> tuple[tuple[float, ...], ...]:
    amplification, odd, even, spread = [0.0], [1.0], [1.0], [0.0]
    for k in range(1, len(RUNGS)):
        now, before = _weights(k), [*_weights(k - 1), 0.0]
        relative = [RUNGS[k] / rung for rung in RUNGS[: k + 1]]
        amplification.append(1.05 * sum(abs(w) * r for w, r in zip(now, relative, strict=True)))
        gaps = [(w - b) * r for w, b, r in zip(now, before, relative, strict=True)]
        odd.append(math.sqrt(sum(g * g for g in gaps) / 2))
        even.append(math.sqrt(sum(w * w for w in now) / 2 + 1))
        spread.append(math.sqrt(sum((w * r) ** 2 for w, r in zip(now, relative, strict=True)) / 2))
    return tuple(amplification), tuple(odd), tuple(even), tuple(spread)


#: Rounding inside of f may be more than that of its value and of x: sin(3*x + 3) at 0 rounds its argument, too.
MARGIN: Final = 1.6

#: With values off by at most N each, the extrapolated slope is off by at most AMPLIFICATION[k] * N / h_k.
#: With values of independent unit noise, the rms of |T_kk - T_(k-1)(k-1)| h_k, of |E_kk|, and of T_kk h_k.
AMPLIFICATION, ODD_CONTRAST, EVEN_CONTRAST, ODD_SPREAD = _norms()


def extrapolate(row: list[Any], first: Any, k: int) -> list[Any]:
    """Give row k of Neville's table from row k - 1 and the new value of rung k."""
    new = [first]
    value = first
    for before, factor in zip(row, FACTORS[k], strict=True):
        value = value + (value - before) * factor
        new.append(value)
    return new


def tables(f0: Any, ups: Sequence[Any], downs: Sequence[Any], top: Any) -> tuple[list[list[Any]], list[list[Any]]]:
    """Give the odd and the even table of all pairs, largest step first: of numbers, or of arrays over many elements."""
    odd: list[list[Any]] = []
    even: list[list[Any]] = []
    for k, (up, down) in enumerate(zip(ups, downs, strict=True)):
        above, below = up - f0, f0 - down
        slope = (up - down) / (2 * top * RUNGS[k])
        odd.append(extrapolate(odd[-1] if odd else [], slope, k))
        even.append(extrapolate(even[-1] if even else [], (above - below) / 2, k))
    return odd, even


class Corner(NamedTuple):
    """The ends of the diagonals of both tables, after pair k: all that the stop test looks at."""

    k: int
    value: Any  #: odd[k][k], the slope
    before: Any  #: odd[k - 1][k - 1]
    earlier: Any  #: odd[k - 2][k - 2]
    residual: Any  #: |even[k][k]|
    residual_before: Any  #: |even[k - 1][k - 1]|


def corner(odd: list[list[Any]], even: list[list[Any]]) -> Corner:
    """Take the corner from the whole tables."""
    k = len(odd) - 1
    return Corner(k, odd[k][k], odd[k - 1][k - 1], odd[k - 2][k - 2], abs(even[k][k]), abs(even[k - 1][k - 1]))


def inner_pairs(x: float, top: float) -> tuple[float, float, float, float, float, float]:
    """Give the points of the pairs that a look at x ± H, x ± H/2 has not."""
    h2, h3, h4 = top * RUNGS[2], top * RUNGS[3], top * RUNGS[4]
    return x + h2, x - h2, x + h3, x - h3, x + h4, x - h4


_ODD_4, _ODD_3, _ODD_2 = (tuple(w / (2 * rung) for w, rung in zip(_weights(k), RUNGS, strict=False)) for k in (4, 3, 2))
_EVEN_4, _EVEN_3 = (tuple(w / 2 for w in _weights(k)) for k in (4, 3))


def five_pairs(f0: Any, values: Any, more: Any, top: Any) -> Corner:
    """Give the corner of five pairs, written out: what most calls need, ten times faster than the tables.

    Numbers of one element, or arrays over many: the operations are the same, and so are the bits.
    """
    up0, down0, up1, down1 = values
    up2, down2, up3, down3, up4, down4 = more
    s0, s1, s2, s3, s4 = up0 - down0, up1 - down1, up2 - down2, up3 - down3, up4 - down4
    b0, b1, b2, b3, b4 = (
        (up0 - f0) - (f0 - down0),
        (up1 - f0) - (f0 - down1),
        (up2 - f0) - (f0 - down2),
        (up3 - f0) - (f0 - down3),
        (up4 - f0) - (f0 - down4),
    )
    w0, w1, w2, w3, w4 = _ODD_4
    v0, v1, v2, v3 = _ODD_3
    t0, t1, t2 = _ODD_2
    e0, e1, e2, e3, e4 = _EVEN_4
    g0, g1, g2, g3 = _EVEN_3
    return Corner(
        4,
        (w0 * s0 + w1 * s1 + w2 * s2 + w3 * s3 + w4 * s4) / top,
        (v0 * s0 + v1 * s1 + v2 * s2 + v3 * s3) / top,
        (t0 * s0 + t1 * s1 + t2 * s2) / top,
        abs(e0 * b0 + e1 * b1 + e2 * b2 + e3 * b3 + e4 * b4),
        abs(g0 * b0 + g1 * b1 + g2 * b2 + g3 * b3),
    )
