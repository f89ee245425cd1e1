"""Sparse Jacobians and Hessians: time beside SciPy, bounds, detection, memory, numbers of colours, misses.

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
from patterns import COLUMNS, STARS, band, random_parts
from peers import contenders
from report import Section, Target, duration, figure, on_one_thread, percent, report, silence, table
from scipy import sparse
from scipy.optimize._numdiff import approx_derivative, group_columns

from mibun.derivatives import jacobian
from mibun.hessians import hessian
from mibun.result import Derivative
from mibun.sparsity import Sparsity

RESULTS = Path(__file__).parent / "results" / "sparse.md"
UNKNOWNS = 10_000
MANY = 1_000_000
#: Random functions on which nothing was tuned begin with this seed; those of the tests begin with 0.
HELD_OUT = 10_000


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


def chain(x: Any) -> Any:
    """Give a sum over neighbours, whose Hessian is tridiagonal."""
    return np.sum(np.sin(x[:-1] * x[1:]))


def chain_gradient(x: Any) -> Any:
    """Give its gradient."""
    g, c = np.zeros_like(x), np.cos(x[:-1] * x[1:])
    g[:-1] += x[1:] * c
    g[1:] += x[:-1] * c
    return g


def chain_hessian(x: Any) -> Any:
    """Give its Hessian, as the entries of a matrix row by row."""
    product = x[:-1] * x[1:]
    beside, main = np.cos(product) - product * np.sin(product), np.zeros_like(x)
    main[:-1] -= x[1:] ** 2 * np.sin(product)
    main[1:] -= x[:-1] ** 2 * np.sin(product)
    return sparse.csr_array(sparse.diags_array([beside, main, beside], offsets=[-1, 0, 1]))


def covered(found: Derivative, truth: Any) -> float:
    """Give the share of entries whose error holds the truth."""
    return float(np.mean(np.abs(found.value.data - truth.data) <= found.error.data))


def given_pattern(rounds: int) -> Section:
    """Time Jacobians of a pattern that is given, at the standard point and at a random one."""
    pattern = sparse.csr_matrix(band(UNKNOWNS, 1, 1))
    groups = group_columns(pattern, np.arange(UNKNOWNS))
    known = Sparsity.of(pattern)
    x, at_random = -np.ones(UNKNOWNS), np.random.default_rng(0).normal(size=UNKNOWNS)
    calls: dict[str, Callable[[], object]] = {
        "scipy 3-point, groups precomputed": lambda: approx_derivative(
            broyden, x, method="3-point", sparsity=(pattern, groups)
        ),
        "mibun central": lambda: jacobian(broyden, x, sparsity=pattern, method="central"),
        "mibun central, a new pattern": lambda: jacobian(
            broyden, x, sparsity=Sparsity(known.shape, known.starts, known.columns), method="central"
        ),
        "mibun complex": lambda: jacobian(broyden, x, sparsity=pattern, method="complex"),
        "mibun adaptive": lambda: jacobian(broyden, x, sparsity=pattern),
        "mibun adaptive, random point": lambda: jacobian(broyden, at_random, sparsity=pattern),
        "mibun adaptive, random point, within bounds": lambda: jacobian(
            broyden, at_random, sparsity=pattern, bounds=(-10.0, 10.0)
        ),
        "f": lambda: broyden(x),
    }
    seconds = in_turn(calls, rounds)
    theirs = seconds["scipy 3-point, groups precomputed"]
    central, adaptive = seconds["mibun central"], seconds["mibun adaptive"]
    elsewhere = max(seconds["mibun adaptive, random point"], seconds["mibun adaptive, random point, within bounds"])
    found, fixed = (jacobian(broyden, at_random, sparsity=pattern, method=m) for m in ("adaptive", "central"))
    least = fixed.evaluations * seconds["f"]
    covers = covered(found, slopes(at_random))
    text = (
        f"Broyden's tridiagonal function, n = {UNKNOWNS:,}, at its standard point x = -1. At a random point the "
        f"adaptive bound covers {percent(covers)} of the entries, its median is "
        f"{figure(float(np.median(found.error.data)))}, in {found.evaluations} calls of f.\n\n"
        f"{table(('Jacobian', 'time'), [[name, duration(s)] for name, s in seconds.items()])}\n\n"
        f"The limit of the 3-point stencil is its {fixed.evaluations} calls of f, {duration(least)}: x, four points "
        "for each of three colours, two of which say what the error is, and four along a random direction "
        f"to verify the pattern. What comes on top, {central / least:.0f} times as much, moves memory: about 75 arrays "
        "of 80 KB for each colour, and each new one of them costs more than the arithmetic in it. A pattern that was "
        "given before has its colours; a new one is to be coloured."
    )
    targets = [
        Target(
            "3-point stencil, n = 10,000", "faster than SciPy", f"{central / theirs:.2f} x its time", central < theirs
        ),
        Target("adaptive with bounds", "<= 4 x SciPy", f"{adaptive / theirs:.2f} x its time", adaptive <= 4 * theirs),
        Target(
            "the same, random point", "<= 4 x SciPy", f"{elsewhere / theirs:.2f} x its time", elsewhere <= 4 * theirs
        ),
        Target("bound covers, random point", ">= 99.9 %", percent(covers), covers >= 0.999),
    ]
    return Section("A pattern that is given", text, targets)


def found_pattern(n: int) -> Section:
    """Find a pattern, and differentiate."""
    x = -np.ones(n)
    before = time.perf_counter()
    broyden(x)
    call = time.perf_counter() - before
    before = time.perf_counter()
    found = jacobian(broyden, x, sparsity="detect")
    seconds = time.perf_counter() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    error, entries = float(np.abs(found.value.data - slopes(x).data).max()), found.value.nnz
    text = (
        f"n = {n:,}: {entries:,} entries in {found.evaluations} calls of f, {duration(seconds)}, largest error "
        f"{figure(error)}; largest memory of the process {memory / 1e9:.2f} GB, {memory / entries:.0f} bytes an entry. "
        f"One call of f takes {duration(call)}, all of them {duration(call * found.evaluations)}: the rest is memory "
        "traffic of the probes, which compare n numbers each, and of the arrays of the method."
    )
    complete = entries == 3 * n - 2
    targets = [
        Target(f"n = {n:,}, pattern detected", "<= 60 s", duration(seconds), seconds <= 60 and complete),
        Target("memory", "O(entries): <= 500 bytes each", f"{memory / entries:.0f}", memory <= 500 * entries),
    ]
    return Section("A pattern that is found", text, targets)


def colours() -> Section:
    """Count colours where the least number is published."""
    columns, stars = [], []
    for name, (matrix, least, source) in COLUMNS.items():
        pattern = Sparsity.of(matrix)
        natural = int(group_columns(sparse.csr_matrix(matrix), np.arange(pattern.shape[1])).max()) + 1
        columns.append([name, str(least), str(int(pattern.colours.max()) + 1), str(natural), source])
    for name, (matrix, least, source) in STARS.items():
        stars.append([name, str(least), str(int(Sparsity.of(matrix).star_colours.max()) + 1), source])
    met = sum(row[1] == row[2] for row in [*columns, *stars])
    rng, shuffled = np.random.default_rng(0), []
    for n in rng.integers(3, 2000, 200).tolist():
        shuffled.append(int(Sparsity.of(band(n, 1, 1)[:, rng.permutation(n)]).colours.max()) + 1)
    text = (
        f"{table(('columns of', 'least', 'mibun', 'scipy, natural order', 'source'), columns)}\n\n"
        f"{table(('star colouring of', 'least', 'mibun', 'source'), stars)}\n\n"
        f"Tridiagonal matrices of up to 2,000 columns in 200 random orders: {max(shuffled)} colours at most."
    )
    count = len(columns) + len(stars)
    targets = [
        Target("published numbers of colours", f"all {count}", f"{met}", met == count),
        Target("tridiagonal in any order", "3 colours", f"{max(shuffled)}", max(shuffled) == 3),
    ]
    return Section("Colours", text, targets)


def verified(count: int) -> Section:
    """Give random functions the right pattern, and one that misses an entry."""
    doubted = missed = asked = held = entries = 0
    for seed in range(HELD_OUT, HELD_OUT + count):
        rng = np.random.default_rng(seed)
        f, x, pattern = random_parts(rng)
        found, exact = jacobian(f, x, sparsity=pattern), jacobian(f, x, sparsity=pattern, method="complex")
        doubted += any(note.element is None for note in found.notes)
        passing = (found.status.data < 4) & np.isfinite(exact.value.data)
        held += int(
            np.sum((np.abs(found.value.data - exact.value.data) <= found.error.data + exact.error.data)[passing])
        )
        entries += int(passing.sum())
        row = int(rng.integers(pattern.shape[0]))
        column = int(np.flatnonzero(pattern[row])[0])
        pattern[row, column] = 0
        if abs(found.value[row, column]) > 1e-4 * np.abs(found.value.toarray()[row]).max():
            asked += 1
            again = jacobian(f, x, sparsity=pattern)
            missed += again.passes and not any("the pattern missed" in note.message for note in again.notes)
    text = (
        f"{count} random functions on which nothing was tuned, up to 30 entries of x, whose rows differ in scale by "
        f"1e4. The adaptive bound and the complex step agree in {percent(held / entries)} of {entries:,} entries. Of "
        f"{count} right patterns {doubted} are doubted; of {asked} that miss an entry above 1e-4 of its row {missed} "
        "are not noticed."
    )
    targets = [
        Target("bound holds the complex step", ">= 99.9 %", percent(held / entries), held >= 0.999 * entries),
        Target("right patterns that are doubted", "0", str(doubted), doubted == 0),
        Target("misses that are not noticed", "0", str(missed), missed == 0),
    ]
    return Section("Patterns that are right or wrong", text, targets)


def second(n: int) -> Section:
    """Differentiate twice: with a gradient, and without."""
    rows, covers = [], []
    for name, size, f, gradient in (
        ("of a gradient, pattern given", n, None, chain_gradient),
        ("of a gradient, pattern detected", n, None, chain_gradient),
        ("of f alone, pattern given", n // 10, chain, None),
        ("of f alone, pattern detected", n // 10, chain, None),
    ):
        x = np.random.default_rng(3).normal(size=size) + 2.0
        truth = chain_hessian(x)
        before = time.perf_counter()
        found = hessian(f, x, gradient=gradient, sparsity="detect" if "detected" in name else truth)
        seconds = time.perf_counter() - before
        off = np.abs(found.value.data - truth.data).max() / np.abs(truth.data).max()
        covers.append(covered(found, truth))
        cells = [f"{size:,}", f"{found.evaluations:,}", duration(seconds), figure(float(off)), percent(covers[-1])]
        rows.append([name, *cells])
    heads = ("Hessian", "n", "evaluations", "time", "largest error / largest entry", "bound covers")
    text = (
        "The sum of sin(x[i] x[i + 1]), whose Hessian is tridiagonal. A gradient is differentiated in three colours; f "
        f"alone takes values for each axis and for each pair.\n\n{table(heads, rows)}"
    )
    least = min(covers)
    return Section("Hessians", text, [Target("bound covers, Hessians", ">= 99 %", percent(least), least >= 0.99)])


def sections(quick: bool) -> Iterator[Section]:
    """Measure one section after the other."""
    yield given_pattern(5 if quick else 31)
    yield found_pattern(MANY // 10 if quick else MANY)
    yield colours()
    yield verified(30 if quick else 300)
    yield second(1000 if quick else UNKNOWNS)


def main() -> None:
    """Run the benchmark."""
    on_one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    silence()
    command = " ".join(["python benchmarks/sparse.py", *sys.argv[1:]])
    text = report("Sparse Jacobians and Hessians", sections(arguments.quick), contenders(), command)
    print(text)
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
