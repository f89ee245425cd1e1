"""What kind of mistake it looks like: where the wrong elements are, and how they differ from what was found.

Where: the smallest slice that holds them all, or a diagonal, or the entries where x has one sign. How: a factor,
nothing at all, a constant, a share of x, the transpose. A kind is named only if every element that is known agrees.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.checker.claim import Claim
from mibun.checker.examine import Examination
from mibun.checker.verdict import RIGHT, WRONG

__all__ = ["Kind", "everywhere", "kinds_of", "mended", "told"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

#: A factor that one element has by chance says nothing, unless it is one that people forget.
FAMOUS: Final = (-1.0, 2.0, 0.5, -2.0, -0.5)
#: Wrong elements from which a factor that nobody knows, a constant or a share of x is believed.
SEVERAL: Final = 3
#: Wrong elements, their share and their correlation with what was found from which another point is suspected.
MANY: Final = 8
SHARE: Final = 0.8
ALIKE: Final = 0.5


@dataclass(frozen=True)
class Kind:
    """A kind of mistake.

    Attributes
    ----------
    how, where : str
        As text; `where` may be empty: everywhere.
    part : tuple of int
        The numbers of the parts of f(x) and x that it is about.
    mended : ndarray, optional
        The elements of the part as they would be without the mistake; None where that cannot be said. Of a sparse
        claim those that are known.
    factor : float, optional
        What was given is so many times what it should be.
    certain : bool
        Every element that is known follows from it; else it says only where the mistakes are, or what they resemble.
    inside : ndarray of bool
        The elements of the part that are meant.
    """

    how: str
    where: str
    part: tuple[int, int]
    mended: Floats | None
    inside: Mask
    certain: bool = True
    factor: float | None = None

    def __str__(self) -> str:
        return f"{self.how}{' ' * bool(self.where)}{self.where}"


def kinds_of(examination: Examination, clear: bool = False) -> list[Kind]:
    """Find a kind of mistake for each part that has wrong elements; `clear`: all that is not known is right."""
    known, claim = examination.known, examination.claim
    outer = np.searchsorted([leaf.stop for leaf in claim.outs.leaves], known.rows, side="right")
    inner = claim.parameter(known.columns)
    found = []
    wrong = (examination.verdict == WRONG) & np.isfinite(known.value) & np.isfinite(examination.given)
    for part in sorted(set(zip(outer[wrong].tolist(), inner[wrong].tolist(), strict=True))):
        places = np.flatnonzero((outer == part[0]) & (inner == part[1]) & (wrong | (examination.verdict == RIGHT)))
        kind = _Part(examination, part, places, clear).kind()
        if kind is not None:
            found.append(kind)
    return found


def everywhere(kinds: list[Kind], claim: Claim) -> list[Kind]:
    """Take the factor that some parts have in common for that of all parts; empty if they have none."""
    if not kinds or kinds[0].factor is None or len({(kind.how, kind.factor) for kind in kinds}) > 1 or claim.sparse:
        return []
    factor, found = kinds[0].factor, []
    for row, out in enumerate(claim.outs.leaves):
        for column, leaf in enumerate(claim.ins.leaves):
            block = claim.matrix[out.start : out.stop, leaf.start : leaf.stop].reshape(-1) / factor
            found.append(Kind(kinds[0].how, f"in {leaf.name}", (row, column), block, np.ones(block.size, bool)))
    return found


def mended(claim: Claim, kinds: list[Kind]) -> Any:
    """Give the claim as it would be without these mistakes; None if that cannot be said."""
    if claim.sparse:
        factor = kinds[0].factor
        return None if factor is None or not kinds[0].inside.all() else claim.matrix / factor
    matrix = claim.matrix.copy()
    for kind in kinds:
        out, leaf = claim.outs.leaves[kind.part[0]], claim.ins.leaves[kind.part[1]]
        if kind.mended is not None:
            part = matrix[out.start : out.stop, leaf.start : leaf.stop]
            part[:] = kind.mended.reshape(part.shape)
    return matrix


def told(kinds: list[Kind], claim: Claim) -> tuple[str, ...]:
    """Write kinds as text, those that are the same in every part together."""
    parts = len(claim.ins.leaves) * len(claim.outs.leaves)
    if len(kinds) == parts > 1 and len({kind.how for kind in kinds}) == 1 and all(kind.inside.all() for kind in kinds):
        return (f"{kinds[0].how} everywhere",)
    return tuple(dict.fromkeys(map(str, kinds)))


class _Part:
    """The derivative of one part of f(x) with respect to one part of x, as far as it is known."""

    def __init__(self, examination: Examination, part: tuple[int, int], places: Places, clear: bool) -> None:
        claim: Claim = examination.claim
        known = examination.known
        self.part = part
        self.times: float | None = None
        self.out, self.leaf = claim.outs.leaves[part[0]], claim.ins.leaves[part[1]]
        outer = () if claim.outs.size == 1 else self.out.shape
        self.shape = outer + self.leaf.shape
        self.rows, self.columns = known.rows[places] - self.out.start, known.columns[places] - self.leaf.start
        width = self.leaf.stop - self.leaf.start
        self.flat = self.rows * width + self.columns
        self.index = (
            np.stack(np.unravel_index(self.flat, self.shape)) if self.shape else np.zeros((0, places.size), int)
        )
        self.value, self.given = known.value[places], examination.given[places]
        self.within = known.error[places] + examination.limits(places)[0]
        self.wrong = examination.verdict[places] == WRONG
        x = examination.numeric.given.vector[self.leaf.slice].astype(np.float64)
        self.sparse = claim.sparse
        if self.sparse:  # there may be far too many to look at all
            self.size, self.x, self.block, self.grid = places.size, x[self.columns], self.given, self.index
            self.flat = np.arange(self.size)
        else:
            block = claim.matrix[self.out.start : self.out.stop, self.leaf.start : self.leaf.stop]
            self.block, self.x = block.reshape(-1), np.tile(x, block.shape[0])
            self.size = self.x.size
            self.grid = np.stack(np.unravel_index(np.arange(self.size), self.shape)) if self.shape else self.index
        self.clear = np.full(self.size, clear and not self.sparse)
        self.clear[self.flat] = False
        #: what bisection found is no sample of the others
        self.partial = not clear and places.size < self.size
        names = [name for name in (self.out.name, self.leaf.name) if name]
        self.name = " by ".join(names) or f"the {claim.word}"

    def kind(self) -> Kind | None:
        """Find where the wrong elements are, and how they are wrong."""
        for where, inside in self.scopes():
            # a scope holds all wrong elements; those in it that are right must fit what is said about it
            how = self.how(inside)
            if how is not None:
                text, mended = how
                return Kind(text, where, self.part, mended, inside, factor=self.times)
        for where, inside in self.scopes():
            if where and not inside.all() and self.wrong.sum() > 1:
                return Kind("all that are wrong are", where, self.part, None, inside, certain=False)
        return self.another_point()

    def scopes(self) -> list[tuple[str, Mask]]:
        """Give sets that hold all wrong elements, the smallest descriptions first."""
        everywhere, grid = np.ones(self.size, bool), self.grid
        wrong = self.index[:, self.wrong]
        fixed = [axis for axis, length in enumerate(self.shape) if length > 1 and (wrong[axis] == wrong[axis, 0]).all()]
        inside = everywhere.copy()
        for axis in fixed:
            inside &= grid[axis] == wrong[axis, 0]
        found = [(f"in {self.slice_name(fixed, wrong)}", inside)]
        if len(self.shape) == 2 and self.shape[0] == self.shape[1] and not fixed:
            first, second = grid
            for where, mask in (
                ("on the diagonal", first == second),
                ("above the diagonal", first < second),
                ("below the diagonal", first > second),
                ("off the diagonal", first != second),
            ):
                if mask[self.flat[self.wrong]].all():
                    found.append((f"{where} of {self.name}", mask))
        for sign, mask in (("<", self.x < 0), (">", self.x > 0)):
            if mask[self.flat[self.wrong]].all() and not mask.all() and self.wrong.sum() > 1:
                found.append((f"in {self.name} where x {sign} 0", mask & inside))
        return [*found, *self.box(wrong)]

    def box(self, wrong: NDArray[Any]) -> list[tuple[str, Mask]]:
        """Give the rows, columns or entries in a row of which every one is wrong, or all are 0."""
        if not self.shape or wrong.shape[1] < SEVERAL:
            return []
        low, high = wrong.min(axis=1), wrong.max(axis=1)
        inside = ((self.grid >= low[:, None]) & (self.grid <= high[:, None])).all(axis=0)
        others = inside.copy()
        others[self.flat[self.wrong]] = False
        if inside.all() or (others & (self.block != 0 if self.partial else True)).any():
            return []
        short = [axis for axis, size in enumerate(self.shape) if high[axis] - low[axis] + 1 < size]
        if len(self.shape) == 2 and len(short) == 1 and low[short[0]] < high[short[0]]:
            axis = short[0]
            return [(f"in {('rows', 'columns')[axis]} {low[axis]} to {high[axis]} of {self.name}", inside)]
        ends = [f"{a}:{b + 1}" if a < b else str(a) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
        keys = ", ".join(end if axis in short else ":" for axis, end in enumerate(ends))
        return [(f"in {'' if self.name.startswith('the ') else self.name}[{keys}]", inside)]

    def slice_name(self, fixed: list[int], wrong: NDArray[Any]) -> str:
        """Name the elements that have some places in common."""
        if not fixed:
            return self.name
        plain = not self.name.startswith("the ")
        if len(self.shape) == 2 and len(fixed) == 1:
            return f"{('row', 'column')[fixed[0]]} {wrong[fixed[0], 0]} of {self.name}"
        keys = ", ".join(str(wrong[axis, 0]) if axis in fixed else ":" for axis in range(len(self.shape)))
        return f"{self.name if plain else ''}[{keys}]"

    def how(self, inside: Mask) -> tuple[str, Floats | None] | None:
        """Say how the elements inside are wrong; None if there is no simple rule that all that are known follow."""
        at = inside[self.flat]
        for rule in (self.missing, self.factor, self.transposed, self.constant, self.share):
            found = rule(at)
            if found is not None:
                text, mended = found
                if mended is None:  # what is not 0 is not missing; a rough factor is no word on what is right
                    others = inside if rule == self.missing else self.clear & inside
                    return None if (others & (self.block != 0)).any() else (text, None)
                mended = np.where(inside, mended, self.block)
                if (np.abs(mended - self.block) > self.within.max())[self.clear].any():
                    continue
                return text, mended
        return None

    def fits(self, at: Mask, expected: Floats) -> bool:
        """Tell whether what was expected was found."""
        return bool((np.abs(self.value - expected)[at] <= self.within[at]).all())

    def missing(self, at: Mask) -> tuple[str, None] | None:
        """Try: all that was given is 0."""
        return ("missing: 0 was given", None) if not self.given[at].any() else None

    def factor(self, at: Mask) -> tuple[str, Floats | None] | None:
        """Try: what was given is what was found times a number."""
        best = int(np.argmax(np.where(at & self.wrong, np.abs(self.value), -1.0)))
        if not self.value[best] or not self.given[best]:
            return None
        ratio = self.given[best] / self.value[best]
        blur = 2 * self.within[best] / abs(self.value[best]) * max(1.0, abs(ratio))
        simple = _simple(ratio, blur)
        factor = ratio if simple is None else simple
        slack = self.within + np.abs(self.given / factor) * (0.0 if simple is not None else blur)
        if not (np.abs(self.value - self.given / factor)[at] <= slack[at]).all():
            return None
        several = int((at & self.wrong).sum()) >= SEVERAL
        if simple not in FAMOUS and not several:
            return None
        mended = None if simple is None else self.block / factor
        self.times = simple
        return _factor_text(factor, simple), mended

    def transposed(self, at: Mask) -> tuple[str, Floats | None] | None:
        """Try: the entries of a matrix stand in the order of its transpose."""
        if self.sparse or len(self.shape) != 2 or min(self.shape) == 1 or self.wrong.sum() < 2:
            return None
        first, second = self.shape
        turned = self.block.reshape(second, first).T.reshape(-1)
        return ("transposed", turned) if self.fits(at, turned[self.flat]) else None

    def constant(self, at: Mask) -> tuple[str, Floats | None] | None:
        """Try: a number was added."""
        chosen = at & self.wrong
        if chosen.sum() < SEVERAL:
            return None
        off = float(np.median((self.given - self.value)[chosen]))
        spread = float(self.within[chosen].max())
        if not self.fits(at, self.given - off) or abs(off) <= spread:
            return None
        return f"off by the constant {off:.6g}", self.block - off

    def share(self, at: Mask) -> tuple[str, Floats | None] | None:
        """Try: a multiple of x was added, or is missing."""
        chosen = at & self.wrong & (self.x[self.flat] != 0)
        if chosen.sum() < SEVERAL:
            return None
        x = self.x[self.flat]
        best = int(np.argmax(np.where(chosen, np.abs(x), -1.0)))
        share = (self.value - self.given)[best] / x[best]
        blur = self.within[best] / abs(x[best])
        if not (np.abs(self.value - self.given - share * x)[at] <= self.within[at] + blur * np.abs(x[at])).all():
            return None
        word = "missing" if share > 0 else "too much"
        return f"{abs(share):.4g}·x {word} (weight decay?)", self.block + share * self.x

    def another_point(self) -> Kind | None:
        """Try: nearly all are wrong, and yet they resemble what was found."""
        count = int(self.wrong.sum())
        if count < MANY or count < SHARE * self.wrong.size:
            return None
        sizes = float(np.linalg.norm(self.given) * np.linalg.norm(self.value))
        if not sizes or float(self.given @ self.value) / sizes < ALIKE:
            return None
        alike = float(self.given @ self.value) / sizes
        which = "those that were found are" if self.partial else "nearly all are"
        text = f"{which} off, yet alike (cosine {alike:.3f}): that of another point (stale), or a term is missing"
        return Kind(text, f"in {self.name}", self.part, None, np.ones(self.size, bool), certain=False)


def _simple(ratio: float, blur: float) -> float | None:
    """Give the whole number or its inverse that a ratio is, within its blur."""
    for base, inverse in ((ratio, False), (1 / ratio, True)):
        whole = round(base) if abs(base) < 1e6 else 0
        if whole and abs(base - whole) <= max(blur, 1e-12) * abs(base) and blur < 0.1 / abs(whole):
            return 1 / whole if inverse else float(whole)
    return None


def _factor_text(factor: float, simple: float | None) -> str:
    """Say what a factor means."""
    if simple is None:
        return f"{factor:.6g} times what it should be"
    if simple == -1.0:
        return "sign flipped"
    sign, size = "sign flipped and " if simple < 0 else "", abs(simple)
    if size == 2.0:
        return f"{sign}twice what it should be (factor 2)"
    if size == 0.5:
        return f"{sign}half of what it should be (factor 1/2)"
    if size > 1:
        return f"{sign}{size:g} times what it should be (a sum where the mean is meant, batch size {size:g}?)"
    return f"{sign}1/{1 / size:g} of what it should be (a mean where the sum is meant, batch size {1 / size:g}?)"
