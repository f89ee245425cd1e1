"""What a gradient is off: local errors, carried along the tape by the worst case.

Forward, each value gets a bound on what its roundings cost (running error analysis: Higham 2002, "Accuracy and
Stability of Numerical Algorithms", section 3.3); back, each cotangent gets one: what its slopes are off, by truncation,
rounding and because their arguments are off, and the rounding of every product and sum.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mibun.chain.rounding import rounding_unit, unit_of
from mibun.chain.tape import Array, Node, give, unbroadcast

__all__ = ["Careful", "Errors", "errors_of", "pull_back_with_bounds"]

#: By the place of a node in memory.
Errors = dict[int, Array]
#: From a cotangent and what a rule made of it to what is passed on.
Careful = Callable[[Any, Any], Any] | None


def errors_of(nodes: Sequence[Node]) -> Errors:
    """Bound the error of every value, by the place of its node in memory; what is exact is left out."""
    errors: Errors = {}
    for node in nodes:
        found = node.rule.lost(node, _of_inputs(node, errors))
        if found is not None:
            found = np.asarray(found, np.float64)
            errors[id(node)] = np.broadcast_to(found, node.value.shape) if found.shape != node.value.shape else found
    return errors


def pull_back_with_bounds(nodes: Sequence[Node], errors: Errors, gaps: Errors, careful: Careful = None) -> None:
    """Walk back with bounds beside the cotangents; those of the leaves are left in `gaps`, their cotangents in them.

    With `careful`, a cotangent of 0 stays 0 where a slope is not finite.
    """

    def give_value(node: Node, part: Any) -> None:
        """Add a part, and the rounding of the sum."""
        sofar, shape = node.cotangent, node.value.shape
        rounding: Any = None
        if part.shape != shape and part.size > node.value.size:
            terms = part.size // max(1, node.value.size)
            rounding = rounding_unit(part.dtype, terms) * unbroadcast(np.abs(part), shape)
        if careful is not None and rule.entrywise:
            part = careful(g, part)
        give(node, part)
        if sofar is not None:
            again = unit_of(part) * np.abs(node.cotangent)
            rounding = again if rounding is None else rounding + again
        if rounding is not None:
            give_gap(node, rounding)

    def give_gap(node: Node, part: Any) -> None:
        part, shape = np.asarray(part, np.float64), node.value.shape
        if part.shape != shape:
            part = unbroadcast(part, shape)
        sofar = gaps.get(id(node))
        gaps[id(node)] = part if sofar is None else sofar + part

    rule: Any = None
    g: Any = None
    gives = give_value, give_gap
    for node in reversed(nodes):
        g = node.cotangent
        if g is not None:
            node.cotangent = None
            node.owned = False
            gap = gaps.pop(id(node), None)
            gap = np.zeros(node.value.shape) if gap is None else gap
            rule = node.rule
            rule.pull_both(node, g, gap, _of_inputs(node, errors), gives)


def _of_inputs(node: Node, errors: Errors) -> list[Any]:
    return [errors.get(id(given)) if isinstance(given, Node) else None for given in node.inputs]
