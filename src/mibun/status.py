"""How far a derivative can be trusted: `Status`, an array of them, and the `Note` of one element."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mibun.errors import InputError

__all__ = ["Note", "Status", "StatusArray"]


class Status(Enum):
    """How far one derivative can be trusted; the value of each member is the sentence for the user.

    The members stand from harmless to bad; `code` is the place, and a new member goes to the end. The first
    four pass `Derivative.require`.

    Examples
    --------
    >>> from mibun.status import Status
    >>> print(Status.ONE_SIDED, Status.ONE_SIDED.passes, Status.KINK.passes)
    one-sided True False
    """

    CONVERGED = "the error is as small as was asked for, or as small as floats allow"
    NOISY = (
        "f is noisy and its noise limits the error, which covers it; for a smaller one average f or tighten "
        "the solver inside it"
    )
    ONE_SIDED = (
        "f could be evaluated on one side only, at a bound or at the edge of its domain; the value is the "
        "slope towards that side"
    )
    INSENSITIVE = (
        "f does not change here, so the derivative is 0 within the rounding of f; if that is wrong, f rounds "
        "or ignores the element, or the element is scaled so that its changes are lost"
    )
    KINK = (
        "f has a kink here (abs, max, relu, interpolation): its slopes on the two sides differ, the value is "
        "their mean and the note holds both; move x off the kink, or ask for the slope of one side"
    )
    UNRESOLVED = (
        "no step gave the accuracy that was asked for: f oscillates, is rough, or the tolerance is "
        "too small; value and error are the best that was found; loosen the tolerance or smooth f"
    )
    BUDGET_SPENT = (
        "the budget ended before the accuracy that was asked for; value and error are the best until then; "
        "raise the budget or loosen the tolerance"
    )
    JUMP = "f jumps here (rounding, if-else, a table): there is no derivative; move x, or make f continuous"
    NOT_FINITE = (
        "f or its slope is nan or infinite here (overflow, division by zero, log or root at the edge of the "
        "domain); look at f near x, or give bounds"
    )
    FAILED = (
        "f did not come back: it raised, ran out of time, or its worker was killed; call f at this point "
        "alone to see why"
    )

    code: int

    def __init__(self, sentence: str) -> None:
        self.code = len(type(self).__members__)

    @property
    def word(self) -> str:
        """The status in one or two words: ``"one-sided"``, ``"budget spent"``."""
        return "one-sided" if self is Status.ONE_SIDED else self.name.lower().replace("_", " ")

    @property
    def passes(self) -> bool:
        """Whether value and error can be used as they are: converged, noisy, one-sided or insensitive."""
        return self.code < PASSING

    def __str__(self) -> str:
        return self.word

    def __repr__(self) -> str:
        return f"Status.{self.name}"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # by name, so that a pickle survives a better sentence
        return getattr, (Status, self.name)


STATUSES: Final = tuple(Status)
PASSING: Final = 4  # codes below it pass


class StatusArray:
    """An array of `Status`, one byte an element, shown and indexed as `Status`; read-only.

    Parameters
    ----------
    codes : array of int
        ``Status.code`` of every element, in any shape.

    Attributes
    ----------
    codes : ndarray of uint8, read-only
    shape, ndim, size
        As of an ndarray.

    Examples
    --------
    >>> from mibun.status import Status, StatusArray
    >>> statuses = StatusArray.of([Status.CONVERGED, Status.KINK])
    >>> statuses[1], statuses == Status.KINK
    (Status.KINK, array([False,  True]))
    >>> statuses
    StatusArray(shape (2,): 1 converged, 1 kink)
    """

    __slots__ = ("codes",)
    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None  # so that array == statuses asks this class

    codes: NDArray[np.uint8]

    def __init__(self, codes: ArrayLike) -> None:
        given = np.asarray(codes)
        if given.dtype.kind not in "iu" or (given.size and not 0 <= given.min() <= given.max() < len(STATUSES)):
            raise InputError(f"codes are {given.dtype}; expected integers from 0 to {len(STATUSES) - 1}: Status.code")
        self.codes = np.array(given, dtype=np.uint8)
        self.codes.flags.writeable = False

    @classmethod
    def of(cls, statuses: Any) -> "StatusArray":
        """Make one from a (nested) list or an array of `Status`, of codes, or from another one."""
        if isinstance(statuses, StatusArray):
            return statuses
        given = np.asarray(statuses)
        if given.dtype == object:
            wrong = [entry for entry in given.flat if not isinstance(entry, Status)]
            if wrong:
                raise InputError(f"status holds {wrong[0]!r}; expected members of Status, all rows of one length")
            codes = np.array([entry.code for entry in given.flat], dtype=np.uint8)
            return cls(codes.reshape(given.shape))
        return cls(given)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""
        return self.codes.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.codes.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.codes.size

    @property
    def passes(self) -> NDArray[np.bool_]:
        """Of every element, whether it passes `Derivative.require`."""
        return np.asarray(self.codes < PASSING)

    def counts(self) -> dict[Status, int]:
        """Count the elements of every status that occurs, from harmless to bad."""
        return counted(self.codes)

    def tolist(self) -> Any:
        """Give the members of `Status` as a nested list."""
        return self.__array__().tolist()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a StatusArray becomes an array of objects only by a copy; its bytes are .codes")
        members = np.empty(len(STATUSES), dtype=object)
        members[:] = STATUSES
        return np.asarray(members[self.codes], dtype=dtype)

    def __getitem__(self, key: Any) -> Any:
        found = self.codes[key]
        return STATUSES[found] if isinstance(found, np.integer) else StatusArray(found)

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> Any:
        codes = _comparable(other)
        return NotImplemented if codes is None else self.codes == codes

    def __ne__(self, other: object) -> Any:
        codes = _comparable(other)
        return NotImplemented if codes is None else self.codes != codes

    def __reduce__(self) -> tuple[Any, ...]:
        return StatusArray, (np.array(self.codes),)

    def __repr__(self) -> str:
        return f"StatusArray(shape {self.shape}: {tally(self.codes)})"


@dataclass(frozen=True, slots=True, eq=False)
class Note:
    """Why one element is not plainly converged, or what had to be done for it.

    Parameters
    ----------
    element : tuple or None
        Its path: ``(2, 1)`` in an array, ``("W", 2, 1)`` in a structure, ``()`` for a number. None: the note
        is about many elements at once (counts, where there are many).
    status : Status
    message : str
        What happened, in this case: which side was used, which point failed and with what exception.
    left, right : float, optional
        Slopes on the two sides, at a kink.
    x : number or array, optional
        The point where it was seen, if it is not x itself.

    Examples
    --------
    >>> from mibun.status import Note, Status
    >>> print(Note((2, 1), Status.KINK, "the slopes differ", left=-1.0, right=1.0))
    [2, 1]: kink, the slopes differ (left -1, right 1)
    """

    element: tuple[Any, ...] | None
    status: Status
    message: str
    left: float | None = None
    right: float | None = None
    x: Any = None

    def __str__(self) -> str:
        if self.element is None:
            name = ""
        else:
            keys = ", ".join(str(key) for key in self.element)
            name = f"[{keys}]: " if keys else ""
        return f"{name}{self.status.word}, {self.told()}"

    def told(self) -> str:
        """Give the message with the slopes, the point, but without the element."""
        facts = [
            f"{label} {value:.6g}"
            for label, value in (("left", self.left), ("right", self.right))
            if value is not None and f"({value:.6g})" not in self.message  # it may tell them itself
        ]
        if self.x is not None:
            facts.append(f"at {self.x}")
        return self.message + (f" ({', '.join(facts)})" if facts else "")


def counted(codes: NDArray[Any]) -> dict[Status, int]:
    counts = np.bincount(codes.reshape(-1), minlength=len(STATUSES))
    return {status: int(count) for status, count in zip(STATUSES, counts, strict=True) if count}


def tally(codes: NDArray[Any]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in counted(codes).items())


def _comparable(other: object) -> Any:
    """Codes to compare a StatusArray with; None if `other` holds no status."""
    if isinstance(other, Status):
        return other.code
    if isinstance(other, StatusArray):
        return other.codes
    return StatusArray.of(other).codes if isinstance(other, list | np.ndarray) else None
