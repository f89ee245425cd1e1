"""`mibun report`: runs side by side on one page."""

import uuid
from pathlib import Path

import click

from mibun.cli.settings import expanded
from mibun.errors import InputError

__all__ = ["report"]

_EPILOG = """\b
Example:
  mibun report runs/0001 runs/0004 --out comparison.html
"""


@click.command(epilog=_EPILOG, short_help="Compare training runs on one page.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN ...]")
@click.option("--out", metavar="FILE", help="The page; by default comparison.html beside the first run.")
def report(runs: tuple[str, ...], out: str | None) -> int:
    """Compare training runs: curves, final numbers, the settings in which they differ, diagnosis."""
    from mibun.report.comparison import comparison_report, read_run

    unique = list(dict.fromkeys(str(expanded(run)) for run in runs))
    text = comparison_report([read_run(run) for run in unique])
    path = Path(unique[0]).parent / "comparison.html" if out is None else expanded(out)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}; give another file after --out"
        ) from None
    click.echo(f"Look at it in a browser: {path.resolve().as_uri()}")
    return 0
