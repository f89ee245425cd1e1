"""`mibun store`: say what a store holds."""

import json
import time

import click

from mibun.evaluate.database import Database, store_path
from mibun.evaluate.rows import Summary, summaries

__all__ = ["store"]

_EPILOG = """\b
Examples:
  mibun store plant.db
  mibun store plant.db --json

\b
Failures are points at which f raised, was killed or timed out: the next call
tries them again. All others are replayed, those outside of the domain of f
(ValueError, ArithmeticError) and without a finite value, too.

\b
Exit status: 0 done, 2 no store, a damaged or a newer one (it stays as it is).
"""
#: Statuses of rows that are no answers, and of answers that are no finite numbers, in words.
FAILURES = {"raised": "raised", "killed": "killed", "timeout": "timed out"}
SPECIAL = {"outside": "outside of the domain", "not finite": "not finite"}


@click.command(epilog=_EPILOG, short_help="Say what a store of evaluations holds.")
@click.argument("path", metavar="PATH")
@click.option("--json", "as_json", is_flag=True, help="Print it as one line of JSON.")
def store(path: str, as_json: bool) -> int:
    """List what the store at PATH holds under each name: evaluations, failures, and the seconds that f took.

    The file is only read, and may be in use meanwhile.
    """
    database = Database(store_path(path), write=False)
    try:
        found = summaries(database)
    finally:
        database.close()
    if as_json:
        click.echo(json.dumps([summary._asdict() for summary in found]))
    elif found:
        _show(found)
    else:
        click.echo("The store is empty.")
    return 0


def _show(found: list[Summary]) -> None:
    """Print a table, as wide as it needs where no terminal limits it, and below it what is not plainly a value."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("name", overflow="fold")
    for title in ("evaluations", "failures", "seconds", "last"):
        table.add_column(title, justify="right", no_wrap=True)
    remarks = []
    for summary in found:
        name, counts, seconds, last = summary
        failures = sum(counts.get(status, 0) for status in FAILURES)
        moment = "-" if last is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(last))
        table.add_row(Text(_plain(name)), f"{sum(counts.values()):,}", f"{failures:,}", f"{seconds:,.1f}", moment)
        told = [f"{counts[status]:,} {words}" for status, words in {**FAILURES, **SPECIAL}.items() if status in counts]
        remarks += [f"{_plain(name)}: {', '.join(told)}"] if told else []
    console.print(table)
    if remarks:
        click.echo("\n" + "\n".join(remarks))


def _plain(name: str) -> str:
    """Spell what would move the cursor or change colours."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name)
