"""Sparse Jacobians: time beside SciPy, bounds, detection, memory, and numbers of colours.

    python benchmarks/sparse.py [--quick] [--write]

`--write` puts the report into benchmarks/results/sparse.md.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from derivative_speed import in_turn
from report import Section, Target, duration, figure, on_one_thread, percent, report, silence, table
from scipy import sparse
from scipy.optimize._numdiff import approx_derivative, group_columns

from mibun.derivatives import jacobian
from mibun.sparsity import Sparsity

RESULTS = Path(__file__).parent / "results" / "sparse.md"
UNKNOWNS = 10_000
MANY = 1_000_000


def broyden(x: Any) -> Any:
    """Give Broyden's tridiagonal function (C. Broyden, Math. Comp. 19 (1965) 577-593)."""
    y = (3.0 - 2.0 * x) * x + 1.0
    y[1:] -= x[:-1]
    y[:-1] -= 2.0 * x[1:]
    return y


def slopes(x: Any) -> Any:
    """Give its Jacobian, as the entries of a matrix row by row."""
    n = x.size
    bands = [-np.ones(n - 1), 3.0 - 4.0 * x, -2.0 * np.ones(n - 1)]
    return sparse.csr_array(sparse.diags_array(bands, offsets=[-1, 0, 1]))


def bands(n: int, below: int, above: int) -> Any:
    """Give a matrix of bands."""
    offsets = list(range(-below, above + 1))
    return sparse.csr_array(sparse.diags_array([np.ones(n - abs(k)) for k in offsets], offsets=offsets))


def given_pattern(rounds: int) -> Section:
    """Time Jacobians of a pattern that is given, at the standard point and at a random one."""
    pattern = sparse.csr_matrix(bands(UNKNOWNS, 1, 1))
    groups = group_columns(pattern, np.arange(UNKNOWNS))
    known = Sparsity.of(pattern)
    x = -np.ones(UNKNOWNS)
    calls: dict[str, Callable[[], object]] = {
        "scipy 3-point, groups precomputed": lambda: approx_derivative(
            broyden, x, method="3-point", sparsity=(pattern, groups)
        ),
        "mibun central, colours precomputed": lambda: jacobian(broyden, x, sparsity=known, method="central"),
        "mibun central": lambda: jacobian(broyden, x, sparsity=pattern, method="central"),
        "mibun adaptive, colours precomputed": lambda: jacobian(broyden, x, sparsity=known),
        "mibun adaptive": lambda: jacobian(broyden, x, sparsity=pattern),
    }
    seconds = in_turn(calls, rounds)
    at_random = np.random.default_rng(0).normal(size=UNKNOWNS)
    found = jacobian(broyden, at_random, sparsity=pattern)
    off = np.abs(found.value.data - slopes(at_random).data)
    covers = float(np.mean(off <= found.error.data))
    theirs, central, adaptive = (list(seconds.values())[i] for i in (0, 1, 3))
    text = (
        f"Broyden's tridiagonal function, n = {UNKNOWNS:,}, at its standard point x = -1. At a random point the "
        f"adaptive bound covers {percent(covers)} of the entries, its median is "
        f"{figure(float(np.median(found.error.data)))}, in {found.evaluations} calls of f.\n\n"
        f"{table(('Jacobian', 'time'), [[name, duration(s)] for name, s in seconds.items()])}"
    )
    targets = [
        Target(
            "3-point stencil, n = 10,000", "faster than SciPy", f"{central / theirs:.2f} x its time", central < theirs
        ),
        Target("adaptive with bounds", "<= 4 x SciPy", f"{adaptive / theirs:.2f} x its time", adaptive <= 4 * theirs),
        Target("bound covers, random point", ">= 99.9 %", percent(covers), covers >= 0.999),
    ]
    return Section("A pattern that is given", text, targets)


def found_pattern(n: int) -> Section:
    """Find a pattern, and differentiate."""
    x = -np.ones(n)
    before = time.perf_counter()
    found = jacobian(broyden, x, sparsity="detect")
    seconds = time.perf_counter() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    wrong = found.value - slopes(x)
    error = float(np.abs(wrong.data).max(initial=0.0))
    text = (
        f"n = {n:,}: {found.value.nnz:,} entries in {found.evaluations} calls of f, {duration(seconds)}, largest "
        f"error {figure(error)}; largest memory of the process {memory / 1e9:.2f} GB, "
        f"{memory / found.value.nnz:.0f} bytes an entry."
    )
    targets = [
        Target(
            f"n = {n:,}, pattern detected", "<= 60 s", duration(seconds), seconds <= 60 and found.value.nnz == 3 * n - 2
        ),
        Target("memory", "<= 1000 bytes an entry", f"{memory / found.value.nnz:.0f}", memory <= 1000 * found.value.nnz),
    ]
    return Section("A pattern that is found", text, targets)


def colours() -> Section:
    """Count colours where the least number is known."""
    rng = np.random.default_rng(0)
    tri, grid = bands(400, 1, 1), bands(31, 1, 1)
    square = sparse.kron(grid, sparse.eye_array(17)) + sparse.kron(sparse.eye_array(31), bands(17, 1, 1))
    rows = []
    for name, matrix, least in (
        ("tridiagonal", tri, 3),
        ("tridiagonal, rows and columns shuffled", tri[rng.permutation(400)][:, rng.permutation(400)], 3),
        ("pentadiagonal", bands(400, 2, 2), 5),
        ("one band below, three above", bands(400, 1, 3), 5),
        ("five points of a 31 x 17 grid", square, 5),
        ("nine points of a 31 x 17 grid", sparse.kron(grid, bands(17, 1, 1)), 9),
        ("blocks of 4", sparse.block_diag([np.ones((4, 4))] * 50), 4),
    ):
        pattern = Sparsity.of(matrix)
        mine = int(pattern.colours.max()) + 1
        natural = int(group_columns(sparse.csr_matrix(matrix), np.arange(pattern.shape[1])).max()) + 1
        rows.append([name, str(least), str(mine), str(natural)])
    met = all(row[1] == row[2] for row in rows)
    text = table(("pattern", "least", "mibun", "scipy, natural order"), rows)
    return Section("Colours", text, [Target("least number of colours", "all", "all" if met else "not all", met)])


def sections(quick: bool) -> Iterator[Section]:
    """Measure one section after the other."""
    yield given_pattern(5 if quick else 31)
    yield found_pattern(MANY // 10 if quick else MANY)
    yield colours()


def main() -> None:
    """Run the benchmark."""
    on_one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    silence()
    command = " ".join(["python benchmarks/sparse.py", *sys.argv[1:]])
    text = report("Sparse Jacobians", sections(arguments.quick), [], command)
    print(text)
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
