"""Formulas: what they mean, what they refuse, and that no text does anything else."""

import ast
import cmath
import math
import pickle
import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mibun.errors import InputError
from mibun.formula import CONSTANTS, DEEPEST, FUNCTIONS, LONGEST, Formula, formula

DOMAIN = (ValueError, ZeroDivisionError, OverflowError)


def same(a: float, b: float, rtol: float = 1e-13) -> bool:
    return a == b or (a != a and b != b) or abs(a - b) <= rtol * max(abs(a), abs(b))


class TestNumbers:
    @pytest.mark.parametrize(
        ("text", "x", "value"),
        [
            ("x", 2.5, 2.5),
            ("3", 2.5, 3.0),
            ("-x**2", 3.0, -9.0),
            ("2**-x", 1.0, 0.5),
            ("2**3**x", 2.0, 512.0),
            ("x-1-2", 0.0, -3.0),
            ("8/x/2", 2.0, 2.0),
            ("+-+x", 1.0, -1.0),
            ("(x + 1)*(x - 1)", 3.0, 8.0),
            (".5e1 + 1.E-1*x", 1.0, 5.1),
            ("  x\n +\t1 ", 1.0, 2.0),
            ("sin(pi/2) + log(e)", 0.0, 2.0),
            ("sin(x)**2 + cos(x)**2", 0.3, 1.0),
            ("max(x, 2) + min(x, 2)*10", 1.0, 12.0),
            ("hypot(3, x)", 4.0, 5.0),
            ("atan2(x, -1)", 0.0, math.pi),
            ("relu(x) + 10*sign(x)", -2.0, -10.0),
            ("floor(x) + ceil(x)", 1.5, 3.0),
            ("cbrt(-x)", 8.0, -2.0),
            ("gamma(x) + lgamma(1)", 5.0, 24.0),
            ("sigmoid(x)", 0.0, 0.5),
            ("1e-3", 0.0, 0.001),
        ],
    )
    def test_value(self, text, x, value):
        f = formula(text)
        assert f(x) == pytest.approx(value, rel=1e-15, abs=1e-15)
        assert type(f(x)) is float
        assert type(f(np.float64(x))) is float

    def test_whole_numbers_become_floats(self):
        assert formula("x/2")(1) == 0.5
        assert type(formula("x*2")(3)) is float
        assert formula("x + 2**64")(0) == 2.0**64

    @pytest.mark.parametrize(
        ("text", "x", "error"),
        [
            ("log(x)", -1.0, ValueError),
            ("sqrt(x)", -1.0, ValueError),
            ("x**(1/3)", -8.0, ValueError),
            ("(-8)**(1/3)", 0.0, ValueError),
            ("1/x", 0.0, ZeroDivisionError),
            ("exp(x)", 1000.0, OverflowError),
            ("9**9**9**9", 0.0, OverflowError),
            ("x**9**9**9", 9.0, OverflowError),
            ("gamma(x)", -1.0, ValueError),
            ("x + 1/0", 1.0, ZeroDivisionError),
        ],
    )
    def test_outside_of_the_domain(self, text, x, error):
        f = formula(text)
        with pytest.raises(error) as caught:
            f(x)
        assert not isinstance(caught.value, InputError)

    def test_functions_pass_on_nan_and_inf(self):
        for name, entry in FUNCTIONS.items():
            f = formula(f"{name}(x)" if entry.arity == 1 else f"{name}(x, 1)")
            assert math.isnan(f(math.nan)), name
        assert formula("min(1, x)")(math.nan) != formula("min(1, x)")(math.nan)
        assert formula("floor(x)")(math.inf) == math.inf

    def test_sigmoid_keeps_its_digits(self):
        assert formula("sigmoid(x)")(-700.0) == pytest.approx(math.exp(-700), rel=1e-13)
        assert formula("sigmoid(x)")(-1e4) == 0.0
        assert formula("sigmoid(x)")(1e4) == 1.0
        assert formula("sigmoid(x)")(np.array([-1e4, -700.0, 1e4])).tolist() == pytest.approx(
            [0.0, math.exp(-700), 1.0], rel=1e-13
        )


class TestArrays:
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_numbers_and_arrays_agree(self, name):
        f = formula(f"{name}(x)" if FUNCTIONS[name].arity == 1 else f"{name}(x, 0.7)")
        points = [-171.3, -2.0, -1.3, -0.5, 0.0, 0.3, 1.0, 1.7, 5.0, 720.0]
        with np.errstate(all="ignore"):
            array = f(np.array(points))
        assert array.dtype == np.float64
        for point, value in zip(points, array, strict=True):
            try:
                assert same(f(point), value), (name, point)
            except (ValueError, OverflowError):
                assert not math.isfinite(value), (name, point)

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_dtype_stays(self, name):
        f = formula(f"{name}(x)*2 + 1" if FUNCTIONS[name].arity == 1 else f"{name}(x, 0.5)*2 + 1")
        with np.errstate(all="ignore"):
            for dtype in (np.float32, np.longdouble):
                assert f(np.array([1.0, 1.0], dtype=dtype)).dtype == dtype
            assert f(np.array([1, 1])).dtype == np.float64

    def test_fractional_power_of_a_negative_is_nan(self):
        with np.errstate(all="ignore"):
            assert np.isnan(formula("x**(1/3)")(np.array([-8.0]))).all()
            assert np.isnan(formula("(-2)**x")(np.array([0.5]))).all()

    def test_shape_is_that_of_x(self):
        x = np.arange(6.0).reshape(2, 3)
        for text in ("x**2", "x", "3", "pi*2"):
            value = formula(text)(x)
            assert value.shape == (2, 3)
            assert value is not x
            value += 1  # the result is the caller's own
        assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert formula("x + 1")([1, 2]).tolist() == [2, 3]
        assert np.ndim(formula("x")(np.array(2.0))) == 0

    def test_complex_numbers(self):
        z = 0.3 + 1e-20j
        assert formula("exp(x)*sin(x)")(z) == pytest.approx(cmath.exp(z) * cmath.sin(z))
        slope = formula("sigmoid(x)")(np.array([-3 + 1e-20j, 3 + 1e-20j])).imag / 1e-20
        s = 1 / (1 + math.exp(3))
        assert slope == pytest.approx([s * (1 - s)] * 2, rel=1e-14)
        with pytest.raises(TypeError):
            formula("erf(x)")(1j)

    def test_a_constant_that_fails_fails_for_arrays_too(self):
        with pytest.raises(ZeroDivisionError):
            formula("x + 1/0")(np.ones(3))


class TestVariables:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("1 + pi", ("x",)),
            ("x", ("x",)),
            ("t**2", ("t",)),
            ("y + x", ("x", "y")),
            ("x10 + x2 + x1", ("x1", "x2", "x10")),
            ("width*height", ("height", "width")),
            ("θ + α", ("α", "θ")),
        ],
    )
    def test_found_in_the_text(self, text, found):
        assert formula(text).variables == found

    def test_given(self):
        f = formula("y - x", "y, x")
        assert f.variables == ("y", "x") == formula("y - x", ["y", "x"]).variables
        assert f([5, 3]) == 2.0
        assert formula("x", ("x", "y"))([5, 3]) == 5.0

    def test_spellings_of_one_letter_are_one_variable(self):
        micro, mu = "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"
        assert formula(f"{micro} + {mu}", micro)(1.0) == 2.0
        assert formula(micro).variables == (mu,)

    def test_one_argument(self):
        f = formula("x + 10*y")
        assert f([1, 2]) == f((1.0, 2.0)) == f(np.array([1.0, 2.0])) == f(np.array([1, 2])) == f({"y": 2, "x": 1}) == 21
        assert type(f(np.array([1.0, 2.0]))) is float
        single = f(np.array([1, 2], dtype=np.float32))
        assert single == 21
        assert single.dtype == np.float32
        assert f(np.array([1 + 1j, 2])) == 21 + 1j

    def test_stacks(self):
        stack = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        for text, value in {"x + 10*y": [21, 43, 65], "y": [2, 4, 6], "7 + 0*1": [7, 7, 7]}.items():
            f = formula(text, "x y")
            assert f(stack).tolist() == f(stack.tolist()).tolist() == value
            assert f([stack[:, 0], stack[:, 1]]).tolist() == value
            assert f({"x": stack[:, 0], "y": stack[:, 1]}).tolist() == value
        assert formula("x", "x y")({"x": 1.0, "y": np.zeros(2)}).tolist() == [1, 1]
        result = formula("y", "x y")(stack)
        result += 1
        assert stack[0, 1] == 2

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (1.0, "2 variables, x, y, and was given 1 value;"),
            ([1.0], "2 variables, x, y, and was given 1 value;"),
            (np.ones((2, 3)), "and was given 3 values"),
            ({"x": 1.0}, r"values of x; expected values of x, y"),
            ({"x": 1.0, "y": 2.0, "z": 1.0}, "values of"),
            (["1", "2"], "x is '1'; expected a number"),
            ([1.0, None], "y is None; expected a number"),
            ([[1, 2], [3]], "ragged"),
        ],
    )
    def test_wrong_values(self, x, message):
        with pytest.raises(InputError, match=message):
            formula("x + y")(x)

    @pytest.mark.parametrize("x", ["2", None, {1.0}, object()])
    def test_no_number(self, x):
        with pytest.raises(InputError, match="expected a number"):
            formula("x")(x)

    @pytest.mark.parametrize(
        ("text", "variables", "message"),
        [
            ("x", (), "variables is empty"),
            ("x", "", "variables is empty"),
            ("x", ("x", "x"), "expected every name once"),
            ("x", ("sin",), "'sin' cannot be a variable, it is a function"),
            ("x", ("ｓｉｎ",), "'sin' cannot be a variable, it is a function"),
            ("x", ("e",), "'e' cannot be a variable, it is a constant"),
            ("x", ("2x",), "'2x' cannot be a variable"),
            ("x", ("if",), "'if' cannot be a variable"),
            ("x", (1,), "1 cannot be a variable"),
            ("x + y", "x", "y is none of the variables x; expected one of them, pi, e or a function"),
        ],
    )
    def test_refused(self, text, variables, message):
        with pytest.raises(InputError, match=message):
            formula(text, variables)

    def test_a_forgotten_bracket_is_no_variable(self):
        with pytest.raises(InputError, match=r"write sin\(x\) for the function, or give variables='sinx'"):
            formula("2*sinx")
        assert formula("2*sinx", "sinx")(1.0) == 2.0


class TestValue:
    def test_prints(self):
        assert repr(formula("sin(x)**2")) == "Formula('sin(x)**2')"
        assert repr(formula("t")) == "Formula('t', variables=('t',))"

    def test_compares_and_pickles(self):
        f = formula("x0*x1 + 1", "x1 x0")
        g = pickle.loads(pickle.dumps(f))
        assert isinstance(g, Formula)
        assert f == g == formula("x0*x1 + 1", "x1 x0") != formula("x0*x1 + 1")
        assert hash(f) == hash(g)
        assert g([2, 3]) == 7
        with pytest.raises(AttributeError):
            f.text = "x"


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "place", "message"),
        [
            ("x^2", 2, "write \\*\\* for a power"),
            ("x²", 2, "write \\*\\*2 for a square"),
            ("2×x", 2, "write \\* for a product"),
            ("1 − x", 3, "minus sign of the keyboard"),
            ("y = x", 3, "right-hand side only"),
            ("x % 2", 3, "no remainder"),
            ("x[0]", 2, "a name of its own"),
            ("2x", 1, "\\* for every product, as in 2\\*x"),
            ("0x10", 1, "expected a number such as"),
            ("1_000", 1, "expected a number such as"),
            ("2j", 1, "expected a number such as"),
            ("x.real", 2, "a name has no dot here"),
            ("2*np.sin(x)", 5, "a name has no dot here; write sin\\(x\\), not np.sin"),
            ("2..5", 1, "expected a number such as"),
            ("  1 + 'x'", 7, "nothing else"),
            ("x // 2", 1, "nothing else"),
            ("x if x else 1", 1, "nothing else"),
            ("not x", 1, "nothing else"),
            ("True", 1, "nothing else"),
            ("x, 1", 1, "nothing else"),
            ("()", 1, "nothing else"),
            ("sin(*x)", 5, "nothing else"),
            ("sin(**x)", 1, "nothing else"),
            ("  x + sin", 7, "sin is a function; write sin\\(...\\)"),
            ("α + sin", 5, "sin is a function"),
            ("α + (β", 5, "this bracket is never closed"),
            ("sin(x", 4, "this bracket is never closed; write \\) where it ends"),
            ("((x) + 1", 1, "this bracket is never closed"),
            ("(x)) + (1", 4, "no bracket is open here"),
            ("x + ", 3, "something is missing after it"),
            ("1/", 2, "something is missing after it"),
            ("1 + sin x", 5, "sin is a function; write sin\\(...\\)"),
            ("x x", None, "in order"),
            ("2(x)", 1, "write \\* for every product"),
            ("(x+1)(x-1)", 1, "write \\* for every product"),
            ("1 + sine(x)", 5, "sine is no function here; write sin; products need a \\*"),
            ("Sin(x)", 1, "write sin; "),
            ("f(x)", 1, "f is no function here; the functions are abs, acos"),
            ("ln(x)", 1, "write log; "),
            ("pi(x)", 1, "pi is no function"),
            ("sin(x, 1)", 1, "sin takes 1 argument, 2 given"),
            ("max(x)", 1, "max takes 2 arguments, 1 given"),
            ("sin()", 1, "sin takes 1 argument, 0 given"),
            ("1e999*x", 1, "expected a number below 1.8e\\+308"),
            ("x + " + "9" * 400, 5, "expected a number below"),
            ("__import__(x)", 1, "__import__ is no function"),
            ("eval(x)", 1, "eval is no function"),
            ("x\0", 2, "nothing else"),
            ("x + \ud800", 5, "nothing else"),
            ("x # y", 3, "nothing else"),
            ("x; y", 2, "nothing else"),
            ("lambda", None, "in order"),
        ],
    )
    def test_place_and_reason(self, text, place, message):
        with pytest.raises(InputError, match=message) as caught:
            formula(text)
        first, shown, caret = str(caught.value).split("\n")
        if place is None:  # it depends on the version of Python
            return
        assert first.startswith(f"the formula stops making sense at character {place}, {text[place - 1]!r}: ")
        if text[place - 1].isprintable():
            assert shown[caret.index("^")] == text[place - 1]

    def test_the_place_in_a_long_text(self):
        text = "x + " * 100 + "x^2"
        with pytest.raises(InputError, match="character 402") as caught:
            formula(text)
        _, shown, caret = str(caught.value).split("\n")
        assert shown[caret.index("^")] == "^"
        assert len(shown) < 80

    @pytest.mark.parametrize("text", ["", "  ", "\n"])
    def test_empty(self, text):
        with pytest.raises(InputError, match="the formula is empty"):
            formula(text)

    @pytest.mark.parametrize("text", [None, 3, b"x", ast.parse("x")])
    def test_no_text(self, text):
        with pytest.raises(InputError, match="expected a text such as"):
            formula(text)

    def test_length(self):
        assert formula("x" + " " * (LONGEST - 1))(1.0) == 1.0
        with pytest.raises(InputError, match="has 1001 characters; expected at most 1000"):
            formula("x" + " " * LONGEST)
        with pytest.raises(InputError, match="characters; expected at most"):
            formula("9" * 10_000_000)

    def test_depth(self):
        assert formula("+".join(["x"] * DEEPEST))(1.0) == DEEPEST
        for text in (
            "+".join(["x"] * (DEEPEST + 1)),
            "-" * 900 + "x",
            "x" + "**x" * 300,
            "abs(" * 180 + "x" + ")" * 180,
            "sin(x" + "*x" * 400 + ")",
        ):
            with pytest.raises(InputError, match="more than 100 levels"):
                formula(text)
        for bracket in ("(", "sin("):
            with pytest.raises(InputError):
                formula(bracket * 240 + "x" + ")" * 240)

    @pytest.mark.parametrize("error", [MemoryError, RecursionError, ValueError])
    def test_a_parser_that_gives_up(self, monkeypatch, error):
        def give_up(*_args, **_kwargs):
            raise error

        # Undone at once: pytest itself needs the parser to show a failure.
        with monkeypatch.context() as patch:
            patch.setattr(ast, "parse", give_up)
            with pytest.raises(InputError, match="more than 100 levels"):
                formula("x")


# Texts as an enemy would write them: pieces of Python, of numbers and of names, in any order.
PIECES = [
    *"xy()()+-*/,.^[]{}:;='\"\\#@!~%<> \n\t\0²½α각ｘ\u0301\u200b\ud800\u00a0",
    *("**", "//", ":=", "1", "9", "1e9", "0.5", ".5", "5.", "1e", "1e+", "0x1f", "1_0", "2j", "1e400", "9" * 20),
    *("sin", "cos(", "log(", "exp(", "gamma(", "max(", "abs", "pi", "e", "__import__", "__class__", "eval", "open"),
    *("lambda", "if", "else", "for", "in", "not", "and", "or", "is", "None", "True", "await", "yield", "import"),
]
hostile = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="x1e9.()+-*/, sin", max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=25).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join),
    st.builds(
        lambda piece, times, tail: piece * times + tail,
        st.sampled_from(PIECES),
        st.integers(0, 1200),
        st.text(max_size=3),
    ),
)


def works_or_is_refused(text: str) -> None:
    try:
        f = formula(text)
    except InputError:
        return
    point = 1.5 if len(f.variables) == 1 else [1.5] * len(f.variables)
    try:
        assert type(f(point)) is float
    except InputError:
        raise
    except DOMAIN:
        pass
    with np.errstate(all="ignore"):
        try:
            assert f(np.full((3, len(f.variables)) if len(f.variables) > 1 else 3, 1.5)).shape == (3,)
        except InputError:
            raise
        except DOMAIN:
            pass
    assert pickle.loads(pickle.dumps(f)) == f


@given(hostile)
@settings(derandomize=True, max_examples=1000, deadline=None)
@example("9**9**9**9**9**9")
@example("9" * 1000)
@example("gamma(" * 50 + "99" + ")" * 50)
@example("(" * 1000)
@example("1if x else 2")
@example("0_7")
@example("x\\\n+1")
def test_any_text_works_or_is_refused(text):
    works_or_is_refused(text)


# Trees of every kind of Python expression, not only of the allowed ones.
SIGNS = ["+", "-", "*", "/", "**", "//", "%", "@", "<<", "|", "^", "&", "<", " is ", " in ", " and "]
leaves = st.sampled_from(["x", "y", "2", "0.5", "pi", "True", "None", "'s'", "b''", "...", "sin", "1j", "f'{x}'"])
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(SIGNS), inner),
        st.builds("({}{})".format, st.sampled_from(["-", "+", "~", "not "]), inner),
        st.builds("{}({})".format, st.sampled_from(["sin", "log", "gamma", "x", "eval", "open", "(x)"]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["max", "atan2", "sin", "getattr", "pow"]), inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("{}.__class__".format, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("(lambda x: {})".format, inner),
        st.builds("[{} for x in {}]".format, inner, inner),
        st.builds("sin(*{})".format, inner),
        st.builds("sin(x={})".format, inner),
        st.builds("(z := {})".format, inner),
    ),
    max_leaves=12,
)
ALLOWED = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.BinOp, ast.UnaryOp, ast.Call,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd,
)  # fmt: skip


@given(trees)
@settings(derandomize=True, max_examples=600, deadline=None)
def test_only_what_is_allowed_is_read(text):
    try:
        formula(text)
    except InputError:
        return
    for node in ast.walk(ast.parse(text, mode="eval")):
        assert isinstance(node, ALLOWED)
        if isinstance(node, ast.Constant):
            assert type(node.value) in (int, float)
        if isinstance(node, ast.Call):
            assert node.func.id in FUNCTIONS
    works_or_is_refused(text)


numbers = st.floats(0, 100, allow_subnormal=False).map(lambda v: repr(round(v, 4)))
safe = st.recursive(
    st.one_of(st.just("x"), st.just("y"), st.just("pi"), numbers),
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner),
        st.builds("-{}".format, inner),
        st.builds("{}({})".format, st.sampled_from(["sin", "cos", "exp", "log", "sqrt", "tanh", "erf"]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["hypot", "atan2"]), inner, inner),
    ),
    max_leaves=10,
)
REFERENCE = {
    name: getattr(math, name) for name in ("sin", "cos", "exp", "log", "sqrt", "tanh", "erf", "hypot", "atan2")
}


@given(safe, st.floats(-3, 3), st.floats(-3, 3))
@settings(derandomize=True, max_examples=800, deadline=None)
def test_agrees_with_python(text, x, y):
    f = formula(text, ("x", "y"))
    try:
        expected = eval(text, {"__builtins__": {}, **REFERENCE, **CONSTANTS, "x": x, "y": y})  # generated above
    except (*DOMAIN, TypeError):  # TypeError: a function of `math` met a complex number
        expected = None
    try:
        value = f([x, y])
    except DOMAIN:
        assert expected is None or isinstance(expected, complex), text
        return
    assert expected is not None
    assert same(value, float(expected)), text
    with np.errstate(all="ignore"):
        try:
            array = f(np.array([[x, y], [1.0, 2.0]]))
        except DOMAIN as error:
            pytest.fail(f"the same formula fails for arrays: {error}")
    assert array.shape == (2,)


def test_from_several_threads():
    f = formula("sin(x)**2 + cos(x)**2")
    wrong: list[float] = []

    def work() -> None:
        wrong.extend(v for k in range(500) if abs((v := f(k / 10)) - 1) > 1e-15)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
