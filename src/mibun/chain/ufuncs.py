"""Ufuncs without a rule of their own, and the methods of ufuncs: reduce, accumulate, outer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mibun.chain.arguments import called
from mibun.chain.array import Recorded, apply, constant
from mibun.chain.local import Local
from mibun.chain.refuse import refusal
from mibun.chain.tape import FUNCTIONS, UFUNCS, Node, handles, value_of

__all__: list[str] = []


@handles(np.ufunc)
def unknown(ufunc: np.ufunc, inputs: Sequence[Any]) -> Any:
    """Record a ufunc of which nothing is known, or of more than two inputs."""
    if ufunc is np.divmod:
        return np.floor_divide(*inputs), np.remainder(*inputs)
    if ufunc in FUNCTIONS:
        return FUNCTIONS[ufunc](*inputs)
    if ufunc.signature is not None:
        raise refusal(f"{ufunc.__name__}, which maps whole rows or matrices,", "wrap it by mb.chain.per_sample")
    given = tuple(one if isinstance(one, Recorded) else constant(one) for one in inputs)
    if ufunc.nout == 1:
        return apply(UFUNCS.get(ufunc) or Local(ufunc), *given)
    return tuple(apply(Local(ufunc, output, f"{ufunc.__name__}[{output}]"), *given) for output in range(ufunc.nout))


@handles(np.ufunc.reduce)
def method_of(ufunc: np.ufunc, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Record a method of a ufunc, by the function that does the same."""
    same = {
        ("add", "reduce"): np.sum,
        ("multiply", "reduce"): np.prod,
        ("maximum", "reduce"): np.max,
        ("minimum", "reduce"): np.min,
        ("logical_and", "reduce"): np.all,
        ("logical_or", "reduce"): np.any,
        ("add", "accumulate"): np.cumsum,
        ("multiply", "accumulate"): np.cumprod,
    }
    if (ufunc.__name__, method) in same and isinstance(inputs[0], Node):
        names = ("axis", "dtype", "out", "keepdims")
        named = {"axis": 0} | dict(zip(names, inputs[1:], strict=False)) | options
        return called(same[ufunc.__name__, method], inputs[:1], named)
    if method == "outer":
        left, right = (one if isinstance(one, Recorded) else np.asarray(constant(one)) for one in inputs)
        return ufunc(left.reshape(np.shape(value_of(left)) + (1,) * np.ndim(value_of(right))), right)
    raise refusal(f"np.{ufunc.__name__}.{method}", "write it with functions such as np.sum and np.cumsum")
