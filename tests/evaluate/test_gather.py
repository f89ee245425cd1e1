"""How two real results become a complex one, and what is added where they differ."""

import cmath
import math
from typing import Any

import numpy as np
import pytest

import mibun.derivatives as mb
from mibun.status import Status


def wavy(t: float) -> float:
    return math.sin(3 * t) + 1e-7 * math.sin(1e12 * t)


@pytest.mark.parametrize(("real", "imaginary"), [(wavy, math.exp), (math.exp, wavy), (math.exp, math.exp)])
def test_a_complex_f_has_the_errors_of_both_parts(real: Any, imaginary: Any) -> None:
    one, two = mb.derivative(real, 1.0), mb.derivative(imaginary, 1.0)
    d = mb.derivative(lambda t: complex(real(t), imaginary(t)), 1.0)
    assert d.value == complex(one.value, two.value)
    assert d.truncation == math.hypot(one.truncation, two.truncation)
    assert d.rounding == math.hypot(one.rounding, two.rounding)
    assert d.error == pytest.approx(d.truncation + d.rounding)
    assert d.step == max(one.step, two.step)
    noisy = Status.NOISY in (one.status, two.status)
    assert d.status is (Status.NOISY if noisy else Status.CONVERGED)
    assert bool(d.notes) is noisy


def test_the_noise_of_a_complex_jacobian_is_the_largest() -> None:
    d = mb.jacobian(lambda p: np.array([wavy(p[0]) + math.exp(p[1])]), [1.0, 1.0])
    parts = [mb.derivative(wavy, 1.0).noise, mb.derivative(math.exp, 1.0).noise]
    assert d.noise[0] == pytest.approx(max(parts), rel=1.0)
    assert d.noise[0] > 100 * min(parts)


def test_slopes_of_both_axes_that_differ_within_their_errors_widen_the_error() -> None:
    def along(c: float) -> mb.Derivative:
        return mb.derivative(lambda z: z + c * z.imag, 1 + 1j, noise=1e-3)

    plain, bent = along(0.0), along(1e-2)
    assert plain.status.passes
    assert bent.status.passes
    assert bent.truncation == pytest.approx(plain.truncation + 1e-2, rel=1e-3)
    refused = along(1e3)
    assert (refused.status, refused.error) == (Status.UNRESOLVED, math.inf)
    assert "analytic" in refused.notes[0].message
    assert abs(mb.derivative(cmath.exp, 1 + 1j).value - cmath.exp(1 + 1j)) < 1e-10


@pytest.mark.parametrize(("n", "listed"), [(100, 100), (101, 1)])
def test_so_many_notes_are_listed(n: int, listed: int) -> None:
    d = mb.gradient(lambda p: float(np.abs(p).sum()), np.zeros(n), method="central")
    assert len(d.notes) == listed
