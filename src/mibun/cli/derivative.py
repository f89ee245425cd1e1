"""`mibun derivative`: differentiate a function of one number."""

from collections.abc import Callable
from typing import Any

import click

from mibun import derivatives
from mibun.cli.answer import EXIT_STATUS, FormulaCommand, answer, options, read
from mibun.cli.inputs import read_bounds
from mibun.errors import InputError
from mibun.formula import Formula

__all__ = ["derivative"]

_EPILOG = (
    """\b
Examples:
  mibun derivative "exp(x)*sin(3*x)" --at 1.3
  mibun derivative "sin(x)" --at 1 --order 2            the second derivative
  mibun derivative "sqrt(x)" --at 0.01 --bounds 0,      never below 0
  mibun derivative "sin(x)" --at "[0, 0.5, 1]" --json   at three points
  mibun derivative model:cost --at -1e-3 --rtol 1e-3    cost of model.py here

\b
A formula has numbers, x, pi, e, + - * / **, brackets, and functions such as
sin, exp, log, sqrt, abs, max.

"""
    + EXIT_STATUS
)


@click.command(cls=FormulaCommand, epilog=_EPILOG, short_help="Differentiate a function of one number.")
@options
@click.option(
    "--order", type=int, default=1, metavar="K", show_default=True, help="Of the derivative: 1 to 4, to 8 with complex."
)
@click.option("--bounds", metavar="LOW,HIGH", help="f is not evaluated outside them; a side left out has no bound.")
def derivative(function: str, at: str, bounds: str | None, as_json: bool, **given: Any) -> int:
    """Differentiate FUNCTION at a point, with a bound on the error.

    FUNCTION is a formula, or module:function for a Python function of one number; the current folder is on the path.
    An array of points gives the derivative at each of them.
    """
    limits = None if bounds is None else read_bounds(bounds)
    f, x = read(function, at)
    return answer(derivatives.derivative, function, f, _number(f, x), as_json, bounds=limits, **given)


def _number(f: Callable[[Any], Any], x: Any) -> Any:
    """Take the value of the one variable of a formula out of ``x=1.3``."""
    if not isinstance(f, Formula):
        return x
    if len(f.variables) > 1:
        names = ", ".join(f.variables)
        raise InputError(f"the formula has the variables {names}; expected one here: mibun gradient takes several")
    if not isinstance(x, dict):
        return x
    if x.keys() != set(f.variables):
        raise InputError(f"--at gives {', '.join(x) or 'no value'}; expected {f.variables[0]}, the formula's variable")
    return x[f.variables[0]]
