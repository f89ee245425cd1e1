"""Best test accuracy within a minute on two cores, beside other libraries; what checkpoints and loading cost.

    MIBUN_DATA=... python benchmarks/training.py [--seconds 60] [--seeds 3] [--data mnist] [--choose] [--write]

Every contender trains the same network on MNIST and on Fashion-MNIST until the time is over, measuring included,
loading not. The learning rate rises, and falls to 0 at the end of the time.

- `mibun, chain`: numerical gradients, float32, Adam; training images moved by up to `shift` pixels, or with their
  mirror images beside them (`flip`); labels of which a share is spread over all classes (`smoothing`).
- `PyTorch`: the same network, images, labels, batches, shifts and rates with `torch.optim.Adam`.
- `scikit-learn`: `MLPClassifier` of the same widths with its own Adam on the same images; it has neither shifts nor
  smoothing.

`--choose` repeats the choice of settings: each candidate trains for a third of the time on all but the last 10,000
training images, and is judged by those. The intervals are those of Student's t over the seeds. A checkpoint is that of
the MNIST network with Adam, every 30 s, flushed to the disk. Loading is timed in new processes. `--write` puts the
tables into benchmarks/results/training.md.
"""

import argparse
import dataclasses
import itertools
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import machine
from report import Target, percent, table

import mibun as mb
from mibun import learn
from mibun.learn.batches import Batches

RESULTS = Path(__file__).parent / "results" / "training.md"
#: Two-sided 95 % quantiles of Student's t, by degrees of freedom.
STUDENT = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


class Recipe(NamedTuple):
    """Settings of a training run."""

    hidden: tuple[int, ...]
    shift: int
    learning_rate: float
    batch_size: int = 128
    flip: bool = False
    dropout: float = 0.0
    smoothing: float = 0.0

    def __str__(self) -> str:
        parts = [
            "-".join(map(str, (784, *self.hidden, 10))),
            f"batch {self.batch_size}",
            *([f"shifts of up to {self.shift} pixels"] if self.shift else []),
            *(["mirror images"] if self.flip else []),
            *([f"dropout {self.dropout:g}"] if self.dropout else []),
            *([f"labels smoothed by {self.smoothing:g}"] if self.smoothing else []),
            f"Adam at {self.learning_rate:g}",
        ]
        return ", ".join(parts)


#: Chosen on a validation split (`--choose`).
CHOSEN = {"mnist": Recipe((512,), 2, 2e-3), "fashion": Recipe((512, 256), 0, 1.5e-3, 256, flip=True, smoothing=0.1)}
CANDIDATES = {
    "mnist": (Recipe((512,), 2, 2e-3), Recipe((512,), 1, 2e-3), Recipe((256,), 2, 2e-3), Recipe((512,), 2, 1e-3)),
    "fashion": (
        Recipe((512, 256), 0, 1.5e-3, 256, flip=True, smoothing=0.1),
        Recipe((512, 256), 0, 1.5e-3, 256, flip=True),
        Recipe((512, 256), 1, 1e-3),
        Recipe((512, 256), 0, 1e-3, 256, dropout=0.3),
        Recipe((512, 256), 1, 1.5e-3, 256, flip=True),
        Recipe((512, 256), 0, 1.5e-3, 256, flip=True, dropout=0.2),
        Recipe((512,), 0, 1.5e-3, 256, flip=True, dropout=0.3),
        Recipe((256, 128), 0, 1.5e-3, 128, flip=True, dropout=0.1),
        Recipe((256, 128), 0, 1.5e-3, 128, flip=True),
    ),
}
TARGETS = {"mnist": 0.988, "fashion": 0.90}


class Clock:
    """The time of a run, and the factor of its learning rate: up in the first fiftieth, then down to 0."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.started = seconds, time.perf_counter()

    def share(self) -> float:
        """Give the share of the time that is over."""
        return (time.perf_counter() - self.started) / self.seconds

    def __call__(self, done: int) -> float:
        """Give the factor of the next update."""
        share = self.share()
        return min(1.0, share * 50 + 0.01) * max(0.0, 1.0 - share)

    def check(self, progress: Any = None) -> None:
        """End a run whose time is over."""
        if self.share() >= 1:
            raise StopIteration


def mibun(data: learn.Dataset, recipe: Recipe, seconds: float, seed: int) -> tuple[float, int]:
    """Give the accuracy on the test images, and the steps done."""
    layers: list[learn.Layer] = []
    widths = (data.train_x.shape[1], *recipe.hidden)
    for inputs, outputs in itertools.pairwise(widths):
        layers += [learn.Dense(inputs, outputs, scale="he"), learn.ReLU()]
        layers += [learn.Dropout(recipe.dropout)] if recipe.dropout else []
    layers.append(learn.Dense(widths[-1], data.classes))
    network = learn.Network(layers, seed=seed, dtype=np.float32)
    clock = Clock(seconds)
    history = learn.train(
        network,
        data,
        mb.Scheduled(mb.Adam(recipe.learning_rate), clock),
        batch_size=recipe.batch_size,
        epochs=10_000,
        seed=seed,
        shift=recipe.shift,
        callback=clock.check,
        diagnose=False,
    )
    return float(history.test_accuracy[-1]), history.steps


def pytorch(data: learn.Dataset, recipe: Recipe, seconds: float, seed: int) -> tuple[float, int]:
    """Train the same network on the same batches."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(os.cpu_count() or 1)
    widths = (data.train_x.shape[1], *recipe.hidden)
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        layers += [torch.nn.Dropout(recipe.dropout)] if recipe.dropout else []
    network = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], data.classes))
    loss = torch.nn.CrossEntropyLoss(label_smoothing=recipe.smoothing)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    clock = Clock(seconds)  # not before, for the first optimizer imports much
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, clock)
    labels, kind = data.train_labels, np.dtype(np.float32)
    batches, steps = Batches(data.train_x, labels, kind, recipe.batch_size, seed, shift=recipe.shift), 0
    while clock.share() < 1:
        x, targets = batches.draw()
        optimizer.zero_grad()
        loss(network(torch.from_numpy(x)), torch.from_numpy(targets)).backward()
        optimizer.step()
        schedule.step()
        steps += 1
    network.eval()
    with torch.no_grad():
        answers = network(torch.from_numpy(data.test_x)).argmax(dim=1).numpy()
    return float((answers == data.test_labels).mean()), steps


def sklearn(data: learn.Dataset, recipe: Recipe, seconds: float, seed: int) -> tuple[float, int]:
    """Train scikit-learn's MLPClassifier, a tenth of an epoch at a time."""
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(recipe.hidden, batch_size=recipe.batch_size, random_state=seed)
    clock, rng, part, steps = Clock(seconds), np.random.default_rng(seed), len(data.train_x) // 10, 0
    while clock.share() < 1:
        for chosen in np.split(rng.permutation(len(data.train_x))[: 10 * part], 10):
            network.partial_fit(data.train_x[chosen], data.train_labels[chosen], classes=range(data.classes))
            steps += -(-part // recipe.batch_size)
            if clock.share() >= 1:
                break
    return float(network.score(data.test_x, data.test_labels)), steps


CONTENDERS: dict[str, Callable[[learn.Dataset, Recipe, float, int], tuple[float, int]]] = {
    "mibun, chain": mibun,
    "PyTorch": pytorch,
    "scikit-learn": sklearn,
}


def load(name: str, recipe: Recipe, validation: int = 0) -> learn.Dataset:
    """Load a set; with `validation`, the last training images stand in the place of the test."""
    data = (learn.load_fashion if name == "fashion" else learn.load_mnist)(validation=validation)
    x, labels, test_x, test_labels = data.train_x, data.train_labels, data.test_x, data.test_labels
    if data.validation_x is not None and data.validation_labels is not None:
        test_x, test_labels = data.validation_x, data.validation_labels
    if recipe.flip:
        x = np.concatenate([x, x.reshape(-1, 28, 28)[:, :, ::-1].reshape(x.shape)])
        labels = np.concatenate([labels, labels])
    plain = learn.Dataset(x, labels, None, None, test_x, test_labels, name=name)
    if not recipe.smoothing:
        return plain
    hard = plain.with_targets()
    assert hard.train_targets is not None
    soft = hard.train_targets * np.float32(1 - recipe.smoothing) + np.float32(recipe.smoothing / plain.classes)
    return dataclasses.replace(hard, train_targets=soft)


def choose(name: str, seconds: float) -> str:
    """Judge the candidates by the last 10,000 training images."""
    rows = []
    for recipe in CANDIDATES[name]:
        accuracy, steps = mibun(load(name, recipe, 10_000), recipe, seconds / 3, seed=100)
        rows.append((str(recipe), percent(accuracy), f"{steps:,}"))
        print(f"{name}: {rows[-1]}", flush=True)
    return table(("setting", "validation accuracy", "steps"), rows)


def interval(values: list[float]) -> float:
    """Give half the width of the 95 % interval of the mean."""
    if len(values) < 2:
        return math.nan
    return STUDENT[min(len(values) - 1, 9)] * statistics.stdev(values) / math.sqrt(len(values))


def compare(name: str, seconds: float, seeds: int) -> tuple[str, Target]:
    """Train all contenders on one set, in turn."""
    recipe = CHOSEN[name]
    data = load(name, recipe)
    found: dict[str, list[tuple[float, int]]] = {contender: [] for contender in CONTENDERS}
    for seed in range(seeds):
        for contender, run in CONTENDERS.items():
            try:
                found[contender].append(run(data, recipe, seconds, seed))
            except ImportError:
                continue
            print(f"{name}, {contender}, seed {seed}: {found[contender][-1]}", flush=True)
    rows = []
    for contender, runs in found.items():
        if runs:
            accuracies = [accuracy for accuracy, _ in runs]
            width = interval(accuracies)
            shown = f"{percent(statistics.fmean(accuracies))}" + ("" if math.isnan(width) else f" ± {percent(width)}")
            rows.append((contender, shown, f"{statistics.median(steps for _, steps in runs):,.0f}"))
    own = [accuracy for accuracy, _ in found["mibun, chain"]]
    mean, wanted = statistics.fmean(own), TARGETS[name]
    text = f"ReLU, {recipe}.\n\n" + table(("contender", "test accuracy", "steps"), rows)
    return text, Target(
        f"{name}: test accuracy in {seconds:g} s", f">= {percent(wanted)}", percent(mean), mean >= wanted
    )


def loading() -> Target:
    """Time the loading of MNIST: the least of five new processes, for memory that was used before is faster."""
    program = (
        "import time; from mibun import learn; learn.load_mnist; before = time.perf_counter(); learn.load_mnist(); "
        "print(time.perf_counter() - before)"
    )
    times = [float(subprocess.check_output([sys.executable, "-c", program])) for _ in range(5)]
    return Target("loading MNIST", "<= 0.5 s", f"{min(times):.2f} s", min(times) <= 0.5)


def checkpoints() -> Target:
    """Time the checkpoint of the MNIST network: the median of twenty, in 30 s of training each."""
    from mibun.learn.checkpoint import Keeper, Saved

    network = learn.Network([learn.Dense(784, 512), learn.ReLU(), learn.Dense(512, 10)], dtype=np.float32)
    state, times = mb.Adam().init(network.vector), []
    arrays = {"weights": network.vector, "good": network.vector, "start": network.vector}
    arrays |= {f"rule.{name}": np.asarray(value) for name, value in state.items()}
    with tempfile.TemporaryDirectory(dir=RESULTS.parent) as folder:
        keeper = Keeper(learn.Checkpoint(folder))
        for step in range(20):
            keeper.write(step, Saved(arrays | {"loss": np.zeros(10_000)}, {}))
            times.append(keeper.cost)
    share = statistics.median(times) / keeper.checkpoint.seconds
    return Target("share of the time for checkpoints", "<= 2 %", percent(share), share <= 0.02)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", choices=list(CHOSEN), help="only one of the sets")
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.write and arguments.data is not None:
        parser.error("--write needs both sets; leave --data out")
    names = list(CHOSEN) if arguments.data is None else [arguments.data]
    targets, parts = [loading(), checkpoints()], []
    for name in names:
        if arguments.choose:
            parts.append(f"## {name}: choice of settings\n\n{choose(name, arguments.seconds)}")
        text, target = compare(name, arguments.seconds, arguments.seeds)
        targets.insert(0, target)
        parts.append(f"## {name}\n\n{text}")
    rows = [[*target[:3], "yes" if target.met else "**no**"] for target in targets]
    text = (
        "# Training for a minute\n\n"
        + table(("what", "target", "measured", "met"), rows)
        + "\n\n"
        + "\n\n".join(parts)
        + f"\n\n{arguments.seeds} seeds, {arguments.seconds:g} s each, measuring included; 95 % intervals.\n"
        f"Machine: {machine()}.\nMade by `python benchmarks/training.py --write`.\n"
    )
    print(text)
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
