"""The method "chain" as a value, and how the verbs find out that it was asked for."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mibun.errors import InputError
from mibun.options import Options, tolerances

__all__ = ["Chain", "Wish", "chain_asked"]


@dataclass(frozen=True)
class Chain:
    """Record what f does with NumPy, difference its elementary pieces where they stand, compose them by the chain rule.

    A method of `gradient`, `jacobian`, `vjp` and `hessian`: ``method="chain"``, or a value with settings. One gradient
    costs a few evaluations of f, however many entries x has. See `mibun.chain`.

    Parameters
    ----------
    verify : bool
        Compare the gradient with differences of f along a random direction, mostly by two evaluations of f, by eight
        at most, and refuse one that disagrees: a coarse test for what went round the recording, not for digits. It
        needs an f that gives the same value for the same x. Default: True.
    errors : bool
        Bound the errors, which takes some times as long as the gradient itself. Without, every error is inf, every
        status unresolved, and functions without a rule are differenced at one step only. Default: True.

    Raises
    ------
    InputError
        If a setting is neither True nor False.

    Examples
    --------
    >>> import numpy as np
    >>> import mibun as mb
    >>> x = np.linspace(-1.0, 2.0, 1000)
    >>> d = mb.gradient(lambda x: np.sum(np.sin(x) * x), x, method=mb.Chain(verify=False))
    >>> bool(np.all(abs(d.value - (np.cos(x) * x + np.sin(x))) <= d.error)), bool(d.error.max() < 1e-14)
    (True, True)
    """

    verify: bool = True
    errors: bool = True

    def __post_init__(self) -> None:
        for name in ("verify", "errors"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise InputError(f"{name} is {getattr(self, name)!r}; expected True or False")


class Wish(NamedTuple):
    """What was asked of the chain."""

    verify: bool
    errors: bool
    rtol: float | None
    atol: float


def chain_asked(options: Options) -> Wish | None:
    """Tell whether the method is the chain, and refuse the options that it does not know.

    Raises
    ------
    InputError
        If there are bounds, noise, a budget or stacks, which are for methods that move x.
    """
    method = options.method
    if method is Chain:
        raise InputError("method is the class Chain; write Chain(), a value of it")
    if not isinstance(method, Chain) and not (isinstance(method, str) and method == "chain"):
        return None
    for name, usual in (("bounds", None), ("noise", None), ("budget", None), ("vectorized", False)):
        given = getattr(options, name)
        if given is not usual:
            raise InputError(
                f'{name} is {given!r} with method="chain", which evaluates f at x, and at a few points near it to '
                f'verify; leave {name} out, or write method="adaptive"'
            )
    tolerances(options)
    chosen = method if isinstance(method, Chain) else Chain()
    return Wish(bool(chosen.verify), bool(chosen.errors), options.rtol, options.atol)
