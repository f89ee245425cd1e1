"""Ufuncs without a rule of their own, and the methods of ufuncs: reduce, accumulate, outer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

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
        named = dict(zip(names, inputs[1:], strict=False)) | options
        axis = named.get("axis", 0)
        kept = {"keepdims": named["keepdims"]} if named.get("keepdims") else {}
        return FUNCTIONS[same[ufunc.__name__, method]](inputs[0], axis=axis, **kept)
    if method == "outer":
        left, right = (one if isinstance(one, Recorded) else np.asarray(constant(one)) for one in inputs)
        return ufunc(left.reshape(np.shape(value_of(left)) + (1,) * np.ndim(value_of(right))), right)
    raise refusal(f"np.{ufunc.__name__}.{method}", "write it with functions such as np.sum and np.cumsum")
