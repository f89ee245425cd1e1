"""What `mibun.torch.check` and `mibun.jax.check` have in common, with a program that is written by hand."""

import numpy as np
import pytest

from mibun.automatic import argument_names, examined
from mibun.errors import InputError


class Written:
    """sin(a)·b and its sum, with a gradient that may be wrong."""

    def __init__(self, mistake=lambda slopes: slopes, spoil=lambda outputs: outputs):
        self.parts = {"a": np.array([[0.3, -0.7], [1.1, 0.2]]), "b": np.array(-2.0)}
        self.notes, self.unchecked, self.advice = ["written by hand"], ["c"], "do not"
        self.mistake, self.spoil = mistake, spoil
        self.weights = []

    def outputs(self, parts):
        product = np.sin(parts["a"]) * parts["b"]
        return self.spoil([product, np.array(product.sum())])

    def gradient(self, parts, weights):
        self.weights = weights
        inner = weights[0] + weights[1]
        return self.mistake([inner * np.cos(parts["a"]) * parts["b"], np.sum(inner * np.sin(parts["a"]))])


def test_a_right_gradient_passes_and_everything_is_told():
    program = Written()
    report = examined(program, "check", 4, {})
    assert report.ok
    assert report.elements == 5
    assert "written by hand" in report.notes
    assert "f returned 5 numbers" in str(report)
    assert report.unseen[0] == "c"
    assert "seed=4" in report.repeat


def test_the_weights_do_not_cancel_and_depend_on_the_seed():
    program = Written()
    seen = []
    for seed in (0, 1, 0):
        examined(program, "check", seed, {})
        outputs = program.outputs(program.parts)
        terms = np.concatenate([(w * out).reshape(-1) for w, out in zip(program.weights, outputs, strict=True)])
        sizes = np.concatenate([np.abs(w).reshape(-1) for w in program.weights])
        assert (terms > 0).all()
        assert (sizes >= 0.5).all()
        assert (sizes <= 1.5).all()
        assert len(set(sizes.tolist())) > 1
        assert all((np.float16(w) == w).all() for w in program.weights)
        seen.append(sizes.tolist())
    assert seen[0] == seen[2] != seen[1]


@pytest.mark.parametrize(
    ("mistake", "names"),
    [
        (lambda slopes: [slopes[0], -slopes[1]], ["b"]),
        (lambda slopes: [slopes[0] * [[1, 1], [1, 1.001]], slopes[1]], ["a[1, 1]"]),
        (lambda slopes: [slopes[0], None], ["b"]),
        (lambda slopes: [slopes[0] * np.nan, slopes[1]], ["a[0, 0]", "a[0, 1]", "a[1, 0]", "a[1, 1]"]),
    ],
)
def test_mistakes_are_named(mistake, names):
    report = examined(Written(mistake), "check", 0, {})
    assert sorted(finding.name for finding in report.wrong) == names


def test_a_function_that_changes_is_named_so():
    rng = np.random.default_rng(3)
    report = examined(Written(spoil=lambda outputs: [outputs[0] + rng.normal(), outputs[1]]), "check", 0, {})
    assert report.undecided_count == report.elements == 5
    assert "nondeterministic" in str(report)
    assert "do not" in str(report)
    slightly = examined(Written(spoil=lambda outputs: [outputs[0] + 1e-13 * rng.normal(), outputs[1]]), "check", 0, {})
    assert not slightly.wrong
    shapes = iter(range(100))
    with pytest.raises(InputError, match="other shapes when it was called again"):
        examined(Written(spoil=lambda outputs: [np.ones(next(shapes))]), "check", 0, {})


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_numbers_of_few_bits_are_recognised(dtype):
    single = examined(
        Written(spoil=lambda outputs: [out.astype(dtype).astype(float) for out in outputs]), "check", 0, {}
    )
    assert not single.wrong
    assert single.ok is (dtype is np.float32)


def test_arguments_are_named_as_the_function_does():
    assert argument_names(lambda x, W, scale=2.0: x, 2) == ["x", "W"]
    assert argument_names(lambda x, *more: x, 3) == ["x", "input[1]", "input[2]"]
    assert argument_names(max, 2) == ["input[0]", "input[1]"]
