"""The wheel works where it is installed into an empty environment, and the texts that belong to it agree."""

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

import mibun

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the Python of an environment that has the wheel, NumPy, and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, symlinks=os.name != "nt")
    made = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [sys.executable, "-m", "pip", "--python", made, "install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([made, "-c", where], text=True).strip())
    home = Path(np.__file__).parent
    for part in (home, home.with_name("numpy.libs")):
        if part.exists():
            (packages / part.name).symlink_to(part, target_is_directory=True)
    return made


def run(program: Path, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run([program, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_version_is_the_same_everywhere() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    latest = re.search(r"^## \[(.+?)\] - (unreleased|\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    assert latest is not None
    assert latest[1] == mibun.__version__ == PROJECT["version"]


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"mibun-{mibun.__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "mibun",
        "pytest_mibun.py",
        f"mibun-{mibun.__version__}.dist-info",
    }
    for needed in ("py.typed", "learn/data/digits.npz", "learn/data/digits.LICENSE"):
        assert f"mibun/{needed}" in names
    source = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "mibun").rglob("*.py")}
    assert source <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_names_what_it_needs(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = archive.read(f"mibun-{mibun.__version__}.dist-info/METADATA").decode()
    needed = re.findall(r"^Requires-Dist: (.+)$", metadata, re.MULTILINE)
    assert [line for line in needed if "extra ==" not in line] == ["numpy>=1.26"]
    points = archive.read(f"mibun-{mibun.__version__}.dist-info/entry_points.txt").decode()
    assert "mibun = mibun.cli:main" in points
    assert "pytest_mibun = pytest_mibun" in points


def test_it_works_in_an_empty_environment(python: Path, tmp_path: Path) -> None:
    program = """
import json, mibun as mb, numpy as np
from mibun import learn
d = mb.derivative(np.sin, 1.0)
g = mb.gradient(lambda x: np.sum(np.exp(x) * x), np.ones(3), method="chain")
network = learn.Network([learn.Dense(64, 10)], seed=0)
history = learn.train(network, learn.load_digits(), rule=mb.GradientDescent(0.5), epochs=2)
names = [name for name in mb.__all__ if getattr(mb, name) is None]
close = abs(d.value - np.cos(1.0)) <= d.error, np.all(abs(g.value - 2 * np.e) <= g.error)
good = [bool(one) for one in (*close, history.test_accuracy[-1] > 0.8)]
print(json.dumps([mb.__version__, mb.__file__, names, good]))
"""
    done = run(python, "-c", program, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    version, file, names, good = json.loads(done.stdout)
    assert (version, names, good) == (mibun.__version__, [], [True, True, True])
    assert "site-packages" in file
    assert str(ROOT) not in file


def test_without_its_extra_the_command_says_what_to_install(python: Path, tmp_path: Path) -> None:
    command = python.with_name("mibun.exe" if os.name == "nt" else "mibun")
    done = run(command, "derivative", "x", "--at", "1", folder=tmp_path)
    assert done.returncode == 1
    assert "pip install 'mibun[cli]'" in done.stderr
