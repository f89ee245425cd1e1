"""The evaluations of one call of a verb: what is in the store comes from there, the rest from the crew, and is stored.

Single points arrive in any order. Stacks of a vectorized f come a round at a time, because what is in a stack must not
depend on who was faster; one that is lost or raises is halved until the point is found.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np

from mibun.errors import InputError
from mibun.evaluate.crew import Crew
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.progress import ProgressLine
from mibun.evaluate.rows import Key
from mibun.evaluate.serial import OUTSIDE, Lost
from mibun.evaluate.shipping import Shipped
from mibun.evaluate.store import Run

__all__ = ["Counts", "Piece", "Session", "raise_again", "stacked"]

#: Seconds between two looks at the clock of the progress line.
TICK: Final = 0.5
#: Points under way at once, and their bytes, unless the workers need more.
MOST: Final = 2**14
MOST_BYTES: Final = 2**25


@dataclass
class Counts:
    """What an evaluator has done.

    Attributes
    ----------
    calls : int
        Calls of f that were made, those again after a kill or an exception among them; a stack of points is one.
    retries : int
        Calls that were made again after an exception.
    stored : int
        Points whose value came from the store.
    kills : int
        Workers that ended at a point.
    failed : int
        Points, or stacks of them, without an answer: killed, timed out, raised what is no domain exception.
    """

    calls: int = 0
    retries: int = 0
    stored: int = 0
    kills: int = 0
    failed: int = 0

    def met(self, outcome: Outcome) -> None:
        """Count what became of a point."""
        self.calls += 1 + outcome.kills + outcome.retries - (outcome.status == "killed")
        self.retries += outcome.retries
        self.kills += outcome.kills
        self.failed += not answered(outcome)


class Piece(NamedTuple):
    """What became of some neighbouring points of a round: of all in one stack, or of each."""

    part: slice
    value: Any  #: what f returned for the stack; None if there is none
    rows: dict[int, Outcome]  #: by place in the part: what is to be taken instead


@dataclass
class _Stack:
    """Some neighbouring points of a round on their way."""

    part: slice
    keys: list[Key]

    def halves(self) -> Iterator["_Stack"]:
        middle = (self.part.start + self.part.stop) // 2
        cut = middle - self.part.start
        yield _Stack(slice(self.part.start, middle), self.keys[:cut])
        yield _Stack(slice(middle, self.part.stop), self.keys[cut:])


@dataclass
class Session:
    """Evaluate the points of one call of a verb.

    Parameters
    ----------
    crew : Crew
    f : Shipped
    counts : Counts
        Of the evaluator; these go on.
    run : Run, optional
        Of a store.
    line : ProgressLine, optional
    patient : bool
        What f raises is a failure of the point alone, and not raised again.
    taken : Lock
        Held from `begin` to `close`: what a crew gives back belongs to one session.
    """

    crew: Crew
    f: Shipped
    counts: Counts
    run: Run | None = None
    line: ProgressLine | None = None
    patient: bool = False
    taken: Lock = field(default_factory=Lock)
    done: int = 0
    stored: int = 0
    failed: int = 0
    expected: int = 0
    _numbers: Iterator[int] = field(default_factory=count)
    _flying: dict[int, tuple[Any, Key | None]] = field(default_factory=dict)
    _ready: list[tuple[Any, Outcome]] = field(default_factory=list)

    def begin(self) -> None:
        """Take the crew.

        Raises
        ------
        InputError
            If another call has it: one of another thread, or the one that evaluates the f in which this one is.
        """
        if not self.taken.acquire(blocking=False):
            raise InputError(
                "the evaluator is at work for another call (of another thread, or around this one); give this call an "
                "Evaluator of its own, with the same store if you like"
            )
        if self.line is not None:
            self.line.start(0)

    def submit(self, points: Sequence[tuple[Hashable, Any, int]]) -> None:
        """Have f evaluated at points: each with a ticket, which comes back, and its lane in the store."""
        keys: Sequence[Key | None] = [None] * len(points)
        found: Sequence[Outcome | None] = keys  # type: ignore[assignment]
        if self.run is not None and points:
            own = self.run.keys((x for _, x, _ in points), [lane for *_, lane in points])
            keys, found = own, self.run.lookup(own)
        for (ticket, x, _), key, outcome in zip(points, keys, found, strict=True):
            if outcome is None:
                self._send(ticket, key, x)
            else:
                self._replayed(1)
                self._ready.append((ticket, outcome))

    def arrived(self) -> list[tuple[Any, Outcome]]:
        """Wait for at least one point; nothing if none is under way. What comes is stored before it is given."""
        ready, self._ready = self._ready, []
        if ready or not self._flying:
            self._tell()
            return ready
        landed = self._landed()
        tickets = [self._flying.pop(number) for number, _ in landed]
        outcomes = [outcome for _, outcome in landed]
        for outcome in outcomes:
            self.counts.met(outcome)
            self.done += 1
            self.failed += not answered(outcome)
        if self.run is not None:
            outcomes = self.run.record([key for _, key in tickets if key is not None], outcomes)
        self._tell()
        return [(ticket, outcome) for (ticket, _), outcome in zip(tickets, outcomes, strict=True)]

    def room(self, row_bytes: int) -> int:
        """Say how many more points of so many bytes may be submitted: all have work, and what waits takes memory."""
        most = max(min(MOST, MOST_BYTES // row_bytes), 2 * self.crew.size)
        return max(0, most - len(self._flying) - len(self._ready))

    def outcomes(self, points: Iterable[Any], lanes: Sequence[int], row_bytes: int) -> list[Outcome]:
        """Evaluate f at points, which are made as there is room for them, and wait for all."""
        asked = ((place, x, lane) for place, (x, lane) in enumerate(zip(points, lanes, strict=True)))
        found: dict[int, Outcome] = {}
        while len(found) < len(lanes):
            self.submit(list(islice(asked, self.room(row_bytes))))
            found.update(self.arrived())
        return [found[place] for place in range(len(lanes))]

    def stacks(self, make: Callable[[slice], Any], total: int, most: int, lanes: Sequence[int]) -> list[Piece]:
        """Evaluate a vectorized f at `total` points, in stacks of at most `most`, and wait for all of them.

        Parameters
        ----------
        make : callable
            From a part of the points to a new stack of them.
        total, most : int
        lanes : sequence of int
            Of each point, in the store.
        """
        # as many stacks as there are workers, and of one size, so that the bits of a run depend on nothing else
        size = max(1, min(most, -(-total // self.crew.size)))
        pieces: list[Piece] = []
        for begin in range(0, total, size):
            part = slice(begin, min(begin + size, total))
            keys = [] if self.run is None else self.run.keys_of_stack(make(part), part.stop - part.start, lanes[part])
            self._begin(_Stack(part, keys), make, pieces)
            while len(self._flying) > 2 * self.crew.size:  # nobody waits, and what is under way takes memory
                self._gather(make, pieces)
        while self._flying:
            self._gather(make, pieces)
        return sorted(pieces, key=lambda piece: piece.part.start)

    def _begin(self, stack: _Stack, make: Callable[[slice], Any], pieces: list[Piece]) -> None:
        """Take a stack from the store, or have f evaluated at it. What is there in part was halved, and is again."""
        if self.run is not None:
            found = self.run.lookup(stack.keys)
            rows = {place: outcome for place, outcome in enumerate(found) if outcome is not None}
            if len(rows) == len(found):
                self._replayed(len(rows))
                pieces.append(Piece(stack.part, None, rows))
                return
            if rows:
                for half in stack.halves():
                    self._begin(half, make, pieces)
                return
        self._send(stack, None, make(stack.part))

    def _gather(self, make: Callable[[slice], Any], pieces: list[Piece]) -> None:
        """Wait for at least one stack; what has a value is stored before an exception of another one is raised."""
        for number, outcome in sorted(self._landed(), key=lambda landed: not answered(landed[1])):
            stack, _ = self._flying.pop(number)
            self.counts.met(outcome)
            self._finish(stack, outcome, make, pieces)
        self._tell()

    def _finish(self, stack: _Stack, outcome: Outcome, make: Callable[[slice], Any], pieces: list[Piece]) -> None:
        """Keep what became of a stack, or have its halves evaluated."""
        rows: dict[int, Outcome] = {}
        size = stack.part.stop - stack.part.start
        if outcome.status == "ok":
            if self.run is not None:
                rows = self.run.record_stack(stack.keys, outcome)
            pieces.append(Piece(stack.part, outcome.value, rows))
        elif size > 1 and (self.patient or answered(outcome) or outcome.status != "raised"):
            for half in stack.halves():
                self._send(half, None, make(half.part))
            return
        elif size > 1:
            raise_again(outcome)
        else:
            if self.run is not None:
                (outcome,) = self.run.record(stack.keys, [outcome])
            pieces.append(Piece(stack.part, None, {0: outcome}))
            self.failed += not answered(outcome)
        self.done += size

    def interrupted(self) -> str:
        """Store what has arrived in the meantime, and say how to go on."""
        if self.run is None:
            lost = f"{self.done:,} points were evaluated and are lost; a store keeps them"
            return f"{lost}: store= and name= of an Evaluator, --store and --name of the command line"
        for number, outcome in self.crew.arrived(0.0):
            ticket, key = self._flying.pop(number)
            if key is not None:
                self.run.record([key], [outcome])
                self.done += 1
            elif outcome.status == "ok":
                self.run.record_stack(ticket.keys, outcome)
                self.done += len(ticket.keys)
        return f"{self.done:,} points are kept in {self.run.place}; the same call goes on from there"

    def close(self) -> None:
        """Forget what is under way, end the progress line, and leave the crew to others."""
        try:
            if self._flying:
                self.crew.cancel()
                self._flying.clear()
            self._ready.clear()
            if self.line is not None:
                self.line.close()
        finally:
            self.taken.release()

    def _send(self, ticket: Any, key: Key | None, x: Any) -> None:
        number = next(self._numbers)
        self._flying[number] = ticket, key
        self.crew.submit(number, self.f, x)

    def _replayed(self, points: int) -> None:
        self.done += points
        self.stored += points
        self.counts.stored += points

    def _landed(self) -> list[tuple[int, Outcome]]:
        """Wait for the crew."""
        while not (landed := self.crew.arrived(None if self.line is None else TICK)):
            self._tell()
        return landed

    def _tell(self) -> None:
        if self.line is not None:
            total = max(self.expected, self.done + len(self._flying))
            busy = min(len(self._flying), self.crew.size)
            self.line.update(self.done, total, stored=self.stored, busy=busy, failed=self.failed)


def answered(outcome: Outcome) -> bool:
    """Say whether f answered: by a value, or by an exception that means "outside the domain"."""
    return outcome.status == "ok" or (outcome.status == "raised" and isinstance(outcome.error, OUTSIDE))


def raise_again(outcome: Outcome, patient: bool = False) -> None:
    """Raise what f raised, or `Lost` for what is a failure of its point alone."""
    if outcome.status == "raised" and outcome.error is not None and (not patient or isinstance(outcome.error, OUTSIDE)):
        raise outcome.error
    if outcome.status == "raised":
        raise Lost(f"f raised {outcome.text}")
    if outcome.status == "timeout":
        raise Lost(f"f was {outcome.text}")
    raise Lost(f"killed: {outcome.text}")


def stacked(values: Sequence[Any]) -> Any:
    """Put single values of f into one stack, as a vectorized f returns them."""
    first = values[0]
    if isinstance(first, dict):
        return {key: stacked([value[key] for value in values]) for key in first}
    if isinstance(first, list | tuple):
        parts = [stacked(part) for part in zip(*values, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return np.stack(values)
