"""A row of a detector in space as the scanner in the plane that it nearly is."""

from __future__ import annotations

from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.geometry.base import Geometry, Orbit
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam


def plane_of_orbit(orbit: Orbit, count: int, spacing_mm: float) -> Geometry:
    """The scanner whose one row is the row of the detector that lies in the plane of the orbit.

    Args:
        orbit: That does not climb.
        count: Cells of the row.
        spacing_mm: From cell to cell.

    Returns:
        Parallel rays, a fan, or a fan on an arc.
    """
    angles, offset_mm = orbit.angles_rad, orbit.detector_offset_mm
    if orbit.source_to_axis_mm is None or orbit.source_to_detector_mm is None:
        return ParallelBeam(
            angles_rad=angles, detector_count=count, detector_spacing_mm=spacing_mm, detector_offset_mm=offset_mm
        )
    shape = ArcFanBeam if orbit.curved else FanBeam
    return shape(
        angles_rad=angles,
        detector_count=count,
        detector_spacing_mm=spacing_mm,
        detector_offset_mm=offset_mm,
        source_to_axis_mm=orbit.source_to_axis_mm,
        source_to_detector_mm=orbit.source_to_detector_mm,
    )
