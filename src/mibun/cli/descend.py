"""`mibun descend`: go down along the gradient of a function, and say why that ended."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as File
from typing import Any, Final

import click
import numpy as np

from mibun.cli.answer import FormulaCommand, prints_apart, read, show, told_order
from mibun.cli.inputs import read_bounds, refused, short
from mibun.cli.places import place
from mibun.cli.rules import chosen_rule
from mibun.descent import Path, descend
from mibun.descent.line_search import WORDS as LINE_SEARCHES
from mibun.descent.rules import WORDS as RULES
from mibun.errors import MibunError
from mibun.methods import WORDS as METHODS
from mibun.structure import Structure

__all__ = ["descend_command"]

PICTURE: Final = "descent"
#: Exit status where the descent ended without a minimum.
NO_SUCCESS: Final = 1
#: Rows of the table of steps.
ROWS: Final = 8

_EPILOG = """\b
Examples:
  mibun descend "x**2 + 2*y**2" --x0 x=-3,y=4
  mibun descend model:cost --x0 "[-3, 4]" --learning-rate 0.1 --steps 100
  mibun descend model:cost --x0 start.npy --rule adam --json
  mibun descend model:cost --x0 "[-3, 4]" --line-search armijo --out way.pdf

\b
Points are given as to mibun gradient. The picture shows points of one or two
numbers.

\b
Exit status: 0 a minimum was found (converged, or held by bounds), 1 it was
not, and the text says why, 2 bad input, such as a function that raises at
the start, 130 interrupted.
"""


@click.command(name="descend", cls=FormulaCommand, epilog=_EPILOG, short_help="Go down along the gradient.")
@click.argument("function")
@click.option("--x0", required=True, metavar="POINT", help="Where to begin: a number, JSON, x=3,y=4, or a .npy file.")
@click.option("--rule", type=click.Choice(list(RULES)), default="gradient descent", show_default=True)
@click.option("--learning-rate", type=float, metavar="R", help="[default: that of the rule]")
@click.option("--momentum", type=float, metavar="M", help="Of the rules that have one. [default: that of the rule]")
@click.option("--steps", type=int, default=100, show_default=True, metavar="N", help="Most updates.")
@click.option("--line-search", type=click.Choice(LINE_SEARCHES), help="Search for the length of each step.")
@click.option("--method", default="adaptive", type=click.Choice(list(METHODS)), show_default=True)
@click.option("--bounds", metavar="LOW,HIGH", help="Of all numbers; with one side, such as 0, no other bound.")
@click.option("--tolerance", type=float, metavar="T", help="Norm of the gradient that is 0. [default: its own error]")
@click.option("--budget", type=int, metavar="N", help="Most evaluations of f, never passed.")
@click.option("--maximize", is_flag=True, help="Go up instead.")
@click.option("--out", metavar="FILE", help=f"The picture. [default: {PICTURE}.png, or the next free number]")
@click.option("--no-picture", is_flag=True, help="Save no picture.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print all points as one line of JSON; a picture only with --out."
)
def descend_command(
    function: str,
    x0: str,
    rule: str,
    bounds: str | None,
    out: str | None,
    no_picture: bool,
    as_json: bool,
    learning_rate: float | None,
    momentum: float | None,
    **given: Any,
) -> int:
    """Go down along the gradient of FUNCTION, say why that ended, and save a picture of the way.

    FUNCTION is a formula, or module:function for a Python function that takes the point as one argument and returns one
    number; the current folder is on the path.
    """
    file = None if out is None else place(PICTURE, out)  # a mistake is told before hours of work
    f, x = read(function, x0, "--x0")
    chosen = chosen_rule(rule, learning_rate=learning_rate, momentum=momentum)
    limits = None if bounds is None else read_bounds(bounds)
    try:
        with prints_apart():
            path = descend(f, x, rule=chosen, bounds=limits, **given)
    except MibunError:
        raise
    except (Exception, SystemExit) as error:
        raise refused(short(function.strip()), error) from error
    show(json.dumps(path.to_dict(), allow_nan=False) if as_json else _told(path))
    if not as_json:
        told_order(f, x)
    if out is not None or not (as_json or no_picture):
        saved = _picture(path, f, x, file)
        if not as_json:
            click.echo(saved)
    return 0 if path.success else NO_SUCCESS


def _told(path: Path) -> str:
    """Write the outcome, and some of the steps."""
    rows = [("step", "f", "|gradient|")]
    sizes = np.linalg.norm(np.concatenate(_columns(path.gradients, len(path.losses)), axis=1), axis=1)
    for step in np.unique(np.geomspace(1, path.nit + 1, ROWS).astype(int)) - 1:
        rows.append((f"{step:,}", f"{path.losses[step]:.6g}", f"{sizes[step]:.3g}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    head, *rest = repr(path).removeprefix("Path(").split("\n")
    return "\n".join([*table, head.removesuffix(")"), *rest])


def _columns(tree: Any, count: int) -> list[Any]:
    """Give the leaves of stacked points as matrices with a row for each."""
    structure = Structure.of(tree)
    return [np.asarray(part).reshape(count, -1) for part in structure.parts(tree)]


def _of_vectors(f: Callable[[Any], Any], structure: Structure) -> Callable[[Any], Any]:
    """Let f take its one or two numbers as a number or a vector, as a picture gives them."""
    if structure.kind == "number" or (structure.kind == "array" and structure.leaves[0].shape == (2,)):
        return f
    return lambda point: f(structure.unflatten(np.array(point, np.float64).reshape(-1)))


def _picture(path: Path, f: Callable[[Any], Any], x: Any, file: File | None) -> str:
    """Save the picture of the way, and say where it is, or why there is none."""
    structure = Structure.of(x)
    if structure.size > 2:
        return f"No picture: x has {structure.size} numbers, and pictures show one or two."
    from mibun import draw
    from mibun.draw.files import image_of

    points = np.concatenate(_columns(path.points, len(path.losses)), axis=1)
    drawn = replace(path, points=points if structure.size == 2 else points[:, 0])
    try:
        file = file or place(PICTURE, None)
        with prints_apart():
            image = image_of(lambda: draw.path(drawn, _of_vectors(f, structure)), file.suffix[1:].lower())
        file.write_bytes(image)
    except (MibunError, OSError) as error:
        return f"No picture: {error}"
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever f raises beside the way)
        return f"No picture: {refused('f', error)}"
    return f"Picture: {file}"
