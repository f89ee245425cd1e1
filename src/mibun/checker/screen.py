"""A report as text on one screen: at most 25 lines of 100 columns."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any, Final

from mibun.text import WIDTH, clip, count, measured

__all__ = ["TOGETHER", "screen"]

#: What marks a finding about several elements at once.
TOGETHER: Final = "along a direction"
#: Findings that are shown, what is said below them, and how long their names may be, whatever else is in the line.
SHOWN: Final = 5
REASONS: Final = 2
SHORTEST: Final = 24
#: What stands before the numbers.
LABELS: Final = ("given ", "numeric ", "")
#: A ratio is shown as its difference from 1 where that is smaller.
NEAR_ONE: Final = 5e-3


def screen(report: Any) -> str:
    """Write a CheckReport."""
    lines = [_verdict(report)]
    lines += _table(report.wrong, report.wrong_count, "wrong")
    lines += _wrapped("looks like: ", "; ".join(report.kinds[:3]))
    if report.undecided:
        lines += ["undecided:", *_table(report.undecided, report.undecided_count, "undecided", report.wrong)]
    if report.subgradients:
        names = ", ".join(finding.name for finding in report.subgradients[:SHOWN])
        more = ", ..." if report.subgradient_count > SHOWN else ""
        lines += _wrapped("", f"accepted at a kink of f, between the slopes of both sides: {names}{more}")
    if not math.isnan(report.digits):
        which = "all agree" if report.elements > 1 else "it agrees"
        which = which if report.ok else "the others agree"
        lines.append(f"{which} to {report.digits:.1f} digits or more, relative to the largest entry of a parameter")
    for note in report.notes[:4]:
        lines += _wrapped("note: ", note)
    lines += _wrapped("checked: ", report.how)
    for line in report.unseen[:3]:
        lines += _wrapped("not seen: ", line)
    calls = f", {count(report.calls, 'call')} of gradient" if report.calls else ""
    lines += _wrapped("", f"{count(report.evaluations, 'evaluation')} of f{calls}; again: {report.repeat}")
    return "\n".join(lines)


def _verdict(report: Any) -> str:
    whole = f"{report.elements:,} element{'s' * (report.elements != 1)} of the {report.word}"
    if report.wrong_count:
        undecided = f", {report.undecided_count:,} undecided" if report.undecided_count else ""
        least = "" if report.complete else "at least "
        return f"wrong: {least}{report.wrong_count:,} of {whole}{undecided}"
    if report.undecided_count:
        apart = any(
            abs(finding.given - finding.numeric) > (finding.error if math.isfinite(finding.error) else 0.0)
            for finding in report.undecided
        )
        seen = "some may be wrong" if apart else "none is wrong as far as can be seen"
        return f"undecided: {report.undecided_count:,} of {whole}; {seen}"
    return f"right: {whole}"


def _table(findings: Sequence[Any], total: int, word: str, above: Sequence[Any] = ()) -> list[str]:
    """Write the worst findings, aligned, and below them what the numeric side says."""
    if not findings:
        return []
    shown = findings[: 3 if above else SHOWN]
    cells = [(*_numbers(finding), f"ratio {_ratio(finding.ratio)}" if word == "wrong" else "") for finding in shown]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rest = [
        "  ".join(f"{label}{cell.ljust(width)}" for label, cell, width in zip(LABELS, row, widths, strict=True))
        for row in cells
    ]
    room = max(WIDTH - 4 - max(map(len, rest)), SHORTEST)
    names = [_shortened(finding.name, room) for finding in shown]
    longest = max(map(len, names))
    lines = [clip(f"  {name.ljust(longest)}  {text}".rstrip()) for name, text in zip(names, rest, strict=True)]
    if total > len(shown) and not any(TOGETHER in finding.name for finding in shown):
        lines.append(f"  ... {total - len(shown):,} more")
    reasons: dict[str, list[str]] = {}
    for name, finding in zip(names, shown, strict=True):
        if finding.reason:
            reasons.setdefault(finding.reason, []).append(name)
    for reason, told in list(reasons.items())[:REASONS]:
        whose = "" if len(told) == len(shown) else f"{', '.join(told)}: "
        lines += [f"  {line}" for line in _wrapped("", whose + reason, WIDTH - 2, 2)]
    return lines


def _shortened(name: str, width: int) -> str:
    """Take characters out of a long name: the place at its end tells most."""
    if len(name) <= width:
        return name
    end = (width - 3) * 3 // 4
    return f"{name[: width - 3 - end]}...{name[-end:]}"


def _numbers(finding: Any) -> tuple[str, str]:
    """Write what was given and what was found, with the digits that tell them apart."""
    given, numeric, error = finding.given + 0.0, finding.numeric, finding.error  # -0.0 is told as 0
    gap = abs(given - numeric)
    digits = 4
    if math.isfinite(gap) and gap and given:
        digits = min(max(4, 3 + math.ceil(math.log10(abs(given)) - math.log10(gap))), 17)
    found = measured(numeric, error) if math.isfinite(error) else f"{numeric:.4g} ± {error:g}"
    value, _, bound = found.partition(" ± ")
    if len(value) > digits + 6:
        value = f"{numeric:.{digits}g}"
    return (
        f"{given:+.{digits}g}" if given else "0",
        f"{'' if value[:1] in '-n' or not numeric else '+'}{value} ± {bound}",
    )


def _ratio(ratio: float) -> str:
    if math.isfinite(ratio) and 0 < abs(ratio - 1) < NEAR_ONE:
        return f"1{ratio - 1:+.1e}"
    if not ratio:
        return "0"
    return f"{ratio:.3f}" if 0.01 <= abs(ratio) < 1000 else f"{ratio:.3g}"


def _wrapped(head: str, text: str, width: int = WIDTH, most: int = 3) -> list[str]:
    """Wrap a paragraph, at most some lines."""
    if not text:
        return []
    return textwrap.wrap(head + text, width, subsequent_indent="  ", max_lines=most, placeholder=" ...")
