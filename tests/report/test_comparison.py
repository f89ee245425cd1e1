"""Runs side by side on one page, from what stands in their folders; and pages as a browser shows them."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import mibun as mb
from mibun import learn
from mibun.cli import main
from mibun.errors import FormatError, InputError
from mibun.report import training_report
from mibun.report.comparison import comparison_report, read_run
from mibun.report.run import RunFolder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def keep_run(folder, rate):
    network, digits = learn.Network([learn.Dense(64, 12), learn.Sigmoid(), learn.Dense(12, 10)]), learn.load_digits()
    with RunFolder(folder, network) as run:
        history = learn.train(network, digits, mb.GradientDescent(rate), batch_size=20, epochs=4)
        command, settings = f"mibun learn --learning-rate {rate}", {"learning_rate": rate, "seed": 0}

        def report():
            return training_report(history, network, digits, command=command, settings=settings)

        run.keep(network, history, command, settings, report)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of different rates, one of them with findings."""
    folder = tmp_path_factory.mktemp("runs")
    for rate in (0.01, 300.0):
        keep_run(folder, rate)
    return folder


def test_a_history_comes_back_from_its_file(runs):
    network = learn.Network([learn.Dense(64, 10)])
    history = learn.train(network, learn.load_digits(), mb.GradientDescent(300.0), batch_size=20, epochs=3)
    again = learn.History.from_dict(history.to_dict())
    np.testing.assert_array_equal(again.loss, history.loss)
    np.testing.assert_array_equal(again.validation_accuracy, history.validation_accuracy)
    assert again.notes == history.notes
    assert again.stop is history.stop
    assert again.to_dict() == history.to_dict()
    for broken in ({}, history.to_dict() | {"stop": "tired"}, history.to_dict() | {"loss": "x"}):
        with pytest.raises(FormatError, match="no history"):
            learn.History.from_dict(broken)


def test_runs_are_compared_in_numbers_settings_and_findings(runs, capsys):
    assert main(["report", str(runs / "0001"), str(runs / "0002")]) == 0
    assert (runs / "comparison.html").as_uri() in capsys.readouterr().out
    page = (runs / "comparison.html").read_text(encoding="utf-8")
    assert page == comparison_report([read_run(runs / "0001"), read_run(runs / "0002")])
    for text in ("2 training runs compared", "diverging", "<td>0.01</td><td>300.0</td>", "--learning-rate 0.01"):
        assert text in page
    settings = page[page.index('id="settings"') : page.index('id="diagnosis"')]
    assert "seed" not in settings  # it is the same
    assert page.count("<svg") == 2


def test_one_run_can_be_looked_at_too(runs, tmp_path):
    assert main(["report", str(runs / "0001"), "--out", str(tmp_path / "one.html")]) == 0
    assert "Settings</h2>" in (tmp_path / "one.html").read_text(encoding="utf-8")


def test_runs_that_are_not_there_or_damaged_are_named(runs, tmp_path, capsys):
    with pytest.raises(InputError, match=r"there is no run .*0009; .* there are 0001, 0002"):
        read_run(runs / "0009")
    shutil.copytree(runs / "0001", tmp_path / "0001")
    (tmp_path / "0001" / "history.json").write_text("[]")
    with pytest.raises(FormatError):
        read_run(tmp_path / "0001")
    (tmp_path / "0001" / "history.json").unlink()
    with pytest.raises(InputError, match="killed before its end"):
        read_run(tmp_path / "0001")
    (tmp_path / "0001" / "settings.json").write_text('{"format": "mibun run", "version": 9, "settings": {}}')
    with pytest.raises(FormatError, match="version 9"):
        read_run(tmp_path / "0001")
    with pytest.raises(InputError, match="expected 1 to 8"):
        comparison_report([read_run(runs / "0001")] * 9)
    assert main(["report", str(runs / "0001"), "--out", str(tmp_path / "no" / "where.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


# As a browser shows it


@pytest.fixture(scope="module")
def shot(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from matplotlib.image import imread

    folder = tmp_path_factory.mktemp("browser")

    def take(page, width, height=2400):
        image = folder / f"{width}.png"
        # Without a network: what the page needs is in it.
        command = [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--proxy-server=0.0.0.0:1",
        ]
        command += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}", f"--screenshot={image}"]
        done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=False)
        if not image.exists():
            pytest.skip(f"chromium takes no picture here: {done.stderr[-200:]}")
        return imread(image)[..., :3]

    return take


@pytest.mark.skipif(sys.platform == "win32" or os.name != "posix", reason="chromium of Linux")
@pytest.mark.parametrize("width", [500, 1200])
def test_the_report_fills_the_page_and_nothing_leaves_it(runs, shot, width):
    picture = shot(runs / "0002" / "report.html", width)
    assert picture.shape[1] == width
    ink = (np.abs(picture - picture[2, 2]) > 0.1).any(axis=2)
    columns, rows = ink.any(axis=0), ink.any(axis=1)
    assert not columns[:8].any()  # a margin on both sides: nothing is wider than the page
    assert not columns[-8:].any()
    assert rows.mean() > 0.4
    # Blue lines of the curves, amber of the findings.
    for colour in ((0.0, 0.447, 0.698), (0.851, 0.557, 0.0)):
        assert (np.abs(picture - colour).max(axis=2) < 0.05).sum() > 100


def test_it_prints_on_few_pages(runs, shot, tmp_path):
    shot(runs / "0001" / "report.html", 500)  # skips where there is no browser
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    page = (runs / "0001" / "report.html").as_uri()
    subprocess.run(
        [*command, f"--print-to-pdf={tmp_path / 'p.pdf'}", page], capture_output=True, timeout=120, check=False
    )
    content = (tmp_path / "p.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert 1 <= content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") + content.count(b"/Type /Page/") <= 8
