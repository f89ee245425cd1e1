"""`mibun store`: what it prints of a store, and what it refuses."""

import json
import re
from pathlib import Path

import pytest

from mibun.cli import main
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.store import Store


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr("mibun.evaluate.rows.time.time", lambda: 1_790_000_000.0)
    path = tmp_path / "plant.db"
    outcomes = [
        *(Outcome("ok", float(i), seconds=25.5) for i in range(50)),
        *[Outcome("killed", text="exit code -11")] * 3,
        Outcome("timeout", text="60 s", seconds=60.0),
        *[Outcome("raised", error=ValueError("no steady state"))] * 4,
        Outcome("raised", error=KeyError("x")),
        Outcome("ok", float("nan")),
    ]
    with Store(path, "cost-v3") as store:
        run = store.run()
        run.record(run.keys(map(float, range(len(outcomes)))), outcomes)
    with Store(path, "비용 [red]\x1b[31m") as store:
        run = store.run()
        run.record(run.keys([1.0]), [Outcome("ok", 1.0)])
    Store(path, "new").close()
    return path


def test_it_lists_names_counts_failures_and_seconds(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", str(plant)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    rows = [re.split(r"  +", line.strip()) for line in lines]
    assert rows[0] == ["name", "evaluations", "failures", "seconds", "last"]
    assert rows[1][:4] == ["cost-v3", "60", "5", "1,335.0"]
    assert rows[1][4].startswith("2026-09-2")
    assert rows[2][:4] == ["비용 [red]\\x1b[31m", "1", "0", "0.0"]
    assert rows[3] == ["new", "0", "0", "0.0", "-"]
    assert lines[4:] == ["", "cost-v3: 1 raised, 3 killed, 1 timed out, 4 outside of the domain, 1 not finite"]
    assert "\x1b" not in printed.out
    assert [path.name for path in plant.parent.iterdir()] == ["plant.db"]  # nothing is left beside it


def test_json(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", str(plant), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in printed] == ["cost-v3", "비용 [red]\x1b[31m", "new"]
    counts = {"ok": 50, "not finite": 1, "outside": 4, "raised": 1, "killed": 3, "timeout": 1}
    assert printed[0] == {"name": "cost-v3", "counts": counts, "seconds": 1335.0, "last": 1_790_000_000.0}
    assert printed[2] == {"name": "new", "counts": {}, "seconds": 0.0, "last": None}


def test_a_store_in_use_can_be_looked_at(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(plant, "cost-v3") as store:
        run = store.run()
        run.record(run.keys([0.5]), [Outcome("ok", 1.0)])
        with store._database.transaction(write=True):
            assert main(["store", str(plant)]) == 0
    assert "61" in capsys.readouterr().out


def test_what_is_no_store_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.db").write_text("no store at all")
    for path, words in (("gone.db", "there is no file"), ("text.db", "no SQLite database"), (".", "is a folder")):
        assert main(["store", str(tmp_path / path)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert len(printed.err.splitlines()) == 1
        assert printed.err.startswith("mibun: ")
        assert words in printed.err
    assert [path.name for path in tmp_path.iterdir()] == ["text.db"]


def test_help_says_what_failures_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "mibun store plant.db --json" in text
    assert "Failures are points at which f raised, was killed or timed out: the next call tries them again" in text
    assert "Exit status: 0 done, 2 no store" in text
