"""What a cause of a misfit proposes: a scan as it would be if the cause were the true one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrecon.errors import CtreconError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.checks import PerView
from ctrecon.measurement.cut_off import wide_grid
from ctrecon.measurement.scan import Scan


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One thing that may be wrong.

    Attributes:
        cause: Its name on the command line and in JSON, such as ``angles-negated``.
        words: What would be so, as a part of a sentence: ``the angles are negated``.
        scan: The scan with that mended; None where it can only be named, which takes evidence.
        mirrored: Whether the mended scan may be a mirror image: then the data cannot tell this cause from another one.
        evidence: What was seen in the data themselves, if anything.
        certain: Whether that alone decides, if only the fit does not speak against it.
        last: Whether any other finding comes before it: values are off for many reasons.
        fine: Whether it takes all cells and finer pixels to see the difference.
        widens: Whether the square that is looked at is what is changed.
    """

    cause: str
    words: str
    scan: Scan | None
    mirrored: bool = False
    evidence: str = ""
    certain: bool = False
    last: bool = False
    fine: bool = False
    widens: bool = False


Cause = Callable[[Scan], Iterable[Suggestion]]
"""Proposes what it holds possible of a scan; nothing where it cannot apply."""


def changed(geometry: Geometry | None, **fields: Any) -> Geometry | None:
    """The geometry with some fields changed, where it has them all and allows the change; else None."""
    if geometry is None or not set(fields) <= {field.name for field in dataclasses.fields(geometry)}:  # type: ignore[arg-type]
        return None
    try:
        return dataclasses.replace(geometry, **fields)  # type: ignore[type-var]
    except CtreconError:
        return None


def with_geometry(scan: Scan, geometry: Geometry | None) -> Scan | None:
    """The scan in another geometry of the same shape, on the square that belongs to it; None without one.

    Of a scan whose square is wide, because the object is cut off, it is the wide one: on a narrower square no geometry
    explains the data, and a wrong one may explain less little.
    """
    if geometry is None:
        return None
    try:
        wide = scan.grid is not None and geometry.orbit is not None and scan.is_cut_off
        grid = wide_grid(geometry) if wide else None
        return dataclasses.replace(scan, geometry=geometry, grid=grid, image_shape=None)
    except CtreconError:
        return None


def scaled(geometry: Geometry, factor: float, *, names: Callable[[str], bool] = lambda name: True) -> Geometry | None:
    """The geometry with its lengths (fields in mm, those whose name passes) times ``factor``."""
    lengths: dict[str, Any] = {}
    for field in dataclasses.fields(geometry):  # type: ignore[arg-type]
        value = getattr(geometry, field.name)
        if not field.name.endswith("_mm") or value is None or not names(field.name):
            continue
        if isinstance(value, PerView):
            lengths[field.name] = PerView(_times(entry, factor) for entry in value)
        else:
            lengths[field.name] = _times(value, factor)
    return changed(geometry, **lengths) if lengths else None


def _times(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_times(entry, factor) for entry in value)
    return value * factor


def reordered(scan: Scan, take: Callable[[Any], Any]) -> dict[str, Any]:
    """The fields of a scan that hold one value for each ray, with ``take`` of each: for ``dataclasses.replace``."""
    found = {}
    for field in dataclasses.fields(scan):
        value = getattr(scan, field.name)
        if isinstance(value, np.ndarray) and value.shape == scan.sinogram.shape:
            found[field.name] = np.ascontiguousarray(take(value))
    return found
