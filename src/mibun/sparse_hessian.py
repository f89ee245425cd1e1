"""Sparse Hessians from f alone: the pairs of the pattern are differentiated, and no other.

One call of f gives one number, so a Hessian of N different entries costs at least N calls, however its columns are
coloured: colours save calls where a gradient is given (`sparse`). What the pattern saves here is all the other pairs.
"""

from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mibun.colouring import sparse_matrices
from mibun.errors import InputError
from mibun.evaluate.calls import Calls
from mibun.evaluate.compressed import Spent
from mibun.evaluate.drive import Led
from mibun.evaluate.gather import Table
from mibun.evaluate.interact import first_steps, interacting, unexplained
from mibun.given import Given
from mibun.options import Options
from mibun.pairs import Entries
from mibun.result import Derivative, Note
from mibun.sparse import arranged
from mibun.sparsity import Sparsity
from mibun.status import PASSING, Status

__all__ = ["sparse_hessian"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: How often a pattern that misses entries is mended by looking for interactions.
ATTEMPTS: Final = 2
#: Pairs of each entry of x that a budget is left for, where their pattern is not known yet.
USUAL: Final = 4


class Course(Protocol):
    """Differentiates f by pairs of entries of x."""

    calls: Calls
    options: Options

    def begin(self, count: int) -> Led:
        """Find the gradient, and leave what the budget has for so many pairs."""

    def paired(self, first: Places, second: Places, spent: int = 0) -> tuple[Entries, Derivative, int, str]:
        """Give second derivatives, the gradient, evaluations and a remark; `spent` are evaluations elsewhere."""


def sparse_hessian(course: Course, given: Given, sparsity: Any) -> Derivative:
    """Differentiate a function of one number twice, with respect to the pairs of entries of x in a pattern.

    Parameters
    ----------
    course : Course
    given : Given
        x is an array.
    sparsity : scipy.sparse matrix, array, Sparsity or "detect"
        The pattern, symmetric, of shape (x.size, x.size).

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
    count = given.vector.size
    pattern = None
    if not (isinstance(sparsity, str) and sparsity == "detect"):
        pattern = Sparsity.of(sparsity, (count, count))
        pattern.require_symmetric()
    led = course.begin(USUAL * count if pattern is None else int(np.count_nonzero(pattern.rows < pattern.columns)))
    with np.errstate(all="ignore"):
        bends = _Bends(course, given, led)
        return _verified(course, given, bends, bends.pattern() if pattern is None else pattern)


def _verified(course: Course, given: Given, bends: "_Bends", pattern: Sparsity) -> Derivative:
    """Differentiate, and mend the pattern where f bends along a random direction by more than its entries say."""
    notes: list[Note] = []
    for attempt in range(ATTEMPTS + 1):
        upper = np.flatnonzero(pattern.rows < pattern.columns)
        entries, gradient, evaluations, remark = course.paired(
            pattern.rows[upper], pattern.columns[upper], bends.evaluator.calls
        )
        bends.others = evaluations
        bends.limit()
        table = _table(entries, pattern, upper, float(gradient.noise))
        if not bends.unexplained(pattern, table):
            break
        mended = None if attempt == ATTEMPTS else bends.mended(pattern, attempt + 1)
        if mended is None or mended.size == pattern.size:
            table.codes[:] = np.maximum(table.codes, Status.UNRESOLVED.code)
            table.truncation[:], table.rounding[:] = 0.0, np.inf
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

    def __init__(self, course: Course, given: Given, led: Led) -> None:
        options, slopes = course.options, Table.of(led)
        self.given, self.budget = given, options.budget
        self.evaluator = evaluator = course.calls.compressed(given.structure, given.vector)
        evaluator.knows(led.values)
        self.fx, self.noise = float(led.centres[0][0]), max(options.noise or 0.0, float(slopes.noise.max()))
        self.others = led.evaluations
        step = slopes.step[:, 0]
        known = (step > 0) & (step < np.inf) & (slopes.codes[:, 0] != Status.INSENSITIVE.code)
        self.steps: Floats = np.where(known, step, first_steps(evaluator.starts))
        self.limit()

    def limit(self) -> None:
        """Leave what the budget has beside the evaluations of the course."""
        self.evaluator.limit = np.inf if self.budget is None else self.budget - self.others

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        return self.given.lower, self.given.upper

    def pattern(self) -> Sparsity:
        """Find the pattern."""
        try:
            return self.interacting(0)
        except Spent:
            raise InputError(
                f"budget is {self.budget}, spent before the pattern was found; expected more, or the pattern"
            ) from None

    def interacting(self, attempt: int) -> Sparsity:
        return interacting(self.evaluator, self.fx, self.steps, self.bounds, self.noise, attempt)

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
        error = (table.truncation + table.rounding)[:, 0]
        try:
            return unexplained(
                self.evaluator, self.fx, self.steps, self.bounds, self.noise, pattern, table.value[:, 0], error
            )
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
