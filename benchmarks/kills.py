"""Kill those who write to a store at random moments, and look whether anything is lost, repeated or damaged.

    python benchmarks/kills.py [--rounds 1000] [--seed 0] [--write]

In each round two processes work on one store: they go through the same points in the same order, take from the store
what is there, and evaluate and record the rest, one by one or in groups. Of every evaluation and of every
acknowledgement (`record` has returned) they leave a line in a file of their own, which the kernel has at once. Both
are killed with SIGKILL, each at a random moment of its own: some while they start and make the file, most in the midst
of work. Then every line is compared with the store:

- lost: a point that was acknowledged and is not in the store, or with another value;
- repeated: a point that was evaluated by a process that started after it was acknowledged;
- damaged: SQLite's own check of the file finds something.

This is about processes that die. That committed rows are on the disk when the power fails is up to the disk, which is
asked to write them through (`synchronous=FULL`); no script can test that. `--write` puts the result into
benchmarks/results/kills.md.
"""

import argparse
import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from machine import machine

from mibun.evaluate.outcome import Outcome
from mibun.evaluate.store import Store

RESULTS = Path(__file__).parent / "results" / "kills.md"
NAME = "f"
#: Rounds that work on one store, so that later ones find what earlier ones left.
SHARED = 5
#: Longest life of the processes, in seconds, from when both are ready; or from their start, in every fifth round.
LIFE, YOUTH = 0.15, 0.5
GROUPS = (1, 7)


class Tally(NamedTuple):
    """What was found."""

    rounds: int
    evaluated: int
    acknowledged: int
    lost: int
    repeated: int
    damaged: int

    @property
    def sound(self) -> bool:
        """Nothing went wrong."""
        return not (self.lost or self.repeated or self.damaged)


def f(i: int) -> float:
    """Give the value at point i."""
    return i / 7 + 1


def work(store: str, lines: str, group: int) -> None:
    """Go through the points until killed; a line for each evaluation and each acknowledgement."""
    file = os.open(lines, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    run = Store(store, NAME).run()
    os.write(file, b"ready 0\n")
    for begin in itertools.count(0, group):
        numbers = range(begin, begin + group)
        keys = run.keys(float(i) for i in numbers)
        missing = [place for place, found in enumerate(run.lookup(keys)) if found is None]
        for place in missing:
            os.write(file, f"evaluated {numbers[place]}\n".encode())
        run.record([keys[place] for place in missing], [Outcome("ok", f(numbers[place])) for place in missing])
        for place in missing:
            os.write(file, f"acknowledged {numbers[place]}\n".encode())


def kills(rounds: int, seed: int, folder: Path) -> Tally:
    """Run the rounds in a folder, and compare after each of them."""
    rng = random.Random(seed)
    acknowledged: set[int] = set()
    evaluations = points = lost = repeated = damaged = 0
    for number in range(rounds):
        store = folder / f"{number // SHARED}.db"
        told = _round(rng, store, folder, early=(number % SHARED == 0 and rng.random() < 0.5) or rng.random() < 0.1)
        began = _numbers(told, "evaluated")
        evaluations += len(began)
        repeated += sum(i in acknowledged for i in began)
        acknowledged.update(_numbers(told, "acknowledged"))
        damaged += not _sound(store)
        if number % SHARED == SHARED - 1 or number == rounds - 1:
            lost += _lost(store, acknowledged)
            points += len(acknowledged)
            acknowledged.clear()
            store.unlink(missing_ok=True)
        if not (number + 1) % 50:
            print(f"{number + 1}: {lost} lost, {repeated} repeated, {damaged} damaged", file=sys.stderr)
    return Tally(rounds, evaluations, points, lost, repeated, damaged)


def _numbers(lines: list[str], word: str) -> list[int]:
    return [int(line.split()[1]) for line in lines if line.startswith(word)]


def _round(rng: random.Random, store: Path, folder: Path, early: bool) -> list[str]:
    """Start two processes, kill both, and give the lines of both that are whole."""
    paths = [folder / f"lines-{group}" for group in GROUPS]
    commands = [
        [sys.executable, __file__, "--work", str(store), str(path), str(group)]
        for path, group in zip(paths, GROUPS, strict=True)
    ]
    processes = [subprocess.Popen(command) for command in commands]
    try:
        if not early:
            _wait(processes, paths)
        start = time.monotonic()
        for moment, process in sorted((rng.uniform(0, YOUTH if early else LIFE), i) for i in range(len(processes))):
            time.sleep(max(0.0, start + moment - time.monotonic()))
            if processes[process].poll() is not None:
                raise RuntimeError(f"a writer ended by itself, with exit code {processes[process].returncode}")
            processes[process].send_signal(signal.SIGKILL)
    finally:
        for child in processes:
            child.kill()
            child.wait()
    lines = [line for path in paths if path.exists() for line in path.read_text().split("\n")[:-1]]
    for path in paths:
        path.unlink(missing_ok=True)
    return lines


def _wait(processes: list[subprocess.Popen[bytes]], paths: list[Path]) -> None:
    """Wait until all processes have begun to work."""
    deadline = time.monotonic() + 60
    while not all(path.exists() and path.stat().st_size for path in paths):
        ended = [process.returncode for process in processes if process.poll() is not None]
        if ended or time.monotonic() > deadline:
            raise RuntimeError(f"a writer did not start: exit codes {ended}")
        time.sleep(0.001)


def _lost(store: Path, points: set[int]) -> int:
    """Count the points that are not in the store with their value."""
    with Store(store, NAME) as opened:
        run, numbers = opened.run(), sorted(points)
        found = run.lookup(run.keys(float(i) for i in numbers))
    return sum(row is None or row.value != f(i) for i, row in zip(numbers, found, strict=True))


def _sound(store: Path) -> bool:
    if not store.exists():
        return True
    connection = sqlite3.connect(store)
    (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return bool(answer == "ok")


def report(tally: Tally, seed: int, seconds: float, command: str) -> str:
    """Write what was found."""
    return (
        "\n\n".join(
            [
                "# Writers of a store killed at random moments",
                f"{tally.rounds:,} rounds, in each of them two processes on one store, killed with SIGKILL, a fifth of "
                f"them while they start and make the file (seed {seed}, {seconds:,.0f} s):",
                f"- evaluations: {tally.evaluated:,}, acknowledged points: {tally.acknowledged:,}\n"
                f"- acknowledged and lost: **{tally.lost}**\n"
                f"- evaluated again after they were acknowledged: **{tally.repeated}**\n"
                f"- rounds after which the file was damaged: **{tally.damaged}**",
                f"Machine: {machine()}; SQLite {sqlite3.sqlite_version}.",
                f"Made by `{command}`.",
            ]
        )
        + "\n"
    )


def main() -> None:
    """Run the benchmark, or be one of its writers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--work", nargs=3, metavar=("STORE", "LINES", "GROUP"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        store, lines, group = arguments.work
        work(store, lines, int(group))
        return
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tally = kills(arguments.rounds, arguments.seed, Path(folder))
    command = " ".join(["python benchmarks/kills.py", *sys.argv[1:]])
    text = report(tally, arguments.seed, time.perf_counter() - start, command)
    print(text)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")
    sys.exit(0 if tally.sound else 1)


if __name__ == "__main__":
    main()
