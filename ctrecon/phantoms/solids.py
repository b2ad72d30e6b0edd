"""Solids with exact line integrals in space: what scans of volumes are simulated with.

x and y are those of an image, z grows along the rotation axis; lengths in mm, attenuation in 1/mm.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ctrecon.errors import SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.phantoms.solids_kernels import add_line_integrals
from ctrecon.support.arrays import Float32Array, Float64Array
from ctrecon.support.threads import split


class Shape(NamedTuple):
    """``|M (p - center)| < 1, bottom_mm < z < top_mm``; ``matrix`` is ``M`` by rows."""

    center: tuple[float, float, float]
    matrix: tuple[float, float, float, float, float, float, float, float, float]
    bottom_mm: float = -math.inf
    top_mm: float = math.inf


class Solid(ABC):
    """One additive contribution to the attenuation."""

    @abstractmethod
    def shape(self) -> Shape:
        """The solid as ``|M (p - c)| < 1`` between two levels.

        Returns:
            ``c`` and ``M`` in the solid's unit of length, and the levels.
        """

    @abstractmethod
    def inside(self, x: Float64Array, y: Float64Array, z: float) -> npt.NDArray[np.bool_]:
        """Whether points of a plane lie in it.

        Args:
            x: Places to the right, in mm, of any shape.
            y: Places upwards, in mm, of a shape that broadcasts with that of ``x``.
            z: Height of the plane, in mm.

        Returns:
            True or False for each point.
        """

    @property
    @abstractmethod
    def mu_per_mm(self) -> float: ...

    @abstractmethod
    def scaled(self, scale: float, gain: float) -> Self:
        """The same solid, larger or denser.

        Args:
            scale: Times which lengths become longer.
            gain: Times which attenuation becomes larger.

        Returns:
            A new solid; this one stays as it is.
        """


@dataclass(frozen=True, kw_only=True)
class Cylinder(Solid):
    """An elliptic cylinder along z, from ``bottom_mm`` to ``top_mm`` (endless by default)."""

    center: tuple[float, float]
    semi_axes: tuple[float, float]
    value: float
    bottom_mm: float = -math.inf
    top_mm: float = math.inf

    def shape(self) -> Shape:
        (x, y), (a, b) = self.center, self.semi_axes
        return Shape((x, y, 0.0), (1 / a, 0, 0, 0, 1 / b, 0, 0, 0, 0), self.bottom_mm, self.top_mm)

    def inside(self, x: Float64Array, y: Float64Array, z: float) -> npt.NDArray[np.bool_]:
        u, v = (x - self.center[0]) / self.semi_axes[0], (y - self.center[1]) / self.semi_axes[1]
        return (u * u + v * v < 1) & (self.bottom_mm < z < self.top_mm)

    @property
    def mu_per_mm(self) -> float:
        return self.value

    def scaled(self, scale: float, gain: float) -> Self:
        (x, y), (a, b) = self.center, self.semi_axes
        return replace(
            self, center=(scale * x, scale * y), semi_axes=(scale * a, scale * b), value=gain * self.value,
            bottom_mm=scale * self.bottom_mm, top_mm=scale * self.top_mm,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ellipsoid(Solid):
    """An ellipsoid with an axis along z; ``angle_rad`` is the counter-clockwise turn of the others from x and y."""

    center: tuple[float, float, float]
    semi_axes: tuple[float, float, float]
    value: float
    angle_rad: float = 0.0

    def _turned(self, x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
        """The parts along its own axes."""
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        return cos * x + sin * y, cos * y - sin * x

    def shape(self) -> Shape:
        (a, b, c), cos, sin = self.semi_axes, math.cos(self.angle_rad), math.sin(self.angle_rad)
        return Shape(self.center, (cos / a, sin / a, 0, -sin / b, cos / b, 0, 0, 0, 1 / c))

    def inside(self, x: Float64Array, y: Float64Array, z: float) -> npt.NDArray[np.bool_]:
        a, b, c = self.semi_axes
        height = ((z - self.center[2]) / c) ** 2
        if height >= 1:
            return np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.bool_)
        u, v = self._turned(x - self.center[0], y - self.center[1])
        within: npt.NDArray[np.bool_] = (u / a) ** 2 + (v / b) ** 2 + height < 1
        return within

    @property
    def mu_per_mm(self) -> float:
        return self.value

    def scaled(self, scale: float, gain: float) -> Self:
        (x, y, z), (a, b, c) = self.center, self.semi_axes
        center, axes = (scale * x, scale * y, scale * z), (scale * a, scale * b, scale * c)
        return replace(self, center=center, semi_axes=axes, value=gain * self.value)


# With two the truth itself is off by a tenth of what discretisation costs.
_SAMPLES = 3
# Lines for a thread.
_GRAIN = 4096


@dataclass(frozen=True)
class Body:
    """The sum of ``solids``."""

    solids: tuple[Solid, ...]

    def scaled(self, scale: float, gain: float) -> Body:
        """From the unit ball to a real object.

        Args:
            scale: Times which lengths become longer: what 1 becomes, in mm.
            gain: Times which attenuation becomes larger: what 1 becomes, in 1/mm.

        Returns:
            The larger body.

        Raises:
            SettingError: Where one of them is not finite and > 0.
        """
        for name, value in (("scale", scale), ("gain", gain)):
            if not (math.isfinite(value) and value > 0):
                raise SettingError(f"{name} must be a finite number > 0, got {value!r}")
        return Body(tuple(solid.scaled(scale, gain) for solid in self.solids))

    def line_integral(self, points: Float64Array, directions: Float64Array) -> Float64Array:
        """Exactly, along whole lines.

        Args:
            points: On each line, ``[..., 3]`` in mm.
            directions: Of each line, of any length, ``[..., 3]``; broadcast with ``points``.

        Returns:
            The integral of the attenuation over each line, ``[...]``, without unit, float64.
        """
        points, directions = np.broadcast_arrays(points, directions)
        p, d = (np.ascontiguousarray(part, np.float64).reshape(-1, 3) for part in (points, directions))
        total = np.zeros(len(p))
        solids = self._table

        def work(first: int, last: int) -> None:
            add_line_integrals(solids, p[first:last], d[first:last], total[first:last])

        split(len(p), work, grain=_GRAIN)
        total *= np.sqrt((d * d).sum(-1))
        return total.reshape(points.shape[:-1])

    @cached_property
    def _table(self) -> Float64Array:
        rows = [
            (*one.center, *one.matrix, one.bottom_mm, one.top_mm, solid.mu_per_mm)
            for solid in self.solids for one in (solid.shape(),)
        ]  # fmt: skip
        return np.array(rows, dtype=np.float64).reshape(-1, 15)

    def sinogram(self, geometry: Geometry, oversample: int = _SAMPLES) -> Float32Array:
        """Exact line integrals ``[views, rows, columns]``.

        Args:
            geometry: Of the scan; in the plane it measures at z = 0.
            oversample: Each value is the mean over so many rays squared, evenly spread over the cell.

        Returns:
            In the shape of the geometry.

        Raises:
            SettingError: For an oversampling below 1.
        """
        if oversample < 1:
            raise SettingError(f"oversample must be a whole number of at least 1, got {oversample!r}")
        vectors = geometry.to_vectors()
        fine = replace(
            vectors.split(oversample), rows=vectors.rows * oversample, row_mm=vectors.row_mm / oversample
        )
        out = np.empty((len(vectors.source), vectors.rows, vectors.columns), dtype=np.float32)
        for view in range(len(out)):
            points, directions = fine.views(slice(view, view + 1)).rays()
            values = self.line_integral(points[0], directions[0])
            out[view] = values.reshape(vectors.rows, oversample, vectors.columns, oversample).mean(axis=(1, 3))
        return out.reshape(geometry.shape)

    def image(self, grid: Grid, oversample: int = _SAMPLES) -> Float32Array:
        """Each voxel's mean attenuation.

        Args:
            grid: Of the image, with slices.
            oversample: The mean is over so many points along each side of a voxel.

        Returns:
            ``[slices, rows, columns]``, 1/mm, float32.

        Raises:
            SettingError: For a grid without slices.
        """
        if grid.slice_mm is None:
            raise SettingError("a body in space needs an image of slices; give a scanner in space")
        offsets = ((np.arange(oversample) + 0.5) / oversample - 0.5) * grid.slice_mm
        planes = [
            np.mean([self.slice(grid, float(z + off), oversample) for off in offsets], axis=0) for z in grid.z_mm
        ]
        return np.asarray(planes, dtype=np.float32)

    def slice(self, grid: Grid, z_mm: float, oversample: int = 4) -> Float64Array:
        """Each pixel's mean attenuation in a plane.

        Args:
            grid: Of the image; its slices, if it has any, are not used.
            z_mm: Height of the plane, in mm.
            oversample: The mean is over so many points along each side of a pixel.

        Returns:
            ``[rows, columns]``, 1/mm, float64.
        """
        fine = grid.finer(oversample)
        x, y = fine.x_mm[None, :], fine.y_mm[:, None]
        out = np.zeros(fine.plane)
        for solid in self.solids:
            out += solid.mu_per_mm * solid.inside(x, y, z_mm)
        means: Float64Array = out.reshape(grid.rows, oversample, grid.columns, oversample).mean(axis=(1, 3))
        return means
