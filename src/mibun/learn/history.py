"""What a training run leaves behind."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mibun.errors import FormatError

__all__ = ["Finding", "History", "Stop"]


class Stop(Enum):
    """Why training stopped; the value of each member is the sentence for the user."""

    FINISHED = "all steps were done"
    INTERRUPTED = "interrupted; the network holds what was learnt until then"
    CALLBACK = "stopped by the callback; the network holds what was learnt until then"
    NOT_FINITE = "the loss was no longer a finite number; the network holds the last good weights"

    @property
    def word(self) -> str:
        """The member in one or two words: `"not finite"`."""
        return self.name.lower().replace("_", " ")


class Finding(NamedTuple):
    """Something that a person should know about a training run.

    Attributes
    ----------
    kind
        What it is in a word or two: `"dead units"`.
    step
        Number of steps done when it was found.
    message
        A sentence with the numbers behind it.
    value
        The number that decided: a share, a gap, a learning rate.
    """

    kind: str
    step: int
    message: str
    value: float


@dataclass(frozen=True, eq=False)
class History:
    """The course of a training run: a frozen value.

    Attributes
    ----------
    loss : ndarray of shape (steps,)
        Mean loss of each step's batch, before its update.
    measured_at : ndarray of int
        Number of steps done at each measurement of the accuracies: 0, every epoch, the end.
    train_accuracy, validation_accuracy, test_accuracy : ndarray, one value a measurement
        Shares of right answers; `validation_accuracy` is None without validation data.
    steps, epochs
        Updates done, and passes over the training data that they make.
    evaluations
        Elementary evaluations that all gradients consumed (see `Cost`).
    seconds, measuring_seconds
        Time for gradients and updates, and for the accuracies.
    stop : Stop
        Why training stopped.
    message
        The same in a sentence with its numbers.
    settings
        Engine, rule, batch size, seed and sizes, as words and numbers.
    notes : tuple of Finding
        What was found out about the run while it lasted, in the order of time: dead units, overfitting and the like.
    """

    loss: NDArray[np.float64]
    measured_at: NDArray[np.int64]
    train_accuracy: NDArray[np.float64]
    validation_accuracy: NDArray[np.float64] | None
    test_accuracy: NDArray[np.float64]
    steps: int
    epochs: float
    evaluations: int
    seconds: float
    measuring_seconds: float
    stop: Stop
    message: str
    settings: dict[str, Any]
    notes: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        loss = f"{self.loss[-1]:.4g}" if len(self.loss) else "none"
        return (
            f"History({self.steps} steps, {self.epochs:.4g} epochs, loss {loss}, test accuracy "
            f"{self.test_accuracy[-1]:.4f}, {self.evaluations:,} evaluations, {self.seconds:.2f} s; {self.message})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the same as plain lists, numbers and words, ready for JSON (a loss that is not finite is None)."""
        return {
            "loss": [value if np.isfinite(value) else None for value in self.loss.tolist()],
            "measured_at": self.measured_at.tolist(),
            "train_accuracy": self.train_accuracy.tolist(),
            "validation_accuracy": None if self.validation_accuracy is None else self.validation_accuracy.tolist(),
            "test_accuracy": self.test_accuracy.tolist(),
            "steps": self.steps,
            "epochs": self.epochs,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "measuring_seconds": self.measuring_seconds,
            "stop": self.stop.word,
            "message": self.message,
            "settings": self.settings,
            "notes": [
                note._asdict() | {"value": note.value if np.isfinite(note.value) else None} for note in self.notes
            ],
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "History":
        """Make a history of what `to_dict` gave; a loss that was not finite comes back as nan.

        Raises
        ------
        FormatError
            If something is missing, or of another kind.
        """
        try:
            stops = {stop.word: stop for stop in Stop}
            validation = stored["validation_accuracy"]
            return cls(
                loss=np.array(stored["loss"], np.float64),
                measured_at=np.array(stored["measured_at"], np.int64),
                train_accuracy=np.array(stored["train_accuracy"], np.float64),
                validation_accuracy=None if validation is None else np.array(validation, np.float64),
                test_accuracy=np.array(stored["test_accuracy"], np.float64),
                steps=int(stored["steps"]),
                epochs=float(stored["epochs"]),
                evaluations=int(stored["evaluations"]),
                seconds=float(stored["seconds"]),
                measuring_seconds=float(stored["measuring_seconds"]),
                stop=stops[stored["stop"]],
                message=str(stored["message"]),
                settings=dict(stored["settings"]),
                notes=tuple(
                    Finding(**note | {"value": float("nan") if note["value"] is None else float(note["value"])})
                    for note in stored.get("notes", ())
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"this is no history of a training run: {error!r} in it") from None
