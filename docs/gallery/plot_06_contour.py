"""
Contours
========

`mb.draw.contour` draws lines of equal f, light where f is large.
"""

import mibun as mb


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


mb.draw.contour(himmelblau, (-5, 5), levels=[1, 10, 30, 60, 100, 150, 200, 300])
