"""Numbers with their errors as text for a person: as many digits as the error justifies, and bounds rounded up."""

import math
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

import numpy as np

__all__ = ["WIDTH", "clip", "count", "measured"]

#: Columns of a report.
WIDTH: Final = 100


def count(number: int, noun: str) -> str:
    """Write how many of something there are: ``1 element``, ``1,000 elements``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def clip(text: str, width: int = WIDTH) -> str:
    """Make one line of at most `width` characters."""
    line = " ".join(text.split("\n")).rstrip()
    return line if len(line) <= width else line[: width - 3] + "..."


def measured(value: Any, error: Any) -> str:
    """Write a number with as many digits as its error justifies, and the error rounded up."""
    return f"{_digits(value, error)} ± {_bound(float(error))}"


def _digits(value: Any, error: Any) -> str:
    if isinstance(value, complex | np.complexfloating):
        imaginary = _digits(value.imag, error)
        return f"({_digits(value.real, error)}{'' if imaginary[0] == '-' else '+'}{imaginary}j)"
    number, bound = float(value), float(error)
    if not math.isfinite(number) or not math.isfinite(bound):
        return _short(f"{number:.6g}")
    if number == 0.0:
        return "0"
    digits = _exponent(number) - _exponent(bound) + 1 if bound else 17
    # beyond 16 digits the shortest text that reads back as the same float is more honest
    return _short(repr(number) if digits > 16 else f"{number:#.{max(digits, 1)}g}")


def _bound(error: float) -> str:
    """Write an error with one digit, two after a leading 1, rounded up: it stays a bound."""
    if error == 0.0 or not math.isfinite(error):
        return f"{error:.0f}"
    exact = Decimal(f"{error:.9e}")  # 3.0000000000000004e-9 is 3e-9, not 4e-9
    last = exact.adjusted() - (exact.as_tuple().digits[0] == 1)
    return _short(f"{float(exact.quantize(Decimal((0, (1,), last)), rounding=ROUND_CEILING)):.2g}")


def _exponent(number: float) -> int:
    """Power of ten of the leading digit; by the text, since log10 is one off at some powers."""
    return Decimal(repr(number)).adjusted()


def _short(text: str) -> str:
    """Drop a bare point and the zeros of an exponent: ``1.e-09`` is ``1e-9``."""
    mantissa, mark, exponent = text.partition("e")
    return mantissa.removesuffix(".") + (f"e{int(exponent)}" if mark else "")
