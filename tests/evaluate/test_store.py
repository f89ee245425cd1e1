"""What a store keeps, what it replays and what it tries again."""

import functools
import json
import math
import os
import sqlite3
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mibun.derivatives as mb
from mibun.errors import FormatError, InputError, SourceChanged
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.raised import decode_raised, encode_raised
from mibun.evaluate.source import source_hash
from mibun.evaluate.store import Run, Store
from mibun.formula import formula


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "plant.db", "cost-v3") as opened:
        yield opened


def ok(*values: Any) -> list[Outcome]:
    return [Outcome("ok", value) for value in values]


def replayed(run: Run, *points: Any) -> list[Any]:
    """Values, or exceptions, or None."""
    found = run.lookup(run.keys(points))
    return [None if outcome is None else outcome.error or outcome.value for outcome in found]


def test_values_come_back_in_another_process_of_work_too(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db", "f") as store:
        run = store.run()
        run.record(run.keys([1.0, 2.0]), ok(10.0, 20.0))
    with Store(str(tmp_path / "a.db"), "f") as store:
        assert replayed(store.run(), 2.0, 3.0, 1.0) == [20.0, None, 10.0]


def test_names_do_not_see_each_other(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db", "f") as one, Store(tmp_path / "a.db", "g") as other:
        one.run().record(one.run().keys([1.0]), ok(10.0))
        other.run().record(other.run().keys([1.0]), ok(11.0))
        assert replayed(one.run(), 1.0) == [10.0]
        assert replayed(other.run(), 1.0) == [11.0]


def test_repeats_in_one_run_are_kept_apart_and_come_in_the_same_order(store: Store) -> None:
    run = store.run()
    assert replayed(run, 1.0) == [None]  # asked for once by now
    second = run.keys([1.0, 2.0, 1.0])
    assert [key.repeat for key in second] == [1, 0, 2]
    run.record(second, ok(11.0, 20.0, 12.0))
    again = store.run()
    assert replayed(again, 1.0, 1.0) == [None, 11.0]
    assert replayed(again, 1.0, 2.0, 1.0) == [12.0, 20.0, None]


def test_points_that_differ_in_a_bit_a_kind_or_a_shape_are_others(store: Store) -> None:
    points = [0.0, -0.0, np.float64(0), np.float32(0), np.zeros(1), np.zeros((1, 1)), {"a": 0.0}, {"b": 0.0}]
    run = store.run()
    assert replayed(run, *points) == [None] * len(points)
    keys = run.keys(points)
    assert len({key.digest for key in keys}) == len(points)
    run = store.run()
    run.record(run.keys(points), ok(*map(float, range(len(points)))))
    assert replayed(store.run(), *points) == list(range(len(points)))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, -0.0, 1.5, 2.5]), st.floats(), st.sampled_from(["ok", "killed", "timeout"])),
        max_size=20,
    )
)
def test_a_store_is_a_dict_of_lists(tmp_path_factory: pytest.TempPathFactory, asked: list[Any]) -> None:
    with Store(tmp_path_factory.mktemp("store") / "a.db", "f") as store:
        run, expected = store.run(), []
        for x, value, status in asked:
            run.record(run.keys([x]), [Outcome(status, value if status == "ok" else None)])
            expected.append(value if status == "ok" else None)
        found = replayed(store.run(), *(x for x, *_ in asked))
        assert list(map(repr, found)) == list(map(repr, expected))


def test_what_is_no_answer_is_tried_again_and_replaced(store: Store) -> None:
    points = [1.0, 2.0, 3.0, 4.0, 5.0]
    failures = [
        Outcome("killed", text="exit code -11", worker="3"),
        Outcome("timeout", text="60 s"),
        Outcome("raised", error=KeyError("x")),
        Outcome("raised", error=None, text="Boom"),
    ]
    run = store.run()
    run.record(run.keys(points), [*failures, *ok(math.inf)])
    again = store.run()
    keys = again.keys(points)
    assert [outcome is None for outcome in again.lookup(keys)] == [True] * 4 + [False]
    connection = sqlite3.connect(store.path)
    told = connection.execute("SELECT status, error FROM evaluations").fetchall()
    assert told == [
        ("killed", "exit code -11"),
        ("timeout", "60 s"),
        ("raised", "KeyError: 'x'"),
        ("raised", "Boom"),
        ("not finite", ""),
    ]
    again.record(keys[:4], [Outcome("killed", text="exit code -9"), *ok(20.0, 30.0, 40.0)])
    assert replayed(store.run(), *points) == [None, 20.0, 30.0, 40.0, math.inf]
    assert connection.execute("SELECT error FROM evaluations WHERE status = 'killed'").fetchall() == [("exit code -9",)]
    connection.close()


def test_an_answer_stays_and_is_what_the_slower_one_uses(store: Store) -> None:
    one, other = store.run(), store.run()
    keys, same = one.keys([1.0, 2.0]), other.keys([1.0, 2.0])
    assert one.lookup(keys) == other.lookup(same) == [None, None]
    assert [outcome.value for outcome in one.record(keys[:1], ok(10.0))] == [10.0]
    used = other.record(same, ok(11.0, 21.0))
    assert [outcome.value for outcome in used] == [10.0, 21.0]
    assert [outcome.value for outcome in other.record(same, [Outcome("killed")] * 2)] == [10.0, 21.0]
    assert replayed(store.run(), 1.0, 2.0) == [10.0, 21.0]


def test_seconds_and_worker_are_kept(store: Store) -> None:
    run = store.run()
    run.record(run.keys([1.0]), [Outcome("ok", 2.0, seconds=4.5, worker="w3")])
    (found,) = store.run().lookup(store.run().keys([1.0]))
    assert found == Outcome("ok", 2.0, seconds=4.5, worker="w3")


def test_a_value_that_cannot_be_kept_is_refused_and_the_others_are_kept(store: Store) -> None:
    run = store.run()
    with pytest.raises(InputError, match=r"f\(x\) is None"):
        run.record(run.keys([1.0, 2.0, 3.0]), ok(10.0, None, 30.0))
    assert replayed(store.run(), 1.0, 2.0, 3.0) == [10.0, None, 30.0]


def test_the_value_of_a_derivative_is_kept(store: Store) -> None:
    run = store.run()
    d = mb.derivative(math.sin, 1.0)
    run.record(run.keys([1.0]), ok(d))
    assert replayed(store.run(), 1.0) == [d.value]


def test_all_of_a_group_is_written_or_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.run()
    count = [0]

    def interrupted() -> float:
        count[0] += 1
        if count[0] == 3:
            raise KeyboardInterrupt
        return 0.0

    monkeypatch.setattr("mibun.evaluate.rows.time.time", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.record(run.keys([1.0, 2.0, 3.0]), ok(10.0, 20.0, 30.0))
    monkeypatch.undo()
    assert replayed(store.run(), 1.0, 2.0, 3.0) == [None] * 3
    run = store.run()
    run.record(run.keys([1.0]), ok(10.0))  # headers that were taken back are written anew
    assert replayed(store.run(), 1.0) == [10.0]


# A vectorized f.


def test_rows_of_a_stack_are_those_of_single_points(store: Store) -> None:
    stack = np.arange(6.0).reshape(3, 2)
    run = store.run()
    assert run.record_stack(run.keys_of_stack(stack, 3), Outcome("ok", stack.sum(axis=1), seconds=3.0)) == {}
    found = store.run().lookup(store.run().keys(stack))
    assert [outcome and (outcome.value, outcome.seconds) for outcome in found] == [(1.0, 1.0), (5.0, 1.0), (9.0, 1.0)]
    assert replayed(store.run(), np.array([2.0, 3.0])) == [5.0]


def test_rows_of_a_stack_that_stand_already_stay(store: Store) -> None:
    run = store.run()
    run.record(run.keys([np.array([2.0, 3.0])]), ok(-5.0))
    stack = np.arange(6.0).reshape(3, 2)
    run = store.run()
    stood = run.record_stack(run.keys_of_stack(stack, 3), Outcome("ok", {"s": stack.sum(axis=1), "x": stack}))
    assert {row: outcome.value for row, outcome in stood.items()} == {1: -5.0}
    (first,) = replayed(store.run(), np.array([0.0, 1.0]))
    assert first["s"] == 1.0
    assert first["x"].tolist() == [0.0, 1.0]


def test_rows_of_a_stack_that_are_equal_are_repeats(store: Store) -> None:
    run = store.run()
    assert [key.repeat for key in run.keys_of_stack(np.array([1.0, 2.0, 1.0]), 3)] == [0, 0, 1]


# Exceptions.


class NoSteadyState(ValueError):
    """An exception of a user."""


class Talkative(ArithmeticError):
    """One that makes its text itself."""

    def __init__(self, place: str, level: float) -> None:
        super().__init__(place)
        self.level = level

    def __str__(self) -> str:
        return f"{self.args[0]} at {self.level}"


class Dangerous(ValueError):
    """One that does something when it is made."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        Path(text).write_text("made")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no steady state"),
        ValueError(),
        ValueError("a", 1, None),
        ZeroDivisionError("division by zero"),
        OverflowError(34, "Numerical result out of range"),
        FloatingPointError("x"),
        np.linalg.LinAlgError("Singular matrix"),
        NoSteadyState("at 3"),
        ValueError("half a letter \udc80, ± 미분"),
    ],
    ids=repr,
)
def test_domain_exceptions_are_raised_again_equal(store: Store, error: Exception) -> None:
    run = store.run()
    run.record(run.keys([1.0]), [Outcome("raised", error=error)])
    (back,) = replayed(store.run(), 1.0)
    assert type(back) is type(error) or "\udc80" in str(error)
    assert str(back).encode(errors="backslashreplace") == str(error).encode(errors="backslashreplace")
    assert back.args == error.args or "\udc80" in str(error)
    assert "f did not raise this now" in back.__notes__[0]
    assert "plant.db" in back.__notes__[0]


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (Talkative("valve 3", 0.5), ArithmeticError),
        (ValueError(np.ones(2)), ValueError),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), ValueError),
        (json.JSONDecodeError("Expecting value", "x", 0), ValueError),
    ],
    ids=repr,
)
def test_where_the_class_does_not_do_one_of_its_name_stands_for_it(error: Exception, base: type[Exception]) -> None:
    back = decode_raised(*encode_raised(error), str(error))
    assert isinstance(back, base)
    assert (type(back).__name__, str(back)) == (type(error).__name__, str(error))


def test_a_class_that_is_not_loaded_is_not_imported_and_none_is_run(tmp_path: Path) -> None:
    target = tmp_path / "made"
    header, data = encode_raised(ValueError("x"))
    gone = decode_raised(header.replace("builtins", "antigravity"), data, "x")
    assert (type(gone).__module__, type(gone).__name__, str(gone)) == ("antigravity", "ValueError", "x")
    assert isinstance(gone, ValueError)
    mine = header.replace('"builtins", "ValueError"', f'"{__name__}", "Dangerous"')
    back = decode_raised(mine, json.dumps([str(target)]).encode(), str(target))
    assert type(back) is Dangerous
    assert not target.exists()
    # classes that are no domain exceptions, and other things of a module
    for name in ("SystemExit", "print", "KeyError"):
        back = decode_raised(header.replace('"ValueError", "ValueError"', f'"{name}", "ValueError"'), data, "x")
        assert isinstance(back, ValueError)


@pytest.mark.parametrize("header", ["", "null", "[]", '["raised","m","n","SystemExit"]', '["raised",1,2,3]'])
def test_what_is_no_exception_is_refused(header: str) -> None:
    with pytest.raises(FormatError):
        decode_raised(header, b"[]", "")


# The source of f.


def one(x: float) -> float:
    return x + 1


def other(x: float) -> float:
    return x + 2


def recorded(store: Store, f: Any, x: float = 1.0) -> None:
    run = store.run(f)
    run.record(run.keys([x]), ok(2.0))


def test_another_source_is_warned_of_once_with_both_hashes(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with Store(path, "f") as store:
        recorded(store, one)
        recorded(store, one)
    with Store(path, "f") as store, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recorded(store, other)
        recorded(store, other, 2.0)
        assert replayed(store.run(other), 1.0) == [2.0]  # nothing is wiped
    (warning,) = caught
    assert warning.category is SourceChanged
    assert str(source_hash(one)) in str(warning.message)
    assert str(source_hash(other)) in str(warning.message)
    assert warning.filename == __file__
    with Store(path, "g") as store:
        recorded(store, other)


def test_a_source_that_gave_no_answer_does_not_count(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db", "f") as store:
        run = store.run(one)
        run.record(run.keys([1.0]), [Outcome("raised", error=NameError("typo"))])
        recorded(store, other)


def test_functions_without_a_source_are_not_warned_of(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db", "f") as store:
        recorded(store, one)
        for f in (math.sin, np.sin, eval("lambda x: x"), None):
            recorded(store, f, 3.0)


class Model:
    """A function that is an object."""

    def __call__(self, x: float) -> float:
        return x


def test_the_source_is_that_of_the_function() -> None:
    assert source_hash(functools.partial(one)) == source_hash(one) != source_hash(other)
    assert source_hash(Model()) == source_hash(Model) is not None
    assert source_hash(functools.lru_cache(one)) == source_hash(one)
    assert source_hash(formula("x + 1")) != source_hash(formula("x + 2"))

    def inner(x: float) -> float:
        return x

    text = "    def inner(x: float) -> float:\n        return x\n"  # as it stands above
    assert source_hash(inner) == source_hash(_read(text))


def _read(text: str) -> Any:
    import linecache
    import textwrap

    text = textwrap.dedent(text)
    linecache.cache["<made>"] = (len(text), None, text.splitlines(keepends=True), "<made>")
    space: dict[str, Any] = {}
    exec(compile(text, "<made>", "exec"), space)
    return space["inner"]


# Threads, forks, two stores.


def test_threads_share_a_store(store: Store) -> None:
    def fill(first: int) -> None:
        run = store.run()
        for i in range(first, first + 50):
            run.record(run.keys([float(i)]), ok(i * 2.0))

    threads = [threading.Thread(target=fill, args=(100 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [float(100 * i + j) for i in range(4) for j in range(50)]
    assert replayed(store.run(), *numbers) == [2 * x for x in numbers]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_after_a_fork_uses_a_connection_of_its_own(store: Store) -> None:
    run = store.run()
    run.record(run.keys([0.0]), ok(0.0))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            own = store.run()
            for i in range(1, 50):
                own.record(own.keys([float(i)]), ok(i * 2.0))
            status = 0
        finally:
            os._exit(status)
    for i in range(50, 100):
        run.record(run.keys([float(i)]), ok(i * 2.0))
    assert os.waitpid(child, 0)[1] == 0
    assert replayed(store.run(), *map(float, range(100))) == [2.0 * i for i in range(100)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_no_connection_is_open_in_a_child(store: Store) -> None:
    store.run().lookup([])
    files = [link for link in Path("/proc/self/fd").iterdir() if "plant.db" in str(link.resolve())]
    assert files or not Path("/proc").exists()
    child = os.fork()
    if child == 0:
        inherited = [link for link in Path("/proc/self/fd").iterdir() if "plant.db" in str(link.resolve())]
        os._exit(len(inherited))
    assert os.waitpid(child, 0)[1] == 0
    assert replayed(store.run(), 1.0) == [None]


# A name and a path.


@pytest.mark.parametrize("name", [None, ""])
def test_a_store_without_a_name_is_refused(tmp_path: Path, name: Any) -> None:
    with pytest.raises(InputError, match=r"store='.*a.db' is given without a name; write name='cost-v1'"):
        Store(tmp_path / "a.db", name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [3, b"f", ["f"], "\udc80"])
def test_a_name_that_is_no_text_is_refused(tmp_path: Path, name: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        Store(tmp_path / "a.db", name)


def test_a_store_stays_where_it_is_when_the_process_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with Store("a?b#c%20 미분.db", "비용 함수") as store:
        store.close()
        monkeypatch.chdir(tmp_path / "elsewhere")
        recorded(store, None)
        assert repr(store) == f"Store({str(tmp_path / 'a?b#c%20 미분.db')!r}, '비용 함수')"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a?b#c%20 미분.db"]


def test_nothing_is_pickled_and_no_warning_comes_of_itself(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Store(tmp_path / "a.db", "f") as store:
            recorded(store, one)
    assert b"\x80\x04" not in (tmp_path / "a.db").read_bytes()
