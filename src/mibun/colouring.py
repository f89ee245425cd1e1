"""Colours for the columns of a sparse matrix: columns of one colour can move together and be told apart afterwards.

- `colour_columns`: two columns with an entry in the same row differ (A. Curtis, M. Powell and J. Reid, IMA J. Appl.
  Math. 13 (1974) 117-119; T. Coleman and J. Moré, SIAM J. Numer. Anal. 20 (1983) 187-209).
- `colour_star`: for a symmetric matrix. Neighbours differ, and every path of four vertices has three colours
  (A. Gebremedhin, F. Manne and A. Pothen, "What color is your Jacobian?", SIAM Review 47 (2005) 629-705).

To find the least number of colours is NP-hard. Several orders are tried, and the best result is taken; the search ends
where a lower bound is met. Columns are coloured one by one with sets of colours as bits of integers, which costs about
half a microsecond an entry, and for matrices of one band, in whatever order its columns stand, nothing is coloured one
by one: the place in the band, modulo its width, is the colour.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.errors import MissingDependency

__all__ = ["colour_columns", "colour_star", "sparse_matrices"]

Ints = NDArray[np.intp]

#: Pairs of columns that share a row, up to which orders are tried that need all of them at hand.
PAIRS: Final = 1_000_000
#: Entries of a row, and distances between its columns, up to which a modulus is looked for.
LONGEST_ROW: Final = 64
DISTANCES: Final = 512


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
    for colours in _column_colourings(starts, columns, count, least):
        if colours.max() < best.max():
            best = colours
        if best.max() < least:
            break
    return best


def _column_colourings(starts: Ints, columns: Ints, count: int, least: int) -> Iterator[Ints]:
    """Give one colouring after the other, cheap ones first."""
    natural = np.arange(count)
    yield _cyclic(starts, columns, natural, least)
    lengths = np.diff(starts)
    pairs = float(np.square(lengths, dtype=np.float64).sum())
    graph, banded = None, natural
    if pairs <= 50 * PAIRS:
        matrix = sparse_matrices().csr_array((np.ones(columns.size, np.int32), columns, starts), (lengths.size, count))
        graph = (matrix.T @ matrix).tocsr()
        banded = _band_order(graph)
        yield _cyclic(starts, columns, np.argsort(banded), least)
    rows = np.repeat(np.arange(lengths.size), lengths)
    order = np.argsort(columns, kind="stable")
    begins = np.searchsorted(columns[order], np.arange(count + 1)).tolist()
    entries = rows[order].tolist()
    by_column = [entries[begin:end] for begin, end in pairwise(begins)]
    yield _greedy(by_column, lengths.size, banded)
    yield _greedy(by_column, lengths.size, natural)
    degrees = np.bincount(columns, weights=np.repeat(lengths, lengths), minlength=count)
    yield _greedy(by_column, lengths.size, np.argsort(-degrees, kind="stable"))
    if graph is not None and pairs <= PAIRS:
        for dynamic in _dynamic_orders(_neighbours(graph)):
            yield _greedy(by_column, lengths.size, dynamic)


def _cyclic(starts: Ints, columns: Ints, places: Ints, least: int) -> Ints:
    """Colour by the place modulo the least number that divides no distance between two columns of a row.

    For p bands below and q above the diagonal this is p + q + 1, the best there is; for the five points of a square
    grid it is 5 on many grids.
    """
    lengths = np.diff(starts)
    at = places[columns]
    filled = np.flatnonzero(lengths)
    span = int((np.maximum.reduceat(at, starts[filled]) - np.minimum.reduceat(at, starts[filled])).max())
    if span < least or lengths.max() > LONGEST_ROW:
        return np.asarray(places % (span + 1))
    rows = np.repeat(np.arange(lengths.size), lengths)
    at = at[np.lexsort((at, rows))]
    distances: set[int] = set()
    for offset in range(1, int(lengths.max())):
        same = rows[offset:] == rows[:-offset]
        distances.update(np.unique((at[offset:] - at[:-offset])[same]).tolist())
        if len(distances) > DISTANCES:
            return np.asarray(places % (span + 1))
    apart = np.array(sorted(distances))
    modulus = next(k for k in range(least, span + 2) if k > span or (apart % k).all())
    return np.asarray(places % modulus)


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
    matrix = sparse_matrices().csr_array((np.ones(columns.size, np.int32), columns, starts), (count, count))
    neighbours = _neighbours(matrix)
    degrees = np.array([len(own) for own in neighbours])
    diagonal = sparse_matrices().eye_array(count, dtype=np.int32, format="csr")
    full = (matrix + diagonal).tocsr()
    full.sort_indices()
    best = colour_columns(full.indptr, full.indices, count)  # no two at distance 1 or 2: a star colouring, too
    least = 2 if degrees.any() else 1
    orders = [np.arange(count), np.argsort(-degrees, kind="stable"), _band_order(matrix)]
    if columns.size <= PAIRS:
        orders += _dynamic_orders(neighbours)
    for order in orders:
        if best.max() < least:
            break
        colours = _greedy_star(neighbours, order)
        if colours.max() < best.max():
            best = colours
    return best


def _greedy_star(neighbours: Sequence[Sequence[int]], order: Ints) -> Ints:
    """Colour vertex by vertex (algorithm 4.1 of Gebremedhin, Manne and Pothen), with sets of colours as bits."""
    bits = [0] * len(neighbours)  # the colour of each vertex as a bit, 0 before it has one
    once, twice = bits.copy(), bits.copy()  # of each vertex: colours among its neighbours, and those seen there twice
    for vertex in order.tolist():
        forbidden = once[vertex]
        for near in neighbours[vertex]:
            colour = bits[near]
            if not colour:
                forbidden |= once[near]
                continue
            for far in neighbours[near]:
                if twice[far] & colour:
                    forbidden |= bits[far]
        own = ~forbidden & (forbidden + 1)
        bits[vertex] = own
        for near in neighbours[vertex]:
            twice[near] |= once[near] & own
            once[near] |= own
    return np.array([bit.bit_length() - 1 for bit in bits], np.intp)
