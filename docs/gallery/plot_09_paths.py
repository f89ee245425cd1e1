"""
Learning rates side by side
===========================

`mb.draw.paths` draws descents over the same region: too slow, good, and one that swings.
"""

import mibun as mb


def bowl(x):
    return x[0] ** 2 + x[1] ** 2


ways = {
    f"rate {rate}": mb.descend(bowl, [-3, 4], rule=mb.GradientDescent(learning_rate=rate), steps=100)
    for rate in (0.01, 0.1, 0.95)
}

# %%
# One panel for each:

mb.draw.paths(ways, bowl, (-5, 5))
