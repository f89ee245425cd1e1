"""Points and values as bytes, and back: every bit is kept, nothing is pickled."""

import json
import math
import struct
from collections import OrderedDict, namedtuple
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mibun.errors import FormatError, InputError
from mibun.evaluate import encoding
from mibun.evaluate.encoding import decode, encode, encode_stack


class Pair(NamedTuple):
    first: Any
    second: Any


def same(a: Any, b: Any) -> bool:
    """Equal to the bit, with equal types and dtypes."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, complex):
        return same((a.real, a.imag), (b.real, b.imag))
    return bool(a == b)


def there_and_back(value: Any) -> Any:
    coded = encode(value, "f(x)")
    return decode(coded.header, coded.data)


DTYPES = hnp.floating_dtypes(sizes=(16, 32, 64)) | hnp.complex_number_dtypes(sizes=(64, 128)) | hnp.integer_dtypes()
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, max_side=4))
NUMBERS = st.floats() | st.integers() | st.complex_numbers() | hnp.arrays(DTYPES, ()).map(lambda a: a[()])
KEYS = st.text(max_size=3) | st.integers() | st.tuples(st.text(max_size=2), st.integers())
LEAVES = NUMBERS | ARRAYS
TREES = st.recursive(
    LEAVES,
    lambda children: (
        st.dictionaries(KEYS, children, min_size=1, max_size=3)
        | st.lists(children, max_size=3).map(lambda rest: [np.ones(2), *rest])
        | st.lists(children, max_size=3).map(lambda rest: (*rest, {"": 1.0}))
        | st.tuples(children, children).map(Pair._make)
    ),
    max_leaves=6,
)


@given(ARRAYS | NUMBERS)
def test_numbers_and_arrays_keep_every_bit(value: Any) -> None:
    back = there_and_back(value)
    assert same(back, value)
    assert not isinstance(value, np.ndarray) or back.flags.writeable


def plain(value: Any) -> Any:
    """What a list of numbers in a structure is read as: an array."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, Pair):
        return Pair(*map(plain, value))
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return value


@given(TREES)
def test_structures_keep_keys_types_and_every_bit(value: Any) -> None:
    try:
        back = there_and_back(value)
    except InputError:  # an integer beyond the floats within a structure, which f may not return
        assert not isinstance(value, int)
        return
    assert same(back, plain(value))


def test_a_list_of_numbers_is_an_array_as_values_are_read() -> None:
    assert same(there_and_back([1.0, 2]), np.array([1.0, 2.0]))
    assert same(there_and_back({"a": [[1], [2]]}), {"a": np.array([[1], [2]])})


@pytest.mark.parametrize("value", [10**5000, -(10**400), 2**63, -(2**63), 0, -1, 255], ids=hex)
def test_integers_of_any_size(value: int) -> None:
    assert there_and_back(value) == value


def test_minus_zero_nan_bits_and_kinds_of_numbers_are_apart() -> None:
    apart = [0.0, -0.0, 0, 0j, np.float64(0), np.float32(0), np.zeros(()), np.zeros(1), np.zeros((1, 1)), [0.0, 0.0]]
    assert len({encode(x, "x")[:2] for x in apart}) == len(apart)
    payload = struct.unpack("<d", b"\x01\x00\x00\x00\x00\x00\xf8\x7f")[0]
    assert struct.pack("<d", there_and_back(payload)) == b"\x01\x00\x00\x00\x00\x00\xf8\x7f"


def test_the_order_of_keys_counts_for_f_can_see_it() -> None:
    assert encode({"a": 1.0, "b": 2.0}, "x") != encode({"b": 2.0, "a": 1.0}, "x")


def test_layout_in_memory_does_not_count() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert encode(np.asfortranarray(x), "x") == encode(x, "x") == encode(np.arange(12.0)[::2].reshape(2, 3) / 2, "x")


@pytest.mark.parametrize(
    ("value", "finite"),
    [
        (1.0, True),
        (math.nan, False),
        (-math.inf, False),
        (complex(1, math.inf), False),
        (10**400, True),
        (np.float32("nan"), False),
        (np.array([1.0, np.inf]), False),
        ({"a": 1.0, "b": np.array([np.nan])}, False),
        ({"a": 1.0, "b": [1, 2]}, True),
    ],
)
def test_it_says_whether_all_numbers_are_finite(value: Any, finite: bool) -> None:
    assert encode(value, "f(x)").finite is finite


@pytest.mark.skipif(np.finfo(np.longdouble).nmant != 63, reason="no longdouble of 80 bits here")
def test_padding_of_a_longdouble_is_no_part_of_a_point() -> None:
    one = np.array([1.0], np.longdouble) / 3
    other = np.frombuffer(one.tobytes()[:10] + b"\xaa" * 6, np.longdouble)
    assert one == other
    assert encode(one, "x") == encode(other, "x") != encode(one.astype(float), "x")
    assert there_and_back(other) == one
    assert there_and_back(one[0]) == one[0]
    coded = encode(one, "x")
    with pytest.raises(FormatError, match="no numbers of the kind"):
        decode(coded.header.replace(":63", ":112"), coded.data)


def test_a_namedtuple_gets_its_class_back_or_one_that_looks_like_it() -> None:
    assert type(there_and_back(Pair(1.0, [2.0]))) is Pair
    header, data, _ = encode(Pair(1.0, 2.0), "f(x)")
    for there, here in ((__name__, "no.such.module"), ("Pair", "Other")):
        back = decode(header.replace(there, here), data)
        assert type(back) is not Pair
        assert back._fields == ("first", "second")
        assert back == (1.0, 2.0)
    # a class that is loaded, but is no such namedtuple
    assert type(decode(header.replace(__name__, "builtins").replace("Pair", "tuple"), data)) is not tuple
    made = namedtuple("Made", "a b")
    assert there_and_back(made(1.0, 2.0)).b == 2.0


def test_nothing_is_imported_because_a_header_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    header, data, _ = encode(Pair(1.0, 2.0), "f(x)")
    monkeypatch.setattr("builtins.__import__", lambda *_: pytest.fail("import"))
    assert decode(header.replace(json.dumps(__name__)[1:-1], "antigravity"), data) == (1.0, 2.0)


def test_a_subclass_of_dict_is_a_dict() -> None:
    assert there_and_back(OrderedDict(b=1.0, a=2.0)) == {"b": 1.0, "a": 2.0}


class Odd:
    """A key that JSON does not have."""


@pytest.mark.parametrize("key", [Odd(), ((1, 2), 3), np.int64(1), b"k"])
def test_keys_that_cannot_be_written_are_refused(key: Any) -> None:
    with pytest.raises(InputError, match="which a store cannot keep; write keys that are text"):
        encode({key: 1.0}, "x")


@pytest.mark.parametrize("value", [None, "text", True, [], np.ones(0), np.array(["a"]), {"a": object()}])
def test_what_f_may_not_return_is_refused(value: Any) -> None:
    with pytest.raises(InputError):
        encode(value, "f(x)")


@given(hnp.arrays(DTYPES, hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)))
def test_rows_of_a_stack_are_written_as_each_of_them(stack: Any) -> None:
    assert encode_stack(stack, len(stack), "x") == [encode(row, "x") for row in stack]


def test_rows_of_a_stack_of_structures_are_written_as_each_of_them() -> None:
    stack = {"W": np.arange(12.0).reshape(2, 3, 2), "b": np.array([1.0, np.inf], np.float32)}
    rows = [{"W": stack["W"][i], "b": stack["b"][i]} for i in range(2)]
    assert encode_stack(stack, 2, "x") == [encode(row, "x") for row in rows]
    with pytest.raises(InputError, match="expected its first axis to count 3 rows"):
        encode_stack(stack, 3, "x")


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ("", b""),
        ("{", b""),
        ("null", b""),
        ('[0,"float"]', b"1234567"),
        ('[0,"float"]', b"123456789"),
        ('[0,["<f8",[2]]]', b"12345678"),
        ('[0,["O",[1]]]', b"12345678"),
        ('[0,["V8",[1]]]', b"12345678"),
        ('[0,["<f8",[-1]]]', b"12345678"),
        ('[1,"float"]', b"12345678"),
        ('[["set",null,[0]],"float","float"]', b"12345678"),
        ('[["dict",["a","b"],[0]],"float"]', b"12345678"),
        ('[["namedtuple",["m","Pair","class"],[0]],"float"]', b"12345678"),
        ("[" * 100_000, b""),
    ],
)
def test_what_was_not_written_by_encode_is_refused(header: str, data: bytes) -> None:
    with pytest.raises(FormatError):
        decode(header, data)


def test_headers_are_read_once() -> None:
    encoding._plan.cache_clear()
    for i in range(5):
        there_and_back(np.arange(3.0) + i)
    assert encoding._plan.cache_info().misses == 1
