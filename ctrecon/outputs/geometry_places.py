"""Where source, detector and grid of a geometry are drawn, before it is said in which pixels."""

from __future__ import annotations

import math

import numpy as np

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vectors import Vectors
from ctrecon.measurement.units import Units
from ctrecon.support.arrays import Array, Float64Array

PER_DETECTOR = 41
"""Points along a detector, which may be an arc; odd, so that one is its middle."""
# Of the grid's reach: what stands further away is drawn outside, and is said to be.
_WIDEST = 6.0
_LATER_RAD = 0.7
_PARALLEL = 1.6


class Places:
    """Where things are, each as (x, y, along, z): ``along`` the central ray of the first view, seen from the side."""

    def __init__(self, geometry: Geometry, grid: Grid, units: Units) -> None:
        vectors = geometry.to_vectors()
        self.grid, self.parallel, self.vectors = grid, vectors.parallel, vectors
        self.in_space = not vectors.planar
        half = [part / 2 for part in grid.size_mm]
        x, y, z = (*grid.centre_mm, 0.0)[:3]
        self.reach = math.hypot(abs(x) + half[1], abs(y) + half[0])
        self.low = (x - half[1], y - half[0])
        self.high = (x + half[1], y + half[0])
        high = (grid.slices or 0) * (grid.slice_mm or 0.0) / 2
        self.z = (z - high, z + high)
        first = vectors.source[0] if vectors.parallel else vectors.detector[0] - vectors.source[0]
        flat = np.array([first[0], first[1]])
        self.along = flat / max(float(np.hypot(*flat)), 1e-12)
        self.turn = self._turned()
        later = np.flatnonzero(np.abs(self.turn) >= _LATER_RAD)
        self.views = [0, *(later[:1] if later.size else [len(self.turn) - 1] * (len(self.turn) > 1))]
        self.way = self.seen(self._sources(vectors))
        self.detectors = [self._detector(vectors, view) for view in self.views]
        self.said = self._said(geometry, units)

    def seen(self, places: Array) -> Float64Array:
        along = places[..., :2] @ self.along
        return np.stack([places[..., 0], places[..., 1], along, places[..., 2]], axis=-1)

    def _sources(self, vectors: Vectors) -> Float64Array:
        """Of parallel rays a place from which they come, as far away as the detector is drawn."""
        return -_PARALLEL * self.reach * vectors.source if vectors.parallel else vectors.source

    def _turned(self) -> Float64Array:
        """How far the source has turned about the axis since the first view, in radians, step by step."""
        at = -self.vectors.source if self.parallel else self.vectors.source
        angle = np.arctan2(at[:, 1], at[:, 0])
        steps = (np.diff(angle) + math.pi) % (2 * math.pi) - math.pi
        return np.concatenate([[0.0], np.cumsum(steps)])

    def _detector(self, vectors: Vectors, view: int) -> Float64Array:
        """Lines on the detector, ``[2, n, 4]``: along the middle row from column 0, and up the middle column."""
        one = vectors.views(slice(view, view + 1))
        half = one.columns * one.column_mm / 2
        high = one.rows * one.row_mm / 2 if self.in_space else 0.0
        row = one.cells_at(np.linspace(-half, half, PER_DETECTOR))[0]
        middle = row[(len(row) - 1) // 2 : len(row) // 2 + 1].mean(axis=0)
        column = middle[PER_DETECTOR // 2] + np.linspace(-high, high, PER_DETECTOR)[:, None] * one.v[0]
        shift = _PARALLEL * self.reach * one.source[0] if vectors.parallel else np.zeros(3)
        if vectors.parallel:  # it may be stated anywhere along the rays
            shift = shift - float(middle[PER_DETECTOR // 2] @ one.source[0]) * one.source[0]
        return self.seen(np.stack([middle, column]) + shift)

    def reach_above(self) -> float:
        """How far the panel from above shows, from the axis."""
        return self._reach([0, 1], self.reach)

    def reach_beside(self) -> tuple[float, float]:
        """How far the panel from the side shows along the ray, and how many times as high z is drawn."""
        seen = (float(np.abs(part[..., 3]).max()) for part in (self.way, *self.detectors))
        high = max(*(abs(z) for z in self.z), *seen)
        reach = max(self._reach([2], self.reach), self._reach([3], min(high, _WIDEST * self.reach)))
        return reach, float(max(1, math.floor(reach / (2 * high)))) if high else 1.0

    def _reach(self, axes: list[int], least: float) -> float:
        far = max(float(np.abs(part[..., axes]).max()) for part in (self.way, *self.detectors))
        return 1.08 * max(least, min(far, _WIDEST * least))

    def _said(self, geometry: Geometry, units: Units) -> tuple[str, ...]:
        views, turn = len(self.turn), float(self.turn[-1])
        steps = np.diff(self.turn)
        if views == 1 or not np.abs(steps).max() > 1e-9:
            way = "the source does not turn"
        elif (steps > -1e-9).all() or (steps < 1e-9).all():
            sense = "counter-clockwise" if turn > 0 else "clockwise"
            way = f"the source turns {sense} by {abs(math.degrees(turn)):.4g}°"
        else:
            way = "views in mixed order of angles"
        climbs = self.way[-1, 3] - self.way[0, 3]
        said = [geometry.title, f"{views} views: {way}"]
        if geometry.orbit is not None:
            cells, offset = geometry.detector_count, geometry.orbit.detector_offset_mm / geometry.detector_spacing_mm
            said.append(f"the axis projects to column {(cells - 1) / 2 - offset:.6g} of {cells}")
        if self.in_space and not self.parallel and abs(climbs) > 1e-6:
            said.append(f"{'climbs' if climbs > 0 else 'descends'} by {abs(climbs):.4g} {units.short}")
        return tuple(said)
