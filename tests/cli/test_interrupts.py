"""The first Ctrl-C ends the training; only a second one gives up what was learnt."""

import signal
import threading

import pytest

from mibun.cli import interrupts as interrupts_module
from mibun.cli.interrupts import Interrupts


@pytest.fixture(autouse=True)
def python_handles_it():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def interrupted():
    """Press Ctrl-C, and say whether it interrupted."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        return True
    return False


def test_the_first_press_interrupts_and_its_echo_does_not():
    with Interrupts():
        assert interrupted()
        assert not interrupted()


def test_a_later_press_interrupts_again(monkeypatch):
    with Interrupts():
        assert interrupted()
        monkeypatch.setattr(interrupts_module, "ONE_PRESS", -1.0)
        assert interrupted()


def test_once_held_the_first_press_only_says_so(monkeypatch, capfd):
    with Interrupts() as interrupts:
        interrupts.hold()
        assert not interrupted()
        assert "press Ctrl-C again to give up" in capfd.readouterr().err
        assert not interrupted()
        monkeypatch.setattr(interrupts_module, "ONE_PRESS", -1.0)
        assert interrupted()


def test_a_handler_of_somebody_else_stays():
    pressed = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    with Interrupts():
        assert not interrupted()
    assert pressed == [signal.SIGINT]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_thread_leaves_the_handler_alone():
    def use():
        with Interrupts():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
