"""Learning rates that change: the updates of PyTorch's LambdaLR, and purity."""

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError


@pytest.mark.parametrize(
    "factor", [mb.Decay(12, warmup=3), mb.Decay(9, shape="cosine"), lambda done: 0.0 if done % 2 else 1.0]
)
@pytest.mark.parametrize(
    ("rule", "make"),
    [
        (mb.GradientDescent(0.1), lambda torch, p: torch.optim.SGD(p, lr=0.1)),
        (mb.Momentum(0.1, nesterov=True), lambda torch, p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
        (mb.Adam(0.1), lambda torch, p: torch.optim.Adam(p, lr=0.1)),
    ],
    ids=["descent", "nesterov", "adam"],
)
def test_the_updates_are_those_of_pytorch(rule, make, factor):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=5), rng.normal(size=(12, 5))
    tensor = torch.nn.Parameter(torch.tensor(start))
    optimizer = make(torch, [tensor])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    scheduled = mb.Scheduled(rule, factor)
    x, y = start.copy(), start.copy()
    state, kept = scheduled.init(x), scheduled.init(y)
    for gradient in gradients:
        tensor.grad = torch.tensor(gradient)
        optimizer.step()
        schedule.step()
        before = x.copy()
        moved, state = scheduled.update(x, gradient, state)
        np.testing.assert_array_equal(x, before)
        x = moved
        scheduled.apply(y, gradient.copy(), kept)
    np.testing.assert_allclose(x, tensor.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(x, y)


def test_descend_takes_a_schedule():
    path = mb.descend(
        lambda x: float((x**2).sum()), [3.0, -4.0], rule=mb.Scheduled(mb.GradientDescent(0.4), lambda n: 0.9**n)
    )
    assert np.abs(path.x).max() < 1e-2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mb.Scheduled(0.1, abs), "expected a rule"),
        (lambda: mb.Scheduled(mb.Adam(), 3), "expected a function"),
        (lambda: mb.Scheduled(mb.Scheduled(mb.Adam(), abs), abs), "expected a rule"),
        (lambda: mb.Decay(0), "steps is 0"),
        (lambda: mb.Decay(5, warmup=5), "only 5 steps"),
        (lambda: mb.Decay(5, shape="round"), "'linear' or 'cosine'"),
    ],
)
def test_bad_options_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), "fast", None])
def test_a_factor_that_is_no_number_is_named(bad):
    rule, x = mb.Scheduled(mb.GradientDescent(0.1), lambda done: bad), np.zeros(1)
    with pytest.raises(InputError, match="after 0 updates; expected a finite number"):
        rule.update(x, x, rule.init(x))
