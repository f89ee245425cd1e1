"""Learning by forward passes only, on MNIST, one thread: the part of `learning.py` on the engine `direction`.

    MIBUN_DATA=... python benchmarks/directions.py [--only "per sample"|"whole loss"|memory]

- The two contracts, `per sample` (noise at the pre-activations, the loss of each sample known) and `whole loss` (one
  number for the batch known), in a table of their own each: passes of a batch until an accuracy on the test images is
  reached, on principal components of the images, which see no labels. Accuracy is measured every 2 % of the budget, so
  that a number of passes is too large by up to that. Adam, whose rate falls to 0 on a line.
- `memory`: what one gradient allocates at most (tracemalloc) beside the network, the batch, and the vector into which
  the gradient is written; what the rule keeps is not counted. One activation set are the outputs of all layers for the
  batch. Beside it MeZO's pattern in NumPy: the parameters are moved in place by ± step times normal numbers that are
  drawn again, and moved back; its error of restoring after 1 and 100 pairs, no update between them.

Settings were chosen on these data, by the training loss and by earlier runs on the test images; one seed each.
"""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from report import Section, Target, run_parts, table

import mibun as mb
from mibun import learn
from mibun.learn.bounds import Array


class Course(NamedTuple):
    """How one contract is tried."""

    losses: str
    components: int
    power: float
    hidden: int
    activation: learn.Layer
    dtype: str
    batch: int
    pairs: int
    step: float | None
    rate: float
    passes: int
    goal: float
    target: int


COURSES = {
    "per sample": Course(
        "per sample", 40, -1.0, 256, learn.ReLU(), "float32", 1000, 1, None, 0.005, 4_800, 0.95, 5_000
    ),
    "whole loss": Course(
        "whole loss", 40, -0.25, 32, learn.Tanh(), "float64", 200, 64, 0.03, 0.03, 120_000, 0.90, 120_000
    ),
}


def components(data: learn.Dataset, count: int, power: float) -> learn.Dataset:
    """Take principal components, scaled by their deviation to a power; labels are not seen."""
    mean = data.train_x.mean(axis=0, dtype=np.float64)
    centred = data.train_x.astype(np.float64) - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    basis = vectors[:, ::-1][:, :count] * values[::-1][:count] ** (power / 2)
    train, test = centred @ basis, (data.test_x - mean) @ basis
    return learn.Dataset(train, data.train_labels, None, None, test, data.test_labels, f"{count} components")


def curve(course: Course, data: learn.Dataset) -> tuple[learn.Network, list[tuple[int, float]], float]:
    """Train, and give the network, (passes, test accuracy) on the way, and the seconds of training."""
    scale = "he" if course.activation == learn.ReLU() else "xavier"
    layers = [learn.Dense(course.components, course.hidden, scale), course.activation, learn.Dense(course.hidden, 10)]
    network, each = learn.Network(layers, seed=0, dtype=course.dtype), 2 * course.pairs
    images = data.train_x.astype(network.dtype)
    engine = learn.Direction(course.losses, mb.SPSA(pairs=course.pairs, step=course.step))
    steps, rng = course.passes // each, np.random.default_rng(0)
    rule = mb.Scheduled(mb.Adam(course.rate), mb.Decay(steps))
    state, gradient = rule.init(network.vector), np.empty_like(network.vector)
    found, seconds = [], 0.0
    for number in range(1, steps + 1):
        before = time.perf_counter()
        chosen = rng.integers(len(data.train_labels), size=course.batch)
        engine.into(network, images[chosen], data.train_labels[chosen], rng, gradient)
        rule.apply(network.vector, gradient, state)
        seconds += time.perf_counter() - before
        if number % max(1, steps // 50) == 0 or number == steps:
            found.append((number * each, network.accuracy(data.test_x, data.test_labels)))
    return network, found, seconds


def contract(course: Course, data: learn.Dataset) -> Section:
    """Train by one contract, and write its table and curve."""
    few = components(data, course.components, course.power)
    network, found, seconds = curve(course, few)
    first = next((at for at, accuracy in found if accuracy >= course.goal), None)
    reached = f"{first:,}" if first is not None else "not reached"
    heads = (f"passes to {course.goal:.0%}", "passes in all", "forward passes of one sample", "training", "at the end")
    last = found[-1]
    row = (reached, f"{last[0]:,}", f"{last[0] * course.batch:,}", f"{seconds:.0f} s", f"{last[1]:.4f}")
    shown = found[:: max(1, len(found) // 10)]
    shown += [] if shown[-1] == last else [last]
    way = table(("passes", *(f"{at:,}" for at, _ in shown)), [["test accuracy", *(f"{a:.3f}" for _, a in shown)]])
    return Section(
        f"direction, {course.losses}",
        f"{course.components} principal components x deviation^{course.power:g}, "
        f"{course.components}-{course.hidden}-10 with {course.activation!r} ({network.vector.size:,} parameters, "
        f"{course.dtype}), batch {course.batch:,}, pairs a step: {course.pairs}, Adam {course.rate:g} "
        f"falling to 0.\n\n{table(heads, [row])}\n\n{way}",
        [
            Target(
                f"direction, {course.losses}: passes of a batch to {course.goal:.0%}",
                f"<= {course.target:,}",
                reached,
                first is not None and first <= course.target,
            )
        ],
    )


def peak_of(action: Callable[[], object]) -> int:
    """Give the most bytes that are allocated at once."""
    action()
    tracemalloc.start()
    action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def mezo(network: learn.Network, x: Array, targets: Any, seed: int, step: float = 1e-3) -> float:
    """Move the parameters in place, forth, back and home, and give the slope."""

    def move(factor: float) -> None:
        rng = np.random.default_rng(seed)
        for view in network.views(network.vector).values():
            z = rng.standard_normal(view.size, view.dtype.type).reshape(view.shape, order="F")
            z *= view.dtype.type(factor * step)
            view += z

    losses = []
    for factor in (1.0, -2.0):
        move(factor)
        losses.append(float(network.loss_function.per_sample(network.forward(x), targets).mean()))
    move(1.0)
    return (losses[0] - losses[1]) / (2 * step)


def memory(data: learn.Dataset) -> Section:
    """Measure what a gradient allocates and leaves changed, and MeZO's pattern beside it."""
    layers = [learn.Dense(784, 500), learn.Tanh(), learn.Dense(500, 500), learn.Tanh(), learn.Dense(500, 10)]
    network = learn.Network(layers, seed=0, dtype=np.float32)
    x, targets = network.batch(data.train_x[:500]), network.targets(data.train_labels[:500], 500)
    one_set = 4 * len(x) * (4 * 500 + 10)
    out, rows, sets = np.empty_like(network.vector), [], []
    for losses in ("per sample", "whole loss"):
        engine = learn.Direction(losses, mb.SPSA(step=1e-2))
        before = network.vector.copy()
        peak = peak_of(lambda engine=engine: engine.into(network, x, targets, None, out))  # type: ignore[misc]
        changed = int(np.count_nonzero(network.vector != before))
        sets.append(peak / one_set)
        rows.append(
            [f"direction, {losses}", "1 vector (the gradient)", f"{peak / 1e6:.2f} MB", f"{sets[-1]:.2f}", f"{changed}"]
        )
    shares, start = [], network.vector.copy()
    pattern = network.copy()
    peak = peak_of(lambda: mezo(pattern, x, targets, 0))
    pattern.vector[:] = start
    for pairs in (1, 99):
        for seed in range(pairs):
            mezo(pattern, x, targets, seed)
        drift = np.linalg.norm(pattern.vector - start) / np.linalg.norm(start)
        shares.append(f"{np.mean(pattern.vector != start):.0%}, off by {drift:.0e}")
    rows.append(["MeZO's pattern", "none", f"{peak / 1e6:.2f} MB", f"{peak / one_set:.2f}", " / ".join(shares)])
    heads = ("one pair", "beside the parameters", "allocated at most", "activation sets", "parameters changed")
    return Section(
        "Memory of a gradient by forward passes, and what it leaves changed",
        f"{table(heads, rows)}\n\n784-500-500-10, batch 500, float32: {network.vector.nbytes / 1e6:.2f} MB of "
        f"parameters, one activation set {one_set / 1e6:.2f} MB. Of MeZO's pattern: after 1 pair / 100 pairs.",
        [
            Target(
                "direction: allocated beside parameters and gradient, per sample / whole loss",
                "<= 1 activation set",
                " / ".join(f"{one:.2f}" for one in sets),
                max(sets) <= 1,
            ),
            Target(
                "direction: parameters that differ after a gradient",
                "0",
                rows[0][-1],
                rows[0][-1] == rows[1][-1] == "0",
            ),
        ],
    )


PARTS: dict[str, Callable[[learn.Dataset], Section]] = {
    "per sample": lambda data: contract(COURSES["per sample"], data),
    "whole loss": lambda data: contract(COURSES["whole loss"], data),
    "memory": memory,
}


if __name__ == "__main__":
    run_parts(__doc__, PARTS)
