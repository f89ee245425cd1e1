"""What the build adds to Sphinx: docstrings as they are written, pictures for both themes, nothing from outside."""

import importlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install 'mibun[docs]'")
FOLDER = Path(__file__).parents[2] / "docs" / "_ext"


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(FOLDER)

    def load(name: str):
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    return load


def test_bars_and_stars_in_docstrings_are_no_markup(extension) -> None:
    plain = extension("docstrings").plain
    given = [
        "at max(|x|, 1), of *args",
        "code: ``|x| * y`` and `a|b`",
        ">>> f(*x) | y",
        "|x|",
        "",
        "So::",
        "",
        "   |x|",
        "|",
    ]
    made = plain(given)
    assert made[:2] == [r"at max(\|x\|, 1), of \*args", "code: ``|x| * y`` and `a|b`"]
    assert made[2:4] == given[2:4]  # an example, and what it prints
    assert made[5:] == ["So::", "", "   |x|", r"\|"]


def test_what_a_page_fetches_is_found(extension) -> None:
    fetched = extension("offline").fetched
    outside = (
        '<script defer src="https://cdn.example/x.js"></script><link href="//fonts.example/f.css" rel="stylesheet">'
    )
    assert fetched(outside) == ["https://cdn.example/x.js", "//fonts.example/f.css"]
    assert fetched('<a href="https://example.org">a link</a><script src="_static/x.js"></script>') == []


def test_a_picture_is_drawn_for_both_themes(extension, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib import image, pyplot

    pictures = extension("pictures")
    names = {"plt": pyplot}
    light, dark = (image.imread(path) for path in pictures.draw("plt.figure().subplots()", names, tmp_path / "empty"))
    assert light.shape == dark.shape
    assert light[0, 0, :3].min() == 1.0
    assert dark[0, 0, :3].max() < 0.1
    assert pyplot.get_fignums() == []
    with pytest.raises(ValueError, match="draws nothing"):
        pictures.draw("x = 1", names, tmp_path / "nothing")
