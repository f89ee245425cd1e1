"""What f raised outside of its domain, written into a store and raised again: type and text are kept.

The type is looked up among the classes that this process has loaded already; nothing is imported because a file says
so, and nothing but the exception itself is made. Where the class is not there, or has a text of its own making that
does not come out the same, a class with its name and the text stands for it, below the same built-in exception.
"""

import json
from contextlib import suppress
from functools import cache
from typing import Any, Final

from mibun.errors import FormatError
from mibun.evaluate.encoding import loaded_class
from mibun.evaluate.serial import OUTSIDE

__all__ = ["decode_raised", "encode_raised"]

BASES: Final = (ZeroDivisionError, OverflowError, FloatingPointError, ArithmeticError, ValueError)


def encode_raised(error: BaseException) -> tuple[str, bytes]:
    """Write the class of a domain exception as a header, and its arguments as bytes, null if JSON cannot hold them."""
    kind = type(error)
    base = next(base for base in BASES if isinstance(error, base))
    try:
        arguments = json.dumps(error.args)
    except (TypeError, ValueError):
        arguments = "null"
    return json.dumps(["raised", kind.__module__, kind.__qualname__, base.__name__]), arguments.encode()


def decode_raised(header: str, data: bytes, text: str) -> Exception:
    """Make the exception again; `text` is what it says.

    Raises
    ------
    FormatError
        If the header is not that of an exception.

    Examples
    --------
    >>> from mibun.evaluate.raised import decode_raised, encode_raised
    >>> decode_raised(*encode_raised(ValueError("no steady state")), "no steady state")
    ValueError('no steady state')
    """
    try:
        _, module, name, base = json.loads(header)
        arguments = json.loads(data)
        stand_in = _stand_in(module, name, base)
    except (ValueError, TypeError, KeyError, AttributeError) as reason:
        raise FormatError(f"the exception {header[:80]} cannot be read: {reason}") from reason
    kind = loaded_class(module, name)
    if kind is not None and issubclass(kind, OUTSIDE) and arguments is not None:
        with suppress(Exception):  # whatever a class does that makes its text itself
            # __init__ of the class is not run, for it may do anything
            error: Exception = kind.__new__(kind, *arguments)
            if str(error) == text:
                return error
    made: Exception = stand_in(text)
    return made


@cache
def _stand_in(module: str, name: str, base: str) -> Any:
    kinds = {kind.__name__: kind for kind in BASES}
    return type(name.rpartition(".")[2], (kinds[base],), {"__module__": module, "__qualname__": name})
