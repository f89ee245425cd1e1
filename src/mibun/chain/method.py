"""The verbs by the chain: f is recorded once, and its derivatives come from the recording.

Gradient, vector-Jacobian product and Jacobian differ in the cotangents with which the way back begins.
"""

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from mibun.chain.array import Recorded
from mibun.chain.backward import Pulled, Taped, pulled, taped, value_in
from mibun.chain.verify import verified
from mibun.errors import InputError
from mibun.evaluate.gather import Arrange, values_first
from mibun.given import Given, taken
from mibun.options import Wish
from mibun.result import Derivative
from mibun.status import Note, Status
from mibun.structure import Structure

__all__ = ["Asked", "chain_gradient", "chain_jacobian", "chain_vjp", "derivative_of", "leaves_of", "value_and_gradient"]

#: The cotangents of one number: 1.
ONE: Final = np.ones((1, 1))
ONE.flags.writeable = False


class Asked(NamedTuple):
    """What is to be differentiated, where and how, and what was recorded there."""

    f: Callable[[Any], Any]
    given: Given
    wish: Wish
    record: Taped


def chain_gradient(f: Callable[[Any], Any], x: Any, wish: Wish) -> Derivative:
    """Differentiate a function that returns one number."""
    return derivative_of(_asked(f, x, wish))


def derivative_of(asked: Asked) -> Derivative:
    """Walk back from the one number that was recorded."""
    layout, wish = asked.record.layout, asked.wish
    if layout.size != 1:
        raise InputError(
            f"f returned {layout.size} numbers at x, {layout}; gradient and hessian are those of one number, "
            "use jacobian, or vjp with a cotangent"
        )
    (found,) = pulled(asked.record, ONE, wish.errors)
    fx = float(_flat(asked.record)[0])
    return _result(asked, [found], ONE, None, _verify(asked, found, ONE[0]), fx)


def chain_vjp(f: Callable[[Any], Any], x: Any, cotangent: Any, wish: Wish) -> Derivative:
    """Multiply the transposed Jacobian by a cotangent."""
    asked = _asked(f, x, wish)
    layout = asked.record.layout
    weights = layout.flatten(cotangent, dtype=np.float64, name="cotangent")
    if not np.isfinite(weights).all():
        raise InputError(f"cotangent is {cotangent!r}; expected finite numbers")
    (found,) = pulled(asked.record, [weights], wish.errors)
    evaluations = _verify(asked, found, weights)
    return _result(asked, [found], [weights], None, evaluations, layout.unflatten(_flat(asked.record), cast=False))


def chain_jacobian(f: Callable[[Any], Any], x: Any, wish: Wish) -> Derivative:
    """Differentiate every number that f returns: one way back for each."""
    asked = _asked(f, x, wish)
    layout = asked.record.layout
    rows = pulled(asked.record, np.eye(layout.size), wish.errors)
    weights = np.random.default_rng(0).uniform(0.5, 1.0, layout.size) / _sizes(rows, _flat(asked.record))
    evaluations = _verify(asked, _weighed(rows, weights), weights)
    fx = layout.unflatten(_flat(asked.record), cast=False)
    return _result(asked, rows, np.eye(layout.size), values_first(asked.given.structure, layout), evaluations, fx)


def value_and_gradient(f: Callable[[Any], Any], x: Any, *, fine: bool = False) -> tuple[float, Any]:
    """Give f(x) and its gradient as plain numbers: the inner loop, without bounds, verification or status.

    Nothing is compared with f here, so an f that writes into an array which it used before gives another gradient. Take
    one by `mibun.gradient` first, which finds that out.

    Parameters
    ----------
    f : callable
        From x to one number, written with NumPy.
    x : number, array or structure
        As in `mibun.gradient`.
    fine : bool
        Difference functions without a rule as finely as `mibun.gradient` does, for an error near 1e-13 also where
        entries are many, and not near 1e-11. Default: False.

    Returns
    -------
    value : float
    gradient : like x
        Plain arrays, in the precision in which f computes.

    Raises
    ------
    InputError
        If f does not return one number, or does what cannot be recorded.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import chain
    >>> x = {"a": np.ones(2), "b": 3.0}
    >>> value, gradient = chain.value_and_gradient(lambda x: np.sum(np.exp(x["a"]) * x["b"]), x)
    >>> bool(abs(value - 6 * np.e) < 1e-14), bool(abs(gradient["b"] - 2 * np.e) < 1e-14)
    (True, True)
    """
    build, values = _opened(x)
    record = taped(f, build, values)
    if record.layout.size != 1:
        raise InputError(f"f returned {record.layout.size} numbers, {record.layout}; expected one")
    record.tape.fine = fine
    (found,) = pulled(record, ONE, errors=False, keep=False)
    if record.tape.chooses and not found.finite:  # again, with care for sides that np.where did not take
        again = taped(f, build, values)
        again.tape.fine = fine
        (found,) = pulled(again, ONE, errors=False)
    value = value_in(record.results[0])
    return float(value.item() if isinstance(value, np.ndarray) else value), build(found.values)


def _opened(x: Any) -> tuple[Callable[[Any], Any], list[Any]]:
    """Give what builds x from its leaves, and these; fast for an array and for a dict of arrays."""
    if type(x) is np.ndarray and x.dtype.kind == "f":
        return operator.itemgetter(0), [x]
    if type(x) is dict and x and all(type(part) is np.ndarray and part.dtype.kind == "f" for part in x.values()):
        return lambda parts: dict(zip(x, parts, strict=True)), list(x.values())
    structure = Structure.of(x)
    pairs = zip(structure.parts(x), structure.leaves, strict=True)
    return structure.build, [np.asarray(part, leaf.dtype)[()] for part, leaf in pairs]


def _asked(f: Callable[[Any], Any], x: Any, wish: Wish) -> Asked:
    """Check x, and record f there."""
    if not callable(f):
        raise InputError(f"f is {f!r}; expected a function, then x: gradient(f, x)")
    given = taken(x, None)
    return Asked(f, given, wish, taped(f, given.structure.build, leaves_of(given)))


def leaves_of(given: Given) -> list[Any]:
    """Give the leaves of x as f is to get them."""
    point = given.structure.unflatten(given.vector)
    return [np.asarray(part)[()] for part in given.structure.parts(point)]


def _flat(record: Taped) -> Any:
    """Give f(x) as a flat vector."""
    values = [np.asarray(value_in(result)).reshape(-1) for result in record.results]
    return np.concatenate(values).astype(np.result_type(record.layout.dtype, np.float64), copy=False)


def _weighed(rows: Sequence[Pulled], weights: Any) -> Pulled:
    """Sum rows of a Jacobian."""
    values, errors = zip(*((row.values, row.errors) for row in rows), strict=True)

    def summed(rows_of: Sequence[list[Any]]) -> list[Any]:
        return [sum(w * part for w, part in zip(weights, parts, strict=True)) for parts in zip(*rows_of, strict=True)]

    return Pulled(summed(values), summed(errors), [])


def _sizes(rows: Sequence[Pulled], values: Any) -> Any:
    """Give the size of each row, so that in a sum of all of them none is hidden by another one."""
    found = np.array([sum(float(np.abs(part).sum()) for part in row.values) for row in rows])
    found = np.where(np.isfinite(found) & (found > 0), found, np.abs(values))
    return np.where(np.isfinite(found) & (found > 0), found, 1.0)


def _verify(asked: Asked, found: Pulled, weights: Any) -> int:
    """Compare with f, refuse what does not agree, and count the evaluations."""
    f, given, wish, record = asked
    if not wish.verify:
        return 0
    counting = np.flatnonzero(weights)

    def summed(point: Any) -> float:
        flat = record.layout.flatten(f(point), dtype=np.float64, name="f(x)")
        return float(flat[counting] @ weights[counting])

    fx = float(_flat(record)[counting] @ weights[counting])
    gradient = np.concatenate([np.reshape(part, -1) for part in found.values])
    known = zip(found.errors, found.values, strict=True)
    error = np.concatenate([np.reshape(np.broadcast_to(one, np.shape(part)), -1) for one, part in known])
    itemsize = min(leaf.dtype.itemsize for leaf in (*record.layout.leaves, *given.structure.leaves))
    verdict = verified(summed, given, gradient, error, fx, itemsize)
    if verdict.agrees:
        return verdict.evaluations
    if verdict.changes:
        raise InputError(
            f"f(x) was {fx!r}, and is another number when f is called again: does it draw random numbers? Draw them "
            "outside, or write Chain(verify=False)"
        )
    raise InputError(
        f"the derivative disagrees with f: along a random direction f changes by {verdict.measured:.6g}, and the "
        f"recording says {verdict.implied:.6g}. f may have written into an array that it used before, or have "
        'computed with numbers that went round the recording; write method="adaptive", or Chain(verify=False)'
    )


def _result(
    asked: Asked, rows: Sequence[Pulled], weights: Any, arrange: Arrange | None, evaluations: int, fx: Any
) -> Derivative:
    """Build the Derivative of rows of a Jacobian; of one row, without `arrange`, as x is built."""
    structure = asked.given.structure
    columns = [_settled(asked, row, bool(exists)) for row, exists in zip(rows, _exist(asked, weights), strict=True)]
    if arrange is None:
        parts: list[Any] = [
            structure.build(
                [part.item() if leaf.number else part for part, leaf in zip(of, structure.leaves, strict=True)]
            )
            for of in columns[0]
        ]
    else:
        parts = [
            arrange(np.stack([np.concatenate([part.reshape(-1) for part in column[i]]) for column in columns], axis=1))
            for i in range(3)
        ]
    value, error, codes = parts
    return Derivative(
        value=value,
        error=error,
        status=codes,
        evaluations=1 + evaluations,
        fx=fx,
        notes=_notes(asked.record),
    )


def _exist(asked: Asked, weights: Any) -> list[bool]:
    """Say for each row whether all of f(x) that it differentiates is finite."""
    broken = ~np.isfinite(_flat(asked.record))
    return [not np.any(broken & (row != 0)) for row in weights]


def _settled(asked: Asked, row: Pulled, exists: bool) -> tuple[list[Any], list[Any], list[Any]]:
    """Give values, errors and codes of a row, leaf by leaf: what is not finite has an infinite error.

    Where f itself is not finite, it has no derivative, whatever came back along the tape.
    """
    wish, dtype = asked.wish, _precision(asked.given)
    values, errors, codes = [], [], []
    for place, (value, error, reached) in enumerate(zip(row.values, row.errors, row.reached, strict=True)):
        value = np.asarray(value, dtype)
        error = np.array(np.broadcast_to(error, value.shape), dtype)
        status = Status.CONVERGED if reached else Status.INSENSITIVE
        code = np.full(value.shape, status.code, np.uint8)
        if row.smooth is not None:
            code[error > 2 * row.smooth[place]] = Status.KINK.code
        if wish.rtol is not None or wish.atol:
            code[~(error <= wish.atol + (wish.rtol or 0.0) * np.abs(value))] = Status.UNRESOLVED.code
        finite = np.isfinite(value) & exists
        if not (finite.all() and np.isfinite(error).all()):
            value[~finite] = np.nan
            error[~finite | np.isnan(error)] = np.inf
            code[np.isinf(error)] = Status.UNRESOLVED.code
            code[~finite] = Status.NOT_FINITE.code
        values.append(value)
        errors.append(error)
        codes.append(code)
    return values, errors, codes


def _precision(given: Given) -> Any:
    return np.longdouble if given.vector.dtype == np.longdouble else np.float64


def _notes(record: Taped) -> tuple[Note, ...]:
    """Tell about branches and kinks."""
    notes = []
    branches = record.tape.branches
    if branches:
        more = f", and {len(branches) - 1:,} more" if len(branches) > 1 else ""
        notes.append(
            Note(None, Status.CONVERGED, f"recorded as taken: {branches[0].what} at {branches[0].where}{more}")
        )
    met = (
        (record.tape.kinks, "at a kink; what ties there shares one slope"),
        (record.tape.edges, "where it jumps; recorded as taken, and the slope is that of this side"),
    )
    for places, what in met:
        counts: Counter[str] = Counter()
        for name, times in places.values():
            counts[name] += times
        notes += [
            Note(None, Status.CONVERGED, f"{times:,} entr{'ies' if times > 1 else 'y'} of {name} {what}")
            for name, times in counts.items()
        ]
    if not any(isinstance(result, Recorded) and result.live for result in record.results):
        notes.append(Note(None, Status.INSENSITIVE, "f(x) was not computed from x: does f use its argument?"))
    return tuple(notes)
