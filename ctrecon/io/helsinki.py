"""The Helsinki layout: a struct (``CtDataFull``, ``CtDataLimited``) with ``sinogram`` and ``parameters``.

A. Meaney, F. Silva de Moura, S. Siltanen, Helsinki Tomography Challenge 2022 (open data, CC BY 4.0). Line integrals
``[views, detectors]`` from a flat detector; its angles run as ours do and the image is not flipped: segmented FBP
images of the challenge's discs lie on its own truth.
"""

from __future__ import annotations

import math

import numpy as np

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.io.arrayfile import number
from ctrecon.io.matlab import MatFile5, MatFile73
from ctrecon.io.measured import Measured
from ctrecon.support.limits import as_rays

_TO_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "": 1.0}
# The challenge's images: 512 x 512 pixels of the detector cell's size at the axis, for its 560 cells.
_CHALLENGE_CELLS, _CHALLENGE_SIZE = 560, 512


def helsinki_struct(file: MatFile5 | MatFile73) -> str | None:
    """The name of the struct in this layout, if there is one."""
    for name in file.structs():
        if f"{name}/sinogram" in file and f"{name}/parameters" in file:
            return name
    return None


def read_helsinki(file: MatFile5 | MatFile73, name: str) -> Measured:
    """Raises InputError for a missing or impossible parameter, or angles that do not match the sinogram."""
    sinogram = as_rays(file.path, f"{name}.sinogram", file.read(f"{name}/sinogram"))
    parameters = f"{name}/parameters"
    unit = file.text(f"{parameters}/distanceUnit")
    if unit not in _TO_MM:
        raise InputError(f"{file.path}: {parameters}.distanceUnit {unit!r} is unknown; give the geometry by --geometry")
    scale = _TO_MM[unit]
    notes = [f"geometry from {parameters}"]
    if not unit:
        notes.append(f"{parameters} states no distanceUnit: its lengths are taken to be in mm")
    angles = np.deg2rad(file.read(f"{parameters}/angles").astype(np.float64).reshape(-1))
    if angles.size != sinogram.shape[0]:
        raise InputError(
            f"{file.path}: angles that do not match: {parameters}.angles has {angles.size}, the sinogram "
            f"{sinogram.shape[0]} views; give the geometry by --geometry"
        )
    # The detector was binned after the exposure; pixelSizePost is what a column of the sinogram stands for.
    binned = f"{parameters}/pixelSizePost" in file
    spacing = number(file, f"{parameters}/pixelSizePost" if binned else f"{parameters}/pixelSize") * scale
    source_to_axis = number(file, f"{parameters}/distanceSourceOrigin") * scale
    source_to_detector = number(file, f"{parameters}/distanceSourceDetector") * scale
    try:
        geometry = FanBeam(
            angles_rad=tuple(angles.tolist()),
            detector_count=sinogram.shape[1],
            detector_spacing_mm=spacing,
            source_to_axis_mm=source_to_axis,
            source_to_detector_mm=source_to_detector,
        )
    except CtreconError as error:
        raise InputError(f"{file.path}: {error}") from None
    grid = None
    if sinogram.shape[1] == _CHALLENGE_CELLS:
        # Four digits, as the challenge states it: 0.1483 mm.
        pixel = spacing / geometry.magnification
        pixel = round(pixel, 3 - math.floor(math.log10(pixel)))
        grid = Grid(rows=_CHALLENGE_SIZE, columns=_CHALLENGE_SIZE, pixel_mm=pixel)
    return Measured(sinogram=sinogram, geometry=geometry, grid=grid, notes=tuple(notes))
