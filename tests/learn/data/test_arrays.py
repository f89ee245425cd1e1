"""Arrays, npz and CSV files: a right answer or a clear error, whatever the bytes are."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mibun import learn
from mibun.errors import DataError, InputError
from mibun.learn.data import table


def parts(data):
    return (data.train_x, data.train_labels, data.validation_x, data.validation_labels, data.test_x, data.test_labels)


@pytest.mark.parametrize("seed", [0, 7])
def test_every_sample_comes_into_one_split_with_its_own_label(seed):
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    x = np.stack([np.arange(100.0), labels], axis=1)
    data = learn.from_arrays(x, labels, seed=seed)
    found = np.concatenate([data.train_x, data.validation_x, data.test_x])
    assert sorted(found[:, 0]) == list(range(100))
    for samples, own in zip(parts(data)[::2], parts(data)[1::2], strict=True):
        np.testing.assert_array_equal(samples[:, 1], own)
    assert np.bincount(data.test_labels).tolist() == [10, 6, 4]
    assert np.bincount(data.validation_labels).tolist() == [5, 3, 2]
    again = learn.from_arrays(x, labels, seed=seed)
    np.testing.assert_array_equal(again.train_x, data.train_x)


def test_integers_are_pixels_and_floats_stay_as_they_are():
    labels = np.arange(40) % 2
    images = np.full((40, 2, 2), 51, np.uint8)
    data = learn.from_arrays(images, labels)
    assert data.train_x.shape == (28, 4)
    assert data.train_x.dtype == np.float32
    assert (data.train_x == np.float32(0.2)).all()
    assert (learn.from_arrays(images.astype(float), labels).train_x == 51.0).all()
    assert (learn.from_arrays(images.astype(int), labels, normalize=False).train_x == 51).all()


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (np.full((20, 3), 256), np.zeros(20, int), r"integers from 256 to 256, first 256 in sample 0; expected pixels"),
        (np.full((20, 3), -1), np.zeros(20, int), "integers from -1 to -1"),
        (np.ones((20, 3)), np.zeros(20), r"dtype float64; expected integers.*astype\(np.int64\)"),
        (np.ones((20, 3)), np.array(["a"] * 20), "expected integers.*return_inverse"),
        (np.ones((20, 3)), np.full(20, -1), "expected labels from 0 upwards"),
        (np.ones((20, 3)), np.zeros(19, int), "20 samples and labels 19|holds 20 samples"),
        (np.ones((1, 3)), np.zeros(1, int), "1 sample is given, and a share of 0.2"),
        (np.ones(20), np.zeros(20, int), "one sample a row"),
        (np.full((20, 3), np.nan), np.zeros(20, int), "not finite"),
        (np.array([["a"]] * 20), np.zeros(20, int), "expected real numbers"),
        ([[1.0], [1.0, 2.0]], [0, 1], "rows of equal length"),
    ],
)
def test_bad_arrays_are_refused(x, labels, message):
    with pytest.raises(DataError, match=message):
        learn.from_arrays(x, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": 0}, "test=0 is given"),
        ({"test": 1.0}, "test=1.0"),
        ({"validation": -0.1}, "validation=-0.1"),
        ({"validation": 0.6, "test": 0.5}, "leave no sample"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        learn.from_arrays(np.ones((20, 3)), np.zeros(20, int), **options)


def test_a_class_without_training_samples_is_told(tmp_path):
    data = learn.from_arrays(np.ones((40, 3)), np.repeat([0, 2], 20))
    network = learn.Network([learn.Dense(3, 3)])
    (note,) = (note for note in learn.train(network, data, steps=1, batch_size=5).notes if note.kind == "empty class")
    assert note.message == "no training sample shows class 1: it cannot be learnt"


# npz


@pytest.mark.parametrize("names", [("x", "labels"), ("x", "y"), ("images", "labels"), ("data", "target")])
def test_an_npz_file_is_what_from_arrays_makes_of_it(tmp_path, names):
    x, labels = np.random.default_rng(0).random((50, 4)), np.arange(50) % 5
    np.savez(tmp_path / "some.npz", **dict(zip(names, (x, labels), strict=True)))
    for one, other in zip(
        parts(learn.load_npz(tmp_path / "some.npz", seed=3)), parts(learn.from_arrays(x, labels, seed=3)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert learn.load_npz(tmp_path / "some.npz").name == "some"


def test_splits_of_an_npz_file_stay_as_they_are(tmp_path):
    x, labels = np.arange(48, dtype=np.uint8).reshape(12, 2, 2), np.arange(12) % 3
    arrays = {"x_train": x[:8], "y_train": labels[:8], "x_test": x[8:], "y_test": labels[8:]}
    np.savez(tmp_path / "keras.npz", **arrays)
    data = learn.load_npz(tmp_path / "keras.npz")
    np.testing.assert_array_equal(data.train_x, x[:8].reshape(8, 4) / np.float32(255))
    np.testing.assert_array_equal(data.test_labels, labels[8:])
    assert data.validation_x is None


def test_npz_files_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "some.npz"
    with pytest.raises(DataError, match="no file"):
        learn.load_npz(path)
    np.savez(path, pictures=np.ones(3))
    with pytest.raises(DataError, match="holds pictures; expected arrays named x and labels"):
        learn.load_npz(path)
    np.savez(path, x=np.array([object()]), labels=np.zeros(1))
    with pytest.raises(DataError, match="not an npz file that can be read"):
        learn.load_npz(path)
    np.savez(path, x=np.ones((20, 2)), labels=np.zeros(20))
    with pytest.raises(DataError, match=r"some\.npz: labels has the dtype float64"):
        learn.load_npz(path)
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(DataError, match=r"one array without a name|not an npz file"):
        learn.load_npz(path)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder, file = tmp_path_factory.mktemp("npz"), io.BytesIO()
    x, labels = np.arange(80.0).reshape(40, 2), np.arange(40) % 2
    np.savez_compressed(file, x=x, labels=labels)
    return folder / "some.npz", file.getvalue(), learn.from_arrays(x, labels)


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), by=st.integers(0, 255), cut=st.booleans())
def test_damaged_npz_files_are_refused_or_right(stored, place, by, cut):
    path, content, whole = stored
    at = int(place * len(content))
    path.write_bytes(content[:at] + (b"" if cut else bytes([content[at] ^ by]) + content[at + 1 :]))
    try:
        data = learn.load_npz(path)
    except DataError:
        return
    for one, other in zip(parts(data), parts(whole), strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=200), head=st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00"]))
def test_other_bytes_are_no_npz_file(stored, content, head):
    path = stored[0].with_name("other.npz")
    path.write_bytes(head + content)
    with pytest.raises(DataError):
        learn.load_npz(path)


# CSV


def csv_file(tmp_path, text):
    path = tmp_path / "some.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_a_table_is_read_whatever_its_form(tmp_path, separator, header, first):
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(30, 3)), np.arange(30) % 3
    order = [3, 0, 1, 2] if first else [0, 1, 2, 3]
    lines = [["a", "b", "c", "Label"]] if header else []
    lines += [[*map(repr, row.tolist()), str(label)] for row, label in zip(x, labels, strict=True)]
    text = "\n".join(separator.join(line[at] for at in order) for line in lines)
    label = None if header else (0 if first else -1)
    data = learn.load_csv(csv_file(tmp_path, text), label)
    for one, other in zip(parts(data), parts(learn.from_arrays(x, labels)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert data.class_names is None


def test_words_are_numbered_in_sorted_order(tmp_path):
    path = csv_file(tmp_path, "x,y\n" + '0.5,"b, or c"\n1.5,a\n' * 10)
    data = learn.load_csv(path)
    assert data.class_names == ("a", "b, or c")
    np.testing.assert_array_equal(data.train_x[:, 0] == 0.5, data.train_labels == 1)
    wide = learn.load_csv(csv_file(tmp_path, "x,y\n" + "0.5,7\n1.5,1000000\n" * 10))
    assert wide.class_names == ("1000000", "7")
    assert wide.classes == 2


def test_whole_numbers_are_pixels(tmp_path):
    path = csv_file(tmp_path, "label,p,q\n" + "0,0,255\n1,51,0\n" * 10)
    assert set(np.unique(learn.load_csv(path).train_x).tolist()) == {0.0, float(np.float32(0.2)), 1.0}
    assert learn.load_csv(path, normalize=False).train_x.max() == 255
    with pytest.raises(DataError, match=r"integers from 0 to 300.*sample 0; expected pixels"):
        learn.load_csv(csv_file(tmp_path, "label,p,q\n" + "0,0,300\n1,51,0\n" * 10))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no columns"),
        ("a\n1\n", "no columns"),
        ("a,label\n", "no line with numbers"),
        ("a,b,label\n1,,0\n", r"line 2, column 1 \(b\) is empty; expected a finite number"),
        ("a,b,label\n1,2,0\n1,NA,0\n", r"line 3, column 1 \(b\) holds 'NA'"),
        ("a,b,label\n1,nan,0\n", "holds 'nan'"),
        ("a,b,label\n1,1e999,0\n", "holds '1e999'"),
        ("a,b,label\n1,1_0,0\n", "holds '1_0'"),
        ("a,b,label\n1,2,0\n1,2\n", "line 3 has 2 columns; expected 3"),
        ("a,b,label\n1,2,\n", "line 2 has no label"),
        ("a,b,label\n1,2,0.5\n", "the label 0.5; expected classes"),
        ('a,b,label\n1,"2,0\n', "line .*: unexpected end of data"),
        ("a,b,label\n1,2,0\n", "1 sample is given"),
    ],
)
def test_bad_tables_are_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        learn.load_csv(csv_file(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("a,b\n1,2\n", None, "the columns a, b, and none of them is called label.*label=0"),
        ("1,2\n1,2\n", None, "has 2 columns, and none"),
        ("label,y\n1,2\n", None, "more than one"),
        ("a,b\n1,2\n", "c", "label='c' is given, but .* has the columns a, b"),
        ("a,b\n1,2\n", 2, "label=2 is given"),
        ("a,b\n1,2\n", True, "label=True is given"),
    ],
)
def test_the_column_of_labels_is_never_guessed(tmp_path, text, label, message):
    with pytest.raises(InputError, match=message):
        learn.load_csv(csv_file(tmp_path, text), label)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "some.csv"
    path.write_bytes(b"a,label\n\xff\xfe,1\n")
    with pytest.raises(DataError, match="UTF-8"):
        learn.load_csv(path)
    with pytest.raises(DataError, match="no file"):
        learn.load_csv(tmp_path / "none.csv")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='01.5-e,;\n"a_ \r\t\x00é', max_size=80) | st.binary(max_size=60))
def test_any_text_is_refused_or_read(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        data = learn.load_csv(path, 0)
    except InputError:
        return
    assert np.isfinite(data.train_x).all()
    assert data.train_labels.min() >= 0


CELLS = [
    "0",
    "7",
    "2.5",
    "-1e3",
    " 4",
    "5 ",
    "+6",
    ".5",
    "1_0",
    "inf",
    "nan",
    "",
    " ",
    "x",
    "1e400",
    "0x10",
    "1,2",
    "\x00",
    "1j",
    "١",
]


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(st.lists(st.sampled_from(CELLS), min_size=2, max_size=3), min_size=1, max_size=5),
    heads=st.sampled_from([None, ["a", "b"], ["a", "b", "c"]]),
    separator=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\n\n", "", " \n", "\x0b", "\x85"]),
    column=st.integers(0, 1),
)
def test_the_quick_reader_of_tables_gives_what_the_careful_one_gives(rows, heads, separator, end, column):
    text = "\n".join(map(separator.join, ([heads] if heads else []) + rows)) + end
    read = table.Table("x", text, separator)
    quick = table._quickly(read, 2, column, heads)
    if quick is None:
        return
    careful = table._numbers(read, 2, column, heads)
    np.testing.assert_array_equal(quick[0], careful[0])
    assert quick[1] == careful[1]


def test_most_tables_are_read_quickly(tmp_path):
    path = csv_file(tmp_path, "x,y,label\n" + "0.5,-1e3,b\n1.5, 2,a\n" * 10)
    x, words, _ = table._quickly(table._read(path), 3, 2, ["x", "y", "label"])
    np.testing.assert_array_equal(x[:2], [[0.5, -1000.0], [1.5, 2.0]])
    assert words[:2] == ["b", "a"]
