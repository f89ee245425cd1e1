"""The source text of f as a hash, by which a store notices that f changed; never a key, for closures share it."""

import functools
import inspect
import textwrap
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from mibun.formula import Formula

__all__ = ["source_hash"]


def source_hash(f: Callable[[Any], Any]) -> str | None:
    """Give 12 hexadecimal digits of the source of f; None where there is none (built in, compiled, typed in).

    A formula has its text; an object that is called has the source of its class; of a partial it is that of the
    function. How far the text is indented does not count.

    Examples
    --------
    >>> from mibun.evaluate.source import source_hash
    >>> from mibun.formula import formula
    >>> source_hash(formula("x**2")) == source_hash(formula("x**2")) != source_hash(formula("x**3"))
    True
    >>> source_hash(abs) is None
    True
    """
    if isinstance(f, Formula):
        text = f.text
    else:
        target: Any = f
        while isinstance(target, functools.partial):
            target = target.func
        try:
            target = inspect.unwrap(target)
            if not (inspect.isroutine(target) or isinstance(target, type)):
                target = type(target)
            text = textwrap.dedent(inspect.getsource(target))
        except (OSError, TypeError, ValueError):
            return None
    return sha256(text.encode(errors="backslashreplace")).hexdigest()[:12]
