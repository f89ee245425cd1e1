"""What the tests of crews share: waiting that ends, and functions that a worker finds by the sys.path of its parent."""

import os
import time
from pathlib import Path
from typing import Any

from mibun.evaluate.crew import Crew
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.shipping import Shipped


def drained(crew: Crew, f: Any, points: list[Any], seconds: float = 30.0) -> list[Outcome]:
    """Give the outcomes of all points; fail, and do not hang, if they do not come."""
    shipped, until, found = f if isinstance(f, Shipped) else Shipped(f), time.monotonic() + seconds, {}
    for ticket, x in enumerate(points):
        crew.submit(ticket, shipped, x)
    while len(found) < len(points):
        assert time.monotonic() < until, f"only {sorted(found)} of {len(points)} points after {seconds} s"
        for ticket, outcome in crew.arrived(1.0):
            assert ticket not in found, f"{ticket} came twice"
            found[ticket] = outcome
    assert crew.arrived(5.0) == [], "more came than was submitted"
    return [found[ticket] for ticket in range(len(points))]


def values(outcomes: list[Outcome]) -> list[Any]:
    assert {outcome.status for outcome in outcomes} == {"ok"}, outcomes
    return [outcome.value for outcome in outcomes]


def note(file: Path, text: object) -> None:
    """Count an evaluation in a side file: one write for one line, whoever else writes."""
    number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(number, f"{text}\n".encode())
    os.close(number)


def noted(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def alive(pid: int) -> bool:
    """Say whether a process runs: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


class TwoArguments(ValueError):
    """An exception that can be pickled and not be rebuilt."""

    def __init__(self, first: object, second: object) -> None:
        super().__init__(f"{first} and {second}")


class Unreadable:
    """A value that can be pickled and not be rebuilt."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)
