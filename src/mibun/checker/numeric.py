"""The numeric side of a check: every derivative that it takes goes through the verbs, here."""

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.checker.centre import TRIALS, centred, in_a_row, stairs
from mibun.checker.claim import NATURAL, columns_of
from mibun.checker.level import POINTS, noise_level, spacing
from mibun.derivatives import directional, jacobian
from mibun.errors import FunctionUnchanged
from mibun.methods import Method
from mibun.options import Options, asked, chain_asked
from mibun.plan import unit
from mibun.result import Derivative
from mibun.status import Status
from mibun.structure import Structure

__all__ = ["Measured", "Numeric", "Spent"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: Length of the direction in which one entry is differentiated again: the steps are 1.7 times as long, and at none of
#: the points of the first time.
AGAIN: Final = 0.85
#: What differs between two calls at x is noise below this part of f, and chance above it.
RANDOM: Final = 1e-2
#: Most evaluations that it takes to measure noise.
MEASURING: Final = (1 + TRIALS) * (POINTS - 1)
#: Fewest evaluations with which a derivative is asked for.
LEAST: Final = 5
OUTSIDE: Final = "f is not finite at x itself"
FAILED: Final = np.uint8(Status.FAILED.code)


class Spent(Exception):
    """The budget has ended."""


class Measured(NamedTuple):
    """Numeric derivatives: a row for each number that f returns, a column for each element or direction."""

    value: Floats
    error: Floats
    codes: NDArray[np.uint8]
    step: Floats
    told: dict[tuple[int, int], str]  #: what the notes say


class Numeric:
    """f at x, and its derivatives there.

    Parameters
    ----------
    f, x
        As for the verbs.
    options : Options
        As for the verbs; `rtol` and `atol` are not theirs here.

    Attributes
    ----------
    ins, outs : Structure
        Of x and of f(x).
    given : Given
        x as f gets it: float64 where f computes in it (`widened`), although x is float32.
    fx : ndarray
        f(x) as a row of numbers.
    evaluations : int
        Points that were used so far.
    chain : bool
        Everything at once is found by the tape, with few evaluations; directions are not.
    unsteady : float
        By how much f differed between two calls at x, the largest.
    """

    def __init__(self, f: Callable[[Any], Any], x: Any, options: Options) -> None:
        self.chain = chain_asked(options) is not None
        lines = options._replace(method="adaptive") if self.chain else options
        asked(f, *lines)
        self.f, self.options, self.lines = f, options, lines
        self.ins, self.x = Structure.of(x), x
        self.centre = centred(f, x, options)
        self.given, _, self.fx, self.evaluations, self.widened = self.centre
        self.outs: Structure = self.centre.values.structure
        self.unsteady = 0.0

    @property
    def point(self) -> Any:
        """A new copy of x."""
        return self.ins.unflatten(self.ins.flatten(self.x))

    @property
    def rows(self) -> Places:
        """All numbers that f returns, but for those that are not finite at x."""
        return np.flatnonzero(np.isfinite(self.fx))

    @property
    def lost(self) -> Places:
        """Those that are not."""
        return np.flatnonzero(~np.isfinite(self.fx))

    @property
    def random(self) -> bool:
        """Whether f differs so much between two calls at x that it cannot be differentiated."""
        return self.unsteady > RANDOM * float(np.abs(np.nan_to_num(self.fx)).max())

    @property
    def left(self) -> int | None:
        """Evaluations that may still be used; None: any number."""
        return None if self.options.budget is None else int(self.options.budget) - self.evaluations

    @cached_property
    def size(self) -> float:
        """What counts as the size of an entry of x that is 0."""
        return float(np.abs(self.given.vector).max()) or 1.0

    @cached_property
    def level(self) -> Floats:
        """The noise of each number that f returns, as it is given, or else measured close to x."""
        if self.options.noise is not None:
            return np.full(self.fx.size, float(self.options.noise))
        grain = unit(self.given.vector.dtype)
        rounded = np.asarray(grain / 2 * np.abs(np.nan_to_num(self.fx)))
        if self.left is not None and self.left < MEASURING:
            return rounded
        near = noise_level(in_a_row(self.f, self.centre, self.options, spacing(grain)))
        # f may compute in float32, which is a staircase, and flat between two steps
        steps, evaluations = stairs(self.f, self.centre, self.options)
        self.evaluations += POINTS - 1 + evaluations
        # where f is not finite beside x nothing is known but its rounding
        return np.maximum(np.maximum(np.nan_to_num(near), steps), rounded)

    @cached_property
    def reach(self) -> Floats:
        """How large each number that f returns gets at x and a natural step away from it."""
        if self.left is not None and self.left < POINTS - 1:
            return np.abs(self.fx)
        self.evaluations += POINTS - 1
        values = np.abs(in_a_row(self.f, self.centre, self.options, NATURAL))
        return np.asarray(np.nan_to_num(values, nan=0.0, posinf=0.0).max(axis=0))

    def everything(self, reserve: int = 0) -> Measured:
        """Differentiate every number that f returns with respect to every entry of x; keep a reserve of the budget."""
        left = self.left
        budget = None if left is None else max(left - min(reserve, left // 4), 1)
        found = self._answer(self.f, self.options, np.arange(self.fx.size), jacobian, budget)
        told = {}
        if any(note.element is not None for note in found.notes):
            whole = Structure.of(found.value)
            numbers = columns_of(whole.unflatten(np.arange(float(whole.size)), cast=False), self.ins, self.outs)
            place = np.argsort(numbers.reshape(-1))
            for note in found.notes:
                if note.element is not None:
                    row, column = divmod(int(place[whole.index(note.element)]), self.ins.size)
                    told[row, column] = note.told()
        value, error = (columns_of(tree, self.ins, self.outs) for tree in (found.value, found.error))
        step = np.zeros_like(value) if found.step is None else columns_of(found.step, self.ins, self.outs)
        return Measured(value, error, columns_of(found.status, self.ins, self.outs, np.uint8), step, told)

    def nowhere(self, columns: int) -> Measured:
        """Say of some columns that f is not finite at x."""
        blank = np.full((self.fx.size, columns), np.nan)
        codes = np.full(blank.shape, Status.NOT_FINITE.code, np.uint8)
        places = np.ndindex(blank.shape)
        return Measured(
            blank, np.full(blank.shape, np.inf), codes, np.zeros(blank.shape), dict.fromkeys(places, OUTSIDE)
        )

    def along(self, way: Floats, rows: Places, **more: Any) -> Measured:
        """Differentiate some of the numbers that f returns along a direction; those of the others are nan."""
        # an evaluator keeps whole values of f, and sends f to others
        rows = rows if self.options.evaluator is None and self.options.workers is None else np.arange(self.fx.size)
        direction = self.ins.unflatten(way, cast=False)
        found = self._answer(self._some(rows), self.lines, rows, directional, self.left, direction, **more)
        count = (self.fx.size, 1)
        blank = np.full(count, np.nan)
        whole = Measured(blank, np.full(count, np.inf), np.full(count, FAILED), np.zeros(count), {})
        columns: tuple[NDArray[Any], ...] = whole[:4]
        for column, tree in zip(columns, (found.value, found.error, found.status, found.step), strict=True):
            parts = [getattr(part, "codes", getattr(part, "code", part)) for part in self._parts(tree, rows)]
            column[rows, 0] = np.concatenate([np.reshape(part, -1) for part in parts])
        numbered = self.outs if rows.size == self.fx.size else Structure.of(found.value)
        for note in found.notes:
            if note.element is not None:
                whole.told[int(rows[numbered.index(note.element)]), 0] = note.told()
        return whole

    def column(self, place: int, rows: Places) -> Measured:
        """Differentiate some of the numbers that f returns with respect to one entry of x."""
        return self.along(self.axis(place), rows)

    def again(self, place: int, rows: Places) -> Measured:
        """Do it from another starting step."""
        found = self.along(AGAIN * self.axis(place), rows)
        return found._replace(value=found.value / AGAIN, error=found.error / AGAIN, step=found.step * AGAIN)

    def close(self, way: Floats, rows: Places, method: Method) -> Measured:
        """Do it along a direction, by values of f at a given distance."""
        return self.along(way, rows, method=method, noise=float(self.level[rows].max()))

    def axis(self, place: int) -> Floats:
        """Give the direction in which one entry of x moves alone."""
        way = np.zeros(self.ins.size)
        way[place] = 1.0
        return way

    def _answer(
        self,
        f: Callable[[Any], Any],
        options: Options,
        rows: Places,
        verb: Callable[..., Derivative],
        budget: int | None,
        *what: Any,
        **more: Any,
    ) -> Derivative:
        """Ask a verb, count its evaluations, and compare its f(x) with that of before."""
        if self.left is not None and self.left < LEAST:
            raise Spent
        method, _, _, bounds, noise, _, vectorized, workers, evaluator = options
        given: dict[str, Any] = {"method": method, "bounds": bounds, "noise": noise, "vectorized": vectorized}
        given |= {"workers": workers, "evaluator": evaluator}
        x = self.given.structure.unflatten(self.given.vector)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FunctionUnchanged)
            found = verb(f, x, *what, budget=budget, **given | more)
        self.evaluations += found.evaluations
        fx = np.concatenate([np.reshape(part, -1) for part in self._parts(found.fx, rows)])
        self.unsteady = max(self.unsteady, float(np.nan_to_num(np.abs(fx - self.fx[rows])).max()))
        return found

    def _some(self, rows: Places) -> Callable[[Any], Any]:
        """Give f, or the function that returns some of its numbers alone."""
        if rows.size == self.fx.size:
            return self.f
        f, outs = self.f, self.outs

        def one(x: Any) -> NDArray[Any]:
            parts = [np.asarray(part).reshape(-1) for part in outs.parts(f(x), name="f(x)")]
            return np.concatenate(parts)[rows]

        def stack(x: Any) -> NDArray[Any]:
            parts = [np.reshape(part, (len(part), -1)) for part in outs.parts(f(x), name="f(x)")]
            return np.concatenate(parts, axis=1)[:, rows]

        return stack if self.options.vectorized else one

    def _parts(self, tree: Any, rows: Places) -> list[Any]:
        """Take apart what is like f(x), or like some of its numbers."""
        return self.outs.parts(tree) if rows.size == self.fx.size else [tree]
