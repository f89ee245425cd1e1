"""
Which step? The V curve
=======================

`mb.draw.step_error`: to the right the chord is not the tangent, to the left the digits of f are used up. What mibun
finds stands beside them.
"""

import math

import mibun as mb

mb.draw.step_error(math.sin, 1.0, truth=math.cos)
