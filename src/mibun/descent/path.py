"""What a descent comes back as: `Path`, with a `PathStatus` that says why it stopped.

These are values: they hold numbers, print well, can be built by hand, and call nothing.
"""

import textwrap
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mibun.result import jsonable
from mibun.structure import Structure
from mibun.text import WIDTH, clip, count

__all__ = ["Path", "PathStatus", "Progress"]


class PathStatus(Enum):
    """Why a descent stopped; the value of each member is the sentence for the user.

    The message of a `Path` has the numbers. The first two are successes.

    Examples
    --------
    >>> from mibun.descent import PathStatus
    >>> print(PathStatus.NOISE_FLOOR, PathStatus.NOISE_FLOOR.success, PathStatus.BOUNDS.success)
    noise floor False True
    """

    CONVERGED = (
        "the slope is 0 within its error, or as small as was asked for, and f rises, or stays as it is, in every "
        "direction that was looked at: a minimum"
    )
    BOUNDS = "f falls further only beyond the bounds: the lowest point that they allow here"
    NOISE_FLOOR = (
        "the noise of f hides its slope, so that a step would be chance; average f, or tighten the solver inside it"
    )
    PLATEAU = "f is flat here: there is no slope to follow, and nothing says that this is a minimum; start elsewhere"
    SADDLE = "the slope is 0 within its error, but f falls in some direction; go on from a point along it"
    OSCILLATING = "the steps undo each other and lead nowhere: lower the learning rate or the momentum"
    STALLED = "the steps are too small to get anywhere: raise the learning rate"
    DIVERGED = "f runs away: lower the learning rate, or give bounds where f has no minimum"
    NOT_FINITE = "f, or its slope, is not a finite number at the next point: give bounds, or smaller steps"
    DEAD_GRADIENT = (
        "x + h == x: the step h of the difference vanishes beside x, so there is no gradient; take the method "
        '"adaptive", or a step in proportion to x'
    )
    BUDGET_SPENT = "the steps, or the evaluations, ended while f still fell: go on from x, or raise steps= or budget="
    STOPPED = "stopped by the callback, or by Ctrl-C; the path holds what was done until then"

    @property
    def word(self) -> str:
        """The status in one or two words: ``"noise floor"``."""
        return self.name.lower().replace("_", " ")

    @property
    def success(self) -> bool:
        """Whether x is a minimum, as well as can be told: converged, or held by the bounds."""
        return self in (PathStatus.CONVERGED, PathStatus.BOUNDS)

    def __str__(self) -> str:
        return self.word

    def __repr__(self) -> str:
        return f"PathStatus.{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """What a callback is told at every point of a descent.

    Attributes
    ----------
    step, steps : int
        Updates done, and to be done at most.
    x : number, array or structure
        The point, a copy.
    loss : float
        f there.
    gradient, error : like x
        The gradient there, and the bound on its error.
    evaluations : int
        Points at which f was evaluated until now.
    """

    step: int
    steps: int
    x: Any
    loss: float
    gradient: Any
    error: Any
    evaluations: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Path:
    """The course of a descent: where it went, and why it stopped. Frozen.

    It answers to SciPy's words, too: `x`, `fun`, `jac`, `nit`, `nfev`, `success`, `status`, `message`.

    Parameters
    ----------
    x : number, array or structure
        The last point.
    points, gradients, errors : array or structure
        Every point, the gradient of f there and the bound on its error, one after the other along a new first axis of
        x, or of each leaf of it: of k updates there are k + 1.
    losses : array of shape (k + 1,)
        f at these points.
    status : PathStatus
        Why it stopped.
    message : str
        The same with the numbers behind it, and what to do.
    evaluations : int
        Points at which f, or a gradient that was given, was evaluated.
    maximize : bool
        f was climbed.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.descent import Path, PathStatus
    >>> points = np.array([[-3.0, 4.0], [0.0, 0.0]])
    >>> path = Path(points[-1], points, np.array([25.0, 0.0]), 2 * points, 0 * points, PathStatus.CONVERGED, "done", 26)
    >>> path.success, path.nit, float(path.fun)
    (True, 1, 0.0)
    >>> path
    Path(converged after 1 step, 26 evaluations, f 25 -> 0, success)
    x = [0. 0.]
    done
    """

    x: Any
    points: Any
    losses: NDArray[np.floating[Any]]
    gradients: Any
    errors: Any
    status: PathStatus
    message: str
    evaluations: int
    maximize: bool = False

    @property
    def fun(self) -> float:
        """F at x."""
        return float(self.losses[-1])

    @property
    def jac(self) -> Any:
        """The gradient at x."""
        structure = Structure.of(self.gradients, name="gradients")
        return structure.build([rows[-1] for rows in structure.parts(self.gradients)])

    @property
    def nit(self) -> int:
        """Number of updates."""
        return len(self.losses) - 1

    @property
    def nfev(self) -> int:
        """Number of evaluations, in SciPy's word."""
        return self.evaluations

    @property
    def success(self) -> bool:
        """Whether x is a minimum (of a climb: a maximum), as well as can be told: converged, or held by bounds."""
        return self.status.success

    def to_dict(self) -> dict[str, Any]:
        """Turn it into dicts, lists, strings and numbers that ``json.dumps`` accepts.

        As `Derivative.to_dict` does: nan and the infinities become strings, arrays nested lists.

        Examples
        --------
        >>> import mibun as mb
        >>> path = mb.descend(lambda x: x**2, 3.0, steps=2).to_dict()
        >>> path["status"], path["success"], path["nit"], [round(x, 9) for x in path["points"]]
        ('budget spent', False, 2, [3.0, 2.4, 1.92])
        """
        names = ("x", "fun", "status", "message", "success", "nit", "evaluations", "maximize")
        arrays = ("points", "losses", "gradients", "errors")
        told = {**{name: getattr(self, name) for name in (*names, *arrays)}, "status": self.status.word}
        return {name: jsonable(value) for name, value in told.items()}

    def __repr__(self) -> str:
        head = (
            f"Path({self.status} after {count(self.nit, 'step')}, {count(self.evaluations, 'evaluation')}, "
            f"f {self.losses[0]:.6g} -> {self.fun:.6g}, {'success' if self.success else 'no success'})"
        )
        with np.printoptions(threshold=20, edgeitems=3, precision=6, linewidth=WIDTH):
            where = clip(f"x = {self.x}")
        return "\n".join([head, where, *textwrap.wrap(self.message, WIDTH)])
