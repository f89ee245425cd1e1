"""What the tests of pictures share."""

import pytest

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.figure import Figure  # noqa: E402


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


@pytest.fixture
def no_figure_left(monkeypatch):
    """Give pyplot, and see that nothing is shown and no figure left open."""
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "show", lambda *_, **__: pytest.fail("show was called"))
    before = pyplot.get_fignums()
    yield pyplot
    assert pyplot.get_fignums() == before
