"""Turn what all conversations found into one Derivative: shapes, complex numbers, statuses and notes."""

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.conversation import Common, Estimate
from mibun.evaluate.drive import Led
from mibun.evaluate.values import Values
from mibun.result import Derivative
from mibun.status import PASSING, STATUSES, Note, Status
from mibun.structure import Structure

__all__ = ["Arrange", "Table", "Told", "gathered", "level", "points_first", "settled", "values_first"]

#: More notes than these are counted, not listed.
MOST_NOTES: Final = 100
LARGEST: Final = float(np.finfo(np.float64).max)

#: For (element, number): the message, and the slopes from the left and from the right.
Told = dict[tuple[int, int], tuple[str, float | None, float | None]]
Arrange = Callable[[NDArray[Any]], Any]
#: From (element, number) to its path in the result, and its name.
Path = Callable[[int, int], tuple[tuple[Any, ...], str]]


def settled(estimate: Estimate) -> Estimate:
    """Make an estimate keep the rules of a result: nan has an infinite error, and an infinite error does not pass."""
    value, truncation, rounding, status = estimate[:4]
    if math.isfinite(value) and truncation >= 0.0 and rounding >= 0.0 and truncation + rounding < math.inf:
        return estimate
    if value - value != 0:
        passing = status.code < PASSING
        return estimate._replace(
            value=math.nan, truncation=0.0, rounding=math.inf, status=Status.NOT_FINITE if passing else status
        )
    return estimate._replace(
        truncation=0.0, rounding=math.inf, status=Status.UNRESOLVED if status.code < PASSING else status
    )


@dataclass(slots=True)
class Table:
    """The estimates as arrays, (elements, numbers that f returns), and what is to be told about some of them."""

    value: NDArray[Any]
    truncation: NDArray[Any]
    rounding: NDArray[Any]
    codes: NDArray[Any]
    step: NDArray[Any]
    noise: NDArray[Any]
    told: Told

    @classmethod
    def of(cls, led: Led) -> "Table":
        """Write all estimates into arrays; two real ones make a complex one."""
        table = cls._alone(led) if led.common is None else cls._with_common(led, led.common)
        for element, text in led.faults.lost.items():
            table.fail(element, text)
        return table

    @classmethod
    def _alone(cls, led: Led) -> "Table":
        """Write the estimates of elements that were led alone."""
        shape = len(led.estimates), len(led.estimates[0])
        flat = [settled(estimate) for row in led.estimates for estimate in row]
        value, truncation, rounding, statuses, step, noise, messages, left, right = zip(*flat, strict=True)
        codes = np.array([status.code for status in statuses], np.uint8).reshape(shape)
        told: Told = {}
        for place in np.flatnonzero(codes.reshape(-1) | np.array([bool(message) for message in messages])).tolist():
            element, output = divmod(place, shape[1])
            text = messages[place] or statuses[place].value.split(";")[0].split(",")[0]
            raised = led.faults.texts.get(element)
            told[element, output] = (f"{text}; {raised}" if raised else text, left[place], right[place])
        columns = [np.array(column, dtype=np.float64).reshape(shape) for column in (value, truncation, rounding)]
        steps, noises = (np.array(column, dtype=np.float64).reshape(shape) for column in (step, noise))
        table = cls(columns[0], columns[1], columns[2], codes, steps, noises, told)
        return table._complex() if led.values.complex else table

    @classmethod
    def _with_common(cls, led: Led, common: Common) -> "Table":
        """Put the elements that were led alone among those that were led together."""
        value, truncation, rounding, step, noise = (part[:, None] for part in common[1:])
        table = cls(value, truncation, rounding, np.zeros((common.done.size, 1), np.uint8), step, noise, {})
        left = np.flatnonzero(~common.done)
        if left.size:
            faults = copy(led.faults)
            faults.texts = {i: faults.texts[e] for i, e in enumerate(left.tolist()) if e in faults.texts}
            estimates = [led.estimates[element] for element in left.tolist()]
            alone = cls._alone(led._replace(estimates=estimates, faults=faults, common=None))
            for into, part in zip(table._arrays(), alone._arrays(), strict=True):
                into[left] = part
            table.told.update({(int(left[i]), output): text for (i, output), text in alone.told.items()})
        return table

    def at(self, places: NDArray[np.intp]) -> "Table":
        """Give the elements at these places, each as often as it is named."""
        told: Told = {}
        if self.told:
            texts = {element: text for (element, _), text in self.told.items()}
            named = np.flatnonzero(np.isin(places, list(texts)))
            told = {
                (place, 0): texts[element]
                for place, element in zip(named.tolist(), places[named].tolist(), strict=True)
            }
        value, truncation, rounding, codes, step, noise = (part[places] for part in self._arrays())
        return Table(value, truncation, rounding, codes, step, noise, told)

    def fail(self, element: int, text: str) -> None:
        """Say of an element that f did not come back from one of its points."""
        self.value[element], self.truncation[element], self.rounding[element] = math.nan, 0.0, math.inf
        self.codes[element] = Status.FAILED.code
        self.told |= {(element, output): (text, None, None) for output in range(self.codes.shape[1])}

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.value, self.truncation, self.rounding, self.codes, self.step, self.noise

    def _complex(self) -> "Table":
        """Join the real and the imaginary numbers; the errors of both add up like the sides of a triangle."""
        size = self.value.shape[1] // 2
        real, imaginary = slice(size), slice(size, None)
        first, second = self.codes[:, real], self.codes[:, imaginary]
        harmless = Status.INSENSITIVE.code
        codes = np.maximum(np.where(first == harmless, 0, first), np.where(second == harmless, 0, second))
        codes = np.where((first == harmless) & (second == harmless), harmless, codes).astype(np.uint8)
        told: Told = {}
        for (element, output), text in self.told.items():
            if codes[element, output % size] or self.codes[element, output] == 0:
                told.setdefault((element, output % size), text)
        value = self.value[:, real] + 1j * self.value[:, imaginary]
        value[np.isnan(value)] = complex(math.nan, math.nan)
        return Table(
            value,
            np.hypot(self.truncation[:, real], self.truncation[:, imaginary]),
            np.hypot(self.rounding[:, real], self.rounding[:, imaginary]),
            codes,
            np.maximum(self.step[:, real], self.step[:, imaginary]),
            np.maximum(self.noise[:, real], self.noise[:, imaginary]),
            told,
        )

    def analytic(self, order: int = 1) -> "Table":
        """Join the slopes along the real axis (first half) and along the imaginary one, which an analytic f shares.

        Each step along the imaginary axis is a step times i, so derivatives of higher order have as many of them.
        """
        half = len(self.value) // 2
        along, across = self.value[:half], self.value[half:] / (1j, -1, -1j, 1)[(order - 1) % 4]
        errors = self.truncation + self.rounding
        first = errors[:half] <= errors[half:]
        both = errors[:half] + errors[half:]
        with np.errstate(invalid="ignore"):
            gap = np.abs(along - across)
            differ = ~(gap <= np.minimum(10 * both, LARGEST))
        chosen = [
            np.where(first, column[:half], column[half:])
            for column in (self.truncation, self.rounding, self.codes, self.step, self.noise)
        ]
        value = np.where(first, along, across)
        told: Told = {}
        for (element, output), text in self.told.items():
            place = element % half, output
            if chosen[2][place]:
                told.setdefault(place, text)
        chosen[0] += np.where(differ, 0.0, gap)
        chosen[0][differ], chosen[1][differ], chosen[2][differ] = 0.0, math.inf, Status.UNRESOLVED.code
        for element, output in np.argwhere(differ).tolist():
            slopes = f"{along[element, output]:.6g} along the real axis, {across[element, output]:.6g} along the other"
            told[element, output] = f"f does not look analytic: its slope is {slopes}", None, None
        truncation, rounding, codes, step, noise = chosen
        return Table(value, truncation, rounding, codes, step, noise, told)


def points_first(x_shape: tuple[int, ...], values: Structure) -> Arrange:
    """Arrange (elements, numbers) as (*X, *T) in every leaf of f."""

    def arrange(matrix: NDArray[Any]) -> Any:
        parts = []
        for leaf in values.leaves:
            block = matrix[:, leaf.slice].reshape(x_shape + leaf.shape)
            parts.append(block.item() if leaf.number and not x_shape else block)
        return values.build(parts)

    return arrange


def values_first(x: Structure, values: Structure) -> Arrange:
    """Arrange (elements, numbers) as f's structure with x's structure in each leaf, (*T, *S) in each of those."""

    def arrange(matrix: NDArray[Any]) -> Any:
        parts = []
        for leaf in values.leaves:
            inner = []
            for entry in x.leaves:
                block = matrix[entry.slice, leaf.slice].T.reshape(leaf.shape + entry.shape)
                inner.append(block.item() if leaf.number and entry.number else block.copy())
            parts.append(x.build(inner))
        return values.build(parts)

    return arrange


def gathered(
    table: Table,
    arrange: Arrange,
    *,
    evaluations: int,
    noise: Any,
    fx: Any,
    dtype: Any = np.float64,
    remark: str = "",
    path: Path | None = None,
    gradient: Derivative | None = None,
) -> Derivative:
    """Build the result.

    Parameters
    ----------
    table : Table
    arrange : callable
        From (elements, numbers) to the structure of the result.
    evaluations, noise, fx, gradient
        As in `Derivative`.
    dtype : dtype
        Of real numbers in the result: float64, or longdouble.
    remark : str
        Something to be told about the whole run.
    path : callable, optional
        Path and name of (element, number) in the result. Default: that of the structure of the result.
    """

    def wide(numbers: NDArray[Any]) -> NDArray[Any]:
        return numbers.astype(np.result_type(numbers, dtype), copy=False)

    truncation, rounding = wide(table.truncation), wide(table.rounding)
    notes = _notes(table, path or _dense_path(table, arrange)) if table.told else ()
    if remark:
        notes += (Note(None, Status.CONVERGED, remark),)
    return Derivative(
        value=arrange(wide(table.value)),
        error=arrange(truncation + rounding),
        truncation=arrange(truncation),
        rounding=arrange(rounding),
        status=arrange(table.codes),
        step=arrange(wide(table.step)),
        evaluations=evaluations,
        noise=noise,
        fx=fx,
        gradient=gradient,
        notes=notes,
    )


def _dense_path(table: Table, arrange: Arrange) -> Path:
    """Find the paths of all elements in the structure of the result."""
    numbered = arrange(np.arange(table.codes.size, dtype=np.float64).reshape(table.codes.shape))
    result = Structure.of(numbered)
    place = {int(i): flat for flat, i in enumerate(result.flatten(numbered).tolist())}
    width = table.codes.shape[1]

    def path(element: int, output: int) -> tuple[tuple[Any, ...], str]:
        at = place[element * width + output]
        return result.path(at), result.name(at)

    return path


def _notes(table: Table, path: Path) -> tuple[Note, ...]:
    """Write a note for each element that is not plainly converged; where there are many, one for each status."""
    told = table.told
    if len(told) <= MOST_NOTES:
        return tuple(
            Note(path(*place)[0], STATUSES[table.codes[place]], text, left, right)
            for place, (text, left, right) in sorted(told.items())
        )
    notes = []
    for status in STATUSES:
        about = [key for key in sorted(told) if table.codes[key] == status.code]
        if about:
            name = path(*about[0])[1]
            notes.append(Note(None, status, f"{len(about):,} elements, the first of them {name}: {told[about[0]][0]}"))
    return tuple(notes)


def level(values: Values, noise: NDArray[Any]) -> Any:
    """Give the noise of each number that f returns, in the structure of f: the largest that any element found."""
    return values.structure.unflatten(noise.max(axis=0), cast=False)
