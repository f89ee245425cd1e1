"""Samples and labels in a CSV file: a line for each sample, a column for the labels."""

import csv
import io
import os
from pathlib import Path

import numpy as np

from mibun.errors import DataError, InputError

from .arrays import from_arrays
from .dataset import Array, Dataset

__all__ = ["load_csv"]

#: What a column of labels may be called, in any case of letters.
_LABELS = ("label", "labels", "class", "target", "y", "digit", "species")
_SEPARATORS = ",;\t"
Rows = list[tuple[int, list[str]]]


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
    rows = _read(Path(path))
    columns = len(rows[0][1])
    heads = None if _is_sample(rows[0][1]) else [cell.strip() for cell in rows[0][1]]
    if heads is not None and label is None and len(rows) > 1 and not any(name.lower() in _LABELS for name in heads):
        heads = heads if not any(_is_number(cell) for cell in rows[0][1]) else None
    rows = rows if heads is None else rows[1:]
    if not rows:
        raise DataError(f"{path} has no line with numbers; expected a line for each sample.")
    column = _label_column(path, label, heads, columns)
    x, words = _numbers(path, rows, columns, column, heads)
    labels, names = _classes(path, words, rows)
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


def _read(path: Path) -> Rows:
    """Give the cells of every line that is not empty, with its number."""
    if not path.is_file():
        raise DataError(f"There is no file {path}; expected the path of a CSV file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}. Expected a CSV file.") from None
    top = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=top.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}. Expected a CSV file.") from None
    if not rows or len(rows[0][1]) < 2:
        raise DataError(f"{path} has no columns; expected at least one number and a label in each line.")
    return rows


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


def _numbers(path: object, rows: Rows, columns: int, column: int, heads: list[str] | None) -> tuple[Array, list[str]]:
    """Give the samples as floats, and the words of the labels."""
    words, x = [], np.empty((len(rows), columns - 1))
    for at, (line, cells) in enumerate(rows):
        if len(cells) != columns:
            raise DataError(f"{path}, line {line} has {len(cells)} columns; expected {columns}, as the first has.")
        words.append(cells[column].strip())
        own = cells[:column] + cells[column + 1 :]
        try:
            x[at] = own
        except ValueError:
            x[at] = np.nan
        if not np.isfinite(x[at]).all() or any("_" in cell for cell in own):
            raise DataError(_bad_cell(path, line, cells, column, heads))
    return x, words


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


def _classes(path: object, words: list[str], rows: Rows) -> tuple[Array, tuple[str, ...] | None]:
    """Give each label its number; whole numbers from 0 keep theirs."""
    empty = next((at for at, word in enumerate(words) if not word), None)
    if empty is not None:
        raise DataError(f"{path}, line {rows[empty][0]} has no label; fill it in or leave the line out.")
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
