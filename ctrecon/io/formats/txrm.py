"""Zeiss Xradia ``.txrm``: an OLE compound file of streams, read by ``olefile``; a cone beam, or a parallel one.

Names and types are those that dxchange and CIL read: ``ImageInfo/PixelSize`` is that of a voxel in micrometres, which
is enlarged to the detector; ``StoRADistance`` and ``DtoRADistance`` are from the axis to source and detector in mm;
``ReferenceData/Image`` is the white frame. The angles turn the object, so they are negated, and rows are taken as CIL
takes them, the first one lowest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import olefile

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.parallel_rows import ParallelRows
from ctrecon.io.ask import Ask
from ctrecon.io.circle import Circle
from ctrecon.io.measured import Measured, from_counts
from ctrecon.io.stack import Cut, Pictures, cut_of_parallel
from ctrecon.io.tiff import MOST_FRAMES
from ctrecon.support.arrays import Array, Float64Array
from ctrecon.support.limits import reason
from ctrecon.support.plain_file import plain_size

NAME = "Zeiss .txrm"
PLACE = 70
VOLUMES = True

_REAL = 10
_TYPES: dict[int, np.dtype[Any]] = {5: np.dtype("<u2"), _REAL: np.dtype("<f4")}
_PARALLEL, _CONE = 2, 1
_TOMOGRAPHY = 0
_IN_FOLDER = 100
_DAMAGE = (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, MemoryError, OverflowError)


def takes(path: Path) -> bool:
    return path.suffix.lower() == ".txrm"


@dataclass(frozen=True, kw_only=True)
class _File:
    """The streams that are needed; a ``Stack`` of the projections."""

    path: Path
    ole: Any
    rows: int
    columns: int
    views: int
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.views

    def __iter__(self) -> Iterator[Array]:
        for view in range(self.views):
            name = f"ImageData{view // _IN_FOLDER + 1}/Image{view + 1}"
            yield self.picture(name, self.dtype)

    def picture(self, name: str, dtype: np.dtype[Any]) -> Array:
        raw = _stream(self.path, self.ole, name, self.rows * self.columns * dtype.itemsize)
        return np.frombuffer(raw, dtype, self.rows * self.columns).reshape(self.rows, self.columns)


def read(path: Path, ask: Ask) -> Measured:
    """Raises InputError for damaged files, mosaics and reconstructions, and where the white frame is missing."""
    plain_size(path)
    try:
        ole = olefile.OleFileIO(str(path), raise_defects=olefile.DEFECT_INCORRECT)
    except _DAMAGE as error:
        raise InputError(f"{path}: is no .txrm file that can be read ({reason(error)}); copy it again") from None
    with ole:
        return _read(path, ole, ask)


def _read(path: Path, ole: Any, ask: Ask) -> Measured:
    sizes = [_number(path, ole, f"ImageInfo/{name}", "<i4") for name in ("ImageHeight", "ImageWidth", "NoOfImages")]
    rows, columns, views = (int(size) for size in sizes)
    if not (0 < rows < 2**16 and 0 < columns < 2**16 and 0 < views <= MOST_FRAMES):
        raise InputError(f"{path}: claims {views} pictures of {rows} x {columns}; copy it again")
    if _number(path, ole, "ImageInfo/AcquisitionMode", "<i4", _TOMOGRAPHY) != _TOMOGRAPHY:
        raise InputError(f"{path}: holds no projections of a turn (AcquisitionMode); give the .txrm of the scan")
    dtype = _type(path, ole, "ImageInfo/DataType")
    stack = _File(path=path, ole=ole, rows=rows, columns=columns, views=views, dtype=dtype)
    angles = -np.deg2rad(_numbers(path, ole, "ImageInfo/Angles", views))
    pixel = _number(path, ole, "ImageInfo/PixelSize", "<f4") / 1000
    beam = _number(path, ole, "ImageInfo/XrayGeometry", "<i4", _PARALLEL)
    if beam == _CONE:
        near, far = (abs(float(_numbers(path, ole, f"ImageInfo/{name}", views)[0]))
                     for name in ("StoRADistance", "DtoRADistance"))  # fmt: skip
        if not near > 0:
            raise InputError(f"{path}: StoRADistance must not be 0 in a cone beam; give the geometry by --geometry")
        cell = pixel * (near + far) / near
        circle = Circle(angles_rad=angles, column_mm=cell, row_mm=cell, source_to_axis_mm=near,
                        source_to_detector_mm=near + far)  # fmt: skip
        cut, notes = circle.cut(path, stack, ask, top_first=False, mirrored=False)
        geometry = circle.geometry(path, cut, stack)
    else:
        cut, notes = cut_of_parallel(path, stack, ask, top_first=False, mirrored=False)
        geometry = _parallel(path, angles, pixel, cut, stack)
    if not ole.exists("ReferenceData/Image"):
        raise InputError(f"{path}: holds no white frame (ReferenceData/Image); apply the reference in the scanner's "
                         "program and save it again")  # fmt: skip
    kind = _type(path, ole, "ReferenceData/DataType")
    white = cut(Pictures(values=stack.picture("ReferenceData/Image", kind)[None]))[0]
    counts = cut(stack)
    counts, moved = _shifted(path, ole, counts, cut)
    measured = from_counts(
        path, counts, white, 0.0, geometry=geometry, center="auto" if not ask.all_rows else None,
        geometry_from=f"geometry from {path.name}",
        notes=(*notes, *moved, "no dark frame: the scanner's program has taken it off"),
    )  # fmt: skip
    return measured


def _parallel(path: Path, angles: Float64Array, pixel: float, cut: Cut, stack: _File) -> Geometry:
    _, *rows, columns = cut.shape(stack)
    common: dict[str, Any] = {"angles_rad": tuple(angles.tolist()), "detector_count": columns,
                              "detector_spacing_mm": pixel * cut.cells}  # fmt: skip
    try:
        if not rows:
            return ParallelBeam(**common)
        return ParallelRows(**common, detector_rows=rows[0], detector_row_spacing_mm=pixel * cut.cells)
    except CtreconError as error:
        raise InputError(f"{path}: {error}") from None


def _shifted(path: Path, ole: Any, counts: Float64Array, cut: Cut) -> tuple[Float64Array, tuple[str, ...]]:
    """The sample's drift, which the scanner's program found, in whole cells as CIL applies it; lost cells are missing.

    Of one row no shift across rows can be undone, which a note says.
    """
    both = [_numbers(path, ole, f"Alignment/{axis}-Shifts", len(counts), 0.0) for axis in "XY"]
    along, across = (np.rint(shift / cut.cells).astype(int) for shift in both)
    if not (along.any() or across.any()):
        return counts, ()
    moved = np.full(counts.shape, np.nan)
    for k, (x, y) in enumerate(zip(along, across, strict=True)):
        if counts.ndim == 2:
            y = 0
        picture = np.atleast_2d(counts[k])
        rows, columns = picture.shape
        if abs(x) < columns and abs(y) < rows:
            part = picture[max(-y, 0) : rows - max(y, 0), max(-x, 0) : columns - max(x, 0)]
            target = np.atleast_2d(moved[k])
            target[max(y, 0) : rows + min(y, 0), max(x, 0) : columns + min(x, 0)] = part
    note = f"the sample's drift of up to {float(np.abs(both[0]).max()):.2g} cells is undone, as the file says it"
    if counts.ndim == 2 and across.any():
        note += f", but not that of {float(np.abs(both[1]).max()):.2g} cells across rows"
    return moved, (note,)


def _type(path: Path, ole: Any, name: str) -> np.dtype[Any]:
    kind = _TYPES.get(int(_number(path, ole, name, "<i4", _REAL if name.startswith("Reference") else None)))
    if kind is None:
        raise InputError(f"{path}: {name} is no known type; 16-bit whole (5) and 32-bit real numbers (10) are read")
    return kind


def _number(path: Path, ole: Any, name: str, kind: str, default: float | None = None) -> float:
    if default is not None and not ole.exists(name):
        return default
    value = float(np.frombuffer(_stream(path, ole, name, 4), kind)[0])
    if not math.isfinite(value):
        raise InputError(f"{path}: {name} must be a number, got {value}")
    return value


def _numbers(path: Path, ole: Any, name: str, count: int, default: float | None = None) -> Float64Array:
    if default is not None and not ole.exists(name):
        return np.full(count, default)
    values = np.frombuffer(_stream(path, ole, name, 4 * count), "<f4", count).astype(np.float64)
    if not bool(np.isfinite(values).all()):
        raise InputError(f"{path}: {name} holds numbers that are not finite; copy it again")
    return values


def _stream(path: Path, ole: Any, name: str, least: int) -> bytes:
    """At least so many bytes of a stream: sizes are checked before anything is read."""
    try:
        if not ole.exists(name):
            raise InputError(f"{path}: has no {name}; is it the .txrm of a scan?")
        size = int(ole.get_size(name))
        if size < least or size > path.stat().st_size:
            raise InputError(f"{path}: {name} has {size} bytes where {least} are needed; copy it again")
        with ole.openstream(name) as stream:
            raw: bytes = stream.read()
    except _DAMAGE as error:
        raise InputError(f"{path}: {name} is damaged ({reason(error)}); copy it again") from None
    if len(raw) < least:
        raise InputError(f"{path}: {name} was cut off; copy it again")
    return raw
