"""What the tests of pictures share."""

import pytest


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure(layout="constrained").subplots()


@pytest.fixture
def no_figure_left(monkeypatch):
    """Give pyplot, and see that nothing is shown and no figure left open."""
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "show", lambda *_, **__: pytest.fail("show was called"))
    before = pyplot.get_fignums()
    yield pyplot
    assert pyplot.get_fignums() == before
