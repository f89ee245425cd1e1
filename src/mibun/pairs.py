"""The second derivatives of f by listed pairs of entries of x, on what its gradient has seen.

First the curvature along every axis, from the values of the gradient; then the pairs, each by the points at which both
of its axes move. Nothing here is as large as all pairs unless all of them are listed, so a sparse Hessian is the same
with fewer pairs. A pair takes the status of the worse of its axes; where one of them has a kink or no curvature, the
pair is not looked at.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Request
from mibun.evaluate import Led, Serial, Vectorized
from mibun.evaluate.axes import Along, lead_along, lead_apart
from mibun.evaluate.gather import Table
from mibun.given import Given
from mibun.methods.adaptive.cross import LEVELS, cross, levels
from mibun.methods.adaptive.curvature import Axes, Curvature, curvatures, seen
from mibun.methods.adaptive.scale import first_step
from mibun.plan import Plan, pairwise
from mibun.status import PASSING, STATUSES, Status

__all__ = ["Entries", "Pairs"]

Array = NDArray[np.float64]
Places = NDArray[np.intp]

#: The noise of a noisy f is a standard deviation; this many are a bound for the few values of one entry.
SPREAD: Final = 2.5
#: Noise makes neighbouring orders agree by chance; the truncation that is read from them counts so many times.
DOUBT: Final = 2.5
#: Error of a function that computes in float32, relative to its values.
FLOAT32: Final = 2.0**-23
#: Where more than this share of a curvature is in doubt after all pairs, f is not resolved.
LOST: Final = 1e-3
FLAT: Final = Status.INSENSITIVE.code


class Entries(NamedTuple):
    """Second derivatives, first that of each axis, then those of the pairs; each stands for its mirror image, too."""

    first: Places
    second: Places
    value: Array
    truncation: Array
    rounding: Array
    codes: NDArray[np.uint8]
    step: Array
    told: dict[int, str]  #: of those that are not plainly converged

    @classmethod
    def blank(cls, first: Places, second: Places, codes: NDArray[np.uint8]) -> "Entries":
        """Make them without any answer, each with the worse status of its axes."""
        axes, count = np.arange(codes.size), codes.size + first.size
        first, second = np.concatenate([axes, first]), np.concatenate([axes, second])
        value, truncation, rounding = np.full(count, np.nan), np.zeros(count), np.full(count, np.inf)
        codes = np.maximum(codes[first], codes[second])
        return cls(first, second, value, truncation, rounding, codes, np.zeros(count), {})

    @property
    def numbers(self) -> tuple[NDArray[Any], ...]:
        """Give value, truncation, rounding, status and step, as a `Table` has them."""
        return self.value, self.truncation, self.rounding, self.codes, self.step

    def put(self, places: Places, numbers: tuple[Array, Array, Array], step: Array, codes: NDArray[Any]) -> None:
        """Write value, truncation and rounding of some of them; what is not finite stays without an answer."""
        found = np.isfinite(sum(numbers))
        for into, part in zip((self.value, self.truncation, self.rounding), numbers, strict=True):
            into[places[found]] = part[found]
        self.step[places], self.codes[places] = step, codes


class Pairs:
    """The axes, and the pairs of them that are asked for.

    Parameters
    ----------
    evaluates : callable
        From a plan to an evaluator of f.
    given : Given
    request : Request
    led : Led
        The gradient; its evaluator has kept the values.
    along : Along
        These values.
    """

    def __init__(
        self,
        evaluates: Callable[[Plan], Serial | Vectorized],
        given: Given,
        request: Request,
        led: Led,
        along: Along,
    ) -> None:
        self.evaluates, self.given, self.request = evaluates, given, request
        self.led, self.along = led, along
        self.gradient = Table.of(led)
        self.codes = self.gradient.codes[:, 0].copy()
        self.apart = 0  # evaluations at which two axes moved
        self.raised: dict[int, str] = {}

    @property
    def evaluations(self) -> int:
        """Count what the gradient took, and what came on top of it."""
        return self.led.evaluations + self.along.evaluations + self.apart

    def entries(self, first: Places, second: Places, shared: Places, limited: bool) -> Entries:
        """Differentiate twice along each axis, and by each of the pairs (first, second), no axis with itself.

        Parameters
        ----------
        shared : array of int
            Points that each pair may take.
        limited : bool
            There is a budget, so an axis may not have the points that its pairs want.
        """
        codes, along, (rtol, atol, *_) = self.codes, self.along, self.request
        axes = self.axes()
        values, left = seen(axes, along.elements, along.coordinates, along.values), along.left()
        bends = lead_along(curvatures(axes, values, codes == Status.NOISY.code, left, rtol, atol), along)
        codes[(codes < PASSING) & ~(bends.step > 0) | self.vague(axes, bends)] = Status.UNRESOLVED.code
        found = Entries.blank(first, second, codes)
        self.diagonal(found, np.flatnonzero(codes < PASSING), bends, left < 2)
        chosen = (codes[first] < PASSING) & (codes[second] < PASSING)
        mirrored = (axes.side[first] == 0) & (axes.side[second] == 0)
        for group in (np.flatnonzero(chosen & mirrored), np.flatnonzero(chosen & ~mirrored)):
            if group.size:
                most = shared[group] // 2 if mirrored[group[0]] else shared[group]
                self.mixed(found, axes, bends, codes.size + group, most, limited)
        self.tell(found)
        return found

    def axes(self) -> Axes:
        """Say what the gradient found out about the axes."""
        first, along, plan = self.gradient, self.along, self.along.evaluator.plan
        x, unit = np.array(plan.starts), np.array(plan.units)
        value, error, codes = first.value[:, 0], (first.truncation + first.rounding)[:, 0], first.codes[:, 0]
        noisy = codes == Status.NOISY.code
        noise = np.where(noisy, SPREAD, 1.0) * first.noise[:, 0]
        if in_float32(self.led.centres[0][0], along.values):
            unit = np.maximum(unit, FLOAT32)
        reach = first.step[:, 0].copy()
        # a step far away, up to which f does not change along the axis, says nothing about pairs
        for axis in np.flatnonzero(codes == FLAT).tolist():
            reach[axis] = min(reach[axis], first_step(plan.starts[axis], plan.units[axis]))
        side = np.zeros(x.size)
        lone = codes == Status.ONE_SIDED.code
        if lone.any():
            signs = np.sign(along.coordinates - x[along.elements]) * np.isfinite(along.values)
            side[lone] = np.sign(np.bincount(along.elements, signs, x.size))[lone]
            # the estimate names the smallest step of its window; the points before it had twice that, 4 times, ...
            reach[lone] *= 128.0
        doubt = np.where(noisy, DOUBT, 1.0)
        return Axes(x, float(self.led.centres[0][0]), value, error, noise, unit, side, reach, doubt)

    def vague(self, axes: Axes, bends: Curvature) -> NDArray[np.bool_]:
        """Tell where a curvature is bounded by more than what f was seen to do, so that its steps were too small.

        That is so at a kink of the slope beside a constant: x |x| + 1 looks flat close to 0.
        """
        along, change = self.along, np.abs(self.along.values - axes.fx)
        visible = change > 4 * np.maximum(axes.noise, axes.unit * abs(axes.fx))[along.elements]
        most = np.zeros(axes.x.size)
        np.maximum.at(
            most, along.elements[visible], (change / (along.coordinates - axes.x[along.elements]) ** 2)[visible]
        )
        smooth = (self.codes == Status.CONVERGED.code) | (self.codes == FLAT)
        vague: NDArray[np.bool_] = smooth & (most > 0) & (most < bends.truncation + bends.rounding)
        return vague

    def diagonal(self, found: Entries, places: Places, bends: Curvature, spent: NDArray[np.bool_]) -> None:
        """Write down the curvatures along axes."""
        value, truncation, rounding, step = (part[places] for part in bends)
        codes, error, slopes = self.codes[places], truncation + rounding, self.gradient
        asked = self.request.rtol or self.request.atol
        wanted = self.request.atol + (self.request.rtol if asked else LOST) * np.abs(value)
        # what is lost of the slope on one side is rounding to its curvature, though it may be truncation itself
        sided = (codes == Status.ONE_SIDED.code) & (slopes.truncation > slopes.rounding)[places, 0]
        limited = (truncation > rounding) & (codes != Status.NOISY.code) | sided
        lost = ~(error < np.inf) | (limited & (error > wanted))
        doubt = np.where(spent[places], Status.BUDGET_SPENT.code, Status.UNRESOLVED.code)
        value = np.where(codes == FLAT, 0.0, value)
        found.put(places, (value, truncation, rounding), step, np.where(lost, doubt, codes))

    def mixed(self, found: Entries, axes: Axes, bends: Curvature, places: Places, most: Places, limited: bool) -> None:
        """Write down a group of pairs: of axes with two sides each, or of some with one side."""
        first, second = found.first[places], found.second[places]
        mirrored = not axes.side[np.concatenate([first, second])].any()
        step = bends.step * np.where(axes.side == 0, 1.0, axes.side)
        most = np.minimum(most, len(LEVELS[mirrored]))
        if limited:
            supplied = self.along.supplied(levels(axes, step, mirrored))
            most = np.minimum(most, np.minimum(supplied[first], supplied[second]))
        roots = np.nan_to_num(np.sqrt(np.abs(bends.value)))  # their products do not overflow
        evaluator = self.evaluates(pairwise(self.given.structure, self.given.vector, first, second, step))
        evaluator.values = self.led.values
        asking = cross(
            axes, step, first, second, most, roots[first] * roots[second], self.request.rtol, self.request.atol
        )
        got, evaluations = lead_apart(asking, self.along, evaluator)
        self.apart += evaluations
        one, other = self.codes[first], self.codes[second]
        codes = np.maximum(np.where(one == FLAT, 0, one), np.where(other == FLAT, 0, other))
        codes = np.where((got.value == 0) & ((one == FLAT) | (other == FLAT)), FLAT, codes)
        codes = np.where(got.codes > 0, got.codes, codes)
        widest = got.scale * np.maximum(np.abs(step[first]), np.abs(step[second]))
        found.put(places, (got.value, got.truncation, got.rounding), widest, codes)
        self.raised |= {int(places[pair]): text for pair, text in evaluator.faults.texts.items()}

    def tell(self, found: Entries) -> None:
        """Say of every entry that is not plainly converged what its axes, or the pair, are to blame for."""
        name = self.given.structure.name
        for place in np.flatnonzero(found.codes).tolist():
            code, axes = found.codes[place], sorted({int(found.first[place]), int(found.second[place])})
            blamed = [axis for axis in axes if self.gradient.codes[axis, 0] == code]
            text = STATUSES[code].value.split(":")[0]
            if blamed:
                text = f"along {name(blamed[0])}: {self.gradient.told[blamed[0], 0][0]}"
            if code == Status.KINK.code:
                text = f"{text}: there is no derivative of order 2"
            found.told[place] = f"{text}; {self.raised[place]}" if place in self.raised else text


def in_float32(fx: float, values: Array) -> bool:
    """Tell whether f changes and all its values have at most 24 bits (Veltkamp), as those of float32."""
    wide = values * 536870913.0
    fine = np.isfinite(wide)
    return bool((wide - (wide - values) == values)[fine].all() and (values[fine] != fx).any())
