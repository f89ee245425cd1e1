"""The command `mibun`."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and give its exit status.

    Parameters
    ----------
    arguments
        The words after `mibun`; by default those of this process.

    Returns
    -------
    int
        0: done; 1: training diverged, a derivative has no number that can be trusted, or a
        package is missing; 2: something given cannot be used, such as a function that
        raises at the point itself; 130: interrupted.
    """
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        if error.name not in ("click", "rich"):
            raise
        line = "mibun: the command line needs click and rich; install them with: pip install 'mibun[cli]'"
        print(line, file=sys.stderr)  # noqa: T201
        return 1
    from mibun.cli.command import run

    return run(arguments)
