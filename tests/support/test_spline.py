"""The spline through values at whole numbers is scipy's natural one, and its derivative is that of its values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from ctrecon.support.spline import WholeSpline


@pytest.mark.parametrize("count", [2, 3, 7, 200])
def test_it_is_scipys_natural_one_and_so_is_its_derivative(count: int) -> None:
    values = np.pad(np.random.default_rng(count).standard_normal(count), 40)  # as a view is: air on either side
    spline, natural = WholeSpline(values), CubicSpline(np.arange(values.size), values, bc_type="natural")
    places = np.linspace(0, values.size - 1, 501)
    for derivative in (0, 1):
        assert np.abs(spline.at(places, derivative) - natural(places, derivative)).max() < 1e-12
    assert np.abs(spline.at(np.arange(values.size)) - values).max() < 1e-14


def test_a_straight_line_stays_one() -> None:
    line = WholeSpline(np.array([1.0, 3.0]))
    np.testing.assert_allclose(line.at(np.array([-1.0, 0.25, 2.0])), [-1, 1.5, 5])
    np.testing.assert_allclose(line.at(np.array([0.5]), 1), [2])
