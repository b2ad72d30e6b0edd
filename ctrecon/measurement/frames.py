"""White and dark frames beside counts: which cells they show to be at fault, and how the white field drifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from ctrecon.support.arrays import Array, BoolArray, Float64Array

_BESIDE = 9
_FEWEST_CELLS, _FEWEST_FRAMES = 16, 4
# Of the open beam, the dark field taken off: a cell that has less or more of it than its neighbours is at fault.
_DULL, _BRIGHT = 0.2, 3.0
# A hot cell's dark value lies so many times the usual spread above its neighbours', and by so much of the open beam.
_SPREADS, _HOT = 10.0, 0.02
# A noisy cell changes from frame to frame so many times as much as its neighbours, and by so much of the open beam.
_TIMES, _NOISY = 5.0, 0.02
_MOST_BAD = 0.1
# Groups of white frames differ where their squared differences are so much above what the frames' noise explains, or,
# of single frames, by so much of the field.
_DRIFT, _DRIFT_OF_SINGLE = 1.5, 0.002


@dataclass(frozen=True, kw_only=True)
class BadCells:
    """``usable [cells]``, and how many are ``dull`` (dead ones among them), ``bright``, ``hot`` and ``noisy``."""

    usable: BoolArray
    counts: dict[str, int]


def bad_cells(white: Array, dark: Array) -> BadCells | None:
    """Cells that white or dark frames show to be at fault; None where none is, or too many are for that to be it.

    Args:
        white: ``[frames, cells]``.
        dark: Likewise.
    """
    if white.shape[1] < _FEWEST_CELLS:
        return None
    black = dark.mean(axis=0)
    signal = white.mean(axis=0) - black
    beside = _around(signal)
    open_beam = float(np.median(signal))
    if not open_beam > 0:
        return None
    above = black - _around(black)
    spread = 1.4826 * float(np.median(np.abs(above)))
    found = {
        "dull": signal < _DULL * beside,
        "bright": signal > _BRIGHT * np.maximum(beside, 0.1 * open_beam),
        "hot": above > max(_SPREADS * spread, _HOT * open_beam),
        "noisy": _noisy(white, open_beam) | _noisy(dark, open_beam),
    }
    bad = np.logical_or.reduce(list(found.values()))
    if not bad.any() or bad.mean() > _MOST_BAD:
        return None
    return BadCells(usable=~bad, counts={name: int(cells.sum()) for name, cells in found.items() if cells.any()})


def _around(values: Float64Array) -> Float64Array:
    smooth: Float64Array = median_filter(values, _BESIDE, mode="mirror")
    return smooth


def _noisy(frames: Array, open_beam: float) -> BoolArray:
    if len(frames) < _FEWEST_FRAMES:
        return np.zeros(frames.shape[1], dtype=np.bool_)
    level = frames.mean(axis=1, keepdims=True)  # of each frame: a beam that flickers is no fault of a cell
    changes = (frames - level).std(axis=0, ddof=1)
    noisy: BoolArray = (changes > _TIMES * _around(changes)) & (changes > _NOISY * open_beam)
    return noisy


def white_by_view(white: Array, at: Array, views: int) -> tuple[Float64Array, str]:
    """The white field of every view between groups of white frames, and a note; where they agree, their mean.

    Args:
        white: ``[frames, cells]``.
        at: Of each frame, how many views were taken before it.
        views: How many views there are.

    Returns:
        ``[views, cells]``, linear between groups, or ``[cells]``; the note is empty where there is one group.
    """
    places = np.unique(at)
    whole: Float64Array = white.mean(axis=0)
    if places.size < 2:
        return whole, ""
    groups = [white[at == place] for place in places]
    means = np.stack([group.mean(axis=0) for group in groups])
    change = float(np.abs(np.median(means / np.maximum(whole, 1e-12), axis=1) - 1).max())
    if not _drifts(groups, means):
        return whole, f"{places.size} groups of white frames agree: their mean is taken"
    # Between two groups a weighted mean of both.
    position = np.interp(np.arange(views) + 0.5, places, np.arange(places.size))
    lower = np.minimum(position.astype(int), places.size - 2)
    weight = (position - lower)[:, None]
    field: Float64Array = (1 - weight) * means[lower] + weight * means[lower + 1]
    return field, (f"the white field drifts by up to {change:.2%} between {places.size} groups of frames, and is taken "
                   "between them view by view")  # fmt: skip


def _drifts(groups: list[Array], means: Float64Array) -> bool:
    noise = [group.var(axis=0, ddof=1) / len(group) for group in groups if len(group) > 1]
    if len(noise) < len(groups):
        levels = np.median(means / np.maximum(means[0], 1e-12), axis=1)
        return bool(np.abs(levels - 1).max() > _DRIFT_OF_SINGLE)
    expected = np.maximum(np.mean([part.mean() for part in noise]), 1e-12)
    apart = max(float(((mean - means[0]) ** 2).mean()) for mean in means[1:])
    return bool(apart > _DRIFT * 2 * expected)
