"""How fast the derivatives are, beside other libraries: the half of the comparison that needs a quiet machine.

    python benchmarks/derivative_speed.py [--quick]

One scalar call, gradients, a Jacobian, many points at once. All contenders take turns on one thread; times are
medians. `derivatives.py` puts these sections into the published report, below those on accuracy and honesty; alone,
this prints them.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from mix import HELD_OUT_SEED, Problem, problems
from peers import Contender, Counted, contenders, jacobians, mix_times, scalar_times, share
from report import Section, Target, duration, figure, on_one_thread, percent, quiet, report, silence, table

from mibun.derivatives import derivative, gradient

UNKNOWNS = 1000
CHEAP: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "exp": (math.exp, np.exp),
    "sin": (math.sin, np.sin),
    "log": (math.log, np.log),
    "x*x": (lambda x: x * x, lambda x: x * x),
    "tanh": (math.tanh, np.tanh),
}


class Timing(NamedTuple):
    """How many problems of the mix, how many rounds; a million points may take `patience` seconds."""

    problems: int = 500
    rounds: int = 9
    patience: float = 8.0


NORMAL = Timing()
QUICK = Timing(problems=100, rounds=3, patience=2.0)
FULL = Timing(rounds=15, patience=20.0)


def in_turn(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Time every call once a round, in turn, and give the median seconds of each."""
    times: dict[str, list[float]] = {}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            before = time.perf_counter()
            call()
            times.setdefault(name, []).append(time.perf_counter() - before)
    return {name: median(values) for name, values in times.items()}


def speed(timing: Timing, found: Sequence[Contender], mix: Sequence[Problem]) -> Section:
    """Time one scalar call."""
    timed = mix[: timing.problems]
    cheap = scalar_times(found, CHEAP, 1.3, timing.rounds)
    mean = mix_times(found, timed, max(timing.rounds // 3, 3))
    rows = [
        [
            c.name,
            *(duration(cheap[c.name][f]) for f in CHEAP),
            duration(median(cheap[c.name].values())),
            duration(mean[c.name]),
        ]
        for c in found
    ]
    heads = ("contender", *CHEAP, "median", f"mean over {len(timed)} problems of the mix")
    typical, over_mix = median(cheap["mibun"].values()), mean["mibun"]
    targets = [
        Target("scalar call, cheap f", "<= 8 us", duration(typical), typical <= 8e-6),
        Target("mean over the held-out mix", "<= 18 us", duration(over_mix), over_mix <= 18e-6),
    ]
    return Section(
        "One scalar call", f"At x = 1.3, f of the module math (for arrays: NumPy's).\n\n{table(heads, rows)}", targets
    )


def rosenbrock(x: Any) -> Any:
    """Give the Rosenbrock function of every row."""
    return np.sum(100.0 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1.0 - x[..., :-1]) ** 2, axis=-1)


def rosenbrock_slopes(x: Any) -> Any:
    """Give its gradient at one x."""
    slopes = np.zeros_like(x)
    slopes[1:] = 200.0 * (x[1:] - x[:-1] ** 2)
    slopes[:-1] -= 400.0 * x[:-1] * (x[1:] - x[:-1] ** 2) + 2.0 * (1.0 - x[:-1])
    return slopes


def relative(found: Any, truth: Any) -> float:
    """Give the largest error, relative to the largest entry."""
    return float(np.max(np.abs(found - truth)) / np.max(np.abs(truth)))


def gradients(timing: Timing) -> Section:
    """Time gradients of the Rosenbrock function, with f of many points and with f of one."""
    try:
        from scipy.optimize import rosen
        from scipy.optimize._numdiff import approx_derivative
    except ImportError:
        return Section("Gradients", "SciPy is not installed; nothing was measured.", [])
    x = np.random.default_rng(0).uniform(-2.0, 2.0, UNKNOWNS)
    vectorized, plain = gradient(rosenbrock, x, vectorized=True), gradient(rosen, x)
    calls: dict[str, Callable[[], object]] = {
        "mibun, vectorized": lambda: gradient(rosenbrock, x, vectorized=True),
        "mibun, plain f": lambda: gradient(rosen, x),
        "scipy 3-point, plain f": lambda: approx_derivative(rosen, x, method="3-point"),
        "f alone, as often as mibun": lambda: [rosen(x) for _ in range(plain.evaluations)],
    }
    seconds = in_turn(calls, max(timing.rounds // 2, 3))
    truth = rosenbrock_slopes(x)
    three_point = approx_derivative(rosen, x, method="3-point")
    errors = [relative(vectorized.value, truth), relative(plain.value, truth), relative(three_point, truth), math.nan]
    evaluations = [vectorized.evaluations, plain.evaluations, 2 * UNKNOWNS + 1, plain.evaluations]
    rows = [
        [name, duration(seconds[name]), figure(e), f"{n:,}"]
        for name, e, n in zip(calls, errors, evaluations, strict=True)
    ]
    covers = share(np.abs(vectorized.value - truth) <= vectorized.error + 4 * np.spacing(np.abs(truth)))
    ours, theirs = seconds["mibun, vectorized"], seconds["scipy 3-point, plain f"]
    overhead = seconds["mibun, plain f"] / seconds["f alone, as often as mibun"]
    text = (
        f"Rosenbrock, n = {UNKNOWNS}; errors are relative to the largest entry; the vectorized bound covers "
        f"{percent(covers)} of the entries.\n\n{table(('gradient', 'time', 'error', 'evaluations'), rows)}"
    )
    targets = [
        Target(
            "vectorized gradient, n = 1000", "faster than 3-point", f"{ours / theirs:.2f} x its time", ours < theirs
        ),
        Target("its error", "< 1e-12", figure(errors[0]), errors[0] < 1e-12),
        Target("gradient of plain f / its f calls", "<= 1.3", figure(overhead), overhead <= 1.3),
    ]
    return Section("Gradients", text, targets)


#: Outputs of one function of (a, b) that want different steps, each with its slopes.
OUTPUTS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[float, float], tuple[float, float]]]] = {
    "1e8 sin(a b)": (
        lambda a, b: 1e8 * np.sin(a * b),
        lambda a, b: (1e8 * b * math.cos(a * b), 1e8 * a * math.cos(a * b)),
    ),
    "1e-8 exp(3 b)": (lambda a, b: 1e-8 * np.exp(3 * b), lambda a, b: (0.0, 3e-8 * math.exp(3 * b))),
    "sin(300 a) + b": (lambda a, b: np.sin(300 * a) + b, lambda a, b: (300 * math.cos(300 * a), 1.0)),
    "1/(a - 0.99)": (lambda a, b: 1 / (a - 0.99), lambda a, b: (-1 / (a - 0.99) ** 2, 0.0)),
    "log(a b)": (lambda a, b: np.log(a * b), lambda a, b: (1 / a, 1 / b)),
}


def jacobian_of_scales() -> Section:
    """Differentiate outputs that want different steps, in one call."""
    x = np.array([1.0, 2.0])

    def f(x: Any) -> Any:
        return np.stack([output(x[0], x[1]) for output, _ in OUTPUTS.values()])

    truth = np.array([slopes(*x.tolist()) for _, slopes in OUTPUTS.values()])
    rows, errors = [], {}
    for name, jacobian in jacobians().items():
        counted = Counted(f, size=2)
        try:
            found = jacobian(counted, x)
        except Exception as reason:  # noqa: BLE001  a peer may raise what it likes
            rows.append([name, f"raised {type(reason).__name__}", *["-"] * len(OUTPUTS)])
            continue
        errors[name] = [relative(found[i], truth[i]) for i in range(len(OUTPUTS))]
        rows.append([name, f"{counted.count}", *map(figure, errors[name])])
    shown = table(("contender", "evaluations", *OUTPUTS), rows)
    text = f"Error of each output, relative to its larger slope, at (1, 2).\n\n{shown}"
    worst = max(errors["mibun"])
    return Section("A Jacobian of outputs that want different steps", text, [
        Target("Jacobian, worst output", "< 1e-10", figure(worst), worst < 1e-10)
    ])  # fmt: skip


def many_points(timing: Timing) -> Section:
    """Time a million points in one call, or as many as patience allows."""
    count = 1_000_000
    few = np.linspace(-10.0, 10.0, 1000)
    each = in_turn({"": lambda: derivative(np.sin, few, vectorized=True)}, 3)[""] / len(few)
    while count > len(few) and count * each > timing.patience:
        count //= 10
    points = np.random.default_rng(1).uniform(-10.0, 10.0, count)
    calls: dict[str, Callable[[], Any]] = {"mibun": lambda: derivative(np.sin, points, vectorized=True)}
    try:
        from scipy.differentiate import derivative as scipy_derivative

        calls["scipy.differentiate"] = lambda: scipy_derivative(np.sin, points)
    except ImportError:
        pass
    seconds = in_turn(calls, 3)
    ours = calls["mibun"]()
    answers = {"mibun": (ours.value, ours.error, float(ours.evaluations))}
    if len(calls) > 1:
        theirs = calls["scipy.differentiate"]()
        answers["scipy.differentiate"] = (theirs.df, theirs.error, float(np.sum(theirs.nfev)))
    truth = np.cos(points)
    covers = {name: share(np.abs(value - truth) <= bound + 2e-16) for name, (value, bound, _) in answers.items()}
    rows = [
        [name, duration(seconds[name]), percent(covers[name]), f"{relative(value, truth):.1e}", f"{total / count:.1f}"]
        for name, (value, _, total) in answers.items()
    ]
    fewer = "" if count == 1_000_000 else f" A million would have taken mibun about {duration(1e6 * each)}."
    text = f"{count:,} points of sin, one vectorized call.{fewer}\n\n" + table(
        ("contender", "time", "bound covers", "largest error", "evaluations a point"), rows
    )
    targets = [Target("bound covers", ">= 99.9 %", percent(covers["mibun"]), covers["mibun"] >= 0.999)]
    if len(calls) > 1:
        ratio = seconds["mibun"] / seconds["scipy.differentiate"]
        what = f"{count:,} points, vectorized sin"
        targets.insert(0, Target(what, "<= 1 x scipy.differentiate", f"{ratio:.2f} x", ratio <= 1))
    return Section("Many points at once", text, targets)


def sections(timing: Timing, found: Sequence[Contender], mix: Sequence[Problem]) -> Iterator[Section]:
    """Measure one section after the other; nothing else may run meanwhile."""
    yield speed(timing, found, mix)
    yield gradients(timing)
    yield jacobian_of_scales()
    yield many_points(timing)


def main() -> None:
    """Measure speed alone."""
    on_one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    timing = QUICK if parser.parse_args().quick else NORMAL
    silence()
    with quiet():
        found = contenders()
        measured = sections(timing, found, problems(HELD_OUT_SEED, timing.problems))
        text = report("Derivatives: speed", measured, found, " ".join(["python", *sys.argv]))
    print(text)


if __name__ == "__main__":
    main()
