"""`mibun predict`: what a trained network takes pictures for."""

import json
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
from mibun.learn.data.arrays import as_pixels
from mibun.learn.data.pictures import read_pictures
from mibun.report.run import find_run

__all__ = ["predict"]

#: Pixels on a side of the smallest picture.
LEAST_SIDE = 4

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
    0, scaled to 20 x 20 in 28 x 28 pixels by its centre of mass. An npz file may also hold samples as rows of as many
    numbers as the network takes; they are taken as they are.
    """
    network, names, share = _trained(expanded(run))
    for file in files:
        pictures = read_pictures(expanded(file))
        called = [f"{file} [{number}]" if len(pictures) > 1 else file for number in range(len(pictures))]
        if all(picture.shape == (network.inputs,) for picture in pictures):
            samples = as_pixels(np.stack(pictures), file)
        else:
            samples, what = _fitted(pictures, called, run, network, share)
            if what:
                say(f"{file}: {what}")
        for name, row in zip(called, network.predict(samples), strict=True):
            click.echo(f"{name}: {_answer(network, row, names)}")
    return 0


def _trained(path: Path) -> tuple[Network, tuple[str, ...] | None, float | None]:
    """Give the network, the names of its classes, and how much of the width a digit has in its training images."""
    if path.is_file():
        return Network.load(path), None, None
    found = find_run(path)
    data = Settings.of(found.about["settings"]).data
    network = Network.load(found.path / "weights.npz")
    return network, _names(found.path / "history.json"), 1.0 if data == "fashion" else None


def _names(path: Path) -> tuple[str, ...] | None:
    """Give the names of the classes that training knew; a run that was killed has not written its history."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["settings"].get("class_names")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) else None


def _fitted(
    pictures: list[NDArray[Any]], called: list[str], run: str, network: Network, share: float | None
) -> tuple[NDArray[np.float32], str]:
    """Give the pictures as the network takes them, and what was done to the first that was not so."""
    side = math.isqrt(network.inputs or 0)
    if side * side != network.inputs or side < LEAST_SIDE:
        raise InputError(
            f"the network of {run} takes {network.inputs} numbers, which make no square picture; give an npz file "
            f"with an array x of shape (n, {network.inputs})"
        )
    fitted = []
    for name, picture in zip(called, pictures, strict=True):
        try:
            fitted.append(fit_digit(picture, side, share))
        except DataError as error:
            raise DataError(f"{name}: {error}") from None
    return np.stack([one.image.ravel() for one in fitted]), next((one.what for one in fitted if one.what), "")


def _answer(network: Network, outputs: NDArray[Any], names: tuple[str, ...] | None) -> str:
    shown = [f"output {value:.3g}" for value in outputs]
    if isinstance(network.loss_function, SoftmaxCrossEntropy):
        shown = [percent(float(value)) for value in outputs]
    best = np.argsort(-outputs, kind="stable")[:2].tolist()
    called = [names[label] if names is not None and label < len(names) else f"{label}" for label in best]
    then = f"; then {called[1]}, {shown[best[1]]}" if len(best) > 1 else ""
    return f"{called[0]} ({shown[best[0]]}{then})"
