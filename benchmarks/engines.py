"""The engines of a network beside the notes' loop and PyTorch: one gradient or step, one thread.

    python benchmarks/engines.py [--rounds 3] [--quick] [--write]

Every contender runs in a process of its own with one thread (two thread pools in one process disturb each other), all
in turn, `--rounds` times; a time is the median of all steps. Values only; the price of the errors is a column of its
own. The loop is not run to its end: its time is the number of its passes times the median forward pass (with the loss)
of the same network, in the same process.

- `column`, `column, every step`, `node`: one gradient, and how many times the loop it is.
- `chain` against PyTorch (the faster of its two SGD forms, single tensor and foreach): gradient and update.

`--write` puts the tables into benchmarks/results/engines.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from learning import batch, duration, machine

import mibun as mb
from mibun import learn

RESULTS = Path(__file__).parent / "results" / "engines.md"
SAMPLES = 100


def layers(name: str) -> list[learn.Layer]:
    """Give the layers of a network by its name."""
    if name == "784-50-10":
        return [learn.Dense(784, 50), learn.Sigmoid(), learn.Dense(50, 10)]
    if name == "784-200-200-10":
        return [learn.Dense(784, 200), learn.ReLU(), learn.Dense(200, 200), learn.ReLU(), learn.Dense(200, 10)]
    convolutions = [learn.Conv2D(1, 8, 3), learn.ReLU(), learn.MaxPool2D(2)]
    convolutions += [learn.Conv2D(8, 16, 3), learn.ReLU(), learn.MaxPool2D(2)]
    return [*convolutions, learn.Flatten(), learn.Dense(400, 10)]


NETWORKS = ("784-50-10", "784-200-200-10", "conv 8-16")
ENGINES: dict[str, Callable[[], Any]] = {
    "chain": learn.Chain,
    "node": learn.Node,
    "column": learn.Column,
    "column, every step": lambda: learn.Column(every_step=True),
}


def network(name: str, dtype: str) -> learn.Network:
    """Make a network by its name."""
    shape = (1, 28, 28) if name.startswith("conv") else None
    return learn.Network(layers(name), dtype=np.dtype(dtype), input_shape=shape)


def torch_network(name: str, kind: Any) -> Any:
    """Make the same network of PyTorch's layers."""
    from torch import nn

    made: list[Any] = []
    for layer in layers(name):
        if isinstance(layer, learn.Dense):
            made.append(nn.Linear(layer.inputs, layer.outputs))
        elif isinstance(layer, learn.Conv2D):
            made.append(nn.Conv2d(layer.inputs, layer.outputs, layer.size))
        else:
            known = {"ReLU": nn.ReLU, "Sigmoid": nn.Sigmoid, "Flatten": nn.Flatten}
            made.append(nn.MaxPool2d(2) if isinstance(layer, learn.MaxPool2D) else known[type(layer).__name__]())
    return nn.Sequential(*made).to(kind)


def torch_step(name: str, dtype: str, foreach: bool) -> Callable[[], object]:
    """Make one step of PyTorch."""
    import torch

    torch.set_num_threads(1)
    images, labels, _ = batch()
    kind = getattr(torch, dtype)
    x = torch.tensor(images, dtype=kind)
    x = x.reshape(-1, 1, 28, 28) if name.startswith("conv") else x
    targets, net, loss = torch.tensor(labels), torch_network(name, kind), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, foreach=foreach)

    def step() -> None:
        optimizer.zero_grad()
        loss(net(x), targets).backward()
        optimizer.step()

    return step


def mibun_steps(contender: str, name: str, dtype: str) -> dict[str, Callable[[], object]]:
    """Make a step, the forward pass beside it, and the gradient with errors."""
    net, engine, rule = network(name, dtype), ENGINES[contender](), mb.GradientDescent(0.1)
    images, labels, _ = batch()
    x, targets = net.batch(images), net.targets(labels, SAMPLES)
    gradient, state = np.empty_like(net.vector), rule.init(net.vector)

    def step() -> None:
        engine.into(net, x, targets, None, gradient)
        if contender == "chain":
            rule.apply(net.vector, gradient, state)

    def forward() -> None:
        net.loss_function.per_sample(net.forward(x), targets).mean()

    return {"step": step, "forward": forward, "with errors": lambda: engine.gradient(net, x, targets)}


def measure(contender: str, name: str, dtype: str, seconds: float) -> dict[str, float]:
    """Give the median times of a contender; each thing is run for about so many seconds."""
    if contender.startswith("PyTorch"):
        steps: dict[str, Callable[[], object]] = {"step": torch_step(name, dtype, contender.endswith("foreach"))}
    else:
        steps = mibun_steps(contender, name, dtype)
    found = {}
    for what, step in steps.items():
        step()
        times: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            before = time.perf_counter()
            step()
            times.append(time.perf_counter() - before)
        found[what] = float(np.median(times))
    return found


def in_own_process(contender: str, name: str, dtype: str, seconds: float) -> dict[str, float]:
    """Run `measure` in a fresh process with one thread."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--measure", contender, name, dtype, str(seconds)]
    done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=True)
    times: dict[str, float] = json.loads(done.stdout)
    return times


def contenders(name: str) -> list[str]:
    """Give those that run on a network."""
    slow = [] if name.startswith("conv") else ["node", "column"]
    return [
        "chain",
        *slow,
        *(["column, every step"] if name == "784-50-10" else []),
        "PyTorch single",
        "PyTorch foreach",
    ]


def run(rounds: int, seconds: float, networks: tuple[str, ...]) -> str:
    """Run everything and write the table."""
    head = ["network", "dtype", "contender", "a step", "x the loop", "x PyTorch", "with errors, x"]
    rows = [head, ["---"] * len(head)]
    for name in networks:
        for dtype in ("float64", "float32"):
            times: dict[str, list[dict[str, float]]] = {}
            for _ in range(rounds):
                for contender in contenders(name):
                    times.setdefault(contender, []).append(in_own_process(contender, name, dtype, seconds))
            best = {
                c: {what: float(np.median([t[what] for t in some])) for what in some[0]} for c, some in times.items()
            }
            torch = min(best["PyTorch single"]["step"], best["PyTorch foreach"]["step"])
            passes = 2 * network(name, dtype).vector.size
            for contender, found in best.items():
                if contender.startswith("PyTorch"):
                    continue
                loop = f"{passes * found['forward'] / found['step']:,.0f}"
                errors = f"{found['with errors'] / found['step']:.1f}"
                beside = f"{torch / found['step']:.2f}" if contender == "chain" else "-"
                rows.append([name, dtype, contender, duration(found["step"]), loop, beside, errors])
            rows.append([name, dtype, "PyTorch, faster SGD form", duration(torch), "-", "1.00", "-"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Run the benchmark, or one contender of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="half a second for everything")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        contender, name, dtype, seconds = arguments.measure
        json.dump(measure(contender, name, dtype, float(seconds)), sys.stdout)
        return
    seconds = 0.5 if arguments.quick else 3.0
    table = run(arguments.rounds, seconds, NETWORKS)
    text = (
        f"# One gradient of a network, batch {SAMPLES}, one thread\n\n{table}\n\n"
        f"Data: {batch()[2]}. Median of {arguments.rounds} rounds of {seconds:g} s each, each contender in its own "
        "process. `x the loop`: how many times faster than all passes of the notes' loop, each as long as the median "
        "forward pass measured beside it. `x PyTorch`: its time over that of chain.\n"
        f"Machine: {machine()}.\nMade by `python benchmarks/engines.py --write`.\n"
    )
    print(text)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
