"""`mibun compare-engines`, and a training that would take too long."""

import json

import numpy as np
import pytest

pytest.importorskip("click")
pytest.importorskip("rich")

from mibun.cli import main


def test_the_table_is_printed_and_drawn(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "engines.png"
    assert main(["compare-engines", "--hidden", "3", "--batch-size", "4", "--picture", str(picture)]) == 0
    out = capsys.readouterr().out
    for word in ("Chain()", "Node(", "Column(", "Coordinate(", "takes for granted"):
        assert word in out
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_the_table_as_json(capsys):
    assert main(["compare-engines", "--hidden", "3", "--batch-size", "4", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert [row["measured"] for row in table["rows"]] == [True] * 5
    assert np.isfinite(table["oracle_error"])


@pytest.mark.parametrize(
    ("words", "said"), [(["--hidden", "3,x"], "3,x"), (["--picture", "/nowhere/e.png"], "cannot be written")]
)
def test_bad_options_are_told(words, said, capsys):
    pytest.importorskip("matplotlib")
    assert main(["compare-engines", "--batch-size", "4", "--hidden", "3", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_training_of_hours_asks_for_yes(capsys, tmp_path):
    words = ["learn", "--engine", "coordinate", "--epochs", "4000", "--batch-size", "1000", "--out", str(tmp_path)]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "would take about" in err
    assert "--engine chain: " in err
    assert "--yes" in err
    assert not list(tmp_path.iterdir())


def test_yes_starts_it(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("mibun.cli.patience.LONG", 0.0)
    words = ["learn", "--hidden", "3", "--steps", "2", "--out", str(tmp_path)]
    assert main(words) == 2
    assert main([*words, "--yes"]) == 0
    assert "Test accuracy" in capsys.readouterr().out
