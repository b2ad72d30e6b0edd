"""The object is larger than the image, or than what the detector sees of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.geometry.field_of_view import covered_mm
from ctrecon.measurement.cut_off import wide_grid
from ctrecon.measurement.scan import Scan

PLACE = 260

# An outermost cell above this share of the largest value, in most views, sees the object.
_SEEN = 0.06


def wider_object(scan: Scan) -> Iterator[Suggestion]:
    """An image that covers the field of view, and a wider one."""
    geometry = scan.geometry
    if geometry is None:
        return
    if scan.grid is not None and max(scan.grid.size_mm) < 0.98 * covered_mm(geometry):
        yield Suggestion(
            cause="image-too-small", words="the object is larger than the image that is asked for",
            scan=dataclasses.replace(scan, grid=None, image_shape=None), widens=True,
        )  # fmt: skip
    ends = [float(np.median(scan.sinogram[:, end])) for end in (0, -1)]
    top = float(np.quantile(scan.sinogram, 0.995))
    middle = float(np.median(scan.sinogram[:, scan.sinogram.shape[1] // 2]))
    if top > 0 and _SEEN * top < max(ends) < middle:
        sides = "both ends" if min(ends) > _SEEN * top else "one end"
        yield Suggestion(
            cause="truncated", words=f"the object reaches beyond the detector at {sides}",
            scan=dataclasses.replace(scan, grid=wide_grid(geometry), image_shape=None), widens=True,
            evidence=f"the outermost cells hold {max(ends) / top:.0%} of the largest value in most views",
        )  # fmt: skip
