"""Networks that learn by numerical gradients.

`Network` holds layers and a loss, `load_digits` and `load_mnist` give data, `train` learns. An engine says how the
gradient is computed: `Chain` (local numerical derivatives, composed by the chain rule; the default) or
`Coordinate` (every weight moved on its own; the oracle).
"""

from mibun.learn.data import Dataset, load_digits, load_mnist, one_hot
from mibun.learn.engines import (
    Auto,
    Chain,
    Column,
    Coordinate,
    Cost,
    Direction,
    EngineRow,
    EngineTable,
    Forecast,
    Node,
    compare_engines,
    forecast,
    gradient,
)
from mibun.learn.history import History, Stop
from mibun.learn.layers import (
    Activation,
    AvgPool2D,
    BlackBox,
    Conv2D,
    Dense,
    Dropout,
    Elementwise,
    Flatten,
    Identity,
    Layer,
    MaxPool2D,
    ReLU,
    Sigmoid,
    StepFunction,
    Tanh,
)
from mibun.learn.losses import PerSampleLoss, SoftmaxCrossEntropy, SumSquaredError
from mibun.learn.network import Network
from mibun.learn.train import Progress, train

__all__ = [
    "Activation",
    "Auto",
    "AvgPool2D",
    "BlackBox",
    "Chain",
    "Column",
    "Conv2D",
    "Coordinate",
    "Cost",
    "Dataset",
    "Dense",
    "Direction",
    "Dropout",
    "Elementwise",
    "EngineRow",
    "EngineTable",
    "Flatten",
    "Forecast",
    "History",
    "Identity",
    "Layer",
    "MaxPool2D",
    "Network",
    "Node",
    "PerSampleLoss",
    "Progress",
    "ReLU",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "StepFunction",
    "Stop",
    "SumSquaredError",
    "Tanh",
    "compare_engines",
    "forecast",
    "gradient",
    "load_digits",
    "load_mnist",
    "one_hot",
    "train",
]
