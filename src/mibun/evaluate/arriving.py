"""Lead conversations whose points arrive one by one: each element goes on as soon as its own values are there.

The rounds of an element are those that it has in lock-step, and its values are read in the order in which they were
asked for. So it finds the same, to the bit, whichever point is faster, and a slow point holds up its own element alone.
"""

from collections import deque
from typing import cast

from mibun.evaluate.drive import Leading, Round, Talk
from mibun.evaluate.outcome import Outcome
from mibun.evaluate.served import Served

__all__ = ["Arriving"]


class Arriving(Leading):
    """As `Leading`, for points that are evaluated by a `Served`."""

    def run(self) -> None:
        """Lead all conversations to their ends."""
        served = cast(Served, self.evaluator)
        before, elements = served.session.done, len(self.seen)
        self.rounds: dict[int, Round] = {}
        self.here: dict[int, dict[complex, Outcome]] = {}
        groups: dict[int, list[Talk]] = {}
        for talk in self.talks:
            groups.setdefault(talk.element, []).append(talk)
        self.talks = []
        waiting = deque(groups.items())
        while waiting or self.rounds:
            while waiting and served.room():
                self.goes_on(served, *waiting.popleft())
            for (element, coordinate), outcome in served.arrived():
                here = self.here[element]
                here[coordinate] = outcome
                asked = self.rounds[element].asked
                if len(here) == len(asked):
                    rows = served.read(asked, [here[point] for _, point in asked])
                    self.goes_on(served, element, self.finish(self.rounds.pop(element), rows))
                    if element not in self.rounds and served.session.expected <= before:
                        served.session.expected = before + elements * (len(self.seen[element]) - 1)
        if served.kept is not None:  # in the order of the elements, not of what arrived
            served.kept.sort(key=lambda kept: int(kept[0][0]))

    def goes_on(self, served: Served, element: int, talks: list[Talk]) -> None:
        """Have the next points of an element evaluated, if there are any."""
        while talks:
            begun = self.begin(talks)
            if begun.asked:
                self.rounds[element], self.here[element] = begun, {}
                served.submit(begun.asked)
                return
            talks = self.finish(begun, [])
