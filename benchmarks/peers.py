"""The libraries that `derivatives.py` measures beside mibun, all brought to one form, and how answers are judged.

Every peer runs with its defaults. A peer that is not installed is left out, and `missing` names it. A contender is
called with f and x and gives the derivative with the error that it claims for it, nan where it claims none. `score`
and `noise_score` compare what it said with the truth.
"""

import importlib.metadata
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np
from mix import Noisy, Problem

from mibun.derivatives import derivative, jacobian

F = Callable[[Any], Any]
#: From f and x to the derivative and the error that is claimed for it.
Call = Callable[[F, float], tuple[float, float]]
Jacobian = Callable[[F, Any], Any]


class Answer(NamedTuple):
    """What a contender said to a problem: nan where it said nothing; `evaluations` of f were counted."""

    value: float
    claim: float
    evaluations: int


class Contender(NamedTuple):
    """One way to differentiate; `array`: f must take arrays; `claims`: it says how large its error is."""

    name: str
    call: Call
    array: bool
    claims: bool


class Counted:
    """f, and the number of points at which it was evaluated; a point is `size` numbers."""

    def __init__(self, f: F, size: int = 1) -> None:
        self.f, self.size, self.count = f, size, 0

    def __call__(self, x: Any) -> Any:
        """Evaluate f."""
        self.count += np.size(x) // self.size
        return self.f(x)


def _mibun() -> Call:
    def call(f: F, x: float) -> tuple[float, float]:
        found = derivative(f, x)
        return found.value, found.error

    return call


def _numdifftools() -> Call:
    from numdifftools import Derivative

    def call(f: F, x: float) -> tuple[float, float]:
        found = Derivative(f, full_output=True)(x)
        return float(found.estimate), float(found.error_estimate)

    return call


def _jacobi() -> Call:
    from jacobi import jacobi

    def call(f: F, x: float) -> tuple[float, float]:
        value, error = jacobi(f, x)
        return float(value), float(error)

    return call


def _scipy_differentiate() -> Call:
    from scipy.differentiate import derivative as scipy_derivative

    def call(f: F, x: float) -> tuple[float, float]:
        found = scipy_derivative(f, x)
        return float(found.df), float(found.error)

    return call


def _scipy_3_point() -> Call:
    from scipy.optimize._numdiff import approx_derivative

    def call(f: F, x: float) -> tuple[float, float]:
        return approx_derivative(lambda v: f(v.item()), x, method="3-point").item(), math.nan

    return call


def _fdm() -> Call:
    from fdm import central_fdm

    method = central_fdm(order=5, deriv=1)

    def call(f: F, x: float) -> tuple[float, float]:
        value = float(method(f, x))
        return value, math.nan if method.acc is None else float(method.acc)

    return call


def _optimagic() -> Call:
    from optimagic import first_derivative

    def call(f: F, x: float) -> tuple[float, float]:
        return float(first_derivative(f, x).derivative), math.nan

    return call


def _statsmodels() -> Call:
    from statsmodels.tools.numdiff import approx_fprime

    def call(f: F, x: float) -> tuple[float, float]:
        return approx_fprime(np.array([x]), lambda v: f(v.item()), centered=True).item(), math.nan

    return call


#: Name, distribution, maker of the call, whether f must take arrays, whether an error is claimed.
KNOWN: tuple[tuple[str, str, Callable[[], Call], bool, bool], ...] = (
    ("mibun", "mibun", _mibun, False, True),
    ("numdifftools", "numdifftools", _numdifftools, True, True),
    ("jacobi", "jacobi", _jacobi, True, True),
    ("scipy.differentiate", "scipy", _scipy_differentiate, True, True),
    ("scipy 3-point", "scipy", _scipy_3_point, False, False),
    ("fdm, 5 points", "fdm", _fdm, False, True),
    ("optimagic", "optimagic", _optimagic, False, False),
    ("statsmodels, centered", "statsmodels", _statsmodels, False, False),
)


def contenders() -> list[Contender]:
    """Make mibun and every peer that is installed."""
    found = []
    for name, _, make, array, claims in KNOWN:
        try:
            found.append(Contender(name, make(), array, claims))
        except ImportError:
            continue
    return found


def missing(found: Iterable[Contender]) -> list[str]:
    """Name the peers that are not installed."""
    here = {contender.name for contender in found}
    return [name for name, *_ in KNOWN if name not in here]


def versions() -> str:
    """Name the installed peers with their versions."""
    names = []
    for distribution in dict.fromkeys(row[1] for row in KNOWN[1:]):
        try:
            names.append(f"{distribution} {importlib.metadata.version(distribution)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(names)


def ask(contender: Contender, problem: Problem) -> Answer:
    """Let a contender solve a problem; what it raises counts as no answer."""
    f = Counted(problem.array_f if contender.array else problem.f)
    try:
        value, claim = contender.call(f, problem.x)
    except Exception:  # noqa: BLE001  no answer, whatever the reason
        value, claim = math.nan, math.nan
    return Answer(value, claim, f.count)


def scalar_times(
    found: Sequence[Contender], functions: Mapping[str, tuple[F, F]], x: float, rounds: int
) -> dict[str, dict[str, float]]:
    """Time one call, in seconds: of every function (of a float, of an array) by every contender, medians in turn."""
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for contender in found:
            for name, pair in functions.items():
                f = pair[contender.array]
                contender.call(f, x)  # warms up
                repeats, before = 0, time.perf_counter()
                while time.perf_counter() - before < 1e-3:
                    contender.call(f, x)
                    repeats += 1
                times.setdefault((contender.name, name), []).append((time.perf_counter() - before) / repeats)
    return {c.name: {name: median(times[c.name, name]) for name in functions} for c in found}


def mix_times(found: Sequence[Contender], problems: Sequence[Problem], rounds: int) -> dict[str, float]:
    """Time a problem of the mix, in seconds: the mean over the problems, the median over rounds in turn."""
    times: dict[str, list[float]] = {}
    given = {array: [(p.array_f if array else p.f, p.x) for p in problems] for array in (False, True)}
    for _ in range(rounds):
        for contender in found:
            before = time.perf_counter()
            for f, x in given[contender.array]:
                try:
                    contender.call(f, x)
                except Exception:  # noqa: BLE001  it was no answer in the tables of accuracy either
                    continue
            times.setdefault(contender.name, []).append((time.perf_counter() - before) / len(problems))
    return {name: median(values) for name, values in times.items()}


def jacobians() -> dict[str, Jacobian]:
    """Give those contenders that have a Jacobian, as functions of f and x."""
    found: dict[str, Jacobian] = {"mibun": lambda f, x: jacobian(f, x).value}
    try:
        from numdifftools import Jacobian as NumdifftoolsJacobian

        found["numdifftools"] = lambda f, x: NumdifftoolsJacobian(f)(x)
    except ImportError:
        pass
    try:
        from jacobi import jacobi

        found["jacobi"] = lambda f, x: jacobi(f, x)[0]
    except ImportError:
        pass
    try:
        from scipy.differentiate import jacobian as scipy_jacobian
        from scipy.optimize._numdiff import approx_derivative

        found["scipy.differentiate"] = lambda f, x: scipy_jacobian(f, x).df
        found["scipy 3-point"] = lambda f, x: approx_derivative(f, x, method="3-point")
    except ImportError:
        pass
    return found


# --- Judging -------------------------------------------------------------------------------------------------------


class Score(NamedTuple):
    """How a contender did on a set of problems; shares are of all problems, `covers` of the answers with a claim."""

    good: float
    covers: float
    wrong: int
    ratio: float
    evaluations: float
    most: int
    silent: float


def quantile(values: Iterable[float], share: float) -> float:
    """Give the value below which this share lies; nan if there are none, and inf is a value like others."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else math.nan


def share(hits: Iterable[bool]) -> float:
    """Give the share of True; nan if there is nothing."""
    counted = list(hits)
    return sum(counted) / len(counted) if counted else math.nan


def off(value: float, truth: float) -> float:
    """Give the true error, not counting what rounding the truth to a float adds."""
    distance = abs(value - truth) - math.ulp(truth) / 2
    return 0.0 if distance < 0 else distance


def error(problem: Problem, value: float) -> float:
    """Give the true error of a value."""
    return off(value, problem.derivative)


def claims(answer: Answer) -> bool:
    """Tell whether this is a number with an error claimed for it."""
    return math.isfinite(answer.value) and not math.isnan(answer.claim)


def score(asked: Sequence[Problem], answers: Sequence[Answer]) -> Score:
    """Compare the answers with the truth."""
    claimed = [
        (error(problem, answer.value), answer.claim)
        for problem, answer in zip(asked, answers, strict=True)
        if claims(answer)
    ]
    return Score(
        good=share(problem.is_good(answer.value) for problem, answer in zip(asked, answers, strict=True)),
        covers=share(true <= claim for true, claim in claimed),
        wrong=sum(true > 10 * claim for true, claim in claimed),
        ratio=quantile((claim / true if true else math.inf for true, claim in claimed), 0.5),
        evaluations=fmean(answer.evaluations for answer in answers),
        most=max(answer.evaluations for answer in answers),
        silent=share(not math.isfinite(answer.value) for answer in answers),
    )


class Noise(NamedTuple):
    """How a contender did under noise; errors are in units of that of the best possible step.

    `computed` is the share of the bounds that cover the derivative of the function as it is computed.
    """

    score: Score
    computed: float
    middle: float
    p90: float
    level: float


def noise_score(asked: Sequence[Noisy], answers: Sequence[Answer], levels: Sequence[float] = ()) -> Noise:
    """Compare answers, and noise levels if any, with the truth."""
    ratios = [
        abs(answer.value - problem.derivative) / problem.best_error if math.isfinite(answer.value) else math.inf
        for problem, answer in zip(asked, answers, strict=True)
        if 0 < problem.best_error < math.inf
    ]
    found = [level / p.sd for p, level in zip(asked, levels, strict=False) if p.sd > 0]
    computed = share(off(a.value, p.computed) <= a.claim for p, a in zip(asked, answers, strict=True) if claims(a))
    return Noise(score(asked, answers), computed, quantile(ratios, 0.5), quantile(ratios, 0.9), quantile(found, 0.5))
