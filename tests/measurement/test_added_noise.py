"""Noise that is added to a simulated scan has the size that was asked for, by its seed alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from known_sinograms import discs, fan

from ctrecon.errors import SettingError
from ctrecon.measurement.counts import add_gaussian_noise, add_poisson_noise


def test_gaussian_noise_has_the_norm_asked_for_and_the_seed_decides():
    f = discs(fan()).astype(np.float32)
    noisy = add_gaussian_noise(f, 0.03, seed=1)
    assert noisy.dtype == np.float32
    assert np.linalg.norm(noisy - f) == pytest.approx(0.03 * np.linalg.norm(f), rel=1e-5)
    np.testing.assert_array_equal(noisy, add_gaussian_noise(f, 0.03, seed=1))
    assert not np.array_equal(noisy, add_gaussian_noise(f, 0.03, seed=2))
    np.testing.assert_array_equal(add_gaussian_noise(f, 0.0, seed=1), f)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_impossible_noise(bad):
    with pytest.raises(SettingError):
        add_gaussian_noise(np.ones((2, 3)), bad, 0)
    with pytest.raises(SettingError):
        add_poisson_noise(np.ones((2, 3)), bad, 0)
