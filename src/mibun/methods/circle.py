"""The circle: derivatives of high order from values around x in the complex plane.

On a circle of radius r around x an analytic f is the sum of c_m r^m e^(imθ), so its Fourier coefficients, from 16
equally spaced points, are the Taylor terms at r (J. N. Lyness and C. B. Moler, "Numerical differentiation of analytic
functions", SIAM Journal on Numerical Analysis 4 (1967) 202-210). f is real on the real axis: 9 points on the upper half
are enough. No power of a small step divides a difference, so order 8 keeps most of its digits where r is near the
distance at which the terms no longer fall. B. Fornberg ("Numerical differentiation of analytic functions", ACM
Transactions on Mathematical Software 7 (1981) 512-526) looks for that radius by the fall of the coefficients; so it is
done here, from the step at which the adaptive search on the real axis finds that the Taylor terms fall.

Terms of negative index should vanish. What is left of the first of them is rounding, or terms 14 and 15, which the
points cannot tell from them, or a sign that f is not analytic inside: a pole, a branch point, abs, a comparison. A
circle is believed where it is rounding, and then bounds the error.
"""

import cmath
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from mibun.conversation import Conversation, Estimate, Request
from mibun.methods.adaptive.orders import nowhere
from mibun.methods.adaptive.scalar import differentiate
from mibun.methods.adaptive.scale import first_step
from mibun.methods.fixed import failed
from mibun.status import Status

__all__ = ["circle"]

#: Points of the whole circle, and those of its upper half.
POINTS: Final = 16
HALF: Final = POINTS // 2 + 1
#: Negative indices that are looked at: the points cannot tell them from 15 and 14, nor order k from k + 16.
VANISHING: Final = (1, 2)
#: Points of a look on the real axis and one circle.
LEAST: Final = 5 + HALF
TURNS: Final = tuple(cmath.exp(1j * math.pi * j / (HALF - 1)) for j in range(HALF))
#: Most by which the radius grows at once.
GROWTH: Final = 2.0**10
#: A circle is believed where what is left in terms that should vanish is so many times the rounding of a term.
CLEAN: Final = 64.0
#: f is not real on the real axis where so much of it is imaginary there.
LOST: Final = 1e-2
#: How many times the rounding of a value its Fourier terms may be off: f may round inside.
MARGIN: Final = 4.0


class Terms(NamedTuple):
    """What one circle tells."""

    radius: float
    size: float  #: the largest |f|
    unit: float  #: rounding of one term
    taylor: tuple[float, ...]  #: c_m r^m, m = 0 ... 8
    left: float  #: the largest term that should vanish

    def error(self, order: int) -> float:
        """Bound the error of the derivative."""
        error = math.factorial(order) * (self.left + self.unit) / self.radius**order
        return error if math.isfinite(error) and self.analytic else math.inf

    @property
    def analytic(self) -> bool:
        """Whether the terms that should vanish do."""
        return self.left <= CLEAN * self.unit


def circle(x: float, request: Request) -> Conversation:
    """Converse about a derivative of order 2 to 8; after a search on the real axis each circle is a round."""
    order, room = request.order, min(x - request.lower, request.upper - x)
    if room <= 64 * math.ulp(x):
        return failed(Status.UNRESOLVED, 0.0, "the bounds leave no room for a circle around x")
    if request.budget < LEAST:
        return failed(Status.BUDGET_SPENT, room, f"a look at f and one circle need {LEAST} points")
    talk, taken, f0 = differentiate(x, request._replace(rtol=0.0, atol=math.inf, budget=request.budget - HALF)), 0, 0.0
    try:
        points = next(talk)
        while True:
            values = yield points
            taken += len(points)
            f0 = values[0] if points[0] == x else f0
            points = talk.send(values)
    except StopIteration as stop:
        slope: Estimate = stop.value
    if slope.status in (Status.KINK, Status.JUMP, Status.NOT_FINITE):
        return nowhere(slope, order)
    best, last, radius = None, 0.0, min(slope.step or first_step(x, request.unit), room)
    for _ in range((request.budget - taken) // HALF):
        values = yield tuple(complex(x + radius * turn.real, radius * turn.imag) for turn in TURNS)
        terms = _terms(x, f0, radius, values, request)
        if terms and terms.error(order) < math.inf and (best is None or terms.error(order) < best.error(order)):
            best = terms
        last, radius = radius, min(_next_radius(radius, terms), room)
        if terms and best is terms and 0.7 < radius / last < 1.5:
            break
    if best is None:
        message = f"the terms of negative index do not vanish on a circle of {last:.3g}: f does not seem to be analytic"
        return failed(Status.UNRESOLVED, last, message)
    return _told(best, request)


def _terms(x: float, f0: float, radius: float, values: Sequence[complex], request: Request) -> Terms | None:
    """Take the Fourier terms of one circle; None if f is not finite there, or not real on the real axis."""
    size = max(abs(f0), *map(abs, values))
    if not all(map(cmath.isfinite, values)) or abs(values[0].imag) + abs(values[-1].imag) > LOST * size:
        return None
    ends = values[0].real, values[-1].real
    found = {}
    for m in range(1 - HALF + 1, HALF):
        inner = [2 * (v * TURNS[j].conjugate() ** m).real for j, v in enumerate(values[1:-1], start=1)]
        found[m] = math.fsum([ends[0], (-1) ** m * ends[1], *inner]) / POINTS
    left = max(abs(found[0] - f0), *(abs(found[-m]) for m in VANISHING))
    noise = max(request.noise or 0.0, request.unit * (size + abs(x) / radius * max(abs(v - f0) for v in values)))
    return Terms(radius, size, MARGIN * noise + 1e-323, tuple(found[m] for m in range(HALF)), left)


def _next_radius(radius: float, terms: Terms | None) -> float:
    """Give the radius at which the first term that the points cannot tell is as large as the rounding."""
    if terms is None:
        return radius / 8
    if terms.left > 2 * terms.unit:  # by terms 14 and 15, if not by a pole
        return float(radius * (terms.unit / terms.left) ** (1 / (POINTS - 2)))
    seen = [m for m in range(1, HALF) if abs(terms.taylor[m]) > 2 * terms.unit]
    if not seen:
        return GROWTH * radius
    fall: float = max((abs(terms.taylor[m]) / terms.size) ** (1 / m) for m in seen[-2:])
    return float(radius * min((terms.unit / terms.size) ** (1 / (POINTS - 1)) / fall, GROWTH))


def _told(best: Terms, request: Request) -> Estimate:
    """Make the answer from the circle with the least bound."""
    order = request.order
    factor = math.factorial(order) / best.radius**order
    value = factor * best.taylor[order]
    truncation, rounding = factor * best.left, factor * best.unit + 4 * request.unit * abs(value)
    status, message, noise = Status.CONVERGED, "", best.unit / MARGIN
    if max(map(abs, best.taylor[1:])) <= best.unit:
        value, status, message = 0.0, Status.INSENSITIVE, "f is equal at all points"
    elif truncation + rounding > request.atol + request.rtol * abs(value) > 0.0:
        status, message = Status.UNRESOLVED, "no radius of the circle reaches the tolerance"
    return Estimate(value, truncation, rounding, status, best.radius, noise, message)
