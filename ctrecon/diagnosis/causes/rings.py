"""Cells that read a little more or less than their neighbours, in all views or for a part of them: rings in the image.

A ring explains such data, so no misfit shows it. But an image of coarse pixels after few steps holds no rings yet, and
what it leaves over holds no anatomy, but for edges that lie at the same cells in all views: those of something round
about the axis, which slopes of one sign betray.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ctrecon.diagnosis.fit import fit
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.mask import mask_of_lines
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import BoolArray, Float64Array

PLACE = 265
SPEAKS = True

_SIDE, _VIEWS, _CELLS, _STEPS = 64, 90, 1024, 8
_FEWEST = 32
# A cell stands out beyond so many standard errors, and so many times what cells do. Of 170 honest scans (six families,
# noise of 0.1% to 3%, few photons) one came to 5.0; their cells lay at most 0.65 standard errors off in the median.
_ERRORS, _TIMES, _ALL = 5.5, 4.8, 0.9
# What edges beside a cell that are the same in all views are allowed to do to it, and cells that have none beside them.
_EDGES, _ENDS = 0.35, 4
_MOST = 0.1


def rings(scan: Scan) -> Iterator[Suggestion]:
    """The scan without the cells that stand out, or, where all differ, each brought to its neighbours' level."""
    if scan.geometry is None or scan.sinogram.ndim != 2 or min(scan.sinogram.shape) < _FEWEST:
        return
    found = fit(scan, side=_SIDE, cells=_CELLS, most_views=_VIEWS, steps=_STEPS, uses="some")
    if found.block > 1 or len(found.residual) < _FEWEST // 2:
        return
    half = len(found.residual) // 2
    parts = [
        _levels(found.residual[views], (found.data + found.residual)[views])
        for views in (slice(None), slice(half), slice(half, None))
    ]
    usable: BoolArray = np.ones(scan.sinogram.shape, np.bool_) if scan.mask is None else scan.mask
    if parts[0].all_off() > _ALL:
        yield _all(scan, parts[0])
        return
    single = sorted({cell for part in parts for cell in part.standing_out() if usable[:, cell].any()})
    if 0 < len(single) <= _MOST * scan.sinogram.shape[1]:
        yield _single(scan, parts, single)


@dataclass(frozen=True, kw_only=True)
class _Levels:
    """Of each cell how far it lies off its neighbours in the median of the views, in how many standard errors."""

    off: Float64Array
    errors: Float64Array

    def standing_out(self) -> list[int]:
        """The worst first, each taken out before the next is looked for: it stands in its neighbours' way."""
        out: list[int] = []
        off, usual = self.off.copy(), 1.4826 * float(np.median(np.abs(self.off)))
        error = np.divide(np.abs(off), self.errors, out=np.full_like(off, np.inf), where=self.errors > 0)
        for _ in range(int(_MOST * off.size)):
            away = np.minimum(np.abs(off) / error / _ERRORS, np.abs(off) / (_TIMES * usual or np.inf))
            away[:_ENDS] = away[-_ENDS:] = 0
            worst = int(np.argmax(away))
            if away[worst] <= 1:
                break
            out.append(worst)
            alone = np.zeros((1, off.size))
            alone[0, worst] = off[worst]
            off -= (alone - _between(alone))[0]
        return out

    def all_off(self) -> float:
        return float(np.median(self.errors[_ENDS:-_ENDS]))


def _levels(residual: Float64Array, explained: Float64Array) -> _Levels:
    away = residual - _between(residual)
    off = -np.median(away, axis=0)
    scatter = 1.4826 * np.median(np.abs(away + off), axis=0)
    p = np.pad(np.median(explained, axis=0), _ENDS, mode="reflect", reflect_type="odd")

    def at(cells: int) -> Float64Array:
        return np.asarray(p[_ENDS + cells : p.size - _ENDS + cells])

    # Without the cell itself and those next to it, whose ring the image holds in part.
    right, left = (at(4) - at(2)) / 2, (at(-2) - at(-4)) / 2
    beside = np.maximum(np.abs(right - left), np.abs((at(2) - at(-2)) / 4 - (right + left) / 2))
    spread = np.hypot(1.2533 * scatter / math.sqrt(len(residual)), _EDGES * beside * _alike(explained))
    return _Levels(off=off, errors=np.divide(np.abs(off), spread, out=np.zeros_like(off), where=spread > 0))


def _alike(explained: Float64Array) -> Float64Array:
    """Of each cell and those around it: the largest share that the square of the mean slope has of the mean square."""
    slope = np.gradient(explained, axis=1)
    square = (slope**2).mean(axis=0)
    share = np.divide(slope.mean(axis=0) ** 2, square, out=np.zeros_like(square), where=square > 0)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(share, _ENDS, mode="edge"), 2 * _ENDS + 1)
    return np.asarray(around.max(axis=1))


def _between(f: Float64Array) -> Float64Array:
    """Each cell by the cubic through two neighbours on either side."""
    padded = np.pad(f, ((0, 0), (2, 2)), mode="reflect")
    return np.asarray((4 * (padded[:, 1:-3] + padded[:, 3:-1]) - padded[:, :-4] - padded[:, 4:]) / 6)


def _single(scan: Scan, parts: list[_Levels], cells: list[int]) -> Suggestion:
    worst = max(parts, key=lambda part: float(part.errors[cells].max()))
    cell = cells[int(np.argmax(worst.errors[cells]))]
    share = abs(float(worst.off[cell])) / float(np.quantile(scan.sinogram, 0.995))
    named = ", ".join(map(str, cells[:6])) + (", ..." if len(cells) > 6 else "")
    one = f"cell {named} of the detector reads"
    what = one if len(cells) == 1 else f"{len(cells)} cells of the detector ({named}) read"
    mask = mask_of_lines(scan.source, scan.sinogram.shape, cells, [])
    return Suggestion(
        cause="rings", words=f"{what} more or less than the neighbours (rings)", certain=True, last=True,
        scan=scan.without(mask, "by diagnosis"),
        evidence=f"cell {cell} by {share:.1%} of the largest value, {worst.errors[cell]:.0f} standard errors",
    )  # fmt: skip


def _all(scan: Scan, levels: _Levels) -> Suggestion:
    values = scan.sinogram - levels.off.astype(scan.sinogram.dtype)
    share = float(np.sqrt((levels.off**2).mean())) / float(np.quantile(scan.sinogram, 0.995))
    return Suggestion(
        cause="rings", words="the cells of the detector differ from one to the next in all views (rings)", certain=True,
        last=True, scan=dataclasses.replace(scan, sinogram=values, counts=None, white=None),
        evidence=f"by {share:.1%} of the largest value rms; a white field of the same day takes it out",
    )  # fmt: skip
