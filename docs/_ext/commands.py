"""``command-help``: what every command prints with --help, taken from the commands themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

WIDTH = 80


def helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Give the name of a command and its help, then those of the commands below it."""
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                inner = type(context)(below, info_name=name, parent=context, terminal_width=WIDTH)
                yield from helps(below, inner)


class CommandHelp(SphinxDirective):
    """``command-help``: a section for every command of `mibun`."""

    def run(self) -> list[nodes.Node]:
        from mibun.cli.command import mibun

        made: list[nodes.Node] = []
        context = click.Context(mibun, info_name="mibun", **(mibun.context_settings | {"terminal_width": WIDTH}))
        for name, text in helps(mibun, context):
            section = nodes.section(ids=[nodes.make_id(name)], names=[name])
            section += nodes.title("", name)
            section += nodes.literal_block(text, text, language="none")
            self.state.document.note_implicit_target(section)
            made.append(section)
        return made


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
