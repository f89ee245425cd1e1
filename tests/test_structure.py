"""Number, array, structure <-> flat vector."""

import copy
import pickle
from collections import Counter, OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mibun.errors import InputError
from mibun.structure import Structure, pick

Layer = namedtuple("Layer", "W b")


class Named(dict):
    """A dict with an attribute and a constructor of its own."""

    def __init__(self, name, **entries):
        super().__init__(**entries)
        self.name = name


class Frozen(dict):
    def __setitem__(self, key, value):
        raise TypeError("frozen")

    clear = None


class Plainly(dict):
    def __copy__(self):
        return dict(self)


floats = st.floats(-1e6, 1e6, width=32)
arrays = st.sampled_from([np.float32, np.float64, np.longdouble]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4),
        elements=st.integers(-1000, 1000).map(lambda n: dtype(n) / 8),
    )
)
keys = st.one_of(st.text(max_size=3), st.integers(-3, 3))
structures = st.recursive(
    st.dictionaries(keys, st.one_of(floats, arrays), min_size=1, max_size=3),
    lambda inner: st.one_of(
        st.dictionaries(keys, inner, min_size=1, max_size=3),
        st.lists(st.one_of(inner, arrays), min_size=1, max_size=3),
        st.lists(inner, min_size=1, max_size=3).map(tuple),
        st.builds(Layer, inner, arrays),
    ),
    max_leaves=6,
)
anything = st.one_of(floats, arrays, structures)


def same(a, b):
    """Equal in structure, types, dtypes and numbers."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(left, right) for left, right in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    return a == b


@given(anything)
def test_round_trip(x):
    before = copy.deepcopy(x)
    structure = Structure.of(x)
    vector = structure.flatten(x)
    assert vector.shape == (structure.size,)
    assert vector.dtype == structure.dtype
    assert same(structure.unflatten(vector), x)
    assert same(x, before)


@given(anything)
def test_paths_and_indices_are_inverse_and_pick_agrees(x):
    structure = Structure.of(x)
    vector = structure.flatten(x)
    names = set()
    for i in range(structure.size):
        path = structure.path(i)
        assert structure.index(path) == i
        assert pick(x, path) == vector[i]
        names.add(structure.name(i))
    assert len(names) == structure.size


@given(anything)
def test_structures_are_values(x):
    structure = Structure.of(x)
    assert structure == Structure.of(copy.deepcopy(x))
    assert pickle.loads(pickle.dumps(structure)) == structure
    assert hash(structure) == hash(Structure.of(x))


@given(anything, st.integers(1, 3))
def test_stack_unflattens_like_its_rows(x, m):
    structure = Structure.of(x)
    vector = structure.flatten(x)
    stack = structure.unflatten(np.stack([vector * i for i in range(m)]))
    for i in range(m):
        row = structure.unflatten(vector * i)
        for leaf, part, expected in zip(structure.leaves, structure.parts(stack), structure.parts(row), strict=True):
            assert part.shape == (m, *leaf.shape)
            assert part.dtype == leaf.dtype
            assert (part[i] == expected).all()


@pytest.mark.parametrize(
    ("x", "kind", "got"),
    [
        (2, "number", 2.0),
        (2.5, "number", 2.5),
        (np.float64(2.5), "number", np.float64(2.5)),
        (np.float32(2.5), "number", np.float32(2.5)),
        (np.longdouble(2.5), "number", np.longdouble(2.5)),
        (np.int8(2), "number", np.float64(2)),
        (10**30, "number", 1e30),
        (2j, "number", 2j),
        (np.array(2.0), "array", np.array(2.0)),
        (np.arange(3), "array", np.array([0.0, 1.0, 2.0])),
        (np.arange(3, dtype=np.float16), "array", np.arange(3, dtype=np.float16)),
        (np.arange(3, dtype=">f8"), "array", np.array([0.0, 1.0, 2.0])),
        ([1, 2, 3], "array", np.array([1.0, 2.0, 3.0])),
        (((1, 2.5), [3, 4]), "array", np.array([[1.0, 2.5], [3.0, 4.0]])),
        ([np.float32(1), np.float32(2)], "array", np.array([1, 2], dtype=np.float32)),
        (Layer(1, 2.0), "structure", Layer(1.0, 2.0)),
        ([Layer(1.0, 2.0), Layer(3.0, 4.0)], "structure", [Layer(1.0, 2.0), Layer(3.0, 4.0)]),
        ({"a": 1}, "structure", {"a": 1.0}),
        (OrderedDict(b=[1, 2], a={"c": 3}), "structure", OrderedDict(b=np.array([1.0, 2.0]), a={"c": 3.0})),
        (Counter(a=2, b=1), "structure", Counter(a=2.0, b=1.0)),
        ([np.array([1.0]), 2], "structure", [np.array([1.0]), 2.0]),
        ([1.0, [2.0, {"a": 3}]], "structure", [1.0, [2.0, {"a": 3.0}]]),
        (({"a": 1.0}, {}), "structure", ({"a": 1.0}, {})),
        (Layer(np.ones(2), 1), "structure", Layer(np.ones(2), 1.0)),
        ({"W": np.ones(2), "none": np.zeros((0, 3))}, "structure", {"W": np.ones(2), "none": np.zeros((0, 3))}),
    ],
)
def test_what_counts_as_what(x, kind, got):
    structure = Structure.of(x)
    assert structure.kind == kind
    assert same(structure.unflatten(structure.flatten(x)), got)


def test_subclasses_of_dict_keep_all_that_they_have():
    x = {"d": defaultdict(list, a=1.0), "n": Named("first", W=W)}
    structure = Structure.of(x)
    found = structure.unflatten(np.arange(structure.size, dtype=float))
    assert type(found["d"]) is defaultdict
    assert found["d"]["a"] == 0.0
    assert found["d"]["new"] == []
    assert (type(found["n"]), found["n"].name) == (Named, "first")
    np.testing.assert_array_equal(found["n"]["W"], 1 + W)
    assert (x["d"], x["n"]["W"] is W) == ({"a": 1.0}, True)
    again = structure.unflatten(np.zeros(structure.size))
    assert list(again["d"]) == ["a"]  # nothing is shared between two points
    assert structure == pickle.loads(pickle.dumps(structure)) != Structure.of({"d": {"a": 1.0}, "n": x["n"]})


@pytest.mark.parametrize("kind", [Frozen, Plainly])
def test_a_dict_that_cannot_be_filled_anew_is_refused(kind):
    with pytest.raises(InputError, match=rf"^x\.a is a {kind.__name__}, .*write dict\(x\)"):
        Structure.of({"a": kind(b=1.0)})


def test_other_subclasses_of_arrays_and_lists_become_plain():
    class Rows(list):
        pass

    class Marked(np.ndarray):
        pass

    structure = Structure.of(Rows([np.ones(2).view(Marked), 1.0]))
    found = structure.unflatten(np.zeros(3))
    assert type(found) is list
    assert type(found[0]) is np.ndarray


def test_parts_of_what_is_given_partly():
    structure = Structure.of({"a": 1.0, "layer": {"W": W, "b": 1.0}, "list": [W, 2.0]})
    assert structure.parts(None, partly=True) == [None] * 5
    assert structure.parts(2.0, partly=True) == [2.0] * 5
    assert structure.parts({"layer": 3, "list": [None, 1.0]}, partly=True) == [None, 3, 3, None, 1.0]
    for wrong in ({"q": 1.0}, {"list": [1.0]}, [1.0], "text"):
        with pytest.raises(InputError, match="expected"):
            structure.parts(wrong, partly=True)


def test_places_for_messages():
    structure = Structure.of(NESTED)
    assert [structure.place(i) for i in (5, 6, 19, 22)] == [
        "x.layer.W[2, 1]",
        "x.layer.b",
        "x.list[1][1]['my key']",
        "x[7][2]",
    ]
    assert Structure.of(2.0).place(0, "direction") == "direction"
    assert Structure.of(W).place(3) == "x[1, 1]"


def test_nan_and_inf_are_numbers():
    x = {"a": [float("nan"), float("inf")]}
    structure = Structure.of(x)
    np.testing.assert_array_equal(structure.flatten(x), [np.nan, np.inf])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ("abc", "x is the text 'abc'; expected a number, an array, or a dict or list of them; write float(x)"),
        (None, "x is None; expected"),
        (True, "x is the bool True; expected .*; write float(True)"),
        (np.bool_(True), "x is the bool True; expected .*; write float(True)"),
        (np.str_("a"), "x is the text 'a'|x is the text np.str_"),
        (b"1.5", "x is the text b'1.5'; .*write float(x)"),
        (np.datetime64("2020-01-01"), "x is a value of type datetime64; .*write float(x)"),
        (np.float64, "x is a value of type type; .*write float(x)"),
        (np.array([True]), "x is an array of bool; .* write np.array(x, dtype=float)"),
        ([True, 2.0], "x is a list that holds bool"),
        ([[1.0], [np.True_]], "x is a list that holds bool"),
        ([], "x is a list of length 0, it has no elements"),
        ([[], []], "it has no elements"),
        ({}, "x is an empty dict, it has no elements"),
        (np.zeros((2, 0)), "x is an array of shape (2, 0), it has no elements"),
        ([[1, 2], [3]], "x is a ragged list: .*; write rows of one length, or a list of arrays"),
        ([1, [2, 3]], "x is a ragged list"),
        ([1, None], "x is a list of objects"),
        ([1, "a"], "x is a list of text"),
        ({"a": {"b": "q"}}, "x.a.b is the text 'q'"),
        ([{}, "t"], "x[1] is the text 't'"),
        ({"my key": [True]}, "x['my key'] is a list that holds bool"),
        (np.array([1, None]), "x is an array of objects"),
        (np.array(["a"]), "x is an array of text"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "x is an array of datetime64"),
        (np.ma.array([1.0]), "x is a masked array; .*write x.filled"),
        ([np.ma.array([1.0])], "x[0] is a masked array; .*write x[0].filled"),
        ({1.0, 2.0}, "x is a value of type set; .*write list(x)"),
        (range(3), "x is a value of type range; .*write list(x)"),
        (lambda: 0, "x is a value of type function"),
        (10**400, "x is an integer beyond the range of floats"),
    ],
)
def test_refused_with_a_message(x, message):
    pattern = message.replace("(", r"\(").replace(")", r"\)").replace("[", r"\[").replace("]", r"\]")
    with pytest.raises(InputError, match=pattern):
        Structure.of(x)


def test_messages_use_the_name_given():
    with pytest.raises(InputError, match=r"^direction\.a is None"):
        Structure.of({"a": None}, name="direction")


W = np.arange(6.0).reshape(3, 2)
NESTED = {"layer": {"W": W, "b": 0.5}, "list": [W, (W, {"my key": 1.0})], 7: [1, 2, 3]}


@pytest.mark.parametrize(
    ("x", "index", "path", "name"),
    [
        (2.0, 0, (), "x"),
        (np.array(2.0), 0, (), "x"),
        (np.ones(4), 3, (3,), "[3]"),
        (W, 5, (2, 1), "[2, 1]"),
        ({"W": W, "b": 1.0}, 5, ("W", 2, 1), "W[2, 1]"),
        ({"W": W, "b": 1.0}, 6, ("b",), "b"),
        ([W, W], 6, (1, 0, 0), "[1][0, 0]"),
        (Layer(W, 1.0), 6, ("b",), "b"),
        (NESTED, 5, ("layer", "W", 2, 1), "layer.W[2, 1]"),
        (NESTED, 6, ("layer", "b"), "layer.b"),
        (NESTED, 12, ("list", 0, 2, 1), "list[0][2, 1]"),
        (NESTED, 13, ("list", 1, 0, 0, 0), "list[1][0][0, 0]"),
        (NESTED, 19, ("list", 1, 1, "my key"), "list[1][1]['my key']"),
        (NESTED, 22, (7, 2), "[7][2]"),
    ],
)
def test_names_and_paths(x, index, path, name):
    structure = Structure.of(x)
    assert (structure.path(index), structure.name(index), structure.index(path)) == (path, name, index)
    assert structure.name(index - structure.size) == name


def test_indices_that_are_not_paths():
    assert Structure.of(W).index(3) == 3
    assert Structure.of(W).index(np.int64(-1)) == 5
    assert Structure.of(W).index((-1, 0)) == 4
    assert Structure.of(2.0).index(0) == 0
    assert Structure.of({"b": 1.0, "c": 2.0}).index("c") == 1
    assert Structure.of([{"a": 1.0}, W]).index((-1, 0, 1)) == 2
    assert Structure.of(Layer(W, 1.0)).index((0, 2, 1)) == 5


@pytest.mark.parametrize(
    ("x", "path", "message"),
    [
        (W, 6, "index 6: 6 is out of range; expected 0 to 5"),
        (W, -7, "index -7: -7 is out of range; expected 0 to 5"),
        (W, (2,), r"index \(2,\) has 1 place in an array of shape \(3, 2\); expected 2, such as \(0, 0\)"),
        (W, (0, 2), r"index \(0, 2\): 2 is out of range; expected 0 to 1"),
        (W, "a", "index 'a': 'a' is no integer"),
        (W, 1.0, "index 1.0: 1.0 is no integer"),
        (W, True, "True is no integer"),
        (2.0, 1, "index 1: 1 is out of range; expected 0 to 0"),
        ({"W": W, "b": 1.0}, ("V", 0), r"index \('V', 0\): there is no 'V'; expected one of 'W', 'b'"),
        ({"W": W, "b": 1.0}, 0, "there is no 0; expected one of 'W', 'b'"),
        ({"W": W, "b": 1.0}, "W", r"index 'W' has 0 places in an array .*; expected 2, such as \('W', 0, 0\)"),
        ({"W": W, "b": 1.0}, ("b", 0), r"index \('b', 0\) has 1 place in a number; expected 0, such as \('b',\)"),
        ({"W": W, "b": 1.0}, ["W", 0, 0], r"is a list; write a path as a tuple, \('W', 0, 0\)"),
        ({"W": {"a": W}}, "W", "index 'W' names more than one element; add one of 'a'"),
        ({"W": W}, (), r"index \(\) names more than one element"),
        ([W, W], (2, 0, 0), "there is no 2; expected one of 0, 1"),
    ],
)
def test_wrong_indices_get_a_message(x, path, message):
    with pytest.raises(InputError, match=message):
        Structure.of(x).index(path)


def test_leaves():
    first, second = Structure.of({"layer": {"W": W.astype(np.float32)}, "b": 1}).leaves
    assert (first.path, first.name, first.shape, first.slice) == (("layer", "W"), "layer.W", (3, 2), slice(0, 6))
    assert (first.dtype, first.number) == (np.float32, False)
    assert (second.path, second.shape, second.slice, second.number) == (("b",), (), slice(6, 7), True)


def test_mixed_dtypes_keep_their_own():
    x = {"a": np.ones(2, dtype=np.float32), "b": np.ones(2)}
    structure = Structure.of(x)
    assert structure.dtype == np.float64
    seen = structure.unflatten(np.full(4, 1 + 1e-12))
    assert (seen["a"].dtype, seen["b"].dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(structure.flatten(seen), [1, 1, 1 + 1e-12, 1 + 1e-12])


def test_results_keep_the_dtype_of_the_vector():
    structure = Structure.of({"a": np.ones(2, dtype=np.float32), "b": 1.0})
    errors = structure.unflatten(np.array([1e-9, 2e-9, 3e-9]), cast=False)
    assert errors["a"].dtype == np.float64
    assert type(errors["b"]) is float
    words = structure.unflatten(np.array(["p", "q", None], dtype=object), cast=False)
    assert (words["a"].tolist(), words["b"]) == (["p", "q"], None)


def test_complex_points_stay_complex_in_the_precision_of_each_leaf():
    structure = Structure.of({"a": np.ones(2, dtype=np.float32), "b": 1.0, "c": np.ones(1)})
    seen = structure.unflatten(np.array([1, 2, 3 + 1e-30j, 4j]))
    assert (seen["a"].dtype, type(seen["b"]), seen["c"].dtype) == (np.complex64, complex, np.complex128)
    assert seen["b"].imag == 1e-30


def test_memory():
    x = {"W": np.ones((3, 2)), "b": np.ones(2)}
    structure = Structure.of(x)
    vector = structure.flatten(x)
    assert not np.shares_memory(vector, x["W"])
    assert np.shares_memory(structure.unflatten(vector)["W"], vector)
    alone = np.ones(3)
    assert not np.shares_memory(Structure.of(alone).flatten(alone), alone)


def test_flatten_takes_other_dtypes_of_the_same_structure():
    structure = Structure.of({"W": W, "b": 1.0})
    codes = structure.flatten({"b": 3, "W": np.ones((3, 2), np.uint8)}, dtype=np.float32)
    assert codes.dtype == np.float32
    np.testing.assert_array_equal(codes, [1, 1, 1, 1, 1, 1, 3])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ({"W": W}, r"x is a dict with the keys 'W'; expected a dict with the keys 'W', 'b', 'c'"),
        ({"W": W, "b": W, "c": [W]}, r"x.b has shape \(3, 2\); expected \(\)"),
        ({"W": W.T, "b": 1.0, "c": [W]}, r"x.W has shape \(2, 3\); expected \(3, 2\)"),
        ({"W": W, "b": 1.0, "c": [W, W]}, "x.c is a list of length 2; expected a list of length 1"),
        ({"W": W, "b": 1.0, "c": W}, r"x.c is an array of shape \(3, 2\); expected a list of length 1"),
        ({"W": W, "b": 1j, "c": [W]}, "x.b holds complex numbers; expected real numbers"),
        ({"W": W, "b": "up", "c": [W]}, "x.b holds text; expected real numbers"),
        ({"W": [[1.0], [1.0, 2.0]], "b": 1.0, "c": [W]}, "x.W is a ragged list"),
        ({"W": np.ma.array(W), "b": 1.0, "c": [W]}, "x.W is a masked array"),
        (2.0, "x is a value of type float; expected a dict"),
    ],
)
def test_flatten_refuses_another_structure(x, message):
    with pytest.raises(InputError, match=message):
        Structure.of({"W": W, "b": 1.0, "c": [W]}).flatten(x)


@pytest.mark.parametrize("vector", [np.ones(5), np.ones(7), np.ones((6, 2)), 1.0])
def test_unflatten_refuses_another_size(vector):
    with pytest.raises(InputError, match=r"vector has shape .*; expected \(6,\) or \(\.\.\., 6\)"):
        Structure.of(W).unflatten(vector)


def test_parts_and_build():
    structure = Structure.of(NESTED)
    marks = structure.build([f"leaf {i}" for i in range(len(structure.leaves))])
    assert marks["list"] == ["leaf 2", ("leaf 3", {"my key": "leaf 4"})]
    assert structure.parts(marks) == [f"leaf {i}" for i in range(6)]


def test_pick():
    x = {"layer": Layer([W, W], 1.0)}
    assert pick(x, ("layer", "W", 1, 2, 1)) == 5.0
    assert pick(x, ("layer", "b")) == 1.0
    assert pick(x, "layer") is x["layer"]
    np.testing.assert_array_equal(pick(x, ("layer", "W", 0, slice(1, 3), 0)), [2.0, 4.0])
    np.testing.assert_array_equal(pick(W, 1), [2.0, 3.0])
    assert pick(2.0, ()) == 2.0
    with pytest.raises(InputError, match="the result has no 'q'; expected one of 'layer'"):
        pick(x, "q", name="the result")
    with pytest.raises(InputError, match="x has no 2; expected one of 'W', 'b'"):
        pick(x, ("layer", 2))
    with pytest.raises(InputError, match="but it is one number there"):
        pick(x, ("layer", "b", 0))
    with pytest.raises(InputError, match="but it is one number there"):
        pick(np.float64(2.0), 0)


def test_str():
    assert str(Structure.of(2.0)) == "a number"
    assert str(Structure.of(W)) == "an array of shape (3, 2)"
    assert str(Structure.of({"W": W, "b": 0.5})) == "a structure of W (3, 2), b"
    assert str(Structure.of({f"w{i}": 1.0 for i in range(9)})) == "a structure of w0, w1, w2, w3, w4, w5 and more"


def test_repr():
    assert repr(Structure.of(2.0)) == "Structure(number; 1 element)"
    assert repr(Structure.of(W)) == "Structure((3, 2); 6 elements)"
    assert repr(Structure.of({"W": W, "b": 0.5})) == "Structure(W (3, 2), b; 7 elements)"
    many = {f"w{i}": np.ones(1000) for i in range(40)}
    assert repr(Structure.of(many)) == (
        "Structure(w0 (1000,), w1 (1000,), w2 (1000,), w3 (1000,), w4 (1000,), w5 (1000,), 34 more; 40,000 elements)"
    )
