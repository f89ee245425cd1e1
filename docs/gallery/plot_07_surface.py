"""
A surface
=========

`mb.draw.surface` draws a function of two numbers in space.
"""

import numpy as np

import mibun as mb

mb.draw.surface(lambda x: np.sin(x[0]) * np.cos(x[1]), (-3, 3))
