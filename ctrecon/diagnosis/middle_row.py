"""A scan in space, looked at through the one row of its detector that a scanner in the plane would have measured.

On a circle about the axis the row that lies in the plane of the orbit sees that plane of the object alone: it is a scan
in the plane, and exactly. What is wrong with the angles, the axis or the distances is wrong there, too.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrecon.diagnosis.suggestion import changed, with_geometry
from ctrecon.errors import GeometryError
from ctrecon.geometry.plane_of_orbit import plane_of_orbit
from ctrecon.measurement.scan import Scan

# What the geometry of the row shares with that in space, by name and meaning; a spacing has a second one beside it.
_SHARED = ("angles_rad", "detector_offset_mm", "source_to_axis_mm", "source_to_detector_mm")


@dataclass(frozen=True, kw_only=True, eq=False)
class MiddleRow:
    """``scan`` is row ``row`` of ``whole``, as a scan in the plane."""

    whole: Scan
    row: int
    scan: Scan

    @classmethod
    def of(cls, scan: Scan) -> MiddleRow:
        """The row of the detector that is nearest to the plane of the orbit.

        Args:
            scan: In space.

        Returns:
            The row and the scan of it.

        Raises:
            GeometryError: For a source that climbs, a detector that leans, free vectors, or a detector that does not
                reach the plane of the orbit.
        """
        geometry = scan.geometry
        orbit = None if geometry is None else geometry.orbit
        if geometry is None or orbit is None or not orbit.steady:
            raise GeometryError(
                f"{scan.source}: a diagnosis looks at the row of the detector in the plane of the orbit; a source that "
                "climbs, a detector that leans and free vectors have none"
            )
        vectors = geometry.to_vectors()
        heights = vectors.detector[:, 2] - vectors.source[:, 2] * (not vectors.parallel)
        row = round((vectors.rows - 1) / 2 - float(np.mean(heights)) / vectors.row_mm)
        if not 0 <= row < vectors.rows:
            raise GeometryError(f"{scan.source}: none of the {vectors.rows} rows lies in the plane of the orbit")
        arrays: dict[str, Any] = {}
        for name in ("variance", "mask", "counts", "white"):
            values = getattr(scan, name)
            arrays[name] = None if values is None else np.broadcast_to(values, scan.sinogram.shape)[:, row].copy()
        plane = dataclasses.replace(
            scan, sinogram=np.ascontiguousarray(scan.sinogram[:, row]), grid=None, image_shape=None,
            geometry=plane_of_orbit(orbit, vectors.columns, vectors.column_mm), **arrays,
        )  # fmt: skip
        return cls(whole=scan, row=row, scan=plane)

    def mended(self, plane: Scan) -> Scan | None:
        """The whole scan with what was changed in its row's geometry.

        Args:
            plane: The row's scan as it would be with something mended.

        Returns:
            The scan; None where something else was changed, which the rest of the detector does not follow from.
        """
        was, now = self.scan.geometry, plane.geometry
        if was is None or now is None or was.kind != now.kind or not np.array_equal(plane.sinogram, self.scan.sinogram):
            return None
        fields = [field.name for field in dataclasses.fields(now)]  # type: ignore[arg-type]
        new = {name: getattr(now, name) for name in fields if getattr(now, name) != getattr(was, name)}
        if not new or not set(new) <= set(_SHARED):
            return None
        return with_geometry(self.whole, changed(self.whole.geometry, **new))
