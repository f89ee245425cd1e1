"""Networks that learn by numerical gradients.

`Network` holds layers and a loss, `load_digits` and `load_mnist` give data, `train` learns. An engine says how the
gradient is computed: `Chain` (local numerical derivatives, composed by the chain rule; the default), `Coordinate`
(every weight moved on its own; the oracle), `Column` and `Node` (what is moved is a column or a unit), `Direction`
(forward passes only), or `Auto`, which chooses. `gradient` asks one of them once; `compare_engines` asks all.
"""

from mibun.learn.checkpoint import Checkpoint
from mibun.learn.data import (
    Dataset,
    fit_digit,
    from_arrays,
    load_csv,
    load_digits,
    load_fashion,
    load_mnist,
    load_npz,
    one_hot,
)
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
from mibun.learn.history import Finding, History, Stop
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
    "Checkpoint",
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
    "Finding",
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
    "fit_digit",
    "forecast",
    "from_arrays",
    "gradient",
    "load_csv",
    "load_digits",
    "load_fashion",
    "load_mnist",
    "load_npz",
    "one_hot",
    "train",
]
