"""Geometries and image grids as JSON: the sidecar format of ``docs/units.md``, there and back without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.arc_fan import ArcFanBeam, Beam
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam

_COMMON_KEYS = {
    "geometry",
    "angles_deg",
    "angles_rad",
    "detector_count",
    "detector_spacing_mm",
    "detector_offset_mm",
    "image",
}
_FAN_KEYS = {"source_to_axis_mm", "source_to_detector_mm"}
_SHIFT_KEYS = {"source_angle_shift_rad", "source_radius_shift_mm"}
_KEYS: dict[Any, set[str]] = {
    "parallel": _COMMON_KEYS, "fan": _COMMON_KEYS | _FAN_KEYS, "arc-fan": _COMMON_KEYS | _FAN_KEYS | _SHIFT_KEYS
}


def geometry_from_dict(
    values: Mapping[str, Any], *, detector_count: int | None = None
) -> tuple[Beam, Grid | None]:
    """Read the sidecar format (``docs/units.md``): the geometry, and the image grid where ``image`` is given.

    ``detector_count`` comes from the data where the file does not say it.
    Raises GeometryError for a missing, unknown or impossible entry.
    """
    if not isinstance(values, Mapping):
        raise GeometryError(f"a geometry must be a JSON object, got {type(values).__name__}")
    kind = values.get("geometry")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise GeometryError(f'"geometry" must be "parallel", "fan" or "arc-fan", got {kind!r}')
    allowed = _KEYS[kind]
    unknown = sorted(str(key) for key in set(values) - allowed)
    if unknown:
        known = ", ".join(sorted(allowed))
        raise GeometryError(f"unknown entry {unknown[0]!r} in {_a(kind)} geometry; known are {known}")
    if ("angles_deg" in values) == ("angles_rad" in values):
        raise GeometryError('give the angles once, as "angles_deg" or as "angles_rad"')
    listed = values.get("angles_deg", values.get("angles_rad"))
    # numpy would take true for 1 and "1" for 1.
    if not isinstance(listed, list | tuple) or not all(type(angle) in (int, float) for angle in listed):
        raise GeometryError("the angles must be a list of numbers")
    try:
        angles = np.asarray(listed, dtype=np.float64)
    except OverflowError:
        raise GeometryError("the angles must be a list of numbers below 1e308") from None
    if "angles_deg" in values:
        angles = np.deg2rad(angles)
    count = values.get("detector_count", detector_count)
    if count is None:
        raise GeometryError('"detector_count" is missing and there is no sinogram to take it from')
    if "detector_spacing_mm" not in values:
        raise GeometryError('"detector_spacing_mm" is missing')
    common: dict[str, Any] = {
        "angles_rad": angles,
        "detector_count": count,
        "detector_spacing_mm": values["detector_spacing_mm"],
        "detector_offset_mm": values.get("detector_offset_mm", 0.0),
    }
    geometry: Beam
    if kind == "parallel":
        geometry = ParallelBeam(**common)
    else:
        for key in sorted(_FAN_KEYS):
            if key not in values:
                raise GeometryError(f'"{key}" is missing in {_a(kind)} geometry')
        common |= {key: values[key] for key in _FAN_KEYS}
        if kind == "fan":
            geometry = FanBeam(**common)
        else:
            common |= {key: _numbers(key, values.get(key, ())) for key in _SHIFT_KEYS}
            geometry = ArcFanBeam(**common)
    image = values.get("image")
    return geometry, None if image is None else grid_from_dict(image)


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] == "a" else f"a {kind}"


def _numbers(key: str, listed: Any) -> tuple[float, ...]:
    if not isinstance(listed, list | tuple) or not all(type(value) in (int, float) for value in listed):
        raise GeometryError(f'"{key}" must be a list of numbers, one per view')
    return tuple(listed)


def grid_from_dict(values: Mapping[str, Any]) -> Grid:
    """``{"size": 512, "pixel_mm": 0.1}`` or ``{"rows": .., "columns": .., "pixel_mm": ..}`` as an Grid."""
    if not isinstance(values, Mapping) or "pixel_mm" not in values:
        raise GeometryError('"image" must be an object with "size" (or "rows" and "columns") and "pixel_mm"')
    unknown = sorted(str(key) for key in set(values) - {"size", "rows", "columns", "pixel_mm"})
    if unknown:
        raise GeometryError(f"unknown entry {unknown[0]!r} in \"image\"")
    if "size" in values:
        rows = columns = values["size"]
    elif "rows" in values and "columns" in values:
        rows, columns = values["rows"], values["columns"]
    else:
        raise GeometryError('"image" needs "size", or "rows" and "columns"')
    return Grid(rows=rows, columns=columns, pixel_mm=values["pixel_mm"])


def geometry_to_json(geometry: Geometry, grid: Grid | None = None) -> str:
    """The sidecar text; ``geometry_from_dict(json.loads(text))`` gives equal objects back."""
    values = geometry.to_dict()
    if grid is not None:
        values["image"] = grid.to_dict()
    return json.dumps(values)
