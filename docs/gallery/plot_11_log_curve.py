"""
Why a logarithm
===============

`mb.draw.log_curve`: the loss of a sample is minus the logarithm of the probability that its right answer was given.
"""

import mibun as mb

mb.draw.log_curve()
