"""Scans of volumes that a network is trained on and scored with."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ctrecon.geometry.cone import ConeBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel_rows import ParallelRows
from ctrecon.simulation.scanners import Scanner

SIZE = 128
_CUBES, _SLABS = (5, 6, 7, 8), (10, 12, 14, 16)
"""Sides in sixteenths of the size."""


def cone_scanner(size: int, views: int, *, slices: int | None = None) -> Scanner:
    """A full turn of a flat panel about a cube, or about ``slices`` of it, with a cell at the axis as wide as a voxel.

    The source stands three cubes off and the panel as far beyond, as of a dental or a C-arm scanner.
    """
    slices, distance = slices or size, 3.0 * size
    # The rays through the outermost voxels, wherever on the circle, still meet the panel.
    wide, tall = (math.ceil(1.12 * n * distance / (distance - size / 2)) for n in (size, slices))
    geometry = ConeBeam(
        angles_rad=tuple(np.arange(views) * (2 * math.pi / views)), detector_count=wide, detector_rows=tall,
        detector_spacing_mm=2.0, detector_row_spacing_mm=2.0, source_to_axis_mm=distance,
        source_to_detector_mm=2 * distance,
    )  # fmt: skip
    return Scanner(geometry, Grid(rows=size, columns=size, slices=slices, pixel_mm=1.0, slice_mm=1.0))


def random_cube(rng: np.random.Generator, size: int = SIZE) -> Scanner:
    """A scanner of whole bodies as one might meet it: a cone on a circle (70%) or parallel rays on several rows.

    Cubes of a third to half of ``size`` pixels, 45 to 240 views, log-uniform. In half of the draws slices are 0.7 to
    1.5 pixels thick, else as thick as wide.
    """
    side, thick = size * int(rng.choice(_CUBES)) // 16, float(rng.uniform(0.7, 1.5)) if rng.uniform() < 0.5 else 1.0
    return _random(rng, Grid(rows=side, columns=side, slices=round(side / thick), pixel_mm=1.0, slice_mm=thick), 0.7)


def random_slab(rng: np.random.Generator, slices: int, size: int = SIZE, *, cones: bool) -> Scanner:
    """A scanner of ``slices`` of something larger: parallel rays on several rows, or, of what ends there, cones too.

    Five eighths to all of ``size`` pixels across; it stands up to a quarter of its width above or below the middle.
    Without ``cones`` the rays are level, and what lies above and below is not measured.
    """
    side = size * int(rng.choice(_SLABS)) // 16
    z = float(rng.uniform(-0.25, 0.25)) * side
    grid = Grid(rows=side, columns=side, slices=slices, pixel_mm=1.0, slice_mm=1.0, centre_mm=(0.0, 0.0, z))
    return _random(rng, grid, 0.5 if cones else 0.0)


def _random(rng: np.random.Generator, grid: Grid, cones: float) -> Scanner:
    (slices, _, size), thick, z = grid.shape, grid.slice_mm or 1.0, grid.centre_mm[2]
    views = int(math.exp(rng.uniform(math.log(45), math.log(240))))
    start, offset = rng.uniform(0, 2 * math.pi), rng.uniform(-1, 1)
    if rng.uniform() >= cones:
        rays = ParallelRows(
            angles_rad=tuple(start + np.arange(views) * (math.pi / views)), detector_count=int(1.15 * size),
            detector_rows=slices, detector_spacing_mm=1.0, detector_row_spacing_mm=thick, detector_offset_mm=offset,
            detector_row_offset_mm=z,
        )  # fmt: skip
        return Scanner(rays, grid)
    magnification, distance = rng.uniform(1.3, 2.5), size * rng.uniform(2.2, 5)
    wide, tall = (math.ceil(1.12 * n * distance / (distance - size / 2)) for n in (size, slices))
    cone = ConeBeam(
        angles_rad=tuple(start + np.arange(views) * (2 * math.pi / views)), detector_count=wide, detector_rows=tall,
        detector_spacing_mm=magnification, detector_row_spacing_mm=magnification * thick,
        detector_offset_mm=magnification * offset, source_to_axis_mm=distance,
        source_to_detector_mm=magnification * distance,
    )  # fmt: skip
    return Scanner(cone, replace(grid, centre_mm=(0.0, 0.0, 0.0)))
