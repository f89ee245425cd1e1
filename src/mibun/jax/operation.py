"""`mibun.jax.differentiable`: a black box as an operation of JAX, with a numerical backward."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from mibun.blackbox import BlackBox
from mibun.errors import InputError
from mibun.jax.checking import framework, is_floating
from mibun.result import Derivative

__all__ = ["Operation", "differentiable"]

TWICE = (
    "mb.jax.differentiable has first derivatives alone, and this differentiates its backward; "
    "for second derivatives of the black box itself ask mb.hessian(f, x)"
)


def differentiable(f: Callable[..., Any], *, like: Any = 0.0, **options: Any) -> "Operation":
    """Make a black box, such as a simulator, an operation that `jax.grad` and `jax.jit` can go through.

    Parameters
    ----------
    f : callable
        ``f(*arguments)``, of pytrees: arrays come as NumPy arrays, those of floating dtype as float64. It returns a
        real number or one array.
    like : array
        Something of the shape that f returns: under `jax.jit` and `jax.vmap` JAX has to know it before f is called.
        Default: a number.
    **options
        Those of `mibun.vjp`: method, rtol, atol, bounds (a list of an entry for each floating array), noise, budget,
        vectorized, workers, evaluator.

    Returns
    -------
    Operation
        ``operation(*arguments)``: an array in the best floating dtype of the arguments. ``operation.last`` is what the
        last backward found, with errors and statuses.

    Raises
    ------
    InputError
        If f is no function; when called, if no argument is floating, or f returns something else, or of another shape.
    TypeError
        For an option that there is not.
    MissingDependency
        If JAX is not installed.

    Notes
    -----
    A `jax.custom_vjp` around `jax.pure_callback`. A backward costs a dozen evaluations for each floating number in the
    arguments, however many numbers f returns. Under `jax.vmap` f is called for each sample, one after the other. Where
    f has no derivative the gradient is nan, at a kink it is the mean of both slopes. Forward mode and second
    derivatives are refused.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np
    >>> import mibun as mb
    >>> simulator = mb.jax.differentiable(lambda x, k: k * np.sum(np.sin(x)))
    >>> x = jnp.array([0.5, 1.0])
    >>> slope = jax.jit(jax.grad(simulator))(x, 3.0)
    >>> bool(abs(slope - 3 * jnp.cos(x)).max() < 1e-6)
    True
    """
    framework("mb.jax.differentiable")
    return Operation(f, np.shape(like), options)


class Operation:
    """A black box as an operation of JAX, made by `differentiable`."""

    def __init__(self, f: Callable[..., Any], shape: tuple[int, ...], options: dict[str, Any]) -> None:
        if not callable(f):
            raise InputError(f"f is {f!r}; expected a function of NumPy arrays")
        self.f, self.shape = f, shape
        self.box = BlackBox(lambda build, *leaves: f(*build(leaves)), options)

    @property
    def last(self) -> Derivative | None:
        """What the last backward found: value, error and status are lists, with an entry for each floating array."""
        return self.box.last

    def __call__(self, *arguments: Any) -> Any:
        """Evaluate f."""
        jax = framework("mb.jax.differentiable")
        leaves, tree = jax.tree_util.tree_flatten(arguments)
        places = [place for place, leaf in enumerate(leaves) if hasattr(leaf, "dtype") or isinstance(leaf, float)]
        if not any(is_floating(jax, leaf) for leaf in leaves):
            raise InputError("there is no argument of floating dtype; expected one at least")

        held = [None if place in places else leaf for place, leaf in enumerate(leaves)]

        def build(arrays: Sequence[Any]) -> Any:
            whole = list(held)
            for place, array in zip(places, arrays, strict=True):
                whole[place] = array
            return tree.unflatten(whole)

        return _operation(jax, self.box, self.shape, build)(*(leaves[place] for place in places))

    def __repr__(self) -> str:
        return f"mibun.jax.differentiable({getattr(self.f, '__name__', self.f)!s})"


def _operation(jax: Any, box: BlackBox, shape: tuple[int, ...], build: Callable[[Sequence[Any]], Any]) -> Any:
    """Make a function of arrays with a backward of its own."""

    def forward(*leaves: Any) -> Any:
        dtype = jax.numpy.result_type(*(leaf for leaf in leaves if is_floating(jax, leaf)))
        if not _traced(jax, leaves):
            return jax.numpy.asarray(box.value([build, *map(_array, leaves)]), dtype)
        result = jax.ShapeDtypeStruct(shape, dtype)
        return jax.pure_callback(partial(_value, box, build, result), result, *leaves, vmap_method="sequential")

    def numerical(leaves: Any, cotangent: Any) -> Any:
        places = [place for place, leaf in enumerate(leaves) if is_floating(jax, leaf)]
        floating = [leaves[place] for place in places]
        results = [jax.ShapeDtypeStruct(np.shape(leaf), jax.numpy.result_type(leaf)) for leaf in floating]
        call = partial(_slopes, box, build, places, results)
        if _traced(jax, [*leaves, cotangent]):
            slopes = jax.pure_callback(call, results, cotangent, *leaves, vmap_method="sequential")
        else:
            slopes = [jax.numpy.asarray(slope) for slope in call(cotangent, *leaves)]
        return dict(zip(places, slopes, strict=True))

    def kept(*leaves: Any) -> Any:
        return operation(*leaves), leaves

    def pulled(leaves: Any, cotangent: Any) -> Any:
        slopes = backward(leaves, cotangent)
        return tuple(slopes.get(place) for place in range(len(leaves)))

    backward = jax.custom_jvp(numerical)
    backward.defjvp(_refuse)
    operation = jax.custom_vjp(forward)
    operation.defvjp(kept, pulled)
    return operation


def _refuse(*_: Any) -> Any:
    raise InputError(TWICE)


def _traced(jax: Any, leaves: Sequence[Any]) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)


def _array(leaf: Any) -> Any:
    """Give a number or an array as f gets it; the dtypes that are JAX's own become float64, too."""
    array = np.array(leaf)
    return array if array.dtype.kind in "biu" else array.astype(np.float64)


def _value(box: BlackBox, build: Any, result: Any, *leaves: Any) -> Any:
    found = box.value([build, *map(_array, leaves)])
    if found.shape != result.shape:
        raise InputError(
            f"f returned shape {found.shape}, and JAX was told {result.shape} before it was called; write "
            f"mb.jax.differentiable(f, like=np.zeros({found.shape}))"
        )
    return found.astype(result.dtype)


def _slopes(box: BlackBox, build: Any, places: Sequence[int], results: Any, cotangent: Any, *leaves: Any) -> Any:
    found = box.pullback([build, *map(_array, leaves)], [1 + place for place in places], _array(cotangent))
    return [slope.astype(result.dtype) for slope, result in zip(found, results, strict=True)]
