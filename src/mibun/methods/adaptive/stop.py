"""The stop test asks whether what the two tables disagree about is below the rounding of f."""

from mibun.conversation import Estimate
from mibun.methods.adaptive.ladder import AMPLIFICATION, MARGIN, RUNGS, Corner
from mibun.methods.adaptive.scale import EPS, Look
from mibun.status import Status

__all__ = ["stop_test"]


def stop_test(at: Corner, seen: Look, top: float) -> tuple[bool, Estimate]:
    """Tell whether the tables have converged, and what they give.

    The next pair would change the slope by about `gap` times the square of the ratio of steps times the fall of the
    Taylor terms: a gap that shrinks below the rounding by that is not waited for.
    """
    k, value, before, _, residual, _ = at
    _, first, second, curved, unit, *_ = seen
    h = top * RUNGS[k]
    gap = value - before if value > before else before - value
    size = value if value > 0 else -value
    level = first if first > second else second
    ratio = curved / level if level > 1e-323 else curved / 1e-323
    share = 4 * (ratio if ratio < 0.25 else 0.25) * RUNGS[k - 1] ** 2
    reached = gap * (share if share > 1 / 64 else 1 / 64) + residual / (2 * top)
    rounding = AMPLIFICATION[k] * unit / h
    found = Estimate(value, gap + 3 * residual / h, MARGIN * rounding + 2 * EPS * size, Status.CONVERGED, top, unit)
    return reached <= rounding or reached <= 1e-13 * size or reached <= 1e-14 * second / top, found
