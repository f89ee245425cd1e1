"""What a check found: `Finding` about one element, `CheckReport` about all; values that print on one screen."""

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from mibun.checker.screen import screen
from mibun.errors import CheckFailed

__all__ = ["LISTED", "CheckReport", "Finding"]

#: At most so many findings of a kind are kept one by one; all are counted.
LISTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One element that is wrong, undecided, or accepted as a subgradient.

    Attributes
    ----------
    name : str
        ``"W[2, 1]"``.
    element : tuple
        The path that leads to it in the gradient that was given: ``("W", 2, 1)``.
    given, numeric, error : float
        What was claimed; what was found, and the bound of its error.
    reason : str
        What the numeric side says about the element, where it is not plainly converged.
    """

    name: str
    element: tuple[Any, ...]
    given: float
    numeric: float
    error: float
    reason: str = ""

    @property
    def ratio(self) -> float:
        """What was given, in units of what was found; nan for 0/0."""
        if self.numeric:
            return self.given / self.numeric
        return math.copysign(math.inf, self.given) if self.given else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Turn it into what ``json.dumps`` accepts; nan and infinity become strings."""
        numbers = {name: _json(getattr(self, name)) for name in ("given", "numeric", "error", "ratio")}
        keys = [key if isinstance(key, int) else str(key) for key in self.element]
        return {"name": self.name, "element": keys, **numbers, "reason": self.reason}


@dataclass(frozen=True, slots=True, eq=False)
class CheckReport:
    """What a check found. Frozen; ``print(report)`` shows it on one screen.

    Attributes
    ----------
    wrong, undecided, subgradients : tuple of Finding
        The elements that were differentiated one by one and do not agree (the worst first); those about which the
        numeric side cannot decide; those at a kink of f, between the slopes of both sides. At most 10,000 of each.
    wrong_count, undecided_count, subgradient_count : int
        How many there are: more than are listed where a pattern explains the rest.
    complete : bool
        Whether there are no more; else the search ended before all was clear.
    elements : int
        Of the derivative.
    word : str
        "gradient" or "Jacobian".
    kinds : tuple of str
        What the pattern of the mistakes looks like, where there is one.
    digits : float
        Decimal digits to which the elements that are not wrong are known to agree, relative to the largest entry of
        the same parameter; those of the worst. nan if there is none.
    how : str
        How it was checked.
    unseen : tuple of str
        What was not checked, and what could not have been seen.
    notes : tuple of str
        What else there is to say: about noise, or an f that gives another value for the same x.
    evaluations, calls : int
        Of f, and of the gradient.
    repeat : str
        The call that does it again.
    given, numeric : array or structure, optional
        What was claimed, and what was found, nan where an element was not differentiated alone. None for a sparse
        matrix.

    Examples
    --------
    >>> import mibun as mb
    >>> report = mb.check(lambda x: x[0] ** 2 + x[1] ** 3, [2.0, -3.0], [1.0, 1.0])
    >>> report.ok, [finding.name for finding in report.wrong]
    (False, ['[1]'])
    """

    wrong: tuple[Finding, ...] = ()
    undecided: tuple[Finding, ...] = ()
    subgradients: tuple[Finding, ...] = ()
    wrong_count: int = 0
    undecided_count: int = 0
    subgradient_count: int = 0
    complete: bool = True
    elements: int = 0
    word: str = "gradient"
    kinds: tuple[str, ...] = ()
    digits: float = math.nan
    how: str = ""
    unseen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evaluations: int = 0
    calls: int = 0
    repeat: str = ""
    given: Any = field(default=None, repr=False)
    numeric: Any = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong and nothing undecided."""
        return not self.wrong_count and not self.undecided_count

    @property
    def verdict(self) -> str:
        """``"right"``, ``"wrong"`` or ``"undecided"``."""
        return "wrong" if self.wrong_count else "undecided" if self.undecided_count else "right"

    def require(self) -> "CheckReport":
        """Return this report if it is `ok`, and raise otherwise.

        Raises
        ------
        CheckFailed
            An AssertionError, with the report as its message.
        """
        if not self.ok:
            raise CheckFailed(str(self))
        return self

    def with_notes(self, *notes: str) -> "CheckReport":
        """Give a report with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def to_dict(self) -> dict[str, Any]:
        """Turn it into dicts, lists, strings and numbers that ``json.dumps`` accepts."""
        skipped = ("given", "numeric", "wrong", "undecided", "subgradients")
        rest = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in skipped}
        plain = {name: list(value) if isinstance(value, tuple) else _json(value) for name, value in rest.items()}
        listed = {
            name: [finding.to_dict() for finding in getattr(self, name)]
            for name in ("wrong", "undecided", "subgradients")
        }
        return {"ok": self.ok, "verdict": self.verdict, **listed, **plain}

    def __str__(self) -> str:
        return screen(self)

    def __repr__(self) -> str:
        return screen(self)


def _json(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
