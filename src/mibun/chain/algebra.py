"""Linear algebra: solve, inv, det, slogdet, cholesky, eigh, svd, by their adjoints.

For X = A^-1 B the change is dX = A^-1 (dB - dA X), and so on: M. Giles, "Collected matrix derivative results for
forward and reverse mode algorithmic differentiation" (2008); for the Cholesky factor I. Murray, "Differentiation of the
Cholesky decomposition" (2016). Bounds follow the same changes to first order, with sizes in the place of entries: a
factorization is off by the change that a matrix within a few roundings of A makes (Higham 2002, chapters 9, 10 and 14).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from mibun.chain.array import Recorded, constant, recorded
from mibun.chain.refuse import refusal
from mibun.chain.rounding import rounding_unit
from mibun.chain.tape import FUNCTIONS, Array, Give, Node, Rule, handles, value_of

__all__: list[str] = []


def _t(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def _size(a: Any) -> Any:
    return np.abs(np.asarray(a, np.float64))


class Factored(Rule):
    """A function of one square matrix; the bounds of what is pulled back are those of its change."""

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Pull back the sizes, and what the factors are off."""
        raise NotImplementedError

    @staticmethod
    def unit(a: Array) -> float:
        """Give the relative backward error of a factorization."""
        return 4 * rounding_unit(a.dtype, a.shape[-1])


class Inverse(Factored):
    """Y = A^-1: dY = -Y dA Y."""

    name = "np.linalg.inv"

    def forward(self, options: Any, *values: Any) -> Any:
        """Invert."""
        return np.linalg.inv(values[0])

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Give -Y^T g Y^T."""
        y = _t(node.value)
        give(node.inputs[0], -(y @ g @ y))

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Bound |Y| E |Y|, E what A is off."""
        a, y = _size(value_of(node.inputs[0])), _size(node.value)
        off = self.unit(node.value) * a
        return y @ (off if errors[0] is None else off + errors[0]) @ y

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Do the same for both factors Y, and for g."""
        y, size = _t(_size(node.value)), np.abs(g)
        off = _t(self.lost(node, errors)) + self.unit(node.value) * y
        give(node.inputs[0], y @ gap @ y + off @ (size + gap) @ (y + off) + y @ (size + gap) @ off)


class Solve(Factored):
    """X = A^-1 B: dX = A^-1 (dB - dA X); options say whether B is a vector."""

    name = "np.linalg.solve"

    def forward(self, options: Any, *values: Any) -> Any:
        """Solve."""
        a, b = values
        return np.linalg.solve(a, b[..., None])[..., 0] if options else np.linalg.solve(a, b)

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Give u = A^-T g to B, and -u X^T to A."""
        left, right = node.inputs
        a, x = value_of(left), node.value
        g, x = (g[..., None], x[..., None]) if node.options else (g, x)
        u = np.linalg.solve(_t(a), g)
        if isinstance(right, Node) and right.live:
            give(right, u[..., 0] if node.options else u)
        if isinstance(left, Node) and left.live:
            give(left, -(u @ _t(x)))

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Bound |A^-1| (E_B + E_A |X|)."""
        a = value_of(node.inputs[0])
        x = _size(node.value)[..., None] if node.options else _size(node.value)
        off = self.unit(node.value) * _size(a)
        off = (off if errors[0] is None else off + errors[0]) @ x
        if errors[1] is not None:
            off = off + (errors[1][..., None] if node.options else errors[1])
        found = _size(np.linalg.inv(a)) @ off
        return found[..., 0] if node.options else found

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Do the same for the transposed system, and for the product."""
        left, right = node.inputs
        a, x, lost = value_of(left), _size(node.value), self.lost(node, errors)
        if node.options:
            g, gap, x, lost = g[..., None], gap[..., None], x[..., None], lost[..., None]
        turned, off = _t(np.linalg.inv(a)), self.unit(node.value) * _size(a)
        u = _size(turned @ g)
        off = _t(off if errors[0] is None else off + errors[0])
        u_off = _size(turned) @ (gap + off @ u)
        if isinstance(right, Node) and right.live:
            give(right, u_off[..., 0] if node.options else u_off)
        if isinstance(left, Node) and left.live:
            unit = rounding_unit(node.value.dtype, x.shape[-1])
            give(left, u_off @ _t(x) + (u + u_off) @ _t(lost) + unit * u @ _t(x))


class Determinant(Factored):
    """det A: linear in every entry, so that its slope is the same at every step; or log |det A|."""

    def __init__(self, logarithm: bool) -> None:
        self.logarithm = logarithm
        self.name = "np.linalg.slogdet" if logarithm else "np.linalg.det"

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute it."""
        return np.linalg.slogdet(values[0])[1] if self.logarithm else np.linalg.det(values[0])

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Give the cofactors, or the inverse, transposed."""
        a = value_of(node.inputs[0])
        slope = _t(_inverse(a)) if self.logarithm else _cofactors(a)
        give(node.inputs[0], np.asarray(g)[..., None, None] * slope)

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Bound the sum of all cofactors times what the entries are off."""
        a = value_of(node.inputs[0])
        off = self.unit(a) * _size(a)
        slope = _size(_inverse(a)) if self.logarithm else _size(_t(_cofactors(a)))
        total = np.einsum("...ij,...ji->...", off if errors[0] is None else off + errors[0], slope)
        return total + rounding_unit(node.value.dtype, a.shape[-1]) * np.abs(node.value)

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Bound what the inverse is off, or what the cofactors are."""
        a = value_of(node.inputs[0])
        off = self.unit(a) * _size(a)
        off = off if errors[0] is None else off + errors[0]
        y = _size(_inverse(a))
        slope, slope_off = y, y @ off @ y
        if not self.logarithm:
            value, lost = np.abs(node.value)[..., None, None], np.asarray(self.lost(node, errors))[..., None, None]
            slope, slope_off = _size(_t(_cofactors(a))), value * slope_off + lost * y
            slope_off = np.fmin(slope_off, _t(_minors_off(_size(a), off)))
        size, gap = np.abs(np.asarray(g))[..., None, None], np.asarray(gap)[..., None, None]
        unit = rounding_unit(a.dtype, 1)
        give(node.inputs[0], _t(gap * (slope + slope_off) + size * (slope_off + unit * slope)))


def _minors_off(size: Array, off: Array) -> Array:
    """Bound the change of every cofactor by Hadamard's inequality: linear in each row, and at most their lengths."""
    long = np.sqrt(np.square(size).sum(axis=-1))
    longer = long + np.sqrt(np.square(off).sum(axis=-1))
    n = size.shape[-1]
    others = ~np.eye(n, dtype=bool)
    change = [np.prod(longer, axis=-1, where=rest) - np.prod(long, axis=-1, where=rest) for rest in others]
    return np.broadcast_to(np.stack(change, axis=-1)[..., :, None], size.shape)


def _inverse(a: Array) -> Array:
    try:
        return np.asarray(np.linalg.inv(a))
    except np.linalg.LinAlgError:
        return np.full(a.shape, np.nan)


def _cofactors(a: Array) -> Array:
    """Give det(A) A^-T; of a matrix without an inverse by exchanging rows for unit vectors."""
    with np.errstate(all="ignore"):
        found = np.linalg.det(a)[..., None, None] * _t(_inverse(a))
    if np.isfinite(found).all():
        return np.asarray(found)
    n = a.shape[-1]
    exchanged = np.empty((*a.shape[:-2], n, n, n, n))
    exchanged[...] = a[..., None, None, :, :]
    for i in range(n):
        exchanged[..., i, :, i, :] = np.eye(n)
    return np.asarray(np.linalg.det(exchanged))


class Cholesky(Factored):
    """A = L L^T: dL = L Phi(L^-1 dA L^-T), Phi the lower half with half the diagonal; A is read as symmetric."""

    name = "np.linalg.cholesky"

    def forward(self, options: Any, *values: Any) -> Any:
        """Factor."""
        return np.linalg.cholesky(values[0])

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Give L^-T Phi(L^T g) L^-1, made symmetric, to the lower half that was read."""
        low, inverse = node.value, np.linalg.inv(node.value)
        give(node.inputs[0], _lower(_t(inverse) @ _phi(_t(low) @ g) @ inverse))

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Bound |L| Phi(|L^-1| E |L^-T|)."""
        low, inverse = _size(node.value), _size(np.linalg.inv(node.value))
        off = self.unit(node.value) * low @ _t(low)
        return low @ _phi(inverse @ (off if errors[0] is None else _read(errors[0]) + off) @ _t(inverse))

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Do the same for each factor."""
        low, inverse, size = _size(node.value), _size(np.linalg.inv(node.value)), np.abs(np.tril(g))
        lost = self.lost(node, errors)
        inverse_off = inverse @ (lost + self.unit(node.value) * low) @ inverse
        inner = _phi(_t(low) @ size)
        inner_off = _phi(_t(low) @ np.tril(gap) + _t(lost + self.unit(node.value) * low) @ (size + np.tril(gap)))
        outer = _t(inverse) @ inner_off @ inverse
        outer = (
            outer
            + _t(inverse_off) @ (inner + inner_off) @ (inverse + inverse_off)
            + _t(inverse) @ (inner + inner_off) @ inverse_off
        )
        give(node.inputs[0], _lower(outer))


def _phi(a: Array) -> Array:
    low = np.tril(a)
    diagonal = np.arange(a.shape[-1])
    low[..., diagonal, diagonal] *= 0.5
    return np.asarray(low)


def _lower(a: Array) -> Array:
    """Add the upper half to the lower one, which alone was read."""
    low = np.tril(a + _t(a))
    diagonal = np.arange(a.shape[-1])
    low[..., diagonal, diagonal] *= 0.5
    return np.asarray(low)


def _read(a: Array) -> Array:
    """Give the symmetric matrix whose lower half is that of a."""
    return np.asarray(np.tril(a) + _t(np.tril(a, -1)))


class Eigh(Factored):
    """Eigenvalues w (output 0) or eigenvectors V (output 1) of a symmetric matrix.

    dw = diag(V^T dA V), dV = V (F o V^T dA V), F_ij = 1/(w_j - w_i) off the diagonal. Options are (output, UPLO).
    """

    name = "np.linalg.eigh"

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute eigenvalues or eigenvectors."""
        return np.linalg.eigh(values[0], options[1])[options[0]]

    def _all(self, node: Node) -> tuple[Array, Array, Array]:
        w, v = np.linalg.eigh(value_of(node.inputs[0]), node.options[1])
        apart = w[..., None, :] - w[..., :, None]
        return w, v, np.divide(1.0, apart, out=np.zeros_like(apart), where=~np.eye(w.shape[-1], dtype=bool))

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Give V diag(g) V^T, or V (F o V^T g) V^T, to the half that was read."""
        _, v, apart = self._all(node)
        if node.options[0] == 0:
            found = (v * g[..., None, :]) @ _t(v)
        else:
            inner = _t(v) @ g
            inner = (inner - _t(inner)) / 2  # what is symmetric belongs to no rotation
            found = v @ np.where(inner == 0, 0.0, apart * inner) @ _t(v)
        give(node.inputs[0], self._to_half(found, node))

    @staticmethod
    def _to_half(found: Array, node: Node) -> Array:
        return _lower(found) if node.options[1] == "L" else _t(_lower(_t(found)))

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Bound the change of w and V where A is off."""
        w, v, apart = self._all(node)
        v, largest = _size(v), np.abs(w).max(axis=-1)[..., None, None]
        off = self.unit(node.value) * largest * np.ones_like(v)
        if errors[0] is not None:
            off = off + (_read(errors[0]) if node.options[1] == "L" else _t(_read(_t(errors[0]))))
        inner = _t(v) @ off @ v
        if node.options[0] == 0:
            return np.diagonal(inner, axis1=-2, axis2=-1)
        return v @ (np.abs(apart) * inner) + self.unit(node.value) * v

    def pull_gap(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], give: Give) -> None:
        """Do the same for each factor."""
        w, v, apart = self._all(node)
        v, apart = _size(v), np.abs(apart)
        values_off = np.asarray(self.lost(_as_output(node, 0), errors))
        v_off = np.asarray(self.lost(_as_output(node, 1), errors))
        size = np.abs(g)
        if node.options[0] == 0:
            inner, inner_off = size[..., None, :] * np.eye(w.shape[-1]), gap[..., None, :] * np.eye(w.shape[-1])
        else:
            product = _t(v) @ size
            product_off = _t(v) @ gap + _t(v_off) @ (size + gap)
            apart_off = apart * apart * (values_off[..., None, :] + values_off[..., :, None])
            inner = apart * (product + _t(product)) / 2
            inner_off = apart * (product_off + _t(product_off)) / 2 + apart_off * (product + _t(product)) / 2
        found = (
            v @ inner_off @ _t(v) + v_off @ (inner + inner_off) @ _t(v + v_off) + v @ (inner + inner_off) @ _t(v_off)
        )
        give(node.inputs[0], self._to_half(found, node))


def _as_output(node: Node, output: int) -> Node:
    return Node(node.value, node.rule, node.inputs, (output, node.options[1]), node.live, node.tape)


INVERSE: Final = Inverse()
SOLVE: Final = Solve()
DETERMINANT: Final = Determinant(logarithm=False)
LOGDET: Final = Determinant(logarithm=True)
CHOLESKY: Final = Cholesky()
EIGH: Final = Eigh()


def _one(rule: Rule, a: Any, options: Any = None) -> Any:
    return recorded(rule, (a,), rule.forward(options, a.value), options)


@handles(np.linalg.inv)
def inverted(a: Any) -> Any:
    """Invert."""
    return _one(INVERSE, a)


@handles(np.linalg.solve)
def solved(a: Any, b: Any) -> Any:
    """Solve a system."""
    a, b = (one if isinstance(one, Recorded) else np.asarray(constant(one)) for one in (a, b))
    vector = b.ndim == 1
    return recorded(SOLVE, (a, b), SOLVE.forward(vector, value_of(a), value_of(b)), vector)


@handles(np.linalg.det)
def determinant(a: Any) -> Any:
    """Give the determinant."""
    return _one(DETERMINANT, a)


@handles(np.linalg.slogdet)
def sign_and_log(a: Any) -> Any:
    """Give the sign of the determinant, and the logarithm of its size."""
    kind: Callable[..., Any] = type(np.linalg.slogdet(np.eye(1)))
    return kind(_one(SIGN, a), _one(LOGDET, a))


class Sign(Rule):
    """The sign of the determinant: flat wherever it has a slope."""

    name, flat = "np.linalg.slogdet", True

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute it."""
        return np.linalg.slogdet(values[0])[0]

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Give none: the value is taken as it is."""
        return None


SIGN: Final = Sign()


@handles(np.linalg.cholesky)
def factored(a: Any, /, *, upper: bool = False) -> Any:
    """Give the Cholesky factor."""
    return FUNCTIONS[np.swapaxes](_one(CHOLESKY, a.mT), -1, -2) if upper else _one(CHOLESKY, a)


@handles(np.linalg.eigh)
def eigen(a: Any, UPLO: str = "L") -> Any:  # noqa: N803
    """Give eigenvalues and eigenvectors of a symmetric matrix."""
    kind: Callable[..., Any] = type(np.linalg.eigh(np.eye(1)))
    return kind(_one(EIGH, a, (0, UPLO)), _one(EIGH, a, (1, UPLO)))


@handles(np.linalg.eigvalsh)
def eigenvalues(a: Any, UPLO: str = "L") -> Any:  # noqa: N803
    """Give the eigenvalues of a symmetric matrix."""
    return _one(EIGH, a, (0, UPLO))


@handles(np.linalg.svd)
def singular(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Give singular values, from the eigenvalues of [[0, A], [A^T, 0]], which are they and their negatives."""
    if compute_uv:
        raise refusal("np.linalg.svd with vectors", "use compute_uv=False, or np.linalg.eigh of a.T @ a")
    if a.ndim != 2:
        raise refusal(
            "np.linalg.svd of several matrices", "call it for one after the other, and np.stack what it gives"
        )
    m, n = a.shape
    above = FUNCTIONS[np.concatenate]([np.zeros((m, m)), a], 1)
    below = FUNCTIONS[np.concatenate]([a.T, np.zeros((n, n))], 1)
    return eigenvalues(FUNCTIONS[np.concatenate]([above, below], 0))[::-1][: min(m, n)]


@handles(np.linalg.matrix_power)
def power(a: Any, n: int) -> Any:
    """Multiply a matrix with itself."""
    if n < 0:
        return power(inverted(a), -n)
    found: Any = None
    while n:
        if n % 2:
            found = a if found is None else np.matmul(found, a)
        n //= 2
        a = np.matmul(a, a) if n else a
    return np.eye(a.shape[-1]) if found is None else found


@handles(np.linalg.multi_dot)
def multiplied(arrays: Any) -> Any:
    """Multiply matrices, from left to right."""
    found, *others = arrays
    for other in others:
        found = FUNCTIONS[np.dot](found, other)
    return found


@handles(np.linalg.pinv)
def pseudo_inverse(a: Any) -> Any:
    """Give the inverse of a matrix of full rank from the left or the right."""
    turned, tall = a.mT, a.shape[-2] >= a.shape[-1]
    square = np.matmul(turned, a) if tall else np.matmul(a, turned)
    if np.any(np.linalg.matrix_rank(square.value) < square.shape[-1]):
        raise refusal("np.linalg.pinv of a matrix that has not full rank", "there it jumps, and has no derivative")
    return np.matmul(inverted(square), turned) if tall else np.matmul(turned, inverted(square))


@handles(np.linalg.lstsq)
def least_squares(a: Any, b: Any, rcond: Any = None) -> Any:
    """Refuse: rank and singular values have no slopes."""
    raise refusal("np.linalg.lstsq", "write np.linalg.solve(a.T @ a, a.T @ b)")
