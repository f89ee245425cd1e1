"""f as a landscape to go down: every evaluation of a descent is made here, by the verbs or by `value`.

It turns the sign of what is to be climbed, keeps to bounds and budget, counts, and remembers the noise of f: once that
is known, a gradient need not find it again, which takes a third of the points, and where x is almost 0, or f almost
flat, it could not.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.derivatives import derivative, gradient
from mibun.descent.course import EPS, Look, Vector
from mibun.descent.noise import POINTS, noise_level
from mibun.descent.spsa import SPSA, sample, spread
from mibun.errors import FunctionUnchanged, InputError
from mibun.evaluate import Serial
from mibun.given import Given
from mibun.hessians import hessian
from mibun.plan import coordinatewise
from mibun.result import Derivative
from mibun.status import Status, StatusArray
from mibun.structure import Structure

__all__ = ["Landscape", "Spent"]

#: Most evaluations that one entry of a gradient can take.
MOST: Final = 40
#: Spacing of the points at which noise is measured, in units of x.
SPACING: Final = 1e-7
#: How many times its rounding f must be off to be called noisy.
NOISY: Final = 64
#: An entry of x is almost 0 if it is below this share of what it was.
NEAR: Final = 0.3
#: Entries whose slope the budget of a gradient, not f, left unknown.
LOST: Final = (Status.BUDGET_SPENT.code, Status.UNRESOLVED.code)


class Spent(Exception):
    """The budget does not suffice for what is wanted next."""


class Landscape:
    """A function that is to be made small.

    Parameters
    ----------
    f : callable
    given : Given
        Where the descent starts, with its bounds.
    method, slopes
        How gradients are found: `slopes` is None (differences), a function of x, or an `SPSA`.
    maximize : bool
        f is to be made large: everything else sees -f.
    budget : int, optional
    """

    def __init__(
        self, f: Callable[[Any], Any], given: Given, method: Any, slopes: Any, maximize: bool, budget: int | None
    ) -> None:
        self.f, self.method, self.slopes, self.budget = f, method, slopes, budget
        self.structure = given.structure
        self.sign = -1.0 if maximize else 1.0
        self.limits = None if given.unbounded else _inward(given)
        self.evaluations = 0
        self.noise: float | None = None
        self.scale = np.zeros(given.structure.size)
        self.before: tuple[Vector, Vector] | None = None
        self.stiffness = 0.0
        self.spread = slopes.step if isinstance(slopes, SPSA) else None
        self.rng = np.random.default_rng(slopes.seed if isinstance(slopes, SPSA) else 0)

    @property
    def given(self) -> bool:
        """Whether the gradient is that of the user."""
        return self.slopes is not None and not isinstance(self.slopes, SPSA)

    def point(self, x: Vector) -> Any:
        """Make a point for f, which may write to it and keep it."""
        return self.structure.unflatten(x.copy())

    def inside(self, x: Vector) -> Vector:
        """Move a point onto the bounds that it is beyond, and round it as f will see it."""
        seen = self.structure.flatten(self.structure.unflatten(x))
        return seen if self.limits is None else np.clip(seen, *self.limits)

    def left(self) -> int | None:
        """How many evaluations the budget has left, at least one; None without a budget."""
        if self.budget is None:
            return None
        if self.evaluations >= self.budget:
            raise Spent
        return self.budget - self.evaluations

    def value(self, x: Vector) -> float:
        """Evaluate f."""
        self.left()
        evaluator = Serial(self.f, coordinatewise(self.structure, x))
        self.evaluations += 1
        with np.errstate(all="ignore"):
            (row,) = evaluator.centres([0])
        if len(row) != 1 or evaluator.values.complex:
            raise InputError(f"f returned {evaluator.values.structure} at x; expected one real number to go down")
        return self.sign * float(row[0])

    def tried(self, x: Vector) -> float:
        """Evaluate f at a point that may be outside of its domain: nan there."""
        try:
            return self.value(x)
        except InputError:
            raise
        except (ArithmeticError, ValueError):
            return math.nan

    def look(self, x: Vector) -> Look:
        """Find f and its gradient at a point."""
        if self.slopes is None:
            return self._by_differences(x)
        return self._sampled(x) if isinstance(self.slopes, SPSA) else self._given(x)

    def measured_noise(self, x: Vector) -> float:
        """Measure the noise of f near x: its standard deviation, 0 where it is nothing but rounding."""
        way = self.rng.choice(np.array([-1.0, 1.0]), x.size) * SPACING * np.maximum(np.abs(x), 1.0)
        values = [self.tried(self.inside(x + k * way)) for k in range(POINTS)]
        level = noise_level(values)
        return level if level > NOISY * EPS * max(map(abs, values)) else 0.0

    def along(self, x: Vector, direction: Vector, order: int) -> Derivative:
        """Differentiate f along a direction, of any length, with respect to the distance in units of it."""
        length = float(np.abs(direction).max())
        scale = float(np.abs(x).max() or 1.0) / length
        way = scale * direction

        def f(t: float) -> Any:
            return self._number(self.f(self.point((x + t * way).astype(x.dtype))))

        bounds = None
        if self.limits is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                ends = np.stack([(self.limits[0] - x) / way, (self.limits[1] - x) / way])[:, way != 0]
            bounds = (float(ends.min(axis=0).max()), float(ends.max(axis=0).min()))
        with self._quiet():
            found = derivative(f, 0.0, order=order, bounds=bounds, noise=self.noise, budget=self.left())
        self.evaluations += found.evaluations
        part = self.sign / scale**order
        return Derivative(part * found.value, abs(part) * found.error, status=found.status)

    def hessian(self, x: Vector, free: NDArray[np.bool_]) -> Derivative:
        """Differentiate f twice with respect to some entries of x."""
        gradient_of = self._gradient_of(x, free) if self.given else None
        bounds = None if self.limits is None else (self.limits[0][free], self.limits[1][free])

        def f(part: Vector) -> Any:
            return self._number(self.f(self.point(_with(x, free, part))))

        with self._quiet():
            found = hessian(
                f,
                x[free],
                gradient=gradient_of,
                bounds=bounds,
                noise=self.noise if gradient_of is None else None,
                budget=self.left(),
            )
        self.evaluations += found.evaluations
        return Derivative(self.sign * found.value, found.error, status=found.status)

    def _gradient_of(self, x: Vector, free: NDArray[np.bool_]) -> Callable[[Any], Vector]:
        def gradient_of(part: Vector) -> Vector:
            found = self.slopes(self.point(_with(x, free, part)))
            return self._vector(found.value if isinstance(found, Derivative) else found)[free]

        return gradient_of

    def _by_differences(self, x: Vector) -> Look:
        look, level = self._differences(x)
        if self.noise is None and (level or self._lost(look)):
            self.noise = max(level, self.measured_noise(x)) or None
            if self.noise is not None and self._lost(look):
                look, _ = self._differences(x)
        return look

    def _differences(self, x: Vector) -> tuple[Look, float]:
        """Find the gradient by differences, and what noise that met."""
        left = self.left()
        short = left is not None and left < MOST * x.size
        f, shift = self._shifted(x)
        bounds = None
        if self.limits is not None:
            bounds = tuple(self.structure.unflatten(limit + shift, cast=False) for limit in self.limits)
        with self._quiet():
            found = gradient(
                f,
                self.point(x + shift),
                method=self.method,
                bounds=bounds,
                noise=self.noise,
                budget=left if short else None,
            )
        self.evaluations += found.evaluations
        look = self._read(found, self._number(found.fx))
        if short and Status.BUDGET_SPENT.code in look.codes:
            raise Spent
        return look, float(found.noise) if Status.NOISY.code in look.codes else 0.0

    def _shifted(self, x: Vector) -> tuple[Callable[[Any], Any], Vector]:
        """Move entries that are almost 0 away from it, where f is noisy.

        Differences begin with steps in proportion to x. Beside 0 those are tiny, and noise hides what they show.
        """
        self.scale = np.maximum(self.scale, np.abs(x))
        near = np.abs(x) < NEAR * self.scale
        if self.noise is None or not near.any():
            return self.f, np.zeros(x.shape, x.dtype)
        shift = np.where(near, np.copysign(self.scale, x), 0.0).astype(x.dtype)
        return lambda moved: self.f(self.structure.unflatten(self.structure.flatten(moved) - shift)), shift

    def _lost(self, look: Look) -> bool:
        """Whether noise may be what left a slope unknown."""
        return bool((np.isin(look.codes, LOST) & np.isinf(look.error) & np.isfinite(look.gradient)).any())

    def _given(self, x: Vector) -> Look:
        """Ask for the gradient that was given; of plain numbers the error is what rounding x and it makes."""
        with np.errstate(all="ignore"):
            found = self.slopes(self.point(x))
        if isinstance(found, Derivative):
            self.evaluations += found.evaluations
            loss = self.value(x) if found.fx is None else self.sign * self._number(found.fx)
            return self._read(found, self.sign * loss)
        self.evaluations += 1
        slope = self.sign * self._vector(found)
        loss = self.value(x)
        if self.before is not None:
            way, change = (float(np.linalg.norm(now - old)) for now, old in zip((x, slope), self.before, strict=True))
            if way > 0.0 and change < math.inf:
                self.stiffness = max(self.stiffness, change / way)
        self.before = x, slope
        error = EPS * (4.0 * np.abs(slope) + self.stiffness * float(np.linalg.norm(x)))
        resolution = EPS * (abs(loss) + float(np.abs(slope) @ np.abs(x)))
        codes = np.where(np.isfinite(slope), Status.CONVERGED.code, Status.NOT_FINITE.code).astype(np.uint8)
        return Look(loss, slope, error, error, resolution, False, codes, np.full(x.shape, math.nan))

    def _sampled(self, x: Vector) -> Look:
        """Estimate the gradient along random directions."""
        loss = self.value(x)
        if self.spread is None:
            self.noise = self.measured_noise(x)
            self.spread = spread(x, loss, self.noise)
        noise = max(self.noise or 0.0, EPS * abs(loss))
        limits = self.limits or (np.full(x.shape, -math.inf), np.full(x.shape, math.inf))
        found = sample(self.tried, x, limits, self.spread, self.slopes.pairs, noise, self.rng)
        codes = np.where(np.isfinite(found.gradient), Status.CONVERGED.code, Status.NOT_FINITE.code).astype(np.uint8)
        error = np.where(np.isfinite(found.gradient), found.deviation + found.floor, math.inf)
        return Look(
            loss, found.gradient, error, found.floor, noise, bool(self.noise), codes, np.full(x.shape, self.spread)
        )

    def _read(self, found: Derivative, fx: float) -> Look:
        """Take a result apart."""
        flat = self.structure.flatten
        codes = np.concatenate(
            [
                part.codes.reshape(-1) if isinstance(part, StatusArray) else [part.code]
                for part in self.structure.parts(found.status, name="status")
            ]
        ).astype(np.uint8)
        slope = self.sign * flat(found.value, dtype=np.float64)
        error = flat(found.error, dtype=np.float64)
        steps = np.full(slope.shape, math.nan) if found.step is None else flat(found.step, dtype=np.float64)
        resolution = max(float(found.noise or 0.0), self.noise or 0.0, EPS * abs(fx))
        notes = tuple(str(note) for note in found.notes)
        noisy = self.noise is not None or Status.NOISY.code in codes
        return Look(self.sign * fx, slope, error, error, resolution, noisy, codes, steps, notes)

    def _vector(self, found: Any) -> Vector:
        """Read a gradient that was given."""
        Structure.of(found, name="gradient(x)")
        return self.structure.flatten(found, dtype=np.float64, name="gradient(x)")

    def _number(self, value: Any) -> float:
        """Give the number of an array or a list that holds one."""
        if isinstance(value, float):
            return value
        number = np.asarray(value.value if isinstance(value, Derivative) else value)
        if number.size != 1 or number.dtype.kind not in "fiu":
            raise InputError(f"f returned {value!r}; expected one real number to go down")
        return float(number.item())

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Let a verb not warn that f did not change: the status says so."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FunctionUnchanged)
            yield


def _with(x: Vector, free: NDArray[np.bool_], part: Vector) -> Vector:
    whole = x.copy()
    whole[free] = part
    return whole


def _inward(given: Given) -> tuple[Vector, Vector]:
    """Round the bounds to what f sees, never outwards."""
    structure, kind = given.structure, given.vector.dtype
    limits = []
    for limit, inner in ((given.lower, math.inf), (given.upper, -math.inf)):
        seen = structure.flatten(structure.unflatten(limit.astype(kind)))
        outside = seen < limit if inner > 0 else seen > limit
        for leaf in structure.leaves:
            part, place = seen[leaf.slice].astype(leaf.dtype), outside[leaf.slice]
            seen[leaf.slice] = np.where(place, np.nextafter(part, leaf.dtype.type(inner)), part)
        limits.append(seen)
    return limits[0], limits[1]
