"""Twelve functions as they are written in NumPy, for every library that differentiates such code, with their truth.

Each is written once for whatever behaves as NumPy (NumPy itself, autograd, JAX), and once more for PyTorch where that
is possible. No constant of mibun was chosen on them. The truth is a gradient in extended precision: that of the same
code by autograd in longdouble, or a formula in 30 digits where LAPACK or SciPy stands inside.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np

__all__ = ["PROBLEMS", "Problem"]

Array = Any


class Problem(NamedTuple):
    """A function of one array."""

    name: str
    x: Array
    #: From a NumPy, and a module of special functions, to f.
    f: Callable[[Any, Any], Callable[[Array], Any]]
    #: From PyTorch to f; None: it has no such function.
    torch: Callable[[Any], Callable[[Any], Any]] | None
    #: The gradient in more digits; None: by autograd in longdouble.
    truth: Callable[[Array], Array] | None = None
    #: From JAX to f, where it cannot compile that which is written for NumPy.
    jax: Callable[[Any], Callable[[Any], Any]] | None = None


RNG = np.random.default_rng(2024)


def constants(np_: Any, *arrays: Array) -> list[Any]:
    """Give constants in the precision of the run: float32, where x is."""
    return [np_.asarray(array) for array in arrays]


# Likelihoods.
X = RNG.normal(size=(400, 40))
SIGNS = np.sign(RNG.normal(size=400))
COUNTS = RNG.poisson(3.0, 400).astype(float)
FEW = RNG.normal(size=(60, 5))
OUT = np.sin(FEW.sum(axis=1)) + 0.1 * RNG.normal(size=60)


def like(data: Array, x: Any) -> Any:
    """Give data in the dtype of x: NumPy's own promotion would make float64 of all."""
    return data.astype(str(x.dtype).removeprefix("torch."))


def logistic(np_: Any, special: Any) -> Any:
    """Give the log-likelihood of a logistic regression, 40 weights and 400 samples."""

    def f(w: Any) -> Any:
        return np_.sum(np_.logaddexp(0.0, -like(SIGNS, w) * np_.dot(like(X, w), w)))

    return f


def logistic_torch(torch: Any) -> Any:
    """Give the same in PyTorch."""

    def f(w: Any) -> Any:
        signs, x = torch.tensor(SIGNS, dtype=w.dtype), torch.tensor(X, dtype=w.dtype)
        return torch.nn.functional.softplus(-signs * (x @ w), threshold=1e9).sum()

    return f


def poisson(np_: Any, special: Any) -> Any:
    """Give the log-likelihood of a Poisson regression, 40 weights and 400 samples."""

    def f(w: Any) -> Any:
        eta = np_.dot(like(X, w), w)
        return np_.sum(np_.exp(eta) - like(COUNTS, w) * eta)

    return f


def poisson_torch(torch: Any) -> Any:
    """Give the same in PyTorch."""

    def f(w: Any) -> Any:
        eta = torch.tensor(X, dtype=w.dtype) @ w
        return (torch.exp(eta) - torch.tensor(COUNTS, dtype=w.dtype) * eta).sum()

    return f


def gaussian_process(np_: Any, special: Any) -> Any:
    """Give the log-likelihood of a Gaussian process: 5 length scales, signal and noise, 60 points."""

    def f(p: Any) -> Any:
        scaled = like(FEW, p) / np_.exp(p[:5])
        squares = np_.sum(scaled**2, axis=1)
        distances = squares[:, None] + squares[None, :] - 2 * np_.dot(scaled, scaled.T)
        kernel = np_.exp(p[5]) * np_.exp(-0.5 * distances) + np_.exp(p[6]) * like(np.eye(60), p)
        factor = np_.linalg.cholesky(kernel)
        half = np_.linalg.solve(factor, like(OUT, p))
        return 0.5 * np_.sum(half**2) + np_.sum(np_.log(np_.diag(factor)))

    return f


def gaussian_process_torch(torch: Any) -> Any:
    """Give the same in PyTorch."""

    def f(p: Any) -> Any:
        scaled = torch.tensor(FEW, dtype=p.dtype) / torch.exp(p[:5])
        squares = (scaled**2).sum(1)
        distances = squares[:, None] + squares[None, :] - 2 * scaled @ scaled.T
        eye = torch.eye(60, dtype=p.dtype)
        factor = torch.linalg.cholesky(torch.exp(p[5]) * torch.exp(-0.5 * distances) + torch.exp(p[6]) * eye)
        half = torch.linalg.solve_triangular(factor, torch.tensor(OUT, dtype=p.dtype)[:, None], upper=False)
        return 0.5 * (half**2).sum() + torch.log(torch.diagonal(factor)).sum()

    return f


def gaussian_process_truth(p: Array) -> Array:
    """Half the trace of (K^-1 - a a^T) dK, a = K^-1 y."""
    p = [mpmath.mpf(float(v)) for v in p]
    n = len(FEW)
    inverse_squares = [mpmath.exp(-2 * v) for v in p[:5]]
    parts = [
        [[(mpmath.mpf(a) - mpmath.mpf(b)) ** 2 * s for a, b, s in zip(u, v, inverse_squares, strict=True)] for v in FEW]
        for u in FEW
    ]
    smooth = mpmath.matrix(n, n)
    for i in range(n):
        for j in range(n):
            smooth[i, j] = mpmath.exp(p[5] - mpmath.fsum(parts[i][j]) / 2)
    inverse = (smooth + mpmath.exp(p[6]) * mpmath.eye(n)) ** -1
    a = inverse * mpmath.matrix(OUT.tolist())
    weight = inverse - a * a.T
    both = [(i, j) for i in range(n) for j in range(n)]
    inner = {(i, j): weight[i, j] * smooth[i, j] / 2 for i, j in both}
    found = [mpmath.fsum(inner[i, j] * parts[i][j][k] for i, j in both) for k in range(5)]
    found.append(mpmath.fsum(inner.values()))
    found.append(mpmath.exp(p[6]) * mpmath.fsum(weight[i, i] for i in range(n)) / 2)
    return np.array([float(v) for v in found])


def negative_binomial(np_: Any, special: Any) -> Any:
    """Give the log-likelihood of a negative binomial regression: 40 weights and the dispersion."""

    def f(p: Any) -> Any:
        r, eta, y = np_.exp(p[40]), np_.dot(like(X, p), p[:40]), like(COUNTS, p)
        ways = special.gammaln(y + r) - special.gammaln(r)
        return -np_.sum(ways + r * np_.log(r) + y * eta - (y + r) * np_.logaddexp(np_.log(r), eta))

    return f


def negative_binomial_torch(torch: Any) -> Any:
    """Give the same in PyTorch."""

    def f(p: Any) -> Any:
        r, y = torch.exp(p[40]), torch.tensor(COUNTS, dtype=p.dtype)
        eta = torch.tensor(X, dtype=p.dtype) @ p[:40]
        ways = torch.lgamma(y + r) - torch.lgamma(r)
        return -(ways + r * torch.log(r) + y * eta - (y + r) * torch.logaddexp(torch.log(r), eta)).sum()

    return f


def negative_binomial_truth(p: Array) -> Array:
    """By hand, in 30 digits."""
    w = [mpmath.mpf(float(v)) for v in p[:40]]
    r = mpmath.exp(mpmath.mpf(float(p[40])))
    rows = [[mpmath.mpf(float(v)) for v in row] for row in X]
    found = [mpmath.mpf(0)] * 41
    for row, y in zip(rows, COUNTS, strict=True):
        mu = mpmath.exp(mpmath.fdot(row, w))
        share = mu / (r + mu)
        for j, v in enumerate(row):
            found[j] -= v * (y - (y + r) * share)
        rising = mpmath.digamma(y + r) - mpmath.digamma(r)
        found[40] -= r * (rising + mpmath.log(r) + 1 - mpmath.log(r + mu) - (y + r) / (r + mu))
    return np.array([float(v) for v in found])


# Physics.
ANGLES = RNG.uniform(0.2, 2.8, 30)


def pendulum(np_: Any, special: Any) -> Any:
    """Give the action of pendulums of 30 amplitudes: complete elliptic integrals, for which no library has a rule."""

    def f(p: Any) -> Any:
        m = np_.sin(0.5 * p) ** 2
        return np_.sum(special.ellipe(m) - (1 - m) * special.ellipk(m))

    return f


def pendulum_truth(p: Array) -> Array:
    """Use that the derivative of E - (1-m) K is K/2."""
    angles = [mpmath.mpf(float(v)) for v in p]
    return np.array([float(mpmath.ellipk(mpmath.sin(v / 2) ** 2) / 4 * mpmath.sin(v)) for v in angles])


def residual(np_: Any, special: Any) -> Any:
    """Give the squared residual of the Bratu equation on a grid of 40 x 40 points."""

    def f(u: Any) -> Any:
        inside = u[1:-1, 1:-1]
        laplace = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * inside
        return np_.sum((1600.0 * laplace + 3 * np_.exp(inside)) ** 2)

    return f


def residual_torch(torch: Any) -> Any:
    """Give the same in PyTorch."""
    return residual(torch, None)


def oscillator(np_: Any, special: Any) -> Any:
    """Give the distance after 100 Runge-Kutta steps of a Van der Pol oscillator, from its start and its constants."""

    def f(p: Any) -> Any:
        q, v, mu, k = p[0], p[1], p[2], p[3]

        for _ in range(100):
            q, v = midpoint(q, v, mu, k)
        return q * q + v * v

    return f


def midpoint(q: Any, v: Any, mu: Any, k: Any) -> tuple[Any, Any]:
    """Go one step by the midpoint rule."""
    h = 0.05
    a = mu * (1 - q * q) * v - k * q
    q2, v2 = q + h / 2 * v, v + h / 2 * a
    return q + h * v2, v + h * (mu * (1 - q2 * q2) * v2 - k * q2)


def oscillator_jax(jax: Any) -> Any:
    """Give the same as a scan, for the compilation of a hundred steps one after the other does not end."""

    def f(p: Any) -> Any:
        def step(state: Any, _: Any) -> Any:
            q, v = state
            return midpoint(q, v, p[2], p[3]), None

        (q, v), _ = jax.lax.scan(step, (p[0], p[1]), None, length=100)
        return q * q + v * v

    return f


def oscillator_torch(torch: Any) -> Any:
    """Give the same in PyTorch."""
    return oscillator(torch, None)


def rosenbrock(np_: Any, special: Any) -> Any:
    """Give Rosenbrock's function of 1,000 variables."""

    def f(x: Any) -> Any:
        return np_.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    return f


def rosenbrock_torch(torch: Any) -> Any:
    """Give the same in PyTorch."""
    return rosenbrock(torch, None)


# Learning.
TOKENS = RNG.normal(size=(32, 24))


def attention(np_: Any, special: Any) -> Any:
    """Give the loss of an attention block: 32 tokens of 24 numbers, three matrices."""

    def f(w: Any) -> Any:
        tokens = like(TOKENS, w)
        q, k, v = np_.dot(tokens, w[0]), np_.dot(tokens, w[1]), np_.dot(tokens, w[2])
        scores = np_.dot(q, k.T) / math.sqrt(24.0)
        weights = np_.exp(scores - np_.max(scores, axis=1, keepdims=True))
        weights = weights / np_.sum(weights, axis=1, keepdims=True)
        return np_.sum((np_.dot(weights, v) - tokens) ** 2)

    return f


def attention_torch(torch: Any) -> Any:
    """Give the same in PyTorch."""

    def f(w: Any) -> Any:
        tokens = torch.tensor(TOKENS, dtype=w.dtype)
        weights = torch.softmax((tokens @ w[0]) @ (tokens @ w[1]).T / math.sqrt(24.0), dim=1)
        return ((weights @ (tokens @ w[2]) - tokens) ** 2).sum()

    return f


IMAGES = RNG.normal(size=(8, 20, 20))
PATCHES = np.lib.stride_tricks.sliding_window_view(IMAGES, (5, 5), axis=(1, 2)).reshape(8, 256, 25)


def convolution(np_: Any, special: Any) -> Any:
    """Give the energy of 6 kernels of 5 x 5 on 8 images of 20 x 20, after tanh and a mean over squares of 4 x 4."""

    def f(kernels: Any) -> Any:
        maps = np_.tanh(np_.einsum("npk,fk->nfp", like(PATCHES, kernels), np_.reshape(kernels, (6, 25))))
        pooled = np_.mean(np_.reshape(maps, (8, 6, 4, 4, 4, 4)), axis=(3, 5))
        return np_.sum(pooled**2)

    return f


def convolution_torch(torch: Any) -> Any:
    """Give the same, by the convolution of PyTorch."""

    def f(kernels: Any) -> Any:
        images = torch.tensor(IMAGES, dtype=kernels.dtype)[:, None]
        maps = torch.tanh(torch.nn.functional.conv2d(images, kernels[:, None]))
        return (torch.nn.functional.avg_pool2d(maps, 4) ** 2).sum()

    return f


POINTS = RNG.normal(size=(500, 4))


def k_means(np_: Any, special: Any) -> Any:
    """Give the k-means loss of 8 centres and 500 points in 4 dimensions."""

    def f(centres: Any) -> Any:
        gaps = like(POINTS, centres)[:, None, :] - centres[None, :, :]
        return np_.sum(np_.min(np_.sum(gaps**2, axis=2), axis=1))

    return f


def k_means_torch(torch: Any) -> Any:
    """Give the same in PyTorch."""

    def f(centres: Any) -> Any:
        gaps = torch.tensor(POINTS, dtype=centres.dtype)[:, None, :] - centres[None, :, :]
        return (gaps**2).sum(2).min(1).values.sum()

    return f


NODES = np.linspace(-3.0, 3.0, 50)
TABLE = np.sin(NODES) + 0.05 * NODES**2


def calibration(np_: Any, special: Any) -> Any:
    """Give the misfit of 200 readings, corrected by a table: offset, gain and 200 readings."""

    def f(x: Any) -> Any:
        return np_.sum((np_.interp(x[2:] * x[1] + x[0], NODES, TABLE) - 0.3) ** 2)

    return f


def calibration_truth(x: Array) -> Array:
    """By the slopes of the table."""
    x = x.astype(np.longdouble)
    at = x[2:] * x[1] + x[0]
    place = np.clip(np.searchsorted(NODES, at.astype(float)) - 1, 0, 48)
    nodes, table = NODES.astype(np.longdouble), TABLE.astype(np.longdouble)
    slope = (table[place + 1] - table[place]) / (nodes[place + 1] - nodes[place])
    pulled = 2 * (table[place] + slope * (at - nodes[place]) - np.longdouble(0.3)) * slope
    return np.concatenate([[pulled.sum(), (pulled * x[2:]).sum()], pulled * x[1]])


PROBLEMS = [
    Problem("logistic regression", RNG.normal(size=40) / 6, logistic, logistic_torch),
    Problem("Poisson regression", RNG.normal(size=40) / 12, poisson, poisson_torch),
    Problem(
        "Gaussian process",
        np.array([0.3, 0.5, 0.4, 0.6, 0.2, 0.1, -2.0]),
        gaussian_process,
        gaussian_process_torch,
        gaussian_process_truth,
    ),
    Problem(
        "negative binomial (gammaln)",
        np.append(RNG.normal(size=40) / 12, 0.7),
        negative_binomial,
        negative_binomial_torch,
        negative_binomial_truth,
    ),
    Problem("pendulums (ellipk, ellipe)", ANGLES, pendulum, None, pendulum_truth),
    Problem("PDE residual, 40 x 40", RNG.normal(size=(40, 40)) / 40, residual, residual_torch),
    Problem("oscillator, 100 steps", np.array([1.2, -0.4, 0.8, 1.5]), oscillator, oscillator_torch, jax=oscillator_jax),
    Problem("Rosenbrock, n = 1,000", RNG.normal(size=1000), rosenbrock, rosenbrock_torch),
    Problem("attention block", RNG.normal(size=(3, 24, 24)) / 5, attention, attention_torch),
    Problem("convolution", RNG.normal(size=(6, 5, 5)) / 3, convolution, convolution_torch),
    Problem("k-means", RNG.normal(size=(8, 4)), k_means, k_means_torch),
    Problem("table (interp)", np.append([0.1, 1.1], RNG.uniform(-2.5, 2.5, 200)), calibration, None, calibration_truth),
]
