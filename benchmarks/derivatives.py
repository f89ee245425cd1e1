"""How exact, how honest and how fast the derivatives are, beside other libraries: the table that is published.

    python benchmarks/derivatives.py [--quick | --full] [--write]

- accuracy: the smooth rows of tests/cases.py, and the held-out mix of `mix.py`; "good" is an error below 1e-10
  relative, or at the rounding floor. A claim is wrong if the true error is more than ten times as large.
- noise: random noise, single precision, and the deterministic noise of solvers and tables.
- kinks: named with both slopes, and false alarms among smooth problems.
- speed: `derivative_speed.py`, one contender after the other, after all else is done.

Every peer runs with its defaults (`peers.py`), and is left out, and said so, where it is not installed. Evaluations
are counted by a wrapper around f. Problems are drawn and solved by one process for each core, of one thread each.
`--quick` takes 30 s, the normal run a minute. `--full` has seven times as many problems, 21,000 smooth ones,
of which those of a normal run are the first, lists every failure, and takes two to three minutes. `--write` puts the
report into benchmarks/results/derivatives.md.
"""

import argparse
import importlib
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from multiprocessing import Pool
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import derivative_speed
from mix import HELD_OUT_SEED, Kink, Noisy, Problem, kinks, noisy_problems, problems, solver_problems
from peers import Answer, Contender, Counted, Noise, Score, ask, contenders, error, noise_score, off, score, share
from report import Section, Target, figure, on_one_thread, percent, quiet, report, silence, table

from mibun.derivatives import derivative
from mibun.result import Derivative, Note, Status

RESULTS = Path(__file__).parent / "results" / "derivatives.md"
ALARMS = (Status.KINK, Status.JUMP, Status.NOT_FINITE)
#: Slopes of a kink count as found if they are off by at most this share of their difference.
SLOPES = 0.01
#: What can be drawn, each from a seed and a count.
SORTS: dict[str, Callable[[int, int], Sequence[Problem]]] = {
    "smooth": problems,
    "noisy": noisy_problems,
    "solvers": solver_problems,
    "kinks": kinks,
    "kinks near": partial(kinks, share_near=1.0),
}


class Sizes(NamedTuple):
    """How many problems of each sort are in a block, how many blocks; of each kind `shown` failures are listed."""

    smooth: int = 3000
    noisy: int = 900
    solvers: int = 300
    kinks: int = 1000
    blocks: int = 1
    shown: int | None = 2
    timing: derivative_speed.Timing = derivative_speed.NORMAL


NORMAL = Sizes()
QUICK = Sizes(smooth=500, noisy=150, solvers=90, kinks=200, timing=derivative_speed.QUICK)
FULL = Sizes(blocks=7, shown=None, timing=derivative_speed.FULL)


class Told(NamedTuple):
    """A problem, all that mibun said to it, and the answers of all who were asked, mibun's first."""

    problem: Problem
    found: Derivative
    answers: tuple[Answer, ...]


class Workers:
    """One process for each core, which draws problems and has them solved."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes, self.pool = sizes, Pool(os.cpu_count(), silence)

    def drawn(self, sort: str, count: int) -> list[Any]:
        """Draw blocks of problems, each from a seed of its own; the first is all that a normal run has."""
        seeds = [(sort, HELD_OUT_SEED + block, count) for block in range(self.sizes.blocks)]
        blocks = self.pool.starmap(_draw, seeds)
        return list({problem.name: problem for block in blocks for problem in block}.values())

    def told(self, asked: Sequence[Problem], beside_peers: bool) -> list[Told]:
        """Have problems solved, by mibun alone or by all."""
        return self.pool.starmap(tell, [(problem, beside_peers) for problem in asked], chunksize=25)


def _draw(sort: str, seed: int, count: int) -> Sequence[Problem]:
    return SORTS[sort](seed, count)


def tell(problem: Problem, beside_peers: bool = False) -> Told:
    """Solve one problem."""
    f = Counted(problem.f)
    found = solved(f, problem.x)
    peers = _contenders()[1:] if beside_peers else []
    return Told(problem, found, (Answer(found.value, found.error, f.count), *(ask(peer, problem) for peer in peers)))


_contenders = cache(contenders)


def solved(f: Callable[[float], float], x: float, rtol: float | None = None) -> Derivative:
    """Give all that mibun says; an exception, which none of these problems should raise, shows as failed."""
    try:
        return derivative(f, x, rtol=rtol)
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


def examples(missed: Sequence[tuple[Problem, str]], shown: int | None) -> str:
    """List problems that went wrong: by kind the count, and some of them."""
    kinds: dict[str, list[str]] = {}
    for problem, what in missed:
        kinds.setdefault(problem.kind, []).append(f"`{problem.name}`: {what}")
    lines = [f"- {kind}, {len(listed)}: {'; '.join(listed[:shown])}" for kind, listed in sorted(kinds.items())]
    return "\n".join(lines) or "- none"


def said(told: Told) -> str:
    """Print the truth, and what mibun said, in a few words."""
    problem, found = told.problem, told.found
    distance = "" if math.isnan(problem.derivative) else f", off by {error(problem, found.value):.2g}"
    return (
        f"true {problem.derivative:.10g}{distance}, said {found.value:.10g} ± {found.error:.2g}, {found.status}, "
        f"{found.evaluations} evaluations"
    )


# --- Accuracy ----------------------------------------------------------------------------------------------------

SCORE_HEADS = (
    "contender", "good", "bound covers", "wrong > 10x", "bound / true error, median", "evaluations, mean", "most",
    "no answer",
)  # fmt: skip


def score_row(name: str, found: Score, claims: bool) -> list[str]:
    """Write a score as a line of a table."""
    honest = [percent(found.covers), str(found.wrong), figure(found.ratio)] if claims else ["-"] * 3
    return [name, percent(found.good), *honest, f"{found.evaluations:.1f}", str(found.most), percent(found.silent)]


def accuracy(sizes: Sizes, found: Sequence[Contender], rows: Sequence[Told], mix: Sequence[Told]) -> Section:
    """Measure value and bound on smooth problems."""
    texts, beside = [], mix[: sizes.smooth]
    for title, asked in (
        (f"The {len(rows)} smooth rows of tests/cases.py", rows),
        (f"{len(beside):,} problems of the held-out mix", beside),
    ):
        lines = [score_row("mibun", _score(asked), claims=True)]
        if asked is beside and len(mix) > len(beside):
            lines.append(score_row(f"mibun, {len(mix):,} problems", _score(mix), claims=True))
        lines += [score_row(peer.name, _score(asked, i), peer.claims) for i, peer in enumerate(found) if i]
        texts.append(f"{title}:\n\n{table(SCORE_HEADS, lines)}")
    everything = [*rows, *mix]
    kinds = dict.fromkeys(told.problem.kind for told in everything)
    by_kind = [score_row(k, _score([t for t in everything if t.problem.kind == k]), claims=True) for k in kinds]
    texts.append(f"mibun by kind, the rows first:\n\n{table(('kind', *SCORE_HEADS[1:]), by_kind)}")
    off_by = [(told, error(told.problem, told.found.value)) for told in everything]
    for title, failed in (
        ("Not good", [told for told in everything if not told.problem.is_good(told.found.value)]),
        ("Not covered by mibun's bound", [told for told, distance in off_by if distance > told.found.error]),
        ("Wrong by more than ten times", [told for told, distance in off_by if distance > 10 * told.found.error]),
    ):
        texts.append(f"{title}:\n\n{examples([(told.problem, said(told)) for told in failed], sizes.shown)}")
    return Section("Accuracy", "\n\n".join(texts), _accuracy_targets(_score(rows), _score(mix), _score(everything)))


def _score(told: Sequence[Told], contender: int = 0) -> Score:
    return score([t.problem for t in told], [t.answers[contender] for t in told])


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
    "contender", "bound covers", "covers f as computed", "wrong > 10x", "error / best step's, median", "p90",
    "level / true, median", "evaluations, mean", "most", "no answer",
)  # fmt: skip
AS_COMPUTED = (
    "Newton's method, stopped, is a smooth function with a bias wherever the number of its steps stays; no method that "
    "sees values alone can know of it. `covers f as computed` counts the derivative of that function as the truth."
)


def noise_row(name: str, found: Noise, claims: bool) -> list[str]:
    """Write what was measured under noise as a line of a table."""
    scored = found.score
    honest = [percent(scored.covers), percent(found.computed), str(scored.wrong)] if claims else ["-"] * 3
    errors = [figure(found.middle), figure(found.p90), figure(found.level)]
    return [name, *honest, *errors, f"{scored.evaluations:.1f}", str(scored.most), percent(scored.silent)]


def _noise(told: Sequence[Told], contender: int = 0) -> Noise:
    levels = [t.found.noise for t in told] if not contender else []
    return noise_score([noisy(t) for t in told], [t.answers[contender] for t in told], levels)


def noisy(told: Told) -> Noisy:
    """Take the problem as what it is under noise."""
    assert isinstance(told.problem, Noisy)
    return told.problem


def _missed(told: Told) -> str:
    problem = noisy(told)
    level = f"level {told.found.noise:.2g} of {problem.sd:.2g}"
    if problem.computed == problem.derivative:
        return f"{said(told)}, {level}"
    return f"{said(told)}, {level}, off by {off(told.found.value, problem.computed):.2g} from f as computed"


def noise(sizes: Sizes, found: Sequence[Contender], workers: Workers) -> Section:
    """Measure everything under random and under deterministic noise."""
    texts, scores = [], []
    for title, sort, count in (
        ("random noise of 1e-12..1e-3, and single precision", "noisy", sizes.noisy),
        ("deterministic noise of 1e-6", "solvers", sizes.solvers),
    ):
        told = workers.told(workers.drawn(sort, count), beside_peers=True)
        scores.append(_noise(told))
        rows = [noise_row("mibun", scores[-1], claims=True)]
        for kind in sorted({t.problem.kind for t in told}):
            rows.append(noise_row(f"mibun: {kind}", _noise([t for t in told if t.problem.kind == kind]), claims=True))
        rows += [noise_row(peer.name, _noise(told, i), peer.claims) for i, peer in enumerate(found) if i]
        texts.append(f"{len(told):,} problems, {title}:\n\n{table(NOISE_HEADS, rows)}")
        missed = [(t.problem, _missed(t)) for t in told if error(t.problem, t.found.value) > t.found.error]
        texts.append(f"Not covered by mibun's bound:\n\n{examples(missed, sizes.shown)}")
    random, fixed = scores
    targets = [
        Target("bound covers, random noise", ">= 99 %", percent(random.score.covers), random.score.covers >= 0.99),
        Target("bound covers, solver and table", ">= 97 %", percent(fixed.score.covers), fixed.score.covers >= 0.97),
        Target("the same, of the function as computed", ">= 97 %", percent(fixed.computed), fixed.computed >= 0.97),
        Target("error / that of the best step, median", "<= 1", figure(random.middle), random.middle <= 1),
        Target("the same, p90", "<= 5", figure(random.p90), random.p90 <= 5),
        Target("noise level / true one, median", "0.9 to 1.1", figure(random.level), 0.9 <= random.level <= 1.1),
    ]
    return Section("Noise", "\n\n".join([*texts, AS_COMPUTED]), targets)


# --- Kinks -------------------------------------------------------------------------------------------------------


def named(told: Told) -> bool:
    """Return whether the kink was named, with both slopes."""
    problem, found = told.problem, told.found
    assert isinstance(problem, Kink)
    notes = [note for note in found.notes if note.left is not None and note.right is not None]
    if found.status is not Status.KINK or not notes:
        return False
    left, right = notes[0].left or 0.0, notes[0].right or 0.0
    return max(abs(left - problem.left), abs(right - problem.right)) <= SLOPES * abs(problem.left - problem.right)


def difficult(sizes: Sizes, smooth: Sequence[Told], workers: Workers) -> Section:
    """Measure what mibun says where there is no derivative, and where there is one after all."""
    at_x = workers.told(workers.drawn("kinks", sizes.kinks), beside_peers=False)
    near = workers.told(workers.drawn("kinks near", sizes.kinks), beside_peers=False)
    groups: dict[str, Sequence[Told]] = {
        "smooth": smooth,
        "kink at x": [_without_truth(told) for told in at_x],
        "kink 1e-9..1e-1 abs(x) from x": near,
        **_other_kinds(),
    }
    alarms = [(t.problem, said(t)) for t in smooth if t.found.status in ALARMS]
    unnamed = [(t.problem, _unnamed(t)) for t in at_x if not named(t)]
    silent = [(t.problem, said(t)) for told in groups.values() for t in told if wrong(t)]
    heads = ("problems", "count", "what mibun said", "passes, yet is wrong")
    shown = sizes.shown
    text = (
        "A result passes, yet is wrong, where `require()` gives a number but the truth is not within its error, or "
        f"does not exist.\n\n{table(heads, [_counted(name, told) for name, told in groups.items()])}\n\n"
        f"Passes, yet is wrong:\n\n{examples(silent, shown)}\n\nFalse alarms in {len(smooth):,} smooth problems:\n\n"
        f"{examples(alarms, shown)}\n\nKinks at x that were not named with both slopes (to {SLOPES:.0%} of their "
        f"difference):\n\n{examples(unnamed, shown)}"
    )
    share_named = 1 - len(unnamed) / len(at_x)
    targets = [
        Target(f"false alarms in {len(smooth):,} smooth problems", "0", str(len(alarms)), not alarms),
        Target("random kinks named with both slopes", ">= 99 %", percent(share_named), share_named >= 0.99),
    ]
    return Section("Kinks, and what else is not smooth", text, targets)


def wrong(told: Told) -> bool:
    """Return whether a result passes though the truth is not within its error; nan means that there is no truth."""
    found = told.found
    return bool(found.status.passes) and not error(told.problem, found.value) <= found.error


def _without_truth(told: Told) -> Told:
    return told._replace(problem=replace(told.problem, derivative=math.nan))


def _unnamed(told: Told) -> str:
    problem = told.problem
    assert isinstance(problem, Kink)
    notes = "; ".join(map(str, told.found.notes))
    return f"slopes {problem.left:.6g} and {problem.right:.6g}, {said(told)}; {notes}"


def _counted(name: str, told: Sequence[Told]) -> list[str]:
    """Count the statuses of a group of problems."""
    counts = Counter(str(t.found.status) for t in told)
    words = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
    return [name, f"{len(told):,}", words, str(sum(map(wrong, told)))]


def _other_kinds() -> dict[str, Sequence[Told]]:
    """Solve those rows of tests/cases.py that are not smooth."""
    groups: dict[str, Sequence[Told]] = {}
    for kind in ("end", "rough", "noise", "insensitive", "kink", "jump", "not_finite"):
        asked = [_problem(case) for case in _cases().of_kind(kind)]
        if kind in ("kink", "jump", "not_finite"):
            asked = [replace(problem, derivative=math.nan) for problem in asked]
        name = f"cases: {kind.replace('_', ' ')}"
        groups[name] = [tell(replace(problem, kind=name)) for problem in asked]
    return groups


def rough_tolerance(rows: Sequence[Told], mix: Sequence[Told], rough: Sequence[Problem]) -> Section:
    """Count the evaluations that three digits cost, and see whether noise is taken for digits."""
    lines, middle = [], {}
    smooth = (("smooth rows of tests/cases.py", rows), ("held-out mix", mix))
    sets = [*((name, [t.problem for t in told]) for name, told in smooth), ("random noise", rough)]
    for name, asked in sets:
        results = [(problem, solved(problem.f, problem.x, rtol=1e-3)) for problem in asked]
        costs = [d.evaluations for _, d in results]
        middle[name] = median(costs)
        met = share(abs(d.value - p.derivative) <= max(1e-3 * abs(p.derivative), 30 * p.floor) for p, d in results)
        covers = share(error(p, d.value) <= d.error for p, d in results)
        cells = (percent(met), percent(covers), f"{middle[name]:g}", f"{fmean(costs):.1f}", str(max(costs)))
        lines.append([name, f"{len(asked):,}", *cells])
    heads = ("problems", "count", "within 1e-3", "bound covers", "evaluations, median", "mean", "most")
    first = next(iter(middle.values()))
    return Section(
        "rtol=1e-3", table(heads, lines), [Target("rtol=1e-3: evaluations, median", "<= 5", f"{first:g}", first <= 5)]
    )


# --- The report --------------------------------------------------------------------------------------------------


def sections(sizes: Sizes, found: Sequence[Contender]) -> Iterator[Section]:
    """Measure one section after the other; speed last, when the machine has nothing else to do."""
    workers = Workers(sizes)
    with workers.pool:
        rows = workers.told(smooth_rows(), beside_peers=True)
        drawn = workers.drawn("smooth", sizes.smooth)
        mix = workers.told(drawn[: sizes.smooth], True) + workers.told(drawn[sizes.smooth :], False)
        yield accuracy(sizes, found, rows, mix)
        yield noise(sizes, found, workers)
        yield difficult(sizes, [*rows, *mix], workers)
        rough = workers.drawn("noisy", sizes.noisy)
    yield rough_tolerance(rows, mix, rough)
    yield from derivative_speed.sections(sizes.timing, found, drawn)


def main() -> None:
    """Run the benchmark, in processes of one thread."""
    on_one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true")
    size.add_argument("--full", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL if arguments.full else NORMAL
    silence()
    with quiet():
        found = contenders()
        command = " ".join(["python benchmarks/derivatives.py", *sys.argv[1:]])
        text = report("Derivatives: accuracy, honesty, speed", sections(sizes, found), found, command)
    print(text)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
