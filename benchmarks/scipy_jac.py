"""What SciPy's solvers make of mibun's derivatives, beside SciPy's own differences: evaluations, and where they end.

    python benchmarks/scipy_jac.py [--quick] [--write]

- `minimize(method="BFGS")` on the held-out functions of `surfaces.py`, from random points, to a gradient of 1e-10:
  evaluations of f in all, and the gradient where it ends, which is known to the last bits by the complex step.
- the same functions plus a million, with a noise of 1e-8, and as float32 gives them: what simulators are like.
- `least_squares` on fits of curves to made-up data, to tolerances of 1e-15.
- a function that changes on a scale that the size of x does not tell: what a call costs at first and after that.

Every function is called by the same solver with the same settings; only `jac` differs. A minute or two; `--write` puts
the report into benchmarks/results/scipy_jac.md.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from peers import Counted, contenders, quantile, share
from report import Section, Target, figure, on_one_thread, percent, report, silence, table
from scipy.optimize import least_squares, minimize
from surfaces import HELD_OUT, HELD_OUT_SEED

import mibun as mb

RESULTS = Path(__file__).parent / "results" / "scipy_jac.md"
Array = NDArray[Any]
#: Step of the complex step: far below all rounding.
TINY = 1e-30
#: Gradients below this are at the rounding of most of these functions.
SMALL = 1e-9

#: How a solver may be given derivatives: what to write for `jac`, from f.
WAYS: dict[str, Callable[[Any], Any]] = {
    "2-point": lambda _: "2-point",
    "3-point": lambda _: "3-point",
    "mibun.scipy.jac": lambda f: mb.scipy.jac(f),
    'jac, method="central"': lambda f: mb.scipy.jac(f, method="central"),
}


Spoil = Callable[[Callable[[Any], Any]], Callable[[Any], Any]]
#: What the values of simulators are like.
SPOILED: dict[str, Spoil] = {
    "plus a million": lambda f: lambda x: f(x) + 1e6,
    "noise of 1e-8": lambda f: lambda x: f(x) + 1e-8 * np.sin(1e12 * np.sum(x * np.sqrt(2 + np.arange(x.size)))),
    "float32": lambda f: lambda x: float(np.float32(f(x))),
}


class End(NamedTuple):
    """Where a solver ended: the largest entry of the true gradient, and the evaluations of f on the way."""

    gradient: float
    evaluations: int


def slopes(f: Callable[[Array], Any], x: Array) -> Array:
    """Differentiate an analytic f by the complex step, exact but for rounding."""
    columns = []
    for place in range(x.size):
        moved = x.astype(complex)
        moved[place] += 1j * TINY
        columns.append(np.imag(f(moved)) / TINY)
    return np.array(columns).T


def minimized(f: Callable[[Any], Any], x: Array, way: Callable[[Any], Any], spoiled: Spoil = lambda f: f) -> End:
    """Minimize f from x, as it is or spoiled."""
    counted = Counted(spoiled(f), x.size)
    found = minimize(counted, x, jac=way(counted), method="BFGS", options={"gtol": 1e-10, "maxiter": 1000})
    gradient = np.abs(slopes(f, found.x)).max()
    return End(float(gradient) if np.isfinite(gradient) else np.inf, counted.count)


def fitted(f: Callable[[Any], Any], x: Array, way: Callable[[Any], Any]) -> End:
    """Fit a curve from x."""
    counted = Counted(f, x.size)
    settings = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "max_nfev": 300}
    found = least_squares(counted, x, jac=way(counted), x_scale="jac", **settings)
    residuals = f(found.x)
    return End(float(np.abs(slopes(f, found.x).T @ residuals).max()), counted.count)


def compared(
    solver: Callable[..., End], problems: Sequence[tuple[Callable[[Any], Any], Array]]
) -> tuple[str, dict[str, list[End]]]:
    """Let a solver take every way on every problem; give the table, too."""
    ends = {name: [solver(f, x, way) for f, x in problems] for name, way in WAYS.items()}
    rows = [
        [
            name,
            f"{quantile([end.gradient for end in own], 0.5):.0e}",
            f"{quantile([end.gradient for end in own], 0.9):.0e}",
            percent(share([end.gradient < SMALL for end in own])),
            figure(fmean(end.evaluations for end in own)),
        ]
        for name, own in ends.items()
    ]
    heads = ("jac", "final gradient, median", "p90", f"below {SMALL:.0e}", "evaluations of f, mean")
    return table(heads, rows), ends


def gained(what: str, ends: dict[str, list[End]]) -> list[Target]:
    """Compare the final gradients with those of 2-point and 3-point differences."""
    middle = {name: quantile([end.gradient for end in own], 0.5) for name, own in ends.items()}
    own = middle["mibun.scipy.jac"]
    targets = []
    for other in ("2-point", "3-point"):
        gain = middle[other] / max(own, np.finfo(float).tiny)
        targets.append(Target(f"{what}: final gradient of {other} / ours", ">= 1", figure(gain), gain >= 1))
    return targets


def minima_section(count: int) -> Section:
    """Minimize the held-out functions."""
    problems = [(surface.__call__, x) for surface in HELD_OUT for x in surface.points(HELD_OUT_SEED, count)]
    text, ends = compared(minimized, problems)
    title = f"minimize, BFGS: {len(HELD_OUT)} functions, each from {count} points"
    return Section(title, text, gained("minimize", ends))


def spoiled_section(count: int) -> Iterator[Section]:
    """Minimize what simulators would give."""
    problems = [(surface.__call__, x) for surface in HELD_OUT for x in surface.points(HELD_OUT_SEED, count)]
    for name, spoil in SPOILED.items():
        text, ends = compared(partial(minimized, spoiled=spoil), problems)
        title = f"The same, {name}: each from {count} points"
        yield Section(title, text, gained(f"minimize, {name}", ends))


def _curves() -> list[tuple[Callable[[Any, Array], Any], list[float], list[float]]]:
    """Give curves with true parameters and a start."""
    return [
        (lambda p, t: p[0] * np.exp(-p[1] * t) + p[2], [2.5, 1.3, 0.5], [1.0, 0.5, 0.0]),
        (lambda p, t: p[0] * np.exp(-((t - p[1]) ** 2) / (2 * p[2] ** 2)), [3.0, 1.5, 0.4], [2.0, 1.2, 0.7]),
        (lambda p, t: p[0] * t / (p[1] + t), [4.0, 0.8], [1.0, 1.0]),
        (lambda p, t: p[0] / (1 + np.exp(-p[1] * (t - p[2]))), [5.0, 2.0, 1.4], [3.0, 1.0, 1.0]),
        (lambda p, t: p[0] * np.sin(p[1] * t + p[2]), [1.5, 2.2, 0.3], [1.0, 2.0, 0.0]),
        (lambda p, t: p[0] * np.exp(-p[1] * t) * np.cos(p[2] * t), [2.0, 0.4, 3.0], [1.5, 0.3, 2.8]),
        (lambda p, t: p[0] * np.log(1 + p[1] * t), [1.2, 3.0], [1.0, 1.0]),
        (lambda p, t: (p[0] + p[1] * t) / (1 + p[2] * t), [1.0, 2.0, 0.7], [0.5, 1.0, 0.1]),
    ]


def fits_section(count: int) -> Section:
    """Fit curves to made-up data."""
    problems = []
    t = np.linspace(0.1, 3.0, 25)
    for curve, truth, start in _curves():
        for seed in range(count):
            noise = 0.05 * np.random.default_rng([HELD_OUT_SEED, seed]).normal(size=t.size)
            data = curve(np.array(truth), t) + noise
            problems.append((lambda p, curve=curve, data=data: curve(p, t) - data, np.array(start)))
    text, ends = compared(fitted, problems)
    title = f"least_squares: {len(_curves())} curves, each with {count} sets of data"
    return Section(title, text, gained("least_squares", ends))


def scales_section() -> Section:
    """Count what a call costs where x does not tell the scale of f."""
    rows, ratios = [], []
    rng = np.random.default_rng(HELD_OUT_SEED)
    for wave in (30.0, 300.0, 3000.0):
        x = rng.uniform(5.0, 9.0, 20)

        def f(x: Array, wave: float = wave) -> Any:
            return np.sum(np.sin(wave * x))

        found = mb.scipy.jac(f)
        found(x)
        first = found.evaluations
        later: list[int] = []
        for _ in range(10):
            x = x * (1 + 1e-3 * rng.normal(size=x.size))
            found(x)
            later.append(found.evaluations - first - sum(later))
        cold = mb.gradient(f, x).evaluations
        rows.append([f"sin({wave:g} x), x from 5 to 9", str(first), figure(fmean(later)), str(cold)])
        ratios.append(fmean(later) / cold)
    heads = ("f, a sum over 20 entries", "first call", "later calls, mean", "a call that knows nothing")
    target = Target(
        "later calls / calls that know nothing", "<= 0.75", f"{max(ratios):.2f} at most", max(ratios) <= 0.75
    )
    return Section("Evaluations of a call, where x does not tell the scale", table(heads, rows), [target])


def sections(quick: bool) -> Iterator[Section]:
    """Measure one part after the other."""
    yield minima_section(1 if quick else 3)
    yield from spoiled_section(1 if quick else 2)
    yield fits_section(1 if quick else 4)
    yield scales_section()


def main() -> None:
    """Print the report, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few points of each function")
    parser.add_argument("--write", action="store_true", help=f"put the report into {RESULTS.name}")
    options = parser.parse_args()
    on_one_thread()
    silence()
    command = " ".join(["python benchmarks/scipy_jac.py", *sys.argv[1:]])
    text = report("SciPy with mibun's derivatives", sections(options.quick), contenders(), command)
    print(text)
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
