"""`mibun hessian`: differentiate a function that returns one number twice, with respect to every two entries of x."""

from typing import Any

import click

from mibun import hessians
from mibun.cli.answer import EXIT_STATUS, FormulaCommand, answer, options, read

__all__ = ["hessian"]

_EPILOG = (
    """\b
Examples:
  mibun hessian "x**2 * y" --at x=3,y=4
  mibun hessian model:cost --at "[3, 4]" --json    cost of model.py here; the JSON
                                                   has the gradient, too

\b
Points are given as to mibun gradient. Only the adaptive method has second
derivatives.

"""
    + EXIT_STATUS
)


@click.command(cls=FormulaCommand, epilog=_EPILOG, short_help="Differentiate a function of many numbers twice.")
@options
def hessian(function: str, at: str, as_json: bool, **given: Any) -> int:
    """Differentiate FUNCTION twice, with respect to every two numbers of a point, with bounds on the errors.

    FUNCTION is a formula, or module:function for a Python function that takes the point as one argument and returns one
    number; the current folder is on the path.
    """
    f, x = read(function, at)
    return answer(hessians.hessian, function, f, x, as_json, **given)
