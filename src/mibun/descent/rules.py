"""The rules that turn a gradient into an update of the parameters.

A rule is an immutable value with two pure functions, `init` and `update`, after the design of Optax:
the state travels through the arguments, so a rule can be shared, printed, and used by any descent.
`apply` is `update` without copies, for loops that run thousands of times.
Arrays of any shape are taken; every element is updated on its own.
"""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError

__all__ = ["AdaGrad", "Adam", "GradientDescent", "Momentum", "RMSProp", "Rule", "State", "choose_rule"]

Array = NDArray[np.floating[Any]]
State = dict[str, Any]


@runtime_checkable
class Rule(Protocol):
    """What a descent needs of a rule; `GradientDescent` is the smallest example."""

    @property
    def learning_rate(self) -> float:
        """Factor between gradient and update."""

    def init(self, parameters: Array) -> State:
        """Make the state before the first update."""

    def update(self, parameters: Array, gradient: Array, state: State) -> tuple[Array, State]:
        """Give new parameters and a new state; the arguments stay as they are."""

    def apply(self, parameters: Array, gradient: Array, state: State) -> None:
        """Do the same in place; `gradient` is used up as scratch space."""


@dataclass(frozen=True)
class _Rule:
    learning_rate: float

    def __post_init__(self) -> None:
        _require_positive("learning_rate", self.learning_rate)

    def init(self, parameters: Array) -> State:
        """Make the state before the first update.

        Parameters
        ----------
        parameters
            The parameters that will be updated; only their shape and dtype are used.
        """
        return {}

    def update(self, parameters: Array, gradient: Array, state: State) -> tuple[Array, State]:
        """Give new parameters and a new state; the arguments stay as they are.

        Parameters
        ----------
        parameters, gradient
            Arrays of one shape.
        state
            What `init` or the last `update` returned.
        """
        parameters = _floating(parameters).copy()
        state = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in state.items()}
        self.apply(parameters, np.array(gradient, dtype=parameters.dtype), state)
        return parameters, state

    def apply(self, parameters: Array, gradient: Array, state: State) -> None:
        """Update `parameters` and `state` in place; `gradient` is used up as scratch space."""
        raise NotImplementedError


@dataclass(frozen=True)
class GradientDescent(_Rule):
    """Plain gradient descent: `parameters -= learning_rate * gradient`.

    Parameters
    ----------
    learning_rate
        Factor between gradient and update, above 0. There is no safe default for every function:
        for one of curvature c it must stay below 2/c.

    Raises
    ------
    InputError
        If `learning_rate` is not a finite number above 0.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> rule = mb.GradientDescent(learning_rate=0.1)
    >>> x = np.array([-3.0, 4.0])
    >>> state = rule.init(x)
    >>> for _ in range(100):
    ...     x, state = rule.update(x, 2 * x, state)  # the gradient of x[0]**2 + x[1]**2
    >>> bool(np.abs(x).max() < 1e-9)  # the minimum is at 0
    True
    """

    learning_rate: float = 0.1

    def apply(self, parameters: Array, gradient: Array, state: State) -> None:
        """Update `parameters` in place; `gradient` is used up as scratch space."""
        np.multiply(gradient, self.learning_rate, out=gradient)
        np.subtract(parameters, gradient, out=parameters)


@dataclass(frozen=True)
class Momentum(_Rule):
    """Gradient descent with momentum, in PyTorch's form.

    `velocity = momentum * velocity + gradient; parameters -= learning_rate * velocity`; with `nesterov`
    the step is `gradient + momentum * velocity`.

    Parameters
    ----------
    learning_rate
        Factor between velocity and update, above 0. A constant gradient is amplified 1/(1 - momentum) times.
    momentum
        Share of the velocity that survives a step, from 0 to below 1.
    nesterov
        Look ahead along the velocity (Sutskever et al. 2013, section 2).

    Raises
    ------
    InputError
        If `learning_rate` is not above 0, `momentum` not in [0, 1), or `nesterov` neither True nor False.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> rule = mb.Momentum(learning_rate=0.1, momentum=0.5)
    >>> x, state = np.array([1.0]), {"velocity": np.array([1.0])}
    >>> x, state = rule.update(x, np.array([2.0]), state)
    >>> print(x, state["velocity"])
    [0.75] [2.5]
    """

    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_fraction("momentum", self.momentum)
        _require_bool("nesterov", self.nesterov)

    def init(self, parameters: Array) -> State:
        """Start at rest."""
        return {"velocity": np.zeros_like(_floating(parameters))}

    def apply(self, parameters: Array, gradient: Array, state: State) -> None:
        """Update `parameters` and `state` in place; `gradient` is used up as scratch space."""
        velocity = state["velocity"]
        np.multiply(velocity, self.momentum, out=velocity)
        np.add(velocity, gradient, out=velocity)
        if self.nesterov:
            gradient += self.momentum * velocity
            np.multiply(gradient, self.learning_rate, out=gradient)
        else:
            np.multiply(velocity, self.learning_rate, out=gradient)
        np.subtract(parameters, gradient, out=parameters)


@dataclass(frozen=True)
class AdaGrad(_Rule):
    """AdaGrad (Duchi, Hazan and Singer 2011), in PyTorch's form: steps divided by the root of all squares so far.

    `squares += gradient**2; parameters -= rate * gradient / (sqrt(squares) + eps)`, where the rate of update n,
    counted from 0, is `learning_rate / (1 + n * lr_decay)`.

    Parameters
    ----------
    learning_rate
        Size of the first update, above 0.
    lr_decay
        How fast the rate falls besides, at least 0.
    initial_accumulator_value
        What the sum of the squares starts with, at least 0.
    eps
        Added to the root, above 0; in units of the gradient.

    Raises
    ------
    InputError
        If an option is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> rule = mb.AdaGrad(learning_rate=0.5)
    >>> x = np.zeros(2)
    >>> x, state = rule.update(x, np.array([1e-3, -1e3]), rule.init(x))
    >>> print(np.round(x, 5))
    [-0.5  0.5]
    """

    learning_rate: float = 0.01
    lr_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_not_negative("lr_decay", self.lr_decay)
        _require_not_negative("initial_accumulator_value", self.initial_accumulator_value)
        _require_positive("eps", self.eps)

    def init(self, parameters: Array) -> State:
        """Start with the sum of squares that was given."""
        return {"updates": 0, "squares": np.full_like(_floating(parameters), self.initial_accumulator_value)}

    def apply(self, parameters: Array, gradient: Array, state: State) -> None:
        """Update `parameters` and `state` in place; `gradient` is used up as scratch space."""
        rate = self.learning_rate / (1.0 + state["updates"] * self.lr_decay)
        state["updates"] += 1
        squares = state["squares"]
        squares += gradient**2
        gradient /= np.sqrt(squares) + self.eps
        gradient *= rate
        np.subtract(parameters, gradient, out=parameters)


@dataclass(frozen=True)
class RMSProp(_Rule):
    """RMSProp (Tieleman and Hinton 2012, lecture 6.5), in PyTorch's form: steps divided by a running root mean square.

    `mean = alpha * mean + (1 - alpha) * gradient**2; parameters -= learning_rate * gradient / (sqrt(mean) + eps)`;
    with `momentum` the quotient goes into a velocity, `velocity = momentum * velocity + quotient`; with `centered`
    the square of the running mean of the gradient is taken off before the root (Graves 2013).

    Parameters
    ----------
    learning_rate
        Size of an update by a steady gradient, above 0; the first updates are 1/sqrt(1 - alpha) times that.
    alpha
        Share of the mean that survives a step, from 0 to below 1.
    eps
        Added to the root, above 0; in units of the gradient.
    momentum
        Share of the velocity that survives a step, from 0 to below 1.
    centered
        Divide by the running standard deviation instead.

    Raises
    ------
    InputError
        If an option is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> rule = mb.RMSProp(learning_rate=0.01)
    >>> x = np.zeros(2)
    >>> x, state = rule.update(x, np.array([1e-3, -1e3]), rule.init(x))
    >>> print(np.round(x, 5))
    [-0.09999  0.1    ]
    """

    learning_rate: float = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_fraction("alpha", self.alpha)
        _require_positive("eps", self.eps)
        _require_fraction("momentum", self.momentum)
        _require_bool("centered", self.centered)

    def init(self, parameters: Array) -> State:
        """Start with all means at 0, at rest."""
        names = ["squares", *(["mean"] if self.centered else []), *(["velocity"] if self.momentum else [])]
        return {name: np.zeros_like(_floating(parameters)) for name in names}

    def apply(self, parameters: Array, gradient: Array, state: State) -> None:
        """Update `parameters` and `state` in place; `gradient` is used up as scratch space."""
        squares = state["squares"]
        squares *= self.alpha
        squares += (1.0 - self.alpha) * gradient**2
        spread = squares
        if self.centered:
            mean = state["mean"]
            mean += (1.0 - self.alpha) * (gradient - mean)
            # rounding can take it below 0 where the gradient stays as it is
            spread = np.maximum(squares - mean**2, 0.0)
        gradient /= np.sqrt(spread) + self.eps
        if self.momentum:
            velocity = state["velocity"]
            velocity *= self.momentum
            velocity += gradient
            np.multiply(velocity, self.learning_rate, out=gradient)
        else:
            gradient *= self.learning_rate
        np.subtract(parameters, gradient, out=parameters)


@dataclass(frozen=True)
class Adam(_Rule):
    """Adam (Kingma and Ba 2015, algorithm 1): steps scaled by running moments of the gradient.

    Parameters
    ----------
    learning_rate
        About the size of the first updates, above 0.
    betas
        Shares of the first and second moment that survive a step, each from 0 to below 1.
    eps
        Added to the root of the second moment, above 0; in units of the gradient.

    Raises
    ------
    InputError
        If an option is out of its range.

    Examples
    --------
    The first update has the size of the learning rate, whatever the size of the gradient:

    >>> import numpy as np
    >>> import mibun as mb
    >>> rule = mb.Adam(learning_rate=0.001)
    >>> x = np.zeros(2)
    >>> x, state = rule.update(x, np.array([1e-3, -1e3]), rule.init(x))
    >>> print(np.round(x, 5))
    [-0.001  0.001]
    """

    learning_rate: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.betas, tuple) or len(self.betas) != 2:
            raise InputError(f"betas must be a pair of numbers such as (0.9, 0.999), not {self.betas!r}")
        for beta in self.betas:
            _require_fraction("betas", beta)
        _require_positive("eps", self.eps)

    def init(self, parameters: Array) -> State:
        """Start with both moments at 0."""
        zeros = np.zeros_like(_floating(parameters))
        return {"updates": 0, "first": zeros, "second": zeros.copy()}

    def apply(self, parameters: Array, gradient: Array, state: State) -> None:
        """Update `parameters` and `state` in place; `gradient` is used up as scratch space."""
        state["updates"] += 1
        first, second = state["first"], state["second"]
        for moment, beta, power in zip((first, second), self.betas, (1, 2), strict=True):
            moment *= beta
            moment += (1.0 - beta) * gradient**power
        # The moments start at 0, so after n updates they have seen only 1 - beta**n of their weight.
        first_share, second_share = (1.0 - beta ** state["updates"] for beta in self.betas)
        np.sqrt(second, out=gradient)
        gradient /= math.sqrt(second_share)
        gradient += self.eps
        np.divide(first, gradient, out=gradient)
        gradient *= self.learning_rate / first_share
        np.subtract(parameters, gradient, out=parameters)


def _floating(parameters: Array) -> Array:
    """Give integers as float64, and floats as they are."""
    array = np.asarray(parameters)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _require_positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 < float(value) < math.inf:
        raise InputError(f"{name} must be a finite number above 0, such as 0.1, not {value!r}")


def _require_not_negative(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 <= float(value) < math.inf:
        raise InputError(f"{name} must be a finite number of at least 0, not {value!r}")


def _require_bool(name: str, value: object) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} must be True or False, not {value!r}")


def _require_fraction(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 <= float(value) < 1.0:
        raise InputError(f"{name} must be at least 0 and below 1, such as 0.9, not {value!r}")


#: The rules by their words, each with its defaults.
WORDS: Final[dict[str, Rule]] = {
    "gradient descent": GradientDescent(),
    "momentum": Momentum(),
    "adagrad": AdaGrad(),
    "rmsprop": RMSProp(),
    "adam": Adam(),
}


def choose_rule(rule: object) -> Rule:
    """Give a rule as it is, or the one that a word names, with its defaults.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(rule, str) and rule in WORDS:
        return WORDS[rule]
    if isinstance(rule, type | str) or not isinstance(rule, Rule):
        raise InputError(
            f"rule is {rule!r}; expected one of {', '.join(map(repr, WORDS))}, or a rule such as "
            "mibun.GradientDescent(learning_rate=0.1)"
        )
    return rule
