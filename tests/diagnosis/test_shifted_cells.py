"""A block of cells beside its place is found and brought back; no honest scan, nor an axis elsewhere, has one."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.diagnosis.causes.shifted_cells import shifted_cells
from ctrecon.diagnosis.cell_shifts import cell_shifts, seams
from ctrecon.diagnosis.moved_cells import with_cells_moved
from ctrecon.measurement.scan import Scan

CELLS, VIEWS = 64, 48


@cache
def scan_of(beam: str, phantom: str, *, by: float = 0.0, turns: float = 1.0) -> Scan:
    """All cells so far further on than the geometry says."""
    angles = tuple(2 * math.pi * turns * np.arange(VIEWS) / VIEWS)
    flat = ct.FanBeam(
        angles_rad=angles, detector_count=CELLS, detector_spacing_mm=1.5, source_to_axis_mm=130.0,
        source_to_detector_mm=195.0,
    )  # fmt: skip
    arc = ct.ArcFanBeam(**{field.name: getattr(flat, field.name) for field in dataclasses.fields(flat)})
    parallel = ct.ParallelBeam(angles_rad=angles, detector_count=CELLS)
    geometry = {"fan": flat, "arc": arc, "parallel": parallel}[beam]
    grid = ct.Grid(rows=50, columns=50, pixel_mm=1.0)
    stands = dataclasses.replace(geometry, detector_offset_mm=by * geometry.detector_spacing_mm)
    made = ct.simulate(phantom, geometry=stands, grid=grid, noise=0.005, seed=4).scan
    return Scan(made.sinogram, geometry, grid=grid)


def with_block(beam: str, phantom: str, first: int, end: int, by: float, turns: float = 1.0) -> Scan:
    scan, moved = scan_of(beam, phantom, turns=turns), scan_of(beam, phantom, by=by, turns=turns)
    values = scan.sinogram.copy()
    values[:, first:end] = moved.sinogram[:, first:end]
    return dataclasses.replace(scan, sinogram=values)


def test_the_seams_of_a_block_show_and_honest_scans_have_none() -> None:
    assert {36, 48} <= set(seams(cell_shifts(with_block("arc", "chest", 36, 48, 1.0))))
    for turns in (0.5, 1.0):
        assert list(shifted_cells(scan_of("parallel", "seeds", turns=turns))) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("beam", "first", "end", "by"),
    [
        ("arc", 36, 48, 1.0),
        ("fan", 36, 48, 0.5),
        ("fan", 0, 18, 3.0),
        ("parallel", 20, 26, -1.0),
        ("parallel", 36, 48, 2.5),
    ],
)
def test_a_block_beside_its_place_is_brought_back(beam: str, first: int, end: int, by: float) -> None:
    bad, honest = with_block(beam, "chest", first, end, by), scan_of(beam, "chest")
    (found,) = shifted_cells(bad)
    assert found.cause == "cells-shifted"
    assert f"cells {first} to {end - 1} of the detector" in found.words
    assert found.scan is not None
    used = np.ones(honest.sinogram.shape, bool) if found.scan.mask is None else found.scan.mask
    assert 1 - used.mean() <= (abs(by) + 0.5) / CELLS, "no more than what no cell measured is missing"
    away = [np.linalg.norm((one.sinogram - honest.sinogram)[used]) for one in (bad, found.scan)]
    assert away[1] < 0.35 * away[0]


@pytest.mark.long
@pytest.mark.parametrize("seed", [54, 61])
def test_what_is_finer_than_the_pixels_is_no_block(seed: int) -> None:
    """Interpolated between cells it is smoother, and then explained better, wherever a block is moved to."""
    assert list(shifted_cells(ct.simulate("seeds", beam="parallel", size=164, views=120, seed=seed).scan)) == []


@pytest.mark.long
def test_an_axis_elsewhere_is_no_block() -> None:
    honest = scan_of("arc", "chest")
    assert list(shifted_cells(honest.with_center((CELLS - 1) / 2 + 0.5))) == []


def test_moved_cells_keep_what_is_smooth_and_miss_what_none_measured() -> None:
    """Places between are cubic; of a gap, what no cell is near to is missing; masks and variances go along."""
    numbers, inside = np.arange(40.0), np.zeros(40, bool)
    inside[10:20] = True
    views = np.linspace(0.5, 2, 12)[:, None]
    for by in (0.4, -0.6, 2.0, -3.0):
        places = numbers + by * inside
        seen = np.ones((12, 40), bool)
        seen[3, 30] = False
        scan = Scan(
            (views * (5 + (places / 10 - 2) ** 3)).astype(np.float32),
            ct.ParallelBeam(angles_rad=tuple(np.linspace(0, 3, 12)), detector_count=40),
            variance=np.full((12, 40), 0.1, np.float32), mask=seen,
        )  # fmt: skip
        moved = with_cells_moved(scan, inside, by)
        assert moved is not None
        assert moved.mask is not None
        missing = np.flatnonzero(~moved.mask.any(axis=0))
        assert missing.size == max(0, round(abs(by)) - (abs(by) % 1 > 0))
        assert not moved.mask[3, 30]
        assert np.allclose(moved.sinogram[moved.mask], (views * (5 + (numbers / 10 - 2) ** 3))[moved.mask], atol=1e-3)
        assert moved.variance is not None
        assert np.allclose(moved.variance[:, ~inside & (np.abs(numbers - 15) > 10)], 0.1)
        between = moved.variance[:, 14]
        assert (between < 0.1).all() if by % 1 else np.allclose(between, 0.1)
