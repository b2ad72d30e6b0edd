"""Real scans come out the right way round, with the axis and the values that are known of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.geometry.grid import Grid
from ctrecon.io.arrays import read_scan

DATA = Path(os.environ.get("CTRECON_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "sinograms"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not here: set CTRECON_DATA to their folder")


def matthews(a, b):
    a, b = a.ravel().astype(float), b.ravel().astype(float)
    return float(np.corrcoef(a, b)[0, 1])


def fbp(scan):
    data = torch.from_numpy(scan.sinogram)[None, None]
    return FilteredBackProjection(scan.geometry, scan.grid, window="hann")(data)[0, 0].numpy()


@real
@pytest.mark.parametrize("name", ["ta", "tb"])
def test_helsinki_discs_lie_on_the_challenges_truth(name):
    from skimage.filters import threshold_otsu
    from skimage.io import imread

    scan = read_scan(DATA / "htc2022" / f"htc2022_{name}_full.mat")
    assert scan.grid == Grid(rows=512, columns=512, pixel_mm=0.1483)
    assert scan.geometry.shape == (721, 560)
    image = fbp(scan)
    truth = imread(DATA / "htc2022" / f"htc2022_{name}_segmentation.png") > 0
    found = image > threshold_otsu(image)
    assert matthews(found, truth) >= 0.95
    for wrong in (found[:, ::-1], found[::-1], np.rot90(found)):
        assert matthews(wrong, truth) < 0.8


@real
def test_the_tooth_and_its_axis():
    scan = read_scan(DATA / "tooth" / "tooth.h5")
    column = (scan.geometry.detector_count - 1) / 2 - scan.geometry.detector_offset_mm
    assert column == pytest.approx(296, abs=1)
    assert any("rotation axis estimated" in note for note in scan.notes)
    named = read_scan(DATA / "tooth" / "tooth.h5", center=296, row=1)
    assert (319.5 - named.geometry.detector_offset_mm) == pytest.approx(296)
    assert 0.5 < float(np.median(np.exp(named.sinogram))) < 1.5


@real
def test_the_thorax_has_water_in_it_and_stands_on_the_table():
    scan = read_scan(DATA / "thorax_transmission" / "phan_trans.mat")
    assert scan.grid == Grid(rows=128, columns=128, pixel_mm=4.21875)
    assert scan.counts is not None
    image = fbp(scan)
    assert np.median(image[80:95, 45:85]) == pytest.approx(0.0096, rel=0.15)
    # The spine, of something denser than water, lies in the lower half: the table is below.
    assert image[45:90, 55:80].mean(axis=1).argmax() + 45 > 70
