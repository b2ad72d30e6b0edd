"""Varian's ``.hnd``: a header of 1,024 bytes and a packed picture (``varian_pixels.py``); fields as RTK reads them."""

from __future__ import annotations

import math
import struct
from pathlib import Path

from ctrecon.errors import InputError
from ctrecon.io.shot import Shot
from ctrecon.io.varian_pixels import unpacked
from ctrecon.support.arrays import Array
from ctrecon.support.limits import MAX_BYTES, check_claim
from ctrecon.support.plain_file import plain_size, whole_file

_HEADER = 1024
_SIZE_AT, _DOUBLES_AT = 120, 168
_DOUBLES = (
    "GantryRtn", "SAD", "SFD", "CollX1", "CollX2", "CollY1", "CollY2", "CollRtn", "FieldX", "FieldY", "BladeX1",
    "BladeX2", "BladeY1", "BladeY2", "IDUPosLng", "IDUPosLat", "IDUPosVrt", "IDUPosRtn", "PatientSupportAngle",
    "TableTopEccentricAngle", "CouchVrt", "CouchLng", "CouchLat", "IDUResolutionX", "IDUResolutionY",
    "ImageResolutionX", "ImageResolutionY", "Energy", "DoseRate", "XRayKV", "XRayMA", "MetersetExposure",
    "AcqAdjustment", "CTProjectionAngle", "CTNormChamber",
)  # fmt: skip


def read_hnd(path: Path) -> Shot:
    """Its header; the picture is read when asked for. Raises InputError for what is damaged or another format."""
    size = plain_size(path, MAX_BYTES)
    with path.open("rb") as stream:
        head = stream.read(_HEADER)
    if len(head) < _HEADER or size <= _HEADER:
        raise InputError(f"{path}: has {size} bytes, less than the header of a .hnd file; copy it again")
    columns, rows = struct.unpack_from("<2I", head, _SIZE_AT)
    numbers = dict(zip(_DOUBLES, struct.unpack_from(f"<{len(_DOUBLES)}d", head, _DOUBLES_AT), strict=True))
    needed = ("CTProjectionAngle", "IDUResolutionX", "IDUResolutionY")
    if not (rows > 1 and columns > 1 and all(math.isfinite(numbers[name]) for name in needed)):
        raise InputError(f"{path}: its header says {rows} x {columns} pixels and no sound angle; is it a .hnd file?")
    if (rows - 1) * columns % 4:
        raise InputError(f"{path}: its {rows} x {columns} pixels fill no whole bytes of its table; it cannot be read")
    check_claim(path, "its picture", rows * columns * 8, 16 * size)
    # In a packed picture every pixel beyond the first row takes a byte and a quarter at least.
    if size < _HEADER + (rows - 1) * columns * 5 // 4:
        raise InputError(f"{path}: claims {rows} x {columns} pixels in {size} bytes, so it was cut off; copy it again")

    def pixels() -> Array:
        table = (rows - 1) * columns // 4
        raw = whole_file(path)[_HEADER:]
        end = table + 4 * (columns + 1)
        return unpacked(path, raw[:table], raw[table:end], raw[end:], rows, columns)

    return Shot(path=path, rows=rows, columns=columns, column_mm=numbers["IDUResolutionX"],
                row_mm=numbers["IDUResolutionY"], numbers=numbers, pixels=pixels)  # fmt: skip
