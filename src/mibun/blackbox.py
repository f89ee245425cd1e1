"""A function of several arrays that can only be evaluated, as an operation: its value, and what its backward needs.

For what automatic differentiation calls an operation with a custom backward: PyTorch's and JAX's.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.derivatives import directional, vjp
from mibun.errors import InputError
from mibun.result import Derivative

__all__ = ["BlackBox"]

Array = NDArray[Any]

#: Options that say where f may be evaluated, and by whom.
WHERE: Final = ("bounds", "vectorized", "workers", "evaluator")


class BlackBox:
    """``f(*arguments)``, arrays and others, which returns one array of real numbers.

    Floating arguments are given to f as new arrays of float64, all others as they are.

    Parameters
    ----------
    f : callable
    options : dict
        Those of `mibun.vjp`.

    Attributes
    ----------
    last : Derivative or None
        What the last `pullback` found: its value, error and status are lists, one entry for each argument that moved.
    """

    def __init__(self, f: Callable[..., Any], options: Mapping[str, Any]) -> None:
        if not callable(f):
            raise InputError(f"f is {f!r}; expected a function of NumPy arrays")
        inspect.signature(vjp).bind_partial(**options)  # an unknown word is told now
        self.f, self.options = f, dict(options)
        self.last: Derivative | None = None

    def value(self, arguments: Sequence[Any]) -> Array:
        """Evaluate f, as every other point is evaluated."""
        places = [place for place, given in enumerate(arguments) if _floating(given)]
        if not places:
            raise InputError("there is no argument of floating dtype; expected one at least")
        x = [arguments[place] for place in places]
        direction = [np.ones(part.shape) for part in x]
        options = {name: self.options[name] for name in WHERE if name in self.options}
        fx = directional(_moved(self.f, arguments, places), x, direction, budget=1, **options).fx
        if not isinstance(fx, float | np.ndarray) or np.iscomplexobj(fx):
            raise InputError(f"f returned {type(fx).__name__}; expected a real number, or one array of them")
        return np.asarray(fx)

    def pullback(self, arguments: Sequence[Any], places: Sequence[int], cotangent: Array) -> list[Array]:
        """Give the cotangent times the derivative of f with respect to the arguments at some places."""
        x = [arguments[place] for place in places]
        self.last = vjp(_moved(self.f, arguments, places), x, cotangent[()], **self.options)
        return [np.asarray(part) for part in self.last.value]


def _moved(f: Callable[..., Any], arguments: Sequence[Any], places: Sequence[int]) -> Callable[[list[Array]], Any]:
    """Give f as a function of the arguments at some places; it holds nothing that another process cannot have."""
    held = [None if place in places else argument for place, argument in enumerate(arguments)]

    def moved(parts: list[Array]) -> Any:
        whole = list(held)
        for place, part in zip(places, parts, strict=True):
            whole[place] = part
        return f(*whole)

    return moved


def _floating(given: Any) -> bool:
    return isinstance(given, np.ndarray) and given.dtype.kind == "f" and given.size > 0
