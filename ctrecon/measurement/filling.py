"""Missing rays as their neighbours suggest: a fixed linear map, so that residuals can be filled like data.

Each missing ray lies between usable ones in its view and between usable ones of its cell in other views; the shorter
of the two gaps is bridged, in a view by a cubic where there are two neighbours on either side, else in a straight line.
It is a guess: good enough for pictures, for the start and for a preconditioner; no energy and no certificate sees it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ctrecon.geometry.base import Geometry
from ctrecon.measurement.mask import Mask
from ctrecon.support.arrays import Array, Float64Array

Indices = npt.NDArray[np.intp]

# A gap wider than this is bridged in a straight line: a cubic over a wide one swings.
_NARROW = 4
# How many cells a point of the object moves from view to view, where no geometry says it.
_CELLS_PER_VIEW = 2.0


@dataclass(frozen=True, eq=False)
class Filling:
    """``matrix`` ``[missing rays, all rays]``, CSR: what the ``missing`` rays (flat indices) take from usable ones."""

    missing: Indices
    matrix: sparse.csr_matrix

    def __call__(self, values: Array) -> Array:
        """``values``, of the shape of the mask, with the missing ones filled in, in their own type."""
        filled = values.copy()
        flat = filled.reshape(-1)
        flat[self.missing] = 0  # whatever stood there, also NaN, is not looked at
        flat[self.missing] = (self.matrix @ flat.astype(np.float64)).astype(values.dtype)
        return filled


def filling(mask: Mask, geometry: Geometry | None = None, *, positive: bool = False) -> Filling:
    """How the rays that ``mask`` lacks follow from those it has.

    Args:
        mask: ``[views, detectors]`` or ``[views, rows, detectors]``, True where usable, somewhere at least.
        geometry: Says which views follow each other, and how far apart they are.
        positive: Whether no weight may be negative, as for variances and counts.

    Returns:
        The map; its rows add up to one, but for those in a wide gap at the detector's end (``_fading``).
    """
    views, cells = mask.shape[0], mask.shape[-1]
    order, wraps, step = _turn(geometry, views, cells)
    if mask.ndim == 2:
        return _between(mask, order, wraps, step, positive)
    at = np.arange(mask.size).reshape(mask.shape)
    there = np.flatnonzero(mask.any(axis=(0, 2)))
    missing, parts = [], []
    for row in np.flatnonzero(~mask.all(axis=(0, 2))):
        nearest = int(there[np.abs(there - row).argmin()])  # another one where all of the row is missing
        found = _between(mask[:, nearest], order, wraps, step, positive)
        lost = found.missing
        if nearest != row:
            found = Filling(np.arange(views * cells), _whole(mask[:, nearest], found))
            lost = found.missing
        coo = found.matrix.tocoo()
        columns = at[:, nearest].ravel()[coo.col]
        parts.append(sparse.csr_matrix((coo.data, (coo.row, columns)), shape=(coo.shape[0], mask.size)))
        missing.append(at[:, row].ravel()[lost])
    return Filling(np.concatenate(missing), sparse.csr_matrix(sparse.vstack(parts)))


def _whole(mask: Mask, found: Filling) -> sparse.csr_matrix:
    """All rays of a plane, filled, by those that are usable."""
    own = sparse.diags_array(mask.reshape(-1).astype(np.float64), format="csr")
    places = (found.missing, np.arange(found.missing.size))
    spread = sparse.csr_matrix((np.ones(found.missing.size), places), shape=(mask.size, found.missing.size))
    return sparse.csr_matrix(own + spread @ found.matrix)


def _between(mask: Mask, order: Indices, wraps: bool, step: float, positive: bool) -> Filling:
    """The same for lines ``[views, cells]`` that follow each other in ``order``."""
    views, cells = mask.shape
    usable = mask[order]
    at = np.argwhere(~usable)
    view, cell = at[:, 0], at[:, 1]
    left, right = _beside(usable, at, axis=1, wraps=False)
    before, after = _beside(usable, at, axis=0, wraps=wraps)
    gap = (after - before) % views
    across = np.where((left >= 0) & (right >= 0), right - left, math.inf)
    along = np.where((before >= 0) & (after >= 0) & (gap > 0), gap * step, math.inf)
    by_view = np.isfinite(across) & (across <= along)
    by_cell = np.isfinite(along) & ~by_view
    cubic = by_view & (right - left <= _NARROW) & (left >= 1) & (right <= cells - 2) & (not positive)
    cubic[cubic] &= usable[view[cubic], left[cubic] - 1] & usable[view[cubic], right[cubic] + 1]
    lone = ~(by_view | by_cell)  # at the border: the nearest there is in the view, then of the cell
    beside, ends = lone & (left + right > -2), lone & (left + right == -2) & (before + after > -2)
    crossing = lone & ~beside & ~ends  # a whole view and a whole cell are missing: from neighbours that are filled
    parts = _Parts(order, cells)
    nodes = np.stack([left - 1, left, right, right + 1])
    for node, weight in zip(nodes, _through(nodes, cell), strict=True):
        parts.take(cubic, view, node, weight)
    share = (cell - left) / np.maximum(right - left, 1)
    parts.take(by_view & ~cubic, view, left, 1 - share)
    parts.take(by_view & ~cubic, view, right, share)
    share = (view - before) % views / np.maximum(gap, 1)
    parts.take(by_cell, before, cell, 1 - share)
    parts.take(by_cell, after, cell, share)
    depth, gap = np.where(left >= 0, cell - left, right - cell), np.where(left >= 0, cells - 1 - left, right)
    parts.take(beside, view, np.maximum(left, right), _fading(depth, gap))
    parts.take(ends, np.maximum(before, after), cell, np.ones(len(at)))
    missing = order[view] * cells + cell
    matrix = parts.matrix((len(at), mask.size))
    if not crossing.any():
        return Filling(missing, matrix)
    others = mask.copy()
    others.reshape(-1)[missing[~crossing]] = True
    last = _between(others, order, wraps, step, positive)
    rest = sparse.csr_matrix(last.matrix @ _whole(mask, Filling(missing, matrix)))
    found = np.concatenate([missing[~crossing], last.missing])
    return Filling(found, sparse.csr_matrix(sparse.vstack([matrix[np.flatnonzero(~crossing)], rest])))


class _Parts:
    """The entries of the map as they are found."""

    def __init__(self, order: Indices, cells: int) -> None:
        self._order, self._cells = order, cells
        self._found: list[tuple[Indices, Indices, Float64Array]] = []

    def take(self, which: Mask, view: Indices, cell: Indices, weight: Float64Array) -> None:
        """Of the missing rays ``which``, each takes its ``weight`` of the ray ``(view, cell)``."""
        where = self._order[view[which]] * self._cells + cell[which]
        self._found.append((np.flatnonzero(which), where, weight[which].astype(np.float64)))

    def matrix(self, shape: tuple[int, int]) -> sparse.csr_matrix:
        rows, columns, weights = (np.concatenate([one[k] for one in self._found]) for k in range(3))
        return sparse.csr_matrix((weights, (rows, columns)), shape=shape)


def _fading(depth: Indices, gap: Indices) -> Float64Array:
    """What is left of the last usable cell's value ``depth`` cells beyond it, of ``gap`` to the detector's end.

    All of it in a narrow gap; in a wide one it falls to nothing, as an object that ends somewhere in it does.
    """
    fallen = np.cos(np.pi / 2 * np.clip((depth - 0.5) / np.maximum(gap, 1), 0, 1)) ** 2
    return np.where(gap <= _NARROW, 1.0, fallen)


def _through(nodes: Indices, at: Indices) -> Float64Array:
    """Lagrange's weights ``[4, n]`` of the values at ``nodes`` ``[4, n]`` for a value ``at`` ``[n]``."""
    weights = np.ones(nodes.shape)
    for j in range(4):
        for i in range(4):
            if i != j:
                apart = nodes[j] - nodes[i]
                weights[j] *= (at - nodes[i]) / np.where(apart == 0, 1, apart)
    return weights


def _beside(usable: Mask, at: Indices, *, axis: int, wraps: bool) -> tuple[Indices, Indices]:
    """The places of the next usable rays along ``axis`` below and above those ``at``; -1 where there is none."""
    n = usable.shape[axis]
    number = np.arange(n).reshape((-1, 1) if axis == 0 else (1, -1))
    below = np.maximum.accumulate(np.where(usable, number, -1), axis=axis)
    above = np.minimum.accumulate(np.flip(np.where(usable, number, n), axis), axis=axis)
    above = np.flip(above, axis)
    if wraps:
        last, first = np.take(below, [n - 1], axis), np.take(above, [0], axis)
        below, above = np.where(below < 0, last, below), np.where(above >= n, first, above)
    lower, upper = below[at[:, 0], at[:, 1]], above[at[:, 0], at[:, 1]]
    return lower, np.where(upper >= n, -1, upper)


def _turn(geometry: Geometry | None, views: int, cells: int) -> tuple[Indices, bool, float]:
    """The views as they follow each other, whether the first follows the last, and the cells from view to view."""
    orbit = None if geometry is None else geometry.orbit
    if orbit is None:
        return np.arange(views), False, _CELLS_PER_VIEW
    angles = np.asarray(orbit.angles_rad, dtype=np.float64)
    order = np.argsort(angles, kind="stable")
    steps = np.diff(angles[order])
    typical = float(np.median(steps)) if steps.size else math.pi
    wraps = abs(float(angles.max() - angles.min()) + typical - 2 * math.pi) < 0.5 * typical
    # A point half-way to the border of what the detector sees.
    return order, wraps, max(typical * cells / 4, 0.05)
