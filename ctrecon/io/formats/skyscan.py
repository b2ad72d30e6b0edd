"""SkyScan (Bruker): ``PREFIX.log`` beside ``PREFIX0000.tif`` and on; a cone beam.

The frames are corrected by the scanner, so that the highest number of their type is what no object leaves. The log
gives the size of a pixel at the object (``Image Pixel Size``), which is enlarged to the detector; ``Optical Axis
(line)`` counts from the bottom. ``Rotation Direction`` is that of the object seen from above (CC: counter-clockwise).
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

NAME = "SkyScan .log"
PLACE = 20
VOLUMES = True


def takes(path: Path) -> bool:
    return path.suffix.lower() == ".log"


def read(path: Path, ask: Ask) -> Measured:
    """Raises InputError for a log of another program, missing frames, and trajectories that are no circle."""
    said = read_key_values(path)
    if "Rotation Step (deg)" not in said:
        raise InputError(f"{path}: is no log of a SkyScan scanner (Rotation Step (deg) is missing)")
    if said.text("Scanning Trajectory").upper() not in ("", "ROUND"):
        raise InputError(f"{path}: Scanning Trajectory {said.text('Scanning Trajectory')[:20]!r} is no circle")
    if said.text("Flat Field Correction").upper() == "OFF":
        raise InputError(f"{path}: Flat Field Correction is OFF; correct the frames first, or give them as TIFF with "
                         "white and dark frames")  # fmt: skip
    stem = said.text("Filename Prefix") or path.stem
    if "/" in stem or "\\" in stem:
        raise InputError(f"{path}: Filename Prefix {stem[:40]!r} must be a name in the same folder, without a path")
    files = in_order(p for p in path.parent.iterdir() if p.suffix.lower() in SUFFIXES and p.stem.startswith(stem)
                     and p.stem[len(stem) :].isdecimal())  # fmt: skip
    frames = frames_of(files) if files else None
    views = said.count("Number Of Files") if "Number Of Files" in said else len(files)
    # Newer logs count two frames more, which check the end of the turn and the object's drift.
    if frames is None or not views - 2 <= len(frames) <= views:
        raise InputError(f"{path}: says {views} files, and {len(files)} of {stem}0000.tif and on are beside it")
    centre = frames.rows - 1 - said.number("Optical Axis (line)", (frames.rows - 1) / 2)
    axis, detector = said.number("Object to Source (mm)"), said.number("Camera to Source (mm)")
    pixel = next((said.number(key) for key in ("Image Pixel Size (um)", "Image Pixel Size (µm)") if key in said), None)
    if pixel is None:
        raise InputError(f"{path}: Image Pixel Size (um) is missing; give the geometry by --geometry")
    # The object turns one way, which is the scanner turning the other.
    sense = -1 if said.text("Rotation Direction").upper() in ("", "CC", "CCW") else 1
    angles = np.deg2rad(sense * said.number("Rotation Step (deg)") * np.arange(len(frames)))
    white = float(np.iinfo(frames.dtype).max) if frames.dtype.kind == "u" else 0.0
    if not (axis > 0 and detector > 0):
        raise InputError(f"{path}: Object to Source and Camera to Source must be > 0 mm, got {axis:g} and {detector:g}")
    cell = pixel / 1000 * detector / axis
    circle = Circle(
        angles_rad=angles, column_mm=cell, row_mm=cell, source_to_axis_mm=axis, source_to_detector_mm=detector,
        height_mm=(centre - (frames.rows - 1) / 2) * cell,
    )  # fmt: skip
    cut, notes = circle.cut(path, frames, ask, top_first=True, mirrored=False)
    note = "the log does not say where the axis projects: it is taken from the data where they cover a turn"
    if ask.all_rows:
        note = "the log does not say where the axis projects: it is taken for the middle; --center COLUMN moves it"
    return Measured(
        sinogram=line_integrals_of(path, cut(frames), white * cut.added), geometry=circle.geometry(path, cut, frames),
        center=None if ask.all_rows else "auto", notes=(*notes, note), geometry_from=f"geometry from {path.name}",
    )  # fmt: skip
