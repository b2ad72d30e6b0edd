"""Phantoms: sums of simple shapes whose line integrals are known in closed form.

So a sinogram comes from the shapes and not from pixels, and a simulation does not commit the inverse crime of using
the operator that later inverts it. Families draw in the unit disc with water about 1; ``Phantom.scaled`` turns that
into mm and 1/mm.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from ctrecon.errors import SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.support.arrays import Float32Array, Float64Array


@dataclass(frozen=True, kw_only=True)
class Raster:
    """The sub-samples of an image: ``oversample x oversample`` in each of its pixels, evenly spread."""

    grid: Grid
    oversample: int

    @property
    def across_mm(self) -> float:
        """From a sub-sample to the next in its row."""
        return self.grid.spacing_mm[1] / self.oversample

    @property
    def down_mm(self) -> float:
        """From a row of sub-samples to the next."""
        return self.grid.spacing_mm[0] / self.oversample

    @property
    def left_mm(self) -> float:
        """Where the first sub-sample of every row stands; the next ones follow to its right."""
        return self.grid.centre_mm[0] - (self.grid.columns * self.oversample - 1) / 2 * self.across_mm

    @property
    def top_mm(self) -> float:
        """Where the first row of sub-samples stands; the next rows follow below."""
        return self.grid.centre_mm[1] + (self.grid.rows * self.oversample - 1) / 2 * self.down_mm

    @property
    def places(self) -> tuple[float, float, float, float, int]:
        """``left, top, across, down`` in mm and the oversampling, as the kernels take them."""
        return self.left_mm, self.top_mm, self.across_mm, self.down_mm, self.oversample


@dataclass(frozen=True)
class Lines:
    """Straight lines ``{p : p . normal = distance}``, arrays ``[views, lines]``; normals have length one.

    The lines of one view must not cross inside the shapes they measure, and must come in order: then those that touch
    a shape follow each other, and two binary searches find them. A view of a single line is always in order.
    """

    normal_x: Float64Array
    normal_y: Float64Array
    distance: Float64Array

    @classmethod
    def through(cls, points: Float64Array, directions: Float64Array) -> Lines:
        """The lines through points along directions.

        Args:
            points: ``[views, lines, 2]``.
            directions: ``[views, lines, 2]``, of any length but 0.

        Returns:
            ``views`` times ``lines`` of them, in the same order.
        """
        dx, dy = directions[..., 0], directions[..., 1]
        length = np.sqrt(dx * dx + dy * dy)
        nx, ny = dy / length, -dx / length
        return cls(nx, ny, points[..., 0] * nx + points[..., 1] * ny)


class Primitive(ABC):
    """One additive contribution to the attenuation. A new shape is one file with one frozen class."""

    @abstractmethod
    def value_at(self, x: Float64Array, y: Float64Array) -> Float64Array:
        """The attenuation at points.

        Args:
            x: To the right, of any shape.
            y: Upwards, of a shape that broadcasts with that of ``x``.

        Returns:
            One value for each point.
        """

    @abstractmethod
    def draw(self, raster: Raster, out: Float64Array) -> None:
        """Add the mean of ``value_at`` over each pixel's sub-samples.

        Args:
            raster: Where pixels and sub-samples are.
            out: ``[rows, columns]``, which is added to.
        """

    @abstractmethod
    def project(self, lines: Lines, out: Float64Array) -> None:
        """Add the exact integral along each line.

        Args:
            lines: In order, as ``Lines`` wants them.
            out: ``[views, lines]``, which is added to.
        """

    @property
    @abstractmethod
    def reach(self) -> float:
        """The shape lies within this distance of the origin."""

    @abstractmethod
    def moved(self, *, scale: float, turn_rad: float, shift: tuple[float, float], gain: float) -> Self:
        """The same shape scaled, then turned counter-clockwise about the origin, then shifted.

        Args:
            scale: Times which lengths become longer.
            turn_rad: Angle of the turn, in rad.
            shift: To the right and up, after the shape was scaled.
            gain: Times which attenuation becomes larger.

        Returns:
            A new shape; this one stays as it is.
        """

    def line_integral(self, points: Float64Array, directions: Float64Array) -> Float64Array:
        """The exact integral along whole lines.

        Args:
            points: On each line, ``[..., 2]``.
            directions: Of each line, of any length but 0, ``[..., 2]``; broadcast with ``points``.

        Returns:
            ``[...]``.
        """
        points, directions = np.broadcast_arrays(points, directions)
        out = np.zeros((points[..., 0].size, 1))
        self.project(Lines.through(points.reshape(-1, 1, 2), directions.reshape(-1, 1, 2)), out)
        return out.reshape(points.shape[:-1])


@dataclass(frozen=True)
class Phantom:
    """The sum of ``primitives``."""

    primitives: tuple[Primitive, ...]

    def image(self, grid: Grid, oversample: int = 4) -> Float32Array:
        """Each pixel's mean attenuation.

        Args:
            grid: Of the image.
            oversample: The mean is over ``oversample x oversample`` points of a pixel.

        Returns:
            ``[rows, columns]``, 1/mm, float32.

        Raises:
            SettingError: For an oversampling below 1.
        """
        raster = Raster(grid=grid, oversample=_whole(oversample))
        out = np.zeros(grid.shape)
        for primitive in self.primitives:
            primitive.draw(raster, out)
        return out.astype(np.float32)

    def sinogram(self, geometry: Geometry, oversample: int = 4) -> Float32Array:
        """Exact line integrals, each cell the mean of several rays spread over it.

        Args:
            geometry: In the plane.
            oversample: How many rays a cell has.

        Returns:
            ``[views, detectors]``, float32.

        Raises:
            SettingError: For an oversampling below 1.
            GeometryError: For a geometry in space.
        """
        points, directions = geometry.rays(per_cell=_whole(oversample))
        if not self._sees_in_order(geometry):
            points, directions = points.reshape(-1, 1, 2), directions.reshape(-1, 1, 2)
        lines = Lines.through(points, directions)
        out = np.zeros(lines.distance.shape)
        for primitive in self.primitives:
            primitive.project(lines, out)
        cells: Float64Array = out.reshape(*geometry.shape, oversample).mean(axis=2)
        return cells.astype(np.float32)

    @property
    def reach(self) -> float:
        """Radius of a disc around the origin with everything inside."""
        return max((primitive.reach for primitive in self.primitives), default=0.0)

    def _sees_in_order(self, geometry: Geometry) -> bool:
        """Whether the lines of a view are known to come in order across the phantom, as ``Lines`` wants them."""
        vectors = geometry.to_vectors()
        if vectors.parallel:
            return True
        source = vectors.source[:, :2]
        closest = float(np.hypot(source[:, 0], source[:, 1]).min())
        if closest <= self.reach:
            return False
        # As the source sees it, no point of the phantom may stand a right angle or more from a ray.
        edge = vectors.cells_at(np.array([-1, 1]) * (vectors.columns + 1) / 2 * vectors.column_mm)[:, 0, :, :2]
        edge = edge - source[:, None]
        across = source[:, None, 0] * edge[..., 1] - source[:, None, 1] * edge[..., 0]
        widest = np.arctan2(np.abs(across), -(source[:, None] * edge).sum(axis=-1)).max()
        return bool(widest + math.asin(self.reach / closest) < math.pi / 2)

    def scaled(self, radius_mm: float, mu_per_mm: float) -> Phantom:
        """From the unit disc to a real object.

        Args:
            radius_mm: What 1 becomes in lengths, in mm.
            mu_per_mm: What 1 becomes in attenuation, in 1/mm.

        Returns:
            The larger phantom.

        Raises:
            SettingError: Where one of them is not finite and > 0.
        """
        for name, value in (("radius_mm", radius_mm), ("mu_per_mm", mu_per_mm)):
            if not (math.isfinite(value) and value > 0):
                raise SettingError(f"{name} must be a finite number > 0, got {value!r}")
        return self.moved(scale=radius_mm, gain=mu_per_mm)

    def moved(
        self,
        *,
        scale: float = 1.0,
        turn_rad: float = 0.0,
        shift: tuple[float, float] = (0.0, 0.0),
        gain: float = 1.0,
    ) -> Phantom:
        """Scaled, then turned counter-clockwise about the origin, then shifted; attenuation times ``gain``.

        Args:
            scale: Times which lengths become longer.
            turn_rad: Angle of the turn, in rad.
            shift: To the right and up, in the phantom's unit of length after it was scaled.
            gain: Times which attenuation becomes larger.

        Returns:
            A new phantom; this one stays as it is.
        """
        return Phantom(
            tuple(p.moved(scale=scale, turn_rad=turn_rad, shift=shift, gain=gain) for p in self.primitives)
        )


class Family(Protocol):
    """A kind of phantom: one file with one frozen class."""

    @property
    def name(self) -> str: ...

    def sample(self, rng: np.random.Generator) -> Phantom:
        """Draw a phantom.

        Args:
            rng: Decides everything: the same state gives the same phantom.

        Returns:
            A phantom in the unit disc, nowhere negative, water about 1.
        """
        ...


def turned(point: tuple[float, float], turn_rad: float) -> tuple[float, float]:
    """The point after a counter-clockwise turn about the origin."""
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    return cos * point[0] - sin * point[1], sin * point[0] + cos * point[1]


def _whole(oversample: int) -> int:
    if isinstance(oversample, bool) or not isinstance(oversample, int | np.integer) or oversample < 1:
        raise SettingError(f"oversample must be a whole number of at least 1, got {oversample!r}")
    return int(oversample)
