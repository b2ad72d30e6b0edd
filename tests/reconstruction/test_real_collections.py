"""The scans of docs/real_data.md: the right way round, as their references say, and even where the beam hardens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from skimage.filters import threshold_otsu
from skimage.transform import resize

import ctrecon as ct
from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.corrections import corrected
from ctrecon.io.arrays import read_scan
from ctrecon.measurement.implausible import implausible
from ctrecon.measurement.scan import Scan

SCANS = ("01a", "04b", "07c")


def place(data_dir: Path, name: str) -> Path:
    return data_dir / "scans" / "htc2022_test" / f"htc2022_{name}_full.mat"


def back_projected(scan: Scan) -> np.ndarray:
    data = torch.from_numpy(scan.sinogram)[None, None].float()
    return FilteredBackProjection(scan.geometry, scan.with_grid().grid, window="hann")(data)[0, 0].numpy()


def matthews(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def agreement(data_dir: Path, name: str, image: np.ndarray) -> list[float]:
    """With the challenge's reference: the image as it is, upside down, mirrored, and its transpose."""
    with PillowImage.open(data_dir / "scans" / "htc2022_test" / f"htc2022_{name}_recon_fbp_seg.png") as picture:
        truth = np.asarray(picture.convert("L")) > 0
    large = resize(image.astype(float), truth.shape, order=1)
    found = large > threshold_otsu(large)
    return [matthews(one, truth) for one in (found, found[::-1], found[:, ::-1], found.T)]


@pytest.mark.parametrize("name", SCANS)
def test_quickly_the_right_way_round_and_plausible(data_dir: Path, name: str) -> None:
    scan = read_scan(place(data_dir, name), every=12, size=192)
    assert implausible(scan) == []
    right, *others = agreement(data_dir, name, back_projected(scan))
    assert right > 0.97
    assert max(others) < right - 0.02


def rise(scan: Scan) -> float:
    """How much denser the disc seems at its rim than in its middle, between the holes."""
    image, grid = back_projected(scan), scan.with_grid().grid
    away = np.hypot(grid.x_mm[None], grid.y_mm[:, None])
    middle, rim = (float(np.median(image[(away > low) & (away < low + 4)])) for low in (6, 29))
    return rim / middle - 1


def test_a_beam_that_hardens_is_straightened(data_dir: Path) -> None:
    scan = read_scan(place(data_dir, "01a"), every=12, size=192)
    assert rise(scan) > 0.2
    assert abs(rise(corrected(scan, "bimodal:hard=0.3:ratio=0.3"))) < 0.05


def test_the_tooth_has_no_bad_cells_and_drifts_not(data_dir: Path) -> None:
    scan = read_scan(data_dir / "sinograms" / "tooth" / "tooth.h5", every=10, center=295.84)
    assert scan.mask is None
    assert not any("at fault" in note or "drifts" in note for note in scan.notes)


@pytest.mark.long
@pytest.mark.parametrize("name", SCANS)
def test_as_the_page_says(data_dir: Path, name: str) -> None:
    result = ct.reconstruct(place(data_dir, name), every=8, size=256)
    assert result.certified == (name != "01a")
    assert agreement(data_dir, name, result.image)[0] > 0.985
