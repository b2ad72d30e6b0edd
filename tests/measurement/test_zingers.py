"""Single rays that stand out: found, left out of what is estimated, and spoken of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ctrecon.measurement.counts import add_gaussian_noise, add_poisson_noise
from ctrecon.measurement.delta import delta_for
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.zingers import zingers
from ctrecon.phantoms import FAMILIES
from ctrecon.simulation.simulate import standard_scanner


def scanned(family, noise=0.01, photons=None):
    geometry, grid = standard_scanner("fan", 96, 90)
    clean = family.sample(np.random.default_rng(3)).scaled(0.9 * 96 * 0.44 / 2, 0.02).sinogram(geometry)
    clean = clean.astype(np.float64)
    if photons is None:
        return Scan(sinogram=add_gaussian_noise(clean, noise, 1), geometry=geometry, grid=grid, source="s")
    made = add_poisson_noise(clean, photons, 1)
    return Scan(sinogram=made.values, variance=made.variance, geometry=geometry, grid=grid, source="s")


def struck(scan, share=0.001, seed=0):
    rng = np.random.default_rng(seed)
    hit = rng.choice(scan.sinogram.size, round(share * scan.sinogram.size), replace=False)
    values = scan.sinogram.copy()
    values.flat[hit] += scan.sinogram.max() * rng.choice([-1, 1], hit.size)
    return replace(scan, sinogram=values), hit


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_zingers_are_found_wherever_they_strike_and_detail_is_none(family):
    scan = scanned(family)
    assert zingers(scan.sinogram)[1].mean() <= 0.001
    bad, hit = struck(scan)
    clean, found = zingers(bad.sinogram)
    assert found.ravel()[hit].mean() >= 0.85
    order = np.random.default_rng(1).permutation(90)
    again = zingers(bad.sinogram[order], np.argsort(order))
    assert np.array_equal(again[0], clean[order])
    assert np.array_equal(again[1], found[order])


@pytest.mark.parametrize("photons", [None, 1e5])
def test_zingers_do_not_raise_delta_and_are_spoken_of(photons):
    scan = scanned(FAMILIES[3], photons=photons)
    bad, _ = struck(scan)
    before, after = delta_for(scan, "auto"), delta_for(bad, "auto")
    assert "stand out" not in before.how
    assert "single rays stand out" in after.how
    assert after.value == pytest.approx(before.value, rel=0.03)
    excess = float(np.linalg.norm(bad.sinogram - scan.sinogram))
    assert photons is not None or excess > 5 * before.value, "with them it would be many times as large"


def test_nothing_stands_out_of_a_scan_without_values():
    values, found = zingers(np.zeros((5, 20)))
    assert not found.any()
    assert not values.any()
    assert math.isfinite(values.sum())
