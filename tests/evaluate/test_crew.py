"""What `workers` may be, what is refused and how, and the crews that work in this process."""

import math
import multiprocessing
import os
import sys
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from crews import drained, values

from mibun.errors import InputError
from mibun.evaluate.crew import crew
from mibun.evaluate.executors import Foreign, workers_of
from mibun.evaluate.here import Batch, Here
from mibun.evaluate.pool import Pool
from mibun.evaluate.shipping import Shipped


def test_what_is_taken() -> None:
    assert isinstance(crew(), Here)
    assert isinstance(crew(None, timeout=5), Pool)
    assert crew(None, timeout=5).size == 1
    assert crew(3).size == crew(np.int64(3)).size == 3
    assert isinstance(crew(len), Batch)
    with ThreadPoolExecutor(3) as executor:
        group = crew(executor)
        assert isinstance(group, Foreign)
        assert group.size == 3


def test_an_ipyparallel_client_is_taken_by_its_executor() -> None:
    with ThreadPoolExecutor(1) as executor:
        words = {"ids": [0, 1, 2], "executor": lambda _: executor, "__module__": "ipyparallel.client.client"}
        group = crew(type("Client", (), words)())
        assert isinstance(group, Foreign)
        assert (group.executor, group.size) == (executor, 3)


def test_an_executor_that_does_not_say_its_size_has_that_of_the_cores() -> None:
    assert workers_of(Executor()) == os.cpu_count()


class Cluster:
    def get_client(self) -> None: ...


class Parallel:
    __module__ = "joblib.parallel"

    def __call__(self, work: Any) -> None: ...


@pytest.mark.parametrize(
    ("workers", "match"),
    [
        (0, r"workers=0; expected 1 or more processes, .* workers=os.cpu_count\(\)"),
        (-3, "workers=-3; expected 1 or more processes"),
        (True, r"workers is True: write how many processes: workers=2"),
        (False, "workers is False: write workers=None for none"),
        (2.0, r"workers is 2.0: write a whole number"),
        (math.nan, "workers is nan: write a whole number"),
        ("8", r"workers is '8': .*workers=Client\(address\)"),
        (ThreadPoolExecutor, r"the class ThreadPoolExecutor: make one: workers=ThreadPoolExecutor\(...\)"),
        (map, "the function map: which loses all points"),
        (ThreadPoolExecutor(1).map, "the function map: .* pass the executor itself"),
        (Cluster(), r"Cluster: which is a cluster; pass a client of it"),
        (Parallel(), r"Parallel: pass loky.get_reusable_executor\(\)"),
        ([1, 2], "workers is list: expected a number of processes"),
        (np.array([2]), "workers is ndarray: expected a number of processes"),
        ({}, "workers is dict: expected"),
    ],
)
def test_what_is_refused_says_what_to_pass(workers: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        crew(workers)


def test_a_pool_of_multiprocessing_is_refused() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with pytest.raises(InputError, match=r"workers is Pool: which waits for ever when a worker is killed"):
            crew(pool)
        with pytest.raises(InputError, match="the function map"):
            crew(pool.map)


def test_an_executor_that_is_closed_is_refused() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(InputError, match="is closed; pass one that is open"):
        crew(executor)


@pytest.mark.parametrize("retries", [-1, 1.5, True, None, "2"])
def test_retries_are_a_count(retries: Any) -> None:
    with pytest.raises(InputError, match=r"retries=.*; expected how often"):
        crew(1, retries=retries)


@pytest.mark.parametrize("timeout", [0, -1, math.inf, math.nan, True, "60", [1]])
def test_a_timeout_is_some_seconds(timeout: Any) -> None:
    with pytest.raises(InputError, match=r"timeout=.*; expected the most seconds"):
        crew(1, timeout=timeout)


# --- in this process ------------------------------------------------------------------------------------------------


def test_here_every_point_is_a_call() -> None:
    calls = []

    def f(x: float) -> float:
        calls.append(x)
        if x == 1:
            raise KeyError("hm")
        if x == 2:
            raise ValueError("outside")
        return x

    outcomes = drained(crew(None, retries=2), f, [0.0, 1.0, 2.0, 3.0])
    assert calls == [0.0, 1.0, 1.0, 1.0, 2.0, 3.0]
    assert [outcome.status for outcome in outcomes] == ["ok", "raised", "raised", "ok"]
    assert [outcome.retries for outcome in outcomes] == [0, 2, 0, 0]
    assert outcomes[1].error.__traceback__.tb_next.tb_frame.f_code is f.__code__


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_here_the_program_can_be_ended(kind: type[BaseException]) -> None:
    def f(x: float) -> float:
        raise kind

    group = crew(None)
    group.submit(0, Shipped(f), 1.0)
    with pytest.raises(kind):
        group.arrived()
    assert group.arrived() == []


def test_a_batch_gets_all_points_that_wait() -> None:
    sizes = []

    def batch(points: list[float]) -> np.ndarray[Any, Any]:
        sizes.append(len(points))
        return 2 * np.array(points)

    group = crew(batch)
    assert values(drained(group, abs, [1.0, 2.0, 3.0])) == [2.0, 4.0, 6.0]
    assert values(drained(group, abs, [1.0])) == [2.0]
    assert sizes == [3, 1]


def test_a_point_outside_the_domain_is_found_by_halving() -> None:
    calls = []

    def batch(points: list[float]) -> list[float]:
        calls.append(len(points))
        return [math.sqrt(point) for point in points]

    outcomes = drained(crew(batch), abs, [4.0, 9.0, -1.0, 16.0])
    bad = outcomes.pop(2)
    assert (bad.status, type(bad.error)) == ("raised", ValueError)
    assert values(outcomes) == [2, 3, 4]
    assert calls == [4, 2, 2, 1, 1]


def test_another_exception_is_that_of_all_points_of_the_call() -> None:
    calls = []

    def batch(points: list[float]) -> list[float]:
        calls.append(points)
        raise OSError("the service is away")

    outcomes = drained(crew(batch, retries=2), abs, [1.0, 2.0])
    assert [(outcome.status, type(outcome.error), outcome.retries) for outcome in outcomes] == [
        ("raised", OSError, 2)
    ] * 2
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("answer", "given"), [([1.0], "1 values"), ([1.0, 2.0, 3.0], "3 values"), (1.0, "a float"), (None, "a NoneType")]
)
def test_a_batch_that_does_not_answer_every_point(answer: Any, given: str) -> None:
    group = crew(lambda points: answer)
    group.submit(0, Shipped(abs), 1.0)
    group.submit(1, Shipped(abs), 2.0)
    with pytest.raises(InputError, match=f"a list of 2 points and returned {given}; it is to return one value"):
        group.arrived()


def test_a_batch_keeps_its_own_time() -> None:
    with pytest.raises(InputError, match="it is called in this process, so it is to keep the time itself"):
        crew(len, timeout=3)


@pytest.mark.parametrize("make", [lambda: crew(None), lambda: crew(lambda points: points)])
def test_cancel_forgets(make: Any) -> None:
    group = make()
    group.submit(0, Shipped(abs), 1.0)
    group.cancel()
    assert group.arrived() == []
    group.submit(0, Shipped(abs), 1.0)
    group.close()
    assert group.arrived() == []
