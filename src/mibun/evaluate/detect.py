"""Find the pattern of a Jacobian by probing: which numbers that f returns change when some entries of x do.

From coarse to fine. Blocks of columns beside each other are moved, each of them by a random amount, and the rows that
change are written down. Then every block is cut in two; blocks without a common row are probed together, as columns of
one colour are. For a matrix of a few bands this takes a few calls of f for each halving, 4·log2(n) in all. Where the
colours of the blocks would be so many that it would take more calls than there are columns, the columns are probed one
by one. Memory stays in proportion to the entries.

Values are compared exactly, so a derivative that is 0 at x by chance is found, and what is multiplied by 0 is not taken
for an entry, as it would be by a probe with nan. Where f gives another value at the same x, it is noisy, and only what
exceeds its noise by far is a change.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.evaluate.compressed import Compressed
from mibun.evaluate.serial import located
from mibun.sparsity import Sparsity

__all__ = ["detected", "elsewhere"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]
Bounds = tuple[Floats, Floats]
#: Blocks to begin with: each is probed alone.
BLOCKS: Final = 16
#: Changes of x that are tried: their size relative to |x|, or to 1 where it is 0, and the least |x| that is taken so.
#: The second attempt follows where f changed by what the first did not see, as it does at x = 1e-17.
CHANGES: Final = ((2.0**-7, 0.0), (2.0**-3, 1.0))
#: How often a noisy f is evaluated again at a point, and what exceeds its noise, in units of what was seen there.
AGAIN: Final = 4
LOUD: Final = 8.0
#: Parts of a change that are tried, one after the other, where f raises.
TOWARDS: Final = (1.0, -1.0, 2.0**-10, 2.0**-30)


class _Probe:
    """Probes around one point, with the value of f there, and the noise of it."""

    def __init__(self, evaluator: Compressed, centre: Floats, fx: Any, bounds: Bounds, attempt: int, seed: int):
        self.evaluator, self.centre, self.fx, self.bounds = evaluator, centre, fx, bounds
        self.change = moved_within(centre, bounds, *CHANGES[attempt % 2], seed) - centre
        self.noise = LOUD * noise_at(evaluator, centre, fx)

    def changed(self, columns: Ints) -> NDArray[np.bool_]:
        """Tell which rows change when these columns move; towards the other side where f raises there."""
        for towards in TOWARDS:
            coordinates = self.centre.copy()
            coordinates[columns] += towards * self.change[columns]
            coordinates = np.clip(coordinates, *self.bounds)
            (found,) = self.evaluator.rows([self.evaluator.placed(coordinates)])
            if not isinstance(found, Exception):
                same: NDArray[np.bool_] = (np.abs(found - self.fx) <= self.noise) | (found == self.fx)
                same |= np.isnan(found) & np.isnan(self.fx)
                return ~same
            reason = found
        raise located(reason, "f raised this at every point that was tried to find its sparsity")


def noise_at(evaluator: Compressed, centre: Floats, fx: Floats) -> Floats:
    """Give what f differs by at the same point: for each number that it returns the most that was seen, mostly 0."""
    noise = np.zeros(fx.size)
    for _ in range(AGAIN):
        (again,) = evaluator.rows([evaluator.placed(centre)])
        if isinstance(again, Exception) or np.array_equal(again, fx, equal_nan=True):
            break
        noise = np.fmax(noise, np.abs(again - fx))
    if noise.any():  # a few values may be alike by chance
        noise = np.maximum(noise, np.median(noise[noise > 0]) / LOUD)
    return noise


def moved_within(centre: Floats, bounds: Bounds, relative: float, least: float, seed: int) -> Floats:
    """Give for each entry of x another value, within the bounds."""
    lower, upper = bounds
    rng = np.random.default_rng(seed)
    size = np.where(centre == 0, 1.0, np.maximum(np.abs(centre), least))
    change = relative * size * rng.uniform(0.5, 1.0, centre.size)
    change = np.copysign(change, rng.uniform(-1.0, 1.0, centre.size))
    moved = centre + change
    moved = np.where((moved > upper) | (moved < lower), centre - change, moved)
    return np.clip(moved, lower, upper)


def detected(evaluator: Compressed, fx: Floats, bounds: Bounds, attempt: int = 0) -> Sparsity:
    """Find the pattern at x; another attempt takes other changes of x."""
    centre = evaluator.starts
    probe = _Probe(evaluator, centre, fx, bounds, attempt, attempt)
    count, height = centre.size, fx.size
    size = 1
    while size * BLOCKS < count:
        size *= 2
    blocks = -(-count // size)
    own = np.arange(count) // size
    found = [np.flatnonzero(probe.changed(np.flatnonzero(own == block))) for block in range(blocks)]
    pattern = _pattern(height, blocks, found)
    while size > 1:
        halvings = size.bit_length() - 1
        colours = pattern.colours
        if 2 * (int(colours.max()) + 1) * halvings > count:
            each = [np.flatnonzero(probe.changed(np.array([column]))) for column in range(count)]
            return _pattern(height, count, each)
        size //= 2
        pattern = _halved(probe, pattern, np.arange(count) // size)
    return pattern


def _pattern(height: int, width: int, rows: list[Ints]) -> Sparsity:
    columns = np.repeat(np.arange(width), [part.size for part in rows])
    return Sparsity.from_entries((height, width), np.concatenate(rows), columns)


def _halved(probe: _Probe, pattern: Sparsity, own: Ints) -> Sparsity:
    """Cut all blocks in two: `own` is the half in which each column is."""
    colour_of_column, half_of_column = pattern.colours[own // 2], own % 2
    rows, halves = [], []
    for colour, bundle in enumerate(pattern.bundles):
        own_rows, own_blocks = pattern.rows[bundle], pattern.columns[bundle]
        for half in (0, 1):
            columns = np.flatnonzero((colour_of_column == colour) & (half_of_column == half))
            kept = probe.changed(columns)[own_rows]
            rows.append(own_rows[kept])
            halves.append(2 * own_blocks[kept] + half)
    none = [np.empty(0, np.intp)]
    shape = pattern.shape[0], int(own[-1]) + 1
    return Sparsity.from_entries(shape, np.concatenate(rows or none), np.concatenate(halves or none))


def elsewhere(evaluator: Compressed, pattern: Sparsity, bounds: Bounds) -> Ints:
    """Give rows that depend, at a point beside x, on columns that the pattern does not have; none if f raises there."""
    centre = moved_within(evaluator.starts, bounds, 0.5, 0.0, 7)
    (fx,) = evaluator.rows([evaluator.placed(centre)])
    if isinstance(fx, Exception):
        return np.empty(0, np.intp)
    probe = _Probe(evaluator, centre, fx, bounds, 0, 8)
    more = np.zeros(fx.size, bool)
    # by halves drawn at random, so that a row is not always excused by its own column of the colour
    bundles = 2 * pattern.colours + np.random.default_rng(9).integers(0, 2, centre.size)
    for bundle in np.unique(bundles).tolist():
        changed = probe.changed(np.flatnonzero(bundles == bundle))
        changed[pattern.rows[bundles[pattern.columns] == bundle]] = False
        more |= changed
    return np.flatnonzero(more)
