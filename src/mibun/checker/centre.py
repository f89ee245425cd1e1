"""f at x, and whether it computes in float64 where x is float32.

Noise of float32 hides most of what is to be seen in a large gradient. A function of NumPy computes in the precision of
what it gets; so a float32 x is tried in float64, too. If what comes back is the same but for rounding, and smooth to
the digits of float64, all further points are float64. If f refuses them, or rounds to float32 somewhere, x stays as it
is: a rounded value is a staircase, whose slope between two steps is not that of f.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.checker.level import POINTS, noise_level
from mibun.errors import InputError
from mibun.evaluate import Values
from mibun.evaluate.calls import calling
from mibun.given import Given, taken
from mibun.options import Options
from mibun.plan import along, coordinatewise
from mibun.structure import Structure

__all__ = ["TRIALS", "Centre", "centred", "in_a_row", "stairs"]

Floats = NDArray[np.float64]

#: How far f may be from itself in the other precision, relative to its largest number.
ALIKE: Final = 1e-3
#: Distance of points between which a value that is rounded to float32 takes many steps, relative to x; and the noise of
#: an f that computes in float64, relative to f.
STAIRS: Final = 2.0**-21
DOUBLE: Final = 2.0**-42
#: Rows of points that are tried.
TRIALS: Final = 3


class Centre(NamedTuple):
    """f at x."""

    given: Given  #: x as f gets it
    values: Values
    fx: Floats
    evaluations: int
    widened: bool  #: x is given to f in float64 although it is float32


def centred(f: Callable[[Any], Any], x: Any, options: Options) -> Centre:
    """Evaluate f at x, as it is and, if that is float32, in float64.

    Raises
    ------
    InputError
        If x, its bounds, or what f returns cannot be used.
    Exception
        What f raises at x.
    """
    centre = _at(f, taken(x, options.bounds), options)
    if centre.values.complex:
        raise InputError("f(x) is complex; expected real numbers: check the real and the imaginary part apart")
    structure = centre.given.structure
    scarce = options.budget is not None and options.budget < 4 * TRIALS * POINTS
    if scarce or all(leaf.dtype.itemsize >= 8 for leaf in structure.leaves):
        return centre
    try:
        wide = _at(f, taken(_widened(structure, x), options.bounds), options)
    except Exception:  # noqa: BLE001 (whatever an f that wants float32 does with float64)
        return centre._replace(evaluations=2)
    same = wide.values.structure.size == centre.values.structure.size and not wide.values.complex
    if not same or not np.abs(wide.fx - centre.fx).max() <= ALIKE * np.abs(centre.fx).max():
        return centre._replace(evaluations=2)
    steps, evaluations = stairs(f, wide, options)
    smooth = (steps <= DOUBLE * np.abs(wide.fx)).all() and (wide.fx.astype(np.float32) != wide.fx).any()
    return (wide if smooth else centre)._replace(evaluations=2 + evaluations, widened=bool(smooth))


def stairs(f: Callable[[Any], Any], centre: Centre, options: Options) -> tuple[Floats, int]:
    """Measure the noise of f at points between which a value that is rounded to float32 takes many steps.

    Returns
    -------
    tuple
        The noise of each number that f returns, and the evaluations. Of some rows of points the least is taken: a kink
        beside x looks like a step, and is met by few of them.
    """
    found: list[Floats] = []
    for seed in range(TRIALS):
        values = in_a_row(f, centre, options, STAIRS, seed)
        found.append(np.nan_to_num(noise_level(values)))
        if (found[-1] <= DOUBLE * np.abs(values).max(axis=0)).all():
            break
    return np.min(found, axis=0), len(found) * (POINTS - 1)


def in_a_row(f: Callable[[Any], Any], centre: Centre, options: Options, spacing: float, seed: int = 0) -> Floats:
    """Evaluate f at points in a row, x first, each entry of which moves by a part of its size; (points, numbers)."""
    given = centre.given
    x = given.vector.astype(np.float64)
    sizes = np.maximum(np.abs(x), float(np.abs(x).max()) or 1.0)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], x.size)
    up, down, needed = given.upper - x, x - given.lower, spacing * POINTS * sizes
    signs = np.where(np.minimum(up, down) < needed, np.where(up < down, -1.0, 1.0), signs)
    way = signs * np.minimum(sizes, np.maximum(up, down) / (spacing * POINTS))
    plan = along(given.structure, given.vector, way)
    with calling(f, options) as calls, np.errstate(all="ignore"):
        evaluator = calls.on(plan)
        evaluator.values = centre.values
        rows = evaluator([(0, plan.starts[0] + count * spacing) for count in range(1, POINTS)])
    return np.array([centre.fx, *rows])


def _at(f: Callable[[Any], Any], given: Given, options: Options) -> Centre:
    with calling(f, options) as calls, np.errstate(all="ignore"):
        evaluator = calls.on(coordinatewise(given.structure, given.vector))
        fx = np.array(evaluator.centres([0])[0])
    return Centre(given, evaluator.values, fx, 1, False)


def _widened(structure: Structure, x: Any) -> Any:
    """Give x in float64."""
    parts = structure.parts(x)
    wide = [
        part if leaf.python else np.float64(part) if leaf.number else np.asarray(part, np.float64)
        for leaf, part in zip(structure.leaves, parts, strict=True)
    ]
    return structure.build(wide)
