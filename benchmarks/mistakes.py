"""Twelve mistakes that people make in gradients, to be planted in right ones.

Each changes what a gradient returns. Whether an element is wrong then is decided by the difference that it makes, so a
mistake that changes nothing (a row of zeros set to zero) is none.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from backprops import Subject
from numpy.typing import NDArray

from mibun.structure import Structure

Array = NDArray[Any]


class Mistake(NamedTuple):
    """A mistake: what is done to one array of a gradient, with the words by which a report should name its kind."""

    name: str
    change: Callable[[Array, Array, np.random.Generator], Array | None]  #: None: it cannot be made there
    word: str
    everywhere: bool = False  #: made in all parameters, not in the first that allows it


def _one(array: Array, random: np.random.Generator) -> tuple[int, ...]:
    """Choose one of the larger entries."""
    flat = np.abs(array).reshape(-1)
    places = np.flatnonzero(flat >= 0.1 * flat.max())
    return tuple(int(i) for i in np.unravel_index(int(random.choice(places)), array.shape))


def _flip(array: Array, _: Array, random: np.random.Generator) -> Array:
    out = array.copy()
    out[_one(array, random)] *= -1
    return out


def _percent(array: Array, _: Array, random: np.random.Generator) -> Array:
    out = array.copy()
    out[_one(array, random)] *= array.dtype.type(1.01 if array.dtype.itemsize > 4 else 1.1)
    return out


def _transpose(array: Array, *_: Any) -> Array | None:
    if array.ndim != 2 or min(array.shape) == 1:
        return None
    return np.ascontiguousarray(array.T).reshape(array.shape)


def _row(array: Array, _: Array, random: np.random.Generator) -> Array | None:
    if array.ndim != 2 or min(array.shape) == 1:
        return None
    out = array.copy()
    out[int(random.choice(np.flatnonzero(np.abs(array).sum(axis=1))))] = 0
    return out


def _column(array: Array, _: Array, random: np.random.Generator) -> Array | None:
    if array.ndim != 2 or min(array.shape) == 1:
        return None
    out = array.copy()
    out[:, int(random.choice(np.flatnonzero(np.abs(array).sum(axis=0))))] *= -1
    return out


def _negative(array: Array, x: Array, _: np.random.Generator) -> Array | None:
    if x.shape != array.shape or not (x < 0).any() or not (x > 0).any() or array.size < 4:
        return None
    return np.asarray(np.where(x < 0, -array, array))


def _decay(array: Array, x: Array, _: np.random.Generator) -> Array | None:
    if x.shape != array.shape or array.size < 4:
        return None
    if abs(np.sum(x * array)) > 0.999 * np.linalg.norm(x) * np.linalg.norm(array):
        return None  # it would be a factor
    return np.asarray(array - array.dtype.type(0.05) * x)


def _constant(array: Array, *_: Any) -> Array | None:
    return array + array.dtype.type(0.1) if array.size > 3 else None


MISTAKES = (
    Mistake("sign of one element", _flip, "sign flipped"),
    Mistake("one element off by 1 %", _percent, ""),
    Mistake("twice everywhere", lambda array, *_: 2 * array, "factor 2", True),
    Mistake("half of a parameter", lambda array, *_: array / 2, "factor 1/2"),
    Mistake("times batch size", lambda array, *_: 16 * array, "16 times", True),
    Mistake("transposed", _transpose, "transposed"),
    Mistake("a row missing", _row, "0 was given"),
    Mistake("sign of a column", _column, "sign flipped in column"),
    Mistake("a parameter missing", lambda array, *_: 0 * array, "0 was given"),
    Mistake("wrong where x < 0", _negative, "x < 0"),
    Mistake("off by a constant", _constant, "constant"),
    Mistake("weight decay missing", _decay, "weight decay"),
)
STALE = "gradient of another point"


class Planted(NamedTuple):
    """A subject with a mistake in its gradient."""

    subject: Subject
    mistake: str
    word: str
    gradient: Callable[[Any], Any]
    wrong: tuple[str, ...]  #: the names of the elements that are wrong by more than twice what is tolerated
    right: tuple[str, ...]  #: of those that are off by less than half of it


def plant(subject: Subject, mistake: Mistake, seed: int) -> Planted | None:
    """Plant a mistake; None where it cannot be made."""
    structure = Structure.of(subject.x)
    right = subject.gradient(subject.x)
    jacobian = structure.kind == "array" and np.shape(right) != np.shape(subject.x)
    keys = list(right) if isinstance(right, dict) else [None]

    def changed(given: Any, x: Any, key: Any) -> Any:
        array, at = (given, x) if key is None else (given[key], x[key])
        random = np.random.default_rng([seed, *mistake.name.encode()])
        out = mistake.change(np.asarray(array), np.asarray(at), random)
        if out is None or np.array_equal(out, array):
            return None
        return out if key is None else {**given, key: out}

    chosen = [key for key in keys if changed(right, subject.x, key) is not None]
    if not chosen:
        return None
    chosen = keys if mistake.everywhere else chosen[:1]

    def gradient(x: Any) -> Any:
        given = subject.gradient(x)
        for key in chosen:
            given = changed(given, x, key) or given if key is not None else changed(given, x, key)
        return given

    return _planted(subject, mistake.name, mistake.word, gradient, jacobian)


def stale(subject: Subject, seed: int) -> Planted | None:
    """Give the gradient of a point that is a few percent away, whatever x is."""
    structure = Structure.of(subject.x)
    vector = structure.flatten(subject.x)
    random = np.random.default_rng([seed, 1])
    other = structure.unflatten((vector * (1 + 0.05 * random.normal(size=vector.size))).astype(vector.dtype))
    given = subject.gradient(other)
    jacobian = structure.kind == "array" and np.shape(given) != np.shape(subject.x)
    return _planted(subject, STALE, "stale", lambda _: given, jacobian)


def _planted(
    subject: Subject, mistake: str, word: str, gradient: Callable[[Any], Any], jacobian: bool
) -> Planted | None:
    right, given = subject.gradient(subject.x), gradient(subject.x)
    structure = Structure.of(right)
    one, other = structure.flatten(right, dtype=np.float64), structure.flatten(given, dtype=np.float64)
    wrong, fine = [], []
    limit = 1e-8 if structure.dtype.itemsize > 4 else 1e-4
    for leaf in structure.leaves:
        a, b = one[leaf.slice], other[leaf.slice]
        scale = np.broadcast_to(np.abs(a).max(), a.shape)
        if jacobian:
            scale = np.repeat(np.abs(a).reshape(leaf.shape[0], -1).max(axis=1), a.size // leaf.shape[0])
        off = np.abs(a - b) / (limit * np.maximum(scale, np.abs(b)) + np.finfo(float).tiny)
        wrong += (np.flatnonzero(off > 2) + leaf.start).tolist()
        fine += (np.flatnonzero(off < 0.5) + leaf.start).tolist()
    if not wrong:
        return None
    names = (tuple(structure.name(place) for place in places) for places in (wrong, fine))
    return Planted(subject, mistake, word, gradient, *names)
