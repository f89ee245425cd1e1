"""Eight derivatives that anyone can repeat: how far each library is off, and how far it says that it may be.

    python benchmarks/eight.py [--write]

The shares over thousands of problems stand in `derivatives.py`; these few show what lies behind them. Each contender
has its defaults. Run it with the peers installed: pip install -e ".[bench]".
"""

import argparse
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import machine
from peers import Contender, Counted, contenders, missing, versions
from report import table

RESULTS = Path(__file__).parent / "results" / "eight.md"


class Case(NamedTuple):
    """A function by its text, of numbers and of arrays; where; its derivative there, nan where there is none."""

    text: str
    f: Callable[[Any], Any]
    x: float
    truth: float


def noisy() -> Callable[[Any], Any]:
    """Give exp with noise of 1e-6, drawn anew at every call."""
    rng = np.random.default_rng(0)
    return lambda x: np.exp(x) + 1e-6 * rng.standard_normal(np.shape(x))


def cases() -> list[Case]:
    """Make them; the noise begins anew for every contender."""
    return [
        Case("exp(x) at 1", np.exp, 1.0, math.e),
        Case("1e8 + sin(x) at 1", lambda x: 1e8 + np.sin(x), 1.0, math.cos(1.0)),
        Case("sin(1000 x) at 1", lambda x: np.sin(1000 * x), 1.0, 1000 * math.cos(1000.0)),
        Case("sqrt(x) at 1e-6", np.sqrt, 1e-6, 500.0),
        Case("tanh(1e4 (x - 1)) at 1.00005", lambda x: np.tanh(1e4 * (x - 1)), 1.00005, 1e4 / math.cosh(0.5) ** 2),
        Case("exp(x) + noise of 1e-6, at 1", noisy(), 1.0, math.e),
        Case("abs(x) at 0", np.abs, 0.0, math.nan),
        Case("floor(x) at 2", np.floor, 2.0, math.nan),
    ]


def told(contender: Contender, case: Case) -> str:
    """Say how far it is off, what it claims, and by how many values; of no derivative, what it gives."""
    f = Counted(case.f)
    try:
        value, claim = contender.call(f, case.x)
    except Exception as error:  # noqa: BLE001  what a library raises is its answer
        return type(error).__name__
    said = "" if math.isnan(claim) else f" ± {claim:.0e}"
    if math.isnan(case.truth):
        return f"says {value:.3g}{said}, {f.count}"
    off = abs(value - case.truth)
    lies = not math.isnan(claim) and not off <= claim
    return f"{off:.0e}{said}{' (**not covered**)' if lies else ''}, {f.count}"


def statuses() -> str:
    """Say how mibun names what has no derivative."""
    from mibun.derivatives import derivative

    found = [f"`{case.text}`: {derivative(case.f, case.x).status}" for case in cases()]
    return "mibun's status: " + "; ".join(found) + "."


def measure() -> str:
    """Write the table: a row for each function, a column for each contender."""
    found = contenders()
    columns = {contender.name: [told(contender, case) for case in cases()] for contender in found}
    rows = [[f"`{case.text}`", *(cells[number] for cells in columns.values())] for number, case in enumerate(cases())]
    away = ", ".join(missing(found))
    return "\n\n".join(
        [
            "# Eight derivatives",
            "How far each is off, ± what it says, and how many values of f it took; where there is no derivative, what "
            "it says instead.",
            table(["f", *columns], rows),
            statuses(),
            f"Machine: {machine()}; {versions()}." + (f" Not installed, not measured: {away}." if away else ""),
            "Made by `python benchmarks/eight.py --write`.",
        ]
    )


def main() -> None:
    """Read the command line, measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    write = parser.parse_args().write
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        text = measure() + "\n"
    print(text)
    if write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
