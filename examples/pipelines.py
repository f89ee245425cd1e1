"""Three ways to recognise digits: hand-made features with SVM or KNN, raw pixels with the same, and a network.

    python examples/pipelines.py [--data digits|mnist] [--images 2000] [--out pipelines.png]

The notes tell the story of machine learning in three pipelines: an algorithm thought up by a person; features chosen
by a person (here HOG, Dalal and Triggs 2005) from which a machine learns (SVM, KNN); and a network that finds its
features itself (here by numerical gradients). All learn from the same training images and are judged by the same test
images. Needs scikit-learn and scikit-image, and matplotlib for the picture.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import mibun as mb
from mibun import learn


class Pipeline(NamedTuple):
    """What one way came to."""

    name: str
    found_by: str
    accuracy: float
    seconds: float


def hog_features(images: NDArray[Any]) -> NDArray[np.float64]:
    """Describe each image by histograms of the directions of its edges."""
    from skimage.feature import hog

    side = int(images.shape[1] ** 0.5)
    cell = max(2, side // 4)
    return np.stack(
        [
            hog(image.reshape(side, side), orientations=8, pixels_per_cell=(cell, cell), cells_per_block=(2, 2))
            for image in images
        ]
    )


def classical(data: learn.Dataset, kind: str, features: Callable[[NDArray[Any]], NDArray[Any]], name: str) -> Pipeline:
    """Learn from features by a support vector machine, or by the nearest neighbours."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    model = SVC(C=10.0) if kind == "SVM" else KNeighborsClassifier(n_neighbors=3)
    started = time.perf_counter()
    model.fit(features(data.train_x), data.train_labels)
    answers = model.predict(features(data.test_x))
    accuracy = float((answers == data.test_labels).mean())
    by = "a person" if name == "HOG" else "nobody"
    return Pipeline(f"{name} + {kind}", by, accuracy, time.perf_counter() - started)


def network(data: learn.Dataset) -> Pipeline:
    """Learn from pixels by a network with numerical gradients."""
    layers = [learn.Dense(data.train_x.shape[1], 100), learn.Sigmoid(), learn.Dense(100, data.classes)]
    net, started = learn.Network(layers), time.perf_counter()
    epochs = 40 if len(data.train_x) < 5000 else 15
    learn.train(net, data, mb.Adam(learning_rate=0.003), batch_size=20, epochs=epochs, diagnose=False)
    accuracy = net.accuracy(data.test_x, data.test_labels)
    return Pipeline("pixels + network", "the network", accuracy, time.perf_counter() - started)


def load(name: str, images: int) -> learn.Dataset:
    """Load the split that all pipelines share; of MNIST so many training images, and a fifth of them for the test."""
    if name == "digits":
        return learn.load_digits()
    data = learn.load_mnist()
    test = max(1, images // 5)
    return learn.Dataset(
        data.train_x[:images],
        data.train_labels[:images],
        None,
        None,
        data.test_x[:test],
        data.test_labels[:test],
        name=f"mnist, {images} images",
    )


def compare(data: learn.Dataset) -> list[Pipeline]:
    """Run all pipelines on one split."""
    pixels = np.asarray
    return [
        classical(data, "KNN", pixels, "pixels"),
        classical(data, "SVM", pixels, "pixels"),
        classical(data, "KNN", hog_features, "HOG"),
        classical(data, "SVM", hog_features, "HOG"),
        network(data),
    ]


def show(found: list[Pipeline], images: int) -> str:
    """Write the table."""
    lines = [f"{'pipeline':18} {'features by':12} {'right':>8}  {'± 95 %':>7} {'time':>8}"]
    for one in found:
        spread = 1.96 * (one.accuracy * (1 - one.accuracy) / images) ** 0.5
        lines.append(
            f"{one.name:18} {one.found_by:12} {100 * one.accuracy:6.2f} %  {100 * spread:5.2f} % {one.seconds:6.1f} s"
        )
    return "\n".join(lines)


def draw(found: list[Pipeline], data: learn.Dataset, path: Path) -> None:
    """Draw what is wrong in each: fewer is better."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    colours = {"nobody": "#999999", "a person": "#E69F00", "the network": "#0072B2"}
    bars = axes.barh(
        [one.name for one in found],
        [100 * (1 - one.accuracy) for one in found],
        color=[colours[one.found_by] for one in found],
    )
    axes.bar_label(bars, fmt="%.1f %%", padding=3)
    axes.margins(x=0.15)
    axes.set_xlabel(f"wrong answers on {len(data.test_labels):,} test images of {data.name}, in %")
    axes.set_title("Grey: no features. Orange: features of a person. Blue: features that the network found", fontsize=9)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("digits", "mnist"), default="digits")
    parser.add_argument("--images", type=int, default=2000, help="training images of MNIST")
    parser.add_argument("--out", type=Path, default=Path("pipelines.png"))
    arguments = parser.parse_args()
    data = load(arguments.data, arguments.images)
    found = compare(data)
    print(data)
    print(show(found, len(data.test_labels)))
    draw(found, data, arguments.out)
    print(f"Picture: {arguments.out}")


if __name__ == "__main__":
    main()
