"""What it costs to have a point evaluated elsewhere: processes of our own, and the executors of others.

    python benchmarks/evaluate.py [--quick] [--write]

Time of a point that costs nothing itself, in a queue that is never empty, on two workers; the time until the first
point of a new pool is there; points of 50 ms, against the time that two workers that never idle would take, and whole
gradients of such an f with 64 parameters; and what lies between the calls of f where nothing is sent anywhere. A way
through a socket to another process and back is measured beside them, on the same machine. All contenders take turns,
and each is alone while it runs; times are medians of rounds. `--write` puts the report into
benchmarks/results/evaluate.md.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from machine import machine
from report import Target, duration, figure, table

from mibun import Evaluator, gradient
from mibun.evaluate.crew import Crew, crew
from mibun.evaluate.pool import Pool
from mibun.evaluate.serial import Serial
from mibun.evaluate.shipping import Shipped
from mibun.plan import Plan, coordinatewise, pointwise
from mibun.structure import Structure

RESULTS = Path(__file__).parent / "results" / "evaluate.md"
WORKERS = 2
SLEEP, SLEEPS = 0.05, 64
SLEEPING = f"{SLEEPS} points of 50 ms"
POINTS: dict[str, Any] = {
    "a number": 1.5,
    "10 numbers": np.arange(10.0),
    "dict of 2 arrays": {"W": np.ones((4, 4)), "b": np.ones(4)},
    "10,000 numbers": np.arange(1e4),
    "1,000,000 numbers": np.arange(1e6),
}


def total(x: Any) -> Any:
    """Add all numbers of a point."""
    return sum(part.sum() for part in x.values()) if isinstance(x, dict) else np.sum(x)


def sleeping(x: Any) -> Any:
    """Do nothing for a while."""
    time.sleep(SLEEP)
    return x


def seconds(group: Crew, f: Shipped, points: list[Any]) -> float:
    """Time all points together."""
    before = time.perf_counter()
    for ticket, x in enumerate(points):
        group.submit(ticket, f, x)
    left = len(points)
    while left:
        found = group.arrived(60)
        assert all(outcome.status == "ok" for _, outcome in found)
        left -= len(found)
    return time.perf_counter() - before


@contextmanager
def own() -> Iterator[Crew]:
    """Start processes of our own."""
    pool = Pool(WORKERS)
    yield pool
    pool.close()


@contextmanager
def executor(make: Callable[[], Any]) -> Iterator[Crew]:
    """Take an executor."""
    with make() as workers:
        yield crew(workers)


@contextmanager
def dask() -> Iterator[Crew]:
    """Start a cluster of Dask's on this machine."""
    from distributed import Client, LocalCluster

    cluster: Any = LocalCluster
    client: Any = Client
    with cluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as started, client(started) as given:
        yield crew(given)


def contenders() -> dict[str, Callable[[], AbstractContextManager[Crew]]]:
    """Give all contenders that are installed, each to be alone while it is measured: Dask has threads everywhere."""
    found: dict[str, Callable[[], AbstractContextManager[Crew]]] = {
        "own processes": own,
        "ThreadPoolExecutor": lambda: executor(lambda: ThreadPoolExecutor(WORKERS)),
        "ProcessPoolExecutor": lambda: executor(lambda: ProcessPoolExecutor(WORKERS, get_context("spawn"))),
    }
    if find_spec("loky"):
        import loky

        found["loky"] = lambda: executor(lambda: loky.ProcessPoolExecutor(WORKERS))
    if find_spec("distributed"):
        found["Dask LocalCluster"] = dask
    return found


def echo(count: int = 2000) -> float:
    """Time one way to another process and back, through a socket."""
    ours, theirs = socket.socketpair()
    program = "import socket, sys; s = socket.socket(fileno=int(sys.argv[1]))\nwhile d := s.recv(4096): s.sendall(d)"
    with subprocess.Popen([sys.executable, "-c", program, str(theirs.fileno())], pass_fds=[theirs.fileno()]):
        theirs.close()
        for counted in (100, count):
            before = time.perf_counter()
            for _ in range(counted):
                ours.sendall(b"x" * 200)
                ours.recv(4096)
        spent = time.perf_counter() - before
        ours.close()
    return spent / count


def measured(group: Crew, count: int) -> dict[str, float]:
    """Give the time of a point of every kind, and that of points of 50 ms in units of the ideal."""
    f, slow = Shipped(total), Shipped(sleeping)
    seconds(group, slow, [1.0] * 4 * WORKERS)  # all workers are started
    times = {}
    for kind, x in POINTS.items():
        number = count if isinstance(x, dict) else max(20, count // (1 + np.size(x) // 1000))
        seconds(group, f, [x] * 4)
        times[kind] = seconds(group, f, [x] * number) / number
    times[SLEEPING] = seconds(group, slow, [1.0] * SLEEPS) / (SLEEP * SLEEPS / WORKERS)
    return times


def overheads(rounds: int, count: int) -> tuple[dict[str, dict[str, float]], float]:
    """Give the medians of all contenders, and that of an echo."""
    found: dict[str, list[dict[str, float]]] = {}
    echoes = []
    for _ in range(rounds):
        echoes.append(echo())
        for name, started in contenders().items():
            with started() as group:
                found.setdefault(name, []).append(measured(group, count))
    kinds = (*POINTS, SLEEPING)
    medians = {name: {kind: median(time[kind] for time in times) for kind in kinds} for name, times in found.items()}
    return medians, median(echoes)


def bowl(x: Any) -> Any:
    """Take 50 ms for a sum of squares."""
    time.sleep(SLEEP)
    return float(np.sum(x**2))


def gradients() -> dict[str, float]:
    """Time gradients of 64 parameters by two workers, in units of the ideal: all evaluations, shared evenly."""
    found = {}
    x = np.linspace(1.0, 2.0, SLEEPS)

    def timed(workers: Any) -> float:
        with Evaluator(workers, progress=False) as evaluator:
            gradient(sleeping, [1.0], evaluator=evaluator, method="central")  # the workers are started
            before = time.perf_counter()
            evaluations = gradient(bowl, x, evaluator=evaluator).evaluations
            return (time.perf_counter() - before) / (evaluations * SLEEP / WORKERS)

    found["own processes"] = timed(WORKERS)
    if find_spec("distributed"):
        from distributed import Client, LocalCluster

        cluster: Any = LocalCluster
        client: Any = Client
        one_thread = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": None}
        with cluster(**one_thread) as started, client(started) as given:
            found["Dask LocalCluster"] = timed(given)
    return found


def between_calls(rounds: int, count: int = 4096) -> dict[str, float]:
    """Time what lies between calls of f in this process: an f that does nothing, less a loop that calls it."""

    def nothing(_: Any) -> float:
        return 1.0

    def spent(plan: Plan, points: list[Any]) -> float:
        evaluator = Serial(nothing, plan)
        evaluator.centres([0])
        elements, coordinates = np.arange(count) % len(plan.starts), np.linspace(1.0, 2.0, count)
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            evaluator.array(elements, coordinates)
            middle = time.perf_counter()
            for point in points:
                nothing(point)
            times.append((middle - start - (time.perf_counter() - middle)) / count)
        return median(times)

    found = {}
    for kind, x in {"a number": np.ones(count), "10 numbers": np.ones(10), "10,000 numbers": np.ones(10_000)}.items():
        structure = Structure.of(x)
        plan = (pointwise if kind == "a number" else coordinatewise)(structure, structure.flatten(x))
        found[kind] = spent(plan, [1.0] * count)
        if kind != "a number":
            start = time.perf_counter()
            for _ in range(count):
                x.copy()
            found[f"{kind}, a copy"] = (time.perf_counter() - start) / count
    return found


def starts(rounds: int) -> list[tuple[str, float]]:
    """Time the first point of a new pool, and what of it is Python's."""

    def first(f: Any, x: Any) -> float:
        pool = Pool(1)
        spent = seconds(pool, Shipped(f), [x])
        pool.close()
        return spent

    def python(code: str) -> float:
        before = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - before

    cases: dict[str, Callable[[], float]] = {
        "`python -c pass`": lambda: python("pass"),
        "`python -c 'import numpy'`": lambda: python("import numpy"),
        "first point of a pool, a number": lambda: first(abs, 1.5),
        "first point of a pool, a lambda with NumPy": lambda: first(lambda x: np.sum(x), np.ones(3)),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            times[name].append(case())
    return [(name, median(values)) for name, values in times.items()]


def report(rounds: int, count: int, command: str) -> str:
    """Write the report, the targets first."""
    found, there_and_back = overheads(rounds, count)
    whole, between = gradients(), between_calls(rounds)
    small, ideal = found["own processes"]["10 numbers"], found["own processes"][SLEEPING]
    targets = [
        Target("own processes: a point of 10 numbers", "200 us", duration(small), small <= 200e-6),
        Target("own processes: points of 50 ms, of the ideal", "1.1", figure(ideal), ideal <= 1.1),
        Target("own processes: gradient, of the ideal", "1.1", figure(own := whole["own processes"]), own <= 1.1),
        Target("here: a number", "0.3 us", duration(number := between["a number"]), number <= 0.3e-6),
    ]
    for kind in ("10 numbers", "10,000 numbers"):
        spent, copy = between[kind], between[f"{kind}, a copy"]
        measured = f"{duration(spent)}, the copy {duration(copy)}"
        targets.append(Target(f"here: {kind}", "1 us and a copy", measured, spent <= 1e-6 + copy))
    if "Dask LocalCluster" in found:
        ideal = found["Dask LocalCluster"][SLEEPING]
        targets.append(Target("Dask: points of 50 ms, of the ideal", "1.2", figure(ideal), ideal <= 1.2))
        ideal = whole["Dask LocalCluster"]
        targets.append(Target("Dask: gradient, of the ideal", "1.2", figure(ideal), ideal <= 1.2))
    rows = [[kind, *(duration(times[kind]) for times in found.values())] for kind in POINTS]
    rows.append([f"{SLEEPING}, of the ideal", *(figure(times[SLEEPING]) for times in found.values())])
    parts = [
        "# Points that are evaluated elsewhere",
        table(
            ("what", "target", "measured", "met"),
            [[*target[:3], "yes" if target.met else "**no**"] for target in targets],
        ),
        f"## Time of a point, {WORKERS} workers",
        table(("point", *found), rows),
        f"One way through a socket to another process and back: {duration(there_and_back)}.",
        "## Start",
        table(("what", "time"), [[name, duration(value)] for name, value in starts(rounds)]),
        f"Median of {rounds} rounds in turn. Machine: {machine()}, {os.cpu_count()} cores.",
        f"Made by `{command}`.",
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    command = " ".join(["python benchmarks/evaluate.py", *sys.argv[1:]])
    text = report(*((2, 500) if arguments.quick else (7, 3000)), command)
    print(text)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
