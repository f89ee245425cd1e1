"""`mibun gradient`: differentiate a function that returns one number, with respect to every entry of x."""

from typing import Any

import click

from mibun import derivatives
from mibun.cli.answer import EXIT_STATUS, FormulaCommand, answer, options, read

__all__ = ["gradient"]

_EPILOG = (
    """\b
Examples:
  mibun gradient "x**2 + x*y" --at x=3,y=4
  mibun gradient model:cost --at "[3, 4]"               cost of model.py here
  mibun gradient model:cost --at start.npy --rtol 1e-3 --json
  mibun gradient model:Plant.cost --at '{"W": [[1, 2], [3, 4]], "b": 0.5}'

\b
In JSON a list is an array, and an object is a dict of numbers and arrays.
Without names, the values of a formula's variables stand in the order of the
alphabet, x2 before x10.

"""
    + EXIT_STATUS
)


@click.command(cls=FormulaCommand, epilog=_EPILOG, short_help="Differentiate a function of many numbers.")
@options
def gradient(function: str, at: str, as_json: bool, **given: Any) -> int:
    """Differentiate FUNCTION with respect to every number of a point, with bounds on the errors.

    FUNCTION is a formula, or module:function for a Python function that takes the point as one argument and returns one
    number; the current folder is on the path.
    """
    f, x = read(function, at)
    return answer(derivatives.gradient, function, f, x, as_json, **given)
