"""Whether every descent stops for the right reason, and what SciPy gains by gradients with a bound.

    python benchmarks/descend.py [--quick] [--write]

- classic functions and traps, each with the reason for which a descent has to stop (`courses.py`).
- random problems whose answer follows from theory, from a seed that nothing was chosen on.
- SciPy's BFGS, L-BFGS-B and least_squares with mibun's gradients and Jacobians, beside its own 2-point and 3-point
  differences: who ends at the smaller true gradient, and what that costs. The functions are the held-out ones of
  `surfaces.py`, and their residuals. Tolerances are as small as floats allow, so that the gradients decide where a run
  ends, and not the tolerance; the true gradient is that of 120 digits. Two ends are told apart where the true f, of
  120 digits too, differs between them by more than the rounding of its value there: within it no solver that compares
  values of f can do better, and whose gradient is smaller is chance. Both shares are published.

Evaluations are counted by a wrapper around f. Some minutes; `--quick` takes one. `--write` puts the report into
benchmarks/results/descend.md.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from courses import CLASSIC, HELD_OUT_SEED, Case, random_cases
from report import Section, Target, figure, on_one_thread, percent, report, silence, table
from residuals import RESIDUALS
from surfaces import HELD_OUT, Array, Surface

import mibun as mb

RESULTS = Path(__file__).parent / "results" / "descend.md"
POINTS_SEED = 41
WAYS = ("mibun", "mibun, rtol 1e-6", "the same, value_and_jac", "2-point", "3-point")
F = Callable[[Array], Any]


def classic_section(cases: Sequence[Case]) -> Section:
    """Run every classic descent."""
    rows, right = [], 0
    for case in cases:
        path = case.run()
        right += path.status is case.status
        found = str(path.status) if path.status is case.status else f"**{path.status}**, not {case.status}"
        rows.append([case.name, found, f"{path.nit:,}", f"{path.evaluations:,}", path.message.replace("|", "\\|")])
    target = Target("classic functions: status right", "all", f"{right} of {len(cases)}", right == len(cases))
    text = table(("descent", "status", "steps", "evaluations", "message"), rows)
    return Section("Classic functions and traps", text, [target])


def random_section(count: int) -> Section:
    """Run random descents, and count the right answers of each kind."""
    asked, right, wrong = Counter[str](), Counter[str](), list[list[str]]()
    for case in random_cases(HELD_OUT_SEED, count):
        path = case.run()
        kind = f"{case.kind} -> {case.status}"
        asked[kind] += 1
        right[kind] += path.status is case.status
        if path.status is not case.status:
            wrong.append([case.name, str(case.status), str(path.status), path.message.replace("|", "\\|")])
    rows = [[kind, f"{right[kind]} of {number}"] for kind, number in sorted(asked.items())]
    text = table(("problem -> right status", "right"), rows)
    if wrong:
        text += f"\n\nThe others:\n\n{table(('problem', 'right', 'given', 'message'), wrong)}"
    share = sum(right.values()) / count
    target = Target("random problems, held out: status right", "99 %", percent(share), share >= 0.99)
    return Section(f"{count} random problems, held out", text, [target])


class End(NamedTuple):
    """Where a run of SciPy ended: the size of the true gradient, inf: it raised; true f, its rounding; evaluations."""

    slope: float
    evaluations: int
    level: Any = 0
    rounding: float = 0.0

    def no_worse(self, other: "End") -> bool:
        """Tell whether the gradient is not larger, or f the same up to its rounding."""
        apart = abs(self.level - other.level)
        return self.slope <= other.slope or bool(apart <= max(self.rounding, other.rounding))


def minimized(surface: Surface, start: Array, way: str, method: str, tight: bool) -> End:
    """Let SciPy minimize a surface."""
    from scipy.optimize import least_squares, minimize

    count = 0
    residuals = RESIDUALS.get(surface.name)

    def f(x: Array) -> Any:
        nonlocal count
        count += 1
        return np.array(residuals(x.tolist(), np)) if method == "least_squares" and residuals else float(surface(x))

    rtol: dict[str, Any] = {} if way == WAYS[0] else {"rtol": 1e-6}
    jac: Any = mb.scipy.jac(f, **rtol) if way in WAYS[:2] else way
    try:
        if method == "least_squares":
            tiny = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "max_nfev": 200} if tight else {}
            found = least_squares(f, start, jac=jac, **tiny)
        else:
            small = {"gtol": 1e-14, "maxiter": 200} | ({"ftol": 0.0, "maxfun": 10**6} if method != "BFGS" else {})
            both = way == WAYS[2]
            what, jac = (mb.scipy.value_and_jac(f, **rtol), True) if both else (f, jac)
            found = minimize(what, start, jac=jac, method=method, options=small if tight else {})
    except (ValueError, np.linalg.LinAlgError):
        return End(math.inf, count)
    spent, level = count, surface.level(found.x)
    rounding = max(abs(float(surface(found.x)) - level), np.finfo(float).eps * abs(level))
    return End(float(np.linalg.norm(surface.gradient(found.x))), spent, level, float(rounding))


def scipy_section(method: str, surfaces: Sequence[Surface], count: int) -> Section:
    """Compare all ways of one method."""
    ways = [way for way in WAYS if method != "least_squares" or way != WAYS[2]]
    ends: dict[str, list[End]] = {way: [] for way in ways}
    usual: dict[str, list[End]] = {way: [] for way in ways}
    for surface in surfaces:
        for start in surface.points(POINTS_SEED, count):
            for way in ways:
                ends[way].append(minimized(surface, start, way, method, tight=True))
                usual[way].append(minimized(surface, start, way, method, tight=False))
    own = ends["mibun"]
    rows = []
    for way in ways:
        pairs = list(zip(own, ends[way], strict=True))
        smaller = sum(a.slope < b.slope for a, b in pairs) / len(own)
        no_worse = sum(a.no_worse(b) for a, b in pairs) / len(own)
        ratio = median(b.evaluations / a.evaluations for a, b in zip(usual["3-point"], usual[way], strict=True))
        middle, most = np.quantile([end.slope for end in ends[way]], [0.5, 0.9])
        evaluations = [figure(median(end.evaluations for end in runs[way])) for runs in (ends, usual)]
        shares = ["-", "-"] if way == "mibun" else [percent(smaller), percent(no_worse)]
        rows.append([way, f"{middle:.0e}", f"{most:.0e}", *shares, *evaluations, figure(ratio)])
    heads = (
        "gradients",
        "true gradient at the end, median",
        "p90",
        "mibun's is smaller",
        "smaller, or f the same to its rounding",
        "evaluations, median",
        "with SciPy's tolerances",
        "x those of 3-point, median",
    )
    targets = []
    for way in ("2-point", "3-point"):
        share = sum(a.no_worse(b) for a, b in zip(own, ends[way], strict=True)) / len(own)
        text = f"{method}: gradient smaller than with {way}, or f the same to its rounding"
        targets.append(Target(text, "90 %", percent(share), share >= 0.9))
    for row in rows[1:-2]:
        name = row[0].removeprefix("mibun, ").replace("the same", "rtol 1e-6")
        targets.append(
            Target(f"{method}, {name}: evaluations / 3-point", "at most 2.5", row[-1], float(row[-1]) <= 2.5)
        )
    title = f"SciPy's {method}, {len(surfaces)} functions, held out, from {count} points each"
    text = (
        f"{table(heads, rows)}\n\nWhere f is not 0 at its minimum, its rounding ends the line search before a gradient "
        "of ten digits and one of fourteen make a difference; which of them ends at the smaller one is chance there."
    )
    return Section(title, text if method != "least_squares" else table(heads, rows), targets)


def sections(quick: bool) -> Iterator[Section]:
    """Measure one part after the other."""
    yield classic_section([case for case in CLASSIC if not quick or case.name != "Rosenbrock"])
    yield random_section(140 if quick else 700)
    count = 1 if quick else 3
    for method in ("BFGS", "L-BFGS-B"):
        yield scipy_section(method, HELD_OUT, count)
    yield scipy_section("least_squares", [surface for surface in HELD_OUT if surface.name in RESIDUALS], 2 * count)


def main() -> None:
    """Print the report, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few problems")
    parser.add_argument("--write", action="store_true", help=f"put the report into {RESULTS.name}")
    options = parser.parse_args()
    on_one_thread()
    silence()
    command = " ".join(["python benchmarks/descend.py", *sys.argv[1:]])
    text = report("Descents", sections(options.quick), [], command)
    print(text)
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
