"""The options that all verbs take: their text, which is written once, and how they are checked."""

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from mibun.conversation import Method, Request
from mibun.errors import InputError
from mibun.methods import choose_method
from mibun.result import Derivative

__all__ = ["Options", "asked", "documented"]

DEFAULT: Final = Request()

OPTIONS: Final = """
    method : str or method value
        "adaptive" finds the step and bounds the error. "forward", "backward", "central" have a fixed step and "complex"
        a complex one; their error is an estimate. A value such as ``Central(accuracy=4, step=1e-3)`` has settings.
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
        f takes a stack of points, (m, *S), and returns (m, *T); f is then called with few stacks of about 96 KB."""

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


def documented(verb: Verb) -> Verb:
    """Put the text about options and errors, which is the same for all verbs, where the docstring wants it."""
    text = (verb.__doc__ or "").replace("\n    {options}", OPTIONS).replace("\n    {errors}", ERRORS)
    own = "\n    Notes\n    -----\n"
    place = own if own in text else "\n    Examples\n"
    verb.__doc__ = text.replace(place, f"{NOTES}\n" if own in text else f"{NOTES}{place}")
    return verb


def asked(
    f: Any, method: Any, rtol: Any, atol: Any, bounds: Any, noise: Any, budget: Any, vectorized: Any
) -> tuple[Method, Request]:
    """Check the options, but for the bounds, which depend on x; fast where all are as usual."""
    if not callable(f):
        raise InputError(f"f is {f!r}; expected a function, then x: gradient(f, x)")
    if (
        rtol is None
        and type(atol) is float
        and atol == 0.0
        and noise is None
        and budget is None
        and type(vectorized) is bool
    ):
        return choose_method(method), DEFAULT
    for name, given in (("rtol", rtol), ("atol", atol), ("noise", noise)):
        if (given is not None or name == "atol") and (not _real(given) or not 0.0 <= given < math.inf):
            raise InputError(f"{name} is {given!r}; expected a finite number of at least 0")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int | np.integer) or budget < 1):
        raise InputError(f"budget is {budget!r}; expected a whole number of evaluations, at least 1")
    if not isinstance(vectorized, bool | np.bool_):
        raise InputError(f"vectorized is {vectorized!r}; expected True or False")
    most = DEFAULT.budget if budget is None else min(int(budget), DEFAULT.budget)
    level_given = None if noise is None else float(noise)
    return choose_method(method), Request(float(rtol or 0.0), float(atol), noise=level_given, budget=most)


def _real(given: Any) -> bool:
    return isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)
