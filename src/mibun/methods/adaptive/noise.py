"""Choosing among all extrapolations when something above the rounding of f limits them.

Every window of neighbouring steps h_k < ... < h_(k+j) gives an extrapolated slope, whose truncation shows in the
difference of neighbouring orders and in the even residual, and whose noise is known from its weights once the level
sigma of one value is known. sigma itself comes from the tables: a contrast that truncation has left is noise. The
window with the least bound is taken; where noise limits the window of the largest step, larger steps are tried, and
one is accepted only if its value lies in every interval found before and its bound is smaller. That rule is what stops
the steps from running into another period of f.
"""

import math
from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["Choice", "Pairs", "select"]

EPS: Final = 2.0**-52


class Choice(NamedTuple):
    """The window with the least bound."""

    value: float
    truncation: float
    rounding: float
    step: float
    sigma: float
    noisy: bool
    at_top: bool
    limited_by_noise: bool
    at_bottom: bool

    @property
    def error(self) -> float:
        """The bound."""
        return self.truncation + self.rounding


class _Shape(NamedTuple):
    """What the ratios of the steps alone determine, for every window (k, j); see `_norms`."""

    factors: tuple[tuple[float, ...], ...]  #: of Neville's scheme in h^2
    slope: tuple[tuple[float, ...], ...]
    odd: tuple[tuple[float, ...], ...]
    even: tuple[tuple[float, ...], ...]


@lru_cache(maxsize=1024)
def _shape(ratios: tuple[float, ...]) -> _Shape:
    """Compute it once for each pattern of steps: the same ones recur in every ladder."""
    count = len(ratios)
    factors = tuple(
        tuple(1 / ((ratios[k + j] / ratios[k]) ** 2 - 1) for j in range(1, count - k)) for k in range(count)
    )
    norms = [
        [_norms(tuple(r / ratios[k] for r in ratios[k : k + j + 1])) for j in range(count - k)] for k in range(count)
    ]
    slope, odd, even = (tuple(tuple(entry[which] for entry in row) for row in norms) for which in range(3))
    return _Shape(factors, slope, odd, even)


def _norms(ratios: tuple[float, ...]) -> tuple[float, float, float]:
    """Give for the steps of a window, in units of its smallest, how much unit noise it passes on.

    Standard deviations of: the extrapolated slope (times the smallest step); its contrast with the window without that
    step (likewise); the extrapolated even part.
    """
    own = _weights(ratios)
    without = [0.0, *_weights(ratios[1:])]
    slope = math.sqrt(sum((w / r) ** 2 for w, r in zip(own, ratios, strict=True)) / 2)
    odd = math.sqrt(sum(((a - b) / r) ** 2 for a, b, r in zip(own, without, ratios, strict=True)) / 2)
    return slope, odd, math.sqrt(sum(w * w for w in own) / 2 + 1)


def _weights(ratios: Sequence[float]) -> list[float]:
    """Weights of the value extrapolated to 0 in h^2 (Lagrange)."""
    squares = [r * r for r in ratios]
    return [math.prod(b / (b - a) for m, b in enumerate(squares) if m != i) for i, a in enumerate(squares)]


def _ratios(steps: Sequence[float]) -> tuple[float, ...]:
    low = steps[0]
    return tuple([h / low for h in steps])


class Pairs:
    """All pairs x ± h, by ascending h, and what each window of them amplifies."""

    def __init__(self, f0: float, pairs: Sequence[tuple[float, float, float]]) -> None:
        self.f0, self.size = f0, abs(f0)
        rows = sorted(pairs)
        self.steps = [h for h, _, _ in rows]
        self.odd: list[list[float]] = []
        self.even: list[list[float]] = []
        self.shape = _shape(_ratios(self.steps))
        for k in range(len(rows) - 1, -1, -1):
            self._narrowest(rows[k], self.shape.factors[k])

    def wider(self, pairs: Sequence[tuple[float, float, float]]) -> None:
        """Add pairs with larger steps: every row gets one entry more for each."""
        for pair in pairs:
            self.steps.append(pair[0])
            self.shape = _shape(_ratios(self.steps))
            odd, even = self._ends(pair)
            self.odd.append([odd])
            self.even.append([even])
            for k in range(len(self.odd) - 2, -1, -1):
                factor = self.shape.factors[k][-1]
                odd = self.odd[k][-1] + (self.odd[k][-1] - odd) * factor
                even = self.even[k][-1] + (self.even[k][-1] - even) * factor
                self.odd[k].append(odd)
                self.even[k].append(even)

    def narrower(self, pair: tuple[float, float, float]) -> None:
        """Add a pair with a smaller step."""
        self.steps.insert(0, pair[0])
        self.shape = _shape(_ratios(self.steps))
        self._narrowest(pair, self.shape.factors[0])

    def _narrowest(self, pair: tuple[float, float, float], factors: Sequence[float]) -> None:
        odd, even = self._ends(pair)
        row_odd, row_even = [odd], [even]
        if self.odd:
            for a, b, factor in zip(self.odd[0], self.even[0], factors, strict=True):
                odd += (odd - a) * factor
                even += (even - b) * factor
                row_odd.append(odd)
                row_even.append(even)
        self.odd.insert(0, row_odd)
        self.even.insert(0, row_even)

    def _ends(self, pair: tuple[float, float, float]) -> tuple[float, float]:
        """Give slope and even part of one pair."""
        h, up, down = pair
        above, below = up - self.f0, self.f0 - down
        self.size = max(self.size, abs(above), abs(below))
        return (up - down) / (2 * h), (above - below) / 2

    def scale(self, x: float) -> float:
        """Give the size against which rounding is measured: of f, and of its answer to the rounding of x."""
        return self.size + abs(x * self.odd[0][min(2, len(self.steps) - 1)])

    def sigma(self, floor: float, cap: float, samples: Sequence[float]) -> float:
        """Estimate the noise of one value; `samples` of it from the tiny pairs are pooled in.

        Two quantities of every window hold noise alone once truncation has gone: what its smallest step changed in
        the slope, and the even part. Both are taken in units of sigma, from the windows of the two smallest steps.
        """
        count, least = len(self.steps), math.inf
        shape = self.shape
        for j in range(2, min(7, count)):
            contrasts, last = list[float](), min(2, count - j)
            for k in range(last):
                contrasts.append((self.odd[k][j] - self.odd[k + 1][j - 1]) * self.steps[k] / shape.odd[k][j])
                contrasts.append(self.even[k][j] / shape.even[k][j])
            least = min(least, math.hypot(*contrasts) / math.sqrt(last))  # squares of huge values would overflow
        found = 1.25 * least / math.sqrt(2)
        if samples:
            own = math.hypot(*samples) / math.sqrt(len(samples))
            pooled = math.hypot(2 * found, math.sqrt(len(samples)) * own) / math.sqrt(4 + len(samples))
            found = own if len(samples) >= 3 and own < found / 10 else pooled
        return min(max(found, floor), max(cap, floor))

    def choose(self, sigma: float, noisy: bool, old: int = 0, narrowest: bool = False) -> Choice:
        """Take the window with the least bound: the rounding of all is known, the truncation of few is asked for.

        Only the windows that end beyond the first `old` steps are weighed, or those that begin at the narrowest one.
        """
        level, extra = (5.0 if noisy else 3.5) * 1.15 * sigma, 2 * EPS * self.size
        least, best = math.inf, (0, 2, math.inf, math.inf)
        for k in range(0 if narrowest else len(self.steps) - 3, -1, -1):
            step, slopes = self.steps[k], self.shape.slope[k]
            for j in range(max(2, old - k), len(slopes)):
                rounding = (level * slopes[j] + extra) / step
                if rounding < least:
                    truncation = self._truncation(k, j, rounding, noisy)
                    if truncation + rounding < least:
                        least, best = truncation + rounding, (k, j, truncation, rounding)
        k, j, truncation, rounding = best
        top = k + j == len(self.steps) - 1
        return Choice(
            self.odd[k][j], truncation, rounding, self.steps[k + j], sigma, noisy, top, rounding > truncation, k == 0
        )

    def _truncation(self, k: int, j: int, rounding: float, noisy: bool) -> float:
        """Bound the truncation of one window by the neighbouring orders and by the even residual."""
        row, next_ = self.odd[k], self.odd[k + 1]
        truncation = abs(row[j] - row[j - 1]) / 2
        gap = abs(row[j] - next_[j - 1])
        if gap > 2 * rounding and gap > abs(row[j - 1] - next_[j - 2]) / 4:
            truncation = 2 * gap
        residual = abs(self.even[k][j]) / self.steps[k + j]
        if noisy:
            truncation, residual = 2.5 * truncation, 2 * residual
        return truncation if truncation > residual else residual


def select(
    x: float,
    f0: float,
    pairs: list[tuple[float, float, float]],
    floor: float,
    cap: float,
    samples: Sequence[float] = (),
    spare: int = 20,
) -> Generator[tuple[float, ...], Sequence[float], Choice]:
    """Find the best window, and extend the ladder where that helps.

    Parameters
    ----------
    pairs
        (h, f(x + h), f(x - h)), three at least.
    floor, cap
        Least and largest noise of one value that can be meant.
    samples
        Samples of the noise from the tiny pairs.
    spare
        Values that may still be asked for.
    """
    window = Pairs(f0, pairs)
    sigma = window.sigma(floor, cap, samples)
    noisy = sigma > 20 * EPS * window.scale(x)
    best = window.choose(sigma, noisy)
    low, high = best.value - best.error, best.value + best.error
    while spare >= 2 and best.error > 1e-12 * abs(best.value):
        wider = best.at_top and best.limited_by_noise
        if wider:
            known = best.error <= 2 * abs(best.value)
            steps = [window.steps[-1] * m for m in ((2.0,) if known or spare < 6 else (2.0, 4.0, 8.0))]
        elif best.at_bottom and not best.limited_by_noise:
            steps = [window.steps[0] / 2]
        else:
            break
        values = yield tuple([point for h in steps for point in (x + h, x - h)])
        spare -= len(values)
        if not math.isfinite(sum(values)):
            break
        new = list(zip(steps, values[0::2], values[1::2], strict=True))
        old = len(window.steps)
        if wider:
            window.wider(new)
            found = window.choose(sigma, noisy, old)
        else:
            window.narrower(new[0])
            found = window.choose(sigma, noisy, narrowest=True)
        if not low <= found.value <= high or found.error >= best.error:
            break
        gain, best = found.error / best.error, found
        low, high = max(low, found.value - found.error), min(high, found.value + found.error)
        if gain > 0.9:
            break
    return best._replace(rounding=best.rounding * 1.5, truncation=best.truncation * 1.5) if best.noisy else best
