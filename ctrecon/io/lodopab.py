"""LoDoPaB-CT: 128 sinograms to a file, simulated from lung scans (Leuschner et al., Scientific Data 8, 109, 2021).

``data`` is ``[images, 1000, 513]``: 1,000 angles over half a turn, at the middles of as many equal parts, and 513
cells that cover the diagonal of an image of 362 x 362 pixels and 26 cm (the authors' geometry in ODL, whose angles
and axes are ours). The values are line integrals over 81.35858, the attenuation of 3071 HU per metre, and are
multiplied by it here. The truth beside them has x first: ``np.rot90`` of it, times 0.08135858, is an image here.
"""

from __future__ import annotations

import math

import numpy as np

from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.ask import Ask
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.io.measured import Measured

_VIEWS, _CELLS, _SIDE, _WIDE_MM = 1000, 513, 362, 260.0
_PER_METRE = 81.35858
"""Attenuation at 3071 HU, the highest of the images, as the authors' library has it (``MU_MAX``)."""


def is_lodopab(file: Hdf5File) -> bool:
    if "data" not in file.names():
        return False
    shape = file.dataset("data").shape
    return len(shape) == 3 and shape[1:] == (_VIEWS, _CELLS)


def read_lodopab(file: Hdf5File, ask: Ask) -> Measured:
    """One of the sinograms, the first by default. Raises InputError where there is no such image."""
    images = file.dataset("data").shape[0]
    image = 0 if ask.image is None else ask.image
    if not 0 <= image < images:
        raise InputError(f"{file.path}: has images 0 to {images - 1}, not {image}; choose one with --image")
    if ask.row is not None:
        raise InputError(f"{file.path}: holds {images} sinograms, without detector rows; choose one with --image")
    values = np.asarray(file.read_row("data", 0, image), dtype=np.float64)
    spacing = math.hypot(_WIDE_MM, _WIDE_MM) / _CELLS
    geometry = ParallelBeam(
        angles_rad=tuple(((np.arange(_VIEWS) + 0.5) * math.pi / _VIEWS).tolist()), detector_count=_CELLS,
        detector_spacing_mm=spacing,
    )  # fmt: skip
    return Measured(
        # Per metre and metres: the integral has no unit.
        sinogram=values * _PER_METRE, geometry=geometry, geometry_from="geometry of LoDoPaB-CT",
        grid=Grid(rows=_SIDE, columns=_SIDE, pixel_mm=_WIDE_MM / _SIDE),
        notes=() if ask.image is not None else (f"image 0 of 0 to {images - 1} (--image chooses another)",),
    )  # fmt: skip
