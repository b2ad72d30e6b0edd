"""A scan at half its resolution: the same scanner before the same volume, whatever is odd."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from geometries import EXAMPLES, short
from volumes import OBJECT, cone

import ctrecon as ct
from ctrecon.operators.volume.halved import LEAST, doubled, half_data, half_geometry, half_grid
from ctrecon.operators.volume.joseph import VolumeJosephOperator

SPACE = {name: made for cases in EXAMPLES.values() for name, made in cases.items() if len(made().shape) == 3}


@pytest.mark.parametrize("name", SPACE)
@pytest.mark.parametrize("odd", [0, 1])
def test_each_cell_of_the_half_stands_between_the_four_that_it_is_made_of(name, odd):
    vectors = short(SPACE[name](), 5).to_vectors()
    whole = ct.VectorsInSpace.from_vectors(replace(vectors, rows=6 + odd, columns=8 - odd))
    cells, half = whole.to_vectors().cells()[::2], half_geometry(whole).to_vectors()
    assert np.allclose(half.source, vectors.source[::2])
    four = [cells[:, i : i + 5 : 2, j : j + 5 : 2] for i in (0, 1) for j in (0, 1)]
    found = half.cells()[:, :3, :3]
    # On an arc the mean of two places lies a little within it.
    assert np.abs(found - sum(four) / 4).max() < 0.02 * min(vectors.row_mm, vectors.column_mm)


def test_half_the_voxels_stand_where_the_whole_ones_do():
    grid = ct.Grid(rows=7, columns=6, slices=5, pixel_mm=(2.0, 3.0), slice_mm=4.0, centre_mm=(1.0, -2.0, 3.0))
    half = half_grid(grid)
    for name, count in (("x_mm", 6), ("y_mm", 7), ("z_mm", 5)):
        fine, coarse = getattr(grid, name), getattr(half, name)
        assert np.allclose(coarse[: count // 2], (fine[0 : count - 1 : 2] + fine[1:count:2]) / 2)
    ramp = torch.from_numpy(np.broadcast_to(half.z_mm[:, None, None], half.shape).copy())[None, None]
    assert np.allclose(doubled(ramp, grid.shape)[0, 0, 1:-1, 3, 3], grid.z_mm[1:-1])


def test_its_data_are_nearly_those_of_the_half_volume():
    geometry = cone(LEAST, detector_count=51, detector_rows=45, detector_spacing_mm=3.0, detector_row_spacing_mm=3.2)
    grid = ct.Grid(rows=43, columns=44, slices=41, pixel_mm=2.2, slice_mm=2.4, centre_mm=(3.0, -2.0, 1.0))
    operator = VolumeJosephOperator(geometry, grid)
    half = operator.halved()
    data = torch.from_numpy(OBJECT.sinogram(geometry, 1).astype(np.float32))[None, None]
    mask = torch.ones_like(data)
    mask[..., :, 7:9] = 0
    means, counted = half_data(torch.where(mask > 0, data, 1e9), mask)
    assert means.shape[1:] == half.range_shape
    assert set(counted.unique().tolist()) <= {0.0, 0.5, 1.0}
    volume = torch.from_numpy(OBJECT.image(half.grid, 2).astype(np.float32))[None, None]
    moved = VolumeJosephOperator(half.geometry, replace(half.grid, centre_mm=(5.2, -2.0, 1.0)))
    off, further = (((one(volume) - means)[counted > 0]).norm() / means.norm() for one in (half, moved))
    assert off < 0.05
    assert further > 2 * off
    assert VolumeJosephOperator(cone(LEAST - 1), grid).halved() is None
    # The norm begins with that of the half, and is as near as half a percent to where many iterations lead.
    x = operator._guess()
    for _ in range(40):
        x = operator.adjoint(operator(x / x.norm()))
    assert 0.995 * float(x.norm()) ** 0.5 <= operator.norm() <= float(x.norm()) ** 0.5 * (1 + 1e-5)
