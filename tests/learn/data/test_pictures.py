"""Pictures from outside: fitted as MNIST was made, or refused."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import mibun as mb
from mibun import learn
from mibun.cli import main
from mibun.errors import DataError, MissingDependency
from mibun.learn.data.pictures import read_pictures
from mibun.report.run import RunFolder

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def centre(image):
    rows, columns = np.indices(image.shape) + 0.5
    return (rows * image).sum() / image.sum(), (columns * image).sum() / image.sum()


@pytest.mark.parametrize("shape", [(200, 90), (28, 28), (15, 40)])
@pytest.mark.parametrize("light", [True, False])
def test_a_digit_is_20_pixels_high_or_wide_and_its_centre_of_mass_in_the_middle(shape, light):
    picture = np.zeros(shape, np.uint8)
    picture[2 : shape[0] - 5, 3:11] = 200
    picture[2:6, 3:20] = 200
    fitted = learn.fit_digit(picture if not light else 255 - picture).image
    inked = [np.flatnonzero(fitted.any(axis=axis)) for axis in (1, 0)]
    if light or shape != (28, 28):  # light on dark in 28 x 28 is taken as it is
        assert max(np.ptp(line) + 1 for line in inked) == 20
        np.testing.assert_allclose(centre(fitted), 14, atol=0.51)
    assert fitted.min() == 0
    assert fitted.max() <= 1


def test_images_of_the_training_data_are_left_alone():
    image = learn.load_digits(flatten=False).test_x[3]
    fitted = learn.fit_digit(image, 8)
    assert fitted.what == ""
    np.testing.assert_array_equal(fitted.image, image)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, digits = tmp_path_factory.mktemp("runs"), learn.load_digits()
    network = learn.Network([learn.Dense(64, 50), learn.Sigmoid(), learn.Dense(50, 10)])
    settings = {
        "data": "digits", "hidden": [50], "engine": "chain", "rule": "adam", "learning_rate": 0.01, "epochs": 8,
        "schedule": "constant", "batch_size": 20, "steps": None, "replace": False, "shift": 0, "seed": 0,
        "dtype": "float64", "out": "runs",
    }  # fmt: skip
    with RunFolder(folder, network) as run:
        history = learn.train(network, digits, mb.Adam(0.01), batch_size=20, epochs=8)
        kept = run.keep(network, history, "mibun learn", settings, lambda: "")
    return kept.path, network, digits


def enlarged(image, colours):
    big = np.asarray(Image.fromarray((image * 255).astype(np.uint8)).resize((72, 72), Image.BICUBIC)) / 255
    paper, ink = (np.array(colour) for colour in colours)
    canvas = np.zeros((110, 100))
    canvas[20:92, 7:79] = big
    return Image.fromarray((255 * (paper + (ink - paper) * canvas[..., None])).astype(np.uint8))


def test_pictures_of_another_size_and_colour_are_recognised(trained, tmp_path):
    _, network, digits = trained
    images = []
    for image in digits.test_x[:150].reshape(-1, 8, 8):
        enlarged(image, ([0.95, 0.9, 0.7], [0.1, 0.1, 0.4])).save(tmp_path / "one.png")
        (picture,) = read_pictures(tmp_path / "one.png")
        images.append(learn.fit_digit(picture, 8).image.ravel())
    asked = network.accuracy(np.array(images), digits.test_labels[:150])
    assert asked >= network.accuracy(digits.test_x[:150], digits.test_labels[:150]) - 0.05


def test_predict_answers_for_a_picture_and_says_what_it_did(trained, tmp_path, capsys):
    path, network, digits = trained
    enlarged(digits.test_x[0].reshape(8, 8), ([1, 1, 1], [0, 0, 0])).save(tmp_path / "five.png")
    assert main(["predict", str(path), str(tmp_path / "five.png")]) == 0
    printed = capsys.readouterr()
    assert "dark on light turned round, 100 x 110 pixels fitted into 8 x 8 by their centre of mass" in printed.err
    assert printed.out.startswith(f"{tmp_path / 'five.png'}: {digits.test_labels[0]} (")
    assert " %; then " in printed.out
    again = learn.Network.load(path)
    np.testing.assert_array_equal(again.vector, network.vector)


def test_predict_answers_for_every_image_of_an_npz_file(trained, tmp_path, capsys):
    path, network, digits = trained
    np.savez(tmp_path / "many.npz", images=digits.test_x[:20].reshape(-1, 8, 8))
    assert main(["predict", str(path / "weights.npz"), str(tmp_path / "many.npz")]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    answers = [int(line.split(": ")[1].split()[0]) for line in printed.out.splitlines()]
    assert answers == network.logits(digits.test_x[:20]).argmax(axis=1).tolist()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.full((28, 30), 7, np.uint8), "nothing on this picture"),
        (np.full((28, 30), 7.0), "values from 7.0 to 7.0; expected integers from 0 to 255, or floats"),
        (np.full((28, 30), -1), "values from -1 to -1"),
        (np.full((28, 30), 256), "values from 256"),
        (np.full((28, 30), np.nan), "values from nan"),
        (np.ones(28), "no picture: float64 of shape"),
        (np.ones((28, 28, 2)), "no picture"),
        (np.array([["a"]]), "no picture"),
        (np.zeros((0, 5)), "has no pixel"),
        ([[1], [1, 2]], "no picture"),
    ],
)
def test_what_is_no_picture_is_refused(picture, message):
    with pytest.raises(DataError, match=message):
        learn.fit_digit(picture)


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12))), st.sampled_from([3, 8, 28]))
def test_any_picture_is_fitted_or_refused(picture, side):
    try:
        image, _ = learn.fit_digit(picture, side)
    except DataError:
        assert np.ptp(picture.astype(int)) <= 255
        return
    assert image.shape == (side, side)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1


@settings(max_examples=100, deadline=None)
@given(
    content=st.binary(max_size=200),
    head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM"]),
)
def test_bytes_that_are_no_picture_are_refused(tmp_path_factory, content, head):
    path = tmp_path_factory.getbasetemp() / "fuzz.png"
    path.write_bytes(head + content)
    try:
        (picture,) = read_pictures(path)
    except DataError:
        return
    assert picture.ndim == 3


def test_bad_files_are_named(trained, tmp_path, capsys):
    path, _, _ = trained
    assert main(["predict", str(path), str(tmp_path / "none.png")]) == 2
    assert "There is no file" in capsys.readouterr().err
    np.savez(tmp_path / "flat.npz", labels=np.zeros(3))
    assert main(["predict", str(path), str(tmp_path / "flat.npz")]) == 2
    assert "holds labels; expected an array of pictures" in capsys.readouterr().err
    assert main(["predict", str(tmp_path / "0007"), str(tmp_path / "flat.npz")]) == 2
    assert "there is no run" in capsys.readouterr().err


def test_without_pillow_the_line_that_installs_it_is_told(tmp_path, monkeypatch):
    (tmp_path / "one.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependency, match=r"pip install 'mibun\[data\]'"):
        read_pictures(tmp_path / "one.png")


def test_noise_and_a_small_digit_on_a_large_page_do_not_move_it():
    rng = np.random.default_rng(0)
    digit = np.zeros((40, 24))
    digit[:, 8:16] = 1.0
    want = learn.fit_digit(digit).image
    for page, zoom in (((1200, 900), 10), ((2000, 2000), 2)):
        picture = np.ones(page)
        large = digit.repeat(zoom, axis=0).repeat(zoom, axis=1)
        picture[300 : 300 + 40 * zoom, 500 : 500 + 24 * zoom] -= 0.9 * large
        clean = learn.fit_digit(picture).image
        assert np.abs(clean - want).max() < 0.3  # the edges of a stroke may fall elsewhere in a pixel
        assert np.abs(clean - want).mean() < 0.02
        if zoom == 10:
            noisy = np.clip(picture + 0.1 * rng.normal(size=page), 0, 1)
            assert np.abs(learn.fit_digit(noisy).image - clean).mean() < 0.02


def test_rows_of_numbers_are_taken_as_they_are_and_classes_have_their_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(60, 5)), np.arange(60) % 2
    x[:, 2] += 8 * labels
    lines = [",".join(map(str, [*row, ("iris", "rose")[label]])) for row, label in zip(x.tolist(), labels, strict=True)]
    (tmp_path / "flowers.csv").write_text("\n".join(["a,b,c,d,e,species", *lines]))
    words = ["--data", "flowers.csv", "--batch-size", "5", "--epochs", "20", "--learning-rate", "0.5"]
    assert main(["learn", *words]) == 0
    np.savez(tmp_path / "new.npz", x=x[:6])
    capsys.readouterr()
    assert main(["predict", "runs/0001", "new.npz"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert [line.split()[2] for line in printed.out.splitlines()] == ["iris", "rose"] * 3
    np.savez(tmp_path / "pictures.npz", x=np.ones((2, 9, 9)))
    assert main(["predict", "runs/0001", "pictures.npz"]) == 2
    assert "takes 5 numbers, which make no square picture; give an npz file with an array x of shape (n, 5)" in (
        capsys.readouterr().err
    )
