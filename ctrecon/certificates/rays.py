"""Which rays of a certificate say something: views that delta lets go, rays that are one and the same, pixels unseen.

The number of values says little of what they hold: a scan may list one ray a thousand times, give weights of almost
nothing to most of its views, or look past most of the image.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ctrecon.certificates.rows import different_rows
from ctrecon.certificates.verify import Verdict
from ctrecon.geometry.as_json import geometry_from_dict, grid_from_dict
from ctrecon.geometry.vectors import Vectors
from ctrecon.support.arrays import Array, BoolArray, Float64Array

# Views whose values come to this share of delta together may hold anything: the image misses them by less than delta.
LET_GO = 0.1
# Rays are the same where they are closer than this share of a pixel all through the image.
SAME = 0.1
# Of a pixel that fewer of the views see than this share, most directions are open.
FEW_VIEWS = 0.25
# Either way along a line is the same line: a direction at right angles to this one is none that scanners are built for.
_ONE_WAY = np.array([0.6180, 0.3535, 0.2718])
# More rays than these are thinned out before they are compared, pixels and views before they are counted.
_MOST_RAYS, _MOST_PIXELS, _MOST_VIEWS = 1 << 20, 64, 64
_AT_A_TIME = 1 << 14


def counting_views(verdict: Verdict) -> BoolArray:
    """``[views]``: without those whose weighted values together are at most a tenth of delta, the least first.

    Args:
        verdict: Of a valid certificate with a geometry.

    Returns:
        True where a view counts.
    """
    f, weights = verdict.arrays["data"].astype(np.float64), verdict.arrays.get("weights")
    w = np.ones(f.shape) if weights is None else weights.astype(np.float64)
    views = len(f)
    seen = (w > 0).reshape(views, -1).any(axis=1)
    if verdict.claims["norm"] == "max":
        return np.asarray(seen)
    with np.errstate(over="ignore", under="ignore"):
        power = (w * f * f).reshape(views, -1).sum(axis=1)
        order = np.argsort(power, kind="stable")
        gone = order[np.cumsum(power[order]) <= (LET_GO * verdict.claims["delta"]) ** 2]
    left: BoolArray = np.array(seen)
    left[gone] = False
    return left


def counting_rays(verdict: Verdict) -> BoolArray:
    """Those of the views that count, without what has no weight; of what has no views, and those of any weight where
    delta lets all go.

    Args:
        verdict: Of a valid certificate.

    Returns:
        True where a value counts, of the shape of the data.
    """
    seen, weights = counting_views(verdict), verdict.arrays.get("weights")
    counts = np.ones(verdict.arrays["data"].shape, dtype=np.bool_) if weights is None else np.asarray(weights > 0)
    if not seen.any():
        return counts
    return counts & seen.reshape(-1, *[1] * (counts.ndim - 1))


def different_rays(operator: dict[str, Any], matrix: Array | None, counts: BoolArray) -> int | None:
    """How many different rays through the image there are.

    Args:
        operator: As a certificate states it.
        matrix: ``[entries, 3]`` of a stored matrix; None for a geometry.
        counts: Of the shape of the data, or ``[views]``: what counts.

    Returns:
        Their number, an estimate where there are more than a million; None where nothing is known of rays.
    """
    if "grid" not in operator:
        return None if matrix is None else different_rows(matrix, operator["shape"][0], counts)
    if not counts.any():
        return 0
    geometry, _ = geometry_from_dict(operator["geometry"])
    grid = grid_from_dict(operator["grid"])
    vectors = geometry.to_vectors()
    counts = np.broadcast_to(counts.reshape(len(counts), -1), (len(vectors.source), vectors.rows * vectors.columns))
    seen = np.flatnonzero(counts.any(axis=1))
    step = max(1, math.ceil(seen.size * vectors.rows * vectors.columns / _MOST_RAYS))
    depth = (grid.slices or 0) * (grid.slice_mm or 0.0)
    radius, unit = math.hypot(*grid.size_mm, depth) / 2, SAME * min(*grid.spacing_mm, grid.slice_mm or math.inf)
    centre = np.array([*grid.centre_mm, 0.0])[:3]
    together = max(1, _AT_A_TIME // counts.shape[1])
    found = [
        _numbers(vectors.views(some), counts[some].ravel(), step, centre, radius, unit)
        for some in np.split(seen, range(together, seen.size, together))
    ]
    return len(np.unique(np.concatenate(found))) * step


def _numbers(
    views: Vectors, counts: BoolArray, step: int, centre: Float64Array, radius: float, unit: float
) -> Array:
    """One whole number for each ray of the views that counts and meets the ball about the image: the same for rays
    that agree.
    """
    points, along = (part.reshape(-1, 3)[counts][::step] for part in views.rays())
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    along = along * np.where(along @ _ONE_WAY < 0, -1.0, 1.0)[:, None]
    foot = points - centre
    foot = foot - (foot * along).sum(axis=1, keepdims=True) * along
    there = (foot * foot).sum(axis=1) <= radius**2
    # Not about 0: places of whole or half units are common, and rounding would tell them apart.
    cells = np.rint(np.hstack([along[there] * radius, foot[there]]) / unit + 0.38).astype(np.int64).astype(np.uint64)
    number = np.zeros(len(cells), dtype=np.uint64)
    for column in cells.T:  # mixed, so that different cells have different numbers but once in 2^32 or so
        number = (number ^ column) * np.uint64(0x9E3779B97F4A7C15)
        number ^= number >> np.uint64(29)
    return number


def seen_by_few(operator: dict[str, Any], counts: BoolArray) -> float:
    """The share of an image's pixels that fewer than a quarter of the views see. Of the plane alone; else 0.

    A view sees what lies between the first and the last of its rays that count.

    Args:
        operator: As a certificate states it.
        counts: ``[views, cells]``, what counts.

    Returns:
        From 0 to 1.
    """
    if "grid" not in operator or "slices" in operator["grid"] or not counts.any():
        return 0.0
    geometry, _ = geometry_from_dict(operator["geometry"])
    grid = grid_from_dict(operator["grid"])
    counting = np.flatnonzero(counts.any(axis=1))
    chosen = counting[np.linspace(0, counting.size - 1, min(counting.size, _MOST_VIEWS)).round().astype(int)]
    points, along = geometry.to_vectors().split(2).views(chosen).rays()  # ends of the outermost cells, nearly
    points, along = points[:, 0, :, :2], along[:, 0, :, :2]
    first, last = counts[chosen].argmax(axis=1), counts.shape[1] - 1 - counts[chosen, ::-1].argmax(axis=1)
    views = np.arange(chosen.size)
    x, y = (axis[:: max(1, len(axis) // _MOST_PIXELS)] for axis in (grid.x_mm, grid.y_mm))
    pixels = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    sides = [_side(points[views, at], along[views, at], pixels) for at in (2 * first, 2 * last + 1)]
    return float(np.mean((sides[0] * sides[1] <= 0).mean(axis=0) < FEW_VIEWS))


def _side(points: Float64Array, along: Float64Array, pixels: Float64Array) -> Float64Array:
    """``[views, pixels]``: on which side of a ray of each view, as a sign."""
    away = pixels[None] - points[:, None]
    return np.asarray(np.sign(along[:, None, 0] * away[..., 1] - along[:, None, 1] * away[..., 0]))
