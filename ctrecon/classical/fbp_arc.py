"""Back projection for a detector curved about the source: the cell of a pixel by its angle, weighted by 1 / L^2.

A. C. Kak, M. Slaney, Principles of Computerized Tomographic Imaging (IEEE Press, 1988), section 3.4.1. The ray through
a pixel starts at the true source, so a flying focal spot blurs nothing; without one it is the textbook's formula.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ctrecon.classical.fbp_rays import ANOTHER_METHOD, true_angles
from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Orbit
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vectors import Vectors
from ctrecon.support.arrays import Array, Float64Array
from ctrecon.support.threads import split

# Of the radius of the orbit: how far the arc's centre may be from the source.
_FARTHEST = 0.25
# In mm: what rounding moves.
_STILL = 1e-9


def _scale(vectors: Vectors, far: float) -> Float64Array:
    """What the angles between neighbours ask of a ray beside its density, ``[views, detectors]``.

    They are equal as seen from the arc's centre. From a source elsewhere they are not: the ramp falls with the square
    of the angle, the sum goes with the angle between rays, and that angle stays in the denominator.
    """
    shape = (len(vectors.source), vectors.columns)
    if vectors.columns == 1 or far < _STILL * max(1.0, vectors.radius_mm):
        return np.ones(shape)
    scale: Float64Array = vectors.column_mm / vectors.radius_mm / np.gradient(true_angles(vectors), axis=1)
    return scale


class ArcBackProjection:
    """``[batch, views, cells] -> [batch, rows, columns]``, the sum over views of ``q(t) (R / L)^2``, float32.

    Args:
        vectors: an arc in each view, about a point near the source.
        orbit: the turning scanner.
        grid: of the image.

    Raises:
        GeometryError: for an arc about another point than the source.
    """

    def __init__(self, vectors: Vectors, orbit: Orbit, grid: Grid) -> None:
        assert orbit.source_to_axis_mm is not None
        self.grid = grid
        nominal, true = vectors.arc_centre()[:, :2], vectors.source[:, :2]
        radius, spacing = vectors.radius_mm, vectors.column_mm
        away = true - nominal
        far = float(np.hypot(away[:, 0], away[:, 1]).max())
        if far > _FARTHEST * orbit.source_to_axis_mm:
            raise GeometryError(
                f"filtered back projection is known for arcs about the source; this one's centre is {far:.4g} mm away "
                f"from it; {ANOTHER_METHOD}"
            )
        # With the detector's middle in the place of the central ray: an offset only turns the view.
        cos, sin = vectors.u[:, 0], vectors.u[:, 1]
        across, along = away[:, 0] * cos + away[:, 1] * sin, away[:, 1] * cos - away[:, 0] * sin
        table = np.stack([cos, sin, true[:, 0], true[:, 1], across, along, across**2 + along**2])
        self.table = np.ascontiguousarray(table, dtype=np.float32)
        self.radius = radius
        self.columns_per_rad = radius / spacing
        # One more for the zero cell before.
        self.first = (vectors.columns - 1) / 2 + 1
        self.gain = orbit.source_to_axis_mm**2
        # Between equal angles the ramp's distance is a sine (Kak and Slaney, section 3.4.1), in mm at the axis.
        self.spacing_mm = orbit.source_to_axis_mm * spacing / radius
        self.scale = _scale(vectors, far)

    def chord(self, s: Float64Array) -> Float64Array:
        """The distance that counts between cells ``s`` apart, in mm at the axis."""
        R = math.sqrt(self.gain)
        return R * np.sin(np.minimum(s / R, np.pi / 2))

    def on_cpu(self, filtered: Array) -> Array:
        """``filtered`` has one zero cell before and two after each view."""
        from ctrecon.classical import fbp_arc_kernels as kernels

        x, y = self.grid.x_mm.astype(np.float32), self.grid.y_mm.astype(np.float32)
        out = np.empty((filtered.shape[0], *self.grid.shape), dtype=np.float32)
        numbers = (self.table, self.radius, self.columns_per_rad, self.first)
        for one, image in zip(np.ascontiguousarray(filtered), out, strict=True):

            def work(a: int, b: int, one: Array = one, image: Array = image) -> None:
                kernels.back_project(one, *numbers, x, y, image, a, b)

            split(self.grid.rows, work)
        out *= np.float32(self.gain)
        return out

    def places(self, views: slice, device: torch.device) -> tuple[Tensor, Tensor]:
        """See ``fbp_device.Places``."""
        x = torch.from_numpy(self.grid.x_mm).float().to(device)[None, :]
        y = torch.from_numpy(self.grid.y_mm).float().to(device)[:, None]
        table = torch.from_numpy(self.table[:, views]).to(device)[:, :, None, None]
        cos, sin, sx, sy, across, along, square = table
        dx, dy = x - sx, y - sy
        a, b = dx * cos + dy * sin, dy * cos - dx * sin
        inverse = 1 / (a * a + b * b)
        a, b = a * inverse.sqrt(), b * inverse.sqrt()
        inner = across * a + along * b
        far = (self.radius**2 - square + inner * inner).sqrt() - inner
        angle = torch.atan((across + far * a) / (along + far * b))
        return self.columns_per_rad * angle + self.first, self.gain * inverse
