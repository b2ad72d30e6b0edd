"""What each ray counts in the sum over views: the angle it stands for, and its share where a line is measured twice.

Short fan scans are weighted after D. L. Parker (Med. Phys. 9, 1982) with M. D. Silver's extension to any range (Med.
Phys. 27, 2000).
"""

from __future__ import annotations

import math

import numpy as np

from ctrecon.geometry.base import Orbit
from ctrecon.support.arrays import Float64Array


def _gaps(angles: Float64Array, period: float) -> Float64Array:
    """Half the way to the next view on each side, around a circle of ``period``; sums to ``period``."""
    turned = np.mod(angles, period)
    # Rounding may leave an angle a hair below the period that belongs to 0: fold it back.
    turned[period - turned < 1e-9 * period] = 0
    order = np.argsort(turned, kind="stable")
    sorted_angles = turned[order]
    forward = np.diff(np.append(sorted_angles, sorted_angles[0] + period))
    # A missing wedge is missing: the views beside it must not stand for it.
    typical = float(np.median(forward[forward > 1e-9 * period])) if np.any(forward > 1e-9 * period) else period
    forward = np.where(forward > 3 * typical, typical, forward)
    gaps = np.empty_like(turned)
    gaps[order] = (forward + np.roll(forward, 1)) / 2
    return gaps


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


def view_weights(orbit: Orbit, gamma: Float64Array) -> Float64Array:
    """What each ray counts in the sum over views, ``[views, detectors]`` (or ``[views, 1]``), in radians.

    ``gamma [views, detectors]`` is each ray's angle to the line from the source to the axis, along the detector's axis
    at the view's angle; of parallel rays it is not used.
    """
    angles = np.asarray(orbit.angles_rad)
    if orbit.parallel:
        return _gaps(angles, math.pi)[:, None]
    turned = np.sort(np.mod(angles, 2 * math.pi))
    steps = np.diff(np.append(turned, turned[0] + 2 * math.pi))
    hole = int(np.argmax(steps))
    typical = float(np.median(steps[steps > 1e-9]))
    if steps[hole] <= 3 * typical:
        return _gaps(angles, 2 * math.pi)[:, None] / 2
    begin = turned[(hole + 1) % turned.size]
    beta = np.mod(angles - begin + 1e-12, 2 * math.pi) + typical / 2
    extent = 2 * math.pi - float(steps[hole]) + typical
    gaps = _gaps(angles, 2 * math.pi)[:, None]
    if extent <= math.pi:
        return gaps
    return gaps * _parker(beta, gamma, (extent - math.pi) / 2)
