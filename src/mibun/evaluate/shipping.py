"""What travels to a worker and back: f, and what became of a point, as bytes that another process can open.

f goes by cloudpickle, so that lambdas, closures and functions of a script or a notebook can be sent. What comes back
is never a reason to fail: an exception that cannot be rebuilt arrives as the nearest built-in kind, and a value that
cannot be sent as a TypeError that says so. Both directions open pickles, and only from processes that run as this user.

This module is loaded by every worker, so it imports next to nothing.
"""

import os
import pickle
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from functools import cached_property
from struct import calcsize, pack, unpack_from
from typing import Any, Final

from mibun.errors import InputError
from mibun.evaluate.messages import Parts, cloudpickled, copied_whole, opened, packed
from mibun.evaluate.outcome import Outcome

__all__ = ["Report", "Shipped", "described", "own", "perform", "sealed", "tried", "unsealed"]

VALUE, ERROR = b"v", b"e"
SECONDS: Final = "<d"
#: The function that arrived last, by its token: the points of one call share it.
_latest: dict[bytes, "Shipped"] = {}


class Shipped:
    """f, and its bytes once they are asked for; calls of f with the same bytes share one copy in a worker.

    Parameters
    ----------
    f : callable
        What it refers to is copied when the bytes are made, so one of these is good for one call of a verb.

    Raises
    ------
    InputError
        If f, or something that it refers to, cannot be copied.
    MissingDependency
        If cloudpickle is not installed. Nothing is raised before the bytes are asked for: threads need none.
    """

    def __init__(self, f: Callable[[Any], Any]) -> None:
        self.f = f
        try:
            folder = os.getcwd()  # noqa: PTH109 (as text)
        except OSError:  # it was removed
            folder = ""
        self.place = (folder, *sys.path)  #: where f is at home: the working folder, and where modules are found

    @cached_property
    def blob(self) -> bytes:
        """The bytes."""
        dumps = cloudpickled()
        try:
            with copied_whole(_unreachable(self.f)):
                return dumps(self.f)
        except Exception as reason:
            raise InputError(
                f"f cannot be sent to another process: {type(reason).__name__}: {reason}; make inside of f what cannot "
                "be copied (locks, open files, connections), or pass threads, which share it: "
                "workers=concurrent.futures.ThreadPoolExecutor(4)"
            ) from reason

    @cached_property
    def token(self) -> bytes:
        """A digest of the bytes."""
        from hashlib import blake2b

        return blake2b(self.blob, digest_size=16).digest()

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (self.token, self.blob)


def _unreachable(f: Any) -> set[str]:
    """Name the modules of f that another process would not find, as those that a test runner or a loader has made.

    What they hold is copied with f; of all others only the names travel.
    """
    from importlib.machinery import PathFinder

    found = set()
    while f is not None:
        homes = {getattr(part, "__module__", None) for part in (f, type(f), getattr(f, "__self__", None))}
        for name in homes - {None, "__main__", "builtins"}:
            top = str(name).partition(".")[0]
            made_here = top not in sys.builtin_module_names and PathFinder.find_spec(top) is None
            if made_here and name in sys.modules:
                found.add(str(name))
        f = getattr(f, "func", None)  # what a partial holds
    return found


def _arrived(token: bytes, blob: bytes) -> Shipped:
    """Open a function once for all points that bring it along."""
    known = _latest.get(token)
    if known is None:
        known = Shipped(opened(blob))
        known.__dict__.update(token=token, blob=blob)
        _latest.clear()
        _latest[token] = known
    return known


class Report:
    """What became of a point, on its way back through somebody else's executor: it can always be pickled."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def __reduce__(self) -> tuple[Any, ...]:
        return _reported, (b"".join(sealed(self.outcome)), self.outcome.worker)


def _reported(message: bytes, worker: str) -> Report:
    return Report(unsealed(message)._replace(worker=worker))


def perform(f: Shipped, x: Any) -> Report:
    """Evaluate f at x, in whatever process or thread this is called."""
    outcome = tried(f.f, x)
    return Report(outcome._replace(value=own(outcome.value), worker=f"process {os.getpid()}{_host()}"))


def _host() -> str:
    return f" on {os.uname().nodename}" if hasattr(os, "uname") else ""


def tried(f: Callable[[Any], Any], x: Any, caught: type[BaseException] = BaseException) -> Outcome:
    """Evaluate f at x; what it raises is kept, with the time that it took."""
    start = time.perf_counter()
    try:
        with _silent():
            value = f(x)
    except caught as reason:
        return Outcome("raised", None, reason, described(reason), time.perf_counter() - start)
    return Outcome("ok", value, seconds=time.perf_counter() - start)


def own(thing: Any) -> Any:
    """Copy a point, to which f may write, or a value, where f may write its next one; keep what cannot be copied."""
    if isinstance(thing, float | int | complex):
        return thing
    try:
        return deepcopy(thing)
    except Exception:  # noqa: BLE001 (of a kind that is no number; what reads it will say so)
        return thing


def _silent() -> AbstractContextManager[object]:
    """Keep NumPy from warning, if anything has loaded it."""
    numpy = sys.modules.get("numpy")
    return nullcontext() if numpy is None else numpy.errstate(all="ignore")


def described(reason: BaseException) -> str:
    """Write type and text of an exception."""
    return f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__


def sealed(outcome: Outcome) -> Parts:
    """Make bytes of an outcome, whatever f returned or raised."""
    if outcome.error is not None:
        return ERROR, _sealed_error(outcome, outcome.error)
    seconds = pack(SECONDS, outcome.seconds)
    try:
        return VALUE, seconds, *packed(outcome.value)
    except Exception:  # noqa: BLE001 (an array of objects: the general way is tried, too)
        try:
            return VALUE, seconds, cloudpickled()(outcome.value)
        except Exception as reason:  # noqa: BLE001 (whatever it is, it becomes the outcome)
            kind = type(outcome.value).__name__
            error = TypeError(f"f returned a {kind}, which cannot be sent from a worker: {described(reason)}")
            return sealed(outcome._replace(status="raised", value=None, error=error, text=described(error)))


def unsealed(message: bytes | memoryview) -> Outcome:
    """Make an outcome of its bytes."""
    try:
        if message[:1] == VALUE:
            (seconds,) = unpack_from(SECONDS, message, 1)
            return Outcome("ok", opened(message[1 + calcsize(SECONDS) :]), seconds=seconds)
        return Outcome(*opened(message[1:]))
    except Exception as reason:  # noqa: BLE001 (whatever it is, it becomes the outcome)
        error = TypeError(f"what f returned or raised cannot be rebuilt here: {described(reason)}")
        return Outcome("raised", None, error, described(error))


def _sealed_error(outcome: Outcome, error: BaseException) -> bytes:
    """Make bytes of an outcome with an exception, which gets its traceback as a note."""
    import traceback

    trace = error.__traceback__ and error.__traceback__.tb_next  # the first frame is our own
    lines = traceback.format_exception(type(error), error, trace)
    try:
        copy = cloudpickled()(tuple(outcome._replace(error=_noted(error, "".join(lines), outcome.worker))))
        opened(copy)
    except Exception:  # noqa: BLE001 (whatever it is: what cannot be rebuilt is replaced)
        nearest = outcome._replace(error=_noted(_nearest(error), "".join(lines), outcome.worker))
        return pickle.dumps(tuple(nearest), protocol=5)
    return copy


def _noted(error: BaseException, trace: str, worker: str) -> BaseException:
    error.add_note(f"raised in {worker or f'process {os.getpid()}'}:\n{trace.rstrip()}")
    return error


def _nearest(error: BaseException) -> BaseException:
    """Replace an exception by one of the first built-in kind above its own that takes one text."""
    for kind in type(error).__mro__:
        if kind.__module__ == "builtins":
            try:
                nearest: BaseException = kind(described(error))
            except Exception:  # noqa: BLE001, S112 (a kind that wants other arguments, such as UnicodeDecodeError)
                continue
            return nearest
    raise AssertionError("every exception is a BaseException")
