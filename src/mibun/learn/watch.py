"""When a training run is looked at, and what is worth saying: each kind of finding once, and again when it has doubled.

The checks themselves are those of `diagnosis`. Dear ones are made after 1, 2, 4, 8 ... epochs, and only where they take
a small share of the time; none draws from the random generators of the run or changes its weights.
"""

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from mibun.descent.rules import Rule
from mibun.learn.batches import Batches
from mibun.learn.bounds import Array
from mibun.learn.data import Dataset
from mibun.learn.diagnosis import (
    FACTORS,
    WINDOW,
    Trial,
    dead_units,
    empty_classes,
    lost_in_error,
    overfitting,
    plateau,
)
from mibun.learn.engines import Engine
from mibun.learn.history import Finding, Stop
from mibun.learn.network import Network

__all__ = ["Watch"]

#: Steps that a gradient with errors costs at most, and the share of the time that one may take.
ERRORS_COST: Final = 20
SHARE: Final = 0.02
#: Seconds that are always free, and those that a search for a rate that does not diverge may take.
FREE: Final = 0.05
TRIALS: Final = 1.0
#: Runs shorter than this are not asked whether their rate is too small.
LEAST_STEPS: Final = 200
#: A seed for the batches of trials, far from those that people take.
TRIAL_SEED: Final = 2**62 + 1


class Watched(Protocol):
    """What is looked at of a run."""

    network: Network
    losses: list[float]
    measured: list[tuple[int, float, float | None, float]]
    notes: list[Finding]
    seconds: float
    start: Array
    stop: Stop

    def grown(self) -> str:
        """Say so where the loss grew."""


class Watch:
    """Looks at a run after its steps, and gives what was found."""

    def __init__(
        self,
        dataset: Dataset,
        engine: Engine,
        rule: Rule,
        batches: Callable[[int | None], Batches],
        steps: int,
        per_epoch: int,
    ) -> None:
        self.dataset, self.engine, self.rule, self.batches = dataset, engine, rule, batches
        self.steps, self.per_epoch = steps, per_epoch
        self.trial_at = max(steps // 10, 50) if steps >= LEAST_STEPS else None

    def look(self, run: Watched, end: bool) -> list[Finding]:
        """Give the findings after the last step of `run` that are news."""
        done, found = len(run.losses), list[Finding | None]()
        if end:
            found += self._at_end(run)
        elif done == 0:
            found.append(empty_classes(self.dataset))
        else:
            if done == self.trial_at:
                found.append(self._too_small(run))
            if done == 1 or self._rarely(done):
                found.append(self._lost(run))
            if done % self.per_epoch == 0:
                found += self._at_epoch(run)
        known = {note.kind: note.value for note in run.notes}
        return [one for one in found if one is not None and _is_news(one, known)]

    def _rarely(self, done: int) -> bool:
        epoch, rest = divmod(done, self.per_epoch)
        return rest == 0 and epoch & (epoch - 1) == 0

    def _at_epoch(self, run: Watched) -> list[Finding | None]:
        found: list[Finding | None] = [self._overfitting(run)]
        done = len(run.losses)
        if self._rarely(done):
            found.append(dead_units(done, run.network, self.dataset.train_x))
        if not run.grown():
            found.append(plateau(run.losses, self.per_epoch, run.measured[-1][1]))
        # Small data have short epochs, and the first steps of a good run may go up.
        elif done >= WINDOW and not any(note.kind == "diverging" for note in run.notes):
            found.append(self._diverging(run, done))
        return found

    def _at_end(self, run: Watched) -> list[Finding | None]:
        done = len(run.losses)
        diverged = run.stop is Stop.NOT_FINITE or bool(run.losses and run.grown())
        known = any(note.kind == "diverging" for note in run.notes)
        return [
            dead_units(done, run.network, self.dataset.train_x),
            self._overfitting(run) if done else None,
            self._diverging(run, done) if diverged and not known else None,
        ]

    def _overfitting(self, run: Watched) -> Finding | None:
        step, train, validation, test = run.measured[-1]
        if validation is None or self.dataset.validation_labels is None:
            return overfitting(step, train, test, len(self.dataset.test_labels), "test")
        return overfitting(step, train, validation, len(self.dataset.validation_labels), "validation")

    def _lost(self, run: Watched) -> Finding | None:
        done = len(run.losses)
        step = run.seconds / done
        if ERRORS_COST * step > max(FREE, SHARE * step * (self.steps if done == 1 else done)):
            return None
        x, targets = self.batches(TRIAL_SEED).draw()
        try:
            return lost_in_error(done, run.network, self.engine, x, targets)
        except NotImplementedError:  # an engine of the user's own needs only `into` and `cost` to train
            return None

    def _diverging(self, run: Watched, done: int) -> Finding:
        seconds = max(TRIALS, SHARE * run.seconds)
        trial = Trial(run.network, self.engine, self.rule, lambda: self.batches(None), seconds)
        return trial.diverging(done, run.start)

    def _too_small(self, run: Watched) -> Finding | None:
        done = len(run.losses)
        steps = min(max(self.steps // 100, 20), 100)
        # A frozen one, and one for each factor; four times of what they should take.
        seconds = max(FREE, 4 * steps * run.seconds / done * (1 + len(FACTORS)))
        trial = Trial(run.network, self.engine, self.rule, lambda: self.batches(TRIAL_SEED), seconds)
        return trial.too_small(done, steps)


def _is_news(finding: Finding, known: dict[str, float]) -> bool:
    if finding.kind not in known:
        return True
    before = known[finding.kind]
    return bool(np.isfinite(before)) and finding.kind in ("dead units", "overfitting") and finding.value >= 2 * before
