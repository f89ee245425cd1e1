"""How many bytes of points a vectorized f should get in one call: the constants of `mibun.evaluate.vectorized`.

    python benchmarks/chunks.py [--quick] [--write]

For rows of several sizes and three functions (few passes over the stack, many, a matrix product) the time of a row is
measured against the bytes of a stack: the stack is made as `plan` makes it, and f is called. Small stacks share the
cost of a call among few rows. Large ones leave the cache, and before that, what f makes of them is given back to the
system and fetched again, page by page: that hangs on what a process did before (the allocator learns), so each
function and size has a process of its own. All sizes take turns; times are medians. `--write` puts the table into
benchmarks/results/chunks.md.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np
from derivative_speed import rosenbrock
from machine import machine
from report import THREADS, duration, table

from mibun.evaluate.vectorized import CHUNK_BYTES, rows_of_chunk
from mibun.plan import coordinatewise
from mibun.structure import Structure

RESULTS = Path(__file__).parent / "results" / "chunks.md"
KILOBYTES = (16, 32, 48, 64, 80, 96, 112, 128, 192, 256, 512, 1024, 4096)
ENTRIES = (10, 100, 1000, 10_000, 100_000)
#: Numbers in all stacks of one measurement, so that each takes about as long.
NUMBERS = 2**21


def product() -> Callable[[Any], Any]:
    """Make a function whose time goes into one matrix product, as that of a layer: of the first entries of x."""
    weights = np.random.default_rng(0).normal(size=(100, 20))
    return lambda x: np.tanh(x[:, :100] @ weights[: x.shape[1]]).sum(axis=1)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sum of squares": lambda x: np.sum(x * x, axis=1),
    "Rosenbrock": rosenbrock,
    "layer": product(),
}


def seconds_a_row(f: Callable[[Any], Any], entries: int, rows: int) -> float:
    """Time one row: its share of a stack that is newly made, and of the call."""
    structure = Structure.of(np.ones(entries))
    plan = coordinatewise(structure, np.ones(entries))
    elements, coordinates = np.arange(rows) % entries, np.full(rows, 1.25)
    calls = max(NUMBERS // (entries * rows), 1)
    before = time.perf_counter()
    for _ in range(calls):
        f(plan.stack(elements, coordinates))
    return (time.perf_counter() - before) / (calls * rows)


def measure(name: str, kilobytes: int) -> list[tuple[int, float]]:
    """Time a row of one function for every size of x, in stacks of one size that hold at least one row."""
    found = []
    for entries in ENTRIES:
        rows = kilobytes * 1024 // (8 * entries)
        if rows:
            seconds_a_row(FUNCTIONS[name], entries, rows)
            found.append((entries, seconds_a_row(FUNCTIONS[name], entries, rows)))
    return found


def medians(rounds: int) -> dict[tuple[str, int, int], float]:
    """Give the median time of a row, each function and size of stacks in a process of its own."""
    times: dict[tuple[str, int, int], list[float]] = {}
    for _ in range(rounds):
        for name, kilobytes in itertools.product(FUNCTIONS, KILOBYTES):
            command = [sys.executable, __file__, "--measure", name, str(kilobytes)]
            printed = subprocess.run(command, env=os.environ | THREADS, check=True, capture_output=True).stdout
            for entries, seconds in json.loads(printed):
                times.setdefault((name, entries, kilobytes), []).append(seconds)
    return {key: median(values) for key, values in times.items()}


def report(rounds: int, command: str) -> str:
    """Write the table, and how the sizes compare on the whole."""
    found = medians(rounds)
    lines: list[list[str]] = []
    losses: dict[int, list[float]] = {kilobytes: [] for kilobytes in KILOBYTES}
    for name in FUNCTIONS:
        for entries in ENTRIES:
            row = {kilobytes: found.get((name, entries, kilobytes)) for kilobytes in KILOBYTES}
            best = min(seconds for seconds in row.values() if seconds)
            for kilobytes, seconds in row.items():
                losses[kilobytes].extend([seconds / best] if seconds else [])
            cells = [f"{seconds / best:.2f}" if seconds else "-" for seconds in row.values()]
            lines.append([name, f"{entries:,}", *cells, duration(best)])
    means = [f"{geometric_mean(ratios):.2f}" for ratios in losses.values()]
    worst = [f"{max(ratios):.2f}" for ratios in losses.values()]
    lines += [["all, geometric mean", "", *means, ""], ["all, worst", "", *worst, ""]]
    heads = ["f", "numbers in x", *(f"{kilobytes} KB" for kilobytes in KILOBYTES), "best time of a row"]
    sizes = ", ".join(f"{rows_of_chunk(8 * entries):,}" for entries in ENTRIES)
    parts = [
        "# Points in one call of a vectorized f",
        "Time of a row, in units of the best in its line, by the bytes of the points of a call.",
        table(heads, lines),
        f"Chosen: {CHUNK_BYTES // 1024} KB, or one row that is longer: {sizes} rows for these sizes of x.",
        f"Median of {rounds} rounds in turn, each function and size in a process of its own.",
        f"Machine: {machine()}, one thread.",
        f"Made by `{command}`.",
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the benchmark, in a process with one thread."""
    if any(os.environ.get(name) != "1" for name in THREADS):
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=os.environ | THREADS).returncode)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--measure", nargs=2, metavar=("FUNCTION", "KILOBYTES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        json.dump(measure(arguments.measure[0], int(arguments.measure[1])), sys.stdout)
        return
    text = report(1 if arguments.quick else 3, " ".join(["python benchmarks/chunks.py", *sys.argv[1:]]))
    print(text)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
