"""How far each cell of the detector stands beside its place, by what a coarse image leaves over in it.

The data of a cell that stands ``d`` cells to the side are ``f = p + d dp/dk``, so that ``d`` is what its residual has
of the slope of ``A u`` across cells, beside what it has of ``A u`` itself (a gain) and of 1 (an offset). The image
follows part of a shift, and over a whole turn hands part of it on to the cells on the other side of the axis, so that
these numbers say where something is, and less than how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrecon.diagnosis.fit import Fit, fit
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import BoolArray, Float64Array

_SIDE, _CELLS = 128, 1 << 16
# What the pixels' error may pass for, in cells, however little noise there is; the ends of a detector tell nothing.
_FLOOR, _ENDS = 0.05, 2
# A part of the detector is as wide as this at least; of more cells, so many groups of neighbours are looked at.
_NARROWEST, _GROUPS = 4, 256
# What a seam must explain, in squared standard errors: of 96 honest scans one had a block, of 0.2 cells.
_SEAM = 15.0
# Cells on either side of a seam that are looked at.
_BESIDE = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class CellShifts:
    """Of each cell its shift and the inverse square of its standard error, 0 where nothing tells; and the fit."""

    shift: Float64Array
    weight: Float64Array
    fit: Fit

    def beyond(self, inside: BoolArray) -> float:
        """How much further to the side the cells ``inside`` stand than the others; 0 where nothing tells."""
        one, other = self.weight * inside, self.weight * ~inside
        if one.sum() == 0 or other.sum() == 0:
            return 0.0
        return float(one @ self.shift / one.sum() - other @ self.shift / other.sum())

    def explained_by(self, inside: BoolArray) -> float:
        """What such a block explains, in squared standard errors."""
        one, other = float(self.weight[inside].sum()), float(self.weight[~inside].sum())
        return self.beyond(inside) ** 2 * one * other / (one + other) if one > 0 and other > 0 else 0.0


def cell_shifts(scan: Scan, like: Fit | None = None, *, rival: Fit | None = None) -> CellShifts:
    """The shifts of a scan's cells.

    Args:
        scan: In the plane.
        like: A fit of the same geometry, whose projector serves again.
        rival: As of ``fit``.

    Raises:
        InputError: Where no coarse image can be fitted to it.
    """
    found = fit(scan, side=min(_SIDE, scan.sinogram.shape[1]), cells=_CELLS, uses="some", like=like, rival=rival)
    p, r = found.data + found.residual, -found.residual
    slope = np.zeros_like(p)
    slope[:, 1:-1] = (p[:, 2:] - p[:, :-2]) / 2
    usable = np.ones(p.shape) if scan.mask is None else scan.mask[found.views].astype(np.float64)
    usable[:, 1:-1] *= usable[:, 2:] * usable[:, :-2]
    count = np.maximum(usable.sum(axis=0), 1)

    def centred(values: Float64Array) -> Float64Array:
        return np.asarray((values - (values * usable).sum(axis=0) / count) * usable)

    p, r, slope = (centred(values) for values in (p, r, slope))
    slope, r = _without(slope, p), _without(r, p)
    square = (slope**2).sum(axis=0)
    tells = square > 1e-9 * square.max(initial=0)
    shift = np.where(tells, (slope * r).sum(axis=0) / np.where(tells, square, 1), 0)
    left = ((r - shift * slope) ** 2).sum(axis=0) / np.maximum(count - 3, 1)
    weight = np.where(tells, 1 / (left / np.where(tells, square, 1) + _FLOOR**2), 0)
    weight[:_ENDS] = weight[-_ENDS:] = 0
    return CellShifts(shift=shift, weight=weight, fit=found)


def _without(values: Float64Array, part: Float64Array) -> Float64Array:
    square = (part**2).sum(axis=0)
    share = np.divide((values * part).sum(axis=0), square, out=np.zeros_like(square), where=square > 0)
    return np.asarray(values - share * part)


def seams(found: CellShifts) -> list[int]:
    """The cells at which another shift begins, by the division into parts of one shift each that explains most.

    Every seam must explain its share (least squares with a penalty: B. Jackson et al., IEEE Signal Process. Lett. 12,
    2005).

    Returns:
        In order; empty where all cells are alike.
    """
    cells = found.shift.size
    group = -(-cells // _GROUPS)
    starts = np.arange(0, cells, group)
    w = np.add.reduceat(found.weight, starts)
    wd = np.add.reduceat(found.weight * found.shift, starts)
    weights, sums = np.r_[0, np.cumsum(w)], np.r_[0, np.cumsum(wd)]
    least = max(1, _NARROWEST // group)
    # Of all groups before the k-th: the least cost but for the sum of squares, and where the last part began.
    cost, began = np.full(starts.size + 1, np.inf), np.zeros(starts.size + 1, dtype=np.intp)
    cost[0] = -_SEAM
    for end in range(least, starts.size + 1):
        whole = weights[end] - weights[: end - least + 1]
        part = sums[end] - sums[: end - least + 1]
        costs = cost[: end - least + 1] + _SEAM - np.divide(part**2, whole, out=np.zeros_like(whole), where=whole > 0)
        began[end] = int(np.argmin(costs))
        cost[end] = costs[began[end]]
    at, last = [], starts.size
    while began[last] > 0:
        last = int(began[last])
        at.append(int(starts[last]))
    return at[::-1]


def jumps(found: CellShifts) -> Float64Array:
    """Of each cell how much further the next few stand than the last few, in standard errors; 0 near the ends.

    Less than a whole turn, an image follows a shift but next to a seam.
    """
    cells = found.shift.size
    jump = np.zeros(cells)
    if cells < 2 * (_BESIDE + _ENDS):
        return jump
    weights, sums = (
        np.convolve(values, np.ones(_BESIDE), mode="valid") for values in (found.weight, found.weight * found.shift)
    )
    seen = weights > 0
    mean = np.divide(sums, weights, out=np.zeros_like(sums), where=seen)
    variance = np.divide(1, weights, out=np.full_like(sums, np.inf), where=seen)
    off = (mean[_BESIDE:] - mean[:-_BESIDE]) / np.sqrt(variance[_BESIDE:] + variance[:-_BESIDE])
    jump[_BESIDE : _BESIDE + off.size] = off
    return jump
