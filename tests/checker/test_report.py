"""The report: on one screen, as JSON, as an assertion."""

import json

import numpy as np
import pytest

import mibun as mb
from mibun.errors import CheckFailed

X = np.random.default_rng(3).normal(size=5)
LONG = {f"transformer.encoder.layers.{i}.attention.out_proj.weight": np.full((3, 2), 1.0 + i) for i in range(12)}
RANDOM = np.random.default_rng(9)


def f(x):
    return np.sum(np.sin(x))


REPORTS = {
    "right": lambda: mb.check(f, np.cos, X),
    "wrong": lambda: mb.check(f, lambda x: -np.cos(x), X),
    "long names": lambda: mb.check(
        lambda p: sum(np.sum(part**2) for part in p.values()),
        lambda p: {key: part**1.1 for key, part in p.items()},
        LONG,
    ),
    "of all kinds": lambda: mb.check(
        lambda x: np.sum(np.abs(x)) + np.sum(x > 1) + 1e-9 * RANDOM.normal(),
        lambda x: np.where(x == 0, 0.2, np.where(x == 2, 5.0, np.sign(x))),
        np.array([0.0] * 9 + [1.0] * 9 + [2.0] * 9 + [3.0] * 9),
    ),
    "noise": lambda: mb.check(lambda x: f(x) + RANDOM.normal(), lambda x: np.cos(x) + RANDOM.normal(), X),
    "large": lambda: mb.check(f, lambda x: np.cos(x + 0.01), np.linspace(-3, 3, 1000)),
    "no number": lambda: mb.check(lambda x: np.sum(np.sqrt(x)), lambda x: x, X),
    "budget": lambda: mb.check(f, lambda x: 2 * np.cos(x), X, budget=25),
    "huge": lambda: mb.check(lambda x: np.sum(x**2), lambda x: 3 * x, 1e150 * X),
    "one": lambda: mb.check(np.sin, lambda x: -np.cos(x), 1.0),
    "long tuple of bounds": lambda: mb.check(f, np.cos, X, bounds=([-10.123456789] * 5, [10.123456789] * 5)),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_fits_one_screen_and_is_json(name):
    report = REPORTS[name]()
    lines = str(report).split("\n")
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith(report.verdict)
    assert "evaluation" in lines[-1] or "again: mb.check(" in "\n".join(lines[-4:])
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert told["verdict"] == report.verdict
    assert told["ok"] == report.ok
    assert [finding["name"] for finding in told["wrong"]] == [finding.name for finding in report.wrong]
    assert told["evaluations"] == report.evaluations


def test_what_is_on_the_screen():
    def gradient(p):
        return {"W": -2 * p["W"], "b": 2 * p["b"]}

    x = {"W": np.arange(1.0, 7).reshape(2, 3), "b": np.ones(2)}
    text = str(mb.check(lambda p: np.sum(p["W"] ** 2) + np.sum(p["b"] ** 2), gradient, x, seed=5, rtol=1e-6))
    lines = text.split("\n")
    assert lines[0] == "wrong: 6 of 8 elements of the gradient"
    assert lines[1].split()[:5] == ["W[1,", "2]", "given", "-12", "numeric"]
    assert lines[1].endswith("ratio -1.000")
    assert lines[6] == "  ... 1 more"
    assert lines[7] == "looks like: sign flipped in W"
    assert lines[8].startswith("the others agree to ")
    assert "not seen: what is off by less than 1e-06 of the largest entry" in text
    assert "again: mb.check(f, gradient, x, rtol=1e-06, seed=5)" in text


def test_long_names_keep_what_tells_them_apart():
    text = str(REPORTS["long names"]())
    assert ".0.attention.out_proj.weight[0, 0]" in text
    assert "\n  transform" in text


def test_require():
    report = mb.check(f, np.cos, X)
    assert report.require() is report
    wrong = mb.check(f, lambda x: -np.cos(x), X)
    with pytest.raises(AssertionError) as caught:
        wrong.require()
    assert isinstance(caught.value, CheckFailed)
    assert str(caught.value) == str(wrong)
    undecided = REPORTS["budget"]()
    assert undecided.verdict == "undecided"
    with pytest.raises(AssertionError, match="some may be wrong"):
        undecided.require()


def test_the_report_is_frozen_and_shows_itself():
    report = mb.check(f, np.cos, X)
    with pytest.raises(AttributeError):
        report.wrong = ()
    assert repr(report) == str(report)
    assert report.with_notes("by hand").notes[-1] == "by hand"
    assert "note: by hand" in str(report.with_notes("by hand"))


def test_the_slopes_of_a_kink_are_told_once():
    report = mb.check(
        lambda x: np.sum(np.abs(x)), lambda x: np.where(x == 0, 1.3, np.sign(x)), np.array([0.0, 1.0, -2.0])
    )
    assert report.wrong[0].reason == "the slopes from the left (-1) and from the right (1) differ"
