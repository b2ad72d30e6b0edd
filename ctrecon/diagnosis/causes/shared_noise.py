"""Noise that a view shares with the view before it: the detector had not forgotten that one (lag, afterglow).

To first order lag turns the image by a share of a step, and a turned image explains the data as well: no residual
shows it. But the noise of the view before is still there, so that neighbouring views share it, those two apart less by
the same factor. It is looked for in air, where nothing else changes from view to view.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from scipy.ndimage import binary_erosion

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

PLACE = 240
SPEAKS = True

_FEWEST_VIEWS, _FEWEST_RAYS = 16, 600
# A ray below this share of the largest value, with all its neighbours, is one through air.
_AIR, _BESIDE = 0.03, 4
# The share of noise that is handed on, in standard errors and at all, and how it must fall off.
_SURE, _LEAST, _FALLS = 4.0, 0.02, 0.75
# Second differences of independent cells share so much that of n only so many are independent: 1 + 2 (16 + 1) / 36.
_SHARED = 1.944


def shared_noise(scan: Scan) -> Iterator[Suggestion]:
    """The scan with what each view kept of the one before taken off."""
    f = scan.sinogram
    if f.ndim != 2 or f.shape[0] < _FEWEST_VIEWS or f.shape[1] < _FEWEST_VIEWS:
        return
    one, count = _shared(f.astype(np.float64), 1)
    two, _ = _shared(f.astype(np.float64), 2)
    if count < _FEWEST_RAYS or one < max(_LEAST, _SURE * math.sqrt(_SHARED / count)) or abs(two) > _FALLS * one:
        return
    yield Suggestion(
        cause="lag", words=f"each view keeps {one:.0%} of the view before (lag, afterglow), or views were interpolated",
        scan=_without(scan, one), certain=True, last=True,
        evidence=f"in air the noise of a view has a correlation of {one:.2f} with the next one's, {two:.2f} two apart",
    )  # fmt: skip


def _shared(f: Float64Array, apart: int) -> tuple[float, int]:
    """The correlation of the noise in air of views so far ``apart``, and of how many rays."""
    noise = f[:, 2:] - 2 * f[:, 1:-1] + f[:, :-2]
    quiet = np.abs(f) < _AIR * float(np.quantile(f, 0.99))
    # Well away from the object, whose faint rim moves from view to view as noise that is handed on would.
    air = binary_erosion(quiet, np.ones((3, 2 * _BESIDE + 1), dtype=np.bool_), border_value=1)[:, 1:-1]
    # What a cell reads in all views is a ring's, and no lag.
    known = np.maximum(air.sum(axis=0), 1)
    noise = np.where(air, noise - (noise * air).sum(axis=0) / known, 0.0)
    both = air[apart:] & air[:-apart]
    first, then = noise[:-apart][both], noise[apart:][both]
    size = math.sqrt(float((first**2).sum() * (then**2).sum()))
    return (float((first * then).sum()) / size if size > 0 else 0.0), int(both.sum())


def _without(scan: Scan, kept: float) -> Scan:
    """Of intensities ``I'_k = (1 - a) I_k + a I'_(k-1)``, the ``I_k``; the first view as it is."""
    intensity = np.exp(-scan.sinogram.astype(np.float64))
    own = intensity.copy()
    own[1:] = (intensity[1:] - kept * intensity[:-1]) / (1 - kept)
    values = -np.log(np.maximum(own, 0.1 * intensity)).astype(scan.sinogram.dtype)
    return dataclasses.replace(scan, sinogram=values, counts=None, white=None)
