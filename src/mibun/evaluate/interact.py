"""Find the pattern of a Hessian from f alone: which entries of x does f not take apart into a sum.

The interaction of two blocks of entries, f(x + a + b) - f(x + a) - f(x + b) + f(x) where a moves the one and b the
other, is 0 if f is a sum of a part without the one block and a part without the other, and that is where all second
derivatives between them are 0. From coarse to fine: all blocks are cut in two, and only pairs of halves whose wholes
interact are asked again. That takes about four calls for each pair of blocks that interact, on every level; for a band,
ten or so for each entry of the Hessian. Changes are random, so interactions cancel by chance alone.

An interaction counts if it exceeds the rounding of the four values by far.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mibun.evaluate.compressed import Compressed
from mibun.sparsity import Sparsity

__all__ = ["first_steps", "interacting", "unexplained"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]
Bounds = tuple[Floats, Floats]
#: Sizes of the changes of x, in steps of the gradient; one for each attempt in turn.
CHANGES: Final = (1.0, 2.0**-3)
#: What an interaction has to exceed, in units of the rounding, or of the noise, of one value.
FELT: Final = 8.0
#: Parts of the changes that are tried, one after the other, where f is not defined.
TOWARDS: Final = (1.0, -1.0, 2.0**-8)
#: Points that are made at once.
AT_ONCE: Final = 64
#: Random directions in which a Hessian is verified, their length in steps of the gradient, and what is forgiven.
DIRECTIONS: Final = 2
SHORT: Final = 2.0**-5
AGREEMENT: Final = 1e-6


def first_steps(x: Floats) -> Floats:
    """Give steps where none are known: 1/16 of x, or of 1 where it is 0."""
    return 2.0**-4 * np.where(x == 0, 1.0, np.abs(x))


def _drawn(start: Floats, steps: Floats, bounds: Bounds, seed: int) -> Floats:
    """Draw a change of each entry of x, of half a step at least, to the side where the bounds leave more room."""
    drawn = np.random.default_rng(seed).uniform(-1.0, 1.0, start.size)
    change = steps * (drawn / 2 + np.copysign(0.5, drawn))
    above, below = bounds[1] - start, start - bounds[0]
    outside = (change > above) | (change < -below)
    change = np.where(outside, np.copysign(change, above - below), change)
    return np.clip(change, -below, above)


class _Values:
    """Values of f at points where the blocks of one level moved, each by its part of a random change."""

    def __init__(
        self, evaluator: Compressed, fx: float, steps: Floats, bounds: Bounds, noise: float, attempt: int
    ) -> None:
        self.evaluator, self.fx, self.noise = evaluator, fx, noise
        start = evaluator.starts
        for towards in TOWARDS:
            self.change = _drawn(start, CHANGES[attempt % 2] * towards * steps, bounds, attempt)
            (whole,) = self.at([np.arange(start.size)])
            if np.isfinite(whole):
                break

    def at(self, moves: list[Ints]) -> Floats:
        """Give f where these columns moved; nan where it raises."""
        found = []
        for begin in range(0, len(moves), AT_ONCE):
            start = self.evaluator.starts
            points = [
                self.evaluator.moved(own, start[own] + self.change[own]) for own in moves[begin : begin + AT_ONCE]
            ]
            found += [np.nan if isinstance(row, Exception) else float(row[0]) for row in self.evaluator.rows(points)]
        return np.array(found)

    def felt(self, both: Floats, one: Floats, other: Floats) -> NDArray[np.bool_]:
        """Tell which interactions are more than rounding; what is not known is taken for one."""
        size = np.maximum(np.maximum(np.abs(both), abs(self.fx)), np.maximum(np.abs(one), np.abs(other)))
        limit = FELT * np.maximum(2.0**-52 * size, self.noise)
        none: NDArray[np.bool_] = np.abs((both - one) - (other - self.fx)) <= limit
        return ~none


def interacting(
    evaluator: Compressed, fx: float, steps: Floats, bounds: Bounds, noise: float, attempt: int = 0
) -> Sparsity:
    """Find the pattern at x, with all of the diagonal; another attempt takes other changes of x.

    Parameters
    ----------
    evaluator : Compressed
    fx : float
        f(x).
    steps : array
        On which f is smooth, for each entry of x.
    bounds : (array, array)
    noise : float
        Of one value of f.
    attempt : int
    """
    values = _Values(evaluator, fx, steps, bounds, noise, attempt)
    count = evaluator.starts.size
    size = 1
    while size < count:
        size *= 2
    pairs = np.empty((0, 2), np.intp)  # blocks that interact, the first before the second
    while size > 1:
        size //= 2
        pairs = _halved(values, pairs, size, count)
    rows, columns = np.concatenate([pairs, pairs[:, ::-1], np.tile(np.arange(count)[:, None], 2)]).T
    return Sparsity.from_entries((count, count), rows, columns)


def _halved(values: _Values, pairs: Ints, size: int, count: int) -> Ints:
    """Cut all blocks in two, down to `size`, and give the pairs of halves that interact."""
    blocks = -(-count // size)
    own = [np.arange(block * size, min((block + 1) * size, count)) for block in range(blocks)]
    siblings = np.stack([np.arange(0, blocks - 1, 2), np.arange(1, blocks, 2)], axis=1)
    children = np.concatenate([2 * pairs + np.array(half) for half in ((0, 0), (0, 1), (1, 0), (1, 1))])
    asked = np.concatenate([siblings, children[children[:, 1] < blocks]])
    alone = values.at(own)
    both = values.at([np.concatenate([own[i], own[j]]) for i, j in asked.tolist()])
    kept: Ints = asked[values.felt(both, alone[asked[:, 0]], alone[asked[:, 1]])]
    return kept


def unexplained(
    evaluator: Compressed,
    fx: float,
    steps: Floats,
    bounds: Bounds,
    noise: float,
    pattern: Sparsity,
    value: Floats,
    error: Floats,
) -> bool:
    """Tell whether f bends along a random direction by more than the second derivatives in the pattern say.

    The bend is extrapolated from two lengths, and what that changes is a bound on its own truncation.
    """
    start = evaluator.starts
    room = np.minimum(bounds[1] - start, start - bounds[0])
    for seed in range(DIRECTIONS):
        step = np.clip(_drawn(start, SHORT * steps, bounds, 17 + seed), -room, room)
        points = [evaluator.placed(start + part * step) for part in (1.0, -1.0, 0.5, -0.5)]
        rows = [np.nan if isinstance(row, Exception) else float(row[0]) for row in evaluator.rows(points)]
        up, down, up2, down2 = rows
        whole, half = (up - fx) - (fx - down), 4 * ((up2 - fx) - (fx - down2))
        size = max(abs(fx), abs(up), abs(down))
        said = float(step @ (pattern.matrix(value) @ step))
        doubt = np.abs(step) @ (pattern.matrix(error + AGREEMENT * np.abs(value)) @ np.abs(step))
        change = (half - whole) / 3
        if abs(half + change - said) > doubt + abs(change) + 4 * FELT * max(2.0**-52 * size, noise):
            return True
    return False
