"""Sparse Jacobians: the pattern is given or found, its columns move in bundles, and what came out is verified.

The Hessian of a function whose gradient is known is one of them, and symmetric: of each two mirror images one has to be
found, for which columns may share a call that a Jacobian would have to keep apart.

A result that is verified in a random direction is not proven: an entry that is missed by chance, or too small to be
felt beside its row, stays unseen.
"""

from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.colouring import sparse_matrices
from mibun.conversation import Method, Request
from mibun.errors import InputError
from mibun.evaluate.calls import Calls
from mibun.evaluate.coloured import lead_coloured
from mibun.evaluate.compressed import Spent
from mibun.evaluate.detect import detected, elsewhere
from mibun.evaluate.gather import Table, gathered
from mibun.given import taken
from mibun.options import Options
from mibun.plan import unit
from mibun.result import Derivative, Note
from mibun.sparsity import Sparsity
from mibun.status import PASSING, Status

__all__ = ["arranged", "sparse_hessian_of_gradient", "sparse_jacobian"]

Floats = NDArray[np.float64]

#: How often a pattern that misses entries is mended by probing.
ATTEMPTS: Final = 2
#: The direction moves each entry of x by this part of the largest step that was used for it.
SHORT: Final = 2.0**-5
#: The shortest direction, relative to x: below, rounding is all that is seen.
LEAST: Final = 2.0**-18
#: Calls of f along it.
DIRECTION: Final = 4
#: Parts of that direction that are tried, one after the other, where f raises.
NEARER: Final = (1.0, 2.0**-8)
#: What a row may differ by, relative to the sum of the sizes of its terms.
AGREEMENT: Final = 1e-6


class Found(NamedTuple):
    """What was found, before it has the shape of a result."""

    pattern: Sparsity
    table: Table
    noise: Floats  #: of each number that f returns
    fx: Floats
    notes: list[Note]


def sparse_jacobian(
    calls: Calls, x: Any, sparsity: Any, chosen: Method, request: Request, options: Options
) -> Derivative:
    """Differentiate an array with respect to an array where most entries of the Jacobian are 0.

    Parameters
    ----------
    calls : Calls
        Of f.
    x, options
        As for `jacobian`; x is an array, and f(x) too. They are taken as flat vectors.
    sparsity : scipy.sparse matrix, array, Sparsity or "detect"
        The pattern, of shape (f(x).size, x.size).
    chosen, request
        What the options ask for.

    Returns
    -------
    Derivative
        Every field of it that is like the value is a scipy.sparse matrix with the entries of the pattern.

    Raises
    ------
    InputError
        If the pattern is of another shape, x or f(x) a structure, f(x) complex, or a budget too small to find one.
    MissingDependency
        If SciPy is not installed.
    """
    matrix = _Matrix(calls, x, chosen, request, options, symmetric=False)
    found, built = matrix.found(sparsity), matrix.evaluator.values.built
    return matrix.result(found, noise=built(found.noise), fx=built(found.fx))


def sparse_hessian_of_gradient(
    calls: Calls, x: Any, sparsity: Any, chosen: Method, request: Request, options: Options
) -> Derivative:
    """Differentiate a gradient: the Hessian, symmetric to the bit, in calls for each colour of a star colouring.

    Parameters
    ----------
    calls : Calls
        Of the gradient, from x to an array like it.
    sparsity : scipy.sparse matrix, array, Sparsity or "detect"
        The pattern, symmetric, of shape (x.size, x.size).
    x, chosen, request, options
        As for `sparse_jacobian`.

    Returns
    -------
    Derivative
        Its field `gradient` holds what gradient gave at x, with its noise as the error.

    Raises
    ------
    InputError
        As for `sparse_jacobian`; also if the pattern is not symmetric, or gradient(x) not like x.
    MissingDependency
        If SciPy is not installed.

    Notes
    -----
    Every entry is read off the sum of the columns of one colour (T. Coleman and J. Moré, Math. Programming 28 (1984)
    243-270). That the derivative of gradient is symmetric is seen in the random direction in which it is verified.
    """
    matrix = _Matrix(calls, x, chosen, request, options, symmetric=True)
    found, built = matrix.found(sparsity), matrix.evaluator.values.built
    most = float(found.noise.max())
    slopes = Derivative(built(found.fx), built(found.noise), evaluations=1, noise=most)
    return matrix.result(found, noise=most, fx=None, gradient=slopes)


class _Matrix:
    """A Jacobian that is to be found, or a Hessian as that of a gradient."""

    def __init__(
        self,
        calls: Calls,
        x: Any,
        method: Method,
        request: Request,
        options: Options,
        symmetric: bool,
    ) -> None:
        sparse_matrices()
        self.given = given = taken(x, options.bounds)
        if given.structure.kind == "structure":
            raise InputError("x is a structure; with sparsity= it is to be an array: write x as one, and take f apart")
        self.evaluator = calls.compressed(given.structure, given.vector)
        self.evaluator.limit = np.inf if options.budget is None else options.budget
        self.method, self.budget, self.symmetric = method, options.budget, symmetric
        self.request = request._replace(unit=unit(given.vector.dtype), budget=Request().budget)
        self.request.check(given.structure.size)

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        return self.given.lower, self.given.upper

    def found(self, sparsity: Any) -> Found:
        """Find the pattern if it is not given, and differentiate."""
        detect = isinstance(sparsity, str) and sparsity == "detect"
        with np.errstate(all="ignore"):
            fx = self.evaluator.centre()
            if self.symmetric and fx.size != self.given.vector.size:
                raise InputError(
                    f"gradient returned {fx.size} numbers for {self.given.vector.size} entries of x; expected an array "
                    "like x"
                )
            try:
                pattern = self.probed(fx) if detect else Sparsity.of(sparsity, (fx.size, self.given.vector.size))
            except Spent:
                raise InputError(
                    f"budget is {self.budget}, spent before the pattern was found; expected more, or the pattern"
                ) from None
            found = self.verified(pattern, fx)
            if detect:
                found.notes.extend(unknown(found.pattern, fx) + self.elsewhere(found.pattern))
        return found

    def probed(self, fx: Floats, attempt: int = 0) -> Sparsity:
        """Find the pattern; another attempt probes with other changes of x."""
        found = detected(self.evaluator, fx, self.bounds, attempt)
        return found.symmetrised() if self.symmetric else found

    def verified(self, pattern: Sparsity, fx: Floats) -> Found:
        """Differentiate, and mend the pattern where a random direction shows that entries are missing."""
        notes: list[Note] = []
        for attempt in range(ATTEMPTS + 1):
            table, noise = self.differentiated(pattern, fx)
            wrong = self.wrong(pattern, table, noise, fx)
            if not wrong.size or attempt == ATTEMPTS:
                break
            try:
                mended = pattern.united(self.probed(fx, attempt + 1))
            except Spent:
                break
            if mended.size > pattern.size:
                new = np.setdiff1d(mended.keys, pattern.keys)
                first = list(divmod(int(new[0]), pattern.shape[1]))
                text = f"the pattern missed {new.size:,} entries, the first of them {first}; they were found and added"
                notes.append(Note(None, Status.CONVERGED, text))
                pattern = mended
        if wrong.size:
            notes.append(Note(None, Status.UNRESOLVED, self.doubt(wrong)))
            entries = np.isin(pattern.rows, wrong)
            if self.symmetric:
                entries |= entries[pattern.mirror]
            table.codes[entries] = np.maximum(table.codes[entries], Status.UNRESOLVED.code)
            table.truncation[entries], table.rounding[entries] = 0.0, np.inf
        self.evaluator.faults.everywhere(self.evaluator.calls - 1)
        return Found(pattern, table, noise, fx, notes)

    def differentiated(self, pattern: Sparsity, fx: Floats) -> tuple[Table, Floats]:
        """Differentiate, with calls left for the direction; give the noise of each number that f returns, too."""
        evaluator, budget = self.evaluator, self.evaluator.limit
        half, places = pattern.halved() if self.symmetric else (pattern, None)
        evaluator.sparsity, evaluator.limit = half, budget - DIRECTION
        bounds = None if self.given.unbounded else self.bounds
        table = Table.of(lead_coloured(self.method, self.request, evaluator, fx, bounds))
        evaluator.limit = budget
        noise = np.zeros(half.shape[0])
        filled = np.flatnonzero(np.diff(half.starts))
        if filled.size:
            noise[filled] = np.maximum.reduceat(table.noise[:, 0], half.starts[filled])
        return (table if places is None else table.at(places)), noise

    def wrong(self, pattern: Sparsity, table: Table, noise: Floats, fx: Floats) -> NDArray[np.intp]:
        """Give the rows whose change along a random direction is not that of their entries.

        The change is extrapolated from two lengths, and what that does to it bounds its own truncation; rows without a
        bound are left out.
        """
        (up, down, up2, down2), steps = self.along(self.direction(pattern, table))
        half = up2 - down2
        change = (half - (up - down) / 2) / 3  # of extrapolation
        lengths, eps = np.abs(steps), 16 * self.request.unit
        matrix = pattern.matrix(table.value[:, 0])
        off = np.abs(half + change - matrix @ steps)
        matrix.data = np.abs(matrix.data)
        doubt = matrix @ (AGREEMENT * lengths + eps * np.abs(self.evaluator.starts))
        matrix.data = table.truncation[:, 0] + table.rounding[:, 0]
        doubt += matrix @ lengths + np.abs(change)
        doubt += eps * np.maximum(np.abs(fx), np.abs(up)) + 16 * noise
        missed = off > doubt
        missed[pattern.rows[np.flatnonzero(table.codes[:, 0] >= PASSING)]] = False
        return np.flatnonzero(missed)

    def direction(self, pattern: Sparsity, table: Table) -> Floats:
        """Draw a direction that is as long in each entry of x as f is smooth there, within the bounds."""
        x, (lower, upper) = self.evaluator.starts, self.bounds
        steps, own = np.zeros(x.size), table.step[:, 0]
        steps[pattern.columns] = own
        shorter = np.flatnonzero(own < steps[pattern.columns])  # than another one of its column
        np.minimum.at(steps, pattern.columns[shorter], own[shorter])
        known = (steps > 2.0**-60) & (steps < np.inf)  # those of a complex step are no lengths
        steps = np.where(known, SHORT * steps, LEAST * np.maximum(np.abs(x), 1.0))
        steps = np.maximum(steps, LEAST * np.abs(x))
        ways = np.random.default_rng(1).uniform(-1.0, 1.0, x.size)
        drawn: Floats = np.minimum(steps, np.minimum(upper - x, x - lower)) * (ways / 2 + np.copysign(0.5, ways))
        return drawn

    def along(self, steps: Floats) -> tuple[list[Floats], Floats]:
        """Evaluate f a step up and down a direction, and half of one, and give the steps; all is nan where f raises."""
        evaluator = self.evaluator
        for part in NEARER:
            if evaluator.calls + DIRECTION > evaluator.limit:
                break
            points = [evaluator.placed(evaluator.starts + part * way * steps) for way in (1.0, -1.0, 0.5, -0.5)]
            rows = [row for row in evaluator.rows(points) if not isinstance(row, Exception)]
            if len(rows) == DIRECTION:
                return rows, part * steps
        return [np.full(evaluator.values.size, np.nan)] * DIRECTION, steps

    def doubt(self, wrong: NDArray[np.intp]) -> str:
        """Say what the direction has shown, and what was not mended."""
        gradient = ", or gradient is not one: its derivative is not symmetric" if self.symmetric else ""
        return (
            f"in {wrong.size:,} rows, the first of them {wrong[0]}, f changes along a random direction by more than "
            f"the entries of the pattern say, and none more were found{gradient}"
        )

    def elsewhere(self, pattern: Sparsity) -> list[Note]:
        """Say which rows depend on more entries of x at another point."""
        try:
            rows = elsewhere(self.evaluator, pattern, self.bounds)
        except Spent:
            return []
        if not rows.size:
            return []
        text = (
            f"the pattern was found at x; elsewhere {rows.size:,} rows, the first of them {rows[0]}, depend on other "
        )
        return [Note(None, Status.CONVERGED, f"{text}entries of x, too")]

    def result(self, found: Found, *, noise: Any, fx: Any, gradient: Derivative | None = None) -> Derivative:
        """Build the result."""
        return arranged(
            found.pattern,
            found.table,
            found.notes,
            evaluations=self.evaluator.calls,
            noise=noise,
            fx=fx,
            dtype=np.longdouble if self.given.vector.dtype == np.longdouble else np.float64,
            gradient=gradient,
        )


def unknown(pattern: Sparsity, fx: Floats) -> list[Note]:
    """Say in which rows nothing could be found, because f is not finite at x."""
    rows = np.flatnonzero(~np.isfinite(fx) & (np.diff(pattern.starts) == 0))
    if not rows.size:
        return []
    text = f"f(x) is not finite in {rows.size:,} rows, the first of them {rows[0]}, whose pattern cannot be found"
    return [Note(None, Status.NOT_FINITE, text)]


def arranged(pattern: Sparsity, table: Table, notes: list[Note], **fields: Any) -> Derivative:
    """Put a table with a row for each entry of a pattern into scipy.sparse matrices; `fields` as for `gathered`."""

    def path(entry: int, _: int) -> tuple[tuple[Any, ...], str]:
        place = int(pattern.rows[entry]), int(pattern.columns[entry])
        return place, str(list(place))

    found = gathered(table, lambda column: pattern.matrix(column[:, 0]), path=path, **fields)
    return replace(found, notes=(*found.notes, *notes)) if notes else found
