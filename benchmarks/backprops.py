"""Functions with the derivatives that people write by hand, to plant mistakes in: losses, layers, energies, residuals.

Each is made for a seed, in float64 or float32: f and its gradient (or Jacobian) compute in the precision of x, as those
of frameworks do. `DEVELOPMENT_SEED` is for choosing constants, `HELD_OUT_SEED` for the tables that are published.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DEVELOPMENT_SEED = 5
HELD_OUT_SEED = 910233

Array = NDArray[Any]
Random = np.random.Generator


class Subject(NamedTuple):
    """A function, its right derivative, and a point."""

    name: str
    f: Callable[[Any], Any]
    gradient: Callable[[Any], Any]
    x: Any


#: From random numbers and a dtype to f, gradient and x.
Maker = Callable[[Random, Any], tuple[Callable[[Any], Any], Callable[[Any], Any], Any]]


def squares(random: Random, dtype: Any, size: int = 30) -> Any:
    """Sum of squares."""
    return lambda x: np.sum(x * x), lambda x: 2 * x, random.normal(size=size).astype(dtype)


def rosenbrock(random: Random, dtype: Any, size: int = 12) -> Any:
    """Rosenbrock's valley."""

    def f(x: Array) -> Any:
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def gradient(x: Array) -> Array:
        out = np.zeros_like(x)
        off = x[1:] - x[:-1] ** 2
        out[:-1] = -400 * x[:-1] * off - 2 * (1 - x[:-1])
        out[1:] += 200 * off
        return out

    return f, gradient, random.uniform(-1.5, 1.5, size).astype(dtype)


def least_squares(random: Random, dtype: Any, rows: int = 25, size: int = 15) -> Any:
    """Half the squared norm of A x - b."""
    a, b = random.normal(size=(rows, size)).astype(dtype), random.normal(size=rows).astype(dtype)
    return lambda x: np.sum((a @ x - b) ** 2) / 2, lambda x: a.T @ (a @ x - b), random.normal(size=size).astype(dtype)


def logistic(random: Random, dtype: Any, rows: int = 40, size: int = 20) -> Any:
    """Mean loss of logistic regression, with weight decay."""
    a = random.normal(size=(rows, size)).astype(dtype)
    y = random.integers(0, 2, rows).astype(dtype)

    def f(p: Any) -> Any:
        z = a @ p["weight"] + p["bias"]
        return np.mean(np.logaddexp(0, z) - y * z) + dtype(0.01) / 2 * np.sum(p["weight"] ** 2)

    def gradient(p: Any) -> Any:
        z = a @ p["weight"] + p["bias"]
        off = (1 / (1 + np.exp(-z)) - y) / rows
        return {"weight": a.T @ off + dtype(0.01) * p["weight"], "bias": np.sum(off)}

    weight = random.normal(size=size).astype(dtype)
    return f, gradient, {"weight": weight, "bias": dtype(0.3)}


def softmax_regression(random: Random, dtype: Any, batch: int = 16, size: int = 30, classes: int = 5) -> Any:
    """Mean cross-entropy of a linear classifier."""
    a = random.random((batch, size)).astype(dtype)
    y = np.eye(classes, dtype=dtype)[random.integers(0, classes, batch)]

    def f(p: Any) -> Any:
        z = a @ p["W"] + p["b"]
        return np.mean(_log_sum_exp(z) - np.sum(y * z, axis=1))

    def gradient(p: Any) -> Any:
        off = (_softmax(a @ p["W"] + p["b"]) - y) / batch
        return {"W": a.T @ off, "b": off.sum(axis=0)}

    w = random.normal(size=(size, classes)) / np.sqrt(size)
    return f, gradient, {"W": w.astype(dtype), "b": np.zeros(classes, dtype)}


def net(random: Random, dtype: Any, sizes: tuple[int, ...] = (6, 9, 7, 3), batch: int = 10, bend: str = "tanh") -> Any:
    """Mean squared error of a network with several layers."""
    a = random.normal(size=(batch, sizes[0])).astype(dtype)
    y = random.normal(size=(batch, sizes[-1])).astype(dtype)
    layers = len(sizes) - 1

    def forward(p: Any) -> list[Array]:
        values = [a]
        for k in range(layers):
            z = values[-1] @ p[f"W{k}"] + p[f"b{k}"]
            values.append(z if k == layers - 1 else np.tanh(z) if bend == "tanh" else np.maximum(z, 0))
        return values

    def f(p: Any) -> Any:
        return np.mean((forward(p)[-1] - y) ** 2)

    def gradient(p: Any) -> Any:
        values, found = forward(p), {}
        upstream = 2 * (values[-1] - y) / values[-1].size
        for k in reversed(range(layers)):
            found[f"W{k}"], found[f"b{k}"] = values[k].T @ upstream, upstream.sum(axis=0)
            below = upstream @ p[f"W{k}"].T
            upstream = below * (1 - values[k] ** 2 if bend == "tanh" else values[k] > 0)
        return {key: found[key] for key in p}

    x = {}
    for k, (rows, columns) in enumerate(pairwise(sizes)):
        x[f"W{k}"] = (random.normal(size=(rows, columns)) / np.sqrt(rows)).astype(dtype)
        x[f"b{k}"] = (0.1 * random.normal(size=columns)).astype(dtype)
    return f, gradient, x


def relu_net(random: Random, dtype: Any) -> Any:
    """Make a network of rectified units."""
    return net(random, dtype, (7, 11, 5, 2), bend="relu")


def deep_net(random: Random, dtype: Any) -> Any:
    """Eight layers."""
    return net(random, dtype, (5, 6, 6, 6, 6, 6, 6, 6, 2), batch=6)


def log_sum_exp(random: Random, dtype: Any, size: int = 20) -> Any:
    """Take a soft maximum."""
    return (
        lambda x: _log_sum_exp(x[None])[0],
        lambda x: _softmax(x[None])[0],
        2 * random.normal(size=size).astype(dtype),
    )


def log_determinant(random: Random, dtype: Any, size: int = 5) -> Any:
    """Logarithm of a determinant; the gradient is the transposed inverse."""
    x = (np.eye(size) * 3 + random.normal(size=(size, size))).astype(dtype)
    return lambda a: np.linalg.slogdet(a)[1], lambda a: np.linalg.inv(a).T, x


def bilinear(random: Random, dtype: Any, rows: int = 4, columns: int = 6) -> Any:
    """Multiply u A v, with respect to all three."""

    def gradient(p: Any) -> Any:
        u, a, v = p["u"], p["A"], p["v"]
        return {"u": a @ v, "A": np.outer(u, v), "v": u @ a}

    x = {"u": random.normal(size=rows), "A": random.normal(size=(rows, columns)), "v": random.normal(size=columns)}
    return lambda p: p["u"] @ p["A"] @ p["v"], gradient, {key: value.astype(dtype) for key, value in x.items()}


def gaussian(random: Random, dtype: Any, rows: int = 30, size: int = 4) -> Any:
    """Negative logarithm of a likelihood."""
    data = random.normal(size=(rows, size)).astype(dtype)

    def f(p: Any) -> Any:
        z = (data - p["mean"]) * np.exp(-p["log_width"])
        return np.sum(z * z) / 2 + rows * np.sum(p["log_width"])

    def gradient(p: Any) -> Any:
        z = (data - p["mean"]) * np.exp(-p["log_width"])
        return {"mean": -np.exp(-p["log_width"]) * z.sum(axis=0), "log_width": rows - np.sum(z * z, axis=0)}

    return f, gradient, {"mean": random.normal(size=size).astype(dtype), "log_width": np.full(size, 0.4, dtype)}


def convolution(random: Random, dtype: Any, length: int = 30, width: int = 5) -> Any:
    """Mean square of a filtered signal."""
    y = random.normal(size=length - width + 1).astype(dtype)

    def f(p: Any) -> Any:
        return np.mean((np.convolve(p["signal"], p["filter"], "valid") - y) ** 2)

    def gradient(p: Any) -> Any:
        off = 2 * (np.convolve(p["signal"], p["filter"], "valid") - y) / y.size
        return {
            "signal": np.convolve(off, p["filter"][::-1], "full"),
            "filter": np.convolve(p["signal"], off[::-1], "valid")[::-1],
        }

    return (
        f,
        gradient,
        {
            "signal": random.normal(size=length).astype(dtype),
            "filter": random.normal(size=width).astype(dtype),
        },
    )


def attention(random: Random, dtype: Any, count: int = 5, size: int = 4) -> Any:
    """One head of attention, weighed and summed."""
    weights = random.normal(size=(count, size)).astype(dtype)

    def f(p: Any) -> Any:
        return np.sum(weights * (_softmax(p["Q"] @ p["K"].T / dtype(np.sqrt(size))) @ p["V"]))

    def gradient(p: Any) -> Any:
        share = _softmax(p["Q"] @ p["K"].T / dtype(np.sqrt(size)))
        up = weights @ p["V"].T
        score = share * (up - np.sum(up * share, axis=1, keepdims=True)) / dtype(np.sqrt(size))
        return {"Q": score @ p["K"], "K": score.T @ p["Q"], "V": share.T @ weights}

    return f, gradient, {key: random.normal(size=(count, size)).astype(dtype) for key in "QKV"}


def recurrent(random: Random, dtype: Any, steps: int = 6, size: int = 5) -> Any:
    """Unroll a recurrent net in time."""
    inputs = random.normal(size=(steps, size)).astype(dtype)

    def states(p: Any) -> list[Array]:
        found = [np.zeros(size, dtype)]
        for row in inputs:
            found.append(np.tanh(p["U"] @ found[-1] + p["c"] + row))
        return found

    def gradient(p: Any) -> Any:
        values = states(p)
        up, u, c = values[-1], np.zeros((size, size), dtype), np.zeros(size, dtype)
        for before, after in zip(values[-2::-1], values[:0:-1], strict=True):
            slope = up * (1 - after**2)
            u, c, up = u + np.outer(slope, before), c + slope, p["U"].T @ slope
        return {"U": u, "c": c}

    x = {"U": random.normal(size=(size, size)) / 2, "c": random.normal(size=size) / 2}
    return lambda p: np.sum(states(p)[-1] ** 2) / 2, gradient, {key: part.astype(dtype) for key, part in x.items()}


def normalised(random: Random, dtype: Any, batch: int = 8, size: int = 4) -> Any:
    """Batch normalisation, weighed and summed."""
    weights = random.normal(size=(batch, size)).astype(dtype)

    def parts(p: Any) -> tuple[Array, Array]:
        spread = np.sqrt(p["x"].var(axis=0) + dtype(1e-3))
        return (p["x"] - p["x"].mean(axis=0)) / spread, spread

    def gradient(p: Any) -> Any:
        z, spread = parts(p)
        up = weights * p["gain"]
        back = (up - up.mean(axis=0) - z * (up * z).mean(axis=0)) / spread
        return {"x": back, "gain": (weights * z).sum(axis=0), "shift": weights.sum(axis=0)}

    x = {"x": random.normal(size=(batch, size)), "gain": random.normal(size=size), "shift": random.normal(size=size)}
    return (
        lambda p: np.sum(weights * (parts(p)[0] * p["gain"] + p["shift"])),
        gradient,
        {key: part.astype(dtype) for key, part in x.items()},
    )


def factorisation(random: Random, dtype: Any, rows: int = 6, columns: int = 8, rank: int = 3) -> Any:
    """Squared error of U V."""
    data = random.normal(size=(rows, columns)).astype(dtype)

    def gradient(p: Any) -> Any:
        off = p["U"] @ p["V"] - data
        return {"U": off @ p["V"].T, "V": p["U"].T @ off}

    x = {"U": random.normal(size=(rows, rank)), "V": random.normal(size=(rank, columns))}
    return lambda p: np.sum((p["U"] @ p["V"] - data) ** 2) / 2, gradient, {k: v.astype(dtype) for k, v in x.items()}


def poisson(random: Random, dtype: Any, rows: int = 30, size: int = 8) -> Any:
    """Poisson regression."""
    a = (random.normal(size=(rows, size)) / 3).astype(dtype)
    counts = random.poisson(2.0, rows).astype(dtype)
    x = random.normal(size=size).astype(dtype)
    return lambda w: np.sum(np.exp(a @ w) - counts * (a @ w)), lambda w: a.T @ (np.exp(a @ w) - counts), x


def lennard_jones(random: Random, dtype: Any, side: int = 2) -> Any:
    """Energy of atoms on a disturbed grid."""
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 1.15
    first, second = np.triu_indices(len(grid), 1)

    def f(x: Array) -> Any:
        inverse = 1 / np.sum((x[first] - x[second]) ** 2, axis=1) ** 3
        return 4 * np.sum(inverse**2 - inverse)

    def gradient(x: Array) -> Array:
        way = x[first] - x[second]
        square = np.sum(way**2, axis=1)
        inverse = 1 / square**3
        force = (4 * (6 * inverse - 12 * inverse**2) / square)[:, None] * way
        out = np.zeros_like(x)
        np.add.at(out, first, force)
        np.subtract.at(out, second, force)
        return out

    return f, gradient, (grid + 0.05 * random.normal(size=grid.shape)).astype(dtype)


def huber(random: Random, dtype: Any, rows: int = 30, size: int = 10) -> Any:
    """Fit robustly."""
    a, b = random.normal(size=(rows, size)).astype(dtype), (3 * random.normal(size=rows)).astype(dtype)

    def f(w: Array) -> Any:
        r = np.abs(a @ w - b)
        return np.sum(np.where(r < 1, r * r / 2, r - dtype(0.5)))

    return f, lambda w: a.T @ np.clip(a @ w - b, -1, 1), random.normal(size=size).astype(dtype)


def waves(random: Random, dtype: Any, size: int = 25) -> Any:
    """Add a chain of sines."""

    def gradient(x: Array) -> Array:
        out = np.cos(x)
        out[:-1] += x[1:] / 2
        out[1:] += x[:-1] / 2
        return out

    return (
        lambda x: np.sum(np.sin(x)) + np.sum(x[1:] * x[:-1]) / 2,
        gradient,
        random.normal(size=size).astype(dtype),
    )


def norm(random: Random, dtype: Any, size: int = 12) -> Any:
    """Measure the length of a vector."""
    x = random.normal(size=size).astype(dtype)
    return lambda x: np.sqrt(np.sum(x * x)), lambda x: x / np.sqrt(np.sum(x * x)), x


def entropy(random: Random, dtype: Any, size: int = 14) -> Any:
    """Sum of x log x."""
    x = random.uniform(0.1, 2.0, size).astype(dtype)
    return lambda x: np.sum(x * np.log(x)), lambda x: np.log(x) + 1, x


def arm(random: Random, dtype: Any, joints: int = 6) -> Any:
    """Position of a robot arm, by its angles: a Jacobian."""
    lengths = random.uniform(0.5, 1.5, joints).astype(dtype)

    def f(x: Array) -> Array:
        angles = np.cumsum(x)
        return np.stack([np.sum(lengths * np.cos(angles)), np.sum(lengths * np.sin(angles))])

    def gradient(x: Array) -> Array:
        angles = np.cumsum(x)
        rows = [-lengths * np.sin(angles), lengths * np.cos(angles)]
        return np.stack([np.cumsum(row[::-1])[::-1] for row in rows])

    return f, gradient, random.normal(size=joints).astype(dtype)


def broyden(random: Random, dtype: Any, size: int = 14) -> Any:
    """Broyden's tridiagonal equations."""

    def f(x: Array) -> Array:
        out = (3 - 2 * x) * x + 1
        out[1:] -= x[:-1]
        out[:-1] -= 2 * x[1:]
        return out

    def gradient(x: Array) -> Array:
        near = np.eye(x.size, k=-1, dtype=x.dtype) + 2 * np.eye(x.size, k=1, dtype=x.dtype)
        return np.asarray(np.diag(3 - 4 * x) - near)

    return f, gradient, random.normal(size=size).astype(dtype)


def decay(random: Random, dtype: Any, count: int = 20) -> Any:
    """Residuals of a fit of two decays."""
    t = np.linspace(0, 3, count).astype(dtype)

    def f(p: Array) -> Array:
        return np.asarray(p[0] * np.exp(-p[1] * t) + p[2] * np.exp(-p[3] * t) - 1)

    def gradient(p: Array) -> Array:
        one, two = np.exp(-p[1] * t), np.exp(-p[3] * t)
        return np.stack([one, -p[0] * t * one, two, -p[2] * t * two], axis=1)

    return f, gradient, random.uniform(0.3, 2.0, 4).astype(dtype)


def softmax(random: Random, dtype: Any, size: int = 9) -> Any:
    """Probabilities by logits."""

    def gradient(z: Array) -> Array:
        p = _softmax(z[None])[0]
        return np.diag(p) - np.outer(p, p)

    return lambda z: _softmax(z[None])[0], gradient, random.normal(size=size).astype(dtype)


def dense(random: Random, dtype: Any, rows: int = 9, columns: int = 11) -> Any:
    """Apply a layer of tanh: its outputs by its inputs."""
    a = (random.normal(size=(rows, columns)) / np.sqrt(columns)).astype(dtype)
    x = random.normal(size=columns).astype(dtype)
    return lambda x: np.tanh(a @ x), lambda x: (1 - np.tanh(a @ x) ** 2)[:, None] * a, x


def kinetics(random: Random, dtype: Any) -> Any:
    """Rates of a chemical reaction (Robertson, with milder constants)."""
    k = random.uniform(0.5, 2.0, 3).astype(dtype)

    def f(y: Array) -> Array:
        forth, back, fast = k[0] * y[0], k[1] * y[1] * y[2], k[2] * y[1] ** 2
        return np.stack([back - forth, forth - back - fast, fast])

    def gradient(y: Array) -> Array:
        zero = dtype(0)
        return np.array(
            [
                [-k[0], k[1] * y[2], k[1] * y[1]],
                [k[0], -k[1] * y[2] - 2 * k[2] * y[1], -k[1] * y[1]],
                [zero, 2 * k[2] * y[1], zero],
            ]
        )

    return f, gradient, random.uniform(0.2, 1.0, 3).astype(dtype)


def rosenbrock_hessian(random: Random, dtype: Any, size: int = 8) -> Any:
    """Take the gradient of Rosenbrock's valley, with its Hessian."""
    _, first, x = rosenbrock(random, dtype, size)

    def gradient(x: Array) -> Array:
        inner = np.concatenate([[0], np.full(x.size - 1, 200)]).astype(dtype)
        inner[:-1] += 2 - 400 * (x[1:] - 3 * x[:-1] ** 2)
        return np.diag(inner) + np.diag(-400 * x[:-1], 1) + np.diag(-400 * x[:-1], -1)

    return first, gradient, x


#: Functions of one number of outputs, with their gradients.
SCALAR: tuple[Maker, ...] = (
    squares, rosenbrock, least_squares, logistic, softmax_regression, net, relu_net, deep_net, log_sum_exp,
    log_determinant, bilinear, gaussian, convolution, attention, recurrent, normalised, factorisation, poisson,
    lennard_jones, huber, waves, norm, entropy,
)  # fmt: skip
#: Functions of several, with their Jacobians.
VECTOR: tuple[Maker, ...] = (arm, broyden, decay, softmax, dense, kinetics, rosenbrock_hessian)


def subjects(seed: int, dtype: Any = np.float64, makers: tuple[Maker, ...] = SCALAR + VECTOR) -> Iterator[Subject]:
    """Make every function for a seed."""
    for maker in makers:
        random = np.random.default_rng([seed, *maker.__name__.encode()])
        yield Subject(maker.__name__.replace("_", " "), *maker(random, dtype))


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _log_sum_exp(z: Array) -> Array:
    top = z.max(axis=1)
    return np.asarray(top + np.log(np.sum(np.exp(z - top[:, None]), axis=1)))
