"""Back projection for straight detectors: the cell of a pixel is a quotient of two affine functions of its place."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ctrecon.geometry.base import Orbit
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vectors import Vectors
from ctrecon.operators.lanes import batches, from_lanes, tag, to_lanes
from ctrecon.support.arrays import Array, Float64Array
from ctrecon.support.threads import split


class FlatBackProjection:
    """``[batch, views, cells] -> [batch, rows, columns]``, the sum over views of ``q(t) / U^2``, float32.

    Args:
        vectors: a flat detector in each view.
        orbit: the turning scanner.
        grid: of the image.
    """

    def __init__(self, vectors: Vectors, orbit: Orbit, grid: Grid) -> None:
        self.grid, self.near_mm = grid, orbit.source_to_axis_mm or 0.0
        source, middle, u = (part[:, :2] for part in (vectors.source, vectors.detector, vectors.u))
        spacing, cell = vectors.column_mm, (vectors.columns - 1) / 2
        zero, one = np.zeros(len(u)), np.ones(len(u))
        if orbit.source_to_axis_mm is None or orbit.source_to_detector_mm is None:
            # At right angles to the rays, along the detector: the detector itself need not stand so.
            length = np.hypot(source[:, 0], source[:, 1])
            n = np.stack([-source[:, 1], source[:, 0]], axis=1) / length[:, None]
            lean = (u * n).sum(axis=1)
            n, lean = n * np.sign(lean)[:, None], np.abs(lean)
            self.denominator = np.stack([one, zero, zero], axis=1)
            across = np.concatenate([-(middle * n).sum(axis=1)[:, None], n], axis=1) / (lean * spacing)[:, None]
            self.numerator = across + cell * self.denominator
            self.spacing_mm, self.scale = spacing, (1 / lean)[:, None]
            return
        near, far = orbit.source_to_axis_mm, orbit.source_to_detector_mm
        w = -vectors.normal()[:, :2]
        away, foot = ((middle - source) * w).sum(axis=1), ((middle - source) * u).sum(axis=1)
        # U: distance from the source along the detector's normal, over source_to_axis.
        self.denominator = np.concatenate([-(source * w).sum(axis=1)[:, None], w], axis=1) / near
        across = np.concatenate([-(source * u).sum(axis=1)[:, None], u], axis=1) * (away / (spacing * near))[:, None]
        self.numerator = across + (cell - foot / spacing)[:, None] * self.denominator
        # The ramp is taken as if every detector stood as far from its source as the orbit says.
        self.spacing_mm, self.scale = spacing * near / far, (away / far)[:, None]

    def chord(self, s: Float64Array) -> Float64Array:
        """The distance that counts between cells ``s`` apart, in mm at the axis."""
        return s

    def on_cpu(self, filtered: Array) -> Array:
        """``filtered`` has one zero cell before and two after each view."""
        out = np.empty((filtered.shape[0], *self.grid.shape), dtype=np.float32)
        for piece, lanes in batches(filtered.shape[0]):
            self._some(filtered[piece], lanes, out[piece])
        return out

    def _some(self, filtered: Array, lanes: int, out: Array) -> None:
        """``[images, views, cells] -> [images, rows, columns]`` for at most ``lanes`` images."""
        from ctrecon.classical import fbp_flat_kernels as kernels

        _, views, cells = filtered.shape
        x, y = self.grid.x_mm.astype(np.float32), self.grid.y_mm.astype(np.float32)
        tables = tuple(np.ascontiguousarray(t.T, dtype=np.float32) for t in (self.numerator, self.denominator))
        first = np.arange(views, dtype=np.int32) * np.int32(cells)
        if lanes == 1:
            flat, image = filtered.reshape(-1), out[0]
            split(self.grid.rows, lambda a, b: kernels.back_project(flat, first, *tables, x, y, image, a, b))
            return
        total, kind = np.zeros((*self.grid.shape, lanes), dtype=np.float32), tag(lanes)
        stacked = to_lanes(filtered, lanes).reshape(-1, lanes)
        split(self.grid.rows, lambda a, b: kernels.back_project_lanes(stacked, first, *tables, x, y, total, kind, a, b))
        from_lanes(total, out)

    def places(self, views: slice, device: torch.device) -> tuple[Tensor, Tensor]:
        """See ``fbp_device.Places``."""
        x = torch.from_numpy(self.grid.x_mm).float().to(device)[None, :]
        y = torch.from_numpy(self.grid.y_mm).float().to(device)[:, None]
        tables = (self.numerator[views], self.denominator[views])
        n, d = (torch.from_numpy(table).float().to(device).T[:, :, None, None] for table in tables)
        u = 1 / (d[0] + d[1] * x + d[2] * y)
        return (n[0] + n[1] * x + n[2] * y) * u + 1, u * u
