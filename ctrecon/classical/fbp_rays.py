"""What filtered back projection asks of a view's rays: their angle in the fan, and how densely they lie.

For a source on a curve ``a(lambda)`` a ray counts with ``|a'(lambda) . n|``, ``n`` at right angles to it (F. Noo, M.
Defrise, R. Clackdoyle, H. Kudo, Phys. Med. Biol. 47, 2525, 2002); on a circle about the axis that is the circle's
radius times the cosine of the ray's angle to the line to the axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrecon.geometry.base import Orbit
from ctrecon.geometry.vectors import Vectors
from ctrecon.support.arrays import Float64Array

ANOTHER_METHOD = "use another --method: energy, cgls, huber-tv, sirt or gradient"


@dataclass(frozen=True)
class FanRays:
    """All ``[views, detectors]``: the angle to the line to the axis, the density over the orbit's radius, and how far
    the ray passes the axis, with a sign.
    """

    gamma: Float64Array
    jacobian: Float64Array
    distance: Float64Array


def fan_rays(vectors: Vectors, orbit: Orbit) -> FanRays:
    """Of the rays of each view; of parallel ones the angle is 0 and the density 1.

    The angle is that at the nominal source, the centre of an arc, which the views' angles belong to.
    """
    shape = (len(vectors.source), vectors.columns)
    distance = _from_the_axis(vectors)
    if orbit.source_to_axis_mm is None:
        return FanRays(np.zeros(shape), np.ones(shape), distance)
    source, cells = vectors.source[:, None, :2], vectors.cells()[:, 0, :, :2]
    radius, along, across = _to_the_axis(source, cells)
    cosine = along / (radius * np.hypot(*np.moveaxis(cells - source, -1, 0)))
    if vectors.radius_mm:
        _, along, across = _to_the_axis(vectors.arc_centre()[:, None, :2], cells)
    return FanRays(np.arctan2(across, along), radius / orbit.source_to_axis_mm * cosine, distance)


def _from_the_axis(vectors: Vectors) -> Float64Array:
    points, directions = (part[:, 0, :, :2] for part in vectors.rays())
    cross = points[..., 0] * directions[..., 1] - points[..., 1] * directions[..., 0]
    distance: Float64Array = cross / np.hypot(directions[..., 0], directions[..., 1])
    return distance


def true_angles(vectors: Vectors) -> Float64Array:
    """Of each ray to the line to the axis, at the source where it is, ``[views, detectors]``."""
    _, along, across = _to_the_axis(vectors.source[:, None, :2], vectors.cells()[:, 0, :, :2])
    return np.arctan2(across, along)


def _to_the_axis(source: Float64Array, cells: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """The source's distance from the axis, and that times the ray's parts along and across the line to it."""
    d, to = cells - source, -source
    along = to[..., 0] * d[..., 0] + to[..., 1] * d[..., 1]
    across = to[..., 1] * d[..., 0] - to[..., 0] * d[..., 1]
    return np.hypot(to[..., 0], to[..., 1]), along, across
