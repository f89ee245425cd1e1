"""Writers of a store that are killed with SIGKILL at random moments: nothing is lost, repeated or damaged."""

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from kills import Tally, kills, work

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")


def test_twenty_rounds(tmp_path: Path) -> None:
    tally = kills(20, 20260, tmp_path)
    assert tally.sound, tally
    assert tally.acknowledged > 100


class Stop(Exception):
    """Ends a writer."""


def test_the_rounds_see_a_row_that_is_lost_and_one_that_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that acknowledges before it records, and one that does not look: played here, without a process."""
    import kills as module

    def played(count: int, forgets: bool) -> list[str]:
        lines = tmp_path / "lines"
        plain = os.write

        def until(file: int, data: bytes) -> int:
            written = plain(file, data)
            if lines.read_text().count("acknowledged") == count:
                raise Stop
            return written

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", until)
            if forgets:
                patch.setattr("mibun.evaluate.store.Run.record", lambda *_: [])
                patch.setattr("mibun.evaluate.store.Run.lookup", lambda _, keys: [None] * len(keys))
            with pytest.raises(Stop):
                work(str(tmp_path / "0.db"), str(lines), 1)
        told = lines.read_text().split("\n")[:-1]
        lines.unlink()
        return told

    told = iter([played(3, forgets=False), played(5, forgets=True)])
    monkeypatch.setattr(module, "_round", lambda *_, **__: next(told))
    assert kills(2, 0, tmp_path) == Tally(2, evaluated=8, acknowledged=5, lost=2, repeated=3, damaged=0)
