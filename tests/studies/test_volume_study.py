"""The study of volumes: what stacked objects look like to a cone, and which cases there are."""

import numpy as np
import pytest
import torch

from ctrecon.phantoms.bodies import BODIES
from ctrecon.studies.volumes import LEAST_SLICES, NOISES, ORACLE, Found, cases, stacked, table
from ctrecon.training.objects import HeldObject, held_object


def an_object(slices: int) -> HeldObject:
    """An ellipsoid off the middle in a picture of 60 x 52 pixels."""
    y, x, z = np.mgrid[:60, :52, :slices].astype(float)
    inside = ((y - 34) / 18) ** 2 + ((x - 24) / 14) ** 2 + ((z - slices / 2) / slices) ** 2 < 1
    images = [np.float32(0.02) * inside[..., k].astype(np.float32) for k in range(slices)]
    return held_object(f"object {slices}", images)


def test_the_data_of_a_stack_are_those_of_its_volume_but_for_its_voxels() -> None:
    scanner, truth, data = stacked(an_object(8), 16, 12)
    assert truth.shape == (1, 1, 8, 16, 16)
    assert data.shape == (1, 1, *scanner.geometry.shape)
    off = float((scanner.operator(truth) - data).norm() / data.norm())
    assert 1e-4 < off < 0.05, "near, and no inverse crime"
    for wrong in (truth.flip(3), truth.flip(4), truth.transpose(3, 4)):
        assert float((scanner.operator(wrong) - data).norm() / data.norm()) > 3 * off


def test_objects_take_the_place_of_bodies_and_thin_ones_are_left_out() -> None:
    objects = [an_object(LEAST_SLICES), an_object(LEAST_SLICES - 1)]
    found = cases(2, 16, 12, ["ct-volume"], objects)
    assert {one.family for one in found} == {objects[0].name}
    assert len(found) == 2 * len(NOISES)
    assert len(cases(2, 16, 12, ["ct-volume"])) == 2 * len(BODIES) * len(NOISES) * 2
    assert len({one.key for one in found}) == len(found)


def test_the_table_compares_with_the_oracle_body_by_body() -> None:
    rows = [
        Found(key="", family=name, number=0, noise=0.01, method=method, psnr=psnr, certified=method != ORACLE)
        for name, oracle, own in (("a", 30.0, 31.0), ("b", 40.0, 39.5))
        for method, psnr in ((ORACLE, oracle), ("ct-volume", own))
    ]
    line = table(rows)[-1]
    assert "35.00 dB" in line
    assert "2 certified" in line
    assert "+0.25" in line
    assert "worst -0.50" in line


@pytest.mark.parametrize("slices", [3, 8])
def test_what_stands_beyond_the_disc_is_air(slices: int) -> None:
    whole = held_object("block", [np.full((20, 30), 0.02, np.float32)] * slices)
    _, truth, _ = stacked(whole, 16, 12)
    assert float(truth[..., 0, 0].max()) == 0
    assert torch.allclose(truth[0, 0, :, 8, 8], torch.tensor(0.02))
