"""The verb hessian: the second derivatives of a function that returns one number, with its gradient."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Method, Request
from mibun.derivatives import lead_all, warned
from mibun.errors import InputError
from mibun.evaluate import Led, Values
from mibun.evaluate.axes import PER_PAIR, Along, split
from mibun.evaluate.calls import Calls, calling
from mibun.evaluate.drive import shares
from mibun.evaluate.gather import Table, Told, gathered, values_first
from mibun.given import Given, taken
from mibun.methods import Adaptive
from mibun.options import Options, Wish, asked, chain_asked, documented
from mibun.pairs import Entries, Pairs
from mibun.plan import coordinatewise
from mibun.result import Derivative
from mibun.sparse import sparse_hessian_of_gradient
from mibun.sparse_hessian import sparse_hessian
from mibun.status import PASSING, Status
from mibun.structure import Structure

__all__ = ["hessian"]

Places = NDArray[np.intp]

#: Points without which the gradient says nothing about an axis.
LEAST: Final = 5


class Found(NamedTuple):
    """What was found, before it has the shape of a result."""

    entries: Entries
    gradient: Derivative
    evaluations: int
    remark: str


@documented
def hessian(
    f: Callable[[Any], Any] | None,
    x: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
    sparsity: Any = None,
    method: Any = "adaptive",
    rtol: float | None = None,
    atol: float = 0.0,
    bounds: Any = None,
    noise: float | None = None,
    budget: int | None = None,
    vectorized: bool = False,
    workers: Any = None,
    evaluator: Any = None,
) -> Derivative:
    """Differentiate a function that returns one number twice, with respect to every two entries of x.

    The diagonal comes from the values that the gradient needs; every pair of entries takes two to four more, and only
    two where f is a sum of a part without the one entry and a part without the other. The result is symmetric to the
    bit.

    Parameters
    ----------
    f : callable
        From x to one real number, as a number or as an array with one entry. It can be None where `gradient` is given.
    x : number, array of shape S or structure
    gradient : callable, optional
        From x to the gradient of f, built like x. The Hessian is then its Jacobian, for about 12 calls an entry of x
        and none for the pairs; f is not called, and `evaluations`, `budget`, `noise`, `vectorized` are about gradient.
    sparsity : scipy.sparse matrix, array of bool or numbers, Sparsity or "detect", optional
        Which entries can differ from 0: symmetric, of shape (x.size, x.size); of a sparse matrix all stored entries
        count. Only these pairs are looked at, and with `gradient` many entries of x move together, so that it costs as
        many calls for a million of them as for a few. "detect" finds the pattern: from f alone by about 8 values an
        entry of x for a band. Needs SciPy, and an array for x.
    {options}

    Returns
    -------
    Derivative
        (*S, *S); for structures that of x, with the structure of x in each leaf. Its field `gradient` is the
        gradient, which was paid for, and `evaluations` counts all points, those of the gradient among them. With
        `sparsity` its fields that are like the value are scipy.sparse matrices of the pattern, (x.size, x.size).

    Raises
    ------
    {errors}
    MissingDependency
        If `sparsity` is given and SciPy is not installed.

    Notes
    -----
    The even parts of f along an axis and along two axes at once, over the squares of the steps, are extrapolated by
    Neville's scheme (Richardson 1911; Bulirsch and Stoer 1964). The steps are those of the gradient, and wider ones
    where rounding asks for them: it is divided by their squares, so a Hessian has 11 digits where a gradient has 14,
    and a million added to f costs six of them. The shares of entries whose error covers the truth stand in
    `benchmarks/results/second_order.md`: more than 99 % of smooth ones. Under noise that is as large as the changes of
    f on its natural scale it is less.

    An entry has the worse status of its two axes, and at a kink of one of them it is nan. It fails where the gradient
    does, and where f has a kink in a direction between two axes and none along them, as ``abs(x[0] * x[1])`` has at 0:
    of two axes only points with both steps forward or both backward are looked at. Where the slope along an axis has a
    kink, as that of ``max(x[0], 0)**2`` at 0, most entries are unresolved or out of budget, but one in twenty is the
    mean of both sides without a word; ``derivative(..., order=2)`` compares the sides, and names them.

    Without a budget an axis takes at most 40 evaluations for the gradient and 32 more, and a pair at most 16. A budget
    is split in the proportion of 14 for an axis to 4 for a pair.

    With a pattern, the result is compared with f along random directions. Where it differs, entries that the pattern
    misses are looked for, added, and named in a note; what cannot be explained is unresolved. A miss that is felt less
    than a millionth of all else in these directions stays unseen. With `gradient` columns are grouped by a star
    colouring (T. Coleman and J. Moré, Math. Programming 28 (1984) 243-270), so that each entry, or its mirror image, is
    alone in its row.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun.hessians as mb
    >>> d = mb.hessian(lambda x: x[0] ** 2 * x[1], [3.0, 4.0])
    >>> bool(np.all(abs(d.value - [[8.0, 6.0], [6.0, 0.0]]) <= d.error)), bool(np.all(d.error < 1e-8))
    (True, True)
    >>> bool(np.all(abs(d.gradient.value - [24.0, 9.0]) <= d.gradient.error))
    True

    With a gradient of yours, which costs less and keeps twice the digits:

    >>> d = mb.hessian(None, [3.0, 4.0], gradient=lambda x: np.array([2 * x[0] * x[1], x[0] ** 2]))
    >>> bool(np.all(abs(d.value - [[8.0, 6.0], [6.0, 0.0]]) <= d.error)), bool(np.all(d.error < 1e-12))
    (True, True)

    Where each entry of x meets a few others alone:

    >>> def f(x):
    ...     return np.sum(np.sin(x[:-1] * x[1:]))
    >>> d = mb.hessian(f, np.full(50, 1.5), sparsity="detect")
    >>> truth = np.cos(2.25) - 2.25 * np.sin(2.25)
    >>> d.value.nnz, bool(abs(d.value[7, 8] - truth) <= d.error[7, 8] < 1e-8)
    (148, True)
    """
    options = Options(method, rtol, atol, bounds, noise, budget, vectorized, workers, evaluator)
    wish = chain_asked(options)
    if wish is not None:
        return _by_chain(f, x, gradient, sparsity, wish)
    if gradient is not None and not callable(gradient):
        raise InputError(f"gradient is {gradient!r}; expected a function from x to the gradient of f, built like x")
    chosen, request = asked(f if gradient is None else gradient, *options)
    given = taken(x, bounds)
    if gradient is not None:
        with calling(gradient, options) as calls:
            if sparsity is not None:
                return sparse_hessian_of_gradient(calls, x, sparsity, chosen, request, options)
            return warned(*_of_gradient(calls, chosen, request, given, options))
    if not isinstance(chosen, Adaptive):
        raise InputError(
            f'method is {chosen}; the second derivatives of f are found by "adaptive" alone; with gradient= the '
            "Hessian is a Jacobian, and every method does"
        )
    with calling(cast(Callable[[Any], Any], f), options) as calls:
        course = ByPairs(calls, chosen, request, given, options)
        return sparse_hessian(course, given, sparsity) if sparsity is not None else warned(*_of_function(course, given))


def _by_chain(f: Callable[[Any], Any] | None, x: Any, gradient: Any, sparsity: Any, wish: Wish) -> Derivative:
    """Differentiate the gradient that the chain finds."""
    from mibun.chain.method import chain_gradient
    from mibun.chain.second import chain_slopes, felt, flat_errors

    if f is None or gradient is not None:
        raise InputError('gradient is given with method="chain", which finds it from f; leave one of them out')
    first = chain_gradient(f, x, wish._replace(rtol=None, atol=0.0))
    off, slopes = flat_errors(first), chain_slopes(f)
    options = Options(Adaptive(), wish.rtol, wish.atol, None, None, None, vectorized=False)
    chosen, request = asked(slopes, *options)

    def amend(table: Table) -> None:
        table.rounding = felt(table.rounding, off, table.step)

    if sparsity is None:
        found = warned(*_of_gradient(calling(slopes, options), chosen, request, taken(x, None), options, amend))
    else:
        found = sparse_hessian_of_gradient(calling(slopes, options), x, sparsity, chosen, request, options)
        places, step = found.value.tocoo(), found.step.tocoo().data
        rounding = found.rounding.copy()
        rounding.data = felt(rounding.data, np.maximum(off[places.row], off[places.col]), step)
        found = replace(found, rounding=rounding, error=found.truncation + rounding)
    return replace(found, gradient=first, fx=first.fx, evaluations=found.evaluations + first.evaluations)


def _of_function(course: "ByPairs", given: Given) -> tuple[Derivative, Table]:
    """Differentiate f twice, by all pairs."""
    first, second = np.triu_indices(given.structure.size, 1)
    course.begin(first.size)
    return _dense(course.paired(first, second), given)


class ByPairs:
    """The second derivatives of f by pairs of entries of x, and its gradient, on the values of which they stand."""

    def __init__(self, calls: Calls, method: Method, request: Request, given: Given, options: Options) -> None:
        self.calls, self.method, self.request, self.given, self.options = calls, method, request, given, options

    def begin(self, count: int) -> Led:
        """Find the gradient, and leave what the budget has for so many pairs."""
        budget, given = self.options.budget, self.given
        self.evaluator = self.calls.on(coordinatewise(given.structure, given.vector))
        self.evaluator.kept = []
        self.part, own, _ = split(budget, given.structure.size, count, LEAST)
        self.led = lead_all(
            self.method,
            self.evaluator.plan,
            self.request,
            given,
            self.evaluator,
            self.part,
            self.calls.leader,
            scalar=True,
        )
        if self.led.values.complex:
            raise InputError(
                "f(x) is complex; a Hessian is that of a real number, ask for f.real and f.imag one by one"
            )
        along = Along(self.evaluator, given.lower, given.upper, own, budget is not None)
        self.pairs = Pairs(self.calls.on, given, self.request, self.led, along)
        return self.led

    def paired(self, first: Places, second: Places, spent: int = 0) -> Found:
        """Differentiate along each axis twice, and by the pairs (first, second); `spent` are evaluations elsewhere."""
        budget = self.options.budget
        if budget is None:
            shared = [PER_PAIR] * first.size
        else:
            shared = shares(max(0, budget - (self.part or 0) - spent), first.size, 2, PER_PAIR)
        with np.errstate(all="ignore"):
            entries = self.pairs.entries(first, second, np.array(shared, np.intp), budget is not None)
        structure, table = self.given.structure, self.pairs.gradient
        slopes = gathered(
            table,
            lambda matrix: structure.unflatten(matrix[:, 0], cast=False),
            evaluations=self.led.evaluations,
            noise=float(table.noise.max()),
            fx=float(self.led.centres[0][0]),
            dtype=_precision(self.given),
            remark=self.evaluator.remark,
        )
        return Found(entries, slopes, self.pairs.evaluations, self.evaluator.remark)


def _of_gradient(
    calls: Calls,
    method: Method,
    request: Request,
    given: Given,
    options: Options,
    amend: Callable[[Table], None] = lambda _: None,
) -> tuple[Derivative, Table]:
    """Differentiate the gradient of f, and take of each two mirror images the one that is known better."""
    structure, plan = given.structure, coordinatewise(given.structure, given.vector)
    evaluator = calls.on(plan)
    led = lead_all(method, plan, request, given, evaluator, options.budget, calls.leader)
    order = _order(structure, led.values)
    table = Table.of(led)
    amend(table)
    level = table.noise.max(axis=0)[order]
    slopes = Derivative(
        value=structure.unflatten(np.array(led.centres[0])[order], cast=False),
        error=structure.unflatten(level, cast=False),
        evaluations=1,
        noise=float(level.max()),
    )
    return _dense(Found(_symmetrised(table, order), slopes, led.evaluations, evaluator.remark), given)


def _order(structure: Structure, values: Values) -> Places:
    """Give the place of each entry of x in what gradient returned; keys may stand in another order there."""
    there = {leaf.path: leaf for leaf in values.structure.leaves}
    like_x = {leaf.path: leaf.shape for leaf in structure.leaves}
    if values.complex or {path: leaf.shape for path, leaf in there.items()} != like_x:
        what = f"complex numbers, {values.structure}" if values.complex else values.structure
        raise InputError(f"gradient returned {what}; expected real numbers, built like x: {structure}")
    return np.concatenate([np.arange(there[path].start, there[path].stop) for path in like_x])


def _symmetrised(table: Table, order: Places) -> Entries:
    """Take of each two mirror images the one with the better status, or else with the smaller bound."""
    count = len(order)
    entries = Entries.blank(*np.triu_indices(count, 1), np.zeros(count, np.uint8))
    one, other = (entries.first, order[entries.second]), (entries.second, order[entries.first])
    error, bad = table.truncation + table.rounding, table.codes >= PASSING
    swap = np.where(bad[one] == bad[other], error[other] < error[one], bad[one])
    at = np.where(swap, other[0], one[0]), np.where(swap, other[1], one[1])
    numbers = table.value, table.truncation, table.rounding, table.codes, table.step
    for into, part in zip(entries.numbers, numbers, strict=True):
        into[:] = part[at]
    gap = np.abs(table.value[one] - table.value[other])
    differ = (gap > error[one] + error[other]) & ~bad[one] & ~bad[other]
    entries.truncation[differ] = np.maximum(entries.truncation, gap)[differ]
    entries.codes[differ] = Status.UNRESOLVED.code
    for place, key in enumerate(zip(*(part.tolist() for part in at), strict=True)):
        if differ[place]:
            found = [f"{table.value[i[place], j[place]]:.6g}" for i, j in (one, other)]
            entries.told[place] = f"not a gradient: its derivative is {' one way round, '.join(found)} the other"
        elif key in table.told:
            entries.told[place] = table.told[key][0]
    return entries


def _dense(found: Found, given: Given) -> tuple[Derivative, Table]:
    """Write the entries and their mirror images into a table, and gather it."""
    entries, gradient, evaluations, remark = found
    structure = given.structure
    above, below = entries[:2], entries[1::-1]
    places = np.empty((structure.size, structure.size), np.intp)
    places[above] = places[below] = np.arange(entries.first.size)
    told: Told = {
        (int(i[place]), int(j[place])): (text, None, None)
        for place, text in entries.told.items()
        for i, j in (above, below)
    }
    value, truncation, rounding, codes, step = (part[places] for part in entries.numbers)
    table = Table(value, truncation, rounding, codes, step, np.broadcast_to(gradient.noise, places.shape), told)
    result = gathered(
        table,
        values_first(structure, structure),
        evaluations=evaluations,
        noise=gradient.noise,
        fx=gradient.fx,
        dtype=_precision(given),
        remark=remark,
        gradient=gradient,
    )
    return result, table


def _precision(given: Given) -> Any:
    return np.longdouble if given.vector.dtype == np.longdouble else np.float64
