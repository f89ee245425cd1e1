"""Pictures of checked derivatives: what is in the cells is what the report says."""

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError

pytest.importorskip("matplotlib")

X = {"W": np.arange(1.0, 13).reshape(3, 4), "b": np.linspace(-1, 1, 90), "c": 2.0}


def f(p):
    return np.sum(p["W"] ** 2) + np.sum(np.sin(p["b"])) + p["c"] ** 3


def gradient(p):
    slopes = 2 * p["W"]
    slopes[1] *= -1
    other = np.cos(p["b"])
    other[57] *= 2
    return {"W": slopes, "b": other, "c": 3 * p["c"] ** 2}


@pytest.fixture(scope="module")
def report():
    return mb.check(f, gradient, X)


def test_cells_are_the_ratios_of_the_wrong_elements(ax, report):
    drawn = mb.draw.check(report, ax=ax)
    image = drawn.artists["image"].get_array()
    assert [(text.get_text()) for text in ax.get_yticklabels()] == ["W", "b", "c"]
    np.testing.assert_allclose(image[1, :4], -1.0)
    assert np.ma.getmaskarray(image)[[0, 2], :4].all()
    # b stands a row below W, in rows of 40
    assert image[4 + 57 // 40, 57 % 40] == pytest.approx(2.0)
    assert (~np.ma.getmaskarray(image)).sum() == report.wrong_count == 5
    assert ax.get_title() == "5 of 103 elements wrong"
    places = drawn.artists["marks"].get_offsets()
    assert sorted(map(tuple, places.tolist())) == sorted([(column, 1) for column in range(4)] + [(17, 5)])


def test_numbers_are_the_ratios_by_name(ax, report):
    ratios = mb.draw.check(report, ax=ax).numbers["ratios"]
    np.testing.assert_allclose(ratios["W"], np.array([[1.0], [-1.0], [1.0]]) * np.ones(4), rtol=1e-9)
    assert ratios["c"].shape == (1, 1)
    assert ratios["b"].shape == (3, 40)
    assert np.isnan(ratios["b"][2, 10:]).all()


def test_kinks_undecided_and_what_was_not_looked_at_have_shades(ax):
    kink = mb.check(lambda x: np.sum(np.abs(x)) + np.sum(x > 1), lambda x: np.sign(x), np.array([0.0, 1.0, 2.0]))
    shades = mb.draw.check(kink, ax=ax).artists["rest"].get_array()
    assert shades.tolist() == [[3, 2, 0]]
    assert ax.get_title() == "1 of 3 elements undecided"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["right", "undecided", "at a kink"]


def test_a_large_gradient_and_a_number(ax):
    large = mb.check(lambda x: np.sum(np.sin(x)), np.cos, np.linspace(0, 1, 2000))
    drawn = mb.draw.check(large, ax=ax)
    assert drawn.artists["rest"].get_array().shape == (45, 45)
    assert (drawn.artists["rest"].get_array() == 1).all()
    assert ax.get_title() == "all of 2,000 elements right"
    ax.clear()
    mb.draw.check(mb.check(np.sin, lambda x: -np.cos(x), 1.0), ax=ax)
    assert [text.get_text() for text in ax.texts] == ["-1"]


def test_a_jacobian_infinite_ratios_and_nan(ax):
    def square(x):
        return np.where(np.arange(3) == 2, 0 * x, x**2)

    slopes = np.diag([2.0, 4.0, 5.0])
    slopes[0, 1] = np.nan
    drawn = mb.draw.check(mb.check(square, slopes, np.array([1.0, 2.0, 3.0])), ax=ax)
    image = drawn.artists["image"].get_array()
    assert not np.ma.getmaskarray(image)[0, 1]
    assert image[2, 2] == 3.0
    ax.figure.draw_without_rendering()


def test_korean_and_a_figure_of_pyplot(report, no_figure_left):
    drawn = mb.draw.check(report, language="ko")
    assert drawn.axes.get_title() in ("성분 103개 가운데 5개가 틀림", "5 of 103 elements wrong")
    no_figure_left.close(drawn.axes.figure)


def test_what_cannot_be_drawn_is_refused(ax):
    from scipy import sparse

    with pytest.raises(InputError, match=r"expected what mb\.check returns"):
        mb.draw.check("report", ax=ax)
    empty = mb.check(lambda x: x**2, lambda x: sparse.diags(2 * x), np.ones(3))
    with pytest.raises(InputError, match="sparse matrix"):
        mb.draw.check(empty, ax=ax)
