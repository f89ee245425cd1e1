"""The verb `check`: it says whether a derivative that somebody wrote is the derivative of f."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from mibun.checker.assemble import assembled
from mibun.checker.directions import Directions
from mibun.checker.examine import Examination
from mibun.checker.numeric import Numeric
from mibun.checker.report import CheckReport
from mibun.checker.search import Search
from mibun.checker.secondlook import learn
from mibun.checker.source import Source
from mibun.errors import InputError
from mibun.evaluate.calls import one_evaluator
from mibun.options import Options
from mibun.text import clip

__all__ = ["check"]

#: A claim of at most so many elements is checked element by element.
FEW: Final = 256
#: Evaluations of one element, about.
COLUMN: Final = 12
#: Evaluations of a budget that are kept for looking twice.
RESERVE: Final = 48


def check(
    f: Callable[[Any], Any],
    gradient: Any,
    x: Any,
    *,
    rtol: float | None = None,
    atol: float = 0.0,
    seed: int = 0,
    exhaustive: bool = False,
    method: Any = "adaptive",
    noise: float | None = None,
    bounds: Any = None,
    budget: int | None = None,
    vectorized: bool = False,
    workers: Any = None,
    evaluator: Any = None,
) -> CheckReport:
    """Check a gradient, a Jacobian or a Hessian that somebody wrote, and name the elements that are wrong.

    Parameters
    ----------
    f : callable
        From x to a number (its gradient is checked) or to an array or structure (its Jacobian). For a Hessian give the
        gradient as f, and the Hessian as gradient.
    gradient : callable, array or structure
        What is to be checked, or a function of x that gives it. Like x for an f of one number; of shape (*T, *S) for
        f(x) of shape T and x of shape S; for structures that of f(x) with that of x in each leaf; a scipy.sparse matrix
        of shape (f(x).size, x.size).
    x : number, array or structure
        Where. Elements are named by its keys: ``W[2, 1]``.
    rtol, atol : float, optional
        An element is wrong if it is off by more than ``error + atol + rtol·max(|given|, scale)``: error is the bound of
        the numeric derivative, scale the largest entry of the same parameter. Default of rtol: 1e-8, where x or
        gradient is float32 1e-4, and 2e-2 in half precision; for a right gradient is not good to its last bit.
    seed : int
        Of random directions. Default: 0.
    exhaustive : bool
        Differentiate every element by itself, some 11 evaluations of f each. Default: if there are at most 256, and
        otherwise along random directions, with bisection to what they show.
    method : str or method value
        As for the other verbs; "chain" for an f that is written with NumPy.
    noise : float, optional
        Absolute noise level of f. Default: found.
    bounds : (lower, upper), optional
        f is not evaluated outside them.
    budget : int, optional
        Most evaluations of f, never passed. Default: some 11 an element if every one is looked at, else as many as the
        directions need, and 9,000 where there are many mistakes.
    vectorized : bool
        f takes a stack of points, (m, *S), and returns (m, *T); gradient gets one point.
    workers, evaluator
        As for the other verbs.

    Returns
    -------
    CheckReport
        Prints on one screen; `ok`, `wrong`, `undecided`, `subgradients`; `require` raises if it is not ok.

    Raises
    ------
    InputError
        If x, an option, what f or what gradient returns cannot be used: it says what was given and what is expected.
    Exception
        What f raises at x, or at every other point; what gradient raises at x.

    Notes
    -----
    What seems wrong is differentiated again from another starting step, and has to show close to x where f is not
    smooth. At a kink of f every value between the slopes of both sides is right. nan on either side is wrong. What the
    bound is too wide for is undecided. A float32 x is differentiated in float64 if f computes in it.

    Along a random direction a mistake of one element is seen for sure if it is larger than four times what rounding and
    noise hide there, which the report tells; several can cancel, with a chance that the report tells, too. The rates at
    which mistakes are found, and that of false alarms, stand in `benchmarks/results/check.md`. A check says nothing
    about other points than x: a branch that is not taken there is not seen.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> x = {"W": np.array([[1.0, -2.0], [0.5, 3.0]]), "b": np.array([0.1, 0.2])}
    >>> def loss(p):
    ...     return np.sum(np.tanh(p["W"] @ [1.0, 2.0] + p["b"]))
    >>> def slopes(p):
    ...     up = 1 - np.tanh(p["W"] @ [1.0, 2.0] + p["b"]) ** 2
    ...     return {"W": np.outer(up, [1.0, 2.0]), "b": up}
    >>> mb.check(loss, slopes, x).ok
    True
    >>> report = mb.check(loss, lambda p: {**slopes(p), "b": -slopes(p)["b"]}, x)
    >>> [finding.name for finding in report.wrong], report.kinds
    (['b[0]', 'b[1]'], ('sign flipped in b',))
    """
    for name, number in (("rtol", rtol), ("atol", atol)):
        if number is not None and not (isinstance(number, int | float | np.number) and 0 <= number < np.inf):
            raise InputError(f"{name} is {number!r}; expected a finite number of at least 0")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed is {seed!r}; expected a whole number of at least 0")
    settings = {"rtol": rtol, "atol": atol, "seed": seed, "exhaustive": exhaustive, "method": method, "noise": noise}
    settings |= {"bounds": bounds, "budget": budget, "vectorized": vectorized}
    with one_evaluator(Options(method, None, 0.0, bounds, noise, budget, vectorized, workers, evaluator)) as options:
        numeric = Numeric(f, x, options)
        source = Source(gradient, numeric, rtol, float(atol))
        examination, search = Examination(source, numeric), None
        affordable = budget is None or budget >= COLUMN * numeric.ins.size
        if numeric.lost.size:  # nan on either side is wrong, whatever is claimed
            some = np.arange(min(numeric.ins.size, FEW))
            examination.take(numeric.nowhere(some.size), some, numeric.lost[:FEW])
        if not numeric.rows.size:
            pass
        elif exhaustive or numeric.chain or (source.claim.size <= FEW and affordable):
            learn(examination, numeric.everything(RESERVE), np.arange(numeric.ins.size), numeric.rows)
        else:
            search = Search(examination, Directions(source, numeric, seed))
            search.run()
        return assembled(examination, search, _call(f, gradient, settings))


def _call(f: Any, gradient: Any, settings: dict[str, Any]) -> str:
    """Write the call, with what is not as usual."""
    usual = {"atol": 0.0, "exhaustive": False, "method": "adaptive", "vectorized": False}
    words = [f"{key}={value!r}" for key, value in settings.items() if value is not None and usual.get(key, ()) != value]
    return clip(f"mb.check({_named(f, 'f')}, {_named(gradient, 'gradient')}, {', '.join(['x', *words])})")


def _named(given: Any, otherwise: str) -> str:
    name = getattr(given, "__name__", "")
    return name if name.isidentifier() else otherwise
