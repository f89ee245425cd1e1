"""Record f, and walk back from its result to x: cotangents along the tape, from its end to its beginning."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from numbers import Number
from typing import Any, NamedTuple

import numpy as np

from mibun.chain import algebra, composed, elementary, linear, moving, norms, products, selecting, ufuncs  # noqa: F401 (rules)
from mibun.chain.array import Recorded, constant, nested
from mibun.chain.bounds import errors_of, pull_back_with_bounds
from mibun.chain.tape import Array, Node, Tape, give
from mibun.errors import InputError
from mibun.evaluate.serial import located, shown
from mibun.structure import Structure

__all__ = ["Pulled", "Taped", "pulled", "taped", "value_in"]


class Taped(NamedTuple):
    """What f did at x."""

    tape: Tape
    leaves: list[Recorded]
    layout: Structure  #: of f(x)
    results: list[Any]  #: what f returned, leaf by leaf; recorded where it depends on x


class Pulled(NamedTuple):
    """A gradient, leaf by leaf."""

    values: list[Any]
    errors: list[Any]
    reached: list[bool]  #: whether anything of f(x) depends on the leaf
    smooth: list[Any] | None = None  #: bounds without what kinks add to them, where kinks were met


def taped(f: Callable[[Any], Any], build: Callable[[Any], Any], values: Sequence[Any]) -> Taped:
    """Record f.

    Parameters
    ----------
    f : callable
    build : callable
        From leaves to x.
    values : sequence
        The leaves, of the dtypes that f is to get.
    """
    tape = Tape()
    leaves = [Recorded(value, None, (), None, True, tape) for value in values]
    try:
        with np.errstate(all="ignore"):
            layout, results = _results(f(build(leaves)), tape)
    except Exception as reason:
        tape.close()
        if tape.refused is not None and reason is not tape.refused:
            raise tape.refused from reason
        located(reason, f"f raised this while it was recorded, at x = {shown(build(list(values)))}")
        raise
    if tape.refused is not None:  # and f went on all the same
        tape.close()
        raise tape.refused
    return Taped(tape, leaves, layout, results)


def _results(result: Any, tape: Tape) -> tuple[Structure, list[Any]]:
    """Take apart what f returned; its structure is that of the values."""
    if type(result) is Recorded and result.tape is tape:
        return _plain_layout(np.shape(result.value), result.value.dtype), [result]
    parts: list[Any] = []

    def settle(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: settle(value) for key, value in part.items()}
        if isinstance(part, tuple) and hasattr(part, "_fields"):
            return type(part)(*map(settle, part))
        if isinstance(part, list | tuple) and any(map(_holds_array, part)):
            return type(part)(map(settle, part))
        made = constant(part) if isinstance(part, list | tuple | np.ndarray | Number) else part
        if isinstance(made, Recorded) and made.tape is not tape:
            raise nested()
        parts.append(made)
        return value_in(made)

    values = settle(result)
    layout = Structure.of(values, name="f(x)")
    if layout.dtype.kind == "c":
        raise InputError('f(x) is complex; method="chain" differentiates real numbers, write method="adaptive"')
    return layout, parts


@lru_cache(maxsize=64)
def _plain_layout(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Structure:
    """Give the layout of a number or an array."""
    return Structure.of(np.zeros(shape, dtype)[()], name="f(x)")


def _holds_array(part: Any) -> bool:
    """Whether a list with this entry is a structure, as it is with an ndarray in its place."""
    if isinstance(part, list | tuple):
        return any(map(_holds_array, part))
    return isinstance(part, dict | np.ndarray) or (isinstance(part, Recorded) and part.ndim > 0)


def value_in(part: Any) -> Any:
    """Give the value of a recorded array, and anything else as it is."""
    return part.value if isinstance(part, Node) else part


def pulled(record: Taped, cotangents: Iterable[Any], errors: bool, keep: bool = True) -> list[Pulled]:
    """Walk back from f(x), once for each cotangent, and let go of the tape.

    Parameters
    ----------
    record : Taped
    cotangents : iterable of arrays
        Flat, as f(x) is laid out.
    errors : bool
        Whether to bound what is lost.
    keep : bool
        False: there is one cotangent, and every node is let go as soon as it has passed it on.
    """
    tape, leaves = record.tape, record.leaves
    found = []
    with np.errstate(all="ignore"):
        off = errors_of(tape.nodes) if errors else {}
        for cotangent in cotangents:
            _seed(record, cotangent)
            gaps: dict[int, Array] = {}
            if errors:
                pull_back_with_bounds(tape.nodes, off, gaps)
            else:
                pull_back(tape.nodes, keep)
            found.append(_collected(leaves, gaps, errors))
            if errors and tape.kinks:
                found[-1] = found[-1]._replace(smooth=_without_kinks(record, cotangent, off))
    tape.close()
    return found


def _without_kinks(record: Taped, cotangent: Any, off: dict[int, Array]) -> list[Any]:
    """Bound the errors without what kinks add to them: where that is less, a kink is felt."""
    gaps: dict[int, Array] = {}
    record.tape.smooth = True
    _seed(record, cotangent)
    pull_back_with_bounds(record.tape.nodes, off, gaps)
    record.tape.smooth = False
    return _collected(record.leaves, gaps, errors=True).errors


def pull_back(nodes: list[Node], keep: bool) -> None:
    """Walk back, and leave in each leaf its cotangent; None where it is not reached."""
    for node in reversed(nodes) if keep else _taken(nodes):
        g = node.cotangent
        if g is not None:
            node.cotangent = None
            node.owned = False
            node.rule.pull(node, g, give)


def _taken(nodes: list[Node]) -> Iterator[Node]:
    while nodes:
        yield nodes.pop()


def _seed(record: Taped, cotangent: Any) -> None:
    """Put the cotangent where the way back begins."""
    for leaf, result in zip(record.layout.leaves, record.results, strict=True):
        if isinstance(result, Recorded) and result.live:
            part = np.reshape(cotangent[leaf.slice], leaf.shape)
            give(result, part.astype(np.result_type(result.value), copy=False)[()])


def _collected(leaves: Sequence[Recorded], gaps: dict[int, Array], errors: bool) -> Pulled:
    """Take what was left in the leaves."""
    values, bounds, reached = [], [], []
    for leaf in leaves:
        g, gap = leaf.cotangent, gaps.get(id(leaf))
        leaf.cotangent, leaf.owned = None, False
        reached.append(g is not None)
        values.append(np.zeros(leaf.shape) if g is None else g)
        if errors or g is None:
            bounds.append(np.zeros(leaf.shape) if gap is None else gap)
        else:
            bounds.append(np.broadcast_to(np.inf, leaf.shape))
    return Pulled(values, bounds, reached)
