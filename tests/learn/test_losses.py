"""Losses and their numerical slopes against mpmath, down to probabilities that no float can hold."""

import mpmath
import numpy as np
import pytest

from mibun import learn

DTYPES = (np.float64, np.float32)
LOSSES = [learn.SoftmaxCrossEntropy(), learn.SumSquaredError()]
LOGITS = np.array(
    [
        [0.0, 0.0, 0.0],
        [1.0, 2.0, 3.0],
        [0.0, 35.0, -35.0],
        [1e4, -1e4, 0.0],
        [-800.0, 800.0, 799.5],
        [1e-9, -1e-9, 0.0],
        [88.0, 89.0, -104.0],
    ]
)


def mp_cross_entropy(logits, targets):
    """Sum of t (log sum exp(z) - z), and its slopes, with 60 digits."""
    with mpmath.workdps(60):
        z, t = [mpmath.mpf(float(v)) for v in logits], [mpmath.mpf(float(v)) for v in targets]
        total = mpmath.fsum(mpmath.exp(v) for v in z)
        loss = mpmath.fsum(a * (mpmath.log(total) - v) for a, v in zip(t, z, strict=True))
        return loss, [mpmath.fsum(t) * mpmath.exp(v) / total - a for a, v in zip(t, z, strict=True)]


def targets_of(kind, dtype):
    labels = np.array([0, 1, 2, 1, 0, 2, 2])
    soft = np.random.default_rng(4).random((7, 3))
    return {"labels": labels, "one-hot": np.eye(3, dtype=dtype)[labels], "soft": soft.astype(dtype)}[kind]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["labels", "one-hot", "soft"])
def test_cross_entropy_and_its_slopes_are_right_for_extreme_logits(kind, dtype):
    logits, targets, loss, eps = LOGITS.astype(dtype), targets_of(kind, dtype), LOSSES[0], float(np.finfo(dtype).eps)
    values, (again, slopes) = loss.per_sample(logits, targets), loss.slope(logits, targets)
    np.testing.assert_array_equal(values, again)
    bound = loss.slope_error(logits, targets, np.zeros_like(logits)).total
    assert values.dtype == slopes.dtype == bound.dtype == dtype
    rows = targets if kind != "labels" else np.eye(3)[targets]
    for row in range(len(logits)):
        exact, exact_slopes = mp_cross_entropy(logits[row], rows[row])
        assert float(abs(values[row] - exact)) <= 4 * eps * (1 + abs(float(exact)))
        off = np.array([float(abs(mpmath.mpf(float(s)) - e)) for s, e in zip(slopes[row], exact_slopes, strict=True)])
        assert (off <= 6 * eps).all()
        assert (off <= bound[row]).all()
        assert (bound[row] <= 200 * eps).all()


def test_soft_targets_need_not_sum_to_one():
    logits, targets = np.array([[0.3, -1.0, 2.0]]), np.array([[0.5, 2.0, 1.0]])
    exact, slopes = mp_cross_entropy(logits[0], targets[0])
    loss = learn.SoftmaxCrossEntropy()
    np.testing.assert_allclose(loss.per_sample(logits, targets), [float(exact)], rtol=1e-15)
    np.testing.assert_allclose(loss.slope(logits, targets)[1], [[float(s) for s in slopes]], rtol=1e-15, atol=2e-15)


def test_a_certain_answer_still_has_a_loss_and_a_slope():
    logits = np.array([[0.0, 30.0]])
    values, slopes = learn.SoftmaxCrossEntropy().slope(logits, np.array([1]))
    exact, exact_slopes = mp_cross_entropy(logits[0], [0.0, 1.0])
    assert values[0] == pytest.approx(float(exact), abs=2e-16)
    np.testing.assert_allclose(slopes[0], [float(s) for s in exact_slopes], atol=2e-16)
    assert slopes[0, 0] == pytest.approx(float(exact_slopes[0]), rel=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bound_covers_what_an_error_of_the_logits_does(dtype):
    rng = np.random.default_rng(8)
    logits, labels = rng.normal(scale=3, size=(40, 5)).astype(dtype), rng.integers(5, size=40)
    for loss in LOSSES:
        slopes = loss.slope(logits, labels)[1]
        for size in (1e-6, 1e-2, 1.0):
            moved = logits.astype(np.float64) + rng.uniform(-size, size, logits.shape)
            bound = loss.slope_error(logits, labels, np.full_like(logits, size)).total
            assert (np.abs(slopes - loss.slope(moved, labels)[1]) <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["labels", "one-hot", "soft"])
def test_sum_squared_error_and_its_slopes(kind, dtype):
    logits, targets, loss = LOGITS.astype(dtype), targets_of(kind, dtype), LOSSES[1]
    rows = (targets if kind != "labels" else np.eye(3)[targets]).astype(np.longdouble)
    residual = logits.astype(np.longdouble) - rows
    values, slopes = loss.slope(logits, targets)
    eps = np.finfo(dtype).eps
    assert values.dtype == slopes.dtype == dtype
    assert (np.abs(values - (residual**2).sum(axis=1) / 2) <= 4 * eps * values).all()
    assert (np.abs(slopes - residual) <= eps * np.abs(residual)).all()
    assert (np.abs(slopes - residual) <= loss.slope_error(logits, targets, np.zeros_like(logits)).total).all()
    np.testing.assert_array_equal(values, loss.per_sample(logits, targets))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_labels_and_one_hot_targets_give_equal_results(loss, dtype):
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(scale=4, size=(50, 6)).astype(dtype), rng.integers(6, size=50)
    one_hot = np.eye(6, dtype=dtype)[labels]
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(
        loss.per_sample(logits, labels), loss.per_sample(logits, one_hot), rtol=4 * eps, atol=eps
    )
    np.testing.assert_allclose(loss.slope(logits, labels)[1], loss.slope(logits, one_hot)[1], rtol=4 * eps, atol=eps)
    by_label, by_row = (loss.slope_error(logits, t, np.zeros_like(logits)).total for t in (labels, one_hot))
    np.testing.assert_allclose(by_label, by_row, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_losses_leave_their_arguments_alone(loss):
    logits = LOGITS.copy()
    for kind in ("labels", "soft"):
        targets = targets_of(kind, np.float64)
        kept = targets.copy()
        loss.outputs(logits)
        loss.per_sample(logits, targets)
        loss.slope(logits, targets)[1][:] = 7
        loss.slope_error(logits, targets, np.zeros_like(logits))
        np.testing.assert_array_equal(logits, LOGITS)
        np.testing.assert_array_equal(targets, kept)


@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_are_probabilities_for_cross_entropy_and_the_logits_otherwise(dtype):
    logits = LOGITS.astype(dtype)
    probabilities = LOSSES[0].outputs(logits)
    assert probabilities.dtype == dtype
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(LOSSES[1].outputs(logits), logits)


def test_losses_print_as_what_they_are():
    assert [repr(loss) for loss in LOSSES] == ["SoftmaxCrossEntropy()", "SumSquaredError()"]
    assert learn.SumSquaredError() == learn.SumSquaredError()
