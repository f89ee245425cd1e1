"""`mibun learn` inside this process, with a report that costs nothing."""

import json
import shlex
import sys
import types

import numpy as np
import pytest

from mibun.cli import learn as learn_module
from mibun.cli import main
from mibun.cli import settings as settings_module
from mibun.errors import FormatError
from mibun.learn import Network, load_digits

FILES = {"history.json", "report.html", "settings.json", "weights.npz"}


@pytest.fixture
def reports(monkeypatch):
    """What the report was asked to tell, run by run; the real one has tests of its own."""
    asked = []

    def training_report(history, network, dataset, *, command, settings):
        asked.append((history, network, dataset, command, settings))
        return f"<!doctype html><p>{command}"

    fake = types.ModuleType("mibun.report.training")
    fake.training_report = training_report
    monkeypatch.setitem(sys.modules, "mibun.report.training", fake)
    return asked


@pytest.fixture
def here(tmp_path, monkeypatch, reports):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(here, capsys):
    """Run a command that must be refused before training starts, and give its one line."""

    def run(*words):
        before = {path.name for path in here.iterdir()}
        assert main(["learn", *words]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("mibun: ")
        assert printed.err.count("\n") == 1
        assert {path.name for path in here.iterdir()} == before
        return printed.err

    return run


@pytest.fixture
def idx_folder(tmp_path):
    """A folder with 60 + 10 images of 3 x 3 pixels and 4 classes, as plain IDX files."""
    folder, rng = tmp_path / "tiny", np.random.default_rng(5)
    folder.mkdir()
    for part, count in (("train", 60), ("t10k", 10)):
        labels = np.arange(count, dtype=np.uint8) % 4
        pixels = rng.integers(0, 50, (count, 9), dtype=np.uint8)
        pixels[np.arange(count), labels] = 255
        head = (0, 0, 8, 3, *count.to_bytes(4), *(3).to_bytes(4), *(3).to_bytes(4))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(bytes(head) + pixels.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(bytes((0, 0, 8, 1, *count.to_bytes(4))) + labels.tobytes())
    return folder


def read(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_a_run_is_announced_shown_kept_and_summed_up(here, reports, capsys):
    assert main(["learn", "--steps", "70"]) == 0
    printed = capsys.readouterr()
    folder = here / "runs" / "0001"
    assert {path.name for path in folder.iterdir()} == FILES
    errors = printed.err.splitlines()
    assert errors[0].startswith("Training 64-50-10 on 1,259 digits images, engine chain: ")
    assert errors[0].endswith(" evaluations a step")
    assert errors[1].startswith("step 1 of 70: loss 2.")
    assert errors[2].startswith("step 70 of 70: loss ")
    assert len(errors) == 3
    (history, network, dataset, command, settings) = reports[0]
    summary = printed.out.splitlines()
    right = round(history.test_accuracy[-1] * 359)
    assert summary[0].startswith(f"Test accuracy {100 * right / 359:.1f} % ({right} of 359 images), 70 steps, ")
    assert summary[1:] == ["Run folder: runs/0001", f"Look at it in a browser: {(folder / 'report.html').as_uri()}"]
    assert dataset.name == "digits"
    assert settings["learning_rate"] == settings_module.DEFAULTS["digits"].learning_rate
    np.testing.assert_array_equal(Network.load(folder / "weights.npz").vector, network.vector)
    assert network.accuracy(load_digits().test_x, load_digits().test_labels) == history.test_accuracy[-1]
    assert read(folder, "history.json")["steps"] == 70
    assert read(folder, "settings.json")["command"] == command
    assert read(folder, "settings.json")["settings"] == {**settings, "hidden": [50]}


def test_every_option_arrives_and_the_command_repeats_the_run(here, reports, capsys):
    words = [
        "--data",
        "digits",
        "--hidden",
        "7,5",
        "--activation",
        "tanh",
        "--engine",
        "coordinate",
        "--rule",
        "descent",
    ]
    words += ["--learning-rate", "0.25", "--schedule", "constant", "--batch-size", "9", "--steps", "2", "--replace"]
    words += ["--shift", "1", "--seed", "4", "--dtype", "float32", "--out", "my runs"]
    assert main(["learn", *words]) == 0
    history, network, _, command, settings = reports[0]
    assert shlex.split(command) == ["mibun", "learn", *words]
    assert [layer.outputs for layer in network.layers if hasattr(layer, "outputs")] == [7, 5, 10]
    assert [repr(layer) for layer in network.layers[1::2]] == ["Tanh()", "Tanh()"]
    assert network.dtype == np.float32
    assert history.settings["rule"] == "GradientDescent(learning_rate=0.25)"
    assert history.settings["engine"].startswith("Coordinate(")
    assert (history.settings["batch_size"], history.settings["seed"], history.steps) == (9, 4, 2)
    assert settings["out"] == "my runs"
    assert main(shlex.split(command)[1:]) == 0
    first, second = (Network.load(here / "my runs" / name / "weights.npz").vector for name in ("0001", "0002"))
    assert first.tobytes() == second.tobytes()
    assert "Run folder: my runs/0002" in capsys.readouterr().out


def test_the_defaults_are_those_of_the_table(here, reports, monkeypatch):
    defaults = settings_module.Defaults(learning_rate=0.125, batch_size=600, epochs=2)
    monkeypatch.setitem(settings_module.DEFAULTS, "digits", defaults)
    assert main(["learn"]) == 0
    assert reports[0][0].steps == 6
    given = " --learning-rate 0.125 --schedule constant --batch-size 600 --epochs 2 --shift 0 --seed 0 "
    assert given in reports[0][3]


@pytest.mark.parametrize(("activation", "rate"), [("sigmoid", 2.0), ("tanh", 0.2), ("relu", 0.2)])
def test_an_activation_learns_with_its_own_rate(here, reports, activation, rate):
    assert main(["learn", "--activation", activation, "--epochs", "5"]) == 0
    history, network, *_, settings = reports[0]
    assert settings["learning_rate"] == rate
    assert settings["activation"] == activation
    assert repr(network.layers[1]).lower() == f"{activation}()"
    assert history.test_accuracy[-1] > 0.9
    assert "diverging" not in {note.kind for note in history.notes}


def test_settings_of_another_mibun_are_refused(here, reports):
    assert main(["learn", "--steps", "1"]) == 0
    about = read(here / "runs" / "0001", "settings.json")["settings"]
    assert settings_module.Settings.of({name: value for name, value in about.items() if name != "activation"})
    for name in ("activation", "rule", "schedule"):
        with pytest.raises(FormatError, match=f"has the {name} 'swish'; this mibun knows "):
            settings_module.Settings.of(about | {name: "swish"})


def test_the_seed_changes_the_run(here, reports):
    for seed in ("0", "1"):
        assert main(["learn", "--steps", "1", "--seed", seed]) == 0
    assert reports[0][1].vector[0] != reports[1][1].vector[0]
    np.testing.assert_array_equal(reports[0][2].test_labels, reports[1][2].test_labels)


def test_no_hidden_layer(here, reports):
    assert main(["learn", "--hidden", "none", "--steps", "1"]) == 0
    assert reports[0][1].vector.size == 650
    assert "--hidden none" in reports[0][3]


def test_a_folder_of_idx_files(here, reports, idx_folder, capsys):
    assert main(["learn", "--data", "tiny", "--hidden", "6", "--batch-size", "10", "--epochs", "2"]) == 0
    history, network, dataset, command, _ = reports[0]
    assert (network.inputs, network.outputs) == (9, 4)
    assert [len(part) for part in (dataset.train_x, dataset.validation_x, dataset.test_x)] == [50, 10, 10]
    assert history.steps == 10
    assert shlex.split(command)[3] == str(idx_folder)
    assert "Training 9-6-4 on 50 tiny images" in capsys.readouterr().err


def test_a_home_folder_is_found(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here / "home"))
    assert main(["learn", "--steps", "1", "--out=~/runs"]) == 0
    assert (here / "home" / "runs" / "0001" / "report.html").is_file()


def test_divergence_keeps_the_run_and_says_so(here, reports, capsys):
    assert main(["learn", "--learning-rate", "1e308", "--steps", "50"]) == 1
    printed = capsys.readouterr()
    assert "mibun: the loss was no longer a finite number" in printed.err
    assert "try a learning rate below 1e+308" in printed.err
    assert {path.name for path in (here / "runs" / "0001").iterdir()} == FILES
    assert np.isfinite(Network.load(here / "runs" / "0001" / "weights.npz").vector).all()
    assert read(here / "runs" / "0001", "history.json")["stop"] == "not finite"


def test_a_disk_that_fails_at_the_end_is_said(here, reports, monkeypatch, capsys):
    from mibun.report import run

    monkeypatch.setattr(run.tempfile, "tempdir", str(here))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "_flush_folder", lambda folder: full() if folder.name == "runs" else None)
    assert main(["learn", "--steps", "1"]) == 0
    printed = capsys.readouterr()
    assert "mibun: the run could not be kept where it was asked for (No space left on device)" in printed.err
    folder = next(here.glob("mibun-run-*"))
    assert f"Run folder: {folder}" in printed.out
    assert {path.name for path in folder.iterdir()} == FILES


# Bad input


def test_a_data_folder_that_is_missing(refused):
    line = refused("--data", "nowhere")
    assert "--data nowhere does not exist; expected digits, mnist, fashion, a file .npz or .csv" in line


def test_data_that_is_a_file(refused, here):
    (here / "file").write_text("")
    assert "--data file is a file of another kind; expected digits, mnist" in refused("--data", "file")


def test_a_data_folder_without_the_files(refused, here):
    (here / "empty").mkdir()
    line = refused("--data", "empty")
    assert "--data empty" in line
    assert "does not hold train-images-idx3-ubyte" in line


def test_a_data_file_that_is_truncated(refused, here, idx_folder):
    images = idx_folder / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-5])
    assert "train-images-idx3-ubyte" in refused("--data", "tiny")


def test_no_network_for_the_download(refused, here, monkeypatch):
    from mibun.errors import DownloadError

    def fail(root):
        raise DownloadError("MNIST could not be downloaded.\nWithout a network, write load_mnist(root=folder).")

    monkeypatch.setattr(settings_module, "load_mnist", fail)
    assert refused("--data", "mnist").endswith("Here that is: mibun learn --data folder.\n")


@pytest.mark.parametrize("rate", ["-0.1", "0", "fast", "nan", "inf"])
def test_a_learning_rate_that_is_no_number_above_zero(refused, rate):
    assert "learning" in refused("--learning-rate", rate)


def test_an_engine_that_is_unknown(refused):
    line = refused("--engine", "magic")
    assert "'magic' is not one of 'auto', 'chain', 'column', 'coordinate', 'direction', 'node'" in line
    assert "mibun learn --help" in line


def test_a_batch_larger_than_the_data(refused):
    line = refused("--batch-size", "1260")
    assert "--batch-size 1260 is given, but there are only 1,259 training images; give at most 1259" in line


def test_epochs_and_steps_together(refused):
    assert "--epochs and --steps are both given; give one of them" in refused("--epochs", "1", "--steps", "1")


@pytest.mark.parametrize("widths", ["", "0", "50,", "50,-1", "a", "1e2", "9" * 5000])
def test_widths_that_are_none(refused, widths):
    assert "expected widths above 0, such as 50 or 100,50, or none" in refused("--hidden", widths)


@pytest.mark.parametrize("option", ["--epochs", "--steps", "--batch-size"])
def test_counts_that_are_none(refused, option):
    assert f"'{option}': 0 is not in the range x>=1" in refused(option, "0")


def test_a_seed_below_zero(refused):
    assert "'--seed': -1 is not in the range x>=0" in refused("--seed", "-1")


def test_a_dtype_that_is_unknown(refused):
    assert "'float16' is not one of 'float64', 'float32'" in refused("--dtype", "float16")


def test_an_option_that_is_unknown(refused):
    assert "--lerning-rate" in refused("--lerning-rate", "1")


def test_a_run_folder_that_cannot_be_written_is_said_before_training(refused, here, monkeypatch):
    (here / "file").write_text("mine")
    monkeypatch.setattr(learn_module, "train", lambda *arguments, **options: pytest.fail("training started"))
    for out in ("file", "file/deeper"):
        line = refused("--out", out)
        assert f"the run cannot be kept in '{out}'" in line
        assert "write another one, such as --out " in line


def test_a_network_that_does_not_fit_into_memory(refused, monkeypatch):
    def fail(*arguments):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr(settings_module.Settings, "build", fail)
    assert "not enough memory" in refused("--hidden", "999999999")


def test_an_error_that_is_a_bug_shows_its_traceback(here, monkeypatch):
    def fail(*arguments):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(settings_module.Settings, "build", fail)
    with pytest.raises(ZeroDivisionError):
        main(["learn"])
