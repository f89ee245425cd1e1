"""The tape: gradients of NumPy code at the price of a few evaluations, no derivative written anywhere."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mibun.chain.choice import Chain
    from mibun.chain.method import value_and_gradient

__all__ = ["Chain", "value_and_gradient"]

#: Where each name lives. All are loaded on first use: the verbs ask this package whether it was meant.
_HOME_OF = {"Chain": "choice", "value_and_gradient": "method"}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = globals()[name] = getattr(importlib.import_module(f"mibun.chain.{_HOME_OF[name]}"), name)
        return value
    raise AttributeError(f"module 'mibun.chain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
