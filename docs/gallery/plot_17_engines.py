"""
Engines beside each other
=========================

`mb.draw.engines` draws what a gradient costs with each engine, and how far it is from the notes' loop.
"""

import numpy as np

import mibun as mb
from mibun import learn

network = learn.Network([learn.Dense(16, 12), learn.Tanh(), learn.Dense(12, 4)], seed=1)
table = learn.compare_engines(network, np.random.default_rng(0).random((20, 16)), np.arange(20) % 4)
print(table)

# %%
# The same table as a picture:

mb.draw.engines(table)
