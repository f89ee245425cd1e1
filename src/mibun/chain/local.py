"""Every other ufunc: its local numerical derivative, taken where it stands.

Of a function of which nothing is known but its values, the slope at every entry comes from central differences

    D(h) = (f(z+h) - f(z-h)) / ((z+h) - (z-h)),

in float64, whatever the data, and divided by the step that really happened. Where only values are wanted, one of them
does, at h = 2**-17 max(1, |z|), and two at wider steps where entries are few, unless f bends on the scale of h. With
errors, h, 2h and 4h are extrapolated, which is exact to h^6, and the extrapolation of the first two alone says how far
that can be trusted; a combination of the even parts tells a kink. That is done at a wide step, and at narrower ones
while entries are left that they help; those that nothing helps are differentiated by the adaptive method, each with its
own steps and bound.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from mibun.chain.rounding import times, unit_of
from mibun.chain.tape import Array, Give, Node, Rule, value_of
from mibun.conversation import Request
from mibun.evaluate import Led, Vectorized, lead
from mibun.evaluate.gather import Table
from mibun.evaluate.together import lead_together, takes_together
from mibun.methods import Adaptive
from mibun.plan import Plan
from mibun.status import Status

__all__ = ["STEP", "UNIT", "Found", "Local", "Values", "slope", "slope_and_error"]

#: The h of a plain difference of values in float64, times max(1, |z|): about the cube root of 2**-52.
STEP: Final = 2.0**-17
#: Half-ulps that a value of an unknown function may be off.
ROUNDED: Final = 8.0
#: Entries up to which two evaluations more cost little beside everything else, and the h of these.
FEW: Final = 2**11
WIDE: Final = 2.0**-11
#: Largest bend beside the largest rise: about the step over the length on which f changes, the square of which is lost.
BEND: Final = 2.0**-17
BEND_WIDE: Final = 2.0**-10
#: Half an ulp of 1.
UNIT: Final = 2.0**-53
#: Steps of the extrapolated differences, from wide to narrow.
WIDTHS: Final = (2.0**-9, 2.0**-12, 2.0**-15, 2.0**-18)
#: A relative error that needs no other step, and the largest that is left as it is.
FINE: Final = 1e-11
ROUGH: Final = 1e-7

#: From an array in float64 to the values of f there, in float64, entry by entry.
Values = Callable[[Array], Array]


def slope(f: Values, z: Array, y: Array | None = None) -> Array:
    """Give the central difference at every entry of z: two evaluations of many entries, four of a few.

    Where f(z), if it is known, says that f bends on the scale of the steps, more evaluations are taken.
    """
    few = z.size <= FEW
    above, below, _ = sides(z, WIDE if few else STEP)
    high, low = f(above), f(below)
    rise = high - low
    if y is not None:
        bend = high + low
        bend -= y
        bend -= y
        if not _largest(bend) <= (BEND_WIDE if few else BEND) * _largest(rise):  # nor nan
            return slope_and_error(f, z, y).slope
    near = rise / (above - below)
    if not few:
        return np.asarray(near)
    above, below, _ = sides(z, 2 * WIDE)
    return np.asarray(near + (near - (f(above) - f(below)) / (above - below)) / 3)


def _largest(part: Array) -> Any:
    """Give the largest size of an entry; nan if there is one."""
    return max(np.maximum.reduce(part, axis=None, initial=0.0), -np.minimum.reduce(part, axis=None, initial=0.0))


def sides(z: Array, width: float) -> tuple[Array, Array, Array]:
    """Give z + h, z - h and h in float64, h being `width` times max(1, |z|)."""
    z = np.asarray(z, np.float64)
    h = np.maximum(np.abs(z), 1.0)
    h *= width
    return z + h, z - h, h


class Found(NamedTuple):
    """Slopes, bounds on their errors, curvatures, and which entries stand at a kink."""

    slope: Array
    error: Array
    curvature: Array
    at_kink: Array


def slope_and_error(f: Values, z: Array, y: Array) -> Found:
    """Give the slope at every entry of z, where f is y: six evaluations, and more where these do not agree."""
    found = _extrapolated(f, z, y, WIDTHS[0])
    # what rounding leaves at the widest step is as good as it gets
    floor = 4 * ROUNDED * UNIT * np.abs(y) / (WIDTHS[0] * np.maximum(1.0, np.abs(z)))
    for width in WIDTHS[1:]:
        poor = ~(found.error <= FINE * np.abs(found.slope) + floor)
        if not poor.any():
            return found
        found = _better(found, _extrapolated(f, z, y, width))
    rough = np.asarray(~(found.error <= ROUGH * np.abs(found.slope) + floor))
    if not rough.any():
        return found
    slope_, error, at_kink = (np.array(part) for part in (found.slope, found.error, found.at_kink))
    slope_[rough], error[rough], at_kink[rough] = _anew(f, z, rough)
    return _better(found, Found(slope_, error, found.curvature, at_kink))


def _better(one: Found, other: Found) -> Found:
    """Take of each entry what is known better; a kink is always known better."""
    better = (other.error < one.error) | other.at_kink
    return Found(*(np.where(better, new, old) for new, old in zip(other, one, strict=True)))


def _extrapolated(f: Values, z: Array, y: Array, width: float) -> Found:
    """Extrapolate three differences at steps of a width, times max(1, |z|)."""
    odd, even = [], []
    for multiple in (1, 2, 4):
        above, below, h = sides(z, multiple * width)
        high, low = f(above), f(below)
        happened = above - below
        odd.append((high - low) / happened)
        even.append(((high - y) - (y - low)) / happened)
    h = h / 4
    near, far = (4 * odd[0] - odd[1]) / 3, (4 * odd[1] - odd[2]) / 3
    value = (16 * near - far) / 15
    # of an even part a h + b h^3 + c h^5 nothing is left but c; half the jump of a slope is counted 7 times
    kink = np.abs((even[2] - 2 * even[1]) - 8 * (even[1] - 2 * even[0])) / 7
    floor = ROUNDED * UNIT * (np.abs(y) + (h + np.abs(z)) * np.abs(value)) / h  # of values, and of what they are of
    error = np.abs(value - near) + 2 * kink + floor
    curvature = np.abs(8 * even[0] - even[1]) / (3 * h)
    return Found(value, np.where(np.isnan(error), np.inf, error), curvature, np.zeros(np.shape(z), bool))


def _anew(f: Values, z: Array, rough: Array) -> tuple[Array, Array, Array]:
    """Differentiate the rough entries by the adaptive method: values, errors, and which of them stand at a kink.

    f may treat every entry in its own way, so each point stands where its entry stands, and the others stay.
    """
    places = np.flatnonzero(rough)
    flat, shape = np.array(z, np.float64).reshape(-1), np.shape(z)

    def at(stack: Array) -> Array:
        """Evaluate f at (entry, point) pairs: of each entry one point at a time."""
        targets, points = places[stack[:, 0].astype(np.intp)], stack[:, 1]
        found, left = np.empty(len(stack)), np.arange(len(stack))
        while left.size:
            _, first = np.unique(targets[left], return_index=True)
            now, moved = left[first], flat.copy()
            moved[targets[now]] = points[now]
            found[now] = np.reshape(f(moved.reshape(shape)), -1)[targets[now]]
            left = np.delete(left, first)
        return np.asarray(found)

    def stack(elements: Array, coordinates: Array) -> Array:
        return np.stack([elements.astype(np.float64), coordinates], axis=1)

    def point(element: int, coordinate: complex) -> Array:
        return np.array([element, coordinate])

    starts, units = flat[places].tolist(), [2.0**-52] * places.size
    plan = Plan(starts, units, False, point, stack, 8, str)
    evaluator, request, method = Vectorized(at, plan), Request(), Adaptive()
    led = lead_together(method, plan, request, evaluator) if takes_together(method, plan, request, None) else None
    if not isinstance(led, Led):
        led = lead(method, plan, [request] * places.size, evaluator)
    table = Table.of(led)
    kinks = table.codes[:, 0] == Status.KINK.code
    return table.value[:, 0], (table.truncation + table.rounding)[:, 0], kinks


class Local(Rule):
    """A ufunc of which nothing is known but its values.

    Parameters
    ----------
    ufunc : callable
    output : int, optional
        Which of its results, if it has several.
    name : str, optional
    """

    entrywise = True

    def __init__(self, ufunc: Callable[..., Any], output: int | None = None, name: str = "") -> None:
        self.ufunc, self.output = ufunc, output
        self.name = name or str(getattr(ufunc, "__name__", ufunc))

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute the value."""
        y = self.ufunc(*values)
        if self.output is not None:
            y = y[self.output]
        if not hasattr(y, "dtype") or y.dtype.kind == "O":  # of a ufunc that np.frompyfunc made
            y = np.asarray(y).astype(np.float64)[()]
        return y

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply by the central difference in each input."""
        values = [value_of(given) for given in node.inputs]
        for place, given in enumerate(node.inputs):
            if isinstance(given, Node) and given.live:
                f, z = self._alone(place, values)
                if node.tape.fine:
                    found = slope_and_error(f, z, f(z)).slope
                else:
                    found = slope(f, z, node.value if node.value.dtype == np.float64 else None)
                give(given, (g * found).astype(np.result_type(g), copy=False))

    def _alone(self, place: int, values: Sequence[Any]) -> tuple[Values, Array]:
        """Give the ufunc as a function of one of its inputs, broadcast to the shape of the result."""
        z = np.asarray(values[place], np.float64)
        if len(values) > 1:
            z = np.broadcast_to(z, np.broadcast_shapes(*map(np.shape, values)))
        before, behind = (list(map(_wide, some)) for some in (values[:place], values[place + 1 :]))

        def f(moved: Array) -> Array:
            return np.asarray(self.forward(None, *before, moved, *behind), np.float64)

        return f, z

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Add what each input lost, times the slope, and the rounding of the result."""
        values = [value_of(given) for given in node.inputs]
        total = ROUNDED * unit_of(node.value) * np.abs(node.value)
        for place, error in enumerate(errors):
            if error is not None:
                f, z = self._alone(place, values)
                size = np.abs(slope(f, z))
                total = total + times(2 * size, error)
        return total

    def pull_both(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], gives: tuple[Give, Give]) -> None:
        """Find slopes and what they are off from four values and, where these disagree, by the adaptive method."""
        values = [value_of(given) for given in node.inputs]
        for place, given in enumerate(node.inputs):
            if isinstance(given, Node) and given.live:
                f, z = self._alone(place, values)
                found, error, curvature, at_kink = slope_and_error(f, z, f(z))
                if at_kink.any():
                    node.tape.kink(node, np.count_nonzero(at_kink))
                    error = np.where(at_kink & node.tape.smooth, 0.0, error)
                error = error + unit_of(node.value) * np.abs(found)
                if errors[place] is not None:
                    error = error + times(2 * curvature, errors[place])
                gives[0](given, (g * found).astype(np.result_type(g), copy=False))
                gives[1](given, times(np.abs(found), gap) + times(error, np.abs(g) + gap))


def _wide(value: Any) -> Any:
    """Give floating numbers in float64; whole ones stay, for a ufunc may want them."""
    return np.asarray(value, np.float64) if np.result_type(value).kind == "f" else value
