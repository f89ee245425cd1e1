"""Mistakes planted in the derivatives of many functions: each is found, no right element is named, the kind is told."""

import backprops
import mistakes
import numpy as np
import pytest

import mibun as mb

SEED = 20
#: Functions with sizes that make them quick.
MAKERS = {
    backprops.squares: (6,),
    backprops.rosenbrock: (5,),
    backprops.least_squares: (8, 5),
    backprops.logistic: (10, 5),
    backprops.softmax_regression: (4, 5, 3),
    backprops.net: ((3, 4, 2), 4),
    backprops.log_sum_exp: (5,),
    backprops.log_determinant: (3,),
    backprops.bilinear: (3, 4),
    backprops.gaussian: (10, 3),
    backprops.convolution: (8, 3),
    backprops.attention: (3, 2),
    backprops.recurrent: (3, 3),
    backprops.normalised: (4, 3),
    backprops.factorisation: (3, 4, 2),
    backprops.poisson: (10, 4),
    backprops.lennard_jones: (),
    backprops.huber: (10, 5),
    backprops.waves: (6,),
    backprops.norm: (5,),
    backprops.entropy: (5,),
    backprops.arm: (4,),
    backprops.broyden: (5,),
    backprops.decay: (6,),
    backprops.softmax: (4,),
    backprops.dense: (3, 4),
    backprops.kinetics: (),
    backprops.rosenbrock_hessian: (5,),
}
WORDS = {mistake.name: mistake for mistake in mistakes.MISTAKES}
KINDS = ("sign of one element", "half of a parameter", "transposed", "a row missing", mistakes.STALE)


def made(maker, dtype=np.float64):
    """A function with its derivative, of the size in the table."""
    return backprops.Subject(maker.__name__, *maker(np.random.default_rng(SEED), dtype, *MAKERS[maker]))


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_mutations_are_named(maker):
    subject = made(maker)
    right = mb.check(subject.f, subject.gradient, subject.x)
    assert right.ok, str(right)
    assert right.digits > 6
    planted = [
        mistakes.stale(subject, SEED) if kind == mistakes.STALE else mistakes.plant(subject, WORDS[kind], SEED)
        for kind in KINDS
    ]
    assert sum(case is not None for case in planted) >= 3
    for case in planted:
        if case is not None:
            named(mb.check(subject.f, case.gradient, subject.x), case)


def test_each_mutation_is_made_in_many_functions():
    """So that the test above is about something."""
    count = dict.fromkeys(KINDS, 0)
    for subject in map(made, MAKERS):
        for kind in KINDS[:-1]:
            count[kind] += mistakes.plant(subject, WORDS[kind], SEED) is not None
        count[mistakes.STALE] += mistakes.stale(subject, SEED) is not None
    assert min(count[kind] for kind in (KINDS[0], KINDS[1], KINDS[-1])) >= 20
    assert min(count.values()) >= 10  # there are matrices in so many of them


@pytest.mark.parametrize(
    ("maker", "dtype"),
    [(backprops.attention, np.float64), (backprops.recurrent, np.float32), (backprops.dense, np.float64)],
)
def test_all_twelve(maker, dtype):
    subject = made(maker, dtype)
    for mistake in mistakes.MISTAKES:
        case = mistakes.plant(subject, mistake, SEED)
        if case is not None:
            named(mb.check(subject.f, case.gradient, subject.x), case)


def named(report, case):
    """Say that the elements are named, none of the right ones, and the kind."""
    told = {finding.name for finding in report.wrong}
    assert report.verdict == "wrong", case.mistake
    assert told >= set(case.wrong) or report.wrong_count >= len(case.wrong), (case.mistake, str(report))
    assert not told & set(case.right), (case.mistake, str(report))
    assert not case.word or any(case.word in kind for kind in report.kinds), (case.mistake, report.kinds)
    assert not report.undecided_count, str(report)
