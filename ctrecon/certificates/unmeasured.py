"""Directions in which no ray runs: edges along them are in no datum, so that whatever made the image drew them."""

from __future__ import annotations

import math

import numpy as np

from ctrecon.geometry.as_json import geometry_from_dict
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.coverage import missing_wedge
from ctrecon.support.arrays import BoolArray

# Degrees. Of fewer, what is missing is not seen in an image.
LEAST_DEG = 5.0


def unmeasured_directions(geometry: Geometry, centre_mm: tuple[float, float], seen: BoolArray) -> tuple[float, float]:
    """The wedge of directions that no ray through the image's middle has.

    Args:
        geometry: Of the plane or of space; in space, directions are seen along z.
        centre_mm: The image's middle (x, y).
        seen: ``[views]``, whether any ray of a view counts.

    Returns:
        First and last direction in degrees from the x axis, the first in [0, 180); both 0 where rays run in all
        directions, or where views are so few that no gap between them stands out.
        (E. T. Quinto, SIAM J. Math. Anal. 24, 1993: edges are visible along rays alone.)
    """
    vectors = geometry.to_vectors()
    along = vectors.source if vectors.parallel else vectors.source - np.array([*centre_mm, 0.0])
    directions = np.arctan2(along[seen, 1], along[seen, 0])
    found = missing_wedge(directions, math.pi) if directions.size else None
    if found is None or math.degrees(found[1]) < LEAST_DEG:
        return 0.0, 0.0
    behind, width = (math.degrees(value) for value in found)
    first = (behind - width) % 180
    return first, first + width


def said_of(operator: dict[str, object], seen: BoolArray) -> list[str]:
    """The same in words, of a certificate's operator: one clause, or none."""
    entries, grid = operator.get("geometry"), operator.get("grid")
    if not isinstance(entries, dict) or not isinstance(grid, dict):
        return []
    geometry, _ = geometry_from_dict(entries)
    centre = grid.get("centre_mm", (0.0, 0.0))
    first, last = unmeasured_directions(geometry, (float(centre[0]), float(centre[1])), seen)
    if last == first:
        return []
    return [
        f"no ray through the middle runs between {first:.0f} and {last:.0f} degrees from the x axis, so that edges "
        "which run so are in no datum"
    ]
