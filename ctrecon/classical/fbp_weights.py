"""What each ray counts in the sum over views: the angle it stands for, and its share where a line is measured twice.

Short fan scans are weighted after D. L. Parker (Med. Phys. 9, 1982) with M. D. Silver's extension to any range (Med.
Phys. 27, 2000).
"""

from __future__ import annotations

import math

import numpy as np

from ctrecon.geometry.base import Orbit
from ctrecon.geometry.coverage import ONE_SIDED, folded, missing_wedge
from ctrecon.support.arrays import Float64Array


def _gaps(angles: Float64Array, period: float) -> Float64Array:
    """Half the way to the next view on each side, around a circle of ``period``; its sum where views go round.

    Uneven views (random, of the golden angle, in bursts) so count for the angle that each stands for. A missing wedge
    is missing: the views beside it must not stand for it.
    """
    turned = folded(angles, period)
    order = np.argsort(turned, kind="stable")
    sorted_angles = turned[order]
    forward = np.diff(np.append(sorted_angles, sorted_angles[0] + period))
    wedge = missing_wedge(angles, period)
    if wedge is not None:
        real = forward[forward > 1e-9 * period]
        forward[int(np.argmax(forward))] = float(np.median(real)) if real.size else period
    gaps = np.empty_like(turned)
    gaps[order] = (forward + np.roll(forward, 1)) / 2
    return gaps


def _one_sided(distance: Float64Array) -> Float64Array | None:
    """The share of a ray in a line that a turn measures twice, for a detector that reaches further on one side.

    ``distance [views, detectors]`` is that of each ray from the axis, with a sign; the same line is measured again at
    minus that distance, if the detector reaches so far. The shares go smoothly from 0 to 1 over what both sides see
    (G. Wang, Med. Phys. 29, 1634, 2002). None for a detector whose sides are about equal.
    """
    ends = np.median(distance[:, [0, -1]], axis=0)
    if ends[0] * ends[1] >= 0 or abs(abs(ends[0]) - abs(ends[1])) <= ONE_SIDED * np.abs(ends).max():
        return None
    far = float(np.sign(ends[np.argmax(np.abs(ends))]))
    shared = float(np.abs(ends).min())
    return (1 + np.sin(np.pi / 2 * np.clip(far * distance / shared, -1, 1))) / 2


def cells_beyond(orbit: Orbit, distance: Float64Array) -> int:
    """By how many cells the longer side of a one-sided detector over a whole turn is longer; 0 of any other."""
    angles = np.asarray(orbit.angles_rad)
    if missing_wedge(angles, 2 * math.pi) is not None or _one_sided(distance) is None:
        return 0
    typical = np.median(distance, axis=0)
    axis = int(np.argmin(np.abs(typical)))
    longer: int = abs(distance.shape[1] - 1 - 2 * axis) + 2
    return longer


def _parker(beta: Float64Array, gamma: Float64Array, extra: float) -> Float64Array:
    """Weights ``[views, detectors]``: smooth, and 1 in sum over the two measurements of a line.

    ``beta`` from 0 to ``pi + 2 extra``; ``gamma`` is the fan angle of each ray, growing along the detector's axis.
    """
    b, g = beta[:, None], gamma
    weights = np.ones(gamma.shape)
    # The ray (b, g) is measured again at (b + pi - 2 g, -g) for this sense of rotation.
    rise = 2 * (extra + g)
    fall = 2 * (extra - g)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.sin(np.pi / 2 * b / rise) ** 2
        down = np.sin(np.pi / 2 * (np.pi + 2 * extra - b) / fall) ** 2
    weights = np.where(b < rise, up, weights)
    weights = np.where(b > np.pi + 2 * g, down, weights)
    return np.where((b < 0) | (b > np.pi + 2 * extra), 0.0, weights)


def view_weights(orbit: Orbit, gamma: Float64Array, distance: Float64Array) -> Float64Array:
    """What each ray counts in the sum over views, ``[views, detectors]`` (or ``[views, 1]``), in radians.

    ``gamma [views, detectors]`` is each ray's angle to the line from the source to the axis, along the detector's axis
    at the view's angle; of parallel rays it is not used. ``distance``, of that shape, is each ray's from the axis.
    """
    angles = np.asarray(orbit.angles_rad)
    wedge = missing_wedge(angles, 2 * math.pi)
    if wedge is None:
        share = _one_sided(distance)
        if share is not None:
            return _gaps(angles, 2 * math.pi)[:, None] * share
    if orbit.parallel:
        return _gaps(angles, math.pi)[:, None]
    if wedge is None:
        return _gaps(angles, 2 * math.pi)[:, None] / 2
    begin, hole = wedge
    gaps = _gaps(angles, 2 * math.pi)
    typical = float(np.median(gaps))
    beta = np.mod(angles - begin + 1e-12, 2 * math.pi) + typical / 2
    extent = 2 * math.pi - hole + typical
    if extent <= math.pi:
        return gaps[:, None]
    return gaps[:, None] * _parker(beta, gamma, (extent - math.pi) / 2)
