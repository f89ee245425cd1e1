"""What every derivative comes back as: `Derivative`, with a `Status` and perhaps a `Note` for each element.

These are values: they hold numbers, print well, can be built by hand, and call nothing.
"""

import math
import operator
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mibun.errors import InputError, NotConverged
from mibun.status import PASSING, STATUSES, Note, Status, StatusArray, counted, tally
from mibun.structure import Structure, pick
from mibun.text import WIDTH, clip, count, measured

__all__ = ["Derivative", "Note", "Status", "StatusArray", "jsonable", "number"]

ROWS: Final = 12  # a table of at most so many elements shows all of them
LIKE_VALUE: Final = ("value", "error", "truncation", "rounding", "step")
ERROR_RULE: Final = "expected a bound of at least 0, never nan, and inf where the value is nan"
STATUS_RULE: Final = "expected a status that does not pass, such as Status.UNRESOLVED"
BOTH_OR_NEITHER: Final = "truncation and rounding belong together; give both or neither"
COMPARISONS: Final = frozenset({np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal})


def _operators(function: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Make the methods of a binary operator, for the left side and for the right."""

    def forward(self: Any, other: Any) -> Any:
        return function(_plain(self), _plain(other))

    def reflected(self: Any, other: Any) -> Any:
        return function(_plain(other), _plain(self))

    return forward, reflected


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Derivative:
    """A derivative: a number, array or structure with an error and a status for each element. Frozen.

    `value`, `error`, `truncation`, `rounding`, `status` and `step` have one structure and shape; a result
    with a sparsity pattern has a scipy.sparse matrix in each of these fields, the status of its codes.

    Arithmetic (``+ - * / ** @ abs``) and NumPy functions use `value` and give plain numbers and arrays:
    ``x - 0.1 * d``. ``==`` asks whether two are the same object; to compare numbers, compare `value`.
    ``d[i]`` is the Derivative of an element or a part, indexed as NumPy does, or by a path such as
    ``d["W", 2, 1]``, with the evaluations, noise, fx and gradient of the whole; iterating gives the rows
    (of a dict the keys, as dicts do). Arrays are kept, not copied.

    Parameters
    ----------
    value : float, array or structure
        The derivative; nan where there is none. float64, or as wide as x.
    error : same
        Bound on ``|value - truth|``, never nan: inf where value is nan; ``truncation + rounding``.
        How far it can be trusted is a promise of the method that made it.
    truncation, rounding : same, optional
        What the step was too large for, and what floats and noise add. Default: all error is rounding.
    status : same, of Status, optional
        One member counts for every element; integers count as ``Status.code``. Default: converged; not finite
        where the value is nan; unresolved where the error is inf.
    step : same, optional
        The step h that was used. None: not known.
    evaluations : int
        Points that the method consumed.
    noise : float or array, optional
        Absolute noise level of f, with the shape of f. None: not known.
    fx : float, array or structure, optional
        f at x. None: not known.
    gradient : Derivative, optional
        Of a Hessian: the gradient that was paid for.
    notes : tuple of Note
        About the elements that are not plainly converged.

    Raises
    ------
    InputError
        If the fields do not fit together: structure, shape, an error that is not truncation + rounding (to
        1e-6 of it), a negative or nan error, or a passing status with an infinite error.

    Examples
    --------
    >>> import math
    >>> from mibun.result import Derivative
    >>> d = Derivative(value=2.718281828459046, error=3e-14, evaluations=12)
    >>> d
    Derivative(2.71828182845905 ± 3e-14, converged, 12 evaluations)
    >>> abs(d - math.e) <= d.error
    True
    >>> 1.0 - 0.1 * d
    0.7281718171540954
    """

    value: Any
    error: Any
    truncation: Any = None
    rounding: Any = None
    status: Any = None
    step: Any = None
    evaluations: int = 0
    noise: Any = None
    fx: Any = None
    gradient: "Derivative | None" = None
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        value, error = self.value, self.error
        if isinstance(value, float) and isinstance(error, float):
            self._settle_number(value, error)
        elif hasattr(value, "tocoo"):
            self._settle_sparse()
        else:
            self._settle_leaves()
        if self.notes:
            object.__setattr__(self, "notes", tuple(self.notes))
            _places(self)

    def _settle_number(self, value: float, error: float) -> None:
        """Check a number and fill the defaults; scalar code, since this stands in hot loops."""
        truncation, rounding, status = self.truncation, self.rounding, self.status
        if not error >= 0.0 or (value != value and error != math.inf):
            raise InputError(f"error is {error!r} for the value {value!r}; {ERROR_RULE}")
        if truncation is None and rounding is None:
            object.__setattr__(self, "truncation", 0.0)
            object.__setattr__(self, "rounding", error)
        elif truncation is None or rounding is None:
            raise InputError(BOTH_OR_NEITHER)
        elif (total := truncation + rounding) != error and not abs(total - error) <= 1e-6 * min(total, error):
            raise InputError(f"error is {error!r}; expected truncation + rounding, {total!r}")
        if status is None:
            doubtful = Status.UNRESOLVED if value == value else Status.NOT_FINITE
            status = Status.CONVERGED if error < math.inf else doubtful
            object.__setattr__(self, "status", status)
        elif type(status) is not Status:
            self._settle_leaves()
            return
        if error == math.inf and status.code < PASSING:
            raise InputError(f"status is {status.word!r} with an infinite error; {STATUS_RULE}")

    def _settle_leaves(self) -> None:
        """Check arrays and structures leaf by leaf and fill the defaults."""
        structure = Structure.of(self.value, name="value")
        parts = {
            field: _arrays(structure, getattr(self, field), field)
            for field in LIKE_VALUE
            if getattr(self, field) is not None
        }
        if ("truncation" in parts) != ("rounding" in parts):
            raise InputError(BOTH_OR_NEITHER)
        if "rounding" not in parts:
            parts["rounding"] = [np.array(error) for error in parts["error"]]
            parts["truncation"] = [np.zeros_like(error) for error in parts["error"]]
        codes = _status_codes(structure, self.status, parts["value"], parts["error"])
        checked = (parts["value"], parts["error"], parts["truncation"], parts["rounding"], codes)
        for leaf, *arrays in zip(structure.leaves, *checked, strict=True):
            _check_leaf(f"value of {leaf.name}" if leaf.name else "value", arrays)
        numbers = [leaf.number for leaf in structure.leaves]
        for field, arrays in parts.items():
            plain = [array.item() if number else array for array, number in zip(arrays, numbers, strict=True)]
            object.__setattr__(self, field, structure.build(plain))
        statuses = [
            STATUSES[int(code)] if number else StatusArray(code) for code, number in zip(codes, numbers, strict=True)
        ]
        object.__setattr__(self, "status", structure.build(statuses))

    def _settle_sparse(self) -> None:
        """Fill the defaults of a sparse result in its pattern."""
        if self.truncation is None and self.rounding is None:
            object.__setattr__(self, "rounding", self.error)
            object.__setattr__(self, "truncation", _blank(self.error, np.float64))
        if self.status is None:
            object.__setattr__(self, "status", _blank(self.error, np.uint8))

    @property
    def passes(self) -> bool:
        """Whether every element passes `require`, and no note about many elements, stored or not, says otherwise."""
        return bool((_codes(self) < PASSING).all()) and not _doubts(self)

    def require(self) -> "Derivative":
        """Return this Derivative if every element can be trusted, and raise otherwise.

        Raises
        ------
        NotConverged
            If an element is not converged, noisy, one-sided or insensitive: the message counts them, names
            the worst with value, error and reason, and says what to do.

        Examples
        --------
        >>> from mibun.result import Derivative, Status
        >>> Derivative(2.0, 1e-9).require().value
        2.0
        """
        if self.status is not Status.CONVERGED and not self.passes:
            raise NotConverged(_complaint(self))
        return self

    def to_dict(self) -> dict[str, Any]:
        """Turn it into dicts, lists, strings and numbers that ``json.dumps`` accepts.

        Arrays become nested lists, a status its word, a key of a structure a string, a complex number a dict
        of ``real`` and ``imag``, a sparse matrix a dict of ``shape``, ``row``, ``column`` and ``data``. JSON
        has no nan and no infinity: they become the strings ``"nan"``, ``"inf"`` and ``"-inf"``, which
        ``float`` reads. None means not known. longdouble is rounded to float64.

        Examples
        --------
        >>> from mibun.result import Derivative
        >>> d = Derivative(float("nan"), float("inf")).to_dict()
        >>> d["value"], d["error"], d["status"]
        ('nan', 'inf', 'not finite')
        """
        return {field.name: jsonable(getattr(self, field.name)) for field in fields(self)}

    def __getitem__(self, key: Any) -> "Derivative":
        picked: dict[str, Any] = {}
        for name in (*LIKE_VALUE, "status"):
            whole = getattr(self, name)
            part = None if whole is None else pick(whole, key, name="the derivative")
            picked[name] = part.item() if isinstance(part, np.generic) else part
        notes = _picked_notes(self, key, picked["value"]) if self.notes else ()
        return Derivative(
            **picked,
            evaluations=self.evaluations,
            noise=self.noise,
            fx=self.fx,
            gradient=self.gradient,
            notes=notes,
        )

    def __len__(self) -> int:
        value = self.value
        if isinstance(value, dict | list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
            return len(value)
        if hasattr(value, "tocoo"):
            return int(value.shape[0])
        raise TypeError("this Derivative is one number and has no length; its number is d.value")

    def __iter__(self) -> Iterator[Any]:
        count = len(self)
        if isinstance(self.value, dict):
            return iter(self.value)
        return (self[i] for i in range(count))

    def __bool__(self) -> bool:
        raise TypeError("a Derivative is neither true nor false; ask d.passes, or compare d.value")

    def __float__(self) -> float:
        value = self.value
        if isinstance(value, float):
            return float(value)
        if isinstance(value, np.ndarray | np.floating) and value.size == 1 and value.dtype.kind == "f":
            return float(value.item())
        raise TypeError(f"this Derivative holds {_held(value)}, not one real number; use d.value")

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        value = _plain(self)
        if hasattr(value, "tocoo"):
            raise TypeError("this Derivative holds a sparse matrix; use d.value, or d.value.toarray()")
        if copy is None:
            return np.asarray(value, dtype=dtype)
        return np.array(value, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(target, Derivative) for target in options.get("out", ())):
            raise TypeError("a Derivative is frozen; write into an array")
        if ufunc in COMPARISONS:
            raise TypeError(f"{ufunc.__name__} of a Derivative: compare d.value")
        if any(isinstance(given, Derivative) and hasattr(given.value, "tocoo") for given in inputs):
            raise TypeError(f"{ufunc.__name__} of a Derivative that holds a sparse matrix: use d.value")
        return getattr(ufunc, method)(*map(_plain, inputs), **options)

    __add__, __radd__ = _operators(operator.add)
    __sub__, __rsub__ = _operators(operator.sub)
    __mul__, __rmul__ = _operators(operator.mul)
    __truediv__, __rtruediv__ = _operators(operator.truediv)
    __pow__, __rpow__ = _operators(operator.pow)
    __matmul__, __rmatmul__ = _operators(operator.matmul)

    def __neg__(self) -> Any:
        return -_plain(self)

    def __abs__(self) -> Any:
        return abs(_plain(self))

    def __repr__(self) -> str:
        return _printed(self)


_new: Final = object.__new__
_setters: Final[list[Any]] = [getattr(Derivative, field.name).__set__ for field in fields(Derivative)]


def number(*given: Any) -> Derivative:
    """Make a Derivative of one number from all its fields, known to fit together: nothing is checked, for speed."""
    made = _new(Derivative)
    for set_field, field in zip(_setters, given):  # noqa: B905 (strict costs as much as a field)
        set_field(made, field)
    return made


def _plain(given: Any) -> Any:
    """Give the number or array of a Derivative for arithmetic, and anything else as it is."""
    if not isinstance(given, Derivative):
        return given
    if isinstance(given.value, dict | list | tuple):
        raise TypeError(f"this Derivative holds {_held(given.value)}, not one number or array; use d.value")
    return given.value


def _held(value: Any) -> str:
    """Describe in a few words what a Derivative holds."""
    if isinstance(value, dict | list | tuple):
        keys = [str(key) for key in value] if isinstance(value, dict) else []
        return clip(f"a {type(value).__name__} ({', '.join(keys)})" if keys else f"a {type(value).__name__}", 60)
    if hasattr(value, "tocoo"):
        return f"a sparse matrix of shape {value.shape}"
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else f"the number {value!r}"


def _arrays(structure: Structure, tree: Any, field: str) -> list[NDArray[Any]]:
    """Take a field apart into floating arrays of the shapes of the value."""
    arrays = []
    for leaf, part in zip(structure.leaves, structure.parts(tree, name=field), strict=True):
        array = np.asarray(part)
        place = f"{field} of {leaf.name}" if leaf.name else field
        if array.shape != leaf.shape:
            raise InputError(f"{place} has shape {array.shape}; expected {leaf.shape}, the shape of value")
        if array.dtype.kind not in ("fciu" if field == "value" else "fiu"):
            raise InputError(f"{place} has dtype {array.dtype}; expected real numbers")
        arrays.append(array.astype(np.float64) if array.dtype.kind in "iu" else array)
    return arrays


def _status_codes(
    structure: Structure, status: Any, values: list[NDArray[Any]], errors: list[NDArray[Any]]
) -> list[NDArray[np.uint8]]:
    """Give the codes of every leaf, from one status for all, from statuses in the structure, or from none."""
    if status is None:
        unbounded = [np.where(np.isinf(error), Status.UNRESOLVED.code, 0) for error in errors]
        return [
            np.where(np.isnan(value), Status.NOT_FINITE.code, code).astype(np.uint8)
            for value, code in zip(values, unbounded, strict=True)
        ]
    parts = [status] * len(values) if isinstance(status, Status) else structure.parts(status, name="status")
    found = []
    for leaf, part in zip(structure.leaves, parts, strict=True):
        codes = np.full(leaf.shape, part.code, np.uint8) if isinstance(part, Status) else StatusArray.of(part).codes
        if codes.shape != leaf.shape:
            raise InputError(f"status has shape {codes.shape}; expected {leaf.shape}, the shape of value")
        found.append(codes)
    return found


def _check_leaf(name: str, arrays: Sequence[NDArray[Any]]) -> None:
    """Refuse numbers that contradict each other; the message shows the first."""
    value, error, truncation, rounding, codes = arrays
    with np.errstate(all="ignore"):
        wrong = ~(error >= 0.0) | (np.isnan(value) & (error != np.inf))
        if wrong.any():
            raise InputError(f"error is {error[wrong][0]} where the {name} is {value[wrong][0]}; {ERROR_RULE}")
        total = truncation + rounding
        wrong = (total != error) & ~(np.abs(total - error) <= 1e-6 * np.minimum(total, error))
    if wrong.any():
        raise InputError(
            f"error is {error[wrong][0]} where the {name} is {value[wrong][0]}; "
            f"expected truncation + rounding, {total[wrong][0]}"
        )
    wrong = np.isinf(error) & (codes < PASSING)
    if wrong.any():
        status = STATUSES[codes[wrong][0]]
        raise InputError(f"status is {status.word!r} with an infinite error, {name}; {STATUS_RULE}")


def _blank(matrix: Any, dtype: DTypeLike) -> Any:
    """Zeros in the pattern of a sparse matrix."""
    blank = matrix.copy().astype(dtype) if np.dtype(dtype).kind == "f" else matrix.astype(bool).astype(dtype)
    blank.data[:] = 0
    return blank


def _coordinates(matrix: Any) -> NDArray[Any]:
    """Row and column of every stored entry of a sparse matrix, (entries, 2)."""
    entries = matrix.tocoo()
    return np.stack(getattr(entries, "coords", None) or (entries.row, entries.col), axis=-1)


def _codes(derivative: Derivative) -> NDArray[Any]:
    """Status codes of all elements, flat."""
    status = derivative.status
    if isinstance(status, Status):
        return np.array([status.code])
    if hasattr(status, "tocoo"):
        return np.asarray(status.tocoo().data)
    parts = Structure.of(derivative.value).parts(status)
    codes = [np.array(part.code if isinstance(part, Status) else part.codes) for part in parts]
    return np.concatenate([code.reshape(-1) for code in codes])


def _doubts(derivative: Derivative) -> list[Note]:
    """Give the notes about many elements that do not pass; in a sparse result these may be some that are not stored."""
    return [note for note in derivative.notes if note.element is None and note.status.code >= PASSING]


def _places(derivative: Derivative) -> dict[int, list[Note]]:
    """Sort the notes by the place of their element in the flat result."""
    value = derivative.value
    places: dict[int, list[Note]] = {}
    about = [note for note in derivative.notes if note.element is not None]
    if about:
        find = _entry(value) if hasattr(value, "tocoo") else Structure.of(value).index
        for note in about:
            places.setdefault(find(note.element), []).append(note)
    return places


def _entry(matrix: Any) -> Callable[[Any], int]:
    """Find the place of an entry of a sparse matrix among those that are stored; there may be millions."""
    coordinates = _coordinates(matrix)

    def find(element: Any) -> int:
        (found,) = np.flatnonzero((coordinates == element).all(axis=1)).tolist()
        return int(found)

    return find


def _picked_notes(derivative: Derivative, key: Any, part: Any) -> tuple[Note, ...]:
    """Choose the notes about the elements of ``derivative[key]``, with their paths there."""
    if hasattr(derivative.value, "tocoo"):
        return tuple(replace(note, element=()) for note in derivative.notes if note.element == key)
    notes = _places(derivative)
    whole, inner = Structure.of(derivative.value), Structure.of(part)
    numbered = pick(whole.unflatten(np.arange(whole.size), cast=False), key)
    kept = np.concatenate([np.reshape(ids, -1) for ids in inner.parts(numbered)])
    return tuple(
        replace(note, element=inner.path(place))
        for place, old in enumerate(kept.tolist())
        for note in notes.get(old, ())
    )


def jsonable(x: Any) -> Any:
    """Turn a field of a result into what ``json.dumps`` accepts, nan and the infinities into strings."""
    if isinstance(x, np.generic):
        x = float(x) if isinstance(x, np.floating) else x.item()
    if isinstance(x, float):
        return x if math.isfinite(x) else str(x)
    if isinstance(x, complex):
        return {"real": jsonable(x.real), "imag": jsonable(x.imag)}
    if isinstance(x, Status):
        return x.word
    if isinstance(x, Derivative):
        return x.to_dict()
    if isinstance(x, Note):
        return {field.name: jsonable(getattr(x, field.name)) for field in fields(x)}
    if isinstance(x, dict):
        return {str(key): jsonable(entry) for key, entry in x.items()}
    if hasattr(x, "tocoo"):
        row, column = _coordinates(x).T.tolist()
        return {"shape": list(x.shape), "row": row, "column": column, "data": jsonable(x.tocoo().data)}
    if isinstance(x, np.ndarray | StatusArray):
        return jsonable(x.tolist())
    if isinstance(x, list | tuple):
        return [jsonable(entry) for entry in x]
    return x if x is None or isinstance(x, str | bool | int) else str(x)


@dataclass(frozen=True, slots=True)
class _Elements:
    """All elements of a Derivative in one row, for a person to read."""

    names: Callable[[int], str]
    shape: str
    value: NDArray[Any]
    error: NDArray[Any]
    codes: NDArray[Any]
    notes: dict[int, list[Note]]

    @classmethod
    def of(cls, derivative: Derivative) -> "_Elements":
        value, codes, notes = derivative.value, _codes(derivative), _places(derivative)
        if hasattr(value, "tocoo"):
            places = _coordinates(value)
            flat, error = value.tocoo().data, derivative.error.tocoo().data
            return cls(lambda i: str(places[i].tolist()), f"sparse, shape {value.shape}", flat, error, codes, notes)
        structure = Structure.of(value)
        error = structure.flatten(derivative.error, dtype=np.float64)
        return cls(structure.name, _shape(structure), structure.flatten(value), error, codes, notes)

    def worst(self, count: int) -> list[int]:
        """Give the places of the worst elements: by status, then by error."""
        order = np.lexsort((-self.error, -self.codes.astype(np.int64)))
        return [int(i) for i in order[:count]]

    def told(self, place: int) -> str:
        """Give what the notes say about one element."""
        return "; ".join(note.told() for note in self.notes.get(place, ()))

    def rows(self, places: Sequence[int]) -> list[str]:
        """Write one line for each of some elements: name, value ± error, status and note, aligned."""
        table = [
            (clip(self.names(i), 40), measured(self.value[i], self.error[i]), STATUSES[self.codes[i]].word)
            for i in places
        ]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        cells = ["  ".join(map(str.ljust, row, widths)) for row in table]
        return [clip(f"  {row}  {self.told(i)}") for row, i in zip(cells, places, strict=True)]


def _shape(structure: Structure) -> str:
    if structure.kind != "structure":
        return f"shape {structure.leaves[0].shape}"
    leaves = [f"{clip(leaf.name, 30)} {leaf.shape or ''}".rstrip() for leaf in structure.leaves]
    return ", ".join(leaves[:4]) + (f" and {len(leaves) - 4} more" if len(leaves) > 4 else "")


def _printed(derivative: Derivative) -> str:
    """Write a Derivative on one screen: at most 25 lines of 100 columns."""
    evaluations = count(derivative.evaluations, "evaluation")
    if isinstance(derivative.status, Status):
        number = measured(derivative.value, derivative.error)
        lines = [f"Derivative({number}, {derivative.status}, {evaluations})"]
        return "\n".join(lines + [clip(f"  {note.told()}") for note in derivative.notes[:3]])
    elements = _Elements.of(derivative)
    size = elements.codes.size
    head = f"Derivative of {count(size, 'element')}, {elements.shape}, {evaluations}: {tally(elements.codes)}"
    lines = textwrap.wrap(head, WIDTH, subsequent_indent="  ", max_lines=4, placeholder=" ...")
    if size <= ROWS:
        lines += elements.rows(range(size))
    else:
        half = ROWS // 2
        rows = elements.rows([*range(half), *elements.worst(half)])
        lines += [*rows[:half], f"  ... {size - half:,} more; the worst:", *rows[half:]]
    general = [note for note in derivative.notes if note.element is None]
    return "\n".join(lines + [clip(f"  {note}") for note in general[:3]])


def _complaint(derivative: Derivative) -> str:
    """Say which elements do not pass `Derivative.require`, why, and what to do."""
    kept = "d.value, d.error and d.status hold what was found"
    if isinstance(derivative.status, Status):
        number, status = measured(derivative.value, derivative.error), derivative.status
        told = "".join(f"\n  {note.told()}" for note in derivative.notes)
        return f"the derivative {number} cannot be trusted: {status}{told}\n{status}: {status.value}\n{kept}"
    elements = _Elements.of(derivative)
    bad = elements.codes[elements.codes >= PASSING]
    shown = elements.worst(min(bad.size, 5))
    lines = [f"{bad.size:,} of {count(elements.codes.size, 'element')} cannot be trusted: {tally(bad)}".rstrip(": ")]
    lines += [clip(f"  {note}") for note in _doubts(derivative)[:3]]
    lines += elements.rows(shown)
    lines += [f"  ... {bad.size - len(shown):,} more"] if bad.size > len(shown) else []
    lines += [f"{status}: {status.value}" for status in counted(elements.codes[shown])]
    return "\n".join([*lines, kept])
