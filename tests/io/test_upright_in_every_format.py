"""One phantom through every format: nothing turns or mirrors on the way."""

from __future__ import annotations

import math

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.geometry.as_json import geometry_to_json
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.arrays import read_scan


def asymmetric(geometry):
    """A large disc, and small ones above left and to the right, so that every flip and turn shows."""
    points, directions = geometry.rays()
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    total = np.zeros(geometry.shape)
    for x, y, r, mu in ((0, 0, 20, 0.02), (-9, 11, 4, 0.05), (13, 2, 3, 0.08)):
        away = (points[..., 0] - x) * unit[..., 1] - (points[..., 1] - y) * unit[..., 0]
        total += 2 * mu * np.sqrt(np.maximum(r**2 - away**2, 0))
    return total


def save_npy(path, f, geometry, grid):
    np.save(path.with_suffix(".npy"), f)
    return path.with_suffix(".npy")


def save_npz(path, f, geometry, grid):
    np.savez(path.with_suffix(".npz"), sinogram=f)
    return path.with_suffix(".npz")


def save_plain_mat(path, f, geometry, grid):
    scipy.io.savemat(path.with_suffix(".mat"), {"sinogram": f})
    return path.with_suffix(".mat")


def save_counts_h5(path, f, geometry, grid):
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["exchange/data"] = (1e7 * np.exp(-f))[:, None]
        file["exchange/data_white"] = np.full((1, 1, f.shape[1]), 1e7)
        file["exchange/theta"] = np.rad2deg(geometry.angles_rad)
    return path.with_suffix(".h5")


@pytest.mark.parametrize("save", [save_npy, save_npz, save_plain_mat, save_counts_h5])
def test_an_asymmetric_phantom_stands_upright_in_every_format(tmp_path, save):
    grid = Grid(rows=48, columns=48)
    geometry = ParallelBeam(angles_rad=tuple(np.arange(90) * math.pi / 90), detector_count=64, detector_offset_mm=0.5)
    path = save(tmp_path / "p", asymmetric(geometry), geometry, grid)
    path.with_suffix(".json").write_text(geometry_to_json(geometry, grid))
    scan = read_scan(path)
    assert scan.geometry == geometry
    image = FilteredBackProjection(scan.geometry, scan.grid)(torch.from_numpy(scan.sinogram)[None, None])[0, 0].numpy()
    x, y = grid.x_mm[None, :], grid.y_mm[:, None]
    truth = 0.02 * (x**2 + y**2 < 400) + 0.05 * ((x + 9) ** 2 + (y - 11) ** 2 < 16)
    truth += 0.08 * ((x - 13) ** 2 + (y - 2) ** 2 < 9)
    upright = np.corrcoef(image.ravel(), truth.ravel())[0, 1]
    turned = [np.rot90(side, k) for side in (truth, truth[:, ::-1]) for k in range(4)][1:]
    assert upright > 0.95
    assert max(np.corrcoef(image.ravel(), other.ravel())[0, 1] for other in turned) < 0.8
