"""ComplexStep: the imaginary part of one complex value, and a real difference beside it.

For an analytic f that is real on the real axis, f(x + ih) = f(x) + i h f'(x) - ..., so Im f(x + ih) / h is f'(x)
without any cancellation, and h can be so small that the truncation vanishes (W. Squire and G. Trapp, "Using complex
variables to estimate derivatives of real functions", SIAM Review 40 (1998) 110-112). For an f that is not analytic
(abs, max, the conjugate, a comparison of complex numbers) the imaginary part is silently wrong, often exactly 0. Three
more values give a real difference to compare with.
"""

import math
import sys
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Asking, Common, Conversation, Estimate, Request, in_range
from mibun.methods.circle import circle
from mibun.methods.fixed import failed
from mibun.status import Status

__all__ = ["ComplexStep"]

#: Steps of the real differences, in units of the textbook step: f may live on scales below max(|x|, 1).
SHRINKING: Final = (1.0, 2.0**-6, 2.0**-12)
#: A real difference that is off by this part of the slope does not contradict it.
AGREEMENT: Final = 1e-3
#: Nor does one whose gap falls so fast with its step, which is what is left where the slope itself is 0.
CONVERGING: Final = 16.0


@dataclass(frozen=True, repr=False)
class ComplexStep:
    """One complex value, f(x + ih) with h = 2^-100 max(|x|, 1), compared with one real difference.

    f must accept complex numbers: functions of `cmath` and NumPy do, those of `math` do not, and then an InputError
    says so. It costs 4 values; where the comparison fails, 2 more at each of two smaller real steps. An f that is not
    analytic is refused: the status is unresolved, the error infinite.

    Derivatives of order 2 to 8 come from values on a circle around x, 9 for each radius that is tried, at most 4 radii.

    Notes
    -----
    The error is the rounding of one value, 8 spacings of the result, and the truncation as the real difference shows
    it. It is an estimate: cancellation inside f can lose more, and the comparison sees only a thousandth of the slope.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun.derivatives as mb
    >>> from mibun.methods import ComplexStep
    >>> ComplexStep()
    ComplexStep()  # the error is an estimate from rounding and one real difference
    >>> d = mb.derivative(np.exp, 1.0, method=ComplexStep())
    >>> print(f"error {abs(d.value - np.e):.0e}, stated {d.error:.0e}, {d.evaluations} evaluations")
    error 0e+00, stated 5e-15, 4 evaluations
    >>> print(mb.derivative(abs, 1.0, method=ComplexStep()).status)
    unresolved
    """

    orders: ClassVar[range] = range(1, 9)

    def converse(self, x: float, request: Request) -> Conversation:
        """Start a conversation about the derivative at x, of order 1 to 8."""
        return in_range(circle(x, request)) if request.order > 1 else self._step(x, request)

    def _step(self, x: float, request: Request) -> Conversation:
        """Converse about the slope."""
        scale = math.ldexp(1.0, math.frexp(max(abs(x), 1.0))[1] - 1)
        h, d = scale * _tiny(request.unit), scale * _real_step(request.unit)
        if request.budget < 4:
            return failed(Status.BUDGET_SPENT, h, "the complex step and its comparison need 4 points")
        value, f0, up, down = yield (complex(x, h), x, x + d, x - d)
        if not math.isfinite(f0):
            return failed(Status.NOT_FINITE, h, "f is not finite at x itself")
        slope = complex(value).imag / h
        if not math.isfinite(slope):
            return failed(Status.NOT_FINITE, h, "f is not finite at the complex point")
        spent, real, before = 4, math.nan, 0.0
        for place, shrink in enumerate(SHRINKING):
            if place:
                if spent + 2 > request.budget:
                    return failed(Status.BUDGET_SPENT, h, "the real difference does not agree yet")
                spent += 2
                up, down = yield (x + d * shrink, x - d * shrink)
            real, step = _real(x, f0, up, down, d * shrink)
            if not math.isfinite(real):
                continue
            noise = max(request.noise or 0.0, 2 * request.unit * max(abs(f0), abs(x * slope)))
            gap = abs(real - slope)
            if gap <= AGREEMENT * abs(slope) + 4 * noise / step or gap < before / CONVERGING:
                return _agreed(slope, real, h, step, noise, request)
            before = gap
        if not math.isfinite(real):
            return failed(Status.UNRESOLVED, h, "no real difference could be taken to compare the complex step with")
        message = f"the complex step gives {slope:.6g}, a real difference {real:.6g}: f does not seem to be analytic"
        return Estimate(real, 0.0, math.inf, Status.UNRESOLVED, h, 0.0, message)

    def together(self, x: NDArray[np.float64], fx: NDArray[np.float64], request: Request) -> Asking:
        """Take many elements through the common course, on arrays: those whose first comparison agrees."""
        scale = np.ldexp(1.0, np.frexp(np.maximum(np.abs(x), 1.0))[1] - 1)
        h, d = scale * _tiny(request.unit), scale * _real_step(request.unit)
        every = np.arange(x.size)
        (values,) = yield every, (x + 1j * h)[None]
        up, down = yield every, np.stack([x + d, x - d])
        with np.errstate(all="ignore"):
            slope, width = values.imag / h, (x + d) - (x - d)
            gap = np.abs((up - down) / width - slope)
            noise = np.maximum(request.noise or 0.0, 2 * request.unit * np.maximum(np.abs(fx), np.abs(x * slope)))
            part = 2 * h / width
            truncation = 1.25 * gap * (part * part)
            rounding = np.maximum(8 * request.unit * np.abs(slope), sys.float_info.min)
            wanted = request.atol + request.rtol * np.abs(slope)
            done = (gap <= AGREEMENT * np.abs(slope) + 4 * noise / width) & np.isfinite(gap + fx)
            done &= ~((truncation + rounding > wanted) & (wanted > 0))
        return Common(done, slope, truncation, rounding, h, noise)

    def __str__(self) -> str:
        return "ComplexStep()"

    def __repr__(self) -> str:
        return str(self) + "  # the error is an estimate from rounding and one real difference"


def _tiny(unit: float) -> float:
    """Give the complex step for an x of order 1: its squares stay in the range of floats; complex64 ends at 1e-38."""
    return 2.0**-100 if unit < 2.0**-40 else 2.0**-50


def _real_step(unit: float) -> float:
    """Give the step of the real difference for an x of order 1."""
    return math.ldexp(1.0, round(math.log2(unit) / 3))


def _real(x: float, f0: float, up: float, down: float, step: float) -> tuple[float, float]:
    """Give the central difference, or that of the side where f is finite, and the distance of its points."""
    right, left = (x + step, up) if math.isfinite(up) else (x, f0), (x - step, down) if math.isfinite(down) else (x, f0)
    width = right[0] - left[0]
    return ((right[1] - left[1]) / width if width else math.nan), width


def _agreed(slope: float, real: float, h: float, step: float, noise: float, request: Request) -> Estimate:
    """Give the slope, with the truncation that the real difference shows, taken down to the complex step."""
    # the real difference errs by the square of half its width, on both sides of x
    part = 2 * h / step
    truncation = 1.25 * abs(real - slope) * (part * part)
    rounding = max(8 * request.unit * abs(slope), sys.float_info.min)
    if truncation + rounding > request.atol + request.rtol * abs(slope) > 0.0:
        message = "the rounding of f alone is above the tolerance"
        return Estimate(slope, truncation, rounding, Status.UNRESOLVED, h, noise, message)
    return Estimate(slope, truncation, rounding, Status.CONVERGED, h, noise)
