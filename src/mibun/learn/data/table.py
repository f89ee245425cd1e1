"""Samples and labels in a CSV file: a line for each sample, a column for the labels."""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mibun.errors import DataError, InputError

from .arrays import from_arrays
from .dataset import Array, Dataset

__all__ = ["load_csv"]

#: What a column of labels may be called, in any case of letters.
_LABELS = ("label", "labels", "class", "target", "y", "digit", "species")
_SEPARATORS = ",;\t"


def load_csv(
    path: str | os.PathLike[str],
    label: str | int | None = None,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    normalize: bool = True,
) -> Dataset:
    r"""Load samples and labels from a CSV file, with or without a line of names at its top.

    Parameters
    ----------
    path : str or path-like
        The file: UTF-8, columns separated by commas, semicolons or tabs.
    label : str or int, optional
        The column of the labels: its name, or its number from 0 (-1 for the last). By default the one that is called
        label, labels, class, target, y, digit or species. Its words, or numbers that do not run from 0, are numbered
        in sorted order and become the names of the classes.
    validation, test, seed, normalize
        As for `from_arrays`: columns of integers are pixels unless `normalize` is False.

    Raises
    ------
    DataError
        If the file cannot be read, a line has a missing value or another number of columns, or a sample holds a word.
    InputError
        If there is no such column, or no way to know which one holds the labels.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mibun import learn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "flowers.csv")
    ...     _ = path.write_text("width,species\n" + "0.5,rose\n1.5,iris\n" * 10)
    ...     flowers = learn.load_csv(path)
    >>> flowers, flowers.class_names
    (Dataset('flowers': train 14, validation 2, test 4, samples of shape (1,), float64, 2 classes), ('iris', 'rose'))
    """
    table = _read(Path(path))
    top = next(table.rows())[1]
    columns = len(top)
    heads = None if _is_sample(top) else [cell.strip() for cell in top]
    if heads is not None and label is None and not any(name.lower() in _LABELS for name in heads):
        heads = heads if not any(_is_number(cell) for cell in top) else None
    if next(table.rows(heads), None) is None:
        raise DataError(f"{path} has no line with numbers; expected a line for each sample.")
    column = _label_column(path, label, heads, columns)
    x, words, lines = _quickly(table, columns, column, heads) or _numbers(table, columns, column, heads)
    labels, names = _classes(path, words, lines)
    if normalize and (x == np.rint(x)).all() and np.abs(x).max() < 2**53:
        x = x.astype(np.int64)
    try:
        return from_arrays(
            x,
            labels,
            validation=validation,
            test=test,
            seed=seed,
            normalize=normalize,
            name=Path(path).stem,
            class_names=names,
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


class Table(NamedTuple):
    """The text of a file, and what separates its columns."""

    path: Path
    text: str
    separator: str

    def rows(self, heads: object = None) -> Iterator[tuple[int, list[str]]]:
        """Give the cells of every line that is not empty, with its number; behind the names, if there are any."""
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.separator, strict=True)
        found = False
        try:
            for cells in reader:
                if any(map(str.strip, cells)):
                    if found or heads is None:
                        yield reader.line_num, cells
                    found = True
        except csv.Error as error:
            raise DataError(f"{self.path}, line {reader.line_num}: {error}. Expected a CSV file.") from None


def _read(path: Path) -> Table:
    if not path.is_file():
        raise DataError(f"There is no file {path}; expected the path of a CSV file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}. Expected a CSV file.") from None
    top = next((line for line in io.StringIO(text) if line.strip()), "")
    table = Table(path, text, max(_SEPARATORS, key=top.count))
    if len(next(table.rows(), (0, []))[1]) < 2:
        raise DataError(f"{path} has no columns; expected at least one number and a label in each line.")
    return table


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    # float takes 1_000, which is no number in a table.
    return "_" not in cell


def _is_sample(cells: list[str]) -> bool:
    """Say whether a line holds numbers, but for one label at one of its ends."""
    words = [at for at, cell in enumerate(cells) if cell.strip() and not _is_number(cell)]
    return not words or (len(cells) > 2 and words in ([0], [len(cells) - 1]))


def _label_column(path: object, label: str | int | None, heads: list[str] | None, columns: int) -> int:
    if isinstance(label, str) and heads is not None and label in heads:
        return heads.index(label)
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool) and -columns <= label < columns:
        return int(label) % columns
    known = f"the columns {', '.join(heads[:10])}{' ...' if len(heads) > 10 else ''}" if heads else f"{columns} columns"
    if label is not None:
        raise InputError(f"label={label!r} is given, but {path} has {known}; give a name or a number of one of them.")
    called = [at for at, name in enumerate(heads or []) if name.lower() in _LABELS]
    if len(called) == 1:
        return called[0]
    raise InputError(
        f"{path} has {known}, and {'none' if not called else 'more than one'} of them is called "
        f"{', '.join(_LABELS)}: say which one holds the labels, such as label=0 for the first or label=-1 for the last."
    )


Numbers = tuple[Array, list[str], list[int]]


def _quickly(table: Table, columns: int, column: int, heads: list[str] | None) -> Numbers | None:
    """Read a table as `_numbers` does, in a quarter of the time; None where anything in it is out of the ordinary."""
    if '"' in table.text:  # NumPy takes quotes where csv sees a mistake
        return None
    lines, words = io.StringIO(table.text), list[str]()

    def keep(word: str) -> float:
        words.append(word.strip())
        return 0.0

    if heads is not None:
        next(line for line in lines if line.strip())
    try:
        x = np.loadtxt(lines, delimiter=table.separator, comments=None, converters={column: keep}, ndmin=2)
    except ValueError:
        return None
    if x.shape != (len(words), columns) or not all(words) or not np.isfinite(x).all():
        return None
    return np.delete(x, column, axis=1), words, []


def _numbers(table: Table, columns: int, column: int, heads: list[str] | None) -> Numbers:
    """Give the samples as floats, the words of the labels, and their lines."""
    words, x, lines = list[str](), list[Array](), list[int]()
    for line, cells in table.rows(heads):
        if len(cells) != columns:
            raise DataError(
                f"{table.path}, line {line} has {len(cells)} columns; expected {columns}, as the first has."
            )
        own = cells[:column] + cells[column + 1 :]
        try:
            values = np.array(list(map(float, own)))
        except ValueError:
            values = np.array([np.nan])
        if not np.isfinite(values).all() or "_" in "".join(own):
            raise DataError(_bad_cell(table.path, line, cells, column, heads))
        x.append(values)
        words.append(cells[column].strip())
        lines.append(line)
    return np.array(x), words, lines


def _bad_cell(path: object, line: int, cells: list[str], column: int, heads: list[str] | None) -> str:
    bad = next(
        at for at, cell in enumerate(cells) if at != column and not (_is_number(cell) and np.isfinite(float(cell)))
    )
    called = f" ({heads[bad]})" if heads else ""
    what = f"holds {cells[bad]!r}" if cells[bad].strip() else "is empty"
    return (
        f"{path}, line {line}, column {bad}{called} {what}; expected a finite number. Fill in or leave out the lines "
        "with missing values."
    )


def _classes(path: object, words: list[str], lines: list[int]) -> tuple[Array, tuple[str, ...] | None]:
    """Give each label its number; whole numbers from 0 keep theirs."""
    empty = next((at for at, word in enumerate(words) if not word), None)
    if empty is not None:
        raise DataError(f"{path}, line {lines[empty]} has no label; fill it in or leave the line out.")
    if all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        labels = np.array(words, dtype=np.int64)
        # Numbers with wide gaps are names, too: one output for each number would be none for most of them.
        if labels.max() <= 2 * len(np.unique(labels)):
            return labels, None
    if all(_is_number(word) for word in words):
        fractions = [word for word in words if float(word) % 1]
        if fractions:
            raise DataError(f"{path} has the label {fractions[0]}; expected classes: whole numbers or words.")
    names, numbered = np.unique(np.array(words), return_inverse=True)
    return numbered.astype(np.int64), tuple(names.tolist())
