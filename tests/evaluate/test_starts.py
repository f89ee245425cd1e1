"""From where workers can be started: scripts without a guard, standard input, -c, the prompt, a notebook; really."""

import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")

#: A program with nothing but itself: classes, functions, and no `if __name__ == "__main__"`. An empty line ends each
#: block, so that it can be typed at the prompt.
PROGRAM = """
import os
from collections import namedtuple
from mibun.evaluate.crew import crew
from mibun.evaluate.shipping import Shipped

Point = namedtuple("Point", "a b")
class Own(ArithmeticError): pass

offset = 10.0

def helper(x): return Point(x + offset, os.getpid())

def f(x):
    if x.a == 2.0: raise Own("two")
    return helper(x.a)

group = crew(2)
for ticket in range(4): group.submit(ticket, Shipped(f), Point(float(ticket), None))

found = {}
while len(found) < 4: found.update(group.arrived(30))

assert type(found[2].error) is Own, found[2]
assert [type(found[i].value) for i in (0, 1, 3)] == [Point] * 3, found
assert os.getpid() not in {found[i].value.b for i in (0, 1, 3)}
print("found", [found[i].value.a for i in (0, 1, 3)])

"""
FOUND = "found [10.0, 11.0, 13.0]"


def run(*words: str, folder: Path, stdin: str | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_script_without_a_guard(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(PROGRAM + "open('ran', 'a').write('once ')")
    assert run("script.py", folder=tmp_path) == FOUND
    assert (tmp_path / "ran").read_text() == "once "


def test_a_script_whose_folder_hides_modules_of_python(tmp_path: Path) -> None:
    """It is the working folder, and not on the path: the worker must not look there either."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "script.py").write_text(PROGRAM)
    (tmp_path / "pickle.py").write_text("raise ImportError('the wrong one')")
    assert run(str(tmp_path / "folder" / "script.py"), folder=tmp_path) == FOUND


def test_a_function_of_a_module_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("import math\ndef f(x):\n    return math.sqrt(x)\n")
    program = """
        from mibun.evaluate.crew import crew
        from mibun.evaluate.shipping import Shipped
        from beside import f
        group = crew(1)
        group.submit(0, Shipped(f), 9.0)
        print(group.arrived())
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(program))
    (tmp_path / "elsewhere").mkdir()
    assert "value=3.0" in run("../script.py", folder=tmp_path / "elsewhere")


def test_python_c(tmp_path: Path) -> None:
    assert run("-c", PROGRAM, folder=tmp_path) == FOUND


def test_standard_input(tmp_path: Path) -> None:
    assert run("-", folder=tmp_path, stdin=PROGRAM) == FOUND


def test_an_optimized_python_has_optimized_workers(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def f(x):\n    assert x > 1\n    return x\n")
    program = """
        from mibun.evaluate.crew import crew
        from mibun.evaluate.shipping import Shipped
        from beside import f
        group = crew(1)
        group.submit(0, Shipped(f), 1.0)
        print(group.arrived()[0][1].status)
    """
    assert run("-O", "-c", textwrap.dedent(program), folder=tmp_path) == "ok"
    assert run("-c", textwrap.dedent(program), folder=tmp_path) == "raised"


@posix
def test_the_prompt(tmp_path: Path) -> None:
    import pty
    import select

    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHON_BASIC_REPL": "1", "TERM": "dumb"}
    with subprocess.Popen(
        [sys.executable, "-i", "-q"], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as prompt:
        os.close(theirs)
        text, until = "", time.monotonic() + 60
        for line in PROGRAM.strip().splitlines():
            os.write(ours, line.encode() + b"\n")
            time.sleep(0.01)
        try:
            while not re.search(r"^found \[", text, re.MULTILINE) and time.monotonic() < until:
                if select.select([ours], [], [], 1.0)[0]:
                    text += os.read(ours, 4096).decode()
            os.write(ours, b"exit()\n")
            prompt.wait(20)
        finally:
            prompt.kill()
            os.close(ours)
    assert FOUND in text, text


@pytest.mark.filterwarnings("ignore")  # of its own event loops
def test_a_notebook(tmp_path: Path) -> None:
    pytest.importorskip("ipykernel")
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(
        cwd=str(tmp_path), extra_arguments=["--IPKernelApp.kernel_class=ipykernel.ipkernel.IPythonKernel"]
    )
    try:
        printed: list[str] = []
        reply = client.execute_interactive(
            PROGRAM,
            timeout=60,
            output_hook=lambda message: printed.append(message["content"].get("text", str(message["content"]))),
        )
        assert reply["content"]["status"] == "ok", printed
        assert FOUND in "".join(printed)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
