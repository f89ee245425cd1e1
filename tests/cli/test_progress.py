"""How progress is shown."""

import time

import pytest

from mibun.cli import progress as progress_module
from mibun.cli.progress import Bar, Lines, choose_display, clock, human, percent
from mibun.learn import Progress


@pytest.fixture
def now(monkeypatch):
    """A clock that the test moves: `now[0]`."""
    time_now = [100.0]
    monkeypatch.setattr(progress_module.time, "perf_counter", lambda: time_now[0])
    return time_now


def at(step, validation=0.9):
    return Progress(step, 2000, 0.12345, 0.95, validation, step * 1000, 61.4, 3725.0)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0 k"),
        (12_345, "12.3 k"),
        (999_949, "999.9 k"),
        (999_950, "1.0 M"),
        (1_234_567, "1.2 M"),
        (3_400_000_000, "3.4 G"),
        (10**15, "1000.0 T"),
    ],
)
def test_counts_are_readable(count, text):
    assert human(count) == text


def test_shares_and_times_are_readable():
    assert [percent(share) for share in (0, 0.9721, 1)] == ["0.0 %", "97.2 %", "100.0 %"]
    assert [clock(seconds) for seconds in (0.4, 59.6, 754, 3723)] == ["0:00", "1:00", "12:34", "1:02:03"]


def test_a_line_comes_at_once_every_ten_seconds_and_at_the_end(now, capsys):
    with Lines() as lines:
        for step in range(1, 251):
            lines(at(step))
            now[0] += 0.125
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split(":")[0] for line in printed.err.splitlines()] == [
        "step 1 of 2,000",
        "step 81 of 2,000",
        "step 161 of 2,000",
        "step 241 of 2,000",
        "step 250 of 2,000",
    ]


def test_a_line_says_everything(now, capsys):
    with Lines() as lines:
        lines(at(1234))
    assert capsys.readouterr().err == (
        "step 1,234 of 2,000: loss 0.1235, accuracy 95.0 % train, 90.0 % validation, 1.2 M evaluations, "
        "1:01 elapsed, 1:02:05 left\n"
    )
    with Lines() as lines:
        lines(at(1, validation=None))
    assert "95.0 % train, 1.0 k evaluations" in capsys.readouterr().err


def test_the_last_line_has_the_accuracies_after_the_last_step(now, capsys):
    with Lines() as lines:
        lines(at(2000))
        lines.end(0.99, 0.98)
    assert "accuracy 99.0 % train, 98.0 % validation" in capsys.readouterr().err.splitlines()[-1]


def test_nothing_is_printed_without_a_step(capsys):
    with Lines():
        pass
    assert capsys.readouterr().err == ""


def test_the_bar_is_told_ten_times_a_second_at_most(now, monkeypatch):
    told = []
    with Bar() as bar:
        monkeypatch.setattr(bar, "show", lambda progress: told.append(progress.step))
        for step in range(1, 1001):
            bar(at(step))
            now[0] += 0.001
    assert told[0] == 1
    assert told[-1] == 1000
    assert 10 <= len(told) <= 12


@pytest.mark.parametrize(
    ("terminal", "term", "kind"),
    [(True, "xterm", Bar), (True, "dumb", Lines), (True, None, Lines), (False, "xterm", Lines)],
)
def test_the_bar_needs_a_terminal_that_can_move_its_cursor(monkeypatch, terminal, term, kind):
    monkeypatch.setattr(progress_module.sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.delenv("TERM", raising=False)
    if term:
        monkeypatch.setenv("TERM", term)
    assert type(choose_display()) is kind


def test_most_calls_cost_next_to_nothing():
    lines, one = Lines(), at(1)
    lines._due = float("inf")
    started = time.perf_counter()
    for _ in range(10_000):
        lines(one)
    # Ten times what is aimed at: this guards against drawing on every call, not against a busy machine.
    assert (time.perf_counter() - started) / 10_000 < 10e-6
