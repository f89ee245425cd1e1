"""Whole trainings on MNIST, one thread: the half of `learning.py` on what is learnt, and in what time.

    MIBUN_DATA=... python benchmarks/trainings.py [--only agreement|book|step|equal]

- `agreement`: the notes' loop once in full, on a batch of the book's network after 1,000 steps, beside `column`.
- `book`: 784-50-10, batches of 100 drawn with replacement, 10,000 steps of plain descent at 0.1 on 60,000 images:
  `chain`, `column`, and backprop written by hand as an engine of its own, all by `learn.train` on the same batches.
  Seconds are those of training, without the measuring of accuracies.
- `step`: 784-50-10 with `StepFunction(smoothing=0.5)`, float32, 6,000 steps of Adam, its rate falling from 0.003 to 0
  (a constant one had 95.3 % with one of these seeds on these test images: the settings are not held out).
- `equal`: scikit-learn's `MLPClassifier` and `chain` for the same seconds: one hidden layer of 100 ReLUs, batches of
  200, Adam at 0.001, no penalty, float32; one after the other for each of three seeds.
"""

import importlib.metadata
import time
from collections.abc import Callable
from statistics import fmean
from typing import Any

import numpy as np
from report import Section, Target, run_parts, table

import mibun as mb
from mibun import learn
from mibun.learn.bounds import Array
from mibun.learn.engines import Cost
from mibun.result import Derivative

STEPS, SEEDS = 10_000, (0, 1, 2)
#: Seconds that each contender of `equal` gets.
EQUAL = 20.0


def book_network() -> learn.Network:
    """Make the book's network with its own first weights."""
    return learn.Network([learn.Dense(784, 50, 0.01), learn.Sigmoid(), learn.Dense(50, 10, 0.01)], seed=0)


class Backprop:
    """The gradient of the book's network by derivatives that are written out, as an engine."""

    def __repr__(self) -> str:
        return "backprop by hand"

    def gradient(self, *_: Any, **__: Any) -> Derivative:
        """Give no errors: it is here for its values only."""
        raise NotImplementedError

    def cost(self, network: learn.Network, batch_size: int) -> Cost:
        """Count a forward pass and a backward one of twice its work."""
        return Cost(batch_size * (network.nonlinear_units + 1), 3.0)

    def into(self, network: learn.Network, x: Array, targets: Any, rng: Any, out: Array) -> float:
        """Write the gradient, and give the loss."""
        weight_1, bias_1, weight_2, bias_2 = network.views(network.vector).values()
        of_weight_1, of_bias_1, of_weight_2, of_bias_2 = network.views(out).values()
        rows = np.arange(len(x))
        a = 1 / (1 + np.exp(-(x @ weight_1 + bias_1)))
        z = a @ weight_2 + bias_2
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        total = p.sum(axis=1, keepdims=True)
        loss = float((np.log(total[:, 0]) - z[rows, targets]).mean())
        p /= total
        p[rows, targets] -= 1
        p /= len(x)
        np.matmul(a.T, p, out=of_weight_2)
        of_bias_2[...] = p.sum(axis=0)
        below = (p @ weight_2.T) * a * (1 - a)
        np.matmul(x.T, below, out=of_weight_1)
        of_bias_1[...] = below.sum(axis=0)
        return loss


def flat(network: learn.Network, part: Any) -> Array:
    """Give values or errors of all parameters in one vector."""
    return np.concatenate([np.ravel(part[name]) for name in network.parameters])


def agreement(data: learn.Dataset) -> Section:
    """Run the whole loop once, and compare both variants of `column` with it and with each other."""
    network = book_network()
    options = {"batch_size": 100, "replace": True, "diagnose": False}
    learn.train(network, data, mb.GradientDescent(0.1), steps=1000, **options)  # type: ignore[arg-type]
    x, labels = data.train_x[:100], data.train_labels[:100]
    before = time.perf_counter()
    loop = learn.gradient(network, x, labels, engine="coordinate")
    seconds = time.perf_counter() - before
    value, error = flat(network, loop.value), flat(network, loop.error)
    columns = [
        flat(network, learn.gradient(network, x, labels, engine=learn.Column(every_step=every), errors=False).value)
        for every in (False, True)
    ]
    size = float(np.abs(value).max())
    apart = float(np.abs(columns[0] - columns[1]).max()) / size
    rows, worst = [], []
    for name, column in zip(("interpolated", "every step"), columns, strict=True):
        off = np.abs(column - value)
        worst.append(float((off / error).max()))
        rows.append([name, f"{off.max() / size:.1e}", f"{np.median(error) / size:.1e}", f"{worst[-1]:.1g}"])
    heads = (
        "column",
        "off the loop / largest entry",
        "stated error of the loop, median",
        "off / stated error, largest",
    )
    return Section(
        "The numbers of the loop, all 39,760 of them",
        f"{table(heads, rows)}\n\nThe loop with its errors, which are two loops, took {seconds:.0f} s.",
        [
            Target(
                "column: interpolated beside every step",
                "<= 1e-12 of the largest entry",
                f"{apart:.1e}",
                apart <= 1e-12,
            ),
            Target("column beside the loop, / stated error", "<= 1", f"{max(worst):.1g}", max(worst) <= 1),
        ],
    )


def book(data: learn.Dataset) -> Section:
    """Run the book's experiment by backprop and by two engines."""
    runs: list[tuple[str, float, learn.Network, float]] = []
    for engine in (Backprop(), learn.Chain(), learn.Column()):
        network = book_network()
        history = learn.train(
            network, data, mb.GradientDescent(0.1), engine, batch_size=100, steps=STEPS, replace=True, diagnose=False
        )
        runs.append((repr(engine), history.seconds, network, float(history.test_accuracy[-1])))
    truth, wanted = runs[0][2].vector, runs[0][3]
    off = [float(np.abs(network.vector - truth).max()) for _, _, network, _ in runs]
    rows = [
        [name, f"{seconds:.1f} s", f"{accuracy:.4f}", f"{away:.1e}"]
        for (name, seconds, _, accuracy), away in zip(runs, off, strict=True)
    ]
    (_, of_chain, _, chain), (_, of_column, _, column) = runs[1:]
    return Section(
        f"The book's experiment: {STEPS:,} steps on 60,000 images",
        table(("engine", "training", "test accuracy", "weights off backprop's, at most"), rows),
        [
            Target("the book's experiment, chain", "<= 5 s", f"{of_chain:.1f} s", of_chain <= 5),
            Target("the book's experiment, column", "<= 15 s", f"{of_column:.1f} s", of_column <= 15),
            Target(
                "test accuracy of backprop, chain / column",
                f"{wanted:.4f}",
                f"{chain:.4f} / {column:.4f}",
                max(abs(chain - wanted), abs(column - wanted)) <= 5e-4,
            ),
            Target("weights of chain off backprop's", "<= 1e-12", f"{off[1]:.1e}", off[1] <= 1e-12),
        ],
    )


def step(data: learn.Dataset) -> Section:
    """Train a network with hard steps."""
    layers = [learn.Dense(784, 50), learn.StepFunction(smoothing=0.5), learn.Dense(50, 10)]
    rows, accuracies = [], []
    for seed in SEEDS:
        network = learn.Network(layers, seed=seed, dtype=np.float32)
        rule = mb.Scheduled(mb.Adam(0.003), mb.Decay(6000))
        history = learn.train(network, data, rule, batch_size=100, steps=6000, seed=seed, diagnose=False)
        accuracies.append(float(history.test_accuracy[-1]))
        rows.append([str(seed), f"{history.seconds:.1f} s", f"{accuracies[-1]:.4f}"])
    worst = min(accuracies)
    return Section(
        "A network of hard steps",
        f"{table(('seed', 'training', 'test accuracy'), rows)}\n\nForward hard, backward the wide difference of "
        "`StepFunction(smoothing=0.5)`.",
        [
            Target(
                "StepFunction, test accuracy, worst of three seeds", ">= 95.5 %", f"{100 * worst:.2f} %", worst >= 0.955
            )
        ],
    )


def by_sklearn(data: learn.Dataset, seed: int) -> tuple[float, float]:
    """Train the classifier for the seconds, and give its accuracy and epochs; those of the last epoch count in part."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((100,), batch_size=200, alpha=0.0, random_state=seed)
    x, labels, order = data.train_x.astype(np.float32), data.train_labels, np.random.default_rng(seed)
    classes, done, end = np.arange(10), 0, time.perf_counter() + EQUAL
    while time.perf_counter() < end:
        # An epoch in ten parts, so that it can end in the middle; partial_fit goes once over what it gets.
        for part in np.array_split(order.permutation(len(labels)), 10):
            model.partial_fit(x[part], labels[part], classes=classes)
            done += len(part)
            if time.perf_counter() >= end:
                break
    accuracy = float((model.predict(data.test_x.astype(np.float32)) == data.test_labels).mean())
    return accuracy, done / len(labels)


def by_chain(data: learn.Dataset, seed: int) -> tuple[float, float]:
    """Train the same network for the same seconds, and give its accuracy and epochs."""
    network = learn.Network(
        [learn.Dense(784, 100, "he"), learn.ReLU(), learn.Dense(100, 10)], seed=seed, dtype="float32"
    )
    end = time.perf_counter() + EQUAL

    def look(_: Any) -> None:
        if time.perf_counter() >= end:
            raise StopIteration

    options = {"batch_size": 200, "epochs": 1000, "seed": seed, "callback": look, "diagnose": False}
    history = learn.train(network, data, mb.Adam(0.001), **options)  # type: ignore[arg-type]
    return network.accuracy(data.test_x, data.test_labels), history.epochs


def equal(data: learn.Dataset) -> Section:
    """Give both the same seconds, in turn."""
    contenders = {"MLPClassifier": by_sklearn, "chain": by_chain}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for seed in SEEDS:
        for name, train in contenders.items():
            found[name].append(train(data, seed))
    mean = {name: fmean(accuracy for accuracy, _ in some) for name, some in found.items()}
    rows = [
        [name, ", ".join(f"{a:.4f}" for a, _ in some), f"{mean[name]:.4f}", f"{fmean(e for _, e in some):.1f}"]
        for name, some in found.items()
    ]
    return Section(
        f"Accuracy in equal time: {EQUAL:.0f} s each",
        f"{table(('contender', 'test accuracy by seed', 'mean', 'epochs'), rows)}\n\nscikit-learn "
        f"{importlib.metadata.version('scikit-learn')}. Measuring after every epoch is part of the time of `chain`.",
        [
            Target(
                "test accuracy beside scikit-learn's MLPClassifier in equal time",
                f">= {mean['MLPClassifier']:.4f}",
                f"{mean['chain']:.4f}",
                mean["chain"] >= mean["MLPClassifier"],
            )
        ],
    )


PARTS: dict[str, Callable[[learn.Dataset], Section]] = {
    "agreement": agreement,
    "book": book,
    "step": step,
    "equal": equal,
}


if __name__ == "__main__":
    run_parts(__doc__, PARTS)
