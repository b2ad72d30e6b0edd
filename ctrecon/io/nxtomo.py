"""NeXus files: NXtomo with its ``image_key`` (PaNOSC application definition), and what CIL's NEXUSDataWriter writes.

In NXtomo every frame of the detector is in one stack, and the key says what it is: 0 projection, 1 flat (white), 2
dark, 3 invalid. ``rotation_angle`` has one angle for each frame. CIL states the whole geometry; its angles turn the
object, ours the scanner, so they are negated.
"""

from __future__ import annotations

import numpy as np

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.ask import Ask, any_row, central_row
from ctrecon.io.framed import from_frames
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.io.measured import Measured
from ctrecon.io.stack import Pictures, cut_of_parallel
from ctrecon.support.arrays import Array, Float64Array
from ctrecon.support.limits import as_rays

_CIL = "entry1/tomo_entry/data/data"
_CONFIG = "entry1/tomo_entry/config"
_DEFLECTION = 1e-6


def image_keys(file: Hdf5File) -> str | None:
    """Where the keys of NXtomo's frames are, if they are."""
    for entry in file.groups():
        for place in ("instrument/detector", "tomo_entry/instrument/detector", "data"):
            if f"{entry}/{place}/image_key" in file:
                return f"{entry}/{place}"
    return None


def read_nxtomo(file: Hdf5File, detector: str, ask: Ask) -> Measured:
    """One detector row of the projections, with the flat and dark frames among the stack.

    Raises InputError where keys, angles and frames do not belong together, or there are no flat frames.
    """
    keys = np.asarray(file.read(f"{detector}/image_key")).reshape(-1)
    name = f"{detector}/data"
    shape = file.dataset(name).shape
    if len(shape) != 3 or shape[0] != keys.size:
        raise InputError(f"{file.path}: {name} has shape {shape} for {keys.size} keys; one frame for each is needed")
    cut, notes = cut_of_parallel(file.path, Pictures(values=np.broadcast_to(0, shape)), ask, top_first=True)
    if cut.row is None or cut.cells > 1:
        stack = cut(Pictures(values=file.read(name)))
    else:
        stack = np.asarray(file.read_row(name, 1, cut.row), dtype=np.float64)
    views, white, dark = (stack[keys == key] for key in (0, 1, 2))
    if not len(views) or not len(white):
        raise InputError(f"{file.path}: has {len(views)} projections and {len(white)} flat frames (image_key); both "
                         "are needed")  # fmt: skip
    lost = int(np.count_nonzero(~np.isin(keys, (0, 1, 2))))
    if lost:
        notes += (f"{lost} frames that are called invalid (image_key) were left out",)
    before = np.cumsum(keys == 0)[keys == 1]
    return from_frames(
        file.path, views, white, dark if len(dark) else None, white_at=before, notes=notes,
        angles_deg=_angles(file, detector, keys), center="auto", rows=shape[1],
    )  # fmt: skip


def _angles(file: Hdf5File, detector: str, keys: Array) -> Float64Array | None:
    entry = detector.split("/", maxsplit=1)[0]
    places = (f"{entry}/sample/rotation_angle", f"{entry}/tomo_entry/sample/rotation_angle",
              f"{entry}/data/rotation_angle")  # fmt: skip
    place = next((place for place in places if place in file), None)
    if place is None:
        return None
    angles = np.asarray(file.read(place), dtype=np.float64).reshape(-1)
    if angles.size != keys.size:
        raise InputError(f"{file.path}: angles that do not match: {place} has {angles.size} for {keys.size} frames; "
                         "give them by --geometry")  # fmt: skip
    if file.attribute(place, "units").lower().startswith("rad"):
        angles = np.rad2deg(angles)
    views: Float64Array = angles[keys == 0]
    return views


def is_cil(file: Hdf5File) -> bool:
    return _CIL in file and f"{_CONFIG}/angles" in file


def read_cil(file: Hdf5File, ask: Ask) -> Measured:
    """Acquisition data of CIL: line integrals if it was so far when they were written, which no entry says.

    Raises InputError for what is no parallel, fan or cone beam about an upright axis.
    """
    kind = file.attribute(_CIL, "geometry")
    labels = [file.attribute(_CIL, f"dim{k}") for k in range(file.dataset(_CIL).ndim)]
    known = {"angle", "horizontal", "vertical"}
    if kind not in ("cone", "parallel") or not {"angle", "horizontal"} <= set(labels) <= known:
        raise InputError(f"{file.path}: holds a {kind or 'unknown'} scan with axes {labels}; parallel and cone beams "
                         "of one channel can be read")  # fmt: skip
    turned = np.asarray(file.read(f"{_CONFIG}/angles"), dtype=np.float64).reshape(-1)
    turned = turned + float(file.real_attribute(f"{_CONFIG}/angles", "initial_angle") or 0.0)
    if file.attribute(f"{_CONFIG}/angles", "angle_unit").lower().startswith("deg"):
        turned = np.deg2rad(turned)
    position = _vector(file, "detector/position")
    axis, along = _vector(file, "rotation_axis/position"), _vector(file, "detector/direction_x")
    pixel = float(file.real_attribute(_CIL, "pixel_size_h") or 1.0)
    upright = abs(along[0]) > 1 - _DEFLECTION
    if "vertical" in labels or position.size == 3:
        lean = _vector(file, "rotation_axis/direction") if f"{_CONFIG}/rotation_axis/direction" in file else along * 0
        upright &= lean.size < 3 or abs(abs(lean[2]) - 1) < _DEFLECTION or not lean.any()
    if not upright:
        raise InputError(f"{file.path}: its detector or its axis is tilted, which one row cannot be read from")
    source = _vector(file, "source/position") if kind == "cone" else None
    height, planes = 0.0, 1
    if "vertical" in labels:
        rows = file.dataset(_CIL).shape[labels.index("vertical")]
        tall = float(file.real_attribute(_CIL, "pixel_size_v") or pixel)
        height = (rows - 1) / 2 + (0.0 if source is None else (source[2] - position[2]) / tall)
        if "top" in file.attribute(_CIL, "panel_origin"):
            height = rows - 1 - height
        row, notes = (any_row(file.path, rows, ask.row) if source is None
                      else central_row(file.path, rows, ask.row, height))  # fmt: skip
        planes = rows if source is None else 1
        values = file.read_row(_CIL, labels.index("vertical"), row)
        labels.remove("vertical")
    else:
        values, notes = file.read(_CIL), ()
    if labels == ["horizontal", "angle"]:
        values = values.T
    if ("right" in file.attribute(_CIL, "panel_origin")) != (along[0] < 0):
        values = values[:, ::-1]
    sinogram = as_rays(file.path, _CIL, np.ascontiguousarray(values))
    geometry = _geometry(file, source, position - axis[: position.size], axis, -turned, sinogram.shape[1], pixel)
    note = "CIL does not say whether its data are line integrals or transmission: they are taken for line integrals"
    return Measured(sinogram=sinogram, geometry=geometry, geometry_from="geometry from CIL's config",
                    notes=(*notes, note), rows=planes)  # fmt: skip


def _geometry(
    file: Hdf5File, source: Float64Array | None, detector: Float64Array, axis: Float64Array, angles: Float64Array,
    count: int, pixel: float,
) -> Geometry:
    common = {"angles_rad": tuple(angles.tolist()), "detector_count": count, "detector_spacing_mm": pixel}
    try:
        if source is None:
            return ParallelBeam(**common, detector_offset_mm=float(detector[0]))  # type: ignore[arg-type]
        source = source - axis[: source.size]
        if abs(source[0]) > _DEFLECTION * abs(source[1]):
            raise InputError(f"{file.path}: its source stands {source[0]:g} mm beside the axis; move the frame of "
                             "reference so that the ray through the axis is the y axis")  # fmt: skip
        return FanBeam(
            **common, detector_offset_mm=float(detector[0]), source_to_axis_mm=float(-source[1]),  # type: ignore[arg-type]
            source_to_detector_mm=float(detector[1] - source[1]),
        )  # fmt: skip
    except CtreconError as error:
        raise InputError(f"{file.path}: {error}" if str(file.path) not in str(error) else str(error)) from None


def _vector(file: Hdf5File, name: str) -> Float64Array:
    values = np.asarray(file.read(f"{_CONFIG}/{name}"), dtype=np.float64).reshape(-1)
    if values.size not in (2, 3):
        raise InputError(f"{file.path}: {_CONFIG}/{name} has {values.size} numbers; 2 or 3 are a place")
    return values
