"""A recording that is kept: the same operations at other points of the same shapes.

Where f asked for a plain value (a branch, an index), the recording holds only while that value is the same; it is
checked each time, and refused where it differs.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from mibun.chain.array import Recorded
from mibun.chain.backward import Taped, pulled, taped, value_in
from mibun.chain.method import Asked, derivative_of, leaves_of
from mibun.chain.tape import Branch, Node, Tape
from mibun.errors import InputError
from mibun.given import taken
from mibun.options import Wish
from mibun.result import Derivative
from mibun.structure import Structure
from mibun.text import count

__all__ = ["Recording", "record"]

#: Most operations that a recording shows when it is printed.
ROWS = 20


class Recording:
    """What f did at one point, to be done again at others; made by `record`.

    Attributes
    ----------
    operations : int
        How many operations f did on what depends on x.
    entries : int
        How many numbers they made.
    derivative : Derivative or None
        The gradient at the point of the recording, if f returns one number.
    """

    def __init__(self, f: Callable[[Any], Any], name: str, structure: Structure, record: Taped) -> None:
        self.name, self._f = name, f
        self._structure, self._layout = structure, record.layout
        self._nodes, self._leaves, self._results = record.tape.nodes, record.leaves, record.results
        self._branches = record.tape.branches
        record.tape.close()
        self.operations = len(self._nodes)
        self.entries = sum(int(np.size(node.value)) for node in self._nodes)
        self.derivative: Derivative | None = None
        self._keep()

    def _keep(self) -> None:
        """Copy constants, which are the caller's, and let go of the values in between."""
        copies: dict[int, Any] = {}
        for node in self._nodes:
            node.inputs = tuple(
                copies.setdefault(id(one), one.copy()) if isinstance(one, np.ndarray) else one for one in node.inputs
            )
        self._lines = [f"{_shown(node)}  {node.rule.name}" for node in self._nodes[:ROWS]]
        self._counts = Counter(node.rule.name for node in self._nodes)
        for node in (*self._nodes, *self._leaves):
            node.value = np.broadcast_to(np.zeros((), node.value.dtype), np.shape(node.value))
        self._places = {id(node): place for place, node in enumerate((*self._leaves, *self._nodes))}

    def __call__(self, x: Any) -> Any:
        """Give f(x), as f returned it.

        Parameters
        ----------
        x : like that of the recording
            The same structure and shapes.

        Raises
        ------
        InputError
            If x is built in another way, or if f would have taken another branch there.
        """
        record = self._again(x)
        values = [np.asarray(value_in(result))[()] for result in record.results]
        record.tape.close()
        return self._layout.build(
            [v.item() if leaf.python else v for v, leaf in zip(values, self._layout.leaves, strict=True)]
        )

    def gradient(self, x: Any) -> Derivative:
        """Give the gradient at x with its bounds, as `mibun.gradient` does; it is not verified again."""
        given = taken(x, None)
        wish = Wish(verify=False, errors=True, rtol=None, atol=0.0)
        return derivative_of(Asked(self._f, given, wish, self._again(x)))

    def value_and_gradient(self, x: Any) -> tuple[float, Any]:
        """Give f(x) and its gradient as plain numbers and arrays: the inner loop."""
        record = self._again(x)
        if self._layout.size != 1:
            raise InputError(f"f returned {self._layout.size} numbers, {self._layout}; expected one")
        (found,) = pulled(record, [np.ones(1)], errors=False, keep=False)
        return float(np.reshape(value_in(record.results[0]), ())), self._structure.build(found.values)

    def _again(self, x: Any) -> Taped:
        """Do what f did, at another point, on a tape of its own."""
        tape = Tape()
        made: list[Recorded] = []
        for part, leaf in zip(self._structure.parts(x), self._structure.leaves, strict=True):
            try:
                value = np.asarray(part).astype(leaf.dtype, casting="same_kind", copy=False)[()]
            except (TypeError, ValueError):
                raise InputError(f"x{leaf.name and '.'}{leaf.name} is {part!r}; expected real numbers") from None
            if np.shape(value) != leaf.shape:
                raise InputError(f"x{leaf.name and '.'}{leaf.name} has shape {np.shape(value)}; expected {leaf.shape}")
            made.append(Recorded(value, None, (), None, True, tape))
        places = self._places
        with np.errstate(all="ignore"):
            for node in self._nodes:
                inputs = tuple([made[places[id(one)]] if isinstance(one, Node) else one for one in node.inputs])
                values = [one.value if isinstance(one, Node) else one for one in inputs]
                value = node.rule.forward(node.options, *values)
                again = Recorded(value, node.rule, inputs, node.options, node.live, tape)
                made.append(again)
                tape.nodes.append(again)
            for branch in self._branches:
                self._check(branch, [made[places[id(node)]].value for node in branch.nodes])
        results = [made[places[id(one)]] if isinstance(one, Node) else one for one in self._results]
        return Taped(tape, made[: len(self._leaves)], self._layout, results)

    @staticmethod
    def _check(branch: Branch, values: list[Any]) -> None:
        answer = branch.make(*values)
        same = (
            all(map(np.array_equal, answer, branch.answer))
            if isinstance(answer, tuple)
            else np.array_equal(answer, branch.answer)
        )
        if not same:
            raise InputError(
                f"f would take another branch at this x: {branch.what} at {branch.where} was {branch.answer!r}, and is "
                f"{answer!r} now; record f again there"
            )

    def __repr__(self) -> str:
        most = ", ".join(f"{times} {name}" for name, times in self._counts.most_common(4))
        head = (
            f"Recording of {self.name}: {count(self.operations, 'operation')}, {count(self.entries, 'number')} made, "
            f"{count(len(self._branches), 'branch point')} ({most})"
        )
        more = [f"  ... {self.operations - ROWS:,} more"] if self.operations > ROWS else []
        return "\n".join([head, *(f"  {line}" for line in self._lines), *more])


def _shown(node: Node) -> str:
    return f"{node.value.dtype!s:8} {np.shape(node.value)!s:14}"


def record(f: Callable[[Any], Any], x: Any, *, verify: bool = True) -> Recording:
    """Record what f does at x, to do it again at other points without calling f.

    Parameters
    ----------
    f : callable
        From x to a number, an array or a structure, written with NumPy.
    x : number, array or structure
        As in `mibun.gradient`.
    verify : bool
        Compare the gradient with f, once, if f returns one number. Default: True.

    Returns
    -------
    Recording
        Called, it gives f at another x; its methods give gradients. Printed, it shows what f did. Arrays that f used
        beside x are copied: the recording does not change with them.

    Raises
    ------
    InputError
        If f does what cannot be recorded, or its gradient disagrees with it.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> recording = mb.chain.record(lambda x: np.sum(np.exp(x) * x), np.array([0.0, 1.0]))
    >>> recording
    Recording of <lambda>: 3 operations, 5 numbers made, 0 branch points (1 np.exp, 1 np.multiply, 1 np.sum)
      float64  (2,)            np.exp
      float64  (2,)            np.multiply
      float64  ()              np.sum
    >>> d = recording.gradient([2.0, 3.0])
    >>> bool(np.all(abs(d.value - np.exp([2.0, 3.0]) * [3.0, 4.0]) <= d.error))
    True
    """
    given = taken(x, None)
    leaves, derivative = leaves_of(given), None
    if verify:
        asked = Asked(
            f, given, Wish(verify=True, errors=True, rtol=None, atol=0.0), taped(f, given.structure.build, leaves)
        )
        derivative = derivative_of(asked) if asked.record.layout.size == 1 else None
    record = taped(f, given.structure.build, leaves)
    made = Recording(f, getattr(f, "__name__", type(f).__name__), given.structure, record)
    made.derivative = derivative
    return made
