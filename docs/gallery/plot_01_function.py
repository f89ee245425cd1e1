"""
A function
==========

`mb.draw.function` draws a graph. Where f jumps or is not defined, the line is torn, not bridged.
"""

import numpy as np

import mibun as mb

mb.draw.function(lambda x: np.floor(x) + np.sqrt(x), (-1, 5), label="floor(x) + sqrt(x)")
