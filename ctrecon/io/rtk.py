"""RTK: a geometry as XML (``RTKThreeDCircularGeometry``) beside a stack of projections, ``.mha``.

RTK turns the gantry by phi about y, source at ``SID (sin phi, 0, cos phi)``, detector columns along ``(cos phi, 0,
-sin phi)``. Looked at from the foot of y, with x to the right and z up, the source runs clockwise: ``theta = 180 -
phi`` degrees here, and the columns are reversed. Of a cone beam only the row in the source's plane is a fan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml import ElementTree as Xml

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.ask import Ask, any_row, central_row
from ctrecon.io.measured import Measured
from ctrecon.io.nifti import check_own_data, silent
from ctrecon.support.arrays import Float64Array
from ctrecon.support.limits import check_claim, reason

_LARGEST = 64 * 2**20
_STACK = ".mha"
_ROOT = b"RTKThreeDCircularGeometry"
# What bends a row out of the plane, or off the ray through the axis.
_ZERO = ("OutOfPlaneAngle", "InPlaneAngle", "SourceOffsetX", "SourceOffsetY", "RadiusCylindricalDetector")
_SAME = ("SourceToIsocenterDistance", "SourceToDetectorDistance", "ProjectionOffsetX", "ProjectionOffsetY")


def is_rtk(path: Path) -> bool:
    if path.suffix.lower() != ".xml" or not path.is_file():
        return False
    with path.open("rb") as stream:
        return _ROOT in stream.read(1024)


def read_rtk(path: Path, ask: Ask) -> Measured:
    """Raises InputError where projections are missing or do not fit, or no row of the scan is a plane of its own."""
    said = _projections(path)
    for name in _ZERO:
        if any(one.get(name, 0.0) for one in said):
            raise InputError(f"{path}: {name} is not 0, so that no detector row is a plane of its own")
    for name in _SAME:
        if len({one.get(name, 0.0) for one in said}) > 1:
            raise InputError(f"{path}: {name} differs between projections, which one fan beam cannot say")
    first = said[0]
    stack, read_row = _stack(path)
    columns, rows, views = stack.GetSize()
    if views != len(said):
        raise InputError(f"{path}: says {len(said)} projections, the stack holds {views}; they do not belong together")
    spacing, origin = stack.GetSpacing(), stack.GetOrigin()
    distance, axis = first.get("SourceToDetectorDistance", 0.0), first.get("SourceToIsocenterDistance", 0.0)
    centre = -(origin[1] + first.get("ProjectionOffsetY", 0.0)) / spacing[1]
    row, notes = any_row(path, rows, ask.row) if distance == 0 else central_row(path, rows, ask.row, centre)
    angles = np.deg2rad(180 - np.array([one.get("GantryAngle", 0.0) for one in said]))
    offset = origin[0] + (columns - 1) / 2 * spacing[0] + first.get("ProjectionOffsetX", 0.0)
    common: dict[str, Any] = {
        "angles_rad": tuple(angles.tolist()), "detector_count": columns, "detector_spacing_mm": spacing[0],
        "detector_offset_mm": -offset,
    }  # fmt: skip
    try:
        geometry: Geometry = (
            ParallelBeam(**common) if distance == 0
            else FanBeam(**common, source_to_axis_mm=axis, source_to_detector_mm=distance)
        )  # fmt: skip
    except CtreconError as error:
        raise InputError(f"{path}: {error}") from None
    note = "projections of RTK are taken for line integrals, as rtkprojections makes them"
    return Measured(
        sinogram=np.ascontiguousarray(read_row(row)[:, ::-1]), geometry=geometry, notes=(*notes, note),
        geometry_from=f"geometry from {path.name}",
    )  # fmt: skip


def _projections(path: Path) -> list[dict[str, float]]:
    """The parameters of each projection; what stands outside them holds for all."""
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path}: has {path.stat().st_size} bytes, too many for a geometry")
    try:
        root = Xml.parse(path).getroot()
    except (Xml.ParseError, DefusedXmlException, ValueError, OSError, RecursionError) as error:
        raise InputError(f"{path}: is no XML that is read ({reason(error)}); write it again") from None

    def numbers(elements: Iterable[Any]) -> dict[str, float]:
        found = {}
        for one in elements:
            if one.tag in (*_ZERO, *_SAME, "GantryAngle"):
                try:
                    value = float(one.text or "")
                except ValueError:
                    value = math.nan
                if not math.isfinite(value):
                    raise InputError(f"{path}: {one.tag} must be a number, got {str(one.text)[:40]!r}")
                found[one.tag] = value
        return found

    common = numbers(root)
    said = [common | numbers(one) for one in root if one.tag == "Projection"]
    if not said:
        raise InputError(f"{path}: says no projections; write it again")
    return said


def _stack(path: Path) -> tuple[Any, Any]:
    """The header of the stack beside ``path``, and a function from a row to ``[views, columns]``."""
    import SimpleITK as Itk  # half a second of libraries

    SimpleITK: Any = Itk

    beside = [path.with_suffix(_STACK)] if path.with_suffix(_STACK).is_file() else []
    beside = beside or sorted(p for p in path.parent.iterdir() if p.suffix.lower() == _STACK)
    if len(beside) != 1:
        raise InputError(f"{path}: {len(beside)} stacks (.mha) are beside it; keep the one of the projections, "
                         "or name it as the geometry")  # fmt: skip
    check_own_data(beside[0])
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(beside[0]))
    try:
        with silent():
            reader.ReadImageInformation()
        if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
            raise InputError(f"{beside[0]}: is no stack of grey pictures [views, rows, columns]")
        columns, rows, views = reader.GetSize()
        check_claim(beside[0], "the stack", columns * rows * views * 8, 8 * beside[0].stat().st_size)
    except RuntimeError as error:
        raise InputError(f"{beside[0]}: cannot be read ({reason(error)}); copy it again") from None

    def read_row(row: int) -> Float64Array:
        reader.SetExtractIndex([0, row, 0])
        reader.SetExtractSize([columns, 1, views])
        try:
            with silent():
                values = SimpleITK.GetArrayFromImage(reader.Execute())
        except RuntimeError as error:
            raise InputError(f"{beside[0]}: cannot be read ({reason(error)}); copy it again") from None
        return np.asarray(values[:, 0], dtype=np.float64)

    return reader, read_row
