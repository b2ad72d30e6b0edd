"""The default grid lies over the object, whatever the noise, and covers it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.dicom.raw.projections import read_projections
from ctrecon.dicom.raw.rebin import radius_of_object_mm, rebin, slice_positions
from ctrecon.dicom.raw.synthesise import Protocol, synthesise, water_phantom
from ctrecon.geometry.field_of_view import field_of_view_mm
from ctrecon.measurement.delta import delta_for
from ctrecon.measurement.extent import grid_of_object, object_radius_mm

FAN = ct.FanBeam(
    angles_rad=tuple(np.arange(60) * 2 * math.pi / 60), detector_count=96, detector_spacing_mm=2.0,
    source_to_axis_mm=200.0, source_to_detector_mm=400.0,
)  # fmt: skip
CELL = field_of_view_mm(FAN) / 96


def disc(radius: float, x: float = 0.0, value: float = 0.02) -> np.ndarray:
    """Exact line integrals of a disc about ``(x, 0)``."""
    points, directions = FAN.rays()
    away = (points[..., 0] - x) * directions[..., 1] - points[..., 1] * directions[..., 0]
    away /= np.hypot(directions[..., 0], directions[..., 1])
    return 2 * value * np.sqrt(np.maximum(radius**2 - away**2, 0.0))


@pytest.mark.parametrize("sigma", [0.0, 1e-3, 3e-2])
@pytest.mark.parametrize(("radius", "x"), [(6.0, 0.0), (20.0, 0.0), (8.0, 25.0), (30.0, -5.0)])
def test_the_grid_covers_the_object_and_little_more(radius: float, x: float, sigma: float) -> None:
    data = disc(radius, x) + np.random.default_rng(1).normal(0, sigma, FAN.shape)
    found = object_radius_mm(data, FAN)
    assert found is not None
    reach = grid_of_object(FAN, found).reach_mm()
    assert radius + abs(x) <= reach <= 1.1 * (radius + abs(x)) + 6 * CELL
    # The finest pixel that tells the detector something is the bound.
    assert grid_of_object(FAN, found).square_mm >= CELL / 2 * (1 - 1e-9)
    assert max(grid_of_object(FAN, found).shape) <= FAN.detector_count


def test_a_faint_ring_around_a_dense_middle_is_covered() -> None:
    found = object_radius_mm(disc(10.0) + disc(30.0, value=0.0004), FAN)
    assert found is not None
    assert found >= 29.5


def test_what_nobody_can_tell_gets_the_field_of_view() -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, FAN.shape)
    for data in (noise, np.zeros(FAN.shape)):
        assert object_radius_mm(data, FAN) is None
        grid = ct.Scan(sinogram=data, geometry=FAN).with_grid().grid
        assert grid is not None
        assert max(grid.size_mm) == pytest.approx(field_of_view_mm(FAN))
    filled = ct.Scan(sinogram=disc(45.5), geometry=FAN).with_grid().grid
    assert filled is not None
    assert max(filled.size_mm) == pytest.approx(field_of_view_mm(FAN))
    beyond = ct.Scan(sinogram=disc(52.0), geometry=FAN).with_grid().grid  # cut off
    assert beyond is not None
    assert max(beyond.size_mm) == pytest.approx(1.5 * field_of_view_mm(FAN), rel=0.02)


def test_what_is_asked_for_is_what_comes() -> None:
    scan = ct.Scan(sinogram=disc(10.0), geometry=FAN)
    own = ct.Grid(rows=12, columns=12, pixel_mm=3.0)
    assert replace(scan, grid=own).with_grid().grid == own
    for size in (20, 96):
        grid = scan.with_grid(size=size).grid
        assert grid is not None
        assert max(grid.size_mm) == pytest.approx(field_of_view_mm(FAN))


@pytest.mark.long
def test_every_synthesised_slice_is_feasible_on_the_default_grid(tmp_path) -> None:
    """Without noise, the hardest case: all that is not explained is the grid's. The old default grid misses."""
    protocol = Protocol(rows=12, columns=92, column_pitch_mm=10.28, per_turn=90, turns=2.0, feed_mm=8.0,
                        first_z_mm=-8.0, flying="FFSZ")  # fmt: skip
    synthesise(tmp_path / "raw", water_phantom(), protocol)
    projections = read_projections(tmp_path / "raw")
    radius = radius_of_object_mm(projections)
    assert radius == pytest.approx(100.0, abs=12.0)
    places = slice_positions(projections)
    for z in (places[0], places[len(places) // 2], places[-1]):
        scan = rebin(projections, float(z))
        fine = ct.reconstruct(replace(scan, grid=grid_of_object(scan.geometry, radius)), method="cgls")
        coarse = scan.with_grid(size=92, pixel_mm=field_of_view_mm(scan.geometry) / 92)
        assert coarse.grid is not None
        assert fine.certified
        # As many pixels or fewer, and closer to the data by a half.
        assert fine.image.size <= math.prod(coarse.grid.shape)
        assert fine.delta.value < 0.75 * delta_for(coarse, "auto").value
