"""Sparse matrices whose least number of colours is published, and random functions of a known pattern."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse


def band(n: int, below: int, above: int) -> Any:
    """Give a matrix of bands."""
    offsets = range(-below, above + 1)
    return sparse.csr_array(sparse.diags_array([np.ones(n - abs(k)) for k in offsets], offsets=list(offsets)))


def grid(rows: int, columns: int, corners: bool = False) -> Any:
    """Give five points of a square grid, or nine."""
    across, along = band(rows, 1, 1), band(columns, 1, 1)
    if corners:
        return sparse.kron(across, along)
    return sparse.kron(across, sparse.eye_array(columns)) + sparse.kron(sparse.eye_array(rows), along)


def arrow(n: int) -> Any:
    """Give a first row, a first column and a diagonal."""
    matrix = np.eye(n)
    matrix[0] = matrix[:, 0] = 1
    return matrix


def cycle(n: int) -> Any:
    """Give a tridiagonal circulant."""
    matrix = np.eye(n) + np.roll(np.eye(n), 1, axis=1)
    return matrix + matrix.T


def tree(n: int) -> Any:
    """Give a binary tree."""
    matrix = np.eye(n)
    for child in range(1, n):
        matrix[child, (child - 1) // 2] = matrix[(child - 1) // 2, child] = 1
    return matrix


def cube(size: int, corners: bool = False) -> Any:
    """Give seven points of a grid of cubes, or 27."""
    line, one = band(size, 1, 1), sparse.eye_array(size)
    if corners:
        return sparse.kron(sparse.kron(line, line), line)
    return sum(sparse.kron(sparse.kron(a, b), c) for a, b, c in ((line, one, one), (one, line, one), (one, one, line)))


def bipartite(rows: int, columns: int) -> Any:
    """Link every vertex of one side to every one of the other."""
    matrix = np.eye(rows + columns)
    matrix[:rows, rows:] = matrix[rows:, :rows] = 1
    return matrix


CPR = "Curtis, Powell, Reid, IMA J. Appl. Math. 13 (1974): a band p below and q above has p + q + 1"
GOLDFARB = "Goldfarb, Toint, Math. Comp. 43 (1984): as many as the stencil has points"
MORE = "Coleman, More, SIAM J. Numer. Anal. 20 (1983): no fewer than the longest row"
CIRCUIT = "Prowse, Woodall, Graphs Combin. 19 (2003): the square of a circuit has 3 if 3 divides n, 5 for n = 5, else 4"
#: Least numbers of colours of columns, and who published them.
COLUMNS: dict[str, tuple[Any, int, str]] = {
    "diagonal": (np.eye(40), 1, CPR),
    "bidiagonal": (band(200, 0, 1), 2, CPR),
    "tridiagonal": (band(200, 1, 1), 3, CPR),
    "pentadiagonal": (band(200, 2, 2), 5, CPR),
    "one below, three above": (band(200, 1, 3), 5, CPR),
    "seven bands": (band(200, 3, 3), 7, CPR),
    "Toeplitz, lower triangular": (band(80, 5, 0), 6, CPR),
    "blocks of 4": (sparse.block_diag([np.ones((4, 4))] * 20), 4, MORE),
    "dense": (np.ones((9, 9)), 9, MORE),
    "dense row": (np.eye(30) + np.outer(np.eye(30)[0], np.ones(30)), 30, MORE),
    "dense column": (np.eye(30) + np.outer(np.ones(30), np.eye(30)[0]), 2, MORE),
    "arrow": (arrow(30), 30, MORE),
    "a row of two": (np.array([[1, 1, 0], [0, 1, 1]]), 2, MORE),
    "five points, 31 x 17": (grid(31, 17), 5, GOLDFARB),
    "five points, 10 x 10": (grid(10, 10), 5, GOLDFARB),
    "five points, 100 x 100": (grid(100, 100), 5, GOLDFARB),
    "nine points, 12 x 15": (grid(12, 15, corners=True), 9, GOLDFARB),
    "seven points, 8 x 8 x 8": (cube(8), 7, GOLDFARB),
    "27 points, 7 x 7 x 7": (cube(7, corners=True), 27, GOLDFARB),
    "circulant of 9": (cycle(9), 3, CIRCUIT),
    "circulant of 100": (cycle(100), 4, CIRCUIT),
    "circulant of 5": (cycle(5), 5, CIRCUIT),
}
FERTIN = "Fertin, Raspaud, Reed, J. Graph Theory 47 (2004)"
POWELL = "Powell, Toint, SIAM J. Numer. Anal. 16 (1979); Coleman, More, Math. Programming 28 (1984)"
#: Least numbers of colours of star colourings, and who published them.
STARS: dict[str, tuple[Any, int, str]] = {
    "diagonal": (np.eye(5), 1, POWELL),
    "tridiagonal": (band(60, 1, 1).toarray(), 3, POWELL),
    "arrow": (arrow(30), 2, POWELL),
    "pentadiagonal": (band(40, 2, 2).toarray(), 5, POWELL),
    "complete": (np.ones((7, 7)), 7, FERTIN),
    "tree": (tree(31), 3, FERTIN),
    "cycle of 6": (cycle(6), 3, FERTIN),
    "cycle of 9": (cycle(9), 3, FERTIN),
    "cycle of 5": (cycle(5), 4, FERTIN),
    "complete bipartite, 3 and 8": (bipartite(3, 8), 4, FERTIN),
    "five points, 7 x 12": (grid(7, 12).toarray(), 5, FERTIN),
    "blocks of 3": (sparse.block_diag([np.ones((3, 3))] * 6).toarray(), 3, POWELL),
}


def random_parts(rng: np.random.Generator) -> tuple[Callable[[Any], Any], Any, Any]:
    """Give products, sines and rational functions of two or three entries of x each, of any size, and their pattern."""
    n, count = int(rng.integers(3, 30)), int(rng.integers(1, 60))
    of, kind = rng.integers(0, n, (count, 3)), rng.integers(0, 4, count)
    size, scale = 10.0 ** rng.uniform(-2, 2, count), 10.0 ** rng.uniform(-1, 0.5, count)

    def parts(x: Any) -> Any:
        a, b, c = x[of[:, 0]] * scale, x[of[:, 1]], x[of[:, 2]]
        chosen = [np.sin(a * b), np.exp(-(a * a)) * b, a * b * c]
        return size * np.select([kind == 0, kind == 1, kind == 2], chosen, 1 / (1 + a * a + b * b))

    pattern = np.zeros((count, n))
    for row in range(count):
        pattern[row, of[row, : 3 if kind[row] == 2 else 2]] = 1
    return parts, rng.normal(size=n) * 10.0 ** rng.uniform(-1, 1, n), pattern
