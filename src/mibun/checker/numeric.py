"""The numeric side of a check: every derivative that it takes goes through the verbs, here."""

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.checker.centre import centred, in_a_row
from mibun.checker.claim import columns_of
from mibun.checker.level import POINTS, noise_level, spacing
from mibun.derivatives import along_line, jacobian, partial
from mibun.errors import FunctionUnchanged
from mibun.evaluate import Values
from mibun.methods import Method
from mibun.options import Options, asked
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
#: By how much the first steps are shorter where few digits are wanted: five values then have them mostly.
NEAR: Final = 2.0**-5
#: Fewest evaluations with which a derivative is asked for.
LEAST: Final = 5


class Spent(Exception):
    """The budget has ended."""


class Measured(NamedTuple):
    """Numeric derivatives: a row for each number that f returns, a column for each element or direction."""

    value: Floats
    error: Floats
    codes: NDArray[np.uint8]
    step: Floats
    told: dict[tuple[int, int], str]


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
    evaluations : int
        Points that were used so far.
    unsteady : float
        By how much f differed between two calls at x, the largest.
    """

    def __init__(self, f: Callable[[Any], Any], x: Any, options: Options) -> None:
        asked(f, *options)
        self.f, self.options = f, options
        self.ins, self.x = Structure.of(x), x
        self.centre = centred(f, x, options)
        self.given, self.values, self.fx, self.evaluations, self.widened = self.centre
        self.outs: Structure = self.values.structure
        self.unsteady = 0.0

    @property
    def point(self) -> Any:
        """A new copy of x."""
        return self.ins.unflatten(self.ins.flatten(self.x))

    @property
    def left(self) -> int | None:
        """Evaluations that may still be used; None: any number."""
        return None if self.options.budget is None else int(self.options.budget) - self.evaluations

    def everything(self, reserve: int = 0) -> Measured:
        """Differentiate every number that f returns with respect to every entry of x; keep a reserve of the budget."""
        left = self.left
        budget = None if left is None else max(left - min(reserve, left // 4), 1)
        found = self._asked(jacobian, budget)
        told = {}
        if any(note.element is not None for note in found.notes):
            whole = Structure.of(found.value)
            numbers = columns_of(whole.unflatten(np.arange(float(whole.size)), cast=False), self.ins, self.outs)
            place = np.argsort(numbers.reshape(-1))
            for note in found.notes:
                if note.element is not None:
                    row, column = divmod(int(place[whole.index(note.element)]), self.ins.size)
                    told[row, column] = note.told()
        fields = (columns_of(tree, self.ins, self.outs) for tree in (found.value, found.error, found.step))
        value, error, step = fields
        return Measured(value, error, columns_of(found.status, self.ins, self.outs, np.uint8), step, told)

    def column(self, place: int) -> Measured:
        """Differentiate with respect to one entry of x."""
        return self._column(self._asked(partial, self.left, self.ins.path(place)))

    def again(self, place: int) -> Measured:
        """Differentiate with respect to one entry of x from another starting step."""
        way = np.zeros(self.ins.size)
        way[place] = AGAIN
        found = self.along(way)
        return found._replace(value=found.value / AGAIN, error=found.error / AGAIN, step=found.step * AGAIN)

    def close(self, place: int, method: Method) -> Measured:
        """Differentiate with respect to one entry of x by values of f at a given distance."""
        options = {"method": method, "noise": float(self.level.max())}
        return self._column(self._asked(partial, self.left, self.ins.path(place), **options))

    @cached_property
    def level(self) -> Floats:
        """The noise of each number that f returns, as it is given, or else measured close to x."""
        if self.options.noise is not None:
            return np.full(self.fx.size, float(self.options.noise))
        grain = unit(self.given.vector.dtype)
        values = in_a_row(self.f, self.centre, self.options, spacing(grain))
        self.evaluations += POINTS - 1
        # where f is not finite beside x nothing is known but its rounding
        return np.maximum(np.nan_to_num(noise_level(values)), grain / 2 * np.abs(np.nan_to_num(self.fx)))

    @cached_property
    def size(self) -> float:
        """What counts as the size of an entry of x that is 0."""
        return float(np.abs(self.given.vector).max()) or 1.0

    def along(self, way: Floats) -> Measured:
        """Differentiate along a direction."""
        return self._column(self._kept(self._line(self.f, way)))

    def partly(self, way: Floats, rows: Places, atol: float) -> Measured:
        """Differentiate some of the numbers that f returns along a direction.

        With a tolerance that is not 0 by values of f close to x.
        """
        outs = self.outs

        def some(x: Any) -> NDArray[Any]:
            parts = outs.parts(self.f(x), name="f(x)")
            if not self.options.vectorized:
                return np.concatenate([np.asarray(part).reshape(-1) for part in parts])[rows]
            return np.concatenate([np.reshape(part, (len(part), -1)) for part in parts], axis=1)[:, rows]

        fx = self.fx[rows]
        found = self._line(some, way, atol, NEAR if atol else 1.0, (Values.of(fx), fx.tolist()))
        self.evaluations += found.evaluations - 1  # f(x) is known
        return Measured(
            found.value[:, None], found.error[:, None], found.status.codes[:, None], found.step[:, None], {}
        )

    def _line(
        self, f: Callable[[Any], Any], way: Floats, atol: float = 0.0, nearer: float = 1.0, centre: Any = None
    ) -> Derivative:
        self._afford(self.left)
        options = self.options._replace(atol=atol, budget=self.left)
        return along_line(f, self.given, way, options, nearer, centre)

    def _asked(self, verb: Callable[..., Derivative], budget: int | None, *what: Any, **more: Any) -> Derivative:
        """Ask a verb, and keep what it says about f."""
        self._afford(budget)
        method, _, _, bounds, noise, _, vectorized, workers, evaluator = self.options
        given: dict[str, Any] = {"method": method, "bounds": bounds, "noise": noise, "vectorized": vectorized}
        given |= {"workers": workers, "evaluator": evaluator}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FunctionUnchanged)
            return self._kept(
                verb(self.f, self.given.structure.unflatten(self.given.vector), *what, budget=budget, **given | more)
            )

    def _afford(self, budget: int | None) -> None:
        if budget is not None and budget < LEAST:
            raise Spent

    def _kept(self, found: Derivative) -> Derivative:
        """Keep what a result says about f."""
        self.evaluations += found.evaluations
        off = np.abs(self.outs.flatten(found.fx, dtype=np.float64) - self.fx)
        self.unsteady = max(self.unsteady, float(np.nan_to_num(off).max()))
        return found

    def _column(self, found: Derivative) -> Measured:
        """Take a result that is like f(x)."""
        outs = self.outs
        value, error, step = (
            outs.flatten(tree, dtype=np.float64)[:, None] for tree in (found.value, found.error, found.step)
        )
        parts = [np.array(part.code if isinstance(part, Status) else part.codes) for part in outs.parts(found.status)]
        codes = np.concatenate([part.reshape(-1) for part in parts])[:, None]
        told = {(outs.index(note.element), 0): note.told() for note in found.notes if note.element is not None}
        return Measured(value, error, codes, step, told)
