"""Layers: immutable values that know how to go forward, and how their output answers a small change.

A layer holds no weights; the network keeps all of them in one vector and hands each layer its part.
There are two kinds. A **linear** layer (`Dense`, `Conv2D`, `AvgPool2D`, `Flatten`, `Dropout`) is moved exactly: the
change of its output is the same linear map of the change of its input, whatever the size of the change. A
**nonlinear** one is moved numerically: `slope` is the central difference (f(z + h) - f(z - h)) / 2h at the
unit's own z. No derivative is written anywhere. Where f is known, the difference of the two values is
computed by algebra that does not cancel (Reps and Rall 2003, "Computational divided differencing"): for
the sigmoid with a = f(z),

    f(z + h) - f(z) = a (1 - a) E / (1 + a E),    E = expm1(h),

so that h can be as small as 1e-7 and the result is good to a few units of the last digit, in float32 as
in float64. Where only f is known (`Elementwise`, `BlackBox`), the difference is taken plainly, in float64.
`change` is the same for a change of any size.

Each layer also bounds what is lost: the methods whose names end in `_error` carry bounds on truncation and
rounding beside the numbers, and the engine composes them.
"""

from mibun.learn.layers.activations import Activation, Elementwise, Identity, ReLU, Sigmoid, StepFunction, Tanh
from mibun.learn.layers.black_box import BlackBox
from mibun.learn.layers.conv import Conv2D
from mibun.learn.layers.dense import Dense
from mibun.learn.layers.dropout import Dropout, Mask
from mibun.learn.layers.layer import PLAIN_STEP, SMALL_STEP, Layer, Shape, Weights, size_of, stacked
from mibun.learn.layers.pool import AvgPool2D, Flatten, MaxPool2D

__all__ = [
    "PLAIN_STEP",
    "SMALL_STEP",
    "Activation",
    "AvgPool2D",
    "BlackBox",
    "Conv2D",
    "Dense",
    "Dropout",
    "Elementwise",
    "Flatten",
    "Identity",
    "Layer",
    "Mask",
    "MaxPool2D",
    "ReLU",
    "Shape",
    "Sigmoid",
    "StepFunction",
    "Tanh",
    "Weights",
    "size_of",
    "stacked",
]
