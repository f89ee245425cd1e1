"""What cannot be recorded is refused: with the operation's name, the user's file and line, and the way out."""

import linecache
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from mibun.errors import InputError
from mibun.text import clip

__all__ = ["OTHERWISE", "Unrecorded", "place", "refusal"]

#: What always helps, at the end of every message.
OTHERWISE: Final = 'wrap what does it by mb.chain.elementwise, or write method="adaptive"'
#: Code that is not the user's: a message that pointed there would help nobody.
INSIDE: Final = tuple(str(Path(file).parent) for file in (np.__file__, str(Path(__file__).parent)))


class Unrecorded(InputError, AttributeError):
    """An attribute of an ndarray that a recorded one does not have: who asks by hasattr is told so."""


def place() -> str:
    """Say where the user's code stands: file, line, and the text of the line."""
    frame: Any = sys._getframe(1)
    found = None
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((*INSIDE, "<__array_function__")):
            found = found or frame  # if all code is that of libraries, the one that was called last
            if "site-packages" not in name:
                found = frame
                break
        frame = frame.f_back
    if found is None:
        return "a place unknown"
    file, line = found.f_code.co_filename, found.f_lineno
    text = clip(linecache.getline(file, line).strip(), 80)
    return f"{Path(file).name}, line {line}" + (f" ({text})" if text else "")


def refusal(what: str, instead: str) -> InputError:
    """Make the error for an operation that cannot be recorded.

    Parameters
    ----------
    what : str
        The operation, as the user wrote it: ``"float(...)"``.
    instead : str
        What to write in its place.
    """
    return InputError(f"{what} cannot be recorded, at {place()}; {instead}; or {OTHERWISE}")
