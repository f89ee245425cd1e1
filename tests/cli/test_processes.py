"""`mibun learn` as a user runs it: a process of its own, a terminal, signals."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mibun.learn import Network
from mibun.learn.checkpoint import read

FILES = {"history.json", "report.html", "settings.json", "weights.npz"}

# A shell in the background has its children ignore Ctrl-C, nohup a hang-up, and so may whatever runs these tests.
PLAIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in {'SIGTERM', 'SIGHUP'} & set(dir(signal)):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
from mibun.cli import main
"""
WITHOUT_PLOT = "import sys; sys.modules['matplotlib'] = None\n" + PLAIN
SLOW_REPORT = (
    PLAIN
    + """
import time, types
fake = types.ModuleType("mibun.report.training")
seconds = float(sys.argv.pop())
def training_report(*arguments, **options):
    print("drawing", file=sys.stderr, flush=True)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)
    return "<!doctype html>"
fake.training_report = training_report
sys.modules["mibun.report.training"] = fake
"""
)
GO = "sys.exit(main(sys.argv[1:]))"

posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


@contextlib.contextmanager
def started(folder, code, *words, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    process = subprocess.Popen([sys.executable, "-c", code, *words], cwd=folder, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def wait_for(process, text):
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"the process ended without {text!r}")


def complete(folder):
    """Check that a run folder can be read as a whole, and give its history and its settings."""
    names = {path.name for path in folder.iterdir()}
    assert (folder / "report.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    texts = ((folder / name).read_text(encoding="utf-8") for name in ("history.json", "settings.json"))
    history, settings = (json.loads(text, parse_constant=refuse) for text in texts)
    # From an interrupted run one can always go on, from any other never.
    assert names == FILES | ({"checkpoint.npz"} if history["stop"] == "interrupted" else set())
    return history, settings


def test_two_real_runs_have_the_same_weights_bit_for_bit(tmp_path):
    words = ["learn", "--steps", "40", "--seed", "11"]
    for code in (WITHOUT_PLOT + GO, PLAIN + GO):  # without the plot extra, and with it
        done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert done.stderr.splitlines()[1].startswith("step 1 of 40: loss ")
    first, second = tmp_path / "runs" / "0001", tmp_path / "runs" / "0002"
    assert complete(first)[1]["command"] == complete(second)[1]["command"]
    one, two = (Network.load(folder / "weights.npz").vector for folder in (first, second))
    assert one.tobytes() == two.tobytes()
    assert complete(first)[0]["loss"] == complete(second)[0]["loss"]


@posix
def test_ctrl_c_keeps_what_was_learnt_and_the_command_repeats_it(tmp_path):
    with started(tmp_path, WITHOUT_PLOT + GO, "learn", "--yes", "--epochs", "100000") as process:
        wait_for(process, "step 1 of ")
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # as make or uv would pass it on once more
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "Ended early at step " in err
    assert "Run folder: runs/0001\nTo go on: mibun learn --resume runs/0001\n" in out
    history, settings = complete(tmp_path / "runs" / "0001")
    assert history["stop"] == "interrupted"
    assert len(history["loss"]) == history["steps"] > 1
    assert settings["settings"]["epochs"] == 100000
    words = shlex.split(settings["command"])
    assert words[words.index("--steps") + 1] == str(history["steps"])
    again = [sys.executable, "-m", *words]
    assert subprocess.run(again, cwd=tmp_path, capture_output=True).returncode == 0
    one, two = (Network.load(tmp_path / "runs" / name / "weights.npz").vector for name in ("0001", "0002"))
    np.testing.assert_array_equal(one, two)


@posix
def test_a_step_that_ctrl_c_cuts_off_is_begun_anew_by_resume(tmp_path):
    words = ["learn", "--engine", "coordinate", "--yes", "--hidden", "200", "--batch-size", "1000", "--steps", "9"]
    code = "import mibun.cli.interrupts as i\ni.GRACE = 0.3\n" + WITHOUT_PLOT + GO
    with started(tmp_path, code, *words) as process:
        wait_for(process, "Training ")
        time.sleep(0.5)  # a step takes many seconds: this is the first one
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Ended early at step 0 of 9" in err
    assert "To go on: mibun learn --resume runs/0001\n" in out
    assert complete(tmp_path / "runs" / "0001")[0]["steps"] == 0
    saved = read(tmp_path / "runs" / "0001" / "checkpoint.npz")
    assert saved.values["position"]["place"] == 0
    assert len(saved.arrays["loss"]) == 0


@posix
def test_ctrl_c_after_training_is_answered_and_the_run_is_kept(tmp_path):
    with started(tmp_path, SLOW_REPORT + GO, "learn", "--steps", "3", "1.0") as process:
        wait_for(process, "drawing")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "press Ctrl-C again to give up" in err
    assert complete(tmp_path / "runs" / "0001")[0]["stop"] == "finished"


@posix
def test_a_second_ctrl_c_gives_up_and_leaves_no_folder(tmp_path):
    with started(tmp_path, SLOW_REPORT + GO, "learn", "--steps", "3", "60.0") as process:
        wait_for(process, "drawing")
        process.send_signal(signal.SIGINT)
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.endswith("mibun: interrupted; nothing was kept\n")
    assert "Traceback" not in err
    assert out == ""
    assert list((tmp_path / "runs").iterdir()) == []


@posix
@pytest.mark.parametrize("moment", ["step 1 of ", "drawing"])
def test_a_killed_run_leaves_no_numbered_folder_and_the_next_one_is_whole(tmp_path, moment):
    words = ["learn", "--yes", "--epochs", "100000"] if moment != "drawing" else ["learn", "--steps", "3", "60.0"]
    code = PLAIN if moment != "drawing" else SLOW_REPORT
    with started(tmp_path, code + GO, *words) as process:
        wait_for(process, moment)
        process.kill()
        process.wait(timeout=60)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [".0001.partial"]
    with started(tmp_path, SLOW_REPORT + GO, "learn", "--steps", "3", "0.0") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    complete(tmp_path / "runs" / "0002")
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {".0001.partial", "0002"}


@posix
def test_a_reader_that_goes_away_does_not_lose_the_run(tmp_path):
    with started(tmp_path, WITHOUT_PLOT + GO, "learn", "--steps", "3000") as process:
        wait_for(process, "step 1 of ")
        process.stderr.close()
        process.stdout.close()
        process.wait(timeout=60)
    assert complete(tmp_path / "runs" / "0001")[0]["stop"] == "finished"


@posix
@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_a_bar_in_one_line(tmp_path, columns):
    import pty
    import termios

    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "LINES")}
    environment["TERM"] = "xterm"
    words = ["learn", "--steps", "600", "0.0"]
    with started(tmp_path, SLOW_REPORT + GO, *words, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        while chunk := _read(master):
            shown += chunk
        assert process.wait(timeout=60) == 0
    os.close(master)
    text = shown.decode()
    lines = [_plain(line) for line in text.replace("\r", "\n").split("\n") if "━" in line]
    assert lines
    assert all(len(line) <= columns - 2 for line in lines)
    last = lines[-1]
    for word in ("loss ", " train ", " % val. ", " M eval. ", " left"):
        assert word in last
    assert "step 1 of" not in text
    # One line: only the end of the bar starts a new one.
    assert "\x1b[1A" not in text


def _read(handle):
    try:
        return os.read(handle, 65536)
    except OSError:  # Linux says EIO when the last process has closed the terminal
        return b""


def _plain(line):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_what_ends_a_program_from_outside_keeps_what_was_learnt(tmp_path, name):
    with started(tmp_path, WITHOUT_PLOT + GO, "learn", "--yes", "--epochs", "100000") as process:
        wait_for(process, "step 1 of ")
        time.sleep(0.2)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert complete(tmp_path / "runs" / "0001")[0]["stop"] == "interrupted"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("words", [[], ["learn", "--help"], ["derivative", "sin(x)", "--at", "1"]])
def test_a_full_stdout_is_one_line(words):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PLAIN + "sys.exit(main())", *words], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("mibun: ")
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr
