"""Comparing engines, choosing one, and forecasting: tables that add up, reasons that are said."""

import json

import numpy as np
import pytest

import mibun as mb
from mibun import learn
from mibun.draw.words import hangul_font
from mibun.errors import InputError, MissingDependency
from mibun.learn.engines import in_words


def small(activation=None, dtype=np.float64):
    layers = [learn.Dense(4, 5), activation or learn.Tanh(), learn.Dense(5, 3)]
    return learn.Network(layers, seed=1, dtype=dtype)


X, LABELS = np.random.default_rng(0).random((8, 4)), np.arange(8) % 3


class Forward(learn.Layer):
    """A layer of one's own of which only the forward direction is known."""

    def forward(self, weights, x):
        return np.sin(x)


class Power(Forward):
    """The same with a parameter."""

    def shapes(self):
        return {"power": (1,)}

    def initial(self, rng):
        return {"power": np.ones(1)}

    def forward(self, weights, x):
        return x * weights["power"]


def test_all_engines_stand_in_the_table_and_agree():
    table = learn.compare_engines(small(), X, LABELS)
    assert [row.engine.split("(")[0] for row in table] == ["Chain", "Node", "Column", "Column", "Coordinate"]
    assert all(row.deviation <= 1e-8 for row in table)
    assert table.oracle_error < 1e-7
    assert [row.evaluations for row in table] == [
        engine.cost(small(), 8).evaluations
        for engine in (learn.Chain(), learn.Node(), learn.Column(), learn.Column(every_step=True), learn.Coordinate())
    ]
    text = repr(table)
    assert "takes for granted" in text
    assert "samples independent" in text
    assert json.loads(json.dumps(table.to_dict()))["samples"] == 8


def test_a_float32_network_is_compared_with_a_loop_in_float64():
    table = learn.compare_engines(small(dtype=np.float32), X, LABELS, engines=["chain", "node", "column"])
    assert all(row.deviation <= 2e-6 for row in table)


def test_a_wrong_engine_is_seen():
    class Wrong(learn.Chain):
        def into(self, network, x, targets, rng, out):
            loss = super().into(network, x, targets, rng, out)
            out *= 1.001
            return loss

    (row,) = learn.compare_engines(small(), X, LABELS, engines=[Wrong()])
    assert row.deviation == pytest.approx(1e-3, rel=0.1)


def test_an_engine_that_cannot_serve_the_network_says_so_in_its_row():
    table = learn.compare_engines(learn.Network([learn.Dense(4, 3), Power()], seed=1), X, LABELS)
    said = {row.engine.split("(")[0]: row.refused for row in table}
    assert "layer 1" in said["Chain"]
    assert "'coordinate' can" in said["Node"]
    assert said["Coordinate"] == ""
    assert "cannot: engine 'chain'" in repr(table)


def test_auto_chooses_by_the_layers_and_says_why():
    images = [learn.Conv2D(1, 2, 3), learn.Flatten(), Forward(), learn.Dense(8, 3)]
    for network, kind, reason in (
        (small(), learn.Chain, "every layer has a local difference"),
        (small(Forward()), learn.Node, "layer 1, Forward, has no local difference"),
        (learn.Network(images, input_shape=(1, 4, 4)), learn.Column, "dense layers and convolutions"),
        (learn.Network([learn.Dense(4, 3), Power()]), learn.Coordinate, "layers of your own"),
    ):
        engine, why = learn.Auto().choose(network)
        assert type(engine) is kind
        assert reason in why
        x = X if network.inputs == 4 else np.random.default_rng(1).random((8, 16))
        d = learn.gradient(network, x, LABELS)
        assert f"auto chose {engine!r}" in d.notes[0].message
        again = learn.gradient(network, x, LABELS, engine=engine)
        for name, value in again.value.items():
            np.testing.assert_array_equal(d.value[name], value)
        assert learn.Auto().cost(network, 8) == engine.cost(network, 8)


def test_networks_train_with_every_engine():
    digits = learn.load_digits()
    seen = {}
    for engine in ("auto", "chain", "node", "column"):
        network = learn.Network([learn.Dense(64, 8), learn.Tanh(), learn.Dense(8, 10)], seed=0)
        learn.train(network, digits, engine=engine, steps=5)
        seen[engine] = network.vector
    for vector in seen.values():
        np.testing.assert_allclose(vector, seen["chain"], atol=1e-8)


@pytest.mark.parametrize("bad", [0, -1, 2.5, "many", True])
def test_bad_options_of_the_comparison_are_refused(bad):
    with pytest.raises(InputError, match="entries"):
        learn.compare_engines(small(), X, LABELS, entries=bad)
    with pytest.raises(InputError, match="seed"):
        learn.gradient(small(), X, LABELS, seed=-1)
    with pytest.raises(InputError, match="Network"):
        learn.gradient("net", X, LABELS)


def test_the_forecast_of_the_loop_is_its_passes_times_one():
    network = learn.Network([learn.Dense(784, 50), learn.Sigmoid(), learn.Dense(50, 10)])
    x, labels = np.zeros((100, 784)), np.zeros(100, int)
    told = learn.forecast(learn.Coordinate(), network, x, labels, 10_000)
    assert not told.measured
    assert told.forward_passes == 79_521
    assert 3600 < told.seconds < 3600 * 1000  # from one hour to some weeks, on any machine
    assert learn.forecast(learn.Chain(), network, x, labels, 10).measured


def test_times_are_told_as_people_say_them():
    assert in_words(155_000) == "43 hours"
    assert in_words(5.2) == "5 s"


# The picture


def test_the_picture_has_a_point_and_a_name_for_each_engine():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    table = learn.compare_engines(small(), X, LABELS)
    drawn = mb.draw.engines(table, ax=figure.subplots())
    offsets = np.asarray(drawn.points["measured"].get_offsets())
    np.testing.assert_allclose(offsets[:, 0], [row.seconds for row in table])
    assert [text.get_text() for text in drawn.labels][-2:] == ["column, every step", "coordinate"]
    assert drawn.oracle.get_ydata()[0] == table.oracle_error
    figure.canvas.draw()


def test_the_picture_speaks_korean_and_stands_on_dark():
    figure = pytest.importorskip("matplotlib.figure").Figure(facecolor="black")
    axes = figure.subplots(subplot_kw={"facecolor": "black"})
    if hangul_font() is None:
        pytest.skip("no font with Hangul here")
    drawn = mb.draw.engines(learn.compare_engines(small(), X, LABELS, engines=["chain"]), language="ko", ax=axes)
    assert axes.get_xlabel() == "기울기 하나에 걸리는 초"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["측정", "반복문 자신의 오차"]
    red, green, blue, _ = drawn.points["measured"].get_facecolor()[0]
    assert 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.4  # seen on black


def test_without_matplotlib_the_picture_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"mibun\[plot\]"):
        mb.draw.engines(learn.compare_engines(small(), X, LABELS, engines=["chain"]))


def test_the_picture_takes_tables_only():
    with pytest.raises(InputError, match="compare_engines"):
        mb.draw.engines([1, 2])
