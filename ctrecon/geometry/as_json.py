"""Geometries and image grids as JSON: the sidecar format of ``docs/units.md``, there and back without loss.

A geometry's name in JSON leads to its class through ``registry.py``; the entries are the class's fields.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.registry import geometries


def geometry_from_dict(
    values: Mapping[str, Any], *, detector_count: int | None = None
) -> tuple[Geometry, Grid | None]:
    """Read the sidecar format (``docs/units.md``).

    Args:
        values: The entries.
        detector_count: From the data, where the file does not say it.

    Returns:
        The geometry, and the image grid where ``image`` is given.

    Raises:
        GeometryError: For a missing, unknown or impossible entry.
    """
    if not isinstance(values, Mapping):
        raise GeometryError(f"a geometry must be a JSON object, got {type(values).__name__}")
    kind = values.get("geometry")
    if not isinstance(kind, str) or kind not in (classes := geometries()):
        *most, last = (f'"{name}"' for name in sorted(geometries()))
        raise GeometryError(f'"geometry" must be {", ".join(most)} or {last}, got {kind!r}')
    fields = {field.name: field for field in dataclasses.fields(classes[kind])}  # type: ignore[arg-type]
    allowed = {"geometry", "image", *fields, *(("angles_deg",) if "angles_rad" in fields else ())}
    unknown = sorted(str(key) for key in set(values) - allowed)
    if unknown:
        known = ", ".join(sorted(allowed))
        raise GeometryError(f"unknown entry {unknown[0]!r} in {_a(kind)} geometry; known are {known}")
    entries = {name: _entry(name, values[name]) for name in fields if name in values and name != "angles_rad"}
    needed = {name for name, field in fields.items() if field.default is field.default_factory is dataclasses.MISSING}
    if "angles_rad" in needed or "angles_rad" in values or "angles_deg" in values:
        entries["angles_rad"] = _angles(values)
    entries.setdefault("detector_count", detector_count)
    if entries["detector_count"] is None:
        raise GeometryError('"detector_count" is missing and there is no sinogram to take it from')
    # A class may have a spacing by default; a file must say its unit.
    for key in ("detector_spacing_mm", *sorted(needed)):
        if key not in entries:
            raise GeometryError(f'"{key}" is missing in {_a(kind)} geometry')
    image = values.get("image")
    return classes[kind](**entries), None if image is None else grid_from_dict(image)


def measures_in_space(values: object) -> bool:
    """Whether the JSON of a geometry is of one in space, whose data have rows; False for what is no geometry."""
    return isinstance(values, Mapping) and "detector_rows" in values


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _angles(values: Mapping[str, Any]) -> Any:
    if ("angles_deg" in values) == ("angles_rad" in values):
        raise GeometryError('give the angles once, as "angles_deg" or as "angles_rad"')
    listed = values.get("angles_deg", values.get("angles_rad"))
    if not isinstance(listed, list | tuple) or not all(type(angle) in (int, float) for angle in listed):
        raise GeometryError("the angles must be a list of numbers")
    try:
        angles = np.asarray(listed, dtype=np.float64)
    except OverflowError:
        raise GeometryError("the angles must be a list of numbers below 1e308") from None
    return np.deg2rad(angles) if "angles_deg" in values else angles


def _entry(key: str, value: Any) -> Any:
    """A number, or a list of numbers (or of lists of them) for the views; all else is the class's to refuse."""
    if isinstance(value, dict):
        raise GeometryError(f'"{key}" must be a number or a list of numbers, one per view')
    if not isinstance(value, list | tuple):
        return value
    # numpy would take true for 1 and "1" for 1.
    for entry in value:
        parts = entry if isinstance(entry, list | tuple) else (entry,)
        if not all(type(part) in (int, float) for part in parts):
            raise GeometryError(f'"{key}" must be a list of numbers, one per view')
    return tuple(value)


def grid_from_dict(values: Mapping[str, Any]) -> Grid:
    """An image grid from its JSON.

    Args:
        values: ``{"size": 512, "pixel_mm": 0.1}``, or ``rows`` and ``columns`` for ``size``; ``pixel_mm`` may be
            ``[dy, dx]``, ``centre_mm`` may say ``[x, y]``; with ``slices`` and ``slice_mm`` a volume.

    Returns:
        The grid.

    Raises:
        GeometryError: for a missing, unknown or impossible entry.
    """
    if not isinstance(values, Mapping) or "pixel_mm" not in values:
        raise GeometryError('"image" must be an object with "size" (or "rows" and "columns") and "pixel_mm"')
    known = {"size", "rows", "columns", "pixel_mm", "centre_mm", "slices", "slice_mm"}
    unknown = sorted(str(key) for key in set(values) - known)
    if unknown:
        raise GeometryError(f"unknown entry {unknown[0]!r} in \"image\"")
    if "size" in values:
        rows = columns = values["size"]
    elif "rows" in values and "columns" in values:
        rows, columns = values["rows"], values["columns"]
    else:
        raise GeometryError('"image" needs "size", or "rows" and "columns"')
    rest = {key: values[key] for key in ("centre_mm", "slices", "slice_mm") if key in values}
    return Grid(rows=rows, columns=columns, pixel_mm=values["pixel_mm"], **rest)


def geometry_to_json(geometry: Geometry, grid: Grid | None = None) -> str:
    """The sidecar text: ``geometry_from_dict(json.loads(text))`` gives equal objects back.

    Args:
        geometry: Of the scan.
        grid: Of the image, for the entry ``image``.

    Returns:
        A JSON object.
    """
    values = geometry.to_dict()
    if grid is not None:
        values["image"] = grid.to_dict()
    return json.dumps(values)
