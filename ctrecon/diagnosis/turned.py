"""By how much each view stands turned against where it is stated to stand.

Of an image ``u`` of all views the residual ``r = A u - f`` of a view that is turned by ``t`` holds ``-t`` times the
derivative of ``A u`` by the angle, so that ``t = -<r, d> / <d, d>``: one Gauss-Newton step. The image follows the
turned views in part, so that a few rounds are made. All views turned alike are the object turned, which no data tell.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ctrecon.diagnosis.fit import Fit, fit
from ctrecon.diagnosis.suggestion import changed
from ctrecon.geometry.base import Geometry
from ctrecon.measurement.scan import Scan
from ctrecon.operators.choose import choose_operator
from ctrecon.support.arrays import Float64Array

MOST_VIEWS = 360
_SIDE, _CELLS = 96, 1024
_STEP_RAD = 0.005


def fit_of_all_views(scan: Scan) -> Fit:
    """The fit that shows where views stand: of single cells, and of all views of a usual scan.

    Args:
        scan: In the plane.

    Returns:
        The fit.

    Raises:
        InputError: As of ``fit``.
    """
    return fit(scan, side=_SIDE, cells=_CELLS, most_views=MOST_VIEWS)


def turned_rad(found: Fit) -> Float64Array:
    """How far each view stands beyond its stated angle, by one Gauss-Newton step.

    Args:
        found: Of ``fit_of_all_views``.

    Returns:
        Radians, one for each view that was looked at, their median 0; all 0 where angles turn nothing.
    """
    change = (_at(found, _STEP_RAD) - _at(found, -_STEP_RAD)) / (2 * _STEP_RAD)
    size = (change**2).sum(axis=1)
    turned = -np.divide((found.residual * change).sum(axis=1), size, out=np.zeros_like(size), where=size > 0)
    return np.asarray(turned - np.median(turned))


def _at(found: Fit, by_rad: float) -> Float64Array:
    """What the image projects to where all views are turned."""
    turned = with_angles(found.geometry, np.asarray(found.geometry.angles_rad) + by_rad)  # type: ignore[attr-defined]
    operator = choose_operator(turned or found.geometry, found.grid, uses="few")
    p: Float64Array = operator(torch.from_numpy(found.image)[None, None])[0, 0].numpy().astype(np.float64)
    cells = p[:, : found.block * found.data.shape[1]].reshape(len(p), -1, found.block)
    return np.asarray(cells.sum(axis=2) / math.sqrt(found.block))


def with_angles(geometry: Geometry | None, angles_rad: Float64Array) -> Geometry | None:
    """The geometry with other angles; None where it has none, or allows no such."""
    return changed(geometry, angles_rad=tuple(float(angle) for angle in angles_rad))
