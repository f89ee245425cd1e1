"""The method "chain" as a value; what it does is in the package `mibun.chain`, for it asks for no points."""

from dataclasses import dataclass

import numpy as np

from mibun.errors import InputError

__all__ = ["Chain"]


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
