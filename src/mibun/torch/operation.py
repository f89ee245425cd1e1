"""`mibun.torch.differentiable`: a black box as an operation of PyTorch, with a numerical backward."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from mibun.blackbox import BlackBox
from mibun.errors import InputError
from mibun.result import Derivative
from mibun.torch.checking import pytorch

__all__ = ["Operation", "differentiable"]

TWICE = (
    "mb.torch.differentiable has first derivatives alone, and this differentiates its backward; "
    "for second derivatives of the black box itself ask mb.hessian(f, x)"
)


def differentiable(f: Callable[..., Any], **options: Any) -> "Operation":
    """Make a black box, such as a simulator, an operation that autograd can go through.

    Parameters
    ----------
    f : callable
        ``f(*arguments)``: tensors come as NumPy arrays of their shape, those of floating dtype as float64, all else as
        it is. It returns a real number or one array.
    **options
        Those of `mibun.vjp`: method, rtol, atol, bounds (a list of an entry for each floating argument), noise, budget,
        vectorized, workers, evaluator.

    Returns
    -------
    Operation
        ``operation(*arguments)``: a tensor of the shape that f returns, in the dtype and on the device of the floating
        arguments. ``operation.last`` is what the last backward found, with errors and statuses.

    Raises
    ------
    InputError
        If f is no function; when called, if no argument is a floating tensor, or f returns something else.
    TypeError
        For an option that there is not.
    MissingDependency
        If PyTorch is not installed.

    Notes
    -----
    A backward costs a dozen evaluations for each entry of the tensors that require a gradient, however many numbers f
    returns. For a batch of samples that f knows nothing of, write ``torch.vmap(operation)``: f is called for each
    sample, which costs what it does alone. Where f has no derivative the gradient is nan, at a kink it is the mean of
    both slopes. A second derivative is refused.

    Examples
    --------
    >>> import numpy as np, torch
    >>> import mibun as mb
    >>> simulator = mb.torch.differentiable(lambda x, k: k * np.sum(np.sin(x)))
    >>> x = torch.tensor([0.5, 1.0], dtype=torch.float64, requires_grad=True)
    >>> simulator(x, 3.0).backward()
    >>> bool((x.grad - 3 * torch.cos(x)).abs().max() < 1e-11)
    True
    """
    pytorch("mb.torch.differentiable")
    return Operation(BlackBox(f, options))


class Operation:
    """A black box as an operation of PyTorch, made by `differentiable`."""

    def __init__(self, box: BlackBox) -> None:
        self.box = box

    @property
    def last(self) -> Derivative | None:
        """What the last backward found: value, error and status are lists, with an entry for each tensor."""
        return self.box.last

    def __call__(self, *arguments: Any) -> Any:
        """Evaluate f."""
        return _value().apply(self.box, *arguments)

    def __repr__(self) -> str:
        return f"mibun.torch.differentiable({getattr(self.box.f, '__name__', self.box.f)!s})"


def _array(given: Any) -> Any:
    """Give an argument as f gets it."""
    if not hasattr(given, "detach"):
        return given
    tensor = given.detach().cpu()
    return np.array(tensor.double().numpy() if tensor.is_floating_point() else tensor.numpy())


def _like(torch: Any, numbers: Any, given: Sequence[Any]) -> Any:
    """Make a tensor in the best precision of some, and on their device."""
    tensors = [tensor for tensor in given if isinstance(tensor, torch.Tensor) and tensor.is_floating_point()]
    best = max(tensors, key=lambda tensor: torch.finfo(tensor.dtype).bits)
    return torch.as_tensor(numbers).to(device=best.device, dtype=best.dtype)


def _samples(function: Any, count: int, axes: Sequence[int | None], arguments: Sequence[Any]) -> list[Any]:
    """Call a function for every sample of a batch."""

    def one(sample: int) -> list[Any]:
        pairs = zip(arguments, axes, strict=True)
        return [argument if axis is None else argument.select(axis, sample) for argument, axis in pairs]

    return [function.apply(*one(sample)) for sample in range(count)]


@cache
def _value() -> Any:
    """Define the operation, now that PyTorch is there."""
    torch = pytorch("mb.torch.differentiable")

    class Value(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(box: BlackBox, *arguments: Any) -> Any:
            return _like(torch, box.value([_array(argument) for argument in arguments]), arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.box, *arguments = inputs
            ctx.places = [place for place, given in enumerate(arguments) if isinstance(given, torch.Tensor)]
            ctx.held = [None if place in ctx.places else given for place, given in enumerate(arguments)]
            ctx.save_for_backward(*(arguments[place] for place in ctx.places))

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> Any:
            arguments = list(ctx.held)
            for place, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
                arguments[place] = tensor
            wanted = [place for place in ctx.places if ctx.needs_input_grad[1 + place]]
            slopes = dict(zip(wanted, _pullback().apply(ctx.box, wanted, cotangent, *arguments), strict=True))
            return None, *(slopes.get(place) for place in range(len(arguments)))

        @staticmethod
        def vmap(info: Any, axes: Any, *given: Any) -> Any:
            return torch.stack(_samples(Value, info.batch_size, axes, given)), 0

    return Value


@cache
def _pullback() -> Any:
    """Define the backward of the operation, which is an operation itself, so that going through it can be refused."""
    torch = pytorch("mb.torch.differentiable")

    class Pullback(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(box: BlackBox, wanted: list[int], cotangent: Any, *arguments: Any) -> Any:
            slopes = box.pullback([_array(argument) for argument in arguments], wanted, _array(cotangent))
            return tuple(_like(torch, slope, [arguments[at]]) for at, slope in zip(wanted, slopes, strict=True))

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            """Keep nothing."""

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            raise InputError(TWICE)

        @staticmethod
        def vmap(info: Any, axes: Any, box: BlackBox, wanted: list[int], *given: Any) -> Any:
            axes = [None, *([None] if isinstance(axes[1], list) else axes[1:2]), *axes[2:]]
            rows = _samples(Pullback, info.batch_size, axes, [box, wanted, *given])
            return tuple(torch.stack(column) for column in zip(*rows, strict=True)), (0,) * len(wanted)

    return Pullback
