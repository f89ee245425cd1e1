"""The run folder: numbered, complete or absent, never overwritten, and nothing learnt is lost."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mibun import learn
from mibun.errors import InputError
from mibun.report import run as run_module
from mibun.report.run import RunFolder, environment

FILES = {"history.json", "report.html", "settings.json", "weights.npz"}
COMMAND = "mibun learn --seed 0"


@pytest.fixture(scope="module")
def trained():
    network, digits = learn.Network([learn.Dense(64, 10)]), learn.load_digits()
    return network, learn.train(network, digits, steps=2)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The system's folder for temporary files, for this test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(run_module.tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def small_disk(tmp_path):
    """Make a real disk of few bytes."""
    mounted = []

    def make(size):
        point = tmp_path / "disk"
        point.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(point)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("no mount command here, so no small disk to fill")
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        mounted.append(point)
        return point

    yield make
    for point in mounted:
        subprocess.run(["umount", str(point)], check=True)


def keep(run, trained, report=lambda: "<!doctype html>"):
    network, history = trained
    return run.keep(network, history, COMMAND, {"seed": 0, "hidden": (50,), "steps": None}, report)


def strict(text):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_all_files_are_there_and_can_be_read(tmp_path, trained):
    network, history = trained
    with RunFolder(tmp_path / "a" / "runs", network) as run:
        assert names(tmp_path / "a" / "runs") == {".0001.partial"}
        kept = keep(run, trained, lambda: "<p>미분 ± h")
    assert kept.path == tmp_path / "a" / "runs" / "0001"
    assert kept.trouble is None
    assert names(tmp_path / "a" / "runs") == {"0001"}
    assert names(kept.path) == FILES
    assert (kept.path / "report.html").read_text(encoding="utf-8") == "<p>미분 ± h"
    assert strict((kept.path / "history.json").read_text(encoding="utf-8")) == history.to_dict()
    about = strict((kept.path / "settings.json").read_text(encoding="utf-8"))
    assert about["format"] == "mibun run"
    assert about["version"] == run_module.FORMAT_VERSION
    assert about["command"] == COMMAND
    assert about["settings"] == {"seed": 0, "hidden": [50], "steps": None}
    assert about["environment"] == environment()
    assert environment()["numpy"] == np.__version__
    np.testing.assert_array_equal(learn.Network.load(kept.path / "weights.npz").vector, network.vector)


def test_a_number_is_the_next_after_all_that_were_given(tmp_path, trained):
    for name in ("0002", "0007", ".0009.partial", "10", "00x1", ".git"):
        (tmp_path / name).mkdir()
    with RunFolder(tmp_path, trained[0]) as run:
        assert keep(run, trained).path.name == "0010"
    (tmp_path / "9999").mkdir()
    with RunFolder(tmp_path, trained[0]) as run:
        assert keep(run, trained).path.name == "10000"
    with RunFolder(tmp_path, trained[0]) as run:
        assert keep(run, trained).path.name == "10001"


def test_two_that_looked_at_the_same_time_get_different_numbers(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(run_module, "_number_of", lambda path: 0)  # each sees the folder as it was before the other
    with RunFolder(tmp_path, trained[0]) as first, RunFolder(tmp_path, trained[0]) as second:
        assert keep(first, trained).path.name == "0001"
        with RunFolder(tmp_path, trained[0]) as third:  # 0001 is published, and its hidden folder gone
            assert keep(third, trained).path.name == "0003"
        assert keep(second, trained).path.name == "0002"
    assert names(tmp_path) == {"0001", "0002", "0003"}


def test_settings_that_json_does_not_know_are_refused_before_anything_is_published(tmp_path, trained):
    with pytest.raises(ValueError, match="JSON"), RunFolder(tmp_path, trained[0]) as run:
        run.keep(*trained, COMMAND, {"rate": float("nan")}, lambda: "")
    assert names(tmp_path) == set()


@pytest.mark.parametrize("content", ["empty folder", "full folder", "file", "broken link"])
def test_what_somebody_else_put_under_the_number_stays(tmp_path, trained, content):
    with RunFolder(tmp_path, trained[0]) as run:
        taken = tmp_path / "0001"
        if content == "file":
            taken.write_text("mine")
        elif content == "broken link":
            taken.symlink_to(tmp_path / "nowhere")
        else:
            taken.mkdir()
            if content == "full folder":
                (taken / "mine").write_text("mine")
        kept = keep(run, trained)
    assert kept.path.name == "0002"
    assert names(kept.path) == FILES
    assert names(tmp_path) == {"0001", "0002"}
    if content == "file":
        assert taken.read_text() == "mine"
    elif content == "broken link":
        assert taken.is_symlink()
    else:
        assert names(taken) == ({"mine"} if content == "full folder" else set())


@pytest.mark.parametrize("content", ["full folder", "file"])
def test_what_appears_between_look_and_rename_stays(tmp_path, trained, monkeypatch, content):
    looks, lexists = [], os.path.lexists

    def late(path):
        looks.append(path)
        if len(looks) == 2:  # the look before the rename; the first one was on entering
            assert not lexists(path)
            if content == "file":
                path.write_text("mine")
            else:
                path.mkdir()
                (path / "mine").write_text("mine")
            return False
        return lexists(path)

    monkeypatch.setattr(run_module.os.path, "lexists", late)
    with RunFolder(tmp_path, trained[0]) as run:
        kept = keep(run, trained)
    assert kept.path.name == "0002"
    assert names(tmp_path) == {"0001", "0002"}
    mine = tmp_path / "0001" if content == "file" else tmp_path / "0001" / "mine"
    assert mine.read_text() == "mine"


def test_leaving_without_keeping_leaves_nothing(tmp_path, trained):
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), RunFolder(tmp_path, trained[0]):
            raise error
        assert names(tmp_path) == set()


def test_giving_up_during_the_report_leaves_nothing(tmp_path, trained):
    def report():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), RunFolder(tmp_path, trained[0]) as run:
        keep(run, trained, report)
    assert names(tmp_path) == set()


def test_a_report_that_fails_does_not_lose_what_was_learnt(tmp_path, trained):
    def report():
        raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink") as raised, RunFolder(tmp_path, trained[0]) as run:
        keep(run, trained, report)
    assert names(tmp_path) == {".0001.partial"}
    assert str(tmp_path / ".0001.partial") in raised.value.__notes__[0]
    assert names(tmp_path / ".0001.partial") == FILES - {"report.html"}
    saved = learn.Network.load(tmp_path / ".0001.partial" / "weights.npz")
    np.testing.assert_array_equal(saved.vector, trained[0].vector)


@pytest.mark.parametrize("below", [(), ("deeper",)])
def test_a_parent_that_is_a_file_is_refused_on_entering(tmp_path, trained, below):
    (tmp_path / "file").write_text("mine")
    parent = tmp_path.joinpath("file", *below)
    with pytest.raises(InputError, match=r"cannot be kept in .*file.*expected a folder .*--out"):
        RunFolder(parent, trained[0]).__enter__()
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_parent_without_permission_is_refused_on_entering(tmp_path, trained):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match=r"Permission denied.*--out"):
            RunFolder(tmp_path, trained[0]).__enter__()
    finally:
        tmp_path.chmod(0o700)


def test_a_disk_that_is_full_is_refused_on_entering(small_disk, trained):
    disk = small_disk("4k")
    with pytest.raises(InputError, match=r"No space left on device.*--out"):
        RunFolder(disk, trained[0]).__enter__()
    assert names(disk) == set()


@pytest.mark.parametrize("size", ["12k", "40k"])
def test_a_disk_that_becomes_full_loses_nothing(small_disk, temporary, trained, size):
    disk = small_disk(size)  # 12k: too small for the weights a second time; 40k: too small for the report
    with RunFolder(disk, trained[0]) as run:
        kept = keep(run, trained, lambda: "x" * 60_000)
    assert kept.trouble == "No space left on device"
    assert kept.path.parent == temporary
    assert names(kept.path) == FILES
    assert len((kept.path / "report.html").read_text()) == 60_000
    np.testing.assert_array_equal(learn.Network.load(kept.path / "weights.npz").vector, trained[0].vector)
    assert names(disk) == set()


def test_a_folder_that_is_deleted_meanwhile_loses_nothing(tmp_path, temporary, trained):
    parent = tmp_path / "runs"
    with RunFolder(parent, trained[0]) as run:
        shutil.rmtree(parent)
        kept = keep(run, trained)
    assert kept.path.parent == temporary
    assert names(kept.path) == FILES
    assert kept.trouble == "No such file or directory"


def test_no_room_anywhere_is_said(tmp_path, temporary, trained, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    with RunFolder(tmp_path / "runs", trained[0]) as run:
        monkeypatch.setattr(run_module, "_write", full)
        with pytest.raises(InputError, match=r"neither to .*runs \(No space.* nor to .*temporary.*--out"):
            keep(run, trained)


WORKER = """
import sys, time
from pathlib import Path
from mibun import learn
from mibun.report.run import RunFolder
parent, start, runs, mark = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
network, digits = learn.Network([learn.Dense(64, 10)]), learn.load_digits()
history = learn.train(network, digits, steps=1)
print("ready", flush=True)
while not start.exists():
    time.sleep(0.001)
for number in range(runs):
    with RunFolder(parent, network) as run:
        run.keep(network, history, f"{mark}-{number}", {}, lambda: mark)
"""


def test_processes_at_once_all_keep_their_runs_and_no_folder_is_seen_half_written(tmp_path):
    parent, start, workers, runs = tmp_path / "runs", tmp_path / "start", 4, 8
    parent.mkdir()
    words = [[sys.executable, "-c", WORKER, str(parent), str(start), str(runs), f"w{i}"] for i in range(workers)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in words]
    half, over = [], threading.Event()

    def watch():
        while not over.is_set():
            half.extend(path for path in parent.glob("[0-9]*") if names(path) != FILES)
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        start.touch()
        for process in processes:
            process.communicate(timeout=60)
    finally:
        over.set()
        watcher.join()
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
    assert [process.returncode for process in processes] == [0] * workers
    assert half == []
    assert names(parent) == {f"{number:04d}" for number in range(1, workers * runs + 1)}
    commands = {json.loads((path / "settings.json").read_text())["command"] for path in parent.iterdir()}
    assert commands == {f"w{worker}-{number}" for worker in range(workers) for number in range(runs)}
