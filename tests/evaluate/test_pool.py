"""Processes of our own: real ones, that are killed, crash, hang, fork, print and run out of memory."""

import gc
import json
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import crews
from crews import alive, drained, gone, note, noted, values

from mibun.errors import InputError, MissingDependency, WorkerError
from mibun.evaluate.pool import Pool
from mibun.evaluate.shipping import Shipped

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, forks and limits of POSIX")


@pytest.fixture(scope="module")
def shared():
    """A pool for the tests that do not look at its processes."""
    pool = Pool(2)
    yield pool
    pool.close()


@pytest.fixture
def pool():
    pool = Pool(2)
    yield pool
    pool.close()


def pids(pool: Pool) -> list[int]:
    return [process.popen.pid for process in pool._processes]


# --- what travels ---------------------------------------------------------------------------------------------------


POINTS = {
    "number": 1.5,
    "complex": 2 - 3j,
    "array": np.arange(6.0).reshape(2, 3),
    "float32": np.float32(0.1),
    "dict": {"W": np.eye(2), "b": [np.zeros(3)]},
    "tuple": (np.ones(1), 2),
    "no axis": np.array(3.0),
    "empty": np.empty((2, 0)),
    "view": np.eye(3)[::2],
    "columns first": np.ones((2, 3), order="F"),
    "complex array": np.arange(3) + 1j,
    "longdouble": np.longdouble(1) / 3,
    "big-endian": np.arange(3, dtype=">i2"),
    "bool": np.array([True, False]),
    "objects": np.array([1, "a"], object),
    "date": np.datetime64("2024-05-06"),
    "record": np.zeros(2, [("a", "f8"), ("b", "i4")]),
}


@pytest.mark.parametrize("x", POINTS.values(), ids=POINTS)
def test_points_arrive_as_they_are(shared: Pool, x: Any) -> None:
    outcome, named = drained(shared, lambda x: x, [x])[0], drained(shared, type, [x])[0]
    assert (outcome.status, named.value) == ("ok", type(x))
    assert type(outcome.value) is type(x)
    np.testing.assert_equal(outcome.value, x)
    if isinstance(x, np.ndarray | np.generic):
        assert (outcome.value.dtype, outcome.value.flags.f_contiguous) == (x.dtype, x.flags.f_contiguous)
        assert not isinstance(x, np.ndarray) or (outcome.value.flags.writeable and outcome.value.flags.aligned)
    assert outcome.worker.startswith("process ")
    assert 0 < outcome.seconds < 5
    assert (outcome.kills, outcome.retries, outcome.error, outcome.text) == (0, 0, None, "")


def test_many_points_each_come_once_and_from_two_other_processes(shared: Pool) -> None:
    found = values(drained(shared, lambda x: (x, os.getpid()), list(range(300))))
    assert [x for x, _ in found] == list(range(300))
    assert {pid for _, pid in found} == set(pids(shared))
    assert len(pids(shared)) == 2
    assert os.getpid() not in pids(shared)


def test_large_arrays_travel_both_ways_at_once(shared: Pool) -> None:
    """Longer than any socket takes at once: neither side waits for the other for ever."""
    before = values(drained(shared, lambda x: (time.sleep(0.05), os.getpid())[1], [1.0, 2.0]))
    points = [np.arange(3_000_000.0) + i for i in range(4)]
    for i, value in enumerate(values(drained(shared, lambda x: x + 1, points))):
        np.testing.assert_array_equal(value, points[i] + 1)
    assert sorted(pids(shared)) == sorted(before)


def test_f_may_write_to_its_point(shared: Pool) -> None:
    def f(x: Any) -> Any:
        x += 1
        return x

    point = np.zeros(3)
    assert values(drained(shared, f, [point]))[0].tolist() == [1, 1, 1]
    assert not point.any()


def test_functions_of_modules_on_the_path_of_the_parent(shared: Pool) -> None:
    assert values(drained(shared, crews.alive, [os.getpid(), 2**22 + 1])) == [True, False]


def test_folder_and_path_are_those_of_the_call(shared: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drained(shared, abs, [1.0, 2.0])
    (tmp_path / "newly_made.py").write_text("def f(x):\n    return 10 * x\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import newly_made

    assert values(drained(shared, newly_made.f, [1.0, 2.0])) == [10, 20]


def test_the_same_f_goes_where_the_parent_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(1)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert values(drained(pool, os.path.abspath, ["."])) == [str(tmp_path / name)]
    pool.close()


def test_what_f_refers_to_is_as_it_is_at_the_call(shared: Pool) -> None:
    scale = 2.0

    def f(x: float) -> float:
        return scale * x

    assert values(drained(shared, f, [1.0, 1.0])) == [2.0, 2.0]
    scale = 3.0
    assert values(drained(shared, f, [1.0, 1.0])) == [3.0, 3.0]


def test_the_same_f_is_loaded_once_in_a_process() -> None:
    pool, loads = Pool(1), []

    class Slow:
        def __setstate__(self, state: Any) -> None:
            self.loaded = time.perf_counter()

        def __getstate__(self) -> dict[str, Any]:
            return {"a": 1}

        def __call__(self, x: float) -> float:
            return self.loaded

    f = Slow()
    for _ in range(2):
        loads += values(drained(pool, Shipped(f), [1.0, 2.0]))
    assert len(set(loads)) == 1
    pool.close()


# --- exceptions -----------------------------------------------------------------------------------------------------


def test_an_exception_arrives_with_its_remote_traceback(shared: Pool) -> None:
    def deeper(x: float) -> float:
        return {}[x]

    [outcome] = drained(shared, lambda x: deeper(x), [3.5])
    assert (outcome.status, type(outcome.error), outcome.error.args) == ("raised", KeyError, (3.5,))
    assert outcome.text == "KeyError: 3.5"
    [text] = outcome.error.__notes__
    assert "in deeper" in text
    assert "Traceback" in text
    assert "shipping.py" not in text


def test_exceptions_of_local_classes_are_those_of_the_parent(shared: Pool) -> None:
    class Own(ArithmeticError):
        pass

    def f(x: float) -> float:
        raise Own("here", x)

    [outcome] = drained(shared, f, [1.0])
    assert type(outcome.error) is Own
    assert outcome.error.args == ("here", 1.0)


def test_exceptions_that_cannot_be_rebuilt_keep_their_kind(shared: Pool) -> None:
    def f(x: float) -> float:
        if x == 1:
            raise crews.TwoArguments(1, 2)
        lock = threading.Lock()
        error = OverflowError("with a lock")
        error.lock = lock
        raise error

    own, locked = drained(shared, f, [1.0, 2.0])
    assert type(own.error) is ValueError
    assert str(own.error) == "TwoArguments: 1 and 2"
    assert type(locked.error) is OverflowError
    assert "Traceback" in locked.error.__notes__[0]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_would_end_a_program_is_an_outcome(shared: Pool, kind: type[BaseException]) -> None:
    def f(x: float) -> float:
        if x == 1:
            raise kind(3)
        return x

    ended, other = drained(shared, f, [1.0, 2.0])
    assert (ended.status, type(ended.error), ended.error.args) == ("raised", kind, (3,))
    assert other.value == 2.0


@pytest.mark.parametrize("make", [threading.Lock, lambda: (i for i in "ab"), crews.Unreadable])
def test_values_that_cannot_be_sent_are_a_type_error(shared: Pool, make: Any) -> None:
    bad, good = drained(shared, lambda x: make() if x else x, [1.0, 0.0])
    assert (bad.status, type(bad.error)) == ("raised", TypeError)
    assert "cannot be" in str(bad.error)
    assert good.value == 0.0


def test_an_f_that_cannot_be_sent_is_refused_and_the_pool_goes_on(shared: Pool) -> None:
    lock = threading.Lock()
    with pytest.raises(InputError, match=r"cannot pickle '_thread.lock' object.*make inside of f.*ThreadPoolExecutor"):
        drained(shared, lambda x: (lock, x), [1.0])
    assert shared.arrived(1.0) == []
    assert values(drained(shared, abs, [-1.0])) == [1.0]


def test_an_f_that_cannot_be_loaded_is_refused_and_the_pool_goes_on(shared: Pool) -> None:
    def f(x: float) -> float:
        return x

    module = type(sys)("json.nowhere_to_be_found")
    f.__module__, f.__qualname__, module.f = module.__name__, "f", f
    sys.modules[module.__name__] = module
    try:
        with pytest.raises(InputError, match=r"a worker cannot load f: ModuleNotFoundError.*nowhere_to_be_found"):
            drained(shared, f, [1.0, 2.0, 3.0])
    finally:
        del sys.modules[module.__name__]
    assert shared.arrived(1.0) == []
    assert values(drained(shared, abs, [-1.0, -2.0])) == [1.0, 2.0]


def test_a_module_that_a_test_runner_has_made_is_copied(shared: Pool) -> None:
    module = type(sys)("made_in_memory")
    exec("import math\ndef inner(x): return math.exp(x)\ndef f(x): return inner(x)", module.__dict__)
    sys.modules[module.__name__] = module
    try:
        assert values(drained(shared, module.f, [0.0, 0.0])) == [1.0, 1.0]
        assert values(drained(shared, partial(module.f), [0.0])) == [1.0]
    finally:
        del sys.modules[module.__name__]


def test_without_cloudpickle_there_is_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(MissingDependency, match=r"pip install 'mibun\[parallel\]'"):
        drained(Pool(1), abs, [1.0])


def test_numpy_says_nothing_in_a_worker(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    assert values(drained(pool, lambda x: np.log(x[0]), [np.zeros(1)])) == [-np.inf]
    pool.close()
    assert capfd.readouterr().err == ""


# --- retries and timeouts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "calls"), [(KeyError, 3), (OSError, 3), (ValueError, 1), (ZeroDivisionError, 1)])
def test_retries_are_for_exceptions_that_mean_no_domain(tmp_path: Path, kind: type[Exception], calls: int) -> None:
    file, pool = tmp_path / "calls", Pool(1, retries=2)

    def f(x: float) -> float:
        note(file, "call")
        raise kind("again")

    [outcome] = drained(pool, f, [1.0])
    pool.close()
    assert (outcome.status, type(outcome.error), outcome.retries) == ("raised", kind, calls - 1)
    assert len(noted(file)) == calls


def test_a_retry_that_succeeds(tmp_path: Path) -> None:
    file, pool = tmp_path / "calls", Pool(1, retries=5)

    def f(x: float) -> float:
        note(file, "call")
        if len(noted(file)) < 3:
            raise RuntimeError("not yet")
        return x

    [outcome] = drained(pool, f, [4.0])
    pool.close()
    assert (outcome.status, outcome.value, outcome.retries, outcome.error) == ("ok", 4.0, 2, None)


def test_a_timeout_costs_the_worker_and_what_it_started(tmp_path: Path) -> None:
    file, pool = tmp_path / "pids", Pool(2, timeout=0.5)

    def f(x: float) -> float:
        if x == 1:
            note(file, os.getpid())
            note(file, subprocess.Popen(["sleep", "60"]).pid)
            time.sleep(60)
        return x

    before = time.monotonic()
    outcomes = drained(pool, f, [float(i) for i in range(8)], seconds=10)
    assert time.monotonic() - before < 5
    late = outcomes.pop(1)
    assert (late.status, late.text, late.seconds, late.kills) == ("timeout", "not done after 0.5 s", 0.5, 0)
    assert values(outcomes) == [0, 2, 3, 4, 5, 6, 7]
    assert all(gone(int(pid)) for pid in noted(file))
    assert len(noted(file)) == 2  # the point was not sent again
    pool.close()


def test_a_parent_that_is_busy_itself_makes_nobody_late() -> None:
    pool = Pool(1, timeout=0.3)
    drained(pool, abs, [1.0])
    pool.submit(0, Shipped(abs), -2.0)
    time.sleep(1.0)
    assert [outcome.value for _, outcome in pool.arrived()] == [2.0]
    pool.close()


def test_the_time_that_f_takes_to_load_is_not_that_of_a_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_module.py").write_text("import time\ntime.sleep(SLOW)\ndef f(x):\n    return x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import builtins

    monkeypatch.setattr(builtins, "SLOW", 0.0, raising=False)
    import slow_module

    text = (tmp_path / "slow_module.py").read_text()
    (tmp_path / "slow_module.py").write_text(text.replace("SLOW", "1.0"))
    pool = Pool(1, timeout=0.4)
    assert values(drained(pool, slow_module.f, [1.0])) == [1.0]
    pool.close()


def test_arrived_waits_no_longer_than_it_is_told(shared: Pool) -> None:
    drained(shared, abs, [1.0])
    shared.submit(0, Shipped(lambda x: time.sleep(x)), 0.5)
    for seconds in (0.0, 0.1):
        before = time.monotonic()
        assert shared.arrived(seconds) == []
        assert time.monotonic() - before < seconds + 0.1
    assert [outcome.status for _, outcome in shared.arrived(None)] == ["ok"]
    assert shared.arrived(None) == []


# --- workers that die -----------------------------------------------------------------------------------------------


def crash() -> None:
    import ctypes
    import faulthandler

    faulthandler.disable()
    ctypes.string_at(0)


DEATHS = {
    "exit code 7": lambda: os._exit(7),
    "exit code 0": lambda: os._exit(0),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "SIGSEGV": crash,
    "SIGABRT": lambda: (__import__("faulthandler").disable(), os.abort()),
}


@pytest.mark.parametrize("how", DEATHS)
def test_a_point_that_kills_twice_is_given_up_and_the_others_go_on(pool: Pool, tmp_path: Path, how: str) -> None:
    file, die = tmp_path / "calls", DEATHS[how]

    def f(x: float) -> float:
        note(file, x)
        if x == 3:
            die()
        return 2 * x

    outcomes = drained(pool, f, [float(i) for i in range(10)])
    killed = outcomes.pop(3)
    assert (killed.status, killed.kills, killed.value, killed.error) == ("killed", 2, None, None)
    assert how in killed.text, killed.text
    assert values(outcomes) == [2 * i for i in range(10) if i != 3]
    assert not any(outcome.kills for outcome in outcomes)
    assert sorted(noted(file)) == sorted(["3.0", *(str(float(i)) for i in range(10))])


def test_a_point_that_kills_once_is_evaluated_after_all(pool: Pool, tmp_path: Path) -> None:
    file = tmp_path / "calls"

    def f(x: float) -> float:
        note(file, "call")
        if len(noted(file)) == 1:
            os._exit(1)
        return x

    [outcome] = drained(pool, f, [5.0])
    assert (outcome.status, outcome.value, outcome.kills) == ("ok", 5.0, 1)


def test_only_points_that_kill_everywhere(pool: Pool) -> None:
    outcomes = drained(pool, lambda x: os._exit(3), [float(i) for i in range(4)])
    assert [(outcome.status, outcome.kills) for outcome in outcomes] == [("killed", 2)] * 4


def test_idle_workers_that_are_killed_are_replaced_without_blame(pool: Pool) -> None:
    drained(pool, lambda x: time.sleep(0.05), [1.0, 2.0])
    for pid in pids(pool):
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    outcomes = drained(pool, abs, [float(i) for i in range(6)])
    assert values(outcomes) == list(range(6))
    assert sum(outcome.kills for outcome in outcomes) <= 2  # a kill is seen when the next point is sent, or later


def test_random_kills_repeat_nothing_that_was_finished(tmp_path: Path) -> None:
    """A killer that knows nothing of the points: each is evaluated once and once more for each worker that it lost."""
    pool, file, rng, done = Pool(2), tmp_path / "calls", random.Random(20240607), threading.Event()

    def f(x: float) -> float:
        note(file, x)
        time.sleep(0.004)
        return x * x

    def killer() -> None:
        while not done.wait(rng.uniform(0.05, 0.25)):
            # some while they start, but not all: ten of those in succession are an error
            found = [process for process in list(pool._processes) if process.ready or rng.random() < 0.2]
            if found:
                rng.choice(found).popen.kill()

    thread = threading.Thread(target=killer)
    drained(pool, f, [0.0, 0.0])
    file.unlink()
    thread.start()
    try:
        outcomes = drained(pool, f, [float(i) for i in range(400)], seconds=180)
    finally:
        done.set()
        thread.join()
    pool.close()
    calls = noted(file)
    assert sum(outcome.kills for outcome in outcomes) > 3
    for i, outcome in enumerate(outcomes):
        assert outcome.status == ("killed" if outcome.kills == 2 else "ok")
        assert outcome.status == "killed" or outcome.value == i * i
        assert calls.count(str(float(i))) <= 1 + outcome.kills


def test_a_worker_that_closes_its_pipe_does_not_hang(pool: Pool) -> None:
    def f(x: float) -> float:
        if x == 1:
            os.closerange(3, 200)
            time.sleep(60)
        return x

    closed, other = drained(pool, f, [1.0, 2.0], seconds=10)
    assert (closed.status, other.value) == ("killed", 2.0)


def test_a_process_that_outlives_its_worker_does_not_hide_the_death(pool: Pool, tmp_path: Path) -> None:
    """It was forked in C, so it holds the pipe: no end of it is ever read."""
    file = tmp_path / "pids"

    def f(x: float) -> float:
        if x == 1:
            import ctypes

            child = ctypes.PyDLL(None).fork()
            if child == 0:
                os.setsid()
                time.sleep(60)
            note(file, child)
            os._exit(5)
        return x

    killed, other = drained(pool, f, [1.0, 2.0], seconds=15)
    for pid in noted(file):
        os.kill(int(pid), signal.SIGKILL)
    assert (killed.status, other.value) == ("killed", 2.0)


@pytest.mark.parametrize("ends", ["_exit", "exit", "returns", "raises", "stays"])
def test_an_f_that_forks(pool: Pool, ends: str) -> None:
    def f(x: float) -> float:
        child = os.fork()
        if child:
            if ends != "stays":
                os.waitpid(child, 0)
            return x
        if ends == "_exit":
            os._exit(0)
        elif ends == "exit":
            sys.exit(0)
        elif ends == "raises":
            raise ValueError("in the copy")
        elif ends == "stays":
            time.sleep(5)
        return -x

    assert values(drained(pool, f, [float(i) for i in range(6)], seconds=20)) == list(range(6))


def test_an_f_that_takes_all_memory(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, hard))
    try:
        pool = Pool(2)

        def f(x: float) -> float:
            taken = []
            while x == 1:
                taken.append(np.empty(1 << 24))
            return x

        greedy, other = drained(pool, f, [1.0, 2.0])
        assert (greedy.status, isinstance(greedy.error, MemoryError)) == ("raised", True), greedy
        assert other.value == 2.0
        pool.close()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


# --- processes ------------------------------------------------------------------------------------------------------


def test_nothing_is_started_before_the_first_point_and_no_more_than_needed() -> None:
    pool = Pool(8)
    assert pids(pool) == []
    drained(pool, abs, [1.0])
    [first] = pids(pool)
    drained(pool, abs, [1.0])
    assert pids(pool) == [first]
    pool.close()
    assert gone(first)


def test_a_closed_pool_can_be_used_again() -> None:
    pool = Pool(1)
    for _ in range(2):
        assert values(drained(pool, abs, [-1.0])) == [1.0]
        pool.close()
        pool.close()


def test_cancel_ends_busy_workers_and_keeps_idle_ones() -> None:
    pool = Pool(2)
    drained(pool, lambda x: time.sleep(0.2), [1.0, 2.0])
    before = pids(pool)
    assert len(before) == 2
    pool.submit(0, Shipped(lambda x: time.sleep(60)), 1.0)
    pool.arrived(0.1)
    pool.cancel()
    assert pool.arrived(1.0) == []
    [kept] = pids(pool)
    assert kept in before
    assert values(drained(pool, lambda x: os.getpid(), [1.0])) == [kept]
    pool.close()


def test_a_pool_that_is_forgotten_ends_its_workers() -> None:
    pool = Pool(1)
    drained(pool, abs, [1.0])
    [pid] = pids(pool)
    del pool
    gc.collect()
    assert gone(pid)


def test_closing_does_not_wait_for_a_busy_worker() -> None:
    pool = Pool(1)
    pool.submit(0, Shipped(lambda x: time.sleep(60)), 1.0)
    pool.arrived(0.5)
    [pid] = pids(pool)
    before = time.monotonic()
    pool.close()
    assert time.monotonic() - before < 2
    assert not alive(pid)


def test_a_worker_outlives_the_thread_that_started_it() -> None:
    pool, found = Pool(1), []
    thread = threading.Thread(target=lambda: found.extend(values(drained(pool, lambda x: os.getpid(), [1.0]))))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert values(drained(pool, lambda x: os.getpid(), [1.0])) == found
    pool.close()


def test_a_fork_of_the_parent_has_workers_of_its_own(pool: Pool) -> None:
    mine = values(drained(pool, lambda x: os.getpid(), [1.0]))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            found = values(drained(pool, lambda x: os.getpid(), [1.0, 2.0]))
            pool.close()
            os.write(writer, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        theirs = json.loads(stream.read())
    os.waitpid(child, 0)
    assert not set(mine) & set(theirs)
    assert values(drained(pool, lambda x: os.getpid(), [1.0])) == mine


def test_ctrl_c_does_not_reach_workers_but_the_programs_that_f_starts(shared: Pool) -> None:
    def f(x: float) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        program = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"
        return subprocess.run([sys.executable, "-c", program], stderr=subprocess.DEVNULL, check=False).returncode

    assert values(drained(shared, f, [1.0])) == [-signal.SIGINT]
    assert os.getpgid(pids(shared)[0]) != os.getpgid(0)


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_workers_end_when_the_parent_is_killed(tmp_path: Path, busy: bool) -> None:
    program = f"""
        import os, time
        from mibun.evaluate.pool import Pool
        from mibun.evaluate.shipping import Shipped
        pool = Pool(1)
        def f(x):
            print(os.getpid(), flush=True)
            time.sleep(x)
        pool.submit(0, Shipped(f), {60.0 if busy else 0.0})
        pool.arrived()
        time.sleep(60)
    """
    run = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
        assert gone(pid)


def test_what_f_prints_goes_where_the_parent_prints(tmp_path: Path) -> None:
    program = """
        import os, sys
        from mibun.evaluate.pool import Pool
        from mibun.evaluate.shipping import Shipped
        pool = Pool(1)
        def f(x):
            print("printed", x)
            print("complained", file=sys.stderr)
            os.system("echo from a program")
            assert sys.stdin.read() == ""
            return x
        def die(x):
            os._exit(1)
        for f in (f, die):
            pool.submit(0, Shipped(f), 1.0)
            [(_, outcome)] = pool.arrived()
            print(outcome.status, flush=True)
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    run = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, env=environment)
    assert sorted(done.stdout.splitlines()) == ["from a program", "killed", "ok", "printed 1.0"]
    assert done.stderr == "complained\n"


def test_workers_share_the_cores_and_have_the_environment_of_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/the/user")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    pool = Pool(4)
    names = ("PYTHONPATH", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "HOME")
    found = values(drained(pool, lambda x: [os.environ.get(name) for name in names], [1.0]))
    assert found == [["/of/the/user", "4", "1", os.environ.get("HOME")]]
    pool.close()
    monkeypatch.delenv("PYTHONPATH")
    assert values(drained(pool, lambda x: os.environ.get("PYTHONPATH"), [1.0])) == [None]
    pool.close()


def test_workers_that_cannot_start_are_an_error_and_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    pool = Pool(2)
    with pytest.raises(WorkerError, match="end before they are ready, the last by exit code 1"):
        drained(pool, abs, [1.0, 2.0, 3.0])
    monkeypatch.setattr(sys, "executable", "/no/python")
    with pytest.raises(WorkerError, match=r"cannot be started: .*/no/python"):
        drained(pool, abs, [1.0])
    monkeypatch.undo()
    assert values(drained(pool, abs, [-1.0])) == [1.0]
    pool.close()


def test_a_worker_imports_next_to_nothing() -> None:
    program = """
        import sys
        before = set(sys.modules)
        import mibun.evaluate.worker
        loaded = set(sys.modules) - before
        print(sorted(name for name in loaded if name.startswith("mibun")))
        print(sorted(loaded & {"numpy", "cloudpickle", "ctypes", "traceback", "selectors", "subprocess", "sqlite3"}))
    """
    run = [sys.executable, "-c", textwrap.dedent(program)]
    ours, others = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    names = (
        "",
        ".errors",
        ".evaluate",
        ".evaluate.messages",
        ".evaluate.outcome",
        ".evaluate.shipping",
        ".evaluate.worker",
    )
    assert ours == str([f"mibun{name}" for name in names])
    assert others == "[]"
