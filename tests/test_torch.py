"""`mibun.torch.check`: gradients that PyTorch makes, right and wrong ones, and what must stay as it is."""

import random
import sys

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError, MissingDependency

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'mibun[torch]'")
nn = torch.nn

RNG = torch.Generator().manual_seed(5)


def normal(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=RNG, dtype=torch.float64).to(dtype)


def layer(mistake):
    """Make tanh(x W) with a backward of its own, with a mistake in the gradient of W."""

    class TanhLinear(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, W):
            y = torch.tanh(x @ W)
            ctx.save_for_backward(x, W, y)
            return y

        @staticmethod
        def backward(ctx, slope):
            x, W, y = ctx.saved_tensors
            inner = slope * (1 - y**2)
            return inner @ W.T, mistake(x.T @ inner)

    return TanhLinear.apply


def flipped(slope):
    slope = slope.clone()
    slope[2, 1] *= -1
    return slope


def names(findings):
    return sorted(finding.name for finding in findings)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_flipped_sign_is_named_in_every_dtype(dtype):
    x, W = normal(4, 5, dtype=dtype), normal(5, 3, dtype=dtype)
    assert mb.torch.check(layer(lambda slope: slope), (x, W)).ok
    report = mb.torch.check(layer(flipped), (x, W))
    assert names(report.wrong) == ["W[2, 1]"]
    assert report.elements == 35
    assert abs(report.wrong[0].ratio + 1) < 1e-6
    with pytest.raises(AssertionError, match=r"W\[2, 1\]"):
        report.require()


@pytest.mark.parametrize(
    "mistake",
    [
        lambda slope: -slope,
        lambda slope: 2 * slope,
        lambda slope: slope / 4,
        lambda slope: slope.mean(0).expand(5, 3),
        lambda slope: torch.cat([slope[:1] * 0, slope[1:]]),
        lambda slope: slope * 1.0001,
    ],
    ids=["sign", "factor", "batch size", "mean", "row", "one in ten thousand"],
)
def test_mistakes_are_found_and_belong_to_w_alone(mistake):
    report = mb.torch.check(layer(mistake), (normal(4, 5), normal(5, 3)))
    assert not report.ok
    assert report.wrong
    assert all(finding.name.startswith("W[") for finding in report.wrong)


def test_a_module_is_checked_by_the_names_of_its_parameters():
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    report = mb.torch.check(module, normal(3, 5))
    assert report.ok
    assert report.elements == 15 + 24 + 10
    x = normal(3, 5).requires_grad_()
    module[2].weight.register_hook(lambda slope: slope * 2)  # which the copy does not have
    assert mb.torch.check(module, x).ok

    class Doubled(nn.Linear):
        def forward(self, x):
            return super().forward(x) + self.bias - self.bias.detach()

    wrong = mb.torch.check(nn.Sequential(Doubled(3, 2)), normal(4, 3))
    assert names(wrong.wrong) == ["0.bias[0]", "0.bias[1]"]
    assert {round(finding.ratio, 6) for finding in wrong.wrong} == {2.0}


def test_modules_of_all_kinds():
    image, sequence = normal(2, 3, 6, 6), normal(4, 2, 3)
    for module, inputs in (
        (nn.Conv2d(3, 2, 3), image.to(memory_format=torch.channels_last)),
        (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.GELU()), sequence),
        (nn.LSTM(3, 2), (sequence, (normal(1, 2, 2), normal(1, 2, 2)))),
        (nn.Embedding(6, 3, sparse=True), torch.tensor([1, 2, 2])),
        (nn.MultiheadAttention(4, 2), {"query": normal(3, 1, 4), "key": normal(2, 1, 4), "value": normal(2, 1, 4)}),
    ):
        assert mb.torch.check(module, inputs).ok, module


def test_names_of_nested_arguments():
    def f(state, x):
        return state["h"][0] * x + state["h"][1] ** 2 + (x.detach() ** 2)

    report = mb.torch.check(f, ({"h": [normal(2), normal(2)]}, normal(2)))
    assert names(report.wrong) == ["x[0]", "x[1]"]
    report = mb.torch.check(lambda *both: both[0].detach() * both[1], (normal(2), normal(2)))
    assert names(report.wrong) == ["input[0][0]", "input[0][1]"]


def test_only_what_requires_a_gradient_is_checked_and_the_rest_is_told():
    x, W = normal(4, 5).requires_grad_(), normal(5, 3)
    report = mb.torch.check(layer(flipped), (x, W))
    assert report.ok
    assert report.elements == 20
    assert "W: it does not require a gradient" in "\n".join(report.unseen)
    module = nn.Linear(3, 2)
    module.weight.requires_grad_(False)
    report = mb.torch.check(module, normal(4, 3).requires_grad_())
    assert report.elements == 2 + 12
    assert "weight: it does not require a gradient" in str(report)


def test_results_without_a_gradient_are_left_out_and_told():
    report = mb.torch.check(lambda x: {"loss": (x**2).sum(), "logits": x.detach(), "best": x.argmax()}, normal(3))
    assert report.ok
    assert "1 of the 2 tensors that f returned" in str(report)


def test_a_gradient_that_is_none_counts_as_zeros():
    report = mb.torch.check(lambda x, W: (x**2).sum(), (normal(3).requires_grad_(), normal(2).requires_grad_()))
    assert report.ok
    assert "the gradient of W is None; it is read as zeros" in str(report)
    report = mb.torch.check(lambda x: (x.detach() ** 2).sum(), normal(3))
    assert len(report.wrong) == 3
    assert "is None" in str(report)


@pytest.mark.parametrize(
    "tensor",
    [
        normal(4, 6).T,
        normal(6, 8)[::2, 1::2],
        normal(1, 3).expand(4, 3),
        normal(2, 3, 4).permute(2, 0, 1),
        torch.tensor(0.7),
    ],
    ids=["transposed", "every other", "expanded", "permuted", "without axes"],
)
def test_strides_are_kept(tensor):
    seen = set()

    def f(x):
        seen.add(x.stride())
        return torch.sin(x)

    assert mb.torch.check(f, tensor).ok
    assert seen == {tensor.stride() if 0 not in tensor.stride() else (3, 1)}


def test_complex_results_and_complex_inputs():
    assert mb.torch.check(torch.fft.rfft, normal(5)).ok
    with pytest.raises(InputError, match=r"x is complex.*view_as_real"):
        mb.torch.check(lambda x: x.abs(), torch.complex(normal(3), normal(3)))


# Precision


def test_a_function_that_refuses_float64_is_checked_in_its_own():
    def f(x):
        assert x.dtype == torch.float32, "float32, please"
        return torch.tanh(x) * 3

    report = mb.torch.check(f, normal(12))
    assert report.ok
    assert "computed in the dtype of the inputs, for float64 is refused (AssertionError: float32, please" in str(report)
    closed_over = normal(4, 3)
    report = mb.torch.check(lambda x: torch.tanh(x @ closed_over), normal(5, 4))
    assert report.ok
    assert "float64 is refused" in str(report)

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.sin(x) if x.dtype == torch.float32 else 1 / 0

        @staticmethod
        def backward(ctx, slope):
            (x,) = ctx.saved_tensors
            factor = torch.ones_like(x)
            factor[3] = 1.1
            return slope * torch.cos(x) * factor

    report = mb.torch.check(Wrong.apply, torch.linspace(0.1, 1.2, 12))
    assert names(report.wrong) == ["x[3]"]


def test_half_precision_goes_to_float32_where_float64_is_refused():
    def f(x):
        assert x.dtype != torch.float64
        return torch.sin(x)

    report = mb.torch.check(f, normal(6, dtype=torch.bfloat16))
    assert report.ok
    assert "computed in float32" in str(report)


@pytest.mark.parametrize("seed", range(5))
def test_no_false_alarm_where_a_function_or_its_backward_computes_in_float32(seed):
    torch.manual_seed(seed)
    W = torch.randn(30, 20)
    assert mb.torch.check(lambda x: torch.tanh(x.float() @ W).sum(), torch.randn(30), seed=seed).ok

    class Single(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.exp(x)

        @staticmethod
        def backward(ctx, slope):
            (x,) = ctx.saved_tensors
            return slope.float() * torch.exp(x.float())

    assert mb.torch.check(Single.apply, torch.randn(20), seed=seed).ok


@pytest.mark.parametrize("seed", [6, 11, 21])
def test_a_bias_without_effect_is_no_false_alarm(seed):
    torch.manual_seed(seed)
    report = mb.torch.check(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), torch.randn(4, 3))
    assert report.ok
    assert report.elements == 24
    # what rounding leaves of the gradient of the bias has few bits, and is no sign of a low precision
    wrong = mb.torch.check(lambda x: x**2 * 1.000001 - x.detach() ** 2 * 0.000001, normal(2))
    assert len(wrong.wrong) == 2


# Random functions


def test_dropout_is_reported_with_the_advice():
    module = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    report = mb.torch.check(module, normal(3, 4))
    assert not report.ok
    assert report.verdict == "undecided"
    assert report.undecided_count == report.elements
    for word in ("nondeterministic", "1 (Dropout) drops units in training mode", "module.eval()"):
        assert word in " ".join(str(report).split())
    assert mb.torch.check(module.eval(), normal(3, 4)).ok
    report = mb.torch.check(lambda x: nn.functional.dropout(x), normal(30))
    assert "nondeterministic" in str(report)
    assert "seed it in the function" in " ".join(str(report).split())


def test_buffers_that_move_do_not_make_a_module_random():
    module = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(5, 4)), nn.BatchNorm1d(4), nn.Tanh())
    x = normal(6, 5)
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    assert mb.torch.check(module, x).verdict != "undecided"
    assert all(torch.equal(before[name], buffer) for name, buffer in module.named_buffers())


# What must stay as it is


def test_the_callers_tensors_gradients_modes_and_generators_stay_as_they_are():
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.1))
    module[2].eval()
    x = normal(5, 4).requires_grad_()
    x.grad = torch.ones_like(x)
    module[0].weight.grad = torch.full_like(module[0].weight, 7.0)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    held = [*module.parameters()]
    kept = x.detach().clone(), x._version
    random_state, numpy_state, own = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    threads, default, fill = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    report = mb.torch.check(module, x)
    assert report.ok
    assert torch.equal(x, kept[0])
    assert x._version == kept[1]
    assert x.dtype == torch.float32
    assert (x.grad == 1).all()
    assert (module[0].weight.grad == 7).all()
    assert module[0].bias.grad is None
    assert all(one is other for one, other in zip(held, module.parameters(), strict=True))
    assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())
    assert module.state_dict()["0.weight"].dtype == torch.float32
    assert modes == [part.training for part in module.modules()]
    assert torch.equal(random_state, torch.get_rng_state())
    assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002
    assert random.getstate() == own
    assert (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()) == (threads, default, fill)


def test_the_generator_stays_where_the_function_draws_or_fails():
    before = torch.get_rng_state()
    mb.torch.check(lambda x: x * torch.rand(()), normal(3))
    assert torch.equal(before, torch.get_rng_state())

    def broken(x):
        torch.rand(3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        mb.torch.check(broken, normal(3))
    assert torch.equal(before, torch.get_rng_state())


def test_a_function_that_writes_to_its_arguments_gets_copies():
    mask, x = normal(3), normal(3).requires_grad_()
    before = mask.clone()

    def rude(x, mask):
        result = x * mask.clone()
        mask += 1
        return result

    assert mb.torch.check(rude, (x, mask)).ok
    assert torch.equal(mask, before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_switched_off(mode):
    with mode():
        x = normal(4)
        assert mb.torch.check(lambda x: torch.sin(x), x).ok
        report = mb.torch.check(nn.Linear(4, 2), x)
        assert report.ok
        assert not torch.is_grad_enabled()


def test_functions_that_differentiate_inside():
    def energy(x):
        (force,) = torch.autograd.grad((x**4).sum(), x, create_graph=True)
        return (force**2).sum()

    assert mb.torch.check(energy, normal(3)).ok


# Input that cannot be used


class Uncopyable(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.twice = self.weight * 2  # no leaf

    def forward(self, x):
        return x * self.weight


@pytest.mark.parametrize(
    ("function", "inputs", "message"),
    [
        (3, (), "function is 3; expected a function of tensors"),
        (lambda n: n, torch.tensor([1, 2]), "no tensor of floating dtype"),
        (lambda x: None, torch.ones(2), "f returned NoneType; expected a tensor"),
        (lambda x: x.argmax(), torch.ones(2), "f returned Tensor; expected a tensor of floating dtype"),
        (lambda x: x, torch.eye(2).to_sparse(), "x is sparse.*to_dense"),
        (Uncopyable(), torch.ones(2), "the module cannot be copied.*functional_call"),
    ],
)
def test_what_cannot_be_used_is_refused(function, inputs, message):
    with pytest.raises(InputError, match=message):
        mb.torch.check(function, inputs)


def test_options_are_those_of_check():
    report = mb.torch.check(layer(lambda slope: slope * 1.01), (normal(4, 5), normal(5, 3)), rtol=0.1, seed=3)
    assert report.ok
    assert report.repeat.startswith("mb.torch.check(f, inputs, seed=3")
    with pytest.raises(TypeError, match="rtool"):
        mb.torch.check(torch.sin, normal(2), rtool=1)


def test_without_pytorch_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for call in (lambda: mb.torch.check(abs, 1.0), lambda: mb.torch.differentiable(abs)):
        with pytest.raises(MissingDependency, match=r"pip install 'mibun\[torch\]'"):
            call()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_a_gpu():
    x, W = normal(4, 5).cuda(), normal(5, 3).cuda()
    before = torch.cuda.get_rng_state()
    assert mb.torch.check(layer(lambda slope: slope), (x, W)).ok
    assert names(mb.torch.check(layer(flipped), (x, W)).wrong) == ["W[2, 1]"]
    assert mb.torch.check(nn.Linear(5, 3).cuda(), x).ok
    assert not mb.torch.check(nn.Dropout(), x).ok
    assert torch.equal(before, torch.cuda.get_rng_state())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("result", [lambda y: y, lambda y: y.sum()], ids=["array", "number"])
def test_a_function_that_computes_in_half_precision_is_undecided_and_never_wrong(dtype, result):
    for seed in (2, 3, 5):
        x = torch.randn(4, 5, generator=torch.Generator().manual_seed(seed))
        report = mb.torch.check(lambda x: result(torch.tanh(x.to(dtype))), x)
        assert (report.verdict, report.wrong) == ("undecided", ())
        assert "f computes in float16 or bfloat16" in str(report)
    assert mb.torch.check(torch.relu, torch.tensor([0.0, 1.0, -1.0])).ok  # few bits are no sign of it alone
