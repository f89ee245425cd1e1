"""How many threads the matrix products of a training run use."""

import contextlib
from contextlib import AbstractContextManager

from mibun.learn.network import Network

__all__ = ["fitting_threads"]

#: Multiplications of a batch in the largest layer below which a second BLAS thread costs more than it gives:
#: the threads wait for each other by spinning, and on a busy machine a small product takes ten times as long.
WORTH_A_THREAD = 2_000_000


def fitting_threads(network: Network, batch_size: int) -> AbstractContextManager[object]:
    """Hold the BLAS library to one thread while a small network trains; a large one keeps all of them.

    Without the package threadpoolctl (extra `parallel`) nothing is changed; training is right all the same.
    """
    if batch_size * max(network.products) >= WORTH_A_THREAD:
        return contextlib.nullcontext()
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return contextlib.nullcontext()
    return threadpool_limits(limits=1, user_api="blas")  # type: ignore[no-any-return]
