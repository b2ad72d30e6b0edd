"""A small scan of an asymmetric object through a cone, for tests of the whole way of volumes."""

import math

import numpy as np

import ctrecon as ct
from ctrecon.geometry.cone import ConeBeam
from ctrecon.geometry.grid import Grid
from ctrecon.phantoms.solids import Body, Ellipsoid

OBJECT = Body((
    Ellipsoid(center=(4.0, -2.0, 1.0), semi_axes=(40.0, 32.0, 34.0), value=0.02, angle_rad=0.3),
    Ellipsoid(center=(16.0, -8.0, 2.0), semi_axes=(10.0, 8.0, 15.0), value=0.01),
    Ellipsoid(center=(-12.0, 12.0, -2.0), semi_axes=(8.0, 10.0, 15.0), value=-0.01),
))
GRID = Grid(rows=22, columns=20, slices=18, pixel_mm=(4.4, 4.6), slice_mm=4.8, centre_mm=(3.0, -2.0, 1.0))


def cone(views=30, **more):
    row = {"detector_count": 30, "detector_rows": 24, "detector_spacing_mm": 5.0, "detector_row_spacing_mm": 6.0}
    row |= {"source_to_axis_mm": 400.0, "source_to_detector_mm": 600.0}
    turn = 0.2 + np.arange(views) * 2 * math.pi / views
    return ConeBeam(**{"angles_rad": tuple(turn), **row, **more})


def noisy(geometry=None, *, noise=0.02, seed=0, grid=GRID):
    """The scan, and the norm of its noise."""
    geometry = cone() if geometry is None else geometry
    exact = OBJECT.sinogram(geometry, 2)
    sigma = noise * float(exact.max())
    noise_of_it = sigma * np.random.default_rng(seed).standard_normal(exact.shape)
    return ct.Scan((exact + noise_of_it).astype(np.float32), geometry, grid=grid), float(np.linalg.norm(noise_of_it))
