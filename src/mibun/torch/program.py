"""A function of tensors, or a module, as a `Program`: how it is evaluated, and how PyTorch differentiates it.

Everything happens on copies: of the inputs, with their strides, and of the module, whose parameters and buffers are set
anew for each call.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mibun.automatic import argument_names
from mibun.errors import InputError
from mibun.structure import joined

__all__ = ["Arguments", "Autograd", "tensors"]

Array = NDArray[Any]


def tensors(torch: Any, tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Find the tensors in lists, tuples and dicts, with their names."""
    if isinstance(tree, torch.Tensor):
        yield name, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from tensors(torch, value, joined(name, key))
    elif isinstance(tree, list | tuple):
        for key, value in zip(getattr(tree, "_fields", range(len(tree))), tree, strict=True):
            yield from tensors(torch, value, joined(name, key))


def _mapped(torch: Any, tree: Any, name: str, change: Callable[[str, Any], Any]) -> Any:
    """Build lists, tuples and dicts anew, with other tensors; names as in `tensors`."""
    if isinstance(tree, torch.Tensor):
        return change(name, tree)
    if isinstance(tree, dict):
        built = copy.copy(tree)
        built.update((key, _mapped(torch, value, joined(name, key), change)) for key, value in tree.items())
        return built
    if isinstance(tree, list | tuple):
        fields = getattr(tree, "_fields", None)
        keys = fields or range(len(tree))
        parts = [_mapped(torch, value, joined(name, key), change) for key, value in zip(keys, tree, strict=True)]
        return type(tree)(*parts) if fields else type(tree)(parts)
    return tree


class Arguments:
    """The arguments of a function, by position and by name, and which of their tensors are differentiated.

    Attributes
    ----------
    moving : dict
        The tensors with respect to which it is differentiated, by name.
    fixed : list of str
        Names of the others of floating dtype.
    """

    def __init__(self, torch: Any, function: Callable[..., Any], inputs: Any) -> None:
        self.torch = torch
        by_name = isinstance(inputs, dict)
        args = () if by_name else tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
        self.names, self.args = _names(torch, function, len(args)), args
        self.keywords: dict[str, Any] = inputs if by_name else {}
        found = [pair for name, tree in self._trees() for pair in tensors(torch, tree, name)]
        self.tensors = [tensor for _, tensor in found]
        found = [(name, tensor) for name, tensor in found if tensor.is_floating_point() or tensor.is_complex()]
        asked = [name for name, tensor in found if tensor.requires_grad] or [name for name, _ in found]
        self.moving = {name: tensor for name, tensor in found if name in asked and tensor.numel()}
        self.fixed = [name for name, _ in found if name not in asked]
        for name, tensor in self.moving.items():
            _differentiable(torch, name, tensor)

    def _trees(self) -> list[tuple[str, Any]]:
        return [*zip(self.names, self.args, strict=True), *self.keywords.items()]

    def made(self, change: Callable[[str, Any], Any]) -> tuple[list[Any], dict[str, Any]]:
        """Build them anew, with other tensors."""
        built = [_mapped(self.torch, tree, name, change) for name, tree in self._trees()]
        count = len(self.args)
        return built[:count], dict(zip(self.keywords, built[count:], strict=True))


def _differentiable(torch: Any, name: str, tensor: Any) -> None:
    if tensor.is_complex():
        raise InputError(
            f"{name} is complex; expected real tensors: give torch.view_as_real({name}), and write "
            f"{name} = torch.view_as_complex({name}) in the function"
        )
    if tensor.layout is not torch.strided:
        raise InputError(
            f"{name} is sparse; expected dense tensors: give {name}.to_dense(), and go back in the function"
        )


def _names(torch: Any, function: Any, count: int) -> list[str]:
    """Name arguments as the function does."""
    owner = getattr(function, "__self__", None)
    if isinstance(function, torch.nn.Module):
        return argument_names(function.forward, count)
    if isinstance(owner, type) and issubclass(owner, torch.autograd.Function):
        own: Any = owner  # without a setup_context of its own, forward gets a ctx first
        first = own.setup_context is torch.autograd.Function.setup_context
        return argument_names(own.forward, count + first)[first:]
    return argument_names(function, count)


class Autograd:
    """A `Program` that computes in one precision.

    Parameters
    ----------
    torch : module
    function : callable or Module
    arguments : Arguments
    dtype : torch.dtype, optional
        Default: every tensor as it is.

    Raises
    ------
    InputError
        If there is nothing to differentiate, or a module cannot be copied.
    Exception
        What the function raises, with tensors of this dtype.
    """

    def __init__(self, torch: Any, function: Callable[..., Any], arguments: Arguments, dtype: Any) -> None:
        self.torch, self.function, self.arguments, self.dtype = torch, function, arguments, dtype
        self.notes: list[str] = []
        self.unchecked = [f"{name}: it does not require a gradient" for name in arguments.fixed]
        self.parameters: dict[str, Any] = {}
        self.buffers: list[tuple[Any, str, Any]] = []
        self.advice = "seed it in the function"
        if isinstance(function, torch.nn.Module):
            self._take(function)
        moving = {**arguments.moving, **self.parameters}
        if not moving:
            raise InputError("there is no tensor of floating dtype to differentiate with respect to; expected one")
        self.parts = {name: _numbers(torch, self._converted(tensor)) for name, tensor in moving.items()}
        self.kept: list[int] | None = None
        _, results = self._run(self.parts)
        self.kept = [place for place, result in enumerate(results) if result.requires_grad]
        if 0 < len(self.kept) < len(results):
            left = len(results) - len(self.kept)
            self.unchecked.append(f"{left} of the {len(results)} tensors that f returned: they require no gradient")
        self.kept = self.kept or list(range(len(results)))

    def _take(self, module: Any) -> None:
        """Copy a module into the precision of this program."""
        try:
            self.function = duplicate = copy.deepcopy(module)
        except Exception as reason:
            raise InputError(
                f"the module cannot be copied ({type(reason).__name__}: {reason}); give a function of its parameters, "
                "such as lambda weight: torch.func.functional_call(module, {'weight': weight}, x)"
            ) from reason
        if self.dtype is not None:
            {"float64": duplicate.double, "float32": duplicate.float}[str(self.dtype).removeprefix("torch.")]()
        for name, parameter in duplicate.named_parameters():
            if not parameter.requires_grad:
                self.unchecked.append(f"{name}: it does not require a gradient")
            elif parameter.numel():
                label = f"parameter {name}" if name in self.arguments.moving else name
                _differentiable(self.torch, label, parameter)
                self.parameters[label] = parameter
        for part in duplicate.modules():
            self.buffers += [(part, name, kept.clone()) for name, kept in part._buffers.items() if kept is not None]
        random = [
            " ".join(filter(None, (name, f"({type(part).__name__})")))
            for name, part in duplicate.named_modules()
            if part.training and "Dropout" in type(part).__name__
        ]
        if random:
            self.advice = f"{', '.join(random)} drops units in training mode: write module.eval() before the check"
        elif duplicate.training:
            self.advice = "the module is in training mode: write module.eval() before the check, or seed it in forward"

    def _converted(self, tensor: Any) -> Any:
        """Copy a tensor, in the precision of this program if it is a floating one."""
        tensor = tensor.detach().clone()
        return tensor.to(self.dtype) if self.dtype is not None and tensor.is_floating_point() else tensor

    def _run(self, parts: dict[str, Array]) -> tuple[list[Any], list[Any]]:
        """Call the function; give the tensors that stand for the parts, and those that it returned."""
        torch, made = self.torch, dict(self.parameters)
        with torch.no_grad():
            for part, name, kept in self.buffers:
                setattr(part, name, kept.clone())
            for name, parameter in self.parameters.items():
                parameter.copy_(torch.as_tensor(parts[name]))

        def change(name: str, tensor: Any) -> Any:
            if name not in self.arguments.moving:
                return self._converted(tensor)
            made[name] = _laid_out(torch, parts[name], tensor, self.dtype or tensor.dtype).requires_grad_()
            return made[name]

        args, keywords = self.arguments.made(change)
        returned = self.function(*args, **keywords)
        results = [
            torch.view_as_real(tensor) if tensor.is_complex() else tensor
            for _, tensor in tensors(torch, returned)
            if tensor.is_floating_point() or tensor.is_complex()
        ]
        if not results:
            raise InputError(f"f returned {type(returned).__name__}; expected a tensor of floating dtype, or some")
        results = [result if result.layout is torch.strided else result.to_dense() for result in results]
        return [made[name] for name in parts], results if self.kept is None else [results[i] for i in self.kept]

    def outputs(self, parts: dict[str, Array]) -> list[Array]:
        """Give the numbers that the function returns."""
        return [_numbers(self.torch, result) for result in self._run(parts)[1]]

    def gradient(self, parts: dict[str, Array], weights: Sequence[Array]) -> list[Array | None]:
        """Give what autograd gives."""
        torch = self.torch
        made, results = self._run(parts)
        pairs = [(result, weight) for result, weight in zip(results, weights, strict=True) if result.requires_grad]
        if not pairs:
            return [None for _ in made]
        slopes = torch.autograd.grad(
            [result for result, _ in pairs],
            made,
            [torch.as_tensor(weight, dtype=result.dtype, device=result.device) for result, weight in pairs],
            allow_unused=True,
        )
        return [None if slope is None else _numbers(torch, slope) for slope in slopes]


def _numbers(torch: Any, tensor: Any) -> Array:
    """Copy a tensor into an array; NumPy has no bfloat16."""
    tensor = tensor.detach()
    tensor = tensor if tensor.layout is torch.strided else tensor.to_dense()
    if tensor.dtype not in (torch.float64, torch.float32, torch.float16):
        tensor = tensor.to(torch.float32)
    return np.array(tensor.cpu().numpy())


def _laid_out(torch: Any, numbers: Array, like: Any, dtype: Any) -> Any:
    """Make a tensor of some numbers with the strides of another one."""
    values = torch.as_tensor(numbers)
    try:
        made = torch.empty_strided(like.shape, like.stride(), dtype=dtype, device=like.device)
        return made.copy_(values)
    except RuntimeError:  # its elements share memory, as those of an expanded tensor
        return values.to(device=like.device, dtype=dtype, copy=True)
