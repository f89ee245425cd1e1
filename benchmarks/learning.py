"""Time of one training step of the book's network 784-50-10, batch of 100, one thread.

    python benchmarks/learning.py [--rounds 5] [--write]

Every contender runs in a process of its own with one BLAS thread (two thread pools in one process disturb each
other), all of them in turn, `--rounds` times; a time is the median over all steps of all rounds. A step is the
gradient of a batch that lies in memory, and the update of plain gradient descent.

- `chain`: this library's default engine.
- `coordinate`: the notes' loop. It is not run to its end: its time is 79,520 x the median forward pass (with
  the loss) of the same Network, which flatters it by the time of the loop itself.
- `PyTorch`: zero_grad, forward, backward, SGD.step; SGD in its three forms (single tensor, foreach, fused), of
  which the fastest counts. Skipped, and said so, where PyTorch is not installed.
- `hand-written backprop`: the same step in NumPy with the derivatives written out, the price of numerical slopes.
- `matrix products`: the five products of the step alone, the floor for every method that uses them.

`--write` puts the table into benchmarks/results/learning.md.
"""

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import mibun as mb
from mibun import learn

PARAMETERS = 784 * 50 + 50 + 50 * 10 + 10
BATCH = 100
STEPS = 1000
RESULTS = Path(__file__).parent / "results" / "learning.md"


def batch() -> tuple[Any, Any, str]:
    """Give a batch of MNIST where it is at hand, else of random images with as many zeros."""
    rng = np.random.default_rng(0)
    if "MIBUN_DATA" in os.environ:
        dataset = learn.load_mnist()
        chosen = rng.permutation(len(dataset.train_x))[:BATCH]
        return dataset.train_x[chosen].astype(np.float64), dataset.train_labels[chosen], "MNIST"
    images = rng.random((BATCH, 784)) * (rng.random((BATCH, 784)) < 0.19)
    return images, rng.integers(0, 10, BATCH), "random images, 19 % of the pixels not zero"


def network(dtype: str) -> learn.Network:
    """Make the book's network."""
    return learn.Network([learn.Dense(784, 50), learn.Sigmoid(), learn.Dense(50, 10)], dtype=dtype)


def mibun_step(dtype: str, gradient_only: bool = False) -> Callable[[], object]:
    """Make one step of the engine `chain`."""
    net, engine, rule = network(dtype), learn.Chain(), mb.GradientDescent(0.1)
    images, labels, _ = batch()
    x, targets = net.batch(images), net.targets(labels, BATCH)
    gradient, state = np.empty_like(net.vector), rule.init(net.vector)

    def step() -> None:
        engine.into(net, x, targets, None, gradient)
        rule.apply(net.vector, gradient, state)

    return (lambda: engine.gradient(net, x, targets)) if gradient_only else step


def forward_pass(dtype: str) -> Callable[[], object]:
    """Make one forward pass with the loss, of which the notes' loop needs 79,520 a step."""
    net = network(dtype)
    images, labels, _ = batch()
    x, targets = net.batch(images), net.targets(labels, BATCH)
    return lambda: float(net.loss_function.per_sample(net.forward(x), targets).mean())


def torch_step(dtype: str, form: str) -> Callable[[], object]:
    """Make one step of PyTorch, in one of the forms of its SGD."""
    import torch

    torch.set_num_threads(1)
    images, labels, _ = batch()
    kind = getattr(torch, dtype)
    x, targets = torch.tensor(images, dtype=kind), torch.tensor(labels)
    net = torch.nn.Sequential(torch.nn.Linear(784, 50), torch.nn.Sigmoid(), torch.nn.Linear(50, 10)).to(kind)
    loss = torch.nn.CrossEntropyLoss()
    options = {"single": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}[form]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, **options)

    def step() -> None:
        optimizer.zero_grad()
        loss(net(x), targets).backward()
        optimizer.step()

    return step


def hand_step(dtype: str) -> Callable[[], object]:
    """Make one step of backprop written by hand, in the layout of the engine."""
    net = network(dtype)
    images, labels, _ = batch()
    x, rows = net.batch(images), np.arange(BATCH)
    weight_1, bias_1, weight_2, bias_2 = net.views(net.vector).values()
    gradient = np.empty_like(net.vector)
    of_weight_1, of_bias_1, of_weight_2, of_bias_2 = net.views(gradient).values()
    a, z, below = (np.empty((BATCH, width), net.dtype, order="F") for width in (50, 10, 50))
    ones = np.ones(BATCH, net.dtype)

    def step() -> None:
        np.matmul(x, weight_1, out=a)
        np.add(a, bias_1, out=a)
        np.reciprocal(np.exp(-a) + 1, out=a)
        np.matmul(a, weight_2, out=z)
        np.add(z, bias_2, out=z)
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[rows, labels] -= 1
        p /= BATCH
        np.matmul(a.T, p, out=of_weight_2)
        np.matmul(ones, p, out=of_bias_2)
        np.matmul(p, weight_2.T, out=below)
        np.multiply(below, a * (1 - a), out=below)
        np.matmul(x.T, below, out=of_weight_1)
        np.matmul(ones, below, out=of_bias_1)
        np.multiply(gradient, 0.1, out=gradient)
        np.subtract(net.vector, gradient, out=net.vector)

    return step


def products(dtype: str) -> Callable[[], object]:
    """Make the five matrix products of a step."""
    net = network(dtype)
    x = net.batch(batch()[0])
    weight_1, _, weight_2, _ = net.views(net.vector).values()
    of_weight_1, _, of_weight_2, _ = net.views(np.empty_like(net.vector)).values()
    a, z, below = (np.empty((BATCH, width), net.dtype, order="F") for width in (50, 10, 50))

    def step() -> None:
        np.matmul(x, weight_1, out=a)
        np.matmul(a, weight_2, out=z)
        np.matmul(a.T, z, out=of_weight_2)
        np.matmul(z, weight_2.T, out=below)
        np.matmul(x.T, below, out=of_weight_1)

    return step


CONTENDERS: dict[str, Callable[[str], Callable[[], object]]] = {
    "chain": mibun_step,
    "chain with errors": lambda dtype: mibun_step(dtype, gradient_only=True),
    "forward": forward_pass,
    "hand-written backprop": hand_step,
    "matrix products": products,
    "PyTorch single": lambda dtype: torch_step(dtype, "single"),
    "PyTorch foreach": lambda dtype: torch_step(dtype, "foreach"),
    "PyTorch fused": lambda dtype: torch_step(dtype, "fused"),
}


def measure(contender: str, dtype: str) -> list[float]:
    """Time single steps, in seconds; the first tenth warms up."""
    step = CONTENDERS[contender](dtype)
    steps = STEPS // 10 if contender == "chain with errors" else STEPS
    times = []
    for _ in range(steps):
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return times[steps // 10 :]


def in_own_process(contender: str, dtype: str) -> list[float]:
    """Run `measure` in a fresh process with one thread."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--measure", contender, dtype]
    done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=True)
    times: list[float] = json.loads(done.stdout)
    return times


def medians(rounds: int) -> dict[tuple[str, str], float]:
    """Run all contenders in turn, and give the median seconds of each."""
    have_torch = importlib.util.find_spec("torch") is not None
    names = [name for name in CONTENDERS if have_torch or not name.startswith("PyTorch")]
    times: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds):
        for dtype in ("float64", "float32"):
            for name in names:
                print(f"round {number + 1} of {rounds}: {name}, {dtype} ...", end="\r", file=sys.stderr)
                times.setdefault((name, dtype), []).extend(in_own_process(name, dtype))
    print(" " * 70, end="\r", file=sys.stderr)
    return {key: float(np.median(values)) for key, values in times.items()}


def table(found: dict[tuple[str, str], float]) -> str:
    """Write the medians as a table, each beside the ratio to `chain`."""
    lines = ["| step | float64 | x chain | float32 | x chain |", "|---|---|---|---|---|"]
    rows: dict[str, dict[str, float]] = {}
    for (name, dtype), seconds in found.items():
        rows.setdefault(name, {})[dtype] = seconds
    torch = {name: row for name, row in rows.items() if name.startswith("PyTorch")}
    shown = {name: row for name, row in rows.items() if name not in torch and name != "forward"}
    shown[f"coordinate (the notes' loop): {2 * PARAMETERS:,} x forward"] = {
        dtype: 2 * PARAMETERS * seconds for dtype, seconds in rows["forward"].items()
    }
    if torch:
        shown["PyTorch, fastest SGD form"] = {
            dtype: min(row[dtype] for row in torch.values()) for dtype in ("float64", "float32")
        }
    for name, row in shown.items():
        cells = [f"{duration(row[dtype])} | {row[dtype] / rows['chain'][dtype]:,.2f}" for dtype in row]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Print seconds with a fitting unit."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e6:,.0f} us"


def machine() -> str:
    """Name the machine and the versions."""
    model = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor()
    )
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, mibun {mb.__version__}"
    if importlib.util.find_spec("torch") is not None:
        import torch

        versions += f", PyTorch {torch.__version__}"
    return f"{model}, {os.cpu_count()} cores, {platform.system()}; {versions}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    """Run the benchmark, or one contender of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--measure", nargs=2, metavar=("CONTENDER", "DTYPE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        json.dump(measure(*arguments.measure), sys.stdout)
        return
    found = medians(arguments.rounds)
    text = (
        f"# One training step of 784-50-10, batch {BATCH}, one thread\n\n{table(found)}\n\n"
        f"Data: {batch()[2]}. Median of {arguments.rounds} rounds of {STEPS} steps (with errors: a tenth of them), "
        "each contender in its own process.\n"
        f"Machine: {machine()}.\nMade by `python benchmarks/learning.py --write`.\n"
    )
    if not any(name.startswith("PyTorch") for name, _ in found):
        text += "PyTorch is not installed and was not measured.\n"
    print(text)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
