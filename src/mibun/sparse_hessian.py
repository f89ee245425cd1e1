"""Sparse Hessians from f alone: mixed differences of the pairs in the pattern, and of no other.

One call of f gives one number, so a Hessian of N different entries costs at least N calls, however its columns are
coloured: colours save calls where a gradient is given, whose Jacobian the Hessian is. What the pattern saves here is all
the other pairs.

With e(s) the even part (f(x + s·d) + f(x - s·d)) / 2 - f(x) of f along d, that along e_i H_i + e_j H_j, less those along
its two parts, is s^2 H_i H_j h_ij + O(s^4); along e_i H_i alone it is s^2 H_i^2 h_ii / 2 + O(s^4). Neville's scheme in
s^2 takes both to s = 0. Where f is a sum of parts that have no variable in common, the difference is 0 up to rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.colouring import sparse_matrices
from mibun.errors import InputError
from mibun.evaluate.compressed import Compressed
from mibun.given import Given, taken
from mibun.plan import unit
from mibun.result import Derivative
from mibun.sparsity import Sparsity
from mibun.status import Status

__all__ = ["sparse_hessian"]

Floats = NDArray[np.float64]
#: Steps of all differences, in units of those of the gradient.
LEVELS: Final = (1.0, 0.5, 0.25, 0.125)
#: What is added up of the errors of the values of f in a mixed difference: twelve of them, halved, and some room.
TERMS: Final = 8.0


def sparse_hessian(
    f: Callable[[Any], Any],
    x: Any,
    sparsity: Any,
    gradient: Derivative,
    *,
    bounds: Any = None,
    vectorized: bool = False,
) -> Derivative:
    """Differentiate a function of one number twice, with respect to the pairs of entries of x in a pattern.

    Parameters
    ----------
    f : callable
        From an array to one number; for `vectorized` from a stack of arrays to as many numbers.
    x : number or array
    sparsity : scipy.sparse matrix, array or Sparsity
        The pattern, symmetric, of shape (x.size, x.size); entries on the diagonal may be left out.
    gradient : Derivative
        The gradient of f at x, as `mibun.gradient` finds it: its steps are those of the differences.
    bounds, vectorized
        As for `gradient`.

    Returns
    -------
    Derivative
        Its fields that are like the value are scipy.sparse matrices, symmetric to the bit.

    Raises
    ------
    InputError
        If the pattern is of another shape or not symmetric, or x a structure.
    MissingDependency
        If SciPy is not installed.

    Notes
    -----
    8 calls of f for each entry of x and 8 for each pair. The error is what the last extrapolation changed and the
    rounding of the values; it fails where f changes on scales below the steps of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> from mibun.sparse_hessian import sparse_hessian
    >>> def f(x):
    ...     return np.sum(np.sin(x[1:] * x[:-1]))
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> d = sparse_hessian(f, x, np.eye(3, k=1) + np.eye(3, k=-1), mb.gradient(f, x))
    >>> truth = np.cos(2.0) - 2.0 * np.sin(2.0)
    >>> bool(abs(d.value[0, 1] - truth) <= d.error[0, 1] < 1e-7), d.value.nnz
    (True, 4)
    """
    sparse_matrices()
    given = taken(x, bounds)
    if given.structure.kind == "structure":
        raise InputError("x is a structure; with sparsity= it is to be an array")
    pattern = Sparsity.of(sparsity, (given.vector.size, given.vector.size))
    pattern.require_symmetric()
    evaluator = Compressed(f, given.structure, given.vector, vectorized)
    with np.errstate(all="ignore"):
        fx = evaluator.centre()
        if fx.size != 1:
            raise InputError(f"f returned {fx.size} numbers at x; a Hessian is that of one number")
        steps = _steps(given, gradient)
        upper = np.flatnonzero(pattern.rows <= pattern.columns)
        pairs = np.stack([pattern.rows[upper], pattern.columns[upper]], axis=1)
        found = _differences(evaluator, float(fx[0]), pairs, steps, float(gradient.noise or 0.0))
    return _mirrored(pattern, pairs, found, steps, evaluator, gradient, fx)


def _steps(given: Given, gradient: Derivative) -> Floats:
    """Give the steps of the gradient, as far as the bounds let them go to both sides."""
    own = given.structure.flatten(gradient.step, dtype=np.float64, name="the step of gradient")
    x = given.vector.astype(np.float64)
    own = np.where((own > 0) & np.isfinite(own), own, 2.0**-5 * np.maximum(np.abs(x), 1.0))
    return np.minimum(own, np.minimum(given.upper - x, x - given.lower))


def _even(evaluator: Compressed, fx: float, moves: Iterator[tuple[Any, Floats]]) -> Iterator[tuple[float, float]]:
    """Give for each move the even part of f along it, and the larger of the two values."""
    x = evaluator.starts
    batch: list[NDArray[Any]] = []
    most = max(2, evaluator.chunk)

    def evaluated() -> Iterator[tuple[float, float]]:
        rows = [np.nan if isinstance(row, Exception) else float(row[0]) for row in evaluator.rows(batch)]
        for above, below in zip(rows[::2], rows[1::2], strict=True):
            yield ((above - fx) - (fx - below)) / 2, max(abs(above), abs(below))
        batch.clear()

    for columns, change in moves:
        batch += [evaluator.moved(columns, x[columns] + change), evaluator.moved(columns, x[columns] - change)]
        if len(batch) >= most:
            yield from evaluated()
    if batch:
        yield from evaluated()


def _differences(
    evaluator: Compressed, fx: float, pairs: NDArray[Any], steps: Floats, noise: float
) -> tuple[Floats, Floats, Floats]:
    """Give value, truncation and rounding of each pair."""
    axes = np.unique(pairs)
    place = np.searchsorted(axes, pairs)
    mixed = pairs[:, 0] != pairs[:, 1]
    singles = ((np.array([axis]), level * steps[[axis]]) for axis in axes.tolist() for level in LEVELS)
    own = np.array(list(_even(evaluator, fx, singles))).reshape(axes.size, len(LEVELS), 2)
    doubles = ((pair, level * steps[pair]) for pair in pairs[mixed] for level in LEVELS)
    both = np.array(list(_even(evaluator, fx, doubles))).reshape(-1, len(LEVELS), 2)
    even, size = 2 * own[place[:, 0], :, 0], own[place[:, 0], :, 1]
    even[mixed] = both[:, :, 0] - own[place[mixed, 0], :, 0] - own[place[mixed, 1], :, 0]
    size[mixed] = np.maximum(both[:, :, 1], size[mixed])
    scale = np.array(LEVELS) ** 2 * (steps[pairs[:, 0]] * steps[pairs[:, 1]])[:, None]
    floor = max(noise, unit(evaluator.vector.dtype) * abs(fx))
    doubt = TERMS * np.maximum(floor, unit(evaluator.vector.dtype) * size.max(axis=1))
    return _extrapolated(even / scale, doubt[:, None] / scale)


def _extrapolated(quotients: Floats, roundings: Floats) -> tuple[Floats, Floats, Floats]:
    """Extrapolate to s = 0, and take the corner of the table whose bound is the least."""
    count = quotients.shape[1]
    value, truncation, rounding = (np.full(len(quotients), bad) for bad in (np.nan, 0.0, np.inf))
    row: list[Floats] = []
    spread: list[Floats] = []
    for k in range(count):
        new, errors = [quotients[:, k]], [roundings[:, k]]
        for j in range(1, k + 1):
            factor = 1.0 / (4.0**j - 1.0)
            new.append(new[j - 1] + (new[j - 1] - row[j - 1]) * factor)
            errors.append(errors[j - 1] * (1.0 + factor) + spread[j - 1] * factor)
            gap = np.maximum(np.abs(new[j] - new[j - 1]), np.abs(new[j] - row[j - 1]) if j > 1 else 0.0)
            better = gap + errors[j] < truncation + rounding
            value, truncation, rounding = (
                np.where(better, part, before)
                for part, before in zip((new[j], gap, errors[j]), (value, truncation, rounding), strict=True)
            )
        row, spread = new, errors
    return value, truncation, rounding


def _mirrored(
    pattern: Sparsity,
    pairs: NDArray[Any],
    found: Sequence[Floats],
    steps: Floats,
    evaluator: Compressed,
    gradient: Derivative,
    fx: Floats,
) -> Derivative:
    """Put each entry and its mirror image into the pattern."""
    size = pattern.shape[1]
    upper = pairs[:, 0] * size + pairs[:, 1]
    low, high = np.minimum(pattern.rows, pattern.columns), np.maximum(pattern.rows, pattern.columns)
    place = np.searchsorted(upper, low * size + high)
    value, truncation, rounding = (pattern.matrix(part[place]) for part in found)
    codes = np.where(np.isnan(found[0]), Status.NOT_FINITE.code, Status.CONVERGED.code).astype(np.uint8)
    return Derivative(
        value=value,
        error=pattern.matrix((found[1] + found[2])[place]),
        truncation=truncation,
        rounding=rounding,
        status=pattern.matrix(codes[place]),
        step=pattern.matrix(np.maximum(steps[pairs[:, 0]], steps[pairs[:, 1]])[place]),
        evaluations=evaluator.calls + gradient.evaluations,
        noise=gradient.noise,
        fx=float(fx[0]),
        gradient=gradient,
    )
