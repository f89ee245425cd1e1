"""Derivatives of anything that can be evaluated, and networks that learn by them.

`mibun.learn` trains networks by numerical gradients, `mibun.book` has the notes' own functions, `mibun.draw` the
pictures; all three are loaded on first use. `Derivative` is what every derivative comes back as.
"""

import importlib
from types import ModuleType

from mibun import errors
from mibun.descent.rules import Adam, GradientDescent, Momentum
from mibun.result import Derivative, Status

__all__ = ["Adam", "Derivative", "GradientDescent", "Momentum", "Status", "book", "draw", "errors", "learn"]
__version__ = "0.1.0"

_LOADED_ON_FIRST_USE = frozenset({"book", "draw", "learn"})


def __getattr__(name: str) -> ModuleType:
    if name in _LOADED_ON_FIRST_USE:
        return importlib.import_module(f"mibun.{name}")
    raise AttributeError(f"module 'mibun' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
