"""The reader of IDX files: every element type, and every kind of file that is none."""

import gzip
import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mibun.errors import DataError
from mibun.learn.data import read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array):
    code = CODES[array.dtype.str[1:]]
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def write(tmp_path):
    def write(content, name="file-idx"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


LABELS = idx(np.array([5, 0, 4, 1], dtype=np.uint8))


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 3), (0, 4), (1, 1, 1, 2)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_every_element_type_is_read_in_native_order(write, dtype, shape, pack):
    values = np.random.Generator(np.random.PCG64(7)).integers(-100, 100, shape).astype(dtype)
    array = read_idx(write(pack(idx(values))))
    np.testing.assert_array_equal(array, values)
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.shape == shape
    assert array.flags.writeable


def test_the_content_decides_about_gzip_not_the_name(write):
    assert read_idx(write(LABELS, "labels.gz")).tolist() == [5, 0, 4, 1]
    assert read_idx(write(gzip.compress(LABELS), "labels")).tolist() == [5, 0, 4, 1]


def test_gzip_in_several_members_is_one_file(write):
    members = gzip.compress(LABELS[:5]) + gzip.compress(LABELS[5:])
    assert read_idx(str(write(members))).tolist() == [5, 0, 4, 1]


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("labels", LABELS)
    return file.getvalue()


def saved():
    file = io.BytesIO()
    np.save(file, np.arange(3))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "meaning"),
    [
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "looks like a PNG image"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "looks like a JPEG image"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "looks like an HTML page"),
        (gzip.compress(b"<html>busy</html>"), "looks like an HTML page"),
        (zipped(), "looks like a zip archive; unpack it"),
        (saved(), "looks like a NumPy array; read it with np.load"),
        (gzip.compress(gzip.compress(LABELS)), "looks like a gzip archive; unpack it"),
        (b"label,1x1,1x2\n5,0,0\n", "looks like text that begins with 'label,1x1,1x2"),
        (b"version https://git-lfs.github.com/spec/v1\n", "looks like a Git LFS pointer"),
        (b"\x12\x34\x56\x78\x9a", "begins with the bytes 12 34 56 78"),
        (b"\0\0\x07\x01" + bytes(8), "begins with the bytes 00 00 07 01"),
        (b"\0\0\x08\x00" + bytes(8), "begins with the bytes 00 00 08 00"),
        (b"\x01\x08\0\0" + bytes(8), "begins with the bytes 01 08 00 00"),
        (b"\0\0", "begins with the bytes 00 00"),
    ],
)
def test_a_foreign_file_is_named_for_what_it_looks_like(write, content, meaning):
    path = write(content)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert str(path) in message
    assert f"it {meaning}" in message
    assert "Expected the bytes 00 00, a type (08, 09, 0b, 0c, 0d, 0e)" in message
    assert "Give an IDX file" in message


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("content", "part"),
    [
        (LABELS[:-1], r"truncated: .* shape \(4,\) of uint8, so 12 bytes are expected .* holds only 11"),
        (LABELS[:8], r"truncated: .* 12 bytes are expected .* holds only 8"),
        (LABELS[:6], r"truncated: it ends within its header after 6 bytes; expected 8"),
        (LABELS + b"\0", r"too long: .* 12 bytes are expected .* holds more"),
        (LABELS + bytes(5_000), r"too long"),
        (bytes([0, 0, 8, 200]) + bytes(900), r"200 dimensions; expected at most 32"),
        (bytes([0, 0, 14, 3]) + b"\xff" * 12 + bytes(9), r"fits into\s+memory"),
        (bytes([0, 0, 14, 4]) + b"\0\0\0\0" + b"\xff" * 12, r"fits into\s+memory"),
        (bytes([0, 0, 8, 2]) + b"\x7f\xff\xff\xff" * 2 + bytes(9), r"truncated: .* holds only 21"),
    ],
)
def test_wrong_lengths_and_absurd_headers(write, content, part, pack):
    path = write(pack(content))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=part) as caught:
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert "ownload" in str(caught.value)


def test_a_corrupt_gzip_file(write):
    noise = np.random.Generator(np.random.PCG64(3)).integers(0, 256, 3_000).astype(np.uint8)
    packed = bytearray(gzip.compress(idx(noise)))
    wrong_sum = packed.copy()
    wrong_sum[-8] ^= 1
    damaged = packed.copy()
    damaged[500:600] = bytes(100)
    wrong_start = packed.copy()
    wrong_start[2] = 99
    for content in (wrong_sum, damaged, wrong_start, packed + b"rubbish"):
        with pytest.raises(DataError, match=r"corrupt gzip file .* Copy or download the file again"):
            read_idx(write(content))


def test_a_truncated_gzip_file(write):
    packed = gzip.compress(idx(np.arange(1_000, dtype=np.int32)))
    for length in (3, 12, len(packed) // 2, len(packed) - 3):
        with pytest.raises(DataError, match="gzip file that ends too early"):
            read_idx(write(packed[:length]))


def test_a_small_gzip_file_that_unpacks_to_much_is_not_unpacked_beyond_its_header(write):
    path = write(gzip.compress(LABELS + bytes(200 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="too long"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_what_is_no_file(tmp_path):
    with pytest.raises(DataError, match="is a folder; expected an IDX file"):
        read_idx(tmp_path)
    with pytest.raises(DataError, match=r"There is no file .*nothing-here; expected the path of an existing"):
        read_idx(tmp_path / "nothing-here")
    with pytest.raises(DataError, match="path=None is given; expected the path of an IDX file"):
        read_idx(None)
    with pytest.raises(DataError, match="There is no file"):
        read_idx("nul\0byte")


def test_a_file_that_may_not_be_read(write, monkeypatch):
    path = write(LABELS)

    def refuse(*_args, **_keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        read_idx(path)


headers = st.builds(
    lambda code, lengths: bytes([0, 0, code, len(lengths)]) + b"".join(n.to_bytes(4, "big") for n in lengths),
    st.sampled_from([*CODES.values(), 0x0A]),
    st.lists(st.integers(0, 4) | st.integers(0, 2**32 - 1), max_size=40),
)
contents = st.binary(max_size=60) | st.builds(bytes.__add__, headers, st.binary(max_size=100))


@st.composite
def damaged_gzip(draw):
    packed = bytearray(gzip.compress(draw(contents), mtime=0))
    for _ in range(draw(st.integers(0, 3))):
        packed[draw(st.integers(0, len(packed) - 1))] = draw(st.integers(0, 255))
    return bytes(packed[: draw(st.integers(0, len(packed)))]) + draw(st.binary(max_size=4))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(contents | contents.map(gzip.compress) | damaged_gzip())
@example(LABELS)
@example(bytes([0, 0, 8, 1, 0, 0, 0, 0]))
def test_bytes_give_a_data_error_or_the_right_array(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any-bytes"
    path.write_bytes(content)
    try:
        array = read_idx(path)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert idx(array) == (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
