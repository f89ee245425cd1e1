"""Every black-box point is evaluated here: point by point or in stacks, led in lock-step for many conversations.

The names are loaded on first use, because a worker process imports this package and needs none of them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mibun.evaluate.drive import Led, alone, lead
    from mibun.evaluate.serial import Serial
    from mibun.evaluate.values import Values
    from mibun.evaluate.vectorized import Vectorized

__all__ = ["Led", "Serial", "Values", "Vectorized", "alone", "lead"]

_HOME_OF = {
    "Led": "drive",
    "Serial": "serial",
    "Values": "values",
    "Vectorized": "vectorized",
    "alone": "drive",
    "lead": "drive",
}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
