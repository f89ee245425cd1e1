"""
Tangents, and what has none
===========================

`mb.draw.tangent` writes every slope and its error into the legend.
"""

import mibun as mb

drawn = mb.draw.tangent(mb.book.function_1, [5, 10], (0, 20))

# %%
# What was computed comes back with the picture:

for slope in drawn.numbers["derivatives"]:
    print(slope)

# %%
# At a kink each side has a tangent of its own:

mb.draw.tangent(lambda x: abs(x - 1) + 0.2 * x, 1, (-2, 4))
