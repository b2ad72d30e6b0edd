"""What local fits find where no geometry is known, and what they cannot tell from detail."""

from __future__ import annotations

import math

import numpy as np
import pytest
from known_sinograms import discs, fan, level, most, parallel

from ctrecon.errors import InputError
from ctrecon.measurement.counts import add_gaussian_noise, add_poisson_noise
from ctrecon.phantoms import FAMILIES
from ctrecon.simulation.simulate import standard_scanner


def test_local_fits_do_take_detail_for_noise():
    """So the wedge earns its place, and what stands in for it errs on the large side."""
    geometry, _ = standard_scanner("fan", 96, 90)
    seeds = next(family for family in FAMILIES if family.name == "seeds")
    clean = seeds.sample(np.random.default_rng(3)).scaled(0.9 * 96 * 0.44 / 2, 0.02).sinogram(geometry)
    noisy = add_gaussian_noise(clean.astype(np.float64), 0.01, 0)
    sigma, where = most(noisy)
    assert "cubics" in where
    assert sigma > 1.2 * level(noisy - clean)


@pytest.mark.parametrize("geometry", [parallel(), fan()], ids=["parallel", "fan"])
@pytest.mark.parametrize("relative", [0.005, 0.01, 0.03])
def test_sigma_is_found_by_local_fits_where_no_geometry_is_known(geometry, relative):
    """Within 12% for four discs; a plain median of differences takes part of the object for noise."""
    part = geometry.views(slice(0, 60))
    f = discs(part, count=4, seed=0)
    noisy = add_gaussian_noise(f, relative, 0)
    sigma, where = most(noisy)
    assert "cubics" in where
    assert 0.98 < sigma / level(noisy - f) < 1.12
    plain = 1.4826 * np.median(np.abs(np.diff(noisy, axis=1))) / math.sqrt(2)
    if relative < 0.02:
        assert abs(plain / level(noisy - f) - 1) > 2 * abs(sigma / level(noisy - f) - 1)


@pytest.mark.parametrize("whole", [True, False])
def test_sigma_of_noise_that_grows_with_attenuation_is_its_root_mean_square(whole):
    geometry = parallel()
    f = 3 * discs(geometry, count=4)
    noisy = add_poisson_noise(f, 3e4, 0)
    rms = math.sqrt(noisy.variance.mean())
    assert most(noisy.values, geometry if whole else None)[0] == pytest.approx(rms, rel=0.15)
    assert 1.4826 * np.median(np.abs(noisy.values - f)) < 0.9 * rms, "one median over all rays says too little"


@pytest.mark.parametrize("geometry", [None, parallel(50, 300)], ids=["no turn", "half a turn"])
def test_sigma_ignores_units_offsets_and_slopes(geometry):
    noise = np.random.default_rng(0).standard_normal((50, 300))
    slope = 40 * np.linspace(-1, 1, 300) ** 3
    sigma, _ = most(noise, geometry)
    assert sigma == pytest.approx(1.02, abs=0.06)
    assert most(7 * noise, geometry)[0] == pytest.approx(7 * sigma)
    assert most(noise + 100, geometry)[0] == pytest.approx(sigma, rel=0.02)
    if geometry is None:
        assert most(noise + slope)[0] == pytest.approx(sigma, rel=0.02)
    with pytest.raises(InputError, match="10 detectors"):
        most(noise[:, :9])
