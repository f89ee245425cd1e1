"""How exact, how honest, how frugal and how fast the Hessians are, beside other libraries.

    python benchmarks/second_order.py [--quick] [--write]

- Rosenbrock's function of 10 variables at many random points: evaluations, and the share of the entries whose bound
  covers the truth.
- `scipy.optimize.rosen` of 50 variables, plain and vectorized: time beside that of its own calls of f, and beside
  optimagic.
- the functions of `surfaces.py`: those that constants may be chosen on, and those held out.

Every peer runs with its defaults, on one thread, and is left out, and said so, where it is not installed; an exception
counts as no answer. Errors are relative to the largest entry of the Hessian. Evaluations are counted by a wrapper
around f, times and their ratios are medians of calls in turn. A minute; `--quick` takes a few seconds. `--write` puts
the report into benchmarks/results/second_order.md.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np
from derivative_speed import in_turn
from peers import Counted, F, contenders, quantile, share
from report import Section, Target, duration, figure, on_one_thread, percent, report, silence, table
from surfaces import DEVELOPMENT, DEVELOPMENT_SEED, HELD_OUT, HELD_OUT_SEED, Array, Surface

from mibun.hessians import hessian

RESULTS = Path(__file__).parent / "results" / "second_order.md"
ROSENBROCK = DEVELOPMENT[0]
LARGE = 50


class Peer(NamedTuple):
    """One way to find a Hessian: value and claimed error from f and x."""

    name: str
    call: Callable[[F, Array], tuple[Any, Any]]


def _mibun(f: F, x: Array) -> tuple[Any, Any]:
    found = hessian(f, x)
    return found.value, found.error


def hessians() -> list[Peer]:
    """Make mibun and every peer that is installed."""
    found = [Peer("mibun", _mibun)]
    try:
        from numdifftools import Hessian

        found.append(Peer("numdifftools", lambda f, x: Hessian(f, full_output=True)(x)[:2]))
    except ImportError:
        pass
    try:
        from scipy.differentiate import hessian as scipy_hessian

        def scipy_call(f: F, x: Array) -> tuple[Any, Any]:
            result = scipy_hessian(f, x)
            return result.ddf, result.error

        found.append(Peer("scipy.differentiate", scipy_call))
    except ImportError:
        pass
    try:
        from optimagic import second_derivative

        found.append(Peer("optimagic", lambda f, x: (second_derivative(f, x).derivative, None)))
    except ImportError:
        pass
    try:
        from statsmodels.tools.numdiff import approx_hess3

        found.append(Peer("statsmodels", lambda f, x: (approx_hess3(x, f), None)))
    except ImportError:
        pass
    return found


class Answer(NamedTuple):
    """How far off the entries of one Hessian are, in units of its largest, and what was claimed; nan: nothing."""

    off: Array
    claim: Array
    evaluations: int


def ask(peer: Peer, surface: Surface, x: Array, truth: Array) -> Answer:
    """Let a contender find the Hessian at a point."""
    f = Counted(surface.__call__, surface.size)
    try:
        value, claim = peer.call(f, x)
    except Exception:  # noqa: BLE001  no answer, whatever the reason
        value, claim = np.full(truth.shape, math.nan), None
    largest = np.abs(truth).max()
    # what rounding the truth to a float adds does not count
    off = np.maximum(np.abs(np.asarray(value) - truth) - np.spacing(np.abs(truth)) / 2, 0.0)
    claimed = np.full(truth.shape, math.nan) if claim is None else np.asarray(claim, float)
    return Answer(off / largest, np.where(np.isfinite(off), claimed, math.nan) / largest, f.count)


class Score(NamedTuple):
    """How a contender did: shares are of all entries, `covers` of those with a claim."""

    covers: float
    wrong: int
    middle: float
    p90: float
    ratio: float
    evaluations: float
    silent: float


def score(answers: Sequence[Answer]) -> Score:
    """Put all entries of all answers together."""
    off = np.concatenate([answer.off.reshape(-1) for answer in answers])
    claim = np.concatenate([answer.claim.reshape(-1) for answer in answers])
    claimed = ~np.isnan(claim)
    known = np.where(np.isfinite(off), off, math.inf).tolist()
    ratios = claim[claimed] / np.where(off[claimed] > 0, off[claimed], math.nan)
    return Score(
        covers=share((off <= claim)[claimed].tolist()),
        wrong=int((off > 10 * claim)[claimed].sum()),
        middle=quantile(known, 0.5),
        p90=quantile(known, 0.9),
        ratio=float(np.nanmedian(ratios)) if np.isfinite(ratios).any() else math.nan,
        evaluations=fmean(answer.evaluations for answer in answers),
        silent=1 - share(np.isfinite(off).tolist()),
    )


HEADS = (
    "contender",
    "bound covers",
    "wrong > 10x",
    "error, median",
    "error, p90",
    "bound / error",
    "evaluations",
    "no answer",
)


def cells(found: Score) -> list[str]:
    """Write a score as cells of a table."""
    return [
        percent(found.covers),
        "-" if math.isnan(found.covers) else str(found.wrong),
        f"{found.middle:.0e}",
        f"{found.p90:.0e}",
        figure(found.ratio),
        figure(found.evaluations),
        percent(found.silent),
    ]


def rosenbrock_section(found: Sequence[Peer], count: int) -> Section:
    """Count evaluations and covered entries of Rosenbrock's function of 10 variables."""
    points = ROSENBROCK.points(HELD_OUT_SEED, count)
    truths = [ROSENBROCK.truth(x) for x in points]
    answers = {peer.name: [ask(peer, ROSENBROCK, x, t) for x, t in zip(points, truths, strict=True)] for peer in found}
    scores = {name: score(own) for name, own in answers.items()}
    own, most = scores["mibun"], max(answer.evaluations for answer in answers["mibun"])
    rows = [[name, *cells(one)] for name, one in scores.items()]
    targets = [
        Target("Rosenbrock, n = 10: evaluations", "at most 270", f"{own.evaluations:.0f}, at most {most}", most <= 270),
        Target("Rosenbrock, n = 10: bound covers", "98.5 %", percent(own.covers), own.covers >= 0.985),
    ]
    return Section(f"Rosenbrock's function of 10 variables, at {count} points", table(HEADS, rows), targets)


def large_section(found: Sequence[Peer], rounds: int) -> Section:
    """Time the Hessian of SciPy's Rosenbrock function of 50 variables."""
    try:
        from scipy.optimize import rosen, rosen_hess
    except ImportError:
        return Section(f"SciPy's Rosenbrock function of {LARGE} variables", "SciPy is not installed.", [])
    x = np.random.default_rng(HELD_OUT_SEED).uniform(-2.0, 2.0, LARGE)
    truth = rosen_hess(x)
    largest = np.abs(truth).max()

    def vectorized() -> Any:
        return hessian(lambda points: rosen(points.T), x, vectorized=True)

    plain, stacked = hessian(rosen, x), vectorized()
    points: list[Any] = []

    def recorded(point: Any) -> Any:
        points.append(point.copy())
        return rosen(point)

    hessian(recorded, x)
    calls: dict[str, Callable[[], object]] = {
        "its calls of f alone": lambda: [rosen(point) for point in points],
        "mibun": lambda: hessian(rosen, x),
        "mibun, vectorized": vectorized,
    }
    peers = {peer.name: peer for peer in found if peer.name in ("optimagic", "statsmodels")}
    calls |= {name: (lambda call: lambda: call(rosen, x))(peer.call) for name, peer in peers.items()}
    turns = [in_turn(calls, 1) for _ in range(rounds)]
    times = {name: median(turn[name] for turn in turns) for name in calls}
    errors = {"mibun": plain.value, "mibun, vectorized": stacked.value}
    errors |= {name: peer.call(rosen, x)[0] for name, peer in peers.items()}
    off = {name: float(np.abs(value - truth).max() / largest) for name, value in errors.items()}
    rows = [[name, duration(seconds), f"{off[name]:.0e}" if name in off else "-"] for name, seconds in times.items()]
    # of calls one after the other, for the speed of a machine changes from one round to the next
    ratio = median(turn["mibun"] / turn["its calls of f alone"] for turn in turns)
    targets = [
        Target(f"n = {LARGE}, plain: calls of f", "at most 5,400", f"{len(points):,}", len(points) <= 5400),
        Target(f"n = {LARGE}, plain: time / its calls of f", "at most 1.2", f"{ratio:.2f}", ratio <= 1.2),
        Target(f"n = {LARGE}, plain: error", "below 1e-8", f"{off['mibun']:.0e}", off["mibun"] < 1e-8),
    ]
    if "optimagic" in times:
        gain = median(turn["optimagic"] / turn["mibun, vectorized"] for turn in turns)
        error = off["mibun, vectorized"]
        what, measured = f"n = {LARGE}, vectorized: time of optimagic / time, error", f"{gain:.1f}, {error:.0e}"
        targets.append(Target(what, "20, below 1e-8", measured, gain >= 20 and error < 1e-8))
    text = table(("contender", "time", "largest error"), rows)
    return Section(f"SciPy's Rosenbrock function of {LARGE} variables, {len(points):,} calls", text, targets)


def surfaces_section(
    title: str, found: Sequence[Peer], surfaces: Sequence[Surface], seed: int, count: int, held_out: bool
) -> Section:
    """Compare all contenders on all functions."""
    answers: dict[str, list[Answer]] = {peer.name: [] for peer in found}
    rows = []
    for surface in surfaces:
        points = surface.points(seed, count)
        truths = [surface.truth(x) for x in points]
        for peer in found:
            answers[peer.name] += [ask(peer, surface, x, t) for x, t in zip(points, truths, strict=True)]
        one = score(answers["mibun"][-count:])
        least = min((score(own[-count:]).middle for name, own in answers.items() if name != "mibun"), default=math.nan)
        rows.append(
            [
                f"{surface.name}, n = {surface.size}",
                percent(one.covers),
                f"{one.middle:.0e}",
                f"{one.p90:.0e}",
                figure(one.evaluations),
                f"{least:.0e}",
            ]
        )
    scores = {name: score(own) for name, own in answers.items()}
    heads = ("function", "bound covers", "error, median", "error, p90", "evaluations", "best peer's median error")
    text = (
        f"{table(HEADS, ([name, *cells(one)] for name, one in scores.items()))}\n\nmibun alone:\n\n{table(heads, rows)}"
    )
    own = scores["mibun"]
    target = Target(f"{title}: bound covers", "98.5 %", percent(own.covers), own.covers >= 0.985)
    return Section(f"{title}: {len(surfaces)} functions, each at {count} points", text, [target] if held_out else [])


def sections(found: Sequence[Peer], quick: bool) -> Iterator[Section]:
    """Measure one part after the other."""
    yield rosenbrock_section(found, 10 if quick else 100)
    yield large_section(found, 3 if quick else 15)
    count = 3 if quick else 20
    yield surfaces_section("Held out", found, HELD_OUT, HELD_OUT_SEED, count, held_out=True)
    yield surfaces_section("Development", found, DEVELOPMENT, DEVELOPMENT_SEED, count, held_out=False)


def main() -> None:
    """Print the report, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few points of each function")
    parser.add_argument("--write", action="store_true", help=f"put the report into {RESULTS.name}")
    options = parser.parse_args()
    on_one_thread()
    silence()
    found = hessians()
    command = " ".join(["python benchmarks/second_order.py", *sys.argv[1:]])
    text = report("Second order", sections(found, options.quick), contenders(), command)
    print(text)
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
