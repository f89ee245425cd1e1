"""
Where a descent went
====================

`mb.draw.path` draws one descent, or several from several starts, and how each ended.
"""

import mibun as mb


def valley(x):
    return x[0] ** 2 + 10 * x[1] ** 2


descents = [
    mb.descend(valley, start, rule=mb.GradientDescent(learning_rate=0.08), steps=400) for start in ([-3, 1], [2, 2])
]

# %%
# They are drawn over the contours of f:

mb.draw.path(descents, valley, ((-4, 4), (-3, 3)))
