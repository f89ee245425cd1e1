"""The time of one training step, or of one gradient, of several networks: the half of `learning.py` on speed.

    python benchmarks/steps.py [--rounds 3] [--quick]

Every contender runs in a process of its own (two thread pools in one process disturb each other), all of them in turn,
`--rounds` times; a time is the median of its rounds, each the median of its steps. A step is the gradient of a batch
that lies in memory, values only, and, but for `node` and `column`, the update of plain gradient descent; the price of
the errors is a column of its own. One thread, unless two are said.

- `chain`, `node`, `column`, `column, every step`: engines of this library.
- `coordinate`: the notes' loop. It is not run to its end: its time is the number of its passes times the median
  forward pass (with the loss) of the same Network in the same process, which leaves out the loop itself.
- `PyTorch`: zero_grad, forward, backward, SGD.step; of its two forms of SGD, single tensor and foreach, the faster one.
- `hand-written backprop`: the same step in NumPy with the derivatives written out, the price of numerical slopes.
- `matrix products`: the five products of the step alone, the floor for every method that uses them.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from report import Section, Target, table

import mibun as mb
from mibun import learn

SAMPLES = 100
BOOK, DEEP, IMAGES = "784-50-10", "784-200-200-10", "conv 8-16"
DTYPES = ("float64", "float32")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
#: Who runs on which network; the first is what the others are compared with.
CONTENDERS = {
    BOOK: ("chain", "node", "column", "column, every step", "hand-written backprop", "matrix products"),
    DEEP: ("chain", "node", "column"),
    IMAGES: ("chain",),
}
TORCH = ("PyTorch single", "PyTorch foreach")
ENGINES: dict[str, Callable[[], Any]] = {
    "chain": learn.Chain,
    "node": learn.Node,
    "column": learn.Column,
    "column, every step": lambda: learn.Column(every_step=True),
}
#: PyTorch's time over that of chain, at least, for (network, dtype, threads).
BESIDE_TORCH = {
    (BOOK, "float64", 1): 1.2,
    (BOOK, "float32", 1): 1.5,
    (DEEP, "float64", 1): 1.0,
    (DEEP, "float32", 1): 1.0,
    (IMAGES, "float64", 1): 1 / 1.2,
    (IMAGES, "float32", 1): 1 / 1.2,
    (IMAGES, "float64", 2): 1 / 1.7,
    (IMAGES, "float32", 2): 1 / 1.7,
}
#: How many times faster than the loop, at least.
BESIDE_LOOP = {(BOOK, "column"): 10_000, (BOOK, "column, every step"): 700, (DEEP, "column"): 2_000}


class Run(NamedTuple):
    """What is measured in one process."""

    contender: str
    network: str
    dtype: str
    threads: int


Medians = dict[Run, dict[str, float]]
Steps = dict[str, Callable[[], object]]


def layers(name: str) -> list[learn.Layer]:
    """Give the layers of a network by its name."""
    if name == BOOK:
        return [learn.Dense(784, 50), learn.Sigmoid(), learn.Dense(50, 10)]
    if name == DEEP:
        return [learn.Dense(784, 200), learn.ReLU(), learn.Dense(200, 200), learn.ReLU(), learn.Dense(200, 10)]
    convolutions = [learn.Conv2D(1, 8, 3), learn.ReLU(), learn.MaxPool2D(2)]
    convolutions += [learn.Conv2D(8, 16, 3), learn.ReLU(), learn.MaxPool2D(2)]
    return [*convolutions, learn.Flatten(), learn.Dense(400, 10)]


def network(name: str, dtype: str) -> learn.Network:
    """Make a network by its name."""
    return learn.Network(layers(name), dtype=np.dtype(dtype), input_shape=(1, 28, 28) if name == IMAGES else None)


def batch() -> tuple[Any, Any]:
    """Give a batch of MNIST where it is at hand, else of random images with as many zeros."""
    rng = np.random.default_rng(0)
    if "MIBUN_DATA" in os.environ:
        dataset = learn.load_mnist()
        chosen = rng.permutation(len(dataset.train_x))[:SAMPLES]
        return dataset.train_x[chosen].astype(np.float64), dataset.train_labels[chosen]
    images = rng.random((SAMPLES, 784)) * (rng.random((SAMPLES, 784)) < 0.19)
    return images, rng.integers(0, 10, SAMPLES)


def engine_steps(run: Run) -> Steps:
    """Make a step of an engine, the forward pass beside it, and the gradient with errors."""
    net, engine, rule = network(run.network, run.dtype), ENGINES[run.contender](), mb.GradientDescent(0.1)
    images, labels = batch()
    x, targets = net.batch(images), net.targets(labels, SAMPLES)
    gradient, state = np.empty_like(net.vector), rule.init(net.vector)

    def step() -> None:
        engine.into(net, x, targets, None, gradient)
        if run.contender == "chain":  # the loop, which the others are compared with, is its passes alone
            rule.apply(net.vector, gradient, state)

    def forward() -> None:
        net.loss_function.per_sample(net.forward(x), targets).mean()

    return {"step": step, "forward": forward, "errors": lambda: engine.gradient(net, x, targets)}


def torch_step(run: Run) -> Steps:
    """Make one step of PyTorch, with one of the forms of its SGD."""
    import torch
    from torch import nn

    torch.set_num_threads(run.threads)
    images, labels = batch()
    kind, made = getattr(torch, run.dtype), list[Any]()
    known = {"ReLU": nn.ReLU(), "Sigmoid": nn.Sigmoid(), "Flatten": nn.Flatten(), "MaxPool2D": nn.MaxPool2d(2)}
    for layer in layers(run.network):
        if isinstance(layer, learn.Dense):
            made.append(nn.Linear(layer.inputs, layer.outputs))
        elif isinstance(layer, learn.Conv2D):
            made.append(nn.Conv2d(layer.inputs, layer.outputs, layer.size))
        else:
            made.append(known[type(layer).__name__])
    net, loss = nn.Sequential(*made).to(kind), nn.CrossEntropyLoss()
    x, targets = torch.tensor(images, dtype=kind), torch.tensor(labels)
    x = x.reshape(-1, 1, 28, 28) if run.network == IMAGES else x
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, foreach=run.contender.endswith("foreach"))

    def step() -> None:
        optimizer.zero_grad()
        loss(net(x), targets).backward()
        optimizer.step()

    return {"step": step}


def hand_step(run: Run) -> Steps:
    """Make one step of backprop written by hand, in the layout of the engine."""
    net = network(run.network, run.dtype)
    images, labels = batch()
    x, rows = net.batch(images), np.arange(SAMPLES)
    weight_1, bias_1, weight_2, bias_2 = net.views(net.vector).values()
    gradient = np.empty_like(net.vector)
    of_weight_1, of_bias_1, of_weight_2, of_bias_2 = net.views(gradient).values()
    a, z, below = (np.empty((SAMPLES, width), net.dtype, order="F") for width in (50, 10, 50))
    ones = np.ones(SAMPLES, net.dtype)

    def step() -> None:
        np.matmul(x, weight_1, out=a)
        np.add(a, bias_1, out=a)
        np.reciprocal(np.exp(-a) + 1, out=a)
        np.matmul(a, weight_2, out=z)
        np.add(z, bias_2, out=z)
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[rows, labels] -= 1
        p /= SAMPLES
        np.matmul(a.T, p, out=of_weight_2)
        np.matmul(ones, p, out=of_bias_2)
        np.matmul(p, weight_2.T, out=below)
        np.multiply(below, a * (1 - a), out=below)
        np.matmul(x.T, below, out=of_weight_1)
        np.matmul(ones, below, out=of_bias_1)
        np.multiply(gradient, 0.1, out=gradient)
        np.subtract(net.vector, gradient, out=net.vector)

    return {"step": step}


def products(run: Run) -> Steps:
    """Make the five matrix products of a step."""
    net = network(run.network, run.dtype)
    x = net.batch(batch()[0])
    weight_1, _, weight_2, _ = net.views(net.vector).values()
    of_weight_1, _, of_weight_2, _ = net.views(np.empty_like(net.vector)).values()
    a, z, below = (np.empty((SAMPLES, width), net.dtype, order="F") for width in (50, 10, 50))

    def step() -> None:
        np.matmul(x, weight_1, out=a)
        np.matmul(a, weight_2, out=z)
        np.matmul(a.T, z, out=of_weight_2)
        np.matmul(z, weight_2.T, out=below)
        np.matmul(x.T, below, out=of_weight_1)

    return {"step": step}


def measure(run: Run, seconds: float) -> dict[str, float]:
    """Give the median times of a contender; each thing is run for about so many seconds."""
    makers = {"hand-written backprop": hand_step, "matrix products": products}
    maker = torch_step if run.contender in TORCH else makers.get(run.contender, engine_steps)
    found = {}
    for what, step in maker(run).items():
        step()
        times: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            before = time.perf_counter()
            step()
            times.append(time.perf_counter() - before)
        found[what] = float(np.median(times))
    return found


def in_own_process(run: Run, seconds: float) -> dict[str, float]:
    """Run `measure` in a fresh process with so many threads."""
    command = [sys.executable, __file__, "--measure", json.dumps([*run, seconds])]
    threads = dict.fromkeys(THREADS, str(run.threads))
    done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=True)
    times: dict[str, float] = json.loads(done.stdout)
    return times


def runs() -> list[Run]:
    """Give all that is measured."""
    torch = TORCH if importlib.util.find_spec("torch") is not None else ()
    found = [
        Run(contender, name, dtype, 1)
        for name in CONTENDERS
        for dtype in DTYPES
        for contender in (*CONTENDERS[name], *torch)
    ]
    return found + [Run(contender, IMAGES, dtype, 2) for dtype in DTYPES for contender in ("chain", *torch)]


def medians(rounds: int, seconds: float) -> Medians:
    """Run all contenders in turn, and give the medians of each."""
    times: dict[Run, list[dict[str, float]]] = {}
    for number in range(rounds):
        for run in runs():
            print(f"round {number + 1} of {rounds}: {run.network}, {run.contender} ...   ", end="\r", file=sys.stderr)
            times.setdefault(run, []).append(in_own_process(run, seconds))
    return {
        run: {what: float(np.median([one[what] for one in some])) for what in some[0]} for run, some in times.items()
    }


def of_torch(found: Medians, name: str, dtype: str, threads: int) -> float:
    """Give the time of the faster form; nan where PyTorch is not installed."""
    both = [found[run]["step"] for form in TORCH if (run := Run(form, name, dtype, threads)) in found]
    return min(both, default=float("nan"))


def loop_of(found: Medians, run: Run) -> float:
    """Give the time of the notes' loop, by the forward pass measured beside `run`."""
    return 2 * network(run.network, run.dtype).vector.size * found[run]["forward"]


def duration(seconds: float) -> str:
    """Print seconds with a fitting unit."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e6:,.0f} us"


def book_table(found: Medians) -> str:
    """Write the steps of the book's network, each beside its ratio to `chain`."""
    rows: dict[str, dict[str, float]] = {}
    for dtype in DTYPES:
        for contender in CONTENDERS[BOOK]:
            times = found[Run(contender, BOOK, dtype, 1)]
            rows.setdefault(contender, {})[dtype] = times["step"]
            if contender == "chain":
                rows.setdefault("chain with errors", {})[dtype] = times["errors"]
        rows.setdefault("PyTorch, faster SGD form", {})[dtype] = of_torch(found, BOOK, dtype, 1)
        loop = loop_of(found, Run("chain", BOOK, dtype, 1))
        rows.setdefault("coordinate (the notes' loop): 79,520 x forward", {})[dtype] = loop
    cells = [
        [name, *(cell for d in DTYPES for cell in (duration(row[d]), f"{row[d] / rows['chain'][d]:,.2f}"))]
        for name, row in rows.items()
    ]
    return table(("step", "float64", "x chain", "float32", "x chain"), cells)


def engine_table(found: Medians) -> str:
    """Write the engines beside the loop and PyTorch, for every network."""
    rows = []
    for run, times in found.items():
        if run.contender not in ENGINES:
            continue
        torch = of_torch(found, run.network, run.dtype, run.threads)
        rows.append(
            [
                run.network,
                f"{run.dtype}, {run.threads} thread{'s' * (run.threads > 1)}",
                run.contender,
                duration(times["step"]),
                f"{loop_of(found, run) / times['step']:,.0f}",
                duration(torch),
                f"{torch / times['step']:.2f}",
                f"{times['errors'] / times['step']:.1f}",
            ]
        )
    heads = ("network", "numbers", "engine", "a step", "x the loop", "PyTorch", "PyTorch / engine", "with errors, x")
    return table(heads, rows)


def targets(found: Medians) -> list[Target]:
    """Compare with what is asked for."""
    lines = []
    for (name, contender), wanted_times in BESIDE_LOOP.items():
        run = Run(contender, name, "float64", 1)
        times, what = loop_of(found, run) / found[run]["step"], f"{contender} beside the loop, {name}"
        lines.append(Target(what, f">= {wanted_times:,} x", f"{times:,.0f} x", times >= wanted_times))
    for (name, dtype, threads), least in BESIDE_TORCH.items():
        ratio = of_torch(found, name, dtype, threads) / found[Run("chain", name, dtype, threads)]["step"]
        what = f"chain beside PyTorch, {name}, {dtype}, {threads} thread{'s' * (threads > 1)}"
        if least >= 1:
            wanted = f">= {least:g} x as fast" if least > 1 else "faster"
            lines.append(Target(what, wanted, f"{ratio:.2f} x as fast", ratio >= least))
        else:
            lines.append(Target(what, f"<= {1 / least:.1f} x its time", f"{1 / ratio:.2f} x", ratio >= least))
    return lines


def sections(rounds: int, seconds: float) -> list[Section]:
    """Measure, and write both tables."""
    found = medians(rounds, seconds)
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed and is not measured", file=sys.stderr)
    return [
        Section(f"One training step of {BOOK}, batch {SAMPLES}", book_table(found), []),
        Section(
            f"One gradient of each network, batch {SAMPLES}",
            f"{engine_table(found)}\n\n`x the loop`: how many times faster than all passes of the notes' loop, each as "
            "long as the median forward pass measured beside it.",
            targets(found),
        ),
    ]


def main() -> None:
    """Measure one contender, or all and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a quarter of a second for everything")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        *run, seconds = json.loads(arguments.measure)
        json.dump(measure(Run(*run), seconds), sys.stdout)
        return
    for section in sections(arguments.rounds, 0.25 if arguments.quick else 2.0):
        print(f"\n## {section.title}\n\n{section.text}\n")
        print("\n".join(f"{'yes' if t.met else 'NO '} {t.what}: {t.measured} ({t.target})" for t in section.targets))


if __name__ == "__main__":
    main()
