"""Every black-box point is evaluated here: point by point or in stacks, led in lock-step for many conversations.

The names are loaded on first use, because a worker process imports this package and needs none of them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mibun.evaluate.drive import Led, alone, lead
    from mibun.evaluate.serial import Serial
    from mibun.evaluate.values import Values
    from mibun.evaluate.vectorized import Vectorized

__all__ = ["Led", "Serial", "Values", "Vectorized", "alone", "lead"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mibun.evaluate import drive, serial, values, vectorized

    for home in (drive, serial, values, vectorized):
        globals().update({public: vars(home)[public] for public in __all__ if public in home.__all__})
    return globals()[name]
