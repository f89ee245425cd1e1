"""A number, an array, or a dict or list of them, seen as one flat vector, and back.

What counts as what:

- a number (``2``, ``2.5``, ``np.float32(2)``): f gets a number;
- an array: an ndarray, or a list or tuple that holds only numbers, nested but not ragged: f gets an ndarray;
- a structure: a dict, a namedtuple, or a list or tuple that holds one of them or an ndarray at any depth: f gets
  the same structure. Its leaves are numbers and arrays.

Dtypes: floating dtypes stay (float32 stays float32, longdouble stays longdouble), integers become float64,
Python numbers stay Python floats. bool is refused: nothing lies between False and True, so it is more often a
mistake than a number. Byte order becomes that of the machine.

Kinds: dict subclasses (OrderedDict, defaultdict, your own) and namedtuples come back as themselves, other subclasses
of list and tuple as list and tuple, subclasses of ndarray as plain ndarrays. Masked arrays are refused.

A structure whose leaves have different dtypes has a flat vector of their common dtype (float32 and float64:
float64), and every leaf gets its own dtype back. So the leaves round: ``s.flatten(s.unflatten(v))`` is the
point that f really sees, and it differs from ``v`` where a float32 leaf cannot hold what ``v`` asks for.
"""

import copy
import operator
import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mibun.errors import InputError

__all__ = ["Leaf", "Structure", "as_array", "joined", "pick"]

EXPECTED: Final = "expected a number, an array, or a dict or list of them"
#: Keys that are names, of several parts even: ``W``, ``0.weight``, ``state[1].h``.
PLAIN: Final = re.compile(r"([^\W\d]|\w+\.)[\w.]*(\[\w+\][\w.]*)*")
HELD: Final = {"b": "bool", "U": "text", "S": "bytes", "O": "objects", "c": "complex numbers"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One number or array of a structure, and its place in the flat vector.

    Attributes
    ----------
    path : tuple
        The keys that lead to it: ``("layer", "W")``; ``()`` if the whole is one number or array.
    name : str
        The same for humans: ``"layer.W"``; ``""`` if the whole is one number or array.
    shape : tuple of int
    dtype : np.dtype
        What f gets: a floating or complex dtype.
    start, stop : int
        Its elements are ``vector[start:stop]``, in C order.
    number : bool
        A number (``shape`` is ``()``), not an array without axes.
    python : bool
        A number of Python, not of NumPy.
    """

    path: tuple[Any, ...]
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    stop: int
    number: bool
    python: bool

    @property
    def slice(self) -> slice:
        """Its elements in the flat vector."""
        return slice(self.start, self.stop)

    def view(self, vector: NDArray[Any], cast: bool) -> Any:
        """Its part of `vector`, (..., size), in its own shape, and with `cast` in its own dtype."""
        dtype = vector.dtype
        if cast and dtype is not self.dtype:
            dtype = self.dtype
            if vector.dtype.kind == "c" and dtype.kind != "c":
                dtype = np.result_type(dtype, np.complex64)
        if not self.number:
            part = vector[..., self.start : self.stop].reshape(vector.shape[:-1] + self.shape)
            return part if part.dtype == dtype else part.astype(dtype)
        if vector.ndim > 1:
            return vector[..., self.start].astype(dtype, copy=False)
        if not cast:
            return vector.item(self.start)
        if self.python:
            return (complex if dtype.kind == "c" else float)(vector[self.start])
        return dtype.type(vector[self.start])


@dataclass(frozen=True, slots=True)
class _Branch:
    """A dict, list, tuple or namedtuple: how to take it apart and to build it again."""

    type: type
    keys: tuple[Any, ...]
    children: tuple["_Branch | int", ...]  # an int is the number of a leaf
    empty: dict[Any, Any] | None = field(default=None, compare=False)  # of a subclass of dict: a copy without keys

    def build(self, parts: Sequence[Any]) -> Any:
        children = [parts[c] if isinstance(c, int) else c.build(parts) for c in self.children]
        if self.type is dict:
            return dict(zip(self.keys, children, strict=True))
        if self.empty is not None:
            return _refilled(self.empty, self.keys, children)
        if self.type is list:
            return children
        return tuple(children) if self.type is tuple else self.type._make(children)  # type: ignore[attr-defined]

    @property
    def outline(self) -> list[Any]:
        children = [c if isinstance(c, int) else c.outline for c in self.children]
        return [dict if issubclass(self.type, dict) else self.type, list(self.keys), children]

    def entries(self, x: Any, name: str, partly: bool = False) -> Iterator[Any]:
        """Take `x`, which must be built like this branch, into its children.

        With `partly`, one number or None stands for each of them, and keys may be missing: None.
        """
        if partly and (x is None or isinstance(x, int | float | np.number)):
            return (x for _ in self.keys)
        if issubclass(self.type, dict):
            if not isinstance(x, dict) or not (x.keys() <= set(self.keys) if partly else x.keys() == set(self.keys)):
                raise InputError(f"{name} is {_describe(x)}; expected a dict with the keys {_listed(self.keys)}")
            return (x.get(key) for key in self.keys)
        if not isinstance(x, list | tuple) or len(x) != len(self.keys):
            raise InputError(f"{name} is {_describe(x)}; expected a {self.type.__name__} of length {len(self.keys)}")
        return iter(x)

    def child(self, key: Any) -> "_Branch | int | None":
        """Find the child with this key, None without one; the fields of a namedtuple are also numbered."""
        if key in self.keys:
            return self.children[self.keys.index(key)]
        numbered = not issubclass(self.type, dict)
        if numbered and isinstance(key, int | np.integer) and -len(self.keys) <= key < len(self.keys):
            return self.children[key]
        return None


@dataclass(frozen=True, slots=True)
class Structure:
    """How a number, an array or a structure is laid out in one flat vector; immutable, comparable, pickles.

    Make one with `Structure.of`. It remembers shapes, dtypes and keys, never the numbers.

    Attributes
    ----------
    leaves : tuple of Leaf
        Path, name, shape, dtype and slice of every number and array, in the order of the vector.
    size : int
        Length of the vector, at least 1.
    dtype : np.dtype
        Of the vector: the common dtype of the leaves.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.structure import Structure
    >>> s = Structure.of({"W": np.ones((3, 2)), "b": 0.5})
    >>> s
    Structure(W (3, 2), b; 7 elements)
    >>> s.flatten({"W": np.zeros((3, 2)), "b": 4})
    array([0., 0., 0., 0., 0., 0., 4.])
    >>> s.unflatten(np.arange(7.0))["b"]
    6.0
    >>> s.name(5), s.path(5), s.index(("W", 2, 1))
    ('W[2, 1]', ('W', 2, 1), 5)
    """

    leaves: tuple[Leaf, ...]
    size: int
    dtype: np.dtype[Any]
    _root: _Branch | int

    @classmethod
    def of(cls, x: Any, *, name: str = "x") -> "Structure":
        """Find the structure of `x`.

        Parameters
        ----------
        x : number, array, dict, list or tuple
            See the head of this module for what counts as what. It is not changed and not kept.
        name : str
            What messages call it.

        Raises
        ------
        InputError
            For text, bool, objects, ragged lists, masked arrays and for what has no elements: the message
            says where, what was given, what is expected and what to write instead.
        """
        leaves: list[Leaf] = []
        root = _grow(x, (), "", leaves, name)
        size = leaves[-1].stop if leaves else 0
        if size == 0:
            raise InputError(f"{name} is {_describe(x)}, it has no elements; {EXPECTED} with at least one element")
        return cls(tuple(leaves), size, np.result_type(*{leaf.dtype for leaf in leaves}), root)

    @property
    def kind(self) -> str:
        """What it is in one word: ``"number"``, ``"array"`` or ``"structure"``."""
        if isinstance(self._root, _Branch):
            return "structure"
        return "number" if self.leaves[0].number else "array"

    @property
    def outline(self) -> Any:
        """How it is nested: an int is the number of a leaf, a list is [type, keys, children]; no shapes, no dtypes."""
        return self._root if isinstance(self._root, int) else self._root.outline

    def parts(self, x: Any, *, name: str = "x", partly: bool = False) -> list[Any]:
        """Take `x`, built like this structure, apart: what stands at each leaf, as it is, unchecked.

        With `partly`, a number stands for all leaves below its place, and None, or a key that is missing, gives None.

        Raises
        ------
        InputError
            If `x` has other keys, another length or another kind of container.
        """
        parts: list[Any] = []
        _collect(self._root, x, name, parts, partly)
        return parts

    def build(self, parts: Sequence[Any]) -> Any:
        """Put `parts`, one for each leaf, together again; the inverse of `parts`."""
        return parts[self._root] if isinstance(self._root, int) else self._root.build(parts)

    def flatten(self, x: Any, *, dtype: DTypeLike | None = None, name: str = "x") -> NDArray[Any]:
        """Write `x` into a new vector, (size,), that shares no memory with it.

        Parameters
        ----------
        x : number, array, dict, list or tuple
            Built like this structure: the same keys and shapes; the dtypes may differ.
        dtype : dtype, optional
            Of the vector. Default: the common dtype of the leaves.
        name : str
            What messages call it.

        Raises
        ------
        InputError
            If keys or shapes differ, or the numbers do not fit into `dtype` (complex into real, text).
        """
        wanted = self.dtype if dtype is None else np.dtype(dtype)
        arrays = []
        for leaf, part in zip(self.leaves, self.parts(x, name=name), strict=True):
            label = _within(name, leaf.name)
            # float() for integers beyond 64 bits, of which NumPy would make objects
            array = np.asarray(float(part)) if isinstance(part, int) else as_array(part, label)
            if not np.can_cast(array.dtype, wanted, casting="same_kind"):
                held, real = HELD.get(array.dtype.kind, str(array.dtype)), "" if wanted.kind == "c" else "real "
                raise InputError(f"{label} holds {held}; expected {real}numbers")
            if array.shape != leaf.shape:
                raise InputError(f"{label} has shape {array.shape}; expected {leaf.shape}")
            arrays.append(array.reshape(-1))
        return np.concatenate(arrays, dtype=wanted, casting="same_kind")

    def unflatten(self, vector: ArrayLike, *, cast: bool = True) -> Any:
        """Put a vector back into the structure.

        Parameters
        ----------
        vector : array, (size,) or (..., size)
            With leading axes every leaf gets them too: a stack of points for a vectorized f.
        cast : bool
            True: a point for f: every leaf gets its own dtype, Python numbers are Python floats; a complex
            vector makes every leaf complex, in its own precision. False: a result: every leaf keeps the
            dtype of `vector`, which may be anything (float64 errors, statuses, objects).

        Returns
        -------
        number, array, dict, list or tuple
            Arrays are views of `vector` where dtype and memory layout allow it, so a function that writes to
            them writes to `vector`: hand it a copy where that matters.

        Raises
        ------
        InputError
            If the last axis of `vector` does not have `size` entries.
        """
        vector = np.asarray(vector)
        if vector.ndim == 0 or vector.shape[-1] != self.size:
            raise InputError(f"vector has shape {vector.shape}; expected ({self.size},) or (..., {self.size})")
        return self.build([leaf.view(vector, cast) for leaf in self.leaves])

    def name(self, index: int) -> str:
        """Name element `index` of the flat vector for humans: ``"W[2, 1]"``, ``"[3]"``; a number is "x"."""
        leaf, place = self._locate(index)
        return (leaf.name + (str(list(place)) if place else "")) or "x"

    def place(self, index: int, name: str = "x") -> str:
        """Say where element `index` stands in what messages call `name`: ``"x.W[2, 1]"``, ``"x[3]"``, ``"x"``."""
        leaf, place = self._locate(index)
        return _within(name, leaf.name) + (str(list(place)) if place else "")

    def path(self, index: int) -> tuple[Any, ...]:
        """Give the path of element `index` of the flat vector: ``("W", 2, 1)``; the inverse of `index`."""
        leaf, place = self._locate(index)
        return leaf.path + place

    def index(self, path: Any) -> int:
        """Find the place of one element in the flat vector.

        Parameters
        ----------
        path : int or tuple
            For a number or an array: an int counts in C order, a tuple has one int for every axis. For a
            structure: the keys that lead to the leaf, then one int for every axis: ``("W", 2, 1)``. A single
            key may stand alone (``"b"`` for a leaf that is a number). Negative ints count from the end.

        Raises
        ------
        InputError
            If there is no such element, or the path names more than one.
        """
        if isinstance(path, list):
            raise InputError(f"index {path!r} is a list; write a path as a tuple, {tuple(path)!r}")
        if isinstance(self._root, int) and not isinstance(path, tuple):
            return _position(path, self.size, path)
        keys = path if isinstance(path, tuple) else (path,)
        node, depth = self._root, 0
        while isinstance(node, _Branch):
            if depth == len(keys):
                raise InputError(f"index {path!r} names more than one element; add one of {_listed(node.keys)}")
            child = node.child(keys[depth])
            if child is None:
                raise InputError(f"index {path!r}: there is no {keys[depth]!r}; expected one of {_listed(node.keys)}")
            node, depth = child, depth + 1
        leaf, place = self.leaves[node], keys[depth:]
        if len(place) != len(leaf.shape):
            example = leaf.path + (0,) * len(leaf.shape)
            what = f"an array of shape {leaf.shape}" if leaf.shape else "a number"
            raise InputError(
                f"index {path!r} has {len(place)} place{'s' * (len(place) != 1)} in {what}; "
                f"expected {len(leaf.shape)}, such as {example!r}"
            )
        flat = 0
        for key, length in zip(place, leaf.shape, strict=True):
            flat = flat * length + _position(key, length, path)
        return leaf.start + flat

    def _locate(self, index: int) -> tuple[Leaf, tuple[int, ...]]:
        flat = _position(index, self.size, index)
        leaf = self.leaves[bisect_right(self.leaves, flat, key=operator.attrgetter("start")) - 1]
        return leaf, tuple(int(i) for i in np.unravel_index(flat - leaf.start, leaf.shape))

    def __str__(self) -> str:
        """Say what it is, for messages."""
        if self.kind != "structure":
            return "a number" if self.kind == "number" else f"an array of shape {self.leaves[0].shape}"
        names = [f"{leaf.name} {leaf.shape or ''}".strip() for leaf in self.leaves]
        return f"a structure of {', '.join(names[:6])}{' and more' * (len(names) > 6)}"

    def __repr__(self) -> str:
        shown = [f"{leaf.name} {leaf.shape if leaf.shape else ''}".strip() or "number" for leaf in self.leaves[:6]]
        more = [f"{len(self.leaves) - 6} more"] if len(self.leaves) > 6 else []
        count = f"{self.size:,} element{'s' * (self.size != 1)}"
        return f"Structure({', '.join(shown + more)}; {count})"


def pick(x: Any, key: Any, *, name: str = "x") -> Any:
    """Take ``x[key]`` of a number, an array or a structure, where `key` may be a path: ``("W", 2, 1)``.

    The keys of a path lead through dicts, lists and tuples; what is left of it indexes the array that they
    lead to, as NumPy does. An empty path gives `x` itself.

    Raises
    ------
    InputError
        If a dict has no such key, a list no such place, or a number is indexed.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    while keys and isinstance(x, dict | list | tuple):
        step = keys.pop(0)
        names = getattr(x, "_fields", ())
        step = names.index(step) if isinstance(step, str) and step in names else step
        try:
            x = x[step]
        except (KeyError, IndexError, TypeError) as reason:
            known = x if isinstance(x, dict) else names or range(len(x))
            raise InputError(f"{name} has no {step!r}; expected one of {_listed(known)}") from reason
    if not keys:
        return x
    if isinstance(x, np.generic) or not hasattr(x, "__getitem__"):
        raise InputError(f"{name} is indexed by {key!r}, but it is one number there; leave {tuple(keys)!r} out")
    return x[key if len(keys) == 1 and not isinstance(key, tuple) else tuple(keys)]


def as_array(x: Any, name: str) -> NDArray[Any]:
    """Make an array of numbers in nested lists, or of what is one already; `name` is what messages call it.

    Raises
    ------
    InputError
        If the lists are ragged, or if entries are masked.
    """
    # Loading numpy.ma takes longer than all of this package; without it there are no masked arrays.
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(x, masked.MaskedArray):
        raise InputError(f"{name} is a masked array; {EXPECTED}; write {name}.filled(...) with a number for the gaps")
    try:
        return np.asarray(x)
    except ValueError as reason:
        raise InputError(
            f"{name} is a ragged list: its rows differ in length; write rows of one length, "
            f"or a list of arrays, [np.array(row) for row in {name}]"
        ) from reason


def _grow(x: Any, path: tuple[Any, ...], label: str, leaves: list[Leaf], name: str) -> _Branch | int:
    """Add the leaves of `x` to `leaves` and return its node."""
    kind: type
    empty = None
    if isinstance(x, dict):
        kind, keys, values = type(x), tuple(x), list(x.values())
        empty = None if kind is dict else _emptied(x, _within(name, label))
    elif _named(type(x)):
        kind, keys, values = type(x), x._fields, list(x)
    elif isinstance(x, list | tuple) and _holds_arrays(x):
        kind, keys, values = list if isinstance(x, list) else tuple, tuple(range(len(x))), list(x)
    else:
        shape, dtype, number, python = _leaf(x, _within(name, label))
        start = leaves[-1].stop if leaves else 0
        stop = start + int(np.prod(shape, dtype=np.int64))
        leaves.append(Leaf(path, label, shape, dtype, start, stop, number, python))
        return len(leaves) - 1
    children = [
        _grow(value, (*path, key), joined(label, key), leaves, name) for key, value in zip(keys, values, strict=True)
    ]
    return _Branch(kind, keys, tuple(children), empty)


def _collect(node: _Branch | int, x: Any, name: str, parts: list[Any], partly: bool) -> None:
    if isinstance(node, int):
        parts.append(x)
        return
    for key, child, value in zip(node.keys, node.children, node.entries(x, name, partly), strict=True):
        if isinstance(child, int):
            parts.append(value)
        else:
            _collect(child, value, joined(name, key), parts, partly)


def _emptied(x: dict[Any, Any], name: str) -> dict[Any, Any]:
    """Copy a subclass of dict with all that it has besides its keys, such as the factory of a defaultdict."""
    try:
        empty = copy.copy(x)
        empty.clear()
        refilled = _refilled(empty, x, x.values())
    except Exception as reason:
        raise InputError(
            f"{name} is a {type(x).__name__}, which cannot be copied and filled anew "
            f"({type(reason).__name__}: {reason}); write dict(x), which f then gets"
        ) from reason
    if type(refilled) is not type(x) or list(refilled) != list(x):
        raise InputError(f"{name} is a {type(x).__name__}, copies of which differ from it; write dict(x)")
    return empty


def _refilled(empty: dict[Any, Any], keys: Iterable[Any], values: Iterable[Any]) -> dict[Any, Any]:
    """Fill a copy key by key: the `update` of a Counter would count."""
    filled = copy.copy(empty)
    for key, value in zip(keys, values, strict=True):
        filled[key] = value
    return filled


def _named(kind: type) -> bool:
    """Whether a type is that of namedtuples."""
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _holds_arrays(x: Sequence[Any]) -> bool:
    """Whether a list or tuple is a structure; by the set of types, for lists of a million numbers."""
    kinds = set(map(type, x))
    if any(issubclass(kind, np.ndarray | dict) or _named(kind) for kind in kinds):
        return True
    nested = any(issubclass(kind, list | tuple) for kind in kinds)
    return nested and any(_holds_arrays(row) for row in x if isinstance(row, list | tuple))


def _leaf(x: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any], bool, bool]:
    """Shape, dtype for f, whether it is a number, and whether it is a number of Python."""
    if isinstance(x, bool | np.bool_):
        raise InputError(f"{name} is the bool {x}; {EXPECTED}; write float({x})")
    if isinstance(x, np.number):
        return (), _floating(x.dtype, name, x), True, False
    if isinstance(x, int) and abs(x) > sys.float_info.max:
        raise InputError(f"{name} is an integer beyond the range of floats; {EXPECTED}, at most 1.8e308")
    if isinstance(x, int | float | complex):
        return (), np.dtype(np.complex128 if isinstance(x, complex) else np.float64), True, True
    if isinstance(x, list | tuple | np.ndarray):
        array = as_array(x, name)
        kinds = set() if isinstance(x, np.ndarray) else _types(x)
        if bool in kinds or np.bool_ in kinds:
            raise InputError(f"{name} is a list that holds bool; {EXPECTED}; write np.array({name}, dtype=float)")
        return array.shape, _floating(array.dtype, name, x), False, False
    raise InputError(f"{name} is {_describe(x)}; {EXPECTED}; {_advice(x, name)}")


def _types(x: Sequence[Any]) -> set[type]:
    """Collect the types of all entries of a nested list."""
    kinds = set(map(type, x))
    if any(issubclass(kind, list | tuple) for kind in kinds):
        return set().union(*(_types(row) for row in x if isinstance(row, list | tuple)))
    return kinds


def _floating(dtype: np.dtype[Any], name: str, x: Any) -> np.dtype[Any]:
    """Give the dtype in which f gets numbers of `dtype`."""
    if dtype.kind in "fc":
        return dtype.newbyteorder("=")
    if dtype.kind in "iu":
        return np.dtype(np.float64)
    held, what = HELD.get(dtype.kind, str(dtype)), "a list" if isinstance(x, list | tuple) else "an array"
    raise InputError(f"{name} is {what} of {held}; {EXPECTED}; write np.array({name}, dtype=float) if it is numbers")


def _describe(x: Any) -> str:
    if isinstance(x, str | bytes):
        return f"the text {x[:40]!r}"
    if isinstance(x, dict):
        return f"a dict with the keys {_listed(x)}" if x else "an empty dict"
    if isinstance(x, list | tuple):
        return f"a {type(x).__name__} of length {len(x)}"
    if isinstance(x, np.ndarray):
        return f"an array of shape {x.shape}"
    return "None" if x is None else f"a value of type {type(x).__name__}"


def _advice(x: Any, name: str) -> str:
    if hasattr(type(x), "nesting"):  # a type that knows better
        return str(type(x).nesting)
    if isinstance(x, str | bytes):
        return f"write float({name}) if the text is a number"
    if x is None:
        return "write a number where None stands, or leave it out"
    if hasattr(x, "__array__") and not isinstance(x, type | np.generic):
        return f"write np.asarray({name})"
    if isinstance(x, Iterable):
        return f"write list({name})"
    return f"write float({name}) if it is a number"


def joined(prefix: str, key: Any) -> str:
    """Write `key` behind a name: ``layer.W``, ``0.weight``, ``layer[0]``, ``layer['my key']``."""
    if isinstance(key, str) and PLAIN.fullmatch(key):
        return f"{prefix}.{key}" if prefix else key
    return f"{prefix}[{key!r}]"


def _within(name: str, label: str) -> str:
    """Name the leaf `label` of what messages call `name`."""
    return name + label if label[:1] in ("", "[") else f"{name}.{label}"


def _listed(keys: Iterable[Any]) -> str:
    """At most eight keys for a message."""
    shown = [repr(key) for key in keys]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")


def _position(key: Any, length: int, path: Any) -> int:
    """`key` as a place from 0 to length - 1."""
    if isinstance(key, bool) or not isinstance(key, int | np.integer):
        raise InputError(f"index {path!r}: {key!r} is no integer; expected 0 to {length - 1}")
    place = int(key)
    if not -length <= place < length:
        raise InputError(f"index {path!r}: {place} is out of range; expected 0 to {length - 1}")
    return place % length
