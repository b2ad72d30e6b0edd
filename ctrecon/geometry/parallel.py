"""Parallel beams, as synchrotrons and textbooks have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrecon.geometry.base import DetectorRow
from ctrecon.support.arrays import Float64Array


@dataclass(frozen=True, kw_only=True)
class ParallelBeam(DetectorRow):
    """Parallel rays along ``(sin theta, -cos theta)`` through ``s (cos theta, sin theta)``. Lengths in mm."""

    def rays(self, views: slice = slice(None)) -> tuple[Float64Array, Float64Array]:
        cos, sin = self.axes(views)
        s = self.detector_mm[None, :]
        points = np.stack([s * cos, s * sin], axis=-1)
        directions = np.broadcast_to(np.stack([sin, -cos], axis=-1), points.shape)
        return points, directions

    def views(self, index: slice) -> ParallelBeam:
        return ParallelBeam(
            angles_rad=self.angles_rad[index],
            detector_count=self.detector_count,
            detector_spacing_mm=self.detector_spacing_mm,
            detector_offset_mm=self.detector_offset_mm,
        )

    def to_dict(self) -> dict[str, Any]:
        return {"geometry": "parallel", **self.row_dict()}
