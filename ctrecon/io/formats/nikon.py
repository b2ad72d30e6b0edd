"""Nikon (X-Tek): ``NAME.xtekct`` beside ``NAME_0001.tif`` and on; a cone beam.

The angles of the file turn the object (view k at InitialAngle + k AngularStep), and columns run the other way than
ours: that is how CIL's NikonDataReader takes them, after which ``theta = k AngularStep + InitialAngle - 180`` degrees
here, the columns reversed. Frames are white-corrected by the scanner, so ``WhiteLevel`` is what no object leaves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.ask import Ask
from ctrecon.io.circle import Circle
from ctrecon.io.key_values import read_key_values
from ctrecon.io.measured import Measured
from ctrecon.io.tiff import SUFFIXES, frames_of, in_order
from ctrecon.io.transmitted import line_integrals_of

NAME = "Nikon .xtekct"
PLACE = 10
VOLUMES = True


def takes(path: Path) -> bool:
    return path.suffix.lower() == ".xtekct"


def read(path: Path, ask: Ask) -> Measured:
    """Raises InputError where frames are missing or the axis is moved or tilted in a way that no fan beam has."""
    said = read_key_values(path)
    views, stem = said.count("Projections"), said.text("Name") or path.stem
    if "/" in stem or "\\" in stem:
        raise InputError(f"{path}: Name {stem[:40]!r} must be a name in the same folder, without a path")
    files = in_order(
        p for p in path.parent.iterdir()
        if p.suffix.lower() in SUFFIXES and p.stem.startswith(f"{stem}_") and p.stem[len(stem) + 1 :].isdecimal()
    )  # fmt: skip
    if len(files) != views:
        raise InputError(f"{path}: says {views} projections, and {len(files)} files {stem}_0001.tif and on are beside "
                         "it; copy all of them")  # fmt: skip
    frames = frames_of(files)
    if (frames.rows, frames.columns) != (said.count("DetectorPixelsY"), said.count("DetectorPixelsX")):
        raise InputError(f"{path}: says {said.count('DetectorPixelsY')} x {said.count('DetectorPixelsX')} pixels, its "
                         f"frames are {frames.rows} x {frames.columns}")  # fmt: skip
    axis, detector = said.distance("SrcToObject"), said.distance("SrcToDetector")
    beside = said.number("ObjectOffsetX", 0.0)
    if "ObjectOffsetX" not in said:
        ends = said.number("CentreOfRotationTop", 0.0), said.number("CentreOfRotationBottom", 0.0)
        beside = (ends[0] + ends[1]) / 2 * axis / detector
    angles = np.deg2rad(np.arange(views) * said.number("AngularStep") + said.number("InitialAngle", 0.0) - 180)
    # The object beside the source's ray: near the axis it is as if the detector stood aside by as much, enlarged.
    offset = said.number("DetectorOffsetX", 0.0) - beside * detector / axis
    circle = Circle(
        angles_rad=angles, column_mm=said.number("DetectorPixelSizeX"), row_mm=said.number("DetectorPixelSizeY"),
        source_to_axis_mm=axis, source_to_detector_mm=detector, offset_mm=offset,
        height_mm=said.number("DetectorOffsetY", 0.0),
    )  # fmt: skip
    cut, notes = circle.cut(path, frames, ask, top_first=True, mirrored=True)
    if beside:
        notes += (f"the axis stands {beside:g} mm beside the central ray: taken for a detector that stands aside",)
    return Measured(
        sinogram=line_integrals_of(path, cut(frames), said.number("WhiteLevel") * cut.added),
        geometry=circle.geometry(path, cut, frames), notes=notes, geometry_from=f"geometry from {path.name}",
    )  # fmt: skip
