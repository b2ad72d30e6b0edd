"""How wide an object a scanner sees: by every view whole, or by one of two opposite views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.coverage import ONE_SIDED, goes_round
from ctrecon.support.arrays import Float64Array


def field_of_view_mm(geometry: Geometry) -> float:
    """Diameter of the circle around the axis that every view sees whole (the smaller side counts).

    Of a scanner that turns one view says it for all. In space it is what the middle row sees from above.

    Args:
        geometry: Of the scan.

    Returns:
        The diameter in mm; 0 where a view does not see the axis from both sides.
    """
    away = _ends_away(geometry)
    if bool((away[:, 0] * away[:, 1] > 0).any()):
        return 0.0
    return float(2 * np.min(np.abs(away)))


def covered_mm(geometry: Geometry) -> float:
    """Diameter of the circle around the axis whose lines are all measured.

    As ``field_of_view_mm``, but where a detector reaches further on one side and the views go round: what it misses
    on the other side it sees half a turn later.

    Args:
        geometry: Of the scan.

    Returns:
        The diameter in mm.
    """
    narrow, orbit = field_of_view_mm(geometry), geometry.orbit
    if orbit is None or narrow <= 0 or _climbs(geometry):
        return narrow
    wide = 2 * float(np.max(np.abs(_ends_away(geometry))))
    if wide - narrow <= ONE_SIDED * wide or not goes_round(np.asarray(orbit.angles_rad)):
        return narrow
    return wide


def cell_at_axis_mm(geometry: Geometry) -> float:
    """How wide a cell seems at the rotation axis: from a row's first ray to its last, over the number of cells.

    Args:
        geometry: Of the scan.

    Returns:
        In mm; where the sides are equal, the pixel of the default grid.
    """
    away = _ends_away(geometry)
    return float(np.median(np.abs(away[:, 1] - away[:, 0]))) / geometry.detector_count


def _climbs(geometry: Geometry) -> bool:
    """Whether half a turn later the scanner looks at another height, so that no line is measured again."""
    if len(geometry.shape) == 2:
        return False
    vectors = geometry.to_vectors()
    return bool(np.ptp(vectors.detector[:, 2]) > vectors.row_mm)


def _ends_away(geometry: Geometry) -> Float64Array:
    """With a sign, how far from the axis the first and the last ray of a row pass, ``[views, 2]``, in mm.

    Of a scanner that turns one view says it for all. In space it is what the middle row sees from above.
    """
    some = slice(None) if geometry.orbit is None else slice(0, 1)
    if len(geometry.shape) == 2:
        points, directions = geometry.rays(some)
    else:
        middle = replace(geometry.to_vectors().views(some), rows=1)
        points, directions = (part[:, 0, :, :2] for part in middle.rays())
    edge = [0, -1]
    point, direction = points[:, edge], directions[:, edge]
    cross = point[..., 0] * direction[..., 1] - point[..., 1] * direction[..., 0]
    away: Float64Array = cross / np.hypot(direction[..., 0], direction[..., 1])
    return away
