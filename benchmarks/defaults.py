"""How the defaults of `mibun learn` were chosen, and what they reach.

    python benchmarks/defaults.py digits|mnist [--write]

Learning rate and batch size are compared on the **validation** images alone (digits: 10 seeds, each with its own
split; mnist: 2 seeds), after every epoch of one run each. The highest mean is taken, with the fewest epochs where
several are equal; for mnist at the batch size of the book, 100. The test images are looked at once, with the setting
that `mibun learn` uses: 5 seeds on the shipped split. `--write` puts the tables into benchmarks/results/.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mibun as mb
from mibun import learn
from mibun.cli.settings import DEFAULTS

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Sweep:
    """What is compared: all rates with all batch sizes, after each number of epochs."""

    rates: tuple[float, ...]
    batches: tuple[int, ...]
    epochs: tuple[int, ...]
    seeds: int


SWEEPS = {
    "digits": Sweep(rates=(0.3, 1.0, 2.0, 3.0, 5.0), batches=(10, 20, 50), epochs=(20, 40, 60, 80), seeds=10),
    "mnist": Sweep(rates=(0.2, 0.5, 1.0), batches=(20, 50, 100), epochs=(5, 10, 15), seeds=2),
}


#: How the setting is chosen from the table.
RULES = {"digits": "the highest with the fewest epochs", "mnist": "the highest at the batch size of the book"}


def load(data: str, seed: int) -> learn.Dataset:
    """Load the data; only the digits have a split of their own for every seed."""
    return learn.load_digits(seed=seed) if data == "digits" else learn.load_mnist(validation=10_000)


def fit(dataset: learn.Dataset, rate: float, batch_size: int, epochs: int, seed: int) -> learn.History:
    """Train the network of `mibun learn`."""
    inputs = dataset.train_x.shape[1]
    network = learn.Network([learn.Dense(inputs, 50), learn.Sigmoid(), learn.Dense(50, dataset.classes)], seed=seed)
    return learn.train(network, dataset, mb.GradientDescent(rate), "chain", batch_size, epochs, seed=seed)


def sweep(data: str) -> str:
    """Compare settings by their mean validation accuracy."""
    compared = SWEEPS[data]
    epochs = compared.epochs
    lines = [f"| learning rate | batch size | {' | '.join(f'{n} epochs' for n in epochs)} | time |"]
    lines.append("|" + "---|" * (len(epochs) + 3))
    for batch_size in compared.batches:
        for rate in compared.rates:
            runs = [fit(load(data, seed), rate, batch_size, epochs[-1], seed) for seed in range(compared.seeds)]
            curves = np.mean([np.asarray(run.validation_accuracy) for run in runs], axis=0)
            cells = " | ".join(f"{curves[n]:.2%}" for n in epochs)
            seconds = np.median([run.seconds for run in runs])
            lines.append(f"| {rate:g} | {batch_size} | {cells} | {seconds:.2f} s |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def final(data: str) -> str:
    """Train with the defaults, and look at the test images."""
    chosen = DEFAULTS[data]
    runs = [fit(load(data, 0), chosen.learning_rate, chosen.batch_size, chosen.epochs, seed) for seed in range(5)]
    accuracies, seconds = [run.test_accuracy[-1] for run in runs], [run.seconds for run in runs]
    return (
        f"Chosen, {RULES[data]}: learning rate {chosen.learning_rate:g}, batch size {chosen.batch_size}, "
        f"{chosen.epochs} epochs. "
        f"Test accuracy of 5 seeds: {', '.join(f'{share:.2%}' for share in accuracies)}; "
        f"median **{np.median(accuracies):.2%}**, "
        f"in {np.median(seconds):.2f} s of training (median)."
    )


def main() -> None:
    """Run the comparison, then the chosen setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=sorted(SWEEPS))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--final-only", action="store_true")
    arguments = parser.parse_args()
    if arguments.final_only:
        print(final(arguments.data))
        return
    compared, reached = sweep(arguments.data), final(arguments.data)
    text = (
        f"# Defaults of `mibun learn --data {arguments.data}`\n\nMean accuracy on the validation images over "
        f"{SWEEPS[arguments.data].seeds} seeds, network with 50 hidden units, plain gradient descent:\n\n{compared}\n\n"
        f"{reached}\n\nMade by `python benchmarks/defaults.py {arguments.data} --write`.\n"
    )
    print(text)
    if arguments.write:
        (RESULTS / f"defaults_{arguments.data}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
