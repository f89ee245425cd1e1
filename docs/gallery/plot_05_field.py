"""
A field of gradients
====================

`mb.draw.field` draws minus the gradient, which points where f falls fastest.
"""

import mibun as mb


def bowl(x):
    return x[0] ** 2 + x[1] ** 2


mb.draw.field(bowl, (-2, 2))
