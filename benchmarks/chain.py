"""The tape beside autograd, JAX and PyTorch: time, accuracy, bounds, and who can do it at all.

    python benchmarks/chain.py [--quick] [--write]

- the book's network 784-50-10 in plain NumPy, six activations, a batch of 100, forward and backward, beside PyTorch;
- the twelve functions of `recorded.py`;
- the overhead of one recorded operation on arrays of 10 numbers.

Every contender runs in its own process, on one thread, several times in turn; what is shown is the lower quartile of
its calls in the best of the rounds, for whatever else the machine does only adds. JAX is timed after compilation. The
gradient of mibun is timed as plain numbers (`mb.chain.value_and_gradient`), as the other libraries give them, and the
price of bounds and of verifying stands in columns of its own. Errors are relative to the largest entry of the gradient.
`--write` puts the report into benchmarks/results/chain.md.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import machine
from recorded import PROBLEMS, Problem
from report import THREADS, Section, Target, duration, figure, on_one_thread, percent, silence, table
from scipy import special

import mibun as mb

RESULTS = Path(__file__).parent / "results" / "chain.md"
PEERS = ("autograd", "jax", "torch")
OWN = ("mibun", "mibun, errors", "mibun, verified")
#: What takes so long that one round must do: JAX compiles, and the adaptive method moves every entry.
SLOW = ("jax", "adaptive")
DTYPES = ("float64", "float32")
BATCH = 100

#: From a NumPy and its special functions to the activation; and the same in PyTorch.
ACTIVATIONS: dict[str, tuple[Callable[[Any, Any], Callable[[Any], Any]], Callable[[Any], Callable[[Any], Any]]]] = {
    "sigmoid": (lambda np_, _: lambda z: 1 / (1 + np_.exp(-z)), lambda torch: torch.sigmoid),
    "tanh": (lambda np_, _: np_.tanh, lambda torch: torch.tanh),
    "ReLU": (lambda np_, _: lambda z: np_.maximum(z, 0), lambda torch: torch.relu),
    "arctan": (lambda np_, _: np_.arctan, lambda torch: torch.atan),
    "scipy expit": (lambda _, special: special.expit, lambda torch: torch.special.expit),
    "scipy erf": (lambda _, special: special.erf, lambda torch: torch.erf),
}


class Network:
    """The book's network in plain NumPy, and in PyTorch."""

    def __init__(self, dtype: str) -> None:
        rng = np.random.default_rng(0)
        self.images = (rng.random((BATCH, 784)) * (rng.random((BATCH, 784)) < 0.19)).astype(dtype)
        self.labels, self.rows = rng.integers(0, 10, BATCH), np.arange(BATCH)
        w1, w2 = rng.normal(size=(784, 50)) / 28, rng.normal(size=(50, 10)) / 7
        parts = {"w1": w1, "b1": np.zeros(50), "w2": w2, "b2": np.zeros(10)}
        self.p = {name: part.astype(dtype) for name, part in parts.items()}

    def numpy(self, activation: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Give the loss as a function of the parameters."""
        images, labels, rows = self.images, self.labels, self.rows

        def f(p: Any) -> Any:
            a = activation(images @ p["w1"] + p["b1"])
            z = a @ p["w2"] + p["b2"]
            z = z - z.max(axis=1, keepdims=True)
            return (np.log(np.exp(z).sum(axis=1)) - z[rows, labels]).mean()

        return f

    def torch(self, name: str) -> tuple[Callable[[], object], Callable[[], dict[str, Any]]]:
        """Give one forward and backward pass, and the gradient that it leaves."""
        torch: Any = import_module("torch")
        torch.set_num_threads(1)
        images, labels = torch.tensor(self.images), torch.tensor(self.labels)
        p = {key: torch.tensor(part, requires_grad=True) for key, part in self.p.items()}
        activation = ACTIVATIONS[name][1](torch)

        def step() -> None:
            for part in p.values():
                part.grad = None
            z = activation(images @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]
            torch.nn.functional.cross_entropy(z, labels).backward()

        return step, lambda: {key: part.grad.numpy() for key, part in p.items()}


class Measured(NamedTuple):
    """Seconds of a call, and the gradient that it gave."""

    seconds: float
    gradient: Any


def timed(call: Callable[[], object], most: float, share: float = 0.25) -> float:
    """Give the lower quartile of the seconds of a call, of as many as fit into `most` seconds, but at least 7."""
    call()
    times: list[float] = []
    end = time.perf_counter() + most
    while len(times) < 7 or (time.perf_counter() < end and len(times) < 1000):
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return sorted(times)[int(len(times) * share)]


def flat(gradient: Any) -> Any:
    """Give a gradient as a vector."""
    parts = gradient.values() if isinstance(gradient, dict) else [gradient]
    return np.concatenate([np.asarray(part, np.float64).reshape(-1) for part in parts])


def own(contender: str, f: Callable[[Any], Any], x: Any) -> Callable[[], Any]:
    """Make a gradient by mibun."""
    if contender == "mibun":
        return lambda: mb.chain.value_and_gradient(f, x)[1]
    if contender == "adaptive":
        return lambda: mb.gradient(f, x).value
    method = mb.Chain(verify=contender.endswith("verified"), errors=contender.endswith("errors"))
    return lambda: mb.gradient(f, x, method=method).value


def problem_call(contender: str, problem: Problem, dtype: str) -> Callable[[], Any]:
    """Make one gradient of a problem; raises where a library cannot."""
    x = problem.x.astype(dtype)
    if contender == "autograd":
        own_special = import_module("autograd.scipy.special")
        both = import_module("autograd").value_and_grad(problem.f(import_module("autograd.numpy"), own_special))
        return lambda: both(x)[1]
    if contender == "jax":
        jax: Any = import_module("jax")
        jax.config.update("jax_enable_x64", True)
        f = problem.jax(jax) if problem.jax else problem.f(jax.numpy, import_module("jax.scipy.special"))
        compiled = jax.jit(jax.value_and_grad(f))
        return lambda: np.asarray(jax.block_until_ready(compiled(x))[1])
    if contender == "torch":
        torch: Any = import_module("torch")
        torch.set_num_threads(1)
        if problem.torch is None:
            raise NotImplementedError("PyTorch has no such function")
        f, point = problem.torch(torch), torch.tensor(x, requires_grad=True)

        def step() -> Any:
            point.grad = None
            f(point).backward()
            return point.grad.numpy()

        return step
    return own(contender, problem.f(np, special), x)


def measure(contender: str, most: float) -> dict[str, dict[str, Any]]:
    """Time all that a contender can do, and keep its gradients; in its own process."""
    silence()
    found: dict[str, dict[str, Any]] = {}
    for dtype in DTYPES:
        for name in ACTIVATIONS if contender in ("torch", *OWN) else ():
            network = Network(dtype)
            if contender == "torch":
                step, gradient = network.torch(name)
                seconds = timed(step, most)
            else:
                gradient = own(contender, network.numpy(ACTIVATIONS[name][0](np, special)), network.p)
                seconds = timed(gradient, most)
            found[f"{dtype} {name}"] = {"seconds": seconds, "gradient": flat(gradient()).tolist()}
        for problem in PROBLEMS if contender != "adaptive" or dtype == "float64" else ():
            try:
                call = problem_call(contender, problem, dtype)
                gradient_ = flat(call())
            except Exception as reason:  # noqa: BLE001  it cannot, whatever the reason
                found[f"{dtype} {problem.name}"] = {"reason": f"{type(reason).__name__}: {reason}".split("\n")[0][:70]}
                continue
            found[f"{dtype} {problem.name}"] = {"seconds": timed(call, most), "gradient": gradient_.tolist()}
    return found


def in_own_processes(rounds: int, most: float) -> dict[str, dict[str, dict[str, Any]]]:
    """Run all contenders in turn, and keep the best round of each."""
    here = [name for name in PEERS if _installed(name)]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for number in range(rounds):
        for contender in (*OWN, *here, "adaptive"):
            if number and contender in SLOW:
                continue
            print(f"round {number + 1} of {rounds}: {contender} ...", end="\r", file=sys.stderr)
            command = [sys.executable, __file__, "--measure", contender, str(most)]
            done = subprocess.run(command, env=os.environ | THREADS, capture_output=True, text=True, check=True)
            one = json.loads(done.stdout.splitlines()[-1])
            best = found.setdefault(contender, one)
            for name, row in one.items():
                if "seconds" in row:
                    best[name]["seconds"] = min(best[name]["seconds"], row["seconds"])
    print(" " * 60, end="\r", file=sys.stderr)
    return found


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


Found = dict[str, dict[str, dict[str, Any]]]


def seconds(found: Found, contender: str, name: str) -> float:
    """Give the seconds of a contender; nan where it cannot."""
    return float(found.get(contender, {}).get(name, {}).get("seconds", np.nan))


def time_cell(value: float) -> str:
    """Print seconds; - where there are none."""
    return duration(value) if value == value else "-"


def network_section(found: Found) -> Section:
    """Compare the book's network with PyTorch."""
    rows = []
    ratios: dict[str, list[float]] = {dtype: [] for dtype in DTYPES}
    for dtype in DTYPES:
        for name in ACTIVATIONS:
            key = f"{dtype} {name}"
            times = [seconds(found, contender, key) for contender in (*OWN, "torch")]
            ratios[dtype].append(times[0] / times[3])
            rows.append([dtype, name, *(time_cell(t) for t in times), figure(ratios[dtype][-1])])
    heads = ("dtype", "activation", "mibun", "with errors", "verified", "PyTorch", "mibun / PyTorch")
    targets = []
    for dtype, own_ratios in ratios.items():
        if np.isfinite(own_ratios).all():
            worst = max(own_ratios)
            measured = f"{min(own_ratios):.2f} to {worst:.2f}"
            targets.append(Target(f"book net, {dtype}: time / PyTorch", "<= 1.1", measured, worst <= 1.1))
    return Section("The book's network in plain NumPy, forward and backward", table(heads, rows), targets)


def problems_section(found: Found) -> Section:
    """Compare the times of the twelve functions."""
    rows, faster, can = [], 0, 0
    for problem in PROBLEMS:
        key = f"float64 {problem.name}"
        times = {name: seconds(found, name, key) for name in (*OWN, *PEERS, "adaptive")}
        beside = times["autograd"]
        can += beside == beside
        faster += times["mibun"] < beside
        rows.append(
            [problem.name, str(problem.x.size), *map(time_cell, times.values()), figure(times["mibun"] / beside)]
        )
    heads = ("function", "n", "mibun", "with errors", "verified", *PEERS, "adaptive", "mibun / autograd")
    reasons = []
    for contender in PEERS:
        for problem in PROBLEMS:
            reason = found.get(contender, {}).get(f"float64 {problem.name}", {}).get("reason")
            if reason:
                reasons.append([problem.name, contender, reason.replace("|", "/")])
    text = (
        f"{table(heads, rows)}\n\nWhat cannot be done (- above):\n\n{table(('function', 'library', 'reason'), reasons)}"
    )
    measured = f"{faster} of the {can} that autograd can do, {len(PROBLEMS) - can} more that it cannot"
    target = Target(
        "faster than autograd", "at least 10 of 12", measured, faster + len(PROBLEMS) - can >= 10 and faster == can
    )
    return Section("Twelve functions", text, [target] if "autograd" in found else [])


def truth_of(problem: Problem) -> Any:
    """Give the gradient in more digits than float64 has."""
    if problem.truth is not None:
        return flat(problem.truth(problem.x))
    f = problem.f(import_module("autograd.numpy"), None)
    return flat(import_module("autograd").grad(f)(problem.x.astype(np.longdouble)))


def accuracy_section(found: Found) -> Section:
    """Compare errors with the truth, and bounds with errors."""
    rows, worst, covers, entries, worse = [], 0.0, 0, 0, []
    for problem in PROBLEMS:
        if problem.truth is None and "autograd" not in found:
            continue
        truth = truth_of(problem)
        largest = np.abs(truth).max()
        d = mb.gradient(problem.f(np, special), problem.x, method="chain")
        off, error = np.abs(flat(d.value) - truth), flat(d.error)
        off = np.maximum(off - np.spacing(np.abs(truth)) / 2, 0.0)  # what rounding the truth adds does not count
        covers, entries = covers + int((off <= error).sum()), entries + off.size
        quick = np.abs(np.array(found["mibun"][f"float64 {problem.name}"]["gradient"]) - truth).max() / largest
        worst = max(worst, float(off.max() / largest), float(quick))
        short = {}
        x = problem.x.astype(np.float32)
        shorter = flat(mb.gradient(problem.f(np, special), x.astype(float), method="chain").value)
        for name in ("mibun", "autograd", "torch"):
            row = found.get(name, {}).get(f"float32 {problem.name}", {})
            if "gradient" in row:
                short[name] = float(np.abs(np.array(row["gradient"]) - shorter).max() / np.abs(shorter).max())
        others = [value for name, value in short.items() if name != "mibun"]
        if others:
            worse.append(short["mibun"] / max(others))
        ratio = np.median(error / np.maximum(off, np.spacing(np.abs(truth)) / 4))
        cells = [
            f"{float(off.max() / largest):.0e}",
            f"{quick:.0e}",
            percent(float((off <= error).mean())),
            figure(ratio),
        ]
        rows.append(
            [problem.name, *cells, *(f"{short[n]:.0e}" if n in short else "-" for n in ("mibun", "autograd", "torch"))]
        )
    heads = ("function", "float64", "as plain numbers", "bound covers", "bound / error, median")
    text = table((*heads, "float32: mibun", "autograd", "PyTorch"), rows)
    targets = [
        Target("largest error, float64", "<= 1e-10", f"{worst:.0e}", worst <= 1e-10),
        Target("bound covers", ">= 99 % of the entries", percent(covers / entries), covers >= 0.99 * entries),
    ]
    if worse:
        measured = f"{max(worse):.2f} x the larger of theirs, at most"
        targets.append(Target("error in float32 / PyTorch's or autograd's", "<= 2", measured, max(worse) <= 2))
    return Section("Errors, relative to the largest entry", text, targets)


#: A loop over an operation, and what x is divided by, so that nothing grows or shrinks without bound.
OPERATIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = {
    "a + b": (lambda y, x: y + x, np.max),
    "a * b": (lambda y, x: y * x, np.max),
    "a / b": (lambda y, x: y / x, np.max),
    "a ** 2": (lambda y, x: y**2, np.max),
    "np.sin": (lambda y, x: np.sin(y), np.max),
    "np.exp": (lambda y, x: np.exp(-y), np.max),
    "np.tanh": (lambda y, x: np.tanh(y), np.max),
    "np.maximum": (lambda y, x: np.maximum(y, x), np.max),
    "np.where": (lambda y, x: np.where(y > x, y, x), np.max),
    "np.sum": (lambda y, x: np.sum(y) * x, np.sum),
    "x.mean()": (lambda y, x: y.mean() * x, np.mean),
    "np.max": (lambda y, x: np.max(y) * x, np.max),
    "a @ b": (lambda y, x: (y @ x) * x, np.linalg.norm),
    "x[::-1]": (lambda y, x: y[::-1], np.max),
    "x[indices]": (lambda y, x: y[np.arange(10)], np.max),
    "np.concatenate": (lambda y, x: np.concatenate([y[:5], x[5:]]), np.max),
    "np.reshape": (lambda y, x: y.reshape(2, 5).reshape(10), np.max),
    "x.T": (lambda y, x: y.T, np.max),
    "np.cumsum": (lambda y, x: np.cumsum(y) * 0.5, np.max),
}


def overhead_section() -> Section:
    """Time single operations on arrays of 10 numbers, by chains of two lengths: the least time of many calls."""
    uniform = np.random.default_rng(0).uniform(0.5, 1.0, 10)
    rows, per_operation = [], []
    for name, (operation, size) in OPERATIONS.items():
        x = uniform / size(uniform)

        def f(x: Any, count: int = 0, operation: Callable[[Any, Any], Any] = operation) -> Any:
            y = x
            for _ in range(count):
                y = operation(y, x)
            return np.sum(y)

        times, operations = [], []
        for count in (20, 220):
            chained = lambda x, count=count, f=f: f(x, count)  # noqa: E731
            call = partial(mb.chain.value_and_gradient, chained, x)
            times.append(timed(call, 0.4, share=0.0))
            operations.append(mb.chain.record(chained, x, verify=False).operations)
        each = (times[1] - times[0]) / (operations[1] - operations[0])
        per_operation.append(each)
        rows.append([name, str((operations[1] - operations[0]) // 200), duration(each)])
    text = table(("loop over", "operations recorded", "forward and backward, each"), rows)
    mean, worst = float(np.mean(per_operation)), max(per_operation)
    measured = f"{mean * 1e6:.1f} us in the mean, {worst * 1e6:.1f} us at most"
    return Section(
        "Overhead of one operation, arrays of 10 numbers",
        text,
        [Target("overhead", "<= 8 us", measured, worst <= 8e-6)],
    )


def sections(rounds: int, most: float) -> Iterator[Section]:
    """Measure one part after the other."""
    found = in_own_processes(rounds, most)
    yield network_section(found)
    yield problems_section(found)
    yield overhead_section()
    yield accuracy_section(found)


def report(parts: Sequence[Section], command: str) -> str:
    """Write the report, with the summary of all targets first."""
    rows = [[*target[:3], "yes" if target.met else "**no**"] for part in parts for target in part.targets]
    peers = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("scipy", *PEERS) if _installed(name))
    away = ", ".join(name for name in PEERS if not _installed(name))
    text = ["# Gradients of NumPy code by the tape", table(("what", "target", "measured", "met"), rows)]
    text += [f"## {part.title}\n\n{part.text}" for part in parts]
    text.append(
        f"Machine: {machine()}, one thread; {peers}." + (f" Not installed, not measured: {away}." if away else "")
    )
    return "\n\n".join([*text, f"Made by `{command}`."]) + "\n"


def main() -> None:
    """Run the benchmark, or one contender of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--write", action="store_true", help=f"put the report into {RESULTS.name}")
    parser.add_argument("--measure", nargs=2, metavar=("CONTENDER", "SECONDS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure[0], float(arguments.measure[1]))))
        return
    on_one_thread()
    silence()
    parts = list(sections(1, 0.05) if arguments.quick else sections(7, 0.4))
    text = report(parts, " ".join(["python benchmarks/chain.py", *sys.argv[1:]]))
    print(text)
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
