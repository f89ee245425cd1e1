"""Patterns and colours: every colouring is valid, and needs as few colours as are known to be enough."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mibun.colouring import colour_columns, colour_star
from mibun.errors import InputError, MissingDependency
from mibun.sparsity import Sparsity

sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")


def band(n, below, above):
    offsets = range(-below, above + 1)
    return sparse.csr_array(sparse.diags_array([np.ones(n - abs(k)) for k in offsets], offsets=list(offsets)))


def grid(rows, columns, corners=False):
    """Five points of a square grid, or nine."""
    across, along = band(rows, 1, 1), band(columns, 1, 1)
    if corners:
        return sparse.kron(across, along)
    return sparse.kron(across, sparse.eye_array(columns)) + sparse.kron(sparse.eye_array(rows), along)


def arrow(n):
    matrix = np.eye(n)
    matrix[0] = matrix[:, 0] = 1
    return matrix


def cycle(n):
    matrix = np.eye(n) + np.roll(np.eye(n), 1, axis=1)
    return matrix + matrix.T


def tree(n):
    """A binary tree."""
    matrix = np.eye(n)
    for child in range(1, n):
        matrix[child, (child - 1) // 2] = matrix[(child - 1) // 2, child] = 1
    return matrix


def valid(pattern, colours):
    """Every two columns of a row differ."""
    keys = pattern.rows * (int(colours.max()) + 1) + colours[pattern.columns]
    return np.unique(keys).size == pattern.size


def is_star(matrix, colours):
    """Neighbours differ, and no path of four vertices has two colours."""
    linked = np.array(matrix, bool) & ~np.eye(len(matrix), dtype=bool)
    pairs = np.argwhere(linked)
    if any(colours[a] == colours[b] for a, b in pairs):
        return False
    for b, c in pairs:
        ends = [a for a in np.flatnonzero(linked[b]) if a != c and colours[a] == colours[c]]
        if any(d != a and d != b and colours[d] == colours[b] for a in ends for d in np.flatnonzero(linked[c])):
            return False
    return True


def cube(size, reach=1):
    """Seven points of a grid of cubes, or with `reach` None 27."""
    line, one = band(size, 1, 1), sparse.eye_array(size)
    if reach is None:
        return sparse.kron(sparse.kron(line, line), line)
    return sum(sparse.kron(sparse.kron(a, b), c) for a, b, c in ((line, one, one), (one, line, one), (one, one, line)))


def bipartite(rows, columns):
    """Every vertex of one side linked to every one of the other."""
    matrix = np.eye(rows + columns)
    matrix[:rows, rows:] = matrix[rows:, :rows] = 1
    return matrix


CPR = "Curtis, Powell, Reid, IMA J. Appl. Math. 13 (1974): a band p below and q above has p + q + 1"
GOLDFARB = "Goldfarb, Toint, Math. Comp. 43 (1984): as many as the stencil has points"
MORE = "Coleman, More, SIAM J. Numer. Anal. 20 (1983): no fewer than the longest row"
CIRCUIT = "Prowse, Woodall, Graphs Combin. 19 (2003): the square of a circuit has 3 if 3 divides n, 5 for n = 5, else 4"
#: Least numbers of colours of columns, and who published them.
COLUMNS = {
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
    "27 points, 7 x 7 x 7": (cube(7, None), 27, GOLDFARB),
    "circulant of 9": (cycle(9), 3, CIRCUIT),
    "circulant of 100": (cycle(100), 4, CIRCUIT),
    "circulant of 5": (cycle(5), 5, CIRCUIT),
}
FERTIN = "Fertin, Raspaud, Reed, J. Graph Theory 47 (2004)"
POWELL = "Powell, Toint, SIAM J. Numer. Anal. 16 (1979); Coleman, More, Math. Programming 28 (1984)"
#: Least numbers of colours of star colourings, and who published them.
STARS = {
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


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_get_the_least_number_of_colours(name):
    matrix, least, _ = COLUMNS[name]
    pattern = Sparsity.of(matrix)
    assert valid(pattern, pattern.colours)
    assert pattern.colours.max() + 1 == least


@pytest.mark.parametrize(("below", "above"), [(1, 1), (0, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_and_columns_does_not_matter_to_a_band(below, above, seed):
    rng = np.random.default_rng(seed)
    matrix = band(150, below, above)[rng.permutation(150)][:, rng.permutation(150)]
    pattern = Sparsity.of(matrix)
    assert valid(pattern, pattern.colours)
    assert pattern.colours.max() + 1 == below + above + 1


@pytest.mark.parametrize("name", STARS)
def test_stars_get_the_least_number_of_colours(name):
    matrix, least, _ = STARS[name]
    colours = Sparsity.of(matrix).star_colours
    assert is_star(matrix, colours)
    assert colours.max() + 1 == least


def test_any_order_of_the_columns_of_a_tridiagonal_matrix_has_three_colours():
    rng = np.random.default_rng(7)
    for n in [*range(3, 40), *range(40, 400, 9)]:
        pattern = Sparsity.of(band(n, 1, 1)[:, rng.permutation(n)])
        assert valid(pattern, pattern.colours)
        assert pattern.colours.max() + 1 == 3


@pytest.mark.parametrize("name", STARS)
def test_every_entry_can_be_read_off_a_star_colouring(name):
    matrix = sparse.csr_array(STARS[name][0])
    pattern = Sparsity.of(matrix)
    half, places = pattern.halved()
    value = np.random.default_rng(3).normal(size=pattern.size)
    value = value + value[pattern.mirror]
    sums = pattern.matrix(value) @ np.eye(half.colours.max() + 1)[half.colours]  # of the columns of each colour
    read = sums[half.rows, half.colours[half.columns]]
    np.testing.assert_array_equal(read[places], value)
    assert half.size == (pattern.size - matrix.shape[0]) // 2 + matrix.shape[0]


def test_a_large_matrix_is_coloured_in_a_moment():
    n = 100_000
    order = np.random.default_rng(0).permutation(n)
    pattern = Sparsity.of(band(n, 1, 1)[:, order])
    assert pattern.colours.max() == 2
    arrowhead = sparse.coo_array(
        (
            np.ones(3 * n - 2),
            (
                np.concatenate([np.arange(n), np.zeros(n - 1, int), np.arange(1, n)]),
                np.concatenate([np.arange(n), np.arange(1, n), np.zeros(n - 1, int)]),
            ),
        )
    )
    assert Sparsity.of(arrowhead).star_colours.max() == 1


def test_a_star_colouring_is_not_any_colouring():
    assert not is_star(band(4, 1, 1).toarray(), np.array([0, 1, 0, 1]))
    assert is_star(band(4, 1, 1).toarray(), np.array([0, 1, 0, 2]))


PATTERNS = st.integers(1, 12).flatmap(
    lambda width: st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=12)
)


@given(PATTERNS)
@settings(deadline=None)
def test_colours_of_random_patterns_are_valid(rows):
    matrix = np.array(rows)
    pattern = Sparsity.of(matrix)
    colours = colour_columns(pattern.starts, pattern.columns, matrix.shape[1])
    assert colours.shape == (matrix.shape[1],)
    assert valid(pattern, colours)
    assert colours.max() + 1 >= max(1, matrix.sum(axis=1).max())
    joined = np.sort(np.concatenate([*pattern.bundles, np.empty(0, np.intp)]))
    np.testing.assert_array_equal(joined, np.arange(pattern.size))


@given(st.integers(1, 10).flatmap(lambda n: st.lists(st.booleans(), min_size=n * n, max_size=n * n)))
@settings(deadline=None)
def test_star_colours_of_random_patterns_are_valid(entries):
    n = int(len(entries) ** 0.5)
    half = np.array(entries).reshape(n, n)
    pattern = Sparsity.of(half | half.T)
    assert is_star(half | half.T, colour_star(pattern.starts, pattern.columns, n))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"])
def test_every_format_is_read_alike(form):
    matrix = band(9, 1, 2)
    found = Sparsity.of(matrix.asformat(form))
    expected = Sparsity.of(matrix.toarray() != 0)
    np.testing.assert_array_equal(found.starts, expected.starts)
    np.testing.assert_array_equal(found.columns, expected.columns)


def test_nested_lists_and_csr_out_of_order_are_read():
    assert Sparsity.of([[True, False], [1, 0]]).keys.tolist() == [0, 2]
    mixed = sparse.csr_array((np.ones(4), np.array([2, 0, 0, 1]), np.array([0, 3, 4])), (2, 3))
    assert Sparsity.of(mixed).keys.tolist() == [0, 2, 4]
    assert Sparsity.of(sparse.csr_matrix((0, 3))).bundles == []


def test_stored_zeros_count_and_what_is_there_twice_counts_once():
    matrix = sparse.coo_array((np.array([1.0, -1.0, 0.0]), (np.array([0, 0, 1]), np.array([1, 1, 0]))), (2, 2))
    pattern = Sparsity.of(matrix)
    assert pattern.rows.tolist() == [0, 1]
    assert pattern.columns.tolist() == [1, 0]
    assert repr(pattern) == "Sparsity(shape (2, 2), 2 entries)"


def test_two_patterns_are_united():
    union = Sparsity.of(np.eye(3)).united(Sparsity.of(np.eye(3)[::-1]))
    assert union.size == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("detekt", r"sparsity is 'detekt'; expected \"detect\""),
        (np.ones(3), r"an array of shape \(3,\)"),
        (np.array([["a"]]), "dtype"),
        ([[1, 0], [1]], "a list whose rows differ in length"),
        (np.eye(2) * 1j, "dtype complex128"),
        (sparse.coo_array(np.ones(3)), "expected a matrix"),
        (7, "sparsity is 7"),
    ],
)
def test_what_is_no_pattern_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Sparsity.of(given)


def test_another_shape_is_refused():
    with pytest.raises(InputError, match=r"sparsity has shape \(3, 3\); expected \(3, 4\)"):
        Sparsity.of(np.eye(3), (3, 4))


def test_asymmetric_patterns_have_no_star_colours():
    matrix = np.eye(4)
    matrix[1, 3] = 1
    with pytest.raises(InputError, match=r"an entry at \(1, 3\) and none at \(3, 1\)"):
        _ = Sparsity.of(matrix).star_colours
    with pytest.raises(InputError, match="that of a Hessian is square"):
        _ = Sparsity.of(np.ones((2, 3))).mirror


def test_without_scipy_the_message_is_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingDependency, match=r"pip install 'mibun\[scipy\]'"):
        Sparsity.of(np.eye(3)).matrix(np.ones(3))
