"""Patterns and colours: every colouring is valid, and needs as few colours as are known to be enough."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mibun.colouring import colour_columns, colour_star
from mibun.errors import InputError, MissingDependency
from mibun.sparsity import Sparsity

sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

patterns = pytest.importorskip("patterns", reason="scipy is not installed")


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


@pytest.mark.parametrize("name", patterns.COLUMNS)
def test_columns_get_the_least_number_of_colours(name):
    matrix, least, _ = patterns.COLUMNS[name]
    pattern = Sparsity.of(matrix)
    assert valid(pattern, pattern.colours)
    assert pattern.colours.max() + 1 == least


@pytest.mark.parametrize(("below", "above"), [(1, 1), (0, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_and_columns_does_not_matter_to_a_band(below, above, seed):
    rng = np.random.default_rng(seed)
    matrix = patterns.band(150, below, above)[rng.permutation(150)][:, rng.permutation(150)]
    pattern = Sparsity.of(matrix)
    assert valid(pattern, pattern.colours)
    assert pattern.colours.max() + 1 == below + above + 1


@pytest.mark.parametrize("name", patterns.STARS)
def test_stars_get_the_least_number_of_colours(name):
    matrix, least, _ = patterns.STARS[name]
    colours = Sparsity.of(matrix).star_colours
    assert is_star(matrix, colours)
    assert colours.max() + 1 == least


def test_any_order_of_the_columns_of_a_tridiagonal_matrix_has_three_colours():
    rng = np.random.default_rng(7)
    for n in [*range(3, 40), *range(40, 400, 9)]:
        pattern = Sparsity.of(patterns.band(n, 1, 1)[:, rng.permutation(n)])
        assert valid(pattern, pattern.colours)
        assert pattern.colours.max() + 1 == 3


@pytest.mark.parametrize("name", patterns.STARS)
def test_every_entry_can_be_read_off_a_star_colouring(name):
    matrix = sparse.csr_array(patterns.STARS[name][0])
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
    pattern = Sparsity.of(patterns.band(n, 1, 1)[:, order])
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
    assert not is_star(patterns.band(4, 1, 1).toarray(), np.array([0, 1, 0, 1]))
    assert is_star(patterns.band(4, 1, 1).toarray(), np.array([0, 1, 0, 2]))


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
    matrix = patterns.band(9, 1, 2)
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


def test_a_pattern_that_was_given_before_has_its_colours():
    matrix = sparse.csr_array(np.eye(5) + np.eye(5, k=1))
    first = Sparsity.of(matrix)
    assert Sparsity.of(matrix.copy()).colours is first.colours
    matrix.indices[0], matrix.indices[1] = 1, 2  # another pattern in the arrays of the first
    changed = Sparsity.of(matrix)
    assert changed.keys.tolist() != first.keys.tolist() == Sparsity.of(np.eye(5) + np.eye(5, k=1)).keys.tolist()


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
