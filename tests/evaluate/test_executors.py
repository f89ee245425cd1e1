"""Somebody else's executors: threads, processes, loky, a real Dask cluster, and executors that break on purpose."""

import os
import signal
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import crews
from crews import drained, note, noted, values

from mibun.errors import InputError, MissingDependency
from mibun.evaluate.crew import crew
from mibun.evaluate.executors import Foreign
from mibun.evaluate.shipping import Shipped

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


class Breaking(Executor):
    """An executor of one thread that breaks at certain points, loses all that is in flight, and works again."""

    def __init__(self, bad: set[float], again: bool = True, kind: type[Exception] = BrokenExecutor) -> None:
        self.bad, self.again, self.kind = bad, again, kind
        self.flying: list[tuple[Future[Any], Any, Any]] = []
        self.most = self.breaks = 0
        self.lock, self.thread = threading.Lock(), ThreadPoolExecutor(1)

    def submit(self, work: Any, f: Any, x: Any) -> Future[Any]:
        with self.lock:
            if self.breaks and not self.again:
                raise BrokenExecutor("broken for good")
            future: Future[Any] = Future()
            self.flying.append((future, f, x))
            self.most = max(self.most, len(self.flying))
        self.thread.submit(self.step, work)
        return future

    def step(self, work: Any) -> None:
        time.sleep(0.005)
        with self.lock:
            if not self.flying:
                return
            future, f, x = self.flying.pop(0)
            lost = [future, *(other for other, _, _ in self.flying)] if x in self.bad else []
            self.flying = [] if lost else self.flying
            self.breaks += bool(lost)
        for each in lost:
            each.set_exception(self.kind("a worker died"))
        if not lost:
            future.set_result(work(f, x))


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


def test_threads_share_f_and_need_nothing_that_can_be_pickled(threads: Executor) -> None:
    lock, seen = threading.Lock(), []

    def f(x: Any) -> Any:
        with lock:
            seen.append(threading.get_ident())
        time.sleep(0.002)
        return lambda: x

    found = values(drained(crew(threads), f, [float(i) for i in range(20)]))
    assert [value() for value in found] == list(range(20))
    assert len(seen) == 20
    assert threading.get_ident() not in seen


def test_exceptions_retries_and_numpy_warnings_in_threads(threads: Executor) -> None:
    calls: list[float] = []

    def f(x: float) -> Any:
        calls.append(x)
        if x == 0:
            raise KeyError(x)
        if x == 1:
            raise ValueError("outside")
        if x == 2:
            raise SystemExit(3)
        return np.log(np.zeros(1))[0]

    outcomes = drained(crew(threads, retries=3), f, [0.0, 1.0, 2.0, 3.0])
    assert [outcome.status for outcome in outcomes] == ["raised", "raised", "raised", "ok"]
    assert [type(outcome.error) for outcome in outcomes] == [KeyError, ValueError, SystemExit, type(None)]
    assert [outcome.retries for outcome in outcomes] == [3, 0, 0, 0]
    assert sorted(calls) == [0.0] * 4 + [1.0, 2.0, 3.0]


def test_late_points_are_not_waited_for(threads: Executor) -> None:
    release = threading.Event()

    def f(x: float) -> float:
        if x == 1:
            release.wait(30)
        return x

    before = time.monotonic()
    outcomes = drained(crew(threads, timeout=0.3), f, [float(i) for i in range(30)])
    assert time.monotonic() - before < 3
    late = outcomes.pop(1)
    assert (late.status, late.text) == ("timeout", "not done after 0.3 s, and not waited for")
    assert len(values(outcomes)) == 29
    release.set()


def test_when_all_workers_are_at_late_points_the_others_are_given_up(threads: Executor) -> None:
    release = threading.Event()
    outcomes = drained(crew(threads, timeout=0.2), lambda x: release.wait(30), [float(i) for i in range(5)])
    release.set()
    assert [outcome.status for outcome in outcomes] == ["timeout"] * 5
    assert ["all workers are still at" in outcome.text for outcome in outcomes] == [False] * 2 + [True] * 3


def test_a_late_point_that_ends_makes_room_again(threads: Executor) -> None:
    outcomes = drained(crew(threads, timeout=0.5), lambda x: time.sleep(0.8 if x < 2 else 0), list(range(6)))
    assert [outcome.status for outcome in outcomes] == ["timeout"] * 2 + ["ok"] * 4


def test_waiting_in_the_queue_of_the_executor_is_nobodys_time(threads: Executor) -> None:
    assert len(values(drained(crew(threads, timeout=0.5), lambda x: time.sleep(0.1), list(range(16))))) == 16


def test_cancel_forgets_and_the_executor_stays_open(threads: Executor) -> None:
    group, release = crew(threads), threading.Event()
    for ticket in range(5):
        group.submit(ticket, Shipped(lambda x: release.wait(30)), 1.0)
    group.cancel()
    assert group.arrived(0.1) == []
    release.set()
    assert values(drained(group, abs, [-1.0])) == [1.0]
    group.close()
    assert threads.submit(abs, -1).result() == 1


def test_points_in_flight_at_a_break_are_run_again_one_by_one() -> None:
    executor = Breaking({3.0})
    group = Foreign(executor, 4)
    outcomes = drained(group, lambda x: 2 * x, [float(i) for i in range(10)])
    killed = outcomes.pop(3)
    assert (killed.status, killed.kills) == ("killed", 2)
    assert "BrokenExecutor: a worker died" in killed.text
    assert values(outcomes) == [2 * i for i in range(10) if i != 3]
    assert executor.breaks == 2
    assert executor.most == 10  # before the break all were in flight


def test_an_executor_that_is_broken_for_good_loses_what_it_had_and_no_more() -> None:
    outcomes = drained(Foreign(Breaking({3.0}, again=False), 4), lambda x: 2 * x, [float(i) for i in range(10)])
    assert values(outcomes[:3]) == [0, 2, 4]
    assert {outcome.status for outcome in outcomes[3:]} == {"killed"}
    assert all("pass a number of processes" in outcome.text for outcome in outcomes[3:])


def test_other_exceptions_of_the_executor_are_about_it_too() -> None:
    outcomes = drained(Foreign(Breaking({1.0}, kind=OSError), 4), lambda x: x, [0.0, 1.0, 2.0])
    assert [(outcome.status, outcome.error) for outcome in outcomes] == [("ok", None), ("killed", None), ("ok", None)]


def test_an_executor_that_is_closed_meanwhile() -> None:
    executor = ThreadPoolExecutor(1)
    group = crew(executor)
    executor.shutdown()
    with pytest.raises(InputError, match="the executor in workers is closed"):
        group.submit(0, Shipped(abs), 1.0)
    assert group.arrived(1.0) == []


# --- processes of others --------------------------------------------------------------------------------------------


@posix
def test_processes_of_the_standard_library() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        group = crew(executor)
        assert group.size == 2
        scale = np.arange(3.0)
        found = values(drained(group, lambda x: (os.getpid(), scale * x), [1.0, 2.0]))
        assert os.getpid() not in [pid for pid, _ in found]
        assert found[1][1].tolist() == [0.0, 2.0, 4.0]

        def f(x: float) -> Any:
            if x == 1:
                raise crews.TwoArguments(1, 2)
            return threading.Lock()

        own, lock = drained(group, f, [1.0, 2.0])
        assert (type(own.error), str(own.error)) == (ValueError, "TwoArguments: 1 and 2")
        assert "Traceback" in own.error.__notes__[0]
        assert type(lock.error) is TypeError
        taken = threading.Lock()
        with pytest.raises(InputError, match=r"cannot pickle '_thread.lock' object"):
            drained(group, lambda x: (taken, x), [1.0])
        assert values(drained(group, abs, [-1.0])) == [1.0]

        outcomes = drained(group, lambda x: os._exit(3) if x == 1 else x, [0.0, 1.0])
        assert outcomes[1].status == "killed"
        assert "not usable anymore" in outcomes[1].text
    with pytest.raises(InputError, match="closed"):
        crew(executor)


@posix
def test_without_cloudpickle_processes_of_others_have_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        monkeypatch.setitem(sys.modules, "cloudpickle", None)
        with pytest.raises(MissingDependency, match=r"pip install 'mibun\[parallel\]'"):
            drained(crew(executor), abs, [1.0])


@posix
def test_loky() -> None:
    loky = pytest.importorskip("loky")
    executor = loky.ProcessPoolExecutor(2)
    try:
        group = crew(executor)
        assert group.size == 2
        assert values(drained(group, lambda x: 2 * x, [1.0, 2.0])) == [2.0, 4.0]
        [killed] = drained(group, lambda x: os._exit(9), [1.0])
        assert (killed.status, "EXIT(9)" in killed.text) == ("killed", True)
    finally:
        executor.shutdown(kill_workers=True)


@pytest.fixture(scope="module")
def client():
    """A real cluster of two processes."""
    distributed = pytest.importorskip("distributed")
    import logging

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


dask = pytest.mark.filterwarnings("ignore")  # of its own event loops and resources


@dask
@posix
def test_a_dask_cluster_calls_f_for_every_point(client: Any) -> None:
    group = crew(client)
    assert group.size == 2
    found = values(drained(group, lambda x: (os.getpid(), os.urandom(8), x), [np.ones(3)] * 12))
    assert len({noise for _, noise, _ in found}) == 12  # the same x is no reason for the same value
    assert os.getpid() not in {pid for pid, _, _ in found}
    assert len({pid for pid, _, _ in found}) == 2

    def f(x: float) -> float:
        raise KeyError(x)

    [outcome] = drained(group, f, [2.0])
    assert (outcome.status, outcome.error.args) == ("raised", (2.0,))
    assert "Traceback" in outcome.error.__notes__[0]


@dask
@posix
def test_a_dask_worker_that_is_killed_costs_no_point(client: Any, tmp_path: Path) -> None:
    file, group = tmp_path / "calls", crew(client)
    one, _ = client.run(os.getpid).values()

    def f(x: float) -> float:
        note(file, x)
        time.sleep(0.05)
        return -x

    for ticket in range(20):
        group.submit(ticket, Shipped(f), float(ticket))
    found = dict(group.arrived(10))
    os.kill(one, signal.SIGKILL)
    until = time.monotonic() + 20
    while len(found) < 20 and time.monotonic() < until:
        found.update(group.arrived(1.0))
    assert values([found[ticket] for ticket in range(20)]) == [-float(ticket) for ticket in range(20)]
    assert len(noted(file)) < 30  # those of one worker, and not all


@dask
@posix
def test_a_point_that_kills_dask_workers_is_given_up(client: Any) -> None:
    outcomes = drained(crew(client), lambda x: os._exit(9) if x == 1 else x, [float(i) for i in range(8)])
    killed = outcomes.pop(1)
    assert (killed.status, killed.kills) == ("killed", 2)
    assert "workers died while" in killed.text
    assert values(outcomes) == [0, 2, 3, 4, 5, 6, 7]


@dask
@posix
def test_a_dask_client_that_is_closed_and_a_cluster_are_refused(client: Any) -> None:
    import distributed

    other = distributed.Client(client.cluster)
    other.close()
    with pytest.raises(InputError, match="the Dask client in workers is closed"):
        crew(other)
    with pytest.raises(InputError, match=r"which is a cluster; pass a client of it: workers=Client\(cluster\)"):
        crew(client.cluster)
