"""A slice of a clinical CT series as the object of a simulated scan, on its own pixels, in mm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrecon.dicom.images import Float32Array, Volume, attenuation, read_volume
from ctrecon.errors import InputError
from ctrecon.geometry import FanBeam, ImageGrid, ParallelBeam

COMMON_DISTANCES_MM = (595.0, 1085.6)
"""Source to axis and to detector of a common scanner, where a file does not say its own."""

VIEWS = 720


@dataclass(frozen=True, kw_only=True)
class ClinicalSlice:
    """``mu [rows, columns]`` in 1/mm on ``grid``; ``geometry`` sees all of it. ``number`` counts from 1."""

    mu: Float32Array
    grid: ImageGrid
    geometry: ParallelBeam | FanBeam
    number: int


def clinical_slices(
    path: Path, *, which: str | None = None, series: int | None = None, beam: str = "fan", views: int = VIEWS
) -> tuple[list[ClinicalSlice], tuple[str, ...]]:
    """Slices of the CT series at ``path``, and what was assumed. ``which``: ``"all"``, a number from 1 in the order of
    the patient (None: the middle one).

    The scanner's axis is taken to go through the middle of the picture; its distances are those of the files, else
    ``COMMON_DISTANCES_MM``. Raises InputError for pixels that are not square and numbers that do not exist.
    """
    volume = read_volume(path, series=series)
    count, rows, columns = volume.hu.shape
    row_mm, column_mm = volume.spacing_mm[1:]
    if not math.isclose(row_mm, column_mm, rel_tol=1e-4):
        raise InputError(f"{path}: its pixels are {row_mm:g} x {column_mm:g} mm; square ones can be projected")
    grid = ImageGrid(rows=rows, columns=columns, pixel_mm=column_mm)
    geometry, assumed = _scanner(volume, grid, beam, views, str(path))
    slices = [
        ClinicalSlice(mu=attenuation(volume.hu[k]), grid=grid, geometry=geometry, number=k + 1)
        for k in _chosen(which, count, path)
    ]
    return slices, (*volume.notes, *assumed)


def _chosen(which: str | None, count: int, path: Path) -> list[int]:
    if which is None:
        return [count // 2]
    if which == "all":
        return list(range(count))
    if not which.isascii() or not which.isdigit() or not 1 <= int(which) <= count:
        raise InputError(f"{path}: has the slices 1 to {count}; --slice {which[:20]} is none of them, nor all")
    return [int(which) - 1]


def _scanner(
    volume: Volume, grid: ImageGrid, beam: str, views: int, name: str
) -> tuple[ParallelBeam | FanBeam, tuple[str, ...]]:
    """A detector as fine as the pixels, at the axis, and as wide as the picture's diagonal."""
    half = grid.pixel_mm * math.hypot(*grid.shape) / 2
    turn = 2 * math.pi if beam == "fan" else math.pi
    angles = tuple(np.arange(views) * (turn / views))
    if beam == "parallel":
        cells = math.ceil(2 * half / grid.pixel_mm)
        return ParallelBeam(angles_rad=angles, detector_count=cells, detector_spacing_mm=grid.pixel_mm), ()
    notes: tuple[str, ...] = ()
    axis, detector = volume.source_to_axis_mm, volume.source_to_detector_mm
    if axis is None or detector is None:
        axis, detector = COMMON_DISTANCES_MM
        notes = (f"the files do not say the scanner's distances: {axis:g} and {detector:g} mm are assumed",)
    if half >= 0.95 * axis:
        raise InputError(f"{name}: the picture's diagonal, {2 * half:.4g} mm, does not fit within the source's circle")
    spacing = grid.pixel_mm * detector / axis
    cells = math.ceil(2 * detector * math.tan(math.asin(half / axis)) / spacing)
    return FanBeam(
        angles_rad=angles, detector_count=cells, detector_spacing_mm=spacing,
        source_to_axis_mm=axis, source_to_detector_mm=detector,
    ), notes  # fmt: skip
