"""PET transmission scans as a pair of MATLAB files: ``NAME_trans.mat`` with counts, ``NAME_blank.mat`` without object.

Each holds one array ``[detectors, views]``. The layout of the Michigan Image Reconstruction Toolbox (J. A. Fessler).
The files do not say their geometry. 160 rays and 192 views are the CTI ECAT EXACT 921 of its example: parallel,
3.375 mm, half a turn from -15 degrees, the axis half a ray beyond the middle, 128 x 128 pixels of 4.21875 mm. The
example's y axis runs down the picture and ours up, so its angles run backwards here; the patient then lies
with the table below, as radiologists look at it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.matlab import MatFile5, MatFile73, open_mat
from ctrecon.io.measured import Measured, from_counts
from ctrecon.support.arrays import Array
from ctrecon.support.limits import as_rays

_ECAT_RAYS, _ECAT_VIEWS = 160, 192
_ECAT_SPACING_MM, _ECAT_START_DEG, _ECAT_PIXEL_MM, _ECAT_SIZE = 3.375, -15.0, 4.21875, 128


def blank_of(path: Path) -> Path | None:
    """The blank scan that belongs to a transmission scan, by its name; None for other names."""
    if not path.stem.endswith("_trans"):
        return None
    return path.with_name(path.stem.removesuffix("_trans") + "_blank" + path.suffix)


def read_transmission(file: MatFile5 | MatFile73, blank_path: Path) -> Measured:
    """Raises InputError where the blank scan is missing, of another shape, or either file holds more than one array."""
    if not blank_path.is_file():
        raise InputError(f"{file.path}: its blank scan {blank_path.name} is not beside it; put it there")
    counts = _only_array(file)
    with open_mat(blank_path) as blank_file:
        blank = _only_array(blank_file)
    if counts.shape != blank.shape:
        raise InputError(
            f"{file.path}: has shape {counts.shape}, its blank scan {blank_path.name} {blank.shape}; "
            "they must belong together"
        )
    notes = [f"counts with the blank scan {blank_path.name}"]
    geometry = grid = None
    if counts.shape == (_ECAT_RAYS, _ECAT_VIEWS):
        notes.append(
            f"{_ECAT_RAYS} rays and {_ECAT_VIEWS} views: taken for the ECAT EXACT 921, parallel rays of "
            f"{_ECAT_SPACING_MM} mm over half a turn from {_ECAT_START_DEG:g} degrees (clockwise)"
        )
        angles = -np.deg2rad(_ECAT_START_DEG + np.arange(_ECAT_VIEWS) * 180 / _ECAT_VIEWS)
        geometry = ParallelBeam(
            angles_rad=tuple(angles.tolist()),
            detector_count=_ECAT_RAYS,
            detector_spacing_mm=_ECAT_SPACING_MM,
            detector_offset_mm=-_ECAT_SPACING_MM / 2,
        )
        grid = Grid(rows=_ECAT_SIZE, columns=_ECAT_SIZE, pixel_mm=_ECAT_PIXEL_MM)
    return from_counts(
        file.path, np.ascontiguousarray(counts.T), blank.T, 0.0, notes=tuple(notes), geometry=geometry, grid=grid
    )


def _only_array(file: MatFile5 | MatFile73) -> Array:
    names = file.names()
    if len(names) != 1:
        raise InputError(f"{file.path}: must hold one array [detectors, views], it holds {', '.join(names) or 'none'}")
    return as_rays(file.path, names[0], file.read(names[0]))
