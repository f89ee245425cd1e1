"""Descent along gradients: the rules that turn a gradient into an update."""

from mibun.descent.rules import Adam, GradientDescent, Momentum, Rule

__all__ = ["Adam", "GradientDescent", "Momentum", "Rule"]
