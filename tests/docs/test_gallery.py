"""The examples of the gallery run, and each draws something."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "gallery").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_draws(example: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    pyplot.switch_backend("agg")
    before = set(pyplot.get_fignums())
    try:
        runpy.run_path(str(example))
        made = set(pyplot.get_fignums()) - before
        assert made
        assert all(pyplot.figure(number).axes for number in made)
    finally:
        pyplot.close("all")
