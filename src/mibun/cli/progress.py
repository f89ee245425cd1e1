"""How training goes, shown while it lasts: a bar in a terminal, plain lines elsewhere."""

import os
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

from mibun.evaluate.progress import clock
from mibun.learn import Finding, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

__all__ = ["Bar", "Lines", "choose_display", "clock", "human", "percent", "say"]

#: Seconds between two looks at the training: for the bar, and for plain lines.
BAR_EVERY, LINE_EVERY = 0.1, 10.0


class Display(Protocol):
    """What shows progress: a context, called after every step."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def __call__(self, progress: Progress) -> None: ...

    def say(self, line: str) -> None: ...

    def end(
        self, train_accuracy: float, validation_accuracy: float | None, notes: tuple[Finding, ...] = ()
    ) -> None: ...


def choose_display() -> Display:
    """Give a bar if stderr is a terminal that can move its cursor, else plain lines."""
    terminal = sys.stderr is not None and sys.stderr.isatty()  # None where the shell closed it
    return Bar() if terminal and os.environ.get("TERM") not in (None, "", "dumb") else Lines()


class _Paced:
    """Looks at the progress now and then; every other call costs a look at the clock and nothing else."""

    every: float

    def __init__(self) -> None:
        self._due = 0.0
        self._last: Progress | None = None
        self._shown = -1
        self._noted = 0

    def __call__(self, progress: Progress) -> None:
        self._last = progress
        if len(progress.notes) > self._noted:
            self._tell(progress.notes)
        now = time.perf_counter()
        if now >= self._due:
            self._due = now + self.every
            self._shown = progress.step
            self.show(progress)

    def say(self, line: str) -> None:
        """Show a line of its own."""
        raise NotImplementedError

    def _tell(self, notes: tuple[Finding, ...]) -> None:
        """Show what was found out since the last time."""
        for note in notes[self._noted :]:
            self.say(f"step {note.step:,}: {note.message}")
        self._noted = len(notes)

    def end(self, train_accuracy: float, validation_accuracy: float | None, notes: tuple[Finding, ...] = ()) -> None:
        """Take what is measured and found out after the last step, when training is over."""
        self._tell(tuple(note for note in notes if note.kind != "not finite"))
        if self._last is not None:
            self._last = self._last._replace(train_accuracy=train_accuracy, validation_accuracy=validation_accuracy)
            self._shown = -1

    def finish(self) -> None:
        if self._last is not None and self._shown != self._last.step:
            self.show(self._last)

    def show(self, progress: Progress) -> None:
        raise NotImplementedError


class Lines(_Paced):
    """A plain line on stderr at once, every 10 s, and at the end."""

    every = LINE_EVERY

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish()

    def say(self, line: str) -> None:
        """Print a line of its own."""
        say(line)

    def show(self, progress: Progress) -> None:
        """Print one line."""
        validation = progress.validation_accuracy
        accuracy = f"accuracy {percent(progress.train_accuracy)} train"
        if validation is not None:
            accuracy += f", {percent(validation)} validation"
        say(
            f"step {progress.step:,} of {progress.steps:,}: loss {progress.loss:.4g}, {accuracy}, "
            f"{human(progress.evaluations)} evaluations, {clock(progress.seconds)} elapsed, "
            f"{clock(progress.seconds_left)} left"
        )


class Bar(_Paced):
    """A bar of rich on stderr, in one line of 80 characters; its clock moves in steps that take long, too."""

    every = BAR_EVERY

    def __enter__(self) -> Self:
        self._bar, self._task = _rich_bar()
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish()
        self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(line, markup=False, highlight=False)

    def show(self, progress: Progress) -> None:
        """Tell rich, whose own thread draws the bar five times a second."""
        validation = progress.validation_accuracy
        # Words of equal width, so that nothing jumps from one look to the next.
        words = f"loss {progress.loss:<7.2g} train {percent(progress.train_accuracy):>7}"
        if validation is not None:
            words += f" val. {percent(validation):>7}"
        words += f" {human(progress.evaluations):>7} eval."
        left = f"{clock(progress.seconds_left)} left"
        self._bar.update(self._task, total=progress.steps, completed=progress.step, words=words, left=left)


def _rich_bar() -> "tuple[RichProgress, TaskID]":
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column
    from rich.text import Text

    class Elapsed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(clock(task.elapsed or 0.0))

    console = Console(stderr=True, highlight=False)
    # Room for the words, and for the ^C that a terminal writes behind the line.
    width = min(40, max(7, console.width - 73))
    bar = RichProgress(
        BarColumn(bar_width=width),
        TextColumn("{task.fields[words]}", table_column=Column(no_wrap=True), markup=False),
        Elapsed(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True), markup=False),
        console=console,
        refresh_per_second=5,
    )
    return bar, bar.add_task("", total=None, words="first step", left="")


def say(line: str) -> None:
    """Print a line to stderr; a reader that has gone away (`2>&1 | head -3`) is no reason to lose what is learnt."""
    with suppress(BrokenPipeError):
        click.echo(line, err=True)


def human(count: int) -> str:
    """Write a count as people read it: `950`, `12.3 k`, `1.2 M`, `3.4 G`."""
    if count < 1000:
        return str(count)
    power = 1
    while power < 4 and count >= 999.95 * 1000**power:
        power += 1
    return f"{count / 1000**power:.1f} {'kMGT'[power - 1]}"


def percent(share: float) -> str:
    """Write a share as `97.2 %`."""
    return f"{100 * share:.1f} %"
