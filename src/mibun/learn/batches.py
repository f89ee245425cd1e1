"""The mini-batches of a training run, drawn so that the run can be taken up at any of them.

Without replacement every epoch visits each sample once, in a new order; with replacement every sample of every batch is
drawn on its own, as the notes do. What is drawn next follows from `position`, a few numbers that JSON knows: the state
of the random generators (for an order, the state that it was drawn from) and the place in the epoch.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.learn.bounds import Array
from mibun.learn.losses import Targets

__all__ = ["Batches", "shifted"]


class Batches:
    """Batches of images and targets without end.

    Parameters
    ----------
    images
        Shape (n, inputs).
    targets
        One row or label for each image.
    dtype
        What the images of a batch are converted to.
    batch_size
        Images in a batch; without replacement the last one of an epoch may be smaller.
    seed
        Seed of the order and of the shifts.
    replace
        Whether images are drawn with replacement.
    shift
        Every image is moved by up to so many pixels in both directions, drawn anew each time; 0 for none.

    Raises
    ------
    InputError
        If images are to be shifted that are no squares, or by as much as their size.
    """

    def __init__(
        self,
        images: NDArray[Any],
        targets: Targets,
        dtype: np.dtype[Any],
        batch_size: int,
        seed: int,
        replace: bool = False,
        shift: int = 0,
    ) -> None:
        self.images, self.targets, self.dtype = images, targets, dtype
        self.batch_size, self.replace, self.shift = batch_size, replace, shift
        self.per_epoch = math.ceil(len(targets) / batch_size)
        self.side = _checked_side(images, shift)
        # Two streams, so that the shifts do not change the order of the images.
        self._order_rng, self._shift_rng = (np.random.default_rng((seed, stream)) for stream in (0, 2))
        self._drawn_from = self._order_rng.bit_generator.state
        self._no_shifts = self._shift_rng.bit_generator.state
        self._order: NDArray[np.int64] | None = None
        self._place = 0

    def draw(self) -> tuple[Array, Targets]:
        """Give the next batch."""
        count = len(self.targets)
        if self.replace:
            chosen = self._order_rng.integers(count, size=self.batch_size)
        else:
            if self._order is None or self._place >= self.per_epoch:
                self._drawn_from = self._order_rng.bit_generator.state
                self._order, self._place = self._order_rng.permutation(count), 0
            start = self._place * self.batch_size
            chosen = self._order[start : start + self.batch_size]
            self._place += 1
        x = self.images[chosen].astype(self.dtype, copy=False)
        if self.shift:
            x = shifted(x, self.side, self._shift_rng.integers(0, 2 * self.shift + 1, (2, len(x))), self.shift)
        return x, self.targets[chosen]

    @property
    def position(self) -> dict[str, Any]:
        """What decides all batches to come, as JSON knows it."""
        # Asked for before every step: a state costs a few microseconds, and these change only where they are used.
        order = self._order_rng.bit_generator.state if self.replace else self._drawn_from
        shifts = self._shift_rng.bit_generator.state if self.shift else self._no_shifts
        return {"order": order, "place": self._place, "shifts": shifts}

    def go_to(self, position: dict[str, Any]) -> None:
        """Draw from now on what was to be drawn when `position` was taken."""
        self._order_rng.bit_generator.state = self._drawn_from = position["order"]
        self._shift_rng.bit_generator.state = position["shifts"]
        self._place, self._order = position["place"], None
        if not self.replace and self._place:
            self._order = self._order_rng.permutation(len(self.targets))


def shifted(x: Array, side: int, moves: NDArray[np.int64], reach: int) -> Array:
    """Move every square image (one a row of `x`) down and right by its `moves` less `reach`; what comes in is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.learn.batches import shifted
    >>> shifted(np.array([[1.0, 2.0, 3.0, 4.0]]), 2, np.array([[1], [2]]), 1)  # one to the right
    array([[0., 1., 0., 3.]])
    """
    wide = np.zeros((len(x), side + 2 * reach, side + 2 * reach), x.dtype)
    wide[:, reach : reach + side, reach : reach + side] = x.reshape(-1, side, side)
    windows = np.lib.stride_tricks.sliding_window_view(wide, (side, side), axis=(1, 2))
    down, right = 2 * reach - moves
    moved: Array = windows[np.arange(len(x)), down, right]
    return moved.reshape(len(x), -1)


def _checked_side(images: NDArray[Any], shift: int) -> int:
    pixels = images.shape[1]
    side = math.isqrt(pixels)
    if shift and side * side != pixels:
        raise InputError(f"shift is {shift}, but samples of {pixels} numbers are no square images; leave shift at 0")
    if shift >= max(side, 1) and shift:
        raise InputError(f"shift is {shift}, but the images are {side} pixels wide; take at most {max(side // 4, 1)}")
    return side
