"""The first Ctrl-C ends the training after the step; what was learnt is given up only on a warning."""

import signal
import threading
import time

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


def ended(interrupts):
    """Come to the end of a step, and say whether the training ends there."""
    try:
        interrupts.check()
    except KeyboardInterrupt:
        return True
    return False


def test_the_first_press_ends_the_training_after_the_step():
    with Interrupts() as interrupts:
        assert not ended(interrupts)
        assert not interrupted()
        assert not interrupted()  # its echo
        assert ended(interrupts)
        assert not ended(interrupts)


def test_a_second_press_ends_the_step(monkeypatch, capfd):
    with Interrupts():
        monkeypatch.setattr(interrupts_module, "ONE_PRESS", -1.0)
        assert not interrupted()
        assert interrupted()
        assert not interrupted()  # what was learnt is written by now
        assert "press Ctrl-C again to give up" in capfd.readouterr().err
        assert interrupted()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers of POSIX")
def test_a_step_that_goes_on_for_too_long_is_cut_off(monkeypatch):
    monkeypatch.setattr(interrupts_module, "GRACE", 0.05)
    before = signal.getsignal(signal.SIGALRM)
    with Interrupts() as interrupts:
        assert not interrupted()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(10)
        assert not ended(interrupts)
    # A step that ended in time stops the clock.
    with Interrupts() as interrupts:
        assert not interrupted()
        assert ended(interrupts)
        time.sleep(0.1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_once_held_the_first_press_only_says_so(monkeypatch, capfd):
    with Interrupts() as interrupts:
        interrupts.hold()
        assert not interrupted()
        assert "press Ctrl-C again to give up" in capfd.readouterr().err
        assert not interrupted()
        assert not ended(interrupts)
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
