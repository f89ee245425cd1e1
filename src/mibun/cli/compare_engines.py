"""`mibun compare-engines`: one gradient by all engines, side by side."""

import json
from itertools import pairwise
from pathlib import Path

import click
import numpy as np

from mibun import learn
from mibun.cli.progress import say
from mibun.cli.settings import ACTIVATIONS

__all__ = ["compare_engines"]

_EPILOG = """\b
Examples:
  mibun compare-engines
  mibun compare-engines --data mnist --batch-size 100
  mibun compare-engines --hidden 30,20 --activation relu --picture engines.png
  mibun compare-engines --dtype float32 --json
"""


@click.command("compare-engines", epilog=_EPILOG, short_help="One gradient by all engines: cost, agreement.")
@click.option("--data", default="digits", show_default=True, type=click.Choice(["digits", "mnist"]), help="The images.")
@click.option("--hidden", default="50", show_default=True, metavar="N[,N...]", help="Widths of the hidden layers.")
@click.option("--activation", default="sigmoid", show_default=True, type=click.Choice(list(ACTIVATIONS)))
@click.option("--batch-size", default=50, show_default=True, type=click.IntRange(min=1), metavar="N")
@click.option("--dtype", default="float64", show_default=True, type=click.Choice(["float64", "float32"]))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), metavar="N", help="Of the weights.")
@click.option("--picture", metavar="FILE", help="Draw the table into this file (png, svg or pdf).")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def compare_engines(
    data: str,
    hidden: str,
    activation: str,
    batch_size: int,
    dtype: str,
    seed: int,
    picture: str | None,
    as_json: bool,
) -> int:
    """Compute one gradient of a network by every engine, and compare cost, agreement, and what is taken for granted.

    The network has not been trained. The engines are compared with some entries of the notes' loop, which moves every
    weight on its own.
    """
    words = [word.strip() for word in hidden.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) < 10 and int(word) for word in words):
        raise click.BadParameter(f"{hidden!r} is given; expected widths such as 50 or 30,20", param_hint="--hidden")
    dataset = learn.load_digits() if data == "digits" else learn.load_mnist()
    widths = [dataset.train_x.shape[1], *map(int, words)]
    layers: list[learn.Layer] = []
    for inputs, outputs in pairwise(widths):
        layers += [learn.Dense(inputs, outputs), ACTIVATIONS[activation][0]]
    network = learn.Network([*layers, learn.Dense(widths[-1], dataset.classes)], seed=seed, dtype=np.dtype(dtype))
    x, labels = dataset.train_x[:batch_size], dataset.train_labels[:batch_size]
    table = learn.compare_engines(network, x, labels, seed=seed)
    click.echo(json.dumps(_finite(table.to_dict()), indent=2) if as_json else repr(table))
    if picture is not None:
        _draw(table, Path(picture).expanduser())
    return 0


def _draw(table: learn.EngineTable, path: Path) -> None:
    from mibun.draw.engines import save

    try:
        save(table, path)
    except (ValueError, OSError) as error:
        raise click.BadParameter(f"{path} cannot be written: {error}", param_hint="--picture") from None
    say(f"Picture: {path}")


def _finite(part: object) -> object:
    """JSON has no nan: it becomes null."""
    if isinstance(part, dict):
        return {key: _finite(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_finite(value) for value in part]
    return None if isinstance(part, float) and not np.isfinite(part) else part
