"""How exact, how honest and how fast the derivatives are, beside other libraries, in one run and on one thread.

    python benchmarks/derivatives.py [--quick | --full] [--write]

- accuracy: the smooth rows of tests/cases.py, and the held-out mix of `mix.py`; "good" is an error below 1e-10
  relative, or at the rounding floor. A claim is wrong if the true error is more than ten times as large.
- noise: random noise, single precision, and the deterministic noise of solvers and tables.
- kinks: named with both slopes, and false alarms among smooth problems.
- speed: one scalar call, gradients, a Jacobian, many points at once. All contenders take turns; times are medians.

Every peer runs with its defaults (`peers.py`), and is left out, and said so, where it is not installed. Evaluations
are counted by a wrapper around f. `--quick` takes 30 s, the normal run about 3 minutes; `--full` has 20,000 smooth
problems. `--write` puts the report into benchmarks/results/derivatives.md.
"""

import argparse
import importlib
import math
import os
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np
from learning import machine
from mix import HELD_OUT_SEED, Kink, Noisy, Problem, kinks, noisy_problems, problems, solver_problems
from peers import (
    Answer,
    Contender,
    Counted,
    Noise,
    Score,
    ask,
    contenders,
    error,
    jacobians,
    missing,
    mix_times,
    noise_score,
    scalar_times,
    score,
    share,
    versions,
)

from mibun.derivatives import derivative, gradient
from mibun.result import Derivative, Note, Status

RESULTS = Path(__file__).parent / "results" / "derivatives.md"
THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ALARMS = (Status.KINK, Status.JUMP, Status.NOT_FINITE)
#: Slopes of a kink count as found if they are off by at most this share of their difference.
SLOPES = 0.01
UNKNOWNS = 1000
CHEAP: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "exp": (math.exp, np.exp),
    "sin": (math.sin, np.sin),
    "log": (math.log, np.log),
    "x*x": (lambda x: x * x, lambda x: x * x),
    "tanh": (math.tanh, np.tanh),
}


class Sizes(NamedTuple):
    """How many problems of each sort, how many rounds of timing; a million points may take `patience` seconds."""

    smooth: int = 3000
    beside_peers: int = 3000
    noisy: int = 900
    solvers: int = 300
    kinks: int = 1000
    timed: int = 500
    rounds: int = 9
    patience: float = 8.0


NORMAL = Sizes()
QUICK = Sizes(smooth=500, beside_peers=500, noisy=150, solvers=90, kinks=200, timed=100, rounds=3, patience=2.0)
FULL = Sizes(smooth=20_000, noisy=3000, solvers=900, kinks=3000, rounds=15, patience=20.0)


class Target(NamedTuple):
    """One line of the summary: what is asked for, and what was measured."""

    what: str
    target: str
    measured: str
    met: bool


class Section(NamedTuple):
    """A part of the report."""

    title: str
    text: str
    targets: list[Target]


def solved(problem: Problem, rtol: float | None = None) -> Derivative:
    """Give all that mibun says; an exception, which none of these problems should raise, shows as failed."""
    try:
        return derivative(problem.f, problem.x, rtol=rtol)
    except Exception as reason:  # noqa: BLE001  the other problems are to be measured nevertheless
        note = Note((), Status.FAILED, repr(reason))
        return Derivative(math.nan, math.inf, status=Status.FAILED, noise=math.nan, notes=(note,))


def smooth_rows() -> list[Problem]:
    """Give the smooth rows of tests/cases.py as problems."""
    return [_problem(case) for case in _cases().smooth_cases()]


def _cases() -> Any:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    return importlib.import_module("cases")


def _problem(case: Any) -> Problem:
    return Problem(case.formula, case.kind, case.x, case.derivative, case.f(case.x), case.scale)


# --- Text --------------------------------------------------------------------------------------------------------


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def percent(value: float) -> str:
    """Print a share; - where there is none."""
    return "-" if math.isnan(value) else f"{100 * value:.2f} %"


def figure(value: float) -> str:
    """Print a number with three digits; - where there is none."""
    return "-" if math.isnan(value) else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Print seconds with a fitting unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def examples(missed: Sequence[tuple[Problem, str]]) -> str:
    """List problems that went wrong: by kind the count, and two of them."""
    kinds: dict[str, list[str]] = {}
    for problem, what in missed:
        kinds.setdefault(problem.kind, []).append(f"`{problem.name}`: {what}")
    lines = [f"- {kind}, {len(listed)}: {'; '.join(listed[:2])}" for kind, listed in sorted(kinds.items())]
    return "\n".join(lines) or "- none"


def said(found: Derivative) -> str:
    """Print a result in a few words."""
    return f"said {found.value:.7g} ± {found.error:.2g}, {found.status}, {found.evaluations} evaluations"


# --- Accuracy ----------------------------------------------------------------------------------------------------

SCORE_HEADS = (
    "contender", "good", "bound covers", "wrong > 10x", "bound / true error, median", "evaluations, mean", "most",
    "no answer",
)  # fmt: skip


def score_row(name: str, found: Score, claims: bool) -> list[str]:
    """Write a score as a line of a table."""
    honest = [percent(found.covers), str(found.wrong), figure(found.ratio)] if claims else ["-"] * 3
    return [name, percent(found.good), *honest, f"{found.evaluations:.1f}", str(found.most), percent(found.silent)]


def accuracy(sizes: Sizes, found: Sequence[Contender], mix: Sequence[Problem]) -> Section:
    """Measure value and bound on smooth problems."""
    rows, beside = smooth_rows(), mix[: sizes.beside_peers]
    ours = {problem.name: ask(found[0], problem) for problem in (*rows, *mix)}
    texts = []
    for title, asked in (
        (f"The {len(rows)} smooth rows of tests/cases.py", rows),
        (f"{len(beside):,} problems of the held-out mix", beside),
    ):
        lines = [score_row("mibun", _score(asked, ours), claims=True)]
        if asked is beside and len(mix) > len(beside):
            lines.append(score_row(f"mibun, {len(mix):,} problems", _score(mix, ours), claims=True))
        for peer in found[1:]:
            lines.append(score_row(peer.name, score(asked, [ask(peer, problem) for problem in asked]), peer.claims))
        texts.append(f"{title}:\n\n{table(SCORE_HEADS, lines)}")
    everything = [*rows, *mix]
    kinds = dict.fromkeys(problem.kind for problem in everything)
    by_kind = [score_row(k, _score([p for p in everything if p.kind == k], ours), claims=True) for k in kinds]
    texts.append(f"mibun by kind, the rows first:\n\n{table(('kind', *SCORE_HEADS[1:]), by_kind)}")
    bad = [(p, _off(p, ours[p.name])) for p in everything if not p.is_good(ours[p.name].value)]
    bare = [(p, _off(p, ours[p.name])) for p in everything if error(p, ours[p.name].value) > ours[p.name].claim]
    texts.append(f"Not good:\n\n{examples(bad)}\n\nNot covered by mibun's bound:\n\n{examples(bare)}")
    targets = _accuracy_targets(_score(rows, ours), _score(mix, ours), _score(everything, ours))
    return Section("Accuracy", "\n\n".join(texts), targets)


def _score(asked: Sequence[Problem], answers: dict[str, Answer]) -> Score:
    return score(asked, [answers[problem.name] for problem in asked])


def _off(problem: Problem, answer: Answer) -> str:
    return f"true {problem.derivative:.6g}, off by {error(problem, answer.value):.2g}, claimed {answer.claim:.2g}"


def _accuracy_targets(cases: Score, mix: Score, both: Score) -> list[Target]:
    return [
        Target("below 1e-10 or at the floor: cases", ">= 99.5 %", percent(cases.good), cases.good >= 0.995),
        Target("the same, held-out mix", ">= 98.5 %", percent(mix.good), mix.good >= 0.985),
        Target("bound covers, smooth", ">= 99.9 %", percent(both.covers), both.covers >= 0.999),
        Target("claims wrong by more than ten times", "0", str(both.wrong), both.wrong == 0),
        Target("bound / true error, median", "<= 40", figure(both.ratio), both.ratio <= 40),
        Target("evaluations over the cases, mean", "<= 14", f"{cases.evaluations:.1f}", cases.evaluations <= 14),
        Target("evaluations, most", "<= 40", str(both.most), both.most <= 40),
    ]


# --- Noise -------------------------------------------------------------------------------------------------------

NOISE_HEADS = (
    "contender", "bound covers", "wrong > 10x", "error / best step's, median", "p90", "level / true, median",
    "evaluations, mean", "most", "no answer",
)  # fmt: skip


def noise_row(name: str, found: Noise, claims: bool) -> list[str]:
    """Write what was measured under noise as a line of a table."""
    honest = [percent(found.score.covers), str(found.score.wrong)] if claims else ["-"] * 2
    errors = [figure(found.middle), figure(found.p90), figure(found.level)]
    return [
        name,
        *honest,
        *errors,
        f"{found.score.evaluations:.1f}",
        str(found.score.most),
        percent(found.score.silent),
    ]


def _mibun_under_noise(asked: Sequence[Noisy]) -> tuple[Noise, list[list[str]], list[tuple[Problem, str]]]:
    """Measure mibun on all kinds together, and each kind alone."""
    results = [(problem, solved(problem)) for problem in asked]

    def judged(kind: str | None) -> Noise:
        chosen = [(p, d) for p, d in results if kind in (None, p.kind)]
        answers = [Answer(d.value, d.error, d.evaluations) for _, d in chosen]
        return noise_score([p for p, _ in chosen], answers, [d.noise for _, d in chosen])

    rows = [noise_row("mibun", judged(None), claims=True)]
    rows += [noise_row(f"mibun: {kind}", judged(kind), claims=True) for kind in sorted({p.kind for p in asked})]
    missed = [
        (
            p,
            f"true {p.derivative:.6g}, off by {error(p, d.value):.2g}, {said(d)}, level {d.noise:.2g} of {p.sd:.2g}",
        )
        for p, d in results
        if error(p, d.value) > d.error
    ]
    return judged(None), rows, [(p, what) for p, what in missed]


def noise(sizes: Sizes, found: Sequence[Contender]) -> Section:
    """Measure everything under random and under deterministic noise."""
    texts, scores = [], []
    for title, asked in (
        ("random noise of 1e-12..1e-3, and single precision", noisy_problems(HELD_OUT_SEED, sizes.noisy)),
        ("deterministic noise of 1e-6", solver_problems(HELD_OUT_SEED, sizes.solvers)),
    ):
        of_mibun, rows, missed = _mibun_under_noise(asked)
        for contender in found[1:]:
            answers = [ask(contender, problem) for problem in asked]
            rows.append(noise_row(contender.name, noise_score(asked, answers), contender.claims))
        scores.append(of_mibun)
        texts.append(f"{len(asked):,} problems, {title}:\n\n{table(NOISE_HEADS, rows)}")
        texts.append(f"Not covered by mibun's bound:\n\n{examples(missed)}")
    random, fixed = scores
    targets = [
        Target("bound covers, random noise", ">= 99 %", percent(random.score.covers), random.score.covers >= 0.99),
        Target("bound covers, solver and table", ">= 97 %", percent(fixed.score.covers), fixed.score.covers >= 0.97),
        Target("error / that of the best step, median", "<= 1", figure(random.middle), random.middle <= 1),
        Target("the same, p90", "<= 5", figure(random.p90), random.p90 <= 5),
        Target("noise level / true one, median", "0.9 to 1.1", figure(random.level), 0.9 <= random.level <= 1.1),
    ]
    return Section("Noise", "\n\n".join(texts), targets)


# --- Kinks -------------------------------------------------------------------------------------------------------


def named(problem: Kink, found: Derivative) -> bool:
    """Return whether the kink was named, with both slopes."""
    notes = [note for note in found.notes if note.left is not None and note.right is not None]
    if found.status is not Status.KINK or not notes:
        return False
    left, right = notes[0].left or 0.0, notes[0].right or 0.0
    return max(abs(left - problem.left), abs(right - problem.right)) <= SLOPES * abs(problem.left - problem.right)


def difficult(sizes: Sizes, mix: Sequence[Problem]) -> Section:
    """Measure what mibun says where there is no derivative, and where there is one after all."""
    smooth = [*smooth_rows(), *mix]
    at_x = kinks(HELD_OUT_SEED, sizes.kinks)
    groups: dict[str, list[tuple[Problem, Derivative]]] = {
        "smooth": [(problem, solved(problem)) for problem in smooth],
        "kink at x": [(replace(problem, derivative=math.nan), solved(problem)) for problem in at_x],
        "kink 1e-9..1e-1 abs(x) from x": [(p, solved(p)) for p in kinks(HELD_OUT_SEED, sizes.kinks, share_near=1.0)],
        **_other_kinds(),
    }
    alarms = [(p, said(d)) for p, d in groups["smooth"] if d.status in ALARMS]
    unnamed = [
        (p, f"slopes {p.left:.6g} and {p.right:.6g}, {said(d)}; {'; '.join(map(str, d.notes))}")
        for p, (_, d) in zip(at_x, groups["kink at x"], strict=True)
        if not named(p, d)
    ]
    silent = [(p, f"true {p.derivative:.6g}, {said(d)}") for pairs in groups.values() for p, d in pairs if wrong(p, d)]
    heads = ("problems", "count", "what mibun said", "passes, yet is wrong")
    text = (
        "A result passes, yet is wrong, where `require()` gives a number but the truth is not within its error, or "
        f"does not exist.\n\n{table(heads, [_told(name, pairs) for name, pairs in groups.items()])}\n\n"
        f"Passes, yet is wrong:\n\n{examples(silent)}\n\nFalse alarms in {len(smooth):,} smooth problems:\n\n"
        f"{examples(alarms)}\n\nKinks at x that were not named with both slopes (to {SLOPES:.0%} of their "
        f"difference):\n\n{examples(unnamed)}"
    )
    share_named = 1 - len(unnamed) / len(at_x)
    targets = [
        Target(f"false alarms in {len(smooth):,} smooth problems", "0", str(len(alarms)), not alarms),
        Target("random kinks named with both slopes", ">= 99 %", percent(share_named), share_named >= 0.99),
    ]
    return Section("Kinks, and what else is not smooth", text, targets)


def wrong(problem: Problem, found: Derivative) -> bool:
    """Return whether a result passes though the truth is not within its error; nan means that there is no truth."""
    return bool(found.status.passes) and not error(problem, found.value) <= found.error


def _told(name: str, pairs: Sequence[tuple[Problem, Derivative]]) -> list[str]:
    """Count the statuses of a group of problems."""
    counts = Counter(str(found.status) for _, found in pairs)
    words = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
    return [name, f"{len(pairs):,}", words, str(sum(wrong(problem, found) for problem, found in pairs))]


def _other_kinds() -> dict[str, list[tuple[Problem, Derivative]]]:
    """Solve those rows of tests/cases.py that are not smooth."""
    groups = {}
    for kind in ("end", "rough", "noise", "insensitive", "kink", "jump", "not_finite"):
        asked = [_problem(case) for case in _cases().of_kind(kind)]
        if kind in ("kink", "jump", "not_finite"):
            asked = [replace(problem, derivative=math.nan) for problem in asked]
        name = f"cases: {kind.replace('_', ' ')}"
        groups[name] = [(replace(problem, kind=name), solved(problem)) for problem in asked]
    return groups


# --- Speed -------------------------------------------------------------------------------------------------------


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


def speed(sizes: Sizes, found: Sequence[Contender], mix: Sequence[Problem]) -> Section:
    """Time one scalar call."""
    timed = mix[: sizes.timed]
    cheap = scalar_times(found, CHEAP, 1.3, sizes.rounds)
    mean = mix_times(found, timed, max(sizes.rounds // 3, 3))
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


def gradients(sizes: Sizes) -> Section:
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
    seconds = in_turn(calls, max(sizes.rounds // 2, 3))
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


def many_points(sizes: Sizes) -> Section:
    """Time a million points in one call, or as many as patience allows."""
    count = 1_000_000
    few = np.linspace(-10.0, 10.0, 1000)
    each = in_turn({"": lambda: derivative(np.sin, few, vectorized=True)}, 3)[""] / len(few)
    while count > len(few) and count * each > sizes.patience:
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


def rough_tolerance(mix: Sequence[Problem]) -> Section:
    """Count the evaluations that three digits cost."""
    rows, middle = [], {}
    for name, asked in (("smooth rows of tests/cases.py", smooth_rows()), ("held-out mix", list(mix))):
        results = [(p, solved(p, rtol=1e-3)) for p in asked]
        costs = [d.evaluations for _, d in results]
        middle[name] = median(costs)
        met = share(abs(d.value - p.derivative) <= max(1e-3 * abs(p.derivative), 30 * p.floor) for p, d in results)
        covers = share(error(p, d.value) <= d.error for p, d in results)
        cells = (percent(met), percent(covers), f"{middle[name]:g}", f"{fmean(costs):.1f}", str(max(costs)))
        rows.append([name, f"{len(asked):,}", *cells])
    heads = ("problems", "count", "within 1e-3", "bound covers", "evaluations, median", "mean", "most")
    first = next(iter(middle.values()))
    return Section(
        "rtol=1e-3", table(heads, rows), [Target("rtol=1e-3: evaluations, median", "<= 5", f"{first:g}", first <= 5)]
    )


# --- The report --------------------------------------------------------------------------------------------------


def sections(sizes: Sizes, found: Sequence[Contender]) -> Iterable[Section]:
    """Measure one section after the other."""
    mix = problems(HELD_OUT_SEED, sizes.smooth)
    yield accuracy(sizes, found, mix)
    yield noise(sizes, found)
    yield difficult(sizes, mix)
    yield rough_tolerance(mix)
    yield speed(sizes, found, mix)
    yield gradients(sizes)
    yield jacobian_of_scales()
    yield many_points(sizes)


def report(sizes: Sizes, command: str) -> str:
    """Measure everything, and write it down."""
    found, done = contenders(), []
    start = time.perf_counter()
    for section in sections(sizes, found):
        done.append(section)
        print(f"{time.perf_counter() - start:5.0f} s: {section.title}", file=sys.stderr)
    rows = [[*target[:3], "yes" if target.met else "**no**"] for section in done for target in section.targets]
    away = ", ".join(missing(found))
    parts = [
        "# Derivatives: accuracy, honesty, speed",
        table(("what", "target", "measured", "met"), rows),
        *(f"## {section.title}\n\n{section.text}" for section in done),
        f"Machine: {machine()}, one thread; {versions()}." + (f" Not installed, not measured: {away}." if away else ""),
        f"Made by `{command}`.",
    ]
    return "\n\n".join(parts) + "\n"


@contextmanager
def quiet() -> Iterator[None]:
    """Silence standard output down to the file descriptor: LAPACK, called by a peer with inf, prints to it."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def main() -> None:
    """Run the benchmark, in a process with one thread."""
    if any(os.environ.get(name) != "1" for name in THREADS):
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=os.environ | THREADS).returncode)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true")
    size.add_argument("--full", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL if arguments.full else NORMAL
    warnings.simplefilter("ignore")
    with np.errstate(all="ignore"), quiet():
        text = report(sizes, " ".join(["python benchmarks/derivatives.py", *sys.argv[1:]]))
    print(text)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
