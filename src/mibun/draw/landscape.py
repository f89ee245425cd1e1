"""The loss around the weights of a network, on a plane through them, after Li et al. (2018).

"Visualizing the loss landscape of neural nets", NeurIPS 2018. Two random directions are scaled filter by filter: what
goes into a unit gets the length of that unit's weights, and biases stay, so that networks of different scales can be
compared. A training run hardly moves along random directions of thousands of weights, so a path is drawn on the plane
of its own two principal components, as in section 7 of the paper; these are not scaled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mibun.draw.networks import checked_network, split_of
from mibun.draw.sampling import Floats, checked_count
from mibun.draw.style import Look, Picture, axes_for, legend_of, look_of
from mibun.draw.surfaces import contour_areas, contour_lines, levels_of
from mibun.draw.words import Language, Words
from mibun.errors import InputError
from mibun.learn import Dataset, Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["filter_normalised", "loss_landscape"]

DIRECTIONS = ("random", "path")


class _Plane(NamedTuple):
    """A plane through the weights: two directions, how far they are looked along, the path on it, names of the axes."""

    directions: Floats  # (2, n)
    sides: tuple[Floats, Floats]
    path: Floats | None
    names: tuple[str, str]


def loss_landscape(
    network: Network,
    dataset: Dataset,
    path: Any = None,
    *,
    directions: str | None = None,
    split: str = "train",
    samples: int = 500,
    points: int = 25,
    reach: float = 1.0,
    seed: int = 0,
    language: Language = "en",
    ax: Axes | None = None,
) -> Picture:
    """Draw the loss on a plane through the weights of a network, with the way that training took.

    Parameters
    ----------
    network : learn.Network
        Its weights are the middle; they stay as they are.
    dataset : learn.Dataset
    path : array of shape (k, n) or list of k vectors, optional
        ``network.vector.copy()`` after some steps of training, collected by a callback as in the example. Default: no
        path.
    directions : "random" or "path", optional
        Two random directions, normalised filter by filter, or the two along which the path moves most. Default: "path"
        where there is one.
    split : "train", "validation" or "test"
        Which images. Default: "train".
    samples : int
        How many of them, from the first on. Default: at most 500.
    points : int
        Along each axis; the loss is computed points² times. Default: 25.
    reach : float
        With random directions: how far to go, in lengths of the weights. Default: 1.
    seed : int
        Of random directions. Default: 0.
    language : "en" or "ko"
    ax : Axes, optional
        Where to draw. Default: a new figure of pyplot.

    Returns
    -------
    Picture
        `artists` has areas, lines (contour sets), labels, here (the mark of the network), path (a line, or None) and
        legend; `numbers` has a, b (points,), losses (points, points) with a along the rows, directions (2, n), and path
        (k, 2), its place on the plane, or None.

    Raises
    ------
    InputError
        If network, dataset and path do not fit, if the path does not move, or an option cannot be used.
    MissingDependency
        If matplotlib is not installed.

    Notes
    -----
    The picture is a cut: what looks like a valley may be a saddle across it. A path is beside the plane, but for its
    last point; the axes say what share of its way each of them has.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import mibun as mb
    >>> from mibun import learn
    >>> data, network = learn.load_digits(), learn.Network([learn.Dense(64, 10)])
    >>> way = [network.vector.copy()]
    >>> history = learn.train(network, data, steps=50, callback=lambda progress: way.append(network.vector.copy()))
    >>> drawn = mb.draw.loss_landscape(network, data, way, points=5, ax=Figure().subplots())
    >>> drawn.numbers["path"].shape, bool(abs(drawn.numbers["path"][-1]).max() < 1e-12)
    ((51, 2), True)
    """
    words = Words(language)
    x, _, targets = split_of(checked_network(network), dataset, split)
    count, side = checked_count(samples, "samples", least=1), checked_count(points)
    if not isinstance(reach, int | float) or not 0 < reach < np.inf:
        raise InputError(f"reach is {reach!r}; expected a number above 0, such as 1.0")
    way = None if path is None else _checked_path(path, network)
    if directions not in (None, *DIRECTIONS) or (directions == "path" and way is None):
        raise InputError(f"directions is {directions!r}; expected 'random', or 'path' together with a path")
    if way is not None and directions != "random":
        plane = _along_path(network, way, side, words, seed)
    else:
        plane = _random_plane(network, way, side, float(reach), words, seed)
    losses = _losses(network, plane, x[:count], targets[:count])
    axes = axes_for(ax, (5.4, 4.8))
    look = look_of(axes)
    data, levels = (*plane.sides, losses), levels_of(losses)
    artists: dict[str, Any] = {"areas": contour_areas(axes, data, levels)}
    artists["lines"], artists["labels"] = contour_lines(axes, look, data, levels, strong=True)
    artists |= _draw_way(axes, look, plane.path, words)
    axes.set_xlabel(plane.names[0])
    axes.set_ylabel(plane.names[1])
    axes.set_title(words("Loss around the weights"))
    artists["legend"] = legend_of(axes, look, grid=False)
    words.dress(axes)
    a, b = plane.sides
    numbers = {"a": a, "b": b, "losses": losses, "directions": plane.directions, "path": plane.path}
    return Picture(axes, artists, numbers)


def _draw_way(axes: Axes, look: Look, path: Floats | None, words: Words) -> dict[str, Any]:
    """Draw the path, and the network at its end, so that they are seen on dark and on light areas."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=4.5, foreground=look.background)]
    line = None
    if path is not None:
        style = look.line(
            1, linestyle="-", marker="o", markersize=2.5, markevery=max(1, len(path) // 20), path_effects=halo
        )
        (line,) = axes.plot(*path.T, **style, label=words("way of the training"), zorder=4)
    star = look.mark(1, marker="*", markeredgecolor=look.ink, markersize=16, path_effects=halo)
    (here,) = axes.plot([0.0], [0.0], **star, label=words("the network"), zorder=5)
    return {"path": line, "here": here}


def _checked_path(path: Any, network: Network) -> Floats:
    try:
        way = np.asarray(path, np.float64)
    except (TypeError, ValueError):
        raise InputError("path must be vectors of one length, as network.vector.copy() gives them") from None
    size = network.vector.size
    if way.ndim != 2 or way.shape[1] != size or not len(way) or not np.isfinite(way).all():
        raise InputError(
            f"path has the shape {way.shape}; expected (k, {size}), finite, one network.vector.copy() in each row"
        )
    return way


def filter_normalised(network: Network, rng: np.random.Generator) -> Floats:
    """Draw a random direction: into each unit as long as its weights are, and none for biases."""
    direction = np.zeros(network.vector.size)
    parts, own = network.views(direction), network.views(network.vector.astype(np.float64))
    for name, weight in own.items():
        if weight.ndim == 2:
            drawn = rng.standard_normal(weight.shape)
            length = np.linalg.norm(drawn, axis=0)
            parts[name][...] = drawn * (np.linalg.norm(weight, axis=0) / np.where(length > 0, length, 1.0))
    return direction


def _random_plane(network: Network, way: Floats | None, points: int, reach: float, words: Words, seed: int) -> _Plane:
    rng = np.random.default_rng(seed)
    path: Floats | None = None
    directions = np.stack([filter_normalised(network, rng) for _ in range(2)])
    if not directions.any(axis=1).all():
        raise InputError("all weights of the network are 0, so that a direction has no length; train it first")
    side = np.linspace(-reach, reach, points)
    if way is not None:
        path = np.asarray(np.linalg.lstsq(directions.T, (way - network.vector).T, rcond=None)[0].T)
    names = words("first random direction"), words("second random direction")
    return _Plane(directions, (side, side), path, names)


def _along_path(network: Network, way: Floats, points: int, words: Words, seed: int) -> _Plane:
    """Take the principal components of the way to the weights; where it is a straight line, any direction across it."""
    moves = way - network.vector
    _, sizes, axes = np.linalg.svd(moves, full_matrices=False)
    if not sizes[0] > 0:
        raise InputError("path does not move: all its vectors are the weights of the network; collect them in training")
    directions = axes[:2]
    shares = (sizes**2 / (sizes**2).sum())[:2]
    if len(sizes) < 2 or not sizes[1] > 1e-12 * sizes[0]:
        across = filter_normalised(network, np.random.default_rng(seed))
        across -= (across @ axes[0]) * axes[0]
        directions, shares = np.stack([axes[0], across / np.linalg.norm(across)]), np.array([1.0, 0.0])
    # Towards the right and up from where training began.
    directions = directions * np.where(directions @ moves[0] > 0, -1.0, 1.0)[:, np.newaxis]
    path = moves @ directions.T
    low, high = np.minimum(path.min(axis=0), 0), np.maximum(path.max(axis=0), 0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 0.25 * float((high - low).max()))
    sides = [np.linspace(m - 1.3 * h, m + 1.3 * h, points) for m, h in zip(middle, half, strict=True)]
    names = [
        words(text, share=f"{100 * share:.0f}")
        for text, share in zip(
            ("first direction of the way ({share} %)", "second direction of the way ({share} %)"), shares, strict=True
        )
    ]
    return _Plane(directions, (sides[0], sides[1]), path, (names[0], names[1]))


def _losses(network: Network, plane: _Plane, x: Any, targets: Any) -> Floats:
    """Compute the loss at every point of the plane; nan where it is not finite."""
    moved = network.copy()
    a, b = plane.sides
    losses = np.empty((len(b), len(a)))
    for row, column in np.ndindex(losses.shape):
        moved.vector[...] = network.vector + a[column] * plane.directions[0] + b[row] * plane.directions[1]
        losses[row, column] = moved.loss(x, targets)
    return np.where(np.isfinite(losses), losses, np.nan)
