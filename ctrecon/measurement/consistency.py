"""Whether the parts of a scan fit together: geometry, grid, matrix and numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import sparse

from ctrecon.errors import InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.given import LARGEST_VALUE


def check_geometry(source: str, geometry: Geometry | None, shape: tuple[int, ...], *, has_matrix: bool) -> None:
    """Refuse a geometry of other rays than were measured.

    Args:
        source: The scan, for messages.
        geometry: None only where a matrix says what was measured.
        shape: The sinogram's.
        has_matrix: Whether there is one.

    Raises:
        InputError: Neither says it, or the geometry has other numbers of views or cells.
    """
    if geometry is None and not has_matrix:
        raise InputError(f"{source}: neither a geometry nor a matrix says what was measured; give --geometry")
    if geometry is not None and geometry.shape != shape:
        names = ("angles", "detectors") if len(shape) == 2 else ("angles", "rows", "detectors")
        known = " and ".join(f"{n} {name}" for n, name in zip(geometry.shape, names, strict=True))
        raise InputError(
            f"{source}: angles that do not match: the sinogram has {shape[0]} views of "
            f"{' x '.join(map(str, shape[1:]))} detectors, the geometry {known}; correct the geometry or transpose "
            "the data"
        )


def check_positive(source: str, name: str, value: float | None) -> None:
    """Refuse what is no finite number above zero.

    Args:
        source: The scan, for messages.
        name: Of its field.
        value: None where nothing is known.

    Raises:
        InputError: For any other value.
    """
    if value is not None and not 0 < value < LARGEST_VALUE:
        raise InputError(f"{source}: {name} must be a finite number > 0, got {value}")


def image_shape(
    source: str, grid: Grid | None, stated: tuple[int, ...] | None, matrix: Any, *, in_space: bool
) -> tuple[int, ...] | None:
    """The shape of a scan's image, as far as it is known.

    Args:
        source: The scan, for messages.
        grid: Goes before all else.
        stated: What was handed over.
        matrix: ``[rays, pixels]``; without another word its image is square.
        in_space: Whether the scan is of a volume.

    Returns:
        ``(rows, columns)``, in space ``(slices, rows, columns)``; None where nothing says it.

    Raises:
        InputError: Where these contradict each other.
    """
    if grid is not None:
        if stated is not None and stated != grid.shape:
            raise InputError(f"{source}: image_shape {stated} is not the grid's {grid.shape}")
        if in_space != (grid.slices is not None):
            found = "one plane" if in_space else f"{grid.slices} slices"
            remedy = "give slices and slice_mm" if in_space else "drop slices and slice_mm"
            raise InputError(
                f"{source}: was measured in {'space' if in_space else 'one plane'}, and its grid has {found}; {remedy}"
            )
        return grid.shape
    if stated is not None or matrix is None:
        return stated
    side = math.isqrt(matrix.shape[1])
    if side * side != matrix.shape[1]:
        raise InputError(
            f"{source}: the matrix has {matrix.shape[1]} columns, not the square of a whole number; state image_shape"
        )
    return side, side


def check_matrix(source: str, matrix: Any, rays: tuple[int, ...], pixels: tuple[int, ...]) -> None:
    """Refuse what is no matrix of a scan.

    Args:
        source: The scan, for messages.
        matrix: What was handed over.
        rays: The sinogram's shape.
        pixels: The image's.

    Raises:
        InputError: It is no CSR matrix of finite real numbers, or has another shape.
    """
    if not sparse.issparse(matrix) or matrix.format != "csr":
        raise InputError(f"{source}: the matrix must be a scipy CSR matrix, got {type(matrix).__name__}")
    expected = (math.prod(rays), math.prod(pixels))
    if matrix.shape != expected:
        raise InputError(
            f"{source}: the matrix has shape {matrix.shape}, but {rays} rays and {pixels} pixels need {expected}"
        )
    if matrix.dtype.kind not in "fiu":
        raise InputError(f"{source}: the matrix must hold real numbers, got {matrix.dtype}; convert it")
    bad = int(np.count_nonzero(~np.isfinite(matrix.data)))
    if bad:
        raise InputError(f"{source}: the matrix holds {bad} values that are not finite; rebuild it")
