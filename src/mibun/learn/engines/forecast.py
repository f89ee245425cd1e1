"""How long a training would take, told before it starts."""

import time
from dataclasses import dataclass

import numpy as np

from mibun.learn.bounds import Array
from mibun.learn.engines.engine import Engine
from mibun.learn.losses import Targets
from mibun.learn.network import Network

__all__ = ["Forecast", "forecast", "in_words"]

#: Forward passes that are timed, and seconds that one gradient may take to be timed itself.
PASSES, SHORT = 5, 0.5


@dataclass(frozen=True)
class Forecast:
    """What a run is expected to take.

    Attributes
    ----------
    seconds
        For all steps, values only, on this machine as busy as it is now.
    steps
        Number of gradients.
    forward_passes
        What one gradient costs, in forward passes of a batch.
    measured
        Whether one gradient was timed; else the time is that of a forward pass times their number.
    """

    seconds: float
    steps: int
    forward_passes: float
    measured: bool


def forecast(engine: Engine, network: Network, x: Array, targets: Targets, steps: int) -> Forecast:
    """Forecast the time of a training from one batch, in well under a second.

    Parameters
    ----------
    engine, network
        What would train what; the network stays as it is.
    x, targets
        A batch as `network.batch` and `network.targets` give it.
    steps
        Number of steps.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(784, 50), learn.Sigmoid(), learn.Dense(50, 10)])
    >>> x, labels = np.zeros((100, 784)), np.zeros(100, int)
    >>> engines = learn.Coordinate(), learn.Chain()
    >>> slow, fast = (learn.forecast(engine, network, x, labels, 10_000) for engine in engines)
    >>> slow.seconds > 1000 * fast.seconds
    True
    """
    with np.errstate(all="ignore"):
        cost = engine.cost(network, len(x))
        times = []
        for _ in range(PASSES):
            before = time.perf_counter()
            network.loss_function.per_sample(network.forward(x), targets)
            times.append(time.perf_counter() - before)
        one = float(np.median(times)) * cost.forward_equivalents
        measured = one < SHORT
        if measured:
            out, times = np.empty_like(network.vector), []
            for _ in range(2):  # the first one warms up
                before = time.perf_counter()
                engine.into(network, x, targets, np.random.default_rng(0), out)
                times.append(time.perf_counter() - before)
            one = times[-1]
    return Forecast(one * steps, steps, cost.forward_equivalents, measured)


def in_words(seconds: float) -> str:
    """Write a time as a person says it: `43 hours`.

    Examples
    --------
    >>> [in_words(s) for s in (0.2, 5.3, 80, 600, 155_000, 3e6)]
    ['under a second', '5 s', '80 s', '10 minutes', '43 hours', '35 days']
    """
    if seconds < 1:
        return "under a second"
    for unit, name, limit in ((1.0, "s", 120.0), (60.0, "minutes", 7200.0), (3600.0, "hours", 360_000.0)):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:,.0f} days"
