"""The image grid: where the pixels stand, or the voxels of a volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.checks import MAX_IMAGE_SIDE, count, finite, positive
from ctrecon.geometry.field_of_view import covered_mm
from ctrecon.support.arguments import checked_with
from ctrecon.support.arrays import Float64Array


@dataclass(frozen=True, kw_only=True)
class Grid:
    """``rows x columns`` pixels about ``centre_mm``; with ``slices`` a volume.

    Args:
        rows: of the image, from the top (largest y).
        columns: from the left (smallest x).
        pixel_mm: the pixel's side, or, where pixels are not square, ``(dy, dx)``: from row to row and from column to
            column, as DICOM's PixelSpacing. Two equal numbers become one.
        centre_mm: the middle of the image from the rotation axis, ``(x, y)``; of a volume ``(x, y, z)``.
        slices: None for an image.
        slice_mm: from slice to slice; None where there are none.

    Raises:
        GeometryError: for what cannot be.
    """

    rows: int
    columns: int
    pixel_mm: float | tuple[float, float] = 1.0
    centre_mm: tuple[float, ...] = (0.0, 0.0)
    slices: int | None = None
    slice_mm: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", count("rows", self.rows, MAX_IMAGE_SIDE))
        object.__setattr__(self, "columns", count("columns", self.columns, MAX_IMAGE_SIDE))
        object.__setattr__(self, "pixel_mm", _pixel(self.pixel_mm))
        if (self.slices is None) != (self.slice_mm is None):
            raise GeometryError("slices and slice_mm must be given together, of a volume, or not at all")
        if self.slices is not None and self.slice_mm is not None:
            object.__setattr__(self, "slices", count("slices", self.slices, MAX_IMAGE_SIDE))
            object.__setattr__(self, "slice_mm", positive("slice_mm", self.slice_mm))
        axes = 2 if self.slices is None else 3
        centre = self.centre_mm
        if not isinstance(centre, tuple | list) or len(centre) not in (2, axes):
            raise GeometryError(f"centre_mm must be {'(x, y)' if axes == 2 else '(x, y, z)'}, got {centre!r}")
        padded = (*centre, 0.0)[:axes] if len(centre) < axes else tuple(centre)
        object.__setattr__(self, "centre_mm", tuple(finite("centre_mm", value) for value in padded))

    @property
    def shape(self) -> tuple[int, ...]:
        """``(rows, columns)``, of a volume ``(slices, rows, columns)``."""
        return (self.rows, self.columns) if self.slices is None else (self.slices, self.rows, self.columns)

    @property
    def plane(self) -> tuple[int, int]:
        """``(rows, columns)`` of one slice."""
        return self.rows, self.columns

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """``(dy, dx)``: from row to row, from column to column."""
        return self.pixel_mm if isinstance(self.pixel_mm, tuple) else (self.pixel_mm, self.pixel_mm)

    @property
    def square_mm(self) -> float:
        """The side of square pixels. Raises GeometryError where they are not square."""
        if isinstance(self.pixel_mm, tuple):
            raise GeometryError(
                f"square pixels are needed here, these are {self.pixel_mm[0]:g} x {self.pixel_mm[1]:g} mm; give one "
                "pixel_mm"
            )
        return self.pixel_mm

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width of the image."""
        dy, dx = self.spacing_mm
        return self.rows * dy, self.columns * dx

    @property
    def x_mm(self) -> Float64Array:
        """Centre of each column, ``[columns]``, in mm; grows to the right."""
        places = (np.arange(self.columns, dtype=np.float64) - (self.columns - 1) / 2) * self.spacing_mm[1]
        return places + self.centre_mm[0]

    @property
    def y_mm(self) -> Float64Array:
        """Centre of each row, ``[rows]``, in mm; falls with the row index."""
        places = ((self.rows - 1) / 2 - np.arange(self.rows, dtype=np.float64)) * self.spacing_mm[0]
        return places + self.centre_mm[1]

    @property
    def z_mm(self) -> Float64Array:
        """Centre of each slice, ``[slices]``, in mm; of an image the one plane 0."""
        if self.slices is None or self.slice_mm is None:
            return np.zeros(1)
        return (np.arange(self.slices, dtype=np.float64) - (self.slices - 1) / 2) * self.slice_mm + self.centre_mm[2]

    @property
    def said(self) -> str:
        """In words: ``512 x 512 pixels of 0.5 mm``."""
        return self.said_in("mm")

    def said_in(self, length: str) -> str:
        """The same where lengths are called otherwise.

        Args:
            length: Such as ``"detector cells"``.

        Returns:
            One phrase.
        """
        dy, dx = self.spacing_mm
        sides = f"{dx:.4g}" if dy == dx else f"{dy:.4g} x {dx:.4g}"
        middle = ", ".join(f"{value:.4g}" for value in self.centre_mm)
        where = f", about ({middle}) {length}" if any(self.centre_mm) else ""
        if self.slices is None:
            return f"{self.rows} x {self.columns} pixels of {sides} {length}{where}"
        slices = f"{self.slices} slices of {self.slice_mm:.4g} {length}"
        return f"{slices}, {self.rows} x {self.columns} voxels of {sides} {length}{where}"

    def in_plane(self, what: str) -> Grid:
        """The grid itself, for what works on one slice.

        Args:
            what: Who asks, for the message.

        Returns:
            This grid.

        Raises:
            GeometryError: It is one of slices.
        """
        if self.slices is not None:
            raise GeometryError(f"{what} works on one slice, and this grid has {self.slices}; drop slices and slice_mm")
        return self

    @checked_with(GeometryError)
    def finer(self, factor: int) -> Grid:
        """The same area with smaller pixels.

        Args:
            factor: So many times as many along each side.

        Returns:
            Another grid; slices stay.

        Raises:
            GeometryError: For another number than 1, 2, 3, ..., and one that leads to too many pixels.
        """
        factor = count("factor", factor, MAX_IMAGE_SIDE)
        dy, dx = self.spacing_mm
        return Grid(
            rows=self.rows * factor, columns=self.columns * factor, pixel_mm=(dy / factor, dx / factor),
            centre_mm=self.centre_mm, slices=self.slices, slice_mm=self.slice_mm,
        )

    def reach_mm(self) -> float:
        """How far the image reaches.

        Returns:
            Radius of the largest disc about the rotation axis within it, in mm; at most 0 where the axis is outside.
        """
        (height, width), (x, y) = self.size_mm, self.centre_mm[:2]
        return min(width / 2 - abs(x), height / 2 - abs(y))

    def to_dict(self) -> dict[str, Any]:
        """Its JSON.

        Returns:
            ``rows``, ``columns`` and ``pixel_mm``; where needed with ``[dy, dx]`` and ``centre_mm``.
        """
        plain: dict[str, Any] = {"rows": self.rows, "columns": self.columns, "pixel_mm": self.pixel_mm}
        if isinstance(self.pixel_mm, tuple) or any(self.centre_mm) or self.slices is not None:
            plain |= {"pixel_mm": list(self.spacing_mm), "centre_mm": list(self.centre_mm)}
        if self.slices is not None:
            plain |= {"slices": self.slices, "slice_mm": self.slice_mm}
        return plain


def _pixel(pixel_mm: Any) -> float | tuple[float, float]:
    if not isinstance(pixel_mm, tuple | list):
        return positive("pixel_mm", pixel_mm)
    if len(pixel_mm) != 2:
        raise GeometryError(f"pixel_mm must be one number, or (dy, dx), got {pixel_mm!r}")
    dy, dx = (positive("pixel_mm", value) for value in pixel_mm)
    return dy if dy == dx else (dy, dx)


def default_grid(geometry: Geometry, *, size: int | None = None, pixel_mm: float | None = None) -> Grid:
    """A square grid that covers the field of view (``covered_mm``).

    In space its slices are as far apart as the detector's rows seem at the axis, and cover there what any view sees.

    Args:
        geometry: Of the scan.
        size: Pixels a side; None for the number of detector cells.
        pixel_mm: A pixel's side; None for the one that just covers the field of view.

    Returns:
        The grid, about the axis.

    Raises:
        GeometryError: For an impossible size, or where the field of view is empty and no pixel is given.
    """
    size = geometry.detector_count if size is None else size
    if pixel_mm is None:
        width = covered_mm(geometry)
        if width <= 0:
            raise GeometryError("the detector does not see the rotation axis from both sides; give --pixel-mm")
        pixel_mm = width / count("size", size, MAX_IMAGE_SIDE)
    square = Grid(rows=size, columns=size, pixel_mm=pixel_mm)
    if len(geometry.shape) == 2:
        return square
    low, high, slice_mm = _heights_at_the_axis(geometry)
    slices = max(1, round((high - low) / slice_mm))
    return replace(square, slices=slices, slice_mm=slice_mm, centre_mm=(0.0, 0.0, (low + high) / 2))


def _heights_at_the_axis(geometry: Geometry) -> tuple[float, float, float]:
    """From where to where the rows see the axis, edges of cells included, and how far apart they are there, in mm."""
    vectors = geometry.to_vectors()
    points, directions = (part[:, 0] for part in replace(vectors, rows=1).rays())
    away = points[..., 0] * directions[..., 1] - points[..., 1] * directions[..., 0]
    away *= np.where(away[:, :1] > away[:, -1:], -1.0, 1.0)  # it grows along the row
    z = np.empty((len(away), vectors.rows))
    for view, beside in enumerate(away):
        one = vectors.views(slice(view, view + 1))
        middle = np.interp(0.0, beside, vectors.column_places_mm)  # where the axis projects to
        cells, source = one.cells_at(np.array([middle]))[0, :, 0], one.source
        point, direction = (cells, source + 0 * cells) if vectors.parallel else (source + 0 * cells, cells - source)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = -(point[:, :2] * direction[:, :2]).sum(axis=-1) / (direction[:, :2] ** 2).sum(axis=-1)
            z[view] = point[:, 2] + t * direction[:, 2]
    if not np.isfinite(z).all():
        raise GeometryError("some rays run along the axis, so no slices follow from the geometry; give a grid")
    rows = z.shape[1]
    apart = float(np.median(np.abs(z[:, -1] - z[:, 0]))) / (rows - 1) if rows > 1 else _row_mm(geometry)
    if not apart > 0:
        raise GeometryError("all rows see the axis at one height, so no slices follow from the geometry; give a grid")
    return float(z.min()) - apart / 2, float(z.max()) + apart / 2, apart


def _row_mm(geometry: Geometry) -> float:
    """The height of a single row, as it seems at the axis."""
    vectors = geometry.to_vectors()
    if vectors.parallel:
        return vectors.row_mm
    near, far = np.linalg.norm(vectors.source[:, :2], axis=1), np.linalg.norm(vectors.source - vectors.detector, axis=1)
    return float(vectors.row_mm * np.median(near / far))
