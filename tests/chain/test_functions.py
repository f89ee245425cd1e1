"""Every function that the tape knows, against black-box differences, which know nothing of the tape."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mibun as mb

RNG = np.random.default_rng(20)
V = RNG.normal(size=6)
P = RNG.uniform(0.5, 2.0, 6)  # above 0
U = RNG.uniform(-0.8, 0.8, 6)  # within (-1, 1)
M = RNG.normal(size=(3, 4))
S = RNG.normal(size=(3, 3)) + 3 * np.eye(3)
T = RNG.normal(size=(2, 3, 4))
C = RNG.normal(size=(3, 4))
W = RNG.normal(size=(4, 2))
B = RNG.normal(size=(2, 4, 3))
SINGULAR = np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0]) + np.diag([1.0, 0.0, 0.0])
MASK = np.array([True, False, True, True, False, True])

UNARY = {
    np.exp: V, np.exp2: V, np.expm1: V, np.log: P, np.log2: P, np.log10: P, np.log1p: P, np.sqrt: P, np.cbrt: V,
    np.square: V, np.reciprocal: P, np.sin: V, np.cos: V, np.tan: U, np.sinh: V, np.cosh: V, np.tanh: V,
    np.arcsin: U, np.arccos: U, np.arctan: V, np.arcsinh: V, np.arccosh: P + 1, np.arctanh: U, np.absolute: V,
    np.fabs: V, np.degrees: V, np.radians: V, np.deg2rad: V, np.rad2deg: V, np.negative: V, np.positive: V,
    np.conjugate: V, np.sinc: V,
}  # fmt: skip
BINARY = {
    np.add: V, np.subtract: V, np.multiply: V, np.divide: P, np.true_divide: P, np.power: P, np.float_power: P,
    np.arctan2: P, np.hypot: V, np.logaddexp: V, np.logaddexp2: V, np.maximum: V, np.minimum: V, np.fmax: V,
    np.fmin: V, np.remainder: P, np.mod: P, np.fmod: P,
}  # fmt: skip

Row = tuple[str, Callable[[Any], Any], Any]


def row(name: str, f: Callable[[Any], Any], x: Any) -> Row:
    return name, f, x


def both_sides(ufunc: np.ufunc, x: Any) -> list[Row]:
    """With itself, with a row and a column (broadcast), and with a number."""
    name, other = ufunc.__name__, np.abs(V[::-1]) + 0.7
    return [
        row(f"{name}: both", lambda x: ufunc(x[:3], x[3:]), x),
        row(f"{name}: left", lambda x: ufunc(x, other), x),
        row(f"{name}: right", lambda x: ufunc(other, x), x),
        row(f"{name}: broadcast", lambda x: ufunc(x[:2, None], x[None, 2:]), x),
        row(f"{name}: number", lambda x: ufunc(x, 1.7), x),
    ]


OPERATORS = [
    row("+ - * /", lambda x: (x + 1 - x * x) / (2 + x) - (1 - x) + 3 / x, P),
    row("**", lambda x: x**2 + x**3.5 + 2**x + x**-1 + x**x + x**0, P),
    row("** at 0", lambda x: x**2 + x**1 + x**3, np.array([0.0, 1.0, -2.0])),
    row("// and %", lambda x: x // 0.3 + x % 0.3 + 7.1 % x, P),
    row("divmod", lambda x: divmod(x, 0.3)[0] + divmod(x, 0.3)[1] + np.divmod(x, 0.4)[1], P),
    row("-x, +x, abs", lambda x: -x + abs(x) * +x, V),
    row("@", lambda x: x.reshape(2, 3) @ C @ W, V),
    row("+= of a number", lambda x: sum_up(x), V),
    row("sum()", lambda x: sum(x), V),
    row("comparison", lambda x: (x > 0) * x + (x <= 0) * x**2, V),
    row(
        "round, floor", lambda x: x + np.floor(x) + np.ceil(x) + np.rint(x) + np.trunc(x) + np.sign(x) + round(x[0]), V
    ),
    row("heaviside", lambda x: x * np.heaviside(x, 0.5), V),
    row("copysign", lambda x: np.copysign(x, V[::-1]), P),
    row("ldexp", lambda x: np.ldexp(x, 3), V),
    row("modf", lambda x: np.modf(x)[0] * 2, P),
    row("ufunc.outer", lambda x: np.multiply.outer(x[:2], x[2:]) + np.add.outer(x[:2], x[2:]), V),
    row("ufunc.reduce", lambda x: np.add.reduce(x) + np.multiply.reduce(x) + np.maximum.reduce(x), V),
    row("ufunc.accumulate", lambda x: np.add.accumulate(x) + np.multiply.accumulate(x), V),
    row("array of numbers", lambda x: np.array([x[0] * x[1], x[2] ** 2, 3.0]), V),
    row("array of numbers, used", lambda x: np.sin(np.array([x[0] * x[1], x[2]])) * x[3], V),
    row("list of numbers", lambda x: [x[0] * x[1], x[2] ** 2, 3.0], V),
]


def sum_up(x: Any) -> Any:
    total = 0.0
    for number in x:
        total += number**2
        total *= 1.01
    return total


MOVES = [
    row("index", lambda x: x[2] * x[-1], V),
    row("slices", lambda x: x[1:4] * x[::2] + x[::-1][:3], V),
    row("index of two axes", lambda x: x[1, 2] * x[0] + x[:, 1].sum() * x[..., -1, None], M),
    row("newaxis", lambda x: x[None] * x[:, None], V),
    row("repeated indices", lambda x: x[[0, 0, 1, 0, -1]] * np.arange(5), V),
    row("pairs of indices", lambda x: x[[0, 1, 0], [2, 2, 2]] ** 2, M),
    row("index and slice", lambda x: x[[0, 1, 0], :, 1] ** 2, T),
    row("mask", lambda x: x[MASK] ** 2, V),
    row("own mask", lambda x: np.sum(x[x > 0] ** 2), V),
    row("mask of two axes", lambda x: x[C > 0] ** 2, M),
    row("np.ix_", lambda x: x[np.ix_([0, 2, 2], [1, 3])] ** 2, M),
    row("loop over rows", lambda x: sum(np.sum(one) ** 2 for one in x), M),
    row("reshape", lambda x: x.reshape(2, 3) * np.reshape(x, (2, -1)), V),
    row("reshape in F", lambda x: x.reshape((4, 3), order="F") ** 2, M),
    row("ravel, flatten", lambda x: x.ravel() * x.flatten() * np.ravel(x, order="F"), M),
    row("transpose", lambda x: x.T @ x + np.transpose(x) @ C, M),
    row(
        "transpose of three",
        lambda x: x.transpose(2, 0, 1) ** 2 + np.moveaxis(x, -1, 0) * np.swapaxes(x, 0, 1).T[:, :2],
        np.moveaxis(T, 1, 1)[:, :2],
    ),
    row("swapaxes", lambda x: np.swapaxes(x, 0, 2) ** 2, T),
    row("expand, squeeze", lambda x: np.squeeze(np.expand_dims(x, 1), 1) * x, V),
    row("atleast", lambda x: np.atleast_2d(x) * np.atleast_1d(x) * np.atleast_3d(x[0]), V),
    row("concatenate", lambda x: np.concatenate([x, x[:2] ** 2, np.ones(2)]) ** 2, V),
    row("concatenate on axis 1", lambda x: np.concatenate([x, C, x * 2], axis=1) ** 2, M),
    row("concatenate flat", lambda x: np.concatenate([x, x], axis=None) ** 2, M),
    row("stack", lambda x: np.stack([x, x**2, C]) ** 2 + np.stack([x, x, x], axis=0), M),
    row("stack of numbers", lambda x: np.stack([x[0], x[1] * x[2], 2.0]) ** 2, V),
    row("stack on axis 1", lambda x: np.stack([x, x**2], axis=1), V),
    row("hstack, vstack", lambda x: np.hstack([x, x**2]).sum() * np.vstack([x, x**2]), V),
    row("dstack, column_stack", lambda x: np.dstack([x, x**2])[0] * np.column_stack([x, x**3]), V),
    row("append", lambda x: np.append(x, x[0] ** 2) ** 2, V),
    row("split", lambda x: np.split(x, 3)[1] * np.array_split(x, 3)[0], V),
    row("flip, roll, rot90", lambda x: np.flip(x) * np.roll(x, 2) + np.roll(x, 1, axis=0) + np.rot90(x, 2), M),
    row("fliplr, flipud", lambda x: np.fliplr(x) * np.flipud(x), M),
    row("repeat, tile", lambda x: np.repeat(x, 2) * np.tile(x, 2) * x.repeat([1, 2, 3, 2, 2, 2]), V),
    row("diag", lambda x: np.diag(x) @ np.ones((6, 2)) + np.diag(np.diag(x))[:, None] ** 2, V),
    row("diagonal, trace", lambda x: x.diagonal() ** 2 * np.trace(x) + np.trace(x, 1), S),
    row("tril, triu", lambda x: np.tril(x) ** 2 + np.triu(x, 1) ** 3, M),
    row("take", lambda x: np.take(x, [0, 0, 3]) * x.take([1, 2, 2]), V),
    row("take_along_axis", lambda x: np.take_along_axis(x, np.argsort(C, axis=1), 1) ** 2, M),
    row("compress, extract", lambda x: np.compress(MASK, x) * np.extract(MASK, x), V),
    row("compress by itself", lambda x: np.sum(np.compress(x > 0, x) ** 2) + np.sum(np.extract(x > 0, x)), V),
    row("compress along axis", lambda x: np.compress([True, False, True], x, axis=1) ** 2, M),
    row("repeat by a recorded count", lambda x: np.repeat(x, np.argsort(x) % 3).sum() * x, V),
    row("a constant taken by a recorded index", lambda x: np.take(C.ravel(), np.argsort(x)) * x, V),
    row("delete", lambda x: np.delete(x, [1, 3]) ** 2, V),
    row("resize", lambda x: np.resize(x, (3, 3)) ** 2, V),
    row("broadcast_to", lambda x: np.broadcast_to(x, (3, 6)) ** 2 * np.arange(3)[:, None], V),
    row("broadcast_arrays", lambda x: np.broadcast_arrays(x[:2], x[2:, None])[1] ** 2, V),
    row("pad", lambda x: np.pad(x, 2) ** 2 + np.pad(x, 2, mode="edge") * np.pad(x, 2, mode="wrap"), V),
    row("pad with 3", lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=3.0) ** 2, M),
    row("pad, reflected", lambda x: np.pad(x, 2, mode="reflect") * np.pad(x, 2, mode="symmetric"), V),
    row("sliding windows", lambda x: np.lib.stride_tricks.sliding_window_view(x, 3) ** 2, V),
    row(
        "sliding windows of two axes", lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2)).sum((2, 3)) ** 2, M
    ),
    row("choose", lambda x: np.choose([0, 1, 0], [x[:3], x[3:] ** 2]), V),
]

CHOICES = [
    row("where", lambda x: np.where(x > 0, x**2, -x), V),
    row("where, broadcast", lambda x: np.where(MASK, x[:, None], 2.0) ** 2, V),
    row("where of numbers", lambda x: np.where(x[0] > 0, x, x**2), V),
    row("max, min", lambda x: np.max(x) * x.min() + np.amax(x), V),
    row("max along axes", lambda x: x.max(axis=1) * np.min(x, axis=(1,)) + np.max(x, axis=0, keepdims=True).sum(), M),
    row("max of two axes", lambda x: np.max(x, axis=(0, 2)) ** 2, T),
    row("ptp", lambda x: np.ptp(x, axis=0) ** 2, M),
    row("clip", lambda x: np.clip(x, -0.5, 0.9) * x + x.clip(0.1), V),
    row("argmax", lambda x: x[np.argmax(x)] ** 2 + x[x.argmin()], V),
    row("sort", lambda x: np.sort(x) * np.arange(6) + np.sort(x)[::-1] ** 2, V),
    row("sort along axis", lambda x: np.sort(x, axis=0) ** 2 + np.sort(x, axis=None).reshape(3, 4), M),
    row("argsort", lambda x: x[np.argsort(x)] * np.arange(6), V),
    row("partition", lambda x: np.partition(x, 2)[:3].sum(), V),
    row("median", lambda x: np.median(x) ** 2 + np.median(x[:5]), V),
    row("median along axis", lambda x: np.median(x, axis=1) ** 2, M),
    row("quantile", lambda x: np.quantile(x, 0.3) + np.percentile(x, [10, 55]) ** 2, V),
    row("select", lambda x: np.select([x < -0.5, x < 0.5], [x**2, x**3], 1.0), V),
    row("nan_to_num", lambda x: np.nan_to_num(x) ** 2, V),
    row("count_nonzero", lambda x: x * np.count_nonzero(x > 0), V),
    row("searchsorted", lambda x: x * np.searchsorted(np.array([0.0, 1.0]), x), V),
    row("a table", lambda x: x * np.array([1.0, 2.0, 5.0])[np.searchsorted(np.array([0.0, 1.0]), x)], V),
    row("astype", lambda x: x * (x > 0).astype(float) + np.floor(x).astype(int), V),
]

SUMS = [
    row("sum", lambda x: np.sum(x**2) + x.sum(axis=0).sum() ** 2, M),
    row("sum of axes", lambda x: np.sum(x, axis=(0, 2)) ** 2 + x.sum(-1, keepdims=True).sum((0, 2)), T),
    row("mean", lambda x: x.mean() * np.mean(x, axis=1) ** 2, M),
    row("var, std", lambda x: np.var(x, axis=0) * np.std(x) + x.std(axis=1, ddof=1, keepdims=True).sum(), M),
    row("average", lambda x: np.average(x, axis=1, weights=[1.0, 2.0, 3.0, 0.5]) ** 2, M),
    row("average, own weights", lambda x: np.average(x, weights=x**2), P),
    row("cumsum", lambda x: np.cumsum(x) ** 2 + x.cumsum(), V),
    row("cumsum along axis", lambda x: np.cumsum(x, axis=0) * np.cumsum(x, axis=1), M),
    row("prod", lambda x: np.prod(x) + x.prod(), V),
    row("prod with a 0", lambda x: np.prod(x), np.array([1.5, 0.0, 2.0])),
    row("prod along axis", lambda x: np.prod(x, axis=1) * np.prod(x, axis=0, keepdims=True).sum(), M),
    row("cumprod", lambda x: np.cumprod(x) + np.cumprod(x)[::-1], np.array([1.5, 0.0, 2.0, -1.0])),
    row("diff", lambda x: np.diff(x) ** 2 + np.diff(x, n=2, prepend=0.0), V),
    row("diff along axis", lambda x: np.diff(x, axis=0) ** 2, M),
    row("ediff1d", lambda x: np.ediff1d(x) ** 2, V),
    row("np.gradient", lambda x: np.gradient(x, 0.1) ** 2, V),
    row("np.gradient of two axes", lambda x: np.gradient(x)[0] * np.gradient(x)[1], M),
    row("trapezoid", lambda x: np.trapezoid(x**2, dx=0.1) + np.trapezoid(x, np.arange(6.0) ** 2), V),
    row("interp", lambda x: np.interp(x, [-2.0, -1.03, 0.04, 1.01, 2.0], [0.0, 1.0, 4.0, 2.0, 3.0]) * x, U),
    row("interp, own table", lambda x: np.interp([0.3, 1.7], [0.0, 1.0, 2.0], x[:3]) ** 2, V),
    row("cov, corrcoef", lambda x: np.cov(x) * np.corrcoef(x), M),
    row("polyval", lambda x: np.polyval(x, x), P),
    row("nansum", lambda x: np.nansum(x**2) + np.nanmean(x), V),
    row("ones_like", lambda x: np.ones_like(x) * x + np.zeros_like(x) + np.full_like(x, 2.0), V),
]

PRODUCTS = [
    row("dot", lambda x: np.dot(x, C.T) + np.dot(C, x.T) + x.dot(C.T), M),
    row("dot of vectors", lambda x: np.dot(x, x) * np.dot(x[:3], C[:, 0]), V),
    row("dot with a number", lambda x: np.dot(x, 2.0) + np.dot(x[0], x), V),
    row("dot of three axes", lambda x: np.dot(x, W), T),
    row("matmul, vectors", lambda x: (x @ x) * (C.T @ x[:3]) + x[:3] @ C, V),
    row("matmul, batches", lambda x: x @ B + (x @ W).sum(-1, keepdims=True), T),
    row("matmul, broadcast", lambda x: x @ B[0] + x[0] @ B, T),
    row("matmul, vector and batch", lambda x: (x[0, 0] @ B) * 1.0 + (x @ x[0, 1])[:, :3].sum(), T),
    row("einsum", lambda x: np.einsum("ij,kj->ik", x, x) + np.einsum("ij,kj", x, C), M),
    row("einsum, trace and diagonal", lambda x: np.einsum("ii", x) * np.einsum("ii->i", x), S),
    row("einsum, one axis alone", lambda x: np.einsum("ij,k->k", x, x[0]), M),
    row("einsum, three", lambda x: np.einsum("ij,jk,kl->il", x, W, x[:2, :2] @ C[:2]), M),
    row("einsum, ellipsis", lambda x: np.einsum("...ij,...jk->...ik", x, B), T),
    row("einsum, lists", lambda x: np.einsum(x, [0, 1], C, [2, 1], [0, 2]), M),
    row("inner, outer, vdot", lambda x: np.inner(x, x) * np.outer(x, x) + np.vdot(x, x), V),
    row("tensordot", lambda x: np.tensordot(x, B, axes=([2, 0], [1, 0])) + np.tensordot(x, C.T, 1).sum(), T),
    row("kron", lambda x: np.kron(x.reshape(2, 3), np.ones((2, 1)) * x[0]), V),
    row("cross", lambda x: np.cross(x[:3], x[3:]), V),
    row("convolve", lambda x: np.convolve(x, x[:3]) ** 2, V),
    row(
        "convolve, same, valid",
        lambda x: np.convolve(x, [1.0, 2.0, 0.5], "same") * x + np.convolve(x, C[0, :2], "valid").sum(),
        V,
    ),
    row("correlate", lambda x: np.correlate(x, [1.0, 2.0, 0.5], "full") ** 2, V),
]

ALGEBRA = [
    row("inv", np.linalg.inv, S),
    row("inv of several", lambda x: np.linalg.inv(x + 3 * np.eye(3)), B[:, :3]),
    row("solve", lambda x: np.linalg.solve(x, x[:, :2] ** 2), S),
    row("solve, vector", lambda x: np.linalg.solve(x, x[0]), S),
    row("det", np.linalg.det, S),
    row("det of a singular matrix", np.linalg.det, SINGULAR),
    row("slogdet", lambda x: np.linalg.slogdet(x)[1] * x[0], S),
    row("cholesky", lambda x: np.linalg.cholesky(x @ x.T) ** 2, S),
    row("cholesky reads the lower half", lambda x: np.linalg.cholesky(np.tril(x) + 9 * np.eye(3)), S),
    row("eigh", lambda x: np.linalg.eigh(x @ x.T)[0] ** 2, S),
    row("eigvalsh", lambda x: np.linalg.eigvalsh(x @ x.T), S),
    row("projector on the first eigenvectors", lambda x: projector(x @ x.T), S),
    row("norm", lambda x: np.linalg.norm(x) * np.linalg.norm(x, axis=1) + np.linalg.norm(x, 1, axis=1), M),
    row("norms of a matrix", lambda x: np.linalg.norm(x, 1) + np.linalg.norm(x, np.inf) * np.linalg.norm(x, 2), M),
    row("norms of a vector", lambda x: np.linalg.norm(x, np.inf) * np.linalg.norm(x, 3) + np.linalg.norm(x, 1), V),
    row("nuclear norm", lambda x: np.linalg.norm(x, "nuc") * np.linalg.norm(x, "fro"), M),
    row("svd", lambda x: np.linalg.svd(x, compute_uv=False) ** 3, M),
    row("matrix_power", lambda x: np.linalg.matrix_power(x, 3) + np.linalg.matrix_power(x, -1), S),
    row("multi_dot", lambda x: np.linalg.multi_dot([x, W, x[:2, :2]]), M),
    row("pinv", np.linalg.pinv, M),
]  # fmt: skip


def projector(a: Any) -> Any:
    vectors = np.linalg.eigh(a)[1][:, :2]
    return vectors @ vectors.T


ROWS: list[Row] = [
    *(row(ufunc.__name__, ufunc, x) for ufunc, x in UNARY.items()),
    *(one for ufunc, x in BINARY.items() for one in both_sides(ufunc, x)),
    *OPERATORS,
    *MOVES,
    *CHOICES,
    *SUMS,
    *PRODUCTS,
    *ALGEBRA,
]


@pytest.mark.parametrize(("f", "x"), [one[1:] for one in ROWS], ids=[one[0] for one in ROWS])
def test_a_function_against_black_box_differences(f: Callable[[Any], Any], x: Any) -> None:
    kept = x.copy()
    chain, adaptive = mb.jacobian(f, x, method="chain"), mb.jacobian(f, x)
    assert np.array_equal(x, kept)
    assert chain.value.shape == adaptive.value.shape
    known = (adaptive.status == mb.Status.CONVERGED) | (adaptive.status == mb.Status.INSENSITIVE)
    gap = np.where(known, np.abs(chain.value - adaptive.value), 0.0)
    assert known.mean() > 0.8
    assert (gap <= chain.error + adaptive.error).all(), (gap.max(), chain.error.max(), adaptive.error.max())
    assert np.isfinite(chain.error).all()
    assert chain.error.max() <= 1e-8 * max(1.0, np.abs(chain.value).max())
    assert np.allclose(chain.fx, adaptive.fx, rtol=1e-13, atol=1e-13)
