"""The IDX format: a header of four bytes and the dimensions, then the elements, everything big endian.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, *The MNIST database of handwritten digits* (1998).
"""

import gzip
import math
import os
import sys
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from mibun.errors import DataError

__all__ = ["UNPACKING_ERRORS", "is_gzip", "looks_like", "read_idx"]

UNPACKING_ERRORS = (gzip.BadGzipFile, EOFError, zlib.error)

_ELEMENT_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 32  # NumPy 1 has no array with more
_START = 512  # bytes; more than the longest header, and enough to recognise other formats
_CHUNK = 1 << 20  # bytes

_GZIP = b"\x1f\x8b"
_KNOWN_STARTS = {
    _GZIP: "a gzip archive; unpack it",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive; unpack it, or read a .npz with np.load",
    b"BZh": "a bzip2 archive; unpack it",
    b"\xfd7zXZ": "an xz archive; unpack it",
    b"\x93NUMPY": "a NumPy array; read it with np.load",
    b"\x80\x04\x95": "a Python pickle",
    b"version https://git-lfs": "a Git LFS pointer, which stands for a file that was not fetched",
}


class _Stream(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """Read an array from an IDX file, the format of MNIST and of its relatives.

    Parameters
    ----------
    path : str or path-like
        The file, plain or packed with gzip. Which of the two is decided by its content, not by its name.

    Returns
    -------
    ndarray
        The array with the shape that the file's header states, a new one that may be written to. Its dtype is
        uint8, int8, int16, int32, float32 or float64, in this machine's byte order.

    Raises
    ------
    DataError
        If there is no such file, or it is corrupt, truncated, too long, or no IDX file at all. The memory
        that is used follows from the bytes that are really there, never from what a header claims.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from mibun.learn.data import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1] + [0, 0, 0, 3] + [5, 0, 4]))
    ...     labels = read_idx(path)
    >>> labels
    array([5, 0, 4], dtype=uint8)
    """
    file_path = _existing_file(path)
    try:
        with file_path.open("rb") as file:
            if not is_gzip(file):
                return _read_array(file, file_path)
            with gzip.GzipFile(fileobj=file) as stream:
                return _read_array(stream, file_path)
    except EOFError:
        raise DataError(
            f"{file_path} is a gzip file that ends too early; expected a complete one. Copy or download the file again."
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{file_path} is a corrupt gzip file ({error}); expected one that unpacks without an error. "
            f"Copy or download the file again."
        ) from error
    except OSError as error:
        raise DataError(
            f"{file_path} cannot be read: {error.strerror or error}. Expected an IDX file that may be read; "
            f"check its permissions and its disk."
        ) from error


def is_gzip(file: BinaryIO) -> bool:
    """Tell whether `file`, which stands at its beginning and stays there, is packed with gzip."""
    start = file.read(len(_GZIP))
    file.seek(0)
    return start == _GZIP


def looks_like(start: bytes) -> str:
    """Say in words what a file with the first bytes `start` probably is: "looks like ..."."""
    if not start:
        return "is empty"
    for known, meaning in _KNOWN_STARTS.items():
        if start.startswith(known):
            return f"looks like {meaning}"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "looks like an HTML page, perhaps an error page of a server"
    if all(32 <= byte < 127 or byte in b"\t\n\r" for byte in start):
        return f"looks like text that begins with {start[:20].decode('ascii')!r}"
    return f"begins with the bytes {start[:4].hex(' ')}"


def _existing_file(path: str | os.PathLike[str]) -> Path:
    try:
        file_path = Path(path)
    except TypeError:
        raise DataError(
            f"path={path!r} is given; expected the path of an IDX file. "
            f"Write for instance read_idx('train-images-idx3-ubyte.gz')."
        ) from None
    if file_path.is_dir():
        raise DataError(
            f"{file_path} is a folder; expected an IDX file. Give the path of one file in it, "
            f"or load_mnist(root={str(file_path)!r}) for the four files of MNIST."
        )
    if not file_path.is_file():
        raise DataError(
            f"There is no file {file_path}; expected the path of an existing IDX file. "
            f"Check its spelling; relative paths start from {Path.cwd()}."
        )
    return file_path


def _read_array(stream: _Stream, path: Path) -> np.ndarray[Any, Any]:
    content = bytearray()
    _fill(content, stream, _START)
    dtype, shape, offset = _parse_header(bytes(content), path)
    size = offset + math.prod(shape) * dtype.itemsize
    # One byte more than expected shows that there are too many, and makes gzip verify its checksum.
    _fill(content, stream, size + 1)
    if len(content) != size:
        long = len(content) > size
        raise DataError(
            f"{path} is {'too long' if long else 'truncated'}: its header states the shape {shape} of "
            f"{dtype.name}, so {size:,} bytes are expected (unpacked), but it holds "
            f"{'more' if long else f'only {len(content):,}'}. Copy or download the file again."
        )
    array: np.ndarray[Any, Any] = np.ndarray(shape, dtype, buffer=content, offset=offset)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _fill(content: bytearray, stream: _Stream, size: int) -> None:
    """Append from `stream` until `content` has `size` bytes or the stream ends, a piece at a time."""
    while piece := stream.read(max(0, min(_CHUNK, size - len(content)))):
        content += piece


def _parse_header(start: bytes, path: Path) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _ELEMENT_TYPES or not start[3]:
        codes = ", ".join(f"{code:02x}" for code in _ELEMENT_TYPES)
        raise DataError(
            f"{path} is not an IDX file: it {looks_like(start)}. Expected the bytes 00 00, a type "
            f"({codes}) and the number of dimensions (1 or more). Give an IDX file such as "
            f"MNIST's train-images-idx3-ubyte, plain or packed with gzip."
        )
    dtype, dimensions = np.dtype(_ELEMENT_TYPES[start[2]]), start[3]
    offset = 4 + 4 * dimensions
    if dimensions > _MOST_DIMENSIONS:
        raise DataError(
            f"{path} has a header with {dimensions} dimensions; expected at most {_MOST_DIMENSIONS}. "
            f"It is corrupt or no IDX file; copy or download it again."
        )
    if len(start) < offset:
        raise DataError(
            f"{path} is truncated: it ends within its header after {len(start)} bytes; expected {offset} "
            f"bytes of header for {dimensions} dimensions. Copy or download the file again."
        )
    shape = tuple(int.from_bytes(start[at : at + 4], "big") for at in range(4, offset, 4))
    if math.prod(max(1, length) for length in shape) * dtype.itemsize > sys.maxsize:
        raise DataError(
            f"{path} has a header with the shape {shape} of {dtype.name}; expected an array that fits into "
            f"memory. It is corrupt or no IDX file; copy or download it again."
        )
    return dtype, shape, offset
