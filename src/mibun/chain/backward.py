"""Record f, and walk back from its result to x: cotangents along the tape, from its end to its beginning."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from numbers import Number
from typing import Any, Final, NamedTuple

import numpy as np

from mibun.chain import algebra, composed, elementary, linear, moving, norms, products, selecting, ufuncs  # noqa: F401 (rules)
from mibun.chain.array import Recorded, constant, nested
from mibun.chain.bounds import Careful, Errors, errors_of, pull_back_with_bounds
from mibun.chain.tape import FUNCTIONS, UFUNCS, Node, Tape, give, marked, nothing
from mibun.errors import InputError
from mibun.evaluate.serial import located, shown
from mibun.structure import Structure

__all__ = ["Pulled", "Taped", "known", "pulled", "taped", "value_in"]


#: The part by which f may differ on the two sides of a tie, and go through all the same.
SAME: Final = 1e-9


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

    @property
    def finite(self) -> bool:
        """Whether no value is nan or infinite, as far as their sums tell."""
        return all(math.isfinite(np.add.reduce(value, axis=None)) for value in self.values)


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
            raise nested(made.tape)
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
    tape, found = record.tape, []
    with np.errstate(all="ignore"):
        off = errors_of(tape.nodes) if errors else None
        for cotangent in cotangents:
            one = _once(record, cotangent, off, keep)
            careful = nothing if keep and tape.chooses and not one.finite else None
            if careful is not None:
                one = _once(record, cotangent, off, keep, careful)
                traces = _once(record, cotangent, None, keep, marked).values
                one.values[:] = [
                    np.where(np.isfinite(trace), v, np.nan) for v, trace in zip(one.values, traces, strict=True)
                ]
            if errors and tape.kinks:
                tape.smooth = True  # where the bound is less without kinks, one is felt
                one = one._replace(smooth=_once(record, cotangent, off, keep, careful).errors)
                tape.smooth = False
            if errors and tape.edges:
                one = _with_other_side(record, cotangent, one)
            found.append(one)
    tape.close()
    return found


def _with_other_side(record: Taped, cotangent: Any, one: Pulled) -> Pulled:
    """Add to the errors what the other side of all ties in comparisons gives, if f goes through there without a jump.

    So np.where(x > 0, x, 0) at 0 is known as a kink, and a formula that is chosen for its accuracy alone as none.
    """
    tape, changed = record.tape, set()
    before, kinks = [node.value for node in tape.nodes], dict(tape.kinks)
    results = [value_in(result) for result in record.results]
    for node in tape.nodes:
        other = node.rule.other_side(node) if id(node) in tape.edges else None
        if other is None and any(id(given) in changed for given in node.inputs):
            other = node.rule.forward(node.options, *map(value_in, node.inputs))
        if other is not None:
            node.value = other
            changed.add(id(node))
    same = all(
        np.all(np.abs(value_in(new) - old) <= SAME * np.abs(old).max(initial=0.0))
        for new, old in zip(record.results, results, strict=True)
    )
    if same and changed:
        there = _once(record, cotangent, None, True, nothing if tape.chooses else None).values
        gaps = [np.abs(new - value) for new, value in zip(there, one.values, strict=True)]
        wider = [error + np.where(np.isnan(gap), np.inf, gap) for error, gap in zip(one.errors, gaps, strict=True)]
        one = one._replace(errors=wider, smooth=one.smooth or one.errors)
    for node, value in zip(tape.nodes, before, strict=True):
        node.value = value
    tape.kinks = kinks
    return one


def _once(record: Taped, cotangent: Any, off: Errors | None, keep: bool, careful: Careful = None) -> Pulled:
    """Walk back once, with bounds where the errors of the values are known."""
    _seed(record, cotangent)
    gaps: Errors = {}
    if off is None:
        pull_back(record.tape.nodes, keep, careful)
    else:
        pull_back_with_bounds(record.tape.nodes, off, gaps, careful)
    return _collected(record.leaves, gaps, off is not None)


def pull_back(nodes: list[Node], keep: bool, careful: Careful = None) -> None:
    """Walk back, and leave in each leaf its cotangent; None where it is not reached.

    With `careful`, that is asked what a cotangent of 0 becomes where a slope is not finite.
    """
    for node in reversed(nodes) if keep else _taken(nodes):
        g = node.cotangent
        if g is not None:
            node.cotangent = None
            node.owned = False
            if careful is not None and node.rule.entrywise:
                node.rule.pull(node, g, lambda given, part, g=g: give(given, careful(g, part)))
            else:
                node.rule.pull(node, g, give)


def known() -> list[str]:
    """Name the functions and ufuncs of NumPy that are recorded by a rule of their own; other ufuncs are, too, without.

    Examples
    --------
    >>> from mibun import chain
    >>> "np.einsum" in chain.known(), "np.linalg.cholesky" in chain.known(), "np.fft.fft" in chain.known()
    (True, True, False)
    """
    functions = [
        one for one in FUNCTIONS if callable(one) and (getattr(one, "__module__", "") or "").startswith("numpy")
    ]
    names = {f"{one.__module__}.{one.__name__}".replace("numpy", "np", 1) for one in functions if one is not np.ufunc}
    return sorted(names - {"np.reduce"} | {f"np.{ufunc.__name__}" for ufunc in UFUNCS})


def _taken(nodes: list[Node]) -> Iterator[Node]:
    while nodes:
        yield nodes.pop()


def _seed(record: Taped, cotangent: Any) -> None:
    """Put the cotangent where the way back begins."""
    for leaf, result in zip(record.layout.leaves, record.results, strict=True):
        if isinstance(result, Recorded) and result.live:
            part = cotangent[leaf.slice]
            part = part[0] if leaf.shape == () else part.reshape(leaf.shape)
            give(result, part.astype(result.value.dtype, copy=False))


def _collected(leaves: Sequence[Recorded], gaps: Errors, errors: bool) -> Pulled:
    """Take what was left in the leaves."""
    values: list[Any] = []
    bounds: list[Any] = []
    reached = []
    owners = set()
    for leaf in leaves:
        g, gap = leaf.cotangent, gaps.get(id(leaf))
        leaf.cotangent, leaf.owned = None, False
        reached.append(g is not None)
        if isinstance(g, np.ndarray):
            owner = g if g.base is None else g.base
            if id(owner) in owners or not g.flags.writeable:  # sums give one array to several
                g = g.copy()
            owners.add(id(owner))
        values.append(np.zeros(leaf.shape) if g is None else g)
        if errors or g is None:
            bounds.append(np.zeros(leaf.shape) if gap is None else gap)
        else:
            bounds.append(np.inf)
    return Pulled(values, bounds, reached)
