"""Values of f for a picture: nan where f is not defined, and a gap where its graph is torn.

As in the verbs, f gets one number, or an array of two; what it raises as ArithmeticError or ValueError, and a complex
number among real ones, mean a point outside of its domain.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError
from mibun.evaluate.serial import OUTSIDE
from mibun.formula import Formula

__all__ = [
    "checked_count",
    "checked_function",
    "checked_interval",
    "checked_plane",
    "checked_region",
    "curve",
    "grid",
    "names_of",
    "values_of",
]

Floats = NDArray[np.float64]
Function = Callable[[Any], Any]

#: Gaps between neighbours that are looked into for a jump or a pole, and the halvings of each.
GAPS, HALVINGS = 64, 24
ONE_NUMBER: Final = "expected one real number, such as float(np.sum(...))"


def checked_function(f: Any, count: int) -> Function:
    """Refuse what cannot be called, and a formula of another number of variables than `count`."""
    if not callable(f):
        raise InputError(f"f is {f!r}; expected a function, such as lambda x: x**2, or mibun.formula.formula('x**2')")
    if isinstance(f, Formula) and len(f.variables) != count:
        names = ", ".join(f.variables)
        needs = "one variable" if count == 1 else "two variables"
        raise InputError(
            f"the formula {f.text} has the variable{'s' * (len(f.variables) > 1)} {names}; this picture needs {needs}"
        )
    return f  # type: ignore[no-any-return]


def checked_plane(
    f: Any, region: Any, vectorized: bool = False
) -> tuple[Function, tuple[tuple[float, float], tuple[float, float]]]:
    """Refuse what does not take two numbers as one array; give f and the region as floats."""
    f, region = checked_function(f, 2), checked_region(region)
    middle = np.mean(region, axis=1)
    try:
        values_of(f, middle[np.newaxis], vectorized)
    except (IndexError, TypeError, KeyError) as reason:
        raise InputError(
            f"f raised {type(reason).__name__} ({reason}) for x = {middle}; expected a function of two numbers that "
            "come as one array, such as lambda x: x[0]**2 + x[1]**2"
        ) from reason
    return f, region


def checked_interval(interval: Any, name: str = "interval") -> tuple[float, float]:
    """Give (low, high) as floats, or say what is wrong with them."""
    try:
        low, high = (float(end) for end in interval)
    except (TypeError, ValueError):
        raise InputError(f"{name} is {interval!r}; expected two numbers, such as (-5, 5)") from None
    if not (np.isfinite(low) and np.isfinite(high) and np.isfinite(high - low)):
        raise InputError(f"{name} is {interval!r}; expected finite numbers")
    if not low < high:
        raise InputError(f"{name} is {interval!r}; expected the lower end first, and another one above it")
    return low, high


def checked_region(region: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    """Give ((low, high), (low, high)); one pair stands for both."""
    if np.shape(region) == (2,):
        one = checked_interval(region, "region")
        return one, one
    if np.shape(region) != (2, 2):
        raise InputError(f"region is {region!r}; expected ((low, high), (low, high)), or one (low, high) for both")
    return checked_interval(region[0], "region[0]"), checked_interval(region[1], "region[1]")


def checked_count(count: Any, name: str = "points", least: int = 2) -> int:
    """Give a whole number that is at least `least`."""
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < least:
        raise InputError(f"{name} must be a whole number of at least {least}, not {count!r}")
    return int(count)


def names_of(f: Function, count: int) -> tuple[str, ...]:
    """Name the axes: as the formula does, or x, or x0 and x1."""
    if isinstance(f, Formula) and len(f.variables) == count:
        return f.variables
    return ("x",) if count == 1 else tuple(f"x{place}" for place in range(count))


def values_of(f: Function, points: Floats, vectorized: bool = False) -> Floats:
    """Evaluate f at points, (n,) numbers or (n, 2); nan where it is not defined or not finite.

    Raises
    ------
    InputError
        If f gives anything but one number, or complex numbers only.
    Exception
        What f raises besides ArithmeticError and ValueError.
    """
    with np.errstate(all="ignore"):
        found = _stack(f, points) if vectorized else _each(f, points)
    return np.where(np.isfinite(found), found, np.nan)


def _somewhere(found: Floats, points: Floats) -> Floats:
    if not np.isfinite(found).any():
        raise InputError(
            f"f is not defined anywhere between {points[0]} and {points[-1]}; expected parts of its domain"
        )
    return found


def _each(f: Function, points: Floats) -> Floats:
    rows: Iterable[Any] = points.tolist() if points.ndim == 1 else (row.copy() for row in points)
    found, complexes = np.full(len(points), np.nan), 0
    for place, x in enumerate(rows):
        try:
            value = f(x)
        except OUTSIDE as reason:
            if isinstance(reason, InputError):
                raise
            continue
        number = _number(value)
        complexes += isinstance(number, complex)
        found[place] = np.nan if isinstance(number, complex) else number
    _refuse_complex(complexes, found)
    return found


def _stack(f: Function, points: Floats) -> Floats:
    value = np.asarray(f(points.copy()))
    if value.shape != (len(points),) or value.dtype.kind not in "fciu":
        raise InputError(
            f"f was given a stack of {len(points)} points and returned {_shaped(value)}; "
            f"with vectorized=True it is to return shape {(len(points),)}"
        )
    if value.dtype.kind == "c":
        _refuse_complex(len(points), np.full(len(points), np.nan))
    return value.astype(np.float64)


def _number(value: Any) -> float | complex:
    if type(value) is float:
        return value
    array = np.asarray(getattr(value, "value", value))  # a Derivative, for an f that differentiates inside
    if array.size != 1 or array.dtype.kind not in "fciub":
        raise InputError(f"f returned {_shaped(array)}; {ONE_NUMBER}")
    number: float | complex = array.item()
    return number if isinstance(number, complex) else float(number)


def _refuse_complex(complexes: int, found: Floats) -> None:
    if complexes and not np.isfinite(found).any():
        raise InputError("f gives complex numbers; expected real ones: draw a part of them, as by lambda x: f(x).real")


def _shaped(array: NDArray[Any]) -> str:
    return f"shape {array.shape}" if array.dtype.kind in "fciub" else f"{array.dtype} of shape {array.shape}"


def curve(f: Function, interval: tuple[float, float], points: int, vectorized: bool) -> tuple[Floats, Floats]:
    """Sample f on an interval; where its graph is torn, by a jump or a pole, a nan keeps the sides apart."""
    x = np.linspace(*interval, points)
    y = _somewhere(values_of(f, x, vectorized), x)
    change = np.abs(np.diff(y))
    known = change[np.isfinite(change)]
    if not known.size:
        return x, y
    usual = np.subtract(*np.nanquantile(y, (0.95, 0.05)))  # without what a pole adds
    steep = np.nan_to_num(change) > max(0.02 * usual, 8 * float(np.median(known)))
    places = np.flatnonzero(steep)
    places = places[np.argsort(-change[places])][:GAPS]
    torn = sorted(int(i) for i in places if _torn(f, (x[i], x[i + 1]), (y[i], y[i + 1]), vectorized))
    at = [i + 1 for i in torn]
    return np.insert(x, at, [(x[i] + x[i + 1]) / 2 for i in torn]), np.insert(y, at, np.nan)


def _torn(f: Function, ends: Sequence[float], values: Sequence[float], vectorized: bool) -> bool:
    """Halve the gap towards its larger change: what does not shrink with it is a jump, what grows is a pole."""
    (a, b), (fa, fb) = ends, values
    whole = abs(fb - fa)
    for _ in range(HALVINGS):
        middle = (a + b) / 2
        fm = float(values_of(f, np.array([middle]), vectorized)[0])
        if fm != fm:  # not defined there
            return True
        (a, fa), (b, fb) = ((a, fa), (middle, fm)) if abs(fm - fa) > abs(fb - fm) else ((middle, fm), (b, fb))
    return abs(fb - fa) > 0.5 * whole


def grid(
    f: Function, region: tuple[tuple[float, float], tuple[float, float]], points: int, vectorized: bool
) -> tuple[Floats, Floats, Floats]:
    """Sample f on a grid of points x points: both axes, and the values with x0 along the rows."""
    first, second = np.linspace(*region[0], points), np.linspace(*region[1], points)
    stack = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    return first, second, _somewhere(values_of(f, stack, vectorized), stack).reshape(points, points)
