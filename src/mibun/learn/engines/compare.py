"""All engines on one batch: what each costs, how far it is from the loop, what it takes for granted."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mibun.errors import InputError
from mibun.learn.bounds import Array
from mibun.learn.engines.chain import Chain
from mibun.learn.engines.choose import choose_engine
from mibun.learn.engines.column import Column
from mibun.learn.engines.coordinate import Coordinate
from mibun.learn.engines.engine import Engine
from mibun.learn.engines.forecast import forecast
from mibun.learn.engines.node import Node
from mibun.learn.losses import Targets
from mibun.learn.network import Network

__all__ = ["EngineRow", "EngineTable", "compare_engines"]

#: Seconds that a single gradient may take to be run at all.
PATIENCE = 5.0
#: The h of the sampled entries of the loop, in float64.
ORACLE_STEP = 1e-4


@dataclass(frozen=True)
class EngineRow:
    """One engine on one batch.

    Attributes
    ----------
    engine : str
        The engine as it prints.
    evaluations, forward_equivalents
        What `cost` announces for one gradient; 0 and nan where the engine cannot serve the network.
    seconds
        For one gradient, values only: the median of a few; where that would take too long, the forecast.
    measured
        Whether the seconds were measured.
    deviation
        Largest distance to the sampled entries of the loop, in units of the largest of them; nan where not run.
    assumption
        What the engine takes for granted.
    refused
        Why the engine cannot serve this network; empty where it can.
    """

    engine: str
    evaluations: int
    forward_equivalents: float
    seconds: float
    measured: bool
    deviation: float
    assumption: str
    refused: str = ""


@dataclass(frozen=True, repr=False)
class EngineTable:
    """What `compare_engines` found: one row for each engine, and how good the sampled entries of the loop are.

    Attributes
    ----------
    rows : tuple of EngineRow
    contract : str
        What the engines may know of the loss; a table never mixes two contracts.
    network : str
        The network as it prints.
    samples, entries : int
        Size of the batch, and number of entries that were compared.
    oracle_error : float
        The stated error of these entries of the loop, in units of the largest of them.
    """

    rows: tuple[EngineRow, ...]
    contract: str
    network: str
    samples: int
    entries: int
    oracle_error: float

    def __iter__(self) -> Iterator[EngineRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        head = ("engine", "evaluations", "forward passes", "seconds", "off the loop", "takes for granted")
        lines = [head, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head) - 1)]
        table = "\n".join(
            "  ".join(
                [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:-1], widths[1:], strict=True)), line[-1]]
            )
            for line in lines
        )
        return (
            f"{self.network}, {self.samples} samples; {self.contract}\n{table}\n"
            f"off the loop: largest distance on {self.entries} entries, in units of the largest; the loop itself is "
            f"good to {self.oracle_error:.0e}; seconds with ~ are a forecast"
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the same as plain dicts, lists, numbers and words."""
        return asdict(self)


def compare_engines(
    network: Network,
    x: ArrayLike,
    targets: ArrayLike,
    engines: Sequence[str | Engine] | None = None,
    entries: int = 60,
    seed: int = 0,
) -> EngineTable:
    """Compare engines on one batch: cost, time, distance to sampled entries of the notes' loop, what they assume.

    Parameters
    ----------
    network
        The network; it stays as it is.
    x, targets
        The batch.
    engines
        Words or engine values. Default: chain, node, column in both variants, coordinate.
    entries
        How many entries of the gradient are computed by the loop, in float64, spread over all arrays of parameters.
    seed
        Of the choice of the entries and of the masks of `Dropout`.

    Returns
    -------
    EngineTable
        It prints as a table; `mb.draw.engines` draws it.

    Raises
    ------
    InputError
        If the batch does not fit, an engine is unknown, or the engines know different things of the loss (the two
        contracts of `Direction`, and gradients that are exact up to h): such rows cannot be compared.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(4, 5), learn.Tanh(), learn.Dense(5, 3)], seed=1)
    >>> table = learn.compare_engines(network, np.random.default_rng(0).random((8, 4)), np.arange(8) % 3)
    >>> [row.engine for row in table][:2], all(row.deviation < 1e-8 for row in table)
    (['Chain()', 'Node(step=0.0001)'], True)
    """
    if not isinstance(network, Network):
        raise InputError(f"compare_engines takes a Network, not {type(network).__name__}")
    if isinstance(entries, bool) or not isinstance(entries, (int, np.integer)) or entries < 1:
        raise InputError(f"entries must be an integer above 0, not {entries!r}")
    given = (Chain(), Node(), Column(), Column(every_step=True), Coordinate()) if engines is None else engines
    chosen = [choose_engine(engine) for engine in given]
    contracts = sorted({getattr(engine, "contract", "gradients exact up to h") for engine in chosen})
    if len(contracts) != 1:
        raise InputError(
            f"engines that know different things of the loss cannot stand in one table: {'; '.join(contracts)}; "
            "make one table for each"
        )
    batch = network.batch(x)
    wanted = network.targets(targets, len(batch))
    drawn = network.drawn(np.random.default_rng(seed), len(batch))
    with np.errstate(all="ignore"):
        places, truth, lost = _oracle(drawn, batch, wanted, int(entries), seed)
        size = max(float(np.abs(truth).max()), float(np.finfo(np.float64).tiny))
        rows = tuple(_row(engine, drawn, batch, wanted, (places, truth / size), size, seed) for engine in chosen)
    return EngineTable(rows, contracts[0], repr(network), len(batch), len(places), float(lost.max()) / size)


def _oracle(
    network: Network, x: Array, targets: Targets, entries: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Compute some entries by the loop in float64: their places, values, and errors told by h and 2h."""
    rng, wide = np.random.default_rng(seed), network.in_float64()
    numbered = wide.views(np.arange(wide.vector.size))
    each = -(-entries // max(1, len(numbered)))
    picked = [rng.permutation(view.ravel())[:each] for view in numbered.values()]
    places = np.sort(np.concatenate(picked))
    x, targets = x.astype(np.float64), targets if targets.ndim == 1 else targets.astype(np.float64)

    def loss(place: int, step: float) -> float:
        moved = wide.vector.copy()
        moved[place] += step
        return float(wide.loss_function.per_sample(wide.forward(x, moved), targets).mean())

    def slopes(h: float) -> NDArray[np.float64]:
        return np.array([(loss(place, h) - loss(place, -h)) / (2 * h) for place in places.tolist()])

    near = slopes(ORACLE_STEP)
    rounding = 1e-15 * (1 + abs(loss(0, 0.0))) / ORACLE_STEP
    return places, near, np.abs(slopes(2 * ORACLE_STEP) - near) + rounding


def _row(
    engine: Engine,
    network: Network,
    x: Array,
    targets: Targets,
    oracle: tuple[NDArray[np.intp], NDArray[np.float64]],
    size: float,
    seed: int,
) -> EngineRow:
    """Measure one engine."""
    assumption = str(getattr(engine, "assumption", "not said"))
    if isinstance(engine, Chain) and any(getattr(layer, "smoothing", None) for layer in network.layers):
        assumption += "; a smoothed step, where the loop sees a hard one"
    try:
        cost = engine.cost(network, len(x))
        guess = forecast(engine, network, x, targets, 1).seconds
        if guess > PATIENCE:
            return EngineRow(
                repr(engine), cost.evaluations, cost.forward_equivalents, guess, False, float("nan"), assumption
            )
        out, times = np.empty_like(network.vector), []
        for _ in range(5 if guess < PATIENCE / 10 else 1):
            before = time.perf_counter()
            engine.into(network, x, targets, np.random.default_rng(seed), out)
            times.append(time.perf_counter() - before)
    except InputError as error:
        nan = float("nan")
        return EngineRow(repr(engine), 0, nan, nan, False, nan, assumption, refused=str(error))
    places, truth = oracle
    deviation = float(np.abs(out[places].astype(np.float64) / size - truth).max())
    seconds = float(np.median(times))
    return EngineRow(repr(engine), cost.evaluations, cost.forward_equivalents, seconds, True, deviation, assumption)


def _cells(row: EngineRow) -> tuple[str, ...]:
    if row.refused:
        return row.engine, "-", "-", "-", "-", f"cannot: {row.refused}"
    off = "not run" if np.isnan(row.deviation) else f"{row.deviation:.1e}"
    seconds = f"{'' if row.measured else '~'}{row.seconds:.2g}"
    return row.engine, f"{row.evaluations:,}", f"{row.forward_equivalents:,.1f}", seconds, off, row.assumption
