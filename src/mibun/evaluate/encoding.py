"""Points and values as a header in JSON and raw bytes, and back; nothing is pickled.

The header says what the bytes are: how it is nested (dict, list, tuple, namedtuple, with the keys), and for each number
and array the kind, dtype and shape. Bits are kept: -0.0 and 0.0 differ, and so do ``1.0`` and ``np.float64(1.0)``, for
an f can tell them apart (``1/x``, ``atan2``; ``x / 0`` raises for one and not for the other). A point that is taken for
another would be a wrong value; one that is not costs an evaluation.

What a reader gets back is equal to what was written, with these exceptions: a list of numbers is an array, as f's
values are read anyway; a subclass of dict is a dict; and a namedtuple has a class that only looks like the first one
if that class is not loaded.
"""

import json
import struct
import sys
from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.errors import FormatError, InputError
from mibun.structure import Structure, as_array

__all__ = ["Coded", "decode", "encode", "encode_stack", "loaded_class"]

FLOAT: Final = struct.Struct("<d")
COMPLEX: Final = struct.Struct("<dd")
#: Bytes of a longdouble of x86 that hold its number; the rest of 16 is padding, with anything in it.
EXTENDED: Final = 10

Decoder = Callable[[bytes], Any]


class Coded(NamedTuple):
    """A point or a value, as it is written."""

    header: str
    data: bytes
    finite: bool  #: no nan and no inf among the numbers


def encode(x: Any, name: str) -> Coded:
    """Write a number, an array or a structure.

    Parameters
    ----------
    x : number, array, dict, list or tuple
        As `mibun.structure` takes it; integers of any size, as f may return them.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        If it is something else, or if a dict has keys that JSON cannot hold.

    Examples
    --------
    >>> from mibun.evaluate.encoding import decode, encode
    >>> coded = encode({"W": [[1.0, 2.0]], "b": 0.5}, "x")
    >>> coded.header
    '[["dict",["W","b"],[0,1]],["<f8",[1,2]],"float"]'
    >>> decode(coded.header, coded.data)
    {'W': array([[1., 2.]]), 'b': 0.5}
    """
    if type(x) is float:
        return Coded('[0,"float"]', FLOAT.pack(x), x - x == 0.0)
    if type(x) is np.ndarray and x.size and x.dtype.kind in "fciu":
        return Coded(_header_of_array(x.dtype, x.shape), _bytes(x), bool(np.isfinite(x).all()))
    if isinstance(x, int | float | complex | np.number) and not isinstance(x, bool):
        outline, parts = 0, [x]
    else:
        structure = Structure.of(x, name=name)
        outline, parts = _written(structure.outline, name), structure.parts(x)
    kinds, data, finite = zip(*(_leaf(part, name) for part in parts), strict=True)
    return Coded(_json([outline, *kinds]), b"".join(data), all(finite))


def encode_stack(stack: Any, count: int, name: str) -> list[Coded]:
    """Write the rows of a stack, (count, *S) in every leaf, as `encode` writes each of them; numbers are NumPy's.

    Raises
    ------
    InputError
        If the first axis of a leaf does not count the rows, and as `encode` does.
    """
    structure = Structure.of(stack, name=name)
    arrays = []
    for part in structure.parts(stack):
        array = as_array(part, name)
        if array.shape[:1] != (count,):
            raise InputError(f"{name} has a leaf of shape {array.shape}; expected its first axis to count {count} rows")
        # an entry of an array, which such a row is, has the byte order of the machine
        arrays.append(array if array.ndim > 1 else array.astype(array.dtype.newbyteorder("="), copy=False))
    kinds = [[_dtype_text(array.dtype), *([list(array.shape[1:])] if array.ndim > 1 else [])] for array in arrays]
    header = _json([_written(structure.outline, name), *kinds])
    finite = np.logical_and.reduce([np.isfinite(array.reshape(count, -1)).all(axis=1) for array in arrays]).tolist()
    rows = [np.frombuffer(_bytes(array), np.uint8).reshape(count, -1) for array in arrays]
    together = np.concatenate(rows, axis=1) if len(rows) > 1 else rows[0]
    size, data = together.shape[1], together.tobytes()
    return [Coded(header, data[i * size : (i + 1) * size], finite[i]) for i in range(count)]


def decode(header: str, data: bytes) -> Any:
    """Read what `encode` wrote; arrays are new and may be written to.

    Raises
    ------
    FormatError
        If the bytes are not what the header says.
    """
    if header == '[0,"float"]' and len(data) == FLOAT.size:
        return FLOAT.unpack(data)[0]
    try:
        outline, decoders, sizes = _plan(header)
        parts, begin = [], 0
        for decoder, size in zip(decoders, sizes, strict=True):
            parts.append(decoder(data[begin : begin + size]))
            begin += size
        value = _built(outline, parts)
    except (struct.error, ValueError, TypeError, LookupError, AttributeError, RecursionError) as reason:
        raise FormatError(f"the value {header[:80]} cannot be read: {reason}") from reason
    if begin != len(data):
        raise FormatError(f"the value {header[:80]} has {len(data)} bytes; expected {begin}")
    return value


def loaded_class(module: str, name: str) -> Any:
    """Find a class that this process has loaded already; None without one. Nothing is imported for a file's sake."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None


def _leaf(part: Any, name: str) -> tuple[Any, bytes, bool]:
    """Write one number or array: its kind, its bytes, and whether it is finite."""
    if isinstance(part, np.number):
        return [_dtype_text(part.dtype)], _bytes(np.asarray(part)), bool(np.isfinite(part))
    if isinstance(part, int):
        size = part.bit_length() // 64 * 8 + 8
        return ["int", size], int(part).to_bytes(size, "little", signed=True), True
    if isinstance(part, float):
        return "float", FLOAT.pack(part), part - part == 0.0
    if isinstance(part, complex):
        return "complex", COMPLEX.pack(part.real, part.imag), part - part == 0.0
    array = as_array(part, name)
    return [_dtype_text(array.dtype), list(array.shape)], _bytes(array), bool(np.isfinite(array).all())


def _json(tree: Any) -> str:
    return json.dumps(tree, separators=(",", ":"))


@lru_cache(maxsize=256)
def _header_of_array(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    return _json([0, [_dtype_text(dtype), list(shape)]])


@cache
def _dtype_text(dtype: np.dtype[Any]) -> str:
    """Write a dtype; what longdouble means depends on the machine, so its digits are written, too."""
    return dtype.str if _digits(dtype) <= 52 else f"{dtype.str}:{_digits(dtype)}"


def _dtype(text: str) -> np.dtype[Any]:
    code, _, digits = text.partition(":")
    dtype: np.dtype[Any] = np.dtype(code)
    if dtype.kind not in "fciu" or (digits and int(digits) != _digits(dtype)):
        raise ValueError(f"this machine has no numbers of the kind {text}")
    return dtype


def _digits(dtype: np.dtype[Any]) -> int:
    return int(np.finfo(dtype).nmant) if dtype.kind in "fc" else 0


def _bytes(array: NDArray[Any]) -> bytes:
    """Give the bytes in C order; what pads a longdouble becomes 0, so that equal numbers have equal bytes."""
    data = array.tobytes()
    if _digits(array.dtype) != 63:
        return data
    padded = np.frombuffer(data, np.uint8).reshape(-1, np.dtype(np.longdouble).itemsize).copy()
    padded[:, EXTENDED:] = 0
    return padded.tobytes()


@lru_cache(maxsize=256)
def _plan(header: str) -> tuple[Any, list[Decoder], list[int]]:
    """Read a header: the outline, and how each leaf is read and how long it is."""
    outline, *kinds = json.loads(header)
    decoders, sizes = zip(*map(_decoder, kinds), strict=True)
    return outline, list(decoders), list(sizes)


def _decoder(kind: Any) -> tuple[Decoder, int]:
    if kind == "float":
        return lambda data: FLOAT.unpack(data)[0], FLOAT.size
    if kind == "complex":
        return lambda data: complex(*COMPLEX.unpack(data)), COMPLEX.size
    if kind[0] == "int":
        return lambda data: int.from_bytes(data, "little", signed=True), kind[1]
    dtype = _dtype(kind[0])
    if len(kind) == 1:
        return lambda data: np.frombuffer(data, dtype)[0], dtype.itemsize
    shape = tuple(kind[1])
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return lambda data: np.frombuffer(data, dtype).reshape(shape).copy(), size


def _written(outline: Any, name: str) -> Any:
    """Write an outline with types and keys as JSON can hold them."""
    if isinstance(outline, int):
        return outline
    kind, keys, children = outline
    children = [_written(child, name) for child in children]
    if kind is dict:
        return ["dict", [_key(key, name) for key in keys], children]
    if kind in (list, tuple):
        return [kind.__name__, None, children]
    return ["namedtuple", [kind.__module__, kind.__qualname__, *keys], children]


def _built(outline: Any, parts: Sequence[Any]) -> Any:
    if isinstance(outline, int):
        return parts[outline]
    kind, keys, children = outline
    entries = [_built(child, parts) for child in children]
    if kind == "dict":
        return dict(zip((tuple(key) if isinstance(key, list) else key for key in keys), entries, strict=True))
    if kind == "namedtuple":
        return _namedtuple(*keys)._make(entries)
    return entries if kind == "list" else tuple(entries)


def _key(key: Any, name: str) -> Any:
    """Write a key: text, a number, None, or a tuple of them."""
    if key is None or isinstance(key, str | int | float):
        return key
    if isinstance(key, tuple) and all(part is None or isinstance(part, str | int | float) for part in key):
        return list(key)
    raise InputError(
        f"{name} has the key {key!r}, a {type(key).__name__}, which a store cannot keep; write keys that are text, "
        "numbers, or tuples of them"
    )


@cache
def _namedtuple(module: str, name: str, *fields: str) -> Any:
    """Find the class of a namedtuple, or make one that looks like it."""
    found = loaded_class(module, name)
    if found is not None and issubclass(found, tuple) and getattr(found, "_fields", None) == fields:
        return found
    return namedtuple(name.rpartition(".")[2], fields)
