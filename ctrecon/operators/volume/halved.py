"""A scan in space at half its resolution: where a solver that needs many products takes its first steps.

Every second view, squares of four cells as one, voxels twice as wide along each axis: a product costs a sixteenth.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vectors_in_space import VectorsInSpace

# Below so many voxels, cells or views along an axis there is nothing to halve.
LEAST = 24


def half_geometry(geometry: Geometry) -> VectorsInSpace:
    """Every second view by cells of twice the side; where their number is odd the detector grows by one.

    Args:
        geometry: In space.

    Returns:
        The same scanner, view by view.
    """
    vectors = geometry.to_vectors()
    every = {name: getattr(vectors, name)[::2] for name in ("source", "detector", "u", "v")}
    some = replace(vectors, **every)
    middle = some.detector + (some.rows % 2) * some.row_mm / 2 * some.v
    along, u = (some.columns % 2) * some.column_mm / 2, some.u
    if some.radius_mm:
        turn, n = along / some.radius_mm, some.normal()
        middle = middle + some.radius_mm * (np.sin(turn) * u + (1 - np.cos(turn)) * n)
        u = np.cos(turn) * u + np.sin(turn) * n
    else:
        middle = middle + along * u
    return VectorsInSpace.from_vectors(
        replace(
            some, detector=middle, u=u, rows=-(-some.rows // 2), columns=-(-some.columns // 2),
            row_mm=2 * some.row_mm, column_mm=2 * some.column_mm,
        )
    )


def half_grid(grid: Grid) -> Grid:
    """Voxels of twice the side; where their number is odd the volume grows by one.

    Args:
        grid: Of a volume.

    Returns:
        The same place at half the resolution.
    """
    assert grid.slices is not None
    assert grid.slice_mm is not None
    (dy, dx), (x, y, z) = grid.spacing_mm, grid.centre_mm
    return Grid(
        rows=-(-grid.rows // 2), columns=-(-grid.columns // 2), slices=-(-grid.slices // 2),
        pixel_mm=(2 * dy, 2 * dx), slice_mm=2 * grid.slice_mm,
        centre_mm=(
            x + (grid.columns % 2) * dx / 2, y - (grid.rows % 2) * dy / 2, z + (grid.slices % 2) * grid.slice_mm / 2
        ),
    )  # fmt: skip


def can_be_halved(geometry: Geometry, grid: Grid) -> bool:
    """Whether there is something left of a scan of half its resolution.

    Args:
        geometry: Of the scan.
        grid: Of the volume.

    Returns:
        Whether no axis is short.
    """
    return len(geometry.shape) == 3 and min(*geometry.shape, *grid.shape) >= LEAST


def half_data(data: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The means over the cells of the views that are left, and their weights.

    Args:
        data: ``[batch, 1, views, rows, columns]``.
        weights: >= 0, of the same shape or of batch 1; None for 1.

    Returns:
        Both at half the resolution. A cell of no weight holds 0.
    """
    if weights is None:
        return _means(data), None
    counted = _means(weights)
    means = _means((weights * data).expand_as(data)) / counted.clamp_min(torch.finfo(data.dtype).tiny)
    return torch.where(counted > 0, means, torch.zeros_like(means)), counted


def _means(data: Tensor) -> Tensor:
    some = data[:, :, ::2]
    rows, columns = some.shape[-2:]
    padded = functional.pad(some.flatten(0, 1), (0, columns % 2, 0, rows % 2), mode="replicate")
    means: Tensor = functional.avg_pool2d(padded, 2)
    return means.reshape(*some.shape[:3], *means.shape[-2:])


def doubled(volume: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A volume at twice its resolution, by linear interpolation.

    Args:
        volume: ``[batch, 1, slices, rows, columns]``.
        shape: ``(slices, rows, columns)`` of the finer one.

    Returns:
        ``[batch, 1, *shape]``.
    """
    fine = functional.interpolate(volume, scale_factor=2, mode="trilinear", align_corners=False)
    slices, rows, columns = shape
    return fine[:, :, :slices, :rows, :columns].contiguous()
