"""Every other ufunc: its local numerical derivative, taken where it stands.

Of a function of which nothing is known but its values, the slope at every entry is the central difference

    D(h) = (f(z+h) - f(z-h)) / ((z+h) - (z-h)),   h = 2**-17 max(1, |z|),

in float64, whatever the data, and divided by the step that really happened. The points z+-2h tell how far it can be
trusted: |D(2h) - D(h)| holds the truncation of D(h), and the even parts tell a kink. Entries where they disagree by
more than `ROUGH` are differentiated anew by the adaptive method, each with its own steps and bound.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

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

__all__ = ["Local", "Values", "slope", "slope_and_error"]

#: The h of a plain difference of values in float64, times max(1, |z|): about the cube root of 2**-52.
STEP: Final = 2.0**-17
#: Half-ulps that a value of an unknown function may be off.
ROUNDED: Final = 8.0
#: The part of its slope by which the differences at h and 2h may disagree, beside rounding.
ROUGH: Final = 1e-7

#: From an array in float64 to the values of f there, in float64, entry by entry.
Values = Callable[[Array], Array]


def slope(f: Values, z: Array) -> Array:
    """Give the central difference at every entry of z: two evaluations."""
    above, below, _ = sides(z, 1)
    return np.asarray((f(above) - f(below)) / (above - below))


def sides(z: Array, multiple: int) -> tuple[Array, Array, Array]:
    """Give z + h, z - h and h in float64, at `multiple` of the step."""
    z = np.asarray(z, np.float64)
    h = STEP * multiple * np.maximum(1.0, np.abs(z))
    return z + h, z - h, h


def slope_and_error(f: Values, z: Array, y: Array, z_error: Any) -> tuple[Array, Array, int]:
    """Give slope, bound on its error where the true z is within `z_error`, and how many entries stand at a kink."""
    near, near_even, h = _parts(f, z, y, 1)
    far, far_even, _ = _parts(f, z, y, 2)
    # Across a kink at distance t the quotient is off by up to half the jump of the slope; the two terms together
    # cover that for every t (worst t = 2h/3), and are of order h**2 where f is smooth.
    odd = far - near
    error = np.abs(odd) + 2 * np.abs(2 * near_even - far_even)
    floor = ROUNDED * unit_of(h) * (np.abs(y) + h * np.abs(near)) / h
    rough = np.asarray(~(error <= ROUGH * np.abs(near) + 4 * floor))
    error = error + floor
    if z_error is not None:
        error = error + times(2 * np.abs(near_even) / h, z_error) + times(np.abs(odd), (z_error / h) ** 2)
    kinks = 0
    if rough.any():
        near, error = np.array(near), np.array(error)
        near[rough], error[rough], at_kink = _anew(f, z, y, rough)
        kinks = int(np.count_nonzero(at_kink))
    return near, error, kinks


def _parts(f: Values, z: Array, y: Array, multiple: int) -> tuple[Array, Array, Array]:
    """Give the odd part (f+ - f-)/2h, the even part (f+ - 2f + f-)/2h, and h."""
    above, below, h = sides(z, multiple)
    high, low = f(above), f(below)
    happened = above - below
    return (high - low) / happened, ((high - y) - (y - low)) / happened, h


def _anew(f: Values, z: Array, y: Array, rough: Array) -> tuple[Array, Array, Array]:
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
        return found

    def stack(elements: Array, coordinates: Array) -> Array:
        return np.stack([elements.astype(np.float64), coordinates], axis=1)

    def point(element: int, coordinate: complex) -> Array:
        return stack(np.array([element]), np.array([coordinate]))[0]

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

    def __init__(self, ufunc: Callable[..., Any], output: int | None = None, name: str = "") -> None:
        self.ufunc, self.output = ufunc, output
        self.name = name or str(getattr(ufunc, "__name__", ufunc))

    def forward(self, options: Any, *values: Any) -> Any:
        """Compute the value."""
        y = self.ufunc(*values)
        if self.output is not None:
            y = y[self.output]
        if getattr(y, "dtype", None) == object or not hasattr(y, "dtype"):
            y = np.asarray(y).astype(np.float64)[()]
        return y

    def pull(self, node: Node, g: Any, give: Give) -> None:
        """Multiply by the central difference in each input."""
        values = [value_of(given) for given in node.inputs]
        for place, given in enumerate(node.inputs):
            if isinstance(given, Node) and given.live:
                f, z = self._alone(place, values)
                give(given, (g * slope(f, z)).astype(np.result_type(g), copy=False))

    def _alone(self, place: int, values: Sequence[Any]) -> tuple[Values, Array]:
        """Give the ufunc as a function of one of its inputs, broadcast to the shape of the result."""
        shape = np.broadcast_shapes(*(np.shape(value) for value in values))
        z = np.broadcast_to(np.asarray(values[place], np.float64), shape)
        others = [_wide(value) for value in values]

        def f(moved: Array) -> Array:
            given: list[Any] = [*others[:place], moved, *others[place + 1 :]]
            return np.asarray(self.forward(None, *given), np.float64)

        return f, z

    def lost(self, node: Node, errors: Sequence[Any]) -> Any:
        """Add what each input lost, times the slope, and the rounding of the result."""
        values = [value_of(given) for given in node.inputs]
        total = ROUNDED * unit_of(node.value) * np.abs(node.value)
        for place, error in enumerate(errors):
            if error is not None:
                f, z = self._alone(place, values)
                size = np.abs(slope(f, z))
                total = total + times(size * (1 + ROUGH), error)
        return total

    def pull_both(self, node: Node, g: Any, gap: Any, errors: Sequence[Any], gives: tuple[Give, Give]) -> None:
        """Find slopes and what they are off from four values and, where these disagree, by the adaptive method."""
        values = [value_of(given) for given in node.inputs]
        for place, given in enumerate(node.inputs):
            if isinstance(given, Node) and given.live:
                f, z = self._alone(place, values)
                found, error, kinks = slope_and_error(f, z, f(z), errors[place])
                if kinks:
                    node.tape.kink(self.name, kinks)
                error = error + unit_of(node.value) * np.abs(found)
                gives[0](given, (g * found).astype(np.result_type(g), copy=False))
                gives[1](given, times(np.abs(found), gap) + times(error, np.abs(g) + gap))


def _wide(value: Any) -> Any:
    """Give floating numbers in float64; whole ones stay, for a ufunc may want them."""
    return np.asarray(value, np.float64) if np.result_type(value).kind == "f" else value
