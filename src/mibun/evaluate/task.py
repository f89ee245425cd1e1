"""One point on its way, from the side that has it evaluated: how often it was tried, and since when it is at work."""

from dataclasses import dataclass
from typing import Any, Final

from mibun.evaluate.outcome import Outcome
from mibun.evaluate.shipping import Shipped

__all__ = ["KILLS", "Task", "late"]

#: A point that ends so many workers is not tried again.
KILLS: Final = 2


@dataclass(slots=True, eq=False)
class Task:
    """A point, and what it went through."""

    ticket: int
    f: Shipped
    x: Any
    kills: int = 0
    retries: int = 0
    since: float = 0.0  #: when it was begun, on the monotonic clock

    def ended(self, outcome: Outcome, worker: str = "") -> tuple[int, Outcome]:
        """Complete an outcome by what is known here."""
        status, value, error, text, seconds, name, _, _ = outcome  # `_replace` takes as long as a way through a pipe
        return self.ticket, Outcome(status, value, error, text, seconds, worker or name, self.kills, self.retries)

    def again(self, outcome: Outcome, retries: int) -> bool:
        """Say whether an exception is to be tried again, and count it: those that mean "outside the domain" are not."""
        error = outcome.error
        if not isinstance(error, Exception) or isinstance(error, ArithmeticError | ValueError):
            return False
        if self.retries == retries:
            return False
        self.retries += 1
        return True


def late(timeout: float, worker: str = "", more: str = "") -> Outcome:
    """Say that a point took longer than it may."""
    return Outcome("timeout", text=f"not done after {timeout:g} s{more}", seconds=timeout, worker=worker)
