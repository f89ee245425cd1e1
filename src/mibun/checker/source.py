"""Where a claim comes from: an array, or a function that is called at x, and where something is odd, elsewhere."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mibun.checker.claim import Claim
from mibun.checker.numeric import Numeric
from mibun.evaluate.serial import OUTSIDE, located, shown

__all__ = ["Source"]

#: By how much two calls at the same x may differ and still be one gradient, relative to its largest entry.
UNSTEADY: Final = 1e-3
#: Points a bit away at which a gradient is called, and how much more than it changes there it may be off.
WOBBLES: Final = 3
WOBBLE: Final = 4.0
#: How far away another point is, relative to x.
ELSEWHERE: Final = 2.0**-6


class Source:
    """The gradient that was given.

    Attributes
    ----------
    claim : Claim
        What it is at x.
    unsteady : ndarray or float
        By how much two calls at x differ, as far as that is tolerated.
    apart : float
        By how much they differ, the largest.
    calls : int
    """

    def __init__(self, gradient: Any, numeric: Numeric, rtol: float | None, atol: float) -> None:
        self.gradient, self.numeric = gradient, numeric
        self.rtol, self.atol = rtol, atol
        self.calls, self.apart = 0, 0.0
        self.unsteady: Any = 0.0
        if not callable(gradient):
            self.claim = self.read(gradient)
            return
        self.claim, second = self.called(numeric.point), self.called(numeric.point)
        with np.errstate(all="ignore"):
            off = abs(self.claim.matrix - second.matrix)
            if self.claim.sparse or second.sparse:
                self.apart = float(np.nan_to_num(off.max()))
                self.unsteady = self.apart if self.apart <= UNSTEADY * self._largest() else 0.0
            else:
                off = np.nan_to_num(off, posinf=0.0)
                self.apart = float(off.max())
                self.unsteady = np.where(off <= UNSTEADY * self._largest(), off, 0.0)

    def read(self, given: Any) -> Claim:
        """Read what was given."""
        return Claim.of(given, self.numeric.ins, self.numeric.outs, self.rtol, self.atol)

    def called(self, point: Any) -> Claim:
        """Call the function at a point, which it may write to."""
        self.calls += 1
        place = shown(point)
        try:
            with np.errstate(all="ignore"):
                given = self.gradient(point)
        except Exception as reason:  # named and raised again, whatever it is
            located(reason, f"gradient raised this at x = {place}")
            raise
        return self.read(given)

    def rounding(self) -> Any:
        """Tell how the function answers to the last bit of x: as much, at least, it is rounded itself.

        What cancels in a gradient leaves the rounding of its terms, which nothing in the result shows.
        """
        if not callable(self.gradient):
            return 0.0
        ins = self.numeric.ins
        x = ins.flatten(self.numeric.x)
        sizes = np.maximum(np.abs(x), x.dtype.type(self.numeric.size))
        random, most = np.random.default_rng(0), np.zeros(())
        for _ in range(WOBBLES):
            moved = x + random.choice([-1, 1], x.size).astype(x.dtype) * np.spacing(sizes)
            try:
                with np.errstate(all="ignore"):
                    off = abs(self.called(ins.unflatten(moved)).matrix - self.claim.matrix)
            except OUTSIDE:  # x is at the edge of the domain
                continue
            most = np.maximum(most, off.max() if self.claim.sparse else np.nan_to_num(off, posinf=0.0))
        # a jump of the gradient, at a kink of f, is no rounding
        return WOBBLE * np.where(most <= UNSTEADY * self._largest(), most, 0.0)

    def _largest(self) -> float:
        """Give the size of the largest entry that is finite."""
        entries = self.claim.matrix.data if self.claim.sparse else self.claim.matrix
        return float(np.abs(entries[np.isfinite(entries)]).max(initial=0.0))

    def constant(self) -> bool:
        """Tell whether the function gives the same to the bit at another point, although it is not all 0."""
        if not callable(self.gradient):
            return False
        given, ins = self.numeric.given, self.numeric.ins
        x = ins.flatten(self.numeric.x).astype(np.float64)
        sizes = np.maximum(np.abs(x), self.numeric.size)
        moved = x + np.where(given.upper - x < x - given.lower, -ELSEWHERE, ELSEWHERE) * sizes
        point = np.clip(moved, given.lower, given.upper).astype(ins.dtype)
        try:
            other: NDArray[Any] = self.called(ins.unflatten(point)).matrix
        except OUTSIDE:  # the other point may be outside of the domain
            return False
        with np.errstate(all="ignore"):
            return bool(abs(self.claim.matrix).max()) and not abs(other - self.claim.matrix).max()
