"""
Which elements of a gradient are wrong
======================================

`mb.draw.check` draws a report of `mb.check`: a block for each parameter, a cell for each element, and the factor by
which it is off. Here the sign of one row and a factor of 2 in the bias were planted.
"""

import numpy as np

import mibun as mb

rng = np.random.default_rng(0)
a, x = rng.normal(size=(40, 8)), {"W": rng.normal(size=(8, 6)), "b": rng.normal(size=6)}


def loss(p):
    return np.sum(np.tanh(a @ p["W"] + p["b"]) ** 2)


def slopes(p):
    z = np.tanh(a @ p["W"] + p["b"])
    up = 2 * z * (1 - z**2)
    wrong = {"W": a.T @ up, "b": 2 * up.sum(axis=0)}
    wrong["W"][3] *= -1
    return wrong


report = mb.check(loss, slopes, x)
print(report)

# %%
# The same report as a picture:

mb.draw.check(report)
