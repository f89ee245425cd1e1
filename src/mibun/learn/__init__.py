"""Networks that learn by numerical gradients.

`Network` holds layers and a loss, `load_digits` and `load_mnist` give data, `train` learns. An engine says how the
gradient is computed: `Chain` (local numerical derivatives, composed by the chain rule; the default) or
`Coordinate` (every weight moved on its own; the oracle).
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
from mibun.learn.engines import Chain, Coordinate, Cost
from mibun.learn.history import Finding, History, Stop
from mibun.learn.layers import Activation, Dense, Elementwise, Identity, Layer, ReLU, Sigmoid, StepFunction, Tanh
from mibun.learn.losses import SoftmaxCrossEntropy, SumSquaredError
from mibun.learn.network import Network
from mibun.learn.train import Progress, train

__all__ = [
    "Activation",
    "Chain",
    "Checkpoint",
    "Coordinate",
    "Cost",
    "Dataset",
    "Dense",
    "Elementwise",
    "Finding",
    "History",
    "Identity",
    "Layer",
    "Network",
    "Progress",
    "ReLU",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "StepFunction",
    "Stop",
    "SumSquaredError",
    "Tanh",
    "fit_digit",
    "from_arrays",
    "load_csv",
    "load_digits",
    "load_fashion",
    "load_mnist",
    "load_npz",
    "one_hot",
    "train",
]
