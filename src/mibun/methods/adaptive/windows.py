"""Windows of neighbouring steps, each extrapolated to one Taylor coefficient, and the one with the least bound.

A quotient of values q(h) = c0 + c1 t + c2 t^2 + ..., with t = h^2 where the values come in pairs and t = h where they
come from one side, is known at some steps. The polynomial through the quotients of neighbouring steps gives each of
its coefficients as a weighted sum. All t have one sign, so the weights, which are sums of products of them, do not
cancel. A window of more steps loses less by truncation, one of larger steps less by rounding: the window is taken whose
bound is least, truncation being what the largest and what the smallest step changed.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["Best", "Choice", "Sample", "Windows", "coefficients"]


#: What a step changed bounds the truncation so many times, where the points lie on one side.
ONE_SIDED: Final = 2.0
#: Under noise, what a step changed has its noise, too.
NOISE: Final = 2.5


class Sample(NamedTuple):
    """A quotient at one step."""

    h: float
    value: float
    error: float  #: by which the values of this step can be off, or their standard deviation under noise, in it
    shared: float = 0.0  #: the same of f(x), which is a part of every quotient


class Choice(NamedTuple):
    """The window with the least bound."""

    value: float
    truncation: float
    rounding: float
    step: float  #: its largest
    at_top: bool  #: whether that is the largest of all
    at_bottom: bool

    @property
    def error(self) -> float:
        """The bound."""
        return self.truncation + self.rounding


class Best:
    """The best choice so far, and the interval in which every choice before it lies.

    A value from larger steps that lies outside is not believed: they have run into something else. One from smaller
    steps that does is believed, even with a larger bound: what was known before was too small.
    """

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.low, self.high = choice.value - choice.error, choice.value + choice.error

    def take(self, found: Choice, smaller: bool) -> bool:
        """Take what further steps gave, if it is better; False if it is not, or not by a tenth."""
        before = self.choice.error
        outside = math.isfinite(before) and not self.low <= found.value <= self.high
        if not math.isfinite(found.error) or (not smaller if outside else found.error >= before):
            return False
        now = Best(found)
        if not outside and math.isfinite(before):
            now.low, now.high = max(self.low, now.low), min(self.high, now.high)
        self.choice, self.low, self.high = found, now.low, now.high
        return outside or found.error <= 0.9 * before


@lru_cache(maxsize=2048)
def coefficients(steps: tuple[float, ...], power: int, which: int) -> tuple[float, ...]:
    """Give the weights of coefficient `which` of the polynomial in t = h**power through the quotients at these steps.

    Examples
    --------
    >>> from mibun.methods.adaptive.windows import coefficients
    >>> coefficients((1.0, 2.0), 2, 0), coefficients((1.0, 2.0), 1, 1)
    ((1.3333333333333333, -0.3333333333333333), (-1.0, 1.0))
    """
    t = [step**power for step in steps]
    found = []
    for i, own in enumerate(t):
        product = [1.0]  # of (t - other), signs left out, highest power first: symmetric sums of positive numbers
        for other in t[:i] + t[i + 1 :]:
            product = [a + b * other for a, b in zip([*product, 0.0], [0.0, *product], strict=True)]
        sign = (-1.0) ** (len(t) - 1 - which)
        found.append(sign * product[len(t) - 1 - which] / math.prod(own - other for j, other in enumerate(t) if j != i))
    return tuple(found)


class Windows:
    """All windows of the samples.

    Parameters
    ----------
    samples : sequence of Sample
        Of distinct steps.
    power : int
        2 for values in pairs, 1 for those of one side.
    which : int
        The coefficient that is asked for.
    noisy : bool
        The errors of the samples are standard deviations.
    """

    def __init__(self, samples: Sequence[Sample], power: int, which: int, noisy: bool = False) -> None:
        self.samples, self.power, self.which, self.noisy = sorted(samples), power, which, noisy
        count = len(self.samples)
        self.values = [[math.nan] * (count - k) for k in range(count)]
        self.roundings = [[math.inf] * (count - k) for k in range(count)]
        for k in range(count):
            for j in range(which, count - k):
                self.values[k][j], self.roundings[k][j] = self._window(self.samples[k : k + j + 1])

    def _window(self, samples: Sequence[Sample]) -> tuple[float, float]:
        """Give the coefficient from some samples, and what their errors can add to it."""
        least = samples[0].h
        weights = coefficients(tuple([s.h / least for s in samples]), self.power, self.which)
        unit = least ** (self.power * self.which)
        value, shared, own = 0.0, 0.0, 0.0
        for w, (_, quotient, error, common) in zip(weights, samples, strict=True):
            value += w * quotient
            shared += w * common
            own += (w * error) ** 2 if self.noisy else abs(w * error)
        rounding = math.sqrt(own + shared * shared) if self.noisy else own + abs(shared)
        return value / unit, rounding / unit

    def best(self) -> Choice:
        """Take the window with the least bound; one step more than it needs is enough only where there are no two."""
        count, which = len(self.samples), self.which
        fewest = min(which + 2, count - 1)
        found = Choice(math.nan, math.inf, math.inf, math.nan, False, False)
        for k in range(count - 1, -1, -1):
            for j in range(max(fewest, which + 1), count - k):
                rounding = self.roundings[k][j]
                if rounding < found.error:
                    truncation = self._truncation(k, j, rounding)
                    if truncation + rounding < found.error:
                        step, at_top = self.samples[k + j].h, k + j == count - 1
                        found = Choice(self.values[k][j], truncation, rounding, step, at_top, k == 0)
        return found

    def _truncation(self, k: int, j: int, rounding: float) -> float:
        """Bound the truncation of one window by what its largest step changed, and by what its smallest one did."""
        row, narrower = self.values[k], self.values[k + 1]
        largest, smallest = abs(row[j] - row[j - 1]), abs(row[j] - narrower[j - 1])
        if j < self.which + 2:  # nothing says how fast they fall
            return max(largest, smallest)
        if self.power == 1:  # of one side, every power of h is there: the next term may be of the other sign
            return ONE_SIDED * max(largest, smallest)
        if self.noisy:
            largest, smallest = NOISE * largest, NOISE * smallest
        slow = smallest > 2 * rounding and smallest > abs(row[j - 1] - narrower[j - 2]) / 4
        return 2 * smallest if slow else largest
