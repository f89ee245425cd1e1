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
    """Check a gradient, a Jacobian or a Hessian that somebody wrote against f itself.

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

    Returns
    -------
    CheckReport

    Raises
    ------
    InputError
        If x, an option, what f or what gradient returns cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> mb.check(lambda x: np.sum(np.sin(x)), np.cos, x).ok
    True
    """
    for name, number in (("rtol", rtol), ("atol", atol)):
        if number is not None and not (isinstance(number, int | float | np.number) and 0 <= number < np.inf):
            raise InputError(f"{name} is {number!r}; expected a finite number of at least 0")
    with one_evaluator(Options(method, None, 0.0, bounds, noise, budget, vectorized, workers, evaluator)) as options:
        numeric = Numeric(f, x, options)
        source = Source(gradient, numeric, rtol, float(atol))
        examination = Examination(source, numeric)
        affordable = budget is None or budget >= COLUMN * numeric.ins.size
        if exhaustive or (source.claim.size <= FEW and affordable):
            learn(examination, numeric.everything(RESERVE), np.arange(numeric.ins.size), numeric.rows)
            return assembled(examination, None, seed)
        search = Search(examination, Directions(source, numeric, seed))
        search.run()
        return assembled(examination, search, seed)
