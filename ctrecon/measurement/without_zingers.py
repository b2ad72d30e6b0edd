"""A scan as estimates should see it: without the rays that no object and no noise explains.

What stands out of its neighbours on all sides may be a zinger, or an edge that one view alone sees end-on. An object
does not reach beyond the double wedge of its sinogram (``wedge.py``), so a true zinger's power is there and goes with
it, and detail that is taken away by mistake leaves a hole that is there instead. So as many of the rays that stand out
are taken away, the largest first, as lowers what is found beyond the wedge.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ctrecon.measurement.noise_level import WEAKEST, estimate_sigma
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.zingers import zingers
from ctrecon.support.arrays import Float64Array

# From trial to trial so many times as many rays; about the best number in finer steps; and by so much the noise that is
# found must be lowered at all.
_TIMES, _FINER, _LOWER = 4, (0.5, 0.7, 1.4, 2.0, 0.85, 1.2), 0.99


def without_zingers(scan: Scan) -> tuple[Scan, str]:
    """The scan with its zingers interpolated, and what is to be said of them.

    Args:
        scan: Its data are not changed.

    Returns:
        The scan for the estimates; and how many rays were left out and by how much they stand out, "" for none.
    """
    if scan.sinogram.ndim != 2:
        return scan, ""
    orbit = None if scan.geometry is None else scan.geometry.orbit
    clean, found = zingers(scan.sinogram, None if orbit is None else np.argsort(orbit.angles_rad, kind="stable"))
    if found.any() and orbit is not None:
        clean, found = _as_many_as_help(scan, clean, found)
    count = int(found.sum())
    if not count:
        return scan, ""
    excess = float(np.linalg.norm((scan.sinogram - clean)[found]))
    said = (
        f"; {count} single rays stand out from all their neighbours (zingers, or detail of one cell), by {excess:.6g} "
        "in the 2-norm: left out of the estimate, not of the data; correct or mask them where delta is not met"
    )
    return replace(scan, sinogram=clean), said


def _as_many_as_help(
    scan: Scan, clean: Float64Array, found: npt.NDArray[np.bool_]
) -> tuple[Float64Array, npt.NDArray[np.bool_]]:
    given = scan.sinogram.astype(np.float64)
    level, where = estimate_sigma(given, scan.geometry)
    if where == WEAKEST:
        return clean, found  # windows look past what stands out, and cannot judge
    excess = np.where(found, np.abs(given - clean), -1.0).ravel()
    count, least = int(found.sum()), level.likely
    order = np.argsort(-excess, kind="stable")[:count]
    best, taken = given, 0

    def take(number: int) -> None:
        nonlocal least, best, taken
        values = given.copy()
        values.flat[order[:number]] = clean.flat[order[:number]]
        now = estimate_sigma(values, scan.geometry)[0].likely
        if now < (_LOWER if taken == 0 else 1.0) * least:
            least, best, taken = now, values, number

    for k in range(math.ceil(math.log(count, _TIMES)) + 1):
        take(min(_TIMES**k, count))
    for times in _FINER if taken else ():
        take(min(max(1, round(times * taken)), count))
    marked = np.zeros_like(found)
    marked.flat[order[:taken]] = True
    return best, marked
