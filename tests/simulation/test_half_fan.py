"""A phantom in a half fan fills what the longer side sees, its scan is exact, and nothing is said against it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import ctrecon as ct
from ctrecon.classical.fdk import FeldkampBackProjection
from ctrecon.diagnosis.doubts import doubts_about
from ctrecon.geometry.field_of_view import covered_mm, field_of_view_mm
from ctrecon.geometry.grid import default_grid
from ctrecon.simulation.simulate import phantom_radius_mm

TURN = tuple(np.arange(96) * 2 * math.pi / 96)
FAN = ct.FanBeam(
    angles_rad=TURN, detector_count=96, detector_spacing_mm=1.6, source_to_axis_mm=300, source_to_detector_mm=600,
    detector_offset_mm=0.4 * 96 * 1.6,
)  # fmt: skip
PLAIN = replace(FAN, detector_offset_mm=0.0)
CONE = ct.ConeBeam(
    angles_rad=TURN[::2], detector_count=48, detector_rows=24, detector_spacing_mm=3.2, detector_row_spacing_mm=8,
    source_to_axis_mm=300, source_to_detector_mm=600, detector_offset_mm=0.35 * 48 * 3.2,
)  # fmt: skip


@pytest.mark.parametrize("geometry", [FAN, CONE], ids=lambda geometry: geometry.kind)
def test_the_phantom_fills_what_the_longer_side_sees_and_its_scan_is_exact(geometry: ct.Geometry) -> None:
    narrow, wide = field_of_view_mm(geometry), covered_mm(geometry)
    assert wide > 3 * narrow
    grid = default_grid(geometry)
    assert max(grid.size_mm) == pytest.approx(wide)
    made = ct.simulate("head", geometry=geometry, noise=0.0, seed=1)
    assert phantom_radius_mm(geometry, grid) > (narrow if grid.slices is None else 0.0)
    assert made.delta_percent < (5 if grid.slices is None else 8), "coarse pixels alone are in the way"
    seen = (made.scan.sinogram > 0.05 * made.scan.sinogram.max()).mean(axis=0)
    across = seen if grid.slices is None else seen.mean(axis=0)
    assert np.count_nonzero(across > 0.1) > 0.4 * geometry.detector_count
    short = replace(geometry, angles_rad=tuple(0.6 * angle for angle in TURN[:: 96 // geometry.shape[0]]))
    assert covered_mm(short) == field_of_view_mm(short), "without a whole turn nobody sees the other side"


def test_a_helix_does_not_see_the_other_side() -> None:
    fields = {name: getattr(CONE, name) for name in CONE.__dataclass_fields__ if name not in ("kind", "title")}
    helix = ct.HelicalCone(**fields, pitch_mm=30.0)
    assert covered_mm(helix) == field_of_view_mm(helix)


def test_filtered_back_projection_of_half_a_cone_is_right_from_the_axis_to_the_rim() -> None:
    low = replace(CONE, detector_row_spacing_mm=3.2, detector_rows=6, detector_offset_mm=0.42 * 48 * 3.2)
    grid = default_grid(low)
    away = np.hypot(grid.x_mm[None], grid.y_mm[:, None])
    radius = 0.8 * max(grid.size_mm) / 2
    disc = np.where(away < radius, 0.02, 0).astype(np.float32)
    made = ct.simulate(np.repeat(disc[None], grid.slices, axis=0), geometry=low, grid=grid, noise=0.0)
    volume = FeldkampBackProjection(low, grid)(torch.from_numpy(made.scan.sinogram)[None, None])[0, 0].numpy()
    for near, far in ((0, 0.3), (0.3, 0.6), (0.6, 0.9)):
        ring = (away >= near * radius) & (away < far * radius)
        assert volume[grid.slices // 2][ring].mean() == pytest.approx(0.02, rel=0.02)


def small(geometry: ct.FanBeam) -> ct.Scan:
    """An object that a fifth of the cells see, without a word on the square it is in."""
    x = np.linspace(-9, 9, 240, dtype=np.float32)
    disc = 0.02 * (np.hypot(x[None] - 0.8, x[:, None]) < 4.5) + 0.03 * (np.hypot(x[None] - 2, x[:, None] + 1) < 1.2)
    disc -= 0.015 * (np.hypot(x[None] + 1.5, x[:, None]) < 1)
    grid = ct.Grid(rows=240, columns=240, pixel_mm=2 * 18 / 240)
    made = ct.simulate(disc.astype(np.float32), geometry=geometry, grid=grid, noise=0.01, seed=4)
    return replace(made.scan, grid=None)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("geometry", [FAN, PLAIN], ids=["half", "whole"])
def test_a_small_object_is_left_alone_and_its_slips_are_named(geometry: ct.FanBeam) -> None:
    scan = small(geometry)
    assert doubts_about(scan, met=True) is None
    stretched = replace(geometry, angles_rad=tuple(angle / 2 for angle in TURN))
    found = doubts_about(replace(scan, geometry=stretched), met=True)
    assert found is not None
    assert found.findings[0].cause == "angles-double"
