"""Put together what is told about a claim, once everything is known that will be."""

import math
from typing import Any

import numpy as np

from mibun.checker.examine import MOST_DIGITS, Examination
from mibun.checker.kinds import kinds_of, mended, told
from mibun.checker.report import LISTED, CheckReport
from mibun.checker.search import Search
from mibun.checker.verdict import SUBGRADIENT, UNDECIDED, WRONG
from mibun.text import count

__all__ = ["assembled"]

EVERYWHERE = "exhaustive=True looks at every element by itself"


def assembled(examination: Examination, search: Search | None, calls: int, seed: int) -> CheckReport:
    """Write the report."""
    counts = np.bincount(examination.verdict, minlength=4).tolist()
    fields: dict[str, Any] = {
        "wrong": examination.findings(WRONG, LISTED),
        "undecided": examination.findings(UNDECIDED, LISTED),
        "subgradients": examination.findings(SUBGRADIENT, LISTED),
        "wrong_count": counts[WRONG],
        "undecided_count": counts[UNDECIDED],
        "subgradient_count": counts[SUBGRADIENT],
        "kinds": told(kinds_of(examination), examination.claim),
        "digits": examination.digits(),
        "how": "every element by itself",
        "unseen": _unseen(examination),
    }
    if search is not None:
        _searched(fields, examination, search)
    return CheckReport(
        **fields,
        elements=examination.claim.size,
        word=examination.claim.word,
        notes=_notes(examination),
        evaluations=examination.numeric.evaluations,
        calls=calls,
        repeat=f"seed={seed}",
        given=examination.claim.matrix,
        numeric=examination.numbers(),
    )


def _unseen(examination: Examination) -> tuple[str, ...]:
    """Say what could not have been seen where every element was looked at."""
    allowed, scale, _ = examination.limits()
    blind = np.where(scale > 0, (examination.known.error + allowed) / np.where(scale > 0, scale, 1.0), 0.0)
    blind[~np.isfinite(blind)] = 0.0
    if not blind.size:
        return ()
    return (
        f"what is off by less than {blind.max():.1g} of the largest entry of the same parameter; other points than x",
    )


def _searched(fields: dict[str, Any], examination: Examination, search: Search) -> None:
    """Tell what directions have shown."""
    claim, directions = examination.claim, search.directions
    looked = (
        f", {count(len(search.looked), 'column' if claim.outs.size > 1 else 'element')} by itself"
        if search.looked
        else ""
    )
    fields["how"] = (
        f"along {count(len(directions.tests), 'direction')}{looked.replace('s by itself', 's by themselves')}"
    )
    if search.explained:
        matrix = mended(claim, search.explained)
        scale = np.repeat(
            claim.scale(*examination.known[:3]), [leaf.stop - leaf.start for leaf in claim.ins.leaves], axis=1
        )
        parameter = claim.parameter(np.arange(claim.ins.size))
        off = np.abs(matrix - claim.matrix) > claim.atol + claim.rtol[parameter] * np.maximum(
            scale, np.abs(claim.matrix)
        )
        fields["wrong_count"] = int(off.sum())
        fields["kinds"] = told(search.explained, claim)
        fields["how"] += "; the kind of mistake explains them all, and with it the number of wrong elements"
        fields["unseen"] = ()
        return
    if search.ended:
        active = int((~search.passed[search.active()]).sum()) * claim.outs.size
        fields["undecided_count"] += 0 if fields["wrong_count"] else active
        fields["unseen"] = (f"{search.ended}: there may be more among {active:,} elements; {EVERYWHERE}",)
        return
    if not search.tests:
        return
    directions = search.directions
    chances = directions.chances(search.tests)
    worst = directions.agreement(search.tests)
    digits = -math.log10(worst) if worst else MOST_DIGITS
    fields["digits"] = np.fmin(min(digits, MOST_DIGITS), fields["digits"])
    fields["unseen"] = (
        f"what is off by less than the tolerance; larger mistakes that cancel along all directions: chance below "
        f"{chances.max():.1g}; other points than x",
    )


def _notes(examination: Examination) -> tuple[str, ...]:
    """Tell what is odd about f and the gradient."""
    numeric, notes = examination.numeric, []
    if numeric.unsteady > 0:
        notes.append(
            f"f is not the same twice: at x it differed by {numeric.unsteady:.2g} between two calls (random numbers, "
            "dropout, threads?): fix the seed in f, or switch to evaluation"
        )
    if np.max(examination.unsteady) > 0:
        notes.append(
            f"gradient is not the same twice: at x it differed by up to {np.max(examination.unsteady):.2g} between two "
            "calls; as much is tolerated"
        )
    return tuple(notes)
