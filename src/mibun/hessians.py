"""The verb hessian: the second derivatives of a function that returns one number, with its gradient."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Request
from mibun.derivatives import lead_all, warned
from mibun.errors import InputError
from mibun.evaluate import Led, Serial, Vectorized
from mibun.evaluate.axes import Along, lead_along, lead_apart, split
from mibun.evaluate.gather import Table, gathered, values_first
from mibun.given import Given, taken
from mibun.methods import Adaptive
from mibun.methods.adaptive.cross import LEVELS, cross, levels
from mibun.methods.adaptive.curvature import Axes, Curvature, curvatures, seen
from mibun.methods.adaptive.scale import first_step
from mibun.options import Options, asked, documented
from mibun.plan import coordinatewise, pairwise
from mibun.result import Derivative
from mibun.status import PASSING, STATUSES, Status

__all__ = ["hessian"]

Array = NDArray[np.float64]
Places = NDArray[np.intp]

#: Points without which the gradient says nothing about an axis.
LEAST: Final = 5
#: The noise of a noisy f is a standard deviation; this many are a bound for the few values of one entry.
SPREAD: Final = 2.5
#: Where more than this share of a curvature is in doubt after all pairs, f is not resolved.
LOST: Final = 1e-3


@documented
def hessian(
    f: Callable[[Any], Any],
    x: Any,
    *,
    method: Any = "adaptive",
    rtol: float | None = None,
    atol: float = 0.0,
    bounds: Any = None,
    noise: float | None = None,
    budget: int | None = None,
    vectorized: bool = False,
) -> Derivative:
    """Differentiate a function that returns one number twice, with respect to every two entries of x.

    Parameters
    ----------
    f : callable
        From x to one real number, as a number or as an array with one entry.
    x : number, array of shape S or structure
    {options}

    Returns
    -------
    Derivative
        (*S, *S); for structures that of x, with the structure of x in each leaf.

    Raises
    ------
    {errors}

    Examples
    --------
    >>> import numpy as np
    >>> import mibun.hessians as mb
    >>> d = mb.hessian(lambda x: x[0] ** 2 * x[1], [3.0, 4.0])
    >>> bool(np.all(abs(d.value - [[8.0, 6.0], [6.0, 0.0]]) <= d.error)), bool(np.all(d.error < 1e-8))
    (True, True)
    """
    options = Options(method, rtol, atol, bounds, noise, budget, vectorized)
    chosen, request = asked(f, *options)
    if not isinstance(chosen, Adaptive):
        raise InputError(f'method is {method!r}; a Hessian has no fixed step, and is found by "adaptive" alone')
    given = taken(x, bounds)
    evaluator = _evaluates(options)(f, coordinatewise(given.structure, given.vector))
    evaluator.kept = []
    part, own, shared = split(budget, given.structure.size, LEAST)
    led = lead_all(chosen, evaluator.plan, request, given, evaluator, part, scalar=True)
    if led.values.complex:
        raise InputError("f(x) is complex; a Hessian is that of a real number, ask for f.real and f.imag one by one")
    along = Along(evaluator, given.lower, given.upper, own, budget is not None)
    second = _Second(f, given, options, request, led, along, np.array(shared, np.intp))
    with np.errstate(all="ignore"):
        second.differentiate()
    return warned(second.result(), second.table)


def _evaluates(options: Options) -> type[Serial] | type[Vectorized]:
    return Vectorized if options.vectorized else Serial


class _Second:
    """The second derivatives, on what the gradient has seen: first along the axes, then of all pairs of axes."""

    def __init__(
        self,
        f: Callable[[Any], Any],
        given: Given,
        options: Options,
        request: Request,
        led: Led,
        along: Along,
        shared: Places,
    ) -> None:
        self.f, self.given, self.options, self.request = f, given, options, request
        self.led, self.along, self.shared = led, along, shared
        self.first = Table.of(led)
        self.codes = self.first.codes[:, 0].copy()
        self.evaluations = led.evaluations
        self.raised: dict[tuple[int, int], str] = {}
        self.table = _blank(self.codes, self.first.noise.max())

    def differentiate(self) -> None:
        """Fill the table."""
        codes, along, rtol, atol = self.codes, self.along, self.request.rtol, self.request.atol
        axes = _axes(self.led, self.first, along)
        pairs, left = seen(axes, along.elements, along.coordinates, along.values), along.left()
        bends = lead_along(curvatures(axes, pairs, codes == Status.NOISY.code, left, rtol, atol), along)
        codes[(codes < PASSING) & ~(bends.step > 0)] = Status.UNRESOLVED.code
        self.table = _blank(codes, self.first.noise.max())
        fine = codes < PASSING
        self.diagonal(np.flatnonzero(fine), bends, left < 2)
        first, second = np.triu_indices(len(codes), 1)
        chosen = fine[first] & fine[second]
        mirrored = (axes.side[first] == 0) & (axes.side[second] == 0)
        for group in (chosen & mirrored, chosen & ~mirrored):
            if group.any():
                self.apart(axes, bends, first[group], second[group], self.shared[group])
        self.evaluations += along.evaluations
        self.tell()

    def diagonal(self, places: Places, bends: Curvature, spent: NDArray[np.bool_]) -> None:
        """Put the curvatures of axes into the table."""
        value, truncation, rounding, step = (part[places] for part in bends)
        codes, error = self.codes[places], truncation + rounding
        asked = self.request.rtol or self.request.atol
        wanted = self.request.atol + (self.request.rtol if asked else LOST) * np.abs(value)
        lost = ~(error < np.inf) | ((truncation > rounding) & (error > wanted))
        doubt = np.where(spent[places], Status.BUDGET_SPENT.code, Status.UNRESOLVED.code)
        value = np.where(codes == Status.INSENSITIVE.code, 0.0, value)
        self.put(places, places, (value, truncation, rounding), step, np.where(lost, doubt, codes))

    def apart(self, axes: Axes, bends: Curvature, first: Places, second: Places, shared: Places) -> None:
        """Put a group of pairs into the table: of axes with two sides each, or of some with one side."""
        mirrored = not axes.side[np.concatenate([first, second])].any()
        step = bends.step * np.where(axes.side == 0, 1.0, axes.side)
        most = np.minimum(shared // 2 if mirrored else shared, len(LEVELS[mirrored]))
        if self.options.budget is not None:
            supplied = self.along.supplied(levels(axes, step, mirrored))
            most = np.minimum(most, np.minimum(supplied[first], supplied[second]))
        size = np.sqrt(np.abs(bends.value[first] * bends.value[second]))
        plan = pairwise(self.given.structure, self.given.vector, first, second, step)
        evaluator = _evaluates(self.options)(self.f, plan)
        evaluator.values = self.led.values
        asking = cross(axes, step, first, second, most, np.nan_to_num(size), self.request.rtol, self.request.atol)
        found, evaluations = lead_apart(asking, self.along, evaluator)
        self.evaluations += evaluations
        one, other = self.codes[first], self.codes[second]
        flat = Status.INSENSITIVE.code
        codes = np.maximum(np.where(one == flat, 0, one), np.where(other == flat, 0, other))
        codes = np.where((found.value == 0) & ((one == flat) | (other == flat)), flat, codes)
        codes = np.where(found.codes > 0, found.codes, codes)
        widest = found.scale * np.maximum(np.abs(step[first]), np.abs(step[second]))
        self.put(first, second, (found.value, found.truncation, found.rounding), widest, codes)
        for pair, text in evaluator.faults.texts.items():
            self.raised[int(first[pair]), int(second[pair])] = text

    def put(self, first: Places, second: Places, numbers: tuple[Array, Array, Array], step: Array, codes: Any) -> None:
        """Write entries, and their mirror images."""
        value, truncation, rounding = numbers
        missing = ~np.isfinite(value + truncation + rounding)
        parts = (np.where(missing, fill, part) for fill, part in zip((np.nan, 0.0, np.inf), numbers, strict=True))
        table = self.table
        into = (table.value, table.truncation, table.rounding, table.step, table.codes)
        for target, part in zip(into, (*parts, step, codes), strict=True):
            target[first, second] = target[second, first] = part

    def tell(self) -> None:
        """Say about every entry that is not plainly converged what its axes, or its pair, are to blame for."""
        for i, j in np.argwhere(self.table.codes).tolist():
            code = self.table.codes[i, j]
            texts = [self.first.told[axis, 0][0] for axis in sorted((i, j)) if self.first.codes[axis, 0] == code]
            text = texts[0] if texts else STATUSES[code].value.split(";")[0].split(",")[0]
            raised = self.raised.get((min(i, j), max(i, j)))
            self.table.told[i, j] = f"{text}; {raised}" if raised else text, None, None

    def result(self) -> Derivative:
        """Build the Hessian, with the gradient."""
        structure, remark = self.given.structure, self.along.evaluator.remark
        dtype = np.longdouble if self.given.vector.dtype == np.longdouble else np.float64
        fx, noise = float(self.led.centres[0][0]), float(self.first.noise.max())
        gradient = gathered(
            self.first,
            lambda matrix: structure.unflatten(matrix[:, 0], cast=False),
            evaluations=self.led.evaluations,
            noise=noise,
            fx=fx,
            dtype=dtype,
            remark=remark,
        )
        return gathered(
            self.table,
            values_first(structure, structure),
            evaluations=self.evaluations,
            noise=noise,
            fx=fx,
            dtype=dtype,
            remark=remark,
            gradient=gradient,
        )


def _blank(codes: NDArray[np.uint8], noise: float) -> Table:
    """Make a table without any answer, in which every entry has the worse status of its axes."""
    shape = len(codes), len(codes)
    empty = np.full(shape, np.nan), np.zeros(shape), np.full(shape, np.inf)
    return Table(*empty, np.maximum.outer(codes, codes), np.zeros(shape), np.full(shape, noise), {})


def _axes(led: Led, first: Table, along: Along) -> Axes:
    """Say what the gradient found out about the axes."""
    plan = along.evaluator.plan
    x, unit = np.array(plan.starts), np.array(plan.units)
    value, error, codes = first.value[:, 0], (first.truncation + first.rounding)[:, 0], first.codes[:, 0]
    noise = np.where(codes == Status.NOISY.code, SPREAD, 1.0) * first.noise[:, 0]
    reach = first.step[:, 0].copy()
    # a step far away, up to which f does not change along the axis, says nothing about pairs
    for axis in np.flatnonzero(codes == Status.INSENSITIVE.code).tolist():
        reach[axis] = min(reach[axis], first_step(plan.starts[axis], plan.units[axis]))
    side = np.zeros(x.size)
    lone = codes == Status.ONE_SIDED.code
    if lone.any():
        signs = np.sign(along.coordinates - x[along.elements]) * np.isfinite(along.values)
        side[lone] = np.sign(np.bincount(along.elements, signs, x.size))[lone]
        # the estimate names the smallest step of its window; the points before it had twice that, 4 times, ...
        reach[lone] *= 128.0
    return Axes(x, float(led.centres[0][0]), value, error, noise, unit, side, reach)
