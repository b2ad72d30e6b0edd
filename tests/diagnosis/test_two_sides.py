"""What makes a detector's sides read otherwise is named and made even; objects, noise and an axis elsewhere do not."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.diagnosis.causes.two_sides import two_sides
from ctrecon.measurement.scan import Scan

CELLS, VIEWS = 64, 48


def scan_of(beam: str = "fan", phantom: str = "ellipses", *, off_mm: float = 0.0, closed: bool = False) -> Scan:
    count = VIEWS + closed
    angles = tuple(2 * math.pi * np.arange(count) / VIEWS)
    shapes = {
        "fan": ct.FanBeam(
            angles_rad=angles, detector_count=CELLS, detector_spacing_mm=1.3, detector_offset_mm=off_mm,
            source_to_axis_mm=190.0, source_to_detector_mm=300.0,
        ),
        "arc": ct.ArcFanBeam(
            angles_rad=angles, detector_count=CELLS, detector_spacing_mm=1.3, detector_offset_mm=off_mm,
            source_to_axis_mm=190.0, source_to_detector_mm=300.0,
        ),
        "parallel": ct.ParallelBeam(angles_rad=angles, detector_count=CELLS, detector_offset_mm=off_mm),
    }  # fmt: skip
    return ct.simulate(phantom, geometry=shapes[beam], noise=0.01, seed=7).scan


def with_offsets(scan: Scan, offsets: np.ndarray) -> Scan:
    """Of each cell so much of the largest value too much, in all views."""
    top = float(scan.sinogram.max())
    return dataclasses.replace(scan, sinogram=(scan.sinogram + top * offsets).astype(np.float32))


def module() -> np.ndarray:
    return np.where((np.arange(CELLS) >= CELLS // 2) & (np.arange(CELLS) < 3 * CELLS // 4), 0.015, 0.0)


def heel() -> np.ndarray:
    return np.linspace(-0.02, 0.02, CELLS)


@pytest.mark.parametrize("beam", ["fan", "arc", "parallel"])
def test_sides_that_read_otherwise_are_named_and_made_even(beam: str) -> None:
    scan = scan_of(beam, off_mm=2.0, closed=beam == "arc")
    for offsets in (module(), heel()):
        found = list(two_sides(with_offsets(scan, offsets)))
        assert found
        assert {one.cause for one in found} == {"detector-sides"}
        evened = found[0].scan
        assert evened is not None
        assert list(two_sides(evened)) == []
        # All that a heel does is odd about the axis, half of what a module does; the axis is a little off the middle.
        left = (evened.sinogram - scan.sinogram)[:VIEWS].mean(axis=0) / float(scan.sinogram.max())
        assert float(np.abs(left - left.mean()).max()) < (0.012 if offsets.min() == 0 else 0.005)


@pytest.mark.parametrize("phantom", ["chest", "seeds"])
def test_an_object_noise_and_an_axis_elsewhere_do_not_tell_the_sides_apart(phantom: str) -> None:
    scan = scan_of("fan", phantom)
    for off in (0.0, 0.5, -3.0):
        assert list(two_sides(scan.with_center((CELLS - 1) / 2 + off))) == []
    # Without a whole turn nothing says that they should be alike.
    assert scan.geometry is not None
    ramped = with_offsets(scan, heel())
    assert list(two_sides(ramped))
    half = dataclasses.replace(
        ramped, sinogram=ramped.sinogram[: VIEWS // 2], geometry=scan.geometry.views(slice(VIEWS // 2))
    )
    assert list(two_sides(half)) == []
