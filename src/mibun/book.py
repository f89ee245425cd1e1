"""The functions of five study notes on chapter 4 of a from-scratch deep-learning book, under their own names.

They keep the notes' fixed h and `+1e-7`, so the printed digits come out; the rest of mibun gives better ones.
"""

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mibun.errors import FunctionUnchanged, InputError, MibunWarning

__all__ = [
    "CHAIN_RULE_EXAMPLES",
    "DERIVATIVE_TABLE",
    "DerivativeRow",
    "SubstitutionRow",
    "TwoLayerNet",
    "coupled_recurrences",
    "cross_entropy_error",
    "derivative",
    "factorial",
    "func1",
    "func2",
    "function_1",
    "function_2",
    "function_tmp1",
    "function_tmp2",
    "gradient_descent",
    "layer_recurrence",
    "load_mnist",
    "mini_batch",
    "normal_density",
    "normal_initialisation",
    "numerical_diff",
    "numerical_diff_forward",
    "numerical_gradient",
    "recurrence",
    "sequence_2n",
    "sequence_2n_minus_1",
    "sigmoid",
    "simpleNet",
    "simple_derivative",
    "softmax",
    "step_function",
    "sum_squares_error",
    "tangent_line",
    "unit_with_bias",
    "unit_with_threshold",
]

Array = npt.NDArray[np.float64]
Function = Callable[[Any], Any]
Rng = int | np.random.Generator | None  # a seed, a generator, or None for a fresh one

H = 1e-4  # the notes' h
DELTA = 1e-5  # the h of the second lecture


def _array(x: npt.ArrayLike) -> Array:
    """Copy numbers of any kind and shape into a new float64 array, in which x + 1e-4 is not x."""
    given = np.asarray(x)
    if given.dtype.kind not in "biuf":
        raise InputError(f"expected real numbers, got {given.dtype} values; write floats, for example 3.0")
    return np.array(given, dtype=np.float64)


def _scalar_or_array(x: Any) -> Any:
    """Leave Python numbers alone (so `math` functions work) and widen everything else to float64."""
    return x if isinstance(x, int | float) else _array(x)[()]


# 4.3 Numerical differentiation: one variable


def numerical_diff_forward(f: Function, x: Any, h: float = 10e-50) -> Any:
    """Forward difference (f(x + h) - f(x)) / h, the notes' bad example.

    With the default h it gives 0.0, because x + h == x (absorption); h=1e-4 gives an error of about h.
    """
    x = _scalar_or_array(x)
    return (f(x + h) - f(x)) / h


def numerical_diff(f: Function, x: Any) -> Any:
    """Central difference (f(x + h) - f(x - h)) / 2h with h = 1e-4, at a number or elementwise."""
    x = _scalar_or_array(x)
    return (f(x + H) - f(x - H)) / (2 * H)


def simple_derivative(f: Function, var: Any) -> Any:
    """Central difference of the second lecture, with delta = 1e-5."""
    var = _scalar_or_array(var)
    return (f(var + DELTA) - f(var - DELTA)) / (2 * DELTA)


def function_1(x: Any) -> Any:
    """Return 0.01x² + 0.1x, whose derivative is 0.02x + 0.1."""
    return 0.01 * x**2 + 0.1 * x


def func1(x: Any) -> Any:
    """Return x², whose derivative is 2x."""
    return x**2


def tangent_line(f: Function, x: Any) -> Function:
    """Return the tangent of f at x as a function: t -> d·t + (f(x) - d·x)."""
    d = numerical_diff(f, x)
    intercept = f(x) - d * x
    return lambda t: d * t + intercept


# Differentiation in machine learning: the table of derivatives, the chain rule


class DerivativeRow(NamedTuple):
    """A function, its exact derivative, and the formula as the note writes it."""

    function: Function
    derivative: Function
    formula: str


class SubstitutionRow(NamedTuple):
    """A function outer(inner(x)): the derivatives of its parts and of the whole, and the note's formula."""

    inner: Function
    inner_derivative: Function
    derivative: Function
    formula: str
    outer: Function = np.exp
    outer_derivative: Function = np.exp

    def function(self, x: Any) -> Any:
        """Put t = inner(x) into outer(t)."""
        return self.outer(self.inner(x))

    def chain_rule(self, x: Any) -> Any:
        """Multiply df/dt, taken at t = inner(x), by dt/dx."""
        return self.outer_derivative(self.inner(x)) * self.inner_derivative(x)


#: The notes' table of derivatives: functions, their derivatives, and what the notes write.
DERIVATIVE_TABLE = (
    DerivativeRow(lambda x: 7.0 + 0 * x, lambda x: 0.0 * x, "c -> 0, here 7 -> 0"),
    DerivativeRow(lambda x: 3 * x**2, lambda x: 6 * x, "a x^n -> a n x^(n-1), here 3x^2 -> 6x"),
    DerivativeRow(np.exp, np.exp, "e^x -> e^x"),
    DerivativeRow(np.log, lambda x: 1 / x, "ln x -> 1/x"),
    DerivativeRow(lambda x: 3 * x**2 + np.exp(x) + 7, lambda x: 6 * x + np.exp(x), "3x^2+e^x+7 -> 6x+e^x"),
    DerivativeRow(lambda x: np.log(x) + 1 / x, lambda x: 1 / x - 1 / x**2, "ln x + 1/x -> 1/x - 1/x^2"),
)

#: The notes' examples of the chain rule.
CHAIN_RULE_EXAMPLES = (
    SubstitutionRow(lambda x: 3 * x**2, lambda x: 6 * x, lambda x: 6 * x * np.exp(3 * x**2), "e^t, t = 3x^2 -> 6x e^t"),
    SubstitutionRow(lambda x: -x, lambda x: -1.0 + 0 * x, lambda x: -np.exp(-x), "e^t, t = -x -> -e^t"),
)


# 4.3.3 Partial derivatives


def function_2(x: Any) -> Any:
    """Return x0² + x1²; for x of shape (2, n) that is n values."""
    return x[0] ** 2 + x[1] ** 2


def function_tmp1(x0: Any) -> Any:
    """Return `function_2` with x1 held at 4: a function of x0 alone."""
    return x0 * x0 + 4.0**2.0


def function_tmp2(x1: Any) -> Any:
    """Return `function_2` with x0 held at 3: a function of x1 alone."""
    return 3.0**2.0 + x1 * x1


def func2(W: Any) -> Any:
    """Return 2x + 3xy + y³ for W = (x, y), whose partial derivatives are 2 + 3y and 3x + 3y²."""
    x, y = W[0], W[1]
    return 2 * x + 3 * x * y + np.power(y, 3)


# 4.4 The gradient


def _value(f: Function, x: Array) -> float:
    """Give f an array of its own, and take its one number."""
    with np.errstate(all="ignore"):
        value = np.asarray(f(x.copy()))
    if value.size != 1:
        raise InputError(f"f gave an array of shape {value.shape}, but it must give one number, e.g. its sum")
    return float(value.item())


def _differences(f: Function, x: Array, h: float) -> tuple[Array, set[float]]:
    """Central differences for every element of x, and the set of all values that f took."""
    grad, point, seen = np.zeros(x.shape), x.copy(), set[float]()
    for index in np.ndindex(x.shape):
        point[index] = x[index] + h
        f_plus = _value(f, point)
        point[index] = x[index] - h
        f_minus = _value(f, point)
        point[index] = x[index]
        grad[index] = (f_plus - f_minus) / (2 * h)
        seen |= {f_plus, f_minus}
    return grad, seen


def _checked_differences(f: Function, x: Array, h: float) -> Array:
    """Central differences, with a warning where f took the same value at every point."""
    grad, seen = _differences(f, x, h)
    if x.size >= 2 and len(seen) == 1 and not grad.any() and _value(f, x) in seen:
        warnings.warn(FunctionUnchanged("f did not change: does it use its argument?"), stacklevel=3)
    return grad


def numerical_gradient(f: Function, x: npt.ArrayLike) -> Array:
    """Gradient of f at an array x of any shape by central differences with h = 1e-4, in float64.

    f gets copies, and x stays as it is; the gradient points where f grows fastest, -gradient where it falls.
    """
    return _checked_differences(f, _array(x), H)


def derivative(f: Function, var: npt.ArrayLike) -> Array:
    """Gradient of the second lecture, with delta = 1e-5, for numbers, vectors, matrices and beyond."""
    return _checked_differences(f, _array(var), DELTA)


# 4.4.1 Gradient descent


_ABSORBED = "after {} updates x + h == x (absorption): the gradient is numerically dead, x an artefact"


def gradient_descent(f: Function, init_x: npt.ArrayLike, lr: float = 0.01, step_num: int = 100) -> Array:
    """Repeat x = x - lr * gradient `step_num` times, on a copy of init_x, and return the last x.

    A warning says when f ended no lower than it began, or when x + h == x made the gradient meaningless.
    """
    if not lr >= 0:
        raise InputError(f"lr must be >= 0, got {lr}; to climb, descend the negative: lambda x: -f(x)")
    start = x = _array(init_x)
    moved, complaints = False, list[str]()
    for update in range(step_num):
        if not complaints and np.any((x + H == x) & (x - H == x)):
            complaints = [_ABSORBED.format(update)]
        with np.errstate(all="ignore"):
            before, x = x, x - lr * _differences(f, x, H)[0]
        moved = moved or not np.array_equal(before, x)
    f_start, f_end = _value(f, start), _value(f, x)
    if moved and not -math.inf < f_end < f_start:
        complaints.insert(0, f"diverged: f went from {f_start:.3g} to {f_end:.3g} with lr={lr:g}")
        curvature = _largest_curvature(f, start)
        if 0 < curvature < math.inf:
            complaints.insert(1, f"the largest stable rate at the start is about {2 / curvature:#.2g}")
    if complaints:
        warnings.warn(MibunWarning("; ".join(complaints)), stacklevel=2)
    return x


def _largest_curvature(f: Function, x: Array) -> float:
    """Curvature of f at x along its gradient, turned towards the largest by a power iteration."""
    grad, _ = _differences(f, x, H)
    reach = 1e-2 * max(1.0, float(np.abs(x).max()))
    bent, curvature = grad, math.nan
    for _ in range(8):
        if not 0 < (length := float(np.linalg.norm(bent))) < math.inf:
            break
        direction = bent / length
        bent = (_differences(f, x + reach * direction, H)[0] - grad) / reach
        curvature = float(np.sum(direction * bent))
    return curvature


# The neuron: step function, sigmoid, threshold and bias


def step_function(z: npt.ArrayLike) -> Any:
    """Return 0 for z < 0 and 1 for z >= 0."""
    return np.heaviside(_array(z), 1.0)


def sigmoid(z: npt.ArrayLike, e: float = math.e) -> Any:
    """Return 1 / (1 + e^-z) without overflow; the note calculates with e=2.7."""
    z = _array(z) * math.log(e)
    small = np.exp(-np.abs(z))  # always in [0, 1]
    return np.where(z >= 0, 1 / (1 + small), small / (1 + small))[()]


def unit_with_threshold(x: npt.ArrayLike, w: npt.ArrayLike, theta: float, u: Function = step_function) -> Any:
    """Return u(w·x - theta): the unit fires where the weighted sum reaches theta."""
    return u(np.dot(_array(w), _array(x)) - theta)


def unit_with_bias(x: npt.ArrayLike, w: npt.ArrayLike, b: float, u: Function = sigmoid) -> Any:
    """Return u(w·x + b), where the bias b is -theta."""
    return u(np.dot(_array(w), _array(x)) + b)


# Setting up a network: normal random numbers


def normal_density(x: npt.ArrayLike, mu: float = 0.0, sigma: float = 1.0) -> Any:
    """Density of the normal distribution with mean mu and standard deviation sigma."""
    return np.exp(-((_array(x) - mu) ** 2) / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma)


def normal_initialisation(*shape: int, std: float = 1.0, rng: Rng = None) -> Array:
    """Weights of the given shape from a normal distribution around 0; rng is a seed or a generator."""
    return std * np.random.default_rng(rng).standard_normal(shape)


# Sequences and recurrences


def _count(n: int, first: int = 1) -> int:
    """Refuse an index before the first."""
    if n < first:
        raise InputError(f"n must be {first} or more, got {n}")
    return n


def sequence_2n(n: int) -> int:
    """Return the n-th of 2, 4, 6, 8, 10, ..."""
    return 2 * _count(n)


def sequence_2n_minus_1(n: int) -> int:
    """Return the n-th of 1, 3, 5, 7, 9, ..."""
    return 2 * _count(n) - 1


def recurrence(n: int) -> int:
    """Return a(n) from a(1) = 1 and a(n+1) = a(n) + 2."""
    a = 1
    for _ in range(_count(n) - 1):
        a = a + 2
    return a


def coupled_recurrences(n: int) -> tuple[int, int]:
    """Return a(n), b(n) from a(1) = b(1) = 1, a(n+1) = a(n) + 2b(n) + 2, b(n+1) = 2a(n) + 3b(n) + 1."""
    a, b = 1, 1
    for _ in range(_count(n) - 1):
        a, b = a + 2 * b + 2, 2 * a + 3 * b + 1
    return a, b


def factorial(n: int) -> int:
    """Return n! from a(1) = 1 and a(n+1) = (n+1) a(n)."""
    a = 1
    for k in range(1, _count(n, first=0)):
        a = (k + 1) * a
    return a


def layer_recurrence(
    x: npt.ArrayLike, layers: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]], a: Function = sigmoid
) -> list[Array]:
    """Return the outputs of all layers: a^1 = x, then a^l = a(W a^(l-1) + b) for every (W, b) in layers."""
    outputs = [_array(x)]
    for W, b in layers:
        outputs.append(np.asarray(a(np.dot(_array(W), outputs[-1]) + _array(b))))
    return outputs


# 4.2 Loss functions


def softmax(a: npt.ArrayLike) -> Array:
    """Turn the last axis of a into probabilities; the largest value is subtracted first."""
    a = _array(a)
    exp_a = np.exp(a - a.max(axis=-1, keepdims=True))
    return np.asarray(exp_a / exp_a.sum(axis=-1, keepdims=True))


def sum_squares_error(y: npt.ArrayLike, t: npt.ArrayLike) -> float:
    """Return 0.5 * sum((y - t)²) for arrays or lists of the same shape."""
    y, t = _array(y), _array(t)
    if y.shape != t.shape:
        raise InputError(f"y and t must have the same shape, got {y.shape} and {t.shape}")
    return float(0.5 * np.sum((y - t) ** 2))


def cross_entropy_error(y: npt.ArrayLike, t: npt.ArrayLike) -> float:
    """Mean of -sum(t * log(y + 1e-7)) over the rows of y, for one row or a batch.

    t has the shape of y (one-hot or soft targets), or is integer with one dimension less (labels).
    """
    y, t = _array(y), np.asarray(t)
    if y.ndim and t.shape == y.shape:
        return float(-np.sum(t * np.log(y + 1e-7)) / (y.size // y.shape[-1]))
    if y.ndim and t.shape == y.shape[:-1] and t.dtype.kind in "iu":
        if t.size and not 0 <= t.min() <= t.max() < y.shape[-1]:
            raise InputError(f"labels must lie in 0..{y.shape[-1] - 1}, got {t.min()}..{t.max()}")
        chosen = np.take_along_axis(y, np.expand_dims(t, -1).astype(np.intp), axis=-1)
        return float(-np.sum(np.log(chosen + 1e-7)) / t.size)
    raise InputError(
        f"t must have the shape of y, {y.shape} (targets), or be integers of shape {y.shape[:-1]} (labels);"
        f" got {t.dtype} of shape {t.shape}"
    )


# 4.2.3 Mini-batch learning

XT = tuple[Any, Any]  # arrays: inputs x and their right answers t


def load_mnist(normalize: bool = True, flatten: bool = True, one_hot_label: bool = False) -> tuple[XT, XT]:
    """Return (x_train, t_train), (x_test, t_test) of MNIST, found as `mibun.learn.load_mnist` says."""
    from mibun.learn.data import load_mnist as load

    mnist = load(normalize=normalize, flatten=flatten, one_hot=one_hot_label)
    if one_hot_label:
        return (mnist.train_x, mnist.train_targets), (mnist.test_x, mnist.test_targets)
    return (mnist.train_x, mnist.train_labels), (mnist.test_x, mnist.test_labels)


def mini_batch(x_train: npt.ArrayLike, t_train: npt.ArrayLike, batch_size: int, rng: Rng = None) -> XT:
    """Choose `batch_size` rows at random; as in the note one row can come twice.

    In a loop give a generator: the same seed chooses the same rows.
    """
    x_train, t_train = np.asarray(x_train), np.asarray(t_train)
    if len(x_train) != len(t_train):
        raise InputError(f"x_train has {len(x_train)} rows, t_train has {len(t_train)}; they must match")
    batch_mask = np.random.default_rng(rng).choice(len(x_train), batch_size)
    return x_train[batch_mask], t_train[batch_mask]


# 4.4.2 The gradient of a neural network


class simpleNet:
    """One layer of 2x3 weights with softmax and cross entropy; W is random unless it is given."""

    def __init__(self, rng: Rng = None, W: npt.ArrayLike | None = None) -> None:
        self.W = normal_initialisation(2, 3, rng=rng) if W is None else _array(W)

    def predict(self, x: npt.ArrayLike) -> Array:
        """Return the scores x·W, before softmax."""
        return np.asarray(np.dot(x, self.W))

    def loss(self, x: npt.ArrayLike, t: npt.ArrayLike) -> float:
        """Cross entropy of the softmax of the scores."""
        return cross_entropy_error(softmax(self.predict(x)), t)


# 4.5 The two-layer network


class TwoLayerNet:
    """A network input -> sigmoid -> softmax; `params` holds W1, b1, W2, b2. rng is a seed or a generator."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: float = 0.01,
        rng: Rng = None,
    ) -> None:
        rng, std = np.random.default_rng(rng), weight_init_std
        self.params: dict[str, Array] = {
            "W1": normal_initialisation(input_size, hidden_size, std=std, rng=rng),
            "b1": np.zeros(hidden_size),
            "W2": normal_initialisation(hidden_size, output_size, std=std, rng=rng),
            "b2": np.zeros(output_size),
        }

    def with_params(self, **params: Array) -> "TwoLayerNet":
        """Return a net with some parameters exchanged; this one stays as it is."""
        if unknown := set(params) - set(self.params):
            raise InputError(f"unknown parameters {sorted(unknown)}; the net has {sorted(self.params)}")
        net = copy.copy(self)
        net.params = {**self.params, **params}
        return net

    def predict(self, x: npt.ArrayLike) -> Array:
        """Probabilities of the classes, for one input or a batch."""
        z1 = sigmoid(np.dot(x, self.params["W1"]) + self.params["b1"])
        return softmax(np.dot(z1, self.params["W2"]) + self.params["b2"])

    def loss(self, x: npt.ArrayLike, t: npt.ArrayLike) -> float:
        """Cross entropy; t holds targets or integer labels."""
        return cross_entropy_error(self.predict(x), t)

    def accuracy(self, x: npt.ArrayLike, t: npt.ArrayLike) -> float:
        """Share of inputs whose most probable class is the right one; t holds targets or labels."""
        y, t = self.predict(x), np.asarray(t)
        labels = t.argmax(axis=-1) if t.ndim == y.ndim else t
        if labels.shape != y.shape[:-1]:
            raise InputError(f"t must be labels of shape {y.shape[:-1]} or targets {y.shape}, got {t.shape}")
        return float(np.mean(y.argmax(axis=-1) == labels))

    def numerical_gradient(self, x: npt.ArrayLike, t: npt.ArrayLike) -> dict[str, Array]:
        """Gradient of the loss for every parameter: each weight really goes up and down by h = 1e-4."""

        def loss_of(name: str) -> Function:
            return lambda value: self.with_params(**{name: value}).loss(x, t)

        return {name: _differences(loss_of(name), _array(value), H)[0] for name, value in self.params.items()}
