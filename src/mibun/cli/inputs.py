"""What a user types for a function and for a point, read for the commands that differentiate."""

import importlib
import json
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.formula import formula

__all__ = ["folder_on_path", "read_bounds", "read_function", "read_point", "refused", "short"]

PACKAGE: Final = Path(__file__).parents[1]
#: Beginnings of the file names of what stands between a command and the code of the user.
BETWEEN: Final = (str(PACKAGE), "<", pkgutil.__file__, str(Path(importlib.__file__).parent))


def read_function(text: str) -> Callable[[Any], Any]:
    """Read a formula, or find ``module:function`` in the current folder and the installed packages.

    Raises
    ------
    InputError
        If it is neither; if the module is not there or fails while it is imported (with file and line); if it has no
        such function (with close names).
    """
    text = text.strip()
    if ":" in text:  # which no formula has
        return _function(text)
    module, dot, name = text.rpartition(".")
    if dot and _dotted(text):
        raise InputError(f"{text} is no formula; a function of a module is written {module}:{name}")
    try:
        return formula(text)
    except InputError as error:
        raise InputError(str(error).partition("\n")[0]) from error  # the lines after it draw an arrow


def read_point(text: str, option: str = "--at") -> Any:
    """Read a number, JSON, ``x=3,y=4`` or the path of a .npy file as the point that `text` after an option means.

    All numbers become floats. Whether a point can be differentiated at (nan, no elements) is for the verb to say.

    Raises
    ------
    InputError
        If it is none of them (with the position where JSON ends to be JSON), or if the file cannot be read.
    """
    text = text.strip()
    with suppress(ValueError):
        return float(text)
    if text[:1] in ("[", "{", '"'):
        return _json(text, option)
    if text.endswith(".npy"):
        return _array(text, option)
    if "=" in text:
        return _named(text, option)
    raise InputError(
        f"{option} {short(text)!r} is given; expected a number such as 1.3, JSON such as '[3, 4]', values by name "
        "such as x=3,y=4, or the path of a .npy file"
    )


def read_bounds(text: str) -> tuple[float | None, float | None]:
    """Read ``LOW,HIGH``; a side with nothing has no bound."""
    sides = text.split(",")
    with suppress(ValueError):
        low, high = (float(side) if side.strip() else None for side in sides)
        return low, high
    raise InputError(f"--bounds {text.strip()!r} is given; expected two numbers such as 0,1, or 0, for no upper bound")


def refused(doing: str, error: BaseException) -> InputError:
    """Say in one line what code of the user raised, and in which of its lines."""
    if isinstance(error, SyntaxError) and error.filename:
        text, place = error.msg, f"{_relative(error.filename)}:{error.lineno}"
    else:
        text, place = str(error), _place(error)
    text = "; ".join(part for part in (text, *getattr(error, "__notes__", ())) if part)
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return InputError(f"{doing} raised {named}{f' ({place})' if place else ''}")


def short(text: str) -> str:
    """Give what was typed, or its beginning, for a message."""
    return text if len(text) <= 40 else f"{text[:37]}..."


def _function(text: str) -> Callable[[Any], Any]:
    name, _, path = text.partition(":")
    if not _dotted(name) or not _dotted(path) or name.endswith(".py"):
        raise InputError(
            f"{text!r} is given; expected a formula such as 'sin(x)**2', or module:function such as model:cost, "
            "with neither folder nor .py"
        )
    found: Any = _module(name)
    holder = f"the module {name} ({_relative(getattr(found, '__file__', None) or 'built in')})"
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError as error:
            # what the module imports, such as np, is no function that was meant
            names = [name for name in dir(found) if name[:1] != "_" and callable(getattr(found, name, None))]
            close = get_close_matches(attribute, names)
            hint = f"; close names are {', '.join(close)}" if close else ""
            raise InputError(f"{holder} has no {attribute!r}{hint}") from error
        holder = f"{name}:{attribute}" if holder.startswith("the module") else f"{holder}.{attribute}"
    if not callable(found):
        raise InputError(f"{text} is {short(repr(found))}, of type {type(found).__name__}; expected a function")
    function: Callable[[Any], Any] = found
    return function


def _module(name: str) -> ModuleType:
    """Import a module of the user."""
    try:
        with folder_on_path() as folder:
            module: ModuleType = pkgutil.resolve_name(f"{name}:")  # imports, since nothing stands behind the colon
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise refused(f"importing {name}", error) from error
        raise InputError(
            f"there is no module {error.name!r}: neither in the current folder, {folder}, nor among the installed "
            "packages"
        ) from error
    except (Exception, SystemExit) as error:
        raise refused(f"importing {name}", error) from error
    return module


@contextmanager
def folder_on_path() -> Iterator[str]:
    """Have modules of the current folder found meanwhile: by imports, those in f too, and by workers."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield folder
    finally:
        with suppress(ValueError):  # f may have changed the path
            sys.path.remove(folder)


def _dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _place(error: BaseException) -> str:
    """Give file and line of the innermost frame in the current folder, or else outside of mibun."""
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    frames = [(file, line) for file, line in frames if not file.startswith(BETWEEN)]
    frames = [(file, line) for file, line in frames if not file.endswith("_ufunc_config.py")]  # np.errstate
    here = [(file, line) for file, line in frames if Path(file).is_relative_to(Path.cwd()) and "-packages" not in file]
    file, line = (here or frames or [("", 0)])[-1]
    return f"{_relative(file)}:{line}" if file else ""


def _relative(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _array(text: str, option: str) -> NDArray[Any]:
    try:
        array = np.load(text, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{option} {text} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a broken file ends in many ways, and NumPy speaks of pickles then
        raise InputError(f"{option} {text} holds no whole array of numbers as np.save writes it") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"{option} {text} holds several arrays; expected one, as np.save writes it")
    return array


def _json(text: str, option: str) -> Any:
    try:
        found = json.loads(text, parse_int=float, object_pairs_hook=lambda pairs: _once(pairs, option))
        _check(found, option)
    except json.JSONDecodeError as error:
        raise InputError(f"{option} {short(text)!r} is no JSON at character {error.pos + 1}: {error.msg}") from error
    except RecursionError as error:
        raise InputError(f"{option} {short(text)!r} is nested too deeply; give a .npy file") from error
    return found


def _check(found: Any, option: str) -> None:
    """Refuse what JSON has besides numbers, lists and objects."""
    if isinstance(found, str | bool | None):
        raise InputError(f"{option} has {json.dumps(found)} where a number is expected; write it as in 1.3 or 2e-3")
    if not isinstance(found, float):
        for entry in found.values() if isinstance(found, dict) else found:
            _check(entry, option)


def _named(text: str, option: str) -> dict[str, Any]:
    pairs = []
    for part in text.split(","):
        name, _, value = (word.strip() for word in part.partition("="))
        try:
            pairs.append((name, float(value)))
        except ValueError:
            name = ""
        if not name.isidentifier():
            raise InputError(f"{option} {short(text)!r} is given; expected numbers by name, such as x=3,y=4") from None
    return _once(pairs, option)


def _once(pairs: Iterable[tuple[str, Any]], option: str) -> dict[str, Any]:
    """Make a dict, and refuse a name that is given twice."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InputError(f"{option} gives {name!r} twice; give every name once")
        found[name] = value
    return found
