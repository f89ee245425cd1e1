"""The report of a training run: whole, safe and true to the numbers."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import mibun as mb
from mibun import learn
from mibun.errors import InputError
from mibun.learn import Dataset, Dense, Network, Sigmoid, Stop, train
from mibun.report import training_report
from mibun.report.page import command_line, counted, duration
from mibun.report.training import _wilson

VOID = {"meta", "img", "br", "hr", "col", "link", "input"}
SECTIONS = ["diagnosis", "curves", "numbers", "engine", "mistakes", "confusion", "settings", "command", "versions"]
WITH_PICTURES = [*SECTIONS[:6], "weights", *SECTIONS[6:]]
SETTINGS = {"hidden": (50,), "learning_rate": 1.0, "steps": None, "out": "runs"}


class Page(HTMLParser):
    """Tags, attributes and texts of a page; `broken` lists what is not nested well."""

    def __init__(self, html):
        super().__init__()
        self.open, self.broken, self.tags, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        self.broken += self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.broken.append(f"/{tag}")

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return " ".join(re.sub(r"\s+", " ", text) for tag, text in self.texts if tag != "style")


@pytest.fixture(scope="module")
def digits():
    return learn.load_digits()


def made_network(inputs=64, **options):
    return Network([Dense(inputs, 20), Sigmoid(), Dense(20, 10)], seed=0, **options)


@pytest.fixture(scope="module")
def run(digits):
    """A trained network and its history."""
    network = made_network()
    return train(network, digits, mb.GradientDescent(1.0), epochs=10), network, digits


@pytest.fixture(scope="module", params=["pictures", "tables"])
def kind(request):
    if request.param == "pictures":
        pytest.importorskip("matplotlib")
    return request.param


def report(run, kind="tables", command="mibun learn", settings=SETTINGS):
    history, network, dataset = run
    with pytest.MonkeyPatch.context() as patch:
        if kind == "tables":
            patch.setitem(sys.modules, "matplotlib", None)
        return training_report(history, network, dataset, command=command, settings=settings, seconds_per_forward=1e-3)


def misclassified(network, dataset):
    predicted = network.predict(dataset.test_x).argmax(axis=1)
    return int((predicted != dataset.test_labels).sum())


# The page


def test_the_page_is_well_formed_and_has_its_sections_in_order(run, kind):
    page = Page(report(run, kind))
    assert page.broken == []
    assert [attributes["id"] for attributes in page.all("section")] == (
        WITH_PICTURES if kind == "pictures" else SECTIONS
    )
    assert len(page.all("h1")) == 1
    assert len(page.all("svg")) == (3 if kind == "pictures" else 0)
    # Ids that are there twice would make a reference point into the wrong picture.
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_is_loaded_from_outside_and_nothing_runs(run, kind):
    html = report(run, kind)
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "form", "base"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "srcset", "action", "data"}:
                assert value.startswith(("data:image/png;base64,", "#")), (tag, name, value[:80])
            else:
                assert "//" not in (value or ""), (tag, name, value)
    assert not re.search(r"@import|url\((?!#)|xmlns", html)
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy


def test_equal_input_gives_an_equal_page(run, kind):
    assert report(run, kind) == report(run, kind)


def test_what_the_caller_gives_is_escaped(run, kind):
    history, network, dataset = run
    evil = """<script>alert("x")</script><img src='http://evil.example/'>&amp;"""
    history = replace(history, message=evil, stop=Stop.INTERRUPTED, settings=history.settings | {"engine": evil})
    hostile = replace(dataset, name=evil)
    settings = {evil: evil, "list": [evil], "inner": {evil: evil}, "environment": {evil: evil}}
    page = Page(report((history, network, hostile), kind, command=evil, settings=settings))
    assert page.broken == []
    assert not page.all("script")
    assert all(attributes["src"].startswith("data:") for attributes in page.all("img"))
    assert ("span", evil) in page.texts  # the command
    assert page.text.count(evil) >= 8


def test_words_of_the_user_in_korean_are_written(run, kind):
    history, network, dataset = run
    assert "미분 숫자" in report((history, network, replace(dataset, name="미분 숫자")), kind)


def test_the_pictures_stay_small_for_many_steps(run):
    pytest.importorskip("matplotlib")
    history, network, dataset = run
    rng = np.random.default_rng(2)
    long = replace(history, loss=np.exp(-np.linspace(0, 5, 10_000)) * rng.random(10_000), steps=10_000)
    html = report((long, network, dataset), "pictures")
    assert len(html.encode()) < 200_000
    assert f"(last {long.loss[-1]:.3g})" in html


def test_thinning_keeps_first_last_and_extremes():
    lines = pytest.importorskip("matplotlib.lines")
    from mibun.report.figures import thin_out as _thin_out

    x, y = np.arange(9_000), np.random.default_rng(3).random(9_000)
    y[[1234, 7654]] = -5, 7
    line = lines.Line2D(x, y)
    _thin_out(line)
    kept, values = line.get_data()
    assert len(kept) < 1_100
    assert (kept[0], kept[-1]) == (0, 8_999)
    assert {1234, 7654} <= set(kept.tolist())
    np.testing.assert_array_equal(values, y[kept])


def test_the_readers_matplotlib_style_is_not_used_and_not_changed(run):
    matplotlib = pytest.importorskip("matplotlib")
    plain = report(run, "pictures")
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        assert report(run, "pictures") == plain
        assert dict(matplotlib.rcParams) == before
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        assert pyplot.get_fignums() == []


# What it says


def test_the_head_names_data_accuracy_and_course(run, kind):
    history, _, _ = run
    page = Page(report(run, kind))
    accuracy = f"{100 * history.test_accuracy[-1]:.1f} %"
    assert page.texts[[tag for tag, _ in page.texts].index("h1")][1] == f"digits: test accuracy {accuracy}"
    assert "A 64-20-10 network (1,510 parameters) learnt from 1,259 images" in page.text
    assert f"{history.steps} steps (10 epochs)" in page.text
    assert "all steps were done" in page.text
    assert "ended early" not in page.text


def test_final_numbers_have_counts_and_an_interval(run):
    history, _, dataset = run
    html = report(run)
    right, images = round(history.test_accuracy[-1] * 359), len(dataset.test_labels)
    assert f"<td>{right} of {images}</td>" in html
    low, high = _wilson(right, images)
    assert f"<td>{100 * low:.2f} to {100 * high:.2f} %</td>" in html
    assert html.count('<th scope="row">validation</th>') == 1


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    # From the closed form at the ends (z^2 / (n + z^2)), and R: prop.test(8, 10, correct = FALSE).
    [(0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0), (8, 10, 0.490162, 0.943318)],
)
def test_wilson_interval(right, images, low, high):
    np.testing.assert_allclose(_wilson(right, images), (low, high), atol=1e-6)


def test_the_cost_is_set_against_the_loop_over_all_parameters(run):
    history, network, _ = run
    page = Page(report(run))  # one forward pass takes 1 ms
    passes = 2 * network.vector.size
    assert passes == 3020
    assert "chain rule" in page.text
    cells = [text for tag, text in page.texts if tag == "td"]
    assert f"{passes:,}" in cells
    assert f"{history.evaluations:,}" in cells
    assert f"{history.settings['evaluations_per_step']:,}" in cells
    assert f"{history.settings['forward_equivalents_per_step']:.1f}" in cells
    assert f"about {duration(passes * 1e-3)}" in cells
    assert f"about {duration(passes * 1e-3 * history.steps)}" in cells
    assert f"{passes * 100 * (network.nonlinear_units + 1) * history.steps:,}" in cells


def test_each_engine_says_what_it_assumes(run):
    history, network, dataset = run
    said = {}
    for engine in ("Chain()", "Coordinate(step=None)", "Mine()"):
        changed = replace(history, settings=history.settings | {"engine": engine})
        said[engine] = Page(report((changed, network, dataset))).text
    assert "chain rule" in said["Chain()"]
    assert "assumes nothing about the network" in said["Coordinate(step=None)"]
    assert "This run was the loop" in said["Coordinate(step=None)"]
    assert "The engine Mine() is not one of mibun's own." in said["Mine()"]


def test_every_engine_of_the_library_is_described():
    from mibun.learn.engines import ENGINES
    from mibun.report.training import _ENGINES

    assert set(_ENGINES) == {kind.__name__ for kind in ENGINES.values()}


def test_a_forward_pass_is_measured_where_no_time_is_given(run):
    history, network, dataset = run
    page = training_report(history, network, dataset, command="c", settings={})
    assert re.search(r"One pass of 100 images takes [\d.]+ (µs|ms) here", page)


def test_settings_command_and_versions(run, kind):
    text = Page(report(run, kind, command="mibun learn --seed 0")).text
    assert re.search(r"hidden\s+50\s", text)
    assert re.search(r"learning rate\s+1\.0", text)
    assert re.search(r"steps\s+—", text)
    assert re.search(r"mibun learn\s+--seed 0", text)
    assert np.__version__ in text
    named = {"environment": {"mibun": "9.9.9", "numpy": "8.8.8"}, "seed": 3}
    text = Page(report(run, kind, settings=named)).text
    assert "9.9.9" in text
    assert "8.8.8" in text
    assert np.__version__ not in text
    assert "environment" not in text


# Misclassified images


def test_every_misclassified_image_is_shown(run):
    pytest.importorskip("matplotlib")
    _, network, dataset = run
    html = report(run, "pictures")
    count = misclassified(network, dataset)
    assert 0 < count <= 50
    images = Page(html).all("img")
    assert len(images) == count
    assert f"misclassifies {count} of 359 test images" in Page(html).text
    predicted = network.predict(dataset.test_x)
    sure = []
    for image in images:
        number, label, taken = map(int, re.findall(r"\d+", image["alt"]))
        assert (dataset.test_labels[number], predicted[number].argmax()) == (label, taken)
        assert label != taken
        sure.append(predicted[number].max())
    assert sure == sorted(sure, reverse=True)


def test_the_pictures_are_the_images(run):
    pytest.importorskip("matplotlib")
    import base64
    import io

    from matplotlib.image import imread

    _, _, dataset = run
    image = Page(report(run, "pictures")).all("img")[0]
    number = int(re.findall(r"\d+", image["alt"])[0])
    pixels = imread(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])))
    np.testing.assert_allclose(1 - pixels[:, :, 0], dataset.test_x[number].reshape(8, 8), atol=0.01)


def test_at_most_fifty_are_shown_and_all_are_counted(digits, kind):
    network = made_network()
    history = train(network, digits, steps=1)
    count = misclassified(network, digits)
    assert count > 50
    page = Page(report((history, network, digits), kind))
    assert f"misclassifies {count} of 359 test images" in page.text
    shown = len(page.all("img")) if kind == "pictures" else page.text.split("probability")[-1].count(" %")
    assert shown == 50


def easy(shape, count=20):
    """Two classes that a network tells apart at once."""
    x = np.zeros((2 * count, *shape))
    x[count:] = 1.0
    labels = np.repeat([0, 1], count)
    return Dataset(x, labels, None, None, x, labels, "easy")


def test_none_misclassified_and_no_validation_data(kind):
    data, network = easy((4,)), Network([Dense(4, 2)], seed=1)
    history = train(network, data, mb.GradientDescent(1.0), batch_size=10, steps=50)
    assert history.test_accuracy[-1] == 1.0
    page = Page(report((history, network, data), kind))
    assert page.broken == []
    assert "None: all 40 test images are classified rightly." in page.text
    assert "validation" not in [text for tag, text in page.texts if tag == "th"]


def test_images_that_are_no_squares_are_only_listed(kind):
    data, network = easy((5,)), Network([Dense(5, 2)], seed=1)
    wrong = replace(data, test_labels=1 - data.test_labels)
    history = train(network, wrong, mb.GradientDescent(1.0), batch_size=10, steps=50)
    page = Page(report((history, network, wrong), kind))
    assert "Images of 5 pixels are no squares" in page.text
    assert not page.all("img")
    assert "misclassifies 40 of 40" in page.text


def test_outputs_of_other_losses_are_not_called_probabilities(digits, kind):
    network = made_network(loss=learn.SumSquaredError())
    history = train(network, digits, steps=2)
    text = Page(report((history, network, digits), kind)).text
    assert "probability" not in text
    assert "the output that it gave" in text


def test_the_confusion_table_counts_every_test_image(run):
    html = report(run)
    table = html[html.index('class="confusion"') :].partition("</table>")[0]
    counts = np.array([int(count) for count in re.findall(r"<td class=\"\w+\">(\d+)</td>", table)]).reshape(10, 10)
    history, _, dataset = run
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(dataset.test_labels))
    assert counts.trace() == round(history.test_accuracy[-1] * 359)


# Without matplotlib


def test_without_matplotlib_tables_and_the_install_line_stand_in(run):
    history, network, dataset = run
    page = Page(report(run))
    assert ("code", "pip install 'mibun[plot]'") in page.texts
    assert not page.all("img")
    cells = [text for tag, text in page.texts if tag == "td"]
    assert f"{history.loss[0]:.4g}" in cells
    assert f"{history.loss[-1]:.4g}" in cells
    for accuracy in history.test_accuracy:
        assert f"{100 * accuracy:.2f} %" in cells
    rows = re.findall(r'<th scope="row">\d+</th><td>\d</td><td>\d</td><td>[\d.]+ %</td>', report(run))
    assert len(rows) == misclassified(network, dataset)
    loss = report(run).partition("mean of")[2].partition("</table>")[0]
    assert loss.count("<tr>") == 12


# Runs that ended early


def test_an_interrupted_run_has_a_banner(digits, kind):
    def interrupt(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    network = made_network()
    history = train(network, digits, callback=interrupt)
    assert history.stop is Stop.INTERRUPTED
    page = Page(report((history, network, digits), kind))
    assert page.broken == []
    assert "This run ended early: interrupted; the network holds what was learnt until then (after step 3" in page.text


def test_no_step_done(digits, kind):
    class Stuck:
        """Stops before its first gradient."""

        def gradient(self, network, x, targets, rng=None, errors=True):
            raise KeyboardInterrupt

        def into(self, network, x, targets, rng, out):
            raise KeyboardInterrupt

        def cost(self, network, batch_size):
            return learn.Cost(1, 1.0)

    network = made_network()
    history = train(network, digits, engine=Stuck())
    assert history.steps == 0
    page = Page(report((history, network, digits), kind))
    assert page.broken == []
    assert "This run ended early" in page.text
    assert "No step was done" in page.text


def test_a_loss_that_was_no_number_any_more(digits, kind):
    network = Network([Dense(64, 20), learn.ReLU(), Dense(20, 10)], loss=learn.SumSquaredError(), seed=0)
    history = train(network, digits, mb.GradientDescent(1e200), steps=20)
    assert history.stop is Stop.NOT_FINITE
    page = Page(report((history, network, digits), kind))
    assert page.broken == []
    assert "This run ended early: the loss was no longer a finite number" in page.text


def test_one_training_image_and_one_test_image(kind):
    data = Dataset(np.ones((1, 4)), np.array([0]), None, None, np.zeros((1, 4)), np.array([1]), "one")
    network = Network([Dense(4, 2)], seed=0)
    history = train(network, data, batch_size=1, steps=1)
    page = Page(report((history, network, data), kind))
    assert page.broken == []
    assert "learnt from 1 image by" in page.text
    assert "1 step (1 epochs)" in page.text


# Words and bad input


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 µs"),
        (1.24e-5, "12 µs"),
        (0.0009996, "1 ms"),
        (0.0504, "50 ms"),
        (0.9999, "1 s"),
        (1.5, "1.5 s"),
        (9.96, "10 s"),
        (119.0, "119 s"),
        (120.0, "2 minutes"),
        (3.3 * 60, "3.3 minutes"),
        (43 * 3600, "43 hours"),
        (48 * 3600, "2 days"),
        (400 * 86400, "400 days"),
        (3 * 365.25 * 86400, "3 years"),
        (5e12, "158,440 years"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_counts_have_their_plural():
    assert [counted(count, "step") for count in (0, 1, 1890)] == ["0 steps", "1 step", "1,890 steps"]


def test_what_is_no_history_or_does_not_fit_is_refused(run):
    history, network, digits = run
    with pytest.raises(InputError, match=r"learn\.train returned, not dict"):
        training_report({}, network, digits, command="", settings={})
    with pytest.raises(InputError, match="shape"):
        training_report(history, network, easy((5,)), command="", settings={})


def test_a_command_breaks_before_its_options_only():
    html = command_line("mibun learn --data a--b <c> --seed 0")
    assert html == (
        "<pre><code><span>mibun learn</span> <span>--data a--b &lt;c&gt;</span> <span>--seed 0</span></code></pre>"
    )
