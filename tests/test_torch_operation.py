"""`mibun.torch.differentiable`: a black box that autograd goes through."""

import math
import os

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'mibun[torch]'")


def simulator(x, k=2.0):
    """Something that only NumPy knows."""
    assert isinstance(x, np.ndarray)
    return k * np.sin(x) + np.roll(x, 1) ** 2


def reference(x, k=2.0):
    return k * torch.sin(x) + torch.roll(x, 1) ** 2


X = torch.tensor([0.5, 1.0, -0.7], dtype=torch.float64)


def test_its_gradient_is_that_of_the_function():
    operation = mb.torch.differentiable(simulator)
    ours, theirs = X.clone().requires_grad_(), X.clone().requires_grad_()
    for x, f in ((ours, operation), (theirs, reference)):
        y = f(2 * x, 3.0)
        (y**2).sum().backward()
    assert (ours.grad - theirs.grad).abs().max() < 1e-10
    assert operation.last.passes
    assert all(error.max() < 1e-10 for error in operation.last.error)
    assert torch.autograd.gradcheck(operation, ours)
    assert mb.torch.check(operation, ours).ok


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_it_keeps_the_dtype_of_its_inputs_and_f_gets_float64(dtype):
    seen = []

    def f(x, count):
        seen.append((x.dtype, count.dtype))
        return x.sum() * count[0]

    x = X.to(dtype).requires_grad_()
    y = mb.torch.differentiable(f)(x, torch.tensor([3, 4]))
    assert y.dtype == dtype
    assert y.shape == ()
    y.backward()
    assert x.grad.dtype == dtype
    assert (x.grad == 3).all()
    assert set(seen) == {(np.dtype(np.float64), np.dtype(np.int64))}


def test_several_tensors_of_which_some_need_no_gradient():
    calls = []

    def f(x, W, scale):
        calls.append(1)
        return scale * (x @ W).sum()

    operation = mb.torch.differentiable(f)
    W = torch.ones(3, 2, dtype=torch.float64)
    x = X.clone().requires_grad_()
    operation(x, W, 2.0).backward()
    assert (x.grad - 4).abs().max() < 1e-10
    few = len(calls)
    assert operation.last.evaluations < 40  # 11 for each entry of x, and none for those of W
    W.requires_grad_()
    operation(x.detach(), W, 2.0).backward()
    assert (W.grad - 2 * X[:, None]).abs().max() < 1e-10
    assert len(calls) > few + 6
    assert len(calls) == operation.last.evaluations + few + 1


def test_it_stands_between_layers_of_a_network():
    torch.manual_seed(0)
    layers = torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)
    operation = mb.torch.differentiable(simulator)
    x = torch.randn(2)
    gradients = []
    for middle in (operation, reference):
        for part in layers:
            part.zero_grad()
        layers[1](middle(layers[0](x))).backward()
        gradients.append([parameter.grad.clone() for part in layers for parameter in part.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_batch_is_one_call_each_and_no_sample_pays_for_another():
    calls = []

    def f(x):
        calls.append(x.shape)
        return np.array([np.prod(x), np.sum(x**2)])

    def truth(x):
        return torch.stack([x.prod(-1), (x**2).sum(-1)], -1)

    operation = mb.torch.differentiable(f)
    batch = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    result = torch.vmap(operation)(batch)
    assert torch.allclose(result, truth(batch))
    assert calls == [(3,)] * 4
    weights = torch.arange(8.0, dtype=torch.float64).reshape(4, 2)
    (slope,) = torch.autograd.grad((weights * result).sum(), batch)
    (expected,) = torch.autograd.grad((weights * truth(batch)).sum(), batch)
    assert (slope - expected).abs().max() < 1e-10
    assert len(calls) < 4 * 3 * 16


def test_transforms_of_functions():
    operation = mb.torch.differentiable(lambda x, k: float(np.sum(k * x**3)))
    batch = torch.arange(6.0, dtype=torch.float64).reshape(2, 3)
    slope = torch.func.grad(operation)(X, 2.0)
    assert (slope - 6 * X**2).abs().max() < 1e-10
    slopes = torch.vmap(torch.func.grad(operation), (0, None))(batch, 2.0)
    assert (slopes - 6 * batch**2).abs().max() < 1e-9
    jacobian = torch.func.jacrev(mb.torch.differentiable(np.sin))(X)
    assert (jacobian - torch.diag(torch.cos(X))).abs().max() < 1e-10


def test_a_second_derivative_is_refused():
    operation = mb.torch.differentiable(lambda x: np.sum(x**3))
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(operation(x), x, create_graph=True)
    assert (slope - 3 * X**2).abs().max() < 1e-10  # asked for, and not yet used
    with pytest.raises(InputError, match=r"first derivatives alone.*mb\.hessian"):
        (slope**2).sum().backward()
    (slope,) = torch.autograd.grad(operation(x) + (x**2).sum(), x, create_graph=True)
    with pytest.raises(InputError, match="first derivatives alone"):  # no part of it is left out without a word
        torch.autograd.grad(slope.sum(), x)
    with pytest.raises(InputError, match="first derivatives alone"):
        torch.func.jacrev(torch.func.jacrev(operation))(X)


def test_where_there_is_no_derivative_it_is_told():
    operation = mb.torch.differentiable(lambda x: abs(x[0]) + (x[1] > 1.0))
    x = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    operation(x).backward()
    assert x.grad[0].abs() < 1e-12
    assert math.isnan(x.grad[1])
    assert [str(status.word) for status in operation.last.status[0]] == ["kink", "jump"]


def test_options_reach_the_verb():
    operation = mb.torch.differentiable(lambda x: np.sum(np.sqrt(x)), bounds=([0.0], None), method="central")
    x = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    operation(x[1:]).backward()
    assert abs(x.grad[1] - 0.5) < 1e-8
    assert operation.last.evaluations <= 6
    with pytest.raises(TypeError, match="rtool"):
        mb.torch.differentiable(np.sin, rtool=1)
    vectorized = mb.torch.differentiable(lambda stack: (stack**2).sum(-1), vectorized=True)
    x = X.clone().requires_grad_()
    vectorized(x).backward()
    assert (x.grad - 2 * X).abs().max() < 1e-10


def test_a_function_of_numpy_can_be_recorded():
    operation = mb.torch.differentiable(lambda x: np.sum(np.sin(x) ** 2), method="chain")
    x = X.clone().requires_grad_()
    operation(x).backward()
    assert (x.grad - torch.sin(2 * X)).abs().max() < 1e-12
    assert operation.last.evaluations <= 5


def test_a_simulator_runs_in_other_processes():
    pytest.importorskip("cloudpickle", reason="cloudpickle is not installed: pip install 'mibun[parallel]'")
    here = os.getpid()

    def f(x, k):
        assert os.getpid() != here
        return k * np.sum(x**3)

    with mb.Evaluator(workers=2) as evaluator:
        operation = mb.torch.differentiable(f, evaluator=evaluator)
        x = X.clone().requires_grad_()
        operation(x, 2.0).backward()
        assert (x.grad - 6 * X**2).abs().max() < 1e-10
        assert evaluator.counts.calls == operation.last.evaluations + 1


@pytest.mark.parametrize(
    ("f", "given", "message"),
    [
        (lambda x: "text", X, "is the text 'text'"),
        (lambda x: {"a": x}, X, "f returned dict"),
        (lambda x: x * 1j, X, "f returned"),
        (lambda x: x, torch.tensor([1, 2]), "no argument of floating dtype"),
    ],
)
def test_what_cannot_be_used_is_refused(f, given, message):
    with pytest.raises(InputError, match=message):
        mb.torch.differentiable(f)(given)
    with pytest.raises(InputError, match="f is 3"):
        mb.torch.differentiable(3)


def test_what_f_raises_is_raised():
    def broken(x):
        raise RuntimeError("out of fuel")

    with pytest.raises(RuntimeError, match="out of fuel"):
        mb.torch.differentiable(broken)(X)


def test_it_says_what_it_is():
    assert repr(mb.torch.differentiable(simulator)) == "mibun.torch.differentiable(simulator)"
