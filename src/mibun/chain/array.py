"""The array that f gets in the place of x: it behaves as an ndarray, and writes down what is done with it.

It is no subclass of ndarray: what does not know it cannot strip it without a word. Operators and ufuncs come in
through ``__array_ufunc__``, the functions of NumPy through ``__array_function__``; what would turn it into a plain
number or array, or write into it, is refused. What is asked of a value that has no slope (a comparison, an index) is
answered, and remembered as a branch.
"""

import operator
from collections.abc import Callable, Iterator
from numbers import Number
from typing import Any, Final, NoReturn

import numpy as np

from mibun.chain.arguments import called
from mibun.chain.refuse import Unrecorded, place, refusal
from mibun.chain.tape import FUNCTIONS, UFUNCS, Branch, Node, Rule, Tape
from mibun.errors import InputError

__all__ = ["Recorded", "apply", "branched", "constant", "plain", "recorded"]

#: Types of constants that need no look.
PLAIN: Final = frozenset({float, int, bool, np.float64, np.float32, np.int64, np.bool_})
#: Kinds of dtypes that are real numbers.
NUMBERS: Final = "fiub"
#: How to write what Python and math do.
INSTEAD: Final = "write it with NumPy's functions, np.sin(x) for math.sin(x)"


def recorded(rule: Rule, inputs: tuple[Any, ...], value: Any, options: Any = None) -> "Recorded":
    """Write an operation down: a node behind those of its inputs."""
    if len(inputs) == 1:
        (given,) = inputs
        node = Recorded(value, rule, inputs, options, given.live and not rule.flat, given.tape)
        node.tape.append(node)
        return node
    live, tape = False, None
    for given in inputs:
        if isinstance(given, Node):
            if tape is not given.tape:
                if tape is not None:
                    raise nested(given.tape, tape)
                tape = given.tape
            live = live or given.live
    assert tape is not None  # noqa: S101 (one input at least is recorded)
    node = Recorded(value, rule, inputs, options, live and not rule.flat, tape)
    tape.append(node)
    return node


def nested(*tapes: Tape) -> InputError:
    """Make the error for two recordings that meet in one operation."""
    if any(tape.closed for tape in tapes):
        return refusal(
            "a recorded array of an earlier recording, which has ended,", "f must not keep its arrays outside"
        )
    return refusal(
        "a chain inside a chain, whose f uses a recorded array of the outer one,",
        'write mb.chain.hvp, or mb.hessian(..., method="chain"), for second derivatives',
    )


def apply(rule: Rule, *inputs: Any, options: Any = None) -> "Recorded":
    """Do an operation that a rule knows, and write it down."""
    values = [given.value if isinstance(given, Node) else given for given in inputs]
    return recorded(rule, inputs, rule.forward(options, *values), options)


def constant(given: Any) -> Any:
    """Check what is no recorded array: numbers and arrays of numbers; recorded numbers in an array are stacked."""
    kind = type(given)
    if kind is Recorded or kind in PLAIN or (kind is np.ndarray and given.dtype.kind in NUMBERS):
        return given
    if isinstance(given, np.ma.MaskedArray):
        raise refusal("a masked array", "write array.filled(...) with a number for the gaps")
    if isinstance(given, Number | np.generic):
        return _real(given)
    if isinstance(given, list | tuple) and any(isinstance(part, Node | list | tuple) for part in given):
        return FUNCTIONS[np.stack]([constant(part) for part in given])
    array = np.asarray(given)
    if array.dtype == object:
        flat = array.reshape(-1).tolist()
        if not all(isinstance(part, Node | Number) for part in flat):
            raise refusal(f"{given!r}, an array of objects,", "use arrays of real numbers")
        if any(isinstance(part, Node) for part in flat):
            return FUNCTIONS[np.reshape](FUNCTIONS[np.stack](flat), array.shape)
        array = array.astype(np.float64)
    return _real(array)


def _real(given: Any) -> Any:
    if isinstance(given, complex | np.complexfloating) or (isinstance(given, np.ndarray) and given.dtype.kind == "c"):
        raise refusal("complex numbers", "write the real and the imaginary part as arrays of their own")
    return given


def branched(what: str, nodes: tuple[Any, ...], make: Callable[..., Any]) -> Any:
    """Give f a plain value, and remember that it goes on by it."""
    answer = make(*(node.value for node in nodes))
    nodes[0].tape.branches.append(Branch(what, place(), nodes, make, answer))
    return answer


def plain(given: Any) -> Any:
    """Give what is needed as a plain array, such as an index: that of a recorded one without a slope."""
    return given._settled("an index or a condition") if isinstance(given, Recorded) else given


def _ufunc(ufunc: np.ufunc, first: Any, second: Any) -> Any:
    """Apply a ufunc of two arguments that has a rule, as operators do."""
    if type(second) is not Recorded and type(second) not in PLAIN:
        second = constant(second)
    if type(first) is not Recorded and type(first) not in PLAIN:
        first = constant(first)
    rule: Any = UFUNCS[ufunc]
    if type(first) is Recorded:
        tape = first.tape
        if type(second) is Recorded:
            if second.tape is not tape:
                raise nested(tape, second.tape)
            node = Recorded(
                ufunc(first.value, second.value), rule, (first, second), None, first.live or second.live, tape
            )
        else:
            node = Recorded(ufunc(first.value, second), rule, (first, second), None, first.live, tape)
    else:
        tape = second.tape
        node = Recorded(ufunc(first, second.value), rule, (first, second), None, second.live, tape)
    if rule.flat:
        node.live = False
    tape.append(node)
    return node


def _binary(ufunc: np.ufunc) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """Make the methods of an operator, for the left side, for the right, and for ``+=``."""

    def forward(self: Any, other: Any) -> Any:
        return _ufunc(ufunc, self, other)

    def reflected(self: Any, other: Any) -> Any:
        return _ufunc(ufunc, other, self)

    def in_place(self: Any, other: Any) -> Any:
        if self.shape == ():  # a number: it is replaced, as it is in NumPy
            return _ufunc(ufunc, self, other)
        symbol = SYMBOLS[ufunc]
        raise self._refused(f"{symbol}= into a recorded array", f"write a = a {symbol} b, which makes a new one")

    return forward, reflected, in_place


SYMBOLS: Final = {
    np.add: "+",
    np.subtract: "-",
    np.multiply: "*",
    np.true_divide: "/",
    np.floor_divide: "//",
    np.remainder: "%",
    np.power: "**",
    np.matmul: "@",
}


class Recorded(Node):
    """An ndarray that is recorded."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]
    #: What messages say where it is given to a verb inside of f.
    nesting = (
        'it is recorded by method="chain" around this call, and a derivative inside another one cannot be; write '
        'mb.chain.hvp or mb.hessian(..., method="chain") for second derivatives, or method="adaptive" around'
    )

    __add__, __radd__, __iadd__ = _binary(np.add)
    __sub__, __rsub__, __isub__ = _binary(np.subtract)
    __mul__, __rmul__, __imul__ = _binary(np.multiply)
    __truediv__, __rtruediv__, __itruediv__ = _binary(np.true_divide)
    __floordiv__, __rfloordiv__, __ifloordiv__ = _binary(np.floor_divide)
    __mod__, __rmod__, __imod__ = _binary(np.remainder)
    __matmul__, __rmatmul__, __imatmul__ = _binary(np.matmul)
    _power, __rpow__, __ipow__ = _binary(np.power)

    def __pow__(self, other: Any) -> Any:
        if type(other) in (int, float) and other == 2:
            return np.square(self)
        return self._power(other)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __neg__(self) -> Any:
        return np.negative(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return np.absolute(self)

    def __invert__(self) -> Any:
        return np.invert(self)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if options:
            self._check_options(ufunc, options)
        if method != "__call__":
            return self._heard(FUNCTIONS[np.ufunc.reduce], ufunc, method, inputs, options)
        rule = UFUNCS.get(ufunc)
        if rule is None:
            return self._heard(FUNCTIONS[np.ufunc], ufunc, inputs)
        if len(inputs) == 2:
            return _ufunc(ufunc, *inputs)
        node = Recorded(ufunc(self.value), rule, (self,), None, self.live and not rule.flat, self.tape)
        self.tape.append(node)
        return node

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        if function not in FUNCTIONS:
            name = f"{getattr(function, '__module__', 'np')}.{function.__name__}".replace("numpy", "np")
            raise self._refused(name, "write it with functions that the tape knows: mb.chain.known() lists them")
        try:
            return called(function, inputs, options)
        except InputError as reason:
            self.tape.refused = reason
            raise

    def _heard(self, handler: Callable[..., Any], *inputs: Any) -> Any:
        """Call a handler, and remember what it refuses: f, or what it calls, may catch it."""
        try:
            return handler(*inputs)
        except InputError as reason:
            self.tape.refused = reason
            raise

    def _check_options(self, ufunc: np.ufunc, options: dict[str, Any]) -> None:
        """Refuse out= and where=, which write into an array, dtype= and the like; the rest changes no value."""
        name = f"np.{ufunc.__name__}"
        if any(target is not None for target in options.pop("out", ())):
            raise self._refused(
                f"{name}(..., out=...) or an operator such as +=, which writes a recorded array into another one,",
                f"write a = {name}(...), which makes a new one",
            )
        if options.pop("where", True) is not True:
            raise self._refused(f"{name}(..., where=...)", "write np.where(condition, ..., ...)")
        if options.pop("dtype", None) is not None:
            raise self._refused(f"{name}(..., dtype=...)", "write .astype(...) behind it")
        for one in ("signature", "sig", "axes", "extobj") + (("axis", "keepdims") if ufunc.signature else ()):
            if options.pop(one, None) is not None:
                raise self._refused(f"{name}(..., {one}=...)", "leave it out")
        for harmless in ("casting", "order", "subok"):
            options.pop(harmless, None)

    def __getattr__(self, name: str) -> Any:
        # np.sin of an array of objects, as np.array([x[0], x[1]]) makes one, calls x[0].sin()
        ufunc = getattr(np, name, None)
        if isinstance(ufunc, np.ufunc) and ufunc.nin == 1:
            return lambda: ufunc(self)
        if hasattr(np.ndarray, name):
            raise Unrecorded(str(refusal(f"x.{name} of a recorded array", "write it with NumPy's functions")))
        raise AttributeError(f"'ndarray' object has no attribute {name!r}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return int(self.value.ndim)

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(self.value.size)

    @property
    def dtype(self) -> Any:
        """Type of the entries."""
        return self.value.dtype

    @property
    def itemsize(self) -> int:
        """Bytes of an entry."""
        return int(self.value.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return int(self.value.nbytes)

    @property
    def real(self) -> "Recorded":
        """The array itself: it is real."""
        return self

    @property
    def imag(self) -> Any:
        """Zeros: the array is real."""
        return np.zeros_like(self.value)

    @property
    def T(self) -> Any:  # noqa: N802
        """The transpose."""
        return FUNCTIONS[np.transpose](self)

    @property
    def mT(self) -> Any:  # noqa: N802
        """The transpose of the last two axes."""
        return FUNCTIONS[np.swapaxes](self, -1, -2)

    @property
    def flat(self) -> Any:
        """All entries, one by one."""
        return FUNCTIONS[np.ravel](self)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        if not self.value.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self.value)))

    def __getitem__(self, key: Any) -> Any:
        return FUNCTIONS[operator.getitem](self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise self._refused(
            "x[...] = value, a write into a recorded array,", "build a new one by np.where, np.concatenate or np.stack"
        )

    def __bool__(self) -> bool:
        return bool(self._branch("a branch", bool))

    def __contains__(self, item: Any) -> bool:
        return bool(np.any(self == item))

    def _branch(self, what: str, make: Callable[[Any], Any]) -> Any:
        return branched(what, (self,), make)

    def _settled(self, what: str) -> Any:
        """Give the value, if it has no slope, and remember that it was needed."""
        if self.live:
            raise self._refused(f"a recorded array as {what}", "compare it first, or write np.floor(x).astype(int)")
        return self._branch(what, np.copy)

    def _number(self, name: str, make: Callable[[Any], Any]) -> Any:
        if self.live:
            raise self._refused(f"{name}(...) of a recorded array", INSTEAD)
        return self._branch(f"{name}(...)", make)

    def _refused(self, what: str, instead: str) -> InputError:
        error = refusal(what, instead)
        self.tape.refused = self.tape.refused or error  # f, or what it calls, may catch it
        return error

    def __float__(self) -> float:
        return float(self._number("float", float))

    def __int__(self) -> int:
        return int(self._number("int", int))

    def __index__(self) -> int:
        if self.live:
            # what looks for an index by trial wants this one
            raise TypeError("only integer arrays can be converted to an index")
        return int(self._branch("an index", operator.index))

    def __complex__(self) -> complex:
        return complex(self._number("complex", complex))

    def __round__(self, digits: int | None = None) -> Any:
        return FUNCTIONS[np.round](self, digits or 0)

    def __trunc__(self) -> Any:
        return np.trunc(self)

    def __floor__(self) -> Any:
        return np.floor(self)

    def __ceil__(self) -> Any:
        return np.ceil(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if not self.live:
            return np.asarray(self._branch("np.asarray(...)", np.copy), dtype)
        if self.value.ndim or dtype is not None:
            raise self._refused(
                "np.array(...) or np.asarray(...) of a recorded array, by f or by what it calls,",
                "leave it out, or write np.stack([...]) for np.array([...])",
            )
        boxed = np.empty((), object)  # np.array([x[0], x[1]]) becomes an array of recorded numbers
        boxed[()] = self
        return boxed

    def item(self, *args: Any) -> Any:
        """Give one entry as a number of Python: refused, or a branch."""
        return self._number("item", lambda value: value.item(*args))

    def tolist(self) -> Any:
        """Give a list of numbers of Python: refused, or a branch."""
        return self._number("tolist", lambda value: value.tolist())

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        """Cast to another dtype."""
        return FUNCTIONS["astype"](self, dtype)

    def copy(self, order: Any = "C") -> Any:
        """Give the array itself: it is never written to."""
        return self

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce__(self) -> NoReturn:
        raise self._refused("pickling a recorded array", "call f within one process")

    def reshape(self, *shape: Any, order: Any = "C") -> Any:
        """Give another shape."""
        return FUNCTIONS[np.reshape](self, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes: Any) -> Any:
        """Permute the axes."""
        return FUNCTIONS[np.transpose](self, (axes[0] if len(axes) == 1 else axes) or None)

    def dot(self, *args: Any, **options: Any) -> Any:
        """Multiply as np.dot does."""
        return self._heard(called, np.dot, (self, *args), options)

    def fill(self, *args: Any, **options: Any) -> NoReturn:
        """Write into the array: refused."""
        raise self._refused(
            "fill, put, sort or resize of a recorded array", "np.full, np.where, np.sort make a new one"
        )

    put = sort = partition = resize = itemset = fill

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"recorded {self.value!r}"


def _compared(ufunc: np.ufunc) -> Any:
    return lambda self, other: _ufunc(ufunc, self, other)


def _reflected(ufunc: np.ufunc) -> Any:
    return lambda self, other: _ufunc(ufunc, other, self)


def _as_method(name: str) -> Any:
    function = getattr(np, name)
    return lambda self, *args, **options: self._heard(called, function, (self, *args), options)


COMPARISONS: Final[dict[str, np.ufunc]] = {
    "__lt__": np.less,
    "__le__": np.less_equal,
    "__gt__": np.greater,
    "__ge__": np.greater_equal,
    "__eq__": np.equal,
    "__ne__": np.not_equal,
    "__and__": np.bitwise_and,
    "__or__": np.bitwise_or,
    "__xor__": np.bitwise_xor,
}
#: Methods of an ndarray that do what the function of the same name does.
METHODS: Final = """
    all any argmax argmin argsort choose clip compress cumprod cumsum diagonal max mean min nonzero prod ptp ravel
    repeat round searchsorted squeeze std sum swapaxes take trace var
""".split()  # noqa: SIM905 (one line for each would hide the module)

for _name, _one in COMPARISONS.items():
    setattr(Recorded, _name, _compared(_one))
    if _name in ("__and__", "__or__", "__xor__"):
        setattr(Recorded, f"__r{_name[2:]}", _reflected(_one))
for _name in METHODS:
    setattr(Recorded, _name, _as_method(_name))
Recorded.flatten = _as_method("ravel")  # type: ignore[attr-defined]
Recorded.conj = Recorded.conjugate = Recorded.copy  # type: ignore[attr-defined]
