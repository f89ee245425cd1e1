"""Learning rates that change on the way: any rule, with a factor that is a function of the updates done."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mibun.descent.rules import Array, Rule, State
from mibun.errors import InputError

__all__ = ["Decay", "Scheduled"]

#: Where a state keeps the number of updates, beside what the rule itself keeps.
COUNT = "scheduled"


@dataclass(frozen=True)
class Scheduled:
    """A rule whose learning rate is multiplied by a function of the number of updates done.

    It is a rule itself, and can be given to `descend` and to `learn.train` alike. The updates are those of PyTorch's
    `LambdaLR` around the same optimizer.

    Parameters
    ----------
    rule
        One of mibun's rules, or any dataclass of yours with a field `learning_rate` that is a rule.
    factor : callable
        From the number of updates done (0 before the first) to a finite number of at least 0; 0 leaves the parameters
        where they are. `Decay` is one.

    Raises
    ------
    InputError
        If `rule` has no learning rate that can be replaced, or `factor` is no function; while it runs, if the factor is
        not a finite number of at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> rule = mb.Scheduled(mb.GradientDescent(learning_rate=1.0), lambda done: 0.5**done)
    >>> x, state = np.array([0.0]), rule.init(np.array([0.0]))
    >>> for _ in range(3):
    ...     x, state = rule.update(x, np.array([1.0]), state)
    >>> x  # -(1 + 1/2 + 1/4)
    array([-1.75])
    """

    rule: Any
    factor: Callable[[int], float]

    def __post_init__(self) -> None:
        if isinstance(self.rule, type) or not isinstance(self.rule, Rule) or isinstance(self.rule, Scheduled):
            raise InputError(f"rule is {self.rule!r}; expected a rule such as mibun.Adam(learning_rate=0.001)")
        if "learning_rate" not in getattr(self.rule, "__dataclass_fields__", {}):
            raise InputError(
                f"{self.rule!r} is no dataclass with a field learning_rate, which a schedule could replace"
            )
        if not callable(self.factor):
            raise InputError(f"factor is {self.factor!r}; expected a function such as lambda done: 0.99**done")

    @property
    def learning_rate(self) -> float:
        """The learning rate where the factor is 1."""
        return float(self.rule.learning_rate)

    def init(self, parameters: Array) -> State:
        """Make the state before the first update."""
        return {COUNT: 0, **self.rule.init(parameters)}

    def update(self, parameters: Array, gradient: Array, state: State) -> tuple[Array, State]:
        """Give new parameters and a new state; the arguments stay as they are."""
        now, moves = self._now(state)
        own = {name: value for name, value in state.items() if name != COUNT}
        moved, own = now.update(parameters, gradient, own)
        return moved if moves else parameters.copy(), {COUNT: state[COUNT] + 1, **own}

    def apply(self, parameters: Array, gradient: Array, state: State) -> None:
        """Do the same in place; `gradient` is used up as scratch space."""
        now, moves = self._now(state)
        now.apply(parameters if moves else parameters.copy(), gradient, state)
        state[COUNT] += 1

    def _now(self, state: State) -> tuple[Rule, bool]:
        """Give the rule of the next update, and whether it moves: with a factor of 0 only its state does."""
        factor = self.factor(state[COUNT])
        try:
            factor = float(factor)
        except (TypeError, ValueError):
            factor = math.nan
        if not 0.0 <= factor < math.inf:
            raise InputError(
                f"the factor of the learning rate is {self.factor(state[COUNT])!r} after {state[COUNT]} updates; "
                "expected a finite number of at least 0"
            )
        rate = self.rule.learning_rate * factor
        return (replace(self.rule, learning_rate=rate), True) if rate else (self.rule, False)


@dataclass(frozen=True)
class Decay:
    """A factor that rises from 0 to 1 over `warmup` updates, and falls to 0 at `steps`: on a line, or as a cosine.

    Parameters
    ----------
    steps
        Updates in all, at least 1.
    warmup
        Updates until the factor is 1, below `steps`. Default: 0.
    shape : "linear" or "cosine"
        How it falls (Loshchilov and Hutter 2017, without restarts, for the cosine). Default: "linear".

    Raises
    ------
    InputError
        If an option is out of its range.

    Examples
    --------
    >>> import mibun as mb
    >>> decay = mb.Decay(steps=10, warmup=2)
    >>> [round(decay(done), 3) for done in (0, 1, 2, 6, 9)]
    [0.333, 0.667, 1.0, 0.5, 0.125]
    """

    steps: int
    warmup: int = 0
    shape: str = "linear"

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("warmup", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; expected an integer of at least {least}")
        if self.warmup >= self.steps:
            raise InputError(f"warmup is {self.warmup}, but there are only {self.steps} steps; take fewer")
        if self.shape not in ("linear", "cosine"):
            raise InputError(f"shape is {self.shape!r}; expected 'linear' or 'cosine'")

    def __call__(self, done: int) -> float:
        """Give the factor of the next update, after `done` of them."""
        if done < self.warmup:
            return (done + 1) / (self.warmup + 1)
        left = max(0.0, (self.steps - done) / (self.steps - self.warmup))
        return left if self.shape == "linear" else 0.5 - 0.5 * math.cos(math.pi * left)
