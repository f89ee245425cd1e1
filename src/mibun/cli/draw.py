"""`mibun draw`: pictures of a formula or a function, as files."""

import warnings
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, TypeVar

import click
import numpy as np

from mibun import draw as pictures
from mibun.cli.answer import FormulaCommand, prints_apart, show
from mibun.cli.inputs import read_function, read_point, refused, short
from mibun.cli.places import place
from mibun.cli.rules import chosen_rule
from mibun.descent import Path, descend
from mibun.descent.rules import WORDS as RULES
from mibun.draw.files import image_of
from mibun.errors import InputError, MibunError
from mibun.formula import Formula
from mibun.text import count

__all__ = ["draw"]

Command = TypeVar("Command", bound=Callable[..., int])

_EPILOG = """\b
Examples:
  mibun draw tangent "0.01*x**2 + 0.1*x" --at 5 --out tangent.png
  mibun draw tangent "sin(x)" --at "[0, 1]" --interval -3,3 --language ko
  mibun draw difference "exp(x)" --at 0 --step 0.5
  mibun draw step-error "sin(x)" --at 1 --truth "cos(x)"
  mibun draw field "x0**2 + 2*x1**2" --region -2,2
  mibun draw surface model:cost --region 0,1,-5,5      cost of model.py here
  mibun draw path "x0**2 + 2*x1**2" --x0 "[-3, 4]" --learning-rate 0.1

\b
Without --out the picture gets the name of its kind, and a number where there
is such a file already. Exit status: 0 drawn, 1 matplotlib is missing, 2 bad
input, 130 interrupted.
"""


@click.group(epilog=_EPILOG, short_help="Draw a function, its slopes, its surface, a descent.")
def draw() -> None:
    """Draw a formula or a function of your own as a picture in a file.

    FUNCTION is a formula, or module:function for a Python function; the current folder is on the path. surface,
    contour, field and path take functions of two numbers, which a Python function gets as one array.
    """


def _output(command: Command) -> Command:
    """Give a command the function, and the options of the file."""
    words = "Labels in English or Korean. [default: en]"
    for option in (
        click.option("--dark", is_flag=True, help="A dark background."),
        click.option("--language", type=click.Choice(["en", "ko"]), default="en", help=words),
        click.option("--out", metavar="FILE", help="Where to write: .png, .svg or .pdf; replaces what is there."),
        click.argument("function"),
    ):
        command = option(command)
    return command


_AT = click.option("--at", required=True, metavar="X", help="The point; tangent takes up to four, as in '[0, 1]'.")
_INTERVAL = click.option("--interval", metavar="LOW,HIGH", help="Of x. [default: around the point, or -5,5]")
_REGION = click.option("--region", metavar="LOW,HIGH[,LOW,HIGH]", help="Of the two numbers; two are for both.")


@draw.command("function", cls=FormulaCommand, short_help="The graph of a function of one number.")
@_INTERVAL
@_output
def _function(function: str, interval: str | None, **output: Any) -> int:
    """Draw the graph of FUNCTION."""
    given = {} if interval is None else {"interval": _ends(interval)}
    return _write("function", function, lambda f, **more: pictures.function(f, **given, **more), **output)


@draw.command("tangent", cls=FormulaCommand, short_help="A function and its tangents.")
@_AT
@_INTERVAL
@_output
def _tangent(function: str, at: str, interval: str | None, **output: Any) -> int:
    """Draw FUNCTION and its tangent, with the slope and its error."""
    ends, points = _ends(interval), read_point(at)
    return _write("tangent", function, lambda f, **more: pictures.tangent(f, points, ends, **more), **output)


@draw.command("difference", cls=FormulaCommand, short_help="Forward and central difference beside the true slope.")
@_AT
@click.option("--step", type=float, metavar="H", help="Of the differences. [default: one that can be seen]")
@_INTERVAL
@_output
def _difference(function: str, at: str, step: float | None, interval: str | None, **output: Any) -> int:
    """Draw the forward and the central difference of FUNCTION as lines, and the true slope."""
    ends, x = _ends(interval), read_point(at)
    return _write("difference", function, lambda f, **more: pictures.difference(f, x, step, ends, **more), **output)


@draw.command("step-error", cls=FormulaCommand, short_help="The error of a difference against its step.")
@_AT
@click.option("--truth", metavar="FUNCTION", help="The derivative, if it is known: a formula, or module:function.")
@_output
def _step_error(function: str, at: str, truth: str | None, **output: Any) -> int:
    """Draw how the error of the differences of FUNCTION depends on their step."""
    x, true = read_point(at), None if truth is None else read_function(truth)
    drawn = lambda f, **more: pictures.step_error(f, x, truth=true, **more)  # noqa: E731
    return _write("step-error", function, drawn, **output)


def _on_the_plane(name: str, short_help: str) -> None:
    """Add the command of a picture that takes a function of two numbers and a region."""

    @draw.command(name, cls=FormulaCommand, short_help=short_help, help=f"{short_help} FUNCTION takes two numbers.")
    @_REGION
    @_output
    def command(function: str, region: str | None, **output: Any) -> int:
        given = {} if region is None else {"region": _region(region)}
        return _write(name, function, lambda f, **more: getattr(pictures, name)(f, **given, **more), **output)


_on_the_plane("surface", "A function of two numbers as a surface.")
_on_the_plane("contour", "Lines of equal value of a function of two numbers.")
_on_the_plane("field", "Minus the gradient of a function of two numbers, as arrows.")


@draw.command("path", cls=FormulaCommand, short_help="Descents from one start or several.")
@click.option("--x0", "starts", required=True, multiple=True, metavar="POINT", help="A start; may be given repeatedly.")
@click.option("--rule", "rules", multiple=True, type=click.Choice(list(RULES)), help="[default: gradient descent]")
@click.option("--learning-rate", "rates", multiple=True, type=float, metavar="R", help="[default: that of the rule]")
@click.option("--steps", type=click.IntRange(min=1), default=40, show_default=True, help="Most updates.")
@_REGION
@_output
def _path(
    function: str,
    starts: Sequence[str],
    rules: Sequence[str],
    rates: Sequence[float],
    steps: int,
    region: str | None,
    **output: Any,
) -> int:
    """Descend FUNCTION, of one number or two, draw the way, and say how it ended.

    Several rules and several learning rates are drawn side by side.
    """
    points = [(start.strip(), read_point(start, "--x0")) for start in starts]
    window = None if region is None else _region(region)
    chosen: Sequence[float | None] = rates or [None]
    panels = {
        _label(word if rules else None, rate): chosen_rule(word, learning_rate=rate)
        for word, rate in product(rules or ["gradient descent"], chosen)
    }
    told = list[str]()

    def drawn(f: Callable[[Any], Any], **more: Any) -> Any:
        ways = []
        for label, rule in panels.items():
            ways.append([descend(f, _start(f, point), rule=rule, steps=steps) for _, point in points])
            told.extend(_ended(start, label, way) for (start, _), way in zip(points, ways[-1], strict=True))
        if len(panels) == 1 and not rules:
            return pictures.path(ways[0], f, window, **more)
        return pictures.paths(ways, f, window, labels=list(panels), **more)

    status = _write("path", function, drawn, **output)
    show("\n".join(told))
    return status


def _label(word: str | None, rate: float | None) -> str:
    """Name a panel by what was given."""
    return ", ".join([*([word] if word else []), *([f"η = {rate:g}"] if rate is not None else [])])


def _ended(start: str, label: str, way: Path) -> str:
    """Say how a descent ended, and what to do."""
    head = ", ".join(part for part in (f"from {start}", label) if part)
    return f"{head}: {way.status} after {count(way.nit, 'step')}: {way.message}"


def _start(f: Callable[[Any], Any], point: Any) -> Any:
    """Put the values of a formula's variables into their order."""
    if isinstance(point, dict):
        names = f.variables if isinstance(f, Formula) else ()
        if point.keys() != set(names):
            raise InputError(f"--x0 gives {', '.join(point)}; expected {', '.join(names) or 'a list'}")
        point = [point[name] for name in names]
    return point[0] if np.shape(point) == (1,) else point


def _numbers(text: str, option: str, counts: Sequence[int]) -> list[float]:
    """Read numbers between commas."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) not in counts:
        raise InputError(
            f"{option} {short(text.strip())!r} is given; expected {' or '.join(map(str, counts))} numbers such as -2,2"
        )
    return found


def _ends(interval: str | None) -> Any:
    return None if interval is None else _numbers(interval, "--interval", (2,))


def _region(text: str) -> Any:
    found = _numbers(text, "--region", (2, 4))
    return found if len(found) == 2 else (found[:2], found[2:])


# The file


def _write(kind: str, name: str, drawn: Callable[..., Any], out: str | None, dark: bool, language: str) -> int:
    """Draw, write the file, and say where it is; what mibun warns of goes to stderr."""
    path = place(kind, out)
    try:
        with prints_apart(), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            f = read_function(name)
            image = image_of(lambda: drawn(f, language=language), path.suffix[1:].lower(), dark)
    except MibunError:
        raise
    except (Exception, SystemExit) as error:
        raise refused(short(name.strip()), error) from error
    try:
        path.write_bytes(image)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    for text in dict.fromkeys(str(warning.message) for warning in told):
        click.echo(f"mibun: {' '.join(text.split())}", err=True)
    click.echo(f"wrote {path}")
    return 0
