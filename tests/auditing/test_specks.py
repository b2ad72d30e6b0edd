"""How rough an object may be by default: more where its scan shows that it is of specks."""

import numpy as np
import pytest

from ctrecon.auditing.roughness import allowance, fall_of_spectrum
from ctrecon.measurement.object_spectrum import LIKELY
from ctrecon.phantoms import FAMILIES
from ctrecon.simulation.simulate import simulate, standard_scanner

KINDS = {family.name: family for family in FAMILIES}


def seen(name, seed, **noise):
    geometry, grid = standard_scanner("parallel", 64, 60)
    made = simulate(KINDS[name], geometry, grid, seed=seed, **noise)
    scan = made.scan
    weights = None if scan.variance is None else 1 / scan.variance
    delta = made.delta if weights is None else made.whitened_delta
    return scan.sinogram, geometry, grid, delta, weights


@pytest.mark.parametrize("noise", [{"photons": 1e3}, {"relative_noise": 0.01}])
def test_an_object_of_specks_may_be_rougher_than_one_with_edges(noise):
    scan = {"share": 0.05, "views": 60, "side": 64}
    for seed in range(3):
        specks, edges = (fall_of_spectrum(*seen(name, seed, **noise)) for name in ("seeds", "head"))
        assert specks < 2.4 < edges
        for learned in (True, False):
            usual = allowance(**scan, learned=learned)
            assert allowance(**scan, learned=learned, exponent=edges) == pytest.approx(usual, rel=0.02)
            assert allowance(**scan, learned=learned, exponent=specks) > usual + 0.05


def test_missing_rays_are_no_specks_and_a_few_cells_say_nothing():
    sinogram, geometry, grid, delta, weights = seen("head", 1, photons=1e4)
    whole = fall_of_spectrum(sinogram, geometry, grid, delta, weights)
    hit = np.random.default_rng(0).random(sinogram.shape) < 0.02
    lost = fall_of_spectrum(np.where(hit, 50.0, sinogram), geometry, grid, delta, np.where(hit, 0, weights))
    assert abs(lost - whole) < 0.5
    geometry, grid = standard_scanner("fan", 12, 10)
    assert fall_of_spectrum(np.ones((10, 12)), geometry, grid, 0.1) == LIKELY
