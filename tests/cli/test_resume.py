"""`mibun learn --resume`: a run that was ended early or killed goes on as if nothing had been."""

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mibun.cli import main
from mibun.cli.interrupts import Interrupts
from mibun.learn import Network, load_digits

SHORT = ["learn", "--activation", "relu", "--steps", "300", "--batch-size", "20", "--rule", "adam", "--seed", "5"]
WITHOUT_PLOT = "import sys; sys.modules['matplotlib'] = None; from mibun.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    return tmp_path


@pytest.fixture
def interrupted(here, monkeypatch, capsys):
    """Run a command whose training Ctrl-C ends after some steps."""

    def run(words, steps):
        calls = []

        def check(self):
            calls.append(1)
            if len(calls) == steps:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Interrupts, "check", check)
            assert main(words) == 130
        return capsys.readouterr()

    return run


def weights(run):
    return Network.load(run).vector.tobytes()


def test_a_run_that_was_ended_early_goes_on_and_predicts(here, interrupted, capsys):
    assert main(SHORT) == 0
    printed = interrupted(SHORT, 170)
    assert "Ended early at step 170 of 300; writing the run folder." in printed.err
    assert "To go on: mibun learn --resume runs/0002" in printed.out
    capsys.readouterr()
    assert main(["learn", "--resume", "runs/0002"]) == 0
    printed = capsys.readouterr()
    assert "Going on from the checkpoint of this run." in printed.err
    assert "300 steps" in printed.out
    assert "Run folder: runs/0003" in printed.out
    assert weights(here / "runs" / "0003") == weights(here / "runs" / "0001")
    assert (here / "runs" / "0002" / "checkpoint.npz").exists()  # that run stays as it was
    assert not (here / "runs" / "0003" / "checkpoint.npz").exists()
    commands = [
        json.loads((here / "runs" / name / "settings.json").read_text())["command"] for name in ("0001", "0003")
    ]
    assert commands[0] == commands[1]
    np.savez(here / "digit.npz", load_digits().test_x[:1].reshape(1, 8, 8))
    assert main(["predict", "runs/0003", "digit.npz"]) == 0
    assert capsys.readouterr().out.startswith(f"digit.npz: {load_digits().test_labels[0]} (")


def test_it_can_go_on_for_longer_but_not_with_other_settings(here, interrupted, capsys):
    assert main([*SHORT[:4], "90", *SHORT[5:]]) == 0
    interrupted(SHORT, 50)
    assert main(["learn", "--resume", "runs/0002", "--steps", "90"]) == 0
    assert weights(here / "runs" / "0003") == weights(here / "runs" / "0001")
    capsys.readouterr()
    assert main(["learn", "--resume", "runs/0002", "--learning-rate", "0.1"]) == 2
    assert "--learning-rate cannot be given with --resume" in capsys.readouterr().err
    assert main(["learn", "--resume", "runs/0002", "--steps", "40"]) == 2
    assert "is of step 50, beyond the 40 steps asked for" in capsys.readouterr().err
    assert main(["learn", "--resume", "runs/0001"]) == 2
    assert "it came to its end; to repeat it: mibun learn --data digits" in capsys.readouterr().err
    assert main(["learn", "--resume", "runs/0009"]) == 2
    assert "there is no run runs/0009; expected a run folder such as runs/0001; in runs there are 0001, 0002" in (
        capsys.readouterr().err
    )
    assert sorted(path.name for path in (here / "runs").iterdir()) == ["0001", "0002", "0003"]


def test_a_damaged_checkpoint_is_one_line(here, interrupted, capsys):
    interrupted(SHORT, 50)
    path = here / "runs" / "0001" / "checkpoint.npz"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert main(["learn", "--resume", "runs/0001"]) == 2
    printed = capsys.readouterr()
    assert "is not a checkpoint that can be read" in printed.err
    assert printed.out == ""
    assert [path.name for path in (here / "runs").iterdir()] == ["0001"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL")
@pytest.mark.parametrize(
    "words",
    [
        ["--rule", "adam", "--schedule", "linear", "--shift", "1", "--dtype", "float32"],
        ["--rule", "nesterov", "--replace"],
    ],
    ids=["adam", "nesterov"],
)
def test_a_killed_run_goes_on_with_the_same_bits(here, words, capsys):
    words = [*words, "--epochs", "60", "--batch-size", "20", "--seed", "7", "--activation", "tanh"]
    chance, hidden = random.Random(f"{words}"), here / "killed" / ".0001.partial"
    start = ["learn", *words, "--checkpoint", "0.02", "--out", "killed"]
    for life in range(2):
        before = (hidden / "checkpoint.npz").stat().st_mtime_ns if life else None
        command = start if not life else ["learn", "--resume", "killed/0001", "--checkpoint", "0.02"]
        with subprocess.Popen([sys.executable, "-c", WITHOUT_PLOT, *command], stderr=subprocess.DEVNULL) as process:
            while process.poll() is None:
                if (hidden / "checkpoint.npz").exists() and (hidden / "checkpoint.npz").stat().st_mtime_ns != before:
                    break
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.1))
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert main(["learn", "--resume", "killed/0001"]) == 0
    assert "Going on from the checkpoint of this run." in capsys.readouterr().err
    assert [path.name for path in (here / "killed").iterdir()] == ["0001"]
    assert main(["learn", *words]) == 0
    assert weights(here / "killed" / "0001") == weights(here / "runs" / "0001")
