"""What the engines of `mibun.learn` cost and reach, beside the notes' loop, PyTorch, scikit-learn and MeZO's pattern.

    MIBUN_DATA=... python benchmarks/learning.py [--rounds 3] [--quick] [--write]

The report begins with all targets. Its parts can be run alone: `steps.py` (the time of a step, each contender in a
process of its own), `trainings.py` (agreement with the loop, the book's experiment, hard steps, equal time) and
`directions.py` (forward passes only: both contracts with their curves, memory); there stands what exactly is measured.
It needs a quiet machine and about 25 minutes. `--quick` is a trial of everything but the courses of `direction`, with
short measurements. `--write` puts the report into benchmarks/results/learning.md.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import directions
import steps
import trainings
from report import Section, on_one_thread, report

from mibun import learn

RESULTS = Path(__file__).parent / "results" / "learning.md"


def sections(rounds: int, quick: bool) -> Iterator[Section]:
    """Measure one part after the other."""
    yield from steps.sections(rounds, 0.25 if quick else 2.0)
    data = learn.load_mnist()
    for part in trainings.PARTS.values():
        yield part(data)
    for name, measured in directions.PARTS.items():
        if not quick or name == "memory":
            yield measured(data)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if "MIBUN_DATA" not in os.environ:
        parser.error("MIBUN_DATA must name the folder with mnist/")
    if arguments.quick and arguments.write:
        parser.error("what --quick measures is too coarse to be written")
    on_one_thread()
    title = "Networks by numerical gradients"
    text = report(title, sections(arguments.rounds, arguments.quick), [], "python benchmarks/learning.py --write")
    print(text)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
