"""What a trained network confuses, and what its units look for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mibun.draw.digits import mosaic_of, size_of
from mibun.draw.sampling import checked_count
from mibun.draw.style import MAP, Look, Picture, axes_for, look_of
from mibun.draw.words import Language, Words
from mibun.errors import InputError
from mibun.learn import Dataset, Dense, Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["checked_network", "confusion", "split_of", "weights"]

#: Most classes whose counts are written into their cells.
CLASSES = 20
#: Most units that are drawn.
UNITS = 100


def confusion(
    network: Network,
    dataset: Dataset,
    *,
    split: str = "test",
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw how often each class is taken for each other one: a row for what an image is, a column for the answer.

    Parameters
    ----------
    network : learn.Network
    dataset : learn.Dataset
    split : "train", "validation" or "test"
        Which images. Default: "test".
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has image (the share of each row), and counts (texts, row by row, none where there are more than 20
        classes); `numbers` has counts, an integer array (classes, classes).

    Raises
    ------
    InputError
        If network and dataset do not fit, or there is no such split.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> from mibun import learn
    >>> data, network = learn.load_digits(), learn.Network([learn.Dense(64, 10)])
    >>> history = learn.train(network, data, epochs=5)
    >>> counts = mb.draw.confusion(network, data, ax=Figure().subplots()).numbers["counts"]
    >>> bool(counts.sum() == len(data.test_labels)), bool(counts.trace() / counts.sum() == history.test_accuracy[-1])
    (True, True)
    """
    words = Words(language)
    x, labels, _ = split_of(checked_network(network), dataset, split)
    answers = network.logits(x).argmax(axis=1)
    classes = max(dataset.classes, network.outputs or 0, int(answers.max()) + 1)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, answers), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes = axes_for(ax, (5.2, 5.0))
    look = look_of(axes)
    image = axes.imshow(shares, cmap=_tint(look), vmin=0.0, vmax=1.0)
    written = (
        [_write(axes, look, counts, shares, *cell) for cell in np.ndindex(counts.shape)] if classes <= CLASSES else []
    )
    axes.set_xlabel(words("answer of the network"))
    axes.set_ylabel(words("what it is"))
    if classes <= CLASSES:
        axes.set_xticks(range(classes))
        axes.set_yticks(range(classes))
    right, total = int(counts.trace()), int(counts.sum())
    title = words("{right} of {total} right ({share} %)", right=right, total=total, share=f"{100 * right / total:.1f}")
    axes.set_title(title)
    words.dress(axes)
    return Picture(axes, {"image": image, "counts": written}, {"counts": counts})


def weights(
    network: Network,
    layer: int = 0,
    *,
    columns: int = 10,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw the weights into each unit of a layer: as small images where the inputs make a square, else as one table.

    Parameters
    ----------
    network : learn.Network
    layer : int
        Number of a `Dense` layer in ``network.layers``. Default: 0, the first.
    columns : int
        Images in a row. Default: 10.
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has the image; `numbers` has weights, (inputs, units), and places, the (row, column) of each image's
        first pixel, empty for a table. Dark is below 0, light above, on a scale that the title gives. At most 100 units
        are drawn.

    Raises
    ------
    InputError
        If the layer has no weights.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(64, 10)])
    >>> drawn = mb.draw.weights(network, ax=Figure().subplots())
    >>> top, left = drawn.numbers["places"][3]
    >>> image = drawn.artists["image"].get_array()[top : top + 8, left : left + 8]
    >>> bool((image.ravel() == network.parameters["0.weight"][:, 3]).all())
    True
    """
    words = Words(language)
    checked_network(network)
    dense = [number for number, kind in enumerate(network.layers) if isinstance(kind, Dense)]
    if isinstance(layer, bool) or layer not in dense:
        known = ", ".join(map(str, dense)) or "none"
        raise InputError(f"layer is {layer!r}; expected the number of a Dense layer of this network: {known}")
    matrix = network.parameters[f"{layer}.weight"].astype(np.float64)
    units = matrix[:, :UNITS].T
    side = math.isqrt(matrix.shape[0])
    places: list[tuple[int, int]] = []
    if side > 1 and side * side == matrix.shape[0]:
        across = checked_count(columns, "columns", least=1)
        shown, places = mosaic_of(units.reshape(-1, side, side), across)
        axes = axes_for(ax, size_of(shown, min(across, len(units))))
        axes.set_axis_off()
    else:
        shown = units
        axes = axes_for(ax, (5.6, 4.4))
        axes.set_xlabel(words("input"))
        axes.set_ylabel(words("unit"))
    most = float(np.abs(units).max()) or 1.0
    seen = np.ma.masked_invalid(shown)
    image = axes.imshow(seen, cmap=MAP, vmin=-most, vmax=most, aspect="equal" if places else "auto")
    text = words("Weights of layer {layer}: dark −{most}, light +{most}", layer=layer, most=f"{most:.2g}")
    axes.set_title(text, fontsize="medium")
    words.dress(axes)
    return Picture(axes, {"image": image}, {"weights": matrix, "places": places})


def checked_network(network: Any) -> Network:
    """Refuse what is no network."""
    if not isinstance(network, Network):
        raise InputError(f"network must be a learn.Network, not {type(network).__name__}")
    return network


def split_of(network: Network, dataset: Any, split: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Give samples, labels and targets of a split; targets are the labels where there are none."""
    if not isinstance(dataset, Dataset):
        raise InputError(f"dataset must be a learn.Dataset, such as learn.load_digits(), not {type(dataset).__name__}")
    if split not in ("train", "validation", "test"):
        raise InputError(f"split must be 'train', 'validation' or 'test', not {split!r}")
    x, labels, targets = (getattr(dataset, f"{split}_{part}") for part in ("x", "labels", "targets"))
    if x is None:
        raise InputError("split is 'validation', but this dataset has no validation data; write 'train' or 'test'")
    return network.batch(x), labels, labels if targets is None else targets


def _tint(look: Look) -> Any:
    """Make a map from the background to the first colour."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shares", [look.background, look.colours[0]])


def _write(
    axes: Axes, look: Look, counts: NDArray[np.int64], shares: NDArray[np.float64], row: int, column: int
) -> Any:
    """Write a count into its cell: nothing for 0, bold for a confusion."""
    count = int(counts[row, column])
    colour = look.background if shares[row, column] > 0.5 else look.ink
    weight = "normal" if row == column else "bold"
    size = 9 if len(counts) <= 12 else 6
    text = f"{count}" if count else ""
    return axes.text(column, row, text, ha="center", va="center", color=colour, fontweight=weight, fontsize=size)
