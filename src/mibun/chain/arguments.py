"""What a function of NumPy is asked for beside its arrays: what its handler does not read must not change the result.

A handler names the arguments that it reads, as NumPy names them. All others must have their defaults, or be of those
that change no value; ``out=``, ``where=`` and the like are refused, for ignored they would give another function.
"""

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from mibun.chain.refuse import refusal
from mibun.chain.tape import FUNCTIONS

__all__ = ["called"]

#: Arguments that change how a result is found or where it lies, and not its numbers.
HARMLESS: Final = frozenset(
    (
        "casting",
        "copy",
        "device",
        "kind",
        "like",
        "optimize",
        "order",
        "overwrite_input",
        "stable",
        "subok",
        "writeable",
    )
)
#: Functions that cast what they sum to the dtype they are given.
CASTING: Final = frozenset(
    (np.sum, np.nansum, np.prod, np.mean, np.nanmean, np.var, np.std, np.cumsum, np.cumprod, np.trace)
)
ANY: Final = 99
INSTEAD: Final = {
    "out": "leave it out, and use what is returned",
    "where": "write np.where inside",
    "initial": "write it as one entry more, or behind",
    "dtype": "write .astype(...) before",
}


class Known(NamedTuple):
    """What a handler reads."""

    leading: int  #: so many arguments it takes by their places, as NumPy does
    reads: frozenset[str]
    names: tuple[str, ...]  #: of NumPy, by places
    defaults: dict[str, Any]


def called(function: Any, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Call the handler of a function of NumPy, and refuse what it would ignore."""
    handler, known = FUNCTIONS[function], _known(function)
    if len(inputs) <= known.leading and (not options or options.keys() <= known.reads):
        return handler(*inputs, **options)
    if len(inputs) > max(known.leading, len(known.names)):
        return handler(*inputs, **options)  # which raises the TypeError
    given = dict(zip(known.names[known.leading :], inputs[known.leading :], strict=False)) | options
    first, *others = inputs[: known.leading] or (None,)
    read = {}
    for name, value in given.items():
        if name in known.reads:
            read[name] = value
        elif name == "dtype" and value is not None and function in CASTING:
            first = FUNCTIONS["astype"](first, value)
        elif not _harmless(name, value, known.defaults.get(name)):
            what = f"{getattr(function, '__module__', 'np')}.{function.__name__}".replace("numpy", "np", 1)
            raise refusal(f"{what}(..., {name}=...)", INSTEAD.get(name, "leave it out"))
    return handler(first, *others, **read)


def _harmless(name: str, value: Any, default: Any) -> bool:
    if value is None or value is np._NoValue or value is default or name in HARMLESS:
        return True
    return (name == "where" and value is True) or (type(value) is type(default) is not np.ndarray and value == default)


@cache
def _known(function: Any) -> Known:
    """Compare what a handler names with what NumPy does."""
    own = inspect.signature(FUNCTIONS[function]).parameters
    try:
        its = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of a function in C of an older NumPy
        its = own
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(name for name, one in its.items() if one.kind in places)
    kinds = {one.kind for one in own.values()}
    reads = its.keys() if inspect.Parameter.VAR_KEYWORD in kinds else own.keys()
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        leading = names.index("out") if "out" in names else ANY
    else:
        same = [name for name, one in own.items() if one.kind in places]
        leading = next(
            (i for i, (mine, name) in enumerate(zip(same, names, strict=False)) if i and mine != name),
            min(len(same), len(names)),
        )
    return Known(leading, frozenset(reads) - {"out"}, names, {name: one.default for name, one in its.items()})
