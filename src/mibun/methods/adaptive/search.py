"""The search for a scale: what the adaptive method does where the common course does not lead to an answer."""

import math
from collections.abc import Generator, Sequence
from typing import Final

from mibun.conversation import Estimate, Request
from mibun.methods.adaptive.edge import one_sided
from mibun.methods.adaptive.ladder import (
    AMPLIFICATION,
    EVEN_CONTRAST,
    MARGIN,
    ODD_CONTRAST,
    ODD_SPREAD,
    RUNGS,
    Corner,
    corner,
    extrapolate,
    five_pairs,
    inner_pairs,
    tables,
)
from mibun.methods.adaptive.noise import Choice, select
from mibun.methods.adaptive.probe import Verdict, probe, tiny_step
from mibun.methods.adaptive.scale import ASKED, EPS, EVEN, LOOKS, NEARLY, SMOOTH, UNSURE, Look, grown, look
from mibun.methods.adaptive.stop import stop_test
from mibun.methods.adaptive.wide import far, wide_ladder
from mibun.status import Status

__all__ = ["Search", "finite", "not_finite"]

#: A flat piece is believed where its width is this share of the step at which f changes.
FLAT: Final = 64.0
#: How far above what the neighbourhood of x explains tables must stall to mean a feature that was stepped over.
NARROW: Final = 64.0
#: How far from the slope of the tiny pair those elsewhere may be, as a share of what it differs from the ladder's.
TOOTH: Final = 1 / 32
#: Width of the teeth of a saw that are looked for, at most, in units of the step at which f does not look smooth.
TEETH: Final = 2.0**-8
NOTHING: Final = Estimate(math.nan, 0.0, math.inf, Status.UNRESOLVED, 0.0, 0.0)

Asking = Generator[tuple[float, ...], Sequence[float], Estimate]
#: One move of the search: the answer, or the next step to look at.
Step = Generator[tuple[float, ...], Sequence[float], Estimate | float]
SawOrNot = Generator[tuple[float, ...], Sequence[float], Estimate | None]
Pair = tuple[float, float, float]
Teeth = Generator[tuple[float, ...], Sequence[float], bool]
Probing = Generator[tuple[float, ...], Sequence[float], Verdict]


def not_finite(message: str) -> Estimate:
    """There is no derivative."""
    return Estimate(math.nan, 0.0, math.inf, Status.NOT_FINITE, 0.0, 0.0, message)


def finite(values: Sequence[float]) -> bool:
    """Tell whether all values are finite; their sum says so nearly always, but it can overflow."""
    total = sum(values)
    return total - total == 0 or all(map(math.isfinite, values))


def _power(step: float) -> float:
    """Round down to a power of 2."""
    return math.ldexp(1.0, math.frexp(step)[1] - 1)


class Search:
    """The search for a scale, with what it has seen so far."""

    def __init__(self, x: float, f0: float, request: Request, first: float) -> None:
        self.x, self.f0, self.request, self.first = x, f0, request, first
        self.noise, self.eps = request.noise or 0.0, request.unit
        self.good: tuple[float, Look] | None = None  # a step at which f is a parabola within its rounding
        self.bad = math.inf  # the smallest step that was too large
        self.flat = self.outside = self.unresolved = 0
        self.probed: Verdict | None = None
        self.last = self.moved = 0.0  # curvature at the last step that was too large, change of f at the smallest
        self.single = False
        self.samples: Sequence[float] = ()  # of the noise, where it was found before any ladder
        self.cut = {1, -1}  # sides on which every look met the edge of the domain
        self.best = self.tiny = NOTHING

    def go(self, values: Sequence[float], more: Sequence[float] = ()) -> Asking:
        """Search from the first step, with the values of a look at it, and of a ladder if there was one."""
        x, top = self.x, self.first
        for _ in range(LOOKS):
            found = yield from self.looked(top, values, more)
            if isinstance(found, Estimate):
                return found
            if not 0 < found < math.inf or x + found == x:
                break
            if found == top / 2:  # half of the values are there already
                values = (*values[2:], *(yield (x + top / 4, x - top / 4)))
            else:
                values = yield (x + found, x - found, x + found / 2, x - found / 2)
            top, more = found, ()
        return self.give_up(top)

    def looked(self, top: float, values: Sequence[float], more: Sequence[float]) -> Step:
        """Decide what a look at five values means."""
        if not finite(values):
            return (yield from self.beyond(top, values))
        seen = look(self.x, top, self.f0, values, self.noise, self.eps)
        if seen.curved <= 8 * seen.unit and self.computes_in_float32(values, seen):
            seen = look(self.x, top, self.f0, values, self.noise, self.eps)
        if math.isnan(self.best.value):  # the first slope: a number without a bound
            self.best = NOTHING._replace(value=seen.slope, step=top)
        falls = 4 * seen.curved <= max(seen.first, seen.second)
        if self.samples and (falls or seen.curved <= 8 * seen.unit):
            return (yield from self.noisy(top, self.samples, seen))
        if self.good and self.runs_away(seen, top):
            return self.kept_good()
        if seen.curved <= 8 * seen.unit:
            first = self.good is None and (not self.tolerant or self.met(seen, top))
            found = self.parabola(seen, top) if first and self.tolerant else self.small(seen, top)
            if first and isinstance(found, Estimate) and found.status is Status.CONVERGED:
                return (yield from self.confirmed(found, seen, top, values))
            return found
        if not falls:
            return (yield from self.large(seen, top, values))
        if more:
            return (yield from self.ladder(seen, top, values, more))
        return self.early(seen, top) or (yield from self.climb(seen, top, values))

    def computes_in_float32(self, values: Sequence[float], seen: Look) -> bool:
        """Say so once, and take its rounding for the noise; at an x of few bits an exact f has few, too."""
        if self.single or not seen.change or _single([self.x]) or not _single([self.f0, *values]):
            return False
        self.single, self.noise = True, max(self.noise, 2.0**-24 * seen.size)
        return True

    def give_up(self, top: float) -> Estimate:
        """Take the slope of the tiny pair where it saw a smooth f; else there is none."""
        if self.good:
            return self.parabola(self.good[1], self.good[0])
        if math.isfinite(self.tiny.value):
            return self.tiny
        return NOTHING._replace(step=top, message="no step was found at which f looks smooth")

    def spent(self) -> Estimate:
        """Give the best so far, with an error that covers the slope of the tiny pair, too."""
        best = self.best if math.isfinite(self.best.rounding) else self.give_up(0.0)
        best = self.best if math.isnan(best.value) else best
        if math.isfinite(self.tiny.value):
            reach = best.truncation + best.rounding + self.tiny.truncation + self.tiny.rounding
            off = abs(best.value - self.tiny.value)
            best = best._replace(truncation=best.truncation + off) if off > reach else best
        return best._replace(status=Status.BUDGET_SPENT, message="the evaluations that an element may have were spent")

    def look_near(self, top: float, slope: float, seen: Look, stalled: float) -> Probing:
        """Ask the tiny pair, and keep the best slope that one saw: all that is known where no ladder stands."""
        verdict = self.probed = yield from probe(self.x, self.f0, top, slope, seen.unit, seen.change, stalled)
        if verdict.word == "smooth":
            found = self.tiny_slope(verdict)
            if found.truncation + found.rounding < self.tiny.truncation + self.tiny.rounding:
                self.tiny = found
        return verdict

    def tiny_slope(self, verdict: Verdict) -> Estimate:
        """Bound the slope of a tiny pair."""
        rounding = 8 * EPS * (abs(self.f0) + abs(self.x * verdict.slope)) / verdict.step
        message = "f changes on scales too small to resolve; the slope is that of the smallest step"
        truncation = verdict.rough / verdict.step + self.last / self.bad * (verdict.step / self.bad)
        return Estimate(verdict.slope, truncation, rounding, Status.UNRESOLVED, verdict.step, self.noise, message)

    def parabola(self, seen: Look, top: float) -> Estimate:
        """Accept a step at which only a parabola is seen."""
        rounding = 3 * seen.unit / top + 2 * EPS * abs(seen.slope)
        return Estimate(seen.slope, seen.curved / 2 / top, rounding, Status.CONVERGED, top, seen.unit)

    def confirmed(self, found: Estimate, seen: Look, top: float, values: Sequence[float]) -> Step:
        """Ask one more pair whether f is a parabola: values on a grid look like one now and then."""
        x, f0, h = self.x, self.f0, top * RUNGS[2]
        up, down = yield (x + h, x - h)
        _, _, up2, down2 = values
        odd = (up - down) / 2 - found.value * h
        even = ((up - f0) - (f0 - down)) - ((up2 - f0) - (f0 - down2)) * (2 * RUNGS[2]) ** 2
        if not abs(odd) + abs(even) / 2 > 8 * seen.unit:
            return found
        h3, h4 = top * RUNGS[3], top * RUNGS[4]
        more = yield (x + h3, x - h3, x + h4, x - h4)
        return (yield from self.ladder(seen, top, values, (up, down, *more)))

    def runs_away(self, seen: Look, top: float) -> bool:
        """Tell whether a larger step contradicts the slope that a smaller one bounded: it ran over something."""
        assert self.good is not None  # noqa: S101 (asked only then)
        step, before = self.good
        reach = (6 * before.unit + before.curved) / step + 8 * (seen.unit + seen.curved) / top
        return abs(seen.slope - before.slope) > reach

    def kept_good(self) -> Estimate:
        """Go back to the step before: a parabola, or no change at all."""
        assert self.good is not None  # noqa: S101 (asked only then)
        step, seen = self.good
        return self.insensitive(seen, step) if seen.change <= 4 * seen.unit else self.parabola(seen, step)

    def insensitive(self, seen: Look, top: float) -> Estimate:
        """Say that f does not change; larger steps may have run over many periods, so only the first one counts."""
        rounding = 6 * seen.unit / min(self.first, top)
        if self.request.noise and seen.change > 4 * self.eps * seen.size:  # it does, by less than the noise
            return self.parabola(seen, top)._replace(rounding=rounding, status=Status.NOISY)
        if self.bad == math.inf:
            return Estimate(0.0, 0.0, rounding, Status.INSENSITIVE, top, seen.unit)
        # Farther away f did change: a flat piece, or a function on a grid, whose slope is that of the change.
        status = Status.INSENSITIVE if top * FLAT >= self.bad else Status.UNRESOLVED
        message = "" if status is Status.INSENSITIVE else "f is flat close to x, and changes farther away"
        return Estimate(0.0, self.moved / self.bad, rounding, status, top, seen.unit, message)

    def small(self, seen: Look, top: float) -> Estimate | float:
        """Curvature is within the rounding: accept, or give a larger step."""
        if seen.change <= 4 * seen.unit:
            self.flat += 1
            if FLAT * top < self.bad < math.inf:  # it changes far away: the step may be too small to see it
                return max(_power(math.sqrt(top * self.bad)), self.bad / 1024)
            if self.flat == 3 or self.bad < math.inf:
                return self.insensitive(seen, top)
        enough = self.exact(seen, top)
        factor = grown(seen, top)
        if enough or factor < 4:
            return self.parabola(seen, top)
        self.good = (top, seen)
        return self.closer() or (top * factor if top * factor < self.bad else self.parabola(seen, top))

    def exact(self, seen: Look, top: float) -> bool:
        """Tell whether a larger step would not make the slope of a parabola any better."""
        return 3 * seen.unit <= 1e-13 * seen.first and (top > 2.0**-7 or self.good is not None)

    def met(self, seen: Look, top: float) -> bool:
        """Tell whether the slope of a parabola meets the tolerance, although a larger step would make it better.

        A tolerance that everything meets asks for the scale.
        """
        changes = seen.change > 4 * seen.unit and self.request.atol < math.inf
        return changes and not self.exact(seen, top) and self.good_enough(self.parabola(seen, top))

    def closer(self) -> float | Estimate | None:
        """Give the geometric mean of a good and a bad step, the good one where they are close."""
        if self.good is None or self.bad == math.inf:
            return None
        step, seen = self.good
        return _power(math.sqrt(step * self.bad)) if self.bad > 8 * step else self.parabola(seen, step)

    def large(self, seen: Look, top: float, values: Sequence[float]) -> Step:
        """Give a smaller step, for the Taylor terms do not fall, after asking once what is wrong here."""
        # Curvature that falls like H^3 or H^4 beside no slope at all: a root of that order, such as x^3 at 0.
        fall, by = seen.curved / (self.last or 1.0), top / self.bad
        level = self.probed.slope * top if self.probed else seen.curved
        cubic = self.unresolved > 0 and by**4.1 / 2 < fall < 2 * by**2.9 and abs(level) < 1e-10 * seen.curved
        if top < self.bad:
            self.bad, self.moved = top, seen.change
        self.last = seen.curved
        if cubic:
            return (yield from self.climb(seen, top, values))
        between = self.closer()
        if between is not None:
            return between
        if self.unresolved == 0 and seen.curved <= NEARLY * max(seen.first, seen.second):
            self.unresolved = 1
            return top / 2
        if self.probed is None:
            verdict = yield from self.look_near(top, seen.slope, seen, 0.0)
            found = self.judged(verdict)
            if found is not None:
                return found
            if verdict.word == "noise":
                # Known noise explains a look whose terms do not fall, or H is too large besides: then it shrinks.
                self.samples = verdict.samples
                level = math.sqrt(sum(s * s for s in self.samples) / len(self.samples)) if self.samples else 0.0
                self.noise = max(self.noise, 3 * level)
                if seen.curved <= 8 * self.noise:
                    return (yield from self.noisy(top, self.samples, seen))
            if verdict.word == "smooth" and verdict.slope:
                guess = seen.change / (8 * abs(verdict.slope))
                teeth = (yield from self.saw(seen, top, values, verdict)) if guess < TEETH * top else None
                if teeth is not None:
                    return teeth
                if 4 * verdict.step < guess < top / 8:
                    return _power(guess)
        self.unresolved += 1
        return top * 2.0 ** -(1 + 2 * self.unresolved)

    def saw(self, seen: Look, top: float, values: Sequence[float], verdict: Verdict) -> SawOrNot:
        """Take a saw for noise, where the terms do not fall because of its teeth."""
        outer = (top / 2, values[2], values[3])
        if not (yield from self.toothed(seen.slope, verdict, [outer], 1 / 8)):
            return None
        pairs = _pairs(top, values, (yield inner_pairs(self.x, top)))
        if not (yield from self.toothed(seen.slope, verdict, pairs[-1:-4:-1])):
            return None
        choice = yield from select(self.x, self.f0, pairs, seen.unit / 2, math.inf)
        return self.chosen(choice, seen.unit)

    def judged(self, verdict: Verdict) -> Estimate | None:
        """Turn a verdict about f at x into the final answer, where it is one."""
        if verdict.word == "kink":
            left, right = verdict.left, verdict.right
            error = abs(right - left) / 2 + verdict.error
            message = f"the slopes from the left ({left:.6g}) and from the right ({right:.6g}) differ"
            return Estimate((left + right) / 2, error, 0.0, Status.KINK, verdict.step, self.noise, message, left, right)
        if verdict.word == "jump":
            return Estimate(math.nan, 0.0, math.inf, Status.JUMP, verdict.step, self.noise, "f jumps at x")
        if verdict.word == "vertical":
            return not_finite("the slope grows without limit towards x: a vertical tangent")
        return None

    def beyond(self, top: float, values: Sequence[float]) -> Step:
        """Give a smaller step, for some value is not finite, or differentiate towards one side."""
        x, self.bad = self.x, min(self.bad, top)
        between = self.closer()
        if between is not None:
            return between
        self.outside += 1
        if self.outside == 1:
            found = yield from self.neighbours()
            if isinstance(found, Estimate):
                return found
            if found < top / 4:
                return found
        fine = [math.isfinite(value) for value in values]
        if fine[2] and fine[3]:
            return top / 2
        self.cut &= {side for side, inner in ((1, fine[2]), (-1, fine[3])) if not inner}
        if self.outside > 3 and len(self.cut) == 1:
            return (yield from one_sided(x, self.f0, -min(self.cut), self.first, self.noise))
        return top * 2.0 ** -(1 + 2 * self.outside)

    def neighbours(self) -> Step:
        """Ask right beside x which sides there are; give the step that f(x) and the slope suggest."""
        x, first = self.x, self.first
        t = tiny_step(x, first)
        up, down = yield (x + t, x - t)
        right, left = math.isfinite(up), math.isfinite(down)
        if not right and not left:
            return not_finite("f is not finite on either side of x")
        if not right or not left:
            return (yield from one_sided(x, self.f0, 1 if right else -1, first, self.noise))
        slope = abs(up - down) / (2 * t)
        guess = abs(self.f0) / (8 * slope) if slope else math.inf
        return _power(guess) if 2 * t < guess < math.inf else math.inf

    def early(self, seen: Look, top: float) -> Estimate | None:
        """Stop after five values where a tolerance was asked for that is met: the slope is extrapolated once."""
        if not self.tolerant:
            return None
        least = ASKED if self.request.start else UNSURE if seen.fourth > EVEN * seen.curved else SMOOTH
        fall = max(seen.curved / max(seen.first, seen.second), least)
        rounding = 3 * seen.unit / top + 2 * EPS * abs(seen.slope)
        found = Estimate(seen.slope, seen.curved / top * fall, rounding, Status.CONVERGED, top, seen.unit)
        return found if self.good_enough(found) else None

    def climb(self, seen: Look, top: float, values: Sequence[float]) -> Step:
        """Extrapolate a ladder of five pairs; where the stop test fails, go on, or ask what is wrong."""
        if far(seen, self.request) and not self.noise:
            found = yield from wide_ladder(self.x, self.f0, seen, top, values, self.request)
            if found is not None:
                return found
        more = yield inner_pairs(self.x, top)
        return (yield from self.ladder(seen, top, values, more))

    def ladder(self, seen: Look, top: float, values: Sequence[float], more: Sequence[float]) -> Step:
        """Judge a ladder of five pairs."""
        if not finite(more):
            return top / 8
        x, at = self.x, five_pairs(self.f0, values, more, top)
        found = self.stopped(at, seen, top)
        if found is None and not self.contracts(at, seen, top):
            return (yield from self.stalled(at, seen, top, _pairs(top, values, more)))
        if found is None:
            return (yield from self.higher(seen, top, _pairs(top, values, more)))
        if found.rounding > 1.5e-10 * abs(found.value) and not self.good_enough(found):
            # f has a large offset: a wider ladder has less of its rounding.
            choice = yield from select(x, self.f0, _pairs(top, values, more), seen.unit / 2, 4 * seen.unit, (), 6)
            return self.chosen(choice, seen.unit)
        return found

    def higher(self, seen: Look, top: float, pairs: list[tuple[float, float, float]]) -> Step:
        """Add pairs while the tables contract."""
        x, f0 = self.x, self.f0
        odd, even = tables(f0, [up for _, up, _ in pairs], [down for _, _, down in pairs], top)
        for k in range(len(pairs), len(RUNGS)):
            h = top * RUNGS[k]
            up, down = yield (x + h, x - h)
            pairs.append((h, up, down))
            odd.append(extrapolate(odd[-1], (up - down) / (2 * h), k))
            even.append(extrapolate(even[-1], ((up - f0) - (f0 - down)) / 2, k))
            at = corner(odd, even)
            found = self.stopped(at, seen, top)
            if found is not None:
                return found
            if not self.contracts(at, seen, top):
                break
        return (yield from self.stalled(at, seen, top, pairs))

    def stopped(self, at: Corner, seen: Look, top: float) -> Estimate | None:
        """Stop where the stop test says so, or where the tolerance is met."""
        reached, found = stop_test(at, seen, top)
        if reached or self.good_enough(found):
            return found
        truncation = abs(at.value - at.before) + 3 * at.residual / (top * RUNGS[at.k])
        self.best = found._replace(truncation=truncation, status=Status.UNRESOLVED)
        return None

    @property
    def tolerant(self) -> bool:
        """Whether a tolerance was asked for."""
        return bool(self.request.rtol or self.request.atol)

    def good_enough(self, found: Estimate) -> bool:
        """Tell whether the tolerance that was asked for is met."""
        return found.truncation + found.rounding <= self.request.atol + self.request.rtol * abs(found.value)

    def contracts(self, at: Corner, seen: Look, top: float) -> bool:
        """Tell whether the last pair brought the tables together by a factor of 8."""
        now, before = _levels(at, top)
        return now <= before / 8

    def stalled(self, at: Corner, seen: Look, top: float, pairs: list[tuple[float, float, float]]) -> Step:
        """Say why the tables no longer contract: rounding above its bound, noise, a kink near by, or aliasing."""
        x, f0, unit = self.x, self.f0, seen.unit
        now, before = _levels(at, top)
        if now <= 16 * unit:
            h, gap = pairs[-1][0], abs(at.value - at.before)
            truncation = (5 * max(now, before / 2) * ODD_SPREAD[at.k] + gap * h / 2) / h
            rounding = MARGIN * AMPLIFICATION[at.k] * unit / h
            if truncation + rounding <= max(1e-11 * abs(at.value), 1e-12 * seen.change / top):
                return Estimate(at.value, truncation, rounding, Status.CONVERGED, top, unit)
            return self.chosen((yield from select(x, f0, pairs, unit / 2, 16 * unit)), unit)
        if _single([f0, *(v for _, up, down in pairs for v in (up, down))]):
            unit = 2.0**-23 * seen.size
            return self.chosen((yield from select(x, f0, pairs, unit / 8, 16 * unit)), unit / 8)
        verdict = yield from self.look_near(top, at.value, seen._replace(unit=unit), now)
        found = self.judged(verdict)
        if found is not None:
            return found
        if verdict.word == "noise":
            return self.chosen((yield from select(x, f0, pairs, unit / 2, math.inf, verdict.samples)), unit)
        cap = max(16 * unit, 4 * verdict.rough)
        if verdict.word == "smooth" and (self.contradicted(at, verdict, unit) or now > NARROW * cap):
            if (yield from self.toothed(at.value, verdict, pairs[-1:-4:-1])):
                return self.chosen((yield from select(x, f0, pairs, unit / 2, math.inf)), unit)
            # The ladder stepped over something narrow: as high as the tables stall, as steep as the slopes differ.
            self.best = self.tiny
            off = max(abs(at.value - verdict.slope), now / top)
            return _power(min(now / off, top / 8))
        return self.chosen((yield from select(x, f0, pairs, unit / 2, NARROW * cap)), unit)

    def toothed(self, slope: float, verdict: Verdict, pairs: Sequence[Pair], share: float = TOOTH) -> Teeth:
        """Tell whether f has the slope of the tiny pair beside other pairs, too, while the ladder has another one.

        So have the teeth of a saw: a term on a grid (float32, a table, a sum that cancels) times or beside a smooth
        one. A narrow feature ends before the next pair, and an oscillation has another phase at one of them.
        """
        off, t = abs(verdict.slope - slope), verdict.step
        for h, up, down in pairs:
            right, left = self.x + h, self.x - h
            up2, down2 = yield (right + t, left - t)
            above, below = (up2 - up) / ((right + t) - right), (down - down2) / (left - (left - t))
            mean, apart = (above + below) / 2, abs(above - below)
            if not (abs(mean - verdict.slope) <= share * off and apart <= off / 2):
                return False
        return True

    def contradicted(self, at: Corner, verdict: Verdict, unit: float) -> bool:
        """Tell whether the slope of the tiny pair cannot be that of the ladder."""
        off: float = abs(at.value - verdict.slope)
        gap: float = abs(at.value - at.before)
        slope, blur = abs(verdict.slope), (64 * unit + 32 * verdict.rough) / verdict.step
        return off > 4 * gap + blur + 1e-6 * slope or (off > blur + 1e-3 * slope and gap > 0.1 * slope)

    def noisy(self, top: float, samples: Sequence[float], seen: Look) -> Asking:
        """Ask for a ladder around the first step, where noise was found before there was any."""
        x = self.x
        steps = [top * rung for rung in RUNGS[:5]]
        values = yield tuple(point for h in steps for point in (x + h, x - h))
        pairs = [(h, values[2 * i], values[2 * i + 1]) for i, h in enumerate(steps)]
        floor = EPS * seen.size / 2
        choice = yield from select(x, self.f0, pairs, floor, math.inf, samples)
        return self.chosen(choice, seen.unit)

    def chosen(self, choice: Choice, unit: float) -> Estimate:
        """Report a chosen window."""
        status = Status.NOISY if choice.noisy else Status.CONVERGED
        return Estimate(choice.value, choice.truncation, choice.rounding, status, choice.step, max(choice.sigma, unit))


def _pairs(top: float, values: Sequence[float], more: Sequence[float]) -> list[tuple[float, float, float]]:
    """Give (h, f(x + h), f(x - h)) of a ladder, largest step first."""
    ups, downs = (*values[0::2], *more[0::2]), (*values[1::2], *more[1::2])
    return [(top * rung, up, down) for rung, up, down in zip(RUNGS, ups, downs, strict=False)]


def _levels(at: Corner, top: float) -> tuple[float, float]:
    """Give what the last two pairs left of both tables, in units of f: the noise, once truncation has gone."""
    k = at.k
    now = max(abs(at.value - at.before) * top * RUNGS[k] / ODD_CONTRAST[k], at.residual / EVEN_CONTRAST[k])
    step = top * RUNGS[k - 1]
    return now, max(abs(at.before - at.earlier) * step / ODD_CONTRAST[k - 1], at.residual_before / EVEN_CONTRAST[k - 1])


def _single(values: Sequence[float]) -> bool:
    """Say whether all values have at most 24 bits, as those of a function that computes in float32 (Veltkamp)."""
    for value in values:
        c = value * 536870913.0
        if c - (c - value) != value:
            return False
    return True
