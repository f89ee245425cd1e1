"""The line that tells how far an evaluation is: when it comes, and what it says."""

import io
import os
import sys

import pytest

from mibun.evaluate.progress import ERASE_REST, ProgressLine


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Terminal(io.StringIO):
    """A stream that says it is a terminal, 60 columns wide."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 77


@pytest.fixture(autouse=True)
def sixty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((60, 24)))


def led(stream: io.StringIO, seconds: float, total: int = 100, every: float = 0.5, name: str = "f") -> list[float]:
    """One point every `every` seconds; when something was written."""
    clock, moments = Clock(), []
    line = ProgressLine(name, stream=stream, now=clock)
    line.start(total)
    for done in range(1, int(seconds / every) + 1):
        clock.seconds += every
        before = len(stream.getvalue())
        line.update(done, busy=2)
        if len(stream.getvalue()) > before:
            moments.append(clock.seconds - 1000)
    line.close()
    return moments


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_nothing_is_said_of_less_than_two_seconds(stream: io.StringIO) -> None:
    assert led(stream, 1.9, every=0.1) == []
    assert stream.getvalue() == ""


def test_elsewhere_a_line_comes_every_ten_seconds_and_at_the_end() -> None:
    stream = io.StringIO()
    assert led(stream, 25) == [10.0, 20.0]
    assert stream.getvalue().splitlines() == [
        "f: 20/100 points, 2 workers busy, 0:40 left",
        "f: 40/100 points, 2 workers busy, 0:30 left",
        "f: 50/100 points, 2 workers busy, 0:25 left",
    ]


def test_what_was_said_already_is_not_said_again_at_the_end() -> None:
    stream = io.StringIO()
    assert led(stream, 20) == [10.0, 20.0]
    assert len(stream.getvalue().splitlines()) == 2


def test_on_a_terminal_one_line_is_written_over_and_over_and_ended_once() -> None:
    stream = Terminal()
    assert led(stream, 4, every=0.5) == [2.0, 2.5, 3.0, 3.5, 4.0]
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    lines = text[:-1].split("\r")
    assert lines[0] == ""
    assert lines[1] == f"f: 4/100 points, 2 workers busy, 0:48 left{ERASE_REST}"
    assert len(lines) == 6


def test_a_terminal_is_written_to_at_most_ten_times_a_second() -> None:
    assert len(led(Terminal(), 3.0, every=2**-10, total=10_000)) == 10


@pytest.mark.parametrize("name", ["a" * 100, "비용 함수 " * 12])
def test_the_line_never_wraps(name: str) -> None:
    stream = Terminal()
    led(stream, 4, name=name)
    for line in stream.getvalue().rstrip("\n").split("\r")[1:]:
        shown = line.removesuffix(ERASE_REST)
        assert 55 <= sum(2 if letter > "\u1100" else 1 for letter in shown) <= 59


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    assert led(stream, 10) == [10.0]
    assert "\r" not in stream.getvalue()


def said(expected: int, done: int, seconds: float = 10.0, **numbers: int) -> str:
    stream, clock = io.StringIO(), Clock()
    line = ProgressLine(stream=stream, now=clock)
    line.start(expected)
    clock.seconds += seconds
    line.update(done, **numbers)
    return stream.getvalue().rstrip("\n")


def test_what_the_line_says() -> None:
    assert said(53, 0) == "0/53 points"
    assert said(53, 10, stored=10, busy=8) == "10/53 points, 10 from the store, 8 workers busy"
    assert said(53, 20, stored=10, busy=1, failed=3) == (
        "20/53 points, 10 from the store, 1 worker busy, 3 failed, 0:33 left"
    )
    assert said(1_000_000, 1000, stored=500) == "1,000/1,000,000 points, 500 from the store, 5:33:00 left"
    assert said(53, 53, seconds=83) == "53/53 points, 1:23"
    assert said(53, 60) == "60/60 points, 0:10"  # more than was thought
    assert said(53, 54, total=60) == "54/60 points, 0:01 left"


def test_a_name_stays_on_its_line() -> None:
    stream = io.StringIO()
    led(stream, 10, name="a\nb\t c")
    assert stream.getvalue().startswith("a b c: 20/100")


def test_it_can_be_used_again() -> None:
    stream, clock = Terminal(), Clock()
    line = ProgressLine("f", stream=stream, now=clock)
    for _ in range(2):
        line.start(10)
        clock.seconds += 1.5
        line.update(5)
        line.close()
    assert stream.getvalue() == ""
    line.close()


def test_a_reader_that_has_gone_away_ends_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    assert led(Gone(), 25) == []
    closed = io.StringIO()
    line = ProgressLine(stream=closed, now=(clock := Clock()))
    line.start(10)
    closed.close()
    clock.seconds += 100
    line.update(3)
    line.close()
    line.start(10)  # closed already
    line.update(3)


def test_it_goes_to_stderr_as_that_is_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    line = ProgressLine(now=clock)
    line.start(10)
    clock.seconds += 10
    line.update(5)
    assert capsys.readouterr() == ("", "5/10 points, 0:10 left\n")
    monkeypatch.setattr(sys, "stderr", None)
    line.start(10)
    clock.seconds += 10
    line.update(5)
    line.close()
