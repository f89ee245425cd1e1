"""`mibun.torch.check`: the gradient that PyTorch makes of a function of tensors or of a module, against f itself."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mibun.automatic import examined
from mibun.checker import CheckReport
from mibun.checker import check as numeric_check
from mibun.errors import InputError, MissingDependency
from mibun.text import clip
from mibun.torch.program import Arguments, Autograd

__all__ = ["check", "pytorch"]


def pytorch(purpose: str) -> Any:
    """Give PyTorch.

    Raises
    ------
    MissingDependency
        If it is not installed; the message is the line that installs it.
    """
    try:
        import torch
    except ImportError as reason:
        raise MissingDependency.of("torch", "torch", purpose) from reason
    return torch


def check(function: Callable[..., Any], inputs: Any = (), *, seed: int = 0, **options: Any) -> CheckReport:
    """Check the gradient that PyTorch computes, by autograd or by a backward of yours.

    Parameters
    ----------
    function : callable or torch.nn.Module
        From tensors to a tensor, or to a tuple, list or dict of them: a Python function, the ``apply`` of a
        `torch.autograd.Function`, a module.
    inputs : tensor, tuple or dict
        The arguments: one, all by position, or all by name; lists, tuples and dicts of tensors among them, too.
        Differentiated are those that require a gradient, or all of floating dtype if none does, and the parameters of a
        module that require one. Names in the report are those of the function's arguments and of the parameters.
    seed : int
        Of the random numbers that weigh what the function returns, and of those of `mibun.check`.
    **options
        Those of `mibun.check`: rtol, atol, exhaustive, method, noise, bounds, budget, workers, evaluator.

    Returns
    -------
    CheckReport
        About the gradient of the sum of all numbers that the function returns, each weighed by a fixed random number;
        of those that require a gradient, as some do not in ``return loss, logits.detach()``.

    Raises
    ------
    InputError
        If nothing can be differentiated, inputs are complex or sparse, a module cannot be copied, or for an option.
    MissingDependency
        If PyTorch is not installed.
    Exception
        What the function or its backward raises.

    Notes
    -----
    It is computed in float64, on copies, whatever the dtype of the inputs; where the function refuses float64, in
    float32 or in the dtype of the inputs, with the tolerance and the noise of that. A function that turns its arguments
    into a lower precision is noticed. A function whose value changes from call to call, as that of a module in training
    mode with dropout, is reported as nondeterministic, and nothing else is said of it. A mistake that is in one dtype
    alone is not seen. Tensors, gradients, modes, buffers and PyTorch's random generators are left as they were.

    Examples
    --------
    >>> import torch
    >>> import mibun as mb
    >>> class Cube(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...     @staticmethod
    ...     def backward(ctx, slope):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x * slope
    >>> report = mb.torch.check(Cube.apply, torch.tensor([0.5, 1.0, 2.0]))
    >>> [finding.name for finding in report.wrong]
    ['x[2]', 'x[0]']
    """
    torch = pytorch("mb.torch.check")
    if not callable(function):
        raise InputError(f"function is {function!r}; expected a function of tensors or a module, then its inputs")
    inspect.signature(numeric_check).bind_partial(**options)  # an unknown word is told now
    arguments = Arguments(torch, function, inputs)
    with _undisturbed(torch, function, arguments):
        return examined(_first_that_runs(torch, function, arguments), "mb.torch.check", seed, options)


@contextmanager
def _undisturbed(torch: Any, function: Any, arguments: Arguments) -> Iterator[None]:
    """Keep the random generators as they are, and let autograd record, whatever the caller has switched off."""
    held = list(function.parameters()) if isinstance(function, torch.nn.Module) else []
    devices = {tensor.device for tensor in [*arguments.tensors, *held]}
    places = sorted(device.index for device in devices if device.type == "cuda")
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=places):
        yield


def _first_that_runs(torch: Any, function: Callable[..., Any], arguments: Arguments) -> Autograd:
    """Choose the precision: float64 if the function and its backward take it, else what they take."""
    held = function.parameters() if isinstance(function, torch.nn.Module) else ()
    dtypes = {tensor.dtype for tensor in [*arguments.tensors, *held] if tensor.is_floating_point()}
    wanted = [torch.float64] if dtypes - {torch.float64} else []
    if dtypes - {torch.float64, torch.float32}:
        wanted.append(torch.float32)
    refused = ""
    for dtype in wanted:
        try:
            program = Autograd(torch, function, arguments, dtype)
            program.gradient(program.parts, [np.ones(output.shape) for output in program.outputs(program.parts)])
        except InputError:
            raise
        except Exception as reason:  # noqa: BLE001  whatever it is, other dtypes are tried
            name = str(dtype).removeprefix("torch.")
            refused = refused or f"{name} is refused ({clip(f'{type(reason).__name__}: {reason}', 80)})"
            continue
        if refused:
            program.notes.append(f"computed in {str(dtype).removeprefix('torch.')}, for {refused}")
        return program
    program = Autograd(torch, function, arguments, None)
    if refused:
        program.notes.append(f"computed in the dtype of the inputs, for {refused}")
    return program
