"""
Forward and central difference
==============================

`mb.draw.difference` shows what a difference with step h measures: the slope of a chord.
"""

import mibun as mb

drawn = mb.draw.difference(mb.book.function_1, 5, 4.0)
print(drawn.numbers["forward"], drawn.numbers["central"])
