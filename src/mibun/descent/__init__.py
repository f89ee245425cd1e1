"""Descent along gradients: the rules that turn a gradient into an update, and a descent that says why it stopped."""

from mibun.descent.descend import descend
from mibun.descent.path import Path, PathStatus, Progress
from mibun.descent.rules import AdaGrad, Adam, GradientDescent, Momentum, RMSProp, Rule
from mibun.descent.schedules import Decay, Scheduled
from mibun.descent.spsa import SPSA

__all__ = [  # noqa: RUF022  SPSA is a class, no constant
    "AdaGrad",
    "Adam",
    "Decay",
    "GradientDescent",
    "Momentum",
    "Path",
    "PathStatus",
    "Progress",
    "RMSProp",
    "Rule",
    "SPSA",
    "Scheduled",
    "descend",
]
