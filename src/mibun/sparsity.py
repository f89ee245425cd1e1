"""Which entries of a Jacobian can differ from 0, and how its columns are bundled: `Sparsity`."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.colouring import colour_columns, colour_star, sparse_matrices
from mibun.errors import InputError

__all__ = ["Sparsity"]

Ints = NDArray[np.intp]
#: Entries of the largest pattern that is remembered, and how many are: so a solver that gives the same one at each step
#: has it coloured once.
SMALL: Final = 2**18
REMEMBERED: Final = 4


@dataclass(frozen=True, eq=False)
class Sparsity:
    """The pattern of a sparse matrix, with colours for its columns that are found once, at first use.

    Made by `of`; give it as ``sparsity=`` to many calls, so that the colours are found for the first of them alone.

    Parameters
    ----------
    shape : (int, int)
    starts, columns : array of int
        Row by row: row i has its entries in the columns ``columns[starts[i]:starts[i + 1]]``, ascending.
    colouring : array of int, optional
        The colour of each column. Default: found, so that columns of one colour have no row in common.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.sparsity import Sparsity
    >>> Sparsity.of(np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]))
    Sparsity(shape (4, 4), 10 entries)
    """

    shape: tuple[int, int]
    starts: Ints
    columns: Ints
    colouring: Ints | None = None

    @classmethod
    def of(cls, given: Any, shape: tuple[int, int] | None = None) -> "Sparsity":
        """Read a pattern, and check its shape.

        Parameters
        ----------
        given : scipy.sparse matrix, array or Sparsity
            Of a sparse matrix in any format all stored entries count, explicit zeros, too; of an array all that are
            not 0 or False.
        shape : (int, int), optional
            What is expected.

        Raises
        ------
        InputError
            If it is of another shape, or no matrix.
        """
        found = given if isinstance(given, Sparsity) else cls._read(given)
        if shape is not None and found.shape != shape:
            raise InputError(
                f"sparsity has shape {found.shape}; expected {shape}: a row for each number that f returns, a column "
                "for each entry of x"
            )
        return found

    @classmethod
    def _read(cls, given: Any) -> "Sparsity":
        if isinstance(given, str):
            raise InputError(f'sparsity is {given!r}; expected "detect", a scipy.sparse matrix or a boolean array')
        if hasattr(given, "tocoo") and len(given.shape) == 2:
            if given.format == "csr" and given.has_canonical_format:
                shape = int(given.shape[0]), int(given.shape[1])
                starts, columns = given.indptr, given.indices
                if columns.size <= SMALL:
                    return _remembered(shape, starts.tobytes(), columns.tobytes(), starts.dtype.str, columns.dtype.str)
                return cls(shape, starts.astype(np.intp), columns.astype(np.intp))
            entries = given.tocoo()
            return cls.from_entries(given.shape, entries.row, entries.col)
        try:
            array = np.asarray(None if hasattr(given, "tocoo") else given)
        except ValueError as reason:
            raise InputError(
                f"sparsity is a {type(given).__name__} whose rows differ in length; expected a matrix, no groups of "
                "columns, which are found here"
            ) from reason
        if array.ndim != 2 or array.dtype.kind not in "biuf":
            what = f"an array of shape {array.shape} and dtype {array.dtype}" if array.ndim else f"{given!r}"
            raise InputError(f"sparsity is {what}; expected a matrix: scipy.sparse, or an array of bool or numbers")
        return cls.from_entries(array.shape, *np.nonzero(array))

    @classmethod
    def from_entries(cls, shape: tuple[int, int], rows: Any, columns: Any) -> "Sparsity":
        """Make one of the places of its entries, in any order; what is there twice counts once."""
        height, width = (int(size) for size in shape)
        keys = np.asarray(rows, np.int64) * width + np.asarray(columns, np.int64)
        if keys.size and not (np.diff(keys) > 0).all():
            keys = np.unique(keys)
        own, columns = np.divmod(keys, max(width, 1))
        starts = np.zeros(height + 1, np.intp)
        np.cumsum(np.bincount(own, minlength=height), out=starts[1:])
        return cls((height, width), starts, columns)

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.columns.size

    @cached_property
    def rows(self) -> Ints:
        """Give the row of each entry."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.starts))

    @property
    def keys(self) -> Ints:
        """Give the place of each entry in the flat matrix, ascending."""
        return self.rows * self.shape[1] + self.columns

    @cached_property
    def colours(self) -> Ints:
        """Give the colour of each column: those of one colour have no row in common."""
        return (
            self.colouring if self.colouring is not None else colour_columns(self.starts, self.columns, self.shape[1])
        )

    @cached_property
    def bundles(self) -> list[Ints]:
        """Give for each colour the places of its entries."""
        if not self.size:
            return []
        count = int(self.colours.max()) + 1
        colours = self.colours.astype(np.min_scalar_type(count))[self.columns]  # bytes are sorted by counting
        return np.split(np.argsort(colours, kind="stable"), np.cumsum(np.bincount(colours, minlength=count))[:-1])

    @cached_property
    def star_colours(self) -> Ints:
        """Give a star colouring of a symmetric pattern; refuse another one, as `mirror` does."""
        self.require_symmetric()
        return colour_star(self.starts, self.columns, self.shape[0])

    @cached_property
    def mirror(self) -> Ints:
        """Give the place of the mirror image of each entry.

        Raises
        ------
        InputError
            If the pattern is not square, or has an entry without its mirror image, the first of which is named.
        """
        if self.shape[0] != self.shape[1]:
            raise InputError(f"sparsity has shape {self.shape}; that of a Hessian is square")
        mirrored = self.columns * self.shape[1] + self.rows
        order = np.argsort(mirrored, kind="stable")
        if not np.array_equal(mirrored[order], self.keys):
            lone = np.flatnonzero(~np.isin(mirrored, self.keys, assume_unique=True))[0]
            i, j = int(self.rows[lone]), int(self.columns[lone])
            raise InputError(
                f"sparsity has an entry at ({i}, {j}) and none at ({j}, {i}); that of a Hessian is symmetric; write "
                "sparsity=pattern + pattern.T"
            )
        return order

    def require_symmetric(self) -> None:
        """Refuse a pattern that a Hessian cannot have, as `mirror` does."""
        _ = self.mirror

    def halved(self) -> tuple["Sparsity", Ints]:
        """Give the entries that can be read off the sums of the columns of a star colouring, and where each one stands.

        An entry can, where its column is the only one of its colour in its row; of each two mirror images one at least
        does. The second array has the place of each entry here, or of its mirror image, among those.
        """
        keys = self.rows * self.shape[1] + self.star_colours[self.columns]
        _, group, counts = np.unique(keys, return_inverse=True, return_counts=True)
        alone = counts[group] == 1
        chosen = alone & ~(alone[self.mirror] & (self.rows > self.columns))
        before = np.concatenate([[0], np.cumsum(chosen)])
        half = Sparsity(self.shape, before[self.starts], self.columns[chosen], self.star_colours)
        return half, before[np.where(chosen, np.arange(self.size), self.mirror)]

    def symmetrised(self) -> "Sparsity":
        """Give the pattern with the mirror images of all entries."""
        return self.united(Sparsity.from_entries(self.shape[::-1], self.columns, self.rows))

    def united(self, other: "Sparsity") -> "Sparsity":
        """Give the pattern that has the entries of both."""
        rows, columns = np.append(self.rows, other.rows), np.append(self.columns, other.columns)
        return Sparsity.from_entries(self.shape, rows, columns)

    @cached_property
    def narrow(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Give columns and starts as scipy.sparse stores them: in 32 bits where they fit."""
        fits = max(self.size, *self.shape) < 2**31
        kind = np.int32 if fits else np.int64
        return self.columns.astype(kind), self.starts.astype(kind)

    def matrix(self, numbers: NDArray[Any]) -> Any:
        """Give the scipy.sparse matrix that has these numbers in its entries, zeros among them; nothing is shared."""
        columns, starts = self.narrow
        return sparse_matrices().csr_array((numbers, columns.copy(), starts.copy()), self.shape)

    def __repr__(self) -> str:
        return f"Sparsity(shape {self.shape}, {self.size:,} entries)"


@lru_cache(maxsize=REMEMBERED)
def _remembered(shape: tuple[int, int], starts: bytes, columns: bytes, *dtypes: str) -> Sparsity:
    """Give one pattern, with the colours that were found for it, for the same arrays."""
    own, other = (
        np.frombuffer(part, dtype).astype(np.intp) for part, dtype in zip((starts, columns), dtypes, strict=True)
    )
    return Sparsity(shape, own, other)
