"""The verbs with an evaluator: who evaluates changes nothing but time, and nothing that was evaluated is lost."""

import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mibun as mb
from mibun.errors import InputError, MissingDependency, SourceChanged, WorkerError
from mibun.evaluate import here, progress, session
from mibun.evaluate import vectorized as stacking
from mibun.evaluate.here import Here
from mibun.evaluate.store import Run

X = np.linspace(0.1, 3.0, 6)


def wavy(x):
    return np.sum(np.sin(x) * x[::-1])


def wavy_stack(points):
    return np.sum(np.sin(points) * points[:, ::-1], axis=1)


def several(x):
    return np.cos(x[:3]) * x[3:]


def edged(x):
    """Not defined on one side of some entries."""
    if x[1] > X[1]:
        raise ValueError("too large")
    return math.sqrt(x[0] - 0.1) + wavy(x)


def tree(x):
    return {"a": x["w"].sum() * x["b"], "c": np.tanh(x["w"])}


AT_TREE = {"w": np.array([[0.5, -1.0], [2.0, 0.25]]), "b": 0.75}

CALLS = {
    "derivative": lambda **o: mb.derivative(np.exp, np.array([[0.0, 1.0], [1.0, -2.0]]), **o),
    "number": lambda **o: mb.derivative(math.sin, 0.5, **o),
    "order 3": lambda **o: mb.derivative(np.sin, [0.5, 1.5], order=3, **o),
    "complex x": lambda **o: mb.derivative(np.exp, [0.5 + 1j, 2.0], **o),
    "partial": lambda **o: mb.partial(several, X, 2, **o),
    "mixed": lambda **o: mb.mixed(wavy, X, {0: 1, 5: 2}, **o),
    "directional": lambda **o: mb.directional(several, X, np.ones(6), **o),
    "gradient": lambda **o: mb.gradient(wavy, X, **o),
    "central": lambda **o: mb.gradient(wavy, X, method="central", **o),
    "complex step": lambda **o: mb.gradient(wavy, X, method="complex", **o),
    "bounds": lambda **o: mb.gradient(wavy, X, bounds=(0.1, 3.0), **o),
    "budget": lambda **o: mb.gradient(wavy, X, budget=31, **o),
    "tolerance": lambda **o: mb.gradient(wavy, X, rtol=1e-3, **o),
    "edges": lambda **o: mb.gradient(edged, X, **o),
    "jacobian": lambda **o: mb.jacobian(several, X, **o),
    "structure": lambda **o: mb.jacobian(tree, AT_TREE, **o),
    "vjp": lambda **o: mb.vjp(several, X, [1.0, -2.0, 1e8], **o),
    "hessian": lambda **o: mb.hessian(wavy, X, **o),
    "hessian of a gradient": lambda **o: mb.hessian(None, X, gradient=lambda x: x**3, **o),
}
SPARSE = {
    "sparse jacobian": lambda **o: mb.jacobian(lambda x: x**2 * np.sin(x), X, sparsity="detect", **o),
    "sparse hessian": lambda **o: mb.hessian(lambda x: np.sum(x[1:] * np.sin(x[:-1])), X, sparsity="detect", **o),
    "sparse hessian of a gradient": lambda **o: mb.hessian(None, X, gradient=np.tanh, sparsity=np.eye(6), **o),
}
STACKS = {
    "gradient": lambda **o: mb.gradient(wavy_stack, X, vectorized=True, **o),
    "derivative": lambda **o: mb.derivative(np.exp, np.linspace(0, 1, 7), vectorized=True, **o),
    "hessian": lambda **o: mb.hessian(wavy_stack, X, vectorized=True, **o),
    "vjp": lambda **o: mb.vjp(np.sin, X, [1.0, -2.0, 1e8, 0.0, 3.0, 1.0], vectorized=True, **o),
    "structure": lambda **o: mb.gradient(
        lambda x: (x["w"] ** 2).sum(axis=(1, 2)) * x["b"], AT_TREE, vectorized=True, **o
    ),
}


class Shuffled(Here):
    """A crew that gives its outcomes in any order."""

    size = 5

    def __init__(self, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.kept = []

    def arrived(self, seconds=None):
        self.kept += super().arrived()
        self.random.shuffle(self.kept)
        count = self.random.randint(1, max(1, len(self.kept)))
        given, self.kept = self.kept[:count], self.kept[count:]
        return given

    def cancel(self):
        super().cancel()
        self.kept.clear()


def shuffled(seed, **options):
    evaluator = mb.Evaluator(store=None, retries=1, **options)  # not plain
    evaluator._crew = Shuffled(seed)
    return evaluator


def same(one, other, but=()):
    """Equal to the bit, in every field."""
    first, second = one.to_dict(), other.to_dict()
    for key in but:
        first.pop(key), second.pop(key)
    assert first == second
    return True


@pytest.mark.parametrize("name", CALLS)
def test_the_order_of_arrival_changes_no_bit(name):
    plain = CALLS[name]()
    for seed in range(3):
        assert same(plain, CALLS[name](evaluator=shuffled(seed)))


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_results_do_not_depend_on_the_order_of_arrival(name):
    pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    assert same(SPARSE[name](), SPARSE[name](evaluator=shuffled(0)))


@pytest.mark.parametrize("name", STACKS)
def test_stacks_are_read_in_their_order(name):
    assert same(STACKS[name](), STACKS[name](evaluator=shuffled(0)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.floats(-3, 3), min_size=1, max_size=5), st.floats(0, 1e-3))
def test_rough_functions_too_come_out_the_same(seed, x, size):
    def rough(point):
        return float(np.sum(np.exp(point))) + size * float(np.sin(1e6 * point).sum())

    assert same(mb.gradient(rough, x), mb.gradient(rough, x, evaluator=shuffled(seed)))


@pytest.mark.parametrize("workers", ["processes", "threads", "batch"])
def test_workers_change_no_bit(workers):
    names = ("derivative", "gradient", "edges", "structure", "hessian")
    if workers == "batch":
        for name, f in (("gradient", wavy), ("edges", edged), ("structure", tree), ("hessian", wavy)):
            assert same(CALLS[name](), CALLS[name](workers=lambda points, f=f: [f(point) for point in points]))
        return
    with ThreadPoolExecutor(3) as threads, mb.Evaluator(workers=2 if workers == "processes" else threads) as evaluator:
        for name in names:
            assert same(CALLS[name](), CALLS[name](evaluator=evaluator))
        assert same(STACKS["gradient"](), STACKS["gradient"](evaluator=evaluator))


@pytest.mark.parametrize("name", [*CALLS, *(f"stacks, {name}" for name in STACKS)])
def test_a_second_call_is_read_from_the_store(name, tmp_path):
    call = STACKS[name.removeprefix("stacks, ")] if name.startswith("stacks") else CALLS[name]
    with mb.Evaluator(store=tmp_path / "a.db", name=name, progress=False) as evaluator:
        first = call(evaluator=evaluator)
        calls = evaluator.counts.calls
        assert calls > 0 == evaluator.counts.stored
        # an exception that is read again is equal in type and text
        again = call(evaluator=evaluator)
        assert evaluator.counts.calls == calls
        assert evaluator.counts.stored > 0
    assert same(first, again)
    assert same(first, call())


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_results_are_read_from_the_store(name, tmp_path):
    pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    with mb.Evaluator(store=tmp_path / "a.db", name="f", progress=False) as evaluator:
        first = SPARSE[name](evaluator=evaluator)
        calls = evaluator.counts.calls
        assert same(first, SPARSE[name](evaluator=evaluator))
        assert evaluator.counts.calls == calls > 0


def test_gradient_and_hessian_share_points(tmp_path):
    with mb.Evaluator(store=tmp_path / "a.db", name="f", progress=False) as evaluator:
        first = mb.gradient(wavy, X, evaluator=evaluator)
        before = evaluator.counts.calls
        mb.hessian(wavy, X, evaluator=evaluator)
        assert evaluator.counts.stored == first.evaluations == before


def test_a_noisy_function_is_replayed_with_its_noise(tmp_path):
    """Two elements that ask for the same points, in every order of arrival."""
    rng = np.random.default_rng(0)

    def noisy(x):
        return math.exp(x) + 1e-6 * rng.normal()

    with shuffled(0, name=None) as evaluator:
        evaluator._keeps = tmp_path / "a.db", "noisy"
        first = mb.derivative(noisy, [1.0, 1.0, 2.0], evaluator=evaluator)
    with mb.Evaluator(store=tmp_path / "a.db", name="noisy", progress=False) as evaluator:
        again = mb.derivative(noisy, [1.0, 1.0, 2.0], evaluator=evaluator)
        assert evaluator.counts.calls == 0
    assert same(first, again)
    assert (abs(first.value - np.exp([1.0, 1.0, 2.0])) <= first.error).all()


def crashing(x):
    if x[3] > X[3]:
        os._exit(3)
    return wavy(x)


def crashing_stack(points):
    if (points[:, 3] > X[3]).any():
        os._exit(3)
    return wavy_stack(points)


@pytest.mark.parametrize("f", [crashing, crashing_stack])
def test_a_point_that_kills_fails_its_element_and_no_other(f):
    with mb.Evaluator(workers=2, progress=False) as evaluator:
        d = mb.gradient(f, X, vectorized=f is crashing_stack, evaluator=evaluator)
        assert evaluator.counts.kills >= 2
        assert evaluator.counts.failed >= 1
    (note,) = d.notes
    assert note.element == (3,)
    assert "exit code 3" in note.message
    assert [status.word for status in d.status] == ["converged"] * 3 + ["failed"] + ["converged"] * 2
    good = np.arange(6) != 3
    assert math.isnan(d.value[3])
    assert (d.value[good] == mb.gradient(wavy, X).value[good]).all()
    assert not d.passes


def test_a_hessian_fails_where_its_axis_does():
    d = mb.hessian(crashing, X, evaluator=mb.Evaluator(workers=2))
    assert d.gradient.status[3] is mb.Status.FAILED
    assert all(not d.status[i, 3].passes and not d.status[3, i].passes for i in range(6))
    whole, good = mb.hessian(wavy, X), np.arange(6) != 3
    assert (d.value[np.ix_(good, good)] == whole.value[np.ix_(good, good)]).all()


def test_a_sparse_jacobian_fails_where_its_column_does():
    pytest.importorskip("scipy.sparse", reason="scipy is not installed")

    def crash(x):
        if x[3] > X[3]:
            os._exit(3)
        return np.sin(x)

    d = mb.jacobian(crash, X, sparsity=np.eye(6), workers=2)
    statuses = [d[i, i].status for i in range(6)]
    assert statuses[3] is mb.Status.FAILED
    assert all(status.passes for i, status in enumerate(statuses) if i != 3)


def test_a_timeout_fails_its_element_alone_without_workers():
    def hangs(x):
        if x[2] < X[2]:
            time.sleep(60)
        return wavy(x)

    start = time.monotonic()
    d = mb.gradient(hangs, X, evaluator=mb.Evaluator(timeout=0.5, progress=False))
    assert time.monotonic() - start < 20
    assert [i for i in range(6) if d.status[i] is mb.Status.FAILED] == [2]
    assert "not done after 0.5 s" in d.notes[0].message


class Broken(RuntimeError):
    pass


def broken(x):
    if x[2] < X[2]:
        raise Broken("no licence")
    return wavy(x)


def broken_stack(points):
    if (points[:, 2] < X[2]).any():
        raise Broken("no licence")
    return wavy_stack(points)


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("workers", [None, 2])
def test_an_exception_raises_or_fails_its_element(vectorized, workers):
    f = broken_stack if vectorized else broken
    with mb.Evaluator(workers=workers, retries=1, progress=False) as evaluator:
        with pytest.raises(Broken, match="no licence") as caught:
            mb.gradient(f, X, vectorized=vectorized, evaluator=evaluator)
        assert "near x" in str(caught.value)
        assert evaluator.counts.retries >= 1
        # what is left over from that call does not disturb the next one
        assert same(mb.gradient(wavy, X), mb.gradient(wavy, X, evaluator=evaluator))
    with mb.Evaluator(workers=workers, on_error="status", progress=False) as evaluator:
        d = mb.gradient(f, X, vectorized=vectorized, evaluator=evaluator)
    assert [i for i in range(6) if d.status[i] is mb.Status.FAILED] == [2]
    assert "Broken: no licence" in d.notes[0].message


def test_retries_help_a_function_that_fails_now_and_then(tmp_path):
    def moody(x):
        once = tmp_path / f"{x.tobytes().hex()}"
        if not once.exists():
            once.write_text("")
            raise Broken("again, please")
        return wavy(x)

    with mb.Evaluator(retries=1, progress=False) as evaluator:
        assert same(mb.gradient(wavy, X), mb.gradient(moody, X, evaluator=evaluator))
        assert evaluator.counts.retries == evaluator.counts.calls / 2 > 0


@pytest.mark.parametrize("vectorized", [False, True])
def test_without_f_at_x_there_is_no_derivative(vectorized):
    with pytest.raises(WorkerError, match=r"killed: it ended 2 workers, the last by exit code 7.*at x|with x"):
        mb.gradient(lambda x: os._exit(7), X, vectorized=vectorized, workers=1)
    with pytest.raises(Broken, match=r"no \(f raised this"):
        mb.gradient(lambda x: (_ for _ in ()).throw(Broken("no")), X, vectorized=vectorized, workers=1)
    with pytest.raises(WorkerError, match=r"f raised Broken: no"):
        mb.gradient(
            lambda x: (_ for _ in ()).throw(Broken("no")),
            X,
            vectorized=vectorized,
            evaluator=mb.Evaluator(on_error="status"),
        )


def test_an_f_that_raises_everywhere_is_told_so():
    def nowhere(x):
        if (x != X).any():
            raise ValueError("outside")
        return 1.0

    for options in ({"workers": 2}, {"evaluator": shuffled(1)}, {"evaluator": mb.Evaluator(retries=1)}):
        with pytest.raises(ValueError, match="at every point that was tried"):
            mb.gradient(nowhere, X, **options)


SCRIPT = """
    import signal, sys, time
    import numpy as np
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started deaf
    import mibun as mb
    folder = sys.argv[1]
    def cost(x):
        with open(folder + "/calls", "ab", buffering=0) as file:
            file.write(x.tobytes())
        time.sleep(0.02)
        return float(np.sum(np.sin(x) * x[::-1]))
    x = np.linspace(0.1, 3.0, 6)
    with mb.Evaluator(workers=2, store=folder + "/plant.db", name="cost", progress=False) as evaluator:
        d = mb.gradient(cost, x, evaluator=evaluator)
        print(repr(d.to_dict()))
"""


def started(folder: Path) -> "subprocess.Popen[str]":
    script = folder / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    command = [sys.executable, str(script), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rows_of(store: Path) -> int:
    if not store.exists():
        return 0
    with closing(sqlite3.connect(store)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM evaluations").fetchone()[0])
        except sqlite3.OperationalError:  # not made yet
            return 0


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_goes_on_where_it_was(seed, tmp_path):
    moment = random.Random(seed)
    for _ in range(3):
        process = started(tmp_path)
        before = rows_of(tmp_path / "plant.db")
        while process.poll() is None and rows_of(tmp_path / "plant.db") < before + moment.randint(3, 12):
            time.sleep(0.005)
        process.kill()
        process.communicate()
    time.sleep(0.3)  # workers end with their parent
    stored = rows_of(tmp_path / "plant.db")
    process = started(tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.strip() == repr(mb.gradient(wavy, X).to_dict())
    calls = (tmp_path / "calls").read_bytes()
    points = [calls[i : i + 48] for i in range(0, len(calls) - 47, 48)]
    assert rows_of(tmp_path / "plant.db") == mb.gradient(wavy, X).evaluations >= stored > 0
    # what was stored is never evaluated again: at most two points are under way at each of the three kills
    assert len(points) <= len(set(points)) + 6


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path):
    process = started(tmp_path)
    while rows_of(tmp_path / "plant.db") < 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    kept = rows_of(tmp_path / "plant.db")
    assert err.rstrip().endswith(
        f"points are kept in {tmp_path}/plant.db under 'cost'; the same call goes on from there"
    )
    assert f"{kept} points are kept" in err
    assert kept >= 4


def test_the_line_counts_points(monkeypatch, capfd):
    monkeypatch.setattr(progress, "FILE_EVERY", 0.0)
    monkeypatch.setattr(here, "MOMENT", 0.0)
    with mb.Evaluator(retries=1, progress=True) as evaluator:
        d = mb.gradient(wavy, X, evaluator=evaluator)
    lines = capfd.readouterr().err.splitlines()
    assert lines[-1].startswith(f"{d.evaluations}/{d.evaluations} points")
    assert len(lines) > 10


def test_who_needs_no_line_gets_none(capfd):
    with mb.Evaluator(workers=1) as evaluator:
        mb.gradient(wavy, X, evaluator=evaluator)
    assert capfd.readouterr().err == ""


def test_a_plain_evaluator_only_counts():
    evaluator = mb.Evaluator()
    d = mb.gradient(wavy, X, evaluator=evaluator)
    assert evaluator.counts.calls == d.evaluations
    assert same(d, mb.gradient(wavy, X))


def test_workers_are_kept_between_calls():
    with mb.Evaluator(workers=1, progress=False) as evaluator:
        first, second = (mb.derivative(lambda x: x * 0 + os.getpid(), 1.0, evaluator=evaluator).fx for _ in range(2))
    assert first == second != os.getpid()


def test_another_source_under_a_name_is_warned_of(tmp_path):
    with mb.Evaluator(store=tmp_path / "a.db", name="f", progress=False) as evaluator:
        mb.derivative(lambda x: x**2, 1.0, evaluator=evaluator)
        with pytest.warns(SourceChanged, match="another name") as caught:
            mb.derivative(lambda x: x**2 + 0, 1.0, evaluator=evaluator)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers=0; expected 1 or more"),
        ({"workers": -3}, "workers=-3; expected 1 or more"),
        ({"workers": True}, "write how many processes"),
        ({"workers": "four"}, "a text means nothing here"),
        ({"workers": 2, "evaluator": 3}, "workers and evaluator are both given"),
        ({"evaluator": 8}, "a number of processes is workers=4"),
        ({"evaluator": mb.Evaluator}, "expected an Evaluator"),
        ({"workers": lambda points: [], "vectorized": True}, "leave one of them away"),
        ({"workers": lambda points: []}, "1 points and returned 0 values"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        mb.gradient(wavy_stack if options.get("vectorized") else wavy, X, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"store": "a.db"}, "without a name"),
        ({"name": "f"}, "without a store"),
        ({"store": "no/such/folder/a.db", "name": "f"}, "folder"),
        ({"retries": -1}, "retries=-1"),
        ({"timeout": 0}, "timeout=0"),
        ({"on_error": "ignore"}, 'expected "raise" or "status"'),
        ({"progress": "yes"}, "expected True, False or None"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        mb.Evaluator(**options)


def test_a_closed_executor_is_refused():
    threads = ThreadPoolExecutor(1)
    with mb.Evaluator(workers=threads) as evaluator:
        threads.shutdown()
        with pytest.raises(InputError, match="closed"):
            mb.gradient(wavy, X, evaluator=evaluator)
    with pytest.raises(InputError, match="closed"):
        mb.Evaluator(workers=threads)


def test_without_cloudpickle_the_message_is_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(MissingDependency, match="pip install"):
        mb.gradient(wavy, X, workers=1)


def test_an_evaluator_prints_as_it_was_made():
    assert repr(mb.Evaluator(timeout=5, on_error="status")) == "Evaluator(timeout=5, on_error='status')"


def test_an_evaluator_serves_one_call_at_a_time():
    """What a crew gives back has no sender: a second call would take the values of the first."""
    with mb.Evaluator(retries=1) as evaluator:

        def outer(x):
            return mb.derivative(math.sin, x, evaluator=evaluator).value

        with pytest.raises(InputError, match=r"the evaluator is at work for another call.*Evaluator of its own"):
            mb.derivative(outer, 0.5, evaluator=evaluator)
        assert abs(mb.derivative(outer, 0.5).value + math.sin(0.5)) < 1e-9  # it is free again

    with mb.Evaluator(workers=1, progress=False) as evaluator, ThreadPoolExecutor(1) as thread:
        slow = thread.submit(mb.gradient, lambda x: time.sleep(0.05) or wavy(x), X[:2], evaluator=evaluator)
        while not evaluator.counts.calls:
            time.sleep(0.01)
        for use in (lambda: mb.gradient(wavy, X, evaluator=evaluator), evaluator.close):
            with pytest.raises(InputError, match="another thread"):
                use()
        assert same(mb.gradient(wavy, X[:2]), slow.result())


@pytest.mark.parametrize("vectorized", [False, True])
def test_points_are_made_as_there_is_room_for_them(vectorized, monkeypatch):
    """All points of a gradient take more memory than there is: each is as long as x."""
    most, x = 0, np.linspace(0.1, 3.0, 300)
    monkeypatch.setattr(session, "MOST_BYTES", 20 * x.nbytes)

    class Counting(Here):
        def submit(self, ticket, f, point):
            nonlocal most
            super().submit(ticket, f, point)
            most = max(most, sum(task.x.nbytes for task in self._waiting))

    with mb.Evaluator(retries=1) as evaluator:
        evaluator._crew = Counting()
        f = wavy_stack if vectorized else wavy
        mb.gradient(f, x, vectorized=vectorized, method="central", evaluator=evaluator)
    assert 0 < most <= (3 * 3 * 2**15 if vectorized else 25 * x.nbytes)


def test_a_stack_that_is_stored_in_part_is_not_evaluated_as_a_whole(tmp_path):
    """A run that ends while the halves of a stack are evaluated goes on with the other half."""
    rows, presses = [], [KeyboardInterrupt]

    def f(points):
        rows.append(len(points))
        if len(rows) == 6 and presses:
            raise presses.pop()
        if (points[:, 0] > X[0]).any():
            raise ValueError("too large")
        return wavy_stack(points)

    def run():
        rows.clear()
        with mb.Evaluator(store=tmp_path / "a.db", name="f", progress=False) as evaluator:
            return mb.gradient(f, X, vectorized=True, method="central", evaluator=evaluator)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not presses
    whole = max(rows)
    first = run()
    assert rows
    assert max(rows) < whole
    assert same(first, run())
    assert rows == []


@pytest.mark.parametrize("vectorized", [False, True])
def test_an_f_that_exits_in_a_worker_exits(vectorized):
    def exits(x):
        if (x[..., 2] != X[2]).any():
            sys.exit(3)
        return wavy_stack(x) if vectorized else wavy(x)

    with pytest.raises(SystemExit) as caught:
        mb.gradient(exits, X, vectorized=vectorized, workers=1)
    assert caught.value.code == 3
    assert "in exits" in caught.value.__notes__[0]


def test_a_store_stays_where_it_was_when_the_folder_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    with mb.Evaluator(store="a.db", name="f", progress=False) as evaluator:
        monkeypatch.chdir("other")
        mb.gradient(wavy, X, evaluator=evaluator)
    assert (tmp_path / "a.db").exists()
    assert not (tmp_path / "other" / "a.db").exists()


def test_fast_points_share_transactions_and_slow_ones_do_not(tmp_path, monkeypatch):
    records = []

    def record(run, keys, outcomes):
        records.append(len(keys))
        return real(run, keys, outcomes)

    real = Run.record
    monkeypatch.setattr(Run, "record", record)
    monkeypatch.setattr(here, "MOMENT", 60.0)
    with mb.Evaluator(store=tmp_path / "a.db", name="f", progress=False) as evaluator:
        fast = mb.gradient(wavy, X, evaluator=evaluator)
        assert sum(records) == fast.evaluations > 4 * len(records)
        records.clear()
        monkeypatch.setattr(here, "MOMENT", 0.0)
        mb.gradient(wavy, X + 1.0, evaluator=evaluator)
        assert set(records) == {1}


def test_what_was_done_before_an_interrupt_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(here, "MOMENT", 60.0)

    def interrupted(x):
        if x[1] != X[1]:
            raise KeyboardInterrupt
        return wavy(x)

    with (
        pytest.raises(KeyboardInterrupt) as caught,
        mb.Evaluator(store=tmp_path / "a.db", name="f", progress=False) as evaluator,
    ):
        mb.gradient(interrupted, X[:2], method="central", evaluator=evaluator)
    kept = rows_of(tmp_path / "a.db")
    assert kept > 1
    assert caught.value.__notes__ == [
        f"{kept} points are kept in {tmp_path / 'a.db'} under 'f'; the same call goes on from there"
    ]


@pytest.mark.parametrize("kind", ["retries", "store", "thread"])
@pytest.mark.parametrize("stacks", [False, True])
def test_f_may_write_its_next_value_where_the_last_one_is(kind, stacks, tmp_path, monkeypatch):
    monkeypatch.setattr(stacking, "CHUNK_BYTES", 3 * X.nbytes)  # a round is several stacks
    out = np.zeros((3, 6)) if stacks else np.zeros(6)

    def reusing(x):
        out[: len(x)] = x**2
        return out[: len(x)]

    options = {
        "retries": {"retries": 1},
        "store": {"store": tmp_path / "a.db", "name": "f"},
        "thread": {"workers": ThreadPoolExecutor(1)},
    }
    with mb.Evaluator(**options[kind]) as evaluator:
        found = mb.jacobian(reusing, X, vectorized=stacks, evaluator=evaluator)
    assert same(found, mb.jacobian(lambda x: x**2, X, vectorized=stacks))


def test_a_batch_may_write_its_next_values_where_the_last_ones_are():
    out = np.zeros((100, 6))

    def reusing(points):
        out[: len(points)] = np.stack(points) ** 2
        return out[: len(points)]

    assert same(mb.jacobian(lambda x: x**2, X), mb.jacobian(lambda x: x**2, X, workers=reusing))
    with pytest.raises(InputError, match="one and the same array for several points"):
        mb.jacobian(lambda x: x**2, X, workers=lambda points: [out for _ in points])


def test_a_point_that_f_wrote_to_before_it_raised_is_tried_again_as_it_was(tmp_path):
    def moody(x):
        once = tmp_path / x.tobytes().hex()
        if not once.exists():
            once.write_text("")
            x[:] = 0.0
            raise Broken("again, please")
        return wavy(x)

    for options in ({}, {"workers": ThreadPoolExecutor(1)}):
        with mb.Evaluator(retries=1, progress=False, **options) as evaluator:
            assert same(mb.gradient(wavy, X), mb.gradient(moody, X, evaluator=evaluator))
        for file in tmp_path.iterdir():
            file.unlink()

    def batch(points):
        values = [wavy(point) for point in points]
        once = tmp_path / f"{len(points)}"
        if not once.exists():
            once.write_text("")
            for point in points:
                point[:] = 0.0
            raise Broken("again, please")
        return values

    with mb.Evaluator(batch, retries=1, progress=False) as evaluator:
        assert same(mb.gradient(wavy, X), mb.gradient(wavy, X, evaluator=evaluator))
