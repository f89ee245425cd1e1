"""Check the gradients that automatic differentiation makes, of whatever framework: a `Program` says how it is asked.

A function of several arguments, which returns any arrays, is read as one number with named parts: the sum of all
numbers that it returns, weighed by fixed random ones. Its gradient is one backward pass, and a mistake in any entry of
the Jacobian shows in it, for weights that would hide it have probability 0. (JAX's `check_grads` and PyTorch's
`gradcheck(fast_mode=True)` go the same way, and project the inputs as well.)
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mibun.checker import CheckReport, check
from mibun.checker.claim import RTOL
from mibun.errors import InputError
from mibun.text import clip

__all__ = ["Program", "argument_names", "examined"]

Array = NDArray[Any]

#: Two calls at the same x that differ by more, relative to the largest number, are of two functions: no rounding.
RANDOM: Final = 2.0**-10
#: How far the parts are moved, relative to each entry, to see in how many bits a function computes: far enough for 8.
NUDGE: Final = 2.0**-4
FEW_BITS: Final = (
    "f computes in float16 or bfloat16, whatever it is given: numbers of so few bits are equal at neighbouring points; "
    "let it compute in the precision of its arguments to have it checked"
)
#: Numbers that are smaller than this part of the largest are what rounding has left, and have any bits.
NEGLIGIBLE: Final = 2.0**-20
#: Bits of the numbers of a format (bfloat16 has less than float16), and its bytes.
FORMATS: Final = ((11, 2), (24, 4))


class Program(Protocol):
    """A function as a framework sees it, at some x.

    Attributes
    ----------
    parts : dict of arrays
        What it is differentiated with respect to, by name, in the precision in which it is computed.
    notes : list of str
        What there is to say about how it is computed.
    unchecked : list of str
        What it is not differentiated with respect to, or which numbers are left out.
    advice : str
        What to write where the function is random.
    """

    parts: dict[str, Array]
    notes: list[str]
    unchecked: list[str]
    advice: str

    def outputs(self, parts: dict[str, Array]) -> list[Array]:
        """Give the real numbers that the function returns, complex ones as pairs."""

    def gradient(self, parts: dict[str, Array], weights: Sequence[Array]) -> list[Array | None]:
        """Give the gradient of the sum of weights times outputs for each part; None as the framework says it."""


def argument_names(function: Callable[..., Any], count: int) -> list[str]:
    """Name the first arguments as a function does, where it says so: those of ``f(*args)`` are numbered."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # written in C
        parameters = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind in kinds]
    return (names + [f"input[{place}]" for place in range(len(names), count)])[:count]


def examined(program: Program, verb: str, seed: int, options: dict[str, Any]) -> CheckReport:
    """Check the gradient of a program; `verb` was called for it, and `options` are those of `mibun.check`.

    Raises
    ------
    InputError
        If the program returns other shapes when it is called again, or an option cannot be used.
    """
    words = [f"{name}={value!r}" for name, value in {"seed": seed, **options}.items() if value is not None]
    repeat = clip(f"{verb}(f, inputs, {', '.join(words)})")
    first, second = program.outputs(program.parts), program.outputs(program.parts)
    if [output.shape for output in first] != [output.shape for output in second]:
        raise InputError("f returned arrays of other shapes when it was called again; expected the same every time")
    gap = _gap(first, second)
    if gap > RANDOM:
        differ = f"two calls with the same arguments differ by {100 * gap:.2g} %"
        return _undecided(program, f"f is nondeterministic: {differ}; {program.advice}", repeat)
    count = sum(output.size for output in first)
    weights = _weights(first, seed)
    slopes = program.gradient(program.parts, weights)
    widths = _widths(program, first, slopes, weights, seed)
    if widths[0] == 2:
        return _undecided(program, FEW_BITS, repeat)
    missing = sorted(name for name, slope in zip(program.parts, slopes, strict=True) if slope is None)

    def f(parts: dict[str, Array]) -> float:
        pairs = zip(weights, program.outputs(parts), strict=True)
        return math.fsum(float(np.vdot(weight, output)) for weight, output in pairs)

    def gradient(parts: dict[str, Array]) -> dict[str, Array]:
        pairs = zip(parts.items(), program.gradient(parts, weights), strict=True)
        return {name: np.zeros_like(part) if slope is None else slope for (name, part), slope in pairs}

    report = check(f, gradient, program.parts, **{"rtol": RTOL[min(widths)], "seed": seed, **options})
    notes = list(program.notes)
    if missing:
        notes.append(f"the gradient of {', '.join(missing)} is None; it is read as zeros")
    if count > 1:
        notes.append(f"f returned {count:,} numbers; checked is the gradient of their sum, weighed by random numbers")
    unseen = (*program.unchecked, *report.unseen)
    return replace(report, notes=(*notes, *report.notes), unseen=unseen, repeat=repeat)


def _gap(first: Sequence[Array], second: Sequence[Array]) -> float:
    """Give by how much two results differ, relative to the largest number of each array."""
    gap = 0.0
    for one, other in zip(first, second, strict=True):
        with np.errstate(invalid="ignore"):
            off = np.nan_to_num(np.abs(one.astype(np.float64) - other), posinf=0.0)
        gap = max(gap, float(np.max(off, initial=0.0)) / (_largest(one) or 1.0))
    return gap


def _largest(numbers: Array) -> float:
    return float(np.max(np.abs(numbers), initial=0.0, where=np.isfinite(numbers)))


def _undecided(program: Program, note: str, repeat: str) -> CheckReport:
    """Report a function whose differences would say nothing."""
    count = sum(part.size for part in program.parts.values())
    return CheckReport(
        undecided_count=count,
        elements=count,
        how="nothing: a difference of two values of such an f says nothing of its slope",
        unseen=tuple(program.unchecked),
        notes=(note, *program.notes),
        evaluations=2,
        repeat=repeat,
    )


def _weights(outputs: Sequence[Array], seed: int) -> list[NDArray[np.float64]]:
    """Draw weights between 1/2 and 3/2, of so few bits that every format has them; 1 for a number that is alone.

    Their signs are those of the numbers at x, so that the sum does not cancel: what rounds is then seen in its size.
    """
    if sum(output.size for output in outputs) == 1:
        return [np.ones(output.shape) for output in outputs]
    rng = np.random.default_rng(seed)
    return [np.where(output < 0, -1.0, 1.0) * rng.integers(8, 25, output.shape) / 16 for output in outputs]


def _widths(
    program: Program, first: Sequence[Array], slopes: Sequence[Array | None], weights: Sequence[Array], seed: int
) -> tuple[int, int]:
    """Give the bytes of the formats in which a function and its backward compute: those of their numbers near x.

    A function may turn its arguments into float32, whatever they are given in. Numbers that do not change tell nothing.
    """
    rng = np.random.default_rng(seed)
    moved = {}
    for name, part in program.parts.items():
        moves = NUDGE * rng.uniform(0.5, 1.0, part.shape)
        moved[name] = np.asarray(part + moves * np.where(part == 0, 1.0, part), part.dtype)
    try:
        second = program.outputs(moved)
        others = program.gradient(moved, weights)
    except Exception:  # noqa: BLE001  no matter which: f is not defined there
        return 8, 8
    known = [(one, other) for one, other in zip(slopes, others, strict=True) if one is not None and other is not None]
    return _least_width(list(zip(first, second, strict=True))), _least_width(known)


def _least_width(pairs: Sequence[tuple[Array, Array]]) -> int:
    """Give the bytes of the format with the fewest bits that holds all changed numbers of some array."""
    felt = NEGLIGIBLE * max((_largest(other) for _, other in pairs), default=0.0)
    width = 8
    for one, other in pairs:
        changed = other[(other != one) & (one != 0) & (np.abs(other) > felt) & np.isfinite(other)].astype(np.float64)
        mantissas = np.frexp(changed)[0]
        for bits, size in FORMATS:
            if changed.size and (np.ldexp(mantissas, bits) % 1.0 == 0).all():
                width = min(width, size)
    return width
