"""Detector cells that read otherwise than their neighbours in every view: dead, or badly calibrated."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import median_filter

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.mask import mask_of_lines
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

PLACE = 180
SPEAKS = True

_WIDTH = 9
# A bad column stands out so many times as far as nine in ten do, and by this share of the size of the data at least.
# Beside a dead cell, what the anatomy does to its neighbours is no fault.
_TIMES, _LEAST, _OF_WORST = 4.0, 0.01, 0.25
# Anatomy makes a column stand out in many views, a fault in nearly all that show something there.
_STEADY, _SHOWN = 0.9, 0.1
# More than this share of the detector is no fault of single cells.
_MOST = 0.1


def bad_columns(scan: Scan) -> Iterator[Suggestion]:
    """The scan without the columns that stand out."""
    f = scan.sinogram.astype(np.float64)
    if min(f.shape) < 2 * _WIDTH:
        return
    around = median_filter(f, (1, _WIDTH), mode="nearest")
    off = np.median(f - around, axis=0)
    usual = float(np.quantile(np.abs(off), 1 - _MOST))
    size = float(np.sqrt((f**2).mean()))
    usable = np.ones(len(off), np.bool_) if scan.mask is None else scan.mask.any(axis=0)
    least = max(_TIMES * usual, _LEAST * size, _OF_WORST * float(np.abs(off).max()))
    bad = np.flatnonzero((np.abs(off) > least) & usable & (_steady(f - around, around, off) >= _STEADY))
    if not 0 < bad.size <= _MOST * off.size:
        return
    mask = mask_of_lines(scan.source, f.shape, [int(column) for column in bad], [])
    named = ", ".join(map(str, bad[:6])) + (", ..." if bad.size > 6 else "")
    cells = "a cell of the detector reads" if bad.size == 1 else f"{bad.size} cells of the detector read"
    words = f"{cells} otherwise than the neighbours (column {named})"
    yield Suggestion(cause="bad-columns", words=words, scan=scan.without(mask, "by diagnosis"))


def _steady(difference: Float64Array, around: Float64Array, off: Float64Array) -> Float64Array:
    """In what share of the views that show something beside it each column differs to its usual side."""
    shown = np.abs(around) > _SHOWN * np.abs(around).max()
    alike = np.sign(difference) == np.sign(off)
    share: Float64Array = (alike & shown).sum(axis=0) / np.maximum(shown.sum(axis=0), 1)
    return share
