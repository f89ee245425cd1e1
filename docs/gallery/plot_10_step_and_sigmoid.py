"""
Why not accuracy
================

`mb.draw.step_and_sigmoid`: a step has slope 0 nearly everywhere, so nothing says where to go.
"""

import mibun as mb

mb.draw.step_and_sigmoid()
