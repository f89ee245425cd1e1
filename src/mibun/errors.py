"""Every error and warning that mibun raises, as one tree.

::

    MibunError
    ├── InputError (ValueError)        what was given cannot be used; the message says what to write instead
    │   ├── DataError                  a data file or a dataset: corrupt, truncated, foreign, inconsistent
    │   └── FormatError                a file that mibun wrote: of another shape, or of a newer version
    ├── NotConverged (ArithmeticError) Derivative.require() met an element without a trustworthy number
    ├── StoreError (OSError)           a store cannot be read or written now: full disk, no permission, held by others
    ├── CheckFailed (AssertionError)   CheckReport.require() met a derivative that is wrong, or could not be decided
    ├── DownloadError (OSError)        data could not be fetched: no network, a broken mirror, wrong bytes
    ├── WorkerError (RuntimeError)     processes that evaluate f cannot be started, or are lost for good
    └── MissingDependency (ImportError) an optional package is not installed; the message is the install line

    MibunWarning (UserWarning)
    ├── FunctionUnchanged              f gave the same value at every point that was tried
    ├── SourceChanged                  a store has values of another source of f under the same name
    └── DeadDifferences                differences of two float32 losses vanish, the step being too small for them
"""

__all__ = [
    "CheckFailed",
    "DataError",
    "DeadDifferences",
    "DownloadError",
    "FormatError",
    "FunctionUnchanged",
    "InputError",
    "MibunError",
    "MibunWarning",
    "MissingDependency",
    "NotConverged",
    "SourceChanged",
    "StoreError",
    "WorkerError",
]


class MibunError(Exception):
    """Root of all errors that mibun raises on purpose."""


class InputError(MibunError, ValueError):
    """What was given cannot be used; the message says what is expected and what to write instead."""


class DataError(InputError):
    """A data file or a dataset is corrupt, truncated, foreign or inconsistent."""


class FormatError(InputError):
    """A file that mibun writes has another shape or a newer version than this mibun reads."""


class NotConverged(MibunError, ArithmeticError):
    """`Derivative.require` met an element without a trustworthy number."""


class StoreError(MibunError, OSError):
    """A store cannot be read or written now; what it holds already is intact, and stays."""


class CheckFailed(MibunError, AssertionError):
    """`CheckReport.require` met a derivative that is wrong, or that could not be decided; the message is the report."""


class DownloadError(MibunError, OSError):
    """Data could not be fetched: no network, a broken mirror, or bytes with the wrong checksum."""


class WorkerError(MibunError, RuntimeError):
    """Processes that evaluate f cannot be started, or what runs them is lost for good."""


class MissingDependency(MibunError, ImportError):
    """An optional package is not installed; the message holds the line that installs it."""

    @classmethod
    def of(cls, package: str, extra: str, purpose: str) -> "MissingDependency":
        """Build the message for `package`, which the extra `extra` installs and `purpose` needs."""
        return cls(f"{purpose} needs the package {package!r}; install it with: pip install 'mibun[{extra}]'")


class MibunWarning(UserWarning):
    """Root of all warnings that mibun gives."""


class FunctionUnchanged(MibunWarning):
    """f gave the same value at every point that was tried, so all derivatives are zero."""


class SourceChanged(MibunWarning):
    """A store has values under this name that another source of f gave."""


class DeadDifferences(MibunWarning):
    """Differences of two float32 losses came out as 0, for the step is too small for their digits."""
