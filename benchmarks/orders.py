"""How exact, how honest and how costly derivatives of higher order and mixed partials are, beside other libraries.

    python benchmarks/orders.py [--quick] [--write]

- derivatives of order 2, 3 and 4 on the mix of `mix.py`, its truth being the Taylor coefficient of the same jets, with
  the seed that methods were tuned on and with another one; under noise; at kinks of f and of its derivatives;
- orders 5 to 8 by the circle in the complex plane, on the same functions of complex numbers;
- mixed partials of 2, 3 and 4 entries on the problems of `mix_partials.py`.

"Within target" is an error of at most 1e-6, 1e-4, 1e-2 (orders 2, 3, 4) of f/L^k, the size of f over its natural
length L to the power of the order; "or at the floor" allows what rounding forces on any method, too. Every peer runs
with its defaults; evaluations are counted by a wrapper around f. `--quick` takes half a minute, the normal run some
minutes. `--write` puts the report into benchmarks/results/orders.md.
"""

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, NamedTuple

from mix import ARRAY, DEVELOPMENT_SEED, EPS, FLOORS, HELD_OUT_SEED, Problem, compiled, jet, kinks, noisy_problems
from mix import problems as smooth_problems
from mix_partials import Partial, partials
from peers import Answer, Contender, Counted, ask, off, quantile, score, share
from peers import contenders as peers_installed
from report import Section, Target, duration, figure, on_one_thread, percent, quiet, report, silence, table

from mibun.derivatives import derivative, mixed
from mibun.methods import Central
from mibun.stencil import central

RESULTS = Path(__file__).parent / "results" / "orders.md"
#: Error that is asked for, in units of f/L^k.
WANTED = {2: 1e-6, 3: 1e-4, 4: 1e-2}
#: A function, a point, the truth.
Asked = tuple[Callable[[float], float], float, float]
SEEDS = {"development": DEVELOPMENT_SEED, "held out": HELD_OUT_SEED}


class Sizes(NamedTuple):
    """How many problems of each sort."""

    smooth: int = 2000
    noisy: int = 600
    kinks: int = 300
    circle: int = 1000
    mixed: int = 1000


@dataclass(frozen=True)
class Higher(Problem):
    """A problem that asks for a derivative of higher order, which stands in `derivative`.

    `size` is the largest of |f| and of its first two Taylor terms at the natural length, `slope` is f'.
    """

    order: int
    size: float
    slope: float

    @property
    def unit(self) -> float:
        """Return f/L^k."""
        return self.size / self.scale**self.order

    @property
    def floor(self) -> float:
        """Return the error that rounding forces on any method: eps (|f| + |x f'|) k! / (0.3 L)^k."""
        lost = abs(self.fx) + abs(self.x * self.slope)
        return EPS * lost * math.factorial(self.order) / (0.3 * self.scale) ** self.order

    def is_good(self, value: float, rtol: float = 0.0) -> bool:
        """Return whether a value is as exact as is asked for, or at the rounding floor."""
        return self.within(value) or abs(value - self.derivative) <= FLOORS * self.floor

    def within(self, value: float) -> bool:
        """Return whether a value is as exact as is asked for."""
        return abs(value - self.derivative) <= WANTED.get(self.order, 1.0) * self.unit


def higher(problem: Problem, order: int, clean: str = "") -> Higher:
    """Ask for a higher derivative of the function of a problem, noise being left out."""
    c = [float(a) for a in jet(clean or problem.formula, problem.x)]
    size = max(abs(a) * problem.scale**n for n, a in enumerate(c[:3]))
    truth = c[order] * math.factorial(order)
    return Higher(problem.formula, problem.kind, problem.x, truth, c[0], problem.scale, order, size, c[1])


# --- Contenders --------------------------------------------------------------------------------------------------


def _mibun(order: int, method: Any = "adaptive") -> Callable[[Any, float], tuple[float, float]]:
    def call(f: Any, x: float) -> tuple[float, float]:
        found = derivative(f, x, order=order, method=method)
        return found.value, found.error

    return call


def contenders(order: int) -> list[Contender]:
    """Make mibun, its plain stencil, and every peer that is installed and has this order."""
    found = [
        Contender("mibun", _mibun(order), False, True),
        Contender("central stencil, textbook step", _mibun(order, Central()), False, True),
    ]
    try:
        from numdifftools import Derivative

        nd = Derivative

        def numdifftools(f: Any, x: float) -> tuple[float, float]:
            told = nd(f, n=order, full_output=True)(x)
            return float(told.estimate), float(told.error_estimate)

        found.append(Contender("numdifftools", numdifftools, True, True))
    except ImportError:
        pass
    try:
        from fdm import central_fdm

        method = central_fdm(order=order + 4, deriv=order)

        def fdm(f: Any, x: float) -> tuple[float, float]:
            value = float(method(f, x))
            return value, math.nan if method.acc is None else float(method.acc)

        found.append(Contender(f"fdm, {order + 4} points", fdm, False, True))
    except ImportError:
        pass
    return found


# --- Orders 2 to 4 -----------------------------------------------------------------------------------------------

HEADS = (
    "contender", "within target", "or at the floor", "bound covers", "wrong > 10x", "bound / true error, median",
    "error / (f/L^k), median", "evaluations, mean", "most", "no answer",
)  # fmt: skip


class Row(NamedTuple):
    """What a contender did on a set of problems."""

    cells: list[str]
    seconds: float
    covers: float
    within: float
    good: float
    most: int


def row(name: str, asked: Sequence[Higher], answers: Sequence[Answer], seconds: float) -> Row:
    """Compare the answers with the truth."""
    found = score(asked, answers)
    within = share(problem.within(answer.value) for problem, answer in zip(asked, answers, strict=True))
    errors = [
        off(a.value, p.derivative) / p.unit for p, a in zip(asked, answers, strict=True) if math.isfinite(a.value)
    ]
    cells = [
        name, percent(within), percent(found.good), percent(found.covers), str(found.wrong), figure(found.ratio),
        f"{quantile(errors, 0.5):.1e}", f"{found.evaluations:.1f}", str(found.most), percent(found.silent),
    ]  # fmt: skip
    return Row(cells, seconds, found.covers, within, found.good, found.most)


def solved(contender: Contender, asked: Sequence[Higher]) -> Row:
    """Let a contender solve all problems, and time it, the counting of evaluations included."""
    for problem in asked:  # compiled before the clock runs
        _ = problem.array_f if contender.array else problem.f
    start = time.perf_counter()
    answers = [ask(contender, problem) for problem in asked]
    return row(contender.name, asked, answers, (time.perf_counter() - start) / len(asked))


def orders(sizes: Sizes) -> Section:
    """Measure orders 2 to 4 on smooth problems, with both seeds."""
    texts, targets, times = [], [], []
    for name, seed in SEEDS.items():
        drawn = smooth_problems(seed, sizes.smooth)
        for order, wanted in WANTED.items():
            asked = [higher(problem, order) for problem in drawn]
            rows = [solved(contender, asked) for contender in contenders(order)]
            texts.append(f"Order {order}, {name}, {len(asked):,} problems:\n\n{table(HEADS, [r.cells for r in rows])}")
            own = rows[0]
            if name == "held out":
                times += [[str(order), r.cells[0], duration(r.seconds), f"{r.seconds / own.seconds:.2f}"] for r in rows]
                targets += [
                    Target(f"order {order}: bound covers", ">= 99 %", percent(own.covers), own.covers >= 0.99),
                    Target(
                        f"order {order}: error <= {wanted:.0e} f/L^k, or at the rounding floor",
                        ">= 99 %",
                        f"{percent(own.good)} ({percent(own.within)} without the floor)",
                        own.good >= 0.99,
                    ),
                    Target(f"order {order}: evaluations, most", "<= 40", str(own.most), own.most <= 40),
                ]
    clock = table(("order", "contender", "time a problem", "x mibun"), times)
    texts.append(f"Time, the counting of evaluations included, held-out problems:\n\n{clock}")
    return Section("Derivatives of order 2, 3 and 4", "\n\n".join(texts), targets)


def noise(sizes: Sizes) -> Section:
    """Measure orders 2 to 4 under random noise and in single precision."""
    rows, targets = [], []
    for name, seed in SEEDS.items():
        drawn = noisy_problems(seed, sizes.noisy)
        for order in WANTED:
            asked = [higher(problem, order, problem.clean) for problem in drawn]
            for contender in contenders(order):
                if contender.name in ("mibun", "numdifftools"):
                    found = solved(contender, asked)
                    rows.append([name, str(order), *found.cells])
                    if contender.name == "mibun" and name == "held out":
                        target = f"order {order} under noise: bound covers"
                        targets.append(Target(target, ">= 99 %", percent(found.covers), found.covers >= 0.99))
    text = f"Noise of 1e-12 to 1e-3, or f in single precision:\n\n{table(('seed', 'order', *HEADS), rows)}"
    return Section("Noise", text, targets)


def rough(sizes: Sizes) -> Section:
    """Measure what is said at kinks of f, at those of its derivatives, and near them."""
    rows, silent = [], 0
    for order in WANTED:
        for name, near in (("kink of f at x", 0.0), ("kink of f 1e-9..1e-1 abs(x) from x", 1.0)):
            drawn = kinks(HELD_OUT_SEED, sizes.kinks, near)
            asked = [(p.f, p.x, higher(p, order).derivative if near else math.nan) for p in drawn]
            cells, wrong = _said(asked, order)
            rows.append([str(order), name, *cells])
            silent += wrong
        cells, wrong = _said(bent(HELD_OUT_SEED, sizes.kinks, order), order)
        rows.append([str(order), "jump of the derivative of this order at x", *cells])
        silent += wrong if order == 2 else 0
    heads = ("order", "problems", "count", "what mibun said", "passes, yet is wrong")
    total = 7 * sizes.kinks
    name = "kinks of f, jumps of its second derivative: passes, yet is wrong"
    target = Target(name, "<= 1 %", f"{silent} of {total:,}", silent <= total / 100)
    text = (
        "A jump of the third or fourth derivative is found where it is large beside the rounding of the points on each "
        "side alone; where it is not, the value is that of the symmetric part, and the error does not know of the jump."
    )
    return Section("Kinks", f"{text}\n\n{table(heads, rows)}", [target])


def _said(asked: Sequence[Asked], order: int) -> tuple[list[str], int]:
    """Count what mibun says to functions, points and truths; nan: there is none."""
    words, wrong = Counter[str](), 0
    for f, x, truth in asked:
        found = derivative(f, x, order=order)
        words[str(found.status)] += 1
        wrong += bool(found.status.passes and not off(found.value, truth) <= found.error)
    return [str(len(asked)), ", ".join(f"{n} {word}" for word, n in words.most_common()), str(wrong)], wrong


def bent(seed: int, count: int, order: int) -> list[Asked]:
    """Draw smooth functions with a term b |t|^k or b t |t|^(k-1), t = x - c; c; and nan, for there is no truth."""
    rng = Random(seed)
    drawn = [problem for problem in smooth_problems(seed, 3 * count) if problem.kind == "well scaled"]
    found = list[Asked]()
    for problem in drawn[:count]:
        b = 10 ** rng.uniform(-1, 1) * higher(problem, order).unit / math.factorial(order)

        def f(x: float, smooth: Any = problem.f, b: float = b, c: float = problem.x) -> float:
            return float(smooth(x) + b * (abs(x - c) if order % 2 else x - c) * abs(x - c) ** (order - 1))

        found.append((f, problem.x, math.nan))
    return found


# --- Orders 5 to 8 -----------------------------------------------------------------------------------------------


def circle(sizes: Sizes) -> Section:
    """Measure orders 2 to 8 by the circle."""
    rows, covered, most = [], [], 0
    for name, seed in SEEDS.items():
        drawn = smooth_problems(seed, sizes.circle)
        for order in (2, 4, 5, 6, 7, 8):
            asked = [higher(problem, order) for problem in drawn]
            call = _mibun(order, "complex")
            start = time.perf_counter()
            answers = []
            for problem in asked:
                f = Counted(compiled(problem.formula, ARRAY))
                answers.append(Answer(*call(f, problem.x), f.count))
            seconds = (time.perf_counter() - start) / len(asked)
            found = row(f"order {order}", asked, answers, seconds)
            passed = share(math.isfinite(answer.claim) for answer in answers)
            claims = [a.claim / (p.unit * math.factorial(order)) for p, a in zip(asked, answers, strict=True)]
            cells = found.cells
            rows.append([name, cells[0], percent(passed), *cells[3:6], f"{quantile(claims, 0.5):.1e}", *cells[7:9]])
            if name == "held out":
                covered.append(found.covers)
                most = max(most, found.most)
    heads = (
        "seed", "circle", "has a bound", "bound covers", "wrong > 10x", "bound / true error, median",
        "bound / (k! f/L^k), median", "evaluations, mean", "most",
    )  # fmt: skip
    targets = [
        Target("circle, orders 2 to 8: bound covers, least", ">= 99 %", percent(min(covered)), min(covered) >= 0.99),
        Target("circle: evaluations, most", "<= 40", str(most), most <= 40),
    ]
    return Section("The circle in the complex plane", table(heads, rows), targets)


# --- Mixed partials ----------------------------------------------------------------------------------------------


class MixedAnswer(NamedTuple):
    """What was said to a mixed problem."""

    problem: Partial
    value: float
    error: float
    evaluations: int
    passes: bool


def plain_mixed(problem: Partial) -> MixedAnswer:
    """Take the product of central stencils with the textbook step of this order: no bound."""
    n = problem.order
    step = EPS ** (1 / (n + 2))
    points: dict[tuple[float, ...], float] = {(): 1.0}
    steps = [step * max(abs(x), 1.0) for x in problem.x]
    for order in problem.orders:
        exact = central(order)
        points = {
            (*at, o): weight * w
            for at, weight in points.items()
            for o, w in zip(exact.float_offsets, exact.float_weights, strict=True)
        }
    try:
        values = [
            w * problem.f([x + o * h for x, o, h in zip(problem.x, at, steps, strict=True)]) for at, w in points.items()
        ]
    except (ValueError, ArithmeticError):
        return MixedAnswer(problem, math.nan, math.nan, len(points), False)
    unit = math.prod(h**order for h, order in zip(steps, problem.orders, strict=True))
    return MixedAnswer(problem, math.fsum(values) / unit, math.nan, len(points), False)


def own_mixed(problem: Partial) -> MixedAnswer:
    """Ask mibun."""
    f = Counted(problem.f, len(problem.x))
    found = mixed(f, list(problem.x), dict(enumerate(problem.orders)))
    return MixedAnswer(problem, found.value, found.error, f.count, found.status.passes)


MIXED_HEADS = (
    "problems", "count", "within target", "bound covers", "wrong > 10x", "passes", "passes, yet is wrong",
    "error / (f/L^k), median", "evaluations, median", "mean", "most", "over 40",
)  # fmt: skip


def mixed_row(name: str, told: Sequence[MixedAnswer]) -> list[str]:
    """Write what was measured as a line of a table."""
    errors = [off(t.value, t.problem.truth) if math.isfinite(t.value) else math.inf for t in told]
    within = share(e <= WANTED[t.problem.order] * t.problem.scale for e, t in zip(errors, told, strict=True))
    claimed = [(e, t) for e, t in zip(errors, told, strict=True) if not math.isnan(t.error)]
    counts = [t.evaluations for t in told]
    wrong = sum(t.passes and e > t.error for e, t in claimed)
    honest = [
        percent(share(e <= t.error for e, t in claimed)), str(sum(e > 10 * t.error for e, t in claimed)),
        percent(share(t.passes for t in told)), str(wrong),
    ]  # fmt: skip
    return [
        name, f"{len(told):,}", percent(within), *(honest if claimed else ["-"] * 4),
        f"{quantile([e / t.problem.scale for e, t in zip(errors, told, strict=True)], 0.5):.1e}",
        f"{quantile(counts, 0.5):g}", f"{fmean(counts):.1f}", str(max(counts)), percent(share(c > 40 for c in counts)),
    ]  # fmt: skip


def mixed_partials(sizes: Sizes) -> Section:
    """Measure mixed partials, with both seeds."""
    texts, targets = [], []
    for name, seed in SEEDS.items():
        drawn = partials(seed, sizes.mixed)
        told = [own_mixed(problem) for problem in drawn]
        plain = [plain_mixed(problem) for problem in drawn]
        groups: dict[str, list[MixedAnswer]] = {"mibun": told}
        for t in told:
            groups.setdefault(f"mibun: {len(t.problem.x)} entries", []).append(t)
        for t in told:
            groups.setdefault(f"mibun: {t.problem.kind}", []).append(t)
        for t in told:
            groups.setdefault(f"mibun: orders {sorted(t.problem.orders)}", []).append(t)
        rows = [mixed_row(key, group) for key, group in sorted(groups.items())]
        rows.append(mixed_row("central stencils, textbook step", plain))
        texts.append(f"{name.capitalize()}, {len(drawn):,} problems:\n\n{table(MIXED_HEADS, rows)}")
        if name == "held out":
            errors = [off(t.value, t.problem.truth) if math.isfinite(t.value) else math.inf for t in told]
            covers = share(e <= t.error for e, t in zip(errors, told, strict=True))
            within = share(e <= WANTED[t.problem.order] * t.problem.scale for e, t in zip(errors, told, strict=True))
            most = {n: max(t.evaluations for t in told if len(t.problem.x) == n) for n in (2, 3, 4)}
            targets = [
                Target("mixed: bound covers", ">= 99 %", percent(covers), covers >= 0.99),
                Target("mixed: error within target", ">= 99 %", percent(within), within >= 0.99),
                *(Target(f"mixed, {n} entries: most evaluations", "<= 40", str(m), m <= 40) for n, m in most.items()),
            ]
    return Section("Mixed partials", "\n\n".join(texts), targets)


# --- The report --------------------------------------------------------------------------------------------------


def sections(sizes: Sizes) -> Iterator[Section]:
    """Measure one section after the other."""
    yield orders(sizes)
    yield noise(sizes)
    yield rough(sizes)
    yield circle(sizes)
    yield mixed_partials(sizes)


def main() -> None:
    """Run the benchmark, in a process of one thread."""
    on_one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    sizes = Sizes(200, 100, 50, 150, 150) if arguments.quick else Sizes()
    silence()
    with quiet():
        command = " ".join(["python benchmarks/orders.py", *sys.argv[1:]])
        found = peers_installed()
        text = report("Derivatives of higher order, and mixed partials", sections(sizes), found, command)
    print(text)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
