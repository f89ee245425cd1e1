"""What the benchmark takes for the truth is true."""

import numpy as np
import pytest
from residuals import RESIDUALS
from surfaces import DEVELOPMENT, HELD_OUT

import mibun as mb

SURFACES = {surface.name: surface for surface in (*DEVELOPMENT, *HELD_OUT)}


@pytest.mark.parametrize("name", RESIDUALS)
def test_the_squares_of_residuals_add_up_to_the_surface(name):
    surface = SURFACES[name]
    for x in surface.points(5, 3):
        squares = sum(residual**2 for residual in RESIDUALS[name](x, np))
        assert squares == pytest.approx(float(surface(x)), rel=1e-12)


@pytest.mark.parametrize("name", ["beale", "griewank", "himmelblau", "zakharov"])
def test_the_true_gradient_of_a_surface_lies_within_the_bound(name):
    surface = SURFACES[name]
    for x in surface.points(5, 3):
        found = mb.gradient(surface, x)
        assert (np.abs(found.value - surface.gradient(x)) <= found.error).all()
