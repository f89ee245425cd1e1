"""Put together what is told about a claim, once everything is known that will be."""

import math
from typing import Any

import numpy as np

from mibun.checker.claim import Claim
from mibun.checker.directions import Test
from mibun.checker.examine import MOST_DIGITS, Examination
from mibun.checker.kinds import kinds_of, mended, told
from mibun.checker.report import LISTED, CheckReport, Finding
from mibun.checker.screen import TOGETHER
from mibun.checker.search import Search
from mibun.checker.source import Source
from mibun.checker.verdict import SUBGRADIENT, UNDECIDED, WRONG

__all__ = ["assembled"]

STALE = "gradient gives the same for another x: it is that of another point (stale), or does not use x"
RANDOM = "f is not the same twice at x: an f that is decides"
EVERY = "exhaustive=True looks at each element by itself"
MORE = "a larger budget looks further"
NOTHING = "f changes at x itself by more than 1 % from call to call: nothing can be told"
BLURRED = "noise hides more than 10 % of the largest entry; give a smoother f, a larger budget, or exhaustive=True"
APART = "f and gradient differ along a direction; which elements do was not found: a larger budget tells"
UNEXPLAINED = "f and gradient differ along a direction; its elements by themselves decide nothing: less noise in f does"
SOMEWHERE = "elements are wrong that noise lets nobody name: they add up to more than all tolerances do"
ELSEWHERE = "what is wrong at other points than x"


def assembled(examination: Examination, search: Search | None, repeat: str) -> CheckReport:
    """Write the report; `repeat` is the call that was made."""
    claim, source, numeric = examination.claim, examination.source, examination.numeric
    examination.refresh()
    if numeric.random:
        examination.doubt(np.arange(examination.verdict.size), RANDOM)
    counts = np.bincount(examination.verdict, minlength=4).tolist()
    # of rows that are not finite some elements stand for all
    counts[WRONG] += numeric.lost.size * claim.ins.size - int(np.isin(examination.known.rows, numeric.lost).sum())
    fields: dict[str, Any] = {
        "wrong": examination.findings(WRONG, LISTED),
        "undecided": examination.findings(UNDECIDED, LISTED),
        "subgradients": examination.findings(SUBGRADIENT, LISTED),
        "wrong_count": counts[WRONG],
        "undecided_count": counts[UNDECIDED],
        "subgradient_count": counts[SUBGRADIENT],
        "kinds": _kinds(examination, source, search),
        "digits": _digits(examination.off()),
        "how": "each element by itself",
        "unseen": _unseen(examination),
    }
    if search is not None:
        fields["how"] = _how(search)
        fields |= _explained(search, fields) if search.explained else _ended(search, fields) if search.ended else {}
        if not search.ended:
            fields |= _passed(search, fields)
        if search.refuted is not None:
            fields |= _refuted(search.claim, search.refuted, fields)
    if numeric.random:
        fields |= {"digits": math.nan, "unseen": (NOTHING,)}
    given, found = examination.numbers()
    return CheckReport(
        **fields,
        elements=claim.size,
        word=claim.word,
        notes=_notes(examination, source),
        evaluations=numeric.evaluations,
        calls=source.calls,
        repeat=repeat,
        given=given,
        numeric=found,
    )


def _unseen(examination: Examination) -> tuple[str, ...]:
    relative, absolute = examination.blind()
    parts = [f"what is off by less than {_share(relative)}"] if relative >= 0 else []
    return _told([*parts, *_vanishing(absolute)]) if parts or absolute >= 0 else ()


def _told(parts: list[str]) -> tuple[str]:
    """Write what cannot have been seen as one sentence."""
    return (f"{', '.join(parts)}, and {ELSEWHERE}" if parts else ELSEWHERE,)


def _vanishing(size: float) -> list[str]:
    """Say what a slope of 0 can hide; nan where there is none."""
    return [f"slopes below {size:.1g} where all of a parameter are 0"] if size >= 0 else []


def _digits(off: float) -> float:
    """Give the decimal digits that are left of 1; nan stays."""
    return min(max(-math.log10(off), 0.0), MOST_DIGITS) if off else MOST_DIGITS


def _kinds(examination: Examination, source: Source, search: Search | None) -> tuple[str, ...]:
    """Name the kinds of mistake."""
    kinds = kinds_of(examination, clear=search is not None and not search.ended)
    if examination.unmoved:
        return ()
    if (examination.verdict == WRONG).any() and not any(kind.certain for kind in kinds) and source.constant():
        return (STALE,)
    return told(kinds, examination.claim)


def _share(part: float) -> str:
    return f"{part:.1g} of the largest entry of the same parameter"


def _how(search: Search) -> str:
    """Say how a large claim was checked."""
    known = search.examination.known
    ways, ones = len(search.directions.tests), np.unique(known.columns[np.isin(known.rows, search.numeric.rows)]).size
    noun = "column" if search.claim.outs.size > 1 else "element"
    text = f"along {ways:,} direction{'s' * (ways != 1)}"
    return text + (f", and {ones:,} {noun}{'s' * (ones != 1)} one by one" if ones else "")


def _explained(search: Search, fields: dict[str, Any]) -> dict[str, Any]:
    """Count the elements that are wrong by the kinds of mistake that explain all directions."""
    claim = search.claim
    known = search.examination.known
    scale = claim.scale(known.rows, known.columns, known.value)
    off = abs(mended(claim, search.explained) - claim.matrix).tocoo() if claim.sparse else None
    if off is None:
        parameter = claim.parameter(np.arange(claim.ins.size))
        size = np.maximum(scale[:, parameter], np.abs(claim.matrix))
        limit = claim.atol + claim.rtol[parameter] * size
        wrong = np.abs(mended(claim, search.explained) - claim.matrix) > limit
    else:
        wrong = off.data > claim.atol + claim.rtol[0] * scale[off.row, 0]
    how = f"{_how(search)}; the others are counted by the kind of mistake, which explains all directions"
    kinds = told(search.explained, claim)
    count = min(int(wrong.sum()), claim.size - fields["undecided_count"])
    return {"wrong_count": count, "kinds": kinds, "how": how, "unseen": (), "digits": math.nan}


def _ended(search: Search, fields: dict[str, Any]) -> dict[str, Any]:
    """Say what was left open."""
    clear = np.isin(search.active(), np.concatenate([[], *(columns for columns, _ in search.passed)]))
    left = int((~clear).sum()) * search.claim.outs.size
    word = "more" if fields["wrong_count"] else "mistakes"
    advice = EVERY if search.numeric.left is None else MORE
    text = f"{search.ended}: there may be {word} among {left:,} elements; {advice}"
    found: dict[str, Any] = {"complete": False, "unseen": (text,), "digits": math.nan}
    if fields["wrong_count"]:
        return found
    worst = max(search.directions.tests, key=lambda test: float(test.off.max()), default=None)
    if worst is not None and worst.suspicious:
        found["undecided"] = (_together(search.claim, worst, int(np.argmax(worst.off)), APART), *fields["undecided"])
    return found | {"undecided_count": min(fields["undecided_count"] + left, search.claim.size)}


def _passed(search: Search, fields: dict[str, Any]) -> dict[str, Any]:
    """Say what directions can have missed."""
    if not search.passed:
        return {}
    sights = [search.directions.sight(*passed) for passed in search.passed]
    one, several, chance, off, vanishing = np.fmax.reduce(sights).tolist()
    beyond = "more" if f"{several:.1g}" == f"{one:.1g}" else f"more than {several:.1g}"
    parts = [
        f"one element that is off by less than {_share(one)}",
        f"several that cancel along all directions (chance below {chance:.1g} if one is off by {beyond})",
    ]
    seen = [*(parts if one > 0 else ()), *_vanishing(vanishing)]
    blurred = tuple(_blurred(search.claim, test) for test in search.blurred)
    known = search.examination.known
    unsure = sum(  # elements that were differentiated are counted by their own verdict
        test.columns.size * int((~test.resolved).sum())
        - int((np.isin(known.columns, test.columns) & ~test.resolved[known.rows]).sum())
        for test in search.blurred
    )
    return {
        "undecided": (*fields["undecided"], *blurred),
        "undecided_count": fields["undecided_count"] + unsure,
        "digits": float(np.fmin(_digits(off) if one > 0 else math.nan, fields["digits"])),
        "unseen": _told(seen),
    }


def _blurred(claim: Claim, test: Test) -> Finding:
    """Tell of a test that decides nothing: of noise, or of a gap that no element explains and that was tolerated."""
    row = int(np.argmax(test.doubt))
    rest = test.doubt - np.abs(test.gap)
    if rest[row] >= abs(test.gap[row]):
        return _together(claim, test, row, BLURRED)
    return _together(claim, test._replace(doubt=rest), row, UNEXPLAINED)


def _refuted(claim: Claim, test: Test, fields: dict[str, Any]) -> dict[str, Any]:
    """Tell of a direction along which the claim is wrong, whichever of its elements are."""
    finding = _together(claim, test, int(np.argmax(test.off)), SOMEWHERE)
    undecided = min(fields["undecided_count"], claim.size - 1)
    return {"wrong": (finding,), "wrong_count": 1, "undecided_count": undecided, "complete": False, "digits": math.nan}


def _together(claim: Claim, test: Test, row: int, reason: str) -> Finding:
    """Tell of columns together about which a direction decides nothing."""
    parts = [claim.ins.leaves[number] for number in np.unique(claim.parameter(test.columns)).tolist()]
    whole = sum(leaf.stop - leaf.start for leaf in parts) == test.columns.size
    names = ", ".join(leaf.name or claim.word for leaf in parts)
    first, last = (claim.ins.name(int(test.columns[place])) for place in (0, -1))
    name = f"{names if whole else f'{first} to {last}'}, {TOGETHER}"
    path = parts[0].path if whole and len(parts) == 1 else ()
    value, doubt = float(test.value[row]), float(test.doubt[row])
    return Finding(name, path, value - float(test.gap[row]), value, doubt, reason)


def _notes(examination: Examination, source: Source) -> tuple[str, ...]:
    """Tell what is odd about f and the gradient."""
    claim, numeric, notes = examination.claim, examination.numeric, []
    if numeric.widened:
        short = min((leaf.dtype for leaf in claim.ins.leaves), key=lambda dtype: dtype.itemsize)
        notes.append(f"x is {short}; f computes in float64 where it gets that, and was evaluated so")
    if numeric.unsteady > 0:
        notes.append(
            f"f is not the same twice: at x it differed by {numeric.unsteady:.2g} between two calls (random numbers, "
            "dropout, threads?): fix the seed in f, or switch to evaluation"
        )
    if examination.unmoved:
        notes.append("f did not change: does it use its argument?")
    if source.apart > 0:
        tolerated = "as much is tolerated" if np.max(source.unsteady) == source.apart else "the first was checked"
        notes.append(
            f"gradient is not the same twice: at x two calls differed by up to {source.apart:.2g}; {tolerated}"
        )
    return tuple(notes)
