"""The command without its packages, its help, and its version."""

import subprocess
import sys
from importlib import metadata

import pytest

import mibun
from mibun.cli import main

WITHOUT = """
import sys
sys.modules[sys.argv.pop(1)] = None
from mibun.cli import main
sys.exit(main())
"""


def run(*words):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_its_packages_it_says_what_to_install(package):
    done = run("-c", WITHOUT, package, "learn")
    line = "mibun: the command line needs click and rich; install them with: pip install 'mibun[cli]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_another_import_error_is_not_hidden(monkeypatch):
    monkeypatch.setitem(sys.modules, "click", None)

    def refuse(name, *arguments):
        if name == "click":
            raise ImportError("broken", name="something_else")
        return original(name, *arguments)

    original = __import__
    monkeypatch.setattr("builtins.__import__", refuse)
    with pytest.raises(ImportError, match="broken"):
        main([])


def test_python_m_is_the_same_command():
    done = run("-m", "mibun", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mibun, version {mibun.__version__}\n", "")


def test_the_entry_point_is_main():
    (entry,) = metadata.entry_points(group="console_scripts", name="mibun")
    assert entry.load() is main


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_names_the_command(words, capsys):
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "learn Train a network on" in " ".join(printed.out.split())
    assert printed.err == ""


def test_help_shows_every_option_its_default_and_examples(capsys):
    assert main(["learn", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for option in (
        "--data digits|mnist|fashion|FILE|DIR",
        "--hidden N[,N...]",
        "--engine [auto|chain|column|coordinate|direction|node]",
        "--learning-rate RATE",
        "--batch-size N",
        "--epochs N",
        "--steps N",
        "--seed N",
        "--dtype [float64|float32]",
        "--out DIR",
        "[default: digits]",
        "[default: 50]",
        "[default: chain]",
        "[default: float64]",
        "[default: runs]",
        "mibun learn --hidden 100,50 --seed 3",
        "Exit status: 0 done, 1 diverged, 2 bad input, 130 ended by Ctrl-C.",
    ):
        assert option in text


def test_help_shows_the_defaults_of_the_table(capsys):
    from mibun.cli.learn import DEFAULTS

    assert main(["learn", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in ("learning_rate", "batch_size", "epochs"):
        shown = (f"{getattr(DEFAULTS[name], field)} for {name}" for name in ("digits", "mnist", "fashion"))
        assert f"[default: {', '.join(shown)}]" in text
