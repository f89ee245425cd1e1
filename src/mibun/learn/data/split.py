"""Samples shared out among training, validation and test, every class in the same proportion."""

import numpy as np

from .dataset import Array

__all__ = ["split"]


def split(labels: Array, seed: int, validation: float, test: float) -> tuple[Array, Array, Array]:
    """Return the numbers of the training, validation and test samples, each in random order.

    Every class is split in the given shares, to rounding. A seed gives the same split on every machine and with every
    version of NumPy.
    """
    # NumPy keeps the raw stream of a bit generator for ever, but not what Generator.permutation makes of it.
    keys = np.random.PCG64(seed).random_raw(2 * len(labels)).reshape(2, -1)
    choice, order = np.argsort(keys, axis=1, kind="stable")
    part = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = choice[labels[choice] == label]
        held, tested = round(validation * len(members)), round(test * len(members))
        part[members[:tested]] = 2
        part[members[tested : tested + held]] = 1
    # An order of its own: within `choice` a class enters the training part only after its test part is full.
    return order[part[order] == 0], order[part[order] == 1], order[part[order] == 2]
