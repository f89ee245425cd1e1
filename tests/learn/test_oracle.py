"""Every engine against PyTorch's autograd in double precision, on random small networks of every layer type."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mibun import learn

torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")

DTYPES = (np.float64, np.float32)
#: Activations with their counterparts; the last two are functions of which only the values are given.
ACTIVATIONS = {
    learn.Sigmoid(): torch.sigmoid,
    learn.Tanh(): torch.tanh,
    learn.ReLU(): torch.relu,
    learn.Identity(): lambda z: z,
    learn.Elementwise(np.sin): torch.sin,
}


def mixed(z):
    """Every output depends on all inputs."""
    return np.stack([np.sin(z).sum(axis=1), (z * z).sum(axis=1) / 4], axis=1)


def torch_mixed(z):
    return torch.stack([torch.sin(z).sum(dim=1), (z * z).sum(dim=1) / 4], dim=1)


BOX = learn.BlackBox(mixed, 2)


def logcosh(outputs, targets):
    return np.log(np.cosh(outputs - targets)).sum(axis=1)


def torch_forward(layer, weights, x, mask):
    """One layer, written with PyTorch's own functions."""
    functional = torch.nn.functional
    if isinstance(layer, learn.Dense):
        return x @ weights["weight"] + weights["bias"]
    if isinstance(layer, learn.Conv2D):
        return functional.conv2d(x, weights["weight"], weights["bias"], layer.stride, layer.padding)
    if isinstance(layer, learn.MaxPool2D):
        return functional.max_pool2d(x, layer.size)
    if isinstance(layer, learn.AvgPool2D):
        return functional.avg_pool2d(x, layer.size)
    if isinstance(layer, learn.Flatten):
        return x.flatten(1)
    if isinstance(layer, learn.Dropout):
        return x * mask
    return torch_mixed(x) if layer == BOX else ACTIVATIONS[layer](x)


def torch_loss(network, z, targets):
    if isinstance(network.loss_function, learn.PerSampleLoss):
        return torch.log(torch.cosh(z - targets)).sum(dim=1).mean()
    if isinstance(network.loss_function, learn.SumSquaredError):
        return 0.5 * ((z - targets) ** 2).sum(dim=1).mean()
    return torch.nn.functional.cross_entropy(z, targets)


def autograd(network, x, targets, seed):
    """The gradient by PyTorch, in double precision, with the masks that the seed draws."""
    drawn = network.drawn(np.random.default_rng(seed), len(x))
    leaves = {
        name: torch.tensor(array.astype(np.float64), requires_grad=True) for name, array in network.parameters.items()
    }
    value = torch.tensor(network.batch(x).astype(np.float64))
    for number, (layer, of_step) in enumerate(zip(network.layers, drawn.layers, strict=True)):
        own = {name: leaf for key, leaf in leaves.items() for n, name in [key.split(".")] if int(n) == number}
        mask = torch.tensor(np.float64(getattr(of_step, "factors", 1.0)))
        value = torch_forward(layer, own, value, mask)
    torch_loss(network, value, torch.tensor(network.targets(targets, len(x)))).backward()
    return {name: leaf.grad.numpy() for name, leaf in leaves.items()}


def image_layers(rng, draw):
    """Some layers on images, and the shape that they leave."""
    shape, layers = (int(rng.integers(1, 4)), *rng.integers(5, 9, size=2).tolist()), []
    start = shape
    for _ in range(draw(st.integers(1, 2))):
        size = int(rng.integers(1, min(4, shape[1] + 1, shape[2] + 1)))
        conv = learn.Conv2D(
            shape[0], int(rng.integers(1, 4)), size, stride=int(rng.integers(1, 3)), padding=int(rng.integers(0, 2))
        )
        layers += [conv, draw(st.sampled_from(list(ACTIVATIONS)))]
        shape = conv.output_shape(shape)
        if min(shape[1:]) >= 2 and draw(st.booleans()):
            pool = draw(st.sampled_from([learn.MaxPool2D(2), learn.AvgPool2D(2)]))
            layers.append(pool)
            shape = pool.output_shape(shape)
    return start, [*layers, learn.Flatten()], int(np.prod(shape))


def row_layers(rng, draw, width, count):
    layers = []
    for _ in range(count):
        wide = int(rng.integers(1, 6))
        layers += [learn.Dense(width, wide), draw(st.sampled_from(list(ACTIVATIONS)))]
        width = wide
        extra = draw(st.sampled_from([None, None, learn.Dropout(0.4), BOX]))
        if extra is not None:
            layers.append(extra)
            width = 2 if extra is BOX else width
    return layers, width


@st.composite
def cases(draw, dtypes=DTYPES, images=True, kinks=True):
    """A network of random layers, a batch and its targets."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if images and draw(st.booleans()):
        shape, layers, width = image_layers(rng, draw)
    else:
        shape, layers, width = None, [], int(rng.integers(1, 6))
    more, width = row_layers(rng, draw, width, draw(st.integers(0 if shape else 1, 2)))
    outputs = int(rng.integers(1, 5))
    layers += [*more, learn.Dense(width, outputs)]
    if not kinks:
        rough = (learn.ReLU, learn.MaxPool2D)
        layers = [learn.Tanh() if isinstance(layer, learn.ReLU) else layer for layer in layers]
        layers = [learn.AvgPool2D(2) if isinstance(layer, rough) else layer for layer in layers]
    loss = draw(st.sampled_from([None, learn.SumSquaredError(), logcosh]))
    network = learn.Network(layers, loss, seed=1, dtype=draw(st.sampled_from(dtypes)), input_shape=shape)
    network.vector[:] += 0.3 * rng.normal(size=network.vector.size)
    samples = draw(st.integers(1, 4))
    x = rng.normal(size=(samples, *network.shapes[0])) * (rng.random((samples, *network.shapes[0])) > 0.2)
    targets = rng.integers(outputs, size=samples) if loss is None else rng.normal(size=(samples, outputs))
    return network, x.astype(network.dtype), targets


def check(case, engine, seed=7, room=1.0):
    """Assert that every entry lies within its stated error of autograd's."""
    network, x, targets = case
    d = learn.gradient(network, x, targets, engine=engine, seed=seed)
    truth = autograd(network, x, targets, seed)
    for name, exact in truth.items():
        off = np.abs(d.value[name] - exact)
        assert (off <= room * d.error[name] + 1e-15 * np.abs(exact).max(initial=1)).all(), (name, off.max(), network)
    return d, truth


@settings(derandomize=True, max_examples=150, deadline=None)
@given(cases())
def test_chain_agrees_with_autograd_within_its_errors(case):
    check(case, "chain")


@settings(derandomize=True, max_examples=60, deadline=None)
@given(cases())
def test_chain_is_close_to_autograd_not_only_within_its_errors(case):
    network, _, _ = case
    d, truth = check(case, "chain")
    size = max(1.0, max(float(np.abs(array).max()) for array in truth.values()))
    for name, exact in truth.items():
        assert np.abs(d.value[name] - exact).max() <= (1e-8 if network.dtype == np.float64 else 2e-5) * size


@settings(derandomize=True, max_examples=40, deadline=None)
@given(cases(kinks=False))
def test_coordinate_agrees_with_autograd_within_its_errors(case):
    check(case, "coordinate")


@settings(derandomize=True, max_examples=60, deadline=None)
@given(cases(images=False))
def test_node_agrees_with_autograd_within_its_errors(case):
    check(case, "node")


@settings(derandomize=True, max_examples=60, deadline=None)
@given(cases(), st.booleans())
def test_column_agrees_with_autograd_within_its_errors(case, every_step):
    check(case, learn.Column(every_step=every_step))


@settings(derandomize=True, max_examples=40, deadline=None)
@given(cases(dtypes=[np.float64]), st.sampled_from([1e-4, 1e-2]))
def test_column_has_the_numbers_of_the_loop(case, h):
    network, x, targets = case
    loop, column, every = (
        learn.gradient(network, x, targets, engine=engine, seed=3, errors=False).value
        for engine in (learn.Coordinate(h), learn.Column(h), learn.Column(h, every_step=True))
    )
    size = max(1.0, max(float(np.abs(array).max()) for array in every.values()))
    for name, array in every.items():
        # The loop subtracts two losses: it loses their last digits over h. Plain layers do so in column, too.
        assert np.abs(array - loop[name]).max() <= 1e-11 * size / h * 1e-2, name
        assert np.abs(array - column[name]).max() <= 2e-9 * size, name
