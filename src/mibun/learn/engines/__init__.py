"""The engines that compute the gradient of a network, one a file, and how one is chosen by word or value."""

from mibun.learn.engines.auto import Auto
from mibun.learn.engines.chain import Chain
from mibun.learn.engines.choose import ENGINES, choose_engine
from mibun.learn.engines.column import Column
from mibun.learn.engines.compare import EngineRow, EngineTable, compare_engines
from mibun.learn.engines.coordinate import Coordinate
from mibun.learn.engines.direction import Direction
from mibun.learn.engines.engine import Cost, Engine
from mibun.learn.engines.forecast import Forecast, forecast, in_words
from mibun.learn.engines.gradient import gradient
from mibun.learn.engines.node import Node

__all__ = [
    "ENGINES",
    "Auto",
    "Chain",
    "Column",
    "Coordinate",
    "Cost",
    "Direction",
    "Engine",
    "EngineRow",
    "EngineTable",
    "Forecast",
    "Node",
    "choose_engine",
    "compare_engines",
    "forecast",
    "gradient",
    "in_words",
]
