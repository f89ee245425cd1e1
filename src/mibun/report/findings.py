"""Parts of the report of a training run: what was found out about it, and what its first layer looks for."""

import math

from mibun.learn import Dense, Finding, Network, Stop
from mibun.report.figures import picture
from mibun.report.page import counted, escape, paragraph, section

__all__ = ["diagnosis", "first_layer"]

#: Most units that are shown.
_UNITS = 100


def diagnosis(notes: tuple[Finding, ...], steps: int, stop: Stop) -> str:
    """Tell what was found out, one sentence each, or that nothing was."""
    if not notes:
        text = (
            f"Nothing was found in {counted(steps, 'step')}: no gradient below its error, no dead units, no "
            "divergence, no plateau, no overfitting beyond chance."
        )
        return section(
            "diagnosis", "Diagnosis", paragraph(text if stop is Stop.FINISHED else f"The run: {stop.value}.")
        )
    rows = "\n".join(
        f"<li><strong>{escape(note.kind)}</strong> <small>after {escape(counted(note.step, 'step'))}</small><br>"
        f"{escape(note.message)}</li>"
        for note in notes
    )
    return section("diagnosis", "Diagnosis", f'<ul class="findings">\n{rows}\n</ul>')


def first_layer(network: Network) -> str:
    """Show the weights into each unit of the first layer as small images, where the inputs make a square."""
    first = next((number for number, layer in enumerate(network.layers) if isinstance(layer, Dense)), None)
    side = math.isqrt(network.inputs or 0)
    if first is None or first > 0 or side * side != network.inputs:
        return ""
    from mibun.draw.networks import weights

    layer = network.layers[0]
    assert isinstance(layer, Dense)  # noqa: S101  for the type checker
    units, columns = min(layer.outputs, _UNITS), 10
    height = 6.0 / columns * math.ceil(units / columns) + 0.35
    drawn = picture(
        lambda axes: weights(network, 0, columns=columns, ax=axes),
        (6.2, height),
        f"Weights into {units} units of the first layer, as images of {side} x {side} pixels",
    )
    text = "Each image is what one unit of the first layer multiplies the pixels with: dark below 0, light above."
    return section("weights", "What the first layer looks for", paragraph(text), drawn)
