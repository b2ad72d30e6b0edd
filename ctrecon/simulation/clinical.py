"""A slice of a clinical CT series as the object of a simulated scan, on its own pixels, in mm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrecon.dicom.images.frames import HIGHEST_HU, LOWEST_HU
from ctrecon.dicom.images.images import ANY, Choice, Volume, attenuation, read_volume
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.volume_names import volume_suffix
from ctrecon.support.arrays import Float32Array

COMMON_DISTANCES_MM = (595.0, 1085.6)
"""Source to axis and to detector of a common scanner, where a file does not say its own."""

VIEWS = 720


@dataclass(frozen=True, kw_only=True)
class ClinicalSlice:
    """``mu [rows, columns]`` in 1/mm on ``grid``; ``geometry`` sees all of it. ``number`` counts from 1."""

    mu: Float32Array
    grid: Grid
    geometry: ParallelBeam | FanBeam
    number: int


def clinical_slices(
    path: Path, *, which: str | None = None, choice: Choice = ANY, beam: str = "fan", views: int = VIEWS
) -> tuple[list[ClinicalSlice], tuple[str, ...]]:
    """Slices of a CT series as objects of simulated scans.

    The scanner's axis is taken to go through the middle of the picture; its distances are those of the files, else
    ``COMMON_DISTANCES_MM``.

    Args:
        path: Of a series, or of a volume in HU, as NIfTI, MetaImage or NRRD.
        which: ``"all"``, or a number from 1 in the order of the slices; None for the middle one.
        choice: Which series, where there are several.
        beam: ``"fan"`` or ``"parallel"``.
        views: Of the scanner.

    Returns:
        The slices in 1/mm with grid and scanner, and what was assumed.

    Raises:
        InputError: For pixels that are not square and numbers that do not exist.
    """
    volume = _from_nifti(path) if volume_suffix(path) else read_volume(path, choice=choice)
    count, rows, columns = volume.hu.shape
    row_mm, column_mm = volume.spacing_mm[1:]
    if not math.isclose(row_mm, column_mm, rel_tol=1e-4):
        raise InputError(f"{path}: its pixels are {row_mm:g} x {column_mm:g} mm; square ones can be projected")
    grid = Grid(rows=rows, columns=columns, pixel_mm=column_mm)
    geometry, assumed = _scanner(volume, grid, beam, views, str(path))
    slices = [
        ClinicalSlice(mu=attenuation(volume.hu[k]), grid=grid, geometry=geometry, number=k + 1)
        for k in _chosen(which, count, path)
    ]
    return slices, (*volume.notes, *assumed)


def _from_nifti(path: Path) -> Volume:
    # SimpleITK takes half a second to load: only where it reads.
    from ctrecon.io.nifti import read_stored_volume

    stored = read_stored_volume(path)
    low, high = float(stored.values.min()), float(stored.values.max())
    if not (LOWEST_HU <= low and high < HIGHEST_HU) or low > -200:
        raise InputError(f"{path}: holds values from {low:g} to {high:g}, not HU with air around; convert it first")
    return Volume(
        hu=stored.values, padding=np.zeros(stored.values.shape, dtype=bool), affine=stored.affine,
        spacing_mm=stored.spacing_mm, source_to_axis_mm=None, source_to_detector_mm=None,
        notes=(f"{path.name} says no unit: its values are taken for HU",),
    )  # fmt: skip


def _chosen(which: str | None, count: int, path: Path) -> list[int]:
    if which is None:
        return [count // 2]
    if which == "all":
        return list(range(count))
    if not which.isascii() or not which.isdigit() or not 1 <= int(which) <= count:
        raise InputError(f"{path}: has the slices 1 to {count}; --slice {which[:20]} is none of them, nor all")
    return [int(which) - 1]


def _scanner(
    volume: Volume, grid: Grid, beam: str, views: int, name: str
) -> tuple[ParallelBeam | FanBeam, tuple[str, ...]]:
    """A detector as fine as the pixels, at the axis, and as wide as the picture's diagonal."""
    if beam not in ("fan", "parallel"):
        raise SettingError(f"the slices of a series are scanned one by one, by a fan or parallel rays, not by {beam!r}")
    half, side = math.hypot(*grid.size_mm) / 2, grid.square_mm
    turn = 2 * math.pi if beam == "fan" else math.pi
    angles = tuple(np.arange(views) * (turn / views))
    if beam == "parallel":
        cells = math.ceil(2 * half / side)
        return ParallelBeam(angles_rad=angles, detector_count=cells, detector_spacing_mm=side), ()
    notes: tuple[str, ...] = ()
    axis, detector = volume.source_to_axis_mm, volume.source_to_detector_mm
    if axis is None or detector is None:
        axis, detector = COMMON_DISTANCES_MM
        notes = (f"the files do not say the scanner's distances: {axis:g} and {detector:g} mm are assumed",)
    if half >= 0.95 * axis:
        raise InputError(f"{name}: the picture's diagonal, {2 * half:.4g} mm, does not fit within the source's circle")
    spacing = side * detector / axis
    cells = math.ceil(2 * detector * math.tan(math.asin(half / axis)) / spacing)
    return FanBeam(
        angles_rad=angles, detector_count=cells, detector_spacing_mm=spacing,
        source_to_axis_mm=axis, source_to_detector_mm=detector,
    ), notes  # fmt: skip
