"""The verbs: derivative, partial, mixed, gradient, directional, jacobian, vjp. They check and route what is given."""

import math
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Method, Request, Together
from mibun.errors import FunctionUnchanged, InputError
from mibun.evaluate import Led, Serial, Vectorized, alone, lead
from mibun.evaluate.calls import Calls, calling
from mibun.evaluate.drive import MOST, Leading
from mibun.evaluate.gather import Arrange, Table, gathered, level, points_first, settled, values_first
from mibun.evaluate.serial import located
from mibun.evaluate.together import lead_together, takes_together
from mibun.evaluate.values import Values
from mibun.evaluate.weighed import Nothing, Weighed
from mibun.given import ROOM, Given, taken
from mibun.methods import Adaptive, MixedPartial
from mibun.options import Options, asked, chain_asked, documented, multi_index, ordered
from mibun.plan import Plan, along, both_axes, coordinatewise, pointwise, together
from mibun.result import Derivative, number
from mibun.sparse import sparse_jacobian
from mibun.status import Note, Status
from mibun.structure import Structure

__all__ = ["derivative", "directional", "gradient", "jacobian", "mixed", "partial", "vjp"]

LARGEST: Final = sys.float_info.max
UNCHANGED: Final = "f did not change: does it use its argument?"


@documented
def derivative(
    f: Callable[[Any], Any],
    x: Any,
    *,
    order: int = 1,
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
    """Differentiate a function of one number, at one point or at many.

    Parameters
    ----------
    f : callable
        From one number to a number, an array of shape T or a structure.
    x : number or array of shape X
        Every entry is a point on its own. Complex x means an analytic f: its slopes along the real and the imaginary
        axis are both taken, and where they differ f is refused (status unresolved); those of even order do not tell
        a function of the conjugate.
    order : int
        Of the derivative: 1 to 4, or to 8 with ``method="complex"``: values around x in the complex plane, for an
        analytic f. The error of order 2, 3, 4 is some 1e-10, 1e-8, 1e-6 of f/L^order, L the length on which f changes,
        and covers the truth in more than 99 % of random problems (`benchmarks/results/orders.md`). A jump of the second
        derivative is named as a kink, most of those of the third and fourth, too; not all. Default: 1.
    {options}

    Returns
    -------
    Derivative
        Of shape (*X, *T), with a bound on the error of every entry.

    Raises
    ------
    {errors}

    Examples
    --------
    >>> import math
    >>> import mibun.derivatives as mb
    >>> d = mb.derivative(math.sin, 1.0)
    >>> abs(d.value - math.cos(1.0)) <= d.error < 1e-12
    True
    >>> d = mb.derivative(lambda t: [math.cos(t), math.sin(t)], [0.0, 1.0])
    >>> d.value.shape, bool(abs(d.value[1, 0] + math.sin(1.0)) <= d.error[1, 0])
    ((2, 2), True)
    >>> d = mb.derivative(math.exp, 0.0, order=4)
    >>> abs(d.value - 1.0) <= d.error < 1e-6
    True
    """
    known: tuple[Any, ...] = ()
    chosen, request = asked(f, method, rtol, atol, bounds, noise, budget, vectorized)
    request = ordered(chosen, request, order)
    here = evaluator is None and workers is None and not vectorized and type(request.start) is float
    if here and (type(x) is float or type(x) is int) and bounds is None and abs(x) <= LARGEST:
        found, f0 = _number(f, float(x), chosen, request)
        if found is not None:
            return found
        known = (f0,)
    given = taken(x, bounds, complex_too=True)
    options = Options(method, rtol, atol, bounds, noise, budget, vectorized, workers, evaluator)
    with calling(f, options) as calls:
        return warned(*_derivative(calls, chosen, request, given, budget, known))


def _derivative(
    calls: Calls, chosen: Method, request: Request, given: Given, budget: int | None, known: tuple[Any, ...]
) -> tuple[Derivative, Table]:
    """Differentiate at every entry of x, each a point on its own."""
    structure, vector = given.structure, given.vector
    if structure.kind == "structure":
        raise InputError("x is a structure; derivative differentiates at one number or an array of them, use gradient")
    plan = pointwise(structure, vector)
    if vector.dtype.kind == "c":
        plan = both_axes(plan, pointwise(structure, vector, imaginary=True))
        given = given._replace(lower=np.full(2 * vector.size, -math.inf), upper=np.full(2 * vector.size, math.inf))
    points = calls.on(plan, known)
    led = lead_all(chosen, plan, request, given, points, budget, calls.leader)
    table = Table.of(led)
    centres = np.array(led.centres)
    if vector.dtype.kind == "c":
        table, centres = table.analytic(request.order), centres[: len(centres) // 2]
    if led.values.complex:
        centres = _joined(centres)
    arrange = points_first(structure.leaves[0].shape, led.values.structure)
    return _result(table, arrange, led, points, given, arrange(table.noise), arrange(centres)), table


@documented
def partial(
    f: Callable[[Any], Any],
    x: Any,
    index: Any,
    *,
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
    """Differentiate f with respect to one entry of x, while all others stay.

    Parameters
    ----------
    f : callable
        From x to a number, an array of shape T or a structure.
    x : number, array or structure
    index : int, tuple
        Which entry: flat, ``(2, 1)`` in an array, ``("W", 2, 1)`` in a structure.
    {options}

    Returns
    -------
    Derivative
        Of the shape of f(x).

    Raises
    ------
    {errors}

    Examples
    --------
    >>> import mibun.derivatives as mb
    >>> d = mb.partial(lambda x: x[0] ** 2 + x[1] ** 3, [3.0, 4.0], 1)
    >>> abs(d.value - 48.0) <= d.error < 1e-9
    True
    """
    options = Options(method, rtol, atol, bounds, noise, budget, vectorized, workers, evaluator)
    chosen, request = asked(f, *options)
    given = taken(x, options.bounds)
    place = given.structure.index(index)
    plan = coordinatewise(given.structure, given.vector, [place])
    given = given._replace(lower=given.lower[[place]], upper=given.upper[[place]])
    with calling(f, options) as calls:
        return _single(calls, plan, chosen, request, given, options)


@documented
def mixed(
    f: Callable[[Any], Any],
    x: Any,
    orders: Mapping[Any, int],
    *,
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
    """Differentiate f with respect to several entries of x at once: ``mixed(f, x, {0: 2, 3: 1})`` is d^3 f/dx0^2 dx3.

    Parameters
    ----------
    f : callable
        From x to a number, an array of shape T or a structure.
    x : number, array or structure
    orders : dict
        For each entry, as in `partial`, how often f is differentiated with respect to it: at least once, and at most
        4 times in all. One entry alone gives the derivative of that order, as `derivative` does.
    {options}

    Returns
    -------
    Derivative
        Of the shape of f(x); `step` is the largest of those of the entries.

    Raises
    ------
    {errors}

    Notes
    -----
    Differences on lattices that shrink, extrapolated; the steps come from a search along each entry. The shares of
    random problems in which the error covers the truth stand in `benchmarks/results/orders.md`. It fails where f has no
    derivative in a direction between the entries, though it has one along each of them, as max(x0·x1, 0) at 0. Two
    entries take at most 40 evaluations; three smooth ones 35 to 40 mostly, four some 50, noise up to 80 and 120. With
    three or four entries the bound can be far above the error; `rtol` asks for more. Several entries want the adaptive
    method.

    Examples
    --------
    >>> import math
    >>> import mibun.derivatives as mb
    >>> d = mb.mixed(lambda x: math.exp(2 * x[0]) * math.sin(x[1]), [0.0, 1.0], {0: 2, 1: 1})
    >>> abs(d.value - 4 * math.cos(1.0)) <= d.error < 1e-6
    True
    """
    options = Options(method, rtol, atol, bounds, noise, budget, vectorized, workers, evaluator)
    chosen, request = asked(f, *options)
    given = taken(x, options.bounds)
    counts = multi_index(given.structure, orders)
    places = list(counts)
    if len(places) == 1:
        request = ordered(chosen, request, counts[places[0]])
        plan = coordinatewise(given.structure, given.vector, places)
        given = given._replace(lower=given.lower[places], upper=given.upper[places])
        with calling(f, options) as calls:
            return _single(calls, plan, chosen, request, given, options)
    if not isinstance(chosen, Adaptive):
        raise InputError(f'method is {chosen} for {len(places)} entries; write method="adaptive", or one entry alone')
    plan = together(given.structure, given.vector, places)
    units = [coordinatewise(given.structure, given.vector, [place]).units[0] for place in places]
    limits = tuple(zip(given.lower[places].tolist(), given.upper[places].tolist(), units, strict=True))
    most = MOST * (len(places) - 1)
    whole = request._replace(start=0.0, budget=most if budget is None else min(int(budget), most))
    with calling(f, options) as calls, np.errstate(all="ignore"):
        points = calls.on(plan)
        led = lead(MixedPartial(tuple(counts.values()), limits), plan, [whole], points, budget, most=most)
        return _entry(led, points, given)


@documented
def directional(
    f: Callable[[Any], Any],
    x: Any,
    direction: Any,
    *,
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
    """Differentiate ``f(x + t·direction)`` with respect to t at t = 0: the Jacobian times the direction.

    Parameters
    ----------
    f : callable
        From x to a number, an array of shape T or a structure.
    x : number, array or structure
    direction : like x
        Not normalised: twice the direction has twice the derivative. Steps, too, are in units of it.
    {options}

    Returns
    -------
    Derivative
        Of the shape of f(x).

    Raises
    ------
    {errors}

    Examples
    --------
    >>> import mibun.derivatives as mb
    >>> d = mb.directional(lambda x: x[0] * x[1], [3.0, 4.0], [1.0, 2.0])
    >>> abs(d.value - 10.0) <= d.error < 1e-11
    True
    """
    options = Options(method, rtol, atol, bounds, noise, budget, vectorized, workers, evaluator)
    asked(f, *options)
    given = taken(x, options.bounds)
    way = given.structure.flatten(direction, dtype=np.float64, name="direction")
    if not np.isfinite(way).all() or not way.any():
        raise InputError(f"direction is {direction!r}; expected finite numbers that are not all 0")
    return along_line(f, given, way, options)


def along_line(
    f: Callable[[Any], Any],
    given: Given,
    way: NDArray[Any],
    options: Options,
    nearer: float = 1.0,
    centre: tuple[Values, list[float]] | None = None,
) -> Derivative:
    """Differentiate along a direction: `directional`, for x that was taken apart before.

    Parameters
    ----------
    f, given, way, options
        The function, x, the direction as a flat vector, and the options of the verb.
    nearer : float
        A power of 2, by which the first steps are shorter; see `mibun.plan.along`.
    centre : (Values, list), optional
        f(x) as a row of numbers, and its layout, where it is known; it is counted as an evaluation all the same.
    """
    chosen, request = asked(f, *options)
    plan = along(given.structure, given.vector, way, nearer)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(given.lower - given.vector) / way, (given.upper - given.vector) / way])[:, way != 0]
    # a little less than the way to the bounds, so that rounding does not lead across them
    shrink = 1.0 - 2.0**-48
    low, high = float(ends.min(axis=0).max()) * shrink, float(ends.max(axis=0).min()) * shrink
    start = plan.starts[0]
    if not max(-low, high) > ROOM * plan.units[0] * start:
        raise InputError(f"bounds are {options.bounds!r}; they leave no room along the direction on either side of x")
    given = given._replace(lower=np.array([start + low]), upper=np.array([start + high]))
    with calling(f, options) as calls:
        return _single(calls, plan, chosen, request, given, options, centre)


@documented
def gradient(
    f: Callable[[Any], Any],
    x: Any,
    *,
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
    """Differentiate a function that returns one number, with respect to every entry of x.

    Parameters
    ----------
    f : callable
        From x to one number, as a number or as an array with one entry.
    x : number, array or structure
    {options}

    Returns
    -------
    Derivative
        With the structure of x.

    Raises
    ------
    {errors}

    Examples
    --------
    >>> import numpy as np
    >>> import mibun.derivatives as mb
    >>> d = mb.gradient(lambda p: p["a"] * np.sum(p["b"] ** 2), {"a": 2.0, "b": np.array([1.0, 3.0])})
    >>> abs(d.value["a"] - 10.0) <= d.error["a"], bool(np.all(abs(d.value["b"] - [4.0, 12.0]) <= d.error["b"]))
    (True, True)
    """
    options = Options(method, rtol, atol, bounds, noise, budget, vectorized, workers, evaluator)
    wish = chain_asked(options)
    if wish is not None:
        from mibun.chain.method import chain_gradient

        return _told(chain_gradient(f, x, wish))
    chosen, request = asked(f, *options)
    given = taken(x, bounds)
    with calling(f, options) as calls:
        points = calls.on(coordinatewise(given.structure, given.vector))
        return warned(*_gradient(calls, points, chosen, request, given, options))


@documented
def jacobian(
    f: Callable[[Any], Any],
    x: Any,
    *,
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
    """Differentiate every number that f returns with respect to every entry of x.

    All numbers that f returns share the points at which f is evaluated; each has a step and a bound of its own, so
    outputs of different scale do not spoil each other.

    Parameters
    ----------
    f : callable
        From x to a number, an array of shape T or a structure.
    x : number, array of shape S or structure
    sparsity : scipy.sparse matrix, array of bool or numbers, Sparsity or "detect", optional
        Which entries can differ from 0, in shape (f(x).size, x.size): columns without a common row then move together,
        and f is called as often for a million columns as for a few. Of a sparse matrix all stored entries count, of
        an array those that are not 0. The colours of the last few are remembered. "detect" finds the
        pattern by probing, in about 4·log2(x.size) calls for a few bands. Needs SciPy, a real f, and arrays for x and
        f(x).
    {options}

    Returns
    -------
    Derivative
        (*T, *S); for structures that of f(x), with the structure of x in each leaf. With `sparsity`, value, error,
        truncation, rounding, status and step are scipy.sparse matrices of the pattern, zeros stored, and `evaluations`
        are calls of f.

    Raises
    ------
    {errors}
    MissingDependency
        If `sparsity` is given and SciPy is not installed.

    Notes
    -----
    With `sparsity` columns that have no row in common move in one call (A. Curtis, M. Powell and J. Reid, IMA J. Appl.
    Math. 13 (1974) 117-119); each entry has its own step and bound, and one that needs more points gets them alone. The
    result is compared with f along a random direction, in four calls: where a row differs, the pattern is probed again,
    and entries that it missed are added and named in a note. A miss that is felt less than a millionth of its row stays
    unseen, and makes other entries of the row wrong by as much. A `budget` counts calls of f.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun.derivatives as mb
    >>> d = mb.jacobian(lambda x: np.array([x[0] * x[1], np.exp(x[0])]), [0.0, 2.0])
    >>> bool(np.all(abs(d.value - [[2.0, 0.0], [1.0, 0.0]]) <= d.error)), bool(np.all(d.error < 1e-11))
    (True, True)

    Broyden's tridiagonal function, a million entries as cheap in calls as a hundred; a pattern that misses entries
    is noticed in a random direction, mended by probing, and reported in a note:

    >>> def broyden(x):
    ...     left, right = np.append(0.0, x[:-1]), np.append(x[1:], 0.0)
    ...     return (3 - 2 * x) * x - left - 2 * right + 1
    >>> d = mb.jacobian(broyden, -np.ones(100), sparsity="detect")
    >>> d.value.nnz, float(d.value[5, 5]), bool(abs(d.value.diagonal() - 7.0).max() <= d.error.max())
    (298, 7.0, True)
    """
    options = Options(method, rtol, atol, bounds, noise, budget, vectorized, workers, evaluator)
    wish = chain_asked(options)
    if wish is not None:
        if sparsity is not None:
            raise InputError(
                'sparsity is given with method="chain", which takes one way back for each number that f returns; leave '
                'sparsity out, or write method="adaptive"'
            )
        from mibun.chain.method import chain_jacobian

        return _told(chain_jacobian(f, x, wish))
    chosen, request = asked(f, *options)
    if sparsity is not None:
        with calling(f, options) as calls:
            return sparse_jacobian(calls, x, sparsity, chosen, request, options)
    given = taken(x, options.bounds)
    plan = coordinatewise(given.structure, given.vector)
    with calling(f, options) as calls:
        points = calls.on(plan)
        led = lead_all(chosen, plan, request, given, points, budget, calls.leader)
    table = Table.of(led)
    arrange = values_first(given.structure, led.values.structure)
    fx = led.values.built(led.centres[0])
    return warned(_result(table, arrange, led, points, given, level(led.values, table.noise), fx), table)


@documented
def vjp(
    f: Callable[[Any], Any],
    x: Any,
    cotangent: Any,
    *,
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
    """Multiply the transposed Jacobian by a cotangent: the gradient of ``sum(conj(cotangent) · f(x))``.

    It costs as much as a gradient, however many numbers f returns. Entries of f whose cotangent is 0 do not count, even
    where they are nan. Where the others cancel in the sum, its error has the rounding of each of them.

    Parameters
    ----------
    f : callable
        From x to a number, an array of shape T or a structure.
    x : number, array or structure
    cotangent : like f(x)
    {options}

    Returns
    -------
    Derivative
        With the structure of x; `fx` is f(x), `noise` that of the sum.

    Raises
    ------
    {errors}

    Examples
    --------
    >>> import numpy as np
    >>> import mibun.derivatives as mb
    >>> d = mb.vjp(lambda x: np.array([x[0] * x[1], x[1] ** 2]), [3.0, 4.0], [1.0, 10.0])
    >>> bool(np.all(abs(d.value - [4.0, 83.0]) <= d.error))
    True
    """
    options = Options(method, rtol, atol, bounds, noise, budget, vectorized, workers, evaluator)
    wish = chain_asked(options)
    if wish is not None:
        from mibun.chain.method import chain_vjp

        return _told(chain_vjp(f, x, cotangent, wish))
    chosen, request = asked(f, *options)
    given = taken(x, bounds)
    values = Structure.of(cotangent, name="cotangent")
    weights = np.conj(values.flatten(cotangent, name="cotangent"))
    if not np.isfinite(weights).all():
        raise InputError(f"cotangent is {cotangent!r}; expected finite numbers")
    if not weights.any():
        chosen, options = Nothing(), options._replace(budget=None)
    with calling(f, options) as calls:
        weighed = Weighed(f, values, weights, coordinatewise(given.structure, given.vector), vectorized)
        points = calls.on(weighed.plan, through=weighed)
        found, table = _gradient(calls, points, chosen, request, given, options, weighed.widen)
    found = replace(found, fx=weighed.fx())
    return found if weighed.changed or not weights.any() else warned(found, table)


def _gradient(
    calls: Calls,
    points: Serial | Vectorized,
    chosen: Method,
    request: Request,
    given: Given,
    options: Options,
    amend: Callable[[Table], None] = lambda _: None,
) -> tuple[Derivative, Table]:
    """Differentiate one number with respect to every entry; `amend` may change what was found."""
    led = lead_all(chosen, points.plan, request, given, points, options.budget, calls.leader, scalar=True)
    table = Table.of(led)
    amend(table)

    def arrange(matrix: NDArray[Any]) -> Any:
        return given.structure.unflatten(matrix[:, 0], cast=False)

    fx = _joined(np.array(led.centres))[0, 0] if led.values.complex else float(led.centres[0][0])
    noise = float(table.noise.max())
    return _result(table, arrange, led, points, given, noise, complex(fx) if led.values.complex else fx), table


def _single(
    calls: Calls,
    plan: Plan,
    chosen: Method,
    request: Request,
    given: Given,
    options: Options,
    centre: tuple[Values, list[float]] | None = None,
) -> Derivative:
    """Differentiate with respect to the one element of a plan, with f(x) known or not."""
    points, centres = calls.on(plan), None
    if centre is not None:
        points.values, centres = centre[0], [centre[1]]
    led = lead_all(chosen, plan, request, given, points, options.budget, calls.leader, centres=centres)
    return _entry(led, points, given)


def _entry(led: Led, points: Serial | Vectorized, given: Given) -> Derivative:
    """Build the result of one element, in the shape of f(x)."""
    table = Table.of(led)
    arrange = points_first((), led.values.structure)
    return _result(table, arrange, led, points, given, level(led.values, table.noise), led.values.built(led.centres[0]))


@np.errstate(all="ignore")
def _number(f: Callable[[Any], Any], x: float, method: Method, request: Request) -> tuple[Derivative | None, Any]:
    """Differentiate a function from float to float, and give f(x) too; None if that is no number of Python.

    Nothing here is done for arrays.
    """
    try:
        f0 = f(x)
    except Exception as reason:  # named and raised again, whatever it is
        located(reason, f"f raised this at x = {x!r}")
        raise
    # float64 is a float, and so is what math returns; a bool is no number
    if type(f0) is not float:
        if not isinstance(f0, float) and (type(f0) is not int or abs(f0) > LARGEST):
            return None, f0
        f0 = float(f0)
    estimate, evaluations, faults = alone(f, x, f0, method, request)
    value, truncation, rounding, status, step, noise, message, left, right = estimate
    error = truncation + rounding
    if not error - error == value - value == 0.0:  # inf or nan
        value, truncation, rounding, status = settled(estimate)[:4]
        error = truncation + rounding
    notes: tuple[Note, ...] = ()
    if message or status is not Status.CONVERGED:
        text = message or status.value.split(";")[0]
        if faults is not None:
            text = f"{text}; {faults.texts[0]}"
        notes = (Note((), status, text, left, right),)
    return number(value, error, truncation, rounding, status, step, evaluations, noise, f0, None, notes), f0


def lead_all(
    method: Method,
    plan: Plan,
    request: Request,
    given: Given,
    points: Serial | Vectorized,
    budget: int | None,
    leader: type[Leading],
    scalar: bool = False,
    centres: list[list[float]] | None = None,
) -> Led:
    """Lead the conversations about all elements, each with its own bounds; many plain ones together."""
    request.check(len(plan.starts))
    if leader is Leading and given.unbounded and takes_together(method, plan, request, budget):
        with np.errstate(all="ignore"):
            led = lead_together(cast(Together, method), plan, request, points)
        if isinstance(led, Led):
            return led
        centres = led
    limits = zip(given.lower.tolist(), given.upper.tolist(), plan.units, strict=True)
    requests = [
        request.of(element)._replace(lower=lower, upper=upper, unit=unit)
        for element, (lower, upper, unit) in enumerate(limits)
    ]
    with np.errstate(all="ignore"):
        return lead(method, plan, requests, points, budget, scalar, centres, leader=leader)


def _result(
    table: Table, arrange: Arrange, led: Led, points: Serial | Vectorized, given: Given, noise: Any, fx: Any
) -> Derivative:
    """Build the result in the precision of x, at least float64."""
    dtype = np.longdouble if given.vector.dtype == np.longdouble else np.float64
    return gathered(table, arrange, evaluations=led.evaluations, noise=noise, fx=fx, dtype=dtype, remark=points.remark)


def warned(found: Derivative, table: Table) -> Derivative:
    """Warn if f is the same at all points of two or more elements: the mistake of an f that ignores its argument."""
    if len(table.codes) > 1 and (table.codes == Status.INSENSITIVE.code).all():
        warnings.warn(UNCHANGED, FunctionUnchanged, stacklevel=3)
    return found


def _told(found: Derivative) -> Derivative:
    """Warn of the same mistake where f was recorded."""
    notes = [note.message for note in found.notes if note.element is None and note.status is Status.INSENSITIVE]
    if notes:
        warnings.warn(notes[0], FunctionUnchanged, stacklevel=3)
    return found


def _joined(rows: NDArray[Any]) -> NDArray[Any]:
    """Make complex numbers of rows that hold all real parts and then all imaginary ones."""
    half = rows.shape[1] // 2
    return np.asarray(rows[:, :half] + 1j * rows[:, half:])
