"""The tape: gradients of NumPy code at the price of a few evaluations, no derivative written anywhere."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mibun.chain.choice import Chain
    from mibun.chain.method import value_and_gradient
    from mibun.chain.replay import Recording, record
    from mibun.chain.second import hvp
    from mibun.chain.user import elementwise, per_sample, with_vjp

__all__ = ["Chain", "Recording", "elementwise", "hvp", "per_sample", "record", "value_and_gradient", "with_vjp"]

#: Where each name lives. All are loaded on first use: the verbs ask this package whether it was meant.
_HOMES = {
    "choice": ("Chain",),
    "method": ("value_and_gradient",),
    "replay": ("Recording", "record"),
    "second": ("hvp",),
    "user": ("elementwise", "per_sample", "with_vjp"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = globals()[name] = getattr(importlib.import_module(f"mibun.chain.{_HOME_OF[name]}"), name)
        return value
    raise AttributeError(f"module 'mibun.chain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
