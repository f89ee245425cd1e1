"""
Labels in Korean
================

Every picture takes `language="ko"`.
"""

import mibun as mb

mb.draw.difference(mb.book.function_1, 5, 4.0, language="ko")
