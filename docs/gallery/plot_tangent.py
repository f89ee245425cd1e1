"""
A function and its tangents
===========================

The slope at each point stands in the legend, with its error.
"""

import mibun as mb

drawn = mb.draw.tangent(mb.book.function_1, [5, 10], (0, 20))

# %%
# What was computed comes back with the picture:

for slope in drawn.numbers["derivatives"]:
    print(slope)
