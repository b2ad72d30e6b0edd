"""Delta of a scan in space leaves room for the voxels, not for noise alone."""

from __future__ import annotations

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.measurement.delta import delta_for
from ctrecon.phantoms.bodies import BODIES

FAMILIES = [pytest.param(one.name, marks=[pytest.mark.long] * (one.name == "trunk")) for one in BODIES]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_true_volume_meets_delta_and_would_not_meet_that_of_noise_alone(family: str) -> None:
    made = ct.simulate(family, beam="cone", size=24, views=24, noise=0.005, seed=4)
    whole, alone = (delta_for(made.scan, "auto", model_error=error) for error in ("auto", "0"))
    assert 0.97 < whole.value / made.delta < 1.75
    assert alone.value < 0.6 * made.delta
    assert "a discretisation error of" in whole.how


def test_a_source_that_climbs_has_none_and_it_is_said() -> None:
    helix = ct.HelicalCone(
        angles_rad=tuple(np.linspace(0, 9, 20)), detector_count=20, detector_rows=20, detector_spacing_mm=2.0,
        detector_row_spacing_mm=2.0, source_to_axis_mm=60.0, source_to_detector_mm=120.0, pitch_mm=4.0,
    )
    noise = np.random.default_rng(1).normal(size=helix.shape)
    delta = delta_for(ct.Scan(noise, helix, grid=ct.Grid(rows=8, columns=8, slices=8, pixel_mm=1, slice_mm=1)), "auto")
    assert "in space its estimate is for a source on a circle" in delta.how
