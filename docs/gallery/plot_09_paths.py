"""
Learning rates side by side
===========================

`mb.draw.paths` draws descents over the same region: too slow, good, one that swings, and one that
diverges.
"""

from matplotlib import pyplot as plt

import mibun as mb


def bowl(x):
    return x[0] ** 2 + x[1] ** 2


ways = {
    f"rate {rate}": mb.descend(bowl, [-3, 4], rule=mb.GradientDescent(learning_rate=rate), steps=100)
    for rate in (0.01, 0.1, 0.95, 1.05)
}

# %%
# One panel for each:

figure, axes = plt.subplots(2, 2, figsize=(7, 7), layout="constrained")
mb.draw.paths(ways, bowl, (-5, 5), ax=axes.ravel())
