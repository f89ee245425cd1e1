"""A formula that a user typed, such as ``"sin(x)**2"``, as a function; nothing else can be typed.

What can be written: numbers (``2``, ``0.5``, ``1e-3``), the constants ``pi`` and ``e``, variables, ``+ - * / **``,
round brackets, and the functions

- of one number: abs acos acosh asin asinh atan atanh cbrt ceil cos cosh erf exp expm1 floor gamma lgamma log log10
  log1p log2 relu sigmoid sign sin sinh sqrt tan tanh;
- of two numbers: atan2 hypot max min.

How it is kept harmless: the text is cut into numbers, names and these signs before anything else looks at it;
Python's own parser (`ast.parse`, which runs nothing) then finds what belongs to what; from its tree only the kinds of
nodes above are taken, by a list of what is allowed, and become functions inside functions. No text is ever evaluated
or compiled. All numbers are floats, so no formula can build a large integer: ``9**9**9**9`` overflows at once.
"""

import ast
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from keyword import iskeyword
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.errors import InputError

__all__ = ["Formula", "formula"]

LONGEST: Final = 1_000  # characters; there are never more nodes than characters
DEEPEST: Final = 100  # levels; every level is one call inside another when the formula is evaluated
SHOWN: Final = 30  # characters of the formula on each side of a mistake

REAL: Final = (int, float)  # a tuple made once: a union made in every call takes longer than a formula
SEQUENCE: Final = (list, tuple)

Evaluate = Callable[[Any], Any]


class _Function(NamedTuple):
    """One operator or function, for Python floats and for arrays, and the number of its arguments."""

    numbers: Callable[..., float]
    arrays: Callable[..., Any]
    arity: int = 1


class _Apply(NamedTuple):
    """A node of the tree: an operator or function and what it is applied to."""

    name: str
    arguments: tuple["_Tree", ...]


_Tree = float | str | _Apply  # a constant, a variable, or a part of the tables below


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    small = math.exp(x)
    return small / (1.0 + small)


def _sigmoids(x: Any) -> Any:
    # By the real part, so that it is analytic on each side, as a complex step needs it.
    right = x.real >= 0
    small = np.exp(np.where(right, -x, x))
    return np.where(right, 1.0, small) / (1.0 + small)


def _whole(rounded: Callable[[float], int]) -> Callable[[float], float]:
    """Let inf and nan pass, as NumPy does; Python has no integers for them."""
    return lambda x: float(rounded(x)) if math.isfinite(x) else x


def _each(function: Callable[[float], float]) -> Callable[..., Any]:
    """Let a function of `math` that NumPy lacks take arrays: nan outside of its domain, inf where it overflows."""

    def one(x: Any) -> float:
        try:
            return function(x)
        except OverflowError:
            return math.copysign(math.inf, x)
        except ValueError:
            return math.nan

    several = np.frompyfunc(one, 1, 1)
    return lambda x: np.asarray(several(x), dtype=x.dtype)[()]


SIGNS: Final = {
    "+": _Function(operator.add, operator.add, 2),
    "-": _Function(operator.sub, operator.sub, 2),
    "*": _Function(operator.mul, operator.mul, 2),
    "/": _Function(operator.truediv, operator.truediv, 2),
    "**": _Function(math.pow, operator.pow, 2),  # math.pow raises where float ** float gives a complex number
    "negative": _Function(operator.neg, operator.neg),
}
FUNCTIONS: Final = {
    "abs": _Function(math.fabs, np.abs),
    "acos": _Function(math.acos, np.arccos),
    "acosh": _Function(math.acosh, np.arccosh),
    "asin": _Function(math.asin, np.arcsin),
    "asinh": _Function(math.asinh, np.arcsinh),
    "atan": _Function(math.atan, np.arctan),
    "atan2": _Function(math.atan2, np.arctan2, 2),
    "atanh": _Function(math.atanh, np.arctanh),
    "cbrt": _Function(math.cbrt, np.cbrt),
    "ceil": _Function(_whole(math.ceil), np.ceil),
    "cos": _Function(math.cos, np.cos),
    "cosh": _Function(math.cosh, np.cosh),
    "erf": _Function(math.erf, _each(math.erf)),
    "exp": _Function(math.exp, np.exp),
    "expm1": _Function(math.expm1, np.expm1),
    "floor": _Function(_whole(math.floor), np.floor),
    "gamma": _Function(math.gamma, _each(math.gamma)),
    "hypot": _Function(math.hypot, np.hypot, 2),
    "lgamma": _Function(math.lgamma, _each(math.lgamma)),
    "log": _Function(math.log, np.log),
    "log10": _Function(math.log10, np.log10),
    "log1p": _Function(math.log1p, np.log1p),
    "log2": _Function(math.log2, np.log2),
    # nan wins on either side, as in NumPy.
    "max": _Function(lambda a, b: a if a > b or a != a else b, np.maximum, 2),
    "min": _Function(lambda a, b: a if a < b or a != a else b, np.minimum, 2),
    "relu": _Function(lambda x: max(x, 0.0), lambda x: np.maximum(x, 0.0)),
    "sigmoid": _Function(_sigmoid, _sigmoids),
    "sign": _Function(lambda x: float((x > 0) - (x < 0)) if x == x else x, np.sign),
    "sin": _Function(math.sin, np.sin),
    "sinh": _Function(math.sinh, np.sinh),
    "sqrt": _Function(math.sqrt, np.sqrt),
    "tan": _Function(math.tan, np.tan),
    "tanh": _Function(math.tanh, np.tanh),
}
CONSTANTS: Final = {"pi": math.pi, "e": math.e}
BINARY: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**",
}  # fmt: skip

TOKEN: Final = re.compile(
    r"\s+|(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+(?![\w.])|(?P<name>[^\W\d]\w*+)|[-+*/(),]"
)
HINTS: Final = {
    "^": "write ** for a power",
    "²": "write **2 for a square",
    "³": "write **3 for a cube",
    "×": "write * for a product",
    "·": "write * for a product",
    "÷": "write / for a quotient",
    "−": "write the minus sign of the keyboard, -",
    "=": "write the right-hand side only",
    "%": "there is no remainder; write a - b*floor(a/b)",
    "[": "give each variable a name of its own, such as x0 and x1",
}
OTHER: Final = "expected numbers, names, + - * / **, round brackets and functions, nothing else"
OTHER_NAMES: Final = {
    "arccos": "acos", "arcsin": "asin", "arctan": "atan", "ln": "log", "logistic": "sigmoid", "tg": "tan",
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class Formula:
    """A function of one argument, read from text by `formula`. Frozen, comparable, pickles (as its text).

    With one variable it is called with its value: a number, or an array of any shape, taken element by element. With
    several it is called with all values as one argument: a list or an array, in the order of `variables` along the
    last axis (so a stack of points is an array (points, variables)), or a dict by their names. In a list or dict with
    arrays, each entry is one variable.

    Numbers (and one point of several variables in float64) are computed in Python floats by `math`, which costs about
    a microsecond and raises outside of the domain. Everything else is computed by NumPy in the dtype that was given
    (integers as float64), with nan and inf instead; complex numbers work where NumPy's functions take them.

    Attributes
    ----------
    text : str
        As it was written.
    variables : tuple of str
        The order in which their values are expected.

    Raises
    ------
    ValueError, ZeroDivisionError, OverflowError
        When it is called with numbers: outside of the domain (``log(-1)``, ``(-8)**(1/3)``), ``1/0``, ``exp(1000)``.
    InputError
        When it is called with a wrong number of values, other names, or what is no number.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun.formula import formula
    >>> f = formula("x0**2 + 3*x1")
    >>> f
    Formula('x0**2 + 3*x1', variables=('x0', 'x1'))
    >>> f([2, 1]), f({"x0": 2, "x1": 1}), f(np.array([[2.0, 1.0], [0.0, 1.0]]))
    (7.0, 7.0, array([7., 3.]))
    """

    text: str
    variables: tuple[str, ...]
    _numbers: Evaluate = field(compare=False)
    _arrays: Evaluate = field(compare=False)

    def __call__(self, x: Any) -> Any:
        """Evaluate it: a float for numbers, an array or NumPy number for anything else."""
        if type(x) is float and len(self.variables) == 1:
            return self._numbers(x)
        values = _values(x, self.variables)
        if all(isinstance(value, REAL) for value in values):
            floats = list(map(float, values))
            return self._numbers(floats[0] if len(floats) == 1 else floats)
        columns = [_floating(value, name) for value, name in zip(values, self.variables, strict=True)]
        result = self._arrays(columns[0] if len(columns) == 1 else columns)
        shape = np.broadcast_shapes(*(column.shape for column in columns))
        # A constant, a formula without one of its variables, and a bare variable, which must not be the caller's own.
        if np.shape(result) != shape or any(result is column for column in columns):
            result = np.broadcast_to(result, shape).copy()[()]
        return result

    def __repr__(self) -> str:
        variables = "" if self.variables == ("x",) else f", variables={self.variables!r}"
        return f"Formula({self.text!r}{variables})"

    def __reduce__(self) -> tuple[Callable[..., "Formula"], tuple[str, tuple[str, ...]]]:
        return formula, (self.text, self.variables)


def formula(text: str, variables: str | Sequence[str] | None = None) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text : str
        See the head of this module for what can be written. Powers come before the sign and from the right, as in
        mathematics: ``-x**2`` is -(x²), ``2**3**2`` is 2⁹. At most 1,000 characters and 100 levels (a sum of 100 terms
        has 100 levels).
    variables : str or sequence of str, optional
        Names in the order in which values will be given: ``("x", "y")`` or ``"x, y"``. The text need not use all of
        them, and may use no others. Without it: every name in the text that is no function or constant, in the order of
        the alphabet, x2 before x10; ``x`` if there is none.

    Returns
    -------
    Formula
        Can be called, compared, pickled.

    Raises
    ------
    InputError
        If the text is no formula (with the place marked), too long or too deep, or if a variable has the name of a
        function or constant.

    Examples
    --------
    >>> from mibun.formula import formula
    >>> f = formula("sin(x)**2")
    >>> f
    Formula('sin(x)**2')
    >>> print(f"{f(0.5):.6f}")
    0.229849
    >>> formula("x^2")
    Traceback (most recent call last):
    ...
    mibun.errors.InputError: the formula stops making sense at character 2, '^': write ** for a power
        x^2
         ^
    """
    names = None if variables is None else _named(variables)
    reader = _Reader(text, names)
    tree = reader.read()
    order = names or tuple(sorted(reader.found, key=_natural)) or ("x",)
    return Formula(text, order, _function(tree, order, "numbers"), _function(tree, order, "arrays"))


def _named(variables: str | Sequence[str]) -> tuple[str, ...]:
    names = tuple(variables.replace(",", " ").split() if isinstance(variables, str) else variables)
    if not names:
        raise InputError("variables is empty; expected at least one name, such as ('x', 'y')")
    # Python reads all spellings of a letter (µ and μ) as one, so a variable is compared in that spelling.
    names = tuple(unicodedata.normalize("NFKC", name) if isinstance(name, str) else name for name in names)
    for name in names:
        if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
            raise InputError(f"{name!r} cannot be a variable; expected a name such as 'x' or 'x1'")
        if name in FUNCTIONS or name in CONSTANTS:
            kind = "function" if name in FUNCTIONS else "constant"
            raise InputError(f"{name!r} cannot be a variable, it is a {kind}; choose another name")
    if len(set(names)) < len(names):
        raise InputError(f"variables is {names!r}; expected every name once")
    return names


class _Reader:
    """The way from the text to the tree; everything that can be wrong with a text is refused here."""

    def __init__(self, text: str, names: tuple[str, ...] | None) -> None:
        if not isinstance(text, str):
            raise InputError(f"the formula is {text!r}; expected a text such as 'sin(x)**2'")
        if len(text) > LONGEST:
            raise InputError(
                f"the formula has {len(text)} characters; expected at most {LONGEST}, "
                "write a longer one as a Python function"
            )
        self.text = text
        self.names = names
        self.found: set[str] = set()
        # The parser would take white space at the front for indentation. Lengths stay, so that mistakes can be shown.
        spaced = re.sub(r"\s", " ", text)
        self.source = spaced.lstrip(" ")
        self.indent = len(spaced) - len(self.source)

    def read(self) -> _Tree:
        """Give the tree of the whole text, and collect its variables in `found`."""
        if not self.source:
            raise InputError("the formula is empty; expected a text such as 'sin(x)**2'")
        self._look()
        try:
            body = ast.parse(self.source, mode="eval").body
        except SyntaxError as error:
            raise self._out_of_order(max((error.offset or 1) - 1, 0)) from None
        except (MemoryError, RecursionError, ValueError):
            raise self._too_deep() from None
        return self._node(body, 1)

    def _look(self) -> None:
        """Cut the text into numbers, names and signs; there is nothing else in it that the parser could meet."""
        for position, character in enumerate(self.source):
            if character in HINTS:
                raise self._refused(position, HINTS[character])
        position = 0
        while position < len(self.source):
            token = TOKEN.match(self.source, position)
            if token is None:
                why = OTHER
                if self.source[position] in ".0123456789":
                    why = "expected a number such as 3, 0.5 or 1e-3, and * for every product, as in 2*x"
                if self.source[position] == "." and re.search(r"[^\W\d]\w*$", self.source[:position]):
                    why = "a name has no dot here; write sin(x), not np.sin(x)"
                raise self._refused(position, why)
            position = token.end()

    def _out_of_order(self, place: int) -> InputError:
        """Say why numbers, names and signs do not make a formula; the parser stopped at `place`."""
        opened = []
        for position, character in enumerate(self.source):
            if character == "(":
                opened.append(position)
            elif character == ")" and not opened:
                return self._refused(position, "no bracket is open here; leave it out, or write ( before")
            elif character == ")":
                opened.pop()
        if opened:
            return self._refused(opened[-1], "this bracket is never closed; write ) where it ends")
        ended = self.source.rstrip()
        if ended[-1] in "+-*/,":
            return self._refused(len(ended) - 1, "something is missing after it; expected a number or a name")
        before = re.search(r"(\w+) *$", self.source[:place])
        if before and before[1] in FUNCTIONS:
            return self._refused(before.start(), f"{before[1]} is a function; write {before[1]}(...)")
        why = "expected numbers, names, + - * / ** and brackets in order, with * for every product"
        return self._refused(place, why)

    def _node(self, node: ast.expr, depth: int) -> _Tree:
        if depth > DEEPEST:
            raise self._too_deep()
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self._number(value, node)
            case ast.Name(id=name):
                return CONSTANTS[name] if name in CONSTANTS else self._variable(name, node)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._node(operand, depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _Apply("negative", (self._node(operand, depth + 1),))
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in BINARY:
                return _Apply(BINARY[type(sign)], (self._node(left, depth + 1), self._node(right, depth + 1)))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                self._check_call(name, len(arguments), node)
                return _Apply(name, tuple(self._node(argument, depth + 1) for argument in arguments))
            case ast.Call(func=ast.Constant() | ast.BinOp() | ast.UnaryOp() | ast.Call()):
                raise self._refused(self._place(node), "brackets follow a value here; write * for every product")
        raise self._refused(self._place(node), OTHER)

    def _number(self, value: float, node: ast.expr) -> float:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isinf(number):
            raise self._refused(self._place(node), f"expected a number below {np.finfo(float).max:.3g}")
        return number

    def _variable(self, name: str, node: ast.expr) -> str:
        place = self._place(node)
        if name in FUNCTIONS:
            raise self._refused(place, f"{name} is a function; write {name}(...)")
        if self.names is None and name[:-1] in FUNCTIONS:
            why = f"write {name[:-1]}({name[-1]}) for the function, or give variables={name!r} if it is a variable"
            raise self._refused(place, why)
        if self.names is not None and name not in self.names:
            why = f"{name} is none of the variables {', '.join(self.names)}; expected one of them, pi, e or a function"
            raise self._refused(place, why)
        self.found.add(name)
        return name

    def _check_call(self, name: str, given: int, node: ast.expr) -> None:
        if name not in FUNCTIONS:
            near = [OTHER_NAMES.get(name, name.lower())]
            if near[0] not in FUNCTIONS:
                near = get_close_matches(name.lower(), FUNCTIONS, cutoff=0.8)
            known = f"write {' or '.join(near)}" if near else f"the functions are {', '.join(FUNCTIONS)}"
            raise self._refused(self._place(node), f"{name} is no function here; {known}; products need a *")
        arity = FUNCTIONS[name].arity
        if given != arity:
            why = f"{name} takes {arity} argument{'s' * (arity > 1)}, {given} given"
            raise self._refused(self._place(node), why)

    def _place(self, node: ast.expr) -> int:
        # Python counts bytes.
        return len(self.source.encode()[: node.col_offset].decode())

    def _refused(self, place: int, why: str) -> InputError:
        """Say what is wrong with the character at `place` of the source, and show where that is."""
        place = min(self.indent + place, len(self.text) - 1)
        start = max(place - SHOWN, 0)
        shown = "".join(c if c.isprintable() else " " for c in self.text[start : place + SHOWN])
        return InputError(
            f"the formula stops making sense at character {place + 1}, {self.text[place]!r}: {why}\n"
            f"    {shown}\n    {' ' * (place - start)}^"
        )

    @staticmethod
    def _too_deep() -> InputError:
        return InputError(
            f"the formula has more than {DEEPEST} levels; every bracket, sign and term of a sum is one; "
            "put brackets around parts of a long sum, or write it as a Python function"
        )


def _natural(name: str) -> list[Any]:
    """Order x2 before x10: a list of text, number, text, ..."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))]


def _function(tree: _Tree, variables: tuple[str, ...], kind: Literal["numbers", "arrays"]) -> Evaluate:
    """Make a function of the value of the one variable, or of the list of several."""
    part = _part(tree, variables, kind)
    return part if callable(part) else lambda _: part


def _part(tree: _Tree, variables: tuple[str, ...], kind: Literal["numbers", "arrays"]) -> Evaluate | float:
    if isinstance(tree, float):
        return tree
    if isinstance(tree, str):
        return _itself if len(variables) == 1 else operator.itemgetter(variables.index(tree))
    entry = FUNCTIONS.get(tree.name) or SIGNS[tree.name]
    parts = [_part(argument, variables, kind) for argument in tree.arguments]
    if not any(callable(part) for part in parts):
        # Constants are always computed as numbers; one that fails does so, with its own exception, in every call.
        constant = partial(entry.numbers, *parts)
        try:
            return constant()
        except (ArithmeticError, ValueError):
            return lambda _: constant()
    return _applied(getattr(entry, kind), *parts)


def _itself(x: Any) -> Any:
    return x


def _applied(function: Callable[..., Any], a: Any, b: Any = None) -> Evaluate:
    """Put `function` after its arguments; the cases of constants and of x itself save one call each."""
    if b is None:
        return function if a is _itself else lambda x: function(a(x))
    if not callable(a):
        return partial(function, a) if b is _itself else lambda x: function(a, b(x))
    if not callable(b):
        return (lambda x: function(x, b)) if a is _itself else (lambda x: function(a(x), b))
    return (lambda x: function(x, b(x))) if a is _itself else (lambda x: function(a(x), b(x)))


def _values(x: Any, variables: tuple[str, ...]) -> list[Any]:
    """Take the argument of a call apart: one value for each variable."""
    if isinstance(x, dict):
        if x.keys() != set(variables):
            given = ", ".join(map(str, x)) or "no variable"
            raise InputError(f"the formula was given values of {given}; expected values of {', '.join(variables)}")
        return [x[name] for name in variables]
    count = len(variables)
    if count == 1:
        return [x]
    if isinstance(x, SEQUENCE) and not all(isinstance(entry, SEQUENCE) for entry in x):
        values = list(x)
    else:
        array = _floating(x, "x")
        point = array.ndim == 1 and array.dtype == np.float64
        values = array.tolist() if point else list(np.moveaxis(array, -1, 0)) if array.ndim else [x]
    if len(values) != count:
        raise InputError(
            f"the formula has {count} variables, {', '.join(variables)}, and was given {len(values)} "
            f"value{'s' * (len(values) != 1)}; expected one for each, along the last axis of an array"
        )
    return values


def _floating(value: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError(f"{name} is a ragged list; expected a number or an array") from None
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    if array.dtype.kind not in "fc":
        raise InputError(f"{name} is {value!r}; expected a number or an array of numbers")
    return array
