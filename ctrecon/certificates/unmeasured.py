"""Directions in which no ray runs: edges along them are in no datum, so that whatever made the image drew them."""

from __future__ import annotations

import math

import numpy as np

from ctrecon.geometry.as_json import geometry_from_dict
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.coverage import missing_wedge
from ctrecon.support.arrays import BoolArray, Float64Array

# Degrees. Of fewer, what is missing is not seen in an image.
LEAST_DEG = 5.0
LEAST_DIRECTIONS = 4
"""Of fewer directions, an image is what its method makes of some shadows."""


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
    directions = _along(geometry, centre_mm, seen)
    found = missing_wedge(directions, math.pi) if directions.size else None
    if found is None or math.degrees(found[1]) < LEAST_DEG:
        return 0.0, 0.0
    behind, width = (math.degrees(value) for value in found)
    first = (behind - width) % 180
    return first, first + width


def _along(geometry: Geometry, centre_mm: tuple[float, float], seen: BoolArray) -> Float64Array:
    """The angle of the ray through the image's middle, of each view that is seen."""
    vectors = geometry.to_vectors()
    along = vectors.source if vectors.parallel else vectors.source - np.array([*centre_mm, 0.0])
    return np.asarray(np.arctan2(along[seen, 1], along[seen, 0]))


def _directions(angles: Float64Array) -> int:
    """How many there are of either way along a line, with those within a degree of the one before taken for one."""
    if not angles.size:
        return 0
    turned = np.sort(np.mod(angles, math.pi))
    gaps = np.diff(np.append(turned, turned[0] + math.pi))
    return max(1, int(np.count_nonzero(gaps > math.radians(1.0))))


def said_of(operator: dict[str, object], seen: BoolArray) -> list[str]:
    """The same in words, of a certificate's operator, and where the directions are few: a clause each, or none."""
    entries, grid = operator.get("geometry"), operator.get("grid")
    if not isinstance(entries, dict) or not isinstance(grid, dict):
        return []
    geometry, _ = geometry_from_dict(entries)
    centre = grid.get("centre_mm", (0.0, 0.0))
    middle = (float(centre[0]), float(centre[1]))
    count = _directions(_along(geometry, middle, seen))
    if count == 1:
        return ["the rays through the middle run in one direction only"]
    few = []
    if 1 < count < LEAST_DIRECTIONS:
        few = [f"the rays through the middle run in {count} directions only"]
    first, last = unmeasured_directions(geometry, middle, seen)
    if last == first:
        return few
    return [
        *few,
        f"no ray through the middle runs between {first:.0f} and {last:.0f} degrees from the x axis, so that edges "
        "which run so are in no datum"
    ]
