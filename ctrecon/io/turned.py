"""``[detectors, views]``, as MATLAB's and scikit-image's ``radon`` have it: turned where the geometry says so.

It says so where the number of its views is that of the columns and not that of the rows. Where both would do, or
nothing is known of the views, the array is ``[views, detectors]``, but for one case, which is asked about: all views of
an object have (nearly) the same sum, in parallel beams exactly, while cells see more of it the nearer to its middle.
Where the columns' sums agree far better than the rows', they look like views.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.geometry.base import Geometry
from ctrecon.io.measured import Measured
from ctrecon.io.sidecar import Sidecar
from ctrecon.measurement.given import LARGEST_VALUE
from ctrecon.support.arrays import Array

_LISTED = ("angles_rad", "angles_deg", "source")
_ARRAYS = ("sinogram", "variance", "mask", "counts", "white")
# The columns' sums spread so much less than the rows', and no more than this.
_CLEARLY, _EVEN = 3.0, 0.2


def turned(path: Path, measured: Measured, views: int | None, detectors_first: bool | None = None) -> Measured:
    """``measured`` with its arrays turned, and a note, where that makes them fit or was asked for.

    Args:
        path: For messages.
        measured: What a reader gave.
        views: How many the geometry has that will be used; None where it does not say.
        detectors_first: What a person says of the array; None where nobody does.

    Raises:
        InputError: Where the data contradict that the rows are views, and nothing but them can tell.
    """
    if measured.sinogram.ndim != 2 or measured.matrix is not None:
        if detectors_first:
            raise InputError(f"{path}: is no array [detectors, views]; drop --detectors-first")
        return measured
    rows, columns = measured.sinogram.shape
    if detectors_first is not None:
        return _turned(measured, "as asked, ") if detectors_first else measured
    if views is not None and views != rows and views == columns:
        return _turned(measured, f"for {views} views: ")
    undecided = views is None or rows == columns
    if measured.bare and measured.geometry is None and undecided and _columns_are_views(measured.sinogram):
        raise InputError(
            f"{path}: nothing says which axis of its {rows} x {columns} values counts the views, and its columns look "
            "like views (their sums agree, the rows' do not); say --detectors-first, or --views-first if it is right"
        )
    return measured


def _turned(measured: Measured, why: str) -> Measured:
    rows, columns = measured.sinogram.shape
    arrays: dict[str, Any] = {name: getattr(measured, name) for name in _ARRAYS}
    note = f"the array was {rows} x {columns} {why}taken as [detectors, views], and turned"
    other: dict[str, Any] = {name: None if values is None else values.T.copy() for name, values in arrays.items()}
    return replace(measured, notes=(*measured.notes, note), **other)


def _columns_are_views(values: Array) -> bool:
    # Not NaN either; what is larger is refused or marked as missing later.
    if min(values.shape) < 8 or not bool((np.abs(values) <= LARGEST_VALUE).all()):
        return False
    spreads = []
    for axis in (1, 0):  # of the rows' sums, then of the columns'
        sums = values.sum(axis=axis, dtype=np.float64)
        mean = abs(float(sums.mean()))
        if not mean > 0:
            return False
        spreads.append(float(sums.std()) / mean)
    return spreads[1] <= _EVEN and spreads[0] > _CLEARLY * spreads[1] and spreads[0] > _EVEN


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
