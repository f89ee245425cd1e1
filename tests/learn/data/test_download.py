"""The download, against a real server on this machine that is good, broken, slow, or lies."""

import gzip
import hashlib
import http.server
import logging
import sys
import threading
import time

import numpy as np
import pytest

from mibun.errors import DownloadError, MissingDependency
from mibun.learn.data import download, load_mnist, mnist


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


FILES = {
    "train-images-idx3-ubyte": idx(np.arange(120, dtype=np.uint8).reshape(20, 3, 2)),
    "train-labels-idx1-ubyte": idx(np.arange(20, dtype=np.uint8) % 10),
    "t10k-images-idx3-ubyte": idx(np.arange(48, dtype=np.uint8).reshape(8, 3, 2)),
    "t10k-labels-idx1-ubyte": idx(np.arange(8, dtype=np.uint8)),
}
FIRST, LAST = "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


def good(handler, content):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def plain(handler, content):
    good(handler, gzip.decompress(content))


def half(handler, content):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])


def status(code):
    return lambda handler, _content: handler.send_error(code)


def keeps_open(handler, _content):
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(500)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    handler.wfile.write(bytes(1_000_000))


def silent(handler, _content):
    handler.server.closing.wait(10)


def silent_half_way(handler, content):
    half(handler, content)
    handler.wfile.flush()
    handler.server.closing.wait(10)


def hang_up(handler, _content):
    handler.close_connection = True


def sends(other):
    return lambda handler, _content: good(handler, other)


def endless(piece, pause):
    def answer(handler, _content):
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.closing.wait(pause):
            handler.wfile.write(piece)

    return answer


class Server(http.server.ThreadingHTTPServer):
    """Answers for each file name in its own way; remembers what it was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {}
        self.default = good
        self.asked = []
        self.closing = threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request, client_address):
        """Say nothing when a client leaves early, which some tests make it do."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/")
        self.server.asked.append(name)
        content = gzip.compress(FILES[name.removesuffix(".gz")], mtime=0)
        self.server.answers.get(name, self.server.default)(self, content)

    def log_message(self, *_args):
        pass


@pytest.fixture
def start():
    servers = []

    def start():
        server = Server()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server(start, monkeypatch):
    one = start()
    monkeypatch.setenv("MIBUN_MNIST_MIRROR", one.address)
    return one


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "mnist"


@pytest.fixture(autouse=True)
def small_world(monkeypatch, tmp_path):
    monkeypatch.delenv("MIBUN_DATA", raising=False)
    monkeypatch.delenv("MIBUN_MNIST_MIRROR", raising=False)
    monkeypatch.setenv("MIBUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(mnist, "MNIST", mnist.MNIST._replace(mirrors=()))
    monkeypatch.setattr(download, "TIMEOUT", 1.0)
    sums = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(mnist, "MNIST", mnist.MNIST._replace(files=sums))


def in_folder(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("answer", [good, plain])
def test_the_files_are_fetched_checked_and_kept(server, cache, answer, capfd, caplog):
    server.default = answer
    caplog.set_level(logging.DEBUG, logger="pooch")
    first = load_mnist()
    assert first.train_labels.tolist() == [*range(10), *range(10)]
    assert first.name == "mnist"
    assert in_folder(cache) == sorted(f"{name}.gz" for name in FILES)
    server.default = status(500)
    np.testing.assert_array_equal(load_mnist().train_x, first.train_x)
    assert len(server.asked) == 4
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.name.startswith("pooch")]


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (status(404), "HTTP 404 Client Error: Not Found\n"),
        (status(500), "HTTP 500 Server Error"),
        (keeps_open, "HTTP 500 Server Error"),
        (half, "the connection closed half way"),
        (hang_up, "the connection closed without an answer"),
        (silent, r"timed out, nothing came for 1 s"),
        (silent_half_way, r"timed out, nothing came for 1 s"),
        (
            sends(gzip.compress(FILES["t10k-labels-idx1-ubyte"][:-1] + b"\1")),
            "wrong bytes, expected the md5 sum",
        ),
        (sends(b"<html>Please log in</html>"), r"wrong bytes, .*the file looks like an HTML page"),
        (
            sends(gzip.compress(FILES["t10k-labels-idx1-ubyte"])[:-4]),
            "wrong bytes, a gzip file that does not unpack",
        ),
        (sends(b""), "wrong bytes, expected .*the file is empty"),
        (sends(b"\x1f\x8b rubbish"), "wrong bytes, a gzip file that does not unpack"),
    ],
)
def test_a_broken_mirror(server, cache, answer, part):
    server.answers[LAST] = answer
    began = time.monotonic()
    with pytest.raises(DownloadError, match=part) as caught:
        load_mnist()
    assert time.monotonic() - began < 5
    message = str(caught.value)
    assert server.address + LAST in message
    assert "$MIBUN_DATA/mnist" in message
    assert "load_mnist(root=folder)" in message
    assert in_folder(cache) == sorted(f"{name}.gz" for name in FILES if f"{name}.gz" != LAST)
    server.answers.clear()
    assert len(load_mnist().test_x) == 8
    assert server.asked.count(FIRST) == 1


def test_wrong_bytes_are_told_with_both_checksums(server):
    other = FILES["t10k-labels-idx1-ubyte"]
    server.answers[FIRST] = sends(gzip.compress(other))
    expected, got = (hashlib.md5(content).hexdigest() for content in (FILES[FIRST.removesuffix(".gz")], other))
    with pytest.raises(DownloadError, match=f"expected the md5 sum {expected}, got {got}"):
        load_mnist()


@pytest.mark.parametrize(
    ("name", "value", "answer", "part"),
    [
        ("LARGEST", 100_000, endless(bytes(70_000), 0), "wrong bytes, more than 100,000 of them"),
        ("DEADLINE", 0.2, endless(bytes(70_000), 0.05), r"timed out, not complete after 0\.2 s"),
    ],
)
def test_a_mirror_that_never_ends(server, cache, monkeypatch, name, value, answer, part):
    monkeypatch.setattr(download, name, value)
    server.default = answer
    with pytest.raises(DownloadError, match=part):
        load_mnist()
    assert in_folder(cache) == []


def test_a_small_file_that_unpacks_to_much_is_not_unpacked_to_its_end(server, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 200_000)
    server.default = sends(gzip.compress(bytes(100 << 20)))
    unpacked = []
    read = gzip.GzipFile.read

    def count(self, size=-1):
        piece = read(self, size)
        unpacked.append(len(piece))
        return piece

    monkeypatch.setattr(gzip.GzipFile, "read", count)
    with pytest.raises(DownloadError, match="wrong bytes, more than 200,000 of them when unpacked"):
        load_mnist()
    assert sum(unpacked) < 300_000


@pytest.mark.parametrize("answer", [status(404), status(503), half, hang_up, silent, sends(b"PK\3\4")])
def test_the_second_mirror_takes_over(start, cache, monkeypatch, answer):
    first, second = start(), start()
    first.answers[LAST] = answer
    monkeypatch.setattr(mnist, "MNIST", mnist.MNIST._replace(mirrors=(first.address, second.address)))
    assert len(load_mnist().train_x) == 20
    assert second.asked == [LAST]
    assert len(in_folder(cache)) == 4


def test_every_mirror_says_what_happened(start, monkeypatch):
    first, second, third = start(), start(), start()
    first.default, second.default, third.default = status(404), silent, sends(b"\x89PNG")
    monkeypatch.setattr(mnist, "MNIST", mnist.MNIST._replace(mirrors=(first.address, second.address, third.address)))
    with pytest.raises(DownloadError) as caught:
        load_mnist()
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("MNIST could not be downloaded. No mirror gave train-images-idx3-ubyte.gz, ")
    assert lines[1].startswith(f"  {first.address}{FIRST}: HTTP 404 Client Error: Not Found")
    assert lines[2] == f"  {second.address}{FIRST}: timed out, nothing came for 1 s"
    assert lines[3].startswith(f"  {third.address}{FIRST}: wrong bytes, expected the md5 sum ")
    assert lines[3].endswith("(unpacked; the file looks like a PNG image)")
    assert lines[4].startswith("Without a network, put the four files (train-images-idx3-ubyte, ")


def test_no_network(start, cache, monkeypatch):
    server = start()
    closed = "http://127.0.0.1:1/"
    monkeypatch.setattr(mnist, "MNIST", mnist.MNIST._replace(mirrors=(closed, closed)))
    with pytest.raises(DownloadError, match=f"{closed}{FIRST}: no connection"):
        load_mnist()
    assert in_folder(cache) == []
    assert server.asked == []


def test_an_address_that_is_none(monkeypatch):
    monkeypatch.setenv("MIBUN_MNIST_MIRROR", "ftp//nowhere")
    with pytest.raises(DownloadError, match=f"ftp//nowhere/{FIRST}: cannot be fetched"):
        load_mnist()


def test_the_variable_replaces_the_mirrors(start, server, monkeypatch):
    other = start()
    monkeypatch.setattr(mnist, "MNIST", mnist.MNIST._replace(mirrors=(other.address,)))
    load_mnist()
    assert len(server.asked) == 4
    assert other.asked == []


def test_a_complete_data_folder_needs_no_network(server, tmp_path, monkeypatch):
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("MIBUN_DATA", str(tmp_path / "data"))
    load_mnist()
    assert server.asked == []


def test_concurrent_downloads_do_no_harm(server, cache):
    results = []
    threads = [threading.Thread(target=lambda: results.append(load_mnist())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert len(in_folder(cache)) == 4


def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    with pytest.raises(DownloadError, match=r"The cache folder .* cannot be written: .* Set MIBUN_CACHE to"):
        load_mnist()
    assert server.asked == []


def test_an_interrupted_download_leaves_nothing(server, cache, monkeypatch):
    def interrupt(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_verify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_mnist()
    assert in_folder(cache) == []


def test_without_pooch(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingDependency, match=r"downloading MNIST needs the package 'pooch'.*mibun\[data\]"):
        load_mnist()
    assert server.asked == []
