"""Sparse Jacobians: the pattern is given or found, its columns move in bundles, and what came out is verified.

A result that is verified in a random direction is not proven: an entry that is missed by chance, or too small to be
felt beside its row, stays unseen.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.colouring import sparse_matrices
from mibun.conversation import Method, Request
from mibun.errors import InputError
from mibun.evaluate.coloured import lead_coloured
from mibun.evaluate.compressed import Compressed, Spent
from mibun.evaluate.detect import detected, elsewhere
from mibun.evaluate.gather import Table, gathered
from mibun.given import Given, taken
from mibun.options import Options
from mibun.plan import unit
from mibun.result import Derivative, Note
from mibun.sparsity import Sparsity
from mibun.status import PASSING, Status

__all__ = ["sparse_jacobian"]

#: How often a pattern that misses entries is mended by probing.
ATTEMPTS: Final = 2
#: The direction moves each entry of x by this part of the largest step that was used for it.
SHORT: Final = 2.0**-5
#: Calls of f along it.
DIRECTION: Final = 4
#: Parts of that direction that are tried, one after the other, where f raises.
NEARER: Final = (1.0, 2.0**-8)
#: What a row may differ by, relative to the sum of the sizes of its terms.
AGREEMENT: Final = 1e-6


def sparse_jacobian(
    f: Callable[[Any], Any], x: Any, sparsity: Any, chosen: Method, request: Request, options: Options
) -> Derivative:
    """Differentiate an array with respect to an array where most entries of the Jacobian are 0.

    Parameters
    ----------
    f, x, options
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
    sparse_matrices()
    given = taken(x, options.bounds)
    if given.structure.kind == "structure":
        raise InputError("x is a structure; with sparsity= it is to be an array: write x as one, and take f apart")
    evaluator = Compressed(f, given.structure, given.vector, bool(options.vectorized))
    evaluator.limit = np.inf if options.budget is None else options.budget
    request = request._replace(unit=unit(given.vector.dtype), budget=Request().budget)
    with np.errstate(all="ignore"):
        fx = evaluator.centre()
        bounds, found = (given.lower, given.upper), isinstance(sparsity, str) and sparsity == "detect"
        try:
            pattern = detected(evaluator, fx, bounds) if found else Sparsity.of(sparsity, (fx.size, given.vector.size))
        except Spent:
            raise InputError(
                f"budget is {options.budget}, spent before the pattern was found; expected more, or the pattern"
            ) from None
        table, notes = _verified(evaluator, pattern, fx, chosen, request, given)
        if found:
            notes += _elsewhere(evaluator, bounds)
    return _result(evaluator, table, fx, given, notes)


def _verified(
    evaluator: Compressed,
    pattern: Sparsity,
    fx: NDArray[np.float64],
    chosen: Method,
    request: Request,
    given: Given,
) -> tuple[Table, list[Note]]:
    """Differentiate, and mend the pattern where a random direction shows that entries are missing."""
    notes: list[Note] = []
    bounds, budget = (given.lower, given.upper), evaluator.limit
    for attempt in range(ATTEMPTS + 1):
        evaluator.sparsity = pattern
        evaluator.limit = budget - DIRECTION
        led = lead_coloured(chosen, request, evaluator, fx, None if given.unbounded else bounds)
        table, evaluator.limit = Table.of(led), budget
        wrong = _wrong(evaluator, table, fx, given)
        if not wrong.size or attempt == ATTEMPTS:
            break
        try:
            mended = pattern.united(detected(evaluator, fx, bounds, attempt + 1))
        except Spent:
            break
        if mended.size > pattern.size:
            new = np.setdiff1d(mended.keys, pattern.keys)
            first = list(divmod(int(new[0]), pattern.shape[1]))
            text = f"the pattern missed {new.size:,} entries, the first of them {first}; they were found and added"
            notes.append(Note(None, Status.CONVERGED, text))
            pattern = mended
    if wrong.size:
        text = f"in {wrong.size:,} rows, the first of them {wrong[0]}, f changes along a random direction by more than "
        notes.append(Note(None, Status.UNRESOLVED, f"{text}the entries of the pattern say, and none more were found"))
        entries = np.isin(pattern.rows, wrong)
        table.codes[entries] = np.maximum(table.codes[entries], Status.UNRESOLVED.code)
        table.truncation[entries], table.rounding[entries] = 0.0, np.inf
    evaluator.faults.everywhere(evaluator.calls - 1)
    return table, notes


def _elsewhere(evaluator: Compressed, bounds: tuple[NDArray[np.float64], NDArray[np.float64]]) -> list[Note]:
    """Say which rows depend on more entries of x at another point."""
    try:
        rows = elsewhere(evaluator, evaluator.sparsity, bounds)
    except Spent:
        return []
    if not rows.size:
        return []
    text = f"the pattern was found at x; elsewhere {rows.size:,} rows, the first of them {rows[0]}, depend on other "
    return [Note(None, Status.CONVERGED, f"{text}entries of x, too")]


def _wrong(evaluator: Compressed, table: Table, fx: NDArray[np.float64], given: Given) -> NDArray[np.intp]:
    """Give the rows whose change along a random direction is not that of their entries.

    The change is measured with two steps, so that its own truncation is known; rows without a bound are left out.
    """
    pattern, x = evaluator.sparsity, evaluator.starts
    width = x.size
    steps = np.zeros(width)
    steps[pattern.columns] = table.step[:, 0]  # that of one entry will do
    steps = SHORT * np.where((steps > 0) & (steps < np.inf), steps, 2.0**-6 * np.maximum(np.abs(x), 1.0))
    steps = np.minimum(steps, np.minimum(given.upper - x, x - given.lower))
    ways = np.random.default_rng(1).uniform(-1.0, 1.0, width)
    steps *= ways / 2 + np.copysign(0.5, ways)
    if evaluator.calls + DIRECTION > evaluator.limit:
        return np.empty(0, np.intp)
    for part in NEARER:
        rows = evaluator.rows([evaluator.placed(x + part * way * steps) for way in (1.0, -1.0, 0.5, -0.5)])
        if not any(isinstance(row, Exception) for row in rows):
            break
    else:
        return np.empty(0, np.intp)
    up, down, up2, down2 = rows
    whole, half = (up - down) / 2, up2 - down2  # type: ignore[operator]
    value, lengths = table.value[:, 0], part * np.abs(steps)
    size = np.abs(value)
    off = np.abs(half - pattern.matrix(value) @ (part * steps))
    rounding = unit(given.vector.dtype) * (np.maximum(np.abs(fx), np.abs(up)) + pattern.matrix(size) @ np.abs(x))  # type: ignore[arg-type]
    rounding[pattern.rows] += table.noise[:, 0]  # that of one entry will do
    error = table.truncation[:, 0] + table.rounding[:, 0] + AGREEMENT * size
    missed = off > pattern.matrix(error) @ lengths + 2 * np.abs(whole - half) + 16 * rounding
    bad = np.flatnonzero(table.codes[:, 0] >= PASSING)
    missed[pattern.rows[bad]] = False
    return np.flatnonzero(missed)


def _largest(pattern: Sparsity, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the largest number of each row, 0 where it has none."""
    most = np.zeros(pattern.shape[0])
    for bundle in pattern.bundles:  # a colour has one entry of a row at most
        rows = pattern.rows[bundle]
        most[rows] = np.maximum(most[rows], numbers[bundle])
    return most


def _result(
    evaluator: Compressed, table: Table, fx: NDArray[np.float64], given: Given, notes: list[Note]
) -> Derivative:
    """Put all fields into matrices of the pattern."""
    pattern = evaluator.sparsity
    noise = _largest(pattern, table.noise[:, 0])

    def path(entry: int, _: int) -> tuple[tuple[Any, ...], str]:
        place = int(pattern.rows[entry]), int(pattern.columns[entry])
        return place, str(list(place))

    found = gathered(
        table,
        lambda column: pattern.matrix(column[:, 0]),
        evaluations=evaluator.calls,
        noise=evaluator.values.built(noise),
        fx=evaluator.values.built(fx),
        dtype=np.longdouble if given.vector.dtype == np.longdouble else np.float64,
        path=path,
    )
    return replace(found, notes=(*found.notes, *notes)) if notes else found
