"""A long training is forecast before it starts, and starts only if that is meant."""

from mibun.errors import InputError
from mibun.learn import Chain, Dataset, Network, forecast
from mibun.learn.engines import Engine, in_words

__all__ = ["LONG", "require_patience"]

#: Seconds above which a training must be wanted by --yes.
LONG = 600.0


def require_patience(
    engine: Engine, network: Network, dataset: Dataset, batch_size: int, epochs: int | None, steps: int | None
) -> None:
    """Refuse a training that will take longer than ten minutes; the message has the time, and that of chain.

    Raises
    ------
    InputError
        If the forecast is that long.
    """
    count = steps if steps is not None else (epochs or 1) * -(-len(dataset.train_x) // batch_size)
    x = network.batch(dataset.train_x[:batch_size])
    targets = network.targets(dataset.train_labels[:batch_size], len(x))
    wanted = forecast(engine, network, x, targets, count)
    if wanted.seconds <= LONG:
        return
    least = forecast(Chain(), network, x, targets, count)
    raise InputError(
        f"this training would take about {in_words(wanted.seconds)}: {count:,} steps, each the work of "
        f"{wanted.forward_passes:,.0f} forward passes of the batch; --engine chain: {in_words(least.seconds)}. "
        "Add --yes to start all the same"
    )
