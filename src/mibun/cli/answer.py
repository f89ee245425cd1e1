"""What the commands that differentiate have in common: options, the call of the verb, and how its result is told."""

import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, Final, TypeVar

import click

from mibun.cli.inputs import read_function, read_point, refused, short
from mibun.errors import FunctionUnchanged, InputError, MibunError
from mibun.formula import Formula
from mibun.methods import WORDS
from mibun.result import Derivative, Status

__all__ = ["EXIT_STATUS", "FormulaCommand", "answer", "options", "prints_apart", "read", "show", "told_order"]

#: Exit status where an element has no number that can be trusted; the number is printed all the same.
DOUBTFUL: Final = 1
MOST_NOTES: Final = 12
EXIT_STATUS: Final = """\b
Exit status: 0 every number can be trusted (converged, noisy, one-sided,
insensitive), 1 some number cannot (kink, jump, not finite, unresolved, budget
spent: the best that was found is printed with the reason), 2 bad input, such
as a function that raises at the point itself, 130 interrupted.
"""

Command = TypeVar("Command", bound=Callable[..., int])

OPTIONS: Final = (
    click.option(
        "--method",
        default="adaptive",
        type=click.Choice(list(WORDS)),
        show_default=True,
        help="adaptive finds the step and bounds the error; the others have one step, and estimate the error.",
    ),
    click.option(
        "--rtol", type=float, metavar="R", help="Stop when error <= A + R·|value|. [default: as good as floats allow]"
    ),
    click.option("--atol", type=float, default=0.0, metavar="A", help="The A of --rtol. [default: 0]"),
    click.option("--noise", type=float, metavar="LEVEL", help="Absolute noise level of f. [default: found]"),
    click.option(
        "--budget", type=int, metavar="N", help="Most evaluations of f, never passed. [default: 40 an element]"
    ),
    click.option("--json", "as_json", is_flag=True, help="Print everything that is known as one line of JSON."),
)


class FormulaCommand(click.Command):
    """A command whose first word may be a formula that begins with a minus sign."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep ``-x**2`` from being read as options: only -h has one dash, and a blank changes nothing else."""
        option = re.compile(r"--|-h$|[^-]")
        return super().parse_args(ctx, [arg if option.match(arg) else f" {arg}" for arg in args])


def options(command: Command) -> Command:
    """Give a command the function, the point, and the options of the verbs."""
    for option in reversed(OPTIONS):
        command = option(command)
    help_at = "Where: a number, JSON, values by name such as x=3,y=4, or a .npy file."
    command = click.option("--at", required=True, metavar="POINT", help=help_at)(command)
    return click.argument("function")(command)


def read(function: str, at: str, option: str = "--at") -> tuple[Callable[[Any], Any], Any]:
    """Read the function and the point; what a module prints while it is imported goes to stderr."""
    x = read_point(at, option)
    with prints_apart():
        return read_function(function), x


@contextmanager
def prints_apart() -> Iterator[None]:
    """Send to stderr what is printed meanwhile, so that stdout has the result and nothing else.

    Other processes, and code that is not Python, know stdout only by its number, so that is led there, too.
    """
    _flush()
    try:
        kept = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # stdout or stderr is closed
        kept = None
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    with suppress(AttributeError, OSError, ValueError):  # there may be no stdout, or none that is open
        sys.__stdout__.flush()  # type: ignore[union-attr]


def answer(
    verb: Callable[..., Derivative],
    name: str,
    f: Callable[[Any], Any],
    x: Any,
    as_json: bool,
    **given: Any,
) -> int:
    """Differentiate, print the result, and give the exit status.

    What f prints goes to stderr, so that stdout has the result and nothing else.
    """
    try:
        with prints_apart(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FunctionUnchanged)  # the status of every element says so
            d = verb(f, x, **given)
    except MibunError:
        raise
    except (Exception, SystemExit) as error:
        raise refused(short(name.strip()), error) from error
    show(json.dumps(d.to_dict(), allow_nan=False) if as_json else _told(d))
    if not as_json:
        told_order(f, x)
    return 0 if d.passes else DOUBTFUL


def told_order(f: Callable[[Any], Any], x: Any) -> None:
    """Say which value of x is which variable of a formula, where it was given without names."""
    if isinstance(f, Formula) and len(f.variables) > 1 and not isinstance(x, dict):
        click.echo(f"The order is {', '.join(f.variables)}.")


def _told(d: Derivative) -> str:
    """Write value ± error, status and evaluations, notes in full, and a sentence for every status but converged."""
    printed = repr(d)
    single = isinstance(d.status, Status)
    if single:
        statuses = [d.status]
        printed = printed.partition("\n")[0].removeprefix("Derivative(").removesuffix(")")
    else:
        statuses = [status for status in Status if _occurs(d.status, status)]
    sentences = [f"{status}: {status.value}" for status in statuses if status is not Status.CONVERGED]
    already = "\n".join([printed, *sentences])
    notes = [f"  {note.told() if single else note}" for note in d.notes if note.told() not in already]
    return "\n".join([printed, *notes[:MOST_NOTES], *sentences])


def _occurs(tree: Any, status: Status) -> bool:
    if isinstance(tree, dict | list | tuple):
        entries = tree.values() if isinstance(tree, dict) else tree
        return any(_occurs(entry, status) for entry in entries)
    return tree is status if isinstance(tree, Status) else status in tree.counts()


def show(text: str) -> None:
    """Print, in letters that the terminal has."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.replace("±", "+/-").encode(encoding, "backslashreplace").decode(encoding)
    try:
        click.echo(text)
    except BrokenPipeError:  # whoever reads has enough, and click knows what to do
        raise
    except OSError as error:
        raise InputError(f"the result cannot be written to stdout: {error.strerror or error}") from error
