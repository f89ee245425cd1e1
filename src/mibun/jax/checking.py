"""`mibun.jax.check`: the gradient that JAX makes of a function of pytrees, against the function itself."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mibun.automatic import argument_names, examined
from mibun.checker import CheckReport
from mibun.checker import check as numeric_check
from mibun.errors import InputError, MissingDependency
from mibun.structure import joined
from mibun.text import clip

__all__ = ["check", "framework", "is_floating"]

Array = NDArray[Any]


def framework(purpose: str) -> Any:
    """Give JAX.

    Raises
    ------
    MissingDependency
        If it is not installed; the message is the line that installs it.
    """
    try:
        import jax
    except ImportError as reason:
        raise MissingDependency.of("jax", "jax", purpose) from reason
    return jax


def check(function: Callable[..., Any], args: Any = (), *, seed: int = 0, **options: Any) -> CheckReport:
    """Check the gradient that JAX computes in reverse mode, by its own rules or by a `jax.custom_vjp` of yours.

    Parameters
    ----------
    function : callable
        From pytrees to a pytree of arrays; it may be jitted.
    args : tuple
        Its arguments; what is no tuple is the only one. Differentiated are all arrays of floating dtype in them, and
        Python floats. Names in the report are those of the function's arguments: ``params.W[2, 1]``.
    seed : int
        Of the random numbers that weigh what the function returns, and of those of `mibun.check`.
    **options
        Those of `mibun.check`: rtol, atol, exhaustive, method, noise, bounds, budget, workers, evaluator.

    Returns
    -------
    CheckReport
        About the gradient of the sum of all numbers that the function returns, each weighed by a fixed random number.

    Raises
    ------
    InputError
        If there is nothing to differentiate, or something complex, or for an option.
    MissingDependency
        If JAX is not installed.
    Exception
        What the function or its backward raises.

    Notes
    -----
    It is computed in float64 (`jax.enable_x64`, for this check alone), whatever the dtype of the arguments; where the
    function refuses that, in the dtypes that the arguments have, with the tolerance and the noise of those. A function
    that computes in a lower precision is noticed. A function whose value changes from call to call is reported as
    nondeterministic, and nothing else is said of it. A mistake that is in one dtype alone is not seen.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> import mibun as mb
    >>> @jax.custom_vjp
    ... def cube(x):
    ...     return x**3
    >>> cube.defvjp(lambda x: (x**3, x), lambda x, slope: (3 * x * slope,))
    >>> report = mb.jax.check(cube, jnp.array([0.5, 1.0, 2.0]))
    >>> [finding.name for finding in report.wrong]
    ['x[2]', 'x[0]']
    """
    jax = framework("mb.jax.check")
    if not callable(function):
        raise InputError(f"function is {function!r}; expected a function of arrays, then its arguments")
    inspect.signature(numeric_check).bind_partial(**options)  # an unknown word is told now
    args = args if type(args) is tuple else (args,)
    try:
        program = Reverse(jax, function, args, wide=True)
        program.gradient(program.parts, [np.ones(output.shape) for output in program.outputs(program.parts)])
    except InputError:
        raise
    except Exception as reason:  # noqa: BLE001  whatever it is, the own dtypes are tried
        refused = clip(f"{type(reason).__name__}: {reason}", 80)
    else:
        return examined(program, "mb.jax.check", seed, options)
    program = Reverse(jax, function, args, wide=False)
    program.notes.append(f"computed in the dtype of the arguments, for float64 is refused ({refused})")
    return examined(program, "mb.jax.check", seed, options)


def _wide(jax: Any) -> Any:
    """Let JAX compute in float64, in a block of code."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # before JAX 0.8

    return enable_x64()


class Reverse:
    """A function of pytrees as a `Program`.

    Parameters
    ----------
    jax : module
    function : callable
    args : tuple of pytrees
    wide : bool
        Compute in float64; else in the dtypes that the arguments have.

    Raises
    ------
    InputError
        If there is nothing to differentiate, or something complex.
    """

    def __init__(self, jax: Any, function: Callable[..., Any], args: tuple[Any, ...], wide: bool) -> None:
        self.jax, self.function, self.wide = jax, function, wide
        self.notes: list[str] = []
        self.unchecked: list[str] = []
        self.advice = "is a callback or a generator of NumPy in it? seed it in the function"
        pairs, self.tree = jax.tree_util.tree_flatten_with_path(args)
        self.leaves = [leaf for _, leaf in pairs]
        self.dtypes: list[Any] = []
        self.places, self.parts = [], {}
        names = argument_names(function, len(args))
        for place, (path, leaf) in enumerate(pairs):
            if not is_floating(jax, leaf):
                continue
            name = names[path[0].idx]
            for key in path[1:]:
                name = joined(name, _key(key))
            dtype = jax.numpy.result_type(leaf)
            if jax.numpy.issubdtype(dtype, jax.numpy.complexfloating):
                raise InputError(
                    f"{name} is complex; expected real numbers: give its real and its imaginary part, and put them "
                    "together in the function, or leave it out of the arguments: lambda x: f(x, z)"
                )
            self.dtypes.append(np.float64 if wide else dtype)
            self.places.append(place)
            self.parts[name] = _numbers(np.asarray(leaf, self.dtypes[-1]))
        if not self.places:
            raise InputError("there is no array of floating dtype to differentiate with respect to; expected one")

    def _flat(self, *moved: Any) -> list[Any]:
        """Call the function; give the real numbers that it returned."""
        jax, whole = self.jax, list(self.leaves)
        for place, leaf in zip(self.places, moved, strict=True):
            whole[place] = leaf
        returned = self.function(*jax.tree_util.tree_unflatten(self.tree, whole))
        results = [leaf for leaf in jax.tree_util.tree_leaves(returned) if is_floating(jax, leaf)]
        if not results:
            raise InputError(f"f returned {type(returned).__name__}; expected an array of floating dtype, or some")
        jnp = jax.numpy
        return [jnp.stack([jnp.real(one), jnp.imag(one)]) if jnp.iscomplexobj(one) else one for one in results]

    def _precision(self) -> Any:
        """Let JAX compute in float64 if that is wanted; the setting is one of a thread, and a worker has its own."""
        return _wide(self.jax) if self.wide else nullcontext()

    def _moved(self, parts: dict[str, Array]) -> list[Any]:
        asarray = self.jax.numpy.asarray
        return [asarray(part, dtype) for part, dtype in zip(parts.values(), self.dtypes, strict=True)]

    def outputs(self, parts: dict[str, Array]) -> list[Array]:
        """Give the numbers that the function returns."""
        with self._precision():
            return [_numbers(result) for result in self._flat(*self._moved(parts))]

    def gradient(self, parts: dict[str, Array], weights: Sequence[Array]) -> list[Array | None]:
        """Give what `jax.vjp` gives."""
        jnp = self.jax.numpy
        with self._precision():
            results, pull = self.jax.vjp(self._flat, *self._moved(parts))
            pairs = zip(results, weights, strict=True)
            slopes = pull([jnp.asarray(weight, jnp.result_type(one)) for one, weight in pairs])
            return [_numbers(slope) for slope in slopes]


def is_floating(jax: Any, leaf: Any) -> bool:
    """Tell whether something is a number or an array of a floating or complex dtype, those of JAX among them."""
    if isinstance(leaf, float | complex):
        return True
    return hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact) and np.size(leaf) > 0


def _key(key: Any) -> Any:
    """Give a key of a path: of a dict, a list, a dataclass, or of a node that only counts its children."""
    return next(getattr(key, word) for word in ("name", "idx", "key") if hasattr(key, word))


def _numbers(given: Any) -> Array:
    """Copy into an array of a dtype that NumPy has."""
    array = np.array(given)
    return array if array.dtype.kind == "f" else array.astype(np.float32)
