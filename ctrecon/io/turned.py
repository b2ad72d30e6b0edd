"""``[detectors, views]``, as MATLAB's and scikit-image's ``radon`` have it: turned where the geometry says so.

It says so where the number of its views is that of the columns and not that of the rows. Where both would do, or
nothing is known of the views, the array is taken as it is: ``[views, detectors]``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ctrecon.geometry.base import Geometry
from ctrecon.io.measured import Measured
from ctrecon.io.sidecar import Sidecar

_LISTED = ("angles_rad", "angles_deg", "source")
_ARRAYS = ("sinogram", "variance", "mask", "counts", "white")


def turned(measured: Measured, views: int | None) -> Measured:
    """``measured`` with its arrays turned, and a note, where that makes them fit.

    Args:
        measured: What a reader gave.
        views: How many the geometry has that will be used; None where it does not say.
    """
    if measured.sinogram.ndim != 2:  # of a volume there are three axes, and no telling
        return measured
    rows, columns = measured.sinogram.shape
    if views is None or views == rows or views != columns or measured.matrix is not None:
        return measured
    arrays: dict[str, Any] = {name: getattr(measured, name) for name in _ARRAYS}
    note = f"the array was {rows} x {columns} for {views} views: taken as [detectors, views], and turned"
    other: dict[str, Any] = {name: None if values is None else values.T.copy() for name, values in arrays.items()}
    return replace(measured, notes=(*measured.notes, note), **other)


def views_said(given: Geometry | str | Any | None, sidecar: Sidecar | None, measured: Measured) -> int | None:
    """The number of views of the geometry that will be used: what was given, else the sidecar's, else the angles'.

    None where none says it: ``parallel-180`` fits any number.
    """
    if given is not None:
        shape: tuple[int, ...] | None = getattr(given, "shape", None)  # a file's name has none
        return None if shape is None else shape[0]
    if sidecar is not None and sidecar.geometry is not None:
        lists = [sidecar.geometry.get(key) for key in _LISTED]
        return next((len(one) for one in lists if isinstance(one, list)), None)
    return None if measured.geometry is not None or measured.angles_deg is None else int(measured.angles_deg.size)
