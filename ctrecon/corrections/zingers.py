"""Leave out single rays that stand out from all their neighbours.

Single rays that stand out from their neighbours along the detector and from view to view: they are left out.

They are found as for the estimates of the noise (``ctrecon/measurement/zingers.py``), and left out, not interpolated:
a value that is guessed has no weight. Two rounds: the largest hide smaller ones beside them.
"""

from __future__ import annotations

import math

import numpy as np

from ctrecon.measurement import zingers as finding
from ctrecon.measurement.scan import Scan

PLACE = 30
"""Where among the corrections it is applied."""

_ROUNDS, _NEARER = 2, 1.5


def zingers(scan: Scan) -> Scan:
    """The scan without its zingers."""
    if scan.sinogram.ndim != 2:
        found = [zingers_of(scan, row) for row in range(scan.sinogram.shape[1])]
        mask = np.stack(found, axis=1)
    else:
        mask = zingers_of(scan, None)
    return scan if bool(mask.all()) else scan.without(mask, "zingers")


def zingers_of(scan: Scan, row: int | None) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The mask of one detector row (None for the only one), True where there is no zinger."""
    values = scan.sinogram if row is None else scan.sinogram[:, row]
    orbit = None if scan.geometry is None else scan.geometry.orbit
    order = None if orbit is None else np.argsort(orbit.angles_rad, kind="stable")
    reach = None
    if orbit is not None and len(values) > 2:
        # A point at the rim of the field of view moves by half the detector times the step; nearer to a source by more.
        steps = np.abs(np.diff(np.sort(orbit.angles_rad)))
        reach = min(values.shape[1], math.ceil(_NEARER * values.shape[1] / 2 * float(np.median(steps))))
    mask = np.ones(values.shape, dtype=np.bool_)
    for _ in range(_ROUNDS):
        values, found = finding.zingers(values, order, reach=reach)
        mask &= ~found
    return mask
