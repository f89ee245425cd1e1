"""How an engine is chosen, by word or by value."""

from collections.abc import Callable

from mibun.errors import InputError
from mibun.learn.engines.auto import Auto
from mibun.learn.engines.chain import Chain
from mibun.learn.engines.column import Column
from mibun.learn.engines.coordinate import Coordinate
from mibun.learn.engines.direction import Direction
from mibun.learn.engines.engine import Engine
from mibun.learn.engines.node import Node

__all__ = ["ENGINES", "choose_engine"]

#: Every engine by its word.
ENGINES: dict[str, Callable[[], Engine]] = {
    "auto": Auto,
    "chain": Chain,
    "column": Column,
    "coordinate": Coordinate,
    "direction": Direction,
    "node": Node,
}


def choose_engine(engine: str | Engine) -> Engine:
    """Give the engine for a word or a value.

    Raises
    ------
    InputError
        If the word is unknown (the list is shown), or the value does not have an engine's methods.
    """
    if isinstance(engine, str):
        if engine not in ENGINES:
            raise InputError(f"engine must be one of {', '.join(sorted(ENGINES))} (or a value), not {engine!r}")
        return ENGINES[engine]()
    if isinstance(engine, type) or not isinstance(engine, Engine):
        raise InputError(
            f"engine must be one of {', '.join(sorted(ENGINES))}, a value such as learn.Chain(), or an object with "
            f"gradient, into and cost; not {engine!r}"
        )
    return engine
