"""The tape: what f did, as a list of nodes in the order in which they were made, and the rules that they follow.

A **rule** knows one operation: how its value comes about (`forward`), how a change of the result is pulled back to
what went in (`pull`), and what rounding and truncation cost (`lost` on the way forward, `pull_gap` on the way back).
`UFUNCS` and `FUNCTIONS` are the tables in which the modules of this package write their rules.

Reverse accumulation by a list of this kind is R. Wengert, "A simple automatic derivative evaluation program",
Comm. ACM 7 (1964) 463-464, turned around by S. Linnainmaa (1970).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FUNCTIONS",
    "UFUNCS",
    "Array",
    "Branch",
    "Give",
    "Node",
    "Rule",
    "Tape",
    "give",
    "handles",
    "marked",
    "nothing",
    "unbroadcast",
    "value_of",
]

Array = NDArray[Any]
#: Lengths up to which ones to sum with are kept.
SHORT: Final = 2**12


class Node:
    """One value of the tape, and how it came about.

    Attributes
    ----------
    value : array or number
    rule : Rule or None
        None: an entry of x.
    inputs : tuple
        What went in: nodes, and constants as they are.
    options : Any
        What else the rule needs to know, such as an axis.
    live : bool
        Whether a change of x can change it; not so for constants, and for what is flat wherever it has a slope.
    tape : Tape
    cotangent : array, number or None
        On the way back: the slope of the result in this value, as far as it is known.
    owned : bool
        Nothing else refers to the cotangent: it may be added to in place.
    """

    __slots__ = ("cotangent", "inputs", "live", "options", "owned", "rule", "tape", "value")

    def __init__(self, value: Any, rule: Any, inputs: tuple[Any, ...], options: Any, live: bool, tape: Any) -> None:
        self.value = value
        self.rule = rule
        self.inputs = inputs
        self.options = options
        self.live = live
        self.tape = tape
        self.cotangent: Any = None
        self.owned = False


Give = Callable[[Node, Any], None]


class Rule:
    """What the tape needs to know about one operation."""

    #: What messages call it.
    name: str = ""
    #: Whether the result is flat wherever it has a slope: nothing is pulled back through it.
    flat: ClassVar[bool] = False
    #: Whether an entry of the result comes from one of each input: where its cotangent is 0, nothing is passed on.
    entrywise: ClassVar[bool] = False

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute the value anew, from those of the inputs."""
        raise NotImplementedError

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Give each live input its share of the cotangent `g` of the node."""

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Bound the error of the value of the node, given those of its inputs."""
        raise NotImplementedError

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Give each live input what `pull` may have lost, given the bound `gap` on the error of `g`."""
        raise NotImplementedError

    def pull_both(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], gives: tuple[Give, Give]) -> None:
        """Do both; a rule that finds its slopes and what they are off at once does so here."""
        self.pull(node, g, gives[0])
        self.pull_gap(node, g, gap, errors, gives[1])

    def other_side(self, node: Node) -> Any:
        """Give the value with all entries at a jump taken to its other side, if there is one other side."""

    def __repr__(self) -> str:
        return self.name


UFUNCS: Final[dict[np.ufunc, Rule]] = {}
FUNCTIONS: Final[dict[Any, Callable[..., Any]]] = {}


def handles(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register what is called in the place of these functions of NumPy when a recorded array is given to them."""

    def register(handler: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            if function in FUNCTIONS:
                raise ValueError(f"{function} has a handler already")
            FUNCTIONS[function] = handler
        return handler

    return register


class Branch(NamedTuple):
    """A place where f asked for a plain value, and went on by it: the recording holds only while it is the same."""

    what: str
    where: str
    nodes: tuple[Node, ...]
    make: Callable[..., Any]  #: from the values of the nodes to what f got
    answer: Any


class Tape:
    """What f did.

    Attributes
    ----------
    nodes : list of Node
        In the order in which they were made, so each stands behind its inputs.
    branches : list of Branch
        Places where f asked for a plain value.
    kinks : dict
        For every node at a kink of which f was met: what it is called, and how many entries stand there.
    edges : dict
        The same for functions that are flat but for jumps: entries at one, such as a comparison of what is equal.
    fine : bool
        Unknown functions are to be differenced as finely as with errors, though none are asked for.
    chooses : bool
        f took one of two sides by np.where: what a slope is on the other side counts for nothing.
    smooth : bool
        Bounds are to leave out what kinks add to them.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.append = self.nodes.append
        self.branches: list[Branch] = []
        self.kinks: dict[int, tuple[str, int]] = {}
        self.edges: dict[int, tuple[str, int]] = {}
        self.chooses = self.fine = self.smooth = False
        self.refused: Exception | None = None

    def close(self) -> None:
        """Let go of all nodes; an array that f kept for later cannot be used any more."""
        self.nodes = []
        self.branches = [branch._replace(nodes=()) for branch in self.branches]
        self.append = _closed

    @property
    def closed(self) -> bool:
        """Whether all nodes were let go."""
        return self.append is _closed

    def kink(self, node: Node, count: Any) -> None:
        """Remember how many entries of a node stand at a kink."""
        self.kinks[id(node)] = node.rule.name, int(count)

    def edge(self, node: Node, at: Any) -> None:
        """Remember how many entries of a node stand where it jumps, if what went in can move them."""
        if any(isinstance(given, Node) and given.live for given in node.inputs):
            count = int(np.count_nonzero(at))
            if count:
                self.edges[id(node)] = node.rule.name, count


def _closed(node: Node) -> None:
    from mibun.chain.refuse import refusal

    raise refusal(
        f"{node.rule.name} of a recorded array whose recording has ended",
        "f must not keep its arrays in variables outside and use them in a later call",
    )


def value_of(given: Any) -> Any:
    """Give the value of a node, and anything else as it is."""
    return given.value if isinstance(given, Node) else given


def give(node: Node, part: Any) -> None:
    """Add a part to the cotangent of a node; what was broadcast is summed up."""
    value = node.value
    if part.shape != value.shape:
        part = unbroadcast(part, value.shape)
    sofar = node.cotangent
    if sofar is None:
        node.cotangent = part
    elif node.owned and sofar.dtype == part.dtype:
        sofar += part
    else:
        node.cotangent = sofar + part
        node.owned = value.shape != ()  # a new array, and no number, which cannot be added to in place


def nothing(g: Any, part: Any) -> Any:
    """Make 0 of what a slope that is infinite or nan made of a cotangent of 0: of a side that np.where did not take."""
    return np.where((g == 0) & np.isnan(part), 0.0, part).astype(part.dtype)[()] if part.shape == np.shape(g) else part


def marked(g: Any, part: Any) -> Any:
    """Do the same, and make a trace of what a slope of 0 made 0: times an infinite slope that is unknown, and not 0."""
    part = nothing(g, part)
    if part.shape != np.shape(g):
        return part
    return np.where((part == 0) & (g != 0), np.finfo(part.dtype).tiny, part)[()]


def unbroadcast(part: Any, shape: tuple[int, ...]) -> Any:
    """Sum over the axes that an array of this shape was broadcast along; spread what is a number for all entries."""
    have = part.shape
    extra = len(have) - len(shape)
    if extra < 0:
        return np.broadcast_to(part, shape)
    if have[extra:] == shape:
        return summed(part, tuple(range(extra)))
    along = tuple([i for i, want in enumerate(shape, extra) if want == 1 != have[i]])
    if along:
        part = summed(part, along, keepdims=True)
    if extra:
        part = summed(part, tuple(range(extra)))
    return part if part.shape == shape else np.broadcast_to(part, shape)


def summed(part: Any, axes: tuple[int, ...], keepdims: Any = False) -> Any:
    """Sum over axes; short floats in double precision, for NumPy adds rows one by one, and loses a digit by that."""
    if part.dtype.itemsize < 8:
        return np.add.reduce(part, axis=axes, dtype=np.float64, keepdims=keepdims).astype(part.dtype)
    if axes == (0,) and part.ndim == 2 and not keepdims:
        count = len(part)
        ones = _ones(count, part.dtype) if count <= SHORT else np.ones(count, part.dtype)
        return np.matmul(ones, part)
    return np.add.reduce(part, axis=axes, keepdims=keepdims)


@lru_cache(maxsize=16)
def _ones(count: int, dtype: np.dtype[Any]) -> Array:
    return np.ones(count, dtype)
