"""How well any image at all explains a scan: a few conjugate gradients on some views, on coarse pixels and cells.

Coarse cells are means of neighbours, so that single edges between coarse pixels weigh little, and a wrong geometry,
which contradicts itself on every scale, weighs fully. What cannot be explained is a share of the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ctrecon.errors import InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.field_of_view import cell_at_axis_mm, covered_mm
from ctrecon.geometry.grid import Grid, default_grid
from ctrecon.measurement.extent import object_radius_mm
from ctrecon.measurement.scan import Scan
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import Uses, choose_operator
from ctrecon.support.arrays import Array, Float64Array

VIEWS, CELLS, SIDE, STEPS = 90, 128, 96, 14
# An object that is no wider than this share of the square is looked at alone, with a margin of so many cells.
_SMALL, _MARGIN_CELLS = 0.6, 2
# After so many steps the fit of a right reading is ahead of that of a wrong one.
_EARLY = 5
# In so many views noise is taken for more of it, far from where it is.
_STRAY = 0.04


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What the best image found leaves unexplained.

    Attributes:
        share: ``||A u - f|| / ||f||`` of coarse cells.
        image: ``[rows, columns]``, coarse, in the scan's own unit.
        residual: ``A u - f`` ``[views, coarse cells]``.
        data: ``f``, likewise.
        views: Which views of the scan these are.
        grid: That of the image.
        block: How many cells make a coarse one.
        geometry: Of these views.
        operator: The projector of geometry and grid.
        course: ``share`` after each step.
    """

    share: float
    image: Array
    residual: Float64Array
    data: Float64Array
    views: slice
    grid: Grid
    block: int
    geometry: Geometry
    operator: LinearOperator
    course: tuple[float, ...]

    def columns_that_stand_out(self) -> list[int]:
        """Coarse cells whose residual keeps its sign over the views, beyond chance and beyond their neighbours.

        Returns:
            Their numbers, from 0.
        """
        return _standing_out(self.residual)

    def views_that_stand_out(self) -> list[int]:
        """Views whose residual keeps its sign over the cells.

        Returns:
            Their numbers among those looked at, from 0.
        """
        return _standing_out(self.residual.T)

    def factors(self) -> Float64Array:
        """What each view's data would have to be multiplied by to come nearest to the image, over the median of all.

        Nearest to 1 of what is so: an image follows gains of the views in part, slow ones above all.

        Returns:
            One factor for each view looked at; all 1 where their median is not above 0.
        """
        square = (self.data**2).sum(axis=1)
        factors = 1 + (self.residual * self.data).sum(axis=1) / np.where(square > 0, square, np.inf)
        middle = float(np.median(factors))
        return factors / middle if middle > 0 else np.ones_like(factors)


def fit(
    scan: Scan,
    *,
    side: int = SIDE,
    cells: int = CELLS,
    most_views: int = VIEWS,
    steps: int = STEPS,
    uses: Uses = "few",
    like: Fit | None = None,
    rival: Fit | None = None,
) -> Fit:
    """The coarse misfit of a scan.

    Args:
        scan: With a geometry in the plane. A grid of its own says which square is looked at, not with which pixels.
        side: Pixels along the longer side of the square.
        cells: About so many coarse detector cells.
        most_views: About so many views.
        steps: Conjugate gradients.
        uses: ``"some"`` where no other fit will follow: a small matrix is made quicker than numba is loaded.
        like: A fit whose projector serves here too, where geometry and grid are the same.
        rival: The fit of another reading of the scan, which this one is to beat: it ends early where it falls behind.

    Returns:
        The fit, the same for the same scan and numbers.

    Raises:
        InputError: For a volume, a matrix alone, or data that are zero.
    """
    if scan.geometry is None:
        raise InputError(f"{scan.source}: a matrix alone says nothing of source and detector, so there is no diagnosis")
    if scan.sinogram.ndim != 2:
        raise InputError(f"{scan.source}: a diagnosis looks at one slice, and these are {scan.sinogram.ndim} axes")
    # An odd step, so that what every second view has is not overlooked.
    step = max(1, round(scan.sinogram.shape[0] / most_views))
    views = slice(None, None, step - 1 + step % 2)
    grid = _coarse(scan, side)
    geometry = scan.geometry.views(views)
    if like is not None and (like.geometry, like.grid) == (geometry, grid):
        operator = like.operator
    else:
        operator = choose_operator(geometry, grid, uses=uses)
    data = torch.from_numpy(np.array(scan.sinogram[views], dtype=np.float32))[None, None]
    usable = None if scan.mask is None else torch.from_numpy(np.array(scan.mask[views], dtype=np.float32))[None, None]
    block = max(1, scan.sinogram.shape[1] // cells)

    def coarsened(values: Tensor) -> Tensor:
        return _means(values if usable is None else values * usable, block)

    def back(values: Tensor) -> Tensor:
        fine = _spread(values, block, data.shape)
        return operator.adjoint(fine if usable is None else fine * usable)

    f = coarsened(data)
    size = float(torch.linalg.vector_norm(f.double()))
    if size == 0:
        raise InputError(f"{scan.source}: the data are zero in every view that was looked at; there is nothing to fit")
    u = torch.zeros((1, 1, *grid.shape))
    r = f.clone()
    z = back(r)
    d, gamma = z, float((z.double() ** 2).sum())
    course: list[float] = []
    for _ in range(steps):
        q = coarsened(operator(d))
        bend = float((q.double() ** 2).sum())
        if bend == 0 or gamma == 0:
            break
        u, r = u + gamma / bend * d, r - gamma / bend * q
        course.append(float(torch.linalg.vector_norm(r.double())) / size)
        if rival is not None and len(course) == _EARLY <= len(rival.course) and course[-1] > rival.course[_EARLY - 1]:
            break
        if len(course) == steps:
            break  # the next direction would not be gone
        z = back(r)
        last, gamma = gamma, float((z.double() ** 2).sum())
        d = z + gamma / last * d
    residual = -r[0, 0].double().numpy()
    return Fit(
        share=float(np.linalg.norm(residual)) / size,
        image=u[0, 0].numpy(),
        residual=residual,
        data=f[0, 0].double().numpy(),
        views=views,
        grid=grid,
        block=block,
        geometry=geometry,
        operator=operator,
        course=tuple(course),
    )


def quick_fit(scan: Scan, rival: Fit | None = None) -> Fit:
    """The fit that is repeated where one number is sought, on 48 pixels a side: a tenth of the work.

    Args:
        scan: As for ``fit``.
        rival: The best so far; where it is behind after five steps, it is left so.

    Raises:
        InputError: As ``fit`` does.
    """
    return fit(scan, side=48, cells=64, most_views=48, steps=10, rival=rival)


def _coarse(scan: Scan, side: int) -> Grid:
    assert scan.geometry is not None
    own = scan.grid
    if own is None:
        # Pixels finer than half a cell explain anything; of a short scan with half a fan all would be.
        most = max(1, math.ceil(2 * covered_mm(scan.geometry) / cell_at_axis_mm(scan.geometry) - 1e-6))
        whole = default_grid(scan.geometry, size=min(side, scan.sinogram.shape[1], most))
        return _about_a_small_object(scan, side, whole) or whole
    small = _about_a_small_object(scan, side, own)
    if small is not None:
        return small
    coarser = max(1.0, max(own.plane) / side)
    rows, columns = (max(1, math.ceil(count / coarser)) for count in own.plane)
    dy, dx = own.size_mm[0] / rows, own.size_mm[1] / columns
    return Grid(rows=rows, columns=columns, pixel_mm=(dy, dx), centre_mm=own.centre_mm[:2])


def _about_a_small_object(scan: Scan, side: int, square: Grid) -> Grid | None:
    """A square about the axis with all that absorbs, where that is a small part of ``square``; else None.

    Whatever the geometry, no image has anything where rays cross that nothing absorbs. On pixels for the whole field
    a small object would be a few, which explain no data.
    """
    assert scan.geometry is not None
    radius = object_radius_mm(scan.sinogram, scan.geometry, but_for=_STRAY)
    if radius is None:
        return None
    cell = cell_at_axis_mm(scan.geometry)
    width = 2 * (radius + _MARGIN_CELLS * cell)
    if width > _SMALL * max(square.size_mm) or width > 2 * square.reach_mm():
        return None
    pixel = max(width / side, cell / 2)
    count = math.ceil(width / pixel)
    return Grid(rows=count, columns=count, pixel_mm=pixel)


def _means(values: Tensor, block: int) -> Tensor:
    """The means of ``block`` neighbouring cells, times its square root; cells left over at the end fall off."""
    if block == 1:
        return values
    whole = values.shape[-1] // block * block
    folded = values[..., :whole].reshape(*values.shape[:-1], whole // block, block)
    return folded.mean(-1) * math.sqrt(block)


def _spread(coarse: Tensor, block: int, shape: torch.Size) -> Tensor:
    """The transpose of ``_means``."""
    if block == 1:
        return coarse
    out = coarse.new_zeros(shape)
    out[..., : coarse.shape[-1] * block] = coarse.repeat_interleave(block, -1) / math.sqrt(block)
    return out


def _standing_out(values: Float64Array, times: float = 6.0) -> list[int]:
    """Columns whose mean is so many times the usual one, and as large as what single values scatter by."""
    means = values.mean(0)
    usual = 1.4826 * float(np.median(np.abs(means - np.median(means))))
    scatter = 1.4826 * float(np.median(np.abs(values)))
    return [int(k) for k in np.flatnonzero(np.abs(means) > max(times * usual, scatter / 2)) if means[k] != 0]
