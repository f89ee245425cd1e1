"""What the pytest fixture `gradcheck` does: find out who made the gradient, and check it."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mibun.automatic import argument_names
from mibun.checker import CheckReport, check
from mibun.errors import CheckFailed, InputError

__all__ = ["CheckFailed", "checked"]


def checked(f: Callable[..., Any], args: Any, gradient: Any, options: dict[str, Any]) -> CheckReport:
    """Check a gradient that is given, or that PyTorch or JAX makes.

    Parameters
    ----------
    f : callable
        ``f(*args)``.
    args : tuple
        What is no tuple is the only argument.
    gradient : callable, arrays or None
        ``gradient(*args)``: a tuple, or that of the only argument; or what it would give.
    options : dict
        Of `mibun.check`.

    Raises
    ------
    InputError
        If gradient is None, and neither f nor an argument is of PyTorch or JAX.
    """
    args = args if type(args) is tuple else (args,)
    if gradient is not None:
        return _given(f, args, gradient, options)
    if _of_torch(f, args):
        from mibun.torch import check as torch_check

        return torch_check(f, args, **options)
    if _of_jax(f, args):
        from mibun.jax import check as jax_check

        return jax_check(f, args, **options)
    raise InputError(
        "gradient is None, and neither f nor its arguments are of PyTorch or JAX, which have gradients of their own; "
        "write gradcheck(f, args, gradient)"
    )


def _given(f: Callable[..., Any], args: tuple[Any, ...], gradient: Any, options: dict[str, Any]) -> CheckReport:
    """Check a gradient that was given: of several arguments by their names."""
    if not callable(gradient):
        values = gradient if len(args) > 1 else (gradient,)

        def gradient(*_: Any) -> Any:
            return values if len(args) > 1 else values[0]

    back = [_wrapped(arg) for arg in args]

    def called(function: Callable[..., Any], parts: Any) -> Any:
        return function(*(wrap(part) for wrap, part in zip(back, parts, strict=True)))

    if len(args) == 1:
        return check(
            lambda x: _plain(called(f, [x])), lambda x: _plain(called(gradient, [x])), _plain(args[0]), **options
        )
    names = argument_names(f, len(args))

    def slopes(x: dict[str, Any]) -> dict[str, Any]:
        found = called(gradient, x.values())
        if not isinstance(found, tuple | list) or len(found) != len(args):
            raise InputError(f"gradient returned {type(found).__name__}; expected a tuple of {len(args)}, one for each")
        return dict(zip(names, map(_plain, found), strict=True))

    x = dict(zip(names, map(_plain, args), strict=True))
    return check(lambda x: _plain(called(f, x.values())), slopes, x, **options)


def _plain(given: Any) -> Any:
    """Make a NumPy array of a tensor or an array of JAX; structures of them are taken as they are."""
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    return np.asarray(given) if hasattr(given, "__array__") and not isinstance(given, np.generic) else given


def _wrapped(given: Any) -> Callable[[Any], Any]:
    """Give what turns an array into what was given."""
    if hasattr(given, "detach"):
        torch = sys.modules["torch"]
        return lambda array: torch.as_tensor(array, dtype=given.dtype, device=given.device)
    return lambda array: array


def _of_torch(f: Any, args: tuple[Any, ...]) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    from mibun.torch.program import tensors

    return isinstance(f, torch.nn.Module) or next(tensors(torch, args), None) is not None


def _of_jax(f: Any, args: tuple[Any, ...]) -> bool:
    jax = sys.modules.get("jax")
    if jax is None:
        return False
    arrays = any(isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(args))
    return arrays or type(f).__module__.split(".")[0] in ("jax", "jaxlib")
