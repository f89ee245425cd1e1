"""Derivatives in the forms that SciPy's solvers call for: `jac`, `hess`, `value_and_jac`, `linear_operator`.

A solver asks at one point after another, and f changes on much the same scale at the next one. So what is made here
remembers, between its calls, the steps at which f looked smooth, with which the next call begins, and the pattern of a
sparse matrix. That saves evaluations alone: every number has its bound, as always.
"""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.derivatives import directional, jacobian, vjp
from mibun.errors import MissingDependency
from mibun.hessians import hessian
from mibun.methods import Adaptive, Chain, choose_method
from mibun.methods.adaptive.scale import ASKED
from mibun.result import Derivative
from mibun.sparsity import Sparsity
from mibun.status import Status
from mibun.structure import as_array

__all__ = ["Repeated", "hess", "jac", "linear_operator", "value_and_jac"]

Floats = NDArray[np.float64]

#: Curvature at the step of two pairs, in units of the rounding of f: as small as it can be seen to be no noise.
SEEN: Final = 64.0
#: The first step of two pairs, as a share of that of five.
SMALL: Final = 2.0**-9
#: What rounding does to the slope of two pairs, in units of that of f over their step: 3, and to that of five: 42.
TWO: Final = 5.0
#: How far their error must be below the tolerance: the next slope may be smaller.
SPARE: Final = 2.0
#: Steps between these parts of x (of 1 at 0) are not remembered: what the next x suggests is as good.
NEAR: Final = (2.0**-6, 2.0**-2)


class Pairs(NamedTuple):
    """For each entry of x the step at which two pairs err least, and whether a call begins with it."""

    step: Floats
    begun: NDArray[np.bool_]


class Repeated:
    """A derivative that a solver asks for at one point after another: ``found(x, *args)``.

    Made by `jac`, `hess` and `value_and_jac`; one thread at a time may call it.

    Attributes
    ----------
    last : Derivative or None
        What the last call found, with the errors, statuses and notes that SciPy has no place for.
    evaluations : int
        Of f, in all calls.
    """

    def __init__(
        self,
        name: str,
        verb: Callable[..., Derivative],
        functions: Mapping[str, Callable[..., Any] | None],
        options: Mapping[str, Any],
        answer: Callable[[Derivative], Any],
    ) -> None:
        inspect.signature(verb).bind_partial(**options)  # an unknown word is told now
        self.name, self.verb, self.functions, self.answer = name, verb, functions, answer
        self.options = dict(options)
        method = self.options.get("method", "adaptive")
        chain = isinstance(method, Chain) or (isinstance(method, str) and method == "chain")
        self.method = None if chain else choose_method(method)  # and an unknown one is
        self.pattern: Sparsity | None = None
        self.at: Floats = np.empty(0)
        self.pairs: Pairs | None = None
        self.last: Derivative | None = None
        self.evaluations = 0

    def __call__(self, x: Any, *args: Any, **keywords: Any) -> Any:
        """Differentiate at x; all else is passed on to f. The result is new, x is neither changed nor kept."""
        functions = {name: _with(function, args, keywords) for name, function in self.functions.items()}
        found = self.verb(x=x, **functions, **self.resumed(x))
        if hasattr(found.value, "nnz") and (self.pattern is None or self.pattern.size != found.value.nnz):
            self.pattern = Sparsity.of(found.value)
        self.last, self.at = found, np.array(x, np.float64).reshape(-1)
        self.evaluations += found.evaluations
        return self.answer(found)

    def resumed(self, x: Any) -> dict[str, Any]:
        """Give the options, with what the last call has found."""
        options, count = dict(self.options), np.size(x)
        if options.get("bounds") is not None:
            options["bounds"] = _around(x, options["bounds"])
        if self.last is None:
            return options
        if self.pattern is not None and self.pattern.shape[1] == count:
            options["sparsity"] = self.pattern
        if isinstance(self.method, Adaptive) and self.at.size == count:
            start = _steps(self.last, self.at, self.method.start)
            tolerance = (options.get("rtol") or 0.0) * np.abs(self.last.value) + options.get("atol", 0.0)
            if self.verb is jacobian and isinstance(self.last.step, np.ndarray) and np.any(tolerance > 0):
                self.pairs = _pairs(self.last, self.at, tolerance, options.get("noise") or 0.0, self.pairs)
                start = np.where(self.pairs.begun, self.pairs.step, start)
            options["method"] = Adaptive(start=start.tolist())
        return options

    def __repr__(self) -> str:
        name = getattr(next(iter(self.functions.values())), "__name__", "f")
        return f"mibun.scipy.{self.name}({name}): {self.evaluations:,} evaluations so far"


def jac(f: Callable[..., Any], **options: Any) -> Repeated:
    """Make the function that `minimize`, `least_squares`, `root` and others take as ``jac=``.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` -> a number, or an array with one axis.
    **options
        Those of `mibun.jacobian`: ``bounds``, ``rtol``, ``noise``, ``sparsity``, ``workers``, ``evaluator``, ...
        ``rtol=1e-6`` is what a solver needs as long as it is far from its end: from the second call on most entries
        of x take 4 evaluations in the place of 10, at a step at which two pairs are good enough, with a bound that
        says so. ``method="central"`` takes 4 without a tolerance, and loses half of the digits; where f is written
        with NumPy, ``method="chain"`` takes a few in all. Bounds are taken in all forms that SciPy takes (pairs for an
        x of two entries look like (lower, upper): write `scipy.optimize.Bounds`); where a solver has left them, as
        "trust-constr" does, steps lead back.

    Returns
    -------
    Repeated
        ``jac(x, *args)``: shape (n,) where f returns one number, else (m, n), sparse with `sparsity`. Each call begins
        at the scale that the last one found; `last` is what that was, with its errors, `evaluations` what all cost.

    Raises
    ------
    TypeError
        For an option that there is not.
    InputError
        When called, as `mibun.jacobian`.

    Notes
    -----
    SciPy has no place for errors: at a kink it gets the mean of the two slopes, where there is no derivative nan.
    `last` tells. Evaluations for derivatives are not in SciPy's `nfev`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.optimize import minimize, rosen
    >>> import mibun as mb
    >>> slopes = mb.scipy.jac(rosen)
    >>> found = minimize(rosen, [-1.2, 1.0], jac=slopes, tol=1e-10)
    >>> found.success, bool(abs(found.x - 1.0).max() < 1e-9), bool(slopes.last.error.max() < 1e-11)
    (True, True, True)
    """
    return Repeated("jac", jacobian, {"f": f}, options, _matrix)


def value_and_jac(f: Callable[..., Any], **options: Any) -> Repeated:
    """Make a function that gives f(x) together with its derivative, for ``minimize(..., jac=True)``.

    It saves the evaluation at x, which `jac` makes once more.

    Parameters
    ----------
    f, **options
        As for `jac`.

    Returns
    -------
    Repeated
        ``value_and_jac(x, *args)``: f(x), and what `jac` gives.

    Raises
    ------
    TypeError, InputError
        As `jac`.

    Examples
    --------
    >>> from scipy.optimize import minimize, rosen
    >>> import mibun as mb
    >>> found = minimize(mb.scipy.value_and_jac(rosen), [-1.2, 1.0], jac=True, tol=1e-10)
    >>> bool(abs(found.x - 1.0).max() < 1e-9)
    True
    """
    return Repeated("value_and_jac", jacobian, {"f": f}, options, _value_and_matrix)


def hess(f: Callable[..., Any] | None, *, gradient: Callable[..., Any] | None = None, **options: Any) -> Repeated:
    """Make the function that `minimize` takes as ``hess=``.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` -> a number.
    gradient : callable, optional
        Its gradient, ``gradient(x, *args)``, where you have it: see `mibun.hessian`. f can be None then.
    **options
        Those of `mibun.hessian`; bounds as for `jac`.

    Returns
    -------
    Repeated
        ``hess(x, *args)``: (n, n), symmetric to the bit, sparse with `sparsity`.

    Raises
    ------
    TypeError, InputError
        As `jac`.

    Examples
    --------
    >>> from scipy.optimize import minimize, rosen
    >>> import mibun as mb
    >>> found = minimize(
    ...     rosen, [-1.2, 1.0], method="trust-exact", jac=mb.scipy.jac(rosen), hess=mb.scipy.hess(rosen)
    ... )
    >>> found.success, bool(abs(found.x - 1.0).max() < 1e-6)
    (True, True)
    """
    functions = {"f": f} if gradient is None else {"f": f, "gradient": gradient}
    return Repeated("hess", hessian, functions, options, _value)


def linear_operator(f: Callable[[Any], Any], x: Any, **options: Any) -> Any:
    """Make the Jacobian of f at x as a `scipy.sparse.linalg.LinearOperator`, of which no entry is kept.

    A product with a vector is one directional derivative, a dozen evaluations of f, however large x is. A product
    with the transpose (`rmatvec`) costs as much as a gradient: a dozen for each entry of x.

    Parameters
    ----------
    f : callable
        From x to an array of shape T, or a number. It is called once here, for that shape.
    x : array of shape S
    **options
        Those of `mibun.directional`.

    Returns
    -------
    LinearOperator
        Of shape (f(x).size, x.size), for flat vectors.

    Raises
    ------
    MissingDependency
        If SciPy is not installed.
    TypeError
        For an option that there is not.
    InputError
        As `mibun.directional`.

    Examples
    --------
    A step of Newton's method for 1,000 equations, without a matrix:

    >>> import numpy as np
    >>> from scipy.sparse.linalg import gmres
    >>> import mibun as mb
    >>> def f(x):
    ...     return x + 0.1 * np.roll(x, 1) ** 2 - 1.0
    >>> x = np.ones(1000)
    >>> step, status = gmres(mb.scipy.linear_operator(f, x), -f(x), rtol=1e-10)
    >>> status, bool(abs(step + 0.1 / 1.2).max() < 1e-10)
    (0, True)
    """
    try:
        from scipy.sparse.linalg import LinearOperator
    except ImportError as reason:
        raise MissingDependency.of("scipy", "scipy", "mb.scipy.linear_operator") from reason
    inspect.signature(directional).bind_partial(**options)
    point = np.array(as_array(x, "x"))  # x may be changed between the products
    fx = directional(f, point, np.ones(point.shape), **{**options, "budget": 1}).fx
    shape, size = np.shape(fx), np.size(fx)

    def product(vector: Floats) -> Floats:
        if np.iscomplexobj(vector):
            return product(vector.real) + 1j * product(vector.imag)
        if not vector.any():
            return np.zeros(size)
        return np.reshape(directional(f, point, np.reshape(vector, point.shape), **options).value, -1)

    def transposed(vector: Floats) -> Floats:
        if np.iscomplexobj(vector):
            return transposed(vector.real) + 1j * transposed(vector.imag)
        return np.reshape(vjp(f, point, np.reshape(vector, shape), **options).value, -1)

    return LinearOperator((size, point.size), matvec=product, rmatvec=transposed, dtype=np.float64)


def _with(
    function: Callable[..., Any] | None, args: tuple[Any, ...], keywords: dict[str, Any]
) -> Callable[[Any], Any] | None:
    """Bind the arguments that SciPy passes on."""
    if function is None or not (args or keywords):
        return function
    return lambda x: function(x, *args, **keywords)


def _value(found: Derivative) -> Any:
    return copy.copy(found.value)  # the caller's own


def _matrix(found: Derivative) -> Any:
    """Give the Jacobian as SciPy wants it: that of one number, in whatever shape, is a gradient."""
    value = _value(found)
    if hasattr(value, "nnz") or np.size(found.fx) != 1:
        return value
    return np.reshape(value, np.shape(value)[np.ndim(found.fx) :])[()]


def _value_and_matrix(found: Derivative) -> tuple[Any, Any]:
    return found.fx, _matrix(found)


def _around(x: Any, bounds: Any) -> Any:
    """Give lower and upper bounds with x between them: solvers can leave theirs, and are led back from there."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        bounds = bounds.lb, bounds.ub
    elif isinstance(bounds, Sequence) and len(bounds) == np.size(x) != 2:
        bounds = tuple(zip(*bounds, strict=True))
    if len(bounds) != 2 or (np.ndim(x) == 1 and type(bounds) is list and len(x) == 2):
        return bounds  # which is refused, and why
    return np.minimum(_numbers(bounds[0], -np.inf), x), np.maximum(_numbers(bounds[1], np.inf), x)


def _numbers(bound: Any, free: float) -> Floats:
    entries = np.asarray(bound, object)
    numbers = [free if entry is None else entry for entry in entries.flat]
    return np.array(numbers, np.float64).reshape(entries.shape)


def _steps(found: Derivative, x: Floats, usual: float | Sequence[float]) -> Floats:
    """Give the step with which the next call begins for each entry of x: the middle one of those of its column."""
    shown = found if found.gradient is None or found.gradient.step is None else found.gradient
    if hasattr(shown.step, "tocoo"):
        entries = shown.step.tocoo()
        columns, steps, good = entries.col, entries.data, shown.status.tocoo().data == Status.CONVERGED.code
    else:
        steps = np.reshape(shown.step, -1)
        columns = np.arange(steps.size) % x.size
        good = np.broadcast_to(np.reshape(shown.status == Status.CONVERGED, -1), steps.shape)
    columns, steps = columns[good], steps[good]
    order = np.lexsort((steps, columns))
    counts = np.bincount(columns, minlength=x.size)
    known = counts > 0
    middle = order[(np.cumsum(counts) - counts + (counts - 1) // 2)[known]]
    start = np.array(np.broadcast_to(usual, x.shape), np.float64)
    start[known] = steps[middle]
    share = start / np.where(x == 0, 1.0, np.abs(x))
    return np.where((share > NEAR[0]) & (share < NEAR[1]), usual, start)


def _pairs(found: Derivative, x: Floats, tolerance: Floats, noise: float, before: Pairs | None) -> Pairs:
    """Choose the step with which two pairs, 4 evaluations, meet a tolerance, where there is one.

    Their truncation grows like its square, and is known where the last call ended with two pairs; their rounding falls.
    At the step where the curvature is just seen above the rounding the error is least, and f can be far from where it
    was. Where not even that will do, or f was not smooth, a call begins as one that knows nothing: with five pairs.
    """
    rows = (-1, x.size)
    slope, step, truncation, rounding, tolerance = (
        np.reshape(part, rows)
        for part in (np.abs(found.value), found.step, found.truncation, found.rounding, tolerance)
    )
    eps, level = np.finfo(slope.dtype).eps, np.reshape(np.abs(found.fx), (-1, 1))
    unit = np.maximum(eps * (np.maximum(level, slope * step) + 3 * np.abs(x) * slope), noise)
    wide = np.where(x == 0, 1.0, np.abs(x)) / 16
    before = before or Pairs(wide, np.zeros(x.size, bool))
    with np.errstate(all="ignore"):
        known = step * np.clip(np.cbrt(SEEN * unit * ASKED / (truncation * step)), 0.25, 4.0)
        guess = np.where(before.step < wide, before.step * np.where(before.begun, 0.25, 1.0), step * SMALL)
        best = np.where(rounding * step <= TWO * unit, known, guess).min(axis=0)
        reached = np.max(SPARE * (ASKED * SEEN + 3) * unit / tolerance, axis=0) < best
    good = np.reshape(found.status == Status.CONVERGED, rows).all(axis=0)
    return Pairs(best, good & reached & (best < wide))
