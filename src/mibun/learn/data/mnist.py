"""MNIST, Fashion-MNIST, and every set of four IDX files that is named as MNIST is."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from mibun.errors import DataError, DownloadError, InputError, MissingDependency

from .dataset import Array, Dataset
from .download import download
from .idx import read_idx

__all__ = ["FASHION", "MIRRORS", "MNIST", "load_fashion", "load_mnist"]

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

# Each file with the md5 sum of its unpacked bytes: mirrors pack the same bytes differently.
_FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_FASHION_FILES = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}


class Collection(NamedTuple):
    """A set of images with a name: where its files come from, and what its classes are."""

    title: str
    name: str
    files: dict[str, str]
    mirrors: tuple[str, ...]
    mirror_variable: str
    folders: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None


MNIST: Final = Collection("MNIST", "mnist", _FILES, MIRRORS, "MIBUN_MNIST_MIRROR")
FASHION: Final = Collection(
    "Fashion-MNIST",
    "fashion",
    _FASHION_FILES,
    ("https://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    "MIBUN_FASHION_MIRROR",
    # Debian's package dataset-fashion-mnist puts them there.
    ("/usr/share/datasets/fashion-mnist",),
    ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


def load_mnist(
    root: str | os.PathLike[str] | None = None,
    normalize: bool = True,
    flatten: bool = True,
    one_hot: bool = False,
    validation: int = 0,
) -> Dataset:
    """Load MNIST: 60,000 images of handwritten digits for training and 10,000 for test, 28 x 28 pixels.

    The four IDX files (``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``,
    ``t10k-labels-idx1-ubyte``; also spelt ``train-images.idx3-ubyte``; plain or with ``.gz``) are looked for
    in `root`, and only there if it is given; else in ``$MIBUN_DATA/mnist``; else in the cache,
    ``$MIBUN_CACHE/mnist`` or the folder ``mnist`` in the cache folder that the system gives to mibun. What is
    not there is downloaded into the cache and checked, which needs the extra ``data``. The environment
    variable ``MIBUN_MNIST_MIRROR`` replaces the addresses that it comes from by another one.

    Parameters
    ----------
    root : str or path-like, optional
        A folder with the four files, of MNIST or of a set with the same names such as Fashion-MNIST, whose
        images may have another size.
    normalize : bool
        True (default): pixels / 255 as float32 from 0 to 1. False: uint8 from 0 to 255.
    flatten : bool
        True (default): images of shape (n, 784). False: (n, 28, 28).
    one_hot : bool
        True adds `train_targets`, `test_targets` and, where there is one, `validation_targets`: float32 of
        shape (n, classes). The labels stay integers (int64) in any case. Default False.
    validation : int
        How many of the training images, counted from the end, become the validation split. 0 (default): none,
        and `validation_x` and `validation_labels` are None.

    Returns
    -------
    Dataset
        Named "mnist", or as the folder `root` is.

    Raises
    ------
    InputError
        If `validation` is no integer from 0 to less than the number of training images, or `root` is no path.
    DataError
        If the folder or a file is missing, or a file is corrupt, truncated, or does not fit the others.
    DownloadError
        If the files have to be downloaded and cannot be.
    MissingDependency
        If the files have to be downloaded and pooch is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mibun.learn.data import load_mnist
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     root = Path(folder, "tiny")  # three images of 2 x 2 pixels for training, and the same for test
    ...     root.mkdir()
    ...     for part in ("train", "t10k"):
    ...         images = bytes([0, 0, 8, 3] + [0, 0, 0, 3] + [0, 0, 0, 2] * 2) + bytes(range(12))
    ...         labels = bytes([0, 0, 8, 1] + [0, 0, 0, 3] + [2, 0, 1])
    ...         _ = (root / f"{part}-images-idx3-ubyte").write_bytes(images)
    ...         _ = (root / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    ...     load_mnist(root, validation=1)
    Dataset('tiny': train 2, validation 1, test 3, samples of shape (4,), float32, 3 classes)
    """
    return _load(MNIST, root, normalize, flatten, one_hot, validation)


def load_fashion(
    root: str | os.PathLike[str] | None = None,
    normalize: bool = True,
    flatten: bool = True,
    one_hot: bool = False,
    validation: int = 0,
) -> Dataset:
    """Load Fashion-MNIST: 60,000 images of clothes for training and 10,000 for test, 28 x 28 pixels, 10 classes.

    The four files are looked for in `root`, and only there if it is given; else in ``$MIBUN_DATA/fashion``; else where
    Debian's package dataset-fashion-mnist puts them; else in the cache, ``$MIBUN_CACHE/fashion``, into which they are
    downloaded (extra ``data``). ``MIBUN_FASHION_MIRROR`` replaces the address that they come from.

    Parameters
    ----------
    root, normalize, flatten, one_hot, validation
        As for `load_mnist`.

    Returns
    -------
    Dataset
        Named "fashion", with the names of its classes.

    Raises
    ------
    InputError, DataError, DownloadError, MissingDependency
        As `load_mnist`.

    Notes
    -----
    Source: H. Xiao, K. Rasul, R. Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms, arXiv:1708.07747, MIT licence.
    """
    return _load(FASHION, root, normalize, flatten, one_hot, validation)


def _load(collection: Collection, root: Any, normalize: bool, flatten: bool, one_hot: bool, validation: Any) -> Dataset:
    count = _validation_count(validation)
    files, in_cache = _find_files(collection, root)
    try:
        train_x, train_labels, test_x, test_labels = _read_files(files)
    except DataError as error:
        if not in_cache:
            raise
        raise DataError(f"{error} The file is in mibun's cache: delete it, and it is downloaded again.") from error
    own = root is None or collection is not MNIST
    _check_classes(files, train_labels, test_labels, 10 if own else None)
    if count >= len(train_x):
        raise InputError(
            f"validation={count} is given, but there are only {len(train_x)} training images; expected "
            f"fewer, so that some are left to train on. Write for instance validation={len(train_x) // 10}."
        )
    cut = len(train_x) - count
    train_x, test_x = (_prepare(images, normalize, flatten) for images in (train_x, test_x))
    dataset = Dataset(
        train_x[:cut],
        train_labels[:cut],
        train_x[cut:] if count else None,
        train_labels[cut:] if count else None,
        test_x,
        test_labels,
        name=collection.name if own else Path(root).resolve().name,
        class_names=collection.class_names,
    )
    return dataset.with_targets() if one_hot else dataset


def _check_classes(files: list[Path], train_labels: Array, test_labels: Array, classes: int | None) -> None:
    """Refuse labels of classes that no training image shows: one wrong byte would give a network of 256 outputs."""
    shown = len(np.unique(train_labels))
    for path, labels in ((files[1], train_labels), (files[3], test_labels)):
        largest = int(labels.max(initial=0))
        if classes is not None and largest >= classes:
            raise DataError(
                f"{path} holds the label {largest}; expected labels from 0 to {classes - 1}, as MNIST has. "
                "The file is damaged or another one: fetch it again, or give its folder as root."
            )
        if largest > 2 * shown:
            raise DataError(
                f"{path} holds the label {largest}, but only {shown} different labels occur in the training data; "
                "expected labels 0, 1, 2, ... nearly all of which occur. Number the classes from 0 on."
            )


def _validation_count(validation: Any) -> int:
    if isinstance(validation, bool) or not isinstance(validation, int | np.integer) or validation < 0:
        raise InputError(
            f"validation={validation!r} is given; expected how many training images to set aside, an integer "
            f"of 0 or more. Write for instance validation=10000."
        )
    return int(validation)


def _prepare(images: Array, normalize: bool, flatten: bool) -> Array:
    if normalize:
        images = np.divide(images, np.float32(255), dtype=np.float32)
    return images.reshape(len(images), -1) if flatten else images


def _find_files(collection: Collection, root: Any) -> tuple[list[Path], bool]:
    """Return the four files in the order of `_FILES`, and whether they are in the cache."""
    if root is not None:
        return _files_of(_given_folder(root)), False
    data = os.environ.get("MIBUN_DATA")
    for place in (*([Path(data, collection.name)] if data else []), *map(Path, collection.folders)):
        if any(_variants(place, name) for name in _FILES):
            return _files_of(place), False
    folder = _cache_folder(collection)
    missing = {f"{name}.gz": md5 for name, md5 in collection.files.items() if not _variants(folder, name)}
    if missing:
        mirror = os.environ.get(collection.mirror_variable)
        try:
            download(missing, (mirror,) if mirror else collection.mirrors, folder)
        except DownloadError as error:
            raise DownloadError(
                f"{collection.title} could not be downloaded. {error}\nWithout a network, put the four files "
                f"({', '.join(_FILES)}; plain or with .gz) into $MIBUN_DATA/{collection.name}, or into any folder and "
                f"write load_{collection.name}(root=folder)."
            ) from error
    return _files_of(folder), True


def _given_folder(root: Any) -> Path:
    try:
        folder = Path(root)
    except TypeError:
        raise InputError(
            f"root={root!r} is given; expected the path of a folder with the four IDX files, or None to look "
            f"in $MIBUN_DATA/mnist and in the cache. Write for instance root='data/mnist'."
        ) from None
    if folder.is_dir():
        return folder
    found = "is a file" if folder.exists() else "does not exist"
    instead = f"root={str(folder.parent)!r}" if folder.exists() else "root=None to download MNIST"
    raise DataError(
        f"root={str(folder)!r} {found}; expected a folder with the four files {', '.join(_FILES)} (plain or "
        f"with .gz). Write {instead}."
    )


def _cache_folder(collection: Collection) -> Path:
    if cache := os.environ.get("MIBUN_CACHE"):
        return Path(cache, collection.name)
    try:
        import pooch
    except ImportError as error:
        raise MissingDependency.of("pooch", "data", f"downloading {collection.title}") from error
    return Path(pooch.os_cache("mibun"), collection.name)


def _variants(folder: Path, name: str) -> list[Path]:
    """Return the existing files for `name`, the preferred spelling first."""
    dotted = name.replace("-idx", ".idx")
    spellings = (folder / f"{stem}{suffix}" for stem in (name, dotted) for suffix in ("", ".gz"))
    return [path for path in spellings if path.is_file()]


def _files_of(folder: Path) -> list[Path]:
    found = {name: _variants(folder, name) for name in _FILES}
    missing = [name for name, paths in found.items() if not paths]
    if missing:
        here = sorted(path.name for path in folder.iterdir())
        listed = ", ".join(here[:10]) + (f" and {len(here) - 10} more" if len(here) > 10 else "")
        raise DataError(
            f"{folder} does not hold {', '.join(missing)}; expected each as it is or with .gz, also spelt as "
            f"{missing[0].replace('-idx', '.idx')}. In the folder: {listed or 'nothing'}. "
            f"Put the missing files there, or write root= with the folder that has all four."
        )
    return [paths[0] for paths in found.values()]


def _read_files(files: list[Path]) -> tuple[Array, Array, Array, Array]:
    # Side by side, for unpacking lets other threads run.
    with ThreadPoolExecutor(max_workers=2) as pool:
        (train_x, train_labels), (test_x, test_labels) = pool.map(_read_pair, files[::2], files[1::2])
    if train_x.shape[1:] != test_x.shape[1:]:
        raise DataError(
            f"{files[0]} holds images of {train_x.shape[1:]} pixels and {files[2]} of {test_x.shape[1:]}; "
            f"expected one size. Put files of the same set together."
        )
    return train_x, train_labels, test_x, test_labels


def _read_pair(images_path: Path, labels_path: Path) -> tuple[Array, Array]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.dtype != np.uint8 or images.size == 0:
        raise DataError(
            f"{images_path} holds {images.dtype} of shape {images.shape}, and {labels_path} its "
            f"labels; expected images as uint8 of shape (n, rows, columns), n >= 1. Put a file "
            f"of images under this name."
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{labels_path} holds {labels.dtype} of shape {labels.shape}, and {images_path} its images; "
            f"expected labels as integers of shape (n,). Put a file of labels under this name."
        )
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} labels; expected as "
            f"many of one as of the other. Put two files of the same set together."
        )
    wrong = np.flatnonzero((labels < 0) | (labels > 255))
    if wrong.size:
        raise DataError(
            f"{labels_path} has the label {labels[wrong[0]]} for image {wrong[0]} of {images_path}; expected "
            f"labels from 0 to 255. Correct the {wrong.size} labels that are out of range."
        )
    return images, labels.astype(np.int64)
