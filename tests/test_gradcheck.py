"""The pytest plugin: the fixture `gradcheck`, in runs of pytest of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mibun.errors import InputError
from mibun.gradcheck import checked

SOURCE = Path(__file__).parents[1] / "src"


def run(folder, text, *options, interpreter=()):
    """Run a file of tests, with the plugin alone."""
    (folder / "test_it.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return subprocess.run(
        [sys.executable, *interpreter, "-m", "pytest", "-p", "pytest_mibun", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )


def test_a_failure_can_be_read(tmp_path):
    done = run(
        tmp_path,
        """
        import numpy as np

        def loss(x, W):
            return np.sum(np.tanh(x @ W))

        def gradient(x, W):
            inner = 1 - np.tanh(x @ W) ** 2
            slope = x.T @ inner
            slope[2, 1] *= -1
            return inner @ W.T, slope

        def test_loss(gradcheck):
            rng = np.random.default_rng(1)
            gradcheck(loss, (rng.normal(size=(4, 5)), rng.normal(size=(5, 3))), gradient, seed=7)
        """,
    )
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert any(line.startswith("E ") and "wrong: 1 of 35 elements of the gradient" in line for line in lines)
    assert any(line.startswith("E ") and "W[2, 1]" in line and "ratio -1.000" in line for line in lines)
    assert "seed=7" in done.stdout
    assert ">       gradcheck(loss, (" in done.stdout
    assert "pytest_mibun.py" not in done.stdout  # the test is shown, not the inside of the fixture
    assert "checker" not in done.stdout
    assert len([line for line in lines if line.startswith("E ")]) <= 25


def test_what_is_right_passes_and_gives_the_report(tmp_path):
    done = run(
        tmp_path,
        """
        import numpy as np
        import pytest

        @pytest.mark.parametrize("n", [1, 10])
        def test_it(gradcheck, n):
            report = gradcheck(lambda x: np.sum(x**3), np.arange(1.0, 1.0 + n), lambda x: 3 * x**2)
            assert report.ok
            assert report.elements == n
        """,
        "-q",
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def loaded(folder, text):
    """Give the names of all that a run of pytest imports."""
    done = run(folder, text, "-q", "-s", interpreter=("-X", "importtime"))
    assert done.returncode == 0, done.stdout
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time:" in line}


def test_nothing_of_mibun_is_imported_until_the_fixture_is_used(tmp_path):
    plain = loaded(tmp_path, "def test_it():\n    import sys\n    assert 'pytest_mibun' in sys.modules")
    assert {name for name in plain if name.split(".")[0] in ("mibun", "numpy", "scipy", "torch", "jax")} == set()
    used = loaded(tmp_path, "def test_it(gradcheck):\n    gradcheck(abs, 1.0, 1.0)")
    assert "mibun.checker" in used
    assert not {"scipy", "torch", "jax", "matplotlib"} & used


def test_the_fixture_is_listed_with_what_it_does(tmp_path):
    done = run(tmp_path, "", "--fixtures")
    assert "gradcheck [session scope]" in done.stdout
    assert "Fail a test whose gradient is wrong" in done.stdout


def test_it_can_be_used_with_hypothesis(tmp_path):
    done = run(
        tmp_path,
        """
        from hypothesis import given, settings, strategies as st

        @settings(deadline=None, max_examples=5)
        @given(st.floats(0.5, 2.0))
        def test_it(gradcheck, x):
            gradcheck(lambda x: x**2, x, lambda x: 2 * x)
        """,
        "-p",
        "_hypothesis_pytestplugin",
    )
    assert done.returncode == 0, done.stdout


# Who made the gradient


def test_gradients_that_are_given():
    x, W = np.arange(1.0, 4.0), np.arange(6.0).reshape(3, 2)
    assert checked(lambda x: np.sum(x**2), x, 2 * x, {}).ok
    assert checked(lambda x: np.sum(x**2), (x,), lambda x: 2 * x, {}).ok
    assert checked(lambda x, W: np.sum(x @ W), (x, W), (W.sum(1), np.stack([x, x], 1)), {}).ok
    report = checked(lambda x, W: x @ W, (x, W), (W.T, np.zeros((2, 3, 2))), {"rtol": 1e-6})
    assert not report.ok
    assert all("W[" in finding.name for finding in report.wrong)
    assert checked(lambda p: p["a"] ** 2, {"a": 3.0}, lambda p: {"a": 6.0}, {}).ok
    assert checked(lambda *both: both[0] * both[1], (2.0, 3.0), (3.0, 2.0), {}).ok


def test_what_cannot_be_used_is_refused():
    with pytest.raises(InputError, match=r"write gradcheck\(f, args, gradient\)"):
        checked(np.sum, np.ones(2), None, {})
    with pytest.raises(InputError, match="expected a tuple of 2"):
        checked(lambda x, y: x * y, (2.0, 3.0), lambda x, y: 3.0, {})


def test_gradients_that_pytorch_makes():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'mibun[torch]'")
    assert checked(lambda x: torch.sin(x), (torch.ones(3),), None, {}).ok
    assert checked(lambda state: state["h"] ** 2, ({"h": torch.ones(3)},), None, {}).ok
    assert not checked(lambda x: x * x.detach(), torch.ones(3), None, {}).ok
    assert checked(torch.nn.Bilinear(2, 3, 2), (torch.ones(2), torch.ones(3)), None, {}).elements == 5 + 14
    # and one that is given, for tensors
    assert checked(lambda x: (x**2).sum(), torch.ones(3), lambda x: 2 * x, {}).ok
    report = checked(lambda x, y: (x * y).sum(), (torch.ones(3), 2 * torch.ones(3)), lambda x, y: (y, x * 2), {})
    assert [finding.name for finding in report.wrong] == ["y[0]", "y[1]", "y[2]"]


def test_gradients_that_jax_makes():
    jax = pytest.importorskip("jax", reason="JAX is not installed: pip install 'mibun[jax]'")
    x = jax.numpy.ones(3)
    assert checked(jax.numpy.sin, x, None, {}).ok
    assert checked(jax.jit(lambda x: x**2), np.ones(3), None, {}).ok
    assert not checked(lambda x: x * jax.lax.stop_gradient(x), x, None, {}).ok
    assert checked(lambda x: (x**2).sum(), x, lambda x: 2 * x, {}).ok
