"""Points and values as bytes: numbers of NumPy and plain arrays as they lie in memory, everything else as a pickle.

NumPy's own pickles are twice as slow for a small array, and copy a large one once more. An array that arrives is
a copy out of the message, so that it is aligned as any other, with the same bits from every sum, and f may write to it.
"""

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from mibun.errors import MissingDependency

__all__ = ["Parts", "cloudpickled", "copied_whole", "opened", "packed", "pickled"]

#: What is sent one after the other, as one message.
Parts = tuple[bytes | memoryview, ...]
PLAIN: Final = (float, int, complex, bool, type(None))
#: First bytes of a message: every pickle of protocol 2 and later begins with PICKLE.
PICKLE, ARRAY, SCALAR = 0x80, 0x61, 0x73
KINDS: Final = "fciub"  #: of numbers; objects, records and dates are pickled


def packed(thing: Any) -> Parts:
    """Make bytes of a point or a value."""
    if type(thing).__module__ == "numpy" and (parts := _raw(thing)):
        return parts
    return (pickled(thing)(thing),)


def opened(message: bytes | bytearray | memoryview) -> Any:
    """Make a thing of its bytes."""
    if message[0] == PICKLE:
        return pickle.loads(message)  # noqa: S301 (from a process that runs as this user)
    import numpy as np

    begin = 2 + message[1]
    dtype, *shape = bytes(message[2:begin]).decode().split()
    array = np.frombuffer(message, dtype, offset=begin).reshape([int(size) for size in shape]).copy()
    return array if message[0] == ARRAY else array[()]


def _raw(thing: Any) -> Parts | None:
    """Make bytes of a number or a plain array of NumPy; None if it is neither."""
    array = type(thing).__name__ == "ndarray"
    if getattr(thing, "dtype", None) is None or thing.dtype.kind not in KINDS:
        return None
    if array and not (thing.flags.c_contiguous and thing.size):  # the order of memory is that of a sum
        return None
    head = " ".join([thing.dtype.str, *map(str, thing.shape)]).encode()
    data = memoryview(thing.reshape(-1).view("u1")) if array else thing.tobytes()
    return bytes([ARRAY if array else SCALAR, len(head)]) + head, data


def pickled(thing: Any) -> Callable[[Any], bytes]:
    """Choose the pickler: classes of the main script are known there alone, and only cloudpickle sends them along."""
    if type(thing) in PLAIN or type(thing).__module__ == "numpy":
        return partial(pickle.dumps, protocol=5)
    return cloudpickled()


@contextmanager
def copied_whole(names: Iterable[str]) -> Iterator[None]:
    """Have what these modules hold copied, as long as this lasts, instead of looked up by the one who gets it."""
    import cloudpickle

    modules = [sys.modules[name] for name in names if name not in cloudpickle.list_registry_pickle_by_value()]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def cloudpickled() -> Callable[[Any], bytes]:
    """Load cloudpickle, and give its `dumps`."""
    try:
        import cloudpickle
    except ImportError as reason:
        raise MissingDependency.of("cloudpickle", "parallel", "to send f to another process") from reason
    return partial(cloudpickle.dumps, protocol=5)
