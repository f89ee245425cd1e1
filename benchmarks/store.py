"""What a store costs for a point: to key it, to write it, to find it again; and what the disk alone costs.

    python benchmarks/store.py [--quick] [--write]

Points of four kinds (a number, 10 and 1,000 numbers in an array, a structure), each with a number as its value. What
is written is on disk when the call returns, so a single row costs what the disk takes to write it through. That is
measured beside it, with the same calls as SQLite makes: append a page and a half to a file and `fdatasync` it. The
folder of this script is used, and /dev/shm where there is one: memory, so what is left there is the work of mibun and
SQLite. Rows and bare writes take turns; times are medians. `--write` puts the tables into benchmarks/results/store.md.
"""

import argparse
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from machine import machine
from report import THREADS, Target, duration, table

from mibun.evaluate.outcome import Outcome
from mibun.evaluate.store import Store

RESULTS = Path(__file__).parent / "results" / "store.md"
MEMORY = Path("/dev/shm")
GROUP = 100
#: Bytes that SQLite appends for one row: two pages and their headers.
BARE = bytes(2 * (4096 + 24))

POINTS: dict[str, Callable[[int], Any]] = {
    "number": float,
    "10 numbers": lambda i: np.full(10, float(i)),
    "1,000 numbers": lambda i: np.full(1000, float(i)),
    "structure": lambda i: {"W": np.full((3, 2), float(i)), "b": 0.5},
}


def seconds(action: Callable[..., Any], *arguments: Any) -> float:
    """Time one call."""
    before = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - before


def write_through(file: int) -> None:
    """Do what the disk has to do for a row."""
    os.write(file, BARE)
    os.fdatasync(file)


def measure(folder: Path, make: Callable[[int], Any], rows: int) -> dict[str, float]:
    """Time one kind of points, in seconds a point."""
    points = [make(i) for i in range(rows * 3)]
    outcomes = [Outcome("ok", float(i)) for i in range(len(points))]
    with tempfile.TemporaryDirectory(dir=folder) as name, Store(Path(name) / "a.db", "f") as store:
        run = store.run()
        key = seconds(run.keys, points) / len(points)
        keys = store.run().keys(points)
        single, bare, group = [], [], []
        file = os.open(Path(name) / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for i in range(rows):
            single.append(seconds(run.record, keys[i : i + 1], outcomes[i : i + 1]))
            bare.append(seconds(write_through, file))
        os.close(file)
        for begin in range(rows, len(points), GROUP):
            part = slice(begin, begin + GROUP)
            group.append(seconds(run.record, keys[part], outcomes[part]) / len(keys[part]))
        lookup = seconds(run.lookup, keys) / len(keys)
        one = median(seconds(run.lookup, [key]) for key in keys[:rows])
    return {
        "key": key,
        "single": median(single),
        "bare": median(bare),
        "group": median(group),
        "lookup": lookup,
        "one lookup": one,
    }


def measure_stack(folder: Path, size: int, rows: int) -> dict[str, float]:
    """Time the rows of a stack, in seconds a row."""
    stack = np.random.default_rng(0).normal(size=(rows, size))
    with tempfile.TemporaryDirectory(dir=folder) as name, Store(Path(name) / "a.db", "f") as store:
        run = store.run()
        key = seconds(run.keys_of_stack, stack, rows)
        keys = store.run().keys_of_stack(stack, rows)
        group = []
        for begin in range(0, rows, GROUP):
            part = slice(begin, begin + GROUP)
            group.append(seconds(run.record_stack, keys[part], Outcome("ok", stack[part].sum(axis=1))))
        lookup = seconds(run.lookup, keys)
    return {"key": key / rows, "group": median(group) / GROUP, "lookup": lookup / rows}


def report(rows: int, command: str) -> str:
    """Measure all, and write it down."""
    folders = {"disk": Path(__file__).parent} | ({"memory": MEMORY} if MEMORY.is_dir() else {})
    names = ("key", "single", "bare", "group", "lookup", "one lookup")
    lines, worst = [], dict.fromkeys(("single", "group", "lookup"), 0.0)
    for where, folder in folders.items():
        cases = {kind: measure(folder, make, rows) for kind, make in POINTS.items()}
        cases |= {f"rows of a stack, {size:,} numbers": measure_stack(folder, size, rows) for size in (10, 1000)}
        worst = {name: max(worst[name], *(found.get(name, 0.0) for found in cases.values())) for name in worst}
        for kind, found in cases.items():
            lines.append([where, kind, *(duration(found[name]) if name in found else "-" for name in names)])
    targets = [
        Target("a single row", "<= 300 us", duration(worst["single"]), worst["single"] <= 300e-6),
        Target("a row of a group", "<= 200 us", duration(worst["group"]), worst["group"] <= 200e-6),
        Target("a lookup in a group", "<= 20 us", duration(worst["lookup"]), worst["lookup"] <= 20e-6),
    ]
    heads = (
        "where",
        "point",
        "key",
        "single row",
        "write and fdatasync alone",
        "row of a group",
        "lookup",
        "one lookup",
    )
    parts = [
        "# What a store costs",
        table(
            ("what, worst of the table", "target", "measured", "met"),
            [[*t[:3], "yes" if t.met else "**no**"] for t in targets],
        ),
        table(heads, lines),
        f"Groups of {GROUP} in one transaction; lookups of all points at once, and of one. Seconds a point, medians of "
        f"{rows:,} (keys and lookups: means).",
        f"Machine: {machine()}, one thread; SQLite {sqlite3.sqlite_version}.",
        f"Made by `{command}`.",
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the benchmark, with one thread."""
    os.environ.update(THREADS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    text = report(300 if arguments.quick else 2000, " ".join(["python benchmarks/store.py", *sys.argv[1:]]))
    print(text)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
