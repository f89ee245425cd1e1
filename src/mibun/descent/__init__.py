"""Descent along gradients: the rules that turn a gradient into an update."""

from mibun.descent.rules import AdaGrad, Adam, GradientDescent, Momentum, RMSProp, Rule

__all__ = ["AdaGrad", "Adam", "GradientDescent", "Momentum", "RMSProp", "Rule"]
