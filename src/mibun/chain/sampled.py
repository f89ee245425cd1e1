"""Bounds for a piece of which only the whole is known: its answer to errors is sampled, with random signs.

The errors that go in are made far larger, so that the rounding of the piece does not count, and what comes out is made
smaller by the same. The largest answer of a few draws, doubled, stands for the worst case: more than any sum of
independent errors gives, though not a bound on what a foe would choose.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from mibun.chain.rounding import unit_of
from mibun.chain.tape import Array

__all__ = ["answer", "shaken"]

DRAWS: Final = 4
#: How much larger the errors are made.
LARGER: Final = 2.0**20
#: Half-ulps that a value of a piece may be off.
ROUNDED: Final = 16.0


def answer(f: Callable[[Any], Any], errors: Any) -> Any:
    """Bound |f(e)| for a linear f and any e within the errors."""
    rng = np.random.default_rng(0)
    found: Any = 0.0
    for _ in range(DRAWS):
        signs = rng.choice((-1.0, 1.0), np.shape(errors))
        found = np.maximum(found, np.abs(f(signs * errors)))
    return 2 * found


def shaken(f: Callable[..., Any], values: Sequence[Any], errors: Sequence[Any]) -> Any:
    """Bound the change of f(*values) where the values are off by their errors (None: exact), and its own rounding."""
    centre = np.asarray(f(*values))
    total: Array = ROUNDED * unit_of(centre) * np.abs(centre)
    if all(error is None for error in errors):
        return total
    rng, found = np.random.default_rng(0), np.zeros(centre.shape)
    for _ in range(DRAWS):
        moved = [
            value
            if error is None
            else value + LARGER * rng.choice((-1.0, 1.0), np.shape(value)) * np.where(np.isfinite(error), error, 0.0)
            for value, error in zip(values, errors, strict=True)
        ]
        found = np.maximum(found, np.abs(f(*moved) - centre) / LARGER)
    unknown = any(error is not None and not np.isfinite(error).all() for error in errors)
    return np.full(centre.shape, np.inf) if unknown else total + 2 * found
