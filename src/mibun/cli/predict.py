"""`mibun predict`: what a trained network takes pictures for."""

import math
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from mibun.cli.progress import percent, say
from mibun.cli.settings import Settings, expanded
from mibun.errors import DataError, InputError
from mibun.learn import Network, SoftmaxCrossEntropy, fit_digit
from mibun.learn.data.mnist import FASHION
from mibun.learn.data.pictures import Fitted, read_pictures
from mibun.report.run import find_run

__all__ = ["predict"]

_EPILOG = """\b
Examples:
  mibun predict runs/0001 seven.png        one picture, fitted as MNIST was made
  mibun predict runs/0001 images.npz       many, in an array (n, height, width)

\b
Exit status: 0 done, 2 bad input.
"""


@click.command(epilog=_EPILOG, short_help="Tell what a trained network takes pictures for.")
@click.argument("run")
@click.argument("files", nargs=-1, required=True, metavar="PICTURE|NPZ...")
def predict(run: str, files: tuple[str, ...]) -> int:
    """Tell what the network of RUN, a run folder or a file of weights, takes each picture for.

    A picture of another size or colour than the training images is fitted as MNIST was made: grey, ink on a ground of
    0, scaled to 20 x 20 in 28 x 28 pixels by its centre of mass.
    """
    network, names, share = _trained(expanded(run))
    side = math.isqrt(network.inputs or 0)
    if side * side != network.inputs:
        raise InputError(f"the network of {run} takes {network.inputs} numbers, which make no square picture")
    for file in files:
        pictures = read_pictures(expanded(file))
        several = len(pictures) > 1
        fitted = [
            _fitted(f"{file} [{number}]" if several else file, picture, side, share)
            for number, picture in enumerate(pictures)
        ]
        if what := next((one.what for one in fitted if one.what), ""):
            say(f"{file}: {what}")
        outputs = network.predict(np.stack([one.image.ravel() for one in fitted]))
        for number, row in enumerate(outputs):
            click.echo(f"{f'{file} [{number}]' if several else file}: {_answer(network, row, names)}")
    return 0


def _trained(path: Path) -> tuple[Network, tuple[str, ...] | None, float | None]:
    """Give the network, the names of its classes, and how much of the width a digit has in its training images."""
    if path.is_file():
        return Network.load(path), None, None
    found = find_run(path)
    data = Settings.of(found.about["settings"]).data
    network = Network.load(found.path / "weights.npz")
    return network, FASHION.class_names if data == "fashion" else None, 1.0 if data == "fashion" else None


def _fitted(name: str, picture: NDArray[Any], side: int, share: float | None) -> Fitted:
    if picture.ndim == 1 and picture.size == side * side:
        picture = picture.reshape(side, side)
    try:
        return fit_digit(picture, side, share)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


def _answer(network: Network, outputs: NDArray[Any], names: tuple[str, ...] | None) -> str:
    shown = [f"output {value:.3g}" for value in outputs]
    if isinstance(network.loss_function, SoftmaxCrossEntropy):
        shown = [percent(float(value)) for value in outputs]
    best = np.argsort(-outputs, kind="stable")[:2].tolist()
    called = [f"{label if names is None else names[label]}" for label in best]
    then = f"; then {called[1]}, {shown[best[1]]}" if len(best) > 1 else ""
    return f"{called[0]} ({shown[best[0]]}{then})"
