"""Whether a residual is structured: along cells, along views, along edges, or in single views, against noise.

Where an image explains the data but for noise, ``r = W^(1/2) (A u - f)`` has no structure but that of the pixels, whose
error sits where projections bend. So a ray is allowed the variance ``a + b (W^(1/2) D2 A u)^2``, with ``a`` and ``b``
fitted to the residual itself, and of the second part that it is the same in all rays of a line. Beyond that

- *cells*: the mean of a cell over the views, against its two neighbours (rings, dead cells);
- *views*: the mean of a view over the cells, against its two neighbours (gain, flicker, a repeated view);
- *edges*: what a view gains by a shift along the detector, ``<r, D1 A u>``, of single views and of all together (an
  axis that is off, jitter, motion: the score test of C. R. Rao, Proc. Camb. Phil. Soc. 44, 1948);
- *streaks*: the power of a view against that of the views around (a view that is lost, swapped or of something else).

Each is a largest deviation in standard deviations. Methods overfit some of the noise and leave out some of the object,
so no law of noise gives their p-values: they are calibrated on honest scans (``_HONEST``; ``tests/diagnosis`` repeats
a part of it). Up to the deviation that nine tenths of these stay below, p says no more than that; beyond, it falls like
the power that their last tenth falls with (B. M. Hill, Ann. Statist. 3, 1975).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrecon.measurement.mask import Mask
from ctrecon.support.arrays import Array, Float64Array

SIGNIFICANT = 0.01
"""A smaller p-value calls a residual structured."""

FEWEST_VIEWS, FEWEST_CELLS = 12, 16
"""With fewer nothing can be said."""

# Of the pixels' error so much (of its root mean square) may be the same all along a line, and noise is at least so much
# of the mean square, that data without noise are not tested against nothing.
_ALIKE, _LEAST_NOISE = 0.5, 0.05
# Rays beyond this quantile do not join the fit; a line with fewer usable rays than this share is not tested.
_OUTLIER, _SEEN = 0.995, 0.5
_AROUND, _FEW = 4, 2
# The variance of a sum of squares of second differences, over that of independent ones.
_SHARED = 1.944
# What nine tenths of honest scans stay below, and the exponent of the tail beyond.
_HONEST = {"cells": (2.95, 9.0), "views": (2.0, 6.8), "edges": (3.1, 6.5), "turns": (2.95, 8.0), "streaks": (3.95, 5.5)}
_SHARE_BEYOND = 0.1


@dataclass(frozen=True, kw_only=True)
class Trait:
    """One kind of structure.

    Attributes:
        name: cells, views, edges or streaks.
        deviation: The largest, in standard deviations of what is allowed.
        p_value: How often an honest scan would deviate as much.
        where: The number of the cell or view; None for all of them together.
    """

    name: str
    deviation: float
    p_value: float
    where: int | None

    def __str__(self) -> str:
        return _WORDS[self.name](self.where)


@dataclass(frozen=True, kw_only=True)
class Structure:
    """All traits of a residual; ``p_value`` is of any of them, by Bonferroni. ``row`` of the detector: in space."""

    traits: tuple[Trait, ...]
    row: int | None = None

    @property
    def p_value(self) -> float:
        return min(1.0, len(self.traits) * min(trait.p_value for trait in self.traits))

    @property
    def structured(self) -> bool:
        """Whether chance and pixels do not explain it."""
        return self.p_value < SIGNIFICANT

    @property
    def said(self) -> str:
        """In words, without a full stop."""
        worst = min(self.traits, key=lambda trait: trait.p_value)
        residual = "the residual" if self.row is None else f"the residual of detector row {self.row}"
        if self.structured:
            return f"{residual} is structured: {worst} (p = {self.p_value:.1g})"
        found = f"no structure beyond a grid's own was found in {residual}"
        if self.p_value == 1:
            return f"{found}: cells, views, shifts and streaks are as in nine of ten honest scans"
        return f"{found} (cells, views, shifts and streaks: p = {self.p_value:.2g})"

    def to_dict(self) -> dict[str, Any]:
        """The same for machines.

        Returns:
            Whether there is a structure, its p-value, words, row and traits; plain values for JSON.
        """
        return {
            "structured": self.structured, "p_value": self.p_value, "said": self.said, "row": self.row,
            "traits": [vars(trait) for trait in self.traits],
        }  # fmt: skip


_WORDS: dict[str, Callable[[int | None], str]] = {
    "cells": lambda at: ("cells keep" if at is None else f"cell {at} keeps") + " one sign over the views (rings)",
    "views": lambda at: ("views are" if at is None else f"view {at} is") + " brighter or darker than the next",
    "edges": lambda at: (
        ("all views are" if at is None else f"view {at} is") + " shifted along the detector (`ctrecon calibrate`)"
    ),
    "turns": lambda at: (
        ("views stand" if at is None else f"view {at} stands") + " at another angle than stated (`ctrecon diagnose`)"
    ),
    "streaks": lambda at: f"view {at} fits much better or worse than those around it",
}


def structure_of(data: Array, explained: Array, weights: Array | None = None) -> Structure | None:
    """Test a residual for structure.

    Args:
        data: ``f`` ``[views, cells]``; of a volume's ``[views, rows, cells]`` the middle row is looked at.
        explained: ``A u``, likewise.
        weights: Of the rays, likewise, 0 where one is missing; None where all count 1.

    Returns:
        What was found; None for too few views or cells, or where nothing is left over.
    """
    f, p = (_middle(np.asarray(values, dtype=np.float64)) for values in (data, explained))
    root = np.ones_like(f) if weights is None else np.sqrt(_middle(np.asarray(weights, dtype=np.float64)))
    if f.shape[0] < FEWEST_VIEWS or f.shape[1] < FEWEST_CELLS:
        return None
    usable: Mask = root > 0
    r = root * (p - f)
    if not r[usable].any():
        return None
    noise, pixels = _allowed(r, root, p, usable)
    slope = root * _slope(p)
    alike = _alike_in_all_views(slope)
    found = (
        _line("cells", r, noise, pixels * np.maximum(_ALIKE**2, alike), usable),
        _line("views", r.T, noise, pixels.T * _ALIKE**2, usable.T),
        _edges(r, slope, noise, pixels, alike),
        _turns(r, root * _change(p), noise + _beside(pixels)),
        _streaks(r, noise + pixels, usable),
    )
    return Structure(traits=found, row=None if data.ndim == 2 else data.shape[1] // 2)


def _middle(values: Float64Array) -> Float64Array:
    return values if values.ndim == 2 else values[:, values.shape[1] // 2]


def _slope(p: Float64Array) -> Float64Array:
    slope = np.zeros_like(p)
    slope[:, 1:-1] = (p[:, 2:] - p[:, :-2]) / 2
    return slope


def _change(p: Float64Array) -> Float64Array:
    """From view to view; of the first and the last to the one beside it."""
    return np.asarray(np.gradient(p, axis=0))


def _allowed(r: Float64Array, root: Float64Array, p: Float64Array, usable: Mask) -> tuple[float, Float64Array]:
    """``a``, and ``b (W^(1/2) D2 A u)^2`` of each ray, by least squares weighted for chi-square variables."""
    bend = np.zeros_like(p)
    bend[:, 1:-1] = np.abs(p[:, 2:] - 2 * p[:, 1:-1] + p[:, :-2])
    beside = np.pad(bend, ((0, 0), (1, 1)), mode="edge")
    bends = (root * np.maximum(np.maximum(beside[:, 2:], beside[:, :-2]), bend)) ** 2
    x, y = bends[usable], r[usable] ** 2
    y = np.minimum(y, np.quantile(y, _OUTLIER))
    mean = float(y.mean())
    a, b = mean, 0.0
    for _ in range(6):
        w = (a + b * x) ** -2
        s, sx, sy, sxx, sxy = (float(sums.sum()) for sums in (w, w * x, w * y, w * x * x, w * x * y))
        if s * sxx - sx * sx <= 0:
            break
        b = max((s * sxy - sx * sy) / (s * sxx - sx * sx), 0.0)
        a = max((sy - b * sx) / s, _LEAST_NOISE * mean)
    return a, b * bends


def _line(name: str, r: Float64Array, noise: float, pixels: Float64Array, usable: Mask) -> Trait:
    """Columns of ``r`` whose mean is off that of their neighbours; ``pixels`` is what is the same all along one."""
    count = usable.sum(axis=0)
    n = np.maximum(count, 1)
    means = r.sum(axis=0) / n
    variance = noise / n + (pixels * usable).sum(axis=0) / n
    off = means[1:-1] - (means[2:] + means[:-2]) / 2
    spread = variance[1:-1] + (variance[2:] + variance[:-2]) / 4
    seen = count >= _SEEN * count.max()
    tested = seen[1:-1] & seen[2:] & seen[:-2]
    away = np.where(tested, np.abs(off) / np.sqrt(spread), 0)
    # All together: neighbours share what they are compared with, which costs about half of the degrees of freedom.
    freedom = max(1.0, float(tested.sum()) / _SHARED)
    together = (float((away**2).sum()) / _SHARED - freedom) / math.sqrt(2 * freedom)
    return _trait(name, away, first=1, together=together)


def _edges(r: Float64Array, slope: Float64Array, noise: float, pixels: Float64Array, alike: Float64Array) -> Trait:
    # Where an edge crosses a cell at the same place in every view, as those of a cylinder on the axis do, the pixels'
    # error is the same in all of them, and no law of a grid says how large: of one view it is no sign.
    score, usual = (r * slope).sum(axis=1), noise + pixels
    spread = (slope**2 * (usual + alike * r.mean(axis=0) ** 2)).sum(axis=1)
    single = np.where(spread > 0, np.abs(score) / np.sqrt(np.where(spread > 0, spread, 1)), 0)
    shared = ((_ALIKE * alike * slope.sum(axis=0)) ** 2 * pixels.mean(axis=0)).sum()
    total = float((slope**2 * usual).sum() + shared)
    return _trait("edges", single, together=abs(float(score.sum())) / math.sqrt(total) if total > 0 else 0.0)


def _turns(r: Float64Array, change: Float64Array, usual: Float64Array) -> Trait:
    # All views turned alike are the object turned, which no data tell, so that only how much they differ counts.
    score, spread = (r * change).sum(axis=1), (change**2 * usual).sum(axis=1)
    away = np.where(spread > 0, np.abs(score) / np.sqrt(np.where(spread > 0, spread, 1)), 0)
    # All together, but for those that single ones would be: they are named by themselves.
    usually = np.sort(away[spread > 0])[: -max(_FEW, away.size // 20)]
    freedom = max(1.0, float(usually.size))
    return _trait("turns", away, together=(float((usually**2).sum()) - freedom) / math.sqrt(2 * freedom))


def _beside(pixels: Float64Array) -> Float64Array:
    """The largest of each ray and those of the views beside it: an edge along the rays of one view is in no other."""
    padded = np.pad(pixels, ((1, 1), (0, 0)), mode="edge")
    return np.asarray(np.maximum(np.maximum(padded[:-2], padded[2:]), pixels))


def _alike_in_all_views(slope: Float64Array) -> Float64Array:
    """Of each cell: the square of its mean slope over its mean square, 1 where all views are the same there."""
    square = (slope**2).mean(axis=0)
    return np.asarray(np.divide(slope.mean(axis=0) ** 2, square, out=np.zeros_like(square), where=square > 0))


def _streaks(r: Float64Array, variance: Float64Array, usable: Mask) -> Trait:
    """The logarithm of a view's power less the median of those around it, in those of as many independent rays."""
    count = usable.sum(axis=1)
    seen = np.flatnonzero(count >= _SEEN * count.max())
    shares = (r**2 / variance * usable)[seen]
    level = np.log(np.maximum(shares.sum(axis=1) / count[seen], 1e-9))
    # Of independent Gaussian rays the sum of fourth powers is three times their number; where a few edges hold most of
    # a view's power, so many rays are not what it is the mean of.
    rays = 3 * shares.sum(axis=1) ** 2 / np.maximum((shares**2).sum(axis=1), 1e-300)
    free = np.minimum(count[seen], _around(rays))
    away = np.zeros(r.shape[0])
    away[seen] = np.abs(level - _around(level)) * np.sqrt(free / 2)
    return _trait("streaks", away)


def _around(values: Float64Array) -> Float64Array:
    """The median of each and those beside it."""
    padded = np.pad(values, _AROUND, mode="wrap" if values.size > _AROUND else "edge")
    medians: Float64Array = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1), axis=1)
    return medians


def _trait(name: str, away: Float64Array, *, first: int = 0, together: float = 0.0) -> Trait:
    at = int(np.argmax(away))
    if together > away[at]:
        return Trait(name=name, deviation=together, p_value=_p_value(name, together), where=None)
    return Trait(name=name, deviation=float(away[at]), p_value=_p_value(name, float(away[at])), where=at + first)


def _p_value(name: str, deviation: float) -> float:
    usual, exponent = _HONEST[name]
    return 1.0 if deviation <= usual else _SHARE_BEYOND * (usual / deviation) ** exponent
