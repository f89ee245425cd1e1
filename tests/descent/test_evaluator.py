"""Descents with an evaluator: the same path, and none of its points evaluated twice."""

import numpy as np
import pytest

import mibun as mb
from mibun.errors import InputError


def valley(x):
    return (1 - x[0]) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2


def noisy(x):
    return float(np.sum(x**2)) + 1e-4 * np.sin(1e7 * x[0])


@pytest.mark.parametrize("f", [valley, noisy])
def test_workers_change_no_bit_of_a_path(f):
    options = {"rule": mb.GradientDescent(0.02), "steps": 12}
    plain = mb.descend(f, [-0.5, 0.7], **options)
    with mb.Evaluator(workers=2, progress=False) as evaluator:
        found = mb.descend(f, [-0.5, 0.7], evaluator=evaluator, **options)
        assert evaluator.counts.calls >= found.evaluations
    assert found.to_dict() == plain.to_dict()


def test_a_descent_is_read_from_its_store(tmp_path):
    with mb.Evaluator(store=tmp_path / "a.db", name="valley", progress=False) as evaluator:
        part = mb.descend(valley, [-0.5, 0.7], rule=mb.GradientDescent(0.02), steps=5, evaluator=evaluator)
        calls = evaluator.counts.calls
        mb.descend(valley, [-0.5, 0.7], rule=mb.GradientDescent(0.02), steps=5, evaluator=evaluator)
        assert evaluator.counts.calls == calls
        whole = mb.descend(valley, [-0.5, 0.7], rule=mb.GradientDescent(0.02), steps=9, evaluator=evaluator)
        assert np.array_equal(whole.points[:6], part.points)
    assert np.array_equal(whole.points, mb.descend(valley, [-0.5, 0.7], rule=mb.GradientDescent(0.02), steps=9).points)


def test_no_evaluator():
    with pytest.raises(InputError, match="workers=4"):
        mb.descend(valley, [-0.5, 0.7], evaluator=4)
