"""Derivative, Status, Note: what they hold, refuse, print and compute."""

import copy
import dataclasses
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mibun.errors import InputError, NotConverged
from mibun.result import Derivative, Note, Status, StatusArray
from mibun.structure import Structure

INF, NAN = math.inf, math.nan
KINKED = Note((2, 1), Status.KINK, "the slopes differ", left=-1.0, right=1.0)


def matrix():
    value = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]])
    error = np.array([[1e-9, 1e-9], [1e-9, 1e-9], [1e-9, 1.0]])
    status = np.zeros((3, 2), dtype=np.uint8)
    status[2, 1] = Status.KINK.code
    return Derivative(value, error, status=status, evaluations=24, fx=7.0, noise=1e-16, notes=(KINKED,))


def tree():
    note = dataclasses.replace(KINKED, element=("W", 2, 1))
    inner = matrix()
    return Derivative(
        {"W": inner.value, "b": 0.5},
        {"W": inner.error, "b": 1e-10},
        status={"W": inner.status, "b": Status.NOISY},
        step={"W": np.full((3, 2), 1e-3), "b": 1e-4},
        evaluations=28,
        notes=(note,),
    )


class TestStatus:
    def test_members(self):
        assert [str(status) for status in Status] == [
            "converged", "noisy", "one-sided", "insensitive", "kink", "unresolved", "budget spent", "jump",
            "not finite", "failed",
        ]  # fmt: skip
        assert [status.name for status in Status if status.passes] == [
            "CONVERGED", "NOISY", "ONE_SIDED", "INSENSITIVE",
        ]  # fmt: skip
        assert [status.code for status in Status] == list(range(10))

    @pytest.mark.parametrize("status", Status)
    def test_value_is_a_sentence(self, status):
        assert len(status.value.split()) > 8
        assert Status(status.value) is status
        assert repr(status) == f"Status.{status.name}"

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickles_by_name(self, protocol):
        data = pickle.dumps(Status.KINK, protocol)
        assert pickle.loads(data) is Status.KINK
        assert b"slopes" not in data
        assert copy.deepcopy(Status.KINK) is Status.KINK


class TestStatusArray:
    statuses = StatusArray.of([[Status.CONVERGED, Status.KINK], [Status.CONVERGED, Status.FAILED]])

    def test_shape(self):
        s = self.statuses
        assert (s.shape, s.ndim, s.size, len(s), s.codes.dtype) == ((2, 2), 2, 4, 2, np.uint8)

    def test_indexing(self):
        assert self.statuses[1, 1] is Status.FAILED
        assert isinstance(self.statuses[0], StatusArray)
        assert list(self.statuses[0]) == [Status.CONVERGED, Status.KINK]
        assert [row[0] for row in self.statuses] == [Status.CONVERGED] * 2
        assert self.statuses[self.statuses == Status.KINK].tolist() == [Status.KINK]

    def test_comparing(self):
        np.testing.assert_array_equal(self.statuses == Status.KINK, [[False, True], [False, False]])
        np.testing.assert_array_equal(self.statuses != Status.KINK, [[True, False], [True, True]])
        np.testing.assert_array_equal(np.full((2, 2), 4) == self.statuses, [[False, True], [False, False]])
        np.testing.assert_array_equal(self.statuses == self.statuses.tolist(), np.ones((2, 2)))
        np.testing.assert_array_equal(np.asarray(self.statuses) == self.statuses, np.ones((2, 2)))
        assert (self.statuses == "kink") is False
        assert (self.statuses != "kink") is True

    def test_counts_and_passes(self):
        assert self.statuses.counts() == {Status.CONVERGED: 2, Status.KINK: 1, Status.FAILED: 1}
        np.testing.assert_array_equal(self.statuses.passes, [[True, False], [True, False]])

    def test_as_objects(self):
        objects = np.asarray(self.statuses)
        assert objects.dtype == object
        assert objects[1, 1] is Status.FAILED
        assert self.statuses.tolist() == [
            [Status.CONVERGED, Status.KINK],
            [Status.CONVERGED, Status.FAILED],
        ]
        with pytest.raises(ValueError, match="only by a copy"):
            self.statuses.__array__(copy=False)

    def test_read_only_and_apart_from_what_it_was_made_of(self):
        codes = np.zeros(3, dtype=np.uint8)
        statuses = StatusArray(codes)
        codes[0] = 4
        assert statuses[0] is Status.CONVERGED
        with pytest.raises(ValueError, match="read-only"):
            statuses.codes[0] = 1

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickles(self, protocol):
        again = pickle.loads(pickle.dumps(self.statuses, protocol))
        assert (again == self.statuses).all()
        assert not again.codes.flags.writeable

    def test_repr(self):
        assert repr(self.statuses) == "StatusArray(shape (2, 2): 2 converged, 1 kink, 1 failed)"
        assert repr(StatusArray(np.zeros(40_000, int))) == "StatusArray(shape (40000,): 40,000 converged)"

    @pytest.mark.parametrize("wrong", [[10], [-1], [0.5], ["kink"], [Status.KINK, None]])
    def test_refuses(self, wrong):
        with pytest.raises(InputError, match="expected"):
            StatusArray.of(wrong)

    def test_is_not_hashable(self):
        with pytest.raises(TypeError, match="unhashable"):
            hash(self.statuses)


class TestNote:
    @pytest.mark.parametrize(
        ("note", "text"),
        [
            (KINKED, "[2, 1]: kink, the slopes differ (left -1, right 1)"),
            (Note((), Status.ONE_SIDED, "at the lower bound"), "one-sided, at the lower bound"),
            (Note(("W", 1), Status.FAILED, "timeout", x=0.5), "[W, 1]: failed, timeout (at 0.5)"),
            (Note(None, Status.NOISY, "400 elements"), "noisy, 400 elements"),
        ],
    )
    def test_text(self, note, text):
        assert str(note) == text

    def test_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            KINKED.message = "other"
        assert pickle.loads(pickle.dumps(KINKED)).message == KINKED.message


class TestBuiltByHand:
    def test_number(self):
        d = Derivative(value=2.0, error=1e-9)
        assert (d.truncation, d.rounding, d.status) == (0.0, 1e-9, Status.CONVERGED)
        assert (d.step, d.evaluations, d.noise, d.fx, d.gradient, d.notes) == (None, 0, None, None, None, ())

    def test_status_says_what_is_not_known(self):
        assert Derivative(NAN, INF).status is Status.NOT_FINITE
        assert Derivative(1.0, INF).status is Status.UNRESOLVED
        d = Derivative([1.0, 1.0, NAN], [0.0, INF, INF])
        assert d.status.tolist() == [Status.CONVERGED, Status.UNRESOLVED, Status.NOT_FINITE]

    def test_one_status_counts_for_all(self):
        d = Derivative({"a": np.ones(2), "b": 1.0}, {"a": np.ones(2), "b": 1.0}, status=Status.KINK)
        assert d.status["a"].tolist() == [Status.KINK, Status.KINK]
        assert d.status["b"] is Status.KINK
        mixed = Derivative([np.ones(2), 1.0], [np.ones(2), 1.0], status=[Status.NOISY, Status.KINK])
        assert mixed.status[0].tolist() == [Status.NOISY, Status.NOISY]

    def test_codes_count_as_status(self):
        assert Derivative(1.0, 1.0, status=4).status is Status.KINK
        assert Derivative([1.0, 2.0], [1.0, 1.0], status=[0, 4]).status[1] is Status.KINK
        structure = Structure.of({"a": np.ones(2), "b": 1.0})
        vector = structure.unflatten(np.ones(3), cast=False)
        d = Derivative(vector, vector, status=structure.unflatten(np.array([0, 1, 4]), cast=False))
        assert (d.status["a"][1], d.status["b"]) == (Status.NOISY, Status.KINK)

    @pytest.mark.parametrize("value", [2, np.float32(2), np.float64(2), np.int64(2)])
    def test_numbers_become_floats(self, value):
        d = Derivative(value, 0)
        assert isinstance(d.value, float)
        assert (d.value, d.error, d.rounding) == (2.0, 0.0, 0.0)

    def test_lists_of_numbers_become_arrays_and_arrays_are_kept(self):
        assert isinstance(Derivative([1, 2], [0, 0]).value, np.ndarray)
        value, error = np.ones(3), np.full(3, 1e-9)
        d = Derivative(value, error)
        assert d.value is value
        assert d.error is error
        assert d.rounding is not error
        np.testing.assert_array_equal(value, np.ones(3))

    def test_wide_and_complex(self):
        wide = Derivative(np.longdouble(1) / 3, np.longdouble(1e-19))
        assert isinstance(wide.value, np.longdouble)
        assert wide.value == np.longdouble(1) / 3
        assert Derivative(1 + 2j, 1e-9).value == 1 + 2j
        assert Derivative(np.array([1j]), np.array([1e-9])).value.dtype == np.complex128

    def test_notes_may_be_a_list(self):
        assert matrix().notes == (KINKED,)
        assert Derivative(1.0, 1.0, notes=[Note((), Status.NOISY, "hm")]).notes[0].message == "hm"


class TestContradictions:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ((1.0, -1e-9), "error is -1e-09 for the value 1.0; expected a bound of at least 0"),
            ((1.0, NAN), "error is nan for the value 1.0"),
            ((NAN, 1.0), "error is 1.0 for the value nan; .* inf where the value is nan"),
            ((1.0, 3.0, 1.0, 1.0), r"error is 3.0; expected truncation \+ rounding, 2.0"),
            ((1.0, INF, 1.0, 1.0), r"error is inf; expected truncation \+ rounding, 2.0"),
            ((1.0, 2.0, INF, 1.0), r"error is 2.0; expected truncation \+ rounding, inf"),
            ((1.0, 2.0, NAN, 1.0), r"expected truncation \+ rounding, nan"),
            ((1.0, 1.0, 1.0), "give both or neither"),
            ((1.0, 1.0, None, 1.0), "give both or neither"),
            ((NAN, INF, None, None, Status.CONVERGED), "status is 'converged' with an infinite error"),
            ((1.0, INF, None, None, Status.NOISY), "expected a status that does not pass"),
            ((1.0, 1.0, None, None, "kink"), "expected integers from 0 to 9: Status.code"),
            ((1.0, 1.0, None, None, [Status.KINK]), r"status has shape \(1,\); expected \(\)"),
        ],
    )
    def test_number(self, fields, message):
        with pytest.raises(InputError, match=message):
            Derivative(*fields)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            (([1.0, 2.0], 1.0), r"error has shape \(\); expected \(2,\), the shape of value"),
            (([1.0, 2.0], [1.0, 1.0, 1.0]), r"error has shape \(3,\)"),
            (([1.0, 2.0], [1.0, -1.0]), "error is -1.0 where the value is 2.0; expected a bound"),
            (([1.0, NAN], [1.0, 1.0]), "error is 1.0 where the value is nan"),
            (([1.0, 2.0], [1.0, NAN]), "error is nan where the value is 2.0"),
            (([1.0, 2.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.5]), r"expected truncation \+ rounding, 0.5"),
            (([1.0, 2.0], [1.0, INF], [0.0, 0.0], [1.0, 0.5]), r"expected truncation \+ rounding, 0.5"),
            (([1.0, 2.0], [1.0, 1.0], [0.0, 0.0]), "give both or neither"),
            (([1.0, NAN], [1.0, INF], None, None, Status.NOISY), "status is 'noisy' with an infinite error"),
            (([1.0, 2.0], [1.0, 1.0], None, None, [Status.KINK]), r"status has shape \(1,\); expected \(2,\)"),
            (([1.0, 2.0], [1j, 1.0]), "error has dtype complex128; expected real numbers"),
            (([1.0, 2.0], ["a", "b"]), "error has dtype <U1; expected real numbers"),
            (({"a": 1.0}, {"b": 1.0}), "error is a dict with the keys 'b'; expected a dict with the keys 'a'"),
            (({"a": 1.0}, {"a": [1.0]}), r"error of a has shape \(1,\); expected \(\)"),
            (({"a": 1.0}, {"a": -1.0}), "error is -1.0 where the value of a is 1.0"),
            (({"a": 1.0}, 1.0), "error is a value of type float; expected a dict"),
            (("text", 1.0), "value is the text 'text'"),
            (([], []), "value is a list of length 0"),
        ],
    )
    def test_arrays_and_structures(self, fields, message):
        with pytest.raises(InputError, match=message):
            Derivative(*fields)

    def test_notes_must_be_about_an_element(self):
        with pytest.raises(InputError, match="is out of range"):
            Derivative([1.0], [1.0], notes=(Note((1,), Status.NOISY, "hm"),))

    def test_rounding_in_the_sum_is_allowed(self):
        assert 0.1 + 0.2 != 0.3
        assert Derivative(1.0, 0.3, 0.1, 0.2).error == 0.3
        assert Derivative([1.0], [0.3], [0.1], [0.2]).error[0] == 0.3
        assert Derivative(NAN, INF, INF, 0.0).truncation == INF


class TestArithmetic:
    x = np.array([10.0, 20.0])

    def test_number(self):
        d = Derivative(2.0, 1e-9)
        results = [1 - 0.1 * d, d + 1, 1 + d, d - 1, d * 3, d / 4, 1 / d, d**3, 2**d, -d, abs(-1 * d), d - d]
        assert results == [0.8, 3.0, 3.0, 1.0, 6.0, 0.5, 0.5, 8.0, 4.0, -2.0, 2.0, 0.0]
        assert {type(result) for result in results} == {float}

    def test_array(self):
        d = Derivative([1.0, -2.0], [0.0, 0.0])
        np.testing.assert_array_equal(self.x - 0.1 * d, [9.9, 20.2])
        np.testing.assert_array_equal(self.x - d, [9.0, 22.0])
        np.testing.assert_array_equal(d / self.x, [0.1, -0.1])
        np.testing.assert_array_equal(2.0**d, [2.0, 0.25])
        np.testing.assert_array_equal([1.0, 1.0] - d, [0.0, 3.0])
        np.testing.assert_array_equal(-d, [-1.0, 2.0])
        np.testing.assert_array_equal(abs(d), [1.0, 2.0])
        np.testing.assert_array_equal(np.float64(2) * d, [2.0, -4.0])
        np.testing.assert_array_equal(d * d, [1.0, 4.0])
        assert (d @ self.x, self.x @ d, d @ d) == (-30.0, -30.0, 5.0)
        assert type(self.x - d) is np.ndarray
        np.testing.assert_array_equal(d.value, [1.0, -2.0])

    def test_numpy_functions(self):
        d = Derivative([3.0, -4.0], [0.0, 0.0])
        assert (np.linalg.norm(d), np.sum(d), np.dot(d, self.x)) == (5.0, -1.0, -50.0)
        np.testing.assert_array_equal(np.maximum(d, 0.0), [3.0, 0.0])
        assert np.exp(Derivative(0.0, 0.0)) == 1.0

    def test_in_place(self):
        x = self.x.copy()
        same = x
        x -= Derivative([1.0, -2.0], [0.0, 0.0])
        np.testing.assert_array_equal(same, [9.0, 22.0])
        with pytest.raises(TypeError, match="frozen"):
            np.add(1.0, 2.0, out=Derivative([1.0], [0.0]))

    @pytest.mark.parametrize(
        "compute",
        [
            lambda d: 0.1 * d, lambda d: d + 1, lambda d: -d, lambda d: abs(d), lambda d: d @ d,
            lambda d: np.ones(2) - d, lambda d: {"W": 1} - d, lambda d: np.sqrt(d), float, np.asarray,
        ],
    )  # fmt: skip
    def test_structures_name_the_way_out(self, compute):
        with pytest.raises(TypeError, match=r"holds a dict \(W, b\), not one .*; use d\.value"):
            compute(tree())

    def test_equality_is_identity(self):
        d = Derivative(2.0, 0.0)
        assert d == d
        assert d != Derivative(2.0, 0.0)
        assert (d == 2.0) is False
        assert len({d, d}) == 1

    @pytest.mark.parametrize(
        "compare",
        [lambda d: d == np.ones(2), lambda d: np.ones(2) != d, lambda d: np.less(d, 1), lambda d: d < 1],
    )
    def test_comparing_numbers_needs_the_value(self, compare):
        with pytest.raises(TypeError):
            compare(Derivative([1.0, 1.0], [0.0, 0.0]))

    def test_neither_true_nor_false(self):
        with pytest.raises(TypeError, match=r"ask d\.passes"):
            bool(Derivative(1.0, 0.0))


class TestConversion:
    def test_float(self):
        assert float(Derivative(2.5, 0.0)) == 2.5
        assert float(Derivative([[2.5]], [[0.0]])) == 2.5
        assert float(Derivative(np.longdouble(2.5), np.longdouble(0))) == 2.5

    @pytest.mark.parametrize(
        ("value", "held"), [([1.0, 2.0], r"an array of shape \(2,\)"), (1j, "the number 1j"), ([1j], "an array")]
    )
    def test_float_of_what_is_not_one_number(self, value, held):
        with pytest.raises(TypeError, match=rf"holds {held}.*, not one real number; use d\.value"):
            float(Derivative(value, np.zeros(np.shape(value))))

    def test_asarray(self):
        d = matrix()
        assert np.asarray(d) is d.value
        assert np.asarray(d, dtype=np.float32).dtype == np.float32
        assert not np.shares_memory(np.array(d), d.value)
        assert not np.shares_memory(d.__array__(copy=True), d.value)
        assert np.asarray(Derivative(2.0, 0.0)).shape == ()

    @pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="copy=False is of NumPy 2")
    def test_asarray_without_a_copy(self):
        d = matrix()
        assert np.array(d, copy=False) is d.value
        with pytest.raises(ValueError, match="copy"):
            np.array(d, dtype=np.float32, copy=False)

    def test_length_and_iteration(self):
        assert len(matrix()) == 3
        assert [row.value.tolist() for row in matrix()] == [[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]]
        assert (len(tree()), list(tree())) == (2, ["W", "b"])
        assert "W" in tree()
        pair = Derivative([np.ones(2), 1.0], [np.ones(2), 1.0])
        assert [part.value for part in pair][1] == 1.0
        for number in (Derivative(1.0, 0.0), Derivative(np.array(1.0), np.array(0.0))):
            with pytest.raises(TypeError, match="has no length"):
                len(number)
            with pytest.raises(TypeError, match="has no length"):
                list(number)


class TestElements:
    def test_element_of_an_array(self):
        d = matrix()[2, 1]
        assert (d.value, d.error, d.truncation, d.rounding, d.status) == (0.0, 1.0, 0.0, 1.0, Status.KINK)
        assert type(d.value) is float
        assert (d.evaluations, d.fx, d.noise, d.step) == (24, 7.0, 1e-16, None)
        assert d.notes[0].element == ()
        assert d.notes[0].left == -1.0
        assert matrix()[0, 0].notes == ()

    @pytest.mark.parametrize(
        ("key", "element"),
        [
            (2, (1,)), (-1, (1,)), (slice(1, None), (1, 1)), ((slice(None), 1), (2,)),
            ([2, 0], (0, 1)), ((..., 1, None), (2, 0)), (np.array([[0, 0], [0, 1], [0, 1]], bool), (1,)),
        ],
    )  # fmt: skip
    def test_parts_of_an_array(self, key, element):
        part = matrix()[key]
        np.testing.assert_array_equal(part.value, matrix().value[key])
        np.testing.assert_array_equal(part.error, matrix().error[key])
        assert (part.status == StatusArray(matrix().status.codes[key])).all()
        assert [note.element for note in part.notes] == [element]
        assert part[element].status is Status.KINK

    def test_parts_of_a_structure(self):
        d = tree()["W", 2, 1]
        assert (d.value, d.error, d.status, d.step, d.evaluations) == (0.0, 1.0, Status.KINK, 1e-3, 28)
        assert d.notes[0].element == ()
        leaf = tree()["W"]
        assert isinstance(leaf.status, StatusArray)
        assert leaf.notes[0].element == (2, 1)
        assert (tree()["b"].value, tree()["b"].status, tree()["b"].notes) == (0.5, Status.NOISY, ())
        nested = Derivative({"a": {"b": [1.0, 2.0]}}, {"a": {"b": [1.0, 2.0]}})
        assert nested["a"].value.keys() == {"b"}
        assert nested["a", "b", 1].value == 2.0

    def test_notes_about_many_stay_with_the_whole(self):
        d = Derivative([1.0, 2.0], [1.0, 1.0], notes=(Note(None, Status.NOISY, "both"),))
        assert d[0].notes == ()

    def test_no_such_element(self):
        with pytest.raises(InputError, match="the derivative has no 'V'; expected one of 'W', 'b'"):
            tree()["V"]
        with pytest.raises(InputError, match="it is one number there"):
            Derivative(1.0, 0.0)[0]
        with pytest.raises(IndexError):
            matrix()[3]


class TestRequire:
    @pytest.mark.parametrize("status", Status)
    def test_number(self, status):
        d = Derivative(2.0, 1e-9, status=status)
        assert d.passes == status.passes
        if status.passes:
            assert d.require() is d
        else:
            with pytest.raises(NotConverged, match=status.word):
                d.require()

    def test_message_for_a_number(self):
        note = Note((), Status.KINK, "the slopes differ", -1.0, 1.0)
        with pytest.raises(NotConverged) as caught:
            Derivative(0.0, 1.0, status=Status.KINK, notes=(note,)).require()
        assert str(caught.value).splitlines() == [
            "the derivative 0 ± 1 cannot be trusted: kink",
            "  the slopes differ (left -1, right 1)",
            f"kink: {Status.KINK.value}",
            "d.value, d.error and d.status hold what was found",
        ]

    def test_message_for_a_structure_names_the_worst(self):
        with pytest.raises(NotConverged) as caught:
            tree().require()
        assert str(caught.value).splitlines() == [
            "1 of 7 elements cannot be trusted: 1 kink",
            "  W[2, 1]  0 ± 1  kink  the slopes differ (left -1, right 1)",
            f"kink: {Status.KINK.value}",
            "d.value, d.error and d.status hold what was found",
        ]

    def test_message_is_short_for_many(self):
        error = np.arange(1.0, 1001.0)
        status = np.full(1000, Status.KINK.code)
        status[:10] = Status.UNRESOLVED.code
        with pytest.raises(NotConverged) as caught:
            Derivative(np.ones(1000), error, status=status).require()
        lines = str(caught.value).splitlines()
        assert lines[0] == "1,000 of 1,000 elements cannot be trusted: 990 kink, 10 unresolved"
        assert lines[1] == "  [9]  1 ± 10  unresolved"
        assert lines[6] == "  ... 995 more"
        assert len(lines) == 9

    def test_arrays(self):
        with pytest.raises(NotConverged):
            matrix().require()
        assert matrix()[:2].require().value.shape == (2, 2)
        assert isinstance(NotConverged("x"), ArithmeticError)


class TestPrinted:
    @pytest.mark.parametrize(
        ("value", "error", "text"),
        [
            (2.718281828459045, 3e-14, "2.71828182845905 ± 3e-14"),
            (2.718281828459045, 4.5e-16, "2.718281828459045 ± 5e-16"),
            (-0.8364, 0.002, "-0.836 ± 0.002"),
            (1.0, 1e-9, "1.000000000 ± 1e-9"),
            (1.0, 1.01e-9, "1.000000000 ± 1.1e-9"),
            (1.0, 2.01e-9, "1.000000000 ± 3e-9"),
            (1.0, 9.9e-9, "1.000000000 ± 1e-8"),
            (3.0, 3.0000000000000004e-09, "3.000000000 ± 3e-9"),
            (0.0, 1e-12, "0 ± 1e-12"),
            (-0.0, 0.0, "0 ± 0"),
            (0.1, 0.0, "0.1 ± 0"),
            (3e-13, 1e-12, "3e-13 ± 1e-12"),
            (123456.0, 1000.0, "1.23e5 ± 1e3"),
            (123456.0, 30.0, "1.2346e5 ± 30"),
            (1e-300, 1e-310, "1.0000000000e-300 ± 1e-310"),
            (6.02e23, 1e20, "6.020e23 ± 1e20"),
            (1.5, INF, "1.5 ± inf"),
            (NAN, INF, "nan ± inf"),
            (-INF, INF, "-inf ± inf"),
            (1 + 2j, 1e-3, "(1.000+2.000j) ± 0.001"),
            (1 - 2j, 1e-3, "(1.000-2.000j) ± 0.001"),
        ],
    )
    def test_number(self, value, error, text):
        word = Derivative(value, error).status.word
        assert repr(Derivative(value, error, evaluations=12)) == f"Derivative({text}, {word}, 12 evaluations)"

    @given(st.floats(-1e300, 1e300), st.floats(1e-300, 1e300))
    def test_printed_interval_covers_nearly_the_stated_one(self, value, error):
        shown, bound = repr(Derivative(value, error))[len("Derivative(") :].split(",")[0].split(" ± ")
        assert error * (1 - 1e-9) <= float(bound) <= 2 * error
        # the digits that are left out weigh less than the bound
        assert abs(float(shown) - value) <= error * (1 + 1e-9)

    def test_one_evaluation_and_thousands(self):
        assert repr(Derivative(1.0, 0.0, evaluations=1)) == "Derivative(1.0 ± 0, converged, 1 evaluation)"
        assert repr(Derivative(1.0, 0.0, evaluations=79_520)).endswith("79,520 evaluations)")

    def test_note(self):
        note = Note((), Status.KINK, "the slopes differ", -1.0, 1.0)
        d = Derivative(0.0, 1.0, status=Status.KINK, evaluations=14, notes=(note,))
        assert repr(d) == "Derivative(0 ± 1, kink, 14 evaluations)\n  the slopes differ (left -1, right 1)"

    def test_structure(self):
        assert repr(tree()).splitlines() == [
            "Derivative of 7 elements, W (3, 2), b, 28 evaluations: 5 converged, 1 noisy, 1 kink",
            "  W[0, 0]  1.000000000 ± 1e-9    converged",
            "  W[0, 1]  2.000000000 ± 1e-9    converged",
            "  W[1, 0]  3.000000000 ± 1e-9    converged",
            "  W[1, 1]  4.000000000 ± 1e-9    converged",
            "  W[2, 0]  5.000000000 ± 1e-9    converged",
            "  W[2, 1]  0 ± 1                 kink       the slopes differ (left -1, right 1)",
            "  b        0.5000000000 ± 1e-10  noisy",
        ]

    def test_array(self):
        d = Derivative([1.0], [0.5], notes=(Note(None, Status.NOISY, "a general word"),))
        assert repr(d).splitlines() == [
            "Derivative of 1 element, shape (1,), 0 evaluations: 1 converged",
            "  [0]  1.0 ± 0.5  converged",
            "  noisy, a general word",
        ]

    def test_large(self):
        value = {"W": np.ones((200, 199)), "b": np.ones(200)}
        error = {"W": np.full((200, 199), 1e-9), "b": np.full(200, 1e-9)}
        error["W"][7, 8], error["b"][3] = 0.5, INF
        status = {"W": np.zeros((200, 199), int), "b": np.zeros(200, int)}
        status["W"][7, 8], status["b"][3] = Status.KINK.code, Status.BUDGET_SPENT.code
        assert repr(Derivative(value, error, status=status, evaluations=80_001)).splitlines() == [
            "Derivative of 40,000 elements, W (200, 199), b (200,), 80,001 evaluations: 39,998 converged, 1 kink,",
            "  1 budget spent",
            "  W[0, 0]  1.000000000 ± 1e-9  converged",
            "  W[0, 1]  1.000000000 ± 1e-9  converged",
            "  W[0, 2]  1.000000000 ± 1e-9  converged",
            "  W[0, 3]  1.000000000 ± 1e-9  converged",
            "  W[0, 4]  1.000000000 ± 1e-9  converged",
            "  W[0, 5]  1.000000000 ± 1e-9  converged",
            "  ... 39,994 more; the worst:",
            "  b[3]     1 ± inf             budget spent",
            "  W[7, 8]  1.0 ± 0.5           kink",
            "  W[0, 0]  1.000000000 ± 1e-9  converged",
            "  W[0, 1]  1.000000000 ± 1e-9  converged",
            "  W[0, 2]  1.000000000 ± 1e-9  converged",
            "  W[0, 3]  1.000000000 ± 1e-9  converged",
        ]

    @pytest.mark.parametrize("leaves", [1, 40, 2000])
    def test_one_screen_always(self, leaves):
        statuses = np.resize([status.code for status in Status], 20)
        value = {f"{'long' * 30} {i}": np.full((4, 5), -1.23456e-300) for i in range(leaves)}
        errors = {key: np.full((4, 5), 1e-310) for key in value}
        notes = tuple(Note((key, 0, 1), Status.NOISY, "many\nlines " * 50) for key in list(value)[:300]) + tuple(
            Note(None, Status.NOISY, "word " * 50) for _ in range(50)
        )
        d = Derivative(value, errors, status=dict.fromkeys(value, statuses.reshape(4, 5)), notes=notes)
        lines = repr(d).splitlines()
        assert len(lines) <= 25
        assert max(map(len, lines)) <= 100
        number = Derivative(1.0, 1.0, notes=tuple(Note((), Status.NOISY, "word " * 50) for _ in range(50)))
        assert len(repr(number).splitlines()) == 4

    def test_a_long_head_is_cut(self):
        value = {f"{'long' * 10}{i}": np.ones((1,) * 32) for i in range(4)}
        lines = repr(Derivative(value, value)).splitlines()
        assert len(lines) == 8
        assert lines[3].endswith(" ...")
        assert max(map(len, lines)) <= 100


class TestToDict:
    def test_number(self):
        note = Note((), Status.KINK, "hm", -1.0, INF, x=np.array([0.5]))
        d = Derivative(NAN, INF, status=Status.JUMP, step=1e-3, evaluations=3, fx=2.0, notes=(note,))
        assert d.to_dict() == {
            "value": "nan",
            "error": "inf",
            "truncation": 0.0,
            "rounding": "inf",
            "status": "jump",
            "step": 1e-3,
            "evaluations": 3,
            "noise": None,
            "fx": 2.0,
            "gradient": None,
            "notes": [{"element": [], "status": "kink", "message": "hm", "left": -1.0, "right": "inf", "x": [0.5]}],
        }

    @pytest.mark.parametrize("d", [matrix(), tree(), Derivative([[1 + 2j]], [[0.5]]), Derivative([NAN], [INF])])
    def test_survives_json(self, d):
        whole = dataclasses.replace(d, gradient=matrix())
        given = whole.to_dict()
        assert json.loads(json.dumps(given, allow_nan=False)) == given
        assert given["gradient"]["status"][2] == ["converged", "kink"]

    def test_arrays_and_structures(self):
        given = tree().to_dict()
        assert given["value"] == {"W": [[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]], "b": 0.5}
        assert given["status"]["b"] == "noisy"
        assert Derivative(1 - 2j, 0.5).to_dict()["value"] == {"real": 1.0, "imag": -2.0}
        assert Derivative(np.longdouble(0.5), np.longdouble(0)).to_dict()["value"] == 0.5
        assert Derivative([-INF], [INF]).to_dict()["value"] == ["-inf"]


class TestFrozen:
    def test_fields_cannot_be_set(self):
        d = matrix()
        with pytest.raises(dataclasses.FrozenInstanceError):
            d.value = 1.0

    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    @pytest.mark.parametrize("make", [matrix, tree, lambda: Derivative(2.0, 1e-9)])
    def test_pickles(self, make, protocol):
        d = make()
        again = pickle.loads(pickle.dumps(d, protocol))
        assert repr(again) == repr(d)
        assert again.to_dict() == d.to_dict()

    def test_copies(self):
        d = matrix()
        deep = copy.deepcopy(d)
        assert deep.to_dict() == d.to_dict()
        assert not np.shares_memory(deep.value, d.value)
        assert copy.copy(d).value is d.value


class TestSparse:
    @pytest.fixture
    def d(self):
        sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
        value = sparse.csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
        value.data[1] = 0.0  # an entry of the pattern that happens to be zero
        error = value.copy()
        error.data = np.array([1e-9, 2e-9, 0.5])
        status = value.astype(np.int64)
        status.data = np.array([0, 1, 4])
        note = Note((1, 1), Status.KINK, "the slopes differ")
        return Derivative(value, error, status=status, evaluations=6, notes=(note,))

    def test_printed(self, d):
        assert repr(d).splitlines() == [
            "Derivative of 3 elements, sparse, shape (2, 3), 6 evaluations: 1 converged, 1 noisy, 1 kink",
            "  [0, 0]  1.000000000 ± 1e-9  converged",
            "  [0, 2]  0 ± 2e-9            noisy",
            "  [1, 1]  3.0 ± 0.5           kink       the slopes differ",
        ]

    def test_defaults_keep_the_pattern(self, d):
        d = Derivative(d.value, d.error)
        assert (d.status.nnz, d.truncation.nnz) == (3, 3)
        assert d.passes
        np.testing.assert_array_equal(d.error.data, [1e-9, 2e-9, 0.5])

    def test_arithmetic(self, d):
        np.testing.assert_array_equal((2.0 * d).toarray(), [[2.0, 0.0, 0.0], [0.0, 6.0, 0.0]])
        np.testing.assert_array_equal(d @ np.ones(3), [1.0, 3.0])
        with pytest.raises(TypeError, match=r"sparse matrix: use d\.value"):
            np.ones((2, 3)) - d
        with pytest.raises(TypeError, match=r"d\.value\.toarray"):
            np.asarray(d)

    def test_element_and_json_and_require(self, d):
        assert (d[1, 1].value, d[1, 1].status, d[1, 1].notes[0].element) == (3.0, Status.KINK, ())
        assert d.to_dict()["value"] == {
            "shape": [2, 3], "row": [0, 0, 1], "column": [0, 2, 1], "data": [1.0, 0.0, 3.0],
        }  # fmt: skip
        with pytest.raises(NotConverged, match=r"\[1, 1\]  3.0 ± 0.5  kink"):
            d.require()

    def test_rows(self, d):
        assert len(d) == 2
        assert [row.value.nnz for row in d] == [2, 1]

    def test_a_note_about_what_is_not_stored_does_not_pass(self, d):
        told = Note(None, Status.UNRESOLVED, "the pattern misses entries")
        doubted = Derivative(d.value, d.error, notes=(told,))
        assert not doubted.passes
        with pytest.raises(NotConverged, match=r"(?m)0 of 3 elements cannot be trusted$\n  unresolved, the pattern"):
            doubted.require()
        assert Derivative(d.value, d.error, notes=(Note(None, Status.CONVERGED, "entries were added"),)).passes


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1e300), st.floats(0, 1e300))
def test_error_is_truncation_plus_rounding(value, truncation, rounding):
    d = Derivative(value, truncation + rounding, truncation, rounding)
    array = Derivative(*(np.array([field]) for field in (value, truncation + rounding, truncation, rounding)))
    assert d.error == d.truncation + d.rounding
    assert array[0].to_dict() == d.to_dict()
