"""The command group, and what becomes of its errors."""

import os
from collections.abc import Sequence

import click

from mibun import __version__
from mibun.cli.check import check
from mibun.cli.compare_engines import compare_engines
from mibun.cli.derivative import derivative
from mibun.cli.descend import descend_command
from mibun.cli.draw import draw
from mibun.cli.gradient import gradient
from mibun.cli.hessian import hessian
from mibun.cli.learn import learn
from mibun.cli.predict import predict
from mibun.cli.report import report
from mibun.cli.store import store
from mibun.errors import MibunError, MissingDependency

__all__ = ["run"]

#: Exit status of a shell's command that was ended by Ctrl-C: 128 + SIGINT.
INTERRUPTED = 130


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mibun")
@click.pass_context
def mibun(context: click.Context) -> None:
    """Numerical derivatives, descents along them, and networks that learn by them."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


mibun.add_command(check)
mibun.add_command(compare_engines)
mibun.add_command(derivative)
mibun.add_command(draw)
mibun.add_command(descend_command)
mibun.add_command(gradient)
mibun.add_command(hessian)
mibun.add_command(learn)
mibun.add_command(predict)
mibun.add_command(report)
mibun.add_command(store)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit status; a mistake of the user becomes one line on stderr."""
    try:
        status = mibun.main(arguments, prog_name="mibun", standalone_mode=False)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "mibun"
        _complain(f"{error.format_message()} (all options: {command} --help)")
        return 2
    except MibunError as error:
        _complain(str(error))
        return 1 if isinstance(error, MissingDependency) else 2
    except MemoryError as error:
        _complain(f"there is not enough memory for this network or data ({error}); give smaller widths after --hidden")
        return 2
    except OSError as error:
        if error.filename is not None:
            raise
        _complain(f"what was to be printed cannot be written: {error.strerror or error}")
        # What still waits in the buffer cannot be written either, and would end in a traceback at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except click.Abort as error:
        notes = getattr(error.__cause__, "__notes__", ["nothing was kept"])
        _complain(f"interrupted; {'; '.join(notes)}")
        return INTERRUPTED
    return int(status or 0)


def _complain(text: str) -> None:
    click.echo(f"mibun: {' '.join(text.split())}", err=True)
