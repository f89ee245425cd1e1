"""`mibun check`: say whether a function gives the gradient of another one, and name the elements that are wrong."""

import json
import warnings
from typing import Any, Final

import click

from mibun import checker
from mibun.cli.answer import FormulaCommand, prints_apart, read, show
from mibun.cli.inputs import folder_on_path, read_function, refused, short
from mibun.errors import FunctionUnchanged, InputError, MibunError
from mibun.methods import WORDS

__all__ = ["check"]

#: Exit statuses; 2 is that of bad input.
STATUS: Final = {"right": 0, "wrong": 1, "undecided": 3}

_EPILOG = """\b
Examples:
  mibun check model:loss --gradient model:grad --at x0.npy
  mibun check model:loss --gradient model:grad --at "[0.1, 0.2]" --json report.json
  mibun check model:residuals --gradient model:jacobian --at x0.npy --exhaustive
  mibun check model:grad --gradient model:hessian --at x0.npy

\b
The gradient is like the point; that of several numbers is a Jacobian, a row
for each. Points are given as to mibun gradient.

\b
Exit status: 0 right, 1 wrong, 2 bad input, 3 undecided (the numeric side is
too uncertain; the report says why), 130 interrupted.
"""


@click.command(cls=FormulaCommand, epilog=_EPILOG, short_help="Check a gradient that somebody wrote.")
@click.argument("function")
@click.option("--gradient", required=True, metavar="MODULE:FUNCTION", help="What gives the gradient to be checked.")
@click.option(
    "--at",
    required=True,
    metavar="POINT",
    help="Where: a number, JSON, values by name such as x=3,y=4, or a .npy file.",
)
@click.option(
    "--rtol",
    type=float,
    metavar="R",
    help="Relative tolerance of the verdict, beyond the numeric error. [default: 1e-8, 1e-4 in float32]",
)
@click.option("--atol", type=float, default=0.0, metavar="A", help="Absolute one. [default: 0]")
@click.option("--seed", type=click.IntRange(0), default=0, metavar="S", help="Of random directions. [default: 0]")
@click.option("--exhaustive", is_flag=True, help="Differentiate every element by itself, also of more than 256.")
@click.option("--method", default="adaptive", type=click.Choice(list(WORDS)), show_default=True)
@click.option("--noise", type=float, metavar="LEVEL", help="Absolute noise level of f. [default: found]")
@click.option("--budget", type=int, metavar="N", help="Most evaluations of f, never passed.")
@click.option("--workers", type=int, metavar="N", help="Evaluate f in N processes. [default: in this one]")
@click.option("--json", "path", metavar="FILE", help="Write everything that is known there, as JSON; - for stdout.")
def check(function: str, gradient: str, at: str, path: str | None, **given: Any) -> int:
    """Check the gradient of FUNCTION that somebody wrote against FUNCTION itself.

    FUNCTION is a formula, or module:function for a Python function that takes the point as one argument; the current
    folder is on the path.
    """
    f, x = read(function, at)
    with prints_apart():
        slopes = read_function(gradient)
    try:
        with prints_apart(), folder_on_path(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FunctionUnchanged)  # the report says so
            report = checker.check(f, slopes, x, **given)
    except MibunError:
        raise
    except (Exception, SystemExit) as error:
        raise refused(short(function.strip()), error) from error
    text = json.dumps(report.to_dict(), allow_nan=False)
    if path is not None and path.strip() == "-":
        show(text)
        return STATUS[report.verdict]
    if path is not None:
        try:
            with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 (as the shell names it)
                file.write(f"{text}\n")
        except OSError as error:
            raise InputError(f"--json {path} cannot be written: {error.strerror or error}") from error
    show(str(report))
    return STATUS[report.verdict]
