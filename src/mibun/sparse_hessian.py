"""Sparse Hessians from f alone: the pairs of the pattern are differentiated, and no other.

One call of f gives one number, so a Hessian of N different entries costs at least N calls, however its columns are
coloured: colours save calls where a gradient is given (`sparse`). What the pattern saves here is all the other pairs.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.colouring import sparse_matrices
from mibun.errors import InputError
from mibun.evaluate.compressed import Compressed, Spent
from mibun.evaluate.detect import noise_at
from mibun.evaluate.gather import Table
from mibun.evaluate.interact import interacting, unexplained
from mibun.given import Given
from mibun.options import Options
from mibun.pairs import Entries
from mibun.result import Derivative, Note
from mibun.sparse import arranged
from mibun.sparsity import Sparsity
from mibun.status import PASSING, Status

__all__ = ["sparse_hessian"]

Places = NDArray[np.intp]
#: From the pairs and a budget to second derivatives, the gradient, evaluations and a remark.
Paired = Callable[[Places, Places, int | None], tuple[Entries, Derivative, int, str]]

#: How often a pattern that misses entries is mended by looking for interactions.
ATTEMPTS: Final = 2


def sparse_hessian(
    f: Callable[[Any], Any], given: Given, options: Options, sparsity: Any, paired: Paired
) -> Derivative:
    """Differentiate a function of one number twice, with respect to the pairs of entries of x in a pattern.

    Parameters
    ----------
    f, given, options
        As for `hessian`; x is an array.
    sparsity : scipy.sparse matrix, array, Sparsity or "detect"
        The pattern, symmetric, of shape (x.size, x.size).
    paired : callable
        Differentiates by all pairs that it is given.

    Returns
    -------
    Derivative
        Its fields that are like the value are scipy.sparse matrices of the pattern, symmetric to the bit.

    Raises
    ------
    InputError
        If the pattern is of another shape or not symmetric, x a structure, or a budget too small to find the pattern.
    MissingDependency
        If SciPy is not installed.
    """
    sparse_matrices()
    if given.structure.kind == "structure":
        raise InputError("x is a structure; with sparsity= it is to be an array: write x as one, and take f apart")
    bends = _Bends(f, given, options)
    notes: list[Note] = []
    with np.errstate(all="ignore"):
        pattern = bends.pattern(sparsity)
        for attempt in range(ATTEMPTS + 1):
            upper = np.flatnonzero(pattern.rows < pattern.columns)
            entries, gradient, evaluations, remark = paired(pattern.rows[upper], pattern.columns[upper], bends.left())
            bends.others += evaluations
            table = _table(entries, pattern, upper, float(gradient.noise))
            if not bends.unexplained(pattern, table):
                break
            mended = None if attempt == ATTEMPTS else bends.mended(pattern, attempt + 1)
            if mended is None or mended.size == pattern.size:
                _blame(table)
                text = "f bends along a random direction by more than the entries of the pattern say"
                notes.append(Note(None, Status.UNRESOLVED, f"{text}, and none more were found"))
                break
            new = np.setdiff1d(mended.keys, pattern.keys)
            first = list(divmod(int(new[0]), pattern.shape[1]))
            text = f"the pattern missed {new.size:,} entries, the first of them {first}; they were found and added"
            notes.append(Note(None, Status.CONVERGED, text))
            pattern = mended
    return arranged(
        pattern,
        table,
        notes,
        evaluations=bends.others + bends.evaluator.calls,
        noise=gradient.noise,
        fx=gradient.fx,
        dtype=np.longdouble if given.vector.dtype == np.longdouble else np.float64,
        remark=remark,
        gradient=gradient,
    )


class _Bends:
    """What f says beside its second derivatives: which entries of x interact, and how it bends in all directions."""

    def __init__(self, f: Callable[[Any], Any], given: Given, options: Options) -> None:
        self.given, self.budget = given, options.budget
        self.evaluator = Compressed(f, given.structure, given.vector, bool(options.vectorized))
        self.evaluator.limit = np.inf if self.budget is None else self.budget
        self.others = 0  # evaluations elsewhere
        self.noise = options.noise or 0.0
        self.fx = np.nan

    @property
    def bounds(self) -> tuple[Any, Any]:
        return self.given.lower, self.given.upper

    def left(self) -> int | None:
        """Count the evaluations that the budget still has."""
        return None if self.budget is None else max(1, self.budget - self.others - self.evaluator.calls)

    def pattern(self, sparsity: Any) -> Sparsity:
        """Read the pattern, or find it."""
        count = self.given.vector.size
        if not (isinstance(sparsity, str) and sparsity == "detect"):
            found = Sparsity.of(sparsity, (count, count))
            found.require_symmetric()
            return found
        try:
            return self.interacting(0)
        except Spent:
            raise InputError(
                f"budget is {self.budget}, spent before the pattern was found; expected more, or the pattern"
            ) from None

    def interacting(self, attempt: int) -> Sparsity:
        """Find the pattern."""
        self.centre()
        return interacting(self.evaluator, self.fx, self.bounds, self.noise, attempt)

    def centre(self) -> None:
        """Evaluate f at x, once."""
        if not np.isnan(self.fx):
            return
        fx = self.evaluator.centre()
        if fx.size != 1:
            raise InputError(f"f returned {fx.size} numbers at x; a Hessian is that of one number")
        self.fx = float(fx[0])
        self.noise = max(self.noise, float(noise_at(self.evaluator, self.evaluator.starts, fx)[0]))

    def mended(self, pattern: Sparsity, attempt: int) -> Sparsity | None:
        """Find the entries that the pattern misses, if the budget allows."""
        try:
            return pattern.united(self.interacting(attempt))
        except Spent:
            return None

    def unexplained(self, pattern: Sparsity, table: Table) -> bool:
        """Tell whether f bends by more than the table says; not where the table has entries without a bound."""
        if (table.codes >= PASSING).any():
            return False
        if self.budget is not None:
            self.evaluator.limit = self.budget - self.others
        try:
            self.centre()
            error = (table.truncation + table.rounding)[:, 0]
            noise = max(self.noise, float(table.noise.max(initial=0.0)))
            return unexplained(self.evaluator, self.fx, self.bounds, noise, pattern, table.value[:, 0], error)
        except Spent:
            return False


def _table(entries: Entries, pattern: Sparsity, upper: Places, noise: float) -> Table:
    """Give a row to each entry of the pattern; of two mirror images both have the same."""
    count = pattern.shape[0]
    places = np.where(pattern.rows == pattern.columns, pattern.rows, 0)
    places[upper] = count + np.arange(upper.size)
    places[pattern.mirror[upper]] = places[upper]
    value, truncation, rounding, codes, step = (part[:, None] for part in entries.numbers)
    told: Any = {(place, 0): (text, None, None) for place, text in entries.told.items()}
    return Table(value, truncation, rounding, codes, step, np.full(value.shape, noise), told).at(places)


def _blame(table: Table) -> None:
    """Say of all entries that they cannot be trusted."""
    table.codes[:] = np.maximum(table.codes, Status.UNRESOLVED.code)
    table.truncation[:], table.rounding[:] = 0.0, np.inf
