"""Every black-box point is evaluated here: point by point or in stacks, led in lock-step for many conversations."""

from mibun.evaluate.drive import Led, alone, lead
from mibun.evaluate.serial import Serial
from mibun.evaluate.values import Values
from mibun.evaluate.vectorized import Vectorized

__all__ = ["Led", "Serial", "Values", "Vectorized", "alone", "lead"]
