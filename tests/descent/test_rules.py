"""The rules against loops in plain Python, and the promise that they are pure."""

import math

import numpy as np
import pytest

import mibun as mb
from mibun.descent.rules import Rule, choose_rule
from mibun.errors import InputError

RULES = [
    mb.GradientDescent(0.05),
    mb.Momentum(0.02, momentum=0.8),
    mb.Momentum(0.02, momentum=0.8, nesterov=True),
    mb.Momentum(0.02, momentum=0.0),
    mb.Adam(0.03),
    mb.Adam(0.03, betas=(0.5, 0.9), eps=1e-3),
    mb.AdaGrad(0.4),
    mb.AdaGrad(0.4, lr_decay=0.01, initial_accumulator_value=0.3, eps=1e-3),
    mb.RMSProp(0.02),
    mb.RMSProp(0.02, alpha=0.9, eps=1e-3, momentum=0.5, centered=True),
]
KINDS = [mb.GradientDescent, mb.Momentum, mb.Adam, mb.AdaGrad, mb.RMSProp]
DTYPES = (np.float64, np.float32)
CURVATURE = (1.0, 7.0, 0.1, 30.0)


def slope(x, index):
    """The slope of a bowl with a ripple, in one coordinate."""
    return CURVATURE[index] * x + 0.3 * math.cos(3 * x)


def gradient(x):
    return np.array([slope(float(value), index) for index, value in enumerate(x)], x.dtype)


def by_hand(rule, x, steps):
    """One coordinate after another in Python numbers, written from the papers' formulas."""
    result = []
    for index, at in enumerate(x):
        velocity = first = second = 0.0
        squares = getattr(rule, "initial_accumulator_value", 0.0)
        for step in range(1, steps + 1):
            g = slope(at, index)
            if isinstance(rule, mb.GradientDescent):
                at -= rule.learning_rate * g
            elif isinstance(rule, mb.Momentum):
                velocity = rule.momentum * velocity + g
                at -= rule.learning_rate * (g + rule.momentum * velocity if rule.nesterov else velocity)
            elif isinstance(rule, mb.AdaGrad):
                squares += g * g
                at -= rule.learning_rate / (1 + (step - 1) * rule.lr_decay) * g / (math.sqrt(squares) + rule.eps)
            elif isinstance(rule, mb.RMSProp):
                squares = rule.alpha * squares + (1 - rule.alpha) * g * g
                first = rule.alpha * first + (1 - rule.alpha) * g
                variance = squares - first**2 if rule.centered else squares
                velocity = rule.momentum * velocity + g / (math.sqrt(variance) + rule.eps)
                at -= rule.learning_rate * velocity
            else:
                first = rule.betas[0] * first + (1 - rule.betas[0]) * g
                second = rule.betas[1] * second + (1 - rule.betas[1]) * g * g
                unbiased = first / (1 - rule.betas[0] ** step), second / (1 - rule.betas[1] ** step)
                at -= rule.learning_rate * unbiased[0] / (math.sqrt(unbiased[1]) + rule.eps)
        result.append(at)
    return result


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_fifty_updates_equal_the_loop_in_plain_python(rule):
    x = np.array([1.0, -2.0, 3.0, 0.5])
    wanted, state = by_hand(rule, x.tolist(), 50), rule.init(x)
    for _ in range(50):
        x, state = rule.update(x, gradient(x), state)
    np.testing.assert_allclose(x, wanted, rtol=1e-12, atol=1e-14)


def copied(state):
    return {name: np.copy(value) for name, value in state.items()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_update_is_pure_and_apply_gives_the_same_bits(rule, dtype):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, 4)).astype(dtype)
    state, in_place = rule.init(x), x.copy()
    kept_state = rule.init(in_place)
    for _ in range(20):
        g = rng.normal(size=x.shape).astype(dtype)
        before = x.copy(), g.copy(), copied(state)
        new, new_state = rule.update(x, g, state)
        np.testing.assert_array_equal(x, before[0])
        np.testing.assert_array_equal(g, before[1])
        for name, value in before[2].items():
            np.testing.assert_array_equal(state[name], value)
        again, _ = rule.update(x, g, state)
        np.testing.assert_array_equal(again, new)
        assert rule.apply(in_place, g.copy(), kept_state) is None
        np.testing.assert_array_equal(in_place, new)
        assert new.dtype == in_place.dtype == dtype
        for name, value in new_state.items():
            np.testing.assert_array_equal(kept_state[name], value)
            assert np.asarray(value).ndim == 0 or value.dtype == dtype
        x, state = new, new_state


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_float32_follows_float64_to_its_own_digits(rule):
    paths = []
    for dtype in DTYPES:
        x = np.array([1.0, -2.0, 3.0, 0.5], dtype)
        state = rule.init(x)
        for _ in range(50):
            x, state = rule.update(x, gradient(x), state)
        paths.append(x)
    np.testing.assert_allclose(paths[1], paths[0], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [np.float64, np.float32])
def test_numpy_numbers_as_options_do_not_widen_float32(kind, number):
    rule, x = kind(number(0.1)), np.ones(3, np.float32)
    new, _ = rule.update(x, np.ones(3, np.float32), rule.init(x))
    assert new.dtype == np.float32


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_gradient_of_float64_does_not_widen_float32_parameters(rule):
    x = np.ones(3, np.float32)
    new, _ = rule.update(x, np.ones(3), rule.init(x))
    assert new.dtype == np.float32


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_integers_and_lists_become_float64(rule):
    x, floats = [1, -2], np.array([1.0, -2.0])
    new, _ = rule.update(x, [0.5, 0.25], rule.init(x))
    wanted, _ = rule.update(floats, [0.5, 0.25], rule.init(floats))
    assert new.dtype == np.float64
    np.testing.assert_array_equal(new, wanted)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (2, 1, 2)])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_arrays_of_every_shape_are_updated_element_by_element(rule, shape):
    rng = np.random.default_rng(3)
    x, g = rng.normal(size=shape), rng.normal(size=shape)
    new, _ = rule.update(x, g, rule.init(x))
    assert new.shape == shape
    flat, _ = rule.update(np.ravel(x), np.ravel(g), rule.init(np.ravel(x)))
    np.testing.assert_array_equal(np.ravel(new), flat)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_every_rule_goes_down_to_the_minimum(rule):
    x = np.array([3.0, -4.0])
    state = rule.init(x)
    for _ in range(1500):
        x, state = rule.update(x, 2 * x, state)
    # those that divide by the size of the gradient step on at their learning rate
    assert np.abs(x).max() < (1e-6 if isinstance(rule, mb.GradientDescent | mb.Momentum) else 0.1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [0, 0.0, -0.1, np.nan, np.inf, "fast", None, True, [0.1], 1j])
def test_a_bad_learning_rate_is_refused_by_name(kind, bad):
    with pytest.raises(InputError, match="learning_rate must be a finite number above 0"):
        kind(learning_rate=bad)


@pytest.mark.parametrize("bad", [1.0, -0.1, np.nan, "heavy", None, True])
def test_a_bad_momentum_is_refused_by_name(bad):
    with pytest.raises(InputError, match="momentum must be at least 0 and below 1"):
        mb.Momentum(0.1, momentum=bad)


@pytest.mark.parametrize("bad", ["yes", 1, None])
def test_nesterov_is_true_or_false(bad):
    with pytest.raises(InputError, match="nesterov"):
        mb.Momentum(0.1, nesterov=bad)


@pytest.mark.parametrize("bad", [0.9, (0.9,), (0.9, 0.99, 0.999), (1.0, 0.9), (0.9, -0.1), (np.nan, 0.9), "ab", None])
def test_bad_betas_are_refused_by_name(bad):
    with pytest.raises(InputError, match="betas"):
        mb.Adam(betas=bad)


@pytest.mark.parametrize("bad", [0, -1e-8, np.nan, np.inf, "small", None])
def test_a_bad_eps_is_refused_by_name(bad):
    with pytest.raises(InputError, match="eps must be a finite number above 0"):
        mb.Adam(eps=bad)


@pytest.mark.parametrize("bad", [-1e-8, np.nan, np.inf, "small", None, True])
@pytest.mark.parametrize("name", ["lr_decay", "initial_accumulator_value"])
def test_bad_options_of_adagrad_are_refused_by_name(name, bad):
    with pytest.raises(InputError, match=f"{name} must be a finite number of at least 0"):
        mb.AdaGrad(**{name: bad})


@pytest.mark.parametrize(
    ("name", "bad"), [("alpha", 1.0), ("alpha", None), ("momentum", 1.0), ("eps", 0.0), ("centered", 1)]
)
def test_bad_options_of_rmsprop_are_refused_by_name(name, bad):
    with pytest.raises(InputError, match=f"{name} must be"):
        mb.RMSProp(**{name: bad})


def test_a_gradient_that_stays_as_it_is_gives_no_nan():
    rule, x = mb.RMSProp(0.1, alpha=0.3, centered=True), np.ones(4)
    g, state = np.array([0.1, 0.3, 1 / 3, 0.7]), rule.init(x)
    for _ in range(100):
        x, state = rule.update(x, g, state)
    assert np.isfinite(x).all()


def torch_optimizers(torch):
    """Pairs of a rule and the optimizer of PyTorch with the same options."""
    sgd, adagrad, rmsprop, adam = (getattr(torch.optim, name) for name in ("SGD", "Adagrad", "RMSprop", "Adam"))
    return [
        (mb.GradientDescent(0.05), lambda p: sgd(p, lr=0.05)),
        (mb.Momentum(0.05, momentum=0.8), lambda p: sgd(p, lr=0.05, momentum=0.8)),
        (mb.Momentum(0.05, 0.8, nesterov=True), lambda p: sgd(p, lr=0.05, momentum=0.8, nesterov=True)),
        (mb.AdaGrad(), adagrad),
        (
            mb.AdaGrad(0.05, lr_decay=0.1, initial_accumulator_value=0.3, eps=1e-3),
            lambda p: adagrad(p, lr=0.05, lr_decay=0.1, initial_accumulator_value=0.3, eps=1e-3),
        ),
        (mb.RMSProp(), rmsprop),
        (
            mb.RMSProp(0.05, alpha=0.9, eps=1e-3, momentum=0.8, centered=True),
            lambda p: rmsprop(p, lr=0.05, alpha=0.9, eps=1e-3, momentum=0.8, centered=True),
        ),
        (mb.Adam(), adam),
        (mb.Adam(0.05, betas=(0.5, 0.9), eps=1e-3), lambda p: adam(p, lr=0.05, betas=(0.5, 0.9), eps=1e-3)),
    ]


def test_the_updates_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    gradients, start = rng.normal(size=(100, 7)), rng.normal(size=7)
    for rule, optimizer in torch_optimizers(torch):
        parameter = torch.nn.Parameter(torch.tensor(start))
        theirs, x, state = optimizer([parameter]), start, rule.init(start)
        for g in gradients:
            parameter.grad = torch.tensor(g)
            theirs.step()
            x, state = rule.update(x, g, state)
            np.testing.assert_allclose(x, parameter.detach().numpy(), rtol=1e-13, atol=1e-13, err_msg=repr(rule))


def test_words_name_the_rules():
    assert choose_rule("gradient descent") == mb.GradientDescent()
    assert [type(choose_rule(word)) for word in ("momentum", "adagrad", "rmsprop", "adam")] == [
        mb.Momentum,
        mb.AdaGrad,
        mb.RMSProp,
        mb.Adam,
    ]
    assert choose_rule(mb.Adam(0.5)) == mb.Adam(0.5)


@pytest.mark.parametrize("bad", ["sgd", "Adam", 0.1, None, mb.Adam, []])
def test_what_is_no_rule_is_refused(bad):
    with pytest.raises(InputError, match="'gradient descent', 'momentum', 'adagrad', 'rmsprop', 'adam'"):
        choose_rule(bad)


def test_rules_are_values_that_print_as_what_they_are():
    assert repr(mb.GradientDescent()) == "GradientDescent(learning_rate=0.1)"
    assert repr(mb.Momentum(0.2)) == "Momentum(learning_rate=0.2, momentum=0.9, nesterov=False)"
    assert repr(mb.Adam()) == "Adam(learning_rate=0.001, betas=(0.9, 0.999), eps=1e-08)"
    assert mb.Adam() == mb.Adam(0.001)
    assert all(isinstance(rule, Rule) for rule in RULES)
    with pytest.raises(AttributeError):
        mb.Adam().eps = 1.0
