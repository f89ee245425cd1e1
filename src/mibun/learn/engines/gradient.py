"""The gradient of a network by any engine, in one call."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mibun.errors import InputError
from mibun.learn.engines.choose import choose_engine
from mibun.learn.engines.engine import Engine
from mibun.learn.network import Network
from mibun.result import Derivative

__all__ = ["gradient"]


def gradient(
    network: Network,
    x: ArrayLike,
    targets: ArrayLike,
    engine: str | Engine = "auto",
    seed: int = 0,
    errors: bool = True,
) -> Derivative:
    """Give the gradient of the mean loss of a batch in all parameters of a network.

    Parameters
    ----------
    network
        The network; it stays as it is.
    x
        Samples, shape (samples, *shape of a sample).
    targets
        Integer labels (samples,) or an array (samples, outputs).
    engine
        `"auto"` (the reason of the choice is in the notes), `"chain"`, `"node"`, `"column"`, `"coordinate"`,
        `"direction"`, or an engine value such as `learn.Column(every_step=True)`.
    seed
        Of the masks of `Dropout` and of the directions of `"direction"`.
    errors
        Whether to bound the errors, which costs more than the values; without, every error is inf.

    Returns
    -------
    Derivative
        With the structure of `network.parameters`: value and error of every entry, `evaluations` (elementary
        evaluations of a unit, a layer or a loss for one sample, see `Cost`), `fx` (the loss), and notes on units at
        kinks, smoothed steps, and the engine that was chosen.

    Raises
    ------
    InputError
        If samples or targets do not fit the network, or the engine cannot serve one of its layers (the message says
        which, why, and which engine can).

    Notes
    -----
    The h of each engine, where none is given; all but `coordinate` keep their digits in float32:

    - `chain`: 1e-7 in layers and losses of this library, whose differences do not cancel; 1e-5 max(1, |z|), computed in
      float64 whatever the dtype, in functions of yours;
    - `node`, `column`: 1e-4, times the input where a weight is moved;
    - `coordinate`: 1e-4 in float64, 3e-2 in float32;
    - `direction`: 1e-2 at the pre-activations; for the whole loss the cube root of its rounding, on the scale of the
      parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(2, 3), learn.Tanh(), learn.Dense(3, 2)], seed=1)
    >>> d = learn.gradient(network, [[0.6, 0.9]], [1])
    >>> float(abs(d.value["2.bias"] - (network.predict([0.6, 0.9])[0] - [0, 1])).max()) < 1e-15
    True
    """
    if not isinstance(network, Network):
        raise InputError(f"gradient takes a Network, not {type(network).__name__}")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed must be an integer of at least 0, not {seed!r}")
    chosen = choose_engine(engine)
    options: dict[str, Any] = {"rng": np.random.default_rng(seed), "errors": errors}
    return chosen.gradient(network, network.batch(x), network.targets(targets, len(network.batch(x))), **options)
