"""Whole trainings on MNIST: the book's experiment by two engines, steps that learn, and directions.

    MIBUN_DATA=... python benchmarks/experiments.py [--only NAME] [--write]

- **book**: 784-50-10, batch 100, 10,000 steps of plain descent at 0.1 on 60,000 images: `chain`, `column`, and backprop
  written by hand on the same batches; seconds of training without the measuring, test accuracy, and how far the weights
  end from backprop's.
- **step**: 784-50-10 with `StepFunction(smoothing=0.5)` and Adam; seconds and test accuracy.
- **direction**: the two contracts in a table of their own each; passes of a batch until an accuracy is reached, on
  images whose principal components were taken (which sees no labels). Accuracy is measured every 2 % of the budget, so
  that a number of passes is too large by up to that.

One seed each: what other seeds give is not said. `--write` puts the tables into benchmarks/results/experiments.md.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from learning import machine

import mibun as mb
from mibun import learn

RESULTS = Path(__file__).parent / "results" / "experiments.md"
STEPS, BATCH, RATE = 10_000, 100, 0.1


def mnist() -> learn.Dataset:
    """Give all images."""
    return learn.load_mnist()


def book_network() -> learn.Network:
    """Make the book's network with its own first weights."""
    return learn.Network([learn.Dense(784, 50, 0.01), learn.Sigmoid(), learn.Dense(50, 10, 0.01)], seed=0)


def backprop(network: learn.Network, x: Any, targets: Any, out: Any) -> None:
    """Write the gradient with the derivatives written out."""
    weight_1, bias_1, weight_2, bias_2 = network.views(network.vector).values()
    of_weight_1, of_bias_1, of_weight_2, of_bias_2 = network.views(out).values()
    a = 1 / (1 + np.exp(-(x @ weight_1 + bias_1)))
    z = a @ weight_2 + bias_2
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(x)), targets] -= 1
    p /= len(x)
    of_weight_2[...], of_bias_2[...] = a.T @ p, p.sum(axis=0)
    below = (p @ weight_2.T) * a * (1 - a)
    of_weight_1[...], of_bias_1[...] = x.T @ below, below.sum(axis=0)


def descend(network: learn.Network, images: Any, labels: Any, into: Any) -> float:
    """Train by plain descent on batches drawn by one seed, and give the seconds."""
    rng, gradient = np.random.default_rng(0), np.empty_like(network.vector)
    before = time.perf_counter()
    for _ in range(STEPS):
        chosen = rng.integers(len(labels), size=BATCH)
        into(network, images[chosen].astype(np.float64), labels[chosen], gradient)
        gradient *= RATE
        network.vector -= gradient
    return time.perf_counter() - before


def book(data: learn.Dataset) -> str:
    """Run the book's experiment by backprop and by two engines."""
    truth = book_network()
    rows = [("backprop by hand", descend(truth, data.train_x, data.train_labels, backprop), truth)]
    for engine in (learn.Chain(), learn.Column()):
        network = book_network()

        def into(network: Any, x: Any, targets: Any, out: Any, engine: Any = engine) -> None:
            engine.into(network, x, targets, None, out)

        rows.append((repr(engine), descend(network, data.train_x, data.train_labels, into), network))
    lines = ["| engine | seconds | test accuracy | weights off backprop's |", "|---|---|---|---|"]
    for name, seconds, network in rows:
        accuracy = network.accuracy(data.test_x, data.test_labels)
        off = np.abs(network.vector - truth.vector).max()
        lines.append(f"| {name} | {seconds:.1f} | {accuracy:.4f} | {off:.1e} |")
    return "\n".join(lines)


def step(data: learn.Dataset) -> str:
    """Train a network with hard steps."""
    layers = [learn.Dense(784, 50), learn.StepFunction(smoothing=0.5), learn.Dense(50, 10)]
    network = learn.Network(layers, seed=0, dtype=np.float32)
    history = learn.train(network, data, mb.Adam(0.002), batch_size=100, steps=6000)
    return f"{history.seconds:.1f} s, 6,000 steps of Adam, test accuracy {history.test_accuracy[-1]:.4f}"


def components(data: learn.Dataset, count: int, power: float) -> learn.Dataset:
    """Take principal components, scaled by their deviation to a power; labels are not seen."""
    mean = data.train_x.mean(axis=0, dtype=np.float64)
    centred = data.train_x.astype(np.float64) - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    basis = vectors[:, ::-1][:, :count] * values[::-1][:count] ** (power / 2)
    train, test = centred @ basis, (data.test_x - mean) @ basis
    return learn.Dataset(train, data.train_labels, None, None, test, data.test_labels, f"{count} components")


def reach(network: learn.Network, data: learn.Dataset, engine: Any, batch: int, passes: int, rate: float) -> list[Any]:
    """Train for some passes of a batch with a rate that falls to 0, and give (passes, accuracy) on the way."""
    rng, rule = np.random.default_rng(0), mb.Adam(rate)
    each = 2 * engine.estimator.pairs
    state, gradient, curve = rule.init(network.vector), np.empty_like(network.vector), []
    steps = passes // each
    for number in range(1, steps + 1):
        chosen = rng.integers(len(data.train_labels), size=batch)
        engine.into(network, data.train_x[chosen], data.train_labels[chosen], rng, gradient)
        before = network.vector.copy()
        rule.apply(network.vector, gradient, state)
        # Adam's step is scaled afterwards: the rate falls to 0 at the end.
        network.vector[:] = before + (network.vector - before) * (1 - number / steps)
        if number % max(1, steps // 50) == 0:
            curve.append((number * each, network.accuracy(data.test_x, data.test_labels)))
    return curve


def direction(data: learn.Dataset) -> str:
    """Run both contracts, each with its table."""
    lines = []
    for losses, width, hidden, power, batch, pairs, scale, rate, passes, goal in (
        ("per sample", 40, 256, -1.0, 1000, 1, None, 0.003, 20_000, 0.95),
        ("whole loss", 40, 32, -0.25, 200, 64, 0.03, 0.03, 120_000, 0.90),
    ):
        few = components(data, width, power)
        network = learn.Network([learn.Dense(width, hidden), learn.Tanh(), learn.Dense(hidden, 10)], seed=0)
        engine = learn.Direction(losses, mb.SPSA(pairs=pairs, step=scale))
        before = time.perf_counter()
        curve = reach(network, few, engine, batch, passes, rate)
        first = next((f"{at:,}" for at, accuracy in curve if accuracy >= goal), "not reached")
        lines += [
            f"**{losses}**: {width} principal components x deviation^{power:g}, {width}-{hidden}-10 "
            f"({network.vector.size:,} parameters), batch {batch}, {pairs} pairs a step, Adam {rate:g} falling to 0\n",
            "| passes to the goal | goal | passes in all | seconds | at the end |",
            "|---|---|---|---|---|",
            f"| {first} | {goal:.0%} | {curve[-1][0]:,} | {time.perf_counter() - before:.0f} | {curve[-1][1]:.4f} |\n",
            "Curve: "
            + ", ".join(f"{at:,}: {accuracy:.3f}" for at, accuracy in curve[:: max(1, len(curve) // 10)])
            + "\n",
        ]
    return "\n".join(lines)


PARTS = {"book": book, "step": step, "direction": direction}


def main() -> None:
    """Run all parts, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(PARTS))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if "MIBUN_DATA" not in os.environ:
        parser.error("MIBUN_DATA must name the folder with mnist/")
    data = mnist()
    parts = [arguments.only] if arguments.only else list(PARTS)
    text = "# Trainings on MNIST\n"
    for part in parts:
        text += f"\n## {part}\n\n{PARTS[part](data)}\n"
        print(text.rsplit("\n## ", 1)[1], flush=True)
    text += f"\nMachine: {machine()}. One seed each.\nMade by `python benchmarks/experiments.py --write`.\n"
    if arguments.write and not arguments.only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
