"""The options that all verbs take: their text, which is written once, and how they are checked."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from mibun.conversation import Method, Request
from mibun.errors import InputError
from mibun.methods import Adaptive, Chain, choose_method
from mibun.result import Derivative
from mibun.structure import Structure

__all__ = ["Options", "Wish", "asked", "chain_asked", "documented", "multi_index", "ordered", "tolerances"]

DEFAULT: Final = Request()
#: Order of a derivative, by the circle.
HIGHEST: Final = 8
#: Order of a mixed derivative, in all.
MOST_MIXED: Final = 4

OPTIONS: Final = """
    method : str or method value
        "adaptive" finds the step and bounds the error. "forward", "backward", "central" have a fixed step and "complex"
        a complex one; their error is an estimate. A value such as ``Central(accuracy=4, step=1e-3)`` has settings.
        "chain", of gradient, jacobian, vjp and hessian, records an f that is written with NumPy, and costs a few
        evaluations for any number of entries; without bounds, noise, budget, vectorized (`mibun.chain`).
    rtol, atol : float, optional
        Stop when error <= atol + rtol·|value|. Default: as good as floats allow.
    bounds : (lower, upper), optional
        f is not evaluated outside them. Each is None, a number for all entries, or like x, where None and missing keys
        mean no bound and a number can stand for an array. SciPy's Bounds are taken, too.
    noise : float, optional
        Absolute noise level of f. Default: found.
    budget : int, optional
        Most evaluations of f, never passed: split evenly before the start. Default: 40 an element.
    vectorized : bool
        f takes a stack of points, (m, *S), and returns (m, *T); f is then called with few stacks of about 96 KB.
    workers : int, executor, client or callable, optional
        Evaluate f in so many processes, or as `Evaluator` says, for this call. Default: here, one point at a time.
    evaluator : Evaluator, optional
        Workers that are kept for many calls, a store on disk, retries, a time limit."""

NOTES: Final = """
    Notes
    -----
    Differences are taken in double precision, also where x or f is longdouble: value and error of a longdouble x are
    longdouble numbers, and as good as those of a float64 x.
"""

ERRORS: Final = """
    InputError
        If x, an option or what f returns cannot be used: it says what was given and what to write instead.
    Exception
        What f raises at x, or at every other point; ArithmeticError and ValueError at some points mean outside the
        domain of f, and another step or side is used."""

Verb = TypeVar("Verb", bound=Callable[..., Derivative])


class Options(NamedTuple):
    """What all verbs take."""

    method: Any
    rtol: float | None
    atol: float
    bounds: Any
    noise: float | None
    budget: int | None
    vectorized: bool
    workers: Any = None
    evaluator: Any = None


def documented(verb: Verb) -> Verb:
    """Put the text about options and errors, which is the same for all verbs, where the docstring wants it."""
    text = (verb.__doc__ or "").replace("\n    {options}", OPTIONS).replace("\n    {errors}", ERRORS)
    own = "\n    Notes\n    -----\n"
    place = own if own in text else "\n    Examples\n"
    verb.__doc__ = text.replace(place, f"{NOTES}\n" if own in text else f"{NOTES}{place}")
    return verb


def asked(
    f: Any,
    method: Any,
    rtol: Any,
    atol: Any,
    bounds: Any,
    noise: Any,
    budget: Any,
    vectorized: Any,
    *_: Any,
) -> tuple[Method, Request]:
    """Check the options, but for the bounds, which depend on x; fast where all are as usual."""
    if not callable(f):
        raise InputError(f"f is {f!r}; expected a function, then x: gradient(f, x)")
    chosen = choose_method(method)
    start: Any = chosen.start if isinstance(chosen, Adaptive) else 0.0
    if (
        rtol is None
        and type(atol) is float
        and atol == 0.0
        and noise is None
        and budget is None
        and type(vectorized) is bool
    ):
        return chosen, DEFAULT if start == 0.0 else DEFAULT._replace(start=_each(start))
    tolerances(Options(method, rtol, atol, bounds, noise, budget, vectorized))
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int | np.integer) or budget < 1):
        raise InputError(f"budget is {budget!r}; expected a whole number of evaluations, at least 1")
    if not isinstance(vectorized, bool | np.bool_):
        raise InputError(f"vectorized is {vectorized!r}; expected True or False")
    most = DEFAULT.budget if budget is None else min(int(budget), DEFAULT.budget)
    level_given = None if noise is None else float(noise)
    asking = Request(float(rtol or 0.0), float(atol), noise=level_given, budget=most, start=_each(start))
    return chosen, asking


def tolerances(options: Options) -> None:
    """Check what is to be a number of at least 0."""
    for name in ("rtol", "atol", "noise"):
        given = getattr(options, name)
        if (given is not None or name == "atol") and (not _real(given) or not 0.0 <= given < math.inf):
            raise InputError(f"{name} is {given!r}; expected a finite number of at least 0")


class Wish(NamedTuple):
    """What was asked of the chain."""

    verify: bool
    errors: bool
    rtol: float | None
    atol: float


def chain_asked(options: Options) -> Wish | None:
    """Tell whether the method is the chain, and refuse the options that it does not know.

    Raises
    ------
    InputError
        If there are bounds, noise, a budget or stacks, which are for methods that move x.
    """
    method = options.method
    if method is Chain:
        raise InputError("method is the class Chain; write Chain(), a value of it")
    if not isinstance(method, Chain) and not (isinstance(method, str) and method == "chain"):
        return None
    for name in ("bounds", "noise", "budget", "vectorized", "workers", "evaluator"):
        given = getattr(options, name)
        if given is not (False if name == "vectorized" else None):
            raise InputError(
                f'{name} is {given!r} with method="chain", which evaluates f at x, and at a few points near it to '
                f'verify; leave {name} out, or write method="adaptive"'
            )
    tolerances(options)
    chosen = method if isinstance(method, Chain) else Chain()
    return Wish(bool(chosen.verify), bool(chosen.errors), options.rtol, options.atol)


def ordered(method: Method, request: Request, order: Any) -> Request:
    """Check the order of a derivative against what the method can do, and ask for it.

    A method says by its attribute `orders` which ones it can; without it that is the first alone.
    """
    if type(order) is int and order == 1:
        return request
    if isinstance(order, bool) or not isinstance(order, int | np.integer) or not 1 <= order <= HIGHEST:
        raise InputError(
            f'order is {order!r}; expected a whole number from 1 to 4, or to {HIGHEST} with method="complex"'
        )
    orders = getattr(method, "orders", range(1, 2))
    if order not in orders:
        wanted = (
            'write method="complex" for orders above 4, with an f that accepts complex numbers'
            if order > 4
            else 'write method="adaptive"'
        )
        raise InputError(f"order is {order} with {method}; its highest is {max(orders)}: {wanted}")
    return request._replace(order=int(order))


def multi_index(structure: Structure, orders: Any) -> dict[int, int]:
    """Give place and order of every entry that is named, by place, so that the order of the keys changes no bit."""
    if not isinstance(orders, Mapping) or not orders:
        raise InputError(f"orders are {orders!r}; expected entries of x with their orders, such as {{0: 2, 3: 1}}")
    found: dict[int, int] = {}
    for key, order in orders.items():
        if isinstance(order, bool) or not isinstance(order, int | np.integer) or order < 1:
            raise InputError(f"the order of entry {key!r} is {order!r}; expected a whole number of at least 1")
        place = structure.index(key)
        if place in found:
            raise InputError(f"{structure.place(place)} is named twice, once as {key!r}; write one order for it")
        found[place] = int(order)
    if sum(found.values()) > MOST_MIXED:
        raise InputError(f"orders are {dict(orders)!r}, {sum(found.values())} in all; expected at most {MOST_MIXED}")
    return dict(sorted(found.items()))


def _each(start: Any) -> Any:
    return np.array(start) if isinstance(start, tuple) else start


def _real(given: Any) -> bool:
    return isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)
