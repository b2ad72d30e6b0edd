"""The discretisation error of a true volume, plane by plane.

Joseph's projector interpolates between voxels in the plane of the orbit and along its axis alike, so what a row of the
detector misses is that of a scan in the plane (``discretisation.py``), and what a column misses that of rays that stand
still before layers as thick as the slices. The two are taken for independent: their squares are added.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.plane_of_orbit import plane_of_orbit
from ctrecon.measurement.discretisation import Discretisation, discretisation
from ctrecon.support.arrays import Array
from ctrecon.support.threads import split

SPREAD_IN_SPACE = 0.18
"""Relative standard deviation of estimate over truth, for the norm: it was 0.9 to 1.3 of the truth for three families
of bodies of 32 to 64 voxels a side (``docs/units.md``)."""

# So many rows and columns of the detector stand for all.
_LINES = 16


def discretisation_in_space(
    sinogram: Array, geometry: Geometry, grid: Grid, variance: Array | float, *, whitened: bool = False
) -> Discretisation:
    """The discretisation error of the true volume on ``grid``, estimated from noisy projections.

    Args:
        sinogram: Line integrals ``[views, rows, columns]``.
        geometry: Of an orbit that closes on itself: one that does not climb.
        grid: The volume's voxels.
        variance: Of the noise of each ray, like ``sinogram``, or one number for all.
        whitened: Whether the norm weighs each ray with ``1 / variance``; else it is the 2-norm.

    Returns:
        The square of the norm; 0 for a geometry without such an orbit.
    """
    orbit, vectors = geometry.orbit, geometry.to_vectors()
    if orbit is None or not orbit.steady or grid.slices is None or grid.slice_mm is None:
        return Discretisation(square=0.0, exponent=0.0, spread=SPREAD_IN_SPACE)
    noise = np.broadcast_to(np.asarray(variance, dtype=np.float64), sinogram.shape)
    _, rows, columns = sinogram.shape
    in_plane = plane_of_orbit(replace(orbit, detector_offset_mm=0.0), columns, vectors.column_mm)
    # Views that stand still, side by side: a hair apart, since no two may be one.
    still = replace(
        orbit, angles_rad=tuple(1e-9 * view for view in range(len(orbit.angles_rad))), curved=False,
        detector_offset_mm=0.0,
    )
    upright = plane_of_orbit(still, rows, vectors.row_mm)
    plane = Grid(rows=grid.rows, columns=grid.columns, pixel_mm=grid.pixel_mm)
    layers = Grid(rows=grid.slices, columns=grid.slices, pixel_mm=grid.slice_mm)
    kinds = ((1, rows, in_plane, plane), (2, columns, upright, layers))
    lines = [
        (*kind, int(line), 1 / min(kind[1], _LINES))
        for kind in kinds
        for line in np.linspace(0, kind[1] - 1, min(kind[1], _LINES)).round()
    ]
    found: dict[int, Discretisation] = {}

    def look(first: int, last: int) -> None:
        for k in range(first, last):
            axis, _, scanner, pixels, line, _ = lines[k]
            data, variances = sinogram.take(line, axis), noise.take(line, axis)
            found[k] = discretisation(data, scanner, pixels, variances, whitened=whitened)

    split(len(lines), look)
    square = sum(found[k].square * count * share for k, (_, count, _, _, _, share) in enumerate(lines))
    exponent = float(np.mean([found[k].exponent for k in range(len(lines))]))
    return Discretisation(square=square, exponent=exponent, spread=SPREAD_IN_SPACE)
