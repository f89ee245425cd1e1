"""How well `check` finds mistakes, beside the checkers of PyTorch, JAX and SciPy; and whether it cries wolf.

    python benchmarks/check.py [--quick] [--write]

- the twelve mistakes of `mistakes.py` (and a gradient of another point) in the functions of `backprops.py`, for seeds
  that were not looked at before: found, named, evaluations, seconds; and false alarms on the right derivatives. All
  checkers get the same f and the same gradient, as operations of their own that call them.
- a thousand right gradients in float32, of 1 to 10,000 elements, of f that computes in float64 where it can, and of f
  that rounds everything to float32.
- one element that is off by 1 % (float64) or 10 % (float32), not below 1e-6 (1e-3) of the largest.
- one wrong element of 7,850; a right Jacobian of 100 x 100 beside the slow mode of `torch.autograd.gradcheck`.

"Found": the verdict is wrong. "Named": all wrong elements are named or counted by a kind of mistake that is right, no
right one is, and the kind is told where it has one; of the others: the message has the index of a wrong element.
SciPy's `check_grad` gives a number and no verdict: more than 1e-4 of the gradient counts as found. Ten minutes;
`--write` puts the report into benchmarks/results/check.md.
"""

import argparse
import importlib.metadata
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import backprops
import numpy as np
from backprops import HELD_OUT_SEED, Subject
from mistakes import MISTAKES, Planted, plant, stale
from peers import Counted
from report import Section, Target, duration, figure, on_one_thread, report, silence, table

import mibun as mb
from mibun.structure import Structure

RESULTS = Path(__file__).parent / "results" / "check.md"
#: A message of a checker; None where it passes.
Checker = Callable[["Flat"], str | None]
#: What `check_grad` may give, relative to the gradient.
SCIPY = 1e-4


class Flat(NamedTuple):
    """f, counted, its derivative and x, all as flat arrays."""

    f: Counted
    gradient: Callable[[Any], Any]
    x: Any
    scalar: bool


def flattened(subject: Subject, gradient: Callable[[Any], Any]) -> Flat:
    """Make functions of a flat array."""
    structure, slopes = Structure.of(subject.x), Structure.of(subject.gradient(subject.x))
    x = structure.flatten(subject.x)
    scalar = np.ndim(subject.f(subject.x)) == 0

    def f(v: Any) -> Any:
        return np.asarray(subject.f(structure.unflatten(np.asarray(v))), x.dtype)

    def g(v: Any) -> Any:
        flat = slopes.flatten(gradient(structure.unflatten(np.asarray(v))))
        return flat if scalar else flat.reshape(-1, x.size)

    return Flat(Counted(f, x.size), g, x, scalar)


def torch_gradcheck(flat: Flat) -> str | None:
    """`torch.autograd.gradcheck`, with its defaults."""
    import torch

    class Operation(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return torch.as_tensor(flat.f(x.detach().numpy()))

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            (x,) = ctx.saved_tensors
            return torch.as_tensor(
                np.asarray(
                    upstream.numpy() @ flat.gradient(x.numpy())
                    if not flat.scalar
                    else upstream.numpy() * flat.gradient(x.numpy())
                )
            )

    try:
        torch.autograd.gradcheck(Operation.apply, (torch.tensor(flat.x, requires_grad=True),))
    except RuntimeError as error:
        return str(error)
    return None


def jax_check_grads(flat: Flat) -> str | None:
    """`jax.test_util.check_grads` of order 1 in reverse, with its defaults."""
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", val=True)
    shape = np.shape(flat.f(flat.x))
    out = jax.ShapeDtypeStruct(shape, flat.x.dtype)
    slopes = jax.ShapeDtypeStruct((*shape, flat.x.size), flat.x.dtype)

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def operation(x: Any) -> Any:
        return jax.pure_callback(flat.f, out, x)

    def forward(x: Any) -> Any:
        return operation(x), x

    def backward(x: Any, upstream: Any) -> Any:
        found = jax.pure_callback(flat.gradient, slopes, x)
        return (upstream * found if flat.scalar else upstream @ found,)

    operation.defvjp(forward, backward)
    try:
        check_grads(operation, (flat.x,), order=1, modes=["rev"])
    except AssertionError as error:
        return str(error)
    return None


def scipy_check_grad(flat: Flat) -> str | None:
    """`scipy.optimize.check_grad`, with its defaults."""
    from scipy.optimize import check_grad

    gradient = flat.gradient(flat.x)
    off = check_grad(lambda x: float(flat.f(x)), flat.gradient, flat.x)
    return None if off <= SCIPY * np.linalg.norm(gradient) else f"{off}"


PEERS: dict[str, Checker] = {
    "torch.autograd.gradcheck": torch_gradcheck,
    "jax.test_util.check_grads": jax_check_grads,
    "scipy.optimize.check_grad": scipy_check_grad,
}


class Score(NamedTuple):
    """What a checker did with one claim."""

    found: bool
    named: bool
    evaluations: int
    seconds: float


def ours(subject: Subject, gradient: Callable[[Any], Any], planted: Planted | None) -> Score:
    """Check by mibun."""
    start = time.perf_counter()
    found = mb.check(subject.f, gradient, subject.x)
    seconds = time.perf_counter() - start
    if planted is None:
        return Score(not found.ok, named=False, evaluations=found.evaluations, seconds=seconds)
    told = {finding.name for finding in found.wrong}
    every = told >= set(planted.wrong) or found.wrong_count >= len(planted.wrong)
    kind = not planted.word or any(planted.word in kind for kind in found.kinds)
    named = every and kind and not told & set(planted.right)
    return Score(found.verdict == "wrong", named, found.evaluations, seconds)


def theirs(checker: Checker, subject: Subject, gradient: Callable[[Any], Any], planted: Planted | None) -> Score | None:
    """Check by another checker; None where it cannot be asked."""
    flat = flattened(subject, gradient)
    if checker is scipy_check_grad and not flat.scalar:
        return None
    before, start = flat.f.count, time.perf_counter()
    message = checker(flat)
    seconds = time.perf_counter() - start
    named = bool(planted and message and any(name in message for name in planted.wrong))
    return Score(message is not None, named, flat.f.count - before, seconds)


def planted_in(subject: Subject, seed: int) -> list[Planted]:
    """Plant every mistake that can be made there."""
    cases = [plant(subject, mistake, seed) for mistake in MISTAKES] + [stale(subject, seed)]
    return [case for case in cases if case is not None]


def mistakes_section(quick: bool) -> Iterator[Section]:
    """Plant the mistakes, and let all checkers look; then let them look at what is right."""
    makers = (backprops.SCALAR + backprops.VECTOR)[:: 5 if quick else 1]
    for dtype in (np.float64, np.float32):
        scores: dict[str, list[Score]] = {name: [] for name in ("mibun.check", *PEERS)}
        right: dict[str, list[Score]] = {name: [] for name in scores}
        for subject in backprops.subjects(HELD_OUT_SEED, dtype, makers):
            for case in [None, *planted_in(subject, HELD_OUT_SEED)]:
                gradient = case.gradient if case else subject.gradient
                kept = scores if case else right
                kept["mibun.check"].append(ours(subject, gradient, case))
                for name, checker in PEERS.items():
                    score = theirs(checker, subject, gradient, case)
                    kept[name] += [] if score is None else [score]
        yield _compared(np.dtype(dtype).name, len(makers), scores, right)


def _compared(word: str, functions: int, scores: dict[str, list[Score]], right: dict[str, list[Score]]) -> Section:
    rows = [
        [
            name,
            f"{sum(score.found for score in own)} of {len(own)}",
            f"{sum(score.named for score in own)}",
            f"{sum(score.found for score in right[name])} of {len(right[name])}",
            figure(float(np.mean([score.evaluations for score in right[name]]))),
            figure(float(np.mean([score.evaluations for score in own]))),
            duration(float(np.mean([score.seconds for score in right[name]]))),
            duration(float(np.mean([score.seconds for score in own]))),
        ]
        for name, own in scores.items()
    ]
    heads = ("checker", "found", "named", "false alarms", "evaluations, right", "wrong", "time, right", "wrong")
    own, fine = scores["mibun.check"], right["mibun.check"]
    found, named = sum(score.found for score in own), sum(score.named for score in own)
    alarms = sum(score.found for score in fine)
    targets = [
        Target(f"{word}: mistakes found", "all", f"{found} of {len(own)}", found == len(own)),
        Target(f"{word}: mistakes named", "all", f"{named} of {len(own)}", named == len(own)),
        Target(f"{word}: false alarms", "0", f"{alarms} of {len(fine)}", alarms == 0),
    ]
    text = f"{table(heads, rows)}\n\nJAX {importlib.metadata.version('jax')}. Times and evaluations are means."
    return Section(f"The same mistakes in {functions} functions, {word}", text, targets)


def sized(random: Any, dtype: Any, size: int, kind: int) -> tuple[Callable[[Any], Any], Callable[[Any], Any], Any]:
    """Make a sum of squares, a logistic regression, or a deep net of tanh with about so many elements."""
    if kind == 0:
        found: Any = backprops.squares(random, dtype, size)
    elif kind == 1:
        found = backprops.logistic(random, dtype, 30, max(size - 1, 1))
    else:
        depth = int(random.integers(2, 9))
        width = max(int(np.sqrt(size / depth)), 1)
        found = backprops.net(random, dtype, (width,) * depth + (1,), batch=6)
    return found[0], found[1], found[2]


def single(x: Any) -> Any:
    """Round to float32, whatever is given."""
    return {key: np.float32(part) for key, part in x.items()} if isinstance(x, dict) else np.float32(x)


def drawn(count: int, dtype: Any) -> Iterator[tuple[Any, bool, Subject]]:
    """Draw functions of 1 to 10,000 elements; every second of them in float32 whatever it is given."""
    for number in range(count):
        random = np.random.default_rng([HELD_OUT_SEED, number])
        f, gradient, x = sized(random, dtype, round(10 ** random.uniform(0, 4)), number % 3)
        strict = dtype is np.float32 and number % 2 == 1
        g = (lambda x, f=f: np.float32(f(single(x)))) if strict else f
        yield random, strict, Subject(f"{number}", g, gradient, x)


def wolf_section(count: int) -> Section:
    """Check what is right in float32."""
    tally = {False: [0, 0, 0, 0], True: [0, 0, 0, 0]}
    start = time.perf_counter()
    for _, strict, subject in drawn(count, np.float32):
        found = mb.check(subject.f, subject.gradient, subject.x)
        row = tally[strict]
        row[0] += 1
        row[1] += found.verdict == "wrong"
        row[2] += found.verdict == "undecided"
        row[3] += found.evaluations
    words = {False: "computes in float64 where it gets that", True: "rounds everything to float32"}
    rows = [
        [words[strict], str(total), str(wrong), str(undecided), figure(evaluations / total)]
        for strict, (total, wrong, undecided, evaluations) in tally.items()
    ]
    text = table(("f", "checks", "called wrong", "undecided", "evaluations, mean"), rows)
    wrong = sum(row[1] for row in tally.values())
    target = Target(f"right float32 gradients, {count:,} checks: false alarms", "0", str(wrong), wrong == 0)
    took = duration((time.perf_counter() - start) / count)
    return Section(
        "Right gradients in float32, 1 to 10,000 elements", f"{text}\n\nA check takes {took} in the mean.", [target]
    )


def seeded_section(count: int) -> Section:
    """Make one element wrong by a little."""
    rows, targets = [], []
    for dtype, part, least in ((np.float64, 0.01, 1e-6), (np.float32, 0.1, 1e-3)):
        word, found, named, missed = np.dtype(dtype).name, 0, 0, []
        for random, strict, subject in drawn(count, dtype):
            structure = Structure.of(subject.x)
            flat = structure.flatten(subject.gradient(subject.x))
            place = int(random.choice(np.flatnonzero(np.abs(flat) >= least * np.abs(flat).max())))
            flat[place] *= 1 + dtype(part)
            report = mb.check(subject.f, structure.unflatten(flat), subject.x)
            found += report.verdict == "wrong"
            good = [finding.name for finding in report.wrong] == [structure.name(place)]
            named += good
            if not good:
                missed.append(f"{subject.name}{' (rounds to float32)' * strict}: {report.verdict}")
        rows.append(
            [word, f"{part:.0%}", f"{least:g}", f"{found} of {count}", f"{named} of {count}", "; ".join(missed[:4])]
        )
        targets.append(
            Target(f"{word}: one element off by {part:.0%}, found", "all", f"{found} of {count}", found == count)
        )
    heads = ("dtype", "off by", "not below, of the largest", "found", "named alone", "those not named")
    return Section("One element off by a little, of 1 to 10,000", table(heads, rows), targets)


def needle_section(count: int) -> Section:
    """Make one element of 7,850 wrong."""
    spent, named = [], 0
    for seed in range(count):
        random = np.random.default_rng([HELD_OUT_SEED, seed])
        f, gradient, x = backprops.softmax_regression(random, np.float64, 32, 784, 10)
        slopes = gradient(x)
        place = int(random.integers(784)), int(random.integers(10))
        slopes["W"][place] *= -1
        report = mb.check(f, slopes, x, seed=seed)
        spent.append(report.evaluations)
        named += [finding.element for finding in report.wrong] == [("W", *place)]
    text = f"{count} seeds: {min(spent)} to {max(spent)} evaluations, mean {np.mean(spent):.0f}; named alone: {named}."
    met = max(spent) <= 200 and named == count
    target = Target("one wrong of 7,850: most evaluations", "<= 200", f"{max(spent)}, named {named} of {count}", met)
    return Section("One wrong element of 7,850", text, [target])


def jacobian_section() -> Section:
    """Check a right Jacobian of 100 x 100 in each one's own language."""
    import torch

    random = np.random.default_rng(HELD_OUT_SEED)
    a, x = random.normal(size=(100, 100)) / 10, random.normal(size=100)
    weights, point = torch.tensor(a), torch.tensor(x, requires_grad=True)

    def slopes(x: Any) -> Any:
        return (1 - np.tanh(a @ x) ** 2)[:, None] * a

    ways: dict[str, Callable[[], Any]] = {
        "mibun.check": lambda: mb.check(lambda x: np.tanh(a @ x), slopes, x).require(),
        "mibun.check, exhaustive": lambda: mb.check(lambda x: np.tanh(a @ x), slopes, x, exhaustive=True).require(),
        "gradcheck, slow mode": lambda: torch.autograd.gradcheck(lambda x: torch.tanh(weights @ x), (point,)),
        "gradcheck, fast mode": lambda: torch.autograd.gradcheck(
            lambda x: torch.tanh(weights @ x), (point,), fast_mode=True
        ),
    }
    took = {name: min(_timed(way) for _ in range(5)) for name, way in ways.items()}
    ratio = took["mibun.check"] / took["gradcheck, slow mode"]
    text = table(("checker", "time, best of 5"), [[name, duration(seconds)] for name, seconds in took.items()])
    target = Target("100 x 100 Jacobian: time / gradcheck's slow mode", "< 1", f"{ratio:.2f}", ratio < 1)
    return Section("A right Jacobian of 100 x 100", text, [target])


def _timed(way: Callable[[], Any]) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def sections(quick: bool) -> Iterator[Section]:
    """Measure one part after the other."""
    yield jacobian_section()
    yield needle_section(3 if quick else 25)
    yield seeded_section(20 if quick else 200)
    yield wolf_section(30 if quick else 1000)
    yield from mistakes_section(quick)


def main() -> None:
    """Print the report, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few of each")
    parser.add_argument("--write", action="store_true", help=f"put the report into {RESULTS.name}")
    options = parser.parse_args()
    on_one_thread()
    silence()
    command = " ".join(["python benchmarks/check.py", *sys.argv[1:]])
    text = report("Checking gradients", sections(options.quick), (), command)
    print(text)
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
