"""How measurements become a report: targets, parts, numbers as text, and a process in which all is measured."""

import argparse
import math
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from machine import machine
from peers import Contender, missing, versions

from mibun.learn import Dataset, load_mnist

THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Target(NamedTuple):
    """One line of the summary: what is asked for, and what was measured."""

    what: str
    target: str
    measured: str
    met: bool


class Section(NamedTuple):
    """A part of the report."""

    title: str
    text: str
    targets: list[Target]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def percent(value: float) -> str:
    """Print a share; - where there is none."""
    return "-" if math.isnan(value) else f"{100 * value:.2f} %"


def figure(value: float) -> str:
    """Print a number with three digits; - where there is none."""
    return "-" if math.isnan(value) else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Print seconds with a fitting unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def report(title: str, sections: Iterable[Section], found: Sequence[Contender], command: str) -> str:
    """Measure one section after the other, and write them down, the summary of all targets first.

    `found` are the peers of `peers.py` that took part; none where that table is not about them.
    """
    done = []
    start = time.perf_counter()
    for section in sections:
        done.append(section)
        print(f"{time.perf_counter() - start:5.0f} s: {section.title}", file=sys.stderr)
    rows = [[*target[:3], "yes" if target.met else "**no**"] for section in done for target in section.targets]
    away = ", ".join(missing(found)) if found else ""
    parts = [
        f"# {title}",
        table(("what", "target", "measured", "met"), rows),
        *(f"## {section.title}\n\n{section.text}" for section in done),
        f"Machine: {machine()}, one thread; {versions()}." + (f" Not installed, not measured: {away}." if away else ""),
        f"Made by `{command}`.",
    ]
    return "\n\n".join(parts) + "\n"


def on_one_thread() -> None:
    """Begin anew with one thread, unless that is so: libraries read these variables when they are loaded."""
    if any(os.environ.get(name) != "1" for name in THREADS):
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=os.environ | THREADS).returncode)


def silence() -> None:
    """Let no library warn: what they say is counted, not printed."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence standard output down to the file descriptor: LAPACK, called by a peer with inf, prints to it."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def run_parts(description: str | None, parts: Mapping[str, Callable[[Dataset], Section]]) -> None:
    """Run all parts of a benchmark on MNIST, or the one that `--only` names, and print them."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(parts))
    arguments = parser.parse_args()
    if "MIBUN_DATA" not in os.environ:
        parser.error("MIBUN_DATA must name the folder with mnist/")
    on_one_thread()
    data = load_mnist()
    for part in [arguments.only] if arguments.only else parts:
        section = parts[part](data)
        print(f"\n## {section.title}\n\n{section.text}\n")
        print("\n".join(f"{'yes' if t.met else 'NO '} {t.what}: {t.measured} ({t.target})" for t in section.targets))
