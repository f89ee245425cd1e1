"""Colours for the columns of a sparse matrix: columns of one colour can move together and be told apart afterwards.

- `colour_columns`: two columns with an entry in the same row differ (A. Curtis, M. Powell and J. Reid, IMA J. Appl.
  Math. 13 (1974) 117-119; T. Coleman and J. Moré, SIAM J. Numer. Anal. 20 (1983) 187-209).
- `colour_star`: for a symmetric matrix. Neighbours differ, and every path of four vertices has three colours
  (A. Gebremedhin, F. Manne and A. Pothen, "What color is your Jacobian?", SIAM Review 47 (2005) 629-705).

To find the least number of colours is NP-hard. Several orders are tried, and the best result is taken; the search ends
where a lower bound is met. Columns are coloured one by one with sets of colours as bits of integers, which costs about
half a microsecond an entry. For matrices of one band, in whatever order its columns stand, and for stencils on grids
nothing is coloured one by one: the place in the band or in the grid, modulo a number, is the colour.
"""

import heapq
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise, product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.errors import MissingDependency

__all__ = ["colour_columns", "colour_star", "sparse_matrices"]

Ints = NDArray[np.intp]

#: Pairs of columns that share a row, up to which orders are tried that need all of them at hand.
PAIRS: Final = 1_000_000
#: Rows by which a modulus is chosen, entries in each up to which it is looked for, and distances that may be lines.
ROWS: Final = 128
LONGEST_ROW: Final = 32
DISTANCES: Final = 24
#: How often a colouring is improved.
ROUNDS: Final = 20


def sparse_matrices() -> Any:
    """Give scipy.sparse.

    Raises
    ------
    MissingDependency
        If SciPy is not installed; the message is the line that installs it.
    """
    try:
        import scipy.sparse
    except ImportError as reason:
        raise MissingDependency.of("scipy", "scipy", "sparsity=") from reason
    return scipy.sparse


def colour_columns(starts: Ints, columns: Ints, count: int) -> Ints:
    """Colour the columns of a matrix so that no two of one colour have an entry in the same row.

    Parameters
    ----------
    starts, columns
        The pattern row by row: the columns of row i are ``columns[starts[i]:starts[i + 1]]``, ascending.
    count : int
        Number of columns.

    Returns
    -------
    array of int, (count,)
        The colour of each column, from 0.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.colouring import colour_columns
    >>> colour_columns(np.array([0, 2, 5, 8, 10]), np.array([0, 1, 0, 1, 2, 1, 2, 3, 2, 3]), 4)
    array([0, 1, 2, 0])
    """
    if not columns.size:
        return np.zeros(count, np.intp)
    least = int(np.diff(starts).max())
    best = np.arange(count)
    if best.max() < least:
        return best
    for colours in _column_colourings(starts, columns, count, least):
        if colours.max() < best.max():
            best = colours
        if best.max() < least:
            break
    return best


def _column_colourings(starts: Ints, columns: Ints, count: int, least: int) -> Iterator[Ints]:
    """Give one colouring after the other, cheap ones first."""
    natural = np.arange(count)
    yield from _lattices(starts, columns, natural, least)
    lengths = np.diff(starts)
    pairs = float(np.square(lengths, dtype=np.float64).sum())
    graph, banded = None, natural
    if pairs <= 50 * PAIRS:
        matrix = sparse_matrices().csr_array((np.ones(columns.size, np.int32), columns, starts), (lengths.size, count))
        graph = (matrix.T @ matrix).tocsr()
        banded = _band_order(graph)
        yield from _lattices(starts, columns, np.argsort(banded), least, grids=False)
    rows = np.repeat(np.arange(lengths.size), lengths)
    order = np.argsort(columns, kind="stable")
    begins = np.searchsorted(columns[order], np.arange(count + 1)).tolist()
    entries = rows[order].tolist()
    by_column = [entries[begin:end] for begin, end in pairwise(begins)]
    best = natural
    for given in _orders(starts, columns, banded, graph if pairs <= PAIRS else None):
        colours = _greedy(by_column, lengths.size, given)
        best = min(best, colours, key=np.max)
        yield colours
    rng = np.random.default_rng(0)
    for _ in range(min(ROUNDS, PAIRS // columns.size)):
        best = _greedy(by_column, lengths.size, _by_classes(best, rng))
        yield best


def _orders(starts: Ints, columns: Ints, banded: Ints, graph: Any) -> Iterator[Ints]:
    """Give the orders that are tried, cheap ones first."""
    yield banded
    yield np.arange(banded.size)
    lengths = np.diff(starts)
    degrees = np.bincount(columns, weights=np.repeat(lengths, lengths), minlength=banded.size)
    yield np.argsort(-degrees, kind="stable")
    if graph is not None:
        yield from _dynamic_orders(_neighbours(graph))


def _lattices(starts: Ints, columns: Ints, places: Ints, least: int, grids: bool = True) -> Iterator[Ints]:
    """Colour by the place modulo a number, the place being one number, or the two or three of a grid.

    For p bands below and q above the diagonal this takes p + q + 1 colours, the best there is; for the stencils of
    five, seven and nine points on a grid as many as there are points (D. Goldfarb and P. Toint, Math. Comp. 43 (1984)
    69-88). Moduli are chosen by some of the rows, and tried on all of them.
    """
    lengths = np.diff(starts)
    longest = int(lengths.max())
    if longest > LONGEST_ROW:
        return
    filled = np.flatnonzero(lengths)
    some = filled[np.linspace(0, filled.size - 1, min(filled.size, ROWS)).astype(np.intp)]
    pairs = _pairs(starts[some], lengths[some], columns, places)
    distances = np.unique(np.abs(pairs[0] - pairs[1]))
    rows = np.repeat(np.arange(lengths.size), lengths)
    grids = grids and distances.size <= longest * longest  # a stencil has a distance for each pair of its points
    layouts = list(_strides(distances.tolist())) if grids else [()]

    @cache
    def apart(strides: tuple[int, ...]) -> Ints:
        if not strides:
            return distances[:, None]
        there, here = (np.stack(_digits(part, strides), axis=1) for part in pairs)
        return np.asarray(np.unique(there - here, axis=0))

    for modulus in range(least, 2 * least):
        for strides in layouts:
            factors = _factors(apart(strides), modulus)
            if factors is None:
                continue
            colours = np.add.reduce([*map(np.multiply, _digits(places, strides), factors)]) % modulus
            taken = np.zeros(modulus * lengths.size, bool)
            taken[(colours * lengths.size)[columns] + rows] = True
            if np.count_nonzero(taken) == columns.size:
                yield colours
                return


def _pairs(begins: Ints, lengths: Ints, columns: Ints, places: Ints) -> tuple[Ints, Ints]:
    """Give the places of all pairs of columns in some rows."""
    first, second = [], []
    for length in np.unique(lengths).tolist():
        at = places[columns[begins[lengths == length][:, None] + np.arange(length)]]
        one, other = np.triu_indices(length, 1)
        first.append(at[:, one].reshape(-1))
        second.append(at[:, other].reshape(-1))
    return np.concatenate(first), np.concatenate(second)


def _strides(distances: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Guess how a grid is laid out: a line, or lines of some length, or planes of such lines."""
    yield ()
    wide = [distance for distance in distances if distance > 1][:DISTANCES]
    yield from ((line,) for line in wide)
    yield from ((line, plane) for line in wide for plane in wide if plane > line and plane % line == 0)


def _digits(places: Ints, strides: Sequence[int]) -> list[Ints]:
    """Take places apart: along the line, across the lines, across the planes."""
    digits = []
    for stride in reversed(strides):
        across, places = np.divmod(places, stride)
        digits.append(across)
    return [places, *reversed(digits)]


def _factors(apart: Ints, modulus: int) -> Ints | None:
    """Find factors of the digits by which no two columns of a row agree modulo a number; None if there are none."""
    factors = np.array([(1, *rest) for rest in product(range(modulus), repeat=apart.shape[1] - 1)])
    fine = np.flatnonzero((apart @ factors.T % modulus).all(axis=0))
    return factors[fine[0]] if fine.size else None


def _greedy(by_column: Sequence[Sequence[int]], rows: int, order: Ints) -> Ints:
    """Give each column in turn the first colour that no column before it has in one of its rows."""
    taken = [0] * rows  # of each row the colours, as bits
    colours = np.zeros(order.size, np.intp)
    given = []
    for column in order.tolist():
        own, forbidden = by_column[column], 0
        for row in own:
            forbidden |= taken[row]
        free = ~forbidden & (forbidden + 1)
        for row in own:
            taken[row] |= free
        given.append(free.bit_length() - 1)
    colours[order] = given
    return colours


def _band_order(graph: Any) -> Ints:
    """Order the columns so that those that share a row stand close together."""
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    return np.asarray(reverse_cuthill_mckee(graph, symmetric_mode=True), np.intp)


def _neighbours(graph: Any) -> list[list[int]]:
    """List the neighbours of each vertex of a symmetric graph."""
    begins, ends = graph.indptr.tolist(), graph.indices.tolist()
    return [[w for w in ends[begin:end] if w != v] for v, (begin, end) in enumerate(pairwise(begins))]


def _by_classes(colours: Ints, rng: np.random.Generator) -> Ints:
    """Order vertices colour by colour: coloured greedily in this order they need no more colours, and often fewer.

    J. Culberson and F. Luo, "Exploring the k-colorable landscape with iterated greedy", DIMACS Series 26 (1996).
    """
    count = int(colours.max()) + 1
    ranks = rng.permutation(count) if rng.random() < 0.5 else np.arange(count)[::-1]
    return np.argsort(ranks[colours], kind="stable")


def _dynamic_orders(neighbours: Sequence[Sequence[int]]) -> Iterator[Ints]:
    """Give the orders that follow the degrees among what is left (smallest last) or done (incidence degree)."""
    degrees = [len(own) for own in neighbours]
    yield _by_degree(neighbours, degrees, -1)[::-1]
    yield _by_degree(neighbours, [0] * len(degrees), -1)


def _by_degree(neighbours: Sequence[Sequence[int]], keys: list[int], change: int) -> Ints:
    """Take the vertex of the least key next, again and again; `change` is added to the keys of its neighbours."""
    heap = [(key, vertex) for vertex, key in enumerate(keys)]
    heapq.heapify(heap)
    done = bytearray(len(keys))
    order = []
    while heap:
        key, vertex = heapq.heappop(heap)
        if done[vertex] or key != keys[vertex]:
            continue
        done[vertex] = True
        order.append(vertex)
        for other in neighbours[vertex]:
            if not done[other]:
                keys[other] += change
                heapq.heappush(heap, (keys[other], other))
    return np.array(order, np.intp)


def colour_star(starts: Ints, columns: Ints, count: int) -> Ints:
    """Colour a symmetric matrix so that each of its entries can be read off the sums of the columns of a colour.

    Entries on the diagonal are as if they were there. Neighbours differ in colour, and so any entry h_ij stands alone
    in row i of the sum over the colour of j, or in row j of that of i.

    Parameters
    ----------
    starts, columns, count
        As for `colour_columns`; the pattern is symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.colouring import colour_star
    >>> colour_star(np.array([0, 1, 2, 3, 6]), np.array([3, 3, 3, 0, 1, 2]), 4)  # a star: its centre and the others
    array([1, 1, 1, 0])
    """
    ones = np.ones(columns.size, np.int32)
    matrix = sparse_matrices().csr_array((ones, columns, starts), (count, count))
    full = (matrix + sparse_matrices().eye_array(count, dtype=np.int32, format="csr")).tocsr()
    full.sort_indices()
    best = colour_columns(full.indptr, full.indices, count)  # no two at distance 1 or 2: a star colouring, too
    degrees = np.diff(full.indptr) - 1
    inner = degrees > 1
    rows = np.repeat(np.arange(count), np.diff(starts))
    # an edge between two inner vertices is the middle of a path of four, or a side of a triangle
    least = 3 if (inner[rows] & inner[columns] & (rows != columns)).any() else 2 if degrees.any() else 1
    enough = 2 * columns.size / count if columns.size > PAIRS else least
    if best.max() < max(least, enough):
        return best
    neighbours = _neighbours(matrix)
    for order in _star_orders(matrix, neighbours, degrees):
        colours = _greedy_star(neighbours, order)
        if colours.max() < best.max():
            best = colours
        if best.max() < least:
            break
    return best


def _star_orders(matrix: Any, neighbours: Sequence[Sequence[int]], degrees: Ints) -> Iterator[Ints]:
    """Give the orders that are tried, cheap ones first."""
    yield np.argsort(-degrees, kind="stable")
    yield np.arange(degrees.size)
    yield _band_order(matrix)
    if matrix.nnz <= PAIRS:
        yield from _dynamic_orders(neighbours)


def _greedy_star(neighbours: Sequence[Sequence[int]], order: Ints) -> Ints:
    """Colour vertex by vertex (algorithm 4.1 of Gebremedhin, Manne and Pothen), with sets of colours as bits.

    A vertex does not take the colour of x in a path vertex, w, x, y where w and y have one colour. These are kept for
    each w, and change when x gets its colour, or its second neighbour of one colour: a vertex with many neighbours,
    each of which is a vertex in turn, is not gone through for each of them.
    """
    bits = [0] * len(neighbours)  # the colour of each vertex as a bit, 0 before it has one
    once, twice = bits.copy(), bits.copy()  # of each vertex: colours among its neighbours, and those seen there twice
    beyond = bits.copy()  # of each w: colours of its neighbours x that have the colour of w twice around them
    for vertex in order.tolist():
        around = neighbours[vertex]
        forbidden = once[vertex]
        for near in around:
            forbidden |= beyond[near] if bits[near] else once[near]
        own = bits[vertex] = ~forbidden & (forbidden + 1)
        for near in around:
            if twice[vertex] & bits[near]:
                beyond[near] |= own
            if once[near] & own and not twice[near] & own:
                twice[near] |= own
                if bits[near]:
                    for far in neighbours[near]:
                        if bits[far] == own:
                            beyond[far] |= bits[near]
            elif twice[near] & own:
                beyond[vertex] |= bits[near]
            once[near] |= own
    return np.array([bit.bit_length() - 1 for bit in bits], np.intp)
