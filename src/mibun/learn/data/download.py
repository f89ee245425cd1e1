"""Fetch files into a folder, each whole and with the right checksum or not at all."""

import gzip
import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from mibun.errors import DownloadError, MissingDependency

from .idx import UNPACKING_ERRORS, is_gzip, looks_like

__all__ = ["DEADLINE", "LARGEST", "TIMEOUT", "download"]

TIMEOUT = 20.0  # seconds that a mirror may take to answer, or be silent
DEADLINE = 600.0  # seconds that one file may take in all
LARGEST = 1 << 26  # bytes of one file, packed or unpacked

_CHUNK = 1 << 16  # bytes


def download(files: Mapping[str, str], mirrors: Sequence[str], folder: Path) -> None:
    """Fetch `files` into `folder`, which is made if it is missing, from the first of `mirrors` that has them.

    A mirror is left at its first failure; what it gave rightly stays. A file appears under its name only when
    its checksum is right, so neither an interrupted nor a concurrent call leaves a half file there.

    Parameters
    ----------
    files : mapping of str to str
        For each name, which is appended to the mirror's address, the md5 sum of the *unpacked* bytes.
    mirrors : sequence of str
        Addresses to try, in this order.
    folder : Path
        Where the files are put.

    Raises
    ------
    MissingDependency
        If pooch is not installed.
    DownloadError
        If no mirror gave the right bytes (what happened at each is in the message), or `folder` cannot be
        written.
    """
    missing = dict(files)
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for mirror in mirrors:
            try:
                for name in list(missing):
                    _fetch(f"{mirror.rstrip('/')}/{name}", missing[name], folder / name)
                    del missing[name]
            except DownloadError as failure:
                failures.append(f"\n  {failure}")
            else:
                return
    except OSError as error:
        raise DownloadError(
            f"The cache folder {folder} cannot be written: {error.strerror or error}. "
            f"Set MIBUN_CACHE to a folder that can."
        ) from error
    raise DownloadError(f"No mirror gave {', '.join(missing)}:{''.join(failures)}")


def _fetch(address: str, md5: str, path: Path) -> None:
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with partial.open("xb") as file:
            _transfer(address, _Limited(file, address))
        _verify(partial, md5, address)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _transfer(address: str, file: "_Limited") -> None:
    try:
        import pooch
        import requests
    except ImportError as error:
        raise MissingDependency.of("pooch", "data", "downloading MNIST") from error
    try:
        pooch.HTTPDownloader(timeout=TIMEOUT, chunk_size=_CHUNK)(address, file, None)
    except requests.HTTPError as error:
        raise DownloadError(f"{address}: HTTP {str(error).partition(' for url')[0]}") from None
    except requests.exceptions.ChunkedEncodingError:
        raise DownloadError(f"{address}: the connection closed half way") from None
    except (requests.Timeout, requests.ConnectionError) as error:
        # A time-out in the middle of a file, and an answer cut off at once, both come as a ConnectionError.
        text = str(error).lower()
        if isinstance(error, requests.Timeout) or "timed out" in text:
            raise DownloadError(f"{address}: timed out, nothing came for {TIMEOUT:g} s") from None
        if "connection aborted" in text:
            raise DownloadError(f"{address}: the connection closed without an answer") from None
        raise DownloadError(f"{address}: no connection") from None
    except requests.RequestException as error:
        raise DownloadError(f"{address}: cannot be fetched ({error})") from None


def _verify(path: Path, md5: str, address: str) -> None:
    digest, size = hashlib.md5(usedforsecurity=False), 0
    try:
        with path.open("rb") as file:
            stream = gzip.GzipFile(fileobj=file) if is_gzip(file) else file
            while size <= LARGEST and (piece := stream.read(_CHUNK)):
                digest.update(piece)
                size += len(piece)
    except UNPACKING_ERRORS as error:
        raise DownloadError(f"{address}: wrong bytes, a gzip file that does not unpack ({error})") from None
    if size > LARGEST:
        raise DownloadError(f"{address}: wrong bytes, more than {LARGEST:,} of them when unpacked")
    if digest.hexdigest() != md5:
        with path.open("rb") as file:
            start = file.read(64)
        raise DownloadError(
            f"{address}: wrong bytes, expected the md5 sum {md5}, got {digest.hexdigest()} "
            f"(unpacked; the file {looks_like(start)})"
        )


class _Limited:
    """A file that refuses what no MNIST file needs, since a mirror may drip, or never end."""

    def __init__(self, file: BinaryIO, address: str) -> None:
        self._file, self._address = file, address
        self._size, self._end = 0, time.monotonic() + DEADLINE

    def write(self, piece: bytes) -> int:
        self._size += len(piece)
        if self._size > LARGEST:
            raise DownloadError(f"{self._address}: wrong bytes, more than {LARGEST:,} of them")
        if time.monotonic() > self._end:
            raise DownloadError(f"{self._address}: timed out, not complete after {DEADLINE:g} s")
        return self._file.write(piece)

    def flush(self) -> None:
        self._file.flush()
