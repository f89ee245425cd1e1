"""The pictures of a training run: what the artists hold, not only that they were drawn."""

import sys
from dataclasses import replace

import numpy as np
import pytest

import mibun as mb
from mibun.draw.training import mean_width, running_mean
from mibun.errors import InputError, MissingDependency
from mibun.learn import History, Stop

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.figure import Figure  # noqa: E402


def made_history(loss=(2.0, 1.5, 1.2, 1.0), validation=True):
    """A history of 2 steps an epoch."""
    steps = len(loss)
    at = np.unique([*range(0, steps + 1, 2), steps])
    rising = np.linspace(0.1, 0.9, len(at))
    return History(
        loss=np.array(loss, float),
        measured_at=at,
        train_accuracy=rising,
        validation_accuracy=rising - 0.05 if validation else None,
        test_accuracy=rising - 0.02,
        steps=steps,
        epochs=steps / 2,
        evaluations=steps * 10,
        seconds=0.5,
        measuring_seconds=0.1,
        stop=Stop.FINISHED,
        message=Stop.FINISHED.value,
        settings={},
    )


# Loss


def test_the_loss_is_drawn_step_by_step(ax):
    history = made_history()
    drawn = mb.draw.training(history, ax=ax)
    assert drawn.axes is ax
    assert list(drawn.lines) == ["loss"]
    np.testing.assert_array_equal(drawn.lines["loss"].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(drawn.lines["loss"].get_ydata(), history.loss)
    assert [text.get_text() for text in drawn.legend.get_texts()] == ["each step (last 1)"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("steps", "loss")
    assert ax.get_title()
    assert ax.get_yscale() == "linear"


def test_many_steps_get_a_running_mean_on_top(ax):
    history = made_history(1 + np.random.default_rng(1).random(100))
    lines = mb.draw.training(history, "loss", ax=ax).lines
    np.testing.assert_array_equal(lines["loss"].get_ydata(), history.loss)
    np.testing.assert_allclose(lines["mean"].get_ydata()[50], history.loss[48:53].mean(), rtol=1e-14)
    assert lines["mean"].get_label().startswith("mean of 5 steps")
    assert lines["mean"].get_linewidth() > lines["loss"].get_linewidth()
    assert lines["mean"].get_zorder() >= lines["loss"].get_zorder()


@pytest.mark.parametrize(
    ("loss", "scale"),
    [
        ([2.0, 2.0 / 10**1.4], "linear"),
        ([2.0, 2.0 / 10**1.6], "log"),
        ([2.0, 0.0], "linear"),
        ([2.0, 1e300], "log"),
        ([1.7e308, 1e-320], "log"),
        ([1.7e308] * 50 + [1.0], "log"),
        ([1.7e308, 1e290], "log"),
        ([1e-300, 1e-310], "log"),
        ([2.0, np.inf, np.nan], "linear"),
    ],
)
def test_the_axis_is_logarithmic_where_the_loss_spans_decades(ax, loss, scale):
    mb.draw.training(made_history(loss), ax=ax)
    assert ax.get_yscale() == scale
    ax.figure.draw_without_rendering()


def test_epochs_are_read_on_the_upper_edge(ax):
    mb.draw.training(made_history(), ax=ax)
    (above,) = ax.child_axes
    ax.figure.draw_without_rendering()
    assert above.get_xlabel() == "epochs"
    np.testing.assert_allclose(above.get_xlim(), np.array(ax.get_xlim()) / 2)


def test_no_step_done_says_so(ax):
    drawn = mb.draw.training(made_history([]), ax=ax)
    assert len(drawn.lines["loss"].get_xdata()) == 0
    assert "no step was done" in [text.get_text() for text in ax.texts]
    assert not ax.child_axes
    ax.figure.draw_without_rendering()


def test_the_legend_stands_where_the_loss_does_not(ax):
    falls, rises = Figure().subplots(), Figure().subplots()
    corners = [
        mb.draw.training(made_history(loss), ax=axes).legend for loss, axes in (([2, 1], falls), ([1, 2], rises))
    ]
    for legend, axes, above in zip(corners, (falls, rises), (True, False), strict=True):
        axes.figure.draw_without_rendering()
        box = legend.get_window_extent()
        assert (box.y0 + box.y1 > axes.bbox.y0 + axes.bbox.y1) == above


@pytest.mark.parametrize(("steps", "width"), [(0, 1), (49, 1), (50, 3), (100, 5), (10_000, 401), (10**6, 501)])
def test_the_width_of_the_mean_is_odd_and_bounded(steps, width):
    assert mean_width(steps) == width


def test_the_running_mean_skips_what_is_not_finite_and_loses_nothing_beside_the_huge():
    values = np.array([1e300, 1.0, 2.0, 3.0, np.nan, 5.0])
    np.testing.assert_array_equal(running_mean(values, 3)[2:], [2.0, 2.5, 4.0, 5.0])
    np.testing.assert_array_equal(running_mean(np.array([np.nan, np.nan, np.nan, 1.0]), 3), [np.nan, np.nan, 1.0, 1.0])
    assert running_mean(np.zeros(0), 1).shape == (0,)


# Accuracy


def test_accuracies_are_drawn_where_they_were_measured(ax):
    history = made_history()
    drawn = mb.draw.training(history, "accuracy", ax=ax)
    assert list(drawn.lines) == ["training", "validation", "test"]
    for name, values in zip(
        drawn.lines, (history.train_accuracy, history.validation_accuracy, history.test_accuracy), strict=True
    ):
        np.testing.assert_array_equal(drawn.lines[name].get_xdata(), [0, 2, 4])
        np.testing.assert_array_equal(drawn.lines[name].get_ydata(), values)
    texts = [text.get_text() for text in drawn.legend.get_texts()]
    assert texts == ["training (last 90.0 %)", "validation (last 85.0 %)", "test (last 88.0 %)"]


def test_without_validation_data_there_is_no_such_line(ax):
    drawn = mb.draw.training(made_history(validation=False), "accuracy", ax=ax)
    assert list(drawn.lines) == ["training", "test"]


def test_the_lines_differ_without_colour(ax):
    lines = mb.draw.training(made_history(), "accuracy", ax=ax).lines.values()
    assert len({line.get_linestyle() for line in lines}) == 3
    assert len({line.get_marker() for line in lines}) == 3
    assert len({line.get_color() for line in lines}) == 3


# Bad input, figures, matplotlib absent


def test_an_unknown_quantity_shows_the_list(ax):
    with pytest.raises(InputError, match="one of accuracy, loss, not 'los'"):
        mb.draw.training(made_history(), "los", ax=ax)
    with pytest.raises(InputError, match=r"learn\.train returned, not list"):
        mb.draw.training([1.0], ax=ax)


def test_a_given_ax_opens_no_figure_and_changes_no_setting(ax, no_figure_left):
    before = dict(matplotlib.rcParams)
    mb.draw.training(made_history(), ax=ax)
    mb.draw.digits(np.zeros((1, 4)), ax=ax)
    assert dict(matplotlib.rcParams) == before


def test_without_ax_pyplot_gets_a_new_figure(no_figure_left):
    no_figure_left.switch_backend("agg")
    for draw in (lambda: mb.draw.training(made_history()), lambda: mb.draw.digits(np.zeros((3, 4)), labels=[1, 2, 3])):
        drawn = draw()
        number = no_figure_left.get_fignums()[-1]
        assert no_figure_left.figure(number) is drawn.axes.figure
        drawn.axes.figure.canvas.draw()
        no_figure_left.close(drawn.axes.figure)


def test_bad_input_leaves_no_figure_open(no_figure_left):
    with pytest.raises(InputError):
        mb.draw.training(made_history(), "speed")
    with pytest.raises(InputError):
        mb.draw.digits(np.zeros((2, 5)))


def test_pyplot_is_not_imported_for_a_given_ax(ax, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    mb.draw.training(made_history(), ax=ax)
    mb.draw.digits(np.zeros((1, 4)), ax=ax)


def test_without_matplotlib_the_install_line_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (lambda: mb.draw.training(made_history()), lambda: mb.draw.digits(np.zeros((1, 4)))):
        with pytest.raises(MissingDependency, match=r"mb\.draw needs .*pip install 'mibun\[plot\]'"):
            draw()


# Digits

IMAGES = np.arange(4 * 6, dtype=float).reshape(4, 2, 3)


def test_each_image_stands_whole_in_the_mosaic(ax):
    drawn = mb.draw.digits(IMAGES, columns=3, ax=ax)
    mosaic = np.ma.filled(drawn.image.get_array().astype(float), np.nan)
    down, right = mosaic.shape[0] // 2, mosaic.shape[1] // 3
    for number, image in enumerate(IMAGES):
        top, left = number // 3 * down, number % 3 * right
        np.testing.assert_array_equal(mosaic[top : top + 2, left : left + 3], image)
    assert np.isfinite(mosaic).sum() == IMAGES.size
    assert (drawn.captions, drawn.frames) == ((), {})


def test_flat_squares_are_the_same_picture():
    flat, images = np.arange(18.0).reshape(2, 9), np.arange(18.0).reshape(2, 3, 3)
    one, other = (mb.draw.digits(x, ax=Figure().subplots()).image.get_array() for x in (flat, images))
    np.testing.assert_array_equal(np.ma.filled(one, -1), np.ma.filled(other, -1))


def test_captions_and_frames_say_what_is_wrong(ax):
    drawn = mb.draw.digits(IMAGES, labels=[3, 1, 4, 1], predicted=[3, 7, 4, 2], columns=2, ax=ax)
    assert [caption.get_text() for caption in drawn.captions] == ["3 → 3", "1 → 7", "4 → 4", "1 → 2"]
    assert [caption.get_fontweight() for caption in drawn.captions] == ["normal", "bold", "normal", "bold"]
    assert list(drawn.frames) == [1, 3]
    assert drawn.frames[1].get_width() == 3
    assert drawn.frames[1].get_height() == 2
    # Each caption stands below its own image.
    for number, caption in enumerate(drawn.captions):
        x, y = caption.get_position()
        assert (x > 2.5) == (number % 2 == 1)
        assert (y > 2.5) == (number // 2 == 1)
    assert len({frame.get_xy() for frame in drawn.frames.values()}) == 2


@pytest.mark.parametrize("which", ["labels", "predicted"])
def test_one_of_labels_and_predicted_is_enough(ax, which):
    drawn = mb.draw.digits(IMAGES, **{which: [3, 1, 4, 1]}, ax=ax)
    assert [caption.get_text() for caption in drawn.captions] == ["3", "1", "4", "1"]
    assert not drawn.frames


@pytest.mark.parametrize("images", [np.zeros((0, 64)), np.zeros((0, 8, 8)), []])
def test_no_images_is_said(ax, images):
    drawn = mb.draw.digits(images, labels=[], predicted=[], ax=ax)
    assert drawn.image is None
    assert drawn.captions == ()
    assert [text.get_text() for text in ax.texts] == ["no images"]


def test_an_image_of_one_value_is_drawn_and_images_stay_as_they_are(ax):
    image = np.zeros((1, 2, 2), np.uint8)
    image.setflags(write=False)
    mb.draw.digits(image, ax=ax)
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((2, 5)), {}, "5 pixels make no square"),
        (np.zeros(64), {}, r"not \(64,\); write images\[np.newaxis\]"),
        (np.zeros((1, 2, 2, 3)), {}, r"not \(1, 2, 2, 3\)"),
        (np.zeros((3, 0, 4)), {}, "at least one pixel"),
        ([["a"]], {}, "real numbers"),
        ([[1, 2], [3]], {}, "one array"),
        (np.full((1, 4), np.nan), {}, "finite"),
        (IMAGES, {"labels": [1, 2]}, r"labels must have shape \(4,\), one for each image, not \(2,\)"),
        (IMAGES, {"predicted": np.zeros((4, 10))}, r"predicted must have shape \(4,\)"),
        (IMAGES, {"columns": 0}, "columns must be an integer above 0"),
        (IMAGES, {"columns": 2.5}, "columns must be an integer above 0"),
        (IMAGES, {"columns": True}, "columns must be an integer above 0"),
    ],
)
def test_bad_images_are_refused(ax, images, options, message):
    with pytest.raises(InputError, match=message):
        mb.draw.digits(images, **options, ax=ax)


def test_a_history_cut_short_keeps_its_numbers(ax):
    history = replace(made_history([3.0]), stop=Stop.INTERRUPTED)
    drawn = mb.draw.training(history, ax=ax)
    assert drawn.lines["loss"].get_marker() == "o"  # a line of one point is seen by its marker alone
