"""What it costs to have a point evaluated elsewhere: processes of our own, and the executors of others.

    python benchmarks/evaluate.py [--quick] [--write]

Time of a point that costs nothing itself, in a queue that is never empty, on two workers; the time until the first
point of a new pool is there; and points of 50 ms, against the time that two workers that never idle would take. A way
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
from learning import machine
from report import Target, duration, figure, table

from mibun.evaluate.crew import Crew, crew
from mibun.evaluate.pool import Pool
from mibun.evaluate.shipping import Shipped

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
    small, ideal = found["own processes"]["10 numbers"], found["own processes"][SLEEPING]
    targets = [
        Target("own processes: a point of 10 numbers", "200 us", duration(small), small <= 200e-6),
        Target("own processes: points of 50 ms, of the ideal", "1.1", figure(ideal), ideal <= 1.1),
    ]
    if "Dask LocalCluster" in found:
        ideal = found["Dask LocalCluster"][SLEEPING]
        targets.append(Target("Dask: points of 50 ms, of the ideal", "1.2", figure(ideal), ideal <= 1.2))
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
